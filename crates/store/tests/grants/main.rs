//! The rights of the daemon's role: what the statements use, what is listed and granted, what the role can then do.

mod needs;
mod role;
mod statements;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use needs::{Needs, Parser};
use statements::Given;
use wabridge_store::grants;
use wabridge_store::schema::{self, Table};
use wabridge_testkit::{Series, TestDatabase};

/// Conditions of the journal's filter name no table of Odoo's; this one takes the same parameters.
const FITS: &[&str] = &[
    "$1::int8[] IS NULL AND $2::timestamptz IS NULL AND $3::timestamptz IS NULL AND $4::text IS NULL \
     AND $5::int4 IS NULL AND $6::int8 IS NULL",
];

/// What statements put together at run time are given.
const GIVEN: Given<'_> = &[
    ("journal::list", "fits", FITS),
    ("journal::selected", "fits", FITS),
    ("journal::keep", "name", &["journal"]),
    ("odoo::recipient::partner", "mobile", &["NULL"]),
    (
        "seal::value::swap_credential",
        "column",
        &["token", "webhook_token", "webhook_secret", "app_secret", "verify_token"],
    ),
    // See BATCHES.
    ("journal::drop_partition", "name", &["journal"]),
    ("journal::ensure_partitions", "name", &["journal_x"]),
    ("journal::ensure_partitions", "from", &["2026-11-01"]),
    ("journal::ensure_partitions", "to", &["2026-11-02"]),
    ("identity::hold", "locks", &[""]),
    ("identity::share", "locks", &[""]),
    ("identity::hold_alone", "locks", &[""]),
];

/// The same, where the column is there.
const GIVEN_ON_14: Given<'_> = &[("odoo::recipient::partner", "mobile", &["p.mobile"])];

/// Commands and several statements in one go: PostgreSQL prepares none of them. All are about schema wabridge or savepoints.
const BATCHES: &[&str] = &[
    "identity::hold",
    "identity::hold_alone",
    "identity::keep",
    "identity::share",
    "journal::drop_partition",
    "journal::ensure_partitions",
    "migrations::run",
];

/// Columns of one series only. They are read where they are there, and must not be missed where they are not.
const OPTIONAL: &[(&str, &str)] = &[("res_partner", "mobile")];

/// A row lock asks for the right to update one column, be it never written: this one.
const LOCK: &str = "write_date";

#[tokio::test]
async fn the_list_and_the_grants_are_what_the_statements_use() {
    let mut used: BTreeMap<String, Needs> = BTreeMap::new();
    let mut wrong = Vec::new();
    for series in [Series::Odoo14, Series::Odoo19] {
        let database = TestDatabase::new(series).await;
        let parser = Parser::connect(&database.url).await;
        let mut given = if series == Series::Odoo14 { GIVEN_ON_14.to_vec() } else { vec![] };
        given.extend(GIVEN);
        let sources = statements::read(&given);
        assert!(
            sources.statements.len() > 300,
            "{} statements were read",
            sources.statements.len()
        );
        wrong.extend(sources.strays.into_iter().map(|text| {
            format!("it names a table of Odoo's and is in no statement with `-- module::name` as first line: {text}")
        }));
        for statement in sources.statements.iter().filter(|s| !BATCHES.contains(&s.name.as_str())) {
            match parser.needs(statement).await {
                Ok(needs) => {
                    for (table, of) in needs {
                        used.entry(table).or_default().merge(&of);
                    }
                }
                Err(error) => wrong.push(error),
            }
        }
    }
    for of in used.values_mut() {
        if of.columns.remove("?lock").is_some() && !of.columns.values().any(|r| r.contains('u')) {
            of.add(LOCK, 'u');
        }
    }
    for (table, column) in OPTIONAL {
        if let Some(rights) = used.get_mut(*table).and_then(|of| of.columns.get_mut(*column)) {
            rights.push('?');
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let tables = tables(&used);
    if std::env::var_os("UPDATE_GRANTS").is_some() {
        std::fs::write(list(), source(&used)).unwrap();
        std::fs::write(shipped(), grants::addon_part(&tables)).unwrap();
        return;
    }
    let differences = differences(&used);
    assert!(
        differences.is_empty(),
        "crates/store/src/schema/columns.rs is not what the statements use; say \
         `UPDATE_GRANTS=1 cargo test -p wabridge-store --test grants list_and` and look at what changed:\n{}",
        differences.join("\n")
    );
    assert_eq!(
        std::fs::read_to_string(list()).unwrap(),
        source(&used),
        "crates/store/src/schema/columns.rs is not written as UPDATE_GRANTS=1 writes it"
    );
    assert_eq!(
        std::fs::read_to_string(shipped()).unwrap(),
        grants::addon_part(&tables),
        "the addon's data/grants.sql is not what the list says: UPDATE_GRANTS=1 writes it"
    );
}

/// What was used, in the form of the list.
fn tables(used: &BTreeMap<String, Needs>) -> Vec<Table> {
    let kept = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    used.iter()
        .map(|(name, of)| {
            let columns: Vec<_> = of.columns.iter().map(|(c, r)| (kept(c), kept(r))).collect();
            Table {
                name: kept(name),
                delete: of.delete,
                columns: Box::leak(columns.into_boxed_slice()),
            }
        })
        .collect()
}

fn list() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema/columns.rs")
}

fn shipped() -> PathBuf {
    let addon = "../../odoo_addon/whatsapp_integration/data/grants.sql";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(addon)
}

/// One line each, naming the side that has too much.
fn differences(used: &BTreeMap<String, Needs>) -> Vec<String> {
    let mut lines = Vec::new();
    let listed: BTreeMap<&str, _> = schema::COLUMNS.iter().map(|of| (of.name, of)).collect();
    for table in used.keys().map(String::as_str).chain(listed.keys().copied()) {
        let nothing = Needs::default();
        let of = used.get(table).unwrap_or(&nothing);
        let has: BTreeMap<&str, &str> =
            listed.get(table).map(|of| of.columns.iter().copied().collect()).unwrap_or_default();
        let deletes = listed.get(table).is_some_and(|of| of.delete);
        if deletes != of.delete {
            lines.push(format!("{table}: delete is {deletes}, the statements say {}", of.delete));
        }
        for column in of.columns.keys().map(String::as_str).chain(has.keys().copied()) {
            let (uses, lists) =
                (of.columns.get(column).map(String::as_str), has.get(column).copied());
            if uses != lists {
                lines.push(format!(
                    "{table}.{column}: listed \"{}\", used \"{}\"",
                    lists.unwrap_or_default(),
                    uses.unwrap_or_default()
                ));
            }
        }
    }
    lines.sort();
    lines.dedup();
    lines
}

/// The list as Rust.
fn source(used: &BTreeMap<String, Needs>) -> String {
    let mut text = String::from(
        "//! What statements of ours do with Odoo's tables. Kept equal to the statements by
//! `UPDATE_GRANTS=1 cargo test -p wabridge-store --test grants list_and`, which writes the addon's `data/grants.sql`
//! too. Read what changed before it is committed: each line is a right of the daemon's role.

use super::Table;

/// By table and column; the letters are told at [`Table::columns`].
#[rustfmt::skip]
pub const COLUMNS: &[Table] = &[
",
    );
    for (table, of) in used {
        let _ =
            writeln!(text, "    Table {{ name: \"{table}\", delete: {}, columns: &[", of.delete);
        for (column, rights) in &of.columns {
            let _ = writeln!(text, "        (\"{column}\", \"{rights}\"),");
        }
        text += "    ] },\n";
    }
    text + "];\n"
}
