//! WHAPI's webhook bodies: one object with arrays of events, read part by part.
//!
//! Which arrays are there decides, not the `event` object: published samples and the schema disagree on its
//! keys, and the delivery modes `path` and `method` move it. What changes nothing in Odoo becomes
//! [`What::Other`]: authentic, journaled, replayed by the version that understands it.

pub(super) mod changes;
mod content;
pub(super) mod group;
pub(super) mod message;

use serde_json::Value;
use serde_json::value::RawValue;
use wabridge_domain::account::AccountState;
use wabridge_domain::event::{AccountUpdate, ChatKind, Event, ProviderError, StatusUpdate, What};
use wabridge_domain::message::StatusWord;

use super::wire::{self, Fields, ID_MAX_BYTES, string, text, word};
use crate::json::{kind_of, place};
use crate::{Broken, Parsed, Route, Unreadable};

/// The arrays and objects that the sheet knows; any of them, `event` or `channel_id` makes a body WHAPI's.
const KNOWN: [&str; 24] = [
    "messages",
    "messages_updates",
    "messages_removed",
    "messages_removed_all",
    "statuses",
    "chats",
    "chats_updates",
    "chats_removed",
    "contacts",
    "contacts_updates",
    "groups",
    "groups_participants",
    "groups_updates",
    "presences",
    "labels",
    "labels_removed",
    "calls",
    "qr",
    "health",
    "user",
    "errors",
    "service",
    "event",
    "channel_id",
];

pub(super) fn parse(body: &[u8], route: &Route<'_>) -> Result<Parsed, Unreadable> {
    // One bad byte in one name must not lose the body.
    let body = String::from_utf8_lossy(body);
    let body = body.trim_start_matches('\u{feff}');
    let Fields(fields) =
        serde_json::from_str(body).map_err(|error| Unreadable { reason: place(&error) })?;
    if !fields.iter().any(|(name, _)| KNOWN.contains(&name.as_str())) {
        return Err(Unreadable {
            reason: "nothing in it is a part of WHAPI's envelope".to_owned(),
        });
    }

    let scalar =
        |name: &str| fields.iter().rev().find(|(n, _)| n == name).map(|(_, raw)| wire::value(raw));
    let channel_id = scalar("channel_id").and_then(|value| match value {
        Value::String(id) if !id.is_empty() && id.len() <= ID_MAX_BYTES => Some(id),
        _ => None,
    });
    let change = change(scalar("event").as_ref(), route);

    let mut reading = Reading { parsed: Parsed::default(), channel_id };
    for (name, raw) in &fields {
        match name.as_str() {
            "event" | "channel_id" => {}
            "messages" => reading.each(name, raw, |item| message::read(item, route)),
            "messages_updates" => reading.each(name, raw, |item| changes::message(item, route)),
            "messages_removed" => reading.each(name, raw, |item| changes::removed(item, route)),
            "statuses" => reading.each(name, raw, |item| status(item, route)),
            "chats" => reading.each(name, raw, |item| changes::chat(item, route)),
            "chats_updates" => reading.each(name, raw, |item| changes::chat_update(item, route)),
            "contacts" => reading.each(name, raw, |item| changes::contact(item, &[], route)),
            "contacts_updates" => {
                reading.each(name, raw, |item| changes::contact_update(item, route));
            }
            "groups" => reading.each(name, raw, |item| group::whole(item, &change, route)),
            "groups_participants" => {
                reading.each(name, raw, |item| group::participants(item, route));
            }
            "groups_updates" => reading.each(name, raw, |item| group::update(item, route)),
            "health" => reading.each(name, raw, |item| object(item).map(health)),
            "qr" => {
                reading.each(name, raw, |item| {
                    object(item).map(|_| account(AccountState::QrNeeded, "QR"))
                });
            }
            "user" => reading.each(name, raw, |item| object(item).map(|_| user(&change))),
            other => reading.push(What::Other { kind: kind_of(other) }),
        }
    }
    Ok(reading.parsed)
}

/// The kind of change, lower-case: `event.event` or `event.method`, else what the modes `path` and `method`
/// make of the request.
fn change(event: Option<&Value>, route: &Route<'_>) -> String {
    event
        .and_then(|event| text(event, "event").or_else(|| text(event, "method")))
        .or_else(|| route.sub_path.split('/').nth(1).filter(|word| !word.is_empty()))
        .unwrap_or(route.method)
        .to_ascii_lowercase()
}

struct Reading {
    parsed: Parsed,
    channel_id: Option<String>,
}

impl Reading {
    fn push(&mut self, what: What) {
        self.parsed.events.push(Event { channel_id: self.channel_id.clone(), what });
    }

    /// Reads each item of an array on its own; a lone object counts as one, null and emptiness as none.
    fn each(
        &mut self,
        kind: &str,
        raw: &RawValue,
        read: impl Fn(&Value) -> Result<What, &'static str>,
    ) {
        let items = match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(items) => items,
            Err(_) if raw.get() == "null" => return,
            Err(_) => vec![raw],
        };
        for (index, item) in items.into_iter().enumerate() {
            match read(&wire::value(item)) {
                Ok(what) => self.push(what),
                Err(reason) => self.parsed.broken.push(Broken {
                    kind: kind.to_owned(),
                    index,
                    reason: reason.to_owned(),
                }),
            }
        }
    }
}

/// The item, when it is an object.
fn object(item: &Value) -> Result<&Value, &'static str> {
    if item.is_object() { Ok(item) } else { Err("it is no object") }
}

fn account(state: AccountState, reason: &str) -> What {
    What::Account(AccountUpdate { state, reason: Some(reason.to_owned()), at: None })
}

fn health(item: &Value) -> What {
    let status = item.get("status").and_then(|status| text(status, "text"));
    match status.and_then(|text| Some((state_of(text)?, text))) {
        Some((state, text)) => account(state, text),
        None => What::Other { kind: "health".to_owned() },
    }
}

/// The state behind `status.text` of a health answer or event. The numbers beside it are not documented.
/// INIT and LAUNCH are on the way up and send nothing yet; SYNC_ERROR sends, and only cannot read.
pub(super) fn state_of(text: &str) -> Option<AccountState> {
    match text.to_ascii_uppercase().as_str() {
        "AUTH" | "SYNC_ERROR" => Some(AccountState::Connected),
        "QR" => Some(AccountState::QrNeeded),
        "NOT_INIT" | "INIT" | "LAUNCH" | "ERROR" | "STOP" => Some(AccountState::Disconnected),
        _ => None,
    }
}

fn user(change: &str) -> What {
    match change {
        "post" | "put" => account(AccountState::Connected, "login"),
        "delete" => account(AccountState::QrNeeded, "logout"),
        _ => What::Other { kind: "user".to_owned() },
    }
}

/// An id of reasonable length.
fn id(item: &Value, name: &str) -> Option<String> {
    string(item, name).filter(|id| id.len() <= ID_MAX_BYTES)
}

fn status(item: &Value, route: &Route<'_>) -> Result<What, &'static str> {
    let message_id = id(object(item)?, "id").ok_or("it names no message id")?;
    let word = text(item, "status").ok_or("it has no status word")?;
    let Some(word) = StatusWord::parse(&word.to_ascii_lowercase()) else {
        // A word of tomorrow: kept in the journal, otherwise ignored.
        return Ok(What::Other { kind: kind_of(&format!("statuses.{word}")) });
    };
    // In a group each reader may have a status of their own; in a direct chat the viewer is the other person.
    let direct = text(item, "recipient_id")
        .is_some_and(|to| wire::chat_kind(&wire::chat_id(to)) == ChatKind::Direct);
    let member = text(item, "viewer_id")
        .filter(|viewer| !direct && viewer.len() <= ID_MAX_BYTES)
        .and_then(wire::person)
        .map(|person| person.contact_id);
    Ok(What::Status(StatusUpdate {
        message_id,
        word,
        at: wire::time(item.get("timestamp"), route.received_at),
        member,
        error: item.get("errors").and_then(|errors| errors.get(0)).map(error),
        reference: None,
    }))
}

fn error(error: &Value) -> ProviderError {
    let words = [text(error, "message"), text(error, "details")];
    let message = words.into_iter().flatten().collect::<Vec<_>>().join(": ");
    ProviderError {
        kind: None,
        code: word(error, "code"),
        message: if message.is_empty() { "no reason given".to_owned() } else { message },
    }
}

/// A copy without some fields: previews are pictures in base64, far too heavy for a row.
fn without(part: &Value, names: &[&str]) -> Value {
    let mut copy = part.clone();
    if let Some(fields) = copy.as_object_mut() {
        fields.retain(|name, _| !names.contains(&name.as_str()));
    }
    copy
}

#[cfg(test)]
mod changes_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
