-- Run by Odoo 16 and later on a neutralized copy (14 has no such step: `wabridge neutralize` does it).
-- Switch the accounts off and forget their credentials.
UPDATE whatsapp_configuration
   SET active = false, token = NULL, webhook_token = NULL, webhook_secret = NULL,
       app_secret = NULL, verify_token = NULL,
       webhook_token_former = NULL, webhook_secret_former = NULL, app_secret_former = NULL, former_until = NULL;
-- Clear tokens of an older addon that wait to be sealed.
DROP TABLE IF EXISTS whatsapp_takeover_secret;
-- Nothing that waits in the copy may ever be sent.
UPDATE whatsapp_message
   SET status = 'cancelled', cancelled_at = date_trunc('second', now() AT TIME ZONE 'UTC'),
       write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
 WHERE status IN ('queued', 'draft') AND direction = 'outbound';
DELETE FROM whatsapp_outbox_in;
DELETE FROM whatsapp_media_upload;
-- And no handler runs for what had arrived in the original.
UPDATE whatsapp_event SET phase = 'seen' WHERE phase = 'new';
-- No synchronisation goes on in the copy.
UPDATE whatsapp_sync_service SET requested_at = NULL, requested_by = NULL WHERE requested_at IS NOT NULL;
UPDATE whatsapp_sync_run
   SET state = 'cancelled', ended_at = date_trunc('second', now() AT TIME ZONE 'UTC'),
       write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
 WHERE state IN ('queued', 'running');
