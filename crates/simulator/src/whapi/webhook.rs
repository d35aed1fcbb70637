//! WHAPI's webhook bodies (`whapi.md` sections 6 and 7), in the shapes of its vectors.

use super::{health, ids, settings::Hook};
use crate::{
    message::{Content, Edit, Event, Message, Source, Status, StatusChange},
    state::AccountState,
    webhooks::Delivery,
};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

/// One call per hook that wants the event.
pub(crate) fn deliveries(owner: &AccountState, event: &Event) -> Vec<Delivery> {
    let (kind, method) = name(event);
    let mut wanting = owner.whapi.hooks().iter().filter(|hook| hook.wants(kind, method)).peekable();
    if wanting.peek().is_none() {
        return vec![];
    }
    let body = Bytes::from(body(owner, event).to_string());
    wanting.map(|hook| delivery(owner, hook, kind, method, body.clone())).collect()
}

fn delivery(
    owner: &AccountState,
    hook: &Hook,
    kind: &str,
    event_method: &str,
    body: Bytes,
) -> Delivery {
    let (method, url) = hook.address(kind, event_method);
    Delivery {
        target: hook.target.clone(),
        method,
        url,
        headers: HeaderMap::new(),
        body,
        max_age: owner.whapi.max_age(),
    }
}

/// The call that `webhook_test` makes; it carries the hook's headers itself.
pub(crate) fn test(owner: &AccountState, hook: &Hook, kind: &str) -> Delivery {
    let mut body = envelope(owner, kind, "post");
    if matches!(kind, "messages" | "statuses" | "chats" | "contacts" | "groups") {
        body[kind] = json!([]);
    }
    let mut delivery = delivery(owner, hook, kind, "post", Bytes::from(body.to_string()));
    delivery.headers = hook.headers.clone();
    delivery
}

fn name(event: &Event) -> (&'static str, &'static str) {
    match event {
        Event::Message(_) => ("messages", "post"),
        Event::Edited(_) => ("messages", "patch"),
        Event::Removed { .. } => ("messages", "delete"),
        Event::Statuses(_) => ("statuses", "post"),
        Event::Condition => ("channel", "post"),
        Event::Login => ("users", "post"),
        Event::Logout => ("users", "delete"),
    }
}

fn envelope(owner: &AccountState, kind: &str, method: &str) -> Value {
    json!({"event": {"type": kind, "event": method}, "channel_id": owner.account.channel_id})
}

fn body(owner: &AccountState, event: &Event) -> Value {
    let (kind, method) = name(event);
    let mut body = envelope(owner, kind, method);
    match event {
        Event::Message(one) => body["messages"] = json!([message(one)]),
        Event::Edited(edit) => body["messages_updates"] = json!([edited(edit)]),
        Event::Removed { id, .. } => body["messages_removed"] = json!([id]),
        Event::Statuses(changes) => {
            body["statuses"] = changes.iter().map(status).collect();
        }
        Event::Condition => body["health"] = health::health(owner),
        Event::Login | Event::Logout => body["user"] = health::user(owner),
    }
    body
}

/// A message as it stands in webhooks, answers and history.
pub(crate) fn message(message: &Message) -> Value {
    let (kind, key, content) = content(&message.content);
    let mut json = json!({
        "id": message.id,
        "from_me": message.from_me,
        "type": kind,
        "chat_id": ids::chat(&message.chat),
        "timestamp": message.at,
        "source": match message.source {
            Source::Api => "api",
            Source::Mobile => "mobile",
        },
        "from": message.author,
        "from_name": message.author_name,
    });
    json[key] = content;
    if let Some(name) = &message.chat_name {
        json["chat_name"] = name.as_str().into();
    }
    if message.from_me {
        json["status"] = word(message.status).1.into();
    }
    if let Some(quoted) = &message.quoted {
        json["context"]["quoted_id"] = quoted.id.as_str().into();
        if let Some(author) = &quoted.author {
            json["context"]["quoted_author"] = author.as_str().into();
        }
        if let Some(quoted) = &quoted.content {
            let (kind, _, content) = self::content(quoted);
            json["context"]["quoted_type"] = kind.into();
            json["context"]["quoted_content"] = content;
        }
    }
    if !message.mentions.is_empty() {
        json["context"]["mentions"] = message.mentions.clone().into();
    }
    json
}

/// Type word, key of the content object, and the object.
fn content(content: &Content) -> (&str, &str, Value) {
    match content {
        Content::Text { body } => ("text", "text", json!({"body": body})),
        Content::Reaction { target, emoji } => {
            ("action", "action", json!({"target": target, "type": "reaction", "emoji": emoji}))
        }
        Content::Other { kind, object } => (kind, kind, Value::Object(object.clone())),
    }
}

fn edited(edit: &Edit) -> Value {
    let (kind, key, content) = content(&edit.after.content);
    let mut trigger = message(&edit.trigger);
    if let Some(fields) = trigger.as_object_mut() {
        fields.remove(key);
    }
    trigger["type"] = "action".into();
    trigger["action"] = json!({
        "target": edit.after.id, "type": "edit", "edited_type": kind, "edited_content": content,
    });
    json!({
        "id": edit.after.id,
        "trigger": trigger,
        "before_update": message(&edit.before),
        "after_update": message(&edit.after),
        "changes": [key],
    })
}

/// `timestamp` is a string here, a number in messages.
fn status(change: &StatusChange) -> Value {
    let (code, word) = word(change.status);
    let mut json = json!({
        "id": change.message_id,
        "code": code,
        "status": word,
        "recipient_id": ids::chat(&change.chat),
        "timestamp": change.at.to_string(),
    });
    if let Some(viewer) = &change.viewer {
        json["viewer_id"] = viewer.as_str().into();
    }
    if change.status == Status::Failed {
        json["errors"] = json!([{"code": 500, "message": "send failed"}]);
    }
    json
}

/// Code and word of a status (section 7; the words are sure, the codes inferred).
fn word(status: Status) -> (u8, &'static str) {
    match status {
        Status::Failed => (0, "failed"),
        Status::Pending => (1, "pending"),
        Status::Sent => (2, "sent"),
        Status::Delivered => (3, "delivered"),
        Status::Read => (4, "read"),
    }
}
