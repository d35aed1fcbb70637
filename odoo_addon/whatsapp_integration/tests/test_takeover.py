from datetime import datetime

from odoo.tests.common import TransactionCase

from ..takeover import look, words
from ..takeover.tables import SECRETS
from .common import Fixtures, db_name, keys_file, post

NOW = datetime(2022, 1, 1)


@post
class TestTakeoverWords(TransactionCase):
    def test_chats_are_written_as_their_provider_does(self):
        for provider, value, ours in [
            ("whapi", "447700900123@c.us", "447700900123@s.whatsapp.net"),
            ("whapi", "447700900123", "447700900123@s.whatsapp.net"),
            ("whapi", "+44 7700 900123", "447700900123@s.whatsapp.net"),
            ("whapi", "447700900123:7@s.whatsapp.net", "447700900123@s.whatsapp.net"),
            ("wassenger", "447700900123@s.whatsapp.net", "447700900123@c.us"),
            ("meta", "447700900123@c.us", "447700900123"),
            ("whapi", "120363025550100777@G.US", "120363025550100777@g.us"),
            ("whapi", "120363025550100777", "120363025550100777@g.us"),
            ("wassenger", "447700900123-1612345678", "447700900123-1612345678@g.us"),
            ("whapi", "18380000@lid", "18380000@lid"),
            ("whapi", "status", "status"),
            ("custom", "447700900123@c.us", "447700900123@c.us"),
            ("whapi", " ", None),
        ]:
            self.assertEqual(words.chat_id(provider, value), ours, (provider, value))

    def test_numbers(self):
        self.assertEqual(words.phone("+44 7700 900-123"), "+447700900123")
        self.assertEqual(words.phone("0044 7700 900123"), "+447700900123")
        self.assertEqual(words.phone("07700 900123", "447700900123@c.us"), "+447700900123")
        self.assertIsNone(words.phone("ask Anna", None, "18380000123@lid"))

    def test_metadata_are_read_or_stay_as_they_are(self):
        self.assertEqual(words.metadata('{"a": [1, null]}'), ({"a": [1, None]}, True))
        self.assertEqual(words.metadata("{'a': True, 'b': (1, 2)}")[0]["a"], True)
        self.assertEqual(words.metadata(" "), (None, True))
        for broken in (
            "{broken",
            "None of it",
            '{"a": NaN}',
            '{"a": "\\u0000"}',
            '{"a": "\\ud83d"}',
            "{'a': datetime.datetime(2021, 6, 1)}",
            "{'a': {1, 2}}",
            "[" * 100000,
            "17",
        ):
            self.assertEqual(words.metadata(broken), (broken, False))

    def test_times(self):
        self.assertEqual(words.moment(1622505600, NOW), datetime(2021, 6, 1))
        for impossible in (None, 0, -5, 1, 2147483647):
            self.assertIsNone(words.moment(impossible, NOW))

    def test_roles(self):
        found = {"participants": [{"id": "447700900123", "rank": "creator"}, {"id": 5}, None]}
        self.assertEqual(words.roles(found), {"+447700900123": "superadmin"})
        self.assertEqual(words.roles({"participants": "many"}), {})
        self.assertEqual(words.roles("{broken"), {})

    def test_nothing_to_take_over(self):
        self.assertIsNone(look(self.env.cr))


@post
class TestTakeoverTokens(Fixtures, TransactionCase):
    def setUp(self):
        super().setUp()
        self.make_accounts()
        self.support.active = False
        self.env.cr.execute(
            "CREATE TABLE %s (configuration_id int4 PRIMARY KEY, value varchar NOT NULL,"
            " was_active boolean, database_oid oid NOT NULL, database_uuid varchar)" % SECRETS
        )
        self.env.cr.execute(
            "INSERT INTO %s SELECT %%s, 'clear', true, oid, (SELECT value FROM ir_config_parameter"
            " WHERE key = 'database.uuid') FROM pg_database WHERE datname = %%s" % SECRETS,
            (self.support.id, db_name()),
        )

    def waiting(self):
        self.env.cr.execute("SELECT to_regclass(%s)", (SECRETS,))
        return bool(self.env.cr.fetchone()[0])

    def test_they_wait_while_there_is_no_bridge(self):
        with keys_file(db_name()):
            self.env["whatsapp.configuration"]._seal_taken_over()
        self.assertTrue(self.waiting())
        self.assertFalse(self.support.active)
        self.assertFalse(self.support.token)

    def test_a_copy_forgets_them(self):
        self.env["ir.config_parameter"].sudo().set_param("database.uuid", "another")
        self.env["whatsapp.configuration"]._seal_taken_over()
        self.assertFalse(self.waiting())
        self.assertFalse(self.support.token)

    def test_one_that_was_entered_counts(self):
        self.support.token = "wab1:k:n:c"
        self.env["whatsapp.configuration"]._seal_taken_over()
        self.assertFalse(self.waiting())
        self.assertEqual(self.support.token, "wab1:k:n:c")
