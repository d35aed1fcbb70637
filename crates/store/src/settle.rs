//! What helps to settle an unknown outcome: parked echoes (`wabridge.early_event`) and the open attempts of a
//! chat (`wabridge.attempt`, `wabridge.outbox`).

use jiff::Timestamp;
use serde_json::Value;

use crate::lane::Key;
use crate::{StoreError, Tx};

/// An echo of an API send that may be the one whose outcome is unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct Echo {
    /// The provider's id of the message.
    pub message_id: String,
    /// `type` and text, as [`wabridge_domain::event::Message`] has them.
    pub message_type: Option<String>,
    pub content: Option<String>,
    /// When it came in, by PostgreSQL's clock.
    pub first_at: Timestamp,
}

/// The parked echoes of a chat that no message and no answer has claimed.
///
/// # Errors
/// The database's.
pub async fn echoes(tx: &Tx<'_>, key: &Key) -> Result<Vec<Echo>, StoreError> {
    let sql = "-- settle::echoes
        SELECT e.target_id, e.payload->>'message_type', e.payload->>'content', e.first_at
        FROM wabridge.early_event e
        WHERE e.configuration_id = $1 AND e.chat_key = $2 AND e.kind = 'echo' AND e.payload IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM public.whatsapp_message m
                          WHERE m.configuration_id = e.configuration_id AND m.message_id = e.target_id)
          AND NOT EXISTS (SELECT 1 FROM wabridge.attempt t
                          WHERE t.configuration_id = e.configuration_id AND t.chat_key = e.chat_key
                            AND t.provider_message_id = e.target_id)
        ORDER BY e.first_at, e.target_id";
    let rows = tx
        .query(sql, &[/* configuration_id */ &key.configuration_id, /* chat_key */ &key.chat_key])
        .await?;
    Ok(rows
        .iter()
        .map(|row| Echo {
            message_id: row.get(0),
            message_type: row.get(1),
            content: row.get(2),
            first_at: row.get(3),
        })
        .collect())
}

/// A call without a known answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub message_id: i32,
    /// [`wabridge_domain::content::Content`].
    pub request: Value,
}

/// The calls of a chat that are under way or being settled.
///
/// # Errors
/// The database's.
pub async fn open_calls(tx: &Tx<'_>, key: &Key) -> Result<Vec<Open>, StoreError> {
    let sql = "-- settle::open_calls
        SELECT o.message_id, o.request
        FROM wabridge.attempt t JOIN wabridge.outbox o ON o.id = t.outbox_id
        WHERE t.configuration_id = $1 AND t.chat_key = $2 AND t.finished_at IS NULL
        ORDER BY t.id";
    let rows = tx
        .query(sql, &[/* configuration_id */ &key.configuration_id, /* chat_key */ &key.chat_key])
        .await?;
    Ok(rows.iter().map(|row| Open { message_id: row.get(0), request: row.get(1) }).collect())
}
