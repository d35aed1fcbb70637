"""Templates whose header is a file: which file it is, and whether it may be one."""

import base64
import mimetypes

from odoo import _, api, fields, models
from odoo.tools.mimetypes import guess_mimetype

from .whatsapp_message_template_render import FILE_HEADERS, TemplateProblem

# What the bridge makes of a file: all that is neither of these is a document.
BY_TYPE = {"image/": "IMAGE", "video/": "VIDEO"}


class WhatsappMessageTemplate(models.Model):
    _inherit = "whatsapp.message.template"

    has_file_header = fields.Boolean("Header Is a File", compute="_compute_has_file_header")
    header_file = fields.Binary(
        "File of the Header",
        attachment=True,
        help="Sent as the header unless another file is chosen, for example a document's report.",
    )
    header_file_name = fields.Char("Name of the Header's File")

    @api.depends("kind", "components")
    def _compute_has_file_header(self):
        for template in self:
            template.has_file_header = bool(template._file_header())

    def _file_header(self):
        """IMAGE, VIDEO or DOCUMENT; empty where the header is none of them."""
        self.ensure_one()
        if self.kind == "own":
            return ""
        word = str(self._component("HEADER").get("format") or "").upper()
        return word if word in FILE_HEADERS else ""

    def _header_words(self):
        """What the header has to be, as people say it."""
        words = {
            "IMAGE": _("a picture (JPEG or PNG)"),
            "VIDEO": _("a video"),
            "DOCUMENT": _("a document"),
        }
        return words.get(self._file_header(), "")

    def _check_header(self, data, filename):
        """Raises TemplateProblem unless this file can be the header."""
        wanted = self._file_header()
        mimetype = mimetypes.guess_type(filename or "")[0] or guess_mimetype(data)
        given = next((kind for start, kind in BY_TYPE.items() if mimetype.startswith(start)), None)
        if (given or "DOCUMENT") != wanted:
            raise TemplateProblem(
                "missing_file",
                _("The header of this template is %(wanted)s; %(file)s is none.")
                % {"wanted": self._header_words(), "file": filename or _("the file")},
            )
        if mimetype == "text/html":
            raise TemplateProblem(
                "missing_file",
                _(
                    "WhatsApp takes no HTML file as a header. This server cannot make PDF files: "
                    "install wkhtmltopdf."
                ),
            )

    def _header_upload(self, made=None):
        """The header's file for the transaction door, or None where it is no file.

        :param made: (bytes, name) of a report that goes instead of the template's own file
        """
        self.ensure_one()
        if not self._file_header():
            return None
        own = self.with_context(bin_size=False)
        data, name = made or (base64.b64decode(own.header_file or b""), self.header_file_name)
        if not data:
            raise TemplateProblem("missing_file", self._missing_file_words())
        self._check_header(data, name)
        return {"data": bytearray(data), "filename": name, "caption": ""}

    def _missing_file_words(self):
        return _("The header of template %(name)s is %(wanted)s: choose the file.") % {
            "name": self.name,
            "wanted": self._header_words(),
        }
