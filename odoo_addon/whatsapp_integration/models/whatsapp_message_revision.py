from odoo import fields, models

from ..series import SERIES


class WhatsappMessageRevision(models.Model):
    _name = "whatsapp.message.revision"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Text of a message before it was edited"
    _rec_name = "content"
    _order = "edited_at desc, id desc"

    message_id = fields.Many2one(
        "whatsapp.message", "Message", required=True, ondelete="cascade", readonly=True
    )
    revision = fields.Char(
        readonly=True, help="The provider's id of the edit; of the first text the message's own."
    )
    content = fields.Text(readonly=True)
    caption = fields.Text(readonly=True)
    edited_at = fields.Datetime("Written", readonly=True)

    if SERIES < 19:
        _sql_constraints = [
            (
                "message_revision_uniq",
                "unique(message_id, revision)",
                "This text is kept already.",
            ),
        ]
    else:
        _message_revision_uniq = models.Constraint(
            "unique(message_id, revision)", "This text is kept already."
        )
