//! For tests only: a real PostgreSQL of their own, databases shaped like Odoo's, the daemon as a process.
//!
//! A missing PostgreSQL is a failure, not a skip.

pub mod cluster;
pub mod daemon;
pub mod database;
pub mod dice;
pub mod wire;

pub use cluster::{Cluster, OwnCluster};
pub use daemon::{Daemon, Simulator};
pub use database::{Series, TestDatabase};
pub use dice::Dice;
pub use wire::Wire;

/// A loaded machine may take this many times the seconds that a test thinks of before that is a failure.
const SLOW_MACHINE: u32 = 4;

/// Runs `check` every 20 ms until it gives a value, for some times `seconds` at most; the panic says what was missing.
pub async fn eventually<T>(
    what: &str,
    seconds: u64,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> T {
    let patience = std::time::Duration::from_secs(seconds) * SLOW_MACHINE;
    let end = tokio::time::Instant::now() + patience;
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < end, "not seen within {patience:?}: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
