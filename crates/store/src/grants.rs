//! The rights of the daemon's role, as SQL for the administrator: `wabridge grants`.
//!
//! Made from [`schema::COLUMNS`], which a test keeps equal to what the statements use. The addon ships the part that
//! concerns Odoo's tables as `data/grants.sql`, kept equal by the same test, and re-applies it at each install and upgrade.

use std::fmt::Write as _;

use crate::schema::{self, Right, Table};

/// Head of the addon's part. What was granted before and is not needed any more goes first: running daemons see both
/// steps at once, when the transaction is committed.
const HEAD: &str = r"-- Rights of the daemon's role on Odoo's tables: exactly the columns that its statements use.
-- Made from crates/store/src/schema/columns.rs by a test of wabridge-store; do not edit (README, Contributing).
-- :role stands for the role, quoted by the caller: the addon at each install and upgrade
-- (system parameter whatsapp_integration.database_role), and `wabridge grants`. Repeatable; one transaction.
GRANT USAGE ON SCHEMA public TO :role;

-- What an earlier version needed and this one does not
DO $do$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass::text FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND c.relowner <> $role$:role$role$::regrole
          AND (EXISTS (SELECT 1 FROM aclexplode(c.relacl) x WHERE x.grantee = $role$:role$role$::regrole)
               OR EXISTS (SELECT 1 FROM pg_attribute a, aclexplode(a.attacl) x
                          WHERE a.attrelid = c.oid AND x.grantee = $role$:role$role$::regrole))
    LOOP
        EXECUTE 'REVOKE ALL ON ' || name || $role$ FROM :role$role$;
    END LOOP;
END $do$;
";

/// The addon's `data/revoke.sql`, which its uninstallation runs.
const TAKE_BACK: &str = include_str!("../../../odoo_addon/whatsapp_integration/data/revoke.sql");

/// Longest line of the list of a table's columns.
const WIDTH: usize = 118;

/// SQL that makes `role` able to do exactly what the daemon does in the database where it is run, and lets
/// `odoo_role` back up, duplicate and drop it. To be run by a superuser or the database's owner, any number of times.
pub fn sql(role: &str, odoo_role: &str) -> String {
    let (role, odoo_role) = (quote(role), quote(odoo_role));
    format!(
        "-- Rights of the wabridge daemon in this Odoo database. Repeatable.\n\
         -- The role itself: CREATE ROLE {role} LOGIN PASSWORD '…';\n\
         CREATE SCHEMA IF NOT EXISTS wabridge AUTHORIZATION {role};\n\
         -- Odoo's own backup reads schema wabridge, duplicate and drop end the daemon's sessions.\n\
         GRANT {role} TO {odoo_role};\n\
         -- Odoo from 16 on lets every role make tables beside its own, as PostgreSQL before 15 did; it alone needs that.\n\
         GRANT CREATE ON SCHEMA public TO {odoo_role};\n\
         REVOKE CREATE ON SCHEMA public FROM PUBLIC;\n\
         {}\n{}",
        take_over(&role),
        addon_part(schema::COLUMNS).replace(":role", &role)
    )
}

/// SQL that takes back in one database what [`sql`] gave `role` there. What was given in the whole cluster stays, as
/// comments: other databases may need it.
pub fn take_back(role: &str, odoo_role: &str) -> String {
    let (role, odoo_role) = (quote(role), quote(odoo_role));
    format!(
        "{TAKE_BACK}\n\
         -- When no database of this cluster is served any more: REVOKE {role} FROM {odoo_role}; DROP ROLE {role};\n\
         -- PostgreSQL before 15 lets every role make tables in schema public; who wants that back:\n\
         -- GRANT CREATE ON SCHEMA public TO PUBLIC;\n"
    )
    .replace(":role", &role)
}

/// After a restore by Odoo everything belongs to Odoo's role: gives the daemon's schema back.
fn take_over(quoted_role: &str) -> String {
    format!(
        "DO $$
DECLARE
    name text;
BEGIN
    ALTER SCHEMA wabridge OWNER TO {quoted_role};
    FOR name IN
        SELECT c.oid::regclass::text FROM pg_class c
        WHERE c.relnamespace = 'wabridge'::regnamespace AND c.relkind IN ('r', 'p')
    LOOP
        EXECUTE 'ALTER TABLE ' || name || ' OWNER TO {quoted_role}';
    END LOOP;
    FOR name IN
        SELECT c.oid::regclass::text FROM pg_class c
        WHERE c.relnamespace = 'wabridge'::regnamespace AND c.relkind = 'S'
          AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))
    LOOP
        EXECUTE 'ALTER SEQUENCE ' || name || ' OWNER TO {quoted_role}';
    END LOOP;
    FOR name IN
        SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'wabridge'::regnamespace
    LOOP
        EXECUTE 'ALTER ROUTINE ' || name || ' OWNER TO {quoted_role}';
    END LOOP;
END $$;
",
        quoted_role = quoted_role.replace('\'', "''")
    )
}

/// The content of the addon's `data/grants.sql`.
pub fn addon_part(tables: &[Table]) -> String {
    let mut sql = String::from(HEAD);
    for table in tables {
        let _ = write!(sql, "\n{}", grant(table));
        for column in table.optional() {
            let _ = write!(
                sql,
                "DO $do$
BEGIN
    -- Not in every series of Odoo
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = '{column}' AND NOT attisdropped) THEN
        GRANT SELECT ({column}) ON {table} TO :role;
    END IF;
END $do$;
",
                table = table.name
            );
        }
        if let Some(sequence) = table.sequence() {
            let _ = writeln!(sql, "GRANT USAGE ON SEQUENCE {sequence} TO :role;");
        }
    }
    sql
}

/// `GRANT SELECT (…), INSERT (…), UPDATE (…), DELETE ON … TO :role;`
fn grant(table: &Table) -> String {
    let mut parts = Vec::new();
    for right in Right::ALL {
        let columns: Vec<&str> = table.with(right).collect();
        if !columns.is_empty() {
            parts.push(folded(&format!("{} ({})", right.word(), columns.join(", "))));
        }
    }
    if table.delete {
        parts.push("DELETE".into());
    }
    format!("GRANT {}\n    ON {} TO :role;\n", parts.join(",\n      "), table.name)
}

/// Breaks a list at its commas.
fn folded(list: &str) -> String {
    let mut out = String::new();
    let mut width = 6;
    for word in list.split_inclusive(' ') {
        if width + word.trim_end().len() > WIDTH {
            out.truncate(out.trim_end().len());
            out += "\n        ";
            width = 8;
        }
        out += word;
        width += word.len();
    }
    out
}

/// A name as an SQL identifier.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quote("wa\"b"), "\"wa\"\"b\"");
        assert!(!sql("wabridge", "odoo").contains(":role"));
        assert!(!take_back("wabridge", "odoo").contains(":role"));
    }

    #[test]
    fn lines_are_not_longer_than_people_read() {
        assert!(addon_part(schema::COLUMNS).lines().all(|line| line.len() <= 140));
    }
}
