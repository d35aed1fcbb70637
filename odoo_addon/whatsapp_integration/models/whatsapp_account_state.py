from odoo import api, fields, models
from odoo.tools.misc import format_datetime

from ..series import SERIES, translator

STATES = [
    ("new", "New"),
    ("connected", "Connected"),
    ("qr_needed", "QR code needed"),
    ("disconnected", "Disconnected"),
    ("banned", "Banned"),
    ("token_dead", "Token refused"),
    ("held", "Held"),
]


def _(source):
    # Only marks a text for translation; see `_compute_waiting_hint`.
    return source


# Why messages of an account wait; the reasons are the bridge's.
WAITING = {
    "pace": _("%(count)s messages wait for their turn: the account sends so many per second."),
    "daily_limit": _("%(count)s messages wait until %(until)s: the day's limit is reached."),
    "paused": _(
        "%(count)s messages wait until %(until)s: the provider asked to slow down, or "
        "many failed in a row."
    ),
    "disconnected": _("%(count)s messages wait until the account is connected again."),
    "file": _("%(count)s messages wait until their files are at the provider."),
    "retry": _("%(count)s messages wait for the next try: the provider could not be reached."),
    "gap": _("%(count)s messages wait for the gap between two messages to one chat."),
    "window": _("%(count)s messages wait until their customers write: 24 hours are over."),
}


class WhatsappAccountState(models.Model):
    _name = "whatsapp.account.state"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "State of a WhatsApp account, as the daemon sees it"
    _rec_name = "state"

    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="cascade", readonly=True
    )
    state = fields.Selection(STATES, readonly=True)
    reason = fields.Char(readonly=True)
    since = fields.Datetime(readonly=True)
    # Why messages wait: pace, daily_limit, paused, disconnected, file, consent, window, …
    waiting_reason = fields.Char("Waits for", readonly=True)
    waiting_until = fields.Datetime("Waits until", readonly=True)
    waiting_count = fields.Integer("Messages Waiting", readonly=True)
    waiting_hint = fields.Char("What Waits", compute="_compute_waiting_hint")

    if SERIES < 19:
        _sql_constraints = [
            ("configuration_uniq", "unique(configuration_id)", "An account has one state."),
        ]
    else:
        _configuration_uniq = models.Constraint(
            "unique(configuration_id)", "An account has one state."
        )

    @api.depends("waiting_reason", "waiting_until", "waiting_count")
    @api.depends_context("lang", "tz")
    def _compute_waiting_hint(self):
        for state in self:
            words = WAITING.get(state.waiting_reason)
            until = state.waiting_until and format_datetime(self.env, state.waiting_until)
            values = {"count": state.waiting_count, "until": until or "?"}
            # the words are translated here, where the language is known
            state.waiting_hint = translator(self.env)(words) % values if words else False
