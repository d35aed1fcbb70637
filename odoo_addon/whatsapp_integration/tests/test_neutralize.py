import os

from ..models.whatsapp_configuration import SEALED_COLUMNS
from ..models.whatsapp_loader import ROLE_PARAMETER
from ..series import flush, invalidate
from .common import WhatsappCase, post

LOGGER = "odoo.addons.whatsapp_integration.models.whatsapp_loader"


@post
class TestNeutralize(WhatsappCase):
    def run_script(self):
        flush(self.env["whatsapp.message"])
        path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "neutralize.sql")
        with open(path) as script:
            self.env.cr.execute(script.read())
        invalidate(self.env["whatsapp.message"])

    def test_neutralize(self):
        sealed = dict.fromkeys(SEALED_COLUMNS, "wab1:a:b:c")
        self.support.write(dict(sealed, former_until="2030-01-01 00:00:00"))
        service = self.env["whatsapp.core.service"].with_user(self.user)
        answer = service.send_text_message("+447700900123", "Never")
        queued = self.env["whatsapp.message"].browse(answer["data"]["id"])
        read = self.insert_message(self.support, direction="outbound", status="read")
        self.insert("whatsapp_event", kind="message_received", message_id=read.id, phase="new")
        self.run_script()
        self.assertEqual((queued.status, bool(queued.cancelled_at)), ("cancelled", True))
        self.assertEqual(read.status, "read")
        self.assertFalse(self.support.active or self.support.former_until)
        for name in SEALED_COLUMNS:
            self.assertFalse(self.support[name], name)
        self.assertFalse(self.env["whatsapp.outbox.in"].search([]))
        self.assertFalse(self.env["whatsapp.event"].search([("phase", "=", "new")]))
        self.run_script()  # repeatable


@post
class TestGrants(WhatsappCase):
    def test_without_a_role(self):
        self.env["ir.config_parameter"].search([("key", "=", ROLE_PARAMETER)]).unlink()
        self.assertFalse(self.env["whatsapp.loader"]._apply_grants())

    def test_unknown_role(self):
        self.env["ir.config_parameter"].set_param(ROLE_PARAMETER, "no such role; DROP TABLE x")
        with self.assertLogs(LOGGER, "WARNING"):
            self.assertFalse(self.env["whatsapp.loader"]._apply_grants())

    def test_every_statement_runs(self):
        # Only Odoo's own role is sure to exist; granting to the owner changes nothing.
        self.env.cr.execute("SELECT current_user")
        role = self.env.cr.fetchone()[0]
        self.env["ir.config_parameter"].set_param(ROLE_PARAMETER, role)
        self.assertTrue(self.env["whatsapp.loader"]._apply_grants())

    def test_what_is_not_needed_is_taken_back(self):
        """In the same transaction: whoever is at work sees the former rights or the new ones."""
        cr = self.env.cr
        cr.execute("SELECT 1 FROM pg_roles WHERE rolname = 'wabridge'")
        self.assertTrue(cr.fetchone(), "the daemon's role is missing: CREATE ROLE wabridge")
        self.env["ir.config_parameter"].set_param(ROLE_PARAMETER, "wabridge")
        cr.execute("GRANT SELECT ON res_partner TO wabridge; GRANT DELETE ON res_users TO wabridge")
        self.assertTrue(self.env["whatsapp.loader"]._apply_grants())
        for right, column, expected in (("SELECT", "email", False), ("SELECT", "phone", True)):
            cr.execute(
                "SELECT has_column_privilege('wabridge', 'res_partner', %s, %s)", (column, right)
            )
            self.assertEqual(cr.fetchone()[0], expected, column)
        cr.execute("SELECT has_table_privilege('wabridge', 'res_users', 'DELETE')")
        self.assertFalse(cr.fetchone()[0])
