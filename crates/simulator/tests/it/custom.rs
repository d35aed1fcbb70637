//! The generic format: bodies as the page documents them, secrets, and the calls.

use crate::harness::{AMIRA, Answer, GROUP, Sim};
use serde_json::{Value, json};

const TOKEN: &str = "custom-token-1";

async fn start(more: Value) -> Sim {
    let sim = Sim::start_silent().await;
    let mut settings = json!({"webhook_url": format!("{}/hook", sim.hooks.url)});
    for (name, value) in more.as_object().expect("an object") {
        settings[name] = value.clone();
    }
    let account = json!({
        "provider": "custom", "token": TOKEN, "channel_id": "main", "phone": "447700900999",
        "name": "Acme Support", "settings": settings,
    });
    sim.control("POST", "/state", Some(json!({"accounts": [account]}))).await;
    let group = json!({"groups": [{
        "id": GROUP, "name": "Ops Night Shift", "token": TOKEN,
        "participants": ["447700900999", AMIRA],
    }]});
    sim.control("POST", "/state", Some(group)).await;
    sim
}

async fn call(sim: &Sim, method: &str, path: &str, body: Option<Value>) -> Answer {
    sim.call_as(TOKEN, method, path, body).await.expect("an answer")
}

async fn inbound(sim: &Sim, mut body: Value) -> Value {
    body["token"] = TOKEN.into();
    body["from"] = AMIRA.into();
    sim.control("POST", "/inbound", Some(body)).await
}

#[tokio::test]
async fn a_send_and_what_follows() {
    let sim = start(json!({"webhook_secret": "s3cret"})).await;
    let body = json!({
        "to": format!("{AMIRA}@s.whatsapp.net"), "type": "text", "body": "Your order has shipped",
        "reference": "r-1",
    });
    let answer = call(&sim, "POST", "/messages", Some(body)).await;
    let id = answer.body["message"]["id"].clone();
    assert_eq!((answer.status, answer.body["message"]["status"].as_str()), (200, Some("pending")));
    let got = sim.hooks.wait(4).await;
    assert_eq!(got[0].headers["authorization"], "Bearer s3cret");
    assert_eq!(got[0].body["event_type"], "message.sent");
    assert_eq!(got[0].body["channel_id"], "main");
    assert_eq!(got[0].body["data"]["message"]["id"], id);
    let words: Vec<_> =
        got[1..].iter().map(|got| got.body["data"]["status"]["status"].clone()).collect();
    assert_eq!(words, ["sent", "delivered", "read"]);
    for got in &got[1..] {
        assert_eq!(got.body["event_type"], "message.status");
        assert_eq!(got.body["data"]["status"]["message_id"], id);
    }
    sim.stop().await;
}

#[tokio::test]
async fn what_people_write() {
    let sim = start(
        json!({"signature_secret": "k", "webhook_secret": "s", "webhook_header": "X-Secret"}),
    )
    .await;
    inbound(&sim, json!({"text": "Hello", "chat": GROUP, "timestamp": 1_642_245_000})).await;
    let got = sim.hooks.wait(1).await.remove(0);
    assert_eq!(got.headers["x-secret"], "s");
    assert!(got.headers["x-webhook-signature"].to_str().expect("text").starts_with("sha256="));
    let id = got.body["data"]["message"]["id"].clone();
    let expected = json!({
        "event_type": "message.received", "timestamp": "2022-01-15T11:10:00Z", "channel_id": "main",
        "data": {
            "message": {
                "id": id, "from": format!("{AMIRA}@s.whatsapp.net"), "to": GROUP, "type": "text",
                "body": "Hello", "timestamp": 1_642_245_000,
            },
            "contact": {"pushname": "Amira Osei"}, "group": {"name": "Ops Night Shift"},
        },
    });
    assert_eq!(got.body, expected);
    sim.hooks.forget();
    inbound(&sim, json!({"type": "image", "caption": "the gate"})).await;
    let image = sim.hooks.wait(1).await.remove(0).body["data"]["message"].clone();
    assert_eq!((&image["type"], &image["media"]["caption"]), (&json!("image"), &json!("the gate")));
    let file = format!("/media/{}", image["media"]["id"].as_str().expect("an id"));
    assert_eq!(call(&sim, "GET", &file, None).await.status, 200);
    sim.hooks.forget();
    inbound(&sim, json!({"type": "reaction", "target": id, "emoji": "👍"})).await;
    inbound(&sim, json!({"type": "edit", "target": id, "text": "Hello there"})).await;
    inbound(&sim, json!({"type": "delete", "target": id})).await;
    let state = json!({"accounts": [{"token": TOKEN, "state": "qr_needed"}]});
    sim.control("POST", "/state", Some(state)).await;
    let got = sim.hooks.wait(4).await;
    let of = |kind: &str| {
        let found = got.iter().find(|got| got.body["event_type"] == kind);
        found.expect(kind).body["data"].clone()
    };
    let reaction = &of("message.reaction")["message"]["reaction"];
    assert_eq!(*reaction, json!({"message_id": id, "emoji": "👍"}));
    assert_eq!(of("message.edited")["message"]["body"], "Hello there");
    assert_eq!(of("message.deleted")["message"]["id"], id);
    assert_eq!(of("account.state")["account"]["state"], "qr_needed");
    assert_eq!(call(&sim, "GET", "/health", None).await.body["state"], "qr_needed");
    sim.stop().await;
}

#[tokio::test]
async fn what_is_refused() {
    let sim = start(json!({})).await;
    for body in [
        json!({"to": AMIRA, "type": "text"}),
        json!({"to": "x@elsewhere", "type": "text", "body": "a"}),
        json!({"to": AMIRA, "type": "image", "body": "a"}),
        json!({"to": AMIRA, "type": "text", "body": "a", "unknown": 1}),
    ] {
        assert_eq!(call(&sim, "POST", "/messages", Some(body.clone())).await.status, 400, "{body}");
    }
    let stranger =
        sim.call_as("nobody", "POST", "/messages", Some(json!({}))).await.expect("an answer");
    assert_eq!(stranger.status, 401);
    sim.stop().await;
}
