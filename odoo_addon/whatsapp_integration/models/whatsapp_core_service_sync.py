"""Synchronisation for server actions and other addons, through the transaction door."""

import uuid

from odoo import _, api, models
from odoo.exceptions import UserError

from .whatsapp_core_service import Refused
from .whatsapp_sync_service import MODES


class WhatsappCoreService(models.AbstractModel):
    _inherit = "whatsapp.core.service"

    @api.model
    def sync_contacts(self, user_id=None, **kwargs):
        """Asks for contacts as the provider has them; begins once the transaction is committed.

        Rolled back, it was never asked for. Who asks while a request still waits gets the same run.

        :param user_id: the user it is done for; another than the caller only in superuser mode
        :param kwargs: configuration_id, mode ("incremental", "full"), raise_on_error
        :return: {"success": True, "data": {"id", "job_id", "status", "timestamp"}, "meta"} or
            {"success": False, "error": {"code", "message", "details"}, "meta"}. `id` is the
            `whatsapp.sync.service` row that carries the request and lists its runs. `job_id` is
            None: the run does not exist yet.
        """
        return self._sync("contacts", user_id, kwargs)

    @api.model
    def sync_groups(self, user_id=None, **kwargs):
        """As `sync_contacts`: groups with their members and invitation links."""
        return self._sync("groups", user_id, kwargs)

    @api.model
    def sync_messages(self, user_id=None, **kwargs):
        """As `sync_contacts`: messages that the provider has and Odoo has not."""
        return self._sync("messages", user_id, kwargs)

    @api.model
    def _sync(self, sync_type, user_id, kwargs):
        unknown = set(kwargs) - {"configuration_id", "mode", "raise_on_error"}
        if unknown:
            raise TypeError("unexpected arguments: %s" % ", ".join(sorted(unknown)))
        request_id = uuid.uuid4().hex
        mode = kwargs.get("mode") or "incremental"
        try:
            user = self._effective_user(user_id)
            if mode not in dict(MODES):
                raise Refused("invalid_content", _("The mode is incremental or full."))
            configuration = self._configuration(user, kwargs.get("configuration_id"), "")
            row = self.env["whatsapp.sync.service"]._request(configuration, sync_type, mode, user)
        except Refused as refusal:
            answer = self._refusal(refusal, self.env["whatsapp.message"], request_id)
            if kwargs.get("raise_on_error"):
                raise UserError(answer["error"]["message"]) from None
            return answer
        return {
            "success": True,
            "data": {
                "id": row.id,
                "job_id": None,
                "status": "requested",
                "timestamp": self._rfc3339(row.requested_at),
            },
            "meta": {
                "provider": configuration.provider,
                "response_time": 0,
                "request_id": request_id,
            },
        }
