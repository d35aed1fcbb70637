//! `whatsapp_message` (all columns but media_id, category, user_id, res_model, res_id), and what
//! hangs on a new message: last_* and unread_count of `whatsapp_chat`, rows of `whatsapp_event`, parked echoes.
//! Owned by the daemon.
//!
//! Lock order: after contacts, groups and chats; by account, time and id on insert, by row id on update. No
//! index mentions a column that a status update writes, so these stay on their page.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use wabridge_domain::message::{Direction, MessageType, Origin, StatusWord};

use super::{Text, text};
use crate::StoreError;

/// A message that came in by webhook, ready to be a row.
#[derive(Debug, Clone)]
pub struct New<'a> {
    pub configuration_id: i32,
    pub provider: &'static str,
    pub message_id: &'a str,
    pub chat_id: &'a str,
    pub direction: Direction,
    pub origin: Origin,
    pub message_type: MessageType,
    pub content: Option<&'a str>,
    pub caption: Option<&'a str>,
    pub quoted_id: Option<&'a str>,
    pub forwarded: bool,
    /// `latitude,longitude` in degrees.
    pub location: Option<String>,
    pub extra: Option<String>,
    /// Told long afterwards: nobody is waked for it, and it does not count as unread.
    pub history: bool,
    pub at: Timestamp,
    /// The fact that comes with it, of time `at`.
    pub word: StatusWord,
    pub contact_id: Option<i32>,
    pub group_id: Option<i32>,
    /// The message as JSON: an echo of an API send, which waits while it may be one of ours.
    pub park_as: Option<serde_json::Value>,
}

/// What became of the messages of one call.
#[derive(Debug, Default)]
pub struct Inserted {
    /// (account, row id, the provider's id) of new rows.
    pub fresh: Vec<(i32, i32, String)>,
    /// (account, row id) of chats that were written.
    pub chats: Vec<(i32, i32)>,
    /// (account, the provider's id) of echoes whose message is there: their word is still to be noted.
    pub known_echoes: Vec<(i32, String)>,
    /// (account, the provider's id) of echoes that wait for our own answer.
    pub parked: Vec<(i32, String)>,
    /// (account, the provider's id) of new rows about which something was said before.
    pub spoken_of: Vec<(i32, String)>,
    /// (account, the provider's id of the new row, the id it quotes) where the quoted one is not there yet.
    pub quotes: Vec<(i32, String, String)>,
    /// True where Odoo has something to run for.
    pub events: bool,
}

/// Inserts the messages that are not there yet, with their chats' summary and their events for Odoo. A
/// message that is there is only read, so that a repetition draws no id.
///
/// One statement, so that "is it there", "is a call under way" and the insert see the same moment. An echo waits
/// for every answer that its account still expects, whatever chat that send named: for some countries the
/// provider answers with another number than the one that was asked for. Of a call whose outcome stays unknown
/// only echoes of the same chat can be.
///
/// # Errors
/// The database's.
pub async fn insert(
    client: &impl GenericClient,
    messages: &[New<'_>],
) -> Result<Inserted, StoreError> {
    let mut inserted = Inserted::default();
    if messages.is_empty() {
        return Ok(inserted);
    }
    let sql = "-- odoo::message::insert
        WITH input AS MATERIALIZED (
            SELECT i.configuration_id, i.message_id, i.provider, i.chat_id, i.direction, i.origin, i.message_type,
                   i.content, i.caption, i.quoted_id, i.extra, i.word, i.contact_id, i.group_id, i.park_as,
                   i.forwarded, i.location, i.history, date_trunc('second', i.at AT TIME ZONE 'UTC') AS at, m.id AS known_id,
                   m.id IS NULL AND i.park_as IS NOT NULL AND (
                       EXISTS (SELECT 1 FROM wabridge.attempt a WHERE a.configuration_id = i.configuration_id
                               AND a.finished_at IS NULL AND (a.outcome IS NULL OR a.chat_key = i.chat_id))
                       OR EXISTS (SELECT 1 FROM wabridge.attempt a WHERE a.configuration_id = i.configuration_id
                                  AND a.applied_at IS NULL AND (a.outcome = 'accepted' OR a.chat_key = i.chat_id))
                       OR EXISTS (SELECT 1 FROM wabridge.outbox o WHERE o.configuration_id = i.configuration_id
                                  AND o.chat_key = i.chat_id AND o.uncertain_since IS NOT NULL)
                       -- Given up as uncertain, perhaps this is it: see settle::late.
                       OR EXISTS (SELECT 1 FROM wabridge.attempt a WHERE a.configuration_id = i.configuration_id
                                  AND a.chat_key = i.chat_id AND a.outcome = 'uncertain'
                                  AND a.provider_message_id IS NULL)) AS waits
            FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                        $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::int4[], $14::int4[],
                        $15::jsonb[], $16::timestamptz[], $17::bool[], $18::text[], $19::bool[])
                 AS i(configuration_id, message_id, provider, chat_id, direction, origin, message_type, content,
                      caption, quoted_id, extra, word, contact_id, group_id, park_as, at, forwarded, location, history)
            LEFT JOIN public.whatsapp_message m
                 ON m.configuration_id = i.configuration_id AND m.message_id = i.message_id),
        parked AS (
            INSERT INTO wabridge.early_event (configuration_id, target_id, kind, chat_key, payload, pending_at,
                   sent_at, delivered_at, read_at, played_at)
            SELECT i.configuration_id, i.message_id, 'echo', i.chat_id, i.park_as,
                   CASE WHEN i.word = 'pending' THEN i.at END, CASE WHEN i.word = 'sent' THEN i.at END,
                   CASE WHEN i.word = 'delivered' THEN i.at END, CASE WHEN i.word = 'read' THEN i.at END,
                   CASE WHEN i.word = 'played' THEN i.at END
            FROM input i WHERE i.waits
            ORDER BY i.configuration_id, i.message_id
            ON CONFLICT (configuration_id, target_id, kind, member) DO NOTHING),
        -- Before the messages: whoever has chats never waits for somebody whose messages wait for chats.
        locked AS MATERIALIZED (
            SELECT c.id, c.configuration_id, c.chat_id FROM public.whatsapp_chat c
            WHERE (c.configuration_id, c.chat_id) IN (
                SELECT i.configuration_id, i.chat_id FROM input i WHERE i.known_id IS NULL AND NOT i.waits)
            ORDER BY c.id FOR NO KEY UPDATE OF c),
        fresh AS (
            INSERT INTO public.whatsapp_message (configuration_id, message_id, provider, chat_id, direction,
                   from_me, origin, message_type, content, caption, reply_to_id, extra, contact_id, group_id,
                   forwarded, location, timestamp, synced_at, pending_at, sent_at, delivered_at, read_at, played_at, failed_at, deleted_at, status,
                   create_uid, create_date, write_uid, write_date)
            SELECT i.configuration_id, i.message_id, i.provider, i.chat_id, i.direction,
                   i.direction = 'outbound', i.origin, i.message_type, i.content, i.caption,
                   CASE WHEN i.quoted_id IS NOT NULL THEN (
                       SELECT q.id FROM public.whatsapp_message q
                       WHERE q.configuration_id = i.configuration_id AND q.message_id = i.quoted_id) END,
                   i.extra, i.contact_id, i.group_id, i.forwarded, i.location, i.at, wabridge.synced_at(),
                   CASE WHEN i.word = 'pending' THEN i.at END, CASE WHEN i.word = 'sent' THEN i.at END,
                   CASE WHEN i.word = 'delivered' THEN i.at END, CASE WHEN i.word = 'read' THEN i.at END,
                   CASE WHEN i.word = 'played' THEN i.at END, CASE WHEN i.word = 'failed' THEN i.at END,
                   CASE WHEN i.word = 'deleted' THEN i.at END, i.word,
                   1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM input i WHERE i.known_id IS NULL AND NOT i.waits AND (SELECT count(*) FROM locked) IS NOT NULL
            ORDER BY i.configuration_id, i.at, i.message_id
            ON CONFLICT (configuration_id, message_id) DO NOTHING
            RETURNING id, configuration_id, message_id, chat_id, direction, message_type, timestamp, reply_to_id),
        summary AS (
            SELECT f.configuration_id, f.chat_id, max(f.timestamp) AS last_at,
                   (array_agg(f.id ORDER BY f.timestamp DESC, f.id DESC))[1] AS last_id,
                   max(f.timestamp) FILTER (WHERE f.direction = 'inbound') AS inbound_at,
                   array_agg(f.timestamp) FILTER (WHERE f.direction = 'inbound' AND f.message_type <> 'reaction' AND NOT i.history) AS heard
            FROM fresh f JOIN input i ON i.configuration_id = f.configuration_id AND i.message_id = f.message_id
            WHERE f.message_type <> 'system' GROUP BY f.configuration_id, f.chat_id),
        -- Locked too: of a count that was just committed the lock sees the new version.
        counted AS MATERIALIZED (
            SELECT f.chat_id, f.at FROM wabridge.chat_fact f
            WHERE f.chat_id IN (SELECT l.id FROM locked l) FOR SHARE OF f),
        chats AS (
            UPDATE public.whatsapp_chat c
            SET last_message_id = CASE WHEN c.last_message_at > s.last_at THEN c.last_message_id ELSE s.last_id END,
                last_message_at = greatest(c.last_message_at, s.last_at),
                last_inbound_at = greatest(c.last_inbound_at, s.inbound_at),
                unread_count = coalesce(c.unread_count, 0) + (
                    SELECT count(*)::int4 FROM unnest(s.heard) AS h(at)
                    WHERE NOT EXISTS (SELECT 1 FROM counted f WHERE f.chat_id = c.id AND h.at <= f.at)),
                write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
            -- By its key: joined with what was locked, many chats would be compared each with each.
            FROM summary s WHERE c.configuration_id = s.configuration_id AND c.chat_id = s.chat_id
            RETURNING c.configuration_id, c.id),
        events AS (
            INSERT INTO public.whatsapp_event (kind, message_id, configuration_id, phase, attempts,
                   create_uid, create_date, write_uid, write_date)
            SELECT 'message_received', f.id, f.configuration_id, 'new', 0,
                   1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM fresh f JOIN input i ON i.configuration_id = f.configuration_id AND i.message_id = f.message_id
            WHERE f.direction = 'inbound' AND f.message_type <> 'system' AND NOT i.history ORDER BY f.id)
        SELECT CASE WHEN f.direction = 'inbound' AND f.message_type <> 'system' AND NOT i.history THEN 'received' ELSE 'written' END,
               f.configuration_id, f.id, f.message_id,
               EXISTS (SELECT 1 FROM wabridge.early_event e
                       WHERE e.configuration_id = f.configuration_id AND e.target_id = f.message_id),
               CASE WHEN f.reply_to_id IS NULL THEN i.quoted_id END
        FROM fresh f JOIN input i ON i.configuration_id = f.configuration_id AND i.message_id = f.message_id
        UNION ALL SELECT 'chat', c.configuration_id, c.id, NULL, false, NULL FROM chats c
        UNION ALL SELECT 'known', i.configuration_id, i.known_id, i.message_id, false, NULL FROM input i
                  WHERE i.known_id IS NOT NULL AND i.park_as IS NOT NULL
        UNION ALL SELECT 'parked', i.configuration_id, NULL, i.message_id, false, NULL FROM input i WHERE i.waits";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &column(messages, |m| m.configuration_id),
                /* message_id */ &words(messages, |m| Some(m.message_id)),
                /* provider */ &column(messages, |m| m.provider),
                /* chat_id */ &words(messages, |m| Some(m.chat_id)),
                /* direction */ &column(messages, |m| m.direction.as_str()),
                /* origin */ &column(messages, |m| m.origin.as_str()),
                /* message_type */ &column(messages, |m| m.message_type.as_str()),
                /* content */ &words(messages, |m| m.content),
                /* caption */ &words(messages, |m| m.caption),
                /* quoted_id */ &words(messages, |m| m.quoted_id),
                /* extra */ &words(messages, |m| m.extra.as_deref()),
                /* word */ &column(messages, |m| m.word.as_str()),
                /* contact_id */ &column(messages, |m| m.contact_id),
                /* group_id */ &column(messages, |m| m.group_id),
                /* park_as */ &column(messages, |m| m.park_as.as_ref()),
                /* at */ &column(messages, |m| m.at),
                /* forwarded */ &column(messages, |m| m.forwarded),
                /* location */ &words(messages, |m| m.location.as_deref()),
                /* history */ &column(messages, |m| m.history),
            ],
        )
        .await?;
    for row in &rows {
        let (what, configuration_id): (&str, i32) = (row.get(0), row.get(1));
        match what {
            "received" | "written" => {
                inserted.events |= what == "received";
                let message_id: String = row.get(3);
                if row.get(4) {
                    inserted.spoken_of.push((configuration_id, message_id.clone()));
                }
                if let Some(quoted) = row.get(5) {
                    inserted.quotes.push((configuration_id, message_id.clone(), quoted));
                }
                inserted.fresh.push((configuration_id, row.get(2), message_id));
            }
            "chat" => inserted.chats.push((configuration_id, row.get(2))),
            "known" => inserted.known_echoes.push((configuration_id, row.get(3))),
            _ => inserted.parked.push((configuration_id, row.get(3))),
        }
    }
    Ok(inserted)
}

fn column<'a, T>(messages: &'a [New<'a>], get: impl Fn(&'a New<'a>) -> T) -> Vec<T> {
    messages.iter().map(get).collect()
}

fn words<'a>(
    messages: &'a [New<'a>],
    get: impl Fn(&'a New<'a>) -> Option<&'a str>,
) -> Vec<Option<Text<'a>>> {
    messages.iter().map(|m| get(m).and_then(text)).collect()
}

/// Links answers to messages that were inserted by the same call: (account, the answer's id, the quoted id).
///
/// # Errors
/// The database's.
pub async fn link_quotes(
    client: &impl GenericClient,
    quotes: &[(i32, &str, &str)],
) -> Result<(), StoreError> {
    if quotes.is_empty() {
        return Ok(());
    }
    let sql = "-- odoo::message::link_quotes
        WITH target AS MATERIALIZED (
            SELECT m.id, q.id AS quoted
            FROM unnest($1::int4[], $2::text[], $3::text[]) AS i(configuration_id, message_id, quoted_id)
            JOIN public.whatsapp_message m ON m.configuration_id = i.configuration_id AND m.message_id = i.message_id
            JOIN public.whatsapp_message q ON q.configuration_id = i.configuration_id AND q.message_id = i.quoted_id
            WHERE m.reply_to_id IS NULL AND q.id <> m.id
            ORDER BY m.id FOR NO KEY UPDATE OF m)
        UPDATE public.whatsapp_message m SET reply_to_id = t.quoted, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE m.id = t.id";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* configuration_id */ &quotes.iter().map(|q| q.0).collect::<Vec<_>>(),
                /* message_id */ &quotes.iter().map(|q| text(q.1)).collect::<Vec<_>>(),
                /* quoted_id */ &quotes.iter().map(|q| text(q.2)).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

/// The common end of every statement that brings facts to messages: `input` (configuration_id, message_id,
/// the seven times, error_code, error_message) stands before it. Rows in which nothing changes are not touched;
/// the others are locked in the order of their ids. A message that fails for the first time becomes an event
/// for Odoo. Yields `done` (id, configuration_id, message_id, failed_now).
macro_rules! merge_facts {
    () => {
        "target AS MATERIALIZED (
            SELECT m.id, m.status AS former, i.pending_at, i.sent_at, i.failed_at, i.delivered_at, i.read_at,
                   i.played_at, i.deleted_at, i.error_code, i.error_message
            FROM input i JOIN public.whatsapp_message m
                 ON m.configuration_id = i.configuration_id AND m.message_id = i.message_id
            WHERE i.pending_at < coalesce(m.pending_at, 'infinity') OR i.sent_at < coalesce(m.sent_at, 'infinity')
               OR i.failed_at < coalesce(m.failed_at, 'infinity')
               OR i.delivered_at < coalesce(m.delivered_at, 'infinity')
               OR i.read_at < coalesce(m.read_at, 'infinity') OR i.played_at < coalesce(m.played_at, 'infinity')
               OR i.deleted_at < coalesce(m.deleted_at, 'infinity')
            ORDER BY m.id FOR NO KEY UPDATE OF m),
        done AS (
            UPDATE public.whatsapp_message m
            SET pending_at = least(m.pending_at, t.pending_at), sent_at = least(m.sent_at, t.sent_at),
                failed_at = least(m.failed_at, t.failed_at), delivered_at = least(m.delivered_at, t.delivered_at),
                read_at = least(m.read_at, t.read_at), played_at = least(m.played_at, t.played_at),
                deleted_at = least(m.deleted_at, t.deleted_at),
                status = wabridge.message_status(least(m.deleted_at, t.deleted_at),
                    least(m.played_at, t.played_at), least(m.read_at, t.read_at),
                    least(m.delivered_at, t.delivered_at), least(m.failed_at, t.failed_at),
                    least(m.sent_at, t.sent_at), least(m.pending_at, t.pending_at),
                    m.uncertain_at, m.cancelled_at, m.queued_at),
                error_code = CASE WHEN t.failed_at < coalesce(m.failed_at, 'infinity')
                                  THEN t.error_code ELSE m.error_code END,
                error_message = CASE WHEN t.failed_at < coalesce(m.failed_at, 'infinity')
                                     THEN t.error_message ELSE m.error_message END,
                write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
            FROM target t WHERE m.id = t.id
            RETURNING m.id, m.configuration_id, m.message_id,
                      m.status = 'failed' AND t.former IS DISTINCT FROM 'failed' AS failed_now),
        alerts AS (
            INSERT INTO public.whatsapp_event (kind, message_id, configuration_id, phase, attempts,
                   create_uid, create_date, write_uid, write_date)
            SELECT 'status_failed', d.id, d.configuration_id, 'new', 0,
                   1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM done d WHERE d.failed_now ORDER BY d.id)"
    };
}
pub(crate) use merge_facts;

/// Facts of one message, as providers told them; several words of one message are one entry.
#[derive(Debug, Clone, Default)]
pub struct Words<'a> {
    pub configuration_id: i32,
    pub message_id: &'a str,
    pub facts: wabridge_domain::message::Facts,
    /// Of the failure: our kind and the provider's words.
    pub error: Option<(&'static str, String)>,
}

/// What became of facts.
#[derive(Debug, Default)]
pub struct Merged {
    /// (account, row id) of messages that changed.
    pub changed: Vec<(i32, i32)>,
    /// True where Odoo has something to run for.
    pub events: bool,
}

impl Words<'_> {
    fn columns(words: &[Self]) -> Columns<'_> {
        let times = |get: fn(&Self) -> Option<Timestamp>| words.iter().map(get).collect::<Vec<_>>();
        Columns {
            accounts: words.iter().map(|w| w.configuration_id).collect(),
            ids: words.iter().map(|w| text(w.message_id)).collect(),
            times: [
                times(|w| w.facts.pending_at),
                times(|w| w.facts.sent_at),
                times(|w| w.facts.failed_at),
                times(|w| w.facts.delivered_at),
                times(|w| w.facts.read_at),
                times(|w| w.facts.played_at),
                times(|w| w.facts.deleted_at),
            ],
            codes: words.iter().map(|w| w.error.as_ref().map(|e| e.0)).collect(),
            texts: words.iter().map(|w| w.error.as_ref().and_then(|e| text(&e.1))).collect(),
        }
    }
}

/// [`Words`] as parameters of [`input!`].
struct Columns<'a> {
    accounts: Vec<i32>,
    ids: Vec<Option<Text<'a>>>,
    times: [Vec<Option<Timestamp>>; 7],
    codes: Vec<Option<&'static str>>,
    texts: Vec<Option<Text<'a>>>,
}

impl Columns<'_> {
    async fn query(
        &self,
        client: &impl GenericClient,
        sql: &str,
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let [pending, sent, failed, delivered, read, played, deleted] = &self.times;
        let statement = client.prepare_cached(sql).await?;
        let rows = client
            .query(
                &statement,
                &[
                    /* configuration_id */ &self.accounts,
                    /* message_id */ &self.ids,
                    /* pending_at */ pending,
                    /* sent_at */ sent,
                    /* failed_at */ failed,
                    /* delivered_at */ delivered,
                    /* read_at */ read,
                    /* played_at */ played,
                    /* deleted_at */ deleted,
                    /* error_code */ &self.codes,
                    /* error_message */ &self.texts,
                ],
            )
            .await?;
        Ok(rows)
    }
}

macro_rules! input {
    () => {
        "WITH input AS MATERIALIZED (
            SELECT i.configuration_id, i.message_id, i.error_code, i.error_message,
                   date_trunc('second', i.pending_at AT TIME ZONE 'UTC') AS pending_at,
                   date_trunc('second', i.sent_at AT TIME ZONE 'UTC') AS sent_at,
                   date_trunc('second', i.failed_at AT TIME ZONE 'UTC') AS failed_at,
                   date_trunc('second', i.delivered_at AT TIME ZONE 'UTC') AS delivered_at,
                   date_trunc('second', i.read_at AT TIME ZONE 'UTC') AS read_at,
                   date_trunc('second', i.played_at AT TIME ZONE 'UTC') AS played_at,
                   date_trunc('second', i.deleted_at AT TIME ZONE 'UTC') AS deleted_at
            FROM unnest($1::int4[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[],
                        $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::text[],
                        $11::text[])
                 AS i(configuration_id, message_id, pending_at, sent_at, failed_at, delivered_at, read_at,
                      played_at, deleted_at, error_code, error_message)), "
    };
}

/// Folds facts of messages that are not there yet into `early_event`: (account, the provider's id) of those.
///
/// # Errors
/// The database's.
pub async fn fold(
    client: &impl GenericClient,
    words: &[Words<'_>],
) -> Result<Vec<(i32, String)>, StoreError> {
    if words.is_empty() {
        return Ok(vec![]);
    }
    const SQL: &str = concat!(
        "-- odoo::message::fold
        ",
        input!(),
        "early AS (
            INSERT INTO wabridge.early_event AS e (configuration_id, target_id, kind, pending_at, sent_at,
                   failed_at, delivered_at, read_at, played_at, deleted_at, error_code, error_message)
            SELECT i.configuration_id, i.message_id, 'status', i.pending_at, i.sent_at, i.failed_at,
                   i.delivered_at, i.read_at, i.played_at, i.deleted_at, i.error_code, i.error_message
            FROM input i
            WHERE NOT EXISTS (SELECT 1 FROM public.whatsapp_message m
                              WHERE m.configuration_id = i.configuration_id AND m.message_id = i.message_id)
            ORDER BY i.configuration_id, i.message_id
            ON CONFLICT (configuration_id, target_id, kind, member) DO UPDATE
            SET pending_at = least(e.pending_at, EXCLUDED.pending_at),
                sent_at = least(e.sent_at, EXCLUDED.sent_at),
                failed_at = least(e.failed_at, EXCLUDED.failed_at),
                delivered_at = least(e.delivered_at, EXCLUDED.delivered_at),
                read_at = least(e.read_at, EXCLUDED.read_at),
                played_at = least(e.played_at, EXCLUDED.played_at),
                deleted_at = least(e.deleted_at, EXCLUDED.deleted_at),
                error_code = CASE WHEN EXCLUDED.failed_at < coalesce(e.failed_at, 'infinity')
                                  THEN EXCLUDED.error_code ELSE e.error_code END,
                error_message = CASE WHEN EXCLUDED.failed_at < coalesce(e.failed_at, 'infinity')
                                     THEN EXCLUDED.error_message ELSE e.error_message END
            RETURNING e.configuration_id, e.target_id)
        SELECT e.configuration_id, e.target_id FROM early e"
    );
    let rows = Words::columns(words).query(client, SQL).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Brings facts to their messages; those of unknown messages are [`fold`]ed before.
///
/// # Errors
/// The database's.
pub async fn merge(client: &impl GenericClient, words: &[Words<'_>]) -> Result<Merged, StoreError> {
    let mut merged = Merged::default();
    if words.is_empty() {
        return Ok(merged);
    }
    const SQL: &str = concat!(
        "-- odoo::message::merge
        ",
        input!(),
        merge_facts!(),
        " SELECT d.configuration_id, d.id, d.failed_now FROM done d"
    );
    let rows = Words::columns(words).query(client, SQL).await?;
    for row in &rows {
        merged.changed.push((row.get(0), row.get(1)));
        merged.events |= row.get::<_, bool>(2);
    }
    Ok(merged)
}

/// Locks messages in the order of their ids, before statements that each change some of them.
///
/// # Errors
/// The database's.
pub async fn lock(
    client: &impl GenericClient,
    (accounts, ids): &(Vec<i32>, Vec<Text<'_>>),
) -> Result<(), StoreError> {
    let sql = "-- odoo::message::lock
        SELECT m.id FROM public.whatsapp_message m
        WHERE (m.configuration_id, m.message_id) IN (SELECT i.configuration_id, i.message_id
            FROM unnest($1::int4[], $2::text[]) AS i(configuration_id, message_id))
        ORDER BY m.id FOR NO KEY UPDATE OF m";
    let statement = client.prepare_cached(sql).await?;
    client.query(&statement, &[/* configuration_id */ accounts, /* message_id */ ids]).await?;
    Ok(())
}
