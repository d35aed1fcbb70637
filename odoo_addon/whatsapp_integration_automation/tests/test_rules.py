import os

from odoo.tools import mute_logger

from odoo.addons.whatsapp_integration.series import SERIES, invalidate
from odoo.addons.whatsapp_integration.tests.common import WhatsappCase, post

LOGGER = "odoo.addons.whatsapp_integration_automation.models.whatsapp_event"
EVENTS = "odoo.addons.whatsapp_integration.models.whatsapp_event"
NOTE = "env['res.partner'].create({'name': 'rule %s: ' + (record.content or '')})"


@post
class TestRules(WhatsappCase):
    def setUp(self):
        super().setUp()
        self.env.cr.execute("DELETE FROM whatsapp_event")
        self.env["base.automation"].search([("model_name", "=", "whatsapp.message")]).write(
            {"active": False}
        )

    def rule(self, name, code=None, trigger="on_create", **values):
        model = self.env["ir.model"]._get("whatsapp.message")
        code = code or NOTE % name
        if SERIES < 17:
            values.update(state="code", code=code)
        else:
            action = {"name": name, "model_id": model.id, "state": "code", "code": code}
            values["action_server_ids"] = [(0, 0, action)]
        values.update(name=name, model_id=model.id, trigger=trigger)
        return self.env["base.automation"].create(values)

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

    def made(self):
        return sorted(self.env["res.partner"].search([("name", "like", "rule ")]).mapped("name"))

    def test_received(self):
        self.rule("a")
        self.rule("b", trigger="on_create_or_write")
        self.rule("written", trigger="on_write")
        self.rule("c", filter_domain="[('content', '=', 'other')]")
        self.rule("d", filter_domain="[('direction', '=', 'inbound')]")
        event = self.event(self.insert_message(self.support, content="hi"))
        self.assertEqual(self.process(), 1)
        self.assertEqual(event.phase, "seen")
        self.assertEqual(self.made(), ["rule a: hi", "rule b: hi", "rule d: hi"])
        # the same event again, as after a lost answer: nothing twice
        self.env.cr.execute("UPDATE whatsapp_event SET phase = 'new'")
        invalidate(event)
        self.process()
        self.assertEqual(len(self.made()), 3)

    def test_changed(self):
        message = self.insert_message(self.support, direction="outbound", status="failed")
        model = self.env["ir.model.fields"]
        status, content = (
            model._get("whatsapp.message", name) for name in ("status", "content")
        )
        self.rule("new")
        self.rule("any", trigger="on_create_or_write")
        self.rule("status", trigger="on_create_or_write", trigger_field_ids=[(6, 0, status.ids)])
        self.rule("content", trigger="on_create_or_write", trigger_field_ids=[(6, 0, content.ids)])
        self.event(message, "status_failed")
        self.process()
        self.assertEqual(self.made(), ["rule any: Hello", "rule status: Hello"])
        self.event(message, "message_edited")
        self.process()
        self.assertEqual(
            self.made(),
            ["rule any: Hello", "rule any: Hello", "rule content: Hello", "rule status: Hello"],
        )

    def test_a_broken_rule_stops_no_other(self):
        self.rule("a", sequence=1) if SERIES < 17 else self.rule("a")
        broken = self.rule("broken", code=NOTE % "broken" + "\nrecord.no_such_field")
        self.rule("z")
        event = self.event(self.insert_message(self.support, content="hi"))
        with self.assertLogs(LOGGER, "ERROR") as logs, mute_logger(EVENTS, "odoo.addons.base"):
            self.process()
        self.assertIn("rule %s failed" % broken.id, logs.output[0])
        self.assertEqual(self.made(), ["rule a: hi", "rule z: hi"])
        self.assertEqual((event.phase, event.attempts), ("new", 1))
        # mended, and tried again a minute later: only the broken one runs
        action = broken.action_server_id if SERIES < 17 else broken.action_server_ids
        action.write({"code": NOTE % "mended"})
        self.env.cr.execute("UPDATE whatsapp_event SET write_date = write_date - interval '1 hour'")
        invalidate(event)
        self.process()
        self.assertEqual(event.phase, "seen")
        self.assertEqual(self.made(), ["rule a: hi", "rule mended: hi", "rule z: hi"])

    def test_other_events_run_no_rule(self):
        self.rule("a", trigger="on_create_or_write")
        self.event(self.insert_message(self.support), "preference")
        self.process()
        self.assertFalse(self.made())

    def test_example_auto_reply(self):
        """The server action of docs/AUTOMATION.md."""
        path = os.path.join(os.path.dirname(__file__), "..", "examples", "auto_reply.py")
        with open(path) as example:
            self.rule("auto-reply", code=example.read())
        chat = "447700900123@s.whatsapp.net"
        values = {"chat_id": chat, "provider": "whapi"}
        for number in range(2):
            self.event(self.insert_message(self.support, message_id="m%s" % number, **values))
        group = self.insert(
            "whatsapp_group", configuration_id=self.support.id, group_id="1@g.us", name="Group"
        )
        self.event(self.insert_message(self.support, chat_id="1@g.us", group_id=group))
        self.assertEqual(self.process(), 3)
        invalidate(self.env["whatsapp.message"])
        waiting = self.env["whatsapp.outbox.in"].search([("configuration_id", "=", self.support.id)])
        self.assertEqual(set(waiting.mapped("recipient")), {chat})
        self.assertEqual(len(set(waiting.mapped("idempotency_key"))), 1)
        sent = waiting.mapped("message_id")
        self.assertEqual(set(sent.mapped("direction")), {"outbound"})
        self.assertIn("weekdays", sent[0].content)
