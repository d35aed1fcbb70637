import logging
from datetime import timedelta

from odoo import _, fields, models

from ..series import invalidate
from .whatsapp_partner_number import e164
from .whatsapp_watch import QUIET_PARAMETER, kinds_of, quiet, words_of

_logger = logging.getLogger(__name__)

# A phone is loud: without the parameter it rests in the night, unlike activities.
QUIET_DEFAULT = "22-7"
# Troubles in which a message through the account itself would be late, or go the same way.
OWN_TROUBLE = ("state", "errors", "slow", "quota")
# What keeps an account from sending now.
STUCK = ("daily_limit", "paused", "disconnected")
# Meta lets us write freely for a day after the person wrote.
META_WINDOW = timedelta(hours=23)


class WhatsappDashboardMark(models.Model):
    _inherit = "whatsapp.dashboard.mark"

    phoned = fields.Char(readonly=True, help="What the supervisor was told and still holds.")


class WhatsappConfiguration(models.Model):
    _inherit = "whatsapp.configuration"

    def _tell_supervisor(self, found):
        """By WhatsApp: what the administrators were told and still holds, and what is over."""
        self.ensure_one()
        mark = self.env["whatsapp.dashboard.mark"].search([("configuration_id", "=", self.id)])
        told, phoned = kinds_of(mark.alerts), kinds_of(mark.phoned)
        if told == phoned or not self.supervisor_phone or self._phone_rests():
            return
        lines, kinds = [], set()
        for kind, summary, _value, _limits, note in found:
            if kind == "silent":
                continue
            if kind in told - phoned:
                lines.append("%s. %s" % (summary, note or ""))
            elif kind in phoned - told:
                lines.append(_("It is over: %s") % summary)
            else:
                continue
            kinds.add(kind)
        if not kinds:
            return
        sender = self._alert_sender(kinds)
        if not sender:
            return  # until an account can: the administrators have their activity
        self._phone(sender, lines)
        phoned = (phoned | (kinds & told)) - (kinds - told)
        self.env.cr.execute(
            "UPDATE whatsapp_dashboard_mark SET phoned = %s WHERE id = %s",
            (words_of(phoned), mark.id),
        )
        invalidate(mark)

    def _phone(self, sender, lines):
        """One message to the supervisor, through the account `sender`, in this transaction."""
        country = self.country_id or self.company_id.country_id
        number = e164(self.supervisor_phone, country.code)
        if not number:
            _logger.warning(
                "account %s: its supervisor's phone is no number: write it with +, country and "
                "all digits",
                self.id,
            )
            return
        text = "\n".join(["*%s*" % self.name] + [line.strip() for line in lines])
        answer = self.env["whatsapp.core.service"].send_text_message(
            number, text, configuration_id=sender.id, category="utility"
        )
        if answer["success"]:
            _logger.info(
                "account %s: its supervisor is told by message %s of account %s",
                self.id,
                answer["data"]["id"],
                sender.id,
            )
        else:
            _logger.warning(
                "account %s: its supervisor could not be told: error %s",
                self.id,
                answer["error"]["code"],
            )

    def _phone_rests(self):
        """Whether the supervisor has quiet hours, in the time of the company or its people."""
        hours = self.env["ir.config_parameter"].sudo().get_param(QUIET_PARAMETER) or QUIET_DEFAULT
        company = self.company_id.partner_id.tz
        zones = [company] + self._administrators().mapped("tz")
        return quiet(hours, next((zone for zone in zones if zone), "UTC"))

    def _alert_sender(self, kinds):
        """The account that tells it: of the same company, connected and not stuck; this one last
        where it is itself in trouble. Empty: none can now."""
        domain = [("company_id", "in", (self.company_id.id, False))]
        accounts = self.search(domain, order="sequence, id")
        others = accounts - self
        own_trouble = bool(kinds & set(OWN_TROUBLE))
        for account in (others + self) if own_trouble else (self + others):
            self.env.cr.execute(
                "SELECT state, waiting_reason FROM whatsapp_account_state"
                " WHERE configuration_id = %s",
                (account.id,),
            )
            state, waiting = self.env.cr.fetchone() or (None, None)
            if state != "connected" or waiting in STUCK:
                continue
            if account.provider != "meta" or self._wrote_to(account):
                return account
        return self.browse()

    def _wrote_to(self, account):
        """Whether the supervisor wrote to that account lately."""
        country = self.country_id or self.company_id.country_id
        self.env.cr.execute(
            "SELECT 1 FROM whatsapp_message m JOIN whatsapp_contact c ON c.id = m.contact_id"
            " WHERE m.configuration_id = %s AND m.direction = 'inbound' AND m.timestamp >= %s"
            " AND m.group_id IS NULL AND c.phone = %s LIMIT 1",
            (
                account.id,
                fields.Datetime.now() - META_WINDOW,
                e164(self.supervisor_phone, country.code),
            ),
        )
        return bool(self.env.cr.fetchone())
