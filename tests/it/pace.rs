//! How fast an account may send: gaps, bursts of failures, accounts that are down, many daemons.

use std::collections::BTreeMap;

use serde_json::json;
use wabridge_testkit::{Daemon, eventually};

use crate::support::World;
use crate::support::world::text_params;

/// A world whose account is so from the start.
async fn configured(set: &str) -> World {
    let mut world = World::prepared("", &[]).await;
    world.database.execute(&format!("UPDATE whatsapp_configuration SET {set} WHERE id = 1")).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    world
}

/// Times at which the provider was asked to send, milliseconds, by recipient.
async fn asked(world: &World) -> (Vec<i64>, BTreeMap<String, Vec<i64>>) {
    let (mut all, mut by_chat) = (Vec::new(), BTreeMap::<String, Vec<i64>>::new());
    for call in world.simulator.requests("/messages/text").await {
        let at = call["at"].as_str().expect("a time");
        let ms = format!("SELECT (extract(epoch FROM '{at}'::timestamptz) * 1000)::int8");
        let at = world.database.count(&ms).await;
        all.push(at);
        let to = call["body"]["to"].as_str().expect("a recipient").to_owned();
        by_chat.entry(to).or_default().push(at);
    }
    (all, by_chat)
}

/// No window of `seconds` holds more than `most` calls.
fn within(times: &[i64], seconds: i64, most: usize) -> bool {
    times.iter().enumerate().all(|(n, from)| {
        times[n..].iter().take_while(|at| **at < from + seconds * 1000).count() <= most
    })
}

/// Under faults no account exceeds its pace, however many daemons there are; all of it goes.
async fn kept_by(daemons: usize) {
    let world = configured("pace_per_second = 5, recipient_gap_s = 2").await;
    let mut replicas: Vec<Daemon> = Vec::new();
    for _ in 1..daemons {
        replicas.push(world.replica("", &[]).await);
    }
    world
        .fault(json!({"operation": "message.send", "status": 429, "retry_after": 1, "times": 2}))
        .await;
    world.fault(json!({"operation": "message.send", "delay_ms": 600, "probability": 0.2})).await;
    for n in 0..24 {
        let params = text_params(&format!("4477009300{:02}", n % 8), &format!("paced {n}"));
        let daemon = replicas.get(n % daemons).unwrap_or(&world.daemon);
        daemon.call("message.send", params).await;
    }
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL", 24, 90)
        .await;
    let (all, by_chat) = asked(&world).await;
    // A call may be seen late by the simulator, never early: what was begun at its pace may arrive a little denser.
    assert!(within(&all, 3, 15 + 6), "{all:?}");
    for (chat, times) in by_chat {
        let least = 2000 * (i64::try_from(times.len()).expect("a few") - 1) - 1500;
        let took = times.last().zip(times.first()).map(|(last, first)| last - first);
        assert!(took.is_some_and(|took| took >= least), "{chat}: {times:?}");
    }
}

#[tokio::test]
async fn one_daemon_keeps_the_pace() {
    kept_by(1).await;
}

#[tokio::test]
async fn three_daemons_keep_the_pace() {
    kept_by(3).await;
}

#[tokio::test]
async fn random_gaps() {
    let world =
        configured("pace_per_second = 0, random_gap_min_s = 0.3, random_gap_max_s = 0.9").await;
    for n in 0..12 {
        world.send(&format!("4477009400{n:02}"), "gap").await;
    }
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL", 12, 60)
        .await;
    let (all, _) = asked(&world).await;
    let gaps: Vec<i64> = all.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(all[11] - all[0] >= 11 * 300 - 1500, "{gaps:?}");
    assert!(gaps.iter().max() != gaps.iter().min(), "{gaps:?}");
}

#[tokio::test]
async fn so_many_failures_pause_the_account() {
    let world = configured("failure_burst = 3").await;
    world.fault(json!({"operation": "message.send", "status": 400, "times": 3})).await;
    for n in 0..6 {
        world.send(&format!("4477009500{n:02}"), "fails").await;
    }
    let paused = "SELECT count(*) FROM wabridge.account_pace WHERE pause_kind = 'failures' AND paused_until > now()";
    world.until_count(paused, 1, 20).await;
    let shown = "SELECT count(*) FROM whatsapp_account_state WHERE waiting_reason IN ('paused') AND waiting_until IS NOT NULL";
    world.database.execute("INSERT INTO whatsapp_account_state (configuration_id, state) VALUES (1, 'connected') ON CONFLICT DO NOTHING").await;
    world.send("447700950099", "waits").await;
    world.until_count(shown, 1, 20).await;
    world.database.execute("UPDATE wabridge.account_pace SET paused_until = now()").await;
    world.until_count("SELECT count(*) FROM wabridge.outbox", 0, 30).await;
}

#[tokio::test]
async fn an_account_that_is_down_keeps_its_messages() {
    let world = World::start().await;
    world.database.execute("INSERT INTO whatsapp_account_state (configuration_id, state) VALUES (1, 'disconnected')
        ON CONFLICT (configuration_id) DO UPDATE SET state = 'disconnected'").await;
    let id = world.sent("447700900804", "waits").await;
    let shown = "SELECT count(*) FROM whatsapp_account_state WHERE waiting_reason = 'disconnected' AND waiting_count = 1";
    world.until_count(shown, 1, 20).await;
    assert_eq!((world.calls().await, world.status(id).await), (0, "queued".to_owned()));
    world.database.execute("UPDATE whatsapp_account_state SET state = 'connected'").await;
    world.until_status(id, &["pending", "sent"], 30).await;
    let clear = "SELECT count(*) FROM whatsapp_account_state WHERE waiting_reason IS NULL AND waiting_count = 0";
    world.until_count(clear, 1, 20).await;
    eventually("it was sent once", 5, async || (world.calls().await == 1).then_some(())).await;
}
