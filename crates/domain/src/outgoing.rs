//! One call to a provider that sends a message, and what can come of it.

use std::time::Duration;

use crate::account::AccountState;
use crate::content::Content;
use crate::error::Kind;
use crate::message::StatusWord;

/// A message on its way to a provider. A value that exists is valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The provider's own id of the chat, as [`crate::event::Chat::id`].
    pub chat_id: String,
    pub content: Content,
    /// The provider's id of the message that is quoted; of a reaction, the one it aims at.
    pub quoted_id: Option<String>,
    /// The file of [`Content::file`], as it lies at the provider.
    pub file: Option<UploadedFile>,
    /// Our own reference, echoed by providers that can: `wabridge:<database>:<message row id>:<attempt>`.
    pub reference: String,
}

/// A file that was handed to the provider before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedFile {
    /// The provider's id of it.
    pub id: String,
    pub mimetype: String,
    /// The name people see.
    pub filename: Option<String>,
    /// Bytes.
    pub size: u64,
}

/// The provider took the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The id that later webhooks name. None where the provider tells it later (a queue's own id is not it).
    pub message_id: Option<String>,
    /// The word of the answer; `Pending` where it has none.
    pub word: StatusWord,
    /// The chat as the provider itself names it, where its answer tells: the form of a number that it confirmed.
    pub chat_id: Option<String>,
}

/// Why a message was not (or perhaps not) taken: a variant per decision, not per cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No byte of the request was written. May be repeated; costs an attempt.
    #[error("the provider could not be reached: {reason}")]
    NotSent { reason: String },
    /// An answer that the sheet marks as not accepted, and that may change. May be repeated; costs an attempt.
    #[error("the provider did not take the message for now: {message}")]
    NotAccepted { message: String, retry_after: Option<Duration> },
    /// 429. The account pauses, the message loses no attempt.
    #[error("the provider asks to slow down")]
    RateLimited { retry_after: Option<Duration> },
    /// Nothing can be sent from this account until somebody acts. It pauses, the message loses no attempt.
    #[error("the account cannot send: {message}")]
    AccountDown { state: AccountState, message: String },
    /// Final: this message will never be taken.
    #[error("the provider refused the message: {message}")]
    Refused { kind: Kind, message: String },
    /// The call may have taken effect. Never repeated without policy or person.
    #[error("it is unknown whether the provider took the message: {reason}")]
    Uncertain { reason: String },
}
