from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from ..models.whatsapp_configuration import GROUP_USER

# Where the chosen records of a list go in a campaign.
LISTS = {
    "res.partner": "partner_ids",
    "whatsapp.contact": "contact_ids",
    "whatsapp.group": "group_ids",
}


class WhatsappBulkSendWizard(models.TransientModel):
    _name = "whatsapp.bulk.send.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Send to many, from a list"

    name = fields.Char(required=True, default=lambda self: self._default_name())
    configuration_id = fields.Many2one(
        "whatsapp.configuration",
        "Account",
        required=True,
        ondelete="cascade",
        default=lambda self: self._default_account(),
    )
    category = fields.Selection(
        [("utility", "Utility"), ("marketing", "Marketing")], required=True, default="marketing"
    )
    content_kind = fields.Selection(
        [("text", "Own text"), ("template", "Template")], "Sends", required=True, default="text"
    )
    text = fields.Text("Message")
    template_id = fields.Many2one(
        "whatsapp.message.template",
        "Template",
        ondelete="cascade",
        domain="['|', ('kind', '=', 'own'), '&', ('configuration_id', '=', configuration_id), "
        "('state', '=', 'approved')]",
    )
    count = fields.Integer("Chosen", compute="_compute_count")

    @api.model
    def _chosen(self):
        """The records of the list that the action was called on."""
        model = self.env.context.get("active_model")
        if model not in LISTS:
            raise UserError(_("Choose partners, contacts or groups in a list first."))
        return self.env[model].browse(self.env.context.get("active_ids") or []).exists()

    @api.model
    def _default_name(self):
        return _("Message of %s") % fields.Date.to_string(fields.Date.context_today(self))

    @api.model
    def _default_account(self):
        """The account of the chosen contacts or groups, where they are of one."""
        model = self.env.context.get("active_model")
        if model in LISTS and model != "res.partner":
            accounts = self._chosen().mapped("configuration_id")
            if len(accounts) == 1:
                return accounts
        return self.env["whatsapp.configuration"]._first_usable(self.env.user)

    def _compute_count(self):
        for wizard in self:
            wizard.count = len(self._chosen())

    def action_create(self):
        """Makes the campaign and opens it: there it is checked and started."""
        self.ensure_one()
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        self._check_seen()
        chosen = self._chosen()
        campaign = self.env["whatsapp.bulk.campaign"].create(
            {
                "name": self.name,
                "configuration_id": self.configuration_id.id,
                "category": self.category,
                "content_kind": self.content_kind,
                "text": self.text,
                "template_id": self.template_id.id,
                "recipient_source": "list",
                LISTS[chosen._name]: [(6, 0, chosen.ids)],
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": _("Campaign"),
            "res_model": "whatsapp.bulk.campaign",
            "res_id": campaign.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "current",
        }
