import logging

import phonenumbers

from odoo import api, fields, models

from ..series import SERIES, flush

_logger = logging.getLogger(__name__)

BATCH = 500
BATCHES_PER_RUN = 40


def e164(text, country_code=None):
    """A typed number as E.164, or None; possible suffices: tables of valid ranges lag behind."""
    text = (text or "").strip()
    if not text:
        return None
    try:
        number = phonenumbers.parse(text, country_code or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


class WhatsappPartnerNumber(models.Model):
    _name = "whatsapp.partner.number"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Phone number of a partner, normalized"
    _rec_name = "e164"

    partner_id = fields.Many2one(
        "res.partner", "Partner", required=True, ondelete="cascade", readonly=True
    )
    # NULL says: this partner was looked at and has no usable number.
    e164 = fields.Char("Number", index=True, readonly=True)
    company_id = fields.Many2one("res.company", "Company", ondelete="cascade", readonly=True)

    if SERIES < 19:
        _sql_constraints = [
            (
                "partner_e164_uniq",
                "unique(partner_id, e164)",
                "This partner has this number already.",
            ),
        ]
    else:
        _partner_e164_uniq = models.Constraint(
            "unique(partner_id, e164)", "This partner has this number already."
        )

    @api.model
    def _phone_fields(self):
        """Names of the partner's fields with numbers: 19 has no mobile."""
        return [name for name in ("phone", "mobile") if name in self.env["res.partner"]._fields]

    @api.model
    def _refresh(self, partners):
        """Makes the rows of these partners say what their fields say."""
        partners = partners.sudo()
        rows = self.sudo()
        known = {}
        for row in rows.search([("partner_id", "in", partners.ids)]):
            known.setdefault(row.partner_id.id, {})[row.e164 or None] = row
        fallback = self.env.company.country_id.code
        missing, gone = [], rows.browse()
        for partner in partners:
            country = partner.country_id.code or partner.company_id.country_id.code or fallback
            typed = [partner[name] for name in self._phone_fields() if partner[name]]
            numbers = {e164(text, country) for text in typed} - {None}
            if typed and not numbers:
                numbers = {None}
            have = known.get(partner.id, {})
            for number in numbers - set(have):
                missing.append(
                    {
                        "partner_id": partner.id,
                        "e164": number or False,
                        "company_id": partner.company_id.id,
                    }
                )
            for number, row in have.items():
                if number not in numbers:
                    gone |= row
                elif row.company_id != partner.company_id:
                    row.write({"company_id": partner.company_id.id})
        gone.unlink()
        rows.create(missing)

    @api.model
    def _cron_fill(self):
        """Catches up with partners that came in past the ORM, or before the addon."""
        typed = " OR ".join("coalesce(p.%s, '') <> ''" % name for name in self._phone_fields())
        for _run in range(BATCHES_PER_RUN):
            self.env.cr.execute(
                # the names are the model's own
                "SELECT p.id FROM res_partner p WHERE (" + typed + ") AND NOT EXISTS ("  # noqa: S608
                "SELECT 1 FROM whatsapp_partner_number n WHERE n.partner_id = p.id) "
                "ORDER BY p.id LIMIT %s",
                (BATCH,),
            )
            ids = [row[0] for row in self.env.cr.fetchall()]
            if not ids:
                return
            self._refresh(self.env["res.partner"].browse(ids))
            flush(self)
            self.env.cr.commit()  # between batches of a cron
