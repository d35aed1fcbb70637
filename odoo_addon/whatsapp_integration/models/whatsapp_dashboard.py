from datetime import timedelta

from odoo import _, api, fields, models
from odoo.exceptions import AccessError

from .. import dashboard_sql
from ..series import SERIES
from .whatsapp_account_state import STATES
from .whatsapp_configuration import GROUP_USER
from .whatsapp_message import MESSAGE_TYPES, STATUSES

# How a measure of a group of rows is made; the name of the attribute differs by series.
AGGREGATOR = "group_operator" if SERIES < 18 else "aggregator"


class WhatsappDashboardMixin(models.AbstractModel):
    _name = "whatsapp.dashboard.mixin"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Reads a view that counts"

    # The planner takes the live part of the views for large, as it does not know how few messages a
    # day has, and compiles the query for a second that then takes some milliseconds.

    def _plain_plans(self):
        self.env.cr.execute("SET LOCAL jit = off")

    if SERIES < 17:

        def _apply_ir_rules(self, query, mode="read"):
            self._plain_plans()
            return super()._apply_ir_rules(query, mode)

    else:

        def _search(self, *args, **kwargs):
            self._plain_plans()
            return super()._search(*args, **kwargs)

        def _fetch_query(self, *args, **kwargs):
            self._plain_plans()
            return super()._fetch_query(*args, **kwargs)

    # (factor, sum of what, sum of what) of each figure whose value for a group is a share of sums,
    # not a mean of shares.
    _shares = {}

    if SERIES < 17:

        @api.model
        def read_group(
            self, domain, fields, groupby, offset=0, limit=None, orderby=False, lazy=True
        ):
            asked = [name for name in fields if name.split(":")[0] in self._shares]
            parts = {part for name in asked for part in self._shares[name.split(":")[0]][1:]}
            given = {name.split(":")[0] for name in fields}
            groups = super().read_group(
                domain,
                list(fields) + sorted(parts - given),
                groupby,
                offset=offset,
                limit=limit,
                orderby=orderby,
                lazy=lazy,
            )
            for group in groups:
                for name in asked:
                    name = name.split(":")[0]
                    factor, part, whole = self._shares[name]
                    counted = group.get(whole)
                    group[name] = factor * group[part] / counted if counted else False
                for part in parts - given:
                    group.pop(part, None)
            return groups

    else:

        def _read_group_select(self, aggregate_spec, query):
            from odoo.tools import SQL

            name = aggregate_spec.split(":")[0]
            if name not in self._shares:
                return super()._read_group_select(aggregate_spec, query)
            factor, part, whole = self._shares[name]
            return SQL(
                "%s::float8 * SUM(%s) / nullif(SUM(%s), 0)",
                factor,
                self._field_to_sql(self._table, part, query),
                self._field_to_sql(self._table, whole, query),
            )

    @api.model
    def _source_domain(self, domain):
        """The same condition on the rows that were counted: days become times."""
        found = []
        for leaf in domain or []:
            if isinstance(leaf, (list, tuple)) and len(leaf) == 3:
                found += self._source_leaf(*leaf)
            else:
                found.append(leaf)
        return found

    @api.model
    def _source_leaf(self, name, operator, value):
        if name == "id":
            raise AccessError(_("These figures are opened by what they count, not by their row."))
        if name.split(":")[0] != "day":
            return [(name, operator, value)]
        if operator in ("=", "!=") and not value:
            return [("timestamp", operator, False)]
        day = fields.Date.to_date(value)
        start = fields.Datetime.to_string(fields.Datetime.to_datetime(day))
        end = fields.Datetime.to_string(fields.Datetime.to_datetime(day + timedelta(days=1)))
        leaves = {
            ">=": [("timestamp", ">=", start)],
            "<": [("timestamp", "<", start)],
            ">": [("timestamp", ">=", end)],
            "<=": [("timestamp", "<", end)],
            "=": ["&", ("timestamp", ">=", start), ("timestamp", "<", end)],
            "!=": ["|", ("timestamp", "<", start), ("timestamp", ">=", end)],
        }
        return leaves[operator]


class WhatsappMessage(models.Model):
    _inherit = "whatsapp.message"

    # For lists of a campaign's messages; no column.
    campaign_recipient_ids = fields.One2many(
        "whatsapp.bulk.campaign.recipient", "message_id", "Campaigns", readonly=True
    )


class WhatsappDashboardMessage(models.Model):
    _name = "whatsapp.dashboard.message"
    _inherit = "whatsapp.dashboard.mixin"
    _description = "Figures of WhatsApp messages"
    _auto = False
    _order = "day desc, id desc"
    _rec_name = "day"
    _shares = dashboard_sql.RATES

    configuration_id = fields.Many2one("whatsapp.configuration", "Account", readonly=True)
    day = fields.Date("Day", readonly=True, help="Days are days in UTC.")
    direction = fields.Selection(
        [("inbound", "Received"), ("outbound", "Sent by us")], readonly=True
    )
    message_type = fields.Selection(MESSAGE_TYPES, "Type", readonly=True)
    status = fields.Selection(STATUSES, readonly=True)
    origin = fields.Selection(
        [
            ("rpc", "Bridge call"),
            ("odoo", "Odoo transaction"),
            ("phone", "Typed on the phone"),
            ("provider", "Provider"),
        ],
        readonly=True,
    )
    category = fields.Selection([("utility", "Utility"), ("marketing", "Marketing")], readonly=True)
    user_id = fields.Many2one("res.users", "User", readonly=True)
    res_model = fields.Char("Document Model", readonly=True)
    campaign_id = fields.Many2one("whatsapp.bulk.campaign", "Campaign", readonly=True)
    message_count = fields.Integer("Messages", readonly=True)
    sent_count = fields.Integer(
        "Sent", readonly=True, help="Messages of ours that the provider accepted."
    )
    delivered_count = fields.Integer("Delivered", readonly=True)
    read_count = fields.Integer("Read", readonly=True, help="Read or played by the recipient.")
    failed_count = fields.Integer("Failed", readonly=True)
    asked_count = fields.Integer(
        "Sent to Persons", readonly=True, help="Those sent that were not sent to groups."
    )
    answered_count = fields.Integer(
        "Answered",
        readonly=True,
        help="Messages to persons after which something came back within seven days.",
    )
    delivery_rate = fields.Float(
        "Delivery Rate (%)", readonly=True, digits=(16, 1), **{AGGREGATOR: "avg"}
    )
    read_rate = fields.Float("Read Rate (%)", readonly=True, digits=(16, 1), **{AGGREGATOR: "avg"})
    answer_rate = fields.Float(
        "Answer Rate (%)", readonly=True, digits=(16, 1), **{AGGREGATOR: "avg"}
    )

    @api.model
    def _source_leaf(self, name, operator, value):
        if name == "campaign_id" or name.startswith("campaign_id."):
            if name == "campaign_id" and not value:
                return [("campaign_recipient_ids", operator, False)]
            return [("campaign_recipient_ids." + name, operator, value)]
        return super()._source_leaf(name, operator, value)

    @api.model
    def action_messages(self, domain=None):
        """Opens the messages that figures were counted from; for clicks on bars and cells."""
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("Only WhatsApp users may see messages."))
        action = self.env["whatsapp.message"]._action_list()
        action["domain"] = self._source_domain(domain)
        action["context"] = {}
        return action


class WhatsappDashboardAnswer(models.Model):
    _name = "whatsapp.dashboard.answer"
    _inherit = "whatsapp.dashboard.mixin"
    _description = "How long customers waited for an answer"
    _auto = False
    _order = "day desc, configuration_id"
    _rec_name = "day"

    configuration_id = fields.Many2one("whatsapp.configuration", "Account", readonly=True)
    day = fields.Date("Day", readonly=True, help="When the customer wrote, in UTC.")
    answers_given = fields.Integer("Answers", readonly=True)
    median_minutes = fields.Float(
        "Median Time to Answer (min)",
        readonly=True,
        digits=(16, 1),
        help="From what a customer wrote first to our next message in that chat, within seven "
        "days. Of several days or accounts: the mean of their medians.",
        **{AGGREGATOR: "avg"},
    )
    average_minutes = fields.Float(
        "Average Time to Answer (min)", readonly=True, digits=(16, 1), **{AGGREGATOR: "avg"}
    )
    longest_minutes = fields.Float(
        "Longest Time to Answer (min)", readonly=True, digits=(16, 1), **{AGGREGATOR: "max"}
    )


class WhatsappDashboardAccount(models.Model):
    _name = "whatsapp.dashboard.account"
    _inherit = "whatsapp.dashboard.mixin"
    _description = "Figures of a WhatsApp account"
    _auto = False
    _order = "configuration_id, period"
    _rec_name = "configuration_id"

    configuration_id = fields.Many2one("whatsapp.configuration", "Account", readonly=True)
    period = fields.Selection(
        [("1", "Today"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days")], readonly=True
    )
    first_day = fields.Date(readonly=True)
    state = fields.Selection(STATES, readonly=True)
    state_reason = fields.Char("Reason", readonly=True)
    state_since = fields.Datetime("Since", readonly=True)
    waiting_hint = fields.Char("What Waits", compute="_compute_waiting_hint")
    received_count = fields.Integer("Received", readonly=True)
    sent_count = fields.Integer("Sent", readonly=True)
    delivered_count = fields.Integer("Delivered", readonly=True)
    read_count = fields.Integer("Read", readonly=True)
    failed_count = fields.Integer("Failed", readonly=True)
    asked_count = fields.Integer("Sent to Persons", readonly=True)
    answered_count = fields.Integer("Answered", readonly=True)
    delivery_rate = fields.Float("Delivery Rate (%)", readonly=True, digits=(16, 1))
    read_rate = fields.Float("Read Rate (%)", readonly=True, digits=(16, 1))
    answer_rate = fields.Float("Answer Rate (%)", readonly=True, digits=(16, 1))
    answer_minutes = fields.Float("Median Time to Answer (min)", readonly=True, digits=(16, 1))
    answers_given = fields.Integer("Answers Given", readonly=True)
    active_users = fields.Integer("Active Users", readonly=True)
    queued_count = fields.Integer("Waiting", readonly=True)
    oldest_queued_at = fields.Datetime("Oldest Waiting", readonly=True)
    sync_done = fields.Integer("Synchronisations Done", readonly=True)
    sync_failed = fields.Integer("Synchronisations Failed", readonly=True)
    sync_rate = fields.Float("Synchronisation Success (%)", readonly=True, digits=(16, 1))
    sent_today = fields.Integer("Sent Today", readonly=True)
    daily_limit = fields.Integer("Messages per Day", readonly=True)
    quota_rate = fields.Float("Quota Used (%)", readonly=True, digits=(16, 1))
    counted_at = fields.Datetime(
        "Counted", readonly=True, help="Today is always read live; earlier days as of this time."
    )

    @api.depends("configuration_id")
    def _compute_waiting_hint(self):
        for tile in self:
            tile.waiting_hint = tile.configuration_id.waiting_hint

    def _action_messages(self, name, domain):
        action = self.env["whatsapp.dashboard.message"].action_messages(self._own() + domain)
        action["name"] = name
        action["display_name"] = name
        return action

    def action_received(self):
        return self._action_messages(_("Received"), [("direction", "=", "inbound")])

    def action_sent(self):
        return self._action_messages(_("Sent"), [("direction", "=", "outbound")] + self._sent())

    def action_failed(self):
        return self._action_messages(
            _("Failed"), [("direction", "=", "outbound"), ("status", "=", "failed")]
        )

    def action_delivered(self):
        return self._action_messages(
            _("Delivered"), [("direction", "=", "outbound")] + self._sent(1)
        )

    def action_read(self):
        return self._action_messages(_("Read"), [("direction", "=", "outbound")] + self._sent(2))

    @api.model
    def _sent(self, from_step=0):
        """Of our messages those that got so far; later steps stand for earlier ones."""
        steps = ["sent_at", "delivered_at", "read_at", "played_at"][from_step:]
        return ["|"] * (len(steps) - 1) + [(step, "!=", False) for step in steps]

    def action_answered(self):
        """The graph of answers: messages do not know whether something came back."""
        return self._action_figures("answered_count")

    def action_users(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "whatsapp_integration.whatsapp_dashboard_user_action"
        )
        action["domain"] = self._own() + [("user_id", "!=", False)]
        action["context"] = {}
        return action

    def action_waiting(self):
        self.ensure_one()
        domain = [("configuration_id", "=", self.configuration_id.id), ("status", "=", "queued")]
        action = self.env["whatsapp.dashboard.message"].action_messages(domain)
        action["name"] = action["display_name"] = _("Waiting")
        return action

    def _own(self):
        """The figures of this account and period."""
        self.ensure_one()
        return [
            ("configuration_id", "=", self.configuration_id.id),
            ("day", ">=", fields.Date.to_string(self.first_day)),
        ]

    def _action_figures(self, measure="message_count"):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "whatsapp_integration.whatsapp_dashboard_message_action"
        )
        action["domain"] = self._own()
        action["context"] = {"graph_measure": measure}
        return action

    def action_figures(self):
        """The graph of this account."""
        return self._action_figures()

    def action_synchronisations(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "whatsapp_integration.whatsapp_sync_run_action"
        )
        action["domain"] = [("configuration_id", "=", self.configuration_id.id)]
        action["context"] = {}
        return action
