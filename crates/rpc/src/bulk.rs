//! `message.send_bulk`: many messages in one call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::change::ItemError;
use crate::message::SendParams;

/// Most messages of one call.
pub const MESSAGES_MAX: usize = 1000;

/// Parameters of `message.send_bulk`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkParams {
    pub uid: i32,
    /// 1 to 1000 parameters of `message.send`; `uid` may be left out of them, and `wait_ms` is not for them.
    /// Read one by one: a bad one refuses only itself.
    #[schemars(with = "Vec<SendParams>")]
    pub messages: Vec<Value>,
}

/// `data` of `message.send_bulk`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BulkSent {
    /// One for each message, in their order.
    pub results: Vec<BulkResult>,
}

/// What came of one message.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum BulkResult {
    Taken {
        /// Row id in `whatsapp_message`.
        id: i32,
    },
    Refused {
        error: ItemError,
    },
}
