import json
import logging

from odoo import fields, models
from odoo.addons.whatsapp_integration.series import flush, invalidate

_logger = logging.getLogger(__name__)

CREATED = ["on_create", "on_create_or_write"]
WRITTEN = ["on_write", "on_create_or_write"]
# What the daemon may have changed when it tells of it: rules that watch other fields stay quiet.
CHANGED = {
    "status": {
        "status",
        "sent_at",
        "delivered_at",
        "read_at",
        "played_at",
        "failed_at",
        "uncertain_at",
        "error_code",
        "error_message",
    },
    "message_edited": {"content", "caption", "edited_at", "revision_ids"},
    "media_ready": {"media_id"},
}


class WhatsappEvent(models.Model):
    _inherit = "whatsapp.event"

    # Messages come by SQL, so base_automation's own hooks never see them: their rules run from the
    # daemon's events. An event that is tried again repeats neither handlers nor rules that ran.
    handled = fields.Boolean("Handlers Ran", readonly=True)
    rules_done = fields.Char("Rules Run", readonly=True, help="JSON: ids of automation rules.")

    def _dispatch(self):
        again = False
        if not self.handled:
            again = super()._dispatch()
            if not again:
                self.handled = True
        return self._run_rules() or again

    def _run_rules(self):
        """Runs the rules that this event triggers; True where one of them failed."""
        message = self.message_id
        triggers, changed = self._triggers()
        if not message or not triggers:
            return False
        done = set(json.loads(self.rules_done or "[]"))
        failed = False
        message = message.with_context(whatsapp_event_id=self.id)
        for rule in self.env["base.automation"]._get_actions(message, triggers):
            if rule.id in done or not self._concerns(rule, changed):
                continue
            try:
                with self.env.cr.savepoint():
                    rule = rule.with_context(old_values=None)
                    records = rule._filter_post(message)
                    if records:
                        rule._process(records)
                    flush(self)
            except Exception:
                invalidate(self)
                failed = True
                _logger.exception(
                    "rule %s failed for message %s (event %s)", rule.id, message.id, self.id
                )
                continue
            done.add(rule.id)
        self.rules_done = json.dumps(sorted(done))
        return failed

    def _triggers(self):
        """(triggers, names of fields that changed; None: all of them)"""
        kind = self.kind or ""
        if kind == "message_received":
            return CREATED, None
        if kind.startswith("status"):
            return WRITTEN, CHANGED["status"]
        if kind in CHANGED:
            return WRITTEN, CHANGED[kind]
        return [], None

    def _concerns(self, rule, changed):
        rule = rule.sudo()
        if changed is None:
            return True
        if rule.filter_pre_domain and rule.filter_pre_domain != "[]":
            # Nobody knows any more what the message was like before.
            _logger.info(
                "rule %s has a condition on the record before its change and does not run for "
                "WhatsApp messages that the daemon changed",
                rule.id,
            )
            return False
        watched = set(rule.trigger_field_ids.mapped("name"))
        return not watched or bool(watched & changed)
