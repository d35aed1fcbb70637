//! Texts out, files, and the history (sections 2, 3 and 5).

use super::{bad_request, ids, json_body, refused, show};
use crate::{
    message::{Chat, Content, Message, Status},
    people::digits,
    state::Condition,
    vendor::{Answer, Call},
    world::{Draft, World},
};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Fields of section 2; those that are no text are refused below.
const FIELDS: [&str; 31] = [
    "device",
    "phone",
    "group",
    "channel",
    "message",
    "media",
    "location",
    "contacts",
    "reaction",
    "reactionMessage",
    "quote",
    "poll",
    "forward",
    "template",
    "deliverAt",
    "previewUrl",
    "enqueue",
    "live",
    "order",
    "priority",
    "retries",
    "expiration",
    "typing",
    "sendReadAck",
    "agent",
    "label",
    "actions",
    "reference",
    "buttons",
    "list",
    "event",
];

/// `POST /messages`, the text form.
pub(super) fn send(world: &Arc<World>, call: &Call) -> Answer {
    let drafted = json_body(call, &FIELDS).and_then(|body| {
        let draft = draft(world, call, &body)?;
        may_send(world, call, &draft.chat)?;
        let at_once = body.get("enqueue").and_then(Value::as_str) == Some("never");
        Ok((draft, at_once))
    });
    match drafted {
        Err(answer) => answer,
        Ok((draft, at_once)) => {
            let effects = call.effects.and(world.webhook_effects(call.account, &call.subject()));
            let message = world.send(call.account, draft, effects);
            let device = world.state().account(call.account).account.channel_id.clone();
            Answer::new(StatusCode::CREATED, record(&device, &message, at_once))
        }
    }
}

/// The record of a send: WhatsApp's id is in it only where no queue is in between.
pub(super) fn record(device: &str, message: &Message, with_wa_id: bool) -> Value {
    let failed = message.status == Status::Failed;
    let word = if failed { "failed" } else { "queued" };
    let word = if with_wa_id { "sent" } else { word };
    let mut record = json!({
        "id": ids::record_of(&message.id),
        "message": message.content.text(),
        "status": word,
        "deliveryStatus": word,
        "device": device,
        "createdAt": show::iso(message.at),
    });
    match &message.chat {
        Chat::Person(phone) => record["phone"] = format!("+{phone}").into(),
        Chat::Group(id) => record["group"] = id.as_str().into(),
        Chat::Channel(id) => record["channel"] = id.as_str().into(),
    }
    if with_wa_id {
        record["waId"] = message.id.as_str().into();
    }
    if let Some(reference) = &message.reference {
        record["reference"] = reference.as_str().into();
    }
    record
}

fn draft(world: &World, call: &Call, body: &Map<String, Value>) -> Result<Draft, Answer> {
    let string = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
        Some(_) => Err(bad_request(&format!("{name} must be a string that is not empty"))),
    };
    let own = world.state().account(call.account).account.channel_id.clone();
    match string("device")? {
        Some(device) if device == own => {}
        Some(_) => return Err(refused(StatusCode::NOT_FOUND, "device not found")),
        None => return Err(bad_request("device is required")),
    }
    let chat = match (string("phone")?, string("group")?, string("channel")?) {
        (Some(phone), None, None) => match digits(phone).filter(|_| phone.starts_with('+')) {
            Some(digits) => Chat::Person(digits),
            None => return Err(bad_request("phone is not a valid E.164 number")),
        },
        (None, Some(group), None) if group.ends_with("@g.us") => Chat::Group(group.to_owned()),
        (None, None, Some(channel)) if channel.ends_with("@newsletter") => {
            Chat::Channel(channel.to_owned())
        }
        _ => return Err(bad_request("give exactly one of phone, group, channel")),
    };
    let other =
        ["media", "location", "contacts", "reaction", "poll", "forward", "template", "deliverAt"];
    if let Some(name) = other.into_iter().find(|name| body.contains_key(*name)) {
        return Err(bad_request(&format!("{name}: the simulator plays only texts")));
    }
    let text = string("message")?.ok_or_else(|| bad_request("message is required"))?;
    if let Some(enqueue) = string("enqueue")?
        && !["never", "always", "opportunistic"].contains(&enqueue)
    {
        return Err(bad_request("enqueue must be never, always or opportunistic"));
    }
    let quoted = match string("quote")? {
        None => None,
        Some(id) if ids::is_message(id) => Some(id.to_owned()),
        Some(_) => {
            return Err(bad_request("quote must be a message id of 18 to 32 hexadecimal digits"));
        }
    };
    let reference = string("reference")?.map(str::to_owned);
    let content = Content::Text { body: text.to_owned() };
    Ok(Draft { quoted, reference, ..Draft::new(chat, content) })
}

fn may_send(world: &World, call: &Call, chat: &Chat) -> Result<(), Answer> {
    let state = world.state();
    let owner = state.account(call.account);
    if owner.condition != Condition::Connected {
        let error = json!({
            "status": 503, "code": "device_not_connected", "message": "the number is not connected",
        });
        return Err(Answer::new(StatusCode::SERVICE_UNAVAILABLE, error));
    }
    if let Chat::Group(id) = chat
        && !state.group(id).is_some_and(|group| group.has(&owner.account.phone))
    {
        return Err(refused(StatusCode::NOT_FOUND, "group not found"));
    }
    Ok(())
}

/// `GET /chat/{device}/messages`: filters `chat`, `reference`, `wid`, `flow`; the newest first.
pub(super) fn list(world: &World, call: &Call) -> Answer {
    let state = world.state();
    let owner = state.account(call.account);
    let size = call.param("size").and_then(|text| text.parse().ok()).unwrap_or(20usize).min(500);
    let page = call.param("page").and_then(|text| text.parse().ok()).unwrap_or(0usize);
    let fits = |name: &str, value: &str| call.param(name).is_none_or(|wanted| wanted == value);
    let found: Vec<Value> = owner
        .history
        .iter()
        .rev()
        .filter(|message| {
            fits("chat", &ids::chat(&message.chat))
                && fits("wid", &message.id)
                && fits("reference", message.reference.as_deref().unwrap_or_default())
                && fits("flow", if message.from_me { "outbound" } else { "inbound" })
        })
        .skip(page.saturating_mul(size))
        .take(size)
        .map(|message| show::message(&owner.account.channel_id, Some(owner), message))
        .collect();
    Answer::ok(found.into())
}

/// `GET /chat/{device}/messages/{id}`.
pub(super) fn get(world: &World, call: &Call, id: &str) -> Answer {
    let state = world.state();
    let owner = state.account(call.account);
    match owner.history.get(id) {
        Some(found) => Answer::ok(show::message(&owner.account.channel_id, Some(owner), found)),
        None => refused(StatusCode::NOT_FOUND, "message not found"),
    }
}

/// `PATCH /chat/{device}/chats/{wid}/unread`.
pub(super) fn unread(world: &World, call: &Call, wid: &str) -> Answer {
    let body = match json_body(call, &["unread"]) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    if !body.get("unread").is_some_and(Value::is_boolean) {
        return bad_request("unread must be true or false");
    }
    let state = world.state();
    let known = state.account(call.account).history.iter().any(|m| ids::chat(&m.chat) == wid);
    if known {
        Answer::ok(json!({"id": wid}))
    } else {
        refused(StatusCode::NOT_FOUND, "chat not found")
    }
}

/// `GET /chat/{device}/files/{id}/download`: the bytes, for the key.
pub(super) fn file(world: &World, call: &Call, id: &str) -> Answer {
    match world.state().files.get(call.account, id) {
        Some(file) => Answer::file(file),
        None => refused(StatusCode::NOT_FOUND, "file not found"),
    }
}

/// `POST /numbers/exists {phone}`.
pub(super) fn exists(world: &World, call: &Call) -> Answer {
    let body = match json_body(call, &["phone"]) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    match body.get("phone").and_then(Value::as_str).and_then(digits) {
        Some(phone) => {
            let exists = world.state().person(&phone).on_whatsapp;
            Answer::ok(json!({"exists": exists, "phone": format!("+{phone}")}))
        }
        None => bad_request("phone is not a valid E.164 number"),
    }
}
