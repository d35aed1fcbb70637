//! Every version of every row, so that "nothing changed" can be said of a whole database.

use std::collections::BTreeMap;

use wabridge_testkit::TestDatabase;

/// Written whatever anybody asks: counters and log of refusals, used nonces, leases.
const MOVING: &[&str] = &[
    "public.whatsapp_audit_log",
    "wabridge.account_pace",
    "wabridge.audit_",
    "wabridge.meta",
    "wabridge.nonce",
    "wabridge.refusal_minute",
    "wabridge.replica",
];

/// By table: how many rows, and a digest of their places and versions.
pub type Tables = BTreeMap<String, String>;

/// All tables of Odoo's and of ours, but those that always move.
pub async fn tables(database: &TestDatabase) -> Tables {
    let names = database
        .admin
        .query(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname IN ('public', 'wabridge')",
            &[],
        )
        .await
        .expect("the catalogue can be read");
    let each: Vec<String> = names
        .iter()
        .map(|row| row.get::<_, String>(0))
        .filter(|name| !MOVING.iter().any(|moving| name.starts_with(moving)))
        .map(|name| {
            format!(
                "SELECT '{name}', count(*) || ' ' || coalesce(md5(string_agg(t.ctid || ':' || t.xmin, ' ' ORDER BY t.ctid)), '')
                 FROM {name} t"
            )
        })
        .collect();
    assert!(each.len() > 50, "the tables are there");
    let rows =
        database.admin.query(&each.join(" UNION ALL "), &[]).await.expect("the tables can be read");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Names of the tables that differ.
pub fn changed(before: &Tables, after: &Tables) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

/// Waits until nothing moves for a while: what was sent before has been told of.
pub async fn settled(database: &TestDatabase) -> Tables {
    let mut last = tables(database).await;
    for _ in 0..60 {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        let now = tables(database).await;
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("the tables do not come to rest");
}
