//! `whatsapp_outbox_in` (id, message_id, configuration_id, recipient, schedule_at, request, idempotency_key) and
//! `whatsapp_media_upload` (id, message_id, filename, mimetype, data): what Odoo's transactions hand over. Odoo appends, the daemon takes away.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::{StoreError, Tx};

/// A committed row, with what its message row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: i32,
    pub message_id: i32,
    pub configuration_id: i32,
    pub recipient: Option<String>,
    pub schedule_at: Option<Timestamp>,
    /// The rest of the `message.send` parameters, JSON.
    pub request: Option<String>,
    pub idempotency_key: Option<String>,
    /// None: the system.
    pub user_id: Option<i32>,
    pub status: Option<String>,
    pub request_id: Option<String>,
    /// Of the message row.
    pub category: Option<String>,
}

/// Committed rows with an id above `after`, of one account or of all, in id order. Takes no lock.
///
/// # Errors
/// The database's.
pub async fn committed(
    client: &impl GenericClient,
    configuration_id: Option<i32>,
    after: i32,
    limit: i64,
) -> Result<Vec<Row>, StoreError> {
    let sql = "-- odoo::outbox_in::committed
        SELECT i.id, i.message_id, i.configuration_id, i.recipient, i.schedule_at, i.request, i.idempotency_key,
               m.user_id, m.status, m.request_id, m.category
        FROM public.whatsapp_outbox_in i
        JOIN public.whatsapp_message m ON m.id = i.message_id
        WHERE i.id > $2 AND ($1::int4 IS NULL OR i.configuration_id = $1)
        ORDER BY i.id LIMIT $3";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &configuration_id,
                /* after */ &after,
                /* limit */ &limit,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let schedule_at = row
                .get::<_, Option<DateTime>>(4)
                .map(|at| at.to_zoned(TimeZone::UTC).map(|at| at.timestamp()))
                .transpose()
                .map_err(|error| StoreError::Other(error.to_string()))?;
            Ok(Row {
                id: row.get(0),
                message_id: row.get(1),
                configuration_id: row.get(2),
                recipient: row.get(3),
                schedule_at,
                request: row.get(5),
                idempotency_key: row.get(6),
                user_id: row.get(7),
                status: row.get(8),
                request_id: row.get(9),
                category: row.get(10),
            })
        })
        .collect()
}

/// Takes rows away; returns the ids of those that were still there. The caller holds the locks of their
/// lanes, so that nobody else takes rows of the same chats.
///
/// # Errors
/// The database's.
pub async fn take(tx: &Tx<'_>, ids: &[i32]) -> Result<Vec<i32>, StoreError> {
    let sql = "-- odoo::outbox_in::take
        DELETE FROM public.whatsapp_outbox_in WHERE id = ANY($1) RETURNING id";
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[/* ids */ &sorted]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Takes away what a message that was cancelled has here; true when it was not adopted yet. Waits for an adoption
/// that is under way.
///
/// # Errors
/// The database's.
pub async fn withdraw(tx: &Tx<'_>, message_id: i32) -> Result<bool, StoreError> {
    let sql = "-- odoo::outbox_in::withdraw
        DELETE FROM public.whatsapp_outbox_in WHERE message_id = $1";
    let taken = tx.execute(sql, &[/* message_id */ &message_id]).await?;
    if taken > 0 {
        take_files(tx, message_id).await?;
    }
    Ok(taken > 0)
}

/// A file that Odoo's transaction handed over (`whatsapp_media_upload`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub message_id: i32,
    pub filename: Option<String>,
    pub mimetype: Option<String>,
    /// Base64, as Odoo keeps the bytes of a field.
    pub data: Option<Vec<u8>>,
}

/// Reads a file that was handed over.
///
/// # Errors
/// The database's.
pub async fn file(client: &impl GenericClient, id: i32) -> Result<Option<Upload>, StoreError> {
    let sql = "-- odoo::outbox_in::file
        SELECT message_id, filename, mimetype, data FROM public.whatsapp_media_upload WHERE id = $1";
    let row = client.query_opt(sql, &[/* id */ &id]).await?;
    Ok(row.map(|row| Upload {
        message_id: row.get(0),
        filename: row.get(1),
        mimetype: row.get(2),
        data: row.get(3),
    }))
}

/// Takes the files of a message away; their ids.
///
/// # Errors
/// The database's.
pub async fn take_files(tx: &Tx<'_>, message_id: i32) -> Result<Vec<i32>, StoreError> {
    let sql = "-- odoo::outbox_in::take_files
        DELETE FROM public.whatsapp_media_upload WHERE message_id = $1 RETURNING id";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[/* message_id */ &message_id]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Asks to be told when Odoo handed something over; a hint, polling alone suffices.
///
/// # Errors
/// The database's.
pub async fn listen(client: &tokio_postgres::Client) -> Result<(), StoreError> {
    Ok(client.batch_execute("LISTEN wabridge").await?)
}
