//! Meta: two numbers of one app behind one address. The handshake, signed webhooks, wrong signatures, whose
//! event it is, and a send with what comes back of it.

mod rows;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase, eventually};

use crate::support::world::{ADMIN, USER, World, client, text_params};

const TOKEN: &str = "meta-token-canary-4471";
const APP_SECRET: &str = "meta-app-secret-canary-2290";
const VERIFY_TOKEN: &str = "bridge-verify-7Qm";
const NUMBER: &str = "206543210987654";
const SECOND: &str = "206543210987655";

/// Accounts 1 and 2 are two numbers of one app, in a daemon, beside a simulator that plays both.
async fn world() -> World {
    let database = TestDatabase::new(Series::Odoo14).await;
    let simulator = Simulator::start().await;
    let account = |channel: &str, phone: &str| {
        json!({"provider": "meta", "token": TOKEN, "channel_id": channel, "phone": phone, "name": "Acme Support",
            "settings": {"app_secret": APP_SECRET}})
    };
    let accounts = [account(NUMBER, "447700900999"), account(SECOND, "447700900998")];
    simulator.control("state", json!({"accounts": accounts})).await;
    let mut daemon = Daemon::prepare(&[&database], "", &[]);
    let first = database
        .text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1")
        .await
        .expect("the fixture has account 1");
    let second = "4f3c2b1a-0000-4000-8000-0000000000d2";
    database
        .execute(&format!(
            "INSERT INTO whatsapp_configuration (id, name, provider, active, sequence, company_id, seal_uuid)
             VALUES (2, 'Second', 'meta', true, 20, 1, '{second}')"
        ))
        .await;
    for (id, channel, seal_uuid) in [(1, NUMBER, first.as_str()), (2, SECOND, second)] {
        let mut sets = format!(
            "provider = 'meta', channel_id = '{channel}', auth_mode = NULL, pace_per_second = 0, base_url = '{}',
             webhook_token = NULL, webhook_secret = NULL",
            simulator.url
        );
        for (column, clear) in
            [("token", TOKEN), ("app_secret", APP_SECRET), ("verify_token", VERIFY_TOKEN)]
        {
            let sealed = Daemon::seal(&database, seal_uuid, column, clear).await;
            sets.push_str(&format!(", {column} = '{sealed}'"));
        }
        database
            .execute(&format!("UPDATE whatsapp_configuration SET {sets} WHERE id = {id}"))
            .await;
    }
    database
        .execute(&format!(
            "INSERT INTO ir_config_parameter (key, value) VALUES ('whatsapp_integration.public_url', '{}')
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            daemon.public_url
        ))
        .await;
    daemon.run();
    daemon.wait_ready().await;
    World { daemon, simulator, database }
}

fn vector(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../crates/providers/fixtures/meta/{name}.json"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("vectors are JSON")
}

fn url(world: &World) -> String {
    format!("{}/whatsapp/webhook/meta", world.daemon.public_url)
}

fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// A webhook with these headers, as it is; the answer's status.
async fn post(world: &World, headers: &[(&str, &str)], body: &str) -> u16 {
    let mut request = client().post(url(world)).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer").status().as_u16()
}

/// A webhook that Meta signed.
async fn signed(world: &World, body: &str) -> u16 {
    let signature = signature(APP_SECRET, body);
    post(world, &[("x-hub-signature-256", &signature)], body).await
}

#[tokio::test]
async fn the_handshake_is_answered_to_who_knows_the_verify_token() {
    let world = world().await;
    let vectors = json(&vector("verify_handshake_vectors"));
    for case in vectors["vectors"].as_array().expect("a list") {
        let (name, query) = (&case["name"], case["query"].as_str().expect("a query"));
        let answer =
            client().get(format!("{}?{query}", url(&world))).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a text");
        if case["status"] == 200 {
            assert_eq!(
                (status, text.as_str()),
                (200, case["body"].as_str().expect("a text")),
                "{name}"
            );
        } else {
            // One answer to all strangers: nothing tells a wrong token from a wrong question.
            assert_eq!(status, 401, "{name}: {text}");
            assert!(!text.contains("1158201444"), "{name}");
        }
    }
}

#[tokio::test]
async fn only_signed_bytes_are_taken() {
    let world = world().await;
    let body = vector("message_text");
    let (good, other) = (signature(APP_SECRET, &body), signature("other", &body));
    let bare = good.trim_start_matches("sha256=");
    for headers in [
        &[][..],
        &[("x-hub-signature-256", other.as_str())],
        &[("x-hub-signature-256", bare)],
        &[("x-hub-signature", good.as_str())],
        &[("x-hub-signature-256", good.as_str()), ("x-hub-signature-256", good.as_str())],
        &[("authorization", "Bearer meta-app-secret-canary-2290")],
    ] {
        assert_eq!(post(&world, headers, &body).await, 401, "{headers:?}");
    }
    let good = [("x-hub-signature-256", good.as_str())];
    assert_eq!(post(&world, &good, &format!("{body} ")).await, 401, "other bytes");
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal").await, 0);
    assert_eq!(post(&world, &good, &body).await, 200);
    let kept = "SELECT verified_by FROM wabridge.journal";
    assert_eq!(world.database.text(kept).await.as_deref(), Some("hmac"));
}

#[tokio::test]
async fn recorded_webhooks_become_rows() {
    let world = world().await;
    let messages = [
        "message_button",
        "message_contacts",
        "message_document",
        "message_echo_business_app",
        "message_group_text",
        "message_image",
        "message_interactive_list",
        "message_location",
        "message_reaction",
        "message_sticker",
        "message_text",
        "message_text_reply",
        "message_voice",
    ];
    let others = [
        "group_lifecycle_create",
        "group_participants_add",
        "group_settings_update",
        "phone_number_quality_update",
        "template_status_update",
        "status_sent",
        "status_delivered",
        "status_failed",
        "status_read",
    ];
    // Twice each: nothing is doubled.
    for name in messages.into_iter().chain(others).chain(messages).chain(others) {
        assert_eq!(signed(&world, &vector(name)).await, 200, "{name}");
    }
    let sql = "SELECT string_agg(concat_ws('|', configuration_id, message_id, message_type, direction, origin, status,
                      chat_id, coalesce(content, caption)), E'\\n' ORDER BY message_id)
               FROM whatsapp_message WHERE message_type <> 'system'";
    let group = "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD";
    let direct = "447700900123";
    let inbound = |id: &str, kind: &str, chat: &str, text: &str| {
        let row = format!("1|wamid.{id}|{kind}|inbound|provider|delivered|{chat}");
        if text.is_empty() { row } else { format!("{row}|{text}") }
    };
    let mut expected = vec![
        format!(
            "1|wamid.SEItZWNoby0wMDAx|text|outbound|phone|sent|{direct}|Sent by hand from the phone"
        ),
        inbound("SEItaW4tYXVkLTAwMDE=", "voice", direct, ""),
        inbound("SEItaW4tYnRuLTAwMDE=", "interactive", direct, "Confirm"),
        inbound("SEItaW4tY29uLTAwMDE=", "contact", direct, "Warehouse Desk"),
        inbound("SEItaW4tZG9jLTAwMDE=", "document", direct, "Purchase order attached"),
        inbound("SEItaW4tZ3JwLTAwMDE=", "text", group, "Gate is closed"),
        inbound("SEItaW4taW1nLTAwMDE=", "image", direct, "Photo of the broken part"),
        inbound("SEItaW4taW50LTAwMDE=", "interactive", direct, "Morning"),
        inbound("SEItaW4tbG9jLTAwMDE=", "location", direct, ""),
        inbound("SEItaW4tcmVhLTAwMDE=", "reaction", direct, "👍"),
        inbound("SEItaW4tc3RrLTAwMDE=", "sticker", direct, ""),
        inbound("SEItaW4tdGV4dC0wMDAx", "text", direct, "Hello, is the blue model in stock?"),
        inbound("SEItaW4tdGV4dC0wMDAy", "text", direct, "Yes please"),
    ];
    let rows = world.database.text(sql).await.unwrap_or_default();
    let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
    rows.sort();
    expected.sort();
    assert_eq!(rows, expected);
    let people =
        "SELECT string_agg(concat_ws('|', contact_id, phone, pushname), ',') FROM whatsapp_contact
                  WHERE phone = '+447700900123'";
    assert_eq!(
        world.database.text(people).await.as_deref(),
        Some("447700900123|+447700900123|Amira Osei"),
        "one person"
    );
    let quarantined = "SELECT coalesce(string_agg(reason || ' ' || detail, ', '), '') FROM wabridge.journal_pending";
    assert_eq!(world.database.text(quarantined).await.as_deref(), Some(""));
}

#[tokio::test]
async fn one_address_serves_both_numbers() {
    let world = world().await;
    let text = vector("message_text");
    let of_second = text.replace(NUMBER, SECOND).replace("0wMDAx", "0wMDBi");
    // One body with entries of both, and of a number that nobody has.
    let entry = |text: &str| json(text)["entry"][0].clone();
    let stranger = text.replace(NUMBER, "206543210987999");
    let body = json!({"object": "whatsapp_business_account",
        "entry": [entry(&text), entry(&stranger), entry(&of_second)]});
    assert_eq!(signed(&world, &body.to_string()).await, 200);
    let sql =
        "SELECT string_agg(configuration_id || ' ' || message_id, ',' ORDER BY configuration_id)
               FROM whatsapp_message";
    let expected = "1 wamid.SEItaW4tdGV4dC0wMDAx,2 wamid.SEItaW4tdGV4dC0wMDBi";
    assert_eq!(world.database.text(sql).await.as_deref(), Some(expected));
    let reasons = "SELECT string_agg(reason, ',') FROM wabridge.journal_pending";
    assert_eq!(world.database.text(reasons).await.as_deref(), Some("unknown_channel"));
}

#[tokio::test]
async fn a_send_and_its_statuses() {
    let world = world().await;
    let tested = json!({"uid": ADMIN, "configuration_id": 1});
    let answer = world.daemon.call("configuration.test", tested.clone()).await;
    assert_eq!(answer["data"]["state"], "connected", "{answer}");
    // Meta asks the bridge itself for the verify token before it takes the address.
    world.daemon.call("configuration.register_webhook", tested).await;
    let text = "Your order 118 has shipped.";
    let params = text_params("+44 7700 900123", text);
    let sent = world.daemon.call("message.send", params).await["data"].clone();
    let id = sent["id"].as_i64().expect("a row id");
    world.until_status(id, &["read"], 15).await;
    let row = world
        .database
        .text(&format!(
            "SELECT chat_id || '|' || (sent_at IS NOT NULL) || '|' || (delivered_at IS NOT NULL) || '|' || left(message_id, 6)
             FROM whatsapp_message WHERE id = {id}"
        ))
        .await;
    assert_eq!(row.as_deref(), Some("447700900123|true|true|wamid."));
    let seen = world.simulator.requests(&format!("/v23.0/{NUMBER}/messages")).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0]["token"], TOKEN);

    // Nobody there: accepted at first, failed by a status.
    let sent = world.send("+447700900801", "nobody there").await;
    let id = sent["id"].as_i64().expect("a row id");
    world.until_status(id, &["failed"], 15).await;
    let why = format!("SELECT error_message FROM whatsapp_message WHERE id = {id}");
    let why = world.database.text(&why).await.unwrap_or_default();
    assert!(why.contains("131026"), "{why}");

    // An answer to the group comes as a person of it.
    let inbound =
        json!({"provider": "meta", "token": NUMBER, "from": "447700900123", "text": "Thanks!"});
    world.simulator.control("inbound", inbound).await;
    let arrived =
        "SELECT count(*) FROM whatsapp_message WHERE content = 'Thanks!' AND direction = 'inbound'";
    eventually("the answer", 10, async || (world.database.count(arrived).await == 1).then_some(()))
        .await;
}

#[tokio::test]
async fn a_dead_token_and_a_closed_window() {
    let world = world().await;
    let error = json!({"error": {"message": "(#131047) Re-engagement message", "type": "OAuthException",
        "code": 131_047, "error_data": {"details": "More than 24 hours have passed."}}});
    world
        .fault(json!({"provider": "meta", "operation": "message.send", "status": 400, "body": error, "times": 1}))
        .await;
    let sent = world.send("+447700900123", "too late").await;
    let id = sent["id"].as_i64().expect("a row id");
    world.until_status(id, &["failed"], 15).await;
    let code = format!("SELECT error_code FROM whatsapp_message WHERE id = {id}");
    assert_eq!(world.database.text(&code).await.as_deref(), Some("outside_service_window"));

    let dead = json!({"accounts": [{"token": NUMBER, "state": "token_dead"}]});
    world.simulator.control("state", dead).await;
    let waiting = world.sent("+447700900123", "waits").await;
    let state = "SELECT state FROM whatsapp_account_state WHERE configuration_id = 1";
    eventually("the account is down", 15, async || {
        (world.database.text(state).await.as_deref() == Some("token_dead")).then_some(())
    })
    .await;
    assert_eq!(world.status(waiting).await, "queued", "it waits, it does not fail");
}

#[tokio::test]
async fn a_place_and_a_template_go_out_in_metas_words() {
    let world = world().await;
    let to = "+447700900123";
    for (kind, part) in [
        ("location", json!({"latitude": 51.5, "longitude": -0.125, "name": "Depot 4"})),
        (
            "template",
            json!({"name": "shipped", "language": "en_GB", "parameters": {"body": ["118"]}}),
        ),
    ] {
        let mut params = json!({"uid": USER, "to": to, "type": kind});
        params[kind] = part;
        let sent = world.daemon.call("message.send", params).await["data"].clone();
        let id = sent["id"].as_i64().unwrap_or_else(|| panic!("no row id: {sent}"));
        world.until_status(id, &["pending", "sent", "delivered", "read"], 30).await;
    }
    let seen = world.simulator.requests(&format!("/v23.0/{NUMBER}/messages")).await;
    let bodies: Vec<Value> = seen
        .iter()
        .map(|request| match &request["body"] {
            Value::String(text) => json(text),
            body => body.clone(),
        })
        .collect();
    assert_eq!(bodies.len(), 2, "{seen:?}");
    assert_eq!(bodies[0]["location"]["latitude"], "51.5");
    let parameters = json!([{"type": "body", "parameters": [{"type": "text", "text": "118"}]}]);
    assert_eq!(bodies[1]["template"]["components"], parameters);
    assert_eq!(bodies[1]["template"]["language"]["code"], "en_GB");
    // What Meta has no word for is refused before anything is stored.
    let poll = json!({"uid": USER, "to": to, "type": "poll", "poll": {"title": "?", "options": ["a", "b"]}});
    let refused = world.daemon.rpc("message.send", poll).await;
    assert_eq!(refused["error"]["code"], 1105, "{refused}");
}

#[tokio::test]
async fn a_file_is_handed_over_once_and_sent_twice() {
    let world = world().await;
    let register = json!({"uid": ADMIN, "configuration_id": 1});
    world.daemon.call("configuration.register_webhook", register).await;
    let inbound =
        json!({"provider": "meta", "token": NUMBER, "from": "447700900123", "type": "image"});
    world.simulator.control("inbound", inbound).await;
    let file = eventually("the file is here", 20, async || {
        world.database.text("SELECT id::text FROM whatsapp_media WHERE state = 'ready'").await
    })
    .await;
    let file: i64 = file.parse().expect("a row id");
    for to in ["+447700900124", "+447700900125"] {
        let params = json!({"uid": USER, "to": to, "type": "image", "media": {"id": file, "caption": "as seen"}});
        let sent = world.daemon.call("message.send", params).await["data"].clone();
        let id = sent["id"].as_i64().unwrap_or_else(|| panic!("no row id: {sent}"));
        world.until_status(id, &["pending", "sent", "delivered", "read"], 30).await;
    }
    let uploads = world.simulator.requests(&format!("/v23.0/{NUMBER}/media")).await;
    assert_eq!(uploads.len(), 1, "{uploads:?}");
    let seen = world.simulator.requests(&format!("/v23.0/{NUMBER}/messages")).await;
    assert_eq!(seen.len(), 2, "{seen:?}");
}
