from odoo import _, fields, models
from odoo.exceptions import UserError

from ..series import check_access

# What says who did it, and stays.
DONE_BY = ("whatsapp.audit.log", "whatsapp.message", "whatsapp.bulk.campaign")


class ResUsers(models.Model):
    _inherit = "res.users"

    whatsapp_configuration_ids = fields.Many2many(
        "whatsapp.configuration",
        "res_users_whatsapp_configuration_rel",
        "res_users_id",
        "whatsapp_configuration_id",
        "WhatsApp Accounts",
        groups="whatsapp_integration.group_whatsapp_admin",
        help="Accounts this user may use, beside those of the user's groups.",
    )

    def unlink(self):
        check_access(self, "unlink")  # before anything is told about them
        for model in DONE_BY:
            row = self.env[model].sudo().search([("user_id", "in", self.ids)], limit=1)
            if row:
                raise UserError(
                    _(
                        "%s cannot be deleted: what this user sent or changed with WhatsApp stands "
                        "in the history and the audit log, which keep who did it. Archive the user "
                        "instead: nobody can log in as an archived user."
                    )
                    % row.user_id.name
                )
        return super().unlink()
