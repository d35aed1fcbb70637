//! Faults on demand: which calls they hit, and what they do to the answer and to the webhooks.
//!
//! A fault hits a call when provider, token and operation agree (what is left out agrees with
//! all), its `times` are not used up and the dice of its `probability` fall; the oldest fault that
//! hits wins. What happens then:
//!
//! - `status`: the call is refused with it and changes nothing, unless it is a 2xx or `accepted` is
//!   true; `body` is the answer's body, else the provider's own error form. `retry_after` is sent
//!   as header, and alone means 429.
//! - `delay_ms`: the call is processed at once, its answer comes late (so webhooks overtake it).
//! - `drop_answer`: the call is processed, then the connection is cut without a byte of an answer.
//! - `duplicate_webhook`, `reorder_webhooks`, `webhook_delay_ms`, `drop_webhooks`: what the call, or
//!   a person's writing (operation `inbound`), or a change of an account (operation `state`) sends
//!   comes twice (or that many times more), backwards, late, never.

use crate::{Provider, vendor::Operation};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

const MAX_FAULTS: usize = 256;
const MAX_DELAY_MS: u64 = 600_000;
const MAX_COPIES: u64 = 20;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultSpec {
    provider: Option<Provider>,
    token: Option<String>,
    operation: Option<String>,
    status: Option<u16>,
    body: Option<Value>,
    retry_after: Option<Value>,
    delay_ms: Option<u64>,
    #[serde(default)]
    drop_answer: bool,
    #[serde(default)]
    accepted: bool,
    duplicate_webhook: Option<Value>,
    #[serde(default)]
    reorder_webhooks: bool,
    webhook_delay_ms: Option<u64>,
    #[serde(default)]
    drop_webhooks: bool,
    probability: Option<f64>,
    times: Option<u64>,
}

/// What a fault does to the webhooks of one call or of one inbound message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WebhookEffects {
    pub copies: u32,
    pub reorder: bool,
    pub delay: Duration,
    pub drop: bool,
}

impl WebhookEffects {
    pub fn and(self, other: Self) -> Self {
        Self {
            copies: self.copies.max(other.copies),
            reorder: self.reorder || other.reorder,
            delay: self.delay.max(other.delay),
            drop: self.drop || other.drop,
        }
    }

    fn any(self) -> bool {
        self != Self::default()
    }
}

/// What a fault does to the call it hit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hit {
    /// Replaces the answer.
    pub status: Option<u16>,
    pub body: Option<Value>,
    pub retry_after: Option<String>,
    pub delay: Duration,
    pub drop_answer: bool,
    /// Whether the call does its work all the same.
    pub processed: bool,
    pub webhooks: WebhookEffects,
}

#[derive(Debug)]
struct Fault {
    id: u64,
    provider: Option<Provider>,
    token: Option<String>,
    operation: Option<String>,
    probability: f64,
    left: Option<u64>,
    hits: u64,
    hit: Hit,
    /// Does something to the answer; else it waits for something that sends webhooks.
    on_answer: bool,
}

impl Fault {
    fn fits(&self, provider: Provider, token: &str, subject: &Subject<'_>) -> bool {
        self.left != Some(0)
            && self.provider.is_none_or(|wanted| wanted == provider)
            && self.token.as_deref().is_none_or(|wanted| wanted == token)
            && self.operation.as_deref().is_none_or(|wanted| subject.is_called(wanted))
            && (self.probability >= 1.0 || rand::random::<f64>() < self.probability)
    }

    fn use_up(&mut self) -> Hit {
        self.hits += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.hit.clone()
    }
}

/// What a fault's `operation` is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub operation: &'a Operation,
    pub method: &'a str,
    pub path: &'a str,
}

impl Subject<'_> {
    /// `message.send`, `message.send.text`, `send_text`, `text`, `/messages/text` and
    /// `POST /messages/text` all name the sending of a text.
    fn is_called(&self, wanted: &str) -> bool {
        let wanted = plain(wanted);
        let path = plain(self.path);
        self.operation.names().any(|name| plain(&name) == wanted)
            || wanted == path
            || wanted == format!("{}{path}", plain(self.method))
    }
}

/// Only letters and digits: `send_text`, `sendText` and `send.text` are one name.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[derive(Debug, Default)]
struct Table {
    last_id: u64,
    faults: Vec<Fault>,
}

#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Table>);

impl Faults {
    /// Adds a fault, returns its id.
    ///
    /// # Errors
    /// The words of what is wrong with it.
    pub fn add(&self, spec: FaultSpec) -> Result<u64, String> {
        let mut fault = checked(spec)?;
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.faults.len() >= MAX_FAULTS {
            table.faults.retain(|fault| fault.left != Some(0));
        }
        if table.faults.len() >= MAX_FAULTS {
            return Err(format!("{MAX_FAULTS} faults are set; delete some first"));
        }
        table.last_id += 1;
        fault.id = table.last_id;
        table.faults.push(fault);
        Ok(table.last_id)
    }

    /// Removes one fault or all; returns how many there were.
    pub fn remove(&self, id: Option<u64>) -> usize {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = table.faults.len();
        table.faults.retain(|fault| id.is_some_and(|id| fault.id != id));
        before - table.faults.len()
    }

    pub fn list(&self) -> Vec<Value> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table
            .faults
            .iter()
            .map(|fault| {
                json!({
                    "id": fault.id, "provider": fault.provider, "token": fault.token,
                    "operation": fault.operation, "left": fault.left, "hits": fault.hits,
                })
            })
            .collect()
    }

    /// The fault that hits this call, if any.
    pub fn for_call(&self, provider: Provider, token: &str, subject: &Subject<'_>) -> Option<Hit> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = table
            .faults
            .iter_mut()
            .find(|fault| fault.on_answer && fault.fits(provider, token, subject))?;
        Some(fault.use_up())
    }

    /// What the faults that touch only webhooks do to those of this call or writing.
    pub fn for_webhooks(
        &self,
        provider: Provider,
        token: &str,
        subject: &Subject<'_>,
    ) -> WebhookEffects {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table
            .faults
            .iter_mut()
            .find(|fault| !fault.on_answer && fault.fits(provider, token, subject))
            .map(|fault| fault.use_up().webhooks)
            .unwrap_or_default()
    }
}

fn checked(spec: FaultSpec) -> Result<Fault, String> {
    if let Some(operation) = &spec.operation {
        let known = operation.contains('/') || Operation::is_known(operation);
        if !known {
            return Err(format!(
                "no operation is called {operation:?}; known are {}, a path as /messages/text, \
                 and METHOD /path",
                Operation::KNOWN.join(", ")
            ));
        }
    }
    if let Some(status) = spec.status
        && !(200..=599).contains(&status)
    {
        return Err(format!("status {status} is none a provider answers with; use 200 to 599"));
    }
    let retry_after = match spec.retry_after {
        None | Some(Value::Null) => None,
        Some(Value::Number(seconds)) => Some(seconds.to_string()),
        Some(Value::String(text)) if http::HeaderValue::from_str(&text).is_ok() => Some(text),
        Some(other) => {
            return Err(format!("retry_after is seconds or a date in HTTP's form, not {other}"));
        }
    };
    let copies = match spec.duplicate_webhook {
        None | Some(Value::Null | Value::Bool(false)) => 0,
        Some(Value::Bool(true)) => 1,
        Some(other) => match other.as_u64() {
            Some(copies) if copies <= MAX_COPIES => copies as u32,
            _ => {
                return Err(format!(
                    "duplicate_webhook is true, false or how many more (at most {MAX_COPIES}), \
                     not {other}"
                ));
            }
        },
    };
    let probability = spec.probability.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&probability) {
        return Err(format!("probability {probability} is not between 0 and 1"));
    }
    for (name, delay) in [("delay_ms", spec.delay_ms), ("webhook_delay_ms", spec.webhook_delay_ms)]
    {
        if delay.is_some_and(|delay| delay > MAX_DELAY_MS) {
            return Err(format!("{name} is at most {MAX_DELAY_MS}"));
        }
    }

    let status = spec.status.or(retry_after.as_ref().map(|_| 429));
    let refused = status.is_some_and(|status| status >= 300) && !spec.accepted;
    let webhooks = WebhookEffects {
        copies,
        reorder: spec.reorder_webhooks,
        delay: Duration::from_millis(spec.webhook_delay_ms.unwrap_or(0)),
        drop: spec.drop_webhooks,
    };
    let on_answer = status.is_some()
        || spec.body.is_some()
        || spec.delay_ms.is_some_and(|delay| delay > 0)
        || spec.drop_answer;
    if !on_answer && !webhooks.any() {
        return Err("the fault does nothing; give it at least one of status, body, retry_after, \
                    delay_ms, drop_answer, duplicate_webhook, reorder_webhooks, \
                    webhook_delay_ms, drop_webhooks"
            .to_owned());
    }
    Ok(Fault {
        id: 0,
        provider: spec.provider,
        token: spec.token,
        operation: spec.operation,
        probability,
        left: spec.times,
        hits: 0,
        on_answer,
        hit: Hit {
            status,
            body: spec.body,
            retry_after,
            delay: Duration::from_millis(spec.delay_ms.unwrap_or(0)),
            drop_answer: spec.drop_answer,
            processed: !refused,
            webhooks,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: Value) -> FaultSpec {
        serde_json::from_value(json).unwrap()
    }

    fn send_text(faults: &Faults, token: &str) -> Option<Hit> {
        let operation = Operation::new("message.send", Some("text"));
        let subject = Subject { operation: &operation, method: "POST", path: "/messages/text" };
        faults.for_call(Provider::Whapi, token, &subject)
    }

    #[test]
    fn all_names_of_an_operation_hit() {
        for name in [
            "message.send",
            "message.send.text",
            "send_text",
            "sendText",
            "send",
            "text",
            "/messages/text",
            "messages/text",
            "POST /messages/text",
        ] {
            let faults = Faults::default();
            faults.add(spec(json!({"operation": name, "status": 500}))).unwrap();
            assert!(send_text(&faults, "t").is_some(), "{name}");
        }
        let faults = Faults::default();
        faults.add(spec(json!({"operation": "settings.update", "status": 500}))).unwrap();
        assert!(send_text(&faults, "t").is_none());
    }

    #[test]
    fn times_token_and_order() {
        let faults = Faults::default();
        faults.add(spec(json!({"token": "other", "status": 500}))).unwrap();
        faults.add(spec(json!({"retry_after": 7, "times": 2}))).unwrap();
        faults.add(spec(json!({"status": 503}))).unwrap();
        let statuses: Vec<_> = (0..3).map(|_| send_text(&faults, "t").unwrap().status).collect();
        assert_eq!(statuses, [Some(429), Some(429), Some(503)]);
        assert_eq!(faults.remove(Some(3)), 1);
        assert!(send_text(&faults, "t").is_none());
        assert_eq!(faults.remove(None), 2);
    }

    #[test]
    fn probability_zero_never_hits() {
        let faults = Faults::default();
        faults.add(spec(json!({"status": 500, "probability": 0.0}))).unwrap();
        assert!((0..100).all(|_| send_text(&faults, "t").is_none()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_words() {
        let faults = Faults::default();
        for (fault, word) in [
            (json!({}), "does nothing"),
            (json!({"operation": "message.sned", "status": 500}), "no operation"),
            (json!({"status": 99}), "200 to 599"),
            (json!({"status": 500, "probability": 2.0}), "between 0 and 1"),
            (json!({"duplicate_webhook": "yes"}), "duplicate_webhook"),
        ] {
            let words = faults.add(spec(fault)).unwrap_err();
            assert!(words.contains(word), "{words}");
        }
    }

    #[test]
    fn refused_calls_do_nothing_lost_answers_do() {
        for (fault, processed) in [
            (json!({"status": 500}), false),
            (json!({"status": 500, "accepted": true}), true),
            (json!({"drop_answer": true}), true),
            (json!({"delay_ms": 10}), true),
            (json!({"body": "no json"}), true),
            (json!({"retry_after": 1}), false),
        ] {
            let faults = Faults::default();
            faults.add(spec(fault.clone())).unwrap();
            assert_eq!(send_text(&faults, "t").unwrap().processed, processed, "{fault}");
        }
    }
}
