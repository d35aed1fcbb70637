from odoo import SUPERUSER_ID, api

from . import models  # noqa: F401

CRONS = ("cron_hourly_sync", "cron_daily_sync")


def make_crons(cr_or_env, registry=None):
    """Scheduled actions without external ids, as the older addon had them."""
    env = cr_or_env if registry is None else api.Environment(cr_or_env, SUPERUSER_ID, {})
    for name in CRONS:
        env["ir.cron"].create(
            {
                "name": "WhatsApp: " + name,
                "model_id": env["ir.model"]._get_id("whatsapp.sync.service"),
                "state": "code",
                "code": "model.%s()" % name,
                "interval_number": 1,
                "interval_type": "hours",
            }
        )
