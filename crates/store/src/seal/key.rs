//! `wabridge.sealing_key`: which sealing keys there are, and which of them seals.

use deadpool_postgres::GenericClient;

use crate::{Database, StoreError, Tx};

/// One key as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub key_id: String,
    pub fingerprint: String,
    pub active: bool,
    pub activated_at: Option<jiff::Timestamp>,
    /// None while it is not known to be out of use.
    pub open_transactions: Option<Vec<String>>,
    pub retired_at: Option<jiff::Timestamp>,
}

/// All keys, oldest first.
///
/// # Errors
/// The database's.
pub async fn all(client: &impl GenericClient) -> Result<Vec<Known>, StoreError> {
    let sql = "-- seal::key::all
        SELECT key_id, fingerprint, active, activated_at, open_transactions, retired_at
        FROM wabridge.sealing_key ORDER BY first_seen_at, key_id";
    let rows = client.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Known {
            key_id: row.get(0),
            fingerprint: row.get(1),
            active: row.get(2),
            activated_at: row.get(3),
            open_transactions: row.get(4),
            retired_at: row.get(5),
        })
        .collect())
}

/// The id of the key that seals; None before a daemon was here.
///
/// # Errors
/// The database's.
pub async fn active(client: &impl GenericClient) -> Result<Option<String>, StoreError> {
    let sql = "-- seal::key::active
        SELECT key_id FROM wabridge.sealing_key WHERE active";
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_opt(&statement, &[]).await?.map(|row| row.get(0)))
}

/// Notes keys that somebody holds; those that are known stay as they are. `first` becomes the active one where there
/// is none yet.
///
/// # Errors
/// The database's.
pub async fn note(
    database: &Database,
    held: &[(String, String)],
    first: &str,
) -> Result<(), StoreError> {
    let client = database.client().await?;
    let (ids, fingerprints): (Vec<&str>, Vec<&str>) =
        held.iter().map(|(id, fingerprint)| (id.as_str(), fingerprint.as_str())).unzip();
    let sql = "-- seal::key::note
        INSERT INTO wabridge.sealing_key (key_id, fingerprint)
        SELECT h.key_id, h.fingerprint FROM unnest($1::text[], $2::text[]) AS h(key_id, fingerprint)
        WHERE NOT EXISTS (SELECT 1 FROM wabridge.sealing_key k WHERE k.key_id = h.key_id)
        ORDER BY h.key_id ON CONFLICT (key_id) DO NOTHING";
    client.execute(sql, &[/* ids */ &ids, /* fingerprints */ &fingerprints]).await?;
    let sql = "-- seal::key::note_first
        UPDATE wabridge.sealing_key SET active = true, activated_at = now()
        WHERE key_id = $1 AND retired_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM wabridge.sealing_key WHERE active)";
    match client.execute(sql, &[/* key_id */ &first]).await.map_err(StoreError::from) {
        // Another daemon was first.
        Err(StoreError::Refused(_)) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a key the one that seals; false where it is not known, or retired.
///
/// # Errors
/// The database's.
pub async fn activate(tx: &Tx<'_>, key_id: &str) -> Result<bool, StoreError> {
    let sql = "-- seal::key::activate_lock
        SELECT key_id FROM wabridge.sealing_key ORDER BY key_id FOR UPDATE";
    tx.query(sql, &[]).await?;
    let sql = "-- seal::key::activate_known
        SELECT 1 FROM wabridge.sealing_key WHERE key_id = $1 AND retired_at IS NULL";
    if tx.query_opt(sql, &[/* key_id */ &key_id]).await?.is_none() {
        return Ok(false);
    }
    let sql = "-- seal::key::activate_others
        UPDATE wabridge.sealing_key SET active = false WHERE active AND key_id <> $1";
    tx.execute(sql, &[/* key_id */ &key_id]).await?;
    let sql = "-- seal::key::activate
        UPDATE wabridge.sealing_key SET active = true, activated_at = now(), open_transactions = NULL
        WHERE key_id = $1 AND NOT active";
    tx.execute(sql, &[/* key_id */ &key_id]).await?;
    Ok(true)
}

/// Notes that no daemon seals with any but the active key from now on, and which transactions are open at this moment.
///
/// # Errors
/// The database's.
pub async fn note_out_of_use(client: &impl GenericClient) -> Result<(), StoreError> {
    let sql = "-- seal::key::note_out_of_use
        UPDATE wabridge.sealing_key SET open_transactions = $1
        WHERE NOT active AND open_transactions IS NULL";
    let open = open_transactions(client).await?;
    client.execute(sql, &[/* open */ &open]).await?;
    Ok(())
}

/// Every transaction that is open in this database, prepared ones too. Of other roles' transactions pg_stat_activity
/// says only where they are.
///
/// # Errors
/// The database's.
pub async fn open_transactions(client: &impl GenericClient) -> Result<Vec<String>, StoreError> {
    let sql = "-- seal::key::open_transactions
        SELECT DISTINCT l.virtualtransaction FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype IN ('virtualxid', 'transactionid') AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
          AND (a.datname IS NULL OR a.datname = current_database())
        ORDER BY 1";
    Ok(client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// Notes that a key is not needed any more.
///
/// # Errors
/// The database's.
pub async fn retire(client: &impl GenericClient, key_id: &str) -> Result<(), StoreError> {
    let sql = "-- seal::key::retire
        UPDATE wabridge.sealing_key SET retired_at = coalesce(retired_at, now()), open_transactions = NULL
        WHERE key_id = $1 AND NOT active";
    client.execute(sql, &[/* key_id */ &key_id]).await?;
    Ok(())
}
