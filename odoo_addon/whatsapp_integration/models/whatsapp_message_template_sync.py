import json

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from .whatsapp_configuration import GROUP_ADMIN


class WhatsappMessageTemplateSync(models.TransientModel):
    _name = "whatsapp.message.template.sync"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Fetch the templates of an account from its provider"

    configuration_id = fields.Many2one(
        "whatsapp.configuration",
        "Account",
        required=True,
        ondelete="cascade",
        domain=[("provider", "=", "meta")],
        default=lambda self: self._first_account(),
    )

    @api.model
    def _first_account(self):
        accounts = self.env["whatsapp.configuration"]._usable_by(
            self.env.user, [("provider", "=", "meta")]
        )
        return accounts[:1]

    def action_synchronise(self):
        self.ensure_one()
        self._check_seen()
        templates = self.env["whatsapp.message.template"]
        templates._synchronise(self.configuration_id)
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "whatsapp_integration.whatsapp_message_template_action"
        )
        action["context"] = {"search_default_provider": 1}
        return action


class WhatsappMessageTemplate(models.Model):
    _inherit = "whatsapp.message.template"

    def action_synchronise(self):
        """The button on a template: all templates of its account."""
        self.ensure_one()
        self._check_seen()
        if not self.configuration_id:
            raise UserError(_("Own texts are not at a provider: there is nothing to fetch."))
        self._synchronise(self.configuration_id)
        return True

    @api.model
    def _synchronise(self, configuration):
        """Makes the rows of an account what its provider has. Returns them.

        Bindings of placeholders stay; what the provider has no more is archived.
        """
        if not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may do this."))
        params = {"configuration_id": configuration.id}
        found = bridge_client.ask(self.env, "template.sync", params)["data"]["templates"]
        return self._store_synchronised(configuration, found)

    @api.model
    def _store_synchronised(self, configuration, found):
        rows = self.with_context(active_test=False).search(
            [("kind", "=", "provider"), ("configuration_id", "=", configuration.id)]
        )
        by_id = {row.provider_template_id: row for row in rows}
        now = fields.Datetime.now()
        kept = rows.browse()
        for template in found:
            values = {
                "name": template["name"],
                "language": template["language"],
                "category": template["category"],
                "state": template["state"],
                "components": json.dumps(template["components"], ensure_ascii=False),
                "synced_at": now,
                "active": True,
            }
            row = by_id.get(template["id"])
            if row:
                row.write(values)
            else:
                values.update(
                    kind="provider",
                    configuration_id=configuration.id,
                    company_id=configuration.company_id.id,
                    provider_template_id=template["id"],
                )
                row = self.create(values)
                row._bind_like(rows)
            kept |= row
        (rows - kept).write({"active": False})
        return kept

    def _bind_like(self, rows):
        """A new language of a known template begins with the bindings of that one."""
        other = rows.filtered(lambda row: row.name == self.name and row.model)[:1]
        if not other:
            return
        self.write({"model": other.model})
        known = other._bindings()
        for key, variable in self._bindings().items():
            if key in known:
                variable.write({"field_path": known[key].field_path, "default": known[key].default})
