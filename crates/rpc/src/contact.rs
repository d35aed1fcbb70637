//! `contact.`: who is on WhatsApp, and what people want to get.

use std::future::Future;

use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;

use crate::change::ItemError;
use crate::error::Failure;
use crate::message::Category;
use crate::registry::{Answer, Identity, Method, register};
use crate::to::To;

/// Most numbers of one call of `contact.check`.
pub const NUMBERS_MAX: usize = 50;

/// The body of `contact.check`.
pub trait CheckApi: Send + Sync + 'static {
    /// Asks the provider who of some numbers is on WhatsApp; what it says is kept with the contacts.
    fn check(
        &self,
        identity: Identity,
        params: CheckParams,
    ) -> impl Future<Output = Result<Answer<CheckedNumbers>, Failure>> + Send;
}

/// Most people of one call of `contact.refresh`.
pub const REFRESH_MAX: usize = 100;

/// The body of `contact.block`.
pub trait BlockApi: Send + Sync + 'static {
    /// Blocks a person at the provider, or lets them write again.
    fn block(
        &self,
        identity: Identity,
        params: BlockParams,
    ) -> impl Future<Output = Result<Answer<Blocked>, Failure>> + Send;
}

/// The body of `contact.refresh`.
pub trait RefreshApi: Send + Sync + 'static {
    /// Asks the provider what it knows of some people now, and keeps what is new.
    fn refresh(
        &self,
        identity: Identity,
        params: RefreshParams,
    ) -> impl Future<Output = Result<Answer<Refreshed>, Failure>> + Send;
}

/// The bodies of `contact.opt_out` and `contact.opt_in`.
pub trait ConsentApi: Send + Sync + 'static {
    /// Notes that a person does not want messages of a category of the account's company.
    fn opt_out(
        &self,
        identity: Identity,
        params: ConsentParams,
    ) -> impl Future<Output = Result<Answer<Consent>, Failure>> + Send;

    /// Notes that a person wants them again.
    fn opt_in(
        &self,
        identity: Identity,
        params: ConsentParams,
    ) -> impl Future<Output = Result<Answer<Consent>, Failure>> + Send;
}

const ACCOUNT_ERRORS: [Kind; 3] =
    [Kind::ConfigurationNotFound, Kind::NoConfigurationForUser, Kind::ConfigurationInactive];

pub const CHECK: Method<CheckParams, Answer<CheckedNumbers>> = Method::new(
    "contact.check",
    "Asks the provider who of these numbers is on WhatsApp",
    &[
        ACCOUNT_ERRORS[0],
        ACCOUNT_ERRORS[1],
        ACCOUNT_ERRORS[2],
        Kind::InvalidContent,
        Kind::UnsupportedByProvider,
        Kind::ProviderUnavailable,
        Kind::ProviderRejected,
        Kind::ProviderRateLimited,
        Kind::ProviderAuthFailed,
        Kind::ProviderTimeout,
    ],
);

pub const BLOCK: Method<BlockParams, Answer<Blocked>> = Method::new(
    "contact.block",
    "Blocks a person at the provider, or lets them write again",
    &[
        ACCOUNT_ERRORS[0],
        ACCOUNT_ERRORS[1],
        ACCOUNT_ERRORS[2],
        Kind::InvalidRecipient,
        Kind::UnsupportedByProvider,
        Kind::RecordNotFound,
        Kind::ProviderUnavailable,
        Kind::ProviderRejected,
        Kind::ProviderRateLimited,
        Kind::ProviderAuthFailed,
        Kind::ProviderTimeout,
    ],
);

pub const REFRESH: Method<RefreshParams, Answer<Refreshed>> = Method::new(
    "contact.refresh",
    "Asks the provider what it knows of these people now, and keeps what is new",
    &[
        ACCOUNT_ERRORS[0],
        ACCOUNT_ERRORS[1],
        ACCOUNT_ERRORS[2],
        Kind::InvalidContent,
        Kind::UnsupportedByProvider,
        Kind::Conflict,
        Kind::Locked,
    ],
);

const CONSENT_ERRORS: &[Kind] = &[
    ACCOUNT_ERRORS[0],
    ACCOUNT_ERRORS[1],
    ACCOUNT_ERRORS[2],
    Kind::InvalidRecipient,
    Kind::InvalidContent,
];

pub const OPT_OUT: Method<ConsentParams, Answer<Consent>> = Method::new(
    "contact.opt_out",
    "Notes that a person does not want messages of a category",
    CONSENT_ERRORS,
);

pub const OPT_IN: Method<ConsentParams, Answer<Consent>> = Method::new(
    "contact.opt_in",
    "Notes that a person wants messages of a category again",
    CONSENT_ERRORS,
);

/// Registers `contact.check`; to be called by [`crate::methods`] once its body exists.
pub fn add_check<A: CheckApi>(module: &mut RpcModule<A>) {
    register(module, &CHECK, |api, who, params| async move { api.check(who, params).await });
}

/// Registers `contact.block`.
pub fn add_block<A: BlockApi>(module: &mut RpcModule<A>) {
    register(module, &BLOCK, |api, who, params| async move { api.block(who, params).await });
}

/// Registers `contact.refresh`.
pub fn add_refresh<A: RefreshApi>(module: &mut RpcModule<A>) {
    register(module, &REFRESH, |api, who, params| async move { api.refresh(who, params).await });
}

/// Registers `contact.opt_out` and `contact.opt_in`; to be called by [`crate::methods`] once their bodies exist.
pub fn add_consent<A: ConsentApi>(module: &mut RpcModule<A>) {
    register(module, &OPT_OUT, |api, who, params| async move { api.opt_out(who, params).await });
    register(module, &OPT_IN, |api, who, params| async move { api.opt_in(who, params).await });
}

/// Parameters of `contact.check`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckParams {
    pub uid: i32,
    /// The account that asks; the user's default account when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// 1 to 50 numbers as people write them.
    pub numbers: Vec<String>,
}

/// `data` of `contact.check`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CheckedNumbers {
    /// One for each number, in their order.
    pub results: Vec<NumberResult>,
}

/// What is known of one number.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum NumberResult {
    Known {
        /// As it was given.
        number: String,
        /// E.164 with plus.
        phone: String,
        is_wa_contact: bool,
        /// The provider's id of the chat, in the form that it confirmed.
        chat_id: Option<String>,
        /// The `whatsapp_contact` row, where there is one.
        contact_id: Option<i32>,
    },
    Refused {
        /// As it was given.
        number: String,
        error: ItemError,
    },
}

/// Parameters of `contact.block`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockParams {
    pub uid: i32,
    /// The account that blocks; the user's default account when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// The person; never a group.
    pub to: To,
    /// False: they may write again.
    pub blocked: bool,
}

/// `data` of `contact.block`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Blocked {
    /// The `whatsapp_contact` row.
    pub contact_id: i32,
    pub blocked: bool,
}

/// Parameters of `contact.refresh`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshParams {
    pub uid: i32,
    /// The account that asks, whose contacts they are; the user's default account when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// 1 to 100 `whatsapp_contact` rows.
    pub contact_ids: Vec<i32>,
}

/// `data` of `contact.refresh`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Refreshed {
    /// One for each id, in their order.
    pub results: Vec<RefreshResult>,
}

/// What came of one person.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum RefreshResult {
    Asked {
        id: i32,
        /// False: the row said all of it already.
        changed: bool,
    },
    Refused {
        id: i32,
        error: ItemError,
    },
}

/// Parameters of `contact.opt_out` and `contact.opt_in`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentParams {
    pub uid: i32,
    /// An account of the company that is meant; the user's default account when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// The person; never a group.
    pub to: To,
    /// `marketing` when absent.
    #[serde(default)]
    pub category: Option<Category>,
    /// Why, in words that stay with the wish; at most 200 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `data` of `contact.opt_out` and `contact.opt_in`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Consent {
    /// The `whatsapp_contact` rows of the person in that company.
    pub contact_ids: Vec<i32>,
    pub category: Category,
    pub opted_out: bool,
    /// False: it was so already.
    pub changed: bool,
}
