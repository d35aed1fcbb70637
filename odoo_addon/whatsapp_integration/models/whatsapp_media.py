import re

from odoo import _, api, fields, models, tools
from odoo.exceptions import UserError

from .. import bridge_client, media_kinds
from ..series import check_access

STATES = [
    ("waiting", "Being fetched"),
    ("ready", "Ready"),
    ("failed", "Could not be fetched"),
    ("refused", "Refused"),
]
# What a browser may show in the page; everything else is handed over as a download.
INLINE = re.compile(r"^(image/(?!svg)[\w.+-]+|(audio|video)/[\w.+-]+|application/pdf)$")
UNITS = ("B", "KiB", "MiB", "GiB")


class WhatsappMedia(models.Model):
    _name = "whatsapp.media"
    _inherit = "whatsapp.label.mixin"
    _description = "File of a WhatsApp message"
    _order = "id desc"
    _rec_name = "filename"

    # The bytes stay with the daemon, sealed; this row says what they are.
    checksum = fields.Char(readonly=True, help="SHA-256 of the content.")
    filename = fields.Char("File Name", readonly=True)
    mimetype = fields.Char("Type", readonly=True, help="By the content, not by what was said.")
    size = fields.Integer("Size (bytes)", readonly=True)
    width = fields.Integer(readonly=True)
    height = fields.Integer(readonly=True)
    duration = fields.Float("Duration (s)", readonly=True)
    state = fields.Selection(STATES, readonly=True)
    reason = fields.Char(readonly=True, help="Why it could not be fetched.")
    thumbnail = fields.Binary(attachment=False, readonly=True)
    message_ids = fields.One2many("whatsapp.message", "media_id", "Messages", readonly=True)
    shown_size = fields.Char("Size", compute="_compute_shown_size")
    kind = fields.Char(compute="_compute_kind")
    icon = fields.Char(compute="_compute_kind")
    message_count = fields.Integer("Number of Messages", compute="_compute_message_count")
    has_thumbnail = fields.Boolean(compute="_compute_has_thumbnail")
    preview = fields.Html(compute="_compute_preview", sanitize=False)

    def _auto_init(self):
        result = super()._auto_init()
        self.env.cr.execute(
            "CREATE INDEX IF NOT EXISTS whatsapp_media_checksum_idx"
            " ON whatsapp_media (checksum) WHERE checksum IS NOT NULL"
        )
        return result

    @api.depends("size")
    def _compute_shown_size(self):
        for media in self:
            size, unit = float(media.size or 0), 0
            while size >= 1024 and unit < len(UNITS) - 1:
                size, unit = size / 1024, unit + 1
            media.shown_size = "%.*f %s" % (0 if unit == 0 else 1, size, UNITS[unit])

    @api.depends("mimetype")
    def _compute_kind(self):
        for media in self:
            media.icon, media.kind = media_kinds.shown(media.env, media.mimetype)

    @api.depends("thumbnail")
    def _compute_has_thumbnail(self):
        # Whether, not what: the pictures themselves come by their route.
        for media in self.with_context(bin_size=True):
            media.has_thumbnail = bool(media.thumbnail)

    @api.depends("message_ids")
    def _compute_message_count(self):
        for media in self:
            media.message_count = len(media.message_ids)

    @api.depends("state", "mimetype", "filename")
    def _compute_preview(self):
        for media in self:
            media.preview = media._player() if media.state == "ready" else False

    def _player(self):
        """What shows the file in a form: a picture, a player, else a link."""
        self.ensure_one()
        url = self._url()
        name = tools.html_escape(self._label())
        kind = (self.mimetype or "").split("/")[0] if self._is_inline() else ""
        if kind == "image":
            return '<a href="%s" target="_blank"><img src="%s" alt="%s" style="%s"/></a>' % (
                url,
                url,
                name,
                "max-width:100%;max-height:420px",
            )
        if kind in ("audio", "video"):
            return '<%s src="%s" controls="controls" preload="metadata" style="%s"></%s>' % (
                kind,
                url,
                "max-width:100%;max-height:420px",
                kind,
            )
        return '<a href="%s" target="_blank">%s</a>' % (url, name)

    def _url(self):
        return "/whatsapp/media/%d" % self.id

    def _is_inline(self):
        return bool(INLINE.match(self.mimetype or ""))

    def _label(self):
        self.ensure_one()
        return self.filename or self.mimetype or _("File %s") % self.id

    def action_fetch_again(self):
        """Has the daemon fetch the file from the provider again; the screen follows by itself."""
        self.ensure_one()
        check_access(self, "read")
        bridge_client.ask(self.env, "media.fetch_again", {"media_id": self.id})
        return True

    def action_open_messages(self):
        self.ensure_one()
        self._check_seen()
        action = self.env["whatsapp.message"]._action_list()
        return dict(action, domain=[("media_id", "=", self.id)])

    def action_open(self):
        self.ensure_one()
        check_access(self, "read")
        if self.state != "ready":
            raise UserError(self.reason or _("This file is not here yet."))
        return {"type": "ir.actions.act_url", "url": self._url(), "target": "new"}


class WhatsappMessage(models.Model):
    _inherit = "whatsapp.message"

    media_state = fields.Selection(related="media_id.state", string="State of the File")
    media_reason = fields.Char(related="media_id.reason", string="Why the File Is Missing")
    media_preview = fields.Html("File Preview", compute="_compute_media_preview", sanitize=False)

    @api.depends("media_id")
    def _compute_media_preview(self):
        for message in self:
            message.media_preview = message.media_id.preview

    def action_fetch_again(self):
        self.ensure_one()
        return self.media_id.action_fetch_again()
