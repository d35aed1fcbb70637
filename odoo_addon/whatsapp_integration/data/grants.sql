-- Rights of the daemon's role on Odoo's tables: exactly the columns it uses.
-- :role stands for the role, quoted by the caller: the addon at each install and upgrade
-- (system parameter whatsapp_integration.database_role), and `wabridge grants`. Repeatable.
GRANT USAGE ON SCHEMA public TO :role;

-- Who may use what
GRANT SELECT (id, login, active, partner_id, company_id, share) ON res_users TO :role;
GRANT SELECT ON res_company_users_rel, res_groups_users_rel, res_groups_implied_rel TO :role;
GRANT SELECT (module, name, model, res_id) ON ir_model_data TO :role;
GRANT SELECT ON res_users_whatsapp_configuration_rel, res_groups_whatsapp_configuration_rel TO :role;

-- Whether addon and database fit, and the settings that live in Odoo
GRANT SELECT (key, value) ON ir_config_parameter TO :role;
GRANT SELECT (name, state, latest_version) ON ir_module_module TO :role;

-- People and their countries (19 has no mobile)
GRANT SELECT (id, name, phone, country_id) ON res_partner TO :role;
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_attribute
               WHERE attrelid = 'res_partner'::regclass AND attname = 'mobile' AND NOT attisdropped) THEN
        GRANT SELECT (mobile) ON res_partner TO :role;
    END IF;
END $$;
GRANT SELECT (id, code) ON res_country TO :role;
GRANT SELECT (id, partner_id, e164, company_id) ON whatsapp_partner_number TO :role;

-- Who may not be written to
GRANT SELECT (id, number, active) ON phone_blacklist TO :role;

-- Odoo's own rows: read; of the accounts only the sealed values change, when keys are rotated
GRANT SELECT ON whatsapp_configuration TO :role;
GRANT UPDATE (token, webhook_token, webhook_secret, app_secret, verify_token, write_uid, write_date)
    ON whatsapp_configuration TO :role;

-- The daemon's rows
GRANT SELECT, INSERT, UPDATE, DELETE ON
    whatsapp_account_state, whatsapp_contact, whatsapp_group, whatsapp_group_member, whatsapp_chat,
    whatsapp_media, whatsapp_message, whatsapp_message_receipt, whatsapp_message_revision,
    whatsapp_quarantine, whatsapp_sync_run, whatsapp_sync_run_item
    TO :role;
-- Schedules are Odoo's: the daemon says when one ran, and takes requests away
GRANT SELECT ON whatsapp_sync_service TO :role;
GRANT UPDATE (last_sync, sync_count, error_log, requested_at, requested_by, write_uid, write_date)
    ON whatsapp_sync_service TO :role;
-- What template.sync brings
GRANT SELECT, INSERT, UPDATE ON whatsapp_message_template TO :role;
GRANT USAGE ON whatsapp_message_template_id_seq TO :role;
GRANT SELECT, INSERT ON whatsapp_audit_log TO :role;
-- The counter of unauthenticated requests: one row a minute, its text holds the count
GRANT UPDATE (error_message) ON whatsapp_audit_log TO :role;
GRANT USAGE ON
    whatsapp_account_state_id_seq, whatsapp_contact_id_seq, whatsapp_group_id_seq,
    whatsapp_group_member_id_seq, whatsapp_chat_id_seq, whatsapp_media_id_seq,
    whatsapp_message_id_seq, whatsapp_message_receipt_id_seq, whatsapp_message_revision_id_seq,
    whatsapp_quarantine_id_seq, whatsapp_sync_run_id_seq, whatsapp_sync_run_item_id_seq,
    whatsapp_audit_log_id_seq
    TO :role;

-- The two doors: sends come in here and are taken away, events go out
GRANT SELECT, DELETE ON whatsapp_outbox_in TO :role;
GRANT SELECT, DELETE ON whatsapp_media_upload TO :role;
-- No column of them is ever changed: PostgreSQL asks for this right when rows are locked (SKIP LOCKED).
GRANT UPDATE (write_date) ON whatsapp_outbox_in, whatsapp_media_upload TO :role;
GRANT SELECT, INSERT ON whatsapp_event TO :role;
GRANT USAGE ON whatsapp_event_id_seq TO :role;

-- Live screens
GRANT INSERT (channel, message, create_uid, create_date, write_uid, write_date) ON bus_bus TO :role;
GRANT USAGE ON bus_bus_id_seq TO :role;
