//! A custom provider: the generic event byte for byte, a mapping, a wrong mapping and its cure, a send.

use serde_json::{Value, json};
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase, eventually};

use crate::support::program::wabridge;
use crate::support::world::{ADMIN, World, client, credentials_of};

const TOKEN: &str = "custom-token-canary-7301";
const PATH_TOKEN: &str = "custom-path-canary-4410";
const SECRET: &str = "custom-secret-canary-8842";
const CHANNEL: &str = "main";

/// Of issue 3, byte for byte but for the values that it leaves open.
const GENERIC: &str = r#"{"event_type":"message.received","timestamp":"2024-01-15T10:30:00Z","channel_id":"main","data":{"message":{"id":"A1","from":"1234567890@s.whatsapp.net","to":"group_id@g.us","type":"text","body":"Hello","timestamp":1642245000},"contact":{"name":"Amira","pushname":"amira"}}}"#;

/// Account 1 as a custom provider's with this mapping, asked for a path token alone unless `secret`.
async fn world(mapping: &str, secret: bool) -> World {
    let database = TestDatabase::new(Series::Odoo14).await;
    let simulator = Simulator::start().await;
    let mut daemon = Daemon::prepare(&[&database], "", &[]);
    let account = json!({
        "provider": "custom", "token": TOKEN, "channel_id": CHANNEL, "phone": "447700900999",
        "name": "Acme Support", "settings": {"webhook_url": url(&daemon.public_url, PATH_TOKEN)},
    });
    simulator.control("state", json!({"accounts": [account]})).await;
    credentials_of(&database, &simulator.url, TOKEN, (PATH_TOKEN, SECRET)).await;
    let secret = if secret { "webhook_secret" } else { "NULL" };
    database
        .execute(&format!(
            "UPDATE whatsapp_configuration SET provider = 'custom', channel_id = '{CHANNEL}', auth_mode = NULL,
                webhook_secret = {secret} WHERE id = 1"
        ))
        .await;
    map(&database, mapping).await;
    daemon.run();
    daemon.wait_ready().await;
    World { daemon, simulator, database }
}

async fn map(database: &TestDatabase, mapping: &str) {
    database
        .execute(&format!(
            "UPDATE whatsapp_configuration SET custom_mapping = nullif($json${mapping}$json$, '') WHERE id = 1"
        ))
        .await;
}

fn url(public_url: &str, token: &str) -> String {
    format!("{public_url}/whatsapp/webhook/custom/{token}")
}

async fn post(world: &World, token: &str, header: Option<(&str, &str)>, body: &str) -> u16 {
    let request = client()
        .post(url(&world.daemon.public_url, token))
        .header("content-type", "application/json")
        .body(body.to_owned());
    let request = match header {
        Some((name, value)) => request.header(name, value),
        None => request,
    };
    request.send().await.expect("an answer").status().as_u16()
}

/// Everything of the messages that matters here.
async fn messages(world: &World) -> String {
    let sql = "SELECT string_agg(concat_ws('|', m.message_id, m.message_type, m.direction, m.status, m.chat_id,
                      coalesce(m.content, m.caption), c.contact_id, c.pushname, m.timestamp), E'\\n' ORDER BY m.id)
               FROM whatsapp_message m LEFT JOIN whatsapp_contact c ON c.id = m.contact_id";
    world.database.text(sql).await.unwrap_or_default()
}

const ROW: &str = "A1|text|inbound|delivered|group_id@g.us|Hello|1234567890@s.whatsapp.net|amira|2022-01-15 11:10:00";

#[tokio::test]
async fn the_generic_event_byte_for_byte() {
    let world = world("", false).await;
    for (token, expected) in [("wrong", 401), (PATH_TOKEN, 200), (PATH_TOKEN, 200)] {
        assert_eq!(post(&world, token, None, GENERIC).await, expected, "{token}");
    }
    assert_eq!(messages(&world).await, ROW, "once");
    let contact = "SELECT concat_ws('|', phone, name, pushname) FROM whatsapp_contact";
    assert_eq!(world.database.text(contact).await.as_deref(), Some("+1234567890|Amira|amira"));
    let body = world
        .database
        .text("SELECT convert_from(body, 'UTF8') FROM wabridge.journal LIMIT 1")
        .await;
    assert_eq!(body.as_deref(), Some(GENERIC));
}

#[tokio::test]
async fn the_worked_example_with_its_secret_and_signature_headers() {
    let page = include_str!("../../../docs/CUSTOM_PROVIDER.md");
    let (_, section) = page.split_once("## A worked example\n").expect("the section");
    let mut blocks =
        section.split("```json\n").skip(1).map(|block| block.split("```").next().expect("an end"));
    let world = world(blocks.next().expect("the mapping"), true).await;
    world
        .database
        .execute("UPDATE whatsapp_configuration SET channel_id = 'L-7' WHERE id = 1")
        .await;
    let webhook = blocks.next().expect("a webhook");
    for header in [None, Some(("x-lark-secret", "wrong")), Some(("authorization", SECRET))] {
        assert_eq!(post(&world, PATH_TOKEN, header, webhook).await, 401, "{header:?}");
    }
    eventually("the channel is known", 10, async || {
        assert_eq!(post(&world, PATH_TOKEN, Some(("x-lark-secret", SECRET)), webhook).await, 200);
        let row = "K1|image|inbound|delivered|120363025550100777@g.us|Gate|447700900123@c.us|Amira|2025-12-15 12:00:01";
        (messages(&world).await == row).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_wrong_mapping_says_why_and_heals_by_replay() {
    let world = world(r#"{"webhook":{"message":{"idd":"/x"}}}"#, false).await;
    assert_eq!(post(&world, PATH_TOKEN, None, GENERIC).await, 200, "kept");
    let why = "custom_mapping: webhook.message.idd";
    let sql = "SELECT reason || ' ' || detail FROM wabridge.journal_pending";
    let detail = world.database.text(sql).await.unwrap_or_default();
    assert!(detail.starts_with("unreadable ") && detail.contains(why), "{detail}");
    let params = json!({"uid": ADMIN, "configuration_id": 1});
    let health = world.daemon.call("configuration.health", params.clone()).await;
    assert_eq!(health["data"]["state"], "disconnected");
    assert!(
        health["data"]["reason"].as_str().is_some_and(|reason| reason.contains(why)),
        "{health}"
    );
    let tested = world.daemon.rpc("configuration.test", params.clone()).await;
    assert!(tested["error"]["message"].as_str().is_some_and(|text| text.contains(why)), "{tested}");
    assert!(world.daemon.log().contains(why));
    let doctor = wabridge(Some(&world.daemon.config_path()), &["doctor"]).await;
    assert!(doctor.stdout.contains(why), "{}{}", doctor.stdout, doctor.stderr);

    map(&world.database, "").await;
    eventually("the mapping is read again", 10, async || {
        let answer = world.daemon.rpc("configuration.test", params.clone()).await;
        (answer["result"]["data"]["state"] == "connected").then_some(())
    })
    .await;
    wabridge(Some(&world.daemon.config_path()), &["journal", "replay", "--quarantined"])
        .await
        .well();
    eventually("the webhook is applied", 20, async || {
        (messages(&world).await == ROW).then_some(())
    })
    .await;
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 10).await;
}

#[tokio::test]
async fn a_send_and_its_statuses() {
    let world = world("", false).await;
    let id = world.sent("+447700900123", "hello").await;
    world.until_status(id, &["read"], 20).await;
    let sends = world.simulator.requests("/messages").await;
    assert_eq!(sends.len(), 1);
    let expected = json!({
        "to": "447700900123@s.whatsapp.net", "type": "text", "body": "hello",
        "reference": format!("wabridge:{}:{id}:1", world.database.name),
    });
    let body: &Value = &sends[0]["body"];
    assert_eq!(*body, expected);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1, "no twin");
}
