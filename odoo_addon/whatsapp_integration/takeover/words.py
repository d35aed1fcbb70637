"""Values of the older addon in the words of this one. Plain functions: no database, no Odoo."""

import ast
import json
import re
from datetime import datetime, timedelta, timezone

PROVIDERS = ("whapi", "wassenger", "meta", "custom")
# What stands behind the @ of a person's chat.
DIRECT = {"whapi": "s.whatsapp.net", "wassenger": "c.us"}
PERSON_DOMAINS = ("c.us", "s.whatsapp.net")
TYPES = {
    "text": ("text", "chat", "link_preview", "conversation", "extendedtext"),
    "image": ("image", "photo"),
    "video": ("video",),
    "audio": ("audio",),
    "voice": ("voice", "ptt"),
    "document": ("document", "file"),
    "gif": ("gif",),
    "sticker": ("sticker",),
    "location": ("location", "live_location"),
    "contact": ("contact", "contacts", "contact_list", "vcard", "multi_vcard"),
    "poll": ("poll", "poll_creation"),
    "reaction": ("reaction",),
    "template": ("template", "hsm"),
    "interactive": ("interactive", "buttons", "list", "reply"),
    "order": ("order",),
    "system": ("system", "action", "event", "notification", "gp2"),
    "unknown": ("unknown",),
}
TYPE_OF = {word: ours for ours, words in TYPES.items() for word in words}
STATUSES = {
    "queued": ("queued", "draft", "waiting", "scheduled"),
    "pending": ("pending", "sending", "0"),
    "sent": ("sent", "server", "success", "1"),
    "delivered": ("delivered", "device", "received", "2"),
    "read": ("read", "seen", "3"),
    "played": ("played", "4"),
    "failed": ("failed", "error", "-1"),
    "deleted": ("deleted", "revoked"),
    "cancelled": ("cancelled", "canceled"),
}
STATUS_OF = {word: ours for ours, words in STATUSES.items() for word in words}
ROLES = {
    "creator": "superadmin",
    "owner": "superadmin",
    "superadmin": "superadmin",
    "admin": "admin",
}
# A group's id without its end: no number of a person is that long, or has the time it was made.
GROUP_NUMBER = re.compile(r"^([0-9]{16,20}|[0-9]{7,15}-[0-9]{9,11})$")
INVITE = "https://chat.whatsapp.com/"
# WhatsApp is not older.
FIRST_TIME = datetime(2009, 1, 1)


def word(value):
    """A text in small letters without edges; '' where there is none."""
    return str(value if value is not None else "").strip().lower()


def text(value):
    """A text, or None where it is empty."""
    value = str(value if value is not None else "").strip()
    return value or None


def provider(value):
    """One of ours, or None."""
    name = word(value).split(".")[0]
    return name if name in PROVIDERS else None


def chat_id(provider_name, value):
    """A chat's id as this provider writes it, so that the chat goes on where it ended."""
    value = text(value)
    if not value or provider_name not in ("whapi", "wassenger", "meta"):
        return value
    local, at, domain = value.partition("@")
    domain = domain.lower()
    if at and domain not in PERSON_DOMAINS:
        return "%s@%s" % (local, domain)
    if not at and provider_name in DIRECT and GROUP_NUMBER.match(local):
        return local + "@g.us"
    number = re.sub(r"[\s().-]", "", local.split(":")[0]).lstrip("+")
    if not re.match(r"^[0-9]{5,15}$", number):
        return value
    return "%s@%s" % (number, DIRECT[provider_name]) if provider_name in DIRECT else number


def is_group(value):
    return bool(value) and value.endswith("@g.us")


def phone(*values):
    """The first of these that is a whole number, as E.164 with plus; None where none is."""
    for value in values:
        local, at, domain = str(value or "").partition("@")
        if at and domain.lower() not in PERSON_DOMAINS:
            continue
        number = re.sub(r"[\s().-]", "", local.split(":")[0])
        number = re.sub(r"^(\+|00)", "", number)
        if re.match(r"^[1-9][0-9]{6,14}$", number):
            return "+" + number
    return None


def invite_link(value):
    value = text(value)
    return value if not value or "/" in value else INVITE + value


def moment(seconds, now):
    """A Unix time as Odoo stores times, or None where it cannot be one."""
    if not isinstance(seconds, int):
        return None
    try:
        at = datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)
    except (OverflowError, OSError, ValueError):
        return None
    return at if FIRST_TIME <= at <= now + timedelta(days=2) else None


def metadata(value):
    """(what the text says, whether it was understood): JSON, or what `str` made of a dict."""
    value = text(value)
    if value is None:
        return None, True
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
            if isinstance(found, (dict, list)) and sound(found):
                return found, True
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return value, False


def sound(value):
    """Whether PostgreSQL takes it as JSON: no NaN, no lone surrogate, no character zero."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    written.encode()
    return "\\u0000" not in written


def written(value):
    """JSON of a row: times and the like as texts."""
    return json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)


def roles(found):
    """Digits of a participant -> role, as far as a group's metadata tell."""
    known = {}
    members = found.get("participants") if isinstance(found, dict) else None
    for member in members if isinstance(members, list) else []:
        if not isinstance(member, dict):
            continue
        number = phone(member.get("id"), member.get("phone"), member.get("wid"))
        rank = word(member.get("rank") or member.get("role"))
        if not rank and member.get("isSuperAdmin"):
            rank = "superadmin"
        if not rank and (member.get("isAdmin") or member.get("admin")):
            rank = "admin"
        if number:
            known[number] = ROLES.get(rank, "member")
    return known
