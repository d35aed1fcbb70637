"""What the tests of groups share: a daemon that answers as told, and groups with members."""

import contextlib
from unittest.mock import patch

from .. import bridge_client
from .common import WhatsappCase

LINK = "https://chat.whatsapp.com/HJxvW5Ouk9F2"


class GroupCase(WhatsappCase):
    def setUp(self):
        super().setUp()
        self.asked = []
        self.support.provider = self.sales.provider = "whapi"
        self.club = self.make_group(self.support, "Club")
        bridge_client.CAPABILITIES.clear()
        self.addCleanup(bridge_client.CAPABILITIES.clear)

    def make_group(self, account, name, members=(), **values):
        group_id = "%s-%s@g.us" % (name.lower().replace(" ", ""), account.id)
        row = self.insert(
            "whatsapp_group",
            **dict(
                {
                    "group_id": group_id,
                    "name": name,
                    "configuration_id": account.id,
                    "provider": "whapi",
                    "is_active": True,
                },
                **values,
            ),
        )
        for contact, role in members:
            self.insert(
                "whatsapp_group_member",
                group_id=row,
                contact_id=contact.id,
                role=role,
                state="joined",
            )
        return self.env["whatsapp.group"].browse(row)

    def make_contact(self, account, number, **values):
        row = self.insert(
            "whatsapp_contact",
            **dict(
                {
                    "contact_id": "%s@s.whatsapp.net" % number.lstrip("+"),
                    "phone": number,
                    "configuration_id": account.id,
                    "provider": "whapi",
                },
                **values,
            ),
        )
        return self.env["whatsapp.contact"].browse(row)

    @contextlib.contextmanager
    def daemon(self, answers=None, cannot=()):
        """Every call lands in `asked`; `answers` says by method what comes back, or is raised."""

        def call(env, method, params, wait_ms=0, read_timeout_s=None):
            if method == "configuration.capabilities":
                words = "create update add remove promote invite join leave sync".split()
                known = {"group_%s" % word: word not in cannot for word in words}
                return {"data": {"capabilities": known, "limits": {}}}
            self.asked.append((method, dict(params, uid=env.uid)))
            answer = (answers or {})[method]
            if isinstance(answer, Exception):
                raise answer
            return answer(params) if callable(answer) else answer

        with patch.object(bridge_client, "call", call):
            yield

    def results(self, **words):
        """Participants of an answer: number (with p for +) -> result, or (result, reason)."""
        rows = []
        for person, word in words.items():
            result, reason = word if isinstance(word, tuple) else (word, None)
            number = person.replace("p", "+")
            rows.append(
                {"participant": number, "contact_id": None, "result": result, "reason": reason}
            )
        return rows
