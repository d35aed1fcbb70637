//! Does the addon's schema fit? Every table and column of Odoo that a statement of ours uses is listed in [`COLUMNS`].

mod columns;

use std::collections::{HashMap, HashSet};

pub use columns::COLUMNS;

use crate::{Database, StoreError};

/// Technical name of the addon.
pub const ADDON: &str = "whatsapp_integration";
/// Versions of the addon (without Odoo's series) that this program works with.
pub const SUPPORTED_ADDON_VERSIONS: &[&str] = &["5.0"];

/// What may be done with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Read,
    Insert,
    Update,
}

impl Right {
    pub const ALL: [Self; 3] = [Self::Read, Self::Insert, Self::Update];

    /// As SQL says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Read => 'r',
            Self::Insert => 'i',
            Self::Update => 'u',
        }
    }
}

/// What statements of ours do with a table of Odoo's.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    /// Rows are deleted.
    pub delete: bool,
    /// (column, letters): `r` it is read, `i` inserted, `u` updated; `?` not every series of Odoo has it.
    pub columns: &'static [(&'static str, &'static str)],
}

impl Table {
    /// Its columns with that right, without the optional ones.
    pub fn with(&self, right: Right) -> impl Iterator<Item = &'static str> {
        self.required().filter(move |(_, rights)| rights.contains(right.letter())).map(|(c, _)| c)
    }

    /// Columns that not every series has; they are only read.
    pub fn optional(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().filter(|(_, rights)| rights.contains('?')).map(|(column, _)| *column)
    }

    fn required(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.columns.iter().copied().filter(|(_, rights)| !rights.contains('?'))
    }

    /// The sequence of its ids, where rows are inserted.
    pub fn sequence(&self) -> Option<String> {
        self.with(Right::Insert).next().map(|_| format!("{}_id_seq", self.name))
    }
}

/// The outcome of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// The addon's version, as Odoo writes it (`14.0.5.0.0`).
    Fits { addon: String },
    /// One line for each difference, naming cause and cure.
    Differs(Vec<String>),
}

/// Compares the database with [`COLUMNS`] and the supported versions.
///
/// # Errors
/// The database's; a missing table is an answer, not an error.
pub async fn verify(database: &Database) -> Result<Fit, StoreError> {
    let client = database.client().await?;
    let tables: Vec<&str> = COLUMNS.iter().map(|table| table.name).collect();
    let sql = "-- schema::columns
        SELECT c.relname::text, a.attname::text
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = to_regnamespace('public') AND c.relname = ANY($1)";
    let mut found: HashMap<String, HashSet<String>> = HashMap::new();
    for row in client.query(sql, &[/* tables */ &tables]).await? {
        found.entry(row.get(0)).or_default().insert(row.get(1));
    }
    if !found.contains_key("ir_module_module") {
        return Ok(Fit::Differs(vec![format!(
            "database {} holds no Odoo: name the Odoo database in the url",
            database.dbname()
        )]));
    }
    let sql = "-- schema::addon
        SELECT state, latest_version FROM public.ir_module_module WHERE name = $1";
    let addon = match client.query_opt(sql, &[/* addon */ &ADDON]).await {
        Ok(row) => {
            row.map(|row| (row.get::<_, Option<String>>(0), row.get::<_, Option<String>>(1)))
        }
        Err(error)
            if error.code() == Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) =>
        {
            // Its uninstallation takes the rights back: then they are not what is missing.
            return Ok(Fit::Differs(vec![if found.contains_key("whatsapp_configuration") {
                "the daemon's role may not read ir_module_module: apply what `wabridge grants` prints".into()
            } else {
                absent("not installed", database.name())
            }]));
        }
        Err(error) => return Err(error.into()),
    };
    let mut differences = Vec::new();
    let version = match addon {
        Some((Some(state), Some(version))) if state == "installed" || state == "to upgrade" => {
            version
        }
        Some((state, _)) => {
            let state = state.as_deref().unwrap_or("not installed");
            return Ok(Fit::Differs(vec![absent(state, database.name())]));
        }
        None => {
            return Ok(Fit::Differs(vec![format!(
                "addon {ADDON} is unknown to this Odoo: put it into the addons path, update the apps list, install it"
            )]));
        }
    };
    if !supported(&version) {
        differences.push(format!(
            "addon {ADDON} has version {version}; this wabridge works with {}: upgrade the older of the two",
            SUPPORTED_ADDON_VERSIONS.join(", ")
        ));
    }
    for table in COLUMNS {
        let name = table.name;
        match found.get(name) {
            None => {
                differences
                    .push(format!("table {name} is missing: upgrade the addon (-u {ADDON})"));
            }
            Some(have) => {
                differences.extend(table.required().filter(|(c, _)| !have.contains(*c)).map(
                    |(column, _)| {
                        format!("column {name}.{column} is missing: upgrade the addon (-u {ADDON})")
                    },
                ));
            }
        }
    }
    Ok(if differences.is_empty() {
        Fit::Fits { addon: version }
    } else {
        Fit::Differs(differences)
    })
}

/// What is said of an addon that is not there. `state` is Odoo's word.
fn absent(state: &str, database: &str) -> String {
    let state = if state == "to remove" { "being uninstalled" } else { state };
    format!(
        "addon {ADDON} is {state}: install it in Odoo; if it was uninstalled for good, take the database out of the settings and say `wabridge drop {database}`"
    )
}

/// `14.0.5.0.0` and `19.0.5.0.0` are version 5.0 of the addon.
fn supported(version: &str) -> bool {
    let own = version.splitn(3, '.').nth(2).unwrap_or_default();
    SUPPORTED_ADDON_VERSIONS.iter().any(|minor| is_of(own, minor))
}

/// Whether a version (`5.1.7`) is one of a minor version (`5.1`).
pub fn is_of(version: &str, minor: &str) -> bool {
    version.strip_prefix(minor).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert!(supported("14.0.5.0.0"));
        assert!(supported("19.0.5.0.3"));
        assert!(!supported("14.0.4.2.0"));
        assert!(!supported("14.0.5.01.0"));
        assert!(!supported("5.0"));
    }
}
