//! `wabridge.journal` and `wabridge.journal_pending`: raw webhooks, and what of them is not applied yet.

use bytes::Bytes;
use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use crate::{StoreError, Tx};

/// Days for which partitions exist ahead of today.
const DAYS_AHEAD: i32 = 3;

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
        INSERT INTO wabridge.journal_pending (journal_id, event_no, received_at, configuration_id, state, reason,
               detail)
        SELECT DISTINCT ON (i.journal_id, i.event_no) i.journal_id, i.event_no, i.received_at,
               i.configuration_id, i.state, i.reason, i.detail
        FROM unnest($1::int8[], $2::int4[], $3::timestamptz[], $4::int4[], $5::text[], $6::text[], $7::text[])
             AS i(journal_id, event_no, received_at, configuration_id, state, reason, detail)
        ORDER BY i.journal_id, i.event_no
        ON CONFLICT (journal_id, event_no) DO UPDATE
        SET state = EXCLUDED.state, reason = EXCLUDED.reason, detail = EXCLUDED.detail";
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
        FROM taken t LEFT JOIN wabridge.journal j ON j.id = t.journal_id AND j.received_at = t.received_at
        ORDER BY t.journal_id, t.event_no";
    let statement = client.prepare_cached(sql).await?;
    let rows =
        client.query(&statement, &[/* limit */ &limit, /* lease_s */ &f64::from(lease_s)]).await?;
    Ok(rows
        .iter()
        .map(|row| Claimed {
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
        })
        .collect())
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

/// (waiting, quarantined, age of the oldest waiting one in seconds).
///
/// # Errors
/// The database's.
pub async fn backlog(client: &impl GenericClient) -> Result<(i64, i64, f64), StoreError> {
    let sql = "-- journal::backlog
        SELECT count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'quarantined'),
               coalesce(extract(epoch FROM now() - min(received_at) FILTER (WHERE state = 'pending')), 0)::float8
        FROM wabridge.journal_pending";
    let row = client.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1), row.get(2)))
}

/// Partitions whose day ended more than `days` days ago and of which nothing waits any more, and whether a
/// detachment of it was begun.
///
/// # Errors
/// The database's.
pub async fn expired_partitions(
    client: &impl GenericClient,
    days: i32,
) -> Result<Vec<(String, bool)>, StoreError> {
    let sql = "-- journal::expired_partitions
        SELECT c.relname::text, i.inhdetachpending
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
             LATERAL (SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day) d
        WHERE i.inhparent = 'wabridge.journal'::regclass AND c.relname ~ '^journal_[0-9]{8}$'
          AND d.day < (now() AT TIME ZONE 'UTC')::date - $1::int4
          AND NOT EXISTS (
              SELECT 1 FROM wabridge.journal_pending p
              WHERE p.state = 'pending' AND p.received_at >= (d.day::timestamp AT TIME ZONE 'UTC')
                AND p.received_at < ((d.day + 1)::timestamp AT TIME ZONE 'UTC'))
        ORDER BY 1";
    let rows = client.query(sql, &[/* days */ &days]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Detaches a partition without holding up inserts, drops it, and forgets what was quarantined of that day.
/// Runs outside a transaction.
///
/// # Errors
/// The database's; a detachment that was cut short is finished by the next call.
pub async fn drop_partition(
    client: &tokio_postgres::Client,
    name: &str,
    detach_begun: bool,
) -> Result<(), StoreError> {
    let how = if detach_begun { "FINALIZE" } else { "CONCURRENTLY" };
    let name = crate::grants::quote(name);
    // One statement each: DETACH CONCURRENTLY refuses to run inside a transaction, which a batch is.
    client.batch_execute("SET statement_timeout = 0").await?;
    let dropped = async {
        client
            .batch_execute(&format!(
                "ALTER TABLE wabridge.journal DETACH PARTITION wabridge.{name} {how}"
            ))
            .await?;
        let sql = format!(
            "-- journal::drop_partition
            DELETE FROM wabridge.journal_pending p USING wabridge.{name} j
            WHERE p.journal_id = j.id AND p.state = 'quarantined'"
        );
        client.execute(&sql, &[]).await?;
        client.batch_execute(&format!("DROP TABLE wabridge.{name}")).await
    }
    .await;
    client.batch_execute("RESET statement_timeout").await?;
    Ok(dropped?)
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
