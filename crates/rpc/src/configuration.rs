//! `configuration.`: accounts and their credentials.

use std::collections::BTreeMap;
use std::future::Future;

use jiff::Timestamp;
use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::account::AccountState;
use wabridge_domain::capability::Operation;
use wabridge_domain::{Kind, ProviderKind, Secret};

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// The bodies of `configuration.…`.
pub trait ConfigurationApi: Send + Sync + 'static {
    /// Seals a credential for one column of one row. Stores nothing; administrators only.
    fn seal(
        &self,
        identity: Identity,
        params: SealParams,
    ) -> impl Future<Output = Result<Answer<Sealed>, Failure>> + Send;

    /// Asks the provider for the state of the account, stores it and answers it.
    fn test(
        &self,
        identity: Identity,
        params: AccountParams,
    ) -> impl Future<Output = Result<Answer<Tested>, Failure>> + Send;

    /// The state of the account as last stored; asks nobody.
    fn health(
        &self,
        identity: Identity,
        params: AccountParams,
    ) -> impl Future<Output = Result<Answer<StoredHealth>, Failure>> + Send;

    /// Makes the provider deliver its webhooks to this bridge; administrators only.
    fn register_webhook(
        &self,
        identity: Identity,
        params: AccountParams,
    ) -> impl Future<Output = Result<Answer<WebhookRegistered>, Failure>> + Send;

    /// What the account's provider can do in this version.
    fn capabilities(
        &self,
        identity: Identity,
        params: AccountParams,
    ) -> impl Future<Output = Result<Answer<CapabilityTable>, Failure>> + Send;
}

const ACCOUNT_ERRORS: &[Kind] = &[Kind::ConfigurationNotFound, Kind::ConfigurationInactive];
const PROVIDER_ERRORS: &[Kind] = &[
    Kind::ConfigurationNotFound,
    Kind::ConfigurationInactive,
    Kind::InvalidContent,
    Kind::UnsupportedByProvider,
    Kind::ProviderUnavailable,
    Kind::ProviderRejected,
    Kind::ProviderRateLimited,
    Kind::ProviderAuthFailed,
    Kind::ProviderTimeout,
];

pub const SEAL: Method<SealParams, Answer<Sealed>> = Method::new(
    "configuration.seal",
    "Seals a credential for one column of one account; stores nothing",
    &[Kind::InvalidContent],
);
pub const TEST: Method<AccountParams, Answer<Tested>> = Method::new(
    "configuration.test",
    "Asks the provider for the state of an account and stores it",
    PROVIDER_ERRORS,
);
pub const HEALTH: Method<AccountParams, Answer<StoredHealth>> = Method::new(
    "configuration.health",
    "The state of an account as last stored; asks nobody",
    ACCOUNT_ERRORS,
);
pub const REGISTER_WEBHOOK: Method<AccountParams, Answer<WebhookRegistered>> = Method::new(
    "configuration.register_webhook",
    "Makes the provider deliver its webhooks to this bridge",
    PROVIDER_ERRORS,
);
pub const CAPABILITIES: Method<AccountParams, Answer<CapabilityTable>> = Method::new(
    "configuration.capabilities",
    "What the account's provider can do in this version",
    ACCOUNT_ERRORS,
);

pub(crate) fn add_to<A: ConfigurationApi>(module: &mut RpcModule<A>) {
    register(module, &SEAL, |api, who, params| async move { api.seal(who, params).await });
    register(module, &TEST, |api, who, params| async move { api.test(who, params).await });
    register(module, &HEALTH, |api, who, params| async move { api.health(who, params).await });
    register(module, &REGISTER_WEBHOOK, |api, who, params| async move {
        api.register_webhook(who, params).await
    });
    register(module, &CAPABILITIES, |api, who, params| async move {
        api.capabilities(who, params).await
    });
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealParams {
    pub uid: i32,
    /// `seal_uuid` of the account's row; it may be sealed before the row has an id.
    pub seal_uuid: String,
    /// `token`, `webhook_token`, `webhook_secret`, `app_secret` or `verify_token`.
    pub column: String,
    /// In clear; leaves the daemon only sealed.
    #[schemars(with = "String")]
    pub value: Secret,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sealed {
    /// `wab1:<key id>:<nonce>:<ciphertext>`.
    pub sealed: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountParams {
    pub uid: i32,
    /// `whatsapp_configuration.id`; the user's default account when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
}

/// What the provider says of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tested {
    pub state: AccountState,
    /// The provider's own word or sentence for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<AccountUser>,
}

/// The account's own number and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AccountUser {
    /// E.164 with plus.
    pub phone: Option<String>,
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StoredHealth {
    pub state: AccountState,
    pub reason: Option<String>,
    /// Since when, RFC 3339 UTC; null while nothing is known.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WebhookRegistered {
    /// Where the provider delivers now, with the path token replaced by `…`.
    pub url: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CapabilityTable {
    pub provider: ProviderKind,
    /// Each known operation and whether this account can do it.
    #[schemars(with = "BTreeMap<String, bool>")]
    pub capabilities: BTreeMap<Operation, bool>,
    pub limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Limits {
    /// Longest text, characters.
    pub text_max: usize,
    /// Whether free text is only allowed for 24 h after the customer wrote.
    pub service_window: bool,
    /// Messages a second that the account sends at most; 0 = no limit.
    pub pace_per_second: f64,
}
