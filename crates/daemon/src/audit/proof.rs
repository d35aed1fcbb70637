//! The keys of the proof, and looking whether the log is as it was sealed.

use anyhow::{Context, bail};
use uuid::Uuid;
use wabridge_domain::audit::{AuditKey, Head};
use wabridge_domain::seal::{self, KeyRing, Place};
use wabridge_store::audit::{self as store, Keys, Report};
use wabridge_store::{StoreError, meta};

use crate::runtime::Runtime;

const TABLE: &str = "audit_key";
const COLUMN: &str = "sealed_key";

fn open(
    ring: &KeyRing,
    installation_id: Uuid,
    id: i32,
    sealed: &str,
) -> Result<AuditKey, seal::SealError> {
    let seal_uuid = id.to_string();
    let place = Place { installation_id, table: TABLE, column: COLUMN, seal_uuid: &seal_uuid };
    AuditKey::new(&ring.open(place, sealed)?)
}

/// Those that can be opened, and the newest one's id with why it cannot be opened.
pub struct Opened {
    pub keys: Keys,
    pub newest: Option<i32>,
    /// Why the newest one cannot be opened.
    pub problem: Option<String>,
}

/// Opens the stored keys.
///
/// # Errors
/// The database's.
pub async fn keys(rt: &Runtime) -> Result<Opened, StoreError> {
    let installation_id = installation(rt).await?;
    let stored = store::keys(&rt.store.client().await?).await?;
    let mut opened = Opened { keys: Keys::new(), newest: None, problem: None };
    for (id, sealed) in &stored {
        opened.newest = Some(*id);
        opened.problem = None;
        match open(&rt.keys, installation_id, *id, sealed) {
            Ok(key) => {
                opened.keys.insert(*id, key);
            }
            Err(error) => opened.problem = Some(error.to_string()),
        }
    }
    Ok(opened)
}

/// Makes a key and stores it as `id`, unless another daemon was first.
///
/// # Errors
/// The database's.
pub async fn make_key(rt: &Runtime, id: i32) -> Result<bool, StoreError> {
    let installation_id = installation(rt).await?;
    let seal_uuid = id.to_string();
    let place = Place { installation_id, table: TABLE, column: COLUMN, seal_uuid: &seal_uuid };
    let sealed = rt.keys.seal(place, &seal::generate_key());
    store::add_key(&rt.store.client().await?, id, &sealed).await
}

/// Of this database.
///
/// # Errors
/// The database's.
pub async fn installation(rt: &Runtime) -> Result<Uuid, StoreError> {
    match rt.installation() {
        Some(id) => Ok(id),
        None => Ok(meta::load(&rt.store).await?.installation_id),
    }
}

/// Compares every sealed row. `head` was written down before.
///
/// # Errors
/// The database's.
pub async fn verify(rt: &Runtime, head: Option<&Head>) -> Result<Report, StoreError> {
    let opened = keys(rt).await?;
    let mut client = rt.store.client().await?;
    let tx = client
        .build_transaction()
        .isolation_level(wabridge_store::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    // As long as it takes: it reads the whole log.
    tx.batch_execute("SET LOCAL statement_timeout = 0").await?;
    let report = store::verify(&tx, &opened.keys, head).await?;
    tx.commit().await?;
    Ok(report)
}

/// Begins a new key where the newest one is lost for good.
///
/// # Errors
/// One line: the newest key can be opened, or the database's.
pub async fn new_key(rt: &Runtime) -> anyhow::Result<i32> {
    let opened = keys(rt).await.with_context(|| format!("database {}", rt.name))?;
    if opened.newest.is_some() && opened.problem.is_none() {
        bail!(
            "database {}: the audit key can be opened; a new one is for when the sealing key is lost",
            rt.name
        );
    }
    let id = opened.newest.unwrap_or(0) + 1;
    if !make_key(rt, id).await? {
        bail!("database {}: another program made audit key {id} meanwhile; nothing to do", rt.name);
    }
    Ok(id)
}
