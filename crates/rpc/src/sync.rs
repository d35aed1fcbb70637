//! `sync.`: contacts, groups and messages as the provider has them, brought into Odoo.

use std::future::Future;

use jiff::Timestamp;
use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;
use wabridge_domain::sync::{RunState, SyncKind, SyncMode};

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// The bodies of `sync.`.
pub trait RunApi: Send + Sync + 'static {
    fn start(
        &self,
        identity: Identity,
        params: StartParams,
    ) -> impl Future<Output = Result<Answer<Started>, Failure>> + Send;

    fn sync_status(
        &self,
        identity: Identity,
        params: JobParams,
    ) -> impl Future<Output = Result<Answer<Progress>, Failure>> + Send;

    fn sync_cancel(
        &self,
        identity: Identity,
        params: JobParams,
    ) -> impl Future<Output = Result<Answer<Cancelled>, Failure>> + Send;
}

pub const START: Method<StartParams, Answer<Started>> = Method::new(
    "sync.start",
    "Starts a run that compares the provider's lists with Odoo's rows and writes what differs",
    &[
        Kind::ConfigurationNotFound,
        Kind::NoConfigurationForUser,
        Kind::ConfigurationInactive,
        Kind::InvalidContent,
        Kind::UnsupportedByProvider,
        Kind::ProviderAuthFailed,
        Kind::Conflict,
    ],
);

pub const STATUS: Method<JobParams, Answer<Progress>> =
    Method::new("sync.status", "How far a run is, and what it came to", &[Kind::RecordNotFound]);

pub const CANCEL: Method<JobParams, Answer<Cancelled>> = Method::new(
    "sync.cancel",
    "Ends a run after the page it is at; what was written stays",
    &[Kind::RecordNotFound],
);

pub(crate) fn add_to<A: RunApi>(module: &mut RpcModule<A>) {
    register(module, &START, |api, who, params| async move { api.start(who, params).await });
    register(module, &STATUS, |api, who, params| async move { api.sync_status(who, params).await });
    register(module, &CANCEL, |api, who, params| async move { api.sync_cancel(who, params).await });
}

/// Parameters of `sync.start`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartParams {
    pub uid: i32,
    /// The account; the user's default account when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// At least one, each once.
    pub kinds: Vec<SyncKind>,
    pub mode: SyncMode,
    /// With the mode `since`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
}

/// `data` of `sync.start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Started {
    /// The `whatsapp.sync.run` row.
    pub job_id: i32,
}

/// Parameters of `sync.status` and `sync.cancel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobParams {
    pub uid: i32,
    pub job_id: i32,
}

/// `data` of `sync.status`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Progress {
    pub state: RunState,
    /// 0 to 100.
    pub progress: f64,
    pub counts: Counts,
    /// A sentence for each thing that went wrong, at most a hundred.
    pub errors: Vec<String>,
}

/// What became of what was read, by kind; kinds that were not asked for are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts: Option<KindCounts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<KindCounts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<KindCounts>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KindCounts {
    pub read: i32,
    pub created: i32,
    pub changed: i32,
    pub unchanged: i32,
    pub errors: i32,
    /// Messages whose webhook never came.
    pub late: i32,
}

/// `data` of `sync.cancel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cancelled {
    /// `cancelled`; `running` where the run is still at a page; `done` or `failed` where it was over.
    pub state: RunState,
}
