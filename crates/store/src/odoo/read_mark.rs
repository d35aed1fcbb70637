//! What users have read: `whatsapp_message` (read_at, status, log columns) of received rows and
//! `whatsapp_chat` (unread_count, log columns), owned by the daemon.
//!
//! Lock order: chats by row id, then messages by row id, as everywhere.

use deadpool_postgres::GenericClient;

use crate::StoreError;

/// A chat and how far it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub configuration_id: i32,
    /// The provider's id.
    pub chat_id: String,
    /// Row id of the newest message that was seen; None for all of them.
    pub up_to: Option<i32>,
}

/// A chat after it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Row id of the chat.
    pub id: i32,
    pub configuration_id: i32,
    pub chat_id: String,
    pub unread_count: i32,
    /// (row id, the provider's id) of messages that became read, oldest first.
    pub messages: Vec<(i32, Option<String>)>,
}

/// The chats of messages, each with the newest of them; messages that are in no chat yet are left out.
/// Beside it the account of every message that was found.
///
/// # Errors
/// The database's.
pub async fn targets(
    client: &impl GenericClient,
    ids: &[i32],
) -> Result<(Vec<Target>, Vec<(i32, i32)>), StoreError> {
    let sql = "-- odoo::read_mark::targets
        SELECT m.id, m.configuration_id, m.chat_id FROM public.whatsapp_message m
        WHERE m.id = ANY ($1) ORDER BY m.configuration_id, m.chat_id, m.id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* id */ &ids]).await?;
    let mut targets: Vec<Target> = Vec::new();
    for row in &rows {
        let (id, configuration_id): (i32, i32) = (row.get(0), row.get(1));
        let Some(chat_id) = row.get::<_, Option<String>>(2) else { continue };
        match targets.last_mut() {
            Some(last) if last.configuration_id == configuration_id && last.chat_id == chat_id => {
                last.up_to = Some(id);
            }
            _ => targets.push(Target { configuration_id, chat_id, up_to: Some(id) }),
        }
    }
    Ok((targets, rows.iter().map(|row| (row.get(0), row.get(1))).collect()))
}

/// Marks what was received in these chats as read by user `uid`. Chats that are not there are left out.
///
/// The unread messages of a chat are the newest of those that count, so no more of its history is looked at
/// than `unread_count` says. Two statements: the second sees whatever committed while the first waited for the
/// chats.
///
/// # Errors
/// The database's.
pub async fn mark(
    client: &impl GenericClient,
    uid: i32,
    targets: &[Target],
) -> Result<Vec<Marked>, StoreError> {
    let sql = "-- odoo::read_mark::lock
        SELECT c.id, c.configuration_id, c.chat_id, coalesce(c.unread_count, 0), i.up_to
        FROM unnest($1::int4[], $2::text[], $3::int4[]) AS i(configuration_id, chat_id, up_to)
        JOIN public.whatsapp_chat c ON c.configuration_id = i.configuration_id AND c.chat_id = i.chat_id
        ORDER BY c.id FOR NO KEY UPDATE OF c";
    let statement = client.prepare_cached(sql).await?;
    let chats = client
        .query(
            &statement,
            &[
                /* configuration_id */
                &targets.iter().map(|t| t.configuration_id).collect::<Vec<_>>(),
                /* chat_id */
                &targets.iter().map(|t| t.chat_id.as_str()).collect::<Vec<_>>(),
                /* up_to */ &targets.iter().map(|t| t.up_to).collect::<Vec<_>>(),
            ],
        )
        .await?;
    let mut marked: Vec<Marked> = chats
        .iter()
        .map(|row| Marked {
            id: row.get(0),
            configuration_id: row.get(1),
            chat_id: row.get(2),
            unread_count: row.get(3),
            messages: vec![],
        })
        .collect();
    if marked.iter().all(|chat| chat.unread_count <= 0) {
        return Ok(marked);
    }
    let sql = "-- odoo::read_mark::mark
        WITH input AS MATERIALIZED (
            SELECT i.id, i.configuration_id, i.chat_id, coalesce(i.up_to, 2147483647) AS up_to, (
                SELECT min(n.id) FROM (
                    SELECT m.id FROM public.whatsapp_message m
                    WHERE m.configuration_id = i.configuration_id AND m.chat_id = i.chat_id
                      AND m.direction = 'inbound' AND m.message_type NOT IN ('reaction', 'system')
                    ORDER BY m.id DESC LIMIT i.unread) n) AS first_id
            FROM unnest($1::int4[], $2::int4[], $3::text[], $4::int4[], $5::int4[])
                 AS i(id, configuration_id, chat_id, unread, up_to)
            WHERE i.unread > 0),
        target AS MATERIALIZED (
            SELECT m.id, i.id AS chat
            FROM input i JOIN public.whatsapp_message m
                 ON m.configuration_id = i.configuration_id AND m.chat_id = i.chat_id
                    AND m.id BETWEEN i.first_id AND i.up_to
            WHERE m.direction = 'inbound' AND m.read_at IS NULL
            ORDER BY m.id FOR NO KEY UPDATE OF m),
        done AS (
            UPDATE public.whatsapp_message m
            SET read_at = date_trunc('second', now() AT TIME ZONE 'UTC'),
                status = wabridge.message_status(m.deleted_at, m.played_at, now()::timestamp, m.delivered_at,
                    m.failed_at, m.sent_at, m.pending_at, m.uncertain_at, m.cancelled_at, m.queued_at),
                write_uid = $6, write_date = now() AT TIME ZONE 'UTC'
            FROM target t WHERE m.id = t.id
            RETURNING t.chat, m.id, m.message_id),
        chats AS (
            UPDATE public.whatsapp_chat c
            SET unread_count = (
                    SELECT count(*)::int4 FROM public.whatsapp_message m
                    WHERE m.configuration_id = i.configuration_id AND m.chat_id = i.chat_id
                      AND m.id > i.up_to AND m.id >= i.first_id AND m.direction = 'inbound'
                      AND m.message_type NOT IN ('reaction', 'system') AND m.read_at IS NULL),
                write_uid = $6, write_date = now() AT TIME ZONE 'UTC'
            FROM input i WHERE c.id = i.id
            RETURNING c.id, c.unread_count)
        SELECT d.chat, d.id, d.message_id, NULL::int4 FROM done d
        UNION ALL SELECT c.id, NULL, NULL, c.unread_count FROM chats c
        ORDER BY 2";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* id */ &marked.iter().map(|c| c.id).collect::<Vec<_>>(),
                /* configuration_id */
                &marked.iter().map(|c| c.configuration_id).collect::<Vec<_>>(),
                /* chat_id */ &marked.iter().map(|c| c.chat_id.clone()).collect::<Vec<_>>(),
                /* unread */ &marked.iter().map(|c| c.unread_count).collect::<Vec<_>>(),
                /* up_to */
                &chats.iter().map(|row| row.get::<_, Option<i32>>(4)).collect::<Vec<_>>(),
                /* uid */ &uid,
            ],
        )
        .await?;
    for row in &rows {
        let chat: i32 = row.get(0);
        let Some(chat) = marked.iter_mut().find(|known| known.id == chat) else { continue };
        match (row.get::<_, Option<i32>>(1), row.get::<_, Option<i32>>(3)) {
            (Some(id), _) => chat.messages.push((id, row.get(2))),
            (None, Some(unread)) => chat.unread_count = unread,
            (None, None) => {}
        }
    }
    Ok(marked)
}
