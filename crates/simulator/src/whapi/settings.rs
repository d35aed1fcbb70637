//! The channel's settings and its webhooks (`whapi.md` section 6, "Setting them").

use super::{bad_request, json_body, refused, webhook};
use crate::{
    vendor::{Answer, Call},
    webhooks::Target,
    world::World,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

/// Hooks one channel may have. The sheet gives no number; a bound there must be.
const MAX_HOOKS: usize = 20;
const MAX_HEADERS: usize = 5;

const EVENT_TYPES: &[&str] = &[
    "messages",
    "statuses",
    "chats",
    "contacts",
    "groups",
    "presences",
    "calls",
    "channel",
    "users",
    "labels",
    "service",
];
const EVENT_METHODS: &[&str] = &["post", "put", "patch", "delete"];

/// Settings that are stored but change nothing here.
const OTHER_KEYS: &[&str] = &[
    "on_call_pager",
    "pass_through",
    "sent_status",
    "proxy",
    "mobile_proxy",
    "offline_mode",
    "full_history",
    "send_undecrypted_ad",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Body,
    Path,
    Method,
}

impl Mode {
    fn parse(word: Option<&Value>) -> Result<Self, Answer> {
        match word.map(|word| word.as_str()) {
            None | Some(Some("body")) => Ok(Self::Body),
            Some(Some("path")) => Ok(Self::Path),
            Some(Some("method")) => Ok(Self::Method),
            Some(_) => Err(wrong("mode must be body, path or method")),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Hook {
    /// Name of its target among those of the channel.
    pub target: String,
    pub url: String,
    pub mode: Mode,
    pub headers: HeaderMap,
    /// Type and method; no method is all of them.
    events: Vec<(String, Option<String>)>,
}

impl Hook {
    pub fn wants(&self, kind: &str, method: &str) -> bool {
        self.events
            .iter()
            .any(|(k, m)| k == kind && m.as_deref().is_none_or(|wanted| wanted == method))
    }

    /// The verb and address of a call about the event, by the hook's mode.
    pub fn address(&self, kind: &str, method: &str) -> (Method, String) {
        match self.mode {
            Mode::Body => (Method::POST, self.url.clone()),
            Mode::Path => {
                let (path, query) = match self.url.split_once('?') {
                    Some((path, query)) => (path, format!("?{query}")),
                    None => (self.url.as_str(), String::new()),
                };
                let path = path.trim_end_matches('/');
                (Method::POST, format!("{path}/{kind}/{method}{query}"))
            }
            Mode::Method => {
                let verb = match method {
                    "put" => Method::PUT,
                    "patch" => Method::PATCH,
                    "delete" => Method::DELETE,
                    _ => Method::POST,
                };
                (verb, self.url.clone())
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Settings {
    values: Map<String, Value>,
    hooks: Vec<Hook>,
}

impl Default for Settings {
    fn default() -> Self {
        let values = json!({
            "callback_backoff_delay_ms": 3000,
            "max_callback_backoff_delay_ms": 900_000,
            "callback_persist": true,
            "media": {"auto_download": []},
            "webhooks": [],
        });
        let Value::Object(values) = values else { unreachable!("the literal is an object") };
        Self { values, hooks: vec![] }
    }
}

impl Settings {
    pub fn to_json(&self) -> Value {
        Value::Object(self.values.clone())
    }

    pub fn hooks(&self) -> &[Hook] {
        &self.hooks
    }

    /// True when files of this kind are told with a link (`media.auto_download`).
    pub fn downloads(&self, kind: &str) -> bool {
        self.values
            .get("media")
            .and_then(|media| media.get("auto_download"))
            .and_then(Value::as_array)
            .is_some_and(|kinds| kinds.iter().any(|wanted| wanted == kind))
    }

    /// Older events are dropped at the source.
    pub fn max_age(&self) -> Option<std::time::Duration> {
        let seconds = self.values.get("webhook_max_age_seconds")?.as_u64()?;
        Some(std::time::Duration::from_secs(seconds))
    }

    fn targets(&self) -> Vec<Target> {
        self.hooks
            .iter()
            .map(|hook| Target { name: hook.target.clone(), headers: hook.headers.clone() })
            .collect()
    }
}

/// `GET /settings`.
pub(crate) fn get(world: &World, call: &Call) -> Answer {
    Answer::ok(world.state().account(call.account).whapi.to_json())
}

/// `PATCH /settings`: keys left out stay, `webhooks` is replaced as a whole.
pub(crate) fn update(world: &World, call: &Call) -> Answer {
    let checked = json_body(call).and_then(|change| {
        let hooks = change.get("webhooks").map(hooks).transpose()?;
        check_values(&change)?;
        Ok((change, hooks))
    });
    let (change, hooks) = match checked {
        Ok(checked) => checked,
        Err(answer) => return answer,
    };
    let mut state = world.state();
    let settings = &mut state.account_mut(call.account).whapi;
    let before = settings.to_json();
    let mut changes = Vec::new();
    for (key, value) in change {
        if settings.values.get(&key) != Some(&value) {
            changes.push(key.clone());
        }
        settings.values.insert(key, value);
    }
    if let Some(hooks) = hooks {
        settings.hooks = hooks;
    }
    let after = settings.to_json();
    world.webhooks.set_targets(call.account, &settings.targets());
    Answer::ok(json!({"before_update": before, "after_update": after, "changes": changes}))
}

/// `DELETE /settings`; 409 when there is nothing to reset.
pub(crate) fn reset(world: &World, call: &Call) -> Answer {
    let mut state = world.state();
    let settings = &mut state.account_mut(call.account).whapi;
    let fresh = Settings::default();
    if settings.values == fresh.values {
        return refused(StatusCode::CONFLICT, "Settings already reset", "");
    }
    *settings = fresh;
    world.webhooks.set_targets(call.account, &[]);
    Answer::ok(json!({"success": true}))
}

/// `GET /settings/events`.
pub(crate) fn events() -> Answer {
    let mut events = Vec::new();
    for kind in EVENT_TYPES {
        for method in EVENT_METHODS {
            events.push(json!({"type": kind, "method": method}));
        }
    }
    Answer::ok(Value::Array(events))
}

/// `POST /settings/webhook_test {type, url, mode, headers?}`: one call, tried once. What it carries
/// is not in the sheet; here it is the envelope of an event without content.
pub(crate) fn webhook_test(world: &World, call: &Call) -> Answer {
    let parsed = json_body(call).and_then(|body| {
        let kind = event_type(body.get("type"))?;
        if !body.contains_key("mode") {
            return Err(bad_request("mode is required"));
        }
        let mut one = body.clone();
        one.insert("events".to_owned(), json!([{"type": kind, "method": "post"}]));
        one.remove("type");
        Ok((hook(&Value::Object(one), 0)?, kind))
    });
    match parsed {
        Err(answer) => answer,
        Ok((hook, kind)) => {
            let delivery = {
                let state = world.state();
                webhook::test(state.account(call.account), &hook, &kind)
            };
            world.webhooks.push_once(delivery);
            Answer::ok(json!({"success": true}))
        }
    }
}

fn check_values(change: &Map<String, Value>) -> Result<(), Answer> {
    let within = |key: &str, value: &Value, least: f64, most: f64| {
        if value.as_f64().is_some_and(|number| (least..=most).contains(&number)) {
            Ok(())
        } else {
            Err(wrong(&format!("{key} must be a number between {least} and {most}")))
        }
    };
    for (key, value) in change {
        match key.as_str() {
            "webhooks" => {}
            "callback_backoff_delay_ms" => within(key, value, 3_000.0, 15_000.0)?,
            "max_callback_backoff_delay_ms" => within(key, value, 600_000.0, 3_600_000.0)?,
            "webhook_max_age_seconds" => within(key, value, 15.0, 172_800.0)?,
            "callback_persist" if value.is_boolean() => {}
            "callback_persist" => return Err(wrong("callback_persist must be true or false")),
            "media" if value.is_object() => {}
            "media" => return Err(wrong("media must be an object")),
            other if OTHER_KEYS.contains(&other) => {}
            // The real service may well take what it does not know; a typo is worth a word here.
            other => return Err(wrong(&format!("there is no setting {other}"))),
        }
    }
    Ok(())
}

fn hooks(list: &Value) -> Result<Vec<Hook>, Answer> {
    let list = list.as_array().ok_or_else(|| wrong("webhooks must be a list"))?;
    if list.len() > MAX_HOOKS {
        return Err(wrong(&format!("more than {MAX_HOOKS} webhooks")));
    }
    let mut hooks: Vec<Hook> = Vec::with_capacity(list.len());
    for one in list {
        let mut parsed = hook(one, 0)?;
        let twins = hooks
            .iter()
            .filter(|other| other.url == parsed.url && other.mode == parsed.mode)
            .count();
        if twins > 0 {
            parsed = hook(one, twins)?;
        }
        hooks.push(parsed);
    }
    Ok(hooks)
}

fn hook(one: &Value, twin: usize) -> Result<Hook, Answer> {
    let one = one.as_object().ok_or_else(|| wrong("a webhook must be an object"))?;
    if let Some(unknown) =
        one.keys().find(|key| !["url", "mode", "headers", "events"].contains(&key.as_str()))
    {
        return Err(wrong(&format!("a webhook has no field {unknown}")));
    }
    let url =
        one.get("url").and_then(Value::as_str).ok_or_else(|| wrong("a webhook needs its url"))?;
    let known_scheme = url.starts_with("http://") || url.starts_with("https://");
    if !known_scheme || url.parse::<http::Uri>().is_err() {
        return Err(wrong("url must be an http or https address"));
    }
    let mode = Mode::parse(one.get("mode"))?;
    let mut headers = HeaderMap::new();
    if let Some(given) = one.get("headers").filter(|given| !given.is_null()) {
        let given = given.as_object().ok_or_else(|| wrong("headers must be an object"))?;
        if given.len() > MAX_HEADERS {
            return Err(wrong("more than 5 headers"));
        }
        for (name, value) in given {
            let name = HeaderName::try_from(name.as_str())
                .map_err(|_| wrong("headers: a name is none of HTTP"))?;
            let value = value
                .as_str()
                .and_then(|value| HeaderValue::try_from(value).ok())
                .ok_or_else(|| wrong("headers: a value is no text for a header"))?;
            headers.insert(name, value);
        }
    }
    let events = match one.get("events") {
        // The spec's default is `message.put`, a name it calls deprecated: new messages.
        None | Some(Value::Null) => vec![("messages".to_owned(), Some("post".to_owned()))],
        Some(Value::Array(list)) => list.iter().map(event).collect::<Result<Vec<_>, Answer>>()?,
        Some(_) => return Err(wrong("events must be a list")),
    };
    Ok(Hook {
        target: format!("{mode:?} {twin} {url}"),
        url: url.to_owned(),
        mode,
        headers,
        events,
    })
}

fn event(one: &Value) -> Result<(String, Option<String>), Answer> {
    let kind = event_type(one.get("type"))?;
    let method = match one.get("method") {
        None | Some(Value::Null) => None,
        Some(Value::String(method)) if EVENT_METHODS.contains(&method.as_str()) => {
            Some(method.clone())
        }
        Some(_) => return Err(wrong("events: method must be post, put, patch or delete")),
    };
    Ok((kind, method))
}

fn event_type(word: Option<&Value>) -> Result<String, Answer> {
    let word = word.and_then(Value::as_str).ok_or_else(|| wrong("an event needs its type"))?;
    let word = match word {
        "message" => "messages",
        "ack" => "statuses",
        "chat" => "chats",
        "status" => "channel",
        other => other,
    };
    if EVENT_TYPES.contains(&word) {
        Ok(word.to_owned())
    } else {
        Err(wrong(&format!("there are no events of type {word}")))
    }
}

fn wrong(details: &str) -> Answer {
    refused(StatusCode::BAD_REQUEST, "Wrong settings format", details)
}
