//! Texts out and the history (`whapi.md` sections 2 and 3).

use super::{bad_request, flag, ids, json_body, number, page, refused, show};
use crate::{
    message::{Chat, Content, Message},
    people::digits,
    state::Condition,
    vendor::{Answer, Call},
    world::{Draft, World},
};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// `POST /messages/text`. `typing_time` is checked but nobody is kept waiting for it.
pub(crate) fn send_text(world: &Arc<World>, call: &Call) -> Answer {
    match json_body(call).and_then(|body| draft(&body)).and_then(|draft| {
        may_send(world, call, &draft.chat)?;
        Ok(draft)
    }) {
        Err(answer) => answer,
        Ok(draft) => {
            let effects = call.effects.and(world.webhook_effects(call.account, &call.subject()));
            let message = world.send(call.account, draft, effects);
            Answer::ok(json!({"sent": true, "message": show::message(&message, true)}))
        }
    }
}

fn draft(body: &Map<String, Value>) -> Result<Draft, Answer> {
    let to = match body.get("to") {
        Some(Value::String(to)) => to,
        Some(_) => return Err(bad_request("to must be a string")),
        None => return Err(bad_request("to is required")),
    };
    let text = match body.get("body") {
        Some(Value::String(text)) if !text.is_empty() => text,
        Some(Value::String(_)) | None => return Err(bad_request("body is required")),
        Some(_) => return Err(bad_request("body must be a string")),
    };
    let chat = ids::recipient(to).map_err(|why| bad_request(&why))?;
    if let Some(typing) = body.get("typing_time")
        && !typing.as_f64().is_some_and(|seconds| (0.0..=60.0).contains(&seconds))
    {
        return Err(bad_request("typing_time must be a number between 0 and 60"));
    }
    for name in ["no_link_preview", "wide_link_preview"] {
        if body.get(name).is_some_and(|value| !value.is_boolean()) {
            return Err(bad_request(&format!("{name} must be true or false")));
        }
    }
    if body.contains_key("edit") {
        return Err(bad_request("edit: the simulator does not play the editing of own messages"));
    }
    let quoted = match body.get("quoted") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) if ids::is_message(id) => Some(id.clone()),
        Some(_) => return Err(bad_request("quoted must be a message id")),
    };
    let mentions = match body.get("mentions") {
        None | Some(Value::Null) => vec![],
        Some(Value::Array(list)) => list
            .iter()
            .map(|one| one.as_str().and_then(digits))
            .collect::<Option<Vec<String>>>()
            .ok_or_else(|| bad_request("mentions must be a list of numbers"))?,
        Some(_) => return Err(bad_request("mentions must be a list of numbers")),
    };
    let content = Content::Text { body: text.clone() };
    Ok(Draft { quoted, mentions, ..Draft::new(chat, content) })
}

fn may_send(world: &World, call: &Call, chat: &Chat) -> Result<(), Answer> {
    let state = world.state();
    let owner = state.account(call.account);
    if owner.condition != Condition::Connected {
        return Err(refused(
            StatusCode::UNAUTHORIZED,
            "Need channel authorization for send message",
            "",
        ));
    }
    if let Chat::Group(id) = chat {
        let group = state
            .group(id)
            .ok_or_else(|| refused(StatusCode::NOT_FOUND, "Specified chat not found", ""))?;
        if !group.has(&owner.account.phone) {
            return Err(refused(
                StatusCode::FORBIDDEN,
                "It is forbidden to send to this group/recipient",
                "the channel's number is not in the group",
            ));
        }
    }
    Ok(())
}

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

struct Filter {
    chat: Option<Chat>,
    from: u64,
    to: u64,
    author: Option<String>,
    from_me: Option<bool>,
}

impl Filter {
    fn takes(&self, message: &Message) -> bool {
        let at = u64::try_from(message.at).unwrap_or(0);
        self.chat.as_ref().is_none_or(|chat| *chat == message.chat)
            && (self.from..=self.to).contains(&at)
            && self.author.as_ref().is_none_or(|author| *author == message.author.phone)
            && self.from_me.is_none_or(|from_me| from_me == message.from_me)
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
    let filter = Filter {
        chat: chat.map(|id| ids::recipient(id).map_err(|why| bad_request(&why))).transpose()?,
        from: number(call, "time_from")?.unwrap_or(0),
        to: number(call, "time_to")?.unwrap_or(u64::MAX),
        author: call.param("author").map(str::to_owned),
        from_me: flag(call, "from_me")?,
    };

    let state = world.state();
    let mut found: Vec<&Message> = state
        .account(call.account)
        .history
        .iter()
        .filter(|message| filter.takes(message))
        .collect();
    found.sort_by_key(|message| message.at);
    if !ascending {
        found.reverse();
    }
    let total = found.len();
    let messages: Vec<Value> = found
        .into_iter()
        .skip(offset)
        .take(count)
        .map(|message| show::message(message, true))
        .collect();
    let first = offset.min(total);
    let last = first + messages.len().saturating_sub(1);
    Ok(Answer::ok(json!({
        "messages": messages, "count": count, "total": total, "offset": offset,
        "first": first, "last": last,
    })))
}
