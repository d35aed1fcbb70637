//! The providers and the account that the tests have at each.

use wabridge_domain::ProviderKind;
use wabridge_testkit::daemon::{WHAPI_CHANNEL, WHAPI_TOKEN};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Whapi,
    Wassenger,
    Meta,
    Custom,
}

impl Provider {
    pub fn word(self) -> &'static str {
        match self {
            Self::Whapi => "whapi",
            Self::Wassenger => "wassenger",
            Self::Meta => "meta",
            Self::Custom => "custom",
        }
    }

    pub fn channel(self) -> &'static str {
        match self {
            Self::Whapi => WHAPI_CHANNEL,
            Self::Wassenger => "68a1f0c2d4e5b60718293a4b",
            Self::Meta => "206543210987654",
            Self::Custom => "custom-channel-1",
        }
    }

    pub fn token(self) -> &'static str {
        match self {
            Self::Whapi => WHAPI_TOKEN,
            Self::Wassenger => "wassenger-token-canary-9914",
            Self::Meta => "meta-token-canary-4416",
            Self::Custom => "custom-token-canary-7301",
        }
    }
}

impl From<ProviderKind> for Provider {
    fn from(kind: ProviderKind) -> Self {
        match kind {
            ProviderKind::Whapi => Self::Whapi,
            ProviderKind::Wassenger => Self::Wassenger,
            ProviderKind::Meta => Self::Meta,
            ProviderKind::Custom => Self::Custom,
        }
    }
}
