"""Sentences for the steps of `message.explain`: the daemon answers kinds and parameters only.

The kinds are a closed list, `StepKind` of the bridge: a test there holds it against this table.
"""

import datetime

from odoo import fields

from .series import translator


def _(source):
    # Only marks a text for translation; see `sentence`.
    return source


SENTENCES = {
    "received": _(
        "Received from %(provider)s, verified by %(verified_by)s; webhook %(journal_id)s of the "
        "journal."
    ),
    "received_before": _("Received from %(provider)s; its webhook is not in the journal any more."),
    "set_aside": _(
        "Odoo's tables were busy: kept in the journal and stored %(seconds)s seconds later."
    ),
    "typed_on_phone": _("Typed on the account's phone."),
    "sent_elsewhere": _("Sent by another program with the same account."),
    "queued_by_call": _("%(user_id)s asked for it; queued."),
    "queued_by_transaction": _(
        "A transaction of Odoo asked for it, for %(user_id)s; queued when that was committed."
    ),
    "account_by_default": _("No account was named: %(configuration_id)s was chosen."),
    "waited_for_chat": _("Waited until %(messages)s earlier messages of this chat were sent."),
    "account_paused": _("The account was paused for %(seconds)s seconds meanwhile: %(reason)s."),
    "waited": _("Waited %(seconds)s seconds for its turn."),
    "attempt_open": _("Attempt %(number)s: handed to the provider, no answer yet."),
    "attempt_accepted": _(
        "Attempt %(number)s: accepted by the provider after %(latency_ms)s ms, as "
        "%(provider_message_id)s."
    ),
    "attempt_not_sent": _(
        "Attempt %(number)s: the provider could not be reached (%(error_message)s); next try after "
        "%(retry_s)s seconds."
    ),
    "attempt_not_accepted": _(
        "Attempt %(number)s: the provider did not take it (%(error_message)s); next try after "
        "%(retry_s)s seconds."
    ),
    "attempt_rate_limited": _(
        "Attempt %(number)s: the provider asked to slow down (%(error_message)s)."
    ),
    "attempt_account_down": _(
        "Attempt %(number)s: the account could not send (%(error_message)s)."
    ),
    "attempt_refused": _("Attempt %(number)s: refused (%(error_message)s)."),
    "attempt_uncertain": _(
        "Attempt %(number)s: it is not known whether the provider took it (%(error_message)s)."
    ),
    "settled_accepted": _(
        "The provider's own words showed that it had taken it, as %(provider_message_id)s."
    ),
    "settled_unknown": _(
        "Nothing showed what became of attempt %(number)s; the account's policy decided."
    ),
    "echo_parked": _(
        "The provider's copy came first and waited %(seconds)s seconds for our own answer."
    ),
    "early_joined": _(
        "Words about it came %(seconds)s seconds before it was stored, and were joined with it."
    ),
    "status_pending": _("Pending at the provider."),
    "status_sent": _("Sent."),
    "status_delivered": _("Delivered."),
    "status_read": _("Read."),
    "status_played": _("Played."),
    "status_failed": _("Failed: %(error_code)s (%(error_message)s)."),
    "status_uncertain": _("Uncertain from here on."),
    "status_cancelled": _("Cancelled."),
    "status_deleted": _("Deleted."),
    "members_delivered": _("Delivered to %(count)s members of the group, the last one now."),
    "members_read": _("Read by %(count)s members of the group, the last one now."),
    "members_played": _("Played by %(count)s members of the group, the last one now."),
    "members_failed": _("Not delivered to %(count)s members of the group."),
    "edited": _("Its author changed the text (change %(revision)s)."),
    "media_waiting": _("Its file is still to be fetched."),
    "media_ready": _("Its file is here: %(mimetype)s, %(bytes)s bytes."),
    "media_failed": _("Its file could not be fetched (%(reason)s)."),
    "media_refused": _("Its file was refused (%(reason)s)."),
    "handlers_waiting": _("Odoo's handlers are still to run for it (%(event)s)."),
    "handlers_ran": _("Odoo's handlers ran for it (%(event)s)."),
    "handlers_failed": _(
        "Odoo's handlers failed %(attempts)s times and were given up (%(event)s)."
    ),
    "waits_for_time": _("Waits now until it is due: %(until)s."),
    "waits_for_chat": _("Waits now for an earlier message of this chat."),
    "waits_for_account": _("Waits now for its account: %(reason)s."),
    "waits_for_settling": _("Being settled now: did the provider take it or not?"),
    "waits_for_turn": _("Waits now for its turn."),
}

# Words that stand in parameters.
WORDS = {
    "path": _("the token in the address"),
    "header": _("the secret header"),
    "hmac": _("its signature"),
    "path_header": _("the token in the address and the secret header"),
    "path_hmac": _("the token in the address and its signature"),
    "header_hmac": _("the secret header and its signature"),
    "rate_limited": _("the provider asked to slow down"),
    "account_down": _("the account could not send"),
}

ICONS = {
    "received": "fa-arrow-down",
    "received_before": "fa-arrow-down",
    "typed_on_phone": "fa-mobile",
    "queued_by_call": "fa-user",
    "queued_by_transaction": "fa-cogs",
    "attempt_accepted": "fa-check",
    "status_sent": "fa-check",
    "status_delivered": "fa-check",
    "status_read": "fa-eye",
    "status_played": "fa-play",
    "status_failed": "fa-times",
    "status_cancelled": "fa-ban",
    "status_deleted": "fa-trash",
    "attempt_refused": "fa-times",
    "media_failed": "fa-times",
    "media_refused": "fa-times",
    "handlers_failed": "fa-times",
    "handlers_ran": "fa-cogs",
    "edited": "fa-pencil",
}
ICON_PREFIXES = (
    ("wait", "fa-hourglass-half"),
    ("attempt", "fa-paper-plane"),
    ("media", "fa-paperclip"),
    ("members", "fa-users"),
    ("settled", "fa-balance-scale"),
)
ICON = "fa-info-circle"


def icon(kind):
    for prefix, name in ICON_PREFIXES:
        if kind not in ICONS and kind.startswith(prefix):
            return name
    return ICONS.get(kind, ICON)


def moment(text):
    """An RFC 3339 time of the daemon as Odoo keeps times: UTC, no zone; None stays None."""
    if not text:
        return None
    return datetime.datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")


def sentence(env, kind, parameters):
    """The translated sentence of a step; kinds that this version does not know are shown as they are."""
    translate = translator(env)
    values = {name: _value(env, translate, name, value) for name, value in parameters.items()}
    source = SENTENCES.get(kind)
    if source is None:
        return "%s %s" % (kind, ", ".join("%s: %s" % item for item in sorted(values.items())))
    try:
        return translate(source) % values
    except (KeyError, TypeError, ValueError):
        # A translation that names something else.
        return source % _Lenient(values)


class _Lenient(dict):
    def __missing__(self, key):
        return "?"


def _value(env, translate, name, value):
    if value is None or value == "":
        return "–"
    if name == "user_id":
        return env["res.users"].sudo().browse(value).exists().name or "–"
    if name == "configuration_id":
        return env["whatsapp.configuration"].sudo().browse(value).exists().name or str(value)
    if name == "provider":
        selection = env["whatsapp.configuration"]._fields["provider"]._description_selection(env)
        return dict(selection).get(value, value)
    if name in ("verified_by", "reason") and value in WORDS:
        return translate(WORDS[value])
    if name == "until":
        at = moment(value)
        local = fields.Datetime.context_timestamp(env.user, at)
        return local.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return "%.0f" % value if value >= 10 or value == int(value) else "%.1f" % value
    return str(value)
