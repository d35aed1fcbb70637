from unittest.mock import patch

from odoo.exceptions import AccessError, UserError

from .. import bridge_client, explain_words
from .common import WhatsappCase, post


@post
class TestExplain(WhatsappCase):
    """Buttons whose sole effect is a call of the daemon; the daemon's side is tested there."""

    def answering(self, data, asked):
        def ask(env, method, params, wait_ms=0):
            asked.append((method, params))
            return {"data": data, "meta": {}}

        return patch.object(bridge_client, "ask", ask)

    def test_story(self):
        message = self.insert_message(self.support)
        steps = [
            {
                "at": "2026-03-04T10:00:00.123Z",
                "kind": "received",
                "parameters": {"journal_id": 7, "provider": "whapi", "verified_by": "header"},
            },
            {"at": None, "kind": "waits_for_turn", "parameters": {}},
            {"at": None, "kind": "from_the_future", "parameters": {"a": "<b>"}},
        ]
        asked = []
        with self.answering({"steps": steps}, asked):
            action = message.with_user(self.user).with_context(tz="UTC").action_explain()
        self.assertEqual(asked, [("message.explain", {"id": message.id})])
        story = action["context"]["default_story"]
        for words in (
            "2026-03-04 10:00:00",
            "Received from WHAPI.cloud, verified by the secret header; webhook 7",
            "Waits now for its turn.",
            "from_the_future a: &lt;b&gt;",
            "fa-arrow-down",
            "fa-hourglass-half",
        ):
            self.assertIn(words, story)
        self.assertEqual(action["res_model"], "whatsapp.message.why")

    def test_every_kind_has_a_sentence_without_parameters_too(self):
        for kind in explain_words.SENTENCES:
            self.assertTrue(explain_words.sentence(self.env, kind, {}), kind)
            self.assertTrue(explain_words.icon(kind).startswith("fa-"))

    def test_only_those_who_see_the_message(self):
        message = self.insert_message(self.sales)
        with self.assertRaises(AccessError):
            message.with_user(self.user).action_explain()

    def quarantined(self, configuration, **values):
        defaults = {
            "configuration_id": configuration.id,
            "journal_id": "41",
            "event_no": 0,
            "reason": "unknown_channel",
        }
        row = self.insert("whatsapp_quarantine", **dict(defaults, **values))
        return self.env["whatsapp.quarantine"].browse(row)

    def test_replay_and_show(self):
        rows = self.quarantined(self.support) + self.quarantined(self.support, event_no=1)
        rows += self.quarantined(self.support, journal_id="42")
        asked = []
        data = {
            "applied": [41],
            "events": 2,
            "waiting": [],
            "missing": [],
            "quarantined": [
                {"id": 42, "event_no": 0, "reason": "unknown_channel", "detail": None}
            ],
        }
        with self.answering(data, asked):
            action = rows.with_user(self.admin).action_replay()
        self.assertEqual(asked, [("journal.replay", {"ids": [41, 42]})])
        self.assertIn("1 webhooks are applied now", action["params"]["message"])
        self.assertIn("42: No account has this channel", action["params"]["message"])
        self.assertEqual(action["params"]["type"], "warning")
        shown = {"id": 41, "body": "{}", "bytes": 2, "headers": {"content-type": "text/plain"}}
        with self.answering(shown, asked):
            action = rows[0].with_user(self.admin).action_show()
        self.assertEqual(asked[-1], ("journal.show", {"id": 41}))
        self.assertEqual(action["context"]["default_body"], "{}")
        self.assertEqual(action["context"]["default_headers"], "content-type: text/plain")

    def test_quarantine_is_for_administrators_of_the_company(self):
        row = self.quarantined(self.support)
        far = self.quarantined(self.far, journal_id="43")
        asked = []
        with self.answering({}, asked):
            for action in ("action_replay", "action_show"):
                with self.assertRaises(AccessError):
                    getattr(row.with_user(self.user), action)()
                with self.assertRaises(AccessError):
                    getattr(far.with_user(self.admin), action)()
            with self.assertRaises(UserError):
                self.env["whatsapp.quarantine"].with_user(self.admin).action_replay()
        self.assertFalse(asked)

    def test_dialogs_show_what_they_are_given(self):
        values = {"story": "<p>hello</p>"}
        why = self.env["whatsapp.message.why"].with_context(
            default_story=values["story"]
        )
        self.assertIn("hello", why.default_get(["story"])["story"])
