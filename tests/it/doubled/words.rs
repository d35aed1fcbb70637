//! Every order in which the words about a message, and the message itself, can arrive.

use std::collections::BTreeSet;

use serde_json::json;

use super::deliver;
use crate::support::World;
use crate::support::world::{message_id, status_event};

const CHAT: &str = "447700900123@s.whatsapp.net";
/// The message itself, and what is said about it.
const STEPS: [&str; 6] = ["message", "pending", "sent", "failed", "delivered", "read"];

/// All orders of `items`.
fn orders(items: &[&'static str]) -> Vec<Vec<&'static str>> {
    if items.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for (n, first) in items.iter().enumerate() {
        let rest: Vec<&str> =
            items.iter().enumerate().filter(|(m, _)| *m != n).map(|(_, item)| *item).collect();
        all.extend(orders(&rest).into_iter().map(|rest| [vec![*first], rest].concat()));
    }
    all
}

fn webhook(id: &str, step: &str) -> String {
    let second = STEPS.iter().position(|one| *one == step).unwrap_or_default();
    let mut body = status_event(id, CHAT, step);
    body["statuses"][0]["timestamp"] = json!((1_765_800_300 + second).to_string());
    if step == "message" {
        body["messages"] = json!([{
            "id": id, "from_me": true, "type": "text", "chat_id": CHAT, "timestamp": 1_765_800_001, "source": "mobile",
            "text": {"body": "typed"}, "from": "447700900999",
        }]);
        body["statuses"] = json!([]);
    }
    body.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_orders_of_words_give_the_same_row() {
    let orders = orders(&STEPS);
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), 720);
    let world = World::with("", &[("WABRIDGE__LOG__FILTER", "info")]).await;
    let second = world.replica("", &[("WABRIDGE__LOG__FILTER", "info")]).await;
    let urls = [world.daemon.public_url.as_str(), second.public_url.as_str()];
    // One step of all messages after the other; within a step the two daemons and their writers do as they like.
    for step in 0..STEPS.len() {
        let bodies = (0..).zip(&orders).map(|(n, order)| webhook(&message_id(n), order[step]));
        deliver(bodies.collect(), &urls, 16).await;
    }
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 30).await;
    world.until_count("SELECT count(*) FROM wabridge.early_event", 0, 30).await;
    let different = "SELECT count(*) FROM (SELECT DISTINCT m.status, m.pending_at, m.sent_at, m.failed_at, m.delivered_at,
        m.read_at, m.played_at, m.timestamp, m.content, m.chat_id, m.contact_id, m.error_code FROM whatsapp_message m) d";
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 720);
    assert_eq!(world.database.count(different).await, 1);
    let row = world
        .database
        .text(
            "SELECT concat_ws(' ', status, extract(epoch FROM pending_at)::int8, extract(epoch FROM sent_at)::int8,
                extract(epoch FROM failed_at)::int8, extract(epoch FROM delivered_at)::int8,
                extract(epoch FROM read_at)::int8) FROM whatsapp_message LIMIT 1",
        )
        .await;
    // `sent_at` is the message's own time: what was typed elsewhere was sent when it was typed.
    assert_eq!(row.as_deref(), Some("read 1765800301 1765800001 1765800303 1765800304 1765800305"));
}
