//! A server on loopback for tests of clients.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wabridge_domain::Secret;

use crate::{Call, HttpOptions, http_client};

pub(crate) const TOKEN: &str = "canary-token-88141";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub method: String,
    /// Path with query.
    pub path: String,
    pub headers: HeaderMap,
    /// Null where it is no JSON.
    pub body: Value,
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

pub(crate) type Seen = Arc<Mutex<Vec<Arrived>>>;

/// Status, headers, body.
pub(crate) type Reply = (u16, Vec<(&'static str, String)>, String);

pub(crate) fn reply(status: u16, body: &str) -> Reply {
    (status, vec![], body.to_owned())
}

/// A server that gives the answers in turn, the last one for ever.
pub(crate) async fn server(answers: Vec<Reply>) -> (String, Seen) {
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let app = Router::new().fallback(move |request: Request| {
        let record = Arc::clone(&record);
        let answers = answers.clone();
        async move {
            let (head, body) = request.into_parts();
            let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let request = Arrived {
                method: head.method.to_string(),
                path: head.uri.to_string(),
                headers: head.headers,
                body: serde_json::from_slice(&body).unwrap_or_default(),
            };
            let n = {
                let mut record = record.lock().unwrap();
                record.push(request);
                record.len()
            };
            let (status, headers, body) = answers[(n - 1).min(answers.len() - 1)].clone();
            let mut response: Response =
                (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (base, seen)
}

/// A server that writes these bytes after one read of the request, waits, and closes.
pub(crate) async fn raw(answer: &'static str, then_wait: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                tokio::time::sleep(then_wait).await;
            });
        }
    });
    base
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

pub(crate) fn client() -> reqwest::Client {
    http_client(&HttpOptions {
        connect_timeout: Duration::from_millis(500),
        ..HttpOptions::default()
    })
    .unwrap()
}

pub(crate) fn call<'a>(
    http: &'a reqwest::Client,
    base: &'a str,
    token: &'a Secret,
    channel_id: &'a str,
) -> Call<'a> {
    Call {
        http,
        base_url: Some(base),
        token,
        channel_id: Some(channel_id),
        request_id: "r-1",
        timeout: Duration::from_millis(1500),
    }
}

/// What an act comes to that gets these answers, and what it asked for: method with path, and body.
pub(crate) async fn asked<T>(
    channel_id: &str,
    answers: Vec<Reply>,
    act: impl AsyncFnOnce(&Call<'_>) -> T,
) -> (T, Vec<(String, Value)>) {
    let (base, seen) = server(answers).await;
    let (http, token) = (client(), Secret::new(TOKEN));
    let outcome = act(&call(&http, &base, &token, channel_id)).await;
    let seen = seen.lock().unwrap().clone();
    (outcome, seen.into_iter().map(|one| (one.line(), one.body)).collect())
}
