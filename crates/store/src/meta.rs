//! `wabridge.meta`: which database this is, and what was decided about it.

use uuid::Uuid;

use crate::{Database, StoreError};

/// What tells one Odoo database from a copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Odoo's `database.uuid`: new after a duplicate or a restore as a copy, the same after a template copy.
    pub database_uuid: String,
    /// Of the PostgreSQL cluster; NULL where the role may not ask.
    pub system_identifier: Option<String>,
    pub database_oid: i64,
    pub database_name: String,
}

/// The one row.
#[derive(Debug, Clone)]
pub struct Meta {
    pub installation_id: Uuid,
    /// None until the database was adopted for the first time.
    pub adopted: Option<Identity>,
    pub held_reason: Option<String>,
    pub detached: bool,
    /// Version of the addon whose tables fitted last.
    pub fitted_addon: Option<String>,
}

/// What the identity says about sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The same database as before (a mere rename included).
    Same { renamed: bool },
    /// Never adopted: a new installation.
    New,
    /// A copy or a restore: hold it, with this reason.
    Copy(String),
}

/// Compares where the database is with where it was adopted.
pub fn judge(adopted: Option<&Identity>, now: &Identity) -> Verdict {
    let Some(was) = adopted else { return Verdict::New };
    let mut differences = Vec::new();
    if was.database_uuid != now.database_uuid {
        differences.push("Odoo's database.uuid differs: duplicated or restored as a copy");
    }
    match (&was.system_identifier, &now.system_identifier) {
        (Some(a), Some(b)) if a != b => {
            differences.push("the PostgreSQL cluster differs: restored elsewhere");
        }
        _ => {}
    }
    if was.database_oid != now.database_oid {
        differences.push("the database's oid differs: copied or restored");
    }
    if differences.is_empty() {
        Verdict::Same { renamed: was.database_name != now.database_name }
    } else {
        Verdict::Copy(differences.join("; "))
    }
}

/// Reads the row.
///
/// # Errors
/// The database's; [`StoreError::Schema`] when the schema is missing.
pub async fn load(database: &Database) -> Result<Meta, StoreError> {
    let sql = "-- meta::load
        SELECT installation_id, database_uuid, system_identifier, database_oid, database_name,
               held_reason, detached_at IS NOT NULL, fitted_addon
        FROM wabridge.meta";
    let row = database.client().await?.query_one(sql, &[]).await?;
    let uuid: Option<String> = row.get(1);
    Ok(Meta {
        installation_id: row.get(0),
        adopted: uuid.map(|database_uuid| Identity {
            database_uuid,
            system_identifier: row.get(2),
            database_oid: row.get::<_, Option<i64>>(3).unwrap_or_default(),
            database_name: row.get::<_, Option<String>>(4).unwrap_or_default(),
        }),
        held_reason: row.get(5),
        detached: row.get(6),
        fitted_addon: row.get(7),
    })
}

/// Where this database is now.
///
/// # Errors
/// The database's.
pub async fn identity(database: &Database) -> Result<Identity, StoreError> {
    let client = database.client().await?;
    let sql = "-- meta::identity
        SELECT coalesce((SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'), ''),
               (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
               current_database()::text,
               has_function_privilege('pg_control_system()', 'EXECUTE')";
    let row = client.query_one(sql, &[]).await?;
    let system_identifier = if row.get::<_, bool>(3) {
        let sql = "-- meta::system_identifier
            SELECT system_identifier::text FROM pg_control_system()";
        Some(client.query_one(sql, &[]).await?.get(0))
    } else {
        None
    };
    Ok(Identity {
        database_uuid: row.get(0),
        database_oid: row.get(1),
        database_name: row.get(2),
        system_identifier,
    })
}

/// Makes `identity` the adopted one and lifts the hold.
///
/// # Errors
/// The database's.
pub async fn adopt(database: &Database, identity: &Identity) -> Result<(), StoreError> {
    let sql = "-- meta::adopt
        UPDATE wabridge.meta SET database_uuid = $1, system_identifier = $2, database_oid = $3,
               database_name = $4, held_reason = NULL, held_at = NULL";
    database
        .client()
        .await?
        .execute(
            sql,
            &[
                /* uuid */ &identity.database_uuid,
                /* system */ &identity.system_identifier,
                /* oid */ &identity.database_oid,
                /* name */ &identity.database_name,
            ],
        )
        .await?;
    Ok(())
}

/// Holds the database: nothing is sent until `adopt` or `neutralize`.
///
/// # Errors
/// The database's.
pub async fn hold(database: &Database, reason: &str) -> Result<(), StoreError> {
    let sql = "-- meta::hold
        UPDATE wabridge.meta SET held_reason = $1, held_at = now() WHERE held_reason IS DISTINCT FROM $1";
    database.client().await?.execute(sql, &[/* reason */ &reason]).await?;
    Ok(())
}

/// `wabridge detach` and `attach`.
///
/// # Errors
/// The database's.
pub async fn set_detached(database: &Database, detached: bool) -> Result<(), StoreError> {
    let sql = "-- meta::set_detached
        UPDATE wabridge.meta SET detached_at = CASE WHEN $1 THEN coalesce(detached_at, now()) END";
    database.client().await?.execute(sql, &[/* detached */ &detached]).await?;
    Ok(())
}

/// Remembers that the addon's tables fitted, so that a later misfit means journal-only and not refusal.
///
/// # Errors
/// The database's.
pub async fn set_fitted(database: &Database, addon: &str) -> Result<(), StoreError> {
    let sql = "-- meta::set_fitted
        UPDATE wabridge.meta SET fitted_addon = $1 WHERE fitted_addon IS DISTINCT FROM $1";
    database.client().await?.execute(sql, &[/* addon */ &addon]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Identity {
        Identity {
            database_uuid: "u".into(),
            system_identifier: Some("7".into()),
            database_oid: 16_384,
            database_name: "acme".into(),
        }
    }

    #[test]
    fn copies_are_told_from_renames() {
        assert_eq!(judge(None, &here()), Verdict::New);
        assert_eq!(judge(Some(&here()), &here()), Verdict::Same { renamed: false });
        let renamed = Identity { database_name: "acme2".into(), ..here() };
        assert_eq!(judge(Some(&here()), &renamed), Verdict::Same { renamed: true });
        for copy in [
            Identity { database_uuid: "v".into(), ..here() },
            Identity { database_oid: 16_385, ..here() },
            Identity { system_identifier: Some("8".into()), ..here() },
        ] {
            assert!(matches!(judge(Some(&here()), &copy), Verdict::Copy(_)), "{copy:?}");
        }
    }

    #[test]
    fn an_unreadable_system_identifier_says_nothing() {
        let blind = Identity { system_identifier: None, ..here() };
        assert_eq!(judge(Some(&here()), &blind), Verdict::Same { renamed: false });
    }
}
