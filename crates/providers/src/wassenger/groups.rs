//! Calls about groups. The calls are those of the vendor's public clients; what they answer is not documented, so it is
//! read as tolerantly as can be, and whom an answer does not name stays open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use wabridge_domain::error::Kind;
use wabridge_domain::event::{ChatKind, GroupUpdate, MemberChange, MemberState, Person};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, GroupSetting, Joined, MemberOperation, MemberOutcome,
    MemberResult, MembersChanged, NewGroup,
};

use super::client::{Reason, device, no_device, reached, request, sent, successful, unavailable};
use super::webhook::changes::{invite_link, person_of, picture, role_of, settings};
use super::wire;
use crate::groups::{NO_ADMIN, NO_NUMBER, refused, uncertain};
use crate::http::{Answer, exchange, words};
use crate::json::{ID_MAX_BYTES, string, word};
use crate::{Call, CallError, CreateError, body};

/// The vendor's own limits (its public clients).
const DESCRIPTION_MAX_CHARS: usize = 500;
const ICON_MAX_BYTES: usize = 1_000_000;

/// `POST /devices/{device}/groups`.
pub(super) async fn create(call: &Call<'_>, new: &NewGroup) -> Result<Created, CreateError> {
    let phones: Vec<String> = new.people.iter().filter_map(phone).collect();
    if phones.is_empty() {
        let why = "Wassenger makes groups with at least one person whose number is known; name one";
        return refused(Kind::InvalidContent, why).map_err(CreateError::from);
    }
    let mut body = json!({ "name": new.subject, "participants": named(&phones, false) });
    if let Some(description) = &new.description {
        fits(description)?;
        body["description"] = json!(description);
    }
    let device = device(call).ok_or_else(no_device)?;
    let request =
        request(call, Method::POST, &["devices", device, "groups"]).map_err(CallError::from)?;
    let answer = exchange(request.json(&body)).await?;
    if !answer.status.is_success() {
        let status = answer.status;
        let error = sent(answer, call.token).err();
        let unclear = || uncertain(format!("Wassenger answered {status}"));
        return Err(error.map_or_else(unclear, Into::into));
    }
    let answer = body::read(&answer.body?).map_err(|_| uncertain("the answer is no JSON"))?;
    let group = group_of(&answer);
    let group_id = group_id(group).ok_or_else(|| uncertain("the answer names no group"))?;
    let told = told(group, call);
    Ok(Created {
        group_id: Some(group_id),
        completion: Completion::Done,
        people: new.people.iter().map(|p| outcome(p, MemberOperation::Add, &told)).collect(),
        invite_link: invite_link(group),
        description_taken: true,
    })
}

/// `GET /devices/{device}/groups/{gid}`; where that tells no members, the chat's.
pub(super) async fn info(
    call: &Call<'_>,
    group_id: &str,
    at: Timestamp,
) -> Result<GroupUpdate, CallError> {
    let answer = get(call, &["groups", group_id]).await?;
    let group = group_of(&answer);
    if self::group_id(group).is_none_or(|id| id != group_id) {
        return Err(unavailable("the answer is not the group that was asked for"));
    }
    let mut update = told_now(group, group_id, at);
    let count = group.get("totalParticipants").and_then(Value::as_u64);
    let of_group = group.get("participants").and_then(Value::as_array).cloned();
    let listed = match of_group {
        Some(listed) => listed,
        None => participants(call, group_id).await?,
    };
    take_members(&mut update, &listed, count);
    Ok(update)
}

/// A group of the list, and how many are in it; as a rule without its members.
pub(super) fn listed(
    group: &Value,
    at: Timestamp,
) -> Result<(GroupUpdate, Option<u64>), &'static str> {
    let id = group_id(group).ok_or("it names no group")?;
    let mut update = told_now(group, &id, at);
    let count = group.get("totalParticipants").and_then(Value::as_u64);
    if let Some(members) = group.get("participants").and_then(Value::as_array) {
        take_members(&mut update, members, count);
    }
    Ok((update, count))
}

/// Asks for the members of a group that is known otherwise.
pub(super) async fn with_members(
    call: &Call<'_>,
    update: &mut GroupUpdate,
    count: Option<u64>,
) -> Result<(), CallError> {
    let listed = participants(call, &update.group_id).await?;
    take_members(update, &listed, count);
    Ok(())
}

/// `GET /chat/{device}/chats/{groupWid}/participants`.
async fn participants(call: &Call<'_>, group_id: &str) -> Result<Vec<Value>, CallError> {
    let device = device(call).ok_or_else(no_device)?;
    let answer = read(call, &["chat", device, "chats", group_id, "participants"]).await?;
    Ok(answer.as_array().cloned().unwrap_or_default())
}

/// The group without its members.
fn told_now(group: &Value, group_id: &str, at: Timestamp) -> GroupUpdate {
    let mut update = GroupUpdate {
        group_id: group_id.to_owned(),
        kind: "info".to_owned(),
        at,
        event_id: format!("{:020}", at.as_microsecond().max(0)),
        name: string(group, "name").or_else(|| string(group, "subject")),
        description: group.get("description").and_then(Value::as_str).map(str::to_owned),
        picture: picture(group),
        invite_link: invite_link(group),
        is_active: Some(true),
        ..GroupUpdate::default()
    };
    settings(&mut update, group, "info");
    update
}

fn take_members(update: &mut GroupUpdate, listed: &[Value], count: Option<u64>) {
    update.members = listed.iter().filter_map(member).collect();
    // Part of a list says nothing about who is not in it.
    update.all_members = !listed.is_empty()
        && update.members.len() == listed.len()
        && count.is_none_or(|count| count == listed.len() as u64);
}

fn member(item: &Value) -> Option<MemberChange> {
    let person = person_of(item)?;
    Some(MemberChange { person, role: role_of(item), state: MemberState::Joined })
}

pub(super) async fn edit(
    call: &Call<'_>,
    group_id: &str,
    edit: &GroupEdit,
) -> Result<Completion, CallError> {
    let whole = ["groups", group_id];
    match edit {
        GroupEdit::Words { subject, description } => {
            description.as_deref().map_or(Ok(()), fits)?;
            let mut body = Map::new();
            for (name, value) in [("name", subject), ("description", description)] {
                body.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
            }
            change(call, Method::PATCH, &whole, Value::Object(body)).await?;
        }
        GroupEdit::Icon(icon) => {
            if icon.bytes.len() > ICON_MAX_BYTES {
                let why = "Wassenger takes pictures of groups up to 1 MB; choose a smaller one";
                return refused(Kind::MediaTooLarge, why);
            }
            let body = json!({ "image": STANDARD.encode(&icon.bytes) });
            change(call, Method::PUT, &["groups", group_id, "image"], body).await?;
        }
        GroupEdit::RemoveIcon => {
            let why = "Wassenger cannot take the picture of a group away; set another one";
            return refused(Kind::UnsupportedByProvider, why);
        }
        GroupEdit::Setting { setting, on } => {
            let who = json!(if *on { "admins" } else { "all" });
            let permissions = match setting {
                GroupSetting::OnlyAdminsSend => json!({ "send": who }),
                GroupSetting::OnlyAdminsEdit => json!({ "edit": who }),
                GroupSetting::OnlyAdminsAdd => json!({ "invite": who }),
                GroupSetting::JoinApproval => json!({ "approval": on }),
            };
            change(call, Method::PATCH, &whole, json!({ "permissions": permissions })).await?;
        }
    }
    Ok(Completion::Done)
}

pub(super) async fn members(
    call: &Call<'_>,
    group_id: &str,
    operation: MemberOperation,
    persons: &[Person],
) -> Result<MembersChanged, CallError> {
    let phones: Vec<String> = persons.iter().filter_map(phone).collect();
    let all = |outcome: &dyn Fn(&Person) -> MemberOutcome| {
        let one = |person: &Person| match phone(person) {
            Some(_) => outcome(person),
            None => MemberOutcome::new(person, MemberResult::Failed).because(NO_NUMBER),
        };
        let people = persons.iter().map(one).collect();
        Ok(MembersChanged { completion: Completion::Done, people })
    };
    if phones.is_empty() {
        return all(&MemberOutcome::open);
    }
    let (method, body) = match operation {
        MemberOperation::Add => (Method::POST, json!({ "participants": named(&phones, false) })),
        MemberOperation::Promote => {
            (Method::PATCH, json!({ "participants": named(&phones, true) }))
        }
        MemberOperation::Demote => {
            (Method::PATCH, json!({ "participants": named(&phones, false) }))
        }
        // A bare list, unlike the others.
        MemberOperation::Remove => (Method::DELETE, json!(phones)),
    };
    let device = device(call).ok_or_else(no_device)?;
    let place = ["devices", device, "groups", group_id, "participants"];
    let answer = reached(request(call, method, &place)?.json(&body)).await?;
    let reason = Reason::of(&answer.body, answer.status, call.token);
    let alone = phones.len() == 1;
    let with = |result, reason: String| {
        all(&|person: &Person| MemberOutcome::new(person, result).because(reason.clone()))
    };
    match answer.status {
        // 403 is also the word for what a plan does not hold: the words tell.
        StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST if reason.says(&["admin"]) => {
            with(MemberResult::NotAdmin, reason.or(NO_ADMIN))
        }
        StatusCode::CONFLICT if alone => {
            let already = match operation {
                MemberOperation::Add => MemberResult::AlreadyMember,
                other => other.success(),
            };
            all(&|person: &Person| MemberOutcome::new(person, already))
        }
        StatusCode::BAD_REQUEST if alone && reason.says(&["phone", "number", "participant"]) => {
            with(MemberResult::Failed, reason.or("Wassenger does not take this number"))
        }
        StatusCode::CONFLICT => refused(
            Kind::InvalidRecipient,
            reason.or("for one of these people it is so already; Wassenger does not say for whom"),
        ),
        StatusCode::BAD_REQUEST if reason.says(&["phone", "number", "participant"]) => refused(
            Kind::InvalidRecipient,
            reason.or("one of these numbers is not taken; Wassenger does not say which"),
        ),
        _ => {
            let body = of_group(answer, call)?;
            let answer = body::read(&body).unwrap_or(Value::Null);
            let told = told(group_of(&answer), call);
            all(&|person: &Person| outcome(person, operation, &told))
        }
    }
}

/// `GET /devices/{device}/groups/{gid}/invite`.
pub(super) async fn invite(call: &Call<'_>, group_id: &str) -> Result<String, CallError> {
    let answer = get(call, &["groups", group_id, "invite"]).await?;
    invite_link(group_of(&answer)).ok_or_else(|| unavailable("the answer holds no invitation"))
}

/// `DELETE /devices/{device}/groups/{gid}/invite`.
pub(super) async fn revoke_invite(
    call: &Call<'_>,
    group_id: &str,
) -> Result<Option<String>, CallError> {
    let device = device(call).ok_or_else(no_device)?;
    let place = ["devices", device, "groups", group_id, "invite"];
    let answer = reached(request(call, Method::DELETE, &place)?).await?;
    let answer = body::read(&of_group(answer, call)?).unwrap_or(Value::Null);
    Ok(invite_link(group_of(&answer)))
}

/// `PUT /devices/{device}/groups`.
pub(super) async fn join(call: &Call<'_>, code: &str) -> Result<Joined, CallError> {
    let device = device(call).ok_or_else(no_device)?;
    let request = request(call, Method::PUT, &["devices", device, "groups"])?;
    let answer = reached(request.json(&json!({ "code": code }))).await?;
    if answer.status == StatusCode::CONFLICT {
        return Ok(Joined { group_id: None, waiting: false });
    }
    let answer = body::read(&of_group(answer, call)?).unwrap_or(Value::Null);
    let group = group_of(&answer);
    let waits = ["pending", "waiting", "requested", "approval"];
    let waiting = word(group, "status")
        .is_some_and(|status| waits.iter().any(|word| status.to_ascii_lowercase().contains(word)));
    Ok(Joined { group_id: group_id(group), waiting })
}

/// `DELETE /devices/{device}/groups`; the chat stays.
pub(super) async fn leave(call: &Call<'_>, group_id: &str) -> Result<Completion, CallError> {
    let device = device(call).ok_or_else(no_device)?;
    let request = request(call, Method::DELETE, &["devices", device, "groups"])?;
    let answer = reached(request.json(&json!({ "id": group_id, "remove": false }))).await?;
    if answer.status != StatusCode::CONFLICT {
        of_group(answer, call)?;
    }
    Ok(Completion::Done)
}

async fn get(call: &Call<'_>, tail: &[&str]) -> Result<Value, CallError> {
    let device = device(call).ok_or_else(no_device)?;
    read(call, &[&["devices", device], tail].concat()).await
}

async fn change(
    call: &Call<'_>,
    method: Method,
    tail: &[&str],
    body: Value,
) -> Result<(), CallError> {
    let device = device(call).ok_or_else(no_device)?;
    let request = request(call, method, &[&["devices", device], tail].concat())?;
    of_group(reached(request.json(&body)).await?, call).map(drop)
}

async fn read(call: &Call<'_>, place: &[&str]) -> Result<Value, CallError> {
    let answer = reached(request(call, Method::GET, place)?).await?;
    let body = of_group(answer, call)?;
    body::read(&body).map_err(|_| unavailable("the answer is no JSON"))
}

/// The body of a successful answer; what 403 and 404 mean of a group.
fn of_group(answer: Answer, call: &Call<'_>) -> Result<Vec<u8>, CallError> {
    let reason = Reason::of(&answer.body, answer.status, call.token);
    match answer.status {
        StatusCode::FORBIDDEN => refused(Kind::ProviderRejected, reason.or(NO_ADMIN)),
        StatusCode::NOT_FOUND if !reason.says(&["device"]) => {
            refused(Kind::RecordNotFound, reason.or("Wassenger knows no such group"))
        }
        _ => Ok(successful(answer, call.token)??),
    }
}

fn fits(description: &str) -> Result<(), CallError> {
    if description.chars().count() > DESCRIPTION_MAX_CHARS {
        let why = "Wassenger takes descriptions of groups up to 500 characters; shorten it";
        return refused(Kind::InvalidContent, why);
    }
    Ok(())
}

fn named(phones: &[String], admin: bool) -> Vec<Value> {
    phones.iter().map(|phone| json!({ "phone": phone, "admin": admin })).collect()
}

/// E.164 with plus; None for somebody who is known by a hidden id only.
fn phone(person: &Person) -> Option<String> {
    let local = || person.contact_id.strip_suffix("@c.us");
    person.phone.as_deref().or_else(local).and_then(wire::phone)
}

/// The group of an answer, which may stand inside of another object.
fn group_of(answer: &Value) -> &Value {
    let answer = answer.get(0).unwrap_or(answer);
    ["group", "data"]
        .iter()
        .find_map(|name| answer.get(*name))
        .filter(|v| v.is_object())
        .unwrap_or(answer)
}

fn group_id(group: &Value) -> Option<String> {
    let ids = ["wid", "id", "groupId", "group"].into_iter().filter_map(|name| word(group, name));
    let mut own = ids.map(|id| wire::chat_id(&id)).filter(|id| id.len() <= ID_MAX_BYTES);
    own.find(|id| wire::chat_kind(id) == ChatKind::Group)
}

/// What an answer says of a person.
struct Told {
    contact_id: String,
    /// None: the person stands in a list of the group's members.
    code: Option<String>,
    reason: Option<String>,
}

/// Everything that an answer says of people, in whichever of these lists.
fn told(group: &Value, call: &Call<'_>) -> Vec<Told> {
    const LISTS: [(&str, Option<&str>); 10] = [
        ("failed", Some("failed")),
        ("rejected", Some("failed")),
        ("notAdded", Some("failed")),
        ("invalid", Some("404")),
        ("added", Some("200")),
        ("removed", Some("200")),
        ("processed", Some("200")),
        ("results", None),
        ("participants", None),
        ("members", None),
    ];
    let mut all = Vec::new();
    for (name, of_list) in LISTS {
        for item in group.get(name).and_then(Value::as_array).into_iter().flatten() {
            let Some(person) = person_of(item) else { continue };
            let code = ["code", "status", "error", "success"].iter().find_map(|name| {
                match item.get(*name)? {
                    Value::Bool(true) => Some("200".to_owned()),
                    Value::Bool(false) => Some("failed".to_owned()),
                    _ => word(item, name).map(|word| word.to_ascii_lowercase()),
                }
            });
            let reason = ["message", "reason"].iter().find_map(|name| word(item, name));
            all.push(Told {
                contact_id: person.contact_id,
                code: code.or_else(|| of_list.map(str::to_owned)),
                reason: reason.map(|reason| words(&reason, call.token)),
            });
        }
    }
    all
}

/// WhatsApp's own codes, as linked devices see them: 403 and 408 are those whose settings forbid it, or who left not
/// long ago; 401 those who blocked us.
fn outcome(person: &Person, operation: MemberOperation, told: &[Told]) -> MemberOutcome {
    use MemberOperation as Op;
    use MemberResult as Is;
    let Some(phone) = phone(person) else {
        return MemberOutcome::new(person, Is::Failed).because(NO_NUMBER);
    };
    let id = wire::chat_id(&phone);
    let Some(told) = told.iter().find(|told| told.contact_id == id) else {
        return MemberOutcome::open(person);
    };
    let result = match (told.code.as_deref(), operation) {
        (Some("200" | "201" | "ok" | "success" | "added" | "removed" | "done"), _) => {
            operation.success()
        }
        (Some("401" | "403" | "408" | "failed"), Op::Add) => Is::RefusedPrivacy,
        (Some("404"), Op::Add) => Is::NotOnWhatsapp,
        (Some("409"), Op::Add) => Is::AlreadyMember,
        (Some("404"), _) => Is::NotMember,
        (Some(_), _) => Is::Failed,
        // Among the members after an addition.
        (None, Op::Add) => Is::Added,
        (None, _) => return MemberOutcome::open(person),
    };
    let outcome = MemberOutcome::new(person, result);
    match &told.reason {
        Some(reason) if result != operation.success() => outcome.because(reason.clone()),
        _ => outcome,
    }
}

#[cfg(test)]
mod tests;
