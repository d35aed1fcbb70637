//! Groups. WHAPI does not say who changed them, and dates only their creation and their name.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use wabridge_domain::event::{GroupUpdate, MemberChange, MemberState, Person, Role, What};

use super::{id, kind_of, object};
use crate::Route;
use crate::whapi::wire::{self, string, text};

/// A time that a group tells is that of the change when it is so fresh; else the group is told again, or we
/// were taken into an old one, and what counts is when we heard of it.
const FRESH_WITHIN: SignedDuration = SignedDuration::from_hours(24);

fn started(group_id: String, kind: &str, at: Timestamp, route: &Route<'_>) -> GroupUpdate {
    GroupUpdate {
        group_id,
        kind: kind.to_owned(),
        at,
        // Changes have no id: among those of one second the one that came last wins.
        event_id: format!("{:020}", route.received_at.as_microsecond().max(0)),
        ..GroupUpdate::default()
    }
}

fn group_id(item: &Value, name: &str) -> Result<String, &'static str> {
    id(item, name).map(|id| wire::chat_id(&id)).ok_or("it names no group")
}

fn fresh_time(item: &Value, name: &str, route: &Route<'_>) -> Option<Timestamp> {
    let at = wire::time(Some(item.get(name)?), route.received_at);
    (route.received_at.duration_since(at) <= FRESH_WITHIN).then_some(at)
}

/// A group as it is: one that is new to the account (`groups.post`), or told again.
pub(in crate::whapi) fn whole(
    item: &Value,
    change: &str,
    route: &Route<'_>,
) -> Result<What, &'static str> {
    let group_id = group_id(object(item)?, "id")?;
    let fresh = fresh_time(item, "created_at", route)
        .max(fresh_time(item, "name_at", route))
        .unwrap_or(route.received_at);
    let kind = if change == "post" { "created" } else { "info" };
    let mut update = started(group_id, kind, fresh, route);
    let all = [
        "name",
        "description",
        "chat_pic",
        "chat_pic_full",
        "announcements",
        "restricted",
        "invite_code",
        "participants",
        "terminated",
        "suspended",
    ];
    for name in all {
        take(&mut update, name, item);
    }
    update.is_active = update.is_active.or(Some(true));
    update.by = text(item, "created_by").filter(|_| kind == "created").and_then(wire::person);
    Ok(What::Group(Box::new(update)))
}

/// Takes one field of a group over; a field that is not there is left as it is.
fn take(update: &mut GroupUpdate, name: &str, group: &Value) {
    let Some(value) = group.get(name).filter(|value| !value.is_null()) else { return };
    let flag = value.as_bool();
    match name {
        "name" => update.name = string(group, name),
        "description" => update.description = value.as_str().map(str::to_owned),
        // The large picture stands after the small one in the lists of names.
        "chat_pic" | "chat_pic_full" => {
            update.picture = value.as_str().map(str::to_owned).or_else(|| update.picture.take());
        }
        "announcements" => update.only_admins_send = flag,
        "restricted" => update.only_admins_edit = flag,
        "invite_code" => {
            update.invite_link =
                text(group, name).map(|code| format!("https://chat.whatsapp.com/{code}"));
        }
        "terminated" | "suspended" => {
            update.is_active = match (flag, update.is_active) {
                (Some(true), _) | (_, Some(false)) => Some(false),
                (Some(false), _) => Some(true),
                (None, before) => before,
            };
        }
        "participants" => {
            let listed = value.as_array().map_or(&[][..], Vec::as_slice);
            update.members = listed.iter().filter_map(member).collect();
            let count = group.get("participants_count").and_then(Value::as_u64);
            // Part of a list says nothing about who is not in it.
            update.all_members = !listed.is_empty()
                && update.members.len() == listed.len()
                && count.is_none_or(|count| count == listed.len() as u64);
        }
        _ => {}
    }
}

/// A participant: digits, or an object with a rank.
fn member(item: &Value) -> Option<MemberChange> {
    Some(MemberChange {
        person: participant(item)?,
        role: Some(match text(item, "rank")? {
            "creator" | "superadmin" => Role::Superadmin,
            "admin" => Role::Admin,
            "member" => Role::Member,
            _ => return None,
        }),
        state: MemberState::Joined,
    })
}

fn participant(item: &Value) -> Option<Person> {
    let id = item.as_str().or_else(|| text(item, "id"))?;
    (id.len() <= wire::ID_MAX_BYTES).then(|| wire::person(id)).flatten()
}

/// Who came, went, or has another role.
pub(super) fn participants(item: &Value, route: &Route<'_>) -> Result<What, &'static str> {
    let group_id = group_id(object(item)?, "group_id")?;
    let (kind, role, state) = match text(item, "action").unwrap_or_default() {
        "add" => ("joined", None, MemberState::Joined),
        // Also who left by themselves: WHAPI has one word for both.
        "remove" => ("removed", None, MemberState::Removed),
        "promote" => ("promoted", Some(Role::Admin), MemberState::Joined),
        "demote" => ("demoted", Some(Role::Member), MemberState::Joined),
        "request" => ("info", None, MemberState::Waiting),
        "revoke_request" => ("info", None, MemberState::Left),
        "rejected_request" => ("info", None, MemberState::Removed),
        other => {
            return Ok(What::Other { kind: kind_of(&format!("groups_participants.{other}")) });
        }
    };
    let listed = item.get("participants").and_then(Value::as_array);
    let people: Vec<Person> = listed.into_iter().flatten().filter_map(participant).collect();
    if people.is_empty() {
        return Err("it names no participants");
    }
    let mut update = started(group_id, kind, route.received_at, route);
    update.members =
        people.into_iter().map(|person| MemberChange { person, role, state }).collect();
    Ok(What::Group(Box::new(update)))
}

/// What changed of a group: only that is taken, for the rest may be old.
pub(super) fn update(item: &Value, route: &Route<'_>) -> Result<What, &'static str> {
    let after = object(item)?.get("after_update").filter(|after| after.is_object());
    let after = after.ok_or("it does not say what is new")?;
    let group_id = group_id(after, "id")?;
    let before = item.get("before_update").and_then(Value::as_object);
    let changes = changed(item, before, after);
    let mut update = started(group_id, "info", route.received_at, route);
    for name in &changes {
        match after.get(name) {
            Some(value) if !value.is_null() => take(&mut update, name, after),
            // What is not there any more was taken away.
            _ if name == "description" => update.description = Some(String::new()),
            _ if name == "chat_pic" => update.picture = Some(String::new()),
            _ => {}
        }
    }
    let has = |name: &str| changes.iter().any(|change| change == name);
    update.kind = match () {
        () if update.is_active == Some(false) => "deleted",
        () if update.name.is_some() => "subject",
        () if update.description.is_some() => "description",
        () if update.picture.is_some() => "icon",
        () if update.only_admins_send.is_some() || update.only_admins_edit.is_some() => "settings",
        () if update.invite_link.is_some() => "invite_reset",
        () => "info",
    }
    .to_owned();
    if has("name")
        && changes.len() == 1
        && let Some(at) = fresh_time(after, "name_at", route)
    {
        update.at = at;
    }
    let empty = GroupUpdate {
        group_id: update.group_id.clone(),
        kind: update.kind.clone(),
        at: update.at,
        event_id: update.event_id.clone(),
        ..GroupUpdate::default()
    };
    if update == empty {
        return Ok(What::Other { kind: "groups_updates".to_owned() });
    }
    Ok(What::Group(Box::new(update)))
}

/// The names of what changed: as told, else what differs.
pub(super) fn changed(
    item: &Value,
    before: Option<&Map<String, Value>>,
    after: &Value,
) -> Vec<String> {
    if let Some(told) = item.get("changes").and_then(Value::as_array) {
        return told.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let Some(after) = after.as_object() else { return vec![] };
    let mut names: Vec<String> = after
        .iter()
        .filter(|(name, value)| before.and_then(|before| before.get(*name)) != Some(value))
        .map(|(name, _)| name.clone())
        .collect();
    names.extend(
        before
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
            .filter(|n| !after.contains_key(*n))
            .cloned(),
    );
    names
}
