from odoo import api, models

from ..series import SERIES


class WhatsappLabelMixin(models.AbstractModel):
    _name = "whatsapp.label.mixin"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Names records whose name column may be empty"

    # 14 asks name_get, 19 the computed display_name: both go to _label().

    def _label(self):
        self.ensure_one()
        return self[self._rec_name] or str(self.id)

    if SERIES < 17:

        def name_get(self):
            return [(record.id, record._label()) for record in self]

        @api.model
        def _name_search(self, name="", args=None, operator="ilike", limit=100, name_get_uid=None):
            names = getattr(self, "_rec_names_search", None)
            if not name or not names:
                return super()._name_search(name, args, operator, limit, name_get_uid)
            negative = operator in ("!=", "not ilike", "not like", "not in")
            leaves = [(field, operator, name) for field in names]
            domain = ["&" if negative else "|"] * (len(leaves) - 1) + leaves
            return self._search(
                domain + list(args or []), limit=limit, access_rights_uid=name_get_uid
            )

    else:

        def _compute_display_name(self):
            # In an onchange the rows of a list stand for the saved ones, without their ids.
            for record in self:
                saved = record._origin
                record.display_name = saved._label() if saved else ""
