//! Meta's 24 hours after a customer wrote: at both doors, at the claim, and what waits for the customer.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use wabridge_testkit::eventually;

use crate::sending::{META_NUMBER, META_SECRET, meta_prepared};
use crate::support::World;
use crate::support::world::{USER, odoo_send, text_params};

/// Ten minutes of his day are left.
const INSIDE: &str = "447700900123";
/// His day ended a second ago.
const OUTSIDE: &str = "447700900124";
const NEVER: &str = "447700900125";

/// Customers around the limit, at an account with this policy.
async fn world(policy: &str) -> World {
    let mut world = meta_prepared(&[]).await;
    world
        .database
        .execute(&format!(
            "UPDATE whatsapp_configuration SET window_policy = '{policy}' WHERE id = 1;
             INSERT INTO whatsapp_chat (configuration_id, chat_id, last_inbound_at) VALUES
                (1, '{INSIDE}', now() AT TIME ZONE 'UTC' - interval '23:50'),
                (1, '{OUTSIDE}', now() AT TIME ZONE 'UTC' - interval '24:00:01')"
        ))
        .await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    world
}

/// What the provider was asked to send, by recipient.
async fn asked(world: &World) -> Vec<String> {
    let path = format!("/v23.0/{META_NUMBER}/messages");
    let calls = world.simulator.requests(&path).await;
    calls.iter().filter_map(|call| call["body"]["to"].as_str().map(str::to_owned)).collect()
}

async fn code_and_words(world: &World, id: i64) -> (String, String) {
    let of = |column: &str| format!("SELECT {column} FROM whatsapp_message WHERE id = {id}");
    let code = world.database.text(&of("error_code")).await.unwrap_or_default();
    (code, world.database.text(&of("error_message")).await.unwrap_or_default())
}

async fn by_transaction(world: &World, to: &str) -> i64 {
    let odoo = world.database.odoo().await;
    odoo_send(&odoo, to, "by transaction", None).await
}

/// The customer writes, as Meta tells it.
async fn writes(world: &World, from: &str) {
    let now = wabridge_domain::Clock::now(&wabridge_domain::clock::SystemClock).as_second();
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [{
        "field": "messages",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "447700900999", "phone_number_id": META_NUMBER},
            "contacts": [{"profile": {"name": "Amira Osei"}, "wa_id": from}],
            "messages": [{"from": from, "id": "wamid.HBgMNDQ3NzAwOTAwMTI0FQIAEhgUM0EWINDOW", "timestamp": now.to_string(),
                "type": "text", "text": {"body": "Hello?"}}],
        },
    }]}]})
    .to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(META_SECRET.as_bytes()).expect("any length fits");
    mac.update(body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let answer = world
        .daemon
        .http
        .post(format!("{}/whatsapp/webhook/meta", world.daemon.public_url))
        .header("content-type", "application/json")
        .header("x-hub-signature-256", signature)
        .body(body)
        .send()
        .await
        .expect("the daemon answers");
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn outside_it_both_doors_refuse_at_once() {
    let world = world("refuse").await;
    for to in [OUTSIDE, NEVER] {
        let answer = world.daemon.rpc("message.send", text_params(to, "too late")).await;
        assert_eq!(answer["error"]["code"], 1107, "{answer}");
        assert!(
            answer["error"]["message"].as_str().is_some_and(|words| words.contains("24 hours"))
        );
    }
    let bulk = json!({"uid": USER, "messages": [
        {"to": OUTSIDE, "type": "text", "text": {"body": "no"}},
        {"to": INSIDE, "type": "text", "text": {"body": "yes"}},
    ]});
    let results = world.daemon.call("message.send_bulk", bulk).await["data"]["results"].clone();
    assert_eq!(results[0]["error"]["code"], 1107, "{results}");
    assert!(results[1]["id"].is_i64(), "{results}");
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);

    let refused = by_transaction(&world, OUTSIDE).await;
    world.until_status(refused, &["failed"], 15).await;
    let (code, words) = code_and_words(&world, refused).await;
    assert_eq!(code, "outside_service_window");
    assert!(words.contains("24 hours"), "{words}");
    let allowed = by_transaction(&world, INSIDE).await;
    world.until_status(allowed, &["pending", "sent", "delivered", "read"], 15).await;

    let again = world.daemon.rpc("message.retry", json!({"uid": USER, "id": refused})).await;
    assert_eq!(again["error"]["code"], 1107, "{again}");
    // An approved template may go at any time.
    let template = json!({"uid": USER, "to": OUTSIDE, "type": "template",
        "template": {"name": "order_update", "language": "en_GB", "parameters": {"body": ["17"]}}});
    world.daemon.call("message.send", template).await;
    eventually("the template is handed over", 15, async || {
        asked(&world).await.contains(&OUTSIDE.to_owned()).then_some(())
    })
    .await;
    let mut to = asked(&world).await;
    to.sort();
    assert_eq!(to, [INSIDE, INSIDE, OUTSIDE]);
}

#[tokio::test]
async fn the_claim_has_the_last_word() {
    let world = world("refuse").await;
    // Today's hours say nothing about a message for later.
    let at = "SELECT to_char((now() + interval '2 s') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    let mut later = text_params(OUTSIDE, "later");
    later["schedule_at"] = json!(world.database.text(at).await);
    let taken = world.daemon.call("message.send", later).await["data"]["id"].as_i64();
    let id = taken.expect("a row id");
    world.until_status(id, &["failed"], 20).await;
    let (code, words) = code_and_words(&world, id).await;
    assert_eq!(code, "outside_service_window");
    assert!(words.contains("24 hours"), "{words}");
    assert!(asked(&world).await.is_empty());
}

#[tokio::test]
async fn what_waits_goes_when_the_customer_writes() {
    let world = world("wait").await;
    let called = world.sent(OUTSIDE, "by call").await;
    let committed = by_transaction(&world, OUTSIDE).await;
    let never = world.sent(NEVER, "still waits").await;
    let open = world.sent(INSIDE, "goes").await;
    world.until_status(open, &["pending", "sent", "delivered", "read"], 15).await;
    // Nothing was known of this account before: its row is made.
    let shown = "SELECT count(*) FROM whatsapp_account_state
                 WHERE waiting_reason = 'window' AND waiting_count = 3 AND state = 'new' AND create_uid = 1";
    world.until_count(shown, 1, 20).await;
    for id in [called, committed, never] {
        assert_eq!(world.status(id).await, "queued");
    }
    assert_eq!(asked(&world).await, [INSIDE]);
    writes(&world, OUTSIDE).await;
    for id in [called, committed] {
        world.until_status(id, &["pending", "sent", "delivered", "read"], 20).await;
    }
    assert_eq!(world.status(never).await, "queued");
    assert_eq!(asked(&world).await, [INSIDE, OUTSIDE, OUTSIDE]);
    // What waits can be taken back.
    let cancelled: Value =
        world.daemon.call("message.cancel", json!({"uid": USER, "id": never})).await;
    assert_eq!(cancelled["data"]["status"], "cancelled");
    let clear = "SELECT count(*) FROM whatsapp_account_state WHERE waiting_reason IS NULL AND waiting_count = 0";
    world.until_count(clear, 1, 20).await;
}
