//! Both doors of a send, from the caller to the provider and back, with everything that can go wrong between.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use wabridge_testkit::daemon::WHAPI_TOKEN;
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase};

use crate::support::World;
use crate::support::world::{
    self, Accepted, USER, accepted, client, credentials_of, hook_url, message_id, odoo_send,
    status_event, text_event, text_params, until_count,
};

const PEER: &str = "447700900123";
const ROWS: &str = "SELECT count(*) FROM whatsapp_message";

fn texts(accepted: &[Accepted]) -> Vec<&str> {
    accepted.iter().map(|one| one.text.as_str()).collect()
}

fn row_id(data: &Value) -> i64 {
    data["id"].as_i64().unwrap_or_else(|| panic!("no row id: {data}"))
}

fn with(mut params: Value, more: &Value) -> Value {
    let more = more.as_object().expect("an object");
    params.as_object_mut().expect("an object").extend(more.clone());
    params
}

#[tokio::test]
async fn a_text_from_the_call_to_read() {
    let world = World::start().await;
    let data = world.send("+44 7700 900123", "Your order has shipped.").await;
    let id = row_id(&data);
    assert_eq!(data["status"], "queued");
    world.until_status(id, &["sent", "pending", "delivered", "read"], 10).await;
    world.until_status(id, &["read"], 15).await;
    let facts = format!(
        "SELECT count(*) FROM whatsapp_message WHERE id = {id} AND message_id IS NOT NULL AND direction = 'outbound'
           AND from_me AND origin = 'rpc' AND user_id = {USER} AND content = 'Your order has shipped.'
           AND chat_id = '{PEER}@s.whatsapp.net' AND contact_id IS NOT NULL AND provider = 'whapi'
           AND queued_at <= sent_at AND sent_at <= delivered_at AND delivered_at <= read_at
           AND failed_at IS NULL AND error_code IS NULL AND create_uid IS NOT NULL AND write_date IS NOT NULL"
    );
    assert_eq!(world.database.count(&facts).await, 1);
    // The echo of the send made no second row, and there is one chat and one contact.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for table in ["whatsapp_message", "whatsapp_chat", "whatsapp_contact"] {
        assert_eq!(
            world.database.count(&format!("SELECT count(*) FROM {table}")).await,
            1,
            "{table}"
        );
    }
    assert_eq!(texts(&world.accepted().await), ["Your order has shipped."]);
    let status = world.daemon.call("message.status", json!({"uid": USER, "id": id})).await;
    assert_eq!(status["data"]["status"], "read");
    assert_eq!(status["data"]["message_id"], world.accepted().await[0].id.as_str());
    world.until_quiet(5).await;
}

#[tokio::test]
async fn an_answer_and_its_statuses() {
    let world = World::start().await;
    let from = "447700900803";
    let id = world.sent(from, "ping").await;
    world.until_status(id, &["read"], 15).await;
    let answer = "SELECT count(*) FROM whatsapp_message WHERE direction = 'inbound' AND content = 'Echo: ping'
                    AND status = 'delivered' AND NOT from_me AND origin = 'provider'";
    world.until_count(answer, 1, 10).await;
    world
        .until_count("SELECT count(*) FROM whatsapp_event WHERE kind = 'message_received'", 1, 5)
        .await;
}

#[tokio::test]
async fn waiting_for_the_provider() {
    let world = World::start().await;
    let slow = |ms: u32| json!({"operation": "message.send", "delay_ms": ms, "drop_webhooks": true, "times": 1});
    world.fault(slow(15_000)).await;
    let early = world
        .daemon
        .call("message.send", with(text_params(PEER, "a"), &json!({"wait_ms": 400})))
        .await;
    assert_eq!(early["data"]["status"], "queued", "it did not wait for the answer");
    assert_eq!(early["data"]["message_id"], Value::Null);
    assert!(early["meta"]["response_time"].as_i64().is_some_and(|ms| ms >= 380), "{early}");
    world.fault(slow(1500)).await;
    let other = "447700900124";
    let late = world
        .daemon
        .call("message.send", with(text_params(other, "b"), &json!({"wait_ms": 60_000})))
        .await;
    assert!(late["data"]["message_id"].is_string(), "{late}");
    let status = late["data"]["status"].as_str().unwrap_or_default();
    assert!(["pending", "sent"].contains(&status), "{late}");
    assert!(late["meta"]["response_time"].as_i64().is_some_and(|ms| ms >= 1400), "{late}");
}

#[tokio::test]
async fn the_same_key_is_the_same_message() {
    let world = World::start().await;
    let keyed =
        |text: &str| with(text_params(PEER, text), &json!({"idempotency_key": "order-118"}));
    let first = world.daemon.call("message.send", keyed("shipped")).await;
    let id = row_id(&first["data"]);
    let again = world.daemon.call("message.send", keyed("shipped")).await;
    assert_eq!(row_id(&again["data"]), id);
    world.until_status(id, &["read"], 15).await;
    let later = world.daemon.call("message.send", keyed("shipped")).await;
    assert_eq!((row_id(&later["data"]), later["data"]["status"].as_str()), (id, Some("read")));
    let other = world.daemon.rpc("message.send", keyed("delivered")).await;
    assert_eq!(other["error"]["code"], 1108, "{other}");
    assert_eq!(world.accepted().await.len(), 1);
    assert_eq!(world.database.count(ROWS).await, 1);
}

#[tokio::test]
async fn twins_at_one_moment_are_one_message() {
    let world = std::sync::Arc::new(World::start().await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let world = std::sync::Arc::clone(&world);
        tasks.spawn(async move {
            let params = with(text_params(PEER, "once"), &json!({"idempotency_key": "twin"}));
            row_id(&world.daemon.call("message.send", params).await["data"])
        });
    }
    let ids = tasks.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    world.until_status(ids[0], &["read"], 15).await;
    assert_eq!((world.calls().await, world.database.count(ROWS).await), (1, 1));
}

#[tokio::test]
async fn a_transaction_that_rolls_back_sends_nothing() {
    let world = World::start().await;
    let odoo = world.database.odoo().await;
    odoo.batch_execute("BEGIN").await.expect("Odoo begins");
    odoo_send(&odoo, PEER, "never", None).await;
    odoo.batch_execute("ROLLBACK").await.expect("Odoo rolls back");
    odoo.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.expect("Odoo begins");
    let id = odoo_send(&odoo, PEER, "once", None).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(world.calls().await, 0, "sent before the commit");
    odoo.batch_execute("COMMIT").await.expect("Odoo commits");
    world.until_status(id, &["read"], 15).await;
    assert_eq!(texts(&world.accepted().await), ["once"]);
    assert_eq!(world.calls().await, 1);
    let filled = format!(
        "SELECT count(*) FROM whatsapp_message WHERE id = {id} AND chat_id = '{PEER}@s.whatsapp.net'
           AND contact_id IS NOT NULL AND origin = 'odoo'"
    );
    assert_eq!(world.database.count(&filled).await, 1);
    assert_eq!(world.database.count(ROWS).await, 1);
    world.until_quiet(5).await;
}

#[tokio::test]
async fn what_was_committed_while_the_daemon_was_down() {
    let mut world = World::start().await;
    assert_eq!(world.daemon.terminate().await, Some(0));
    let odoo = world.database.odoo().await;
    let id = odoo_send(&odoo, PEER, "patience", None).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.calls().await, 0);
    world.daemon.run();
    world.until_status(id, &["read"], 20).await;
    assert_eq!(world.calls().await, 1);
}

#[tokio::test]
async fn keys_in_a_transaction() {
    let world = World::start().await;
    let odoo = world.database.odoo().await;
    odoo.batch_execute("BEGIN").await.expect("Odoo begins");
    let first = odoo_send(&odoo, PEER, "twice?", Some("invoice-7")).await;
    let second = odoo_send(&odoo, PEER, "twice?", Some("invoice-7")).await;
    odoo.batch_execute("COMMIT").await.expect("Odoo commits");
    world.until_status(first, &["read"], 15).await;
    world.until_status(second, &["cancelled"], 10).await;
    assert_eq!(world.calls().await, 1);
}

#[tokio::test]
async fn a_recipient_that_is_none_fails_in_the_row() {
    let world = World::start().await;
    let odoo = world.database.odoo().await;
    let id = odoo_send(&odoo, "nobody at all", "x", None).await;
    world.until_status(id, &["failed"], 10).await;
    let sql = format!("SELECT error_code FROM whatsapp_message WHERE id = {id}");
    assert_eq!(world.database.text(&sql).await.as_deref(), Some("invalid_recipient"));
    let refused = world.daemon.rpc("message.send", text_params("nobody at all", "x")).await;
    assert_eq!(refused["error"]["code"], 1101, "{refused}");
    // A refused call stores nothing.
    assert_eq!(world.database.count(ROWS).await, 1);
    assert_eq!(world.calls().await, 0);
}

#[tokio::test]
async fn odoo_is_woken_for_what_is_not_sent() {
    let odoo_server = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    let url = format!("http://{}", odoo_server.local_addr().expect("it has an address"));
    let database = TestDatabase::new(Series::Odoo14).await;
    let variable = format!("WABRIDGE__DATABASES__{}__ODOO_URL", database.name.to_uppercase());
    let mut world = World::around(database, "", &[(variable.as_str(), url.as_str())]).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let quiet = tokio::time::timeout(Duration::from_secs(2), odoo_server.accept()).await;
    assert!(quiet.is_err(), "nothing happened yet that Odoo should know of");
    let odoo = world.database.odoo().await;
    odoo_send(&odoo, "nobody at all", "x", None).await;
    let woken = tokio::time::timeout(Duration::from_secs(10), odoo_server.accept()).await;
    let (mut call, _) = woken.expect("Odoo is woken").expect("it can be heard");
    let mut head = [0; 32];
    call.read_exact(&mut head).await.expect("a request comes");
    assert!(head.starts_with(b"POST /whatsapp/bridge/wake "), "{}", head.escape_ascii());
}

/// Waits until all were taken, then compares the order at the provider.
async fn in_order(world: &World, wanted: Vec<String>) {
    let count = i64::try_from(wanted.len()).expect("few");
    world
        .until_count(
            "SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL",
            count,
            60,
        )
        .await;
    assert_eq!(texts(&world.accepted().await), wanted);
    assert_eq!(world.calls().await, wanted.len());
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE status = 'read'", count, 30)
        .await;
    assert_eq!(world.database.count(ROWS).await, count);
    world.until_quiet(5).await;
}

#[tokio::test]
async fn two_hundred_through_the_call() {
    let world = World::start().await;
    for n in 0..200 {
        world.send(PEER, &format!("call {n}")).await;
    }
    in_order(&world, (0..200).map(|n| format!("call {n}")).collect()).await;
}

#[tokio::test]
async fn two_hundred_through_transactions() {
    let world = World::start().await;
    let odoo = world.database.odoo().await;
    for n in 0..200 {
        if n % 10 == 0 {
            odoo.batch_execute("BEGIN").await.expect("Odoo begins");
        }
        odoo_send(&odoo, PEER, &format!("row {n}"), None).await;
        if n % 10 == 9 {
            odoo.batch_execute("COMMIT").await.expect("Odoo commits");
        }
    }
    in_order(&world, (0..200).map(|n| format!("row {n}")).collect()).await;
}

#[tokio::test]
async fn two_hundred_interleaved() {
    let world = World::start().await;
    let odoo = world.database.odoo().await;
    for n in 0..200 {
        if n % 3 == 0 {
            odoo_send(&odoo, PEER, &format!("n {n}"), None).await;
        } else {
            world.send(PEER, &format!("n {n}")).await;
        }
    }
    in_order(&world, (0..200).map(|n| format!("n {n}")).collect()).await;
}

#[tokio::test]
async fn told_to_wait() {
    let world = World::start().await;
    world.fault(json!({"operation": "message.send", "retry_after": 2, "times": 2})).await;
    let first = world.sent(PEER, "first").await;
    let second = world.sent(PEER, "second").await;
    let began = Instant::now();
    world.until_status(first, &["read"], 30).await;
    world.until_status(second, &["read"], 30).await;
    assert!(
        began.elapsed() >= Duration::from_secs(4),
        "Retry-After was not honoured: {:?}",
        began.elapsed()
    );
    assert_eq!(texts(&world.accepted().await), ["first", "second"]);
    assert_eq!(world.calls().await, 4, "two refused, two taken");
}

#[tokio::test]
async fn an_error_that_may_have_been_taken_is_not_repeated() {
    let world = World::with("[limits]\nsettle_s = 3", &[]).await;
    world.fault(json!({"operation": "message.send", "status": 500, "times": 1})).await;
    let id = world.sent(PEER, "perhaps").await;
    world.until_status(id, &["uncertain"], 10).await;
    // The policy is to hold: neither time nor a later message makes it go out again.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.status(id).await, "uncertain");
    assert_eq!(world.calls().await, 1);
    let next = world.sent(PEER, "next").await;
    world.until_status(next, &["read"], 20).await;
    assert_eq!(texts(&world.accepted().await), ["next"]);
    assert_eq!(world.status(id).await, "uncertain");
}

#[tokio::test]
async fn the_policy_to_resend() {
    let world = World::with("[limits]\nsettle_s = 3", &[]).await;
    world
        .database
        .execute("UPDATE whatsapp_configuration SET uncertain_policy = 'resend' WHERE id = 1")
        .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    world.fault(json!({"operation": "message.send", "status": 500, "times": 1})).await;
    let id = world.sent(PEER, "perhaps").await;
    world.until_status(id, &["uncertain"], 10).await;
    world.until_status(id, &["read"], 25).await;
    assert_eq!(world.calls().await, 2);
    assert_eq!(texts(&world.accepted().await), ["perhaps"]);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_settled_by_the_echo() {
    for fault in [
        json!({"operation": "message.send", "drop_answer": true, "webhook_delay_ms": 1500, "times": 1}),
        json!({"operation": "message.send", "status": 500, "accepted": true, "webhook_delay_ms": 1500, "times": 1}),
    ] {
        let world = World::start().await;
        world.fault(fault).await;
        let id = world.sent(PEER, "was it taken?").await;
        world.until_status(id, &["uncertain"], 10).await;
        world.until_status(id, &["read"], 20).await;
        assert_eq!(world.calls().await, 1);
        assert_eq!(world.database.count(ROWS).await, 1, "the echo made a row of its own");
        let of = format!("SELECT message_id FROM whatsapp_message WHERE id = {id}");
        assert_eq!(world.database.text(&of).await, Some(world.accepted().await[0].id.clone()));
        world.until_quiet(5).await;
    }
}

#[tokio::test]
async fn a_slow_provider() {
    let world = World::with("[limits]\nprovider_timeout_s = 2\nlease_s = 10", &[]).await;
    // Slower than anybody waits, and what it says comes before its answer would.
    world.fault(json!({"operation": "message.send", "delay_ms": 6000, "times": 1})).await;
    let id = world.sent(PEER, "slowly").await;
    world.until_status(id, &["read"], 25).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!((world.calls().await, world.database.count(ROWS).await), (1, 1));
    assert_eq!(world.status(id).await, "read");
}

#[tokio::test]
async fn webhooks_that_come_twice_and_backwards() {
    let world = World::start().await;
    world
        .fault(
            json!({"operation": "message.send", "duplicate_webhook": 3, "reorder_webhooks": true}),
        )
        .await;
    world
        .fault(json!({"operation": "inbound", "duplicate_webhook": 4, "reorder_webhooks": true}))
        .await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(world.sent(PEER, &format!("out {n}")).await);
    }
    for n in 0..5 {
        let one = json!({"provider": "whapi", "token": WHAPI_TOKEN, "from": PEER, "text": format!("in {n}")});
        world.simulator.control("inbound", one).await;
    }
    for id in &ids {
        world.until_status(*id, &["read"], 25).await;
    }
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE direction = 'inbound'", 5, 15)
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.database.count(ROWS).await, 10);
    assert_eq!(
        world.database.count("SELECT count(DISTINCT message_id) FROM whatsapp_message").await,
        10
    );
    world.until_count("SELECT count(*) FROM wabridge.early_event", 0, 10).await;
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal_pending").await, 0);
}

#[tokio::test]
async fn all_orders_of_the_statuses_end_alike() {
    let world = World::start().await;
    let chat = format!("{PEER}@s.whatsapp.net");
    let orders = [
        ["sent", "delivered", "read"],
        ["read", "sent", "delivered"],
        ["delivered", "read", "sent"],
    ];
    world.fault(json!({"operation": "message.send", "drop_webhooks": true})).await;
    for (n, order) in orders.iter().enumerate() {
        let id = world.sent(PEER, &format!("m {n}")).await;
        world.until_status(id, &["pending", "sent"], 10).await;
        let provider_id = world.accepted().await[n].id.clone();
        for word in order {
            assert_eq!(world.webhook(&status_event(&provider_id, &chat, word)).await, 200);
        }
        world.until_status(id, &["read"], 5).await;
        let facts = format!(
            "SELECT count(*) FROM whatsapp_message WHERE id = {id} AND sent_at IS NOT NULL AND delivered_at IS NOT NULL AND read_at IS NOT NULL"
        );
        world.until_count(&facts, 1, 5).await;
    }
}

#[tokio::test]
async fn a_number_that_is_not_on_whatsapp() {
    let world = World::start().await;
    let id = world.sent("+447700900801", "hello?").await;
    world.until_status(id, &["failed"], 15).await;
    let status = world.daemon.call("message.status", json!({"uid": USER, "id": id})).await;
    assert_eq!(
        (&status["data"]["status"], &status["data"]["error_code"]),
        (&json!("failed"), &json!("provider_rejected"))
    );
    world
        .until_count("SELECT count(*) FROM whatsapp_event WHERE kind = 'status_failed'", 1, 5)
        .await;
    world.until_quiet(5).await;
}

#[tokio::test]
async fn a_dead_token_pauses_the_account_and_loses_nothing() {
    let world = World::start().await;
    let state = |word: &str| json!({"provider": "whapi", "token": WHAPI_TOKEN, "state": word});
    world.simulator.control("state", state("qr_needed")).await;
    let id = world.sent(PEER, "later").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.status(id).await, "queued");
    assert_eq!(world.accepted().await.len(), 0);
    world.simulator.control("state", state("connected")).await;
    world.until_status(id, &["read"], 60).await;
    assert_eq!(world.accepted().await.len(), 1);
}

#[tokio::test]
async fn two_databases_in_one_daemon_do_not_mix() {
    const OTHER_TOKEN: &str = "whapi-token-of-the-other";
    let simulator = Simulator::start().await;
    let account = json!({"accounts": [{"provider": "whapi", "token": OTHER_TOKEN, "channel_id": "ROBIN-7Q2ZM",
        "phone": "447700900998", "name": "Birch Support"}]});
    simulator.control("state", account).await;
    let acme = TestDatabase::new(Series::Odoo14).await;
    let birch = TestDatabase::new(Series::Odoo19).await;
    world::credentials(&acme, &simulator.url, WHAPI_TOKEN).await;
    let birch_webhook = ("path-token-of-birch", "webhook-secret-of-birch");
    credentials_of(&birch, &simulator.url, OTHER_TOKEN, birch_webhook).await;
    birch
        .execute("UPDATE whatsapp_configuration SET channel_id = 'ROBIN-7Q2ZM' WHERE id = 1")
        .await;
    let daemon = Daemon::start(&[&acme, &birch], &[]).await;
    let birch_url = format!("{}/whatsapp/webhook/whapi/path-token-of-birch", daemon.public_url);
    world::hook(&simulator, WHAPI_TOKEN, &daemon.public_url).await;
    hook_url(&simulator, OTHER_TOKEN, &birch_url, birch_webhook.1).await;

    for n in 0..10 {
        for (key, text) in [("test", "acme"), ("test1", "birch")] {
            let answer = daemon
                .rpc_with(key, "message.send", text_params(PEER, &format!("{text} {n}")))
                .await;
            assert!(answer["error"].is_null(), "{answer}");
        }
    }
    for (database, text) in [(&acme, "acme"), (&birch, "birch")] {
        until_count(
            database,
            "SELECT count(*) FROM whatsapp_message WHERE status = 'read'",
            10,
            30,
        )
        .await;
        let own = format!("SELECT count(*) FROM whatsapp_message WHERE content LIKE '{text} %'");
        assert_eq!((database.count(&own).await, database.count(ROWS).await), (10, 10));
    }
    for (token, text) in [(WHAPI_TOKEN, "acme"), (OTHER_TOKEN, "birch")] {
        let sent = accepted(&simulator, token).await;
        assert_eq!(texts(&sent), (0..10).map(|n| format!("{text} {n}")).collect::<Vec<_>>());
    }
    // The path token of one with the secret of the other opens nothing; with its own, the other's channel is unknown.
    let http = client();
    let strange = text_event(&message_id(1), PEER, "strange");
    let answer =
        http.post(&birch_url).bearer_auth(world::WEBHOOK_SECRET).json(&strange).send().await;
    assert_eq!(answer.expect("the daemon answers").status().as_u16(), 401);
    let answer = http.post(&birch_url).bearer_auth(birch_webhook.1).json(&strange).send().await;
    assert_eq!(answer.expect("the daemon answers").status().as_u16(), 200);
    let quarantined = "SELECT count(*) FROM wabridge.journal_pending WHERE state = 'quarantined' AND reason = 'unknown_channel'";
    until_count(&birch, quarantined, 1, 5).await;
    let inbound = "SELECT count(*) FROM whatsapp_message WHERE direction = 'inbound'";
    assert_eq!((acme.count(inbound).await, birch.count(inbound).await), (0, 0));
    // A key of one database sees nothing of the other.
    let id = acme.count("SELECT min(id) FROM whatsapp_message").await;
    let beyond = id.max(birch.count("SELECT max(id) FROM whatsapp_message").await) + 1;
    acme.execute(&format!("UPDATE whatsapp_message SET id = {beyond} WHERE id = {id}")).await;
    let params = json!({"uid": USER, "id": beyond});
    assert_eq!(
        daemon.rpc_with("test", "message.status", params.clone()).await["result"]["data"]["id"],
        beyond
    );
    let foreign = daemon.rpc_with("test1", "message.status", params).await;
    assert!(foreign["error"]["code"].is_i64(), "{foreign}");
}
