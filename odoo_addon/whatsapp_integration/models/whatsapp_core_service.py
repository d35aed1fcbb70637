import logging
import re
import uuid

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from ..series import check_access
from ..words import CODES, sentence
from .whatsapp_configuration import GROUP_ADMIN, GROUP_USER
from .whatsapp_partner_number import e164

_logger = logging.getLogger(__name__)

SYSTEM_UID = 1
CATEGORIES = ("utility", "marketing")
# What `to` may name by row id, as in message.send.
RECORDS = {
    "contact_id": "whatsapp.contact",
    "partner_id": "res.partner",
    "group_id": "whatsapp.group",
}
# A number as people write it; the daemon knows the countries.
TYPED_NUMBER = re.compile(r"(?=.*[0-9])[0-9 +().\u00a0/-]+")


class Refused(Exception):
    """A send that is refused at call time."""

    def __init__(self, kind, message=None, configuration=None):
        super().__init__(kind)
        self.kind = kind
        self.message = message
        self.configuration = configuration


class WhatsappCoreService(models.AbstractModel):
    _name = "whatsapp.core.service"
    _description = "WhatsApp for server actions and other addons"

    @api.model
    def send_text_message(self, to, message, user_id=None, **kwargs):
        """Queues a text in the caller's own transaction: rolled back, it is never sent.

        :param to: a number as people write it, a WhatsApp chat id, a record of res.partner,
            whatsapp.contact or whatsapp.group, or {"partner_id": id}, {"contact_id": id},
            {"group_id": id}
        :param user_id: the user it is sent for; another than the caller only in superuser mode
        :param kwargs: configuration_id, res_model, res_id, reply_to, idempotency_key, schedule_at,
            category, raise_on_error
        :return: {"success": True, "data": {"id", "message_id", "status", "timestamp"}, "meta"} or
            {"success": False, "error": {"code", "message", "details"}, "meta"}. A refusal also
            leaves a failed message row, unless no account could be determined.
        """
        raise_on_error = kwargs.pop("raise_on_error", False)
        request_id = uuid.uuid4().hex
        row = self.env["whatsapp.message"]
        user = self.env.user
        try:
            user = self._effective_user(user_id)
            self._check_kwargs(kwargs)
            recipient = self._recipient(to, user)
            configuration = self._configuration(user, kwargs.get("configuration_id"), recipient)
            try:
                request = self._text_request(recipient, message, user, configuration, kwargs)
            except Refused as refusal:
                refusal.configuration = configuration
                raise
            row = self._queue(request, message, user, configuration, recipient, kwargs, request_id)
        except Refused as refusal:
            if raise_on_error:
                raise UserError(refusal.message or sentence(self.env, refusal.kind))
            if refusal.configuration:
                row = self._failed_row(refusal, to, message, user, kwargs, request_id)
            return self._refusal(refusal, row, request_id)
        return {
            "success": True,
            "data": {
                "id": row.id,
                "message_id": row.message_id or None,
                "status": row.status,
                "timestamp": self._rfc3339(row.timestamp),
            },
            "meta": {"provider": row.provider, "response_time": 0, "request_id": request_id},
        }

    @api.model
    def _effective_user(self, user_id=None):
        """The user it is done for: known, active and in the group, else refused."""
        if not user_id or user_id == self.env.uid:
            user = self.env.user
        elif self.env.su:
            user = self.env["res.users"].browse(user_id).exists()
        else:
            raise Refused("access_denied", _("You may not send in the name of somebody else."))
        if not user:
            raise Refused("access_denied")
        if user.id != SYSTEM_UID and not (user.sudo().active and user.has_group(GROUP_USER)):
            raise Refused("access_denied", _("You are not in the WhatsApp user group."))
        return user

    @api.model
    def _check_kwargs(self, kwargs):
        known = {
            "configuration_id",
            "res_model",
            "res_id",
            "reply_to",
            "idempotency_key",
            "schedule_at",
            "category",
        }
        unknown = sorted(set(kwargs) - known)
        if unknown:
            raise TypeError("unexpected arguments: %s" % ", ".join(unknown))

    @api.model
    def _recipient(self, to, user):
        """One string for the daemon to resolve; records are replaced by their number or chat id."""
        if isinstance(to, dict):
            to = self._named_record(to, user)
        if isinstance(to, models.BaseModel):
            if len(to) != 1:
                return ""
            if to._name == "whatsapp.contact":
                return to.contact_id or to.phone or ""
            if to._name == "whatsapp.group":
                return to.group_id or ""
            if to._name == "res.partner":
                names = self.env["whatsapp.partner.number"]._phone_fields()
                typed = [to[name] for name in reversed(names) if to[name]]
                country = to.country_id.code or user.company_id.country_id.code
                numbers = [number for number in (e164(text, country) for text in typed) if number]
                return (numbers or typed or [""])[0]
            return ""
        return to.strip() if isinstance(to, str) else ""

    @api.model
    def _named_record(self, to, user):
        """The record that `to` names by its id, if the user may see it."""
        (name, record_id) = next(iter(to.items())) if len(to) == 1 else (None, None)
        if name not in RECORDS or type(record_id) is not int:
            return None
        record = self.env[RECORDS[name]].with_user(user).browse(record_id).exists()
        try:
            check_access(record, "read")
        except AccessError:
            return None
        return record

    @api.model
    def _configuration(self, user, configuration_id, recipient):
        accounts = self.env["whatsapp.configuration"].with_context(active_test=True)
        if configuration_id:
            configuration = accounts.sudo().browse(configuration_id).exists()
            if not configuration:
                admin = user.id == SYSTEM_UID or user.has_group(GROUP_ADMIN)
                raise Refused("configuration_not_found" if admin else "access_denied")
            all_accounts = accounts.with_context(active_test=False)
            if not all_accounts._usable_by(user, [("id", "=", configuration.id)]):
                raise Refused("access_denied")
            if not configuration.active:
                raise Refused("configuration_inactive", configuration=configuration)
            return configuration
        usable = accounts._usable_by(user)
        chat = self.env["whatsapp.chat"]
        names = self._chat_names(recipient, user)
        if names and usable:
            chat = chat.sudo().search(
                [("configuration_id", "in", usable.ids), ("chat_id", "in", names)],
                order="last_message_at desc, id desc",
                limit=1,
            )
        configuration = chat.configuration_id or accounts._first_usable(user)
        if not configuration:
            raise Refused("no_configuration_for_user")
        return configuration

    @api.model
    def _chat_names(self, recipient, user):
        """The ids a chat with this recipient may have at the providers."""
        if "@" in recipient:
            return [recipient]
        number = e164(recipient, user.company_id.country_id.code) or e164("+" + recipient)
        if not number:
            return [recipient] if recipient else []
        digits = number[1:]
        return [digits, digits + "@s.whatsapp.net", digits + "@c.us"]

    @api.model
    def _text_request(self, recipient, text, user, configuration, kwargs):
        """The parameters of message.send beside account and recipient, checked."""
        if not recipient:
            raise Refused("invalid_recipient", _("There is no recipient."))
        if "@" not in recipient and not TYPED_NUMBER.fullmatch(recipient):
            raise Refused("invalid_recipient")
        if not isinstance(text, str) or not text.strip():
            raise Refused("invalid_content", _("The message is empty."))
        request = {"type": "text", "text": {"body": text}}
        if kwargs.get("category"):
            if kwargs["category"] not in CATEGORIES:
                raise Refused("invalid_content", _("The category is utility or marketing."))
            request["category"] = kwargs["category"]
        if kwargs.get("reply_to"):
            quoted = self.env["whatsapp.message"].sudo().browse(kwargs["reply_to"]).exists()
            if quoted.configuration_id != configuration:
                raise Refused("record_not_found", _("The message to reply to does not exist."))
            request["reply_to"] = quoted.id
        if kwargs.get("res_model") or kwargs.get("res_id"):
            document = self._check_document(kwargs.get("res_model"), kwargs.get("res_id"), user)
            request.update(res_model=document._name, res_id=document.id)
        return request

    @api.model
    def _check_document(self, res_model, res_id, user):
        """The document, if it is there and the user may read it: answers are posted on it."""
        refused = Refused("record_not_found", _("The document does not exist."))
        if res_model not in self.env or not isinstance(res_id, int):
            raise refused
        document = self.env[res_model].with_user(user).browse(res_id)
        if not document.exists():
            raise refused
        try:
            check_access(document, "read")
        except AccessError:
            raise refused
        return document

    @api.model
    def _readable_document(self, res_model, res_id, user):
        """As `_check_document`, for screens: a UserError instead of a refusal."""
        try:
            return self._check_document(res_model, res_id, user)
        except Refused as refusal:
            raise UserError(refusal.message) from None

    @api.model
    def _schedule(self, schedule_at):
        if not schedule_at:
            return None
        if isinstance(schedule_at, str) and schedule_at.endswith("Z"):
            schedule_at = schedule_at[:-1].replace("T", " ")
        return fields.Datetime.to_datetime(schedule_at)

    @api.model
    def _message_values(self, text, user, configuration, kwargs, request_id):
        now = fields.Datetime.now()
        values = {
            "configuration_id": configuration.id,
            "provider": configuration.provider,
            "direction": "outbound",
            "from_me": True,
            "origin": "odoo",
            "message_type": "text",
            "content": text if isinstance(text, str) and text else False,
            "timestamp": now,
            "queued_at": now,
            "user_id": user.id if user.id != SYSTEM_UID else False,
            "request_id": request_id,
        }
        if kwargs.get("category") in CATEGORIES:
            values["category"] = kwargs["category"]
        return values

    @api.model
    def _queue(self, request, text, user, configuration, recipient, kwargs, request_id):
        try:
            schedule_at = self._schedule(kwargs.get("schedule_at"))
        except ValueError:
            raise Refused(
                "invalid_content", _("The time to send at cannot be read."), configuration
            )
        values = self._message_values(text, user, configuration, kwargs, request_id)
        values["status"] = "queued"
        for name, column in (
            ("reply_to", "reply_to_id"),
            ("res_model", "res_model"),
            ("res_id", "res_id"),
        ):
            if name in request:
                values[column] = request[name]
        row = self.env["whatsapp.message"].sudo().create(values)
        key = kwargs.get("idempotency_key")
        self.env["whatsapp.outbox.in"]._push(row, recipient, request, schedule_at, key)
        return row

    @api.model
    def _failed_row(self, refusal, to, text, user, kwargs, request_id):
        """Server actions ignore return values: the refusal is also a row people can see."""
        values = self._message_values(text, user, refusal.configuration, kwargs, request_id)
        recipient = self._recipient(to, user) or str(to or "")
        details = [refusal.message, recipient and _("Recipient: %s") % recipient]
        values.update(
            status="failed",
            failed_at=values["timestamp"],
            error_code=refusal.kind,
            error_message=" ".join(part for part in details if part) or False,
        )
        return self.env["whatsapp.message"].sudo().create(values)

    @api.model
    def _refusal(self, refusal, row, request_id):
        _logger.warning(
            "send refused: error.kind=%s user.id=%s message.id=%s request.id=%s",
            refusal.kind,
            self.env.uid,
            row.id or None,
            request_id,
        )
        details = {"kind": refusal.kind, "retryable": False}
        if row:
            details["id"] = row.id
        return {
            "success": False,
            "error": {
                "code": CODES[refusal.kind],
                "message": refusal.message or sentence(self.env, refusal.kind),
                "details": details,
            },
            "meta": {
                "provider": refusal.configuration.provider if refusal.configuration else None,
                "request_id": request_id,
            },
        }

    @api.model
    def _rfc3339(self, value):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ") if value else None
