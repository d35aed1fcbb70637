//! `wabridge.idempotency`: which message a user's key stands for.

use deadpool_postgres::GenericClient;

use crate::{StoreError, Tx};

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub fingerprint: Vec<u8>,
    pub message_id: i32,
}

/// Takes the key for a new message; false when somebody has it. Waits for a concurrent twin to commit or roll
/// back first. The caller calls [`point`] in the same transaction.
///
/// # Errors
/// The database's.
pub async fn claim(
    tx: &Tx<'_>,
    uid: i32,
    key: &str,
    fingerprint: &[u8],
) -> Result<bool, StoreError> {
    let sql = "-- idempotency::claim
        INSERT INTO wabridge.idempotency (uid, key, fingerprint) VALUES ($1, $2, $3)
        ON CONFLICT (uid, key) DO NOTHING";
    let statement = tx.prepare_cached(sql).await?;
    let fresh = tx
        .execute(&statement, &[/* uid */ &uid, /* key */ &key, /* fingerprint */ &fingerprint])
        .await?;
    Ok(fresh == 1)
}

/// Says which message the claimed key stands for.
///
/// # Errors
/// The database's.
pub async fn point(tx: &Tx<'_>, uid: i32, key: &str, message_id: i32) -> Result<(), StoreError> {
    let sql = "-- idempotency::point
        UPDATE wabridge.idempotency SET message_id = $3 WHERE uid = $1 AND key = $2";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[/* uid */ &uid, /* key */ &key, /* message_id */ &message_id]).await?;
    Ok(())
}

/// The message of a key.
///
/// # Errors
/// The database's.
pub async fn find(
    client: &impl GenericClient,
    uid: i32,
    key: &str,
) -> Result<Option<Known>, StoreError> {
    let sql = "-- idempotency::find
        SELECT fingerprint, message_id FROM wabridge.idempotency
        WHERE uid = $1 AND key = $2 AND message_id IS NOT NULL";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, &[/* uid */ &uid, /* key */ &key]).await?;
    Ok(row.map(|row| Known { fingerprint: row.get(0), message_id: row.get(1) }))
}

/// Forgets keys older than `days`.
///
/// # Errors
/// The database's.
pub async fn collect(tx: &Tx<'_>, days: u32) -> Result<u64, StoreError> {
    let sql = "-- idempotency::collect
        DELETE FROM wabridge.idempotency WHERE (uid, key) IN (
            SELECT uid, key FROM wabridge.idempotency
            WHERE created_at < now() - $1::int8 * interval '1 day' ORDER BY created_at LIMIT 5000)";
    Ok(tx.execute(sql, &[/* days */ &i64::from(days)]).await?)
}
