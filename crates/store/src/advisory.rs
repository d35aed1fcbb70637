//! Advisory locks: names for the jobs that only one daemon of a database may do at a time.

use tokio_postgres::Client;

use crate::StoreError;

/// First half of every advisory lock of ours, so that other programs' locks cannot meet it ("wabr").
const SPACE: i32 = 0x7761_6272;

/// A job that one daemon does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    Migrate = 1,
    /// Adopts rows of whatsapp_outbox_in.
    Adopt = 2,
    /// The one writer of Odoo's bus.
    Bus = 3,
    /// Partitions, retention, collectors.
    Upkeep = 4,
    /// Applies what is pending in the journal.
    Sweep = 5,
    /// Joins early events with their messages.
    Early = 6,
    /// Settles uncertain sends.
    Settle = 7,
    /// Begins runs of schedules that are due.
    Sync = 8,
    /// Seals audit rows, takes old ones away, erases in them.
    Audit = 9,
}

/// Takes the lock for as long as this connection lives; false when another session has it.
///
/// # Errors
/// The database's.
pub async fn try_lock(client: &Client, job: Job) -> Result<bool, StoreError> {
    let sql = "-- advisory::try_lock
        SELECT pg_try_advisory_lock($1, $2)";
    let row = client.query_one(sql, &[/* space */ &SPACE, /* job */ &(job as i32)]).await?;
    Ok(row.get(0))
}

/// Takes the lock until the transaction ends; false when another session has it.
///
/// # Errors
/// The database's.
pub async fn try_lock_tx(
    tx: &deadpool_postgres::Transaction<'_>,
    job: Job,
) -> Result<bool, StoreError> {
    let sql = "-- advisory::try_lock_tx
        SELECT pg_try_advisory_xact_lock($1, $2)";
    let row = tx.query_one(sql, &[/* space */ &SPACE, /* job */ &(job as i32)]).await?;
    Ok(row.get(0))
}

/// Takes the lock until the transaction ends; waits for another holder up to the session's lock time-out.
///
/// # Errors
/// The database's; [`StoreError::Busy`] when it takes too long.
pub async fn lock_tx(tx: &deadpool_postgres::Transaction<'_>, job: Job) -> Result<(), StoreError> {
    let sql = "-- advisory::lock_tx
        SELECT pg_advisory_xact_lock($1, $2)";
    tx.execute(sql, &[/* space */ &SPACE, /* job */ &(job as i32)]).await?;
    Ok(())
}
