//! `whatsapp_chat` (configuration_id, chat_id, name, contact_id, group_id, unread_count, log columns; the
//! last_* columns are written together with the messages, see [`super::message`]), owned by the daemon.
//!
//! Lock order: after contacts and groups, before messages; by account and chat id on insert, by row id on update.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use jiff::civil::DateTime;
use tokio_postgres::Row;

use super::{second, text};
use crate::StoreError;

/// What an event, or a send, tells of a chat.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub configuration_id: i32,
    /// The provider's id.
    pub chat_id: &'a str,
    /// Of a broadcast channel; people and groups have their names in their own rows.
    pub name: Option<&'a str>,
    pub contact_id: Option<i32>,
    pub group_id: Option<i32>,
}

/// What the rows of chats have already, by account and the provider's id.
#[derive(Debug, Default)]
pub struct Looked(HashMap<(i32, String), Has>);

#[derive(Debug, Clone, Copy)]
struct Has {
    name: bool,
    contact: bool,
    group: bool,
}

/// Reads what [`ensure_after`] needs to know, before it is known who the contacts and groups are.
///
/// # Errors
/// The database's.
pub async fn look(
    client: &impl GenericClient,
    chats: &BTreeSet<(i32, &str)>,
) -> Result<Looked, StoreError> {
    if chats.is_empty() {
        return Ok(Looked::default());
    }
    let sql = "-- odoo::chat::look
        SELECT i.configuration_id, i.chat_id, c.name IS NOT NULL, c.contact_id IS NOT NULL, c.group_id IS NOT NULL
        FROM unnest($1::int4[], $2::text[]) AS i(configuration_id, chat_id)
        JOIN public.whatsapp_chat c ON c.configuration_id = i.configuration_id AND c.chat_id = i.chat_id";
    let (accounts, ids): (Vec<i32>, Vec<_>) =
        chats.iter().map(|(account, id)| (*account, text(id))).unzip();
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* accounts */ &accounts, /* ids */ &ids]).await?;
    let has = |row: &Row| Has { name: row.get(2), contact: row.get(3), group: row.get(4) };
    Ok(Looked(rows.iter().map(|row| ((row.get(0), row.get(1)), has(row))).collect()))
}

/// Makes the missing chats and links those that had neither contact nor group. Returns (account, row id) of
/// what was written; what is known already is only read.
///
/// # Errors
/// The database's.
pub async fn ensure(
    client: &impl GenericClient,
    chats: &[Seen<'_>],
) -> Result<Vec<(i32, i32)>, StoreError> {
    let keys = chats.iter().map(|seen| (seen.configuration_id, seen.chat_id)).collect();
    let looked = look(client, &keys).await?;
    ensure_after(client, chats, &looked).await
}

/// As [`ensure`], after a [`look`] at these chats in the same transaction.
///
/// # Errors
/// The database's.
pub async fn ensure_after(
    client: &impl GenericClient,
    chats: &[Seen<'_>],
    looked: &Looked,
) -> Result<Vec<(i32, i32)>, StoreError> {
    let mut by_key: BTreeMap<(i32, &str), Seen<'_>> = BTreeMap::new();
    for seen in chats {
        by_key
            .entry((seen.configuration_id, seen.chat_id))
            .and_modify(|kept| {
                kept.name = kept.name.or(seen.name);
                kept.contact_id = kept.contact_id.or(seen.contact_id);
                kept.group_id = kept.group_id.or(seen.group_id);
            })
            .or_insert(*seen);
    }
    if by_key.is_empty() {
        return Ok(vec![]);
    }
    let chats: Vec<Seen<'_>> = by_key.into_values().collect();
    let mut missing = Vec::new();
    let mut stale = false;
    for seen in &chats {
        let key = text(seen.chat_id).map(|id| (seen.configuration_id, id.into_owned()));
        match key.and_then(|key| looked.0.get(&key)) {
            None => missing.push(*seen),
            Some(has) => {
                stale |= !has.contact && seen.contact_id.is_some()
                    || !has.group && seen.group_id.is_some()
                    || !has.name && seen.name.and_then(text).is_some();
            }
        }
    }
    let mut written = Vec::new();
    // First, so that whoever waits for another's new chat holds no row that the other may want.
    if !missing.is_empty() {
        let sql = "-- odoo::chat::insert
            INSERT INTO public.whatsapp_chat (configuration_id, chat_id, name, contact_id, group_id, unread_count,
                   create_uid, create_date, write_uid, write_date)
            SELECT i.configuration_id, i.chat_id, i.name, i.contact_id, i.group_id, 0,
                   1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM unnest($1::int4[], $2::text[], $3::text[], $4::int4[], $5::int4[])
                 AS i(configuration_id, chat_id, name, contact_id, group_id)
            ORDER BY i.configuration_id, i.chat_id
            ON CONFLICT (configuration_id, chat_id) DO NOTHING
            RETURNING configuration_id, id";
        written.extend(run(client, sql, &missing).await?);
    }
    if stale {
        // All of them are locked, also those that stay: whoever writes messages locks them in this order next.
        let sql = "-- odoo::chat::link
            WITH target AS MATERIALIZED (
                SELECT c.id,
                       coalesce(c.contact_id IS NULL AND i.contact_id IS NOT NULL
                                OR c.group_id IS NULL AND i.group_id IS NOT NULL
                                OR c.name IS NULL AND i.name IS NOT NULL, false) AS changes, coalesce(c.name, i.name) AS name, coalesce(c.contact_id, i.contact_id) AS contact_id,
                       coalesce(c.group_id, i.group_id) AS group_id
                FROM unnest($1::int4[], $2::text[], $3::text[], $4::int4[], $5::int4[])
                     AS i(configuration_id, chat_id, name, contact_id, group_id)
                JOIN public.whatsapp_chat c ON c.configuration_id = i.configuration_id AND c.chat_id = i.chat_id
                ORDER BY c.id FOR NO KEY UPDATE OF c)
            UPDATE public.whatsapp_chat c SET name = t.name, contact_id = t.contact_id, group_id = t.group_id,
                   write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
            FROM target t WHERE c.id = t.id AND t.changes
            RETURNING c.configuration_id, c.id";
        written.extend(run(client, sql, &chats).await?);
    }
    Ok(written.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn run(
    client: &impl GenericClient,
    sql: &str,
    chats: &[Seen<'_>],
) -> Result<Vec<tokio_postgres::Row>, StoreError> {
    fn column<'a, T>(chats: &[Seen<'a>], get: impl Fn(&Seen<'a>) -> T) -> Vec<T> {
        chats.iter().map(get).collect()
    }
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &column(chats, |c| c.configuration_id),
                /* chat_id */ &column(chats, |c| text(c.chat_id)),
                /* name */ &column(chats, |c| c.name.and_then(text)),
                /* contact_id */ &column(chats, |c| c.contact_id),
                /* group_id */ &column(chats, |c| c.group_id),
            ],
        )
        .await?;
    Ok(rows)
}

/// What a provider says of a chat's counter.
#[derive(Debug, Clone, Copy)]
pub struct Count<'a> {
    pub configuration_id: i32,
    pub chat_id: &'a str,
    pub at: Timestamp,
    /// Messages not read yet.
    pub unread: i32,
}

/// Takes the latest count of each chat, and counts on from it: what came in later is not in it. Returns (account, row
/// id) of what was written.
///
/// # Errors
/// The database's.
pub async fn count(
    client: &impl GenericClient,
    counts: &[Count<'_>],
) -> Result<Vec<(i32, i32)>, StoreError> {
    let mut latest: BTreeMap<(i32, &str), (DateTime, i32)> = BTreeMap::new();
    for count in counts {
        let new = (second(count.at), count.unread);
        let kept = latest.entry((count.configuration_id, count.chat_id)).or_insert(new);
        *kept = (*kept).max(new);
    }
    if latest.is_empty() {
        return Ok(vec![]);
    }
    // Waits for the locks; only the next statement sees what their holders wrote.
    let sql = "-- odoo::chat::lock_to_count
        SELECT c.id
        FROM unnest($1::int4[], $2::text[], $3::timestamp[], $4::int4[]) AS i(configuration_id, chat_id, at, unread)
        JOIN public.whatsapp_chat c ON c.configuration_id = i.configuration_id AND c.chat_id = i.chat_id
        LEFT JOIN wabridge.chat_fact f ON f.chat_id = c.id
        WHERE f.chat_id IS NULL OR (i.at, i.unread) > (f.at, f.unread)
        ORDER BY c.id FOR NO KEY UPDATE OF c";
    if run_counts(client, sql, &latest).await?.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- odoo::chat::count
        WITH target AS MATERIALIZED (
            SELECT c.id, i.at, i.unread, i.unread + (
                       SELECT count(*)::int4 FROM (
                           SELECT m.timestamp, m.direction, m.message_type FROM public.whatsapp_message m
                           WHERE m.configuration_id = i.configuration_id AND m.chat_id = i.chat_id
                           ORDER BY m.id DESC LIMIT 1000) m
                       WHERE m.direction = 'inbound' AND m.timestamp > i.at
                         AND m.message_type NOT IN ('reaction', 'system')) AS now_unread
            FROM unnest($1::int4[], $2::text[], $3::timestamp[], $4::int4[]) AS i(configuration_id, chat_id, at, unread)
            JOIN public.whatsapp_chat c ON c.configuration_id = i.configuration_id AND c.chat_id = i.chat_id
            LEFT JOIN wabridge.chat_fact f ON f.chat_id = c.id
            WHERE f.chat_id IS NULL OR (i.at, i.unread) > (f.at, f.unread)),
        told AS (
            INSERT INTO wabridge.chat_fact (chat_id, at, unread)
            SELECT t.id, t.at, t.unread FROM target t ORDER BY t.id
            ON CONFLICT (chat_id) DO UPDATE SET at = EXCLUDED.at, unread = EXCLUDED.unread)
        UPDATE public.whatsapp_chat c SET unread_count = t.now_unread, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE c.id = t.id AND c.unread_count IS DISTINCT FROM t.now_unread
        RETURNING c.configuration_id, c.id";
    let rows = run_counts(client, sql, &latest).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn run_counts(
    client: &impl GenericClient,
    sql: &str,
    counts: &BTreeMap<(i32, &str), (DateTime, i32)>,
) -> Result<Vec<tokio_postgres::Row>, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &counts.keys().map(|k| k.0).collect::<Vec<_>>(),
                /* chat_id */ &counts.keys().map(|k| text(k.1)).collect::<Vec<_>>(),
                /* at */ &counts.values().map(|v| v.0).collect::<Vec<_>>(),
                /* unread */ &counts.values().map(|v| v.1).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows)
}

/// Locks chats in the order of their ids, before statements that each change some of them.
///
/// # Errors
/// The database's.
pub async fn lock(client: &impl GenericClient, chats: &[(i32, &str)]) -> Result<(), StoreError> {
    let sql = "-- odoo::chat::lock
        SELECT c.id FROM public.whatsapp_chat c
        WHERE (c.configuration_id, c.chat_id) IN (SELECT i.configuration_id, i.chat_id
            FROM unnest($1::int4[], $2::text[]) AS i(configuration_id, chat_id))
        ORDER BY c.id FOR NO KEY UPDATE OF c";
    let statement = client.prepare_cached(sql).await?;
    client
        .query(
            &statement,
            &[
                /* configuration_id */ &chats.iter().map(|c| c.0).collect::<Vec<_>>(),
                /* chat_id */ &chats.iter().map(|c| text(c.1)).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}
