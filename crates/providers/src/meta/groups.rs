//! Calls about groups (Meta's pages of 2026, OpenAPI v23.0). A change is only taken: whether it came true is told by a
//! webhook that names the request. People join by the invitation link alone; the business is the one administrator.

use http::Method;
use jiff::Timestamp;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use wabridge_domain::error::Kind;
use wabridge_domain::event::{GroupUpdate, MemberChange, MemberState, Person, Role};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, MemberOperation, MemberOutcome, MemberResult, MembersChanged,
    NewGroup,
};

use super::client::{answered, reached, read, request, sent, successful, to_number, unavailable};
use super::errors::GraphError;
use super::wire;
use crate::groups::{refused, uncertain, without_members};
use crate::http::{Answer, exchange, words};
use crate::json::{string, text};
use crate::{Call, CallError, CreateError, Page, list};

/// People in a group, without the business.
const PEOPLE_MAX: usize = 8;
const SUBJECT_MAX_CHARS: usize = 128;
const DESCRIPTION_MAX_CHARS: usize = 2_048;
/// JPEG, square, at least 192 pixels wide.
const ICON_MAX_BYTES: usize = 5_000_000;
/// Nobody is a participant of that group.
const NOT_IN_GROUP: i64 = 131_212;

const INFO_FIELDS: &str = "subject,description,participants,join_approval_mode,suspended,creation_timestamp,total_participant_count";

const BY_LINK: &str =
    "people join Meta's groups by the invitation link only; send it to them as soon as it is there";

/// `POST /{phone-number-id}/groups`. The group's id and its link come by webhook only.
pub(super) async fn create(call: &Call<'_>, new: &NewGroup) -> Result<Created, CreateError> {
    if new.people.len() > PEOPLE_MAX {
        let why = "Meta's groups hold 8 people at most, besides the account; name fewer";
        return refused(Kind::InvalidContent, why).map_err(CreateError::from);
    }
    fits(Some(&new.subject), new.description.as_deref())?;
    let mut body = json!({ "messaging_product": "whatsapp", "subject": new.subject });
    if let Some(description) = &new.description {
        body["description"] = json!(description);
    }
    let request = to_number(call, Method::POST, &["groups"]).map_err(CallError::from)?;
    let answer = exchange(request.json(&body)).await?;
    let told = answer.body.as_ref().ok().and_then(|body| read(body));
    let error = told.as_ref().and_then(|told| GraphError::of(told, call.token));
    if !answer.status.is_success() || error.is_some() {
        let status = answer.status;
        let error = sent(answer, call.token).err();
        return Err(error.map_or_else(|| uncertain(format!("Meta answered {status}")), Into::into));
    }
    answer.body?;
    let told = told.ok_or_else(|| uncertain("the answer is no JSON"))?;
    let group_id = wire::id(&told, "group_id");
    let request_id = wire::id(&told, "request_id");
    if group_id.is_none() && request_id.is_none() {
        return Err(uncertain("the answer names neither a group nor a request"));
    }
    let waiting =
        |person: &Person| MemberOutcome::new(person, MemberResult::Waiting).because(BY_LINK);
    Ok(Created {
        group_id,
        completion: Completion::Later { request_id },
        people: new.people.iter().map(waiting).collect(),
        invite_link: string(&told, "invite_link"),
        description_taken: true,
    })
}

/// `GET /{group-id}`. The business itself is not among the participants.
pub(super) async fn info(
    call: &Call<'_>,
    group_id: &str,
    at: Timestamp,
) -> Result<GroupUpdate, CallError> {
    let request = request(call, Method::GET, &[group_id])?.query(&[("fields", INFO_FIELDS)]);
    let group = of_group(reached(request).await?, call)?;
    if text(&group, "subject").is_none() && wire::id(&group, "id").is_none() {
        return Err(unavailable("the answer is no group"));
    }
    let listed = group.get("participants").and_then(Value::as_array);
    let members: Vec<MemberChange> = listed
        .into_iter()
        .flatten()
        .filter_map(|item| wire::person_in(item, "wa_id", "user_id"))
        .map(|person| MemberChange { person, role: Some(Role::Member), state: MemberState::Joined })
        .collect();
    let count = group.get("total_participant_count").and_then(Value::as_u64);
    let all = listed.is_some_and(|listed| {
        listed.len() == members.len() && count.is_none_or(|count| count == listed.len() as u64)
    });
    Ok(GroupUpdate {
        group_id: group_id.to_owned(),
        kind: "info".to_owned(),
        at,
        event_id: format!("{:020}", at.as_microsecond().max(0)),
        name: string(&group, "subject"),
        description: group.get("description").and_then(Value::as_str).map(str::to_owned),
        join_approval: match text(&group, "join_approval_mode") {
            Some("approval_required") => Some(true),
            Some("auto_approve") => Some(false),
            _ => None,
        },
        // A suspended group takes no messages.
        is_active: Some(group.get("suspended").and_then(Value::as_bool) != Some(true)),
        members,
        all_members: all,
        ..GroupUpdate::default()
    })
}

/// Groups of a page; each costs a call more, and a page is asked for again as a whole.
const LIMIT: u64 = 20;
/// A cursor that is none, or none any more.
const BAD_CURSOR: i64 = 131_059;
/// Longest cursor that is stored.
const CURSOR_MAX_BYTES: usize = 1024;

/// `GET /{phone-number-id}/groups`: the active ones, by name only; the rest of each is asked for on its own.
pub(super) async fn list(
    call: &Call<'_>,
    cursor: Option<&str>,
    at: Timestamp,
) -> Result<Page<GroupUpdate>, CallError> {
    let request = to_number(call, Method::GET, &["groups"])?.query(&[("limit", LIMIT)]);
    let request = match cursor {
        Some(after) => request.query(&[("after", after)]),
        None => request,
    };
    let answer = reached(request).await?;
    let told = answer.body.as_ref().ok().and_then(|body| read(body));
    let error = told.as_ref().and_then(|told| GraphError::of(told, call.token));
    if cursor.is_some() && error.is_some_and(|error| error.code == Some(BAD_CURSOR)) {
        return Err(list::foreign_cursor());
    }
    let answer = successful(answer, call.token)?;
    let data = answer.get("data").unwrap_or(&Value::Null);
    // The OpenAPI document has the list one deeper than lists of Meta usually are.
    let listed = data.as_array().or_else(|| data.get("groups").and_then(Value::as_array));
    let listed = listed.ok_or_else(|| unavailable("the answer holds no list of groups"))?;
    let mut page = list::entries("group", listed, |group| {
        Ok(Some(GroupUpdate {
            group_id: wire::id(group, "id").ok_or("it names no group")?,
            kind: "info".to_owned(),
            at,
            event_id: format!("{:020}", at.as_microsecond().max(0)),
            name: string(group, "subject"),
            is_active: Some(true),
            ..GroupUpdate::default()
        }))
    });
    let paging = answer.get("paging").unwrap_or(&Value::Null);
    let after = paging.get("cursors").and_then(|cursors| string(cursors, "after"));
    let more = text(paging, "next").is_some() || listed.len() as u64 >= LIMIT;
    let fits = |after: &String| after.len() <= CURSOR_MAX_BYTES && after.is_ascii();
    page.next = after.filter(|after| more && fits(after) && Some(after.as_str()) != cursor);
    for group in &mut page.items {
        let told = info(call, &group.group_id, at).await.map(|told| *group = told);
        without_members(told, &mut page.unreadable)?;
    }
    Ok(page)
}

/// `POST` or `DELETE /{phone-number-id}/block_users` (OpenAPI v23.0). Meta blocks people only who wrote lately.
pub(super) async fn block(
    call: &Call<'_>,
    contact_id: &str,
    blocked: bool,
) -> Result<(), CallError> {
    let Some(person) = wire::person(contact_id) else {
        return refused(Kind::InvalidRecipient, "the contact id is none of Meta's");
    };
    let method = if blocked { Method::POST } else { Method::DELETE };
    let user = person.phone.unwrap_or(person.contact_id);
    let body = json!({ "messaging_product": "whatsapp", "block_users": [{ "user": user }] });
    let request = to_number(call, method, &["block_users"])?.json(&body);
    let answer = answered(request, call.token).await?;
    let told = answer.get("block_users").unwrap_or(&Value::Null);
    let Some(failed) = told.get("failed_users").and_then(|failed| failed.get(0)) else {
        return Ok(());
    };
    let error = failed.get("errors").and_then(|errors| errors.get(0)).unwrap_or(&Value::Null);
    let why = text(error, "message").or_else(|| text(error, "title"));
    let why = why.map(|why| words(why, call.token));
    let or = || "Meta did not do it and gave no reason".to_owned();
    refused(Kind::ProviderRejected, why.unwrap_or_else(or))
}

/// `POST /{group-id}`.
pub(super) async fn edit(
    call: &Call<'_>,
    group_id: &str,
    edit: &GroupEdit,
) -> Result<Completion, CallError> {
    let unsupported = |why: &str| refused(Kind::UnsupportedByProvider, why);
    let request = request(call, Method::POST, &[group_id])?;
    let request = match edit {
        GroupEdit::Words { subject, description } => {
            fits(subject.as_deref(), description.as_deref())?;
            let mut body = json!({ "messaging_product": "whatsapp" });
            for (name, value) in [("subject", subject), ("description", description)] {
                if let Some(value) = value {
                    body[name] = json!(value);
                }
            }
            request.json(&body)
        }
        GroupEdit::Icon(icon) if icon.mimetype != "image/jpeg" => {
            let why = "Meta takes pictures of groups as JPEG only; choose another file";
            return refused(Kind::MediaTypeUnsupported, why);
        }
        GroupEdit::Icon(icon) if icon.bytes.len() > ICON_MAX_BYTES => {
            let why = "Meta takes pictures of groups up to 5 MB; choose a smaller one";
            return refused(Kind::MediaTooLarge, why);
        }
        GroupEdit::Icon(icon) => {
            let part = Part::bytes(icon.bytes.clone()).file_name("icon.jpg");
            let part = part.mime_str("image/jpeg").map_err(|_| unavailable("no media type"))?;
            let form = Form::new().text("messaging_product", "whatsapp");
            request.multipart(form.part("profile_picture_file", part))
        }
        GroupEdit::RemoveIcon => {
            return unsupported("Meta cannot take the picture of a group away; set another one");
        }
        GroupEdit::Setting { .. } => {
            return unsupported("Meta's groups have no switches that can be changed afterwards");
        }
    };
    let answer = of_group(reached(request).await?, call)?;
    Ok(Completion::Later { request_id: wire::id(&answer, "request_id") })
}

/// `DELETE /{group-id}/participants`; nothing else can be done with people.
pub(super) async fn members(
    call: &Call<'_>,
    group_id: &str,
    operation: MemberOperation,
    persons: &[Person],
) -> Result<MembersChanged, CallError> {
    match operation {
        MemberOperation::Remove => {}
        MemberOperation::Add => return refused(Kind::UnsupportedByProvider, BY_LINK),
        MemberOperation::Promote | MemberOperation::Demote => {
            let why = "Meta's groups have one administrator, the account itself";
            return refused(Kind::UnsupportedByProvider, why);
        }
    }
    if persons.is_empty() {
        return Ok(MembersChanged { completion: Completion::Done, people: vec![] });
    }
    if persons.len() > PEOPLE_MAX {
        let why = "Meta's groups hold 8 people at most; name fewer at a time";
        return refused(Kind::InvalidContent, why);
    }
    let named = persons.iter().map(|person| match &person.phone {
        Some(phone) => json!({ "user": phone.trim_start_matches('+') }),
        None if person.user_id.is_some() => json!({ "user_id": person.user_id }),
        None => json!({ "user": person.contact_id }),
    });
    let body =
        json!({ "messaging_product": "whatsapp", "participants": named.collect::<Vec<_>>() });
    let request = request(call, Method::DELETE, &[group_id, "participants"])?;
    let answer = reached(request.json(&body)).await?;
    let told = answer.body.as_ref().ok().and_then(|body| read(body));
    let error = told.as_ref().and_then(|told| GraphError::of(told, call.token));
    if let Some(error) = error.filter(|error| error.code == Some(NOT_IN_GROUP)) {
        let why = error.message.unwrap_or_else(|| "one of them is not in the group".to_owned());
        if let [person] = persons {
            let people = vec![MemberOutcome::new(person, MemberResult::NotMember).because(why)];
            return Ok(MembersChanged { completion: Completion::Done, people });
        }
        return refused(Kind::InvalidRecipient, why);
    }
    let answer = of_group(answer, call)?;
    let people = persons.iter().map(|person| outcome(person, &answer)).collect();
    let completion = Completion::Later { request_id: wire::id(&answer, "request_id") };
    Ok(MembersChanged { completion, people })
}

/// As a rule the answer names nobody: a webhook does.
fn outcome(person: &Person, answer: &Value) -> MemberOutcome {
    let listed = |name: &str| {
        let people = answer.get(name).and_then(Value::as_array);
        people.into_iter().flatten().find(|item| {
            ["wa_id", "input", "user"].iter().any(|place| {
                wire::person_in(item, place, "user_id")
                    .is_some_and(|named| named.contact_id == person.contact_id)
            })
        })
    };
    if let Some(failed) = listed("failed_participants") {
        let error = failed.get("errors").and_then(|errors| errors.get(0));
        let error = error.unwrap_or(&Value::Null);
        let gone = error.get("code").and_then(Value::as_i64) == Some(NOT_IN_GROUP);
        let result = if gone { MemberResult::NotMember } else { MemberResult::Failed };
        let outcome = MemberOutcome::new(person, result);
        let words = text(error, "message").or_else(|| text(error, "title"));
        return outcome.because(words.unwrap_or("Meta did not do it and gave no reason"));
    }
    match listed("removed_participants") {
        Some(_) => MemberOutcome::new(person, MemberResult::Removed),
        None => MemberOutcome::new(person, MemberResult::Waiting),
    }
}

/// `GET /{group-id}/invite_link`.
pub(super) async fn invite(call: &Call<'_>, group_id: &str) -> Result<String, CallError> {
    let request = request(call, Method::GET, &[group_id, "invite_link"])?;
    let answer = of_group(reached(request).await?, call)?;
    string(&answer, "invite_link").ok_or_else(|| unavailable("the answer holds no invitation"))
}

/// `POST /{group-id}/invite_link`: a new link takes the place of the old one.
pub(super) async fn revoke_invite(
    call: &Call<'_>,
    group_id: &str,
) -> Result<Option<String>, CallError> {
    let request = request(call, Method::POST, &[group_id, "invite_link"])?;
    let request = request.json(&json!({ "messaging_product": "whatsapp" }));
    let answer = of_group(reached(request).await?, call)?;
    Ok(string(&answer, "invite_link"))
}

/// `DELETE /{group-id}`: Meta knows no leaving, the group is deleted.
pub(super) async fn leave(call: &Call<'_>, group_id: &str) -> Result<Completion, CallError> {
    let request = request(call, Method::DELETE, &[group_id])?;
    let answer = of_group(reached(request).await?, call)?;
    let request_id = wire::id(&answer, "request_id");
    Ok(Completion::Later { request_id })
}

/// The JSON of a successful answer; an unknown id is an unknown group.
fn of_group(answer: Answer, call: &Call<'_>) -> Result<Value, CallError> {
    let told = answer.body.as_ref().ok().and_then(|body| read(body));
    let error = told.as_ref().and_then(|told| GraphError::of(told, call.token));
    let unknown = error.as_ref().filter(|error| matches!(error.code, Some(33 | 100)));
    let words = unknown.and_then(|error| error.message.clone());
    if let Some(words) = words.filter(|words| words.contains("does not exist")) {
        return refused(Kind::RecordNotFound, words);
    }
    successful(answer, call.token)
}

fn fits(subject: Option<&str>, description: Option<&str>) -> Result<(), CallError> {
    if subject.is_some_and(|text| text.chars().count() > SUBJECT_MAX_CHARS) {
        let why = "Meta takes names of groups up to 128 characters; shorten it";
        return refused(Kind::InvalidContent, why);
    }
    if description.is_some_and(|text| text.chars().count() > DESCRIPTION_MAX_CHARS) {
        let why = "Meta takes descriptions of groups up to 2048 characters; shorten it";
        return refused(Kind::InvalidContent, why);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
