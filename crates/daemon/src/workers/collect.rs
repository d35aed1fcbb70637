//! Clears away what the outbox leaves: idle lanes, old attempts, old idempotency keys. Finds jobs that no lane
//! would ever send; there should be none.

use std::sync::Arc;
use std::time::Duration;

use tracing::{error, warn};
use wabridge_store::{StoreError, attempt, idempotency, lane, tx};

use crate::runtime::{Phase, Runtime};

/// A lane that was idle for so long goes.
const LANE_IDLE: Duration = Duration::from_secs(3600);
/// Days an idempotency key is kept.
const KEY_DAYS: u32 = 30;
/// Jobs without lane are looked for this often.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// The rest is done every so many sweeps.
const COLLECT_EVERY: u32 = 30;

/// Starts the worker.
pub fn spawn(rt: &Arc<Runtime>) {
    let rt = Arc::clone(rt);
    rt.tasks.clone().spawn(async move { run(&rt).await });
}

async fn run(rt: &Runtime) {
    let mut sweeps: u32 = 0;
    while rt.wait_for(Phase::can_send).await {
        if let Err(error) = sweep(rt).await
            && !matches!(error, StoreError::Unavailable(_))
        {
            warn!(db.name = %rt.name, %error, "lanes could not be checked: {error}");
        }
        if sweeps.is_multiple_of(COLLECT_EVERY)
            && let Err(error) = collect(rt).await
            && !matches!(error, StoreError::Unavailable(_))
        {
            warn!(db.name = %rt.name, %error, "old rows of the outbox stay for now: {error}");
        }
        sweeps = sweeps.wrapping_add(1);
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = rt.stop.cancelled() => break,
        }
    }
}

/// Wakes lanes that have jobs and yet sleep.
///
/// # Errors
/// The database's.
pub async fn sweep(rt: &Runtime) -> Result<usize, StoreError> {
    let found: Result<usize, StoreError> = tx!(&rt.store, "collect.sweep", |tx| {
        let keys = lane::forgotten(tx).await?;
        if !keys.is_empty() {
            lane::lock_all(tx, &keys).await?;
            lane::open(tx, &keys).await?;
        }
        Ok::<_, StoreError>(keys.len())
    });
    let found = found?;
    if found > 0 {
        error!(db.name = %rt.name, lanes = found, "{found} chats with waiting messages were asleep and are woken; this is a fault of the bridge, please report it");
        metrics::counter!("wabridge_forgotten_lanes_total", "database" => rt.name.clone())
            .increment(u64::try_from(found).unwrap_or(u64::MAX));
        rt.wakes.outbox.notify_one();
    }
    Ok(found)
}

async fn collect(rt: &Runtime) -> Result<(), StoreError> {
    let days = rt.journal.keep_days;
    let lanes: Result<u64, StoreError> =
        tx!(&rt.store, "collect.lanes", |tx| lane::collect(tx, LANE_IDLE).await);
    lanes?;
    let attempts: Result<u64, StoreError> =
        tx!(&rt.store, "collect.attempts", |tx| attempt::collect(tx, days).await);
    attempts?;
    wabridge_store::explain::collect(&rt.store.client().await?, days).await?;
    let idempotency: Result<u64, StoreError> =
        tx!(&rt.store, "collect.idempotency", |tx| idempotency::collect(tx, KEY_DAYS).await);
    idempotency?;
    Ok(())
}
