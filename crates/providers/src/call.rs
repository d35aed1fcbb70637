//! What adapters are asked and what they answer: the words of the seam.

use std::time::Duration;

use jiff::Timestamp;
use wabridge_domain::Secret;
use wabridge_domain::account::AccountState;
use wabridge_domain::error::Kind;
use wabridge_domain::event::Event;

/// Numbers in one call of [`crate::Provider::check_numbers`].
pub const CHECK_MAX: usize = 50;

/// Where a webhook's static secret stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretHeader {
    /// Lower-case; None: `authorization`.
    pub name: Option<String>,
    /// As [`wabridge_domain::webhook::Gate::header_prefix`].
    pub prefix: Option<String>,
}

/// How a webhook came in, beside its body.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The HTTP method, upper-case. WHAPI's mode `method` puts the kind of change there.
    pub method: &'a str,
    /// What follows the webhook's own path, without slashes around it (`messages/post`); empty where nothing does.
    pub sub_path: &'a str,
    /// When it was received; when it is read back from the journal, the time of the first receipt. Stands in
    /// for times that the body lacks or that cannot be true.
    pub received_at: Timestamp,
}

/// What a body held.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    pub events: Vec<Event>,
    pub broken: Vec<Broken>,
}

/// A part of a body that is authentic but makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The provider's word for the kind of event (`messages`).
    pub kind: String,
    /// Its place among those of its kind, from 0.
    pub index: usize,
    /// What is wrong, without any of the content.
    pub reason: String,
}

/// The body as a whole is none of this provider's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is no webhook of this provider: {reason}")]
pub struct Unreadable {
    pub reason: String,
}

/// A provider's question whether this address wants its webhooks.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// To be compared with the account's verify token; an account without one answers nothing.
    pub verify_token: Secret,
    /// To be answered as plain text when the token fits.
    pub challenge: String,
}

/// What every call to a provider needs.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Made by [`crate::http_client`]; a client that follows redirects would carry the token to strangers and
    /// could turn one send into two.
    pub http: &'a reqwest::Client,
    /// `whatsapp_configuration.base_url`; None for the provider's own address.
    pub base_url: Option<&'a str>,
    pub token: &'a Secret,
    /// `whatsapp_configuration.channel_id`: channel, device or phone-number id.
    pub channel_id: Option<&'a str>,
    /// Joins our log lines about this call, and goes to the provider as `X-Request-Id`.
    pub request_id: &'a str,
    /// For the whole call, connecting and reading included. Longer than the client's connect time-out, so
    /// that a connection that cannot be made is told from an answer that does not come.
    pub timeout: Duration,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub struct MediaAddress {
    pub url: String,
    /// Value of the `Authorization` header; only for the provider's own address, never for links to others.
    pub authorization: Option<Secret>,
    /// True where the address is the account's own API (`base_url`, or the provider's documented host). Any
    /// other link is followed to public addresses only.
    pub own: bool,
}

/// A file on its way to a provider.
#[derive(Debug)]
pub struct Upload {
    /// A bare name.
    pub filename: String,
    pub mimetype: String,
    /// Bytes.
    pub size: u64,
    /// The bytes, streamed.
    pub body: reqwest::Body,
}

/// A file that lies at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// What sends name it by.
    pub id: String,
    /// How long the provider keeps it; None where it documents no end.
    pub keeps: Option<Duration>,
}

/// Messages of one chat that were read in Odoo.
#[derive(Debug, Clone, Copy)]
pub struct ReadMark<'a> {
    pub chat_id: &'a str,
    /// The provider's ids of the inbound messages, oldest first; never empty.
    pub message_ids: &'a [&'a str],
}

/// A message that was sent with the account.
#[derive(Debug, Clone, Copy)]
pub struct SentMessage<'a> {
    pub chat_id: &'a str,
    /// The provider's id.
    pub message_id: &'a str,
}

/// What a provider knows of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// As it was asked.
    pub number: String,
    pub is_wa_contact: bool,
    /// The chat that the provider has for it, where it tells: the form of the number that it confirmed.
    pub chat_id: Option<String>,
}

/// A page of a provider's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In the order of the provider. May be empty though more pages follow.
    pub items: Vec<T>,
    /// Where the next page begins; None after the last. Opaque; short ASCII that may be stored and used later.
    pub next: Option<String>,
    /// How many the whole list has, where the provider tells; it may change from page to page.
    pub total: Option<u64>,
    /// What of the page could not be read, a sentence each, without any of the content. The rest of the page is not lost
    /// by it.
    pub unreadable: Vec<String>,
}

/// Which messages [`crate::Provider::list_messages`] shall tell of.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// Messages of this second and later; None for as far back as the provider goes. A provider that cannot choose tells
    /// more: the caller drops what is too old or too new.
    pub since: Option<Timestamp>,
    /// Messages up to this second, itself included.
    pub until: Option<Timestamp>,
    /// Only this chat; None for all.
    pub chat: Option<&'a str>,
    /// Now: stands in for times that a message lacks or that cannot be true.
    pub at: Timestamp,
}

/// A template as the provider has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderTemplate {
    /// The provider's id of this language of the template.
    pub id: String,
    pub name: String,
    /// `en_US`
    pub language: String,
    /// The provider's words, lower-case: `marketing`, `utility`, `authentication`.
    pub category: String,
    /// `approved`, `pending`, `rejected`, `paused`, `disabled`, or another word of the provider, lower-case.
    pub state: String,
    /// The provider's definition as it is: header, body, footer, buttons.
    pub components: serde_json::Value,
}

/// The state of an account as the provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub state: AccountState,
    /// The provider's own word or sentence for it.
    pub reason: Option<String>,
    /// The account's own number, E.164 with plus.
    pub phone: Option<String>,
    pub name: Option<String>,
}

/// Where webhooks shall go.
#[derive(Debug, Clone)]
pub struct WebhookTarget {
    /// With the account's path token. The part before `?` tells our webhook from others of the account.
    pub url: String,
    /// A header to be sent along with each webhook, where the account's mode asks for one.
    pub header: Option<WebhookHeader>,
    /// For providers with a handshake.
    pub verify_token: Option<Secret>,
}

/// A static header of each webhook.
#[derive(Debug, Clone)]
pub struct WebhookHeader {
    /// As in [`wabridge_domain::webhook::Gate::header`].
    pub name: String,
    /// The bare secret; for `authorization` the adapter writes `Bearer ` before it.
    pub value: Secret,
}

/// Why a call that is safe to repeat did not succeed: a variant per decision, not per cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not reached, no answer in time, or an answer that says nothing. May be repeated later.
    /// `kind` is `provider_unavailable` or `provider_timeout`.
    #[error("the provider gave no usable answer: {message}")]
    Unavailable { kind: Kind, message: String },
    /// 429.
    #[error("the provider asks to slow down")]
    RateLimited { retry_after: Option<Duration> },
    /// Somebody has to act on the account first.
    #[error("the account cannot be used: {message}")]
    AccountDown { state: AccountState, message: String },
    /// Repeating it unchanged is useless.
    #[error("the provider refused: {message}")]
    Refused { kind: Kind, message: String },
}

impl CallError {
    /// The kind for an RPC answer.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { kind, .. } | Self::Refused { kind, .. } => *kind,
            Self::RateLimited { .. } => Kind::ProviderRateLimited,
            Self::AccountDown { state: AccountState::TokenDead, .. } => Kind::ProviderAuthFailed,
            Self::AccountDown { .. } => Kind::ProviderUnavailable,
        }
    }
}
