import logging

from odoo import _, fields, models
from odoo.exceptions import UserError
from odoo.tools import html_escape

from ..group_words import result_label
from ..series import SERIES

_logger = logging.getLogger(__name__)


class IrActionsServer(models.Model):
    _inherit = "ir.actions.server"

    state = fields.Selection(
        selection_add=[("whatsapp_remove", "Remove from WhatsApp Groups")],
        ondelete={"whatsapp_remove": "cascade"},
    )

    def _run_action_whatsapp_remove_multi(self, eval_context=None):
        """Removes the people of the records from their groups, or opens the wizard for it."""
        records = (eval_context or {}).get("records") or (eval_context or {}).get("record")
        if not records:
            raise UserError(_("There is no record to take the person from."))
        if self.whatsapp_how != "send":
            return self._whatsapp_remove_ask(records)
        for record in records:
            self._whatsapp_remove(record)
        return False

    def _whatsapp_remove_ask(self, records):
        if len(records) != 1:
            raise UserError(_("Choose one person."))
        context = {
            "default_configuration_id": self.whatsapp_configuration_id.id,
            "default_farewell": self.whatsapp_text,
        }
        if records._name == "whatsapp.contact":
            context.update(default_person_type="contact", default_contact_id=records.id)
        else:
            partner = records.env["whatsapp.core.service"]._person(records)
            context.update(default_person_type="partner", default_partner_id=partner.id)
        groups = records.env["whatsapp.group"]
        return groups._action_wizard("whatsapp.group.remove.wizard", self.name, context)

    def _whatsapp_remove(self, record):
        """At once; the receipt is a note on the document, where it has a place for one."""
        service = record.env["whatsapp.core.service"]
        person = record if record._name == "whatsapp.contact" else service._person(record)
        answer = service.remove_group_member(
            person,
            configuration_id=self.whatsapp_configuration_id.id,
            farewell=self.whatsapp_text,
        )
        if answer["success"]:
            results = answer["data"]["results"]
            receipts = [
                "%s: %s"
                % (row.get("name") or row["group_id"], result_label(record.env, row["result"]))
                for row in results
            ]
            words = _("Removed from WhatsApp groups: %s") % (
                ", ".join(receipts) or _("member of none")
            )
        else:
            _logger.warning(
                "a server action removed nobody: error.code=%s record.id=%s",
                answer["error"]["code"],
                record.id,
            )
            words = _("Not removed from WhatsApp groups: %s") % answer["error"]["message"]
        if hasattr(record, "message_post"):
            record.message_post(body=words if SERIES >= 17 else html_escape(words))
