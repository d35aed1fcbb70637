from odoo import api, fields, models

from ..audit_words import operation_label
from ..series import SERIES
from .whatsapp_configuration import PROVIDERS

# A sum of times says nothing.
AVERAGE = {"group_operator": "avg"} if SERIES < 18 else {"aggregator": "avg"}


class WhatsappAuditLog(models.Model):
    _name = "whatsapp.audit.log"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "WhatsApp audit log"
    _order = "id desc"
    _rec_name = "operation"
    _log_access = False

    operation = fields.Char(readonly=True)
    operation_label = fields.Char("What Was Done", compute="_compute_operation_label")
    provider = fields.Selection(PROVIDERS, readonly=True)
    success = fields.Boolean(readonly=True)
    response_time = fields.Float("Response Time (ms)", readonly=True, **AVERAGE)
    error_message = fields.Text("Error", readonly=True)
    timestamp = fields.Datetime("Time", readonly=True)
    user_id = fields.Many2one("res.users", "User", ondelete="restrict", readonly=True)
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", ondelete="restrict", index=True, readonly=True
    )
    request_id = fields.Char("Request", readonly=True)
    address = fields.Char(readonly=True)

    @api.depends("operation")
    @api.depends_context("lang")
    def _compute_operation_label(self):
        for row in self:
            row.operation_label = operation_label(row.env, row.operation)
