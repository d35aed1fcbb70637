"""What differs between Odoo 14 and 19, in one place."""

from odoo import _ as translate_here
from odoo import release

SERIES = release.version_info[0]
# Suffix of the data files that exist once per series.
SUFFIX = "14" if SERIES < 17 else "19"
# The name of JSON routes: "json" still works in 19, with a warning.
JSON_ROUTE = "json" if SERIES < 19 else "jsonrpc"


def translator(env):
    """`_` for functions outside of models, where 19 finds no `self` to take the language from."""
    return translate_here if SERIES < 18 else env._


def all_groups(user):
    """The groups of a user, implied ones included."""
    return user.groups_id if SERIES < 19 else user.all_group_ids


def flush(model):
    """Writes what the ORM still holds back: raw SQL does not see it (14 holds it per thread)."""
    if SERIES < 16:
        model.flush()
    else:
        model.env.flush_all()


def invalidate(model):
    """Forgets what the ORM has read, after rows were changed by SQL."""
    if SERIES < 16:
        model.invalidate_cache()
    else:
        model.env.invalidate_all()


def check_access(records, operation):
    """Raises AccessError unless the records' user may do this with each of them."""
    if SERIES < 18:
        records.check_access_rights(operation)
        records.check_access_rule(operation)
    else:
        records.check_access(operation)


def current_request_attribute(request, name, make):
    """A value that stays the same when Odoo runs the request again, after a conflict."""
    http_request = request.httprequest
    if not hasattr(http_request, name):
        setattr(http_request, name, make())
    return getattr(http_request, name)
