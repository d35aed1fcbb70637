//! `message.mark_read`: what somebody has seen in Odoo.

use std::future::Future;

use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// Most messages that one call may name.
pub const IDS_MAX: usize = 1000;

/// The bodies of what concerns whole chats.
pub trait ChatApi: Send + Sync + 'static {
    /// Marks what was received up to a message as read, and lowers the chat's count of unread messages. The
    /// provider is told afterwards, aside; whether that works changes nothing of the answer.
    fn mark_read(
        &self,
        identity: Identity,
        params: MarkReadParams,
    ) -> impl Future<Output = Result<Answer<MarkedRead>, Failure>> + Send;
}

pub const MARK_READ: Method<MarkReadParams, Answer<MarkedRead>> = Method::new(
    "message.mark_read",
    "Says that a user has read a chat up to a message; the provider is told afterwards",
    &[Kind::ConfigurationNotFound, Kind::InvalidContent, Kind::RecordNotFound],
);

pub(crate) fn add_to<A: ChatApi>(module: &mut RpcModule<A>) {
    register(
        module,
        &MARK_READ,
        |api, who, params| async move { api.mark_read(who, params).await },
    );
}

/// Either `ids`, or `configuration_id` with `chat_id`. Who reads a message has read what came before it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkReadParams {
    pub uid: i32,
    /// Row ids in `whatsapp_message`, 1 to 1000, of one chat or several.
    #[serde(default)]
    pub ids: Option<Vec<i32>>,
    /// The account (`whatsapp_configuration.id`).
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// The provider's id of the chat.
    #[serde(default)]
    pub chat_id: Option<String>,
    /// Row id of the newest message that was seen; the whole chat when absent.
    #[serde(default)]
    pub up_to: Option<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MarkedRead {
    /// How many messages became read by this call.
    pub read: usize,
    pub chats: Vec<ChatRead>,
}

/// A chat as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChatRead {
    pub configuration_id: i32,
    pub chat_id: String,
    /// What came after the newest message that was read.
    pub unread_count: i32,
}
