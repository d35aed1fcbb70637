-- After the take-over: one line a rule, with the number of rows that break it.
\set ON_ERROR_STOP on
SET search_path = public;
CREATE TEMP VIEW report AS SELECT payload::jsonb -> 'counts' AS counts FROM whatsapp_event WHERE kind = 'takeover_report';
CREATE TEMP VIEW aside AS SELECT payload::jsonb ->> 'table' AS name, (payload::jsonb -> 'row' ->> 'id')::int AS id, kind, payload::jsonb AS said FROM whatsapp_event WHERE kind LIKE 'takeover_%' AND kind <> 'takeover_report';
CREATE TEMP VIEW taken AS SELECT m.*, m.extra::jsonb -> 'taken_over' AS beside FROM whatsapp_message m;

SELECT 'one report', abs(1 - count(*)) FROM report
UNION ALL SELECT 'messages stay: ' || (SELECT count(*) FROM older.message), (SELECT count(*) FROM older.message o FULL JOIN whatsapp_message m USING (id) WHERE o.id IS NULL OR m.id IS NULL)
UNION ALL SELECT 'there are 50000 messages', (SELECT abs(50000 - count(*)) FROM whatsapp_message)
UNION ALL SELECT 'before and after, as the report says: ' || t.name, abs(t.before - (counts -> t.name ->> 'before')::int) + abs(t.after - (counts -> t.name ->> 'after')::int)
    FROM report, (VALUES ('whatsapp_message', (SELECT count(*) FROM older.message), (SELECT count(*) FROM whatsapp_message)),
                         ('whatsapp_contact', (SELECT count(*) FROM older.contact), (SELECT count(*) FROM whatsapp_contact)),
                         ('whatsapp_group', (SELECT count(*) FROM older.groups), (SELECT count(*) FROM whatsapp_group)),
                         ('whatsapp_group_contact_rel', (SELECT count(*) FROM older.member), (SELECT count(*) FROM whatsapp_group_member)),
                         ('whatsapp_configuration', (SELECT count(*) FROM older.configuration), (SELECT count(*) FROM whatsapp_configuration)),
                         ('whatsapp_sync_service', (SELECT count(*) FROM older.service), 0)) AS t(name, before, after)
UNION ALL SELECT 'texts', (SELECT count(*) FROM older.message o JOIN whatsapp_message m USING (id) WHERE o.body IS DISTINCT FROM m.content)
UNION ALL SELECT 'times', (SELECT count(*) FROM older.message o JOIN whatsapp_message m USING (id) WHERE o.timestamp > 0 AND m.timestamp IS DISTINCT FROM to_timestamp(o.timestamp) AT TIME ZONE 'UTC')
UNION ALL SELECT 'every message has a time', (SELECT count(*) FROM whatsapp_message WHERE timestamp IS NULL)
UNION ALL SELECT 'metadata are there, read or as they were', (SELECT count(*) FROM older.message o JOIN taken m USING (id) WHERE o.metadata IS NOT NULL AND NOT coalesce(m.beside ? 'metadata' OR m.beside ->> 'metadata_text' = btrim(o.metadata), false))
UNION ALL SELECT 'some were read: JSON, Python; some not', (SELECT (count(*) FILTER (WHERE m.beside -> 'metadata' ->> 'n' = o.id::text) <> 5000)::int + (count(*) FILTER (WHERE m.beside -> 'metadata' @> '{"ok": true, "none": null}') <> 5000)::int
        + (count(*) FILTER (WHERE m.beside ? 'metadata_text') <> 25000)::int FROM older.message o JOIN taken m USING (id))
UNION ALL SELECT 'ids are there', (SELECT count(*) FROM older.message o JOIN taken m USING (id) WHERE btrim(o.message_id) <> '' AND coalesce(m.message_id, m.beside -> 'was' ->> 'message_id') IS DISTINCT FROM o.message_id)
UNION ALL SELECT 'an id is there once in an account', (SELECT count(*) FROM (SELECT 1 FROM whatsapp_message WHERE message_id IS NOT NULL GROUP BY configuration_id, message_id HAVING count(*) > 1) t)
UNION ALL SELECT 'twins over accounts keep their ids', (SELECT (count(*) <> 9000)::int FROM whatsapp_message a JOIN whatsapp_message b USING (message_id) WHERE a.configuration_id = 1 AND b.configuration_id = 2)
UNION ALL SELECT 'unique per account now', (SELECT abs(3 - count(*)) FROM pg_constraint WHERE contype = 'u' AND conrelid IN ('whatsapp_message'::regclass, 'whatsapp_contact'::regclass, 'whatsapp_group'::regclass) AND cardinality(conkey) = 2)
UNION ALL SELECT 'and not over all', (SELECT abs(3 - count(*)) FROM pg_index WHERE indisunique AND NOT indisprimary AND indrelid IN ('whatsapp_message'::regclass, 'whatsapp_contact'::regclass, 'whatsapp_group'::regclass))
UNION ALL SELECT 'links stay within an account', (SELECT count(*) FROM whatsapp_message m LEFT JOIN whatsapp_contact c ON c.id = m.contact_id LEFT JOIN whatsapp_group g ON g.id = m.group_id
        WHERE c.configuration_id <> m.configuration_id OR g.configuration_id <> m.configuration_id OR (m.contact_id IS NOT NULL AND c.id IS NULL) OR (m.group_id IS NOT NULL AND g.id IS NULL))
UNION ALL SELECT 'members too', (SELECT count(*) FROM whatsapp_group_member m JOIN whatsapp_contact c ON c.id = m.contact_id JOIN whatsapp_group g ON g.id = m.group_id WHERE c.configuration_id <> g.configuration_id)
UNION ALL SELECT 'a chat with a person has its contact', (SELECT count(*) FROM whatsapp_message m JOIN whatsapp_contact c ON (c.configuration_id, c.contact_id) = (m.configuration_id, m.chat_id) WHERE m.contact_id IS NULL)
UNION ALL SELECT 'a contact is a row, or set aside', (SELECT count(*) FROM older.contact o WHERE NOT EXISTS (SELECT 1 FROM whatsapp_contact c WHERE c.id = o.id) AND NOT EXISTS (SELECT 1 FROM aside a WHERE a.name = 'whatsapp_contact' AND a.id = o.id AND a.kind = 'takeover_set_aside'))
UNION ALL SELECT 'a group is a row, or set aside', (SELECT count(*) FROM older.groups o WHERE NOT EXISTS (SELECT 1 FROM whatsapp_group g WHERE g.id = o.id) AND NOT EXISTS (SELECT 1 FROM aside a WHERE a.name = 'whatsapp_group' AND a.id = o.id AND a.kind = 'takeover_set_aside'))
UNION ALL SELECT 'set aside: 20 twins, one group without id and one twin', (SELECT (count(*) FILTER (WHERE name = 'whatsapp_contact') <> 20)::int + (count(*) FILTER (WHERE name = 'whatsapp_group') <> 2)::int FROM aside WHERE kind = 'takeover_set_aside')
UNION ALL SELECT 'metadata of groups are kept', (SELECT count(*) FROM older.groups o WHERE o.metadata IS NOT NULL AND NOT EXISTS (SELECT 1 FROM aside a WHERE a.name = 'whatsapp_group' AND a.id = o.id AND a.said -> 'row' ->> 'metadata' = o.metadata))
UNION ALL SELECT 'a twin gives what its other half lacks', (SELECT (count(*) <> 20)::int FROM whatsapp_contact WHERE id <= 20 AND phone IS NOT NULL AND name = 'Person ' || id AND pushname = 'P' || id)
UNION ALL SELECT 'other addons name the one that stays', (SELECT (string_agg(contact_id::text, ' ' ORDER BY id) <> '1 7')::int FROM other_addon) + (SELECT (string_agg(list_id || ':' || contact_id, ' ' ORDER BY list_id) <> '1:2 2:2')::int FROM other_addon_list)
UNION ALL SELECT 'numbers are E.164', (SELECT count(*) FROM whatsapp_contact WHERE phone !~ '^\+[1-9][0-9]{6,14}$' OR phone IS NULL)
UNION ALL SELECT 'on WhatsApp', (SELECT count(*) FROM older.contact o JOIN whatsapp_contact c USING (id) WHERE o."isWAContact" IS DISTINCT FROM c.is_wa_contact)
UNION ALL SELECT 'ids are the provider''s own', (SELECT count(*) FROM whatsapp_contact WHERE (provider = 'whapi' AND contact_id !~ '@s\.whatsapp\.net$') OR (provider = 'wassenger' AND contact_id !~ '@c\.us$'))
UNION ALL SELECT 'chats too', (SELECT count(*) FROM whatsapp_message WHERE (provider = 'whapi' AND chat_id !~ '@(s\.whatsapp\.net|g\.us)$') OR (provider = 'wassenger' AND chat_id !~ '@c\.us$'))
UNION ALL SELECT 'invite links', (SELECT count(*) FROM older.groups o JOIN whatsapp_group g USING (id) WHERE 'https://chat.whatsapp.com/' || o.invite_code IS DISTINCT FROM g.invite_link AND o.invite_code IS NOT NULL)
UNION ALL SELECT 'roles', (SELECT (count(*) FILTER (WHERE role = 'superadmin') <> 10)::int + (count(*) FILTER (WHERE role = 'admin') <> 20)::int FROM whatsapp_group_member)
UNION ALL SELECT 'a chat for each', (SELECT count(*) FROM (SELECT DISTINCT configuration_id, chat_id FROM whatsapp_message) m FULL JOIN whatsapp_chat c USING (configuration_id, chat_id) WHERE c.id IS NULL OR c.last_message_id IS NULL)
UNION ALL SELECT 'its last message is the newest', (SELECT count(*) FROM whatsapp_chat c WHERE c.last_message_at < (SELECT max(m.timestamp) FROM whatsapp_message m WHERE (m.configuration_id, m.chat_id) = (c.configuration_id, c.chat_id)))
UNION ALL SELECT 'statuses are ours, with their fact', (SELECT count(*) FROM whatsapp_message m WHERE to_jsonb(m) ->> (status || '_at') IS NULL)
UNION ALL SELECT 'nothing waits to be sent', (SELECT count(*) FROM whatsapp_message WHERE status IN ('queued', 'draft'))
UNION ALL SELECT 'types are ours', (SELECT count(*) FROM taken WHERE message_type NOT IN ('text', 'image', 'voice', 'unknown') OR (message_type = 'unknown') <> coalesce(beside -> 'was' ->> 'message_type' = 'hologram', false))
UNION ALL SELECT 'no account: an archived one', (SELECT abs(1 - count(*)) FROM whatsapp_configuration c WHERE NOT active AND name LIKE 'Taken over:%' AND (SELECT count(*) FROM whatsapp_message m WHERE m.configuration_id = c.id) > 0)
UNION ALL SELECT 'users may use the accounts', (SELECT abs(4 - count(*)) FROM res_groups_whatsapp_configuration_rel r JOIN ir_model_data d ON d.res_id = r.res_groups_id AND d.module = 'whatsapp_integration' AND d.name = 'group_whatsapp_user')
UNION ALL SELECT 'seal ids differ', (SELECT 5 - count(DISTINCT seal_uuid) FROM whatsapp_configuration)
UNION ALL SELECT 'groups are the same, their users too', (SELECT count(*) FROM older.data o WHERE o.model = 'res.groups' AND NOT EXISTS (SELECT 1 FROM ir_model_data d JOIN res_groups_users_rel r ON r.gid = d.res_id AND r.uid = 2 WHERE d.module = o.module AND d.name = o.name AND d.res_id = o.res_id))
UNION ALL SELECT 'older rules, menus, actions, views, rights are gone', (SELECT count(*) FROM older.data o JOIN ir_model_data d USING (module, name) WHERE o.model IN ('ir.rule', 'ir.ui.menu', 'ir.actions.server', 'ir.actions.act_window', 'ir.ui.view', 'ir.model.access'))
UNION ALL SELECT 'older rules are no rows either', (SELECT count(*) FROM older.data o JOIN ir_rule r ON r.id = o.res_id WHERE o.model = 'ir.rule')
UNION ALL SELECT 'two crons, switched off', (SELECT abs(2 - count(*)) FROM older.cron o JOIN ir_cron c USING (id) WHERE NOT c.active)
UNION ALL SELECT 'older columns are gone', (SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND table_name IN ('whatsapp_configuration', 'whatsapp_contact', 'whatsapp_group', 'whatsapp_message', 'whatsapp_sync_service', 'whatsapp_send_message_wizard') AND column_name IN ('body', 'metadata', 'device_id', 'isWAContact', 'invite_code', 'display_name', 'older_timestamp', 'sync_status', 'recipient_id', 'created_at'))
UNION ALL SELECT 'and tables', (SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public' AND table_name IN ('whatsapp_group_contact_rel', 'whatsapp_remove_member_wizard', 'whatsapp_remove_member_group_rel', 'whatsapp_takeover_kept', 'whatsapp_takeover_member'))
UNION ALL SELECT 'administrators are told', (SELECT (count(*) = 0)::int FROM mail_activity WHERE res_model = 'whatsapp.configuration' AND summary LIKE 'WhatsApp was taken over%')
UNION ALL SELECT 'no clear token is in a table that anything reads', (SELECT count(*) FROM whatsapp_configuration WHERE token LIKE 'clear%') + (SELECT count(*) FROM whatsapp_event WHERE payload LIKE '%clear-token%') + (SELECT count(*) FROM mail_activity WHERE note LIKE '%clear-token%');
