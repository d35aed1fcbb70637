import contextlib
import os
import ssl
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from odoo.exceptions import UserError
from odoo.tools import mute_logger

from .. import bridge_client
from .common import KEY_ID, SECRET, WhatsappCase, keys_file, post

LOGGER = "odoo.addons.whatsapp_integration.bridge_client"
NONCE = "0123456789abcdef"
NOW = 1700000000


class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


class Bridge(BaseHTTPRequestHandler):
    """Answers every call, and keeps what signed it."""

    seen = []

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(self.headers["Authorization"])
        body = b'{"jsonrpc": "2.0", "id": 1, "result": {"data": {}, "meta": {}}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def certificate(folder, name):
    """The path of a file with a new certificate for loopback and its key, signed by nobody else."""
    path, key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    # Odoo 14's Python has no library that makes certificates.
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=" + name, "-keyout", key, "-out", path]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)  # noqa: S603
    with open(path, "a") as pem, open(key) as private:
        pem.write(private.read())
    return path


@contextlib.contextmanager
def tls_server(pem):
    """The address of a server with this certificate, for as long as the block runs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = HTTPServer(("127.0.0.1", 0), Ready)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    # A refused handshake is no news here.
    server.handle_error = lambda *args: None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield "https://127.0.0.1:%d" % server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@post
class TestBridgeClient(WhatsappCase):
    def keys(self):
        return bridge_client.Keys("http://127.0.0.1:9/", KEY_ID, SECRET)

    def test_signature_vector(self):
        """Computed with openssl, so that both sides can be held to it."""
        self.assertEqual(
            bridge_client.signature(b"secret", "1700000000", NONCE, "POST", "/rpc", b"{}"),
            "bd3307c53dbfb8abb46bfafb72690c0a4e6b17f24df90277d9b35f9c86a8aa31",
        )

    def test_verified(self):
        keys, body, path = self.keys(), b"", "/whatsapp/bridge/wake?db=a"
        header = bridge_client.authorization(keys, "POST", path, body, NOW, NONCE)
        check = bridge_client.verified
        self.assertTrue(check(keys, header, "POST", path, body, NOW))
        self.assertTrue(check(keys, header, "POST", path, body, NOW + 300))
        self.assertTrue(check(keys, header, "POST", path, body, NOW - 300))
        self.assertFalse(check(keys, header, "POST", path, body, NOW + 301))
        self.assertFalse(check(keys, header, "POST", path, body, NOW - 301))
        self.assertFalse(check(keys, header, "GET", path, body, NOW))
        self.assertFalse(check(keys, header, "POST", "/whatsapp/bridge/wake", body, NOW))
        self.assertFalse(check(keys, header, "POST", path, b"x", NOW))
        for broken in (
            None,
            "",
            "Bearer x",
            header + "0",
            header.replace(NONCE, NONCE[:15]),
            header.replace("key=odoo", "key=other"),
            header[:-1] + ("0" if header[-1] != "0" else "1"),
            header.upper(),
        ):
            self.assertFalse(check(keys, broken, "POST", path, body, NOW), broken)
        other = bridge_client.Keys(keys.url, KEY_ID, "another secret")
        self.assertFalse(check(other, header, "POST", path, body, NOW))

    @mute_logger(LOGGER)
    def test_unreachable(self):
        with keys_file(self.env.cr.dbname):
            with self.assertRaises(bridge_client.BridgeError) as caught:
                bridge_client.call(self.env, "rpc.discover", {})
            self.assertEqual(caught.exception.kind, "bridge_unavailable")
            self.assertTrue(caught.exception.retryable)
            self.assertFalse(bridge_client.healthy(self.env))
            with self.assertRaises(UserError) as caught:
                self.support.with_user(self.admin).action_test()
            self.assert_clean(caught.exception)

    def test_the_log_names_a_call_as_its_signature_does(self):
        server = HTTPServer(("127.0.0.1", 0), Bridge)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        Bridge.seen.clear()
        lines = self.lines("http://127.0.0.1:%d" % server.server_address[1], None)
        try:
            with keys_file(self.env.cr.dbname, lines=lines), self.assertLogs(LOGGER) as logs:
                bridge_client.call(self.env, "message.send", {"text": {"body": "Not for logs"}})
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
        nonce = bridge_client.AUTHORIZATION.match(Bridge.seen[0])["nonce"]
        (record,) = logs.records
        line = record.getMessage()
        self.assertEqual(record.levelname, "INFO")
        for word in (
            "rpc.method=message.send",
            "user.id=%d" % self.env.uid,
            "request.id=%s" % nonce,
            "http.status=200",
        ):
            self.assertIn(word, line)
        self.assertNotIn("Not for logs", line)

    def test_a_call_that_failed_has_its_id_in_the_log(self):
        with keys_file(self.env.cr.dbname), self.assertLogs(LOGGER, "WARNING") as logs:
            with self.assertRaises(bridge_client.BridgeError) as caught:
                bridge_client.call(self.env, "message.send", {})
        self.assertTrue(caught.exception.request_id)
        self.assertIn("request.id=%s" % caught.exception.request_id, logs.output[0])

    def test_versions_of_the_bridge(self):
        for version in ("5.0.0", "5.0", "5.1.9"):
            self.assertTrue(bridge_client.works_with(version), version)
        for version in ("4.2.0", "5.2.0", "5.10.0", "6.0.0", ""):
            self.assertFalse(bridge_client.works_with(version), version)
        # What the daemon reads is what this addon goes by.
        told = self.env["ir.config_parameter"].sudo()
        told = told.get_param("whatsapp_integration.bridge_versions")
        self.assertEqual(told.split(), list(bridge_client.BRIDGE_VERSIONS))

    def assert_clean(self, error):
        """No message names a host, a path or a secret."""
        for word in (SECRET, "127.0.0.1", "/rpc", "Errno"):
            self.assertNotIn(word, str(error))

    @mute_logger(LOGGER)
    def test_not_set_up(self):
        with keys_file("another_database"):
            with self.assertRaises(UserError) as caught:
                bridge_client.ask(self.env, "rpc.discover", {})
            self.assertIn(self.env.cr.dbname, str(caught.exception))
        with keys_file(self.env.cr.dbname, lines=["url = http://127.0.0.1:9"]):
            with self.assertRaises(UserError) as caught:
                bridge_client.ask(self.env, "rpc.discover", {})
            self.assertIn("key_id, secret", str(caught.exception))
        with keys_file(self.env.cr.dbname) as path:
            with open(path, "w") as keys:
                keys.write("no section at all")
            with self.assertRaises(UserError):
                bridge_client.ask(self.env, "rpc.discover", {})

    @mute_logger(LOGGER)
    def test_wizard_keeps_the_text(self):
        wizard = (
            self.env["whatsapp.send.message.wizard"]
            .with_user(self.user)
            .create({"number": "+447700900123", "text": "Kept"})
        )
        with keys_file(self.env.cr.dbname):
            with self.assertRaises(UserError):
                wizard.action_send()
        self.assertEqual(wizard.text, "Kept")
        self.assertFalse(self.env["whatsapp.message"].search([("content", "=", "Kept")]))

    def lines(self, url, ca_file):
        lines = ["url = %s" % url, "key_id = %s" % KEY_ID, "secret = %s" % SECRET]
        return lines + (["ca_file = %s" % ca_file] if ca_file else [])

    @mute_logger(LOGGER)
    def test_only_the_known_certificate_is_trusted(self):
        database = self.env.cr.dbname
        with tempfile.TemporaryDirectory() as folder:
            own, other = certificate(folder, "own"), certificate(folder, "other")
            with tls_server(own) as url:
                for ca_file, trusted in ((own, True), (other, False), (None, False)):
                    with keys_file(database, lines=self.lines(url, ca_file)):
                        self.assertEqual(bridge_client.healthy(self.env), trusted, ca_file)

    @mute_logger(LOGGER)
    def test_a_missing_certificate_is_said(self):
        lines = self.lines("https://127.0.0.1:9", "/nonexistent/ca.pem")
        with keys_file(self.env.cr.dbname, lines=lines):
            with self.assertRaises(UserError) as caught:
                bridge_client.ask(self.env, "rpc.discover", {})
            self.assertIn("ca_file", str(caught.exception))
            self.assert_clean(caught.exception)
