//! `whatsapp_sync_service`, owned by Odoo; last_sync, sync_count, error_log are written here too, at most once a minute, and
//! requests are taken away (requested_at, requested_by). What is not written yet stands in `wabridge.sync_schedule`.

use wabridge_domain::sync::{SyncKind, SyncMode};

use super::run::{self, Begun, New};
use crate::{GenericClient, StoreError, Tx};

/// A schedule that is due, or that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub service_id: i32,
    pub configuration_id: i32,
    pub kinds: &'static [SyncKind],
    pub mode: SyncMode,
    /// Who asked; None: it is its time.
    pub requested_by: Option<i32>,
}

/// Schedules of active accounts whose time has come, and those that were asked for. A schedule that never ran waits its
/// first interval. Left out are those whose last run is not over, or not written into the row yet.
///
/// # Errors
/// The database's.
pub async fn due(client: &impl GenericClient) -> Result<Vec<Due>, StoreError> {
    let sql = "-- sync::schedule::due
        SELECT s.id, s.configuration_id, s.sync_type, s.mode, s.requested_by
        FROM public.whatsapp_sync_service s JOIN public.whatsapp_configuration a ON a.id = s.configuration_id
        WHERE a.active
          AND (s.requested_at IS NOT NULL
               OR s.is_active AND s.interval > 0
                  AND coalesce(s.last_sync, s.create_date, 'epoch') + make_interval(mins => s.interval)
                      <= now() AT TIME ZONE 'UTC')
          AND NOT EXISTS (SELECT 1 FROM wabridge.sync_schedule w WHERE w.service_id = s.id AND w.run_id <> 0)
        ORDER BY s.requested_at NULLS LAST, s.id";
    let rows = client.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Due {
            service_id: row.get(0),
            configuration_id: row.get(1),
            kinds: SyncKind::of_type(row.get::<_, Option<&str>>(2).unwrap_or("all")),
            mode: row
                .get::<_, Option<&str>>(3)
                .and_then(SyncMode::parse)
                .filter(|mode| *mode != SyncMode::Since)
                .unwrap_or(SyncMode::Incremental),
            requested_by: row.get(4),
        })
        .collect())
}

/// Begins the run of a schedule with those of its kinds that the provider lists; a request is taken away with it.
///
/// # Errors
/// The database's; [`StoreError::Busy`] where Odoo holds the row.
pub async fn begin(tx: &Tx<'_>, due: &Due, kinds: &[SyncKind]) -> Result<Begun, StoreError> {
    let new = New {
        configuration_id: due.configuration_id,
        service_id: Some(due.service_id),
        kinds,
        mode: due.mode,
        since: None,
        user_id: due.requested_by,
    };
    let begun = run::begin(tx, &new).await?;
    if let Begun::Queued(run_id) = begun {
        note(tx, due.service_id, run_id, None).await?;
    }
    Ok(begun)
}

/// Notes that a schedule could not begin a run; its time has come again after its interval.
///
/// # Errors
/// The database's.
pub async fn refuse(tx: &Tx<'_>, due: &Due, problem: &str) -> Result<(), StoreError> {
    note(tx, due.service_id, -1, Some(problem)).await
}

async fn note(
    tx: &Tx<'_>,
    service_id: i32,
    run_id: i32,
    problem: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "-- sync::schedule::note
        INSERT INTO wabridge.sync_schedule AS w (service_id, run_id, began_at, ended, problem)
        VALUES ($1, $2, now(), $2 < 0, $3)
        ON CONFLICT (service_id) DO UPDATE SET run_id = EXCLUDED.run_id, began_at = EXCLUDED.began_at,
               ended = EXCLUDED.ended, problem = EXCLUDED.problem";
    tx.execute(sql, &[/* service */ &service_id, /* run */ &run_id, /* problem */ &problem])
        .await?;
    let sql = "-- sync::schedule::take_request
        UPDATE public.whatsapp_sync_service SET requested_at = NULL, requested_by = NULL, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        WHERE id = $1 AND requested_at IS NOT NULL";
    tx.execute(sql, &[/* service */ &service_id]).await?;
    Ok(())
}

/// Writes what runs came to into Odoo's rows, each at most once a minute and not while Odoo holds it. (account, row) of
/// what was written.
///
/// # Errors
/// The database's.
pub async fn write_back(tx: &Tx<'_>) -> Result<Vec<(i32, i32)>, StoreError> {
    let sql = "-- sync::schedule::write_back
        WITH target AS MATERIALIZED (
            SELECT s.id, w.began_at, w.problem, w.run_id
            FROM wabridge.sync_schedule w JOIN public.whatsapp_sync_service s ON s.id = w.service_id
            WHERE w.ended AND w.run_id <> 0 AND coalesce(w.written_at, '-infinity') <= now() - interval '1 minute'
            ORDER BY s.id FOR NO KEY UPDATE OF s SKIP LOCKED),
        noted AS (
            UPDATE wabridge.sync_schedule w SET run_id = 0, written_at = now()
            FROM target t WHERE w.service_id = t.id)
        UPDATE public.whatsapp_sync_service s
        SET last_sync = date_trunc('second', t.began_at AT TIME ZONE 'UTC'),
            sync_count = coalesce(s.sync_count, 0) + CASE WHEN t.run_id > 0 THEN 1 ELSE 0 END, error_log = t.problem,
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE s.id = t.id
        RETURNING s.configuration_id, s.id";
    let rows = tx.query(sql, &[]).await?;
    let sql = "-- sync::schedule::forget
        DELETE FROM wabridge.sync_schedule w
        WHERE NOT EXISTS (SELECT 1 FROM public.whatsapp_sync_service s WHERE s.id = w.service_id)";
    tx.execute(sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
