//! `whatsapp_message` as sends write it: rows that we make, where they go, what came of them. Applying
//! webhooks is in [`super::message`].
//!
//! Columns: see [`crate::schema::COLUMNS`]. Lock order: after the lane, contacts, groups and chats; several
//! rows in id order, and outcomes never wait for a row that Odoo holds.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use wabridge_domain::message::{Facts, Status};

use crate::{StoreError, Tx};

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    pub chat_id: &'a str,
    pub contact_id: Option<i32>,
    pub group_id: Option<i32>,
}

/// A row of door (a).
#[derive(Debug, Clone)]
pub struct New<'a> {
    pub configuration_id: i32,
    pub provider: &'static str,
    pub place: Place<'a>,
    pub message_type: &'static str,
    pub content: Option<&'a str>,
    pub caption: Option<&'a str>,
    pub media_id: Option<i32>,
    pub location: Option<String>,
    /// JSON.
    pub extra: Option<String>,
    pub reply_to_id: Option<i32>,
    /// Who wrote it, for the log columns; 1 is the system.
    pub uid: i32,
    /// None for the system.
    pub user_id: Option<i32>,
    pub res_model: Option<&'a str>,
    pub res_id: Option<i32>,
    pub category: Option<&'a str>,
    pub origin: &'static str,
    pub request_id: &'a str,
}

/// The statement of [`insert`].
pub const INSERT: &str = "-- odoo::message_out::insert
        INSERT INTO public.whatsapp_message (id, configuration_id, provider, chat_id, contact_id, group_id, message_type,
               content, reply_to_id, user_id, res_model, res_id, category, origin, request_id,
               caption, media_id, location, extra,
               from_me, direction, status, queued_at, timestamp, create_uid, write_uid, create_date, write_date)
        SELECT n.id, n.configuration_id, n.provider, n.chat_id, n.contact_id, n.group_id, n.message_type,
               n.content, n.reply_to_id, n.user_id, n.res_model, n.res_id, n.category, n.origin, n.request_id,
               n.caption, n.media_id, n.location, n.extra, true, 'outbound', 'queued',
               t.second, t.second, n.uid, n.uid, t.now, t.now
        FROM (SELECT * FROM unnest($1::int4[], $2::text[], $3::text[], $4::int4[], $5::int4[], $6::text[], $7::text[],
                     $8::int4[], $9::int4[], $10::text[], $11::int4[], $12::text[], $13::text[], $14::text[],
                     $15::int4[], $16::text[], $17::int4[], $18::text[], $19::text[],
                     $20::int4[]) WITH ORDINALITY
                     AS u(configuration_id, provider, chat_id, contact_id, group_id, message_type, content,
                          reply_to_id, user_id, res_model, res_id, category, origin, request_id,
                          uid, caption, media_id, location, extra, id, no)
              ORDER BY u.no) n,
             (SELECT now() AT TIME ZONE 'UTC' AS now, date_trunc('second', now() AT TIME ZONE 'UTC') AS second) t
        RETURNING timestamp AT TIME ZONE 'UTC'";

/// Inserts queued rows with the ids that were drawn for them ([`crate::idempotency::draw`]); their time.
///
/// # Errors
/// The database's.
pub async fn insert(
    tx: &Tx<'_>,
    ids: &[i32],
    news: &[New<'_>],
) -> Result<Vec<Timestamp>, StoreError> {
    fn column<'a, T>(news: &'a [New<'_>], of: impl Fn(&'a New<'_>) -> T) -> Vec<T> {
        news.iter().map(of).collect()
    }
    let statement = tx.prepare_cached(INSERT).await?;
    let rows = tx
        .query(
            &statement,
            &[
                /* configuration_id */ &column(news, |new| new.configuration_id),
                /* provider */ &column(news, |new| new.provider),
                /* chat_id */ &column(news, |new| new.place.chat_id),
                /* contact_id */ &column(news, |new| new.place.contact_id),
                /* group_id */ &column(news, |new| new.place.group_id),
                /* message_type */ &column(news, |new| new.message_type),
                /* content */ &column(news, |new| new.content),
                /* reply_to_id */ &column(news, |new| new.reply_to_id),
                /* user_id */ &column(news, |new| new.user_id),
                /* res_model */ &column(news, |new| new.res_model),
                /* res_id */ &column(news, |new| new.res_id),
                /* category */ &column(news, |new| new.category),
                /* origin */ &column(news, |new| new.origin),
                /* request_id */ &column(news, |new| new.request_id),
                /* uid */ &column(news, |new| new.uid),
                /* caption */ &column(news, |new| new.caption),
                /* media_id */ &column(news, |new| new.media_id),
                /* location */ &column(news, |new| new.location.as_deref()),
                /* extra */ &column(news, |new| new.extra.as_deref()),
                /* id */ &ids,
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Writes where a row of door (b) goes, its file and what `extra` (JSON) is to hold; false when the row is gone or
/// somebody holds it at this moment.
///
/// # Errors
/// The database's.
pub async fn place(
    tx: &Tx<'_>,
    id: i32,
    place: &Place<'_>,
    media_id: Option<i32>,
    extra: Option<&str>,
    category: Option<&str>,
) -> Result<bool, StoreError> {
    let sql = "-- odoo::message_out::place
        UPDATE public.whatsapp_message m
        SET chat_id = $2, contact_id = $3, group_id = $4, media_id = coalesce($5, m.media_id),
            category = coalesce($7, m.category),
            extra = CASE WHEN $6::text IS NULL THEN m.extra
                         ELSE (coalesce(nullif(m.extra, '')::jsonb, '{}') || $6::text::jsonb)::text END,
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM (SELECT id FROM public.whatsapp_message WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED) free
        WHERE m.id = free.id";
    let statement = tx.prepare_cached(sql).await?;
    let done = tx
        .execute(
            &statement,
            &[
                /* id */ &id,
                /* chat_id */ &place.chat_id,
                /* contact_id */ &place.contact_id,
                /* group_id */ &place.group_id,
                /* media_id */ &media_id,
                /* extra */ &extra,
                /* category */ &category,
            ],
        )
        .await?;
    Ok(done == 1)
}

/// Why a row of door (b) is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection<'a> {
    Failed {
        code: &'a str,
        message: &'a str,
    },
    /// An earlier row has the same idempotency key; `code` where its content is another.
    Duplicate {
        of: i32,
        code: Option<&'a str>,
        message: Option<&'a str>,
    },
}

/// Makes a queued row (or one that is to be sent again) failed or cancelled; false when the row is gone, has got
/// further, or is held by somebody.
///
/// # Errors
/// The database's.
pub async fn reject(tx: &Tx<'_>, id: i32, rejection: &Rejection<'_>) -> Result<bool, StoreError> {
    let sql = "-- odoo::message_out::reject
        UPDATE public.whatsapp_message m
        SET status = $2::text, error_code = $3, error_message = $4,
            failed_at = CASE WHEN $2::text = 'failed' THEN t.second ELSE m.failed_at END,
            cancelled_at = CASE WHEN $2::text = 'cancelled' THEN t.second ELSE m.cancelled_at END,
            extra = CASE WHEN $5::int4 IS NULL THEN m.extra
                         ELSE (coalesce(nullif(m.extra, '')::jsonb, '{}') || jsonb_build_object('duplicate_of', $5))::text END,
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM (SELECT id FROM public.whatsapp_message WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED) free,
             (SELECT date_trunc('second', now() AT TIME ZONE 'UTC') AS second) t
        WHERE m.id = free.id AND m.status IN ('queued', 'draft', 'uncertain')";
    let (status, code, message, of) = match rejection {
        Rejection::Failed { code, message } => ("failed", Some(*code), Some(*message), None),
        Rejection::Duplicate { of, code, message } => ("cancelled", *code, *message, Some(*of)),
    };
    let done = tx
        .execute(
            sql,
            &[
                /* id */ &id, /* status */ &status, /* error_code */ &code,
                /* error_message */ &message, /* duplicate_of */ &of,
            ],
        )
        .await?;
    Ok(done == 1)
}

/// Makes messages, as (account, chat id, row id), the last ones of their chats; the chats as (account, row id).
///
/// # Errors
/// The database's.
pub async fn note_last(
    tx: &Tx<'_>,
    messages: &[(i32, &str, i32)],
) -> Result<Vec<(i32, i32)>, StoreError> {
    let sql = "-- odoo::message_out::note_last
        WITH last AS (
            SELECT n.configuration_id, n.chat_id, max(n.id) AS id
            FROM unnest($1::int4[], $2::text[], $3::int4[]) AS n(configuration_id, chat_id, id) GROUP BY 1, 2),
        locked AS (
            SELECT c.id, l.id AS message_id
            FROM public.whatsapp_chat c JOIN last l USING (configuration_id, chat_id)
            ORDER BY c.id FOR NO KEY UPDATE OF c)
        UPDATE public.whatsapp_chat c
        SET last_message_id = l.message_id, write_uid = 1, write_date = now() AT TIME ZONE 'UTC',
            last_message_at = greatest(c.last_message_at, date_trunc('second', now() AT TIME ZONE 'UTC'))
        FROM locked l WHERE c.id = l.id
        RETURNING c.configuration_id, c.id";
    let accounts: Vec<i32> = messages.iter().map(|(account, _, _)| *account).collect();
    let chats: Vec<&str> = messages.iter().map(|(_, chat, _)| *chat).collect();
    let ids: Vec<i32> = messages.iter().map(|(_, _, id)| *id).collect();
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx
        .query(&statement, &[/* accounts */ &accounts, /* chats */ &chats, /* ids */ &ids])
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A message row, locked for its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Locked {
    pub id: i32,
    pub configuration_id: i32,
    pub message_id: Option<String>,
    pub facts: Facts,
    pub status: Option<String>,
    pub content: Option<String>,
    pub user_id: Option<i32>,
    /// PostgreSQL's time, whole seconds.
    pub now: Timestamp,
}

/// The columns of [`Facts`], in the order of [`facts_of`].
const FACTS: &str =
    "m.queued_at, m.uncertain_at, m.pending_at, m.sent_at, m.failed_at, m.delivered_at, m.read_at,
               m.played_at, m.deleted_at, m.cancelled_at";

fn utc(at: Option<DateTime>) -> Result<Option<Timestamp>, StoreError> {
    at.map(|at| at.to_zoned(TimeZone::UTC).map(|at| at.timestamp()))
        .transpose()
        .map_err(|error| StoreError::Other(error.to_string()))
}

fn civil(at: Option<Timestamp>) -> Option<DateTime> {
    at.map(|at| TimeZone::UTC.to_datetime(at))
}

fn facts_of(row: &tokio_postgres::Row, from: usize) -> Result<Facts, StoreError> {
    let at = |n: usize| utc(row.get(from + n));
    Ok(Facts {
        queued_at: at(0)?,
        uncertain_at: at(1)?,
        pending_at: at(2)?,
        sent_at: at(3)?,
        failed_at: at(4)?,
        delivered_at: at(5)?,
        read_at: at(6)?,
        played_at: at(7)?,
        deleted_at: at(8)?,
        cancelled_at: at(9)?,
    })
}

/// Locks those of the rows that nobody else holds, without waiting.
///
/// # Errors
/// The database's; `Busy` where the whole table is locked.
pub async fn try_lock(tx: &Tx<'_>, ids: &[i32]) -> Result<Vec<Locked>, StoreError> {
    let sql = format!(
        "-- odoo::message_out::try_lock
        SELECT m.id, m.configuration_id, m.message_id, m.status, m.content, m.user_id,
               date_trunc('second', clock_timestamp()), {FACTS}
        FROM public.whatsapp_message m WHERE m.id = ANY($1) ORDER BY m.id FOR NO KEY UPDATE SKIP LOCKED"
    );
    let statement = tx.prepare_cached(&sql).await?;
    let rows = tx.query(&statement, &[/* ids */ &ids]).await?;
    rows.iter()
        .map(|row| {
            Ok(Locked {
                id: row.get(0),
                configuration_id: row.get(1),
                message_id: row.get(2),
                status: row.get(3),
                content: row.get(4),
                user_id: row.get(5),
                now: row.get(6),
                facts: facts_of(row, 7)?,
            })
        })
        .collect()
}

/// Those of the rows that exist, whoever holds them.
///
/// # Errors
/// The database's.
pub async fn existing(client: &impl GenericClient, ids: &[i32]) -> Result<Vec<i32>, StoreError> {
    let sql = "-- odoo::message_out::existing
        SELECT id FROM public.whatsapp_message WHERE id = ANY($1)";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* ids */ &ids]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What is to stand in a row that was locked.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub id: i32,
    /// The provider's id; None leaves what is there.
    pub message_id: Option<String>,
    pub facts: Facts,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

/// Writes facts, the status derived from them, and errors.
///
/// # Errors
/// The database's; `Refused` when another row has the provider's id.
pub async fn write(tx: &Tx<'_>, writes: &[Write]) -> Result<u64, StoreError> {
    let sql = "-- odoo::message_out::write
        UPDATE public.whatsapp_message m
        SET message_id = coalesce(w.message_id, m.message_id), status = w.status,
            -- A failure that a webhook told before the answer was recorded keeps its words.
            error_code = CASE WHEN w.error_code IS NULL AND w.failed_at = m.failed_at
                              THEN m.error_code ELSE w.error_code END,
            error_message = CASE WHEN w.error_message IS NULL AND w.failed_at = m.failed_at
                                 THEN m.error_message ELSE w.error_message END,
            queued_at = w.queued_at, uncertain_at = w.uncertain_at,
            pending_at = w.pending_at, sent_at = w.sent_at, failed_at = w.failed_at,
            delivered_at = w.delivered_at, read_at = w.read_at, played_at = w.played_at,
            deleted_at = w.deleted_at, cancelled_at = w.cancelled_at,
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamp[], $7::timestamp[],
                    $8::timestamp[], $9::timestamp[], $10::timestamp[], $11::timestamp[], $12::timestamp[],
                    $13::timestamp[], $14::timestamp[], $15::timestamp[])
             AS w(id, message_id, status, error_code, error_message, queued_at, uncertain_at, pending_at, sent_at,
                  failed_at, delivered_at, read_at, played_at, deleted_at, cancelled_at)
        WHERE m.id = w.id";
    let text =
        |get: fn(&Write) -> Option<&str>| -> Vec<Option<&str>> { writes.iter().map(get).collect() };
    let time = |get: fn(&Facts) -> Option<Timestamp>| -> Vec<Option<DateTime>> {
        writes.iter().map(|w| civil(get(&w.facts))).collect()
    };
    let ids: Vec<i32> = writes.iter().map(|w| w.id).collect();
    let statuses: Vec<&str> = writes.iter().map(|w| w.facts.status().as_str()).collect();
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx
        .execute(
            &statement,
            &[
                /* ids */ &ids,
                /* message ids */ &text(|w| w.message_id.as_deref()),
                /* statuses */ &statuses,
                /* error codes */ &text(|w| w.error_code.as_deref()),
                /* error messages */ &text(|w| w.error_message.as_deref()),
                /* queued_at */ &time(|f| f.queued_at),
                /* uncertain_at */ &time(|f| f.uncertain_at),
                /* pending_at */ &time(|f| f.pending_at),
                /* sent_at */ &time(|f| f.sent_at),
                /* failed_at */ &time(|f| f.failed_at),
                /* delivered_at */ &time(|f| f.delivered_at),
                /* read_at */ &time(|f| f.read_at),
                /* played_at */ &time(|f| f.played_at),
                /* deleted_at */ &time(|f| f.deleted_at),
                /* cancelled_at */ &time(|f| f.cancelled_at),
            ],
        )
        .await?)
}

/// Rows that an echo made before we knew the provider's id of our own: (account, provider's id) -> row id, facts.
/// They are locked; None where one of them is held by somebody else.
///
/// # Errors
/// The database's.
pub async fn twins(
    tx: &Tx<'_>,
    wanted: &[(i32, &str, i32)],
) -> Result<Option<HashMap<i32, (i32, Facts)>>, StoreError> {
    let sql = "-- odoo::message_out::twins
        SELECT w.own, m.id
        FROM unnest($1::int4[], $2::text[], $3::int4[]) AS w(configuration_id, message_id, own)
        JOIN public.whatsapp_message m ON m.configuration_id = w.configuration_id AND m.message_id = w.message_id
        WHERE m.id <> w.own";
    let accounts: Vec<i32> = wanted.iter().map(|(account, _, _)| *account).collect();
    let provider_ids: Vec<&str> = wanted.iter().map(|(_, id, _)| *id).collect();
    let own: Vec<i32> = wanted.iter().map(|(_, _, own)| *own).collect();
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx
        .query(
            &statement,
            &[
                /* accounts */ &accounts,
                /* provider ids */ &provider_ids,
                /* own */ &own,
            ],
        )
        .await?;
    if rows.is_empty() {
        return Ok(Some(HashMap::new()));
    }
    let pairs: HashMap<i32, i32> = rows.iter().map(|row| (row.get(1), row.get(0))).collect();
    let ids: Vec<i32> = pairs.keys().copied().collect();
    let locked = try_lock(tx, &ids).await?;
    if locked.len() < pairs.len() {
        return Ok(None);
    }
    Ok(Some(locked.into_iter().map(|row| (pairs[&row.id], (row.id, row.facts))).collect()))
}

/// Takes a row away that an echo made of one of our own messages; what refers to it refers to `own` from now on.
///
/// # Errors
/// The database's.
pub async fn absorb(tx: &Tx<'_>, twin: i32, own: i32) -> Result<(), StoreError> {
    for sql in [
        "-- odoo::message_out::absorb_chat
        UPDATE public.whatsapp_chat SET last_message_id = $2, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE last_message_id = $1",
        "-- odoo::message_out::absorb_replies
        UPDATE public.whatsapp_message SET reply_to_id = $2, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE reply_to_id = $1",
    ] {
        tx.execute(sql, &[/* twin */ &twin, /* own */ &own]).await?;
    }
    let sql = "-- odoo::message_out::absorb
        DELETE FROM public.whatsapp_message WHERE id = $1";
    tx.execute(sql, &[/* twin */ &twin]).await?;
    Ok(())
}

/// What callers are told of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub id: i32,
    pub configuration_id: i32,
    pub message_id: Option<String>,
    pub status: Status,
    pub timestamp: Option<Timestamp>,
    pub provider: Option<String>,
    pub chat_id: Option<String>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

/// Reads one row.
///
/// # Errors
/// The database's.
pub async fn summary(client: &impl GenericClient, id: i32) -> Result<Option<Summary>, StoreError> {
    let sql = "-- odoo::message_out::summary
        SELECT m.id, m.configuration_id, m.message_id, m.status, m.timestamp AT TIME ZONE 'UTC', m.provider,
               m.chat_id, m.error_code, m.error_message
        FROM public.whatsapp_message m WHERE m.id = $1";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, &[/* id */ &id]).await?;
    Ok(row.map(|row| Summary {
        id: row.get(0),
        configuration_id: row.get(1),
        message_id: row.get(2),
        status: row
            .get::<_, Option<String>>(3)
            .and_then(|word| Status::parse(&word))
            .unwrap_or(Status::Draft),
        timestamp: row.get(4),
        provider: row.get(5),
        chat_id: row.get(6),
        error_code: row.get(7),
        error_message: row.get(8),
    }))
}

/// True where `id` is a message of this account.
///
/// # Errors
/// The database's.
pub async fn belongs(
    client: &impl GenericClient,
    id: i32,
    configuration_id: i32,
) -> Result<bool, StoreError> {
    let sql = "-- odoo::message_out::belongs
        SELECT EXISTS (SELECT 1 FROM public.whatsapp_message WHERE id = $1 AND configuration_id = $2)";
    let row =
        client.query_one(sql, &[/* id */ &id, /* configuration_id */ &configuration_id]).await?;
    Ok(row.get(0))
}

/// Tells Odoo's code that something happened to a message or an account (`whatsapp_event`).
///
/// # Errors
/// The database's.
pub async fn event(
    tx: &Tx<'_>,
    kind: &str,
    message_id: Option<i32>,
    configuration_id: i32,
    payload: &Value,
) -> Result<(), StoreError> {
    let sql = "-- odoo::message_out::event
        INSERT INTO public.whatsapp_event (kind, message_id, configuration_id, payload, phase, attempts,
               create_uid, create_date, write_uid, write_date)
        VALUES ($1, $2, $3, $4, 'new', 0, 1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC')";
    tx.execute(
        sql,
        &[
            /* kind */ &kind,
            /* message_id */ &message_id,
            /* configuration_id */ &configuration_id,
            /* payload */ &payload.to_string(),
        ],
    )
    .await?;
    Ok(())
}
