"""Every public method of the addon × every kind of user, over RPC; the daemon is a recorder."""

import json
from unittest.mock import patch

from odoo.exceptions import UserError

from .. import bridge_client
from .common import KEY_ID, SECRET, keys_file, post
from .rpc_matrix_case import MatrixCase
from .rpc_matrix_table import (
    ADMIN_GROUP,
    ADMINS,
    ANSWER,
    ANSWER_ADMINS,
    GROUP,
    METHODS,
    MODELS,
    ORM,
    OWN,
    PARTNERS,
    SEES,
    SYSTEM,
    USERS,
)

NUMBER = "+447700900199"
REFUSALS = (1001, 1002, 1003)
ERROR = {"code": 1302, "message": "no", "data": {"kind": "provider_rejected", "retryable": False}}


class Refusing:
    """What every call to the daemon is answered: the provider does not want it."""

    status_code = 200

    def json(self):
        return {"jsonrpc": "2.0", "id": 1, "error": ERROR}


def public_methods(env):
    """{model: {name: function}} of what our classes define and RPC may name."""
    found = {}
    for name, model in env.registry.items():
        for base in model.mro():
            if not base.__module__.startswith("odoo.addons.whatsapp_integration"):
                continue
            for method, body in vars(base).items():
                if not method.startswith("_") and callable(body) and not isinstance(body, type):
                    found.setdefault(name, {})[method] = getattr(model, method)
    return found


@post
class TestRpcMethods(MatrixCase):
    def setUp(self):
        super().setUp()
        self.asked = []
        keys = keys_file(
            self.env.cr.dbname,
            lines=["url = http://127.0.0.1:9", "key_id = %s" % KEY_ID, "secret = %s" % SECRET],
        )
        keys.__enter__()
        self.addCleanup(keys.__exit__, None, None, None)

        def request(env, _keys, method, path, body, _timeout, _headers=None, operation=None):
            asked = json.loads(body)["method"] if path == "/rpc" else path
            self.asked.append(asked)
            return Refusing()

        patcher = patch.object(bridge_client, "_request", request)
        patcher.start()
        self.addCleanup(patcher.stop)
        bridge_client.CAPABILITIES.clear()
        self.addCleanup(bridge_client.CAPABILITIES.clear)

    def test_every_method_has_its_line(self):
        missing, gone = set(), set()
        found = public_methods(self.env)
        for model, methods in found.items():
            known = set(METHODS.get(model, ()))
            missing |= {"%s.%s" % (model, name) for name in set(methods) - known - ORM}
        for model, methods in METHODS.items():
            gone |= {"%s.%s" % (model, name) for name in set(methods) - set(found.get(model, ()))}
        self.assertEqual(missing, set(), "say in rpc_matrix_table.py who may call these")
        self.assertEqual(gone, set(), "there are no such methods any more")

    # ---- calling

    def args(self, model, method, key):
        """What is given beside the record."""
        row = {name: rows[key] for name, rows in self.rows.items()}
        account = {"configuration_id": row["whatsapp.configuration"]}
        text = ([NUMBER, "Hello"], account)
        return {
            ("whatsapp.chat", "inbox_chats"): ([], {}),
            ("whatsapp.chat", "inbox_mark_read"): (
                [row["whatsapp.chat"], row["whatsapp.message"]],
                {},
            ),
            ("whatsapp.chat", "inbox_messages"): ([row["whatsapp.chat"]], {}),
            ("whatsapp.chat", "inbox_refresh"): ([{}, 200, row["whatsapp.chat"]], {}),
            ("whatsapp.chat", "inbox_revisions"): ([row["whatsapp.message"]], {}),
            ("whatsapp.chat", "inbox_send"): ([row["whatsapp.chat"], "Hello", "key"], {}),
            ("whatsapp.core.service", "create_group"): (["Team", [NUMBER]], account),
            ("whatsapp.core.service", "remove_group_member"): ([NUMBER], account),
            ("whatsapp.core.service", "send_text_message"): text,
            ("whatsapp.core.service", "send_media_message"): (
                [NUMBER, "aGVsbG8=", "a.txt", "document"],
                account,
            ),
            ("whatsapp.core.service", "sync_contacts"): ([], account),
            ("whatsapp.core.service", "sync_groups"): ([], account),
            ("whatsapp.core.service", "sync_messages"): ([], account),
        }.get((model, method), ([], {}))

    def tried(self, user, model, method, ids, args, kwargs):
        """(allowed, result, what the daemon was asked)"""
        del self.asked[:]
        bridge_client.CAPABILITIES.clear()
        given = list(args) if self.on_model(model, method) else [ids] + list(args)
        try:
            allowed, result = self.outcome(user, model, method, *given, **kwargs)
        except UserError as error:  # it began, and found something wrong with the content
            allowed, result = True, str(error)
        return allowed, result, list(self.asked)

    def on_model(self, model, method):
        """Whether the method takes no rows."""
        body = getattr(type(self.env[model]), method)
        return getattr(body, "_api", None) == "model" or getattr(body, "_api_model", False)

    def check(self, expected, who, user, model, method, ids, args=(), kwargs=None):
        with self.subTest(user=user, model=model, method=method, ids=ids):
            allowed, result, asked = self.tried(user, model, method, ids, args, kwargs or {})
            if who in (ANSWER, ANSWER_ADMINS) and allowed:
                refused = not result["success"] and result["error"]["code"] in REFUSALS
                allowed = not refused
            self.assertEqual(allowed, expected, result)
            if not expected:
                self.assertEqual(asked, [], "the daemon was asked for somebody who may not")
            return result if allowed else None
        return None

    def test_methods_of_rows(self):
        for model in sorted(METHODS):
            if MODELS.get(model, (None,))[0] == OWN:
                continue
            for method, who in sorted(METHODS[model].items()):
                if who in (SEES, PARTNERS) or model == "res.partner":
                    continue
                for user in self.USERS:
                    for key in sorted(self.accounts):
                        uses = self.USES.get(user, ())
                        may = key in uses and who != SYSTEM
                        may = may or (who == GROUP and bool(uses))
                        if who in (ADMINS, ANSWER_ADMINS):
                            may = may and user in self.ADMINS
                        if who == ADMIN_GROUP:
                            may = user in self.ADMINS
                        ids = [self.rows[model][key]] if model in self.rows else []
                        args, kwargs = self.args(model, method, key)
                        self.check(may, who, user, model, method, ids, args, kwargs)

    def test_methods_of_wizards(self):
        for model in sorted(METHODS):
            if MODELS.get(model, (None,))[0] != OWN:
                continue
            for method, who in sorted(METHODS[model].items()):
                users = self.ADMINS if who == ADMINS else tuple(self.USES)
                mine = self.make_wizards(model, users)
                context = {
                    "active_model": "res.partner",
                    "active_ids": [self.rows["res.partner"]["1"]],
                }
                for user in self.USERS:
                    for owner in users:
                        free = self.on_model(model, method) and user in users
                        self.check(
                            free or user == owner,
                            who,
                            user,
                            model,
                            method,
                            [mine[owner]],
                            (),
                            {"context": context},
                        )
                self.check_late(model, method, users, context)

    def check_late(self, model, method, users, context):
        """Made while the account was the user's own; used when it is not any more."""
        for user in users:
            foreign = sorted(set(self.accounts) - self.USES[user])[0]
            values = self.wizard_values(model, foreign)
            if not any(name.endswith(("_id", "_ids")) for name in values):
                continue  # nothing of an account is in it
            row = self.env[model].with_user(self.users[user]).sudo().create(values)
            with self.subTest(user=user, model=model, method=method, late=True):
                _allowed, result, asked = self.tried(
                    user, model, method, row.ids, (), {"context": context}
                )
                self.assertEqual(asked, [], result)

    # ---- what is about partners

    def test_methods_of_partners(self):
        partner = [self.rows["res.partner"]["1"]]
        for method, who in METHODS["res.partner"].items():
            if who != PARTNERS:
                continue
            for user in self.USERS:
                if not user.startswith("far"):
                    self.check(user in self.USES, who, user, "res.partner", method, partner)

    def test_linking_a_partner(self):
        """The contact is named in the context: that widens nothing."""
        for user in self.USERS:
            for key in sorted(self.accounts):
                if user.startswith("far"):
                    continue
                context = {"whatsapp_contact_id": self.rows["whatsapp.contact"][key]}
                self.check(
                    key in self.USES.get(user, ()),
                    USERS,
                    user,
                    "res.partner",
                    "action_whatsapp_link",
                    [self.rows["res.partner"]["1"]],
                    (),
                    {"context": context},
                )

    # ---- what the Inbox reads

    def test_the_inbox_shows_own_rows_only(self):
        chats = self.rows["whatsapp.chat"]
        for user in self.USERS:
            uses = self.USES.get(user, set())
            visible = {chats[key] for key in uses}
            for method in ("inbox_chats", "inbox_start"):
                found = self.check(bool(uses), SEES, user, "whatsapp.chat", method, [])
                shown = {chat["id"] for chat in (found or {}).get("chats", [])}
                self.assertEqual(shown & set(chats.values()), visible, (user, method))
            for key in sorted(self.accounts):
                for method in ("inbox_messages", "inbox_refresh", "inbox_revisions"):
                    args, _kwargs = self.args("whatsapp.chat", method, key)
                    found = self.check(bool(uses), SEES, user, "whatsapp.chat", method, [], args)
                    if method == "inbox_refresh" and found:
                        found = found["thread"]
                    rows = found["messages"] if isinstance(found, dict) else found
                    self.assertEqual(bool(rows), key in uses, (user, method, key))
