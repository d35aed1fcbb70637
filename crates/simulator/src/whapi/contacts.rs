//! Contacts and the check of numbers (`whapi.md` section 3), from the people of the world.

use super::{bad_request, json_body, page, refused, show};
use crate::{
    people::{PersonSpec, digits},
    state::Condition,
    vendor::{Answer, Call},
    world::World,
};
use http::StatusCode;
use serde_json::{Value, json};

const MAX_CHECKED: usize = 1_000;

/// `GET /contacts?count&offset`.
pub(crate) fn list(world: &World, call: &Call) -> Answer {
    let (count, offset) = match page(call) {
        Ok(page) => page,
        Err(answer) => return answer,
    };
    let (found, total) = world.state().contacts(offset, count);
    let contacts: Vec<Value> = found.iter().map(show::contact).collect();
    Answer::ok(json!({"contacts": contacts, "count": count, "total": total, "offset": offset}))
}

/// `GET /contacts/{ContactID}`; 404 for who is unknown.
pub(crate) fn get(world: &World, _call: &Call, id: &str) -> Answer {
    let Some(phone) = digits(id) else {
        return bad_request("ContactID must be 7 to 15 digits");
    };
    match world.state().known_person(&phone) {
        Some(person) => Answer::ok(show::contact(&person)),
        None => refused(StatusCode::NOT_FOUND, "Specified contact not found", ""),
    }
}

/// `GET /contacts/{ContactID}/profile`; 404 for a number that is not on WhatsApp.
pub(crate) fn profile(world: &World, id: &str) -> Answer {
    let Some(phone) = digits(id) else {
        return bad_request("ContactID must be 7 to 15 digits");
    };
    let person = world.state().person(&phone);
    if !person.on_whatsapp {
        return refused(StatusCode::NOT_FOUND, "Specified user not found", "");
    }
    let mut profile = json!({"name": person.name, "about": "Hey there! I am using WhatsApp."});
    if let Some(picture) = &person.picture {
        profile["icon"] = picture.as_str().into();
        profile["icon_full"] = picture.as_str().into();
    }
    Answer::ok(profile)
}

/// `GET /blacklist`.
pub(crate) fn blocked(world: &World) -> Answer {
    let state = world.state();
    let blocked = state.people().filter(|person| person.is_blocked);
    Answer::ok(blocked.map(|person| Value::from(show::contact_id(person))).collect())
}

/// `PUT` and `DELETE /blacklist/{ContactID}`; 404 for a number that is not on WhatsApp.
pub(crate) fn block(world: &World, id: &str, blocked: bool) -> Answer {
    let Some(phone) = digits(id) else {
        return bad_request("ContactID must be 7 to 15 digits");
    };
    let mut state = world.state();
    if !state.person(&phone).on_whatsapp {
        return refused(StatusCode::NOT_FOUND, "Specified contact not found", "");
    }
    let spec = PersonSpec { phone, is_blocked: Some(blocked), ..PersonSpec::default() };
    match state.put_person(&spec) {
        Ok(()) => Answer::ok(json!({"success": true})),
        Err(why) => bad_request(&why),
    }
}

/// `HEAD /contacts/{ContactID}`: 200 registered, 404 not.
pub(crate) fn exists(world: &World, _call: &Call, id: &str) -> Answer {
    match digits(id) {
        None => bad_request("ContactID must be 7 to 15 digits"),
        Some(phone) if world.state().person(&phone).on_whatsapp => {
            Answer::ok(json!({"success": true}))
        }
        Some(_) => refused(StatusCode::NOT_FOUND, "Specified contact not registered", ""),
    }
}

/// `POST /contacts {contacts[], force_check?}`.
pub(crate) fn check(world: &World, call: &Call) -> Answer {
    let body = match json_body(call) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let inputs: Option<Vec<&str>> = body
        .get("contacts")
        .and_then(Value::as_array)
        .and_then(|list| list.iter().map(Value::as_str).collect());
    let Some(inputs) = inputs.filter(|inputs| inputs.len() <= MAX_CHECKED) else {
        return bad_request("contacts must be a list of numbers");
    };
    let state = world.state();
    if state.account(call.account).condition != Condition::Connected {
        return refused(
            StatusCode::UNAUTHORIZED,
            "Need channel authorization for check phones",
            "",
        );
    }
    let contacts: Vec<Value> = inputs
        .into_iter()
        .map(|input| match digits(input).filter(|phone| state.person(phone).on_whatsapp) {
            Some(phone) => json!({"input": input, "status": "valid", "wa_id": phone}),
            None => json!({"input": input, "status": "invalid"}),
        })
        .collect();
    Answer::ok(json!({"contacts": contacts}))
}
