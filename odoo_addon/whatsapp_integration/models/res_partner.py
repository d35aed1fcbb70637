from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from ..series import check_access
from .whatsapp_configuration import GROUP_USER

NUMBER_FIELDS = {"phone", "mobile", "country_id", "company_id"}


class ResPartner(models.Model):
    _inherit = "res.partner"

    whatsapp_chat_count = fields.Integer(
        "WhatsApp Chats", compute="_compute_whatsapp_chat_count", groups=GROUP_USER
    )

    def _compute_whatsapp_chat_count(self):
        chats = self.env["whatsapp.chat"]
        for partner in self:
            partner.whatsapp_chat_count = (
                chats.search_count(chats._inbox_partner_domain(partner)) if partner.id else 0
            )

    @api.model_create_multi
    def create(self, vals_list):
        partners = super().create(vals_list)
        numbers = self.env["whatsapp.partner.number"]
        names = numbers._phone_fields()
        numbers._refresh(partners.filtered(lambda p: any(p[name] for name in names)))
        return partners

    def write(self, vals):
        result = super().write(vals)
        if NUMBER_FIELDS & set(vals):
            self.env["whatsapp.partner.number"]._refresh(self)
        return result

    def action_whatsapp_inbox(self):
        """Opens the Inbox with the chats of this partner and its contacts."""
        self.ensure_one()
        self._check_whatsapp_user()
        return self.env["whatsapp.chat"]._action_inbox(partner_id=self.id)

    def action_whatsapp_send(self):
        """Opens the Send wizard on this partner; the answer is posted here."""
        self._check_whatsapp_user()
        return self.env["whatsapp.send.message.wizard"]._action_for_all(self)

    def action_whatsapp_link(self):
        """The button beside a candidate, on the form of a WhatsApp contact."""
        self.ensure_one()
        self._check_whatsapp_user()
        contact = self.env["whatsapp.contact"].browse(
            self.env.context.get("whatsapp_contact_id") or 0
        )
        if not contact.exists():
            raise UserError(_("Open the WhatsApp contact and choose there."))
        return contact._link_partner(self)

    def _check_whatsapp_user(self):
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        check_access(self, "read")
