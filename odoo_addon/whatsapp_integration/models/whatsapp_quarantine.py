from odoo import fields, models

from ..series import SERIES

REASONS = [
    ("unreadable", "The body cannot be read"),
    ("unknown_channel", "No account has this channel"),
    ("broken_event", "An event makes no sense"),
    ("refused_by_database", "The database refused it"),
]


class WhatsappQuarantine(models.Model):
    _name = "whatsapp.quarantine"
    _description = "Received by the daemon, but not understood"
    _rec_name = "journal_id"
    _order = "received_at desc, id desc"

    # Written by the daemon; the bytes stay in its journal.
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="cascade", readonly=True
    )
    provider = fields.Char(readonly=True)
    journal_id = fields.Char("Journal ID", readonly=True, index=True)
    event_no = fields.Integer(
        "Event", readonly=True, help="Its place in the body, from 0; -1: the whole body."
    )
    received_at = fields.Datetime("Received", readonly=True)
    reason = fields.Selection(REASONS, readonly=True)
    detail = fields.Text(readonly=True)
    attempts = fields.Integer(readonly=True)

    if SERIES < 19:
        _sql_constraints = [
            (
                "journal_event_uniq",
                "unique(journal_id, event_no)",
                "This event stands in quarantine already.",
            ),
        ]
    else:
        _journal_event_uniq = models.Constraint(
            "unique(journal_id, event_no)", "This event stands in quarantine already."
        )
