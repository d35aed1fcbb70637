//! Partitions of the journal: made ahead, dropped when their time is over. One daemon of a database at a time.
//!
//! Nothing here makes others wait: a partition is attached and detached under locks that inserts and readers do not
//! meet, and where a long reader (a backup) holds the journal the detachment is put off, not waited for.

use std::sync::Arc;
use std::time::Duration;

use wabridge_store::advisory::{self, Job};
use wabridge_store::{StoreError, journal, tx};

use crate::runtime::Runtime;

const EVERY: Duration = Duration::from_secs(3600);
/// After a failure, while another daemon does it, or while a reader of the journal is in the way.
const SOONER: Duration = Duration::from_secs(20);

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

/// False when something is left to do: another daemon is at it, or a reader of the journal is in the way.
async fn upkeep(rt: &Runtime) -> Result<bool, StoreError> {
    let mut dedicated = rt.store.dedicated().await?;
    if !advisory::try_lock(&dedicated.client, Job::Upkeep).await? {
        return Ok(false);
    }
    let made: Result<u32, StoreError> =
        tx!(&rt.store, "upkeep.partitions", |tx| journal::ensure_partitions(tx).await);
    let made = made?;
    if made > 0 {
        tracing::info!(db.name = %rt.name, partitions = made, "journal of database {}: {made} partitions made", rt.name);
    }
    let days = i32::try_from(rt.journal.keep_days).unwrap_or(i32::MAX);
    for partition in journal::expired_partitions(&rt.store.client().await?, days).await? {
        let name = &partition.name;
        match journal::drop_partition(&mut dedicated.client, &partition).await {
            Ok(()) => {
                tracing::info!(db.name = %rt.name, partition = %name, "journal of database {}: {name} is older than {days} days and was dropped", rt.name);
            }
            Err(StoreError::Busy(why)) => {
                tracing::debug!(db.name = %rt.name, partition = %name, "journal of database {}: {name} is dropped later, somebody reads the journal: {why}", rt.name);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    journal::forget_kept(&rt.store.client().await?).await?;
    Ok(true)
}
