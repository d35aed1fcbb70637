//! `template.`: the provider's templates.

use std::future::Future;

use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// The body of `template.sync`.
pub trait SyncApi: Send + Sync + 'static {
    /// Asks the provider for all templates of an account. Nothing is stored: the table is Odoo's.
    fn sync(
        &self,
        identity: Identity,
        params: TemplateSyncParams,
    ) -> impl Future<Output = Result<Answer<Templates>, Failure>> + Send;
}

pub const SYNC: Method<TemplateSyncParams, Answer<Templates>> = Method::new(
    "template.sync",
    "Asks the provider for its templates; the caller stores them",
    &[
        Kind::ConfigurationNotFound,
        Kind::NoConfigurationForUser,
        Kind::ConfigurationInactive,
        Kind::UnsupportedByProvider,
        Kind::ProviderUnavailable,
        Kind::ProviderRejected,
        Kind::ProviderRateLimited,
        Kind::ProviderAuthFailed,
        Kind::ProviderTimeout,
    ],
);

pub(crate) fn add_to<A: SyncApi>(module: &mut RpcModule<A>) {
    register(module, &SYNC, |api, who, params| async move { api.sync(who, params).await });
}

/// Parameters of `template.sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateSyncParams {
    pub uid: i32,
    /// The account; the user's default account when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
}

/// `data` of `template.sync`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Templates {
    /// The account that was asked.
    pub configuration_id: i32,
    pub templates: Vec<ProviderTemplate>,
}

/// One language of a template, as the provider has it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProviderTemplate {
    /// The provider's id.
    pub id: String,
    pub name: String,
    /// `en_US`
    pub language: String,
    /// `marketing`, `utility`, `authentication`
    pub category: String,
    /// `approved`, `pending`, `rejected`, `paused`, `disabled`, or another word of the provider.
    pub state: String,
    /// The provider's definition as it is.
    pub components: serde_json::Value,
}
