from odoo import _, fields, models

from ..series import SERIES

STATES = [
    ("ready", "Ready"),
    ("excluded", "Would fail"),
    ("queued", "Queued"),
    ("sent", "Sent"),
    ("delivered", "Delivered"),
    ("read", "Read"),
    ("failed", "Failed"),
    ("cancelled", "Not sent"),
]
REASONS = [
    ("no_number", "No number"),
    ("impossible_number", "Impossible number"),
    ("opted_out", "Opted out"),
    ("blacklisted", "On the phone blacklist"),
    ("duplicate", "The same number again"),
    ("missing_field", "A placeholder is empty"),
    ("missing_file", "The file is missing"),
    ("too_long", "The text is too long"),
    ("template", "The template cannot be used"),
    ("other_account", "Of another account"),
    ("other_company", "Of another company"),
    ("no_access", "Not visible to the responsible user"),
    ("stopped", "The campaign was stopped"),
]
# What a status of a message makes of its recipient; by SQL and by counting.
STATE_OF_STATUS = """
    CASE WHEN m.status IN ('read', 'played') THEN 'read'
         WHEN m.status IN ('delivered', 'sent', 'failed') THEN m.status
         WHEN m.status = 'deleted' THEN 'sent'
         WHEN m.status = 'cancelled' THEN 'cancelled'
         ELSE 'queued' END
"""


class WhatsappBulkCampaignRecipient(models.Model):
    _name = "whatsapp.bulk.campaign.recipient"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Recipient of a WhatsApp campaign"
    _order = "campaign_id, id"

    campaign_id = fields.Many2one(
        "whatsapp.bulk.campaign", "Campaign", required=True, ondelete="cascade", readonly=True
    )
    name = fields.Char(readonly=True)
    # NULL for those that get nothing: a number is in a campaign once.
    number = fields.Char("Sent To", readonly=True, help="E.164, or the id of a chat.")
    given = fields.Char("Number", readonly=True, help="As it stands in the record.")
    res_model = fields.Char("Model", readonly=True)
    res_id = fields.Many2oneReference("Record", model_field="res_model", readonly=True)
    state = fields.Selection(STATES, readonly=True)
    reason = fields.Selection(REASONS, readonly=True)
    detail = fields.Char(readonly=True)
    content = fields.Text("Rendered", readonly=True, help="JSON, as message.send takes it.")
    text = fields.Text("Message", compute="_compute_text")
    message_id = fields.Many2one(
        "whatsapp.message", "Sent Message", ondelete="set null", readonly=True, index=True
    )
    failure = fields.Char("Why It Failed", related="message_id.failure")
    handed = fields.Integer("Handed Over", readonly=True, help="How often the bridge was given it.")
    taken_back = fields.Boolean("Being Taken Back", readonly=True)

    if SERIES < 19:
        _sql_constraints = [
            (
                "campaign_number_uniq",
                "unique(campaign_id, number)",
                "A campaign has each number once.",
            ),
        ]
    else:
        _campaign_number_uniq = models.Constraint(
            "unique(campaign_id, number)", "A campaign has each number once."
        )

    def _auto_init(self):
        result = super()._auto_init()
        # By state: what is to be sent next, and the counts; the states change often and are few.
        self.env.cr.execute(
            "CREATE INDEX IF NOT EXISTS whatsapp_bulk_campaign_recipient_state_idx"
            " ON whatsapp_bulk_campaign_recipient (campaign_id, state, id)"
        )
        self.env.cr.execute(
            "CREATE INDEX IF NOT EXISTS whatsapp_bulk_campaign_recipient_back_idx"
            " ON whatsapp_bulk_campaign_recipient (campaign_id, id) WHERE taken_back"
        )
        return result

    def _compute_text(self):
        for recipient in self:
            recipient.text = recipient.campaign_id._content_words(recipient.content)

    def action_open_record(self):
        """Opens what the recipient was made of, where its problem is put right."""
        self.ensure_one()
        if self.res_model not in self.env:
            return False
        return {
            "type": "ir.actions.act_window",
            "name": self.name or _("Recipient"),
            "res_model": self.res_model,
            "res_id": self.res_id,
            "views": [(False, "form")],
        }

    def action_open_message(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "whatsapp.message",
            "res_id": self.message_id.id,
            "views": [(False, "form")],
        }
