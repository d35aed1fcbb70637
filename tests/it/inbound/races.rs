//! Two commits that meet: words before their message, echoes before the answer of the send.

use serde_json::json;
use wabridge_testkit::eventually;

use super::{take, vector};
use crate::support::world::{World, message_id, status_event};

const TO: &str = "+447700900804";
const CHAT: &str = "447700900804@s.whatsapp.net";

fn echo(id: &str, text: &str) -> serde_json::Value {
    let mut echo = vector("message_from_me_api_echo");
    echo["messages"][0]["id"] = json!(id);
    echo["messages"][0]["chat_id"] = json!(CHAT);
    echo["messages"][0]["text"]["body"] = json!(text);
    echo
}

#[tokio::test]
async fn words_that_come_before_their_message_wait_for_it() {
    let world = World::start().await;
    let id = message_id(7);
    take(&world, &status_event(&id, CHAT, "delivered")).await;
    take(&world, &status_event(&id, CHAT, "sent")).await;
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.early_event").await, 1);
    take(&world, &echo(&id, "somebody else's")).await;
    let sql = "SELECT string_agg(status || (sent_at IS NOT NULL), ',') FROM whatsapp_message";
    assert_eq!(world.database.text(sql).await.as_deref(), Some("deliveredtrue"));
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.early_event").await, 0);
}

/// The early word and the message's id are written at the same time, and neither look after the commit happens:
/// the sweep joins them.
#[tokio::test]
async fn the_sweep_joins_what_both_sides_missed() {
    let world = World::with("", &[("WABRIDGE_FAILPOINTS", "ingest.look_again.guard=off")]).await;
    let id = message_id(8);
    take(&world, &status_event(&id, CHAT, "read")).await;
    world
        .database
        .execute(&format!(
            "INSERT INTO whatsapp_message (configuration_id, message_id, chat_id, from_me, direction, status, queued_at)
             VALUES (1, '{id}', '{CHAT}', true, 'outbound', 'queued', now() AT TIME ZONE 'UTC')"
        ))
        .await;
    eventually("the sweep", 6, async || {
        let status = world.database.text("SELECT status FROM whatsapp_message").await;
        (status.as_deref() == Some("read")).then_some(())
    })
    .await;
}

/// The webhook's transaction stands before its commit with the early word in it while the message gets its id:
/// the look after the commit finds it, long before the sweep could.
#[tokio::test]
async fn the_look_after_the_commit_finds_what_came_meanwhile() {
    for (guard, waits_for_the_sweep) in [("on", false), ("off", true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let pause = folder.path().join("pause");
        let points = format!(
            "ingest.commit=pause:{}{}",
            pause.display(),
            if guard == "off" { ",ingest.look_again.guard=off" } else { "" }
        );
        let world = World::with("", &[("WABRIDGE_FAILPOINTS", &points)]).await;
        let id = message_id(9);
        std::fs::write(&pause, b"").expect("a file");
        let body = status_event(&id, CHAT, "read");
        let (daemon, http) = (world.daemon.public_url.clone(), world.daemon.http.clone());
        let delivery =
            tokio::spawn(
                async move { crate::support::world::webhook(&http, &daemon, &body).await },
            );
        let reached = folder.path().join("pause.reached");
        eventually("the webhook stands before its commit", 5, async || {
            reached.exists().then_some(())
        })
        .await;
        world
            .database
            .execute(&format!(
                "INSERT INTO whatsapp_message (configuration_id, message_id, chat_id, from_me, direction, status, queued_at)
                 VALUES (1, '{id}', '{CHAT}', true, 'outbound', 'queued', now() AT TIME ZONE 'UTC')"
            ))
            .await;
        std::fs::remove_file(&pause).expect("the file is there");
        assert_eq!(delivery.await.expect("no panic"), 200);
        let begin = std::time::Instant::now();
        eventually("the word", 6, async || {
            let status = world.database.text("SELECT status FROM whatsapp_message").await;
            (status.as_deref() == Some("read")).then_some(())
        })
        .await;
        let by_sweep = "early events found their message";
        if waits_for_the_sweep {
            // The negative control: without the look it is the sweep that finds it.
            eventually(by_sweep, 3, async || world.daemon.log().contains(by_sweep).then_some(()))
                .await;
        } else {
            assert!(
                !world.daemon.log().contains(by_sweep),
                "it waited for the sweep, {:?}",
                begin.elapsed()
            );
        }
    }
}

#[tokio::test]
async fn an_echo_before_the_answer_is_no_second_row() {
    let world = World::start().await;
    world.fault(json!({"operation": "message.send", "delay_ms": 800, "times": 1})).await;
    let sent = world.send(TO, "with an echo").await;
    let id = sent["id"].as_i64().expect("a row id");
    world.until_status(id, &["pending", "sent", "delivered", "read"], 15).await;
    world.until_quiet(10).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        world.database.count("SELECT count(*) FROM whatsapp_message").await,
        1,
        "{}",
        world.daemon.log()
    );
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.early_event").await, 0);
    // Its own echo, delivered once more.
    let message_id = world
        .database
        .text("SELECT message_id FROM whatsapp_message")
        .await
        .expect("the provider's id");
    take(&world, &echo(&message_id, "with an echo")).await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
}

/// The provider's answer is there, its record stands before its commit, and the echo comes in: it waits, and is
/// no second row. The negative control takes the waiting away.
#[tokio::test]
async fn an_echo_between_answer_and_outcome_waits() {
    for parks in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let pause = folder.path().join("pause");
        let points = format!(
            "outcome.before_commit=pause:{}{}",
            pause.display(),
            if parks { "" } else { ",ingest.parks_echoes=off" }
        );
        let world = World::with("", &[("WABRIDGE_FAILPOINTS", &points)]).await;
        std::fs::write(&pause, b"").expect("a file");
        let sent = world.send(TO, "held before its outcome").await;
        let id = sent["id"].as_i64().expect("a row id");
        if parks {
            world
                .until_count("SELECT count(*) FROM wabridge.early_event WHERE kind = 'echo'", 1, 10)
                .await;
            // Longer than a round of the sweep: it lets go of nothing while the outcome is open.
            tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
            assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
        } else {
            world.until_count("SELECT count(*) FROM whatsapp_message", 2, 10).await;
        }
        std::fs::remove_file(&pause).expect("the file is there");
        if parks {
            world.until_status(id, &["sent", "delivered"], 10).await;
            world.until_count("SELECT count(*) FROM wabridge.early_event", 0, 10).await;
            assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
        }
    }
}

/// The outcome is committed while the echo's transaction, which saw the call open, stands before its own: each
/// side looks after its commit, and without both looks the sweep joins them.
#[tokio::test]
async fn an_echo_that_commits_after_the_outcome_joins_it() {
    for looks in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let (outcome, echo) = (folder.path().join("outcome"), folder.path().join("echo"));
        let mut points = format!(
            "outcome.before_commit=pause:{},ingest.commit=pause:{}",
            outcome.display(),
            echo.display()
        );
        if !looks {
            points.push_str(",ingest.look_again.guard=off,outcome.joins_early=off");
        }
        let world = World::with("", &[("WABRIDGE_FAILPOINTS", &points)]).await;
        for file in [&outcome, &echo] {
            std::fs::write(file, b"").expect("a file");
        }
        let sent = world.send(TO, "crossed").await;
        let id = sent["id"].as_i64().expect("a row id");
        for file in ["outcome.reached", "echo.reached"] {
            let reached = folder.path().join(file);
            eventually(file, 10, async || reached.exists().then_some(())).await;
        }
        std::fs::remove_file(&outcome).expect("the file is there");
        world.until_status(id, &["pending", "sent"], 10).await;
        std::fs::remove_file(&echo).expect("the file is there");
        world.until_status(id, &["sent", "delivered"], 10).await;
        world.until_count("SELECT count(*) FROM wabridge.early_event", 0, 6).await;
        assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
    }
}

/// Two echoes wait for a call that is never heard of again; one of them is a row that the database refuses.
#[tokio::test]
async fn an_echo_that_the_database_refuses_holds_up_no_other() {
    let world = World::start().await;
    world
        .database
        .execute(&format!(
            "ALTER TABLE whatsapp_message ADD CONSTRAINT poison CHECK (content <> 'poison');
             INSERT INTO wabridge.attempt (configuration_id, chat_key, message_id, outbox_id, number, epoch, owner, request_id)
             VALUES (1, '{CHAT}', 4711, 4711, 1, 0, gen_random_uuid(), 'r')"
        ))
        .await;
    take(&world, &echo(&message_id(1), "poison")).await;
    take(&world, &echo(&message_id(2), "wholesome")).await;
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.early_event").await, 2);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 0);
    world
        .database
        .execute("UPDATE wabridge.attempt SET finished_at = now(), applied_at = now(), outcome = 'refused'")
        .await;
    let sql = "SELECT string_agg(content || ' ' || origin, ',') FROM whatsapp_message";
    eventually("the wholesome one", 6, async || {
        (world.database.text(sql).await.as_deref() == Some("wholesome provider")).then_some(())
    })
    .await;
    world
        .until_count("SELECT count(*) FROM wabridge.early_event WHERE payload IS NULL", 1, 6)
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(world.daemon.log().matches("refuses a message").count(), 1);
}
