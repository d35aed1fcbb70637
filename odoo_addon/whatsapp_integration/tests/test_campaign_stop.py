"""Pause and stop take back what the bridge has not tried; a file campaign keeps its file."""

import base64
import json
from unittest.mock import patch

from odoo.exceptions import UserError

from .. import bridge_client
from ..models.whatsapp_bulk_campaign_stop import CALL
from ..series import invalidate
from .common import post
from .test_campaign import CampaignCase

CONFLICT = {
    "error": {"code": 1505, "message": "it is being sent", "data": {"kind": "conflict"}},
}


@post
class TestCampaignStop(CampaignCase):
    def setUp(self):
        super().setUp()
        self.asked = []
        self.too_late = set()

    def call(self, env, method, params, **_kwargs):
        """The bridge: cancels what it is asked to, but for what is on its way already."""
        self.assertEqual(method, "message.cancel")
        self.asked.append(params["ids"])
        results = []
        for message_id in params["ids"]:
            if message_id in self.too_late:
                results.append(dict(CONFLICT, id=message_id))
                continue
            self.env.cr.execute(
                "UPDATE whatsapp_message SET status = 'cancelled' WHERE id = %s", (message_id,)
            )
            results.append({"id": message_id, "status": "cancelled"})
        return {"success": True, "data": {"results": results}, "meta": {}}

    def take_back(self, campaign):
        with patch.object(bridge_client, "call", self.call):
            campaign.sudo()._take_back()
        invalidate(campaign)

    def started(self, count):
        campaign = self.campaign(domain=self.many(count))
        campaign.action_start()
        self.assertEqual(campaign.count_queued, count)
        return campaign

    def test_paused_messages_come_back_and_leave_again_once(self):
        campaign = self.started(CALL + 5)
        first = self.messages(campaign).sorted("id")
        self.too_late = set(first[:2].ids)
        campaign.action_pause()
        self.assertIn("Being taken back", campaign.standing)
        self.take_back(campaign)
        self.assertEqual([len(ids) for ids in self.asked], [CALL, 5])
        self.assertEqual((campaign.count_ready, campaign.count_queued), (CALL + 3, 2))
        # a second look finds nothing more to ask for but what was too late
        self.too_late = set(first.ids)
        self.take_back(campaign)
        self.assertEqual(sorted(self.asked[-1]), first[:2].ids)
        campaign.action_resume()
        self.run_cron()
        self.assertEqual((campaign.count_ready, campaign.count_queued), (0, CALL + 5))
        outbox = self.outbox(campaign)
        self.assertEqual(len(outbox), 2 * CALL + 8)
        self.assertEqual(len(set(outbox.mapped("idempotency_key"))), len(outbox))
        current = self.recipients.search([("campaign_id", "=", campaign.id)]).message_id
        self.assertEqual(len(current), CALL + 5)
        self.assertEqual(set(current.mapped("status")), {"queued"})

    def test_stopped_messages_are_not_sent(self):
        campaign = self.started(7)
        sent = self.messages(campaign).sorted("id")[0]
        self.env.cr.execute("UPDATE whatsapp_message SET status = 'sent' WHERE id = %s", (sent.id,))
        campaign.action_stop()
        with self.assertRaises(UserError):
            campaign.unlink()
        self.take_back(campaign)
        rows = self.rows(campaign, "state", "reason")
        self.assertEqual(rows.count(("cancelled", "stopped")), 6)
        self.assertNotIn(sent.id, self.asked[0])
        self.assertAlmostEqual(campaign.progress, 100 / 7)
        self.run_cron()
        self.assertEqual(
            (campaign.state, campaign.count_sent, campaign.count_excluded), ("stopped", 1, 6)
        )
        campaign.unlink()

    def test_killed_between_the_call_and_its_record(self):
        campaign = self.started(4)
        campaign.action_pause()
        # marked and cancelled, then the process ended: a person's own cancel is told from it
        self.messages(campaign)
        own = self.messages(campaign).sorted("id")[0]
        self.env.cr.execute(
            "UPDATE whatsapp_message SET status = 'cancelled' WHERE id = %s", (own.id,)
        )
        campaign.sudo()._mark_taken_back()
        marked = self.recipients.search([("taken_back", "=", True)])
        self.assertEqual(len(marked), 3)
        self.call(self.env, "message.cancel", {"ids": marked.message_id.ids})
        campaign.sudo()._refresh_states()
        self.take_back(campaign)
        states = [state for (state,) in self.rows(campaign, "state")]
        self.assertEqual(sorted(states), ["cancelled", "ready", "ready", "ready"])

    def test_resumed_before_all_came_back(self):
        campaign = self.started(3)
        campaign.action_pause()
        campaign.sudo()._mark_taken_back()
        campaign.action_resume()
        self.assertEqual(campaign.state, "running")
        self.take_back(campaign)
        self.assertEqual(campaign.count_ready, 3)
        self.run_cron()
        self.assertEqual(campaign.count_queued, 3)

    def test_a_bridge_that_is_down_is_said_and_tried_again(self):
        campaign = self.started(3)
        campaign.action_stop()

        def down(*_args, **_kwargs):
            raise bridge_client.BridgeError("bridge_unavailable", "The bridge is down.")

        with patch.object(bridge_client, "call", down):
            campaign.sudo()._take_back()
        self.assertIn("may still be sent", campaign.problem)
        self.take_back(campaign)
        self.assertEqual(campaign.count_queued, 0)

    def test_a_file_is_handed_over_once_and_again_when_it_was_forgotten(self):
        stored = []

        def put(env, data, name, configuration_id=None):
            stored.append((env.uid, data, name, configuration_id))
            return self.insert("whatsapp_media", filename=name, state="ready")

        campaign = self.campaign(
            domain=self.many(5),
            content_kind="file",
            text=False,
            file=base64.b64encode(b"%PDF-1.4 offer"),
            file_name="offer.pdf",
            caption="Our offer",
        )
        with patch.object(bridge_client, "put_media", put):
            campaign.action_check()
            campaign.action_start()
            self.run_cron()
            self.assertEqual(len(stored), 1)
            self.assertEqual(stored[0][1:3], (b"%PDF-1.4 offer", "offer.pdf"))
            kept = campaign.uploaded_media_id
            requests = [json.loads(row.request) for row in self.outbox(campaign)]
            self.assertEqual({request["media"]["id"] for request in requests}, {kept})
            self.assertEqual({request["media"]["caption"] for request in requests}, {"Our offer"})

            later = campaign.copy({"name": "Later"})
            later.action_check()
            self.assertEqual(len(stored), 2)
            # checked today, started next week: the bridge keeps what nobody uses for a day
            self.env["whatsapp.media"].browse(later.uploaded_media_id).sudo().unlink()
            later.action_start()
            self.assertEqual(len(stored), 3)
            requests = [json.loads(row.request) for row in self.outbox(later)]
            self.assertEqual(
                {request["media"]["id"] for request in requests}, {later.uploaded_media_id}
            )

    def test_who_may_not_be_seen_and_who_is_elsewhere(self):
        mine = self.partner("Mine", "+447700900151")
        far = self.partner("Far", "+447700900152", company_id=self.other_company.id)
        hidden = self.partner("Hidden", "+447700900153", company_id=self.other_company.id)
        campaign = self.campaign(
            recipient_source="list", partner_ids=[(6, 0, (mine | far | hidden).ids)]
        )
        # this user is of the first company alone
        campaign.with_user(self.user).action_check()
        self.assertEqual(
            self.rows(campaign, "res_id", "reason"),
            [(mine.id, False), (far.id, "no_access"), (hidden.id, "no_access")],
        )
        self.env.user.company_ids |= self.other_company
        both = self.campaign(recipient_source="list", partner_ids=[(6, 0, (mine | far).ids)])
        both.with_context(
            allowed_company_ids=(self.company | self.other_company).ids
        ).action_check()
        self.assertEqual(
            self.rows(both, "res_id", "reason"), [(mine.id, False), (far.id, "other_company")]
        )
