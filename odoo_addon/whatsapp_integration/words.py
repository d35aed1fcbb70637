"""The bridge's error kinds in words for people."""

from .series import translator


def _(source):
    """Marks a term for the export; it is translated where it is used."""
    return source


# kind -> JSON-RPC code (docs/PROTOCOL.md); `bridge_unavailable` is the addon's own, for when the
# daemon itself did not answer.
CODES = {
    "access_denied": 1001,
    "configuration_not_found": 1002,
    "no_configuration_for_user": 1003,
    "configuration_inactive": 1004,
    "invalid_recipient": 1101,
    "invalid_content": 1102,
    "media_too_large": 1103,
    "media_type_unsupported": 1104,
    "unsupported_by_provider": 1105,
    "recipient_opted_out": 1106,
    "outside_service_window": 1107,
    "idempotency_conflict": 1108,
    "provider_unavailable": 1301,
    "provider_rejected": 1302,
    "provider_rate_limited": 1303,
    "provider_auth_failed": 1304,
    "provider_timeout": 1305,
    "rate_limited": 1401,
    "queue_full": 1402,
    "bridge_unavailable": 1500,
    "database_unavailable": 1501,
    "schema_mismatch": 1502,
    "locked": 1503,
    "record_not_found": 1504,
    "conflict": 1505,
}


# What a person should know and do about an error of each kind.
SENTENCES = {
    "access_denied": _("You may not use this WhatsApp account. Ask a WhatsApp administrator."),
    "configuration_not_found": _("This WhatsApp account does not exist."),
    "no_configuration_for_user": _(
        "No WhatsApp account is assigned to you. Ask a WhatsApp administrator."
    ),
    "configuration_inactive": _("This WhatsApp account is archived."),
    "invalid_recipient": _(
        "The recipient is not a usable number. Write it with + and the country code."
    ),
    "invalid_content": _("The message is empty or cannot be sent like this."),
    "media_too_large": _("The file is too large for WhatsApp."),
    "media_type_unsupported": _("WhatsApp does not take files of this type."),
    "unsupported_by_provider": _("The provider of this account cannot do this."),
    "recipient_opted_out": _("The recipient does not want such messages."),
    "outside_service_window": _(
        "The recipient has not written for 24 hours: only templates may be sent."
    ),
    "idempotency_conflict": _(
        "This was sent already, with other content. Open a new message to send another one."
    ),
    "provider_unavailable": _("The WhatsApp provider cannot be reached."),
    "provider_rejected": _("The WhatsApp provider refused it."),
    "provider_rate_limited": _("The WhatsApp provider wants fewer messages. Try again later."),
    "provider_auth_failed": _(
        "The WhatsApp provider refused the account's token. An administrator must set it again."
    ),
    "provider_timeout": _("The WhatsApp provider did not answer in time."),
    "rate_limited": _("Too many requests. Try again later."),
    "queue_full": _("Too many messages are waiting. Try again later."),
    "bridge_unavailable": _("The WhatsApp bridge does not answer. Ask your administrator."),
    "database_unavailable": _(
        "The WhatsApp bridge cannot reach the database just now. Try again in a minute."
    ),
    "schema_mismatch": _(
        "The WhatsApp bridge and the addon do not fit together. Ask your administrator to "
        "bring both to the same version."
    ),
    "locked": _("Somebody else is working on this just now. Try again."),
    "record_not_found": _("This record does not exist any more."),
    "conflict": _("This was changed meanwhile. Reload and try again."),
}


def sentence(env, kind):
    """The sentence for an error of this kind; None for a kind that this version does not know."""
    source = SENTENCES.get(kind)
    return translator(env)(source) if source else None


def failure_sentence(env, kind, details=None):
    """One line for a failed message: our words for the kind, then the provider's own."""
    words = sentence(env, kind) if kind else None
    if not words and kind:
        words = kind
    return " ".join(part for part in (words, details and "(%s)" % details) if part)
