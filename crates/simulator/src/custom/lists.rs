//! Lists of a made-up provider, each paged in another way (`docs/CUSTOM_PROVIDER.md`, `api.lists`): people by offset,
//! groups by the number of the page, messages by a cursor.

use super::{groups::entry, refused, show};
use crate::{
    bulk::Wanted,
    message::Event,
    people::{Person, PersonSpec, digits, person_key},
    vendor::{Answer, Call},
    world::World,
};
use http::StatusCode;
use serde_json::{Value, json};

const MOST: usize = 500;

fn number(call: &Call, name: &str) -> Result<Option<usize>, Answer> {
    let wrong = |_| refused(StatusCode::BAD_REQUEST, &format!("{name} is a whole number"));
    call.param(name).map(str::parse).transpose().map_err(wrong)
}

fn answered(answer: Result<Answer, Answer>) -> Answer {
    answer.unwrap_or_else(|refused| refused)
}

/// `GET /people?limit&offset`.
pub(super) fn people(world: &World, call: &Call) -> Answer {
    let listed = || {
        let limit = number(call, "limit")?.unwrap_or(MOST).clamp(1, MOST);
        let (found, total) = world.state().contacts(number(call, "offset")?.unwrap_or(0), limit);
        let people: Vec<Value> = found.iter().map(shown).collect();
        Ok(Answer::ok(json!({"people": people, "of": total})))
    };
    answered(listed())
}

fn shown(person: &Person) -> Value {
    json!({
        "id": show::person(person), "label": person.saved_name, "nick": person.name,
        "photo": person.picture, "company": person.is_business, "blocked": person.is_blocked,
        "lid": person.lid,
    })
}

/// `GET /people/{id}`; 404 for who is unknown.
pub(super) fn person(world: &World, id: &str) -> Answer {
    let known = person_key(id).and_then(|key| world.state().known_person(&key));
    match known {
        Some(person) => Answer::ok(shown(&person)),
        None => refused(StatusCode::NOT_FOUND, "no such person"),
    }
}

/// `PUT` and `DELETE /people/{id}/block`.
pub(super) fn block(world: &World, id: &str, blocked: bool) -> Answer {
    let mut state = world.state();
    let phone = digits(id).filter(|phone| state.person(phone).on_whatsapp);
    let Some(phone) = phone else { return refused(StatusCode::NOT_FOUND, "no such person") };
    let spec = PersonSpec { phone, is_blocked: Some(blocked), ..PersonSpec::default() };
    match state.put_person(&spec) {
        Ok(()) => Answer::ok(json!({})),
        Err(why) => refused(StatusCode::BAD_REQUEST, &why),
    }
}

/// `GET /groups?page&per_page`, pages from 1.
pub(super) fn groups(world: &World, call: &Call) -> Answer {
    let listed = || {
        let size = number(call, "per_page")?.unwrap_or(50).clamp(1, MOST);
        let page = number(call, "page")?.unwrap_or(1).max(1);
        let state = world.state();
        let own = &state.account(call.account).account.phone;
        let (found, _) = state.groups_of(own, (page - 1).saturating_mul(size), size);
        Ok(Answer::ok(json!({"groups": found.into_iter().map(entry).collect::<Vec<_>>()})))
    };
    answered(listed())
}

/// `GET /messages?limit&cursor&since&until&chat`: events as webhooks tell them, oldest first. Times are RFC 3339.
pub(super) fn messages(world: &World, call: &Call) -> Answer {
    let listed = || {
        let wrong = |words: &str| refused(StatusCode::BAD_REQUEST, words);
        let time = |name: &str| {
            let read = |text: &str| text.parse::<jiff::Timestamp>().ok();
            match call.param(name).map(read) {
                None => Ok(None),
                Some(Some(at)) => Ok(Some(at.as_second())),
                Some(None) => Err(wrong(&format!("{name} is a time of RFC 3339"))),
            }
        };
        let chat = match call.param("chat") {
            None => None,
            Some(id) => Some(show::chat_of(id).ok_or_else(|| wrong("chat is none"))?),
        };
        let offset = match call.param("cursor") {
            None => 0,
            Some(cursor) => cursor
                .strip_prefix("after-")
                .and_then(|place| place.parse().ok())
                .ok_or_else(|| wrong("cursor is none of this list"))?,
        };
        let count = number(call, "limit")?.unwrap_or(100).clamp(1, MOST);
        let wanted = Wanted {
            chat,
            from: time("since")?,
            to: time("until")?,
            ascending: true,
            offset,
            count,
            ..Wanted::default()
        };
        let state = world.state();
        let owner = state.account(call.account);
        let (found, total) = state.messages(call.account, &wanted);
        let end = offset + found.len();
        let told = found.into_iter().map(|message| Event::Message(Box::new(message)));
        let events: Vec<Value> = told.flat_map(|event| show::told(owner, &event)).collect();
        let more = (end < total).then(|| format!("after-{end}"));
        Ok(Answer::ok(json!({"events": events, "more": more})))
    };
    answered(listed())
}
