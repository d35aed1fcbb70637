"""Buttons of groups and members, their wizards, actions on many groups, and the server action."""

import base64
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..series import invalidate
from ..wizards import whatsapp_group_bulk_wizard
from .common import GROUP_ADMIN, V, post
from .group_common import LINK, GroupCase
from .test_group_wizards import FRIEND, REFUSES, picture


def data(**values):
    return {"data": values, "meta": {}}


@post
class TestGroupActions(GroupCase):
    def setUp(self):
        super().setUp()
        self.ada = self.make_contact(self.support, FRIEND, name="Ada")
        self.boss = self.make_contact(self.support, "+447700900111", name="Boss")
        self.owner = self.make_contact(self.support, "+447700900112", name="Owner")
        self.team = self.make_group(
            self.support,
            "Team",
            [(self.ada, "member"), (self.boss, "admin"), (self.owner, "superadmin")],
            invite_link=LINK,
        )

    def members(self, user):
        return {m.contact_id.name: m for m in self.team.with_user(user).member_ids}

    def test_each_button_is_one_call(self):
        group = self.team.with_user(self.user)
        changed = data(participants=self.results(p447700900123="promoted"), completion="done")
        for button, method in (
            ("action_refresh", "group.info"),
            ("action_invite_link", "group.invite_link"),
            ("action_revoke_link", "group.revoke_invite"),
            ("action_leave", "group.leave"),
        ):
            with self.daemon({method: data(completion="done", invite_link=LINK)}):
                self.assertIs(getattr(group, button)(), True)
        members = self.members(self.admin)
        for button, method, name in (
            ("action_promote", "group.promote", "Ada"),
            ("action_demote", "group.demote", "Boss"),
            ("action_remove", "group.remove", "Ada"),
        ):
            with self.daemon({method: changed}):
                self.assertIs(getattr(members[name], button)(), True)
            asked, params = self.asked[-1]
            self.assertEqual(asked, method)
            self.assertEqual(params["participants"], [members[name].contact_id.contact_id])
        for _method, params in self.asked:
            self.assertEqual(params["group_id"], self.team.group_id)
            self.assertEqual(params["configuration_id"], self.support.id)
        self.assertEqual(len(self.asked), 7)

    def test_a_refusal_is_never_a_success(self):
        member = self.members(self.user)["Ada"]
        for word, reason in (("not_admin", None), ("failed", "try later"), ("not_member", None)):
            rows = self.results(p447700900123=(word, reason))
            with self.daemon({"group.promote": data(participants=rows, completion="done")}):
                with self.assertRaises(UserError) as raised:
                    member.action_promote()
            self.assertIn("Ada", str(raised.exception))
            self.assertIn(reason or "Ada", str(raised.exception))
        rows = self.results(p447700900123="waiting")
        with self.daemon({"group.promote": data(participants=rows, completion="waiting")}):
            self.assertEqual(member.action_promote()["tag"], "display_notification")

    def test_who_may_what(self):
        """A user without rights on the account, a user who removes, an administrator elsewhere."""
        with self.daemon():
            theirs = self.make_group(self.sales, "Theirs").with_user(self.user)
            far = self.make_group(self.far, "Far")
            for group in (theirs, far.with_user(self.admin), self.team.with_user(self.plain)):
                for button in (
                    "action_refresh",
                    "action_invite_link",
                    "action_revoke_link",
                    "action_leave",
                    "action_add_people",
                    "action_edit_group",
                    "action_send_invitation",
                    "action_share_link",
                    "action_open_page",
                    "action_close_page",
                    "action_bulk_links",
                    "action_bulk_members",
                    "action_bulk_sync",
                ):
                    with self.assertRaises(AccessError, msg=(group.env.user.login, button)):
                        getattr(group, button)()
            with self.assertRaises(AccessError):
                self.members(self.user)["Ada"].action_remove()
            with self.assertRaises(AccessError):
                self.team.with_user(self.user).action_remove_people()
            wizards = self.env["whatsapp.group.remove.wizard"]
            with self.assertRaises(AccessError):
                wizards.with_user(self.user).create({"number": FRIEND, "person_type": "number"})
            made = wizards.create({"number": FRIEND, "person_type": "number"})
            with self.assertRaises(AccessError):
                made.with_user(self.user).action_remove()
            join = self.env["whatsapp.group.join.wizard"]
            with self.assertRaises(AccessError):
                join.with_user(self.plain).create({"invite_link": LINK})
        self.assertEqual(self.asked, [])

    def test_what_is_shown(self):
        with self.daemon():
            user, admin = self.members(self.user), self.members(self.admin)
            self.assertEqual(
                [
                    (name, m.can_promote, m.can_demote, m.can_remove)
                    for name, m in sorted(user.items())
                ],
                [
                    ("Ada", True, False, False),
                    ("Boss", False, True, False),
                    ("Owner", False, False, False),
                ],
            )
            self.assertEqual([admin[name].can_remove for name in sorted(admin)], [1, 1, 0])
        bridge_client.CAPABILITIES.clear()
        with self.daemon(cannot=("promote", "invite")):
            invalidate(self.team)
            group = self.team.with_user(self.admin)
            self.assertEqual((group.can_promote, group.can_invite, group.can_add), (0, 0, 1))
        bridge_client.CAPABILITIES.clear()
        self.insert("whatsapp_group_member", group_id=self.club.id, contact_id=self.ada.id)
        left = self.make_group(self.support, "Old", is_active=False)
        with self.daemon():
            self.assertFalse(left.with_user(self.user).can_add)
            self.assertEqual(base64.b64decode(self.team.invite_qr)[:4], b"\x89PNG")

    def test_invitations_by_message(self):
        group = self.team.with_user(self.user)
        context = group.action_send_invitation()["context"]
        self.assertIn(LINK, context["default_text"])
        self.assertIn("Team", context["default_text"])
        self.assertTrue(group.action_share_link()["url"].startswith("https://wa.me/?text="))
        # one whose link nobody knows yet
        with self.daemon({"group.invite_link": data(invite_link=LINK)}):
            context = self.club.with_user(self.user).action_send_invitation()["context"]
        self.assertIn(LINK, context["default_text"])

    def test_add_people(self):
        action = self.team.with_user(self.user).action_add_people()
        wizards = self.env["whatsapp.group.add.wizard"].with_user(self.user)
        wizard = wizards.with_context(**action["context"]).create({"numbers": REFUSES})
        rows = self.results(p447700900802="refused_privacy")
        with self.daemon({"group.add": data(participants=rows, completion="done")}):
            opened = wizard.action_add()
        self.assertEqual((opened["res_id"], wizard.done), (wizard.id, True))
        [(_method, params)] = self.asked
        self.assertEqual(params["participants"], [REFUSES])
        self.assertEqual(params["idempotency_key"], wizard.idempotency_key)
        self.assertIs(params["invite"], True)
        self.assertTrue(wizard.can_invite)
        with self.daemon({"message.send_bulk": data(results=[{"id": 5}])}):
            wizard.action_invite_rest()
        self.assertEqual(wizard.line_ids.result, "invited")
        self.assertIn(LINK, self.asked[-1][1]["messages"][0]["text"]["body"])
        with self.daemon(), self.assertRaises(UserError):
            wizards.with_context(**action["context"]).create({}).action_add()

    def test_edit_group(self):
        action = self.team.with_user(self.user).action_edit_group()
        wizards = self.env["whatsapp.group.edit.wizard"].with_user(self.user)
        wizards = wizards.with_context(**action["context"])
        with self.daemon(), self.assertRaises(UserError):
            wizards.create({}).action_apply()  # nothing was changed
        done = {"group.update": data(done=["name"], problems=[])}
        with self.daemon(done):
            wizard = wizards.create(
                {
                    "name": "New Team",
                    "description": "All",
                    "icon": picture(20, 20),
                    "join_approval": True,
                    "only_admins_add": "no",
                }
            )
            self.assertEqual(wizard.action_apply(), {"type": "ir.actions.act_window_close"})
        params = self.asked[-1][1]
        self.assertEqual(params.pop("icon")["mimetype"], "image/jpeg")
        self.assertEqual(
            params,
            {
                "uid": self.user.id,
                "configuration_id": self.support.id,
                "group_id": self.team.group_id,
                "name": "New Team",
                "description": "All",
                "settings": {"join_approval": True, "only_admins_add": False},
            },
        )
        problem = {"group.update": data(done=["name"], problems=["The picture was refused."])}
        with self.daemon(problem):
            wizard = wizards.create({"name": "Newer", "remove_icon": True})
            self.assertEqual(wizard.action_apply()["res_id"], wizard.id)
        self.assertEqual(wizard.problems, "The picture was refused.")

    def test_join(self):
        wizards = self.env["whatsapp.group.join.wizard"].with_user(self.user)
        wizard = wizards.create({"invite_link": " %s " % LINK})
        self.assertEqual(wizard.configuration_id, self.support)
        joined = data(id=self.club.id, group_id=self.club.group_id, completion="done")
        with self.daemon({"group.join": joined}):
            self.assertEqual(wizard.action_join()["res_id"], self.club.id)
        self.assertEqual(self.asked[0][1]["invite_link"], LINK)
        with self.daemon({"group.join": data(id=None, group_id=None, completion="waiting")}):
            told = wizard.action_join()
        self.assertEqual(told["params"]["next"]["type"], "ir.actions.act_window_close")


@post
class TestRemoveEverywhere(GroupCase):
    def setUp(self):
        super().setUp()
        self.leaver = self.make_contact(self.support, FRIEND, name="Leaver")
        self.twin = self.make_contact(self.sales, FRIEND, name="Leaver too")
        self.one = self.make_group(self.support, "One", [(self.leaver, "member")])
        self.two = self.make_group(self.sales, "Two", [(self.twin, "admin")])
        self.make_group(self.support, "Old", [(self.leaver, "member")], is_active=False)

    def receipts(self, *rows, **more):
        results = [
            {
                "configuration_id": group.configuration_id.id,
                "id": group.id,
                "group_id": group.group_id,
                "name": group.name,
                "result": result,
                "reason": reason,
            }
            for group, result, reason in rows
        ]
        return {"group.remove_everywhere": data(results=results, **more)}

    def wizard(self, context=None, **values):
        wizards = self.env["whatsapp.group.remove.wizard"].with_user(self.admin)
        return wizards.with_context(**(context or {})).create(values)

    def test_everywhere(self):
        wizard = self.wizard(contact_id=self.leaver.id, farewell=" Goodbye ")
        self.assertEqual(wizard.found_ids, self.one + self.two)
        answer = self.receipts(
            (self.one, "removed", None),
            (self.two, "not_admin", "the account is a plain member"),
            farewell={"id": 3, "status": "sent", "reason": None},
        )
        with self.daemon(answer):
            wizard.action_remove()
        [(_method, params)] = self.asked
        self.assertEqual(
            params,
            {
                "uid": self.admin.id,
                "participant": FRIEND,
                "farewell": "Goodbye",
                "idempotency_key": wizard.idempotency_key,
            },
        )
        self.assertEqual(
            [(line.name, line.result, line.good) for line in wizard.line_ids],
            [("One (Support)", "removed", True), ("Two (Sales)", "not_admin", False)],
        )
        self.assertEqual(wizard.farewell_told, "Sent")

    def test_chosen_groups(self):
        wizard = self.wizard(
            person_type="number",
            number="+44 7700 900123",
            scope="chosen",
            group_ids=[(6, 0, self.one.ids)],
        )
        refused = {"id": None, "status": "refused", "reason": "opted out"}
        with self.daemon(self.receipts((self.one, "removed", None), farewell=refused)):
            wizard.action_remove()
        params = self.asked[-1][1]
        self.assertEqual(params["group_ids"], [self.one.group_id])
        self.assertEqual(params["configuration_id"], self.support.id)
        self.assertIn("opted out", wizard.farewell_told)

    def test_rows_of_an_onchange_have_names(self):
        self.assertEqual(self.env["whatsapp.group"].new(origin=self.one).display_name, "One")

    def test_nobody_and_nowhere(self):
        nameless = self.env["res.partner"].create({"name": "Without number"})
        with self.daemon(self.receipts()):
            for values in (
                {"person_type": "partner", "partner_id": nameless.id},
                {"person_type": "number", "number": " "},
                {"contact_id": self.leaver.id, "scope": "chosen"},
            ):
                with self.assertRaises(UserError, msg=values):
                    self.wizard(**values).action_remove()
            self.assertEqual(self.asked, [])
            wizard = self.wizard(person_type="number", number="+447700900199")
            self.assertFalse(wizard.found_ids)
            wizard.action_remove()
        self.assertTrue(wizard.done)
        self.assertFalse(wizard.line_ids)

    def test_again_where_it_failed(self):
        wizard = self.wizard(contact_id=self.leaver.id, farewell="Goodbye")
        first = self.receipts((self.one, "removed", None), (self.two, "failed", "no time left"))
        with self.daemon(first):
            wizard.action_remove()
        self.assertTrue(wizard.can_again)
        unreachable = bridge_client.BridgeError("bridge_unavailable", "no answer")
        with self.daemon({"group.remove_everywhere": unreachable}):
            with self.assertRaises(UserError):
                wizard.action_again()
        # the same WhatsApp group may be there at another account: that receipt is not asked for
        second = self.receipts((self.two, "removed", None), (self.one, "not_member", None))
        with self.daemon(second):
            wizard.action_again()
        keys = [params["idempotency_key"] for _method, params in self.asked]
        self.assertEqual(keys[1], keys[2])
        self.assertNotEqual(keys[0], keys[1])
        params = self.asked[-1][1]
        self.assertEqual(params["group_ids"], [self.two.group_id])
        self.assertNotIn("farewell", params)
        self.assertEqual(wizard.line_ids.mapped("result"), ["removed", "removed"])
        self.assertFalse(wizard.can_again)
        with self.daemon(), self.assertRaises(UserError):
            wizard.action_again()

    def test_from_a_list(self):
        context = {"active_model": "whatsapp.contact", "active_ids": self.leaver.ids}
        self.assertEqual(self.wizard(context).contact_id, self.leaver)
        partner = self.env["res.partner"].create({"name": "P", "phone": FRIEND})
        context = {"active_model": "res.partner", "active_ids": partner.ids}
        self.assertEqual(self.wizard(context).partner_id, partner)

    def server_action(self, **values):
        model = self.env["ir.model"]._get_id("res.partner")
        values = dict({"name": "Bye", "model_id": model, "state": "whatsapp_remove"}, **values)
        return self.env["ir.actions.server"].create(values)

    def test_server_action(self):
        partner = self.env["res.partner"].create({"name": "P", "phone": FRIEND})
        context = {
            "active_model": "res.partner",
            "active_id": partner.id,
            "active_ids": partner.ids,
        }
        # for administrators, who need not be able to change partners
        only = {"groups_id" if V < 19 else "group_ids": [(4, self.env.ref(GROUP_ADMIN).id)]}
        ask = self.server_action(whatsapp_how="ask", whatsapp_text="Goodbye", **only)
        opened = ask.with_user(self.admin).with_context(**context).run()
        self.assertEqual(opened["res_model"], "whatsapp.group.remove.wizard")
        self.assertEqual(opened["context"]["default_partner_id"], partner.id)
        self.assertEqual(opened["context"]["default_farewell"], "Goodbye")

        at_once = self.server_action(whatsapp_how="send", whatsapp_text="Goodbye")
        with self.daemon(self.receipts((self.one, "removed", None), farewell=None)):
            at_once.with_context(**context).run()
        [(method, params)] = self.asked
        self.assertEqual(method, "group.remove_everywhere")
        self.assertEqual((params["participant"], params["farewell"]), (FRIEND, "Goodbye"))
        self.assertIn("One: Removed", partner.message_ids[0].body)
        gone = bridge_client.BridgeError("provider_unavailable", "not <now>")
        with self.daemon({"group.remove_everywhere": gone}):
            at_once.with_context(**context).run()
        self.assertIn("not &lt;now&gt;", partner.message_ids[0].body)


@post
class TestBulk(GroupCase):
    def setUp(self):
        super().setUp()
        self.other = self.make_group(self.support, "Other")
        self.groups = (self.club + self.other).with_user(self.user)

    def lines(self, action):
        wizard = self.env[action["res_model"]].browse(action["res_id"])
        counts = (wizard.done_count, wizard.failed_count, wizard.left_count)
        return counts, [(line.name, line.result, line.reason) for line in wizard.line_ids]

    def test_links_and_members(self):
        def link(params):
            if params["group_id"] == self.other.group_id:
                raise bridge_client.BridgeError("provider_rejected", "not an administrator")
            return data(invite_link=LINK)

        rows = [{"state": "joined"}, {"state": "left"}, {"state": "joined"}]
        with self.daemon({"group.invite_link": link, "group.info": data(participants=rows)}):
            links = self.groups.action_bulk_links()
            members = self.groups.action_bulk_members()
        self.assertEqual(
            self.lines(links),
            (
                (1, 1, 0),
                [("Club", "done", LINK), ("Other", "failed", "not an administrator")],
            ),
        )
        self.assertEqual(
            self.lines(members),
            ((2, 0, 0), [("Club", "done", "2 members"), ("Other", "done", "2 members")]),
        )

    def test_no_request_takes_for_ever(self):
        with patch.object(whatsapp_group_bulk_wizard, "BUDGET_S", -1):
            with self.daemon({"group.invite_link": data(invite_link=LINK)}):
                counts, lines = self.lines(self.groups.action_bulk_links())
        self.assertEqual((counts, len(lines)), ((1, 0, 1), 1))

    def test_synchronise(self):
        with self.daemon({"sync.start": data(job_id=41)}):
            counts, lines = self.lines(self.groups.action_bulk_sync())
        self.assertEqual((counts, lines), ((1, 0, 0), [("Support", "done", "Run 41")]))
        [(_method, params)] = self.asked
        self.assertEqual((params["kinds"], params["mode"]), (["groups"], "incremental"))
