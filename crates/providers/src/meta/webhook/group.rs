//! Groups: made, changed, suspended, joined and left.

use serde_json::{Map, Value};
use wabridge_domain::event::{Alert, GroupUpdate, MemberChange, MemberState, What};

use super::super::wire;
use super::message::error;
use super::{Around, Read, other};
use crate::json::{self, string, text};

/// One item of `groups[]`: a change, what failed of it, or both.
pub(super) fn read(item: &Value, around: &Around<'_>) -> Read {
    let kind = text(item, "type").ok_or("it does not say what happened")?;
    let at = json::time(item.get("timestamp"), around.route.received_at);
    let mut failures = Vec::new();
    note(item, kind, &mut failures);

    let update = wire::id(item, "group_id")
        .filter(|_| failures.is_empty() || !is_whole(kind))
        .and_then(|group_id| {
            let update = GroupUpdate {
                group_id,
                at,
                event_id: wire::id(item, "request_id").unwrap_or_default(),
                ..GroupUpdate::default()
            };
            change(kind, item, update, &mut failures)
        });
    let mut whats: Vec<What> =
        update.map(|update| What::Group(Box::new(update))).into_iter().collect();
    whats.extend(failures.into_iter().map(|detail| {
        What::Alert(Alert { kind: "group".to_owned(), detail, at: Some(at), extra: kept(item) })
    }));
    if !whats.is_empty() {
        return Ok(whats);
    }
    if wire::id(item, "group_id").is_none() {
        return Err("it names no group");
    }
    Ok(vec![other("groups", kind)])
}

/// These happen as a whole or not at all.
fn is_whole(kind: &str) -> bool {
    !matches!(kind, "group_settings_update") && !kind.contains("participants")
}

/// A sentence for each error of a part.
fn note(part: &Value, what: &str, failures: &mut Vec<String>) {
    let errors = part.get("errors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    failures.extend(errors.iter().map(error).map(|error| match error.code {
        Some(code) => format!("{what}: {} ({code})", error.message),
        None => format!("{what}: {}", error.message),
    }));
}

/// What an alert keeps: enough to find the call that failed.
fn kept(item: &Value) -> Map<String, Value> {
    let names = ["group_id", "request_id", "type", "errors"];
    let kept = names.iter().filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone())));
    kept.collect()
}

fn change(
    kind: &str,
    item: &Value,
    mut update: GroupUpdate,
    failures: &mut Vec<String>,
) -> Option<GroupUpdate> {
    match kind {
        "group_create" => {
            "created".clone_into(&mut update.kind);
            update.name = string(item, "subject");
            update.description = string(item, "description");
            update.invite_link = string(item, "invite_link");
            update.join_approval = approval(item);
            update.is_active = Some(true);
            update.members = members(item, "added_participants", MemberState::Joined);
        }
        "group_delete" => {
            "deleted".clone_into(&mut update.kind);
            update.is_active = Some(false);
        }
        // A suspended group takes no messages.
        "group_suspend" | "group_suspend_cleared" => {
            "info".clone_into(&mut update.kind);
            update.is_active = Some(kind == "group_suspend_cleared");
        }
        "group_settings_update" => settings(item, &mut update, failures)?,
        // Both pairs of words stand in Meta's pages.
        "group_participants_add" | "group_add_participants" => {
            "joined".clone_into(&mut update.kind);
            update.members = members(item, "added_participants", MemberState::Joined);
            refused(item, kind, failures);
        }
        "group_participants_remove" | "group_remove_participants" => {
            let left = text(item, "initiated_by").is_some_and(|by| by != "business");
            let (word, state) =
                if left { ("left", MemberState::Left) } else { ("removed", MemberState::Removed) };
            word.clone_into(&mut update.kind);
            update.members = members(item, "removed_participants", state);
            refused(item, kind, failures);
        }
        "group_join_request_created" | "group_join_request_revoked" => {
            let created = kind == "group_join_request_created";
            let state = if created { MemberState::Waiting } else { MemberState::Left };
            "info".clone_into(&mut update.kind);
            let person = wire::person_in(item, "wa_id", "user_id")?;
            update.members = vec![MemberChange { person, role: None, state }];
        }
        _ => return None,
    }
    let nobody = kind.contains("participants") && update.members.is_empty();
    (!nobody).then_some(update)
}

fn approval(item: &Value) -> Option<bool> {
    match text(item, "join_approval_mode")? {
        "approval_required" => Some(true),
        "auto_approve" => Some(false),
        _ => None,
    }
}

/// Each setting says for itself whether it was changed.
fn settings(item: &Value, update: &mut GroupUpdate, failures: &mut Vec<String>) -> Option<()> {
    let mut changed = Vec::new();
    let mut part = |names: [&str; 2], word: &'static str| {
        let (name, part) = names.iter().find_map(|name| Some((*name, item.get(*name)?)))?;
        if part.get("update_successful").and_then(Value::as_bool) == Some(false) {
            let before = failures.len();
            note(part, name, failures);
            if failures.len() == before {
                failures.push(format!("{name}: Meta did not change it and gave no reason"));
            }
            return None;
        }
        changed.push(word);
        Some(
            part.as_str()
                .filter(|text| !text.is_empty())
                .or_else(|| text(part, "text"))
                .map(str::to_owned),
        )
    };
    let name = part(["group_subject", "subject"], "subject");
    let description = part(["group_description", "description"], "description");
    part(["profile_picture", "profile_picture"], "icon");
    let approval = approval(item);
    if approval.is_some() {
        changed.push("settings");
    }
    update.name = name.flatten();
    // An empty description was taken away.
    update.description = description.map(Option::unwrap_or_default);
    update.join_approval = approval;
    update.kind = match changed[..] {
        [] => return None,
        [only] => only.to_owned(),
        _ => "settings".to_owned(),
    };
    Some(())
}

fn members(item: &Value, name: &str, state: MemberState) -> Vec<MemberChange> {
    let people = item.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    people
        .iter()
        .filter_map(|person| {
            wire::person_in(person, "wa_id", "user_id")
                .or_else(|| wire::person_in(person, "input", "user_id"))
        })
        .map(|person| MemberChange { person, role: None, state })
        .collect()
}

/// People with whom it did not work.
fn refused(item: &Value, kind: &str, failures: &mut Vec<String>) {
    let people = item.get("failed_participants").and_then(Value::as_array);
    for person in people.into_iter().flatten() {
        note(person, kind, failures);
    }
}
