//! What helps to settle an unknown outcome: parked echoes (`wabridge.early_event`) and the open attempts of a
//! chat (`wabridge.attempt`, `wabridge.outbox`). And what still settles one that was given up.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use wabridge_domain::message::StatusWord;

use crate::lane::Key;
use crate::odoo::message_out::{self, Write};
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

/// What echoes that came late are to sends that were given up as uncertain.
#[derive(Debug, Default)]
pub struct Late {
    /// (account, row id, the provider's id) of sends that are known by now.
    pub settled: Vec<(i32, i32, String)>,
    /// (account, the provider's id) of echoes whose send somebody else holds at the moment.
    pub busy: Vec<(i32, String)>,
}

/// Gives sends that were given up as uncertain the ids of these echoes, where an echo says the same in the same
/// chat, after the call began, and no other send or echo does. Their facts are joined as those of any early event.
///
/// # Errors
/// The database's.
pub async fn late(tx: &Tx<'_>, echoes: &[(i32, String)]) -> Result<Late, StoreError> {
    let mut late = Late::default();
    for pair in pairs(tx, echoes).await? {
        let echo = (pair.configuration_id, pair.provider_id.clone());
        if !echoes.contains(&echo) {
            continue;
        }
        let locked = message_out::try_lock(tx, &[pair.row]).await?;
        let Some(row) = locked.first() else {
            late.busy.push(echo);
            continue;
        };
        if row.message_id.is_some() || row.status.as_deref() != Some("uncertain") {
            continue;
        }
        let mut facts = row.facts;
        facts.note(StatusWord::Pending, row.now);
        let write = Write {
            id: pair.row,
            message_id: Some(pair.provider_id.clone()),
            facts,
            error_code: None,
            error_message: None,
        };
        message_out::write(tx, &[write]).await?;
        let sql = "-- settle::late_attempt
            UPDATE wabridge.attempt SET provider_message_id = $2, finished_at = clock_timestamp() WHERE id = $1";
        tx.execute(sql, &[/* id */ &pair.attempt, /* provider id */ &pair.provider_id]).await?;
        late.settled.push((pair.configuration_id, pair.row, pair.provider_id));
    }
    Ok(late)
}

/// An echo and the only send that it can be.
struct Pair {
    configuration_id: i32,
    provider_id: String,
    row: i32,
    attempt: i64,
}

/// All such pairs in the chats of these echoes.
async fn pairs(tx: &Tx<'_>, echoes: &[(i32, String)]) -> Result<Vec<Pair>, StoreError> {
    let sql = "-- settle::late_pairs
        WITH chat AS (
            SELECT DISTINCT e.configuration_id, e.chat_key
            FROM unnest($1::int4[], $2::text[]) AS i(configuration_id, target_id)
            JOIN wabridge.early_event e
                 ON e.configuration_id = i.configuration_id AND e.target_id = i.target_id AND e.kind = 'echo'),
        held AS (
            SELECT t.configuration_id, t.chat_key, t.message_id, max(t.id) AS attempt, min(t.started_at) AS started_at
            FROM chat c JOIN wabridge.attempt t
                 ON t.configuration_id = c.configuration_id AND t.chat_key = c.chat_key
            WHERE t.outcome = 'uncertain' AND t.provider_message_id IS NULL AND t.finished_at IS NOT NULL
            GROUP BY t.configuration_id, t.chat_key, t.message_id)
        SELECT e.configuration_id, e.target_id, h.message_id, h.attempt,
               m.content, e.payload->>'content', m.caption, e.payload->>'caption',
               m.message_type = e.payload->>'message_type'
        FROM held h JOIN public.whatsapp_message m
             ON m.id = h.message_id AND m.message_id IS NULL AND m.status = 'uncertain'
        JOIN wabridge.early_event e
             ON e.configuration_id = h.configuration_id AND e.chat_key = h.chat_key AND e.kind = 'echo'
             AND e.payload IS NOT NULL AND h.started_at <= e.first_at
        WHERE NOT EXISTS (SELECT 1 FROM public.whatsapp_message k
                          WHERE k.configuration_id = e.configuration_id AND k.message_id = e.target_id)
        ORDER BY e.configuration_id, h.message_id, e.target_id";
    let (accounts, ids): (Vec<i32>, Vec<&str>) =
        echoes.iter().map(|(account, id)| (*account, id.as_str())).unzip();
    let statement = tx.prepare_cached(sql).await?;
    let rows =
        tx.query(&statement, &[/* configuration_id */ &accounts, /* target_id */ &ids]).await?;
    let mut pairs = Vec::new();
    let (mut of_row, mut of_echo) = (BTreeMap::<i32, u32>::new(), BTreeMap::<_, u32>::new());
    for row in &rows {
        let words = |at: usize| trimmed(row.get(at));
        if row.get(8) && words(4) == words(5) && words(6) == words(7) {
            let pair = Pair {
                configuration_id: row.get(0),
                provider_id: row.get(1),
                row: row.get(2),
                attempt: row.get(3),
            };
            *of_row.entry(pair.row).or_default() += 1;
            *of_echo.entry((pair.configuration_id, pair.provider_id.clone())).or_default() += 1;
            pairs.push(pair);
        }
    }
    pairs.retain(|pair| {
        of_row[&pair.row] == 1 && of_echo[&(pair.configuration_id, pair.provider_id.clone())] == 1
    });
    Ok(pairs)
}

/// Providers cut white space at the ends.
pub fn trimmed(text: Option<&str>) -> &str {
    text.unwrap_or_default().trim()
}
