import json
import time
import uuid

from odoo import SUPERUSER_ID, _, http
from odoo.exceptions import UserError
from odoo.http import request

from .. import bridge_client
from ..series import JSON_ROUTE, current_request_attribute

WAKE_BATCH = 50
MAX_WAIT_MS = 10000
HEALTH_KEPT_S = 2
# database -> (when asked, whether it was ready)
HEALTH = {}
SEND_OPTIONS = ("configuration_id", "reply_to", "schedule_at", "category", "wait_ms")


class WhatsappController(http.Controller):
    @http.route("/whatsapp/send/text", type=JSON_ROUTE, auth="user", methods=["POST"])
    def send_text(self, to=None, message=None, user_id=None, **kwargs):
        """Sends through the daemon at once; same parameters and answers as the Python API."""

        def content(env):
            if not isinstance(message, str) or not message.strip():
                raise bridge_client.BridgeError("invalid_content", _("The message is empty."))
            return {"type": "text", "text": {"body": message}}

        return self._send(to, content, user_id, kwargs)

    @http.route("/whatsapp/send/media", type=JSON_ROUTE, auth="user", methods=["POST"])
    def send_media(
        self,
        to=None,
        media_data=None,
        filename=None,
        media_type="image",
        caption="",
        user_id=None,
        **kwargs,
    ):
        """As `send_text`, with a file in Base64."""

        def content(env):
            service = env["whatsapp.core.service"]
            upload = {"data": media_data, "filename": filename, "caption": caption}
            parts = {"type": media_type, "media": {}}
            problem = service._content_problem(parts, upload)
            if problem:
                raise bridge_client.BridgeError(*problem)
            # The same file when Odoo runs this request again.
            parts["media"]["id"] = current_request_attribute(
                request,
                "whatsapp_media",
                lambda: bridge_client.put_media(
                    env,
                    upload["data"],
                    upload["filename"],
                    upload["mimetype"],
                    kwargs.get("configuration_id"),
                ),
            )
            parts["media"].pop("mimetype", None)
            return parts

        return self._send(to, content, user_id, kwargs)

    def _send(self, to, content, user_id, kwargs):
        """Sends what `content(env)` makes, once everything else was found good."""
        env = request.env
        raise_on_error = kwargs.pop("raise_on_error", False)
        started = time.time()
        try:
            params = self._send_params(env, to, user_id, kwargs)
            params.update(content(env))
            result = bridge_client.call(env, "message.send", params, wait_ms=self._wait_ms(kwargs))
        except bridge_client.BridgeError as error:
            if raise_on_error:
                raise UserError(error.text) from None
            return self._failure(error)
        meta = dict(result.get("meta") or {})
        meta.setdefault("response_time", int((time.time() - started) * 1000))
        return {"success": True, "data": result["data"], "meta": meta}

    def _send_params(self, env, to, user_id, kwargs):
        if user_id and user_id != env.uid:
            raise bridge_client.BridgeError(
                "access_denied", _("You may not send in the name of somebody else.")
            )
        document = (kwargs.get("res_model"), kwargs.get("res_id"))
        unknown = set(kwargs) - set(SEND_OPTIONS) - {"res_model", "res_id", "idempotency_key"}
        if unknown:
            raise bridge_client.BridgeError(
                "invalid_content", _("Unknown parameters: %s") % ", ".join(sorted(unknown))
            )
        if not isinstance(to, (str, dict)) or not to:
            raise bridge_client.BridgeError("invalid_recipient", _("There is no recipient."))
        params = {"to": to}
        for name in SEND_OPTIONS:
            if kwargs.get(name) and name != "wait_ms":
                params[name] = kwargs[name]
        if any(document):
            try:
                record = env["whatsapp.core.service"]._readable_document(*document, env.user)
            except UserError as error:
                raise bridge_client.BridgeError("record_not_found", str(error)) from None
            params.update(res_model=record._name, res_id=record.id)
        # The same key when Odoo runs this request again.
        params["idempotency_key"] = kwargs.get("idempotency_key") or current_request_attribute(
            request, "whatsapp_idempotency_key", lambda: uuid.uuid4().hex
        )
        return params

    def _wait_ms(self, kwargs):
        wait_ms = kwargs.get("wait_ms") or 0
        return max(0, min(int(wait_ms), MAX_WAIT_MS)) if isinstance(wait_ms, (int, float)) else 0

    def _failure(self, error):
        details = dict(error.details, kind=error.kind, retryable=error.retryable)
        request_id = details.pop("request_id", None) or error.request_id
        return {
            "success": False,
            "error": {"code": error.code, "message": error.text, "details": details},
            "meta": {"provider": None, "request_id": request_id},
        }

    @http.route("/whatsapp/health", type="http", auth="public", methods=["GET"], save_session=False)
    def health(self, **kwargs):
        """Whether the daemon is ready; no details, anybody may ask."""
        ok = self._healthy(request.env)
        return self._json({"status": "ok" if ok else "unavailable"}, 200 if ok else 503)

    def _healthy(self, env):
        """The daemon's answer, asked at most once in two seconds: no login guards this route."""
        asked, ok = HEALTH.get(env.cr.dbname, (None, False))
        now = time.monotonic()
        if asked is None or now - asked > HEALTH_KEPT_S:
            ok = bridge_client.healthy(env)
            HEALTH[env.cr.dbname] = (now, ok)
        return ok

    @http.route(
        "/whatsapp/bridge/wake",
        type="http",
        auth="public",
        methods=["POST"],
        csrf=False,
        save_session=False,
    )
    def wake(self, **kwargs):
        """The daemon's poke after it inserted events: handles a bounded batch, tells how many."""
        try:
            keys = bridge_client.read_keys(request.env)
        except bridge_client.BridgeError:
            return self._json({"error": "unauthorized"}, 401)
        http_request = request.httprequest
        path = http_request.path
        if http_request.query_string:
            path += "?" + http_request.query_string.decode("latin-1")
        header = http_request.headers.get("Authorization")
        body = http_request.get_data()
        if not bridge_client.verified(keys, header, "POST", path, body):
            return self._json({"error": "unauthorized"}, 401)
        events = request.env["whatsapp.event"].with_user(SUPERUSER_ID)
        return self._json({"done": events.process_new(limit=WAKE_BATCH)}, 200)

    def _json(self, data, status):
        response = request.make_response(json.dumps(data), [("Content-Type", "application/json")])
        response.status_code = status
        return response
