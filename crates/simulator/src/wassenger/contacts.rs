//! The address book, and whom the device blocks (section 3).

use super::{bad_request, json_body, page, refused, show};
use crate::{
    people::{Person, PersonSpec, person_key},
    vendor::{Answer, Call},
    world::World,
};
use http::StatusCode;
use serde_json::{Value, json};

/// `GET /chat/{device}/contacts?size&page`.
pub(super) fn list(world: &World, call: &Call) -> Answer {
    let (size, offset) = page(call);
    let (found, _) = world.state().contacts(offset, size);
    Answer::ok(found.iter().map(entry).collect())
}

fn entry(person: &Person) -> Value {
    let mut entry = show::contact(person);
    entry["isBusiness"] = person.is_business.into();
    entry["isBlocked"] = person.is_blocked.into();
    if let Some(lid) = &person.lid {
        entry["lid"] = lid.as_str().into();
    }
    entry
}

/// `GET /chat/{device}/contacts/{wid}`; 404 for who is unknown.
pub(super) fn get(world: &World, wid: &str) -> Answer {
    let known = person_key(wid).and_then(|key| world.state().known_person(&key));
    match known {
        Some(person) => Answer::ok(entry(&person)),
        None => refused(StatusCode::NOT_FOUND, "contact not found"),
    }
}

/// `POST` and `DELETE /devices/{device}/block {contacts}`; how they are named is inferred.
pub(super) fn block(world: &World, call: &Call, blocked: bool) -> Answer {
    let body = match json_body(call, &["contacts"]) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let named = body.get("contacts").and_then(Value::as_array);
    let named: Option<Vec<String>> = named.and_then(|named| {
        named.iter().map(|one| one.as_str().and_then(person_key)).collect::<Option<_>>()
    });
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        return bad_request("contacts: a list of numbers is wanted");
    };
    let mut state = world.state();
    for phone in named {
        if !state.person(&phone).on_whatsapp {
            return refused(StatusCode::NOT_FOUND, "contact not found");
        }
        let spec = PersonSpec { phone, is_blocked: Some(blocked), ..PersonSpec::default() };
        if let Err(why) = state.put_person(&spec) {
            return bad_request(&why);
        }
    }
    Answer::ok(json!({"ok": true}))
}
