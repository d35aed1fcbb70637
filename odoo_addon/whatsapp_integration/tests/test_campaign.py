"""Campaigns: the dry run finds what is wrong, batches go on after a kill, pause and stop hold."""

import json
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError

from ..models.whatsapp_bulk_campaign_work import BATCH, WhatsappBulkCampaign
from ..series import flush, invalidate
from .common import WhatsappCase, post

PREPARE = WhatsappBulkCampaign._prepare_batch
MANY = 50000


class Killed(Exception):
    """Stands for a process that ends in the middle of a batch."""


class CampaignCase(WhatsappCase):
    """What tests of campaigns share."""

    def setUp(self):
        super().setUp()
        self.campaigns = self.env["whatsapp.bulk.campaign"]
        self.recipients = self.env["whatsapp.bulk.campaign.recipient"]
        # a transaction of a test is not committed
        for name, instead in (("_commit", flush), ("_roll_back", invalidate)):
            patcher = patch.object(WhatsappBulkCampaign, name, instead)
            patcher.start()
            self.addCleanup(patcher.stop)
        self.support.pace_per_second = 0
        self.tag = self.env["res.partner.category"].create({"name": "Campaign test"})

    def partner(self, name, phone=False, **values):
        return self.env["res.partner"].create(
            dict({"name": name, "phone": phone, "category_id": [(4, self.tag.id)]}, **values)
        )

    def many(self, count, first=447700100000):
        """Partners by SQL, as many as an import brings."""
        flush(self.env["res.partner"])
        self.env.cr.execute(
            "INSERT INTO res_partner (name, phone, active, type, ref)"
            " SELECT 'Person ' || n, '+' || (%s + n), true, 'contact', 'campaign'"
            " FROM generate_series(1, %s) AS n",
            (first, count),
        )
        invalidate(self.env["res.partner"])
        return "[('ref', '=', 'campaign')]"

    def campaign(self, **values):
        defaults = {
            "name": "Summer",
            "configuration_id": self.support.id,
            "text": "Hello",
            "domain": "[('category_id', 'in', [%d])]" % self.tag.id,
        }
        return self.campaigns.create(dict(defaults, **values))

    def rows(self, campaign, *names):
        invalidate(campaign)
        found = self.recipients.search([("campaign_id", "=", campaign.id)], order="id")
        return [tuple(row[name] for name in names) for row in found]

    def outbox(self, campaign):
        keys = "campaign:%d:%%" % campaign.id
        return self.env["whatsapp.outbox.in"].search([("idempotency_key", "like", keys)])

    def messages(self, campaign):
        return self.outbox(campaign).mapped("message_id")

    def run_cron(self):
        self.campaigns._cron_work()


@post
class TestCampaign(CampaignCase):
    # --- the dry run

    def template(self):
        return self.env["whatsapp.message.template"].create(
            {
                "name": "summer",
                "body": "Dear {{1}}, your code is {{2}}.",
                "model": "res.partner",
                "variable_ids": [
                    (0, 0, {"placeholder": "1", "field_path": "name"}),
                    (0, 0, {"placeholder": "2", "field_path": "ref"}),
                ],
            }
        )

    def planted(self):
        """A campaign with each kind of bad record among good ones; {name: reason}."""
        self.partner("Good", "+447700900101", ref="A1")
        self.partner("None", ref="A2")
        self.partner("Impossible", "12", ref="A3")
        self.partner("Letters", "call me", ref="A4")
        self.partner("Twin", "+44 7700 900101", ref="A5")
        self.partner("No ref", "+447700900102")
        self.partner("Listed", "+447700900103", ref="A6")
        self.partner("Opted out", "+447700900104", ref="A7")
        self.partner("Long", "+447700900106", ref="x" * 5000)
        self.partner("Also good", "+447700900105", ref="A8")
        # made-up numbers are no valid ones to Odoo's blacklist
        self.insert("phone_blacklist", number="+447700900103", active=True)
        self.insert(
            "whatsapp_contact",
            configuration_id=self.support.id,
            contact_id="447700900104",
            phone="+447700900104",
            opted_out=True,
        )
        campaign = self.campaign(content_kind="template", template_id=self.template().id)
        return campaign, {
            "None": "no_number",
            "Impossible": "impossible_number",
            "Letters": "impossible_number",
            "Twin": "duplicate",
            "No ref": "missing_field",
            "Listed": "blacklisted",
            "Opted out": "opted_out",
            "Long": "too_long",
        }

    def test_the_dry_run_finds_each_bad_record(self):
        campaign, expected = self.planted()
        campaign.action_check()
        self.assertEqual(campaign.state, "ready")
        rows = self.rows(campaign, "name", "state", "reason")
        self.assertEqual({name: why for name, state, why in rows if state == "excluded"}, expected)
        self.assertEqual(
            sorted(name for name, state, _why in rows if state == "ready"), ["Also good", "Good"]
        )
        self.assertEqual((campaign.count_ready, campaign.count_excluded), (2, 8))
        self.assertFalse(self.outbox(campaign))
        detail = self.recipients.search([("reason", "=", "missing_field")]).detail
        self.assertIn("{{2}}: ref is empty", detail)

    def test_utility_goes_to_those_who_opted_out_of_marketing(self):
        campaign, _expected = self.planted()
        campaign.category = "utility"
        campaign.action_check()
        ready = [name for name, state in self.rows(campaign, "name", "state") if state == "ready"]
        self.assertEqual(sorted(ready), ["Also good", "Good", "Listed", "Opted out"])

    def test_what_was_checked_is_what_is_sent(self):
        campaign, _expected = self.planted()
        campaign.action_check()
        campaign.action_start()
        rows = self.outbox(campaign).sorted("id")
        self.assertEqual(rows.mapped("recipient"), ["+447700900101", "+447700900105"])
        request = json.loads(rows[0].request)
        self.assertEqual(request["text"], {"body": "Dear Good, your code is A1."})
        self.assertEqual((request["category"], request["res_model"]), ("marketing", "res.partner"))
        message = rows[0].message_id
        self.assertEqual(message.content, "Dear Good, your code is A1.")
        self.assertEqual((message.status, message.res_model), ("queued", "res.partner"))

    # --- many

    def prepare_all(self, campaign):
        """Statements of each batch."""
        counts = []
        while campaign.state == "preparing":
            before = self.env.cr.sql_log_count
            campaign._work_batch()
            counts.append(self.env.cr.sql_log_count - before)
        return counts

    def test_many_are_prepared_in_bounded_batches(self):
        campaign = self.campaign(domain=self.many(MANY))
        campaign.action_check()
        self.assertEqual(campaign.state, "preparing")
        self.assertEqual(campaign.count_total, BATCH)  # the button did one batch
        counts = self.prepare_all(campaign)
        self.assertEqual(campaign.count_ready, MANY)
        self.assertEqual(len(counts), MANY // BATCH)
        # no more statements in the last batch than in the first, and far fewer than records
        self.assertLess(max(counts), 40, counts)

    def test_a_template_costs_no_statement_for_each_record(self):
        template = self.template()
        template.variable_ids.filtered(lambda v: v.placeholder == "2").field_path = "type"
        domain = self.many(4 * BATCH)
        campaign = self.campaign(domain=domain, content_kind="template", template_id=template.id)
        campaign.action_check()
        counts = self.prepare_all(campaign)
        self.assertEqual(campaign.count_ready, 4 * BATCH)
        self.assertLess(max(counts), 60, counts)

    # --- killed in the middle

    def killed(self, campaign, after):
        """A batch whose process ends right after one of its steps: what PostgreSQL undoes then."""
        original = getattr(WhatsappBulkCampaign, after)

        def die(records, *args):
            original(records, *args)
            flush(records)
            raise Killed

        with patch.object(WhatsappBulkCampaign, after, die):
            with self.assertRaises(Killed), self.env.cr.savepoint():
                if campaign.state == "preparing":
                    campaign._prepare_batch()
                else:
                    campaign._queue_batch()
        invalidate(campaign)

    def test_killed_while_preparing(self):
        campaign = self.campaign(domain=self.many(2 * BATCH + 10))
        campaign.action_check()
        self.killed(campaign, "_insert")
        self.assertEqual((campaign.count_total, campaign.state), (BATCH, "preparing"))
        self.run_cron()
        self.assertEqual((campaign.count_ready, campaign.state), (2 * BATCH + 10, "ready"))
        # a batch that was committed but is done again adds nothing
        campaign.sudo().write({"state": "preparing", "prepare_step": 0, "prepare_after": 0})
        self.run_cron()
        self.assertEqual(campaign.count_ready, 2 * BATCH + 10)

    def test_killed_while_handing_over(self):
        campaign = self.campaign(domain=self.many(2 * BATCH + 10))
        campaign.action_check()
        self.run_cron()
        campaign.action_start()
        self.assertEqual(len(self.outbox(campaign)), BATCH)
        self.killed(campaign, "_hand_over")
        self.assertEqual(len(self.outbox(campaign)), BATCH)
        self.run_cron()
        keys = self.outbox(campaign).mapped("idempotency_key")
        self.assertEqual(len(keys), 2 * BATCH + 10)
        self.assertEqual(len(set(keys)), 2 * BATCH + 10)
        self.assertEqual(len(set(self.outbox(campaign).mapped("recipient"))), 2 * BATCH + 10)

    # --- pause, resume, stop

    def test_paused_and_resumed(self):
        campaign = self.campaign(domain=self.many(BATCH + 10))
        campaign.action_start()
        self.run_cron()
        self.assertEqual(len(self.outbox(campaign)), BATCH + 10)
        other = self.campaign(domain=self.many(2 * BATCH, first=447700300000), name="Other")
        other.action_start()
        other.action_pause()
        before = len(self.outbox(other))
        self.run_cron()
        self.assertEqual((len(self.outbox(other)), other.state), (before, "paused"))
        other.action_resume()
        self.run_cron()
        self.assertEqual(other.count_ready, 0)
        with self.assertRaises(UserError):
            other.action_resume()

    def test_stopped(self):
        campaign = self.campaign(domain=self.many(BATCH + 10))
        campaign.action_check()
        self.run_cron()
        campaign.action_start()
        campaign.action_stop()
        self.run_cron()
        self.assertEqual(len(self.outbox(campaign)), BATCH)
        left = [state for (state,) in self.rows(campaign, "state") if state == "cancelled"]
        self.assertEqual((len(left), campaign.state), (10, "stopped"))
        for button in ("action_start", "action_resume", "action_pause", "action_stop"):
            with self.assertRaises(UserError):
                getattr(campaign, button)()
        with self.assertRaises(UserError):
            campaign.action_draft()

    def test_no_more_is_handed_over_than_the_pace_lets_through_soon(self):
        self.support.pace_per_second = 1
        campaign = self.campaign(domain=self.many(BATCH))
        campaign.action_start()
        self.run_cron()
        self.run_cron()
        self.assertEqual(len(self.outbox(campaign)), 90)
        self.env.cr.execute(
            "UPDATE whatsapp_message SET status = 'sent' WHERE id IN %s",
            (tuple(self.messages(campaign).ids[:20]),),
        )
        self.run_cron()
        self.assertEqual(len(self.outbox(campaign)), 110)

    def test_scheduled(self):
        campaign = self.campaign(domain=self.many(3), schedule_at="2999-01-01 08:00:00")
        campaign.action_start()
        self.run_cron()
        self.assertEqual((len(self.outbox(campaign)), campaign.state), (0, "running"))
        campaign.sudo().schedule_at = "2020-01-01 08:00:00"
        self.run_cron()
        self.assertEqual(len(self.outbox(campaign)), 3)

    def test_results(self):
        campaign = self.campaign(domain=self.many(5))
        campaign.action_start()
        words = ["sent", "delivered", "read", "failed", "queued"]
        for message, word in zip(self.messages(campaign).sorted("id"), words):
            self.env.cr.execute(
                "UPDATE whatsapp_message SET status = %s WHERE id = %s", (word, message.id)
            )
        invalidate(campaign)
        self.assertEqual(
            [campaign.count_sent, campaign.count_delivered, campaign.count_read],
            [3, 2, 1],
        )
        self.assertEqual((campaign.count_failed, campaign.progress), (1, 80.0))
        self.run_cron()
        self.assertEqual(campaign.state, "running")
        self.assertEqual([state for (state,) in self.rows(campaign, "state")], words)
        self.env.cr.execute("UPDATE whatsapp_message SET status = 'read' WHERE status = 'queued'")
        self.run_cron()
        self.assertEqual(campaign.state, "done")

    # --- where recipients come from

    def test_lists_of_partners_contacts_and_groups(self):
        contact = self.insert(
            "whatsapp_contact",
            configuration_id=self.support.id,
            contact_id="447700900111",
            phone="+447700900111",
        )
        far = self.insert("whatsapp_contact", configuration_id=self.sales.id, contact_id="abc@lid")
        group = self.insert(
            "whatsapp_group", configuration_id=self.support.id, group_id="12@g.us", name="Club"
        )
        partner = self.partner("Partner", "+447700900110")
        twin = self.partner("Twin", "+447700900111")
        campaign = self.campaign(
            recipient_source="list",
            partner_ids=[(6, 0, (partner | twin).ids)],
            contact_ids=[(6, 0, [contact, far])],
            group_ids=[(6, 0, [group])],
        )
        self.assertEqual(campaign.source_count, 5)
        campaign.action_check()
        while campaign.state == "preparing":
            campaign._work_batch()
        self.assertEqual(
            self.rows(campaign, "number", "reason"),
            [
                ("+447700900110", False),
                ("+447700900111", False),
                (False, "duplicate"),
                (False, "other_account"),
                ("12@g.us", False),
            ],
        )

    def test_any_model_with_a_path_to_a_number(self):
        partner = self.partner(
            "Bank's owner", "07700 900120", country_id=self.env.ref("base.uk").id
        )
        bank = self.env["res.partner.bank"].create(
            {"acc_number": "GB-campaign", "partner_id": partner.id}
        )
        campaign = self.campaign(
            source_model="res.partner.bank",
            domain="[('id', '=', %d)]" % bank.id,
            phone_path="partner_id.phone",
        )
        campaign.action_check()
        self.assertEqual(
            self.rows(campaign, "number", "res_model"), [("+447700900120", "res.partner.bank")]
        )

    def test_bad_sources_are_refused(self):
        for values in (
            {"domain": "[('nonsense', '=', 1)]"},
            {"domain": "__import__('os')"},
            {"domain": "[('name', '=', uid)]"},
            {"phone_path": "nonsense"},
            {"phone_path": "category_id"},
        ):
            with self.subTest(values=values), self.assertRaises(ValidationError):
                self.campaign(**values)
        with self.assertRaises(UserError):
            self.campaign(text="Dear {{1}}").action_check()
        with self.assertRaises(UserError):
            self.campaign(text=" ").action_start()

    def test_from_a_list(self):
        partners = self.partner("One", "+447700900131") | self.partner("Two", "+447700900132")
        wizard = (
            self.env["whatsapp.bulk.send.wizard"]
            .with_context(active_model="res.partner", active_ids=partners.ids)
            .create({"text": "Hello", "configuration_id": self.support.id})
        )
        self.assertEqual(wizard.count, 2)
        action = wizard.action_create()
        campaign = self.campaigns.browse(action["res_id"])
        self.assertEqual((campaign.partner_ids, campaign.state), (partners, "draft"))

    # --- rights

    def test_rights(self):
        mine = self.campaign()
        other = self.campaign(configuration_id=self.sales.id)
        both = [("id", "in", (mine | other).ids)]
        self.assertEqual(self.campaigns.with_user(self.user).search(both), mine)
        self.assertEqual(self.campaigns.with_user(self.admin).search(both), mine | other)
        with self.assertRaises(AccessError):
            self.campaigns.with_user(self.plain).search(both)
        as_user = mine.with_user(self.user)
        for values in ({"state": "running"}, {"user_id": self.admin.id}):
            with self.assertRaises(AccessError):
                as_user.write(values)
        with self.assertRaises(AccessError):
            as_user.write({"configuration_id": self.sales.id})
        with self.assertRaises(AccessError):
            other.with_user(self.user).action_start()
        made = self.campaigns.with_user(self.user).create(
            {"name": "x", "configuration_id": self.support.id, "user_id": self.admin.id}
        )
        self.assertEqual(made.user_id, self.user)
        with self.assertRaises(AccessError):
            self.recipients.with_user(self.user).create({"campaign_id": mine.id})

    def test_it_is_the_starters_rights_that_count(self):
        self.partner("One", "+447700900141")
        campaign = self.campaign()
        campaign.with_user(self.user).action_start()
        self.assertEqual(campaign.user_id, self.user)
        self.assertEqual(self.messages(campaign).mapped("user_id"), self.user)
        later = self.campaign(domain=self.many(2 * BATCH))
        later.with_user(self.user).action_start()
        self.support.user_ids = [(5,)]
        self.run_cron()
        self.assertEqual(later.state, "paused")
        self.assertIn("may not use this account", later.problem)
