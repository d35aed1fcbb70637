//! Two databases in one daemon behind one webhook address, with the same people, the same message ids and crossed
//! traffic: nothing of the one is ever seen in the other.

use std::time::Duration;

use serde_json::json;
use wabridge_testkit::wire::post;
use wabridge_testkit::{Daemon, Dice, Series, TestDatabase, Wire, eventually};

use crate::support::world::{credentials_of, message_id, status_event, text_event, until_count};

const COMMON: &str = "common-secret-canary-1177";
const CHANNELS: [&str; 2] = ["OF-ONE", "OF-TWO"];
const PATHS: [&str; 2] = ["/path-of-one", "/path-of-two"];
const TEXTS: u64 = 300;

async fn database(series: Series, which: usize, secret: &str) -> TestDatabase {
    let database = TestDatabase::new(series).await;
    let channel = CHANNELS[which];
    database.execute(&format!("UPDATE whatsapp_configuration SET channel_id = '{channel}'")).await;
    let path = PATHS[which].trim_start_matches('/');
    credentials_of(&database, "http://127.0.0.1:9", "token", (path, secret)).await;
    database
}

fn text(n: u64, which: usize) -> String {
    let mut body = text_event(
        &message_id(n),
        &format!("4477009{:05}", 30_000 + n % 20),
        &format!("canary {which} {n}"),
    );
    body["channel_id"] = json!(CHANNELS[which]);
    body["messages"][0]["from_name"] = json!(format!("Name told to {which}"));
    body.to_string()
}

fn read(n: u64, which: usize) -> String {
    let mut body = status_event(&message_id(n), "447700930000@s.whatsapp.net", "played");
    body["channel_id"] = json!(CHANNELS[which]);
    body.to_string()
}

async fn deliver(daemon: &Daemon, secret: &str, bodies: Vec<(String, String)>) {
    let mut tasks = tokio::task::JoinSet::new();
    let share = bodies.len().div_ceil(16);
    for part in bodies.chunks(share) {
        let (mut wire, part) = (Wire::to(&daemon.public_url), part.to_vec());
        let secret = secret.to_owned();
        tasks.spawn(async move {
            for (path, body) in part {
                let request = post(&format!("/whatsapp/webhook/whapi{path}"), &secret, &body);
                while wire.ask(&request).await.expect("an answer") != 200 {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            }
        });
    }
    tasks.join_all().await;
}

/// Everything the daemon wrote into a database, but the journal: as text.
async fn everything(database: &TestDatabase) -> String {
    let mut all = String::new();
    for table in ["message", "contact", "chat", "event", "group", "audit_log"] {
        let sql =
            format!("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM whatsapp_{table} t");
        all += &database.text(&sql).await.unwrap_or_default();
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crossed_traffic_never_crosses() {
    let one = database(Series::Odoo14, 0, COMMON).await;
    let two = database(Series::Odoo19, 1, COMMON).await;
    let daemon = Daemon::start(&[&one, &two], &[("WABRIDGE__LOG__FILTER", "info")]).await;
    let mut dice = Dice::new(1);
    let mut bodies = Vec::new();
    for n in 0..TEXTS {
        for which in 0..2 {
            // By the common address, by its own, or by the other's: the secret is common to both.
            let path = ["", PATHS[which], PATHS[1 - which]][dice.index(3)].to_owned();
            bodies.push((path, text(n, which)));
        }
        // Only messages of the second are played.
        bodies.push((String::new(), read(n, 1)));
    }
    dice.shuffle(&mut bodies);
    deliver(&daemon, COMMON, bodies).await;
    let texts = i64::try_from(TEXTS).expect("it is small");
    for database in [&one, &two] {
        until_count(database, "SELECT count(*) FROM wabridge.journal_pending", 0, 30).await;
        until_count(database, "SELECT count(*) FROM wabridge.early_event", 0, 30).await;
        until_count(database, "SELECT count(*) FROM whatsapp_message", texts, 10).await;
    }
    let played = "SELECT count(*) FROM whatsapp_message WHERE status = 'played'";
    assert_eq!((one.count(played).await, two.count(played).await), (0, texts));
    let (of_one, of_two) = (everything(&one).await, everything(&two).await);
    assert!(of_one.contains("canary 0") && of_one.contains("told to 0"));
    assert!(of_two.contains("canary 1") && of_two.contains("told to 1"));
    assert!(
        !of_one.contains("canary 1") && !of_one.contains("told to 1") && !of_one.contains("OF-TWO")
    );
    assert!(
        !of_two.contains("canary 0") && !of_two.contains("told to 0") && !of_two.contains("OF-ONE")
    );
    let log = daemon.log();
    let crossing = log.lines().find(|line| line.contains(&one.name) && line.contains(&two.name));
    assert_eq!(crossing, None, "no line speaks of both");
}

/// A secret of the one opens nothing of the other, whatever channel the body names.
#[tokio::test]
async fn another_ones_secret_reaches_no_channel() {
    let one = database(Series::Odoo14, 0, "secret-of-one-canary").await;
    let two = database(Series::Odoo14, 1, "secret-of-two-canary").await;
    let daemon = Daemon::start(&[&one, &two], &[]).await;
    let mut wire = Wire::to(&daemon.public_url);
    let mut ask = async |path: &str, secret: &str, body: &str| {
        let request = post(&format!("/whatsapp/webhook/whapi{path}"), secret, body);
        // Right after its start it may ask for a repetition.
        for _ in 0..50 {
            let status = wire.ask(&request).await.expect("an answer");
            if status != 503 {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        503
    };
    // Authentic for the first, and speaks of a channel that the first does not have.
    assert_eq!(ask("", "secret-of-one-canary", &text(1, 1)).await, 200);
    assert_eq!(ask(PATHS[0], "secret-of-one-canary", &text(2, 1)).await, 200);
    // The path of the one with the secret of the other is nobody's.
    assert_eq!(ask(PATHS[1], "secret-of-one-canary", &text(3, 1)).await, 401);
    assert_eq!(ask(PATHS[0], "secret-of-two-canary", &text(4, 0)).await, 401);
    let unknown = "SELECT count(*) FROM wabridge.journal_pending WHERE state = 'quarantined' AND reason = 'unknown_channel'";
    eventually("they are in the first one's quarantine", 10, async || {
        (one.count(unknown).await == 2).then_some(())
    })
    .await;
    assert_eq!(two.count("SELECT count(*) FROM wabridge.journal").await, 0);
    for database in [&one, &two] {
        assert_eq!(database.count("SELECT count(*) FROM whatsapp_message").await, 0);
    }
}
