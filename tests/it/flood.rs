//! Strangers in numbers: requests without the secret, bodies that crawl or never end, connections that say nothing.
//! Memory stays bounded, and who has the secret is served all the while.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wabridge_testkit::wire::post;
use wabridge_testkit::{Daemon, Wire};

use crate::support::World;
use crate::support::flow::{Flow, missing_and_doubled};
use crate::support::world::{WEBHOOK_TOKEN, message_id, text_event};

/// Whatever strangers do, no more than this; the target under full load.
const MEMORY_MIB: f64 = 256.0;
const SETTINGS: [(&str, &str); 2] =
    [("WABRIDGE__LOG__FILTER", "info"), ("WABRIDGE__PUBLIC__READ_TIMEOUT_S", "2")];

/// Resident memory at its highest.
fn memory_mib(daemon: &Daemon) -> f64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("the daemon runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.expect("/proc tells it") / 1024.0
}

/// Ends the flow of the one who has the secret: all of it is there, and it never stopped.
async fn verdict(world: &World, flow: Flow, at_least: usize, what: &str) {
    let (acked, refused) = flow.end().await;
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 30).await;
    assert_eq!(missing_and_doubled(&world.database, &acked).await, (0, 0));
    let memory = memory_mib(&world.daemon);
    eprintln!("{what}: {} answered 200, {refused} refused, {memory:.0} MiB at most", acked.len());
    assert!(acked.len() >= at_least, "{} answered, {refused} refused", acked.len());
    assert!(memory <= MEMORY_MIB, "{memory:.0} MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsigned_requests_at_full_speed() {
    let world = World::with("", &SETTINGS).await;
    let flow = Flow::start(&world.daemon.public_url, 4, 20);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..32 {
        let mut wire = Wire::to(&world.daemon.public_url);
        let body = text_event(&message_id(7_000_000 + n), "447700900999", "from a stranger");
        tasks.spawn(async move {
            let path = format!("/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}");
            let request = post(&path, "a-wrong-secret", &body.to_string());
            let mut answers = std::collections::BTreeMap::new();
            for _ in 0..1000 {
                let status = wire.ask(&request).await.expect("an answer");
                *answers.entry(status).or_insert(0) += 1;
            }
            answers
        });
    }
    let answers = tasks.join_all().await;
    assert!(answers.iter().flat_map(|one| one.keys()).all(|status| [401, 429].contains(status)));
    let limited: u32 = answers.iter().filter_map(|one| one.get(&429)).sum();
    assert!(limited > 10_000, "{limited} of 32000 were told to wait");
    let strangers = "SELECT count(*) FROM whatsapp_message WHERE content LIKE '%stranger%'";
    assert_eq!(world.database.count(strangers).await, 0);
    verdict(&world, flow, 10, "unsigned").await;
}

/// A connection that begins a request.
async fn begin(world: &World, head: &str) -> TcpStream {
    let address = world.daemon.public_url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("it is open");
    let path = format!("/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}");
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n");
    stream.write_all(head.as_bytes()).await.expect("the head is taken");
    stream
}

/// Reads to the end: what was answered, when it ended.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let closed =
        tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
    // A reset is an end too.
    assert!(closed.is_ok(), "it was not closed: {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_crawl_or_never_end() {
    let world = World::with("", &SETTINGS).await;
    let flow = Flow::start(&world.daemon.public_url, 4, 20);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let mut stream = begin(&world, "Content-Length: 1000000\r\n").await;
        tasks.spawn(async move {
            // Until nobody takes it any more.
            while stream.write_all(b"{").await.is_ok() {
                let mut answer = [0; 12];
                match tokio::time::timeout(Duration::from_millis(100), stream.read(&mut answer))
                    .await
                {
                    Ok(Ok(n)) if n > 0 => {
                        return String::from_utf8_lossy(&answer[..n]).into_owned();
                    }
                    Ok(_) => return String::new(),
                    Err(_) => {}
                }
            }
            String::new()
        });
    }
    let mut endless = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let mut stream = begin(&world, "Transfer-Encoding: chunked\r\n").await;
        endless.spawn(async move {
            let mut chunk = b"10000\r\n".to_vec();
            chunk.extend(vec![b'x'; 0x10000]);
            chunk.extend(b"\r\n");
            let mut sent = 0_usize;
            while sent < 1 << 30 && stream.write_all(&chunk).await.is_ok() {
                sent += chunk.len();
            }
            sent
        });
    }
    let crawled = tasks.join_all().await;
    assert!(
        crawled.iter().all(|answer| answer.is_empty() || answer.starts_with("HTTP/1.1 408")),
        "{crawled:?}"
    );
    assert!(crawled.iter().any(|answer| answer.starts_with("HTTP/1.1 408")), "it is said why");
    for sent in endless.join_all().await {
        assert!(sent < 64 << 20, "{sent} bytes of a body without end were taken");
    }
    // Announced as too large: answered at once.
    let stream = begin(&world, "Content-Length: 900000000\r\n").await;
    assert!(until_closed(stream).await.starts_with("HTTP/1.1 413"));
    verdict(&world, flow, 10, "slow and endless").await;
}

/// Files that this process may open.
fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("/proc is mounted");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("/proc tells it")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_that_say_nothing() {
    // They would be closed after that time; here room must be made before.
    let settings = [("WABRIDGE__LOG__FILTER", "info"), ("WABRIDGE__PUBLIC__READ_TIMEOUT_S", "600")];
    let world = World::with("", &settings).await;
    let flow = Flow::start(&world.daemon.public_url, 4, 20);
    let address = world.daemon.public_url.trim_start_matches("http://").to_owned();
    let count = files_max().saturating_sub(500).min(10_000);
    let mut idle = Vec::with_capacity(count);
    for n in 0..count {
        let connected = TcpStream::connect(&address);
        let connected = tokio::time::timeout(Duration::from_secs(20), connected).await;
        let mut stream = connected.expect("it is taken").expect("it is open");
        if n % 2 == 0 {
            // Half of them begin a head and leave it at that. Some are gone already, to make room for others.
            stream.write_all(b"POST /whatsapp").await.unwrap_or_default();
        }
        idle.push(stream);
    }
    // Somebody new with the secret gets through, many times over.
    for _ in 0..20 {
        let newcomer = Flow::start(&world.daemon.public_url, 1, 20);
        wabridge_testkit::eventually("a newcomer is served", 20, async || {
            (newcomer.so_far().0 > 0).then_some(())
        })
        .await;
        newcomer.end().await;
    }
    eprintln!("{} connections", idle.len());
    verdict(&world, flow, 10, "idle").await;
    drop(idle);
}
