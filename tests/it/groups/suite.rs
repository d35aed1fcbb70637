//! Every operation on the providers that do it at once, with mixed results.

use serde_json::{Value, json};

use super::{
    INVITATIONS, LEADER, LEAVER, MEMBER, NOT_ON_WHATSAPP, OPS, OTHERS, OWN, Provider, REFUSES,
    STRANGER, call, column, member, refused, results, tables, world,
};
use crate::support::World;
use crate::support::world::USER;

/// A JPEG as far as its first bytes tell.
const JPEG: &str = "/9j/4AAQSkZJRgABAQAAAQABAAD/2Q==";

#[tokio::test]
async fn whapi() {
    at_once(Provider::Whapi).await;
}

#[tokio::test]
async fn wassenger() {
    at_once(Provider::Wassenger).await;
}

#[tokio::test]
async fn custom() {
    at_once(Provider::Custom).await;
}

async fn at_once(provider: Provider) {
    let world = world(provider).await;
    let sql = "SELECT provider || ' ' || (SELECT count(*) FROM whatsapp_group) FROM whatsapp_configuration WHERE id = 1";
    assert_eq!(world.database.text(sql).await, Some(format!("{} 0", provider.word())));
    not_administrator(&world).await;
    created(&world).await;
    members(&world).await;
    itself(&world, provider).await;
    invitation(&world).await;
    left_and_joined(&world).await;
    let rows =
        "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'group.create' AND success
                AND configuration_id = 1 AND user_id = 5";
    assert_eq!(world.database.count(rows).await, 1);
}

/// Without rights in the group nothing happens to anybody, and no row is written.
async fn not_administrator(world: &World) {
    call(world, "group.info", json!({"group_id": OTHERS})).await;
    let before = tables(world).await;
    for method in ["group.add", "group.remove", "group.promote", "group.demote"] {
        let params = json!({"group_id": OTHERS, "participants": [MEMBER, STRANGER]});
        let data = call(world, method, params).await;
        assert_eq!(results(&data), ["not_admin", "not_admin"], "{method}: {data}");
        assert_eq!(data["participants"][0]["participant"], MEMBER);
    }
    let params = json!({"group_id": OTHERS, "participants": [REFUSES], "invite": true});
    assert_eq!(results(&call(world, "group.add", params).await), ["not_admin"]);
    let (code, _) =
        refused(world, "group.info", json!({"group_id": "120363025550109999@g.us"})).await;
    assert_eq!(code, 1504);
    for (group_id, participants, code) in [
        ("+447700900123", json!([MEMBER]), 1101),
        (OPS, json!([]), 1102),
        (OPS, json!(vec![MEMBER; 1025]), 1102),
    ] {
        let params = json!({"group_id": group_id, "participants": participants});
        assert_eq!(refused(world, "group.add", params).await.0, code, "{group_id}");
    }
    assert_eq!(tables(world).await, before);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 0);
}

async fn created(world: &World) {
    let params = json!({
        "name": "Night Shift", "description": "From ten to six", "invite": true,
        "participants": [MEMBER, REFUSES, NOT_ON_WHATSAPP, "call me", OPS, MEMBER],
    });
    let data = call(world, "group.create", params).await;
    let wanted = ["added", "invited", "not_on_whatsapp", "failed", "failed", "added"];
    assert_eq!(results(&data), wanted, "{data}");
    assert_eq!(data["completion"], "done");
    assert_eq!(data["problems"], json!([]), "{data}");
    assert_eq!(data["participants"][3]["contact_id"], Value::Null);
    let reason = data["participants"][3]["reason"].as_str().expect("a reason");
    assert!(reason.contains("letters"), "{reason}");
    let group_id = data["group_id"].as_str().expect("an id");
    let link = data["invite_link"].as_str().expect("a link");
    for (name, wanted) in [
        ("id", data["id"].to_string().as_str()),
        ("name", "Night Shift"),
        ("description", "From ten to six"),
        ("invite_link", link),
        ("is_active", "true"),
        ("configuration_id", "1"),
    ] {
        assert_eq!(column(world, group_id, name).await.as_deref(), Some(wanted), "{name}");
    }
    assert_eq!(member(world, group_id, MEMBER).await.as_deref(), Some("member joined"));
    assert_eq!(member(world, group_id, REFUSES).await.as_deref(), Some("member invited"));
    assert_eq!(member(world, group_id, NOT_ON_WHATSAPP).await, None);
    let own = member(world, group_id, OWN).await.expect("we made it");
    assert!(own.ends_with("admin joined"), "{own}");
    // The invitation is a message like any other.
    let sql = "SELECT m.content || ' ' || c.phone || ' ' || m.user_id FROM whatsapp_message m
               JOIN whatsapp_contact c ON c.id = m.contact_id";
    let message = world.database.text(sql).await.expect("one message");
    assert!(message.contains(link) && message.contains("“Night Shift”"), "{message}");
    assert!(message.ends_with(&format!("{REFUSES} {USER}")), "{message}");

    let params = json!({"name": "Nobody", "participants": ["call me"]});
    assert_eq!(refused(world, "group.create", params).await.0, 1101);
    let params = json!({"name": " ", "participants": [MEMBER]});
    assert_eq!(refused(world, "group.create", params).await.0, 1102);
    let rows = "SELECT count(*) FROM whatsapp_group WHERE name IN ('Nobody', ' ')";
    assert_eq!(world.database.count(rows).await, 0);
}

/// Everybody has a result of their own, and the rows are as they say.
async fn members(world: &World) {
    let told = call(world, "group.info", json!({"group_id": OPS})).await;
    assert_eq!(told["name"], "Ops");
    let people = told["participants"].as_array().expect("people");
    let leader = people.iter().find(|one| one["phone"] == LEADER).expect("the leader");
    assert_eq!((&leader["role"], &leader["state"]), (&json!("admin"), &json!("joined")));

    let change = async |method: &str, participants: Value| {
        let params = json!({"group_id": OPS, "participants": participants});
        let data = call(world, method, params).await;
        results(&data).join(" ")
    };
    let all = json!([STRANGER, MEMBER, REFUSES, NOT_ON_WHATSAPP, "0471 23 45 67"]);
    assert_eq!(
        change("group.add", all).await,
        "added already_member refused_privacy not_on_whatsapp failed"
    );
    assert_eq!(change("group.promote", json!([MEMBER, REFUSES])).await, "promoted not_member");
    assert_eq!(change("group.demote", json!([LEADER, REFUSES])).await, "demoted not_member");
    assert_eq!(change("group.remove", json!([LEAVER, REFUSES])).await, "removed not_member");
    for (number, wanted) in [
        (STRANGER, Some("member joined")),
        (MEMBER, Some("admin joined")),
        (LEADER, Some("member joined")),
        (LEAVER, Some("member removed")),
        (REFUSES, None),
        (NOT_ON_WHATSAPP, None),
    ] {
        assert_eq!(member(world, OPS, number).await.as_deref(), wanted, "{number}");
    }

    let before = world.database.count(INVITATIONS).await;
    let params = json!({
        "group_id": OPS, "participants": [REFUSES, NOT_ON_WHATSAPP], "invite": true,
        "invite_text": "Please join us: {link} – thank you", "idempotency_key": "add-1",
    });
    let data = call(world, "group.add", params.clone()).await;
    assert_eq!(results(&data), ["invited", "not_on_whatsapp"]);
    assert_eq!(member(world, OPS, REFUSES).await.as_deref(), Some("member invited"));
    assert_eq!(call(world, "group.add", params).await, data);
    assert_eq!(world.database.count(INVITATIONS).await, before + 1);
    let own = "SELECT count(*) FROM whatsapp_message WHERE content LIKE 'Please join us: https://% – thank you'";
    assert_eq!(world.database.count(own).await, 1);
}

async fn itself(world: &World, provider: Provider) {
    let params = json!({"group_id": OPS, "name": "Ops B", "description": "Day crew"});
    let data = call(world, "group.update", params).await;
    assert_eq!(
        (&data["done"], &data["completion"]),
        (&json!(["name", "description"]), &json!("done"))
    );
    assert_eq!(column(world, OPS, "name").await.as_deref(), Some("Ops B"));
    assert_eq!(column(world, OPS, "description").await.as_deref(), Some("Day crew"));
    if provider != Provider::Custom {
        let params = json!({"group_id": OPS, "settings": {"only_admins_send": true}});
        assert_eq!(call(world, "group.update", params).await["done"], json!(["only_admins_send"]));
        assert_eq!(column(world, OPS, "only_admins_send").await.as_deref(), Some("true"));
        let params = json!({"group_id": OPS, "icon": {"base64": JPEG}});
        assert_eq!(call(world, "group.update", params).await["done"], json!(["icon"]));
    }
    for (change, code) in [
        (json!({}), 1102),
        (json!({"icon": {"base64": "aGVsbG8="}}), 1104),
        (json!({"icon": {"id": 4711}}), 1504),
        (json!({"icon": {}}), 1102),
        (json!({"name": ""}), 1102),
    ] {
        let mut params = change.clone();
        params["group_id"] = json!(OPS);
        assert_eq!(refused(world, "group.update", params).await.0, code, "{change}");
    }
}

async fn invitation(world: &World) {
    let group = json!({"group_id": OPS});
    let data = call(world, "group.invite_link", group.clone()).await;
    let link = data["invite_link"].as_str().expect("a link").to_owned();
    assert_eq!(column(world, OPS, "invite_link").await.as_deref(), Some(link.as_str()));
    let data = call(world, "group.revoke_invite", group).await;
    let new = data["invite_link"].as_str().expect("a link");
    assert_ne!(new, link);
    assert_eq!(column(world, OPS, "invite_link").await.as_deref(), Some(new));
    let (code, _) = refused(world, "group.join", json!({"invite_link": link})).await;
    assert_eq!(code, 1504);
    assert_eq!(refused(world, "group.join", json!({"invite_link": "no link"})).await.0, 1102);
}

async fn left_and_joined(world: &World) {
    let code = {
        let url = format!("{}/_control/state", world.simulator.url);
        let answer = world.daemon.http.get(url).send().await.expect("the simulator answers");
        let state: Value = answer.json().await.expect("JSON");
        let groups = state["groups"].as_array().cloned().unwrap_or_default();
        let group = groups.into_iter().find(|one| one["id"] == OTHERS).expect("the group");
        group["invite_code"].as_str().expect("a code").to_owned()
    };
    let data = call(world, "group.leave", json!({"group_id": OTHERS})).await;
    assert_eq!(data, json!({"group_id": OTHERS, "completion": "done"}));
    assert_eq!(column(world, OTHERS, "is_active").await.as_deref(), Some("false"));
    // Told of one second the later one stays: the next one comes in another.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let data = call(world, "group.join", json!({"invite_link": code})).await;
    assert_eq!(data["group_id"], OTHERS);
    assert_eq!(data["completion"], "done");
    assert_eq!(column(world, OTHERS, "is_active").await.as_deref(), Some("true"));
    assert_eq!(column(world, OTHERS, "id").await, data["id"].as_i64().map(|id| id.to_string()));
}
