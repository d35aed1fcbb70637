//! Lists by `count` and `offset` (OpenAPI 1.8.7): they are no snapshots, and what they hold is what webhooks hold.

use http::{Method, StatusCode};
use jiff::Timestamp;
use wabridge_domain::error::Kind;
use wabridge_domain::event::{Event, GroupUpdate, What};

use super::client::{Reason, page_of, reached, request, successful, successful_body, unavailable};
use super::groups::number;
use super::webhook::{changes, group, message};
use super::wire::string;
use crate::groups::{NO_NUMBER, refused};
use crate::http::Answer;
use crate::list::{self, Listed};
use crate::{Call, CallError, History, Page, Provider, Route};

/// The most that `count` may be.
const COUNT_MAX: u64 = 500;
/// Groups come with all their members.
const GROUPS: u64 = 100;

/// `GET /contacts`.
pub(super) async fn contacts(
    call: &Call<'_>,
    cursor: Option<&str>,
    at: Timestamp,
) -> Result<Page<Event>, CallError> {
    let route = told(at);
    paged(call, List::new(&["contacts"], "contacts", COUNT_MAX), cursor, &[], |listed| {
        listed.read("contact", |item| Ok(event(changes::contact(item, &[], &route)?)))
    })
    .await
}

/// `GET /groups`.
pub(super) async fn groups(
    call: &Call<'_>,
    cursor: Option<&str>,
    at: Timestamp,
) -> Result<Page<GroupUpdate>, CallError> {
    let route = told(at);
    paged(call, List::new(&["groups"], "groups", GROUPS), cursor, &[], |listed| {
        listed.read("group", |item| match group::whole(item, "info", &route)? {
            // Told now, whenever it was made or named.
            What::Group(group) => Ok(Some(GroupUpdate { at, ..*group })),
            _ => Ok(None),
        })
    })
    .await
}

/// `GET /messages/list`, or of one chat; oldest first.
pub(super) async fn messages(
    call: &Call<'_>,
    history: &History<'_>,
    cursor: Option<&str>,
) -> Result<Page<Event>, CallError> {
    let mut query = vec![("sort", "asc".to_owned())];
    for (name, limit) in [("time_from", history.since), ("time_to", history.until)] {
        query.extend(limit.map(|limit| (name, limit.as_second().max(0).to_string())));
    }
    let path: Vec<&str> = ["messages", "list"].into_iter().chain(history.chat).collect();
    let route = told(history.at);
    paged(call, List::new(&path, "messages", COUNT_MAX), cursor, &query, |listed| {
        listed.read("message", |item| Ok(event(message::read(item, &route)?)))
    })
    .await
}

/// `GET /contacts/{ContactID}`; where that tells no picture, `GET /contacts/{ContactID}/profile` does, or there is none.
pub(super) async fn contact(
    call: &Call<'_>,
    contact_id: &str,
    at: Timestamp,
) -> Result<Event, CallError> {
    let person = super::Whapi.person(contact_id);
    let Some(digits) = person.as_ref().and_then(number) else {
        return refused(Kind::InvalidRecipient, NO_NUMBER);
    };
    let answer = reached(request(call, Method::GET, &["contacts", digits], &[])?).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return unknown(answer, call, "WHAPI does not know this person");
    }
    let told_of = successful(answer, call.token)?;
    let what = changes::contact(&told_of, &[], &told(at)).map_err(unavailable)?;
    let What::Contact(mut contact) = what else {
        return Err(unavailable("the answer is about no person"));
    };
    if contact.picture.is_none() {
        contact.picture = Some(picture(call, digits).await?);
    }
    Ok(Event { channel_id: None, what: What::Contact(contact) })
}

/// The address of the picture in somebody's profile; empty: there is none that may be seen.
async fn picture(call: &Call<'_>, digits: &str) -> Result<String, CallError> {
    let profile = ["contacts", digits, "profile"];
    let answer = reached(request(call, Method::GET, &profile, &[])?).await?;
    if answer.status == StatusCode::NOT_FOUND {
        let reason = Reason::of(&answer.body, answer.status, call.token);
        if !reason.is_channel_not_found() {
            return Ok(String::new());
        }
    }
    let profile = successful(answer, call.token)?;
    Ok(string(&profile, "icon_full").or_else(|| string(&profile, "icon")).unwrap_or_default())
}

/// `PUT` or `DELETE /blacklist/{ContactID}`.
pub(super) async fn block(
    call: &Call<'_>,
    contact_id: &str,
    blocked: bool,
) -> Result<(), CallError> {
    let person = super::Whapi.person(contact_id);
    let Some(digits) = person.as_ref().and_then(number) else {
        return refused(Kind::InvalidRecipient, NO_NUMBER);
    };
    let method = if blocked { Method::PUT } else { Method::DELETE };
    let answer = reached(request(call, method, &["blacklist", digits], &[])?).await?;
    match answer.status {
        // "Already so".
        StatusCode::CONFLICT => Ok(()),
        StatusCode::NOT_FOUND => unknown(answer, call, "WHAPI does not know this person"),
        _ => {
            let answer = successful(answer, call.token)?;
            if answer.get("success").and_then(serde_json::Value::as_bool) == Some(false) {
                let why = Reason::in_body(&answer, call.token);
                let why = why.or("WHAPI answered that it did not do it");
                return refused(Kind::ProviderRejected, why);
            }
            Ok(())
        }
    }
}

fn told(at: Timestamp) -> Route<'static> {
    Route { method: "GET", sub_path: "", received_at: at }
}

/// Groups and channels in the address book, and messages that change nothing, are left out.
fn event(what: What) -> Option<Event> {
    (!matches!(what, What::Other { .. })).then_some(Event { channel_id: None, what })
}

struct List<'a> {
    path: &'a [&'a str],
    /// Of the list in the answer.
    name: &'a str,
    /// Entries in a page.
    size: u64,
}

impl<'a> List<'a> {
    fn new(path: &'a [&'a str], name: &'a str, size: u64) -> Self {
        Self { path, name, size }
    }
}

async fn paged<T>(
    call: &Call<'_>,
    of: List<'_>,
    cursor: Option<&str>,
    query: &[(&str, String)],
    read: impl Fn(&Listed<'_>) -> Page<T>,
) -> Result<Page<T>, CallError> {
    let offset = list::offset(cursor)?;
    let mut answer = None;
    for size in list::sizes(of.size) {
        let (count, from) = (size.to_string(), offset.to_string());
        let mut asked = vec![("count", count.as_str()), ("offset", from.as_str())];
        asked.extend(query.iter().map(|(name, value)| (*name, value.as_str())));
        let told = page_of(request(call, Method::GET, of.path, &asked)?).await?;
        let too_long = list::is_too_long(&told);
        answer = Some((told, size));
        if !too_long {
            break;
        }
    }
    let Some((answer, size)) = answer else { return Err(list::foreign_cursor()) };
    if answer.status == StatusCode::NOT_FOUND {
        return unknown(answer, call, "WHAPI knows no such chat");
    }
    let body = successful_body(answer, call.token)?;
    let body = String::from_utf8_lossy(&body);
    let listed = Listed::of(&body, of.name);
    let listed = listed.ok_or_else(|| unavailable("the answer holds no list"))?;
    let total = listed.number("total");
    let next = listed.next(offset, size, total).map(|next| next.to_string());
    Ok(Page { next, total, ..read(&listed) })
}

/// What 404 means unless the token is no channel's.
fn unknown<T>(answer: Answer, call: &Call<'_>, words: &str) -> Result<T, CallError> {
    let reason = Reason::of(&answer.body, answer.status, call.token);
    if reason.is_channel_not_found() {
        successful(answer, call.token)?;
    }
    refused(Kind::RecordNotFound, reason.or(words))
}

#[cfg(test)]
mod tests;
