//! A good guest: what Odoo holds makes nobody wait, and what could not be applied at once is applied afterwards.

use std::time::Duration;

use wabridge_testkit::eventually;

use super::{take, texts};
use crate::support::world::{World, message_id, status_event, text_event};

const FROM: &str = "447700900123";

/// Webhooks are answered while `hold` is held in another session, and applied after it.
async fn while_held(hold: &str) -> World {
    let world = World::start().await;
    take(&world, &text_event(&message_id(0), FROM, "before")).await;
    let odoo = world.database.connect().await;
    odoo.batch_execute(&format!("BEGIN; {hold}")).await.expect("Odoo takes its lock");
    for n in 1..=20 {
        take(&world, &text_event(&message_id(n), FROM, "while it is held")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal").await, 21);
    odoo.batch_execute("COMMIT").await.expect("Odoo ends");
    eventually("everything is applied afterwards", 15, async || {
        let sql = "SELECT count(*) FROM whatsapp_message";
        (world.database.count(sql).await == 21).then_some(())
    })
    .await;
    eventually("nothing is pending", 5, async || {
        (world.database.count("SELECT count(*) FROM wabridge.journal_pending").await == 0)
            .then_some(())
    })
    .await;
    assert_eq!(world.database.count("SELECT unread_count FROM whatsapp_chat").await, 21);
    // And at once again.
    let id = message_id(100);
    take(&world, &text_event(&id, FROM, "after")).await;
    eventually("applied at once again", 10, async || {
        (world.database.count("SELECT count(*) FROM whatsapp_message").await == 22).then_some(())
    })
    .await;
    world
}

#[tokio::test]
async fn odoo_holds_a_contact_row() {
    while_held("SELECT id FROM whatsapp_contact FOR UPDATE").await;
}

#[tokio::test]
async fn odoo_locks_the_messages_table() {
    while_held("LOCK TABLE whatsapp_message IN SHARE MODE").await;
}

#[tokio::test]
async fn odoo_locks_a_message_while_its_status_comes() {
    let world = World::start().await;
    let id = message_id(1);
    take(&world, &text_event(&id, FROM, "one")).await;
    let odoo = world.database.connect().await;
    odoo.batch_execute("BEGIN; UPDATE whatsapp_message SET caption = 'edited'")
        .await
        .expect("Odoo writes");
    take(&world, &status_event(&id, "447700900123@s.whatsapp.net", "read")).await;
    // Others of the same account go on meanwhile.
    take(&world, &text_event(&message_id(2), "447700900124", "two")).await;
    eventually("the other message", 10, async || {
        (world.database.count("SELECT count(*) FROM whatsapp_message").await == 2).then_some(())
    })
    .await;
    odoo.batch_execute("COMMIT").await.expect("Odoo ends");
    eventually("the status", 10, async || {
        let sql =
            format!("SELECT status || caption FROM whatsapp_message WHERE message_id = '{id}'");
        (world.database.text(&sql).await.as_deref() == Some("readedited")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_event_that_the_database_refuses_stands_alone() {
    let world = World::start().await;
    // A rule of somebody's own, as other addons bring them.
    world
        .database
        .execute("ALTER TABLE whatsapp_message ADD CONSTRAINT poison CHECK (content <> 'text of ' || message_id OR message_id NOT LIKE '%13-gLw8Ztq3HcA')")
        .await;
    let ids: Vec<String> = (0..30).map(message_id).collect();
    take(&world, &texts(&ids)).await;
    take(&world, &text_event(&message_id(50), FROM, "a neighbour")).await;
    eventually("all but one", 15, async || {
        (world.database.count("SELECT count(*) FROM whatsapp_message").await == 30).then_some(())
    })
    .await;
    eventually("one is quarantined", 10, async || {
        let row = world.database.text("SELECT string_agg(state || ' ' || event_no || ' ' || reason, ',') FROM wabridge.journal_pending").await;
        (row.as_deref() == Some("quarantined 13 refused_by_database")).then_some(())
    })
    .await;
    let detail = world
        .database
        .text("SELECT detail FROM wabridge.journal_pending")
        .await
        .unwrap_or_default();
    assert!(detail.contains("poison") && !detail.contains("text of"), "{detail}");
}

#[tokio::test]
async fn an_addon_upgrade_under_load_loses_nothing() {
    let world = World::start().await;
    for n in 0..40 {
        take(&world, &text_event(&message_id(n), FROM, "under an upgrade")).await;
        if n == 10 {
            world
                .database
                .execute("ALTER TABLE whatsapp_message ADD COLUMN new_field varchar")
                .await;
        }
        if n == 20 {
            world
                .database
                .execute("ALTER TABLE whatsapp_message ALTER COLUMN category TYPE text")
                .await;
        }
        if n == 30 {
            world.database.execute("ALTER TABLE whatsapp_chat ALTER COLUMN name TYPE text").await;
        }
    }
    eventually("everything is applied", 15, async || {
        (world.database.count("SELECT count(*) FROM whatsapp_message").await == 40).then_some(())
    })
    .await;
}

#[tokio::test]
async fn ended_sessions_come_back_and_nothing_acknowledged_is_lost() {
    let world = World::start().await;
    let mut acknowledged = 0;
    let mut refused = 0;
    let mut taken_again = 0;
    let mut n = 0;
    // It comes back by itself, and stays.
    while taken_again < 50 {
        assert!(n < 2000, "it did not come back: {refused} of {n} refused");
        if n == 10 {
            world
                .database
                .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'wabridge'")
                .await;
        }
        match world.webhook(&text_event(&message_id(n), FROM, "through the gap")).await {
            200 => {
                acknowledged += 1;
                taken_again += i32::from(refused > 0);
            }
            503 => {
                refused += 1;
                taken_again = 0;
            }
            other => panic!("{other}\n{}", world.daemon.log()),
        }
        n += 1;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(refused > 0, "the gap that Odoo's own duplicate needs was not there");
    eventually("all that was acknowledged", 10, async || {
        (world.database.count("SELECT count(*) FROM whatsapp_message").await >= acknowledged)
            .then_some(())
    })
    .await;
}
