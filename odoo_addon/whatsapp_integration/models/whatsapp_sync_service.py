from datetime import timedelta

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from ..series import check_access
from .whatsapp_configuration import GROUP_USER

KINDS = ("contacts", "groups", "messages")
SYNC_TYPES = [
    ("contacts", "Contacts"),
    ("groups", "Groups"),
    ("messages", "Messages"),
    ("all", "Everything"),
]
MODES = [("incremental", "What is new"), ("full", "Everything again")]
# Written by the daemon and by requests alone.
OWN_COLUMNS = {"last_sync", "sync_count", "error_log", "requested_at", "requested_by"}
SHOWN_RUNS = 10
LEAST_INTERVAL = 5
# What a new account gets: its name, mode, and every how many minutes.
DEFAULTS = [("Hourly", "incremental", 60), ("Daily", "full", 24 * 60)]


class WhatsappSyncService(models.Model):
    _name = "whatsapp.sync.service"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "WhatsApp synchronisation schedule"
    _order = "configuration_id, interval, id"

    name = fields.Char(required=True)
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(related="configuration_id.company_id")
    sync_type = fields.Selection(SYNC_TYPES, "What", required=True, default="all")
    mode = fields.Selection(
        MODES,
        required=True,
        default="incremental",
        help="What is new: from where the last one ended. Everything again: the whole lists of "
        "the provider are compared; only what differs is written.",
    )
    is_active = fields.Boolean(
        "Scheduled", default=True, help="Off: it runs only when somebody asks for it."
    )
    interval = fields.Integer("Every (minutes)", default=60)
    # The daemon keeps these, at most once a minute.
    last_sync = fields.Datetime("Last Run", readonly=True, copy=False)
    sync_count = fields.Integer("Runs", readonly=True, copy=False)
    error_log = fields.Text("Last Problem", readonly=True, copy=False)
    # A request waits here until the daemon takes it: empty again when the run has begun.
    requested_at = fields.Datetime("Asked for at", readonly=True, copy=False)
    requested_by = fields.Many2one(
        "res.users", "Asked for by", readonly=True, copy=False, ondelete="set null"
    )
    next_sync = fields.Datetime("Next Run", compute="_compute_next_sync")
    last_run_ids = fields.Many2many(
        "whatsapp.sync.run", string="Last Runs", compute="_compute_last_runs"
    )

    @api.depends("is_active", "interval", "last_sync", "requested_at", "configuration_id.active")
    def _compute_next_sync(self):
        """As the daemon reckons: a row that never ran waits its first interval."""
        for service in self:
            due = False
            if service.requested_at:
                due = service.requested_at
            elif service.is_active and service.configuration_id.active and service.interval > 0:
                since = service.last_sync or service.create_date or fields.Datetime.now()
                due = since.replace(microsecond=0) + timedelta(minutes=service.interval)
            service.next_sync = due

    def _compute_last_runs(self):
        runs = self.env["whatsapp.sync.run"]
        for service in self:
            service.last_run_ids = runs.search([("service_id", "=", service.id)], limit=SHOWN_RUNS)

    @api.constrains("interval", "is_active")
    def _check_interval(self):
        for service in self:
            if service.is_active and service.interval < LEAST_INTERVAL:
                raise ValidationError(
                    _("Providers limit how often they may be asked: give at least %s minutes.")
                    % LEAST_INTERVAL
                )

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            vals_list = [
                {name: value for name, value in vals.items() if name not in OWN_COLUMNS}
                for vals in vals_list
            ]
        records = super().create(vals_list)
        self.env["whatsapp.outbox.in"]._wake_daemon()
        return records

    def write(self, vals):
        if not self.env.su and OWN_COLUMNS & set(vals):
            raise AccessError(_("These fields are written by the bridge alone."))
        result = super().write(vals)
        self.env["whatsapp.outbox.in"]._wake_daemon()
        return result

    @api.model
    def _install_defaults(self, configurations=None):
        """Gives accounts without any schedule the two usual ones; at each install and upgrade."""
        services = self.sudo()
        if configurations is None:
            everything = services.env["whatsapp.configuration"].with_context(active_test=False)
            scheduled = services.search([]).mapped("configuration_id")
            configurations = everything.search([("id", "not in", scheduled.ids)])
        services.create(
            [
                {
                    "name": name,
                    "configuration_id": configuration.id,
                    "sync_type": "all",
                    "mode": mode,
                    "interval": interval,
                }
                for configuration in configurations
                for name, mode, interval in DEFAULTS
            ]
        )
        return True

    @api.model
    def _request(self, configuration, sync_type, mode, user):
        """Asks for a run inside the caller's transaction; returns the row that carries the wish.

        The daemon starts it after the commit. Rolled back, it was never asked for.
        """
        services = self.sudo()
        fitting = services.search(
            [
                ("configuration_id", "=", configuration.id),
                ("sync_type", "=", sync_type),
                ("mode", "=", mode),
            ],
            order="id",
            limit=1,
        )
        if not fitting:
            labels = dict(self._fields["sync_type"]._description_selection(self.env))
            fitting = services.create(
                {
                    "name": _("On request: %s") % labels[sync_type],
                    "configuration_id": configuration.id,
                    "sync_type": sync_type,
                    "mode": mode,
                    "is_active": False,
                    "interval": 0,
                }
            )
        fitting._stamp(user)
        return fitting

    def _stamp(self, user):
        """Who asks while a request still waits gets the same run."""
        for service in self.filtered(lambda s: not s.requested_at):
            service.sudo().write({"requested_at": fields.Datetime.now(), "requested_by": user.id})

    def action_run_now(self):
        """Asks the daemon, by the row itself, to run this schedule at once."""
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        check_access(self, "read")
        if any(not service.configuration_id.active for service in self):
            raise UserError(_("The account is archived: unarchive it first."))
        self._stamp(self.env.user)
        return True

    def action_runs(self):
        self.ensure_one()
        action = self.env["whatsapp.sync.run"]._action_list()
        action["name"] = self.name
        action["domain"] = [("service_id", "=", self.id)]
        return action
