"""Templates: bindings of placeholders, words by language, what a provider approved."""

import base64
import json
from datetime import date
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError

from .. import bridge_client
from ..models.whatsapp_message_template_render import TemplateProblem
from ..series import invalidate
from .common import WhatsappCase, post

ORDER = [
    {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"},
    {"type": "BODY", "text": "Dear {{1}}, it comes on {{2}}."},
    {"type": "FOOTER", "text": "Acme"},
    {
        "type": "BUTTONS",
        "buttons": [{"type": "URL", "text": "Track", "url": "https://example.com/{{1}}"}],
    },
]
INVOICE = [
    {"type": "HEADER", "format": "DOCUMENT"},
    {"type": "BODY", "text": "Your invoice."},
]

PNG = b"\x89PNG\r\n\x1a\n picture"


@post
class TestTemplate(WhatsappCase):
    def setUp(self):
        super().setUp()
        self.templates = self.env["whatsapp.message.template"]
        country = self.env.ref("base.fr")
        self.partner = self.env["res.partner"].create(
            {"name": "Amira Osei", "country_id": country.id, "ref": "A-17"}
        )

    def own(self, body, paths, **values):
        rows = [
            (0, 0, {"placeholder": str(number), "field_path": path})
            for number, path in enumerate(paths, 1)
        ]
        defaults = {"name": "hello", "language": "en_US", "model": "res.partner"}
        return self.templates.create(dict(defaults, body=body, variable_ids=rows, **values))

    def provider(self, components, name="order", **values):
        template = {
            "id": name,
            "name": name,
            "language": "en_US",
            "category": "utility",
            "state": "approved",
            "components": components,
        }
        return self.templates._store_synchronised(self.support, [dict(template, **values)])

    def body(self, template, record=None, **options):
        return template._render(record or self.partner, **options)["text"]["body"]

    def test_placeholders_are_replaced(self):
        template = self.own(
            "Dear {{1}} of {{2}}, {{1}}!",
            ["name", "country_id.name"],
            header_text="Hi {{1}}",
            footer_text="Acme",
        )
        self.assertEqual(
            template._render(self.partner),
            {
                "type": "text",
                "text": {
                    "body": "*Hi Amira Osei*\n\nDear Amira Osei of France, Amira Osei!\n\n_Acme_"
                },
            },
        )

    def test_values_that_look_like_placeholders_stay(self):
        template = self.own("{{1}} {{2}}", ["name", "ref"])
        self.partner.name = "{{2}}"
        self.assertEqual(self.body(template), "{{2}} A-17")

    def test_bad_bindings_are_refused_with_a_reason(self):
        for body, paths, words in (
            ("{{1}} {{2}}", ["name"], "{{2}} has no field"),
            ("{{1}} {{3}}", ["name", "ref"], "without gaps"),
            ("{{1}}", ["nonsense"], 'no field "nonsense"'),
            ("{{1}}", ["name.upper()"], "no field path"),
            ("{{1}}", ["country_id.nonsense"], 'no field "nonsense"'),
            ("{{1}}", ["child_ids.name"], "does not lead to one"),
            ("{{1}}", ["__class__"], "no field"),
            ("{{1}}", ["write"], 'no field "write"'),
            ("", [], "empty"),
        ):
            with self.subTest(body=body, paths=paths):
                with self.assertRaises(ValidationError) as caught:
                    self.own(body, paths)
                self.assertIn(words, str(caught.exception))

    def test_a_row_for_each_placeholder_appears_while_typing(self):
        draft = self.templates.new({"body": "{{1}} and {{2}}", "model": "res.partner"})
        draft._onchange_texts()
        self.assertEqual(draft.variable_ids.mapped("placeholder"), ["1", "2"])
        draft.body = "{{1}}"
        draft._onchange_texts()
        self.assertEqual(draft.variable_ids.mapped("placeholder"), ["1"])

    def test_only_fields_that_the_user_may_read(self):
        template = self.own("{{1}}", ["name"])
        account = self.own("{{1}}", ["token"], name="secret", model="whatsapp.configuration")
        self.support.token = "wab1:sealed"
        as_user = account.with_user(self.user)
        with self.assertRaises(TemplateProblem) as caught:
            as_user._render(self.support.with_user(self.user))
        self.assertIn("may not read", str(caught.exception))
        self.assertEqual(
            self.body(template.with_user(self.user), self.partner.with_user(self.user)),
            "Amira Osei",
        )

    def test_records_that_the_user_may_not_read(self):
        template = self.own("{{1}}", ["name"], model="whatsapp.configuration")
        with self.assertRaises(TemplateProblem) as caught:
            template.with_user(self.user)._render(self.sales.with_user(self.user))
        self.assertEqual(caught.exception.reason, "missing_field")

    def test_dates_amounts_and_labels_follow_the_language(self):
        self.env["res.lang"]._activate_lang("de_DE")
        lang = self.env["res.lang"].search([("code", "=", "de_DE")])
        rate = self.env["res.currency.rate"].create(
            {"name": date(2026, 3, 31), "rate": 1234.5, "currency_id": self.env.ref("base.USD").id}
        )
        template = self.own("{{1}} {{2}}", ["name", "rate"], model="res.currency.rate")
        self.assertEqual(self.body(template, rate, lang="en_US").split()[0], "03/31/2026")
        german = self.body(template, rate, lang="de_DE")
        self.assertTrue(german.startswith(date(2026, 3, 31).strftime(lang.date_format)), german)
        self.assertIn("1.234,5", german)
        kind = self.own("{{1}}", ["provider"], model="whatsapp.configuration", name="kind")
        self.assertEqual(self.body(kind, self.support), "WHAPI.cloud")

    def test_the_row_of_the_recipients_language_is_taken(self):
        self.env["res.lang"]._activate_lang("de_DE")
        self.env["res.lang"]._activate_lang("fr_FR")
        english = self.own("Dear {{1}}", ["name"], is_fallback=True)
        german = self.own("Liebe {{1}}", ["name"], language="de")
        self.partner.lang = "de_DE"
        self.assertEqual(self.body(english), "Liebe Amira Osei")
        self.partner.lang = "fr_FR"
        self.assertEqual(self.body(german), "Dear Amira Osei")
        self.partner.lang = "en_US"
        self.assertEqual(self.body(german), "Dear Amira Osei")

    def test_empty_fields(self):
        template = self.own("{{1}}", ["ref"])
        self.partner.ref = False
        with self.assertRaises(TemplateProblem) as caught:
            template._render(self.partner)
        self.assertEqual(caught.exception.reason, "missing_field")
        self.assertIn("{{1}}: ref is empty", str(caught.exception))
        template.variable_ids.default = "nothing"
        self.assertEqual(self.body(template), "nothing")

    def test_preview_on_a_chosen_record(self):
        template = self.own("Dear {{1}}", ["name"])
        preview = self.env["whatsapp.message.template.preview"].create(
            {"template_id": template.id, "record": "res.partner,%d" % self.partner.id}
        )
        self.assertEqual(preview.body, "Dear Amira Osei")
        self.assertFalse(preview.problem)

    # --- of the provider

    def test_synchronised_rows(self):
        template = self.provider(ORDER)
        self.assertEqual((template.kind, template.display_name), ("provider", "order (en_US)"))
        self.assertEqual(
            sorted((v.part, v.button_index, v.placeholder) for v in template.variable_ids),
            [("body", 0, "1"), ("body", 0, "2"), ("button", 0, "1"), ("header", 0, "1")],
        )
        self.assertEqual(template.shown_header, "Order {{1}}")
        self.assertEqual(template.shown_buttons, "Track")
        self.assertIn("{{1}} of the header", template.problem)

    def bind(self, template):
        template.model = "res.partner"
        paths = {"1": "name", "2": "country_id.name"}
        for variable in template.variable_ids:
            variable.field_path = paths[variable.placeholder]

    def test_parameters_are_those_of_the_definition(self):
        template = self.provider(ORDER)
        self.bind(template)
        self.partner.name = "Amira\n\tOsei"
        self.assertEqual(
            template._render(self.partner),
            {
                "type": "template",
                "template": {
                    "name": "order",
                    "language": "en_US",
                    "parameters": {
                        "header": ["Amira Osei"],
                        "body": ["Amira Osei", "France"],
                        "buttons": ["Amira Osei"],
                    },
                },
            },
        )

    def test_what_is_missing_is_named(self):
        template = self.provider(ORDER)
        with self.assertRaisesRegex(TemplateProblem, "has no field"):
            template._render(self.partner)
        self.bind(template)
        template.state = "paused"
        with self.assertRaisesRegex(TemplateProblem, "paused"):
            template._render(self.partner)

    def test_numbered_buttons_and_named_placeholders(self):
        buttons = [{"type": "QUICK_REPLY", "text": "Yes"}, ORDER[3]["buttons"][0]]
        late = self.provider([ORDER[1], {"type": "BUTTONS", "buttons": buttons}], "late")
        self.bind(late)
        parameters = late._render(self.partner)["template"]["parameters"]
        self.assertEqual(parameters["buttons"], [{"index": 1, "text": "Amira Osei"}])
        named = self.provider([{"type": "BODY", "text": "Dear {{first_name}}"}], "named")
        named.model = "res.partner"
        named.variable_ids.field_path = "name"
        parameters = named._render(self.partner)["template"]["parameters"]
        self.assertEqual(parameters, {"body": [{"name": "first_name", "text": "Amira Osei"}]})

    def test_a_header_that_is_a_file(self):
        invoice = self.provider(INVOICE, "invoice")
        invoice.model = "res.partner"
        invoice.variable_ids.write({"field_path": "name"})
        self.assertTrue(invoice.has_file_header)
        self.assertFalse(invoice.problem)
        with self.assertRaisesRegex(TemplateProblem, "choose the file"):
            invoice._header_upload()
        pdf = b"%PDF-1.4 invoice"
        upload = invoice._header_upload((pdf, "INV 1.pdf"))
        self.assertEqual((bytes(upload["data"]), upload["filename"]), (pdf, "INV 1.pdf"))
        invoice.write({"header_file": base64.b64encode(pdf), "header_file_name": "terms.pdf"})
        invalidate(invoice)  # 14 keeps what it has read with another bin_size
        self.assertEqual(invoice._header_upload()["filename"], "terms.pdf")
        for data, name, words in (
            (PNG, "photo.png", "is a document; photo.png is none"),
            (b"<html></html>", "invoice.html", "no HTML file"),
        ):
            with self.assertRaisesRegex(TemplateProblem, words):
                invoice._check_header(data, name)
        picture = self.provider([{"type": "HEADER", "format": "IMAGE"}, ORDER[1]], "picture")
        self.bind(picture)
        picture._check_header(PNG, "photo.png")
        with self.assertRaisesRegex(TemplateProblem, "a picture"):
            picture._check_header(pdf, "terms.pdf")

    def test_a_document_goes_as_header_through_the_transaction_door(self):
        invoice = self.provider(INVOICE, "invoice")
        invoice.model = "res.partner"
        invoice.variable_ids.write({"field_path": "name"})
        invoice.write(
            {"header_file": base64.b64encode(b"%PDF-1.4 x"), "header_file_name": "terms.pdf"}
        )
        self.partner.phone = "+447700900123"
        action = self.env["ir.actions.server"].create(
            {
                "name": "Invoice by WhatsApp",
                "model_id": self.env.ref("base.model_res_partner").id,
                "state": "whatsapp",
                "whatsapp_how": "send",
                "whatsapp_configuration_id": self.support.id,
                "whatsapp_template_id": invoice.id,
            }
        )
        action.with_context(
            active_model="res.partner", active_id=self.partner.id, active_ids=self.partner.ids
        ).run()
        row = self.env["whatsapp.outbox.in"].search([], order="id desc", limit=1)
        request = json.loads(row.request)
        upload = self.env["whatsapp.media.upload"].browse(request["media"].pop("upload"))
        self.assertEqual(request["type"], "template")
        self.assertEqual(request["media"], {"filename": "terms.pdf", "mimetype": "application/pdf"})
        self.assertEqual(base64.b64decode(upload.data), b"%PDF-1.4 x")
        self.assertEqual(row.message_id.message_type, "template")
        report = self.env["ir.actions.report"].create(
            {
                "name": "Sheet",
                "model": "res.partner",
                "report_type": "qweb-pdf",
                "report_name": "whatsapp_integration.test_sheet",
            }
        )
        with self.assertRaisesRegex(UserError, "the report has no place"):
            action.write(
                {
                    "whatsapp_template_id": self.provider(ORDER).id,
                    "whatsapp_report_id": report.id,
                }
            )

    def test_a_file_as_header_in_the_wizard_and_in_a_campaign(self):
        stored = []

        def put(env, data, name, mimetype=None, configuration_id=None):
            stored.append((data, name))
            return self.insert("whatsapp_media", filename=name, state="ready")

        picture = self.provider([{"type": "HEADER", "format": "IMAGE"}, ORDER[1]], "picture")
        self.bind(picture)
        self.partner.phone = "+447700900123"
        wizard = self.env["whatsapp.send.message.wizard"].create(
            {
                "configuration_id": self.support.id,
                "recipient_type": "partner",
                "partner_id": self.partner.id,
                "message_type": "template",
                "template_id": picture.id,
                "template_values": "Amira\nFriday",
            }
        )
        self.assertTrue(wizard.is_file)
        self.assertFalse(wizard.has_caption)
        campaign = self.env["whatsapp.bulk.campaign"].create(
            {
                "name": "Picture",
                "configuration_id": self.support.id,
                "content_kind": "template",
                "template_id": picture.id,
                "domain": "[('id', '=', %d)]" % self.partner.id,
            }
        )
        with self.assertRaisesRegex(UserError, "a picture .JPEG or PNG.: choose the file"):
            wizard._content()
        with self.assertRaisesRegex(UserError, "choose the file"):
            campaign.action_check()
        wizard.write({"file": base64.b64encode(PNG), "filename": "new.png"})
        picture.write({"header_file": base64.b64encode(PNG), "header_file_name": "own.png"})
        invalidate(picture)  # 14 keeps what it has read with another bin_size
        with patch.object(bridge_client, "put_media", put):
            content = wizard._content()
            campaign.action_check()
            campaign.action_start()
        self.assertEqual(stored, [(PNG, "new.png"), (PNG, "own.png")])
        self.assertEqual(sorted(content), ["media", "template", "type"])
        self.assertEqual(content["media"]["filename"], "new.png")
        row = self.env["whatsapp.outbox.in"].search([], order="id desc", limit=1)
        request = json.loads(row.request)
        self.assertEqual(request["media"], {"id": campaign.uploaded_media_id})
        self.assertEqual(row.message_id.media_id.id, campaign.uploaded_media_id)

    def test_synchronised_again(self):
        template = self.provider(ORDER)
        self.bind(template)
        more = ORDER[:1] + [{"type": "BODY", "text": "Dear {{1}}, on {{2}} at {{3}}."}]
        again = self.provider(more, state="paused")
        self.assertEqual(again, template)
        self.assertEqual(template.state, "paused")
        self.assertEqual(json.loads(template.components), more)
        self.assertEqual(
            sorted(
                (v.placeholder, v.field_path) for v in template.variable_ids if v.part == "body"
            ),
            [("1", "name"), ("2", "country_id.name"), ("3", False)],
        )
        self.provider(INVOICE, "invoice")
        self.assertFalse(template.active)

    def test_rights(self):
        self.own("Hello", [])
        mine = self.provider(ORDER)
        rows = self.templates.with_user(self.user)
        self.assertEqual(len(rows.search([("name", "in", ["hello", "order"])])), 2)
        mine.configuration_id = self.sales
        self.assertFalse(rows.search([("name", "=", "order")]))
        with self.assertRaises(AccessError):
            rows.create({"name": "x", "body": "y"})
        with self.assertRaises(AccessError):
            rows._synchronise(self.support)
