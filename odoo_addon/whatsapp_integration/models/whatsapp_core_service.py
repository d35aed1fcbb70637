import base64
import binascii
import logging
import mimetypes
import os
import re
import uuid

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools.mimetypes import guess_mimetype

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
SENT_TYPES = (
    "text",
    "image",
    "video",
    "audio",
    "voice",
    "document",
    "gif",
    "sticker",
    "location",
    "contact",
    "poll",
    "interactive",
    "template",
)
MEDIA_TYPES = ("image", "video", "audio", "voice", "document", "gif", "sticker")
# Of these WhatsApp shows no caption.
WITHOUT_CAPTION = ("audio", "voice", "sticker")
# The largest file of any kind; the daemon knows the smaller limits and makes pictures fit.
MEDIA_MAX_BYTES = 100 * 1024 * 1024
BASE64 = re.compile(rb"[A-Za-z0-9+/\s]+={0,2}\s*")
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
        body = message if isinstance(message, str) else ""
        content = {"type": "text", "text": {"body": body}}
        return self._send(to, content, user_id, kwargs)

    @api.model
    def send_media_message(
        self,
        to,
        media_data,
        filename,
        media_type="image",
        caption="",
        user_id=None,
        **kwargs,
    ):
        """Queues a file in the caller's own transaction: rolled back, it is never sent.

        :param media_data: the bytes, or base64 as in `ir.attachment.datas`. Bytes that read as
            base64 are taken for it; a bytearray is always taken as it is.
        :param media_type: image, video, audio, voice, document, gif or sticker
        Everything else as in `send_text_message`.
        """
        content = {"type": media_type, "media": {}}
        upload = {"data": media_data, "filename": filename, "caption": caption}
        return self._send(to, content, user_id, kwargs, upload)

    @api.model
    def _send(self, to, content, user_id, kwargs, upload=None):
        """Queues any content: `type` and its part as in message.send, and its file."""
        kwargs = dict(kwargs)
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
                self._check_content(content, upload)
                request = self._request(recipient, content, user, configuration, kwargs)
                schedule_at = self._schedule(kwargs.get("schedule_at"))
            except Refused as refusal:
                refusal.configuration = configuration
                raise
            values = self._message_values(content, user, configuration, kwargs, request_id)
            row = self._queue(values, request, recipient, schedule_at, kwargs, upload)
        except Refused as refusal:
            if raise_on_error:
                raise UserError(refusal.message or sentence(self.env, refusal.kind))
            if refusal.configuration:
                row = self._failed_row(refusal, to, content, user, kwargs, request_id)
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
    def _check_content(self, content, upload):
        """What can be told without the provider; completes `content` and `upload`."""
        if content["type"] == "text" and not content["text"]["body"].strip():
            raise Refused("invalid_content", _("The message is empty."))
        if upload is None:
            return
        if content["type"] not in MEDIA_TYPES + ("template",):
            raise Refused(
                "invalid_content", _("The type of a file is one of %s.") % ", ".join(MEDIA_TYPES)
            )
        data = self._bytes(upload["data"])
        if not data:
            raise Refused("invalid_content", _("The file is empty."))
        if len(data) > MEDIA_MAX_BYTES:
            raise Refused(
                "media_too_large",
                _("The file has %(size)s MiB, WhatsApp takes at most %(limit)s.")
                % {
                    "size": -(-len(data) // 1024**2),
                    "limit": MEDIA_MAX_BYTES // 1024**2,
                },
            )
        caption = upload["caption"] or ""
        if caption and content["type"] in WITHOUT_CAPTION:
            raise Refused(
                "invalid_content",
                _("Recordings and stickers have no caption: send a text after it."),
            )
        filename = self._bare_name(upload["filename"])
        mimetype = mimetypes.guess_type(filename or "")[0] or guess_mimetype(data)
        upload.update(data=data, filename=filename, mimetype=mimetype)
        names = {"filename": filename, "mimetype": mimetype, "caption": caption}
        content["media"] = {name: value for name, value in names.items() if value}

    @api.model
    def _content_problem(self, content, upload):
        """As `_check_content`, for callers outside: (kind, sentence) of what is wrong, or None."""
        try:
            self._check_content(content, upload)
        except Refused as refusal:
            return refusal.kind, refusal.message
        return None

    @api.model
    def _bytes(self, data):
        """The bytes of a file that came as bytes or as base64; empty: cannot be read."""
        if isinstance(data, (bytearray, memoryview)):
            return bytes(data)
        if isinstance(data, bytes) and not BASE64.fullmatch(data):
            return data
        if not isinstance(data, (bytes, str)):
            return b""
        encoded = data if isinstance(data, bytes) else data.encode("ascii", "replace")
        try:
            return base64.b64decode(b"".join(encoded.split()), validate=True)
        except binascii.Error:
            return data if isinstance(data, bytes) else b""

    @api.model
    def _bare_name(self, filename):
        """A name without folders and control characters, as every phone can store it."""
        name = os.path.basename(str(filename or "").replace("\\", "/"))
        return "".join(char for char in name if char.isprintable()).strip()[-240:]

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
    def _person(self, document):
        """The partner that a document of any model is about: its own, or that of its contact."""
        partners = self.env["res.partner"]
        if document._name == "res.partner":
            return document
        for name in ("partner_id", "partner_shipping_id", "user_partner_id", "contact_id"):
            field = document._fields.get(name)
            if field and field.type == "many2one" and field.comodel_name == "res.partner":
                if document[name]:
                    return document[name]
        return partners

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
    def _request(self, recipient, content, user, configuration, kwargs):
        """The parameters of message.send beside account and recipient, checked."""
        if not recipient:
            raise Refused("invalid_recipient", _("There is no recipient."))
        if "@" not in recipient and not TYPED_NUMBER.fullmatch(recipient):
            raise Refused("invalid_recipient")
        request = dict(content)
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
        try:
            return fields.Datetime.to_datetime(schedule_at)
        except (TypeError, ValueError):
            raise Refused("invalid_content", _("The time to send at cannot be read.")) from None

    @api.model
    def _message_values(self, content, user, configuration, kwargs, request_id):
        """The row of a message; the daemon fills in what it finds out."""
        now = fields.Datetime.now()
        kind = content["type"]
        values = {
            "configuration_id": configuration.id,
            "provider": configuration.provider,
            "direction": "outbound",
            "from_me": True,
            "origin": "odoo",
            "message_type": kind if kind in SENT_TYPES else "unknown",
            "content": self._shown_content(content),
            "caption": (content.get("media") or {}).get("caption") or False,
            "timestamp": now,
            "queued_at": now,
            "user_id": user.id if user.id != SYSTEM_UID else False,
            "request_id": request_id,
        }
        if kwargs.get("category") in CATEGORIES:
            values["category"] = kwargs["category"]
        return values

    @api.model
    def _shown_content(self, content):
        """What stands in the message's text, as the daemon writes it."""
        kind = content["type"]
        part = content.get(kind) or {}
        names = {"text": "body", "contact": "name", "poll": "title", "interactive": "body"}
        names.update(template="name", location="name")
        return part.get(names[kind]) or False if kind in names else False

    @api.model
    def _queue(self, values, request, recipient, schedule_at, kwargs, upload=None):
        values = dict(values, status="queued")
        for name, column in (
            ("reply_to", "reply_to_id"),
            ("res_model", "res_model"),
            ("res_id", "res_id"),
        ):
            if name in request:
                values[column] = request[name]
        row = self.env["whatsapp.message"].sudo().create(values)
        if upload:
            handed = self.env["whatsapp.media.upload"]._hand_over(row, upload)
            request = dict(request, media=dict(request["media"], upload=handed.id))
        key = kwargs.get("idempotency_key")
        self.env["whatsapp.outbox.in"]._push(row, recipient, request, schedule_at, key)
        _logger.info(
            "queued, to be sent when this transaction is committed: message.id=%s user.id=%s"
            " request.id=%s",
            row.id,
            values["user_id"] or SYSTEM_UID,
            values["request_id"],
        )
        return row

    @api.model
    def _failed_row(self, refusal, to, content, user, kwargs, request_id):
        """Server actions ignore return values: the refusal is also a row people can see."""
        values = self._message_values(content, user, refusal.configuration, kwargs, request_id)
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
            "refused: error.kind=%s user.id=%s message.id=%s request.id=%s",
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
