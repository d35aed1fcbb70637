//! The daemon ends in the middle, or sleeps past its lease.

use std::time::Duration;

use serde_json::json;

use super::{Hold, SILENT, provider_texts};
use crate::support::World;
use crate::support::world::text_params;

const SHORT: &str = "[limits]\nlease_s = 4\nprovider_timeout_s = 2\nsettle_s = 8";

async fn killed_at(point: &str) -> (World, i64) {
    let hold = Hold::new();
    let mut world = World::with(SHORT, &[("WABRIDGE_FAILPOINTS", &hold.at(point))]).await;
    // Statuses of the simulator come late enough to meet the daemon that is started again.
    world.fault(json!({"operation": "message.send", "webhook_delay_ms": 7000})).await;
    hold.close();
    let id = world.sent(SILENT, "once").await;
    hold.reached().await;
    let later = world.sent(SILENT, "and then").await;
    world.daemon.kill();
    hold.open();
    world.daemon.run();
    world.daemon.wait_ready().await;
    world.until_status(later, &["pending", "sent", "delivered", "read"], 30).await;
    (world, id)
}

#[tokio::test]
async fn killed_before_the_call() {
    let (world, id) = killed_at("call.before").await;
    // It never went out, but nobody can know: it is not repeated.
    assert_eq!(world.status(id).await, "uncertain");
    assert_eq!(provider_texts(&world).await, ["and then"]);
    world.until_quiet(20).await;
    assert_eq!(world.status(id).await, "uncertain");
    assert_eq!(world.calls().await, 1);
}

#[tokio::test]
async fn killed_between_answer_and_record() {
    for point in ["call.after", "outcome.before_commit"] {
        let (world, id) = killed_at(point).await;
        // The echo tells that it had been taken.
        world.until_status(id, &["pending", "sent"], 20).await;
        assert_eq!(provider_texts(&world).await, ["once", "and then"], "{point}");
        assert_eq!(world.calls().await, 2, "{point}");
        world.until_quiet(10).await;
        assert_eq!(
            world.database.count("SELECT count(*) FROM whatsapp_message").await,
            2,
            "{point}"
        );
    }
}

#[tokio::test]
async fn an_echo_that_comes_after_all_hope_settles_what_was_given_up() {
    let world = World::with("[limits]\nprovider_timeout_s = 1\nsettle_s = 1", &[]).await;
    let late = json!({"operation": "message.send", "drop_answer": true, "webhook_delay_ms": 9000, "times": 1});
    world.fault(late).await;
    let id = world.sent(SILENT, "given up").await;
    world.until_quiet(8).await;
    assert_eq!(world.status(id).await, "uncertain");
    world.until_status(id, &["sent", "delivered", "read"], 20).await;
    assert_eq!(provider_texts(&world).await, ["given up"]);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
    // Two that say the same: nobody knows which of them an echo tells of, and nothing is guessed.
    let late = json!({"operation": "message.send", "drop_answer": true, "webhook_delay_ms": 9000, "times": 2});
    world.fault(late).await;
    let same = [world.sent(SILENT, "same").await, world.sent(SILENT, "same").await];
    world.until_quiet(12).await;
    world.until_count("SELECT count(*) FROM whatsapp_message WHERE content = 'same'", 4, 20).await;
    for id in same {
        assert_eq!(world.status(id).await, "uncertain");
    }
}

#[tokio::test]
async fn killed_after_the_record() {
    let (world, id) = killed_at("outcome.committed").await;
    world.until_status(id, &["pending", "sent"], 10).await;
    assert_eq!(provider_texts(&world).await, ["once", "and then"]);
    world.until_quiet(10).await;
}

#[tokio::test]
async fn killed_before_the_enqueue_committed() {
    let hold = Hold::new();
    let mut world =
        World::with(SHORT, &[("WABRIDGE_FAILPOINTS", &hold.at("enqueue.before_commit"))]).await;
    hold.close();
    let url = format!("{}/rpc", world.daemon.private_url);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": text_params(SILENT, "no")})
        .to_string();
    let authorization = wabridge_testkit::Daemon::authorization(
        wabridge_testkit::daemon::KEY_ID,
        "POST",
        "/rpc",
        &body,
    );
    let call = world
        .daemon
        .http
        .post(url)
        .header("content-type", "application/json")
        .header("authorization", authorization)
        .body(body)
        .send();
    let call = tokio::spawn(call);
    hold.reached().await;
    world.daemon.kill();
    hold.open();
    assert!(call.await.expect("no panic").is_err(), "the caller was told that it was taken");
    world.daemon.run();
    world.daemon.wait_ready().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 0);
    assert_eq!(world.calls().await, 0);
    world.until_quiet(1).await;
}

#[tokio::test]
async fn a_daemon_that_sleeps_past_its_lease_sends_nothing_twice() {
    let hold = Hold::new();
    let world = World::with(SHORT, &[("WABRIDGE_FAILPOINTS", &hold.at("call.after"))]).await;
    // No echo and no status: only the late answer can tell.
    world.fault(json!({"operation": "message.send", "drop_webhooks": true})).await;
    hold.close();
    let id = world.sent(SILENT, "first").await;
    hold.reached().await;
    world.daemon.pause();
    let replica = world.replica(SHORT, &[]).await;
    world.until_status(id, &["uncertain"], 20).await;
    let data = replica.call("message.send", text_params(SILENT, "second")).await;
    let second = data["data"]["id"].as_i64().expect("a row id");
    world.until_status(second, &["pending", "sent"], 20).await;
    hold.open();
    world.daemon.resume();
    world.until_status(id, &["pending", "sent"], 10).await;
    assert_eq!(provider_texts(&world).await, ["first", "second"]);
    assert_eq!(world.calls().await, 2);
    world.until_quiet(10).await;
}

#[tokio::test]
async fn two_daemons_share_the_work_and_double_nothing() {
    let world = World::start().await;
    let replica = world.replica("", &[]).await;
    for n in 0..40 {
        let daemon = if n % 2 == 0 { &world.daemon } else { &replica };
        daemon.call("message.send", text_params("447700900123", &format!("m {n}"))).await;
    }
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL", 40, 60)
        .await;
    assert_eq!(provider_texts(&world).await, (0..40).map(|n| format!("m {n}")).collect::<Vec<_>>());
    world.until_quiet(5).await;
}

#[tokio::test]
async fn a_daemon_that_stops_hands_over_at_once() {
    let mut world = World::start().await;
    world.fault(json!({"operation": "message.send", "delay_ms": 1500, "times": 1})).await;
    let id = world.sent("447700900123", "under way").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let later = world.sent("447700900123", "waits").await;
    assert_eq!(world.daemon.terminate().await, Some(0));
    // The call in flight was finished and recorded, nothing new was begun.
    let known =
        format!("SELECT count(*) FROM whatsapp_message WHERE id = {id} AND message_id IS NOT NULL");
    assert_eq!(world.database.count(&known).await, 1);
    assert_eq!(world.status(later).await, "queued");
    let leased = "SELECT count(*) FROM wabridge.account_pace WHERE owner IS NOT NULL";
    assert_eq!(world.database.count(leased).await, 0);
    world.daemon.run();
    world.daemon.wait_ready().await;
    world.until_status(later, &["pending", "sent", "delivered", "read"], 10).await;
}

/// A daemon sleeps between its claim and its call, past its lease, while another one lets the chat go on; what the
/// provider took in the end.
async fn asleep_before_the_call(guard: &str) -> Vec<String> {
    let hold = Hold::new();
    let points = format!("{}{guard}", hold.at("call.before"));
    let world = World::with(SHORT, &[("WABRIDGE_FAILPOINTS", &points)]).await;
    hold.close();
    let first = world.sent(SILENT, "first").await;
    hold.reached().await;
    world.daemon.pause();
    let replica = world.replica(SHORT, &[]).await;
    world.until_status(first, &["uncertain"], 20).await;
    let data = replica.call("message.send", text_params(SILENT, "second")).await;
    let second = data["data"]["id"].as_i64().expect("a row id");
    world.until_status(second, &["pending", "sent"], 20).await;
    hold.open();
    world.daemon.resume();
    world.until_quiet(30).await;
    provider_texts(&world).await
}

#[tokio::test]
async fn a_call_that_would_begin_after_its_lease_is_not_made() {
    assert_eq!(asleep_before_the_call("").await, ["second"]);
}

#[tokio::test]
async fn control_a_call_after_its_lease_overtakes() {
    let taken = asleep_before_the_call(",call.within_lease=off").await;
    assert_eq!(taken, ["second", "first"]);
}
