//! Several databases behind one public listener, and what happens when there is no room or no journal.

use serde_json::json;
use wabridge_testkit::{Daemon, Series, TestDatabase, eventually};

use crate::support::world::{
    WEBHOOK_SECRET, World, client, credentials_of, message_id, text_event, until_count, webhook_url,
};

const FROM: &str = "447700900123";

async fn post(daemon: &Daemon, path: &str, body: &serde_json::Value) -> u16 {
    let url = format!("{}/whatsapp/webhook/whapi{path}", daemon.public_url);
    let answer = client().post(url).bearer_auth(WEBHOOK_SECRET).json(body).send().await;
    answer.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn events_go_to_the_database_that_the_path_or_the_channel_names() {
    let one = TestDatabase::new(Series::Odoo14).await;
    let two = TestDatabase::new(Series::Odoo19).await;
    credentials_of(&one, "http://127.0.0.1:9", "token", ("path-of-one", WEBHOOK_SECRET)).await;
    credentials_of(&two, "http://127.0.0.1:9", "token", ("path-of-two", WEBHOOK_SECRET)).await;
    let daemon = Daemon::start(&[&one, &two], &[]).await;
    let texts = "SELECT count(*) FROM whatsapp_message";
    let journal = "SELECT count(*) FROM wabridge.journal";
    // Both have this very channel and secret: the path says which is meant.
    let first = text_event(&message_id(1), FROM, "for two");
    assert_eq!(post(&daemon, "/path-of-two", &first).await, 200);
    assert_eq!((one.count(journal).await, two.count(journal).await), (0, 1));
    assert_eq!((one.count(texts).await, two.count(texts).await), (0, 1));
    // The path names one, the channel is two's: the secret is common, so it is delivered there and kept by both.
    two.execute("UPDATE whatsapp_configuration SET channel_id = 'OF-TWO'; NOTIFY wabridge").await;
    let mut other = text_event(&message_id(2), FROM, "for two, by one");
    other["channel_id"] = json!("OF-TWO");
    eventually("the changed channel is known", 10, async || {
        assert_eq!(post(&daemon, "/path-of-one", &other).await, 200);
        (two.count(texts).await == 2).then_some(())
    })
    .await;
    assert_eq!(one.count(texts).await, 0);
    // Without a path the channel decides.
    assert_eq!(post(&daemon, "", &text_event(&message_id(3), FROM, "for one")).await, 200);
    until_count(&one, texts, 1, 5).await;
    assert_eq!(two.count(texts).await, 2);
    assert_eq!(post(&daemon, "/path-of-three", &text_event(&message_id(4), FROM, "x")).await, 401);
}

#[tokio::test]
async fn without_room_or_journal_the_provider_is_asked_to_come_again() {
    let world = World::with("", &[("WABRIDGE__LIMITS__QUEUE_BYTES", "4000")]).await;
    let send = async |text: &str| {
        let answer = client()
            .post(webhook_url(&world.daemon.public_url))
            .bearer_auth(WEBHOOK_SECRET)
            .json(&text_event(&message_id(1), FROM, text))
            .send()
            .await
            .expect("an answer");
        let wait =
            answer.headers().get("retry-after").map(|v| v.to_str().unwrap_or_default().to_owned());
        (
            answer.status().as_u16(),
            wait.is_some_and(|wait| wait.parse::<u32>().is_ok_and(|s| s > 0)),
        )
    };
    assert_eq!(send(&"x".repeat(5000)).await, (503, true));
    assert_eq!(send("fits").await, (200, false));
    world.database.execute("ALTER TABLE wabridge.journal ADD CONSTRAINT no_room CHECK (length(body) < 100) NOT VALID").await;
    assert_eq!(send("the journal refuses it").await, (503, true));
    world.database.execute("ALTER TABLE wabridge.journal DROP CONSTRAINT no_room").await;
    assert_eq!(send("fits again").await, (200, false));
}

#[tokio::test]
async fn partitions_are_made_ahead_and_dropped_when_their_time_is_over() {
    let mut world = World::prepared("", &[("WABRIDGE__JOURNAL__KEEP_DAYS", "5")]).await;
    for (name, days, waits) in [("journal_20200101", 0, false), ("journal_20200102", 1, true)] {
        let from = format!("'2020-01-01 00:00:00+00'::timestamptz + interval '{days} day'");
        world
            .database
            .execute(&format!(
                "SET ROLE wabridge;
                 DO $$ BEGIN EXECUTE format('CREATE TABLE wabridge.{name} PARTITION OF wabridge.journal FOR VALUES FROM (%L) TO (%L)',
                    {from}, {from} + interval '1 day'); END $$;
                 INSERT INTO wabridge.journal (received_at, provider, configuration_id, verified_by, method, headers, body, request_id)
                 VALUES ({from}, 'whapi', 1, 'header', 'POST', '{{}}', '{{}}', 'r');
                 INSERT INTO wabridge.journal_pending (journal_id, received_at, configuration_id, state, reason, next_at)
                 SELECT id, received_at, 1, '{state}', 'unreadable', 'infinity' FROM wabridge.{name};
                 RESET ROLE",
                state = if waits { "pending" } else { "quarantined" },
            ))
            .await;
    }
    // As after a week in which no daemon ran.
    world
        .database
        .execute(
            "DO $$ DECLARE p regclass; BEGIN
                FOR p IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'wabridge.journal'::regclass
                         AND inhrelid::regclass::text !~ '2020' LOOP
                    EXECUTE format('DROP TABLE %s', p);
                END LOOP;
             END $$",
        )
        .await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    eventually("partitions", 10, async || {
        let names = world
            .database
            .text("SELECT count(*) || ' ' || min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'wabridge.journal'::regclass")
            .await;
        // What still waits keeps its day.
        (names.as_deref() == Some("6 wabridge.journal_20200102")).then_some(())
    })
    .await;
    // What stands in quarantine outlives its day.
    for (table, rows) in [("journal_pending", 2), ("journal_kept", 1)] {
        until_count(&world.database, &format!("SELECT count(*) FROM wabridge.{table}"), rows, 5)
            .await;
    }
    assert_eq!(world.webhook(&text_event(&message_id(1), FROM, "hello")).await, 200);
}
