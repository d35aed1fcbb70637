"""Actions on the groups that are ticked in a list: one call each, with a line for each."""

import time

from odoo import _, fields, models

from .. import bridge_client

# After this no further call is begun: Odoo ends requests that take too long.
BUDGET_S = 60
# How long one of them may take.
CALL_TIMEOUT_S = 40


class WhatsappGroupBulkWizard(models.TransientModel):
    _name = "whatsapp.group.bulk.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "What was done with the chosen WhatsApp groups"

    done_count = fields.Integer("Done", readonly=True)
    failed_count = fields.Integer("Failed", readonly=True)
    left_count = fields.Integer("Not Reached", readonly=True)
    line_ids = fields.One2many("whatsapp.group.result", "bulk_id", "Results", readonly=True)


class WhatsappGroup(models.Model):
    _inherit = "whatsapp.group"

    def action_bulk_sync(self):
        """Starts a synchronisation of groups at each account of the chosen ones."""
        self._check_user()
        lines = []
        for account in self.mapped("configuration_id"):
            params = {
                "configuration_id": account.id,
                "kinds": ["groups"],
                "mode": "incremental",
            }
            lines.append(self._bulk_line(account.name, "sync.start", params))
        return self._bulk_result(_("Synchronise Groups"), lines)

    def action_bulk_links(self):
        """Fetches the invite link of each chosen group."""
        return self._bulk_each(_("Fetch Invite Links"), "group.invite_link")

    def action_bulk_members(self):
        """Reads each chosen group anew at the provider, with its members."""
        return self._bulk_each(_("Update Members"), "group.info")

    def _bulk_each(self, title, method):
        self._check_user()
        lines, end = [], time.monotonic() + BUDGET_S
        for group in self:
            if lines and time.monotonic() > end:
                break
            params = {
                "configuration_id": group.configuration_id.id,
                "group_id": group.group_id,
            }
            lines.append(self._bulk_line(group._label(), method, params))
        return self._bulk_result(title, lines, len(self) - len(lines))

    def _bulk_line(self, name, method, params):
        """One call; what went wrong is a line, the others go on."""
        try:
            answer = bridge_client.call(self.env, method, params, read_timeout_s=CALL_TIMEOUT_S)
        except bridge_client.BridgeError as error:
            return {"name": name, "result": "failed", "reason": error.text}
        data = answer["data"]
        if method == "group.invite_link":
            told = data["invite_link"]
        elif method == "group.info":
            joined = [row for row in data["participants"] if row["state"] == "joined"]
            told = _("%s members") % len(joined)
        else:
            told = _("Run %s") % data["job_id"]
        return {"name": name, "result": "done", "reason": told}

    def _bulk_result(self, title, lines, left=0):
        failed = [line for line in lines if line["result"] == "failed"]
        wizard = self.env["whatsapp.group.bulk.wizard"].create(
            {
                "done_count": len(lines) - len(failed),
                "failed_count": len(failed),
                "left_count": left,
                "line_ids": [(0, 0, line) for line in lines],
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": wizard._name,
            "res_id": wizard.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }
