import logging
from datetime import timedelta

import pytz

from odoo import _, api, fields, models

from .. import bridge_client
from ..series import invalidate
from .whatsapp_alert import TROUBLE

_logger = logging.getLogger(__name__)

QUIET_PARAMETER = "whatsapp_integration.quiet_hours"
# (raised from, cleared below): between them an alert stays as it is.
FAILED_PERCENT = (20, 10)
FAILED_LEAST = 10  # so many failures an hour before their share says anything
QUOTA_PERCENT = (90, 70)
LAG_S = (300, 60)
QUARANTINED = (1, 1)
SYNC_FAILED = (2, 1)  # the newest runs in a row
SLOW_PARAMETER = "whatsapp_integration.slow_response_ms"
SLOW_MS = 5000  # half of the calls take longer: raised; over when it is less than half of that
SLOW_LEAST = 5  # so many calls in `SLOW_MINUTES` before their time says anything
SLOW_MINUTES = 15
# Told at the second look only: a bridge that is restarted, an account that connects anew.
SECOND_LOOK = ("silent", "state")
# Of these an activity was made by the daemon's own event.
BY_EVENT = ("state",)


def kinds_of(words):
    return set((words or "").split(",")) - {""}


def words_of(kinds):
    return ",".join(sorted(kinds)) or None


def quiet(hours, zone):
    """Whether it is now, in that time zone, between the hours that are written like 22-6; `no` is
    never."""
    if hours.strip() == "no":
        return False
    try:
        begin, end = (int(hour) for hour in hours.split("-"))
    except ValueError:
        _logger.warning("system parameter %s is neither like 22-6 nor no", QUIET_PARAMETER)
        return False
    now = pytz.utc.localize(fields.Datetime.now())
    hour = now.astimezone(pytz.timezone(zone)).hour
    return begin <= hour < end if begin <= end else hour >= begin or hour < end


class WhatsappDashboardMark(models.Model):
    _inherit = "whatsapp.dashboard.mark"

    alerts = fields.Char(readonly=True, help="What the administrators were told and still holds.")
    noticed = fields.Char(readonly=True, help="What the last look found and nobody was told yet.")


class WhatsappConfiguration(models.Model):
    _inherit = "whatsapp.configuration"

    @api.model
    def _cron_watch(self):
        self.sudo().search([])._watch()

    def _watch(self):
        """Tells the administrators of accounts in trouble by activities, once for each trouble.

        What concerns the whole bridge is told on the first account of each company. Not in the
        quiet hours of the administrators: then at the first look after. The account's supervisor
        is told the same by WhatsApp.
        """
        if not self:
            return
        self.env["whatsapp.dashboard.mark"]._all()
        bridge = self._watch_bridge()
        silent = any(kind == "silent" and value for kind, _summary, value, *_rest in bridge)
        companies = set()
        for account in self:
            found = account._watched()
            if account.company_id not in companies:
                companies.add(account.company_id)
                found += bridge
            account._tell(found)
            # While the bridge is silent nothing can be sent; that itself is the administrators' alone.
            if not silent:
                account._tell_supervisor(found)

    def _watched(self):
        """[(kind, summary, value or None while it says nothing, limits, note)] of one account."""
        self.ensure_one()
        cr = self.env.cr
        cr.execute(
            "SELECT count(*) FILTER (WHERE status = 'failed'), count(*) FROM whatsapp_message"
            " WHERE configuration_id = %s AND direction = 'outbound' AND timestamp >= %s",
            (self.id, fields.Datetime.now() - timedelta(hours=1)),
        )
        failed, sent = cr.fetchone()
        share = 100.0 * failed / sent if failed >= FAILED_LEAST else 0
        cr.execute(
            "SELECT state, error_message FROM whatsapp_sync_run WHERE configuration_id = %s"
            " AND state IN ('done', 'failed') ORDER BY id DESC LIMIT 2",
            (self.id,),
        )
        runs = cr.fetchall()
        in_a_row = 0
        for state, _error in runs:
            if state != "failed":
                break
            in_a_row += 1
        cr.execute(
            "SELECT count(*) FROM whatsapp_quarantine WHERE configuration_id = %s", (self.id,)
        )
        quarantined = cr.fetchone()[0]
        slow, limit = self._slowness(), self._slow_limit()
        states = dict(self._fields["state"]._description_selection(self.env))
        cr.execute(
            "SELECT state, reason FROM whatsapp_account_state WHERE configuration_id = %s",
            (self.id,),
        )
        state, reason = cr.fetchone() or (None, None)
        tile = self.env["whatsapp.dashboard.account"].search(
            [("configuration_id", "=", self.id), ("period", "=", "1")], limit=1
        )
        return [
            (
                "errors",
                _("Many WhatsApp messages fail"),
                share,
                FAILED_PERCENT,
                _("%(failed)s of %(sent)s messages of the last hour failed.")
                % {"failed": failed, "sent": sent},
            ),
            (
                "slow",
                _("The WhatsApp provider answers slowly"),
                slow,
                (limit, limit / 2.0),
                _("Half of the sends of the last %(minutes)s minutes took %(seconds).1f s or more.")
                % {"minutes": SLOW_MINUTES, "seconds": slow / 1000.0},
            ),
            (
                "state",
                self._state_summary(),
                int(state in TROUBLE),
                (1, 1),
                ": ".join(word for word in (states.get(state), reason) if word),
            ),
            (
                "sync",
                _("WhatsApp synchronisations fail"),
                in_a_row,
                SYNC_FAILED,
                (runs and runs[0][1]) or _("The last two synchronisations failed."),
            ),
            (
                "quota",
                _("The day's limit of a WhatsApp account is near"),
                tile.quota_rate,
                QUOTA_PERCENT,
                _("%(sent)s of %(limit)s messages were sent today (UTC).")
                % {"sent": tile.sent_today, "limit": tile.daily_limit},
            ),
            (
                "quarantine",
                _("Something arrived from WhatsApp that was not understood"),
                quarantined,
                QUARANTINED,
                _("%s in quarantine, see Configuration > Quarantine.") % quarantined,
            ),
        ]

    def _slowness(self):
        """The middle of the times that the provider took for the last sends, in ms; 0: too few."""
        self.env.cr.execute(
            "SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY response_time)"
            " FROM whatsapp_audit_log WHERE configuration_id = %s AND timestamp >= %s"
            " AND operation = 'message.send' AND response_time > 0 AND address IS NULL",
            (self.id, fields.Datetime.now() - timedelta(minutes=SLOW_MINUTES)),
        )
        calls, middle = self.env.cr.fetchone()
        return middle if calls >= SLOW_LEAST else 0

    def _slow_limit(self):
        words = self.env["ir.config_parameter"].sudo().get_param(SLOW_PARAMETER)
        try:
            limit = float(words or SLOW_MS)
        except ValueError:
            limit = 0
        if limit > 0:
            return limit
        _logger.warning("system parameter %s is no number of milliseconds", SLOW_PARAMETER)
        return SLOW_MS

    def _watch_bridge(self):
        """The same of the bridge."""
        silent, lag, note = 0, {}, False
        try:
            page = bridge_client.readiness(self.env)
        except bridge_client.BridgeError as error:
            silent, note = 1, str(error)
        else:
            lag = (next(iter((page.get("databases") or {}).values()), {}) or {}).get("lag") or {}
        return [
            ("silent", _("The WhatsApp bridge does not answer"), silent, (1, 1), note),
            (
                "journal",
                _("What arrives from WhatsApp is late"),
                None if silent else lag.get("journal_oldest_s") or 0,
                LAG_S,
                _("%s webhooks wait to be applied.") % lag.get("journal_pending", 0),
            ),
            (
                "outbox",
                _("What is sent by WhatsApp is late"),
                None if silent else lag.get("outbox_oldest_s") or 0,
                LAG_S,
                _("%s sends wait.") % lag.get("outbox", 0),
            ),
        ]

    def _tell(self, found):
        self.ensure_one()
        mark = self.env["whatsapp.dashboard.mark"].search([("configuration_id", "=", self.id)])
        told, noticed = kinds_of(mark.alerts), kinds_of(mark.noticed)
        before, seen = set(told), set()
        for kind, summary, value, (high, low), note in found:
            if value is None:
                seen |= noticed & {kind}
            elif value >= high and kind not in told:
                if (kind in SECOND_LOOK and kind not in noticed) or not self._awake():
                    seen.add(kind)
                    continue
                if kind not in BY_EVENT:
                    self._alert(summary, note)
                told.add(kind)
                _logger.warning("account %s: alert %s raised, value %s", self.id, kind, value)
            elif value < low and kind in told:
                if kind not in BY_EVENT:
                    self._alerts(summary).action_feedback(feedback=_("It is over."))
                told.discard(kind)
                _logger.info("account %s: alert %s is over, value %s", self.id, kind, value)
        if told != before or seen != noticed:
            self.env.cr.execute(
                "UPDATE whatsapp_dashboard_mark SET alerts = %s, noticed = %s WHERE id = %s",
                (words_of(told), words_of(seen), mark.id),
            )
            invalidate(mark)

    def _awake(self):
        """Whether no administrator of the account has quiet hours now, as the system parameter
        `whatsapp_integration.quiet_hours` says: for example 22-6, in the user's own time."""
        hours = self.env["ir.config_parameter"].sudo().get_param(QUIET_PARAMETER)
        if not hours:
            return True
        return not any(quiet(hours, user.tz or "UTC") for user in self._administrators())
