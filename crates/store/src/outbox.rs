//! `wabridge.outbox`: unfinished sends.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::lane::{self, Key};
use crate::{StoreError, Tx};

/// A send that was accepted and is to be stored.
#[derive(Debug, Clone)]
pub struct New<'a> {
    pub key: &'a Key,
    /// The `whatsapp_message` row.
    pub message_id: i32,
    pub uid: i32,
    /// [`wabridge_domain::content::Content`].
    pub request: &'a Value,
    pub not_before: Option<Timestamp>,
    /// Account setting: cancelling works until then.
    pub undo: Duration,
    pub request_id: Option<&'a str>,
}

/// Inserts sends at the ends of their lanes, whose locks the caller holds, in their order, and says in the lanes that
/// something waits there. Sends for later wait for their time.
///
/// # Errors
/// The database's.
pub async fn insert(tx: &Tx<'_>, news: &[New<'_>]) -> Result<(), StoreError> {
    let sql = "-- outbox::insert
        WITH new AS (
        INSERT INTO wabridge.outbox (configuration_id, chat_key, message_id, uid, request, not_before, position, request_id)
        SELECT n.configuration_id, n.chat_key, n.message_id, n.uid, n.request, n.at,
               CASE WHEN n.at IS NULL OR n.at <= now() THEN nextval('wabridge.outbox_position_seq') END, n.request_id
        FROM (SELECT u.*, greatest(u.not_before, CASE WHEN u.undo_s > 0 THEN now() + u.undo_s * interval '1 s' END) AS at
              FROM unnest($1::int4[], $2::text[], $3::int4[], $4::int4[], $5::jsonb[], $6::timestamptz[], $7::int8[],
                          $8::text[]) WITH ORDINALITY
                   AS u(configuration_id, chat_key, message_id, uid, request, not_before, undo_s, request_id, no)
              ORDER BY u.no) n
        RETURNING configuration_id, chat_key, position IS NOT NULL AS due)
        UPDATE wabridge.lane l SET ready_at = greatest(clock_timestamp(), l.gap_until)
        FROM (SELECT DISTINCT configuration_id, chat_key FROM new WHERE due) k
        WHERE l.configuration_id = k.configuration_id AND l.chat_key = k.chat_key AND l.ready_at IS NULL";
    let (accounts, chats) = lane::columns(news.iter().map(|new| new.key));
    let messages: Vec<i32> = news.iter().map(|new| new.message_id).collect();
    let uids: Vec<i32> = news.iter().map(|new| new.uid).collect();
    let requests: Vec<&Value> = news.iter().map(|new| new.request).collect();
    let times: Vec<Option<Timestamp>> = news.iter().map(|new| new.not_before).collect();
    let undo: Vec<i64> =
        news.iter().map(|new| i64::try_from(new.undo.as_secs()).unwrap_or(i64::MAX)).collect();
    let request_ids: Vec<Option<&str>> = news.iter().map(|new| new.request_id).collect();
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[
            /* configuration_id */ &accounts,
            /* chat_key */ &chats,
            /* message_id */ &messages,
            /* uid */ &uids,
            /* request */ &requests,
            /* not_before */ &times,
            /* undo_s */ &undo,
            /* request_id */ &request_ids,
        ],
    )
    .await?;
    Ok(())
}

/// Puts the sends of an account whose time has come at the end of their lanes; true when there were any.
///
/// # Errors
/// The database's.
pub async fn enter_due(tx: &Tx<'_>, configuration_id: i32) -> Result<bool, StoreError> {
    let sql = "-- outbox::due_lanes
        SELECT DISTINCT chat_key FROM (
            SELECT chat_key FROM wabridge.outbox
            WHERE configuration_id = $1 AND position IS NULL AND not_before <= now()
            ORDER BY not_before LIMIT 500) due
        ORDER BY chat_key";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[/* configuration_id */ &configuration_id]).await?;
    if rows.is_empty() {
        return Ok(false);
    }
    let keys: Vec<Key> =
        rows.iter().map(|row| Key::new(configuration_id, row.get::<_, String>(0))).collect();
    lane::lock_all(tx, &keys).await?;
    let chats: Vec<&str> = keys.iter().map(|key| key.chat_key.as_str()).collect();
    let sql = "-- outbox::enter_due
        UPDATE wabridge.outbox o SET position = due.position
        FROM (SELECT id, nextval('wabridge.outbox_position_seq') AS position
              FROM (SELECT id FROM wabridge.outbox
                    WHERE configuration_id = $1 AND chat_key = ANY($2) AND position IS NULL AND not_before <= now()
                    ORDER BY not_before, id) ordered) due
        WHERE o.id = due.id";
    tx.execute(sql, &[/* configuration_id */ &configuration_id, /* chats */ &chats]).await?;
    lane::open(tx, &keys).await?;
    Ok(true)
}

/// The next send of a lane, with what Odoo's row says at this moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    pub id: i64,
    pub chat_key: String,
    pub message_id: i32,
    pub uid: i32,
    pub request: Value,
    pub attempts: i32,
    /// Calls of series before a retry.
    pub former_attempts: i32,
    pub request_id: Option<String>,
    /// `whatsapp_message.status`; None where the row is gone.
    pub status: Option<String>,
    /// The provider's id of the message that is quoted, once it has one.
    pub quoted_id: Option<String>,
}

/// The heads of lanes that the caller has locked. Must be a later statement than the one that locked them.
///
/// # Errors
/// The database's.
pub async fn heads(
    tx: &Tx<'_>,
    configuration_id: i32,
    chats: &[String],
) -> Result<Vec<Head>, StoreError> {
    let sql = "-- outbox::heads
        SELECT h.id, k.chat_key, h.message_id, h.uid, h.request, h.attempts, h.request_id, m.status, q.message_id, h.former_attempts
        FROM unnest($2::text[]) WITH ORDINALITY AS k(chat_key, n)
        CROSS JOIN LATERAL (
            SELECT o.id, o.message_id, o.uid, o.request, o.attempts, o.request_id, o.former_attempts
            FROM wabridge.outbox o
            WHERE o.configuration_id = $1 AND o.chat_key = k.chat_key
              AND o.position IS NOT NULL AND o.uncertain_since IS NULL
            ORDER BY o.position LIMIT 1) h
        LEFT JOIN public.whatsapp_message m ON m.id = h.message_id
        LEFT JOIN public.whatsapp_message q ON q.id = m.reply_to_id AND q.configuration_id = $1
        ORDER BY k.n";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx
        .query(&statement, &[/* configuration_id */ &configuration_id, /* chats */ &chats])
        .await?;
    Ok(rows
        .iter()
        .map(|row| Head {
            id: row.get(0),
            chat_key: row.get(1),
            message_id: row.get(2),
            uid: row.get(3),
            request: row.get(4),
            attempts: row.get(5),
            request_id: row.get(6),
            status: row.get::<_, Option<String>>(7),
            quoted_id: row.get(8),
            former_attempts: row.get(9),
        })
        .collect())
}

/// Those of the lanes in which something waits beside the rows `but`. Must be a later statement than the one
/// that locked them.
///
/// # Errors
/// The database's.
pub async fn lanes_with_jobs(
    tx: &Tx<'_>,
    keys: &[Key],
    but: &[i64],
) -> Result<Vec<Key>, StoreError> {
    let sql = "-- outbox::lanes_with_jobs
        SELECT k.configuration_id, k.chat_key
        FROM unnest($1::int4[], $2::text[]) AS k(configuration_id, chat_key)
        WHERE EXISTS (SELECT 1 FROM wabridge.outbox o
                      WHERE o.configuration_id = k.configuration_id AND o.chat_key = k.chat_key
                        AND o.position IS NOT NULL AND o.uncertain_since IS NULL AND o.id <> ALL ($3))";
    let (accounts, chats) = lane::columns(keys);
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx
        .query(&statement, &[/* accounts */ &accounts, /* chats */ &chats, /* but */ &but])
        .await?;
    Ok(rows.iter().map(|row| Key { configuration_id: row.get(0), chat_key: row.get(1) }).collect())
}

/// Deletes finished sends.
///
/// # Errors
/// The database's.
pub async fn delete(tx: &Tx<'_>, ids: &[i64]) -> Result<u64, StoreError> {
    let sql = "-- outbox::delete
        DELETE FROM wabridge.outbox WHERE id = ANY($1)";
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.execute(&statement, &[/* ids */ &ids]).await?)
}

/// Counts an attempt that is to be followed by another.
///
/// # Errors
/// The database's.
pub async fn count_attempt(tx: &Tx<'_>, ids: &[i64]) -> Result<(), StoreError> {
    let sql = "-- outbox::count_attempt
        UPDATE wabridge.outbox SET attempts = attempts + 1 WHERE id = ANY($1)";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[/* ids */ &ids]).await?;
    Ok(())
}

/// Marks sends whose call may have taken effect.
///
/// # Errors
/// The database's.
pub async fn mark_uncertain(tx: &Tx<'_>, ids: &[i64]) -> Result<(), StoreError> {
    let sql = "-- outbox::mark_uncertain
        UPDATE wabridge.outbox SET uncertain_since = clock_timestamp(), attempts = attempts + 1
        WHERE id = ANY($1) AND uncertain_since IS NULL";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[/* ids */ &ids]).await?;
    Ok(())
}

/// Puts a send that was uncertain back into its lane, by policy.
///
/// # Errors
/// The database's.
pub async fn resend(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    let sql = "-- outbox::resend
        UPDATE wabridge.outbox SET uncertain_since = NULL WHERE id = $1";
    tx.execute(sql, &[/* id */ &id]).await?;
    Ok(())
}

/// A message that waits to be sent or to be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub id: i64,
    pub key: Key,
    /// Calls of this series that cost an attempt.
    pub attempts: i32,
    /// Its call may have taken effect, and this is being settled.
    pub uncertain: bool,
    /// A call is under way, or its outcome is not in Odoo's row yet.
    pub under_way: bool,
    /// The call that is being settled.
    pub open_attempt: Option<i64>,
}

/// Where a message stands in the outbox; None when it is not there. Decide by what is read after the lane was
/// locked.
///
/// # Errors
/// The database's.
pub async fn standing(tx: &Tx<'_>, message_id: i32) -> Result<Option<Standing>, StoreError> {
    let sql = "-- outbox::standing
        SELECT o.id, o.configuration_id, o.chat_key, o.attempts, o.uncertain_since IS NOT NULL,
               EXISTS (SELECT 1 FROM wabridge.attempt t WHERE t.message_id = o.message_id AND t.outbox_id = o.id
                       AND (t.outcome IS NULL OR t.applied_at IS NULL)),
               (SELECT max(t.id) FROM wabridge.attempt t WHERE t.message_id = o.message_id AND t.outbox_id = o.id
                AND t.outcome = 'uncertain' AND t.finished_at IS NULL)
        FROM wabridge.outbox o WHERE o.message_id = $1";
    let row = tx.query_opt(sql, &[/* message_id */ &message_id]).await?;
    Ok(row.map(|row| Standing {
        id: row.get(0),
        key: Key { configuration_id: row.get(1), chat_key: row.get(2) },
        attempts: row.get(3),
        uncertain: row.get(4),
        under_way: row.get(5),
        open_attempt: row.get(6),
    }))
}

/// Puts a send that was uncertain to the end of its lane, because a person wants it sent again. The caller holds
/// the lane and has ended the open attempt.
///
/// # Errors
/// The database's.
pub async fn requeue(tx: &Tx<'_>, id: i64, uid: i32, request_id: &str) -> Result<(), StoreError> {
    let sql = "-- outbox::requeue
        UPDATE wabridge.outbox
        SET uncertain_since = NULL, attempts = 0, not_before = NULL, uid = $2, request_id = $3,
            position = nextval('wabridge.outbox_position_seq')
        WHERE id = $1";
    tx.execute(sql, &[/* id */ &id, /* uid */ &uid, /* request_id */ &request_id]).await?;
    Ok(())
}

/// Begins a new series of attempts of a message that is in the outbox: what was called before belongs to former
/// ones from now on.
///
/// # Errors
/// The database's.
pub async fn begin_series(tx: &Tx<'_>, message_id: i32) -> Result<(), StoreError> {
    let sql = "-- outbox::begin_series
        WITH series AS (
            INSERT INTO wabridge.retried AS r (message_id, attempts)
            SELECT $1, coalesce(max(t.number), 0) FROM wabridge.attempt t WHERE t.message_id = $1
            ON CONFLICT (message_id) DO UPDATE SET attempts = greatest(r.attempts, excluded.attempts)
            RETURNING r.attempts)
        UPDATE wabridge.outbox o SET former_attempts = s.attempts FROM series s WHERE o.message_id = $1";
    tx.execute(sql, &[/* message_id */ &message_id]).await?;
    Ok(())
}

/// Of attempts, named by message and number, those of former series.
///
/// # Errors
/// The database's.
pub async fn of_former_series(
    tx: &Tx<'_>,
    attempts: &[(i32, i32)],
) -> Result<Vec<(i32, i32)>, StoreError> {
    let sql = "-- outbox::of_former_series
        SELECT a.message_id, a.number FROM unnest($1::int4[], $2::int4[]) AS a(message_id, number)
        JOIN wabridge.retried r ON r.message_id = a.message_id AND a.number <= r.attempts";
    let (messages, numbers): (Vec<i32>, Vec<i32>) = attempts.iter().copied().unzip();
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[/* messages */ &messages, /* numbers */ &numbers]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A send whose outcome is being settled.
#[derive(Debug, Clone, PartialEq)]
pub struct Uncertain {
    pub id: i64,
    pub key: Key,
    pub message_id: i32,
    pub uid: i32,
    pub request: Value,
    pub for_how_long: Duration,
    /// Its open attempt, when that started, and what a late answer said.
    pub attempt_id: i64,
    pub started_at: Timestamp,
    pub provider_message_id: Option<String>,
    pub word: Option<String>,
}

/// All that is being settled, oldest first.
///
/// # Errors
/// The database's.
pub async fn uncertain(tx: &Tx<'_>, limit: i64) -> Result<Vec<Uncertain>, StoreError> {
    let sql = "-- outbox::uncertain
        SELECT o.id, o.configuration_id, o.chat_key, o.message_id, o.uid, o.request,
               (extract(epoch FROM clock_timestamp() - o.uncertain_since) * 1000)::int8,
               a.id, a.started_at, a.provider_message_id, a.word
        FROM wabridge.outbox o
        CROSS JOIN LATERAL (SELECT t.id, t.started_at, t.provider_message_id, t.word FROM wabridge.attempt t
                            WHERE t.message_id = o.message_id AND t.outbox_id = o.id
                            ORDER BY t.id DESC LIMIT 1) a
        WHERE o.uncertain_since IS NOT NULL
        ORDER BY o.uncertain_since LIMIT $1";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[/* limit */ &limit]).await?;
    Ok(rows
        .iter()
        .map(|row| Uncertain {
            id: row.get(0),
            key: Key { configuration_id: row.get(1), chat_key: row.get(2) },
            message_id: row.get(3),
            uid: row.get(4),
            request: row.get(5),
            for_how_long: Duration::from_millis(
                u64::try_from(row.get::<_, i64>(6)).unwrap_or_default(),
            ),
            attempt_id: row.get(7),
            started_at: row.get(8),
            provider_message_id: row.get(9),
            word: row.get(10),
        })
        .collect())
}

/// Unfinished sends an account: (account, number, seconds the oldest has been due), for metrics and health.
///
/// # Errors
/// The database's.
pub async fn backlog(
    client: &impl deadpool_postgres::GenericClient,
) -> Result<Vec<(i32, i64, i64)>, StoreError> {
    let sql = "-- outbox::backlog
        SELECT configuration_id, count(*),
               extract(epoch FROM now() - min(coalesce(not_before, created_at)))::int8
        FROM wabridge.outbox WHERE position IS NOT NULL AND uncertain_since IS NULL
        GROUP BY configuration_id ORDER BY configuration_id";
    let rows = client.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}
