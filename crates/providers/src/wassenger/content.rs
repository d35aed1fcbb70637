//! What is sent, in Wassenger's words: one endpoint takes everything (its public clients, 2025/2026).
//!
//! The server refuses fields that it does not know, so none goes along that is not needed. No client sends stickers,
//! buttons or lists, and templates exist only on numbers of the official API: they are not offered.

use serde_json::{Map, Value, json};
use wabridge_domain::content::{Content, File, Poll};
use wabridge_domain::error::Kind;
use wabridge_domain::event::ChatKind;
use wabridge_domain::outgoing::{Outgoing, SendError};

use super::wire;

/// The body of `POST /messages`.
pub(super) fn body(device: &str, outgoing: &Outgoing) -> Result<Value, SendError> {
    let chat = outgoing.chat_id.as_str();
    let phone = wire::person(chat).and_then(|person| person.phone);
    let (target, id) = match (wire::chat_kind(chat), phone) {
        (ChatKind::Group, _) => ("group", chat.to_owned()),
        (ChatKind::Channel, _) => ("channel", chat.to_owned()),
        (ChatKind::Direct, Some(phone)) => ("phone", phone),
        (ChatKind::Direct, None) => {
            let why = "Wassenger sends to phone numbers, and this chat has none";
            return Err(refused(Kind::InvalidRecipient, why));
        }
    };
    let mut body = Map::from_iter([
        ("device".to_owned(), json!(device)),
        (target.to_owned(), json!(id)),
        ("reference".to_owned(), json!(outgoing.reference)),
        // The queue is ours: Wassenger's own would deliver late, and again, what we have given up.
        ("enqueue".to_owned(), json!("never")),
    ]);
    body.extend(parts(outgoing)?);
    if !matches!(outgoing.content, Content::Reaction { .. })
        && let Some(quoted) = &outgoing.quoted_id
    {
        body.insert("quote".to_owned(), json!(quoted));
    }
    Ok(Value::Object(body))
}

/// The fields of one kind of content.
fn parts(outgoing: &Outgoing) -> Result<Vec<(String, Value)>, SendError> {
    let unsupported = |what: &str| {
        let why = format!("Wassenger cannot send {what}");
        Err(refused(Kind::UnsupportedByProvider, &why))
    };
    let mut parts: Vec<(&str, Value)> = Vec::new();
    match &outgoing.content {
        // Mentions have no known field: the text names people, WhatsApp does not notify them.
        Content::Text { text } => {
            parts.push(("message", json!(text.body)));
            if let Some(preview) = text.preview {
                parts.push(("previewUrl", json!(preview)));
            }
        }
        Content::Image { media }
        | Content::Video { media }
        | Content::Audio { media }
        | Content::Document { media } => parts.extend(file(outgoing, media, None)?),
        Content::Voice { media } => parts.extend(file(outgoing, media, Some("ptt"))?),
        Content::Gif { media } => parts.extend(file(outgoing, media, Some("gif"))?),
        Content::Location { location } => {
            let mut place = json!({ "coordinates": [location.latitude, location.longitude] });
            // Beside coordinates only a name is known.
            if let Some(name) = location.name.as_ref().or(location.address.as_ref()) {
                place["name"] = json!(name);
            }
            parts.push(("location", place));
        }
        Content::Contact { contact } => {
            let digits: String = contact.phone.chars().filter(char::is_ascii_digit).collect();
            let card = json!({ "phone": format!("+{digits}"), "name": contact.name });
            parts.push(("contacts", json!([card])));
        }
        Content::Poll { poll } => parts.push(("poll", self::poll(poll)?)),
        Content::Reaction { reaction } => {
            let Some(target) = &outgoing.quoted_id else {
                let why = "the message to react to has no id at the provider yet";
                return Err(refused(Kind::InvalidContent, why));
            };
            // A dash takes it back.
            parts.push(("reaction", json!(reaction.emoji.as_deref().unwrap_or("-"))));
            parts.push(("reactionMessage", json!(target)));
        }
        Content::Sticker { .. } => return unsupported("stickers"),
        Content::Interactive { .. } => return unsupported("buttons and lists"),
        Content::Template { .. } => return unsupported("templates; send a text"),
    }
    Ok(parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A file by the id of its upload; its caption is the message.
fn file(
    outgoing: &Outgoing,
    media: &File,
    format: Option<&str>,
) -> Result<Vec<(&'static str, Value)>, SendError> {
    let Some(uploaded) = &outgoing.file else {
        let why = "the file was not handed to the provider before the message";
        return Err(refused(Kind::InvalidContent, why));
    };
    let mut part = json!({ "file": uploaded.id });
    if let Some(format) = format {
        part["format"] = json!(format);
    }
    let name = media.filename.as_ref().or(uploaded.filename.as_ref());
    if let (Content::Document { .. }, Some(name)) = (&outgoing.content, name) {
        part["filename"] = json!(name);
    }
    let mut parts = vec![("media", part)];
    if let Some(caption) = &media.caption {
        parts.push(("message", json!(caption)));
    }
    Ok(parts)
}

/// One choice, or with `multiple` any number.
fn poll(poll: &Poll) -> Result<Value, SendError> {
    let mut part = json!({ "name": poll.title, "options": poll.options });
    match poll.count.unwrap_or(1) {
        1 => {}
        0 => part["multiple"] = json!(true),
        count if usize::try_from(count).is_ok_and(|n| n == poll.options.len()) => {
            part["multiple"] = json!(true);
        }
        _ => {
            let why = "Wassenger's polls allow one choice or any number; set count to 1 or 0";
            return Err(refused(Kind::InvalidContent, why));
        }
    }
    Ok(part)
}

fn refused(kind: Kind, message: &str) -> SendError {
    SendError::Refused { kind, message: message.to_owned() }
}
