from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError

from ..models.whatsapp_account_state import WAITING
from ..models.whatsapp_configuration import FORMER, SEALED_COLUMNS, SECRETS
from ..series import invalidate
from .common import WhatsappCase, keys_file, post

CLEAR = "clear-text-canary"
SEALED = "wab1:k1:bm9uY2U:Y2lwaGVy"


@post
class TestConfiguration(WhatsappCase):
    def test_clear_secrets_are_refused(self):
        accounts = self.env["whatsapp.configuration"].with_user(self.admin)
        for secret in SEALED_COLUMNS:
            with self.subTest(secret=secret):
                with self.assertRaises(UserError) as caught:
                    self.support.with_user(self.admin).write({secret: CLEAR})
                self.assertIn("Set credentials", str(caught.exception))
                self.assertNotIn(CLEAR, str(caught.exception))
                with self.assertRaises(UserError):
                    accounts.create({"name": "New", secret: CLEAR})
                with self.assertRaises(UserError):
                    accounts.with_context(**{"default_" + secret: CLEAR}).create({"name": "New"})
                result = accounts.load(["name", secret], [["Imported", CLEAR]])
                self.assertFalse(result["ids"])
        self.assertFalse(accounts.search([("name", "in", ("New", "Imported"))]))

    def test_superuser_is_no_exception(self):
        with self.assertRaises(UserError):
            self.support.sudo().write({"token": CLEAR})

    def test_sealed_secrets(self):
        account = self.support.with_user(self.admin)
        account.write(dict.fromkeys(SEALED_COLUMNS, SEALED))
        self.assertEqual(account.token, SEALED)
        self.assertTrue(account.has_token)
        copy = account.copy()
        for secret in SEALED_COLUMNS + ("former_until",):
            self.assertFalse(copy[secret])
        self.assertNotEqual(copy.seal_uuid, account.seal_uuid)
        account.write({"token": False})
        self.assertFalse(account.has_token)

    def test_users_do_not_read_secrets(self):
        self.support.write(dict.fromkeys(SEALED_COLUMNS, SEALED))
        account = self.support.with_user(self.user)
        self.assertEqual(account.name, "Support")
        former = ("former_until", "former_names")
        for name in SEALED_COLUMNS + former + tuple("has_%s" % secret for secret in SECRETS):
            with self.assertRaises(AccessError):
                account.read([name])
            self.assertNotIn(name, account.fields_get())

    def test_seal_uuid(self):
        with self.assertRaises(UserError):
            self.support.write({"seal_uuid": "4f3c2b1a-0000-4000-8000-0000000000ff"})
        accounts = self.env["whatsapp.configuration"]
        with self.assertRaises(UserError):
            accounts.create({"name": "Twin", "seal_uuid": self.support.seal_uuid})
        with self.assertRaises(UserError):
            accounts.create({"name": "Odd", "seal_uuid": "not a uuid"})
        chosen = "4f3c2b1a-0000-4000-8000-0000000000fe"
        self.assertEqual(accounts.create({"name": "New", "seal_uuid": chosen}).seal_uuid, chosen)

    def test_used_accounts_stay(self):
        self.insert_message(self.sales)
        with self.assertRaises(UserError):
            self.sales.with_user(self.admin).unlink()
        self.sales.with_user(self.admin).write({"active": False})
        self.env["whatsapp.configuration"].create({"name": "Unused"}).with_user(self.admin).unlink()

    def test_state(self):
        self.assertEqual(self.support.state, "new")
        self.insert(
            "whatsapp_account_state",
            configuration_id=self.support.id,
            state="qr_needed",
            reason="phone was off",
        )
        account = self.support.with_user(self.user)
        self.assertEqual((account.state, account.state_reason), ("qr_needed", "phone was off"))

    def test_buttons_are_for_administrators(self):
        for name in ("action_test", "action_register_webhook", "action_set_credentials"):
            with self.assertRaises(AccessError):
                getattr(self.support.with_user(self.user), name)()

    def test_wizard_stores_nothing_unsealed(self):
        """Without a daemon nothing can be sealed, so nothing may be stored either."""
        wizards = self.env["whatsapp.set.credentials.wizard"].with_user(self.admin)
        with keys_file(self.env.cr.dbname):
            with self.assertRaises(UserError):
                wizards.create({"configuration_id": self.support.id, "token": CLEAR})
            wizard = wizards.create({"configuration_id": self.support.id})
            with self.assertRaises(UserError):
                wizard.write({"token": CLEAR})
            with self.assertRaises(UserError):
                wizard.action_generate()
        self.env.cr.execute(
            "SELECT count(*) FROM whatsapp_set_credentials_wizard"
            " WHERE token IS NOT NULL OR webhook_token IS NOT NULL"
        )
        self.assertEqual(self.env.cr.fetchone()[0], 0)

    def test_wizard_takes_no_default_secrets(self):
        context = {"default_token": CLEAR, "default_configuration_id": self.support.id}
        wizards = self.env["whatsapp.set.credentials.wizard"].with_user(self.admin)
        self.assertFalse(wizards.with_context(**context).create({}).token)

    def test_wizard_applies_sealed_values(self):
        wizards = self.env["whatsapp.set.credentials.wizard"].with_user(self.admin)
        wizard = wizards.create({"configuration_id": self.support.id, "token": SEALED})
        wizard.action_apply()
        self.assertEqual(self.support.token, SEALED)
        self.assertFalse(wizard.token)
        with self.assertRaises(UserError):  # nothing typed
            wizard.action_apply()
        with self.assertRaises(UserError):  # the seal belongs to its account
            wizard.write({"configuration_id": self.sales.id})

    def test_wizard_is_for_administrators(self):
        with self.assertRaises(AccessError):
            self.env["whatsapp.set.credentials.wizard"].with_user(self.user).create(
                {"configuration_id": self.support.id, "token": SEALED}
            )
        with self.assertRaises(AccessError):  # another company's account
            self.env["whatsapp.set.credentials.wizard"].with_user(self.admin).create(
                {"configuration_id": self.far.id, "token": SEALED}
            )

    def test_what_waits_is_said_in_words(self):
        self.assertFalse(self.support.waiting_hint)
        state = self.insert(
            "whatsapp_account_state", configuration_id=self.support.id, state="connected"
        )
        for reason in WAITING:
            self.env.cr.execute(
                "UPDATE whatsapp_account_state SET waiting_reason = %s, waiting_count = 7,"
                " waiting_until = '2026-01-02 03:04:05' WHERE id = %s",
                (reason, state),
            )
            invalidate(self.support)
            self.assertTrue(self.support.waiting_hint.startswith("7 messages wait"), reason)

    # ---- secrets of webhooks are replaced with overlap

    def replace(self, **values):
        wizards = self.env["whatsapp.set.credentials.wizard"].with_user(self.admin)
        wizard = wizards.create(dict(values, configuration_id=self.support.id))
        wizard.action_apply()
        for name in SECRETS:
            self.assertFalse(wizard[name], "the wizard keeps no secret")
        return self.support.with_user(self.admin)

    def test_the_former_secret_is_accepted_for_a_time(self):
        account = self.replace(webhook_secret=SEALED + "1", token=SEALED + "t1")
        self.assertFalse(account.former_until or account.former_names, "there was none before")
        before = fields.Datetime.now()
        account = self.replace(webhook_secret=SEALED + "2", token=SEALED + "t2", overlap="24")
        self.assertEqual(account.webhook_secret, SEALED + "2")
        self.assertEqual(account.webhook_secret_former, SEALED + "1")
        self.assertEqual(account.token, SEALED + "t2")
        self.assertGreaterEqual(account.former_until, before + timedelta(hours=24))
        self.assertEqual(account.former_names, "Webhook Secret")
        # Another one meanwhile: both former ones stay, with the later end.
        self.replace(webhook_token=SEALED + "a")
        account = self.replace(webhook_token=SEALED + "b", overlap="168")
        self.assertEqual(account.webhook_secret_former, SEALED + "1")
        self.assertEqual(account.webhook_token_former, SEALED + "a")
        self.assertEqual(account.former_names, "Webhook Token, Webhook Secret")

    def test_what_is_known_to_others_is_not_accepted_any_more(self):
        self.replace(webhook_secret=SEALED + "1")
        self.replace(webhook_secret=SEALED + "2", overlap="24")
        account = self.replace(webhook_secret=SEALED + "3", overlap="0")
        self.assertFalse(account.webhook_secret_former or account.former_until)
        self.replace(webhook_secret=SEALED + "4", overlap="24")
        with self.assertRaises(AccessError):
            self.support.with_user(self.user).action_forget_former()
        account.action_forget_former()
        self.assertEqual(account.webhook_secret, SEALED + "4")
        for name in FORMER.values():
            self.assertFalse(account[name])
        self.assertFalse(account.former_until or account.former_names)

    def test_former_secrets_are_forgotten_when_their_time_is_over(self):
        self.replace(app_secret=SEALED + "1")
        account = self.replace(app_secret=SEALED + "2", overlap="1")
        self.env["whatsapp.configuration"]._cron_forget_former()
        self.assertTrue(account.app_secret_former)
        past = fields.Datetime.now() - timedelta(seconds=1)
        self.support.write({"former_until": past, "active": False})
        self.assertFalse(account.former_names)
        self.env["whatsapp.configuration"]._cron_forget_former()
        self.assertFalse(account.app_secret_former or account.former_until)
        self.assertEqual(account.app_secret, SEALED + "2")
