//! What `/_control/inbound` says a message holds, made into content.

use super::inbound::Inbound;
use crate::{
    clock,
    media::{self, File},
    message::{Card, Content, Media, MediaKind},
    people::digits,
    state::AccountId,
    world::{World, vendor_of},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value};

/// The content of a message that is written, not of edits, deletions and statuses.
pub(super) fn content(
    world: &World,
    account: AccountId,
    spec: &mut Inbound,
) -> Result<Content, String> {
    let kind = spec.kind.clone();
    let missing = |field: &str| format!("type {kind} needs {field}");
    if let Some(object) = spec.content.take() {
        return Ok(Content::Other { kind, object });
    }
    if let Some(media) = MediaKind::ALL.into_iter().find(|media| media.word() == kind) {
        let given = spec.media.take().unwrap_or_default();
        return file(world, account, media, given, spec.caption.take());
    }
    match kind.as_str() {
        "text" => Ok(Content::Text { body: text(spec.text.as_ref())? }),
        "reaction" => {
            let reaction = spec.reaction.take().unwrap_or_default();
            let field = |name: &str| reaction.get(name).and_then(Value::as_str).map(str::to_owned);
            let target = field("target")
                .or_else(|| spec.target.clone())
                .ok_or_else(|| missing("target, and emoji unless it is taken back"))?;
            let emoji = field("emoji").or_else(|| spec.emoji.clone()).unwrap_or_default();
            Ok(Content::Reaction { target, emoji })
        }
        "location" => {
            let location = spec.location.take();
            Ok(Content::Location(location.ok_or_else(|| missing("location"))?))
        }
        "contact" => {
            let mut cards = std::mem::take(&mut spec.contacts);
            cards.extend(spec.contact.take());
            if cards.is_empty() {
                return Err(missing("contact {name, phone or vcard}, or contacts [of these]"));
            }
            Ok(Content::Contacts(cards.iter().map(card).collect::<Result<_, _>>()?))
        }
        "poll" => Ok(Content::Poll(spec.poll.take().ok_or_else(|| missing("poll"))?)),
        "vote" => Ok(Content::Vote {
            target: spec.target.clone().ok_or_else(|| missing("target, the poll's message id"))?,
            options: spec.options.take().ok_or_else(|| missing("options, those chosen"))?,
        }),
        "answer" => Ok(Content::Answer(spec.answer.take().ok_or_else(|| missing("answer"))?)),
        "order" => Ok(Content::Order(spec.order.take().ok_or_else(|| missing("order"))?)),
        _ => Err(missing("content, the object as the provider names it")),
    }
}

/// `"Hello"` or `{"body": "Hello"}`.
pub(super) fn text(given: Option<&Value>) -> Result<String, String> {
    match given {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Object(object)) => object
            .get("body")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| "text is a string or {\"body\": …}".to_owned()),
        _ => Err("text is needed: a string or {\"body\": …}".to_owned()),
    }
}

fn card(given: &Map<String, Value>) -> Result<Card, String> {
    let name = given
        .get("name")
        .and_then(Value::as_str)
        .ok_or_else(|| "contact needs name, and phone or vcard".to_owned())?;
    let phone = match given.get("phone") {
        None => None,
        Some(Value::String(phone)) => {
            Some(digits(phone).ok_or_else(|| "contact: phone is no number".to_owned())?)
        }
        Some(_) => return Err("contact: phone is a string".to_owned()),
    };
    let vcard = match (given.get("vcard").and_then(Value::as_str), &phone) {
        (Some(vcard), _) => vcard.to_owned(),
        (None, Some(phone)) => format!(
            "BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL;type=CELL;waid={phone}:+{phone}\nEND:VCARD"
        ),
        (None, None) => return Err("contact needs name, and phone or vcard".to_owned()),
    };
    Ok(Card { name: name.to_owned(), phone, vcard })
}

/// Takes a field out of what was given, if it has the right form.
fn take<T: serde::de::DeserializeOwned>(
    given: &mut Map<String, Value>,
    names: &[&str],
) -> Result<Option<T>, String> {
    for name in names {
        match given.remove(*name) {
            None | Some(Value::Null) => {}
            Some(value) => {
                let read = serde_json::from_value(value);
                return read.map(Some).map_err(|error| format!("media: {name}: {error}"));
            }
        }
    }
    Ok(None)
}

/// Keeps the bytes where the provider has them, and tells of them.
fn file(
    world: &World,
    account: AccountId,
    kind: MediaKind,
    mut given: Map<String, Value>,
    caption: Option<String>,
) -> Result<Content, String> {
    let bytes = take::<String>(&mut given, &["base64"])?
        .map(|text| BASE64_STANDARD.decode(text))
        .transpose()
        .map_err(|error| format!("media: base64 cannot be read: {error}"))?;
    let mime: Option<String> = take(&mut given, &["mime_type", "mimetype"])?;
    let id: Option<String> = take(&mut given, &["id"])?;
    let filename: Option<String> = take(&mut given, &["filename", "file_name"])?;
    let under: Option<String> = take(&mut given, &["caption"])?;
    let width: Option<u32> = take(&mut given, &["width"])?;
    let height: Option<u32> = take(&mut given, &["height"])?;
    let seconds: Option<u32> = take(&mut given, &["seconds"])?;
    let link_seconds: Option<i64> = take(&mut given, &["link_seconds"])?;

    let sample = media::sample(kind, mime.as_deref());
    let made_up = bytes.is_none();
    let bytes = bytes.map_or(Bytes::from_static(sample.bytes), Bytes::from);
    let mime = mime.unwrap_or_else(|| sample.mime.to_owned());
    let size = sample.size.filter(|_| made_up);

    let mut state = world.state();
    let vendor = vendor_of(&state, account);
    let file = File::new(id.unwrap_or_else(|| vendor.file_id(&mime)), bytes, mime, filename);
    let file = state.files.keep(account, file);
    let ends_at = clock::seconds() + link_seconds.unwrap_or_else(|| vendor.link_seconds());
    let path = state.files.link(account, &file.id, ends_at);
    Ok(Content::Media(Box::new(Media {
        kind,
        file,
        link: format!("{}{path}", state.base_url),
        caption: caption.or(under),
        width: width.or(size.map(|(width, _)| width)),
        height: height.or(size.map(|(_, height)| height)),
        seconds: seconds.or(sample.seconds.filter(|_| made_up)),
        more: given,
    })))
}
