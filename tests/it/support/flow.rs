//! Texts as a provider delivers them: each again and again until it is taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wabridge_testkit::wire::post;
use wabridge_testkit::{TestDatabase, Wire};

use super::world::{WEBHOOK_SECRET, WEBHOOK_TOKEN, message_id, text_event};

/// A flow of texts, each with an id of its own.
pub struct Flow {
    stop: Arc<AtomicBool>,
    acked: Arc<Mutex<Vec<String>>>,
    refused: Arc<AtomicU64>,
    tasks: tokio::task::JoinSet<()>,
}

impl Flow {
    /// Over so many connections, with texts of so many letters.
    pub fn start(public_url: &str, connections: usize, letters: usize) -> Self {
        let (stop, acked) = (Arc::default(), Arc::default());
        let refused: Arc<AtomicU64> = Arc::default();
        let counter = Arc::new(AtomicU64::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..connections {
            let mut wire = Wire::to(public_url);
            let stop: Arc<AtomicBool> = Arc::clone(&stop);
            let acked: Arc<Mutex<Vec<String>>> = Arc::clone(&acked);
            let (refused, counter) = (Arc::clone(&refused), Arc::clone(&counter));
            tasks.spawn(async move {
                let path = format!("/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}");
                while !stop.load(Ordering::Relaxed) {
                    let n = counter.fetch_add(1, Ordering::Relaxed);
                    let id = message_id(n);
                    let from = format!("44770091{:04}", n % 500);
                    let body = text_event(&id, &from, &"x".repeat(letters)).to_string();
                    let request = post(&path, WEBHOOK_SECRET, &body);
                    while !stop.load(Ordering::Relaxed) {
                        match wire.ask(&request).await {
                            Ok(200) => {
                                acked.lock().expect("no panic holds it").push(id);
                                break;
                            }
                            Ok(503) | Err(_) => refused.fetch_add(1, Ordering::Relaxed),
                            Ok(other) => panic!("a webhook was answered {other}"),
                        };
                        tokio::time::sleep(Duration::from_millis(30)).await;
                    }
                }
            });
        }
        Self { stop, acked, refused, tasks }
    }

    /// (answered 200, refused or unanswered) so far.
    pub fn so_far(&self) -> (usize, u64) {
        let acked = self.acked.lock().expect("no panic holds it").len();
        (acked, self.refused.load(Ordering::Relaxed))
    }

    /// Ends it; the ids of what was answered 200, and how many were refused or not answered.
    pub async fn end(self) -> (Vec<String>, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        let acked = Arc::into_inner(self.acked).expect("the tasks have ended");
        let refused = self.refused.load(Ordering::Relaxed);
        (acked.into_inner().expect("no panic holds it"), refused)
    }
}

/// Of what was answered 200: how many are missing in Odoo's table; and how many rows are there twice.
pub async fn missing_and_doubled(database: &TestDatabase, acked: &[String]) -> (usize, usize) {
    let sql =
        "SELECT message_id, count(*) FROM whatsapp_message WHERE direction = 'inbound' GROUP BY 1";
    let rows = database.admin.query(sql, &[]).await.expect("the rows can be read");
    let rows: HashMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let missing = acked.iter().filter(|id| !rows.contains_key(*id)).count();
    (missing, rows.values().filter(|count| **count != 1).count())
}
