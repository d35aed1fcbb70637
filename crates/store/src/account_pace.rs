//! `wabridge.account_pace`: who sends for an account, and how fast. All times are PostgreSQL's.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use uuid::Uuid;

use crate::{StoreError, Tx};

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Those of `accounts` that have something to do and that nobody else leases: due lanes, due scheduled sends,
/// or what a former owner left open.
///
/// However much waits, little of it is read: `statement_timestamp()`, unlike `clock_timestamp()`, bounds the search in
/// an index, the order with `LIMIT 1` keeps the planner from `EXISTS` over a hash of everything that is due, and where
/// nothing was counted yet it takes `IS NULL` for rare and would sort all of it.
///
/// # Errors
/// The database's.
pub async fn wanting(
    client: &impl GenericClient,
    accounts: &[i32],
    owner: Uuid,
) -> Result<Vec<i32>, StoreError> {
    // generate_subscripts, and not unnest: its number of rows is guessed, not counted, so that PostgreSQL sees that a plan
    // for these accounts is none better than the one for all, and keeps that. To plan it anew costs more than to run it.
    let sql = "-- account_pace::wanting
        SELECT a.id FROM (SELECT ($1::int4[])[i] AS id FROM generate_subscripts($1::int4[], 1) AS i) a
        LEFT JOIN wabridge.account_pace p ON p.configuration_id = a.id
        WHERE (p.lease_until IS NULL OR p.lease_until < clock_timestamp() OR p.owner = $2)
          AND ((SELECT true FROM wabridge.lane l
                WHERE l.configuration_id = a.id AND l.ready_at <= statement_timestamp() AND (l.in_flight > 0) IS NOT TRUE
                ORDER BY l.ready_at LIMIT 1)
            OR (SELECT true FROM wabridge.outbox o
                WHERE o.configuration_id = a.id AND o.position IS NULL AND o.not_before <= statement_timestamp()
                ORDER BY o.not_before LIMIT 1)
            OR p.owner IS DISTINCT FROM $2
               AND (SELECT true FROM wabridge.attempt t
                    WHERE t.configuration_id = a.id AND t.applied_at IS NULL ORDER BY t.id LIMIT 1))";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* accounts */ &accounts, /* owner */ &owner]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Takes the lease of an account for `owner`; the new epoch, or None when somebody else has it.
///
/// # Errors
/// The database's.
pub async fn lease(
    tx: &Tx<'_>,
    configuration_id: i32,
    owner: Uuid,
    lease: Duration,
) -> Result<Option<i64>, StoreError> {
    let sql = "-- account_pace::lease
        INSERT INTO wabridge.account_pace AS p (configuration_id, owner, epoch, lease_until)
        VALUES ($1, $2, 1, clock_timestamp() + $3::int8 * interval '1 s')
        ON CONFLICT (configuration_id) DO UPDATE
        SET owner = excluded.owner, epoch = p.epoch + 1, lease_until = excluded.lease_until
        WHERE p.lease_until IS NULL OR p.lease_until < clock_timestamp()
        RETURNING epoch";
    let row = tx
        .query_opt(
            sql,
            &[
                /* configuration_id */ &configuration_id,
                /* owner */ &owner,
                /* lease_s */ &seconds(lease),
            ],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// Clears what former leases left in flight: their attempts were abandoned in the same transaction, and the
/// outcomes free the lanes when they are applied; lanes without such an attempt are freed here.
///
/// # Errors
/// The database's.
pub async fn clear_flights(
    tx: &Tx<'_>,
    configuration_id: i32,
    epoch: i64,
) -> Result<u64, StoreError> {
    let sql = "-- account_pace::clear_flights
        UPDATE wabridge.lane l SET in_flight = NULL
        WHERE l.configuration_id = $1 AND l.in_flight < $2
          AND NOT EXISTS (SELECT 1 FROM wabridge.attempt t
                          WHERE t.configuration_id = l.configuration_id AND t.chat_key = l.chat_key
                            AND t.applied_at IS NULL)";
    Ok(tx.execute(sql, &[/* configuration_id */ &configuration_id, /* epoch */ &epoch]).await?)
}

/// Prolongs the leases that are still held; returns the accounts of those.
///
/// # Errors
/// The database's.
pub async fn heartbeat(
    client: &impl GenericClient,
    owner: Uuid,
    leases: &[(i32, i64)],
    lease: Duration,
) -> Result<Vec<i32>, StoreError> {
    let sql = "-- account_pace::heartbeat
        UPDATE wabridge.account_pace p
        SET lease_until = clock_timestamp() + $4::int8 * interval '1 s'
        FROM unnest($1::int4[], $2::int8[]) AS l(configuration_id, epoch)
        WHERE p.configuration_id = l.configuration_id AND p.epoch = l.epoch AND p.owner = $3
          AND p.lease_until > clock_timestamp()
        RETURNING p.configuration_id";
    let (accounts, epochs): (Vec<i32>, Vec<i64>) = leases.iter().copied().unzip();
    let rows = client
        .query(
            sql,
            &[
                /* accounts */ &accounts,
                /* epochs */ &epochs,
                /* owner */ &owner,
                /* lease_s */ &seconds(lease),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Gives leases back.
///
/// # Errors
/// The database's.
pub async fn release(
    client: &impl GenericClient,
    owner: Uuid,
    leases: &[(i32, i64)],
) -> Result<(), StoreError> {
    let sql = "-- account_pace::release
        UPDATE wabridge.account_pace p SET owner = NULL, lease_until = NULL
        FROM unnest($1::int4[], $2::int8[]) AS l(configuration_id, epoch)
        WHERE p.configuration_id = l.configuration_id AND p.epoch = l.epoch AND p.owner = $3";
    let (accounts, epochs): (Vec<i32>, Vec<i64>) = leases.iter().copied().unzip();
    client
        .execute(sql, &[/* accounts */ &accounts, /* epochs */ &epochs, /* owner */ &owner])
        .await?;
    Ok(())
}

/// The account's row, locked for a claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// PostgreSQL's clock, the one that the other times are of.
    pub now: Timestamp,
    pub tat: Option<Timestamp>,
    /// Sends counted today (UTC).
    pub today: i32,
    pub paused_until: Option<Timestamp>,
    pub pause_kind: Option<String>,
    pub pauses: i32,
    /// What the pace was divided by after the last 429, and how long ago that was.
    pub slow: f64,
    pub slowed_ago: Duration,
    /// Failures in a row.
    pub failures: i32,
}

/// Locks the row for a claim and prolongs the lease, so that no call outlives it; None when the lease is lost.
///
/// # Errors
/// The database's.
pub async fn enter(
    tx: &Tx<'_>,
    configuration_id: i32,
    owner: Uuid,
    epoch: i64,
    lease: Duration,
) -> Result<Option<Pace>, StoreError> {
    let sql = "-- account_pace::enter
        UPDATE wabridge.account_pace
        SET lease_until = clock_timestamp() + $4::int8 * interval '1 s'
        WHERE configuration_id = $1 AND owner = $2 AND epoch = $3 AND lease_until > clock_timestamp()
        RETURNING clock_timestamp(), tat,
                  CASE WHEN day = (now() AT TIME ZONE 'UTC')::date THEN day_count ELSE 0 END,
                  paused_until, pause_kind, pauses, slow,
                  greatest(extract(epoch FROM clock_timestamp() - coalesce(slowed_at, clock_timestamp())), 0)::float8,
                  failures";
    let statement = tx.prepare_cached(sql).await?;
    let row = tx
        .query_opt(
            &statement,
            &[
                /* configuration_id */ &configuration_id,
                /* owner */ &owner,
                /* epoch */ &epoch,
                /* lease_s */ &seconds(lease),
            ],
        )
        .await?;
    Ok(row.map(|row| Pace {
        now: row.get(0),
        tat: row.get(1),
        today: row.get(2),
        paused_until: row.get(3),
        pause_kind: row.get(4),
        pauses: row.get(5),
        slow: row.get(6),
        slowed_ago: Duration::from_secs_f64(row.get(7)),
        failures: row.get(8),
    }))
}

/// Takes `sends` tokens: writes the new theoretical arrival time and counts them for the day.
///
/// # Errors
/// The database's.
pub async fn spend(
    tx: &Tx<'_>,
    configuration_id: i32,
    tat: Option<Timestamp>,
    sends: i32,
) -> Result<(), StoreError> {
    let sql = "-- account_pace::spend
        UPDATE wabridge.account_pace
        SET tat = coalesce($2, tat), day = (now() AT TIME ZONE 'UTC')::date,
            day_count = $3 + CASE WHEN day = (now() AT TIME ZONE 'UTC')::date THEN day_count ELSE 0 END
        WHERE configuration_id = $1";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[
            /* configuration_id */ &configuration_id,
            /* tat */ &tat,
            /* sends */ &sends,
        ],
    )
    .await?;
    Ok(())
}

/// Why an account pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    RateLimited,
    AccountDown,
    /// So many sends failed in a row that something must be wrong.
    Failures,
}

impl Pause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::AccountDown => "account_down",
            Self::Failures => "failures",
        }
    }
}

/// Pauses an account; guarded by the epoch. A longer pause that is known stays. Returns the pauses in a row.
///
/// # Errors
/// The database's.
pub async fn pause(
    client: &impl GenericClient,
    configuration_id: i32,
    epoch: i64,
    kind: Pause,
    length: Duration,
    message: &str,
) -> Result<Option<i32>, StoreError> {
    let sql = "-- account_pace::pause
        UPDATE wabridge.account_pace
        SET paused_until = greatest(paused_until, clock_timestamp() + $4::int8 * interval '1 ms'),
            pause_kind = CASE WHEN pause_kind = 'account_down' AND paused_until > clock_timestamp()
                              THEN pause_kind ELSE $3 END,
            pause_message = $5,
            -- A 429 doubles what is left of a slowdown, see domain::pace::slowdown.
            slow = CASE WHEN $3 <> 'rate_limited' OR paused_until > clock_timestamp() THEN slow
                        ELSE least(2 * greatest(1, slow / 2 ^ least(64, floor(extract(epoch FROM
                             clock_timestamp() - coalesce(slowed_at, clock_timestamp())) / 60))), $6) END,
            slowed_at = CASE WHEN $3 <> 'rate_limited' THEN slowed_at ELSE clock_timestamp() END,
            -- What comes back from calls that were under way when the pause began is the same pause.
            pauses = CASE WHEN paused_until > clock_timestamp() THEN greatest(pauses, 1) ELSE pauses + 1 END
        WHERE configuration_id = $1 AND epoch = $2
        RETURNING pauses";
    let row = client
        .query_opt(
            sql,
            &[
                /* configuration_id */ &configuration_id,
                /* epoch */ &epoch,
                /* kind */ &kind.as_str(),
                /* length_ms */ &i64::try_from(length.as_millis()).unwrap_or(i64::MAX),
                /* message */ &message,
                /* slowest */ &wabridge_domain::pace::SLOWEST,
            ],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// Counts failures in a row: `failures` after the last success, where there was one (`succeeded`), else more of
/// them. Returns how many there are now; None when the lease is lost.
///
/// # Errors
/// The database's.
pub async fn count_failures(
    client: &impl GenericClient,
    configuration_id: i32,
    epoch: i64,
    succeeded: bool,
    failures: i32,
) -> Result<Option<i32>, StoreError> {
    let sql = "-- account_pace::count_failures
        UPDATE wabridge.account_pace SET failures = CASE WHEN $3 THEN $4 ELSE failures + $4 END
        WHERE configuration_id = $1 AND epoch = $2
        RETURNING failures";
    let row = client
        .query_opt(
            sql,
            &[
                /* configuration_id */ &configuration_id,
                /* epoch */ &epoch,
                /* succeeded */ &succeeded,
                /* failures */ &failures,
            ],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// Why an account's messages wait, as Odoo shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub configuration_id: i32,
    /// `disconnected`, `paused`, `daily_limit`, `pace`, `file`, `retry`, `gap`, `window`; None where nothing waits longer
    /// than a moment.
    pub reason: Option<String>,
    /// Whole seconds.
    pub until: Option<Timestamp>,
    pub count: i32,
}

/// What waits at accounts (id, daily limit), where it is other than what Odoo shows and no other daemon has the
/// lease.
///
/// # Errors
/// The database's.
pub async fn waiting(
    client: &impl GenericClient,
    accounts: &[(i32, i32)],
    owner: Uuid,
) -> Result<Vec<Waiting>, StoreError> {
    let sql = "-- account_pace::waiting
        WITH counted AS MATERIALIZED (
            SELECT o.configuration_id, count(*) FILTER (WHERE o.position IS NOT NULL) AS due,
                   count(*) FILTER (WHERE o.parked IS NOT NULL) AS parked
            FROM wabridge.outbox o WHERE o.uncertain_since IS NULL GROUP BY o.configuration_id),
        now AS (
            SELECT a.id, coalesce(c.due, 0) + coalesce(c.parked, 0) AS count,
                   CASE WHEN coalesce(c.due, 0) > 0 THEN CASE
                       WHEN p.paused_until > now() AND p.pause_kind = 'account_down' THEN 'disconnected'
                       WHEN p.paused_until > now() THEN 'paused'
                       WHEN a.daily_limit > 0 AND p.day = (now() AT TIME ZONE 'UTC')::date
                            AND p.day_count >= a.daily_limit THEN 'daily_limit'
                       WHEN p.tat > now() THEN 'pace'
                       -- One that may go now, or is being sent, waits for nothing.
                       WHEN EXISTS (SELECT 1 FROM wabridge.lane l
                                    WHERE l.configuration_id = a.id AND l.ready_at <= now() OFFSET 0) THEN NULL
                       WHEN EXISTS (SELECT 1 FROM wabridge.media_at_provider f
                                    WHERE f.configuration_id = a.id AND f.state = 'waiting' OFFSET 0) THEN 'file'
                       WHEN EXISTS (SELECT 1 FROM wabridge.lane l
                                    WHERE l.configuration_id = a.id AND l.ready_at > now()
                                      AND l.failing_since IS NOT NULL OFFSET 0) THEN 'retry'
                       WHEN EXISTS (SELECT 1 FROM wabridge.lane l
                                    WHERE l.configuration_id = a.id AND l.ready_at > now() AND l.ready_at <= l.gap_until
                                    OFFSET 0) THEN 'gap' END
                   WHEN c.parked > 0 THEN 'window' END AS reason,
                   p.paused_until
            FROM unnest($1::int4[], $2::int4[]) AS a(id, daily_limit)
            LEFT JOIN counted c ON c.configuration_id = a.id
            LEFT JOIN wabridge.account_pace p ON p.configuration_id = a.id
            WHERE p.lease_until IS NULL OR p.lease_until < now() OR p.owner = $3),
        shown AS (
            SELECT n.id, n.reason, CASE WHEN n.reason IS NULL THEN 0 ELSE n.count END::int4 AS count,
                   CASE n.reason WHEN 'disconnected' THEN date_trunc('second', n.paused_until AT TIME ZONE 'UTC')
                        WHEN 'paused' THEN date_trunc('second', n.paused_until AT TIME ZONE 'UTC')
                        WHEN 'daily_limit' THEN date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day' END AS until
            FROM now n)
        SELECT s.id, s.reason, s.until AT TIME ZONE 'UTC', s.count FROM shown s
        LEFT JOIN public.whatsapp_account_state t ON t.configuration_id = s.id
        WHERE (t.waiting_reason, t.waiting_until, coalesce(t.waiting_count, 0))
              IS DISTINCT FROM (s.reason, s.until, s.count)";
    let (ids, limits): (Vec<i32>, Vec<i32>) = accounts.iter().copied().unzip();
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(&statement, &[/* accounts */ &ids, /* daily limits */ &limits, /* owner */ &owner])
        .await?;
    Ok(rows
        .iter()
        .map(|row| Waiting {
            configuration_id: row.get(0),
            reason: row.get(1),
            until: row.get(2),
            count: row.get(3),
        })
        .collect())
}

/// Pauses in a row before the one that is beginning now.
///
/// # Errors
/// The database's.
pub async fn pauses(client: &impl GenericClient, configuration_id: i32) -> Result<i32, StoreError> {
    let sql = "-- account_pace::pauses
        SELECT CASE WHEN paused_until > clock_timestamp() THEN greatest(pauses - 1, 0) ELSE pauses END
        FROM wabridge.account_pace WHERE configuration_id = $1";
    let row = client.query_opt(sql, &[/* configuration_id */ &configuration_id]).await?;
    Ok(row.map_or(0, |row| row.get(0)))
}

/// A send worked: the next pause is the first of its row again. A pause that runs is left alone.
///
/// # Errors
/// The database's.
pub async fn succeeded(
    client: &impl GenericClient,
    configuration_id: i32,
) -> Result<(), StoreError> {
    let sql = "-- account_pace::succeeded
        UPDATE wabridge.account_pace
        SET paused_until = NULL, pause_kind = NULL, pause_message = NULL, pauses = 0
        WHERE configuration_id = $1 AND (paused_until IS NULL OR paused_until <= clock_timestamp())";
    client.execute(sql, &[/* configuration_id */ &configuration_id]).await?;
    Ok(())
}

/// Ends a pause, whoever holds the lease; true when there was one.
///
/// # Errors
/// The database's.
pub async fn lift(client: &impl GenericClient, configuration_id: i32) -> Result<bool, StoreError> {
    let sql = "-- account_pace::lift
        UPDATE wabridge.account_pace
        SET paused_until = NULL, pause_kind = NULL, pause_message = NULL, pauses = 0, failures = 0
        WHERE configuration_id = $1 AND (pause_kind IS NOT NULL OR pauses > 0)";
    Ok(client.execute(sql, &[/* configuration_id */ &configuration_id]).await? == 1)
}
