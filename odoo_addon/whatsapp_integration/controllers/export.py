"""Titles of groups in XLSX: they are written past `export_data`."""

from ..models.whatsapp_safe_export_mixin import harmless
from ..series import SERIES

if SERIES < 17:
    from odoo.addons.web.controllers.main import ExcelExport
else:
    from odoo.addons.web.controllers.export import ExcelExport


class WhatsappExcelExport(ExcelExport):
    def from_group_data(self, fields, *args):
        groups = args[-1]
        if groups._model._name.startswith("whatsapp."):
            self._make_titles_harmless(groups)
        return super().from_group_data(fields, *args)

    def _make_titles_harmless(self, node):
        for title in list(node.children):
            child = node.children.pop(title)  # put back at the end: the order stays
            if isinstance(title, tuple):
                title = title[:1] + tuple(harmless(part) for part in title[1:])
            node.children[harmless(title)] = child
            self._make_titles_harmless(child)
