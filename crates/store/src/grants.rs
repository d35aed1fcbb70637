//! The rights of the daemon's role, as SQL for the administrator: `wabridge grants`.

/// The part that concerns Odoo's tables; the addon re-applies the same file at each install and upgrade.
const ADDON_PART: &str = include_str!("../../../odoo_addon/whatsapp_integration/data/grants.sql");

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
         {}\n{}",
        take_over(&role),
        addon_part(&role)
    )
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
END $$;
",
        quoted_role = quoted_role.replace('\'', "''")
    )
}

fn addon_part(quoted_role: &str) -> String {
    ADDON_PART.replace(":role", quoted_role)
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
    }
}
