//! Webhooks: who may deliver, what becomes of them, and what Odoo's locks, broken events and cut connections
//! do to that.

mod apply;
mod conformance;
mod custom;
mod databases;
mod guest;
mod http;
mod meta;
mod races;
mod vectors;
mod wassenger;

use serde_json::{Value, json};
use wabridge_testkit::{TestDatabase, eventually};

use crate::support::world::{WEBHOOK_SECRET, World, webhook_url};

/// A recorded webhook of the provider.
fn vector(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../crates/providers/fixtures/whapi/{name}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("vectors are JSON")
}

/// How many recorded webhooks a provider has.
fn recorded(provider: &str) -> usize {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/providers/fixtures")
        .join(provider);
    std::fs::read_dir(folder).expect("the fixtures are there").count()
}

/// Waits until a query says what it shall after this webhook.
async fn comes_to(world: &World, name: &str, sql: &str, expected: &str) {
    let mut seen = None;
    eventually(&format!("{name}: {expected}"), 10, async || {
        seen = world.database.text(sql).await;
        (seen.as_deref() == Some(expected)).then_some(())
    })
    .await;
}

/// Nothing is left over, and of each type there are so many messages.
async fn nothing_doubled(world: &World, types: &str) {
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal_pending").await, 0);
    let messages =
        "SELECT string_agg(message_type || ' ' || n, ', ' ORDER BY message_type) FROM (SELECT message_type, count(*) n
         FROM whatsapp_message WHERE message_type <> 'system' GROUP BY 1) counted";
    assert_eq!(world.database.text(messages).await.as_deref(), Some(types), "nothing is doubled");
}

/// Columns of one message, as one text.
macro_rules! row {
    ($id:literal, $columns:literal) => {
        concat!(
            "SELECT concat_ws('|', ",
            $columns,
            ") FROM whatsapp_message m WHERE m.message_id = '",
            $id,
            "'"
        )
    };
}
use row;

/// Delivers a body and asserts that it was taken; the number of events.
async fn take(world: &World, body: &Value) -> u64 {
    let answer = world
        .daemon
        .http
        .post(webhook_url(&world.daemon.public_url))
        .bearer_auth(WEBHOOK_SECRET)
        .json(body)
        .send()
        .await
        .expect("the daemon answers");
    assert_eq!(answer.status(), 200, "{}", world.daemon.log());
    let answer: Value = answer.json().await.expect("it answers JSON");
    assert_eq!(answer["success"], true);
    answer["data"]["accepted"].as_u64().expect("it says how many events it took")
}

/// One text of somebody, as [`crate::support::world::text_event`], with several messages.
fn texts(ids: &[String]) -> Value {
    let messages: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({
                "id": id, "from_me": false, "type": "text", "chat_id": "447700900123@s.whatsapp.net",
                "timestamp": 1_765_800_001, "source": "mobile", "text": {"body": format!("text of {id}")},
                "from": "447700900123", "from_name": "Amira Osei",
            })
        })
        .collect();
    json!({"messages": messages, "event": {"type": "messages", "event": "post"}, "channel_id": "HERON-K42QX"})
}

/// The last values of the sequences, and the versions of the rows, of everything that webhooks write in Odoo.
async fn traces(database: &TestDatabase) -> String {
    let mut traces = String::new();
    for table in ["contact", "group", "chat", "message", "event", "account_state"] {
        let sql = format!(
            "SELECT '{table} ' || (SELECT last_value || ' ' || is_called FROM whatsapp_{table}_id_seq) || ' '
             || coalesce((SELECT string_agg(id || ':' || xmin || ':' || ctid, ' ' ORDER BY id) FROM whatsapp_{table}), '')"
        );
        traces += &database.text(&sql).await.expect("a text");
        traces.push('\n');
    }
    traces
}
