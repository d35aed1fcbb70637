from odoo import fields, models


class WhatsappMessageWhy(models.TransientModel):
    _name = "whatsapp.message.why"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "The life of a message"

    # Only shown, from defaults in the context: no row of it is made.
    message_id = fields.Many2one("whatsapp.message", "Message", readonly=True)
    story = fields.Html(readonly=True)
