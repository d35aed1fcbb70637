//! Lists by `size` and `page`. The calls are those of the vendor's public clients. Pages begin at 0; a server that begins
//! at 1 gives its first page twice, which does no harm.

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use wabridge_domain::error::Kind;
use wabridge_domain::event::{ContactUpdate, Event, GroupUpdate, What};

use super::client::{
    Reason, device, no_device, page_of, reached, request, successful, unavailable,
};
use super::webhook::{contact_of, message_of};
use super::{groups as group, wire};
use crate::groups::refused;
use crate::groups::without_members;
use crate::http::Answer;
use crate::list::{self, Listed};
use crate::{Call, CallError, History, Page};

/// The largest size that working clients use.
const SIZE: u64 = 500;
/// Each costs a call more, and a page is asked for again as a whole.
const GROUPS: u64 = 20;

/// `GET /chat/{device}/contacts`.
pub(super) async fn contacts(
    call: &Call<'_>,
    cursor: Option<&str>,
    at: Timestamp,
) -> Result<Page<Event>, CallError> {
    let device = device(call).ok_or_else(no_device)?;
    let read = |item: &Value| match contact_of(item, at)? {
        // Told now, whenever the entry was made.
        What::Contact(contact) => {
            Ok(Some(event(What::Contact(Box::new(ContactUpdate { at, ..*contact })))))
        }
        _ => Ok(None),
    };
    let page = fetched(call, &["chat", device, "contacts"], SIZE, cursor, &[]).await?;
    page.read("contact", "contacts", read)
}

/// `GET /devices/{device}/groups`. The list does not name the members: they are asked for one group after the other.
pub(super) async fn groups(
    call: &Call<'_>,
    cursor: Option<&str>,
    at: Timestamp,
) -> Result<Page<GroupUpdate>, CallError> {
    let device = device(call).ok_or_else(no_device)?;
    let kind = [("kind", "group".to_owned())];
    let page = fetched(call, &["devices", device, "groups"], GROUPS, cursor, &kind).await?;
    let page = page.read("group", "groups", |item| Ok(Some(group::listed(item, at)?)))?;
    let Page { items, next, total, mut unreadable } = page;
    let mut groups = Vec::with_capacity(items.len());
    for (mut update, count) in items {
        if !update.all_members {
            without_members(group::with_members(call, &mut update, count).await, &mut unreadable)?;
        }
        groups.push(update);
    }
    Ok(Page { items: groups, next, total, unreadable })
}

/// `GET /chat/{device}/messages`, newest first, up to the one that is older than wanted: what its filters of time take is
/// not confirmed, and messages that arrive meanwhile only push others to the next page.
pub(super) async fn messages(
    call: &Call<'_>,
    history: &History<'_>,
    cursor: Option<&str>,
) -> Result<Page<Event>, CallError> {
    let device = device(call).ok_or_else(no_device)?;
    let mut query = vec![("sort", "date:desc".to_owned())];
    query.extend(history.chat.map(|chat| ("chat", wire::chat_id(chat))));
    let path = ["chat", device, "messages"];
    let fetched = fetched(call, &path, SIZE, cursor, &query).await?;
    let mut page = fetched.read("message", "messages", |item| {
        let what = message_of(item, history.at)?;
        Ok((!matches!(what, What::Other { .. })).then(|| event(what)))
    })?;
    let times: Vec<i64> = page.items.iter().filter_map(written_at).collect();
    if let (Some(since), [newest, .., oldest]) = (history.since, &times[..])
        && *oldest < since.as_second()
        && newest >= oldest
    {
        page.next = None;
    }
    Ok(page)
}

/// `GET /chat/{device}/contacts/{wid}`.
pub(super) async fn contact(
    call: &Call<'_>,
    contact_id: &str,
    at: Timestamp,
) -> Result<Event, CallError> {
    let Some(person) = wire::person(contact_id) else {
        return refused(Kind::InvalidRecipient, FOREIGN);
    };
    let device = device(call).ok_or_else(no_device)?;
    let path = ["chat", device, "contacts", person.contact_id.as_str()];
    let answer = reached(request(call, Method::GET, &path)?).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return unknown(&answer, call);
    }
    let entry: Value = serde_json::from_slice(&body_of(answer, call)?)
        .map_err(|_| unavailable("the answer is no JSON"))?;
    match contact_of(&entry, at).map_err(unavailable)? {
        // Told now, whenever the entry was made.
        What::Contact(contact) => {
            Ok(event(What::Contact(Box::new(ContactUpdate { at, ..*contact }))))
        }
        _ => Err(unavailable("the answer is about no person")),
    }
}

/// `POST` or `DELETE /devices/{device}/block`. That people are named by their numbers, as in the vendor's other calls, is
/// inferred; a server that wants something else refuses it in words.
pub(super) async fn block(
    call: &Call<'_>,
    contact_id: &str,
    blocked: bool,
) -> Result<(), CallError> {
    let Some(person) = wire::person(contact_id) else {
        return refused(Kind::InvalidRecipient, FOREIGN);
    };
    let device = device(call).ok_or_else(no_device)?;
    let method = if blocked { Method::POST } else { Method::DELETE };
    let named = person.phone.unwrap_or(person.contact_id);
    let request = request(call, method, &["devices", device, "block"])?;
    let answer = reached(request.json(&json!({ "contacts": [named] }))).await?;
    match answer.status {
        // "Already so".
        StatusCode::CONFLICT => Ok(()),
        StatusCode::NOT_FOUND => unknown(&answer, call),
        _ => successful(answer, call.token).map(drop),
    }
}

const FOREIGN: &str = "the contact id is none of Wassenger's; it is <digits>@c.us";

fn unknown<T>(answer: &Answer, call: &Call<'_>) -> Result<T, CallError> {
    let reason = Reason::of(&answer.body, answer.status, call.token);
    refused(Kind::RecordNotFound, reason.or("Wassenger does not know this person"))
}

fn written_at(event: &Event) -> Option<i64> {
    match &event.what {
        What::Message(message) => Some(message.at.as_second()),
        _ => None,
    }
}

fn event(what: What) -> Event {
    Event { channel_id: None, what }
}

/// A page as it came.
struct Fetched {
    body: Vec<u8>,
    offset: u64,
    size: u64,
}

impl Fetched {
    fn read<T>(
        &self,
        what: &str,
        name: &str,
        read: impl Fn(&Value) -> Result<Option<T>, &'static str>,
    ) -> Result<Page<T>, CallError> {
        let body = String::from_utf8_lossy(&self.body);
        // As a rule bare.
        let listed = Listed::of(&body, name).or_else(|| Listed::of(&body, "data"));
        let listed = listed.ok_or_else(|| unavailable("the answer holds no list"))?;
        let next = listed.next(self.offset, self.size, None);
        let page = listed.read(what, |item| Ok(read(item)?));
        Ok(Page { next: next.map(|next| next.to_string()), ..page })
    }
}

async fn fetched(
    call: &Call<'_>,
    path: &[&str],
    most: u64,
    cursor: Option<&str>,
    query: &[(&str, String)],
) -> Result<Fetched, CallError> {
    let offset = list::offset(cursor)?;
    let mut last = None;
    // A page by its number begins at a multiple of its size.
    for size in list::sizes(most).filter(|size| offset.is_multiple_of(*size)) {
        let request = request(call, Method::GET, path)?
            .query(query)
            .query(&[("size", size), ("page", offset / size)]);
        let answer = page_of(request).await?;
        let too_long = list::is_too_long(&answer);
        last = Some((answer, size));
        if !too_long {
            break;
        }
    }
    let (answer, size) = last.ok_or_else(list::foreign_cursor)?;
    Ok(Fetched { body: body_of(answer, call)?, offset, size })
}

fn body_of(answer: Answer, call: &Call<'_>) -> Result<Vec<u8>, CallError> {
    Ok(successful(answer, call.token)??)
}

#[cfg(test)]
mod tests;
