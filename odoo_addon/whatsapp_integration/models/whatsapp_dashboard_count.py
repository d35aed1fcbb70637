import logging
from datetime import datetime, time, timedelta

from odoo import api, fields, models

from .. import dashboard_sql
from ..series import SERIES, flush, invalidate

_logger = logging.getLogger(__name__)

# Status words of so many days are looked for in each run; those of older days once a day.
RECENT_DAYS = 8
# So many days are counted in one transaction.
CHUNK_DAYS = 31
# After this hour (UTC) all days are counted again, once.
FULL_COUNT_HOUR = 1


class WhatsappMessageCount(models.Model):
    _name = "whatsapp.message.count"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Counted WhatsApp messages of one day"
    _log_access = False
    _order = "day desc, id"
    _rec_name = "day"

    # Written by SQL alone, see `dashboard_sql.counts`; a column more, answer_seconds integer[],
    # holds the time to each answer, so that medians stay exact.
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="cascade", readonly=True
    )
    day = fields.Date(required=True, readonly=True)
    direction = fields.Char(readonly=True)
    message_type = fields.Char(readonly=True)
    status = fields.Char(readonly=True)
    origin = fields.Char(readonly=True)
    category = fields.Char(readonly=True)
    user_id = fields.Many2one("res.users", "User", ondelete="set null", readonly=True)
    res_model = fields.Char("Document Model", readonly=True)
    campaign_id = fields.Many2one(
        "whatsapp.bulk.campaign", "Campaign", ondelete="set null", readonly=True
    )
    message_count = fields.Integer("Messages", readonly=True)
    sent_count = fields.Integer("Sent", readonly=True)
    delivered_count = fields.Integer("Delivered", readonly=True)
    read_count = fields.Integer("Read", readonly=True)
    failed_count = fields.Integer("Failed", readonly=True)
    asked_count = fields.Integer("Sent to Persons", readonly=True)
    answered_count = fields.Integer("Answered", readonly=True)
    oldest_queued_at = fields.Datetime(readonly=True)

    def _auto_init(self):
        super()._auto_init()
        cr = self.env.cr
        cr.execute(
            "ALTER TABLE whatsapp_message_count ADD COLUMN IF NOT EXISTS answer_seconds integer[]"
        )
        cr.execute(
            "CREATE INDEX IF NOT EXISTS whatsapp_message_count_day_idx"
            " ON whatsapp_message_count (configuration_id, day)"
        )
        cr.execute(
            "CREATE INDEX IF NOT EXISTS whatsapp_message_count_queued_idx"
            " ON whatsapp_message_count (configuration_id) WHERE status = 'queued'"
        )
        # Days of messages: for counting, and for lists of one day.
        cr.execute(
            "CREATE INDEX IF NOT EXISTS whatsapp_message_day_idx"
            " ON whatsapp_message (configuration_id, timestamp)"
        )

    @api.model
    def _cron_count(self):
        for _chunk in self._count():
            self.env.cr.commit()  # between batches of a cron
        for _chunk in self.env["whatsapp.operation.count"]._count():
            self.env.cr.commit()  # the same

    @api.model
    def _count(self, everything=False):
        """Brings the counted days up to date; yields after each chunk, which may be committed.

        Counted are: what never was; the last days, whose status words still come; older days for
        which messages came in late (a synchronised history); once a day all of them.
        """
        flush(self)
        marks = self.env["whatsapp.dashboard.mark"]._all()
        self.env.cr.execute("SELECT coalesce(max(id), 0) FROM whatsapp_message")
        newest = self.env.cr.fetchone()[0]
        late = self._late_days(marks)
        now = fields.Datetime.now()
        today = now.date()
        for mark in marks:
            first = self._first_day(mark.configuration_id, today)
            begun = mark.live_from
            full = everything or not begun or not mark.full_on
            full = full or (mark.full_on < today and now.hour >= FULL_COUNT_HOUR)
            recent = today - timedelta(days=RECENT_DAYS)
            since = first if full else min(begun, max(recent, first))
            days = sorted(day for day in late.get(mark.configuration_id.id, ()) if day < since)
            for day in days:
                mark._recount(day, day + timedelta(days=1))
                yield day
            while since < today:
                until = min(since + timedelta(days=CHUNK_DAYS), today)
                mark._recount(since, until)
                yield since
                since = until
            mark._counted(today, newest, full)
            yield today

    @api.model
    def _first_day(self, account, today):
        """The day of the account's first message."""
        self.env.cr.execute(
            "SELECT timestamp::date FROM whatsapp_message WHERE configuration_id = %s"
            " AND timestamp IS NOT NULL ORDER BY timestamp LIMIT 1",
            (account.id,),
        )
        row = self.env.cr.fetchone()
        return min(row[0], today) if row else today

    @api.model
    def _late_days(self, marks):
        """Days, by account, of messages that came in since the run before the last one.

        Not since the last one: a row may be committed after others with higher ids.
        """
        counted = marks.filtered("live_from")
        if not counted:
            return {}
        self.env.cr.execute(
            "SELECT configuration_id, array_agg(DISTINCT timestamp::date) FROM whatsapp_message"
            " WHERE id > %s AND timestamp < %s GROUP BY configuration_id",
            (
                min(counted.mapped("former_seen_id")),
                fields.Date.today() - timedelta(days=RECENT_DAYS),
            ),
        )
        return dict(self.env.cr.fetchall())


class WhatsappDashboardMark(models.Model):
    _name = "whatsapp.dashboard.mark"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "How far the messages of an account are counted"
    _rec_name = "configuration_id"
    _log_access = False

    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="cascade", readonly=True
    )
    live_from = fields.Date(
        readonly=True, help="From this day on figures are read from the messages themselves."
    )
    counted_at = fields.Datetime(readonly=True)
    full_on = fields.Date(readonly=True, help="When all days were counted last.")
    seen_id = fields.Integer(readonly=True)
    former_seen_id = fields.Integer(readonly=True)

    if SERIES < 19:
        _sql_constraints = [
            ("configuration_uniq", "unique(configuration_id)", "An account has one mark."),
        ]
    else:
        _configuration_uniq = models.Constraint(
            "unique(configuration_id)", "An account has one mark."
        )

    @api.model
    def _all(self):
        """The marks of all accounts, made where they are missing."""
        self.env.cr.execute(
            "INSERT INTO whatsapp_dashboard_mark (configuration_id, seen_id, former_seen_id)"
            " SELECT id, 0, 0 FROM whatsapp_configuration"
            " ON CONFLICT (configuration_id) DO NOTHING"
        )
        invalidate(self)
        return self.search([], order="configuration_id")

    def _recount(self, since, until):
        """Counts the days from `since` on and before `until` anew."""
        self.ensure_one()
        cr = self.env.cr
        # One at a time: a second run fails here and is run again with what the first one wrote.
        cr.execute("SELECT 1 FROM whatsapp_dashboard_mark WHERE id = %s FOR UPDATE", (self.id,))
        account = self.configuration_id.id
        values = {
            "account": account,
            "since": datetime.combine(since, time.min),
            "until": datetime.combine(until, time.min),
            "further": datetime.combine(until, time.min)
            + timedelta(days=dashboard_sql.ANSWER_DAYS),
        }
        cr.execute(dashboard_sql.FORGET, values)
        cr.execute(dashboard_sql.RECOUNT, values)
        # Grows by whole chunks from the first day on, so table and messages never overlap.
        cr.execute(
            "UPDATE whatsapp_dashboard_mark SET live_from = %s"
            " WHERE id = %s AND live_from >= %s AND live_from < %s"
            " OR id = %s AND live_from IS NULL",
            (until, self.id, since, until, self.id),
        )
        invalidate(self)

    def _counted(self, today, newest, full):
        """All days before today are counted, with the messages up to the id `newest`."""
        self.ensure_one()
        cr = self.env.cr
        cr.execute(
            "UPDATE whatsapp_dashboard_mark SET counted_at = %s, live_from = %s,"
            " full_on = CASE WHEN %s THEN %s ELSE full_on END,"
            " former_seen_id = CASE WHEN seen_id > 0 THEN seen_id ELSE %s END, seen_id = %s"
            " WHERE id = %s",
            (fields.Datetime.now(), today, full, today, newest, newest, self.id),
        )
        invalidate(self)
