//! Groups by mapping: `api.groups` holds a call for each operation, and where its answer says what came of it. What has
//! no call cannot be done.

use std::collections::BTreeMap;

use http::{HeaderName, Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::{Value, json};
use wabridge_domain::error::Kind;
use wabridge_domain::event::{GroupUpdate, MemberChange, MemberState, Person, Role};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, Joined, MemberOperation, MemberOutcome, MemberResult,
    MembersChanged, NewGroup, invite_code, invite_link,
};

use super::client::{refusal, request, successful, unavailable};
use super::mapping::{CallMap, Mapping, check_places, headers, method, post};
use super::pointer::{Pointers, text, value};
use super::template::{Body, Path, Slot, Template, Values};
use crate::groups::{NO_ADMIN, refused, uncertain};
use crate::http::{Answer, exchange};
use crate::json::ID_MAX_BYTES;
use crate::{Call, CallError, CreateError, body};

/// `api.groups`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Groups {
    pub create: Option<GroupCall>,
    pub info: Option<GroupCall>,
    pub update: Option<GroupCall>,
    pub add: Option<GroupCall>,
    pub remove: Option<GroupCall>,
    pub promote: Option<GroupCall>,
    pub demote: Option<GroupCall>,
    pub invite: Option<GroupCall>,
    pub revoke_invite: Option<GroupCall>,
    pub join: Option<GroupCall>,
    pub leave: Option<GroupCall>,
    /// The provider's words for what came of one person, beside our own.
    pub results: BTreeMap<String, Word>,
}

/// A word of `api.groups.results`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// What the call is there for was done.
    Done,
    NotOnWhatsapp,
    RefusedPrivacy,
    NotAdmin,
    AlreadyMember,
    NotMember,
    Waiting,
    Failed,
}

impl Word {
    fn of(self, operation: MemberOperation) -> MemberResult {
        match self {
            Self::Done => operation.success(),
            Self::NotOnWhatsapp => MemberResult::NotOnWhatsapp,
            Self::RefusedPrivacy => MemberResult::RefusedPrivacy,
            Self::NotAdmin => MemberResult::NotAdmin,
            Self::AlreadyMember => MemberResult::AlreadyMember,
            Self::NotMember => MemberResult::NotMember,
            Self::Waiting => MemberResult::Waiting,
            Self::Failed => MemberResult::Failed,
        }
    }
}

/// A call, and the places of its answer. Those that an operation has no use for are refused.
#[derive(Debug, Clone)]
pub(super) struct GroupCall {
    call: CallMap,
    group_id: Option<Pointers>,
    /// A link, or its code.
    invite: Option<Pointers>,
    name: Option<Pointers>,
    description: Option<Pointers>,
    picture: Option<Pointers>,
    /// A list of everybody who is in the group.
    members: Option<Pointers>,
    /// A list of what came of each.
    people: Option<Pointers>,
    /// In an entry of either list: who, whether an administrator, what came of it, why.
    id: Option<Pointers>,
    role: Option<Pointers>,
    result: Option<Pointers>,
    reason: Option<Pointers>,
}

impl<'de> Deserialize<'de> for GroupCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Flat {
            #[serde(default = "post", deserialize_with = "method")]
            method: Method,
            path: Path,
            #[serde(default, deserialize_with = "headers")]
            headers: Vec<(HeaderName, Template)>,
            #[serde(default)]
            body: Option<Body>,
            group_id: Option<Pointers>,
            invite: Option<Pointers>,
            name: Option<Pointers>,
            description: Option<Pointers>,
            picture: Option<Pointers>,
            members: Option<Pointers>,
            people: Option<Pointers>,
            id: Option<Pointers>,
            role: Option<Pointers>,
            result: Option<Pointers>,
            reason: Option<Pointers>,
        }
        let flat = Flat::deserialize(deserializer)?;
        Ok(Self {
            call: CallMap {
                method: flat.method,
                path: flat.path,
                headers: flat.headers,
                body: flat.body,
            },
            group_id: flat.group_id,
            invite: flat.invite,
            name: flat.name,
            description: flat.description,
            picture: flat.picture,
            members: flat.members,
            people: flat.people,
            id: flat.id,
            role: flat.role,
            result: flat.result,
            reason: flat.reason,
        })
    }
}

impl GroupCall {
    fn places(&self) -> [(&'static str, bool); 11] {
        [
            ("group_id", self.group_id.is_some()),
            ("invite", self.invite.is_some()),
            ("name", self.name.is_some()),
            ("description", self.description.is_some()),
            ("picture", self.picture.is_some()),
            ("members", self.members.is_some()),
            ("people", self.people.is_some()),
            ("id", self.id.is_some()),
            ("role", self.role.is_some()),
            ("result", self.result.is_some()),
            ("reason", self.reason.is_some()),
        ]
    }
}

/// Key, call, places that have a value in the call beside `{channel_id}`, of which it needs one each, places in the
/// answer, and of these the needed ones.
type Checked<'a> = (
    &'static str,
    &'a Option<GroupCall>,
    &'static [Slot],
    &'static [&'static [Slot]],
    &'static [&'static str],
    &'static [&'static str],
);

impl Groups {
    fn all(&self) -> [Checked<'_>; 11] {
        use Slot as S;
        const GROUP: &[Slot] = &[S::GroupId];
        const NAMED: &[&[Slot]] = &[&[S::GroupId]];
        const PEOPLE: &[Slot] = &[S::GroupId, S::Participants, S::Phones];
        const TO_PEOPLE: &[&[Slot]] = &[&[S::GroupId], &[S::Participants, S::Phones]];
        const EACH: &[&str] = &["people", "id", "result", "reason"];
        [
            (
                "create",
                &self.create,
                &[S::Subject, S::Description, S::Participants, S::Phones],
                &[&[S::Subject], &[S::Participants, S::Phones]],
                &["group_id", "invite", "people", "id", "result", "reason"],
                &["group_id"],
            ),
            (
                "info",
                &self.info,
                GROUP,
                NAMED,
                &["name", "description", "picture", "invite", "members", "id", "role"],
                &["members"],
            ),
            (
                "update",
                &self.update,
                &[S::GroupId, S::Subject, S::Description],
                &[&[S::GroupId], &[S::Subject, S::Description]],
                &[],
                &[],
            ),
            ("add", &self.add, PEOPLE, TO_PEOPLE, EACH, &[]),
            ("remove", &self.remove, PEOPLE, TO_PEOPLE, EACH, &[]),
            ("promote", &self.promote, PEOPLE, TO_PEOPLE, EACH, &[]),
            ("demote", &self.demote, PEOPLE, TO_PEOPLE, EACH, &[]),
            ("invite", &self.invite, GROUP, NAMED, &["invite"], &["invite"]),
            ("revoke_invite", &self.revoke_invite, GROUP, NAMED, &["invite"], &[]),
            ("join", &self.join, &[S::InviteCode], &[&[S::InviteCode]], &["group_id"], &[]),
            ("leave", &self.leave, GROUP, NAMED, &[], &[]),
        ]
    }

    pub fn check(&self) -> Result<(), String> {
        for (name, call, known, needed, places, needed_places) in self.all() {
            let Some(map) = call else { continue };
            let key = format!("groups.{name}");
            let known = [known, &[Slot::ChannelId]].concat();
            check_places(&key, &map.call.slots(), &known, needed)?;
            if map.call.path.slots().any(|slot| matches!(slot, Slot::Participants | Slot::Phones)) {
                return Err(format!("api.{key}.path: a list of people stands in the body only"));
            }
            let asks = matches!(name, "info" | "invite");
            if map.call.method == Method::GET && (map.call.body.is_some() || !asks) {
                return Err(format!(
                    "api.{key}.method: a GET has no body and changes nothing; choose another method"
                ));
            }
            for (place, given) in map.places() {
                if given && !places.contains(&place) {
                    return Err(format!("api.{key}.{place}: it has no use there; leave it out"));
                }
                if !given && needed_places.contains(&place) {
                    return Err(format!("api.{key}.{place}: say where the answer has it"));
                }
            }
        }
        Ok(())
    }

    fn members(&self, operation: MemberOperation) -> Option<&GroupCall> {
        match operation {
            MemberOperation::Add => self.add.as_ref(),
            MemberOperation::Remove => self.remove.as_ref(),
            MemberOperation::Promote => self.promote.as_ref(),
            MemberOperation::Demote => self.demote.as_ref(),
        }
    }
}

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
