//! `contact.erase`: takes everything away that is known of a person, for administrators.

use std::collections::BTreeMap;
use std::future::Future;

use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// The body of `contact.erase`.
pub trait EraseApi: Send + Sync + 'static {
    /// Erases the person of a contact at the accounts that the administrator may use.
    fn erase(
        &self,
        identity: Identity,
        params: EraseParams,
    ) -> impl Future<Output = Result<Answer<Erased>, Failure>> + Send;
}

pub const ERASE: Method<EraseParams, Answer<Erased>> = Method::new(
    "contact.erase",
    "Erases what is known of a person: number, names, texts, files, webhooks. Messages stay as empty rows",
    &[Kind::ConfigurationNotFound, Kind::RecordNotFound],
);

pub(crate) fn add_to<A: EraseApi>(module: &mut RpcModule<A>) {
    register(module, &ERASE, |api, who, params| async move { api.erase(who, params).await });
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseParams {
    pub uid: i32,
    /// Only at this account; else at all that the user may use.
    pub configuration_id: Option<i32>,
    /// A `whatsapp_contact` row of the person.
    pub contact_id: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Erased {
    /// Rows that were deleted or emptied, by table; tables without a row are left out.
    pub counts: BTreeMap<String, u64>,
}
