//! `POST /_control/inbound`: somebody writes, and the webhook goes out as the provider would send it.

use super::content::{content, text};
use crate::{
    Provider,
    groups::{GroupSpec, is_group_id},
    message::{Answer, Chat, Failure, Location, Message, Order, Poll, Status},
    people::person_key,
    state::AccountId,
    vendor::Vendor,
    world::{Draft, World, vendor_of},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Who writes what. `provider` and `token` may be left out where only one account fits.
///
/// | `type` | content |
/// | --- | --- |
/// | text (default) | `text` |
/// | image, video, gif, audio, voice, document, sticker, short | `caption?`, `media {base64?, mime_type?, filename?, seconds?, width?, height?, link_seconds?, …}`; without `base64` a small real file; what else is in it goes out as it is |
/// | location | `location {latitude, longitude, name?, address?}` |
/// | contact | `contact {name, phone?, vcard?}` or `contacts` |
/// | poll | `poll {title, options, count?}` |
/// | vote | `target`, `options` (those chosen) |
/// | reaction | `target`, `emoji` (empty or missing takes it back) |
/// | answer | `quoted`, `answer {list?, id, title, description?}` |
/// | order | `order {id, title?, text?, items?, currency?}` |
/// | edit, delete | `target`, for edit also `text` |
/// | status | `target`, `status` (sent, delivered, read, played, failed), `from` for a member of a group, `error {code, message}?` |
/// | any other | `content`, the object as the provider names it |
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inbound {
    pub(super) provider: Option<Provider>,
    pub(super) token: Option<String>,
    /// The writer's number, or `<digits>@lid`. Not needed with `from_me`, `edit` and `delete`.
    pub(super) from: Option<String>,
    pub(super) from_name: Option<String>,
    /// A group's id (made when unknown) or its name, a channel's `<digits>@newsletter`; with `from_me`
    /// also a person's number; a person's `<digits>@lid`.
    pub(super) chat: Option<String>,
    /// Written on the account's own phone.
    #[serde(default)]
    pub(super) from_me: bool,
    #[serde(rename = "type", default = "text_type")]
    pub(super) kind: String,
    pub(super) text: Option<Value>,
    pub(super) caption: Option<String>,
    pub(super) media: Option<Map<String, Value>>,
    pub(super) location: Option<Location>,
    pub(super) contact: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) contacts: Vec<Map<String, Value>>,
    pub(super) poll: Option<Poll>,
    pub(super) options: Option<Vec<String>>,
    pub(super) reaction: Option<Map<String, Value>>,
    pub(super) emoji: Option<String>,
    pub(super) answer: Option<Answer>,
    pub(super) order: Option<Order>,
    pub(super) content: Option<Map<String, Value>>,
    /// The message that is edited, deleted, reacted to, voted on or told of.
    pub(super) target: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) error: Option<Failure>,
    /// The message that is answered.
    pub(super) quoted: Option<String>,
    #[serde(default)]
    pub(super) mentions: Vec<String>,
    #[serde(default)]
    pub(super) forwarded: bool,
    pub(super) id: Option<String>,
    /// Seconds since 1970.
    pub(super) timestamp: Option<i64>,
}

fn text_type() -> String {
    "text".to_owned()
}

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
            let gone = world.remove(account, target)?;
            return Ok(json!({"id": target, "chat_id": vendor.chat_id(&gone.chat)}));
        }
        "status" => {
            let target = needed(spec.target.as_deref(), "status", "target")?;
            let status = spec.status.ok_or_else(|| "type status needs status".to_owned())?;
            let viewer = spec.from.as_deref().map(number).transpose()?;
            world.say_status(account, target, status, viewer.as_deref(), spec.error)?;
            return Ok(json!({"id": target}));
        }
        _ => {}
    }
    if spec.id.as_deref().is_some_and(|id| !vendor.is_message_id(id)) {
        return Err("id has not the form of the provider's message ids".to_owned());
    }
    let content = content(world, account, &mut spec)?;
    let from = spec.from.as_deref().map(number).transpose()?;
    if let (Some(phone), Some(name)) = (&from, &spec.from_name) {
        world.state().name_person(phone, name)?;
    }
    let chat = chat(world, account, &spec, from.as_deref())?;
    let mentions = spec
        .mentions
        .iter()
        .map(|text| person_key(text).ok_or_else(|| format!("mentions: {text:?} is no number")))
        .collect::<Result<Vec<_>, String>>()?;
    let draft = Draft {
        chat,
        content,
        quoted: spec.quoted,
        mentions,
        forwarded: spec.forwarded,
        reference: None,
        id: spec.id,
        at: spec.timestamp,
    };
    let written = if spec.from_me {
        world.write_on_phone(account, draft)?
    } else {
        let from = needed(from.as_deref(), &spec.kind, "from")?;
        world.write(account, from, draft)?
    };
    Ok(answer(vendor, &written))
}

fn number(text: &str) -> Result<String, String> {
    person_key(text).ok_or_else(|| format!("from {text:?} is no number of 7 to 15 digits"))
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
                ..GroupSpec::default()
            })?;
        }
        return Ok(Chat::Group(name.to_owned()));
    }
    if let Some(group) = world.state().group_named(name) {
        return Ok(Chat::Group(group.id.clone()));
    }
    if name.ends_with("@newsletter") {
        return Ok(Chat::Channel(name.to_owned()));
    }
    match person_key(name) {
        Some(key) if spec.from_me || key.ends_with("@lid") || from == Some(key.as_str()) => {
            Ok(Chat::Person(key))
        }
        _ => Err(format!(
            "no group is called {name:?}; make it by POST /_control/state {{\"groups\":[…]}}, or \
             give an id of the form digits@g.us"
        )),
    }
}
