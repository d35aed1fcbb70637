from odoo import _, fields, models
from odoo.exceptions import AccessError

from .. import bridge_client
from ..models.whatsapp_configuration import GROUP_ADMIN

# Long logs take their time: a row is compared in microseconds, but there may be millions.
TIMEOUT_S = 120


class WhatsappAuditVerifyWizard(models.TransientModel):
    _name = "whatsapp.audit.verify.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Check the WhatsApp audit log"

    head = fields.Char(
        "Proof of an Earlier Check",
        help="The line that a check gave before. With it the check also finds that the end of the "
        "log was cut off since.",
    )
    state = fields.Selection(
        [("new", "Not checked"), ("intact", "Intact"), ("broken", "Changed")],
        default="new",
        readonly=True,
    )
    result = fields.Text(readonly=True)
    new_head = fields.Char(
        "Proof of This Check", readonly=True, help="Keep it somewhere else, for the next check."
    )
    broken_id = fields.Many2one("whatsapp.audit.log", "Row", readonly=True, ondelete="set null")

    def action_verify(self):
        """Has the daemon compare every sealed row with what was sealed, and says what it found."""
        self.ensure_one()
        if not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(_("Only WhatsApp administrators may do this."))
        self._check_seen()
        params = {"head": self.head.strip()} if (self.head or "").strip() else {}
        answer = bridge_client.ask(self.env, "audit.verify", params, read_timeout_s=TIMEOUT_S)
        data = answer["data"]
        broken = data.get("broken") or {}
        # A row of another company's account, or one that is gone, is told by its number alone.
        row = self.env["whatsapp.audit.log"].search([("id", "=", broken.get("id") or 0)])
        self.write(
            {
                "state": "intact" if data["intact"] else "broken",
                "result": self._words(data, broken),
                "new_head": data.get("head"),
                "broken_id": row.id,
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": _("Check the Audit Log"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }

    def _words(self, data, broken):
        lines = []
        if data["intact"]:
            lines.append(
                _("%(rows)s sealed rows are as they were written.") % {"rows": data["rows"]}
            )
        else:
            problems = {
                "changed": _("Row %s was changed after it was sealed."),
                "deleted": _("Row %s was deleted."),
                "inserted": _("Row %s was put in later."),
                "reordered": _("Row %s was moved."),
            }
            words = problems.get(broken.get("problem"))
            if words and broken.get("id"):
                lines.append(words % broken["id"])
            lines.append(broken.get("detail") or _("The log is not as it was sealed."))
        if data["unsealed"]:
            lines.append(
                _("%s rows are newer than the last seal: a check in a moment covers them.")
                % data["unsealed"]
            )
        if data["erased_fields"]:
            lines.append(
                _("%s values were erased on request; their proof stays.") % data["erased_fields"]
            )
        if data["removed_segments"]:
            lines.append(
                _("%s older parts were removed after their time; the rest proves them.")
                % data["removed_segments"]
            )
        return "\n".join(lines)
