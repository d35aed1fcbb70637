import json
import logging
import time

import psycopg2

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from .. import bridge_client
from ..series import flush, invalidate
from .whatsapp_bulk_campaign_recipient import STATE_OF_STATUS
from .whatsapp_configuration import GROUP_USER
from .whatsapp_message_template_render import TemplateProblem
from .whatsapp_partner_number import e164

_logger = logging.getLogger(__name__)

# Records, or recipients, of one transaction.
BATCH = 500
# One run of the cron begins no batch after this many seconds: a worker is held no longer.
RUN_S = 45
# Handed to the bridge ahead of what the account's pace lets through in this time, so that the
# minute between two runs is filled and a pause takes hold soon.
AHEAD_S = 90
AHEAD_LEAST = 50
AHEAD_MOST = 5000
# How long the results of a finished campaign are followed.
FOLLOW_DAYS = 7
COLUMNS = (
    "campaign_id",
    "name",
    "number",
    "given",
    "res_model",
    "res_id",
    "state",
    "reason",
    "detail",
    "content",
    "create_uid",
    "write_uid",
    "create_date",
    "write_date",
)
DETAIL_LENGTH = 250


class WhatsappBulkCampaign(models.Model):
    _inherit = "whatsapp.bulk.campaign"

    # --- buttons

    def action_check(self):
        """The dry run: lists every recipient, and why some would fail. Sends nothing."""
        self._begin(start=False)
        return True

    def action_start(self):
        self.ensure_one()
        self._check_usable()
        if self.state == "ready":
            self.sudo().write(
                {"state": "running", "user_id": self.env.uid, "started_at": fields.Datetime.now()}
            )
            self.sudo()._work_now()
        else:
            self._begin(start=True)
        return True

    def _begin(self, start):
        self.ensure_one()
        self._check_usable()
        if self.state != "draft":
            raise UserError(_("This campaign was begun already."))
        self._check_source()
        if not self._sources():
            raise UserError(_("Choose who gets it."))
        problem = self._content_problem()
        if problem:
            raise UserError(problem)
        self._upload()
        self.sudo()._forget_recipients()
        # Whoever presses the button answers for it: records are read with these rights.
        self.sudo().write(
            {"state": "preparing", "start_when_ready": start, "user_id": self.env.uid}
        )
        self.sudo()._work_now()

    def _work_now(self):
        """The first batch at once, so that small campaigns wait for no cron."""
        if self.state == "preparing":
            self._prepare_batch()
        if self.state == "running":
            self._queue_batch()
        cron = self.env.ref("whatsapp_integration.cron_campaigns", raise_if_not_found=False)
        if cron and hasattr(cron, "_trigger"):  # not in 14: there it comes within a minute
            cron.sudo()._trigger()

    def _change(self, states, values, refusal):
        self.ensure_one()
        self._check_usable()
        if self.state not in states:
            raise UserError(refusal)
        self.sudo().write(values)

    def _forget_recipients(self):
        flush(self)
        self.env.cr.execute(
            "DELETE FROM whatsapp_bulk_campaign_recipient WHERE campaign_id = %s", (self.id,)
        )
        self.write({"prepare_step": 0, "prepare_after": 0, "prepared": False, "problem": False})
        invalidate(self)

    # --- the cron

    @api.model
    def _cron_work(self):
        """Prepares and hands over in turns, a transaction for each batch; cut off, it goes on."""
        until = time.monotonic() + RUN_S
        busy = self.search([("state", "in", ("preparing", "running"))], order="id")
        while busy and time.monotonic() < until:
            busy = busy.filtered(lambda campaign: campaign._work_batch())
        since = fields.Datetime.subtract(fields.Datetime.now(), days=FOLLOW_DAYS)
        followed = self.search(
            ["|", ("state", "in", ("running", "paused")), ("finished_at", ">=", since)]
        )
        for campaign in followed:
            campaign._take_back()
            campaign._refresh_states()
            self._commit()

    def _commit(self):
        flush(self)
        self.env.cr.commit()  # between batches of a cron

    def _roll_back(self):
        self.env.cr.rollback()
        invalidate(self)

    def _work_batch(self):
        """One batch and its commit; whether there is more to do at once."""
        try:
            if not self._hold():  # whoever presses a button just now goes first
                return False
            more = False
            if self.state == "preparing":
                more = self._prepare_batch()
            elif self.state == "running":
                more = self._queue_batch()
            self._tell()
            self._commit()
            return more
        except psycopg2.OperationalError as error:  # somebody changed it meanwhile: next minute
            self._roll_back()
            _logger.info("campaign met a lock: campaign.id=%s error=%s", self.id, error.pgcode)
        except bridge_client.BridgeError as error:  # it is down: next minute
            self._roll_back()
            self._note_problem(error, {})
        except (UserError, AccessError) as error:
            self._roll_back()
            self._note_problem(error, {"state": "paused"})
        except Exception as error:
            self._roll_back()
            _logger.exception("campaign failed in a batch: campaign.id=%s", self.id)
            self._note_problem(error, {})
        return False

    def _tell(self):
        """Has the open screens of its user read again, once this is committed."""
        self.env["bus.bus"]._whatsapp_changed(self.user_id.partner_id, {self._name: self.ids})

    def _note_problem(self, error, values):
        self.write(dict(values, problem=str(error)[:DETAIL_LENGTH]))
        self._commit()

    def _responsible(self):
        """The user whose rights count; UserError when there are none any more."""
        user = self.user_id
        usable = self.env["whatsapp.configuration"]._usable_by(
            user, [("id", "=", self.configuration_id.id)]
        )
        if not (user.active or user.id == 1) or not usable:
            raise UserError(
                _("%s may not use this account any more: have somebody else start the campaign.")
                % user.name
            )
        if user.id != 1 and not user.has_group(GROUP_USER):
            raise UserError(_("%s is not in the WhatsApp user group any more.") % user.name)
        return user

    # --- preparing

    def _prepare_batch(self):
        """Makes recipients of the next records; whether there are more."""
        self.ensure_one()
        user = self._responsible()
        mine = self.with_user(user).with_context(lang=user.lang, tz=user.tz)
        sources = mine._sources()
        more = False
        if self.prepare_step < len(sources):
            model, domain = sources[self.prepare_step]
            batch = [("id", ">", self.prepare_after)] + domain
            source = mine.env[model]
            if self.recipient_source == "list":
                records = source.sudo().search(batch, order="id", limit=BATCH)
                seen = source.search([("id", "in", records.ids)], order="id")
                self._insert(mine._rows(seen) + mine._hidden_rows(records - seen))
            else:
                records = source.search(batch, order="id", limit=BATCH)
                self._insert(mine._rows(records))
            values = {"prepare_after": records[-1:].id}
            if len(records) < BATCH:
                values = {"prepare_step": self.prepare_step + 1, "prepare_after": 0}
            self.write(values)
            more = self.prepare_step < len(sources)
        if not more:
            values = {"prepared": True, "state": "running" if self.start_when_ready else "ready"}
            if self.start_when_ready:
                values["started_at"] = fields.Datetime.now()
            self.write(values)
        return more or self.state == "running"

    def _hidden_rows(self, records):
        """Values of the recipients that were chosen by somebody who sees more than the user."""
        return [
            {
                "name": _("Record %s") % record.id,
                "res_model": record._name,
                "res_id": record.id,
                "state": "excluded",
                "reason": "no_access",
            }
            for record in records
        ]

    def _rows(self, records):
        """Values of the recipients that these records make, refused ones with their reason."""
        checked = self._checked_content(records)
        found = [(record, *self._number_of(record)) for record in records]
        numbers = {number for _record, number, _given, _reason in found if number}
        refused = self._refused_numbers(numbers)
        taken = self._taken_numbers(numbers)
        rows = []
        for record, number, given, reason in found:
            row = {
                "name": record.display_name,
                "number": number,
                "given": given or number,
                "res_model": record._name,
                "res_id": record.id,
            }
            detail = None
            if not reason:
                reason = "duplicate" if number in taken else refused.get(number)
            if not reason:
                try:
                    row["content"] = json.dumps(checked(record), ensure_ascii=False)
                except TemplateProblem as problem:
                    reason, detail = problem.reason, str(problem)
            if reason:
                row.update(state="excluded", reason=reason, detail=detail, number=None)
            else:
                row["state"] = "ready"
                taken.add(number)
            rows.append(row)
        return rows

    def _checked_content(self, records):
        """A function from record to content; rights on all of them are asked for at once."""
        unreadable = set()
        if self.content_kind == "template" and records:
            by_row = {}
            for record in records:
                row = self.template_id._for_language(self.template_id._language_of(record))
                by_row[row] = by_row.get(row, records.browse()) | record
            for row, some in by_row.items():
                unreadable |= row._unreadable(some)

        def content(record):
            if record.id in unreadable:
                raise TemplateProblem("missing_field", self.template_id._unreadable_words())
            return self._content_for(record, checked=True)

        return content

    def _number_of(self, record):
        """(number or None, as it is given, reason or None) of a record."""
        if self._is_elsewhere(record):
            return None, None, "other_company"
        if record._name == "whatsapp.group":
            own = record.configuration_id == self.configuration_id
            return record.group_id, record.group_id, None if own else "other_account"
        if record._name == "whatsapp.contact":
            own = record.configuration_id == self.configuration_id
            number = record.phone or (record.contact_id if own else None)
            return number, record.phone or record.contact_id, None if number else "other_account"
        typed, country = self._typed_numbers(record)
        for text in typed:
            number = e164(text, country)
            if number:
                return number, text, None
        return None, (typed or [None])[0], "impossible_number" if typed else "no_number"

    def _is_elsewhere(self, record):
        """Whether a record is of another company than the account, where both are of one."""
        field = record._fields.get("company_id")
        companies = field and field.comodel_name == "res.company" and record.sudo().company_id
        if record._name in ("whatsapp.contact", "whatsapp.group"):
            companies = record.sudo().configuration_id.company_id
        own = self.sudo().configuration_id.company_id
        return bool(own and companies and own != companies)

    def _typed_numbers(self, record):
        """What people wrote as numbers of a record, and the country to read them in."""
        person = record
        if self.phone_path and self.recipient_source == "domain":
            names = self.phone_path.split(".")
            for name in names[:-1]:
                person = person[name]
            typed = [person[:1][names[-1]]] if person else []
        else:
            if "phone" not in record._fields and "partner_id" in record._fields:
                person = record.partner_id
            # a mobile number before the other
            typed = [person[name] for name in ("mobile", "phone") if name in person._fields]
        country = None
        for place in (person, record):
            if place and "country_id" in place._fields and place.country_id:
                country = place.country_id.code
                break
        account = self.sudo().configuration_id
        company = account.company_id or self.user_id.sudo().company_id
        country = country or account.country_id.code or company.country_id.code
        return [text for text in typed if isinstance(text, str) and text.strip()], country

    def _refused_numbers(self, numbers):
        """{number: reason} of those who do not want this."""
        if not numbers or self.category != "marketing":
            return {}
        company = self.sudo().configuration_id.company_id
        opted_out = (
            self.env["whatsapp.contact"]
            .sudo()
            .search(
                [
                    "|",
                    ("phone", "in", list(numbers)),
                    ("contact_id", "in", list(numbers)),
                    ("opted_out", "=", True),
                    ("configuration_id.company_id", "=", company.id),
                ]
            )
        )
        listed = self.env["phone.blacklist"].sudo().search([("number", "in", list(numbers))])
        refused = {entry.number: "blacklisted" for entry in listed}
        for contact in opted_out:
            for number in (contact.phone, contact.contact_id):
                if number:
                    refused[number] = "opted_out"
        return refused

    def _taken_numbers(self, numbers):
        """Those of the numbers that the campaign has already."""
        if not numbers:
            return set()
        self.env.cr.execute(
            "SELECT number FROM whatsapp_bulk_campaign_recipient"
            " WHERE campaign_id = %s AND number IN %s",
            (self.id, tuple(numbers)),
        )
        return {row[0] for row in self.env.cr.fetchall()}

    def _insert(self, rows):
        """All in one statement: 14 makes one of each."""
        if not rows:
            return
        now = fields.Datetime.now()
        common = {
            "campaign_id": self.id,
            "create_uid": self.env.uid,
            "write_uid": self.env.uid,
            "create_date": now,
            "write_date": now,
        }
        values = [tuple(dict(common, **row).get(name) or None for name in COLUMNS) for row in rows]
        flush(self)
        self.env.cr.execute(
            # names of this file alone
            "INSERT INTO whatsapp_bulk_campaign_recipient (%s) VALUES %s"  # noqa: S608
            " ON CONFLICT (campaign_id, number) DO NOTHING"
            % (", ".join(COLUMNS), ", ".join(["%s"] * len(values))),
            values,
        )
        invalidate(self)

    # --- handing over

    def _room(self):
        """How many messages the bridge may get now."""
        pace = self.configuration_id.pace_per_second
        ahead = min(max(int(pace * AHEAD_S), AHEAD_LEAST), AHEAD_MOST) if pace else AHEAD_MOST
        self.env.cr.execute(
            "SELECT count(*) FROM whatsapp_bulk_campaign_recipient r"
            " JOIN whatsapp_message m ON m.id = r.message_id"
            " WHERE r.campaign_id = %s AND r.state = 'queued' AND m.status = 'queued'",
            (self.id,),
        )
        return min(BATCH, ahead - self.env.cr.fetchone()[0])

    def _queue_batch(self):
        """Hands over the next recipients, message and mark in one transaction; whether to go on."""
        self.ensure_one()
        if self.schedule_at and self.schedule_at > fields.Datetime.now():
            return False
        user = self._responsible()
        self._refresh_states()
        self._keep_file(user)
        room = self._room()
        if room <= 0:
            return False
        self.env.cr.execute(
            "SELECT id, number, content, res_model, res_id, coalesce(handed, 0)"
            " FROM whatsapp_bulk_campaign_recipient"
            " WHERE campaign_id = %s AND state = 'ready' ORDER BY id LIMIT %s FOR UPDATE",
            (self.id, room),
        )
        rows = self.env.cr.fetchall()
        if not rows:
            self._finish_if_settled()
            return False
        self._hand_over(rows, user)
        return True

    def _hand_over(self, rows, user):
        now = fields.Datetime.now()
        account = self.configuration_id
        media = self.env["whatsapp.media"].browse(self.uploaded_media_id or 0).exists()
        messages, requests = [], []
        for row_id, _number, content, res_model, res_id, _handed in rows:
            content = self._with_file(json.loads(content))
            request = dict(content, category=self.category)
            values = {
                "configuration_id": account.id,
                "provider": account.provider,
                "direction": "outbound",
                "from_me": True,
                "origin": "odoo",
                "status": "queued",
                "message_type": content["type"],
                "timestamp": now,
                "queued_at": now,
                "user_id": False if user.id == 1 else user.id,
                "request_id": "campaign-%d-%d" % (self.id, row_id),
                "category": self.category,
                "media_id": media.id if content.get("media") else False,
            }
            words = self._content_words(content)
            if content["type"] in ("text", "template"):
                values["content"] = words
            else:
                values["caption"] = content["media"].get("caption") or False
            if res_model in self.env and not res_model.startswith("whatsapp."):
                request.update(res_model=res_model, res_id=res_id)
                values.update(res_model=res_model, res_id=res_id)
            messages.append(values)
            requests.append(request)
        made = self.env["whatsapp.message"].sudo().create(messages)
        self.env["whatsapp.outbox.in"].sudo().create(
            [
                {
                    "message_id": message.id,
                    "configuration_id": account.id,
                    "recipient": row[1],
                    "request": json.dumps(request),
                    "idempotency_key": self._key(row[0], row[5]),
                }
                for message, request, row in zip(made, requests, rows)
            ]
        )
        self.env["whatsapp.outbox.in"]._wake_daemon()
        flush(self)
        pairs = [(row[0], message.id) for row, message in zip(rows, made)]
        self.env.cr.execute(
            # as many pairs as there are rows
            "UPDATE whatsapp_bulk_campaign_recipient r SET state = 'queued',"  # noqa: S608
            " handed = coalesce(handed, 0) + 1, message_id = v.message,"
            " write_date = now() AT TIME ZONE 'UTC' FROM (VALUES "
            + ", ".join(["%s"] * len(pairs))
            + ") AS v (id, message) WHERE r.id = v.id",
            pairs,
        )
        invalidate(self)

    def _key(self, recipient_id, handed):
        """Idempotency key of a recipient's message; another one after it was taken back."""
        key = "campaign:%d:%d" % (self.id, recipient_id)
        return "%s:%d" % (key, handed) if handed else key

    def _refresh_states(self):
        """Makes the recipients' states those of their messages, in one statement."""
        self.ensure_one()
        flush(self)
        self.env.cr.execute(
            # the expression is this addon's own
            "UPDATE whatsapp_bulk_campaign_recipient r SET state = %s"  # noqa: S608
            " FROM whatsapp_message m WHERE m.id = r.message_id AND r.campaign_id = %%s"
            " AND NOT coalesce(r.taken_back, false) AND r.state IS DISTINCT FROM %s"
            % (STATE_OF_STATUS, STATE_OF_STATUS),
            (self.id,),
        )
        if self.env.cr.rowcount:
            invalidate(self)

    def _finish_if_settled(self):
        """Done when the bridge has nothing of it left to send."""
        self.env.cr.execute(
            "SELECT 1 FROM whatsapp_bulk_campaign_recipient r"
            " JOIN whatsapp_message m ON m.id = r.message_id"
            " WHERE r.campaign_id = %s AND r.state = 'queued'"
            " AND (m.status = 'queued' OR r.taken_back) LIMIT 1",
            (self.id,),
        )
        if not self.env.cr.fetchone():
            self.write({"state": "done", "finished_at": fields.Datetime.now()})
