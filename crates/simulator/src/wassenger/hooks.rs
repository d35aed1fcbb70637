//! Webhooks of a device (section 7): their registration, and the bodies that go out by them.

use super::{bad_request, ids, json_body, refused, sends, show};
use crate::{
    clock,
    message::{Chat, Content, Event, Message, Status, StatusChange},
    people::Person,
    state::AccountState,
    vendor::{Answer, Call},
    webhooks::{Delivery, Target},
    world::World,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

const FIELDS: [&str; 5] = ["name", "url", "events", "device", "headers"];
const NAME_MAX_CHARS: usize = 30;
const EVENTS: [&str; 13] = [
    "message:in:new",
    "message:out:new",
    "message:out:sent",
    "message:out:ack",
    "message:out:failed",
    "message:update",
    "message:reaction",
    "group:update",
    "chat:update",
    "contact:update",
    "number:session",
    "status:update",
    "channel:in",
];

#[derive(Debug, Clone)]
struct Hook {
    id: String,
    name: String,
    url: String,
    events: Vec<String>,
    device: Option<String>,
    active: bool,
    /// A white-label of the API takes them; whether the vendor's own host does is not confirmed.
    headers: HeaderMap,
}

impl Hook {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "url": self.url, "events": self.events,
            "device": self.device, "status": if self.active { "active" } else { "disabled" },
        })
    }

    fn change(&mut self, call: &Call) -> Result<(), Answer> {
        let body = json_body(call, &FIELDS)?;
        if let Some(name) = body.get("name") {
            let name = name.as_str().filter(|name| name.chars().count() <= NAME_MAX_CHARS);
            name.ok_or_else(|| bad_request("name has at most 30 characters"))?
                .clone_into(&mut self.name);
        }
        if let Some(url) = body.get("url") {
            let url = url
                .as_str()
                .filter(|url| url.starts_with("http://") || url.starts_with("https://"));
            url.ok_or_else(|| bad_request("url must be an http(s) address"))?
                .clone_into(&mut self.url);
        }
        if let Some(events) = body.get("events") {
            let events: Option<Vec<String>> = events
                .as_array()
                .and_then(|list| list.iter().map(|one| one.as_str().map(str::to_owned)).collect());
            self.events = events
                .filter(|events| events.iter().all(|event| EVENTS.contains(&event.as_str())))
                .ok_or_else(|| bad_request("events: unknown event"))?;
        }
        if let Some(device) = body.get("device") {
            self.device = device.as_str().map(str::to_owned);
        }
        if let Some(headers) = body.get("headers") {
            let headers = headers.as_object().and_then(|headers| {
                headers
                    .iter()
                    .map(|(name, value)| {
                        let name = HeaderName::try_from(name.as_str()).ok()?;
                        Some((name, HeaderValue::try_from(value.as_str()?).ok()?))
                    })
                    .collect()
            });
            self.headers = headers.ok_or_else(|| bad_request("headers: names and texts"))?;
        }
        Ok(())
    }
}

/// The webhooks of one device.
#[derive(Debug, Default)]
pub(crate) struct Hooks(Vec<Hook>);

impl Hooks {
    pub fn to_json(&self) -> Value {
        self.0.iter().map(Hook::to_json).collect()
    }

    fn targets(&self) -> Vec<Target> {
        self.0
            .iter()
            .filter(|hook| hook.active)
            .map(|hook| Target { name: hook.id.clone(), headers: hook.headers.clone() })
            .collect()
    }
}

pub(super) fn list(world: &World, call: &Call) -> Answer {
    Answer::ok(world.state().account(call.account).wassenger.to_json())
}

pub(super) fn get(world: &World, call: &Call, id: &str) -> Answer {
    let state = world.state();
    match state.account(call.account).wassenger.0.iter().find(|hook| hook.id == id) {
        Some(hook) => Answer::ok(hook.to_json()),
        None => refused(StatusCode::NOT_FOUND, "webhook not found"),
    }
}

pub(super) fn create(world: &World, call: &Call) -> Answer {
    let mut hook = Hook {
        id: ids::new_record(),
        name: String::new(),
        url: String::new(),
        events: vec![],
        device: None,
        active: true,
        headers: HeaderMap::new(),
    };
    if let Err(answer) = hook.change(call) {
        return answer;
    }
    if hook.name.is_empty() || hook.url.is_empty() || hook.events.is_empty() {
        return bad_request("name, url and events are required");
    }
    let mut state = world.state();
    let hooks = &mut state.account_mut(call.account).wassenger;
    if hooks.0.iter().any(|other| other.url == hook.url) {
        return refused(StatusCode::CONFLICT, "a webhook with this URL exists");
    }
    let answer = hook.to_json();
    hooks.0.push(hook);
    world.webhooks.set_targets(call.account, &hooks.targets());
    Answer::new(StatusCode::CREATED, answer)
}

pub(super) fn update(world: &World, call: &Call, id: &str) -> Answer {
    changed(world, call, id, |hook| hook.change(call))
}

pub(super) fn enable(world: &World, call: &Call, id: &str) -> Answer {
    changed(world, call, id, |hook| {
        hook.active = true;
        Ok(())
    })
}

fn changed(
    world: &World,
    call: &Call,
    id: &str,
    change: impl FnOnce(&mut Hook) -> Result<(), Answer>,
) -> Answer {
    let mut state = world.state();
    let hooks = &mut state.account_mut(call.account).wassenger;
    let Some(hook) = hooks.0.iter_mut().find(|hook| hook.id == id) else {
        return refused(StatusCode::NOT_FOUND, "webhook not found");
    };
    let mut changed = hook.clone();
    if let Err(answer) = change(&mut changed) {
        return answer;
    }
    *hook = changed;
    let answer = hook.to_json();
    world.webhooks.set_targets(call.account, &hooks.targets());
    Answer::ok(answer)
}

pub(super) fn delete(world: &World, call: &Call, id: &str) -> Answer {
    let mut state = world.state();
    let hooks = &mut state.account_mut(call.account).wassenger;
    let before = hooks.0.len();
    hooks.0.retain(|hook| hook.id != id);
    if hooks.0.len() == before {
        return refused(StatusCode::NOT_FOUND, "webhook not found");
    }
    world.webhooks.set_targets(call.account, &hooks.targets());
    Answer::ok(json!({"success": true}))
}

/// One call per hook that wants the event, and per message where an event tells of several.
pub(super) fn deliveries(owner: &AccountState, event: &Event) -> Vec<Delivery> {
    let hooks = &owner.wassenger.0;
    if hooks.is_empty() {
        return vec![];
    }
    let mut deliveries = vec![];
    for (name, body) in bodies(owner, event) {
        let body = Bytes::from(body.to_string());
        let wanting = hooks.iter().filter(|hook| {
            hook.active
                && hook.events.iter().any(|wanted| wanted == name)
                && hook.device.as_ref().is_none_or(|device| *device == owner.account.channel_id)
        });
        deliveries.extend(wanting.map(|hook| Delivery {
            target: hook.id.clone(),
            method: Method::POST,
            url: hook.url.clone(),
            headers: HeaderMap::new(),
            body: body.clone(),
            max_age: None,
        }));
    }
    deliveries
}

fn bodies<'a>(owner: &AccountState, event: &'a Event) -> Vec<(&'a str, Value)> {
    let device = owner.account.channel_id.as_str();
    let show = |message: &Message| show::message(device, Some(owner), message);
    let now = clock::seconds();
    let one = |name: &'a str, object: &str, at: i64, data: Value| {
        let id = data.get("id").or_else(|| data.get("wid")).cloned().unwrap_or_default();
        vec![(name, envelope(owner, name, object, id, at, data))]
    };
    match event {
        Event::Message(message) => match &message.content {
            Content::Reaction { target, emoji } => {
                one("message:reaction", "message", message.at, reaction(message, target, emoji))
            }
            Content::Vote { .. } => one("message:update", "message", message.at, show(message)),
            _ if message.from_me => one("message:out:new", "message", message.at, show(message)),
            _ if matches!(message.chat, Chat::Channel(_)) => {
                one("channel:in", "message", message.at, show(message))
            }
            _ => one("message:in:new", "message", message.at, show(message)),
        },
        Event::Edited(edit) => one("message:update", "message", edit.trigger.at, show(&edit.after)),
        Event::Removed { message, at } => {
            let mut data = show(message);
            data["meta"]["isRevoked"] = true.into();
            one("message:update", "message", *at, data)
        }
        Event::Statuses(changes) => statuses(owner, changes),
        Event::Group(change) => match show::group(change) {
            Some(data) => {
                let id = ids::new_record().into();
                vec![(
                    "group:update",
                    envelope(owner, "group:update", "group", id, change.at, data),
                )]
            }
            None => vec![],
        },
        Event::Contact(change) => {
            one("contact:update", "contact", change.at, show::contact(&change.after))
        }
        Event::Chat(change) => {
            let id = ids::chat(&change.chat);
            let mut data = match &change.chat {
                Chat::Person(phone) => {
                    let person = Person { name: change.name.clone(), ..Person::of(phone) };
                    show::person_chat(&id, &person, change.at)
                }
                Chat::Group(_) => show::plain_chat(&id, &change.name, "group", change.at),
                Chat::Channel(_) => show::plain_chat(&id, &change.name, "channel", change.at),
            };
            data["unreadCount"] = change.unread.into();
            one("chat:update", "chat", change.at, data)
        }
        Event::Condition => {
            let data = json!({
                "id": device, "status": show::session(owner.condition),
                "phone": format!("+{}", owner.account.phone),
            });
            let id = ids::new_record().into();
            vec![("number:session", envelope(owner, "number:session", "device", id, now, data))]
        }
        Event::Login | Event::Logout => vec![],
        Event::Own { kind, content } => {
            let object = kind.split(':').next().unwrap_or_default();
            one(kind, object, now, content.clone())
        }
    }
}

fn envelope(
    owner: &AccountState,
    name: &str,
    object: &str,
    id: Value,
    at: i64,
    data: Value,
) -> Value {
    json!({
        "id": id, "object": object, "event": name, "created": at,
        "device": {
            "id": owner.account.channel_id, "phone": format!("+{}", owner.account.phone),
            "alias": owner.account.name, "plan": "io-professional",
        },
        "data": data,
    })
}

fn reaction(message: &Message, target: &str, emoji: &str) -> Value {
    json!({
        "id": target,
        "reaction": {
            "emoji": emoji, "from": show::wid(&message.author), "date": show::iso(message.at),
        },
        "chat": {
            "id": ids::chat(&message.chat),
            "type": if matches!(message.chat, Chat::Group(_)) { "group" } else { "chat" },
        },
    })
}

/// One acknowledgement a message, whoever of a group it is about. A failure tells the record of the queue.
fn statuses(owner: &AccountState, changes: &[StatusChange]) -> Vec<(&'static str, Value)> {
    let device = owner.account.channel_id.as_str();
    let mut told = Vec::new();
    let mut bodies = Vec::new();
    for change in changes {
        if told.contains(&(&change.message_id, change.status)) {
            continue;
        }
        told.push((&change.message_id, change.status));
        let Some(message) = owner.history.get(&change.message_id) else { continue };
        let message = Message { status: change.status, ..message.clone() };
        let (name, data) = match change.status {
            Status::Failed => {
                let mut record = sends::record(device, &message, false);
                if let Some(error) = &change.error {
                    record["error"] = json!({"code": error.code, "message": error.message});
                }
                ("message:out:failed", record)
            }
            Status::Sent => ("message:out:sent", show::message(device, Some(owner), &message)),
            _ => ("message:out:ack", show::message(device, Some(owner), &message)),
        };
        let id = data["id"].clone();
        bodies.push((name, envelope(owner, name, "message", id, change.at, data)));
    }
    bodies
}
