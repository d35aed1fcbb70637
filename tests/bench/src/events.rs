//! Webhooks as the provider sends them, each with an id of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wabridge_testkit::daemon::WHAPI_CHANNEL;
use wabridge_testkit::wire::post;

use crate::place::{WEBHOOK_SECRET, WEBHOOK_TOKEN};

/// Chats, and people, that are there already.
pub const CHATS: u64 = 1000;
/// Messages of our own that statuses are about.
pub const SENT: u64 = 100_000;
/// Provider's time of everything, UTC.
pub const AT: i64 = 1_765_800_000;
/// The words that each of them gets, one after the other.
const WORDS: [&str; 3] = ["delivered", "read", "played"];
/// Takes neighbours apart; shares no factor with [`SENT`].
const STRIDE: u64 = 7919;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Texts that come in.
    Texts,
    /// Ten statuses of messages that are there for each text.
    Statuses,
}

impl Mix {
    pub const ALL: [Self; 2] = [Self::Texts, Self::Statuses];

    pub fn name(self) -> &'static str {
        match self {
            Self::Texts => "texts",
            Self::Statuses => "10 statuses to a text",
        }
    }
}

/// One webhook with one event.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub body: String,
    /// The id of a text that comes in.
    pub text: Option<String>,
}

/// Makes webhooks, none twice, for any number of connections.
#[derive(Debug, Clone)]
pub struct Events {
    mix: Mix,
    run: u64,
    next: Arc<AtomicU64>,
}

impl Events {
    /// `run` is part of the ids: other runs have others.
    pub fn new(mix: Mix, run: u64) -> Self {
        Self { mix, run, next: Arc::default() }
    }

    /// Begins further on: what was told before is not told again.
    pub fn after(self, n: u64) -> Self {
        self.next.store(n, Ordering::Relaxed);
        self
    }

    pub fn next(&self) -> Webhook {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        match self.mix {
            Mix::Texts => self.text(n),
            Mix::Statuses if n.is_multiple_of(11) => self.text(n),
            Mix::Statuses => status(n - n / 11 - 1),
        }
    }

    fn text(&self, n: u64) -> Webhook {
        let id = format!("Rk{:04}x{n:012}-gLw8Ztq3HcA", self.run);
        let who = person((n * STRIDE) % CHATS);
        let body = format!(
            r#"{{"messages":[{{"id":"{id}","from_me":false,"type":"text","chat_id":"{who}@s.whatsapp.net","timestamp":{},"source":"mobile","device_id":3,"text":{{"body":"Good morning! I would like to know whether my order SO12345 has been shipped already, and whether it is possible to add two more units of the blue item to the same delivery. Thank you very much in advance for your help, best regards"}},"from":"{who}","from_name":"Person {who}","chat_name":"Book {who}"}}],"event":{{"type":"messages","event":"post"}},"channel_id":"{WHAPI_CHANNEL}"}}"#,
            AT + 1 + i64::try_from(n / 1000).unwrap_or_default(),
        );
        Webhook { body, text: Some(id) }
    }
}

fn status(k: u64) -> Webhook {
    let word = WORDS[usize::try_from((k / SENT) % 3).expect("it is below 3")];
    let m = (k * STRIDE) % SENT;
    let body = format!(
        r#"{{"statuses":[{{"id":"{}","code":3,"status":"{word}","recipient_id":"{}@s.whatsapp.net","timestamp":"{}"}}],"event":{{"type":"statuses","event":"post"}},"channel_id":"{WHAPI_CHANNEL}"}}"#,
        sent_id(m),
        person(m % CHATS),
        AT + 300,
    );
    Webhook { body, text: None }
}

pub fn person(n: u64) -> String {
    format!("4477009{n:05}")
}

/// The provider's id of a message that is there.
pub fn sent_id(n: u64) -> String {
    format!("Out{n:010}-gLw8Ztq3HcA")
}

/// The whole request.
pub fn request(webhook: &Webhook) -> Vec<u8> {
    post(&format!("/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}"), WEBHOOK_SECRET, &webhook.body)
}
