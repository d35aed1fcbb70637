//! Meta's webhooks: envelopes, their signature, and the question before a new address is taken.

use super::{ids, show};
use crate::{
    clock,
    groups::{GroupChange, GroupChangeKind as Kind},
    message::{Chat, Event, Message, Source, Status, StatusChange},
    people::Person,
    state::{AccountState, Condition},
    webhooks::{Delivery, Target},
};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use sha2::Sha256;

/// The one target of a number.
const TARGET: &str = "callback";
/// The business account, where the settings name none.
const WABA: &str = "101234567890123";

/// A text among the account's settings.
pub(super) fn setting<'a>(owner: &'a AccountState, name: &str) -> Option<&'a str> {
    owner.account.settings.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The number's own address, else the app's (section 6, "Configuration calls").
fn url(owner: &AccountState) -> Option<&str> {
    setting(owner, "override_callback_uri").or_else(|| setting(owner, "webhook_url"))
}

pub(super) fn targets(owner: &AccountState) -> Vec<Target> {
    let target = |_| Target { name: TARGET.to_owned(), headers: HeaderMap::new() };
    url(owner).map(target).into_iter().collect()
}

pub(super) fn deliveries(owner: &AccountState, event: &Event) -> Vec<Delivery> {
    let Some(url) = url(owner) else { return vec![] };
    changes(owner, event)
        .into_iter()
        .map(|(field, value)| {
            let mut entry = json!({
                "id": setting(owner, "waba_id").unwrap_or(WABA),
                "changes": [{"value": value, "field": field}],
            });
            // Only what is about the business account as a whole says when.
            if !names_the_number(&field) {
                entry["time"] = clock::seconds().into();
            }
            let body = json!({"object": "whatsapp_business_account", "entry": [entry]});
            let body = escaped(&body.to_string());
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if let Some(secret) = setting(owner, "app_secret") {
                let signature = HeaderValue::from_str(&sign(secret, body.as_bytes()));
                headers.extend(
                    signature
                        .ok()
                        .map(|value| (http::HeaderName::from_static("x-hub-signature-256"), value)),
                );
            }
            Delivery {
                target: TARGET.to_owned(),
                method: Method::POST,
                url: url.to_owned(),
                headers,
                body: Bytes::from(body),
                max_age: None,
            }
        })
        .collect()
}

/// HMAC-SHA256 of the bytes that go out, with the app secret.
fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

/// As Meta writes JSON: what is not ASCII as `\uXXXX`, slashes as `\/`.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '/' => escaped.push_str("\\/"),
            c if c.is_ascii() => escaped.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped
}

/// Field and value of each change; none for what Meta has no word for.
fn changes(owner: &AccountState, event: &Event) -> Vec<(String, Value)> {
    let change = |field: &str, value| vec![(field.to_owned(), value)];
    match event {
        // What the API sent is not told back; its statuses are.
        Event::Message(message) if message.from_me && message.source == Source::Api => vec![],
        Event::Message(message) => {
            let links = owner.account.settings.get("media_urls") == Some(&true.into());
            written(owner, message, show::message(message, links))
        }
        Event::Edited(edit) => {
            written(owner, &edit.trigger, show::edit(&edit.trigger, &edit.after))
        }
        Event::Removed { message, at } => written(owner, message, show::revoke(message, *at)),
        Event::Statuses(changes) => {
            let statuses: Vec<Value> = changes.iter().map(|change| status(owner, change)).collect();
            let mut value = frame(owner);
            value["statuses"] = statuses.into();
            change("messages", value)
        }
        Event::Group(group) => {
            let (field, item) = self::group(group);
            let mut value = frame(owner);
            value["groups"] = json!([item]);
            change(field, value)
        }
        Event::Contact(contact) => {
            let (before, after) = (ids::user_id(&contact.before), ids::user_id(&contact.after));
            if before == after {
                return vec![];
            }
            let mut item = json!({
                "detail": "User id changed", "user_id": {"previous": before, "current": after},
                "timestamp": contact.at.to_string(),
            });
            if let Some(number) = contact.after.number() {
                item["wa_id"] = number.into();
            }
            let mut value = frame(owner);
            value["contacts"] = json!([show::contact(&contact.after)]);
            value["user_id_update"] = json!([item]);
            change("user_id_update", value)
        }
        Event::Condition => {
            let word = match owner.condition {
                Condition::Banned => "DISABLE",
                Condition::Connected => "REINSTATE",
                _ => return vec![],
            };
            let value = json!({"phone_number": owner.account.phone, "event": "DISABLED_UPDATE",
                "ban_info": {"waba_ban_state": [word]}});
            change("account_update", value)
        }
        Event::Own { kind, content } => {
            let mut value = content.clone();
            // What is about one number says about which.
            if names_the_number(kind) && value.get("metadata").is_none() && value.is_object() {
                let frame = frame(owner);
                value["metadata"] = frame["metadata"].clone();
                value["messaging_product"] = frame["messaging_product"].clone();
            }
            change(kind, value)
        }
        Event::Chat(_) | Event::Login | Event::Logout => vec![],
    }
}

/// False for what is about the business account as a whole.
fn names_the_number(field: &str) -> bool {
    let whole = [
        "account",
        "business",
        "flows",
        "message_template",
        "phone_number",
        "security",
        "template",
    ];
    !whole.iter().any(|prefix| field.starts_with(prefix))
}

fn frame(owner: &AccountState) -> Value {
    json!({"messaging_product": "whatsapp", "metadata": {
        "display_phone_number": owner.account.phone, "phone_number_id": owner.account.channel_id,
    }})
}

/// In `messages[]` with its writer, or in `message_echoes[]` where it was typed on our own phone.
fn written(owner: &AccountState, message: &Message, item: Value) -> Vec<(String, Value)> {
    let mut value = frame(owner);
    if message.from_me {
        value["message_echoes"] = json!([item]);
        vec![("smb_message_echoes".to_owned(), value)]
    } else {
        value["contacts"] = json!([show::contact(&message.author)]);
        value["messages"] = json!([item]);
        vec![("messages".to_owned(), value)]
    }
}

/// Section 7; in groups one status for each member.
fn status(owner: &AccountState, change: &StatusChange) -> Value {
    let word = match change.status {
        // Meta has no word before `sent`; nobody is told of it here.
        Status::Pending | Status::Sent => "sent",
        Status::Failed => "failed",
        Status::Delivered => "delivered",
        Status::Read => "read",
        Status::Played => "played",
    };
    let mut json = json!({
        "id": change.message_id, "status": word, "timestamp": change.at.to_string(),
        "recipient_id": ids::chat(&change.chat),
    });
    if let Chat::Group(_) = &change.chat {
        json["recipient_type"] = "group".into();
        if let Some(viewer) = &change.viewer {
            match viewer.number() {
                Some(number) => json["recipient_participant_id"] = number.into(),
                None => json["recipient_participant_user_id"] = ids::user_id(viewer).into(),
            }
        }
    }
    let message = owner.history.get(&change.message_id);
    if let Some(reference) = message.and_then(|message| message.reference.as_ref()) {
        json["biz_opaque_callback_data"] = reference.as_str().into();
    }
    match change.status {
        Status::Failed => {
            let (code, words) = change
                .error
                .as_ref()
                .map_or((131_026, "Message undeliverable"), |e| (e.code, e.message.as_str()));
            json["errors"] = json!([{
                "code": code, "title": words, "message": words,
                "error_data": {"details": format!("{words}.")},
                "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
            }]);
        }
        Status::Sent | Status::Delivered => {
            if change.status == Status::Sent {
                json["conversation"] = json!({
                    "id": "c0ffee00c0ffee00c0ffee00c0ffee00",
                    "expiration_timestamp": (change.at + 86_400).to_string(),
                    "origin": {"type": "service"},
                });
            }
            json["pricing"] = json!({"billable": true, "pricing_model": "PMP",
                "category": "service", "type": "regular"});
        }
        _ => {}
    }
    json
}

/// Field and item of a group's change (section 6, "Groups").
fn group(change: &GroupChange) -> (&'static str, Value) {
    let mut item = json!({
        "timestamp": change.at.to_string(), "group_id": ids::group(&change.after.id),
    });
    let people: Vec<Value> = change.people.iter().map(participant).collect();
    let setting = |text: Option<&String>| json!({"text": text, "update_successful": true});
    // What the business asked for has the id of the request.
    if !matches!(change.kind, Kind::Joined | Kind::Left | Kind::Requested | Kind::Withdrawn) {
        let own = || format!("REQ-{:016X}", rand::random::<u64>());
        item["request_id"] = change.request_id.clone().unwrap_or_else(own).into();
    }
    let (field, kind) = match change.kind {
        Kind::Created => {
            item["subject"] = change.after.name.as_str().into();
            item["description"] = change.after.description.clone().unwrap_or_default().into();
            item["invite_link"] = invite_link(&change.after.invite_code).into();
            item["join_approval_mode"] = approval(change.after.join_approval).into();
            ("group_lifecycle_update", "group_create")
        }
        Kind::Deleted => ("group_lifecycle_update", "group_delete"),
        Kind::Subject => {
            item["group_subject"] = setting(Some(&change.after.name));
            ("group_settings_update", "group_settings_update")
        }
        Kind::Description => {
            item["group_description"] = setting(change.after.description.as_ref());
            ("group_settings_update", "group_settings_update")
        }
        Kind::Icon => {
            item["profile_picture"] = json!({"mime_type": "image/jpeg", "update_successful": true});
            ("group_settings_update", "group_settings_update")
        }
        Kind::Settings | Kind::InviteReset => {
            item["join_approval_mode"] = approval(change.after.join_approval).into();
            ("group_settings_update", "group_settings_update")
        }
        Kind::Joined => {
            item["reason"] = "invite_link".into();
            item["added_participants"] = people.into();
            ("group_participants_update", "group_participants_add")
        }
        Kind::Left | Kind::Removed => {
            let by = if change.kind == Kind::Left { "participant" } else { "business" };
            item["initiated_by"] = by.into();
            item["removed_participants"] = people.into();
            ("group_participants_update", "group_participants_remove")
        }
        Kind::Requested => {
            applicant(&mut item, change.people.first());
            ("group_participants_update", "group_join_request_created")
        }
        Kind::Withdrawn | Kind::Refused => {
            applicant(&mut item, change.people.first());
            ("group_participants_update", "group_join_request_revoked")
        }
        // Meta's groups have one administrator, the business.
        Kind::Promoted | Kind::Demoted => ("group_status_update", "group_roles_unknown"),
    };
    item["type"] = kind.into();
    (field, item)
}

fn approval(required: bool) -> &'static str {
    if required { "approval_required" } else { "auto_approve" }
}

fn invite_link(code: &str) -> String {
    format!("https://chat.whatsapp.com/{code}")
}

fn participant(person: &Person) -> Value {
    match person.number() {
        Some(number) => json!({"wa_id": number}),
        None => json!({"user_id": ids::user_id(person)}),
    }
}

fn applicant(item: &mut Value, person: Option<&Person>) {
    if let (Some(person), Some(fields)) = (person, item.as_object_mut()) {
        fields.extend(participant(person).as_object().cloned().unwrap_or_default());
        fields.insert("join_request_id".to_owned(), ids::user_id(person).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_written_as_meta_does() {
        let body = escaped(&json!({"a": "café 🚀 http://x/"}).to_string());
        assert_eq!(body, r#"{"a":"caf\u00e9 \ud83d\ude80 http:\/\/x\/"}"#);
        let read: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["a"], "café 🚀 http://x/");
    }

    #[test]
    fn signatures_are_those_of_the_vectors() {
        let vectors: Value = serde_json::from_str(include_str!(
            "../../../providers/fixtures/meta/signature_vectors.json"
        ))
        .unwrap();
        let first = &vectors["vectors"][0];
        let text = |name: &str| first[name].as_str().unwrap();
        assert_eq!(sign(text("app_secret"), text("body_utf8").as_bytes()), text("header"));
    }
}
