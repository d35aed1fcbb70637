import base64
import json

from odoo.exceptions import AccessError, UserError
from odoo.tools import mute_logger

from .common import WhatsappCase, post

LOGGER = "odoo.addons.whatsapp_integration.models.whatsapp_core_service"
# One black pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
NUMBER = "+447700900123"


@post
class TestSendMedia(WhatsappCase):
    def send(self, *args, user=None, **kwargs):
        service = self.env["whatsapp.core.service"].with_user(user or self.user)
        return service.send_media_message(*args, **kwargs)

    def upload(self, answer):
        uploads = self.env["whatsapp.media.upload"]
        return uploads.search([("message_id", "=", answer["data"]["id"])])

    def request(self, answer):
        rows = self.env["whatsapp.outbox.in"]
        return json.loads(rows.search([("message_id", "=", answer["data"]["id"])]).request)

    def test_message_bytes_and_request(self):
        answer = self.send(NUMBER, PNG, "pixel.png", caption="One pixel")
        self.assertTrue(answer["success"], answer)
        message = self.env["whatsapp.message"].browse(answer["data"]["id"])
        self.assertEqual(
            (message.message_type, message.caption, message.status),
            ("image", "One pixel", "queued"),
        )
        self.assertFalse(message.content or message.media_id)
        upload = self.upload(answer)
        self.assertEqual(
            (upload.filename, upload.mimetype, upload.size), ("pixel.png", "image/png", len(PNG))
        )
        self.assertEqual(
            self.request(answer),
            {
                "type": "image",
                "media": {
                    "upload": upload.id,
                    "filename": "pixel.png",
                    "mimetype": "image/png",
                    "caption": "One pixel",
                },
            },
        )
        # as the daemon reads it: Base64 text in the column
        self.env.cr.execute("SELECT data FROM whatsapp_media_upload WHERE id = %s", (upload.id,))
        self.assertEqual(base64.b64decode(bytes(self.env.cr.fetchone()[0])), PNG)

    def test_bytes_in_every_form(self):
        attachment = self.env["ir.attachment"].create({"name": "a.png", "raw": PNG})
        wrapped = base64.encodebytes(PNG * 20)
        for data, wanted in (
            (PNG, PNG),
            (bytearray(PNG), PNG),
            (base64.b64encode(PNG), PNG),
            (base64.b64encode(PNG).decode(), PNG),
            (attachment.datas, PNG),
            (wrapped, PNG * 20),
            (bytearray(b"QUJD"), b"QUJD"),
            (b"QUJD", b"ABC"),
            (b"plain words", b"plain words"),
        ):
            answer = self.send(NUMBER, data, "a.bin", "document")
            self.assertEqual(base64.b64decode(self.upload(answer).data), wanted)

    def test_names_are_bare(self):
        for name, wanted in (
            ("../../etc/passwd", "passwd"),
            ("C:\\Docs\\offer.pdf", "offer.pdf"),
            ("a\nb.pdf", "ab.pdf"),
            (False, False),
        ):
            answer = self.send(NUMBER, PNG, name, "document")
            self.assertEqual(self.upload(answer).filename or False, wanted)

    @mute_logger(LOGGER)
    def test_refused_at_once(self):
        for kwargs, kind in (
            ({"media_data": b""}, "invalid_content"),
            ({"media_data": "no base64!"}, "invalid_content"),
            ({"media_data": None}, "invalid_content"),
            ({"media_type": "banana"}, "invalid_content"),
            ({"media_type": "voice", "caption": "words"}, "invalid_content"),
            ({"media_data": bytearray(100 * 1024**2 + 1)}, "media_too_large"),
        ):
            given = dict({"media_data": PNG, "filename": "a.png"}, **kwargs)
            answer = self.send(NUMBER, **given)
            self.assertFalse(answer["success"], kwargs)
            self.assertEqual(answer["error"]["details"]["kind"], kind, kwargs)
            message = self.env["whatsapp.message"].browse(answer["error"]["details"]["id"])
            self.assertEqual((message.status, message.error_code), ("failed", kind))
            self.assertFalse(message.message_type == "text")
        with self.assertRaises(UserError):
            self.send(NUMBER, b"", "a.png", raise_on_error=True)

    def test_a_rollback_takes_the_bytes_along(self):
        before = self.env["whatsapp.media.upload"].search_count([])
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            self.send(NUMBER, PNG, "a.png")
            raise ZeroDivisionError
        self.assertEqual(self.env["whatsapp.media.upload"].search_count([]), before)

    def test_nobody_reads_what_waits(self):
        answer = self.send(NUMBER, PNG, "a.png")
        with self.assertRaises(AccessError):
            self.upload(answer).with_user(self.user).read(["data"])
