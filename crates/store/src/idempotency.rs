//! `wabridge.idempotency`: which message a user's key stands for.

use std::collections::HashSet;

use deadpool_postgres::GenericClient;

use crate::{StoreError, Tx};

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub fingerprint: Vec<u8>,
    pub message_id: i32,
}

/// A key, and what was sent with it.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    pub uid: i32,
    pub key: &'a str,
    pub fingerprint: &'a [u8],
}

/// The statement of [`claim`], in the order of the keys, so that two callers cannot wait for each other.
pub const CLAIM: &str = "-- idempotency::claim
        INSERT INTO wabridge.idempotency (uid, key, fingerprint)
        SELECT c.uid, c.key, c.fingerprint FROM unnest($1::int4[], $2::text[], $3::bytea[]) AS c(uid, key, fingerprint)
        ORDER BY c.uid, c.key
        ON CONFLICT (uid, key) DO NOTHING
        RETURNING uid, key";

/// Takes keys for new messages; for each false when somebody has it. No key stands twice in the list. Waits for
/// concurrent twins to commit or roll back first. The caller calls [`point`] in the same transaction.
///
/// # Errors
/// The database's.
pub async fn claim(tx: &Tx<'_>, claims: &[Claim<'_>]) -> Result<Vec<bool>, StoreError> {
    if claims.is_empty() {
        return Ok(vec![]);
    }
    let uids: Vec<i32> = claims.iter().map(|claim| claim.uid).collect();
    let keys: Vec<&str> = claims.iter().map(|claim| claim.key).collect();
    let fingerprints: Vec<&[u8]> = claims.iter().map(|claim| claim.fingerprint).collect();
    let statement = tx.prepare_cached(CLAIM).await?;
    let rows = tx
        .query(&statement, &[/* uid */ &uids, /* key */ &keys, /* fingerprint */ &fingerprints])
        .await?;
    let fresh: HashSet<(i32, &str)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(claims.iter().map(|claim| fresh.contains(&(claim.uid, claim.key))).collect())
}

/// Says which messages claimed keys, as (uid, key, message), stand for.
///
/// # Errors
/// The database's.
pub async fn point(tx: &Tx<'_>, keys: &[(i32, &str, i32)]) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    let sql = "-- idempotency::point
        UPDATE wabridge.idempotency i SET message_id = k.message_id
        FROM unnest($1::int4[], $2::text[], $3::int4[]) AS k(uid, key, message_id)
        WHERE i.uid = k.uid AND i.key = k.key";
    let uids: Vec<i32> = keys.iter().map(|(uid, _, _)| *uid).collect();
    let names: Vec<&str> = keys.iter().map(|(_, key, _)| *key).collect();
    let messages: Vec<i32> = keys.iter().map(|(_, _, message)| *message).collect();
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[/* uid */ &uids, /* key */ &names, /* message_id */ &messages])
        .await?;
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
