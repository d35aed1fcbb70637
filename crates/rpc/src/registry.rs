//! Methods: their description, how their parameters are read, how they are joined to their bodies.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{Extensions, RpcModule};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wabridge_domain::{Kind, ProviderKind};

use crate::error::{self, Failure, Malformed};
use crate::strict::Strict;

/// Whom the signature of a call names; the private listener puts it into the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The database (name in the settings) that the key belongs to.
    pub database: String,
    pub key_id: String,
    /// The only uid the key may act for; None = any.
    pub act_as: Option<i32>,
    pub request_id: String,
    /// Where the call came from.
    pub address: Option<String>,
    /// When its head arrived.
    pub received: std::time::Instant,
}

impl Identity {
    /// `meta` of the answer, as of now.
    pub fn meta(&self, provider: Option<ProviderKind>) -> Meta {
        let response_time = u64::try_from(self.received.elapsed().as_millis()).unwrap_or(u64::MAX);
        Meta { provider, response_time, request_id: self.request_id.clone() }
    }
}

/// `meta` of every result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Meta {
    /// The provider of the account concerned; null where none is.
    pub provider: Option<ProviderKind>,
    /// Milliseconds from the first byte of the call to this answer.
    pub response_time: u64,
    pub request_id: String,
}

/// Every result but that of `rpc.discover`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Answer<T> {
    pub data: T,
    pub meta: Meta,
}

/// One method: what stands in the OpenRPC document, and the types of its two sides.
pub struct Method<P, R> {
    pub name: &'static str,
    pub summary: &'static str,
    /// Kinds it may answer beside those of every method ([`COMMON_ERRORS`]).
    pub errors: &'static [Kind],
    types: PhantomData<fn(P) -> R>,
}

/// What every method but `rpc.discover` may answer.
pub const COMMON_ERRORS: &[Kind] =
    &[Kind::AccessDenied, Kind::DatabaseUnavailable, Kind::SchemaMismatch, Kind::Locked];

impl<P, R> Method<P, R> {
    pub const fn new(name: &'static str, summary: &'static str, errors: &'static [Kind]) -> Self {
        Self { name, summary, errors, types: PhantomData }
    }
}

/// Joins a method to its body. What the body refuses, and parameters that do not fit, become JSON-RPC errors.
pub(crate) fn register<A, P, R, F, Fut>(module: &mut RpcModule<A>, method: &Method<P, R>, body: F)
where
    A: Send + Sync + 'static,
    P: DeserializeOwned + Send + 'static,
    R: Serialize + Clone + Send + 'static,
    F: Fn(Arc<A>, Identity, P) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<R, Failure>> + Send,
{
    module
        .register_async_method(method.name, move |params, api, extensions| {
            let body = body.clone();
            async move {
                let identity = identity(&extensions)?;
                let request_id = identity.request_id.clone();
                let params = read(&params).map_err(|problem| problem.object(&request_id))?;
                body(api, identity, params)
                    .await
                    .map_err(|failure| error::object(&failure, &request_id))
            }
        })
        .expect("each method is registered once, under its own name");
}

/// Without an identity nothing is answered: the listener's authentication was left out.
fn identity(extensions: &Extensions) -> Result<Identity, ErrorObjectOwned> {
    extensions.get::<Identity>().cloned().ok_or_else(|| {
        error::object(&Failure::new(Kind::AccessDenied, "the call is not authenticated"), "")
    })
}

/// Reads parameters given as one object by name.
fn read<P: DeserializeOwned>(params: &Params<'_>) -> Result<P, Malformed> {
    // Without `params` there are none to read.
    let given: Option<Strict> = match params.as_str() {
        None => None,
        Some(text) => Some(serde_json::from_str(text).map_err(|error| unclear(&error))?),
    };
    let value = given.map_or(Value::Null, |strict| strict.0);
    let object = match value {
        Value::Object(_) => value,
        Value::Null => Value::Object(serde_json::Map::new()),
        _ => {
            return Err(Malformed::InvalidParams(
                "params must be one object, parameters by name".into(),
            ));
        }
    };
    serde_path_to_error::deserialize(object).map_err(|error| {
        let path = error.path().to_string();
        Malformed::InvalidParams(describe(&path, &error.into_inner().to_string()))
    })
}

/// Without the place: the caller's text is one line to him, of whatever length.
fn unclear(error: &serde_json::Error) -> Malformed {
    let text = error.to_string();
    let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
    Malformed::InvalidParams(problem.to_owned())
}

/// The problem with its parameter's name and without the value that was given: it may be a secret.
fn describe(path: &str, problem: &str) -> String {
    let problem = match problem.split_once(": ") {
        Some(("invalid type" | "invalid value" | "invalid length", rest)) => rest
            .rsplit_once(", expected ")
            .map_or("does not fit".to_owned(), |(_, expected)| match expected {
                "i32" | "i64" | "u32" | "u64" => "must be a whole number that fits".to_owned(),
                expected => format!("must be {expected}"),
            }),
        _ => problem.to_owned(),
    };
    if path == "." { problem } else { format!("parameter {path}: {problem}") }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only read by serde")]
        body: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only read by serde")]
        uid: i32,
        #[expect(dead_code, reason = "only read by serde")]
        text: Option<Inner>,
    }

    fn problem(params: &str) -> String {
        match read::<Outer>(&Params::new(Some(params))) {
            Err(problem) => problem.message(),
            Ok(read) => panic!("{read:?}"),
        }
    }

    #[test]
    fn problems_name_the_parameter_and_hide_the_value() {
        assert_eq!(problem("{}"), "missing field `uid`");
        assert_eq!(
            problem(r#"{"uid":"canary"}"#),
            "parameter uid: must be a whole number that fits"
        );
        assert_eq!(
            problem(r#"{"uid":1,"text":{"body":["canary"]}}"#),
            "parameter text.body: must be a string"
        );
        assert_eq!(problem(r#"{"uid":1,"text":{}}"#), "parameter text: missing field `body`");
        assert!(problem(r#"{"uid":1,"extra":2}"#).contains("unknown field `extra`"));
        assert!(problem(r#"[1]"#).contains("by name"));
        assert!(problem(r#"{"uid":3000000000}"#).contains("must be a whole number"));
        assert_eq!(problem(r#"{"uid":1,"uid":2}"#), "`uid` is given twice");
        let deep = format!(r#"{{"uid":1,"text":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
        assert_eq!(problem(&deep), "parameters are nested deeper than 32 levels");
    }
}
