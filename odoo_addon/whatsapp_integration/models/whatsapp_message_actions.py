"""What a user can do with a message that is there: send again, stop, change, take back, react."""

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..series import check_access
from .whatsapp_configuration import GROUP_USER

RETRIED = ("failed", "uncertain")
CANCELLED = ("queued", "draft")
AT_PROVIDER = ("sent", "delivered", "read", "played")
# A text of its own that can change; of files it is the caption.
EDITED = ("text", "image", "video", "document", "gif")
EMOJIS = ("👍", "❤️", "😂", "😮", "😢", "🙏")


class WhatsappMessage(models.Model):
    _inherit = "whatsapp.message"

    can_retry = fields.Boolean(compute="_compute_can")
    can_cancel = fields.Boolean(compute="_compute_can")
    can_edit = fields.Boolean(compute="_compute_can")
    can_delete = fields.Boolean(compute="_compute_can")
    can_react = fields.Boolean(compute="_compute_can")

    @api.depends("status", "direction", "origin", "message_type", "message_id", "configuration_id")
    def _compute_can(self):
        for message in self:
            ours = message.direction == "outbound"
            there = bool(message.message_id) and message.status in AT_PROVIDER
            kind = message.message_type
            # What was typed on the phone is not ours to repeat.
            written_here = ours and message.origin != "phone"
            message.can_retry = written_here and message.status in RETRIED
            message.can_cancel = ours and message.status in CANCELLED
            message.can_edit = (
                ours and there and kind in EDITED and message.configuration_id._can("edit")
            )
            message.can_delete = ours and there and message.configuration_id._can("delete")
            message.can_react = (
                there
                and kind not in ("system", "reaction", "unknown")
                and message.configuration_id._can("react")
            )

    def _change(self, method, params=None, wait_ms=0):
        """One change by the daemon, which checks everything again: the button's only effect."""
        self.ensure_one()
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        check_access(self, "read")
        params = dict(params or {}, id=self.id)
        return bridge_client.ask(self.env, method, params, wait_ms=wait_ms)

    def action_retry(self):
        self._change("message.retry")
        return True

    def action_cancel(self):
        self._change("message.cancel")
        return True

    def action_delete(self):
        self._change("message.delete")
        return True

    def action_edit(self):
        self.ensure_one()
        text = self.content if self.message_type == "text" else self.caption
        return self._action_change("edit", _("Edit the message"), {"default_text": text})

    def action_react(self):
        return self._action_change("react", _("React"), {})

    def _action_change(self, kind, title, context):
        self.ensure_one()
        check_access(self, "read")
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": "whatsapp.change.message.wizard",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": dict(context, default_message_id=self.id, default_kind=kind),
        }


class WhatsappConfiguration(models.Model):
    _inherit = "whatsapp.configuration"

    def _can(self, operation):
        """Whether this account's provider has an operation; True while nobody can tell."""
        self.ensure_one()
        known = bridge_client.capabilities(self.env, self)
        return known["capabilities"].get(operation, False) if known else True


class WhatsappChangeMessageWizard(models.TransientModel):
    _name = "whatsapp.change.message.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Edit a WhatsApp message, or react to it"

    message_id = fields.Many2one(
        "whatsapp.message", "Message", required=True, readonly=True, ondelete="cascade"
    )
    kind = fields.Selection([("edit", "Edit"), ("react", "React")], required=True, readonly=True)
    text = fields.Text("New Text")
    emoji = fields.Selection(
        [(emoji, emoji) for emoji in EMOJIS], "Reaction", default=EMOJIS[0], required=True
    )
    other_emoji = fields.Char("Another One", help="One emoji of your own choice.")

    def action_apply(self):
        self.ensure_one()
        if self.kind == "edit":
            if not (self.text or "").strip():
                raise UserError(_("Write the new text."))
            self.message_id._change("message.edit", {"text": self.text})
        else:
            self._react((self.other_emoji or "").strip() or self.emoji)
        return {"type": "ir.actions.act_window_close"}

    def action_take_back(self):
        """Takes our reaction away again."""
        self.ensure_one()
        self._react(None)
        return {"type": "ir.actions.act_window_close"}

    def _react(self, emoji):
        params = {"emoji": emoji} if emoji else {}
        self.message_id._change("message.react", params)
