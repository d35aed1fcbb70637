"""Promise 2: a send belongs to the Odoo transaction. With real commits and real conflicts."""

import select
import uuid
from unittest.mock import patch

from odoo.exceptions import UserError

from ..models.whatsapp_outbox_in import WhatsappOutboxIn
from .common import GROUP_ADMIN, RealCase, post

PUSH = WhatsappOutboxIn._push


@post
class TestTransactions(RealCase):
    def setUp(self):
        super().setUp()
        self.password = uuid.uuid4().hex
        self.mark = uuid.uuid4().hex
        self.addCleanup(self.clean)
        self.made = self.env_do(self.make)

    def make(self, env):
        groups = "groups_id" if "groups_id" in env["res.users"]._fields else "group_ids"
        user = env["res.users"].create(
            {
                "name": "Transaction test",
                "login": "wa_%s" % self.mark,
                "password": self.password,
                groups: [
                    (4, env.ref(GROUP_ADMIN).id),
                    (4, env.ref("base.group_partner_manager").id),
                ],
            }
        )
        account = env["whatsapp.configuration"].create({"name": self.mark, "company_id": False})
        partner = env["res.partner"].create({"name": self.mark})
        made = {"user": user.id, "account": account.id, "partner": partner.id}
        for name, last in (("send", ""), ("fail", "\nraise UserError('refused after the send')")):
            made[name] = (
                env["ir.actions.server"]
                .create(
                    {
                        "name": self.mark,
                        "model_id": env.ref("base.model_res_partner").id,
                        "state": "code",
                        "code": "env['whatsapp.core.service'].send_text_message('+447700900123', "
                        "'%s', configuration_id=%s)\nrecord.write({'comment': 'written'})%s"
                        % (self.mark, account.id, last),
                    }
                )
                .id
            )
        return made

    def clean(self):
        self.sql("DELETE FROM whatsapp_message WHERE content = %s", (self.mark,))
        self.sql(
            "DELETE FROM ir_act_server WHERE id IN (%s, %s)", (self.made["send"], self.made["fail"])
        )
        self.env_do(self.unmake)

    def unmake(self, env):
        env["whatsapp.configuration"].browse(self.made["account"]).unlink()
        env["res.partner"].browse(self.made["partner"]).unlink()
        user = env["res.users"].browse(self.made["user"])
        partner = user.partner_id
        user.unlink()
        partner.unlink()

    def run_action(self, name):
        context = {
            "active_model": "res.partner",
            "active_id": self.made["partner"],
            "active_ids": [self.made["partner"]],
        }
        return self.rpc(
            self.made["user"],
            self.password,
            "ir.actions.server",
            "run",
            [self.made[name]],
            context=context,
        )

    def rows(self):
        """Committed (messages, outbox rows) of this test, as another connection sees them."""
        return self.sql(
            "SELECT count(m.id), count(o.id) FROM whatsapp_message m"
            " LEFT JOIN whatsapp_outbox_in o ON o.message_id = m.id WHERE m.content = %s",
            (self.mark,),
        )[0]

    def test_committed(self):
        self.run_action("send")
        self.assertEqual(self.rows(), (1, 1))

    def test_rolled_back(self):
        with self.assertRaises(UserError):
            self.run_action("fail")
        self.assertEqual(self.rows(), (0, 0))

    def disturb(self, times):
        """Patches the door: a second connection changes the row that the action writes next."""
        seen = []

        def push(records, *args, **kwargs):
            row = PUSH(records, *args, **kwargs)
            if len(seen) < times:
                seen.append(self.rows())
                self.sql(
                    "UPDATE res_partner SET comment = %s WHERE id = %s",
                    ("changed %s" % len(seen), self.made["partner"]),
                )
            return row

        return seen, patch.object(WhatsappOutboxIn, "_push", push)

    def test_retried(self):
        seen, disturbed = self.disturb(2)
        with disturbed, patch("time.sleep", lambda seconds: None):  # the back-off waits seconds
            self.run_action("send")
        self.assertEqual(seen, [(0, 0), (0, 0)])  # nothing was visible outside meanwhile
        self.assertEqual(self.rows(), (1, 1))
        comment = self.sql(
            "SELECT comment FROM res_partner WHERE id = %s", (self.made["partner"],)
        )[0][0]
        self.assertIn("written", comment)

    def test_given_up(self):
        seen, disturbed = self.disturb(100)
        with disturbed, patch("time.sleep", lambda seconds: None):
            with self.assertRaises(Exception) as caught:
                self.run_action("send")
        self.assertEqual(getattr(caught.exception, "pgcode", None), "40001")
        self.assertGreater(len(seen), 1)
        self.assertEqual(self.rows(), (0, 0))

    def test_daemon_is_told_at_commit_only(self):
        with self.registry.cursor() as listener:
            connection = listener._cnx
            listener.execute("LISTEN wabridge")
            listener.commit()

            def told(wait_s):
                ready = select.select([connection], [], [], wait_s)[0]
                if ready:
                    connection.poll()
                found = [(n.channel, n.payload) for n in connection.notifies]
                del connection.notifies[:]
                return found

            with self.assertRaises(UserError):
                self.run_action("fail")
            self.assertEqual(told(0.3), [])
            self.run_action("send")
            self.assertEqual(told(5), [("wabridge", "")])
            listener.execute("UNLISTEN wabridge")
