//! `stats.summary`: counted days and the messages since, together and each once.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::world::{ADMIN, USER};

/// Account 2, which nobody but administrators may use.
const OTHER: &str = "
    INSERT INTO whatsapp_configuration (id, name, provider, channel_id, active, sequence, company_id, seal_uuid, base_url)
    VALUES (2, 'Sales', 'whapi', 'C-2', true, 20, 1, 'u-2', 'http://127.0.0.1:9')";

/// The day before yesterday is counted, with other numbers than its messages have; yesterday and today are not.
fn rows(day: &str) -> String {
    format!(
        "DELETE FROM whatsapp_message; DELETE FROM whatsapp_message_count; DELETE FROM whatsapp_dashboard_mark;
         INSERT INTO whatsapp_dashboard_mark (configuration_id, live_from, counted_at)
            VALUES (1, date '{day}' - 1, timestamp '{day} 00:10:00');
         INSERT INTO whatsapp_message_count (configuration_id, day, direction, message_count, sent_count, delivered_count,
                read_count, failed_count) VALUES
            (1, date '{day}' - 2, 'inbound', 40, 0, 0, 0, 0), (1, date '{day}' - 2, 'outbound', 35, 30, 20, 10, 5),
            (1, date '{day}' - 9, 'inbound', 400, 0, 0, 0, 0);
         INSERT INTO whatsapp_message (configuration_id, message_id, chat_id, direction, status, origin, timestamp, sent_at,
                delivered_at, read_at)
            SELECT 1, 'm' || n, 'c', CASE WHEN n < 5 THEN 'inbound' ELSE 'outbound' END,
                   CASE WHEN n = 11 THEN 'failed' ELSE 'sent' END, CASE WHEN n = 10 THEN 'phone' ELSE 'rpc' END,
                   d.at, CASE WHEN n BETWEEN 5 AND 10 THEN d.at END, CASE WHEN n BETWEEN 6 AND 8 THEN d.at END,
                   CASE WHEN n IN (8, 9) THEN d.at END
            FROM generate_series(0, 11) n CROSS JOIN generate_series(0, 2) back
            CROSS JOIN LATERAL (SELECT timestamp '{day} 00:00:00' - back * interval '1 day' AS at) d
            WHERE back <> 1 OR n IN (0, 5);",
    )
    // An id is given once per account.
    .replace("'m' || n,", "'m' || n || '-' || back,")
}

async fn summary(world: &World, params: Value) -> Value {
    world.daemon.call("stats.summary", params).await["data"].take()
}

#[tokio::test]
async fn counted_days_and_the_messages_since() {
    let mut world = World::prepared("", &[]).await;
    world.database.execute(OTHER).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    loop {
        let day = world
            .database
            .text("SELECT ((now() AT TIME ZONE 'UTC')::date)::text")
            .await
            .expect("a day");
        world.database.execute(&rows(&day)).await;
        let week = summary(&world, json!({"uid": USER})).await;
        let today = summary(&world, json!({"uid": USER, "days": 1, "configuration_id": 1})).await;
        if week["last_day"] != day || today["last_day"] != day {
            continue; // midnight came in between
        }
        let one = |summary: &Value, words: &[&str]| -> Vec<i64> {
            let account = &summary["accounts"][0];
            words.iter().map(|word| account[word].as_i64().expect("a number")).collect()
        };
        let words = ["received", "sent", "delivered", "read", "failed", "sent_today"];
        // 40 + 1 + 5 received; of ours 30 + 1 + 6 sent.
        assert_eq!(one(&week, &words), [46, 37, 24, 12, 6, 5]);
        assert_eq!(one(&today, &words), [5, 6, 4, 2, 1, 5]);
        assert_eq!(today["first_day"], day);
        let account = &week["accounts"][0];
        assert_eq!(account["counted_at"], format!("{day}T00:10:00Z"));
        assert_eq!((&account["waiting"], &account["oldest_waiting_at"]), (&json!(0), &Value::Null));
        assert_eq!(account["daily_limit"], Value::Null);
        assert_eq!(week["accounts"].as_array().map(Vec::len), Some(1), "only his own");
        break;
    }
    let all = summary(&world, json!({"uid": ADMIN, "days": 366})).await;
    let ids: Vec<&Value> = all["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| &account["configuration_id"])
        .collect();
    assert_eq!(ids, [&json!(1), &json!(2)]);
    let received = &all["accounts"][0]["received"];
    assert_eq!(received, 446);
    for (params, code) in [
        (json!({"uid": USER, "configuration_id": 2}), 1001),
        (json!({"uid": ADMIN, "configuration_id": 3}), 1002),
        (json!({"uid": USER, "days": 0}), 1102),
        (json!({"uid": USER, "days": 367}), 1102),
    ] {
        let answer = world.daemon.rpc("stats.summary", params.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{params}");
    }
}
