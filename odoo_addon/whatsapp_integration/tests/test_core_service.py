import json
from datetime import datetime

from odoo.exceptions import AccessError, UserError
from odoo.tools import mute_logger

from .common import WhatsappCase, post

LOGGER = "odoo.addons.whatsapp_integration.models.whatsapp_core_service"


@post
class TestCoreService(WhatsappCase):
    def send(self, user, *args, **kwargs):
        return self.env["whatsapp.core.service"].with_user(user).send_text_message(*args, **kwargs)

    def outbox(self, answer):
        return self.env["whatsapp.outbox.in"].search([("message_id", "=", answer["data"]["id"])])

    def assert_refused(self, answer, code, row=False):
        self.assertFalse(answer["success"])
        self.assertEqual(answer["error"]["code"], code)
        self.assertTrue(answer["error"]["message"])
        self.assertEqual("id" in answer["error"]["details"], row)
        self.assertTrue(answer["meta"]["request_id"])
        if row:
            message = self.env["whatsapp.message"].browse(answer["error"]["details"]["id"])
            self.assertEqual(message.status, "failed")
            self.assertEqual(message.error_code, answer["error"]["details"]["kind"])
            self.assertTrue(message.failed_at)
            self.assertTrue(message.failure)
            self.assertFalse(
                self.env["whatsapp.outbox.in"].search([("message_id", "=", message.id)])
            )

    def test_the_log_has_the_id_under_which_it_is_sent(self):
        # No level: Odoo gives the word INFO to a level of its own, above it.
        with self.assertLogs(LOGGER) as logs:
            answer = self.send(self.user, "+44 7700 900123", "Not for logs")
        message = self.env["whatsapp.message"].browse(answer["data"]["id"])
        self.assertEqual(message.request_id, answer["meta"]["request_id"])
        (line,) = logs.output
        self.assertIn("message.id=%d" % message.id, line)
        self.assertIn("request.id=%s" % message.request_id, line)
        self.assertNotIn("Not for logs", line)

    def test_row_and_outbox_row(self):
        answer = self.send(self.user, "+44 7700 900123", "Hello there")
        self.assertTrue(answer["success"], answer)
        self.assertEqual(set(answer), {"success", "data", "meta"})
        self.assertEqual(set(answer["data"]), {"id", "message_id", "status", "timestamp"})
        self.assertEqual(answer["data"]["status"], "queued")
        self.assertIsNone(answer["data"]["message_id"])
        self.assertRegex(answer["data"]["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(answer["meta"]["provider"], "whapi")
        message = self.env["whatsapp.message"].browse(answer["data"]["id"])
        self.assertEqual(
            (message.status, message.direction, message.origin, message.message_type),
            ("queued", "outbound", "odoo", "text"),
        )
        self.assertEqual(message.content, "Hello there")
        self.assertEqual(message.configuration_id, self.support)
        self.assertEqual(message.user_id, self.user)
        self.assertTrue(message.from_me and message.queued_at and message.timestamp)
        self.assertFalse(message.chat_id or message.contact_id or message.message_id)
        row = self.outbox(answer)
        self.assertEqual(row.recipient, "+44 7700 900123")
        self.assertEqual(row.configuration_id, self.support)
        self.assertEqual(json.loads(row.request), {"type": "text", "text": {"body": "Hello there"}})
        self.assertFalse(row.idempotency_key or row.schedule_at)
        # raw, as the daemon reads it
        self.env.cr.execute(
            "SELECT chat_id, res_id, reply_to_id FROM whatsapp_message WHERE id = %s", (message.id,)
        )
        self.assertEqual(self.env.cr.fetchone(), (None, None, None))

    def test_all_parameters(self):
        partner = self.env["res.partner"].create({"name": "Ada"})
        quoted = self.insert_message(self.support)
        answer = self.send(
            self.user,
            "+447700900123",
            "Hello",
            configuration_id=self.support.id,
            res_model="res.partner",
            res_id=partner.id,
            reply_to=quoted.id,
            idempotency_key="key 1",
            schedule_at="2031-05-04T03:02:01Z",
            category="utility",
        )
        self.assertTrue(answer["success"], answer)
        message = self.env["whatsapp.message"].browse(answer["data"]["id"])
        self.assertEqual((message.res_model, message.res_id), ("res.partner", partner.id))
        self.assertEqual((message.reply_to_id, message.category), (quoted, "utility"))
        row = self.outbox(answer)
        self.assertEqual(row.idempotency_key, "key 1")
        self.assertEqual(row.schedule_at, datetime(2031, 5, 4, 3, 2, 1))
        self.assertEqual(
            json.loads(row.request),
            {
                "type": "text",
                "text": {"body": "Hello"},
                "category": "utility",
                "reply_to": quoted.id,
                "res_model": "res.partner",
                "res_id": partner.id,
            },
        )
        self.assertEqual(message.with_user(self.user).document_name, "Ada")

    def test_recipients_as_records(self):
        partner = self.env["res.partner"].create({"name": "Ada", "phone": "+44 7700 900456"})
        row = self.outbox(self.send(self.user, partner, "Hello"))
        self.assertEqual(row.recipient, "+447700900456")
        contact = self.env["whatsapp.contact"].browse(
            self.insert(
                "whatsapp_contact", configuration_id=self.support.id, contact_id="44770@c.us"
            )
        )
        self.assertEqual(self.outbox(self.send(self.user, contact, "Hi")).recipient, "44770@c.us")

    @mute_logger(LOGGER)
    def test_recipients_by_row_id(self):
        partner = self.env["res.partner"].create({"name": "Ada", "phone": "+44 7700 900456"})
        row = self.outbox(self.send(self.user, {"partner_id": partner.id}, "Hello"))
        self.assertEqual(row.recipient, "+447700900456")
        own = self.insert(
            "whatsapp_contact", configuration_id=self.support.id, contact_id="44770@c.us"
        )
        row = self.outbox(self.send(self.user, {"contact_id": own}, "Hello"))
        self.assertEqual(row.recipient, "44770@c.us")
        unseen = self.insert(
            "whatsapp_contact", configuration_id=self.sales.id, contact_id="44771@c.us"
        )
        for to in (
            {"contact_id": unseen},
            {"group_id": 0},
            {"partner_id": str(partner.id)},
            {"partner_id": partner.id, "contact_id": own},
            {"user_id": self.user.id},
            {},
        ):
            self.assert_refused(self.send(self.user, to, "Hello"), 1101, row=True)

    def test_default_account(self):
        self.assertEqual(self.account_of(self.send(self.admin, "+447700900123", "a")), self.support)
        self.support.write({"sequence": 30})
        self.assertEqual(self.account_of(self.send(self.admin, "+447700900123", "b")), self.sales)
        # the account that wrote last in the chat goes first
        self.insert(
            "whatsapp_chat",
            configuration_id=self.support.id,
            chat_id="447700900123@s.whatsapp.net",
            last_message_at="2026-01-01 00:00:00",
        )
        answer = self.send(self.admin, "+44 7700 900123", "c")
        self.assertEqual(self.account_of(answer), self.support)
        # not when the user may not use it
        self.sales.write({"user_ids": [(6, 0, self.user.ids)]})
        self.support.write({"user_ids": [(6, 0, [])]})
        answer = self.send(self.user, "+447700900123", "d")
        self.assertEqual(self.account_of(answer), self.sales)

    def account_of(self, answer):
        self.assertTrue(answer["success"], answer)
        return self.env["whatsapp.message"].browse(answer["data"]["id"]).configuration_id

    @mute_logger(LOGGER)
    def test_access(self):
        before = self.env["whatsapp.message"].search_count([])
        to, text = "+447700900123", "Hello"
        self.assert_refused(self.send(self.plain, to, text), 1001)
        for account in (self.sales, self.far):
            answer = self.send(self.user, to, text, configuration_id=account.id)
            self.assert_refused(answer, 1001)
        missing = self.far.id + 1000
        self.assert_refused(self.send(self.user, to, text, configuration_id=missing), 1001)
        self.assert_refused(self.send(self.admin, to, text, configuration_id=missing), 1002)
        self.support.write({"user_ids": [(6, 0, [])]})
        self.assert_refused(self.send(self.user, to, text), 1003)
        self.assertEqual(self.env["whatsapp.message"].search_count([]), before)

    @mute_logger(LOGGER)
    def test_in_the_name_of_somebody_else(self):
        to, text = "+447700900123", "Hello"
        self.assert_refused(self.send(self.admin, to, text, user_id=self.user.id), 1001)
        self.assertTrue(self.send(self.user, to, text, user_id=self.user.id)["success"])
        service = self.env["whatsapp.core.service"].with_user(self.plain).sudo()
        answer = service.send_text_message(to, text, user_id=self.user.id)
        message = self.env["whatsapp.message"].browse(answer["data"]["id"])
        self.assertEqual(message.user_id, self.user)
        # superuser mode itself opens nothing: the effective user is looked at
        self.assert_refused(service.send_text_message(to, text), 1001)
        self.assert_refused(service.send_text_message(to, text, user_id=self.plain.id), 1001)
        self.user.active = False
        self.assert_refused(service.send_text_message(to, text, user_id=self.user.id), 1001)

    def test_the_system(self):
        service = self.env(user=1)["whatsapp.core.service"]
        answer = service.send_text_message("+447700900123", "Hi", configuration_id=self.far.id)
        message = self.env["whatsapp.message"].browse(answer["data"]["id"])
        self.assertEqual(message.configuration_id, self.far)
        self.assertFalse(message.user_id)

    @mute_logger(LOGGER)
    def test_refusals_leave_failed_rows(self):
        self.assert_refused(self.send(self.user, "", "Hello"), 1101, row=True)
        self.assert_refused(self.send(self.user, None, "Hello"), 1101, row=True)
        self.assert_refused(self.send(self.user, "Ada", "Hello"), 1101, row=True)
        self.assert_refused(self.send(self.user, "+", "Hello"), 1101, row=True)
        self.assert_refused(self.send(self.user, "+447700900123", "  "), 1102, row=True)
        self.assert_refused(self.send(self.user, "+447700900123", None), 1102, row=True)
        answer = self.send(self.user, "+447700900123", "x", category="spam")
        self.assert_refused(answer, 1102, row=True)
        answer = self.send(self.user, "+447700900123", "x", schedule_at="tomorrow")
        self.assert_refused(answer, 1102, row=True)
        self.support.active = False
        answer = self.send(self.user, "+447700900123", "x", configuration_id=self.support.id)
        self.assert_refused(answer, 1004, row=True)

    @mute_logger(LOGGER)
    def test_documents_must_be_readable(self):
        private = self.env["ir.config_parameter"].search([], limit=1)
        to = "+447700900123"
        for model, record in (("ir.config_parameter", private.id), ("no.model", 1)):
            answer = self.send(self.user, to, "x", res_model=model, res_id=record)
            self.assert_refused(answer, 1504, row=True)
        answer = self.send(self.user, to, "x", reply_to=self.insert_message(self.sales).id)
        self.assert_refused(answer, 1504, row=True)

    def test_raise_on_error(self):
        before = self.env["whatsapp.message"].search_count([])
        with self.assertRaises(UserError):
            self.send(self.user, "", "Hello", raise_on_error=True)
        with self.assertRaises(UserError):
            self.send(self.plain, "+447700900123", "Hello", raise_on_error=True)
        self.assertEqual(self.env["whatsapp.message"].search_count([]), before)

    def test_unknown_arguments_are_mistakes(self):
        with self.assertRaises(TypeError):
            self.send(self.user, "+447700900123", "Hello", reply=1)

    def test_server_action(self):
        partner = self.env["res.partner"].create({"name": "Ada", "phone": "+44 7700 900456"})
        action = self.env["ir.actions.server"].create(
            {
                "name": "Write to them",
                "model_id": self.env.ref("base.model_res_partner").id,
                "state": "code",
                "code": "for record in records:\n"
                "    env['whatsapp.core.service'].send_text_message("
                "record, 'Hello %s' % record.name, res_model=record._name, res_id=record.id)",
            }
        )
        names = "groups_id" if "groups_id" in self.admin._fields else "group_ids"
        self.admin.write({names: [(4, self.env.ref("base.group_partner_manager").id)]})
        action.with_user(self.admin).with_context(
            active_model="res.partner", active_ids=partner.ids, active_id=partner.id
        ).run()
        message = self.env["whatsapp.message"].search([("res_id", "=", partner.id)])
        self.assertEqual((message.content, message.user_id), ("Hello Ada", self.admin))

    def test_nothing_else_is_public(self):
        """Any method of an abstract model can be called over RPC: these alone are meant to."""
        service = type(self.env["whatsapp.core.service"])
        own = {
            name
            for cls in service.__mro__
            if cls.__module__.startswith("odoo.addons.whatsapp_integration")
            for name in vars(cls)
            if not name.startswith("_")
        }
        own -= set(dir(self.env["base"]))
        groups = {"create_group", "remove_group_member"}
        sync = {"sync_contacts", "sync_groups", "sync_messages"}
        self.assertEqual(own, {"send_text_message", "send_media_message"} | groups | sync)

    def test_wizard(self):
        wizard = self.env["whatsapp.send.message.wizard"].with_user(self.user).create({})
        self.assertEqual(wizard.configuration_id, self.support)
        self.assertTrue(wizard.idempotency_key)
        with self.assertRaises(UserError):
            wizard.action_send()
        wizard.write({"number": "+447700900123", "text": "Hello"})
        self.assertEqual(
            wizard._params(),
            {
                "configuration_id": self.support.id,
                "to": "+447700900123",
                "type": "text",
                "text": {"body": "Hello"},
                "idempotency_key": wizard.idempotency_key,
            },
        )
        partner = self.env["res.partner"].create({"name": "Ada"})
        wizard.write({"recipient_type": "partner", "partner_id": partner.id})
        self.assertEqual(wizard._params()["to"], {"partner_id": partner.id})
        with self.assertRaises(AccessError):
            self.env["whatsapp.send.message.wizard"].with_user(self.plain).create({})

    def test_reply_opens_the_wizard(self):
        contact = self.insert(
            "whatsapp_contact", configuration_id=self.support.id, contact_id="44770@c.us"
        )
        message = self.insert_message(self.support, contact_id=contact).with_user(self.user)
        action = message.action_reply()
        wizard = (
            self.env["whatsapp.send.message.wizard"]
            .with_user(self.user)
            .with_context(**action["context"])
            .create({"text": "Yes"})
        )
        params = wizard._params()
        self.assertEqual((params["to"], params["reply_to"]), ({"contact_id": contact}, message.id))
