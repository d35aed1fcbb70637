//! How far behind the bridge is, and how its accounts are: for `GET /health/ready`.

use crate::{Database, StoreError};

/// What waits; ages in seconds by PostgreSQL's clock, None where nothing waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Lag {
    pub journal_pending: i64,
    pub journal_oldest_s: Option<f64>,
    pub quarantined: i64,
    /// Sends that are due or will be.
    pub outbox: i64,
    /// Of those that are due.
    pub outbox_oldest_s: Option<f64>,
}

/// # Errors
/// The database's.
pub async fn lag(database: &Database) -> Result<Lag, StoreError> {
    let sql = "-- readiness::lag
        SELECT j.pending, j.oldest::float8, j.quarantined, o.waiting, o.oldest::float8
        FROM (SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
                     count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
                     extract(epoch FROM now() - min(received_at) FILTER (WHERE state = 'pending')) AS oldest
              FROM wabridge.journal_pending) j,
             (SELECT count(*) AS waiting,
                     extract(epoch FROM now() - min(greatest(created_at, not_before))
                             FILTER (WHERE not_before IS NULL OR not_before <= now())) AS oldest
              FROM wabridge.outbox) o";
    let row = database.client().await?.query_one(sql, &[]).await?;
    Ok(Lag {
        journal_pending: row.get(0),
        journal_oldest_s: row.get(1),
        quarantined: row.get(2),
        outbox: row.get(3),
        outbox_oldest_s: row.get(4),
    })
}

/// One account in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHealth {
    pub id: i32,
    pub provider: Option<String>,
    /// `new` while nothing was seen.
    pub state: String,
}

/// # Errors
/// The database's.
pub async fn accounts(database: &Database) -> Result<Vec<AccountHealth>, StoreError> {
    let sql = "-- readiness::accounts
        SELECT c.id, c.provider, coalesce(s.state, 'new')
        FROM public.whatsapp_configuration c
        LEFT JOIN public.whatsapp_account_state s ON s.configuration_id = c.id
        WHERE c.active ORDER BY c.id";
    let rows = database.client().await?.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| AccountHealth { id: row.get(0), provider: row.get(1), state: row.get(2) })
        .collect())
}
