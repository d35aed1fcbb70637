"""Every model of the addon × every operation of the ORM × every kind of user, over RPC."""

from odoo.exceptions import UserError

from ..series import SERIES
from .common import post
from .rpc_matrix_case import MatrixCase
from .rpc_matrix_table import ACCOUNT, HISTORY, MODELS, NONE, OWN

MODULES = ("whatsapp_integration", "whatsapp_integration_automation")
# What is written where writing is allowed, and that the model itself lets nobody change.
WRITTEN = {
    "whatsapp.bridge.health": "problem",
    "whatsapp.message.template.variable": "default",
    "whatsapp.change.message.wizard": "text",
    "whatsapp.contact.check.wizard": "needs_account",
    "whatsapp.audit.verify.wizard": "head",
    "whatsapp.contact.erase.wizard": "sure",
    "whatsapp.contact.partner.wizard": "partner_id",
    "whatsapp.group.add.wizard": "numbers",
    "whatsapp.group.bulk.wizard": "left_count",
    "whatsapp.group.join.wizard": "invite_link",
    "whatsapp.group.remove.wizard": "number",
    "whatsapp.message.template.preview": "template_id",
    "whatsapp.message.template.sync": "configuration_id",
    "whatsapp.message.why": "message_id",
    "whatsapp.quarantine.body": "body",
    "whatsapp.send.message.wizard": "text",
    "whatsapp.set.credentials.wizard": "token",
    "whatsapp.sync.wizard": "contacts",
}


@post
class TestRpcMatrix(MatrixCase):
    def test_every_model_has_its_line(self):
        ours = {
            name for name, model in self.env.registry.items() if model._original_module in MODULES
        }
        self.assertEqual(ours - set(MODELS), set(), "say in rpc_matrix_table.py who may use these")
        self.assertEqual(set(MODELS) - ours, set(), "there are no such models any more")

    # ---- what is expected

    def rights(self, user, model):
        _rows, users, admins = MODELS[model]
        if user in self.ADMINS:
            return admins
        return users if user in self.USES else ""

    def seen(self, user, model, rows):
        """Keys of the rows that this user sees."""
        if "r" not in self.rights(user, model):
            return set()
        if MODELS[model][0] == OWN:
            return {user} & set(rows)
        return self.USES[user] & set(rows)

    def rows_for(self, model):
        kind = MODELS[model][0]
        if kind == ACCOUNT:
            return self.rows[model]
        users = [user for user in self.USES if "c" in self.rights(user, model)]
        return self.make_wizards(model, users) if kind == OWN else {}

    def check(self, expected, user, model, method, *args, **kwargs):
        allowed, result = False, None
        with self.subTest(user=user, model=model, method=method, args=args):
            allowed, result = self.outcome(user, model, method, *args, **kwargs)
            self.assertEqual(allowed, expected, result)
        return result if allowed else None

    def each(self):
        """(model, its rows, user) of the whole table."""
        for model in sorted(MODELS):
            rows = self.rows_for(model)
            for user in self.USERS:
                yield model, rows, user

    # ---- reading

    def test_reading(self):
        for model, rows, user in self.each():
            seen = self.seen(user, model, rows)
            may = "r" in self.rights(user, model)
            ids = sorted(rows.values())
            visible = {rows[key] for key in seen}
            domain = [("id", "in", ids)]
            found = self.check(may, user, model, "search", domain)
            self.assertEqual(set(found or []), visible, (model, user))
            found = self.check(may, user, model, "search_read", domain, ["id"])
            self.assertEqual({row["id"] for row in found or []}, visible, (model, user))
            found = self.check(may, user, model, "search_count", domain)
            self.assertEqual(found or 0, len(visible), (model, user))
            found = self.check(may, user, model, "name_search", "", domain)
            self.assertEqual({pair[0] for pair in found or []}, visible, (model, user))
            self.check_groups(may, user, model, domain, len(visible))
            self.check_web_search_read(may, user, model, domain, visible)
            if MODELS[model][0] == NONE:
                self.check(False, user, model, "read", [1], ["id"])
                continue
            for key, row in rows.items():
                one = key in seen
                field = self.field_of(model)
                self.check(one, user, model, "read", [row], [field])
                if SERIES >= 17:
                    self.check(one, user, model, "web_read", [row], {field: {}})
                elif self.env[model]._rec_name:  # else it says what was asked for: model and id
                    self.check(one, user, model, "name_get", [row])
                self.check_export(one, user, model, row, field)

    def field_of(self, model):
        """A stored field that says something."""
        return self.env[model]._rec_name or WRITTEN.get(model, "state")

    def check_groups(self, may, user, model, domain, count):
        if SERIES < 19:
            found = self.check(may, user, model, "read_group", domain, ["id"], [])
            self.assertEqual((found or [{"__count": 0}])[0]["__count"], count, (model, user))
        else:
            aggregates = ["__count"]
            found = self.check(may, user, model, "formatted_read_group", domain, [], aggregates)
            self.assertEqual((found or [{"__count": 0}])[0]["__count"], count, (model, user))
            if MODELS[model][0] != NONE:
                name = self.field_of(model)
                dated = self.env[model]._fields[name].type in ("date", "datetime")
                by = [name + ":month" if dated else name]
                found = self.check(may, user, model, "web_read_group", domain, by, aggregates)
                groups = (found or {}).get("groups", [])
                self.assertEqual(sum(group["__count"] for group in groups), count, (model, user))

    def check_web_search_read(self, may, user, model, domain, visible):
        fields = ["id"] if SERIES < 17 else {"id": {}}
        found = self.check(may, user, model, "web_search_read", domain, fields)
        records = (found or {}).get("records", [])
        self.assertEqual({row["id"] for row in records}, visible, (model, user))

    def check_export(self, one, user, model, row, field):
        if user in ("public", "portal"):  # these may not export anything
            with self.assertRaises(UserError):
                self.outcome(user, model, "export_data", [row], ["id"])
            return
        self.check(one, user, model, "export_data", [row], [field])

    # ---- changing

    def test_changing(self):
        for model, rows, user in self.each():
            rights, seen = self.rights(user, model), self.seen(user, model, rows)
            if MODELS[model][0] == NONE:
                self.check(False, user, model, "write", [1], {})
                self.check(False, user, model, "unlink", [1])
                self.check(False, user, model, "create", {})
                continue
            name = WRITTEN.get(model, "name")
            for key, row in rows.items():
                self.check(
                    "w" in rights and key in seen,
                    user,
                    model,
                    "write",
                    [row],
                    self.change(model, row, name),
                )
                removes = "u" in rights and key in seen
                # An account that was used stays, for administrators too: test_configuration.
                if not (removes and model == "whatsapp.configuration"):
                    self.check(removes, user, model, "unlink", [row])
                if "c" in rights and model != "whatsapp.message.template.variable":  # unique
                    self.check(key in seen, user, model, "copy", [row])

    def change(self, model, row, name):
        if model in HISTORY:
            return {}
        value = self.env[model].sudo().browse(row)[name]
        return {name: value.id if hasattr(value, "id") else value}

    def test_creating(self):
        for model, _rows, user in self.each():
            kind = MODELS[model][0]
            may = "c" in self.rights(user, model)
            for key in self.accounts:
                if kind == NONE:
                    continue
                values = self.values_of(model, kind, key, user)
                # Wizards that name nothing of an account may be made by every user of them.
                free = kind == OWN and not any(
                    name in values
                    for name in (
                        "configuration_id",
                        "configuration_ids",
                        "contact_id",
                        "group_id",
                        "message_id",
                        "template_id",
                    )
                )
                expected = may and (free or key in self.USES[user])
                self.check(expected, user, model, "create", values)

    def values_of(self, model, kind, key, user):
        if kind == OWN:
            if model == "whatsapp.contact.check.line":
                wizards = self.env["whatsapp.contact.check.wizard"].with_user(self.users[user])
                self.check_wizard_of = {key: wizards.sudo().create({}).id}
            return self.wizard_values(model, key)
        account = self.accounts[key]
        mine = {"configuration_id": account.id, "name": "New"}
        return {
            "whatsapp.configuration": {"name": "New", "company_id": account.company_id.id},
            "whatsapp.bulk.campaign": dict(mine, text="Hello"),
            "whatsapp.message.template": dict(mine, company_id=account.company_id.id, body="Hello"),
            "whatsapp.message.template.variable": {
                "template_id": self.rows["whatsapp.message.template"][key],
                "placeholder": "2",
                "default": "x",
            },
        }.get(model, mine)

    # ---- history

    def test_history_is_nobodys(self):
        """By no door of the ORM: neither rows, nor import, copies, archiving or forms."""
        for model in HISTORY:
            for user in ("user1", "admin"):
                row = self.rows[model]["1"]
                self.check(False, user, model, "create", {})
                self.check(False, user, model, "write", [row], {"id": row})
                self.check(False, user, model, "unlink", [row])
                self.check(False, user, model, "copy", [row])
                with self.subTest(model=model, user=user, method="load"):
                    allowed, result = self.outcome(user, model, "load", [".id"], [[str(row)]])
                    self.assertFalse(allowed and result["ids"], result)
                if SERIES >= 17:
                    self.check(False, user, model, "web_save", [row], {"id": row}, {"id": {}})
                    self.check(False, user, model, "web_save", [], {}, {"id": {}})
                if "active" in self.env[model]._fields:
                    self.check(
                        False,
                        user,
                        model,
                        "toggle_active" if SERIES < 19 else "action_archive",
                        [row],
                    )
                self.assertFalse(hasattr(self.env[model], "message_post"), model)
