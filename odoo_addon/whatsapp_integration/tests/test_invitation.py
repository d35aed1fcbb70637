import re

from odoo.exceptions import AccessError
from odoo.tests.common import HttpCase

from .. import bridge_client
from ..controllers.invitation import HOST
from ..series import invalidate
from .common import Fixtures, post
from .group_common import LINK, GroupCase

PICTURE = "https://pictures.example:8443/club.jpg?a=1&b=<x>"


class Pages:
    def page_of(self, group):
        return self.env["whatsapp.group.invitation"].create({"group_id": group.id})


@post
class TestInvitation(GroupCase):
    def test_on_and_off(self):
        group = self.club.with_user(self.user)
        self.assertFalse(group.page_url)
        with self.daemon({"group.invite_link": {"data": {"invite_link": LINK}}}):
            group.action_open_page()
        self.assertEqual([method for method, _params in self.asked], ["group.invite_link"])
        first = group.page_url
        self.assertRegex(first, r"^http.*/whatsapp/invitation/[A-Za-z0-9_-]{32}$")
        self.assertEqual(group.action_show_page()["url"], first)
        with self.daemon({"group.invite_link": {"data": {"invite_link": LINK}}}):
            group.action_open_page()  # on already: the same address
        self.assertEqual(group.page_url, first)
        group.action_close_page()
        self.assertFalse(group.page_url)
        with self.daemon({"group.invite_link": {"data": {"invite_link": LINK}}}):
            group.action_open_page()
        self.assertNotEqual(group.page_url, first)
        revoked = self.env["whatsapp.group.invitation"].search(
            [("active", "=", False), ("group_id", "=", self.club.id)]
        )
        self.assertEqual(len(revoked), 1)
        self.assertTrue(revoked.revoked_at)

    def test_nobody_writes_them_past_the_buttons(self):
        invitations = self.env["whatsapp.group.invitation"]
        page = invitations.create({"group_id": self.club.id})
        for user in (self.user, self.admin):
            with self.assertRaises(AccessError):
                invitations.with_user(user).create({"group_id": self.club.id, "token": "a" * 32})
            with self.assertRaises(AccessError):
                page.with_user(user).write({"active": True})
            with self.assertRaises(AccessError):
                page.with_user(user).unlink()
        far = invitations.create({"group_id": self.make_group(self.far, "Far").id})
        theirs = invitations.create({"group_id": self.make_group(self.sales, "Theirs").id})
        self.assertEqual(invitations.with_user(self.user).search([]) & (page + far + theirs), page)
        with self.assertRaises(AccessError):
            invitations.with_user(self.plain).search([])

    def test_what_a_page_can_show(self):
        shown = self.env["whatsapp.group.invitation"]._shown
        page = self.env["whatsapp.group.invitation"].create({"group_id": self.club.id})
        self.assertIsNone(shown(page.token))  # no link is known

        def now(**columns):
            for name, value in columns.items():
                self.env.cr.execute(
                    "UPDATE whatsapp_group SET %s = %%s WHERE id = %%s" % name,
                    (value, self.club.id),
                )
            invalidate(self.club)
            return shown(page.token)

        self.assertEqual(now(invite_link=LINK), {"name": "Club", "link": LINK, "picture": None})
        self.assertEqual(now(picture=PICTURE.split("?")[0])["picture"], PICTURE.split("?")[0])
        for wrong in ("javascript:alert(1)", "data:text/html,x", 'https://x" onclick="y'):
            self.assertIsNone(now(invite_link=wrong))
        self.assertIsNone(now(invite_link=LINK, picture="javascript:alert(1)")["picture"])
        self.assertIsNone(now(is_active=False))
        for token in ("", None, "x", page.token + "x", page.token.swapcase(), "%" * 32):
            self.assertIsNone(shown(token))
        self.assertFalse(HOST.fullmatch("x; script-src *"))


@post
class TestInvitationPage(Pages, Fixtures, HttpCase):
    make_group = GroupCase.make_group

    def setUp(self):
        super().setUp()
        self.make_accounts()
        bridge_client.CAPABILITIES.clear()
        self.club = self.make_group(
            self.support,
            "Tom & <b>Jerry</b>",
            invite_link=LINK,
            picture="https://pictures.example:8443/club.jpg",
            description="For members only",
        )
        self.page = self.page_of(self.club)

    def get(self, token):
        return self.url_open("/whatsapp/invitation/%s" % token)

    def test_page(self):
        answer = self.get(self.page.token)
        self.assertEqual(answer.status_code, 200)
        body = answer.text
        self.assertIn("Tom &amp; &lt;b&gt;Jerry&lt;/b&gt;", body)
        self.assertNotIn("<b>", body)
        self.assertEqual(re.findall(r'href="([^"]*)"', body), [LINK])
        self.assertIn('src="https://pictures.example:8443/club.jpg"', body)
        self.assertIn("data:image/png;base64,", body)
        # nothing else of the group
        for hidden in ("For members only", self.club.group_id, "Support", "whatsapp.group"):
            self.assertNotIn(hidden, body)
        headers = answer.headers
        self.assertIn("noindex", headers["X-Robots-Tag"])
        self.assertEqual(headers["Cache-Control"], "no-store")
        self.assertEqual(headers["Referrer-Policy"], "no-referrer")
        policy = headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertIn("img-src data: https://pictures.example:8443;", policy)
        self.assertNotIn("script-src", policy)

    def test_unknown_and_revoked_are_the_same(self):
        other = self.page_of(self.make_group(self.support, "Without link"))
        self.page.write({"active": False})
        answers = [
            self.get(token)
            for token in (self.page.token, other.token, "A" * 32, "x", "..%2f..%2fweb")
        ]
        self.assertEqual({answer.status_code for answer in answers[:4]}, {404})
        self.assertEqual(len({answer.text for answer in answers[:4]}), 1)
        kept = [
            {n: v for n, v in answer.headers.items() if n not in ("Date", "Set-Cookie")}
            for answer in answers[:4]
        ]
        self.assertTrue(all(headers == kept[0] for headers in kept), kept)
        self.assertEqual(answers[4].status_code, 404)
        self.assertIn("noindex", answers[0].headers["X-Robots-Tag"])
