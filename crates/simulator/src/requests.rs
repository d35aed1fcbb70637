//! The log of API calls that `/_control/requests` shows: bounded, oldest first out, `n` only grows.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

const MAX_REQUESTS: usize = 50_000;
const MAX_BYTES: usize = 64 << 20;
/// Of a body that is no JSON (a file on its way up) the log shows this much.
const MAX_SHOWN_BYTES: usize = 256 << 10;

/// One API call as it came in. Headers and token are verbatim: it is a simulator.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub at: jiff::Timestamp,
    pub provider: &'static str,
    pub token: Option<String>,
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    fn size_bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(k, v)| k.as_str().len() + v.len()).sum();
        256 + self.path.len() + headers + self.body.len()
    }

    fn to_json(&self, n: u64) -> Value {
        let mut query = Map::new();
        for (key, value) in &self.query {
            query.insert(key.clone(), Value::String(value.clone()));
        }
        let mut headers = Map::new();
        for name in self.headers.keys() {
            let values: Vec<String> = self
                .headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            headers.insert(name.as_str().to_owned(), Value::String(values.join(", ")));
        }
        let body = if self.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&self.body).unwrap_or_else(|_| {
                let shown = &self.body[..self.body.len().min(MAX_SHOWN_BYTES)];
                Value::String(String::from_utf8_lossy(shown).into_owned())
            })
        };
        json!({
            "n": n, "at": self.at.to_string(), "provider": self.provider, "token": self.token,
            "method": self.method, "path": self.path, "query": query, "headers": headers,
            "body": body, "body_bytes": self.body.len(),
        })
    }
}

#[derive(Debug, Default)]
struct Log {
    last_n: u64,
    bytes: usize,
    entries: VecDeque<(u64, Received)>,
}

#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Log>);

impl Requests {
    pub fn record(&self, received: Received) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.last_n += 1;
        log.bytes += received.size_bytes();
        let n = log.last_n;
        log.entries.push_back((n, received));
        while log.entries.len() > MAX_REQUESTS || log.bytes > MAX_BYTES {
            let Some((_, oldest)) = log.entries.pop_front() else { break };
            log.bytes -= oldest.size_bytes();
        }
    }

    /// The calls after `n`, oldest first.
    pub fn since(&self, n: u64) -> Vec<Value> {
        // Cloned under the lock (cheap: bodies are shared), rendered outside of it.
        let entries: Vec<(u64, Received)> = {
            let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let start = log.entries.partition_point(|(at, _)| *at <= n);
            log.entries.range(start..).cloned().collect()
        };
        entries.iter().map(|(n, received)| received.to_json(*n)).collect()
    }

    /// Forgets all calls, not their count; returns how many there were.
    pub fn forget(&self) -> usize {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = log.entries.len();
        log.entries.clear();
        log.bytes = 0;
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: usize) -> Received {
        Received {
            at: crate::clock::now(),
            provider: "whapi",
            token: None,
            method: "POST".into(),
            path: "/messages/text".into(),
            query: vec![],
            headers: HeaderMap::new(),
            body: Bytes::from(vec![b'x'; body]),
        }
    }

    #[test]
    fn n_never_restarts_and_bytes_are_bounded() {
        let requests = Requests::default();
        for _ in 0..3 {
            requests.record(call(1));
        }
        assert_eq!(requests.since(1).len(), 2);
        assert_eq!(requests.forget(), 3);
        requests.record(call(1));
        assert_eq!(requests.since(0)[0]["n"], 4);
        for _ in 0..20 {
            requests.record(call(8 << 20));
        }
        let kept = requests.since(0);
        assert!(kept.len() < 9, "{} calls of 8 MiB kept", kept.len());
        assert_eq!(kept.last().unwrap()["n"], 24);
    }
}
