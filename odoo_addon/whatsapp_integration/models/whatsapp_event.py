import json
import logging

import psycopg2

from odoo import _, api, fields, models
from odoo.exceptions import AccessError

from ..series import flush, invalidate

_logger = logging.getLogger(__name__)

ATTEMPTS = 5
BATCH = 100
BATCHES_PER_RUN = 50
KEEP_DAYS = 30


class WhatsappEvent(models.Model):
    _name = "whatsapp.event"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Something the daemon wants Odoo code to run for"
    _order = "id desc"
    _rec_name = "kind"

    # Inserted by the daemon in phase 'new'; claimed and finished here.
    kind = fields.Char(readonly=True)
    message_id = fields.Many2one(
        "whatsapp.message", "Message", ondelete="cascade", index=True, readonly=True
    )
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", ondelete="cascade", index=True, readonly=True
    )
    payload = fields.Text(readonly=True, help="JSON")
    phase = fields.Selection(
        [("new", "New"), ("seen", "Done"), ("failed", "Given up")], readonly=True
    )
    attempts = fields.Integer(readonly=True)

    def _auto_init(self):
        result = super()._auto_init()
        self.env.cr.execute(
            "CREATE INDEX IF NOT EXISTS whatsapp_event_new_idx ON whatsapp_event (id)"
            " WHERE phase = 'new'"
        )
        return result

    @api.model
    def process_new(self, limit=BATCH):
        """Runs the handlers of waiting events and returns how many were dealt with.

        The wake route and the cron both end here, at the same time if need be: SKIP LOCKED keeps
        them apart. What failed is tried again a minute later, then two, then three...
        """
        if not self.env.su:
            raise AccessError(_("Events are processed by the system."))
        flush(self)
        self.env.cr.execute(
            "SELECT id FROM whatsapp_event WHERE phase = 'new' AND (coalesce(attempts, 0) = 0"
            " OR write_date <= (now() AT TIME ZONE 'UTC') - make_interval(mins => attempts))"
            " ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED",
            (limit,),
        )
        events = self.browse([row[0] for row in self.env.cr.fetchall()])
        done = 0
        for event in events:
            done += event._process()
        return done

    def _process(self):
        """Handles one claimed event under a savepoint: a broken handler stops no other."""
        self.ensure_one()
        try:
            with self.env.cr.savepoint():
                again = self._dispatch()
                if not again:
                    # One record at a time through the ORM: only that fires automation rules.
                    self.write({"phase": "seen"})
                flush(self)
        except psycopg2.extensions.TransactionRollbackError:
            # Somebody else changed the same row; not the handler's fault, the next run gets it.
            invalidate(self)
            _logger.info("event %s waits: its handler met a concurrent change", self.id)
            return 0
        except Exception:
            invalidate(self)
            self._try_again(exc_info=True)
        else:
            if again:
                self._try_again()
        return 1

    def _try_again(self, exc_info=False):
        """Counts a failed attempt: another one follows later, or the event is given up."""
        attempts = (self.attempts or 0) + 1
        given_up = attempts >= ATTEMPTS
        _logger.error(
            "event %s of kind %s failed, attempt %s of %s%s",
            self.id,
            self.kind,
            attempts,
            ATTEMPTS,
            ": given up" if given_up else "",
            exc_info=exc_info,
        )
        values = {"attempts": attempts}
        if given_up:
            values["phase"] = "failed"
        self.write(values)
        flush(self)

    def _dispatch(self):
        """Runs the handlers of one event. True: part of it failed and is to be tried again, what
        was done stays; an exception takes back everything."""
        event = self.with_context(whatsapp_event_id=self.id)
        kind = self.kind or ""
        if kind == "message_received":
            event.message_id._on_received()
        elif kind == "message_edited":
            event.message_id._on_edited()
        elif kind == "media_ready":
            event.message_id._on_media()
        elif kind.startswith("status"):
            event.message_id._on_status()
        elif kind in ("account_state", "alert"):
            event.configuration_id._on_alert()
        elif kind == "template_status":
            event.configuration_id._on_template()
        elif kind == "preference":
            event.configuration_id._on_preference()
        else:
            # A newer daemon: kept, and done with.
            _logger.warning("event %s is of a kind this addon does not know", self.id)
        return False

    @api.model
    def _current(self):
        """The event whose handler runs now; none outside of handlers."""
        return self.browse(self.env.context.get("whatsapp_event_id") or [])

    def _details(self):
        """What the daemon tells beside the record, as a dict."""
        try:
            details = json.loads(self.payload or "{}") if self else {}
        except ValueError:
            _logger.warning("the payload of event %s is no JSON", self.id)
            details = {}
        return details if isinstance(details, dict) else {}

    def action_retry(self):
        """Gives events that were given up a new series of attempts."""
        if not self.env.user.has_group("whatsapp_integration.group_whatsapp_admin"):
            raise AccessError(_("Only WhatsApp administrators may do this."))
        failed = self.filtered(lambda event: event.phase == "failed")
        failed.sudo().write({"phase": "new", "attempts": 0})

    @api.model
    def _cron_process(self):
        for _run in range(BATCHES_PER_RUN):
            done = self.process_new(BATCH)
            self.env.cr.commit()  # between batches of a cron
            if not done:
                return

    @api.autovacuum
    def _gc_seen(self):
        self.env.cr.execute(
            "DELETE FROM whatsapp_event WHERE id IN (SELECT id FROM whatsapp_event"
            " WHERE phase = 'seen' AND write_date < (now() AT TIME ZONE 'UTC')"
            " - make_interval(days => %s) ORDER BY id LIMIT 10000)",
            (KEEP_DAYS,),
        )
