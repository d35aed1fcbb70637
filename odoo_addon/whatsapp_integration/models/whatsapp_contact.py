from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..series import SERIES, check_access
from .whatsapp_configuration import GROUP_ADMIN, GROUP_USER, PROVIDERS

# People of one call of `contact.refresh`: what a provider that is asked one by one answers in time.
REFRESH_BATCH = 20
REFRESH_MOST = 100


class WhatsappContact(models.Model):
    _name = "whatsapp.contact"
    _inherit = ["whatsapp.label.mixin", "whatsapp.edited.name.mixin"]
    _description = "WhatsApp contact"
    _order = "name, id"
    _rec_names_search = ["name", "pushname", "phone", "contact_id"]

    contact_id = fields.Char("WhatsApp ID", required=True, readonly=True)
    phone = fields.Char(readonly=True, index=True)
    # name, name_edited_at: whatsapp.edited.name.mixin
    pushname = fields.Char("Own Name", readonly=True, help="The name this person gave to WhatsApp.")
    provider = fields.Selection(PROVIDERS, readonly=True)
    is_wa_contact = fields.Boolean("On WhatsApp", readonly=True)
    synced_at = fields.Datetime("Synchronized", readonly=True)
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="restrict", readonly=True
    )
    partner_id = fields.Many2one(
        "res.partner", "Partner", ondelete="set null", index=True, readonly=True
    )
    partner_chosen = fields.Boolean(
        "Partner Chosen",
        readonly=True,
        help="Somebody said whose contact this is, or that it is nobody's: not guessed again.",
    )
    opted_out = fields.Boolean(readonly=True, help="Does not want to get marketing messages.")
    opted_out_at = fields.Datetime("Opted Out at", readonly=True)
    opted_out_reason = fields.Char("Why Opted Out", readonly=True)
    wa_checked_at = fields.Datetime(
        "Checked at", readonly=True, help="When the provider was asked whether it is on WhatsApp."
    )
    lid = fields.Char(
        "Hidden ID", readonly=True, help="WhatsApp's id of a person whose number is hidden."
    )
    username = fields.Char(readonly=True)
    wa_user_id = fields.Char(
        "Business-Scoped ID", readonly=True, help="Meta's id of this person for this business."
    )
    is_business = fields.Boolean("Business", readonly=True)
    is_blocked = fields.Boolean("Blocked", readonly=True)
    can_block = fields.Boolean(compute="_compute_can")
    can_refresh = fields.Boolean(compute="_compute_can")
    picture = fields.Char(readonly=True, help="Address of the profile picture at the provider.")
    member_ids = fields.One2many(
        "whatsapp.group.member", "contact_id", "Memberships", readonly=True
    )
    candidate_ids = fields.Many2many(
        "res.partner", string="Who Is This?", compute="_compute_candidate_ids"
    )

    if SERIES < 19:
        _sql_constraints = [
            (
                "configuration_contact_uniq",
                "unique(configuration_id, contact_id)",
                "This account has this contact already.",
            ),
        ]
    else:
        _configuration_contact_uniq = models.Constraint(
            "unique(configuration_id, contact_id)", "This account has this contact already."
        )

    @api.depends("configuration_id")
    def _compute_can(self):
        for contact in self:
            account = contact.sudo().configuration_id.with_env(self.env)
            contact.can_block = account._can("contact_block")
            contact.can_refresh = account._can("contact_refresh")

    @api.depends("phone", "partner_id", "configuration_id")
    def _compute_candidate_ids(self):
        """Partners with this very number, as far as the user may see them, while nobody chose."""
        for contact in self:
            contact.candidate_ids = contact._candidates() if not contact.partner_id else False

    def _candidates(self):
        self.ensure_one()
        if not self.phone:
            return self.env["res.partner"]
        domain = [("e164", "=", self.phone)]
        company = self.sudo().configuration_id.company_id
        if company:
            domain += ["|", ("company_id", "=", False), ("company_id", "=", company.id)]
        # Numbers are no more than the partners they belong to: those are searched as the user.
        numbers = self.env["whatsapp.partner.number"].sudo().search(domain)
        return self.env["res.partner"].search([("id", "in", numbers.mapped("partner_id").ids)])

    def _label(self):
        self.ensure_one()
        return self.name or self.pushname or self.phone or self.contact_id or str(self.id)

    def action_write(self):
        self.ensure_one()
        return self.env["whatsapp.send.message.wizard"]._action_open(
            {
                "default_configuration_id": self.configuration_id.id,
                "default_recipient_type": "contact",
                "default_contact_id": self.id,
            }
        )

    def action_messages(self):
        self.ensure_one()
        action = self.env["whatsapp.message"]._action_list()
        action["name"] = self._label()
        action["domain"] = [("contact_id", "=", self.id)]
        return action

    def action_inbox(self):
        """Opens the Inbox on the chat with this person; without one, the wizard that begins it."""
        self.ensure_one()
        chat = self.env["whatsapp.chat"].search([("contact_id", "=", self.id)], limit=1)
        return chat.action_inbox() if chat else self.action_write()

    def _link_partner(self, partner):
        """Says whose contact this is: one of the candidates, chosen by the user."""
        self._check_visible()
        if partner not in self._candidates():
            raise UserError(
                _("This partner has another number now. Reload the contact and choose again.")
            )
        return self._choose_partner(partner)

    def _choose_partner(self, partner):
        """Makes this anybody's contact whom the user may see; the bridge guesses no more."""
        self._check_visible()
        check_access(partner, "read")
        self.sudo().write({"partner_id": partner.id, "partner_chosen": True})
        return True

    def action_choose_partner(self):
        self._check_visible()
        return {
            "type": "ir.actions.act_window",
            "name": _("Whose contact is this?"),
            "res_model": "whatsapp.contact.partner.wizard",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {
                "default_contact_id": self.id,
                "default_partner_id": self.partner_id.id,
            },
        }

    def action_unlink_partner(self):
        """Takes a wrong link away; the candidates are shown again."""
        self._check_visible()
        self.sudo().write({"partner_id": False, "partner_chosen": True})
        return True

    def _check_visible(self):
        """The buttons of a contact change one column with more rights than the user's own."""
        self.ensure_one()
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        if not self.search([("id", "=", self.id)]):
            raise AccessError(_("This contact does not exist, or you may not see it."))

    def action_synchronise(self):
        """Opens the Sync Wizard on the accounts of these contacts, else on the usual one."""
        return self.env["whatsapp.sync.wizard"]._action_open(
            self.mapped("configuration_id"), ["contacts"]
        )

    def action_refresh(self):
        """Reads these people anew at the provider: names, picture, business; the rows are the bridge's."""
        if len(self) > REFRESH_MOST:
            raise UserError(
                _("At most %s contacts at once: choose fewer, or synchronise.") % REFRESH_MOST
            )
        for contact in self:
            contact._check_visible()
        changed, problems = 0, []
        for account in self.mapped("configuration_id"):
            contacts = self.filtered(lambda contact: contact.configuration_id == account)
            for start in range(0, len(contacts), REFRESH_BATCH):
                news, refused = contacts[start : start + REFRESH_BATCH]._refresh(account)
                changed += news
                problems += refused
        if problems and len(problems) == len(self):
            raise UserError("\n".join(sorted(set(problems))))
        return True if len(self) == 1 else self._tell_refreshed(changed, problems)

    def _refresh(self, account):
        """One call for contacts of one account: how many rows changed, and a sentence for each that was not told."""
        params = {"configuration_id": account.id, "contact_ids": self.ids}
        try:
            data = bridge_client.call(self.env, "contact.refresh", params)["data"]
        except bridge_client.BridgeError as error:
            return 0, [error.text] * len(self)
        results = data["results"]
        refused = [result["error"]["message"] for result in results if "error" in result]
        return sum(1 for result in results if result.get("changed")), refused

    def _tell_refreshed(self, changed, problems):
        """A line at the edge of the screen; the list follows by itself."""
        words = _("%(known)s of %(all)s contacts were read, %(changed)s changed.") % {
            "known": len(self) - len(problems),
            "all": len(self),
            "changed": changed,
        }
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": _("WhatsApp"),
                "message": "\n".join([words] + sorted(set(problems))),
                "type": "warning" if problems else "info",
                "sticky": bool(problems),
            },
        }

    def action_block(self):
        """This person's messages arrive no more; made at the provider before it shows here."""
        return self._block(True)

    def action_unblock(self):
        return self._block(False)

    def _block(self, blocked):
        self._check_visible()
        params = {
            "configuration_id": self.configuration_id.id,
            "to": {"contact_id": self.id},
            "blocked": blocked,
        }
        bridge_client.ask(self.env, "contact.block", params)
        return True

    def action_erase(self):
        """Opens the question whether to erase what is known of this person."""
        self._check_visible()
        if not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may do this."))
        return {
            "type": "ir.actions.act_window",
            "name": _("Erase Personal Data"),
            "res_model": "whatsapp.contact.erase.wizard",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_contact_id": self.id},
        }

    def action_remove_from_groups(self):
        """Opens the wizard that takes this person out of groups."""
        self._check_visible()
        return self.env["whatsapp.group"]._action_wizard(
            "whatsapp.group.remove.wizard",
            _("Remove from groups"),
            {"default_person_type": "contact", "default_contact_id": self.id},
        )
