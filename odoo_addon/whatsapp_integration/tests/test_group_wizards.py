import base64
import io

from PIL import Image

from odoo.exceptions import AccessError, UserError
from odoo.tests.common import Form

from .. import bridge_client
from ..group_words import qr_png, square_jpeg
from .common import post
from .group_common import LINK, GroupCase

REFUSES, NOBODY, FRIEND = "+447700900802", "+447700900801", "+447700900123"


def picture(width, height, mode="RGBA"):
    made = io.BytesIO()
    Image.new(mode, (width, height)).save(made, "PNG")
    return base64.b64encode(made.getvalue())


@post
class TestCreateGroup(GroupCase):
    def wizard(self, user=None, **values):
        wizards = self.env["whatsapp.group.create.wizard"].with_user(user or self.user)
        return wizards.create(dict({"name": "Club", "numbers": FRIEND}, **values))

    def answer(self, participants, **values):
        data = {
            "id": self.club.id,
            "group_id": self.club.group_id,
            "name": "Club",
            "invite_link": LINK,
            "completion": "done",
            "participants": participants,
            "problems": [],
        }
        return {"group.create": {"data": dict(data, **values), "meta": {}}}

    def test_steps(self):
        contact = self.make_contact(self.support, FRIEND, name="Ada")
        partner = self.env["res.partner"].create({"name": "Ada again", "phone": "+44 7700 900123"})
        other = self.env["res.partner"].create({"name": "Ben", "phone": "+447700900124"})
        with self.daemon(self.answer([])):
            wizard = self.wizard(
                name=" Club ",
                description="All of us",
                numbers="+44 7700 900125, +447700900123\n\n12036@g.us",
                contact_ids=[(6, 0, contact.ids)],
                partner_ids=[(6, 0, (partner + other).ids)],
                only_admins_send=True,
                icon=picture(900, 700),
            )
            steps = [wizard.step]
            for action in ("action_to_people", "action_to_settings", "action_create_group"):
                opened = getattr(wizard, action)()
                self.assertEqual(
                    (opened["res_model"], opened["res_id"], opened["target"]),
                    (wizard._name, wizard.id, "new"),
                )
                steps.append(wizard.step)
        self.assertEqual(steps, ["details", "people", "settings", "result"])
        [(method, params)] = self.asked
        icon = params.pop("icon")
        self.assertEqual(icon["mimetype"], "image/jpeg")
        shrunk = Image.open(io.BytesIO(base64.b64decode(icon["base64"])))
        self.assertEqual((shrunk.format, shrunk.size), ("JPEG", (640, 640)))
        self.assertEqual(method, "group.create")
        self.assertIn("{link}", params.pop("invite_text"))
        self.assertEqual(
            params,
            {
                "uid": self.user.id,
                "configuration_id": self.support.id,
                "name": "Club",
                "description": "All of us",
                "participants": [
                    "447700900123@s.whatsapp.net",
                    "+447700900124",
                    "+447700900125",
                    "12036@g.us",
                ],
                "invite": True,
                "settings": {"only_admins_send": True},
                "idempotency_key": wizard.idempotency_key,
            },
        )

    def test_results(self):
        rows = self.results(
            p447700900123="added",
            p447700900802=("refused_privacy", "privacy settings"),
            p447700900801="not_on_whatsapp",
        )
        with self.daemon(self.answer(rows, problems=["The picture was refused."])):
            wizard = self.wizard(numbers="%s\n%s\n%s" % (FRIEND, REFUSES, NOBODY), invite=False)
            wizard.action_create_group()
        self.assertEqual(
            [(line.participant, line.result, line.reason, line.good) for line in wizard.line_ids],
            [
                (FRIEND, "added", False, True),
                (REFUSES, "refused_privacy", "privacy settings", False),
                (NOBODY, "not_on_whatsapp", False, False),
            ],
        )
        self.assertEqual((wizard.invite_link, wizard.problems), (LINK, "The picture was refused."))
        self.assertEqual(base64.b64decode(wizard.invite_qr)[:4], b"\x89PNG")
        self.assertEqual(wizard.action_open_group()["res_id"], self.club.id)
        share = wizard.action_share()
        self.assertTrue(share["url"].startswith("https://wa.me/?text="), share)
        self.assertIn("chat.whatsapp.com%2FHJxvW5Ouk9F2", share["url"])
        context = wizard.action_send_invitation()["context"]
        self.assertEqual(context["default_configuration_id"], self.support.id)
        self.assertIn(LINK, context["default_text"])

        # Who refuses to be added is invited; who is not on WhatsApp cannot be.
        self.assertTrue(wizard.can_invite)
        self.asked.clear()
        with self.daemon({"message.send_bulk": {"data": {"results": [{"id": 12}]}}}):
            wizard.action_invite_rest()
        [(_method, params)] = self.asked
        [message] = params["messages"]
        self.assertEqual((message["to"], message["type"]), (REFUSES, "text"))
        self.assertEqual(message["idempotency_key"], "%s:%s" % (wizard.idempotency_key, REFUSES))
        self.assertIn(LINK, message["text"]["body"])
        self.assertEqual(wizard.line_ids.mapped("result"), ["added", "invited", "not_on_whatsapp"])
        self.assertFalse(wizard.can_invite)
        with self.daemon(), self.assertRaises(UserError):
            wizard.action_invite_rest()

    def test_an_invitation_that_is_refused_is_told(self):
        rows = self.results(p447700900802="refused_privacy")
        with self.daemon(self.answer(rows)):
            wizard = self.wizard(numbers=REFUSES)
            wizard.action_create_group()
        refusal = {"code": 1106, "message": "no", "data": {"kind": "recipient_opted_out"}}
        refused = {"data": {"results": [{"error": refusal}]}}
        with self.daemon({"message.send_bulk": refused}):
            wizard.action_invite_rest()
        self.assertEqual(wizard.line_ids.result, "refused_privacy")
        self.assertIn("does not want such messages", wizard.line_ids.reason)

    def test_waiting(self):
        answer = self.answer([], id=None, group_id=None, invite_link=None, completion="waiting")
        with self.daemon(answer):
            wizard = self.wizard()
            wizard.action_create_group()
        self.assertEqual(
            (wizard.step, wizard.created_id, wizard.completion), ("result", 0, "waiting")
        )
        self.assertFalse(wizard.invite_qr)

    def test_again_is_the_same_call(self):
        gone = bridge_client.BridgeError("bridge_unavailable", "no answer in time")
        with self.daemon({"group.create": gone}):
            wizard = self.wizard()
            for _try in range(2):
                with self.assertRaises(UserError):
                    wizard.action_create_group()
        self.assertEqual(self.asked[0], self.asked[1])
        self.assertEqual(wizard.step, "details")

    def test_what_cannot_be_right_is_not_asked(self):
        nameless = self.env["res.partner"].create({"name": "Without number"})
        with self.daemon():
            for values in (
                {"name": " "},
                {"name": "x" * 101},
                {"description": "x" * 2049},
                {"numbers": "abc"},
                {"partner_ids": [(6, 0, nameless.ids)]},
                {"icon": base64.b64encode(b"no picture")},
            ):
                with self.assertRaises(UserError, msg=values):
                    self.wizard(**values).action_create_group()
        with self.daemon(cannot=("create",)):
            bridge_client.CAPABILITIES.clear()
            wizard = self.wizard()
            self.assertIn("Support", wizard.cannot_hint)
            with self.assertRaises(UserError):
                wizard.action_create_group()
        self.assertEqual(self.asked, [])

    def test_rights(self):
        with self.assertRaises(AccessError):
            self.wizard(user=self.plain)
        wizard = self.wizard()
        with self.assertRaises(AccessError):
            wizard.with_user(self.plain).action_create_group()

    def test_the_form(self):
        self.sales.provider = "meta"
        contact = self.make_contact(self.sales, FRIEND, name="Ada")
        with self.daemon():
            form = Form(self.env["whatsapp.group.create.wizard"].with_user(self.admin))
            form.configuration_id = self.sales
            form.name = "Team"
            wizard = form.save()
            wizard.contact_ids = contact
            self.assertIn("8", wizard.people_hint)
            wizard.configuration_id = self.support
            wizard._onchange_configuration_id()
            self.assertFalse(wizard.people_hint)
            self.assertFalse(wizard.contact_ids)  # those of another account

    def test_pictures(self):
        for size, mode, side in (((30, 50), "RGB", 30), ((2000, 1000), "P", 640)):
            made = Image.open(io.BytesIO(base64.b64decode(square_jpeg(picture(*size, mode=mode)))))
            self.assertEqual(made.size, (side, side))
        same = picture(50, 50)
        self.assertEqual(square_jpeg(same), square_jpeg(same))
        self.assertFalse(qr_png(False))
