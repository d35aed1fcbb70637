//! How long to wait before a repetition.

use std::time::Duration;

use rand::Rng;

/// First step of the back-off of a lane.
pub const BASE: Duration = Duration::from_secs(1);
/// Longest wait between two attempts.
pub const CAP: Duration = Duration::from_secs(15 * 60);

/// Full jitter: a random time between 0 and `BASE * 2^(attempt-1)`, at most `CAP`. `attempt` counts from 1.
pub fn full_jitter(attempt: u32, rng: &mut impl Rng) -> Duration {
    let ceiling = BASE
        .saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(CAP);
    ceiling.mul_f64(rng.random_range(0.0..=1.0))
}

/// What the provider asked for wins where it is longer than our own wait, up to `CAP`.
pub fn with_retry_after(own: Duration, asked: Option<Duration>) -> Duration {
    own.max(asked.unwrap_or_default()).min(CAP)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn grows_and_is_capped() {
        let mut rng = StdRng::seed_from_u64(7);
        for attempt in 0..80 {
            let ceiling = BASE
                .saturating_mul(1u32.checked_shl(attempt.max(1) - 1).unwrap_or(u32::MAX))
                .min(CAP);
            for _ in 0..50 {
                assert!(full_jitter(attempt, &mut rng) <= ceiling);
            }
        }
        let widest = (0..200).map(|_| full_jitter(5, &mut rng)).max().unwrap_or_default();
        assert!(widest > Duration::from_secs(8), "attempt 5 spreads up to 16 s, saw {widest:?}");
    }

    #[test]
    fn asked_wait_is_honoured() {
        let one = Duration::from_secs(1);
        assert_eq!(with_retry_after(one, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(with_retry_after(one, None), one);
        assert_eq!(with_retry_after(one, Some(Duration::from_secs(86_400))), CAP);
    }
}
