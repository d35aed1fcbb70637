//! Unauthenticated requests leave nothing but a counter row per minute.
//!
//! A request that cannot be authenticated names no database that could be believed, so each database of
//! this process counts it: its administrators see that somebody knocks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use wabridge_store::{Database, StoreError, refusal};

use crate::runtime::Runtime;

/// How often counts are written.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// Minutes kept in memory while the database is away.
const MINUTES_KEPT: usize = 240;

/// Where it knocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Zone {
    Webhook,
    Rpc,
}

impl Zone {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Rpc => "rpc",
        }
    }
}

/// (start of the minute in unix seconds, zone) -> requests not written yet.
type Counts = BTreeMap<(i64, Zone), i64>;

/// The counters of one database. Noting costs an uncontended lock and no I/O.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: Mutex<Counts>,
}

impl Refusals {
    /// Counts one refused request.
    pub fn note(&self, zone: Zone, now: Timestamp) {
        let minute = now.as_second().div_euclid(60) * 60;
        let mut counts = self.counts.lock().expect("no holder of this lock can panic");
        *counts.entry((minute, zone)).or_default() += 1;
        if counts.len() > MINUTES_KEPT {
            counts.pop_first();
        }
    }

    /// Writes what was counted; after an error it is kept for the next time.
    ///
    /// # Errors
    /// The database's.
    pub async fn flush(&self, store: &Database) -> Result<(), StoreError> {
        let taken =
            std::mem::take(&mut *self.counts.lock().expect("no holder of this lock can panic"));
        if taken.is_empty() {
            return Ok(());
        }
        let written = wabridge_store::tx!(store, "refusals.flush", |tx| {
            for ((minute, zone), count) in &taken {
                refusal::add(tx, *minute, zone.as_str(), *count).await?;
            }
            refusal::collect(tx).await?;
            Ok::<_, StoreError>(())
        });
        if written.is_err() {
            let mut counts = self.counts.lock().expect("no holder of this lock can panic");
            for (key, count) in taken {
                *counts.entry(key).or_default() += count;
            }
        }
        written
    }
}

/// Counts one refused request in every database of this process.
pub fn note_everywhere<'a>(runtimes: impl IntoIterator<Item = &'a Arc<Runtime>>, zone: Zone) {
    for rt in runtimes {
        rt.refusals.note(zone, rt.clock.now());
    }
}

/// The loop of one database: writes the counters, and forgets old nonces once a minute.
pub async fn run(rt: Arc<Runtime>) {
    let mut round = 0u32;
    loop {
        let stopping = tokio::select! {
            () = tokio::time::sleep(FLUSH_EVERY) => false,
            () = rt.stop.cancelled() => true,
        };
        if rt.phase().can_apply() {
            if let Err(error) = rt.refusals.flush(&rt.store).await {
                tracing::warn!(db.name = %rt.name, %error, "counters of refused requests are kept for later: {error}");
            }
            round = round.wrapping_add(1);
            if round.is_multiple_of(30)
                && let Err(error) = wabridge_store::nonce::collect(&rt.store).await
            {
                tracing::warn!(db.name = %rt.name, %error, "old nonces could not be removed: {error}");
            }
        }
        if stopping {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_count_a_minute_and_zone() {
        let refusals = Refusals::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        for second in [60, 61, 119, 120] {
            refusals.note(Zone::Webhook, at(second));
        }
        refusals.note(Zone::Rpc, at(60));
        let counts = refusals.counts.lock().unwrap().clone();
        assert_eq!(
            counts.into_iter().collect::<Vec<_>>(),
            [((60, Zone::Webhook), 3), ((60, Zone::Rpc), 1), ((120, Zone::Webhook), 1)]
        );
    }

    #[test]
    fn memory_is_bounded_while_the_database_is_away() {
        let refusals = Refusals::default();
        for minute in 0..1000 {
            refusals.note(Zone::Webhook, Timestamp::from_second(minute * 60).unwrap());
        }
        assert_eq!(refusals.counts.lock().unwrap().len(), MINUTES_KEPT);
    }
}
