//! What a message says, by its type.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use wabridge_domain::event::{Location, MediaRef};
use wabridge_domain::message::MessageType;

use super::without;
use crate::whapi::wire::{ID_MAX_BYTES, string, text, word};

pub(super) struct Content {
    pub message_type: MessageType,
    pub content: Option<String>,
    pub caption: Option<String>,
    /// The message an action aims at.
    pub target: Option<String>,
    pub media: Option<MediaRef>,
    pub location: Option<Location>,
    pub extra: Map<String, Value>,
}

impl Content {
    pub fn new(message_type: MessageType, content: Option<String>) -> Self {
        Self {
            message_type,
            content,
            caption: None,
            target: None,
            media: None,
            location: None,
            extra: Map::new(),
        }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}

/// Fields of a file that a column or [`MediaRef`] holds.
const OF_MEDIA: [&str; 14] = [
    "id",
    "link",
    "mime_type",
    "file_size",
    "file_name",
    "filename",
    "sha256",
    "caption",
    "width",
    "height",
    "seconds",
    "preview",
    "timestamp",
    "view_once",
];

fn file(message_type: MessageType, part: &Value) -> Content {
    let number = |name: &str| part.get(name).and_then(Value::as_f64).filter(|n| *n >= 0.0);
    // Beyond its range a float becomes the nearest whole number there is.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let whole = |name: &str| number(name).map(|n| n as u64);
    let pixels = |name: &str| whole(name).and_then(|n| u32::try_from(n).ok());
    let media = MediaRef {
        // The placeholder of a file that WHAPI does not have yet; it leads nowhere.
        id: word(part, "id").filter(|id| id != "media_init" && id.len() <= ID_MAX_BYTES),
        url: string(part, "link"),
        mimetype: string(part, "mime_type"),
        filename: string(part, "file_name").or_else(|| string(part, "filename")),
        size: whole("file_size"),
        sha256: text(part, "sha256").and_then(checksum),
        width: pixels("width"),
        height: pixels("height"),
        duration_ms: whole("seconds").map(|seconds| seconds.saturating_mul(1000)),
    };
    let mut content = Content::new(message_type, None);
    content.caption = string(part, "caption");
    // Also without id and link: it is a file that cannot be had, and shown as such.
    content.media = Some(media);
    let rest = without(part, &OF_MEDIA);
    if rest.as_object().is_some_and(|fields| !fields.is_empty()) {
        content = content.with("media", rest);
    }
    if part.get("view_once").and_then(Value::as_bool) == Some(true) {
        content = content.with("view_once", true.into());
    }
    content
}

/// WhatsApp writes checksums in base64.
fn checksum(text: &str) -> Option<String> {
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(text.to_ascii_lowercase());
    }
    BASE64_STANDARD.decode(text).ok().filter(|bytes| bytes.len() == 32).map(hex::encode)
}

fn place(part: &Value) -> Content {
    let degrees = |name: &str, most: f64| {
        let value = part.get(name)?;
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        (number.abs() <= most).then_some(number)
    };
    let mut content =
        Content::new(MessageType::Location, None).with("location", without(part, &["preview"]));
    content.caption = string(part, "caption").or_else(|| string(part, "comment"));
    if let (Some(latitude), Some(longitude)) =
        (degrees("latitude", 90.0), degrees("longitude", 180.0))
    {
        content.location = Some(Location {
            latitude,
            longitude,
            name: string(part, "name"),
            address: string(part, "address"),
        });
    }
    content
}

/// By the type word and the object named like it; what is missing or of a wrong form is left out.
pub(super) fn content(kind: &str, item: &Value) -> Content {
    let empty = Value::Object(Map::new());
    let part = item.get(kind).filter(|part| part.is_object()).unwrap_or(&empty);
    match kind {
        "text" => Content::new(MessageType::Text, string(part, "body")),
        "link_preview" => Content::new(MessageType::Text, string(part, "body"))
            .with("link_preview", without(part, &["body", "preview"])),
        "image" => file(MessageType::Image, part),
        "video" | "short" => file(MessageType::Video, part),
        "gif" => file(MessageType::Gif, part),
        "audio" => file(MessageType::Audio, part),
        "voice" => file(MessageType::Voice, part),
        "document" => file(MessageType::Document, part),
        "sticker" => file(MessageType::Sticker, part),
        "location" | "live_location" => place(part),
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
