from odoo import _, api, models
from odoo.exceptions import AccessError

from ..series import check_access

OURS = "whatsapp."


class WhatsappGuardedLinksMixin(models.AbstractModel):
    _name = "whatsapp.guarded.links.mixin"
    _inherit = "whatsapp.safe.export.mixin"
    _description = "Rows that point to WhatsApp records their user may see"

    # Odoo shows the name of what a many2one field points to, whatever the rights on that record.
    # Who could point a row, or a form that is not saved yet, to somebody else's contact would read
    # its name and number: so what comes from outside may point to visible records only.

    @api.model
    def default_get(self, fields_list):
        # Left out, not refused: an account of another company than the chosen one may be a default.
        values = super().default_get(fields_list)
        return {name: value for name, value in values.items() if self._may_link({name: value})}

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_links(vals)
        return super().create(vals_list)

    def write(self, vals):
        self._check_links(vals)
        return super().write(vals)

    def onchange(self, values, *args):
        self._check_links(values)
        return super().onchange(values, *args)

    @api.model
    def _may_link(self, values):
        try:
            self._check_links(values)
        except AccessError:
            return False
        return True

    def _check_links(self, values):
        """Raises AccessError where values point to a WhatsApp record that the user does not see.

        What the records of `self` point to already may stay.
        """
        if self.env.su:
            return
        for name, value in values.items():
            field = self._fields.get(name)
            if not value or not field or not field.relational:
                continue
            if not field.comodel_name.startswith(OURS):
                continue
            other = self.env[field.comodel_name]
            ids, rows = self._linked(value)
            for row in rows:
                if hasattr(other, "_check_links"):  # another addon's model may come without
                    other._check_links(row)
            if ids:
                ids -= set(self.sudo().mapped(name).ids)
            self._check_visible_link(field, ids)

    def _check_seen(self):
        """Raises AccessError unless the user sees these rows and, still, what they point to.

        For buttons that read nothing, and for those of wizards: rights may have changed since.
        """
        check_access(self, "read")
        for name, field in self._fields.items():
            kinds = ("many2one", "many2many")
            if field.store and field.type in kinds and field.comodel_name.startswith(OURS):
                self._check_visible_link(field, set(self.sudo().mapped(name).ids))

    def _check_visible_link(self, field, ids):
        other = self.env[field.comodel_name].with_context(active_test=False)
        if ids and other.search_count([("id", "in", list(ids))]) != len(ids):
            raise AccessError(
                _("The record in %s does not exist, or you may not see it.")
                % field._description_string(self.env)
            )

    @api.model
    def _linked(self, value):
        """Ids that a value of a relational field names, and the values of rows within it."""
        if isinstance(value, models.BaseModel):
            return set(value.ids), []
        if not isinstance(value, (list, tuple)):
            return {value} if isinstance(value, int) else set(), []
        ids, rows = set(), []
        for item in value:
            if isinstance(item, int):
                ids.add(item)
            elif isinstance(item, (list, tuple)) and item:
                command, *rest = item
                if command in (1, 2, 3, 4) and rest and isinstance(rest[0], int):
                    ids.add(rest[0])
                if command in (0, 1) and len(rest) > 1 and isinstance(rest[1], dict):
                    rows.append(rest[1])
                if command == 6 and len(rest) > 1:
                    ids.update(i for i in rest[1] or [] if isinstance(i, int))
        return ids, rows
