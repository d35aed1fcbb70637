//! Two commits that meet: enqueue and finish, both doors, outcome and early status, echo and answer.

use std::time::Duration;

use serde_json::json;
use wabridge_testkit::eventually;

use super::{Hold, SILENT, provider_texts};
use crate::support::World;
use crate::support::world::odoo_send;

const PEER: &str = "447700900123";
const ASLEEP: &str = "were asleep and are woken";

async fn world_with(points: &str) -> World {
    World::with("", &[("WABRIDGE_FAILPOINTS", points)]).await
}

#[tokio::test]
async fn a_job_that_comes_while_its_lane_is_finished_is_sent() {
    let hold = Hold::new();
    let world = world_with(&hold.at("finish.lanes_locked")).await;
    hold.close();
    let first = world.sent(PEER, "first").await;
    // The recorder holds the lane and is about to look whether something is left in it.
    hold.reached().await;
    let (second, ()) = tokio::join!(world.sent(PEER, "second"), async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        hold.open();
    });
    world.until_status(first, &["read"], 10).await;
    world.until_status(second, &["read"], 5).await;
    assert!(!world.daemon.log().contains(ASLEEP));
    world.until_quiet(5).await;
}

#[tokio::test]
async fn control_reading_before_the_lock_forgets_the_job() {
    let hold = Hold::new();
    let points = format!("finish.rereads=off,{}", hold.at("finish.read_too_early"));
    let world = world_with(&points).await;
    hold.close();
    let first = world.sent(PEER, "first").await;
    hold.reached().await;
    let second = world.sent(PEER, "second").await;
    hold.open();
    world.until_status(first, &["read"], 10).await;
    // Nobody sends it until the sweep finds the lane asleep.
    eventually("the sweep finds it", 20, async || {
        world.daemon.log().contains(ASLEEP).then_some(())
    })
    .await;
    world.until_status(second, &["read"], 10).await;
}

/// What a transaction committed before the call stands before it at the provider.
async fn committed_first(guard: &str) -> Vec<String> {
    let hold = Hold::new();
    let world = world_with(&format!("{}{guard}", hold.at("adopt.round"))).await;
    hold.close();
    hold.reached().await;
    // The worker of the transaction door sleeps: only the call can take the row along.
    let odoo = world.database.odoo().await;
    let row = odoo_send(&odoo, PEER, "committed", None).await;
    let call = world.sent(PEER, "called").await;
    world.until_status(call, &["read"], 15).await;
    hold.open();
    world.until_status(row, &["read"], 15).await;
    world.until_quiet(5).await;
    provider_texts(&world).await
}

#[tokio::test]
async fn a_call_takes_along_what_was_committed_for_its_chat() {
    assert_eq!(committed_first("").await, ["committed", "called"]);
}

#[tokio::test]
async fn control_a_call_that_takes_nothing_along_overtakes() {
    assert_eq!(committed_first(",enqueue.adopts_first=off").await, ["called", "committed"]);
}

/// All statuses come before the outcome is recorded, and no sweep runs; true where the message becomes read.
async fn statuses_before_the_outcome(guards: &str) -> bool {
    let hold = Hold::new();
    let world = world_with(&format!("{},{guards}", hold.at("outcome.before_commit"))).await;
    hold.close();
    let id = world.sent(PEER, "quick").await;
    hold.reached().await;
    let waiting =
        "SELECT count(*) FROM wabridge.early_event WHERE kind = 'status' AND read_at IS NOT NULL";
    world.until_count(waiting, 1, 10).await;
    hold.open();
    world.until_status(id, &["pending", "sent", "delivered", "read"], 10).await;
    // The look follows its commit at once; the sweep would come every two seconds.
    tokio::time::sleep(Duration::from_millis(4500)).await;
    assert_eq!(world.calls().await, 1);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
    let read = world
        .database
        .count("SELECT count(*) FROM whatsapp_message WHERE read_at IS NOT NULL")
        .await;
    let left = world.database.count("SELECT count(*) FROM wabridge.early_event").await;
    assert_eq!(read + left.min(1), 1, "joined or still waiting, never both, never lost");
    read == 1
}

#[tokio::test]
async fn statuses_that_come_before_the_outcome_are_joined_by_its_look() {
    assert!(statuses_before_the_outcome("early.sweeps=off").await);
}

#[tokio::test]
async fn statuses_that_come_before_the_outcome_are_joined_by_the_sweep() {
    assert!(statuses_before_the_outcome("outcome.joins_early=off").await);
}

#[tokio::test]
async fn control_without_look_and_sweep_they_wait_for_ever() {
    assert!(!statuses_before_the_outcome("early.sweeps=off,outcome.joins_early=off").await);
}

#[tokio::test]
async fn an_echo_that_comes_before_the_answer_waits_for_it() {
    let hold = Hold::new();
    let world = world_with(&hold.at("call.after")).await;
    hold.close();
    let id = world.sent(SILENT, "hello").await;
    hold.reached().await;
    world.until_count("SELECT count(*) FROM wabridge.early_event WHERE kind = 'echo'", 1, 10).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(
        world.database.count("SELECT count(*) FROM whatsapp_message").await,
        1,
        "it was not kept"
    );
    hold.open();
    world.until_status(id, &["pending", "sent"], 10).await;
    world.until_count("SELECT count(*) FROM wabridge.early_event", 0, 5).await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
}

/// As if the echo had come when no attempt was to be seen: it makes a row of its own before our answer.
async fn an_echo_with_a_row_of_its_own(guard: &str) -> (World, i64) {
    let hold = Hold::new();
    let world = world_with(&format!("{}{guard}", hold.at("call.before"))).await;
    hold.close();
    let id = world.sent(SILENT, "hello").await;
    hold.reached().await;
    let open = "UPDATE wabridge.attempt SET finished_at = NULL, applied_at = NULL";
    world
        .database
        .execute("UPDATE wabridge.attempt SET finished_at = now(), applied_at = now()")
        .await;
    world.fault(json!({"operation": "message.send", "delay_ms": 2500, "times": 1})).await;
    hold.open();
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL", 1, 10)
        .await;
    world.database.execute(open).await;
    (world, id)
}

#[tokio::test]
async fn a_row_that_an_echo_made_is_absorbed() {
    let (world, id) = an_echo_with_a_row_of_its_own("").await;
    world.until_status(id, &["pending", "sent"], 10).await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
    let own = format!("SELECT count(*) FROM whatsapp_chat WHERE last_message_id = {id}");
    assert_eq!(world.database.count(&own).await, 1);
    world.until_quiet(5).await;
}

#[tokio::test]
async fn control_without_absorbing_the_message_keeps_waiting() {
    let (world, id) = an_echo_with_a_row_of_its_own(",outcome.absorbs=off").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.status(id).await, "queued");
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 2);
}
