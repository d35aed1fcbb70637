//! A provider and an Odoo at work while daemons come and go: webhooks and sends at a given rate, each tried at the
//! other daemon where one refuses it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use wabridge_testkit::daemon::KEY_ID;
use wabridge_testkit::wire::post;
use wabridge_testkit::{Daemon, Wire};

use crate::support::world::{
    Accepted, WEBHOOK_SECRET, WEBHOOK_TOKEN, client, message_id, text_event, text_params,
};

/// What comes in a second, as far as the machine lets it: the contract's 500 and 50, and somewhat more for the time
/// in which one of the two is away.
pub const WEBHOOKS_PER_S: u64 = 600;
pub const SENDS_PER_S: u64 = 60;
const WEBHOOK_TASKS: u64 = 64;
const SEND_TASKS: u64 = 20;
/// From the second refusal of the same webhook or call on.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// How provider and Odoo behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// As they should: what was refused is tried at the other daemon; a call keeps its idempotency key.
    Good,
    /// The negative control: webhooks are tried once, and some calls are made twice, without a key.
    Bad,
}

/// What one side saw.
#[derive(Debug, Default)]
struct Seen {
    /// Whatever was tried: ids of webhooks, texts of sends.
    tried: Mutex<Vec<String>>,
    /// Tries that were refused or not answered.
    refused: AtomicU64,
    /// The most tries that one of them needed.
    most_tries: AtomicUsize,
}

impl Seen {
    fn note(&self, what: String, tries: usize) {
        self.tried.lock().expect("no panic holds it").push(what);
        self.most_tries.fetch_max(tries, Ordering::Relaxed);
    }

    fn report(&self) -> Side {
        Side {
            tried: self.tried.lock().expect("no panic holds it").clone(),
            refused: self.refused.load(Ordering::Relaxed),
            most_tries: self.most_tries.load(Ordering::Relaxed),
        }
    }
}

/// What one side came to.
#[derive(Debug)]
pub struct Side {
    pub tried: Vec<String>,
    pub refused: u64,
    pub most_tries: usize,
}

/// Both, until it is ended.
pub struct Load {
    stop: Arc<AtomicBool>,
    webhooks: Arc<Seen>,
    sends: Arc<Seen>,
    tasks: JoinSet<()>,
    began: tokio::time::Instant,
}

impl Load {
    /// At two daemons, given by their public and private addresses.
    pub fn start(daemons: [&Daemon; 2], manners: Manners) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let (webhooks, sends): (Arc<Seen>, Arc<Seen>) = (Arc::default(), Arc::default());
        let mut tasks = JoinSet::new();
        let public = daemons.map(|daemon| daemon.public_url.clone());
        for task in 0..WEBHOOK_TASKS {
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&webhooks));
            tasks.spawn(deliver(task, public.clone(), manners, stop, seen));
        }
        let private = daemons.map(|daemon| daemon.private_url.clone());
        for task in 0..SEND_TASKS {
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&sends));
            tasks.spawn(send(task, private.clone(), manners, stop, seen));
        }
        Self { stop, webhooks, sends, tasks, began: tokio::time::Instant::now() }
    }

    /// Webhooks and sends so far.
    pub fn so_far(&self) -> (usize, usize) {
        let count = |seen: &Seen| seen.tried.lock().expect("no panic holds it").len();
        (count(&self.webhooks), count(&self.sends))
    }

    /// Ends it; webhooks, sends.
    pub async fn end(self) -> (Side, Side) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        let (webhooks, sends) = (self.webhooks.report(), self.sends.report());
        let ms = self.began.elapsed().as_millis();
        let per_second = |side: &Side| side.tried.len() as u128 * 1000 / ms.max(1);
        eprintln!(
            "{ms} ms: {} webhooks/s ({} refused, at most {} tries), {} sends/s ({} refused, at most {} tries)",
            per_second(&webhooks),
            webhooks.refused,
            webhooks.most_tries,
            per_second(&sends),
            sends.refused,
            sends.most_tries,
        );
        (webhooks, sends)
    }
}

/// A ticker for one of `tasks` tasks that share a rate; what was missed is made up for.
fn every(tasks: u64, per_s: u64) -> tokio::time::Interval {
    tokio::time::interval(Duration::from_micros(1_000_000 * tasks / per_s))
}

async fn deliver(
    task: u64,
    urls: [String; 2],
    manners: Manners,
    stop: Arc<AtomicBool>,
    seen: Arc<Seen>,
) {
    let mut wires = urls.map(|url| Wire::to(&url));
    let path = format!("/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}");
    let mut ticks = every(WEBHOOK_TASKS, WEBHOOKS_PER_S);
    let mut n = task;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        n += WEBHOOK_TASKS;
        let id = message_id(n);
        let from = format!("44770091{:04}", n % 200);
        let request = post(&path, WEBHOOK_SECRET, &text_event(&id, &from, "at work").to_string());
        let mut tries = 1;
        let mut at = usize::try_from((n / WEBHOOK_TASKS) % 2).expect("0 or 1");
        loop {
            match wires[at].ask(&request).await {
                Ok(200) => break,
                Ok(503) | Err(_) => seen.refused.fetch_add(1, Ordering::Relaxed),
                Ok(other) => panic!("a webhook was answered {other}"),
            };
            if manners == Manners::Bad {
                break;
            }
            (tries, at) = (tries + 1, 1 - at);
            if tries > 2 {
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        }
        seen.note(id, tries);
    }
}

async fn send(
    task: u64,
    urls: [String; 2],
    manners: Manners,
    stop: Arc<AtomicBool>,
    seen: Arc<Seen>,
) {
    let http = client();
    let mut ticks = every(SEND_TASKS, SENDS_PER_S);
    let chat = format!("4477009200{task:02}");
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        n += 1;
        let text = format!("chat {task} {n}");
        let mut params = text_params(&chat, &text);
        if manners == Manners::Good {
            params["idempotency_key"] = json!(format!("rolling-{task}-{n}"));
        }
        let mut tries = 1;
        let mut at = n % 2;
        while !taken(&http, &urls[at], &params).await {
            seen.refused.fetch_add(1, Ordering::Relaxed);
            (tries, at) = (tries + 1, 1 - at);
            if tries > 2 {
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        }
        if manners == Manners::Bad && n % 5 == 0 {
            // As if its answer had been lost.
            taken(&http, &urls[at], &params).await;
        }
        seen.note(text, tries);
    }
}

/// Whether a send was taken; false when it is to be tried again.
async fn taken(http: &reqwest::Client, url: &str, params: &Value) -> bool {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": params});
    let body = body.to_string();
    let answer = http
        .post(format!("{url}/rpc"))
        .header("content-type", "application/json")
        .header("authorization", Daemon::authorization(KEY_ID, "POST", "/rpc", &body))
        .body(body)
        .send()
        .await;
    let Ok(answer) = answer else { return false };
    let status = answer.status().as_u16();
    let Ok(answer) = answer.json::<Value>().await else { return false };
    if status == 503 || answer["error"]["data"]["retryable"] == true {
        return false;
    }
    assert!(answer["result"]["data"]["id"].is_i64(), "{status}: {answer}");
    true
}

/// What became of sends: (never at the provider, there more than once, chats out of order).
pub fn ledger(sent: &[String], accepted: &[Accepted]) -> (usize, usize, usize) {
    let mut times: HashMap<&str, usize> = HashMap::new();
    let mut last: HashMap<&str, u64> = HashMap::new();
    let mut disordered = 0;
    for one in accepted {
        *times.entry(&one.text).or_default() += 1;
        let n = one.text.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default();
        let before = last.insert(&one.chat, n).unwrap_or_default();
        disordered += usize::from(before > n);
    }
    let lost = sent.iter().filter(|text| !times.contains_key(text.as_str())).count();
    let doubled = times.values().filter(|count| **count > 1).count();
    (lost, doubled, disordered)
}

/// An address behind which both daemons stand: whoever is there gets the connection, in turn.
pub async fn balancer(daemons: [&Daemon; 2]) -> String {
    let targets = daemons.map(|daemon| daemon.public_url.replace("http://", ""));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it has an address"));
    tokio::spawn(async move {
        let mut next = 0;
        while let Ok((mut client, _)) = listener.accept().await {
            next = 1 - next;
            let order = [targets[next].clone(), targets[1 - next].clone()];
            tokio::spawn(async move {
                for target in order {
                    if let Ok(mut server) = TcpStream::connect(target).await {
                        // Whoever is cut off repeats what was not answered.
                        return tokio::io::copy_bidirectional(&mut client, &mut server)
                            .await
                            .map_or((0, 0), |passed| passed);
                    }
                }
                (0, 0)
            });
        }
    });
    url
}
