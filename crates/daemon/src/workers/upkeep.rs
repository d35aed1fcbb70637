//! Partitions of the journal: made ahead, dropped when their time is over. One daemon of a database at a time.

use std::sync::Arc;
use std::time::Duration;

use wabridge_store::advisory::{self, Job};
use wabridge_store::{StoreError, journal, tx};

use crate::runtime::Runtime;

const EVERY: Duration = Duration::from_secs(3600);
/// After a failure, or while another daemon does it.
const SOONER: Duration = Duration::from_secs(60);

/// Starts the loop.
pub fn spawn(rt: &Arc<Runtime>) {
    rt.tasks.spawn(run(Arc::clone(rt)));
}

async fn run(rt: Arc<Runtime>) {
    loop {
        if !rt.wait_for(crate::runtime::Phase::can_journal).await {
            return;
        }
        let wait = match upkeep(&rt).await {
            Ok(true) => EVERY,
            Ok(false) => SOONER,
            Err(error) => {
                // Three days of partitions are there: time to act on this line.
                tracing::warn!(db.name = %rt.name, %error, "partitions of the journal of database {} are looked after later: {error}", rt.name);
                SOONER
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = rt.stop.cancelled() => return,
        }
    }
}

/// False when another daemon is at it.
async fn upkeep(rt: &Runtime) -> Result<bool, StoreError> {
    let dedicated = rt.store.dedicated().await?;
    if !advisory::try_lock(&dedicated.client, Job::Upkeep).await? {
        return Ok(false);
    }
    let made: Result<u32, StoreError> =
        tx!(&rt.store, "upkeep.partitions", |tx| journal::ensure_partitions(tx).await);
    let made = made?;
    if made > 0 {
        tracing::info!(db.name = %rt.name, partitions = made, "journal of database {}: {made} partitions made", rt.name);
    }
    let days = i32::try_from(rt.limits.journal_days).unwrap_or(i32::MAX);
    for (name, detach_begun) in journal::expired_partitions(&rt.store.client().await?, days).await?
    {
        journal::drop_partition(&dedicated.client, &name, detach_begun).await?;
        tracing::info!(db.name = %rt.name, partition = %name, "journal of database {}: {name} is older than {days} days and was dropped", rt.name);
    }
    Ok(true)
}
