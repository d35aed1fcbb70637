//! `wabridge.nonce`: nonces of signed calls, accepted once across all daemons of a database.

use crate::{Database, StoreError};

/// Records a nonce; false when it was used before. `expires_at` is unix seconds, after which the call it
/// came with is stale anyway.
///
/// Its commit does not wait for the disk, which would cost each call as much as storing a message does: PostgreSQL
/// writes its log in order, so that nothing a call stores here outlives a crash without the call's nonce.
///
/// # Errors
/// The database's.
pub async fn insert(
    database: &Database,
    key_id: &str,
    nonce: &str,
    expires_at: i64,
) -> Result<bool, StoreError> {
    let client = database.client().await?;
    let sql = "-- nonce::insert
        INSERT INTO wabridge.nonce (key_id, nonce, expires_at)
        SELECT $1, $2, to_timestamp($3::float8) FROM set_config('synchronous_commit', 'off', true)
        ON CONFLICT (key_id, nonce) DO NOTHING";
    let statement = client.prepare_cached(sql).await?;
    #[expect(clippy::cast_precision_loss, reason = "unix seconds fit a double exactly")]
    let expires_at = expires_at as f64;
    let rows = client
        .execute(
            &statement,
            &[
                /* key_id */ &key_id,
                /* nonce */ &nonce,
                /* expires_at */ &expires_at,
            ],
        )
        .await?;
    Ok(rows == 1)
}

/// Forgets nonces that expired more than a minute ago (the daemons' clocks differ a little from
/// PostgreSQL's); returns how many. Locked rows are left for the next time.
///
/// # Errors
/// The database's.
pub async fn collect(database: &Database) -> Result<u64, StoreError> {
    let sql = "-- nonce::collect
        DELETE FROM wabridge.nonce WHERE (key_id, nonce) IN (
            SELECT n.key_id, n.nonce FROM wabridge.nonce n WHERE n.expires_at < now() - interval '60 seconds'
            ORDER BY n.expires_at LIMIT 10000 FOR UPDATE SKIP LOCKED)";
    Ok(database.client().await?.execute(sql, &[]).await?)
}
