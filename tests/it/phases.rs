//! What becomes of the daemon when its database changes under it.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::error::SqlState;
use wabridge_testkit::{Daemon, OwnCluster, Series, TestDatabase, eventually};

use crate::support::program::Finished;
use crate::support::world::{self, ADMIN, message_id, text_event, text_params, until_count};
use crate::support::{World, wabridge};

const PEER: &str = "447700900123";

async fn ready(daemon: &Daemon) -> u16 {
    status(daemon, &format!("{}/health/ready", daemon.private_url)).await
}

async fn status(daemon: &Daemon, url: &str) -> u16 {
    daemon.http.get(url).send().await.map_or(0, |answer| answer.status().as_u16())
}

async fn until_ready(daemon: &Daemon, wanted: u16, seconds: u64) {
    eventually(&format!("/health/ready is {wanted}"), seconds, async || {
        (ready(daemon).await == wanted).then_some(())
    })
    .await;
}

/// Waits until the webhook is taken, as a provider that repeats it would see it.
async fn until_taken(world: &World, event: &serde_json::Value, seconds: u64) {
    eventually("the webhook is taken", seconds, async || {
        (world.webhook(event).await == 200).then_some(())
    })
    .await;
}

async fn command(daemon: &Daemon, arguments: &[&str]) -> Finished {
    wabridge(Some(&daemon.config_path()), arguments).await
}

fn received(text: &str) -> String {
    format!(
        "SELECT count(*) FROM whatsapp_message WHERE direction = 'inbound' AND content LIKE '{text}%'"
    )
}

#[tokio::test]
async fn a_column_that_is_dropped_and_comes_back() {
    let world = World::start().await;
    assert_eq!(world.webhook(&text_event(&message_id(1), PEER, "before")).await, 200);
    until_count(&world.database, &received("before"), 1, 5).await;
    world
        .database
        .execute(
            "ALTER TABLE whatsapp_message RENAME COLUMN error_code TO away1;
             ALTER TABLE whatsapp_chat RENAME COLUMN unread_count TO away2",
        )
        .await;
    // Before anybody noticed and after: what is answered 200 is kept.
    for n in 2..12 {
        assert_eq!(world.webhook(&text_event(&message_id(n), PEER, "meanwhile")).await, 200);
    }
    until_ready(&world.daemon, 503, 10).await;
    for n in 12..22 {
        assert_eq!(world.webhook(&text_event(&message_id(n), PEER, "meanwhile")).await, 200);
    }
    let refused = world.daemon.rpc("message.send", text_params(PEER, "no")).await;
    assert_eq!(refused["error"]["code"], 1502, "{refused}");
    assert_eq!(world.database.count(&received("meanwhile")).await, 0);
    // Two more looks at the schema: still each difference was said once.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let log = world.daemon.log();
    for column in ["whatsapp_message.error_code", "whatsapp_chat.unread_count"] {
        let said = log
            .lines()
            .filter(|l| l.contains("ERROR") && l.contains(&format!("{column} is missing")))
            .count();
        assert_eq!(said, 1, "{column}:\n{log}");
    }
    assert!(!log.contains("meanwhile"), "the log tells what people write");
    world
        .database
        .execute(
            "ALTER TABLE whatsapp_message RENAME COLUMN away1 TO error_code;
             ALTER TABLE whatsapp_chat RENAME COLUMN away2 TO unread_count",
        )
        .await;
    until_ready(&world.daemon, 200, 10).await;
    world.until_count(&received("meanwhile"), 20, 10).await;
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 10).await;
    let id = world.sent(PEER, "yes").await;
    world.until_status(id, &["read"], 15).await;
}

#[tokio::test]
async fn a_misfit_after_a_restart_is_journal_only_too() {
    let mut world = World::start().await;
    world.daemon.terminate().await;
    world.database.execute("ALTER TABLE whatsapp_message RENAME COLUMN error_code TO away1").await;
    world.daemon.run();
    eventually("webhooks are taken", 10, async || {
        (world.webhook(&text_event(&message_id(1), PEER, "meanwhile")).await == 200).then_some(())
    })
    .await;
    assert_eq!(ready(&world.daemon).await, 503);
    assert!(world.daemon.runs());
    world.database.execute("ALTER TABLE whatsapp_message RENAME COLUMN away1 TO error_code").await;
    world.until_count(&received("meanwhile"), 1, 15).await;
    until_ready(&world.daemon, 200, 10).await;
}

#[tokio::test]
async fn sessions_that_the_server_ends() {
    let world = World::start().await;
    let postgres = wabridge_testkit::database::connect(&world.database.url.replace(
        &format!("wabridge@127.0.0.1:{}/{}", port(&world.database), world.database.name),
        &format!("postgres@127.0.0.1:{}/postgres", port(&world.database)),
    ))
    .await;
    let name = &world.database.name;
    postgres
        .batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        .await
        .expect("it is ours");
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND usename = 'wabridge'"
    );
    postgres.batch_execute(&sql).await.expect("a superuser may");
    until_ready(&world.daemon, 503, 5).await;
    let event = text_event(&message_id(1), PEER, "away");
    assert_eq!(world.webhook(&event).await, 503);
    let refused =
        world.daemon.http.post(format!("{}/rpc", world.daemon.private_url)).body("{}").send().await;
    assert!(refused.is_ok_and(|answer| !answer.status().is_success()));
    postgres
        .batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        .await
        .expect("it is ours");
    until_ready(&world.daemon, 200, 20).await;
    until_taken(&world, &event, 6).await;
    world.until_count(&received("away"), 1, 5).await;
    let id = world.sent(PEER, "back").await;
    world.until_status(id, &["sent", "delivered", "read"], 15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_and_starts_again() {
    let server = OwnCluster::start();
    let database = TestDatabase::on(server.cluster, Series::Odoo19).await;
    let mut world = World::around(database, "", &[]).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    assert_eq!(world.webhook(&text_event(&message_id(1), PEER, "before")).await, 200);
    tokio::task::block_in_place(|| server.crash());
    until_ready(&world.daemon, 503, 5).await;
    let event = text_event(&message_id(2), PEER, "away");
    assert_eq!(world.webhook(&event).await, 503);
    let health = format!("{}/whatsapp/health", world.daemon.public_url);
    assert_eq!(status(&world.daemon, &health).await, 503);
    let refused = world.daemon.rpc("message.send", text_params(PEER, "no")).await;
    assert!(refused["result"].is_null(), "{refused}");
    tokio::task::block_in_place(|| server.run());
    until_ready(&world.daemon, 200, 20).await;
    until_taken(&world, &event, 6).await;
    assert_eq!(status(&world.daemon, &health).await, 200);
    world.database.reconnect().await;
    let kept = "SELECT count(*) FROM whatsapp_message WHERE direction = 'inbound'";
    world.until_count(kept, 2, 5).await;
    let id = world.sent(PEER, "back").await;
    world.until_status(id, &["read"], 15).await;
}

fn port(database: &TestDatabase) -> u16 {
    let text = database.url.rsplit(':').next().and_then(|rest| rest.split('/').next());
    text.and_then(|text| text.parse().ok()).expect("the URL has a port")
}

#[tokio::test]
async fn a_copy_sends_nothing_until_it_is_adopted() {
    let mut world = World::start().await;
    let id = world.sent(PEER, "from the original").await;
    world.until_status(id, &["read"], 15).await;
    // What stands in the queue of the original stands in the queue of the copy.
    let odoo = world.database.odoo().await;
    world.daemon.terminate().await;
    let queued = world::odoo_send(&odoo, PEER, "once", None).await;
    drop(odoo);
    let copy = world.database.duplicate().await.expect("it can be copied");

    let mut daemon = Daemon::prepare(&[&copy], "", &[]);
    daemon.run();
    eventually("webhooks are taken", 10, async || {
        let event = text_event(&message_id(1), PEER, "to the copy");
        (world::webhook(&daemon.http, &daemon.public_url, &event).await == 200).then_some(())
    })
    .await;
    until_count(&copy, &received("to the copy"), 1, 10).await;
    let refused = daemon.rpc("message.send", text_params(PEER, "no")).await;
    assert_eq!(refused["error"]["code"], 1503, "a held database takes no sends: {refused}");
    let asked = json!({"uid": 2, "configuration_id": 1});
    let health = daemon.call("configuration.health", asked).await;
    assert_eq!(health["data"]["state"], "held", "{health}");
    assert!(daemon.log().contains("wabridge adopt"), "{}", daemon.log());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.accepted().await.len(), 1, "the copy sent");
    assert_eq!(
        copy.count("SELECT count(*) FROM whatsapp_message WHERE status = 'queued'").await,
        1
    );

    command(&daemon, &["adopt", &copy.name]).await.well();
    until_count(
        &copy,
        &format!(
            "SELECT count(*) FROM whatsapp_message WHERE id = {queued} AND message_id IS NOT NULL"
        ),
        1,
        15,
    )
    .await;
    until_ready(&daemon, 200, 10).await;
    assert_eq!(world.accepted().await.len(), 2);
}

#[tokio::test]
async fn a_neutralized_copy_is_harmless() {
    let mut world = World::start().await;
    let original = world.sent(PEER, "from the original").await;
    world.until_status(original, &["read"], 15).await;
    world.daemon.terminate().await;
    let odoo = world.database.odoo().await;
    let queued = world::odoo_send(&odoo, PEER, "never", None).await;
    drop(odoo);
    let copy = world.database.duplicate().await.expect("it can be copied");
    let mut daemon = Daemon::prepare(&[&copy], "", &[]);
    daemon.run();
    eventually("it is held", 10, async || daemon.log().contains("is held").then_some(())).await;
    let said = command(&daemon, &["neutralize", &copy.name]).await.well();
    assert!(said.contains("1 accounts") && said.contains("1 waiting"), "{said}");
    let secrets = "SELECT count(*) FROM whatsapp_configuration
        WHERE coalesce(token, webhook_token, webhook_secret, app_secret, verify_token) IS NOT NULL";
    assert_eq!(copy.count(secrets).await, 0);
    let cancelled = format!(
        "SELECT count(*) FROM whatsapp_message WHERE id = {queued} AND status = 'cancelled'"
    );
    assert_eq!(copy.count(&cancelled).await, 1);
    let event = text_event(&message_id(1), PEER, "hello");
    eventually("the old credentials open nothing", 10, async || {
        (world::webhook(&daemon.http, &daemon.public_url, &event).await == 401).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.accepted().await.len(), 1, "the copy sent");
    // The original is as it was.
    assert_eq!(world.status(queued).await, "queued");
}

#[tokio::test]
async fn a_renamed_database_goes_on() {
    let mut world = World::start().await;
    let first = world.sent(PEER, "before").await;
    world.until_status(first, &["read"], 15).await;
    world.daemon.terminate().await;
    world.database.rename().await;
    let daemon = Daemon::start(&[&world.database], &[]).await;
    world::hook(&world.simulator, wabridge_testkit::daemon::WHAPI_TOKEN, &daemon.public_url).await;
    world.daemon = daemon;
    assert!(!world.daemon.log().contains("is held"), "{}", world.daemon.log());
    let second = world.sent(PEER, "after").await;
    world.until_status(second, &["read"], 15).await;
}

#[tokio::test]
async fn detached_and_attached() {
    let world = World::start().await;
    let name = world.database.name.clone();
    command(&world.daemon, &["detach", &name]).await.well();
    until_ready(&world.daemon, 503, 10).await;
    let sessions = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND usename = 'wabridge'"
    );
    let event = text_event(&message_id(1), PEER, "maintenance");
    assert_eq!(world.webhook(&event).await, 503);
    // It looks again from time to time whether it is attached; in between nobody is there.
    eventually("no session is left", 10, async || {
        (world.database.count(&sessions).await == 0).then_some(())
    })
    .await;
    command(&world.daemon, &["attach", &name]).await.well();
    until_ready(&world.daemon, 200, 10).await;
    until_taken(&world, &event, 6).await;
    world.until_count(&received("maintenance"), 1, 5).await;
}

#[tokio::test]
async fn odoo_duplicates_and_drops_while_the_daemon_runs() {
    let mut world = World::start().await;
    let mut again = 0;
    for round in 0..20 {
        match world.database.duplicate().await {
            Ok(copy) => drop(copy),
            // A session that comes back between Odoo's two statements is beyond any client's knowledge: the person
            // tries again. The rounds here fall into step with the daemon's coming back, so it may be met.
            Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) && again < 2 => again += 1,
            Err(error) => panic!("round {round}: {error:?}\n{}", world.daemon.log()),
        }
        // At once, or in the middle of coming back, or after it.
        tokio::time::sleep(Duration::from_millis(round * 97 % 900)).await;
    }
    until_ready(&world.daemon, 200, 15).await;
    until_taken(&world, &text_event(&message_id(1), PEER, "after"), 6).await;
    world.until_count(&received("after"), 1, 10).await;
    world.database.drop_as_odoo().await.expect("it can be dropped under the daemon");
    until_ready(&world.daemon, 503, 10).await;
    assert!(world.daemon.runs());
}

/// Webhooks pour in while `lock` holds something for `hold`; all are answered 200 and applied afterwards.
async fn under_a_lock(world: &World, lock: &str, unlock: &str, hold: Duration) {
    assert_eq!(world.webhook(&text_event(&message_id(1), PEER, "first")).await, 200);
    world.until_count(&received("first"), 1, 5).await;
    let odoo = world.database.odoo().await;
    odoo.batch_execute("BEGIN").await.expect("Odoo begins");
    odoo.batch_execute(lock).await.unwrap_or_else(|error| panic!("{lock}: {error:?}"));
    let until = Instant::now() + hold;
    let mut n = 1;
    while Instant::now() < until {
        n += 1;
        let status = world.webhook(&text_event(&message_id(n), PEER, "pouring")).await;
        assert_eq!(status, 200, "webhook {n}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    odoo.batch_execute(unlock).await.unwrap_or_else(|error| panic!("{unlock}: {error:?}"));
    world.until_count(&received("pouring"), i64::try_from(n - 1).expect("few"), 20).await;
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 10).await;
    let distinct =
        "SELECT count(DISTINCT message_id) FROM whatsapp_message WHERE content = 'pouring'";
    assert_eq!(world.database.count(distinct).await, i64::try_from(n - 1).expect("few"));
}

#[tokio::test]
async fn an_upgrade_of_the_addon_under_load() {
    let world = World::start().await;
    let lock = "ALTER TABLE whatsapp_message ADD COLUMN later varchar";
    under_a_lock(&world, lock, "COMMIT", Duration::from_secs(2)).await;
    until_ready(&world.daemon, 200, 10).await;
}

#[tokio::test]
async fn odoo_holds_a_contact() {
    let world = World::start().await;
    let lock =
        format!("UPDATE whatsapp_contact SET name = 'Amira' WHERE contact_id LIKE '{PEER}%'");
    under_a_lock(&world, &lock, "COMMIT", Duration::from_secs(10)).await;
}

#[tokio::test]
async fn odoo_locks_tables() {
    let world = World::start().await;
    let lock = "LOCK TABLE whatsapp_message, whatsapp_chat IN SHARE MODE";
    under_a_lock(&world, lock, "ROLLBACK", Duration::from_secs(4)).await;
    // A send waits for the lock, and is not lost.
    let odoo = world.database.odoo().await;
    odoo.batch_execute("BEGIN; LOCK TABLE whatsapp_configuration IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("it locks");
    tokio::time::sleep(Duration::from_secs(2)).await;
    odoo.batch_execute("ROLLBACK").await.expect("it ends");
    until_ready(&world.daemon, 200, 10).await;
    let answer = world
        .daemon
        .call("message.send", json!({"uid": ADMIN, "configuration_id": 1, "to": PEER, "type": "text", "text": {"body": "x"}}))
        .await;
    world.until_status(answer["data"]["id"].as_i64().expect("a row id"), &["read"], 15).await;
}
