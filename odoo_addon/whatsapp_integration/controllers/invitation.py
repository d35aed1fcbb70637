"""The invitation page of a group, for anybody who has its address."""

import os
import re
from html import escape
from string import Template
from urllib.parse import urlsplit

from odoo import _, http
from odoo.http import request

from ..group_words import qr_png

PAGES = os.path.join(os.path.dirname(__file__), "pages")
# A host and port, and nothing that a header could take for more.
HOST = re.compile(r"[A-Za-z0-9.:-]+")


class WhatsappInvitationController(http.Controller):
    @http.route(
        "/whatsapp/invitation/<string:token>",
        type="http",
        auth="public",
        methods=["GET"],
        save_session=False,
        sitemap=False,
    )
    def invitation(self, token, **kwargs):
        """Name, picture, QR code and join button of the group; nothing else of it."""
        shown = request.env["whatsapp.group.invitation"].sudo()._shown(token)
        if not shown:
            # The same whether the address never was or was taken back.
            words = {
                "title": _("This page does not exist"),
                "text": _("The invitation is not valid any more, or its address is wrong."),
            }
            return self._page("missing.html", words, 404)
        picture = urlsplit(shown["picture"] or "")
        origin = (
            "%s://%s" % (picture.scheme, picture.netloc) if HOST.fullmatch(picture.netloc) else ""
        )
        words = {
            "title": shown["name"],
            "initial": shown["name"][:1].upper(),
            "link": shown["link"],
            "invited": _("You are invited to this WhatsApp group"),
            "join": _("Join the group"),
            "scan": _("On a computer? Scan this code with your phone."),
            "code": _("QR code of the invitation"),
            "qr": qr_png(shown["link"]).decode(),
        }
        face = '<img src="%s" alt="" referrerpolicy="no-referrer">' % escape(shown["picture"] or "")
        return self._page("invitation.html", words, 200, face if origin else "", origin)

    def _page(self, name, words, status, face="", origin=""):
        """A page that loads nothing from anywhere, except the group's picture."""
        with open(os.path.join(PAGES, name), encoding="utf-8") as page:
            template = Template(page.read())
        filled = {word: escape(text) for word, text in words.items()}
        body = template.substitute(filled, face=face)
        images = " ".join(["data:", origin]).strip()
        response = request.make_response(
            body,
            [
                ("Content-Type", "text/html; charset=utf-8"),
                ("X-Robots-Tag", "noindex, nofollow, noarchive"),
                ("Cache-Control", "no-store"),
                ("Referrer-Policy", "no-referrer"),
                ("X-Content-Type-Options", "nosniff"),
                ("X-Frame-Options", "DENY"),
                (
                    "Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; img-src %s; "
                    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'" % images,
                ),
            ],
        )
        response.status_code = status
        return response
