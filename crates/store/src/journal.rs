//! `wabridge.journal` and `wabridge.journal_pending`: raw webhooks, and what of them is not applied yet.

use crate::{StoreError, Tx};

/// Days for which partitions exist ahead of today.
const DAYS_AHEAD: i32 = 3;

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
