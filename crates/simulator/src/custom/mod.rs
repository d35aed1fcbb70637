//! A provider in the bridge's generic format (`docs/CUSTOM_PROVIDER.md`): what an account speaks whose mapping is
//! empty.
//!
//! An account's settings: `webhook_url`, `webhook_secret` (sent as `Authorization: Bearer`, or bare in
//! `webhook_header`), `signature_secret` (signs the body, `X-Webhook-Signature: sha256=<hex>`).

mod groups;
mod lists;
mod sends;
mod show;

use crate::{
    Provider, clock,
    message::{Chat, Event, Message},
    people::digits,
    state::{AccountId, AccountState, Condition, State},
    vendor::{Answer, Call, Operation, Vendor},
    webhooks::{Delivery, Target},
    world::{Draft, World},
};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use std::sync::Arc;

pub(crate) struct Custom;

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

impl Vendor for Custom {
    fn provider(&self) -> Provider {
        Provider::Custom
    }

    /// `Authorization: Bearer`, or `X-Api-Key`.
    fn token(&self, headers: &HeaderMap, _query: &[(String, String)]) -> Option<String> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(key) = text("x-api-key") {
            return Some(key.to_owned());
        }
        let (scheme, token) = text("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    }

    fn account(&self, _: &State, candidates: &[AccountId], _path: &str) -> Option<AccountId> {
        candidates.first().copied()
    }

    fn operation(&self, method: &Method, path: &str) -> Operation {
        let (name, kind) = match (method.as_str(), &segments(path)[..]) {
            ("POST", ["messages"]) => ("message.send", Some("text")),
            ("PUT", ["messages", _, "reaction"]) => ("message.send", Some("reaction")),
            ("PATCH", ["messages", _]) => ("message.edit", None),
            ("DELETE", ["messages", _]) => ("message.delete", None),
            ("POST", ["files"]) => ("media.upload", None),
            ("PUT", ["messages", _, "read"]) => ("message.read", None),
            ("GET", ["media", _]) => ("media.get", None),
            ("GET", ["health"]) => ("health", None),
            ("GET", ["people"]) => ("contact.list", None),
            ("GET", ["people", _]) => ("contact.get", None),
            (_, ["people", _, "block"]) => ("contact.block", None),
            ("GET", ["messages"]) => ("message.list", None),
            ("GET", ["groups"]) => ("group.list", None),
            ("POST", ["groups"]) => ("group.create", None),
            ("POST", ["groups", "join"]) => ("group.join", None),
            ("GET", ["groups", _]) => ("group.info", None),
            ("PATCH", ["groups", _]) => ("group.update", None),
            ("DELETE", ["groups", _]) => ("group.leave", None),
            (_, ["groups", _, "members", ..]) => ("group.members", None),
            (_, ["groups", _, "invite"]) => ("group.invite", None),
            _ => ("unknown", None),
        };
        Operation::new(name, kind)
    }

    fn answer(&self, world: &Arc<World>, call: &Call) -> Answer {
        if world.state().account(call.account).condition == Condition::TokenDead {
            return self.unknown_token();
        }
        match (call.method.as_str(), &segments(&call.path)[..]) {
            ("POST", ["messages"]) => send(world, call),
            ("PUT", ["messages", id, "reaction"]) => sends::react(world, call, id),
            ("PATCH", ["messages", id]) => sends::edit(world, call, id),
            ("DELETE", ["messages", id]) => sends::delete(world, call, id),
            ("POST", ["files"]) => sends::upload(self, world, call),
            ("PUT", ["messages", id, "read"]) => {
                let known = world.state().account(call.account).history.get(id).is_some();
                if known {
                    Answer::ok(json!({}))
                } else {
                    refused(StatusCode::NOT_FOUND, "no such message")
                }
            }
            ("GET", ["media", id]) => match world.state().files.get(call.account, id) {
                Some(file) => Answer::file(file),
                None => refused(StatusCode::NOT_FOUND, "no such file"),
            },
            ("GET", ["health"]) => {
                let state = world.state();
                let owner = state.account(call.account);
                Answer::ok(json!({
                    "state": state_word(owner.condition), "phone": owner.account.phone,
                    "name": owner.account.name,
                }))
            }
            ("GET", ["people"]) => lists::people(world, call),
            ("GET", ["people", id]) => lists::person(world, id),
            ("PUT", ["people", id, "block"]) => lists::block(world, id, true),
            ("DELETE", ["people", id, "block"]) => lists::block(world, id, false),
            ("GET", ["messages"]) => lists::messages(world, call),
            ("GET", ["groups"]) => lists::groups(world, call),
            (_, ["groups", tail @ ..]) => {
                groups::answer(world, call, tail).unwrap_or_else(|| not_played(call))
            }
            _ => not_played(call),
        }
    }

    fn error(&self, status: StatusCode, message: &str) -> Answer {
        refused(status, message)
    }

    fn unknown_token(&self) -> Answer {
        refused(StatusCode::UNAUTHORIZED, "unknown token")
    }

    fn deliveries(&self, account: &AccountState, event: &Event) -> Vec<Delivery> {
        let Some(url) = setting(account, "webhook_url") else { return vec![] };
        show::bodies(account, event)
            .into_iter()
            .map(|body| {
                let body = Bytes::from(body.to_string());
                let mut headers = HeaderMap::new();
                if let Some(value) =
                    setting(account, "signature_secret").and_then(|s| sign(s, &body))
                {
                    headers.insert(HeaderName::from_static("x-webhook-signature"), value);
                }
                Delivery {
                    target: TARGET.to_owned(),
                    method: Method::POST,
                    url: url.to_owned(),
                    headers,
                    body,
                    max_age: None,
                }
            })
            .collect()
    }

    fn targets(&self, account: &AccountState) -> Option<Vec<Target>> {
        let mut headers = HeaderMap::new();
        if let Some(secret) = setting(account, "webhook_secret") {
            let own =
                setting(account, "webhook_header").and_then(|name| HeaderName::try_from(name).ok());
            let (name, value) = match own {
                Some(name) => (name, secret.to_owned()),
                None => (header::AUTHORIZATION, format!("Bearer {secret}")),
            };
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        let target = Target { name: TARGET.to_owned(), headers };
        Some(if setting(account, "webhook_url").is_some() { vec![target] } else { vec![] })
    }

    fn file_id(&self, _mime: &str) -> String {
        format!("file-{:016x}", rand::random::<u64>())
    }

    fn message_id(&self, _in_group: bool) -> String {
        format!("msg-{:016x}", rand::random::<u64>())
    }

    fn made_message_id(&self, n: u64, _in_group: bool) -> String {
        format!("past-{n:012}")
    }

    fn is_message_id(&self, text: &str) -> bool {
        (1..=64).contains(&text.len()) && !text.contains(char::is_whitespace)
    }

    fn chat_id(&self, chat: &Chat) -> String {
        show::chat(chat)
    }

    fn show(&self, message: &Message) -> Value {
        show::message("", message)
    }

    fn describe(&self, account: &AccountState) -> Value {
        json!({"state": state_word(account.condition), "webhook_url": setting(account, "webhook_url")})
    }
}

/// The one address of an account.
const TARGET: &str = "webhook";

fn setting<'a>(owner: &'a AccountState, name: &str) -> Option<&'a str> {
    owner.account.settings.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn sign(secret: &str, body: &[u8]) -> Option<HeaderValue> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    let hex: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("sha256={hex}")).ok()
}

fn state_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Connected => "connected",
        Condition::QrNeeded => "qr_needed",
        Condition::Disconnected | Condition::Asleep => "disconnected",
        Condition::Banned => "banned",
        Condition::TokenDead => "token_dead",
    }
}

fn not_played(call: &Call) -> Answer {
    let words = format!("the simulator does not play {} {}", call.method, call.path);
    refused(StatusCode::NOT_FOUND, &words)
}

fn refused(status: StatusCode, message: &str) -> Answer {
    Answer::new(status, json!({"error": {"message": message}}))
}

/// `POST /messages`.
fn send(world: &Arc<World>, call: &Call) -> Answer {
    match draft(world, call).and_then(|draft| may_send(world, call, &draft.chat).map(|()| draft)) {
        Err(answer) => answer,
        Ok(draft) => {
            let effects = call.effects.and(world.webhook_effects(call.account, &call.subject()));
            let message = world.send(call.account, draft, effects);
            Answer::ok(json!({"message": {"id": message.id, "status": "pending"}}))
        }
    }
}

fn draft(world: &World, call: &Call) -> Result<Draft, Answer> {
    let wrong = |message: &str| refused(StatusCode::BAD_REQUEST, message);
    let body: Map<String, Value> =
        serde_json::from_slice(&call.body).map_err(|_| wrong("the body is no JSON object"))?;
    let known = [
        "to",
        "type",
        "body",
        "quoted_id",
        "reference",
        "file",
        "caption",
        "filename",
        "location",
        "contact",
        "poll",
    ];
    if let Some(name) = body.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(wrong(&format!("{name}: unknown field")));
    }
    let string =
        |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let to = string("to").ok_or_else(|| wrong("to is required"))?;
    let chat = match to.split_once('@') {
        Some((_, "g.us")) => Chat::Group(to.to_owned()),
        Some((_, "s.whatsapp.net")) | None => {
            Chat::Person(digits(to).ok_or_else(|| wrong("to is no number"))?)
        }
        Some(_) => return Err(wrong("to is neither a number nor a group")),
    };
    let content = sends::content(world, call, &body)?;
    Ok(Draft {
        quoted: string("quoted_id").map(str::to_owned),
        reference: string("reference").map(str::to_owned),
        ..Draft::new(chat, content)
    })
}

fn may_send(world: &World, call: &Call, chat: &Chat) -> Result<(), Answer> {
    let state = world.state();
    let owner = state.account(call.account);
    if owner.condition != Condition::Connected {
        // Surely not sent, but the format has no word for that: a mapping would name the status.
        return Err(refused(StatusCode::SERVICE_UNAVAILABLE, "the number is not connected"));
    }
    if let Chat::Group(id) = chat
        && !state.group(id).is_some_and(|group| group.has(&owner.account.phone))
    {
        return Err(refused(StatusCode::NOT_FOUND, "no such group"));
    }
    Ok(())
}

/// RFC 3339, UTC.
fn iso(second: i64) -> String {
    jiff::Timestamp::from_second(second).unwrap_or_else(|_| clock::now()).to_string()
}
