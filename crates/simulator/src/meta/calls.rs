//! Calls to a number, its files and its webhook (`meta_cloud_api.md` sections 2, 4, 6 and 10).

use super::{bad_parameter, graph_error, ids, templates, webhook::setting};
use crate::{
    clock,
    media::File,
    message::{Card, Chat, Content, Location, Media, MediaKind},
    people::digits,
    state::{AccountState, Condition, State},
    vendor::{Answer, Call, Question},
    world::{Draft, World},
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const TEXT_MAX_CHARS: usize = 4096;
const CAPTION_MAX_CHARS: usize = 1024;
const REFERENCE_MAX_CHARS: usize = 512;

/// The body as a JSON object of this product.
fn body(call: &Call) -> Result<Map<String, Value>, Answer> {
    let body: Value = serde_json::from_slice(&call.body)
        .map_err(|error| bad_parameter(&format!("the body is no JSON: {error}")))?;
    match body {
        Value::Object(body) if body.get("messaging_product") == Some(&"whatsapp".into()) => {
            Ok(body)
        }
        Value::Object(_) => Err(bad_parameter("messaging_product must be whatsapp")),
        _ => Err(bad_parameter("the body is no JSON object")),
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, Answer> {
    object
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| bad_parameter(&format!("The parameter {name} is required.")))
}

/// `POST /{phone-number-id}/messages`: a send, or a read mark.
pub(super) fn messages(world: &Arc<World>, call: &Call) -> Answer {
    let answer = body(call).and_then(|body| match body.get("status") {
        Some(_) => read(world, call, &body),
        None => send(world, call, &body),
    });
    answer.unwrap_or_else(|refused| refused)
}

fn read(world: &World, call: &Call, body: &Map<String, Value>) -> Result<Answer, Answer> {
    let id = text(body, "message_id")?;
    if body.get("status") != Some(&"read".into()) {
        return Err(bad_parameter("status must be read"));
    }
    let state = world.state();
    match state.account(call.account).history.get(id) {
        Some(message) if !message.from_me => Ok(Answer::ok(json!({"success": true}))),
        _ => Err(bad_parameter("message_id names no message that was received")),
    }
}

fn send(world: &Arc<World>, call: &Call, body: &Map<String, Value>) -> Result<Answer, Answer> {
    let (draft, input) = {
        let state = world.state();
        can_send(state.account(call.account))?;
        let (chat, input) = recipient(&state, call, body)?;
        let content = content(&state, call, body)?;
        let mut draft = Draft::new(chat, content);
        draft.quoted = match body.get("context") {
            None => None,
            Some(context) => {
                let id = context.get("message_id").and_then(Value::as_str);
                Some(id.ok_or_else(|| bad_parameter("context needs message_id"))?.to_owned())
            }
        };
        draft.reference = match body.get("biz_opaque_callback_data") {
            None => None,
            Some(Value::String(text)) if text.chars().count() <= REFERENCE_MAX_CHARS => {
                Some(text.clone())
            }
            Some(_) => return Err(bad_parameter("biz_opaque_callback_data: 512 characters")),
        };
        (draft, input)
    };
    let wa_id = ids::chat(&draft.chat);
    let effects = call.effects.and(world.webhook_effects(call.account, &call.subject()));
    let message = world.send(call.account, draft, effects);
    Ok(Answer::ok(json!({
        "messaging_product": "whatsapp",
        "contacts": [{"input": input, "wa_id": wa_id}],
        "messages": [{"id": message.id, "message_status": "accepted"}],
    })))
}

fn can_send(owner: &AccountState) -> Result<(), Answer> {
    match owner.condition {
        Condition::Connected => Ok(()),
        Condition::Banned => {
            Err(graph_error(StatusCode::FORBIDDEN, 131_031, "Business Account locked", ""))
        }
        _ => Err(graph_error(StatusCode::BAD_REQUEST, 131_057, "Account in maintenance mode", "")),
    }
}

/// To whom, and how the caller wrote it.
fn recipient(
    state: &State,
    call: &Call,
    body: &Map<String, Value>,
) -> Result<(Chat, String), Answer> {
    let kind = body.get("recipient_type").map_or(Some("individual"), Value::as_str);
    match kind {
        Some("group") => {
            let to = text(body, "to")?;
            let group = ids::group_of(to).and_then(|id| state.group(&id));
            let own = &state.account(call.account).account.phone;
            match group {
                Some(group) if group.has(own) => Ok((Chat::Group(group.id.clone()), to.to_owned())),
                Some(_) => Err(graph_error(
                    StatusCode::BAD_REQUEST,
                    131_212,
                    "Participant not in group",
                    "",
                )),
                None => Err(bad_parameter("to names no group")),
            }
        }
        Some("individual") => {
            if body.contains_key("recipient") {
                let id = text(body, "recipient")?;
                let person = state.people().find(|person| ids::user_id(person) == id);
                let person = person.ok_or_else(|| bad_parameter("recipient names nobody"))?;
                return Ok((Chat::Person(person.phone.clone()), id.to_owned()));
            }
            let to = text(body, "to")?;
            let phone = digits(to).filter(|_| !to.contains('@'));
            let phone = phone.ok_or_else(|| bad_parameter("to is no phone number"))?;
            if phone == state.account(call.account).account.phone {
                let words = "Recipient cannot be sender";
                return Err(graph_error(StatusCode::BAD_REQUEST, 131_021, words, ""));
            }
            Ok((Chat::Person(phone), to.to_owned()))
        }
        _ => Err(bad_parameter("recipient_type must be individual or group")),
    }
}

fn content(state: &State, call: &Call, body: &Map<String, Value>) -> Result<Content, Answer> {
    let kind = text(body, "type")?;
    let object = || {
        body.get(kind)
            .and_then(Value::as_object)
            .ok_or_else(|| bad_parameter(&format!("The parameter {kind} is required.")))
    };
    Ok(match kind {
        "text" => {
            let body = text(object()?, "body")?;
            if body.chars().count() > TEXT_MAX_CHARS {
                return Err(bad_parameter("text.body has more than 4096 characters"));
            }
            Content::Text { body: body.to_owned() }
        }
        "image" => file(state, call, MediaKind::Image, object()?)?,
        "video" => file(state, call, MediaKind::Video, object()?)?,
        "audio" => file(state, call, MediaKind::Audio, object()?)?,
        "document" => file(state, call, MediaKind::Document, object()?)?,
        "sticker" => file(state, call, MediaKind::Sticker, object()?)?,
        "location" => Content::Location(location(object()?)?),
        "contacts" => {
            let cards = body.get("contacts").and_then(Value::as_array);
            let cards: Vec<Card> =
                cards.into_iter().flatten().map(card).collect::<Result<_, _>>()?;
            if cards.is_empty() {
                return Err(bad_parameter("contacts is a list of cards"));
            }
            Content::Contacts(cards)
        }
        "reaction" => {
            let reaction = object()?;
            let emoji = reaction.get("emoji").and_then(Value::as_str).unwrap_or_default();
            let target = text(reaction, "message_id")?.to_owned();
            Content::Reaction { target, emoji: emoji.to_owned() }
        }
        "interactive" => {
            let interactive = object()?;
            text(interactive, "type")?;
            for part in ["body", "action"] {
                if !interactive.get(part).is_some_and(Value::is_object) {
                    return Err(bad_parameter(&format!("interactive needs {part}")));
                }
            }
            Content::Other { kind: kind.to_owned(), object: interactive.clone() }
        }
        "template" => {
            let template = object()?;
            text(template, "name")?;
            if template.get("language").and_then(|l| l.get("code")).is_none() {
                return Err(bad_parameter("template needs language.code"));
            }
            templates::check(state.account(call.account), template)?;
            Content::Other { kind: kind.to_owned(), object: template.clone() }
        }
        _ => {
            let words = "Message type is not currently supported.";
            return Err(graph_error(StatusCode::BAD_REQUEST, 131_051, "Unsupported type", words));
        }
    })
}

/// By the id of an upload, or by a link that Meta would fetch itself.
fn file(
    state: &State,
    call: &Call,
    kind: MediaKind,
    object: &Map<String, Value>,
) -> Result<Content, Answer> {
    let string = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let caption = string("caption");
    if caption.as_ref().is_some_and(|caption| caption.chars().count() > CAPTION_MAX_CHARS) {
        return Err(bad_parameter("caption has more than 1024 characters"));
    }
    let file = match (string("id"), string("link")) {
        (Some(id), None) => state.files.get(call.account, &id).cloned().ok_or_else(|| {
            graph_error(StatusCode::BAD_REQUEST, 131_053, "Media upload error", "unknown media id")
        })?,
        // Nothing is fetched here: the bytes are those of the address.
        (None, Some(link)) => {
            let bytes = Bytes::from(link.clone());
            Arc::new(File::new(ids::new_file(), bytes, "text/plain".into(), string("filename")))
        }
        _ => return Err(bad_parameter("give either id or link")),
    };
    let voice = object.get("voice") == Some(&true.into());
    let kind = if voice && kind == MediaKind::Audio { MediaKind::Voice } else { kind };
    Ok(Content::Media(Box::new(Media {
        kind,
        file,
        link: string("link").unwrap_or_default(),
        caption,
        width: None,
        height: None,
        seconds: None,
        more: Map::new(),
    })))
}

fn location(object: &Map<String, Value>) -> Result<Location, Answer> {
    let degrees = |name: &str| {
        let value = object.get(name);
        let number = value.and_then(Value::as_f64);
        let number = number.or_else(|| value.and_then(Value::as_str)?.parse().ok());
        number.ok_or_else(|| bad_parameter(&format!("location.{name} is no number")))
    };
    let string = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(Location {
        latitude: degrees("latitude")?,
        longitude: degrees("longitude")?,
        name: string("name"),
        address: string("address"),
        more: Map::new(),
    })
}

fn card(card: &Value) -> Result<Card, Answer> {
    let name = card.get("name").and_then(|name| name.get("formatted_name")).and_then(Value::as_str);
    let name = name.ok_or_else(|| bad_parameter("contacts: name.formatted_name is required"))?;
    let phone = card.pointer("/phones/0/phone").and_then(Value::as_str).and_then(digits);
    let vcard = format!("BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nEND:VCARD");
    Ok(Card { name: name.to_owned(), phone, vcard })
}

/// `GET /{phone-number-id}`: how the number stands (section 10).
pub(super) fn number(owner: &AccountState) -> Value {
    let (status, can_send, errors) = match owner.condition {
        Condition::Connected | Condition::TokenDead => ("CONNECTED", "AVAILABLE", json!([])),
        Condition::Banned => (
            "BANNED",
            "BLOCKED",
            json!([{"error_code": 131_031, "error_description": "Business Account locked"}]),
        ),
        _ => ("DISCONNECTED", "BLOCKED", json!([])),
    };
    let mut entity = json!({"entity_type": "PHONE_NUMBER", "id": owner.account.channel_id,
        "can_send_message": can_send});
    if errors != json!([]) {
        entity["errors"] = errors;
    }
    let waba = json!({"entity_type": "WABA", "id": templates::waba(owner), "can_send_message": "AVAILABLE"});
    let mut number = json!({
        "id": owner.account.channel_id,
        "display_phone_number": format!("+{}", owner.account.phone),
        "verified_name": owner.account.name,
        "status": status, "quality_rating": "GREEN", "messaging_limit_tier": "TIER_1K",
        "throughput": {"level": "STANDARD"}, "name_status": "APPROVED",
        "code_verification_status": "VERIFIED", "account_mode": "LIVE", "platform_type": "CLOUD_API",
        "health_status": {"can_send_message": can_send, "entities": [entity, waba]},
    });
    if let Some(own) = setting(owner, "override_callback_uri") {
        number["webhook_configuration"]["phone_number"] = own.into();
    }
    if let Some(app) = setting(owner, "webhook_url") {
        number["webhook_configuration"]["application"] = app.into();
    }
    number
}

/// `GET /{media-id}`: a link that lives for five minutes and wants the token (section 4).
pub(super) fn media(world: &World, call: &Call, id: &str) -> Answer {
    let mut state = world.state();
    let other = call
        .param("phone_number_id")
        .is_some_and(|number| number != state.account(call.account).account.channel_id);
    let Some(file) = state.files.get(call.account, id).filter(|_| !other).cloned() else {
        return super::no_such_object(id);
    };
    let path = state.files.link(call.account, id, clock::seconds() + super::LINK_SECONDS);
    Answer::ok(json!({
        "messaging_product": "whatsapp", "id": file.id, "mime_type": file.mime,
        "sha256": file.sha256_hex(), "file_size": file.bytes.len(),
        "url": format!("{}{path}", state.base_url),
    }))
}

/// `DELETE /{media-id}`.
pub(super) fn forget(world: &World, call: &Call, id: &str) -> Answer {
    if world.state().files.forget(call.account, id) {
        Answer::ok(json!({"success": true}))
    } else {
        super::no_such_object(id)
    }
}

/// The address that `POST /{phone-number-id}` wants to give the number, and its verify token.
fn wanted(call: &Call) -> Result<(String, String), Answer> {
    let body: Value = serde_json::from_slice(&call.body)
        .map_err(|error| bad_parameter(&format!("the body is no JSON: {error}")))?;
    let configuration = body
        .get("webhook_configuration")
        .and_then(Value::as_object)
        .ok_or_else(|| bad_parameter("webhook_configuration is required"))?;
    let url = configuration.get("override_callback_uri").and_then(Value::as_str);
    let url = url.ok_or_else(|| bad_parameter("override_callback_uri is required"))?;
    let http = url.starts_with("http://") || url.starts_with("https://");
    if !url.is_empty() && !http {
        return Err(bad_parameter("override_callback_uri must be an address"));
    }
    let token = configuration.get("verify_token").and_then(Value::as_str).unwrap_or_default();
    Ok((url.to_owned(), token.to_owned()))
}

/// Meta asks at the new address before it takes it (section 6, "Verification handshake").
pub(super) fn question(call: &Call) -> Option<Question> {
    let (url, token) = wanted(call).ok().filter(|(url, _)| !url.is_empty())?;
    let challenge = rand::random::<u32>().to_string();
    let query =
        [("hub.mode", "subscribe"), ("hub.challenge", &challenge), ("hub.verify_token", &token)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let refusal = graph_error(
        StatusCode::BAD_REQUEST,
        2200,
        "Callback verification failed",
        "the address did not answer with 200 and the challenge",
    );
    Some(Question { url, query: query.to_vec(), answer: challenge, refusal })
}

/// `POST /{phone-number-id}` with a webhook address; empty takes the number's own away.
pub(super) fn configure(world: &World, call: &Call) -> Answer {
    let (url, _) = match wanted(call) {
        Ok(wanted) => wanted,
        Err(refused) => return refused,
    };
    {
        let mut state = world.state();
        let settings = &mut state.account_mut(call.account).account.settings;
        settings.insert("override_callback_uri".to_owned(), url.into());
    }
    world.apply_targets(call.account);
    Answer::ok(json!({"success": true}))
}
