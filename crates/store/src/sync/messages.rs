//! Pages of an account's message history, compared with `whatsapp_message`.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use wabridge_domain::event::{Message, Source, StatusUpdate, What};
use wabridge_domain::message::StatusWord;
use wabridge_domain::sync::SyncKind;

use super::item::{Decided, Item as RunItem};
use super::{Of, Page, count};
use crate::apply::{self, Echoes, Item};
use crate::odoo::text;
use crate::{StoreError, Tx};

/// A message that came late is still news to people and programs when it is not older than this.
pub const STILL_NEWS: Duration = Duration::from_secs(24 * 3600);

/// A webhook may take so long.
const WEBHOOK_GRACE: Duration = Duration::from_secs(60);

/// Since when the account's webhooks were expected to come: its first chat; None where it had none.
///
/// # Errors
/// The database's.
pub async fn live_since(
    client: &impl crate::GenericClient,
    configuration_id: i32,
) -> Result<Option<Timestamp>, StoreError> {
    let sql = "-- sync::messages::live_since
        SELECT min(c.create_date) AT TIME ZONE 'UTC' FROM public.whatsapp_chat c WHERE c.configuration_id = $1";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_one(&statement, &[/* account */ &configuration_id]).await?;
    Ok(row.get(0))
}

/// Brings a page of messages in: those that are missing become rows, words about known ones are noted. What was
/// written since `live_since` and is missing came late: its webhook never did.
///
/// # Errors
/// The database's; [`StoreError::Refused`] where it refuses one of them.
pub async fn write(
    tx: &Tx<'_>,
    of: &Of,
    items: &[Item],
    live_since: Option<Timestamp>,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut ids = HashSet::new();
    let messages: Vec<(&Item, &Message)> = items
        .iter()
        .filter_map(|item| match &item.what {
            What::Message(message) if ids.insert(message.message_id.as_str()) => {
                Some((item, &**message))
            }
            _ => None,
        })
        .collect();
    page.counts.read = count(messages.len());
    page.high = messages.iter().map(|(_, message)| message.at).filter(|at| *at <= of.at).max();
    let known = look(tx, of, &messages).await?;
    let mut news: Vec<Item> = Vec::new();
    let mut words = 0;
    for ((item, message), known) in messages.iter().zip(&known) {
        let Some(standing) = known else {
            let grace = of.at - WEBHOOK_GRACE;
            let echo = message.from_me && message.source == Source::Api;
            let live = live_since.is_some_and(|live| live < message.at);
            // Younger ones may be on their way.
            let late = live && !echo && message.at < grace;
            let mut new = (*message).clone();
            if late {
                page.items.push(late_item(message));
                new.extra.insert("received_late".into(), Value::Bool(true));
            }
            if live && message.at >= of.at - STILL_NEWS {
                new.extra.remove("history");
            } else {
                new.extra.insert("history".into(), Value::Bool(true));
            }
            news.push(Item { what: What::Message(Box::new(new)), ..(*item).clone() });
            continue;
        };
        // A word that no webhook brought: it was true by now at the latest.
        if let Some(word) = message.word.filter(|word| message.from_me && is_news(*word, standing))
        {
            words += 1;
            let told = StatusUpdate {
                message_id: message.message_id.clone(),
                word,
                at: of.at,
                member: None,
                error: None,
                reference: None,
            };
            news.push(Item { what: What::Status(told), person: None, ..(*item).clone() });
        }
    }
    let missing = known.iter().filter(|known| known.is_none()).count();
    let others = items.iter().filter(|item| !matches!(item.what, What::Message(_)));
    news.extend(others.cloned());
    if !news.is_empty() {
        page.changes = apply::apply(tx, &news.iter().collect::<Vec<_>>(), Echoes::MayWait).await?;
    }
    // What waits for the answer to a send of ours is not there yet.
    page.counts.created = count(page.changes.inserted);
    page.counts.changed = words;
    page.counts.late = count(page.items.len());
    page.counts.unchanged = page.counts.read - count(missing) - words;
    page.counts.unchanged += count(missing) - page.counts.created;
    Ok(page)
}

fn late_item(message: &Message) -> RunItem {
    let sender = message.sender.as_ref();
    let name = sender.and_then(|who| who.name.clone().or_else(|| who.pushname.clone()));
    let at = message.at.strftime("%Y-%m-%d %H:%M:%S UTC");
    RunItem {
        name: name.or_else(|| Some(message.chat.id.clone())),
        provider_value: Some(message.message_id.clone()),
        ..RunItem::new(
            SyncKind::Messages,
            Decided::Late,
            format!("written {at}, and no webhook brought it"),
        )
    }
}

/// True where the provider's word says more than the row's.
fn is_news(word: StatusWord, standing: &str) -> bool {
    const ORDER: [&str; 6] = ["pending", "sent", "failed", "delivered", "read", "played"];
    let rank = |word: &str| ORDER.iter().position(|known| *known == word);
    match (rank(word.as_str()), rank(standing)) {
        (Some(told), Some(known)) => told > known,
        _ => false,
    }
}

/// The status of each that is there.
async fn look(
    tx: &Tx<'_>,
    of: &Of,
    messages: &[(&Item, &Message)],
) -> Result<Vec<Option<String>>, StoreError> {
    if messages.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- sync::messages::look
        SELECT m.id IS NOT NULL, coalesce(m.status, '')
        FROM unnest($2::text[]) WITH ORDINALITY AS i(message_id, no)
        LEFT JOIN public.whatsapp_message m ON m.configuration_id = $1 AND m.message_id = i.message_id
        ORDER BY i.no";
    let statement = tx.prepare_cached(sql).await?;
    let ids: Vec<_> = messages.iter().map(|(_, message)| text(&message.message_id)).collect();
    let rows =
        tx.query(&statement, &[/* account */ &of.configuration_id, /* message_id */ &ids]).await?;
    Ok(rows.iter().map(|row| row.get::<_, bool>(0).then(|| row.get(1))).collect())
}
