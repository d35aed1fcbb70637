//! Calls about groups (OpenAPI 1.8.7, tag Groups). People are named by digits.

use http::{Method, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use wabridge_domain::error::Kind;
use wabridge_domain::event::{GroupUpdate, Person, What};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, GroupSetting, Joined, MemberOperation, MemberOutcome,
    MemberResult, MembersChanged, NewGroup, invite_link,
};

use super::client::{Reason, reached, read, request, sent, successful, unavailable};
use super::webhook::group::whole;
use super::wire::{self, ID_MAX_BYTES, text, word};
use crate::groups::{NO_ADMIN, NO_NUMBER, refused, uncertain};
use crate::http::{Answer, exchange};
use crate::{Call, CallError, CreateError, Route};

/// `POST /groups`. The answer names those who could not be added, without a reason.
pub(super) async fn create(call: &Call<'_>, new: &NewGroup) -> Result<Created, CreateError> {
    let numbers: Vec<&str> = new.people.iter().filter_map(number).collect();
    if numbers.is_empty() {
        let why = "WHAPI makes groups with at least one person whose number is known; name one";
        return refused(Kind::InvalidContent, why).map_err(CreateError::from);
    }
    let body = json!({ "subject": new.subject, "participants": numbers });
    let request = request(call, Method::POST, &["groups"], &[]).map_err(CallError::from)?;
    let answer = exchange(request.json(&body)).await?;
    if !answer.status.is_success() {
        let status = answer.status;
        let error = sent(answer, call.token).err();
        return Err(error.map_or_else(|| uncertain(format!("WHAPI answered {status}")), Into::into));
    }
    let answer = read(&answer.body?).ok_or_else(|| uncertain("the answer is no JSON"))?;
    let group_id = word(&answer, "id").or_else(|| word(&answer, "group_id"));
    let group_id = group_id.map(|id| wire::chat_id(&id)).filter(|id| id.len() <= ID_MAX_BYTES);
    let group_id = group_id.ok_or_else(|| uncertain("the answer names no group"))?;
    let (taken, failed) =
        (people(&answer, "participants"), people(&answer, "unprocessed_participants"));
    let outcome = |person: &Person| outcome(person, MemberOperation::Add, &taken, &failed);
    Ok(Created {
        group_id: Some(group_id),
        completion: Completion::Done,
        people: new.people.iter().map(outcome).collect(),
        invite_link: text(&answer, "invite_code").map(invite_link),
        description_taken: new.description.is_none(),
    })
}

/// `GET /groups/{GroupID}`.
pub(super) async fn info(
    call: &Call<'_>,
    group_id: &str,
    at: Timestamp,
) -> Result<GroupUpdate, CallError> {
    let request = request(call, Method::GET, &["groups", group_id], &[])?;
    let answer = changed(reached(request).await?, call)?;
    let route = Route { method: "GET", sub_path: "", received_at: at };
    match whole(&answer, "info", &route) {
        // Told now, whenever it was made or named.
        Ok(What::Group(group)) if group.group_id == group_id => Ok(GroupUpdate { at, ..*group }),
        _ => Err(unavailable("the answer is not the group that was asked for")),
    }
}

pub(super) async fn edit(
    call: &Call<'_>,
    group_id: &str,
    edit: &GroupEdit,
) -> Result<Completion, CallError> {
    let to =
        |method, tail: &[&str]| request(call, method, &[&["groups", group_id], tail].concat(), &[]);
    let request = match edit {
        GroupEdit::Words { subject, description } => {
            let mut body = Map::new();
            let words = [("subject", subject), ("description", description)];
            for (name, value) in words {
                body.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
            }
            to(Method::PUT, &[])?.json(&Value::Object(body))
        }
        GroupEdit::Icon(icon) => to(Method::PUT, &["icon"])?
            .header(header::CONTENT_TYPE, &icon.mimetype)
            .body(icon.bytes.clone()),
        GroupEdit::RemoveIcon => to(Method::DELETE, &["icon"])?,
        GroupEdit::Setting { setting, on } => {
            let setting = match setting {
                GroupSetting::OnlyAdminsSend => "send_messages",
                GroupSetting::OnlyAdminsEdit => "edit_group_info",
                GroupSetting::OnlyAdminsAdd => "add_participants",
                GroupSetting::JoinApproval => "approve_participants",
            };
            let policy = if *on { "admins" } else { "anyone" };
            to(Method::PATCH, &[])?.json(&json!({ "setting": setting, "policy": policy }))
        }
    };
    changed(reached(request).await?, call)?;
    Ok(Completion::Done)
}

pub(super) async fn members(
    call: &Call<'_>,
    group_id: &str,
    operation: MemberOperation,
    persons: &[Person],
) -> Result<MembersChanged, CallError> {
    let (method, place) = match operation {
        MemberOperation::Add => (Method::POST, "participants"),
        MemberOperation::Remove => (Method::DELETE, "participants"),
        MemberOperation::Promote => (Method::PATCH, "admins"),
        MemberOperation::Demote => (Method::DELETE, "admins"),
    };
    let named: Vec<&str> = persons.iter().filter_map(number).collect();
    let all = |outcome: &dyn Fn(&Person) -> MemberOutcome| {
        let one = |person: &Person| match number(person) {
            Some(_) => outcome(person),
            None => MemberOutcome::new(person, MemberResult::Failed).because(NO_NUMBER),
        };
        let people = persons.iter().map(one).collect();
        Ok(MembersChanged { completion: Completion::Done, people })
    };
    if named.is_empty() {
        return all(&MemberOutcome::open);
    }
    let request = request(call, method, &["groups", group_id, place], &[])?;
    let answer = reached(request.json(&json!({ "participants": named }))).await?;
    let reason = Reason::of(&answer.body, answer.status, call.token);
    let alone = named.len() == 1;
    let with = |result, reason: String| {
        all(&|person: &Person| MemberOutcome::new(person, result).because(reason.clone()))
    };
    match answer.status {
        StatusCode::FORBIDDEN => with(MemberResult::NotAdmin, reason.or(NO_ADMIN)),
        StatusCode::CONFLICT if alone => {
            let already = match operation {
                MemberOperation::Add => MemberResult::AlreadyMember,
                other => other.success(),
            };
            all(&|person: &Person| MemberOutcome::new(person, already))
        }
        // One word for two cases: a check, or the group itself, tells which.
        StatusCode::NOT_FOUND if reason.mentions(&["participant"]) && alone => {
            let surely = !reason.mentions(&["group"]);
            let result = match operation {
                MemberOperation::Add if surely => MemberResult::NotOnWhatsapp,
                _ if surely => MemberResult::NotMember,
                _ => MemberResult::Failed,
            };
            with(result, reason.or("WHAPI does not know this person"))
        }
        StatusCode::CONFLICT => refused(
            Kind::InvalidRecipient,
            reason.or("for one of these people it is so already; WHAPI does not say for whom"),
        ),
        StatusCode::NOT_FOUND if reason.mentions(&["participant"]) => refused(
            Kind::InvalidRecipient,
            reason.or("one of these people is unknown; WHAPI does not say who"),
        ),
        _ => {
            let answer = changed(answer, call)?;
            let (taken, failed) = (people(&answer, "processed"), people(&answer, "failed"));
            let told = ["processed", "failed"].iter().any(|name| answer.get(name).is_some());
            let roles = matches!(operation, MemberOperation::Promote | MemberOperation::Demote);
            if roles && !told && answer.get("success") == Some(&Value::Bool(true)) {
                return all(&|person: &Person| MemberOutcome::new(person, operation.success()));
            }
            all(&|person: &Person| outcome(person, operation, &taken, &failed))
        }
    }
}

/// `GET /groups/{GroupID}/invite`.
pub(super) async fn invite(call: &Call<'_>, group_id: &str) -> Result<String, CallError> {
    let request = request(call, Method::GET, &["groups", group_id, "invite"], &[])?;
    let answer = changed(reached(request).await?, call)?;
    let code = text(&answer, "invite_code");
    code.map(invite_link).ok_or_else(|| unavailable("the answer holds no invitation"))
}

/// `DELETE /groups/{GroupID}/invite`. The answer does not tell the new one.
pub(super) async fn revoke_invite(
    call: &Call<'_>,
    group_id: &str,
) -> Result<Option<String>, CallError> {
    let request = request(call, Method::DELETE, &["groups", group_id, "invite"], &[])?;
    let answer = changed(reached(request).await?, call)?;
    Ok(text(&answer, "invite_code").map(invite_link))
}

/// `PUT /groups` with the code.
pub(super) async fn join(call: &Call<'_>, code: &str) -> Result<Joined, CallError> {
    let request = request(call, Method::PUT, &["groups"], &[])?;
    let answer = reached(request.json(&json!({ "invite_code": code }))).await?;
    if answer.status == StatusCode::CONFLICT {
        return Ok(Joined { group_id: None, waiting: false });
    }
    let answer = changed(answer, call)?;
    let group_id = word(&answer, "group_id").map(|id| wire::chat_id(&id));
    Ok(Joined { group_id: group_id.filter(|id| id.len() <= ID_MAX_BYTES), waiting: false })
}

/// `DELETE /groups/{GroupID}`.
pub(super) async fn leave(call: &Call<'_>, group_id: &str) -> Result<Completion, CallError> {
    let request = request(call, Method::DELETE, &["groups", group_id], &[])?;
    let answer = reached(request).await?;
    // "Already so".
    if answer.status != StatusCode::CONFLICT {
        changed(answer, call)?;
    }
    Ok(Completion::Done)
}

/// The JSON of a successful answer; what 403 and 404 mean of a group.
fn changed(answer: Answer, call: &Call<'_>) -> Result<Value, CallError> {
    let reason = Reason::of(&answer.body, answer.status, call.token);
    match answer.status {
        StatusCode::FORBIDDEN => return refused(Kind::ProviderRejected, reason.or(NO_ADMIN)),
        StatusCode::NOT_FOUND if !reason.is_channel_not_found() => {
            return refused(Kind::RecordNotFound, reason.or("WHAPI knows no such group"));
        }
        _ => {}
    }
    let answer = successful(answer, call.token)?;
    // With a list of people each of them has an outcome of their own.
    let listed = ["processed", "failed"].iter().any(|name| answer.get(name).is_some());
    if answer.get("success") == Some(&Value::Bool(false)) && !listed {
        return refused(
            Kind::ProviderRejected,
            Reason::in_body(&answer, call.token).or("WHAPI answered that it did not do it"),
        );
    }
    Ok(answer)
}

/// Digits; None for somebody who is known by a hidden id only.
pub(super) fn number(person: &Person) -> Option<&str> {
    let phone = person.phone.as_deref().map(|phone| phone.trim_start_matches('+'));
    let local = || person.contact_id.strip_suffix("@s.whatsapp.net");
    let fits = |digits: &&str| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    };
    phone.or_else(local).filter(fits)
}

/// The people of a list: digits as texts or numbers, ids, or objects with one.
fn people(answer: &Value, name: &str) -> Vec<String> {
    let listed = answer.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let id = |one: &Value| match one {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        other => word(other, "id"),
    };
    listed.iter().filter_map(id).map(|id| wire::chat_id(&id)).collect()
}

fn outcome(
    person: &Person,
    operation: MemberOperation,
    taken: &[String],
    failed: &[String],
) -> MemberOutcome {
    let Some(digits) = number(person) else {
        return MemberOutcome::new(person, MemberResult::Failed).because(NO_NUMBER);
    };
    let id = wire::direct_chat_id(digits);
    match operation {
        // WHAPI adds whom WhatsApp lets it add; for others it has no reason.
        MemberOperation::Add if failed.contains(&id) => {
            MemberOutcome::new(person, MemberResult::RefusedPrivacy)
        }
        _ if failed.contains(&id) => MemberOutcome::new(person, MemberResult::Failed)
            .because("WHAPI could not do it and gave no reason"),
        _ if taken.contains(&id) => MemberOutcome::new(person, operation.success()),
        _ => MemberOutcome::open(person),
    }
}

#[cfg(test)]
mod tests;
