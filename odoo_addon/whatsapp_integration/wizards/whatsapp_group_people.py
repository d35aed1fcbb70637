"""What the wizards on groups share: choosing people, and one line for each result.

A wizard that inherits this has `_account()`, the account it works for.
"""

import re
import uuid

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..group_words import GOOD, INVITABLE, RESULTS
from ..models.whatsapp_configuration import GROUP_USER
from ..models.whatsapp_partner_number import e164
from ..words import sentence

SEPARATORS = re.compile(r"[\n\r,;\t]+")
CHAT_ID = re.compile(r"[0-9A-Za-z._:-]{5,64}@[a-z.]{1,20}")


class WhatsappGroupPeople(models.AbstractModel):
    _name = "whatsapp.group.people"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Chooses people for a WhatsApp group"

    contact_ids = fields.Many2many("whatsapp.contact", string="WhatsApp Contacts")
    partner_ids = fields.Many2many("res.partner", string="Partners")
    numbers = fields.Text(
        help="One number a line, or with commas between them, as people write them."
    )
    invite = fields.Boolean(
        "Invite Who Cannot Be Added",
        default=True,
        help="Some people let nobody add them to groups: they get a message with the invite link.",
    )
    # Saved with the wizard, before the call: however often the button runs, it is done once.
    idempotency_key = fields.Char(
        required=True, readonly=True, copy=False, default=lambda self: uuid.uuid4().hex
    )
    invite_link = fields.Char(readonly=True)
    completion = fields.Char(readonly=True)

    def _check_user(self):
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        self._check_seen()

    def _people(self):
        """Everybody chosen, once: participant as the daemon takes it -> the name to show."""
        self.ensure_one()
        service = self.env["whatsapp.core.service"]
        people, wrong = {}, []
        for record in list(self.contact_ids) + list(self.partner_ids):
            participant = service._recipient(record, self.env.user)
            if participant:
                self._put(people, participant, record.display_name)
            else:
                wrong.append(record.display_name)
        account = self._account()
        country = (account.country_id or self.env.company.country_id).code
        for typed in SEPARATORS.split(self.numbers or ""):
            typed = typed.strip()
            number = e164(typed, country)
            if number or CHAT_ID.fullmatch(typed):
                self._put(people, number or typed, typed)
            elif typed:
                wrong.append(typed)
        if wrong:
            raise UserError(
                _(
                    "No WhatsApp number can be read of: %s. Write numbers with + and the country "
                    "code, or take them out."
                )
                % ", ".join(wrong)
            )
        return {participant: name for participant, name in people.values()}

    def _put(self, people, participant, name):
        """The same number as contact, partner and text is one person."""
        local = participant.split("@")[0]
        digits = re.sub(r"\D", "", local)
        hidden = participant.endswith("@lid") or not digits
        people.setdefault(participant if hidden else digits, (participant, name))

    def _result_lines(self, rows, people):
        """Commands for the lines of the answer, in its order."""
        lines = [(5, 0, 0)]
        for row in rows:
            participant = row["participant"]
            lines.append(
                (
                    0,
                    0,
                    {
                        "name": people.get(participant) or participant,
                        "participant": row.get("contact_id") or participant,
                        "result": row["result"],
                        "reason": row.get("reason"),
                    },
                )
            )
        return lines

    def _reopen(self, title):
        """The same wizard again, with what is in it now."""
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }

    def _invite_rest(self, lines, text):
        """Sends `text` to those who could not be added; each line says what came of it."""
        rest = lines.filtered("can_invite")
        if not rest:
            raise UserError(_("There is nobody left to invite."))
        messages = [
            {
                "configuration_id": self._account().id,
                "to": line.participant,
                "type": "text",
                "text": {"body": text},
                "idempotency_key": "%s:%s" % (self.idempotency_key, line.participant),
            }
            for line in rest
        ]
        answer = bridge_client.ask(self.env, "message.send_bulk", {"messages": messages})
        for line, outcome in zip(rest, answer["data"]["results"]):
            error = outcome.get("error")
            if error:
                kind = (error.get("data") or {}).get("kind")
                line.reason = _("No invitation: %s") % (
                    sentence(self.env, kind) or error.get("message")
                )
            else:
                line.write({"result": "invited", "reason": False})


class WhatsappGroupResult(models.TransientModel):
    _name = "whatsapp.group.result"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "What a change of a WhatsApp group came to"
    _order = "id"

    create_id = fields.Many2one("whatsapp.group.create.wizard", ondelete="cascade")
    add_id = fields.Many2one("whatsapp.group.add.wizard", ondelete="cascade")
    remove_id = fields.Many2one("whatsapp.group.remove.wizard", ondelete="cascade")
    bulk_id = fields.Many2one("whatsapp.group.bulk.wizard", ondelete="cascade")
    name = fields.Char(readonly=True)
    participant = fields.Char(readonly=True)
    result = fields.Selection(RESULTS, readonly=True)
    reason = fields.Char(readonly=True)
    good = fields.Boolean(compute="_compute_good")
    can_invite = fields.Boolean(compute="_compute_good")

    @api.depends("result")
    def _compute_good(self):
        for line in self:
            line.good = line.result in GOOD
            line.can_invite = line.result in INVITABLE
