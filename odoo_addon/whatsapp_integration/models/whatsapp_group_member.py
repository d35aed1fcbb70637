from odoo import fields, models

from ..series import SERIES


class WhatsappGroupMember(models.Model):
    _name = "whatsapp.group.member"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Member of a WhatsApp group"
    _rec_name = "contact_id"
    _order = "group_id, id"

    group_id = fields.Many2one(
        "whatsapp.group", "Group", required=True, ondelete="cascade", readonly=True
    )
    contact_id = fields.Many2one(
        "whatsapp.contact",
        "Contact",
        required=True,
        ondelete="cascade",
        index=True,
        readonly=True,
    )
    role = fields.Selection(
        [("member", "Member"), ("admin", "Administrator"), ("superadmin", "Owner")], readonly=True
    )
    state = fields.Selection(
        [
            ("joined", "Member"),
            ("left", "Left"),
            ("removed", "Removed"),
            ("invited", "Invited"),
            ("waiting", "Waits for approval"),
        ],
        readonly=True,
    )

    if SERIES < 19:
        _sql_constraints = [
            (
                "group_contact_uniq",
                "unique(group_id, contact_id)",
                "This contact is a member of the group already.",
            ),
        ]
    else:
        _group_contact_uniq = models.Constraint(
            "unique(group_id, contact_id)", "This contact is a member of the group already."
        )
