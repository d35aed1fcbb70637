//! `whatsapp_configuration.custom_mapping`: how a provider's webhooks read and how its API is called.
//!
//! What is left out is as in the generic format (`docs/CUSTOM_PROVIDER.md`); null takes a part away. A mapping
//! that exists is valid: the refusal of a wrong one names its key and the cure.

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use wabridge_domain::account::AccountState;
use wabridge_domain::message::{MessageType, StatusWord};
use wabridge_domain::webhook::Encoding;

use super::contact::ContactMap;
use super::groups::Groups;
use super::lists::Lists;
use super::pointer::Pointers;
use super::sends::{Needed, SendMap, Sends, UploadForm, UploadMap};
use super::template::{Body, Path, Slot, Template};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Mapping {
    pub webhook: Webhook,
    pub chats: Chats,
    pub api: Api,
}

/// A mapping that cannot be used: the key, what is wrong, and the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("custom_mapping: {0}")]
pub struct MappingError(String);

impl Mapping {
    /// Reads the column; empty is the generic format.
    pub fn read(text: &str) -> Result<Self, MappingError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        if text.trim_start().starts_with('[') {
            return Err(MappingError(format!("this is a list; write an object in braces; {SEE}")));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let mapping: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let key = error.path().to_string();
            let why = error.into_inner();
            MappingError(match (why.classify(), key.as_str()) {
                (serde_json::error::Category::Data, ".") => format!("{why}; {SEE}"),
                (serde_json::error::Category::Data, key) => format!("{key}: {why}; {SEE}"),
                _ => format!("this is no JSON ({why}); correct the text at that place"),
            })
        })?;
        json.end()
            .map_err(|why| MappingError(format!("something stands behind the JSON ({why})")))?;
        mapping.check().map_err(|why| MappingError(format!("{why}; {SEE}")))?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), String> {
        let webhook = &self.webhook;
        if webhook.message.id.is_none() {
            return Err("webhook.message.id: without it nothing could be told from its repetition; give a place".into());
        }
        if webhook.message.sender.is_none() && webhook.message.chat.is_none() {
            return Err(
                "webhook.message.sender: give a place for it, or for webhook.message.chat".into()
            );
        }
        for (name, suffix) in [
            ("direct_suffix", &self.chats.direct_suffix),
            ("group_suffix", &self.chats.group_suffix),
        ] {
            if !suffix.is_empty() && !suffix.starts_with('@') {
                return Err(format!("chats.{name}: begin {suffix:?} with @, or leave it empty"));
            }
        }
        if self.chats.direct_suffix == self.chats.group_suffix {
            return Err(
                "chats.group_suffix: it is that of persons too; groups could not be told from them"
                    .into(),
            );
        }
        self.api.check()?;
        self.api.groups.check()?;
        self.api.lists.check()
    }
}

/// The places that have a value in every send.
const OF_A_SEND: [Slot; 6] =
    [Slot::ChatId, Slot::Phone, Slot::QuotedId, Slot::Reference, Slot::ChannelId, Slot::Type];

/// The places that have a value in a change of a message.
const OF_A_CHANGE: [Slot; 4] = [Slot::MessageId, Slot::ChatId, Slot::Phone, Slot::ChannelId];

impl Api {
    fn check(&self) -> Result<(), String> {
        let api = self;
        let with = |slots: &[Slot], more: &[Slot]| [slots, more].concat();
        let chat: &'static [Slot] = &[Slot::ChatId, Slot::Phone];
        // Known places of each call, and those of which it needs one each.
        type Places = (Vec<Slot>, Vec<&'static [Slot]>);
        let mut calls: Vec<(String, &CallMap, Places)> = Vec::new();
        if let Some(send) = &api.send_text {
            let known = with(&OF_A_SEND, &[Slot::Text]);
            calls.push(("send_text".into(), &send.call, (known, vec![&[Slot::Text], chat])));
        }
        for (name, send, known, needed) in api.send.all() {
            let mut needed = needed.to_vec();
            // A reaction names its message.
            needed.extend((name != "reaction").then_some(chat));
            calls.push((format!("send.{name}"), &send.call, (with(&OF_A_SEND, known), needed)));
        }
        let blocks: Places = (vec![Slot::ChatId, Slot::Phone, Slot::ChannelId], vec![chat]);
        let plain: [(&str, Option<&CallMap>, Places); 8] = [
            (
                "health",
                api.health.as_ref().map(|health| &health.call),
                (vec![Slot::ChannelId], vec![]),
            ),
            ("media", api.media.as_ref(), (vec![Slot::MediaId, Slot::ChannelId], vec![])),
            ("mark_read", api.mark_read.as_ref(), (OF_A_CHANGE.to_vec(), vec![])),
            (
                "edit",
                api.edit.as_ref(),
                (with(&OF_A_CHANGE, &[Slot::Text]), vec![&[Slot::MessageId], &[Slot::Text]]),
            ),
            ("delete", api.delete.as_ref(), (OF_A_CHANGE.to_vec(), vec![&[Slot::MessageId]])),
            ("contact", api.contact.as_ref().map(|contact| &contact.call), blocks.clone()),
            ("block", api.block.as_ref(), blocks.clone()),
            ("unblock", api.unblock.as_ref(), blocks),
        ];
        for (name, call, places) in plain {
            calls.extend(call.map(|call| (name.to_owned(), call, places)));
        }
        for (name, call, (known, needed)) in calls {
            check_places(&name, &call.slots(), &known, &needed)?;
            if call.method == Method::GET && call.body.is_some() {
                return Err(format!("api.{name}.body: a GET has no body; choose another method"));
            }
        }
        for (name, call) in [
            ("edit", &api.edit),
            ("delete", &api.delete),
            ("block", &api.block),
            ("unblock", &api.unblock),
        ] {
            if call.as_ref().is_some_and(|call| call.method == Method::GET) {
                return Err(format!(
                    "api.{name}.method: a GET changes nothing; write the one that the provider wants"
                ));
            }
        }
        match (&api.upload, api.send.needs_files()) {
            (Some(upload), _) => {
                let known = [Slot::Filename, Slot::Mimetype, Slot::ChannelId, Slot::Data];
                let (known, needed): (&[Slot], Needed) = match upload.form {
                    UploadForm::Base64 => (&known, &[&[Slot::Data]]),
                    _ => (&known[..3], &[]),
                };
                check_places("upload", &upload.slots(), known, needed)?;
                if upload.call.method == Method::GET {
                    return Err("api.upload.method: a GET hands nothing over; leave it out".into());
                }
            }
            (None, Some(name)) => {
                return Err(format!(
                    "api.send.{name}: it names a {{file}}, and api.upload, which hands files over, is missing"
                ));
            }
            (None, None) => {}
        }
        if api
            .media
            .as_ref()
            .is_some_and(|call| call.method != Method::GET || !call.headers.is_empty())
        {
            return Err("api.media: files are fetched by GET, without headers of their own; leave method and headers out".into());
        }
        if api.answers.keys().any(|status| !(300..600).contains(status)) {
            return Err("api.answers: only statuses from 300 to 599 can be given a meaning".into());
        }
        Ok(())
    }
}

/// Refuses a place that has no value in a call, and a call that lacks one it needs.
pub(super) fn check_places(
    name: &str,
    used: &[Slot],
    known: &[Slot],
    needed: &[&[Slot]],
) -> Result<(), String> {
    let words = |slots: &[Slot], between: &str| {
        slots.iter().map(|slot| format!("{{{}}}", slot.name())).collect::<Vec<_>>().join(between)
    };
    if let Some(slot) = used.iter().find(|slot| !known.contains(slot)) {
        return Err(format!(
            "api.{name}: {{{}}} has no value there; known are {}",
            slot.name(),
            words(known, ", ")
        ));
    }
    match needed.iter().find(|any| !any.iter().any(|slot| used.contains(slot))) {
        Some(any) => Err(format!(
            "api.{name}: neither path nor body hold {}; put it where the provider wants it",
            words(any, " or ")
        )),
        None => Ok(()),
    }
}

const SEE: &str = "docs/CUSTOM_PROVIDER.md lists the keys";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Webhook {
    pub secret: SecretMap,
    pub signature: SignatureMap,
    /// A list of events; none: the body is one.
    pub events: Option<Pointers>,
    /// In the event, else in the body around it.
    pub channel_id: Option<Pointers>,
    /// The word for the kind of event, in the event or the body; none: everything is a message.
    pub event: Option<Pointers>,
    pub event_words: BTreeMap<String, EventKind>,
    /// When the event was made.
    pub timestamp: Option<Pointers>,
    pub timestamp_format: TimeFormat,
    pub message: MessageMap,
    pub message_types: BTreeMap<String, MessageType>,
    pub status: StatusMap,
    pub status_words: BTreeMap<String, StatusWord>,
    pub account: AccountMap,
    pub account_states: BTreeMap<String, AccountState>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventKind {
    /// Somebody wrote, or the account itself where `from_me` says so.
    Message,
    /// Sent through the API.
    Echo,
    /// Typed on the account's phone.
    Phone,
    Status,
    Edit,
    Delete,
    Reaction,
    Account,
    /// Known and of no use.
    Ignore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TimeFormat {
    Seconds,
    Milliseconds,
    Rfc3339,
    /// Whichever of these it is.
    Auto,
}

/// The header of a static secret; the account's own column `webhook_header` wins.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SecretMap {
    #[serde(deserialize_with = "header_name")]
    pub header: Option<HeaderName>,
    /// Before the secret; `Bearer ` in `authorization` where none is given.
    pub prefix: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SignatureMap {
    #[serde(deserialize_with = "header_name")]
    pub header: Option<HeaderName>,
    pub prefix: String,
    pub encoding: Encoding,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MessageMap {
    pub id: Option<Pointers>,
    pub chat: Option<Pointers>,
    pub sender: Option<Pointers>,
    pub recipient: Option<Pointers>,
    pub from_me: Option<Pointers>,
    pub r#type: Option<Pointers>,
    pub body: Option<Pointers>,
    pub timestamp: Option<Pointers>,
    pub quoted_id: Option<Pointers>,
    pub forwarded: Option<Pointers>,
    pub mentions: Option<Pointers>,
    pub reference: Option<Pointers>,
    pub edit_id: Option<Pointers>,
    pub reaction_target: Option<Pointers>,
    pub reaction_emoji: Option<Pointers>,
    pub contact_name: Option<Pointers>,
    pub pushname: Option<Pointers>,
    pub group_name: Option<Pointers>,
    pub media: MediaMap,
    pub location: LocationMap,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MediaMap {
    pub id: Option<Pointers>,
    pub url: Option<Pointers>,
    pub mimetype: Option<Pointers>,
    pub filename: Option<Pointers>,
    pub caption: Option<Pointers>,
    pub size: Option<Pointers>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LocationMap {
    pub latitude: Option<Pointers>,
    pub longitude: Option<Pointers>,
    pub name: Option<Pointers>,
    pub address: Option<Pointers>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StatusMap {
    pub id: Option<Pointers>,
    pub word: Option<Pointers>,
    pub timestamp: Option<Pointers>,
    /// The member of a group that it is about.
    pub member: Option<Pointers>,
    pub error_code: Option<Pointers>,
    pub error_message: Option<Pointers>,
    pub reference: Option<Pointers>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AccountMap {
    pub state: Option<Pointers>,
    pub reason: Option<Pointers>,
}

/// How the provider writes chats.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Chats {
    /// Behind the digits of a person's number.
    pub direct_suffix: String,
    pub group_suffix: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Api {
    /// Between the account's base URL and every path.
    #[serde(deserialize_with = "base_path")]
    pub base_path: Path,
    pub auth: Auth,
    pub send_text: Option<SendMap>,
    pub health: Option<HealthMap>,
    /// None: files are had by their links only.
    pub media: Option<CallMap>,
    pub mark_read: Option<CallMap>,
    /// Contents beside texts.
    pub send: Sends,
    /// None: no files can be sent.
    pub upload: Option<UploadMap>,
    /// None: what was sent stays as it is.
    pub edit: Option<CallMap>,
    pub delete: Option<CallMap>,
    pub groups: Groups,
    /// None of them: nothing can be synchronised.
    pub lists: Lists,
    /// None: nobody is asked for alone.
    pub contact: Option<ContactMap>,
    pub block: Option<CallMap>,
    pub unblock: Option<CallMap>,
    /// What a status of an answer means, where it is not what it usually does.
    pub answers: BTreeMap<u16, Meaning>,
    /// What went wrong, in an answer that is no success.
    pub error: Option<Pointers>,
}

/// Where the account's token goes. Never into a query: logs keep those.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Auth {
    /// `Authorization: Bearer <token>`.
    Bearer {},
    Header {
        #[serde(deserialize_with = "needed_header_name")]
        name: HeaderName,
        #[serde(default)]
        prefix: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Meaning {
    /// Never; the message fails.
    Refused,
    /// Not taken, and may be tried again.
    NotAccepted,
    RateLimited,
    /// Nothing can be sent until somebody acts.
    AccountDown,
    TokenDead,
    /// May have been taken.
    Uncertain,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallMap {
    #[serde(default = "get", deserialize_with = "method")]
    pub method: Method,
    pub path: Path,
    #[serde(default, deserialize_with = "headers")]
    pub headers: Vec<(HeaderName, Template)>,
    #[serde(default)]
    pub body: Option<Body>,
}

impl CallMap {
    pub fn slots(&self) -> Vec<Slot> {
        let headers = self.headers.iter().flat_map(|(_, value)| value.slots());
        let body = self.body.iter().flat_map(Body::slots);
        self.path.slots().chain(headers).chain(body).collect()
    }
}

#[derive(Debug, Clone)]
pub(super) struct HealthMap {
    pub call: CallMap,
    /// A word of `webhook.account_states`; none: an answer that is a success is enough.
    pub state: Option<Pointers>,
    pub phone: Option<Pointers>,
    pub name: Option<Pointers>,
}

impl<'de> Deserialize<'de> for HealthMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Flat {
            #[serde(default = "get", deserialize_with = "method")]
            method: Method,
            path: Path,
            #[serde(default, deserialize_with = "headers")]
            headers: Vec<(HeaderName, Template)>,
            #[serde(default)]
            body: Option<Body>,
            state: Option<Pointers>,
            phone: Option<Pointers>,
            name: Option<Pointers>,
        }
        let Flat { method, path, headers, body, state, phone, name } =
            Flat::deserialize(deserializer)?;
        Ok(Self { call: CallMap { method, path, headers, body }, state, phone, name })
    }
}

pub(super) fn get() -> Method {
    Method::GET
}

pub(super) fn post() -> Method {
    Method::POST
}

pub(super) fn message_id() -> Option<Pointers> {
    Pointers::at(&["/message/id", "/data/message/id", "/message_id", "/id"])
}

pub(super) fn answer_status() -> Option<Pointers> {
    Pointers::at(&["/message/status", "/data/message/status", "/status"])
}

pub(super) fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
    let word = String::deserialize(deserializer)?;
    match word.as_str() {
        "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        _ => Err(D::Error::custom(format!(
            "{word:?} is no method; write one of GET, POST, PUT, PATCH, DELETE"
        ))),
    }
}

fn base_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Path, D::Error> {
    let path = Path::deserialize(deserializer)?;
    let slot = path.slots().next();
    match slot {
        Some(slot) => Err(D::Error::custom(format!(
            "{{{}}} has no value there; put it into the path of the call",
            slot.name()
        ))),
        None => Ok(path),
    }
}

fn to_header_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(text)
        .map_err(|_| format!("{text:?} is no name of a header; write it like \"x-webhook-secret\""))
}

fn header_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<HeaderName>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    name.map(|name| to_header_name(&name)).transpose().map_err(D::Error::custom)
}

fn needed_header_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderName, D::Error> {
    to_header_name(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

pub(super) fn headers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(HeaderName, Template)>, D::Error> {
    let given = BTreeMap::<String, Template>::deserialize(deserializer)?;
    given
        .into_iter()
        .map(|(name, value)| Ok((to_header_name(&name).map_err(D::Error::custom)?, value)))
        .collect()
}
