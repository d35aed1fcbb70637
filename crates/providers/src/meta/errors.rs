//! What Meta's error codes mean for a call (error table of its pages). The code decides, not the HTTP status,
//! which varies, nor the title, which is to go.

use std::time::Duration;

use serde_json::Value;
use wabridge_domain::Secret;
use wabridge_domain::account::AccountState;
use wabridge_domain::error::Kind;
use wabridge_domain::outgoing::SendError;

use crate::http::words;
use crate::json::text;

/// Meta's wait for one pair of numbers: a message in 6 s.
const PAIR_WAIT: Duration = Duration::from_secs(6);
/// "After about a minute", "after minutes".
const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: Duration = Duration::from_secs(300);

/// An error of an answer: `{"error": {"code", "message", "error_data": {"details"}}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GraphError {
    pub code: Option<i64>,
    /// Meta's words, one line, without the token; None where it has none.
    pub message: Option<String>,
}

impl GraphError {
    /// None where the answer holds no error.
    pub(super) fn of(answer: &Value, token: &Secret) -> Option<Self> {
        let error = answer.get("error").filter(|error| error.is_object())?;
        let code = match error.get("code") {
            Some(Value::Number(code)) => code.as_i64(),
            Some(Value::String(code)) => code.trim().parse().ok(),
            _ => None,
        };
        let details = error.get("error_data").and_then(|data| text(data, "details"));
        let mut parts: Vec<String> = [text(error, "message"), details]
            .into_iter()
            .flatten()
            .map(|part| words(part, token))
            .filter(|part| !part.is_empty())
            .collect();
        parts.dedup();
        let message = (!parts.is_empty()).then(|| parts.join(": "));
        Some(Self { code, message })
    }

    fn words(&self, or: &str) -> String {
        self.message.clone().unwrap_or_else(|| or.to_owned())
    }

    /// What the error means for a send; None where the table does not know its code.
    pub(super) fn meaning(&self, retry_after: Option<Duration>) -> Option<SendError> {
        let down = |state, or: &str| SendError::AccountDown { state, message: self.words(or) };
        let refused = |kind| SendError::Refused { kind, message: self.words("no reason given") };
        let later = |wait: Option<Duration>| SendError::NotAccepted {
            message: self.words("no reason given"),
            retry_after: retry_after.or(wait),
        };
        let slower =
            |wait: Option<Duration>| SendError::RateLimited { retry_after: retry_after.or(wait) };
        Some(match self.code? {
            0 | 190 => down(AccountState::TokenDead, "the token is not valid any more"),
            // The platform's own faults.
            1 | 2 | 131_000 | 131_016 => later(None),
            // The app lacks a right; waiting does not give it.
            3 | 10 | 200..=299 | 131_005 => refused(Kind::ProviderAuthFailed),
            4 | 80_007 => slower(Some(MINUTE)),
            130_429 => slower(None),
            // The number is being moved or upgraded: nothing of it works meanwhile.
            131_057 => slower(Some(MINUTE)),
            2_494_100 => slower(Some(MINUTES)),
            131_056 => later(Some(PAIR_WAIT)),
            131_208 | 132_069 => later(Some(MINUTE)),
            368 => down(AccountState::Banned, "Meta blocked the account for breaking its policy"),
            131_031 => down(AccountState::Banned, "Meta locked the account"),
            131_048 => {
                down(AccountState::Banned, "Meta restricts the number: too many called it spam")
            }
            131_042 => down(AccountState::Disconnected, "Meta cannot collect its payment"),
            131_064 => down(AccountState::Disconnected, "the messaging limit is reached"),
            131_047 => refused(Kind::OutsideServiceWindow),
            131_050 => refused(Kind::RecipientOptedOut),
            131_021 | 131_026 | 131_030 | 131_062 => refused(Kind::InvalidRecipient),
            131_051 | 131_215 => refused(Kind::UnsupportedByProvider),
            131_053 => refused(Kind::MediaTypeUnsupported),
            100 | 131_008 | 131_009 | 132_000 | 132_001 | 132_005 | 132_007 | 132_008 | 132_012 => {
                refused(Kind::InvalidContent)
            }
            33
            | 130_472
            | 130_497
            | 131_020
            | 131_037
            | 131_041
            | 131_045
            | 131_049
            | 131_052
            | 131_059
            | 131_063
            | 131_201..=131_207
            | 131_209..=131_214
            | 132_015
            | 132_016
            | 132_068
            | 133_016
            | 135_000
            | 137_000 => refused(Kind::ProviderRejected),
            _ => return None,
        })
    }
}
