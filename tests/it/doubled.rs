//! Ten thousand events, each delivered one to five times, in any order, over 64 connections to two daemons on one
//! database: exactly the rows expected, and no deadlock.
//!
//! `DOUBLED_EVENTS` (10000) and `DOUBLED_SEED` (1) choose how many and in which order.

mod truth;
mod words;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wabridge_testkit::daemon::WHAPI_CHANNEL;
use wabridge_testkit::wire::post;
use wabridge_testkit::{Dice, TestDatabase, Wire, eventually};

use crate::support::World;
use crate::support::world::{WEBHOOK_SECRET, WEBHOOK_TOKEN, number};
use truth::{Event, Truth, stored};

const CONNECTIONS: usize = 64;
/// Most events of one body.
const BODY_MAX: u64 = 12;

/// A webhook with these events, by chat or by chat backwards: what two bodies have in common is locked from
/// opposite ends, unless the daemon sorts it. `backwards` turns the keys of every JSON object around too.
fn body(mut events: Vec<Event>, backwards: bool) -> String {
    events.sort_by(|a, b| a.chat.cmp(&b.chat).then(a.target.cmp(&b.target)));
    if backwards {
        events.reverse();
    }
    let array = |name: &str| -> Vec<Value> {
        events.iter().filter(|event| event.array == name).map(|event| event.json.clone()).collect()
    };
    let whole = json!({
        "messages": array("messages"), "statuses": array("statuses"),
        "event": {"type": "messages", "event": "post"}, "channel_id": WHAPI_CHANNEL,
    });
    let mut text = String::new();
    write(&whole, backwards, &mut text);
    text
}

/// JSON with the keys of objects in their order, or the other way round.
fn write(value: &Value, backwards: bool, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            if backwards {
                fields.reverse();
            }
            for (n, (name, value)) in fields.into_iter().enumerate() {
                text.push_str(if n == 0 { "{" } else { "," });
                text.push_str(&format!("{}:", Value::from(name.as_str())));
                write(value, backwards, text);
            }
            text.push_str(if text.ends_with('{') || value == &json!({}) { "{}" } else { "}" });
        }
        Value::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    text.push(',');
                }
                write(item, backwards, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// All deliveries as bodies, in a random order.
fn bodies(events: &[Event], dice: &mut Dice) -> Vec<String> {
    let mut deliveries: Vec<&Event> = events
        .iter()
        .flat_map(|event| {
            let times = usize::try_from(dice.throw(5) + 1).expect("it is at most 5");
            std::iter::repeat_n(event, times)
        })
        .collect();
    dice.shuffle(&mut deliveries);
    let mut bodies = Vec::new();
    while !deliveries.is_empty() {
        let size = usize::try_from(dice.throw(BODY_MAX) + 1).expect("it is small");
        let taken = deliveries.split_off(deliveries.len().saturating_sub(size));
        bodies.push(body(taken.into_iter().cloned().collect(), dice.once_in(2)));
    }
    bodies
}

/// Delivers every body until it is answered 200; returns how often it was 503.
async fn deliver(bodies: Vec<String>, urls: &[&str], connections: usize) -> u64 {
    let path = format!("/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}");
    let bodies = Arc::new(std::sync::Mutex::new(bodies));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..connections {
        let mut wire = Wire::to(urls[n % urls.len()]);
        let (bodies, path) = (Arc::clone(&bodies), path.clone());
        tasks.spawn(async move {
            let mut repeats = 0;
            loop {
                let next = bodies.lock().expect("no panic holds it").pop();
                let Some(body) = next else { return repeats };
                let request = post(&path, WEBHOOK_SECRET, &body);
                loop {
                    match wire.ask(&request).await.expect("the daemon answers") {
                        200 => break,
                        503 => repeats += 1,
                        other => panic!("a webhook was answered {other}"),
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
    }
    tasks.join_all().await.into_iter().sum()
}

/// Locks that wait are deadlocks or not within milliseconds: the time-outs of the daemon would hide them.
async fn seek_deadlocks(database: &TestDatabase) {
    let name = &database.name;
    database.execute(&format!("ALTER DATABASE {name} SET deadlock_timeout = '5ms'")).await;
}

/// Deadlocks of this database: by the statistics, and by the server's log.
async fn deadlocks(database: &TestDatabase) -> (i64, usize) {
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let counted = database.count(sql).await;
    let logged = database.log().iter().filter(|line| line.contains("deadlock detected")).count();
    (counted, logged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_one_to_five_times() {
    let (count, seed) = (number("DOUBLED_EVENTS", 10_000), number("DOUBLED_SEED", 1));
    let mut dice = Dice::new(seed);
    let mut world = World::prepared("", &[("WABRIDGE__LOG__FILTER", "info")]).await;
    seek_deadlocks(&world.database).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let mut second = world.replica("", &[("WABRIDGE__LOG__FILTER", "info")]).await;
    let (events, truth) = Truth::invent(count, &mut dice);
    let bodies = bodies(&events, &mut dice);
    let webhooks = bodies.len();
    let urls = [world.daemon.public_url.as_str(), second.public_url.as_str()];
    let repeats = deliver(bodies, &urls, CONNECTIONS).await;
    settled(&world, &truth).await;
    let found = stored(&world.database).await;
    let wrong = truth.differences(&found);
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} rows differ: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(12)]
    );
    // Sessions hand their statistics in when they end, at the latest.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'wabridge'";
    assert_eq!((world.daemon.terminate().await, second.terminate().await), (Some(0), Some(0)));
    world.until_count(sessions, 0, 10).await;
    assert_eq!(deadlocks(&world.database).await, (0, 0), "seed {seed}");
    let journal = world.database.count("SELECT count(*) FROM wabridge.journal").await;
    assert!(journal >= i64::try_from(webhooks).expect("it is small"), "{journal} of {webhooks}");
    let drawn = world.database.count("SELECT last_value FROM whatsapp_message_id_seq").await;
    eprintln!(
        "seed {seed}: {} events in {webhooks} webhooks, {repeats} repeated after 503; {} messages, {drawn} ids drawn",
        events.len(),
        found.messages.len()
    );
    // The checker is no mere nodder.
    for spoil in [
        "UPDATE whatsapp_chat SET unread_count = unread_count + 1 WHERE id = (SELECT min(id) FROM whatsapp_chat)",
        "UPDATE whatsapp_message SET read_at = read_at + interval '1 s' WHERE id = (SELECT min(id) FROM whatsapp_message WHERE read_at IS NOT NULL)",
        "DELETE FROM whatsapp_message_receipt WHERE id = (SELECT min(id) FROM whatsapp_message_receipt)",
        "UPDATE whatsapp_message_revision SET content = 'x' WHERE id = (SELECT min(id) FROM whatsapp_message_revision)",
        "UPDATE whatsapp_message SET reply_to_id = NULL WHERE id = (SELECT min(id) FROM whatsapp_message WHERE reply_to_id IS NOT NULL)",
        "UPDATE whatsapp_message SET deleted_at = NULL WHERE id = (SELECT min(id) FROM whatsapp_message WHERE deleted_at IS NOT NULL)",
        "DELETE FROM whatsapp_event WHERE id = (SELECT min(id) FROM whatsapp_event WHERE kind = 'message_received')",
    ] {
        world.database.execute(&format!("BEGIN; {spoil}")).await;
        let found = stored(&world.database).await;
        world.database.execute("ROLLBACK").await;
        assert_eq!(truth.differences(&found).len(), 1, "{spoil}");
    }
}

/// Everything that was answered is applied, by the daemons alone.
async fn settled(world: &World, truth: &Truth) {
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 60).await;
    let early = i64::try_from(truth.early()).expect("it is small");
    world.until_count("SELECT count(*) FROM wabridge.early_event", early, 30).await;
}

/// The negative control: two sessions that lock each other out are seen by the same two means.
#[tokio::test]
async fn a_deadlock_is_seen() {
    let world = World::prepared("", &[]).await;
    seek_deadlocks(&world.database).await;
    world.database.execute("CREATE TABLE two (n int); INSERT INTO two VALUES (1), (2)").await;
    let (a, b) = (world.database.connect().await, world.database.connect().await);
    let take = async |who: &tokio_postgres::Client, n: i32| {
        who.batch_execute(&format!("UPDATE two SET n = n WHERE n = {n}")).await
    };
    a.batch_execute("BEGIN").await.expect("it begins");
    b.batch_execute("BEGIN").await.expect("it begins");
    take(&a, 1).await.expect("nobody has it");
    take(&b, 2).await.expect("nobody has it");
    let (one, other) = tokio::join!(take(&a, 2), take(&b, 1));
    assert!(one.is_err() != other.is_err(), "one of them is the victim");
    // Sessions hand their statistics in when they end, at the latest.
    drop((a, b));
    eventually("the deadlock is seen", 10, async || {
        let (counted, logged) = deadlocks(&world.database).await;
        (counted == 1 && logged == 1).then_some(())
    })
    .await;
}
