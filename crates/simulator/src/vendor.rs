//! The seam between the world and a provider's way to speak of it.
//!
//! The world (people, messages, conditions) is the same for all; a vendor turns calls into changes
//! of the world and events of the world into webhooks. Several accounts may share one token (Meta's
//! system users), so a vendor also picks the account a call means.

use crate::{
    Provider, custom,
    faults::{Subject, WebhookEffects, plain},
    media::File,
    message::{Chat, Event, Message},
    meta,
    state::{AccountId, AccountState, State},
    wassenger,
    webhooks::{Delivery, Target},
    whapi,
    world::World,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use std::sync::Arc;

/// What a call does, in words that are the same for all providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    name: &'static str,
    /// For sends: text, image, …
    kind: Option<String>,
}

impl Operation {
    /// Names that faults may use; a kind may follow `message.send`.
    pub const KNOWN: &[&str] = &[
        "message.send",
        "message.edit",
        "message.delete",
        "message.get",
        "message.list",
        "message.read",
        "media.get",
        "media.upload",
        "settings.get",
        "settings.update",
        "settings.reset",
        "settings.events",
        "webhook.test",
        "health",
        "limits",
        "contact.list",
        "contact.block",
        "contact.get",
        "contact.check",
        "template.list",
        "group.list",
        "group.create",
        "group.info",
        "group.update",
        "group.members",
        "group.invite",
        "group.join",
        "group.leave",
        "unknown",
        "inbound",
        "state",
    ];

    const KINDS: &[&str] = &[
        "text",
        "image",
        "video",
        "audio",
        "voice",
        "document",
        "sticker",
        "gif",
        "location",
        "contact",
        "contact_list",
        "poll",
        "short",
        "interactive",
        "template",
        "reaction",
    ];

    pub fn new(name: &'static str, kind: Option<&str>) -> Self {
        debug_assert!(Self::KNOWN.contains(&name), "{name} is missing in Operation::KNOWN");
        Self { name, kind: kind.map(str::to_owned) }
    }

    /// All names the operation answers to: `message.send.text`, `send.text`, `text`, …
    pub fn names(&self) -> impl Iterator<Item = String> {
        let name = self.name;
        let (noun, verb) = name.split_once('.').unwrap_or((name, name));
        let mut names = vec![name.to_owned(), format!("{noun}s.{verb}")];
        if name == "message.send" {
            names.extend(["send".to_owned(), "send.message".to_owned()]);
        }
        if let Some(kind) = &self.kind {
            names.push(kind.clone());
            names.push(format!("{name}.{kind}"));
            names.push(format!("{verb}.{kind}"));
            names.push(format!("{verb}.{kind}.{noun}"));
        }
        names.into_iter()
    }

    pub fn is_known(wanted: &str) -> bool {
        let wanted = plain(wanted);
        let named = |operation: Self| operation.names().any(|name| plain(&name) == wanted);
        Self::KNOWN.iter().any(|name| named(Self::new(name, None)))
            || Self::KINDS.iter().any(|kind| named(Self::new("message.send", Some(kind))))
    }
}

/// One authorised call, its body read completely.
#[derive(Debug)]
pub(crate) struct Call {
    pub account: AccountId,
    pub operation: Operation,
    pub method: Method,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// From the fault that hit the call.
    pub effects: WebhookEffects,
}

impl Call {
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn subject(&self) -> Subject<'_> {
        Subject { operation: &self.operation, method: self.method.as_str(), path: &self.path }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    /// None is an answer without a body.
    pub body: Option<Value>,
    /// Mime type and bytes, in place of `body`.
    pub file: Option<(String, Bytes)>,
}

impl Answer {
    pub fn ok(body: Value) -> Self {
        Self::new(StatusCode::OK, body)
    }

    pub fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body), file: None }
    }

    pub fn file(file: &File) -> Self {
        let file = (file.mime.clone(), file.bytes.clone());
        Self { status: StatusCode::OK, body: None, file: Some(file) }
    }

    pub fn empty(status: StatusCode) -> Self {
        Self { status, body: None, file: None }
    }
}

/// What has to be asked at an address before a call is answered (Meta's subscription handshake).
#[derive(Debug)]
pub(crate) struct Question {
    pub url: String,
    pub query: Vec<(String, String)>,
    /// The body that a 200 must have.
    pub answer: String,
    /// What the call gets otherwise.
    pub refusal: Answer,
}

pub(crate) trait Vendor: Sync {
    fn provider(&self) -> Provider;

    /// The token of a call, where this provider's callers put it.
    fn token(&self, headers: &HeaderMap, query: &[(String, String)]) -> Option<String>;

    /// Which of the accounts with the call's token is meant.
    fn account(&self, state: &State, candidates: &[AccountId], path: &str) -> Option<AccountId>;

    fn operation(&self, method: &Method, path: &str) -> Operation;

    /// What is asked elsewhere before the call is answered.
    fn question(&self, call: &Call) -> Option<Question> {
        let _ = call;
        None
    }

    /// Does what the call asks for. Never waits: what comes later is a task of the world.
    fn answer(&self, world: &Arc<World>, call: &Call) -> Answer;

    /// The provider's form of an error.
    fn error(&self, status: StatusCode, message: &str) -> Answer;

    /// What a call gets whose token belongs to no account.
    fn unknown_token(&self) -> Answer;

    /// The webhook calls that tell the account's owner of the event.
    fn deliveries(&self, account: &AccountState, event: &Event) -> Vec<Delivery>;

    /// True where several accounts may have one token.
    fn shares_tokens(&self) -> bool {
        false
    }

    /// The addresses webhooks go to, for a provider whose accounts are told them by
    /// [`crate::Account::settings`]; None where a call registers them.
    fn targets(&self, account: &AccountState) -> Option<Vec<Target>> {
        let _ = account;
        None
    }

    /// An id for a file, in the provider's form.
    fn file_id(&self, mime: &str) -> String;

    /// How long a link to a file works, seconds.
    fn link_seconds(&self) -> i64 {
        3_600
    }

    /// True where following a link takes the account's token too.
    fn link_needs_token(&self) -> bool {
        false
    }

    /// An id for a message, in the provider's form.
    fn message_id(&self, in_group: bool) -> String;

    /// The id of the n-th message of a made-up past.
    fn made_message_id(&self, n: u64, in_group: bool) -> String;

    fn is_message_id(&self, text: &str) -> bool;

    /// The chat's id in the provider's form.
    fn chat_id(&self, chat: &Chat) -> String;

    /// A message as this provider shows it.
    fn show(&self, message: &Message) -> Value;

    /// The account as `/_control/state` shows it: what only this provider has.
    fn describe(&self, account: &AccountState) -> Value;
}

/// The providers that are built.
pub(crate) const BUILT: &[&dyn Vendor] =
    &[&whapi::Whapi, &wassenger::Wassenger, &meta::Meta, &custom::Custom];

/// The vendor that plays a provider, if it is built.
pub(crate) fn of(provider: Provider) -> Option<&'static dyn Vendor> {
    BUILT.iter().copied().find(|vendor| vendor.provider() == provider)
}
