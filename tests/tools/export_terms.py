"""Odoo's own export of the addon's terms, as `odoo --i18n-export` (14) and `odoo i18n export` (19) do it.

Runs in `odoo shell` of either series and writes /var/lib/odoo/terms.pot; no language: a template.
"""

from odoo import release
from odoo.tools.translate import trans_export

with open("/var/lib/odoo/terms.pot", "wb") as file:
    source = env.cr if release.version_info[0] < 19 else env  # noqa: F821 (given by the shell)
    trans_export(None, ["whatsapp_integration"], file, "po", source)
