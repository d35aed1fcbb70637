//! What can be wrong, as a word for programs. The JSON-RPC codes are the same list (docs/PROTOCOL.md).

use serde::{Deserialize, Serialize};

/// The kind of a refusal or failure: `error_code` of a message row, `data.kind` of an RPC error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    AccessDenied,
    ConfigurationNotFound,
    NoConfigurationForUser,
    ConfigurationInactive,
    InvalidRecipient,
    InvalidContent,
    MediaTooLarge,
    MediaTypeUnsupported,
    UnsupportedByProvider,
    RecipientOptedOut,
    OutsideServiceWindow,
    IdempotencyConflict,
    ProviderUnavailable,
    ProviderRejected,
    ProviderRateLimited,
    ProviderAuthFailed,
    ProviderTimeout,
    RateLimited,
    QueueFull,
    DatabaseUnavailable,
    SchemaMismatch,
    Locked,
    RecordNotFound,
    Conflict,
}

impl Kind {
    pub const ALL: [Kind; 24] = [
        Self::AccessDenied,
        Self::ConfigurationNotFound,
        Self::NoConfigurationForUser,
        Self::ConfigurationInactive,
        Self::InvalidRecipient,
        Self::InvalidContent,
        Self::MediaTooLarge,
        Self::MediaTypeUnsupported,
        Self::UnsupportedByProvider,
        Self::RecipientOptedOut,
        Self::OutsideServiceWindow,
        Self::IdempotencyConflict,
        Self::ProviderUnavailable,
        Self::ProviderRejected,
        Self::ProviderRateLimited,
        Self::ProviderAuthFailed,
        Self::ProviderTimeout,
        Self::RateLimited,
        Self::QueueFull,
        Self::DatabaseUnavailable,
        Self::SchemaMismatch,
        Self::Locked,
        Self::RecordNotFound,
        Self::Conflict,
    ];

    /// The JSON-RPC code; never renumbered.
    pub fn code(self) -> i32 {
        match self {
            Self::AccessDenied => 1001,
            Self::ConfigurationNotFound => 1002,
            Self::NoConfigurationForUser => 1003,
            Self::ConfigurationInactive => 1004,
            Self::InvalidRecipient => 1101,
            Self::InvalidContent => 1102,
            Self::MediaTooLarge => 1103,
            Self::MediaTypeUnsupported => 1104,
            Self::UnsupportedByProvider => 1105,
            Self::RecipientOptedOut => 1106,
            Self::OutsideServiceWindow => 1107,
            Self::IdempotencyConflict => 1108,
            Self::ProviderUnavailable => 1301,
            Self::ProviderRejected => 1302,
            Self::ProviderRateLimited => 1303,
            Self::ProviderAuthFailed => 1304,
            Self::ProviderTimeout => 1305,
            Self::RateLimited => 1401,
            Self::QueueFull => 1402,
            Self::DatabaseUnavailable => 1501,
            Self::SchemaMismatch => 1502,
            Self::Locked => 1503,
            Self::RecordNotFound => 1504,
            Self::Conflict => 1505,
        }
    }

    /// The word in `data.kind` and `whatsapp_message.error_code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::ConfigurationNotFound => "configuration_not_found",
            Self::NoConfigurationForUser => "no_configuration_for_user",
            Self::ConfigurationInactive => "configuration_inactive",
            Self::InvalidRecipient => "invalid_recipient",
            Self::InvalidContent => "invalid_content",
            Self::MediaTooLarge => "media_too_large",
            Self::MediaTypeUnsupported => "media_type_unsupported",
            Self::UnsupportedByProvider => "unsupported_by_provider",
            Self::RecipientOptedOut => "recipient_opted_out",
            Self::OutsideServiceWindow => "outside_service_window",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::ProviderRejected => "provider_rejected",
            Self::ProviderRateLimited => "provider_rate_limited",
            Self::ProviderAuthFailed => "provider_auth_failed",
            Self::ProviderTimeout => "provider_timeout",
            Self::RateLimited => "rate_limited",
            Self::QueueFull => "queue_full",
            Self::DatabaseUnavailable => "database_unavailable",
            Self::SchemaMismatch => "schema_mismatch",
            Self::Locked => "locked",
            Self::RecordNotFound => "record_not_found",
            Self::Conflict => "conflict",
        }
    }

    /// True where the same call may succeed later without anything being changed.
    pub fn retryable(self) -> bool {
        matches!(
            self,
            Self::ProviderUnavailable
                | Self::ProviderRateLimited
                | Self::ProviderTimeout
                | Self::RateLimited
                | Self::QueueFull
                | Self::DatabaseUnavailable
                | Self::SchemaMismatch
                | Self::Locked
                | Self::Conflict
        )
    }
}

/// A refusal: its kind, and a sentence for people that names no host, path, SQL or token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind_word}: {message}", kind_word = .kind.as_str())]
pub struct Refusal {
    pub kind: Kind,
    pub message: String,
}

impl Refusal {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words_are_unique_and_agree_with_serde() {
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert!(Kind::ALL[..i].iter().all(|k| k.code() != kind.code()));
        }
    }
}
