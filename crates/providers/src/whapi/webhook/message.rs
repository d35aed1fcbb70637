//! Messages, and actions that came as messages.

use serde_json::{Map, Value};
use wabridge_domain::event::{Chat, ChatKind, Edit, Message, Person, Source, StatusUpdate, What};
use wabridge_domain::message::{MessageType, StatusWord};

use super::content::{Content, content};
use super::{id, kind_of, object};
use crate::Route;
use crate::whapi::wire::{self, string, text};

/// What the item says beside its content: who, where, when.
struct Frame {
    message_id: String,
    chat: Chat,
    from_me: bool,
    sender: Option<Person>,
    context: Option<Value>,
}

pub(in crate::whapi) fn read(item: &Value, route: &Route<'_>) -> Result<What, &'static str> {
    let frame = frame(object(item)?)?;
    match text(item, "type").unwrap_or("unknown") {
        "action" => action(item, frame, None, route),
        kind => Ok(message(item, frame, content(kind, item), route)),
    }
}

/// What an action does, as [`read`]; `updated` is the message it aims at, as it is now.
pub(super) fn trigger(
    item: &Value,
    updated: Option<&Value>,
    route: &Route<'_>,
) -> Result<What, &'static str> {
    action(item, frame(item)?, updated, route)
}

fn frame(item: &Value) -> Result<Frame, &'static str> {
    let message_id = id(item, "id").ok_or("it names no message id")?;
    let chat_id = id(item, "chat_id").map(|id| wire::chat_id(&id)).ok_or("it names no chat")?;
    let from_me =
        item.get("from_me").and_then(Value::as_bool).ok_or("it does not say who wrote it")?;
    let kind = wire::chat_kind(&chat_id);
    let pushname = string(item, "from_name");
    let sender = sender(item, &chat_id, kind).filter(|_| !from_me).map(|mut person| {
        person.pushname.clone_from(&pushname);
        person
    });
    let name = match kind {
        ChatKind::Direct => string(item, "chat_name").or_else(|| pushname.filter(|_| !from_me)),
        ChatKind::Group | ChatKind::Channel => string(item, "chat_name"),
    };
    let context = item.get("context").filter(|context| context.is_object()).cloned();
    Ok(Frame { message_id, chat: Chat { id: chat_id, kind, name }, from_me, sender, context })
}

fn message(item: &Value, frame: Frame, content: Content, route: &Route<'_>) -> What {
    let Content { message_type, content, caption, target, media, location, mut extra } = content;
    let Frame { message_id, chat, from_me, sender, context } = frame;
    let context = context.as_ref();
    let quoted_id = target.or_else(|| context.and_then(|context| id(context, "quoted_id")));
    for name in ["mentions", "forwarding_score", "ephemeral", "ad"] {
        if let Some(value) = context.and_then(|context| context.get(name)) {
            extra.insert(name.to_owned(), value.clone());
        }
    }
    for name in ["source", "subtype"] {
        if let Some(word) = text(item, name) {
            extra.insert(name.to_owned(), word.into());
        }
    }
    let forwarded = context.is_some_and(|context| {
        context.get("forwarded").and_then(Value::as_bool) == Some(true)
            || context.get("forwarding_score").and_then(Value::as_u64).is_some_and(|n| n > 0)
    });
    What::Message(Box::new(Message {
        message_id,
        chat,
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
        media,
        location,
        forwarded,
        reference: None,
        extra,
    }))
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

/// An action is something done to another message. Reactions, votes, comments and answers to events are rows
/// of their own that aim at it; edits and deletions change it; pins and timers change nothing in Odoo.
fn action(
    item: &Value,
    frame: Frame,
    updated: Option<&Value>,
    route: &Route<'_>,
) -> Result<What, &'static str> {
    let action =
        item.get("action").filter(|action| action.is_object()).ok_or("it has no action")?;
    let kind = text(action, "type").ok_or("its action has no type")?;
    let target = || id(action, "target").ok_or("its action aims at no message");
    let at = wire::time(item.get("timestamp"), route.received_at);
    let aimed = |message_type, content, name: &str, value: Value| {
        let extra = Map::from_iter([(name.to_owned(), value)]);
        let extra = if name.is_empty() { Map::new() } else { extra };
        target().map(|target| Content {
            target: Some(target),
            extra,
            ..Content::new(message_type, content)
        })
    };
    let content = match kind {
        "reaction" => aimed(MessageType::Reaction, string(action, "emoji"), "", Value::Null)?,
        "vote" => {
            let votes = action.get("votes").cloned().unwrap_or_default();
            aimed(MessageType::Poll, chosen(&votes, updated), "votes", votes)?
        }
        "comment" => aimed(MessageType::Text, string(action, "comment"), "", Value::Null)?,
        "event_response" => {
            let answer = action.get("event_response").cloned().unwrap_or_default();
            let word = string(&answer, "response");
            aimed(MessageType::Interactive, word, "event_response", answer)?
        }
        "edit" | "edited" => {
            let empty = Value::Null;
            let told = action.get("edited_content").unwrap_or(&empty);
            let word = text(action, "edited_type").unwrap_or_default();
            let (content, caption) = match updated.and_then(written) {
                Some(now) => now,
                None if word == "text" || word == "link_preview" => (string(told, "body"), None),
                None => (string(told, "body"), string(told, "caption")),
            };
            if content.is_none() && caption.is_none() {
                return Err("its edit has no text");
            }
            return Ok(What::Edit(Edit {
                message_id: target()?,
                edit_id: frame.message_id,
                at,
                chat_id: Some(frame.chat.id),
                content,
                caption,
            }));
        }
        "delete" => {
            return Ok(What::Status(StatusUpdate {
                message_id: target()?,
                word: StatusWord::Deleted,
                at,
                member: None,
                error: None,
                reference: None,
            }));
        }
        other => return Ok(What::Other { kind: kind_of(&format!("messages.action.{other}")) }),
    };
    Ok(message(item, frame, content, route))
}

/// Text and caption of a message as it is told; None where its type has neither.
pub(super) fn written(item: &Value) -> Option<(Option<String>, Option<String>)> {
    let kind = text(item, "type")?;
    if kind == "action" || !item.get(kind).is_some_and(Value::is_object) {
        return None;
    }
    let content = content(kind, item);
    match content.message_type {
        MessageType::Text => content.content.map(|text| (Some(text), None)),
        _ if content.media.is_some() => content.caption.map(|caption| (None, Some(caption))),
        _ => None,
    }
}

/// The names of the options that were chosen. A vote may name them by ids of the poll's results.
fn chosen(votes: &Value, poll: Option<&Value>) -> Option<String> {
    let results = poll
        .and_then(|message| message.get("poll")?.get("results")?.as_array())
        .map_or(&[][..], Vec::as_slice);
    let name = |vote: &str| {
        let result = results.iter().find(|result| text(result, "id") == Some(vote));
        result.and_then(|result| text(result, "name")).unwrap_or(vote).to_owned()
    };
    let names: Vec<String> =
        votes.as_array()?.iter().filter_map(|v| v.as_str()).map(name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
