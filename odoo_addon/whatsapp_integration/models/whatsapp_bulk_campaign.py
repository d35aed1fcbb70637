import ast
import base64
import json

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.http import request

from .. import bridge_client, template_values
from ..series import current_request_attribute, flush
from .whatsapp_bulk_campaign_recipient import STATE_OF_STATUS
from .whatsapp_configuration import GROUP_USER
from .whatsapp_message_template_render import TemplateProblem, placeholders

STATES = [
    ("draft", "Draft"),
    ("preparing", "Preparing"),
    ("ready", "Checked"),
    ("running", "Running"),
    ("paused", "Paused"),
    ("done", "Done"),
    ("stopped", "Stopped"),
]
FILE_TYPES = [
    ("document", "Document"),
    ("image", "Image"),
    ("video", "Video"),
    ("audio", "Audio"),
]
# Written by buttons and the cron alone: whose rights count, and where the work stands.
OWN_COLUMNS = {
    "state",
    "user_id",
    "prepare_step",
    "prepare_after",
    "start_when_ready",
    "uploaded_media_id",
    "started_at",
    "finished_at",
    "problem",
    "prepared",
}
# What a filter that makes no sense raises: it differs by series and by mistake.
WRONG_DOMAIN = (ValueError, TypeError, KeyError, AttributeError, AssertionError, UserError)
# Fields that tell where a person's number is, best first.
NUMBER_PATHS = ("phone", "mobile", "partner_id", "contact_id")


class WhatsappBulkCampaign(models.Model):
    _name = "whatsapp.bulk.campaign"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "WhatsApp campaign"
    _order = "id desc"

    name = fields.Char(required=True)
    configuration_id = fields.Many2one(
        "whatsapp.configuration",
        "Account",
        required=True,
        ondelete="restrict",
        default=lambda self: self.env["whatsapp.configuration"]._first_usable(self.env.user),
    )
    user_id = fields.Many2one(
        "res.users",
        "Responsible",
        required=True,
        readonly=True,
        copy=False,
        ondelete="restrict",
        default=lambda self: self.env.user,
        help="Records are read, and messages sent, with the rights of this user.",
    )
    state = fields.Selection(STATES, required=True, readonly=True, default="draft", copy=False)
    category = fields.Selection(
        [("utility", "Utility"), ("marketing", "Marketing")],
        required=True,
        default="marketing",
        help="Marketing goes to nobody who opted out.",
    )
    content_kind = fields.Selection(
        [("text", "Own text"), ("template", "Template"), ("file", "File")],
        "Sends",
        required=True,
        default="text",
    )
    text = fields.Text("Message")
    template_id = fields.Many2one(
        "whatsapp.message.template",
        "Template",
        ondelete="restrict",
        domain="['|', ('kind', '=', 'own'), '&', ('configuration_id', '=', configuration_id), "
        "('state', '=', 'approved')]",
    )
    has_file_header = fields.Boolean(related="template_id.has_file_header")
    file_type = fields.Selection(FILE_TYPES, default="document")
    file = fields.Binary(attachment=True)
    file_name = fields.Char()
    caption = fields.Text()
    uploaded_media_id = fields.Integer("File at the Bridge", readonly=True, copy=False)
    schedule_at = fields.Datetime("Not Before", copy=False)
    recipient_source = fields.Selection(
        [("domain", "Records that match a filter"), ("list", "Chosen people and groups")],
        "Recipients",
        required=True,
        default="domain",
    )
    source_model = fields.Selection(
        selection="_selection_source_model", string="Of", default="res.partner"
    )
    domain = fields.Char("Filter", default="[]")
    phone_path = fields.Char(
        "Number Field", help="For example partner_id.phone. Empty: phone or mobile of the person."
    )
    partner_ids = fields.Many2many("res.partner", string="Partners")
    contact_ids = fields.Many2many("whatsapp.contact", string="Contacts")
    group_ids = fields.Many2many("whatsapp.group", string="Groups")
    # Where preparing stands: which source, and up to which of its records.
    prepare_step = fields.Integer(readonly=True, copy=False)
    prepare_after = fields.Integer(readonly=True, copy=False)
    prepared = fields.Boolean(readonly=True, copy=False)
    start_when_ready = fields.Boolean(readonly=True, copy=False)
    problem = fields.Text("Last Problem", readonly=True, copy=False)
    started_at = fields.Datetime("Started", readonly=True, copy=False)
    finished_at = fields.Datetime("Finished", readonly=True, copy=False)
    recipient_ids = fields.One2many("whatsapp.bulk.campaign.recipient", "campaign_id")
    count_total = fields.Integer("All Recipients", compute="_compute_counts")
    count_ready = fields.Integer("Ready", compute="_compute_counts")
    count_excluded = fields.Integer("Would Fail", compute="_compute_counts")
    count_queued = fields.Integer("Queued", compute="_compute_counts")
    count_sent = fields.Integer("Sent", compute="_compute_counts")
    count_delivered = fields.Integer("Delivered", compute="_compute_counts")
    count_read = fields.Integer("Read", compute="_compute_counts")
    count_failed = fields.Integer("Failed", compute="_compute_counts")
    progress = fields.Float(compute="_compute_counts")
    standing = fields.Char(compute="_compute_standing")
    source_count = fields.Integer("Records", compute="_compute_source_count")
    preview_number = fields.Integer(default=0, copy=False)
    preview_name = fields.Char(compute="_compute_preview")
    preview_text = fields.Text(compute="_compute_preview")
    preview_problem = fields.Text(compute="_compute_preview")

    @api.model
    def _selection_source_model(self):
        """Models whose records may tell a number; which of them a user may read is asked later."""
        found = []
        for name in self.env:
            model = self.env[name]
            # a temporary record is no recipient, and a table of SQL has no changes to follow
            if model._abstract or model._transient or not model._auto or name.startswith("ir."):
                continue
            if name in ("whatsapp.bulk.campaign", "whatsapp.message"):
                continue
            if any(path in model._fields for path in NUMBER_PATHS):
                found.append((name, model._description or name))
        return sorted(found, key=lambda pair: (pair[0] != "res.partner", pair[1]))

    # --- rights

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            vals_list = [
                {name: value for name, value in vals.items() if name not in OWN_COLUMNS}
                for vals in vals_list
            ]
        return super().create(vals_list)

    def write(self, vals):
        if not self.env.su:
            if OWN_COLUMNS & set(vals):
                raise AccessError(_("These fields change by the buttons of a campaign alone."))
            if set(vals) - {"name", "preview_number"} and any(c.state != "draft" for c in self):
                raise UserError(_("Only drafts can be changed: use Back to Draft first."))
            if {"file", "configuration_id", "content_kind", "template_id"} & set(vals):
                self.sudo().write({"uploaded_media_id": 0})
        result = super().write(vals)
        if "configuration_id" in vals and not self.env.su:
            flush(self)
            self._check_usable()  # of the new account: rules look at the old one only
        return result

    def unlink(self):
        if any(c.state in ("preparing", "running", "paused") for c in self):
            raise UserError(_("Stop the campaign before you delete it."))
        return super().unlink()

    @api.constrains("domain", "source_model", "phone_path", "recipient_source")
    def _check_source(self):
        for campaign in self:
            if campaign.recipient_source == "domain":
                campaign._check_readable_source()

    def _check_readable_source(self):
        self.ensure_one()
        if self.source_model not in self.env:
            raise ValidationError(_("Choose of what the recipients are."))
        model = self.env[self.source_model]
        domain = self._parsed_domain()
        try:
            model.search(domain, limit=1)
        except AccessError:
            raise
        except WRONG_DOMAIN as error:
            raise ValidationError(_("The filter cannot be used: %s") % error) from None
        if self.phone_path:
            try:
                field, _model = template_values.walk(model, self.phone_path)
            except template_values.PathError as error:
                raise ValidationError(str(error)) from None
            if field.type != "char":
                raise ValidationError(_("%s is no field with a number.") % self.phone_path)

    def _parsed_domain(self):
        """The filter: fixed values only, nothing is evaluated."""
        self.ensure_one()
        try:
            domain = ast.literal_eval(self.domain or "[]")
        except (ValueError, SyntaxError):
            domain = None
        if not isinstance(domain, list):
            raise ValidationError(
                _("The filter holds more than fixed values: replace expressions by their values.")
            )
        return domain

    # --- content

    @api.onchange("template_id")
    def _onchange_template_id(self):
        model = self.template_id.model
        if model and self.recipient_source == "domain" and model != self.source_model:
            self.source_model, self.domain = model, "[]"

    @api.onchange("source_model")
    def _onchange_source_model(self):
        self.domain, self.phone_path = "[]", False
        model = self.source_model
        if model in self.env and "phone" not in self.env[model]._fields:
            if "partner_id" in self.env[model]._fields:
                self.phone_path = "partner_id.phone"

    def _content_problem(self):
        """What keeps the content from being sent to anybody, or False."""
        self.ensure_one()
        if self.content_kind == "text":
            if not (self.text or "").strip():
                return _("Write a message.")
            if placeholders(self.text):
                return _(
                    "This text has placeholders. Make a template of it: there each is bound to a "
                    "field."
                )
        if self.content_kind == "file" and not (self.file or self.uploaded_media_id):
            return _("Choose a file.")
        if self.content_kind == "template":
            template = self.template_id
            if not template:
                return _("Choose a template.")
            if template.kind == "provider" and (template.configuration_id != self.configuration_id):
                return _("This template belongs to another account.")
            if template.problem:
                return template.problem
            there = self.file or template.header_file or self.uploaded_media_id
            if template.has_file_header and not there:
                return template._missing_file_words()
        return False

    def _wants_file(self):
        """Whether a file belongs to the content."""
        self.ensure_one()
        return self.content_kind == "file" or (
            self.content_kind == "template" and self.template_id.has_file_header
        )

    def _bytes_to_send(self):
        """The file, or the template's own where none was chosen; empty without one."""
        self.ensure_one()
        full = self.with_context(bin_size=False)
        data = full.file or (self.content_kind == "template" and full.template_id.header_file)
        return base64.b64decode(data or b"")

    def _media(self):
        """The file as message.send takes it; None without one."""
        self.ensure_one()
        if not self.uploaded_media_id:
            return None
        media = {"id": self.uploaded_media_id}
        template = self.content_kind == "template"
        kind = self.template_id._file_header().lower() if template else self.file_type
        name = self._name_to_send()
        if name and kind == "document":
            media["filename"] = name
        return media

    def _content_for(self, record, checked=False):
        """The content for one record; TemplateProblem when it cannot be made."""
        self.ensure_one()
        if self.content_kind == "template":
            if checked:
                lang = self.template_id._language_of(record)
                row = self.template_id._for_language(lang)
                content = row._render_row(record, lang)
            else:
                content = self.template_id._render(record)
            if self._wants_file():
                content["media"] = self._media()
            return content
        if self.content_kind == "file":
            media = self._media()
            if not media:
                raise TemplateProblem("missing_file", _("The file is not at the bridge yet."))
            if self.caption and self.file_type != "audio":
                media["caption"] = self.caption
            return {"type": self.file_type, "media": media}
        return {"type": "text", "text": {"body": self.text}}

    @api.model
    def _content_words(self, content):
        """What a person reads of a rendered content."""
        content = json.loads(content) if isinstance(content, str) else content or {}
        kind = content.get("type")
        if kind == "text":
            return content["text"]["body"]
        if kind == "template":
            parameters = content["template"].get("parameters") or {}
            values = [
                value["text"] if isinstance(value, dict) else value
                for part in parameters.values()
                for value in part
            ]
            return "[%s] %s" % (content["template"]["name"], " | ".join(values))
        media = content.get("media") or {}
        words = [kind and "[%s]" % kind, media.get("filename"), media.get("caption")]
        return " ".join(word for word in words if word) or False

    def _upload(self):
        """Gives the bridge the file, once, also when Odoo runs this request again."""
        self.ensure_one()
        if self.uploaded_media_id or not self._wants_file():
            return
        if self.content_kind == "template":
            self.template_id._check_header(self._bytes_to_send(), self._name_to_send())
        try:
            if not request:
                self._put_file()
            else:
                name = "whatsapp_campaign_file_%s" % self.id
                media = current_request_attribute(request, name, self._put_file)
                self.sudo().write({"uploaded_media_id": media})
        except bridge_client.BridgeError as error:
            raise UserError(error.text) from None

    def _name_to_send(self):
        own = self.file_name if self.file or self.content_kind == "file" else False
        return own or self.template_id.header_file_name

    def _put_file(self):
        """Stores the file at the bridge; its `whatsapp.media` id."""
        media = bridge_client.put_media(
            self.env,
            self._bytes_to_send(),
            self._name_to_send(),
            configuration_id=self.configuration_id.id,
        )
        self.sudo().write({"uploaded_media_id": media})
        return media

    def _keep_file(self, user):
        """Stores the file again where the bridge has forgotten it: it keeps unused ones a day."""
        self.ensure_one()
        media = self.env["whatsapp.media"].browse(self.uploaded_media_id or 0)
        if self._wants_file() and not media.exists():
            self.with_user(user)._put_file()

    def _with_file(self, content):
        """A rendered content with the file as the bridge has it now."""
        if content.get("media"):
            content["media"]["id"] = self.uploaded_media_id
        return content

    # --- shown

    @api.depends("state")
    def _compute_counts(self):
        """Counts of this very moment: what became of a message is read from the message."""
        counts = {campaign.id: {} for campaign in self}
        if self.ids:
            flush(self)
            self.env.cr.execute(
                # the expression is this addon's own
                "SELECT r.campaign_id, CASE WHEN m.id IS NULL THEN r.state ELSE "  # noqa: S608
                + STATE_OF_STATUS
                + "END, count(*) FROM whatsapp_bulk_campaign_recipient r"
                " LEFT JOIN whatsapp_message m ON m.id = r.message_id"
                " WHERE r.campaign_id IN %s GROUP BY 1, 2",
                (tuple(self.ids),),
            )
            for campaign_id, state, count in self.env.cr.fetchall():
                counts[campaign_id][state] = count
        for campaign in self:
            count = counts.get(campaign.id, {})
            campaign.count_total = sum(count.values())
            campaign.count_ready = count.get("ready", 0)
            campaign.count_excluded = count.get("excluded", 0) + count.get("cancelled", 0)
            campaign.count_queued = count.get("queued", 0)
            campaign.count_failed = count.get("failed", 0)
            campaign.count_read = count.get("read", 0)
            campaign.count_delivered = count.get("delivered", 0) + campaign.count_read
            campaign.count_sent = count.get("sent", 0) + campaign.count_delivered
            wanted = campaign.count_total - count.get("excluded", 0)
            settled = campaign.count_sent + campaign.count_failed
            campaign.progress = 100.0 * settled / wanted if wanted else 0.0

    @api.depends("state", "schedule_at")
    def _compute_standing(self):
        """What a person wants to know of a campaign that does not just run."""
        now = fields.Datetime.now()
        for campaign in self:
            words, waiting = False, campaign.count_queued
            if campaign.state == "paused" and waiting:
                words = _("Paused. Being taken back from the bridge: %s.") % waiting
            elif campaign.state == "paused":
                words = _("Paused: nothing more leaves. Waiting for Resume: %s.")
                words = words % campaign.count_ready
            elif campaign.state == "stopped" and waiting:
                words = _("Stopped. Being taken back from the bridge: %s.") % waiting
            elif campaign.state == "stopped":
                words = _("Stopped: whoever had not got the message does not get it.")
            elif (
                campaign.state == "running" and campaign.schedule_at and campaign.schedule_at > now
            ):
                words = _("Begins at the time that is given under Not Before.")
            elif campaign.state == "running":
                words = campaign.configuration_id.waiting_hint
            campaign.standing = words

    def _sources(self):
        """[(model, domain)] that the recipients come from, in order."""
        self.ensure_one()
        if self.recipient_source == "domain":
            return [(self.source_model, self._parsed_domain())]
        lists = self.sudo()  # who may not be seen is named in the dry run, not left out
        return [
            (records._name, [("id", "in", records.ids)])
            for records in (lists.partner_ids, lists.contact_ids, lists.group_ids)
            if records
        ]

    @api.depends(
        "recipient_source", "source_model", "domain", "partner_ids", "contact_ids", "group_ids"
    )
    def _compute_source_count(self):
        for campaign in self:
            try:
                campaign.source_count = sum(
                    self.env[model].search_count(domain) for model, domain in campaign._sources()
                )
            except WRONG_DOMAIN:  # while it is being written a filter may be anything
                campaign.source_count = 0

    def _preview_record(self):
        """The record that the preview shows, or None."""
        self.ensure_one()
        number = max(self.preview_number, 0)
        for model, domain in self._sources():
            count = self.env[model].search_count(domain)
            if number < count:
                return self.env[model].search(domain, order="id", limit=1, offset=number)
            number -= count
        return None

    @api.depends(
        "content_kind",
        "text",
        "template_id",
        "caption",
        "file",
        "preview_number",
        "recipient_source",
        "source_model",
        "domain",
        "partner_ids",
        "contact_ids",
        "group_ids",
    )
    def _compute_preview(self):
        for campaign in self:
            name = text = False
            problem = campaign._content_problem()
            try:
                record = campaign._preview_record()
                if record and not problem:
                    name = record.display_name
                    text = campaign._preview_words(record)
                elif not record:
                    problem = problem or _("There is nobody to send to.")
            except TemplateProblem as error:
                problem = str(error)
            except (UserError, ValueError, KeyError) as error:
                problem = str(error)
            campaign.preview_name = name
            campaign.preview_text = text
            campaign.preview_problem = problem

    def _preview_words(self, record):
        if self.content_kind == "file":
            words = ["[%s]" % self.file_type, self.file_name, self.caption]
            return " ".join(word for word in words if word)
        if self.content_kind == "text":
            return self.text
        lang = self.template_id._language_of(record)
        row = self.template_id._for_language(lang)
        if row._unreadable(record):
            raise TemplateProblem("missing_field", row._unreadable_words())
        parts = row._parts(record, lang)
        words = [parts["header"], parts["body"], parts["footer"]]
        return "\n\n".join(part for part in words + parts["buttons"] if part)

    def action_preview_next(self):
        self.ensure_one()
        self.preview_number = (self.preview_number + 1) % max(self.source_count, 1)
        return True

    def action_preview_previous(self):
        self.ensure_one()
        self.preview_number = (self.preview_number - 1) % max(self.source_count, 1)
        return True

    def action_recipients(self):
        """The list of recipients, with what became of each by now."""
        self.ensure_one()
        self._check_usable()
        self._refresh_states()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "whatsapp_integration.whatsapp_bulk_campaign_recipient_action"
        )
        action["domain"] = [("campaign_id", "=", self.id)]
        if self.state in ("preparing", "ready") and self.count_excluded:
            action["context"] = {"search_default_excluded": 1}
        return action

    def _check_usable(self):
        """Raises AccessError unless the user may use the campaign's account."""
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        if self.search_count([("id", "in", self.ids)]) != len(self):
            raise AccessError(_("The campaign does not exist, or you may not use its account."))
