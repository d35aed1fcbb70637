import base64
import contextlib
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from odoo.exceptions import AccessError, UserError
from odoo.tests.common import HttpCase, new_test_user
from odoo.tools import mute_logger

from .. import bridge_client
from ..controllers.media import ACCEL_PARAMETER
from .common import KEY_ID, SECRET, Fixtures, WhatsappCase, keys_file, post

CLIENT_LOGGER = "odoo.addons.whatsapp_integration.bridge_client"
# The smallest GIF there is stands for a thumbnail.
PICTURE = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


class Daemon(BaseHTTPRequestHandler):
    """Answers `GET /media/<id>` as the daemon does: signed, whole or a range."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        header = self.headers.get("Authorization")
        if not bridge_client.verified(server.keys, header, "GET", self.path, b""):
            return self.reply(401, b"")
        content = server.files.get(self.path)
        if content is None:
            return self.reply(404, b"{}")
        etag = '"%s"' % hashlib.sha256(content).hexdigest()
        if self.headers.get("If-None-Match") == etag:
            return self.reply(304, b"", ETag=etag)
        wanted, size = self.headers.get("Range"), len(content)
        if not wanted:
            return self.reply(200, content, ETag=etag)
        first, last = wanted[len("bytes=") :].split("-")
        if int(first) >= size:
            return self.reply(416, b"", **{"Content-Range": "bytes */%d" % size})
        last = min(int(last or size - 1), size - 1)
        whole = "bytes %s-%d/%d" % (first, last, size)
        part = content[int(first) : last + 1]
        return self.reply(206, part, ETag=etag, **{"Content-Range": whole})

    def reply(self, status, content, **headers):
        self.send_response(status)
        headers = dict({"Content-Type": "image/png", "Content-Length": len(content)}, **headers)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        """Not into Odoo's log."""


@contextlib.contextmanager
def daemon(database):
    """A server in the daemon's place, and the keys file that leads to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Daemon)
    url = "http://127.0.0.1:%d" % server.server_port
    server.keys = bridge_client.Keys(url, KEY_ID, SECRET)
    server.files, server.requests = {}, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with keys_file(database, url):
            yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@post
class TestMediaRoute(Fixtures, HttpCase):
    def setUp(self):
        super().setUp()
        self.database = self.env.cr.dbname
        self.make_accounts()
        self.user.write({"password": "wa_user"})

    def make_file(self, account=None, **values):
        values = dict({"state": "ready", "mimetype": "image/png", "filename": "hut.png"}, **values)
        media = self.insert("whatsapp_media", **values)
        self.insert_message(account or self.support, media_id=media)
        return media

    def get(self, media, query="", **headers):
        return self.url_open("/whatsapp/media/%d%s" % (media, query), headers=headers)

    def test_who_may_see_it(self):
        mine, theirs = self.make_file(), self.make_file(self.sales)
        with daemon(self.database) as server:
            for media in (mine, theirs):
                server.files["/media/%d" % media] = b"bytes of %d" % media
            stranger = self.get(mine)  # no session: Odoo's login
            self.assertNotIn(b"bytes of", stranger.content)
            self.authenticate("wa_user", "wa_user")
            self.assertEqual(self.get(mine).content, b"bytes of %d" % mine)
            self.assertEqual(self.get(theirs).status_code, 404)
            self.assertEqual(self.get(10**9).status_code, 404)
            self.assertEqual(self.get(theirs, "?thumb=1").status_code, 404)
            self.assertEqual([path for path, _range in server.requests], ["/media/%d" % mine])
        plain = new_test_user(self.env, "wa_nobody", "base.group_user", password="wa_nobody")
        self.authenticate(plain.login, plain.login)
        with daemon(self.database) as server, mute_logger("odoo.models", "odoo.http"):
            self.assertEqual(self.get(mine).status_code, 404)
            self.assertFalse(server.requests)

    def test_ranges_and_headers(self):
        content = bytes(range(256)) * 2000
        media = self.make_file(filename='Über "uns"\r\n.png')
        self.authenticate("wa_user", "wa_user")
        with daemon(self.database) as server:
            server.files["/media/%d" % media] = content
            answer = self.get(media)
            self.assertEqual((answer.status_code, answer.content), (200, content))
            self.assertEqual(answer.headers["Content-Length"], str(len(content)))
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
            self.assertIn("sandbox", answer.headers["Content-Security-Policy"])
            self.assertTrue(answer.headers["Content-Disposition"].startswith("inline"))
            self.assertEqual(answer.headers["Content-Type"].split(";")[0], "image/png")
            etag = answer.headers["ETag"]
            part = self.get(media, Range="bytes=1000-70000")
            self.assertEqual((part.status_code, part.content), (206, content[1000:70001]))
            self.assertEqual(
                part.headers["Content-Range"], "bytes 1000-70000/%d" % len(content)
            )
            beyond = self.get(media, Range="bytes=9999999-")
            self.assertEqual(beyond.status_code, 416)
            known = self.get(media, **{"If-None-Match": etag})
            self.assertEqual((known.status_code, known.content), (304, b""))
            forced = self.get(media, "?download=1")
            self.assertTrue(forced.headers["Content-Disposition"].startswith("attachment"))

    def test_what_a_browser_would_run_is_a_download(self):
        self.authenticate("wa_user", "wa_user")
        for mimetype in ("text/html", "image/svg+xml", "application/octet-stream", "text/plain"):
            media = self.make_file(mimetype=mimetype, filename="x")
            with daemon(self.database) as server:
                server.files["/media/%d" % media] = b"<script>alert(1)</script>"
                disposition = self.get(media).headers["Content-Disposition"]
            self.assertTrue(disposition.startswith("attachment"), mimetype)

    def test_thumbnail(self):
        media = self.make_file(thumbnail=base64.b64encode(PICTURE))
        self.authenticate("wa_user", "wa_user")
        with daemon(self.database) as server:
            answer = self.get(media, "?thumb=1")
            self.assertEqual((answer.status_code, answer.content), (200, PICTURE))
            self.assertFalse(server.requests, "the daemon is not asked")
        row = self.env["whatsapp.media"].with_user(self.user).browse(media)
        self.assertEqual(base64.b64decode(row.thumbnail), PICTURE)
        self.assertTrue(row.has_thumbnail)

    def test_proxy(self):
        media = self.make_file()
        self.env["ir.config_parameter"].sudo().set_param(ACCEL_PARAMETER, "/wabridge-media/")
        self.authenticate("wa_user", "wa_user")
        with daemon(self.database) as server:
            answer = self.get(media)
            self.assertEqual((answer.status_code, answer.content), (200, b""))
            path = "/media/%d" % media
            self.assertEqual(answer.headers["X-Accel-Redirect"], "/wabridge-media" + path)
            signed = answer.headers["X-Wabridge-Authorization"]
            self.assertTrue(bridge_client.verified(server.keys, signed, "GET", path, b""))
            self.assertFalse(server.requests)

    @mute_logger(CLIENT_LOGGER)
    def test_when_it_cannot_be_had(self):
        self.authenticate("wa_user", "wa_user")
        waiting, ready = self.make_file(state="waiting"), self.make_file()
        with daemon(self.database):
            self.assertEqual(self.get(waiting).status_code, 404)
            self.assertEqual(self.get(ready).status_code, 404)  # the daemon lost it
        with keys_file(self.database):
            self.assertEqual(self.get(ready).status_code, 503)


@post
class TestMedia(WhatsappCase):
    def make_file(self, account, **values):
        media = self.insert("whatsapp_media", **values)
        self.insert_message(account, media_id=media)
        return self.env["whatsapp.media"].browse(media)

    def test_shown(self):
        media = self.make_file(
            self.support, state="ready", mimetype="image/png", filename="<b>.png", size=1536
        )
        self.assertEqual(media.shown_size, "1.5 KiB")
        self.assertEqual(media.message_count, 1)
        self.assertIn("<img", media.preview)
        self.assertIn("&lt;b&gt;.png", media.preview)
        self.assertIn("media_id", str(media.action_open_messages()["domain"]))
        self.assertEqual(media.action_open()["url"], "/whatsapp/media/%d" % media.id)
        self.assertIn("<img", media.message_ids.media_preview)
        for mimetype, tag in (("audio/ogg", "<audio"), ("video/mp4", "<video"), ("text/html", "<a")):
            media = self.make_file(self.support, state="ready", mimetype=mimetype, filename="x")
            self.assertTrue(str(media.preview).find(tag) >= 0, mimetype)
        media = self.make_file(self.support, state="failed", reason="It is gone.")
        self.assertFalse(media.preview)
        with self.assertRaises(UserError) as caught:
            media.action_open()
        self.assertIn("It is gone.", str(caught.exception))

    @mute_logger(CLIENT_LOGGER)
    def test_fetch_again(self):
        media = self.make_file(self.support, state="failed")
        with keys_file(self.env.cr.dbname), self.assertRaises(UserError):
            media.with_user(self.user).action_fetch_again()
        hidden = self.make_file(self.sales, state="failed")
        with self.assertRaises(AccessError):
            hidden.with_user(self.user).action_fetch_again()
