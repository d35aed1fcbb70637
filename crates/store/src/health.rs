//! What `wabridge doctor` asks of a database.

use jiff::Timestamp;

use crate::{Database, StoreError, schema};

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Rights that are missing, one line each.
    pub missing: Vec<String>,
    pub superuser: bool,
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
        SELECT now(), current_setting('is_superuser') = 'on',
               (SELECT count(*) FROM pg_stat_replication), current_setting('synchronous_standby_names') <> '',
               (SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'wabridge.journal'::regclass
                  AND c.relname > 'journal_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')),
               (SELECT count(*) FROM wabridge.journal_pending WHERE state = 'quarantined')";
    let row = client.query_one(sql, &[]).await?;
    let mut missing = Vec::new();
    let mut tables = Vec::new();
    let mut columns = Vec::new();
    for (table, names) in schema::COLUMNS.iter().filter(|(table, _)| *table != "bus_bus") {
        for column in *names {
            tables.push(format!("public.{table}"));
            columns.push(*column);
        }
    }
    let sql = "-- health::rights
        SELECT t, c FROM unnest($1::text[], $2::text[]) AS x(t, c)
        WHERE NOT has_column_privilege(t, c, 'SELECT')";
    for row in client.query(sql, &[/* tables */ &tables, /* columns */ &columns]).await? {
        missing.push(format!(
            "may not read {}.{}",
            row.get::<_, String>(0),
            row.get::<_, String>(1)
        ));
    }
    let sql = "-- health::writes
        SELECT t, p FROM (VALUES
            ('public.whatsapp_message', 'INSERT'), ('public.whatsapp_message', 'UPDATE'),
            ('public.whatsapp_contact', 'INSERT'), ('public.whatsapp_contact', 'UPDATE'),
            ('public.whatsapp_chat', 'INSERT'), ('public.whatsapp_chat', 'UPDATE'),
            ('public.whatsapp_account_state', 'INSERT'), ('public.whatsapp_account_state', 'UPDATE'),
            ('public.whatsapp_outbox_in', 'DELETE'), ('public.whatsapp_event', 'INSERT'),
            ('public.whatsapp_audit_log', 'INSERT')) AS x(t, p)
        WHERE NOT has_table_privilege(t, p)";
    for row in client.query(sql, &[]).await? {
        missing.push(format!("may not {} {}", row.get::<_, String>(1), row.get::<_, String>(0)));
    }
    Ok(Found {
        missing,
        superuser: row.get(1),
        now: row.get(0),
        replicas: row.get(2),
        synchronous: row.get(3),
        partitions_ahead: row.get(4),
        quarantined: row.get(5),
    })
}
