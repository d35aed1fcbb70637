//! `message.explain`, `wabridge explain`, and `journal.show` and `journal.replay` for administrators.

use serde_json::{Value, json};

use crate::support::wabridge;
use crate::support::world::{
    ADMIN, USER, WEBHOOK_SECRET, World, message_id, text_event, text_params,
};

const PEER: &str = "447700900123";

async fn steps(world: &World, uid: i32, id: i64) -> Vec<Value> {
    let answer = world.daemon.call("message.explain", json!({"uid": uid, "id": id})).await;
    answer["data"]["steps"].as_array().cloned().unwrap_or_default()
}

fn kinds(steps: &[Value]) -> Vec<&str> {
    steps.iter().filter_map(|step| step["kind"].as_str()).collect()
}

fn step<'a>(steps: &'a [Value], kind: &str) -> &'a Value {
    let found = steps.iter().find(|step| step["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}: {steps:#?}"))
}

async fn row(world: &World, message_id: &str) -> i64 {
    let sql = format!("SELECT id FROM whatsapp_message WHERE message_id = '{message_id}'");
    world.until_count(&format!("SELECT count(*) FROM ({sql}) x"), 1, 10).await;
    world.database.count(&sql).await
}

async fn command(world: &World, message: &str) -> String {
    wabridge(Some(&world.daemon.config_path()), &["explain", message]).await.well()
}

#[tokio::test]
async fn a_message_that_came_in() {
    let world = World::start().await;
    let id = message_id(1);
    assert_eq!(world.webhook(&text_event(&id, PEER, "hello")).await, 200);
    let row = row(&world, &id).await;
    world
        .database
        .execute("UPDATE whatsapp_event SET phase = 'seen', write_date = now() AT TIME ZONE 'UTC'")
        .await;
    let told = steps(&world, ADMIN, row).await;
    assert_eq!(kinds(&told), ["status_delivered", "received", "handlers_ran"], "{told:#?}");
    let received = &step(&told, "received")["parameters"];
    let journaled = world.database.count("SELECT id FROM wabridge.journal").await;
    assert_eq!(received["journal_id"], journaled);
    assert_eq!(received["verified_by"], "header");
    assert_eq!(received["provider"], "whapi");
    assert!(!told.iter().any(|step| step.to_string().contains("hello")));
    // A plain user learns the life, not the way into the journal; of what he may not see, nothing.
    let told = steps(&world, USER, row).await;
    assert_eq!(step(&told, "received")["parameters"]["journal_id"], Value::Null);
    let refused = world.daemon.rpc("message.explain", json!({"uid": USER, "id": 99_999})).await;
    assert_eq!(refused["error"]["code"], 1504);
    world
        .database
        .execute("DELETE FROM res_users_whatsapp_configuration_rel; DELETE FROM res_groups_whatsapp_configuration_rel")
        .await;
    let refused = world.daemon.rpc("message.explain", json!({"uid": USER, "id": row})).await;
    assert_eq!(refused["error"]["code"], 1001);

    let text = command(&world, &id).await;
    assert!(
        text.contains(&format!("as webhook {journaled} of the journal, verified by header")),
        "{text}"
    );
    assert!(command(&world, &row.to_string()).await.contains("delivered"));
    wabridge(Some(&world.daemon.config_path()), &["explain", "no-such-id"])
        .await
        .badly(&["no-such-id"]);

    // The day has left the journal.
    world.database.execute("TRUNCATE wabridge.journal").await;
    let told = steps(&world, ADMIN, row).await;
    assert_eq!(step(&told, "received_before")["parameters"]["provider"], "whapi");
}

/// Among thousands of others of the same moment, and although it was applied much later than it was received.
#[tokio::test]
async fn a_message_that_was_set_aside() {
    let world = World::start().await;
    world
        .database
        .execute(
            "INSERT INTO wabridge.journal (provider, configuration_id, verified_by, method, headers, body, request_id)
             SELECT 'whapi', 1, 'header', 'POST', '{}', convert_to(repeat('another body ' || n, 40), 'UTF8'), n::text
             FROM generate_series(1, 20000) n",
        )
        .await;
    let odoo = world.database.connect().await;
    odoo.batch_execute("BEGIN; LOCK TABLE whatsapp_message IN SHARE MODE")
        .await
        .expect("Odoo locks");
    let id = message_id(1);
    assert_eq!(world.webhook(&text_event(&id, PEER, "aside")).await, 200);
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    odoo.batch_execute("COMMIT").await.expect("Odoo ends");
    let row = row(&world, &id).await;
    let told = steps(&world, ADMIN, row).await;
    let expected = "SELECT max(id) FROM wabridge.journal";
    assert_eq!(
        step(&told, "received")["parameters"]["journal_id"],
        world.database.count(expected).await
    );
    let seconds = step(&told, "set_aside")["parameters"]["seconds"].as_f64().unwrap_or_default();
    assert!(seconds >= 2.0, "{seconds}");
}

#[tokio::test]
async fn a_message_that_went_out() {
    let world = World::start().await;
    world.fault(json!({"operation": "send", "status": 429, "retry_after": 4, "times": 1})).await;
    let id = world.sent("447700900801", "out").await;
    world.until_status(id, &["sent", "delivered", "read", "failed"], 25).await;
    let told = steps(&world, ADMIN, id).await;
    let kinds = kinds(&told);
    assert!(kinds.starts_with(&["queued_by_call"]), "{told:#?}");
    assert!(kinds.contains(&"account_by_default"), "{told:#?}");
    assert_eq!(step(&told, "queued_by_call")["parameters"]["user_id"], USER);
    let slowed = &step(&told, "attempt_rate_limited")["parameters"];
    assert_eq!(slowed["number"], 1);
    let accepted = told
        .iter()
        .find(|step| step["kind"] == "attempt_accepted" || step["kind"] == "attempt_refused");
    assert!(accepted.is_some(), "{told:#?}");
    // Its status came in the attempt's own second, and is kept without its fraction: told after it all the same.
    let place = |start: &str| kinds.iter().rposition(|kind| kind.starts_with(start));
    assert!(place("attempt_") < place("status_"), "{kinds:?}");
    // Told in the order of time.
    let times: Vec<&str> = told.iter().filter_map(|step| step["at"].as_str()).collect();
    assert!(times.len() >= 3, "{told:#?}");
    let text = command(&world, &id.to_string()).await;
    assert!(text.contains("the provider asked to slow down"), "{text}");
    assert!(text.contains("no account, account 1 was taken"), "{text}");

    // Named: no decision was taken.
    let mut params = text_params("447700900802", "named");
    params["configuration_id"] = json!(1);
    let sent = world.daemon.call("message.send", params).await;
    let named = steps(&world, ADMIN, sent["data"]["id"].as_i64().unwrap_or_default()).await;
    assert!(!named.iter().any(|step| step["kind"] == "account_by_default"), "{named:#?}");
}

#[tokio::test]
async fn a_message_that_waits() {
    let world = World::start().await;
    world.fault(json!({"operation": "send", "status": 429, "retry_after": 60, "times": 1})).await;
    let first = world.sent("447700900801", "first").await;
    world
        .until_count("SELECT count(*) FROM wabridge.account_pace WHERE paused_until > now()", 1, 15)
        .await;
    let told = steps(&world, ADMIN, first).await;
    let last = told.last().unwrap_or_else(|| panic!("no steps"));
    assert_eq!(last["kind"], "waits_for_account", "{told:#?}");
    assert_eq!(last["at"], Value::Null);
    assert_eq!(last["parameters"]["reason"], "rate_limited");
    let mut params = text_params("447700900801", "in an hour");
    params["schedule_at"] = json!("2099-01-01T00:00:00Z");
    let sent = world.daemon.call("message.send", params).await;
    let told = steps(&world, ADMIN, sent["data"]["id"].as_i64().unwrap_or_default()).await;
    assert_eq!(step(&told, "waits_for_time")["parameters"]["until"], "2099-01-01T00:00:00Z");
}

/// The answer is lost, the provider's own words settle the message: told as it was.
#[tokio::test]
async fn a_message_that_was_settled() {
    let world = World::start().await;
    world.fault(json!({"operation": "message.send", "drop_answer": true, "times": 1})).await;
    let id = world.sent(PEER, "no answer").await;
    world.until_status(id, &["delivered", "read"], 40).await;
    let told = steps(&world, ADMIN, id).await;
    let kinds = kinds(&told);
    let place = |kind: &str| {
        kinds.iter().position(|k| *k == kind).unwrap_or_else(|| panic!("no {kind}: {told:#?}"))
    };
    assert!(place("queued_by_call") < place("attempt_uncertain"), "{told:#?}");
    assert!(place("attempt_uncertain") < place("settled_accepted"), "{told:#?}");
    assert!(kinds.contains(&"echo_parked"), "{told:#?}");
    let text = command(&world, &id.to_string()).await;
    assert!(text.contains("the provider's copy came first"), "{text}");
}

#[tokio::test]
async fn administrators_look_into_the_journal_and_replay() {
    let world = World::start().await;
    let mut body = text_event(&message_id(1), PEER, "of another channel");
    body["channel_id"] = json!("MANTIS-77777");
    assert_eq!(world.webhook(&body).await, 200);
    let id = world.database.count("SELECT id FROM wabridge.journal").await;
    let shown = world.daemon.call("journal.show", json!({"uid": ADMIN, "id": id})).await;
    let shown = &shown["data"];
    assert!(shown["body"].as_str().is_some_and(|body| body.contains("of another channel")));
    assert_eq!(shown["open"][0]["reason"], "unknown_channel");
    assert_eq!(shown["events"][0]["event_no"], 0);
    assert!(!shown.to_string().contains(WEBHOOK_SECRET));
    let again = json!({"uid": ADMIN, "ids": [id, 99_999]});
    let answer = world.daemon.call("journal.replay", again.clone()).await;
    assert_eq!(answer["data"]["quarantined"][0]["id"], id, "{answer}");
    assert_eq!(answer["data"]["missing"], json!([99_999]));
    // Put right, and at once again.
    world
        .database
        .execute("UPDATE whatsapp_configuration SET channel_id = 'MANTIS-77777' WHERE id = 1")
        .await;
    let answer = world.daemon.call("journal.replay", again).await;
    assert_eq!(answer["data"]["applied"], json!([id]), "{answer}");
    assert_eq!(answer["data"]["events"], 1);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
    let audited = "SELECT string_agg(operation || ' ' || coalesce(configuration_id::text, '-') || ' ' || success, ',' ORDER BY id)
                   FROM whatsapp_audit_log WHERE operation LIKE 'journal%'";
    assert_eq!(
        world.database.text(audited).await.as_deref(),
        Some("journal.show 1 true,journal.replay 1 true,journal.replay 1 true")
    );
    for (method, params) in [
        ("journal.show", json!({"uid": USER, "id": id})),
        ("journal.replay", json!({"uid": USER, "ids": [id]})),
    ] {
        let refused = world.daemon.rpc(method, params).await;
        assert_eq!(refused["error"]["code"], 1001, "{refused}");
    }
    let refused = world.daemon.rpc("journal.replay", json!({"uid": ADMIN, "ids": []})).await;
    assert_eq!(refused["error"]["code"], 1102, "{refused}");
    let refused = world.daemon.rpc("journal.show", json!({"uid": ADMIN, "id": 77_777})).await;
    assert_eq!(refused["error"]["code"], 1504, "{refused}");
    // An account of a company that is not his.
    world
        .database
        .execute("INSERT INTO res_company (id, name, partner_id, currency_id) SELECT 77, 'Elsewhere', partner_id, currency_id FROM res_company LIMIT 1; UPDATE whatsapp_configuration SET company_id = 77 WHERE id = 1")
        .await;
    let refused = world.daemon.rpc("journal.show", json!({"uid": ADMIN, "id": id})).await;
    assert_eq!(refused["error"]["code"], 1001, "{refused}");
}

/// docs/AUTOMATION.md shows the example that the addon's tests run.
#[test]
fn the_example_of_the_documentation_is_the_one_that_is_tested() {
    let document = include_str!("../../docs/AUTOMATION.md");
    let example =
        include_str!("../../odoo_addon/whatsapp_integration_automation/examples/auto_reply.py");
    assert!(document.contains(&format!("```python\n{example}```")));
}
