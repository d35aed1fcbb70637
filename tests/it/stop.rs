//! SIGTERM: nothing new is begun, what is under way is finished, nothing is repeated afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::World;
use crate::support::world::{client, message_id, text_event, webhook};

const PEERS: [&str; 5] =
    ["447700900121", "447700900122", "447700900123", "447700900124", "447700900125"];

#[tokio::test]
async fn calls_in_flight_are_finished_and_recorded() {
    let mut world = World::start().await;
    let fault = world
        .fault(json!({"operation": "message.send", "delay_ms": 3000, "drop_webhooks": true}))
        .await;
    let mut ids = Vec::new();
    for peer in PEERS {
        ids.push(world.sent(peer, "in flight").await);
        ids.push(world.sent(peer, "after it").await);
    }
    world
        .until_count("SELECT count(*) FROM wabridge.attempt WHERE finished_at IS NULL", 5, 10)
        .await;
    assert_eq!(world.daemon.terminate().await, Some(0));
    assert_eq!(world.calls().await, 5, "something new was begun");
    let recorded = "SELECT count(*) FROM whatsapp_message WHERE content = 'in flight' AND message_id IS NOT NULL
                      AND status IN ('pending', 'sent')";
    assert_eq!(world.database.count(recorded).await, 5);
    assert_eq!(
        world
            .database
            .count("SELECT count(*) FROM wabridge.attempt WHERE finished_at IS NULL")
            .await,
        0
    );
    let waiting =
        "SELECT count(*) FROM whatsapp_message WHERE content = 'after it' AND status = 'queued'";
    assert_eq!(world.database.count(waiting).await, 5);
    // The next one goes on at once, where this one stopped.
    let control = format!("{}/_control/faults/{fault}", world.simulator.url);
    client().delete(control).send().await.expect("the simulator answers");
    world.daemon.run();
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL", 10, 15)
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((world.calls().await, world.accepted().await.len()), (10, 10));
}

#[tokio::test]
async fn a_call_that_outlasts_the_stop_is_settled_and_not_repeated() {
    let mut world =
        World::with("stop_timeout_s = 2\n[limits]\nprovider_timeout_s = 12\nlease_s = 13", &[])
            .await;
    world
        .fault(json!({"operation": "message.send", "delay_ms": 20_000, "webhook_delay_ms": 8000, "times": 1}))
        .await;
    let id = world.sent(PEERS[0], "long").await;
    world
        .until_count("SELECT count(*) FROM wabridge.attempt WHERE finished_at IS NULL", 1, 10)
        .await;
    assert_eq!(world.daemon.terminate().await, Some(0));
    world.daemon.run();
    // By its echo, which the provider repeats until somebody takes it.
    world.until_status(id, &["read"], 40).await;
    assert_eq!((world.calls().await, world.accepted().await.len()), (1, 1));
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
}

#[tokio::test]
async fn webhooks_that_were_acknowledged_are_kept() {
    let mut world = World::start().await;
    let stopped = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8u64 {
        let (stopped, url) = (Arc::clone(&stopped), world.daemon.public_url.clone());
        tasks.spawn(async move {
            let http = client();
            let mut acknowledged = Vec::new();
            let mut n = task * 1_000_000;
            while !stopped.load(Ordering::Relaxed) {
                n += 1;
                let id = message_id(n);
                let from = format!("4477009{n:08}");
                match webhook(&http, &url, &text_event(&id, &from, "under way")).await {
                    200 => acknowledged.push(id),
                    // Refused while it stops, or nobody there any more: the provider comes again.
                    0 | 503 => tokio::time::sleep(Duration::from_millis(20)).await,
                    other => panic!("{other}"),
                }
            }
            acknowledged
        });
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.daemon.terminate().await, Some(0));
    stopped.store(true, Ordering::Relaxed);
    let acknowledged: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
    assert!(acknowledged.len() > 100, "only {} webhooks", acknowledged.len());
    let sql =
        "SELECT message_id, count(*) FROM whatsapp_message WHERE direction = 'inbound' GROUP BY 1";
    let rows = world.database.admin.query(sql, &[]).await.expect("the rows can be read");
    let stored: std::collections::HashMap<String, i64> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let pending = world.database.count("SELECT count(*) FROM wabridge.journal_pending").await;
    let missing: Vec<&String> =
        acknowledged.iter().filter(|id| !stored.contains_key(*id)).collect();
    assert!(
        missing.is_empty() || pending > 0,
        "{} of {} are missing",
        missing.len(),
        acknowledged.len()
    );
    assert!(stored.values().all(|count| *count == 1));
    if pending > 0 {
        world.daemon.run();
        world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 15).await;
        for id in missing {
            let sql = format!("SELECT count(*) FROM whatsapp_message WHERE message_id = '{id}'");
            assert_eq!(world.database.count(&sql).await, 1, "{id}");
        }
    }
}

#[tokio::test]
async fn a_stop_while_idle_is_quick() {
    let mut world = World::start().await;
    assert_eq!(world.daemon.terminate().await, Some(0));
    let log = world.daemon.log();
    assert!(log.contains("stopped") && !log.contains("ERROR"), "{log}");
}
