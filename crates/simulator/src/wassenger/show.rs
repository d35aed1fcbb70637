//! Messages, chats, groups and the device in Wassenger's words (sections 6 and 7), in the shapes of its vectors.

use super::ids;
use crate::{
    groups::{GroupChange, GroupChangeKind as Kind},
    message::{Chat, Content, Media, MediaKind, Message, Quoted, Source, Status},
    people::Person,
    state::{AccountState, Condition},
};
use serde_json::{Map, Value, json};

/// Words for sessions are not confirmed; these are what the simulator says.
pub(super) fn session(condition: Condition) -> &'static str {
    match condition {
        Condition::Connected | Condition::TokenDead => "online",
        Condition::QrNeeded => "authorize",
        Condition::Disconnected | Condition::Asleep => "timeout",
        Condition::Banned => "banned",
    }
}

pub(super) fn device(owner: &AccountState) -> Value {
    json!({
        "id": owner.account.channel_id,
        "phone": format!("+{}", owner.account.phone),
        "alias": owner.account.name,
        "plan": "io-professional",
        "status": match owner.condition {
            Condition::Connected | Condition::TokenDead => "operative",
            other => session(other),
        },
        "session": {"status": session(owner.condition)},
    })
}

pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Sent => "sent",
        Status::Failed => "failed",
        Status::Delivered => "delivered",
        Status::Read => "read",
        Status::Played => "played",
    }
}

pub(super) fn iso(second: i64) -> String {
    let at = jiff::Timestamp::from_second(second).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// E.164 with plus; nothing for a hidden number.
fn number(person: &Person) -> Option<String> {
    person.number().map(|phone| format!("+{phone}"))
}

/// A person's wid; of a hidden number the LID.
pub(super) fn wid(person: &Person) -> String {
    match (person.number(), &person.lid) {
        (None, Some(lid)) => lid.clone(),
        _ => ids::person(&person.phone),
    }
}

/// `data` of a message; `owner` is the account it belongs to, `device` its device.
pub(super) fn message(device: &str, owner: Option<&AccountState>, message: &Message) -> Value {
    let chat = chat_id(message);
    let own = owner.map_or("", |owner| owner.account.phone.as_str());
    let own = (ids::person(own), format!("+{own}"));
    let other = match &message.chat {
        Chat::Person(phone) => format!("+{phone}"),
        Chat::Group(_) | Chat::Channel(_) => String::new(),
    };
    let (from, to) = if message.from_me {
        (own.clone(), (chat.clone(), other))
    } else {
        // In a group `from` is the group, the number stands beside it.
        ((chat.clone(), number(&message.author).unwrap_or_default()), own.clone())
    };
    let mut json = json!({
        "id": message.id,
        "type": kind(&message.content),
        "flow": if message.from_me { "outbound" } else { "inbound" },
        "status": "active",
        "ack": if message.from_me { word(message.status) } else { "delivered" },
        "from": from.0,
        "fromNumber": from.1,
        "to": to.0,
        "toNumber": to.1,
        "date": iso(message.at),
        "timestamp": message.at,
        "chat": chat_of(owner, message),
        "events": {},
        "meta": meta(message),
        "links": {
            "message": format!("/v1/chat/{device}/messages/{}", message.id),
            "chat": format!("/v1/chat/{device}/chats/{chat}"),
            "contact": format!("/v1/chat/{device}/contacts/{chat}"),
            "device": format!("/v1/devices/{device}"),
        },
    });
    content(device, &chat, message, &mut json);
    if let Some(quoted) = &message.quoted {
        json["quoted"] = self::quoted(quoted, message, &own.0);
    }
    if !message.mentions.is_empty() {
        json["mentions"] = message.mentions.iter().map(|phone| ids::person(phone)).collect();
    }
    if let Some(reference) = &message.reference {
        json["reference"] = reference.as_str().into();
    }
    json
}

/// A hidden number's chat is its LID.
fn chat_id(message: &Message) -> String {
    match &message.chat {
        Chat::Person(phone) if !message.from_me && *phone == message.author.phone => {
            wid(&message.author)
        }
        chat => ids::chat(chat),
    }
}

/// How far back a name is looked for.
const NAMES_OF: usize = 200;

fn chat_of(owner: Option<&AccountState>, message: &Message) -> Value {
    let id = chat_id(message);
    match &message.chat {
        Chat::Person(_) if !message.from_me => person_chat(&id, &message.author, message.at),
        Chat::Person(phone) => {
            let recent =
                owner.into_iter().flat_map(|owner| owner.history.iter().rev().take(NAMES_OF));
            let known = recent.map(|message| &message.author).find(|author| author.phone == *phone);
            match known {
                Some(person) => person_chat(&id, person, message.at),
                None => {
                    let mut chat = plain_chat(&id, "", "chat", message.at);
                    chat["name"] = Value::Null;
                    chat["contact"] =
                        json!({"wid": id, "type": "user", "phone": format!("+{phone}")});
                    chat
                }
            }
        }
        Chat::Group(_) => {
            let name = message.chat_name.clone().unwrap_or_default();
            let mut chat = plain_chat(&id, &name, "group", message.at);
            chat["contact"] = json!({"wid": id, "type": "group", "name": name});
            chat["group"] = json!({"description": "", "totalParticipants": 0});
            chat
        }
        Chat::Channel(_) => {
            plain_chat(&id, message.chat_name.as_deref().unwrap_or_default(), "channel", message.at)
        }
    }
}

pub(super) fn person_chat(id: &str, person: &Person, at: i64) -> Value {
    let name = person.saved_name.as_ref().unwrap_or(&person.name);
    let mut chat = plain_chat(id, name, "chat", at);
    chat["contact"] = contact(person);
    chat["contact"]["shortName"] = name.split(' ').next().unwrap_or_default().into();
    chat["contact"]["metadata"] = json!([]);
    if let Some(lid) = &person.lid {
        chat["lid"] = lid.as_str().into();
    }
    chat
}

pub(super) fn plain_chat(id: &str, name: &str, kind: &str, at: i64) -> Value {
    let at = iso(at);
    json!({
        "id": id, "name": name, "date": at, "type": kind, "status": "active", "waStatus": "active",
        "labels": [], "owner": {"agent": null, "department": null},
        "firstMessageAt": at, "lastMessageAt": at, "lastInboundMessageAt": at,
    })
}

/// An entry of the address book.
pub(super) fn contact(person: &Person) -> Value {
    let mut json = json!({
        "wid": wid(person),
        "type": "user",
        "name": person.saved_name.as_ref().unwrap_or(&person.name),
        "displayName": person.name,
    });
    if let Some(phone) = number(person) {
        json["phone"] = phone.into();
    }
    if let Some(picture) = &person.picture {
        json["image"] = json!({"url": picture});
    }
    json
}

fn meta(message: &Message) -> Value {
    let gif = matches!(&message.content, Content::Media(media) if media.kind == MediaKind::Gif);
    let document =
        matches!(&message.content, Content::Media(media) if media.kind == MediaKind::Document);
    json!({
        "containsEmoji": false, "isBizNotification": false, "isBroadcast": false,
        "isChannel": matches!(message.chat, Chat::Channel(_)), "isDoc": document,
        "isEphemeral": false, "isFailed": false, "isForwarded": message.forwarded, "isGif": gif,
        "isGroup": matches!(message.chat, Chat::Group(_)), "isLinkPreview": false, "isLive": false,
        "isNotification": false, "isPSA": false, "isRevoked": false, "isStar": false,
        "isUnreadType": false,
        "notifyName": if message.from_me { "" } else { message.author.name.as_str() },
        "rtl": false,
        "source": match message.source {
            Source::Api => "web",
            Source::Mobile => "android",
        },
        "isFirstMessage": false,
    })
}

fn kind(content: &Content) -> &str {
    match content {
        Content::Text { .. } => "text",
        Content::Media(media) => match media.kind {
            MediaKind::Image => "image",
            MediaKind::Video | MediaKind::Gif | MediaKind::Short => "video",
            MediaKind::Audio => "audio",
            MediaKind::Voice => "ptt",
            MediaKind::Document => "document",
            MediaKind::Sticker => "sticker",
        },
        Content::Location(_) => "location",
        Content::Contacts(_) => "contacts",
        Content::Poll(_) | Content::Vote { .. } => "poll",
        Content::Reaction { .. } => "reaction",
        Content::Answer(answer) if answer.list => "list_response",
        Content::Answer(_) => "buttons_response",
        Content::Order(_) => "order",
        Content::Other { kind, .. } => kind,
    }
}

/// What the message holds, in its own fields.
fn content(device: &str, chat: &str, message: &Message, json: &mut Value) {
    match &message.content {
        Content::Text { body } => json["body"] = body.as_str().into(),
        Content::Media(media) => json["media"] = self::media(device, chat, media, message),
        Content::Location(place) => {
            json["location"] = json!({"latitude": place.latitude, "longitude": place.longitude});
            for (name, value) in [("name", &place.name), ("address", &place.address)] {
                if let Some(value) = value {
                    json["location"][name] = value.as_str().into();
                }
            }
        }
        Content::Contacts(cards) => {
            json["contacts"] = cards
                .iter()
                .map(|card| {
                    let phone = card.phone.as_ref().map(|phone| format!("+{phone}"));
                    json!({"name": card.name, "phone": phone})
                })
                .collect();
        }
        Content::Poll(poll) => {
            json["body"] = Value::Null;
            json["poll"] = json!({"name": poll.title, "options": poll.options});
        }
        Content::Vote { target, options } => {
            json["id"] = target.as_str().into();
            json["poll"] = json!({"votes": [{"from": wid(&message.author), "options": options}]});
        }
        // Never shown as a message: an event of its own has it.
        Content::Reaction { .. } => {}
        Content::Answer(answer) => {
            let kind = kind(&message.content).to_owned();
            json["body"] = answer.title.as_str().into();
            json[kind] = json!({
                "id": answer.id, "title": answer.title, "description": answer.description,
            });
        }
        Content::Order(order) => {
            json["body"] = order.text.clone().into();
            json["order"] = json!({
                "id": order.id, "title": order.title, "itemCount": order.items.len(),
                "currency": order.currency,
            });
        }
        Content::Other { kind, object } => json[kind] = Value::Object(object.clone()),
    }
}

fn media(device: &str, chat: &str, media: &Media, message: &Message) -> Value {
    let file = &media.file;
    let extension = file.mime.split(['/', ';', '+']).nth(1).unwrap_or("bin").to_owned();
    let filename = file.filename.clone().unwrap_or_else(|| {
        format!(
            "{}.{extension}",
            if media.kind == MediaKind::Voice { "voice" } else { media.kind.word() }
        )
    });
    let resource = format!("/v1/chat/{device}/files/{}", file.id);
    let mut meta = json!({"hasPreview": false});
    if let (Some(width), Some(height)) = (media.width, media.height) {
        meta["aspectRatio"] = (f64::from(width) / f64::from(height.max(1))).into();
    }
    if let Some(seconds) = media.seconds {
        meta["duration"] = seconds.into();
    }
    let mut json = json!({
        "id": file.id, "type": media.kind.word(), "mime": file.mime, "size": file.bytes.len(),
        "filename": filename, "extension": extension, "chat": chat,
        "flow": if message.from_me { "out" } else { "in" },
        "meta": meta,
        "links": {
            "message": format!("/v1/chat/{device}/messages/{}", message.id),
            "chat": format!("/v1/chat/{device}/chats/{chat}"),
            "contact": format!("/v1/chat/{device}/contacts/{chat}"),
            "download": format!("{resource}/download"),
            "resource": resource,
        },
    });
    if let Some(caption) = &media.caption {
        json["caption"] = caption.as_str().into();
    }
    with(json, &media.more)
}

fn with(mut json: Value, more: &Map<String, Value>) -> Value {
    if let Some(fields) = json.as_object_mut() {
        fields.extend(more.clone());
    }
    json
}

fn quoted(quoted: &Quoted, message: &Message, own: &str) -> Value {
    let from = match &quoted.author {
        Some(author) if !quoted.from_me => wid(author),
        _ => own.to_owned(),
    };
    json!({
        "wid": quoted.id,
        "type": quoted.content.as_ref().map_or("text", kind),
        "body": quoted.content.as_ref().and_then(Content::text).unwrap_or_default(),
        "from": from,
        "date": iso(message.at),
        "timestamp": message.at,
        "isForwarded": false,
    })
}

/// `data` of a group's change; None for what the sheet has no word for.
pub(super) fn group(change: &GroupChange) -> Option<Value> {
    let (word, value) = match change.kind {
        Kind::Created => ("create", None),
        Kind::Subject => ("subject", None),
        Kind::Description => ("description", None),
        Kind::Icon => ("picture", None),
        Kind::Settings => {
            let (before, after) = (&change.before, &change.after);
            let switch = |on: bool| Some(if on { "on" } else { "off" });
            if before.only_admins_send != after.only_admins_send {
                ("announce", switch(after.only_admins_send))
            } else {
                ("restrict", switch(after.only_admins_edit))
            }
        }
        Kind::Joined => ("add", None),
        Kind::Left => ("leave", None),
        Kind::Removed => ("remove", None),
        Kind::Promoted => ("promote", None),
        Kind::Demoted => ("demote", None),
        Kind::InviteReset => ("revoke", None),
        Kind::Deleted => ("delete", None),
        Kind::Requested | Kind::Withdrawn | Kind::Refused => return None,
    };
    let about: Vec<String> = match change.kind {
        Kind::Created => change.known.iter().map(wid).collect(),
        _ => change.people.iter().map(wid).collect(),
    };
    let group = &change.after;
    let mut data = json!({
        "id": group.id,
        "type": word,
        "chat": {"id": group.id, "name": group.name, "type": "group"},
        "participants": about,
        "author": change.by.as_ref().map_or_else(|| ids::person(&group.created_by), wid),
    });
    if let Some(value) = value {
        data["value"] = value.into();
    }
    match change.kind {
        Kind::Description => data["description"] = group.description.clone().into(),
        Kind::Icon => data["image"] = json!({"url": group.picture}),
        Kind::InviteReset => data["code"] = group.invite_code.as_str().into(),
        _ => {}
    }
    Some(data)
}
