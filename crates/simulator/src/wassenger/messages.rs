//! Messages and their files, read, and the history (sections 3 and 5).

use super::{bad_request, ids, json_body, refused, show};
use crate::{
    people::digits,
    vendor::{Answer, Call},
    world::World,
};
use http::StatusCode;
use serde_json::{Value, json};

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
