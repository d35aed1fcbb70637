//! What the provider knows of one person, by mapping: `api.contact`, and what an entry of a list tells of somebody.

use http::{HeaderName, Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::Value;
use wabridge_domain::error::Kind;
use wabridge_domain::event::{ContactUpdate, Event, Person, What};

use super::client::{reached, request, successful, unavailable};
use super::mapping::{CallMap, Mapping, get, headers, method};
use super::pointer::{Pointers, text};
use super::template::{Body, Path, Slot, Template, Values};
use super::webhook::truth_at;
use crate::groups::refused;
use crate::json::ID_MAX_BYTES;
use crate::{Call, CallError, body};

/// Where something that describes a person says what.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PersonPlaces<'a> {
    pub name: Option<&'a Pointers>,
    pub pushname: Option<&'a Pointers>,
    pub picture: Option<&'a Pointers>,
    pub lid: Option<&'a Pointers>,
    pub business: Option<&'a Pointers>,
    pub blocked: Option<&'a Pointers>,
}

impl PersonPlaces<'_> {
    /// What `item` tells of `person`.
    pub fn told(&self, mut person: Person, item: &Value, at: Timestamp) -> Event {
        person.name = text(self.name, item);
        person.pushname = text(self.pushname, item);
        let lid = text(self.lid, item).filter(|lid| lid.len() <= ID_MAX_BYTES);
        person.lid = person.lid.or(lid.filter(|lid| lid.ends_with("@lid")));
        let what = What::Contact(Box::new(ContactUpdate {
            person,
            at,
            picture: text(self.picture, item),
            is_business: truth_at(self.business, item),
            is_blocked: truth_at(self.blocked, item),
            ..ContactUpdate::default()
        }));
        Event { channel_id: None, what }
    }
}

/// `api.contact`.
#[derive(Debug, Clone)]
pub(super) struct ContactMap {
    pub call: CallMap,
    name: Option<Pointers>,
    pushname: Option<Pointers>,
    picture: Option<Pointers>,
    lid: Option<Pointers>,
    business: Option<Pointers>,
    blocked: Option<Pointers>,
}

impl<'de> Deserialize<'de> for ContactMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Flat {
            #[serde(default = "get", deserialize_with = "method")]
            method: Method,
            path: Path,
            #[serde(default, deserialize_with = "headers")]
            headers: Vec<(HeaderName, Template)>,
            #[serde(default)]
            body: Option<Body>,
            name: Option<Pointers>,
            pushname: Option<Pointers>,
            picture: Option<Pointers>,
            lid: Option<Pointers>,
            business: Option<Pointers>,
            blocked: Option<Pointers>,
        }
        let Flat { method, path, headers, body, name, pushname, picture, lid, business, blocked } =
            Flat::deserialize(deserializer)?;
        let call = CallMap { method, path, headers, body };
        Ok(Self { call, name, pushname, picture, lid, business, blocked })
    }
}

impl ContactMap {
    fn places(&self) -> PersonPlaces<'_> {
        PersonPlaces {
            name: self.name.as_ref(),
            pushname: self.pushname.as_ref(),
            picture: self.picture.as_ref(),
            lid: self.lid.as_ref(),
            business: self.business.as_ref(),
            blocked: self.blocked.as_ref(),
        }
    }
}

pub(super) async fn info(
    mapping: &Mapping,
    call: &Call<'_>,
    contact_id: &str,
    at: Timestamp,
) -> Result<Event, CallError> {
    let Some(map) = &mapping.api.contact else {
        let why = "the account's mapping has no api.contact";
        return refused(Kind::UnsupportedByProvider, why);
    };
    let Some(person) = mapping.chats.person(contact_id) else {
        let why = "the contact id names no person; a group is none";
        return refused(Kind::InvalidRecipient, why);
    };
    let digits = mapping.chats.digits(&person.contact_id);
    let used = map.call.slots();
    if digits.is_none() && used.contains(&Slot::Phone) && !used.contains(&Slot::ChatId) {
        return refused(Kind::InvalidRecipient, crate::groups::NO_NUMBER);
    }
    let values = Values::default()
        .text(Slot::ChatId, Some(&person.contact_id))
        .text(Slot::Phone, digits)
        .text(Slot::ChannelId, call.channel_id);
    let answer = reached(request(mapping, call, &map.call, &values)?).await?;
    let own = !mapping.api.answers.contains_key(&answer.status.as_u16());
    if own && answer.status == StatusCode::NOT_FOUND {
        return refused(Kind::RecordNotFound, "the provider does not know this person");
    }
    let answer = successful(mapping, call, answer)?;
    let answer = body::read(&answer).map_err(|_| unavailable("the answer is no JSON"))?;
    if !answer.is_object() {
        return Err(unavailable("the answer tells of nobody"));
    }
    Ok(map.places().told(person.clone(), &answer, at))
}
