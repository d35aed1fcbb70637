"""Adding people to a group, changing the group itself, joining one by its link."""

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..group_words import square_jpeg
from ..models.whatsapp_configuration import GROUP_USER

SETTINGS = ("only_admins_send", "only_admins_edit", "join_approval")


class WhatsappGroupAddWizard(models.TransientModel):
    _name = "whatsapp.group.add.wizard"
    _inherit = "whatsapp.group.people"
    _description = "Add people to a WhatsApp group"

    group_id = fields.Many2one(
        "whatsapp.group", "Group", required=True, readonly=True, ondelete="cascade"
    )
    configuration_id = fields.Many2one(related="group_id.configuration_id")
    done = fields.Boolean(readonly=True)
    line_ids = fields.One2many("whatsapp.group.result", "add_id", "Results", readonly=True)
    can_invite = fields.Boolean(compute="_compute_can_invite")

    @api.depends("line_ids.result")
    def _compute_can_invite(self):
        for wizard in self:
            wizard.can_invite = any(wizard.line_ids.mapped("can_invite"))

    def _account(self):
        return self.group_id.configuration_id

    def action_add(self):
        """Adds them at the provider and shows what came of it for each person."""
        self.ensure_one()
        people = self._people()
        if not people:
            raise UserError(_("Choose who is to be added."))
        data = self.group_id._ask(
            "group.add",
            {
                "participants": list(people),
                "invite": self.invite,
                "invite_text": self.group_id._invitation_text("{link}"),
                "idempotency_key": self.idempotency_key,
            },
        )
        self.write(
            {
                "done": True,
                "completion": data["completion"],
                "line_ids": self._result_lines(data["participants"], people),
            }
        )
        return self._reopen(_("Add People"))

    def action_invite_rest(self):
        """Sends the invitation to those who could not be added."""
        self.ensure_one()
        self._check_user()
        link = self.group_id._current_link()
        self._invite_rest(self.line_ids, self.group_id._invitation_text(link))
        return self._reopen(_("Add People"))


class WhatsappGroupEditWizard(models.TransientModel):
    _name = "whatsapp.group.edit.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Change a WhatsApp group"

    group_id = fields.Many2one(
        "whatsapp.group", "Group", required=True, readonly=True, ondelete="cascade"
    )
    name = fields.Char("Group Name", required=True)
    description = fields.Text()
    icon = fields.Binary("New Picture", attachment=False)
    remove_icon = fields.Boolean("Take the Picture Away")
    only_admins_send = fields.Boolean("Only Administrators Write")
    only_admins_edit = fields.Boolean("Only Administrators Edit")
    join_approval = fields.Boolean("Administrators Approve Members")
    only_admins_add = fields.Selection(
        [("yes", "Only administrators"), ("no", "All members")],
        "Who Adds People",
        help="Empty: stays as it is. WhatsApp does not tell how it is now.",
    )
    problems = fields.Text(readonly=True)

    def _changes(self):
        """What differs from the group, as parameters of the call."""
        group, changes, settings = self.group_id, {}, {}
        name, description = (self.name or "").strip(), (self.description or "").strip()
        if not name:
            raise UserError(_("Give the group a name."))
        if name != (group.name or ""):
            changes["name"] = name
        if description != (group.description or ""):
            changes["description"] = description
        if self.icon:
            encoded = square_jpeg(self.icon)
            if not encoded:
                raise UserError(_("The picture cannot be read. Take a JPEG or a PNG."))
            changes["icon"] = {"base64": encoded, "mimetype": "image/jpeg"}
        elif self.remove_icon:
            changes["remove_icon"] = True
        for word in SETTINGS:
            if self[word] != group[word]:
                settings[word] = self[word]
        if self.only_admins_add:
            settings["only_admins_add"] = self.only_admins_add == "yes"
        if settings:
            changes["settings"] = settings
        return changes

    def action_apply(self):
        """Makes the changes at the provider; what did not work is shown and stays to be seen."""
        self.ensure_one()
        changes = self._changes()
        if not changes:
            raise UserError(_("Nothing was changed."))
        data = self.group_id._ask("group.update", changes)
        if not data["problems"]:
            return {"type": "ir.actions.act_window_close"}
        self.problems = "\n".join(data["problems"])
        return {
            "type": "ir.actions.act_window",
            "name": _("Edit Group"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }


class WhatsappGroupJoinWizard(models.TransientModel):
    _name = "whatsapp.group.join.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Join a WhatsApp group"

    configuration_id = fields.Many2one(
        "whatsapp.configuration",
        "Account",
        required=True,
        ondelete="cascade",
        default=lambda self: self.env["whatsapp.configuration"]._first_usable(self.env.user),
    )
    invite_link = fields.Char(
        "Invite Link", required=True, help="For example https://chat.whatsapp.com/…"
    )

    def action_join(self):
        """Joins, and opens the group where it is known already."""
        self.ensure_one()
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        self._check_seen()
        answer = bridge_client.ask(
            self.env,
            "group.join",
            {
                "configuration_id": self.configuration_id.id,
                "invite_link": (self.invite_link or "").strip(),
            },
            read_timeout_s=bridge_client.GROUP_TIMEOUT_S,
        )
        data = answer["data"]
        if data["id"]:
            return {
                "type": "ir.actions.act_window",
                "name": _("Group"),
                "res_model": "whatsapp.group",
                "res_id": data["id"],
                "view_mode": "form",
                "views": [(False, "form")],
                "target": "current",
            }
        told = self.env["whatsapp.group"]._tell(
            _("WhatsApp took it. The group appears under Groups as soon as we are let in.")
        )
        told["params"]["next"] = {"type": "ir.actions.act_window_close"}
        return told
