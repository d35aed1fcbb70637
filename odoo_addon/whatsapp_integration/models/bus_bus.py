from odoo import api, models

from ..series import SERIES

CHANGED = "wabridge/changed"


class BusBus(models.Model):
    _inherit = "bus.bus"

    @api.model
    def _whatsapp_changed(self, partner, ids):
        """The hint that the bridge gives too: {model: [ids]} changed, for open screens."""
        if SERIES < 15:
            channel = (self.env.cr.dbname, "res.partner", partner.id)
            self.sudo().sendone(channel, {"type": CHANGED, "payload": ids})
        else:
            self.sudo()._sendone(partner, CHANGED, ids)
