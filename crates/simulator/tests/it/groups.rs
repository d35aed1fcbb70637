//! Changes of groups by API calls: told by webhooks in the providers' shapes, as changes by people are.

use crate::harness::{AMIRA, GROUP, OTHER_TOKEN, Sim};
use serde_json::{Value, json};

const OWN: &str = "447700900999";
const REFUSES: &str = "447700900802";
const NOT_THERE: &str = "447700900801";
const META: &str = "meta-token-1";
const NUMBER: &str = "206543210987654";
const WASSENGER: &str = "wassenger-token-1";
const DEVICE: &str = "68a1f0c2d4e5b60718293a4b";

/// WHAPI's account and its webhooks about groups.
async fn whapi() -> Sim {
    let sim = Sim::start_silent().await;
    let hook = json!({"url": format!("{}/hook", sim.hooks.url), "events": [{"type": "groups"}]});
    let settings = json!({"webhooks": [hook]});
    assert_eq!(sim.call("PATCH", "/settings", Some(settings)).await.status, 200);
    sim
}

#[tokio::test]
async fn whapi_tells_of_its_own_changes() {
    let sim = whapi().await;
    let body = json!({"subject": "Night Shift", "participants": [AMIRA, REFUSES, NOT_THERE]});
    let made = sim.call("POST", "/groups", Some(body)).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(made.body["unprocessed_participants"], json!([REFUSES, NOT_THERE]));
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let told = sim.hooks.wait(1).await.remove(0).body;
    assert_eq!((&told["event"]["event"], &told["groups"][0]["id"]), (&json!("post"), &json!(id)));

    sim.hooks.forget();
    let people = json!({"participants": ["447700900777", REFUSES]});
    let added = sim.call("POST", &format!("/groups/{id}/participants"), Some(people)).await;
    assert_eq!(
        added.body,
        json!({"success": true, "processed": ["447700900777"], "failed": [REFUSES]})
    );
    let told = sim.hooks.wait(1).await.remove(0).body;
    let change = json!({"group_id": id, "participants": ["447700900777"], "action": "add"});
    assert_eq!(told["groups_participants"], json!([change]));

    let again = sim
        .call("POST", &format!("/groups/{id}/participants"), Some(json!({"participants": [AMIRA]})))
        .await;
    assert_eq!(again.status, 409);
    let nobody = json!({"subject": "Nobody", "participants": [NOT_THERE]});
    assert_eq!(sim.call("POST", "/groups", Some(nobody)).await.status, 404);
    // A plain member has no rights; somebody outside does not see the group.
    let path = format!("/groups/{id}");
    let other = sim.call_as(OTHER_TOKEN, "GET", &path, None).await.expect("an answer");
    assert_eq!(other.status, 404);
    let group = json!({"groups": [{"id": GROUP, "name": "Led by others",
        "participants": ["447700900130", OWN]}]});
    sim.control("POST", "/state", Some(group)).await;
    let refused = sim.call("GET", &format!("/groups/{GROUP}/invite"), None).await;
    assert_eq!(refused.status, 403);
    for (method, path) in [("GET", "/groups/x/invite"), ("POST", "/groups/x/participants")] {
        assert_eq!(sim.call(method, path, Some(json!({}))).await.status, 400, "{path}");
    }
    sim.stop().await;
}

#[tokio::test]
async fn meta_tells_by_webhook_what_a_request_came_to() {
    let sim = Sim::start_silent().await;
    let account = json!({"provider": "meta", "token": META, "channel_id": NUMBER, "phone": OWN,
        "name": "Acme Support", "settings": {"webhook_url": format!("{}/hook", sim.hooks.url)}});
    sim.control("POST", "/state", Some(json!({"accounts": [account]}))).await;
    let call = async |method: &str, path: &str, body: Option<Value>| {
        let path = format!("/v23.0{path}");
        sim.call_as(META, method, &path, body).await.expect("an answer").body
    };
    let told = async || {
        let body = sim.hooks.wait(1).await.remove(0).body;
        let change = body["entry"][0]["changes"][0].clone();
        (change["field"].clone(), change["value"]["groups"][0].clone())
    };
    let body = json!({"messaging_product": "whatsapp", "subject": "Night Shift"});
    let taken = call("POST", &format!("/{NUMBER}/groups"), Some(body)).await;
    let (field, group) = told().await;
    assert_eq!(field, "group_lifecycle_update");
    assert_eq!(
        (&group["type"], &group["subject"]),
        (&json!("group_create"), &json!("Night Shift"))
    );
    assert_eq!(group["request_id"], taken["request_id"]);
    assert!(taken["request_id"].is_string());
    let id = group["group_id"].as_str().expect("an id").to_owned();
    assert!(group["invite_link"].as_str().expect("a link").starts_with("https://"));

    // Who was not there is told as failed.
    sim.hooks.forget();
    let participants = json!([{"user": AMIRA}]);
    let body = json!({"messaging_product": "whatsapp", "participants": participants});
    let taken = call("DELETE", &format!("/{id}/participants"), Some(body)).await;
    let (field, group) = told().await;
    assert_eq!(field, "group_participants_update");
    assert_eq!(group["request_id"], taken["request_id"]);
    assert_eq!(group["failed_participants"][0]["errors"][0]["code"], 131_212);

    let many: Vec<Value> = (0..9).map(|n| json!({"user": format!("44770090{n:04}")})).collect();
    let body = json!({"messaging_product": "whatsapp", "participants": many});
    let refused = call("DELETE", &format!("/{id}/participants"), Some(body)).await;
    assert_eq!(refused["error"]["code"], 100);
    let add = json!({"messaging_product": "whatsapp", "participants": [{"user": AMIRA}]});
    let refused = call("POST", &format!("/{id}/participants"), Some(add)).await;
    assert_eq!(refused["error"]["code"], 100, "people come by the link only");
    sim.hooks.forget();
    let gone = call("DELETE", &format!("/{id}"), None).await;
    let (_, group) = told().await;
    assert_eq!(
        (&group["type"], &group["request_id"]),
        (&json!("group_delete"), &gone["request_id"])
    );
    sim.stop().await;
}

#[tokio::test]
async fn wassenger_tells_of_its_own_changes() {
    let sim = Sim::start_silent().await;
    let account = json!({"provider": "wassenger", "token": WASSENGER, "channel_id": DEVICE,
        "phone": OWN, "name": "Acme Support"});
    sim.control("POST", "/state", Some(json!({"accounts": [account]}))).await;
    let call = async |method: &str, path: &str, body: Value| {
        sim.call_as(WASSENGER, method, path, Some(body)).await.expect("an answer")
    };
    let hook = json!({"name": "test", "url": format!("{}/hook", sim.hooks.url), "events": ["group:update"]});
    assert_eq!(call("POST", "/v1/webhooks", hook).await.status, 201);
    let person = |phone: &str| json!({"phone": format!("+{phone}"), "admin": false});
    let groups = format!("/v1/devices/{DEVICE}/groups");
    let body = json!({"name": "Night Shift", "participants": [person(AMIRA), person(REFUSES)]});
    let made = call("POST", &groups, body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let codes: Vec<&Value> = made.body["participants"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["code"])
        .collect();
    assert_eq!(codes, [&json!(200), &json!(403)]);
    let id = made.body["wid"].as_str().expect("an id").to_owned();
    assert_eq!(sim.hooks.wait(1).await[0].body["data"]["type"], "create");

    sim.hooks.forget();
    let promoted = json!({"participants": [{"phone": format!("+{AMIRA}"), "admin": true}]});
    let path = format!("{groups}/{id}/participants");
    assert_eq!(call("PATCH", &path, promoted).await.status, 200);
    let told = sim.hooks.wait(1).await.remove(0).body;
    assert_eq!(told["data"]["type"], "promote");
    assert_eq!(told["data"]["participants"], json!([format!("{AMIRA}@c.us")]));
    assert_eq!(told["data"]["author"], format!("{OWN}@c.us"));
    // Unknown fields are refused, here too.
    assert_eq!(call("PATCH", &path, json!({"people": []})).await.status, 400);
    assert_eq!(call("DELETE", &path, json!({"participants": []})).await.status, 400);
    sim.stop().await;
}
