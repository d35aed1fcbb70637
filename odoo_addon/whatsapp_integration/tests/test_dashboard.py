from datetime import datetime, timedelta

from odoo.exceptions import AccessError

from ..series import flush, invalidate
from .common import V, WhatsappCase, post

MEASURES = [
    "message_count",
    "sent_count",
    "delivered_count",
    "read_count",
    "failed_count",
    "answered_count",
]


@post
class TestDashboard(WhatsappCase):
    def setUp(self):
        super().setUp()
        self.figures = self.env["whatsapp.dashboard.message"]
        self.tiles = self.env["whatsapp.dashboard.account"]
        self.today = datetime.utcnow().replace(hour=0, minute=0, second=1, microsecond=0)
        self.seed(self.support, self.today)
        self.seed(self.sales, self.today)
        self.seed(self.far, self.today)

    def seed(self, account, today):
        """Three hundred messages of 60 days in ten chats, half of them ours, of all outcomes."""
        flush(self.env["whatsapp.message"])
        self.env.cr.execute(
            """
            INSERT INTO whatsapp_message (configuration_id, message_id, chat_id, message_type,
                   direction, from_me, status, timestamp, queued_at, sent_at, delivered_at,
                   read_at, failed_at,
                   origin, user_id, res_model, res_id)
            SELECT %(account)s, 'seed-' || n, (n %% 10) || '@c.us',
                   (ARRAY['text', 'text', 'image', 'document', 'reaction'])[n %% 5 + 1],
                   d.direction, d.direction = 'outbound', d.status, d.at,
                   CASE WHEN d.direction = 'outbound' THEN d.at END,
                   CASE WHEN d.status IN ('sent', 'delivered', 'read') AND d.direction = 'outbound'
                        THEN d.at END,
                   CASE WHEN d.status IN ('delivered', 'read') THEN d.at END,
                   CASE WHEN d.status = 'read' THEN d.at END,
                   CASE WHEN d.status = 'failed' THEN d.at END,
                   CASE WHEN d.direction = 'outbound' THEN 'odoo' ELSE 'provider' END,
                   CASE WHEN d.direction = 'outbound' THEN %(user)s END,
                   CASE WHEN n %% 7 = 0 THEN 'res.partner' END, CASE WHEN n %% 7 = 0 THEN 1 END
            FROM generate_series(1, 300) AS n CROSS JOIN LATERAL (
                SELECT CASE WHEN n %% 20 < 10 THEN 'outbound' ELSE 'inbound' END AS direction,
                       CASE WHEN n %% 20 >= 10 THEN 'delivered'
                            ELSE (ARRAY['read', 'delivered', 'sent', 'failed', 'queued', 'read'])
                                 [n %% 6 + 1] END AS status,
                       %(today)s::timestamp - (n / 5) * interval '1 day'
                            + n * interval '7 s' AS at) d
            """,
            {"account": account.id, "user": self.user.id, "today": today},
        )
        invalidate(self.env["whatsapp.message"])

    def count(self):
        for _chunk in self.env["whatsapp.message.count"]._count():
            pass

    def groups(self, figures, domain, by, **measures):
        """What the web client reads for a graph: (domain of the bar, its figures)."""
        if V < 19:
            return [
                (group.get("__domain", domain), group)
                for group in figures.read_group(domain, list(measures), by, lazy=False)
            ]
        specs = {"%s:%s" % pair: pair[0] for pair in measures.items()}
        return [
            (
                domain + group.get("__extra_domain", []),
                {name: group[spec] for spec, name in specs.items()},
            )
            for group in figures.formatted_read_group(domain, by, list(specs))
        ]

    def sums(self, domain, user=None):
        figures = self.figures.with_user(user) if user else self.figures
        [(_domain, group)] = self.groups(figures, domain, [], **dict.fromkeys(MEASURES, "sum"))
        return {name: group[name] or 0 for name in MEASURES}

    def counted(self, where, parameters=()):
        """The same figures, counted another way: each message by itself."""
        self.env.cr.execute(
            """
            SELECT count(*),
                   count(*) FILTER (WHERE m.direction = 'outbound' AND m.sent_at IS NOT NULL),
                   count(*) FILTER (WHERE m.direction = 'outbound' AND m.delivered_at IS NOT NULL),
                   count(*) FILTER (WHERE m.direction = 'outbound' AND m.read_at IS NOT NULL),
                   count(*) FILTER (WHERE m.direction = 'outbound' AND m.status = 'failed'),
                   count(*) FILTER (WHERE m.direction = 'outbound' AND m.sent_at IS NOT NULL
                        AND m.message_type <> 'reaction' AND EXISTS (
                            SELECT 1 FROM whatsapp_message a
                            WHERE a.configuration_id = m.configuration_id AND a.chat_id = m.chat_id
                              AND a.direction = 'inbound' AND a.message_type <> 'reaction'
                              AND (a.timestamp, a.id) > (m.timestamp, m.id)
                              AND a.timestamp <= m.timestamp + interval '7 days'))
            FROM whatsapp_message m WHERE """
            + where,
            parameters,
        )
        return dict(zip(MEASURES, self.env.cr.fetchone()))

    def test_figures_equal_plain_counts(self):
        account = [("configuration_id", "=", self.support.id)]
        expected = self.counted("configuration_id = %s", (self.support.id,))
        self.assertEqual(expected["message_count"], 300)
        self.assertGreater(expected["answered_count"], 20)
        self.assertEqual(self.sums(account), expected, "all of it live")
        self.count()
        self.assertEqual(self.sums(account), expected, "counted, today live")
        self.count()
        self.assertEqual(self.sums(account), expected, "counted again")
        for days in (0, 6, 29):
            since = (self.today - timedelta(days=days)).date()
            self.assertEqual(
                self.sums(account + [("day", ">=", str(since))]),
                self.counted(
                    "configuration_id = %s AND timestamp >= %s", (self.support.id, str(since))
                ),
                days,
            )

    def test_only_days_before_today_are_counted(self):
        self.count()
        self.env.cr.execute(
            "SELECT sum(message_count), max(day) FROM whatsapp_message_count"
            " WHERE configuration_id = %s",
            (self.support.id,),
        )
        counted, last = self.env.cr.fetchone()
        self.assertLess(last, self.today.date())
        self.assertEqual(
            counted,
            self.counted(
                "configuration_id = %s AND timestamp < %s", (self.support.id, self.today.date())
            )["message_count"],
        )

    def test_changes_are_followed(self):
        self.count()
        self.count()
        account = [("configuration_id", "=", self.support.id)]

        def change(day, status):
            self.env.cr.execute(
                "UPDATE whatsapp_message SET status = %s, delivered_at = timestamp,"
                " read_at = timestamp, sent_at = timestamp"
                " WHERE configuration_id = %s AND direction = 'outbound'"
                " AND timestamp::date = %s",
                (status, self.support.id, day),
            )
            self.assertTrue(self.env.cr.rowcount)

        def same():
            return self.sums(account) == self.counted("configuration_id = %s", (self.support.id,))

        change(self.today.date(), "read")
        self.assertTrue(same(), "today is read live")
        change(self.today.date() - timedelta(days=5), "read")
        self.assertFalse(same())
        self.count()
        self.assertTrue(same(), "the last days follow at the next run")
        change(self.today.date() - timedelta(days=40), "read")
        self.count()
        self.assertFalse(same())
        self.env.cr.execute("UPDATE whatsapp_dashboard_mark SET full_on = full_on - 1")
        invalidate(self.env["whatsapp.message"])
        for _chunk in self.env["whatsapp.message.count"]._count(everything=True):
            pass
        self.assertTrue(same(), "older days follow at night")

    def test_old_messages_that_come_late(self):
        self.count()
        self.count()
        old = self.today - timedelta(days=200)
        self.insert_message(self.support, timestamp=old, message_id="late-1")
        self.insert_message(
            self.support, timestamp=self.today - timedelta(days=45), message_id="late-2"
        )
        account = [("configuration_id", "=", self.support.id)]
        self.assertEqual(self.sums(account)["message_count"], 300)
        self.count()
        self.assertEqual(
            self.sums(account), self.counted("configuration_id = %s", (self.support.id,))
        )

    def test_rights(self):
        self.count()
        mine = [300, 600]
        for user, expected in zip((self.user, self.admin), mine):
            self.assertEqual(self.sums([], user)["message_count"], expected, user.login)
            tiles = self.tiles.with_user(user).search([("period", "=", "30")])
            accounts = self.env["whatsapp.configuration"].with_user(user).search([])
            self.assertEqual(tiles.mapped("configuration_id"), accounts)
            days = self.env["whatsapp.dashboard.answer"].with_user(user).search([])
            self.assertLessEqual(days.mapped("configuration_id"), accounts)
        for model in ("message", "account", "answer"):
            figures = self.env["whatsapp.dashboard.%s" % model]
            with self.assertRaises(AccessError):
                figures.with_user(self.plain).search([])
            for user in (self.user, self.admin):
                check = figures.with_user(user).env["ir.model.access"].check
                for operation in ("write", "create", "unlink"):
                    self.assertFalse(check(figures._name, operation, False), model)
        with self.assertRaises(AccessError):
            self.figures.with_user(self.plain).action_messages([])
        with self.assertRaises(AccessError):
            self.env["whatsapp.message.count"].with_user(self.user).search([])

    def test_bars_open_what_they_count(self):
        self.count()
        figures = self.figures.with_user(self.user)
        messages = self.env["whatsapp.message"].with_user(self.user)
        since = str((self.today - timedelta(days=30)).date())
        looked = 0
        for by in (
            ["day:month"],
            ["day:day", "direction"],
            ["message_type", "status"],
            ["user_id"],
            ["res_model"],
            ["campaign_id"],
            ["configuration_id", "origin"],
        ):
            groups = self.groups(figures, [("day", ">=", since)], by, message_count="sum")
            for domain, group in groups:
                action = figures.action_messages(domain)
                self.assertEqual(action["res_model"], "whatsapp.message")
                self.assertEqual(
                    messages.search_count(action["domain"]), group["message_count"], domain
                )
                looked += 1
        self.assertGreater(looked, 40)

    def test_tiles(self):
        self.count()
        tile = self.tiles.with_user(self.user).search(
            [("configuration_id", "=", self.support.id), ("period", "=", "30")]
        )
        expected = self.counted(
            "configuration_id = %s AND timestamp >= %s",
            (self.support.id, (self.today - timedelta(days=29)).date()),
        )
        for name in MEASURES[1:]:
            self.assertEqual(tile[name], expected[name], name)
        self.assertAlmostEqual(
            tile.delivery_rate, 100.0 * expected["delivered_count"] / expected["sent_count"]
        )
        messages = self.env["whatsapp.message"].with_user(self.user)
        for button, name in (
            ("action_received", "received_count"),
            ("action_sent", "sent_count"),
            ("action_delivered", "delivered_count"),
            ("action_read", "read_count"),
            ("action_failed", "failed_count"),
            ("action_waiting", "queued_count"),
        ):
            domain = getattr(tile, button)()["domain"]
            self.assertEqual(messages.search_count(domain), tile[name], button)
            self.assertTrue(tile[name], button)
        self.assertEqual(tile.active_users, 1)
        self.assertEqual(tile.state, "new")
        for action in ("action_figures", "action_answered", "action_users"):
            domain = getattr(tile, action)()["domain"]
            self.assertTrue(self.figures.with_user(self.user).search_count(domain), action)

    def test_rates_of_groups_are_shares_of_sums(self):
        self.count()
        domain = [("configuration_id", "=", self.support.id), ("direction", "=", "outbound")]
        sums = dict.fromkeys(("sent_count", "delivered_count"), "sum")
        rates = dict.fromkeys(("delivery_rate", "read_rate", "answer_rate"), "avg")
        [(_domain, group)] = self.groups(
            self.figures, domain, ["configuration_id"], **dict(sums, **rates)
        )
        self.assertAlmostEqual(
            group["delivery_rate"], 100.0 * group["delivered_count"] / group["sent_count"]
        )
        self.assertGreater(group["answer_rate"], 0)

    def test_state_queue_quota_and_synchronisations(self):
        self.support.write({"daily_limit": 10})
        self.insert(
            "whatsapp_account_state",
            configuration_id=self.support.id,
            state="token_dead",
            reason="401 from the provider",
            since=self.today,
        )
        for state in ("done", "done", "failed"):
            self.insert(
                "whatsapp_sync_run",
                configuration_id=self.support.id,
                state=state,
                ended_at=self.today,
            )
        tile = self.tiles.with_user(self.user).search(
            [("configuration_id", "=", self.support.id), ("period", "=", "1")]
        )
        self.assertEqual((tile.state, tile.state_reason), ("token_dead", "401 from the provider"))
        self.assertEqual((tile.sync_done, tile.sync_failed), (2, 1))
        self.assertAlmostEqual(tile.sync_rate, 200.0 / 3)
        self.assertAlmostEqual(tile.quota_rate, 10.0 * tile.sent_today)
        self.env.cr.execute(
            "SELECT count(*), min(queued_at) FROM whatsapp_message"
            " WHERE configuration_id = %s AND status = 'queued'",
            (self.support.id,),
        )
        self.assertEqual((tile.queued_count, tile.oldest_queued_at), self.env.cr.fetchone())

    def test_time_to_answer(self):
        """What the customer wrote first counts, and only until our next message."""
        noon = self.today - timedelta(days=3) + timedelta(hours=12)

        def say(minutes, direction, chat="median@c.us", **values):
            at = noon + timedelta(minutes=minutes)
            if direction == "outbound":
                values.setdefault("sent_at", at)
            self.insert_message(
                self.sales, timestamp=at, direction=direction, chat_id=chat, **values
            )

        self.env.cr.execute(
            "DELETE FROM whatsapp_message WHERE configuration_id = %s", (self.sales.id,)
        )
        say(0, "inbound")
        say(5, "inbound")  # asks again: not a question of its own
        say(8, "outbound", status="failed", sent_at=None)  # never got there
        say(10, "outbound", status="sent")
        say(11, "outbound", status="sent")
        say(20, "inbound")
        say(20, "inbound", message_type="reaction")
        say(50, "outbound", status="sent")
        say(60, "inbound", chat="other@c.us")
        say(160, "outbound", chat="other@c.us", status="sent")
        say(200, "inbound", chat="nobody@c.us")
        for counted in (False, True):
            if counted:
                self.count()
            day = self.env["whatsapp.dashboard.answer"].search(
                [("configuration_id", "=", self.sales.id)]
            )
            self.assertEqual(day.day, noon.date())
            self.assertEqual(day.answers_given, 3)
            self.assertAlmostEqual(day.median_minutes, 30)
            self.assertAlmostEqual(day.longest_minutes, 100)
            tile = self.tiles.search(
                [("configuration_id", "=", self.sales.id), ("period", "=", "7")]
            )
            self.assertAlmostEqual(tile.answer_minutes, 30)
            self.assertEqual(tile.answers_given, 3)

    def test_campaign_engagement(self):
        campaign = self.env["whatsapp.bulk.campaign"].create(
            {"name": "Spring", "configuration_id": self.support.id, "text": "Hello"}
        )
        self.env.cr.execute(
            "INSERT INTO whatsapp_bulk_campaign_recipient (campaign_id, number, message_id)"
            " SELECT %s, '+' || id, id FROM whatsapp_message"
            " WHERE configuration_id = %s AND direction = 'outbound' ORDER BY id LIMIT 50",
            (campaign.id, self.support.id),
        )
        invalidate(campaign)
        self.count()
        domain = [("campaign_id", "=", campaign.id)]
        expected = self.counted(
            "id IN (SELECT message_id FROM whatsapp_bulk_campaign_recipient"
            " WHERE campaign_id = %s)",
            (campaign.id,),
        )
        self.assertEqual(expected["message_count"], 50)
        self.assertEqual(self.sums(domain), expected)
        action = self.figures.action_messages(domain)
        self.assertEqual(self.env["whatsapp.message"].search_count(action["domain"]), 50)
