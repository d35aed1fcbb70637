import json

from odoo import api, fields, models


class WhatsappOutboxIn(models.Model):
    _name = "whatsapp.outbox.in"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Sends handed to the daemon inside an Odoo transaction"
    _rec_name = "recipient"

    # Append-only: the daemon takes committed rows away (DELETE ... RETURNING).
    message_id = fields.Many2one(
        "whatsapp.message", "Message", required=True, ondelete="cascade", index=True, readonly=True
    )
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="restrict", readonly=True
    )
    recipient = fields.Char(readonly=True, help="As it was given; the daemon resolves it.")
    schedule_at = fields.Datetime("Not Before", readonly=True)
    request = fields.Text(readonly=True, help="The other parameters of message.send, JSON.")
    idempotency_key = fields.Char(readonly=True)

    @api.model
    def _push(self, message, recipient, request, schedule_at=None, idempotency_key=None):
        """Queues a message row in the caller's transaction: rolled back with everything else."""
        values = {
            "message_id": message.id,
            "configuration_id": message.configuration_id.id,
            "recipient": recipient,
            "request": json.dumps(request),
        }
        if schedule_at:
            values["schedule_at"] = schedule_at
        if idempotency_key:
            values["idempotency_key"] = idempotency_key
        row = self.sudo().create(values)
        self._wake_daemon()
        return row

    @api.model
    def _wake_daemon(self):
        """A hint, delivered at commit and only then; the daemon polls each second anyway."""
        self.env.cr.execute("NOTIFY wabridge")
