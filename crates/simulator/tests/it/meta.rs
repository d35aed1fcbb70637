//! Meta: calls as its sheet documents them, signed webhooks in the shapes of the recorded samples.

use crate::harness::{AMIRA, Answer, GROUP, Sim};
use axum::{Router, extract::RawQuery, routing::get};
use hmac::{Hmac, KeyInit, Mac};
use http::StatusCode;
use serde_json::{Map, Value, json};
use sha2::Sha256;

const TOKEN: &str = "meta-token-1";
const NUMBER: &str = "206543210987654";
const SECOND: &str = "206543210987655";
const APP_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const OPAQUE_GROUP: &str = "Y2FwaV9ncm91cDoxMjAzNjMwMjU1NTAxMDA3NzcZD";

macro_rules! vector {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../providers/fixtures/meta/", $name, ".json")))
    };
}

/// A simulator with two numbers of one app whose webhooks arrive.
async fn start() -> Sim {
    let sim = Sim::start_silent().await;
    let account = |channel: &str, phone: &str| {
        json!({"provider": "meta", "token": TOKEN, "channel_id": channel, "phone": phone, "name": "Acme Support",
            "settings": {"app_secret": APP_SECRET, "verify_token": "v-1", "webhook_url": format!("{}/hook", sim.hooks.url)}})
    };
    let amira = json!({"phone": AMIRA, "name": "Amira Osei", "user_id": "GB.10293847561029384756"});
    let accounts = [account(NUMBER, "447700900999"), account(SECOND, "447700900998")];
    let change = json!({"accounts": accounts, "people": [amira]});
    sim.control("POST", "/state", Some(change)).await;
    let group = json!({"groups": [{"id": GROUP, "name": "Ops Night Shift", "token": NUMBER,
        "participants": ["447700900999", AMIRA]}]});
    sim.control("POST", "/state", Some(group)).await;
    sim
}

async fn call(sim: &Sim, method: &str, path: &str, body: Option<Value>) -> Answer {
    sim.call_as(TOKEN, method, &format!("/v23.0{path}"), body).await.expect("an answer")
}

async fn send(sim: &Sim, more: Value) -> Answer {
    let mut body = json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": AMIRA, "type": "text",
        "text": {"body": "Your order 118 has shipped."}, "biz_opaque_callback_data": "bridge:out:7f2c",
    });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    call(sim, "POST", &format!("/{NUMBER}/messages"), Some(body)).await
}

async fn inbound(sim: &Sim, mut body: Value) -> Value {
    if body.get("token").is_none() {
        body["token"] = NUMBER.into();
    }
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

fn field(body: &Value) -> &Value {
    &body["entry"][0]["changes"][0]["field"]
}

fn value(body: &Value) -> &Value {
    &body["entry"][0]["changes"][0]["value"]
}

#[track_caller]
fn same_shape(sent: &Value, (name, text): (&str, &str)) {
    let vector: Value = serde_json::from_str(text).expect("a fixture is JSON");
    assert_eq!(shape(sent), shape(&vector), "{name}: {sent}");
    assert_eq!(field(sent), field(&vector), "{name}");
    assert_eq!(value(sent)["metadata"], value(&vector)["metadata"], "{name}");
}

#[tokio::test]
async fn a_send_and_what_follows() {
    let sim = start().await;
    let answer = send(&sim, json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["contacts"], json!([{"input": AMIRA, "wa_id": AMIRA}]));
    let id = answer.body["messages"][0]["id"].clone();
    assert!(id.as_str().expect("an id").starts_with("wamid."));
    // What the API sent is not told back, only what became of it.
    let got = sim.hooks.wait(3).await;
    same_shape(&got[0].body, vector!("status_sent"));
    same_shape(&got[1].body, vector!("status_delivered"));
    same_shape(&got[2].body, vector!("status_read"));
    for got in &got {
        let status = &value(&got.body)["statuses"][0];
        assert_eq!(
            (&status["id"], &status["biz_opaque_callback_data"]),
            (&id, &json!("bridge:out:7f2c"))
        );
    }
    sim.hooks.forget();

    send(&sim, json!({"to": "447700900801", "biz_opaque_callback_data": null})).await;
    let got = sim.hooks.wait(1).await.remove(0);
    same_shape(&got.body, vector!("status_failed"));
    assert_eq!(value(&got.body)["statuses"][0]["errors"][0]["code"], 131_026);
    sim.hooks.forget();

    let group =
        json!({"to": OPAQUE_GROUP, "recipient_type": "group", "biz_opaque_callback_data": null});
    assert_eq!(send(&sim, group).await.status, 200);
    let got = sim.hooks.wait(3).await;
    same_shape(&got[2].body, vector!("status_group_read"));
    assert_eq!(value(&got[2].body)["statuses"][0]["recipient_id"], OPAQUE_GROUP);
    sim.stop().await;
}

#[tokio::test]
async fn webhooks_are_signed_as_they_go_out() {
    let sim = start().await;
    inbound(&sim, json!({"text": "café 🚀 http://x/"})).await;
    let got = sim.hooks.wait(1).await.remove(0);
    let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).expect("any key");
    mac.update(&got.raw);
    let digits: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(got.headers["x-hub-signature-256"], format!("sha256={digits}"));
    assert!(got.raw.is_ascii() && got.raw.windows(2).any(|pair| pair == b"\\/"));
    assert_eq!(value(&got.body)["messages"][0]["text"]["body"], "café 🚀 http://x/");
    sim.stop().await;
}

#[tokio::test]
async fn what_people_write() {
    let sim = start().await;
    let ours = send(&sim, json!({})).await.body["messages"][0]["id"].clone();
    sim.hooks.wait(3).await;
    for (written, vector) in [
        (json!({"text": "Hello, is the blue model in stock?"}), vector!("message_text")),
        (json!({"text": "Yes please", "quoted": ours}), vector!("message_text_reply")),
        (json!({"chat": GROUP, "text": "Gate is closed"}), vector!("message_group_text")),
        (json!({"type": "image", "caption": "Photo of the broken part"}), vector!("message_image")),
        (json!({"type": "voice"}), vector!("message_voice")),
        (
            json!({"type": "document", "caption": "Purchase order attached",
                "media": {"filename": "PO-2025-118.pdf"}}),
            vector!("message_document"),
        ),
        (json!({"type": "sticker"}), vector!("message_sticker")),
        (
            json!({"type": "location", "location": {"latitude": 51.5033635, "longitude": -0.1276248,
                "name": "Depot 4", "address": "1 Sample Street, London"}}),
            vector!("message_location"),
        ),
        (
            json!({"type": "contact", "contact": {"name": "Warehouse Desk", "phone": "447700900456"}}),
            vector!("message_contacts"),
        ),
        (json!({"type": "reaction", "target": ours, "emoji": "👍"}), vector!("message_reaction")),
        (
            json!({"type": "answer", "quoted": ours, "answer":
                {"list": true, "id": "slot_am", "title": "Morning", "description": "09:00-12:00"}}),
            vector!("message_interactive_list"),
        ),
        (
            json!({"type": "button", "quoted": ours,
                "content": {"payload": "CONFIRM_118", "text": "Confirm"}}),
            vector!("message_button"),
        ),
    ] {
        sim.hooks.forget();
        inbound(&sim, written).await;
        same_shape(&sim.hooks.wait(1).await[0].body, vector);
    }
    sim.hooks.forget();
    let typed = json!({"from_me": true, "chat": AMIRA, "text": "Sent by hand from the phone"});
    inbound(&sim, typed).await;
    same_shape(&sim.hooks.wait(1).await[0].body, vector!("message_echo_business_app"));
    sim.hooks.forget();

    let said = inbound(&sim, json!({"text": "blue"})).await["id"].clone();
    inbound(&sim, json!({"type": "edit", "target": said, "text": "BLACK"})).await;
    inbound(&sim, json!({"type": "delete", "target": said})).await;
    let got = sim.hooks.wait(3).await;
    let edit = &value(&got[1].body)["messages"][0]["edit"];
    assert_eq!(edit["original_message_id"], said);
    assert_eq!(edit["message"]["text"]["body"], "BLACK");
    assert_eq!(value(&got[2].body)["messages"][0]["revoke"]["original_message_id"], said);
    sim.hooks.forget();

    // Somebody behind a username: no number anywhere.
    let hidden = json!({"people": [{"phone": "447700900456", "name": "Hidden", "username": "hid.den",
        "hides_number": true}]});
    sim.control("POST", "/state", Some(hidden)).await;
    inbound(&sim, json!({"from": "447700900456", "text": "hi"})).await;
    let got = sim.hooks.wait(1).await.remove(0);
    assert!(!String::from_utf8_lossy(&got.raw).contains("447700900456"));
    assert_eq!(value(&got.body)["contacts"][0]["profile"]["username"], "hid.den");
    let user_id = &value(&got.body)["messages"][0]["from_user_id"];
    let to_them = json!({"to": null, "recipient": user_id});
    assert_eq!(send(&sim, to_them).await.status, 200);
    sim.stop().await;
}

#[tokio::test]
async fn what_happens_to_groups_and_accounts() {
    let sim = start().await;
    for (change, vector) in [
        (
            json!({"change": "joined", "participants": ["447700900777"]}),
            vector!("group_participants_add"),
        ),
        (
            json!({"change": "removed", "participants": ["447700900777"]}),
            vector!("group_participants_remove"),
        ),
        (
            json!({"change": "subject", "subject": "Ops Night Shift B"}),
            vector!("group_settings_update"),
        ),
    ] {
        sim.hooks.forget();
        let mut change = change;
        change["group"] = GROUP.into();
        sim.control("POST", "/state", Some(json!({"group_changes": [change]}))).await;
        let got = sim.hooks.wait(1).await.remove(0);
        same_shape(&got.body, vector);
        assert_eq!(value(&got.body)["groups"][0]["group_id"], OPAQUE_GROUP);
    }
    for (kind, vector) in [
        ("message_template_status_update", vector!("template_status_update")),
        ("phone_number_quality_update", vector!("phone_number_quality_update")),
    ] {
        sim.hooks.forget();
        let told: Value = serde_json::from_str(vector.1).expect("a fixture is JSON");
        let event = json!({"token": NUMBER, "kind": kind, "content": value(&told)});
        sim.control("POST", "/state", Some(json!({"events": [event]}))).await;
        same_shape(&sim.hooks.wait(1).await[0].body, vector);
    }
    sim.hooks.forget();
    let banned = json!({"accounts": [{"token": NUMBER, "state": "banned"}]});
    sim.control("POST", "/state", Some(banned)).await;
    let got = sim.hooks.wait(1).await.remove(0);
    assert_eq!(value(&got.body)["ban_info"]["waba_ban_state"], json!(["DISABLE"]));
    assert_eq!(send(&sim, json!({})).await.body["error"]["code"], 131_031);
    let number = call(&sim, "GET", &format!("/{NUMBER}?fields=status"), None).await.body;
    assert_eq!(
        (&number["status"], &number["health_status"]["can_send_message"]),
        (&json!("BANNED"), &json!("BLOCKED"))
    );
    sim.stop().await;
}

#[tokio::test]
async fn numbers_of_one_app_are_told_apart() {
    let sim = start().await;
    inbound(&sim, json!({"token": SECOND, "text": "to the second"})).await;
    let got = sim.hooks.wait(1).await.remove(0);
    assert_eq!(value(&got.body)["metadata"]["phone_number_id"], SECOND);
    for (number, phone) in [(NUMBER, "+447700900999"), (SECOND, "+447700900998")] {
        let answer = call(&sim, "GET", &format!("/{number}"), None).await;
        assert_eq!(answer.body["display_phone_number"], phone);
    }
    let other = call(&sim, "GET", "/206543210987000", None).await;
    assert_eq!((other.status, &other.body["error"]["code"]), (400, &json!(100)));
    sim.stop().await;
}

#[tokio::test]
async fn files_are_fetched_by_id_and_a_link_that_ends() {
    let sim = start().await;
    inbound(&sim, json!({"type": "image"})).await;
    let got = sim.hooks.wait(1).await.remove(0);
    let image = value(&got.body)["messages"][0]["image"].clone();
    let id = image["id"].as_str().expect("an id").to_owned();
    let told = call(&sim, "GET", &format!("/{id}?phone_number_id={NUMBER}"), None).await;
    assert_eq!((told.status, &told.body["mime_type"]), (200, &json!("image/jpeg")));
    let link = told.body["url"]
        .as_str()
        .expect("a link")
        .strip_prefix(&sim.url)
        .expect("our own")
        .to_owned();
    let fetch =
        async |token: &str| sim.call_as(token, "GET", &link, None).await.expect("an answer");
    assert_eq!(fetch("other").await.status, 401);
    let file = fetch(TOKEN).await;
    assert_eq!(
        (file.status, &file.headers["content-type"]),
        (200, &"image/jpeg".parse().expect("a value"))
    );
    let end = json!({"files": [{"token": NUMBER, "id": id, "end_links": true}]});
    sim.control("POST", "/state", Some(end)).await;
    assert_eq!(fetch(TOKEN).await.status, 404);
    // Another number of the app does not have it, nor does anybody once it is gone.
    let strange = call(&sim, "GET", &format!("/{id}?phone_number_id={SECOND}"), None).await;
    assert_eq!(strange.body["error"]["code"], 100);
    assert_eq!(call(&sim, "DELETE", &format!("/{id}"), None).await.status, 200);
    assert_eq!(call(&sim, "GET", &format!("/{id}"), None).await.status, 400);
    sim.stop().await;
}

#[tokio::test]
async fn a_file_is_handed_over_and_sent_by_its_id() {
    let sim = start().await;
    let form = |product: &str, kind: &str, bytes: &str| {
        let part = |name: &str, more: &str, value: &str| {
            format!(
                "--b-1\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{value}\r\n"
            )
        };
        let file = format!("; filename=\"a.pdf\"\r\nContent-Type: {kind}");
        [
            part("messaging_product", "", product),
            part("type", "", kind),
            part("file", &file, bytes),
            "--b-1--\r\n".to_owned(),
        ]
        .concat()
    };
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let upload = async |body: String| {
        let answer = client
            .post(format!("{}/v23.0/{NUMBER}/media", sim.url))
            .bearer_auth(TOKEN)
            .header("content-type", "multipart/form-data; boundary=b-1")
            .body(body)
            .send()
            .await
            .expect("an answer");
        answer.json::<Value>().await.expect("JSON")
    };
    let kept = upload(form("whatsapp", "application/pdf", "%PDF-1.4")).await;
    let document = json!({"type": "document", "document": {"id": kept["id"], "filename": "b.pdf"}});
    assert_eq!(send(&sim, document).await.status, 200, "{kept}");
    let told = call(&sim, "GET", &format!("/{}", kept["id"].as_str().expect("an id")), None).await;
    assert_eq!(
        (&told.body["mime_type"], &told.body["file_size"]),
        (&json!("application/pdf"), &json!(8))
    );
    let code = |answer: Value| answer["error"]["code"].clone();
    assert_eq!(code(upload(form("sms", "application/pdf", "%PDF-1.4")).await), 100);
    assert_eq!(code(upload(form("whatsapp", "nonsense", "%PDF-1.4")).await), 100);
    assert_eq!(code(upload(form("whatsapp", "image/webp", &"x".repeat(600 << 10))).await), 131_053);
    assert_eq!(code(upload("nonsense".to_owned()).await), 100);
    sim.stop().await;
}

#[tokio::test]
async fn a_new_address_is_asked_first() {
    let sim = start().await;
    let asked = |RawQuery(query): RawQuery| async move {
        let query = query.unwrap_or_default();
        let value = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(&format!("{name}=")))
                .map(str::to_owned)
        };
        match (value("hub.mode").as_deref(), value("hub.verify_token").as_deref()) {
            (Some("subscribe"), Some("right")) => {
                (StatusCode::OK, value("hub.challenge").unwrap_or_default())
            }
            _ => (StatusCode::FORBIDDEN, String::new()),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("it is bound"));
    let router = Router::new().route("/hook", get(asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let configure = async |url: String, token: &str| {
        let body =
            json!({"webhook_configuration": {"override_callback_uri": url, "verify_token": token}});
        call(&sim, "POST", &format!("/{NUMBER}"), Some(body)).await
    };
    let wrong = configure(format!("{base}/hook"), "wrong").await;
    assert_eq!((wrong.status, &wrong.body["error"]["code"]), (400, &json!(2200)));
    let nobody = configure("http://127.0.0.1:1/hook".to_owned(), "right").await;
    assert_eq!(nobody.body["error"]["code"], 2200);
    let right = configure(format!("{base}/hook"), "right").await;
    assert_eq!((right.status, right.body), (200, json!({"success": true})));
    let number = call(&sim, "GET", &format!("/{NUMBER}"), None).await.body;
    assert_eq!(number["webhook_configuration"]["phone_number"], format!("{base}/hook"));
    // The other number keeps the app's address; an empty one gives it back.
    inbound(&sim, json!({"token": SECOND, "text": "to the app"})).await;
    sim.hooks.wait(1).await;
    assert_eq!(configure(String::new(), "").await.status, 200);
    inbound(&sim, json!({"text": "to the app again"})).await;
    sim.hooks.wait(2).await;
    sim.stop().await;
}

#[tokio::test]
async fn calls_are_refused_as_documented() {
    let sim = start().await;
    for (more, code) in [
        (json!({"messaging_product": "sms"}), 100),
        (json!({"to": null}), 100),
        (json!({"to": "nobody"}), 100),
        (json!({"to": "447700900999"}), 131_021),
        (json!({"recipient_type": "crowd"}), 100),
        (json!({"recipient_type": "group", "to": AMIRA}), 100),
        (json!({"type": "hologram"}), 131_051),
        (json!({"text": {"body": ""}}), 100),
        (json!({"text": {"body": "x".repeat(4097)}}), 100),
        (json!({"context": {}}), 100),
        (json!({"type": "image", "image": {"id": "1"}}), 131_053),
        (json!({"type": "image", "image": {}}), 100),
        (json!({"type": "reaction", "reaction": {}}), 100),
        (json!({"status": "read", "message_id": "wamid.x"}), 100),
    ] {
        let answer = send(&sim, more.clone()).await;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (400, &json!(code)), "{more}");
    }
    for content in [
        json!({"type": "location", "location": {"latitude": "51.5", "longitude": "-0.1"}}),
        json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Desk"}, "phones": [{"phone": "+447700900456"}]}]}),
        json!({"type": "template", "template": {"name": "shipped", "language": {"code": "en"}}}),
        json!({"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": []}}}),
        json!({"type": "document", "document": {"link": "https://a.example/x.pdf", "filename": "x.pdf"}}),
    ] {
        assert_eq!(send(&sim, content.clone()).await.status, 200, "{content}");
    }
    let said = inbound(&sim, json!({"text": "hi"})).await["id"].clone();
    let read = json!({"messaging_product": "whatsapp", "status": "read", "message_id": said});
    let read = call(&sim, "POST", &format!("/{NUMBER}/messages"), Some(read)).await;
    assert_eq!((read.status, read.body), (200, json!({"success": true})));
    let stranger =
        sim.call_as("nobody", "GET", &format!("/v23.0/{NUMBER}"), None).await.expect("an answer");
    assert_eq!((stranger.status, &stranger.body["error"]["code"]), (401, &json!(190)));
    sim.control(
        "POST",
        "/state",
        Some(json!({"accounts": [{"token": NUMBER, "state": "token_dead"}]})),
    )
    .await;
    assert_eq!(send(&sim, json!({})).await.body["error"]["code"], 190);
    for (status, code) in [(429, json!(130_429)), (401, json!(190)), (503, Value::Null)] {
        sim.fault(json!({"provider": "meta", "status": status, "times": 1})).await;
        let answer = call(&sim, "GET", &format!("/{SECOND}"), None).await;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (status, &code));
    }
    sim.stop().await;
}
