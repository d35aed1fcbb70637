"""Groups for server actions and other addons.

Unlike sending, these are made at the provider while the caller waits: what is rolled back
afterwards is not undone there. Each is one call under an idempotency key, so that a transaction
that Odoo runs again repeats nothing.
"""

import base64
import hashlib
import json
import uuid

from odoo import _, api, models
from odoo.exceptions import UserError
from odoo.http import request

from .. import bridge_client
from ..group_words import square_jpeg
from ..series import current_request_attribute
from ..words import CODES, sentence
from .whatsapp_configuration import GROUP_ADMIN
from .whatsapp_core_service import SYSTEM_UID, Refused

SETTINGS = ("only_admins_send", "only_admins_edit", "only_admins_add", "join_approval")


class WhatsappCoreService(models.AbstractModel):
    _inherit = "whatsapp.core.service"

    @api.model
    def create_group(self, name, participants, user_id=None, **kwargs):
        """Creates a group at the provider, with these people; not undone by a rollback.

        :param participants: a list of what `to` of `send_text_message` may be, or a recordset of
            contacts or partners
        :param user_id: the user it is done for; another than the caller only in superuser mode
        :param kwargs: configuration_id, description, icon (bytes or base64 of a picture), settings
            (a dict of only_admins_send, only_admins_edit, only_admins_add, join_approval), invite
            (default True: who cannot be added gets the invitation), idempotency_key, raise_on_error
        :return: {"success": True, "data": {"id", "group_id", "name", "invite_link", "completion",
            "participants": [{"participant", "contact_id", "result", "reason"}], "problems"},
            "meta"} or {"success": False, "error": {"code", "message", "details"}, "meta"}. `id` is
            None while `completion` is "waiting": the provider tells the outcome later.
        """

        def params(user, account):
            return self._group_params(user, account, name, participants, kwargs)

        known = ("description", "icon", "settings", "invite")
        return self._group_call("group.create", user_id, kwargs, known, params)

    @api.model
    def remove_group_member(self, person, user_id=None, **kwargs):
        """Takes a person out of groups: of every group of every account, unless told otherwise.

        :param person: what `to` of `send_text_message` may be
        :param kwargs: configuration_id (empty: all accounts), group_ids (records or row ids of
            whatsapp.group; empty: every group), farewell (a text sent to the person before),
            idempotency_key, raise_on_error
        :return: as `create_group`, with data {"results": [{"configuration_id", "id", "group_id",
            "name", "result", "reason"}], "farewell"?}. For administrators only.
        """

        def params(user, account):
            return self._removal_params(user, account, person, kwargs)

        known = ("group_ids", "farewell")
        return self._group_call(
            "group.remove_everywhere", user_id, kwargs, known, params, admin=True
        )

    @api.model
    def _group_call(self, method, user_id, kwargs, known, params, admin=False):
        """One call for the effective user; what is refused is an answer, not an exception."""
        unknown = set(kwargs) - set(known)
        unknown -= {"configuration_id", "idempotency_key", "raise_on_error"}
        if unknown:
            raise TypeError("unexpected arguments: %s" % ", ".join(sorted(unknown)))
        request_id = uuid.uuid4().hex
        try:
            user = self._effective_user(user_id)
            if admin and user.id != SYSTEM_UID and not user.has_group(GROUP_ADMIN):
                raise Refused(
                    "access_denied", _("Only WhatsApp administrators may remove members.")
                )
            account = self.env["whatsapp.configuration"]
            if kwargs.get("configuration_id") or not admin:
                account = self._configuration(user, kwargs.get("configuration_id"), "")
            asked = params(user, account)
            asked["idempotency_key"] = kwargs.get("idempotency_key") or self._group_key(asked)
            answer = bridge_client.call(
                self.with_user(user).env,
                method,
                asked,
                read_timeout_s=bridge_client.GROUP_TIMEOUT_S,
            )
        except Refused as refusal:
            error = bridge_client.BridgeError(
                refusal.kind,
                refusal.message or sentence(self.env, refusal.kind),
                CODES[refusal.kind],
                request_id=request_id,
            )
            return self._group_failure(error, kwargs)
        except bridge_client.BridgeError as error:
            return self._group_failure(error, kwargs)
        meta = dict(answer.get("meta") or {})
        meta.setdefault("request_id", request_id)
        return {"success": True, "data": answer["data"], "meta": meta}

    @api.model
    def _group_failure(self, error, kwargs):
        if kwargs.get("raise_on_error"):
            raise UserError(error.text)
        details = dict(error.details, kind=error.kind, retryable=error.retryable)
        request_id = details.pop("request_id", None) or error.request_id
        return {
            "success": False,
            "error": {"code": error.code, "message": error.text, "details": details},
            "meta": {"provider": None, "request_id": request_id},
        }

    @api.model
    def _group_key(self, params):
        """The same for the same content when Odoo runs an HTTP request again, else a new one."""
        if not request:
            return uuid.uuid4().hex
        base = current_request_attribute(request, "whatsapp_group_key", lambda: uuid.uuid4().hex)
        content = json.dumps(params, sort_keys=True).encode()
        return "%s-%s" % (base, hashlib.sha256(content).hexdigest()[:32])

    @api.model
    def _group_params(self, user, account, name, participants, kwargs):
        if not isinstance(name, str) or not name.strip():
            raise Refused("invalid_content", _("The group needs a name."))
        if isinstance(participants, (str, dict)):
            participants = [participants]
        if not isinstance(participants, (list, tuple, models.BaseModel)):
            raise Refused("invalid_recipient", _("The participants are a list."))
        params = {
            "configuration_id": account.id,
            "name": name.strip(),
            "participants": [self._group_person(person, user) for person in participants],
            "invite": bool(kwargs.get("invite", True)),
        }
        if kwargs.get("description"):
            params["description"] = str(kwargs["description"])
        settings = kwargs.get("settings") or {}
        if not isinstance(settings, dict) or set(settings) - set(SETTINGS):
            raise Refused(
                "invalid_content", _("Settings of a group are: %s.") % ", ".join(SETTINGS)
            )
        if settings:
            params["settings"] = {word: bool(value) for word, value in settings.items()}
        if kwargs.get("icon"):
            params["icon"] = self._group_icon(kwargs["icon"])
        return params

    @api.model
    def _group_icon(self, icon):
        encoded = square_jpeg(base64.b64encode(self._bytes(icon)))
        if not encoded:
            raise Refused("media_type_unsupported", _("The picture of the group cannot be read."))
        return {"base64": encoded, "mimetype": "image/jpeg"}

    @api.model
    def _group_person(self, person, user):
        participant = self._recipient(person, user)
        if not participant:
            raise Refused("invalid_recipient", _("A participant has no number."))
        return participant

    @api.model
    def _removal_params(self, user, account, person, kwargs):
        params = {"participant": self._group_person(person, user)}
        if account:
            params["configuration_id"] = account.id
        groups = kwargs.get("group_ids")
        if groups:
            ids = groups.ids if isinstance(groups, models.BaseModel) else list(groups)
            visible = self.env["whatsapp.group"].with_user(user).search([("id", "in", ids)])
            if len(visible) != len(set(ids)):
                raise Refused("record_not_found", _("A group does not exist."))
            params["group_ids"] = visible.mapped("group_id")
        if kwargs.get("farewell"):
            params["farewell"] = str(kwargs["farewell"])
        return params
