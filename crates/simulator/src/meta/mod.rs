//! Meta's Cloud API, as far as its fact sheet (`meta_cloud_api.md`; sections are named where they are played)
//! vouches for it: sends, read marks, files, the standing of a number, its webhook with handshake and
//! signature. Several numbers may share one token and one app secret.
//!
//! An account's settings: `app_secret`, `verify_token`, `webhook_url` (the app's callback), `waba_id`,
//! `media_urls` (true: webhooks bring links of files along), `official` (false: no groups), `templates` (a list as Meta lists them; a few in all
//! states when it is missing). What is not played answers error 100.

mod calls;
mod groups;
mod ids;
mod show;
mod templates;
mod upload;
mod webhook;

use crate::{
    Provider,
    message::{Chat, Event, Message},
    state::{AccountId, AccountState, Condition, State},
    vendor::{Answer, Call, Operation, Question, Vendor},
    webhooks::{Delivery, Target},
    world::World,
};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;

/// A link of a file lives about five minutes (section 4).
const LINK_SECONDS: i64 = 300;

pub(crate) struct Meta;

/// The path without the version in front.
fn segments(path: &str) -> Vec<&str> {
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_version = |segment: &str| {
        segment.strip_prefix('v').is_some_and(|rest| {
            rest.contains('.') && rest.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        })
    };
    if segments.first().is_some_and(|first| is_version(first)) {
        segments.remove(0);
    }
    segments
}

impl Vendor for Meta {
    fn provider(&self) -> Provider {
        Provider::Meta
    }

    fn token(&self, headers: &HeaderMap, _query: &[(String, String)]) -> Option<String> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    }

    /// The number in the path, else the one that has the file, else any: the call is refused then.
    fn account(&self, state: &State, candidates: &[AccountId], path: &str) -> Option<AccountId> {
        let segments = segments(path);
        let first = segments.first().copied().unwrap_or_default();
        let fits = |id: &&AccountId| {
            let account = &state.account(**id).account;
            account.channel_id == first
                || state.files.get(**id, first).is_some()
                || groups::named(state, first).is_some_and(|group| group.has(&account.phone))
        };
        candidates.iter().find(fits).or_else(|| candidates.first()).copied()
    }

    fn shares_tokens(&self) -> bool {
        true
    }

    fn operation(&self, method: &Method, path: &str) -> Operation {
        let (name, kind) = match (method.as_str(), &segments(path)[..]) {
            // What is sent stands in the body, which is not read yet.
            ("POST", [_, "messages"]) => ("message.send", Some("text")),
            ("POST", [_, "media"]) => ("media.upload", None),
            ("GET", [_, "message_templates"]) => ("template.list", None),
            (_, [_, "block_users"]) => ("contact.block", None),
            ("GET", [_, "groups"]) => ("group.list", None),
            ("POST", [_, "groups"]) => ("group.create", None),
            (_, [_, "participants"]) => ("group.members", None),
            (_, [_, "invite_link"]) => ("group.invite", None),
            ("GET", [id]) if ids::group_of(id).is_some() => ("group.info", None),
            ("POST", [id]) if ids::group_of(id).is_some() => ("group.update", None),
            ("DELETE", [id]) if ids::group_of(id).is_some() => ("group.leave", None),
            ("POST", [_]) => ("settings.update", None),
            // Numbers and files are told apart when they are looked up; numbers are shorter here.
            ("GET", [id]) if id.len() == 16 => ("media.get", None),
            ("GET", [_]) => ("health", None),
            _ => ("unknown", None),
        };
        Operation::new(name, kind)
    }

    fn question(&self, call: &Call) -> Option<Question> {
        let path = segments(&call.path);
        matches!((call.method.as_str(), &path[..]), ("POST", [id]) if ids::group_of(id).is_none())
            .then(|| calls::question(call))
            .flatten()
    }

    fn answer(&self, world: &Arc<World>, call: &Call) -> Answer {
        let path = segments(&call.path);
        let own = {
            let state = world.state();
            let owner = state.account(call.account);
            if owner.condition == Condition::TokenDead {
                return self.unknown_token();
            }
            path.first().is_some_and(|first| *first == owner.account.channel_id)
        };
        if let [id, tail @ ..] = &path[..]
            && ids::group_of(id).is_some()
        {
            return groups::answer(world, call, id, tail).unwrap_or_else(|| not_played(call));
        }
        match (call.method.as_str(), &path[..]) {
            ("GET", [_, "groups"]) if own => groups::list(world, call),
            ("POST", [_, "block_users"]) if own => groups::block(world, call, true),
            ("DELETE", [_, "block_users"]) if own => groups::block(world, call, false),
            ("POST", [_, "groups"]) if own => groups::create(world, call),
            ("POST", [_, "messages"]) if own => calls::messages(world, call),
            ("POST", [_, "media"]) if own => upload::keep(world, call),
            ("POST", [_]) if own => calls::configure(world, call),
            ("GET", [_]) if own => Answer::ok(calls::number(world.state().account(call.account))),
            ("GET", [waba, "message_templates"]) => templates::list(world, call, waba),
            ("GET", [id]) => calls::media(world, call, id),
            ("DELETE", [id]) => calls::forget(world, call, id),
            (_, [id, ..]) if !own => no_such_object(id),
            _ => not_played(call),
        }
    }

    /// Errors of the platform come without a code, as from a gateway: what they mean is unknown.
    fn error(&self, status: StatusCode, message: &str) -> Answer {
        let code = match status.as_u16() {
            429 => 130_429,
            401 => 190,
            403 => 10,
            400..=499 => 100,
            _ => return Answer::new(status, message.into()),
        };
        graph_error(status, code, message, "")
    }

    fn unknown_token(&self) -> Answer {
        graph_error(
            StatusCode::UNAUTHORIZED,
            190,
            "Invalid OAuth access token - Cannot parse access token",
            "",
        )
    }

    fn deliveries(&self, account: &AccountState, event: &Event) -> Vec<Delivery> {
        webhook::deliveries(account, event)
    }

    fn targets(&self, account: &AccountState) -> Option<Vec<Target>> {
        Some(webhook::targets(account))
    }

    fn file_id(&self, _mime: &str) -> String {
        ids::new_file()
    }

    fn link_seconds(&self) -> i64 {
        LINK_SECONDS
    }

    fn link_needs_token(&self) -> bool {
        true
    }

    fn message_id(&self, _in_group: bool) -> String {
        ids::new_message()
    }

    fn made_message_id(&self, n: u64, _in_group: bool) -> String {
        format!("wamid.Made{n:020}")
    }

    fn is_message_id(&self, text: &str) -> bool {
        ids::is_message(text)
    }

    fn chat_id(&self, chat: &Chat) -> String {
        ids::chat(chat)
    }

    fn show(&self, message: &Message) -> Value {
        show::message(message, false)
    }

    fn describe(&self, account: &AccountState) -> Value {
        calls::number(account)
    }
}

fn not_played(call: &Call) -> Answer {
    bad_parameter(&format!("the simulator does not play {} {}", call.method, call.path))
}

/// An error in Meta's form (section 9).
fn graph_error(status: StatusCode, code: i64, message: &str, details: &str) -> Answer {
    let mut error = json!({
        "message": format!("(#{code}) {message}"), "type": "OAuthException", "code": code,
        "fbtrace_id": "AbCdEfGhIjKlMnOpQrStUvW",
    });
    if !details.is_empty() {
        error["error_data"] = json!({"messaging_product": "whatsapp", "details": details});
    }
    Answer::new(status, json!({"error": error}))
}

fn bad_parameter(details: &str) -> Answer {
    graph_error(StatusCode::BAD_REQUEST, 100, "Invalid parameter", details)
}

fn no_such_object(id: &str) -> Answer {
    let words = format!("Object with ID '{id}' does not exist or cannot be loaded");
    graph_error(StatusCode::BAD_REQUEST, 100, "Unsupported request", &words)
}
