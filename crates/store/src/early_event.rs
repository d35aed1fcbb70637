//! `wabridge.early_event`: what providers said of messages that are not there yet, messages that quote one of
//! those, and echoes of API sends that may be our own.
//!
//! Whoever writes here or gives a message its provider's id looks with [`stages`] after their own commit; a
//! sweep every few seconds finds what both missed. Lock order: written before messages are locked, by key; who
//! joins waits for nobody's entry, and locks messages after it.

use std::borrow::Cow;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use wabridge_domain::message::StatusWord;

use crate::odoo::message::merge_facts;
use crate::odoo::{revision, text};
use crate::{Session, StoreError, Tx};

/// What joining changed.
#[derive(Debug, Default)]
pub struct Joined {
    /// (account, row id) of messages that changed.
    pub changed: Vec<(i32, i32)>,
    /// True where Odoo has something to run for.
    pub events: bool,
}

/// What of early events is joined in one go: each locks the messages it changes in the order of their ids, so two
/// of them in one transaction could meet those of another the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Facts, of messages and of members.
    Facts,
    Edits,
    /// Messages that quote one which came later.
    Quotes,
}

/// (account, the provider's id) of messages.
pub type Targets = Vec<(i32, String)>;

/// Of these messages those that are there and of which something waits, by what it is. Locks nothing.
///
/// # Errors
/// The database's.
pub async fn stages(
    client: &impl GenericClient,
    targets: &[(i32, String)],
) -> Result<Vec<(Stage, Targets)>, StoreError> {
    if targets.is_empty() {
        return Ok(vec![]);
    }
    let (accounts, ids) = columns(targets);
    let statement = client.prepare_cached(STAGES).await?;
    let rows = client
        .query(&statement, &[/* configuration_id */ &accounts, /* message_id */ &ids])
        .await?;
    Ok(by_stage(&rows))
}

/// As [`stages`], outside a transaction.
///
/// # Errors
/// The database's.
pub async fn stages_of(
    session: &Session,
    targets: &[(i32, String)],
) -> Result<Vec<(Stage, Targets)>, StoreError> {
    if targets.is_empty() {
        return Ok(vec![]);
    }
    let (accounts, ids) = columns(targets);
    let statement = session.prepare_cached(STAGES).await?;
    let rows = session
        .query(&statement, &[/* configuration_id */ &accounts, /* message_id */ &ids])
        .await?;
    Ok(by_stage(&rows))
}

const STAGES: &str = "-- early_event::stages
    SELECT DISTINCT CASE e.kind WHEN 'edit' THEN 1 WHEN 'quote' THEN 2 ELSE 0 END, e.configuration_id, e.target_id
    FROM unnest($1::int4[], $2::text[]) AS i(configuration_id, message_id)
    JOIN wabridge.early_event e ON e.configuration_id = i.configuration_id AND e.target_id = i.message_id
    WHERE EXISTS (SELECT 1 FROM public.whatsapp_message m
                  WHERE m.configuration_id = e.configuration_id AND m.message_id = e.target_id)
    ORDER BY 1, 2, 3";

fn by_stage(rows: &[tokio_postgres::Row]) -> Vec<(Stage, Targets)> {
    let mut found: Vec<(Stage, Targets)> = Vec::new();
    for row in rows {
        let stage = match row.get::<_, i32>(0) {
            0 => Stage::Facts,
            1 => Stage::Edits,
            _ => Stage::Quotes,
        };
        let target = (row.get(1), row.get(2));
        match found.last_mut() {
            Some((last, targets)) if *last == stage => targets.push(target),
            _ => found.push((stage, vec![target])),
        }
    }
    found
}

/// Brings what waits for these messages to them, as far as they are there. What another session is at is left
/// to it.
///
/// # Errors
/// The database's.
pub async fn join_stage(
    tx: &Tx<'_>,
    stage: Stage,
    targets: &[(i32, String)],
) -> Result<Joined, StoreError> {
    match stage {
        Stage::Facts => join_facts(tx, targets).await,
        Stage::Edits => join_edits(tx, targets).await,
        Stage::Quotes => join_quotes(tx, targets).await,
    }
}

/// Facts and edits of messages that this very transaction inserted: nobody else holds them. Quotes change
/// other messages, they come after the commit.
///
/// # Errors
/// The database's.
pub async fn join_new(tx: &Tx<'_>, targets: &[(i32, String)]) -> Result<Joined, StoreError> {
    let mut joined = Joined::default();
    for (stage, targets) in stages(tx, targets).await? {
        if stage != Stage::Quotes {
            joined.add(join_stage(tx, stage, &targets).await?);
        }
    }
    Ok(joined)
}

impl Joined {
    fn add(&mut self, other: Joined) {
        self.changed.extend(other.changed);
        self.events |= other.events;
    }
}

fn columns(targets: &[(i32, String)]) -> (Vec<i32>, Vec<&str>) {
    targets.iter().map(|(account, id)| (*account, id.as_str())).unzip()
}

async fn join_facts(tx: &Tx<'_>, targets: &[(i32, String)]) -> Result<Joined, StoreError> {
    let mut joined = Joined::default();
    let (accounts, ids) = columns(targets);
    let statement = tx.prepare_cached(JOIN).await?;
    for row in
        tx.query(&statement, &[/* configuration_id */ &accounts, /* message_id */ &ids]).await?
    {
        joined.changed.push((row.get(0), row.get(1)));
        joined.events |= row.get::<_, bool>(2);
    }
    joined.changed.extend(join_members(tx, targets).await?);
    Ok(joined)
}

/// Makes receipts of the words of members; (account, row id) of the messages they are about.
///
/// # Errors
/// The database's.
pub async fn join_members(
    tx: &Tx<'_>,
    targets: &[(i32, String)],
) -> Result<Vec<(i32, i32)>, StoreError> {
    if targets.is_empty() {
        return Ok(vec![]);
    }
    let (accounts, ids) = columns(targets);
    let statement = tx.prepare_cached(JOIN_MEMBERS).await?;
    let rows =
        tx.query(&statement, &[/* configuration_id */ &accounts, /* message_id */ &ids]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn join_edits(tx: &Tx<'_>, targets: &[(i32, String)]) -> Result<Joined, StoreError> {
    let sql = "-- early_event::take_edits
        WITH early AS MATERIALIZED (
            SELECT e.configuration_id, e.target_id, e.member, e.at, e.payload
            FROM wabridge.early_event e
            JOIN (SELECT DISTINCT i.configuration_id, i.message_id
                  FROM unnest($1::int4[], $2::text[]) AS i(configuration_id, message_id)) i
                 ON i.configuration_id = e.configuration_id AND i.message_id = e.target_id
            WHERE e.kind = 'edit' AND EXISTS (
                SELECT 1 FROM public.whatsapp_message m
                WHERE m.configuration_id = e.configuration_id AND m.message_id = e.target_id)
            ORDER BY e.configuration_id, e.target_id, e.member FOR UPDATE OF e SKIP LOCKED)
        DELETE FROM wabridge.early_event e USING early g
        WHERE e.configuration_id = g.configuration_id AND e.target_id = g.target_id AND e.kind = 'edit'
          AND e.member = g.member
        RETURNING e.configuration_id, e.target_id, e.member, e.at AT TIME ZONE 'UTC', e.payload->>'content',
                  e.payload->>'caption'";
    let (accounts, ids) = columns(targets);
    let statement = tx.prepare_cached(sql).await?;
    let rows =
        tx.query(&statement, &[/* configuration_id */ &accounts, /* message_id */ &ids]).await?;
    let edits: Vec<revision::New<'_>> = rows
        .iter()
        .map(|row| revision::New {
            configuration_id: row.get(0),
            message_id: Cow::Borrowed(row.get(1)),
            edit_id: Cow::Borrowed(row.get(2)),
            at: row.get(3),
            content: row.get::<_, Option<&str>>(4).map(Cow::Borrowed),
            caption: row.get::<_, Option<&str>>(5).map(Cow::Borrowed),
        })
        .collect();
    let changed = revision::apply(tx, &edits).await?;
    Ok(Joined { events: !changed.is_empty(), changed })
}

async fn join_quotes(tx: &Tx<'_>, targets: &[(i32, String)]) -> Result<Joined, StoreError> {
    let sql = "-- early_event::join_quotes
        WITH early AS MATERIALIZED (
            SELECT e.configuration_id, e.target_id, e.member, q.id AS quoted
            FROM wabridge.early_event e
            JOIN (SELECT DISTINCT i.configuration_id, i.message_id
                  FROM unnest($1::int4[], $2::text[]) AS i(configuration_id, message_id)) i
                 ON i.configuration_id = e.configuration_id AND i.message_id = e.target_id
            JOIN public.whatsapp_message q ON q.configuration_id = e.configuration_id AND q.message_id = e.target_id
            WHERE e.kind = 'quote'
            ORDER BY e.configuration_id, e.target_id, e.member FOR UPDATE OF e SKIP LOCKED),
        target AS MATERIALIZED (
            SELECT m.id, e.quoted FROM early e JOIN public.whatsapp_message m
                 ON m.configuration_id = e.configuration_id AND m.message_id = e.member
            WHERE m.reply_to_id IS NULL AND m.id <> e.quoted
            ORDER BY m.id FOR NO KEY UPDATE OF m),
        gone AS (
            DELETE FROM wabridge.early_event e USING early g
            WHERE e.configuration_id = g.configuration_id AND e.target_id = g.target_id AND e.kind = 'quote'
              AND e.member = g.member)
        UPDATE public.whatsapp_message m SET reply_to_id = t.quoted, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE m.id = t.id
        RETURNING m.configuration_id, m.id";
    let (accounts, ids) = columns(targets);
    let statement = tx.prepare_cached(sql).await?;
    let rows =
        tx.query(&statement, &[/* configuration_id */ &accounts, /* message_id */ &ids]).await?;
    Ok(Joined { changed: rows.iter().map(|row| (row.get(0), row.get(1))).collect(), events: false })
}

/// Keeps edits of messages that are not there yet, one row each: (account, the provider's id) of those messages.
///
/// # Errors
/// The database's.
pub async fn fold_edits(
    client: &impl GenericClient,
    edits: &[revision::New<'_>],
) -> Result<Targets, StoreError> {
    if edits.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- early_event::fold_edits
        WITH input AS MATERIALIZED (
            SELECT DISTINCT ON (i.configuration_id, i.target_id, i.member) i.configuration_id, i.target_id, i.member,
                   i.at, i.content, i.caption
            FROM unnest($1::int4[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])
                 AS i(configuration_id, target_id, member, at, content, caption)
            WHERE NOT EXISTS (SELECT 1 FROM public.whatsapp_message m
                              WHERE m.configuration_id = i.configuration_id AND m.message_id = i.target_id)
            ORDER BY i.configuration_id, i.target_id, i.member),
        early AS (
            INSERT INTO wabridge.early_event (configuration_id, target_id, kind, member, at, payload)
            SELECT i.configuration_id, i.target_id, 'edit', i.member, date_trunc('second', i.at AT TIME ZONE 'UTC'),
                   jsonb_build_object('content', i.content, 'caption', i.caption)
            FROM input i
            ORDER BY i.configuration_id, i.target_id, i.member
            ON CONFLICT (configuration_id, target_id, kind, member) DO NOTHING)
        SELECT DISTINCT i.configuration_id, i.target_id FROM input i";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */
                &edits.iter().map(|e| e.configuration_id).collect::<Vec<_>>(),
                /* target_id */ &edits.iter().map(|e| &*e.message_id).collect::<Vec<_>>(),
                /* member */ &edits.iter().map(|e| &*e.edit_id).collect::<Vec<_>>(),
                /* at */ &edits.iter().map(|e| e.at).collect::<Vec<_>>(),
                /* content */
                &edits.iter().map(|e| e.content.as_deref()).collect::<Vec<_>>(),
                /* caption */
                &edits.iter().map(|e| e.caption.as_deref()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Notes which messages quote one that is not there yet: (account, the id of the one that quotes, the quoted id).
///
/// # Errors
/// The database's.
pub async fn fold_quotes(
    client: &impl GenericClient,
    quotes: &[(i32, String, String)],
) -> Result<(), StoreError> {
    if quotes.is_empty() {
        return Ok(());
    }
    let sql = "-- early_event::fold_quotes
        INSERT INTO wabridge.early_event (configuration_id, target_id, kind, member)
        SELECT i.configuration_id, i.target_id, 'quote', i.member
        FROM unnest($1::int4[], $2::text[], $3::text[]) AS i(configuration_id, member, target_id)
        ORDER BY i.configuration_id, i.target_id, i.member
        ON CONFLICT (configuration_id, target_id, kind, member) DO NOTHING";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* configuration_id */ &quotes.iter().map(|q| q.0).collect::<Vec<_>>(),
                /* member */ &quotes.iter().map(|q| q.1.as_str()).collect::<Vec<_>>(),
                /* target_id */ &quotes.iter().map(|q| q.2.as_str()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

const JOIN: &str = concat!(
    "-- early_event::join
    WITH early AS MATERIALIZED (
        SELECT e.configuration_id, e.target_id, e.kind, e.pending_at, e.sent_at, e.failed_at, e.delivered_at,
               e.read_at, e.played_at, e.deleted_at, e.error_code, e.error_message, e.first_at
        FROM wabridge.early_event e
        JOIN (SELECT DISTINCT i.configuration_id, i.message_id
              FROM unnest($1::int4[], $2::text[]) AS i(configuration_id, message_id)) i
             ON i.configuration_id = e.configuration_id AND i.message_id = e.target_id
        WHERE e.member = '' AND e.kind IN ('status', 'echo') AND EXISTS (
            SELECT 1 FROM public.whatsapp_message m
            WHERE m.configuration_id = e.configuration_id AND m.message_id = e.target_id)
        ORDER BY e.configuration_id, e.target_id, e.kind FOR UPDATE OF e SKIP LOCKED),
    input AS MATERIALIZED (
        SELECT e.configuration_id, e.target_id AS message_id, min(e.pending_at) AS pending_at,
               min(e.sent_at) AS sent_at, min(e.failed_at) AS failed_at, min(e.delivered_at) AS delivered_at,
               min(e.read_at) AS read_at, min(e.played_at) AS played_at, min(e.deleted_at) AS deleted_at,
               (array_agg(e.error_code ORDER BY e.failed_at))[1] AS error_code,
               (array_agg(e.error_message ORDER BY e.failed_at))[1] AS error_message
        FROM early e GROUP BY e.configuration_id, e.target_id), ",
    merge_facts!(),
    ", gone AS (
        DELETE FROM wabridge.early_event e USING early g
        WHERE e.configuration_id = g.configuration_id AND e.target_id = g.target_id AND e.kind = g.kind
          AND e.member = ''),
    noted AS (
        INSERT INTO wabridge.decision (message_id, kind, parameters)
        SELECT m.id, CASE e.kind WHEN 'echo' THEN 'echo_parked' ELSE 'early_joined' END,
               jsonb_build_object('seconds', round(extract(epoch FROM clock_timestamp() - e.first_at)::numeric, 1))
        FROM early e JOIN public.whatsapp_message m
             ON m.configuration_id = e.configuration_id AND m.message_id = e.target_id)
    SELECT d.configuration_id, d.id, d.failed_now FROM done d"
);

const JOIN_MEMBERS: &str = "-- early_event::join_members
    WITH early AS MATERIALIZED (
        SELECT e.configuration_id, e.target_id, e.kind, e.member, e.delivered_at, e.read_at, e.played_at,
               e.failed_at, m.id AS message_id, c.id AS contact_id
        FROM wabridge.early_event e
        JOIN (SELECT DISTINCT i.configuration_id, i.message_id
              FROM unnest($1::int4[], $2::text[]) AS i(configuration_id, message_id)) i
             ON i.configuration_id = e.configuration_id AND i.message_id = e.target_id
        JOIN public.whatsapp_message m
             ON m.configuration_id = e.configuration_id AND m.message_id = e.target_id
        JOIN wabridge.identity d
             ON d.configuration_id = e.configuration_id AND d.kind = 'contact_id' AND d.value = e.member
        JOIN public.whatsapp_contact c ON c.id = d.contact_id
        WHERE e.member <> '' AND e.kind = 'status'
        ORDER BY e.configuration_id, e.target_id, e.member FOR UPDATE OF e SKIP LOCKED),
    told AS MATERIALIZED (
        -- One person may have had two ids.
        SELECT e.message_id, e.contact_id, min(e.delivered_at) AS delivered_at, min(e.read_at) AS read_at,
               min(e.played_at) AS played_at, min(e.failed_at) AS failed_at
        FROM early e GROUP BY e.message_id, e.contact_id),
    target AS MATERIALIZED (
        SELECT r.id, e.delivered_at, e.read_at, e.played_at, e.failed_at
        FROM told e JOIN public.whatsapp_message_receipt r
             ON r.message_id = e.message_id AND r.contact_id = e.contact_id
        WHERE e.delivered_at < coalesce(r.delivered_at, 'infinity') OR e.read_at < coalesce(r.read_at, 'infinity')
           OR e.played_at < coalesce(r.played_at, 'infinity') OR e.failed_at < coalesce(r.failed_at, 'infinity')
        ORDER BY r.id FOR NO KEY UPDATE OF r),
    updated AS (
        UPDATE public.whatsapp_message_receipt r
        SET delivered_at = least(r.delivered_at, t.delivered_at), read_at = least(r.read_at, t.read_at),
            played_at = least(r.played_at, t.played_at), failed_at = least(r.failed_at, t.failed_at),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE r.id = t.id
        RETURNING r.message_id),
    inserted AS (
        INSERT INTO public.whatsapp_message_receipt AS r (message_id, contact_id, delivered_at, read_at,
               played_at, failed_at, create_uid, create_date, write_uid, write_date)
        SELECT e.message_id, e.contact_id, e.delivered_at, e.read_at, e.played_at, e.failed_at,
               1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
        FROM told e
        WHERE NOT EXISTS (SELECT 1 FROM public.whatsapp_message_receipt r
                          WHERE r.message_id = e.message_id AND r.contact_id = e.contact_id)
        ORDER BY e.message_id, e.contact_id
        -- Two sessions at once: nothing may be lost, the entry in early_event goes away below.
        ON CONFLICT (message_id, contact_id) DO UPDATE
        SET delivered_at = least(r.delivered_at, EXCLUDED.delivered_at),
            read_at = least(r.read_at, EXCLUDED.read_at), played_at = least(r.played_at, EXCLUDED.played_at),
            failed_at = least(r.failed_at, EXCLUDED.failed_at)
        RETURNING r.message_id),
    gone AS (
        DELETE FROM wabridge.early_event e USING early g
        WHERE e.configuration_id = g.configuration_id AND e.target_id = g.target_id AND e.kind = g.kind
          AND e.member = g.member)
    SELECT DISTINCT e.configuration_id, e.message_id FROM early e
    WHERE e.message_id IN (SELECT u.message_id FROM updated u UNION ALL SELECT n.message_id FROM inserted n)";

/// What one member of a group did with a message.
#[derive(Debug, Clone, Copy)]
pub struct MemberWord<'a> {
    pub configuration_id: i32,
    pub message_id: &'a str,
    pub member: &'a str,
    pub word: StatusWord,
    pub at: Timestamp,
}

/// Notes words of members; [`join_members`] makes receipts of them, now or when the message comes.
///
/// # Errors
/// The database's.
pub async fn fold_members(
    client: &impl GenericClient,
    words: &[MemberWord<'_>],
) -> Result<(), StoreError> {
    if words.is_empty() {
        return Ok(());
    }
    let sql = "-- early_event::fold_members
        INSERT INTO wabridge.early_event AS e (configuration_id, target_id, kind, member, delivered_at, read_at,
               played_at, failed_at)
        SELECT i.configuration_id, i.message_id, 'status', i.member,
               date_trunc('second', min(i.at) FILTER (WHERE i.word = 'delivered') AT TIME ZONE 'UTC'),
               date_trunc('second', min(i.at) FILTER (WHERE i.word = 'read') AT TIME ZONE 'UTC'),
               date_trunc('second', min(i.at) FILTER (WHERE i.word = 'played') AT TIME ZONE 'UTC'),
               date_trunc('second', min(i.at) FILTER (WHERE i.word = 'failed') AT TIME ZONE 'UTC')
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
             AS i(configuration_id, message_id, member, word, at)
        GROUP BY i.configuration_id, i.message_id, i.member
        ORDER BY i.configuration_id, i.message_id, i.member
        ON CONFLICT (configuration_id, target_id, kind, member) DO UPDATE
        SET delivered_at = least(e.delivered_at, EXCLUDED.delivered_at),
            read_at = least(e.read_at, EXCLUDED.read_at), played_at = least(e.played_at, EXCLUDED.played_at),
            failed_at = least(e.failed_at, EXCLUDED.failed_at)";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* configuration_id */
                &words.iter().map(|w| w.configuration_id).collect::<Vec<_>>(),
                /* message_id */
                &words.iter().map(|w| text(w.message_id)).collect::<Vec<_>>(),
                /* member */ &words.iter().map(|w| text(w.member)).collect::<Vec<_>>(),
                /* word */ &words.iter().map(|w| w.word.as_str()).collect::<Vec<_>>(),
                /* at */ &words.iter().map(|w| w.at).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

/// Targets whose message is there by now, first noted at most `age_s` seconds ago.
///
/// # Errors
/// The database's.
pub async fn ripe(
    client: &impl GenericClient,
    age_s: i32,
    limit: i64,
) -> Result<Vec<(i32, String)>, StoreError> {
    let sql = "-- early_event::ripe
        SELECT DISTINCT e.configuration_id, e.target_id
        FROM wabridge.early_event e JOIN public.whatsapp_message m
             ON m.configuration_id = e.configuration_id AND m.message_id = e.target_id
        WHERE e.first_at > now() - make_interval(secs => $1)
          AND (e.member = '' OR e.kind <> 'status' OR EXISTS (
              SELECT 1 FROM wabridge.identity d
              WHERE d.configuration_id = e.configuration_id AND d.kind = 'contact_id' AND d.value = e.member))
        ORDER BY 1, 2 LIMIT $2";
    let statement = client.prepare_cached(sql).await?;
    let rows =
        client.query(&statement, &[/* age_s */ &f64::from(age_s), /* limit */ &limit]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// An echo that is nobody's answer any more.
#[derive(Debug, Clone)]
pub struct Echo {
    pub configuration_id: i32,
    pub provider: String,
    pub target_id: String,
    pub payload: serde_json::Value,
}

/// Parked echoes whose message is not there and which no call of ours can claim any more, after a day all of
/// them: (account, the provider's id).
///
/// # Errors
/// The database's.
pub async fn released(
    client: &impl GenericClient,
    limit: i64,
) -> Result<Vec<(i32, String)>, StoreError> {
    let sql = "-- early_event::released
        SELECT e.configuration_id, e.target_id
        FROM wabridge.early_event e
        WHERE e.kind = 'echo' AND e.payload IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM public.whatsapp_message m
                          WHERE m.configuration_id = e.configuration_id AND m.message_id = e.target_id)
          AND (e.first_at < now() - make_interval(days => 1) OR NOT EXISTS (
                   -- Calls that began before the echo came; later ones are not its own.
                   SELECT 1 FROM wabridge.attempt t WHERE t.configuration_id = e.configuration_id
                   AND t.finished_at IS NULL AND t.started_at <= e.first_at
                   AND (t.outcome IS NULL OR t.chat_key = e.chat_key))
               AND NOT EXISTS (
                   SELECT 1 FROM wabridge.attempt t WHERE t.configuration_id = e.configuration_id
                   AND t.applied_at IS NULL AND t.started_at <= e.first_at
                   AND (t.outcome = 'accepted' OR t.chat_key = e.chat_key))
               AND NOT EXISTS (
                   SELECT 1 FROM wabridge.outbox o WHERE o.configuration_id = e.configuration_id
                   AND o.chat_key = e.chat_key AND o.uncertain_since IS NOT NULL))
        ORDER BY e.configuration_id, e.target_id LIMIT $1";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* limit */ &limit]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Takes these echoes out, as far as nobody else is at them: the caller makes messages of them in the same
/// transaction.
///
/// # Errors
/// The database's.
pub async fn take_echoes(tx: &Tx<'_>, targets: &[(i32, String)]) -> Result<Vec<Echo>, StoreError> {
    let sql = "-- early_event::take_echoes
        WITH free AS MATERIALIZED (
            SELECT e.configuration_id, e.target_id, a.provider, e.payload
            FROM unnest($1::int4[], $2::text[]) AS i(configuration_id, target_id)
            JOIN wabridge.early_event e
                 ON e.configuration_id = i.configuration_id AND e.target_id = i.target_id AND e.kind = 'echo'
            JOIN public.whatsapp_configuration a ON a.id = e.configuration_id
            WHERE e.payload IS NOT NULL
            ORDER BY e.configuration_id, e.target_id FOR UPDATE OF e SKIP LOCKED)
        DELETE FROM wabridge.early_event e USING free f
        WHERE e.configuration_id = f.configuration_id AND e.target_id = f.target_id AND e.kind = 'echo'
        RETURNING e.configuration_id, f.provider, e.target_id, f.payload";
    let statement = tx.prepare_cached(sql).await?;
    let accounts: Vec<i32> = targets.iter().map(|(id, _)| *id).collect();
    let ids: Vec<&str> = targets.iter().map(|(_, id)| id.as_str()).collect();
    let rows =
        tx.query(&statement, &[/* configuration_id */ &accounts, /* target_id */ &ids]).await?;
    Ok(rows
        .iter()
        .map(|row| Echo {
            configuration_id: row.get(0),
            provider: row.get(1),
            target_id: row.get(2),
            payload: row.get(3),
        })
        .collect())
}

/// Lets an echo rest that the database refuses as a message: its bytes are in the journal, and nobody tries again.
///
/// # Errors
/// The database's.
pub async fn give_up_echo(
    client: &impl GenericClient,
    (configuration_id, target_id): &(i32, String),
) -> Result<(), StoreError> {
    let sql = "-- early_event::give_up_echo
        UPDATE wabridge.early_event SET payload = NULL
        WHERE configuration_id = $1 AND target_id = $2 AND kind = 'echo'";
    client
        .execute(sql, &[/* configuration_id */ configuration_id, /* target_id */ target_id])
        .await?;
    Ok(())
}

/// Forgets words about messages that never came, first noted more than `days` days ago. Returns how many.
///
/// # Errors
/// The database's.
pub async fn expire(client: &impl GenericClient, days: i32) -> Result<u64, StoreError> {
    let sql = "-- early_event::expire
        DELETE FROM wabridge.early_event e WHERE (e.kind <> 'echo' OR e.payload IS NULL)
        AND e.first_at < now() - make_interval(days => $1)";
    Ok(client.execute(sql, &[/* days */ &days]).await?)
}
