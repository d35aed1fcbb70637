//! How far behind the bridge is, and how its accounts are: for `GET /health/ready` and `GET /metrics`.

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

/// What one account in use has to do.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountLoad {
    pub id: i32,
    pub provider: String,
    pub state: String,
    /// As [`crate::account_pace::Waiting`] has them.
    pub waiting_reason: Option<String>,
    pub waiting: i32,
    /// Messages of today (UTC), and how many there may be; 0: no limit.
    pub sent_today: i32,
    pub daily_limit: i32,
    /// Until pace and pauses let it send.
    pub pace_wait_s: f64,
    /// Unfinished sends.
    pub due: i64,
    pub scheduled: i64,
    pub parked: i64,
    pub uncertain: i64,
    /// For how long the oldest of those that are due waits; 0 where there is none.
    pub oldest_s: f64,
    /// Its newest runs of synchronisation that failed, one after the other.
    pub sync_failed_in_a_row: i64,
}

/// The accounts in use, by id.
///
/// # Errors
/// The database's.
pub async fn loads(database: &Database) -> Result<Vec<AccountLoad>, StoreError> {
    let sql = "-- readiness::loads
        WITH waiting AS (
            SELECT configuration_id, uncertain_since IS NOT NULL AS uncertain, parked IS NOT NULL AS parked,
                   coalesce(not_before > now(), false) AS later, greatest(created_at, not_before) AS since
            FROM wabridge.outbox),
        counted AS (
            SELECT configuration_id,
                   count(*) FILTER (WHERE NOT uncertain AND NOT parked AND NOT later) AS due,
                   count(*) FILTER (WHERE NOT uncertain AND NOT parked AND later) AS scheduled,
                   count(*) FILTER (WHERE NOT uncertain AND parked) AS parked,
                   count(*) FILTER (WHERE uncertain) AS uncertain,
                   min(since) FILTER (WHERE NOT uncertain AND NOT parked AND NOT later) AS oldest
            FROM waiting GROUP BY configuration_id),
        done AS (
            SELECT configuration_id, max(id) AS id FROM public.whatsapp_sync_run
            WHERE state = 'done' GROUP BY configuration_id),
        failed AS (
            SELECT r.configuration_id, count(*) AS n FROM public.whatsapp_sync_run r
            LEFT JOIN done d ON d.configuration_id = r.configuration_id
            WHERE r.state = 'failed' AND r.id > coalesce(d.id, 0) GROUP BY r.configuration_id)
        SELECT c.id, coalesce(c.provider, ''), coalesce(s.state, 'new'), s.waiting_reason, coalesce(s.waiting_count, 0),
               CASE WHEN p.day = (now() AT TIME ZONE 'UTC')::date THEN p.day_count ELSE 0 END,
               coalesce(c.daily_limit, 0),
               coalesce(greatest(extract(epoch FROM greatest(p.tat, p.paused_until) - now()), 0), 0)::float8,
               coalesce(o.due, 0), coalesce(o.scheduled, 0), coalesce(o.parked, 0), coalesce(o.uncertain, 0),
               coalesce(greatest(extract(epoch FROM now() - o.oldest), 0), 0)::float8, coalesce(f.n, 0)
        FROM public.whatsapp_configuration c
        LEFT JOIN public.whatsapp_account_state s ON s.configuration_id = c.id
        LEFT JOIN wabridge.account_pace p ON p.configuration_id = c.id
        LEFT JOIN counted o ON o.configuration_id = c.id
        LEFT JOIN failed f ON f.configuration_id = c.id
        WHERE c.active ORDER BY c.id";
    let rows = database.client().await?.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| AccountLoad {
            id: row.get(0),
            provider: row.get(1),
            state: row.get(2),
            waiting_reason: row.get(3),
            waiting: row.get(4),
            sent_today: row.get(5),
            daily_limit: row.get(6),
            pace_wait_s: row.get(7),
            due: row.get(8),
            scheduled: row.get(9),
            parked: row.get(10),
            uncertain: row.get(11),
            oldest_s: row.get(12),
            sync_failed_in_a_row: row.get(13),
        })
        .collect())
}
