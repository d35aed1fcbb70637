import json
import re

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from ..series import check_access

# {{1}}, and the named ones that a provider may have: {{first_name}}.
PLACEHOLDER = re.compile(r"\{\{\s*([0-9]+|[a-z_][a-z0-9_]*)\s*\}\}")
PARTS = [("header", "Header"), ("body", "Body"), ("footer", "Footer"), ("button", "Button")]
TEXT_MAX_CHARS = 4096
# Headers of provider templates that are a file, and what the file may be.
FILE_HEADERS = {"IMAGE": "image", "VIDEO": "video", "DOCUMENT": "document"}


class TemplateProblem(UserError):
    """Why a template cannot be rendered for a record; `reason` is a word of recipients' reasons."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


def placeholders(text):
    """Names of the placeholders in a text, in order, each once; numbers by their value."""
    names = list(dict.fromkeys(PLACEHOLDER.findall(text or "")))
    return sorted(names, key=int) if all(name.isdigit() for name in names) else names


class WhatsappMessageTemplate(models.Model):
    _inherit = "whatsapp.message.template"

    is_fallback = fields.Boolean(
        "Fallback Language", help="Used for people whose language has no row of this name."
    )
    variable_ids = fields.One2many(
        "whatsapp.message.template.variable", "template_id", "Placeholders", copy=True
    )
    problem = fields.Text("What Is Missing", compute="_compute_problem")
    header_format = fields.Char("Header Kind", compute="_compute_shown")
    shown_header = fields.Text("Shown Header", compute="_compute_shown")
    shown_body = fields.Text("Shown Body", compute="_compute_shown")
    shown_footer = fields.Text("Shown Footer", compute="_compute_shown")
    shown_buttons = fields.Text("Shown Buttons", compute="_compute_shown")

    # --- what it is made of

    def _definition(self):
        """The provider's components as a list of dicts; empty for own texts."""
        self.ensure_one()
        try:
            components = json.loads(self.components or "[]")
        except ValueError:
            components = []
        return [part for part in components if isinstance(part, dict)]

    def _component(self, kind):
        for part in self._definition():
            if str(part.get("type") or "").upper() == kind:
                return part
        return {}

    def _buttons(self):
        """The provider's buttons, in order."""
        buttons = self._component("BUTTONS").get("buttons") or []
        return [button for button in buttons if isinstance(button, dict)]

    def _texts(self):
        """[(part, index of the button, text)] of everything that may hold placeholders."""
        self.ensure_one()
        if self.kind == "own":
            return [
                ("header", 0, self.header_text or ""),
                ("body", 0, self.body or ""),
                ("footer", 0, self.footer_text or ""),
            ]
        texts = [
            ("header", 0, self._component("HEADER").get("text") or ""),
            ("body", 0, self._component("BODY").get("text") or ""),
            ("footer", 0, self._component("FOOTER").get("text") or ""),
        ]
        for index, button in enumerate(self._buttons()):
            texts.append(("button", index, button.get("url") or ""))
        return texts

    def _wanted(self):
        """[(part, index, placeholder)] that want a value, in order; own texts share numbers."""
        self.ensure_one()
        if self.kind == "own":
            whole = "\n".join(text for _part, _index, text in self._texts())
            return [("body", 0, name) for name in placeholders(whole)]
        return [
            (part, index, name)
            for part, index, text in self._texts()
            for name in placeholders(text)
        ]

    def _bindings(self):
        return {(v.part, v.button_index, v.placeholder): v for v in self.variable_ids}

    def _missing_rows(self):
        """Values of the rows for placeholders that have none yet."""
        have = self._bindings()
        return [
            {"part": part, "button_index": index, "placeholder": name}
            for part, index, name in self._wanted()
            if (part, index, name) not in have
        ]

    @api.onchange("body", "header_text", "footer_text")
    def _onchange_texts(self):
        """A row for each new placeholder; rows of placeholders that are gone go too."""
        wanted = set(self._wanted())
        for variable in self.variable_ids:
            if (variable.part, variable.button_index, variable.placeholder) not in wanted:
                self.variable_ids -= variable
        self.variable_ids = [(0, 0, values) for values in self._missing_rows()]

    @api.onchange("model_id")
    def _onchange_model_id(self):
        self.model = self.model_id.model

    def _complete_variables(self):
        """Makes the rows of each template's placeholders fit its texts."""
        for template in self:
            wanted = set(template._wanted())
            gone = template.variable_ids.filtered(
                lambda v: (v.part, v.button_index, v.placeholder) not in wanted  # noqa: B023
            )
            if gone:
                gone.unlink()
            rows = template._missing_rows()
            if rows:
                template.write({"variable_ids": [(0, 0, values) for values in rows]})

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._add_model(vals)
        templates = super().create(vals_list)
        templates.filtered(lambda t: t.kind == "provider")._complete_variables()
        return templates

    def write(self, vals):
        result = super().write(self._add_model(vals))
        if "components" in vals:
            self.filtered(lambda t: t.kind == "provider")._complete_variables()
        return result

    @api.model
    def _add_model(self, vals):
        """The technical name follows the model that was chosen, and the other way round."""
        if vals.get("model_id"):
            vals["model"] = self.env["ir.model"].sudo().browse(vals["model_id"]).model
        elif vals.get("model"):
            vals["model_id"] = self.env["ir.model"].sudo()._get_id(vals["model"])
        return vals

    # --- what is wrong with it

    def _problems(self):
        """Sentences about what keeps this template from being used, with any record."""
        self.ensure_one()
        problems = []
        if self.kind == "own":
            if not (self.body or "").strip():
                problems.append(_("The text is empty."))
            names = [name for _part, _index, name in self._wanted()]
            if names != [str(number) for number in range(1, len(names) + 1)]:
                problems.append(
                    _("Placeholders are numbered without gaps: {{1}}, {{2}}, …; here are %s.")
                    % ", ".join("{{%s}}" % name for name in names)
                )
        else:
            problems += self._provider_problems()
        bindings = self._bindings()
        for key in self._wanted():
            variable = bindings.get(key)
            if not variable or not (variable.field_path or variable.default):
                problems.append(
                    _("Placeholder %s has no field and no fixed text.")
                    % self._placeholder_name(key)
                )
        return problems + [problem for v in self.variable_ids for problem in v._problems()]

    def _provider_problems(self):
        if self.state != "approved":
            return [
                _("The provider has not approved this template: its state is %s.")
                % (self.state or _("unknown"))
            ]
        return []

    def _placeholder_name(self, key):
        part, index, name = key
        shown = "{{%s}}" % name
        if self.kind == "own" or part == "body":
            return shown
        if part == "button":
            return _("%(name)s of button %(number)s") % {"name": shown, "number": index + 1}
        parts = dict(self.env["whatsapp.message.template.variable"]._part_words())
        return _("%(name)s of the %(part)s") % {"name": shown, "part": parts[part].lower()}

    @api.depends(
        "kind",
        "state",
        "body",
        "header_text",
        "footer_text",
        "components",
        "model",
        "variable_ids.field_path",
        "variable_ids.default",
        "variable_ids.placeholder",
    )
    def _compute_problem(self):
        for template in self:
            template.problem = "\n".join(template._problems()) or False

    @api.constrains("kind", "body", "header_text", "footer_text", "model", "variable_ids")
    def _check_own_text(self):
        for template in self:
            problems = template._problems() if template.kind == "own" else []
            if problems:
                raise ValidationError("\n".join(problems))

    # --- rendering

    def _for_language(self, lang):
        """The row of this name in a language: the very one, its base language, the fallback."""
        self.ensure_one()
        if not lang or self.language == lang:
            return self
        rows = self.search(
            [
                ("name", "=", self.name),
                ("kind", "=", self.kind),
                ("configuration_id", "=", self.configuration_id.id),
                ("company_id", "=", self.company_id.id),
                ("model", "=", self.model),
            ]
        )
        if self.kind == "provider":
            rows = rows.filtered(lambda row: row.state == "approved")
        base = lang.split("_")[0]
        for fits in (
            lambda row: row.language == lang,
            lambda row: row.language == base,
            lambda row: (row.language or "").split("_")[0] == base,
            lambda row: row.is_fallback,
        ):
            found = rows.filtered(fits)
            if found:
                return found[0]
        return self

    @api.model
    def _language_of(self, record):
        """The language of the person a record is about; empty when it tells none."""
        for person in (record, record["partner_id"] if "partner_id" in record._fields else None):
            if person and "lang" in person._fields and isinstance(person["lang"], str):
                return person["lang"]
        return False

    def _values(self, record, lang=None):
        """{(part, index, placeholder): text}; TemplateProblem names what is missing."""
        self.ensure_one()
        problems = self._problems()
        if problems:
            raise TemplateProblem("template", problems[0])
        if (
            self.model
            and record._name != self.model
            and any(self.variable_ids.mapped("field_path"))
        ):
            raise TemplateProblem(
                "template",
                _("The template is for %(wanted)s, not for %(given)s.")
                % {"wanted": self.model, "given": record._name},
            )
        lang = self._known_language(lang)
        values = {}
        for key, variable in self._bindings().items():
            value = (
                variable.field_path and variable._text_for(record, lang) or variable.default or ""
            )
            if not value:
                raise TemplateProblem(
                    "missing_field",
                    _("%(name)s: %(path)s is empty.")
                    % {"name": self._placeholder_name(key), "path": variable.field_path},
                )
            values[key] = value
        return values

    def _known_language(self, lang):
        """A language that is installed, nearest to the wanted one or to that of the row."""
        installed = [code for code, _name in self.env["res.lang"].get_installed()]
        for wanted in (lang, self.language, self.env.lang):
            for code in installed:
                if wanted and (code == wanted or code.split("_")[0] == wanted.split("_")[0]):
                    return code
        return "en_US"

    def _fill(self, values, part, index, text):
        shared = self.kind == "own"
        return PLACEHOLDER.sub(
            lambda match: values.get(
                ("body", 0, match.group(1)) if shared else (part, index, match.group(1)),
                match.group(0),
            ),
            text,
        )

    def _parts(self, record, lang=None):
        """{"header", "body", "footer", "buttons"} as the recipient will see them."""
        self.ensure_one()
        return self._filled(self._values(record, lang))

    def _filled(self, values):
        parts = {
            part: self._fill(values, part, index, text)
            for part, index, text in self._texts()
            if part != "button"
        }
        parts["buttons"] = [str(button.get("text") or "") for button in self._buttons()]
        return parts

    def _render(self, record, lang=None):
        """The content of a message for one record, as message.send takes it.

        :param lang: of the recipient; by default what the record tells. Picks the row too.
        :return: {"type": "text", "text": {…}} or {"type": "template", "template": {…}}
        :raises TemplateProblem: what is missing, in words
        """
        self.ensure_one()
        lang = lang or self._language_of(record)
        row = self._for_language(lang)
        if row._unreadable(record):
            raise TemplateProblem("missing_field", row._unreadable_words())
        return row._render_row(record, lang)

    @api.model
    def _unreadable_words(self):
        return _("You may not read the record or one that a placeholder names.")

    def _unreadable(self, records):
        """Ids of the records whose values the user may not read, or those of records on the way.

        Asked for many at once: the ORM's cache may hold what another user has read.
        """
        self.ensure_one()
        paths = {
            tuple(path.split(".")[:-1])
            for path in self.variable_ids.mapped("field_path")
            if path and self.model == records._name
        }

        def check(some):
            check_access(some, "read")
            for path in paths:
                reached = some
                for name in path:
                    reached = reached[name] if len(reached) == 1 else reached.mapped(name)
                    check_access(reached, "read")

        try:
            check(records)
            return set()
        except (AccessError, KeyError):
            if len(records) == 1:
                return set(records.ids)
        return {id for record in records for id in self._unreadable(record)}

    def _render_row(self, record, lang):
        values = self._values(record, lang)
        if self.kind == "own":
            parts = self._filled(values)
            header = parts["header"] and "*%s*" % parts["header"]
            footer = parts["footer"] and "_%s_" % parts["footer"]
            body = "\n\n".join(part for part in (header, parts["body"], footer) if part)
            if len(body) > TEXT_MAX_CHARS:
                raise TemplateProblem(
                    "too_long",
                    _("The text has %(have)s characters; at most %(most)s are possible.")
                    % {"have": len(body), "most": TEXT_MAX_CHARS},
                )
            return {"type": "text", "text": {"body": body}}
        return self._provider_request(values)

    def _provider_request(self, values):
        """Parameters in the order of the definition; lines and tabs are not allowed in them."""
        found = {"header": [], "body": [], "button": []}
        for part, index, name in self._wanted():
            text = " ".join(values[part, index, name].split())
            if part == "button":
                found[part].append({"index": index, "text": text})
            elif name.isdigit():
                found[part].append(text)
            else:
                found[part].append({"name": name, "text": text})
        # by position where each button from the first one on has one
        indexes = [button["index"] for button in found["button"]]
        if indexes == list(range(len(indexes))):
            found["button"] = [button["text"] for button in found["button"]]
        parameters = {
            name: found[part]
            for name, part in (("header", "header"), ("body", "body"), ("buttons", "button"))
            if found[part]
        }
        return {
            "type": "template",
            "template": {
                "name": self.name,
                "language": self.language,
                "parameters": parameters,
            },
        }

    # --- shown

    @api.depends("kind", "body", "header_text", "footer_text", "components")
    def _compute_shown(self):
        for template in self:
            parts = template._filled({})
            kind = str(template._component("HEADER").get("format") or "").upper()
            template.header_format = kind or False
            file_name = FILE_HEADERS.get(kind)
            template.shown_header = "[%s]" % file_name if file_name else parts["header"] or False
            template.shown_body = parts["body"] or False
            template.shown_footer = parts["footer"] or False
            template.shown_buttons = "\n".join(parts["buttons"]) or False

    def action_preview(self):
        """A dialog with the message for a chosen record."""
        self.ensure_one()
        self._check_seen()
        return {
            "type": "ir.actions.act_window",
            "name": _("Preview"),
            "res_model": "whatsapp.message.template.preview",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_template_id": self.id},
        }
