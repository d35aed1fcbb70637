"""Accounts of the older addon: their clear tokens wait outside of every model to be sealed."""

import logging

from odoo import _, api, models, tools

from .. import bridge_client
from ..series import flush, invalidate
from ..takeover.tables import SECRETS, columns

_logger = logging.getLogger(__name__)


class WhatsappConfiguration(models.Model):
    _inherit = "whatsapp.configuration"

    @api.model
    def _cron_watch(self):
        self.sudo()._seal_taken_over()
        return super()._cron_watch()

    @api.model
    def _tell_taken_over(self, text):
        """Activities for the administrators: the report, and what each account still waits for."""
        invalidate(self)
        accounts = self.with_context(active_test=False).search([], order="id")
        lines = [tools.html_escape(line) for line in text.splitlines()]
        for account in accounts[:1]:
            account._alert(
                _("WhatsApp was taken over from the older addon"), "<br/>".join(map(str, lines))
            )
        for account in accounts.browse([row[0] for row in self._waiting_secrets()]):
            account._alert(
                self._waiting_summary(),
                _(
                    "The API token is sealed by the bridge within some minutes after the bridge "
                    "was connected to this database, and the account is active again. Or enter "
                    'the token with "Set credentials" and unarchive the account.'
                ),
            )

    @api.model
    def _waiting_summary(self):
        return _("This account is archived until the bridge has sealed its API token")

    @api.model
    def _waiting_secrets(self):
        """(account, clear token, whether it was active, whether this is the database of then)."""
        cr = self.env.cr
        if not columns(cr, SECRETS):
            return []
        flush(self)
        cr.execute(
            "SELECT s.configuration_id, s.value, s.was_active, d.oid = s.database_oid"
            " AND s.database_uuid IS NOT DISTINCT FROM"
            " (SELECT p.value FROM ir_config_parameter p WHERE p.key = 'database.uuid')"
            " FROM %s s JOIN pg_database d ON d.datname = current_database()"
            " ORDER BY 1 FOR UPDATE OF s" % SECRETS
        )
        return cr.fetchall()

    @api.model
    def _seal_taken_over(self):
        """Has the daemon seal what waits; what it cannot seal now waits for the next time."""
        if not columns(self.env.cr, SECRETS):
            return
        left = 0
        for account_id, value, was_active, same in self._waiting_secrets():
            account = self.with_context(active_test=False).browse(account_id).exists()
            if account and not account.token:
                if not same:
                    # A copy sends nothing by itself.
                    _logger.warning(
                        "account %s: its API token was thrown away, because this is a copy of the "
                        'database that was taken over; enter one with "Set credentials"',
                        account_id,
                    )
                else:
                    sealed = account._sealed_token(value)
                    if not sealed:
                        left += 1
                        continue
                    account.write({"token": sealed, "active": bool(was_active)})
                    account._alerts(self._waiting_summary()).action_feedback(
                        feedback=_("The API token is sealed.")
                    )
            self.env.cr.execute(
                "DELETE FROM %s WHERE configuration_id = %%s" % SECRETS, (account_id,)
            )
        if not left:
            self.env.cr.execute("DROP TABLE %s" % SECRETS)

    def _sealed_token(self, value):
        """The sealed form of a clear token; None while the daemon cannot be asked."""
        self.ensure_one()
        params = {"seal_uuid": self.seal_uuid, "column": "token", "value": value}
        try:
            return bridge_client.call(self.env, "configuration.seal", params)["data"]["sealed"]
        except bridge_client.BridgeError as error:
            _logger.warning(
                "account %s is archived: its API token waits to be sealed: error.kind=%s",
                self.id,
                error.kind,
            )
            return None
