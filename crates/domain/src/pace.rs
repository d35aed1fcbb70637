//! How fast one account may send.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::Rng;

use crate::ProviderKind;

/// The time between two sends of an account; zero for no limit (`pace_per_second` = 0 or less).
pub fn interval(pace_per_second: f64) -> Duration {
    if pace_per_second.is_finite() && pace_per_second > 0.0 {
        Duration::from_secs_f64((1.0 / pace_per_second).min(86_400.0))
    } else {
        Duration::ZERO
    }
}

/// After this long without a 429 half of a slowdown is over.
const RECOVERS_BY_HALF: Duration = Duration::from_secs(60);
/// The pace is never divided by more.
pub const SLOWEST: f64 = 64.0;

/// What the pace is divided by now, where it was `slow` this long ago; at least 1.
pub fn slowdown(slow: f64, ago: Duration) -> f64 {
    if !slow.is_finite() {
        return 1.0;
    }
    let halves = (ago.as_secs_f64() / RECOVERS_BY_HALF.as_secs_f64()).floor();
    (slow.min(SLOWEST) / halves.min(64.0).exp2()).max(1.0)
}

/// An extra pause between `min_s` and `max_s` seconds, drawn anew each time.
pub fn random_gap(min_s: f64, max_s: f64, rng: &mut impl Rng) -> Duration {
    let bounded = |s: f64| if s.is_finite() { s.clamp(0.0, 86_400.0) } else { 0.0 };
    let (min, max) = (bounded(min_s), bounded(max_s));
    if max <= min {
        return Duration::from_secs_f64(min);
    }
    Duration::from_secs_f64(rng.random_range(min..=max))
}

/// How close messages of an account to one person may follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// One message each; zero for no limit.
    pub interval: Duration,
    /// So many at once, borrowed from later; at least 1.
    pub burst: u32,
}

impl Gap {
    /// Meta, "Pair rate limits": one message in 6 s, up to 45 at once that are borrowed from later.
    const META: Self = Self { interval: Duration::from_secs(6), burst: 45 };
    const NONE: Self = Self { interval: Duration::ZERO, burst: 1 };

    /// The account's setting (`recipient_gap_s`), else the rule of its provider.
    pub fn of(provider: ProviderKind, setting: Duration) -> Self {
        match provider {
            _ if !setting.is_zero() => Self { interval: setting, burst: 1 },
            ProviderKind::Meta => Self::META,
            _ => Self::NONE,
        }
    }

    /// How far the theoretical arrival time of the next message may lie ahead while one still may go.
    pub fn ahead(self) -> Duration {
        self.interval.saturating_mul(self.burst.saturating_sub(1))
    }
}

/// How much of the pace may go out at one moment: a tenth of a second's worth, at least one message.
fn burst(interval: Duration) -> i64 {
    let interval_us = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).max(1);
    (100_000 / interval_us).max(1)
}

/// What may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    pub sends: i64,
    /// The new theoretical arrival time; None where it stays.
    pub tat: Option<Timestamp>,
    /// When the next token is there; None where there is no limit.
    pub next_at: Option<Timestamp>,
}

/// Takes up to `wanted` tokens by the generic cell rate algorithm. `tat` is the theoretical arrival time of the
/// next message, by the same clock as `now`.
pub fn reserve(now: Timestamp, tat: Option<Timestamp>, interval: Duration, wanted: i64) -> Grant {
    if interval.is_zero() {
        return Grant { sends: wanted.max(0), tat: None, next_at: None };
    }
    let step = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).max(1);
    let burst = burst(interval);
    let start = tat.map_or(now, |tat| tat.max(now));
    // Message k of this grant (from 0) is allowed while start + k * step <= now + (burst - 1) * step.
    let ahead = start.as_microsecond() - now.as_microsecond();
    let free = (burst - 1).saturating_mul(step).saturating_sub(ahead);
    let sends = if free < 0 { 0 } else { (free / step + 1).min(wanted).max(0) };
    let later = |from: Timestamp, micros: i64| {
        from.checked_add(SignedDuration::from_micros(micros)).unwrap_or(Timestamp::MAX)
    };
    let end = later(start, step.saturating_mul(sends));
    Grant {
        sends,
        tat: (sends > 0).then_some(end),
        next_at: Some(later(end, -(burst - 1).saturating_mul(step))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
    }

    #[test]
    fn one_a_second() {
        let second = Duration::from_secs(1);
        let first = reserve(at(0), None, second, 5);
        assert_eq!((first.sends, first.tat, first.next_at), (1, Some(at(1000)), Some(at(1000))));
        let early = reserve(at(999), first.tat, second, 5);
        assert_eq!((early.sends, early.tat, early.next_at), (0, None, Some(at(1000))));
        assert_eq!(reserve(at(1000), first.tat, second, 5).sends, 1);
        // A pause saves nothing up.
        assert_eq!(reserve(at(60_000), first.tat, second, 5).sends, 1);
    }

    #[test]
    fn fast_accounts_go_in_small_groups() {
        let grant = reserve(at(0), None, Duration::from_millis(10), 100);
        assert_eq!((grant.sends, grant.tat), (10, Some(at(100))));
        assert_eq!(grant.next_at, Some(at(10)));
    }

    #[test]
    fn no_limit() {
        let grant = reserve(at(0), Some(at(5)), Duration::ZERO, 7);
        assert_eq!(grant, Grant { sends: 7, tat: None, next_at: None });
    }

    proptest! {
        #[test]
        fn never_faster_than_the_pace(
            steps in proptest::collection::vec((0i64..3000, 1i64..20), 1..60),
            interval_ms in 1u64..2000,
        ) {
            let interval = Duration::from_millis(interval_ms);
            let (mut now, mut tat, mut sent) = (0, None, 0);
            for (wait, wanted) in steps {
                now += wait;
                let grant = reserve(at(now), tat, interval, wanted);
                sent += grant.sends;
                tat = grant.tat.or(tat);
                let allowed = now / i64::try_from(interval_ms).unwrap() + burst(interval);
                prop_assert!(sent <= allowed, "{sent} sent after {now} ms, allowed {allowed}");
            }
        }
    }

    #[test]
    fn a_slowdown_recovers() {
        let of = |slow: f64, s: u64| slowdown(slow, Duration::from_secs(s));
        assert_eq!([of(8.0, 0), of(8.0, 59), of(8.0, 60), of(8.0, 121)], [8.0, 8.0, 4.0, 2.0]);
        assert_eq!(
            [of(8.0, 86_400), of(0.5, 0), of(f64::NAN, 0), of(1e9, 0)],
            [1.0, 1.0, 1.0, 64.0]
        );
    }

    #[test]
    fn the_gap_to_one_person() {
        let of = |provider, s| Gap::of(provider, Duration::from_secs(s));
        assert_eq!(of(ProviderKind::Meta, 0).ahead(), Duration::from_secs(44 * 6));
        assert_eq!(of(ProviderKind::Whapi, 0), Gap::NONE);
        for provider in [ProviderKind::Meta, ProviderKind::Whapi] {
            let own = of(provider, 2);
            assert_eq!((own.interval, own.ahead()), (Duration::from_secs(2), Duration::ZERO));
        }
    }

    #[test]
    fn gaps_are_drawn_between_their_limits() {
        use rand::SeedableRng;
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let gaps: Vec<f64> =
            (0..200).map(|_| random_gap(1.0, 3.0, &mut rng).as_secs_f64()).collect();
        assert!(gaps.iter().all(|gap| (1.0..=3.0).contains(gap)));
        assert!(gaps.iter().any(|gap| *gap < 1.5) && gaps.iter().any(|gap| *gap > 2.5));
        assert_eq!(random_gap(0.0, 0.0, &mut rng), Duration::ZERO);
        assert_eq!(random_gap(2.0, 1.0, &mut rng), Duration::from_secs(2));
        assert_eq!(random_gap(f64::NAN, f64::INFINITY, &mut rng), Duration::ZERO);
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(interval(0.0), Duration::ZERO);
        assert_eq!(interval(-1.0), Duration::ZERO);
        assert_eq!(interval(f64::NAN), Duration::ZERO);
        assert_eq!(interval(4.0), Duration::from_millis(250));
        assert_eq!(interval(1e-12), Duration::from_secs(86_400));
    }
}
