//! `journal.`: received webhooks, for administrators.

use std::future::Future;

use jiff::Timestamp;
use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wabridge_domain::Kind;

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// Most webhooks of one call.
pub const REPLAY_MAX: usize = 100;

/// The bodies of `journal.…`.
pub trait JournalApi: Send + Sync + 'static {
    /// Reads webhooks again and applies them. What is applied already stays as it is.
    fn replay(
        &self,
        identity: Identity,
        params: ReplayParams,
    ) -> impl Future<Output = Result<Answer<Replayed>, Failure>> + Send;

    /// One webhook as it came in.
    fn show(
        &self,
        identity: Identity,
        params: ShowParams,
    ) -> impl Future<Output = Result<Answer<Webhook>, Failure>> + Send;
}

pub const REPLAY: Method<ReplayParams, Answer<Replayed>> = Method::new(
    "journal.replay",
    "Reads webhooks of the journal again and applies them; what is applied already stays as it is",
    &[Kind::InvalidContent, Kind::RecordNotFound],
);
pub const SHOW: Method<ShowParams, Answer<Webhook>> =
    Method::new("journal.show", "One webhook of the journal", &[Kind::RecordNotFound]);

pub(crate) fn add_to<A: JournalApi>(module: &mut RpcModule<A>) {
    register(module, &REPLAY, |api, who, params| async move { api.replay(who, params).await });
    register(module, &SHOW, |api, who, params| async move { api.show(who, params).await });
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayParams {
    pub uid: i32,
    /// Ids of webhooks in the journal, at most 100.
    pub ids: Vec<i64>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowParams {
    pub uid: i32,
    /// Id of the webhook in the journal.
    pub id: i64,
}

/// What a replay came to; each webhook that was asked for is in one of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Replayed {
    /// Webhooks of which everything is applied now.
    pub applied: Vec<i64>,
    /// Events that they hold.
    pub events: usize,
    /// Webhooks that met a lock and are applied in a moment.
    pub waiting: Vec<i64>,
    /// Events that went to quarantine again.
    pub quarantined: Vec<OpenPart>,
    /// Webhooks that the journal does not hold (any more).
    pub missing: Vec<i64>,
}

/// A part of a webhook that is not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OpenPart {
    /// The webhook.
    pub id: i64,
    /// Place of the event in the body; null: the whole body.
    pub event_no: Option<i32>,
    /// `waiting`, `unreadable`, `unknown_channel`, `broken_event` or `refused_by_database`.
    pub reason: String,
    pub detail: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Webhook {
    pub id: i64,
    #[schemars(with = "String")]
    pub received_at: Timestamp,
    pub provider: String,
    /// The account that the sender authenticated as.
    pub configuration_id: i32,
    pub verified_by: String,
    pub method: String,
    pub sub_path: String,
    pub request_id: String,
    /// Those that the journal keeps; never secrets.
    pub headers: Value,
    /// As text; what is no UTF-8 is replaced. The first 262144 bytes.
    pub body: String,
    /// Of the whole body.
    pub bytes: usize,
    /// Its events as this version reads them.
    pub events: Vec<ReadEvent>,
    /// What of it is not applied.
    pub open: Vec<OpenPart>,
}

/// An event as this version reads it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ReadEvent {
    /// Place in the body.
    pub event_no: i32,
    /// In the words of `wabridge`; for people.
    pub event: Value,
}
