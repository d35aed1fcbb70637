from odoo.exceptions import AccessError, UserError
from odoo.tools import mute_logger

from .. import bridge_client
from .common import V, WhatsappCase, post
from .test_sync import Daemon


@post
class TestContacts(Daemon, WhatsappCase):
    def setUp(self):
        super().setUp()
        self.contact = self.make("447700900001", phone="+447700900001", pushname="Al")

    def make(self, chat, account=None, **values):
        account = account or self.support
        row = self.insert(
            "whatsapp_contact",
            configuration_id=account.id,
            contact_id=chat,
            provider="whapi",
            **values,
        )
        return self.env["whatsapp.contact"].browse(row)

    def partner(self, name, phone):
        return self.env["res.partner"].create({"name": name, "phone": phone})

    # --- names

    def test_users_write_the_name_and_the_time_goes_with_it(self):
        mine = self.contact.with_user(self.user)
        mine.write({"name": "  Alfred "})
        self.assertEqual(mine.name, "Alfred")
        self.assertTrue(mine.name_edited_at)
        self.assertEqual(mine.display_name, "Alfred")
        # emptied: nobody named it, the provider's comes back with the next synchronisation
        mine.write({"name": " "})
        self.assertFalse(mine.name)
        self.assertFalse(mine.name_edited_at)
        self.env.cr.execute("SELECT name FROM whatsapp_contact WHERE id = %s", [mine.id])
        self.assertEqual(self.env.cr.fetchone(), (None,))

    def test_nothing_but_the_name(self):
        for user in (self.user, self.admin):
            mine = self.contact.with_user(user)
            for vals in (
                {"phone": "+1"},
                {"partner_id": False},
                {"name": "x", "partner_chosen": True},
                {"name": "x", "name_edited_at": "2020-01-01 00:00:00"},
            ):
                with self.assertRaises(AccessError):
                    mine.write(vals)
            with self.assertRaises(AccessError), mute_logger("odoo.models"):
                mine.unlink()
        foreign = self.make("447700900002", self.sales)
        with self.assertRaises(AccessError):
            foreign.with_user(self.user).write({"name": "x"})
        with self.assertRaises(AccessError):
            self.contact.with_user(self.plain).write({"name": "x"})

    def test_groups_are_named_too(self):
        row = self.insert(
            "whatsapp_group", configuration_id=self.support.id, group_id="1@g.us", name="Team"
        )
        group = self.env["whatsapp.group"].browse(row).with_user(self.user)
        group.write({"name": "Our team"})
        self.assertTrue(group.name_edited_at)
        with self.assertRaises(AccessError):
            group.write({"description": "x"})

    # --- partners

    def test_a_chosen_partner_is_marked_as_chosen(self):
        mine = self.contact.with_user(self.user)
        one, other = self.partner("One", "+447700900001"), self.partner("Other", "+447700900009")
        self.assertEqual(mine.candidate_ids, one)
        self.assertFalse(mine.partner_chosen)
        mine._link_partner(one.with_user(self.user))
        self.assertEqual((mine.partner_id, mine.partner_chosen), (one, True))
        mine.action_unlink_partner()
        # not linked again by a sweep: somebody said it is not theirs
        self.assertEqual((bool(mine.partner_id), mine.partner_chosen), (False, True))
        with self.assertRaises(UserError):
            mine._link_partner(other.with_user(self.user))

    def test_anybody_may_be_chosen_in_the_wizard(self):
        mine = self.contact.with_user(self.user)
        other = self.partner("Other", "+447700900009")
        context = mine.action_choose_partner()["context"]
        wizard = self.env["whatsapp.contact.partner.wizard"].with_user(self.user)
        wizard = wizard.with_context(**context).create({})
        self.assertEqual(wizard.contact_id, self.contact)
        with self.assertRaises(UserError):
            wizard.action_choose()
        wizard.partner_id = other
        wizard.action_choose()
        self.assertEqual((mine.partner_id, mine.partner_chosen), (other, True))
        foreign = self.make("447700900002", self.sales)
        with self.assertRaises(AccessError):
            wizard.create({"contact_id": foreign.id, "partner_id": other.id})
        # Made while it was visible, used when it is not any more.
        late = wizard.sudo().create({"contact_id": foreign.id, "partner_id": other.id})
        with self.assertRaises(AccessError):
            late.with_user(self.user).action_choose()
        self.assertFalse(foreign.partner_id)

    # --- block

    def test_blocking_is_asked_of_the_bridge_and_shown_when_it_is_done(self):
        self.daemon({"contact.block": {"contact_id": self.contact.id, "blocked": True}})
        mine = self.contact.with_user(self.user)
        self.assertTrue(mine.can_block)
        mine.action_block()
        mine.action_unblock()
        params = {"configuration_id": self.support.id, "to": {"contact_id": mine.id}}
        self.assertEqual(
            self.asked,
            [
                ("contact.block", dict(params, blocked=True), self.user.id),
                ("contact.block", dict(params, blocked=False), self.user.id),
            ],
        )
        # the row is the bridge's
        self.assertFalse(mine.is_blocked)
        foreign = self.make("447700900002", self.sales)
        with self.assertRaises(AccessError):
            foreign.with_user(self.user).action_block()
        self.daemon(cannot=("contact_block",))
        self.contact.invalidate_cache() if V < 16 else self.contact.invalidate_recordset()
        self.assertFalse(mine.can_block)

    # --- refresh

    def test_one_person_is_read_anew(self):
        mine = self.contact.with_user(self.user)
        self.daemon({"contact.refresh": {"results": [{"id": mine.id, "changed": True}]}})
        self.assertTrue(mine.can_refresh)
        self.assertIs(mine.action_refresh(), True)
        params = {"configuration_id": self.support.id, "contact_ids": [mine.id]}
        self.assertEqual(self.asked, [("contact.refresh", params, self.user.id)])
        error = {"code": 1504, "message": "Nobody knows them.", "data": {}}
        self.daemon({"contact.refresh": {"results": [{"id": mine.id, "error": error}]}})
        with self.assertRaisesRegex(UserError, "Nobody knows them."):
            mine.action_refresh()
        foreign = self.make("447700900002", self.sales)
        with self.assertRaises(AccessError):
            (mine | foreign.with_user(self.user)).action_refresh()
        with self.assertRaises(AccessError):
            self.contact.with_user(self.plain).action_refresh()
        self.assertEqual(len(self.asked), 1)
        self.daemon(cannot=("contact_refresh",))
        self.contact.invalidate_cache() if V < 16 else self.contact.invalidate_recordset()
        self.assertFalse(mine.can_refresh)
        self.assertTrue(mine.can_block)

    def test_chosen_people_are_read_anew_in_small_calls_of_their_account(self):
        self.sales.user_ids = self.user
        contacts = self.contact | self.make("447700900002", self.sales)
        for number in range(10, 35):
            contacts |= self.make("4477009000%s" % number)
        unknown = contacts[2]

        def told(params):
            if params["configuration_id"] == self.sales.id:
                raise bridge_client.BridgeError("unsupported_by_provider", "It cannot.")
            error = {"code": 1504, "message": "Nobody knows them.", "data": {}}
            return {
                "results": [
                    {"id": i, "error": error} if i == unknown.id else {"id": i, "changed": i % 2 == 0}
                    for i in params["contact_ids"]
                ]
            }

        self.daemon({"contact.refresh": told})
        action = contacts.with_user(self.user).action_refresh()
        calls = [(p["configuration_id"], len(p["contact_ids"])) for _m, p, _u in self.asked]
        own = self.support.id
        self.assertEqual(sorted(calls), sorted([(own, 20), (own, 6), (self.sales.id, 1)]))
        asked = [i for _m, p, _u in self.asked for i in p["contact_ids"]]
        self.assertEqual(sorted(asked), sorted(contacts.ids))
        well = [c for c in contacts if c.configuration_id == self.support and c != unknown]
        changed = len([c for c in well if c.id % 2 == 0])
        self.assertEqual(
            action["params"]["message"],
            "25 of 27 contacts were read, %s changed.\nIt cannot.\nNobody knows them." % changed,
        )
        self.assertEqual(action["params"]["type"], "warning")
        # from the list's menu
        menu = self.env.ref("whatsapp_integration.whatsapp_contact_refresh_action")
        context = {"active_model": contacts._name, "active_ids": self.contact.ids}
        self.daemon({"contact.refresh": {"results": [{"id": self.contact.id, "changed": False}]}})
        menu.with_user(self.user).with_context(**context).run()
        self.assertEqual(len(self.asked), 1)
        many = self.env["whatsapp.contact"].browse(range(1, 102))
        with self.assertRaisesRegex(UserError, "At most 100"):
            many.action_refresh()

    # --- memberships

    def test_memberships(self):
        group = self.insert(
            "whatsapp_group", configuration_id=self.support.id, group_id="1@g.us", name="Team"
        )
        self.insert(
            "whatsapp_group_member",
            group_id=group,
            contact_id=self.contact.id,
            role="admin",
            state="joined",
        )
        mine = self.contact.with_user(self.user)
        self.assertEqual(mine.member_ids.mapped("group_id").ids, [group])
        self.assertEqual(mine.member_ids.role, "admin")
        action = self.contact.with_user(self.admin).action_remove_from_groups()
        self.assertEqual(action["res_model"], "whatsapp.group.remove.wizard")
        self.assertEqual(action["context"]["default_contact_id"], self.contact.id)

    # --- who is on WhatsApp

    def check(self, records, **values):
        wizard = self.env["whatsapp.contact.check.wizard"].with_user(self.user)
        wizard = wizard.with_context(active_model=records._name, active_ids=records.ids)
        return wizard.create(values)

    def all_of(self, wizard):
        """What the browser does: one call after the other, until the last one."""
        answers, tries = [], 0
        while not answers or "action" not in answers[-1]:
            answers.append(wizard.check_next(tries))
            tries = 0 if answers[-1]["progress"] else tries + 1
            self.assertLess(len(answers), 50)
        return answers

    def told(self, params):
        return {
            "results": [
                {"number": n, "phone": n, "is_wa_contact": n[-1] != "3"} for n in params["numbers"]
            ]
        }

    def test_contacts_are_asked_for_in_small_calls(self):
        contacts = self.contact | self.make("hidden@lid")
        for number in range(10, 35):
            contacts |= self.make("4477009000%s" % number, phone="+4477009000%s" % number)
        wizard = self.check(contacts)
        self.daemon({"contact.check": self.told})
        action = wizard.action_check()
        self.assertEqual(action["tag"], "whatsapp_batches")
        self.assertEqual(action["params"]["total"], 27)
        answers = self.all_of(wizard)
        self.assertEqual([len(params["numbers"]) for _m, params, _u in self.asked], [10, 10, 6])
        self.assertEqual(
            {params["configuration_id"] for _m, params, _u in self.asked}, {self.support.id}
        )
        # one is known beforehand to have no number
        self.assertEqual([answer["done"] for answer in answers], [11, 21, 27])
        self.assertEqual((wizard.count_yes, wizard.count_no, wizard.count_problem), (23, 3, 1))
        self.assertEqual(answers[-1]["action"]["res_id"], wizard.id)

    def test_each_account_asks_for_its_own(self):
        self.sales.user_ids = self.user
        wizard = self.check(
            self.contact | self.make("447700900002", self.sales, phone="+447700900002")
        )
        self.daemon({"contact.check": self.told})
        self.all_of(wizard)
        self.assertEqual(
            [params["configuration_id"] for _m, params, _u in self.asked],
            [self.support.id, self.sales.id],
        )

    def test_partners_are_asked_for_by_an_account(self):
        partners = self.partner("One", "+447700900001") | self.partner("None", False)
        wizard = self.check(partners)
        self.assertTrue(wizard.needs_account)
        self.assertEqual(wizard.configuration_id, self.support)
        self.daemon({"contact.check": self.told})
        self.all_of(wizard)
        self.assertEqual(wizard.line_ids.mapped("state"), ["yes", "problem"])

    def test_a_provider_that_wants_a_pause_gets_it(self):
        slow = bridge_client.BridgeError(
            "provider_rate_limited", "Slower.", retryable=True, details={"retry_after": 7}
        )
        answers = [slow, slow, None]
        self.daemon({"contact.check": lambda params: answers.pop(0) or self.told(params)})
        wizard = self.check(self.contact)
        told = self.all_of(wizard)
        self.assertEqual([answer["wait_s"] for answer in told], [7, 7, 1])
        self.assertEqual([answer["progress"] for answer in told], [False, False, True])
        self.assertEqual(wizard.line_ids.state, "yes")

    def test_what_cannot_be_known_is_said_with_its_reason(self):
        never = bridge_client.BridgeError("provider_timeout", "Too late.", retryable=True)
        self.daemon({"contact.check": never})
        wizard = self.check(self.contact)
        self.all_of(wizard)
        self.assertEqual(len(self.asked), 4)
        self.assertEqual((wizard.line_ids.state, wizard.line_ids.reason), ("problem", "Too late."))
        odd = {"number": "x", "error": {"message": "No number."}}
        self.daemon({"contact.check": {"results": [odd]}})
        wizard = self.check(self.contact)
        self.all_of(wizard)
        self.assertEqual(wizard.line_ids.reason, "No number.")
