//! WHAPI.cloud, as far as its fact sheet (`whapi.md`; sections are named where they are played)
//! vouches for it: everything out and in, webhooks with their settings, files, health, contacts,
//! history.
//!
//! Where the sheet is silent the choice is marked by a comment. What is not played yet answers 404
//! in WHAPI's error form, with words in `details`.

pub(crate) mod contacts;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod ids;
pub(crate) mod messages;
pub(crate) mod sends;
pub(crate) mod settings;
pub(crate) mod show;
pub(crate) mod webhook;

use crate::{
    Provider,
    message::{Chat, Event, Message},
    state::{AccountId, AccountState, State},
    vendor::{Answer, Call, Operation, Vendor},
    webhooks::Delivery,
    world::World,
};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(crate) struct Whapi;

impl Vendor for Whapi {
    fn provider(&self) -> Provider {
        Provider::Whapi
    }

    /// `Authorization: Bearer`; the sheet's sources disagree about `?token=`, so it is not taken.
    fn token(&self, headers: &HeaderMap, _query: &[(String, String)]) -> Option<String> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    }

    /// One token is one channel (section 1).
    fn account(&self, _: &State, candidates: &[AccountId], _path: &str) -> Option<AccountId> {
        candidates.first().copied()
    }

    fn operation(&self, method: &Method, path: &str) -> Operation {
        let (name, kind) = match (method.as_str(), &segments(path)[..]) {
            ("POST", ["messages", kind]) => ("message.send", Some(*kind)),
            ("PUT" | "DELETE", ["messages", _, "reaction"]) => ("message.send", Some("reaction")),
            ("DELETE", ["messages", _]) => ("message.delete", None),
            ("POST", ["media"]) => ("media.upload", None),
            ("GET", ["messages", "list"] | ["messages", "list", _]) => ("message.list", None),
            ("GET", ["messages", _]) => ("message.get", None),
            ("PUT", ["messages", _]) => ("message.read", None),
            ("GET", ["media", _]) => ("media.get", None),
            ("GET", ["settings"]) => ("settings.get", None),
            ("PATCH", ["settings"]) => ("settings.update", None),
            ("DELETE", ["settings"]) => ("settings.reset", None),
            ("GET", ["settings", "events"]) => ("settings.events", None),
            ("POST", ["settings", "webhook_test"]) => ("webhook.test", None),
            ("GET", ["health"]) => ("health", None),
            ("GET", ["limits"]) => ("limits", None),
            ("GET", ["contacts"]) => ("contact.list", None),
            ("GET", ["contacts", _] | ["contacts", _, "profile"]) => ("contact.get", None),
            ("POST", ["contacts"]) | ("HEAD", ["contacts", _]) => ("contact.check", None),
            (_, ["blacklist", ..]) => ("contact.block", None),
            ("GET", ["groups"]) => ("group.list", None),
            ("POST", ["groups"]) => ("group.create", None),
            ("PUT", ["groups"]) => ("group.join", None),
            ("GET", ["groups", _]) => ("group.info", None),
            ("DELETE", ["groups", _]) => ("group.leave", None),
            (_, ["groups", _, "participants" | "admins"]) => ("group.members", None),
            (_, ["groups", _, "invite"]) => ("group.invite", None),
            (_, ["groups", _] | ["groups", _, "icon"]) => ("group.update", None),
            _ => ("unknown", None),
        };
        Operation::new(name, kind)
    }

    fn answer(&self, world: &Arc<World>, call: &Call) -> Answer {
        if world.state().account(call.account).condition == crate::state::Condition::TokenDead {
            return self.unknown_token();
        }
        let path = segments(&call.path);
        match (call.method.as_str(), &path[..]) {
            ("POST", ["messages", kind]) => sends::send(world, call, kind),
            ("PUT" | "DELETE", ["messages", id, "reaction"]) => sends::react(world, call, id),
            ("DELETE", ["messages", id]) => sends::delete(world, call, id),
            ("POST", ["media"]) => sends::upload(world, call),
            ("DELETE", ["media", id]) => sends::forget(world, call, id),
            ("GET", ["messages", "list"]) => messages::list(world, call, None),
            ("GET", ["messages", "list", chat]) => messages::list(world, call, Some(chat)),
            ("GET", ["messages", id]) => messages::get(world, call, id),
            ("PUT", ["messages", id]) => messages::read(world, call, id),
            ("GET", ["media", id]) => messages::file(world, call, id),
            ("GET", ["settings"]) => settings::get(world, call),
            ("PATCH", ["settings"]) => settings::update(world, call),
            ("DELETE", ["settings"]) => settings::reset(world, call),
            ("GET", ["settings", "events"]) => settings::events(),
            ("POST", ["settings", "webhook_test"]) => settings::webhook_test(world, call),
            ("GET", ["health"]) => health::get(world, call),
            // A paid plan has no limits (section 5).
            ("GET", ["limits"]) => Answer::empty(StatusCode::NO_CONTENT),
            ("GET", ["contacts"]) => contacts::list(world, call),
            ("POST", ["contacts"]) => contacts::check(world, call),
            ("GET", ["contacts", id]) => contacts::get(world, call, id),
            ("GET", ["contacts", id, "profile"]) => contacts::profile(world, id),
            ("HEAD", ["contacts", id]) => contacts::exists(world, call, id),
            ("GET", ["blacklist"]) => contacts::blocked(world),
            ("PUT", ["blacklist", id]) => contacts::block(world, id, true),
            ("DELETE", ["blacklist", id]) => contacts::block(world, id, false),
            (_, ["groups", tail @ ..]) => {
                groups::answer(world, call, tail).unwrap_or_else(|| not_played(call))
            }
            _ => not_played(call),
        }
    }

    fn error(&self, status: StatusCode, message: &str) -> Answer {
        refused(status, message, "")
    }

    /// 404 rather than 401 (section 1); the same where no token was given at all.
    fn unknown_token(&self) -> Answer {
        refused(StatusCode::NOT_FOUND, "Channel not found", "")
    }

    fn deliveries(&self, account: &AccountState, event: &Event) -> Vec<Delivery> {
        webhook::deliveries(account, event)
    }

    fn file_id(&self, mime: &str) -> String {
        ids::new_file(mime)
    }

    fn message_id(&self, in_group: bool) -> String {
        ids::new_message(in_group)
    }

    fn made_message_id(&self, n: u64, in_group: bool) -> String {
        format!("Bulk{n:018}-gMadeUp{}", if in_group { "-Group" } else { "" })
    }

    fn is_message_id(&self, text: &str) -> bool {
        ids::is_message(text)
    }

    fn chat_id(&self, chat: &Chat) -> String {
        ids::chat(chat)
    }

    fn show(&self, message: &Message) -> Value {
        show::message(message, true)
    }

    fn describe(&self, account: &AccountState) -> Value {
        json!({
            "status": health::status(account.condition),
            "settings": account.whapi.to_json(),
        })
    }
}

fn not_played(call: &Call) -> Answer {
    let words = format!("the simulator does not play {} {}", call.method, call.path);
    refused(StatusCode::NOT_FOUND, "Not found", &words)
}

/// An error in WHAPI's form (section 8).
pub(crate) fn refused(status: StatusCode, message: &str, details: &str) -> Answer {
    let mut error = json!({"code": status.as_u16(), "message": message});
    if !details.is_empty() {
        error["details"] = details.into();
    }
    Answer::new(status, json!({"error": error}))
}

pub(crate) fn bad_request(details: &str) -> Answer {
    refused(StatusCode::BAD_REQUEST, "Wrong request parameters", details)
}

/// The body as a JSON object.
pub(crate) fn json_body(call: &Call) -> Result<Map<String, Value>, Answer> {
    let content_type = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_some_and(|kind| !kind.to_ascii_lowercase().starts_with("application/json")) {
        return Err(refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported media type",
            "the simulator takes application/json here",
        ));
    }
    match serde_json::from_slice(&call.body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(bad_request("the body is not a JSON object")),
        Err(error) => Err(bad_request(&format!("the body is not JSON: {error}"))),
    }
}

/// A boolean of the query string: the words, not 1 and 0 (section 1).
pub(crate) fn flag(call: &Call, name: &str) -> Result<Option<bool>, Answer> {
    match call.param(name) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(bad_request(&format!("{name} must be true or false"))),
    }
}

pub(crate) fn number(call: &Call, name: &str) -> Result<Option<u64>, Answer> {
    call.param(name)
        .map(|text| text.parse())
        .transpose()
        .map_err(|_| bad_request(&format!("{name} must be a whole number")))
}

/// `count` and `offset` of every list (section 3).
pub(crate) fn page(call: &Call) -> Result<(usize, usize), Answer> {
    let count = number(call, "count")?.unwrap_or(100);
    if !(1..=500).contains(&count) {
        return Err(bad_request("count must be between 1 and 500"));
    }
    let offset = number(call, "offset")?.unwrap_or(0);
    Ok((count as usize, usize::try_from(offset).unwrap_or(usize::MAX)))
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}
