//! `wabridge.attempt`: every call to a provider that sends.
//!
//! An attempt is stored before the first byte goes out. Its outcome is recorded once, by whoever comes first:
//! the daemon that made the call, or the one that took the lease after it.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::lane::Key;
use crate::{StoreError, Tx};

/// What an attempt came to; the word in `attempt.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    NotSent,
    NotAccepted,
    RateLimited,
    AccountDown,
    Refused,
    Uncertain,
}

impl Outcome {
    const ALL: [Outcome; 7] = [
        Self::Accepted,
        Self::NotSent,
        Self::NotAccepted,
        Self::RateLimited,
        Self::AccountDown,
        Self::Refused,
        Self::Uncertain,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NotSent => "not_sent",
            Self::NotAccepted => "not_accepted",
            Self::RateLimited => "rate_limited",
            Self::AccountDown => "account_down",
            Self::Refused => "refused",
            Self::Uncertain => "uncertain",
        }
    }

    fn parse(word: &str) -> Result<Self, StoreError> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
            .ok_or_else(|| StoreError::Other(format!("attempt.outcome holds {word:?}")))
    }
}

/// An attempt that begins now.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    pub outbox_id: i64,
    pub chat_key: &'a str,
    pub message_id: i32,
    pub number: i32,
    pub request_id: &'a str,
}

/// Stores "attempt n started" for each; returns the attempts' ids in the same order.
///
/// # Errors
/// The database's.
pub async fn start(
    tx: &Tx<'_>,
    configuration_id: i32,
    epoch: i64,
    owner: Uuid,
    starts: &[Start<'_>],
) -> Result<Vec<i64>, StoreError> {
    let sql = "-- attempt::start
        INSERT INTO wabridge.attempt (configuration_id, epoch, owner, outbox_id, chat_key, message_id, number, request_id, started_at)
        SELECT $1, $2, $3, s.outbox_id, s.chat_key, s.message_id, s.number, s.request_id, clock_timestamp()
        FROM unnest($4::int8[], $5::text[], $6::int4[], $7::int4[], $8::text[])
             AS s(outbox_id, chat_key, message_id, number, request_id)
        RETURNING id, outbox_id";
    let outbox: Vec<i64> = starts.iter().map(|s| s.outbox_id).collect();
    let chats: Vec<&str> = starts.iter().map(|s| s.chat_key).collect();
    let messages: Vec<i32> = starts.iter().map(|s| s.message_id).collect();
    let numbers: Vec<i32> = starts.iter().map(|s| s.number).collect();
    let requests: Vec<&str> = starts.iter().map(|s| s.request_id).collect();
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx
        .query(
            &statement,
            &[
                /* configuration_id */ &configuration_id,
                /* epoch */ &epoch,
                /* owner */ &owner,
                /* outbox */ &outbox,
                /* chats */ &chats,
                /* messages */ &messages,
                /* numbers */ &numbers,
                /* request ids */ &requests,
            ],
        )
        .await?;
    let by_outbox: std::collections::HashMap<i64, i64> =
        rows.iter().map(|row| (row.get(1), row.get(0))).collect();
    outbox
        .iter()
        .map(|id| {
            by_outbox
                .get(id)
                .copied()
                .ok_or_else(|| StoreError::Other("an attempt was not stored".into()))
        })
        .collect()
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    pub id: i64,
    pub configuration_id: i32,
    pub epoch: i64,
    pub outcome: Outcome,
    pub word: Option<String>,
    pub provider_message_id: Option<String>,
    pub error_kind: Option<String>,
    pub error_message: Option<String>,
    pub retry: Option<Duration>,
    pub latency: Duration,
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Records outcomes; returns the ids of those recorded. Left out are attempts of a lease that was lost: the
/// account's epoch has moved on, and whoever moved it has recorded them as uncertain.
///
/// # Errors
/// The database's.
pub async fn finish(tx: &Tx<'_>, finishes: &[Finish]) -> Result<Vec<i64>, StoreError> {
    let sql = "-- attempt::finish
        UPDATE wabridge.attempt t
        -- An echo or a status may have told the id before the answer, see apply::reference.
        SET outcome = f.outcome, word = f.word,
            provider_message_id = coalesce(f.provider_message_id, t.provider_message_id),
            error_kind = f.error_kind, error_message = f.error_message, retry_ms = f.retry_ms,
            latency_ms = f.latency_ms,
            finished_at = CASE WHEN f.outcome <> 'uncertain' THEN clock_timestamp() END
        FROM unnest($1::int8[], $2::int4[], $3::int8[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                    $9::int8[], $10::float8[])
             AS f(id, configuration_id, epoch, outcome, word, provider_message_id, error_kind, error_message,
                  retry_ms, latency_ms)
        JOIN wabridge.account_pace p ON p.configuration_id = f.configuration_id AND p.epoch = f.epoch
        WHERE t.id = f.id AND t.epoch = f.epoch AND t.outcome IS NULL
        RETURNING t.id";
    finish_with(tx, sql, finishes).await
}

/// Keeps what a provider said after the lease was lost, where it took the message: the settle worker uses it.
///
/// # Errors
/// The database's.
pub async fn note_late(tx: &Tx<'_>, finishes: &[Finish]) -> Result<Vec<i64>, StoreError> {
    let sql = "-- attempt::note_late
        UPDATE wabridge.attempt t
        SET word = f.word, provider_message_id = coalesce(f.provider_message_id, t.provider_message_id),
            latency_ms = f.latency_ms
        FROM unnest($1::int8[], $2::int4[], $3::int8[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                    $9::int8[], $10::float8[])
             AS f(id, configuration_id, epoch, outcome, word, provider_message_id, error_kind, error_message,
                  retry_ms, latency_ms)
        WHERE t.id = f.id AND t.outcome = 'uncertain' AND t.finished_at IS NULL AND f.outcome = 'accepted'
        RETURNING t.id";
    finish_with(tx, sql, finishes).await
}

async fn finish_with(tx: &Tx<'_>, sql: &str, finishes: &[Finish]) -> Result<Vec<i64>, StoreError> {
    // Rows are locked in key order.
    let mut sorted: Vec<&Finish> = finishes.iter().collect();
    sorted.sort_by_key(|f| f.id);
    let ids: Vec<i64> = sorted.iter().map(|f| f.id).collect();
    let accounts: Vec<i32> = sorted.iter().map(|f| f.configuration_id).collect();
    let epochs: Vec<i64> = sorted.iter().map(|f| f.epoch).collect();
    let outcomes: Vec<&str> = sorted.iter().map(|f| f.outcome.as_str()).collect();
    let words: Vec<Option<&str>> = sorted.iter().map(|f| f.word.as_deref()).collect();
    let provider_ids: Vec<Option<&str>> =
        sorted.iter().map(|f| f.provider_message_id.as_deref()).collect();
    let kinds: Vec<Option<&str>> = sorted.iter().map(|f| f.error_kind.as_deref()).collect();
    let messages: Vec<Option<&str>> = sorted.iter().map(|f| f.error_message.as_deref()).collect();
    let retries: Vec<Option<i64>> = sorted.iter().map(|f| f.retry.map(ms)).collect();
    let latencies: Vec<f64> = sorted.iter().map(|f| f.latency.as_secs_f64() * 1000.0).collect();
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx
        .query(
            &statement,
            &[
                /* ids */ &ids,
                /* accounts */ &accounts,
                /* epochs */ &epochs,
                /* outcomes */ &outcomes,
                /* words */ &words,
                /* provider ids */ &provider_ids,
                /* kinds */ &kinds,
                /* messages */ &messages,
                /* retries */ &retries,
                /* latencies */ &latencies,
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Attempts of former leases that have no outcome become uncertain: the daemon that made the call is gone or
/// lost its lease. Returns their number.
///
/// # Errors
/// The database's.
pub async fn abandon(tx: &Tx<'_>, configuration_id: i32, epoch: i64) -> Result<u64, StoreError> {
    let sql = "-- attempt::abandon
        UPDATE wabridge.attempt
        SET outcome = 'uncertain', error_kind = 'provider_timeout',
            error_message = 'the daemon ended before the answer was recorded'
        WHERE configuration_id = $1 AND epoch < $2 AND finished_at IS NULL AND outcome IS NULL";
    Ok(tx.execute(sql, &[/* configuration_id */ &configuration_id, /* epoch */ &epoch]).await?)
}

/// A recorded outcome that does not stand in Odoo's row yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unapplied {
    pub id: i64,
    pub key: Key,
    pub message_id: i32,
    pub outbox_id: i64,
    pub uid: Option<i32>,
    pub number: i32,
    pub outcome: Outcome,
    pub word: Option<String>,
    pub provider_message_id: Option<String>,
    pub error_kind: Option<String>,
    pub error_message: Option<String>,
    pub retry: Option<Duration>,
    pub latency: Duration,
    pub request_id: String,
}

/// Outcomes of accounts leased under `leases` (account, epoch) that are to be applied, oldest first.
///
/// # Errors
/// The database's.
pub async fn unapplied(
    tx: &Tx<'_>,
    leases: &[(i32, i64)],
    limit: i64,
) -> Result<Vec<Unapplied>, StoreError> {
    let sql = "-- attempt::unapplied
        SELECT t.id, t.configuration_id, t.chat_key, t.message_id, t.outbox_id, o.uid, t.number, t.outcome, t.word,
               t.provider_message_id, t.error_kind, t.error_message, t.retry_ms, t.latency_ms, t.request_id
        FROM unnest($1::int4[], $2::int8[]) AS l(configuration_id, epoch)
        JOIN wabridge.account_pace p ON p.configuration_id = l.configuration_id AND p.epoch = l.epoch
        JOIN wabridge.attempt t ON t.configuration_id = l.configuration_id
        LEFT JOIN wabridge.outbox o ON o.id = t.outbox_id
        WHERE t.applied_at IS NULL AND t.outcome IS NOT NULL
        ORDER BY t.id LIMIT $3";
    let (accounts, epochs): (Vec<i32>, Vec<i64>) = leases.iter().copied().unzip();
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx
        .query(&statement, &[/* accounts */ &accounts, /* epochs */ &epochs, /* limit */ &limit])
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &tokio_postgres::Row) -> Result<Unapplied, StoreError> {
    let duration =
        |ms: Option<i64>| ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default()));
    Ok(Unapplied {
        id: row.get(0),
        key: Key { configuration_id: row.get(1), chat_key: row.get(2) },
        message_id: row.get(3),
        outbox_id: row.get(4),
        uid: row.get(5),
        number: row.get(6),
        outcome: Outcome::parse(row.get(7))?,
        word: row.get(8),
        provider_message_id: row.get(9),
        error_kind: row.get(10),
        error_message: row.get(11),
        retry: duration(row.get(12)),
        latency: Duration::from_secs_f64(
            row.get::<_, Option<f64>>(13).unwrap_or_default().max(0.0) / 1000.0,
        ),
        request_id: row.get(14),
    })
}

/// Says that these outcomes stand in Odoo's rows, or that there is no row left to take them.
///
/// # Errors
/// The database's.
pub async fn mark_applied(tx: &Tx<'_>, ids: &[i64]) -> Result<(), StoreError> {
    let sql = "-- attempt::mark_applied
        UPDATE wabridge.attempt SET applied_at = clock_timestamp() WHERE id = ANY($1)";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[/* ids */ &ids]).await?;
    Ok(())
}

/// Ends an uncertain attempt: settled with the provider's id, or given up with None.
///
/// # Errors
/// The database's.
pub async fn settle(
    tx: &Tx<'_>,
    id: i64,
    provider_message_id: Option<&str>,
) -> Result<bool, StoreError> {
    let sql = "-- attempt::settle
        UPDATE wabridge.attempt
        SET finished_at = clock_timestamp(), provider_message_id = coalesce($2, provider_message_id)
        WHERE id = $1 AND outcome = 'uncertain' AND finished_at IS NULL";
    let done = tx.execute(sql, &[/* id */ &id, /* provider id */ &provider_message_id]).await?;
    Ok(done == 1)
}

/// A call that is under way or being settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub id: i64,
    pub message_id: i32,
    pub started_at: Timestamp,
    pub uncertain: bool,
}

/// The open attempts of a chat: while there are any, echoes of API sends there are parked.
///
/// # Errors
/// The database's.
pub async fn open_in(
    client: &impl deadpool_postgres::GenericClient,
    key: &Key,
) -> Result<Vec<Open>, StoreError> {
    let sql = "-- attempt::open_in
        SELECT id, message_id, started_at, outcome IS NOT NULL FROM wabridge.attempt
        WHERE configuration_id = $1 AND chat_key = $2 AND finished_at IS NULL ORDER BY id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[/* configuration_id */ &key.configuration_id, /* chat_key */ &key.chat_key],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Open {
            id: row.get(0),
            message_id: row.get(1),
            started_at: row.get(2),
            uncertain: row.get(3),
        })
        .collect())
}

/// Deletes finished attempts older than `days`.
///
/// # Errors
/// The database's.
pub async fn collect(tx: &Tx<'_>, days: u32) -> Result<u64, StoreError> {
    let sql = "-- attempt::collect
        DELETE FROM wabridge.attempt WHERE id IN (
            SELECT id FROM wabridge.attempt
            WHERE finished_at < now() - $1::int8 * interval '1 day' AND applied_at IS NOT NULL
            ORDER BY finished_at LIMIT 5000)";
    Ok(tx.execute(sql, &[/* days */ &i64::from(days)]).await?)
}
