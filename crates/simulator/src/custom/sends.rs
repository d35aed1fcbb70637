//! What goes out beside texts, and what is changed: the calls of the mapping "A service that takes everything" in
//! `docs/CUSTOM_PROVIDER.md`.

use super::refused;
use crate::{
    clock, form,
    media::File,
    message::{Card, Content, Event, Location, Media, MediaKind, Poll},
    people::digits,
    vendor::{Answer, Call, Vendor},
    world::{Draft, World},
};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;

fn wrong(message: &str) -> Answer {
    refused(StatusCode::BAD_REQUEST, message)
}

fn string<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The content of `POST /messages`: the part that `type` names.
pub(super) fn content(
    world: &World,
    call: &Call,
    body: &Map<String, Value>,
) -> Result<Content, Answer> {
    let kind = string(body, "type").ok_or_else(|| wrong("type is required"))?;
    let object = |name: &str| {
        let object = body.get(name).and_then(Value::as_object);
        object.ok_or_else(|| wrong(&format!("{name} must be an object")))
    };
    match kind {
        "text" => {
            let text = string(body, "body").ok_or_else(|| wrong("body is required"))?;
            Ok(Content::Text { body: text.to_owned() })
        }
        "location" => {
            let place = object("location")?;
            let number = |name: &str| place.get(name).and_then(Value::as_f64);
            let (Some(latitude), Some(longitude)) = (number("latitude"), number("longitude"))
            else {
                return Err(wrong("location needs latitude and longitude, as numbers"));
            };
            let text = |name: &str| string(place, name).map(str::to_owned);
            let (name, address) = (text("name"), text("address"));
            Ok(Content::Location(Location { latitude, longitude, name, address, more: Map::new() }))
        }
        "contact" => {
            let card = object("contact")?;
            let number = string(card, "number").and_then(digits);
            let (Some(name), Some(phone)) = (string(card, "name"), number) else {
                return Err(wrong("contact needs a name and a number"));
            };
            let vcard = format!(
                "BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL;type=CELL;waid={phone}:+{phone}\nEND:VCARD"
            );
            Ok(Content::Contacts(vec![Card { name: name.to_owned(), phone: Some(phone), vcard }]))
        }
        "poll" => serde_json::from_value::<Poll>(Value::Object(object("poll")?.clone()))
            .map(Content::Poll)
            .map_err(|why| wrong(&format!("poll: {why}"))),
        kind => match MediaKind::ALL.into_iter().find(|known| known.word() == kind) {
            Some(kind) => file(world, call, kind, body),
            None => Err(wrong(&format!("the simulator does not play type {kind}"))),
        },
    }
}

fn file(
    world: &World,
    call: &Call,
    kind: MediaKind,
    body: &Map<String, Value>,
) -> Result<Content, Answer> {
    let id = string(body, "file").ok_or_else(|| wrong("file is required"))?;
    let mut state = world.state();
    let known = state.files.get(call.account, id).cloned();
    let file = known.ok_or_else(|| refused(StatusCode::NOT_FOUND, "no such file"))?;
    let path = state.files.link(call.account, &file.id, clock::seconds() + 3_600);
    Ok(Content::Media(Box::new(Media {
        kind,
        file,
        link: format!("{}{path}", state.base_url),
        caption: string(body, "caption").map(str::to_owned),
        width: None,
        height: None,
        seconds: None,
        more: Map::new(),
    })))
}

/// `POST /files`: a form, or the bare bytes.
pub(super) fn upload(vendor: &dyn Vendor, world: &World, call: &Call) -> Answer {
    let header = call.headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let (bytes, mime, filename) = match form::parts(call) {
        Some(parts) => {
            let Some(part) = parts.iter().find(|part| part.name == "file") else {
                return wrong("the form has no file");
            };
            (part.bytes.clone(), part.content_type.clone(), part.filename.clone())
        }
        None => (call.body.clone(), header.map(str::to_owned), None),
    };
    if bytes.is_empty() {
        return wrong("the file is empty");
    }
    let mime = mime.unwrap_or_else(|| "application/octet-stream".to_owned());
    let file = File::new(vendor.file_id(&mime), bytes, mime, filename);
    let file = world.state().files.keep(call.account, file);
    Answer::ok(json!({"file": {"id": file.id}}))
}

/// The object of a call that changes a message of the account.
fn own(world: &World, call: &Call, id: &str) -> Result<Map<String, Value>, Answer> {
    let state = world.state();
    match state.account(call.account).history.get(id).map(|message| message.from_me) {
        Some(true) => {}
        Some(false) => return Err(refused(StatusCode::FORBIDDEN, "the message is not your own")),
        None => return Err(refused(StatusCode::NOT_FOUND, "no such message")),
    }
    serde_json::from_slice(&call.body).map_err(|_| wrong("the body is no JSON object"))
}

/// `PATCH /messages/{id} {body}`.
pub(super) fn edit(world: &World, call: &Call, id: &str) -> Answer {
    let body = match own(world, call, id) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let Some(text) = string(&body, "body") else { return wrong("body is required") };
    match world.edit(call.account, id, text) {
        Ok(_) => Answer::ok(json!({})),
        Err(why) => wrong(&why),
    }
}

/// `DELETE /messages/{id}`: gone for everybody.
pub(super) fn delete(world: &World, call: &Call, id: &str) -> Answer {
    if let Err(answer) = own(world, call, id) {
        return answer;
    }
    match world.remove(call.account, id) {
        Ok(_) => Answer::ok(json!({})),
        Err(why) => refused(StatusCode::NOT_FOUND, &why),
    }
}

/// `PUT /messages/{id}/reaction {emoji}`.
pub(super) fn react(world: &Arc<World>, call: &Call, id: &str) -> Answer {
    let body: Map<String, Value> = match serde_json::from_slice(&call.body) {
        Ok(body) => body,
        Err(_) => return wrong("the body is no JSON object"),
    };
    let Some(emoji) = body.get("emoji").and_then(Value::as_str) else {
        return wrong("emoji is required; empty takes the reaction back");
    };
    let chat = world.state().account(call.account).history.get(id).map(|m| m.chat.clone());
    let Some(chat) = chat else { return refused(StatusCode::NOT_FOUND, "no such message") };
    let content = Content::Reaction { target: id.to_owned(), emoji: emoji.to_owned() };
    let effects = call.effects.and(world.webhook_effects(call.account, &call.subject()));
    let message = world.note(call.account, Draft::new(chat, content));
    world.emit(call.account, &Event::Message(Box::new(message)), effects);
    Answer::ok(json!({}))
}
