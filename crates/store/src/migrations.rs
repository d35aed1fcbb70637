//! Creates and upgrades schema `wabridge`. Never touches Odoo's tables.

use sha2::{Digest, Sha256};

use crate::advisory::{Job, try_lock_tx};
use crate::{Database, StoreError, Tx};

struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "initial", sql: include_str!("../migrations/0001_initial.sql") },
    Migration { version: 2, name: "events", sql: include_str!("../migrations/0002_events.sql") },
    Migration { version: 3, name: "media", sql: include_str!("../migrations/0003_media.sql") },
    Migration { version: 4, name: "explain", sql: include_str!("../migrations/0004_explain.sql") },
    Migration {
        version: 5,
        name: "media_at_provider",
        sql: include_str!("../migrations/0005_media_at_provider.sql"),
    },
    Migration {
        version: 6,
        name: "late_echo",
        sql: include_str!("../migrations/0006_late_echo.sql"),
    },
    Migration { version: 7, name: "retry", sql: include_str!("../migrations/0007_retry.sql") },
    Migration {
        version: 8,
        name: "pace_and_consent",
        sql: include_str!("../migrations/0008_pace_and_consent.sql"),
    },
    Migration {
        version: 9,
        name: "number_form",
        sql: include_str!("../migrations/0009_number_form.sql"),
    },
    Migration {
        version: 10,
        name: "fitted_media",
        sql: include_str!("../migrations/0010_fitted_media.sql"),
    },
    Migration {
        version: 11,
        name: "pair_rule",
        sql: include_str!("../migrations/0011_pair_rule.sql"),
    },
    Migration { version: 12, name: "groups", sql: include_str!("../migrations/0012_groups.sql") },
    Migration { version: 13, name: "sync", sql: include_str!("../migrations/0013_sync.sql") },
    Migration { version: 14, name: "audit", sql: include_str!("../migrations/0014_audit.sql") },
    Migration {
        version: 15,
        name: "sealing_keys",
        sql: include_str!("../migrations/0015_sealing_keys.sql"),
    },
];

/// The version this program works with.
pub const VERSION: i32 = 15;

/// What stands in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The schema is missing, or has no tables of ours.
    Absent,
    /// Older than this program: `wabridge migrate` is due.
    Old(i32),
    Current,
    /// Made by a later version of the program.
    Newer(i32),
    /// A migration was changed after it ran.
    Altered(i32),
}

/// Looks without changing anything.
///
/// # Errors
/// The database's.
pub async fn state(database: &Database) -> Result<State, StoreError> {
    let client = database.client().await?;
    let sql = "-- migrations::state
        SELECT to_regclass('wabridge.schema_migration') IS NOT NULL";
    if !client.query_one(sql, &[]).await?.get::<_, bool>(0) {
        return Ok(State::Absent);
    }
    let sql = "-- migrations::applied
        SELECT version, checksum FROM wabridge.schema_migration ORDER BY version";
    let rows = client.query(sql, &[]).await?;
    let mut last = 0;
    for row in &rows {
        let (version, checksum): (i32, String) = (row.get(0), row.get(1));
        last = last.max(version);
        if MIGRATIONS.iter().any(|m| m.version == version && checksum_of(m) != checksum) {
            return Ok(State::Altered(version));
        }
    }
    Ok(match last {
        0 => State::Absent,
        v if v < VERSION => State::Old(v),
        v if v > VERSION => State::Newer(v),
        _ => State::Current,
    })
}

/// Brings the schema to [`VERSION`]; repeatable. Returns the names of what ran.
///
/// # Errors
/// [`StoreError::Schema`] when the schema cannot be made or was altered; the database's.
pub async fn migrate(database: &Database) -> Result<Vec<&'static str>, StoreError> {
    match state(database).await? {
        State::Newer(v) => {
            return Err(StoreError::Schema(format!(
                "schema wabridge has version {v}, made by a later wabridge; this one knows {VERSION}: start the later program"
            )));
        }
        State::Altered(v) => {
            return Err(StoreError::Schema(format!(
                "migration {v} of schema wabridge is not the one this program has: it was made by another build"
            )));
        }
        State::Absent | State::Old(_) | State::Current => {}
    }
    crate::tx!(database, "migrations.migrate", |tx| run(tx).await)
}

async fn run(tx: &Tx<'_>) -> Result<Vec<&'static str>, StoreError> {
    tx.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s'").await?;
    if !try_lock_tx(tx, Job::Migrate).await? {
        return Err(StoreError::Busy("another wabridge migrate is running".into()));
    }
    let exists: bool =
        tx.query_one("SELECT to_regnamespace('wabridge') IS NOT NULL", &[]).await?.get(0);
    if !exists {
        tx.batch_execute("CREATE SCHEMA wabridge").await?;
    }
    tx.batch_execute(
        "-- migrations::run
        CREATE TABLE IF NOT EXISTS wabridge.schema_migration (
            version    integer PRIMARY KEY,
            name       text NOT NULL,
            checksum   text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        );
        SET LOCAL search_path = wabridge",
    )
    .await?;
    let mut ran = Vec::new();
    for migration in MIGRATIONS {
        let sql = "-- migrations::claim
            INSERT INTO wabridge.schema_migration (version, name, checksum) VALUES ($1, $2, $3)
            ON CONFLICT (version) DO NOTHING";
        let fresh = tx
            .execute(
                sql,
                &[
                    /* version */ &migration.version,
                    /* name */ &migration.name,
                    /* checksum */ &checksum_of(migration),
                ],
            )
            .await?;
        if fresh == 1 {
            tx.batch_execute(migration.sql).await?;
            ran.push(migration.name);
        }
    }
    crate::journal::ensure_partitions(tx).await?;
    Ok(ran)
}

fn checksum_of(migration: &Migration) -> String {
    hex::encode(Sha256::digest(migration.sql.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_up_and_end_at_version() {
        let versions: Vec<i32> = MIGRATIONS.iter().map(|m| m.version).collect();
        assert_eq!(versions, (1..=VERSION).collect::<Vec<_>>());
    }
}
