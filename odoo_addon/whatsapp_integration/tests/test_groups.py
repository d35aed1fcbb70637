import json
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests.common import HttpCase, new_test_user
from odoo.tools import mute_logger

from .. import bridge_client
from ..models import whatsapp_core_service_groups
from .common import GROUP_USER, Fixtures, keys_file, post
from .group_common import LINK, GroupCase

FRIEND = "+447700900123"
CLIENT_LOGGER = "odoo.addons.whatsapp_integration.bridge_client"


@post
class TestGroupService(GroupCase):
    def service(self, user=None):
        return self.env["whatsapp.core.service"].with_user(user or self.user)

    def created(self, **values):
        data = {"id": 7, "group_id": "7@g.us", "name": "Club", "invite_link": LINK}
        data.update(completion="done", participants=[], problems=[])
        return {"group.create": {"data": data, "meta": {"provider": "whapi", "response_time": 3}}}

    def test_create_group(self):
        contact = self.make_contact(self.support, FRIEND)
        with self.daemon(self.created()):
            answer = self.service().create_group(
                "Club",
                [contact, "+44 7700 900124", {"contact_id": contact.id}],
                description="Us",
                settings={"join_approval": 1},
                invite=False,
                idempotency_key="once",
            )
        self.assertTrue(answer["success"])
        self.assertEqual(answer["data"]["group_id"], "7@g.us")
        self.assertEqual(answer["meta"]["provider"], "whapi")
        [(method, params)] = self.asked
        self.assertEqual(method, "group.create")
        self.assertEqual(
            params,
            {
                "uid": self.user.id,
                "configuration_id": self.support.id,
                "name": "Club",
                "description": "Us",
                "participants": [contact.contact_id, "+44 7700 900124", contact.contact_id],
                "invite": False,
                "settings": {"join_approval": True},
                "idempotency_key": "once",
            },
        )

    def test_for_somebody_else(self):
        with self.daemon(self.created()):
            service = self.env["whatsapp.core.service"]
            self.assertTrue(service.create_group("Club", [FRIEND], self.user.id)["success"])
            self.assertEqual(self.asked[0][1]["uid"], self.user.id)
            refused = self.service().create_group("Club", [FRIEND], self.admin.id)
        self.assertEqual(refused["error"]["code"], 1001)
        self.assertEqual(len(self.asked), 1)

    def test_refusals(self):
        service = self.service()
        with self.daemon(self.created()):
            for code, name, people, kwargs in (
                (1102, " ", [FRIEND], {}),
                (1101, "Club", [""], {}),
                (1101, "Club", 7, {}),
                (1102, "Club", [FRIEND], {"settings": {"color": True}}),
                (1104, "Club", [FRIEND], {"icon": b"\x00no picture"}),
                # an account of others, and one of another company
                (1001, "Club", [FRIEND], {"configuration_id": self.sales.id}),
                (1001, "Club", [FRIEND], {"configuration_id": self.far.id}),
            ):
                answer = service.create_group(name, people, **kwargs)
                self.assertFalse(answer["success"])
                self.assertEqual(answer["error"]["code"], code, (name, people, kwargs))
                self.assertEqual(set(answer), {"success", "error", "meta"})
                with self.assertRaises(UserError):
                    service.create_group(name, people, raise_on_error=True, **kwargs)
            self.assertEqual(
                self.service(self.plain).create_group("Club", [FRIEND])["error"]["code"], 1001
            )
            with self.assertRaises(TypeError):
                service.create_group("Club", [FRIEND], colour="red")
        self.assertEqual(self.asked, [])
        refused = bridge_client.BridgeError(
            "provider_rejected", "no", details={"kind": "provider_rejected"}, request_id="r"
        )
        with self.daemon({"group.create": refused}):
            answer = service.create_group("Club", [FRIEND])
        self.assertEqual(answer["error"]["code"], 1302)
        self.assertEqual(answer["meta"]["request_id"], "r")

    def test_a_request_that_runs_again_repeats_nothing(self):
        service = self.service()

        def keys(*names):
            self.asked.clear()
            with self.daemon(self.created()):
                for name in names:
                    service.create_group(name, [FRIEND])
            return [params["idempotency_key"] for _method, params in self.asked]

        class Request:
            httprequest = type("HttpRequest", (), {})()

        with patch.object(whatsapp_core_service_groups, "request", Request):
            first, again = keys("Club", "Team"), keys("Club", "Team")
        self.assertEqual(first, again)
        self.assertNotEqual(first[0], first[1])
        with patch.object(whatsapp_core_service_groups, "request", None):
            self.assertEqual(len(set(keys("Club", "Club"))), 2)

    def test_remove_group_member(self):
        results = [
            {
                "configuration_id": self.support.id,
                "id": self.club.id,
                "group_id": self.club.group_id,
                "name": "Club",
                "result": "removed",
                "reason": None,
            }
        ]
        with self.daemon({"group.remove_everywhere": {"data": {"results": results}}}):
            answer = self.service(self.admin).remove_group_member(
                FRIEND, group_ids=self.club, farewell="Goodbye", idempotency_key="k"
            )
            self.assertEqual(answer["data"]["results"], results)
            # users do not remove, whatever they may use
            refused = self.service().remove_group_member(FRIEND)
            self.assertEqual(refused["error"]["code"], 1001)
            # a group that an administrator of another company may not see
            far = self.make_group(self.far, "Far group")
            hidden = self.service(self.admin).remove_group_member(FRIEND, group_ids=far.ids)
            self.assertEqual(hidden["error"]["code"], 1504)
        [(method, params)] = self.asked
        self.assertEqual(method, "group.remove_everywhere")
        self.assertEqual(
            params,
            {
                "uid": self.admin.id,
                "participant": FRIEND,
                "group_ids": [self.club.group_id],
                "farewell": "Goodbye",
                "idempotency_key": "k",
            },
        )


@post
class TestGroupRoute(Fixtures, HttpCase):
    def call(self, **params):
        answer = self.url_open(
            "/whatsapp/groups/create",
            data=json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}),
            headers={"Content-Type": "application/json"},
        )
        return answer.json()

    def test_create(self):
        self.make_accounts()
        user = new_test_user(self.env, "wa_group_user", GROUP_USER, password="wa_group_user")
        self.support.write({"user_ids": [(4, user.id)]})
        self.assertIn("error", self.call(name="Club", participants=[FRIEND]))  # no session
        self.authenticate(user.login, user.login)
        with keys_file(self.env.cr.dbname), mute_logger(CLIENT_LOGGER):
            answer = self.call(name="Club", participants=[FRIEND])["result"]
            self.assertEqual(answer["error"]["details"]["kind"], "bridge_unavailable")
            for code, params in (
                (1102, {"participants": [FRIEND]}),
                (1102, {"name": "Club", "participants": [FRIEND], "colour": "red"}),
                (1001, {"name": "Club", "participants": [FRIEND], "user_id": 1}),
                (
                    1001,
                    {
                        "name": "Club",
                        "participants": [FRIEND],
                        "configuration_id": self.sales.id,
                    },
                ),
            ):
                answer = self.call(**params)["result"]
                self.assertEqual(answer["error"]["code"], code, params)
            raised = self.call(name="", raise_on_error=True)
            self.assertIn("error", raised)
