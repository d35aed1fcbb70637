"""Who a contact is, and which numbers are on WhatsApp."""

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..models.whatsapp_configuration import GROUP_USER

# Numbers of one call: what the slowest provider, which is asked one by one, answers in time.
BATCH = 10
# Between two calls: providers count these questions too.
PAUSE_S = 1
WAIT_MAX_S = 60
TRIES = 3
MOST = 2000


class WhatsappContactPartnerWizard(models.TransientModel):
    _name = "whatsapp.contact.partner.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Choose whose WhatsApp contact this is"

    contact_id = fields.Many2one(
        "whatsapp.contact", "Contact", required=True, readonly=True, ondelete="cascade"
    )
    candidate_ids = fields.Many2many(related="contact_id.candidate_ids")
    partner_id = fields.Many2one("res.partner", "Partner", ondelete="cascade")

    def action_choose(self):
        self.ensure_one()
        if not self.partner_id:
            raise UserError(_("Choose a partner."))
        self.contact_id._choose_partner(self.partner_id)
        return {"type": "ir.actions.act_window_close"}


class WhatsappContactCheckWizard(models.TransientModel):
    _name = "whatsapp.contact.check.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Ask who is on WhatsApp"

    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account that Asks", ondelete="cascade"
    )
    needs_account = fields.Boolean(readonly=True)
    line_ids = fields.One2many("whatsapp.contact.check.line", "wizard_id", "People")
    count_waiting = fields.Integer("Not Asked", compute="_compute_counts")
    count_yes = fields.Integer("On WhatsApp", compute="_compute_counts")
    count_no = fields.Integer("Not on WhatsApp", compute="_compute_counts")
    count_problem = fields.Integer("Not Known", compute="_compute_counts")

    @api.depends("line_ids.state")
    def _compute_counts(self):
        for wizard in self:
            states = wizard.line_ids.mapped("state")
            for state in ("waiting", "yes", "no", "problem"):
                wizard["count_%s" % state] = states.count(state)

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        ids = self.env.context.get("active_ids") or []
        if self.env.context.get("active_model") == "res.partner":
            lines = self._lines_of_partners(self.env["res.partner"].browse(ids).exists())
            first = self.env["whatsapp.configuration"]._first_usable(self.env.user)
            values.update(needs_account=True, configuration_id=first.id)
        else:
            lines = self._lines_of_contacts(self.env["whatsapp.contact"].browse(ids).exists())
        if len(lines) > MOST:
            raise UserError(_("At most %s people at once: choose fewer.") % MOST)
        values["line_ids"] = [(0, 0, line) for line in lines]
        return values

    @api.model
    def _lines_of_contacts(self, contacts):
        return [
            self._line(contact.phone, contact_id=contact.id, name=contact.display_name)
            for contact in contacts
        ]

    @api.model
    def _lines_of_partners(self, partners):
        service = self.env["whatsapp.core.service"]
        return [
            self._line(
                service._recipient(partner, self.env.user),
                partner_id=partner.id,
                name=partner.display_name,
            )
            for partner in partners
        ]

    @api.model
    def _line(self, number, **values):
        state = {"state": "waiting"}
        if not number:
            state = {"state": "problem", "reason": _("No number is known.")}
        return dict(values, number=number or False, **state)

    def action_check(self):
        """Asks in small calls, one after the other; the screen shows how far it is."""
        self.ensure_one()
        self._check_user()
        if self.needs_account and not self.configuration_id:
            raise UserError(_("Choose an account."))
        return {
            "type": "ir.actions.client",
            "tag": "whatsapp_batches",
            "params": {
                "model": self._name,
                "id": self.id,
                "method": "check_next",
                "title": _("Asking WhatsApp"),
                "total": len(self.line_ids),
            },
        }

    def _check_user(self):
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))

    def check_next(self, tries=0):
        """One call: {done, wait_s, progress} and, at the end, the action to go on with.

        Asking changes nothing at the provider, so that a call that is repeated does no harm.
        """
        self.ensure_one()
        self._check_user()
        waiting = self.line_ids.filtered(lambda line: line.state == "waiting")
        account = self.configuration_id or waiting[:1].contact_id.configuration_id
        lines = waiting.filtered(
            lambda line: self.configuration_id or line.contact_id.configuration_id == account
        )[:BATCH]
        wait_s, progress = PAUSE_S, True
        if lines:
            try:
                self._ask(account, lines)
            except bridge_client.BridgeError as error:
                if error.retryable and tries < TRIES:
                    wait_s = min(error.details.get("retry_after") or 2**tries, WAIT_MAX_S)
                    progress = False
                else:
                    lines.write({"state": "problem", "reason": error.text})
        total = len(self.line_ids)
        left = len(self.line_ids.filtered(lambda line: line.state == "waiting"))
        answer = {"done": total - left, "wait_s": wait_s, "progress": progress}
        if not left:
            answer["action"] = self._action_result()
        return answer

    def _ask(self, account, lines):
        params = {"configuration_id": account.id, "numbers": lines.mapped("number")}
        data = bridge_client.call(self.env, "contact.check", params)["data"]
        for line, result in zip(lines, data["results"]):
            if "error" in result:
                line.write({"state": "problem", "reason": result["error"].get("message")})
            else:
                line.write({"state": "yes" if result["is_wa_contact"] else "no"})

    def _action_result(self):
        return {
            "type": "ir.actions.act_window",
            "name": _("Who is on WhatsApp"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }


class WhatsappContactCheckLine(models.TransientModel):
    _name = "whatsapp.contact.check.line"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Somebody who may be on WhatsApp"
    _order = "id"

    wizard_id = fields.Many2one(
        "whatsapp.contact.check.wizard", "Question", required=True, ondelete="cascade"
    )
    name = fields.Char()
    number = fields.Char()
    contact_id = fields.Many2one("whatsapp.contact", "Contact", ondelete="cascade")
    partner_id = fields.Many2one("res.partner", "Partner", ondelete="cascade")
    state = fields.Selection(
        [
            ("waiting", "Not asked"),
            ("yes", "On WhatsApp"),
            ("no", "Not on WhatsApp"),
            ("problem", "Not known"),
        ],
        default="waiting",
    )
    reason = fields.Char()
