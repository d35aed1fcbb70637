//! What is sent, as WHAPI's calls want it: one path a type (OpenAPI 1.8.7, `/messages/<type>`).

use http::Method;
use serde_json::{Map, Value, json};
use wabridge_domain::content::{Content, InteractiveKind, LIST_BUTTON};
use wabridge_domain::error::Kind;
use wabridge_domain::outgoing::{Outgoing, SendError};

/// One call: method, path below the base, JSON body.
pub(super) struct Sending {
    pub method: Method,
    pub path: Vec<String>,
    pub body: Value,
    /// False where the answer is only that it was done.
    pub names_message: bool,
}

/// The call that sends `outgoing`.
pub(super) fn sending(outgoing: &Outgoing) -> Result<Sending, SendError> {
    let refused = |message: &str| {
        Err(SendError::Refused { kind: Kind::InvalidContent, message: message.to_owned() })
    };
    let mut body = Map::from_iter([("to".to_owned(), json!(outgoing.chat_id))]);
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            body.insert(key.to_owned(), value);
        }
    };
    let kind = match &outgoing.content {
        Content::Text { text } => {
            put("body", json!(text.body));
            if !text.mentions.is_empty() {
                put("mentions", text.mentions.iter().map(|m| contact_digits(m)).collect());
            }
            // Sent only to switch the preview off: it is on by itself.
            put("no_link_preview", json!((text.preview == Some(false)).then_some(true)));
            "text"
        }
        Content::Image { media }
        | Content::Video { media }
        | Content::Audio { media }
        | Content::Voice { media }
        | Content::Document { media }
        | Content::Gif { media }
        | Content::Sticker { media } => {
            let Some(file) = &outgoing.file else {
                return refused("the file was not handed to the provider before the message");
            };
            put("media", json!(file.id));
            put("mime_type", json!(crate::documented_mimetype(&file.mimetype)));
            put("caption", json!(media.caption));
            if matches!(outgoing.content, Content::Document { .. }) {
                put("filename", json!(media.filename.as_ref().or(file.filename.as_ref())));
            }
            outgoing.content.message_type().as_str()
        }
        Content::Location { location } => {
            put("latitude", json!(location.latitude));
            put("longitude", json!(location.longitude));
            put("name", json!(location.name));
            put("address", json!(location.address));
            "location"
        }
        Content::Contact { contact } => {
            put("name", json!(contact.name));
            put("vcard", json!(contact.vcard()));
            "contact"
        }
        Content::Poll { poll } => {
            put("title", json!(poll.title));
            put("options", json!(poll.options));
            // OpenAPI 1.8.7: 1 for one choice, 0 for any number, nothing in between.
            let count = match poll.count.unwrap_or(1) {
                count if count <= 1 => count,
                count if usize::try_from(count).is_ok_and(|n| n == poll.options.len()) => 0,
                _ => {
                    return refused(
                        "WHAPI's polls allow one choice or any number; set count to 1 or 0",
                    );
                }
            };
            put("count", json!(count));
            "poll"
        }
        Content::Interactive { interactive } => {
            put("body", json!({ "text": interactive.body }));
            put(
                "header",
                interactive.header.as_ref().map_or(Value::Null, |text| json!({ "text": text })),
            );
            put(
                "footer",
                interactive.footer.as_ref().map_or(Value::Null, |text| json!({ "text": text })),
            );
            match interactive.kind {
                InteractiveKind::Buttons => {
                    let buttons: Vec<Value> = interactive
                        .options
                        .iter()
                        .map(|o| json!({ "type": "quick_reply", "title": o.title, "id": o.id }))
                        .collect();
                    put("type", json!("button"));
                    put("action", json!({ "buttons": buttons }));
                }
                InteractiveKind::List => {
                    let rows: Vec<Value> = interactive
                        .options
                        .iter()
                        .map(|o| {
                            let mut row = json!({ "id": o.id, "title": o.title });
                            if let Some(text) = &o.description {
                                row["description"] = json!(text);
                            }
                            row
                        })
                        .collect();
                    put("type", json!("list"));
                    let label = interactive.button.as_deref().unwrap_or(LIST_BUTTON);
                    let list = json!({ "sections": [{ "rows": rows }], "label": label });
                    put("action", json!({ "list": list }));
                }
            }
            "interactive"
        }
        Content::Template { .. } => return refused("WHAPI has no templates; send a text"),
        Content::Reaction { reaction } => {
            let Some(target) = &outgoing.quoted_id else {
                return refused("the message to react to has no id at the provider yet");
            };
            return Ok(Sending {
                method: Method::PUT,
                path: vec!["messages".into(), target.clone(), "reaction".into()],
                body: json!({ "emoji": reaction.emoji.as_deref().unwrap_or_default() }),
                names_message: false,
            });
        }
    };
    put("quoted", json!(outgoing.quoted_id));
    Ok(Sending {
        method: Method::POST,
        path: vec!["messages".into(), kind.into()],
        body: Value::Object(body),
        names_message: true,
    })
}

/// Mentions are digits without a suffix, in whatever form they were given.
fn contact_digits(mention: &str) -> String {
    let local = mention.split_once('@').map_or(mention, |(local, _)| local);
    local.chars().filter(char::is_ascii_digit).collect()
}
