import base64
import contextlib
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests.common import Form
from odoo.tools import mute_logger

from .. import bridge_client
from ..series import invalidate
from .common import WhatsappCase, post

NUMBER = "+447700900123"
PDF = b"%PDF-1.4 one page"


@post
class TestSendWizard(WhatsappCase):
    def setUp(self):
        super().setUp()
        self.sent, self.files, self.refused = [], [], []
        bridge_client.CAPABILITIES.clear()
        self.addCleanup(bridge_client.CAPABILITIES.clear)

    @contextlib.contextmanager
    def daemon(self, cannot=(), service_window=False):
        """What would have been sent lands in `sent`; the daemon itself is tested end to end."""
        kinds = [key for key, _label in self.wizards()._fields["message_type"].selection]
        known = {"send_%s" % kind: kind not in cannot for kind in kinds}

        def call(env, method, params, wait_ms=0, read_timeout_s=None):
            if method == "configuration.capabilities":
                limits = {"service_window": service_window}
                return {"data": {"capabilities": known, "limits": limits}}
            self.sent.append(params)
            return {"data": {"id": 7}}

        def put_media(env, data, filename=None, mimetype=None, configuration_id=None):
            self.files.append((data, filename, mimetype, configuration_id))
            return 812

        with patch.object(bridge_client, "call", call):
            with patch.object(bridge_client, "put_media", put_media):
                yield

    def wizards(self):
        return self.env["whatsapp.send.message.wizard"].with_user(self.user)

    def send(self, **values):
        wizard = self.wizards().create(dict({"number": NUMBER}, **values))
        action = wizard.action_send()
        self.assertEqual((action["res_model"], action["res_id"]), ("whatsapp.message", 7))
        params = self.sent.pop()
        self.assertEqual(params.pop("idempotency_key"), wizard.idempotency_key)
        self.assertEqual(params.pop("configuration_id"), self.support.id)
        self.assertEqual(params.pop("to"), NUMBER)
        return params

    def test_each_content(self):
        file = {"file": base64.b64encode(PDF), "filename": "offer.pdf"}
        cases = [
            ({"text": "Hi"}, {"text": {"body": "Hi"}}),
            ({"text": "Hi", "preview": False}, {"text": {"body": "Hi", "preview": False}}),
            (
                {
                    "message_type": "location",
                    "latitude": 51.5,
                    "longitude": -0.12,
                    "place_name": "Pier",
                },
                {"location": {"latitude": 51.5, "longitude": -0.12, "name": "Pier"}},
            ),
            (
                {"message_type": "contact", "card_name": "Ada", "card_phone": NUMBER},
                {"contact": {"name": "Ada", "phone": NUMBER}},
            ),
            (
                {"message_type": "poll", "poll_title": "When?", "poll_options": "Mon\n\n Tue "},
                {"poll": {"title": "When?", "options": ["Mon", "Tue"]}},
            ),
            (
                {
                    "message_type": "poll",
                    "poll_title": "When?",
                    "poll_options": "Mon\nTue",
                    "poll_many": True,
                },
                {"poll": {"title": "When?", "options": ["Mon", "Tue"], "count": 0}},
            ),
            (
                {
                    "message_type": "interactive",
                    "text": "Which?",
                    "interactive_options": "Red\nBlue",
                    "interactive_footer": "Thanks",
                },
                {
                    "interactive": {
                        "kind": "buttons",
                        "body": "Which?",
                        "footer": "Thanks",
                        "options": [{"id": "1", "title": "Red"}, {"id": "2", "title": "Blue"}],
                    }
                },
            ),
            (
                {
                    "message_type": "interactive",
                    "interactive_kind": "list",
                    "text": "Which?",
                    "interactive_button": "Colours",
                    "interactive_options": "Red | like a rose",
                },
                {
                    "interactive": {
                        "kind": "list",
                        "body": "Which?",
                        "button": "Colours",
                        "options": [{"id": "1", "title": "Red", "description": "like a rose"}],
                    }
                },
            ),
        ]
        for kind in ("image", "video", "document", "gif"):
            media = {"id": 812, "filename": "offer.pdf", "caption": "Our offer"}
            cases.append((dict(file, message_type=kind, caption="Our offer"), {"media": media}))
        for kind in ("audio", "voice", "sticker"):
            media = {"id": 812, "filename": "offer.pdf"}
            cases.append((dict(file, message_type=kind, caption="not shown"), {"media": media}))
        with self.daemon():
            for values, wanted in cases:
                wanted = dict(wanted, type=values.get("message_type", "text"))
                self.assertEqual(self.send(**values), wanted)
        self.assertEqual(set(self.files), {(PDF, "offer.pdf", "application/pdf", self.support.id)})

    def test_what_is_missing_is_named(self):
        with self.daemon():
            for values in (
                {},
                {"message_type": "document"},
                {"message_type": "location"},
                {"message_type": "contact", "card_name": "Ada"},
                {"message_type": "poll", "poll_title": "When?"},
                {"message_type": "interactive", "interactive_options": "Red"},
                {"message_type": "template"},
            ):
                wizard = self.wizards().create(dict({"number": NUMBER}, **values))
                with self.assertRaises(UserError):
                    wizard.action_send()
        self.assertFalse(self.sent or self.files)

    def test_options(self):
        quoted = self.insert_message(self.support)
        with self.daemon():
            params = self.send(
                text="Hi",
                category="marketing",
                schedule_at="2030-01-02 03:04:05",
                reply_to_id=quoted.id,
            )
        self.assertEqual(params["category"], "marketing")
        self.assertEqual(params["schedule_at"], "2030-01-02T03:04:05Z")
        self.assertEqual(params["reply_to"], quoted.id)

    def test_what_the_account_cannot(self):
        with self.daemon(cannot=("gif", "poll")):
            wizard = self.wizards().create({"number": NUMBER, "message_type": "poll"})
            self.assertEqual(wizard.cannot, ",gif,poll,")
            self.assertIn("Poll", wizard.cannot_hint)
            with self.assertRaises(UserError):
                wizard.action_send()
        self.assertFalse(self.sent)

    def test_nobody_can_tell(self):
        """Without the daemon everything is offered: it decides when it is back."""
        wizard = self.wizards().create({"number": NUMBER})
        self.assertFalse(wizard.cannot or wizard.cannot_hint)

    def test_window(self):
        written = fields.Datetime.now() - timedelta(hours=23)
        chat = self.insert(
            "whatsapp_chat",
            configuration_id=self.support.id,
            chat_id=NUMBER[1:],
            last_inbound_at=written,
        )
        with self.daemon(service_window=True):
            wizard = self.wizards().create({"number": NUMBER})
            self.assertTrue(wizard.window_open)
            self.assertRegex(wizard.window_hint, r"another [01] h \d+ min")
            # Nothing known of that person: nobody wrote.
            wizard = self.wizards().create({"number": "+447700900124"})
            self.assertFalse(wizard.window_open)
            self.assertIn("template", wizard.window_hint)
            self.env.cr.execute(
                "UPDATE whatsapp_chat SET last_inbound_at = %s WHERE id = %s",
                (written - timedelta(hours=2), chat),
            )
            invalidate(self.env["whatsapp.chat"])
            wizard = self.wizards().create({"number": NUMBER})
            self.assertFalse(wizard.window_open)
        bridge_client.CAPABILITIES.clear()
        with self.daemon():
            self.assertFalse(self.wizards().create({"number": NUMBER}).window_hint)

    def test_partner_button(self):
        partner = self.env["res.partner"].create({"name": "Ada", "phone": NUMBER})
        action = partner.with_user(self.user).action_whatsapp_send()
        with self.daemon():
            wizard = self.wizards().with_context(**action["context"]).create({"text": "Hi"})
            wizard.action_send()
        params = self.sent[0]
        self.assertEqual(params["to"], {"partner_id": partner.id})
        self.assertEqual((params["res_model"], params["res_id"]), ("res.partner", partner.id))
        two = partner + self.env["res.partner"].create({"name": "Bo"})
        action = two.with_user(self.user).action_whatsapp_send()
        self.assertEqual(action["res_model"], "whatsapp.bulk.send.wizard")
        self.assertEqual(action["context"]["active_ids"], two.ids)

    def test_card_and_form(self):
        partner = self.env["res.partner"].create({"name": "Ada", "phone": NUMBER})
        with self.daemon():
            with Form(self.wizards()) as form:
                form.number = NUMBER
                form.message_type = "contact"
                form.card_partner_id = partner
                self.assertEqual((form.card_name, form.card_phone), ("Ada", NUMBER))


@post
class TestSendFromDocuments(WhatsappCase):
    def setUp(self):
        super().setUp()
        self.partner = self.env["res.partner"].create({"name": "Ada/Co", "phone": NUMBER})
        model = self.env["ir.model"]._get_id("res.partner")
        view = self.env["ir.ui.view"].create(
            {
                "name": "whatsapp_integration.test_report",
                "key": "whatsapp_integration.test_report",
                "type": "qweb",
                "arch": "<t t-name='whatsapp_integration.test_report'><html><body>"
                "<p t-foreach='docs' t-as='doc'>For <t t-esc='doc.name'/></p></body></html></t>",
            }
        )
        self.env["ir.model.data"].create(
            {
                "module": "whatsapp_integration",
                "name": "test_report",
                "model": "ir.ui.view",
                "res_id": view.id,
            }
        )
        self.report = self.env["ir.actions.report"].create(
            {
                "name": "Sheet",
                "model": "res.partner",
                "report_type": "qweb-html",
                "report_name": "whatsapp_integration.test_report",
            }
        )
        self.action = self.env["ir.actions.server"].create(
            {
                "name": "Send WhatsApp",
                "model_id": model,
                "state": "whatsapp",
                "whatsapp_how": "send",
                "whatsapp_text": "Here it is",
                "whatsapp_configuration_id": self.support.id,
            }
        )

    def run_on(self, records):
        action = self.action.with_context(
            active_model=records._name, active_ids=records.ids, active_id=records.ids[0]
        )
        return action.run()

    def queued(self):
        domain = [("res_model", "=", "res.partner"), ("res_id", "=", self.partner.id)]
        return self.env["whatsapp.message"].search(domain)

    def test_text_at_once(self):
        self.run_on(self.partner)
        message = self.queued()
        self.assertEqual((message.content, message.status), ("Here it is", "queued"))

    def test_report_at_once(self):
        self.action.whatsapp_report_id = self.report
        self.run_on(self.partner)
        message = self.queued()
        self.assertEqual((message.message_type, message.caption), ("document", "Here it is"))
        upload = self.env["whatsapp.media.upload"].search([("message_id", "=", message.id)])
        self.assertEqual(upload.filename, "Sheet - Ada-Co.html")
        self.assertIn(b"For Ada/Co", base64.b64decode(upload.data))

    def test_a_report_names_its_file(self):
        self.report.print_report_name = "'Order %s %s' % (object.name, time.strftime('%Y') and 1)"
        self.action.whatsapp_report_id = self.report
        self.run_on(self.partner)
        upload = self.env["whatsapp.media.upload"].search([("message_id", "=", self.queued().id)])
        self.assertEqual(upload.filename, "Order Ada-Co 1.html")

    def test_a_report_that_fails_is_said(self):
        self.report.print_report_name = "object.nonsense"
        self.action.whatsapp_report_id = self.report
        with mute_logger("odoo.addons.whatsapp_integration.report_file"):
            with self.assertRaisesRegex(UserError, "cannot make the report Sheet"):
                self.run_on(self.partner)

    def test_ask_first(self):
        self.action.write({"whatsapp_how": "ask", "whatsapp_report_id": self.report.id})
        action = self.run_on(self.partner)
        context = action["context"]
        self.assertEqual(context["default_partner_id"], self.partner.id)
        wizard = self.env["whatsapp.send.message.wizard"].with_context(**context).create({})
        self.assertEqual((wizard.message_type, wizard.caption), ("document", "Here it is"))
        self.assertEqual(wizard.filename, "Sheet - Ada-Co.html")
        self.assertIn(b"For Ada/Co", base64.b64decode(wizard.with_context(bin_size=False).file))
        self.assertFalse(self.queued())

    def test_nothing_to_say(self):
        with self.assertRaises(UserError):
            self.action.write({"whatsapp_text": False})
