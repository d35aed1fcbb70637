-- Rights of the daemon's role on Odoo's tables: exactly the columns that its statements use.
-- Made from crates/store/src/schema/columns.rs by a test of wabridge-store; do not edit (README, Contributing).
-- :role stands for the role, quoted by the caller: the addon at each install and upgrade
-- (system parameter whatsapp_integration.database_role), and `wabridge grants`. Repeatable; one transaction.
GRANT USAGE ON SCHEMA public TO :role;

-- What an earlier version needed and this one does not
DO $do$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass::text FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND c.relowner <> $role$:role$role$::regrole
          AND (EXISTS (SELECT 1 FROM aclexplode(c.relacl) x WHERE x.grantee = $role$:role$role$::regrole)
               OR EXISTS (SELECT 1 FROM pg_attribute a, aclexplode(a.attacl) x
                          WHERE a.attrelid = c.oid AND x.grantee = $role$:role$role$::regrole))
    LOOP
        EXECUTE 'REVOKE ALL ON ' || name || $role$ FROM :role$role$;
    END LOOP;
END $do$;

GRANT INSERT (channel, create_date, create_uid, message, write_date, write_uid)
    ON bus_bus TO :role;
GRANT USAGE ON SEQUENCE bus_bus_id_seq TO :role;

GRANT SELECT (key, value)
    ON ir_config_parameter TO :role;

GRANT SELECT (model, module, name, res_id)
    ON ir_model_data TO :role;

GRANT SELECT (latest_version, name, state)
    ON ir_module_module TO :role;

GRANT SELECT (active, number)
    ON phone_blacklist TO :role;

GRANT SELECT (cid, user_id)
    ON res_company_users_rel TO :role;

GRANT SELECT (code, id)
    ON res_country TO :role;

GRANT SELECT (gid, hid)
    ON res_groups_implied_rel TO :role;

GRANT SELECT (gid, uid)
    ON res_groups_users_rel TO :role;

GRANT SELECT (res_groups_id, whatsapp_configuration_id)
    ON res_groups_whatsapp_configuration_rel TO :role;

GRANT SELECT (country_id, id, phone)
    ON res_partner TO :role;
DO $do$
BEGIN
    -- Not in every series of Odoo
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = 'res_partner'::regclass AND attname = 'mobile' AND NOT attisdropped) THEN
        GRANT SELECT (mobile) ON res_partner TO :role;
    END IF;
END $do$;

GRANT SELECT (active, company_id, id, partner_id)
    ON res_users TO :role;

GRANT SELECT (res_users_id, whatsapp_configuration_id)
    ON res_users_whatsapp_configuration_rel TO :role;

GRANT SELECT (configuration_id, id, reason, since, state, waiting_count, waiting_reason, waiting_until),
      INSERT (configuration_id, create_date, create_uid, reason, since, state, waiting_count, waiting_reason,
        waiting_until, write_date, write_uid),
      UPDATE (reason, since, state, waiting_count, waiting_reason, waiting_until, write_date, write_uid)
    ON whatsapp_account_state TO :role;
GRANT USAGE ON SEQUENCE whatsapp_account_state_id_seq TO :role;

GRANT SELECT (address, configuration_id, error_message, id, operation, provider, request_id, response_time, success,
        timestamp, user_id),
      INSERT (address, configuration_id, error_message, operation, provider, request_id, response_time, success,
        timestamp, user_id),
      UPDATE (address, error_message),
      DELETE
    ON whatsapp_audit_log TO :role;
GRANT USAGE ON SEQUENCE whatsapp_audit_log_id_seq TO :role;

GRANT SELECT (configuration_id, id)
    ON whatsapp_bulk_campaign TO :role;

GRANT SELECT (campaign_id, content, given, message_id, number),
      UPDATE (content, detail, given, name, number, res_id, res_model, write_date, write_uid)
    ON whatsapp_bulk_campaign_recipient TO :role;

GRANT SELECT (chat_id, configuration_id, contact_id, create_date, group_id, id, last_inbound_at, last_message_at,
        last_message_id, name, unread_count),
      INSERT (chat_id, configuration_id, contact_id, create_date, create_uid, group_id, name, unread_count,
        write_date, write_uid),
      UPDATE (contact_id, group_id, last_inbound_at, last_message_at, last_message_id, name, unread_count, write_date,
        write_uid),
      DELETE
    ON whatsapp_chat TO :role;
GRANT USAGE ON SEQUENCE whatsapp_chat_id_seq TO :role;

GRANT SELECT (active, app_secret, app_secret_former, auth_mode, base_url, channel_id, company_id, conflict_policy,
        country_id, custom_mapping, daily_limit, failure_burst, former_until, id, name, pace_per_second, provider,
        random_gap_max_s, random_gap_min_s, recipient_gap_s, seal_uuid, sequence, stop_words, stop_words_enabled,
        token, uncertain_policy, undo_s, verify_token, webhook_header, webhook_secret, webhook_secret_former,
        webhook_token, webhook_token_former, window_policy),
      UPDATE (app_secret, app_secret_former, former_until, token, verify_token, webhook_secret, webhook_secret_former,
        webhook_token, webhook_token_former, write_date, write_uid)
    ON whatsapp_configuration TO :role;

GRANT SELECT (configuration_id, contact_id, id, is_blocked, is_business, is_wa_contact, lid, name, name_edited_at,
        opted_out, opted_out_at, opted_out_reason, partner_chosen, partner_id, phone, picture, pushname, synced_at,
        username, wa_user_id),
      INSERT (configuration_id, contact_id, create_date, create_uid, id, is_blocked, is_business, is_wa_contact, name,
        opted_out, partner_id, phone, picture, provider, pushname, synced_at, username, write_date, write_uid),
      UPDATE (contact_id, is_blocked, is_business, is_wa_contact, lid, name, name_edited_at, opted_out, opted_out_at,
        opted_out_reason, partner_chosen, partner_id, phone, picture, pushname, synced_at, username, wa_checked_at,
        wa_user_id, write_date, write_uid),
      DELETE
    ON whatsapp_contact TO :role;
GRANT USAGE ON SEQUENCE whatsapp_contact_id_seq TO :role;

GRANT SELECT (configuration_id, counted_at, live_from)
    ON whatsapp_dashboard_mark TO :role;

GRANT SELECT (attempts, configuration_id, id, kind, message_id, payload, phase, write_date),
      INSERT (attempts, configuration_id, create_date, create_uid, kind, message_id, payload, phase, write_date,
        write_uid),
      DELETE
    ON whatsapp_event TO :role;
GRANT USAGE ON SEQUENCE whatsapp_event_id_seq TO :role;

GRANT SELECT (configuration_id, description, group_id, id, invite_link, is_active, join_approval, name,
        name_edited_at, only_admins_edit, only_admins_send, picture, synced_at),
      INSERT (configuration_id, create_date, create_uid, group_id, is_active, provider, synced_at, write_date,
        write_uid),
      UPDATE (description, invite_link, is_active, join_approval, name, only_admins_edit, only_admins_send, picture,
        synced_at, write_date, write_uid)
    ON whatsapp_group TO :role;
GRANT USAGE ON SEQUENCE whatsapp_group_id_seq TO :role;

GRANT SELECT (contact_id, group_id, id, role, state),
      INSERT (contact_id, create_date, create_uid, group_id, role, state, write_date, write_uid),
      UPDATE (contact_id, role, state, write_date, write_uid),
      DELETE
    ON whatsapp_group_member TO :role;
GRANT USAGE ON SEQUENCE whatsapp_group_member_id_seq TO :role;

GRANT SELECT (checksum, duration, filename, height, id, mimetype, reason, size, state, width, write_date),
      INSERT (checksum, create_date, create_uid, duration, filename, height, id, mimetype, size, state, thumbnail,
        width, write_date, write_uid),
      UPDATE (checksum, duration, filename, height, mimetype, reason, size, state, thumbnail, width, write_date,
        write_uid),
      DELETE
    ON whatsapp_media TO :role;
GRANT USAGE ON SEQUENCE whatsapp_media_id_seq TO :role;

GRANT SELECT (data, filename, id, message_id, mimetype),
      DELETE
    ON whatsapp_media_upload TO :role;

GRANT SELECT (cancelled_at, caption, category, chat_id, configuration_id, contact_id, content, create_date,
        deleted_at, delivered_at, direction, edited_at, error_code, error_message, extra, failed_at, forwarded,
        from_me, group_id, id, location, media_id, message_id, message_type, origin, pending_at, played_at, provider,
        queued_at, read_at, reply_to_id, request_id, res_id, res_model, sent_at, status, timestamp, uncertain_at,
        user_id),
      INSERT (caption, category, chat_id, configuration_id, contact_id, content, create_date, create_uid, deleted_at,
        delivered_at, direction, extra, failed_at, forwarded, from_me, group_id, id, location, media_id, message_id,
        message_type, origin, pending_at, played_at, provider, queued_at, read_at, reply_to_id, request_id, res_id,
        res_model, sent_at, status, synced_at, timestamp, user_id, write_date, write_uid),
      UPDATE (cancelled_at, caption, category, chat_id, contact_id, content, deleted_at, delivered_at, edited_at,
        error_code, error_message, extra, failed_at, group_id, location, media_id, message_id, pending_at, played_at,
        queued_at, read_at, reply_to_id, res_id, res_model, sent_at, status, uncertain_at, write_date, write_uid),
      DELETE
    ON whatsapp_message TO :role;
GRANT USAGE ON SEQUENCE whatsapp_message_id_seq TO :role;

GRANT SELECT (configuration_id, day, delivered_count, direction, failed_count, message_count, read_count, sent_count)
    ON whatsapp_message_count TO :role;

GRANT SELECT (contact_id, delivered_at, failed_at, id, message_id, played_at, read_at),
      INSERT (contact_id, create_date, create_uid, delivered_at, failed_at, message_id, played_at, read_at,
        write_date, write_uid),
      UPDATE (contact_id, delivered_at, failed_at, played_at, read_at, write_date, write_uid),
      DELETE
    ON whatsapp_message_receipt TO :role;
GRANT USAGE ON SEQUENCE whatsapp_message_receipt_id_seq TO :role;

GRANT SELECT (caption, content, edited_at, id, message_id, revision),
      INSERT (caption, content, create_date, create_uid, edited_at, message_id, revision, write_date, write_uid),
      UPDATE (caption, content, write_date, write_uid),
      DELETE
    ON whatsapp_message_revision TO :role;
GRANT USAGE ON SEQUENCE whatsapp_message_revision_id_seq TO :role;

GRANT SELECT (category, configuration_id, name)
    ON whatsapp_message_template TO :role;

GRANT SELECT (configuration_id, id, idempotency_key, message_id, recipient, request, schedule_at),
      DELETE
    ON whatsapp_outbox_in TO :role;

GRANT SELECT (company_id, e164, id, partner_id)
    ON whatsapp_partner_number TO :role;

GRANT SELECT (attempts, configuration_id, detail, event_no, id, journal_id, reason),
      INSERT (attempts, configuration_id, create_date, create_uid, detail, event_no, journal_id, provider, reason,
        received_at, write_date, write_uid),
      UPDATE (attempts, configuration_id, detail, reason, write_date, write_uid),
      DELETE
    ON whatsapp_quarantine TO :role;
GRANT USAGE ON SEQUENCE whatsapp_quarantine_id_seq TO :role;

GRANT SELECT (configuration_id, counts, error_message, id, progress, started_at, state, user_id),
      INSERT (changed_count, configuration_id, create_date, create_uid, created_count, error_count, kinds, late_count,
        mode, progress, read_count, service_id, since, state, unchanged_count, user_id, write_date, write_uid),
      UPDATE (changed_count, counts, created_count, ended_at, error_count, error_message, late_count, phase, progress,
        read_count, started_at, state, unchanged_count, write_date)
    ON whatsapp_sync_run TO :role;
GRANT USAGE ON SEQUENCE whatsapp_sync_run_id_seq TO :role;

GRANT SELECT (decision, id, kind, name, odoo_value, provider_value, reason, res_id, run_id),
      INSERT (create_date, create_uid, decision, field, kind, name, odoo_value, provider_value, reason, res_id,
        run_id, write_date, write_uid),
      DELETE
    ON whatsapp_sync_run_item TO :role;
GRANT USAGE ON SEQUENCE whatsapp_sync_run_item_id_seq TO :role;

GRANT SELECT (configuration_id, create_date, id, interval, is_active, last_sync, mode, requested_at, requested_by,
        sync_count, sync_type),
      UPDATE (error_log, last_sync, requested_at, requested_by, sync_count, write_date, write_uid)
    ON whatsapp_sync_service TO :role;
