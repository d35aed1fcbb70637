//! What `wabridge drop` looks at and takes away: schema `wabridge`. Works whether Odoo's tables are there or not, with
//! rights on them or without.

use deadpool_postgres::GenericClient;

use crate::{StoreError, Tx};

/// How a database stands before.
#[derive(Debug, Clone)]
pub struct Found {
    /// Who asks.
    pub role: String,
    /// Whose schema `wabridge` is; None where there is none.
    pub owner: Option<String>,
    /// Whether the role may drop it.
    pub may_drop: bool,
    pub tables: i64,
    pub bytes: i64,
    /// The addon's tables are there.
    pub addon: bool,
    /// Connections of daemons (and of commands) to this database.
    pub connections: i64,
    /// What was made outside the schema and needs it.
    pub dependents: Vec<String>,
}

/// Looks, with no right but that to connect.
///
/// # Errors
/// The database's.
pub async fn look(client: &impl GenericClient) -> Result<Found, StoreError> {
    let sql = "-- removal::look
        SELECT current_user::text, pg_get_userbyid(n.nspowner)::text, coalesce(pg_has_role(n.nspowner, 'USAGE'), false),
               (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind = 'r'),
               (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c
                WHERE c.relnamespace = n.oid AND c.relkind = 'r'),
               EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace p ON p.oid = c.relnamespace
                       WHERE p.nspname = 'public' AND c.relname = 'whatsapp_configuration'),
               (SELECT count(*) FROM pg_stat_activity a WHERE a.datname = current_database()
                AND a.application_name = 'wabridge' AND a.pid <> pg_backend_pid())
        FROM (SELECT 1) AS one LEFT JOIN pg_namespace n ON n.nspname = 'wabridge'";
    let row = client.query_one(sql, &[]).await?;
    let sql = "-- removal::dependents
        SELECT DISTINCT v.oid::regclass::text
        FROM pg_depend d
        JOIN pg_class t ON t.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
        JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_class v ON v.oid = r.ev_class
        WHERE t.relnamespace = to_regnamespace('wabridge') AND v.relnamespace <> t.relnamespace
        ORDER BY 1";
    let dependents = client.query(sql, &[]).await?;
    Ok(Found {
        role: row.get(0),
        owner: row.get(1),
        may_drop: row.get(2),
        tables: row.get(3),
        bytes: row.get(4),
        addon: row.get(5),
        connections: row.get(6),
        dependents: dependents.iter().map(|row| row.get(0)).collect(),
    })
}

/// What is lost with the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Messages that wait to be sent.
    pub waiting: i64,
    /// Webhooks in the journal of which something is not applied.
    pub unapplied: i64,
    /// Sealed files in `media.directory`, which nobody can open afterwards.
    pub files: i64,
}

/// # Errors
/// The database's; [`StoreError::Schema`] where the schema is of an early version.
pub async fn contents(client: &impl GenericClient) -> Result<Contents, StoreError> {
    let sql = "-- removal::contents
        SELECT (SELECT count(*) FROM wabridge.outbox), (SELECT count(DISTINCT journal_id) FROM wabridge.journal_pending),
               (SELECT count(*) FROM wabridge.media_blob)";
    let row = client.query_one(sql, &[]).await?;
    Ok(Contents { waiting: row.get(0), unapplied: row.get(1), files: row.get(2) })
}

/// Drops schema `wabridge` with everything in it, and nothing else.
///
/// # Errors
/// The database's.
pub async fn run(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s'").await?;
    tx.batch_execute("DROP SCHEMA wabridge CASCADE").await?;
    Ok(())
}

/// How many tables and sequences of others the role still has rights on.
///
/// # Errors
/// The database's.
pub async fn rights_left(client: &impl GenericClient) -> Result<i64, StoreError> {
    let sql = "-- removal::rights_left
        SELECT count(*) FROM pg_class c JOIN pg_roles o ON o.rolname = current_user
        WHERE c.relowner <> o.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND (EXISTS (SELECT 1 FROM aclexplode(c.relacl) x WHERE x.grantee = o.oid)
               OR EXISTS (SELECT 1 FROM pg_attribute a, aclexplode(a.attacl) x
                          WHERE a.attrelid = c.oid AND x.grantee = o.oid))";
    Ok(client.query_one(sql, &[]).await?.get(0))
}
