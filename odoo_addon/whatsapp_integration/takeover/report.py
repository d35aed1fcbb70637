"""What a take-over did, or would do: counts by table, as text and as JSON."""

TITLES = [
    ("whatsapp_configuration", "accounts"),
    ("whatsapp_contact", "contacts"),
    ("whatsapp_group", "groups"),
    ("whatsapp_group_contact_rel", "members of groups"),
    ("whatsapp_message", "messages"),
    ("whatsapp_sync_service", "synchronisation services"),
    ("wizards", "drafts of wizards"),
    ("ir_cron", "scheduled actions of the older addon"),
]
WORDS = [
    ("repaired", "repaired"),
    ("added", "added"),
    ("set_aside", "set aside"),
    ("kept", "kept beside"),
    ("note", "note"),
]


class Report:
    """`before` + added - set aside = `after`, for each table."""

    def __init__(self):
        self.tables = {}

    def table(self, name):
        return self.tables.setdefault(
            name, dict({key: {} for key, _word in WORDS}, before=0, after=0)
        )

    def before(self, name, rows):
        self.table(name)["before"] = rows

    def count(self, name, kind, why, rows=1):
        """One more row of which this is to be told."""
        if rows:
            counts = self.table(name)[kind]
            counts[why] = counts.get(why, 0) + rows

    def close(self):
        for table in self.tables.values():
            added, gone = sum(table["added"].values()), sum(table["set_aside"].values())
            table["after"] = table["before"] + added - gone

    def as_dict(self):
        return self.tables

    def lines(self):
        for name, title in TITLES:
            table = self.tables.get(name)
            if not table:
                continue
            yield "%s: %d before, %d after" % (title, table["before"], table["after"])
            for key, words in WORDS:
                for why, rows in sorted(table[key].items()):
                    yield "  %s: %d %s" % (words, rows, why)

    def text(self):
        return "\n".join(self.lines())
