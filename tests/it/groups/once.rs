//! Keys: the same call is made once, whatever happens.

use serde_json::{Value, json};

use super::{
    INVITATIONS, MEMBER, OPS, Provider, REFUSES, STRANGER, call, creations, killed, member,
    refused, results, with, world, world_with,
};
use crate::outbound::Hold;
use crate::support::World;
use crate::support::world::USER;

fn new_group(key: &str) -> serde_json::Value {
    json!({"name": "Perhaps", "participants": [MEMBER], "idempotency_key": key})
}

#[tokio::test]
async fn the_same_key_is_the_same_group() {
    let world = world(Provider::Whapi).await;
    let slow = json!({"operation": "group.create", "delay_ms": 800, "times": 1});
    world.simulator.control("faults", slow).await;
    // Twins at the same moment, and once more afterwards.
    let (one, other) = tokio::join!(
        call(&world, "group.create", new_group("k-1")),
        call(&world, "group.create", new_group("k-1"))
    );
    assert_eq!(one, other);
    assert_eq!(call(&world, "group.create", new_group("k-1")).await, one);
    assert_eq!(creations(&world).await, 1);
    let mut others = new_group("k-1");
    others["name"] = json!("Other");
    assert_eq!(refused(&world, "group.create", others).await.0, 1108);
    let params =
        json!({"group_id": one["group_id"], "participants": [MEMBER], "idempotency_key": "k-1"});
    assert_eq!(refused(&world, "group.add", params).await.0, 1108);
    for key in ["", "a\0b", &"x".repeat(201)] {
        assert_eq!(refused(&world, "group.create", new_group(key)).await.0, 1102);
    }
    // Another key, or none, is another group.
    let two = call(&world, "group.create", new_group("k-2")).await;
    assert_ne!(two["group_id"], one["group_id"]);
    assert_eq!(creations(&world).await, 2);
    // The account is not the user's any more: what it answered is not told again.
    world.database.execute("DELETE FROM res_users_whatsapp_configuration_rel").await;
    assert_eq!(refused(&world, "group.create", new_group("k-1")).await.0, 1001);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_said_to_be() {
    let world = world(Provider::Whapi).await;
    let fault = json!({"operation": "group.create", "drop_answer": true, "times": 1});
    world.simulator.control("faults", fault).await;
    let lost = refused(&world, "group.create", new_group("k-1")).await;
    assert!(lost.0 == 1305 && lost.1.contains("unknown whether"), "{lost:?}");
    assert_eq!(refused(&world, "group.create", new_group("k-1")).await, lost);
    assert_eq!(creations(&world).await, 1);
    // What surely made no group leaves the key free.
    for fault in [json!({"status": 429}), json!({"status": 400})] {
        let mut fault = fault;
        fault["operation"] = json!("group.create");
        fault["times"] = json!(1);
        world.simulator.control("faults", fault).await;
        let (code, _) = refused(&world, "group.create", new_group("k-2")).await;
        assert!((1302..=1303).contains(&code), "{code}");
    }
    let made = call(&world, "group.create", new_group("k-2")).await;
    assert_eq!(made["completion"], "done", "{made}");
    // The webhook of the one whose answer was lost brings it all the same.
    let rows = "SELECT count(*) FROM whatsapp_group WHERE name = 'Perhaps'";
    world.until_count(rows, 2, 30).await;
}

/// Killed after the provider made the group and before anything was noted; then the same call again. How many groups
/// there are then, and what it was told.
async fn killed_in_the_middle(more: &str) -> (World, Value) {
    let hold = Hold::new();
    let points = format!("{}{more}", hold.at("group.done"));
    let mut world = world_with(Provider::Whapi, &[("WABRIDGE_FAILPOINTS", &points)]).await;
    killed(&mut world, &hold, "group.create", new_group("k-1")).await;
    assert_eq!(creations(&world).await, 1);
    let answer = world.daemon.rpc("group.create", with(USER, new_group("k-1"))).await;
    (world, answer)
}

#[tokio::test]
async fn killed_in_the_middle_it_is_uncertain() {
    let (world, answer) = killed_in_the_middle("").await;
    let error = &answer["error"];
    assert_eq!(error["code"], 1305, "{answer}");
    let why = error["message"].as_str().expect("a sentence");
    assert!(why.contains("ended while it made this group"), "{why}");
    assert_eq!(creations(&world).await, 1);
    // A new key is a new decision.
    call(&world, "group.create", new_group("k-2")).await;
    assert_eq!(creations(&world).await, 2);
}

/// The negative control: without keys the second call makes a second group.
#[tokio::test]
async fn without_its_key_it_is_made_twice() {
    let (world, answer) = killed_in_the_middle(",group.keys=off").await;
    assert_eq!(answer["result"]["data"]["completion"], "done", "{answer}");
    assert_eq!(creations(&world).await, 2);
}

/// Adding again adds nobody twice: a call that ended in the middle is made again, and invites once.
#[tokio::test]
async fn killed_in_the_middle_adding_goes_on() {
    let hold = Hold::new();
    let environment = [("WABRIDGE_FAILPOINTS", hold.at("group.done"))];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut world = world_with(Provider::Whapi, &environment).await;
    let params = json!({
        "group_id": OPS, "participants": [STRANGER, REFUSES], "invite": true, "idempotency_key": "k-1",
    });
    killed(&mut world, &hold, "group.add", params.clone()).await;
    let data = call(&world, "group.add", params.clone()).await;
    assert_eq!(results(&data), ["already_member", "invited"], "{data}");
    assert_eq!(call(&world, "group.add", params).await, data);
    assert_eq!(member(&world, OPS, STRANGER).await.as_deref(), Some("member joined"));
    assert_eq!(world.database.count(INVITATIONS).await, 1);
}
