import json
from datetime import timedelta

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..series import check_access
from .whatsapp_configuration import GROUP_USER
from .whatsapp_sync_service import KINDS

STATES = [
    ("queued", "Waiting"),
    ("running", "Running"),
    ("done", "Done"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
]
KIND_SELECTION = [("contacts", "Contacts"), ("groups", "Groups"), ("messages", "Messages")]
SHOWN_ITEMS = 40
# How long runs and their details can be looked at.
KEPT_DAYS = 90
FORGOTTEN_AT_ONCE = 5000
# What an account must be able to do for a kind, as `configuration.capabilities` names it.
NEEDED = {"contacts": "contact_sync", "groups": "group_sync", "messages": "message_sync"}
RUN_MODES = [
    ("incremental", "What is new"),
    ("full", "Everything again"),
    ("since", "Since a date"),
]


class WhatsappSyncRun(models.Model):
    _name = "whatsapp.sync.run"
    _inherit = "whatsapp.label.mixin"
    _description = "WhatsApp synchronisation"
    _order = "id desc"

    service_id = fields.Many2one(
        "whatsapp.sync.service", "Schedule", ondelete="set null", index=True, readonly=True
    )
    configuration_id = fields.Many2one(
        "whatsapp.configuration",
        "Account",
        required=True,
        ondelete="restrict",
        index=True,
        readonly=True,
    )
    kinds = fields.Char(readonly=True, help="contacts, groups, messages; separated by commas.")
    kinds_label = fields.Char("What", compute="_compute_labels")
    mode = fields.Selection(RUN_MODES, readonly=True)
    since = fields.Datetime(readonly=True)
    state = fields.Selection(STATES, readonly=True)
    progress = fields.Float(readonly=True, help="0 to 100.")
    phase = fields.Char("Working on", readonly=True)
    phase_label = fields.Char("Now", compute="_compute_labels")
    read_count = fields.Integer("Read", readonly=True)
    created_count = fields.Integer("New", readonly=True)
    changed_count = fields.Integer("Changed", readonly=True)
    unchanged_count = fields.Integer("Unchanged", readonly=True)
    error_count = fields.Integer("Errors", readonly=True)
    late_count = fields.Integer(
        "Received Late",
        readonly=True,
        help="Messages that the provider had and no webhook brought.",
    )
    counts = fields.Text(readonly=True, help="JSON: the counts of each kind.")
    error_message = fields.Text("Problem", readonly=True)
    started_at = fields.Datetime("Started", readonly=True)
    ended_at = fields.Datetime("Ended", readonly=True)
    user_id = fields.Many2one("res.users", "Asked for by", ondelete="set null", readonly=True)
    item_ids = fields.One2many("whatsapp.sync.run.item", "run_id", "Details", readonly=True)
    # A run may have 10,000 of them, and the form is read again with each step.
    shown_item_ids = fields.Many2many(
        "whatsapp.sync.run.item", string="First Details", compute="_compute_items"
    )
    item_count = fields.Integer("Details Count", compute="_compute_items")
    summary = fields.Text("By Kind", compute="_compute_summary")

    def _label(self):
        self.ensure_one()
        return _("%(account)s: %(kinds)s") % {
            "account": self.sudo().configuration_id.name,
            "kinds": self.kinds_label or self.id,
        }

    @api.depends("kinds", "phase")
    @api.depends_context("lang")
    def _compute_labels(self):
        labels = dict(
            self.env["whatsapp.sync.run.item"]._fields["kind"]._description_selection(self.env)
        )
        for run in self:
            kinds = [labels.get(kind, kind) for kind in run._kinds()]
            run.kinds_label = ", ".join(kinds)
            run.phase_label = labels.get(run.phase, run.phase)

    def _compute_items(self):
        items = self.env["whatsapp.sync.run.item"]
        for run in self:
            own = [("run_id", "=", run.id)]
            shown = items.search(own + [("decision", "=", "error")], limit=SHOWN_ITEMS)
            if len(shown) < SHOWN_ITEMS:
                others = own + [("decision", "!=", "error")]
                shown |= items.search(others, limit=SHOWN_ITEMS - len(shown))
            run.shown_item_ids = shown
            run.item_count = items.search_count(own)

    @api.depends("counts", "kinds")
    @api.depends_context("lang")
    def _compute_summary(self):
        """One line a kind: what became of what was read."""
        labels = dict(
            self.env["whatsapp.sync.run.item"]._fields["kind"]._description_selection(self.env)
        )
        words = _(
            "%(kind)s: %(read)s read, %(created)s new, %(changed)s changed, "
            "%(unchanged)s unchanged, %(errors)s errors"
        )
        names = ("read", "created", "changed", "unchanged", "errors")
        for run in self:
            run.summary = (
                "\n".join(
                    words % dict({name: part.get(name) or 0 for name in names}, kind=labels[kind])
                    for kind, part in run._counts().items()
                )
                or False
            )

    def _kinds(self):
        return [kind for kind in (self.kinds or "").split(",") if kind]

    def _counts(self):
        """The counts of each kind, as the daemon wrote them."""
        try:
            counts = json.loads(self.counts or "{}")
        except ValueError:
            counts = {}
        if not isinstance(counts, dict):
            counts = {}
        return {kind: counts[kind] for kind in KINDS if isinstance(counts.get(kind), dict)}

    @api.model
    def _action_list(self):
        return self.env["ir.actions.act_window"]._for_xml_id(
            "whatsapp_integration.whatsapp_sync_run_action"
        )

    @api.model
    def _start(self, configuration, kinds, mode, since=None):
        """Has the daemon start a run: the sole effect of the request. Its id."""
        try:
            return self._ask_start(self._start_params(configuration.id, kinds, mode, since))[0][
                "job_id"
            ]
        except bridge_client.BridgeError as error:
            raise UserError(error.text) from None

    @api.model
    def _able(self, configuration):
        """The kinds that the provider of an account lists; all while nobody can tell."""
        return [kind for kind in KINDS if configuration._can(NEEDED[kind])]

    @api.model
    def _start_params(self, configuration_id, kinds, mode, since=None):
        params = {"kinds": list(kinds), "mode": mode}
        if configuration_id:
            params["configuration_id"] = configuration_id
        if since:
            params["since"] = fields.Datetime.to_string(since).replace(" ", "T") + "Z"
        return params

    @api.model
    def _ask_start(self, params):
        """(data, meta) of `sync.start`; raises BridgeError.

        Where such a run goes on already it is that one's, so that asking twice, as when Odoo runs
        a request again, starts nothing twice.
        """
        try:
            result = bridge_client.call(self.env, "sync.start", params)
        except bridge_client.BridgeError as error:
            job_id = self._job_in_way(error)
            if not job_id:
                raise
            result = {"data": {"job_id": job_id}, "meta": {"request_id": error.request_id}}
        return result["data"], dict(result.get("meta") or {})

    @api.model
    def _job_in_way(self, error):
        """The run that a refused `sync.start` names, if it was refused for that."""
        details = error.details.get("details")
        return details.get("job_id") if isinstance(details, dict) else None

    @api.model
    def _action_open(self, run_id, target="current"):
        # The row is the daemon's, and newer than this transaction: it is opened, not read.
        return {
            "type": "ir.actions.act_window",
            "name": _("Synchronisation"),
            "res_model": "whatsapp.sync.run",
            "res_id": run_id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": target,
        }

    @api.autovacuum
    def _gc_runs(self):
        """Hourly runs add up; the daemon has nothing to do with one that has ended."""
        before = fields.Datetime.now() - timedelta(days=KEPT_DAYS)
        ended = [("state", "in", ("done", "failed", "cancelled")), ("ended_at", "<", before)]
        self.sudo().search(ended, order="id", limit=FORGOTTEN_AT_ONCE).unlink()

    def _check_user(self):
        self.ensure_one()
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        check_access(self, "read")

    def action_cancel(self):
        self._check_user()
        bridge_client.ask(self.env, "sync.cancel", {"job_id": self.id})
        return True

    def action_again(self):
        """The same once more, as a new run."""
        self._check_user()
        if self.state in ("queued", "running"):
            raise UserError(_("It still runs: wait for its end, or cancel it first."))
        run = self._start(self.configuration_id, self._kinds(), self.mode, self.since)
        return self._action_open(run)

    def action_items(self):
        self.ensure_one()
        self._check_seen()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "whatsapp_integration.whatsapp_sync_run_item_action"
        )
        action["domain"] = [("run_id", "=", self.id)]
        return action


class WhatsappSyncRunItem(models.Model):
    _name = "whatsapp.sync.run.item"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "What a WhatsApp synchronisation decided"
    _order = "run_id desc, id"

    run_id = fields.Many2one(
        "whatsapp.sync.run", "Run", required=True, ondelete="cascade", index=True, readonly=True
    )
    kind = fields.Selection(KIND_SELECTION, readonly=True)
    decision = fields.Selection(
        [
            ("provider", "The provider's taken"),
            ("odoo", "Odoo's kept"),
            ("error", "Error"),
            ("late", "Received late"),
        ],
        readonly=True,
    )
    name = fields.Char("Whom", readonly=True)
    field = fields.Char(readonly=True)
    provider_value = fields.Char("At the Provider", readonly=True)
    odoo_value = fields.Char("In Odoo", readonly=True)
    reason = fields.Char(readonly=True)
    res_id = fields.Integer("Record", readonly=True)

    def action_open_record(self):
        self.ensure_one()
        models_of = {
            "contacts": "whatsapp.contact",
            "groups": "whatsapp.group",
            "messages": "whatsapp.message",
        }
        if not self.res_id or self.kind not in models_of:
            raise UserError(_("There is no record of this."))
        return {
            "type": "ir.actions.act_window",
            "res_model": models_of[self.kind],
            "res_id": self.res_id,
            "view_mode": "form",
            "views": [(False, "form")],
        }
