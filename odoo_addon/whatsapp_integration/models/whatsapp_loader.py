import logging
import os

from odoo import api, models, tools

from ..series import SERIES, SUFFIX

_logger = logging.getLogger(__name__)

MODULE = "whatsapp_integration"
ROLE_PARAMETER = "whatsapp_integration.database_role"


class WhatsappLoader(models.AbstractModel):
    _name = "whatsapp.loader"
    _description = "Loads what differs by Odoo series, at each install and upgrade"

    # Called by <function> while the module's data are loaded, so that the XML ids count as loaded
    # and are not removed at the end of an upgrade. Private: nobody reaches it over RPC.

    @api.model
    def _load(self, filename):
        path = filename.replace("@", SUFFIX)
        mode = "update" if self.env.context.get("install_mode") is None else "init"
        tools.convert_file(self.env.cr if SERIES < 17 else self.env, MODULE, path, {}, mode=mode)
        return True

    @api.model
    def _install_cron(self, name, label, model, method, number, unit):
        """Creates or updates a scheduled action; its fields differ between the series."""
        cron = self.env["ir.cron"]
        values = {
            "name": label,
            "model_id": self.env["ir.model"]._get_id(model),
            "state": "code",
            "code": "model.%s()" % method,
            "interval_number": number,
            "interval_type": unit,
        }
        if "numbercall" in cron._fields:  # 14 only
            values.update(numbercall=-1, doall=False)
        cron._load_records(
            [{"xml_id": "%s.%s" % (MODULE, name), "values": values, "noupdate": True}]
        )
        return True

    @api.model
    def _apply_grants(self):
        """Gives the daemon's database role the columns that this version of the addon needs."""
        role = self.env["ir.config_parameter"].sudo().get_param(ROLE_PARAMETER)
        if not role:
            return False
        cr = self.env.cr
        cr.execute("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = %s", (role,))
        found = cr.fetchone()
        if not found:
            _logger.warning(
                "system parameter %s names a PostgreSQL role that does not exist; "
                "no rights were granted. Create the role or correct the parameter, then upgrade "
                "the addon",
                ROLE_PARAMETER,
            )
            return False
        path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "grants.sql")
        with open(path) as script:
            # One statement after the other: none of them takes parameters.
            cr.execute(script.read().replace(":role", found[0]))
        _logger.info("database rights of the daemon's role were applied")
        return True
