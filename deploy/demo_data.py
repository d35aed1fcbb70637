"""Fills the demo's Odoo database: account, users, partners. Runs in `odoo shell`, may run again.

`deploy/demo.sh` writes /var/lib/odoo/demo.json before; nothing here is needed to run the bridge.
"""

import json

with open("/var/lib/odoo/demo.json") as file:
    WANTED = json.load(file)

PARTNERS = [
    ("Amira Osei", "+447700900123"),
    ("Ben Carter", "+447700900124"),
    ("Chiara Rossi", "+447700900125"),
    ("David Kim", "+447700900126"),
    ("Not on WhatsApp", "+447700900801"),
    ("Refuses Groups", "+447700900802"),
    ("Echo (answers each text)", "+447700900803"),
    ("Never Delivered", "+447700900804"),
    ("Never Reads", "+447700900805"),
]


def found_or_new(env, model, domain, values):
    """The first record of `domain` with `values` written, or a new one."""
    record = env[model].search(domain, limit=1)
    if not record:
        return env[model].create(values)
    record.write(values)
    return record


def set_parameters(env):
    parameters = env["ir.config_parameter"].sudo()
    parameters.set_param("web.base.url", WANTED["odoo_url"])
    parameters.set_param("web.base.url.freeze", "True")
    parameters.set_param("whatsapp_integration.public_url", WANTED["public_url"])
    parameters.set_param("whatsapp_integration.database_role", "wabridge")


def demo_user(env):
    users = env["res.users"].with_context(no_reset_password=True, mail_create_nosubscribe=True)
    groups = "group_ids" if "group_ids" in users._fields else "groups_id"
    user = users.search([("login", "=", WANTED["user_login"])], limit=1)
    if not user:
        user = users.create(
            {
                "name": "Demo User",
                "login": WANTED["user_login"],
                "password": WANTED["user_password"],
                "email": "demo_user@example.com",
            }
        )
    user.write({groups: [(4, env.ref("whatsapp_integration.group_whatsapp_user").id)]})
    if "tour_enabled" in users._fields:
        (user | env.ref("base.user_admin")).write({"tour_enabled": False})
    return user


def fill_accounts(env, user):
    """The accounts in their order; the plain user may use the first one."""
    for sequence, wanted in enumerate(WANTED["accounts"], 1):
        values = {
            "name": wanted["name"],
            "provider": wanted["provider"],
            "channel_id": wanted["channel_id"],
            "sequence": sequence,
            "base_url": WANTED["simulator_url"],
            "pace_per_second": 0,
        }
        if sequence == 1:
            values["user_ids"] = [(4, user.id)]
        domain = [("channel_id", "=", wanted["channel_id"])]
        account = found_or_new(env, "whatsapp.configuration", domain, values)
        # The daemon seals on a connection of its own: it must find what it is asked about.
        env.cr.commit()
        wizard = env["whatsapp.set.credentials.wizard"].create(
            dict(wanted["secrets"], configuration_id=account.id)
        )
        wizard.action_apply()


def main(env):
    env = env(user=env.ref("base.user_admin"))
    set_parameters(env)
    env.ref("base.main_company").write({"name": "Acme Ltd"})
    user = demo_user(env)
    for name, phone in PARTNERS:
        found_or_new(env, "res.partner", [("phone", "=", phone)], {"name": name, "phone": phone})
    env.cr.commit()
    fill_accounts(env, user)
    env.cr.commit()


main(env)  # noqa: F821 (given by the shell)
