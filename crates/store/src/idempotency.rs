//! `wabridge.idempotency`: which message a user's key stands for.

use deadpool_postgres::GenericClient;

use crate::{StoreError, Tx};

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub fingerprint: Vec<u8>,
    pub message_id: i32,
}

/// A new message: its user and content, and his key where he gave one.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    pub uid: i32,
    pub key: Option<&'a str>,
    pub fingerprint: &'a [u8],
}

/// The statement of [`draw`]. Ids in the order of the list; keys in their own order, so that two callers cannot wait for
/// each other.
pub const DRAW: &str = "-- idempotency::draw
        WITH drawn AS MATERIALIZED (
            SELECT u.uid, u.key, u.fingerprint, u.no, nextval('public.whatsapp_message_id_seq')::int4 AS id
            FROM (SELECT * FROM unnest($1::int4[], $2::text[], $3::bytea[]) WITH ORDINALITY
                  AS u(uid, key, fingerprint, no) ORDER BY no) u),
        claimed AS (
            INSERT INTO wabridge.idempotency (uid, key, fingerprint, message_id)
            SELECT d.uid, d.key, d.fingerprint, d.id FROM drawn d WHERE d.key IS NOT NULL ORDER BY d.uid, d.key
            ON CONFLICT (uid, key) DO NOTHING
            RETURNING message_id)
        SELECT d.id, d.key IS NULL OR EXISTS (SELECT 1 FROM claimed c WHERE c.message_id = d.id)
        FROM drawn d ORDER BY d.no";

/// Draws the row ids of new messages, rising, and takes their keys for them; for each its id, and false where somebody
/// has its key. No key stands twice in the list. Waits for concurrent twins to commit or roll back first.
///
/// # Errors
/// The database's.
pub async fn draw(tx: &Tx<'_>, claims: &[Claim<'_>]) -> Result<Vec<(i32, bool)>, StoreError> {
    let uids: Vec<i32> = claims.iter().map(|claim| claim.uid).collect();
    let keys: Vec<Option<&str>> = claims.iter().map(|claim| claim.key).collect();
    let fingerprints: Vec<&[u8]> = claims.iter().map(|claim| claim.fingerprint).collect();
    let statement = tx.prepare_cached(DRAW).await?;
    let rows = tx
        .query(&statement, &[/* uid */ &uids, /* key */ &keys, /* fingerprint */ &fingerprints])
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Takes a key for a message that is there; false when somebody has it. Waits for a concurrent twin to commit or roll
/// back first.
///
/// # Errors
/// The database's.
pub async fn claim(
    tx: &Tx<'_>,
    uid: i32,
    key: &str,
    fingerprint: &[u8],
    message_id: i32,
) -> Result<bool, StoreError> {
    let sql = "-- idempotency::claim
        INSERT INTO wabridge.idempotency (uid, key, fingerprint, message_id) VALUES ($1, $2, $3, $4)
        ON CONFLICT (uid, key) DO NOTHING";
    let statement = tx.prepare_cached(sql).await?;
    let taken = tx
        .execute(
            &statement,
            &[
                /* uid */ &uid,
                /* key */ &key,
                /* fingerprint */ &fingerprint,
                /* message_id */ &message_id,
            ],
        )
        .await?;
    Ok(taken == 1)
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
