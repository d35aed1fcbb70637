"""The older rows, in place. Runs before this version's tables are made."""

import logging
import uuid
from datetime import datetime, timezone

import psycopg2

from . import words
from .messages import Messages
from .report import Report
from .tables import (
    KEPT,
    MEMBER_TABLE,
    MEMBERS,
    OBSOLETE,
    SECRETS,
    WIZARD_LINKS,
    WIZARDS,
    columns,
    count,
    insert,
    is_older,
    kept_row,
    rows,
)

_logger = logging.getLogger(__name__)

MODULE = "whatsapp_integration"
UNKNOWN_NAME = "Taken over: account unknown"


def look(cr):
    """The report of a take-over that is not made; None where there is nothing to take over."""
    return TakeOver(cr, write=False).run() if is_older(cr) else None


def before(cr):
    """Takes the rows over; harmless where that was done."""
    if not is_older(cr):
        return None
    report = TakeOver(cr, write=True).run()
    _logger.info("rows of the older addon were taken over:\n%s", report.text())
    return report


class TakeOver:
    """One pass over all tables. It reads the same whether it writes or not: a dry run is true."""

    def __init__(self, cr, write):
        self.cr = cr
        self.write = write
        self.report = Report()
        self.now = datetime.now(timezone.utc).replace(tzinfo=None)
        self.providers = {}  # account -> provider
        self.unknown = None  # the account of rows that belong to none
        self.fake_id = 0
        self.kept = []
        self.contacts = {}  # id -> the row as it will be
        self.contact_of = {}  # former id -> id: twins became one
        self.contact_ids = {}  # (account, contact id) -> id
        self.groups = {}
        self.group_of = {}
        self.group_ids = {}
        self.roles = {}  # group -> digits -> role
        self.copies = {"whatsapp_contact": {}, "whatsapp_group": {}}  # (id, account) -> id

    def run(self):
        cr = self.cr
        if self.write:
            self.prepare()
        self.take_accounts()
        self.take_contacts()
        self.take_groups()
        members = self.take_members()
        messages = Messages(self)
        messages.take()
        self.take_services()
        self.count_wizards()
        self.take_actions()
        self.report.close()
        if self.write:
            self.write_people("whatsapp_contact", self.contacts, CONTACT)
            self.write_people("whatsapp_group", self.groups, GROUP)
            messages.write()
            self.drop_people("whatsapp_contact", self.contact_of, self.contacts)
            self.drop_people("whatsapp_group", self.group_of, self.groups)
            insert(cr, MEMBERS, ("group_id", "contact_id", "role"), members)
            said = {"counts": self.report.as_dict(), "text": self.report.text()}
            self.kept.append(("report", None, words.written(said)))
            insert(cr, KEPT, ("kind", "configuration_id", "payload"), self.kept)
            self.clean()
        return self.report

    # ---- the tables' shape

    def prepare(self):
        cr = self.cr
        cr.execute(
            "CREATE TABLE %s (id serial PRIMARY KEY, kind varchar, configuration_id int4,"
            " payload text)" % KEPT
        )
        cr.execute("CREATE TABLE %s (group_id int4, contact_id int4, role varchar)" % MEMBERS)
        cr.execute(
            "CREATE TABLE IF NOT EXISTS %s (configuration_id int4 PRIMARY KEY,"
            " value varchar NOT NULL, was_active boolean, database_oid oid NOT NULL,"
            " database_uuid varchar)" % SECRETS
        )
        # One id per account from now on, not one over all of them.
        cr.execute(
            "SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text, c.conname"
            " FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid"
            " AND c.conrelid = i.indrelid AND c.contype = 'u'"
            " WHERE i.indisunique AND NOT i.indisprimary"
            " AND i.indrelid = ANY(ARRAY[to_regclass('public.whatsapp_message'),"
            " to_regclass('public.whatsapp_contact'), to_regclass('public.whatsapp_group')])"
        )
        for table, index, name in cr.fetchall():
            if name:
                cr.execute('ALTER TABLE %s DROP CONSTRAINT "%s"' % (table, name))
            else:
                cr.execute("DROP INDEX %s" % index)
        for table, added in ADDED.items():
            there = columns(cr, table)
            for old, new in RENAMED.get(table, ()):
                if old in there and new not in there:
                    cr.execute('ALTER TABLE %s RENAME COLUMN "%s" TO "%s"' % (table, old, new))
                    there = columns(cr, table)
            # Odoo takes the NOT NULL away too, but only later.
            for name in NULLABLE.get(table, ()):
                if name in there:
                    cr.execute('ALTER TABLE %s ALTER COLUMN "%s" DROP NOT NULL' % (table, name))
            for name, kind in added:
                if name not in there:
                    cr.execute('ALTER TABLE %s ADD COLUMN "%s" %s' % (table, name, kind))

    def clean(self):
        cr = self.cr
        for table, names in OBSOLETE.items():
            there = columns(cr, table)
            for name in names:
                if name in there:
                    cr.execute('ALTER TABLE %s DROP COLUMN "%s"' % (table, name))
        if "older_timestamp" in columns(cr, "whatsapp_message"):
            cr.execute("ALTER TABLE whatsapp_message DROP COLUMN older_timestamp")
        for table in (MEMBER_TABLE,) + WIZARD_LINKS + WIZARDS:
            cr.execute("DROP TABLE IF EXISTS %s" % table)
        if columns(cr, "whatsapp_sync_service"):
            cr.execute("DELETE FROM whatsapp_sync_service")
        # What this version does not have goes at the end of the upgrade, older rules too.
        cr.execute("UPDATE ir_model_data SET noupdate = false WHERE module = %s", (MODULE,))

    # ---- accounts

    def take_accounts(self):
        cr, table = self.cr, "whatsapp_configuration"
        self.report.before(table, count(cr, table))
        for row in rows(cr, table):
            provider = words.provider(row["provider"])
            if not provider:
                self.report.count(
                    table, "repaired", 'of another provider: now "Other (HTTP)", archived'
                )
                self.keep("kept", table, row, row["id"], "its provider is not known here")
            self.providers[row["id"]] = provider or "custom"
            channel, device = words.text(row["channel_id"]), words.text(row["device_id"])
            if not channel and device and provider == "wassenger":
                channel, device = device, None
                self.report.count(table, "repaired", "device id taken as channel id")
            if device and device != channel:
                self.report.count(table, "kept", "with a device id that is not the channel id")
                self.keep("kept", table, row, row["id"], "a device id that is not the channel id")
            token = words.text(row["token"])
            if token:
                self.report.count(
                    table, "note", "archived until the bridge has sealed their API token"
                )
            if self.write:
                self.write_account(row, provider, channel, token)

    def write_account(self, row, provider, channel, token):
        cr = self.cr
        active = bool(row["active"]) and bool(provider)
        cr.execute(
            "UPDATE whatsapp_configuration SET provider = %s, channel_id = %s, token = NULL,"
            " active = %s, seal_uuid = %s WHERE id = %s",
            (provider or "custom", channel, active and not token, str(uuid.uuid4()), row["id"]),
        )
        if token:
            cr.execute(
                "INSERT INTO %s (configuration_id, value, was_active, database_oid, database_uuid)"
                " SELECT %%s, %%s, %%s, d.oid,"
                " (SELECT value FROM ir_config_parameter WHERE key = 'database.uuid')"
                " FROM pg_database d WHERE d.datname = current_database()" % SECRETS,
                (row["id"], token, active),
            )

    def account(self, table, row, *hints):
        """The account a row belongs to."""
        if row["configuration_id"] in self.providers:
            return row["configuration_id"]
        for hint in hints:
            if hint in self.providers:
                self.report.count(
                    table, "repaired", "without account: that of their contact or group"
                )
                return hint
        name = words.provider(row["provider"])
        fitting = [
            one
            for one, provider in self.providers.items()
            if provider == name and one != self.unknown
        ]
        if not name:
            fitting = [one for one in self.providers if one != self.unknown]
        if len(fitting) == 1:
            self.report.count(table, "repaired", "without account: the only one that can be theirs")
            return fitting[0]
        self.report.count(table, "repaired", "without account: an archived one was made for them")
        return self.unknown_account()

    def unknown_account(self):
        if self.unknown is None:
            self.unknown = self.new_id("whatsapp_configuration")
            self.providers[self.unknown] = "custom"
            self.report.count(
                "whatsapp_configuration", "added", "archived, for rows of no known account"
            )
            if self.write:
                self.cr.execute(
                    "INSERT INTO whatsapp_configuration (id, name, provider, active, seal_uuid)"
                    " VALUES (%s, %s, 'custom', false, %s)",
                    (self.unknown, UNKNOWN_NAME, str(uuid.uuid4())),
                )
        return self.unknown

    # ---- contacts and groups

    def take_contacts(self):
        table = "whatsapp_contact"
        self.report.before(table, count(self.cr, table))
        for row in rows(self.cr, table, ("is_wa_contact",)):
            account = self.account(table, row)
            ours = words.chat_id(self.providers[account], row["contact_id"]) or words.text(
                row["wid"]
            )
            if not ours:
                ours = "older-%d" % row["id"]
                self.report.count(
                    table, "repaired", "without WhatsApp id: their row number stands for it"
                )
            phone = words.phone(row["phone"], ours)
            if words.text(row["phone"]) and phone != row["phone"]:
                self.report.count(
                    table, "repaired", "with a number that was written otherwise, or none"
                )
            self.changed(table, row["contact_id"], ours)
            said = {
                "contact_id": ours,
                "configuration_id": account,
                "provider": self.providers[account],
                "phone": phone,
                "name": words.text(row["name"]),
                "pushname": words.text(row["pushname"]),
                "is_wa_contact": row["is_wa_contact"]
                if row["isWAContact"] is None
                else row["isWAContact"],
                "synced_at": row["synced_at"],
            }
            kept = self.unite(table, row, said, self.contacts, self.contact_of, self.contact_ids)
            if kept and self.has_more(row, said):
                self.report.count(table, "kept", "with words that have no column here")
                self.keep("kept", table, row, account, "words that have no column here")

    @staticmethod
    def has_more(row, said):
        plain = {
            None,
            "",
            said["contact_id"],
            said["phone"],
            said["name"],
            said["pushname"],
            row["contact_id"],
        }
        return (
            row["wid"] not in plain
            or row["display_name"] not in plain
            or row["phone"] not in plain
            or row["is_active"] is False
            or words.word(row["provider"]) not in ("", said["provider"])
            or any(row[name] is not None for name in ("created_at", "updated_at"))
            or any(row[name] for name in ("is_phone_contact", "is_chat_contact"))
        )

    def take_groups(self):
        table = "whatsapp_group"
        self.report.before(table, count(self.cr, table))
        for row in rows(self.cr, table):
            account = self.account(table, row)
            provider = self.providers[account]
            found, understood = words.metadata(row["metadata"])
            named = (
                found.get("id")
                if isinstance(found, dict) and isinstance(found.get("id"), str)
                else None
            )
            ours = words.chat_id(provider, row["group_id"])
            if not ours:
                ours = next(
                    (one for one in (words.text(row["wid"]), named) if words.is_group(one)), None
                )
                if ours:
                    self.report.count(
                        table, "repaired", "without WhatsApp id: read from their metadata"
                    )
            if not ours:
                self.report.count(table, "set_aside", "that no WhatsApp id tells apart")
                self.keep("set_aside", table, row, account, "no WhatsApp id")
                continue
            self.changed(table, row["group_id"], ours)
            said = {
                "group_id": ours,
                "wid": words.text(row["wid"]),
                "configuration_id": account,
                "provider": provider,
                "name": words.text(row["name"]),
                "description": words.text(row["description"]),
                "invite_link": words.invite_link(row["invite_code"]),
                "is_active": row["is_active"],
                "synced_at": row["synced_at"],
            }
            kept = self.unite(table, row, said, self.groups, self.group_of, self.group_ids)
            self.roles.setdefault(self.group_of[row["id"]], {}).update(words.roles(found))
            if not understood:
                self.report.count(table, "kept", "with metadata that nobody can read, as they are")
            if kept and any(
                row[name] is not None
                for name in ("metadata", "created_at", "updated_at", "invite_fetched_at")
            ):
                self.report.count(table, "kept", "with words that have no column here")
                self.keep("kept", table, row, account, "words that have no column here")

    def changed(self, table, was, ours):
        if words.text(was) and was != ours:
            self.report.count(table, "repaired", "with an id in another provider's form")

    def unite(self, table, row, said, known, by_former, by_id):
        """Notes a row, or adds what it tells to its twin in the account; whether it stays a row."""
        key = (said["configuration_id"], said[ID[table]])
        first = by_id.setdefault(key, row["id"])
        by_former[row["id"]] = first
        if first == row["id"]:
            known[first] = said
            return True
        for name, value in said.items():
            if known[first].get(name) is None:
                known[first][name] = value
        self.report.count(table, "set_aside", "that were there twice in one account: one row now")
        self.keep("set_aside", table, row, said["configuration_id"], "a twin of row %d" % first)
        return False

    def at_account(self, table, id_, account):
        """The row of the same person or group at another account, made where there is none."""
        known, by_id = (
            (self.contacts, self.contact_ids)
            if table == "whatsapp_contact"
            else (self.groups, self.group_ids)
        )
        if known[id_]["configuration_id"] == account:
            return id_
        done = self.copies[table].get((id_, account))
        if done:
            return done
        provider = self.providers[account]
        ours = words.chat_id(provider, known[id_][ID[table]])
        there = by_id.get((account, ours))
        if there is None:
            there = self.new_id(table)
            by_id[(account, ours)] = there
            known[there] = dict(
                known[id_], configuration_id=account, provider=provider, **{ID[table]: ours}
            )
            known[there]["new"] = True
            self.report.count(table, "added", "for another account that writes to them too")
        self.copies[table][(id_, account)] = there
        return there

    def new_id(self, table):
        if not self.write:
            self.fake_id -= 1
            return self.fake_id
        self.cr.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", ("public." + table,))
        return self.cr.fetchone()[0]

    def write_people(self, table, known, names):
        fresh = [(id_, row) for id_, row in known.items() if row.get("new")]
        insert(
            self.cr,
            table,
            ("id",) + names,
            [(id_,) + tuple(row[name] for name in names) for id_, row in fresh],
        )
        old = [(id_, row) for id_, row in known.items() if not row.get("new")]
        self.cr.execute(
            "CREATE TEMP TABLE takeover_people ON COMMIT DROP AS SELECT id, %s FROM %s LIMIT 0"
            % (", ".join(names), table)
        )
        insert(
            self.cr,
            "takeover_people",
            ("id",) + names,
            [(id_,) + tuple(row[name] for name in names) for id_, row in old],
        )
        self.cr.execute(
            "UPDATE %s t SET %s FROM takeover_people n WHERE n.id = t.id"
            % (table, ", ".join("%s = n.%s" % (name, name) for name in names))
        )
        self.cr.execute("DROP TABLE takeover_people")

    def drop_people(self, table, by_former, known):
        """Twins, and groups that are none."""
        self.point_to_first(table, [pair for pair in by_former.items() if pair[0] != pair[1]])
        self.cr.execute("SELECT id FROM %s" % table)
        gone = [row[0] for row in self.cr.fetchall() if row[0] not in known]
        if gone:
            self.cr.execute("DELETE FROM %s WHERE id = ANY(%%s)" % table, (gone,))

    def point_to_first(self, table, twins):
        """Tables of other addons that name a twin name the row that stays."""
        cr = self.cr
        cr.execute(
            "SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c JOIN pg_attribute a"
            " ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]"
            " WHERE c.contype = 'f' AND c.confrelid = to_regclass(%s) AND cardinality(c.conkey) = 1",
            ("public." + table,),
        )
        others = [one for one in cr.fetchall() if one[0] not in POINTED_ALREADY]
        for name, column in others:
            find = 'SELECT ctid FROM %s WHERE "%s" = %%s' % (name, column)
            point = 'UPDATE %s SET "%s" = %%s WHERE ctid = %%s' % (name, column)
            for twin, first in twins:
                cr.execute(find, (twin,))
                for (place,) in cr.fetchall():
                    cr.execute("SAVEPOINT takeover_twin")
                    try:
                        cr.execute(point, (first, place), log_exceptions=False)
                    except psycopg2.IntegrityError:
                        # It names both, and may do so once: the twin's goes with the twin.
                        cr.execute("ROLLBACK TO SAVEPOINT takeover_twin")
                    cr.execute("RELEASE SAVEPOINT takeover_twin")

    def take_members(self):
        """(group, contact, role), each once."""
        cr, table = self.cr, MEMBER_TABLE
        self.report.before(table, count(cr, table))
        members = {}
        if not columns(cr, table):
            return []
        cr.execute("SELECT group_id, contact_id FROM %s ORDER BY 1, 2" % table)
        for former_group, former_contact in cr.fetchall():
            group = self.group_of.get(former_group)
            contact = self.contact_of.get(former_contact)
            row = {"group_id": former_group, "contact_id": former_contact}
            if group is None or contact is None:
                self.report.count(table, "set_aside", "of which the group or the contact is gone")
                self.keep("set_aside", table, row, None, "the group or the contact is gone")
                continue
            contact = self.at_account(
                "whatsapp_contact", contact, self.groups[group]["configuration_id"]
            )
            if (group, contact) in members:
                self.report.count(table, "set_aside", "that were there twice")
                continue
            role = self.roles.get(group, {}).get(self.contacts[contact]["phone"], "member")
            members[(group, contact)] = role
        return [key + (role,) for key, role in members.items()]

    # ---- what is around

    def take_services(self):
        table = "whatsapp_sync_service"
        self.report.before(table, count(self.cr, table))
        for row in rows(self.cr, table):
            self.report.count(
                table, "set_aside", "of no account: every account has schedules of its own now"
            )
            self.keep("set_aside", table, row, None, "schedules belong to an account now")

    def count_wizards(self):
        drafts = sum(count(self.cr, table) for table in WIZARDS)
        self.report.before("wizards", drafts)
        self.report.count("wizards", "set_aside", "thrown away: they live for an hour", drafts)

    def take_actions(self):
        """The older crons: without external ids, so that Odoo does not remove them itself."""
        cr = self.cr
        cr.execute(
            "SELECT c.id, s.id, s.code FROM ir_cron c"
            " JOIN ir_act_server s ON s.id = c.ir_actions_server_id"
            " LEFT JOIN ir_model m ON m.id = s.model_id"
            " WHERE c.active AND (m.model LIKE 'whatsapp.%' OR s.code LIKE '%whatsapp.%')"
            " AND NOT EXISTS (SELECT 1 FROM ir_model_data d"
            " WHERE d.model = 'ir.cron' AND d.res_id = c.id)"
            " ORDER BY c.id"
        )
        found = cr.fetchall()
        self.report.before("ir_cron", len(found))
        self.report.count("ir_cron", "note", "switched off: the bridge does their work", len(found))
        for cron, action, code in found:
            self.keep(
                "kept",
                "ir_cron",
                {"id": cron, "ir_act_server": action, "code": code},
                None,
                "switched off",
            )
        if self.write and found:
            cr.execute(
                "UPDATE ir_cron SET active = false WHERE id = ANY(%s)", ([row[0] for row in found],)
            )

    def keep(self, kind, table, row, account=None, why=None):
        if self.write:
            self.kept.append(kept_row(kind, table, row, account, why))


# Written anew, or dropped.
POINTED_ALREADY = ("whatsapp_message", MEMBER_TABLE) + WIZARDS + WIZARD_LINKS
ID = {"whatsapp_contact": "contact_id", "whatsapp_group": "group_id"}
CONTACT = tuple(
    "contact_id configuration_id provider phone name pushname is_wa_contact synced_at".split()
)
GROUP = tuple(
    "group_id wid configuration_id provider name description invite_link is_active"
    " synced_at".split()
)
RENAMED = {
    "whatsapp_contact": [("isWAContact", "is_wa_contact")],
    "whatsapp_message": [("body", "content"), ("timestamp", "older_timestamp")],
}
NULLABLE = {
    "whatsapp_configuration": ("token", "supervisor_phone"),
    "whatsapp_group": ("name",),
    "whatsapp_message": ("chat_id",),
}
TIMES = (
    "timestamp queued_at pending_at uncertain_at sent_at delivered_at read_at played_at"
    " failed_at deleted_at cancelled_at"
)
ADDED = {
    "whatsapp_configuration": [
        ("seal_uuid", "varchar"),
        ("company_id", "int4"),
        ("channel_id", "varchar"),
    ],
    "whatsapp_contact": [("is_wa_contact", "boolean")],
    "whatsapp_group": [("invite_link", "varchar"), ("wid", "varchar")],
    "whatsapp_message": [(name, "timestamp") for name in TIMES.split()]
    + [(name, "varchar") for name in ("direction", "origin", "error_code")]
    + [("extra", "text"), ("error_message", "text"), ("content", "text")],
}
