-- A database of the older addon after some years: 50,000 messages, twin ids over accounts and within one, metadata of every
-- kind, rows whose contact, group or account is gone. All people and numbers are made up.
\set ON_ERROR_STOP on
SET session_replication_role = replica;         -- rows were deleted by hand in such databases

-- Their uniques were dropped by hand: two accounts know the same people.
ALTER TABLE whatsapp_message DROP CONSTRAINT IF EXISTS whatsapp_message_message_id_unique;
ALTER TABLE whatsapp_contact DROP CONSTRAINT IF EXISTS whatsapp_contact_contact_id_unique;
ALTER TABLE whatsapp_group DROP CONSTRAINT IF EXISTS whatsapp_group_group_id_unique;
ALTER TABLE whatsapp_message DROP CONSTRAINT IF EXISTS whatsapp_message_contact_id_fkey,
    DROP CONSTRAINT IF EXISTS whatsapp_message_group_id_fkey, DROP CONSTRAINT IF EXISTS whatsapp_message_configuration_id_fkey;

-- And others made.
ALTER TABLE whatsapp_message ADD CONSTRAINT by_hand UNIQUE (wid);
CREATE UNIQUE INDEX "by hand" ON whatsapp_contact (wid);

INSERT INTO whatsapp_configuration (id, name, token, device_id, supervisor_phone, active, provider, channel_id, create_uid, create_date) VALUES
    (1, 'Support', 'clear-token-support-7d1c', NULL, '+447700900999', true, 'whapi', 'HERON-K42QX', 1, '2021-01-01'),
    (2, 'Sales', 'clear-token-sales-93ab', '68a1f0c2d4e5b60718293a4b', '447700900998', true, 'wassenger', NULL, 1, '2021-01-01'),
    (3, 'Stores', 'clear-token-stores-11fe', 'phone-3', '447700900997', true, 'whapi', 'HERON-STORES', 1, '2021-01-01'),
    (4, 'Old gateway', 'clear-token-old-55aa', NULL, '447700900996', false, 'gateway', NULL, 1, '2021-01-01');

-- People 1 to 400 of Support; 401 to 500 of Sales have the same numbers as 1 to 100, in another provider's form.
INSERT INTO whatsapp_contact (id, contact_id, phone, name, pushname, display_name, wid, is_active, provider, "isWAContact", is_phone_contact, configuration_id, created_at, create_uid, create_date)
SELECT n, '4477009' || lpad((10000 + n)::text, 5, '0') || '@c.us', CASE n % 3 WHEN 0 THEN '+44 7700 9' || lpad((10000 + n)::text, 5, '0') WHEN 1 THEN '4477009' || lpad((10000 + n)::text, 5, '0') END,
       'Person ' || n, 'P' || n, 'Person ' || n, NULL, true, 'whapi', true, n % 2 = 0, 1, '2021-02-01', 2, '2021-02-01' FROM generate_series(1, 400) n;
INSERT INTO whatsapp_contact (id, contact_id, phone, name, provider, "isWAContact", configuration_id, create_uid, create_date)
SELECT 400 + n, '4477009' || lpad((10000 + n)::text, 5, '0') || '@s.whatsapp.net', NULL, 'Sales person ' || n, 'wassenger', true, 2, 2, '2021-02-01' FROM generate_series(1, 100) n;
-- Twins within Support: once with @c.us, once with @s.whatsapp.net.
INSERT INTO whatsapp_contact (id, contact_id, pushname, provider, "isWAContact", configuration_id, create_uid, create_date)
SELECT 500 + n, '4477009' || lpad((10000 + n)::text, 5, '0') || '@s.whatsapp.net', 'Twin', 'whapi', true, 1, 2, '2021-02-01' FROM generate_series(1, 20) n;
-- Of no account: Sales is the only one of its provider, of the others there are two.
INSERT INTO whatsapp_contact (id, contact_id, phone, provider, configuration_id, create_uid, create_date) VALUES
    (521, '447700955501@c.us', 'ask Anna', 'wassenger', NULL, 2, '2021-02-01'), (522, '447700955502@s.whatsapp.net', NULL, 'whapi', 77, 2, '2021-02-01');

INSERT INTO whatsapp_group (id, group_id, name, metadata, is_active, provider, configuration_id, message_count, invite_code, created_at, create_uid, create_date)
SELECT n, '12036302555010' || lpad(n::text, 4, '0') || '@g.us', 'Group ' || n,
       CASE n % 3 WHEN 0 THEN '{"participants": [{"id": "447700910001", "rank": "creator"}, {"id": "447700910002", "rank": "admin"}]}'
                  WHEN 1 THEN '{''participants'': [{''id'': ''447700910001@c.us'', ''isAdmin'': True}], ''announce'': None}' ELSE '{broken' END,
       true, 'whapi', 1, 999999, CASE WHEN n % 2 = 0 THEN 'AbCdEf' || n END, '2021-03-01', 2, '2021-03-01' FROM generate_series(1, 30) n;
INSERT INTO whatsapp_group (id, group_id, name, metadata, provider, configuration_id, create_uid, create_date) VALUES
    (31, NULL, 'Only in its metadata', '{"id": "120363025550109999@g.us"}', 'whapi', 1, 2, '2021-03-01'),
    (32, NULL, 'Nobody knows which', NULL, 'whapi', 1, 2, '2021-03-01'),
    (33, '120363025550100001@g.us', 'Twin over accounts', NULL, 'whapi', 3, 2, '2021-03-01'),
    (34, '120363025550100002@g.us', 'Twin within one', NULL, 'whapi', 1, 2, '2021-03-01');
INSERT INTO whatsapp_group_contact_rel (group_id, contact_id) SELECT g, c FROM generate_series(1, 30) g, generate_series(1, 25) c;
-- The group or the person was deleted, the twin is a member too, and a person of one account in a group of another.
INSERT INTO whatsapp_group_contact_rel (group_id, contact_id) VALUES (777, 1), (1, 7777), (1, 501), (33, 1), (33, 2);

-- A message a minute from 2021-06-01; every account, and every third in a group.
INSERT INTO whatsapp_message (id, message_id, body, message_type, chat_id, from_me, timestamp, status, created_at, media_url, caption, metadata, contact_id, group_id,
                              configuration_id, provider, wid, create_uid, create_date, write_uid, write_date)
SELECT n, 'wamsg-' || n, 'Text ' || n || ' £€', (ARRAY['text', 'chat', 'image', 'ptt', 'link_preview'])[n % 5 + 1],
       CASE WHEN n % 3 = 0 THEN '12036302555010' || lpad((n % 30 + 1)::text, 4, '0') || '@g.us' ELSE '4477009' || lpad((10000 + n % 400 + 1)::text, 5, '0') || CASE n % 2 WHEN 0 THEN '@c.us' ELSE '' END END,
       n % 2 = 0, 1622505600 + n * 60, (ARRAY['sent', 'delivered', 'read', 'pending', 'error'])[n % 5 + 1], '2021-06-01', CASE WHEN n % 5 = 2 THEN 'https://files.example/' || n END, NULL,
       CASE n % 8 WHEN 0 THEN '{"id": "x", "n": ' || n || '}' WHEN 1 THEN '{''ack'': 1, ''ok'': True, ''none'': None}' WHEN 2 THEN '{''at'': datetime.datetime(2021, 6, 1)}'
                  WHEN 3 THEN '{"zero": "a\u0000b"}' WHEN 4 THEN '{"half": "\ud83d"}' WHEN 5 THEN '{"nan": NaN}' WHEN 6 THEN 'no metadata at all "' ELSE NULL END,
       n % 400 + 1, CASE WHEN n % 3 = 0 THEN n % 30 + 1 END, 1, 'whapi', NULL, 2, '2021-06-01', 2, '2021-06-01'
FROM generate_series(1, 40000) n;
-- Sales has messages with the very same ids, of contacts that are rows of Support.
INSERT INTO whatsapp_message (id, message_id, body, message_type, chat_id, from_me, timestamp, status, contact_id, configuration_id, provider, create_uid, create_date)
SELECT 40000 + n, 'wamsg-' || n, 'Sales ' || n, 'chat', '4477009' || lpad((10000 + n % 200 + 1)::text, 5, '0') || '@s.whatsapp.net', n % 2 = 0, 1640995200 + n, 'sent',
       n % 200 + 1, 2, 'wassenger', 2, '2022-01-01' FROM generate_series(1, 9000) n;
-- The same id twice in one account; the contact, the group, the account deleted; no time, no status, no id, no type of ours.
INSERT INTO whatsapp_message (id, message_id, body, message_type, chat_id, from_me, timestamp, status, contact_id, group_id, configuration_id, provider, create_uid, create_date)
SELECT 49000 + n, CASE n % 10 WHEN 0 THEN 'wamsg-' || n WHEN 5 THEN NULL WHEN 6 THEN '' ELSE 'wamsg-odd-' || n END, 'Odd ' || n, CASE WHEN n % 10 = 7 THEN 'hologram' ELSE 'text' END,
       '4477009' || lpad((10000 + n % 400 + 1)::text, 5, '0') || '@c.us', CASE WHEN n % 10 = 8 THEN NULL ELSE n % 2 = 1 END,
       CASE n % 10 WHEN 4 THEN NULL WHEN 9 THEN -5 WHEN 3 THEN 1622505600 ELSE 1650000000 + n END, CASE n % 10 WHEN 5 THEN 'queued' WHEN 9 THEN NULL ELSE 'sent' END,
       CASE WHEN n % 10 = 1 THEN 99999 WHEN n % 10 IN (2, 4) THEN NULL ELSE n % 400 + 1 END, CASE WHEN n % 10 = 2 THEN 88888 END,
       CASE n % 10 WHEN 3 THEN NULL WHEN 4 THEN 77 ELSE 1 END, 'whapi', 2, '2022-05-01' FROM generate_series(1, 1000) n;

-- Another addon names people: one twin, and in a list both twins.
CREATE TABLE other_addon (id int, contact_id int REFERENCES whatsapp_contact ON DELETE SET NULL);
CREATE TABLE other_addon_list (list_id int, contact_id int REFERENCES whatsapp_contact ON DELETE CASCADE, PRIMARY KEY (list_id, contact_id));
ALTER TABLE other_addon OWNER TO odoo;
ALTER TABLE other_addon_list OWNER TO odoo;
INSERT INTO other_addon VALUES (1, 501), (2, 7);
INSERT INTO other_addon_list VALUES (1, 2), (1, 502), (2, 502);

INSERT INTO whatsapp_sync_service (id, name, sync_status, last_sync_message, create_uid, create_date) VALUES (1, 'Main', 'success', 'Synced 12', 1, '2021-01-01');
INSERT INTO whatsapp_send_message_wizard (id, message_type, message, create_uid, create_date) VALUES (1, 'text', 'half a draft', 2, now() AT TIME ZONE 'UTC');
SELECT setval('whatsapp_configuration_id_seq', 4), setval('whatsapp_contact_id_seq', 522), setval('whatsapp_group_id_seq', 34), setval('whatsapp_message_id_seq', 50000);

-- A user and an administrator of the older addon.
INSERT INTO res_groups_users_rel (gid, uid) SELECT res_id, 2 FROM ir_model_data WHERE module = 'whatsapp_integration' AND name IN ('group_whatsapp_user', 'group_whatsapp_admin') ON CONFLICT DO NOTHING;

-- As they were, to compare with.
CREATE SCHEMA older;
CREATE TABLE older.configuration AS TABLE whatsapp_configuration;
CREATE TABLE older.contact AS TABLE whatsapp_contact;
CREATE TABLE older.groups AS TABLE whatsapp_group;
CREATE TABLE older.member AS TABLE whatsapp_group_contact_rel;
CREATE TABLE older.message AS TABLE whatsapp_message;
CREATE TABLE older.service AS TABLE whatsapp_sync_service;
CREATE TABLE older.data AS SELECT * FROM ir_model_data WHERE module = 'whatsapp_integration';
CREATE TABLE older.cron AS SELECT c.id FROM ir_cron c JOIN ir_act_server s ON s.id = c.ir_actions_server_id WHERE s.code LIKE 'model.cron_%';
ANALYZE;
