//! A running simulator, a client of it, and a receiver of its webhooks.

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;
use wabridge_simulator::{Options, SimulatorError, serve};

pub const TOKEN: &str = "whapi-token-1";
pub const OTHER_TOKEN: &str = "whapi-token-2";
pub const AMIRA: &str = "447700900123";
pub const GROUP: &str = "120363025550100777@g.us";
const PATIENCE: Duration = Duration::from_secs(15);

/// One webhook as it arrived.
#[derive(Debug, Clone)]
pub struct Got {
    pub at: Instant,
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
    /// As it came.
    pub raw: Bytes,
}

#[derive(Clone, Default)]
pub struct Receiver {
    got: Arc<Mutex<Vec<Got>>>,
    /// Statuses of the next answers; 200 after them.
    pub answers: Arc<Mutex<VecDeque<u16>>>,
    pub url: String,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let receiver = Self { url, ..Self::default() };
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub fn all(&self) -> Vec<Got> {
        self.got.lock().expect("nobody panics with it").clone()
    }

    pub fn forget(&self) {
        self.got.lock().expect("nobody panics with it").clear();
    }

    /// What arrived, in words as `message:Hello`, `sent`, `channel:QR`.
    pub fn words(&self) -> Vec<String> {
        self.all().iter().map(|got| word(&got.body)).collect()
    }

    /// Waits until so many webhooks are there.
    pub async fn wait(&self, count: usize) -> Vec<Got> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let got = self.all();
            if got.len() >= count {
                return got;
            }
            assert!(Instant::now() < deadline, "{count} webhooks awaited, got {:?}", self.words());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn word(body: &Value) -> String {
    if let Some(status) = body["statuses"][0]["status"].as_str() {
        return status.to_owned();
    }
    if let Some(message) = body["messages"].get(0) {
        let text = message["text"]["body"]
            .as_str()
            .unwrap_or_else(|| message["type"].as_str().expect("every message has a type"));
        return format!("message:{text}");
    }
    if let Some(text) = body["health"]["status"]["text"].as_str() {
        return format!("channel:{text}");
    }
    format!("{}.{}", body["event"]["type"], body["event"]["event"]).replace('"', "")
}

async fn receive(State(receiver): State<Receiver>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let bytes: Bytes = to_bytes(body, 1 << 24).await.expect("a webhook fits");
    let status = receiver.answers.lock().expect("nobody panics with it").pop_front();
    let status = StatusCode::from_u16(status.unwrap_or(200)).expect("a status");
    receiver.got.lock().expect("nobody panics with it").push(Got {
        at: Instant::now(),
        method: parts.method,
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).expect("a webhook is JSON"),
        raw: bytes,
    });
    status
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

pub struct Sim {
    pub url: String,
    pub hooks: Receiver,
    client: reqwest::Client,
    stop: CancellationToken,
    task: JoinHandle<Result<(), SimulatorError>>,
}

pub fn options() -> Options {
    serde_json::from_value(json!({
        "accounts": [
            {"provider": "whapi", "token": TOKEN, "channel_id": "HERON-K42QX",
             "phone": "447700900999", "name": "Acme Support"},
            {"provider": "whapi", "token": OTHER_TOKEN, "channel_id": "EGRET-K43QX",
             "phone": "447700900998", "name": "Acme Sales"},
        ],
        "people": [{"phone": AMIRA, "name": "Amira Osei"}],
        "groups": [{"id": GROUP, "name": "Ops Night Shift",
                    "participants": ["447700900999", AMIRA, "447700900777"]}],
    }))
    .expect("the options have the form of the accounts file")
}

impl Sim {
    /// Started, with a webhook for everything in mode `body`.
    pub async fn start() -> Self {
        let sim = Self::start_silent().await;
        let hook = json!({"webhooks": [sim.hook("body", "/hook")]});
        assert_eq!(sim.call("PATCH", "/settings", Some(hook)).await.status, 200);
        sim
    }

    pub async fn start_silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, options(), stop.clone()));
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .no_proxy()
            .build()
            .expect("a client");
        Self { url, hooks: Receiver::start().await, client, stop, task }
    }

    pub fn hook(&self, mode: &str, path: &str) -> Value {
        let events: Vec<Value> =
            ["messages", "statuses", "channel", "users"].map(|kind| json!({"type": kind})).into();
        json!({
            "url": format!("{}{path}", self.hooks.url), "mode": mode, "events": events,
            "headers": {"Authorization": "Bearer hook-secret"},
        })
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_as(TOKEN, method, path, body).await.expect("an answer")
    }

    pub async fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {token}"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, headers, body })
    }

    /// The body of a GET that is answered 200.
    pub async fn bytes(&self, path: &str, token: Option<&str>) -> Option<Bytes> {
        let mut request = self.client.get(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("an answer");
        if answer.status() != 200 {
            return None;
        }
        Some(answer.bytes().await.expect("its body"))
    }

    pub async fn send(&self, to: &str, text: &str) -> Answer {
        self.call("POST", "/messages/text", Some(json!({"to": to, "body": text}))).await
    }

    /// A control call that works.
    pub async fn control(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.call(method, &format!("/_control{path}"), body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        answer.body
    }

    pub async fn inbound(&self, mut body: Value) -> Value {
        body["token"] = TOKEN.into();
        self.control("POST", "/inbound", Some(body)).await
    }

    pub async fn fault(&self, body: Value) -> u64 {
        self.control("POST", "/faults", Some(body)).await["id"].as_u64().expect("an id")
    }

    /// Stops it; it must end by itself and soon.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task)
            .await
            .expect("the simulator stops within 5 s")
            .expect("it does not panic")
            .expect("it ends well");
    }
}
