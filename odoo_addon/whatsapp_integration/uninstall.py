"""What Odoo does not take away by itself when the addon is uninstalled."""

import os

from odoo import SUPERUSER_ID, api

from .models.whatsapp_loader import MODULE, ROLE_PARAMETER
from .takeover.tables import SECRETS


def uninstall_hook(*args):
    """Runs before the tables go; called with (cr, registry) up to 16, with (env) from 17 on."""
    env = args[0] if len(args) == 1 else api.Environment(args[0], SUPERUSER_ID, {})
    _revoke(env)
    env["ir.config_parameter"].search([("key", "=like", MODULE + ".%")]).unlink()
    env.cr.execute("DROP TABLE IF EXISTS %s" % SECRETS)


def _revoke(env):
    """Takes back what the daemon's role may do with Odoo's tables, whoever granted it to it.

    Schema wabridge stays: it is the daemon's, and `wabridge drop` removes it.
    """
    role = env["ir.config_parameter"].get_param(ROLE_PARAMETER)
    env.cr.execute(
        """
        SELECT quote_ident(r.rolname) FROM pg_roles r
        WHERE r.rolname <> current_user AND (r.rolname = %s OR r.oid = (
            SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'wabridge'))
        """,
        (role or "",),
    )
    roles = [row[0] for row in env.cr.fetchall()]
    with open(os.path.join(os.path.dirname(__file__), "data", "revoke.sql")) as script:
        sql = script.read()
    for name in roles:
        # No parameters: psycopg would take the % of the script for one.
        env.cr.execute(sql.replace(":role", name))
