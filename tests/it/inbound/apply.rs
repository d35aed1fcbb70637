//! What becomes of webhooks in Odoo's rows.

use serde_json::json;
use wabridge_testkit::eventually;

use super::{take, texts, traces, vector};
use crate::support::world::{WEBHOOK_SECRET, World, message_id, text_event, webhook_url};

#[tokio::test]
async fn the_vectors_are_stored_as_their_sheet_says() {
    let world = World::start().await;
    let row = async |sql: &str| world.database.text(sql).await.unwrap_or_else(|| "NULL".into());
    assert_eq!(take(&world, &vector("message_text")).await, 1);
    assert_eq!(
        row("SELECT concat_ws('|', m.content, m.message_type, m.status, m.direction, m.from_me, m.origin, m.timestamp,
                    c.phone, c.pushname, h.unread_count)
             FROM whatsapp_message m JOIN whatsapp_contact c ON c.id = m.contact_id
             JOIN whatsapp_chat h ON h.chat_id = m.chat_id
             WHERE m.message_id = 'Qk2vT9aXe4LmR0sYbN7c1g-gLw8Ztq3HcA'").await,
        "Hello, is the blue model in stock?|text|delivered|inbound|f|provider|2025-12-15 12:00:01|+447700900123|Amira Osei|1"
    );
    take(&world, &vector("message_group_text")).await;
    assert_eq!(
        row("SELECT concat_ws('|', m.content, g.group_id, g.name, c.phone) FROM whatsapp_message m
             JOIN whatsapp_group g ON g.id = m.group_id JOIN whatsapp_contact c ON c.id = m.contact_id").await,
        "@447700900999 gate is closed|120363025550100777@g.us|Ops Night Shift|+447700900123"
    );
    // Nothing of ours is under way: the echo of another program's send is a row at once.
    take(&world, &vector("message_from_me_api_echo")).await;
    let own = "FROM whatsapp_message WHERE message_id = 'Pw7pM3oUx1AcG4hLwR9j6N-wZk5Fth9WlO'";
    assert_eq!(
        row(&format!("SELECT concat_ws('|', status, direction, origin, content) {own}")).await,
        "pending|outbound|provider|Your order 118 has shipped."
    );
    for (word, expected) in
        [("read", "read"), ("failed", "read"), ("sent", "read"), ("delivered", "read")]
    {
        take(&world, &vector(&format!("status_{word}"))).await;
        assert_eq!(row(&format!("SELECT status {own}")).await, expected);
    }
    assert_eq!(
        row(&format!("SELECT concat_ws('|', sent_at::time, failed_at::time, delivered_at::time, read_at::time, error_code, error_message) {own}")).await,
        "12:05:01|12:05:05|12:05:03|12:05:20|provider_rejected|send failed (500)"
    );
    // Everything else the sheet has: taken, and the journal keeps what is not applied yet.
    let before = world.database.count("SELECT count(*) FROM wabridge.journal").await;
    let others = [
        "channel_auth",
        "channel_qr",
        "chat_created",
        "contact_update",
        "group_created",
        "group_participants_add",
        "group_participants_demote",
        "group_participants_promote",
        "group_participants_remove",
        "group_update_subject",
        "message_contact",
        "message_deleted",
        "message_document",
        "message_edit_patch",
        "message_image",
        "message_location",
        "message_reaction",
        "message_voice",
        "user_login",
        "user_logout",
    ];
    for name in others {
        take(&world, &vector(name)).await;
    }
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal").await, before + 20);
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal_pending").await, 0);
    assert_eq!(
        row("SELECT caption || ' ' || (extra IS NOT NULL) FROM whatsapp_message WHERE message_type = 'image'").await,
        "Photo of the broken part true"
    );
    assert_eq!(row("SELECT state FROM whatsapp_account_state").await, "qr_needed");
}

#[tokio::test]
async fn the_same_event_five_times_is_one_row_and_draws_one_id() {
    let world = World::start().await;
    let body = text_event(&message_id(1), "447700900123", "hello");
    take(&world, &body).await;
    let before = traces(&world.database).await;
    for _ in 0..4 {
        take(&world, &body).await;
    }
    // Twenty at once, in both batchers and their batches.
    let all = (0..20).map(|_| take(&world, &body));
    let mut tasks = Vec::new();
    for one in all {
        tasks.push(one);
    }
    for one in tasks {
        one.await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(traces(&world.database).await, before);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal").await, 25);
}

#[tokio::test]
async fn many_webhooks_at_once_are_all_there_when_they_are_answered() {
    let world = World::start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..16u64 {
        let http = world.daemon.http.clone();
        let url = webhook_url(&world.daemon.public_url);
        tasks.spawn(async move {
            for n in 0..40 {
                let id = message_id(client * 1000 + n);
                let from = format!("4477009001{:02}", (client * 7 + n) % 100);
                let body = text_event(&id, &from, "under load");
                let answer = http.post(&url).bearer_auth(WEBHOOK_SECRET).json(&body).send().await;
                assert_eq!(answer.expect("an answer").status(), 200);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("all are taken");
    }
    // What went aside, because two batches met at one row, is there a moment later.
    eventually("all messages", 10, async || {
        (world.database.count("SELECT count(*) FROM whatsapp_message").await == 640).then_some(())
    })
    .await;
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal").await, 640);
    assert_eq!(
        world
            .database
            .count("SELECT coalesce(sum(unread_count), 0)::bigint FROM whatsapp_chat")
            .await,
        640
    );
    assert_eq!(
        world.database.count("SELECT last_value FROM whatsapp_message_id_seq").await,
        640,
        "no id was burnt"
    );
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_event WHERE kind = 'message_received' AND phase = 'new'").await, 640);
    let groups =
        world.database.count("SELECT count(DISTINCT xmin::text) FROM wabridge.journal").await;
    assert!(groups < 600, "webhooks were committed in groups: {groups}");
}

#[tokio::test]
async fn unknown_channels_unreadable_bodies_and_broken_events_are_quarantined_alone() {
    let world = World::start().await;
    let mut foreign = text_event(&message_id(1), "447700900123", "not ours");
    foreign["channel_id"] = json!("NOBODY-1");
    take(&world, &foreign).await;
    // A second account whose secret is another: its channel is unknown to this sender.
    let mut mixed = texts(&[message_id(2), message_id(3)]);
    mixed["messages"]
        .as_array_mut()
        .expect("a list")
        .insert(1, json!({"id": message_id(4), "type": "text"}));
    take(&world, &mixed).await;
    let answer = world
        .daemon
        .http
        .post(webhook_url(&world.daemon.public_url))
        .bearer_auth(WEBHOOK_SECRET)
        .body("{\"messages\": [")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(
        world
            .database
            .text("SELECT string_agg(state || ' ' || event_no || ' ' || reason, ',' ORDER BY journal_id) FROM wabridge.journal_pending")
            .await
            .as_deref(),
        Some("quarantined 0 unknown_channel,quarantined 2 broken_event,quarantined -1 unreadable")
    );
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 2);
    // An archived account takes no events, its sender is still known.
    world
        .database
        .execute("UPDATE whatsapp_configuration SET active = false; NOTIFY wabridge")
        .await;
    eventually("events of the archived account are quarantined", 10, async || {
        take(&world, &text_event(&message_id(5), "447700900123", "late")).await;
        let count = world
            .database
            .count("SELECT count(*) FROM wabridge.journal_pending WHERE reason = 'unknown_channel'")
            .await;
        (count >= 2).then_some(())
    })
    .await;
}
