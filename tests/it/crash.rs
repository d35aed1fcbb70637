//! The daemon is killed again and again under load; afterwards nothing is missing and nothing is double.
//!
//! `CRASH_CYCLES` (30) and `CRASH_SEED` (1) choose how often and when.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use wabridge_testkit::daemon::{Daemon, KEY_ID};
use wabridge_testkit::dice::Dice;
use wabridge_testkit::{OwnCluster, Series, TestDatabase, eventually};

use crate::support::World;
use crate::support::flow::{Flow, missing_and_doubled};
use crate::support::promises::{Found, Told, broken};
use crate::support::world::{client, message_id, number, text_event, text_params, webhook};

const LIMITS: &str = "[limits]\nprovider_timeout_s = 2\nlease_s = 3\nsettle_s = 20";
const CHATS: usize = 6;

/// Webhooks from four connections and sends to some chats, until it is stopped.
struct Load {
    stop: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
    tasks: tokio::task::JoinSet<()>,
}

impl Load {
    fn start(daemon: &Daemon) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::new(Mutex::new(Told::default()));
        let counter = Arc::new(AtomicU64::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (stop, told, counter) =
                (Arc::clone(&stop), Arc::clone(&told), Arc::clone(&counter));
            let url = daemon.public_url.clone();
            tasks.spawn(async move {
                let http = client();
                while !stop.load(Ordering::Relaxed) {
                    let n = counter.fetch_add(1, Ordering::Relaxed);
                    let id = message_id(n);
                    let event = text_event(&id, &format!("44770091{:04}", n % 500), "load");
                    match webhook(&http, &url, &event).await {
                        200 => told.lock().expect("no panic holds it").webhooks.push(id),
                        0 | 503 => tokio::time::sleep(Duration::from_millis(10)).await,
                        other => panic!("a webhook was answered {other}"),
                    }
                }
            });
        }
        for chat in 0..CHATS {
            let (stop, told) = (Arc::clone(&stop), Arc::clone(&told));
            let url = format!("{}/rpc", daemon.private_url);
            tasks.spawn(async move {
                let http = client();
                let peer = format!("4477009000{chat:02}");
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    let text = format!("chat {chat} {n}");
                    // Without an answer it is not repeated: whether it was taken is not known.
                    if let Some(id) = send(&http, &url, &peer, &text).await {
                        told.lock()
                            .expect("no panic holds it")
                            .sends
                            .entry(peer.clone())
                            .or_default()
                            .push((id, text));
                    }
                    tokio::time::sleep(Duration::from_millis(60)).await;
                }
            });
        }
        Self { stop, told, tasks }
    }

    async fn end(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        let told = Arc::into_inner(self.told).expect("the tasks have ended");
        told.into_inner().expect("no panic holds it")
    }
}

async fn send(http: &reqwest::Client, url: &str, to: &str, text: &str) -> Option<i64> {
    let params = text_params(to, text);
    let body =
        serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": params})
            .to_string();
    let authorization = Daemon::authorization(KEY_ID, "POST", "/rpc", &body);
    let request = http
        .post(url)
        .header("content-type", "application/json")
        .header("authorization", authorization);
    let answer: Value = request.body(body).send().await.ok()?.json().await.ok()?;
    answer["result"]["data"]["id"].as_i64()
}

async fn look(world: &World) -> Found {
    Found {
        inbound: inbound(&world.database).await,
        outbound: {
            let sql =
                "SELECT id, content, status FROM whatsapp_message WHERE direction = 'outbound'";
            let rows = world.database.admin.query(sql, &[]).await.expect("the rows can be read");
            rows.iter()
                .map(|row| (i64::from(row.get::<_, i32>(0)), row.get(1), row.get(2)))
                .collect()
        },
        accepted: world.accepted().await,
    }
}

async fn inbound(database: &TestDatabase) -> HashMap<String, i64> {
    let sql =
        "SELECT message_id, count(*) FROM whatsapp_message WHERE direction = 'inbound' GROUP BY 1";
    let rows = database.admin.query(sql, &[]).await.expect("the rows can be read");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Kills at random moments under load, with a server of its own that server too, then waits until everything came
/// to an end.
async fn play(
    world: &mut World,
    server: Option<&OwnCluster>,
    cycles: u64,
    seed: u64,
) -> (Told, Found) {
    let mut dice = Dice::new(seed);
    let load = Load::start(&world.daemon);
    for cycle in 0..cycles {
        tokio::time::sleep(Duration::from_millis(100 + dice.throw(800))).await;
        match server {
            Some(server) if dice.throw(2) == 0 => {
                tokio::task::block_in_place(|| server.crash());
                tokio::time::sleep(Duration::from_millis(dice.throw(600))).await;
                tokio::task::block_in_place(|| server.run());
                world.database.reconnect().await;
            }
            _ => {
                world.daemon.kill();
                tokio::time::sleep(Duration::from_millis(dice.throw(150))).await;
                world.daemon.run();
            }
        }
        // Some lives are long enough to send what was left by a former one.
        if cycle % 4 == 3 {
            world.daemon.wait_ready().await;
            tokio::time::sleep(Duration::from_millis(3500)).await;
        }
    }
    world.daemon.wait_ready().await;
    let told = load.end().await;
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 30).await;
    world.until_quiet(90).await;
    // Statuses of the last ones are on their way.
    let open = "SELECT count(*) FROM whatsapp_message WHERE direction = 'outbound' AND status IN ('queued', 'pending')";
    world.until_count(open, 0, 30).await;
    let found = look(world).await;
    (told, found)
}

/// Rows and attempts of the texts that the words name.
async fn history(world: &World, words: &[String]) -> String {
    let sql = "SELECT concat_ws(' ', m.content, m.id, m.message_id, m.status, m.origin, m.create_date, a.outcome,
                      a.started_at, a.finished_at, a.applied_at, a.provider_message_id)
               FROM whatsapp_message m LEFT JOIN wabridge.attempt a ON a.message_id = m.id
               WHERE m.direction = 'outbound' ORDER BY m.id";
    let rows = world.database.admin.query(sql, &[]).await.expect("the rows can be read");
    let lines = rows.iter().map(|row| row.get::<_, String>(0));
    let named = |line: &String| {
        let text: Vec<&str> = line.splitn(4, ' ').take(3).collect();
        words.iter().any(|words| words.contains(&format!("{:?}", text.join(" "))))
    };
    lines.filter(named).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn killed_under_load() {
    let (cycles, seed) = (number("CRASH_CYCLES", 30), number("CRASH_SEED", 1));
    let mut world = World::with(LIMITS, &[("WABRIDGE__LOG__FILTER", "info")]).await;
    let (mut told, mut found) = play(&mut world, None, cycles, seed).await;
    let sends = told.sends.values().map(Vec::len).sum::<usize>();
    let uncertain = found.outbound.iter().filter(|row| row.2 == "uncertain").count();
    eprintln!(
        "seed {seed}: {cycles} kills, {} webhooks acknowledged, {} stored; {sends} sends answered, {} rows, {} taken, {uncertain} uncertain",
        told.webhooks.len(),
        found.inbound.len(),
        found.outbound.len(),
        found.accepted.len()
    );
    let words = broken(&told, &found);
    assert!(words.is_empty(), "{words:#?}\n{}", history(&world, &words).await);
    assert!(
        told.webhooks.len() > 100 && sends > 50,
        "too little load: {} and {sends}",
        told.webhooks.len()
    );
    // The checker is no mere nodder: each kind of loss and doubling, put into this very run, is found.
    told.webhooks.push(message_id(99_999_999_999));
    assert_eq!(broken(&told, &found).len(), 1);
    told.webhooks.pop();
    let last = found.accepted.last().expect("something was sent").clone();
    found.accepted.push(last);
    assert!(broken(&told, &found).iter().any(|words| words.contains("was sent 2 times")));
    found.accepted.pop();
    let lost = found
        .outbound
        .iter()
        .position(|row| told.sends.values().flatten().any(|one| one.0 == row.0));
    found.outbound.remove(lost.expect("some were answered"));
    assert!(broken(&told, &found).iter().any(|words| words.contains("is missing")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_together_with_postgresql() {
    let (cycles, seed) = (number("CRASH_CYCLES", 30) / 2, number("CRASH_SEED", 1));
    let server = OwnCluster::start();
    let database = TestDatabase::on(server.cluster, Series::Odoo14).await;
    let mut world = World::around(database, LIMITS, &[("WABRIDGE__LOG__FILTER", "info")]).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let (told, found) = play(&mut world, Some(&server), cycles, seed).await;
    let words = broken(&told, &found);
    assert!(words.is_empty(), "{words:#?}\n{}", history(&world, &words).await);
    assert!(told.webhooks.len() > 50, "too little load: {}", told.webhooks.len());
    drop(world);
}

/// The negative control: a daemon that acknowledges before its commit is found out.
#[tokio::test]
async fn acknowledged_too_early_is_found_out() {
    let points = "ingest.acks_after_commit=off,ingest.commit=sleep:60";
    let mut world = World::with(LIMITS, &[("WABRIDGE_FAILPOINTS", points)]).await;
    let flow = Flow::start(&world.daemon.public_url, 4, 20);
    for _ in 0..3 {
        let before = flow.so_far().0;
        eventually("webhooks are acknowledged", 60, async || {
            (flow.so_far().0 > before + 10).then_some(())
        })
        .await;
        world.daemon.kill();
        world.daemon.run();
        world.daemon.wait_ready().await;
    }
    let (acked, _) = flow.end().await;
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 60).await;
    let (missing, _) = missing_and_doubled(&world.database, &acked).await;
    assert!(missing > 0, "of {} nothing was lost", acked.len());
}
