//! What can be done with a message that is there: reactions, edits, deletions, retries, cancellations.

use serde_json::{Value, json};

use super::{meta, refused};
use crate::support::World;
use crate::support::world::{ADMIN, USER, text_params};

const PEER: &str = "+447700900123";
const SENT: &[&str] = &["pending", "sent", "delivered", "read"];

async fn text(world: &World, sql: &str) -> String {
    world.database.text(sql).await.unwrap_or_default()
}

/// A text that the provider took.
async fn gone_out(world: &World, text: &str) -> i64 {
    let id = world.sent(PEER, text).await;
    world.until_status(id, SENT, 20).await;
    id
}

#[tokio::test]
async fn an_edit_goes_to_the_provider_and_then_into_the_row() {
    let world = World::start().await;
    let id = gone_out(&world, "at noon").await;
    let edit = |text: &str| json!({"uid": USER, "id": id, "text": text});
    let answer = world.daemon.call("message.edit", edit("at one")).await;
    assert_eq!(answer["data"]["id"], id, "{answer}");
    let row = format!(
        "SELECT content || '|' || (edited_at IS NOT NULL) FROM whatsapp_message WHERE id = {id}"
    );
    assert_eq!(text(&world, &row).await, "at one|true");
    let former = format!(
        "SELECT string_agg(content, ',') FROM whatsapp_message_revision WHERE message_id = {id}"
    );
    assert_eq!(text(&world, &former).await, "at noon");
    // The provider tells of it too: that is the same edit.
    let target =
        text(&world, &format!("SELECT message_id FROM whatsapp_message WHERE id = {id}")).await;
    let told = json!({"messages": [{
        "id": "Qedit-of-our-own", "from_me": true, "type": "action", "chat_id": "447700900123@s.whatsapp.net",
        "timestamp": 1_999_999_999, "source": "api", "from": "447700900999",
        "action": {"target": target, "type": "edit", "edited_type": "text", "edited_content": {"body": "at one"}},
    }], "event": {"type": "messages", "event": "post"}, "channel_id": "HERON-K42QX"});
    assert_eq!(world.webhook(&told).await, 200);
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 20).await;
    assert_eq!(text(&world, &former).await, "at noon");
    let calls = world.simulator.requests("/messages/text").await;
    let body: Value = calls.last().map(|call| call["body"].clone()).unwrap_or_default();
    let body =
        body.as_str().map_or(body.clone(), |body| serde_json::from_str(body).unwrap_or_default());
    assert_eq!(body["body"], "at one", "{body}");
    assert!(body["edit"].is_string(), "{body}");
    // What the provider refuses changes nothing.
    world.fault(json!({"operation": "message.send", "status": 403, "times": 1})).await;
    refused(&world, "message.edit", edit("at two")).await;
    assert_eq!(text(&world, &row).await, "at one|true");
    assert_eq!(refused(&world, "message.edit", edit(" ")).await.0, 1102);
    assert_eq!(
        refused(&world, "message.edit", json!({"uid": USER, "id": 987_654, "text": "x"})).await.0,
        1504
    );
    let image = "INSERT INTO whatsapp_message (configuration_id, provider, message_id, chat_id, direction, from_me, message_type, status)
        VALUES (1, 'whapi', 'theirs', '447700900123@s.whatsapp.net', 'inbound', false, 'text', 'delivered') RETURNING id::text";
    let theirs: i64 = text(&world, image).await.parse().expect("a row id");
    let (code, why) =
        refused(&world, "message.edit", json!({"uid": USER, "id": theirs, "text": "x"})).await;
    assert!(code == 1505 && why.contains("received"), "{code} {why}");
}

#[tokio::test]
async fn a_deletion_goes_to_the_provider_and_then_into_the_row() {
    let world = World::start().await;
    let id = gone_out(&world, "by mistake").await;
    world.fault(json!({"operation": "message.delete", "status": 403, "times": 1})).await;
    let delete = json!({"uid": USER, "id": id});
    refused(&world, "message.delete", delete.clone()).await;
    assert_ne!(world.status(id).await, "deleted", "the provider refused");
    let answer = world.daemon.call("message.delete", delete.clone()).await;
    assert_eq!(answer["data"]["status"], "deleted", "{answer}");
    assert_eq!(world.status(id).await, "deleted");
    // Once more is the same.
    assert_eq!(world.daemon.call("message.delete", delete).await["data"]["status"], "deleted");
    let (code, _) =
        refused(&world, "message.edit", json!({"uid": USER, "id": id, "text": "x"})).await;
    assert_eq!(code, 1505);
}

#[tokio::test]
async fn a_reaction_is_a_message_of_its_own() {
    let world = World::start().await;
    let id = gone_out(&world, "shall we?").await;
    let react = json!({"uid": USER, "id": id, "emoji": "👍", "wait_ms": 20_000});
    let answer = world.daemon.call("message.react", react).await;
    let own = answer["data"]["id"].as_i64().expect("a row id");
    let row = format!(
        "SELECT concat_ws('|', message_type, content, reply_to_id) FROM whatsapp_message WHERE id = {own}"
    );
    assert_eq!(text(&world, &row).await, format!("reaction|👍|{id}"));
    world.until_status(own, SENT, 20).await;
    assert_eq!(
        refused(&world, "message.react", json!({"uid": USER, "id": 987_654, "emoji": "👍"}))
            .await
            .0,
        1504
    );
}

#[tokio::test]
async fn what_failed_is_sent_again_and_what_waits_is_taken_back() {
    let world = World::start().await;
    world.fault(json!({"operation": "message.send", "status": 400, "times": 1})).await;
    let id = world.sent(PEER, "again").await;
    world.until_status(id, &["failed"], 20).await;
    let one = json!({"uid": USER, "id": id});
    let (code, why) = refused(&world, "message.cancel", one.clone()).await;
    assert!(code == 1505 && why.contains("failed"), "{code} {why}");
    world.daemon.call("message.retry", one.clone()).await;
    world.until_status(id, SENT, 20).await;
    let errors = format!(
        "SELECT count(*) FROM whatsapp_message WHERE id = {id} AND (failed_at IS NOT NULL OR error_code IS NOT NULL)"
    );
    assert_eq!(world.database.count(&errors).await, 0);
    let (code, why) = refused(&world, "message.retry", one).await;
    assert_eq!(code, 1505, "{why}");
    // Scheduled: it waits, and then it never goes.
    let mut later = text_params(PEER, "later");
    later["schedule_at"] = json!("2099-01-01T00:00:00Z");
    let later =
        world.daemon.call("message.send", later).await["data"]["id"].as_i64().expect("a row id");
    let answer =
        world.daemon.call("message.cancel", json!({"uid": USER, "ids": [later, 987_654]})).await;
    assert_eq!(answer["data"]["results"][0]["status"], "cancelled", "{answer}");
    assert_eq!(answer["data"]["results"][1]["error"]["code"], 1504, "{answer}");
    assert_eq!(world.status(later).await, "cancelled");
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.outbox").await, 0);
    assert_eq!(world.accepted().await.len(), 1, "each once");
}

#[tokio::test]
async fn many_at_once_keep_their_order_and_fail_alone() {
    let world = World::start().await;
    let mut messages: Vec<Value> = (0..60)
        .map(|n| json!({"to": PEER, "type": "text", "text": {"body": format!("m {n}")}}))
        .collect();
    messages[7] = json!({"to": "nobody", "type": "text", "text": {"body": "x"}});
    messages[9] = json!({"to": PEER, "type": "text"});
    let answer =
        world.daemon.call("message.send_bulk", json!({"uid": USER, "messages": messages})).await;
    let results = answer["data"]["results"].as_array().expect("results").clone();
    assert_eq!(results.len(), 60);
    let wrong: Vec<usize> = (0..60).filter(|n| results[*n]["id"].is_null()).collect();
    assert_eq!(wrong, [7, 9], "{answer}");
    assert_eq!(results[7]["error"]["code"], 1101);
    assert_eq!(results[9]["error"]["code"], 1102);
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL", 58, 60)
        .await;
    let wanted: Vec<String> =
        (0..60).filter(|n| ![7, 9].contains(n)).map(|n| format!("m {n}")).collect();
    let came: Vec<String> = world.accepted().await.into_iter().map(|one| one.text).collect();
    assert_eq!(came, wanted);
}

#[tokio::test]
async fn templates_come_from_the_provider() {
    let world = meta(&[]).await;
    let answer =
        world.daemon.call("template.sync", json!({"uid": ADMIN, "configuration_id": 1})).await;
    let templates = answer["data"]["templates"].as_array().expect("templates").clone();
    assert!(templates.len() >= 5, "{answer}");
    for one in &templates {
        for key in ["id", "name", "language", "category", "state"] {
            assert!(one[key].as_str().is_some_and(|text| !text.is_empty()), "{one}");
        }
        assert!(one["components"].is_array(), "{one}");
    }
    assert!(templates.iter().any(|one| one["state"] == "approved"));
    let world = World::start().await;
    let (code, _) =
        refused(&world, "template.sync", json!({"uid": ADMIN, "configuration_id": 1})).await;
    assert_eq!(code, 1105);
}
