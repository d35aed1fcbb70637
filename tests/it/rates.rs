//! Keys that may not call everything, or not as often as they like.

use serde_json::{Value, json};
use wabridge_testkit::Daemon;
use wabridge_testkit::daemon::{KEY_ID, KEY_SECRET};

use crate::support::World;
use crate::support::world::{ADMIN, text_params};

const PEER: &str = "+447700900123";

/// A world with a key for messages only, and one for three calls.
async fn world() -> World {
    let mut world = World::prepared("", &[]).await;
    let path = world.daemon.config_path();
    let text = std::fs::read_to_string(&path).expect("settings can be read");
    let keys = format!("databases.{}.rpc_keys", world.database.name);
    let more = format!(
        "[{keys}.narrow]\nsecret = \"{KEY_SECRET}\"\nact_as = \"any\"\nscopes = [\"message\"]\n\
         [{keys}.slow]\nsecret = \"{KEY_SECRET}\"\nact_as = \"any\"\nrate = {{ per_second = 0.01, burst = 3 }}\n"
    );
    std::fs::write(&path, format!("{text}\n{more}")).expect("settings can be written");
    world.daemon.run();
    world.daemon.wait_ready().await;
    world
}

async fn get(daemon: &Daemon, key: &str, path: &str) -> u16 {
    let authorization = Daemon::authorization(key, "GET", path, "");
    let request = daemon.http.get(format!("{}{path}", daemon.private_url));
    let answer = request.header("authorization", authorization).send().await;
    answer.expect("the daemon answers").status().as_u16()
}

#[tokio::test]
async fn a_key_reaches_its_scopes_only() {
    let world = world().await;
    let daemon = &world.daemon;
    let sent = daemon.rpc_with("narrow", "message.send", text_params(PEER, "hello")).await;
    assert!(sent.get("error").is_none(), "{sent}");
    let discovered = daemon.rpc_with("narrow", "rpc.discover", json!({})).await;
    assert!(discovered.get("error").is_none(), "{discovered}");
    let seal = json!({"uid": ADMIN, "seal_uuid": "u", "column": "token", "value": "x"});
    for (method, params) in [
        ("configuration.seal", seal),
        ("group.create", json!({"uid": ADMIN, "name": "x", "participants": []})),
        ("messages.send", json!({})),
        ("no.such", json!({})),
    ] {
        let refused = daemon.rpc_with("narrow", method, params).await;
        assert_eq!(refused["error"]["code"], 1001, "{method}: {refused}");
        assert_eq!(refused["error"]["data"]["kind"], "access_denied", "{method}");
        assert_eq!(refused["id"], 1, "{method}");
    }
    let audited = "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'rpc.refused' AND error_message LIKE '%scopes%'";
    assert_eq!(world.database.count(audited).await, 4);
    assert_eq!(get(daemon, "narrow", "/metrics").await, 403);
    assert_eq!(get(daemon, "narrow", "/media/1").await, 403);
    assert_eq!(get(daemon, "narrow", "/health/ready").await, 200);
    assert_eq!(get(daemon, KEY_ID, "/metrics").await, 200);
}

#[tokio::test]
async fn a_key_that_calls_too_often_is_told_when() {
    let world = world().await;
    let daemon = &world.daemon;
    // Whoever has no secret empties nobody's bucket.
    for _ in 0..5 {
        let forged = Daemon::authorization("slow", "POST", "/rpc", "another body");
        let request = daemon.http.post(format!("{}/rpc", daemon.private_url)).body("{}");
        let answer = request.header("authorization", forged).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
    for n in 0..3 {
        let answer =
            daemon.rpc_with("slow", "message.send", text_params(PEER, &n.to_string())).await;
        assert!(answer.get("error").is_none(), "{answer}");
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": text_params(PEER, "too much")}).to_string();
    let request = daemon
        .http
        .post(format!("{}/rpc", daemon.private_url))
        .header("content-type", "application/json")
        .header("authorization", Daemon::authorization("slow", "POST", "/rpc", &body));
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=100).contains(&wait), "{wait}");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["error"]["code"], 1401, "{answer}");
    let data = &answer["error"]["data"];
    assert_eq!(
        (&data["kind"], &data["retryable"], &data["retry_after"]),
        (&json!("rate_limited"), &json!(true), &json!(wait))
    );
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 3);
    // Others go on.
    let id = world.sent(PEER, "another key").await;
    assert!(id > 0);
}
