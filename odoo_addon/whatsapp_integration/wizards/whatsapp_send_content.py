"""What the Send wizard sends: a part for each type of content."""

import base64
import mimetypes

from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.http import request
from odoo.tools.mimetypes import guess_mimetype

from .. import bridge_client
from ..models.whatsapp_core_service import MEDIA_TYPES, WITHOUT_CAPTION
from ..report_file import report_file
from ..series import current_request_attribute


def lines(text):
    """The lines of a text that are not empty."""
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


class WhatsappSendMessageWizard(models.TransientModel):
    _inherit = "whatsapp.send.message.wizard"

    text = fields.Text("Message")
    preview = fields.Boolean(
        "Preview of the Link", default=True, help="Show what is behind the first link."
    )
    own_template_id = fields.Many2one(
        "whatsapp.message.template",
        "From Template",
        domain="[('kind', '=', 'own'), '|', ('model', '=', False), "
        "('model', 'in', ['res.partner', res_model])]",
        ondelete="cascade",
    )
    is_file = fields.Boolean(compute="_compute_is_file")
    has_caption = fields.Boolean(compute="_compute_is_file")
    file = fields.Binary(attachment=False)
    filename = fields.Char("File Name")
    caption = fields.Text()
    report_id = fields.Many2one(
        "ir.actions.report",
        "Report of the Document",
        domain="[('model', '=', res_model)]",
        ondelete="cascade",
        help="Is made now and attached, as PDF; without wkhtmltopdf on the server as HTML.",
    )
    report_hint = fields.Char(compute="_compute_report_hint")
    latitude = fields.Float(digits=(10, 6), help="Degrees, -90 to 90.")
    longitude = fields.Float(digits=(10, 6), help="Degrees, -180 to 180.")
    place_name = fields.Char("Name of the Place")
    place_address = fields.Char("Address")
    card_partner_id = fields.Many2one("res.partner", "Whose Card", ondelete="cascade")
    card_name = fields.Char("Name on the Card")
    card_phone = fields.Char("Number on the Card")
    poll_title = fields.Char("Question")
    poll_options = fields.Text("Answers", help="One per line, 2 to 12.")
    poll_many = fields.Boolean("Several Answers", help="One person may choose more than one.")
    interactive_kind = fields.Selection(
        [("buttons", "Buttons"), ("list", "List")], "Choice by", default="buttons"
    )
    interactive_header = fields.Char("Headline")
    interactive_footer = fields.Char("Small Print")
    interactive_button = fields.Char("Button That Opens the List")
    interactive_options = fields.Text(
        "Choices",
        help="One per line: up to 3 buttons, or up to 10 rows of a list. In a list a description "
        "may follow after a vertical bar.",
    )
    template_id = fields.Many2one(
        "whatsapp.message.template",
        "Template",
        domain="[('kind', '=', 'provider'), ('configuration_id', '=', configuration_id), "
        "('state', '=', 'approved')]",
        ondelete="cascade",
    )
    template_language = fields.Char(related="template_id.language", string="Language")
    template_body = fields.Text(related="template_id.shown_body", string="Its Text")
    template_header = fields.Char("Its Header", compute="_compute_template")
    wants_report = fields.Boolean(compute="_compute_is_file")
    template_wants = fields.Char("Values Wanted", compute="_compute_template")
    template_values = fields.Text("Values", help="One per line, in the order that is shown.")

    @api.depends("message_type", "template_id", "res_model", "res_id")
    def _compute_is_file(self):
        for wizard in self:
            kind = wizard.message_type
            header = wizard.template_id._file_header() if wizard.template_id else ""
            as_header = kind == "template" and bool(header)
            document = kind == "document" or (as_header and header == "DOCUMENT")
            wizard.is_file = kind in MEDIA_TYPES or as_header
            wizard.has_caption = kind in MEDIA_TYPES and kind not in WITHOUT_CAPTION
            wizard.wants_report = document and bool(wizard.document_name)

    @api.depends("report_id", "filename")
    def _compute_report_hint(self):
        for wizard in self:
            html = wizard.report_id and (wizard.filename or "").endswith(".html")
            wizard.report_hint = (
                _("This server cannot make PDF files (wkhtmltopdf is missing): HTML is attached.")
                if html
                else False
            )

    @api.depends("template_id")
    def _compute_template(self):
        for wizard in self:
            template = wizard.template_id
            wanted = template._wanted() if template else []
            names = [template._placeholder_name(key) for key in wanted]
            wizard.template_wants = ", ".join(names) or False
            wizard.template_header = template._header_words() if template else False

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        if values.get("report_id") and not values.get("file"):
            values.update(
                self._report_values(
                    values["report_id"], values.get("res_model"), values.get("res_id")
                )
            )
        return values

    @api.onchange("report_id")
    def _onchange_report_id(self):
        if self.report_id:
            values = self._report_values(self.report_id.id, self.res_model, self.res_id)
            self.update(values)

    @api.model
    def _report_values(self, report_id, res_model, res_id):
        """The file of a report, made now: what was seen in the wizard is what is sent."""
        report = self.env["ir.actions.report"].sudo().browse(report_id).exists()
        if not report or report.model != res_model:
            return {}
        document = self.env["whatsapp.core.service"]._readable_document(
            res_model, res_id, self.env.user
        )
        content, name = report_file(report.with_user(self.env.user), document)
        return {"file": base64.b64encode(content), "filename": name}

    @api.onchange("own_template_id")
    def _onchange_own_template_id(self):
        if self.own_template_id:
            record = self._record_for(self.own_template_id)
            self.text = self.own_template_id._render(record)["text"]["body"]

    @api.onchange("template_id")
    def _onchange_template_id(self):
        """What the document or the partner tells for the placeholders."""
        template = self.template_id
        if not template:
            return
        try:
            values = template._values(self._record_for(template))
        except UserError:
            values = {}
        self.template_values = "\n".join(values.get(key, "") for key in template._wanted())
        if template._file_header() and not self.report_id:
            self.file = template.with_context(bin_size=False).header_file
            self.filename = template.header_file_name

    def _record_for(self, template):
        """The record that a template's placeholders are about."""
        document = self._document()
        if document is not None and template.model == document._name:
            return document
        if self.contact_id and template.model == "whatsapp.contact":
            return self.contact_id
        return self.partner_id or self.contact_id.partner_id

    @api.onchange("card_partner_id")
    def _onchange_card_partner_id(self):
        if self.card_partner_id:
            service = self.env["whatsapp.core.service"]
            self.card_name = self.card_partner_id.name
            self.card_phone = service._recipient(self.card_partner_id, self.env.user)

    def _content(self):
        """`type` and the part that it names, as message.send takes them."""
        self.ensure_one()
        kind = self.message_type
        if kind in MEDIA_TYPES:
            return {"type": kind, "media": self._media()}
        if kind == "template":
            return self._template_content()
        return {"type": kind, kind: getattr(self, "_content_%s" % kind)()}

    def _needed(self, *fields_needed):
        for name in fields_needed:
            value = self[name]
            if not value or (isinstance(value, str) and not value.strip()):
                label = self._fields[name]._description_string(self.env)
                raise UserError(_("Fill in: %s.") % label)

    def _content_text(self):
        if not (self.text or "").strip():
            raise UserError(_("Write a message."))
        content = {"body": self.text}
        if not self.preview:
            content["preview"] = False
        return content

    def _media(self):
        return self._media_of(self._file_bytes())

    def _media_of(self, data):
        media = {"id": self._upload(data)}
        if self.filename:
            media["filename"] = self.env["whatsapp.core.service"]._bare_name(self.filename)
        if self.has_caption and (self.caption or "").strip():
            media["caption"] = self.caption
        return media

    def _file_bytes(self):
        wizard = self.with_context(bin_size=False)
        if not wizard.file:
            raise UserError(_("Choose the file to send."))
        return base64.b64decode(wizard.file)

    def _upload(self, data):
        """The daemon's id of the file; the same when Odoo runs this request again."""
        name = self.env["whatsapp.core.service"]._bare_name(self.filename)
        mimetype = mimetypes.guess_type(name)[0] or guess_mimetype(data)

        def put():
            return bridge_client.put_media(self.env, data, name, mimetype, self.configuration_id.id)

        try:
            if not request:
                return put()
            return current_request_attribute(request, "whatsapp_media_%s" % self.id, put)
        except bridge_client.BridgeError as error:
            raise UserError(error.text) from None

    def _content_location(self):
        place = {"latitude": self.latitude, "longitude": self.longitude}
        if not self.latitude and not self.longitude:
            raise UserError(_("Fill in latitude and longitude."))
        if self.place_name:
            place["name"] = self.place_name
        if self.place_address:
            place["address"] = self.place_address
        return place

    def _content_contact(self):
        self._needed("card_name", "card_phone")
        return {"name": self.card_name, "phone": self.card_phone}

    def _content_poll(self):
        self._needed("poll_title", "poll_options")
        poll = {"title": self.poll_title, "options": lines(self.poll_options)}
        if self.poll_many:
            poll["count"] = 0
        return poll

    def _content_interactive(self):
        self._needed("text", "interactive_options")
        content = {"kind": self.interactive_kind or "buttons", "body": self.text, "options": []}
        for number, line in enumerate(lines(self.interactive_options), 1):
            title, _bar, description = line.partition("|")
            option = {"id": str(number), "title": title.strip()}
            if description.strip() and content["kind"] == "list":
                option["description"] = description.strip()
            content["options"].append(option)
        if self.interactive_header:
            content["header"] = self.interactive_header
        if self.interactive_footer:
            content["footer"] = self.interactive_footer
        if self.interactive_button and content["kind"] == "list":
            content["button"] = self.interactive_button
        return content

    def _template_content(self):
        self._needed("template_id")
        template = self.template_id
        wanted = template._wanted()
        values = lines(self.template_values)
        if len(values) != len(wanted):
            raise UserError(
                _("The template wants %(wanted)s values, one per line; here are %(given)s.")
                % {"wanted": len(wanted), "given": len(values)}
            )
        content = template._provider_request(dict(zip(wanted, values)))
        if template._file_header():
            if not self.with_context(bin_size=False).file:
                raise UserError(template._missing_file_words())
            data = self._file_bytes()
            template._check_header(data, self.filename)
            content["media"] = self._media_of(data)
        return content
