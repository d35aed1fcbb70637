from odoo import _, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..series import SERIES, check_access
from .whatsapp_configuration import GROUP_ADMIN

REASONS = [
    ("unreadable", "The body cannot be read"),
    ("unknown_channel", "No account has this channel"),
    ("broken_event", "An event makes no sense"),
    ("refused_by_database", "The database refused it"),
]
# Webhooks of one call, and characters of a body that the dialog shows.
REPLAY_MAX = 100
BODY_MAX = 50000


class WhatsappQuarantine(models.Model):
    _name = "whatsapp.quarantine"
    _inherit = "whatsapp.guarded.links.mixin"
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

    def _check_administrator(self):
        if not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may do this."))
        check_access(self, "read")

    def action_replay(self):
        """Has the daemon read the webhooks again and apply them. The rows follow by themselves."""
        self._check_administrator()
        ids = sorted({int(row.journal_id) for row in self if (row.journal_id or "").isdigit()})
        if not ids:
            raise UserError(_("Nothing was selected that can be replayed."))
        if len(ids) > REPLAY_MAX:
            raise UserError(_("Replay at most %s webhooks at a time.") % REPLAY_MAX)
        data = bridge_client.ask(self.env, "journal.replay", {"ids": ids})["data"]
        again = {part["id"] for part in data["quarantined"]}
        words = [_("%s webhooks are applied now.") % len(data["applied"])]
        if again:
            words.append(_("%s stay in quarantine.") % len(again))
            reasons = dict(self._fields["reason"]._description_selection(self.env))
            for part in data["quarantined"][:3]:
                reason = reasons.get(part["reason"], part["reason"])
                words.append("%s: %s" % (part["id"], part.get("detail") or reason))
        if data["waiting"]:
            words.append(_("%s wait for a lock and are applied in a moment.") % len(data["waiting"]))
        if data["missing"]:
            words.append(_("%s are not in the journal any more.") % len(data["missing"]))
        well = not again and not data["missing"]
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": _("Replay"),
                "message": " ".join(words),
                "type": "success" if well else "warning",
                "sticky": not well,
            },
        }

    def action_show(self):
        """Shows the webhook as it came in: fetched now, stored nowhere in Odoo."""
        self.ensure_one()
        self._check_administrator()
        if not (self.journal_id or "").isdigit():
            raise UserError(_("Nothing was selected that can be shown."))
        data = bridge_client.ask(self.env, "journal.show", {"id": int(self.journal_id)})["data"]
        body = data["body"][:BODY_MAX]
        if data["bytes"] > len(body):
            body += "\n…"
        headers = "\n".join("%s: %s" % item for item in sorted(data["headers"].items()))
        return {
            "type": "ir.actions.act_window",
            "name": _("Webhook %s") % data["id"],
            "res_model": "whatsapp.quarantine.body",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_headers": headers, "default_body": body},
        }


class WhatsappQuarantineBody(models.TransientModel):
    _name = "whatsapp.quarantine.body"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "A received webhook, as it came in"

    # Only shown, from defaults in the context: no row of it is made.
    headers = fields.Text(readonly=True)
    body = fields.Text(readonly=True)
