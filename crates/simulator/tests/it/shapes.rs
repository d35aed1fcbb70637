//! What goes out has the keys and types of the recorded samples, no more and no fewer.

use crate::harness::{AMIRA, GROUP, Sim, TOKEN};
use serde_json::{Map, Value, json};

macro_rules! vector {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../providers/fixtures/whapi/", $name, ".json")))
    };
}

pub(crate) use vector;

/// Keys and types; a list is as its first item.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(list) => json!([list.first().map(shape)]),
        Value::Object(object) => Value::Object(
            object.iter().map(|(key, value)| (key.clone(), shape(value))).collect::<Map<_, _>>(),
        ),
    }
}

#[track_caller]
pub fn same_shape(sent: &Value, (name, text): (&str, &str)) {
    let vector: Value = serde_json::from_str(text).expect("a fixture is JSON");
    assert_eq!(shape(sent), shape(&vector), "{name}: {sent}");
    assert_eq!(sent["event"], vector["event"], "{name}");
    assert_eq!(sent["channel_id"], vector["channel_id"], "{name}");
}

#[tokio::test]
async fn a_send_and_what_follows() {
    let sim = Sim::start().await;
    sim.send(AMIRA, "Your order 118 has shipped.").await;
    let got = sim.hooks.wait(4).await;
    same_shape(&got[0].body, vector!("message_from_me_api_echo"));
    assert_eq!(got[0].body["messages"][0]["status"], "pending");
    assert_eq!(got[0].body["messages"][0]["source"], "api");
    same_shape(&got[1].body, vector!("status_sent"));
    same_shape(&got[2].body, vector!("status_delivered"));
    same_shape(&got[3].body, vector!("status_read"));
    sim.hooks.forget();
    sim.send("447700900801", "nobody there").await;
    let got = sim.hooks.wait(2).await;
    same_shape(&got[1].body, vector!("status_failed"));
    sim.stop().await;
}

#[tokio::test]
async fn what_people_write() {
    let sim = Sim::start().await;
    let ours = sim.send(AMIRA, "hello").await.body["message"]["id"].clone();
    sim.hooks.wait(4).await;
    for (written, vector) in [
        (json!({"text": "Hello, is the blue model in stock?"}), vector!("message_text")),
        (
            json!({"chat": GROUP, "text": "@447700900999 gate is closed",
                   "mentions": ["447700900999"]}),
            vector!("message_group_text"),
        ),
        (
            json!({"type": "image", "media": {"base64": "/9j/4AAQSkZJRg==", "caption": "Photo",
                "link": "https://media.example.net/x.jpeg", "preview": "data:image/jpeg;base64,AA",
                "width": 1280, "height": 960}}),
            vector!("message_image"),
        ),
        (json!({"type": "voice", "media": {"seconds": 4}}), vector!("message_voice")),
        (
            json!({"type": "document", "media": {"filename": "PO-2025-118.pdf", "page_count": 2,
                "caption": "Purchase order attached"}}),
            vector!("message_document"),
        ),
        (
            json!({"type": "location", "location": {"latitude": 51.5033635, "longitude": -0.1276248,
                "name": "Depot 4", "address": "1 Sample Street, London", "preview": "/9j/4AAQ"}}),
            vector!("message_location"),
        ),
        (
            json!({"type": "contact", "contact": {"name": "Desk", "phone": "+447700900456"}}),
            vector!("message_contact"),
        ),
        (
            json!({"type": "reaction", "reaction": {"target": ours, "emoji": "👍"}}),
            vector!("message_reaction"),
        ),
    ] {
        sim.hooks.forget();
        let mut written = written;
        written["from"] = AMIRA.into();
        sim.inbound(written).await;
        let got = sim.hooks.wait(1).await;
        same_shape(&got[0].body, vector);
    }
    sim.stop().await;
}

#[tokio::test]
async fn edits_and_deletions() {
    let sim = Sim::start().await;
    let written = sim.inbound(json!({"from": AMIRA, "text": "the blue model"})).await;
    sim.inbound(json!({"type": "edit", "target": written["id"], "text": "the BLACK model"})).await;
    sim.inbound(json!({"type": "delete", "target": written["id"]})).await;
    let got = sim.hooks.wait(3).await;
    same_shape(&got[1].body, vector!("message_edit_patch"));
    let update = &got[1].body["messages_updates"][0];
    assert_eq!(update["before_update"]["text"]["body"], "the blue model");
    assert_eq!(update["after_update"]["text"]["body"], "the BLACK model");
    same_shape(&got[2].body, vector!("message_deleted"));
    assert_eq!(got[2].body["messages_removed"][0], written["id"]);
    sim.stop().await;
}

#[tokio::test]
async fn the_channel() {
    let sim = Sim::start().await;
    for word in ["qr_needed", "connected"] {
        sim.control("POST", "/state", Some(json!({"token": TOKEN, "state": word}))).await;
    }
    let got = sim.hooks.wait(4).await;
    same_shape(&got[0].body, vector!("user_logout"));
    same_shape(&got[1].body, vector!("channel_qr"));
    same_shape(&got[2].body, vector!("user_login"));
    same_shape(&got[3].body, vector!("channel_auth"));
    sim.stop().await;
}
