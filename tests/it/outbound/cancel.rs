//! A message is taken back while it is about to be sent: it is one or the other.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Hold, SILENT, provider_texts};
use crate::support::World;
use crate::support::world::USER;

async fn cancel(world: &World, id: i64) -> Value {
    world.daemon.rpc("message.cancel", json!({"uid": USER, "id": id})).await
}

#[tokio::test]
async fn what_is_being_taken_back_is_not_begun() {
    let hold = Hold::new();
    let mut world =
        World::prepared("", &[("WABRIDGE_FAILPOINTS", &hold.at("cancel.lane_locked"))]).await;
    let paused =
        "INSERT INTO wabridge.account_pace (configuration_id, paused_until, pause_kind, pauses)
                  VALUES (1, now() + interval '1 hour', 'rate_limited', 1)";
    world.database.execute(paused).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let id = world.sent(SILENT, "taken back").await;
    hold.close();
    let (answer, ()) = tokio::join!(cancel(&world, id), async {
        hold.reached().await;
        // The account may send again, while the lane is in other hands.
        world.database.execute("UPDATE wabridge.account_pace SET paused_until = now()").await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(world.calls().await, 0);
        hold.open();
    });
    assert_eq!(answer["result"]["data"]["status"], "cancelled", "{answer}");
    let next = world.sent(SILENT, "goes").await;
    world.until_status(next, &["pending", "sent"], 15).await;
    world.until_quiet(10).await;
    assert_eq!(provider_texts(&world).await, ["goes"]);
    assert_eq!(world.status(id).await, "cancelled");
}

/// A message is taken back while its claim is under way; the answer, and what the provider took.
async fn after_the_claim_began(guard: &str) -> (Value, Vec<String>) {
    let hold = Hold::new();
    let points = format!("{}{guard}", hold.at("claim.lanes_locked"));
    let world = World::with("", &[("WABRIDGE_FAILPOINTS", &points)]).await;
    world.fault(json!({"operation": "message.send", "delay_ms": 1500})).await;
    hold.close();
    let id = world.sent(SILENT, "goes").await;
    hold.reached().await;
    let (answer, ()) = tokio::join!(cancel(&world, id), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        hold.open();
    });
    world.until_quiet(20).await;
    (answer, provider_texts(&world).await)
}

#[tokio::test]
async fn what_was_begun_is_not_taken_back() {
    let (answer, taken) = after_the_claim_began("").await;
    assert_eq!(answer["error"]["code"], 1505, "{answer}");
    assert_eq!(taken, ["goes"]);
}

#[tokio::test]
async fn control_judging_by_what_was_read_before_the_lock_takes_back_what_goes() {
    let (answer, taken) = after_the_claim_began(",cancel.rereads=off").await;
    assert_eq!(answer["result"]["data"]["status"], "cancelled", "{answer}");
    assert_eq!(taken, ["goes"]);
}
