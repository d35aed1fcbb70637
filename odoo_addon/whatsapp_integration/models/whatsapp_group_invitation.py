"""The public page that invites to a group: opt-in, at an address nobody can guess, revocable."""

import re
import secrets

from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..series import SERIES

TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
# What may stand behind the join button.
WEB_ADDRESS = re.compile(r"https?://[^\s\"'<>]+")


class WhatsappGroupInvitation(models.Model):
    _name = "whatsapp.group.invitation"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Public invitation page of a WhatsApp group"
    _rec_name = "group_id"
    _order = "id desc"

    group_id = fields.Many2one(
        "whatsapp.group", "Group", required=True, ondelete="cascade", index=True, readonly=True
    )
    token = fields.Char(
        required=True,
        readonly=True,
        copy=False,
        default=lambda self: secrets.token_urlsafe(24),
    )
    active = fields.Boolean(default=True, readonly=True)
    revoked_at = fields.Datetime(readonly=True)
    url = fields.Char("Address", compute="_compute_url")

    if SERIES < 19:
        _sql_constraints = [
            ("token_uniq", "unique(token)", "This address is taken."),
        ]
    else:
        _token_uniq = models.Constraint("unique(token)", "This address is taken.")

    @api.depends("token")
    def _compute_url(self):
        base = self.env["ir.config_parameter"].sudo().get_param("web.base.url")
        for invitation in self:
            invitation.url = "%s/whatsapp/invitation/%s" % (base, invitation.token)

    @api.model
    def _shown(self, token):
        """What the page of this address shows; None, whatever the reason: there is no such page."""
        if not TOKEN.fullmatch(token or ""):
            return None
        invitation = self.sudo().search([("token", "=", token), ("active", "=", True)], limit=1)
        group = invitation.group_id
        link = group.invite_link or ""
        if not group or not group.is_active or not WEB_ADDRESS.fullmatch(link):
            return None
        picture = group.picture or ""
        return {
            "name": group.name or _("WhatsApp group"),
            "link": link,
            "picture": picture if WEB_ADDRESS.fullmatch(picture) else None,
        }


class WhatsappGroup(models.Model):
    _inherit = "whatsapp.group"

    invitation_ids = fields.One2many(
        "whatsapp.group.invitation", "group_id", "Invitation Pages", readonly=True
    )
    page_url = fields.Char("Invitation Page", compute="_compute_page_url")

    @api.depends("invitation_ids.active")
    def _compute_page_url(self):
        for group in self:
            group.page_url = group.invitation_ids.filtered("active")[:1].url or False

    def action_open_page(self):
        """Turns the page on, at a new address; the link it shows is fetched where none is known."""
        self.ensure_one()
        self._check_user()
        if not self.is_active:
            raise UserError(_("This account is not in the group any more."))
        self._current_link()
        if not self.invitation_ids.filtered("active"):
            self.env["whatsapp.group.invitation"].sudo().create({"group_id": self.id})
        return True

    def action_close_page(self):
        """Turns the page off: its address is never valid again."""
        self.ensure_one()
        self._check_user()
        self.sudo().invitation_ids.filtered("active").write(
            {"active": False, "revoked_at": fields.Datetime.now()}
        )
        return True

    def action_show_page(self):
        self.ensure_one()
        if not self.page_url:
            raise UserError(_("The group has no invitation page: turn it on first."))
        return {"type": "ir.actions.act_url", "url": self.page_url, "target": "new"}
