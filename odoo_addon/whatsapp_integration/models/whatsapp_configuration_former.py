"""Webhook secrets change with overlap: former ones are accepted for a time, then forgotten."""

from odoo import _, api, fields, models

from .whatsapp_configuration import FORMER, GROUP_ADMIN


class WhatsappConfiguration(models.Model):
    _inherit = "whatsapp.configuration"

    # The sealed text of the column they come from, as it was. The daemon accepts both until then.
    webhook_token_former = fields.Char(
        "Former Sealed Webhook Token", groups=GROUP_ADMIN, copy=False, readonly=True
    )
    webhook_secret_former = fields.Char(
        "Former Sealed Webhook Secret", groups=GROUP_ADMIN, copy=False, readonly=True
    )
    app_secret_former = fields.Char(
        "Former Sealed App Secret", groups=GROUP_ADMIN, copy=False, readonly=True
    )
    former_until = fields.Datetime(
        "Former Accepted Until", groups=GROUP_ADMIN, copy=False, readonly=True
    )
    former_names = fields.Char(
        "Still Accepted", compute="_compute_former_names", groups=GROUP_ADMIN
    )

    @api.depends("former_until", *FORMER.values())
    def _compute_former_names(self):
        """Which former secrets are accepted now, in words; the cron's delay does not show."""
        now = fields.Datetime.now()
        for account in self:
            until = account.former_until
            names = [
                account._fields[name]._description_string(account.env)
                for name in ("has_" + secret for secret in FORMER)
                if until and until > now and account[FORMER[name[len("has_") :]]]
            ]
            account.former_names = ", ".join(names) or False

    def _replace_secrets(self, values, until=False):
        """Writes sealed secrets. What they replace is accepted until then; without a time no more.

        Former values of an earlier change that are accepted still end at the same time.
        """
        self.ensure_one()
        self._check_administrator()
        values = dict(values)
        kept = False
        for name, former in FORMER.items():
            if self[name] and name in values and values[name] != self[name]:
                values[former] = self[name] if until else False
            kept = kept or bool(values.get(former, self[former]))
        if set(values) & set(FORMER.values()):
            values["former_until"] = kept and (until or self.former_until)
        return self.write(values)

    def action_forget_former(self):
        """What is still accepted beside the newest secrets is refused from now on."""
        self.ensure_one()
        self._check_administrator()
        self._forget_former()
        return self._notification(
            _("Webhook secrets"), _("Only the newest secrets are accepted now."), "success"
        )

    def _forget_former(self):
        if not self:
            return True
        return self.write(dict(dict.fromkeys(FORMER.values(), False), former_until=False))

    @api.model
    def _cron_forget_former(self):
        """Empties what the daemon does not accept any more."""
        over = [("former_until", "<=", fields.Datetime.now())]
        return self.with_context(active_test=False).search(over)._forget_former()
