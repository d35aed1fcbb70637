//! `wabridge.journal` and `wabridge.journal_pending`: raw webhooks, and what of them is not applied yet.
//! `wabridge.journal_kept` holds those of past days that still have a row in `journal_pending`.

mod look;
mod retention;

use bytes::Bytes;
use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use crate::StoreError;

pub use look::{Filter, Line, Open, Shown, State, find, list, selected, show};
pub use retention::{
    Expired, Stage, drop_partition, ensure_partitions, expired_partitions, forget_kept,
};

/// One authentic webhook as it came in.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub provider: &'static str,
    /// The account that the sender authenticated as.
    pub configuration_id: i32,
    pub verified_by: String,
    pub method: String,
    pub sub_path: String,
    /// The allowed ones, as one JSON object.
    pub headers: serde_json::Value,
    pub body: Bytes,
    pub address: Option<String>,
    pub request_id: String,
}

/// Where a receipt stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub id: i64,
    pub received_at: Timestamp,
}

/// Stands for the whole body in `journal_pending.event_no`.
pub const WHOLE_BODY: i32 = -1;

/// Why something of a webhook is not in Odoo's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It will be, when the sweeper comes to it.
    Waiting,
    Unreadable,
    UnknownChannel,
    BrokenEvent,
    RefusedByDatabase,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Unreadable => "unreadable",
            Self::UnknownChannel => "unknown_channel",
            Self::BrokenEvent => "broken_event",
            Self::RefusedByDatabase => "refused_by_database",
        }
    }

    /// The word in `journal_pending.state`.
    fn state(self) -> &'static str {
        match self {
            Self::Waiting => "pending",
            _ => "quarantined",
        }
    }
}

/// One row of `journal_pending`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub entry: Entry,
    /// The event's place in the body, or [`WHOLE_BODY`].
    pub event_no: i32,
    pub configuration_id: i32,
    pub reason: Reason,
    /// For people; without content of the body.
    pub detail: Option<String>,
}

/// Stores receipts and returns where each stands, in the same order.
///
/// # Errors
/// The database's.
pub async fn insert(
    client: &impl GenericClient,
    receipts: &[&Receipt],
) -> Result<Vec<Entry>, StoreError> {
    let sql = "-- journal::insert
        INSERT INTO wabridge.journal (provider, configuration_id, verified_by, method, sub_path, headers, body,
               address, request_id)
        SELECT i.provider, i.configuration_id, i.verified_by, i.method, i.sub_path, i.headers, i.body, i.address,
               i.request_id
        FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::bytea[],
                    $8::text[], $9::text[])
             WITH ORDINALITY AS i(provider, configuration_id, verified_by, method, sub_path, headers, body,
                    address, request_id, no)
        ORDER BY i.no
        RETURNING id, received_at";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* provider */ &each(receipts, |r| r.provider),
                /* configuration_id */ &each(receipts, |r| r.configuration_id),
                /* verified_by */ &each(receipts, |r| r.verified_by.as_str()),
                /* method */ &each(receipts, |r| r.method.as_str()),
                /* sub_path */ &each(receipts, |r| r.sub_path.as_str()),
                /* headers */ &each(receipts, |r| &r.headers),
                /* body */ &each(receipts, |r| r.body.as_ref()),
                /* address */ &each(receipts, |r| r.address.as_deref()),
                /* request_id */ &each(receipts, |r| r.request_id.as_str()),
            ],
        )
        .await?;
    if rows.len() != receipts.len() {
        return Err(StoreError::Other(format!(
            "the journal took {} of {} webhooks",
            rows.len(),
            receipts.len()
        )));
    }
    let mut entries: Vec<Entry> =
        rows.iter().map(|row| Entry { id: row.get(0), received_at: row.get(1) }).collect();
    // Ids were drawn in the order of the receipts, whatever order the rows come back in.
    entries.sort_unstable_by_key(|entry| entry.id);
    Ok(entries)
}

fn each<'a, S, T>(of: &'a [S], get: impl Fn(&'a S) -> T) -> Vec<T> {
    of.iter().map(get).collect()
}

/// Notes what is not applied; what stands there already gets the new state and reason.
///
/// # Errors
/// The database's.
pub async fn pend(client: &impl GenericClient, rows: &[Pending]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "-- journal::pend
        INSERT INTO wabridge.journal_pending AS p (journal_id, event_no, received_at, configuration_id, state,
               reason, detail, attempts)
        SELECT DISTINCT ON (i.journal_id, i.event_no) i.journal_id, i.event_no, i.received_at,
               i.configuration_id, i.state, i.reason, i.detail,
               coalesce((SELECT w.attempts FROM wabridge.journal_pending w
                         WHERE w.journal_id = i.journal_id AND w.event_no = -1), 0)
        FROM unnest($1::int8[], $2::int4[], $3::timestamptz[], $4::int4[], $5::text[], $6::text[], $7::text[])
             AS i(journal_id, event_no, received_at, configuration_id, state, reason, detail)
        ORDER BY i.journal_id, i.event_no
        ON CONFLICT (journal_id, event_no) DO UPDATE
        SET state = EXCLUDED.state, reason = EXCLUDED.reason, detail = EXCLUDED.detail,
            attempts = greatest(p.attempts, EXCLUDED.attempts)";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* journal_id */ &each(rows, |r| r.entry.id),
                /* event_no */ &each(rows, |r| r.event_no),
                /* received_at */ &each(rows, |r| r.entry.received_at),
                /* configuration_id */ &each(rows, |r| r.configuration_id),
                /* state */ &each(rows, |r| r.reason.state()),
                /* reason */ &each(rows, |r| r.reason.as_str()),
                /* detail */ &each(rows, |r| r.detail.as_deref()),
            ],
        )
        .await?;
    Ok(())
}

/// A webhook that the sweeper took, with its bytes.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub entry: Entry,
    pub event_no: i32,
    pub attempts: i32,
    /// None when the journal has lost it.
    pub receipt: Option<Stored>,
    pub configuration_id: i32,
}

/// What of a receipt is needed to read it again.
#[derive(Debug, Clone)]
pub struct Stored {
    pub provider: String,
    pub method: String,
    pub sub_path: String,
    pub body: Vec<u8>,
}

/// Takes due rows for `lease_s` seconds, oldest first; what is not finished by then is due again.
///
/// # Errors
/// The database's.
pub async fn claim(
    client: &impl GenericClient,
    limit: i64,
    lease_s: i32,
) -> Result<Vec<Claimed>, StoreError> {
    let sql = "-- journal::claim
        WITH due AS MATERIALIZED (
            SELECT p.journal_id, p.event_no FROM wabridge.journal_pending p
            WHERE p.state = 'pending' AND p.next_at <= now()
            ORDER BY p.next_at, p.journal_id, p.event_no LIMIT $1 FOR UPDATE SKIP LOCKED),
        taken AS (
            UPDATE wabridge.journal_pending p
            SET attempts = p.attempts + 1, next_at = now() + make_interval(secs => $2)
            FROM due WHERE p.journal_id = due.journal_id AND p.event_no = due.event_no
            RETURNING p.journal_id, p.received_at, p.event_no, p.attempts, p.configuration_id)
        SELECT t.journal_id, t.received_at, t.event_no, t.attempts, t.configuration_id,
               j.provider, j.method, j.sub_path, j.body
        FROM taken t LEFT JOIN LATERAL (
            SELECT i.provider, i.method, i.sub_path, i.body FROM wabridge.journal i
            WHERE i.id = t.journal_id AND i.received_at = t.received_at
            UNION ALL
            SELECT k.provider, k.method, k.sub_path, k.body FROM wabridge.journal_kept k WHERE k.id = t.journal_id
            LIMIT 1) j ON true
        ORDER BY t.journal_id, t.event_no";
    let statement = client.prepare_cached(sql).await?;
    let rows =
        client.query(&statement, &[/* limit */ &limit, /* lease_s */ &f64::from(lease_s)]).await?;
    Ok(rows.iter().map(claimed).collect())
}

fn claimed(row: &tokio_postgres::Row) -> Claimed {
    Claimed {
        entry: Entry { id: row.get(0), received_at: row.get(1) },
        event_no: row.get(2),
        attempts: row.get(3),
        configuration_id: row.get(4),
        receipt: row.get::<_, Option<String>>(5).map(|provider| Stored {
            provider,
            method: row.get(6),
            sub_path: row.get(7),
            body: row.get(8),
        }),
    }
}

/// Takes webhooks for `lease_s` seconds to be read and applied anew, whole, whatever became of them before. What
/// was in quarantine of them is pending again: should this process end, the sweeper goes on. Whole, because a
/// better parser may find other places for their events. Ids that the journal does not hold are left out.
///
/// # Errors
/// The database's.
pub async fn reopen(
    client: &impl GenericClient,
    ids: &[i64],
    lease_s: i32,
) -> Result<Vec<Claimed>, StoreError> {
    let sql = "-- journal::reopen
        WITH wanted AS MATERIALIZED (SELECT DISTINCT i.id FROM unnest($1::int8[]) AS i(id)),
        found AS MATERIALIZED (
            SELECT j.id, j.received_at, j.configuration_id, j.provider, j.method, j.sub_path, j.body,
                   coalesce((SELECT max(p.attempts) FROM wabridge.journal_pending p WHERE p.journal_id = j.id), 0)
                       AS attempts
            FROM wanted w CROSS JOIN LATERAL (
                SELECT i.id, i.received_at, i.configuration_id, i.provider, i.method, i.sub_path, i.body
                FROM wabridge.journal i WHERE i.id = w.id
                UNION ALL
                SELECT k.id, k.received_at, k.configuration_id, k.provider, k.method, k.sub_path, k.body
                FROM wabridge.journal_kept k WHERE k.id = w.id
                LIMIT 1) j),
        parts AS (
            DELETE FROM wabridge.journal_pending p USING found f WHERE p.journal_id = f.id AND p.event_no <> -1),
        taken AS (
            INSERT INTO wabridge.journal_pending AS p (journal_id, event_no, received_at, configuration_id, state,
                   reason, attempts, next_at)
            SELECT f.id, -1, f.received_at, f.configuration_id, 'pending', 'waiting', f.attempts + 1,
                   now() + make_interval(secs => $2)
            FROM found f ORDER BY f.id
            ON CONFLICT (journal_id, event_no) DO UPDATE
            SET state = 'pending', reason = 'waiting', detail = NULL, attempts = EXCLUDED.attempts,
                next_at = EXCLUDED.next_at
            RETURNING p.journal_id, p.attempts)
        SELECT f.id, f.received_at, -1, t.attempts, f.configuration_id, f.provider, f.method, f.sub_path, f.body
        FROM found f JOIN taken t ON t.journal_id = f.id
        ORDER BY f.id";
    let statement = client.prepare_cached(sql).await?;
    let rows =
        client.query(&statement, &[/* ids */ &ids, /* lease_s */ &f64::from(lease_s)]).await?;
    Ok(rows.iter().map(claimed).collect())
}

/// Removes rows whose events are applied or have rows of their own.
///
/// # Errors
/// The database's.
pub async fn finish(client: &impl GenericClient, rows: &[(i64, i32)]) -> Result<(), StoreError> {
    let sql = "-- journal::finish
        DELETE FROM wabridge.journal_pending p
        USING unnest($1::int8[], $2::int4[]) AS i(journal_id, event_no)
        WHERE p.journal_id = i.journal_id AND p.event_no = i.event_no AND p.state = 'pending'";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* journal_id */ &each(rows, |(id, _)| *id),
                /* event_no */ &each(rows, |(_, no)| *no),
            ],
        )
        .await?;
    Ok(())
}

/// Makes rows due again after `after_ms`.
///
/// # Errors
/// The database's.
pub async fn release(
    client: &impl GenericClient,
    rows: &[(i64, i32)],
    after_ms: i64,
) -> Result<(), StoreError> {
    let sql = "-- journal::release
        UPDATE wabridge.journal_pending p SET next_at = now() + $3::int8 * interval '1 ms'
        FROM unnest($1::int8[], $2::int4[]) AS i(journal_id, event_no)
        WHERE p.journal_id = i.journal_id AND p.event_no = i.event_no AND p.state = 'pending'";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* journal_id */ &each(rows, |(id, _)| *id),
                /* event_no */ &each(rows, |(_, no)| *no),
                /* after_ms */ &after_ms,
            ],
        )
        .await?;
    Ok(())
}
