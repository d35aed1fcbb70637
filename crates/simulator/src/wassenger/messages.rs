//! Messages and their files, read, and the history (sections 3 and 5).

use super::{bad_request, ids, json_body, page, refused, show};
use crate::{
    bulk::Wanted,
    message::Message,
    people::digits,
    vendor::{Answer, Call},
    world::World,
};
use http::StatusCode;
use serde_json::{Value, json};

/// `GET /chat/{device}/messages`: filters `chat`, `reference`, `wid`, `flow`; the newest first unless `sort=date:asc`.
/// Reactions do not stand in it: what they would look like is not known.
pub(super) fn list(world: &World, call: &Call) -> Answer {
    let state = world.state();
    let owner = state.account(call.account);
    let (size, offset) = page(call);
    let show = |message: &Message| show::message(&owner.account.channel_id, Some(owner), message);
    if call.param("wid").is_some() || call.param("reference").is_some() {
        let fits = |name: &str, value: &str| call.param(name).is_none_or(|wanted| wanted == value);
        let found = owner.history.iter().rev().filter(|message| {
            fits("wid", &message.id)
                && fits("reference", message.reference.as_deref().unwrap_or_default())
        });
        return Answer::ok(found.skip(offset).take(size).map(show).collect());
    }
    let chat = match call.param("chat").map(ids::chat_of) {
        Some(None) => return bad_request("chat is none"),
        chat => chat.flatten(),
    };
    let wanted = Wanted {
        chat,
        from_me: call.param("flow").map(|flow| flow == "outbound"),
        ascending: call.param("sort") == Some("date:asc"),
        no_reactions: true,
        offset,
        count: size,
        ..Wanted::default()
    };
    let (found, _) = state.messages(call.account, &wanted);
    Answer::ok(found.iter().map(show).collect())
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
