from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tools import mute_logger

from ..models.whatsapp_event import ATTEMPTS
from ..models.whatsapp_message import WhatsappMessage
from ..series import invalidate
from .common import RealCase, WhatsappCase, post

LOGGER = "odoo.addons.whatsapp_integration.models.whatsapp_event"


@post
class TestEvents(WhatsappCase):
    def setUp(self):
        super().setUp()
        self.env.cr.execute("DELETE FROM whatsapp_event")
        self.partner = self.env["res.partner"].create({"name": "Ada"})

    def event(self, message, kind="message_received"):
        row = self.insert(
            "whatsapp_event",
            kind=kind,
            message_id=message.id,
            configuration_id=self.support.id,
            phase="new",
        )
        return self.env["whatsapp.event"].browse(row)

    def process(self):
        return self.env(user=1)["whatsapp.event"].process_new()

    def notes(self):
        return self.partner.message_ids.filtered(lambda m: "WhatsApp" in (m.body or ""))

    def sent(self, **values):
        defaults = {
            "direction": "outbound",
            "status": "read",
            "chat_id": "44770@c.us",
            "res_model": "res.partner",
            "res_id": self.partner.id,
            "user_id": self.user.id,
            "timestamp": fields.Datetime.now() - timedelta(hours=1),
        }
        return self.insert_message(self.support, **dict(defaults, **values))

    def answer(self, **values):
        contact = self.insert(
            "whatsapp_contact",
            configuration_id=self.support.id,
            contact_id="44770@c.us",
            name="Ada",
        )
        defaults = {
            "chat_id": "44770@c.us",
            "content": "Yes, <b>please</b>",
            "contact_id": contact,
            "timestamp": fields.Datetime.now(),
        }
        return self.insert_message(self.support, **dict(defaults, **values))

    def test_answer_is_posted_on_the_document(self):
        self.sent()
        event = self.event(self.answer())
        self.assertEqual(self.process(), 1)
        self.assertEqual(event.phase, "seen")
        note = self.notes()
        self.assertEqual(len(note), 1)
        self.assertIn("&lt;b&gt;please", note.body)
        self.assertEqual(note.subtype_id, self.env.ref("mail.mt_note"))
        self.assertIn(self.user.partner_id, note.notified_partner_ids)
        self.assertEqual(self.process(), 0)
        self.assertEqual(len(self.notes()), 1)

    def test_quoted_message_goes_first(self):
        other = self.env["res.partner"].create({"name": "Other"})
        quoted = self.sent(timestamp=fields.Datetime.now() - timedelta(days=30))
        self.sent(res_id=other.id)
        self.event(self.answer(reply_to_id=quoted.id))
        self.process()
        self.assertEqual(len(self.notes()), 1)

    def test_too_old(self):
        self.sent(timestamp=fields.Datetime.now() - timedelta(days=8))
        self.event(self.answer())
        self.process()
        self.assertFalse(self.notes())
        self.env["ir.config_parameter"].set_param("whatsapp_integration.answer_days", "9")
        self.env.cr.execute("DELETE FROM whatsapp_contact")
        self.event(self.answer())
        self.process()
        self.assertEqual(len(self.notes()), 1)

    def test_other_chat_other_account_no_thread(self):
        self.sent(chat_id="44771@c.us")
        self.insert_message(
            self.sales,
            direction="outbound",
            chat_id="44770@c.us",
            res_model="res.partner",
            res_id=self.partner.id,
            timestamp=fields.Datetime.now(),
        )
        self.event(self.answer())
        self.process()
        self.assertFalse(self.notes())
        # a document that is no thread, and one that is gone
        self.sent(res_model="res.country", res_id=self.env.ref("base.be").id)
        self.env.cr.execute("DELETE FROM whatsapp_contact")
        event = self.event(self.answer())
        self.process()
        self.assertEqual(event.phase, "seen")
        self.sent(res_id=self.partner.id + 100000)
        self.env.cr.execute("DELETE FROM whatsapp_contact")
        event = self.event(self.answer())
        self.process()
        self.assertEqual(event.phase, "seen")

    def test_a_broken_handler_stops_no_other(self):
        first, second, third = (
            self.event(self.insert_message(self.support, content=text)) for text in "abc"
        )
        handled = []

        def on_received(message):
            message.env["res.partner"].create({"name": "by handler of %s" % message.content})
            if message.content == "b":
                message.env.cr.execute("SELECT no_such_column FROM whatsapp_event")
            handled.append(message.content)

        with patch.object(WhatsappMessage, "_on_received", on_received):
            with mute_logger("odoo.sql_db"), self.assertLogs(LOGGER, "ERROR") as logs:
                self.assertEqual(self.process(), 3)
            self.assertEqual(handled, ["a", "c"])
            self.assertEqual(first.phase, "seen")
            self.assertEqual((second.phase, second.attempts), ("new", 1))
            self.assertEqual(third.phase, "seen")
            self.assertIn("attempt 1 of 5", logs.output[0])
            made = self.env["res.partner"].search([("name", "like", "by handler of")])
            self.assertEqual(len(made), 2)  # what the broken one did is rolled back
            # not again at once
            self.assertEqual(self.process(), 0)
            for attempt in range(2, ATTEMPTS + 1):
                self.env.cr.execute(
                    "UPDATE whatsapp_event SET write_date = write_date - interval '1 hour'"
                )
                with mute_logger("odoo.sql_db", LOGGER):
                    self.assertEqual(self.process(), 1, attempt)
        self.assertEqual((second.phase, second.attempts), ("failed", ATTEMPTS))
        self.assertEqual(self.process(), 0)
        with self.assertRaises(AccessError):
            second.with_user(self.user).action_retry()
        second.with_user(self.admin).action_retry()
        self.assertEqual(self.process(), 1)
        self.assertEqual(second.phase, "seen")

    def test_kinds(self):
        message = self.insert_message(self.support)
        called = []

        def on_status(message):
            called.append(("status", message.ids))

        accounts = type(self.env["whatsapp.configuration"])
        with patch.object(WhatsappMessage, "_on_status", on_status):
            with patch.object(accounts, "_on_alert", lambda r: called.append(("alert", r.ids))):
                self.event(message, "status_failed")
                self.event(message, "alert")
                self.event(message, "account_state")
                unknown = self.event(message, "from_the_future")
                with mute_logger(LOGGER):
                    self.assertEqual(self.process(), 4)
        self.assertEqual(
            called,
            [
                ("status", message.ids),
                ("alert", self.support.ids),
                ("alert", self.support.ids),
            ],
        )
        self.assertEqual(unknown.phase, "seen")

    def test_what_is_to_be_tried_again_keeps_what_was_done(self):
        event = self.event(self.insert_message(self.support, content="a"))
        results = [True, False]

        def dispatch(event):
            event.env["res.partner"].create({"name": "done by an event"})
            return results.pop(0)

        with patch.object(type(self.env["whatsapp.event"]), "_dispatch", dispatch):
            with mute_logger(LOGGER):
                self.assertEqual(self.process(), 1)
            self.assertEqual((event.phase, event.attempts), ("new", 1))
            self.env.cr.execute(
                "UPDATE whatsapp_event SET write_date = write_date - interval '1 hour'"
            )
            self.assertEqual(self.process(), 1)
        self.assertEqual(event.phase, "seen")
        made = self.env["res.partner"].search([("name", "=", "done by an event")])
        self.assertEqual(len(made), 2)

    def test_every_kind_has_its_handler(self):
        message = self.insert_message(self.support)
        called = []
        accounts = type(self.env["whatsapp.configuration"])
        names = [
            (WhatsappMessage, "_on_received", "message_received"),
            (WhatsappMessage, "_on_edited", "message_edited"),
            (WhatsappMessage, "_on_media", "media_ready"),
            (WhatsappMessage, "_on_status", "status_failed"),
            (accounts, "_on_alert", "alert"),
            (accounts, "_on_template", "template_status"),
            (accounts, "_on_preference", "preference"),
        ]
        for owner, name, kind in names:
            event = self.event(message, kind)
            self.env.cr.execute(
                "UPDATE whatsapp_event SET payload = %s WHERE id = %s", ('{"a": 1}', event.id)
            )
            invalidate(event)

            def handler(records, kind=kind):
                details = records.env["whatsapp.event"]._current()._details()
                called.append((kind, details))

            with patch.object(owner, name, handler):
                self.assertEqual(self.process(), 1)
            self.assertEqual(event.phase, "seen")
        self.assertEqual(called, [(kind, {"a": 1}) for _owner, _name, kind in names])

    def alert(self, kind, payload):
        row = self.insert(
            "whatsapp_event",
            kind=kind,
            configuration_id=self.support.id,
            phase="new",
            payload=payload,
        )
        self.process()
        invalidate(self.env["whatsapp.event"])
        self.assertEqual(self.env["whatsapp.event"].browse(row).phase, "seen")

    def activities(self, user):
        return self.env["mail.activity"].search(
            [
                ("res_model", "=", "whatsapp.configuration"),
                ("res_id", "=", self.support.id),
                ("user_id", "=", user.id),
            ]
        )

    def test_trouble_becomes_one_activity_until_it_is_over(self):
        self.alert("account_state", '{"state": "qr_needed", "reason": "logged out"}')
        first = self.activities(self.admin)
        self.assertEqual(len(first), 1)
        self.assertIn("logged out", first.note)
        self.assertFalse(self.activities(self.user))
        self.alert("account_state", '{"state": "disconnected"}')
        self.assertEqual(self.activities(self.admin), first)
        self.alert("alert", '{"kind": "quality", "detail": "YELLOW"}')
        self.alert("alert", '{"kind": "quality", "detail": "RED"}')
        self.assertEqual(len(self.activities(self.admin)), 2)
        self.alert("account_state", '{"state": "connected"}')
        left = self.activities(self.admin)
        self.assertEqual(len(left), 1)
        self.assertIn("YELLOW", left.note)
        self.alert("account_state", '{"state": "banned"}')
        self.assertEqual(len(self.activities(self.admin)), 2)

    def test_limit(self):
        for _number in range(3):
            self.event(self.insert_message(self.support))
        events = self.env(user=1)["whatsapp.event"]
        self.assertEqual([events.process_new(limit=2) for _run in range(3)], [2, 1, 0])

    def test_system_only(self):
        for user in (self.user, self.admin):
            with self.assertRaises(AccessError):
                self.env["whatsapp.event"].with_user(user).process_new()

    def test_cron(self):
        cron = self.env.ref("whatsapp_integration.cron_process_events")
        self.assertEqual(
            (cron.interval_number, cron.interval_type, cron.active), (1, "minutes", True)
        )
        self.assertEqual(cron.code, "model._cron_process()")


@post
class TestClaim(RealCase):
    def test_two_claimers_never_share_a_row(self):
        # What the database held before comes first; it is not this test's matter.
        waiting = "SELECT count(*) FROM whatsapp_event WHERE phase = 'new'"
        before = self.sql(waiting)[0][0]
        # Events without a message: nothing runs for them, they are only claimed.
        ids = [
            row[0]
            for row in self.sql(
                "INSERT INTO whatsapp_event (kind, phase) VALUES"
                " ('alert', 'new'), ('alert', 'new'), ('alert', 'new') RETURNING id"
            )
        ]
        self.addCleanup(self.sql, "DELETE FROM whatsapp_event WHERE id = ANY(%s)", (ids,))

        def first(env):
            done = env["whatsapp.event"].process_new(limit=before + 2)
            return done, self.env_do(lambda other: other["whatsapp.event"].process_new(limit=50))

        self.assertEqual(self.env_do(first), (before + 2, 1))
        left = self.sql(
            "SELECT count(*) FROM whatsapp_event WHERE id = ANY(%s) AND phase = 'seen'", (ids,)
        )
        self.assertEqual(left[0][0], 3)
