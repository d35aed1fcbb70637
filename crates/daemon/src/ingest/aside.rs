//! When a lock of Odoo's holds applying up, a database applies aside for a while: webhooks are only journaled,
//! the sweeper tries, and its success ends the pause.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// The first pause; each further one is twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
struct Pause {
    until: Option<Instant>,
    in_a_row: u32,
}

/// Whether applying happens aside at this moment.
#[derive(Debug, Default)]
pub struct Aside(Mutex<Pause>);

impl Aside {
    /// True while webhooks are only journaled.
    pub fn now(&self) -> bool {
        let pause = self.0.lock().expect("no holder of this lock can panic");
        pause.until.is_some_and(|until| Instant::now() < until)
    }

    /// A lock was met: applies aside for a while. Returns for how long.
    pub fn met_a_lock(&self) -> Duration {
        let mut pause = self.0.lock().expect("no holder of this lock can panic");
        let length = length(pause.in_a_row);
        pause.in_a_row = pause.in_a_row.saturating_add(1);
        pause.until = Some(Instant::now() + length);
        length
    }

    /// Everything that waited could be applied.
    pub fn clear(&self) {
        *self.0.lock().expect("no holder of this lock can panic") = Pause::default();
    }
}

fn length(in_a_row: u32) -> Duration {
    FIRST.saturating_mul(1 << in_a_row.min(8)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end() {
        let aside = Aside::default();
        assert!(!aside.now());
        assert_eq!(aside.met_a_lock(), FIRST);
        assert!(aside.now());
        tokio::time::sleep(FIRST).await;
        assert!(!aside.now());
        let longest = (0..40).map(|_| aside.met_a_lock()).max();
        assert_eq!(longest, Some(LONGEST));
        aside.clear();
        assert!(!aside.now());
        assert_eq!(aside.met_a_lock(), FIRST);
    }
}
