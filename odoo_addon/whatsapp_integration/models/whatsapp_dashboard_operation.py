from datetime import datetime, time, timedelta

from odoo import _, api, fields, models
from odoo.exceptions import AccessError

from .. import dashboard_sql
from ..audit_words import OPERATIONS, operation_label
from ..series import SERIES, flush, invalidate
from .whatsapp_configuration import GROUP_ADMIN, PROVIDERS
from .whatsapp_dashboard_count import CHUNK_DAYS

AGGREGATOR = "group_operator" if SERIES < 18 else "aggregator"
# A day is counted so long after its end: until then its last rows are committed.
LATE = timedelta(hours=1)


class WhatsappOperationCount(models.Model):
    _name = "whatsapp.operation.count"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Counted operations of one day"
    _log_access = False
    _order = "day desc, id"
    _rec_name = "day"

    # Written by SQL alone, see `dashboard_sql.operations`. Rows of the audit log never change what is
    # counted of them, so a day is counted once; it stays when the log's own rows have gone.
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", ondelete="cascade", readonly=True
    )
    day = fields.Date(required=True, index=True, readonly=True)
    user_id = fields.Many2one("res.users", "User", ondelete="set null", readonly=True)
    provider = fields.Char(readonly=True)
    operation = fields.Char(readonly=True)
    success = fields.Boolean(readonly=True)
    operation_count = fields.Integer("Operations", readonly=True)
    failed_count = fields.Integer("Failed", readonly=True)
    response_total = fields.Float(readonly=True)
    slowest_ms = fields.Float(readonly=True)

    def _auto_init(self):
        result = super()._auto_init()
        # Days of the log: for counting, for today's figures, and for lists of a time.
        self.env.cr.execute(
            "CREATE INDEX IF NOT EXISTS whatsapp_audit_log_time_idx"
            " ON whatsapp_audit_log (timestamp)"
        )
        return result

    @api.model
    def _count(self):
        """Counts the days that are over, oldest first; yields after each chunk, which may be
        committed."""
        flush(self)
        cr = self.env.cr
        until = (fields.Datetime.now() - LATE).date()
        while True:
            # One at a time. First in a transaction: what is read then, the other one has written.
            cr.execute("LOCK TABLE whatsapp_operation_count IN SHARE ROW EXCLUSIVE MODE")
            cr.execute(
                "SELECT min(a.timestamp)::date FROM whatsapp_audit_log a"
                " WHERE a.timestamp >= " + dashboard_sql.OPERATIONS_LIVE
            )
            since = cr.fetchone()[0]
            if not since or since >= until:
                return
            end = min(since + timedelta(days=CHUNK_DAYS), until)
            cr.execute(
                dashboard_sql.COUNT_OPERATIONS,
                {
                    "since": datetime.combine(since, time.min),
                    "until": datetime.combine(end, time.min),
                },
            )
            invalidate(self)
            yield since


class WhatsappDashboardOperation(models.Model):
    _name = "whatsapp.dashboard.operation"
    _inherit = "whatsapp.dashboard.mixin"
    _description = "Who did what"
    _auto = False
    _order = "day desc, id desc"
    _rec_name = "day"
    _shares = dashboard_sql.OPERATION_SHARES

    configuration_id = fields.Many2one("whatsapp.configuration", "Account", readonly=True)
    day = fields.Date("Day", readonly=True, help="Days are days in UTC.")
    user_id = fields.Many2one(
        "res.users", "User", readonly=True, help="Empty: the system, or a program."
    )
    active_user_id = fields.Many2one(
        "res.users", "Active Users", readonly=True, **{AGGREGATOR: "count_distinct"}
    )
    provider = fields.Selection(PROVIDERS, readonly=True)
    operation = fields.Selection("_operations", readonly=True)
    success = fields.Boolean(readonly=True)
    operation_count = fields.Integer("Operations", readonly=True)
    failed_count = fields.Integer("Failed", readonly=True)
    failure_rate = fields.Float("Failed (%)", readonly=True, digits=(16, 1), **{AGGREGATOR: "avg"})
    average_ms = fields.Float(
        "Response Time (ms)", readonly=True, digits=(16, 0), **{AGGREGATOR: "avg"}
    )
    slowest_ms = fields.Float("Slowest (ms)", readonly=True, digits=(16, 0), **{AGGREGATOR: "max"})
    response_total = fields.Float("Response Time, Sum (ms)", readonly=True, digits=(16, 0))

    def _auto_init(self):
        # The last of the models with a view, so all tables are there.
        super()._auto_init()
        dashboard_sql.create_views(self.env.cr)

    @api.model
    def _operations(self):
        return [(word, operation_label(self.env, word)) for word in OPERATIONS]

    @api.model
    def _source_leaf(self, name, operator, value):
        if name.split(".")[0] == "active_user_id":
            name = name.replace("active_user_id", "user_id", 1)
        return super()._source_leaf(name, operator, value)

    @api.model
    def action_messages(self, domain=None):
        """Opens the audit rows that figures were counted from; for clicks on bars and cells."""
        if not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may see the audit log."))
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "whatsapp_integration.whatsapp_audit_log_action"
        )
        action["domain"] = self._source_domain(domain)
        action["context"] = {}
        return action
