//! Partitions of the journal: made ahead, dropped when their time is over.

use deadpool_postgres::GenericClient;

use crate::{StoreError, Tx};

/// Days for which partitions exist ahead of today.
const DAYS_AHEAD: i32 = 3;

/// A partition whose time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    pub name: String,
    pub stage: Stage,
}

/// How far its removal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Attached,
    /// A detachment was begun and cut short.
    Detaching,
    /// Detached, not dropped.
    Detached,
}

/// Partitions whose day ended more than `days` days ago and of which nothing waits to be applied any more.
///
/// # Errors
/// The database's.
pub async fn expired_partitions(
    client: &impl GenericClient,
    days: i32,
) -> Result<Vec<Expired>, StoreError> {
    let sql = "-- journal::expired_partitions
        SELECT c.relname::text, i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, false)
        FROM pg_class c
             LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = 'wabridge.journal'::regclass,
             LATERAL (SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day) d
        WHERE c.relnamespace = 'wabridge'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^journal_[0-9]{8}$'
          AND d.day < (now() AT TIME ZONE 'UTC')::date - $1::int4
          AND NOT EXISTS (
              SELECT 1 FROM wabridge.journal_pending p
              WHERE p.state = 'pending' AND p.received_at >= (d.day::timestamp AT TIME ZONE 'UTC')
                AND p.received_at < ((d.day + 1)::timestamp AT TIME ZONE 'UTC'))
        ORDER BY 1";
    let rows = client.query(sql, &[/* days */ &days]).await?;
    Ok(rows
        .iter()
        .map(|row| Expired {
            name: row.get(0),
            stage: match (row.get(1), row.get(2)) {
                (false, _) => Stage::Detached,
                (true, true) => Stage::Detaching,
                (true, false) => Stage::Attached,
            },
        })
        .collect())
}

/// Detaches a partition without holding up inserts and drops it. What of it is in quarantine, or became pending
/// meanwhile, is kept in `journal_kept`. Runs outside a transaction.
///
/// # Errors
/// [`StoreError::Busy`] while somebody reads the journal (a backup): nothing waits for that, and the next call
/// goes on where this one ended. Else the database's.
pub async fn drop_partition(
    client: &mut tokio_postgres::Client,
    partition: &Expired,
) -> Result<(), StoreError> {
    let name = crate::grants::quote(&partition.name);
    let keep = format!(
        "-- journal::keep
        INSERT INTO wabridge.journal_kept (id, received_at, provider, configuration_id, verified_by, method, sub_path,
               headers, body, address, request_id)
        SELECT j.id, j.received_at, j.provider, j.configuration_id, j.verified_by, j.method, j.sub_path, j.headers,
               j.body, j.address, j.request_id
        FROM (SELECT DISTINCT p.journal_id, p.received_at FROM wabridge.journal_pending p) p
        JOIN wabridge.{name} j ON j.id = p.journal_id AND j.received_at = p.received_at
        ORDER BY j.id
        ON CONFLICT (id) DO NOTHING"
    );
    // Before it is detached too: nothing that has a row in journal_pending is out of sight for a moment.
    client.execute(&keep, &[]).await?;
    let how = match partition.stage {
        Stage::Attached => Some("CONCURRENTLY"),
        Stage::Detaching => Some("FINALIZE"),
        Stage::Detached => None,
    };
    if let Some(how) = how {
        // A statement of its own: it refuses to run inside a transaction, which a batch is. The session's lock
        // time-out ends the wait for those who read the journal.
        let sql = format!("ALTER TABLE wabridge.journal DETACH PARTITION wabridge.{name} {how}");
        client.batch_execute(&sql).await?;
    }
    let tx = client.transaction().await?;
    tx.execute(&keep, &[]).await?;
    tx.batch_execute(&format!("-- journal::drop_partition\nDROP TABLE wabridge.{name}")).await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets kept webhooks of which nothing is in quarantine any more; their number.
///
/// # Errors
/// The database's.
pub async fn forget_kept(client: &impl GenericClient) -> Result<u64, StoreError> {
    let sql = "-- journal::forget_kept
        DELETE FROM wabridge.journal_kept k
        WHERE NOT EXISTS (SELECT 1 FROM wabridge.journal_pending p WHERE p.journal_id = k.id)";
    Ok(client.execute(sql, &[]).await?)
}

/// Creates and attaches the partitions from yesterday to [`DAYS_AHEAD`] days ahead. A new one is created
/// detached and then attached: that needs no lock that a reader of the journal could hold up.
///
/// # Errors
/// The database's.
pub async fn ensure_partitions(tx: &Tx<'_>) -> Result<u32, StoreError> {
    let sql = "-- journal::missing_partitions
        SELECT 'journal_' || to_char(d, 'YYYYMMDD'), to_char(d, 'YYYY-MM-DD'), to_char(d + 1, 'YYYY-MM-DD')
        FROM generate_series(-1, $1) n, LATERAL (SELECT (now() AT TIME ZONE 'UTC')::date + n AS d) day
        WHERE to_regclass('wabridge.journal_' || to_char(d, 'YYYYMMDD')) IS NULL";
    let rows = tx.query(sql, &[/* ahead */ &DAYS_AHEAD]).await?;
    for row in &rows {
        let (name, from, to): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        tx.batch_execute(&format!(
            "-- journal::ensure_partitions
            CREATE TABLE wabridge.{name} (LIKE wabridge.journal INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
            ALTER TABLE wabridge.journal ATTACH PARTITION wabridge.{name} FOR VALUES FROM ('{from} 00:00:00+00') TO ('{to} 00:00:00+00')"
        ))
        .await?;
    }
    Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
}
