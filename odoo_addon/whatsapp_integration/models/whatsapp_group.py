from odoo import api, fields, models

from ..series import SERIES
from .whatsapp_configuration import PROVIDERS


class WhatsappGroup(models.Model):
    _name = "whatsapp.group"
    _inherit = ["whatsapp.label.mixin", "whatsapp.edited.name.mixin"]
    _description = "WhatsApp group"
    _order = "name, id"
    _rec_names_search = ["name", "group_id"]

    group_id = fields.Char("WhatsApp ID", required=True, readonly=True)
    wid = fields.Char("Provider ID", readonly=True)
    # name, name_edited_at: whatsapp.edited.name.mixin
    description = fields.Text(readonly=True)
    invite_link = fields.Char(readonly=True)
    picture = fields.Char(readonly=True, help="Address of the group's picture at the provider.")
    only_admins_send = fields.Boolean("Only Administrators Write", readonly=True)
    only_admins_edit = fields.Boolean("Only Administrators Edit", readonly=True)
    join_approval = fields.Boolean("Administrators Approve Members", readonly=True)
    provider = fields.Selection(PROVIDERS, readonly=True)
    is_active = fields.Boolean("Active", readonly=True)
    synced_at = fields.Datetime("Synchronized", readonly=True)
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="restrict", readonly=True
    )
    member_ids = fields.One2many("whatsapp.group.member", "group_id", "Members", readonly=True)
    member_count = fields.Integer("Member Count", compute="_compute_member_count")

    if SERIES < 19:
        _sql_constraints = [
            (
                "configuration_group_uniq",
                "unique(configuration_id, group_id)",
                "This account has this group already.",
            ),
        ]
    else:
        _configuration_group_uniq = models.Constraint(
            "unique(configuration_id, group_id)", "This account has this group already."
        )

    @api.depends("member_ids.state")
    def _compute_member_count(self):
        for group in self:
            # Rows that say nothing else are members.
            joined = group.member_ids.filtered(lambda member: member.state in (False, "joined"))
            group.member_count = len(joined)

    def _label(self):
        self.ensure_one()
        return self.name or self.group_id or str(self.id)

    def action_write(self):
        self.ensure_one()
        return self.env["whatsapp.send.message.wizard"]._action_open(
            {
                "default_configuration_id": self.configuration_id.id,
                "default_recipient_type": "group",
                "default_group_id": self.id,
            }
        )

    def action_messages(self):
        self.ensure_one()
        action = self.env["whatsapp.message"]._action_list()
        action["name"] = self._label()
        action["domain"] = [("group_id", "=", self.id)]
        return action

    def action_inbox(self):
        """Opens the Inbox on this group; without a chat yet, the wizard that begins it."""
        self.ensure_one()
        chat = self.env["whatsapp.chat"].search([("group_id", "=", self.id)], limit=1)
        return chat.action_inbox() if chat else self.action_write()
