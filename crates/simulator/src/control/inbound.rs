//! `POST /_control/inbound`: somebody writes, and the webhook goes out as the provider would send it.

use crate::{
    Provider,
    message::{Chat, Content, Message},
    people::{GroupSpec, digits, is_group_id},
    state::AccountId,
    vendor::Vendor,
    world::{Draft, World, vendor_of},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Who writes what. `provider` and `token` may be left out where only one account fits.
///
/// | `type` | content |
/// | --- | --- |
/// | text (default) | `text` |
/// | image, video, gif, audio, voice, document, sticker, short | `media {base64?, mime_type?, caption?, filename?, file_size?, sha256?, link?, seconds?, width?, height?, …}` |
/// | location | `location {latitude, longitude, name?, address?}` |
/// | contact | `contact {name, phone?, vcard?}` |
/// | reaction | `reaction {target, emoji}` |
/// | edit, delete | `target`, for edit also `text` |
/// | any other | `content`, the object as the provider names it |
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inbound {
    provider: Option<Provider>,
    token: Option<String>,
    /// The writer's number. Not needed with `from_me`, `edit` and `delete`.
    from: Option<String>,
    from_name: Option<String>,
    /// A group's id (made when unknown) or its name; with `from_me` also a person's number.
    chat: Option<String>,
    /// Written on the account's own phone.
    #[serde(default)]
    from_me: bool,
    #[serde(rename = "type", default = "text_type")]
    kind: String,
    text: Option<Value>,
    media: Option<Map<String, Value>>,
    location: Option<Map<String, Value>>,
    contact: Option<Map<String, Value>>,
    reaction: Option<Map<String, Value>>,
    content: Option<Map<String, Value>>,
    /// The message that is edited, deleted or reacted to.
    target: Option<String>,
    /// The message that is answered.
    quoted: Option<String>,
    #[serde(default)]
    mentions: Vec<String>,
    id: Option<String>,
    /// Seconds since 1970.
    timestamp: Option<i64>,
}

fn text_type() -> String {
    "text".to_owned()
}

const MEDIA: &[&str] = &["image", "video", "gif", "audio", "voice", "document", "sticker", "short"];

/// Lets it happen; answers the message's id and chat.
pub(super) fn write(world: &World, mut spec: Inbound) -> Result<Value, String> {
    let (account, vendor) = {
        let state = world.state();
        let account = state.find_account(spec.provider, spec.token.as_deref())?;
        (account, vendor_of(&state, account))
    };
    match spec.kind.as_str() {
        "edit" => {
            let target = needed(spec.target.as_deref(), "edit", "target")?;
            let text = text(spec.text.as_ref())?;
            return Ok(answer(vendor, &world.edit(account, target, &text)?));
        }
        "delete" => {
            let target = needed(spec.target.as_deref(), "delete", "target")?;
            let chat = world.remove(account, target)?;
            return Ok(json!({"id": target, "chat_id": vendor.chat_id(&chat)}));
        }
        _ => {}
    }
    if spec.id.as_deref().is_some_and(|id| !vendor.is_message_id(id)) {
        return Err("id has not the form of the provider's message ids".to_owned());
    }
    let content = content(&mut spec)?;
    let from = spec
        .from
        .as_deref()
        .map(|text| {
            digits(text).ok_or_else(|| format!("from {text:?} is no number of 7 to 15 digits"))
        })
        .transpose()?;
    if let (Some(phone), Some(name)) = (&from, &spec.from_name) {
        world.state().name_person(phone, name)?;
    }
    let chat = chat(world, account, &spec, from.as_deref())?;
    let mentions = spec
        .mentions
        .iter()
        .map(|text| digits(text).ok_or_else(|| format!("mentions: {text:?} is no number")))
        .collect::<Result<Vec<_>, String>>()?;
    let draft =
        Draft { chat, content, quoted: spec.quoted, mentions, id: spec.id, at: spec.timestamp };
    let written = if spec.from_me {
        world.write_on_phone(account, draft)?
    } else {
        let from = needed(from.as_deref(), &spec.kind, "from")?;
        world.write(account, from, draft)?
    };
    Ok(answer(vendor, &written))
}

fn answer(vendor: &dyn Vendor, message: &Message) -> Value {
    json!({
        "id": message.id,
        "chat_id": vendor.chat_id(&message.chat),
        "message": vendor.show(message),
    })
}

fn needed<'a>(value: Option<&'a str>, kind: &str, name: &str) -> Result<&'a str, String> {
    value.ok_or_else(|| format!("type {kind} needs {name}"))
}

fn chat(
    world: &World,
    account: AccountId,
    spec: &Inbound,
    from: Option<&str>,
) -> Result<Chat, String> {
    let Some(name) = spec.chat.as_deref() else {
        return match (spec.from_me, from) {
            (false, Some(phone)) => Ok(Chat::Person(phone.to_owned())),
            (false, None) => Err("from is needed: the number of who writes".to_owned()),
            (true, _) => Err("from_me needs chat: to whom was written".to_owned()),
        };
    };
    if is_group_id(name) {
        let mut state = world.state();
        if state.group(name).is_none() {
            let own = state.account(account).account.phone.clone();
            let participants = std::iter::once(own).chain(from.map(str::to_owned)).collect();
            let group = format!("Group {}", &name[..name.len().min(6)]);
            state.put_group(&GroupSpec {
                id: Some(name.to_owned()),
                name: group,
                participants,
                token: None,
            })?;
        }
        return Ok(Chat::Group(name.to_owned()));
    }
    if let Some(group) = world.state().group_named(name) {
        return Ok(Chat::Group(group.id.clone()));
    }
    match digits(name) {
        Some(phone) if spec.from_me || from == Some(phone.as_str()) => Ok(Chat::Person(phone)),
        _ => Err(format!(
            "no group is called {name:?}; make it by POST /_control/state {{\"groups\":[…]}}, or \
             give an id of the form digits@g.us"
        )),
    }
}

fn content(spec: &mut Inbound) -> Result<Content, String> {
    let kind = spec.kind.clone();
    let missing = |field: &str| format!("type {kind} needs {field}");
    if let Some(object) = spec.content.take() {
        return Ok(Content::Other { kind, object });
    }
    match kind.as_str() {
        "text" => Ok(Content::Text { body: text(spec.text.as_ref())? }),
        "reaction" => {
            let reaction = spec.reaction.take().unwrap_or_default();
            let field = |name: &str| reaction.get(name).and_then(Value::as_str).map(str::to_owned);
            let target = field("target")
                .or_else(|| spec.target.clone())
                .ok_or_else(|| missing("reaction {target, emoji}"))?;
            Ok(Content::Reaction { target, emoji: field("emoji").unwrap_or_default() })
        }
        "location" => {
            let object = spec.location.take().ok_or_else(|| missing("location"))?;
            if !["latitude", "longitude"]
                .iter()
                .all(|key| object.get(*key).is_some_and(Value::is_number))
            {
                return Err("location needs latitude and longitude as numbers".to_owned());
            }
            Ok(Content::Other { kind, object })
        }
        "contact" => {
            let object = spec.contact.take().ok_or_else(|| missing("contact"))?;
            Ok(Content::Other { kind, object: card(&object)? })
        }
        media if MEDIA.contains(&media) => {
            let object = media_object(media, spec.media.take().unwrap_or_default(), spec)?;
            Ok(Content::Other { kind, object })
        }
        _ => Err(missing("content, the object as the provider names it")),
    }
}

/// `"Hello"` or `{"body": "Hello"}`.
fn text(given: Option<&Value>) -> Result<String, String> {
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

fn card(given: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let name = given
        .get("name")
        .and_then(Value::as_str)
        .ok_or_else(|| "contact needs name, and phone or vcard".to_owned())?;
    let vcard = match (given.get("vcard").and_then(Value::as_str), given.get("phone")) {
        (Some(vcard), _) => vcard.to_owned(),
        (None, Some(Value::String(phone))) => {
            let phone = digits(phone).ok_or_else(|| "contact: phone is no number".to_owned())?;
            format!(
                "BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL;type=CELL;waid={phone}:+{phone}\n\
                 END:VCARD"
            )
        }
        _ => return Err("contact needs name, and phone or vcard".to_owned()),
    };
    Ok(Map::from_iter([
        ("name".to_owned(), Value::from(name)),
        ("vcard".to_owned(), Value::from(vcard)),
    ]))
}

/// The media object with what was given, filled up to the fields that the vectors of its type have.
fn media_object(
    kind: &str,
    mut given: Map<String, Value>,
    spec: &Inbound,
) -> Result<Map<String, Value>, String> {
    let mut bytes = Vec::new();
    if let Some(base64) = given.remove("base64") {
        let text = base64.as_str().ok_or_else(|| "media: base64 is a string".to_owned())?;
        bytes = BASE64_STANDARD
            .decode(text)
            .map_err(|error| format!("media: base64 cannot be read: {error}"))?;
    }
    let (mime, extension) = match kind {
        "image" => ("image/jpeg", "jpeg"),
        "sticker" => ("image/webp", "webp"),
        "voice" => ("audio/ogg; codecs=opus", "oga"),
        "audio" => ("audio/mpeg", "mp3"),
        "document" => ("application/pdf", "pdf"),
        _ => ("video/mp4", "mp4"),
    };
    let checksum = Sha256::digest(&bytes);
    let at = spec.timestamp.unwrap_or_else(crate::clock::seconds);
    let id: u128 = rand::random();
    let mut object = Map::new();
    object.insert("id".to_owned(), format!("{extension}-{:020x}-80", id >> 48).into());
    object.insert("mime_type".to_owned(), mime.into());
    object.insert("file_size".to_owned(), bytes.len().into());
    object.insert("sha256".to_owned(), BASE64_STANDARD.encode(checksum).into());
    object.insert("timestamp".to_owned(), at.into());
    if let Some(name) = given.remove("filename") {
        // Both keys stand in the vector of a document.
        object.insert("file_name".to_owned(), name.clone());
        object.insert("filename".to_owned(), name);
    }
    object.extend(given);
    Ok(object)
}
