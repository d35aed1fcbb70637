"""Users, accounts and rows that the matrix of rights is tried with, and calls as RPC makes them."""

import contextlib

from odoo.exceptions import AccessError, MissingError

from ..series import SERIES, flush, invalidate
from .common import GROUP_ADMIN, GROUP_USER, WhatsappCase, new_test_user

# What a refusal is: everything else that a call raises is a fault of the call.
REFUSED = (AccessError, MissingError)
EXPORT = ",base.group_allow_export"
SEALED = "wab1:k1:bm9uY2U:Y2lwaGVy"


def call_kw(env, model, method, *args, **kwargs):
    """One call as both RPC doors of this series make it, with their check of the name."""
    if SERIES < 17:
        from odoo import api
        from odoo.models import check_method_name

        check_method_name(method)
        return api.call_kw(env[model], method, list(args), kwargs)
    from odoo.service import model as service

    return service.call_kw(env[model], method, list(args), kwargs)


class MatrixCase(WhatsappCase):
    """Accounts 1 and 2 of one company, `far` of another; each with one row of every model."""

    USERS = ("public", "portal", "nobody", "user1", "user2", "far_user", "admin", "far_admin")
    # The accounts that each may use.
    USES = {"user1": {"1"}, "user2": {"2"}, "far_user": {"far"}, "admin": {"1", "2"}}
    USES["far_admin"] = {"far"}
    ADMINS = ("admin", "far_admin")

    def make_accounts(self):
        super().make_accounts()
        env = self.env
        far = {
            "company_id": self.other_company.id,
            "company_ids": [(6, 0, self.other_company.ids)],
        }
        self.users = {
            "public": env.ref("base.public_user"),
            "portal": new_test_user(env, "m_portal", "base.group_portal"),
            "nobody": new_test_user(env, "m_nobody", "base.group_user" + EXPORT),
            "user1": new_test_user(env, "m_user1", GROUP_USER + EXPORT),
            "user2": new_test_user(env, "m_user2", GROUP_USER + EXPORT),
            "far_user": new_test_user(env, "m_far_user", GROUP_USER + EXPORT, **far),
            "admin": new_test_user(env, "m_admin", GROUP_ADMIN + EXPORT),
            "far_admin": new_test_user(env, "m_far_admin", GROUP_ADMIN + EXPORT, **far),
        }
        users = self.users
        self.support.write({"user_ids": [(6, 0, users["user1"].ids)]})
        self.sales.write({"user_ids": [(6, 0, users["user2"].ids)]})
        # Somebody of one company is on the list of another's account: the company decides.
        self.far.write({"user_ids": [(6, 0, (users["far_user"] + users["user1"]).ids)]})
        self.accounts = {"1": self.support, "2": self.sales, "far": self.far}

    def setUp(self):
        super().setUp()
        self.rows = {}
        for key, account in self.accounts.items():
            for model, row in self.rows_of(key, account).items():
                self.rows.setdefault(model, {})[key] = row
        flush(self.env["whatsapp.message"])
        self.env["whatsapp.dashboard.mark"]._all()
        for model in ("account", "answer", "mark", "message"):
            model = "whatsapp.dashboard.%s" % model
            for key, account in self.accounts.items():
                row = self.env[model].search([("configuration_id", "=", account.id)], limit=1)
                self.rows.setdefault(model, {})[key] = row.id

    def rows_of(self, key, account):
        """{model: id} of one row each, of this account."""
        insert, company = self.insert, account.company_id
        partner = self.env["res.partner"].create(
            {"name": "Partner %s" % key, "phone": "+44770090012%s" % len(key)}
        )
        partner.write({"company_id": company.id})
        rows = {"whatsapp.configuration": account.id, "res.partner": partner.id}
        mine = {"configuration_id": account.id}
        contact = insert(
            "whatsapp_contact",
            contact_id="44770090012%s@c.us" % key,
            name="Contact %s" % key,
            phone="+447700900120",
            **mine,
        )
        group = insert(
            "whatsapp_group",
            group_id="%s@g.us" % key,
            name="Group %s" % key,
            is_active=True,
            invite_link="https://chat.example.org/%s" % key,
            **mine,
        )
        media = insert(
            "whatsapp_media", filename="%s.png" % key, mimetype="image/png", state="ready"
        )
        chat_id = "44770090012%s@c.us" % key
        message = self.insert_message(
            account, chat_id=chat_id, contact_id=contact, media_id=media, message_id="m%s" % key
        ).id
        rows.update(
            {
                "whatsapp.contact": contact,
                "whatsapp.group": group,
                "whatsapp.media": media,
                "whatsapp.message": message,
                "whatsapp.chat": insert(
                    "whatsapp_chat", chat_id=chat_id, contact_id=contact, unread_count=1, **mine
                ),
                "whatsapp.account.state": insert("whatsapp_account_state", state="new", **mine),
                "whatsapp.audit.log": insert(
                    "whatsapp_audit_log", operation="message.send", success=True, **mine
                ),
                "whatsapp.event": insert(
                    "whatsapp_event", kind="alert", phase="failed", message_id=message, **mine
                ),
                "whatsapp.group.member": insert(
                    "whatsapp_group_member", group_id=group, contact_id=contact
                ),
                "whatsapp.group.invitation": insert(
                    "whatsapp_group_invitation", group_id=group, token="t%s" % key, active=True
                ),
                "whatsapp.message.receipt": insert(
                    "whatsapp_message_receipt", message_id=message, contact_id=contact
                ),
                "whatsapp.message.revision": insert(
                    "whatsapp_message_revision", message_id=message, content="Before"
                ),
                "whatsapp.quarantine": insert(
                    "whatsapp_quarantine",
                    journal_id="7%s" % len(key),
                    event_no=len(key) + account.id,
                    **mine,
                ),
                "whatsapp.outbox.in": insert(
                    "whatsapp_outbox_in", message_id=message, recipient="1", **mine
                ),
                "whatsapp.media.upload": insert(
                    "whatsapp_media_upload", message_id=message, data=b"x"
                ),
            }
        )
        rows["whatsapp.partner.number"] = (
            self.env["whatsapp.partner.number"]
            .search([("partner_id", "=", partner.id)], limit=1)
            .id
        )
        service = self.env["whatsapp.sync.service"].create(dict(mine, name="S%s" % key))
        run = insert("whatsapp_sync_run", kinds="contacts", mode="full", state="done", **mine)
        template = self.env["whatsapp.message.template"].create(
            dict(
                mine,
                name="t_%s" % len(key),
                body="Hello {{1}}",
                company_id=company.id,
                variable_ids=[(0, 0, {"placeholder": "1", "default": "you"})],
            )
        )
        campaign = self.env["whatsapp.bulk.campaign"].create(
            dict(mine, name="C%s" % key, text="Hello")
        )
        rows.update(
            {
                "whatsapp.message.count": insert(
                    "whatsapp_message_count", day="2026-01-01", message_count=1, **mine
                ),
                "whatsapp.sync.service": service.id,
                "whatsapp.sync.run": run,
                "whatsapp.sync.run.item": insert(
                    "whatsapp_sync_run_item", run_id=run, kind="contacts", res_id=contact
                ),
                "whatsapp.message.template": template.id,
                "whatsapp.message.template.variable": template.variable_ids.id,
                "whatsapp.bulk.campaign": campaign.id,
                "whatsapp.bulk.campaign.recipient": insert(
                    "whatsapp_bulk_campaign_recipient",
                    campaign_id=campaign.id,
                    name="N",
                    number="+447700900120",
                    state="ready",
                    res_model="whatsapp.contact",
                    res_id=contact,
                    message_id=message,
                ),
            }
        )
        counted = insert(
            "whatsapp_message_count",
            day="2020-01-01",
            direction="inbound",
            message_count=1,
            answer_seconds=[60],
            **mine,
        )
        operation = insert(
            "whatsapp_operation_count",
            day="2020-01-01",
            operation="message.send",
            success=True,
            operation_count=1,
            **mine,
        )
        rows.update(
            {
                "whatsapp.operation.count": operation,
                "whatsapp.dashboard.operation": operation,
                "whatsapp.message.count": counted,
                "whatsapp.dashboard.message": counted,
                "whatsapp.dashboard.answer": counted,
                "whatsapp.dashboard.account": account.id * 10 + 1,
            }
        )
        return rows

    # ---- wizards, by user

    def wizard_values(self, model, key):
        """Values for a row of a wizard's model that has to do with the account `key`."""
        row = {name: ids[key] for name, ids in self.rows.items()}
        account = {"configuration_id": row["whatsapp.configuration"]}
        group = {"group_id": row["whatsapp.group"]}
        contact = {"contact_id": row["whatsapp.contact"]}
        message = {"message_id": row["whatsapp.message"]}
        return {
            "whatsapp.bridge.health": {},
            "whatsapp.audit.verify.wizard": {"head": "X"},
            "whatsapp.bulk.send.wizard": dict(account, name="X"),
            "whatsapp.change.message.wizard": dict(message, kind="react"),
            "whatsapp.contact.check.line": dict(
                contact, wizard_id=self.check_wizard_of.get(key, 0)
            ),
            "whatsapp.contact.check.wizard": account,
            "whatsapp.contact.erase.wizard": dict(contact, sure=True),
            "whatsapp.contact.partner.wizard": contact,
            "whatsapp.group.add.wizard": group,
            "whatsapp.group.bulk.wizard": {},
            "whatsapp.group.create.wizard": dict(account, name="X"),
            "whatsapp.group.edit.wizard": dict(group, name="X"),
            "whatsapp.group.join.wizard": dict(
                account, invite_link="https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv"
            ),
            "whatsapp.group.remove.wizard": contact,
            "whatsapp.group.result": {"name": "X"},
            "whatsapp.message.template.preview": {"template_id": row["whatsapp.message.template"]},
            "whatsapp.message.template.sync": account,
            "whatsapp.message.why": message,
            "whatsapp.quarantine.body": {"body": "X"},
            "whatsapp.send.message.wizard": dict(account, number="+447700900123", text="X"),
            "whatsapp.set.credentials.wizard": dict(account, token=SEALED),
            "whatsapp.sync.wizard": {"configuration_ids": [(6, 0, [account["configuration_id"]])]},
        }[model]

    check_wizard_of = {}

    def make_wizards(self, model, users):
        """{user: id}: one row of this wizard for each of these users."""
        made = {}
        for name in users:
            key = sorted(self.USES[name])[0]
            if model == "whatsapp.contact.check.line":
                wizards = self.env["whatsapp.contact.check.wizard"].with_user(self.users[name])
                self.check_wizard_of = {key: wizards.sudo().create({}).id}
            values = self.wizard_values(model, key)
            row = self.env[model].with_user(self.users[name]).sudo().create(values)
            made[name] = row.id
        flush(self.env["whatsapp.message"])
        return made

    # ---- calling

    def env_of(self, name):
        return self.env(user=self.users[name].id, context={}, su=False)

    @contextlib.contextmanager
    def undone(self):
        """What happens within is taken back."""
        flush(self.env["whatsapp.message"])
        with contextlib.suppress(_Undo):
            with self.env.cr.savepoint():
                yield
                flush(self.env["whatsapp.message"])
                raise _Undo
        self.forget()

    def forget(self):
        if SERIES < 17:
            self.env.clear()
        else:
            self.env.transaction.clear()

    def outcome(self, user, model, method, *args, **kwargs):
        """(whether it was allowed, its result), taken back."""
        invalidate(self.env["whatsapp.message"])
        allowed, result = False, None
        with self.undone():
            try:
                # as an RPC it is one transaction: a refusal leaves nothing behind
                with self.env.cr.savepoint():
                    result = call_kw(self.env_of(user), model, method, *args, **kwargs)
                    flush(self.env["whatsapp.message"])
                    allowed = True
            except REFUSED as error:
                result = str(error)
        return allowed, result


class _Undo(Exception):
    pass
