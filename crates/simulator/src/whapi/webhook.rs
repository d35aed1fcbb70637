//! WHAPI's webhook bodies (`whapi.md` sections 6 and 7), in the shapes of its vectors.

use super::{health, ids, settings::Hook, show};
use crate::{
    groups::{GroupChange, GroupChangeKind as Kind},
    message::{Content, Edit, Event, Status, StatusChange},
    state::AccountState,
    webhooks::Delivery,
};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// One call per hook that wants the event.
pub(crate) fn deliveries(owner: &AccountState, event: &Event) -> Vec<Delivery> {
    let Some((kind, method)) = name(event) else { return vec![] };
    let mut wanting = owner.whapi.hooks().iter().filter(|hook| hook.wants(kind, method)).peekable();
    if wanting.peek().is_none() {
        return vec![];
    }
    let body = Bytes::from(body(owner, event, kind, method).to_string());
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

/// Type and method of an event; None for what WHAPI has no word for.
fn name(event: &Event) -> Option<(&str, &str)> {
    Some(match event {
        Event::Message(_) => ("messages", "post"),
        Event::Edited(_) => ("messages", "patch"),
        Event::Removed { .. } => ("messages", "delete"),
        Event::Statuses(_) => ("statuses", "post"),
        Event::Group(change) => match change.kind {
            Kind::Created => ("groups", "post"),
            Kind::Subject
            | Kind::Description
            | Kind::Icon
            | Kind::Settings
            | Kind::InviteReset
            | Kind::Deleted => ("groups", "patch"),
            _ => ("groups", "put"),
        },
        Event::Contact(_) => ("contacts", "patch"),
        Event::Chat(change) if change.created => ("chats", "post"),
        Event::Chat(_) => ("chats", "patch"),
        Event::Condition => ("channel", "post"),
        Event::Login => ("users", "post"),
        Event::Logout => ("users", "delete"),
        // `presences.post`, `calls.post`, …
        Event::Own { kind, .. } => return kind.split_once('.'),
    })
}

fn envelope(owner: &AccountState, kind: &str, method: &str) -> Value {
    json!({"event": {"type": kind, "event": method}, "channel_id": owner.account.channel_id})
}

fn body(owner: &AccountState, event: &Event, kind: &str, method: &str) -> Value {
    let links = |content: &Content| match content {
        Content::Media(media) => owner.whapi.downloads(media.kind.word()),
        _ => false,
    };
    let mut body = envelope(owner, kind, method);
    match event {
        Event::Message(one) => body["messages"] = json!([show::message(one, links(&one.content))]),
        Event::Edited(edit) => {
            body["messages_updates"] = json!([edited(edit, links(&edit.after.content))]);
        }
        Event::Removed { message, .. } => body["messages_removed"] = json!([message.id]),
        Event::Statuses(changes) => {
            body["statuses"] = changes.iter().map(status).collect();
        }
        Event::Group(change) => group(change, method, &mut body),
        Event::Contact(change) => {
            let (before, after) = (show::contact(&change.before), show::contact(&change.after));
            body["contacts_updates"] = json!([update(&before, &after)]);
        }
        Event::Chat(change) => {
            let id = ids::chat(&change.chat);
            let after = show::chat(&id, None, change.unread);
            if change.created {
                body["chats"] = json!([after]);
            } else {
                let mut before = after.clone();
                before["unread"] = 0.into();
                body["chats_updates"] = json!([
                    {"before_update": before, "after_update": after, "changes": ["unread"]},
                ]);
            }
        }
        Event::Condition => body["health"] = health::health(owner),
        Event::Login | Event::Logout => body["user"] = health::user(owner),
        Event::Own { content: Value::Object(fields), .. } => {
            for (name, value) in fields {
                body[name] = value.clone();
            }
        }
        Event::Own { content, .. } => body[kind] = content.clone(),
    }
    body
}

/// What is before, after, and different.
fn update(before: &Value, after: &Value) -> Value {
    let none = Map::new();
    let (old, new) = (before.as_object().unwrap_or(&none), after.as_object().unwrap_or(&none));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes: Vec<&&String> =
        names.iter().filter(|name| old.get(**name) != new.get(**name)).collect();
    json!({"before_update": before, "after_update": after, "changes": changes})
}

fn group(change: &GroupChange, method: &str, body: &mut Value) {
    let show = |group, count| show::group(group, &change.known, count);
    match method {
        "post" => body["groups"] = json!([show(&change.after, false)]),
        "patch" => {
            let (mut before, mut after) = (show(&change.before, true), show(&change.after, true));
            // What is not set is left out elsewhere; a switch that goes off is said.
            for name in ["announcements", "restricted"] {
                if before.get(name) != after.get(name) {
                    for side in [&mut before, &mut after] {
                        if side.get(name).is_none() {
                            side[name] = false.into();
                        }
                    }
                }
            }
            match change.kind {
                Kind::InviteReset => {
                    before["invite_code"] = change.before.invite_code.as_str().into();
                    after["invite_code"] = change.after.invite_code.as_str().into();
                }
                Kind::Deleted => {
                    before["terminated"] = false.into();
                    after["terminated"] = true.into();
                }
                _ => {}
            }
            let mut update = update(&before, &after);
            // The time of a name moves with it and is not listed.
            if let Some(changes) = update["changes"].as_array_mut() {
                changes.retain(|name| name != "name_at");
            }
            body["groups_updates"] = json!([update]);
        }
        _ => {
            let action = match change.kind {
                Kind::Joined => "add",
                Kind::Left | Kind::Removed => "remove",
                Kind::Promoted => "promote",
                Kind::Demoted => "demote",
                Kind::Requested => "request",
                Kind::Withdrawn => "revoke_request",
                _ => "rejected_request",
            };
            let participants: Vec<&str> = change.people.iter().map(show::contact_id).collect();
            body["groups_participants"] = json!([
                {"group_id": change.after.id, "participants": participants, "action": action},
            ]);
        }
    }
}

fn edited(edit: &Edit, links: bool) -> Value {
    let (kind, key, content) = show::content(&edit.after.content, edit.after.at, links);
    let mut trigger = show::message(&edit.trigger, links);
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
        "before_update": show::message(&edit.before, links),
        "after_update": show::message(&edit.after, links),
        "changes": [key],
    })
}

/// `timestamp` is a string here, a number in messages.
fn status(change: &StatusChange) -> Value {
    let (code, word) = show::word(change.status);
    let mut json = json!({
        "id": change.message_id,
        "code": code,
        "status": word,
        "recipient_id": ids::chat(&change.chat),
        "timestamp": change.at.to_string(),
    });
    if let Some(viewer) = &change.viewer {
        json["viewer_id"] = show::contact_id(viewer).into();
    }
    if change.status == Status::Failed {
        let (code, words) =
            change.error.as_ref().map_or((500, "send failed"), |e| (e.code, e.message.as_str()));
        json["errors"] = json!([{"code": code, "message": words}]);
    }
    json
}
