import json

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError

from ..models.whatsapp_configuration import GROUP_USER
from ..models.whatsapp_sync_run import RUN_MODES
from ..models.whatsapp_sync_service import KINDS


class WhatsappSyncWizard(models.TransientModel):
    _name = "whatsapp.sync.wizard"
    _inherit = "whatsapp.guarded.links.mixin"
    _description = "Synchronise with WhatsApp"

    configuration_ids = fields.Many2many(
        "whatsapp.configuration",
        string="Accounts",
        default=lambda self: self.env["whatsapp.configuration"]._first_usable(self.env.user),
    )
    contacts = fields.Boolean(default=True)
    groups = fields.Boolean(default=True)
    messages = fields.Boolean(
        help="What the provider still has of earlier messages; those that are missing here come in."
    )
    mode = fields.Selection(
        RUN_MODES,
        required=True,
        default="incremental",
        help="What is new: from where the last one ended. Everything again: the whole lists of "
        "the provider are compared; only what differs is written.",
    )
    since = fields.Datetime()
    hint = fields.Text(compute="_compute_hint")
    problem = fields.Text(readonly=True)
    started = fields.Char(readonly=True)

    @api.depends("configuration_ids", "contacts", "groups", "messages")
    def _compute_hint(self):
        """What an account cannot do is said before, as far as it is known."""
        labels = self._kind_labels()
        for wizard in self:
            lines = []
            for configuration in wizard.configuration_ids:
                able = wizard._able(configuration)
                missing = [labels[kind] for kind in wizard._kinds() if kind not in able]
                if missing:
                    lines.append(
                        _("%(account)s: the provider does not list %(kinds)s.")
                        % {"account": configuration.name, "kinds": ", ".join(missing)}
                    )
            wizard.hint = "\n".join(lines) or False

    @api.model
    def _kind_labels(self):
        kind = self.env["whatsapp.sync.run.item"]._fields["kind"]
        return dict(kind._description_selection(self.env))

    @api.model
    def _able(self, configuration):
        # an account being chosen in the form is a new record that knows its origin
        account = configuration._origin or configuration
        return self.env["whatsapp.sync.run"]._able(account)

    def _kinds(self):
        self.ensure_one()
        return [kind for kind in KINDS if self[kind]]

    @api.model
    def _action_open(self, configurations=None, kinds=None):
        """The wizard as a dialog, with accounts and kinds chosen."""
        context = {}
        if configurations:
            context["default_configuration_ids"] = [(6, 0, configurations.ids)]
        for kind in KINDS if kinds else ():
            context["default_" + kind] = kind in kinds
        return {
            "type": "ir.actions.act_window",
            "name": _("Synchronise"),
            "res_model": self._name,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": context,
        }

    def action_start(self):
        """Has the daemon start a run for each account, and shows them as they go on.

        Begun twice, when Odoo runs the request again, it finds the runs of the first time.
        """
        self.ensure_one()
        if not self.env.user.has_group(GROUP_USER):
            raise AccessError(_("You are not in the WhatsApp user group."))
        kinds = self._kinds()
        if not self.configuration_ids:
            raise UserError(_("Choose an account."))
        if not kinds:
            raise UserError(_("Choose what to synchronise."))
        if self.mode == "since" and not self.since:
            raise UserError(_("Say since when."))
        runs, problems = [], []
        for configuration in self.configuration_ids:
            wanted = [kind for kind in kinds if kind in self._able(configuration)] or kinds
            try:
                since = self.since if self.mode == "since" else None
                runs.append(self._start(configuration, wanted, since))
            except UserError as error:
                problems.append("%s: %s" % (configuration.name, error.args[0]))
        if problems and not runs:
            raise UserError("\n".join(problems))
        if problems:
            # what was started goes on; this dialog stays to say what was not
            self.write({"problem": "\n".join(problems), "started": json.dumps(runs)})
            return dict(self._action_open(), res_id=self.id)
        return self._action_runs(runs)

    def _start(self, configuration, kinds, since):
        """The id of a run of this account: a new one, or that which works on it already."""
        return self.env["whatsapp.sync.run"]._start(configuration, kinds, self.mode, since)

    @api.model
    def _action_runs(self, runs):
        model = self.env["whatsapp.sync.run"]
        if len(runs) == 1:
            return model._action_open(runs[0])
        action = model._action_list()
        action["domain"] = [("id", "in", runs)]
        return action

    def action_show(self):
        self.ensure_one()
        return self._action_runs(json.loads(self.started or "[]"))
