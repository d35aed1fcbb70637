from odoo import api, fields, models

from ..series import SERIES

SHOWN_MESSAGES = 40


class WhatsappChat(models.Model):
    _name = "whatsapp.chat"
    _inherit = "whatsapp.label.mixin"
    _description = "WhatsApp chat"
    _order = "last_message_at desc, id desc"
    _rec_names_search = ["name", "chat_id"]

    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="restrict", readonly=True
    )
    chat_id = fields.Char("WhatsApp ID", required=True, readonly=True)
    name = fields.Char(readonly=True)
    contact_id = fields.Many2one(
        "whatsapp.contact", "Contact", ondelete="set null", index=True, readonly=True
    )
    group_id = fields.Many2one(
        "whatsapp.group", "Group", ondelete="set null", index=True, readonly=True
    )
    last_message_id = fields.Many2one(
        "whatsapp.message", "Last Message", ondelete="set null", readonly=True
    )
    last_message_at = fields.Datetime("Last Activity", readonly=True)
    last_inbound_at = fields.Datetime("Last Received", readonly=True)
    unread_count = fields.Integer("Unread", readonly=True)
    last_preview = fields.Char("Last Words", compute="_compute_last_preview")
    message_ids = fields.Many2many(
        "whatsapp.message", string="Messages", compute="_compute_message_ids"
    )

    if SERIES < 19:
        _sql_constraints = [
            (
                "configuration_chat_uniq",
                "unique(configuration_id, chat_id)",
                "This account has this chat already.",
            ),
        ]
    else:
        _configuration_chat_uniq = models.Constraint(
            "unique(configuration_id, chat_id)", "This account has this chat already."
        )

    @api.depends("last_message_id")
    def _compute_last_preview(self):
        for chat in self:
            chat.last_preview = chat.last_message_id.preview

    @api.depends("configuration_id", "chat_id", "last_message_id")
    def _compute_message_ids(self):
        for chat in self:
            chat.message_ids = self.env["whatsapp.message"].search(
                [
                    ("configuration_id", "=", chat.configuration_id.id),
                    ("chat_id", "=", chat.chat_id),
                ],
                limit=SHOWN_MESSAGES,
            )

    def _label(self):
        self.ensure_one()
        if self.name:
            return self.name
        other = self.contact_id or self.group_id
        return other._label() if other else self.chat_id or str(self.id)

    def action_write(self):
        self.ensure_one()
        other = self.group_id or self.contact_id
        if other:
            return other.action_write()
        return self.env["whatsapp.send.message.wizard"]._action_open(
            {
                "default_configuration_id": self.configuration_id.id,
                "default_recipient_type": "number",
                "default_number": self.chat_id,
            }
        )

    def action_messages(self):
        self.ensure_one()
        action = self.env["whatsapp.message"]._action_list()
        action["name"] = self._label()
        action["domain"] = [
            ("configuration_id", "=", self.configuration_id.id),
            ("chat_id", "=", self.chat_id),
        ]
        return action
