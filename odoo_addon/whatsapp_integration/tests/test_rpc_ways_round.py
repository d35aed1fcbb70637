"""Ways round the rules: contexts, links to what one does not see, forms that are not saved."""

from odoo.exceptions import AccessError, UserError

from ..series import SERIES
from .common import post
from .rpc_matrix_case import SEALED, MatrixCase, call_kw
from .rpc_matrix_table import ACCOUNT, MODELS, OWN

OURS = "whatsapp."


@post
class TestWaysRound(MatrixCase):
    def contexts(self):
        """What a client may put into the context: each key our code reads, and Odoo's own."""
        row = {model: rows["far"] for model, rows in self.rows.items()}
        return [
            {"allowed_company_ids": [self.other_company.id]},
            {"allowed_company_ids": [self.company.id, self.other_company.id]},
            {"force_company": self.other_company.id, "company_id": self.other_company.id},
            {"active_test": False},
            {"sudo": True, "su": True, "uid": 1, "user_id": 1, "bypass": True},
            {"install_mode": True, "module": "whatsapp_integration", "import_file": True},
            {"whatsapp_event_id": row["whatsapp.event"]},
            {"whatsapp_contact_id": row["whatsapp.contact"]},
            {"active_model": "whatsapp.contact", "active_ids": [row["whatsapp.contact"]]},
            {"active_model": "whatsapp.message", "active_id": row["whatsapp.message"]},
            {"default_configuration_id": row["whatsapp.configuration"]},
            {"tracking_disable": True, "mail_create_nolog": True, "prefetch_fields": False},
            {"bin_size": False, "tz": "UTC", "lang": "en_US", "edit_translations": True},
        ]

    def test_no_context_widens_what_is_seen(self):
        for model, line in sorted(MODELS.items()):
            if line[0] != ACCOUNT:
                continue
            rows = self.rows[model]
            for user, uses in sorted(self.USES.items()):
                visible = {rows[key] for key in uses}
                for context in self.contexts():
                    with self.subTest(model=model, user=user, context=context):
                        domain = [("id", "in", list(rows.values()))]
                        try:
                            allowed, found = self.outcome(
                                user, model, "search", domain, context=context
                            )
                        except UserError:
                            allowed = False
                        self.assertLessEqual(set(found) if allowed else set(), visible)

    def test_no_context_lets_history_be_written(self):
        message = self.rows["whatsapp.message"]["1"]
        for user in ("user1", "admin"):
            for context in self.contexts():
                for method, args in (
                    ("write", [[message], {"content": "forged"}]),
                    ("unlink", [[message]]),
                    ("create", [{"configuration_id": self.support.id, "content": "forged"}]),
                ):
                    with self.subTest(user=user, context=context, method=method):
                        allowed, result = self.outcome(
                            user, "whatsapp.message", method, *args, context=context
                        )
                        self.assertFalse(allowed, result)

    def test_who_only_reads_an_account_posts_nothing_on_it(self):
        account = self.rows["whatsapp.configuration"]["1"]
        for user in self.USERS:
            with self.subTest(user=user):
                allowed, result = self.outcome(
                    user, "whatsapp.configuration", "message_post", [account], body="Forged"
                )
                self.assertEqual(allowed, user == "admin", result)

    # ---- links

    def links(self):
        """(model, field) of every link of our models to our models."""
        for model, (kind, users, _admins) in sorted(MODELS.items()):
            if kind not in (ACCOUNT, OWN):
                continue
            for _name, field in sorted(self.env[model]._fields.items()):
                ours = field.type == "many2one" and field.comodel_name in self.rows
                if ours and field.store and field.comodel_name.startswith(OURS):
                    yield model, field, users

    def test_defaults_name_nobody_elses(self):
        """A new form tells the names of its defaults: those of foreign records are left out."""
        tried = 0
        for model, field, _users in self.links():
            foreign = self.rows[field.comodel_name]["2"]
            tried += 1
            with self.subTest(model=model, field=field.name):
                context = {"default_" + field.name: foreign}
                names = [field.name]
                try:
                    values = call_kw(
                        self.env_of("user1"), model, "default_get", names, context=context
                    )
                except AccessError:
                    values = {}
                self.assertFalse(values.get(field.name))
                self.assertFalse(self.formed(model, field, {}, [], context))
        self.assertGreater(tried, 30)

    def test_forms_name_nobody_elses(self):
        """Nor does a form that is not saved, whatever it is said to hold."""
        for model, field, _users in self.links():
            foreign = self.rows[field.comodel_name]["2"]
            with self.subTest(model=model, field=field.name):
                given = {field.name: foreign}
                self.assertIsNone(self.formed(model, field, given, [field.name], {}))

    def formed(self, model, field, values, changed, context):
        """What `onchange` says of the field; None when it refuses."""
        spec = {field.name: "1"} if SERIES < 17 else {field.name: {"fields": {"display_name": {}}}}
        try:
            answer = call_kw(
                self.env_of("user1"), model, "onchange", [], values, changed, spec, context=context
            )
        except AccessError:
            return None
        return answer["value"].get(field.name)

    def test_links_are_written_to_visible_rows_only(self):
        tried = 0
        for model, field, users in self.links():
            if "c" not in users:
                continue
            tried += 1
            for user, key, expected in (("user1", "2", False), ("user2", "1", False)):
                own = "1" if user == "user1" else "2"
                kind = MODELS[model][0]
                values = self.wizard_values(model, own) if kind == OWN else None
                values = values or {
                    "name": "N",
                    "configuration_id": self.accounts[own].id,
                    "text": "Hello",
                }
                values = dict(values, **{field.name: self.rows[field.comodel_name][key]})
                with self.subTest(model=model, field=field.name, user=user):
                    allowed, result = self.outcome(user, model, "create", values)
                    self.assertEqual(allowed, expected, result)
        self.assertGreater(tried, 10)

    def test_sealed_values_stay_administrators(self):
        """Of secrets a user reads nothing, by no method that reads."""
        self.support.write({"token": SEALED, "webhook_secret_former": SEALED})
        for name in ("token", "webhook_secret_former", "former_until"):
            for method, args in (
                ("read", [[self.support.id], [name]]),
                ("search_read", [[], [name]]),
                ("search", [[(name, "!=", False)]]),
                ("export_data", [[self.support.id], [name]]),
            ):
                with self.subTest(field=name, method=method):
                    try:
                        allowed, result = self.outcome(
                            "user1", "whatsapp.configuration", method, *args
                        )
                    except (UserError, ValueError):
                        allowed, result = False, ""
                    self.assertNotIn(SEALED, str(result))
                    self.assertFalse(allowed and method == "read", result)
