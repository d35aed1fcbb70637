//! `wabridge.nonce`: nonces of signed calls, accepted once across all daemons of a database.

use std::collections::HashSet;

use deadpool_postgres::GenericClient;

use crate::{Database, StoreError};

/// The nonce of one call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nonce {
    pub key_id: String,
    pub nonce: String,
    /// Unix seconds, after which the call it came with is stale anyway.
    pub expires_at: i64,
}

/// Records nonces; for each false when it was used before, or stands earlier in the list.
///
/// Its commit does not wait for the disk, which would cost each call as much as storing a message does: PostgreSQL
/// writes its log in order, so that nothing a call stores here outlives a crash without the call's nonce.
///
/// # Errors
/// The database's.
pub async fn insert(
    client: &impl GenericClient,
    nonces: &[Nonce],
) -> Result<Vec<bool>, StoreError> {
    let sql = "-- nonce::insert
        INSERT INTO wabridge.nonce (key_id, nonce, expires_at)
        SELECT n.key_id, n.nonce, to_timestamp(n.expires_at)
        FROM set_config('synchronous_commit', 'off', true), unnest($1::text[], $2::text[], $3::float8[])
             AS n(key_id, nonce, expires_at)
        ORDER BY n.key_id, n.nonce
        ON CONFLICT (key_id, nonce) DO NOTHING
        RETURNING key_id, nonce";
    let statement = client.prepare_cached(sql).await?;
    #[expect(clippy::cast_precision_loss, reason = "unix seconds fit a double exactly")]
    let expires_at: Vec<f64> = nonces.iter().map(|nonce| nonce.expires_at as f64).collect();
    let key_ids: Vec<&str> = nonces.iter().map(|nonce| nonce.key_id.as_str()).collect();
    let values: Vec<&str> = nonces.iter().map(|nonce| nonce.nonce.as_str()).collect();
    let rows = client
        .query(
            &statement,
            &[
                /* key_id */ &key_ids,
                /* nonce */ &values,
                /* expires_at */ &expires_at,
            ],
        )
        .await?;
    let mut fresh: HashSet<(&str, &str)> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(nonces
        .iter()
        .map(|nonce| fresh.remove(&(nonce.key_id.as_str(), nonce.nonce.as_str())))
        .collect())
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
