from odoo import _, fields, http
from odoo.http import request

from .. import bridge_client
from ..models.whatsapp_sync_run import RUN_MODES
from ..models.whatsapp_sync_service import KINDS, SYNC_TYPES
from ..series import JSON_ROUTE


class WhatsappSyncController(http.Controller):
    @http.route("/whatsapp/sync/trigger", type=JSON_ROUTE, auth="user", methods=["POST"])
    def trigger(self, sync_type="all", user_id=None, **kwargs):
        """Starts a run at once, which is the sole effect of this request; `job_id` is its id.

        `sync_type`: contacts, groups, messages or all; `mode`: incremental, full or since;
        `configuration_id`; `since`: a time in UTC. The answers are those of the Python API. Asked
        again while such a run goes on it is that run.
        """
        env = request.env
        service = env["whatsapp.core.service"]
        try:
            params = self._params(env, sync_type, user_id, kwargs)
            data, meta = env["whatsapp.sync.run"]._ask_start(params)
        except bridge_client.BridgeError as error:
            return service._group_failure(error, kwargs)
        data = dict(data, id=data["job_id"], status="started")
        return {"success": True, "data": data, "meta": meta}

    def _params(self, env, sync_type, user_id, kwargs):
        def refused(kind, text):
            return bridge_client.BridgeError(kind, text)

        if user_id and user_id != env.uid:
            raise refused("access_denied", _("You may not do this in the name of somebody else."))
        unknown = set(kwargs) - {"configuration_id", "mode", "since", "raise_on_error"}
        if unknown:
            words = _("Unknown parameters: %s") % ", ".join(sorted(unknown))
            raise refused("invalid_content", words)
        mode = kwargs.get("mode") or ("since" if kwargs.get("since") else "incremental")
        if str(sync_type) not in dict(SYNC_TYPES) or str(mode) not in dict(RUN_MODES):
            raise refused(
                "invalid_content",
                _("sync_type: contacts, groups, messages, all; mode: incremental, full, since."),
            )
        since = None
        if mode == "since":
            try:
                text = str(kwargs.get("since") or "").replace("T", " ").rstrip("Z")
                since = fields.Datetime.to_datetime(text)
            except ValueError:
                since = None
            if not since:
                raise refused("invalid_content", _("since is a time such as 2026-01-31 08:00:00."))
        runs = env["whatsapp.sync.run"]
        kinds = [sync_type]
        if sync_type == "all":
            kinds = self._listed(env, kwargs.get("configuration_id")) or KINDS
        return runs._start_params(kwargs.get("configuration_id"), kinds, mode, since)

    def _listed(self, env, configuration_id):
        """Everything is what the provider lists; whether the user may is the daemon's to say."""
        accounts = env["whatsapp.configuration"]
        account = accounts._first_usable(env.user)
        if isinstance(configuration_id, int):
            account = accounts.sudo().browse(configuration_id).exists()
        return env["whatsapp.sync.run"]._able(account.with_env(env)) if account else None
