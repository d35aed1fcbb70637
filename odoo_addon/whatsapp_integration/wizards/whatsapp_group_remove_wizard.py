import uuid

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..models.whatsapp_configuration import GROUP_ADMIN
from ..models.whatsapp_partner_number import e164


class WhatsappGroupRemoveWizard(models.TransientModel):
    _name = "whatsapp.group.remove.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Remove somebody from WhatsApp groups"

    person_type = fields.Selection(
        [("contact", "WhatsApp contact"), ("partner", "Partner"), ("number", "Number")],
        "Who",
        required=True,
        default="contact",
    )
    contact_id = fields.Many2one("whatsapp.contact", "Contact", ondelete="cascade")
    partner_id = fields.Many2one("res.partner", "Partner", ondelete="cascade")
    number = fields.Char(help="With + and the country code, for example +44 7700 900123.")
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", ondelete="cascade", help="Empty: all accounts."
    )
    scope = fields.Selection(
        [("all", "Every group"), ("chosen", "Chosen groups")], "From", required=True, default="all"
    )
    group_ids = fields.Many2many("whatsapp.group", string="Groups")
    found_ids = fields.Many2many("whatsapp.group", string="Member of", compute="_compute_found_ids")
    farewell = fields.Text(help="A message that the person gets before. Empty: none.")
    # Saved with the wizard, before the call: however often the button runs, it is done once.
    idempotency_key = fields.Char(
        required=True, readonly=True, copy=False, default=lambda self: uuid.uuid4().hex
    )
    done = fields.Boolean(readonly=True)
    again = fields.Integer(readonly=True)
    can_again = fields.Boolean(compute="_compute_can_again")
    line_ids = fields.One2many("whatsapp.group.result", "remove_id", "Receipts", readonly=True)
    farewell_told = fields.Char("Farewell Message", readonly=True)

    @api.model
    def default_get(self, names):
        """On records of a list or a form: the person they are about."""
        values = super().default_get(names)
        model, ids = self.env.context.get("active_model"), self.env.context.get("active_ids")
        if model == "res.partner" and ids and "partner_id" in names:
            values.update(person_type="partner", partner_id=ids[0])
        elif model == "whatsapp.contact" and ids and "contact_id" in names:
            values.update(person_type="contact", contact_id=ids[0])
        return values

    def _check_admin(self):
        if not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may remove members."))

    def _participant(self):
        """Whom to remove, for the daemon; '' while nobody is chosen.

        By number where it is known: the id of a chat means the person at one provider only.
        """
        self.ensure_one()
        if self.person_type == "contact":
            return self.contact_id.phone or self.contact_id.contact_id or ""
        if self.person_type == "partner":
            service = self.env["whatsapp.core.service"]
            return service._recipient(self.partner_id, self.env.user) if self.partner_id else ""
        country = (self.configuration_id.country_id or self.env.company.country_id).code
        return e164(self.number, country) or (self.number or "").strip()

    @api.depends("person_type", "contact_id", "partner_id", "number", "configuration_id", "done")
    def _compute_found_ids(self):
        """The groups in which Odoo knows the person as a member."""
        members = self.env["whatsapp.group.member"]
        for wizard in self:
            participant = wizard._participant()
            domain = [
                "|",
                ("contact_id.phone", "=", participant),
                ("contact_id.contact_id", "=", participant),
                ("state", "=", "joined"),
                ("group_id.is_active", "=", True),
            ]
            if wizard.configuration_id:
                domain.append(("group_id.configuration_id", "=", wizard.configuration_id.id))
            found = members.search(domain) if participant else members
            wizard.found_ids = found.mapped("group_id")

    @api.depends("line_ids.result")
    def _compute_can_again(self):
        for wizard in self:
            wizard.can_again = "failed" in wizard.line_ids.mapped("result")

    def _params(self):
        participant = self._participant()
        if not participant:
            raise UserError(_("Choose who is to be removed; a partner needs a number."))
        params = {"participant": participant, "idempotency_key": self.idempotency_key}
        accounts = self.configuration_id
        if self.scope == "chosen":
            if not self.group_ids:
                raise UserError(_("Choose the groups, or take every group."))
            params["group_ids"] = self.group_ids.mapped("group_id")
            accounts = accounts or self.group_ids.mapped("configuration_id")
        if len(accounts) == 1:
            params["configuration_id"] = accounts.id
        if (self.farewell or "").strip():
            params["farewell"] = self.farewell.strip()
        return params

    def action_remove(self):
        """Removes the person at the provider and shows a receipt for each group."""
        data = self._ask(self._params())
        self.write(
            {
                "done": True,
                "line_ids": [(5, 0, 0)] + [(0, 0, line) for line in self._receipts(data)],
                "farewell_told": self._farewell_words(data.get("farewell")),
            }
        )
        return self._reopen()

    def action_again(self):
        """Once more for the groups where it failed; a receipt that is better takes its place."""
        self.ensure_one()
        failed = self.line_ids.filtered(lambda line: line.result == "failed")
        if not failed:
            raise UserError(_("It failed nowhere."))
        params = self._params()
        params.pop("farewell", None)
        params["group_ids"] = sorted(set(failed.mapped("participant")))
        # The number is saved with what came of it: a request that runs again uses the same.
        params["idempotency_key"] = "%s:%s" % (self.idempotency_key, self.again + 1)
        now = {
            (line["name"], line["participant"]): line for line in self._receipts(self._ask(params))
        }
        for line in failed:
            if (line.name, line.participant) in now:
                line.write(now[line.name, line.participant])
        self.again += 1
        return self._reopen()

    def _ask(self, params):
        self.ensure_one()
        self._check_admin()
        answer = bridge_client.ask(
            self.env,
            "group.remove_everywhere",
            params,
            read_timeout_s=bridge_client.GROUP_TIMEOUT_S,
        )
        return answer["data"]

    def _receipts(self, data):
        """The lines of an answer, one for each group and account."""
        ids = {row["configuration_id"] for row in data["results"]}
        accounts = self.env["whatsapp.configuration"].search([("id", "in", list(ids))])
        names = {account.id: account.name for account in accounts}
        lines = []
        for row in data["results"]:
            group = row.get("name") or row["group_id"]
            account = names.get(row["configuration_id"])
            lines.append(
                {
                    "name": "%s (%s)" % (group, account) if account else group,
                    "participant": row["group_id"],
                    "result": row["result"],
                    "reason": row.get("reason"),
                }
            )
        return lines

    def _reopen(self):
        return {
            "type": "ir.actions.act_window",
            "name": _("Remove Member"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }

    def _farewell_words(self, farewell):
        if not farewell:
            return False
        if not farewell.get("id"):
            return _("Not sent: %s") % (farewell.get("reason") or farewell.get("status"))
        labels = dict(
            self.env["whatsapp.message"]._fields["status"]._description_selection(self.env)
        )
        return labels.get(farewell["status"], farewell["status"])
