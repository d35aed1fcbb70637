//! Signatures, nonces, what is refused before anything is read.

use serde_json::json;
use wabridge_testkit::{Daemon, Series, TestDatabase, eventually};

use super::{Raw, call_as, post};
use crate::support::World;
use crate::support::world::{ADMIN, client};

fn discover() -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "rpc.discover", "params": {}}).to_string()
}

#[tokio::test]
async fn what_is_not_signed_well_is_401_and_leaves_one_counter_row() {
    let world = World::start().await;
    let url = &world.daemon.private_url;
    let good = Raw::new(discover());
    let header = good.header();
    let bend = |raw: Raw| Some(raw.header());
    let last = if header.ends_with('0') { "1" } else { "0" };
    let flipped = format!("{}{last}", &header[..header.len() - 1]);
    let cases = [
        ("none", None),
        ("empty", Some(String::new())),
        ("another scheme", Some(format!("Bearer {}", good.secret))),
        ("wrong signature", Some(flipped)),
        ("wrong secret", bend(Raw { secret: "another-secret-0123456789".into(), ..good.clone() })),
        ("unknown key", bend(Raw { key: "nobody".into(), ..good.clone() })),
        ("stale", bend(Raw { ahead: -400, ..good.clone() })),
        ("ahead", bend(Raw { ahead: 400, ..good.clone() })),
        ("short nonce", bend(Raw { nonce: "short".into(), ..good.clone() })),
        ("long nonce", bend(Raw { nonce: "a".repeat(65), ..good.clone() })),
        ("odd nonce", bend(Raw { nonce: "aaaaaaaaaaaaaaaaaaaa!".into(), ..good.clone() })),
        ("another body", bend(Raw { body: format!("{} ", good.body), ..good.clone() })),
        ("another query", bend(Raw { path: "/rpc?x=1".into(), ..good.clone() })),
        ("another method", bend(Raw { method: "PUT".into(), ..good.clone() })),
        ("half a header", Some("WABRIDGE1-HMAC-SHA256 key=test".into())),
    ];
    let count = cases.len();
    for (name, authorization) in cases {
        let (status, text) = post(url, authorization.as_deref(), &good.body).await;
        assert_eq!((status, text.contains("result")), (401, false), "{name}: {text}");
    }
    // None of them used up the nonce that the good call carries.
    let (status, text) = post(url, Some(&header), &good.body).await;
    assert_eq!(status, 200, "{text}");

    let sql = "SELECT sum(substring(error_message from '^[0-9]+')::int) FROM whatsapp_audit_log
               WHERE operation = 'rpc.unauthenticated' AND NOT success AND user_id IS NULL";
    eventually("the counter of refused calls", 10, async || {
        let counted = world.database.text(sql).await?;
        (counted == count.to_string()).then_some(())
    })
    .await;
    let rows = world.database.count("SELECT count(*) FROM whatsapp_audit_log").await;
    assert!(rows <= 2, "one row a minute, and the test may cross one: {rows}");
    assert_eq!(
        rows,
        world
            .database
            .count("SELECT count(*) FROM wabridge.refusal_minute WHERE zone = 'rpc'")
            .await
    );
    let log = world.daemon.log();
    assert!(log.contains("its nonce") || log.contains("its signature is wrong"), "{log}");
    assert!(!log.contains(&good.secret), "a key is in the log");
}

#[tokio::test]
async fn a_nonce_is_good_once_also_at_another_daemon() {
    let world = World::start().await;
    let twin = world.replica("", &[]).await;
    let raw = Raw::new(discover());
    let header = raw.header();
    assert_eq!(post(&world.daemon.private_url, Some(&header), &raw.body).await.0, 200);
    assert_eq!(post(&world.daemon.private_url, Some(&header), &raw.body).await.0, 401);
    assert_eq!(post(&twin.private_url, Some(&header), &raw.body).await.0, 401);
    // Negative control: the twin takes a nonce that is fresh, and then the first daemon does not.
    let raw = Raw::new(discover());
    let header = raw.header();
    assert_eq!(post(&twin.private_url, Some(&header), &raw.body).await.0, 200);
    assert_eq!(post(&world.daemon.private_url, Some(&header), &raw.body).await.0, 401);
}

#[tokio::test]
async fn one_nonce_at_both_daemons_in_the_same_moment() {
    let world = World::start().await;
    let twin = world.replica("", &[]).await;
    for _ in 0..10 {
        let raw = Raw::new(discover());
        let header = raw.header();
        let (one, two) = tokio::join!(
            post(&world.daemon.private_url, Some(&header), &raw.body),
            post(&twin.private_url, Some(&header), &raw.body)
        );
        let mut statuses = [one.0, two.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
    }
}

#[tokio::test]
async fn bodies_that_are_no_call() {
    let world = World::start().await;
    let url = &world.daemon.private_url;
    let send = json!({"uid": 5, "to": "+447700900801", "type": "text", "text": {"body": "x"}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": send});
    let notification = json!({"jsonrpc": "2.0", "method": "message.send", "params": send});
    for (body, status, code) in [
        (format!("[{call}]"), 400, -32600),
        (notification.to_string(), 400, -32600),
        ("{}".into(), 400, -32600),
        ("not json".into(), 400, -32700),
        (json!({"jsonrpc": "2.0", "id": 1, "method": "message.nothing"}).to_string(), 200, -32601),
        (
            json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": {"uid": 5}})
                .to_string(),
            200,
            -32602,
        ),
    ] {
        let raw = Raw::new(body);
        let (got, text) = post(url, Some(&raw.header()), &raw.body).await;
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (got, answer["error"]["code"].as_i64()),
            (status, Some(code)),
            "{}: {text}",
            raw.body
        );
        assert!(answer["error"]["data"]["request_id"].is_string(), "{text}");
    }
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 0);
    let audited =
        "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'rpc.refused' AND NOT success";
    assert_eq!(world.database.count(audited).await, 6);
}

#[tokio::test]
async fn sizes_and_types() {
    let world = World::start().await;
    let url = &world.daemon.private_url;
    let raw = Raw::new(" ".repeat(1024 * 1024 + 1));
    assert_eq!(post(url, Some(&raw.header()), &raw.body).await.0, 413);
    let fits = Raw::new(format!("{}{}", discover(), " ".repeat(1024 * 1024 - discover().len())));
    assert_eq!(post(url, Some(&fits.header()), &fits.body).await.0, 200);
    let raw = Raw::new(discover());
    let answer = client()
        .post(format!("{url}/rpc"))
        .header("authorization", raw.header())
        .header("content-type", "text/plain")
        .body(raw.body.clone())
        .send()
        .await
        .expect("the daemon answers");
    assert_eq!(answer.status().as_u16(), 415);
    for (path, status) in [("/rpc", 405), ("/media/1", 401), ("/", 404), ("/whatsapp/health", 404)]
    {
        let answer = client().get(format!("{url}{path}")).send().await.expect("the daemon answers");
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn a_key_opens_its_own_database_only() {
    let one = TestDatabase::new(Series::Odoo14).await;
    let two = TestDatabase::new(Series::Odoo19).await;
    two.execute(
        "INSERT INTO whatsapp_account_state (configuration_id, state) VALUES (1, 'banned')",
    )
    .await;
    let daemon = Daemon::start(&[&one, &two], &[]).await;
    let health = json!({"uid": ADMIN, "configuration_id": 1});
    for (key, state) in [("test", "new"), ("test1", "banned")] {
        let answer =
            call_as(&daemon.private_url, key, "configuration.health", health.clone()).await;
        assert_eq!(answer["result"]["data"]["state"], state, "{answer}");
    }
    // Metrics and health of a signed caller hold nothing of the other database.
    let raw =
        Raw { key: "test1".into(), method: "GET".into(), path: "/metrics".into(), ..Raw::new("") };
    let metrics = client()
        .get(format!("{}/metrics", daemon.private_url))
        .header("authorization", raw.header())
        .send()
        .await
        .expect("the daemon answers");
    assert_eq!(metrics.status().as_u16(), 200);
    let text = metrics.text().await.expect("a body");
    assert!(text.contains(&two.name) && !text.contains(&one.name), "{text}");
    let raw = Raw { path: "/health/ready".into(), nonce: wabridge_rpc::sign::nonce(), ..raw };
    let ready = client()
        .get(format!("{}/health/ready", daemon.private_url))
        .header("authorization", raw.header())
        .send()
        .await
        .expect("the daemon answers");
    let text = ready.text().await.expect("a body");
    assert!(text.contains(&two.name) && !text.contains(&one.name), "{text}");
}

#[tokio::test]
async fn metrics_need_a_signature_or_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "metrics-token-1\n").expect("it can be written");
    let path = file.to_str().expect("UTF-8");
    let world = World::with("", &[("WABRIDGE__PRIVATE__METRICS_BEARER_TOKEN_FILE", path)]).await;
    let get = async |token: Option<&str>| {
        let mut request = client().get(format!("{}/metrics", world.daemon.private_url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.expect("the daemon answers").status().as_u16()
    };
    assert_eq!(get(None).await, 401);
    assert_eq!(get(Some("metrics-token-2")).await, 401);
    assert_eq!(get(Some("metrics-token-1")).await, 200);
}

#[tokio::test]
async fn without_the_database_503() {
    let world = World::start().await;
    let url = &world.daemon.private_url;
    let raw = Raw::new(discover());
    assert_eq!(post(url, Some(&raw.header()), &raw.body).await.0, 200);
    let name = &world.database.name;
    world
        .database
        .execute(&format!(
            "REVOKE CONNECT ON DATABASE {name} FROM PUBLIC, wabridge;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wabridge' AND datname = '{name}'"
        ))
        .await;
    eventually("not ready", 10, async || {
        let answer = client().get(format!("{url}/health/ready")).send().await.ok()?;
        (answer.status().as_u16() == 503).then_some(())
    })
    .await;
    let raw = Raw::new(discover());
    let (status, text) = post(url, Some(&raw.header()), &raw.body).await;
    assert_eq!(status, 503, "{text}");
    assert!(!text.contains(name.as_str()), "{text}");
    // A wrong signature is 401 all the same: nobody learns more without a key.
    let forged = Raw { secret: "another-secret-0123456789".into(), ..Raw::new(discover()) };
    assert_eq!(post(url, Some(&forged.header()), &forged.body).await.0, 401);
    assert_eq!(
        client().get(format!("{url}/health/live")).send().await.expect("live").status().as_u16(),
        200
    );
    world.database.execute(&format!("GRANT CONNECT ON DATABASE {name} TO wabridge")).await;
    eventually("answers again", 20, async || {
        let raw = Raw::new(discover());
        (post(url, Some(&raw.header()), &raw.body).await.0 == 200).then_some(())
    })
    .await;
}
