from odoo import fields, models

from ..series import SERIES

STATES = [
    ("new", "New"),
    ("connected", "Connected"),
    ("qr_needed", "QR code needed"),
    ("disconnected", "Disconnected"),
    ("banned", "Banned"),
    ("token_dead", "Token refused"),
    ("held", "Held"),
]


class WhatsappAccountState(models.Model):
    _name = "whatsapp.account.state"
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

    if SERIES < 19:
        _sql_constraints = [
            ("configuration_uniq", "unique(configuration_id)", "An account has one state."),
        ]
    else:
        _configuration_uniq = models.Constraint(
            "unique(configuration_id)", "An account has one state."
        )
