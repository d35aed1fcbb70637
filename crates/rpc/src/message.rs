//! `message.`: sends, and what became of them.

use std::future::Future;

use jiff::Timestamp;
use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;
use wabridge_domain::content::{ContactCard, Interactive, Location, Poll, Template, Text};
use wabridge_domain::message::Status;

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};
use crate::to::To;

/// Longest wait that a caller may ask for, milliseconds.
pub const WAIT_MAX_MS: u32 = 60_000;

/// The bodies of `message.…`.
pub trait MessageApi: Send + Sync + 'static {
    /// Stores a message and its place in the queue in one transaction; waits for the provider's answer for
    /// `wait_ms` at most, and answers the status of that moment.
    fn send(
        &self,
        identity: Identity,
        params: SendParams,
    ) -> impl Future<Output = Result<Answer<Sent>, Failure>> + Send;

    /// The present status of a message of an account that the user may use.
    fn status(
        &self,
        identity: Identity,
        params: StatusParams,
    ) -> impl Future<Output = Result<Answer<MessageStatus>, Failure>> + Send;
}

pub const SEND: Method<SendParams, Answer<Sent>> = Method::new(
    "message.send",
    "Sends a message; it is stored and queued when the answer comes, and sent soon after",
    &[
        Kind::ConfigurationNotFound,
        Kind::NoConfigurationForUser,
        Kind::ConfigurationInactive,
        Kind::InvalidRecipient,
        Kind::InvalidContent,
        Kind::MediaTooLarge,
        Kind::MediaTypeUnsupported,
        Kind::UnsupportedByProvider,
        Kind::RecipientOptedOut,
        Kind::IdempotencyConflict,
        Kind::ProviderUnavailable,
        Kind::QueueFull,
        Kind::RecordNotFound,
        Kind::Conflict,
    ],
);

pub const STATUS: Method<StatusParams, Answer<MessageStatus>> =
    Method::new("message.status", "The present status of a message", &[Kind::RecordNotFound]);

pub(crate) fn add_to<A: MessageApi>(module: &mut RpcModule<A>) {
    register(
        module,
        &SEND,
        |api, identity, params| async move { api.send(identity, params).await },
    );
    register(
        module,
        &STATUS,
        |api, identity, params| async move { api.status(identity, params).await },
    );
}

/// Parameters of `message.send`. Exactly the part that `type` names is given beside the options; a template may have
/// `media` as well.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendParams {
    /// The Odoo user it is sent for; 1 is the system.
    pub uid: i32,
    /// The account (`whatsapp_configuration.id`); the user's default account when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    pub to: To,
    /// What is sent; one that the account's provider does not have is `unsupported_by_provider`.
    #[serde(rename = "type")]
    #[schemars(with = "SendType")]
    pub kind: String,
    #[serde(default)]
    pub text: Option<Text>,
    /// Of `image` to `sticker`; of `template` the header, where that is a file.
    #[serde(default)]
    pub media: Option<Media>,
    #[serde(default)]
    pub location: Option<Location>,
    #[serde(default)]
    pub contact: Option<ContactCard>,
    #[serde(default)]
    pub poll: Option<Poll>,
    #[serde(default)]
    pub interactive: Option<Interactive>,
    #[serde(default)]
    pub template: Option<Template>,
    /// Row id of the message that is quoted.
    #[serde(default)]
    pub reply_to: Option<i32>,
    /// The same key with the same content gives the same message, with other content 1108; kept 30 days.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    #[serde(default)]
    pub category: Option<Category>,
    /// Model of the document it is sent from (`sale.order`), together with `res_id`.
    #[serde(default)]
    pub res_model: Option<String>,
    #[serde(default)]
    pub res_id: Option<i32>,
    /// Not before this time, RFC 3339.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub schedule_at: Option<Timestamp>,
    /// How long to wait for the provider's answer, milliseconds.
    #[serde(default, deserialize_with = "wait_ms")]
    #[schemars(range(min = 0, max = 60_000))]
    pub wait_ms: u32,
}

/// What can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SendType {
    Text,
    Image,
    Video,
    Audio,
    Voice,
    Document,
    Gif,
    Sticker,
    Location,
    Contact,
    Poll,
    Interactive,
    Template,
}

impl SendType {
    pub fn parse(word: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
    }

    /// Its name in [`SendParams::type`], and the part of the parameters that holds its content.
    pub fn part(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Location => "location",
            Self::Contact => "contact",
            Self::Poll => "poll",
            Self::Interactive => "interactive",
            Self::Template => "template",
            Self::Image
            | Self::Video
            | Self::Audio
            | Self::Voice
            | Self::Document
            | Self::Gif
            | Self::Sticker => "media",
        }
    }
}

impl SendParams {
    /// The parts of the content that are given.
    pub fn parts(&self) -> Vec<&'static str> {
        [
            ("text", self.text.is_some()),
            ("media", self.media.is_some()),
            ("location", self.location.is_some()),
            ("contact", self.contact.is_some()),
            ("poll", self.poll.is_some()),
            ("interactive", self.interactive.is_some()),
            ("template", self.template.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}

/// Decides what consent it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Utility,
    Marketing,
}

impl Category {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utility => "utility",
            Self::Marketing => "marketing",
        }
    }
}

/// A file: exactly one of `id`, `url`, `base64`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// As `PUT /media` answered it.
    #[serde(default)]
    pub id: Option<i32>,
    /// Fetched before the answer; leads to public addresses and allowed hosts only.
    #[serde(default)]
    pub url: Option<String>,
    /// The bytes; the whole call has at most 1 MiB, larger files go by `PUT /media`.
    #[serde(default)]
    pub base64: Option<String>,
    /// The name people see.
    #[serde(default)]
    pub filename: Option<String>,
    /// As the caller knows it; the bytes decide.
    #[serde(default)]
    pub mimetype: Option<String>,
    #[serde(default)]
    pub caption: Option<String>,
}

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sent {
    /// Row id in `whatsapp_message`.
    pub id: i32,
    /// The provider's id, once known.
    pub message_id: Option<String>,
    pub status: Status,
    /// When it was queued, or when the provider took it.
    #[schemars(with = "Option<String>")]
    pub timestamp: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusParams {
    pub uid: i32,
    /// Row id in `whatsapp_message`.
    pub id: i32,
}

/// What is known of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MessageStatus {
    pub id: i32,
    /// The provider's id, once known.
    pub message_id: Option<String>,
    pub status: Status,
    #[schemars(with = "Option<String>")]
    pub timestamp: Option<Timestamp>,
    pub configuration_id: i32,
    /// Kind of the failure, as in the table of errors.
    pub error_code: Option<String>,
    /// The provider's words for it.
    pub error_message: Option<String>,
}

pub(crate) fn wait_ms<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let given = Option::<i64>::deserialize(deserializer)?.unwrap_or_default();
    u32::try_from(given)
        .ok()
        .filter(|wait| *wait <= WAIT_MAX_MS)
        .ok_or_else(|| serde::de::Error::custom(format!("must be 0 to {WAIT_MAX_MS} milliseconds")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_content_of_the_design_parses() {
        for (kind, part, content) in [
            ("text", "text", r#"{"body":"hi","preview":false,"mentions":["447700900801"]}"#),
            ("image", "media", r#"{"url":"https://example.com/a.png","caption":"c"}"#),
            ("location", "location", r#"{"latitude":1.5,"longitude":-2,"name":"n"}"#),
            ("contact", "contact", r#"{"name":"A","phone":"+447700900801"}"#),
            ("poll", "poll", r#"{"title":"t","options":["a","b"],"count":1}"#),
            (
                "interactive",
                "interactive",
                r#"{"kind":"list","body":"b","options":[{"id":"1","title":"t"}]}"#,
            ),
            ("template", "template", r#"{"name":"n","language":"en","parameters":{"body":["x"]}}"#),
        ] {
            let text =
                format!(r#"{{"uid":2,"to":"+447700900801","type":"{kind}","{part}":{content}}}"#);
            let params: SendParams = serde_json::from_str(&text).unwrap();
            let kind = SendType::parse(&params.kind).unwrap();
            assert_eq!(params.parts(), [kind.part()]);
        }
        assert_eq!(SendType::parse("reaction"), None);
    }

    #[test]
    fn waits_are_bounded() {
        let with = |wait: &str| {
            let text = format!(r#"{{"uid":2,"to":"x","type":"text","wait_ms":{wait}}}"#);
            serde_json::from_str::<SendParams>(&text).map(|params| params.wait_ms)
        };
        assert_eq!(with("60000").unwrap(), 60_000);
        assert_eq!(with("null").unwrap(), 0, "like every other optional parameter");
        assert!(with("60001").unwrap_err().to_string().contains("0 to 60000"));
        assert!(with("-1").unwrap_err().to_string().contains("0 to 60000"));
    }
}
