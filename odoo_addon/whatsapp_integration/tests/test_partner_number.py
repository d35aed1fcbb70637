from .common import WhatsappCase, post


@post
class TestPartnerNumber(WhatsappCase):
    def numbers(self, partner):
        rows = self.env["whatsapp.partner.number"].search([("partner_id", "=", partner.id)])
        return sorted(row.e164 or "-" for row in rows)

    def test_create_and_write(self):
        belgium, britain = self.env.ref("base.be"), self.env.ref("base.uk")
        partner = self.env["res.partner"].create(
            {"name": "Ada", "phone": "0471 23 45 67", "country_id": belgium.id}
        )
        self.assertEqual(self.numbers(partner), ["+32471234567"])
        # possible suffices: made-up and new ranges are missing in libphonenumber's data
        partner.write({"phone": "07700 900123", "country_id": britain.id})
        self.assertEqual(self.numbers(partner), ["+447700900123"])
        partner.write({"phone": "ring twice"})
        self.assertEqual(self.numbers(partner), ["-"])
        partner.write({"phone": False})
        self.assertEqual(self.numbers(partner), [])

    def test_both_fields_and_company(self):
        values = {"name": "Ada", "phone": "+32471234567", "company_id": self.company.id}
        names = self.env["whatsapp.partner.number"]._phone_fields()
        if "mobile" in names:
            values["mobile"] = "+447700900123"
        partner = self.env["res.partner"].create([values, {"name": "Nobody"}])[0]
        self.assertEqual(len(self.numbers(partner)), len(names))
        rows = self.env["whatsapp.partner.number"].search([("partner_id", "=", partner.id)])
        self.assertEqual(rows.mapped("company_id"), self.company)
        partner.write({"company_id": False})
        self.assertFalse(rows.mapped("company_id"))
        partner.unlink()
        self.assertFalse(rows.exists())

    def test_ordinary_users_may_edit_partners(self):
        creator = self.env["res.partner"].with_user(self.plain)
        self.env.ref("base.group_partner_manager")
        names = "groups_id" if "groups_id" in self.plain._fields else "group_ids"
        self.plain.write({names: [(4, self.env.ref("base.group_partner_manager").id)]})
        partner = creator.create({"name": "Ada", "phone": "+447700900123"})
        self.assertEqual(self.numbers(partner), ["+447700900123"])
