//! What the tables know of the life of one message. Almost all of it stands there for other reasons; only what
//! nothing else tells is in `wabridge.decision`. Which webhook brought a message is found when somebody asks, not
//! noted for each (ADR 6).
//!
//! Odoo's tables that are read here: `whatsapp_message`, `whatsapp_message_receipt`, `whatsapp_message_revision`,
//! `whatsapp_media`, `whatsapp_event`.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio_postgres::Row;

use crate::journal::{self, Line};
use crate::{StoreError, Tx};

/// How far back from a row's making its webhook is looked for, the near past first: what could not be applied at
/// once was received before. Seconds.
const LOOK_BACK_S: [i64; 3] = [0, 600, 86_400];
/// A search in the journal ends after so long; the step is left out then.
const SEARCH_MS: u32 = 2000;

/// The row itself.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: i32,
    pub configuration_id: i32,
    pub message_id: Option<String>,
    pub chat_id: Option<String>,
    pub provider: Option<String>,
    pub direction: Option<String>,
    pub origin: Option<String>,
    pub user_id: Option<i32>,
    pub request_id: Option<String>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub created_at: Option<Timestamp>,
    pub queued_at: Option<Timestamp>,
    /// The facts, by their status word.
    pub facts: Vec<(&'static str, Timestamp)>,
}

const FACTS: [&str; 9] = [
    "uncertain",
    "pending",
    "sent",
    "delivered",
    "read",
    "played",
    "failed",
    "cancelled",
    "deleted",
];

fn instant(at: Option<DateTime>) -> Option<Timestamp> {
    at.and_then(|at| at.to_zoned(TimeZone::UTC).ok()).map(|at| at.timestamp())
}

/// The row with this id.
///
/// # Errors
/// The database's.
pub async fn message(client: &impl GenericClient, id: i32) -> Result<Option<Message>, StoreError> {
    let sql = "-- explain::message
        SELECT id, configuration_id, message_id, chat_id, provider, direction, origin, user_id, request_id, error_code,
               error_message, create_date, queued_at, uncertain_at, pending_at, sent_at, delivered_at, read_at,
               played_at, failed_at, cancelled_at, deleted_at
        FROM public.whatsapp_message WHERE id = $1";
    let row = client.query_opt(sql, &[/* id */ &id]).await?;
    Ok(row.map(|row| Message {
        id: row.get(0),
        configuration_id: row.get(1),
        message_id: row.get(2),
        chat_id: row.get(3),
        provider: row.get(4),
        direction: row.get(5),
        origin: row.get(6),
        user_id: row.get(7),
        request_id: row.get(8),
        error_code: row.get(9),
        error_message: row.get(10),
        created_at: instant(row.get(11)),
        queued_at: instant(row.get(12)),
        facts: (13..)
            .zip(FACTS)
            .filter_map(|(column, word)| Some((word, instant(row.get::<usize, _>(column))?)))
            .collect(),
    }))
}

/// Ids of the rows that the provider calls so; more than one only in several accounts.
///
/// # Errors
/// The database's.
pub async fn by_provider_id(
    client: &impl GenericClient,
    message_id: &str,
) -> Result<Vec<(i32, i32)>, StoreError> {
    let sql = "-- explain::by_provider_id
        SELECT m.id, m.configuration_id FROM public.whatsapp_configuration c
        JOIN public.whatsapp_message m ON m.configuration_id = c.id AND m.message_id = $1
        ORDER BY m.id";
    let rows = client.query(sql, &[/* message_id */ &message_id]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The webhook that brought a message: of the moment when its row was made, or before. None where the journal has
/// lost it, or looking for it takes too long.
///
/// # Errors
/// The database's.
pub async fn webhook(tx: &Tx<'_>, message: &Message) -> Result<Option<Line>, StoreError> {
    let (Some(id), Some(provider), Some(made)) =
        (&message.message_id, &message.provider, message.created_at)
    else {
        return Ok(None);
    };
    tx.batch_execute(&format!("SET LOCAL statement_timeout = {SEARCH_MS}")).await?;
    // Received at once: within the transaction that made the row, whose time both have.
    let second = jiff::SignedDuration::from_secs(1);
    for back in LOOK_BACK_S {
        let from = made - second - jiff::SignedDuration::from_secs(back);
        tx.batch_execute("SAVEPOINT search").await?;
        match journal::find(tx, provider, from, made + second, id).await {
            Ok(Some(line)) => return Ok(Some(line)),
            Ok(None) => tx.batch_execute("RELEASE SAVEPOINT search").await?,
            Err(StoreError::Busy(why)) => {
                tracing::debug!(
                    message.id = message.id,
                    "the webhook of message {} is looked for no longer: {why}",
                    message.id
                );
                tx.batch_execute("ROLLBACK TO SAVEPOINT search").await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// One call that sent it.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub number: i32,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub outcome: Option<String>,
    pub provider_message_id: Option<String>,
    pub error_kind: Option<String>,
    pub error_message: Option<String>,
    pub retry_ms: Option<i64>,
    pub latency_ms: Option<f64>,
}

/// The calls that sent it, in their order.
///
/// # Errors
/// The database's.
pub async fn attempts(client: &impl GenericClient, id: i32) -> Result<Vec<Attempt>, StoreError> {
    let sql = "-- explain::attempts
        SELECT number, started_at, finished_at, outcome, provider_message_id, error_kind, error_message, retry_ms,
               latency_ms
        FROM wabridge.attempt WHERE message_id = $1 ORDER BY id";
    let rows = client.query(sql, &[/* message_id */ &id]).await?;
    Ok(rows
        .iter()
        .map(|row| Attempt {
            number: row.get(0),
            started_at: row.get(1),
            finished_at: row.get(2),
            outcome: row.get(3),
            provider_message_id: row.get(4),
            error_kind: row.get(5),
            error_message: row.get(6),
            retry_ms: row.get(7),
            latency_ms: row.get(8),
        })
        .collect())
}

/// What held a message up between two moments.
#[derive(Debug, Clone, Default)]
pub struct Meanwhile {
    /// Other messages of its chat that were sent.
    pub of_chat: i64,
    /// Calls of its account after which it paused: (when, outcome, wait in milliseconds where known).
    pub pauses: Vec<(Timestamp, String, Option<i64>)>,
}

/// Calls of the same account that ended between `from` and `to`, as far as they held this message up.
///
/// # Errors
/// The database's.
pub async fn meanwhile(
    client: &impl GenericClient,
    message: &Message,
    from: Timestamp,
    to: Timestamp,
) -> Result<Meanwhile, StoreError> {
    let sql = "-- explain::meanwhile
        SELECT count(DISTINCT t.message_id) FILTER (WHERE t.chat_key = $4 AND t.outcome NOT IN ('rate_limited', 'account_down'))
        FROM wabridge.attempt t
        WHERE t.configuration_id = $1 AND t.finished_at >= $2 AND t.finished_at <= $3 AND t.message_id <> $5";
    let row = client
        .query_one(
            sql,
            &[
                /* configuration_id */ &message.configuration_id,
                /* from */ &from,
                /* to */ &to,
                /* chat_key */ &message.chat_id,
                /* message_id */ &message.id,
            ],
        )
        .await?;
    let sql = "-- explain::pauses
        SELECT t.finished_at, t.outcome, t.retry_ms FROM wabridge.attempt t
        WHERE t.configuration_id = $1 AND t.finished_at >= $2 AND t.finished_at <= $3
          AND t.outcome IN ('rate_limited', 'account_down')
        ORDER BY t.finished_at LIMIT 20";
    let pauses = client
        .query(
            sql,
            &[
                /* configuration_id */ &message.configuration_id,
                /* from */ &from,
                /* to */ &to,
            ],
        )
        .await?;
    Ok(Meanwhile {
        of_chat: row.get(0),
        pauses: pauses.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect(),
    })
}

/// What an unfinished send waits for.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Scheduled.
    pub not_before: Option<Timestamp>,
    /// True once it was let into its lane.
    pub in_lane: bool,
    pub settling: bool,
    /// Others stand before it in its lane.
    pub behind: bool,
    pub lane_ready_at: Option<Timestamp>,
    pub paused_until: Option<Timestamp>,
    pub pause_kind: Option<String>,
}

/// None when it does not wait to be sent.
///
/// # Errors
/// The database's.
pub async fn waiting(client: &impl GenericClient, id: i32) -> Result<Option<Waiting>, StoreError> {
    let sql = "-- explain::waiting
        SELECT o.not_before, o.position IS NOT NULL, o.uncertain_since IS NOT NULL,
               EXISTS (SELECT 1 FROM wabridge.outbox b WHERE b.configuration_id = o.configuration_id
                       AND b.chat_key = o.chat_key AND b.position < o.position),
               l.ready_at, p.paused_until, p.pause_kind
        FROM wabridge.outbox o
        LEFT JOIN wabridge.lane l ON l.configuration_id = o.configuration_id AND l.chat_key = o.chat_key
        LEFT JOIN wabridge.account_pace p ON p.configuration_id = o.configuration_id AND p.paused_until > now()
        WHERE o.message_id = $1";
    let row = client.query_opt(sql, &[/* message_id */ &id]).await?;
    Ok(row.map(|row| Waiting {
        not_before: row.get(0),
        in_lane: row.get(1),
        settling: row.get(2),
        behind: row.get(3),
        lane_ready_at: row.get(4),
        paused_until: row.get(5),
        pause_kind: row.get(6),
    }))
}

/// (count, the last one's time) of members of the group, for each word.
#[derive(Debug, Clone, Default)]
pub struct Receipts {
    pub delivered: (i64, Option<Timestamp>),
    pub read: (i64, Option<Timestamp>),
    pub played: (i64, Option<Timestamp>),
    pub failed: (i64, Option<Timestamp>),
}

/// # Errors
/// The database's.
pub async fn receipts(client: &impl GenericClient, id: i32) -> Result<Receipts, StoreError> {
    let sql = "-- explain::receipts
        SELECT count(delivered_at), max(delivered_at), count(read_at), max(read_at), count(played_at), max(played_at),
               count(failed_at), max(failed_at)
        FROM public.whatsapp_message_receipt WHERE message_id = $1";
    let row = client.query_one(sql, &[/* message_id */ &id]).await?;
    let word = |at: usize| (row.get(at), instant(row.get(at + 1)));
    Ok(Receipts { delivered: word(0), read: word(2), played: word(4), failed: word(6) })
}

/// (number, when) of each change of its text.
///
/// # Errors
/// The database's.
pub async fn revisions(
    client: &impl GenericClient,
    id: i32,
) -> Result<Vec<(i32, Option<Timestamp>)>, StoreError> {
    let sql = "-- explain::revisions
        SELECT (row_number() OVER (ORDER BY edited_at, revision))::int4, edited_at
        FROM public.whatsapp_message_revision WHERE message_id = $1 ORDER BY edited_at, revision";
    let rows = client.query(sql, &[/* message_id */ &id]).await?;
    Ok(rows.iter().map(|row| (row.get(0), instant(row.get(1)))).collect())
}

/// Its file.
#[derive(Debug, Clone)]
pub struct Media {
    pub state: Option<String>,
    pub reason: Option<String>,
    pub mimetype: Option<String>,
    pub size: Option<i32>,
    pub changed_at: Option<Timestamp>,
}

/// # Errors
/// The database's.
pub async fn media(client: &impl GenericClient, id: i32) -> Result<Option<Media>, StoreError> {
    let sql = "-- explain::media
        SELECT f.state, f.reason, f.mimetype, f.size, f.write_date
        FROM public.whatsapp_message m JOIN public.whatsapp_media f ON f.id = m.media_id WHERE m.id = $1";
    let row = client.query_opt(sql, &[/* message_id */ &id]).await?;
    Ok(row.map(|row| Media {
        state: row.get(0),
        reason: row.get(1),
        mimetype: row.get(2),
        size: row.get(3),
        changed_at: instant(row.get(4)),
    }))
}

/// What Odoo's code was asked to run for it.
#[derive(Debug, Clone)]
pub struct Event {
    pub kind: Option<String>,
    pub phase: Option<String>,
    pub attempts: i32,
    pub changed_at: Option<Timestamp>,
}

/// # Errors
/// The database's.
pub async fn events(client: &impl GenericClient, id: i32) -> Result<Vec<Event>, StoreError> {
    let sql = "-- explain::events
        SELECT kind, phase, coalesce(attempts, 0), write_date
        FROM public.whatsapp_event WHERE message_id = $1 ORDER BY id";
    let rows = client.query(sql, &[/* message_id */ &id]).await?;
    Ok(rows
        .iter()
        .map(|row| Event {
            kind: row.get(0),
            phase: row.get(1),
            attempts: row.get(2),
            changed_at: instant(row.get(3)),
        })
        .collect())
}

/// A decision that no other row tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub message_id: i32,
    pub what: What,
}

/// What was decided; the word in `decision.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The caller named no account and this one was taken.
    AccountByDefault { configuration_id: i32 },
}

impl What {
    fn row(self) -> (&'static str, Value) {
        match self {
            Self::AccountByDefault { configuration_id } => {
                ("account_by_default", serde_json::json!({"configuration_id": configuration_id}))
            }
        }
    }
}

/// Notes decisions, with those who took them in one transaction.
///
/// # Errors
/// The database's.
pub async fn note(tx: &Tx<'_>, decisions: &[Decision]) -> Result<(), StoreError> {
    if decisions.is_empty() {
        return Ok(());
    }
    let sql = "-- explain::note
        INSERT INTO wabridge.decision (message_id, kind, parameters)
        SELECT d.message_id, d.kind, d.parameters FROM unnest($1::int4[], $2::text[], $3::jsonb[])
             AS d(message_id, kind, parameters)";
    let ids: Vec<i32> = decisions.iter().map(|d| d.message_id).collect();
    let (kinds, parameters): (Vec<&str>, Vec<Value>) =
        decisions.iter().map(|d| d.what.row()).unzip();
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[/* message_id */ &ids, /* kind */ &kinds, /* parameters */ &parameters],
    )
    .await?;
    Ok(())
}

/// (when, kind, parameters) of what was decided about a message.
///
/// # Errors
/// The database's.
pub async fn decisions(
    client: &impl GenericClient,
    id: i32,
) -> Result<Vec<(Timestamp, String, Value)>, StoreError> {
    let sql = "-- explain::decisions
        SELECT at, kind, parameters FROM wabridge.decision WHERE message_id = $1 ORDER BY at";
    let rows = client.query(sql, &[/* message_id */ &id]).await?;
    Ok(rows.iter().map(|row: &Row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// Deletes decisions older than `days`.
///
/// # Errors
/// The database's.
pub async fn collect(client: &impl GenericClient, days: u32) -> Result<u64, StoreError> {
    let sql = "-- explain::collect
        DELETE FROM wabridge.decision WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM wabridge.decision WHERE at < now() - $1::int8 * interval '1 day' LIMIT 5000))";
    Ok(client.execute(sql, &[/* days */ &i64::from(days)]).await?)
}
