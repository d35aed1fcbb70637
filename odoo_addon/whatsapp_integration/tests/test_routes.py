import json
import time

from odoo.tests.common import HttpCase, new_test_user
from odoo.tools import mute_logger

from .. import bridge_client
from ..controllers import main
from .common import GROUP_USER, KEY_ID, SECRET, Fixtures, keys_file, post

CLIENT_LOGGER = "odoo.addons.whatsapp_integration.bridge_client"
WAKE = "/whatsapp/bridge/wake"


@post
class TestRoutes(Fixtures, HttpCase):
    def setUp(self):
        super().setUp()
        self.database = self.env.cr.dbname
        main.HEALTH.clear()
        self.addCleanup(main.HEALTH.clear)

    def wake(self, secret=SECRET, key_id=KEY_ID, now=None, signed_path=WAKE, header=None):
        keys = bridge_client.Keys("http://127.0.0.1:9", key_id, secret)
        body = b"."
        header = header or bridge_client.authorization(keys, "POST", signed_path, body, now)
        return self.url_open(
            WAKE, data=body, headers={"Authorization": header, "Content-Type": "text/plain"}
        )

    def test_wake(self):
        self.env.cr.execute("DELETE FROM whatsapp_event")
        self.env.cr.execute(
            "INSERT INTO whatsapp_event (kind, phase) VALUES ('alert', 'new'), ('alert', 'new')"
        )
        with keys_file(self.database):
            for refused in (
                self.wake(secret="wrong"),
                self.wake(key_id="wrong"),
                self.wake(now=time.time() - 400),
                self.wake(now=time.time() + 400),
                self.wake(signed_path="/rpc"),
                self.wake(header="Bearer x"),
            ):
                self.assertEqual(refused.status_code, 401)
                self.assertEqual(refused.json(), {"error": "unauthorized"})
            self.assertEqual(self.wake().json(), {"done": 2})
            self.assertEqual(self.wake().json(), {"done": 0})
            self.assertEqual(self.url_open(WAKE).status_code, 405)
            # no body and no type of one, as the daemon sends it
            keys = bridge_client.Keys("http://127.0.0.1:9", KEY_ID, SECRET)
            headers = {"Authorization": bridge_client.authorization(keys, "POST", WAKE, b"")}
            url = self.url_open("/whatsapp/health").url.replace("/whatsapp/health", WAKE)
            answer = self.opener.post(url, headers=headers, timeout=12)
            self.assertEqual(answer.json(), {"done": 0})
        with mute_logger(CLIENT_LOGGER):  # no keys file: nobody can be believed
            with keys_file("another_database"):
                self.assertEqual(self.wake().status_code, 401)

    def test_health(self):
        with keys_file(self.database), mute_logger(CLIENT_LOGGER):
            answer = self.url_open("/whatsapp/health")
        self.assertEqual((answer.status_code, answer.json()), (503, {"status": "unavailable"}))

    def call(self, **params):
        answer = self.url_open(
            "/whatsapp/send/text",
            data=json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}),
            headers={"Content-Type": "application/json"},
        )
        return answer.json()

    def test_send(self):
        user = new_test_user(self.env, "wa_route_user", GROUP_USER, password="wa_route_user")
        self.assertIn("error", self.call(to="+447700900123", message="x"))  # no session
        self.authenticate(user.login, user.login)
        with keys_file(self.database), mute_logger(CLIENT_LOGGER):
            result = self.call(to="+447700900123", message="Hello")["result"]
            self.assertFalse(result["success"])
            self.assertEqual(result["error"]["details"]["kind"], "bridge_unavailable")
            self.assertEqual(set(result), {"success", "error", "meta"})
            self.assertEqual(set(result["meta"]), {"provider", "request_id"})
            for code, params in (
                (1001, {"to": "+447700900123", "message": "x", "user_id": 1}),
                (1101, {"to": "", "message": "x"}),
                (1102, {"to": "+447700900123", "message": " "}),
                (1102, {"to": "+447700900123", "message": "x", "replyto": 1}),
                (1504, {"to": "1", "message": "x", "res_model": "ir.cron", "res_id": 1}),
            ):
                result = self.call(**params)["result"]
                self.assertEqual(result["error"]["code"], code, params)
            raised = self.call(to="+447700900123", message="Hello", raise_on_error=True)
            self.assertIn("error", raised)
