"""Titles in XLSX files of grouped lists and pivots: they are written past `export_data`."""

import json

from odoo import http
from odoo.addons.web.controllers.pivot import TableExporter

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


class WhatsappTableExporter(TableExporter):
    @http.route()
    def export_xlsx(self, data, **kwargs):
        """The browser sends the table; of which model is not said in 14, so this is for all."""
        table = json.loads(data) if isinstance(data, str) else json.load(data)
        return super().export_xlsx(json.dumps(self._harmless(table)), **kwargs)

    def _harmless(self, table):
        titled = [header for row in table.get("col_group_headers") or [] for header in row]
        for part in titled + (table.get("rows") or []):
            part["title"] = harmless(part.get("title"))
        return table
