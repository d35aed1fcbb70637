from datetime import datetime, timedelta
from unittest.mock import patch

from .. import bridge_client
from ..models import whatsapp_watch
from ..series import invalidate
from .common import WhatsappCase, post

WELL = {"status": "ready", "databases": {"here": {"phase": "ready", "lag": {}}}}
PHONE = "+447700900140"


@post
class TestSupervisor(WhatsappCase):
    """What the supervisor of an account is told by WhatsApp, and through which account."""

    def setUp(self):
        super().setUp()
        self.page = WELL
        patcher = patch.object(bridge_client, "readiness", self.readiness)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.hours("no")
        (self.sales + self.support).write({"supervisor_phone": "+44 7700 900140"})
        for account in (self.support, self.sales, self.far):
            self.state(account, "connected")

    def readiness(self, env):
        if not self.page:
            raise bridge_client.BridgeError("bridge_unavailable", "It is silent")
        return self.page

    def hours(self, words):
        self.env["ir.config_parameter"].sudo().set_param(whatsapp_watch.QUIET_PARAMETER, words)

    def state(self, account, state, waiting=None):
        self.env.cr.execute(
            "INSERT INTO whatsapp_account_state (configuration_id, state, reason, waiting_reason)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (configuration_id) DO UPDATE"
            " SET state = excluded.state, waiting_reason = excluded.waiting_reason",
            (account.id, state, "401 from the provider", waiting),
        )
        invalidate(account)

    def look(self):
        """(account it goes through, text) of what the supervisor is told by one look."""
        before = self.queued()
        self.env["whatsapp.configuration"]._cron_watch()
        return [
            (row.configuration_id.name, row.content)
            for row in (self.queued() - before).sorted("id")
        ]

    def queued(self):
        return self.env["whatsapp.message"].search(
            [("direction", "=", "outbound"), ("origin", "=", "odoo"), ("status", "=", "queued")]
        )

    def failures(self, count, account=None):
        now = datetime.utcnow().replace(microsecond=0)
        for _number in range(count):
            self.insert_message(
                account or self.sales,
                direction="outbound",
                status="failed",
                timestamp=now - timedelta(minutes=1),
                origin="rpc",
            )

    def test_told_once_and_when_it_is_over(self):
        self.failures(10)
        [(through, text)] = self.look()
        self.assertEqual(through, "Support", "not through the account that fails")
        self.assertIn("*Sales*\nMany WhatsApp messages fail. 10 of 10", text)
        row = self.env["whatsapp.outbox.in"].search([], order="id desc", limit=1)
        self.assertEqual(row.recipient, PHONE)
        self.assertEqual(row.configuration_id, self.support)
        self.assertEqual(self.look(), [], "told once")
        self.env.cr.execute("DELETE FROM whatsapp_message WHERE status = 'failed'")
        invalidate(self.sales)
        [(through, text)] = self.look()
        self.assertEqual(text, "*Sales*\nIt is over: Many WhatsApp messages fail")
        self.assertEqual(self.look(), [])

    def test_an_account_that_is_down_is_told_by_another(self):
        self.state(self.sales, "token_dead")
        self.assertEqual(self.look(), [], "it may connect anew just now")
        [(through, text)] = self.look()
        self.assertEqual(through, "Support")
        self.assertIn("*Sales*\nThis WhatsApp account cannot send or receive. Token refused", text)
        self.state(self.sales, "connected")
        [(through, text)] = self.look()
        self.assertIn("It is over", text)

    def test_a_short_loss_tells_nothing(self):
        self.state(self.sales, "disconnected")
        self.assertEqual(self.look(), [])
        self.state(self.sales, "connected")
        self.assertEqual(self.look(), [])
        self.state(self.sales, "disconnected")
        self.assertEqual(self.look(), [])

    def test_who_can_tell(self):
        kinds = {"state"}
        self.assertEqual(self.sales._alert_sender(kinds), self.support)
        self.assertEqual(self.sales._alert_sender({"sync"}), self.sales)
        self.state(self.support, "connected", waiting="daily_limit")
        self.assertEqual(self.sales._alert_sender({"errors"}), self.sales)
        self.state(self.sales, "disconnected")
        self.assertFalse(self.sales._alert_sender(kinds), "another company's account is none")
        self.state(self.support, "connected")
        self.support.write({"provider": "meta"})
        self.assertFalse(self.sales._alert_sender(kinds), "Meta: only who wrote in the last day")
        contact = self.insert(
            "whatsapp_contact",
            configuration_id=self.support.id,
            contact_id="447700900140",
            phone=PHONE,
        )
        self.insert_message(
            self.support,
            contact_id=contact,
            timestamp=datetime.utcnow().replace(microsecond=0) - timedelta(hours=2),
        )
        self.assertEqual(self.sales._alert_sender(kinds), self.support)

    def test_nobody_can_tell_until_somebody_can(self):
        self.state(self.sales, "disconnected")
        self.state(self.support, "disconnected")
        self.look()
        self.assertEqual(self.look(), [])
        self.state(self.support, "connected")
        told = self.look()
        self.assertEqual([through for through, _text in told], ["Support"])
        self.assertIn("*Sales*", told[0][1])

    def test_a_silent_bridge_sends_nothing(self):
        self.page = None
        self.failures(10)
        for _look in range(3):
            self.assertEqual(self.look(), [])
        self.page = WELL
        [(through, text)] = self.look()
        self.assertIn("Many WhatsApp messages fail", text)

    def test_quiet_hours(self):
        self.failures(10)
        self.hours("0-24")
        self.assertEqual(self.look(), [])
        self.hours("no")
        self.assertEqual(len(self.look()), 1)

    def test_the_night_is_quiet_by_default(self):
        self.company.partner_id.write({"tz": "Europe/London"})
        parameter = self.env["ir.config_parameter"].sudo()
        parameter.search([("key", "=", whatsapp_watch.QUIET_PARAMETER)]).unlink()
        for hour, rests in ((21, False), (22, True), (3, True), (6, True), (7, False)):
            with patch.object(
                whatsapp_watch.fields.Datetime, "now", lambda hour=hour: datetime(2026, 1, 15, hour)
            ):
                self.assertEqual(self.sales._phone_rests(), rests, hour)
                self.assertTrue(self.sales._awake(), "activities make no noise")

    def test_a_phone_that_is_no_number(self):
        self.sales.write({"supervisor_phone": "extension 12"})
        self.failures(10)
        with self.assertLogs("odoo.addons.whatsapp_integration", level="WARNING") as logs:
            self.assertEqual(self.look(), [])
        self.assertIn("is no number", "\n".join(logs.output))
        self.assertEqual(self.look(), [], "said once")
