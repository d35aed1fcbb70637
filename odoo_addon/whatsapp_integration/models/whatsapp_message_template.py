from odoo import fields, models

KINDS = [("own", "Own text"), ("provider", "Template of the provider")]


class WhatsappMessageTemplate(models.Model):
    _name = "whatsapp.message.template"
    _inherit = "whatsapp.label.mixin"
    _description = "WhatsApp template"
    _rec_names_search = ["name", "language"]
    _order = "name, language, id"

    name = fields.Char(required=True)
    language = fields.Char(help="As the provider writes it, for example en_US.")
    kind = fields.Selection(KINDS, required=True, default="own")
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", ondelete="cascade", index=True, help="Empty: own text."
    )
    category = fields.Char()
    state = fields.Char(help="The provider's word for the approval.")
    provider_template_id = fields.Char("Provider's ID")
    components = fields.Text(help="JSON, as the provider defines them.")
    body = fields.Text(help="With {{1}}, {{2}}, … where values go.")
    header_text = fields.Char("Header")
    footer_text = fields.Char("Footer")
    model_id = fields.Many2one("ir.model", "Applies to", ondelete="cascade")
    model = fields.Char("Model Name", help="Technical name of the model.")
    active = fields.Boolean(default=True)
    company_id = fields.Many2one("res.company", "Company", default=lambda self: self.env.company)
    synced_at = fields.Datetime("Synchronized", readonly=True)

    def _label(self):
        # a row per language has the same name
        return "%s (%s)" % (self.name, self.language) if self.language else self.name
