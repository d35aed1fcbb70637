//! What the simulator starts with: the accounts file of `wabridge simulate --accounts FILE`.

use crate::{SimulatorError, groups::GroupSpec, people::PersonSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{fmt, path::Path};

/// The accounts, people and groups that exist from the start; more come through `/_control/state`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    pub accounts: Vec<Account>,
    #[serde(default)]
    pub people: Vec<PersonSpec>,
    #[serde(default)]
    pub groups: Vec<GroupSpec>,
}

/// One number at one provider. A token that belongs to no account is refused as at the provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub provider: Provider,
    pub token: String,
    pub channel_id: String,
    /// The account's own number: digits with country code, no plus.
    pub phone: String,
    pub name: String,
    /// What only accounts of this provider have (`app_secret`, `webhook_url`, …).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Whapi,
    Wassenger,
    Meta,
    Custom,
}

impl Provider {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whapi => "whapi",
            Self::Wassenger => "wassenger",
            Self::Meta => "meta",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Options {
    /// Reads the JSON accounts file.
    ///
    /// # Errors
    /// The file cannot be read, is no JSON of this form, or names an account that cannot exist.
    pub fn from_file(path: &Path) -> Result<Self, SimulatorError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SimulatorError::File { path: path.to_owned(), source })?;
        let options: Self = serde_json::from_str(&text).map_err(|error| {
            SimulatorError::Options(format!(
                "{}: {error}; expected {{\"accounts\":[{{\"provider\":\"whapi\",\"token\":\"…\",\
                 \"channel_id\":\"…\",\"phone\":\"447700900999\",\"name\":\"…\"}}]}}",
                path.display()
            ))
        })?;
        crate::state::State::new(&options)?;
        Ok(options)
    }
}
