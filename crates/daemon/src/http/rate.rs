//! How many calls a key may make: a bucket that fills steadily, one for each key and daemon.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

/// What a key is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Calls a second, on average.
    pub per_second: f64,
    /// Calls at once after a pause.
    pub burst: u32,
}

impl Rate {
    pub fn is_usable(&self) -> bool {
        self.per_second.is_finite() && self.per_second >= 0.001 && self.burst >= 1
    }
}

/// The buckets of one database's keys.
#[derive(Debug, Default)]
pub struct Rates {
    /// When the bucket of a key is full again.
    full_at: Mutex<HashMap<String, Instant>>,
}

impl Rates {
    /// Takes one call out of the key's bucket; the time until there is one again where it is empty.
    pub fn take(&self, key_id: &str, rate: Rate) -> Result<(), Duration> {
        let now = Instant::now();
        let each = Duration::from_secs_f64(1.0 / rate.per_second);
        let whole = each.saturating_mul(rate.burst);
        let mut full_at = self.full_at.lock().expect("no holder of this lock can panic");
        let before = full_at.get(key_id).copied().unwrap_or(now).max(now);
        let after = before + each;
        let over = after.saturating_duration_since(now).saturating_sub(whole);
        if over.is_zero() {
            full_at.insert(key_id.to_owned(), after);
            return Ok(());
        }
        Err(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_the_rate() {
        let rates = Rates::default();
        let rate = Rate { per_second: 2.0, burst: 3 };
        let take = |key: &str| rates.take(key, rate);
        assert!((0..3).all(|_| take("a").is_ok()));
        assert_eq!(take("a"), Err(Duration::from_millis(500)));
        assert!(take("b").is_ok(), "each key has a bucket of its own");
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(take("a"), Err(Duration::from_millis(100)), "what was refused costs nothing");
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(take("a").is_ok());
        assert!(take("a").is_err());
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!((0..3).all(|_| take("a").is_ok()));
        assert!(take("a").is_err(), "no more than the burst is saved up");
    }

    #[test]
    fn what_is_a_rate() {
        let usable = |per_second, burst| Rate { per_second, burst }.is_usable();
        assert!(usable(0.5, 1));
        assert!(!usable(0.0, 1) && !usable(-1.0, 1) && !usable(f64::NAN, 1) && !usable(1.0, 0));
    }
}
