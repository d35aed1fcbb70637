//! Daemon and addon say which versions of each other they work with, and go on as far as they can.

use serde_json::{Value, json};
use wabridge_testkit::daemon::KEY_ID;
use wabridge_testkit::eventually;

use crate::support::world::{message_id, text_event, text_params};
use crate::support::{World, wabridge};

const PEER: &str = "447700900123";

/// What `GET /health/ready` tells of the database.
async fn page(world: &World) -> Value {
    let url = format!("{}/health/ready", world.daemon.private_url);
    let answer = world.daemon.http.get(url).send().await.expect("the daemon answers");
    let page: Value = answer.json().await.expect("it answers JSON");
    page["databases"][&world.database.name].clone()
}

async fn doctor(world: &World) -> (Option<i32>, String) {
    let finished = wabridge(Some(&world.daemon.config_path()), &["doctor"]).await;
    (finished.code, finished.stdout)
}

/// The addon says which daemons it works with.
async fn addon_accepts(world: &World, versions: &str) {
    let sql = format!(
        "DELETE FROM ir_config_parameter WHERE key = 'whatsapp_integration.bridge_versions';
         INSERT INTO ir_config_parameter (key, value) VALUES ('whatsapp_integration.bridge_versions', '{versions}')"
    );
    world.database.execute(&sql).await;
}

#[tokio::test]
async fn both_are_told_and_fit() {
    let world = World::start().await;
    let version = page(&world).await["versions"]["addon"].clone();
    assert!(version.as_str().is_some_and(|v| v.starts_with("14.0.5.0")), "{version}");
    addon_accepts(&world, "4.9 5.0").await;
    eventually("the addon's word is heard", 15, async || {
        (page(&world).await["versions"]["accepted_by_addon"] == true).then_some(())
    })
    .await;
    let page = page(&world).await;
    assert_eq!(page["versions"]["addons_accepted"], json!(["5.0"]));
    let schema = page["versions"]["schema"].as_i64().expect("a number");
    assert_eq!(page["versions"]["schemas_accepted"], json!([schema, schema + 1]));
    assert_eq!(page["differences"], json!([]));
    let (_, lines) = doctor(&world).await;
    let line = lines.lines().find(|line| line.contains(", versions: ")).unwrap_or_default();
    assert!(line.starts_with("ok ") && line.contains("works with wabridge 4.9, 5.0"), "{lines}");
}

#[tokio::test]
async fn a_daemon_that_the_addon_does_not_know_goes_on_and_says_so() {
    let world = World::start().await;
    addon_accepts(&world, "4.2 4.3").await;
    eventually("the addon's word is heard", 15, async || {
        (page(&world).await["versions"]["accepted_by_addon"] == false).then_some(())
    })
    .await;
    let id = world.sent(PEER, "all the same").await;
    world.until_status(id, &["read"], 15).await;
    let words = "works with wabridge 4.2, 4.3, this is ";
    let log = world.daemon.log();
    assert_eq!(log.lines().filter(|line| line.contains(words)).count(), 1, "{log}");
    let (code, lines) = doctor(&world).await;
    assert_eq!(code, Some(1));
    let line = lines.lines().find(|line| line.contains(words)).unwrap_or_default();
    assert!(line.starts_with("FAIL ") && line.contains("upgrade the older"), "{lines}");
}

#[tokio::test]
async fn an_addon_that_the_daemon_does_not_know_is_journal_only() {
    let world = World::start().await;
    let install = async |version: &str| {
        let sql = format!(
            "UPDATE ir_module_module SET latest_version = '{version}' WHERE name = 'whatsapp_integration'"
        );
        world.database.execute(&sql).await;
    };
    install("14.0.6.1.0").await;
    eventually("the daemon notices", 15, async || {
        (page(&world).await["phase"] == "journal_only").then_some(())
    })
    .await;
    let told = page(&world).await;
    let line = told["differences"][0].as_str().unwrap_or_default();
    for word in ["14.0.6.1.0", "works with 5.0", "upgrade the older"] {
        assert!(line.contains(word), "{told}");
    }
    assert_eq!(told["versions"]["addon"], Value::Null);
    let refused = world.daemon.rpc("message.send", text_params(PEER, "no")).await;
    assert_eq!(refused["error"]["code"], 1502, "{refused}");
    assert_eq!(world.webhook(&text_event(&message_id(1), PEER, "kept")).await, 200);
    let (code, lines) = doctor(&world).await;
    assert!(code == Some(1) && lines.contains("14.0.6.1.0"), "{lines}");
    install("14.0.5.0.0").await;
    world.until_count("SELECT count(*) FROM whatsapp_message WHERE content = 'kept'", 1, 15).await;
}

/// The caller chooses the id of his call: answer, rows, log and the provider have it.
#[tokio::test]
async fn the_nonce_is_the_requests_id() {
    let world = World::start().await;
    let params = text_params(PEER, "one id");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": params});
    let body = body.to_string();
    let signed = wabridge_testkit::Daemon::authorization(KEY_ID, "POST", "/rpc", &body);
    let id = signed.split("nonce=").nth(1).and_then(|rest| rest.split(',').next());
    let id = id.expect("the header has a nonce").to_owned();
    let request = world.daemon.http.post(format!("{}/rpc", world.daemon.private_url));
    let request = request.header("content-type", "application/json");
    let answer = request.header("authorization", signed).body(body).send().await;
    let answer = answer.expect("the daemon answers");
    assert_eq!(answer.headers()["x-request-id"], id.as_str());
    let answer: Value = answer.json().await.expect("it answers JSON");
    assert_eq!(answer["result"]["meta"]["request_id"], id.as_str(), "{answer}");
    let row = answer["result"]["data"]["id"].as_i64().expect("a row id");
    world.until_status(row, &["read"], 15).await;
    for sql in [
        format!("SELECT count(*) FROM whatsapp_message WHERE request_id = '{id}' AND id = {row}"),
        format!(
            "SELECT count(*) FROM wabridge.attempt WHERE request_id = '{id}' AND message_id = {row}"
        ),
        format!(
            "SELECT count(*) FROM whatsapp_audit_log WHERE request_id = '{id}' AND operation = 'message.send'"
        ),
    ] {
        world.until_count(&sql, 1, 10).await;
    }
    let log = world.daemon.log();
    assert!(
        log.lines().any(|l| l.contains(&format!("message {row}: attempt 1 at")) && l.contains(&id)),
        "{log}"
    );
    let calls = world.simulator.requests("/messages/text").await;
    let named = calls.iter().filter(|call| call["headers"]["x-request-id"] == id.as_str()).count();
    assert_eq!((calls.len(), named), (1, 1));
}
