"""Step 10 of the README without a browser: two accounts at the simulator. Runs in `odoo shell`."""

import json

with open("/etc/odoo/accounts.json") as file:
    WANTED = json.load(file)


def main(env):
    env = env(user=env.ref("base.user_admin"))
    for account in WANTED["accounts"]:
        configuration = env["whatsapp.configuration"].create(
            {
                "name": account["name"],
                "provider": account["provider"],
                "channel_id": account["channel_id"],
                "base_url": "http://127.0.0.1:8480",
                "pace_per_second": 0,
                "user_ids": [(4, env.uid)],
            }
        )
        # The daemon seals on a connection of its own: it must find what it is asked about.
        env.cr.commit()
        secrets = dict(account["secrets"], configuration_id=configuration.id)
        env["whatsapp.set.credentials.wizard"].create(secrets).action_apply()
        env.cr.commit()
        configuration.action_test()
        configuration.action_register_webhook()
        env.cr.commit()
        print("account", configuration.id, account["provider"])


main(env)  # noqa: F821 (given by the shell)
