import uuid

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..models.whatsapp_configuration import GROUP_USER

# How long the button waits for the provider's answer before it shows the message as it is.
WAIT_MS = 2500


class WhatsappSendMessageWizard(models.TransientModel):
    _name = "whatsapp.send.message.wizard"
    _description = "Send a WhatsApp message"

    configuration_id = fields.Many2one(
        "whatsapp.configuration",
        "Account",
        required=True,
        ondelete="cascade",
        default=lambda self: self.env["whatsapp.configuration"]._first_usable(self.env.user),
    )
    recipient_type = fields.Selection(
        [
            ("number", "Number"),
            ("contact", "WhatsApp contact"),
            ("partner", "Partner"),
            ("group", "WhatsApp group"),
        ],
        "To",
        required=True,
        default="number",
    )
    number = fields.Char(help="With + and the country code, for example +44 7700 900123.")
    contact_id = fields.Many2one("whatsapp.contact", "Contact", ondelete="cascade")
    partner_id = fields.Many2one("res.partner", "Partner", ondelete="cascade")
    group_id = fields.Many2one("whatsapp.group", "Group", ondelete="cascade")
    text = fields.Text("Message")
    reply_to_id = fields.Many2one("whatsapp.message", "In Reply To", ondelete="cascade")
    res_model = fields.Char("Document Model")
    res_id = fields.Integer("Document ID")
    # Saved with the wizard, before the call: however often the button runs, it sends once.
    idempotency_key = fields.Char(
        required=True, readonly=True, copy=False, default=lambda self: uuid.uuid4().hex
    )

    @api.onchange("configuration_id")
    def _onchange_configuration_id(self):
        for name in ("contact_id", "group_id"):
            if self[name] and self[name].configuration_id != self.configuration_id:
                self[name] = False

    @api.model
    def _action_open(self, context):
        xml_id = "whatsapp_integration.whatsapp_send_message_wizard_action"
        action = self.env["ir.actions.act_window"]._for_xml_id(xml_id)
        action["context"] = context
        return action

    def action_send(self):
        self.ensure_one()
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        params = self._params()
        answer = bridge_client.ask(self.env, "message.send", params, wait_ms=WAIT_MS)
        # By the id of the answer: this transaction may be too old to see the row.
        return {
            "type": "ir.actions.act_window",
            "name": _("Message"),
            "res_model": "whatsapp.message",
            "res_id": answer["data"]["id"],
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "current",
        }

    def _params(self):
        to = {
            "number": self.number and self.number.strip(),
            "contact": self.contact_id and {"contact_id": self.contact_id.id},
            "partner": self.partner_id and {"partner_id": self.partner_id.id},
            "group": self.group_id and {"group_id": self.group_id.id},
        }[self.recipient_type]
        if not to:
            raise UserError(_("Choose to whom the message goes."))
        if not (self.text or "").strip():
            raise UserError(_("Write a message."))
        params = {
            "configuration_id": self.configuration_id.id,
            "to": to,
            "type": "text",
            "text": {"body": self.text},
            "idempotency_key": self.idempotency_key,
        }
        if self.reply_to_id:
            params["reply_to"] = self.reply_to_id.id
        if self.res_model and self.res_id:
            document = self.env["whatsapp.core.service"]._readable_document(
                self.res_model, self.res_id, self.env.user
            )
            params.update(res_model=document._name, res_id=document.id)
        return params
