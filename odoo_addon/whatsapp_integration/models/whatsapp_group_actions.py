"""What a user can do with a group: each button is one call, made at the provider first."""

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..group_words import GOOD, invitation_text, qr_png, result_label, share_address
from ..series import check_access
from .whatsapp_configuration import GROUP_ADMIN, GROUP_USER

OPERATIONS = ("update", "add", "remove", "promote", "invite", "leave", "sync")


class WhatsappGroup(models.Model):
    _inherit = "whatsapp.group"

    invite_qr = fields.Binary("QR Code", compute="_compute_invite_qr")
    can_update = fields.Boolean(compute="_compute_can")
    can_add = fields.Boolean(compute="_compute_can")
    can_remove = fields.Boolean(compute="_compute_can")
    can_promote = fields.Boolean(compute="_compute_can")
    can_invite = fields.Boolean(compute="_compute_can")
    can_leave = fields.Boolean(compute="_compute_can")
    can_sync = fields.Boolean(compute="_compute_can")

    @api.depends("invite_link")
    def _compute_invite_qr(self):
        for group in self:
            group.invite_qr = qr_png(group.invite_link)

    @api.depends_context("uid")
    @api.depends("configuration_id", "is_active")
    def _compute_can(self):
        """What the account's provider can do with groups; of those we left, nothing."""
        admin = self.env.user.has_group(GROUP_ADMIN)
        for group in self:
            account = group.configuration_id
            for operation in OPERATIONS:
                can = group.is_active and account._can("group_%s" % operation)
                group["can_%s" % operation] = can and (operation != "remove" or admin)

    def _check_user(self):
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        check_access(self, "read")

    def _ask(self, method, params=None):
        """One call about this group for the user, who may see it: the button's only effect."""
        self.ensure_one()
        self._check_user()
        if method == "group.remove" and not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may remove members."))
        params = dict(
            params or {}, configuration_id=self.configuration_id.id, group_id=self.group_id
        )
        answer = bridge_client.ask(
            self.env, method, params, read_timeout_s=bridge_client.GROUP_TIMEOUT_S
        )
        return answer["data"]

    def _change_member(self, method, contact):
        """One change of one member; anything but success is told, never passed over."""
        data = self._ask(method, {"participants": [contact.contact_id]})
        for row in data["participants"]:
            if row["result"] not in GOOD:
                words = result_label(self.env, row["result"])
                if row.get("reason"):
                    words = "%s (%s)" % (words, row["reason"])
                raise UserError("%s: %s." % (contact.display_name, words))
            if row["result"] == "waiting":
                return self._tell(_("WhatsApp works on it: the list of members follows by itself."))
        return True

    def _tell(self, message, kind="info"):
        """A line at the edge of the screen."""
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"title": _("WhatsApp"), "message": message, "type": kind, "sticky": False},
        }

    def _invitation_text(self, link=None):
        self.ensure_one()
        return invitation_text(self.env, self._label(), link or self.invite_link)

    def _current_link(self):
        """The invite link, asked for where none is known."""
        self.ensure_one()
        return self.invite_link or self._ask("group.invite_link")["invite_link"]

    def action_refresh(self):
        """Reads the group anew at the provider: name, settings, link and members."""
        self._ask("group.info")
        return True

    def action_invite_link(self):
        self._ask("group.invite_link")
        return True

    def action_revoke_link(self):
        """Makes the old link worthless; the provider gives a new one."""
        self._ask("group.revoke_invite")
        return True

    def action_share_link(self):
        """WhatsApp's own page to choose whom to send the link to."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": share_address(self._invitation_text(self._current_link())),
            "target": "new",
        }

    def action_send_invitation(self):
        """The Send wizard with the invitation as its text."""
        self.ensure_one()
        self._check_user()
        return self.env["whatsapp.send.message.wizard"]._action_open(
            {
                "default_configuration_id": self.configuration_id.id,
                "default_text": self._invitation_text(self._current_link()),
            }
        )

    def action_leave(self):
        data = self._ask("group.leave")
        if data["completion"] == "waiting":
            return self._tell(_("WhatsApp works on it: the group follows by itself."))
        return True

    def _action_wizard(self, model, title, context=None):
        self._check_user()
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": model,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": context or {},
        }

    def action_add_people(self):
        self.ensure_one()
        return self._action_wizard(
            "whatsapp.group.add.wizard", _("Add People"), {"default_group_id": self.id}
        )

    def action_edit_group(self):
        self.ensure_one()
        context = {"default_group_id": self.id, "default_name": self.name}
        for name in ("description", "only_admins_send", "only_admins_edit", "join_approval"):
            context["default_%s" % name] = self[name]
        return self._action_wizard("whatsapp.group.edit.wizard", _("Edit Group"), context)

    def action_remove_people(self):
        self.ensure_one()
        if not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may remove members."))
        context = {
            "default_configuration_id": self.configuration_id.id,
            "default_scope": "chosen",
            "default_group_ids": [(6, 0, self.ids)],
        }
        return self._action_wizard("whatsapp.group.remove.wizard", _("Remove Member"), context)


class WhatsappGroupMember(models.Model):
    _inherit = "whatsapp.group.member"

    can_promote = fields.Boolean(compute="_compute_can")
    can_demote = fields.Boolean(compute="_compute_can")
    can_remove = fields.Boolean(compute="_compute_can")

    @api.depends_context("uid")
    @api.depends("role", "state", "group_id.can_promote", "group_id.can_remove")
    def _compute_can(self):
        for member in self:
            # Rows that say nothing else are members.
            joined = member.state in (False, "joined")
            role = member.role or "member"
            member.can_promote = joined and role == "member" and member.group_id.can_promote
            member.can_demote = joined and role == "admin" and member.group_id.can_promote
            member.can_remove = joined and role != "superadmin" and member.group_id.can_remove

    def action_promote(self):
        self.ensure_one()
        return self.group_id._change_member("group.promote", self.contact_id)

    def action_demote(self):
        self.ensure_one()
        return self.group_id._change_member("group.demote", self.contact_id)

    def action_remove(self):
        self.ensure_one()
        return self.group_id._change_member("group.remove", self.contact_id)
