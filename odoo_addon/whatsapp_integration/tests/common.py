"""What the tests share: accounts and users, rows as the daemon writes them, real commits."""

import contextlib
import os
import tempfile

from odoo import api, release
from odoo.service import model as rpc
from odoo.tests import common, tagged
from odoo.tests.common import new_test_user

from ..series import flush, invalidate

V = release.version_info[0]
GROUP_USER = "whatsapp_integration.group_whatsapp_user"
GROUP_ADMIN = "whatsapp_integration.group_whatsapp_admin"
# A port nothing listens on: the discard service, which no Odoo machine runs.
DEAD_URL = "http://127.0.0.1:9"
KEY_ID = "odoo"
SECRET = "a secret of the tests only"

post = tagged("post_install", "-at_install")


def db_name():
    return common.get_db_name()


@contextlib.contextmanager
def keys_file(database, url=DEAD_URL, lines=None):
    """The bridge's INI file, for as long as the block runs."""
    lines = lines or ["url = %s" % url, "key_id = %s" % KEY_ID, "secret = %s" % SECRET]
    before = os.environ.get("WABRIDGE_ODOO_KEYS")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "odoo.ini")
        with open(path, "w") as keys:
            keys.write("\n".join(["[%s]" % database] + lines) + "\n")
        os.environ["WABRIDGE_ODOO_KEYS"] = path
        try:
            yield path
        finally:
            if before is None:
                del os.environ["WABRIDGE_ODOO_KEYS"]
            else:
                os.environ["WABRIDGE_ODOO_KEYS"] = before


class Fixtures:
    """Mixed into test cases of both kinds of transaction."""

    def make_accounts(self):
        env = self.env
        self.company = env.company
        self.other_company = env["res.company"].create({"name": "Elsewhere Ltd"})
        self.user = new_test_user(env, "wa_user", GROUP_USER)
        self.admin = new_test_user(env, "wa_admin", GROUP_ADMIN)
        self.plain = new_test_user(env, "wa_plain", "base.group_user")
        accounts = env["whatsapp.configuration"]
        # What the database held before is not looked at: accounts of other tests or of a demo.
        accounts.search([]).write({"active": False})
        self.support = accounts.create({"name": "Support", "user_ids": [(6, 0, self.user.ids)]})
        self.sales = accounts.create({"name": "Sales", "sequence": 20})
        self.far = accounts.create(
            {
                "name": "Far",
                "company_id": self.other_company.id,
                "user_ids": [(6, 0, self.user.ids)],
            }
        )

    def insert(self, table, **values):
        """One row as the daemon writes it: by SQL, only these columns; returns its id."""
        flush(self.env["whatsapp.message"])
        columns = ", ".join(values)
        marks = ", ".join(["%s"] * len(values))
        self.env.cr.execute(
            "INSERT INTO %s (%s) VALUES (%s) RETURNING id" % (table, columns, marks),
            list(values.values()),
        )
        row = self.env.cr.fetchone()[0]
        invalidate(self.env["whatsapp.message"])
        return row

    def insert_message(self, configuration, **values):
        defaults = {
            "configuration_id": configuration.id,
            "direction": "inbound",
            "status": "delivered",
            "message_type": "text",
            "content": "Hello",
        }
        row = self.insert("whatsapp_message", **dict(defaults, **values))
        return self.env["whatsapp.message"].browse(row)


class WhatsappCase(Fixtures, common.TransactionCase):
    def setUp(self):
        super().setUp()
        self.make_accounts()


class RealCase(common.BaseCase):
    """No wrapping transaction: every cursor is a connection of its own and commits for real.

    So these tests clean up what they commit.
    """

    def setUp(self):
        super().setUp()
        if V < 19:
            import odoo

            self.registry = odoo.registry(db_name())
        else:
            from odoo.orm.registry import Registry

            self.registry = Registry(db_name())

    def sql(self, query, params=None):
        with self.registry.cursor() as cr:  # commits on leaving
            cr.execute(query, params)
            return cr.fetchall() if cr.description else None

    def env_do(self, func):
        # 14: manage() must be the outer block, leaving it throws away unflushed writes
        with api.Environment.manage() if V < 15 else contextlib.nullcontext():
            with self.registry.cursor() as cr:
                return func(api.Environment(cr, 1, {}))

    def rpc(self, uid, password, model, method, *args, **kw):
        """A whole RPC as a client makes it: own cursor, commit or rollback, automatic retries."""
        with api.Environment.manage() if V < 15 else contextlib.nullcontext():
            return rpc.dispatch(
                "execute_kw", [db_name(), uid, password, model, method, list(args), kw]
            )
