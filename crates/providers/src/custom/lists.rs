//! Lists by mapping: `api.lists` holds a call for each, how it is paged, and where an entry says what it is. What has no
//! call cannot be synchronised.

use http::{HeaderName, Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::{Map, Value};
use wabridge_domain::error::Kind;
use wabridge_domain::event::{Event, GroupUpdate, What};

use super::client::{page_of, request, successful, unavailable};
use super::contact::PersonPlaces;
use super::groups::{GroupPlaces, info, told_now};
use super::mapping::{CallMap, Mapping, TimeFormat, check_places, get, headers, method};
use super::pointer::{Pointers, text, value};
use super::template::{Body, Path, Slot, Template, Values};
use super::webhook::entry;
use crate::groups::{refused, without_members};
use crate::json::ID_MAX_BYTES;
use crate::{Call, CallError, History, Page, body, list};

/// `api.lists`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Lists {
    pub contacts: Option<ListCall>,
    pub groups: Option<ListCall>,
    pub messages: Option<ListCall>,
}

/// A call that answers a list. Places that a list has no use for are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListCall {
    #[serde(default = "get", deserialize_with = "method")]
    method: Method,
    path: Path,
    #[serde(default, deserialize_with = "headers")]
    headers: Vec<(HeaderName, Template)>,
    #[serde(default, deserialize_with = "query")]
    query: Vec<(String, Template)>,
    #[serde(default)]
    body: Option<Body>,
    /// Entries in a page: `{count}`.
    #[serde(default = "size", deserialize_with = "some_size")]
    size: u64,
    /// What `{page}` is for the first one.
    #[serde(default = "one")]
    first_page: u64,
    /// How `{since}` and `{until}` are written.
    #[serde(default)]
    times: Option<TimeFormat>,
    /// The list in the answer; none: the answer is the list.
    items: Option<Pointers>,
    /// How many there are in all.
    total: Option<Pointers>,
    /// The `{cursor}` of the next page.
    next: Option<Pointers>,
    /// In an entry: who, or who is in the group.
    id: Option<Pointers>,
    name: Option<Pointers>,
    pushname: Option<Pointers>,
    picture: Option<Pointers>,
    lid: Option<Pointers>,
    business: Option<Pointers>,
    blocked: Option<Pointers>,
    group_id: Option<Pointers>,
    description: Option<Pointers>,
    invite: Option<Pointers>,
    members: Option<Pointers>,
    role: Option<Pointers>,
    /// Where an entry that is a bare message stands within an event of the webhook.
    #[serde(default, deserialize_with = "place_in_event")]
    event_at: Option<String>,
}

fn size() -> u64 {
    100
}

fn one() -> u64 {
    1
}

fn some_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        size @ 1..=1000 => Ok(size),
        _ => Err(D::Error::custom("a page has 1 to 1000 entries")),
    }
}

fn query<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Template)>, D::Error> {
    let given = std::collections::BTreeMap::<String, Template>::deserialize(deserializer)?;
    Ok(given.into_iter().collect())
}

fn place_in_event<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let place = Option::<String>::deserialize(deserializer)?;
    match place {
        Some(place) if !place.starts_with('/') || place.contains('~') => Err(D::Error::custom(
            format!("{place:?} is no place of an event; write it like \"/data/message\""),
        )),
        place => Ok(place),
    }
}

/// The places that have a value in every list.
const OF_A_PAGE: [Slot; 5] = [Slot::Count, Slot::Offset, Slot::Page, Slot::Cursor, Slot::ChannelId];

impl ListCall {
    fn slots(&self) -> Vec<Slot> {
        let query = self.query.iter().flat_map(|(_, value)| value.slots());
        self.call().slots().into_iter().chain(query).collect()
    }

    fn call(&self) -> CallMap {
        CallMap {
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        }
    }

    fn places(&self) -> [(&'static str, bool); 14] {
        [
            ("id", self.id.is_some()),
            ("name", self.name.is_some()),
            ("pushname", self.pushname.is_some()),
            ("picture", self.picture.is_some()),
            ("lid", self.lid.is_some()),
            ("business", self.business.is_some()),
            ("blocked", self.blocked.is_some()),
            ("group_id", self.group_id.is_some()),
            ("description", self.description.is_some()),
            ("invite", self.invite.is_some()),
            ("members", self.members.is_some()),
            ("role", self.role.is_some()),
            ("event_at", self.event_at.is_some()),
            ("times", self.times.is_some()),
        ]
    }

    fn check(&self, name: &str, known: &[&str], needed: &[&str]) -> Result<(), String> {
        let key = format!("api.lists.{name}");
        let used = self.slots();
        let mut slots = OF_A_PAGE.to_vec();
        if name == "messages" {
            slots.extend([Slot::Since, Slot::Until, Slot::ChatId]);
        }
        check_places(&format!("lists.{name}"), &used, &slots, &[])?;
        if self.method == Method::GET && self.body.is_some() {
            return Err(format!("{key}.body: a GET has no body; put it into query"));
        }
        let by: Vec<Slot> = [Slot::Offset, Slot::Page, Slot::Cursor]
            .into_iter()
            .filter(|slot| used.contains(slot))
            .collect();
        match (&by[..], &self.next) {
            ([_, _, ..], _) => {
                return Err(format!(
                    "{key}: it is paged by several of {{offset}}, {{page}} and {{cursor}}; leave one"
                ));
            }
            ([Slot::Cursor], None) => {
                return Err(format!("{key}.next: say where the answer has the next {{cursor}}"));
            }
            ([] | [Slot::Offset | Slot::Page], Some(_)) => {
                return Err(format!("{key}.next: no {{cursor}} takes it; put one into query"));
            }
            _ => {}
        }
        for (place, given) in self.places() {
            if given && !known.contains(&place) {
                return Err(format!("{key}.{place}: it has no use there; leave it out"));
            }
            if !given && needed.contains(&place) {
                return Err(format!("{key}.{place}: say where an entry has it"));
            }
        }
        Ok(())
    }
}

impl Lists {
    pub fn check(&self) -> Result<(), String> {
        type Places = &'static [&'static str];
        let person: Places = &["id", "name", "pushname", "picture", "lid", "business", "blocked"];
        let group: Places =
            &["group_id", "name", "description", "picture", "invite", "members", "id", "role"];
        let all: [(&str, &Option<ListCall>, Places, Places); 3] = [
            ("contacts", &self.contacts, person, &["id"]),
            ("groups", &self.groups, group, &["group_id"]),
            ("messages", &self.messages, &["event_at", "times"], &[]),
        ];
        for (name, call, known, needed) in all {
            call.as_ref().map_or(Ok(()), |call| call.check(name, known, needed))?;
        }
        Ok(())
    }
}

pub(super) async fn contacts(
    mapping: &Mapping,
    call: &Call<'_>,
    cursor: Option<&str>,
    at: Timestamp,
) -> Result<Page<Event>, CallError> {
    let Some(map) = &mapping.api.lists.contacts else { return missing("contacts") };
    let fetched = fetched(mapping, call, map, cursor, Values::default()).await?;
    let places = PersonPlaces {
        name: map.name.as_ref(),
        pushname: map.pushname.as_ref(),
        picture: map.picture.as_ref(),
        lid: map.lid.as_ref(),
        business: map.business.as_ref(),
        blocked: map.blocked.as_ref(),
    };
    fetched.read("contact", |item| {
        let id = text(map.id.as_ref(), item).ok_or("it names nobody")?;
        // Groups and channels may stand in the address book too.
        let Some(person) = mapping.chats.person(&id) else { return Ok(None) };
        Ok(Some(places.told(person, item, at)))
    })
}

pub(super) async fn groups(
    mapping: &Mapping,
    call: &Call<'_>,
    cursor: Option<&str>,
    at: Timestamp,
) -> Result<Page<GroupUpdate>, CallError> {
    let Some(map) = &mapping.api.lists.groups else { return missing("groups") };
    let fetched = fetched(mapping, call, map, cursor, Values::default()).await?;
    let places = GroupPlaces {
        name: map.name.as_ref(),
        description: map.description.as_ref(),
        picture: map.picture.as_ref(),
        invite: map.invite.as_ref(),
        members: map.members.as_ref(),
        id: map.id.as_ref(),
        role: map.role.as_ref(),
    };
    let mut page = fetched.read("group", |item| {
        let id = text(map.group_id.as_ref(), item).filter(|id| id.len() <= ID_MAX_BYTES);
        let id = mapping.chats.own(&id.ok_or("it names no group")?);
        Ok(Some(told_now(mapping, &places, &id, item, at)))
    })?;
    if map.members.is_none() && mapping.api.groups.info.is_some() {
        for group in &mut page.items {
            let told = info(mapping, call, &group.group_id, at).await.map(|told| {
                let name = told.name.clone().or_else(|| group.name.take());
                *group = GroupUpdate { name, ..told };
            });
            without_members(told, &mut page.unreadable)?;
        }
    }
    Ok(page)
}

pub(super) async fn messages(
    mapping: &Mapping,
    call: &Call<'_>,
    history: &History<'_>,
    cursor: Option<&str>,
) -> Result<Page<Event>, CallError> {
    let Some(map) = &mapping.api.lists.messages else { return missing("messages") };
    if history.chat.is_some() && !map.slots().contains(&Slot::ChatId) {
        let why = "api.lists.messages of the account's mapping has no place for {chat_id}";
        return refused(Kind::UnsupportedByProvider, why);
    }
    let time = |at: Timestamp| match map.times {
        Some(TimeFormat::Seconds) => Value::from(at.as_second()),
        Some(TimeFormat::Milliseconds) => Value::from(at.as_millisecond()),
        Some(TimeFormat::Rfc3339 | TimeFormat::Auto) | None => Value::from(at.to_string()),
    };
    let (since, until) = (history.since.map(time), history.until.map(time));
    let values = Values::default()
        .text(Slot::ChatId, history.chat)
        .written(Slot::Since, since.as_ref())
        .written(Slot::Until, until.as_ref());
    let fetched = fetched(mapping, call, map, cursor, values).await?;
    fetched.read("message", |item| {
        let what = match &map.event_at {
            Some(place) => entry(mapping, &within(place, item), true, history.at)?,
            None => entry(mapping, item, false, history.at)?,
        };
        let told = matches!(what, What::Message(_) | What::Status(_) | What::Edit(_));
        Ok(told.then_some(Event { channel_id: None, what }))
    })
}

/// An event that holds the entry at a place (`/data/message`).
fn within(place: &str, item: &Value) -> Value {
    place.split('/').skip(1).collect::<Vec<_>>().into_iter().rev().fold(
        item.clone(),
        |held, name| {
            let mut object = Map::new();
            object.insert(name.to_owned(), held);
            Value::Object(object)
        },
    )
}

fn missing<T>(name: &str) -> Result<T, CallError> {
    let why = format!("the account's mapping has no api.lists.{name}");
    refused(Kind::UnsupportedByProvider, why)
}

/// A page as it came.
struct Fetched<'a> {
    map: &'a ListCall,
    answer: Value,
    cursor: Option<&'a str>,
    offset: u64,
    size: u64,
    by: Option<Slot>,
}

impl Fetched<'_> {
    fn read<T>(
        &self,
        what: &str,
        read: impl Fn(&Value) -> Result<Option<T>, std::borrow::Cow<'static, str>>,
    ) -> Result<Page<T>, CallError> {
        let listed = match &self.map.items {
            Some(place) => place.value(&self.answer),
            None => Some(&self.answer),
        };
        let listed = listed.and_then(Value::as_array);
        let listed = listed.ok_or_else(|| unavailable("the answer has no list at its place"))?;
        let total = value(self.map.total.as_ref(), &self.answer).and_then(Value::as_u64);
        let next = match self.by {
            // One that does not move would never end.
            Some(Slot::Cursor) => text(self.map.next.as_ref(), &self.answer).filter(|next| {
                next.len() <= CURSOR_MAX_BYTES && Some(next.as_str()) != self.cursor
            }),
            Some(_) => {
                list::next(listed.len(), self.offset, self.size, total).map(|next| next.to_string())
            }
            None => None,
        };
        Ok(Page { next, total, ..list::entries(what, listed, read) })
    }
}

/// Longest cursor that is stored.
const CURSOR_MAX_BYTES: usize = 1024;

async fn fetched<'a>(
    mapping: &Mapping,
    call: &'a Call<'_>,
    map: &'a ListCall,
    cursor: Option<&'a str>,
    values: Values<'_>,
) -> Result<Fetched<'a>, CallError> {
    let used = map.slots();
    let by = [Slot::Cursor, Slot::Offset, Slot::Page].into_iter().find(|slot| used.contains(slot));
    let offset = match by {
        Some(Slot::Cursor) => 0,
        _ => list::offset(cursor)?,
    };
    let cut = used.contains(&Slot::Count);
    // A page by its number begins at a multiple of its size.
    let fits = |size: &u64| by != Some(Slot::Page) || offset.is_multiple_of(*size);
    let mut last = None;
    for size in list::sizes(map.size).take(if cut { usize::MAX } else { 1 }).filter(fits) {
        let (page, place) = (map.first_page.saturating_add(offset / size), offset);
        let values = values
            .clone()
            .text(Slot::ChannelId, call.channel_id)
            .text(Slot::Cursor, cursor.filter(|_| by == Some(Slot::Cursor)))
            .json(Slot::Count, Some(size.into()))
            .json(Slot::Offset, Some(place.into()))
            .json(Slot::Page, Some(page.into()));
        let mut request = request(mapping, call, &map.call(), &values)?;
        for (name, value) in &map.query {
            if let Some(value) = value.fill(&values) {
                request = request.query(&[(name, value)]);
            }
        }
        let answer = page_of(request).await?;
        let too_long = list::is_too_long(&answer);
        last = Some((answer, size));
        if !too_long {
            break;
        }
    }
    let (answer, size) = last.ok_or_else(list::foreign_cursor)?;
    let own = !mapping.api.answers.contains_key(&answer.status.as_u16());
    if own && answer.status == StatusCode::NOT_FOUND {
        return refused(Kind::RecordNotFound, "the provider knows no such list or chat");
    }
    let body = successful(mapping, call, answer)?;
    let answer = body::read(&body).map_err(|_| unavailable("the answer is no JSON"))?;
    Ok(Fetched { map, answer, cursor, offset, size, by })
}

#[cfg(test)]
mod tests;
