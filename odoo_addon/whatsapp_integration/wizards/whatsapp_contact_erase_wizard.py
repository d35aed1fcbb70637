from odoo import _, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..models.whatsapp_configuration import GROUP_ADMIN

# A person may have written for years.
TIMEOUT_S = 120


class WhatsappContactEraseWizard(models.TransientModel):
    _name = "whatsapp.contact.erase.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Erase what is known of a person"

    contact_id = fields.Many2one(
        "whatsapp.contact", "Contact", required=True, readonly=True, ondelete="cascade"
    )
    scope = fields.Selection(
        [("account", "This account"), ("all", "All accounts I may use")],
        "At",
        required=True,
        default="all",
    )
    sure = fields.Boolean("I know that this cannot be undone")

    def action_erase(self):
        """Has the daemon erase the person. Nothing is written here: this row may go along."""
        self.ensure_one()
        if not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may do this."))
        self._check_seen()
        if not self.sure:
            raise UserError(_("Tick the box first: what is erased does not come back."))
        params = {"contact_id": self.contact_id.id}
        if self.scope == "account":
            params["configuration_id"] = self.contact_id.configuration_id.id
        answer = bridge_client.ask(self.env, "contact.erase", params, read_timeout_s=TIMEOUT_S)
        counts = answer["data"]["counts"]
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "whatsapp_integration.whatsapp_contact_action"
        )
        action["target"] = "main"
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": _("Personal data"),
                "message": self._words(counts),
                "type": "success",
                "sticky": True,
                "next": action,
            },
        }

    def _words(self, counts):
        messages = counts.get("whatsapp_message", 0)
        others = sum(counts.values()) - messages
        return _(
            "Erased: the contents of %(messages)s messages and %(others)s other rows. "
            "The messages stay as empty rows."
        ) % {"messages": messages, "others": others}
