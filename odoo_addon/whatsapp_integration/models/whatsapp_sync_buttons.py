from odoo import models


class WhatsappGroup(models.Model):
    _inherit = "whatsapp.group"

    def action_synchronise(self):
        """Opens the Sync Wizard on the accounts of these groups, else on the usual one."""
        return self.env["whatsapp.sync.wizard"]._action_open(
            self.mapped("configuration_id"), ["groups"]
        )
