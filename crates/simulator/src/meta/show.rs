//! Messages in Meta's words (`meta_cloud_api.md` section 6), in the shapes of its vectors.

use super::ids;
use crate::{
    message::{Card, Chat, Content, Location, Media, MediaKind, Message, Order},
    people::Person,
};
use serde_json::{Map, Value, json};

/// A message as it stands in `messages[]` and, typed on the phone, in `message_echoes[]`.
pub(super) fn message(message: &Message, links: bool) -> Value {
    let mut json = frame(message, &message.id, message.at);
    let (kind, part) = content(&message.content, links);
    json["type"] = kind.into();
    json[kind] = part;
    let mut context = Map::new();
    if let Some(quoted) = &message.quoted {
        if let Some(author) = &quoted.author {
            context.insert("from".to_owned(), ids::person(author).into());
        }
        context.insert("id".to_owned(), quoted.id.as_str().into());
    }
    if message.forwarded {
        context.insert("forwarded".to_owned(), true.into());
    }
    if !context.is_empty() {
        json["context"] = context.into();
    }
    json
}

/// The new text of a message; `id` and `at` are the edit's own.
pub(super) fn edit(trigger: &Message, after: &Message) -> Value {
    let mut json = frame(trigger, &trigger.id, trigger.at);
    let (kind, part) = content(&after.content, false);
    json["type"] = "edit".into();
    json["edit"] = json!({"original_message_id": after.id, "message": {"type": kind, kind: part}});
    json
}

pub(super) fn revoke(message: &Message, at: i64) -> Value {
    let mut json = frame(message, &ids::new_message(), at);
    json["type"] = "revoke".into();
    json["revoke"] = json!({"original_message_id": message.id});
    json
}

/// Who wrote it to whom, when. Timestamps are strings.
fn frame(message: &Message, id: &str, at: i64) -> Value {
    let mut json = json!({"id": id, "timestamp": at.to_string()});
    let author = &message.author;
    if let Some(number) = author.number() {
        json["from"] = number.into();
    }
    match &message.chat {
        Chat::Group(group) => json["group_id"] = ids::group(group).into(),
        chat if message.from_me => json["to"] = ids::chat(chat).into(),
        _ => {}
    }
    if !message.from_me {
        json["from_user_id"] = ids::user_id(author).into();
    }
    json
}

/// A person of `contacts[]`.
pub(super) fn contact(person: &Person) -> Value {
    let mut json = json!({"profile": {"name": person.name}, "user_id": ids::user_id(person)});
    if let Some(number) = person.number() {
        json["wa_id"] = number.into();
    }
    if let Some(username) = &person.username {
        json["profile"]["username"] = username.as_str().into();
    }
    json
}

/// Type and the object of that name.
fn content(content: &Content, links: bool) -> (&str, Value) {
    match content {
        Content::Text { body } => ("text", json!({"body": body})),
        Content::Media(media) => self::media(media, links),
        Content::Location(one) => ("location", location(one)),
        Content::Contacts(cards) => ("contacts", cards.iter().map(card).collect()),
        Content::Reaction { target, emoji } => {
            let mut part = json!({"message_id": target});
            // Taken back, it has none.
            if !emoji.is_empty() {
                part["emoji"] = emoji.as_str().into();
            }
            ("reaction", part)
        }
        Content::Answer(answer) => {
            let kind = if answer.list { "list_reply" } else { "button_reply" };
            let mut chosen = json!({"id": answer.id, "title": answer.title});
            if let Some(description) = &answer.description {
                chosen["description"] = description.as_str().into();
            }
            ("interactive", json!({"type": kind, kind: chosen}))
        }
        Content::Order(order) => ("order", self::order(order)),
        // Meta has no polls: what arrives of them is a message of an unsupported type.
        Content::Poll(_) | Content::Vote { .. } => ("unsupported", json!({"type": "poll"})),
        Content::Other { kind, object } => (kind, Value::Object(object.clone())),
    }
}

fn media(media: &Media, links: bool) -> (&'static str, Value) {
    let file = &media.file;
    let mut part = json!({
        "id": file.id, "mime_type": file.mime, "sha256": file.sha256_base64(),
    });
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Video | MediaKind::Gif | MediaKind::Short => "video",
        MediaKind::Audio | MediaKind::Voice => {
            part["voice"] = (media.kind == MediaKind::Voice).into();
            "audio"
        }
        MediaKind::Document => "document",
        MediaKind::Sticker => {
            part["animated"] = false.into();
            "sticker"
        }
    };
    if links {
        part["url"] = media.link.as_str().into();
    }
    if let Some(name) = file.filename.as_deref().filter(|_| media.kind == MediaKind::Document) {
        part["filename"] = name.into();
    }
    if let Some(caption) = &media.caption {
        part["caption"] = caption.as_str().into();
    }
    if let Some(fields) = part.as_object_mut() {
        fields.extend(media.more.clone());
    }
    (kind, part)
}

fn location(location: &Location) -> Value {
    let mut part = json!({"latitude": location.latitude, "longitude": location.longitude});
    for (name, value) in [("name", &location.name), ("address", &location.address)] {
        if let Some(value) = value {
            part[name] = value.as_str().into();
        }
    }
    if let Some(fields) = part.as_object_mut() {
        fields.extend(location.more.clone());
    }
    part
}

fn card(card: &Card) -> Value {
    let (first, last) = card.name.split_once(' ').unwrap_or((&card.name, ""));
    let mut json = json!({"name": {"first_name": first, "formatted_name": card.name}});
    if !last.is_empty() {
        json["name"]["last_name"] = last.into();
    }
    if let Some(phone) = &card.phone {
        json["phones"] = json!([{"phone": format!("+{phone}"), "wa_id": phone, "type": "CELL"}]);
    }
    json
}

fn order(order: &Order) -> Value {
    let currency = order.currency.as_deref().unwrap_or("EUR");
    let items: Vec<Value> = order
        .items
        .iter()
        .map(|item| {
            json!({"product_retailer_id": item.id, "quantity": item.quantity,
                "item_price": item.price, "currency": currency})
        })
        .collect();
    json!({
        "catalog_id": "194836987003835", "text": order.text.clone().unwrap_or_default(),
        "product_items": items,
    })
}
