//! `whatsapp_message` as people change it: retry, cancel, edit, delete. Columns: see [`crate::schema::COLUMNS`].
//!
//! Lock order: after the lane.

use deadpool_postgres::GenericClient;
use serde_json::Value;
use wabridge_domain::message::Status;

use crate::{StoreError, Tx};

/// A message as it stands in its row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub id: i32,
    pub configuration_id: i32,
    /// The provider's id.
    pub message_id: Option<String>,
    pub chat_id: Option<String>,
    pub status: Status,
    pub message_type: String,
    pub content: Option<String>,
    pub caption: Option<String>,
    pub media_id: Option<i32>,
    pub location: Option<String>,
    /// `{}` where there is none.
    pub extra: Value,
    pub reply_to_id: Option<i32>,
    pub category: Option<String>,
    pub from_me: bool,
    /// `rpc`, `odoo`, `phone` or `provider`.
    pub origin: Option<String>,
}

impl Row {
    /// True for what was written here, as against received or typed on the phone.
    pub fn is_ours(&self) -> bool {
        matches!(self.origin.as_deref(), Some("rpc" | "odoo"))
    }
}

/// Reads a row; locks nothing.
///
/// # Errors
/// The database's.
pub async fn get(client: &impl GenericClient, id: i32) -> Result<Option<Row>, StoreError> {
    let sql = "-- odoo::message_change::get
        SELECT id, configuration_id, message_id, chat_id, status, message_type, content, caption, media_id, location,
               extra, reply_to_id, category, coalesce(from_me, false), origin
        FROM public.whatsapp_message WHERE id = $1";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, &[/* id */ &id]).await?;
    let text = |row: &tokio_postgres::Row, at: usize| row.get::<_, Option<String>>(at);
    Ok(row.map(|row| Row {
        id: row.get(0),
        configuration_id: row.get(1),
        message_id: text(&row, 2),
        chat_id: text(&row, 3),
        status: text(&row, 4).and_then(|word| Status::parse(&word)).unwrap_or(Status::Draft),
        message_type: text(&row, 5).unwrap_or_default(),
        content: text(&row, 6),
        caption: text(&row, 7),
        media_id: row.get(8),
        location: text(&row, 9),
        extra: text(&row, 10)
            .and_then(|extra| serde_json::from_str(&extra).ok())
            .unwrap_or_else(|| Value::Object(serde_json::Map::new())),
        reply_to_id: row.get(11),
        category: text(&row, 12),
        from_me: row.get(13),
        origin: text(&row, 14),
    }))
}

/// Locks a row and tells its status then; None where it is gone. Waits for whoever holds it.
///
/// # Errors
/// The database's.
pub async fn lock(tx: &Tx<'_>, id: i32) -> Result<Option<Status>, StoreError> {
    let sql = "-- odoo::message_change::lock
        SELECT status FROM public.whatsapp_message WHERE id = $1 FOR NO KEY UPDATE";
    let row = tx.query_opt(sql, &[/* id */ &id]).await?;
    Ok(row.map(|row| {
        let word: Option<String> = row.get(0);
        word.and_then(|word| Status::parse(&word)).unwrap_or(Status::Draft)
    }))
}

/// Makes a row that was locked cancelled.
///
/// # Errors
/// The database's.
pub async fn cancel(tx: &Tx<'_>, id: i32) -> Result<(), StoreError> {
    let sql = "-- odoo::message_change::cancel
        UPDATE public.whatsapp_message
        SET status = 'cancelled', cancelled_at = date_trunc('second', now() AT TIME ZONE 'UTC'),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE id = $1";
    tx.execute(sql, &[/* id */ &id]).await?;
    Ok(())
}

/// Makes a row that was locked a queued one again: what is known of the former sends is forgotten, the provider's
/// id of the last one included.
///
/// # Errors
/// The database's.
pub async fn renew(tx: &Tx<'_>, id: i32) -> Result<(), StoreError> {
    let sql = "-- odoo::message_change::renew
        UPDATE public.whatsapp_message
        SET status = 'queued', message_id = NULL, error_code = NULL, error_message = NULL,
            queued_at = coalesce(queued_at, date_trunc('second', now() AT TIME ZONE 'UTC')),
            uncertain_at = NULL, pending_at = NULL, sent_at = NULL, failed_at = NULL,
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE id = $1";
    tx.execute(sql, &[/* id */ &id]).await?;
    Ok(())
}

/// Notes that a row that was locked was deleted for everybody.
///
/// # Errors
/// The database's.
pub async fn delete(tx: &Tx<'_>, id: i32) -> Result<(), StoreError> {
    let sql = "-- odoo::message_change::delete
        UPDATE public.whatsapp_message
        SET status = 'deleted',
            deleted_at = coalesce(deleted_at, date_trunc('second', now() AT TIME ZONE 'UTC')),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE id = $1";
    tx.execute(sql, &[/* id */ &id]).await?;
    Ok(())
}

/// Keeps the recipient of a row that could not be queued, as it was given, for a retry.
///
/// # Errors
/// The database's.
pub async fn keep_recipient(tx: &Tx<'_>, id: i32, recipient: &str) -> Result<(), StoreError> {
    let sql = "-- odoo::message_change::keep_recipient
        UPDATE public.whatsapp_message
        SET extra = (coalesce(nullif(extra, '')::jsonb, '{}') || jsonb_build_object('recipient', $2::text))::text,
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE id = $1 AND chat_id IS NULL";
    tx.execute(sql, &[/* id */ &id, /* recipient */ &recipient]).await?;
    Ok(())
}
