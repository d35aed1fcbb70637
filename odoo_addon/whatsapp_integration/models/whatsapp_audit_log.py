from odoo import fields, models

from .whatsapp_configuration import PROVIDERS


class WhatsappAuditLog(models.Model):
    _name = "whatsapp.audit.log"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "WhatsApp audit log"
    _order = "id desc"
    _rec_name = "operation"
    _log_access = False

    operation = fields.Char(readonly=True)
    provider = fields.Selection(PROVIDERS, readonly=True)
    success = fields.Boolean(readonly=True)
    response_time = fields.Float("Response Time (ms)", readonly=True)
    error_message = fields.Text(readonly=True)
    timestamp = fields.Datetime("Time", readonly=True)
    user_id = fields.Many2one("res.users", "User", ondelete="restrict", readonly=True)
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", ondelete="restrict", index=True, readonly=True
    )
    request_id = fields.Char("Request", readonly=True)
    address = fields.Char(readonly=True)
