//! Wassenger, as far as its fact sheet (`wassenger.md`; sections are named where they are played) vouches for
//! it: everything out and in, webhooks with their registration, files, the device, history.
//!
//! Where the sheet is silent the choice is marked by a comment. What is not played answers 404 in
//! Wassenger's error form. Paths are answered with and without `/v1` in front.

mod contacts;
mod groups;
pub(crate) mod hooks;
mod ids;
mod messages;
mod sends;
mod show;

use crate::{
    Provider,
    message::{Chat, Event, Message},
    state::{AccountId, AccountState, Condition, State},
    vendor::{Answer, Call, Operation, Vendor},
    webhooks::Delivery,
    world::World,
};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(crate) struct Wassenger;

impl Vendor for Wassenger {
    fn provider(&self) -> Provider {
        Provider::Wassenger
    }

    /// `Token`, or `Authorization` with and without `Bearer` (section 1: all three are in working code).
    fn token(&self, headers: &HeaderMap, _query: &[(String, String)]) -> Option<String> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        if let Some(token) = text(http::HeaderName::from_static("token")) {
            return Some(token.to_owned());
        }
        let value = text(header::AUTHORIZATION)?;
        match value.split_once(' ') {
            Some((scheme, token)) => {
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
            }
            None => Some(value.to_owned()),
        }
    }

    /// A key may serve several devices; here each has its own.
    fn account(&self, _: &State, candidates: &[AccountId], _path: &str) -> Option<AccountId> {
        candidates.first().copied()
    }

    fn operation(&self, method: &Method, path: &str) -> Operation {
        let (name, kind) = match (method.as_str(), &segments(path)[..]) {
            ("POST", ["messages"]) => ("message.send", Some("text")),
            ("PATCH", ["chat", _, "messages", _]) => ("message.edit", None),
            ("DELETE", ["chat", _, "messages", _]) => ("message.delete", None),
            ("POST", ["files"]) => ("media.upload", None),
            ("GET", ["chat", _, "messages"]) => ("message.list", None),
            ("GET", ["chat", _, "messages", _]) => ("message.get", None),
            ("PATCH", ["chat", _, "chats", _, "unread"]) => ("message.read", None),
            ("GET", ["chat", _, "files", _, "download"] | ["files", _, "download"]) => {
                ("media.get", None)
            }
            ("GET", ["webhooks"] | ["webhooks", _]) => ("settings.get", None),
            ("POST" | "PATCH", ["webhooks", ..]) => ("settings.update", None),
            ("DELETE", ["webhooks", _]) => ("settings.reset", None),
            ("GET", ["chat", _, "contacts"]) => ("contact.list", None),
            ("GET", ["chat", _, "contacts", _]) => ("contact.get", None),
            (_, ["devices", _, "block"]) => ("contact.block", None),
            ("GET", ["devices", _, "groups"]) => ("group.list", None),
            ("POST", ["devices", _, "groups"]) => ("group.create", None),
            ("PUT", ["devices", _, "groups"]) => ("group.join", None),
            ("DELETE", ["devices", _, "groups"]) => ("group.leave", None),
            ("GET", ["devices", _, "groups", _] | ["chat", _, "chats", _, "participants"]) => {
                ("group.info", None)
            }
            (_, ["devices", _, "groups", _, "participants"]) => ("group.members", None),
            (_, ["devices", _, "groups", _, "invite"]) => ("group.invite", None),
            (_, ["devices", _, "groups", _] | ["devices", _, "groups", _, "image"]) => {
                ("group.update", None)
            }
            ("GET", ["devices", ..]) => ("health", None),
            ("POST", ["numbers", "exists"]) => ("contact.check", None),
            _ => ("unknown", None),
        };
        Operation::new(name, kind)
    }

    fn answer(&self, world: &Arc<World>, call: &Call) -> Answer {
        let (dead, own) = {
            let state = world.state();
            let owner = state.account(call.account);
            (owner.condition == Condition::TokenDead, owner.account.channel_id.clone())
        };
        if dead {
            return self.unknown_token();
        }
        let path = segments(&call.path);
        // `/chat/{device}/…` and `/devices/{device}/…` name the device.
        if let ["chat" | "devices", device, ..] = path[..]
            && device != own
        {
            return refused(StatusCode::NOT_FOUND, "device not found");
        }
        match (call.method.as_str(), &path[..]) {
            ("POST", ["messages"]) => sends::send(world, call),
            ("PATCH", ["chat", _, "messages", id]) => sends::edit(world, call, id),
            ("DELETE", ["chat", _, "messages", id]) => sends::delete(world, call, id),
            ("POST", ["files"]) => sends::upload(world, call),
            ("GET", ["chat", _, "messages"]) => messages::list(world, call),
            ("GET", ["chat", _, "contacts"]) => contacts::list(world, call),
            ("GET", ["chat", _, "contacts", wid]) => contacts::get(world, wid),
            ("POST", ["devices", _, "block"]) => contacts::block(world, call, true),
            ("DELETE", ["devices", _, "block"]) => contacts::block(world, call, false),
            ("GET", ["chat", _, "messages", id]) => messages::get(world, call, id),
            ("PATCH", ["chat", _, "chats", wid, "unread"]) => messages::unread(world, call, wid),
            ("GET", ["chat", _, "files", id, "download"] | ["files", id, "download"]) => {
                messages::file(world, call, id)
            }
            ("GET", ["chat", _, "chats", wid, "participants"]) => groups::members(world, call, wid),
            (_, ["devices", _, "groups", tail @ ..]) => {
                groups::answer(world, call, tail).unwrap_or_else(|| not_played(call))
            }
            ("GET", ["webhooks"]) => hooks::list(world, call),
            ("POST", ["webhooks"]) => hooks::create(world, call),
            ("GET", ["webhooks", id]) => hooks::get(world, call, id),
            ("PATCH", ["webhooks", id]) => hooks::update(world, call, id),
            ("DELETE", ["webhooks", id]) => hooks::delete(world, call, id),
            ("POST", ["webhooks", id, "enable"]) => hooks::enable(world, call, id),
            ("GET", ["devices"]) => {
                Answer::ok(json!([show::device(world.state().account(call.account))]))
            }
            ("GET", ["devices", _] | ["devices", _, "health"]) => {
                Answer::ok(show::device(world.state().account(call.account)))
            }
            ("POST", ["numbers", "exists"]) => messages::exists(world, call),
            _ => not_played(call),
        }
    }

    fn error(&self, status: StatusCode, message: &str) -> Answer {
        refused(status, message)
    }

    fn unknown_token(&self) -> Answer {
        refused(StatusCode::UNAUTHORIZED, "Invalid API token")
    }

    fn deliveries(&self, account: &AccountState, event: &Event) -> Vec<Delivery> {
        hooks::deliveries(account, event)
    }

    fn file_id(&self, _mime: &str) -> String {
        ids::new_record()
    }

    fn link_needs_token(&self) -> bool {
        true
    }

    fn message_id(&self, _in_group: bool) -> String {
        ids::new_message()
    }

    fn made_message_id(&self, n: u64, _in_group: bool) -> String {
        format!("3EB0B01C{n:012X}")
    }

    fn is_message_id(&self, text: &str) -> bool {
        ids::is_message(text)
    }

    fn chat_id(&self, chat: &Chat) -> String {
        ids::chat(chat)
    }

    fn show(&self, message: &Message) -> Value {
        // Outside of an account there are no links to files.
        show::message("", None, message)
    }

    fn describe(&self, account: &AccountState) -> Value {
        json!({"device": show::device(account), "webhooks": account.wassenger.to_json()})
    }
}

fn not_played(call: &Call) -> Answer {
    let words = format!("the simulator does not play {} {}", call.method, call.path);
    refused(StatusCode::NOT_FOUND, &words)
}

/// An error in Wassenger's form (section 9).
fn refused(status: StatusCode, message: &str) -> Answer {
    Answer::new(status, json!({"status": status.as_u16(), "message": message}))
}

fn bad_request(message: &str) -> Answer {
    refused(StatusCode::BAD_REQUEST, message)
}

/// The body as a JSON object with no other fields than these (section 1: the server refuses unknown ones).
fn json_body(call: &Call, known: &[&str]) -> Result<Map<String, Value>, Answer> {
    let object = match serde_json::from_slice(&call.body) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(bad_request("the body is not a JSON object")),
        Err(error) => return Err(bad_request(&format!("the body is not JSON: {error}"))),
    };
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(bad_request(&format!("{unknown}: unknown field"))),
        None => Ok(object),
    }
}

/// `size` (20 unless given, at most 500) and `page`, from 0 (section 3).
fn page(call: &Call) -> (usize, usize) {
    let number = |name: &str| call.param(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("size").unwrap_or(20).clamp(1, 500);
    (size, number("page").unwrap_or(0).saturating_mul(size))
}

fn segments(path: &str) -> Vec<&str> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments[..] {
        ["v1", ..] => segments[1..].to_vec(),
        _ => segments,
    }
}
