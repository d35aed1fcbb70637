//! What goes out (sections 2, 3 and 5): `POST /messages`, edits, deletions, files.

use super::{bad_request, ids, json_body, refused, show};
use crate::{
    clock, form,
    media::File,
    message::{Card, Chat, Content, Event, Location, Media, MediaKind, Message, Poll, Status},
    people::digits,
    state::Condition,
    vendor::{Answer, Call},
    world::{Draft, World},
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Fields of section 2; those that are not played are refused below.
const FIELDS: [&str; 31] = [
    "device",
    "phone",
    "group",
    "channel",
    "message",
    "media",
    "location",
    "contacts",
    "reaction",
    "reactionMessage",
    "quote",
    "poll",
    "forward",
    "template",
    "deliverAt",
    "previewUrl",
    "enqueue",
    "live",
    "order",
    "priority",
    "retries",
    "expiration",
    "typing",
    "sendReadAck",
    "agent",
    "label",
    "actions",
    "reference",
    "buttons",
    "list",
    "event",
];

/// Known, but not played.
const NOT_PLAYED: [&str; 6] = ["forward", "template", "deliverAt", "buttons", "list", "event"];

/// `POST /messages`.
pub(super) fn send(world: &Arc<World>, call: &Call) -> Answer {
    let drafted = json_body(call, &FIELDS).and_then(|body| {
        let draft = draft(world, call, &body)?;
        may_send(world, call, &draft.chat)?;
        let at_once = body.get("enqueue").and_then(Value::as_str) == Some("never");
        Ok((draft, at_once))
    });
    match drafted {
        Err(answer) => answer,
        Ok((draft, at_once)) => {
            let effects = call.effects.and(world.webhook_effects(call.account, &call.subject()));
            let message = if matches!(draft.content, Content::Reaction { .. }) {
                let message = world.note(call.account, draft);
                world.emit(call.account, &Event::Message(Box::new(message.clone())), effects);
                message
            } else {
                world.send(call.account, draft, effects)
            };
            let device = world.state().account(call.account).account.channel_id.clone();
            Answer::new(StatusCode::CREATED, record(&device, &message, at_once))
        }
    }
}

/// The record of a send: WhatsApp's id is in it only where no queue is in between.
pub(super) fn record(device: &str, message: &Message, with_wa_id: bool) -> Value {
    let failed = message.status == Status::Failed;
    let word = if failed { "failed" } else { "queued" };
    let word = if with_wa_id { "sent" } else { word };
    let mut record = json!({
        "id": ids::record_of(&message.id),
        "message": message.content.text(),
        "status": word,
        "deliveryStatus": word,
        "device": device,
        "createdAt": show::iso(message.at),
    });
    match &message.chat {
        Chat::Person(phone) => record["phone"] = format!("+{phone}").into(),
        Chat::Group(id) => record["group"] = id.as_str().into(),
        Chat::Channel(id) => record["channel"] = id.as_str().into(),
    }
    if with_wa_id {
        record["waId"] = message.id.as_str().into();
    }
    if let Some(reference) = &message.reference {
        record["reference"] = reference.as_str().into();
    }
    record
}

fn draft(world: &World, call: &Call, body: &Map<String, Value>) -> Result<Draft, Answer> {
    let string = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
        Some(_) => Err(bad_request(&format!("{name} must be a string that is not empty"))),
    };
    let own = world.state().account(call.account).account.channel_id.clone();
    match string("device")? {
        Some(device) if device == own => {}
        Some(_) => return Err(refused(StatusCode::NOT_FOUND, "device not found")),
        None => return Err(bad_request("device is required")),
    }
    let chat = match (string("phone")?, string("group")?, string("channel")?) {
        (Some(phone), None, None) => match digits(phone).filter(|_| phone.starts_with('+')) {
            Some(digits) => Chat::Person(digits),
            None => return Err(bad_request("phone is not a valid E.164 number")),
        },
        (None, Some(group), None) if group.ends_with("@g.us") => Chat::Group(group.to_owned()),
        (None, None, Some(channel)) if channel.ends_with("@newsletter") => {
            Chat::Channel(channel.to_owned())
        }
        _ => return Err(bad_request("give exactly one of phone, group, channel")),
    };
    if let Some(name) = NOT_PLAYED.into_iter().find(|name| body.contains_key(*name)) {
        return Err(bad_request(&format!("{name}: the simulator does not play it")));
    }
    if let Some(enqueue) = string("enqueue")?
        && !["never", "always", "opportunistic"].contains(&enqueue)
    {
        return Err(bad_request("enqueue must be never, always or opportunistic"));
    }
    let quoted = match string("quote")? {
        None => None,
        Some(id) if ids::is_message(id) => Some(id.to_owned()),
        Some(_) => {
            return Err(bad_request("quote must be a message id of 18 to 32 hexadecimal digits"));
        }
    };
    let reference = string("reference")?.map(str::to_owned);
    let content = content(world, call, body)?;
    Ok(Draft { quoted, reference, ..Draft::new(chat, content) })
}

/// One of the fields of section 2; a caption stands in `message`.
fn content(world: &World, call: &Call, body: &Map<String, Value>) -> Result<Content, Answer> {
    let text = match body.get("message") {
        None => None,
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(_) => return Err(bad_request("message must be a string that is not empty")),
    };
    let kinds = ["media", "location", "contacts", "reaction", "poll"];
    let given: Vec<&str> = kinds.into_iter().filter(|kind| body.contains_key(*kind)).collect();
    let kind = match given[..] {
        [] => "message",
        [kind] => kind,
        _ => return Err(bad_request("give one of media, location, contacts, reaction, poll")),
    };
    if text.is_some() && !matches!(kind, "message" | "media") {
        return Err(bad_request(&format!("message: not together with {kind}")));
    }
    let object = |known: &[&str]| {
        let object = body.get(kind).and_then(Value::as_object);
        let object = object.ok_or_else(|| bad_request(&format!("{kind} must be an object")))?;
        match object.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(bad_request(&format!("{kind}.{unknown}: unknown field"))),
            None => Ok(object),
        }
    };
    match kind {
        "message" => match text {
            Some(body) => Ok(Content::Text { body }),
            None => Err(bad_request("message is required")),
        },
        "media" => {
            let media = object(&["url", "file", "format", "filename", "viewOnce", "expiration"])?;
            file(world, call, media, text)
        }
        "location" => location(object(&["address", "coordinates", "name"])?),
        "contacts" => contacts(body),
        "poll" => poll(object(&["name", "options", "multiple"])?),
        _ => {
            let emoji = body.get("reaction").and_then(Value::as_str).unwrap_or_default();
            let target = body.get("reactionMessage").and_then(Value::as_str).unwrap_or_default();
            if emoji.is_empty() || !ids::is_message(target) {
                return Err(bad_request("reaction needs an emoji or -, and reactionMessage"));
            }
            let emoji = if emoji == "-" { "" } else { emoji };
            Ok(Content::Reaction { target: target.to_owned(), emoji: emoji.to_owned() })
        }
    }
}

fn location(place: &Map<String, Value>) -> Result<Content, Answer> {
    let string = |name: &str| place.get(name).and_then(Value::as_str).map(str::to_owned);
    let degrees: Option<Vec<f64>> = place
        .get("coordinates")
        .and_then(Value::as_array)
        .and_then(|both| both.iter().map(Value::as_f64).collect());
    // An address is looked up by the vendor; here it lies nowhere in particular.
    let (latitude, longitude) = match (degrees.as_deref(), string("address")) {
        (Some([latitude, longitude]), None) => (*latitude, *longitude),
        (None, Some(_)) => (0.0, 0.0),
        _ => return Err(bad_request("location needs coordinates [lat, lng] or an address")),
    };
    let (name, address) = (string("name"), string("address"));
    Ok(Content::Location(Location { latitude, longitude, name, address, more: Map::new() }))
}

fn contacts(body: &Map<String, Value>) -> Result<Content, Answer> {
    let wrong = || bad_request("contacts is a list of 1 to 10 {phone, name}");
    let list = body.get("contacts").and_then(Value::as_array);
    let list = list.filter(|list| (1..=10).contains(&list.len())).ok_or_else(wrong)?;
    let card = |one: &Value| {
        let string = |name: &str| one.get(name).and_then(Value::as_str);
        let phone = string("phone").filter(|phone| phone.starts_with('+')).and_then(digits)?;
        let name = string("name")?.to_owned();
        let vcard = format!(
            "BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL;type=CELL;waid={phone}:+{phone}\nEND:VCARD"
        );
        Some(Card { name, phone: Some(phone), vcard })
    };
    let cards: Option<Vec<Card>> = list.iter().map(card).collect();
    Ok(Content::Contacts(cards.ok_or_else(wrong)?))
}

fn poll(poll: &Map<String, Value>) -> Result<Content, Answer> {
    let options: Option<Vec<String>> = poll
        .get("options")
        .and_then(Value::as_array)
        .and_then(|list| list.iter().map(|one| one.as_str().map(str::to_owned)).collect());
    match (poll.get("name").and_then(Value::as_str), options) {
        (Some(title), Some(options)) if options.len() >= 2 => {
            let count = u32::from(poll.get("multiple") != Some(&Value::Bool(true)));
            Ok(Content::Poll(Poll { title: title.to_owned(), options, count }))
        }
        _ => Err(bad_request("poll needs a name and two options or more")),
    }
}

/// By the id of an upload, or by an address, whose bytes are the address: nothing is fetched here.
fn file(
    world: &World,
    call: &Call,
    media: &Map<String, Value>,
    caption: Option<String>,
) -> Result<Content, Answer> {
    let string = |name: &str| media.get(name).and_then(Value::as_str);
    let mut state = world.state();
    let file = match (string("file"), string("url")) {
        (Some(id), None) => {
            let known = state.files.get(call.account, id).cloned();
            known.ok_or_else(|| refused(StatusCode::NOT_FOUND, "file not found"))?
        }
        (None, Some(url)) => {
            let bytes = Bytes::from(url.to_owned());
            let file = File::new(ids::new_record(), bytes, "text/plain".into(), None);
            state.files.keep(call.account, file)
        }
        _ => return Err(bad_request("media needs either file or url")),
    };
    let file = match string("filename") {
        Some(name) => Arc::new(File::new(
            file.id.clone(),
            file.bytes.clone(),
            file.mime.clone(),
            Some(name.to_owned()),
        )),
        None => file,
    };
    let kind = match (string("format"), file.mime.split('/').next().unwrap_or_default()) {
        (Some("ptt"), _) => MediaKind::Voice,
        (Some("gif"), _) => MediaKind::Gif,
        (Some("native") | None, "image") => MediaKind::Image,
        (Some("native") | None, "video") => MediaKind::Video,
        (Some("native") | None, "audio") => MediaKind::Audio,
        (Some("native") | None, _) => MediaKind::Document,
        (Some(_), _) => return Err(bad_request("media.format must be native, ptt or gif")),
    };
    let path = state.files.link(call.account, &file.id, clock::seconds() + 3_600);
    Ok(Content::Media(Box::new(Media {
        kind,
        file,
        link: format!("{}{path}", state.base_url),
        caption,
        width: None,
        height: None,
        seconds: None,
        more: Map::new(),
    })))
}

fn may_send(world: &World, call: &Call, chat: &Chat) -> Result<(), Answer> {
    let state = world.state();
    let owner = state.account(call.account);
    if owner.condition != Condition::Connected {
        return Err(not_connected());
    }
    if let Chat::Group(id) = chat
        && !state.group(id).is_some_and(|group| group.has(&owner.account.phone))
    {
        return Err(refused(StatusCode::NOT_FOUND, "group not found"));
    }
    Ok(())
}

/// `PATCH /chat/{device}/messages/{id} {message}`, of own messages.
pub(super) fn edit(world: &World, call: &Call, id: &str) -> Answer {
    let body =
        match json_body(call, &["message"]).and_then(|body| own(world, call, id).map(|()| body)) {
            Ok(body) => body,
            Err(answer) => return answer,
        };
    let Some(text) = body.get("message").and_then(Value::as_str).filter(|text| !text.is_empty())
    else {
        return bad_request("message is required");
    };
    match world.edit(call.account, id, text) {
        Ok(_) => Answer::ok(json!({"id": id})),
        Err(why) => bad_request(&why),
    }
}

/// `DELETE /chat/{device}/messages/{id}?revoke=true`: for everyone; without `revoke` only here.
pub(super) fn delete(world: &World, call: &Call, id: &str) -> Answer {
    if let Err(answer) = own(world, call, id) {
        return answer;
    }
    if call.param("revoke") != Some("true") {
        world.state().account_mut(call.account).history.remove(id);
        return Answer::ok(json!({"id": id}));
    }
    match world.remove(call.account, id) {
        Ok(_) => Answer::ok(json!({"id": id})),
        Err(why) => refused(StatusCode::NOT_FOUND, &why),
    }
}

fn own(world: &World, call: &Call, id: &str) -> Result<(), Answer> {
    let state = world.state();
    let owner = state.account(call.account);
    if owner.condition != Condition::Connected {
        return Err(not_connected());
    }
    match owner.history.get(id).map(|message| message.from_me) {
        Some(true) => Ok(()),
        Some(false) => Err(refused(StatusCode::FORBIDDEN, "the message is not your own")),
        None => Err(refused(StatusCode::NOT_FOUND, "message not found")),
    }
}

fn not_connected() -> Answer {
    let error = json!({
        "status": 503, "code": "device_not_connected", "message": "the number is not connected",
    });
    Answer::new(StatusCode::SERVICE_UNAVAILABLE, error)
}

/// `POST /files` as a form (section 5); what is known already is a conflict that names it.
pub(super) fn upload(world: &World, call: &Call) -> Answer {
    let Some(parts) = form::parts(call) else { return bad_request("the body is no form") };
    let Some(part) = parts.iter().find(|part| part.name == "file") else {
        return bad_request("the form has no file");
    };
    if part.bytes.is_empty() {
        return bad_request("the file is empty");
    }
    let mime = part.content_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
    let file = File::new(ids::new_record(), part.bytes.clone(), mime, part.filename.clone());
    // Its id comes from its content, so that it is found again.
    let id = ids::record_of(&file.sha256_hex());
    let mut state = world.state();
    if state.files.get(call.account, &id).is_some() {
        let known = json!({"status": 409, "message": "the file exists", "meta": {"file": id}});
        return Answer::new(StatusCode::CONFLICT, known);
    }
    let file = state.files.keep(call.account, File { id, ..file });
    Answer::ok(json!([{
        "id": file.id, "sha2": file.sha256_hex(), "size": file.bytes.len(), "mime": file.mime,
        "filename": file.filename,
    }]))
}
