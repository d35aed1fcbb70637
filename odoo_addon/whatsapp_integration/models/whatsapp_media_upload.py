import base64

from odoo import api, fields, models


class WhatsappMediaUpload(models.Model):
    _name = "whatsapp.media.upload"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Bytes handed to the daemon inside an Odoo transaction"
    _rec_name = "filename"

    # Append-only: the daemon stores the bytes as whatsapp.media and deletes the row.
    message_id = fields.Many2one(
        "whatsapp.message", "Message", required=True, ondelete="cascade", index=True, readonly=True
    )
    filename = fields.Char("File Name", readonly=True)
    mimetype = fields.Char("Type", readonly=True, help="As it was given; the daemon looks itself.")
    size = fields.Integer("Size (bytes)", readonly=True)
    # In the database itself, so that a rollback takes it along; the column holds Base64 text.
    data = fields.Binary(attachment=False, readonly=True)

    @api.model
    def _hand_over(self, message, upload):
        """Keeps the bytes of a queued message until the daemon takes them, or a rollback does."""
        return self.sudo().create(
            {
                "message_id": message.id,
                "filename": upload["filename"],
                "mimetype": upload["mimetype"],
                "size": len(upload["data"]),
                "data": base64.b64encode(upload["data"]),
            }
        )
