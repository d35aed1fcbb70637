import uuid
from datetime import timedelta

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..models.whatsapp_configuration import GROUP_USER
from ..models.whatsapp_message import MESSAGE_TYPES

# How long the button waits for the provider's answer before it shows the message as it is.
WAIT_MS = 2500
NOT_SENT = ("reaction", "order", "system", "unknown")
SENT_TYPES = [pair for pair in MESSAGE_TYPES if pair[0] not in NOT_SENT]
# How long after a customer wrote free messages are allowed.
WINDOW = timedelta(hours=24)


class WhatsappSendMessageWizard(models.TransientModel):
    _name = "whatsapp.send.message.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Send a WhatsApp message"

    configuration_id = fields.Many2one(
        "whatsapp.configuration",
        "Account",
        required=True,
        ondelete="cascade",
        default=lambda self: self.env["whatsapp.configuration"]._first_usable(self.env.user),
    )
    recipient_type = fields.Selection(
        [
            ("number", "Number"),
            ("contact", "WhatsApp contact"),
            ("partner", "Partner"),
            ("group", "WhatsApp group"),
        ],
        "To",
        required=True,
        default="number",
    )
    number = fields.Char(help="With + and the country code, for example +44 7700 900123.")
    contact_id = fields.Many2one("whatsapp.contact", "Contact", ondelete="cascade")
    partner_id = fields.Many2one("res.partner", "Partner", ondelete="cascade")
    group_id = fields.Many2one("whatsapp.group", "Group", ondelete="cascade")
    message_type = fields.Selection(SENT_TYPES, "What", required=True, default="text")
    reply_to_id = fields.Many2one("whatsapp.message", "In Reply To", ondelete="cascade")
    category = fields.Selection(
        [("utility", "Utility"), ("marketing", "Marketing")],
        help="Marketing goes to nobody who opted out.",
    )
    schedule_at = fields.Datetime("Send at", help="Empty: at once.")
    res_model = fields.Char("Document Model")
    res_id = fields.Integer("Document ID")
    document_name = fields.Char("Document", compute="_compute_document_name")
    # Types that the account cannot send, each between commas; empty while nobody can tell.
    cannot = fields.Char(compute="_compute_hints")
    cannot_hint = fields.Char(compute="_compute_hints")
    window_hint = fields.Char(compute="_compute_hints")
    window_open = fields.Boolean(compute="_compute_hints")
    undo_hint = fields.Char(compute="_compute_hints")
    # Saved with the wizard, before the call: however often the button runs, it sends once.
    idempotency_key = fields.Char(
        required=True, readonly=True, copy=False, default=lambda self: uuid.uuid4().hex
    )

    @api.onchange("configuration_id")
    def _onchange_configuration_id(self):
        for name in ("contact_id", "group_id"):
            if self[name] and self[name].configuration_id != self.configuration_id:
                self[name] = False

    @api.depends("res_model", "res_id")
    def _compute_document_name(self):
        for wizard in self:
            document = wizard._document()
            wizard.document_name = document.display_name if document else False

    @api.depends(
        "configuration_id", "message_type", "recipient_type", "number", "contact_id", "partner_id"
    )
    def _compute_hints(self):
        types = dict(self._fields["message_type"]._description_selection(self.env))
        for wizard in self:
            account = wizard.configuration_id
            cannot = [kind for kind in types if account and not account._can("send_%s" % kind)]
            wizard.cannot = ",%s," % ",".join(cannot) if cannot else False
            wizard.cannot_hint = (
                _("%(account)s cannot send: %(types)s.")
                % {
                    "account": account.name,
                    "types": ", ".join(types[kind] for kind in cannot),
                }
                if cannot
                else False
            )
            wizard.window_open, wizard.window_hint = wizard._window()
            seconds = account.undo_s
            wizard.undo_hint = (
                _("It leaves after %s seconds: until then you can cancel it on the message.")
                % seconds
                if seconds
                else False
            )

    def _chat(self):
        """The chat with the chosen recipient, if there is one already."""
        self.ensure_one()
        chats = self.env["whatsapp.chat"]
        domain = [("configuration_id", "=", self.configuration_id.id)]
        if self.recipient_type == "group":
            wanted = [("group_id", "=", self.group_id.id)] if self.group_id else None
        elif self.recipient_type == "contact":
            wanted = [("contact_id", "=", self.contact_id.id)] if self.contact_id else None
        else:
            partner = self.recipient_type == "partner"
            to = self.partner_id if partner else (self.number or "")
            service = self.env["whatsapp.core.service"]
            recipient = service._recipient(to, self.env.user) if to else ""
            names = service._chat_names(recipient, self.env.user) if recipient else []
            wanted = [("chat_id", "in", names)] if names else None
        if not wanted:
            return chats
        return chats.search(domain + wanted, order="last_message_at desc, id desc", limit=1)

    def _window(self):
        """(whether free messages may go now, what to say about it) for Meta's 24 hours."""
        self.ensure_one()
        known = self.configuration_id and bridge_client.capabilities(
            self.env, self.configuration_id
        )
        limits = known["limits"] if known else {}
        asked = limits.get("service_window", self.configuration_id.provider == "meta")
        somebody = self.number or self.contact_id or self.partner_id or self.group_id
        if not asked or not somebody or self.recipient_type == "group":
            return True, False
        last = self._chat().last_inbound_at
        left = last and last + WINDOW - fields.Datetime.now()
        if left and left > timedelta(0):
            minutes = int(left.total_seconds() // 60)
            return True, _(
                "The customer wrote within the last 24 hours: free messages are possible for "
                "another %(hours)s h %(minutes)s min."
            ) % {"hours": minutes // 60, "minutes": minutes % 60}
        if self.message_type == "template":
            return True, _("The customer has not written for 24 hours: a template is right.")
        if self.configuration_id.window_policy == "wait":
            return False, _(
                "The customer has not written for 24 hours: only a template is delivered now. "
                "Anything else waits until the customer writes."
            )
        return False, _(
            "The customer has not written for 24 hours: only a template is delivered. "
            "Choose Template."
        )

    def _document(self):
        """The document it is sent from, as far as the user may see it; else an empty recordset."""
        self.ensure_one()
        if not self.res_model or not self.res_id or self.res_model not in self.env:
            return None
        if not self.env["ir.model.access"].check(self.res_model, "read", False):
            return None
        model = self.env[self.res_model].with_context(active_test=False)
        return model.search([("id", "=", self.res_id)]) or None

    @api.model
    def _action_open(self, context):
        xml_id = "whatsapp_integration.whatsapp_send_message_wizard_action"
        action = self.env["ir.actions.act_window"]._for_xml_id(xml_id)
        action["context"] = context
        return action

    @api.model
    def _action_for(self, document, report=None):
        """The wizard on a document of any model: its partner, and its report when one is given."""
        service = self.env["whatsapp.core.service"]
        context = {"default_res_model": document._name, "default_res_id": document.id}
        person = service._person(document)
        if person._name == "res.partner" and person:
            context.update(default_recipient_type="partner", default_partner_id=person.id)
        if report:
            context.update(default_message_type="document", default_report_id=report.id)
        return self._action_open(context)

    @api.model
    def _action_for_all(self, documents, report=None):
        """As `_action_for`; several documents open the wizard that writes to many people."""
        if len(documents) == 1:
            return self._action_for(documents, report)
        service = self.env["whatsapp.core.service"]
        people = self.env["res.partner"]
        for document in documents:
            people |= service._person(document)
        if not people:
            raise UserError(_("No partner is known of these records: choose others."))
        if report:
            raise UserError(_("Choose one record: its report goes to one person."))
        xml_id = "whatsapp_integration.whatsapp_bulk_send_partner_action"
        action = self.env["ir.actions.act_window"]._for_xml_id(xml_id)
        action["context"] = {"active_model": "res.partner", "active_ids": people.ids}
        return action

    def action_send(self):
        self.ensure_one()
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        self._check_seen()
        params = self._params()
        answer = bridge_client.ask(self.env, "message.send", params, wait_ms=WAIT_MS)
        # By the id of the answer: this transaction may be too old to see the row.
        return {
            "type": "ir.actions.act_window",
            "name": _("Message"),
            "res_model": "whatsapp.message",
            "res_id": answer["data"]["id"],
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "current",
        }

    def _to(self):
        return {
            "number": self.number and self.number.strip(),
            "contact": self.contact_id and {"contact_id": self.contact_id.id},
            "partner": self.partner_id and {"partner_id": self.partner_id.id},
            "group": self.group_id and {"group_id": self.group_id.id},
        }[self.recipient_type]

    def _params(self):
        to = self._to()
        if not to:
            raise UserError(_("Choose to whom the message goes."))
        if self.cannot and ",%s," % self.message_type in self.cannot:
            raise UserError(self.cannot_hint)
        params = {
            "configuration_id": self.configuration_id.id,
            "to": to,
            "idempotency_key": self.idempotency_key,
        }
        if self.reply_to_id:
            params["reply_to"] = self.reply_to_id.id
        if self.category:
            params["category"] = self.category
        if self.schedule_at:
            params["schedule_at"] = self.env["whatsapp.core.service"]._rfc3339(self.schedule_at)
        if self.res_model and self.res_id:
            document = self.env["whatsapp.core.service"]._readable_document(
                self.res_model, self.res_id, self.env.user
            )
            params.update(res_model=document._name, res_id=document.id)
        # Last: it may hand a file to the daemon.
        params.update(self._content())
        return params
