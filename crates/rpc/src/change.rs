//! `message.retry`, `cancel`, `react`, `edit`, `delete`: what can be done with a message that is there.

use std::future::Future;

use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;
use wabridge_domain::message::Status;

use crate::bulk::{BulkParams, BulkSent};
use crate::error::{ErrorData, Failure};
use crate::message::Sent;
use crate::registry::{Answer, Identity, Method, register};

/// The bodies of `message.retry`, `message.cancel` and `message.send_bulk`.
pub trait ChangeApi: Send + Sync + 'static {
    /// Sends failed or uncertain messages again; their rows stay.
    fn retry(
        &self,
        identity: Identity,
        params: ChangeParams,
    ) -> impl Future<Output = Result<Answer<Changed>, Failure>> + Send;

    /// Takes messages back before they are sent.
    fn cancel(
        &self,
        identity: Identity,
        params: ChangeParams,
    ) -> impl Future<Output = Result<Answer<Changed>, Failure>> + Send;

    /// Stores many messages, in their order.
    fn send_bulk(
        &self,
        identity: Identity,
        params: BulkParams,
    ) -> impl Future<Output = Result<Answer<BulkSent>, Failure>> + Send;
}

pub const RETRY: Method<ChangeParams, Answer<Changed>> = Method::new(
    "message.retry",
    "Sends failed or uncertain messages again",
    &[
        Kind::ConfigurationInactive,
        Kind::InvalidRecipient,
        Kind::InvalidContent,
        Kind::MediaTypeUnsupported,
        Kind::UnsupportedByProvider,
        Kind::RecipientOptedOut,
        Kind::RecordNotFound,
        Kind::Conflict,
    ],
);

pub const CANCEL: Method<ChangeParams, Answer<Changed>> = Method::new(
    "message.cancel",
    "Takes messages back that were not tried yet",
    &[Kind::InvalidContent, Kind::RecordNotFound, Kind::Conflict],
);

pub const SEND_BULK: Method<BulkParams, Answer<BulkSent>> = Method::new(
    "message.send_bulk",
    "Sends up to 1000 messages; each has a result of its own",
    &[Kind::InvalidContent],
);

/// The bodies of `message.react`, `message.edit` and `message.delete`.
pub trait ReviseApi: Send + Sync + 'static {
    /// Sends a reaction to a message: a message of its own.
    fn react(
        &self,
        identity: Identity,
        params: ReactParams,
    ) -> impl Future<Output = Result<Answer<Sent>, Failure>> + Send;

    /// Puts another text in the place of a sent one, at the provider and then in the row.
    fn edit(
        &self,
        identity: Identity,
        params: EditParams,
    ) -> impl Future<Output = Result<Answer<Revised>, Failure>> + Send;

    /// Deletes a sent message for everybody, at the provider and then in the row.
    fn delete(
        &self,
        identity: Identity,
        params: DeleteParams,
    ) -> impl Future<Output = Result<Answer<Revised>, Failure>> + Send;
}

/// What a call that asks the provider at once may come to.
const AT_ONCE: &[Kind] = &[
    Kind::ConfigurationInactive,
    Kind::InvalidContent,
    Kind::UnsupportedByProvider,
    Kind::ProviderUnavailable,
    Kind::ProviderRejected,
    Kind::ProviderRateLimited,
    Kind::ProviderAuthFailed,
    Kind::ProviderTimeout,
    Kind::RecordNotFound,
    Kind::Conflict,
];

pub const REACT: Method<ReactParams, Answer<Sent>> = Method::new(
    "message.react",
    "Reacts to a message, or takes the reaction back",
    &[
        Kind::ConfigurationInactive,
        Kind::InvalidContent,
        Kind::UnsupportedByProvider,
        Kind::IdempotencyConflict,
        Kind::RecordNotFound,
        Kind::Conflict,
    ],
);

pub const EDIT: Method<EditParams, Answer<Revised>> = Method::new(
    "message.edit",
    "Puts another text in the place of a sent one; the former stays in Odoo",
    AT_ONCE,
);

pub const DELETE: Method<DeleteParams, Answer<Revised>> =
    Method::new("message.delete", "Deletes a sent message for everybody", AT_ONCE);

pub(crate) fn add_revise<A: ReviseApi>(module: &mut RpcModule<A>) {
    register(module, &REACT, |api, who, params| async move { api.react(who, params).await });
    register(module, &EDIT, |api, who, params| async move { api.edit(who, params).await });
    register(module, &DELETE, |api, who, params| async move { api.delete(who, params).await });
}

pub(crate) fn add_to<A: ChangeApi>(module: &mut RpcModule<A>) {
    register(module, &RETRY, |api, who, params| async move { api.retry(who, params).await });
    register(module, &CANCEL, |api, who, params| async move { api.cancel(who, params).await });
    register(
        module,
        &SEND_BULK,
        |api, who, params| async move { api.send_bulk(who, params).await },
    );
}

/// Most messages that one call may name.
pub const IDS_MAX: usize = 1000;

/// Either `id`, or `ids`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeParams {
    pub uid: i32,
    /// Row id in `whatsapp_message`.
    #[serde(default)]
    pub id: Option<i32>,
    /// Several of them, 1 to 1000; what cannot be done with one of them does not touch the others.
    #[serde(default)]
    pub ids: Option<Vec<i32>>,
}

/// `data` of a change: of the one message, or `results` in the order of `ids`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Changed {
    One(Sent),
    Many { results: Vec<ChangeResult> },
}

/// What came of one message of several.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ChangeResult {
    Done(Sent),
    Refused {
        /// The message as it was named.
        id: i32,
        error: ItemError,
    },
}

/// The error of one item of a call that has many: what a call of its own would have got.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ItemError {
    /// As in the table of errors, 1102 where parameters do not fit.
    pub code: i32,
    pub message: String,
    pub data: ErrorData,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReactParams {
    pub uid: i32,
    /// Row id of the message that is reacted to.
    pub id: i32,
    /// One emoji; null or absent takes the reaction back.
    #[serde(default)]
    pub emoji: Option<String>,
    /// As in `message.send`.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// As in `message.send`.
    #[serde(default, deserialize_with = "crate::message::wait_ms")]
    #[schemars(range(min = 0, max = 60_000))]
    pub wait_ms: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditParams {
    pub uid: i32,
    /// Row id of a message that was sent with the account.
    pub id: i32,
    /// The new text; the caption, where the message is a file.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteParams {
    pub uid: i32,
    /// Row id of a message that was sent with the account.
    pub id: i32,
}

/// A message that the provider changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Revised {
    pub id: i32,
    /// The provider's id.
    pub message_id: Option<String>,
    pub status: Status,
}
