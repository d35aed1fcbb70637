from odoo import _, api, fields, models

from .whatsapp_message_template_render import TemplateProblem


class WhatsappMessageTemplatePreview(models.TransientModel):
    _name = "whatsapp.message.template.preview"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Preview of a WhatsApp template on a record"

    template_id = fields.Many2one(
        "whatsapp.message.template", "Template", required=True, ondelete="cascade"
    )
    record = fields.Reference(selection="_selection_record", string="For")
    language = fields.Char(compute="_compute_parts")
    header = fields.Text(compute="_compute_parts")
    body = fields.Text(compute="_compute_parts")
    footer = fields.Text(compute="_compute_parts")
    buttons = fields.Text(compute="_compute_parts")
    problem = fields.Text(compute="_compute_parts")

    @api.model
    def _selection_record(self):
        """The template's model alone, or partners."""
        template = self.env["whatsapp.message.template"].browse(
            self.env.context.get("default_template_id") or self.template_id[:1].id or 0
        )
        model = template.exists().model or "res.partner"
        if model not in self.env:
            model = "res.partner"
        return [(model, self.env[model]._description or model)]

    @api.model
    def default_get(self, fields_list):
        """Begins with the first record there is."""
        values = super().default_get(fields_list)
        if "record" in fields_list and not values.get("record"):
            model = self._selection_record()[0][0]
            first = self.env[model].search([], limit=1)
            values["record"] = "%s,%s" % (model, first.id) if first else False
        return values

    @api.depends("template_id", "record")
    def _compute_parts(self):
        for preview in self:
            parts, problem = {}, False
            row = preview.template_id
            if row and preview.record:
                lang = row._language_of(preview.record)
                row = row._for_language(lang)
                try:
                    if row._unreadable(preview.record):
                        raise TemplateProblem("missing_field", row._unreadable_words())
                    parts = row._parts(preview.record, lang)
                except TemplateProblem as error:
                    problem = str(error)
            else:
                problem = _("Choose a record.")
            preview.language = row.language
            preview.header = parts.get("header") or False
            preview.body = parts.get("body") or False
            preview.footer = parts.get("footer") or False
            preview.buttons = "\n".join(parts.get("buttons") or []) or False
            preview.problem = problem
