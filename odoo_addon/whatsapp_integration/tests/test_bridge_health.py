from unittest.mock import patch

from odoo.exceptions import AccessError

from .. import bridge_client
from .common import WhatsappCase, keys_file, post

PAGE = {
    "status": "ready",
    "databases": {
        "here": {
            "phase": "ready",
            "workers": 14,
            "connections": {"in_use": 1, "open": 6, "most": 12},
            "lag": {
                "journal_pending": 3,
                "journal_oldest_s": 1.5,
                "quarantined": 2,
                "outbox": 5,
                "outbox_oldest_s": None,
            },
            "accounts": [],
        }
    },
    "process": {
        "version": "5.0.0",
        "uptime_s": 7200,
        "cpu_s": 72.0,
        "memory_bytes": 41943040,
        "threads": 9,
    },
}


class Answer:
    def __init__(self, page, status=200):
        self.page, self.status_code = page, status

    def json(self):
        return self.page


@post
class TestBridgeHealth(WhatsappCase):
    def page_of(self, answer):
        health = self.env["whatsapp.bridge.health"].with_user(self.admin)
        with keys_file(self.env.cr.dbname), patch.object(
            bridge_client, "_request", lambda *a, **kw: answer
        ):
            return health.browse(health.action_open()["res_id"])

    def test_what_the_daemon_says_is_shown(self):
        page = self.page_of(Answer(PAGE))
        self.assertEqual((page.phase, page.version, page.workers), ("ready", "5.0.0", 14))
        self.assertEqual((page.memory_mb, page.cpu_percent, page.threads), (40, 1, 9))
        self.assertEqual((page.journal_pending, page.outbox, page.quarantined), (3, 5, 2))
        self.assertEqual(page.connections, "1 in use, 6 open, at most 12")
        self.assertEqual(page.account_ids, self.support + self.sales)
        self.assertFalse(page.problem)

    def test_not_ready_is_an_answer_too(self):
        page = self.page_of(
            Answer(
                {
                    "status": "not_ready",
                    "databases": {"here": {"phase": "journal_only", "workers": 2, "lag": None}},
                },
                503,
            )
        )
        self.assertEqual(page.phase, "journal_only")
        self.assertTrue(page.problem)

    def test_a_bridge_of_another_version_is_told_of(self):
        for version, good in (("5.0.4", True), ("5.1.0", True), ("6.0.0", False)):
            process = dict(PAGE["process"], version=version)
            page = self.page_of(Answer(dict(PAGE, process=process)))
            self.assertEqual(page.phase, "ready")
            if good:
                self.assertFalse(page.problem)
            else:
                for word in ("6.0.0", "5.0, 5.1", "upgrade the older"):
                    self.assertIn(word, page.problem)

    def test_what_does_not_fit_is_named(self):
        lines = ["column whatsapp_message.extra is missing: upgrade the addon", "another"]
        here = {"phase": "journal_only", "lag": None, "differences": lines}
        answer = {"status": "not_ready", "databases": {"here": here}, "process": PAGE["process"]}
        page = self.page_of(Answer(answer, 503))
        self.assertEqual((page.phase, page.problem), ("journal_only", "\n".join(lines)))

    def test_silence_is_told(self):
        # nothing listens at the address of the keys file
        health = self.env["whatsapp.bridge.health"].with_user(self.admin)
        with keys_file(self.env.cr.dbname):
            page = health.browse(health.action_open()["res_id"])
            self.assertEqual(page.phase, "silent")
            self.assertIn("does not answer", page.problem)
            self.assertTrue(page.action_refresh())
        self.assertEqual(page.account_ids, self.support + self.sales)

    def test_somebody_else_answers(self):
        page = self.page_of(Answer(["nginx"]))
        self.assertEqual(page.phase, "silent")
        self.assertIn("not the bridge", page.problem)

    def test_for_administrators(self):
        health = self.env["whatsapp.bridge.health"]
        for user in (self.user, self.plain):
            with self.assertRaises(AccessError):
                health.with_user(user).action_open()
