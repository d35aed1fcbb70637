"""What administrators see of the audit log, users who stand in it, and what leaves as a file."""

import csv
import io
import json
import zipfile
from unittest.mock import patch
from urllib.parse import urlencode

from odoo.exceptions import AccessError, UserError
from odoo.tests.common import HttpCase

from .. import audit_words, bridge_client
from ..models.whatsapp_safe_export_mixin import as_written, harmless
from ..series import SERIES, invalidate
from .common import Fixtures, WhatsappCase, new_test_user, post

FORMULAS = (
    '=HYPERLINK("https://example.org";"x")',
    "+44+cmd|' /C calc'!A0",
    "-2+3+cmd",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\uff1d1+1",
)
NO_FORMULAS = ("+44 7700 900123", "-12.5", "Anna", "a=b", "'quoted'", "", "1+1")


@post
class TestExportRoutes(Fixtures, HttpCase):
    """Files as the web client asks for them."""

    def setUp(self):
        super().setUp()
        self.make_accounts()
        ids = [
            self.insert(
                "whatsapp_contact",
                configuration_id=self.support.id,
                contact_id="%s@c.us" % number,
                name=name,
            )
            for number, name in enumerate(FORMULAS)
        ]
        self.ids = ids
        self.authenticate("admin", "admin")

    def file(self, route, **asked):
        query = urlencode({"data": json.dumps(asked), "token": "x"})
        answer = self.url_open("%s?%s" % (route, query))
        self.assertEqual(answer.status_code, 200)
        return answer.content

    def exported(self, kind, groupby=()):
        field = {"name": "name", "label": "Name", "type": "char", "store": True}
        return self.file(
            "/web/export/" + kind,
            model="whatsapp.contact",
            fields=[field],
            ids=self.ids,
            domain=[],
            groupby=list(groupby),
            import_compat=False,
            context={},
        )

    def assert_no_formulas(self, data):
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            sheet = book.read("xl/worksheets/sheet1.xml").decode()
            strings = book.read("xl/sharedStrings.xml").decode()
        self.assertNotIn("<f>", sheet)
        self.assertIn("'=HYPERLINK", strings)

    def test_csv(self):
        text = self.exported("csv").decode()
        cells = [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:]
        self.assertEqual(len(cells), len(FORMULAS))
        for cell in cells:
            self.assertTrue(cell.startswith("'"), cell)

    def test_xlsx(self):
        self.assert_no_formulas(self.exported("xlsx"))

    def test_xlsx_of_groups(self):
        self.assert_no_formulas(self.exported("xlsx", ["name"]))

    def test_titles_of_pivots(self):
        self.assert_no_formulas(
            self.file(
                "/web/pivot/export_xlsx",
                model="whatsapp.contact",
                title="Pivot",
                measure_count=1,
                origin_count=1,
                col_group_headers=[[{"title": FORMULAS[0], "width": 1, "height": 1}]],
                measure_headers=[{"title": "Count", "is_bold": False}],
                origin_headers=[],
                rows=[{"title": FORMULAS[0], "indent": 0, "values": [{"value": 1}]}],
            )
        )


@post
class TestAuditScreen(WhatsappCase):
    def audit(self, **values):
        values = dict({"operation": "message.send", "success": True}, **values)
        return self.env["whatsapp.audit.log"].browse(self.insert("whatsapp_audit_log", **values))

    def test_words(self):
        for word, label in audit_words.OPERATIONS.items():
            self.assertEqual(self.audit(operation=word).operation_label, label)
        self.assertEqual(self.audit(operation="new.word").operation_label, "new.word")

    def test_response_times_are_averaged(self):
        rows = self.audit(response_time=10) + self.audit(response_time=30)
        logs = self.env["whatsapp.audit.log"].with_user(self.admin)
        domain = [("id", "in", rows.ids)]
        if SERIES < 19:
            found = logs.read_group(domain, ["response_time"], ["operation"])[0]["response_time"]
        else:
            found = logs.formatted_read_group(domain, ["operation"], ["response_time:avg"])
            found = found[0]["response_time:avg"]
        self.assertEqual(found, 20)

    def test_filters_of_the_screen_work(self):
        view = self.env.ref("whatsapp_integration.whatsapp_audit_log_view_search")
        for part in ("failed", "refused", "today", "sends", "groups", "by_day", "by_success"):
            self.assertIn('name="%s"' % part, view.arch)
        refused = self.audit(operation="rpc.refused", success=False)
        sent = self.audit()
        logs = self.env["whatsapp.audit.log"].with_user(self.admin)
        both = [("id", "in", (refused + sent).ids)]
        self.assertEqual(logs.search(both + [("operation", "=like", "%.refused")]), refused)

    # ---- verify

    def verify(self, **data):
        answer = {
            "intact": True,
            "segments": 3,
            "removed_segments": 0,
            "rows": 12,
            "erased_fields": 0,
            "unsealed": 0,
            "head": "3:abc",
            "broken": None,
        }
        self.asked = []

        def call(_env, method, params, wait_ms=0, read_timeout_s=10):
            self.asked.append((method, params))
            return {"data": dict(answer, **data), "meta": {}}

        wizard = self.env["whatsapp.audit.verify.wizard"].with_user(self.admin).create({})
        with patch.object(bridge_client, "call", call):
            wizard.action_verify()
            wizard.head = "2:xyz"
            wizard.action_verify()
        self.assertEqual(self.asked, [("audit.verify", {}), ("audit.verify", {"head": "2:xyz"})])
        return wizard

    def test_an_intact_log(self):
        wizard = self.verify(unsealed=2, erased_fields=1, removed_segments=1)
        self.assertEqual((wizard.state, wizard.new_head), ("intact", "3:abc"))
        self.assertIn("12 sealed rows", wizard.result)
        self.assertEqual(len(wizard.result.splitlines()), 4)

    def test_a_changed_row_is_named(self):
        row = self.audit(configuration_id=self.support.id)
        broken = {"id": row.id, "segment": 2, "problem": "changed", "detail": "It was another."}
        wizard = self.verify(intact=False, broken=broken)
        self.assertEqual((wizard.state, wizard.broken_id), ("broken", row))
        self.assertIn("Row %s was changed" % row.id, wizard.result)
        hidden = self.audit(configuration_id=self.far.id)
        wizard = self.verify(intact=False, broken=dict(broken, id=hidden.id, problem="deleted"))
        self.assertFalse(wizard.broken_id)
        self.assertIn("Row %s was deleted" % hidden.id, wizard.result)

    # ---- users in the log

    def test_a_user_in_the_log_is_archived_not_deleted(self):
        system = self.env.ref("base.user_admin")
        for table, values in (
            ("whatsapp_audit_log", {"operation": "message.send"}),
            (
                "whatsapp_message",
                {"configuration_id": self.support.id, "direction": "outbound", "status": "sent"},
            ),
        ):
            person = new_test_user(self.env, "wa_gone_%s" % table, "base.group_user")
            self.insert(table, user_id=person.id, **values)
            with self.subTest(table=table):
                with self.assertRaises(UserError) as caught:
                    person.with_user(system).unlink()
                self.assertIn("Archive", str(caught.exception))
                self.assertIn(person.name, str(caught.exception))
                person.with_user(system).write({"active": False})
                self.assertFalse(person.active)
        new_test_user(self.env, "wa_unknown", "base.group_user").with_user(system).unlink()
        with self.assertRaises(AccessError):
            self.user.with_user(self.plain).unlink()

    # ---- erasing

    def test_erasing_a_person(self):
        contact = self.insert(
            "whatsapp_contact", configuration_id=self.support.id, contact_id="1@c.us"
        )
        contact = self.env["whatsapp.contact"].browse(contact)
        asked = []

        def call(_env, method, params, wait_ms=0, read_timeout_s=10):
            asked.append((method, params))
            return {"data": {"counts": {"whatsapp_message": 3, "whatsapp_contact": 1}}, "meta": {}}

        with self.assertRaises(AccessError):
            contact.with_user(self.user).action_erase()
        action = contact.with_user(self.admin).action_erase()
        wizards = self.env[action["res_model"]].with_user(self.admin)
        wizard = wizards.with_context(**action["context"]).create({})
        self.assertEqual(wizard.contact_id, contact)
        with patch.object(bridge_client, "call", call):
            with self.assertRaises(UserError):
                wizard.action_erase()
            self.assertEqual(asked, [])
            wizard.sure = True
            told = wizard.action_erase()
            self.assertIn("3 messages", told["params"]["message"])
            wizard.scope = "account"
            wizard.action_erase()
        of_account = {"contact_id": contact.id, "configuration_id": self.support.id}
        self.assertEqual(
            asked, [("contact.erase", {"contact_id": contact.id}), ("contact.erase", of_account)]
        )

    # ---- files

    def test_cells_are_no_formulas(self):
        for text in FORMULAS:
            self.assertEqual(harmless(text), "'" + text)
            self.assertEqual(as_written(harmless(text)), text)
        for text in NO_FORMULAS + (None, False, 5, 1.5):
            self.assertEqual(harmless(text), text)
            self.assertEqual(as_written(text), text)

    def exporting(self):
        self.admin.write(
            {
                "groups_id" if SERIES < 19 else "group_ids": [
                    (4, self.env.ref("base.group_allow_export").id)
                ]
            }
        )

    def test_exports_are_no_formulas_and_come_back(self):
        self.exporting()
        accounts = self.env["whatsapp.configuration"].with_user(self.admin)
        accounts = accounts.create([{"name": text} for text in FORMULAS])
        rows = accounts.export_data([".id", "name"])["datas"]
        self.assertEqual([row[1] for row in rows], ["'" + text for text in FORMULAS])
        accounts.write({"name": "Other"})
        result = accounts.load([".id", "name"], [[str(row[0]), row[1]] for row in rows])
        self.assertFalse(result["messages"])
        invalidate(accounts)
        names = [account.name.strip() for account in accounts]
        self.assertEqual(names, [text.strip() for text in FORMULAS])

    # ---- names that are HTML

    def test_names_are_no_html(self):
        """Where the server makes HTML of what strangers wrote, it is escaped."""
        name = '<script>alert(1)</script><img src=x onerror="alert(2)">'
        contact = self.insert(
            "whatsapp_contact",
            configuration_id=self.support.id,
            contact_id="1@c.us",
            name=name,
        )
        document = self.env["res.partner"].create({"name": "Document"})
        sent = self.insert_message(
            self.support,
            direction="outbound",
            status="sent",
            chat_id="1@c.us",
            res_model="res.partner",
            res_id=document.id,
        )
        media = self.insert("whatsapp_media", filename=name, state="ready", mimetype="text/html")
        answer = self.insert_message(
            self.support,
            chat_id="1@c.us",
            contact_id=contact,
            content=name,
            reply_to_id=sent.id,
            media_id=media,
        )
        answer._on_received()
        posted = document.message_ids[0].body
        told = self.env["whatsapp.message"]._story(
            [{"kind": name, "at": "2026-01-01T00:00:00Z", "parameters": {"name": name}}]
        )
        for html in (posted, answer.media_preview, told):
            self.assertNotIn("<script", html)
            self.assertNotIn("<img src=x", html)
        self.assertIn("&lt;script&gt;", posted)
        self.assertIn("&lt;script&gt;", answer.media_preview)
