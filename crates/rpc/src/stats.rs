//! `stats.`: figures of accounts, as the dashboards in Odoo show them.

use std::future::Future;

use jiff::Timestamp;
use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// The body of `stats.summary`.
pub trait StatsApi: Send + Sync + 'static {
    /// The figures of one account, or of each that the user may use.
    fn summary(
        &self,
        identity: Identity,
        params: SummaryParams,
    ) -> impl Future<Output = Result<Answer<Summary>, Failure>> + Send;
}

pub const SUMMARY: Method<SummaryParams, Answer<Summary>> = Method::new(
    "stats.summary",
    "Messages of the last days, what waits and how each account is",
    &[
        Kind::ConfigurationNotFound,
        Kind::NoConfigurationForUser,
        Kind::ConfigurationInactive,
        Kind::InvalidContent,
    ],
);

/// The most days that `stats.summary` counts.
pub const MOST_DAYS: u16 = 366;

pub(crate) fn add_to<A: StatsApi>(module: &mut RpcModule<A>) {
    register(module, &SUMMARY, |api, who, params| async move { api.summary(who, params).await });
}

fn week() -> u16 {
    7
}

/// Parameters of `stats.summary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SummaryParams {
    pub uid: i32,
    /// The account; every account in use that the user may use when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// So many days in UTC, the current one included: 1 to 366.
    #[serde(default = "week")]
    pub days: u16,
}

/// `data` of `stats.summary`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Summary {
    /// The first day that is counted, `YYYY-MM-DD`.
    pub first_day: String,
    /// The current day.
    pub last_day: String,
    /// By id.
    pub accounts: Vec<AccountSummary>,
}

/// One account. Sent, delivered and read are our messages that got at least so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AccountSummary {
    pub configuration_id: i32,
    /// As in `configuration.health`; `new` while nothing was seen.
    pub state: String,
    pub received: i64,
    pub sent: i64,
    pub delivered: i64,
    pub read: i64,
    pub failed: i64,
    /// Sends that are not finished, however old, and since when the oldest waits.
    pub waiting: i64,
    #[schemars(with = "Option<String>")]
    pub oldest_waiting_at: Option<Timestamp>,
    /// Today's sends that were accepted, without what was typed on the phone; what `daily_limit` is about.
    pub sent_today: i64,
    /// Null: no limit of our own.
    pub daily_limit: Option<i32>,
    /// When the days before today were counted last; today is always counted now. Null: all of it is.
    #[schemars(with = "Option<String>")]
    pub counted_at: Option<Timestamp>,
}
