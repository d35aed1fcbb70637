//! `wabridge.replica`: the daemons of a database, while they run, and the sealing keys they hold.

use deadpool_postgres::GenericClient;
use uuid::Uuid;

use crate::{Database, StoreError};

/// Seconds after which a daemon that was not heard of is not waited for.
pub const ALIVE_S: i32 = 30;
/// Seconds after which its row goes.
const FORGOTTEN_S: i32 = 3600;

/// One daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    pub owner: Uuid,
    pub started_at: jiff::Timestamp,
    /// `<key id>:<fingerprint>`.
    pub keys: Vec<String>,
    pub active: String,
}

impl Replica {
    /// Whether it holds this very key.
    pub fn holds(&self, key_id: &str, fingerprint: &str) -> bool {
        self.keys.iter().any(|key| {
            key.split_once(':').is_some_and(|(id, print)| id == key_id && print == fingerprint)
        })
    }

    /// Whether it holds a key of this id.
    pub fn knows(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.split_once(':').is_some_and(|(id, _)| id == key_id))
    }
}

/// Says that a daemon is there, and what it holds.
///
/// # Errors
/// The database's.
pub async fn beat(
    database: &Database,
    owner: Uuid,
    held: &[(String, String)],
    active: &str,
) -> Result<(), StoreError> {
    let client = database.client().await?;
    let keys: Vec<String> =
        held.iter().map(|(id, fingerprint)| format!("{id}:{fingerprint}")).collect();
    let sql = "-- seal::replica::beat
        INSERT INTO wabridge.replica (owner, keys, active) VALUES ($1, $2, $3)
        ON CONFLICT (owner) DO UPDATE SET seen_at = now(), keys = EXCLUDED.keys, active = EXCLUDED.active";
    let statement = client.prepare_cached(sql).await?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [/* owner */ &owner, /* keys */ &keys, /* active */ &active];
    client.execute(&statement, &parameters).await?;
    let sql = "-- seal::replica::forget
        DELETE FROM wabridge.replica WHERE seen_at < now() - make_interval(secs => $1)";
    client.execute(sql, &[/* seconds */ &f64::from(FORGOTTEN_S)]).await?;
    Ok(())
}

/// A daemon that stops.
///
/// # Errors
/// The database's.
pub async fn leave(database: &Database, owner: Uuid) -> Result<(), StoreError> {
    let sql = "-- seal::replica::leave
        DELETE FROM wabridge.replica WHERE owner = $1";
    database.client().await?.execute(sql, &[/* owner */ &owner]).await?;
    Ok(())
}

/// The daemons that were heard of lately, oldest first.
///
/// # Errors
/// The database's.
pub async fn alive(client: &impl GenericClient) -> Result<Vec<Replica>, StoreError> {
    let sql = "-- seal::replica::alive
        SELECT owner, started_at, keys, active FROM wabridge.replica
        WHERE seen_at > now() - make_interval(secs => $1) ORDER BY started_at, owner";
    let rows = client.query(sql, &[/* seconds */ &f64::from(ALIVE_S)]).await?;
    Ok(rows
        .iter()
        .map(|row| Replica {
            owner: row.get(0),
            started_at: row.get(1),
            keys: row.get(2),
            active: row.get(3),
        })
        .collect())
}
