import secrets
from datetime import timedelta

from odoo import _, api, fields, models
from odoo.exceptions import UserError

from .. import bridge_client
from ..models.whatsapp_configuration import FORMER, SEALED, SECRETS


class WhatsappSetCredentialsWizard(models.TransientModel):
    _name = "whatsapp.set.credentials.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Set the credentials of a WhatsApp account"

    # What is typed is sealed by the daemon before the row is inserted or changed, so that clear
    # text never reaches the database, not even this temporary row.
    configuration_id = fields.Many2one(
        "whatsapp.configuration", "Account", required=True, ondelete="cascade"
    )
    provider = fields.Selection(related="configuration_id.provider")
    token = fields.Char("API Token")
    webhook_token = fields.Char("Webhook Token", help="Part of the address the provider calls.")
    webhook_secret = fields.Char("Webhook Secret", help="The provider sends it in a header.")
    app_secret = fields.Char("App Secret", help="Meta signs its webhooks with it.")
    verify_token = fields.Char(help="Meta asks for it once, when the webhook is set up.")
    overlap = fields.Selection(
        [
            ("0", "Not at all: it may be known to others"),
            ("1", "1 hour"),
            ("24", "24 hours"),
            ("168", "7 days"),
        ],
        "Accept the Old One",
        required=True,
        default="24",
        help="How long webhooks with the former token or secret are accepted beside the new one, "
        "so that none is lost until the provider knows it.",
    )
    has_former = fields.Boolean(compute="_compute_has_former")

    @api.depends("configuration_id")
    def _compute_has_former(self):
        """Whether there is anything that could be accepted beside the new one."""
        for wizard in self:
            account = wizard.configuration_id
            wizard.has_former = any(account[name] for name in FORMER)

    @api.model
    def default_get(self, fields_list):
        # Defaults are filled in after create() has sealed what was given: no secret comes that way.
        values = super().default_get(fields_list)
        return {name: value for name, value in values.items() if name not in SECRETS}

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._sealed(vals, None) for vals in vals_list])

    def write(self, vals):
        for wizard in self:
            super(WhatsappSetCredentialsWizard, wizard).write(self._sealed(vals, wizard))
        return True

    @api.model
    def _sealed(self, vals, wizard):
        """The same values with every secret sealed for the account they are meant for."""
        clear = {name: vals[name] for name in SECRETS if vals.get(name)}
        if not clear and not (wizard and "configuration_id" in vals):
            return vals
        if wizard and vals.get("configuration_id", wizard.configuration_id.id) != (
            wizard.configuration_id.id
        ):
            # The seal binds to the account.
            raise UserError(_("Open the wizard again from the other account."))
        configuration = (
            wizard.configuration_id
            if wizard
            else self.env["whatsapp.configuration"].browse(vals.get("configuration_id"))
        )
        configuration._check_administrator()
        vals = dict(vals)
        for name, value in clear.items():
            if not value.startswith(SEALED):
                vals[name] = self._seal(configuration, name, value.strip())
        return vals

    @api.model
    def _seal(self, configuration, column, value):
        params = {"seal_uuid": configuration.seal_uuid, "column": column, "value": value}
        return bridge_client.ask(self.env, "configuration.seal", params)["data"]["sealed"]

    def action_generate(self):
        """Fills in fresh random values for the two secrets that Odoo's side may choose."""
        self.ensure_one()
        self.write(
            {
                "webhook_token": secrets.token_urlsafe(32),
                "webhook_secret": secrets.token_urlsafe(32),
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": _("Set credentials"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }

    def action_apply(self):
        self.ensure_one()
        self.configuration_id._check_administrator()
        values = {name: self[name] for name in SECRETS if self[name]}
        if not values:
            raise UserError(_("Nothing was typed: the credentials stay as they are."))
        hours = int(self.overlap)
        until = fields.Datetime.now() + timedelta(hours=hours) if hours else False
        self.configuration_id._replace_secrets(values, until)
        # The sealed copies here are not needed any more.
        self.write(dict.fromkeys(SECRETS, False))
        return {"type": "ir.actions.act_window_close"}
