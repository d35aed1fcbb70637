from odoo import fields, models


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
