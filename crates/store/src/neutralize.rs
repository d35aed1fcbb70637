//! `wabridge neutralize`: makes a copied database harmless with the daemon's own rights.

use crate::{StoreError, Tx};

/// What was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neutralized {
    pub accounts: u64,
    pub cancelled: u64,
}

/// Drops every account's secrets and cancels everything that waits to be sent.
///
/// # Errors
/// The database's.
pub async fn run(tx: &Tx<'_>) -> Result<Neutralized, StoreError> {
    let sql = "-- neutralize::secrets
        UPDATE public.whatsapp_configuration
        SET token = NULL, webhook_token = NULL, webhook_secret = NULL, app_secret = NULL, verify_token = NULL,
            webhook_token_former = NULL, webhook_secret_former = NULL, app_secret_former = NULL, former_until = NULL,
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE coalesce(token, webhook_token, webhook_secret, app_secret, verify_token,
                       webhook_token_former, webhook_secret_former, app_secret_former) IS NOT NULL";
    let accounts = tx.execute(sql, &[]).await?;
    let sql = "-- neutralize::cancel
        WITH waiting AS (
            DELETE FROM wabridge.outbox RETURNING message_id
        ), handed AS (
            DELETE FROM public.whatsapp_outbox_in RETURNING message_id
        )
        UPDATE public.whatsapp_message m
        SET status = 'cancelled', cancelled_at = date_trunc('second', now() AT TIME ZONE 'UTC'),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM (SELECT message_id FROM waiting UNION SELECT message_id FROM handed) w
        WHERE m.id = w.message_id AND m.status = 'queued'";
    let cancelled = tx.execute(sql, &[]).await?;
    let sql = "-- neutralize::invitations
        UPDATE wabridge.group_invitation SET state = 'refused', reason = 'the database was neutralized'
        WHERE state = 'owed'";
    tx.execute(sql, &[]).await?;
    tx.execute("-- neutralize::lanes\nUPDATE wabridge.lane SET ready_at = NULL", &[]).await?;
    Ok(Neutralized { accounts, cancelled })
}
