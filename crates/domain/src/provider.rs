//! The kinds of providers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The word in `whatsapp_configuration.provider`, in webhook paths, logs and metrics.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    Whapi,
    Wassenger,
    Meta,
    Custom,
}

impl ProviderKind {
    pub const ALL: [ProviderKind; 4] = [Self::Whapi, Self::Wassenger, Self::Meta, Self::Custom];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whapi => "whapi",
            Self::Wassenger => "wassenger",
            Self::Meta => "meta",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names no provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no provider; known are whapi, wassenger, meta, custom")]
pub struct UnknownProvider(pub String);

impl FromStr for ProviderKind {
    type Err = UnknownProvider;

    fn from_str(word: &str) -> Result<Self, UnknownProvider> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownProvider(word.chars().take(40).collect()))
    }
}
