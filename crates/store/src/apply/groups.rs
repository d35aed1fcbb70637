//! Groups and their members as events tell them, and the rows by which people see in the chat what changed.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use wabridge_domain::ProviderKind;
use wabridge_domain::event::{Chat, ChatKind, GroupUpdate, Message, Person, Source, What};
use wabridge_domain::message::MessageType;

use super::Item;
use crate::group_invitation::{self, Request};
use crate::odoo::contact::{self, Known};
use crate::odoo::{group, group_member};
use crate::{StoreError, Tx};

pub(super) fn told<'a>(items: &[&'a Item]) -> Vec<group::Told<'a>> {
    items
        .iter()
        .filter_map(|item| {
            let seen = |group_id: &'a str, name: Option<&'a str>, at| group::Seen {
                configuration_id: item.configuration_id,
                provider: item.provider.as_str(),
                group_id,
                name,
                at,
            };
            match &item.what {
                What::Message(message) if message.chat.kind == ChatKind::Group => {
                    let name = message.chat.name.as_deref();
                    Some(group::Told {
                        seen: seen(&message.chat.id, name, message.at),
                        update: None,
                    })
                }
                What::Chat(update) if update.chat.kind == ChatKind::Group => {
                    let name = update.chat.name.as_deref();
                    Some(group::Told { seen: seen(&update.chat.id, name, update.at), update: None })
                }
                What::Group(update) if !update.group_id.is_empty() => Some(group::Told {
                    seen: seen(&update.group_id, None, update.at),
                    update: Some(&**update),
                }),
                _ => None,
            }
        })
        .collect()
}

/// The people that updates of groups name.
pub(super) fn people<'a>(item: &'a Item, update: &'a GroupUpdate) -> Vec<contact::Told<'a>> {
    update
        .members
        .iter()
        .map(|change| &change.person)
        .chain(&update.by)
        .map(|person| contact::Told {
            seen: contact::Seen {
                configuration_id: item.configuration_id,
                provider: item.provider.as_str(),
                person,
                at: update.at,
            },
            update: None,
        })
        .collect()
}

/// Writes members; the groups (account, row id) in which something changed.
pub(super) async fn members(
    tx: &Tx<'_>,
    items: &[&Item],
    groups: &group::Known,
    contacts: &Known,
) -> Result<Vec<(i32, i32)>, StoreError> {
    let mut changes = Vec::new();
    let mut lists = Vec::new();
    let mut accounts = std::collections::BTreeMap::new();
    for item in items {
        let What::Group(update) = &item.what else { continue };
        let account = item.configuration_id;
        let Some(group_id) = groups.id(account, &update.group_id) else { continue };
        accounts.insert(group_id, account);
        let (at, event_id) = (update.at, update.event_id.as_str());
        changes.extend(update.members.iter().filter_map(|change| {
            Some(group_member::Change {
                group_id,
                contact_id: contacts.id(account, &change.person)?,
                state: change.state,
                role: change.role,
                at,
                event_id,
            })
        }));
        if update.all_members {
            lists.push(group_member::List { group_id, at, event_id });
        }
    }
    let written = group_member::apply(tx, &changes, &lists).await?;
    Ok(written.into_iter().filter_map(|id| Some((*accounts.get(&id)?, id))).collect())
}

/// Meta makes groups after its answer: keeps which group a request became, or why it became none.
pub(super) async fn requests(tx: &Tx<'_>, items: &[&Item]) -> Result<(), StoreError> {
    let told: Vec<Request<'_>> = items
        .iter()
        .filter(|item| item.provider == ProviderKind::Meta)
        .filter_map(|item| match &item.what {
            What::Group(update) if update.kind == "created" && !update.event_id.is_empty() => {
                Some(Request {
                    configuration_id: item.configuration_id,
                    request_id: &update.event_id,
                    group_id: Some(&update.group_id),
                    reason: None,
                })
            }
            What::Alert(alert) if word(&alert.extra, "type") == Some("group_create") => {
                Some(Request {
                    configuration_id: item.configuration_id,
                    request_id: word(&alert.extra, "request_id")?,
                    group_id: None,
                    reason: Some(&alert.detail),
                })
            }
            _ => None,
        })
        .collect();
    group_invitation::note(tx, &told).await
}

fn word<'a>(extra: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    extra.get(name).and_then(Value::as_str).filter(|word| !word.is_empty())
}

/// What people see in the chat of the change: a message of type `system`. Its `extra` says what happened in words
/// for programs; the addon makes a sentence of it.
pub(super) fn shown(item: &Item) -> Option<Item> {
    let What::Group(update) = &item.what else { return None };
    const SHOWN: [&str; 12] = [
        "created",
        "subject",
        "description",
        "icon",
        "settings",
        "joined",
        "left",
        "removed",
        "promoted",
        "demoted",
        "invite_reset",
        "deleted",
    ];
    if update.group_id.is_empty() || !SHOWN.contains(&update.kind.as_str()) {
        return None;
    }
    let mut members: Vec<Value> = update.members.iter().map(|m| named(&m.person)).collect();
    members.sort_by_key(ToString::to_string);
    let mut extra = Map::new();
    extra.insert("kind".into(), json!(update.kind));
    extra.insert("members".into(), Value::Array(members));
    extra.insert("by".into(), update.by.as_ref().map_or(Value::Null, named));
    for (key, value) in [
        ("name", update.name.as_ref().map(|v| json!(v))),
        ("description", update.description.as_ref().map(|v| json!(v))),
        ("only_admins_send", update.only_admins_send.map(|v| json!(v))),
        ("only_admins_edit", update.only_admins_edit.map(|v| json!(v))),
        ("join_approval", update.join_approval.map(|v| json!(v))),
    ] {
        if let Some(value) = value {
            extra.insert(key.into(), value);
        }
    }
    // The same in every delivery: ids of events may not be. A change without a time of its own has that of its
    // delivery: another one within the same minute tells the same.
    let second = match update.at.as_second() {
        at if update.at == item.received_at => at - at.rem_euclid(60),
        at => at,
    };
    let mut hash = Sha256::new();
    hash.update(Value::Object(extra.clone()).to_string());
    let digest = hex::encode(&hash.finalize()[..8]);
    let message = Message {
        message_id: format!("group:{}:{}:{}:{digest}", update.group_id, update.kind, second),
        chat: Chat { id: update.group_id.clone(), kind: ChatKind::Group, name: None },
        from_me: false,
        source: Source::Unknown,
        sender: update.by.clone(),
        at: update.at,
        message_type: MessageType::System,
        content: None,
        caption: None,
        quoted_id: None,
        word: None,
        media: None,
        location: None,
        forwarded: false,
        reference: None,
        extra,
    };
    Some(Item {
        configuration_id: item.configuration_id,
        provider: item.provider,
        person: update.by.clone(),
        received_at: item.received_at,
        what: What::Message(Box::new(message)),
    })
}

fn named(person: &Person) -> Value {
    let name = [&person.name, &person.pushname, &person.phone].into_iter().flatten().next();
    json!({"id": person.contact_id, "name": name.unwrap_or(&person.contact_id)})
}
