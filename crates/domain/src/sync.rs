//! Synchronisation: what a run reads, how much of it, and what becomes of the run.

use serde::{Deserialize, Serialize};

use crate::capability::Operation;

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$note])* $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }
    };
}

words! {
    /// What is synchronised; a word of `whatsapp_sync_run.kinds`.
    SyncKind {
        Contacts = "contacts",
        /// With their members.
        Groups = "groups",
        /// The history that the provider keeps.
        Messages = "messages",
    }
}

words! {
    /// How much is read: the word in `whatsapp_sync_run.mode`.
    SyncMode {
        /// Messages from where the last run ended. Contacts and groups are listed by providers as a whole only.
        Incremental = "incremental",
        Full = "full",
        /// Messages since a date.
        Since = "since",
    }
}

words! {
    /// The word in `whatsapp_sync_run.state`.
    RunState {
        Queued = "queued",
        Running = "running",
        Done = "done",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

impl SyncKind {
    /// What an adapter must offer for it.
    pub fn operation(self) -> Operation {
        match self {
            Self::Contacts => Operation::ContactSync,
            Self::Groups => Operation::GroupSync,
            Self::Messages => Operation::MessageSync,
        }
    }

    /// The kinds of a schedule's `sync_type`.
    pub fn of_type(word: &str) -> &'static [Self] {
        match Self::parse(word) {
            Some(Self::Contacts) => &[Self::Contacts],
            Some(Self::Groups) => &[Self::Groups],
            Some(Self::Messages) => &[Self::Messages],
            None => Self::ALL,
        }
    }
}

impl RunState {
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for kind in SyncKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(SyncKind::of_type(kind.as_str()), [*kind]);
        }
        assert_eq!(SyncKind::of_type("all"), SyncKind::ALL);
        assert_eq!(RunState::parse("cancelled"), Some(RunState::Cancelled));
        assert_eq!(SyncMode::parse("?"), None);
    }
}
