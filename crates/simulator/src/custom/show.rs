//! Events in the generic format.

use super::{iso, setting, state_word};
use crate::{
    clock,
    message::{Chat, Content, Event, Message, Source, Status, StatusChange},
    people::{self, Person},
    state::AccountState,
};
use serde_json::{Value, json};

pub(super) fn chat(chat: &Chat) -> String {
    match chat {
        Chat::Person(phone) => person_key(phone),
        Chat::Group(id) | Chat::Channel(id) => id.clone(),
    }
}

fn person_key(phone: &str) -> String {
    if phone.ends_with("@lid") { phone.to_owned() } else { format!("{phone}@s.whatsapp.net") }
}

pub(super) fn person(person: &Person) -> String {
    match (person.number(), &person.lid) {
        (None, Some(lid)) => lid.clone(),
        _ => person_key(&person.phone),
    }
}

/// The chat that such an id names.
pub(super) fn chat_of(id: &str) -> Option<Chat> {
    match id.split_once('@') {
        Some((_, "g.us")) => Some(Chat::Group(id.to_owned())),
        Some((_, "newsletter")) => Some(Chat::Channel(id.to_owned())),
        _ => people::person_key(id).map(Chat::Person),
    }
}

/// The bodies of an event that go to the account's webhook.
pub(super) fn bodies(owner: &AccountState, event: &Event) -> Vec<Value> {
    if setting(owner, "webhook_url").is_some() { told(owner, event) } else { vec![] }
}

/// The bodies of an event; none for what the format has no word for.
pub(super) fn told(owner: &AccountState, event: &Event) -> Vec<Value> {
    let own = person_key(&owner.account.phone);
    let body = |kind: &str, at: i64, data: Value| {
        json!({
            "event_type": kind, "timestamp": iso(at), "channel_id": owner.account.channel_id,
            "data": data,
        })
    };
    let written = |kind: &str, at: i64, message: &Message| {
        let mut data = json!({"message": self::message(&own, message)});
        if !message.from_me {
            let author = &message.author;
            data["contact"] = json!({"pushname": author.name});
            if let Some(name) = &author.saved_name {
                data["contact"]["name"] = name.as_str().into();
            }
        }
        if let (Chat::Group(_), Some(name)) = (&message.chat, &message.chat_name) {
            data["group"] = json!({"name": name});
        }
        body(kind, at, data)
    };
    match event {
        Event::Message(message) => {
            let kind = match (&message.content, message.from_me, message.source) {
                (Content::Reaction { .. }, ..) => "message.reaction",
                (_, true, Source::Api) => "message.sent",
                (_, true, Source::Mobile) => "message.typed",
                (_, false, _) => "message.received",
            };
            vec![written(kind, message.at, message)]
        }
        Event::Edited(edit) => vec![written("message.edited", edit.trigger.at, &edit.after)],
        Event::Removed { message, at } => {
            let mut gone = json!({"id": message.id, "from": person(&message.author)});
            gone["chat_id"] = chat(&message.chat).into();
            vec![body("message.deleted", *at, json!({"message": gone}))]
        }
        Event::Statuses(changes) => changes
            .iter()
            .map(|change| {
                body("message.status", change.at, json!({"status": status(owner, change)}))
            })
            .collect(),
        Event::Condition => {
            let state = json!({"account": {"state": state_word(owner.condition)}});
            vec![body("account.state", clock::seconds(), state)]
        }
        Event::Own { kind, content } => vec![body(kind, clock::seconds(), content.clone())],
        Event::Group(_) | Event::Contact(_) | Event::Chat(_) | Event::Login | Event::Logout => {
            vec![]
        }
    }
}

pub(super) fn message(own: &str, message: &Message) -> Value {
    let chat = chat(&message.chat);
    let in_group = !matches!(message.chat, Chat::Person(_));
    let (from, to) = if message.from_me {
        (own.to_owned(), chat.clone())
    } else {
        (person(&message.author), if in_group { chat.clone() } else { own.to_owned() })
    };
    let mut json = json!({
        "id": message.id, "from": from, "to": to, "timestamp": message.at, "type": kind(message),
    });
    if let Some(quoted) = &message.quoted {
        json["quoted_id"] = quoted.id.as_str().into();
    }
    if message.forwarded {
        json["forwarded"] = true.into();
    }
    if !message.mentions.is_empty() {
        json["mentions"] = message.mentions.iter().map(|phone| person_key(phone)).collect();
    }
    if let Some(reference) = &message.reference {
        json["reference"] = reference.as_str().into();
    }
    if message.from_me {
        json["status"] = word(message.status).into();
    }
    match &message.content {
        Content::Text { body } => json["body"] = body.as_str().into(),
        Content::Media(media) => {
            json["media"] = json!({
                "id": media.file.id, "url": media.link, "mimetype": media.file.mime,
                "filename": media.file.filename, "size": media.file.bytes.len(),
            });
            if let Some(caption) = &media.caption {
                json["media"]["caption"] = caption.as_str().into();
            }
        }
        Content::Location(place) => {
            json["location"] = json!({
                "latitude": place.latitude, "longitude": place.longitude, "name": place.name,
                "address": place.address,
            });
        }
        Content::Reaction { target, emoji } => {
            json["reaction"] = json!({"message_id": target});
            if !emoji.is_empty() {
                json["reaction"]["emoji"] = emoji.as_str().into();
            }
        }
        Content::Poll(poll) => {
            json["body"] = poll.title.as_str().into();
            json["poll"] = json!({"title": poll.title, "options": poll.options});
        }
        Content::Contacts(cards) => {
            let names: Vec<&str> = cards.iter().map(|card| card.name.as_str()).collect();
            json["body"] = names.join(", ").into();
            json["contacts"] =
                cards.iter().map(|card| json!({"name": card.name, "phone": card.phone})).collect();
        }
        Content::Answer(answer) => {
            json["body"] = answer.title.as_str().into();
            json["answer"] = json!({"id": answer.id, "title": answer.title});
        }
        Content::Order(order) => {
            json["body"] = order.text.clone().into();
            json["order"] = json!({"id": order.id, "title": order.title});
        }
        Content::Vote { target, options } => {
            json["vote"] = json!({"message_id": target, "options": options});
        }
        Content::Other { kind, object } => json[kind] = Value::Object(object.clone()),
    }
    json
}

fn kind(message: &Message) -> &str {
    match &message.content {
        Content::Text { .. } => "text",
        Content::Media(media) => media.kind.word(),
        Content::Location(_) => "location",
        Content::Contacts(_) => "contact",
        Content::Poll(_) => "poll",
        Content::Vote { .. } => "vote",
        Content::Reaction { .. } => "reaction",
        Content::Answer(_) => "interactive",
        Content::Order(_) => "order",
        Content::Other { kind, .. } => kind,
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Sent => "sent",
        Status::Failed => "failed",
        Status::Delivered => "delivered",
        Status::Read => "read",
        Status::Played => "played",
    }
}

fn status(owner: &AccountState, change: &StatusChange) -> Value {
    let mut status = json!({
        "message_id": change.message_id, "status": word(change.status), "timestamp": change.at,
    });
    if let Some(viewer) = &change.viewer {
        status["member"] = person(viewer).into();
    }
    if let Some(error) = &change.error {
        status["error"] = json!({"code": error.code, "message": error.message});
    } else if change.status == Status::Failed {
        status["error"] = json!({"message": "not on WhatsApp"});
    }
    let sent = owner.history.get(&change.message_id);
    if let Some(reference) = sent.and_then(|message| message.reference.as_ref()) {
        status["reference"] = reference.as_str().into();
    }
    status
}
