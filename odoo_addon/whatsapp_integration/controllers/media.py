import base64

from odoo import http
from odoo.exceptions import AccessError
from odoo.http import request

from .. import bridge_client

# Path prefix of an internal location of the proxy, which passes what follows to the daemon.
ACCEL_PARAMETER = "whatsapp_integration.media_accel"
ASKED = ("Range", "If-Range", "If-None-Match")
PASSED_ON = (
    "Content-Type",
    "Content-Length",
    "Content-Range",
    "ETag",
)
CHUNK = 64 * 1024


class WhatsappMediaController(http.Controller):
    @http.route("/whatsapp/media/<int:media_id>", type="http", auth="user", methods=["GET"])
    def media(self, media_id, thumb=None, download=None, **kwargs):
        """The bytes of a file, for who may see a message that shows it; ranges are passed on."""
        media = self._visible(media_id)
        if not media:
            return self._empty(404)
        if thumb and media.thumbnail:
            return self._thumbnail(media)
        if media.state != "ready":
            return self._empty(404)
        prefix = request.env["ir.config_parameter"].sudo().get_param(ACCEL_PARAMETER)
        if prefix:
            return self._by_proxy(media, prefix, download)
        return self._streamed(media, download)

    def _visible(self, media_id):
        """The row, as far as the user may see it."""
        try:
            return request.env["whatsapp.media"].search([("id", "=", media_id)])
        except AccessError:
            return None

    def _headers(self, media, download=None):
        """What makes a browser treat it as what it is, and as nothing else."""
        inline = media._is_inline() and not download
        headers = [
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "private, max-age=3600"),
            ("Content-Disposition", self._disposition(inline, media.filename)),
            ("Accept-Ranges", "bytes"),
        ]
        # Browsers show no PDF in a sandbox.
        if media.mimetype != "application/pdf":
            headers.append(("Content-Security-Policy", "default-src 'none'; sandbox"))
        return headers

    def _disposition(self, inline, filename):
        kind = "inline" if inline else "attachment"
        if not filename:
            return kind
        return http.content_disposition(filename).replace("attachment", kind, 1)

    def _thumbnail(self, media):
        content = base64.b64decode(media.thumbnail)
        headers = [
            ("Content-Type", "image/jpeg"),
            ("Content-Length", str(len(content))),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "default-src 'none'; sandbox"),
            ("Cache-Control", "private, max-age=3600"),
        ]
        return request.make_response(content, headers)

    def _by_proxy(self, media, prefix, download):
        """The proxy fetches it from the daemon, with a signature that is good for this file."""
        path = "/media/%d" % media.id
        try:
            keys = bridge_client.read_keys(request.env)
        except bridge_client.BridgeError:
            return self._empty(503)
        headers = self._headers(media, download) + [
            ("Content-Type", media.mimetype or "application/octet-stream"),
            ("X-Accel-Redirect", prefix.rstrip("/") + path),
            ("X-Wabridge-Authorization", bridge_client.authorization(keys, "GET", path, b"")),
        ]
        return request.make_response(b"", headers)

    def _streamed(self, media, download):
        asked = request.httprequest.headers
        wanted = {name: asked[name] for name in ASKED if asked.get(name)}
        try:
            upstream = bridge_client.open_media(request.env, media.id, wanted)
        except bridge_client.BridgeError:
            return self._empty(503)
        if upstream.status_code not in (200, 206, 304, 416):
            upstream.close()
            return self._empty(404 if upstream.status_code == 404 else 503)
        headers = self._headers(media, download) + [
            (name, upstream.headers[name]) for name in PASSED_ON if name in upstream.headers
        ]
        response = http.Response(
            upstream.iter_content(CHUNK),
            status=upstream.status_code,
            headers=headers,
            direct_passthrough=True,
        )
        response.call_on_close(upstream.close)
        return response

    def _empty(self, status):
        headers = [("Content-Type", "text/plain"), ("Cache-Control", "no-store")]
        response = request.make_response(b"", headers)
        response.status_code = status
        return response
