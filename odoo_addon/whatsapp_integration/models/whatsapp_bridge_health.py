from odoo import _, api, fields, models
from odoo.exceptions import AccessError

from .. import bridge_client
from .whatsapp_configuration import GROUP_ADMIN

PHASES = [
    ("ready", "Ready"),
    ("held", "Held: a copy of a database"),
    ("journal_only", "The addon's tables do not fit"),
    ("unavailable", "No database"),
    ("detached", "Stopping"),
    ("silent", "No answer"),
]
MEBIBYTE = 1024.0 * 1024.0
FIGURES = (
    "version",
    "uptime_hours",
    "workers",
    "threads",
    "memory_mb",
    "cpu_s",
    "cpu_percent",
    "connections",
    "journal_pending",
    "journal_oldest_s",
    "outbox",
    "outbox_oldest_s",
    "quarantined",
)


class WhatsappBridgeHealth(models.TransientModel):
    _name = "whatsapp.bridge.health"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "How the WhatsApp bridge is"

    name = fields.Char(readonly=True, default=lambda self: _("Bridge Health"))
    phase = fields.Selection(PHASES, "State", readonly=True)
    problem = fields.Text(readonly=True)
    read_at = fields.Datetime("As of", readonly=True)
    version = fields.Char(readonly=True)
    uptime_hours = fields.Float("Runs for (hours)", readonly=True, digits=(16, 1))
    workers = fields.Integer(readonly=True, help="Tasks that work for this database.")
    threads = fields.Integer(readonly=True)
    memory_mb = fields.Float("Memory (MiB)", readonly=True, digits=(16, 1))
    cpu_s = fields.Float("Processor Time (s)", readonly=True, digits=(16, 1))
    cpu_percent = fields.Float(
        "Processor (% of one core)",
        readonly=True,
        digits=(16, 1),
        help="Since the last look at it; at first since the bridge was started.",
    )
    connections = fields.Char(
        "Database Connections", readonly=True, help="In use, open, and how many there may be."
    )
    journal_pending = fields.Integer("Webhooks Waiting", readonly=True)
    journal_oldest_s = fields.Float("Oldest Webhook (s)", readonly=True, digits=(16, 1))
    outbox = fields.Integer("Sends Waiting", readonly=True)
    outbox_oldest_s = fields.Float("Oldest Due Send (s)", readonly=True, digits=(16, 1))
    quarantined = fields.Integer(readonly=True)
    account_ids = fields.Many2many(
        "whatsapp.configuration", string="Accounts", compute="_compute_account_ids"
    )

    @api.model
    def _check_administrator(self):
        if not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may do this."))

    @api.model
    def action_open(self):
        self._check_administrator()
        page = self.create({})
        page._look()
        return {
            "type": "ir.actions.act_window",
            "name": _("Bridge Health"),
            "res_model": self._name,
            "res_id": page.id,
            "views": [(False, "form")],
            "target": "current",
            "context": {"form_view_initial_mode": "readonly"},
        }

    def action_refresh(self):
        self._check_administrator()
        self._check_seen()
        self._look()
        return True

    @api.depends("read_at")
    def _compute_account_ids(self):
        for page in self:
            page.account_ids = page.env["whatsapp.configuration"].search([])

    def _look(self):
        """Asks the daemon and keeps what it says, or why it says nothing."""
        self.ensure_one()
        values = dict.fromkeys(FIGURES, False)
        values["read_at"] = fields.Datetime.now()
        try:
            page = bridge_client.readiness(self.env)
        except bridge_client.BridgeError as error:
            values.update(phase="silent", problem=str(error))
        else:
            values.update(self._values(page))
        self.write(values)

    def _values(self, page):
        """What the answer of `GET /health/ready` means for this form."""
        databases = page.get("databases") or {}
        own = next(iter(databases.values()), {})
        lag = own.get("lag") or {}
        process = page.get("process") or {}
        connections = own.get("connections") or {}
        values = {
            "phase": own.get("phase") if own.get("phase") in dict(PHASES) else "unavailable",
            "problem": False,
            "version": process.get("version"),
            "uptime_hours": (process.get("uptime_s") or 0) / 3600.0,
            "workers": own.get("workers"),
            "threads": process.get("threads"),
            "memory_mb": (process.get("memory_bytes") or 0) / MEBIBYTE,
            "cpu_s": process.get("cpu_s"),
            "cpu_percent": self._cpu_percent(process),
        }
        if connections:
            values["connections"] = (
                _("%(in_use)s in use, %(open)s open, at most %(most)s") % connections
            )
        for name in (
            "journal_pending",
            "journal_oldest_s",
            "outbox",
            "outbox_oldest_s",
            "quarantined",
        ):
            values[name] = lag.get(name) or False
        values["problem"] = self._problem(own, process) or False
        return values

    @api.model
    def _problem(self, own, process):
        """What an administrator has to know beside the figures; empty where all is well."""
        version = process.get("version")
        if version and not bridge_client.works_with(version):
            return _(
                "This addon works with the bridge %(accepted)s, and the one that answers is "
                "%(version)s: upgrade the older of the two."
            ) % {"accepted": ", ".join(bridge_client.BRIDGE_VERSIONS), "version": version}
        differences = own.get("differences") or []
        if differences:
            # The daemon's own words: what is missing, and what to upgrade.
            return "\n".join(str(line) for line in differences)
        if own and not own.get("lag"):
            return _("The bridge could not read in time how much waits in its database.")
        return ""

    def _cpu_percent(self, process):
        """Of one core: since the last look, or since the start if that is later."""
        used, up = process.get("cpu_s"), process.get("uptime_s")
        if used is None or not up:
            return False
        if self.read_at and self.cpu_s and used >= self.cpu_s:
            passed = (fields.Datetime.now() - self.read_at).total_seconds()
            if 0 < passed < up:
                return 100.0 * (used - self.cpu_s) / passed
        return 100.0 * used / up
