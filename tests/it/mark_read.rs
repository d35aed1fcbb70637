//! `message.mark_read`: Odoo's rows at once and together, the provider afterwards.

use serde_json::{Value, json};
use wabridge_testkit::daemon::WHAPI_TOKEN;

use crate::support::World;
use crate::support::world::{USER, message_id, text_event};

const PEER: &str = "447700900123";
const CHAT: &str = "447700900123@s.whatsapp.net";
const UNREAD: &str = "SELECT sum(unread_count)::int8 FROM whatsapp_chat";
const NOT_READ: &str =
    "SELECT count(*) FROM whatsapp_message WHERE direction = 'inbound' AND read_at IS NULL";

/// Somebody writes at the provider; the row ids in the order of writing.
async fn written(world: &World, chat: Option<&str>, texts: &[&str]) -> Vec<i64> {
    let mut ids = Vec::new();
    for text in texts {
        let inbound = json!({"provider": "whapi", "token": WHAPI_TOKEN, "from": PEER, "chat": chat, "text": text});
        let answer = world.simulator.control("inbound", inbound).await;
        let row = format!(
            "SELECT id FROM whatsapp_message WHERE message_id = '{}'",
            answer["id"].as_str().expect("the message has an id")
        );
        world.until_count(&format!("SELECT count(*) FROM ({row}) m"), 1, 10).await;
        ids.push(world.database.count(&format!("SELECT id::int8 FROM ({row}) m")).await);
    }
    ids
}

async fn mark(world: &World, params: Value) -> Value {
    let mut all = json!({"uid": USER});
    let more = params.as_object().expect("an object").clone();
    all.as_object_mut().expect("an object").extend(more);
    world.daemon.call("message.mark_read", all).await["data"].clone()
}

/// What the provider was told: the newest message of each call.
async fn told(world: &World) -> Vec<String> {
    let calls = world.simulator.requests("/messages/").await;
    calls
        .iter()
        .filter(|call| call["method"] == "PUT")
        .filter_map(|call| call["path"].as_str()?.rsplit('/').next().map(str::to_owned))
        .collect()
}

async fn provider_id(world: &World, id: i64) -> String {
    let sql = format!("SELECT message_id FROM whatsapp_message WHERE id = {id}");
    world.database.text(&sql).await.expect("a received message has an id")
}

async fn until_told(world: &World, id: i64) {
    let id = provider_id(world, id).await;
    wabridge_testkit::eventually(&format!("the provider is told of {id}"), 10, async || {
        told(world).await.contains(&id).then_some(())
    })
    .await;
}

#[tokio::test]
async fn up_to_a_message_then_everything() {
    let world = World::start().await;
    let ids = written(&world, None, &["one", "two", "three"]).await;
    assert_eq!(world.database.count(UNREAD).await, 3);

    let data = mark(&world, json!({"configuration_id": 1, "chat_id": CHAT, "up_to": ids[1]})).await;
    assert_eq!(
        data,
        json!({"read": 2, "chats": [{"configuration_id": 1, "chat_id": CHAT, "unread_count": 1}]})
    );
    let row = |id: i64| {
        format!(
            "SELECT status || ' ' || (read_at IS NOT NULL AND read_at >= delivered_at)
             FROM whatsapp_message WHERE id = {id} AND write_uid IS NOT NULL"
        )
    };
    assert_eq!(world.database.text(&row(ids[0])).await.unwrap(), "read true");
    assert_eq!(world.database.text(&row(ids[1])).await.unwrap(), "read true");
    assert_eq!(world.status(ids[2]).await, "delivered");
    until_told(&world, ids[1]).await;

    // A message by its id, and what came before it, in two chats at once.
    let group = written(&world, Some("120363021234567890@g.us"), &["four", "five"]).await;
    let data = mark(&world, json!({"ids": [ids[2], group[0], group[1]]})).await;
    assert_eq!(data["read"], 3);
    assert_eq!(data["chats"].as_array().unwrap().len(), 2);
    assert_eq!(world.database.count(UNREAD).await, 0);
    assert_eq!(world.database.count(NOT_READ).await, 0);
    until_told(&world, ids[2]).await;
    until_told(&world, group[1]).await;

    // Once more changes nothing and tells nobody.
    let calls = told(&world).await.len();
    let data = mark(&world, json!({"configuration_id": 1, "chat_id": CHAT})).await;
    assert_eq!(data["read"], 0);
    let data = mark(&world, json!({"ids": group})).await;
    assert_eq!(data["read"], 0);
    assert_eq!(told(&world).await.len(), calls);

    // The screens of everybody who uses the account follow.
    let hints = "SELECT count(*) FROM bus_bus WHERE message LIKE '%whatsapp.chat%'";
    assert!(world.database.count(hints).await > 0);
}

#[tokio::test]
async fn who_may_and_what_is_refused() {
    let world = World::start().await;
    let ids = written(&world, None, &["one"]).await;
    world.database.execute("DELETE FROM res_users_whatsapp_configuration_rel").await;
    for (params, code) in [
        (json!({"uid": USER, "configuration_id": 1, "chat_id": CHAT}), 1001),
        (json!({"uid": USER, "ids": ids}), 1001),
        (json!({"uid": 1, "ids": [987_654]}), 1504),
        (json!({"uid": 1, "configuration_id": 1, "chat_id": "nobody"}), 1504),
        (json!({"uid": 1, "configuration_id": 987, "chat_id": CHAT}), 1002),
        (json!({"uid": 1, "ids": []}), 1102),
        (json!({"uid": 1}), 1102),
        (json!({"uid": 1, "configuration_id": 1}), 1102),
        (json!({"uid": 1, "ids": ids, "chat_id": CHAT}), 1102),
        (json!({"uid": 1, "ids": ids, "up_to": 1}), 1102),
    ] {
        let answer = world.daemon.rpc("message.mark_read", params.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{params}: {answer}");
    }
    assert_eq!(world.database.count(UNREAD).await, 1);
    let answer = world.daemon.rpc("message.mark_read", json!({"uid": 1, "ids": ids})).await;
    assert_eq!(answer["result"]["data"]["read"], 1, "the system may: {answer}");
}

/// The provider's refusal changes nothing of what Odoo shows; it leaves a row in the audit log.
#[tokio::test]
async fn a_provider_that_refuses() {
    let world = World::start().await;
    let ids = written(&world, None, &["one"]).await;
    world.fault(json!({"operation": "message.read", "status": 403})).await;
    assert_eq!(mark(&world, json!({"ids": ids})).await["read"], 1);
    assert_eq!(world.status(ids[0]).await, "read");
    let row = format!(
        "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'message.mark_read' AND NOT success
           AND configuration_id = 1 AND user_id = {USER} AND error_message IS NOT NULL"
    );
    world.until_count(&row, 1, 20).await;
}

/// Whatever the order of arriving and reading: the count is what is not read.
#[tokio::test]
async fn arriving_while_it_is_read() {
    const ROUNDS: u64 = 60;
    let world = World::start().await;
    let arriving = async {
        for n in 0..ROUNDS {
            let event = text_event(&message_id(n), PEER, &format!("text {n}"));
            assert_eq!(world.webhook(&event).await, 200);
        }
    };
    let reading = async {
        for _ in 0..ROUNDS {
            let params = json!({"uid": USER, "configuration_id": 1, "chat_id": CHAT});
            let answer = world.daemon.rpc("message.mark_read", params).await;
            let code = answer["error"]["code"].as_i64();
            assert!(matches!(code, None | Some(1504)), "{answer}");
        }
    };
    tokio::join!(arriving, reading);
    world.until_count("SELECT count(*) FROM whatsapp_message", ROUNDS.cast_signed(), 20).await;
    assert_eq!(world.database.count(UNREAD).await, world.database.count(NOT_READ).await);
    mark(&world, json!({"configuration_id": 1, "chat_id": CHAT})).await;
    assert_eq!(world.database.count(UNREAD).await, 0);
    assert_eq!(world.database.count(NOT_READ).await, 0);
}
