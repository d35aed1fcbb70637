from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..report_file import report_file
from .whatsapp_core_service import CATEGORIES


class IrActionsServer(models.Model):
    _inherit = "ir.actions.server"

    state = fields.Selection(
        selection_add=[("whatsapp", "Send WhatsApp")], ondelete={"whatsapp": "cascade"}
    )
    whatsapp_how = fields.Selection(
        [("ask", "Open the wizard first"), ("send", "Send at once")],
        "Sending",
        default="ask",
        help="At once is for automated actions: the message leaves when the transaction is kept.",
    )
    whatsapp_configuration_id = fields.Many2one(
        "whatsapp.configuration", "WhatsApp Account", help="Empty: the user's own."
    )
    whatsapp_template_id = fields.Many2one("whatsapp.message.template", "WhatsApp Template")
    whatsapp_text = fields.Text("WhatsApp Text")
    whatsapp_report_id = fields.Many2one(
        "ir.actions.report",
        "Attached Report",
        help="As PDF; without wkhtmltopdf on the server as HTML.",
    )
    whatsapp_category = fields.Selection(
        [(word, word.capitalize()) for word in CATEGORIES], "WhatsApp Category"
    )

    def _run_action_whatsapp_multi(self, eval_context=None):
        """Runs on all records it was started on; answers the wizard where it is to be asked."""
        records = (eval_context or {}).get("records") or (eval_context or {}).get("record")
        if not records:
            raise UserError(_("There is no record to send from."))
        if self.whatsapp_how != "send":
            return self._whatsapp_ask(records)
        for record in records:
            self._whatsapp_send(record)
        return False

    def _whatsapp_ask(self, records):
        action = records.env["whatsapp.send.message.wizard"]._action_for_all(
            records, self.whatsapp_report_id
        )
        context = dict(action["context"])
        if self.whatsapp_configuration_id:
            context["default_configuration_id"] = self.whatsapp_configuration_id.id
        if self.whatsapp_category:
            context["default_category"] = self.whatsapp_category
        if self.whatsapp_template_id.kind == "provider" and len(records) == 1:
            context.update(
                default_message_type="template", default_template_id=self.whatsapp_template_id.id
            )
            return dict(action, context=context)
        text = self._whatsapp_words(records) if len(records) == 1 else ""
        if text:
            context["default_caption" if self.whatsapp_report_id else "default_text"] = text
        return dict(action, context=context)

    def _whatsapp_words(self, record):
        template = self.whatsapp_template_id
        if template.kind == "own":
            return template._render(record)["text"]["body"]
        return self.whatsapp_text or ""

    def _whatsapp_send(self, record):
        """Queues one record's message in this transaction; what cannot be sent is a failed row."""
        service = record.env["whatsapp.core.service"]
        kwargs = {"res_model": record._name, "res_id": record.id}
        if self.whatsapp_configuration_id:
            kwargs["configuration_id"] = self.whatsapp_configuration_id.id
        if self.whatsapp_category:
            kwargs["category"] = self.whatsapp_category
        upload = None
        if self.whatsapp_template_id.kind == "provider":
            row = self.whatsapp_template_id
            row = row._for_language(row._language_of(record))
            content = row._render(record)
            made = self.whatsapp_report_id and report_file(self.whatsapp_report_id, record)
            upload = row._header_upload(made or None)
        elif self.whatsapp_report_id:
            data, name = report_file(self.whatsapp_report_id, record)
            content = {"type": "document", "media": {}}
            upload = {
                "data": bytearray(data),
                "filename": name,
                "caption": self._whatsapp_words(record),
            }
        else:
            content = {"type": "text", "text": {"body": self._whatsapp_words(record)}}
        return service._send(service._person(record), content, None, kwargs, upload)

    @api.constrains(
        "state", "whatsapp_how", "whatsapp_text", "whatsapp_template_id", "whatsapp_report_id"
    )
    def _check_whatsapp(self):
        for action in self:
            template = action.whatsapp_template_id
            if action.state == "whatsapp" and action.whatsapp_report_id and template:
                if template.kind == "provider" and template._file_header() != "DOCUMENT":
                    raise UserError(
                        _("The header of this template is no document: the report has no place.")
                    )
            if action.state != "whatsapp" or action.whatsapp_how != "send":
                continue
            content = (action.whatsapp_text, action.whatsapp_template_id, action.whatsapp_report_id)
            if not any(content):
                raise UserError(_("Say what to send: a text, a template or a report."))
