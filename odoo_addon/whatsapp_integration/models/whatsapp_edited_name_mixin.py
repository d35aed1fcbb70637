from odoo import _, api, fields, models
from odoo.exceptions import AccessError


class WhatsappEditedNameMixin(models.AbstractModel):
    _name = "whatsapp.edited.name.mixin"
    _description = "Rows of the daemon whose name people may change"

    name = fields.Char()
    name_edited_at = fields.Datetime(
        "Name Written at",
        readonly=True,
        help="When somebody named it here. What the account does with different names is chosen "
        "on the account.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._with_edit_time(vals) for vals in vals_list])

    def write(self, vals):
        if not self.env.su and set(vals) - {"name"}:
            raise AccessError(_("Of this record only the name can be changed."))
        return super().write(self._with_edit_time(vals))

    @api.model
    def _with_edit_time(self, vals):
        """The time goes with the name; an empty name is none: the provider's comes back."""
        if "name" not in vals or "name_edited_at" in vals:
            return vals
        name = (vals["name"] or "").strip()
        return dict(vals, name=name or False, name_edited_at=name and fields.Datetime.now())
