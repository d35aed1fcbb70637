"""Take-over of a database of the older addon `whatsapp_integration` 14.0.4.2.0 (docs/TAKEOVER.md).

`before` and `after` are run by Odoo around the creation of this version's tables, in one
transaction with it; `look` only counts. This package needs nothing of Odoo:
`python3 takeover CONNECTION` is the dry run.
"""

from .after import after  # noqa: F401
from .before import before, look  # noqa: F401
