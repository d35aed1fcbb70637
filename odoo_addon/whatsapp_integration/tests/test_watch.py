from datetime import datetime, timedelta
from unittest.mock import patch

from .. import bridge_client
from ..models import whatsapp_watch
from .common import WhatsappCase, post

WELL = {"status": "ready", "databases": {"here": {"phase": "ready", "lag": {}}}}


@post
class TestWatch(WhatsappCase):
    def setUp(self):
        super().setUp()
        self.page = WELL
        patcher = patch.object(bridge_client, "readiness", self.readiness)
        patcher.start()
        self.addCleanup(patcher.stop)

    def readiness(self, env):
        if not self.page:
            raise bridge_client.BridgeError("bridge_unavailable", "It is silent")
        return self.page

    def look(self, account=None):
        """Summaries of what the administrator is told about an account, after one look."""
        self.env["whatsapp.configuration"]._cron_watch()
        return self.told(account or self.sales)

    def told(self, account):
        activities = self.env["mail.activity"].search(
            [
                ("res_model", "=", "whatsapp.configuration"),
                ("res_id", "=", account.id),
                ("user_id", "=", self.admin.id),
            ]
        )
        return sorted(activities.mapped("summary"))

    def sends(self, count, status):
        now = datetime.utcnow().replace(microsecond=0)
        for _number in range(count):
            self.insert_message(
                self.sales,
                direction="outbound",
                status=status,
                timestamp=now - timedelta(minutes=1),
                sent_at=now if status != "failed" else None,
                origin="odoo",
            )

    def test_failures_with_hysteresis(self):
        self.sends(9, "failed")
        self.assertEqual(self.look(), [], "too few to say anything")
        self.sends(21, "sent")
        self.sends(1, "failed")
        failing = ["Many WhatsApp messages fail"]
        self.assertEqual(self.look(), failing)
        self.assertEqual(self.look(), failing, "told once")
        self.sends(40, "sent")  # 14 %: neither raised nor over
        self.assertEqual(self.look(), failing)
        self.sends(60, "sent")  # 8 %
        self.assertEqual(self.look(), [])

    def test_what_was_dealt_with_is_not_told_again(self):
        self.sends(10, "failed")
        self.assertTrue(self.look())
        self.env["mail.activity"].search([("res_id", "=", self.sales.id)]).action_feedback()
        self.assertEqual(self.look(), [])

    def test_synchronisations_quota_and_quarantine(self):
        for state in ("done", "failed"):
            self.insert("whatsapp_sync_run", configuration_id=self.sales.id, state=state)
        self.sales.write({"daily_limit": 20})
        self.sends(17, "sent")
        self.assertEqual(self.look(), [])
        self.sends(1, "sent")
        self.insert("whatsapp_sync_run", configuration_id=self.sales.id, state="failed")
        self.insert(
            "whatsapp_quarantine", configuration_id=self.sales.id, journal_id="1", event_no=0
        )
        self.assertEqual(
            self.look(),
            [
                "Something arrived from WhatsApp that was not understood",
                "The day's limit of a WhatsApp account is near",
                "WhatsApp synchronisations fail",
            ],
        )
        self.insert("whatsapp_sync_run", configuration_id=self.sales.id, state="done")
        self.env.cr.execute("DELETE FROM whatsapp_quarantine")
        self.sales.write({"daily_limit": 100})
        self.assertEqual(self.look(), [])

    def test_the_bridge(self):
        silent = ["The WhatsApp bridge does not answer"]
        self.page = None
        self.assertEqual(self.look(self.support), [], "it may be restarted just now")
        self.page = WELL
        self.assertEqual(self.look(self.support), [])
        self.page = None
        self.assertEqual(self.look(self.support), [], "begins anew")
        self.assertEqual(self.look(self.support), silent, "on the first account of the company")
        self.assertEqual(self.told(self.sales), [])
        lag = {"journal_oldest_s": 400, "journal_pending": 7, "outbox_oldest_s": 20}
        self.page = {"status": "ready", "databases": {"here": {"lag": lag}}}
        late = ["What arrives from WhatsApp is late"]
        self.assertEqual(self.look(self.support), late)
        self.page["databases"]["here"]["lag"]["journal_oldest_s"] = 100
        self.assertEqual(self.look(self.support), late)
        self.page = WELL
        self.assertEqual(self.look(self.support), [])

    def test_quiet_hours(self):
        self.env["ir.config_parameter"].sudo().set_param(whatsapp_watch.QUIET_PARAMETER, "0-24")
        self.sends(10, "failed")
        self.assertEqual(self.look(), [])
        self.env["ir.config_parameter"].sudo().set_param(whatsapp_watch.QUIET_PARAMETER, "")
        self.assertEqual(len(self.look()), 1)

    def test_quiet_hours_that_are_none(self):
        for words in ("no", "late"):
            self.env["ir.config_parameter"].sudo().set_param(whatsapp_watch.QUIET_PARAMETER, words)
            self.assertTrue(self.sales._awake(), words)

    def calls(self, count, response_time, **values):
        now = datetime.utcnow().replace(microsecond=0)
        for _number in range(count):
            self.insert(
                "whatsapp_audit_log",
                **dict(
                    dict(
                        configuration_id=self.sales.id,
                        operation="message.send",
                        success=True,
                        response_time=response_time,
                        timestamp=now - timedelta(minutes=1),
                    ),
                    **values,
                ),
            )

    def test_slow_responses(self):
        slowly = ["The WhatsApp provider answers slowly"]
        self.calls(4, 9000)
        self.calls(9, 9000, timestamp=datetime.utcnow() - timedelta(hours=1))
        self.calls(9, 30000, address="10.0.0.1")
        self.calls(9, 30000, operation="sync.run")
        self.assertEqual(self.look(), [], "too few calls of the provider to say anything")
        self.calls(1, 9000)
        self.assertEqual(self.look(), slowly)
        self.calls(6, 3000)  # the middle is 3 s: between the limits
        self.assertEqual(self.look(), slowly)
        self.calls(12, 100)
        self.assertEqual(self.look(), [])
        self.env["ir.config_parameter"].sudo().set_param(whatsapp_watch.SLOW_PARAMETER, "90")
        self.assertEqual(self.look(), slowly)

    def test_other_companies_are_told_of_their_own(self):
        self.sends(10, "failed")
        self.look()
        users = self.env["mail.activity"].search([("res_id", "=", self.sales.id)]).mapped("user_id")
        self.assertIn(self.admin, users)
        self.assertNotIn(self.user, users)
