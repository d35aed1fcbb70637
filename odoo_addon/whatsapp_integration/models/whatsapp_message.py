import logging
from datetime import timedelta

from odoo import _, api, fields, models, tools

from .. import bridge_client, explain_words
from ..series import SERIES, check_access
from ..words import failure_sentence
from .whatsapp_configuration import PROVIDERS

_logger = logging.getLogger(__name__)

STATUSES = [
    ("draft", "Draft"),
    ("queued", "Queued"),
    ("uncertain", "Uncertain"),
    ("pending", "Pending"),
    ("sent", "Sent"),
    ("failed", "Failed"),
    ("delivered", "Delivered"),
    ("read", "Read"),
    ("played", "Played"),
    ("deleted", "Deleted"),
    ("cancelled", "Cancelled"),
]
MESSAGE_TYPES = [
    ("text", "Text"),
    ("image", "Image"),
    ("video", "Video"),
    ("audio", "Audio"),
    ("voice", "Voice message"),
    ("document", "Document"),
    ("gif", "GIF"),
    ("sticker", "Sticker"),
    ("location", "Location"),
    ("contact", "Contact"),
    ("poll", "Poll"),
    ("reaction", "Reaction"),
    ("template", "Template"),
    ("interactive", "Interactive"),
    ("order", "Order"),
    ("system", "System"),
    ("unknown", "Unknown"),
]
ANSWER_DAYS_PARAMETER = "whatsapp_integration.answer_days"
ANSWER_DAYS = 7
PREVIEW_LENGTH = 80


class WhatsappMessage(models.Model):
    _name = "whatsapp.message"
    _inherit = "whatsapp.label.mixin"
    _description = "WhatsApp message"
    _order = "id desc"
    _rec_name = "message_id"
    _rec_names_search = ["content", "message_id"]

    # The daemon writes these rows by SQL: no defaults, no stored computes, and every column but the
    # account may be NULL.
    message_id = fields.Char("WhatsApp ID", readonly=True)
    content = fields.Text(readonly=True)
    message_type = fields.Selection(MESSAGE_TYPES, "Type", readonly=True)
    chat_id = fields.Char("Chat ID", readonly=True)
    from_me = fields.Boolean("From Us", readonly=True)
    status = fields.Selection(STATUSES, readonly=True)
    direction = fields.Selection(
        [("inbound", "Received"), ("outbound", "Sent by us")], readonly=True
    )
    provider = fields.Selection(PROVIDERS, readonly=True)
    timestamp = fields.Datetime("Time", readonly=True)
    synced_at = fields.Datetime("Synchronized", readonly=True)
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="restrict", readonly=True
    )
    contact_id = fields.Many2one(
        "whatsapp.contact",
        "Contact",
        ondelete="set null",
        index=True,
        readonly=True,
        help="The sender, or the recipient in a direct chat.",
    )
    group_id = fields.Many2one("whatsapp.group", "Group", ondelete="set null", readonly=True)
    caption = fields.Text(readonly=True)
    media_id = fields.Many2one("whatsapp.media", "File", ondelete="set null", readonly=True)
    reply_to_id = fields.Many2one(
        "whatsapp.message", "In Reply To", ondelete="set null", readonly=True
    )
    error_code = fields.Char("Error", readonly=True)
    error_message = fields.Text("Provider's Words", readonly=True)
    queued_at = fields.Datetime("Queued at", readonly=True)
    pending_at = fields.Datetime("Pending since", readonly=True)
    uncertain_at = fields.Datetime("Uncertain since", readonly=True)
    sent_at = fields.Datetime("Sent at", readonly=True)
    delivered_at = fields.Datetime("Delivered at", readonly=True)
    read_at = fields.Datetime("Read at", readonly=True)
    played_at = fields.Datetime("Played at", readonly=True)
    failed_at = fields.Datetime("Failed at", readonly=True)
    deleted_at = fields.Datetime("Deleted at", readonly=True)
    cancelled_at = fields.Datetime("Cancelled at", readonly=True)
    edited_at = fields.Datetime("Edited at", readonly=True)
    forwarded = fields.Boolean(readonly=True)
    user_id = fields.Many2one("res.users", "Sent By", ondelete="set null", readonly=True)
    res_model = fields.Char("Document Model", readonly=True)
    res_id = fields.Many2oneReference("Document ID", model_field="res_model", readonly=True)
    origin = fields.Selection(
        [
            ("rpc", "Bridge call"),
            ("odoo", "Odoo transaction"),
            ("phone", "Typed on the phone"),
            ("provider", "Provider"),
        ],
        readonly=True,
    )
    category = fields.Selection([("utility", "Utility"), ("marketing", "Marketing")], readonly=True)
    location = fields.Char(readonly=True)
    extra = fields.Text("Further Data", readonly=True)
    request_id = fields.Char("Request", readonly=True)
    receipt_ids = fields.One2many(
        "whatsapp.message.receipt", "message_id", "Receipts", readonly=True
    )
    revision_ids = fields.One2many(
        "whatsapp.message.revision", "message_id", "Former Texts", readonly=True
    )
    preview = fields.Char("Message", compute="_compute_preview")
    shown_text = fields.Text("Text", compute="_compute_shown_text")
    other_name = fields.Char("Contact or Group", compute="_compute_other_name")
    failure = fields.Char("Why It Failed", compute="_compute_failure")
    # 14 knows one widget per field and form; received messages show other steps than sent ones.
    received_status = fields.Selection(related="status", string="Received Status")
    partner_id = fields.Many2one(related="contact_id.partner_id", string="Partner")
    document_name = fields.Char("Document", compute="_compute_document_name")

    if SERIES < 19:
        _sql_constraints = [
            (
                "configuration_message_uniq",
                "unique(configuration_id, message_id)",
                "This account has this message already.",
            ),
        ]
    else:
        _configuration_message_uniq = models.Constraint(
            "unique(configuration_id, message_id)", "This account has this message already."
        )

    def _auto_init(self):
        result = super()._auto_init()
        # No index mentions status or a time of a status, and pages keep room: so a status update
        # touches neither an index nor another page.
        cr = self.env.cr
        cr.execute(
            "SELECT 1 FROM pg_class WHERE oid = 'whatsapp_message'::regclass"
            " AND 'fillfactor=80' = ANY(coalesce(reloptions, '{}'))"
        )
        if not cr.fetchone():
            cr.execute("ALTER TABLE whatsapp_message SET (fillfactor = 80)")
        for name, columns in (
            ("chat", "(configuration_id, chat_id, id)"),
            ("conversation", "(configuration_id, chat_id, timestamp, id)"),
            ("reply_to", "(reply_to_id) WHERE reply_to_id IS NOT NULL"),
            ("group", "(group_id, id) WHERE group_id IS NOT NULL"),
            ("media", "(media_id) WHERE media_id IS NOT NULL"),
            ("document", "(res_model, res_id) WHERE res_model IS NOT NULL"),
        ):
            cr.execute(
                "CREATE INDEX IF NOT EXISTS whatsapp_message_%s_idx ON whatsapp_message %s"
                % (name, columns)
            )
        return result

    @api.depends("content", "caption", "message_type")
    def _compute_preview(self):
        types = dict(self._fields["message_type"]._description_selection(self.env))
        for message in self:
            text = " ".join((message.content or message.caption or "").split())
            if len(text) > PREVIEW_LENGTH:
                text = text[: PREVIEW_LENGTH - 1] + "…"
            if message.message_type and message.message_type != "text":
                kind = types.get(message.message_type, message.message_type)
                text = "[%s] %s" % (kind, text) if text else "[%s]" % kind
            message.preview = text

    @api.depends("content", "caption", "preview", "status")
    def _compute_shown_text(self):
        for message in self:
            message.shown_text = message.content or message.caption or message.preview

    @api.depends("group_id", "contact_id", "chat_id")
    def _compute_other_name(self):
        for message in self:
            other = message.group_id or message.contact_id
            name = other._label() if other else message.chat_id
            message.other_name = name or _("(not known yet)")

    @api.depends("status", "error_code", "error_message")
    def _compute_failure(self):
        for message in self:
            message.failure = (
                failure_sentence(message.env, message.error_code, message.error_message)
                if message.error_code or message.error_message
                else False
            )

    @api.depends("res_model", "res_id")
    def _compute_document_name(self):
        for message in self:
            document = message._document()
            message.document_name = document.display_name if document else False

    def _label(self):
        self.ensure_one()
        other = self.group_id or self.contact_id
        name = other._label() if other else self.chat_id
        return ": ".join(part for part in (name, self.preview) if part) or str(self.id)

    def _document(self):
        """The document this message was sent from, as far as the user may see it; else None."""
        self.ensure_one()
        if not self.res_model or not self.res_id or self.res_model not in self.env:
            return None
        # search, not browse: record rules of the document apply
        model = self.env[self.res_model]
        if not self.env.su and not self.env["ir.model.access"].check(self.res_model, "read", False):
            return None
        return model.with_context(active_test=False).search([("id", "=", self.res_id)]) or None

    @api.model
    def _action_list(self):
        xml_id = "whatsapp_integration.whatsapp_message_action"
        return self.env["ir.actions.act_window"]._for_xml_id(xml_id)

    def action_open_document(self):
        self.ensure_one()
        if not self._document():
            return False
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "views": [(False, "form")],
        }

    def action_chat(self):
        self.ensure_one()
        chat = self.env["whatsapp.chat"].search(
            [("configuration_id", "=", self.configuration_id.id), ("chat_id", "=", self.chat_id)]
        )
        return chat.action_inbox() if chat else False

    def action_reply(self):
        """Opens the wizard on the person or group of this message."""
        self.ensure_one()
        values = {"default_configuration_id": self.configuration_id.id}
        if self.group_id:
            values.update(default_recipient_type="group", default_group_id=self.group_id.id)
        elif self.contact_id:
            values.update(default_recipient_type="contact", default_contact_id=self.contact_id.id)
        if self.direction == "inbound":
            values["default_reply_to_id"] = self.id
        if self._document():
            values.update(default_res_model=self.res_model, default_res_id=self.res_id)
        return self.env["whatsapp.send.message.wizard"]._action_open(values)

    def _answered(self):
        """The outbound message with a document that this inbound one answers; may be empty.

        That is the one it quotes, else the newest of the chat that is not too old.
        """
        self.ensure_one()
        if self.reply_to_id.res_model and self.reply_to_id.res_id:
            return self.reply_to_id
        if not self.chat_id:
            return self.browse()
        parameter = self.env["ir.config_parameter"].sudo().get_param(ANSWER_DAYS_PARAMETER)
        try:
            days = float(parameter or ANSWER_DAYS)
        except ValueError:
            _logger.warning("system parameter %s is not a number", ANSWER_DAYS_PARAMETER)
            days = ANSWER_DAYS
        now = self.timestamp or fields.Datetime.now()
        return self.search(
            [
                ("configuration_id", "=", self.configuration_id.id),
                ("chat_id", "=", self.chat_id),
                ("direction", "=", "outbound"),
                ("res_model", "!=", False),
                ("res_id", "!=", False),
                ("timestamp", ">=", now - timedelta(days=days)),
                ("id", "!=", self.id),
            ],
            order="id desc",
            limit=1,
        )

    def _on_received(self):
        """Called for each inbound message after the daemon stored it; to be extended.

        At least once per message, as superuser. Shipped: an answer to a message that was sent from
        a document is posted there, as an internal note that its sender is told of. The event is in
        the context as `whatsapp_event_id`.
        """
        for message in self:
            message._post_answer()

    def _on_status(self):
        """Called when the status of an outbound message asks for attention; to be extended."""

    def _on_edited(self):
        """Called when the author of a message changed its text; to be extended.

        The former texts are in `revision_ids`.
        """

    def _on_media(self):
        """Called when the file of a message is there; to be extended."""

    def action_explain(self):
        """Shows the life of this message, as the daemon tells it."""
        self.ensure_one()
        check_access(self, "read")
        steps = bridge_client.ask(self.env, "message.explain", {"id": self.id})["data"]["steps"]
        return {
            "type": "ir.actions.act_window",
            "name": _("Why?"),
            "res_model": "whatsapp.message.why",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_message_id": self.id, "default_story": self._story(steps)},
        }

    @api.model
    def _story(self, steps):
        """The steps of `message.explain` as an HTML table: time, icon, sentence."""
        rows = []
        for step in steps:
            at = explain_words.moment(step.get("at"))
            when = _("now")
            if at:
                local = fields.Datetime.context_timestamp(self, at)
                when = local.strftime("%Y-%m-%d %H:%M:%S")
            rows.append(
                "<tr><td class='text-nowrap text-muted'>%s</td>"
                "<td><i class='fa fa-fw %s'></i></td><td>%s</td></tr>"
                % (
                    tools.html_escape(when),
                    explain_words.icon(step["kind"]),
                    tools.html_escape(
                        explain_words.sentence(self.env, step["kind"], step["parameters"])
                    ),
                )
            )
        return "<table class='table table-sm o_whatsapp_story'><tbody>%s</tbody></table>" % "".join(
            rows
        )

    def _post_answer(self):
        self.ensure_one()
        sent = self._answered()
        document = sent._document() if sent else None
        if not document or not hasattr(document, "message_post"):
            return False
        name = self.contact_id._label() if self.contact_id else self.chat_id or ""
        text = "%s\n%s" % (_("WhatsApp from %s:") % name, self.content or self.preview or "")
        values = {
            "body": tools.plaintext2html(text),
            "message_type": "comment",
            "subtype_xmlid": "mail.mt_note",
            "partner_ids": sent.user_id.partner_id.ids,
        }
        if self.contact_id.partner_id:
            values["author_id"] = self.contact_id.partner_id.id
        document.message_post(**values)
        return True
