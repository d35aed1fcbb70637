//! B: the product's own statements without HTTP. Groups of 32 webhooks over two connections.

use std::time::{Duration, Instant};

use bytes::Bytes;
use wabridge_domain::Clock;
use wabridge_domain::ProviderKind;
use wabridge_domain::clock::SystemClock;
use wabridge_domain::event::What;
use wabridge_domain::webhook::Signed;
use wabridge_providers::{Provider, Route};
use wabridge_store::apply::{Echoes, Item};
use wabridge_store::ingest::{self, Budget, Delivery};
use wabridge_store::journal::Receipt;
use wabridge_store::{Database, Options};
use wabridge_testkit::TestDatabase;

use crate::events::{Events, Webhook};
use crate::load::count;

pub const GROUP: usize = 32;
const CONNECTIONS: usize = 2;
/// Webhooks that are read before the time begins; more than can be written in it.
const READY_A_SECOND: f64 = 60_000.0;
/// As long as it takes: nobody waits for an answer here.
const BUDGET: Budget = Budget { lock: Duration::from_secs(2), statement: Duration::from_secs(10) };

/// Webhooks a second, and how many were written in all.
pub async fn run(database: &TestDatabase, events: &Events, time: Duration) -> (f64, u64) {
    let url = database.url.clone();
    let name = database.name.clone();
    let events = events.clone();
    // Threads of its own, as the daemon has: the generator's one is not needed meanwhile.
    let written = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        runtime.block_on(write(&name, &url, &events, time))
    });
    written.await.expect("writing does not panic")
}

async fn write(name: &str, url: &str, events: &Events, time: Duration) -> (f64, u64) {
    let store =
        Database::new(name, url, None, &Options::default()).expect("the URL is well formed");
    let mut sessions = Vec::new();
    for _ in 0..CONNECTIONS {
        sessions.push(store.session().await.expect("the server is there"));
    }
    // Connections and plans are warm, as they are in the daemon.
    for session in &mut sessions {
        let first: Vec<Delivery> = (0..GROUP).map(|_| delivery(&events.next())).collect();
        commit(session, &first).await;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some hundred thousand"
    )]
    let each = (READY_A_SECOND * time.as_secs_f64()) as usize / GROUP / CONNECTIONS + 1;
    let mut ready: Vec<Vec<Vec<Delivery>>> = (0..CONNECTIONS).map(|_| vec![]).collect();
    for _ in 0..each {
        for groups in &mut ready {
            groups.push((0..GROUP).map(|_| delivery(&events.next())).collect());
        }
    }
    let begin = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (mut session, groups) in sessions.into_iter().zip(ready) {
        tasks.spawn(async move {
            let mut written = 0;
            for group in &groups {
                if begin.elapsed() >= time {
                    break;
                }
                commit(&mut session, group).await;
                written += u64::try_from(group.len()).expect("it is small");
            }
            (written, begin.elapsed())
        });
    }
    let done = tasks.join_all().await;
    let written: u64 = done.iter().map(|(written, _)| written).sum();
    let took = done.iter().map(|(_, took)| *took).max().unwrap_or(time);
    store.close();
    let warm = u64::try_from(GROUP * CONNECTIONS).expect("it is small");
    (count(written) / took.as_secs_f64(), written + warm)
}

async fn commit(session: &mut wabridge_store::Session, group: &[Delivery]) {
    let deliveries: Vec<&Delivery> = group.iter().collect();
    let committed =
        ingest::commit(session, &deliveries, Some(BUDGET), Echoes::MayWait, std::future::ready(()))
            .await
            .expect("it is committed");
    assert!(committed.trouble.is_none(), "{:?}", committed.trouble);
}

/// As the daemon makes it of a request.
fn delivery(webhook: &Webhook) -> Delivery {
    let body = Bytes::from(webhook.body.clone());
    let adapter = wabridge_providers::provider(ProviderKind::Whapi).expect("it is built in");
    let received_at = SystemClock.now();
    let route = Route { method: "POST", sub_path: "", received_at };
    let parsed = adapter.parse(&Signed::from_journal(&body), &route).expect("it is well formed");
    assert!(parsed.broken.is_empty() && parsed.events.len() == 1, "one event each");
    let items = parsed.events.into_iter().map(|event| item(adapter, event.what, received_at));
    Delivery {
        items: items.collect(),
        unusable: vec![],
        receipt: Receipt {
            provider: "whapi",
            configuration_id: 1,
            verified_by: "header".into(),
            method: "POST".into(),
            sub_path: String::new(),
            headers: serde_json::json!({"content-type": "application/json", "content-length": body.len().to_string()}),
            body,
            address: Some("127.0.0.1".into()),
            request_id: uuid::Uuid::now_v7().to_string(),
        },
    }
}

fn item(_adapter: &dyn Provider, what: What, received_at: jiff::Timestamp) -> Item {
    let person = match &what {
        What::Message(message) => message.sender.clone().map(|mut person| {
            person.name.clone_from(&message.chat.name);
            person
        }),
        _ => None,
    };
    Item { configuration_id: 1, provider: ProviderKind::Whapi, what, person, received_at }
}
