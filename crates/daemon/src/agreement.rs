//! Which versions of each other daemon, addon and schema `wabridge` work with.
//!
//! The daemon knows the addons it works with ([`SUPPORTED_ADDON_VERSIONS`]): with another one a database is
//! journal-only. The addon says in a system parameter which daemons it works with; another one is told where people
//! look (log, `doctor`, Odoo's health page) and goes on, because an upgrade begins with the daemon.

use serde_json::{Value, json};
use wabridge_store::migrations::VERSION as SCHEMA;
use wabridge_store::schema::{ADDON, SUPPORTED_ADDON_VERSIONS, is_of};
use wabridge_store::{Database, StoreError, odoo};

/// This program.
pub const DAEMON: &str = env!("CARGO_PKG_VERSION");

/// System parameter of Odoo: versions of the daemon that the addon works with, separated by spaces (`5.0 5.1`).
pub const PARAMETER: &str = "whatsapp_integration.bridge_versions";

/// What one look at a database found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreement {
    /// The version of schema `wabridge`, where it is ahead of this program's.
    pub schema_ahead: Option<i32>,
    /// The addon's version as Odoo writes it (`14.0.5.0.0`), where this program works with it.
    pub addon: Option<String>,
    /// [`PARAMETER`]; None where the addon does not say.
    pub accepts: Option<String>,
}

impl Agreement {
    /// For an addon that fits.
    ///
    /// # Errors
    /// The database's.
    pub async fn with(
        store: &Database,
        addon: String,
        schema_ahead: Option<i32>,
    ) -> Result<Self, StoreError> {
        let accepts = odoo::parameter::get(store, PARAMETER).await?;
        Ok(Self { schema_ahead, addon: Some(addon), accepts })
    }

    /// Whether the addon works with this program; None where it does not say.
    pub fn accepted_by_addon(&self) -> Option<bool> {
        self.accepts.as_deref().map(|accepts| accepts_version(accepts, DAEMON))
    }

    /// What somebody has to know, a line each, with the cure.
    pub fn problems(&self) -> Vec<String> {
        let addon = self.addon.as_deref().unwrap_or("?");
        let disagrees = self.accepts.as_deref().filter(|_| self.accepted_by_addon() == Some(false));
        disagrees
            .map(|accepts| {
                format!(
                    "addon {ADDON} {addon} works with wabridge {}, this is {DAEMON}: upgrade the older of the two",
                    accepts.split_whitespace().collect::<Vec<_>>().join(", ")
                )
            })
            .into_iter()
            .collect()
    }

    /// One sentence for `doctor`: who works with whom.
    pub fn sentence(&self) -> String {
        let addon = self.addon.as_deref().unwrap_or("?");
        let accepts = match self.accepts.as_deref() {
            Some(accepts) => accepts.split_whitespace().collect::<Vec<_>>().join(", "),
            None => "any (it does not say)".to_owned(),
        };
        format!(
            "wabridge {DAEMON} works with {ADDON} {}, found {addon}, which works with wabridge {accepts}; schema wabridge has version {}",
            SUPPORTED_ADDON_VERSIONS.join(", "),
            self.schema_ahead.unwrap_or(SCHEMA)
        )
    }

    /// `versions` of a database in `GET /health/ready`.
    pub fn page(&self) -> Value {
        json!({
            "addon": self.addon,
            "addons_accepted": SUPPORTED_ADDON_VERSIONS,
            "accepted_by_addon": self.accepted_by_addon(),
            "schema": self.schema_ahead.unwrap_or(SCHEMA),
            "schemas_accepted": [SCHEMA, SCHEMA + 1],
        })
    }
}

/// `5.0 5.1` holds `5.1.7`.
fn accepts_version(accepts: &str, version: &str) -> bool {
    accepts.split_whitespace().any(|minor| is_of(version, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(accepts: Option<&str>) -> Agreement {
        let addon = Some("14.0.5.0.0".to_owned());
        Agreement { schema_ahead: None, addon, accepts: accepts.map(str::to_owned) }
    }

    #[test]
    fn versions_are_compared_part_by_part() {
        assert!(accepts_version("5.0 5.1", "5.1.7"));
        assert!(accepts_version(" 5.0\n", "5.0"));
        assert!(!accepts_version("5.1", "5.10.0"));
        assert!(!accepts_version("", "5.0.0"));
    }

    #[test]
    fn an_addon_that_wants_another_daemon_is_told_of() {
        assert_eq!(agreed(Some("4.2 4.3")).accepted_by_addon(), Some(false));
        let problems = agreed(Some("4.2 4.3")).problems();
        let [line] = &problems[..] else { panic!("{problems:?}") };
        for word in ["14.0.5.0.0", "4.2, 4.3", DAEMON, "upgrade the older"] {
            assert!(line.contains(word), "{word}: {line}");
        }
        let (major_minor, _) = DAEMON.rsplit_once('.').expect("three numbers");
        assert_eq!(agreed(Some(major_minor)).accepted_by_addon(), Some(true));
        assert!(agreed(Some(major_minor)).problems().is_empty());
    }

    #[test]
    fn an_addon_that_says_nothing_is_believed() {
        assert_eq!(agreed(None).accepted_by_addon(), None);
        assert!(agreed(None).problems().is_empty());
        assert!(agreed(None).sentence().contains("does not say"));
    }
}
