//! What goes out (`whapi.md` section 2): `POST /messages/<kind>`, reactions, edits, deletions, and the files
//! (section 4).

use super::{bad_request, ids, json_body, refused, show};
use crate::{
    clock,
    media::File,
    message::{Card, Chat, Content, Event, Location, Media, MediaKind, Poll},
    people::digits,
    state::Condition,
    vendor::{Answer, Call},
    world::{Draft, World},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Beside the files.
const KINDS: [&str; 6] = ["text", "location", "contact", "contact_list", "poll", "interactive"];

/// `POST /messages/<kind>`; with `edit` it replaces the text of that message. `typing_time` is checked, but nobody is
/// kept waiting for it.
pub(crate) fn send(world: &Arc<World>, call: &Call, kind: &str) -> Answer {
    let played = KINDS.contains(&kind) || MediaKind::ALL.iter().any(|media| media.word() == kind);
    if !played {
        let words = format!("the simulator does not play POST /messages/{kind}");
        return refused(StatusCode::NOT_FOUND, "Not found", &words);
    }
    let read = json_body(call).and_then(|body| {
        let draft = draft(world, call, kind, &body)?;
        may_send(world, call, &draft.chat)?;
        Ok((draft, message_id(&body, "edit")?))
    });
    match read {
        Err(answer) => answer,
        Ok((draft, Some(target))) => edit(world, call, &target, &draft.content),
        Ok((draft, None)) => {
            let effects = call.effects.and(world.webhook_effects(call.account, &call.subject()));
            let message = world.send(call.account, draft, effects);
            Answer::ok(json!({"sent": true, "message": show::message(&message, true)}))
        }
    }
}

/// Only own messages are edited; their text, or what stands under their file.
fn edit(world: &World, call: &Call, target: &str, content: &Content) -> Answer {
    let Content::Text { body } = content else {
        return bad_request("edit: the simulator plays it for texts, at /messages/text");
    };
    if let Err(answer) = own(world, call, target) {
        return answer;
    }
    match world.edit(call.account, target, body) {
        Ok(trigger) => Answer::ok(json!({"sent": true, "message": show::message(&trigger, true)})),
        Err(why) => bad_request(&why),
    }
}

/// `DELETE /messages/{MessageID}`: for everyone.
pub(crate) fn delete(world: &World, call: &Call, id: &str) -> Answer {
    if let Err(answer) = connected(world, call).and_then(|()| own(world, call, id)) {
        return answer;
    }
    match world.remove(call.account, id) {
        Ok(_) => Answer::ok(json!({"success": true})),
        Err(why) => refused(StatusCode::NOT_FOUND, "Specified message not found", &why),
    }
}

fn own(world: &World, call: &Call, id: &str) -> Result<(), Answer> {
    match world.state().account(call.account).history.get(id).map(|message| message.from_me) {
        Some(true) => Ok(()),
        Some(false) => Err(refused(StatusCode::FORBIDDEN, "It is not your own message", "")),
        None => Err(refused(StatusCode::NOT_FOUND, "Specified message not found", "")),
    }
}

/// `PUT /messages/{MessageID}/reaction {emoji}`; empty, or `DELETE` on the same path, takes it back.
pub(crate) fn react(world: &Arc<World>, call: &Call, id: &str) -> Answer {
    let emoji = if call.method == http::Method::DELETE {
        Ok(String::new())
    } else {
        json_body(call).and_then(|body| match body.get("emoji") {
            None => Ok(String::new()),
            Some(Value::String(emoji)) => Ok(emoji.clone()),
            Some(_) => Err(bad_request("emoji must be a string")),
        })
    };
    let emoji = match emoji.and_then(|emoji| connected(world, call).map(|()| emoji)) {
        Ok(emoji) => emoji,
        Err(answer) => return answer,
    };
    let chat = world.state().account(call.account).history.get(id).map(|found| found.chat.clone());
    let Some(chat) = chat else {
        return refused(StatusCode::NOT_FOUND, "Specified message not found", "");
    };
    let effects = call.effects.and(world.webhook_effects(call.account, &call.subject()));
    let content = Content::Reaction { target: id.to_owned(), emoji };
    let message = world.note(call.account, Draft::new(chat, content));
    world.emit(call.account, &Event::Message(Box::new(message)), effects);
    Answer::ok(json!({"success": true}))
}

fn connected(world: &World, call: &Call) -> Result<(), Answer> {
    if world.state().account(call.account).condition == Condition::Connected {
        return Ok(());
    }
    let words = "Need channel authorization for send message";
    Err(refused(StatusCode::UNAUTHORIZED, words, ""))
}

fn may_send(world: &World, call: &Call, chat: &Chat) -> Result<(), Answer> {
    connected(world, call)?;
    let state = world.state();
    if let Chat::Group(id) = chat {
        let group = state
            .group(id)
            .ok_or_else(|| refused(StatusCode::NOT_FOUND, "Specified chat not found", ""))?;
        if !group.has(&state.account(call.account).account.phone) {
            return Err(refused(
                StatusCode::FORBIDDEN,
                "It is forbidden to send to this group/recipient",
                "the channel's number is not in the group",
            ));
        }
    }
    Ok(())
}

/// A string that must be there and not be empty.
fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, Answer> {
    optional(body, name)?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| bad_request(&format!("{name} is required")))
}

fn optional<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Answer> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad_request(&format!("{name} must be a string"))),
    }
}

fn message_id(body: &Map<String, Value>, name: &str) -> Result<Option<String>, Answer> {
    match optional(body, name)? {
        Some(id) if !ids::is_message(id) => {
            Err(bad_request(&format!("{name} must be a message id")))
        }
        id => Ok(id.map(str::to_owned)),
    }
}

fn flags(body: &Map<String, Value>, names: &[&str]) -> Result<(), Answer> {
    match names.iter().find(|name| body.get(**name).is_some_and(|value| !value.is_boolean())) {
        Some(name) => Err(bad_request(&format!("{name} must be true or false"))),
        None => Ok(()),
    }
}

fn draft(
    world: &World,
    call: &Call,
    kind: &str,
    body: &Map<String, Value>,
) -> Result<Draft, Answer> {
    let chat = ids::recipient(text(body, "to")?).map_err(|why| bad_request(&why))?;
    let content = content(world, call, kind, body)?;
    let quoted = message_id(body, "quoted")?;
    let mentions = match body.get("mentions") {
        None | Some(Value::Null) => vec![],
        Some(Value::Array(list)) => list
            .iter()
            .map(|one| one.as_str().and_then(digits))
            .collect::<Option<Vec<String>>>()
            .ok_or_else(|| bad_request("mentions must be a list of numbers"))?,
        Some(_) => return Err(bad_request("mentions must be a list of numbers")),
    };
    Ok(Draft { quoted, mentions, ..Draft::new(chat, content) })
}

fn content(
    world: &World,
    call: &Call,
    kind: &str,
    body: &Map<String, Value>,
) -> Result<Content, Answer> {
    if let Some(media) = MediaKind::ALL.iter().find(|media| media.word() == kind) {
        return file(world, call, *media, body);
    }
    Ok(match kind {
        "text" => {
            if let Some(typing) = body.get("typing_time")
                && !typing.as_f64().is_some_and(|seconds| (0.0..=60.0).contains(&seconds))
            {
                return Err(bad_request("typing_time must be a number between 0 and 60"));
            }
            flags(body, &["no_link_preview", "wide_link_preview"])?;
            Content::Text { body: text(body, "body")?.to_owned() }
        }
        "location" => {
            let degrees = |name: &str| {
                body.get(name)
                    .and_then(Value::as_f64)
                    .ok_or_else(|| bad_request(&format!("{name} must be a number")))
            };
            Content::Location(Location {
                latitude: degrees("latitude")?,
                longitude: degrees("longitude")?,
                name: optional(body, "name")?.map(str::to_owned),
                address: optional(body, "address")?.map(str::to_owned),
                more: Map::new(),
            })
        }
        "contact" => Content::Contacts(vec![card(body)?]),
        "contact_list" => {
            let list = body.get("list").and_then(Value::as_array);
            let cards = list.into_iter().flatten().filter_map(Value::as_object).map(card);
            let cards = cards.collect::<Result<Vec<_>, _>>()?;
            if cards.is_empty() {
                return Err(bad_request("list is required"));
            }
            Content::Contacts(cards)
        }
        "poll" => poll(body)?,
        _ => interactive(body)?,
    })
}

fn card(body: &Map<String, Value>) -> Result<Card, Answer> {
    let vcard = text(body, "vcard")?;
    if !vcard.starts_with("BEGIN:VCARD") {
        return Err(bad_request("vcard must be a vCard"));
    }
    let phone = vcard.split("waid=").nth(1).and_then(|rest| rest.split(':').next());
    Ok(Card {
        name: text(body, "name")?.to_owned(),
        phone: phone.and_then(digits),
        vcard: vcard.to_owned(),
    })
}

/// `count`: one choice, or 0 for any number (the vendor's OpenAPI takes no more than 1).
fn poll(body: &Map<String, Value>) -> Result<Content, Answer> {
    let options: Option<Vec<String>> = body
        .get("options")
        .and_then(Value::as_array)
        .and_then(|list| list.iter().map(|one| one.as_str().map(str::to_owned)).collect());
    let options = options
        .filter(|options| (2..=12).contains(&options.len()))
        .ok_or_else(|| bad_request("options must be a list of 2 to 12 texts"))?;
    let count = match body.get("count") {
        None => 1,
        Some(count) => count
            .as_u64()
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| *count <= 1)
            .ok_or_else(|| bad_request("count must be 0 or 1"))?,
    };
    Ok(Content::Poll(Poll { title: text(body, "title")?.to_owned(), options, count }))
}

/// Kept as it is; the choice of a button or row comes back as a `reply`.
fn interactive(body: &Map<String, Value>) -> Result<Content, Answer> {
    let action = body.get("action").and_then(Value::as_object);
    let action = action.ok_or_else(|| bad_request("action is required"))?;
    let strings = |object: &Value, names: &[&str]| {
        names.iter().all(|name| object.get(*name).is_some_and(Value::is_string))
    };
    let complete = match optional(body, "type")?.unwrap_or("button") {
        "button" => action
            .get("buttons")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().all(|one| strings(one, &["type", "title", "id"]))),
        "list" => action.get("list").is_some_and(|list| {
            list.get("sections").is_some_and(Value::is_array) && strings(list, &["label"])
        }),
        _ => return Err(bad_request("type must be list or button")),
    };
    if !complete {
        return Err(bad_request(
            "action needs buttons [{type, title, id}] or list {sections, label}",
        ));
    }
    let part = |name: &&str| body.get(*name).map(|value| ((*name).to_owned(), value.clone()));
    let object = ["type", "header", "body", "footer", "action"].iter().filter_map(part).collect();
    Ok(Content::Other { kind: "interactive".to_owned(), object })
}

/// `media` is the id of an upload, an address, or base64 (section 2).
fn file(
    world: &World,
    call: &Call,
    kind: MediaKind,
    body: &Map<String, Value>,
) -> Result<Content, Answer> {
    let given = text(body, "media")?;
    let mime = optional(body, "mime_type")?;
    let filename = optional(body, "filename")?;
    let caption = optional(body, "caption")?;
    let caption = (!matches!(kind, MediaKind::Audio | MediaKind::Voice | MediaKind::Sticker))
        .then_some(caption);
    flags(body, &["no_encode", "no_cache", "view_once", "autoplay", "animated"])?;
    let known = world.state().files.get(call.account, given).cloned();
    let (bytes, told) = match &known {
        Some(file) => (file.bytes.clone(), Some(file.mime.clone())),
        None => bytes(given)?,
    };
    let mime =
        mime.map(str::to_owned).or(told).unwrap_or_else(|| "application/octet-stream".into());
    // A message names the file with the name it was sent under.
    let id = known.map_or_else(|| ids::new_file(&mime), |file| file.id.clone());
    let file = File::new(id, bytes, mime, filename.map(str::to_owned));
    let mut state = world.state();
    let file = state.files.keep(call.account, file);
    let path = state.files.link(call.account, &file.id, clock::seconds() + 3_600);
    Ok(Content::Media(Box::new(Media {
        kind,
        file,
        link: format!("{}{path}", state.base_url),
        caption: caption.flatten().map(str::to_owned),
        width: None,
        height: None,
        seconds: None,
        more: Map::new(),
    })))
}

/// The bytes that are not at the provider yet, and their type where it is told. Nothing is fetched here: the bytes of
/// an address are the address.
fn bytes(given: &str) -> Result<(Bytes, Option<String>), Answer> {
    if given.starts_with("http://") || given.starts_with("https://") {
        return Ok((Bytes::from(given.to_owned()), None));
    }
    let (mime, text) = match given.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        Some((head, text)) => (head.split(';').next().map(str::to_owned), text),
        None => (None, given),
    };
    match BASE64_STANDARD.decode(text) {
        Ok(bytes) if bytes.len() >= 4 => Ok((Bytes::from(bytes), mime)),
        _ => Err(refused(StatusCode::NOT_FOUND, "Specified media not found", "")),
    }
}

/// `POST /media`: the file as the body, or JSON `{media: address or base64}`.
pub(crate) fn upload(world: &World, call: &Call) -> Answer {
    let mime = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(mime) = mime.filter(|mime| mime.contains('/')) else {
        return refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported media type",
            "Content-Type is the file's media type",
        );
    };
    let read = if mime.starts_with("application/json") {
        json_body(call).and_then(|body| {
            let (bytes, told) = bytes(text(&body, "media")?)?;
            Ok((bytes, told.unwrap_or_else(|| "application/octet-stream".to_owned())))
        })
    } else if call.body.is_empty() {
        Err(bad_request("the body is empty"))
    } else {
        Ok((call.body.clone(), mime.to_owned()))
    };
    match read {
        Err(answer) => answer,
        Ok((bytes, mime)) => {
            let file = File::new(ids::new_file(&mime), bytes, mime, None);
            let file = world.state().files.keep(call.account, file);
            Answer::ok(json!({"media": [{"id": file.id}]}))
        }
    }
}

/// `DELETE /media/{MediaID}`.
pub(crate) fn forget(world: &World, call: &Call, id: &str) -> Answer {
    if world.state().files.forget(call.account, id) {
        Answer::ok(json!({"success": true}))
    } else {
        refused(StatusCode::NOT_FOUND, "Specified media not found", "")
    }
}
