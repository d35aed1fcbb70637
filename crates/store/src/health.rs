//! What `wabridge doctor` asks of a database.

use jiff::Timestamp;

use crate::{Database, StoreError};

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// PostgreSQL's clock.
    pub now: Timestamp,
    /// Standby servers that are connected, and whether commits wait for one.
    pub replicas: i64,
    pub synchronous: bool,
    /// Partitions of the journal that begin after today.
    pub partitions_ahead: i64,
    pub quarantined: i64,
}

/// # Errors
/// The database's.
pub async fn look(database: &Database) -> Result<Found, StoreError> {
    let client = database.client().await?;
    let sql = "-- health::look
        SELECT now(), (SELECT count(*) FROM pg_stat_replication), current_setting('synchronous_standby_names') <> '',
               (SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'wabridge.journal'::regclass
                  AND c.relname > 'journal_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')),
               (SELECT count(*) FROM wabridge.journal_pending WHERE state = 'quarantined')";
    let row = client.query_one(sql, &[]).await?;
    Ok(Found {
        now: row.get(0),
        replicas: row.get(1),
        synchronous: row.get(2),
        partitions_ahead: row.get(3),
        quarantined: row.get(4),
    })
}

/// What a copy of a database would send.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Sends of both doors.
    pub queued: i64,
    /// Their calls may have taken effect.
    pub uncertain: i64,
    /// How far the copy reaches, as far as that can be seen.
    pub newest_webhook: Option<Timestamp>,
}

/// # Errors
/// The database's.
pub async fn waiting(database: &Database) -> Result<Waiting, StoreError> {
    let sql = "-- health::waiting
        SELECT (SELECT count(*) FROM wabridge.outbox WHERE uncertain_since IS NULL)
                   + (SELECT count(*) FROM public.whatsapp_outbox_in),
               (SELECT count(*) FROM wabridge.outbox WHERE uncertain_since IS NOT NULL),
               (SELECT j.received_at FROM wabridge.journal j ORDER BY j.id DESC LIMIT 1)";
    let row = database.client().await?.query_one(sql, &[]).await?;
    Ok(Waiting { queued: row.get(0), uncertain: row.get(1), newest_webhook: row.get(2) })
}
