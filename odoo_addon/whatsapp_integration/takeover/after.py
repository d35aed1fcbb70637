"""What needs this version's tables: members, chats, rights, and what administrators read."""

import json
import logging

from .before import UNKNOWN_NAME
from .tables import KEPT, MEMBERS, SECRETS, columns, count

_logger = logging.getLogger(__name__)


def after(env):
    """Finishes what `before` began; harmless where there is nothing to finish."""
    cr = env.cr
    if not columns(cr, KEPT):
        return
    stamps = "1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'"
    cr.execute(
        "INSERT INTO whatsapp_group_member (group_id, contact_id, role, state,"
        " create_uid, create_date, write_uid, write_date)"
        " SELECT m.group_id, m.contact_id, m.role, 'joined', %s FROM %s m"
        " ORDER BY 1, 2 ON CONFLICT (group_id, contact_id) DO NOTHING" % (stamps, MEMBERS)
    )
    # What was written before counts as read.
    cr.execute(
        "INSERT INTO whatsapp_chat (configuration_id, chat_id, group_id, contact_id,"
        " last_message_id,"
        " last_message_at, last_inbound_at, unread_count, create_uid, create_date, write_uid,"
        " write_date)"
        " SELECT m.configuration_id, m.chat_id, max(m.group_id),"
        " CASE WHEN max(m.group_id) IS NULL THEN"
        " (array_agg(m.contact_id ORDER BY m.id DESC)"
        " FILTER (WHERE m.contact_id IS NOT NULL))[1] END,"
        " (array_agg(m.id ORDER BY m.timestamp DESC NULLS LAST, m.id DESC))[1], max(m.timestamp),"
        " max(m.timestamp) FILTER (WHERE m.direction = 'inbound'), 0, %s"
        " FROM whatsapp_message m WHERE m.chat_id IS NOT NULL GROUP BY 1, 2"
        " ORDER BY 1, 2 ON CONFLICT (configuration_id, chat_id) DO NOTHING" % stamps
    )
    # The older addon let every WhatsApp user work with every account.
    cr.execute(
        "INSERT INTO res_groups_whatsapp_configuration_rel"
        " (whatsapp_configuration_id, res_groups_id)"
        " SELECT c.id, %s FROM whatsapp_configuration c WHERE c.name <> %s ON CONFLICT DO NOTHING",
        (env.ref("whatsapp_integration.group_whatsapp_user").id, UNKNOWN_NAME),
    )
    cr.execute("SELECT payload FROM %s WHERE kind = 'report'" % KEPT)
    text = json.loads(cr.fetchone()[0])["text"]
    # Without phase: no handler runs for it, and it is kept.
    cr.execute(
        "INSERT INTO whatsapp_event (kind, configuration_id, payload, attempts,"
        " create_uid, create_date, write_uid, write_date)"
        " SELECT 'takeover_' || k.kind, c.id, k.payload, 0, %s"
        " FROM %s k LEFT JOIN whatsapp_configuration c ON c.id = k.configuration_id ORDER BY k.id"
        % (stamps, KEPT)
    )
    cr.execute("DROP TABLE %s, %s" % (KEPT, MEMBERS))
    if not count(cr, SECRETS):
        cr.execute("DROP TABLE IF EXISTS %s" % SECRETS)
    env["whatsapp.configuration"]._tell_taken_over(text)
    _logger.info(
        "the take-over is complete; its report is in WhatsApp > Configuration > Events,"
        " kind takeover_report"
    )
