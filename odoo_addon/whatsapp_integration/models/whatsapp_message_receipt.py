from odoo import fields, models

from ..series import SERIES


class WhatsappMessageReceipt(models.Model):
    _name = "whatsapp.message.receipt"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "What one member of a group did with a message"
    _rec_name = "contact_id"

    message_id = fields.Many2one(
        "whatsapp.message", "Message", required=True, ondelete="cascade", readonly=True
    )
    contact_id = fields.Many2one(
        "whatsapp.contact",
        "Contact",
        required=True,
        ondelete="cascade",
        index=True,
        readonly=True,
    )
    delivered_at = fields.Datetime("Delivered", readonly=True)
    read_at = fields.Datetime("Read", readonly=True)
    played_at = fields.Datetime("Played", readonly=True)
    failed_at = fields.Datetime("Failed", readonly=True)

    if SERIES < 19:
        _sql_constraints = [
            (
                "message_contact_uniq",
                "unique(message_id, contact_id)",
                "A member has one receipt per message.",
            ),
        ]
    else:
        _message_contact_uniq = models.Constraint(
            "unique(message_id, contact_id)", "A member has one receipt per message."
        )
