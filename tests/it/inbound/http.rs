//! The public listener as a stranger and as a provider see it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wabridge_testkit::{Daemon, eventually};

use super::take;
use crate::support::world::{
    WEBHOOK_SECRET, WEBHOOK_TOKEN, World, client, message_id, text_event, webhook_url,
};

const FROM: &str = "447700900123";

/// A second account of the same provider, with secrets of its own.
async fn second_account(world: &World, token: &str, secret: &str) {
    let seal_uuid = "4f3c2b1a-0000-4000-8000-0000000000b2";
    let token = Daemon::seal(&world.database, seal_uuid, "webhook_token", token).await;
    let secret = Daemon::seal(&world.database, seal_uuid, "webhook_secret", secret).await;
    world
        .database
        .execute(&format!(
            "INSERT INTO whatsapp_configuration (id, name, provider, channel_id, active, sequence, company_id, seal_uuid,
                webhook_token, webhook_secret)
             VALUES (2, 'Second', 'whapi', 'SECOND-1', true, 20, 1, '{seal_uuid}', '{token}', '{secret}')"
        ))
        .await;
    world.database.execute("NOTIFY wabridge").await;
}

struct Try {
    path: String,
    secret: Option<String>,
}

impl Try {
    fn new(path: &str, secret: Option<&str>) -> Self {
        Self { path: path.to_owned(), secret: secret.map(str::to_owned) }
    }

    async fn post(&self, world: &World, body: &Value) -> (u16, String) {
        let url = format!("{}/whatsapp/webhook/whapi{}", world.daemon.public_url, self.path);
        let mut request = world.daemon.http.post(url).json(body);
        if let Some(secret) = &self.secret {
            request = request.header("authorization", secret);
        }
        let answer = request.send().await.expect("the daemon answers");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    }
}

#[tokio::test]
async fn strangers_get_one_answer_and_leave_one_counter_row() {
    let world = World::start().await;
    second_account(&world, "second-path-token", "second-secret").await;
    let good = format!("Bearer {WEBHOOK_SECRET}");
    eventually("the second account is known", 10, async || {
        let known = Try::new("/second-path-token", Some("Bearer second-secret"));
        let (status, _) = known.post(&world, &json!({"event": {}})).await;
        (status == 200).then_some(())
    })
    .await;
    let journal = world.database.count("SELECT count(*) FROM wabridge.journal").await;
    let audit = world.database.count("SELECT count(*) FROM whatsapp_audit_log").await;
    let own = format!("/{WEBHOOK_TOKEN}");
    let tries = [
        Try::new(&own, None),
        Try::new(&own, Some("Bearer wrong")),
        Try::new(&own, Some("Bearer ")),
        Try::new(&own, Some(WEBHOOK_SECRET)),
        Try::new(&own, Some("Bearer second-secret")),
        Try::new("/second-path-token", Some(&good)),
        Try::new("/unknown", Some(&good)),
        Try::new("/unknown", None),
        Try::new("/unknown/messages/post", Some(&good)),
        Try::new("", None),
        Try::new("", Some("Bearer wrong")),
    ];
    let mut answers = std::collections::BTreeSet::new();
    for (n, attempt) in tries.iter().enumerate() {
        let body = text_event(&message_id(900 + n as u64), FROM, "from a stranger");
        let (status, text) = attempt.post(&world, &body).await;
        assert_eq!(status, 401, "{n}: {text}");
        answers.insert(text);
    }
    assert_eq!(answers.len(), 1, "nothing to enumerate: {answers:?}");
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal").await, journal);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 0);
    eventually("the counter row", 10, async || {
        let sql = "SELECT coalesce(sum(count), 0)::bigint FROM wabridge.refusal_minute WHERE zone = 'webhook'";
        (world.database.count(sql).await >= 11).then_some(())
    })
    .await;
    let rows = world.database.count("SELECT count(*) FROM whatsapp_audit_log").await - audit;
    assert!((1..=2).contains(&rows), "one row a minute: {rows}");
    // Both doors of the one who may.
    for path in [own.as_str(), "", &format!("{own}/messages/post"), &format!("{own}/")] {
        let body = text_event(&message_id(1), FROM, "hello");
        assert_eq!(Try::new(path, Some(&good)).post(&world, &body).await.0, 200, "{path}");
    }
    let log = world.daemon.log();
    for secret in [WEBHOOK_SECRET, WEBHOOK_TOKEN, "from a stranger", "Amira"] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
}

#[tokio::test]
async fn methods_sizes_health_and_what_is_kept_of_headers() {
    let world = World::with("", &[("WABRIDGE__PUBLIC__BODY_LIMIT_BYTES", "100000")]).await;
    let http = client();
    let url = webhook_url(&world.daemon.public_url);
    for (n, method) in ["POST", "PUT", "PATCH", "DELETE"].into_iter().enumerate() {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let body = text_event(&message_id(n as u64), FROM, "hello");
        let answer = http
            .request(method, format!("{url}/messages/post"))
            .bearer_auth(WEBHOOK_SECRET)
            .header("x-secret-token", "never-kept-canary")
            .header("user-agent", "provider/1")
            .json(&body)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.json::<Value>().await.expect("JSON")["data"]["accepted"], 1);
    }
    assert_eq!(
        world.database.text("SELECT string_agg(method || ' ' || sub_path || ' ' || verified_by, ',' ORDER BY id) FROM wabridge.journal").await.as_deref(),
        Some("POST messages/post header,PUT messages/post header,PATCH messages/post header,DELETE messages/post header")
    );
    let headers = world
        .database
        .text("SELECT headers::text FROM wabridge.journal LIMIT 1")
        .await
        .unwrap_or_default();
    assert!(headers.contains("provider/1") && headers.contains("application/json"), "{headers}");
    for secret in ["canary", "uthorization", "Bearer"] {
        assert!(!headers.contains(secret), "{headers}");
    }
    // No subscription handshake at this provider.
    let get = http
        .get(format!("{url}?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1"))
        .send()
        .await;
    assert_eq!(get.expect("an answer").status(), 401);
    assert_eq!(
        http.post(format!("{}/whatsapp/webhook/nobody/x", world.daemon.public_url))
            .send()
            .await
            .expect("an answer")
            .status(),
        404
    );
    assert_eq!(
        http.get(format!("{}/rpc", world.daemon.public_url))
            .send()
            .await
            .expect("an answer")
            .status(),
        404
    );
    let health = http
        .get(format!("{}/whatsapp/health", world.daemon.public_url))
        .send()
        .await
        .expect("an answer");
    assert_eq!(health.status(), 200);
    assert_eq!(health.text().await.expect("a text"), "{\"status\":\"ok\"}");

    // Announced too large: answered at once, before the body.
    let address = world.daemon.public_url.trim_start_matches("http://").to_owned();
    let mut raw = tokio::net::TcpStream::connect(&address).await.expect("the listener");
    raw.write_all(
        b"POST /whatsapp/webhook/whapi/x HTTP/1.1\r\nhost: x\r\ncontent-length: 100001\r\n\r\nsome",
    )
    .await
    .expect("sent");
    let mut answer = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(3), raw.read_exact(&mut answer))
        .await
        .expect("at once")
        .expect("an answer");
    assert_eq!(answer, b"HTTP/1.1 413");
    // Not announced: as soon as it is seen, and the client can write on for a while.
    let body = reqwest::Body::from("x".repeat(600_000));
    let large =
        http.post(&url).bearer_auth(WEBHOOK_SECRET).body(body).send().await.expect("an answer");
    assert_eq!(large.status(), 413);
    let mut raw = tokio::net::TcpStream::connect(&address).await.expect("the listener");
    raw.write_all(
        b"POST /whatsapp/webhook/whapi/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
    )
    .await
    .expect("sent");
    for _ in 0..3 {
        raw.write_all(format!("9c40\r\n{}\r\n", "x".repeat(40_000)).as_bytes())
            .await
            .expect("sent");
    }
    tokio::time::timeout(Duration::from_secs(3), raw.read_exact(&mut answer))
        .await
        .expect("at once")
        .expect("an answer");
    assert_eq!(answer, b"HTTP/1.1 413");
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal").await, 4);
}

#[tokio::test]
async fn slow_and_flooding_clients_are_turned_away() {
    let world = World::with(
        "",
        &[
            ("WABRIDGE__PUBLIC__READ_TIMEOUT_S", "1"),
            ("WABRIDGE__PUBLIC__REFUSALS_PER_MINUTE", "5"),
        ],
    )
    .await;
    let address = world.daemon.public_url.trim_start_matches("http://").to_owned();
    let slow_head = b"POST /whatsapp/webhook/whapi HTTP/1.1\r\nhost: x\r\n".as_slice();
    let slow_body =
        b"POST /whatsapp/webhook/whapi HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{"
            .as_slice();
    for (request, expected) in [(slow_head, ""), (slow_body, "HTTP/1.1 408")] {
        let mut raw = tokio::net::TcpStream::connect(&address).await.expect("the listener");
        raw.write_all(request).await.expect("sent");
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), raw.read_to_end(&mut answer))
            .await
            .expect("the connection is closed in time")
            .expect("an end");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(expected), "{answer}");
    }
    let mut statuses = Vec::new();
    for n in 0..8 {
        let body = text_event(&message_id(n), FROM, "x");
        let answer = client()
            .post(webhook_url(&world.daemon.public_url))
            .json(&body)
            .send()
            .await
            .expect("an answer");
        statuses.push(answer.status().as_u16());
        if statuses.last() == Some(&429) {
            let wait: u64 =
                answer.headers()["retry-after"].to_str().expect("a text").parse().expect("seconds");
            assert!((1..=60).contains(&wait));
        }
    }
    assert!(statuses[..5].iter().all(|s| *s == 401), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    // The one who may is not held up by strangers of the same address.
    assert_eq!(take(&world, &text_event(&message_id(99), FROM, "hello")).await, 1);
}
