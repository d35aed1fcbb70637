"""The one place that talks to the daemon: signed JSON-RPC with a timeout.

A call is the sole effect of its request (a wizard's or a form's button, a route); only
`configuration.seal`, which stores nothing, may be called anywhere. A request that Odoo runs again
after a serialization failure then repeats nothing.
"""

import configparser
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import time
import uuid
from urllib.parse import urlencode

import requests

from odoo.exceptions import UserError

from .series import translator
from .words import CODES, sentence

_logger = logging.getLogger(__name__)

KEYS_VARIABLE = "WABRIDGE_ODOO_KEYS"
KEYS_DEFAULT = "/etc/wabridge/odoo.ini"
SCHEME = "WABRIDGE1-HMAC-SHA256"
CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 10
HEALTH_TIMEOUT_S = 3
UPLOAD_TIMEOUT_S = 60
# Changes of groups are made at the provider while the caller waits; Odoo ends requests after 120 s.
GROUP_TIMEOUT_S = 90
CAPABILITIES_TIMEOUT_S = 2
# How long what an account can do is taken from memory; less when the daemon could not be asked.
CAPABILITIES_KEPT_S = 300
CAPABILITIES_RETRY_S = 15
# (database, account, user) -> (when asked, for how long it is good, the answer or None)
CAPABILITIES = {}
CLOCK_WINDOW_S = 300
# Versions of the daemon that this addon works with: its own and the next, because an upgrade begins
# with the daemon. data/whatsapp_bridge_versions.xml tells the daemon the same.
BRIDGE_VERSIONS = ("5.0", "5.1")
AUTHORIZATION = re.compile(
    r"^%s key=(?P<key>[^,\s]+),ts=(?P<ts>[0-9]{1,12}),"
    r"nonce=(?P<nonce>[A-Za-z0-9_-]{16,64}),sig=(?P<sig>[0-9a-f]{64})$" % SCHEME
)


class BridgeError(Exception):
    """What the daemon refused, or why it could not be asked."""

    def __init__(self, kind, text, code=None, retryable=False, details=None, request_id=None):
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.code = CODES.get(kind) if code is None else code
        self.retryable = retryable
        self.details = details or {}
        self.request_id = request_id


class _Adapter(requests.adapters.HTTPAdapter):
    """Carries both time-outs (connect, read): Odoo 19's test runner takes only one number."""

    def __init__(self, timeout):
        self.timeout = timeout
        super().__init__()

    def send(self, request, **kwargs):
        kwargs["timeout"] = self.timeout
        return super().send(request, **kwargs)


class Keys:
    """Where this database's daemon is and the secret shared with it."""

    def __init__(self, url, key_id, secret, ca_file=None):
        self.url = url.rstrip("/")
        self.key_id = key_id
        self.secret = secret.encode()
        # PEM file of the authority that signed the daemon's certificate; None: one that this
        # machine knows.
        self.ca_file = ca_file

    def session(self, timeout):
        """For one call. The daemon is a neighbour: no proxy of the environment, no .netrc."""
        session = requests.Session()
        session.trust_env = False
        session.verify = self.ca_file or True
        session.mount("http://", _Adapter(timeout))
        session.mount("https://", _Adapter(timeout))
        return session


def keys_path():
    return os.environ.get(KEYS_VARIABLE) or KEYS_DEFAULT


def read_keys(env):
    """The section of this database in the INI file; BridgeError says what is missing in it."""
    _ = translator(env)
    path, database = keys_path(), env.cr.dbname
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path) as keys:
            parser.read_file(keys)
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        _logger.error(
            "the bridge's keys cannot be read from the file that %s names (default %s): %s",
            KEYS_VARIABLE,
            KEYS_DEFAULT,
            type(error).__name__,
        )
        raise BridgeError(
            "bridge_unavailable",
            _(
                "The WhatsApp bridge is not set up: the file with its address and key cannot be "
                "read (environment variable %s). Ask your administrator."
            )
            % KEYS_VARIABLE,
        )
    section = parser[database] if parser.has_section(database) else {}
    missing = [name for name in ("url", "key_id", "secret") if not section.get(name)]
    if missing:
        _logger.error(
            "the bridge's keys file lacks %s in section [%s]", ", ".join(missing), database
        )
        raise BridgeError(
            "bridge_unavailable",
            _(
                "The WhatsApp bridge is not set up for this database: its keys file lacks "
                "%(names)s in section [%(database)s]. Ask your administrator."
            )
            % {"names": ", ".join(missing), "database": database},
        )
    ca_file = section.get("ca_file")
    if ca_file and not os.access(ca_file, os.R_OK):
        _logger.error("ca_file in section [%s] of the bridge's keys cannot be read", database)
        raise BridgeError(
            "bridge_unavailable",
            _(
                "The WhatsApp bridge is not set up: the certificate that its keys file names "
                "(ca_file) cannot be read. Ask your administrator."
            ),
        )
    return Keys(section["url"], section["key_id"], section["secret"], ca_file)


def signature(secret, timestamp, nonce, method, path, body):
    """Lower-case hex of the signature over one request; `path` with its query as sent."""
    text = "WABRIDGE1\n%s\n%s\n%s\n%s\n%s" % (
        timestamp,
        nonce,
        method,
        path,
        hashlib.sha256(body).hexdigest(),
    )
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def authorization(keys, method, path, body, now=None, nonce=None):
    timestamp = str(int(time.time() if now is None else now))
    nonce = nonce or secrets.token_urlsafe(24)
    sig = signature(keys.secret, timestamp, nonce, method, path, body)
    return "%s key=%s,ts=%s,nonce=%s,sig=%s" % (SCHEME, keys.key_id, timestamp, nonce, sig)


def verified(keys, header, method, path, body, now=None):
    """Whether a request of the daemon was signed with this database's key, just now."""
    match = AUTHORIZATION.match(header or "")
    if not match:
        return False
    now = time.time() if now is None else now
    good = signature(keys.secret, match["ts"], match["nonce"], method, path, body)
    # All three are looked at, whatever the first says.
    same_key = hmac.compare_digest(match["key"].encode(), keys.key_id.encode())
    same_sig = hmac.compare_digest(match["sig"].encode(), good.encode())
    return same_key & same_sig & (abs(now - int(match["ts"])) <= CLOCK_WINDOW_S)


def call(env, method, params, wait_ms=0, read_timeout_s=READ_TIMEOUT_S):
    """Result of one JSON-RPC call, made for the user of `env`; raises BridgeError."""
    _ = translator(env)
    keys = read_keys(env)
    params = dict(params, uid=env.uid)
    if wait_ms:
        params["wait_ms"] = wait_ms
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    timeout = (CONNECT_TIMEOUT_S, read_timeout_s + wait_ms / 1000.0)
    response = _request(env, keys, "POST", "/rpc", body, timeout, operation=method)
    return _answer(env, method, response)


def _answer(env, method, response, plain=False):
    """The result of a call, or BridgeError; `plain`: the answer itself is the result."""
    _ = translator(env)
    if response.status_code == 401:
        _logger.error(
            "the bridge refused the signature of rpc.method=%s: key id, secret or clock differ",
            method,
        )
        raise BridgeError(
            "bridge_unavailable",
            _(
                "The WhatsApp bridge refused Odoo's signature: key and secret differ on the two "
                "sides, or a clock is wrong by more than five minutes. Ask your administrator."
            ),
        )
    if response.status_code == 503:
        raise _refused(env, method, "database_unavailable", retryable=True)
    try:
        answer = response.json()
        error, result = answer.get("error"), answer if plain else answer.get("result")
    except (ValueError, AttributeError):
        error = result = None
    if isinstance(error, dict):
        data = error.get("data") if isinstance(error.get("data"), dict) else {}
        raise _refused(
            env,
            method,
            data.get("kind") or "code_%s" % error.get("code"),
            code=error.get("code"),
            words=error.get("message"),
            retryable=bool(data.get("retryable")),
            details=data,
            request_id=data.get("request_id"),
        )
    if not isinstance(result, dict):
        _logger.error(
            "unreadable answer of the bridge: rpc.method=%s http.status=%s",
            method,
            response.status_code,
        )
        raise BridgeError(
            "bridge_unavailable",
            _("The WhatsApp bridge gave an answer that is not understood. Check its address."),
        )
    return result


def put_media(env, data, filename=None, mimetype=None, configuration_id=None):
    """Gives the daemon a file that is to be sent; its `whatsapp.media` id. Raises BridgeError."""
    keys = read_keys(env)
    query = [("uid", env.uid), ("configuration_id", configuration_id)]
    query += [("filename", filename), ("mimetype", mimetype)]
    path = "/media?" + urlencode([(name, value) for name, value in query if value])
    headers = {
        "Content-Type": "application/octet-stream",
        "X-Content-SHA256": hashlib.sha256(data).hexdigest(),
    }
    timeout = (CONNECT_TIMEOUT_S, UPLOAD_TIMEOUT_S)
    response = _request(env, keys, "PUT", path, data, timeout, headers)
    return _answer(env, "PUT /media", response, plain=True)["id"]


def ask(env, method, params, wait_ms=0, read_timeout_s=READ_TIMEOUT_S):
    """As `call`, for buttons: what went wrong becomes a UserError."""
    try:
        return call(env, method, params, wait_ms, read_timeout_s)
    except BridgeError as error:
        raise UserError(error.text) from None


def healthy(env):
    """Whether the daemon answers and says it is ready for this database's Odoo."""
    try:
        keys = read_keys(env)
        timeout = (CONNECT_TIMEOUT_S, HEALTH_TIMEOUT_S)
        return _request(env, keys, "GET", "/health/ready", b"", timeout).status_code == 200
    except BridgeError:
        return False


def readiness(env):
    """The page of `GET /health/ready` for this database, ready or not. Raises BridgeError."""
    _ = translator(env)
    keys = read_keys(env)
    timeout = (CONNECT_TIMEOUT_S, HEALTH_TIMEOUT_S)
    response = _request(env, keys, "GET", "/health/ready", b"", timeout)
    if response.status_code not in (200, 503):
        return _answer(env, "GET /health/ready", response, plain=True)
    try:
        page = response.json()
    except ValueError:
        page = None
    if not isinstance(page, dict) or "status" not in page:
        raise BridgeError(
            "bridge_unavailable",
            _("Something answers at the bridge's address that is not the bridge. Check it."),
        )
    return page


def open_media(env, media_id, headers):
    """The daemon's answer to `GET /media/<id>`, its body not read yet; the caller closes it."""
    keys = read_keys(env)
    path = "/media/%d" % media_id
    session = keys.session((CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
    signed = {
        "Authorization": authorization(keys, "GET", path, b""),
        "Accept-Encoding": "identity",
    }
    try:
        return session.get(
            keys.url + path, headers=dict(headers, **signed), allow_redirects=False, stream=True
        )
    except requests.exceptions.RequestException as error:
        _logger.warning("the bridge cannot be reached: error=%s", type(error).__name__)
        raise BridgeError("bridge_unavailable", sentence(env, "bridge_unavailable"), retryable=True)


def works_with(version):
    """Whether this addon works with a daemon of that version (`5.0.3`)."""
    return any(version == minor or version.startswith(minor + ".") for minor in BRIDGE_VERSIONS)


def capabilities(env, configuration):
    """What an account can do, as `configuration.capabilities`; None while nobody can tell.

    For screens: from memory where possible, and never an error. The daemon checks each call itself.
    """
    key = (env.cr.dbname, configuration.id, env.uid)
    asked, good_for, answer = CAPABILITIES.get(key, (None, 0, None))
    now = time.monotonic()
    if asked is None or now - asked > good_for:
        params = {"configuration_id": configuration.id}
        try:
            answer = call(
                env, "configuration.capabilities", params, read_timeout_s=CAPABILITIES_TIMEOUT_S
            )["data"]
            good_for = CAPABILITIES_KEPT_S
        except BridgeError:
            answer, good_for = None, CAPABILITIES_RETRY_S
        CAPABILITIES[key] = (now, good_for, answer)
    return answer


def _request(env, keys, method, path, body, timeout, more_headers=None, operation=None):
    """One signed request; its nonce is its id in our log, the daemon's and the provider's.

    :param operation: the method of a JSON-RPC call, for the log
    """
    _ = translator(env)
    request_id = str(uuid.uuid4())
    headers = {
        "Authorization": authorization(keys, method, path, body, nonce=request_id),
        "Content-Type": "application/json",
    }
    headers.update(more_headers or {})
    operation = operation or "%s %s" % (method, path.partition("?")[0])
    began = time.monotonic()
    try:
        with keys.session(timeout) as session:
            response = session.request(
                method, keys.url + path, data=body, headers=headers, allow_redirects=False
            )
    except requests.exceptions.ReadTimeout:
        _logger.warning(
            "the bridge did not answer in time: rpc.method=%s user.id=%s request.id=%s",
            operation,
            env.uid,
            request_id,
        )
        raise BridgeError(
            "bridge_unavailable",
            _(
                "The WhatsApp bridge did not answer in time. What you asked for may still happen: "
                "trying again from here does not do it twice."
            ),
            retryable=True,
            request_id=request_id,
        )
    except requests.exceptions.RequestException as error:
        _logger.warning(
            "the bridge cannot be reached: rpc.method=%s user.id=%s request.id=%s error=%s",
            operation,
            env.uid,
            request_id,
            type(error).__name__,
        )
        raise BridgeError(
            "bridge_unavailable",
            sentence(env, "bridge_unavailable"),
            retryable=True,
            request_id=request_id,
        )
    # Looks at its health come every minute, and nobody asked for them.
    _logger.log(
        logging.DEBUG if method == "GET" else logging.INFO,
        "the bridge was asked: rpc.method=%s user.id=%s request.id=%s http.status=%s latency_ms=%d",
        operation,
        env.uid,
        request_id,
        response.status_code,
        1000 * (time.monotonic() - began),
    )
    return response


def _refused(
    env, method, kind, code=None, words=None, retryable=False, details=None, request_id=None
):
    _logger.warning(
        "the bridge refused: rpc.method=%s error.kind=%s error.code=%s request.id=%s",
        method,
        kind,
        code if code is not None else CODES.get(kind),
        request_id,
    )
    _ = translator(env)
    ours = sentence(env, kind)
    detail = (details or {}).get("details")
    if not ours:
        text = words or _("The WhatsApp bridge refused it.")
    elif isinstance(detail, str) and detail:
        text = "%s (%s)" % (ours, detail)
    else:
        text = ours
    return BridgeError(kind, text, code, retryable, details, request_id)
