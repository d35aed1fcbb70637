import json
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests.common import HttpCase
from odoo.tools import mute_logger

from .. import bridge_client
from ..series import flush, invalidate
from .common import Fixtures, WhatsappCase, post

SERVICE_LOGGER = "odoo.addons.whatsapp_integration.models.whatsapp_core_service"


class Daemon:
    """Mixed in: answers of `sync.` methods instead of a daemon's; what was asked is kept."""

    def daemon(self, answers=None, cannot=()):
        self.asked = []
        answers = answers or {}

        def call(env, method, params, wait_ms=0, read_timeout_s=None):
            self.asked.append((method, dict(params), env.uid))
            answer = answers.get(method)
            if callable(answer):
                answer = answer(params)
            if isinstance(answer, Exception):
                raise answer
            return {"data": answer, "meta": {"provider": "whapi", "request_id": "r"}}

        def able(env, configuration):
            return {"capabilities": {name: name not in cannot for name in CAPABILITIES}}

        for name, body in (("call", call), ("capabilities", able)):
            mock = patch.object(bridge_client, name, body)
            mock.start()
            self.addCleanup(mock.stop)


CAPABILITIES = (
    "contact_sync",
    "group_sync",
    "message_sync",
    "contact_check",
    "contact_block",
    "contact_refresh",
)


def conflict(job_id):
    return bridge_client.BridgeError(
        "conflict", "Goes on already.", details={"details": {"job_id": job_id}}
    )


@post
class TestSchedules(WhatsappCase):
    def services(self, account):
        return self.env["whatsapp.sync.service"].search([("configuration_id", "=", account.id)])

    def test_a_new_account_gets_the_two_usual_ones(self):
        for account in (self.support, self.sales, self.far):
            rows = self.services(account)
            self.assertEqual(
                [(row.sync_type, row.mode, row.interval, row.is_active) for row in rows],
                [("all", "incremental", 60, True), ("all", "full", 1440, True)],
            )
            self.assertFalse(any(row.last_sync or row.sync_count for row in rows))

    def test_an_upgrade_gives_them_to_accounts_without_any(self):
        self.services(self.support).unlink()
        self.services(self.sales)[1].unlink()
        self.far.active = False
        self.services(self.far).unlink()
        self.env["whatsapp.sync.service"]._install_defaults()
        self.assertEqual(len(self.services(self.support)), 2)
        self.assertEqual(len(self.services(self.far)), 2)
        # what an administrator chose stays
        self.assertEqual(len(self.services(self.sales)), 1)
        self.env["whatsapp.sync.service"]._install_defaults()
        self.assertEqual(len(self.services(self.support)), 2)

    def test_next_run(self):
        row = self.services(self.support)[0]
        created = row.create_date.replace(microsecond=0)
        self.assertEqual(row.next_sync, created + timedelta(minutes=60))
        row.sudo().last_sync = "2026-01-01 10:00:00"
        self.assertEqual(fields.Datetime.to_string(row.next_sync), "2026-01-01 11:00:00")
        row.is_active = False
        self.assertFalse(row.next_sync)
        row.is_active = True
        self.support.active = False
        self.assertFalse(row.next_sync)

    def test_a_schedule_of_every_minute_is_refused(self):
        row = self.services(self.support)[0]
        with self.assertRaises(ValidationError):
            row.interval = 1
        row.write({"is_active": False, "interval": 0})

    def test_who_may_what(self):
        row = self.services(self.support)[0]
        with self.assertRaises(AccessError):
            row.with_user(self.user).interval = 30
        row.with_user(self.admin).interval = 30
        for vals in ({"last_sync": False}, {"requested_at": fields.Datetime.now()}):
            with self.assertRaises(AccessError):
                row.with_user(self.admin).write(vals)
        mine = row.with_user(self.admin).create(
            {
                "name": "x",
                "configuration_id": self.sales.id,
                "requested_at": fields.Datetime.now(),
            }
        )
        self.assertFalse(mine.requested_at)
        visible = self.env["whatsapp.sync.service"].with_user(self.user).search([])
        self.assertEqual(visible.mapped("configuration_id"), self.support)
        with self.assertRaises(AccessError):
            self.services(self.sales)[0].with_user(self.user).action_run_now()
        with self.assertRaises(AccessError):
            row.with_user(self.plain).action_run_now()

    def test_run_now_is_a_request_in_the_row(self):
        row = self.services(self.support)[0]
        row.with_user(self.user).action_run_now()
        self.assertTrue(row.requested_at)
        self.assertEqual(row.requested_by, self.user)
        self.assertEqual(row.next_sync, row.requested_at)
        # somebody else meanwhile gets the same run
        row.with_user(self.admin).action_run_now()
        self.assertEqual(row.requested_by, self.user)
        archived = self.services(self.sales)[0]
        self.sales.active = False
        with self.assertRaises(UserError):
            archived.with_user(self.admin).action_run_now()

    def test_an_account_goes_with_its_schedules_but_not_with_its_runs(self):
        rows = self.services(self.sales)
        self.sales.unlink()
        self.assertFalse(rows.exists())
        self.insert("whatsapp_sync_run", configuration_id=self.support.id, state="done")
        with self.assertRaises(UserError):
            self.support.unlink()


@post
class TestSyncApi(Daemon, WhatsappCase):
    def setUp(self):
        super().setUp()
        self.service = self.env["whatsapp.core.service"].with_user(self.user)

    def test_the_three_ask_in_the_callers_transaction(self):
        self.daemon()
        for method, sync_type in (
            ("sync_contacts", "contacts"),
            ("sync_groups", "groups"),
            ("sync_messages", "messages"),
        ):
            answer = getattr(self.service, method)()
            self.assertTrue(answer["success"], answer)
            self.assertEqual(set(answer), {"success", "data", "meta"})
            self.assertEqual(set(answer["data"]), {"id", "job_id", "status", "timestamp"})
            self.assertEqual(answer["data"]["status"], "requested")
            row = self.env["whatsapp.sync.service"].browse(answer["data"]["id"])
            self.assertEqual(row.configuration_id, self.support)
            self.assertEqual((row.sync_type, row.mode), (sync_type, "incremental"))
            self.assertEqual(row.requested_by, self.user)
            self.assertTrue(row.requested_at)
            # it is no schedule: it runs only when asked
            self.assertFalse(row.is_active)
            again = getattr(self.service, method)()
            self.assertEqual(again["data"]["id"], row.id)
        full = self.service.sync_contacts(mode="full")
        self.assertEqual(self.env["whatsapp.sync.service"].browse(full["data"]["id"]).mode, "full")
        self.assertEqual(self.asked, [], "nothing is called inside a transaction")

    def test_a_rollback_asks_for_nothing(self):
        rows = self.env["whatsapp.sync.service"]
        before = rows.search_count([])
        flush(rows)
        with self.env.cr.savepoint():
            answer = self.service.sync_contacts()
            self.assertTrue(answer["success"])
            flush(rows)
            self.env.cr.execute("SELECT count(*) FROM whatsapp_sync_service")
            self.assertEqual(self.env.cr.fetchone()[0], before + 1)
            self.env.cr.execute(
                "DELETE FROM whatsapp_sync_service WHERE id = %s", [answer["data"]["id"]]
            )
        invalidate(rows)
        self.assertEqual(rows.search_count([]), before)

    def test_an_existing_schedule_carries_the_request(self):
        row = self.env["whatsapp.sync.service"].create(
            {"name": "Mine", "configuration_id": self.support.id, "sync_type": "groups"}
        )
        self.assertEqual(self.service.sync_groups()["data"]["id"], row.id)
        self.assertTrue(row.is_active)

    def test_refusals(self):
        with mute_logger(SERVICE_LOGGER):
            for kwargs, code in (
                ({"configuration_id": self.sales.id}, 1001),
                ({"mode": "since"}, 1102),
                ({"user_id": self.admin.id}, 1001),
            ):
                answer = self.service.sync_contacts(**kwargs)
                self.assertFalse(answer["success"])
                self.assertEqual(answer["error"]["code"], code, answer)
            plain = self.service.with_user(self.plain).sync_contacts()
            self.assertEqual(plain["error"]["code"], 1001)
            with self.assertRaises(UserError):
                self.service.sync_contacts(configuration_id=self.sales.id, raise_on_error=True)
        with self.assertRaises(TypeError):
            self.service.sync_contacts(chat="x")

    def test_the_system_asks_for_somebody(self):
        service = self.env["whatsapp.core.service"]
        answer = (
            service.with_user(1)
            .sudo()
            .sync_contacts(user_id=self.user.id, configuration_id=self.support.id)
        )
        row = self.env["whatsapp.sync.service"].browse(answer["data"]["id"])
        self.assertEqual(row.requested_by, self.user)


@post
class TestSyncWizard(Daemon, WhatsappCase):
    def wizard(self, user=None, **values):
        values.setdefault("configuration_ids", [(6, 0, self.support.ids)])
        return self.env["whatsapp.sync.wizard"].with_user(user or self.user).create(values)

    def test_start(self):
        self.daemon({"sync.start": {"job_id": 77}})
        action = self.wizard(messages=True).action_start()
        params = {
            "configuration_id": self.support.id,
            "kinds": ["contacts", "groups", "messages"],
            "mode": "incremental",
        }
        self.assertEqual(self.asked, [("sync.start", params, self.user.id)])
        # opened by its id: the row is newer than this transaction
        self.assertEqual((action["res_model"], action["res_id"]), ("whatsapp.sync.run", 77))

    def test_since(self):
        self.daemon({"sync.start": {"job_id": 1}})
        wizard = self.wizard(contacts=False, groups=False, messages=True, mode="since")
        with self.assertRaises(UserError):
            wizard.action_start()
        wizard.since = "2026-01-31 08:00:00"
        wizard.action_start()
        self.assertEqual(self.asked[0][1]["since"], "2026-01-31T08:00:00Z")
        self.assertEqual(self.asked[0][1]["kinds"], ["messages"])

    def test_run_again_by_odoo_it_finds_the_first_run(self):
        self.daemon({"sync.start": conflict(5)})
        self.assertEqual(self.wizard().action_start()["res_id"], 5)

    def test_several_accounts(self):
        refused = bridge_client.BridgeError("configuration_inactive", "It is archived.")
        jobs = {self.support.id: 1, self.sales.id: 2}
        self.daemon(
            {
                "sync.start": lambda params: (
                    {"job_id": jobs[params["configuration_id"]]}
                    if params["configuration_id"] in jobs
                    else refused
                )
            }
        )
        both = [(6, 0, (self.support | self.sales).ids)]
        action = self.wizard(self.admin, configuration_ids=both).action_start()
        self.assertEqual(action["domain"], [("id", "in", [1, 2])])
        # what could not be started is said; what was goes on
        some = self.support | self.far
        admin = self.admin
        admin.company_ids |= self.other_company
        wizard = self.wizard(admin, configuration_ids=[(6, 0, some.ids)])
        action = wizard.action_start()
        self.assertEqual((action["res_model"], action["res_id"]), (wizard._name, wizard.id))
        self.assertEqual(wizard.problem, "Far: It is archived.")
        self.assertEqual(wizard.action_show()["res_id"], 1)
        with self.assertRaisesRegex(UserError, "It is archived"):
            self.wizard(admin, configuration_ids=[(6, 0, self.far.ids)]).action_start()

    def test_what_a_provider_cannot_list_is_said_and_not_asked_for(self):
        self.daemon({"sync.start": {"job_id": 1}}, cannot=("contact_sync", "message_sync"))
        wizard = self.wizard(messages=True)
        self.assertIn("Support", wizard.hint)
        self.assertIn("Contacts", wizard.hint)
        self.assertNotIn("Groups", wizard.hint)
        wizard.action_start()
        self.assertEqual(self.asked[0][1]["kinds"], ["groups"])

    def test_nothing_chosen(self):
        self.daemon()
        with self.assertRaises(UserError):
            self.wizard(contacts=False, groups=False).action_start()
        with self.assertRaises(UserError):
            self.wizard(configuration_ids=[(6, 0, [])]).action_start()
        self.assertEqual(self.asked, [])

    def test_it_opens_from_accounts_and_contacts(self):
        action = self.support.with_user(self.user).action_synchronise()
        self.assertEqual(action["context"]["default_configuration_ids"], [(6, 0, self.support.ids)])
        contacts = self.env["whatsapp.contact"].with_user(self.user)
        action = contacts.action_synchronise()
        self.assertEqual(
            action["context"],
            {"default_contacts": True, "default_groups": False, "default_messages": False},
        )
        group = self.insert(
            "whatsapp_group", configuration_id=self.support.id, group_id="1@g.us", name="Team"
        )
        group = self.env["whatsapp.group"].browse(group).with_user(self.user)
        self.assertEqual(
            group.action_synchronise()["context"],
            {
                "default_configuration_ids": [(6, 0, self.support.ids)],
                "default_contacts": False,
                "default_groups": True,
                "default_messages": False,
            },
        )


@post
class TestRuns(Daemon, WhatsappCase):
    def run_row(self, account=None, **values):
        defaults = {
            "configuration_id": (account or self.support).id,
            "kinds": "contacts,groups",
            "mode": "incremental",
            "state": "running",
            "progress": 40.0,
        }
        row = self.insert("whatsapp_sync_run", **dict(defaults, **values))
        return self.env["whatsapp.sync.run"].browse(row).with_user(self.user)

    def test_what_a_run_shows(self):
        counts = {"contacts": {"read": 5, "created": 1, "changed": 2, "unchanged": 2, "errors": 0}}
        run = self.run_row(counts=json.dumps(counts), phase="groups")
        self.assertEqual(run.display_name, "Support: Contacts, Groups")
        self.assertEqual(run.phase_label, "Groups")
        self.assertEqual(run.summary, "Contacts: 5 read, 1 new, 2 changed, 2 unchanged, 0 errors")
        for counts in (None, "", "{", "[1]", json.dumps({"contacts": 3, "cats": {}})):
            odd = self.run_row(counts=counts)
            self.assertFalse(odd.summary)

    def test_errors_are_shown_first(self):
        run = self.run_row()
        for number in range(60):
            decision = "error" if number == 59 else "provider"
            self.insert("whatsapp_sync_run_item", run_id=run.id, kind="contacts", decision=decision)
        self.assertEqual(run.item_count, 60)
        self.assertEqual(len(run.shown_item_ids), 40)
        self.assertIn("error", run.shown_item_ids.mapped("decision"))

    def test_old_runs_are_forgotten(self):
        old = self.run_row(state="done", ended_at="2020-01-01 00:00:00")
        item = self.insert("whatsapp_sync_run_item", run_id=old.id, kind="contacts")
        open_one = self.run_row()
        recent = self.run_row(state="failed", ended_at=fields.Datetime.now())
        self.env["whatsapp.sync.run"]._gc_runs()
        self.assertFalse(old.exists())
        self.assertFalse(self.env["whatsapp.sync.run.item"].browse(item).exists())
        self.assertEqual((open_one | recent).exists(), open_one | recent)

    def test_cancel_and_again(self):
        self.daemon({"sync.cancel": {"state": "cancelled"}, "sync.start": {"job_id": 9}})
        run = self.run_row()
        with self.assertRaises(UserError):
            run.action_again()
        run.action_cancel()
        self.assertEqual(self.asked, [("sync.cancel", {"job_id": run.id}, self.user.id)])
        ended = self.run_row(state="failed", mode="since", since="2026-01-01 00:00:00")
        self.assertEqual(ended.action_again()["res_id"], 9)
        self.assertEqual(
            self.asked[1][1],
            {
                "configuration_id": self.support.id,
                "kinds": ["contacts", "groups"],
                "mode": "since",
                "since": "2026-01-01T00:00:00Z",
            },
        )

    def test_rights(self):
        self.daemon()
        foreign = self.run_row(self.sales)
        item = self.insert("whatsapp_sync_run_item", run_id=foreign.id, kind="contacts")
        item = self.env["whatsapp.sync.run.item"].browse(item).with_user(self.user)
        with self.assertRaises(AccessError):
            foreign.action_cancel()
        with self.assertRaises(AccessError):
            item.read(["name"])
        self.assertFalse(foreign.search([("id", "=", foreign.id)]))
        self.assertEqual(self.asked, [])
        own = self.run_row()
        with self.assertRaises(AccessError):
            own.with_user(self.admin).write({"state": "done"})


@post
class TestSyncRoute(Fixtures, Daemon, HttpCase):
    def setUp(self):
        super().setUp()
        self.make_accounts()
        self.user.password = "wa_user_password"

    def trigger(self, **params):
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params})
        answer = self.url_open(
            "/whatsapp/sync/trigger", data=body, headers={"Content-Type": "application/json"}
        )
        return answer.json()["result"]

    def test_trigger(self):
        self.daemon({"sync.start": {"job_id": 12}})
        self.authenticate("wa_user", "wa_user_password")
        answer = self.trigger()
        self.assertTrue(answer["success"], answer)
        self.assertEqual(answer["data"], {"id": 12, "job_id": 12, "status": "started"})
        self.assertEqual(
            self.asked[0][1],
            {"kinds": ["contacts", "groups", "messages"], "mode": "incremental"},
        )
        answer = self.trigger(
            sync_type="contacts", configuration_id=self.support.id, since="2026-01-31T08:00:00Z"
        )
        self.assertTrue(answer["success"], answer)
        self.assertEqual(
            self.asked[1][1],
            {
                "kinds": ["contacts"],
                "mode": "since",
                "configuration_id": self.support.id,
                "since": "2026-01-31T08:00:00Z",
            },
        )
        self.asked.clear()
        for params, code in (
            ({"sync_type": "cats"}, 1102),
            ({"sync_type": ["contacts"]}, 1102),
            ({"mode": "sometimes"}, 1102),
            ({"mode": "since"}, 1102),
            ({"since": "yesterday"}, 1102),
            ({"user_id": self.admin.id}, 1001),
            ({"colour": "red"}, 1102),
        ):
            answer = self.trigger(**params)
            self.assertFalse(answer["success"], params)
            self.assertEqual(answer["error"]["code"], code, params)
        self.assertEqual(self.asked, [])

    def test_everything_is_what_the_provider_lists(self):
        self.daemon({"sync.start": {"job_id": 12}}, cannot=("contact_sync",))
        self.authenticate("wa_user", "wa_user_password")
        self.trigger(configuration_id=self.support.id)
        self.trigger(configuration_id=0)
        self.trigger(sync_type="contacts")
        self.assertEqual(
            [params["kinds"] for _method, params, _uid in self.asked],
            [["groups", "messages"], ["contacts", "groups", "messages"], ["contacts"]],
        )

    def test_what_the_daemon_says(self):
        self.authenticate("wa_user", "wa_user_password")
        self.daemon({"sync.start": bridge_client.BridgeError("access_denied", "No.")})
        self.assertEqual(self.trigger()["error"]["code"], 1001)
        self.daemon({"sync.start": conflict(8)})
        self.assertEqual(self.trigger()["data"]["job_id"], 8)
