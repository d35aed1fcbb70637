//! A long run at moderate load: what may not grow does not grow, and nothing stalls while partitions come and go
//! and the database is dumped.

use std::cell::Cell;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use wabridge_store::StoreError;
use wabridge_store::journal::{self, Expired, Stage};
use wabridge_testkit::daemon::{Daemon, KEY_ID};
use wabridge_testkit::{Cluster, OwnCluster, TestDatabase, eventually};

use crate::events::{Events, Mix, SENT};
use crate::load::{self, Plan};
use crate::options::Options;
use crate::place;
use crate::process;

const CONNECTIONS: usize = 16;
/// Signed calls a second, for their nonces.
const CALLS_EVERY: Duration = Duration::from_millis(100);
const SAMPLES: u32 = 20;

/// What may not grow, at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    early: i64,
    nonces: i64,
    bus: i64,
    pending: i64,
    memory_mib: f64,
}

pub async fn run(options: &Options) {
    let minutes = if options.smoke { 0.3 } else { options.minutes };
    let time = Duration::from_secs_f64(minutes * 60.0);
    let server = OwnCluster::durable();
    let database = place::prepare(&server, SENT, 0).await;
    // Nonces are kept for ten minutes; a short run still sees them go.
    let mut daemon = place::daemon(&database, &[]).await;
    println!("{minutes} minutes at {} webhooks a second", options.rate);
    let events = Events::new(Mix::Statuses, 1);
    let plan =
        Plan { connections: CONNECTIONS, rate: Some(options.rate), warm: Duration::ZERO, time };
    let ended = Rc::new(Cell::new(false));
    let loading = async {
        let outcome = load::run(&daemon.public_url, &events, &plan, None).await;
        ended.set(true);
        outcome
    };
    let (outcome, samples, calls, dumps, partitions) = tokio::join!(
        loading,
        sampling(&database, &daemon, time / SAMPLES, &ended),
        calling(&daemon, &ended),
        dumping(&server, &database, &ended),
        partitioning(&database, &ended),
    );
    println!(
        "| early_event | nonce | bus_bus | journal_pending | MiB |\n| --- | --- | --- | --- | --- |"
    );
    for s in &samples {
        println!(
            "| {} | {} | {} | {} | {:.0} |",
            s.early, s.nonces, s.bus, s.pending, s.memory_mib
        );
    }
    println!(
        "{} acknowledged, {} refused; answer p50 {:.1} ms, p99 {:.1} ms, longest {:.0} ms; {calls} calls, {dumps} dumps, {partitions} partitions made, detached and dropped meanwhile",
        outcome.acked,
        outcome.refused,
        outcome.latency_ms(0.5),
        outcome.latency_ms(0.99),
        outcome.latency_ms(1.0),
    );
    eventually("everything is applied", 30, async || {
        (database.count("SELECT count(*) FROM wabridge.journal_pending").await == 0).then_some(())
    })
    .await;
    let texts =
        database.count("SELECT count(*) FROM whatsapp_message WHERE message_id LIKE 'Rk%'").await;
    assert_eq!(u64::try_from(texts).ok(), Some(outcome.texts), "texts are rows");
    assert_eq!(outcome.refused, 0, "something stalled for so long that it was refused");
    assert!(dumps > 0 && partitions > 0, "{dumps} dumps, {partitions} partitions");
    flat(&samples);
    daemon.terminate().await;
    println!("flat");
}

/// One of its values.
type Get<'a> = &'a dyn Fn(&Sample) -> f64;

/// The second half holds no more than the first, but for noise.
fn flat(samples: &[Sample]) {
    let (first, second) = samples.split_at(samples.len() / 2);
    let most = |of: &[Sample], get: Get<'_>| of.iter().map(get).fold(0.0, f64::max);
    let whole = |n: i64| f64::from(i32::try_from(n).unwrap_or(i32::MAX));
    let checks: [(&str, f64, Get<'_>); 5] = [
        ("early_event", 50.0, &|s| whole(s.early)),
        // Kept until they are stale: ten minutes of calls.
        ("nonce", 6500.0, &|s| whole(s.nonces)),
        // One row a user and 200 ms at most; Odoo collects, here nobody does.
        ("journal_pending", 200.0, &|s| whole(s.pending)),
        ("bus_bus", f64::INFINITY, &|s| whole(s.bus)),
        ("memory", 24.0, &|s| s.memory_mib),
    ];
    for (what, noise, get) in checks {
        let (before, after) = (most(first, get), most(second, get));
        assert!(after <= before.mul_add(1.2, noise), "{what} grows: {before:.0}, then {after:.0}");
    }
}

async fn sampling(
    database: &TestDatabase,
    daemon: &Daemon,
    every: Duration,
    ended: &Cell<bool>,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    while !ended.get() {
        tokio::time::sleep(every).await;
        let row = database
            .admin
            .query_one(
                "SELECT (SELECT count(*) FROM wabridge.early_event), (SELECT count(*) FROM wabridge.nonce),
                        (SELECT count(*) FROM bus_bus), (SELECT count(*) FROM wabridge.journal_pending)",
                &[],
            )
            .await
            .expect("the tables are there");
        samples.push(Sample {
            early: row.get(0),
            nonces: row.get(1),
            bus: row.get(2),
            pending: row.get(3),
            memory_mib: process::memory_mib(daemon.pid()).0,
        });
        // As Odoo's own cron does with what every browser has seen.
        database.execute("DELETE FROM bus_bus WHERE create_date < (now() AT TIME ZONE 'UTC') - interval '100 seconds'").await;
    }
    samples
}

/// Signed calls, each with a nonce.
async fn calling(daemon: &Daemon, ended: &Cell<bool>) -> u32 {
    let mut calls = 0;
    while !ended.get() {
        tokio::time::sleep(CALLS_EVERY).await;
        let answer = daemon
            .rpc_with(
                KEY_ID,
                "configuration.capabilities",
                serde_json::json!({"uid": 2, "configuration_id": 1}),
            )
            .await;
        assert!(answer.get("result").is_some(), "{answer}");
        calls += 1;
    }
    calls
}

/// Backups, one after the other.
async fn dumping(server: &OwnCluster, database: &TestDatabase, ended: &Cell<bool>) -> u32 {
    let mut dumps = 0;
    while !ended.get() {
        let status = tokio::process::Command::new(Cluster::programs().join("pg_dump"))
            .args(["-Fc", "-d", &server.cluster.url("postgres", &database.name)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .expect("pg_dump starts");
        // Where a partition goes between its first look and its lock, PostgreSQL ends it: it is begun again.
        dumps += u32::from(status.success());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    dumps
}

/// A day's partition made and attached, and one whose time is over detached and dropped, again and again, while
/// webhooks come and dumps read: with the daemon's own statements.
async fn partitioning(database: &TestDatabase, ended: &Cell<bool>) -> u32 {
    let options = wabridge_store::Options::default();
    let store = wabridge_store::Database::new(&database.name, &database.url, None, &options)
        .expect("the URL is well formed");
    let last = database
        .text("SELECT 'journal_' || to_char((now() AT TIME ZONE 'UTC')::date + 3, 'YYYYMMDD')")
        .await
        .expect("a name");
    let mut rounds = 0;
    while !ended.get() {
        tokio::time::sleep(Duration::from_secs(2)).await;
        if let Some(stage) = stage(database, &last).await {
            let partition = Expired { name: last.clone(), stage };
            let mut dedicated = store.dedicated().await.expect("the server is there");
            match journal::drop_partition(&mut dedicated.client, &partition).await {
                Ok(()) => {}
                // A dump reads it: nothing waits for that, the next round goes on.
                Err(StoreError::Busy(_)) => continue,
                Err(error) => panic!("{error}"),
            }
        }
        let mut client = store.client().await.expect("the server is there");
        let tx = client.transaction().await.expect("it begins");
        match journal::ensure_partitions(&tx).await {
            Ok(made) => assert_eq!(made, 1, "the one that was dropped"),
            Err(StoreError::Busy(_)) => continue,
            Err(error) => panic!("{error}"),
        }
        tx.commit().await.expect("it is committed");
        rounds += 1;
    }
    store.close();
    rounds
}

/// How far its removal has come; None when it is gone.
async fn stage(database: &TestDatabase, name: &str) -> Option<Stage> {
    let sql = format!(
        "SELECT CASE WHEN i.inhrelid IS NULL THEN 'detached' WHEN i.inhdetachpending THEN 'detaching' ELSE 'attached' END
         FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relname = '{name}'"
    );
    match database.text(&sql).await.as_deref() {
        Some("detached") => Some(Stage::Detached),
        Some("detaching") => Some(Stage::Detaching),
        Some(_) => Some(Stage::Attached),
        None => None,
    }
}
