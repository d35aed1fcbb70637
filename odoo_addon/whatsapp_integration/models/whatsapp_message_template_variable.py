from odoo import _, api, fields, models
from odoo.exceptions import ValidationError

from .. import template_values
from ..series import SERIES
from .whatsapp_message_template_render import PARTS


class WhatsappMessageTemplateVariable(models.Model):
    _name = "whatsapp.message.template.variable"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Placeholder of a WhatsApp template"
    _order = "template_id, part, button_index, id"
    _rec_name = "placeholder"

    template_id = fields.Many2one(
        "whatsapp.message.template", "Template", required=True, ondelete="cascade", index=True
    )
    part = fields.Selection(PARTS, required=True, default="body")
    button_index = fields.Integer("Button", default=0, help="Of the template's buttons, from 0.")
    placeholder = fields.Char(required=True, help="What stands between {{ and }}.")
    field_path = fields.Char(
        "Field", help="Names of fields with dots between, for example partner_id.name."
    )
    default = fields.Char("Fixed Text", help="Used without a field, and where the field is empty.")

    if SERIES < 19:
        _sql_constraints = [
            (
                "placeholder_uniq",
                "unique(template_id, part, button_index, placeholder)",
                "Each placeholder is bound once.",
            ),
        ]
    else:
        _placeholder_uniq = models.Constraint(
            "unique(template_id, part, button_index, placeholder)",
            "Each placeholder is bound once.",
        )

    @api.model
    def _part_words(self):
        return self._fields["part"]._description_selection(self.env)

    def _problems(self):
        """Sentences about a path that leads nowhere."""
        self.ensure_one()
        if not self.field_path:
            return []
        model = self.template_id.model
        name = "{{%s}}" % self.placeholder
        if not model or model not in self.env:
            return [_("%s names a field: choose what the template applies to.") % name]
        try:
            template_values.walk(self.env[model], self.field_path)
        except template_values.PathError as error:
            return ["%s: %s" % (name, error)]
        return []

    @api.constrains("field_path")
    def _check_path(self):
        for variable in self:
            problems = variable._problems()
            if problems:
                raise ValidationError("\n".join(problems))

    def _text_for(self, record, lang):
        self.ensure_one()
        return template_values.text(record, self.field_path, lang)
