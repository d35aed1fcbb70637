//! Messages and their files, read, and the history (`whapi.md` sections 3 and 4).

use super::{bad_request, flag, ids, number, page, refused, show};
use crate::{
    bulk::Wanted,
    vendor::{Answer, Call},
    world::World,
};
use http::StatusCode;
use serde_json::{Value, json};

/// `GET /messages/{MessageID}`.
pub(crate) fn get(world: &World, call: &Call, id: &str) -> Answer {
    if !ids::is_message(id) {
        return bad_request("MessageID has not the form of one");
    }
    let state = world.state();
    match state.account(call.account).history.get(id) {
        Some(found) => Answer::ok(show::message(found, true)),
        None => refused(StatusCode::NOT_FOUND, "Specified message not found", ""),
    }
}

/// `PUT /messages/{MessageID}`: the account read the chat up to it.
pub(crate) fn read(world: &World, call: &Call, id: &str) -> Answer {
    let state = world.state();
    match state.account(call.account).history.get(id) {
        Some(_) => Answer::ok(json!({"success": true})),
        None => refused(StatusCode::NOT_FOUND, "Specified message not found", ""),
    }
}

/// `GET /media/{MediaID}`: the bytes, for the channel's token.
pub(crate) fn file(world: &World, call: &Call, id: &str) -> Answer {
    match world.state().files.get(call.account, id) {
        Some(file) => Answer::file(file),
        None => refused(StatusCode::NOT_FOUND, "Specified media not found", ""),
    }
}

/// `GET /messages/list` and `/messages/list/{ChatID}`. Newest first unless `sort=asc` (the sheet
/// names both words, not which one is the default).
pub(crate) fn list(world: &World, call: &Call, chat: Option<&str>) -> Answer {
    match listed(world, call, chat) {
        Ok(answer) | Err(answer) => answer,
    }
}

fn listed(world: &World, call: &Call, chat: Option<&str>) -> Result<Answer, Answer> {
    let (count, offset) = page(call)?;
    let ascending = match call.param("sort") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(bad_request("sort must be asc or desc")),
    };
    // There are no system messages here, so normal_types changes nothing.
    flag(call, "normal_types")?;
    let seconds = |name| {
        number(call, name)
            .map(|second| second.map(|second| i64::try_from(second).unwrap_or(i64::MAX)))
    };
    let wanted = Wanted {
        chat: chat.map(|id| ids::recipient(id).map_err(|why| bad_request(&why))).transpose()?,
        from: seconds("time_from")?,
        to: seconds("time_to")?,
        author: call.param("author").map(str::to_owned),
        from_me: flag(call, "from_me")?,
        no_reactions: false,
        ascending,
        offset,
        count,
    };
    let (found, total) = world.state().messages(call.account, &wanted);
    let messages: Vec<Value> = found.iter().map(|message| show::message(message, true)).collect();
    let first = offset.min(total);
    let last = first + messages.len().saturating_sub(1);
    Ok(Answer::ok(json!({
        "messages": messages, "count": count, "total": total, "offset": offset,
        "first": first, "last": last,
    })))
}
