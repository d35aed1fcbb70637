//! `wabridge.group_call`: calls about groups with a key, so that a repeated one does nothing again.
//!
//! Whoever works on a key holds an advisory lock on it with a connection of his own: who has to wait knows that
//! somebody is at work, and a row without answer whose lock is free was left by a daemon that ended in the middle.

use deadpool_postgres::GenericClient;
use serde_json::Value;

use crate::{StoreError, Tx};

/// First half of the advisory locks on keys ("wabg").
const SPACE: i32 = 0x7761_6267;

/// What is known of a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub fingerprint: Vec<u8>,
    pub configuration_id: Option<i32>,
    /// None: its call is in work, or ended in the middle.
    pub answer: Option<Value>,
    pub progress: Option<Value>,
}

/// Takes the key for as long as this connection lives; false when another session has it.
///
/// # Errors
/// The database's.
pub async fn try_hold(
    client: &tokio_postgres::Client,
    uid: i32,
    key: &str,
) -> Result<bool, StoreError> {
    let sql = "-- group_call::try_hold
        SELECT pg_try_advisory_lock($1, hashtext($2))";
    let name = format!("{uid}:{key}");
    let row = client.query_one(sql, &[/* space */ &SPACE, /* name */ &name]).await?;
    Ok(row.get(0))
}

/// # Errors
/// The database's.
pub async fn find(
    client: &impl GenericClient,
    uid: i32,
    key: &str,
) -> Result<Option<Known>, StoreError> {
    let sql = "-- group_call::find
        SELECT fingerprint, configuration_id, answer, progress FROM wabridge.group_call
        WHERE uid = $1 AND key = $2";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, &[/* uid */ &uid, /* key */ &key]).await?;
    Ok(row.map(|row| Known {
        fingerprint: row.get(0),
        configuration_id: row.get(1),
        answer: row.get(2),
        progress: row.get(3),
    }))
}

/// Notes that the provider is about to be called for this key; one that is there stays as it is.
///
/// # Errors
/// The database's.
pub async fn begin(
    client: &impl GenericClient,
    uid: i32,
    key: &str,
    fingerprint: &[u8],
    configuration_id: Option<i32>,
) -> Result<(), StoreError> {
    let sql = "-- group_call::begin
        INSERT INTO wabridge.group_call (uid, key, fingerprint, configuration_id) VALUES ($1, $2, $3, $4)
        ON CONFLICT (uid, key) DO NOTHING";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* uid */ &uid,
                /* key */ &key,
                /* fingerprint */ &fingerprint,
                /* configuration_id */ &configuration_id,
            ],
        )
        .await?;
    Ok(())
}

/// Keeps what is done so far.
///
/// # Errors
/// The database's.
pub async fn note_progress(
    client: &impl GenericClient,
    uid: i32,
    key: &str,
    progress: &Value,
) -> Result<(), StoreError> {
    let sql = "-- group_call::note_progress
        UPDATE wabridge.group_call SET progress = $3 WHERE uid = $1 AND key = $2";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[/* uid */ &uid, /* key */ &key, /* progress */ progress]).await?;
    Ok(())
}

/// Keeps the answer.
///
/// # Errors
/// The database's.
pub async fn finish(
    client: &impl GenericClient,
    uid: i32,
    key: &str,
    answer: &Value,
) -> Result<(), StoreError> {
    let sql = "-- group_call::finish
        UPDATE wabridge.group_call SET answer = $3 WHERE uid = $1 AND key = $2";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[/* uid */ &uid, /* key */ &key, /* answer */ answer]).await?;
    Ok(())
}

/// Nothing happened: the key stands for nothing.
///
/// # Errors
/// The database's.
pub async fn forget(client: &impl GenericClient, uid: i32, key: &str) -> Result<(), StoreError> {
    let sql = "-- group_call::forget
        DELETE FROM wabridge.group_call WHERE uid = $1 AND key = $2";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[/* uid */ &uid, /* key */ &key]).await?;
    Ok(())
}

/// Forgets keys older than `days`.
///
/// # Errors
/// The database's.
pub async fn collect(tx: &Tx<'_>, days: u32) -> Result<u64, StoreError> {
    let sql = "-- group_call::collect
        DELETE FROM wabridge.group_call WHERE (uid, key) IN (
            SELECT uid, key FROM wabridge.group_call
            WHERE created_at < now() - $1::int8 * interval '1 day' ORDER BY created_at LIMIT 5000)";
    Ok(tx.execute(sql, &[/* days */ &i64::from(days)]).await?)
}
