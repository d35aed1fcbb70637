//! `whatsapp_chat` (configuration_id, chat_id, name, contact_id, group_id, unread_count, log columns; the
//! last_* columns are written together with the messages, see [`super::message`]), owned by the daemon.
//!
//! Lock order: after contacts and groups, before messages; by account and chat id on insert, by row id on update.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;

use super::text;
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

/// Makes the missing chats and links those that had neither contact nor group. Returns (account, row id) of
/// what was written; what is known already is only read.
///
/// # Errors
/// The database's.
pub async fn ensure(
    client: &impl GenericClient,
    chats: &[Seen<'_>],
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
    let sql = "-- odoo::chat::find
        SELECT c.id, coalesce(c.contact_id IS NULL AND i.contact_id IS NOT NULL
                              OR c.group_id IS NULL AND i.group_id IS NOT NULL
                              OR c.name IS NULL AND i.name IS NOT NULL, false)
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::int4[], $5::int4[])
             WITH ORDINALITY AS i(configuration_id, chat_id, name, contact_id, group_id, no)
        LEFT JOIN public.whatsapp_chat c ON c.configuration_id = i.configuration_id AND c.chat_id = i.chat_id
        ORDER BY i.no";
    let rows = run(client, sql, &chats).await?;
    let mut missing = Vec::new();
    let mut stale = Vec::new();
    for (seen, row) in chats.iter().zip(&rows) {
        match (row.get::<_, Option<i32>>(0), row.get(1)) {
            (None, _) => missing.push(*seen),
            (Some(_), true) => stale.push(*seen),
            (Some(_), false) => {}
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
    if !stale.is_empty() {
        let sql = "-- odoo::chat::link
            WITH target AS MATERIALIZED (
                SELECT c.id, coalesce(c.name, i.name) AS name, coalesce(c.contact_id, i.contact_id) AS contact_id,
                       coalesce(c.group_id, i.group_id) AS group_id
                FROM unnest($1::int4[], $2::text[], $3::text[], $4::int4[], $5::int4[])
                     AS i(configuration_id, chat_id, name, contact_id, group_id)
                JOIN public.whatsapp_chat c ON c.configuration_id = i.configuration_id AND c.chat_id = i.chat_id
                ORDER BY c.id FOR NO KEY UPDATE OF c)
            UPDATE public.whatsapp_chat c SET name = t.name, contact_id = t.contact_id, group_id = t.group_id,
                   write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
            FROM target t WHERE c.id = t.id
            RETURNING c.configuration_id, c.id";
        written.extend(run(client, sql, &stale).await?);
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
