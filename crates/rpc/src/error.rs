//! What a caller is told when something did not work: the one place where kinds become JSON-RPC errors.
//!
//! Codes are those of [`Kind::code`], positive, never renumbered; −326xx are JSON-RPC's own.

use std::time::Duration;

use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::types::error::{
    INVALID_PARAMS_CODE, INVALID_REQUEST_CODE, METHOD_NOT_FOUND_CODE, PARSE_ERROR_CODE,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;

/// `error.data` of every error.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ErrorData {
    /// A word of the table in docs/PROTOCOL.md, or `parse_error`, `invalid_request`, `method_not_found`, `invalid_params`.
    pub kind: String,
    /// Whether the same call may succeed later without anything being changed.
    pub retryable: bool,
    /// Seconds to wait before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The particulars: one sentence, or an object (`job_id` of the run that is in the way).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Joins this answer with our log lines and the audit row.
    pub request_id: String,
}

/// Why a method did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub refusal: Refusal,
    pub retry_after: Option<Duration>,
    /// For programs, where the sentence is not enough.
    pub details: Option<Value>,
}

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Refusal::new(kind, message).into()
    }

    pub fn kind(&self) -> Kind {
        self.refusal.kind
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, retry_after: None, details: None }
    }
}

/// The JSON-RPC error of a failure.
pub fn object(failure: &Failure, request_id: &str) -> ErrorObjectOwned {
    let Refusal { kind, message } = &failure.refusal;
    let data = ErrorData {
        kind: kind.as_str().to_owned(),
        retryable: kind.retryable(),
        // Rounded up: a caller who waits a little too short is refused again.
        retry_after: failure.retry_after.map(|wait| wait.as_millis().div_ceil(1000) as u64),
        details: failure
            .details
            .clone()
            .or_else(|| particular(*kind).then(|| message.clone().into())),
        request_id: request_id.to_owned(),
    };
    ErrorObjectOwned::owned(kind.code(), message.clone(), Some(data))
}

/// Kinds whose own word says too little: the addon shows the particulars beside its sentence for them.
fn particular(kind: Kind) -> bool {
    (1101..1400).contains(&kind.code())
}

/// One of JSON-RPC's own errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// The body is no JSON.
    NotJson,
    /// JSON, but no JSON-RPC 2.0 request object.
    NotARequest,
    Batch,
    Notification,
    UnknownMethod,
    /// The text names the parameter.
    InvalidParams(String),
}

impl Malformed {
    pub fn code(&self) -> i32 {
        match self {
            Self::NotJson => PARSE_ERROR_CODE,
            Self::NotARequest | Self::Batch | Self::Notification => INVALID_REQUEST_CODE,
            Self::UnknownMethod => METHOD_NOT_FOUND_CODE,
            Self::InvalidParams(_) => INVALID_PARAMS_CODE,
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::NotJson => "parse_error",
            Self::NotARequest | Self::Batch | Self::Notification => "invalid_request",
            Self::UnknownMethod => "method_not_found",
            Self::InvalidParams(_) => "invalid_params",
        }
    }

    pub fn message(&self) -> String {
        match self {
            Self::NotJson => "the body is not JSON".into(),
            Self::NotARequest => {
                "the body is not a JSON-RPC 2.0 request: one object with jsonrpc, id, method and params".into()
            }
            Self::Batch => "batches are not accepted; send one request a call".into(),
            Self::Notification => "a request without id is not accepted; give it an id".into(),
            Self::UnknownMethod => "there is no such method; rpc.discover lists them".into(),
            Self::InvalidParams(problem) => problem.clone(),
        }
    }

    pub fn object(&self, request_id: &str) -> ErrorObjectOwned {
        let data = ErrorData {
            kind: self.word().to_owned(),
            retryable: false,
            retry_after: None,
            details: None,
            request_id: request_id.to_owned(),
        };
        ErrorObjectOwned::owned(self.code(), self.message(), Some(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_form() {
        let failure = Failure {
            refusal: Refusal::new(Kind::ProviderRateLimited, "slow down"),
            retry_after: Some(Duration::from_millis(1200)),
            details: None,
        };
        assert_eq!(
            serde_json::to_value(object(&failure, "r-1")).unwrap(),
            serde_json::json!({"code": 1303, "message": "slow down", "data": {
                "kind": "provider_rate_limited", "retryable": true, "retry_after": 2,
                "details": "slow down", "request_id": "r-1"}})
        );
        let denied = object(&Failure::new(Kind::AccessDenied, "no"), "r-2");
        assert_eq!(
            serde_json::to_value(denied).unwrap(),
            serde_json::json!({"code": 1001, "message": "no", "data": {
                "kind": "access_denied", "retryable": false, "request_id": "r-2"}})
        );
    }
}
