//! The private listener: who may call, for whom, and what the methods answer.

mod access;
mod auth;
mod methods;

use serde_json::{Value, json};
use wabridge_domain::{Clock, Secret, clock::SystemClock};
use wabridge_rpc::sign;
use wabridge_testkit::daemon::{KEY_ID, KEY_SECRET};

/// A call whose every part can be bent.
#[derive(Debug, Clone)]
struct Raw {
    key: String,
    secret: String,
    /// Seconds that the caller's clock is ahead.
    ahead: i64,
    nonce: String,
    /// What is signed.
    method: String,
    path: String,
    body: String,
}

impl Raw {
    fn new(body: impl Into<String>) -> Self {
        Self {
            key: KEY_ID.into(),
            secret: KEY_SECRET.into(),
            ahead: 0,
            nonce: sign::nonce(),
            method: "POST".into(),
            path: "/rpc".into(),
            body: body.into(),
        }
    }

    fn header(&self) -> String {
        let request =
            sign::Request { method: &self.method, path: &self.path, body: self.body.as_bytes() };
        let now = SystemClock.now().as_second() + self.ahead;
        sign::sign(&self.key, &Secret::new(self.secret.as_str()), now, &self.nonce, request)
    }
}

/// Status and body of a POST to /rpc.
async fn post(private_url: &str, authorization: Option<&str>, body: &str) -> (u16, String) {
    let mut request = crate::support::world::client()
        .post(format!("{private_url}/rpc"))
        .header("content-type", "application/json")
        .body(body.to_owned());
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let answer = request.send().await.expect("the daemon answers");
    (answer.status().as_u16(), answer.text().await.expect("the answer has a body"))
}

/// A signed call with the given key; the whole answer.
async fn call_as(private_url: &str, key: &str, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let raw = Raw { key: key.into(), ..Raw::new(body) };
    let (status, text) = post(private_url, Some(&raw.header()), &raw.body).await;
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"))
}
