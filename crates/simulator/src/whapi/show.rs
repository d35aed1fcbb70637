//! Messages, groups and people in WHAPI's words (`whapi.md` sections 3 and 6).

use super::ids;
use crate::{
    clock,
    groups::{Group, Role},
    message::{Card, Content, Location, Media, Message, Order, Source, Status},
    people::Person,
};
use serde_json::{Map, Value, json};

/// A person's id in `from`, `participants`, `viewer_id`: digits, or the LID of a hidden number.
pub(super) fn contact_id(person: &Person) -> &str {
    match (person.number(), &person.lid) {
        (None, Some(lid)) => lid,
        _ => &person.phone,
    }
}

/// A message as it stands in webhooks, answers and history; `links` says whether files are told with
/// theirs (setting `media.auto_download`).
pub(crate) fn message(message: &Message, links: bool) -> Value {
    let (kind, key, content) = content(&message.content, message.at, links);
    let mut json = json!({
        "id": message.id,
        "from_me": message.from_me,
        "type": kind,
        "chat_id": ids::chat(&message.chat),
        "timestamp": message.at,
        "source": match message.source {
            Source::Api => "api",
            Source::Mobile => "mobile",
        },
        "from": contact_id(&message.author),
        "from_name": message.author.name,
    });
    json[key] = content;
    if let Some(name) = &message.chat_name {
        json["chat_name"] = name.as_str().into();
    }
    if message.from_me {
        json["status"] = word(message.status).1.into();
    }
    if let Some(quoted) = &message.quoted {
        json["context"]["quoted_id"] = quoted.id.as_str().into();
        if let Some(author) = &quoted.author {
            json["context"]["quoted_author"] = contact_id(author).into();
        }
        if let Some(quoted) = &quoted.content {
            let (kind, _, content) = self::content(quoted, message.at, false);
            json["context"]["quoted_type"] = kind.into();
            json["context"]["quoted_content"] = content;
        }
    }
    if !message.mentions.is_empty() {
        json["context"]["mentions"] = message.mentions.clone().into();
    }
    if message.forwarded {
        json["context"]["forwarded"] = true.into();
        json["context"]["forwarding_score"] = 1.into();
    }
    json
}

/// Type word, key of the content object, and the object.
pub(super) fn content(content: &Content, at: i64, links: bool) -> (&str, &str, Value) {
    match content {
        Content::Text { body } => ("text", "text", json!({"body": body})),
        Content::Media(media) => {
            (media.kind.word(), media.kind.word(), self::media(media, at, links))
        }
        Content::Location(one) => ("location", "location", location(one)),
        Content::Contacts(cards) => match &cards[..] {
            [one] => ("contact", "contact", card(one)),
            several => {
                let list: Vec<Value> = several.iter().map(card).collect();
                ("contact_list", "contact_list", json!({"list": list}))
            }
        },
        Content::Poll(poll) => (
            "poll",
            "poll",
            json!({"title": poll.title, "options": poll.options, "vote_limit": poll.count,
                "total": 0, "results": []}),
        ),
        // The sheet says `votes[]` and no more: here they are the options' names.
        Content::Vote { target, options } => {
            ("action", "action", json!({"target": target, "type": "vote", "votes": options}))
        }
        Content::Reaction { target, emoji } => {
            ("action", "action", json!({"target": target, "type": "reaction", "emoji": emoji}))
        }
        Content::Answer(answer) => {
            let kind = if answer.list { "list_reply" } else { "buttons_reply" };
            let mut chosen = json!({"id": answer.id, "title": answer.title});
            if let Some(description) = &answer.description {
                chosen["description"] = description.as_str().into();
            }
            ("reply", "reply", json!({"type": kind, kind: chosen}))
        }
        Content::Order(order) => ("order", "order", self::order(order)),
        Content::Other { kind, object } => (kind, kind, Value::Object(object.clone())),
    }
}

fn with(mut json: Value, more: &Map<String, Value>) -> Value {
    if let Some(fields) = json.as_object_mut() {
        fields.extend(more.clone());
    }
    json
}

/// The fields that the vectors of its type have.
fn media(media: &Media, at: i64, links: bool) -> Value {
    let file = &media.file;
    let mut json = json!({
        "id": file.id,
        "mime_type": file.mime,
        "file_size": file.bytes.len(),
        "sha256": file.sha256_base64(),
        "timestamp": at,
    });
    if links {
        json["link"] = media.link.as_str().into();
    }
    if let Some(name) = &file.filename {
        // Both keys stand in the vector of a document.
        json["file_name"] = name.as_str().into();
        json["filename"] = name.as_str().into();
    }
    if let Some(caption) = &media.caption {
        json["caption"] = caption.as_str().into();
    }
    for (name, value) in
        [("width", media.width), ("height", media.height), ("seconds", media.seconds)]
    {
        if let Some(value) = value {
            json[name] = value.into();
        }
    }
    with(json, &media.more)
}

fn location(location: &Location) -> Value {
    let mut json = json!({"latitude": location.latitude, "longitude": location.longitude});
    for (name, value) in [("name", &location.name), ("address", &location.address)] {
        if let Some(value) = value {
            json[name] = value.as_str().into();
        }
    }
    with(json, &location.more)
}

fn card(card: &Card) -> Value {
    json!({"name": card.name, "vcard": card.vcard})
}

fn order(order: &Order) -> Value {
    let total: f64 = order.items.iter().map(|item| item.price * f64::from(item.quantity)).sum();
    json!({
        "order_id": order.id, "title": order.title, "text": order.text, "token": "order-token",
        "item_count": order.items.len(), "currency": order.currency, "total_price": total,
        "status": "new",
    })
}

/// Code and word of a status (section 7; the words are sure, the codes inferred).
pub(super) fn word(status: Status) -> (u8, &'static str) {
    match status {
        Status::Failed => (0, "failed"),
        Status::Pending => (1, "pending"),
        Status::Sent => (2, "sent"),
        Status::Delivered => (3, "delivered"),
        Status::Read => (4, "read"),
        Status::Played => (5, "played"),
    }
}

/// A group; the vectors leave out what is not set, and `participants_count` where it is new.
pub(super) fn group(group: &Group, known: &[Person], count: bool) -> Value {
    let id = |phone: &str| {
        let person = known.iter().find(|person| person.phone == phone);
        person.map_or_else(|| phone.to_owned(), |person| contact_id(person).to_owned())
    };
    let participants: Vec<Value> = group
        .members
        .iter()
        .map(|member| {
            let rank = match member.role {
                Role::Superadmin => "creator",
                Role::Admin => "admin",
                Role::Member => "member",
            };
            json!({"id": id(&member.phone), "rank": rank})
        })
        .collect();
    let mut json = json!({
        "id": group.id, "name": group.name, "type": "group", "timestamp": group.created_at,
        "name_at": group.named_at, "created_at": group.created_at,
        "created_by": id(&group.created_by),
    });
    if count {
        json["participants_count"] = participants.len().into();
    }
    json["participants"] = participants.into();
    if let Some(description) = &group.description {
        json["description"] = description.as_str().into();
    }
    if let Some(picture) = &group.picture {
        json["chat_pic"] = picture.as_str().into();
    }
    for (name, set) in
        [("announcements", group.only_admins_send), ("restricted", group.only_admins_edit)]
    {
        if set {
            json[name] = true.into();
        }
    }
    json
}

/// A person of the account's contacts.
pub(super) fn contact(person: &Person) -> Value {
    let name = person.saved_name.as_ref().unwrap_or(&person.name);
    let mut json = json!({"id": contact_id(person), "name": name, "pushname": person.name});
    if person.saved_name.is_some() {
        json["saved"] = true.into();
    }
    if person.is_business {
        json["is_business"] = true.into();
    }
    if let Some(picture) = &person.picture {
        json["profile_pic"] = picture.as_str().into();
    }
    json
}

/// A chat of a person; the time is that of now.
pub(super) fn chat(id: &str, name: Option<&str>, unread: u32) -> Value {
    let kind = match id.split_once('@').map(|(_, domain)| domain) {
        Some("g.us") => "group",
        Some("newsletter") => "newsletter",
        _ => "contact",
    };
    let mut json = json!({
        "id": id, "type": kind, "timestamp": clock::seconds(), "unread": unread, "not_spam": true,
    });
    if let Some(name) = name {
        json["name"] = name.into();
    }
    json
}
