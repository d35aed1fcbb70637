//! Groups by mapping: `api.groups` holds a call for each operation, and where its answer says what came of it. What has
//! no call cannot be done.

mod mapping;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use wabridge_domain::error::Kind;
use wabridge_domain::event::{GroupUpdate, MemberChange, MemberState, Person, Role};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, Joined, MemberOperation, MemberOutcome, MemberResult,
    MembersChanged, NewGroup, invite_code, invite_link,
};

pub(super) use mapping::{GroupCall, Groups};

use super::client::{refusal, request, successful, unavailable};
use super::mapping::Mapping;
use super::pointer::{Pointers, text, value};
use super::template::{Slot, Values};
use crate::groups::{NO_ADMIN, refused, uncertain};
use crate::http::{Answer, exchange};
use crate::json::ID_MAX_BYTES;
use crate::{Call, CallError, CreateError, body};

fn missing<T>(name: &str) -> Result<T, CallError> {
    let why = format!("the account's mapping has no api.groups.{name}");
    refused(Kind::UnsupportedByProvider, why)
}

fn named(people: &[Person]) -> Value {
    people.iter().map(|person| Value::from(person.contact_id.as_str())).collect()
}

fn phones(people: &[Person]) -> Value {
    let digits =
        |person: &Person| person.phone.as_deref().map(|p| p.trim_start_matches('+').to_owned());
    people.iter().filter_map(digits).map(Value::from).collect()
}

fn of_group<'a>(call: &'a Call<'_>, group_id: &'a str) -> Values<'a> {
    Values::default().text(Slot::GroupId, Some(group_id)).text(Slot::ChannelId, call.channel_id)
}

pub(super) async fn create(
    mapping: &Mapping,
    call: &Call<'_>,
    new: &NewGroup,
) -> Result<Created, CreateError> {
    let Some(map) = &mapping.api.groups.create else {
        return missing("create").map_err(CreateError::from);
    };
    let values = Values::default()
        .text(Slot::ChannelId, call.channel_id)
        .text(Slot::Subject, Some(&new.subject))
        .text(Slot::Description, new.description.as_deref())
        .json(Slot::Participants, Some(named(&new.people)))
        .json(Slot::Phones, Some(phones(&new.people)));
    let request = request(mapping, call, &map.call, &values).map_err(CallError::from)?;
    let answer = exchange(request).await?;
    if !answer.status.is_success() {
        return Err(refusal(mapping, answer, call.token).into());
    }
    let answer = body::read(&answer.body?).map_err(|_| uncertain("the answer is no JSON"))?;
    let group_id = text(map.group_id.as_ref(), &answer).filter(|id| id.len() <= ID_MAX_BYTES);
    let group_id = group_id.ok_or_else(|| uncertain("the answer names no group"))?;
    let told = told(mapping, map, &answer);
    let takes = map.call.slots().contains(&Slot::Description);
    Ok(Created {
        group_id: Some(mapping.chats.own(&group_id)),
        completion: Completion::Done,
        people: new
            .people
            .iter()
            .map(|p| outcome(mapping, p, MemberOperation::Add, &told))
            .collect(),
        invite_link: link(map.invite.as_ref(), &answer),
        description_taken: takes || new.description.is_none(),
    })
}

pub(super) async fn info(
    mapping: &Mapping,
    call: &Call<'_>,
    group_id: &str,
    at: Timestamp,
) -> Result<GroupUpdate, CallError> {
    let Some(map) = &mapping.api.groups.info else { return missing("info") };
    let answer = asked(mapping, call, map, &of_group(call, group_id)).await?;
    let listed = value(map.members.as_ref(), &answer).and_then(Value::as_array);
    if listed.is_none() {
        return Err(unavailable("the answer has no members at their place"));
    }
    let places = GroupPlaces {
        name: map.name.as_ref(),
        description: map.description.as_ref(),
        picture: map.picture.as_ref(),
        invite: map.invite.as_ref(),
        members: map.members.as_ref(),
        id: map.id.as_ref(),
        role: map.role.as_ref(),
    };
    Ok(told_now(mapping, &places, group_id, &answer, at))
}

/// Where a group says what it is.
pub(super) struct GroupPlaces<'a> {
    pub name: Option<&'a Pointers>,
    pub description: Option<&'a Pointers>,
    pub picture: Option<&'a Pointers>,
    pub invite: Option<&'a Pointers>,
    pub members: Option<&'a Pointers>,
    /// In an entry of the members.
    pub id: Option<&'a Pointers>,
    pub role: Option<&'a Pointers>,
}

/// A group as it is.
pub(super) fn told_now(
    mapping: &Mapping,
    places: &GroupPlaces<'_>,
    group_id: &str,
    group: &Value,
    at: Timestamp,
) -> GroupUpdate {
    let listed = value(places.members, group).and_then(Value::as_array);
    let listed = listed.map_or(&[][..], Vec::as_slice);
    let member = |item: &Value| {
        Some(MemberChange {
            person: person(mapping, places.id, item)?,
            role: text(places.role, item).map(|word| role(&word)),
            state: MemberState::Joined,
        })
    };
    let members: Vec<MemberChange> = listed.iter().filter_map(member).collect();
    GroupUpdate {
        group_id: group_id.to_owned(),
        kind: "info".to_owned(),
        at,
        event_id: format!("{:020}", at.as_microsecond().max(0)),
        name: text(places.name, group),
        description: text(places.description, group),
        picture: text(places.picture, group),
        invite_link: link(places.invite, group),
        is_active: Some(true),
        // Part of a list says nothing about who is not in it.
        all_members: !listed.is_empty() && members.len() == listed.len(),
        members,
        ..GroupUpdate::default()
    }
}

fn role(word: &str) -> Role {
    match word.to_ascii_lowercase().as_str() {
        "superadmin" | "owner" | "creator" => Role::Superadmin,
        "admin" | "true" => Role::Admin,
        _ => Role::Member,
    }
}

pub(super) async fn edit(
    mapping: &Mapping,
    call: &Call<'_>,
    group_id: &str,
    edit: &GroupEdit,
) -> Result<Completion, CallError> {
    let GroupEdit::Words { subject, description } = edit else {
        let why = "a custom provider changes name and description of groups only";
        return refused(Kind::UnsupportedByProvider, why);
    };
    let Some(map) = &mapping.api.groups.update else { return missing("update") };
    let slots = map.call.slots();
    for (slot, given) in [(Slot::Subject, subject), (Slot::Description, description)] {
        if given.is_some() && !slots.contains(&slot) {
            let why = format!(
                "api.groups.update of the account's mapping has no place for {{{}}}",
                slot.name()
            );
            return refused(Kind::UnsupportedByProvider, why);
        }
    }
    let values = of_group(call, group_id)
        .text(Slot::Subject, subject.as_deref())
        .text(Slot::Description, description.as_deref());
    done(mapping, call, map, &values).await.map(|_| Completion::Done)
}

pub(super) async fn members(
    mapping: &Mapping,
    call: &Call<'_>,
    group_id: &str,
    operation: MemberOperation,
    people: &[Person],
) -> Result<MembersChanged, CallError> {
    let Some(map) = mapping.api.groups.members(operation) else {
        return missing(operation.as_str());
    };
    let all = |outcome: &dyn Fn(&Person) -> MemberOutcome| {
        let people = people.iter().map(outcome).collect();
        Ok(MembersChanged { completion: Completion::Done, people })
    };
    if people.is_empty() {
        return all(&MemberOutcome::open);
    }
    let values = of_group(call, group_id)
        .json(Slot::Participants, Some(named(people)))
        .json(Slot::Phones, Some(phones(people)));
    let answer = reached(mapping, call, map, &values).await?;
    // Unless the mapping says what else it means.
    let own = !mapping.api.answers.contains_key(&answer.status.as_u16());
    match answer.status {
        StatusCode::FORBIDDEN if own => {
            let why = said(mapping, &answer, call).unwrap_or_else(|| NO_ADMIN.to_owned());
            all(&|person: &Person| {
                MemberOutcome::new(person, MemberResult::NotAdmin).because(why.clone())
            })
        }
        StatusCode::CONFLICT if own && people.len() == 1 => {
            let already = match operation {
                MemberOperation::Add => MemberResult::AlreadyMember,
                other => other.success(),
            };
            all(&|person: &Person| MemberOutcome::new(person, already))
        }
        StatusCode::CONFLICT if own => {
            let why = said(mapping, &answer, call);
            let or = || "for one of these people it is so already".to_owned();
            refused(Kind::InvalidRecipient, why.unwrap_or_else(or))
        }
        _ => {
            let body = answered(mapping, answer, call)?;
            let answer = body::read(&body).unwrap_or(Value::Null);
            let told = told(mapping, map, &answer);
            all(&|person: &Person| outcome(mapping, person, operation, &told))
        }
    }
}

pub(super) async fn invite(
    mapping: &Mapping,
    call: &Call<'_>,
    group_id: &str,
) -> Result<String, CallError> {
    let Some(map) = &mapping.api.groups.invite else { return missing("invite") };
    let answer = asked(mapping, call, map, &of_group(call, group_id)).await?;
    link(map.invite.as_ref(), &answer)
        .ok_or_else(|| unavailable("the answer holds no invitation at its place"))
}

pub(super) async fn revoke_invite(
    mapping: &Mapping,
    call: &Call<'_>,
    group_id: &str,
) -> Result<Option<String>, CallError> {
    let Some(map) = &mapping.api.groups.revoke_invite else { return missing("revoke_invite") };
    let answer = done(mapping, call, map, &of_group(call, group_id)).await?;
    Ok(link(map.invite.as_ref(), &answer))
}

pub(super) async fn join(
    mapping: &Mapping,
    call: &Call<'_>,
    code: &str,
) -> Result<Joined, CallError> {
    let Some(map) = &mapping.api.groups.join else { return missing("join") };
    let values =
        Values::default().text(Slot::InviteCode, Some(code)).text(Slot::ChannelId, call.channel_id);
    let answer = reached(mapping, call, map, &values).await?;
    let own = !mapping.api.answers.contains_key(&answer.status.as_u16());
    if own && answer.status == StatusCode::CONFLICT {
        return Ok(Joined { group_id: None, waiting: false });
    }
    let answer = body::read(&answered(mapping, answer, call)?).unwrap_or(Value::Null);
    let group_id = text(map.group_id.as_ref(), &answer).filter(|id| id.len() <= ID_MAX_BYTES);
    Ok(Joined { group_id: group_id.map(|id| mapping.chats.own(&id)), waiting: false })
}

pub(super) async fn leave(
    mapping: &Mapping,
    call: &Call<'_>,
    group_id: &str,
) -> Result<Completion, CallError> {
    let Some(map) = &mapping.api.groups.leave else { return missing("leave") };
    done(mapping, call, map, &of_group(call, group_id)).await.map(|_| Completion::Done)
}

async fn reached(
    mapping: &Mapping,
    call: &Call<'_>,
    map: &GroupCall,
    values: &Values<'_>,
) -> Result<Answer, CallError> {
    super::client::reached(request(mapping, call, &map.call, values)?).await
}

/// The body of a successful answer; what 404 means of a group, unless the mapping says what else.
fn answered(mapping: &Mapping, answer: Answer, call: &Call<'_>) -> Result<Vec<u8>, CallError> {
    let own = !mapping.api.answers.contains_key(&answer.status.as_u16());
    if own && answer.status == StatusCode::NOT_FOUND {
        let why = said(mapping, &answer, call);
        let or = || "the provider knows no such group".to_owned();
        return refused(Kind::RecordNotFound, why.unwrap_or_else(or));
    }
    successful(mapping, call, answer)
}

fn said(mapping: &Mapping, answer: &Answer, call: &Call<'_>) -> Option<String> {
    let told = answer.body.as_ref().ok().and_then(|body| body::read(body).ok())?;
    super::client::reason(mapping, &told, call.token)
}

/// The JSON of an answer that has to be some.
async fn asked(
    mapping: &Mapping,
    call: &Call<'_>,
    map: &GroupCall,
    values: &Values<'_>,
) -> Result<Value, CallError> {
    let answer = reached(mapping, call, map, values).await?;
    let body = answered(mapping, answer, call)?;
    body::read(&body).map_err(|_| unavailable("the answer is no JSON"))
}

/// The JSON of an answer that may be empty.
async fn done(
    mapping: &Mapping,
    call: &Call<'_>,
    map: &GroupCall,
    values: &Values<'_>,
) -> Result<Value, CallError> {
    let answer = reached(mapping, call, map, values).await?;
    let body = answered(mapping, answer, call)?;
    Ok(body::read(&body).unwrap_or(Value::Null))
}

fn link(place: Option<&Pointers>, answer: &Value) -> Option<String> {
    let given = text(place, answer)?;
    invite_code(&given).map(invite_link)
}

fn person(mapping: &Mapping, place: Option<&Pointers>, item: &Value) -> Option<Person> {
    let id = match place {
        Some(place) => place.text(item),
        None => item.as_str().map(str::to_owned),
    };
    mapping.chats.person(&id?)
}

/// What an answer says of people: the contact id, the provider's word (none: being listed is success), its reason.
type Told = Vec<(String, Option<String>, Option<String>)>;

fn told(mapping: &Mapping, map: &GroupCall, answer: &Value) -> Told {
    let listed = value(map.people.as_ref(), answer).and_then(Value::as_array);
    let one = |item: &Value| {
        let person = person(mapping, map.id.as_ref(), item)?;
        let (word, reason) = (text(map.result.as_ref(), item), text(map.reason.as_ref(), item));
        Some((person.contact_id, word, reason))
    };
    listed.into_iter().flatten().filter_map(one).collect()
}

fn outcome(
    mapping: &Mapping,
    person: &Person,
    operation: MemberOperation,
    told: &Told,
) -> MemberOutcome {
    let Some((_, word, reason)) = told.iter().find(|(id, ..)| *id == person.contact_id) else {
        return MemberOutcome::open(person);
    };
    let known = |word: &String| {
        let words = &mapping.api.groups.results;
        words.get(word).copied().or_else(|| serde_json::from_value(json!(word)).ok())
    };
    let outcome = match word.as_ref().map(|word| (word, known(word))) {
        None => MemberOutcome::new(person, operation.success()),
        Some((_, Some(word))) => MemberOutcome::new(person, word.of(operation)),
        // A word of tomorrow is no success.
        Some((word, None)) => MemberOutcome::new(person, MemberResult::Failed)
            .because(format!("the provider said {:?}", body::bounded(word))),
    };
    match reason {
        Some(reason) if outcome.result != Some(operation.success()) => {
            outcome.because(body::bounded(reason))
        }
        _ => outcome,
    }
}

#[cfg(test)]
mod tests;
