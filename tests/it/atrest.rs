//! Secrets at rest: planted canaries stand nowhere in clear.

mod places;

use std::process::Command;

use serde_json::json;
use wabridge_testkit::daemon::{KEY_ID, KEY_SECRET, SEALING_KEY, WHAPI_TOKEN};
use wabridge_testkit::{Cluster, Daemon, TestDatabase};

use crate::support::World;
use crate::support::world::{
    self, ADMIN, USER, WEBHOOK_SECRET, WEBHOOK_TOKEN, message_id, text_event, text_params,
};

const PEER: &str = "447700900123";
/// Sealed by a call of this test, so that it passes through every layer.
const NEW_TOKEN: &str = "new-provider-token-canary-8812";

const CANARIES: [(&str, &str); 6] = [
    ("provider token", WHAPI_TOKEN),
    ("new provider token", NEW_TOKEN),
    ("webhook token", WEBHOOK_TOKEN),
    ("webhook secret", WEBHOOK_SECRET),
    ("RPC secret", KEY_SECRET),
    ("sealing key", SEALING_KEY),
];

/// Everything that `text` tells of the canaries: in clear, in hexadecimal digits (as dumps show bytes), in base64
/// at each of its three alignments.
fn told(text: &str) -> Vec<String> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (name, canary) in CANARIES {
        let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
        if text.contains(canary) || lower.contains(&hex) {
            found.push(name.to_owned());
        }
        for shift in 0..3 {
            let padded = [&b"\0\0"[..shift], canary.as_bytes()].concat();
            let encoded = base64(&padded);
            // Only what no neighbour changes.
            let inner = &encoded[if shift == 0 { 0 } else { 4 }..encoded.len() - 4];
            let url = inner.replace('+', "-").replace('/', "_");
            if text.contains(inner) || text.contains(&url) {
                found.push(format!("{name} in base64"));
            }
        }
    }
    found
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let n =
            three.iter().fold(0u32, |n, byte| n << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(n >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// The whole database as text.
fn dump(database: &TestDatabase) -> String {
    let url = database.odoo_url.replace("//odoo@", "//postgres@");
    let output = Command::new(Cluster::programs().join("pg_dump"))
        .args(["--inserts", "-d", &url])
        .output()
        .expect("pg_dump starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a dump is UTF-8")
}

async fn get(daemon: &Daemon, url: &str, path: &str) -> String {
    let answer = daemon
        .http
        .get(format!("{url}{path}"))
        .header("authorization", Daemon::authorization(KEY_ID, "GET", path, ""))
        .send()
        .await
        .expect("the daemon answers");
    let headers = format!("{:?}", answer.headers());
    format!("{} {headers} {}", answer.status(), answer.text().await.expect("the answer has a body"))
}

#[tokio::test]
async fn no_canary_is_told() {
    let world = World::with("", &[("WABRIDGE__LOG__FILTER", "trace")]).await;
    let daemon = &world.daemon;
    let mut answers = String::new();
    let account = json!({"uid": ADMIN, "configuration_id": 1});
    let sealed = json!({"uid": ADMIN, "seal_uuid": "4f3c2b1a-0000-4000-8000-0000000000a1", "column": "token",
        "value": NEW_TOKEN});
    for (method, params) in [
        ("rpc.discover", json!({})),
        ("configuration.seal", sealed),
        ("configuration.test", account.clone()),
        ("configuration.health", account.clone()),
        ("configuration.capabilities", account.clone()),
        ("configuration.register_webhook", account),
        ("message.send", text_params(PEER, "hello")),
        ("message.send", text_params("nobody", "refused")),
        ("message.status", json!({"uid": USER, "id": 1})),
        ("message.status", json!({"uid": "wrong", "token": WHAPI_TOKEN})),
        ("no.such.method", json!({})),
    ] {
        let answer = daemon.rpc(method, params).await;
        answers.push_str(&answer.to_string());
    }
    // A body, an address and headers that hold what must not be kept.
    assert_eq!(world.webhook(&text_event(&message_id(1), PEER, "hi")).await, 200);
    for (secret, token) in [("wrong", WEBHOOK_TOKEN), (WEBHOOK_SECRET, "wrong")] {
        let url = format!("{}/whatsapp/webhook/whapi/{token}", daemon.public_url);
        let refused = daemon.http.post(url).bearer_auth(secret).body("{}").send().await;
        let refused = refused.expect("the daemon answers");
        assert_eq!(refused.status().as_u16(), 401);
        answers.push_str(&format!(
            "{:?}{}",
            refused.headers().clone(),
            refused.text().await.unwrap_or_default()
        ));
    }
    world.until_status(1, &["read"], 15).await;
    // The provider's own words about the token, repeated in rows and answers.
    world.fault(json!({"operation": "message.send", "status": 400, "times": 1,
        "body": {"error": {"code": 400, "message": format!("wrong token {WHAPI_TOKEN}"), "details": WHAPI_TOKEN}}}))
        .await;
    let refused = world.sent(PEER, "refused").await;
    world.until_status(refused, &["failed", "uncertain"], 15).await;
    answers.push_str(
        &daemon.rpc("message.status", json!({"uid": USER, "id": refused})).await.to_string(),
    );
    // A token that cannot be opened any more.
    world
        .database
        .execute("UPDATE whatsapp_configuration SET webhook_token = webhook_secret WHERE id = 1")
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    for path in ["/metrics", "/health/ready", "/health/live"] {
        answers.push_str(&get(daemon, &daemon.private_url, path).await);
    }
    answers.push_str(&get(daemon, &daemon.public_url, "/whatsapp/health").await);

    let log = daemon.log();
    assert!(log.contains("TRACE"), "the log is as verbose as it can be");
    for (place, text) in [("answers", &answers), ("log", &log), ("dump", &dump(&world.database))] {
        let found = told(text);
        let around = |name: &str| {
            let canary = CANARIES.iter().find(|(n, _)| *n == name).map(|(_, canary)| *canary)?;
            text.lines()
                .find(|line| line.contains(canary))
                .map(|line| line.chars().take(600).collect::<String>())
        };
        assert!(
            found.is_empty(),
            "{place}: {found:?}: {:?}",
            found.iter().find_map(|name| around(name))
        );
    }
}

#[tokio::test]
async fn what_people_write_is_not_logged() {
    // At the level that somebody looks for an error with, over our own modules.
    let world = World::with("", &[("WABRIDGE__LOG__FILTER", "info,wabridge=trace")]).await;
    let id = world.sent(PEER, "text-canary-out").await;
    world.until_status(id, &["read"], 15).await;
    assert_eq!(world.webhook(&text_event(&message_id(1), PEER, "text-canary-in")).await, 200);
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE content = 'text-canary-in'", 1, 5)
        .await;
    let refused = world
        .daemon
        .rpc("message.send", text_params("+44 7700 90012x", "text-canary-refused"))
        .await;
    assert_eq!(refused["error"]["code"], 1101, "{refused}");
    let log = world.daemon.log();
    for canary in ["text-canary", "Amira", PEER, "7700 90012"] {
        let line = log.lines().find(|line| line.contains(canary));
        assert!(line.is_none(), "{canary}: {line:?}");
    }
}

/// The negative control: what stands somewhere in clear is found there.
#[tokio::test]
async fn the_scanner_finds_what_is_in_clear() {
    let world = World::prepared("", &[]).await;
    assert!(told(&dump(&world.database)).is_empty());
    world
        .database
        .execute(&format!(
            "UPDATE whatsapp_configuration SET supervisor_phone = 'x{WHAPI_TOKEN}y' WHERE id = 1"
        ))
        .await;
    assert_eq!(told(&dump(&world.database)), ["provider token"]);
    let body = format!(
        "INSERT INTO whatsapp_event (kind, payload) VALUES ('alert', encode('{KEY_SECRET}', 'hex'))"
    );
    world.database.execute(&body).await;
    assert_eq!(told(&dump(&world.database)), ["provider token", "RPC secret"]);
    for lead in ["", "a", "ab"] {
        let text = base64(format!("{lead}{WEBHOOK_SECRET} and more").as_bytes());
        assert_eq!(told(&text), ["webhook secret in base64"], "{lead:?}");
    }
    assert_eq!(told(&format!("{{\"value\":\"{SEALING_KEY}\"}}")), ["sealing key"]);
    assert!(world::client().get(&world.simulator.url).send().await.is_ok());
}
