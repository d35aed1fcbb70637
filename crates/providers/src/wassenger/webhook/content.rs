//! What a message says, by its type.

use serde_json::{Map, Value};
use wabridge_domain::event::{Location, MediaRef};
use wabridge_domain::message::MessageType;

use crate::json::{ID_MAX_BYTES, string, text, word};

#[derive(Debug)]
pub(super) struct Content {
    pub message_type: MessageType,
    pub content: Option<String>,
    pub caption: Option<String>,
    pub media: Option<MediaRef>,
    pub location: Option<Location>,
    pub extra: Map<String, Value>,
}

impl Content {
    fn new(message_type: MessageType, content: Option<String>) -> Self {
        let extra = Map::new();
        Self { message_type, content, caption: None, media: None, location: None, extra }
    }

    fn with(mut self, name: &str, value: Option<&Value>) -> Self {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            self.extra.insert(name.to_owned(), value.clone());
        }
        self
    }
}

pub(super) fn read(data: &Value) -> Content {
    let kind = text(data, "type").unwrap_or("unknown").to_ascii_lowercase();
    let flag = |name: &str| {
        data.get("meta").and_then(|meta| meta.get(name)).and_then(Value::as_bool) == Some(true)
    };
    let body = || string(data, "body").or_else(|| string(data, "message"));
    if flag("isNotification") {
        return Content::new(MessageType::System, body());
    }
    let part =
        |names: &[&str]| names.iter().find_map(|name| data.get(name).filter(|v| !v.is_null()));
    match kind.as_str() {
        "text" | "chat" => Content::new(MessageType::Text, body()),
        "image" => media(data, MessageType::Image),
        "video" if flag("isGif") => media(data, MessageType::Gif),
        "video" => media(data, MessageType::Video),
        "gif" => media(data, MessageType::Gif),
        "audio" => media(data, MessageType::Audio),
        "ptt" | "voice" => media(data, MessageType::Voice),
        "document" | "file" => media(data, MessageType::Document),
        "sticker" => media(data, MessageType::Sticker),
        "location" | "live_location" => {
            let mut content =
                Content::new(MessageType::Location, None).with("location", data.get("location"));
            content.location = data.get("location").and_then(location);
            content.caption = data.get("location").and_then(|place| string(place, "caption"));
            content
        }
        "contacts" | "contact" | "vcard" | "multi_vcard" => {
            contacts(part(&["contacts", "contact", "vcard"]))
        }
        "poll" => {
            let poll = data.get("poll");
            let name = poll.and_then(|poll| string(poll, "name").or_else(|| string(poll, "title")));
            Content::new(MessageType::Poll, name.or_else(body)).with("poll", poll)
        }
        // What somebody chose from a list or buttons.
        "list_response" | "buttons_response" | "template_button_reply" => {
            let names = [kind.as_str(), "response", "list", "buttons", "button", "selected"];
            let reply = part(&names);
            let chosen = reply.and_then(|reply| {
                ["title", "text", "displayText", "description"]
                    .into_iter()
                    .find_map(|name| string(reply, name))
            });
            Content::new(MessageType::Interactive, body().or(chosen)).with("reply", reply)
        }
        "list" | "buttons" | "interactive" => {
            let shown = part(&[kind.as_str()]);
            let words = shown.and_then(|shown| {
                ["description", "body", "text", "title"]
                    .into_iter()
                    .find_map(|name| string(shown, name))
            });
            Content::new(MessageType::Interactive, body().or(words)).with("interactive", shown)
        }
        "template" | "hsm" => {
            Content::new(MessageType::Template, body()).with("template", data.get("template"))
        }
        "order" => Content::new(MessageType::Order, body()).with("order", data.get("order")),
        "system" | "notification" | "e2e_notification" => Content::new(MessageType::System, body()),
        _ => {
            let mut raw = data.clone();
            if let Some(fields) = raw.as_object_mut() {
                fields.retain(|name, _| !matches!(name.as_str(), "links" | "events" | "chat"));
            }
            let mut content = Content::new(MessageType::Unknown, body());
            content.media = data.get("media").filter(|part| part.is_object()).map(media_ref);
            content.with("raw", Some(&raw))
        }
    }
}

/// The caption stands with the file; some senders' files have it as the text.
fn media(data: &Value, message_type: MessageType) -> Content {
    let mut content = Content::new(message_type, None);
    let part = data.get("media").filter(|part| part.is_object());
    content.caption = part
        .and_then(|part| string(part, "caption"))
        .or_else(|| string(data, "caption"))
        .or_else(|| string(data, "body"));
    content.media = part.map(media_ref);
    content
}

fn media_ref(part: &Value) -> MediaRef {
    let meta = part.get("meta").unwrap_or(&Value::Null);
    let count =
        |value: &Value, name: &str| word(value, name).and_then(|text| text.parse::<u64>().ok());
    let pixels = |name| {
        let pixels = count(meta, name).or_else(|| count(part, name))?;
        u32::try_from(pixels).ok().filter(|pixels| *pixels > 0)
    };
    // The path on the API's own host, which needs the token.
    let link = part.get("links").and_then(|links| string(links, "download"));
    MediaRef {
        id: word(part, "id").filter(|id| id.len() <= ID_MAX_BYTES),
        url: link.or_else(|| string(part, "url")),
        mimetype: string(part, "mime").or_else(|| string(part, "mimetype")),
        filename: string(part, "filename"),
        size: count(part, "size"),
        sha256: string(part, "sha2")
            .map(|hash| hash.to_ascii_lowercase())
            .filter(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit())),
        width: pixels("width"),
        height: pixels("height"),
        duration_ms: seconds(meta).or_else(|| seconds(part)),
    }
}

/// `duration`, seconds, as milliseconds.
fn seconds(part: &Value) -> Option<u64> {
    let seconds: f64 = word(part, "duration")?.parse().ok()?;
    // A recording of years is none.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked before"
    )]
    (0.0..1e8).contains(&seconds).then_some((seconds * 1000.0) as u64)
}

fn location(place: &Value) -> Option<Location> {
    let degrees = |names: &[&str], at: usize, limit: f64| {
        names
            .iter()
            .find_map(|name| word(place, name))
            .or_else(|| match place.get("coordinates")?.get(at)? {
                Value::Number(number) => Some(number.to_string()),
                Value::String(text) => Some(text.clone()),
                _ => None,
            })
            .and_then(|text| text.trim().parse::<f64>().ok())
            .filter(|degrees| degrees.abs() <= limit)
    };
    Some(Location {
        latitude: degrees(&["latitude", "lat"], 0, 90.0)?,
        longitude: degrees(&["longitude", "lng", "lon"], 1, 180.0)?,
        name: string(place, "name"),
        address: string(place, "address"),
    })
}

fn contacts(cards: Option<&Value>) -> Content {
    let list = match cards {
        Some(Value::Array(list)) => list.clone(),
        Some(card) => vec![card.clone()],
        None => vec![],
    };
    let names: Vec<_> = list
        .iter()
        .filter_map(|card| {
            ["name", "displayName", "formattedName"].into_iter().find_map(|name| text(card, name))
        })
        .collect();
    let names = (!names.is_empty()).then(|| names.join(", "));
    Content::new(MessageType::Contact, names).with("contacts", Some(&Value::Array(list)))
}
