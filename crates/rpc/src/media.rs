//! `media.`: files of messages. Their bytes go over `PUT /media` and `GET /media/<id>`, not over here.

use std::future::Future;

use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// The bodies of `media.…`.
pub trait MediaApi: Send + Sync + 'static {
    /// Has a file that could not be fetched, or was lost, fetched again from the provider.
    fn fetch_again(
        &self,
        identity: Identity,
        params: FetchAgainParams,
    ) -> impl Future<Output = Result<Answer<Fetching>, Failure>> + Send;
}

pub const FETCH_AGAIN: Method<FetchAgainParams, Answer<Fetching>> = Method::new(
    "media.fetch_again",
    "Fetches the file of a message again; it is there soon after, or its row says why not",
    &[Kind::RecordNotFound, Kind::Conflict],
);

pub(crate) fn add_to<A: MediaApi>(module: &mut RpcModule<A>) {
    register(module, &FETCH_AGAIN, |api, identity, params| async move {
        api.fetch_again(identity, params).await
    });
}

/// Parameters of `media.fetch_again`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchAgainParams {
    pub uid: i32,
    /// The `whatsapp_media` row.
    pub media_id: i32,
}

/// `data` of `media.fetch_again`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fetching {
    /// The `whatsapp_media` row.
    pub id: i32,
    /// `waiting`.
    pub state: String,
}
