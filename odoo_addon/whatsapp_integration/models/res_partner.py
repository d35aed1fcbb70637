from odoo import api, models

NUMBER_FIELDS = {"phone", "mobile", "country_id", "company_id"}


class ResPartner(models.Model):
    _inherit = "res.partner"

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
