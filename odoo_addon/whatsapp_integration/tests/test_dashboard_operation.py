from datetime import datetime, timedelta

from odoo.exceptions import AccessError

from ..series import flush, invalidate
from .common import V, WhatsappCase, post

SUMS = ("operation_count", "failed_count")


@post
class TestDashboardOperation(WhatsappCase):
    """Who did what: days that are counted and today, against plain counts of the audit log."""

    def setUp(self):
        super().setUp()
        self.figures = self.env["whatsapp.dashboard.operation"]
        self.today = datetime.utcnow().replace(hour=0, minute=0, second=1, microsecond=0)
        flush(self.figures)
        self.env.cr.execute("DELETE FROM whatsapp_operation_count")
        self.env.cr.execute("DELETE FROM whatsapp_audit_log")
        # Three hundred rows of 60 days, of two accounts and of none, by two users and by nobody.
        self.env.cr.execute(
            """
            INSERT INTO whatsapp_audit_log (operation, provider, success, response_time, timestamp,
                   user_id, configuration_id)
            SELECT (ARRAY['message.send', 'group.add', 'sync.run', 'rpc.refused'])[n %% 4 + 1],
                   'whapi', n %% 5 <> 0, n, %(today)s::timestamp - (n / 5) * interval '1 day',
                   (ARRAY[%(user)s, %(admin)s, NULL])[n %% 3 + 1]::int,
                   (ARRAY[%(support)s, %(far)s, NULL])[n %% 7 %% 3 + 1]::int
            FROM generate_series(0, 299) n
            """,
            {
                "today": self.today,
                "user": self.user.id,
                "admin": self.admin.id,
                "support": self.support.id,
                "far": self.far.id,
            },
        )
        invalidate(self.figures)

    def count(self):
        return sum(1 for _chunk in self.env["whatsapp.operation.count"]._count())

    def groups(self, domain, by, measures, user=None):
        figures = self.figures.with_user(user) if user else self.figures
        if V < 19:
            specs = ["%s:%s" % pair for pair in measures.items()]
            return [
                (group.get("__domain", domain), group)
                for group in figures.read_group(domain, specs, by, lazy=False)
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
        [(_domain, group)] = self.groups(domain, [], dict.fromkeys(SUMS, "sum"), user)
        return tuple(group[name] or 0 for name in SUMS)

    def counted(self, where, parameters=()):
        self.env.cr.execute(
            "SELECT count(*), count(*) FILTER (WHERE NOT success) FROM whatsapp_audit_log WHERE "
            + where,
            parameters,
        )
        return self.env.cr.fetchone()

    def test_figures_equal_plain_counts(self):
        account = [("configuration_id", "=", self.support.id)]
        for turn in ("live", "counted", "counted again"):
            self.assertEqual(self.sums([]), (300, 60), turn)
            self.assertEqual(
                self.sums(account),
                self.counted("configuration_id = %s", (self.support.id,)),
                turn,
            )
            for days in (0, 6, 29):
                since = str((self.today - timedelta(days=days)).date())
                self.assertEqual(
                    self.sums([("day", ">=", since)]),
                    self.counted("timestamp >= %s", (since,)),
                    turn,
                )
            self.count()
        self.env.cr.execute("SELECT max(day), sum(operation_count) FROM whatsapp_operation_count")
        last, counted = self.env.cr.fetchone()
        self.assertLess(last, self.today.date())
        self.assertGreaterEqual(counted, 290)

    def test_counted_in_chunks_and_once(self):
        self.assertEqual(self.count(), 2, "60 days, a month at a time")
        self.assertEqual(self.count(), 0)
        # What the log removes after its time stays in the figures.
        self.env.cr.execute(
            "DELETE FROM whatsapp_audit_log WHERE timestamp < %s",
            (self.today - timedelta(days=30),),
        )
        self.assertEqual(self.count(), 0)
        self.assertEqual(self.sums([]), (300, 60))

    def test_means_and_active_users_of_groups(self):
        for _turn in ("live", "counted"):
            measures = {
                "average_ms": "avg",
                "failure_rate": "avg",
                "slowest_ms": "max",
                "active_user_id": "count_distinct",
            }
            [(_domain, group)] = self.groups([("operation", "=", "message.send")], [], measures)
            self.env.cr.execute(
                "SELECT avg(response_time), 100.0 * count(*) FILTER (WHERE NOT success) / count(*),"
                " max(response_time), count(DISTINCT user_id) FROM whatsapp_audit_log"
                " WHERE operation = 'message.send'"
            )
            expected = [float(value) for value in self.env.cr.fetchone()]
            for name, value in zip(measures, expected):
                self.assertAlmostEqual(group[name], value, msg=name)
            self.count()

    def test_bars_open_the_rows_that_they_count(self):
        self.count()
        rows = self.env["whatsapp.audit.log"].with_user(self.admin)
        looked = 0
        for by in (["user_id", "operation"], ["day:month"], ["success"], ["active_user_id"]):
            for domain, group in self.groups([], by, {"operation_count": "sum"}, self.admin):
                action = self.figures.with_user(self.admin).action_messages(domain)
                self.assertEqual(action["res_model"], "whatsapp.audit.log")
                self.assertEqual(rows.search_count(action["domain"]), group["operation_count"])
                looked += 1
        self.assertGreater(looked, 15)

    def test_rights(self):
        self.count()
        own = self.counted("configuration_id = %s", (self.support.id,))
        self.assertEqual(self.sums([], self.user), own, "his account, nothing without account")
        seen = self.counted("configuration_id = %s OR configuration_id IS NULL", (self.support.id,))
        self.assertEqual(self.sums([], self.admin), seen, "nothing of another company")
        with self.assertRaises(AccessError):
            self.figures.with_user(self.user).action_messages([])
        with self.assertRaises(AccessError):
            self.figures.with_user(self.plain).search([])

    def test_each_word_has_its_label(self):
        labels = dict(self.figures._fields["operation"]._description_selection(self.env))
        self.assertEqual(labels["message.send"], "Send a message")
