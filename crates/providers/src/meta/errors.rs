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

/// What the code of a `failed` status is in our words; None where the table does not know it.
pub(super) fn kind(code: i64) -> Option<Kind> {
    let error = GraphError { code: Some(code), message: None };
    Some(match error.meaning(None)? {
        SendError::Refused { kind, .. } => kind,
        SendError::RateLimited { .. } => Kind::ProviderRateLimited,
        SendError::AccountDown { state: AccountState::TokenDead, .. } => Kind::ProviderAuthFailed,
        // The pair's own limit.
        SendError::NotAccepted { retry_after: Some(_), .. } => Kind::ProviderRateLimited,
        SendError::AccountDown { .. }
        | SendError::NotAccepted { .. }
        | SendError::NotSent { .. }
        | SendError::Uncertain { .. } => Kind::ProviderUnavailable,
    })
}

/// A sentence for a code, where Meta's answer has none.
fn sentence(code: i64) -> &'static str {
    match code {
        0 | 190 => "the token is not valid any more",
        1 | 2 | 131_000 | 131_016 => "Meta has a fault just now",
        3 | 10 | 200..=299 | 131_005 => {
            "the app or its token lacks a permission; give it whatsapp_business_messaging"
        }
        4 | 80_007 | 130_429 | 131_208 | 132_069 => "too many calls at a time",
        33 | 100 | 131_008 | 131_009 => "Meta does not take a parameter of the message",
        368 => "Meta blocked the account for breaking its policy",
        130_472 => "Meta keeps this person from such messages, for an experiment of its own",
        130_497 => "the account may not write to people of this country",
        131_021 => "the number would write to itself",
        131_026 => {
            "it cannot be delivered: the number is not on WhatsApp, or its app is too old for it"
        }
        131_030 => "the number is not on the list of those that a test account may write to",
        131_031 => "Meta locked the account",
        131_037 => "Meta has not approved the display name of the number yet",
        131_042 => "Meta cannot collect its payment; look at the account's payment settings",
        131_045 => "the number is not registered; register it again at Meta",
        131_047 => "more than 24 hours passed since the customer wrote; send a template",
        131_048 => "Meta restricts the number: too many called it spam",
        131_049 => "Meta does not deliver more marketing to this person; try in some days",
        131_050 => "the person does not want to get marketing messages",
        131_051 => "Meta does not send messages of this type",
        131_052 | 131_053 => "Meta cannot read the file; send it in another format",
        131_056 => "too many messages to this one person at a time",
        131_057 | 2_494_100 => "the number is being moved or upgraded at Meta",
        131_062 => "such a message needs the person's phone number",
        131_063 => "marketing templates are switched off for this account",
        131_064 => "the messaging limit is reached",
        131_207 => "the group is suspended",
        131_212 => "the number is not in the group",
        131_215 => "groups need an Official Business Account",
        132_000 | 132_012 => "the parameters do not fit the template; synchronise it",
        132_001 => "the template is not there or not approved in this language; synchronise it",
        132_005 => "the text of the template became too long with its parameters",
        132_007 => "the template breaks a policy of Meta",
        132_008 => "a parameter of the template has a form that Meta does not take",
        132_015 => "Meta paused the template because people complained of it",
        132_016 => "Meta disabled the template for good because people complained of it",
        132_068 => "the flow of the template is blocked",
        137_000 => "the identity of the recipient changed; check it before you write again",
        _ => "no reason given",
    }
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

    fn words(&self) -> String {
        let own = || sentence(self.code.unwrap_or_default()).to_owned();
        self.message.clone().unwrap_or_else(own)
    }

    /// What the error means for a send; None where the table does not know its code.
    pub(super) fn meaning(&self, retry_after: Option<Duration>) -> Option<SendError> {
        let down = |state| SendError::AccountDown { state, message: self.words() };
        let refused = |kind| SendError::Refused { kind, message: self.words() };
        let later = |wait: Option<Duration>| SendError::NotAccepted {
            message: self.words(),
            retry_after: retry_after.or(wait),
        };
        let slower =
            |wait: Option<Duration>| SendError::RateLimited { retry_after: retry_after.or(wait) };
        Some(match self.code? {
            0 | 190 => down(AccountState::TokenDead),
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
            368 | 131_031 | 131_048 => down(AccountState::Banned),
            131_042 | 131_064 => down(AccountState::Disconnected),
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
