from odoo import _, api, fields, models
from odoo.exceptions import UserError

from .. import bridge_client
from ..group_words import invitation_text, qr_png, share_address, square_jpeg

STEPS = [
    ("details", "Details"),
    ("people", "Participants"),
    ("settings", "Settings"),
    ("result", "Result"),
]
SETTINGS = ("only_admins_send", "only_admins_edit", "only_admins_add", "join_approval")
# The longest name WhatsApp shows, and the longest description.
NAME_MAX = 100
DESCRIPTION_MAX = 2048


class WhatsappGroupCreateWizard(models.TransientModel):
    _name = "whatsapp.group.create.wizard"
    _inherit = "whatsapp.group.people"
    _description = "Create a WhatsApp group"

    step = fields.Selection(STEPS, required=True, default="details", readonly=True)
    configuration_id = fields.Many2one(
        "whatsapp.configuration",
        "Account",
        required=True,
        ondelete="cascade",
        default=lambda self: self.env["whatsapp.configuration"]._first_usable(self.env.user),
    )
    name = fields.Char("Group Name", required=True)
    description = fields.Text()
    icon = fields.Binary("Picture", attachment=False)
    only_admins_send = fields.Boolean("Only Administrators Write")
    only_admins_edit = fields.Boolean("Only Administrators Edit")
    only_admins_add = fields.Boolean("Only Administrators Add People")
    join_approval = fields.Boolean("Administrators Approve Members")
    cannot_hint = fields.Char(compute="_compute_hints")
    people_hint = fields.Char(compute="_compute_hints")
    problems = fields.Text(readonly=True)
    created_id = fields.Integer(readonly=True)
    line_ids = fields.One2many("whatsapp.group.result", "create_id", "Results", readonly=True)
    invite_qr = fields.Binary("QR Code", compute="_compute_invite_qr")
    can_invite = fields.Boolean(compute="_compute_can_invite")

    @api.onchange("configuration_id")
    def _onchange_configuration_id(self):
        self.contact_ids = self.contact_ids.filtered(
            lambda contact: contact.configuration_id == self.configuration_id
        )

    @api.depends("configuration_id.provider")
    def _compute_hints(self):
        for wizard in self:
            account = wizard.configuration_id
            able = not account or account._can("group_create")
            wizard.cannot_hint = not able and (
                _("%s cannot create groups: its provider has no such operation.") % account.name
            )
            wizard.people_hint = account.provider == "meta" and _(
                "At Meta a group has at most 8 people, and nobody is added: everybody gets the "
                "invitation and joins by its link."
            )

    @api.depends("invite_link")
    def _compute_invite_qr(self):
        for wizard in self:
            wizard.invite_qr = qr_png(wizard.invite_link)

    @api.depends("line_ids.result", "invite_link")
    def _compute_can_invite(self):
        for wizard in self:
            wizard.can_invite = bool(wizard.invite_link) and any(
                wizard.line_ids.mapped("can_invite")
            )

    def _account(self):
        return self.configuration_id

    def _go(self, step):
        """Opens the wizard on another step; from the result there is no way back."""
        self.ensure_one()
        self._check_user()
        if self.step != "result":
            self.step = step
        return self._reopen(_("Create Group"))

    def action_to_people(self):
        self._check_user()
        self._check_details()
        return self._go("people")

    def action_to_settings(self):
        self._people()
        return self._go("settings")

    def action_back(self):
        return self._go({"settings": "people"}.get(self.step, "details"))

    def _check_details(self):
        self.ensure_one()
        if self.cannot_hint:
            raise UserError(self.cannot_hint)
        if not (self.name or "").strip():
            raise UserError(_("Give the group a name."))
        if len(self.name.strip()) > NAME_MAX:
            raise UserError(_("The name of a group has at most %s characters.") % NAME_MAX)
        if len(self.description or "") > DESCRIPTION_MAX:
            raise UserError(_("The description has at most %s characters.") % DESCRIPTION_MAX)
        if self.icon and not square_jpeg(self.icon):
            raise UserError(_("The picture cannot be read. Take a JPEG or a PNG."))

    def _params(self, people):
        params = {
            "configuration_id": self.configuration_id.id,
            "name": self.name.strip(),
            "participants": list(people),
            "invite": self.invite,
            "invite_text": self._invitation_text("{link}"),
            "idempotency_key": self.idempotency_key,
        }
        if (self.description or "").strip():
            params["description"] = self.description.strip()
        if self.icon:
            params["icon"] = {"base64": square_jpeg(self.icon), "mimetype": "image/jpeg"}
        settings = {name: True for name in SETTINGS if self[name]}
        if settings:
            params["settings"] = settings
        return params

    def action_create_group(self):
        """Creates the group at the provider and shows what came of it for each person."""
        self.ensure_one()
        self._check_user()
        self._check_details()
        people = self._people()
        answer = bridge_client.ask(
            self.env,
            "group.create",
            self._params(people),
            read_timeout_s=bridge_client.GROUP_TIMEOUT_S,
        )
        data = answer["data"]
        self.write(
            {
                "step": "result",
                "created_id": data["id"] or 0,
                "invite_link": data.get("invite_link"),
                "completion": data["completion"],
                "problems": "\n".join(data.get("problems") or []) or False,
                "line_ids": self._result_lines(data["participants"], people),
            }
        )
        return self._reopen(_("Create Group"))

    def _invitation_text(self, link=None):
        return invitation_text(self.env, self.name.strip(), link or self.invite_link)

    def action_invite_rest(self):
        """Sends the invitation to those who could not be added."""
        self.ensure_one()
        self._check_user()
        self._invite_rest(self.line_ids, self._invitation_text())
        return self._reopen(_("Create Group"))

    def action_share(self):
        self.ensure_one()
        address = share_address(self._invitation_text())
        return {"type": "ir.actions.act_url", "url": address, "target": "new"}

    def action_send_invitation(self):
        self.ensure_one()
        return self.env["whatsapp.send.message.wizard"]._action_open(
            {
                "default_configuration_id": self.configuration_id.id,
                "default_text": self._invitation_text(),
            }
        )

    def action_open_group(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": _("Group"),
            "res_model": "whatsapp.group",
            "res_id": self.created_id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "current",
        }
