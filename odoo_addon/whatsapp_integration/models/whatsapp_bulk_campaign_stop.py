"""Pause, resume, stop: what the bridge has already but has not tried is taken back from it."""

import logging
import time

import psycopg2

from odoo import SUPERUSER_ID, _, api, fields, models
from odoo.exceptions import UserError

from .. import bridge_client
from ..series import flush, invalidate

_logger = logging.getLogger(__name__)

# Messages of one call; the bridge takes up to 1000.
CALL = 250
# How long a button's own request goes on; the cron does the rest.
BUTTON_S = 20
# Answers that are final: the message is being sent, was sent, or is gone.
TOO_LATE = ("conflict", "record_not_found")


class WhatsappBulkCampaign(models.Model):
    _inherit = "whatsapp.bulk.campaign"

    def action_pause(self):
        """Nothing more leaves: what the bridge has not tried comes back and waits for Resume."""
        self._change(("preparing", "running"), {"state": "paused"}, _("It is not running."))
        self._take_back_after_commit()
        return True

    def action_resume(self):
        self.ensure_one()
        state = "running" if self.prepared else "preparing"
        self._change(("paused",), {"state": state, "problem": False}, _("It is not paused."))
        self.sudo()._work_now()
        return True

    def action_stop(self):
        """Ends it for good: who has not got the message by now does not get it."""
        self._change(
            ("preparing", "ready", "running", "paused"),
            {"state": "stopped", "finished_at": fields.Datetime.now()},
            _("It has ended already."),
        )
        flush(self)
        self.env.cr.execute(
            "UPDATE whatsapp_bulk_campaign_recipient SET state = 'cancelled', reason = 'stopped',"
            " write_uid = %s, write_date = now() AT TIME ZONE 'UTC'"
            " WHERE campaign_id = %s AND state = 'ready'",
            (self.env.uid, self.id),
        )
        invalidate(self)
        self._take_back_after_commit()
        return True

    def action_draft(self):
        """Back to a draft, as long as nothing was handed to the bridge."""
        self.ensure_one()
        self._check_usable()
        if self.recipient_ids.search([("campaign_id", "=", self.id), ("handed", ">", 0)], limit=1):
            raise UserError(_("Messages were sent already. Copy the campaign instead."))
        self._change(
            ("ready", "paused", "stopped"),
            {"state": "draft", "problem": False, "finished_at": False, "started_at": False},
            _("Stop or pause it first."),
        )
        self.sudo()._forget_recipients()
        return True

    def unlink(self):
        for campaign in self:
            campaign._must_be_taken_back()
        return super().unlink()

    def _must_be_taken_back(self):
        """Raises UserError while messages of a stopped campaign may still be sent."""
        self.ensure_one()
        if self.state == "stopped" and self.sudo()._bridge_has_some():
            raise UserError(_("Its last messages are still being taken back: try again soon."))

    def _bridge_has_some(self):
        self.env.cr.execute(
            "SELECT 1 FROM whatsapp_bulk_campaign_recipient r"
            " JOIN whatsapp_message m ON m.id = r.message_id"
            " WHERE r.campaign_id = %s AND (r.taken_back OR m.status = 'queued') LIMIT 1",
            (self.id,),
        )
        return bool(self.env.cr.fetchone())

    # --- taking back

    def _take_back_after_commit(self):
        """Not before: the bridge must not act on a pause that is rolled back."""
        pool, ids = self.pool, self.ids

        @self.env.cr.postcommit.add
        def take_back():
            try:
                with pool.cursor() as cr:
                    api.Environment(cr, SUPERUSER_ID, {})[self._name].browse(ids)._take_back()
            except Exception:  # the button is done; the cron goes on with this within a minute
                _logger.exception("campaign's messages were not taken back: campaign.ids=%s", ids)

    def _take_back(self, seconds=BUTTON_S):
        """Takes back what may be, in batches of a transaction each; cut off, it goes on.

        First a mark, committed, and then the call: so that a cancelled message is told from one
        that a person has cancelled, even when this process ends between the two.
        """
        self.ensure_one()
        until = time.monotonic() + seconds
        try:
            if not self._hold():
                return
            if self.state in ("paused", "stopped"):
                self._mark_taken_back()
            self._commit()
            while time.monotonic() < until and self._hold() and self._take_back_batch():
                self._commit()
            self._commit()
        except psycopg2.OperationalError as error:  # somebody changed it meanwhile: next minute
            self._roll_back()
            _logger.info("campaign met a lock: campaign.id=%s error=%s", self.id, error.pgcode)
        except bridge_client.BridgeError as error:
            self._roll_back()
            words = _("Messages that the bridge has already may still be sent: %s") % error.text
            self._note_problem(words, {})

    def _hold(self):
        """Whether the campaign is there, and now nobody else's."""
        self.env.cr.execute(
            "SELECT id FROM whatsapp_bulk_campaign WHERE id = %s FOR UPDATE SKIP LOCKED",
            (self.id,),
        )
        found = self.env.cr.fetchone()
        invalidate(self)
        return bool(found)

    def _mark_taken_back(self):
        flush(self)
        self.env.cr.execute(
            "UPDATE whatsapp_bulk_campaign_recipient r SET taken_back = true"
            " FROM whatsapp_message m WHERE m.id = r.message_id AND r.campaign_id = %s"
            " AND r.state = 'queued' AND m.status = 'queued' AND NOT coalesce(taken_back, false)",
            (self.id,),
        )
        invalidate(self)

    def _take_back_batch(self):
        """One call for some of the marked; whether there are more."""
        # The last ones first: the bridge begins with the others.
        self.env.cr.execute(
            "SELECT id, message_id FROM whatsapp_bulk_campaign_recipient"
            " WHERE campaign_id = %s AND taken_back ORDER BY id DESC LIMIT %s",
            (self.id, CALL),
        )
        rows = self.env.cr.fetchall()
        if not rows:
            return False
        asked = [message_id for _id, message_id in rows if message_id]
        back, kept = [], [row_id for row_id, message_id in rows if not message_id]
        results = []
        if asked:
            answer = bridge_client.call(self.env, "message.cancel", {"ids": asked})
            results = answer["data"]["results"]
        recipient_of = {message_id: row_id for row_id, message_id in rows}
        for message_id, result in zip(asked, results):
            if result.get("status") == "cancelled":
                back.append(recipient_of[message_id])
            elif result.get("error", {}).get("data", {}).get("kind") in TOO_LATE:
                kept.append(recipient_of[message_id])
        self._put_back(back, kept)
        return len(rows) == CALL and bool(back or kept)

    def _put_back(self, back, kept):
        """Makes recipients that were taken back ready again, or not sent where it has ended."""
        ended = self.state == "stopped"
        if back:
            self.env.cr.execute(
                "UPDATE whatsapp_bulk_campaign_recipient SET state = %s, reason = %s,"
                " message_id = CASE WHEN %s THEN message_id END, taken_back = false,"
                " write_date = now() AT TIME ZONE 'UTC' WHERE id IN %s",
                (
                    "cancelled" if ended else "ready",
                    "stopped" if ended else None,
                    ended,
                    tuple(back),
                ),
            )
        if kept:
            self.env.cr.execute(
                "UPDATE whatsapp_bulk_campaign_recipient SET taken_back = false WHERE id IN %s",
                (tuple(kept),),
            )
        invalidate(self)
        self._tell()
