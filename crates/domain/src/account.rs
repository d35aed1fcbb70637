//! An account: one row of `whatsapp.configuration`, one number at one provider.

use serde::{Deserialize, Serialize};

/// The row id of an account (`whatsapp_configuration.id`).
pub type AccountId = i32;

/// The word in `whatsapp_account_state.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    New,
    Connected,
    QrNeeded,
    Disconnected,
    Banned,
    TokenDead,
    Held,
}

impl AccountState {
    pub const ALL: [AccountState; 7] = [
        Self::New,
        Self::Connected,
        Self::QrNeeded,
        Self::Disconnected,
        Self::Banned,
        Self::TokenDead,
        Self::Held,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Connected => "connected",
            Self::QrNeeded => "qr_needed",
            Self::Disconnected => "disconnected",
            Self::Banned => "banned",
            Self::TokenDead => "token_dead",
            Self::Held => "held",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// True while a send has a chance: messages of any other state wait, they do not fail.
    pub fn can_send(self) -> bool {
        matches!(self, Self::New | Self::Connected)
    }
}

/// What happens to a call whose outcome stays unknown (`whatsapp_configuration.uncertain_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UncertainPolicy {
    #[default]
    Hold,
    Resend,
}

impl UncertainPolicy {
    /// Unknown words and NULL read as the careful one.
    pub fn from_column(word: Option<&str>) -> Self {
        match word {
            Some("resend") => Self::Resend,
            _ => Self::Hold,
        }
    }
}
