from odoo.exceptions import AccessError

from ..series import all_groups
from .common import GROUP_USER, WhatsappCase, new_test_user, post

# What the daemon owns, and the doors between both: nobody changes it over RPC.
APPEND_ONLY = (
    "whatsapp.account.state",
    "whatsapp.contact",
    "whatsapp.group",
    "whatsapp.group.member",
    "whatsapp.chat",
    "whatsapp.media",
    "whatsapp.message",
    "whatsapp.message.receipt",
    "whatsapp.outbox.in",
    "whatsapp.media.upload",
    "whatsapp.event",
    "whatsapp.partner.number",
    "whatsapp.audit.log",
    "whatsapp.sync.run",
    "whatsapp.sync.run.item",
)
# Of these people write the name; the rest of the row is guarded by the model.
NAMED_BY_PEOPLE = ("whatsapp.contact", "whatsapp.group")
ADMINISTRATORS_ONLY = (
    "whatsapp.outbox.in",
    "whatsapp.media.upload",
    "whatsapp.event",
    "whatsapp.partner.number",
    "whatsapp.audit.log",
)


@post
class TestAccess(WhatsappCase):
    def test_append_only(self):
        for model in APPEND_ONLY:
            for user in (self.user, self.admin, self.plain):
                records = self.env[model].with_user(user)
                for operation in ("create", "write", "unlink"):
                    if operation == "write" and model in NAMED_BY_PEOPLE:
                        continue
                    with self.subTest(model=model, user=user.login, operation=operation):
                        self.assertFalse(
                            records.env["ir.model.access"].check(model, operation, False)
                        )

    def test_append_only_calls(self):
        message = self.insert_message(self.support)
        for user in (self.user, self.admin):
            mine = message.with_user(user)
            with self.assertRaises(AccessError):
                mine.write({"content": "forged"})
            with self.assertRaises(AccessError):
                mine.unlink()
            with self.assertRaises(AccessError):
                mine.create({"configuration_id": self.support.id, "content": "forged"})

    def test_reading(self):
        for model in APPEND_ONLY:
            check = self.env["ir.model.access"].with_user(self.user).check
            self.assertEqual(check(model, "read", False), model not in ADMINISTRATORS_ONLY, model)
            check = self.env["ir.model.access"].with_user(self.admin).check
            self.assertTrue(check(model, "read", False), model)
            check = self.env["ir.model.access"].with_user(self.plain).check
            self.assertFalse(check(model, "read", False), model)

    def test_accounts(self):
        accounts = self.env["whatsapp.configuration"]
        self.assertEqual(accounts.with_user(self.user).search([]), self.support)
        self.assertEqual(accounts.with_user(self.admin).search([]), self.support + self.sales)
        with self.assertRaises(AccessError):
            accounts.with_user(self.plain).search([])
        with self.assertRaises(AccessError):
            self.support.with_user(self.user).write({"name": "Mine"})
        with self.assertRaises(AccessError):
            self.sales.with_user(self.user).read(["name"])
        self.support.with_user(self.admin).write({"name": "Renamed"})
        with self.assertRaises(AccessError):
            self.far.with_user(self.admin).write({"name": "Renamed"})

    def test_accounts_of_user_groups(self):
        team = self.env["res.groups"].create({"name": "Team"})
        leaders = self.env["res.groups"].create(
            {"name": "Leaders", "implied_ids": [(6, 0, team.ids)]}
        )
        self.sales.write({"group_ids": [(6, 0, team.ids)]})
        leader = new_test_user(self.env, "wa_leader", GROUP_USER)
        accounts = self.env["whatsapp.configuration"].with_user(leader)
        self.assertFalse(accounts.search([]))
        names = "groups_id" if "groups_id" in leader._fields else "group_ids"
        leader.write({names: [(4, leaders.id)]})
        self.assertIn(team, all_groups(leader))
        self.assertEqual(accounts.search([]), self.sales)
        self.assertEqual(accounts._usable_by(leader), self.sales)

    def test_rules_agree_with_usable_by(self):
        for user in (self.user, self.admin):
            accounts = self.env["whatsapp.configuration"]
            self.assertEqual(accounts._usable_by(user), accounts.with_user(user).search([]))

    def test_children(self):
        for configuration, seen in ((self.support, True), (self.sales, False), (self.far, False)):
            media = self.insert("whatsapp_media", filename="a.png")
            message = self.insert_message(configuration, media_id=media)
            contact = self.insert(
                "whatsapp_contact", configuration_id=configuration.id, contact_id="1@c.us"
            )
            group = self.insert(
                "whatsapp_group", configuration_id=configuration.id, group_id="1@g.us"
            )
            rows = {
                "whatsapp.message": message.id,
                "whatsapp.media": media,
                "whatsapp.contact": contact,
                "whatsapp.group": group,
                "whatsapp.group.member": self.insert(
                    "whatsapp_group_member", group_id=group, contact_id=contact
                ),
                "whatsapp.message.receipt": self.insert(
                    "whatsapp_message_receipt", message_id=message.id, contact_id=contact
                ),
                "whatsapp.chat": self.insert(
                    "whatsapp_chat", configuration_id=configuration.id, chat_id="1@c.us"
                ),
                "whatsapp.account.state": self.insert(
                    "whatsapp_account_state", configuration_id=configuration.id, state="new"
                ),
            }
            admin_sees = configuration != self.far
            for model, row in rows.items():
                for user, expected in ((self.user, seen), (self.admin, admin_sees)):
                    with self.subTest(model=model, account=configuration.name, user=user.login):
                        found = self.env[model].with_user(user).search([("id", "=", row)])
                        self.assertEqual(bool(found), expected)

    def test_unused_media_is_nobodys(self):
        media = self.insert("whatsapp_media", filename="a.png")
        self.assertFalse(
            self.env["whatsapp.media"].with_user(self.user).search([("id", "=", media)])
        )

    def test_audit_log(self):
        log = self.env["whatsapp.audit.log"].with_user(self.admin)
        rows = [
            self.insert("whatsapp_audit_log", operation="refused", success=False),
            self.insert("whatsapp_audit_log", operation="a", configuration_id=self.support.id),
            self.insert("whatsapp_audit_log", operation="b", configuration_id=self.far.id),
        ]
        self.assertEqual(set(log.search([("id", "in", rows)]).ids), set(rows[:2]))
        self.assertNotIn("create_date", self._stored("whatsapp_audit_log"))

    def _stored(self, table):
        self.env.cr.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s", (table,)
        )
        return {row[0] for row in self.env.cr.fetchall()}

    def test_sparse_rows_read_fine(self):
        """The daemon leaves NULL what it does not know; every field must cope."""
        message = self.insert("whatsapp_message", configuration_id=self.support.id, content=None)
        contact = self.insert(
            "whatsapp_contact", configuration_id=self.support.id, contact_id="2@c.us"
        )
        chat = self.insert("whatsapp_chat", configuration_id=self.support.id, chat_id="2@c.us")
        group = self.insert("whatsapp_group", configuration_id=self.support.id, group_id="2@g.us")
        for model, row in (
            ("whatsapp.message", message),
            ("whatsapp.contact", contact),
            ("whatsapp.chat", chat),
            ("whatsapp.group", group),
        ):
            record = self.env[model].with_user(self.user).browse(row)
            values = record.read()[0]
            self.assertTrue(values["display_name"], model)
        self.assertEqual(
            self.env["whatsapp.contact"].with_user(self.user).browse(contact).display_name,
            "2@c.us",
        )

    def test_searched_by_every_name(self):
        contact = self.insert(
            "whatsapp_contact",
            configuration_id=self.support.id,
            contact_id="447700900803@c.us",
            phone="+447700900803",
            pushname="Ada",
        )
        contacts = self.env["whatsapp.contact"].with_user(self.user)
        for text in ("Ada", "7700900803"):
            found = contacts.name_search(text)
            self.assertEqual([(contact, "Ada")], [tuple(row) for row in found], text)

    def test_columns_of_the_contract(self):
        self.assertEqual(
            self._stored("res_users_whatsapp_configuration_rel"),
            {"whatsapp_configuration_id", "res_users_id"},
        )
        self.assertEqual(
            self._stored("res_groups_whatsapp_configuration_rel"),
            {"whatsapp_configuration_id", "res_groups_id"},
        )
        self.env.cr.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'whatsapp_message'")
        for (definition,) in self.env.cr.fetchall():
            columns = definition.split("USING", 1)[1]
            self.assertNotIn("status", columns)
            self.assertNotIn("_at", columns)
        self.env.cr.execute(
            "SELECT reloptions FROM pg_class WHERE oid = 'whatsapp_message'::regclass"
        )
        self.assertIn("fillfactor=80", self.env.cr.fetchone()[0])
        for model in ("message", "contact", "chat", "group", "group.member", "media"):
            for name, field in self.env["whatsapp.%s" % model]._fields.items():
                self.assertFalse(field.store and field.compute, name)

    def test_user_form_field(self):
        self.user.with_user(self.env.ref("base.user_admin")).write(
            {"whatsapp_configuration_ids": [(4, self.sales.id)]}
        )
        self.assertIn(self.user, self.sales.user_ids)
        with self.assertRaises(AccessError):
            self.user.with_user(self.user).write({"whatsapp_configuration_ids": [(4, self.far.id)]})
