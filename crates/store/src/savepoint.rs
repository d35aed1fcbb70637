//! A part of a transaction that may be undone alone.

use crate::{StoreError, Tx};

/// # Errors
/// The database's.
pub async fn begin(tx: &Tx<'_>) -> Result<(), StoreError> {
    Ok(tx.batch_execute("SAVEPOINT part").await?)
}

/// Keeps what was done since [`begin`].
///
/// # Errors
/// The database's.
pub async fn keep(tx: &Tx<'_>) -> Result<(), StoreError> {
    Ok(tx.batch_execute("RELEASE SAVEPOINT part").await?)
}

/// Undoes what was done since [`begin`], also after an error; the transaction is usable again.
///
/// # Errors
/// The database's.
pub async fn undo(tx: &Tx<'_>) -> Result<(), StoreError> {
    Ok(tx.batch_execute("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part").await?)
}

/// Bounds how long statements of this transaction wait for a lock.
///
/// # Errors
/// The database's.
pub async fn lock_timeout(tx: &Tx<'_>, ms: u32) -> Result<(), StoreError> {
    Ok(tx.batch_execute(&format!("SET LOCAL lock_timeout = {ms}")).await?)
}
