//! Exactly what was meant: many chats, a provider that fails in every way, two daemons that are killed and stopped
//! beyond their lease. (The negative control of the epoch stands in `outbound/crashes`.) `EXACT_SENDS` (2000), `EXACT_CHATS` (100) and `EXACT_SEED` (1) choose how much and when.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use wabridge_testkit::daemon::{Daemon, KEY_ID};
use wabridge_testkit::dice::Dice;

use crate::support::World;
use crate::support::promises::{Found, Told, broken};
use crate::support::world::{number, odoo_send, text_params};

const LIMITS: &str = "[limits]\nprovider_timeout_s = 2\nlease_s = 4\nsettle_s = 20";
/// Longer than the lease and the grace of a chat together.
const BEYOND: Duration = Duration::from_secs(14);

/// What the provider does to calls, each with its probability. The last one is what nobody ever hears of.
fn faults() -> [Value; 7] {
    let fault = |probability: f64, what: Value| {
        let mut fault = json!({"operation": "message.send", "probability": probability});
        let (to, from) = (fault.as_object_mut(), what.as_object().cloned());
        to.expect("it is an object").extend(from.expect("it is an object"));
        fault
    };
    [
        fault(0.005, json!({"status": 429, "retry_after": 1})),
        fault(0.01, json!({"status": 500})),
        fault(0.01, json!({"status": 500, "accepted": true})),
        fault(0.05, json!({"delay_ms": 700})),
        fault(0.005, json!({"delay_ms": 3500})),
        fault(0.02, json!({"drop_answer": true})),
        fault(0.005, json!({"drop_answer": true, "drop_webhooks": true})),
    ]
}

/// Sends of one chat, one after the other, by both doors. What is not answered is asked again under its key, so that
/// at the end everything was accepted once, in this order.
struct Sender {
    chat: usize,
    each: usize,
    urls: Vec<String>,
    odoo: Arc<Mutex<tokio_postgres::Client>>,
    http: reqwest::Client,
}

impl Sender {
    async fn run(self) -> (String, Vec<(i64, String)>) {
        let peer = format!("44770092{:04}", self.chat);
        let mut told = Vec::with_capacity(self.each);
        for n in 0..self.each {
            let text = format!("chat {} {n}", self.chat);
            let id = if (self.chat + n) % 5 == 4 {
                self.by_transaction(&peer, &text).await
            } else {
                self.by_call(&peer, &text, n).await
            };
            told.push((id, text));
        }
        (peer, told)
    }

    async fn by_transaction(&self, peer: &str, text: &str) -> i64 {
        let odoo = self.odoo.lock().await;
        odoo.batch_execute("BEGIN").await.expect("Odoo begins");
        let id = odoo_send(&odoo, peer, text, None).await;
        odoo.batch_execute("COMMIT").await.expect("Odoo commits");
        id
    }

    async fn by_call(&self, peer: &str, text: &str, n: usize) -> i64 {
        let mut params = text_params(peer, text);
        params["idempotency_key"] = json!(text);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": params})
            .to_string();
        for attempt in 0.. {
            let url = &self.urls[(self.chat + n + attempt) % self.urls.len()];
            if let Some(id) = self.ask(url, &body).await {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        unreachable!("it is asked for ever")
    }

    /// None where nobody answers or the daemon is not ready yet.
    async fn ask(&self, url: &str, body: &str) -> Option<i64> {
        let authorization = Daemon::authorization(KEY_ID, "POST", "/rpc", body);
        let request = self
            .http
            .post(url)
            .timeout(Duration::from_secs(4))
            .header("content-type", "application/json")
            .header("authorization", authorization);
        let answer: Value = request.body(body.to_owned()).send().await.ok()?.json().await.ok()?;
        let id = answer["result"]["data"]["id"].as_i64();
        // Before it is ready a daemon answers with a word only.
        let refused = answer["error"].is_object() && answer["error"]["data"]["retryable"] != true;
        assert!(!refused, "a send was refused: {answer}");
        id
    }
}

/// What was played and what came of it.
struct Played {
    told: Told,
    found: Found,
    /// The provider's id in the row of each text.
    ids: HashMap<String, String>,
    /// Outcomes of the attempts at each text, in order.
    attempts: BTreeMap<String, Vec<String>>,
    /// How often the provider was asked to take each text.
    calls: BTreeMap<String, usize>,
    /// Calls that were answered 429, and those of which nobody ever heard.
    slowed: usize,
    unheard: usize,
}

/// Every broken promise, in words.
fn mistakes(played: &Played) -> Vec<String> {
    let mut mistakes = broken(&played.told, &played.found);
    let taken: HashMap<&str, &str> =
        played.found.accepted.iter().map(|one| (one.text.as_str(), one.id.as_str())).collect();
    let mut unsettled = 0;
    for (id, text, status) in &played.found.outbound {
        match (status.as_str(), taken.get(text.as_str())) {
            ("pending" | "sent" | "delivered" | "read", Some(there)) => {
                let here = played.ids.get(text).map(String::as_str);
                if here != Some(*there) {
                    mistakes.push(format!("{id} {text:?} is {here:?} here and {there} there"));
                }
            }
            ("uncertain", Some(_)) => unsettled += 1,
            ("uncertain", None) => {}
            (status, there) => {
                mistakes.push(format!("{id} {text:?} is {status} here, and {there:?} there"));
            }
        }
    }
    if unsettled > played.unheard {
        mistakes.push(format!(
            "{unsettled} are uncertain though they were taken, and only {} could not be heard of",
            played.unheard
        ));
    }
    // Promise 3: only what was answered 429, or of which not a byte was written, is repeated.
    for (text, outcomes) in &played.attempts {
        let former = &outcomes[..outcomes.len().saturating_sub(1)];
        if former.iter().any(|outcome| !["rate_limited", "not_sent"].contains(&outcome.as_str())) {
            mistakes.push(format!("{text:?} was repeated: {outcomes:?}"));
        }
    }
    for (text, calls) in &played.calls {
        let attempts = played.attempts.get(text).map_or(0, Vec::len);
        if *calls > attempts {
            mistakes.push(format!("{text:?}: {calls} calls and {attempts} attempts"));
        }
    }
    let repeated: usize = played.calls.values().map(|calls| calls - 1).sum();
    if repeated > played.slowed {
        mistakes
            .push(format!("{repeated} calls were repeated, {} were answered 429", played.slowed));
    }
    mistakes
}

/// Sends everything while daemons are killed and stopped, and waits until all of it came to an end.
async fn play(sends: usize, chats: usize, seed: u64) -> (World, Played) {
    let environment = [("WABRIDGE__LOG__FILTER", "warn")];
    let mut world = World::with(LIMITS, &environment).await;
    let mut second = world.replica(LIMITS, &environment).await;
    let mut hits = Vec::new();
    for fault in faults() {
        hits.push(world.fault(fault).await);
    }
    let urls = [&world.daemon, &second].map(|daemon| format!("{}/rpc", daemon.private_url));
    let odoo = Arc::new(Mutex::new(world.database.odoo().await));
    let http = crate::support::world::client();
    let mut senders = JoinSet::new();
    for chat in 0..chats {
        let (urls, odoo, http) = (urls.to_vec(), Arc::clone(&odoo), http.clone());
        senders.spawn(Sender { chat, each: sends / chats, urls, odoo, http }.run());
    }
    let mut told = Told::default();
    let mut dice = Dice::new(seed);
    let (mut kills, mut stops) = (0, 0);
    loop {
        while let Some(done) = senders.try_join_next() {
            let (peer, sent) = done.expect("no sender panics");
            told.sends.insert(peer, sent);
        }
        let waiting = "SELECT (SELECT count(*) FROM wabridge.outbox WHERE uncertain_since IS NULL)
                            + (SELECT count(*) FROM whatsapp_outbox_in)";
        if senders.is_empty() && world.database.count(waiting).await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500 + dice.throw(2500))).await;
        let daemon = if dice.once_in(2) { &mut world.daemon } else { &mut second };
        match dice.throw(4) {
            0 | 1 => {
                daemon.kill();
                kills += 1;
                tokio::time::sleep(Duration::from_millis(dice.throw(300))).await;
                daemon.run();
                // Some lives are long enough to send.
                tokio::time::sleep(Duration::from_secs(dice.throw(6))).await;
            }
            2 => {
                daemon.pause();
                stops += 1;
                tokio::time::sleep(BEYOND).await;
                daemon.resume();
            }
            _ => tokio::time::sleep(Duration::from_secs(3)).await,
        }
    }
    world.daemon.wait_ready().await;
    second.wait_ready().await;
    world.until_quiet(120).await;
    let open = "SELECT count(*) FROM wabridge.journal_pending";
    world.until_count(open, 0, 60).await;
    let mut played = look(&world, told, &hits).await;
    // Echoes that met a daemon that was stopped come again, and settle what was given up meanwhile.
    for _ in 0..40 {
        if mistakes(&played).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        played = look(&world, played.told, &hits).await;
    }
    let uncertain = played.found.outbound.iter().filter(|row| row.2 == "uncertain").count();
    eprintln!(
        "seed {seed}: {kills} kills, {stops} stops; {} sends accepted, {} taken, {uncertain} uncertain, {} calls, \
         {} answered 429, {} unheard",
        played.told.sends.values().map(Vec::len).sum::<usize>(),
        played.found.accepted.len(),
        played.calls.values().sum::<usize>(),
        played.slowed,
        played.unheard
    );
    (world, played)
}

async fn look(world: &World, told: Told, faults: &[i64]) -> Played {
    let rows =
        "SELECT id, content, status, message_id FROM whatsapp_message WHERE direction = 'outbound'";
    let rows = world.database.admin.query(rows, &[]).await.expect("the rows can be read");
    let mut found = Found { accepted: world.accepted().await, ..Found::default() };
    let mut ids = HashMap::new();
    for row in &rows {
        let text: String = row.get(1);
        if let Some(id) = row.get::<_, Option<String>>(3) {
            ids.insert(text.clone(), id);
        }
        found.outbound.push((i64::from(row.get::<_, i32>(0)), text, row.get(2)));
    }
    let tried = "SELECT m.content, a.outcome FROM wabridge.attempt a JOIN whatsapp_message m ON m.id = a.message_id
                 ORDER BY a.id";
    let tried = world.database.admin.query(tried, &[]).await.expect("the attempts can be read");
    let mut attempts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &tried {
        let outcome: Option<String> = row.get(1);
        attempts.entry(row.get(0)).or_default().push(outcome.unwrap_or_default());
    }
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for call in world.simulator.requests("/messages/text").await {
        let text = call["body"]["body"].as_str().expect("a text has a body");
        *calls.entry(text.to_owned()).or_default() += 1;
    }
    let url = format!("{}/_control/faults", world.simulator.url);
    let hits = world.daemon.http.get(url).send().await.expect("the simulator answers");
    let hits: Value = hits.json().await.expect("it answers JSON");
    let hits_of = |id: i64| {
        let all = hits["faults"].as_array().expect("the simulator lists faults");
        let one = all.iter().find(|fault| fault["id"] == id).expect("the fault is there");
        usize::try_from(one["hits"].as_u64().expect("it counts")).expect("it fits")
    };
    let (slowed, unheard) = (hits_of(faults[0]), hits_of(faults[6]));
    Played { told, found, ids, attempts, calls, slowed, unheard }
}

fn much() -> (usize, usize) {
    let sends = usize::try_from(number("EXACT_SENDS", 2000)).expect("it fits");
    let chats = usize::try_from(number("EXACT_CHATS", 100)).expect("it fits");
    (sends, chats)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_what_was_meant() {
    let (sends, chats) = much();
    let (world, mut played) = play(sends, chats, number("EXACT_SEED", 1)).await;
    assert_eq!(mistakes(&played), Vec::<String>::new());
    assert_eq!(played.found.outbound.len(), sends / chats * chats);
    drop(world);
    // The checker is no mere nodder: what is put into this very run is found.
    let (text, calls) = played.calls.iter().next().map(|(t, n)| (t.clone(), *n)).expect("some");
    played.calls.insert(text.clone(), calls + played.slowed + 1);
    assert!(mistakes(&played).iter().any(|m| m.contains("calls were repeated")));
    played.calls.insert(text.clone(), calls);
    played.attempts.insert(text.clone(), vec!["uncertain".into(), "accepted".into()]);
    assert!(mistakes(&played).iter().any(|m| m.contains("was repeated: ")));
    played.attempts.insert(text, vec!["accepted".into(); calls]);
    let last = played.found.accepted.pop().expect("something was taken");
    played.found.accepted.insert(0, last);
    assert!(mistakes(&played).iter().any(|m| m.contains("out of order")));
}
