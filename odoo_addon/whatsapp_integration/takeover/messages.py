"""The older messages: read once, row by row, written in one statement."""

from . import words
from .tables import columns, count, insert, rows

TABLE = "whatsapp_message"
BATCH = 2000
TIMES = (
    "pending_at sent_at delivered_at read_at played_at failed_at deleted_at cancelled_at"
    " uncertain_at"
).split()
NAMES = (
    "id message_id message_type chat_id from_me status direction provider timestamp"
    " configuration_id contact_id group_id error_code error_message origin extra"
).split()
UNSENT = "It waited in the older addon when that was replaced, and was not sent."


class Messages:
    def __init__(self, takeover):
        self.takeover = takeover
        self.cr = takeover.cr
        self.report = takeover.report
        self.repeated = set()  # ids that are there more than once
        self.seen = set()

    def take(self):
        cr = self.cr
        self.report.before(TABLE, count(cr, TABLE))
        if "message_id" in columns(cr, TABLE):
            cr.execute(
                "SELECT btrim(message_id) FROM whatsapp_message WHERE btrim(message_id) <> ''"
                " GROUP BY 1 HAVING count(*) > 1"
            )
            self.repeated = {row[0] for row in cr.fetchall()}
        if self.takeover.write:
            cr.execute(
                "CREATE TEMP TABLE takeover_message ON COMMIT DROP AS"
                " SELECT %s FROM whatsapp_message LIMIT 0"
                % ", ".join('"%s"' % name for name in NAMES + TIMES)
            )
        batch = []
        for row in rows(cr, TABLE, ("older_timestamp",)):
            batch.append(self.taken(row))
            if len(batch) == BATCH:
                self.store(batch)
                batch = []
        self.store(batch)

    def store(self, batch):
        if self.takeover.write:
            insert(self.cr, "takeover_message", NAMES + TIMES, batch)

    def write(self):
        """Everything at once, now that the contacts and groups are there."""
        self.cr.execute("CREATE INDEX ON takeover_message (id)")
        self.cr.execute("ANALYZE takeover_message")
        self.cr.execute(
            "UPDATE whatsapp_message m SET %s FROM takeover_message n WHERE n.id = m.id"
            % ", ".join('"%s" = n."%s"' % (name, name) for name in (NAMES + TIMES)[1:])
        )
        self.cr.execute("DROP TABLE takeover_message")

    def repaired(self, why):
        self.report.count(TABLE, "repaired", why)

    def taken(self, row):
        """One older row as a tuple of NAMES + TIMES."""
        takeover, beside = self.takeover, {}
        found, understood = words.metadata(row["metadata"])
        if not understood:
            self.report.count(TABLE, "kept", "with metadata that nobody can read, as they are")
            beside["metadata_text"] = found
        elif found is not None:
            beside["metadata"] = found
        account = self.account(row)
        provider = takeover.providers[account]
        chat = words.chat_id(provider, row["chat_id"])
        self.was(row, beside, "chat_id", chat, "with a chat id in another provider's form")
        if words.word(row["provider"]) not in ("", provider):
            beside.setdefault("was", {})["provider"] = row["provider"]
        new = dict.fromkeys(NAMES + TIMES)
        new.update(id=row["id"], chat_id=chat, configuration_id=account, provider=provider)
        new["origin"] = "provider"
        new["message_id"] = self.message_id(row, account, beside)
        new["timestamp"] = self.timestamp(row, beside)
        new["message_type"] = words.TYPE_OF.get(words.word(row["message_type"]) or "text")
        if not new["message_type"]:
            new["message_type"] = "unknown"
            self.was(row, beside, "message_type", None, "of a type that is not known here")
        self.direction(row, new, found)
        self.status(row, new, beside)
        self.people(row, new)
        for name in ("media_url", "media_type", "created_at", "updated_at"):
            if row[name] is not None:
                beside[name] = row[name]
        if row["wid"] and row["wid"] != row["message_id"]:
            beside["wid"] = row["wid"]
        if beside:
            new["extra"] = words.written({"taken_over": beside})
        return [new[name] for name in NAMES + TIMES]

    def was(self, row, beside, name, ours, why):
        """Notes that a column says something else now; the former word stays beside it."""
        if words.text(row[name]) and row[name] != ours:
            beside.setdefault("was", {})[name] = row[name]
            self.repaired(why)

    def account(self, row):
        takeover = self.takeover
        contact = takeover.contacts.get(takeover.contact_of.get(row["contact_id"]), {})
        group = takeover.groups.get(takeover.group_of.get(row["group_id"]), {})
        return takeover.account(
            TABLE, row, group.get("configuration_id"), contact.get("configuration_id")
        )

    def message_id(self, row, account, beside):
        ours = words.text(row["message_id"])
        if ours not in self.repeated:
            return ours
        if (account, ours) in self.seen:
            beside.setdefault("was", {})["message_id"] = ours
            self.repaired("with the id of another message of their account: without id now")
            return None
        self.seen.add((account, ours))
        return ours

    def timestamp(self, row, beside):
        raw = row["older_timestamp"] if self.takeover.write else row["timestamp"]
        at = words.moment(raw, self.takeover.now)
        if at is None:
            self.repaired("with a time that cannot be: when they were stored stands for it")
            if raw is not None:
                beside.setdefault("was", {})["timestamp"] = raw
            at = row["created_at"] or row["create_date"]
        return at.replace(microsecond=0) if at else None

    def direction(self, row, new, found):
        from_me = row["from_me"]
        if from_me is None:
            said = found.get("from_me", found.get("fromMe")) if isinstance(found, dict) else None
            from_me = said is True
            self.repaired(
                "of which nobody said who wrote them: what the metadata say, else received"
            )
        new["from_me"] = from_me
        new["direction"] = "outbound" if from_me else "inbound"

    def status(self, row, new, beside):
        """The status, and the time of its fact: that of the message, no other is known."""
        ours = words.STATUS_OF.get(words.word(row["status"]))
        new["error_message"] = words.text(row["error_message"])
        if not new["from_me"]:
            status = ours if ours in ("read", "played", "deleted") else "delivered"
        elif ours in ("queued", "pending") and not new["message_id"]:
            status = "cancelled"
            new["error_message"] = new["error_message"] or UNSENT
            self.repaired("that still waited to be sent: cancelled")
        elif ours == "queued" or ours is None:
            # It has the provider's id: it left.
            status = "sent" if new["message_id"] else "uncertain"
            self.repaired("sent by us, with no word about it: %s" % status)
        else:
            status = ours
        if words.text(row["status"]) and words.word(row["status"]) != status:
            beside.setdefault("was", {})["status"] = row["status"]
        if status == "failed":
            new["error_code"] = "provider_rejected"
        new["status"] = status
        new[status + "_at"] = new["timestamp"]

    def people(self, row, new):
        """Contact and group of the message's own account; what is gone is looked for by chat id."""
        takeover, account, chat = self.takeover, new["configuration_id"], new["chat_id"]
        group = takeover.group_of.get(row["group_id"])
        if group is None and words.is_group(chat):
            group = takeover.group_ids.get((account, chat))
            if group is not None:
                self.repaired("of a group that was found again by its id")
        if row["group_id"] is not None and group is None:
            self.repaired("of a group that is gone")
        if group is not None:
            new["group_id"] = takeover.at_account("whatsapp_group", group, account)
        contact = takeover.contact_of.get(row["contact_id"])
        if contact is None and not words.is_group(chat):
            contact = takeover.contact_ids.get((account, chat))
            if contact is not None:
                self.repaired("of a contact that was found again by its id")
        if row["contact_id"] is not None and contact is None:
            self.repaired("of a contact that is gone")
        if contact is not None:
            new["contact_id"] = takeover.at_account("whatsapp_contact", contact, account)
