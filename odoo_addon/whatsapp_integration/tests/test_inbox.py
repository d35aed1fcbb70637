import json
from datetime import datetime, timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..series import invalidate
from .common import WhatsappCase, keys_file, post

CHAT = "447700900123@s.whatsapp.net"
T0 = datetime(2026, 3, 1, 12, 0, 0)


@post
class TestInbox(WhatsappCase):
    def setUp(self):
        super().setUp()
        self.contact = self.insert(
            "whatsapp_contact",
            configuration_id=self.support.id,
            contact_id=CHAT,
            phone="+447700900123",
            name="Amira Osei",
        )
        self.chat = self.make_chat(self.support, CHAT, contact_id=self.contact)
        self.inbox = self.env["whatsapp.chat"].with_user(self.user)

    def make_chat(self, account, chat_id, at=T0, **values):
        row = self.insert(
            "whatsapp_chat",
            configuration_id=account.id,
            chat_id=chat_id,
            last_message_at=at,
            **values
        )
        return self.env["whatsapp.chat"].browse(row)

    def say(self, number, at=T0, **values):
        values = dict({"chat_id": CHAT, "contact_id": self.contact}, **values)
        return self.insert_message(
            self.support, message_id="M%s" % number, timestamp=at, **values
        ).id

    def ids(self, answer):
        return [row["id"] for row in answer["messages"]]

    # ---- chats

    def test_chats_by_activity_and_pages(self):
        others = [
            self.make_chat(self.support, "%s@s.whatsapp.net" % n, T0 - timedelta(hours=n // 2))
            for n in range(1, 8)
        ]
        silent = self.make_chat(self.support, "9@s.whatsapp.net", None)
        wanted = sorted(
            [self.chat] + others, key=lambda c: (c.last_message_at, c.id), reverse=True
        ) + [silent]
        seen, before = [], None
        for _page in range(10):
            answer = self.inbox.inbox_chats(limit=2, before=before)
            seen += [chat["id"] for chat in answer["chats"]]
            before = answer["next"]
            if not before:
                break
        self.assertEqual(seen, [chat.id for chat in wanted])

    def test_rules_apply(self):
        hidden = self.make_chat(self.sales, CHAT)
        far = self.make_chat(self.far, CHAT)
        self.assertEqual([c["id"] for c in self.inbox.inbox_chats()["chats"]], self.chat.ids)
        for chat in (hidden, far):
            answer = self.inbox.inbox_messages(chat.id)
            self.assertEqual((answer["chat"], answer["messages"]), (False, []))
            self.assertFalse(self.inbox.inbox_chats({"id": chat.id})["chats"])
            with self.assertRaises(AccessError):
                self.inbox.inbox_mark_read(chat.id, 1)
            with self.assertRaises(AccessError):
                self.inbox.inbox_send(chat.id, "x", "key")
        accounts = self.inbox.inbox_start()["accounts"]
        self.assertEqual([account["id"] for account in accounts], self.support.ids)
        with self.assertRaises(AccessError):
            self.env["whatsapp.chat"].with_user(self.plain).inbox_chats()

    def test_filters(self):
        group = self.insert(
            "whatsapp_group",
            configuration_id=self.support.id,
            group_id="1@g.us",
            name="Delivery team",
            is_active=True,
        )
        team = self.make_chat(self.support, "1@g.us", group_id=group, unread_count=3)
        partner = self.env["res.partner"].create({"name": "Osei Ltd"})
        person = self.env["res.partner"].create({"name": "Ada", "parent_id": partner.id})
        self.env["whatsapp.contact"].browse(self.contact).write({"partner_id": person.id})
        for filters, found in (
            ({"unread": True}, team),
            ({"groups": True}, team),
            ({"search": "deliv"}, team),
            ({"search": "osei"}, self.chat),
            ({"search": "07700 900 123"}, self.chat),
            ({"search": "nobody"}, team.browse()),
            ({"search": "%"}, team.browse()),
            ({"partner_id": partner.id}, self.chat),
            ({"partner_id": person.id}, self.chat),
            ({"configuration_id": self.support.id}, team + self.chat),
        ):
            ids = [chat["id"] for chat in self.inbox.inbox_chats(filters)["chats"]]
            self.assertEqual(sorted(ids), sorted(found.ids), filters)
        self.assertEqual(partner.with_user(self.user).whatsapp_chat_count, 1)

    def test_why_nothing_can_be_written(self):
        def closed(chat):
            return self.inbox.inbox_chats({"id": chat.id})["chats"][0]["closed"]

        self.assertFalse(closed(self.chat))
        gone = self.insert(
            "whatsapp_group", configuration_id=self.support.id, group_id="2@g.us", is_active=False
        )
        self.assertIn("group", closed(self.make_chat(self.support, "2@g.us", group_id=gone)))
        self.assertIn("channel", closed(self.make_chat(self.support, "3@newsletter")))
        self.support.write({"provider": "meta"})
        self.assertIn("24 hours", closed(self.chat))
        recent = self.make_chat(self.support, "4", last_inbound_at=datetime.utcnow())
        self.assertFalse(closed(recent))
        self.support.write({"active": False})
        self.assertIn("archived", closed(self.chat))

    # ---- messages

    def test_messages_in_order_and_pages(self):
        late = self.say(1, T0 - timedelta(hours=1))
        same = [self.say(n, T0) for n in (2, 3, 4)]
        early = self.say(5, T0 - timedelta(days=1))  # inserted last, written first
        queued = self.say(6, None, direction="outbound", status="queued")
        wanted = [early, late] + same + [queued]
        self.assertEqual(self.ids(self.inbox.inbox_messages(self.chat.id)), wanted)
        seen, before = [], None
        for _page in range(10):
            answer = self.inbox.inbox_messages(self.chat.id, before, 2)
            seen = self.ids(answer) + seen
            if not answer["more"]:
                break
            before = seen[0]
        self.assertEqual(seen, wanted)

    def test_messages_that_are_shown_already(self):
        old = self.say(1, T0 - timedelta(days=1))
        new = [self.say(n, T0) for n in (2, 3)]
        other = self.insert_message(self.support, chat_id="other", message_id="O").id
        answer = self.inbox.inbox_messages(self.chat.id, limit=2, ids=[old, other, 987654321])
        self.assertEqual(self.ids(answer), [old] + new)
        self.assertEqual(sorted(answer["page"]), new)
        self.assertTrue(answer["more"])

    def test_reactions_hang_on_their_message(self):
        target = self.say(1)
        other = self.insert(
            "whatsapp_contact",
            configuration_id=self.support.id,
            contact_id="b@s.whatsapp.net",
            pushname="Ben",
        )
        for number, minutes, values in (
            (2, 1, {"content": "👍"}),
            (3, 2, {"content": "❤"}),  # instead of the former
            (4, 3, {"content": "❤", "contact_id": other}),
            (5, 1, {"content": "🎉", "direction": "outbound", "contact_id": None}),
            (6, 5, {"content": None, "direction": "outbound", "contact_id": None}),
        ):
            values.update(message_type="reaction", reply_to_id=target)
            self.say(number, T0 + timedelta(minutes=minutes), **values)
        lost = self.say(7, message_type="reaction", content="👍")
        answer = self.inbox.inbox_messages(self.chat.id)
        self.assertEqual(sorted(self.ids(answer)), [target, lost])
        row = [message for message in answer["messages"] if message["id"] == target][0]
        self.assertEqual(
            row["reactions"],
            [{"emoji": "❤", "names": ["Amira Osei", "Ben"], "mine": False, "count": 2}],
        )

    def test_what_a_message_holds(self):
        media = self.insert(
            "whatsapp_media", mimetype="image/jpeg", size=7, state="failed", reason="gone"
        )
        first = self.say(1, media_id=media, message_type="image", caption="Look", content=None)
        self.insert(
            "whatsapp_message_revision", message_id=first, revision="r", caption="Lok", edited_at=T0
        )
        self.say(2, T0 + timedelta(minutes=1), reply_to_id=first, content="Nice")
        self.say(
            3,
            T0 + timedelta(minutes=2),
            direction="outbound",
            status="failed",
            error_code="provider_rejected",
            error_message="131026",
            user_id=self.user.id,
        )
        deleted = T0 + timedelta(minutes=3)
        self.say(4, deleted, content="secret", status="deleted", media_id=media)
        location = json.dumps({"location": {"latitude": 1.5, "longitude": 2}})
        self.say(5, T0 + timedelta(minutes=4), message_type="location", extra=location)
        self.say(6, T0 + timedelta(minutes=5), message_type="unknown", extra='{"raw": 1}')
        rows = self.inbox.inbox_messages(self.chat.id)["messages"]
        self.assertEqual(rows[0]["text"], "Look")
        self.assertEqual(rows[0]["media"]["state"], "failed")
        self.assertEqual(rows[1]["quoted"]["id"], first)
        self.assertIn("131026", rows[2]["failure"])
        self.assertEqual(rows[2]["user"], self.user.name)
        self.assertEqual((rows[3]["text"], rows[3]["media"]), ("", False))
        self.assertEqual(rows[4]["extra"]["location"]["latitude"], 1.5)
        self.assertFalse(rows[5]["extra"])
        former = self.inbox.inbox_revisions(first)
        self.assertEqual([row["text"] for row in former], ["Lok"])

    def test_queries_do_not_grow_with_rows(self):
        def count():
            invalidate(self.inbox)
            before = self.env.cr.sql_log_count
            self.inbox.inbox_messages(self.chat.id)
            self.inbox.inbox_chats()
            return self.env.cr.sql_log_count - before

        first = self.say(0)
        self.say(1, reply_to_id=first)
        count()  # caches of rights are filled
        few = count()
        for number in range(2, 30):
            self.say(number, reply_to_id=first)
            self.make_chat(self.support, "%s@s.whatsapp.net" % number, contact_id=self.contact)
        self.assertLessEqual(count(), few + 2)

    # ---- doing

    def test_send_and_read_go_to_the_daemon(self):
        asked = []

        def call(env, method, params, wait_ms=0):
            asked.append((env.uid, method, params))
            return {"data": {"id": 1, "chats": [{"unread_count": 2}]}, "meta": {}}

        with patch.object(bridge_client, "call", call):
            sent = self.inbox.inbox_send(self.chat.id, "Hi", "key", reply_to=5)
            read = self.inbox.inbox_mark_read(self.chat.id, 7)
        account = {"configuration_id": self.support.id}
        self.assertEqual(
            asked,
            [
                (
                    self.user.id,
                    "message.send",
                    dict(
                        account,
                        to={"contact_id": self.contact},
                        type="text",
                        text={"body": "Hi"},
                        idempotency_key="key",
                        reply_to=5,
                    ),
                ),
                (
                    self.user.id,
                    "message.mark_read",
                    dict(account, chat_id=CHAT, up_to=7),
                ),
            ],
        )
        self.assertTrue(sent["success"])
        self.assertEqual(read["data"], {"unread_count": 2})

    def test_failure_is_an_answer(self):
        with keys_file(self.env.cr.dbname):
            answer = self.inbox.inbox_send(self.chat.id, "Hi", "key")
        self.assertFalse(answer["success"])
        self.assertEqual(answer["error"]["kind"], "bridge_unavailable")
        self.assertTrue(answer["error"]["message"])

    # ---- opening and linking

    def test_opening(self):
        chat = self.chat.with_user(self.user)
        action = chat.action_inbox()
        self.assertEqual((action["tag"], action["params"]), ("whatsapp_inbox", {"chat_id": chat.id}))
        partner = self.env["res.partner"].create({"name": "Ada"}).with_user(self.user)
        self.assertEqual(partner.action_whatsapp_inbox()["params"], {"partner_id": partner.id})
        contact = self.env["whatsapp.contact"].with_user(self.user).browse(self.contact)
        self.assertEqual(contact.action_inbox()["params"], {"chat_id": chat.id})

    def test_candidates_are_a_choice(self):
        partners = self.env["res.partner"].create(
            [
                {"name": "Amira", "phone": "+44 7700 900123"},
                {"name": "Osei Ltd", "phone": "+447700900123"},
                {"name": "Somebody", "phone": "+447700900124"},
                {
                    "name": "Elsewhere",
                    "phone": "+447700900123",
                    "company_id": self.other_company.id,
                },
            ]
        )
        contact = self.env["whatsapp.contact"].with_user(self.user).browse(self.contact)
        self.support.write({"company_id": self.company.id})
        self.assertEqual(contact.candidate_ids, partners[:2].with_user(self.user))
        link = {"whatsapp_contact_id": contact.id}
        for other in partners[2:]:
            with self.assertRaises(UserError):
                other.with_user(self.user).with_context(**link).action_whatsapp_link()
        partners[1].with_user(self.user).with_context(**link).action_whatsapp_link()
        self.assertEqual(contact.partner_id.id, partners[1].id)
        self.assertFalse(contact.candidate_ids)
        with self.assertRaises(AccessError):
            partners[1].with_user(self.plain).with_context(**link).action_whatsapp_link()
        contact.action_unlink_partner()
        self.assertFalse(contact.partner_id)
        hidden = self.insert(
            "whatsapp_contact",
            configuration_id=self.sales.id,
            contact_id=CHAT,
            phone="+447700900123",
        )
        with self.assertRaises(AccessError):
            self.env["whatsapp.contact"].with_user(self.user).browse(hidden)._link_partner(
                partners[0]
            )
