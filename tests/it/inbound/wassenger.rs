//! A Wassenger account: webhooks as recorded, wrong secrets, and a send with what comes back of it.

mod rows;

use serde_json::{Value, json};
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase};

use crate::support::world::{World, client, credentials_of, text_params};

const TOKEN: &str = "wassenger-token-canary-9914";
const DEVICE: &str = "68a1f0c2d4e5b60718293a4b";
const PATH_TOKEN: &str = "wassenger-path-canary-2201";

/// Account 1 as Wassenger's device, with a path token alone unless `secret` is given.
async fn world(secret: Option<&str>) -> World {
    let database = TestDatabase::new(Series::Odoo14).await;
    let simulator = Simulator::start().await;
    let account = json!({
        "provider": "wassenger", "token": TOKEN, "channel_id": DEVICE, "phone": "447700900999",
        "name": "Acme Support",
    });
    simulator.control("state", json!({"accounts": [account]})).await;
    database
        .execute(&format!(
            "UPDATE whatsapp_configuration SET provider = 'wassenger', channel_id = '{DEVICE}', auth_mode = NULL
             WHERE id = 1"
        ))
        .await;
    let webhook = (PATH_TOKEN, secret.unwrap_or("unused"));
    credentials_of(&database, &format!("{}/v1", simulator.url), TOKEN, webhook).await;
    if secret.is_none() {
        database
            .execute("UPDATE whatsapp_configuration SET webhook_secret = NULL WHERE id = 1")
            .await;
    }
    let mut daemon = Daemon::prepare(&[&database], "", &[]);
    daemon.run();
    daemon.wait_ready().await;
    World { daemon, simulator, database }
}

fn vector(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../crates/providers/fixtures/wassenger/{name}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("vectors are JSON")
}

fn url(world: &World, token: &str) -> String {
    format!("{}/whatsapp/webhook/wassenger/{token}", world.daemon.public_url)
}

async fn post(world: &World, token: &str, secret: Option<&str>, body: &Value) -> u16 {
    let mut request = client().post(url(world, token)).json(body);
    if let Some(secret) = secret {
        request = request.bearer_auth(secret);
    }
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn recorded_webhooks_become_rows() {
    let world = world(None).await;
    let names = [
        "message_in",
        "message_in_group",
        "message_in_image",
        "message_in_location",
        "message_in_poll",
        "message_in_quoted",
        "message_out_new",
        "message_reaction",
    ];
    // Twice each: nothing is doubled.
    for name in names.into_iter().chain(names) {
        assert_eq!(post(&world, PATH_TOKEN, None, &vector(name)).await, 200, "{name}");
    }
    assert_eq!(post(&world, PATH_TOKEN, None, &vector("message_ack")).await, 200);
    let sql = "SELECT string_agg(concat_ws('|', message_id, message_type, direction, origin, status, chat_id,
                      coalesce(content, caption)), E'\\n' ORDER BY message_id)
               FROM whatsapp_message WHERE message_type <> 'reaction'";
    let direct = "447700900123@c.us";
    let expected = [
        format!("3EB0A1B2C3D4E5F60718|text|inbound|provider|delivered|{direct}|Hello, is the blue model in stock?"),
        format!("3EB0A1B2C3D4E5F60719|image|inbound|provider|delivered|{direct}|Photo of the broken part"),
        "3EB0A1B2C3D4E5F6071A|text|inbound|provider|delivered|120363025550100777@g.us|Gate is closed".to_owned(),
        format!("3EB0A1B2C3D4E5F6071B|location|inbound|provider|delivered|{direct}"),
        format!("3EB0A1B2C3D4E5F6071C|text|inbound|provider|delivered|{direct}|Yes please"),
        format!("3EB0A1B2C3D4E5F6071D|poll|inbound|provider|delivered|{direct}|Which slot suits you?"),
        format!("3EB0FFEEDDCCBBAA0011|text|outbound|provider|read|{direct}|Your order 118 has shipped."),
    ];
    assert_eq!(world.database.text(sql).await.unwrap_or_default(), expected.join("\n"));
    let sql = "SELECT r.content || '|' || q.message_id FROM whatsapp_message r
               JOIN whatsapp_message q ON q.id = r.reply_to_id WHERE r.message_type = 'reaction'";
    assert_eq!(world.database.text(sql).await.as_deref(), Some("👍|3EB0FFEEDDCCBBAA0011"));
    let contacts = "SELECT string_agg(contact_id || '|' || phone || '|' || coalesce(lid, ''), ',') FROM whatsapp_contact
                    WHERE phone = '+447700900123'";
    assert_eq!(
        world.database.text(contacts).await.as_deref(),
        Some("447700900123@c.us|+447700900123|183800000000123@lid"),
        "one person"
    );
    let quarantined = "SELECT count(*) FROM wabridge.journal_pending";
    assert_eq!(world.database.count(quarantined).await, 0);
}

#[tokio::test]
async fn strangers_are_refused() {
    let world = world(Some("static-header-canary")).await;
    let body = vector("message_in");
    for (token, secret) in [
        ("wrong", None),
        ("wrong", Some("static-header-canary")),
        (PATH_TOKEN, None),
        (PATH_TOKEN, Some("wrong")),
    ] {
        assert_eq!(post(&world, token, secret, &body).await, 401, "{token} {secret:?}");
    }
    assert_eq!(post(&world, PATH_TOKEN, Some("static-header-canary"), &body).await, 200);
    let mut other = body.clone();
    other["device"]["id"] = json!("68a1f0c2d4e5b60718293a4c");
    assert_eq!(post(&world, PATH_TOKEN, Some("static-header-canary"), &other).await, 200);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
    let reasons = "SELECT string_agg(reason, ',') FROM wabridge.journal_pending";
    assert_eq!(world.database.text(reasons).await.as_deref(), Some("unknown_channel"));
}

#[tokio::test]
async fn a_send_and_its_acknowledgements() {
    let world = world(None).await;
    world
        .database
        .execute(&format!(
            "INSERT INTO ir_config_parameter (key, value) VALUES ('whatsapp_integration.public_url', '{}')
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            world.daemon.public_url
        ))
        .await;
    let params = json!({"uid": crate::support::world::ADMIN, "configuration_id": 1});
    world.daemon.call("configuration.register_webhook", params.clone()).await;
    let tested = world.daemon.call("configuration.test", params).await;
    assert_eq!(tested["data"]["state"], "connected", "{tested}");

    let id = world.sent("+447700900123", "hello").await;
    world.until_status(id, &["read"], 20).await;
    let sends = world.simulator.requests("/v1/messages").await;
    assert_eq!(sends.len(), 1);
    assert_eq!(sends[0]["body"]["reference"], format!("wabridge:{}:{id}:1", world.database.name));
    assert_eq!(sends[0]["body"]["enqueue"], "never");
    let sql = format!(
        "SELECT message_id ~ '^3EB0[0-9A-F]{{16}}$' AND chat_id = '447700900123@c.us' FROM whatsapp_message WHERE id = {id}"
    );
    assert_eq!(
        world.database.text(&format!("SELECT ({sql})::text")).await.as_deref(),
        Some("true")
    );
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1, "no twin");

    // The echo person answers.
    world.daemon.call("message.send", text_params("+447700900803", "ping")).await;
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE content = 'Echo: ping'", 1, 20)
        .await;
}
