//! What calls about groups have in common.

use wabridge_domain::error::Kind;
use wabridge_domain::outgoing::SendError;

use crate::CallError;
use crate::http::{Failure, Lost};

/// Why a group was not (or perhaps not) made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// Surely not made.
    #[error(transparent)]
    NotMade(#[from] CallError),
    /// It may be there: making it again could make a second one. A webhook or a synchronisation tells.
    #[error("it is unknown whether the group was made: {reason}")]
    Uncertain { reason: String },
}

impl CreateError {
    /// The kind for an RPC answer.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotMade(error) => error.kind(),
            Self::Uncertain { .. } => Kind::ProviderTimeout,
        }
    }
}

pub(crate) fn uncertain(reason: impl Into<String>) -> CreateError {
    CreateError::Uncertain { reason: reason.into() }
}

/// What a refused or unclear answer means for a creation, from what it means for a send.
impl From<SendError> for CreateError {
    fn from(error: SendError) -> Self {
        let unavailable =
            |message| CallError::Unavailable { kind: Kind::ProviderUnavailable, message };
        Self::NotMade(match error {
            SendError::Uncertain { reason } => return uncertain(reason),
            SendError::NotSent { reason } => unavailable(reason),
            SendError::NotAccepted { message, .. } => unavailable(message),
            SendError::RateLimited { retry_after } => CallError::RateLimited { retry_after },
            SendError::AccountDown { state, message } => CallError::AccountDown { state, message },
            SendError::Refused { kind, message } => CallError::Refused { kind, message },
        })
    }
}

impl From<Failure> for CreateError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotWritten(reason) => SendError::NotSent { reason: reason.to_owned() }.into(),
            Failure::Lost(lost) => lost.into(),
        }
    }
}

impl From<Lost> for CreateError {
    fn from(lost: Lost) -> Self {
        uncertain(lost.as_str())
    }
}

/// Refusals that all adapters put alike.
pub(crate) fn refused<T>(kind: Kind, message: impl Into<String>) -> Result<T, CallError> {
    Err(CallError::Refused { kind, message: message.into() })
}

/// Why somebody cannot be named to a provider that knows people by their number only.
pub(crate) const NO_NUMBER: &str =
    "WhatsApp hides the number of this person, and the provider takes numbers only";

/// What is said where a provider refuses a call as we are no administrator and gives no words.
pub(crate) const NO_ADMIN: &str = "the account is no administrator of the group";
