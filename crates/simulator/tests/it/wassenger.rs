//! Wassenger: calls as its sheet documents them, webhooks in the shapes of the recorded samples.

use crate::harness::{AMIRA, Answer, GROUP, Sim};
use serde_json::{Map, Value, json};

const TOKEN: &str = "wassenger-token-1";
const DEVICE: &str = "68a1f0c2d4e5b60718293a4b";

macro_rules! vector {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../providers/fixtures/wassenger/", $name, ".json")))
    };
}

/// A simulator with one device whose webhooks arrive.
async fn start() -> Sim {
    let sim = Sim::start_silent().await;
    let account = json!({
        "provider": "wassenger", "token": TOKEN, "channel_id": DEVICE, "phone": "447700900999",
        "name": "Acme Support",
    });
    let amira = json!({"phone": AMIRA, "name": "Amira Osei", "lid": "183800000000123@lid"});
    let change = json!({"accounts": [account], "people": [amira]});
    sim.control("POST", "/state", Some(change)).await;
    let group = json!({"groups": [{
        "id": GROUP, "name": "Ops Night Shift", "token": TOKEN,
        "participants": ["447700900999", AMIRA],
    }]});
    sim.control("POST", "/state", Some(group)).await;
    let hook = json!({
        "name": "test", "url": format!("{}/hook", sim.hooks.url), "events": [
            "message:in:new", "message:out:new", "message:out:sent", "message:out:ack",
            "message:out:failed", "message:update", "message:reaction", "group:update",
            "chat:update", "contact:update", "number:session", "channel:in",
        ],
        "headers": {"X-Webhook-Secret": "s3cret"},
    });
    assert_eq!(call(&sim, "POST", "/v1/webhooks", Some(hook)).await.status, 201);
    sim
}

async fn call(sim: &Sim, method: &str, path: &str, body: Option<Value>) -> Answer {
    sim.call_as(TOKEN, method, path, body).await.expect("an answer")
}

async fn send(sim: &Sim, more: Value) -> Answer {
    let mut body = json!({
        "device": DEVICE, "phone": format!("+{AMIRA}"), "message": "Your order 118 has shipped.",
        "reference": "bridge:out:7f2c", "enqueue": "never",
    });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    call(sim, "POST", "/v1/messages", Some(body)).await
}

async fn inbound(sim: &Sim, mut body: Value) -> Value {
    body["token"] = TOKEN.into();
    if body.get("from").is_none() {
        body["from"] = AMIRA.into();
    }
    sim.control("POST", "/inbound", Some(body)).await
}

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
fn same_shape(sent: &Value, (name, text): (&str, &str)) {
    let vector: Value = serde_json::from_str(text).expect("a fixture is JSON");
    assert_eq!(shape(sent), shape(&vector), "{name}: {sent}");
    for field in ["event", "object"] {
        assert_eq!(sent[field], vector[field], "{name}");
    }
    assert_eq!(sent["device"], vector["device"], "{name}");
}

#[tokio::test]
async fn a_send_and_what_follows() {
    let sim = start().await;
    inbound(&sim, json!({"text": "Hello"})).await;
    sim.hooks.wait(1).await;
    sim.hooks.forget();
    let answer = send(&sim, json!({})).await;
    assert_eq!(answer.status, 201);
    let wa_id = answer.body["waId"].clone();
    assert_eq!(answer.body["id"].as_str().map(str::len), Some(24));
    assert_eq!(answer.body["reference"], "bridge:out:7f2c");
    let got = sim.hooks.wait(4).await;
    same_shape(&got[0].body, vector!("message_out_new"));
    assert_eq!(got[0].headers["x-webhook-secret"], "s3cret");
    for got in &got {
        assert_eq!((&got.body["id"], &got.body["data"]["id"]), (&wa_id, &wa_id));
        assert_eq!(got.body["data"]["reference"], "bridge:out:7f2c");
    }
    assert_eq!(got[1].body["event"], "message:out:sent");
    same_shape(&got[2].body, vector!("message_ack_delivered"));
    assert_eq!(got[2].body["data"]["ack"], "delivered");
    same_shape(&got[3].body, vector!("message_ack"));
    assert_eq!(got[3].body["data"]["ack"], "read");
    sim.hooks.forget();

    let queued = send(&sim, json!({"enqueue": null, "phone": "+447700900801"})).await;
    assert_eq!(queued.body.get("waId"), None, "a queued send has no id of WhatsApp's yet");
    let got = sim.hooks.wait(2).await;
    same_shape(&got[1].body, vector!("message_failed"));
    assert_eq!(got[1].body["data"]["id"], queued.body["id"]);
    sim.stop().await;
}

#[tokio::test]
async fn what_people_write_and_do() {
    let sim = start().await;
    let ours = send(&sim, json!({})).await.body["waId"].clone();
    sim.hooks.wait(4).await;
    let mut last = Value::Null;
    for (written, vector) in [
        (json!({"text": "Hello, is the blue model in stock?"}), vector!("message_in")),
        (json!({"chat": GROUP, "text": "Gate is closed"}), vector!("message_in_group")),
        (
            json!({"type": "location", "location": {"latitude": 51.5033635, "longitude": -0.1276248,
                "name": "Depot 4", "address": "1 Sample Street, London"}}),
            vector!("message_in_location"),
        ),
        (
            json!({"type": "poll", "poll": {"title": "Which slot suits you?", "options": ["a", "b"]}}),
            vector!("message_in_poll"),
        ),
        (json!({"text": "Yes please", "quoted": ours}), vector!("message_in_quoted")),
        (json!({"type": "reaction", "target": ours, "emoji": "👍"}), vector!("message_reaction")),
        (
            json!({"type": "image", "media": {"caption": "Photo of the broken part"}}),
            vector!("message_in_image"),
        ),
    ] {
        sim.hooks.forget();
        last = inbound(&sim, written).await["id"].clone();
        let got = sim.hooks.wait(1).await.remove(0);
        same_shape(&got.body, vector);
        if vector.0 == "message_in_image" {
            let link =
                got.body["data"]["media"]["links"]["download"].as_str().expect("a link").to_owned();
            assert_eq!(call(&sim, "GET", &link, None).await.status, 200);
            let bare = link.replace(&format!("/v1/chat/{DEVICE}"), "");
            assert_eq!(call(&sim, "GET", &bare, None).await.status, 200);
        }
    }
    sim.hooks.forget();
    let said = inbound(&sim, json!({"text": "blue"})).await["id"].clone();
    inbound(&sim, json!({"type": "edit", "target": said, "text": "BLACK"})).await;
    inbound(&sim, json!({"type": "delete", "target": last})).await;
    let got = sim.hooks.wait(3).await;
    same_shape(&got[1].body, vector!("message_update_edit"));
    assert_eq!(got[1].body["data"]["body"], "BLACK");
    assert_eq!(got[2].body["data"]["meta"]["isRevoked"], true);

    sim.hooks.forget();
    let changes = json!({
        "group_changes": [{"group": GROUP, "change": "joined", "participants": ["447700900777"]}],
        "contact_changes": [{"phone": AMIRA, "name": "Amira O", "token": TOKEN}],
        "chat_changes": [{"chat": AMIRA, "unread": 2, "token": TOKEN}],
        "accounts": [{"token": TOKEN, "state": "disconnected"}],
    });
    sim.control("POST", "/state", Some(changes)).await;
    let got = sim.hooks.wait(4).await;
    let of = |event: &str| &got.iter().find(|got| got.body["event"] == event).expect(event).body;
    same_shape(of("group:update"), vector!("group_update_add"));
    same_shape(of("contact:update"), vector!("contact_update"));
    assert_eq!(of("chat:update")["data"]["unreadCount"], 2);
    same_shape(of("number:session"), vector!("number_session"));
    assert_eq!(send(&sim, json!({})).await.status, 503);
    sim.stop().await;
}

#[tokio::test]
async fn calls_are_refused_as_documented() {
    let sim = start().await;
    for (more, status) in [
        (json!({"unknown": 1}), 400),
        (json!({"phone": "447700900123"}), 400),
        (json!({"group": GROUP}), 400),
        (json!({"device": "68a1f0c2d4e5b60718293a4c"}), 404),
        (json!({"phone": null, "group": "120363025550100000@g.us"}), 404),
        (json!({"message": ""}), 400),
        (json!({"quote": "short"}), 400),
    ] {
        assert_eq!(send(&sim, more.clone()).await.status, status, "{more}");
    }
    let stranger = sim.call_as("nobody", "GET", "/v1/devices", None).await.expect("an answer");
    assert_eq!((stranger.status, &stranger.body["status"]), (401, &json!(401)));
    let device = call(&sim, "GET", &format!("/v1/devices/{DEVICE}"), None).await.body;
    assert_eq!(
        (&device["status"], &device["phone"]),
        (&json!("operative"), &json!("+447700900999"))
    );
    let hooks = call(&sim, "GET", "/v1/webhooks", None).await.body;
    let again = json!({"name": "again", "url": hooks[0]["url"], "events": ["message:in:new"]});
    assert_eq!(call(&sim, "POST", "/v1/webhooks", Some(again)).await.status, 409);
    let unread = format!("/v1/chat/{DEVICE}/chats/{AMIRA}@c.us/unread");
    assert_eq!(call(&sim, "PATCH", &unread, Some(json!({"unread": false}))).await.status, 404);
    inbound(&sim, json!({"text": "hi"})).await;
    assert_eq!(call(&sim, "PATCH", &unread, Some(json!({"unread": false}))).await.status, 200);
    sim.stop().await;
}

#[tokio::test]
async fn every_kind_goes_out_and_can_be_changed() {
    let sim = start().await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\
        Content-Type: application/pdf\r\n\r\n%PDF-1\r\n--b--\r\n";
    let upload = async || {
        let request = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client")
            .post(format!("{}/v1/files", sim.url))
            .header("token", TOKEN)
            .header("content-type", "multipart/form-data; boundary=b")
            .body(form);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let (status, made) = upload().await;
    assert_eq!(status, 200, "{made}");
    let (status, known) = upload().await;
    assert_eq!((status, &known["meta"]["file"]), (409, &made[0]["id"]));

    let target = send(&sim, json!({})).await.body["waId"].as_str().expect("an id").to_owned();
    let file = made[0]["id"].clone();
    for more in [
        json!({"media": {"file": file, "filename": "b.pdf"}, "message": "caption"}),
        json!({"media": {"file": file, "format": "ptt"}, "message": null}),
        json!({"location": {"coordinates": [1.5, -2], "name": "n"}, "message": null}),
        json!({"contacts": [{"phone": "+447700900801", "name": "A"}], "message": null}),
        json!({"poll": {"name": "t", "options": ["a", "b"], "multiple": true}, "message": null}),
        json!({"reaction": "-", "reactionMessage": target, "message": null}),
    ] {
        let answer = send(&sim, more.clone()).await;
        assert_eq!(answer.status, 201, "{more}: {}", answer.body);
    }
    for more in [
        json!({"media": {"file": "none"}}),
        json!({"media": {"file": file, "caption": "c"}}),
        json!({"location": {"coordinates": [1.5]}, "message": null}),
        json!({"contacts": [{"phone": "447700900801", "name": "A"}], "message": null}),
        json!({"poll": {"name": "t", "options": ["a"]}, "message": null}),
        json!({"reaction": "👍", "message": null}),
        json!({"location": {"coordinates": [1.5, 2]}}),
        json!({"buttons": []}),
        json!({"sticker": "x"}),
    ] {
        let answer = send(&sim, more.clone()).await;
        assert!((400..=404).contains(&answer.status), "{more}: {}", answer.body);
    }

    let path = format!("/v1/chat/{DEVICE}/messages/{target}");
    let edit = call(&sim, "PATCH", &path, Some(json!({"message": "better"}))).await;
    assert_eq!(edit.status, 200, "{}", edit.body);
    assert_eq!(call(&sim, "GET", &path, None).await.body["body"], "better");
    let revoke = format!("{path}?revoke=true");
    assert_eq!(call(&sim, "DELETE", &revoke, None).await.status, 200);
    assert_eq!(call(&sim, "DELETE", &revoke, None).await.status, 404);
    sim.stop().await;
}
