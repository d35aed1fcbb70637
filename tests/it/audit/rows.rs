//! What leaves a row, and how long it stays.

use serde_json::{Value, json};
use wabridge_testkit::eventually;

use super::{add_rows, broken, until_sealed, verify};
use crate::support::world::{ADMIN, USER, WEBHOOK_TOKEN, text_params, until_count};
use crate::support::{World, wabridge};

/// A row of an operation, as somebody reads it.
async fn row(world: &World, operation: &str, success: bool) -> Value {
    let sql = format!(
        "SELECT row_to_json(a)::text FROM whatsapp_audit_log a
         WHERE operation = '{operation}' AND success = {success} ORDER BY id DESC LIMIT 1"
    );
    eventually(&format!("a row of {operation}"), 15, async || {
        world.database.text(&sql).await.map(|row| serde_json::from_str(&row).expect("it is JSON"))
    })
    .await
}

#[tokio::test]
async fn each_operation_leaves_a_row() {
    let world = World::start().await;
    let id = world.sent("447700900804", "hello").await;
    world.until_status(id, &["sent", "delivered", "read"], 15).await;
    for (method, params, success) in [
        ("message.send", text_params("nobody", "refused"), false),
        ("configuration.test", json!({"uid": ADMIN, "configuration_id": 1}), true),
        ("contact.opt_out", json!({"uid": USER, "to": "447700900804"}), true),
        ("contact.block", json!({"uid": USER, "to": "447700900804", "blocked": true}), true),
        ("group.create", json!({"uid": USER, "name": "g", "participants": ["447700900804"]}), true),
        ("sync.start", json!({"uid": USER, "kinds": ["contacts"], "mode": "full"}), true),
        ("audit.verify", json!({"uid": ADMIN}), true),
    ] {
        let answer = world.daemon.rpc(method, params).await;
        assert_eq!(answer.get("result").is_some(), success, "{method}: {answer}");
        let row = row(&world, method, success).await;
        assert!(row["user_id"].is_i64() && row["request_id"].is_string(), "{row}");
        assert!(row["response_time"].as_f64().is_some_and(|ms| ms > 0.0), "{row}");
    }
    let sent = row(&world, "message.send", true).await;
    assert_eq!((&sent["user_id"], &sent["configuration_id"]), (&json!(USER), &json!(1)), "{sent}");
    let tested = row(&world, "configuration.test", true).await;
    assert_eq!((&tested["provider"], &tested["address"]), (&json!("whapi"), &json!("127.0.0.1")));
    let run = row(&world, "sync.run", true).await;
    assert_eq!((&run["user_id"], &run["configuration_id"]), (&json!(USER), &json!(1)), "{run}");
    // Refused: because of who asks, and a file that is nobody's.
    world.daemon.rpc("audit.verify", json!({"uid": USER})).await;
    let refused = row(&world, "rpc.refused", false).await;
    assert_eq!(refused["user_id"], USER, "{refused}");
    assert!(refused["error_message"].as_str().is_some_and(|e| e.starts_with("audit.verify: ")));
    let path = format!("/media/987654?uid={USER}");
    let key = wabridge_testkit::daemon::KEY_ID;
    let signed = wabridge_testkit::Daemon::authorization(key, "GET", &path, "");
    let url = format!("{}{path}", world.daemon.private_url);
    let answer = world.daemon.http.get(url).header("authorization", signed).send().await;
    assert_eq!(answer.expect("the daemon answers").status().as_u16(), 404);
    let refused = row(&world, "rpc.refused", false).await;
    assert_eq!(refused["error_message"], "GET /media: record_not_found", "{refused}");
    // From a terminal.
    let config = world.daemon.config_path();
    for (command, word) in [("detach", "database.detach"), ("attach", "database.attach")] {
        wabridge(Some(&config), &[command, &world.database.name]).await.well();
        row(&world, word, true).await;
    }
}

#[tokio::test]
async fn a_minute_of_refusals_is_sealed_when_it_is_over() {
    let world = World::start().await;
    let url = format!("{}/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}x", world.daemon.public_url);
    let knock = async || {
        let answer = world.daemon.http.post(&url).body("{}").send().await;
        assert_eq!(answer.expect("the daemon answers").status().as_u16(), 401);
    };
    let counters =
        "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'webhook.unauthenticated'";
    knock().await;
    until_count(&world.database, counters, 1, 10).await;
    add_rows(&world.database, 2).await;
    let open = "SELECT count(*) FROM whatsapp_audit_log a WHERE NOT EXISTS (
                SELECT FROM wabridge.audit_segment s WHERE a.id = ANY(s.row_ids))";
    until_count(&world.database, open, 1, 10).await;
    // The minute is over; somebody who was slow counts one more for it.
    let past = "UPDATE wabridge.refusal_minute SET minute = minute - interval '5 minutes'";
    world.database.execute(past).await;
    until_sealed(&world).await;
    knock().await;
    until_count(&world.database, counters, 2, 10).await;
    let answer = world.daemon.call("audit.verify", json!({"uid": ADMIN})).await;
    assert_eq!(answer["data"]["intact"], true, "{answer}");
}

#[tokio::test]
async fn old_rows_go_and_the_rest_stays_proven() {
    let mut world = World::prepared("[audit]\nkeep_days = 30", &[]).await;
    add_rows(&world.database, 5).await;
    let old = "UPDATE whatsapp_audit_log SET timestamp = timestamp - interval '31 days'";
    world.database.execute(old).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    until_count(
        &world.database,
        "SELECT count(*) FROM whatsapp_audit_log WHERE operation LIKE 'test.%'",
        0,
        15,
    )
    .await;
    add_rows(&world.database, 5).await;
    until_sealed(&world).await;
    world.daemon.terminate().await;
    let printed = verify(&world, &[]).await.well();
    assert!(printed.contains("the rows of 1 segments are past their time"), "{printed}");
    let words = "SELECT error_message FROM whatsapp_audit_log WHERE operation = 'audit.retention'";
    assert_eq!(
        world.database.text(words).await.as_deref(),
        Some("5 rows in 1 segments older than 30 days")
    );
    // Whoever makes a young segment look old loses nothing but the proof.
    let look_old = "UPDATE wabridge.audit_segment SET newest = now() - interval '90 days' WHERE removed_at IS NULL";
    world.database.execute(look_old).await;
    let before = world.database.count("SELECT count(*) FROM whatsapp_audit_log").await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    eventually("the daemon's word on it", 15, async || {
        world.daemon.log().contains("its rows are kept").then_some(())
    })
    .await;
    assert!(world.database.count("SELECT count(*) FROM whatsapp_audit_log").await >= before);
    assert!(broken(&world, &[]).await.contains("proof_changed"));
}

#[tokio::test]
async fn the_daemon_notices_that_the_end_was_cut_off() {
    let world = World::start().await;
    for _ in 0..2 {
        add_rows(&world.database, 3).await;
        until_sealed(&world).await;
    }
    // Written to the log: what `--head` wants.
    eventually("the head in the log", 15, async || {
        world.daemon.log().contains("sealed up to segment").then_some(())
    })
    .await;
    let cut = "DELETE FROM wabridge.audit_segment WHERE number = (SELECT max(number) FROM wabridge.audit_segment)";
    world.database.execute(cut).await;
    eventually("the daemon's word on it", 15, async || {
        world.daemon.log().contains("was cut").then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_the_sealing_key_nothing_is_sealed_or_lost() {
    let mut world = World::start().await;
    add_rows(&world.database, 3).await;
    until_sealed(&world).await;
    world.daemon.terminate().await;
    let config = world.daemon.config_path();
    let settings = std::fs::read_to_string(&config).expect("settings can be read");
    let key = wabridge_testkit::daemon::SEALING_KEY;
    let other = settings.replace(key, "b3RoZXItc2VhbGluZy1rZXktMDEyMzQ1Njc4OWFiY2Q");
    std::fs::write(&config, &other).expect("settings can be written");
    let line = broken(&world, &[]).await;
    assert!(line.contains("key_missing"), "{line}");
    add_rows(&world.database, 3).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    eventually("the daemon's word on it", 15, async || {
        world.daemon.log().contains("are not sealed").then_some(())
    })
    .await;
    world.daemon.terminate().await;
    // Found again: all is well. Lost for good: a new key goes on, what the old one proved stays unproven.
    std::fs::write(&config, &settings).expect("settings can be written");
    let refused = wabridge(Some(&config), &["audit", "new-key"]).await;
    refused.badly(&["can be opened"]);
    let printed = verify(&world, &[]).await.well();
    assert!(printed.contains("3 rows are not sealed yet"), "{printed}");
    std::fs::write(&config, &other).expect("settings can be written");
    wabridge(Some(&config), &["audit", "new-key"]).await.well();
    world.daemon.run();
    world.daemon.wait_ready().await;
    until_sealed(&world).await;
    assert!(broken(&world, &[]).await.contains("key_missing"));
}
