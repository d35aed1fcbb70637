//! How fast and when: pace, daily limit, schedule, time to think, back-off.

use std::time::{Duration, Instant};

use serde_json::json;

use super::provider_texts;
use crate::support::World;
use crate::support::world::{USER, text_params};

const PEER: &str = "447700900123";

async fn configure(world: &World, set: &str) {
    world.database.execute(&format!("UPDATE whatsapp_configuration SET {set} WHERE id = 1")).await;
    // The daemon reads accounts every second.
    tokio::time::sleep(Duration::from_millis(1600)).await;
}

const TAKEN: &str = "SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL";

#[tokio::test]
async fn the_pace_is_kept_over_all_chats() {
    let world = World::start().await;
    configure(&world, "pace_per_second = 4").await;
    let began = Instant::now();
    for n in 0..13 {
        world.send(&format!("4477009002{n:02}"), "paced").await;
    }
    world.until_count(TAKEN, 13, 20).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(2900), "13 messages at 4/s took {took:?}");
}

#[tokio::test]
async fn the_limit_of_a_day() {
    let world = World::start().await;
    configure(&world, "daily_limit = 3").await;
    for n in 0..5 {
        world.send(PEER, &format!("m {n}")).await;
    }
    world.until_count(TAKEN, 3, 10).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.calls().await, 3);
    assert_eq!(
        world.database.count("SELECT count(*) FROM whatsapp_message WHERE status = 'queued'").await,
        2
    );
    configure(&world, "daily_limit = 0").await;
    world.until_count(TAKEN, 5, 10).await;
}

#[tokio::test]
async fn a_scheduled_message_holds_nobody_up() {
    let world = World::start().await;
    let at = world
        .database
        .text("SELECT to_char((now() + interval '3 s') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        .await
        .expect("a time");
    let mut scheduled = text_params(PEER, "later");
    scheduled["schedule_at"] = json!(at);
    let later = world.daemon.call("message.send", scheduled).await["data"]["id"]
        .as_i64()
        .expect("a row id");
    let now = world.sent(PEER, "now").await;
    world.until_status(now, &["pending", "sent", "delivered", "read"], 2).await;
    assert_eq!(world.status(later).await, "queued");
    world.until_status(later, &["read"], 12).await;
    assert_eq!(provider_texts(&world).await, ["now", "later"]);
}

#[tokio::test]
async fn time_to_think() {
    let world = World::start().await;
    configure(&world, "undo_s = 2").await;
    let began = Instant::now();
    let ids = [world.sent(PEER, "taken back").await, world.sent(PEER, "stays").await];
    world
        .database
        .execute(&format!(
            "UPDATE whatsapp_message SET status = 'cancelled', cancelled_at = now() WHERE id = {}",
            ids[0]
        ))
        .await;
    world.until_status(ids[1], &["read"], 15).await;
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(provider_texts(&world).await, ["stays"]);
    world.until_quiet(5).await;
}

#[tokio::test]
async fn a_head_that_keeps_failing_blocks_its_chat_for_a_bounded_time() {
    let world = World::with("[limits]\nhead_block_s = 4", &[]).await;
    // Nobody listens there: no byte is written.
    let url = world.simulator.url.clone();
    configure(&world, "base_url = 'http://127.0.0.1:9'").await;
    let first = world.sent(PEER, "first").await;
    let second = world.sent(PEER, "second").await;
    world.until_status(first, &["failed"], 15).await;
    let sql = format!("SELECT error_code FROM whatsapp_message WHERE id = {first}");
    assert_eq!(world.database.text(&sql).await.as_deref(), Some("provider_unavailable"));
    let attempts = format!("SELECT count(*) FROM wabridge.attempt WHERE message_id = {first}");
    assert!(world.database.count(&attempts).await >= 2, "it was tried again");
    configure(&world, &format!("base_url = '{url}'")).await;
    world.until_status(second, &["read"], 20).await;
    assert_eq!(provider_texts(&world).await, ["second"]);
}

#[tokio::test]
async fn an_account_that_pauses_starves_no_other() {
    let world = World::start().await;
    const OTHER: &str = "whapi-token-of-another";
    let account = json!({"accounts": [{"provider": "whapi", "token": OTHER, "channel_id": "ROBIN-7Q2ZM",
        "phone": "447700900998", "name": "Birch Support"}]});
    world.simulator.control("state", account).await;
    let seal = "5e0a5a1c-6a3f-4f7e-9a44-0f4d1c8d2b11";
    let token = wabridge_testkit::Daemon::seal(&world.database, seal, "token", OTHER).await;
    world
        .database
        .execute(&format!(
            "INSERT INTO whatsapp_configuration (name, provider, channel_id, active, sequence, company_id, seal_uuid, token,
                    base_url, pace_per_second)
             SELECT 'Second', provider, 'ROBIN-7Q2ZM', true, 20, company_id, '{seal}', '{token}', base_url, 0
             FROM whatsapp_configuration WHERE id = 1;
             INSERT INTO res_users_whatsapp_configuration_rel (whatsapp_configuration_id, res_users_id)
             SELECT max(id), {USER} FROM whatsapp_configuration"
        ))
        .await;
    let second = world.database.count("SELECT max(id) FROM whatsapp_configuration").await;
    configure(&world, "pace_per_second = 0").await;
    let token = wabridge_testkit::daemon::WHAPI_TOKEN;
    world
        .fault(
            json!({"operation": "message.send", "token": token, "status": 429, "retry_after": 30}),
        )
        .await;
    for n in 0..100 {
        world.send(&format!("44770090{:04}", 1000 + n), "waits").await;
    }
    for n in 0..10 {
        let mut params = text_params(PEER, &format!("goes {n}"));
        params["configuration_id"] = json!(second);
        world.daemon.call("message.send", params).await;
    }
    world.until_count(&format!("{TAKEN} AND configuration_id = {second}"), 10, 10).await;
    assert_eq!(world.database.count(&format!("{TAKEN} AND configuration_id = 1")).await, 0);
    let lost = "SELECT count(*) FROM wabridge.outbox WHERE attempts > 0";
    assert_eq!(world.database.count(lost).await, 0, "a pause costs no attempt");
}
