//! Meta makes groups after its answer, and people come by the invitation only.

use serde_json::json;

use super::{
    INVITATIONS, LEAVER, MEMBER, OPS, Provider, STRANGER, call, column, creations, member,
    prepared, refused, results, run, with, world, world_with,
};
use crate::outbound::Hold;
use crate::support::World;
use crate::support::world::ADMIN;
use wabridge_testkit::eventually;

/// Both wrote a moment ago, so that they may be written to.
async fn greeted(world: &World) {
    for from in ["447700900123", "447700900125"] {
        let body = json!({
            "provider": "meta", "token": Provider::Meta.token(), "from": from, "type": "text", "text": "hello",
        });
        world.simulator.control("inbound", body).await;
    }
    let inbound = "SELECT count(*) FROM whatsapp_message WHERE NOT from_me";
    world.until_count(inbound, 2, 30).await;
}

fn new_group(key: &str) -> serde_json::Value {
    json!({
        "name": "Launch", "participants": [MEMBER, STRANGER], "invite": true, "idempotency_key": key,
    })
}

/// Waits until both have their invitation, and looks at what is there.
async fn both_are_invited(world: &World) {
    world.until_count(INVITATIONS, 2, 30).await;
    let invited =
        "SELECT count(*) FROM whatsapp_group_member m JOIN whatsapp_group g ON g.id = m.group_id
                   WHERE m.state = 'invited' AND g.name = 'Launch'";
    world.until_count(invited, 2, 30).await;
    let owed = "SELECT count(*) FROM wabridge.group_invitation WHERE state = 'owed'";
    world.until_count(owed, 0, 30).await;
    assert_eq!(world.database.count(INVITATIONS).await, 2);
    assert_eq!(creations(world).await, 1);
}

#[tokio::test]
async fn who_waits_is_invited_when_the_group_is_there() {
    let world = world(Provider::Meta).await;
    greeted(&world).await;
    let data = call(&world, "group.create", new_group("k-1")).await;
    assert_eq!(data["completion"], "waiting", "{data}");
    assert_eq!((&data["id"], &data["group_id"]), (&json!(null), &json!(null)));
    assert_eq!(results(&data), ["waiting", "waiting"]);
    both_are_invited(&world).await;
    // The same call tells what became of it, and makes nothing again.
    let data = call(&world, "group.create", new_group("k-1")).await;
    assert_eq!(data["completion"], "done", "{data}");
    assert_eq!(results(&data), ["invited", "invited"]);
    let group_id = data["group_id"].as_str().expect("it is known now");
    assert_eq!(column(&world, group_id, "name").await.as_deref(), Some("Launch"));
    assert_eq!(column(&world, group_id, "id").await, Some(data["id"].to_string()));
    let link = data["invite_link"].as_str().expect("a link");
    let with_link = format!("SELECT count(*) FROM whatsapp_message WHERE content LIKE '%{link}'");
    assert_eq!(world.database.count(&with_link).await, 2);
    both_are_invited(&world).await;
}

/// Killed between a message and the note that it was sent.
async fn killed_while_it_invites(more: &str) -> World {
    let hold = Hold::new();
    let points = format!("{}{more}", hold.at("group.invited"));
    let mut world = world_with(Provider::Meta, &[("WABRIDGE_FAILPOINTS", &points)]).await;
    greeted(&world).await;
    hold.close();
    call(&world, "group.create", new_group("k-2")).await;
    hold.reached().await;
    world.daemon.kill();
    hold.open();
    world.daemon.run();
    world.daemon.wait_ready().await;
    world
}

#[tokio::test]
async fn invited_once_whatever_happens() {
    both_are_invited(&killed_while_it_invites("").await).await;
}

/// The negative control: without a key of its own an invitation is sent again.
#[tokio::test]
async fn without_its_key_an_invitation_goes_twice() {
    let world = killed_while_it_invites(",group.invitation_key=off").await;
    world.until_count(INVITATIONS, 3, 30).await;
}

#[tokio::test]
async fn who_may_not_be_written_to_is_not_invited() {
    let mut world = prepared(Provider::Meta, &[]).await;
    let policy = "UPDATE whatsapp_configuration SET window_policy = 'refuse' WHERE id = 1";
    world.database.execute(policy).await;
    run(Provider::Meta, &mut world).await;
    greeted(&world).await;
    // Meta's 24 hours are over for one of them.
    let sql = "UPDATE whatsapp_chat SET last_inbound_at = last_inbound_at - interval '2 days'
               WHERE chat_id = '447700900123'";
    world.database.execute(sql).await;
    call(&world, "group.create", new_group("k-3")).await;
    let settled = "SELECT count(*) FROM wabridge.group_invitation WHERE state <> 'owed'";
    world.until_count(settled, 2, 30).await;
    assert_eq!(world.database.count(INVITATIONS).await, 1);
    let data = call(&world, "group.create", new_group("k-3")).await;
    assert_eq!(results(&data), ["failed", "invited"], "{data}");
    let reason = data["participants"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("24"), "{reason}");
    let group_id = data["group_id"].as_str().expect("it is there");
    assert_eq!(member(&world, group_id, MEMBER).await, None);
}

#[tokio::test]
async fn what_meta_does_and_does_not() {
    let mut world = prepared(Provider::Meta, &[]).await;
    run(Provider::Meta, &mut world).await;
    greeted(&world).await;
    let ops = Provider::Meta.group(OPS);
    let told = call(&world, "group.info", json!({"group_id": ops})).await;
    assert_eq!(told["name"], "Ops");
    assert_eq!(member(&world, &ops, LEAVER).await.as_deref(), Some("member joined"));

    // Adding is inviting; without the wish it is nothing.
    let params = json!({"group_id": ops, "participants": [STRANGER]});
    assert_eq!(refused(&world, "group.add", params.clone()).await.0, 1105);
    let mut params = params;
    params["invite"] = json!(true);
    assert_eq!(results(&call(&world, "group.add", params).await), ["invited"]);
    assert_eq!(member(&world, &ops, STRANGER).await.as_deref(), Some("member invited"));
    for method in ["group.promote", "group.demote"] {
        let params = json!({"group_id": ops, "participants": [MEMBER]});
        assert_eq!(refused(&world, method, params).await.0, 1105, "{method}");
    }
    let code = "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv";
    assert_eq!(refused(&world, "group.join", json!({"invite_link": code})).await.0, 1105);
    let settings = json!({"group_id": ops, "settings": {"only_admins_send": true}});
    assert_eq!(refused(&world, "group.update", settings).await.0, 1105);

    // A webhook tells the end.
    let params = json!({"group_id": ops, "participants": [LEAVER]});
    let data = call(&world, "group.remove", params).await;
    assert_eq!((&data["completion"], results(&data)), (&json!("waiting"), vec!["waiting"]));
    let data = call(&world, "group.update", json!({"group_id": ops, "name": "Ops B"})).await;
    assert_eq!((&data["done"], &data["completion"]), (&json!(["name"]), &json!("waiting")));
    let removed = async || member(&world, &ops, LEAVER).await.filter(|m| m == "member removed");
    eventually("the removal is told", 30, removed).await;
    let renamed = async || column(&world, &ops, "name").await.filter(|name| name == "Ops B");
    eventually("the new name is told", 30, renamed).await;

    // Leaving deletes the group, so it is for administrators.
    assert_eq!(refused(&world, "group.leave", json!({"group_id": ops})).await.0, 1001);
    let data = world.daemon.call("group.leave", with(ADMIN, json!({"group_id": ops}))).await;
    assert_eq!(data["data"]["completion"], "waiting");
    let gone = async || column(&world, &ops, "is_active").await.filter(|is| is == "false");
    eventually("the end of the group is told", 30, gone).await;
}
