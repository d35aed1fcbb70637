//! The journal as a time machine: `wabridge journal`, replaying, retention.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wabridge_testkit::eventually;

use crate::support::program::Finished;
use crate::support::wabridge;
use crate::support::world::{
    WEBHOOK_SECRET, WEBHOOK_TOKEN, World, message_id, status_event, text_event, webhook,
};

const PEER: &str = "447700900123";

/// Rows that hold what webhooks bring, with their versions: an update that changes nothing shows too.
async fn rows(world: &World) -> String {
    let mut all = String::new();
    for table in ["contact", "chat", "message", "message_receipt", "event", "account_state"] {
        let sql = format!(
            "SELECT '{table} ' || (SELECT last_value FROM whatsapp_{table}_id_seq) || ' '
             || coalesce((SELECT string_agg(id || ':' || xmin, ' ' ORDER BY id) FROM whatsapp_{table}), '')"
        );
        all += &world.database.text(&sql).await.expect("a text");
        all.push('\n');
    }
    all
}

async fn journal(world: &World, arguments: &[&str]) -> Finished {
    let arguments: Vec<&str> = ["journal"].iter().chain(arguments).copied().collect();
    wabridge(Some(&world.daemon.config_path()), &arguments).await
}

async fn list(world: &World, arguments: &[&str]) -> Vec<Value> {
    let all: Vec<&str> = ["list", "--json"].iter().chain(arguments).copied().collect();
    let printed = journal(world, &all).await.well();
    printed.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn ids(lines: &[Value]) -> Vec<i64> {
    lines.iter().map(|line| line["id"].as_i64().expect("each has an id")).collect()
}

async fn take(world: &World, body: &Value) {
    assert_eq!(world.webhook(body).await, 200, "{}", world.daemon.log());
}

fn elsewhere(id: &str) -> Value {
    let mut body = text_event(id, PEER, "of another channel");
    body["channel_id"] = json!("MANTIS-77777");
    body
}

#[tokio::test]
async fn lists_and_shows() {
    let world = World::start().await;
    take(&world, &text_event(&message_id(1), PEER, "a \u{1b}[31mred\u{1b}[0m text")).await;
    take(&world, &elsewhere(&message_id(2))).await;
    take(&world, &status_event(&message_id(1), "447700900123@s.whatsapp.net", "read")).await;

    let all = list(&world, &[]).await;
    assert_eq!(all.len(), 3);
    let words: Vec<&str> = all.iter().filter_map(|line| line["state"].as_str()).collect();
    assert_eq!(words, ["applied", "quarantined", "applied"], "latest first");
    assert_eq!(all[1]["reasons"], json!(["unknown_channel"]));
    assert_eq!(all[0]["verified_by"], "header");
    let third = ids(&all)[0];
    assert_eq!(ids(&list(&world, &["--state", "quarantined"]).await), [ids(&all)[1]]);
    assert_eq!(ids(&list(&world, &["--state", "applied", "--limit", "1"]).await), [third]);
    assert_eq!(list(&world, &["--account", "1", "--provider", "whapi"]).await.len(), 3);
    assert!(list(&world, &["--account", "99"]).await.is_empty());
    assert!(list(&world, &["--until", "1h"]).await.is_empty());
    assert_eq!(list(&world, &["--since", "1h"]).await.len(), 3);
    assert_ne!(journal(&world, &["list", "--provider", "pigeon"]).await.code, Some(0));
    let table = journal(&world, &["list"]).await.well();
    assert!(table.contains("quarantined (unknown_channel)"), "{table}");

    let first = ids(&all)[2].to_string();
    let shown = journal(&world, &["show", &first]).await.well();
    assert!(shown.contains("event 0") && shown.contains("red"), "{shown}");
    assert!(shown.contains("verified by  header") && shown.contains("content-type"), "{shown}");
    assert!(!shown.contains("\"messages\""), "the body is shown when asked for:\n{shown}");
    let shown = journal(&world, &["show", &first, "--body"]).await.well();
    assert!(shown.contains("\"messages\""), "{shown}");
    assert!(!shown.contains('\u{1b}'), "what strangers wrote steers the terminal");
    for secret in [WEBHOOK_SECRET, WEBHOOK_TOKEN] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let quarantined = journal(&world, &["show", &ids(&all)[1].to_string()]).await.well();
    assert!(quarantined.contains("event 0 quarantined: unknown_channel"), "{quarantined}");
    journal(&world, &["show", "424242"]).await.badly(&["424242", "30 days"]);
}

#[tokio::test]
async fn replaying_what_is_applied_changes_nothing() {
    let mut world = World::start().await;
    for n in 0..7 {
        take(&world, &text_event(&message_id(n), PEER, "once")).await;
    }
    let sent = world.sent("447700900801", "out").await;
    world.until_status(sent, &["read", "failed"], 15).await;
    for n in 0..3 {
        take(&world, &status_event(&message_id(n), "447700900123@s.whatsapp.net", "read")).await;
    }
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 10).await;
    let before = rows(&world).await;
    let some = list(&world, &["--limit", "3"]).await;
    let some: Vec<String> = ids(&some).iter().map(i64::to_string).collect();
    let mut arguments = vec!["replay"];
    arguments.extend(some.iter().map(String::as_str));
    let said = journal(&world, &arguments).await.well();
    assert!(said.contains("3 webhooks replayed: 3 applied"), "{said}");
    // The daemon away, everything, twice.
    world.daemon.terminate().await;
    let count = world.database.count("SELECT count(*) FROM wabridge.journal").await;
    for _ in 0..2 {
        let said = journal(&world, &["replay", "--all"]).await.well();
        assert!(said.contains(&format!("{count} webhooks replayed: {count} applied")), "{said}");
    }
    assert_eq!(rows(&world).await, before);
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal_pending").await, 0);
}

#[tokio::test]
async fn what_was_in_quarantine_is_healed() {
    let mut world = World::start().await;
    // Refused by a rule of somebody's own, in the middle of others; and a channel that no account has.
    world
        .database
        .execute("ALTER TABLE whatsapp_message ADD CONSTRAINT poison CHECK (content <> 'poison')")
        .await;
    let messages: Vec<Value> = (0..5)
        .map(|n| {
            let text = if n == 2 { "poison" } else { "fine" };
            text_event(&message_id(n), PEER, text)["messages"][0].clone()
        })
        .collect();
    let mut body = text_event("x", PEER, "x");
    body["messages"] = Value::Array(messages);
    take(&world, &body).await;
    take(&world, &elsewhere(&message_id(9))).await;
    let quarantined = "SELECT count(*) FROM wabridge.journal_pending WHERE state = 'quarantined'";
    world.until_count(quarantined, 2, 15).await;
    let received = "SELECT count(*) FROM whatsapp_message";
    assert_eq!(world.database.count(received).await, 4);

    // Nothing is mended: they stay, and the exit code says so.
    let said = journal(&world, &["replay", "--quarantined"]).await;
    assert_ne!(said.code, Some(0));
    assert!(said.stdout.contains("0 applied"), "{}", said.stdout);
    assert!(said.stdout.contains("2 in quarantine"), "{}", said.stdout);
    assert_eq!(world.database.count(quarantined).await, 2);
    let tries = "SELECT min(attempts) FROM wabridge.journal_pending";
    assert!(world.database.count(tries).await >= 1);

    world.database.execute("ALTER TABLE whatsapp_message DROP CONSTRAINT poison").await;
    world
        .database
        .execute("UPDATE whatsapp_configuration SET channel_id = 'MANTIS-77777' WHERE id = 1")
        .await;
    world.daemon.terminate().await;
    let said = journal(&world, &["replay", "--quarantined"]).await;
    assert!(said.stdout.contains("1 applied (1 events)"), "{}", said.stdout);
    world
        .database
        .execute("UPDATE whatsapp_configuration SET channel_id = 'HERON-K42QX' WHERE id = 1")
        .await;
    let said = journal(&world, &["replay", "--quarantined"]).await.well();
    assert!(said.contains("1 webhooks replayed: 1 applied (5 events), 0 in quarantine"), "{said}");
    assert_eq!(world.database.count(received).await, 6);
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal_pending").await, 0);
    let said = journal(&world, &["replay", "--quarantined"]).await.well();
    assert!(said.starts_with("0 webhooks"), "{said}");
}

#[tokio::test]
async fn a_replay_says_what_it_needs() {
    let world = World::start().await;
    journal(&world, &["replay"]).await.badly(&["--quarantined", "--all"]);
    journal(&world, &["replay", "1", "--all"]).await.badly(&["either"]);
    journal(&world, &["list", "--database", "nowhere"])
        .await
        .badly(&["nowhere", &world.database.name]);
    let said = journal(&world, &["replay", "77"]).await;
    assert_ne!(said.code, Some(0));
    assert!(said.stdout.contains("webhook 77: the journal does not hold it"), "{}", said.stdout);
    world.database.execute("ALTER TABLE whatsapp_message RENAME COLUMN error_code TO away").await;
    take(&world, &text_event(&message_id(1), PEER, "kept")).await;
    journal(&world, &["replay", "--all"]).await.badly(&["nothing can be applied", "error_code"]);
    world.database.execute("ALTER TABLE whatsapp_message RENAME COLUMN away TO error_code").await;
    world.until_count("SELECT count(*) FROM whatsapp_message", 1, 15).await;
}

/// Journal-only for a long time, then everything is caught up, a bounded batch at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_are_caught_up_in_bounded_batches() {
    const WEBHOOKS: u64 = 3000;
    let world = World::start().await;
    world.database.execute("ALTER TABLE whatsapp_chat RENAME COLUMN unread_count TO away").await;
    eventually("journal-only", 10, async || {
        world.daemon.log().contains("does not fit any more").then_some(())
    })
    .await;
    for chunk in (0..WEBHOOKS).collect::<Vec<_>>().chunks(50) {
        let mut sends = tokio::task::JoinSet::new();
        for n in chunk {
            let body = text_event(&message_id(*n), PEER, "meanwhile");
            let (http, url) = (world.daemon.http.clone(), world.daemon.public_url.clone());
            sends.spawn(async move { webhook(&http, &url, &body).await });
        }
        while let Some(answer) = sends.join_next().await {
            assert_eq!(answer.expect("it was sent"), 200, "{}", world.daemon.log());
        }
    }
    let pending = "SELECT count(*) FROM wabridge.journal_pending";
    assert_eq!(world.database.count(pending).await, i64::try_from(WEBHOOKS).expect("small"));
    world.database.execute("ALTER TABLE whatsapp_chat RENAME COLUMN away TO unread_count").await;
    let mut taken = BTreeSet::new();
    eventually("everything is caught up", 60, async || {
        let at_once = "SELECT count(*) FROM wabridge.journal_pending WHERE attempts > 0";
        taken.insert(world.database.count(at_once).await);
        (world.database.count(pending).await == 0).then_some(())
    })
    .await;
    assert!(taken.iter().all(|n| *n <= 100), "batches of {taken:?}");
    assert!(taken.iter().any(|n| *n > 0), "the batches were not seen");
    assert_eq!(
        world.database.count("SELECT count(*) FROM whatsapp_message").await,
        i64::try_from(WEBHOOKS).expect("small")
    );
    assert_eq!(
        world.database.count("SELECT unread_count FROM whatsapp_chat").await,
        i64::try_from(WEBHOOKS).expect("small")
    );
}

/// A partition of a day long past, with an applied webhook and one in quarantine.
const OLD_DAY: &str = "DO $$
    BEGIN
        SET LOCAL ROLE wabridge;
        CREATE TABLE wabridge.journal_20200102 (LIKE wabridge.journal INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
        ALTER TABLE wabridge.journal ATTACH PARTITION wabridge.journal_20200102
            FOR VALUES FROM ('2020-01-02 00:00:00+00') TO ('2020-01-03 00:00:00+00');
        INSERT INTO wabridge.journal (received_at, provider, configuration_id, verified_by, method, headers, body, request_id)
        SELECT '2020-01-02 12:00:00+00', provider, configuration_id, verified_by, method, headers, body, request_id
        FROM wabridge.journal ORDER BY id;
        INSERT INTO wabridge.journal_pending (journal_id, event_no, received_at, configuration_id, state, reason)
        SELECT max(id), 0, max(received_at), 1, 'quarantined', 'unknown_channel' FROM wabridge.journal WHERE received_at < '2020-01-03';
    END $$";

/// As pg_dump does it: a snapshot, and locks on all tables, for a long time. Partitions are made and taken away
/// meanwhile, and nobody waits.
#[tokio::test]
async fn a_backup_meanwhile_stalls_nobody() {
    let mut world = World::start().await;
    take(&world, &text_event(&message_id(1), PEER, "one")).await;
    take(&world, &elsewhere(&message_id(2))).await;
    world.daemon.terminate().await;
    world.database.execute("DELETE FROM wabridge.journal_pending").await;
    world.database.execute(OLD_DAY).await;
    // Tomorrow's is missing too.
    let tomorrow = world
        .database
        .text("SELECT 'journal_' || to_char((now() AT TIME ZONE 'UTC')::date + 1, 'YYYYMMDD')")
        .await
        .expect("a name");
    world.database.execute(&format!("DROP TABLE wabridge.{tomorrow}")).await;
    let backup = world.database.connect().await;
    backup
        .batch_execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM wabridge.journal;
             LOCK TABLE wabridge.journal, wabridge.journal_pending, whatsapp_message IN ACCESS SHARE MODE",
        )
        .await
        .expect("a backup may read");
    world.daemon.run();
    world.daemon.wait_ready().await;
    let there = format!(
        "SELECT count(*) FROM pg_inherits WHERE inhrelid = to_regclass('wabridge.{tomorrow}')"
    );
    world.until_count(&there, 1, 10).await;
    let detaching = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";
    world.until_count(detaching, 1, 15).await;
    // While the detachment hangs: webhooks are taken and applied at once, in a fraction of the budget of a lock.
    let before = world.database.count("SELECT count(*) FROM whatsapp_message").await;
    for n in 10..40 {
        take(&world, &text_event(&message_id(n), PEER, "while the backup reads")).await;
    }
    assert_eq!(
        world.database.count("SELECT count(*) FROM whatsapp_message").await,
        before + 30,
        "applied at once"
    );
    assert_eq!(
        backup.query("SELECT 1 FROM wabridge.journal", &[]).await.expect("it reads").len(),
        4
    );
    backup.batch_execute("COMMIT").await.expect("the backup ends");
    let gone = "SELECT count(*) FROM pg_class WHERE relname = 'journal_20200102'";
    world.until_count(gone, 0, 60).await;
    // What was in quarantine is kept, and can be seen and replayed.
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal_kept").await, 1);
    let kept = list(&world, &["--state", "quarantined"]).await;
    assert_eq!(kept.len(), 1);
    let kept = ids(&kept)[0].to_string();
    let shown = journal(&world, &["show", &kept, "--body"]).await.well();
    assert!(shown.contains("MANTIS-77777") && shown.contains("2020-01-02"), "{shown}");
    world
        .database
        .execute("UPDATE whatsapp_configuration SET channel_id = 'MANTIS-77777' WHERE id = 1")
        .await;
    let said = journal(&world, &["replay", &kept]).await.well();
    assert!(said.contains("1 applied (1 events)"), "{said}");
    let sql = "SELECT count(*) FROM whatsapp_message WHERE content = 'of another channel'";
    assert_eq!(world.database.count(sql).await, 1);
}
