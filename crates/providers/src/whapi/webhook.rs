//! WHAPI's webhook bodies: one object with arrays of events, read part by part.
//!
//! Which arrays are there decides, not the `event` object: published samples and the schema disagree on its
//! keys, and the delivery modes `path` and `method` move it. What Odoo has no use for yet becomes
//! [`What::Other`]: authentic, journaled, replayed by the version that understands it.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use wabridge_domain::account::AccountState;
use wabridge_domain::event::{
    AccountUpdate, Chat, ChatKind, Event, Message, Person, ProviderError, Source, StatusUpdate,
    What,
};
use wabridge_domain::message::{MessageType, StatusWord};

use super::wire::{self, Fields, ID_MAX_BYTES, string, text, word};
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
    let Fields(fields) = serde_json::from_str(body)
        .map_err(|error| Unreadable { reason: format!("no JSON object: {}", place(&error)) })?;
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

    let mut reading = Reading { parsed: Parsed::default(), channel_id, route };
    for (name, raw) in &fields {
        match name.as_str() {
            "event" | "channel_id" => {}
            "messages" => reading.each(name, raw, message),
            "statuses" => reading.each(name, raw, status),
            "health" => reading.each(name, raw, |item, _| Ok(health(item))),
            "qr" => reading.each(name, raw, |_, _| Ok(account(AccountState::QrNeeded, "QR"))),
            "user" => reading.each(name, raw, |_, _| Ok(user(&change))),
            other => reading.push(What::Other { kind: kind_of(other) }),
        }
    }
    Ok(reading.parsed)
}

/// Where the JSON ends to make sense; the library's own words could quote content.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "it holds something else",
        _ => "it is malformed",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
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

/// A kind for [`What::Other`], bounded: the words come from outside.
fn kind_of(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

struct Reading<'a> {
    parsed: Parsed,
    channel_id: Option<String>,
    route: &'a Route<'a>,
}

impl Reading<'_> {
    fn push(&mut self, what: What) {
        self.parsed.events.push(Event { channel_id: self.channel_id.clone(), what });
    }

    /// Reads each item of an array on its own; a lone object counts as one, null and emptiness as none.
    fn each(
        &mut self,
        kind: &str,
        raw: &RawValue,
        read: impl Fn(&Value, &Route<'_>) -> Result<What, &'static str>,
    ) {
        let items = match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(items) => items,
            Err(_) if raw.get() == "null" => return,
            Err(_) => vec![raw],
        };
        for (index, item) in items.into_iter().enumerate() {
            let item = wire::value(item);
            let what =
                if item.is_object() { read(&item, self.route) } else { Err("it is no object") };
            match what {
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
    let message_id = id(item, "id").ok_or("it names no message id")?;
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
        code: word(error, "code"),
        message: if message.is_empty() { "no reason given".to_owned() } else { message },
    }
}

fn message(item: &Value, route: &Route<'_>) -> Result<What, &'static str> {
    let message_id = id(item, "id").ok_or("it names no message id")?;
    let chat_id = id(item, "chat_id").map(|id| wire::chat_id(&id)).ok_or("it names no chat")?;
    let from_me =
        item.get("from_me").and_then(Value::as_bool).ok_or("it does not say who wrote it")?;
    let kind = text(item, "type").unwrap_or("unknown");

    let content = match kind {
        "action" => match action(item)? {
            Ok(content) => content,
            Err(other) => return Ok(other),
        },
        _ => content(kind, item),
    };
    let Content { message_type, content, caption, target, mut extra } = content;

    let context = item.get("context").filter(|context| context.is_object());
    let quoted_id = target.or_else(|| context.and_then(|context| id(context, "quoted_id")));
    for name in ["mentions", "forwarded", "forwarding_score", "ephemeral", "ad"] {
        if let Some(value) = context.and_then(|context| context.get(name)) {
            extra.insert(name.to_owned(), value.clone());
        }
    }
    for name in ["source", "subtype"] {
        if let Some(word) = text(item, name) {
            extra.insert(name.to_owned(), word.into());
        }
    }

    let chat_kind = wire::chat_kind(&chat_id);
    let pushname = string(item, "from_name");
    let sender = sender(item, &chat_id, chat_kind).filter(|_| !from_me).map(|mut person| {
        person.pushname.clone_from(&pushname);
        person
    });
    let name = match chat_kind {
        ChatKind::Direct => {
            string(item, "chat_name").or_else(|| pushname.clone().filter(|_| !from_me))
        }
        ChatKind::Group | ChatKind::Channel => string(item, "chat_name"),
    };
    Ok(What::Message(Box::new(Message {
        message_id,
        chat: Chat { id: chat_id, kind: chat_kind, name },
        from_me,
        source: match text(item, "source") {
            Some("api") => Source::Api,
            Some("mobile" | "web") => Source::Phone,
            _ => Source::Unknown,
        },
        sender,
        at: wire::time(item.get("timestamp"), route.received_at),
        message_type,
        content,
        caption,
        quoted_id,
        word: text(item, "status").and_then(|word| StatusWord::parse(&word.to_ascii_lowercase())),
        media: None,
        location: None,
        forwarded: false,
        reference: None,
        extra,
    })))
}

/// Who wrote an inbound message: `from`, digits without a suffix; else the other side of a direct chat.
fn sender(item: &Value, chat_id: &str, kind: ChatKind) -> Option<Person> {
    let other_side = (kind == ChatKind::Direct).then(|| wire::person(chat_id)).flatten();
    let from = id(item, "from");
    // The digits of a hidden number's chat are no phone number, although `from` may repeat them bare.
    let repeats = |from: &String| chat_id.split_once('@').is_some_and(|(local, _)| local == from);
    let mut person = match from.filter(|from| !repeats(from)).and_then(|from| wire::person(&from)) {
        Some(person) => person,
        None => return other_side,
    };
    if person.lid.is_none() {
        person.lid = other_side.and_then(|other| other.lid);
    }
    Some(person)
}

/// What a message says, by its type.
struct Content {
    message_type: MessageType,
    content: Option<String>,
    caption: Option<String>,
    /// The message an action aims at.
    target: Option<String>,
    extra: Map<String, Value>,
}

impl Content {
    fn new(message_type: MessageType, content: Option<String>) -> Self {
        Self { message_type, content, caption: None, target: None, extra: Map::new() }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}

/// A reaction is a message of its own; every other action changes one that is there (`Err`: not applied yet).
fn action(item: &Value) -> Result<Result<Content, What>, &'static str> {
    let action =
        item.get("action").filter(|action| action.is_object()).ok_or("it has no action")?;
    let kind = text(action, "type").ok_or("its action has no type")?;
    if kind != "reaction" {
        return Ok(Err(What::Other { kind: kind_of(&format!("messages.action.{kind}")) }));
    }
    let target = id(action, "target").ok_or("its reaction aims at no message")?;
    let mut content = Content::new(MessageType::Reaction, string(action, "emoji"));
    content.target = Some(target);
    Ok(Ok(content))
}

fn content(kind: &str, item: &Value) -> Content {
    let empty = Value::Object(Map::new());
    let part = item.get(kind).filter(|part| part.is_object()).unwrap_or(&empty);
    let media = |message_type| {
        let mut content =
            Content::new(message_type, None).with("media", without(part, &["preview"]));
        content.caption = string(part, "caption");
        content
    };
    match kind {
        "text" => Content::new(MessageType::Text, string(part, "body")),
        "link_preview" => Content::new(MessageType::Text, string(part, "body"))
            .with("link_preview", without(part, &["body", "preview"])),
        "image" => media(MessageType::Image),
        "video" | "short" => media(MessageType::Video),
        "gif" => media(MessageType::Gif),
        "audio" => media(MessageType::Audio),
        "voice" => media(MessageType::Voice),
        "document" => media(MessageType::Document),
        "sticker" => media(MessageType::Sticker),
        "location" | "live_location" => {
            let mut content = Content::new(MessageType::Location, None)
                .with("location", without(part, &["preview"]));
            content.caption = string(part, "caption");
            content
        }
        "contact" => {
            Content::new(MessageType::Contact, string(part, "name")).with("contacts", json!([part]))
        }
        "contact_list" => {
            let list = part.get("list").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let names: Vec<_> = list.iter().filter_map(|contact| text(contact, "name")).collect();
            let names = (!names.is_empty()).then(|| names.join(", "));
            Content::new(MessageType::Contact, names).with("contacts", list.into())
        }
        "poll" => Content::new(MessageType::Poll, string(part, "title")).with("poll", part.clone()),
        // What somebody chose from buttons or a list.
        "reply" => {
            let chosen =
                ["buttons_reply", "list_reply"].into_iter().find_map(|name| part.get(name));
            Content::new(
                MessageType::Interactive,
                chosen.and_then(|chosen| string(chosen, "title")),
            )
            .with("reply", part.clone())
        }
        "interactive" | "list" | "buttons" | "carousel" => {
            let body = part.get("body").and_then(|body| string(body, "text"));
            let body = body.or_else(|| string(part, "body")).or_else(|| string(part, "text"));
            Content::new(MessageType::Interactive, body)
                .with("interactive", without(part, &["preview"]))
        }
        "hsm" => Content::new(MessageType::Template, string(part, "body"))
            .with("template", without(part, &["preview"])),
        // `token` is a key to the order, so it stays out of the row.
        "order" => Content::new(MessageType::Order, string(part, "text").or(string(part, "title")))
            .with("order", without(part, &["preview", "token"])),
        "system" => Content::new(MessageType::System, string(part, "body")),
        "call" => Content::new(MessageType::System, None).with("call", part.clone()),
        _ => {
            let mut raw = item.clone();
            if let Some(part) = raw.get_mut(kind) {
                *part = without(part, &["preview"]);
            }
            Content::new(MessageType::Unknown, string(part, "body")).with("raw", raw)
        }
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
mod properties;
#[cfg(test)]
mod tests;
