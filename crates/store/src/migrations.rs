//! Creates and upgrades schema `wabridge`. Never touches Odoo's tables.

use std::time::Duration;

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

/// The version this program works with. It works with the next one too ([`State::Ahead`]), so that daemons can be
/// replaced one after the other.
pub const VERSION: i32 = 15;

/// From the migration after this one on, each leaves everything that the program before it uses: nobody runs a
/// program that is older than the first release. One release brings one migration at most.
#[cfg(test)]
const FIRST_RELEASE: i32 = 15;

/// How often daemons at work may keep a migration from its locks.
const LOCK_TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// What stands in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The schema is missing, or has no tables of ours.
    Absent,
    /// Older than this program: `wabridge migrate` is due.
    Old(i32),
    Current,
    /// One version ahead: the next program made it, and its migration left all that this one uses.
    Ahead(i32),
    /// Made by a program that is more than one version ahead.
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
        VERSION => State::Current,
        v if v == VERSION + 1 => State::Ahead(v),
        v => State::Newer(v),
    })
}

/// Brings the schema to [`VERSION`]; repeatable. Returns the names of what ran: nothing where it is there, or one
/// version ahead. Daemons may run meanwhile.
///
/// # Errors
/// [`StoreError::Schema`] when the schema cannot be made or was altered; [`StoreError::Busy`] when daemons kept it
/// from its locks all the time; the database's.
pub async fn migrate(database: &Database) -> Result<Vec<&'static str>, StoreError> {
    match state(database).await? {
        State::Newer(v) => {
            return Err(StoreError::Schema(format!(
                "schema wabridge has version {v}, made by a later wabridge; this one knows {VERSION} and works with {} at most: start the later program",
                VERSION + 1
            )));
        }
        State::Altered(v) => {
            return Err(StoreError::Schema(format!(
                "migration {v} of schema wabridge is not the one this program has: it was made by another build"
            )));
        }
        State::Absent | State::Old(_) | State::Current | State::Ahead(_) => {}
    }
    let mut tries = 1;
    loop {
        match crate::tx!(database, "migrations.migrate", |tx| run(tx).await) {
            Err(StoreError::Busy(_)) if tries < LOCK_TRIES => {
                tries += 1;
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            outcome => return outcome,
        }
    }
}

async fn run(tx: &Tx<'_>) -> Result<Vec<&'static str>, StoreError> {
    // Everybody waits behind who waits for such a lock, and running daemons give up after 2 s: better once more.
    tx.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '500ms'").await?;
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

    /// Words of a migration that takes something away which a running program of the version before it may use.
    const TAKES_AWAY: &[&str] = &[
        "drop table",
        "drop column",
        "drop index",
        "drop function",
        "drop schema",
        "drop default",
        "rename to",
        "rename column",
        "set not null",
        "alter column",
        "truncate",
        "delete from",
    ];

    /// What a migration takes away from the program before it.
    fn taken_away(sql: &str) -> Vec<&'static str> {
        let code: Vec<&str> =
            sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
        let words = code.join(" ").to_lowercase();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        TAKES_AWAY.iter().filter(|word| words.contains(**word)).copied().collect()
    }

    #[test]
    fn migrations_leave_what_the_program_before_them_uses() {
        for migration in MIGRATIONS.iter().filter(|m| m.version > FIRST_RELEASE) {
            let taken = taken_away(migration.sql);
            assert!(
                taken.is_empty(),
                "migration {}: {taken:?}; add beside it, and take away in the version after",
                migration.name
            );
        }
        assert_eq!(taken_away("ALTER TABLE outbox\n  DROP COLUMN note"), ["drop column"]);
        assert!(
            taken_away("-- was: DROP TABLE lane\nALTER TABLE lane ADD COLUMN note text").is_empty()
        );
    }

    #[test]
    fn versions_count_up_and_end_at_version() {
        let versions: Vec<i32> = MIGRATIONS.iter().map(|m| m.version).collect();
        assert_eq!(versions, (1..=VERSION).collect::<Vec<_>>());
    }
}
