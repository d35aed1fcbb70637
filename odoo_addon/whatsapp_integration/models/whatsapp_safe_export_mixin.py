import re

from odoo import api, models

# A spreadsheet takes a cell for a formula that begins with one of these; so do full-width ones.
FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# Numbers and phone numbers compute nothing.
HARMLESS = re.compile(r"[+-]?[0-9][0-9 .,()/-]*")
MARK = "'"


def harmless(value):
    """A cell that no spreadsheet takes for a formula: an apostrophe says that it is text."""
    if isinstance(value, str) and FORMULA.match(value) and not HARMLESS.fullmatch(value):
        return MARK + value
    return value


def as_written(value):
    """A cell as it was before `harmless`."""
    marked = isinstance(value, str) and value.startswith(MARK) and harmless(value[1:]) == value
    return value[1:] if marked else value


class WhatsappSafeExportMixin(models.AbstractModel):
    _name = "whatsapp.safe.export.mixin"
    _description = "Exports that are no formulas"

    # Names and texts come from strangers. Odoo marks = + and - in CSV, and nothing in XLSX, where
    # a cell that begins with = is written as a formula.

    def export_data(self, fields_to_export):
        result = super().export_data(fields_to_export)
        result["datas"] = [[harmless(cell) for cell in row] for row in result["datas"]]
        return result

    @api.model
    def load(self, fields, data):
        """What was exported comes back as it was."""
        return super().load(fields, [[as_written(cell) for cell in row] for row in data])
