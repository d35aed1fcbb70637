//! What the daemon's role may do in Odoo's tables, compared with what it needs ([`schema::COLUMNS`]), in both directions.

use std::collections::BTreeMap;

use crate::schema::{self, Right};
use crate::{Database, StoreError, grants};

/// One difference: what it is, and the SQL that ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub what: String,
    pub cure: String,
}

/// How the role's rights differ from what is needed.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    pub role: String,
    /// It may do everything, whatever was granted: nothing else is listed then.
    pub superuser: bool,
    /// Needed and not there.
    pub missing: Vec<Difference>,
    /// There and not needed.
    pub excess: Vec<Difference>,
}

impl Rights {
    /// The first few of what the role may do without need, for one line of the log; None where there is nothing.
    pub fn excess_in_short(&self) -> Option<String> {
        const SHOWN: usize = 3;
        if self.superuser {
            return Some("it is a superuser".into());
        }
        let (first, rest) = self.excess.split_at(self.excess.len().min(SHOWN));
        let mut text = first.iter().map(|d| d.what.as_str()).collect::<Vec<_>>().join("; ");
        if !rest.is_empty() {
            text += &format!("; and {} more", rest.len());
        }
        (!text.is_empty()).then_some(text)
    }
}

/// (table, right or DELETE and the like, whether PUBLIC has it) → columns.
type Found = BTreeMap<(String, String, bool), Vec<String>>;

/// Compares.
///
/// # Errors
/// The database's.
pub async fn compare(database: &Database) -> Result<Rights, StoreError> {
    let client = database.client().await?;
    let sql = "-- rights::role
        SELECT current_user::text, current_setting('is_superuser') = 'on'";
    let row = client.query_one(sql, &[]).await?;
    let mut rights = Rights { role: row.get(0), superuser: row.get(1), ..Rights::default() };
    if rights.superuser {
        return Ok(rights);
    }
    let role = grants::quote(&rights.role);
    let (mut tables, mut columns, mut words) = (vec![], vec![], vec![]);
    for table in schema::COLUMNS {
        for right in Right::ALL {
            let optional = table.optional().filter(|_| right == Right::Read);
            for column in table.with(right).chain(optional) {
                tables.push(table.name);
                columns.push(column);
                words.push(right.word());
            }
        }
    }
    let deleted: Vec<&str> = schema::COLUMNS.iter().filter(|t| t.delete).map(|t| t.name).collect();
    let sequences: Vec<String> =
        schema::COLUMNS.iter().filter_map(schema::Table::sequence).collect();

    // Needed: what is in the database and not allowed; a missing table or column is schema::verify's to tell.
    let sql = "-- rights::missing
        SELECT t, w, c, false FROM unnest($1::text[], $2::text[], $3::text[]) AS n(t, w, c)
        JOIN pg_attribute a ON a.attrelid = to_regclass('public.' || n.t) AND a.attname = n.c AND NOT a.attisdropped
        WHERE NOT has_column_privilege(a.attrelid, a.attnum, n.w)
        UNION ALL
        SELECT t, 'DELETE', NULL, false FROM unnest($4::text[]) AS d(t)
        WHERE NOT has_table_privilege(to_regclass('public.' || t), 'DELETE')
        UNION ALL
        SELECT s, 'USAGE', NULL, false FROM unnest($5::text[]) AS q(s)
        WHERE NOT has_sequence_privilege(to_regclass('public.' || s), 'USAGE')";
    let rows = client
        .query(
            sql,
            &[
                /* tables */ &tables, /* rights */ &words, /* columns */ &columns,
                /* tables with DELETE */ &deleted, /* sequences */ &sequences,
            ],
        )
        .await?;
    for ((table, word, _), of) in gathered(&rows) {
        rights.missing.push(Difference {
            what: format!("may not {}", said(&word, &table, &of)),
            cure: format!("GRANT {} ON {} TO {role};", listed(&word, &of), object(&word, &table)),
        });
    }

    // Not needed: everything else that a table of any schema but ours lets this role do, be it by its own name, by
    // membership in another role or by PUBLIC. What extensions bring is not Odoo's.
    let sql = "-- rights::excess
        WITH needed AS (
            SELECT n.t::text, n.w::text, n.c::text FROM unnest($1::text[], $2::text[], $3::text[]) AS n(t, w, c)),
        others AS (
            SELECT c.oid, c.relkind, c.relacl, n.nspname, c.relname,
                   CASE WHEN n.nspname = 'public' THEN quote_ident(c.relname)
                        ELSE quote_ident(n.nspname) || '.' || quote_ident(c.relname) END AS shown
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname NOT IN ('wabridge', 'pg_catalog', 'information_schema', 'pg_toast')
              AND n.nspname NOT LIKE 'pg\\_temp%' AND n.nspname NOT LIKE 'pg\\_toast%'
              AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
              AND NOT EXISTS (SELECT 1 FROM pg_depend d
                              WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
        SELECT o.shown, r.w, quote_ident(a.attname),
               EXISTS (SELECT 1 FROM aclexplode(o.relacl) x WHERE x.grantee = 0 AND x.privilege_type = r.w)
               OR EXISTS (SELECT 1 FROM aclexplode(a.attacl) x WHERE x.grantee = 0 AND x.privilege_type = r.w)
        FROM others o CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('REFERENCES')) AS r(w)
        JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE o.relkind <> 'S' AND has_any_column_privilege(o.oid, r.w) AND has_column_privilege(o.oid, a.attnum, r.w)
          AND NOT EXISTS (SELECT 1 FROM needed n
                          WHERE o.nspname = 'public' AND n.t = o.relname AND n.w = r.w AND n.c = a.attname)
        UNION ALL
        SELECT o.shown, r.w, NULL,
               EXISTS (SELECT 1 FROM aclexplode(o.relacl) x WHERE x.grantee = 0 AND x.privilege_type = r.w)
        FROM others o CROSS JOIN (VALUES ('DELETE'), ('TRUNCATE'), ('TRIGGER')) AS r(w)
        WHERE o.relkind <> 'S' AND has_table_privilege(o.oid, r.w)
          AND NOT (o.nspname = 'public' AND r.w = 'DELETE' AND o.relname = ANY ($4::text[]))
        UNION ALL
        SELECT o.shown, r.w, NULL,
               EXISTS (SELECT 1 FROM aclexplode(o.relacl) x WHERE x.grantee = 0 AND x.privilege_type = r.w)
        FROM others o CROSS JOIN (VALUES ('USAGE'), ('UPDATE'), ('SELECT')) AS r(w)
        WHERE o.relkind = 'S' AND has_sequence_privilege(o.oid, r.w)
          AND NOT (o.nspname = 'public' AND r.w = 'USAGE' AND o.relname = ANY ($5::text[]))";
    let rows = client
        .query(
            sql,
            &[
                /* tables */ &tables, /* rights */ &words, /* columns */ &columns,
                /* tables with DELETE */ &deleted, /* sequences */ &sequences,
            ],
        )
        .await?;
    for ((table, word, public), of) in gathered(&rows) {
        let object = object(&word, &table);
        // Of the table as a whole: that ends what was granted column by column too.
        let mut cure =
            format!("REVOKE {word} ON {object} FROM {};", if public { "PUBLIC" } else { &role });
        if let Some(kept) = kept(&word, &table) {
            cure += &format!(" GRANT {kept} ON {object} TO {role};");
        }
        rights.excess.push(Difference { what: format!("may {}", said(&word, &table, &of)), cure });
    }
    beside_tables(&client, &mut rights).await?;
    Ok(rights)
}

/// What a role may do beside tables: create things, be somebody else.
async fn beside_tables(
    client: &impl deadpool_postgres::GenericClient,
    rights: &mut Rights,
) -> Result<(), StoreError> {
    let sql = "-- rights::beside_tables
        SELECT 'may create objects in schema ' || n.nspname,
               CASE WHEN EXISTS (SELECT 1 FROM aclexplode(n.nspacl) x WHERE x.grantee = 0 AND x.privilege_type = 'CREATE')
                    THEN 'GRANT CREATE ON SCHEMA ' || quote_ident(n.nspname) || ' TO ' || quote_ident(o.rolname)
                         || '; REVOKE CREATE ON SCHEMA ' || quote_ident(n.nspname) || ' FROM PUBLIC;'
                    ELSE 'REVOKE CREATE ON SCHEMA ' || quote_ident(n.nspname) || ' FROM ' || quote_ident(current_user) || ';' END
        FROM pg_namespace n JOIN pg_database d ON d.datname = current_database() JOIN pg_roles o ON o.oid = d.datdba
        WHERE n.nspname NOT IN ('wabridge', 'pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
          AND has_schema_privilege(n.oid, 'CREATE')
        UNION ALL
        SELECT 'may create schemas',
               'REVOKE CREATE ON DATABASE ' || quote_ident(current_database()) || ' FROM ' || quote_ident(current_user) || ';'
        WHERE has_database_privilege(current_database(), 'CREATE')
        UNION ALL
        SELECT 'is a member of role ' || g.rolname,
               'REVOKE ' || quote_ident(g.rolname) || ' FROM ' || quote_ident(current_user) || ';'
        FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = current_user::regrole
        UNION ALL
        SELECT 'has the attribute ' || x.word, 'ALTER ROLE ' || quote_ident(current_user) || ' NO' || x.word || ';'
        FROM pg_roles r, LATERAL (VALUES ('CREATEDB', r.rolcreatedb), ('CREATEROLE', r.rolcreaterole),
                                         ('BYPASSRLS', r.rolbypassrls), ('REPLICATION', r.rolreplication)) AS x(word, held)
        WHERE r.rolname = current_user AND x.held";
    for row in client.query(sql, &[]).await? {
        rights.excess.push(Difference { what: row.get(0), cure: row.get(1) });
    }
    Ok(())
}

fn gathered(rows: &[tokio_postgres::Row]) -> Found {
    let mut found = Found::new();
    for row in rows {
        let of = found.entry((row.get(0), row.get(1), row.get(3))).or_default();
        of.extend(row.get::<_, Option<String>>(2));
    }
    for columns in found.values_mut() {
        columns.sort();
    }
    found
}

/// What is needed of a right that is taken away as a whole: `SELECT (id, name)`.
fn kept(word: &str, table: &str) -> Option<String> {
    let of = schema::COLUMNS.iter().find(|of| of.name == table)?;
    let right = Right::ALL.into_iter().find(|right| right.word() == word)?;
    let columns: Vec<&str> = of.with(right).collect();
    (!columns.is_empty()).then(|| format!("{word} ({})", columns.join(", ")))
}

/// `SELECT whatsapp_chat (id, name)`
fn said(word: &str, table: &str, columns: &[String]) -> String {
    if columns.is_empty() {
        format!("{word} {table}")
    } else {
        format!("{word} {table} ({})", columns.join(", "))
    }
}

fn listed(word: &str, columns: &[String]) -> String {
    if columns.is_empty() { word.to_owned() } else { format!("{word} ({})", columns.join(", ")) }
}

fn object(word: &str, name: &str) -> String {
    if word == "USAGE" { format!("SEQUENCE {name}") } else { name.to_owned() }
}
