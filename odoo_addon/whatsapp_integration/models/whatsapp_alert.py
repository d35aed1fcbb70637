import logging

from odoo import _, fields, models

from ..series import SERIES
from .whatsapp_configuration import GROUP_ADMIN

_logger = logging.getLogger(__name__)

# States in which an account needs somebody.
TROUBLE = ("qr_needed", "disconnected", "banned", "token_dead")
ACTIVITY_TYPE = "mail.mail_activity_data_warning"


class WhatsappConfiguration(models.Model):
    _name = "whatsapp.configuration"
    _inherit = ["whatsapp.configuration", "mail.thread", "mail.activity.mixin"]

    def _on_alert(self):
        """Called when the daemon reports something about an account; to be extended.

        Shipped: an activity for each administrator of the account, none while one of his is open;
        those about the account's state are done once it is connected again. The event is in the
        context as `whatsapp_event_id`, see `whatsapp.event._current`.
        """
        super()._on_alert()
        event = self.env["whatsapp.event"]._current()
        details = event._details()
        for account in self:
            if event.kind == "alert":
                words = (details.get("kind"), details.get("detail"))
                note = ": ".join(word for word in words if word)
                account._alert(_("WhatsApp reports something about this account"), note)
                continue
            state = details.get("state") or account.state
            if state == "connected":
                account._alerts(account._state_summary()).action_feedback(
                    feedback=_("The account is connected again.")
                )
            elif state in TROUBLE:
                states = dict(account._fields["state"]._description_selection(account.env))
                words = (states.get(state, state), details.get("reason"))
                note = ": ".join(word for word in words if word)
                account._alert(account._state_summary(), note)

    def _on_template(self):
        """Called when a provider decided about a template of the account; to be extended."""

    def _on_preference(self):
        """Called when a person does or does not want messages of a category any more."""

    def _state_summary(self):
        return _("This WhatsApp account cannot send or receive")

    def _alerts(self, summary):
        """The open activities of this kind."""
        return self.env["mail.activity"].search(
            [
                ("res_model", "=", self._name),
                ("res_id", "in", self.ids),
                ("activity_type_id", "=", self.env.ref(ACTIVITY_TYPE).id),
                ("summary", "=", summary),
            ]
        )

    def _alert(self, summary, note):
        self.ensure_one()
        told = self._alerts(summary).mapped("user_id")
        # No mail for each: the activity is shown to its user, and the account's form has it.
        account = self.with_context(mail_activity_quick_update=True)
        for user in self._administrators() - told:
            account.activity_schedule(
                ACTIVITY_TYPE,
                date_deadline=fields.Date.context_today(self),
                summary=summary,
                note=note,
                user_id=user.id,
            )

    def _administrators(self):
        """WhatsApp administrators who see this account."""
        self.ensure_one()
        groups = "groups_id" if SERIES < 19 else "all_group_ids"
        domain = [(groups, "in", self.env.ref(GROUP_ADMIN).ids), ("share", "=", False)]
        if self.company_id:
            domain.append(("company_ids", "in", self.company_id.ids))
        return self.env["res.users"].sudo().search(domain)
