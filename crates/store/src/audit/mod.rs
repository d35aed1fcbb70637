//! The proof of the audit log, in `wabridge`: `audit_key`, `audit_segment`, `audit_erasure`. What is hashed and why
//! is in `wabridge_domain::audit` and docs/adr/0009-audit-proof.md.

mod gap;
mod seal;
mod verify;

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use tokio_postgres::Row as SqlRow;
use wabridge_domain::audit::{AuditKey, Head, Link, Row};

pub use gap::Gap;
pub use seal::{ROWS_MAX, Sealed, remove_older, seal};
pub use verify::{Broken, Problem, Report, verify};

use crate::{StoreError, Tx};

/// The keys of the proof by id, opened; those that cannot be opened are missing.
pub type Keys = HashMap<i32, AuditKey>;

/// (id, sealed key), oldest first.
///
/// # Errors
/// The database's.
pub async fn keys(client: &impl GenericClient) -> Result<Vec<(i32, String)>, StoreError> {
    let sql = "-- audit::keys
        SELECT id, sealed_key FROM wabridge.audit_key ORDER BY id";
    let rows = client.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Stores a key under the next id, unless another daemon has stored one of that id meanwhile.
///
/// # Errors
/// The database's.
pub async fn add_key(
    client: &impl GenericClient,
    id: i32,
    sealed_key: &str,
) -> Result<bool, StoreError> {
    let sql = "-- audit::add_key
        INSERT INTO wabridge.audit_key (id, sealed_key) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
    let stored = client.execute(sql, &[/* id */ &id, /* sealed_key */ &sealed_key]).await?;
    Ok(stored == 1)
}

/// One row of `audit_segment`.
#[derive(Debug, Clone)]
struct Segment {
    number: i64,
    key_id: i32,
    sealed_at: i64,
    row_ids: Option<Vec<i32>>,
    leaves: Option<Vec<u8>>,
    digests: Option<Vec<u8>>,
    row_count: i32,
    newest: Option<i64>,
    high: i32,
    gaps: Vec<(i32, i32, i64)>,
    root: Vec<u8>,
    previous: Vec<u8>,
    mac: Vec<u8>,
    removal_mac: Option<Vec<u8>>,
}

/// The columns that [`Segment::read`] wants; times as unix microseconds.
const SEGMENT: &str = "number, key_id, (extract(epoch FROM sealed_at) * 1000000)::bigint, row_ids, leaves, digests,
    row_count, (extract(epoch FROM newest) * 1000000)::bigint, high, gap_first, gap_last, gap_seen, root, previous,
    mac, removal_mac";

impl Segment {
    fn read(row: &SqlRow) -> Self {
        let (first, last, seen): (Vec<i32>, Vec<i32>, Vec<i64>) =
            (row.get(9), row.get(10), row.get(11));
        Self {
            number: row.get(0),
            key_id: row.get(1),
            sealed_at: row.get(2),
            row_ids: row.get(3),
            leaves: row.get(4),
            digests: row.get(5),
            row_count: row.get(6),
            newest: row.get(7),
            high: row.get(8),
            gaps: first.into_iter().zip(last).zip(seen).map(|((a, b), c)| (a, b, c)).collect(),
            root: row.get(12),
            previous: row.get(13),
            mac: row.get(14),
            removal_mac: row.get(15),
        }
    }

    fn link(&self) -> Link<'_> {
        Link {
            number: self.number,
            key_id: self.key_id,
            sealed_at: self.sealed_at,
            row_count: self.row_count,
            newest: self.newest,
            high: self.high,
            gaps: &self.gaps,
            root: &self.root,
            previous: &self.previous,
        }
    }

    fn head(&self) -> Head {
        Head { number: self.number, mac: self.mac.clone() }
    }
}

/// The newest segment.
async fn last(tx: &Tx<'_>) -> Result<Option<Segment>, StoreError> {
    let sql = format!(
        "-- audit::last
        SELECT {SEGMENT} FROM wabridge.audit_segment ORDER BY number DESC LIMIT 1"
    );
    Ok(tx.query_opt(&sql, &[]).await?.as_ref().map(Segment::read))
}

/// The columns that [`read_row`] wants, of `whatsapp_audit_log AS a`.
const ROW: &str = "a.id, a.operation, a.provider, a.success, a.response_time::float8,
    (extract(epoch FROM a.timestamp) * 1000000)::bigint, a.user_id, a.configuration_id, a.request_id,
    a.error_message, a.address";

fn read_row(row: &SqlRow) -> Row {
    Row {
        id: row.get(0),
        operation: row.get(1),
        provider: row.get(2),
        success: row.get(3),
        response_time: row.get(4),
        timestamp: row.get(5),
        user_id: row.get(6),
        configuration_id: row.get(7),
        request_id: row.get(8),
        error_message: row.get(9),
        address: row.get(10),
    }
}
