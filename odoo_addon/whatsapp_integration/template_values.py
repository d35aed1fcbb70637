"""Values of fields as a person of a language reads them: what placeholders are replaced with.

A path names fields of a record, `partner_id.name`. It is looked up, never evaluated: no
expressions, no methods, and only fields that the user of the record's environment may read.
"""

import re

from odoo.exceptions import AccessError
from odoo.tools import html2plaintext
from odoo.tools.misc import format_date, format_datetime, formatLang

from .series import check_access, translator

PATH = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
# What has no words for people.
UNREADABLE = (
    "binary",
    "image",
    "serialized",
    "json",
    "properties",
    "properties_definition",
    "many2one_reference",
)


class PathError(Exception):
    """A path that names no readable field; the text says why, in the user's language."""


def walk(model, path):
    """The last field of a path and the model it is on; PathError when the user may not go there."""
    _ = translator(model.env)
    if not PATH.fullmatch(path or ""):
        raise PathError(
            _(
                '"%s" is no field path: write field names with dots between, like partner_id.name.'
            )
            % (path or "")
        )
    names = path.split(".")
    for position, name in enumerate(names):
        field = model._fields.get(name)
        if field is None:
            raise PathError(
                _('%(path)s: %(model)s has no field "%(name)s".')
                % {"path": path, "model": model._description or model._name, "name": name}
            )
        if not readable(model, name):
            raise PathError(
                _('%(path)s: you may not read the field "%(name)s".') % {"path": path, "name": name}
            )
        if position + 1 == len(names):
            break
        if field.type != "many2one":
            raise PathError(
                _('%(path)s: "%(name)s" does not lead to one other record, nothing can follow it.')
                % {"path": path, "name": name}
            )
        model = model.env[field.comodel_name]
    if field.type in UNREADABLE:
        raise PathError(_("%s is a field that cannot be written as text.") % path)
    return field, model


def readable(model, name):
    """Whether the user may read this field of the model."""
    try:
        check_access(model.browse(), "read")
    except AccessError:
        return False
    return bool(model.fields_get([name], ["type"]))


def text(record, path, lang=None, tz=None):
    """The value at the end of a path in a language; "" when a field on the way is empty.

    Reads as the record's own user: AccessError where a record may not be read.
    """
    field = walk(record, path)[0]
    record = record.with_context(
        lang=lang or record.env.lang, tz=tz or record.env.context.get("tz")
    )
    names = path.split(".")
    for name in names[:-1]:
        record = record[name]
    if not record:
        return ""
    return words(record[:1], field, record[:1][names[-1]])


def words(record, field, value):
    """One value of a field, as people of the record's language read it."""
    env = record.env
    kind = field.type
    if kind == "boolean":
        _ = translator(env)
        return _("Yes") if value else _("No")
    if kind == "integer":
        return str(value)
    if kind == "monetary":
        name = currency_field(field, record)
        currency = record[name] if name in record._fields else None
        return formatLang(env, value, currency_obj=currency or env.company.currency_id)
    if kind == "float":
        digits = field.get_digits(env)
        return formatLang(env, value, digits=digits[1] if digits else 2)
    if not value:
        return ""
    if kind == "date":
        return format_date(env, value, lang_code=env.lang)
    if kind == "datetime":
        return format_datetime(env, value, tz=env.context.get("tz") or False, lang_code=env.lang)
    if kind == "selection":
        return str(dict(field._description_selection(env)).get(value, value))
    if kind in ("many2one", "reference"):
        return value.display_name or ""
    if kind in ("one2many", "many2many"):
        return ", ".join(other.display_name or "" for other in value)
    if kind == "html":
        return html2plaintext(value).strip()
    return str(value).strip()


def currency_field(field, record):
    """Name of the field with the currency of an amount."""
    if hasattr(field, "get_currency_field"):
        return field.get_currency_field(record)
    return field.currency_field  # 14
