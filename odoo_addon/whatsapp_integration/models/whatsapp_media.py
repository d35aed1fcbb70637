from odoo import fields, models


class WhatsappMedia(models.Model):
    _name = "whatsapp.media"
    _description = "File of a WhatsApp message"
    _rec_name = "filename"

    # The bytes stay with the daemon, sealed; this row says what they are.
    checksum = fields.Char(readonly=True, help="SHA-256 of the content.")
    filename = fields.Char(readonly=True)
    mimetype = fields.Char(readonly=True)
    size = fields.Integer("Size (bytes)", readonly=True)
    width = fields.Integer(readonly=True)
    height = fields.Integer(readonly=True)
    duration = fields.Float("Duration (s)", readonly=True)
    state = fields.Selection(
        [
            ("waiting", "Being fetched"),
            ("ready", "Ready"),
            ("failed", "Could not be fetched"),
            ("refused", "Refused"),
        ],
        readonly=True,
    )
    reason = fields.Char(readonly=True, help="Why it could not be fetched.")
    thumbnail = fields.Binary(attachment=False, readonly=True)
    message_ids = fields.One2many("whatsapp.message", "media_id", "Messages", readonly=True)
