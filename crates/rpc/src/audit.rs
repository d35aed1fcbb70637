//! `audit.`: whether the audit log is as it was sealed, for administrators.

use std::future::Future;

use jiff::Timestamp;
use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// The body of `audit.verify`.
pub trait AuditApi: Send + Sync + 'static {
    /// Compares every sealed row with what was sealed.
    fn verify(
        &self,
        identity: Identity,
        params: VerifyParams,
    ) -> impl Future<Output = Result<Answer<Verified>, Failure>> + Send;
}

pub const VERIFY: Method<VerifyParams, Answer<Verified>> = Method::new(
    "audit.verify",
    "Whether the rows of the audit log are as they were sealed; the first one that is not",
    &[Kind::InvalidContent],
);

pub(crate) fn add_to<A: AuditApi>(module: &mut RpcModule<A>) {
    register(module, &VERIFY, |api, who, params| async move { api.verify(who, params).await });
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyParams {
    pub uid: i32,
    /// A head that was written down before, `<segment>:<mac>`: the chain must hold it.
    pub head: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verified {
    /// True when nothing is wrong.
    pub intact: bool,
    /// Segments of the chain.
    pub segments: i64,
    /// Of these, those whose rows are past their time and removed.
    pub removed_segments: i64,
    /// Rows that were compared.
    pub rows: i64,
    /// Fields that were emptied on request.
    pub erased_fields: i64,
    /// Rows that are not sealed yet.
    pub unsealed: i64,
    /// The time of the oldest of these; null where there is none.
    #[schemars(with = "Option<String>")]
    pub unsealed_since: Option<Timestamp>,
    /// The newest segment, `<segment>:<mac>`; null where there is none. Write it down to notice later that the end was cut off.
    pub head: Option<String>,
    /// The first thing that is wrong; null where nothing is.
    pub broken: Option<BrokenRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BrokenRow {
    /// The `whatsapp_audit_log` row, where it is one.
    pub id: Option<i32>,
    /// The segment of the chain.
    pub segment: Option<i64>,
    /// `changed`, `deleted`, `inserted`, `reordered`, `truncated`, `proof_changed` or `key_missing`.
    pub problem: String,
    /// One sentence.
    pub detail: String,
}
