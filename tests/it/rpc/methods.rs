//! What the methods answer.

use serde_json::{Value, json};
use wabridge_testkit::Daemon;
use wabridge_testkit::daemon::{KEY_SECRET, WHAPI_TOKEN};

use crate::support::World;
use crate::support::world::{ADMIN, USER, WEBHOOK_SECRET, WEBHOOK_TOKEN, text_params};

fn error(answer: &Value) -> (i64, &str) {
    let error = &answer["error"];
    (error["code"].as_i64().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn seal() {
    let world = World::with("", &[("WABRIDGE__LOG__FILTER", "trace")]).await;
    let params = |uid: i32, column: &str, value: &str| json!({"uid": uid, "seal_uuid": "11111111-2222-4333-8444-555555555555", "column": column, "value": value});
    let canary = "sealed-canary-4471";
    let result = world.daemon.call("configuration.seal", params(ADMIN, "token", canary)).await;
    let sealed = result["data"]["sealed"].as_str().expect("a sealed value");
    assert!(sealed.starts_with("wab1:k1:") && !sealed.contains(canary), "{sealed}");
    assert_eq!(result["meta"]["provider"], Value::Null);
    // It opens in the account that it was sealed for: the test call reaches the provider with it.
    let sealed = world.daemon.call("configuration.seal", params(ADMIN, "token", WHAPI_TOKEN)).await;
    let sealed = sealed["data"]["sealed"].as_str().expect("a sealed value");
    world
        .database
        .execute(&format!(
            "UPDATE whatsapp_configuration SET token = '{sealed}', seal_uuid = '11111111-2222-4333-8444-555555555555',
                webhook_token = NULL, webhook_secret = NULL WHERE id = 1"
        ))
        .await;
    let tested =
        world.daemon.call("configuration.test", json!({"uid": ADMIN, "configuration_id": 1})).await;
    assert_eq!(tested["data"]["state"], "connected", "{tested}");

    for (uid, column, value, code, word) in [
        (USER, "token", "x", 1001, "administrators"),
        (ADMIN, "name", "x", 1102, "column must be one of"),
        (ADMIN, "token", "  ", 1102, "empty"),
        (ADMIN, "token", "a\nb", 1102, "line break"),
    ] {
        let answer = world.daemon.rpc("configuration.seal", params(uid, column, value)).await;
        let (got, message) = error(&answer);
        assert!(got == code && message.contains(word), "{answer}");
    }
    // The system may, and is nobody in the log.
    world.daemon.call("configuration.seal", params(1, "webhook_secret", canary)).await;
    let rows = |wh: &str| {
        format!(
            "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'credential.change' AND {wh}"
        )
    };
    assert_eq!(world.database.count(&rows("success AND user_id = 2")).await, 2);
    assert_eq!(
        world.database.count(&rows("success AND user_id IS NULL AND configuration_id = 1")).await,
        1
    );
    assert_eq!(world.database.count(&rows("NOT success")).await, 3);
    assert_eq!(
        world
            .database
            .count("SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'rpc.refused' AND user_id = 5")
            .await,
        1
    );
    // A value of another type is not told back.
    let mut odd = params(ADMIN, "token", "");
    odd["value"] = json!({"secret": canary});
    let answer = world.daemon.rpc("configuration.seal", odd).await;
    assert_eq!(error(&answer), (-32602, "parameter value: must be a string"));
    assert!(!world.daemon.log().contains(canary), "the value is in the log");
    let dump =
        world.database.text("SELECT string_agg(a::text, ' ') FROM whatsapp_audit_log a").await;
    assert!(!dump.expect("rows").contains(canary), "the value is in the audit log");
}

#[tokio::test]
async fn test_and_health() {
    let world = World::start().await;
    let account = json!({"uid": USER, "configuration_id": 1});
    let health = world.daemon.call("configuration.health", account.clone()).await;
    assert!(health["data"]["state"].is_string(), "{health}");
    let tested = world.daemon.call("configuration.test", account.clone()).await;
    assert_eq!(tested["data"]["state"], "connected");
    assert_eq!(tested["data"]["user"], json!({"phone": "+447700900999", "name": "Acme Support"}));
    assert_eq!(tested["meta"]["provider"], "whapi");
    assert!(tested["meta"]["response_time"].is_u64(), "{tested}");
    let health = world.daemon.call("configuration.health", account.clone()).await;
    assert_eq!(health["data"]["state"], "connected");
    let since = health["data"]["since"].as_str().expect("a time");
    assert!(since.len() == 20 && since.ends_with('Z'), "{since}");

    // A token that the provider does not know is a state, not an error.
    let uuid =
        world.database.text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1").await;
    let dead =
        Daemon::seal(&world.database, &uuid.expect("it has one"), "token", "no such token").await;
    world
        .database
        .execute(&format!("UPDATE whatsapp_configuration SET token = '{dead}' WHERE id = 1"))
        .await;
    let tested = world.daemon.call("configuration.test", account.clone()).await;
    assert_eq!(tested["data"]["state"], "token_dead", "{tested}");
    let stored = "SELECT state FROM whatsapp_account_state WHERE configuration_id = 1";
    assert_eq!(world.database.text(stored).await.as_deref(), Some("token_dead"));

    for (sql, code, word) in [
        (
            "UPDATE whatsapp_configuration SET token = 'wab1:k9:AAAA:AAAA' WHERE id = 1",
            1304,
            "cannot be opened",
        ),
        ("UPDATE whatsapp_configuration SET token = NULL WHERE id = 1", 1304, "no API token"),
    ] {
        world.database.execute(sql).await;
        let answer = world.daemon.rpc("configuration.test", account.clone()).await;
        let (got, message) = error(&answer);
        assert!(got == code && message.contains(word), "{sql}: {answer}");
    }
    let rows = "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'configuration.test' AND configuration_id = 1 AND user_id = 5";
    assert_eq!(world.database.count(rows).await, 4);
}

#[tokio::test]
async fn a_provider_that_is_away() {
    let world = World::start().await;
    world.simulator.control("faults", json!({"provider": "whapi", "status": 500})).await;
    let answer =
        world.daemon.rpc("configuration.test", json!({"uid": ADMIN, "configuration_id": 1})).await;
    let (code, message) = error(&answer);
    assert_eq!(code, 1301, "{answer}");
    assert_eq!(answer["error"]["data"]["retryable"], true);
    assert!(!message.contains("127.0.0.1") && !message.contains("http"), "{message}");
}

#[tokio::test]
async fn register_webhook() {
    let world = World::start().await;
    let account = json!({"uid": ADMIN, "configuration_id": 1});
    let answer = world.daemon.rpc("configuration.register_webhook", account.clone()).await;
    let (code, message) = error(&answer);
    assert!(code == 1102 && message.contains("whatsapp_integration.public_url"), "{answer}");
    let public = &world.daemon.public_url;
    world
        .database
        .execute(&format!(
            "INSERT INTO ir_config_parameter (key, value) VALUES ('whatsapp_integration.public_url', '{public}/')"
        ))
        .await;
    let result = world.daemon.call("configuration.register_webhook", account.clone()).await;
    assert_eq!(result["data"]["url"], format!("{public}/whatsapp/webhook/whapi/…"));
    let settings = world.simulator.requests("/settings").await;
    let last = settings.last().expect("the provider was told").to_string();
    assert!(last.contains(&format!("{public}/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}")), "{last}");
    assert!(last.contains(&format!("Bearer {WEBHOOK_SECRET}")), "{last}");

    let answer = world
        .daemon
        .rpc("configuration.register_webhook", json!({"uid": USER, "configuration_id": 1}))
        .await;
    assert_eq!(error(&answer).0, 1001, "{answer}");
    world
        .database
        .execute("UPDATE whatsapp_configuration SET webhook_secret = NULL WHERE id = 1")
        .await;
    let answer = world.daemon.rpc("configuration.register_webhook", account).await;
    let (code, message) = error(&answer);
    assert!(code == 1102 && message.contains("webhook secret"), "{answer}");
    for secret in [WEBHOOK_TOKEN, WEBHOOK_SECRET, WHAPI_TOKEN] {
        assert!(!world.daemon.log().contains(secret), "a secret is in the log");
    }
}

#[tokio::test]
async fn capabilities_and_discover() {
    let world = World::start().await;
    let table = world.daemon.call("configuration.capabilities", json!({"uid": USER})).await;
    assert_eq!(table["data"]["provider"], "whapi");
    assert_eq!(table["data"]["capabilities"]["send_text"], true);
    assert_eq!(table["data"]["capabilities"]["send_template"], false);
    for word in ["group_create", "group_add", "group_invite", "group_join"] {
        assert_eq!(table["data"]["capabilities"][word], true, "{word}");
    }
    let unknown = world.daemon.rpc("group.unknown", json!({"uid": USER, "name": "x"})).await;
    assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
    assert!(table["data"]["limits"]["text_max"].as_u64().is_some_and(|max| max > 0), "{table}");
    let document = world.daemon.call("rpc.discover", json!({})).await;
    assert_eq!(document["openrpc"], "1.3.2");
    let kept: Value =
        serde_json::from_str(include_str!("../../../docs/openrpc.json")).expect("JSON");
    assert_eq!(document, kept);
}

#[tokio::test]
async fn send_and_status() {
    let world = World::with("", &[("WABRIDGE__LOG__FILTER", "trace")]).await;
    let mut params = text_params("+447700900803", "text-canary-8120");
    params["wait_ms"] = json!(10_000);
    let result = world.daemon.call("message.send", params).await;
    let id = result["data"]["id"].as_i64().expect("a row id");
    assert!(result["data"]["message_id"].is_string(), "{result}");
    assert_eq!(result["meta"]["provider"], "whapi");
    let status = world.daemon.call("message.status", json!({"uid": USER, "id": id})).await;
    assert_eq!(status["data"]["id"], id);
    assert_eq!(status["data"]["configuration_id"], 1);
    assert_eq!(status["data"]["message_id"], result["data"]["message_id"]);
    let sent = "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'message.send' AND success AND user_id = 5";
    assert_eq!(world.database.count(sent).await, 1);

    for (params, code) in [
        (json!({"uid": 6, "id": id}), 1001),
        (json!({"uid": USER, "id": 987_654}), 1504),
        (json!({"uid": USER, "id": "x"}), -32602),
    ] {
        let answer = world.daemon.rpc("message.status", params).await;
        assert_eq!(error(&answer).0, code, "{answer}");
    }
    world.database.execute("DELETE FROM res_users_whatsapp_configuration_rel").await;
    let answer = world.daemon.rpc("message.status", json!({"uid": USER, "id": id})).await;
    assert_eq!(error(&answer).0, 1001, "{answer}");
    let log = world.daemon.log();
    assert!(log.contains("TRACE"), "it was not verbose");
    for hidden in ["text-canary-8120", "447700900803", KEY_SECRET, WHAPI_TOKEN] {
        let line = log.lines().find(|line| line.contains(hidden));
        assert_eq!(line, None, "{hidden} is in the log");
    }
}

#[tokio::test]
async fn refused_sends_store_nothing() {
    let world = World::start().await;
    let with = |changes: Value| {
        let mut params = text_params("+447700900801", "hello");
        for (name, value) in changes.as_object().expect("an object") {
            params[name] = value.clone();
        }
        params
    };
    for (changes, code, word) in [
        (json!({"text": {"body": "  "}}), 1102, "empty"),
        (json!({"text": {"body": "x".repeat(4097)}}), 1102, "4096"),
        (json!({"type": "banana"}), 1102, "known are"),
        (json!({"type": "image", "text": null, "media": {"id": 1}}), 1504, "no file with id 1"),
        (
            json!({"type": "template", "text": null, "template": {"name": "a", "language": "en"}}),
            1105,
            "cannot send template",
        ),
        (json!({"to": "nobody"}), 1101, "letters"),
        (json!({"to": "0471 23 45 67"}), 1101, "country code"),
        (json!({"to": {"contact_id": 1, "group_id": 2}}), -32602, "not several"),
        (json!({"wait_ms": 60_001}), -32602, "wait_ms"),
        (json!({"colour": "red"}), -32602, "colour"),
        (json!({"schedule_at": "tomorrow"}), -32602, "schedule_at"),
        (json!({"category": "spam"}), -32602, "category"),
        (json!({"uid": 6}), 1001, ""),
        (json!({"uid": 6, "text": {"body": ""}}), 1001, ""),
        (json!({"uid": 6, "type": "banana"}), 1001, ""),
        (json!({"configuration_id": 99}), 1001, ""),
        (json!({"configuration_id": 99, "text": {"body": ""}}), 1001, ""),
        (json!({"configuration_id": 99, "to": {"partner_id": 999_999}}), 1001, ""),
        (json!({"configuration_id": 99, "uid": ADMIN}), 1002, ""),
    ] {
        let answer = world.daemon.rpc("message.send", with(changes.clone())).await;
        let (got, message) = error(&answer);
        assert!(got == code && message.contains(word), "{changes}: {answer}");
        let data = &answer["error"]["data"];
        assert!(data["kind"].is_string() && data["retryable"].is_boolean(), "{answer}");
        assert!(data["request_id"].is_string(), "{answer}");
    }
    for table in ["whatsapp_message", "whatsapp_contact", "whatsapp_chat", "wabridge.outbox"] {
        assert_eq!(
            world.database.count(&format!("SELECT count(*) FROM {table}")).await,
            0,
            "{table}"
        );
    }
    assert_eq!(world.simulator.requests("/messages").await.len(), 0);
    // Each refusal left one row.
    assert_eq!(
        world.database.count("SELECT count(*) FROM whatsapp_audit_log WHERE NOT success").await,
        19
    );
}

#[tokio::test]
async fn a_copy_takes_no_sends() {
    let mut world = World::start().await;
    world.daemon.terminate().await;
    world
        .database
        .execute("UPDATE ir_config_parameter SET value = 'another' WHERE key = 'database.uuid'")
        .await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let answer =
        world.daemon.rpc("message.send", text_params("+447700900801", "from a copy")).await;
    let (code, message) = error(&answer);
    assert!(code == 1503 && message.contains("wabridge adopt"), "{answer}");
    // It can be read all the same.
    world.daemon.call("configuration.health", json!({"uid": USER})).await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 0);
}
