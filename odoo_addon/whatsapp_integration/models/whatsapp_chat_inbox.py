"""What the Inbox screen reads and does: few set-based queries, under the rules of the user who looks."""

import json
import logging

from odoo import _, api, fields, models
from odoo.exceptions import AccessError

from .. import bridge_client
from ..words import failure_sentence
from .whatsapp_configuration import GROUP_USER

_logger = logging.getLogger(__name__)

CHATS = 30
CHATS_MAX = 200
MESSAGES = 40
MESSAGES_MAX = 200
LOADED_MAX = 1000
PREVIEW = 120
WINDOW_HOURS = 24
CHAT_FIELDS = (
    "configuration_id",
    "chat_id",
    "name",
    "contact_id",
    "group_id",
    "last_message_id",
    "last_message_at",
    "last_inbound_at",
    "unread_count",
)
CONTACT_FIELDS = ("name", "pushname", "phone", "contact_id", "picture", "partner_id", "is_blocked")
GROUP_FIELDS = ("name", "group_id", "picture", "is_active", "only_admins_send")
MESSAGE_FIELDS = (
    "message_type",
    "content",
    "caption",
    "status",
    "direction",
    "timestamp",
    "contact_id",
    "media_id",
    "reply_to_id",
    "error_code",
    "error_message",
    "edited_at",
    "forwarded",
    "user_id",
    "origin",
    "location",
    "extra",
)
MEDIA_FIELDS = ("filename", "mimetype", "size", "width", "height", "duration", "state", "reason")
# Types whose further data the screen shows; of the others nothing but text leaves the server.
TYPES_WITH_EXTRA = ("contact", "poll", "interactive", "order", "location", "template", "system")


def _text(moment):
    return fields.Datetime.to_string(moment) if moment else False


def _short(text):
    text = " ".join((text or "").split())
    return text if len(text) <= PREVIEW else text[: PREVIEW - 1] + "…"


class WhatsappChat(models.Model):
    _inherit = "whatsapp.chat"

    # ---- reading

    @api.model
    def inbox_chats(self, filters=None, limit=CHATS, before=None):
        """Chats by last activity, newest first.

        :param filters: {search, unread, groups, configuration_id, partner_id, id}, all optional
        :param before: the `next` of the answer before, for the chats after those
        :return: {"chats": [...], "next": {"at", "id"} or False}
        """
        limit = max(1, min(int(limit), CHATS_MAX))
        domain = self._inbox_domain(filters or {})
        found = self.browse()
        if not before or before.get("at"):
            found = self.search(
                domain + self._inbox_before("last_message_at", before),
                order="last_message_at desc, id desc",
                limit=limit + 1,
            )
        if len(found) <= limit:
            # Chats nobody wrote in yet come last.
            silent = before if before and not before.get("at") else None
            found += self.search(
                domain
                + [("last_message_at", "=", False)]
                + ([("id", "<", int(silent["id"]))] if silent else []),
                order="id desc",
                limit=limit + 1 - len(found),
            )
        more, found = len(found) > limit, found[:limit]
        chats = self._inbox_chat_values(found)
        last = chats[-1] if chats else None
        return {
            "chats": chats,
            "next": {"at": last["at"], "id": last["id"]} if more else False,
        }

    @api.model
    def inbox_messages(self, chat_id, before_id=None, limit=MESSAGES, ids=None):
        """The newest messages of a chat, or those before one, oldest first.

        :param ids: messages to be read as well, wherever they stand: the screen has them already
        :return: {"chat", "messages", "page": ids without those asked for, "more": whether there are
            older ones}
        """
        limit = max(1, min(int(limit), MESSAGES_MAX))
        chat = self.search([("id", "=", int(chat_id))])
        if not chat:
            return {"chat": False, "messages": [], "page": [], "more": False}
        messages = self.env["whatsapp.message"]
        domain = [
            ("configuration_id", "=", chat.configuration_id.id),
            ("chat_id", "=", chat.chat_id),
            # Reactions hang on the message they aim at.
            "|",
            ("message_type", "!=", "reaction"),
            ("reply_to_id", "=", False),
        ]
        before = None
        if before_id:
            mark = messages.search(
                [("id", "=", int(before_id)), ("chat_id", "=", chat.chat_id)], limit=1
            )
            before = {"at": _text(mark.timestamp), "id": int(before_id)}
        found = messages.search(
            domain + self._inbox_before("timestamp", before),
            order="timestamp desc, id desc",
            limit=limit + 1,
        )
        more, found = len(found) > limit, found[:limit]
        page = found.ids
        others = {int(i) for i in (ids or [])[:LOADED_MAX]} - set(found.ids)
        if others:
            found += messages.search(domain + [("id", "in", list(others))])
        return {
            "chat": self._inbox_chat_values(chat)[0],
            "messages": self._inbox_message_values(found),
            "page": page,
            "more": more,
        }

    @api.model
    def inbox_refresh(self, filters=None, limit=CHATS, chat_id=None, ids=None):
        """Both halves of the screen in one request, for re-reading; `messages` only with a chat."""
        answer = self.inbox_chats(filters, limit)
        answer["thread"] = self.inbox_messages(chat_id, ids=ids) if chat_id else False
        return answer

    @api.model
    def inbox_start(self, filters=None):
        """What the screen needs once: accounts to choose from, and the first chats."""
        accounts = self.env["whatsapp.configuration"].search([])
        answer = self.inbox_chats(filters)
        answer["accounts"] = [{"id": account.id, "name": account.name} for account in accounts]
        partner_id = (filters or {}).get("partner_id")
        if partner_id:
            partner = self.env["res.partner"].search([("id", "=", int(partner_id))])
            answer["partner"] = {"id": partner.id, "name": partner.display_name or ""}
        return answer

    @api.model
    def inbox_revisions(self, message_id):
        """Former texts of an edited message, oldest first."""
        revisions = self.env["whatsapp.message.revision"].search(
            [("message_id", "=", int(message_id))], order="edited_at, id"
        )
        return [
            {"id": row.id, "text": row.content or row.caption or "", "at": _text(row.edited_at)}
            for row in revisions
        ]

    def _inbox_domain(self, filters):
        domain = []
        if filters.get("id"):
            domain.append(("id", "=", int(filters["id"])))
        if filters.get("configuration_id"):
            domain.append(("configuration_id", "=", int(filters["configuration_id"])))
        if filters.get("partner_id"):
            partner_id = int(filters["partner_id"])
            domain += self._inbox_partner_domain(self.env["res.partner"].browse(partner_id))
        if filters.get("unread"):
            domain.append(("unread_count", ">", 0))
        if filters.get("groups"):
            domain.append(("group_id", "!=", False))
        search = (filters.get("search") or "").strip()
        if search:
            digits = "".join(char for char in search if char.isdigit())
            number = digits and not any(char.isalpha() for char in search)
            for wild in ("\\", "%", "_"):
                search = search.replace(wild, "\\" + wild)
            words = [
                ("name", "ilike", search),
                ("contact_id.name", "ilike", search),
                ("contact_id.pushname", "ilike", search),
                ("contact_id.partner_id.name", "ilike", search),
                ("group_id.name", "ilike", search),
            ]
            # A number as people write it, with spaces, brackets or a leading zero.
            if number:
                digits = digits.lstrip("0") or digits
                words += [("contact_id.phone", "ilike", digits), ("chat_id", "ilike", digits)]
            domain += ["|"] * (len(words) - 1) + words
        return domain

    @api.model
    def _inbox_partner_domain(self, partner):
        return [("contact_id.partner_id", "child_of", partner.id)]

    @api.model
    def _inbox_before(self, column, before):
        """Domain of the rows after a row in the order `column desc, id desc`."""
        if not before:
            return [(column, "!=", False)] if column == "last_message_at" else []
        if not before.get("at"):
            # PostgreSQL puts rows without a time first
            return ["|", (column, "!=", False), ("id", "<", int(before["id"]))]
        return [
            (column, "<=", before["at"]),  # alone it makes an index range
            "|",
            (column, "<", before["at"]),
            ("id", "<", int(before["id"])),
        ]

    @api.model
    def _inbox_rows(self, model, ids, names):
        """{id: {field: value}} of those the user may see; many2one fields as bare ids."""
        ids = [i for i in set(ids) if i]
        if not ids:
            return {}
        rows = self.env[model].search([("id", "in", ids)]).read(list(names), load=False)
        return {row["id"]: row for row in rows}

    def _inbox_chat_values(self, chats):
        rows = chats.read(list(CHAT_FIELDS), load=False)
        last = self._inbox_rows(
            "whatsapp.message", [row["last_message_id"] for row in rows], MESSAGE_FIELDS
        )
        people = [row["contact_id"] for row in rows] + [m["contact_id"] for m in last.values()]
        contacts = self._inbox_rows("whatsapp.contact", people, CONTACT_FIELDS)
        groups = self._inbox_rows("whatsapp.group", [row["group_id"] for row in rows], GROUP_FIELDS)
        partners = self._inbox_rows(
            "res.partner", [c["partner_id"] for c in contacts.values()], ("name",)
        )
        accounts = self._inbox_rows(
            "whatsapp.configuration",
            [row["configuration_id"] for row in rows],
            ("name", "active", "provider"),
        )
        return [
            self._inbox_chat(row, last, contacts, groups, partners, accounts) for row in rows
        ]

    def _inbox_chat(self, row, last, contacts, groups, partners, accounts):
        contact = contacts.get(row["contact_id"]) or {}
        group = groups.get(row["group_id"]) or {}
        account = accounts.get(row["configuration_id"]) or {}
        partner = partners.get(contact.get("partner_id")) or {}
        chat_id = row["chat_id"] or ""
        kind = "direct"
        if group or chat_id.endswith("@g.us"):
            kind = "group"
        elif chat_id.endswith(("@newsletter", "@broadcast")):
            kind = "channel"
        name = row["name"] or self._inbox_name(contact) or group.get("name") or chat_id
        message = last.get(row["last_message_id"])
        return {
            "id": row["id"],
            "configuration_id": row["configuration_id"],
            "account": account.get("name") or "",
            "chat_id": chat_id,
            "kind": kind,
            "name": name,
            "phone": contact.get("phone") or "",
            "picture": contact.get("picture") or group.get("picture") or "",
            "contact_id": row["contact_id"] or False,
            "group_id": row["group_id"] or False,
            "partner": {"id": partner["id"], "name": partner["name"]} if partner else False,
            "at": _text(row["last_message_at"]),
            "unread": row["unread_count"] or 0,
            "closed": self._inbox_closed(row, kind, contact, group, account),
            "last": message
            and {
                "id": message["id"],
                "type": message["message_type"] or "unknown",
                "text": _short(message["content"] or message["caption"]),
                "out": message["direction"] == "outbound",
                "status": message["status"] or False,
                "sender": self._inbox_name(contacts.get(message["contact_id"]) or {})
                if kind == "group"
                else "",
            },
        }

    @staticmethod
    def _inbox_name(contact):
        return contact.get("name") or contact.get("pushname") or contact.get("phone") or contact.get(
            "contact_id"
        )

    def _inbox_closed(self, row, kind, contact, group, account):
        """Why nothing can be written in this chat, as a sentence; False where it can."""
        if not account.get("active"):
            return _("This account is archived: nothing is sent with it.")
        if kind == "channel":
            return _("Only the owner of a channel writes in it.")
        if group and not group["is_active"]:
            return _("This account is no longer in the group.")
        if contact.get("is_blocked"):
            return _("You blocked this person on WhatsApp.")
        if account.get("provider") == "meta" and kind == "direct":
            inbound = row["last_inbound_at"]
            if (
                not inbound
                or (fields.Datetime.now() - inbound).total_seconds() > WINDOW_HOURS * 3600
            ):
                return _(
                    "This person has not written for 24 hours: WhatsApp takes only templates now."
                )
        return False

    def _inbox_message_values(self, messages):
        rows = messages.read(list(MESSAGE_FIELDS), load=False)
        rows.sort(key=lambda row: (row["timestamp"] or fields.Datetime.now(), row["id"]))
        quoted = self._inbox_rows(
            "whatsapp.message", [row["reply_to_id"] for row in rows], MESSAGE_FIELDS
        )
        reactions = []
        if rows:
            reactions = (
                self.env["whatsapp.message"]
                .search(
                    [
                        ("reply_to_id", "in", [row["id"] for row in rows]),
                        ("message_type", "=", "reaction"),
                    ]
                )
                .read(["reply_to_id", "content", "contact_id", "direction", "timestamp", "status"], load=False)
            )
        contacts = self._inbox_rows(
            "whatsapp.contact",
            [row["contact_id"] for row in rows + reactions + list(quoted.values())],
            CONTACT_FIELDS,
        )
        media = self._inbox_rows(
            "whatsapp.media",
            [row["media_id"] for row in rows + list(quoted.values())],
            MEDIA_FIELDS,
        )
        users = self._inbox_rows("res.users", [row["user_id"] for row in rows], ("name",))
        by_target = self._inbox_reactions(reactions, contacts)
        return [
            dict(
                self._inbox_message(row, contacts, media, users),
                quoted=self._inbox_message(quoted[row["reply_to_id"]], contacts, media, {})
                if row["reply_to_id"] in quoted
                else False,
                reactions=by_target.get(row["id"], []),
            )
            for row in rows
        ]

    def _inbox_message(self, row, contacts, media, users):
        kind = row["message_type"] or "unknown"
        file = media.get(row["media_id"])
        failed = row["status"] in ("failed", "uncertain", "cancelled")
        deleted = row["status"] == "deleted"
        return {
            "id": row["id"],
            "type": kind,
            "out": row["direction"] == "outbound",
            "status": row["status"] or False,
            "at": _text(row["timestamp"]),
            "text": "" if deleted else row["content"] or row["caption"] or "",
            "sender": self._inbox_name(contacts.get(row["contact_id"]) or {}) or "",
            "sender_id": row["contact_id"] or False,
            "user": (users.get(row["user_id"]) or {}).get("name") or "",
            "phone": row["origin"] == "phone",
            "forwarded": bool(row["forwarded"]),
            "edited": _text(row["edited_at"]),
            "failure": failure_sentence(self.env, row["error_code"], row["error_message"])
            if failed and (row["error_code"] or row["error_message"])
            else "",
            "media": False if deleted else file and self._inbox_media(file),
            "location": False if deleted else row["location"] or False,
            "extra": self._inbox_extra(row) if kind in TYPES_WITH_EXTRA and not deleted else False,
        }

    @api.model
    def _inbox_media(self, file):
        return {
            "id": file["id"],
            "name": file["filename"] or "",
            "mime": file["mimetype"] or "",
            "size": file["size"] or 0,
            "width": file["width"] or 0,
            "height": file["height"] or 0,
            "duration": file["duration"] or 0,
            "state": file["state"] or "waiting",
            "reason": file["reason"] or "",
        }

    @api.model
    def _inbox_extra(self, row):
        try:
            extra = json.loads(row["extra"] or "null")
        except ValueError:
            _logger.warning("message %s holds further data that are no JSON", row["id"])
            return False
        return extra if isinstance(extra, dict) else False

    def _inbox_reactions(self, reactions, contacts):
        """{message: [{emoji, count, names, mine}]}: of each person only the latest counts."""
        latest = {}
        reactions.sort(key=lambda row: (row["timestamp"] or fields.Datetime.now(), row["id"]))
        for row in reactions:
            mine = row["direction"] == "outbound"
            latest[row["reply_to_id"], "us" if mine else row["contact_id"]] = row
        chips = {}
        for (target, _who), row in latest.items():
            if not row["content"] or row["status"] == "deleted":
                continue  # taken back
            mine = row["direction"] == "outbound"
            name = _("You") if mine else self._inbox_name(contacts.get(row["contact_id"]) or {})
            chip = chips.setdefault(target, {}).setdefault(
                row["content"], {"emoji": row["content"], "names": [], "mine": False}
            )
            chip["names"].append(name or "")
            chip["mine"] |= mine
        return {
            target: [dict(chip, count=len(chip["names"])) for chip in by_emoji.values()]
            for target, by_emoji in chips.items()
        }

    # ---- doing: each of these is the sole effect of its request

    @api.model
    def inbox_send(self, chat_id, text, idempotency_key, reply_to=None):
        """Sends a text through the daemon; the same key sends once, however often it is asked.

        :return: {"success": True, "data": {"id", "message_id", "status", "timestamp"}} or
            {"success": False, "error": {"code", "kind", "message"}}
        """
        chat = self._inbox_usable(chat_id)
        to = chat.chat_id
        if chat.group_id:
            to = {"group_id": chat.group_id.id}
        elif chat.contact_id:
            to = {"contact_id": chat.contact_id.id}
        params = {
            "configuration_id": chat.configuration_id.id,
            "to": to,
            "type": "text",
            "text": {"body": text},
            "idempotency_key": idempotency_key,
        }
        if reply_to:
            params["reply_to"] = int(reply_to)
        return self._inbox_call("message.send", params)

    @api.model
    def inbox_mark_read(self, chat_id, up_to):
        """Says that the user has seen the chat up to a message; the daemon tells the provider.

        :return: {"success": True, "data": {"unread_count"}}, or as `inbox_send`
        """
        chat = self._inbox_usable(chat_id)
        answer = self._inbox_call(
            "message.mark_read",
            {
                "configuration_id": chat.configuration_id.id,
                "chat_id": chat.chat_id,
                "up_to": int(up_to),
            },
        )
        if answer["success"]:
            answer["data"] = {"unread_count": answer["data"]["chats"][0]["unread_count"]}
        return answer

    def _inbox_usable(self, chat_id):
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        chat = self.search([("id", "=", int(chat_id))])
        if not chat:
            raise AccessError(_("This chat does not exist, or you may not see it."))
        return chat

    def _inbox_call(self, method, params):
        try:
            result = bridge_client.call(self.env, method, params)
        except bridge_client.BridgeError as error:
            return {
                "success": False,
                "error": {"code": error.code, "kind": error.kind, "message": error.text},
            }
        return {"success": True, "data": result["data"]}

    # ---- opening

    @api.model
    def _action_inbox(self, **params):
        xml_id = "whatsapp_integration.whatsapp_inbox_action"
        action = self.env["ir.actions.client"]._for_xml_id(xml_id)
        action["params"] = params
        return action

    def action_inbox(self):
        """Opens the Inbox on this chat."""
        self.ensure_one()
        self._check_seen()
        return self._action_inbox(chat_id=self.id)
