from odoo import http
from odoo.http import request

from .. import bridge_client
from ..series import JSON_ROUTE


class WhatsappGroupController(http.Controller):
    @http.route("/whatsapp/groups/create", type=JSON_ROUTE, auth="user", methods=["POST"])
    def create_group(self, name=None, participants=None, user_id=None, **kwargs):
        """As `create_group` of the Python API: same parameters, same answers."""
        service = request.env["whatsapp.core.service"]
        try:
            return service.create_group(name, participants or [], user_id, **kwargs)
        except TypeError as error:
            refused = bridge_client.BridgeError("invalid_content", str(error))
            return service._group_failure(refused, kwargs)
