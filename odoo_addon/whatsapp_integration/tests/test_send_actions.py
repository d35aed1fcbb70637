import contextlib
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from .common import WhatsappCase, post


@post
class TestMessageActions(WhatsappCase):
    def setUp(self):
        super().setUp()
        self.calls = []
        bridge_client.CAPABILITIES.clear()
        self.addCleanup(bridge_client.CAPABILITIES.clear)

    @contextlib.contextmanager
    def daemon(self, **capabilities):
        """What the daemon was asked lands in `calls`; the call itself is tested end to end."""

        def call(env, method, params, wait_ms=0, read_timeout_s=None):
            if method == "configuration.capabilities":
                return {"data": {"capabilities": capabilities, "limits": {}}}
            self.calls.append((env.uid, method, params))
            return {"data": {"id": params["id"], "status": "queued"}}

        with patch.object(bridge_client, "call", call):
            yield

    def can(self, message):
        message = message.with_user(self.user)
        return {
            name
            for name in ("retry", "cancel", "edit", "delete", "react")
            if message["can_%s" % name]
        }

    def test_buttons_fit_status_and_account(self):
        out = {"direction": "outbound"}
        cases = [
            ({"status": "failed"}, {"retry"}),
            ({"status": "uncertain"}, {"retry"}),
            ({"status": "failed", "origin": "phone"}, set()),
            ({"status": "cancelled"}, set()),
            ({"status": "queued"}, {"cancel"}),
            ({"status": "pending"}, set()),
            ({"status": "read"}, {"edit", "delete", "react"}),
            ({"status": "read", "message_type": "voice"}, {"delete", "react"}),
            ({"status": "read", "direction": "inbound"}, {"react"}),
            ({"status": "deleted"}, set()),
        ]
        for number, (changes, wanted) in enumerate(cases):
            values = dict(out, message_id="wamid.%s" % number)
            values.update(changes)
            message = self.insert_message(self.support, **values)
            with self.daemon(edit=True, delete=True, react=True):
                self.assertEqual(self.can(message), wanted, changes)

    def test_what_the_account_cannot_is_not_offered(self):
        message = self.insert_message(
            self.support, direction="outbound", status="read", message_id="wamid.9"
        )
        with self.daemon(edit=False, delete=True, react=False):
            self.assertEqual(self.can(message), {"delete"})

    def test_calls(self):
        message = self.insert_message(
            self.support, direction="outbound", status="read", message_id="wamid.9"
        ).with_user(self.user)
        uid = self.user.id
        with self.daemon(edit=True):
            message.action_retry()
            message.action_cancel()
            message.action_delete()
            wizard = self.change(message.action_edit())
            self.assertEqual(wizard.text, "Hello")
            wizard.text = "Hello again"
            wizard.action_apply()
            wizard = self.change(message.action_react())
            wizard.action_apply()
            wizard.other_emoji = "🎉"
            wizard.action_apply()
            wizard.action_take_back()
        of = {"id": message.id}
        self.assertEqual(
            self.calls,
            [
                (uid, "message.retry", of),
                (uid, "message.cancel", of),
                (uid, "message.delete", of),
                (uid, "message.edit", dict(of, text="Hello again")),
                (uid, "message.react", dict(of, emoji="👍")),
                (uid, "message.react", dict(of, emoji="🎉")),
                (uid, "message.react", of),
            ],
        )

    def change(self, action):
        wizards = self.env[action["res_model"]].with_user(self.user)
        return wizards.with_context(**action["context"]).create({})

    def test_rights(self):
        foreign = self.insert_message(self.sales, direction="outbound", status="failed")
        with self.daemon():
            with self.assertRaises(AccessError):
                foreign.with_user(self.user).action_retry()
            with self.assertRaises(AccessError):
                foreign.with_user(self.plain).action_delete()
            mine = self.insert_message(self.support, direction="outbound", status="sent")
            wizard = self.change(mine.with_user(self.user).action_edit())
            wizard.text = " "
            with self.assertRaises(UserError):
                wizard.action_apply()
        self.assertFalse(self.calls)
