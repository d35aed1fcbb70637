from odoo import fields, models

from ..series import SERIES
from .whatsapp_configuration import PROVIDERS


class WhatsappContact(models.Model):
    _name = "whatsapp.contact"
    _inherit = "whatsapp.label.mixin"
    _description = "WhatsApp contact"
    _order = "name, id"
    _rec_names_search = ["name", "pushname", "phone", "contact_id"]

    contact_id = fields.Char("WhatsApp ID", required=True, readonly=True)
    phone = fields.Char(readonly=True, index=True)
    name = fields.Char(readonly=True)
    pushname = fields.Char("Own Name", readonly=True, help="The name this person gave to WhatsApp.")
    provider = fields.Selection(PROVIDERS, readonly=True)
    is_wa_contact = fields.Boolean("On WhatsApp", readonly=True)
    synced_at = fields.Datetime("Synchronized", readonly=True)
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="restrict", readonly=True
    )
    partner_id = fields.Many2one(
        "res.partner", "Partner", ondelete="set null", index=True, readonly=True
    )
    opted_out = fields.Boolean(readonly=True, help="Does not want to get marketing messages.")
    lid = fields.Char(
        "Hidden ID", readonly=True, help="WhatsApp's id of a person whose number is hidden."
    )
    username = fields.Char(readonly=True)
    wa_user_id = fields.Char(
        "Business-Scoped ID", readonly=True, help="Meta's id of this person for this business."
    )
    is_business = fields.Boolean("Business", readonly=True)
    is_blocked = fields.Boolean("Blocked", readonly=True)
    picture = fields.Char(readonly=True, help="Address of the profile picture at the provider.")

    if SERIES < 19:
        _sql_constraints = [
            (
                "configuration_contact_uniq",
                "unique(configuration_id, contact_id)",
                "This account has this contact already.",
            ),
        ]
    else:
        _configuration_contact_uniq = models.Constraint(
            "unique(configuration_id, contact_id)", "This account has this contact already."
        )

    def _label(self):
        self.ensure_one()
        return self.name or self.pushname or self.phone or self.contact_id or str(self.id)

    def action_write(self):
        self.ensure_one()
        return self.env["whatsapp.send.message.wizard"]._action_open(
            {
                "default_configuration_id": self.configuration_id.id,
                "default_recipient_type": "contact",
                "default_contact_id": self.id,
            }
        )

    def action_messages(self):
        self.ensure_one()
        action = self.env["whatsapp.message"]._action_list()
        action["name"] = self._label()
        action["domain"] = [("contact_id", "=", self.id)]
        return action
