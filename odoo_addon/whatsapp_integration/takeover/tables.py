"""Reading the older tables, of which any column may be missing, and what is written beside them."""

from .words import written

# Holds what is not a column of this version until `after` can put it where administrators see it.
KEPT = "whatsapp_takeover_kept"
# (group, contact, role) until the members' own table is there.
MEMBERS = "whatsapp_takeover_member"
# Clear tokens until the daemon has sealed them; no model reads it, so that no user can.
SECRETS = "whatsapp_takeover_secret"
BATCH = 10000

COLUMNS = {
    "whatsapp_configuration": (
        "id name token device_id supervisor_phone active provider channel_id"
    ),
    "whatsapp_contact": (
        "id contact_id phone name pushname display_name wid is_active synced_at created_at"
        " updated_at provider isWAContact is_phone_contact is_chat_contact configuration_id"
    ),
    "whatsapp_group": (
        "id group_id name description metadata is_active synced_at created_at updated_at provider"
        " configuration_id wid invite_code invite_fetched_at"
    ),
    "whatsapp_message": (
        "id message_id message_type chat_id from_me timestamp status error_message created_at"
        " updated_at media_url media_type metadata contact_id group_id configuration_id provider"
        " wid create_date"
    ),
    "whatsapp_sync_service": "id name last_sync_time sync_status last_sync_message",
}
# Of these nothing is left to say once their rows are taken over.
OBSOLETE = {
    "whatsapp_configuration": ("device_id",),
    "whatsapp_contact": (
        "display_name wid is_active created_at updated_at is_phone_contact is_chat_contact".split()
    ),
    "whatsapp_group": (
        "metadata created_at updated_at message_count latest_messages_count invite_code"
        " invite_fetched_at"
    ).split(),
    "whatsapp_message": "created_at updated_at media_url media_type metadata wid".split(),
    "whatsapp_sync_service": "last_sync_time sync_status last_sync_message".split(),
}
MEMBER_TABLE = "whatsapp_group_contact_rel"
WIZARDS = (
    "whatsapp_send_message_wizard",
    "whatsapp_sync_wizard",
    "whatsapp_remove_member_wizard",
)
WIZARD_LINKS = (
    "whatsapp_group_whatsapp_send_message_wizard_rel",
    "whatsapp_remove_member_group_rel",
)


def columns(cr, table):
    """Name -> type of a table's columns; empty where there is no such table."""
    cr.execute(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a"
        " WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped",
        ("public." + table,),
    )
    return dict(cr.fetchall())


def is_older(cr):
    """Whether the older addon's tables are here, not taken over yet."""
    found = columns(cr, "whatsapp_message")
    return "body" in found or found.get("timestamp") == "integer"


def rows(cr, table, extra=()):
    """Every row of an older table as a dict, by id; a missing column is None."""
    there = columns(cr, table)
    names = COLUMNS[table].split() + list(extra)
    wanted = ", ".join('"%s"' % name if name in there else 'NULL AS "%s"' % name for name in names)
    last = None
    while there:
        cr.execute(
            "SELECT %s FROM %s WHERE %%s::int4 IS NULL OR id > %%s ORDER BY id LIMIT %d"
            % (wanted, table, BATCH),
            (last, last),
        )
        found = cr.fetchall()
        for row in found:
            yield dict(zip(names, row))
        if len(found) < BATCH:
            return
        last = found[-1][names.index("id")]


def count(cr, table):
    if not columns(cr, table):
        return 0
    cr.execute("SELECT count(*) FROM %s" % table)
    return cr.fetchone()[0]


def insert(cr, table, names, values):
    """Many rows at once."""
    if not values:
        return
    one = "(%s)" % ", ".join(["%s"] * len(names))
    head = "INSERT INTO %s (%s) VALUES " % (table, ", ".join('"%s"' % name for name in names))
    for start in range(0, len(values), 1000):
        some = values[start : start + 1000]
        cr.execute(head + ", ".join([one] * len(some)), [value for row in some for value in row])


def kept_row(kind, table, row, account, why):
    """A row for KEPT: what is told of one older row beside what this version's columns hold."""
    said = {name: value for name, value in row.items() if value is not None and name != "token"}
    return (kind, account, written({"table": table, "why": why, "row": said}))
