//! What an answer of a provider means for a send: rules, no waiting.

use std::time::Duration;

use rand::Rng;
use wabridge_domain::account::AccountState;
use wabridge_domain::message::Facts;
use wabridge_domain::message::StatusWord;
use wabridge_domain::outgoing::{Accepted, SendError};
use wabridge_domain::{Kind, backoff};
use wabridge_store::attempt::{Outcome, Unapplied};

/// Longest text of a provider that is kept, characters.
const WORDS_MAX_CHARS: usize = 1000;
/// First pause of an account that cannot send, until its state is asked for; doubles up to [`backoff::CAP`].
const DOWN_FIRST: Duration = Duration::from_secs(30);
/// First pause after too many failures in a row; doubles up to [`backoff::CAP`].
const FAILING_FIRST: Duration = Duration::from_secs(60);
/// First pause after a 429 without `Retry-After`; doubles up to [`backoff::CAP`].
const SLOW_DOWN_FIRST: Duration = Duration::from_secs(2);

/// An answer, in the words of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub outcome: Outcome,
    pub word: Option<StatusWord>,
    pub provider_message_id: Option<String>,
    pub error: Option<(Kind, String)>,
    /// Wait of the lane before the next attempt.
    pub retry: Option<Duration>,
    pub pause: Option<Pause>,
}

/// Why the whole account waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    SlowDown {
        asked: Option<Duration>,
    },
    /// So many sends failed in a row.
    Failing {
        in_a_row: i32,
    },
    Down {
        state: AccountState,
        message: String,
    },
}

/// Judges what came of a call; `attempts` were made before it.
pub fn judge(result: Result<Accepted, SendError>, attempts: u32, rng: &mut impl Rng) -> Verdict {
    let error = match result {
        Ok(accepted) => {
            return Verdict {
                outcome: Outcome::Accepted,
                word: Some(accepted.word),
                provider_message_id: accepted.message_id.map(|id| words(&id)),
                error: None,
                retry: None,
                pause: None,
            };
        }
        Err(error) => error,
    };
    let mut retry_in = |asked| {
        let own = backoff::full_jitter(attempts.saturating_add(1), rng);
        Some(backoff::with_retry_after(own, asked))
    };
    let (outcome, kind, text, retry, pause) = match error {
        SendError::NotSent { reason } => {
            (Outcome::NotSent, Kind::ProviderUnavailable, reason, retry_in(None), None)
        }
        SendError::NotAccepted { message, retry_after } => {
            (Outcome::NotAccepted, Kind::ProviderUnavailable, message, retry_in(retry_after), None)
        }
        SendError::RateLimited { retry_after } => (
            Outcome::RateLimited,
            Kind::ProviderRateLimited,
            "the provider asks to slow down".to_owned(),
            None,
            Some(Pause::SlowDown { asked: retry_after }),
        ),
        SendError::AccountDown { state, message } => {
            let kind = match state {
                AccountState::TokenDead => Kind::ProviderAuthFailed,
                _ => Kind::ProviderUnavailable,
            };
            let pause = Pause::Down { state, message: words(&message) };
            (Outcome::AccountDown, kind, message, None, Some(pause))
        }
        SendError::Refused { kind, message } => (Outcome::Refused, kind, message, None, None),
        SendError::Uncertain { reason } => {
            (Outcome::Uncertain, Kind::ProviderTimeout, reason, None, None)
        }
    };
    Verdict {
        outcome,
        word: None,
        provider_message_id: None,
        error: Some((kind, words(&text))),
        retry,
        pause,
    }
}

/// A provider's words as they can be stored.
fn words(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(WORDS_MAX_CHARS).collect()
}

/// How long the account pauses, `before` times in a row already.
pub fn pause_length(pause: &Pause, before: i32, rng: &mut impl Rng) -> Duration {
    let doubled = |first: Duration| {
        let times = 1u32.checked_shl(u32::try_from(before.max(0)).unwrap_or(u32::MAX));
        first.saturating_mul(times.unwrap_or(u32::MAX)).min(backoff::CAP)
    };
    match pause {
        // What was asked for is kept to the letter, and a little longer so that daemons do not come back at once.
        Pause::SlowDown { asked: Some(asked) } => {
            asked.min(&backoff::CAP.saturating_mul(4)).saturating_add(jitter(rng))
        }
        Pause::SlowDown { asked: None } => doubled(SLOW_DOWN_FIRST) + jitter(rng),
        Pause::Failing { .. } => doubled(FAILING_FIRST),
        Pause::Down { .. } => doubled(DOWN_FIRST),
    }
}

fn jitter(rng: &mut impl Rng) -> Duration {
    Duration::from_millis(rng.random_range(0..250))
}

/// What becomes of a message after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Accepted,
    /// Another attempt after this wait.
    Again(Duration),
    /// Another attempt as soon as its account may send; this one did not count.
    AgainUncounted,
    Settling,
    Failed,
}

/// Decides from an outcome and for how long the head of the lane has been failing.
pub fn fate(
    outcome: Outcome,
    retry: Option<Duration>,
    failing_for: Option<Duration>,
    head_block: Duration,
) -> Fate {
    match outcome {
        Outcome::Accepted => Fate::Accepted,
        Outcome::Refused => Fate::Failed,
        Outcome::Uncertain => Fate::Settling,
        Outcome::RateLimited | Outcome::AccountDown => Fate::AgainUncounted,
        Outcome::NotSent | Outcome::NotAccepted => {
            let failing_for = failing_for.unwrap_or_default();
            match head_block.checked_sub(failing_for) {
                None | Some(Duration::ZERO) => Fate::Failed,
                // The last attempt is made at the end of the time, not given away.
                Some(left) => Fate::Again(retry.unwrap_or(backoff::BASE).min(left)),
            }
        }
    }
}

/// The facts of a message after an attempt, at time `now`.
pub fn facts(mut facts: Facts, fate: Fate, attempt: &Unapplied, now: jiff::Timestamp) -> Facts {
    match fate {
        Fate::Accepted => {
            let word = attempt.word.as_deref().and_then(StatusWord::parse);
            facts.note(word.unwrap_or(StatusWord::Pending), now);
        }
        Fate::Failed => facts.note(StatusWord::Failed, now),
        Fate::Settling => facts.uncertain_at = facts.uncertain_at.or(Some(now)),
        Fate::Again(_) | Fate::AgainUncounted => {}
    }
    facts
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn verdict(error: SendError) -> Verdict {
        judge(Err(error), 2, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn only_what_cannot_have_taken_effect_is_repeated() {
        let again = verdict(SendError::NotSent { reason: "no route".into() });
        assert_eq!(again.outcome, Outcome::NotSent);
        assert!(again.retry.is_some() && again.pause.is_none());
        let asked = Duration::from_secs(40);
        let asked_to =
            verdict(SendError::NotAccepted { message: "busy".into(), retry_after: Some(asked) });
        assert_eq!(asked_to.retry, Some(asked));
        let unknown = verdict(SendError::Uncertain { reason: "cut".into() });
        assert_eq!((unknown.outcome, unknown.retry), (Outcome::Uncertain, None));
        let refused =
            verdict(SendError::Refused { kind: Kind::ProviderRejected, message: "no\0pe".into() });
        assert_eq!(refused.error, Some((Kind::ProviderRejected, "nope".into())));
        assert_eq!(refused.retry, None);
    }

    #[test]
    fn accounts_pause_and_messages_lose_nothing() {
        let mut rng = StdRng::seed_from_u64(1);
        let slow = verdict(SendError::RateLimited { retry_after: Some(Duration::from_secs(9)) });
        assert_eq!(fate(slow.outcome, None, None, Duration::ZERO), Fate::AgainUncounted);
        let length = pause_length(&slow.pause.unwrap(), 5, &mut rng);
        assert!((9.0..9.3).contains(&length.as_secs_f64()), "{length:?}");
        let down = verdict(SendError::AccountDown {
            state: AccountState::TokenDead,
            message: "401".into(),
        });
        assert_eq!(down.error.as_ref().unwrap().0, Kind::ProviderAuthFailed);
        let pause = down.pause.unwrap();
        let lengths: Vec<u64> =
            (0..7).map(|n| pause_length(&pause, n, &mut rng).as_secs()).collect();
        assert_eq!(lengths, [30, 60, 120, 240, 480, 900, 900]);
        assert!(pause_length(&pause, 90, &mut rng) == backoff::CAP);
    }

    #[test]
    fn a_head_blocks_its_chat_for_a_bounded_time() {
        let block = Duration::from_secs(900);
        let wait = Duration::from_secs(60);
        let of = |failing: u64| {
            fate(Outcome::NotSent, Some(wait), Some(Duration::from_secs(failing)), block)
        };
        assert_eq!(of(0), Fate::Again(wait));
        assert_eq!(of(880), Fate::Again(Duration::from_secs(20)));
        assert_eq!(of(900), Fate::Failed);
        assert_eq!(of(10_000), Fate::Failed);
        assert_eq!(fate(Outcome::NotAccepted, None, None, block), Fate::Again(backoff::BASE));
    }
}
