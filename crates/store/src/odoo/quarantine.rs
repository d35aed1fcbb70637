//! `whatsapp_quarantine` (configuration_id, provider, journal_id, event_no, received_at, reason, detail, attempts, log
//! columns): what stands in quarantine in `wabridge.journal_pending`, for Odoo's screen. Owned by the daemon.
//!
//! Always a consequence of `journal_pending`, never read back: so it is brought in line with it, for some webhooks or
//! for all. Rows of an account that is gone are left out. Lock order: after `journal_pending`, by journal id and event.

use deadpool_postgres::GenericClient;

use crate::{StoreError, Tx, savepoint};

/// How long a webhook waits for somebody who holds the table.
const LOCK_MS: u32 = 50;

/// Brings the rows of these webhooks in line, in the transaction that changed `journal_pending`. Odoo's table may be
/// locked or missing: that must cost no webhook its place in the journal, so the transaction goes on without, and
/// [`reconcile`] makes up for it. False then.
///
/// # Errors
/// [`StoreError::Unavailable`]; what else goes wrong is undone.
pub async fn mirror(tx: &Tx<'_>, journal_ids: &[i64]) -> Result<bool, StoreError> {
    if journal_ids.is_empty() {
        return Ok(true);
    }
    savepoint::begin(tx).await?;
    savepoint::lock_timeout(tx, LOCK_MS).await?;
    match align(tx, Some(journal_ids)).await {
        Ok(_) => {
            savepoint::keep(tx).await?;
            tx.batch_execute("SET LOCAL lock_timeout TO DEFAULT").await?;
            Ok(true)
        }
        Err(StoreError::Unavailable(why)) => Err(StoreError::Unavailable(why)),
        Err(error) => {
            savepoint::undo(tx).await?;
            tracing::debug!(%error, "the quarantine in Odoo follows later: {error}");
            Ok(false)
        }
    }
}

/// Brings all rows in line; how many were written.
///
/// # Errors
/// The database's.
pub async fn reconcile(client: &impl GenericClient) -> Result<u64, StoreError> {
    align(client, None).await
}

async fn align(
    client: &impl GenericClient,
    journal_ids: Option<&[i64]>,
) -> Result<u64, StoreError> {
    let sql = "-- odoo::quarantine::align
        WITH wanted AS MATERIALIZED (
            SELECT p.configuration_id, a.provider, p.journal_id::text AS journal_id, p.event_no,
                   date_trunc('second', p.received_at AT TIME ZONE 'UTC') AS received_at, p.reason,
                   nullif(p.detail, '') AS detail, p.attempts
            FROM wabridge.journal_pending p JOIN public.whatsapp_configuration a ON a.id = p.configuration_id
            WHERE p.state = 'quarantined' AND ($1::int8[] IS NULL OR p.journal_id = ANY($1))),
        surplus AS MATERIALIZED (
            SELECT q.id FROM public.whatsapp_quarantine q
            WHERE ($1::int8[] IS NULL OR q.journal_id IN (SELECT i.id::text FROM unnest($1::int8[]) AS i(id)))
              AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.journal_id = q.journal_id AND w.event_no = q.event_no)
            ORDER BY q.journal_id, q.event_no FOR UPDATE OF q),
        gone AS (
            DELETE FROM public.whatsapp_quarantine q USING surplus s WHERE q.id = s.id RETURNING 1),
        target AS MATERIALIZED (
            SELECT q.id, w.reason, w.detail, w.attempts, w.configuration_id FROM wanted w
            JOIN public.whatsapp_quarantine q ON q.journal_id = w.journal_id AND q.event_no = w.event_no
            WHERE (q.reason, q.detail, q.attempts, q.configuration_id)
                  IS DISTINCT FROM (w.reason, w.detail, w.attempts, w.configuration_id)
            ORDER BY q.journal_id, q.event_no FOR NO KEY UPDATE OF q),
        changed AS (
            UPDATE public.whatsapp_quarantine q
            SET reason = t.reason, detail = t.detail, attempts = t.attempts, configuration_id = t.configuration_id,
                write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
            FROM target t WHERE q.id = t.id RETURNING 1),
        fresh AS (
            INSERT INTO public.whatsapp_quarantine (configuration_id, provider, journal_id, event_no, received_at, reason,
                   detail, attempts, create_uid, create_date, write_uid, write_date)
            SELECT w.configuration_id, w.provider, w.journal_id, w.event_no, w.received_at, w.reason, w.detail, w.attempts,
                   1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM wanted w
            WHERE NOT EXISTS (SELECT 1 FROM public.whatsapp_quarantine q
                              WHERE q.journal_id = w.journal_id AND q.event_no = w.event_no)
            ORDER BY w.journal_id, w.event_no
            ON CONFLICT (journal_id, event_no) DO NOTHING
            RETURNING 1)
        SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM changed) + (SELECT count(*) FROM fresh)";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_one(&statement, &[/* journal ids */ &journal_ids]).await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}
