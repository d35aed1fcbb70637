import uuid

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..series import all_groups, check_access
from ..stop_words import stop_words

PROVIDERS = [
    ("whapi", "WHAPI.cloud"),
    ("wassenger", "Wassenger"),
    ("meta", "Meta Cloud API"),
    ("custom", "Other (HTTP)"),
]
AUTH_MODES = [
    ("path", "Token in the address"),
    ("header", "Secret header"),
    ("hmac", "Signature"),
    ("path_header", "Token in the address and secret header"),
    ("path_hmac", "Token in the address and signature"),
    ("header_hmac", "Secret header and signature"),
]
SEALED = "wab1:"
SECRETS = ("token", "webhook_token", "webhook_secret", "app_secret", "verify_token")
# Where the former value of a secret stays while it is still accepted.
FORMER = {name: name + "_former" for name in ("webhook_token", "webhook_secret", "app_secret")}
SEALED_COLUMNS = SECRETS + tuple(FORMER.values())
GROUP_USER = "whatsapp_integration.group_whatsapp_user"
GROUP_ADMIN = "whatsapp_integration.group_whatsapp_admin"


class WhatsappConfiguration(models.Model):
    _name = "whatsapp.configuration"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "WhatsApp account"
    _order = "sequence, id"

    name = fields.Char(required=True)
    provider = fields.Selection(PROVIDERS, required=True, default="whapi")
    token = fields.Char("Sealed Token", groups=GROUP_ADMIN, copy=False)
    channel_id = fields.Char("Channel ID", help="The account's id at the provider.")
    supervisor_phone = fields.Char()
    active = fields.Boolean(default=True)
    sequence = fields.Integer(default=10)
    user_ids = fields.Many2many(
        "res.users",
        "res_users_whatsapp_configuration_rel",
        "whatsapp_configuration_id",
        "res_users_id",
        "Users",
    )
    group_ids = fields.Many2many(
        "res.groups",
        "res_groups_whatsapp_configuration_rel",
        "whatsapp_configuration_id",
        "res_groups_id",
        "User Groups",
        help="Members of these user groups may use the account. Without users and user groups "
        "only WhatsApp administrators may.",
    )
    company_id = fields.Many2one(
        "res.company",
        "Company",
        default=lambda self: self.env.company,
        help="Empty: all companies.",
    )
    webhook_token = fields.Char("Sealed Webhook Token", groups=GROUP_ADMIN, copy=False)
    webhook_secret = fields.Char("Sealed Webhook Secret", groups=GROUP_ADMIN, copy=False)
    app_secret = fields.Char("Sealed App Secret", groups=GROUP_ADMIN, copy=False)
    verify_token = fields.Char("Sealed Verify Token", groups=GROUP_ADMIN, copy=False)
    seal_uuid = fields.Char(
        "Seal ID",
        required=True,
        readonly=True,
        copy=False,
        default=lambda self: str(uuid.uuid4()),
        help="Binds the sealed values to this account.",
    )
    base_url = fields.Char("API Address", help="Empty: the provider's own.")
    webhook_header = fields.Char(
        help="Name of the header that carries the webhook secret. "
        "Empty: Authorization, as a bearer token."
    )
    auth_mode = fields.Selection(
        AUTH_MODES, "Webhook Authentication", help="Empty: what suits the provider."
    )
    custom_mapping = fields.Text(
        "Provider Mapping",
        groups=GROUP_ADMIN,
        help="JSON, for custom providers: addresses, names of fields and status words. "
        "Empty: the generic format.",
    )
    country_id = fields.Many2one(
        "res.country", "Default Country", help="For numbers written without a country code."
    )
    pace_per_second = fields.Float(
        "Messages per Second",
        default=1.0,
        help="No more than this leave the account; the others wait. 0: no limit of our own.",
    )
    daily_limit = fields.Integer(
        "Messages per Day",
        help="Days in UTC. What is more waits until the next day. 0: no limit of our own.",
    )
    conflict_policy = fields.Selection(
        [
            ("newest", "The newest change wins"),
            ("provider", "The provider wins"),
            ("odoo", "Odoo wins"),
        ],
        "Different Names",
        default="newest",
        help="When a contact is named differently here and at the provider.",
    )
    uncertain_policy = fields.Selection(
        [("hold", "Hold, a person decides"), ("resend", "Send again")],
        "Unknown Outcome",
        default="hold",
        help="When the provider's answer was lost and it cannot be found out whether it accepted "
        "the message. Send again: the customer may get it twice.",
    )
    undo_s = fields.Integer(
        "Undo Time (s)", help="Messages wait this long and can be cancelled meanwhile."
    )
    random_gap_min_s = fields.Float(
        "Random Gap from (s)", help="Least extra pause between two messages. 0: none."
    )
    random_gap_max_s = fields.Float(
        "Random Gap to (s)",
        help="The pause is drawn anew each time, up to this. For providers that act as a phone.",
    )
    recipient_gap_s = fields.Float(
        "Gap per Chat (s)",
        help="Least time between two messages to the same chat. 0: the provider's own rule "
        "(Meta: one in 6 s, up to 45 at once), else none.",
    )
    failure_burst = fields.Integer(
        "Failures until Pause",
        default=10,
        help="After so many failures in a row the account pauses, each time longer, and its "
        "messages wait: providers block numbers that go on after many refusals. 0: never.",
    )
    stop_words_enabled = fields.Boolean(
        "Heed Stop Words",
        default=True,
        help="Who writes one of these words gets no more marketing messages.",
    )
    stop_words = fields.Text(
        default=lambda self: stop_words(self.env.lang),
        help="One per line; the whole message must be the word, upper or lower case.",
    )
    window_policy = fields.Selection(
        [("refuse", "Refuse"), ("wait", "Wait until the customer writes")],
        "Outside the 24 Hours",
        default="refuse",
        help="Meta delivers free messages only within 24 hours after the customer wrote. Refuse: "
        "such a message fails at once, choose a template. Wait: it is kept and leaves by itself "
        "when the customer writes, however late that is.",
    )
    sync_service_ids = fields.One2many("whatsapp.sync.service", "configuration_id", "Schedules")
    state_ids = fields.One2many(
        "whatsapp.account.state", "configuration_id", "States", readonly=True
    )
    state = fields.Selection(
        selection=lambda self: self.env["whatsapp.account.state"]._fields["state"].selection,
        compute="_compute_state",
    )
    state_reason = fields.Char("Reason", compute="_compute_state")
    state_since = fields.Datetime("Since", compute="_compute_state")
    waiting_hint = fields.Char("What Waits", compute="_compute_state")
    has_token = fields.Boolean("API Token", compute="_compute_secrets", groups=GROUP_ADMIN)
    has_webhook_token = fields.Boolean(
        "Webhook Token", compute="_compute_secrets", groups=GROUP_ADMIN
    )
    has_webhook_secret = fields.Boolean(
        "Webhook Secret", compute="_compute_secrets", groups=GROUP_ADMIN
    )
    has_app_secret = fields.Boolean("App Secret", compute="_compute_secrets", groups=GROUP_ADMIN)
    has_verify_token = fields.Boolean(
        "Verify Token", compute="_compute_secrets", groups=GROUP_ADMIN
    )

    @api.depends("state_ids.state", "state_ids.reason", "state_ids.since")
    def _compute_state(self):
        for configuration in self:
            state = configuration.state_ids[:1]
            configuration.state = state.state or "new"
            configuration.state_reason = state.reason
            configuration.state_since = state.since
            configuration.waiting_hint = state.waiting_hint

    @api.depends(*SECRETS)
    def _compute_secrets(self):
        for configuration in self:
            for secret in SECRETS:
                configuration["has_%s" % secret] = bool(configuration[secret])

    @api.model
    def default_get(self, fields_list):
        # A context may bring defaults: they are no way around the check.
        values = super().default_get(fields_list)
        self._check_sealed(values)
        return values

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_sealed(vals)
            if vals.get("seal_uuid"):
                self._check_new_seal_uuid(vals["seal_uuid"])
        records = super().create(vals_list)
        self.env["whatsapp.sync.service"]._install_defaults(records)
        self.env["whatsapp.outbox.in"]._wake_daemon()
        return records

    def write(self, vals):
        self._check_sealed(vals)
        if "seal_uuid" in vals and any(r.seal_uuid != vals["seal_uuid"] for r in self):
            raise UserError(
                _("The seal id of an account cannot change: its credentials would be lost.")
            )
        result = super().write(vals)
        self.env["whatsapp.outbox.in"]._wake_daemon()
        return result

    def unlink(self):
        check_access(self, "unlink")  # before anything is told about the account
        for model in ("message", "chat", "contact", "group", "sync.run", "audit.log"):
            used = self.env["whatsapp.%s" % model].sudo()
            if used.search([("configuration_id", "in", self.ids)], limit=1):
                raise UserError(_("This account has been used. Archive it instead of deleting it."))
        result = super().unlink()
        self.env["whatsapp.outbox.in"]._wake_daemon()
        return result

    @api.model
    def _check_sealed(self, vals):
        """Secrets come in sealed or not at all: no clear text ever reaches the database."""
        for secret in SEALED_COLUMNS:
            value = vals.get(secret)
            if value and not (isinstance(value, str) and value.startswith(SEALED)):
                raise UserError(
                    _(
                        'Credentials are stored sealed. Use the wizard "Set credentials" on the '
                        "account: it has the daemon seal them first."
                    )
                )

    @api.model
    def _check_new_seal_uuid(self, value):
        try:
            uuid.UUID(value)
        except (AttributeError, TypeError, ValueError):
            raise UserError(_("The seal id of an account must be a UUID."))
        known = self.sudo().with_context(active_test=False)
        if known.search([("seal_uuid", "=", value)], limit=1):
            raise UserError(_("Another account has this seal id already."))

    @api.model
    def _usable_by(self, user, domain=None):
        """The active accounts that a user may use, best first (design: "may use an account").

        Uid 1 acts as the system and may use all of them.
        """
        domain = list(domain or [])
        if user.id != 1:
            domain += [
                "|",
                ("company_id", "=", False),
                ("company_id", "in", user.sudo().company_ids.ids),
            ]
            if not user.has_group(GROUP_ADMIN):
                domain += [
                    "|",
                    ("user_ids", "in", [user.id]),
                    ("group_ids", "in", all_groups(user.sudo()).ids),
                ]
        return self.sudo().search(domain)

    @api.model
    def _first_usable(self, user):
        """The account to take when none is named: the first usable one of the user's company."""
        usable = self._usable_by(user)
        return usable.filtered(lambda c: not c.company_id or c.company_id == user.company_id)[:1]

    def _check_administrator(self):
        self.ensure_one()
        if not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may do this."))
        check_access(self, "write")

    def action_set_credentials(self):
        self._check_administrator()
        return {
            "type": "ir.actions.act_window",
            "name": _("Set credentials"),
            "res_model": "whatsapp.set.credentials.wizard",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_configuration_id": self.id},
        }

    def action_test(self):
        """Asks the provider, through the daemon, how the account is."""
        self._check_administrator()
        params = {"configuration_id": self.id}
        data = bridge_client.ask(self.env, "configuration.test", params)["data"]
        states = dict(self._fields["state"]._description_selection(self.env))
        # Not named user: _() of 19 takes a local of that name for the user whose language it is.
        person = data.get("user") or {}
        words = [
            states.get(data["state"], data["state"]),
            data.get("reason"),
            person.get("name"),
            person.get("phone"),
        ]
        return self._notification(
            _("Test connection"),
            ", ".join(word for word in words if word),
            "success" if data["state"] == "connected" else "warning",
        )

    def action_register_webhook(self):
        """Tells the provider where to send what arrives."""
        self._check_administrator()
        params = {"configuration_id": self.id}
        data = bridge_client.ask(self.env, "configuration.register_webhook", params)["data"]
        return self._notification(
            _("Webhook registered"), _("The provider now calls %s") % data["url"], "success"
        )

    def action_synchronise(self):
        """Opens the Sync Wizard on these accounts."""
        check_access(self, "read")
        return self.env["whatsapp.sync.wizard"]._action_open(self)

    def action_schedules(self):
        self.ensure_one()
        self._check_seen()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "whatsapp_integration.whatsapp_sync_service_action"
        )
        action["domain"] = [("configuration_id", "=", self.id)]
        action["context"] = {"default_configuration_id": self.id}
        return action

    def _notification(self, title, message, kind):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"title": title, "message": message, "type": kind, "sticky": True},
        }

    def _on_alert(self):
        """Called when the daemon reports something about an account; to be overridden.

        The event is in the context as `whatsapp_event_id`.
        """
