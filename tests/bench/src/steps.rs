//! What a dispatcher has to do, each part alone and as fast as it goes: claiming and finishing, calls to the
//! provider, status updates. All with the product's own statements and its own client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use uuid::Uuid;
use wabridge_domain::content::{Content, Text};
use wabridge_domain::message::{Facts, StatusWord};
use wabridge_domain::outgoing::Outgoing;
use wabridge_domain::pace::Gap;
use wabridge_domain::{ProviderKind, Secret};
use wabridge_providers::{Call, HttpOptions};
use wabridge_store::attempt::{self, Finish, Outcome, Start};
use wabridge_store::consent::{self, Asked};
use wabridge_store::lane::{self, Key, Next};
use wabridge_store::odoo::account_state;
use wabridge_store::odoo::audit_log::{self, Entry};
use wabridge_store::odoo::message_out::{self, Write};
use wabridge_store::outbox::{self, Head};
use wabridge_store::{Database, Options, Session, StoreError, Tx, account_pace, savepoint};
use wabridge_testkit::TestDatabase;

use crate::load::count;
use crate::provider::{Provider, TOKEN};

const ACCOUNT: i32 = 1;
/// Sends of one claim, and calls under way: what the daemon takes by default.
pub const CLAIM: i64 = 64;
/// Rows of one status update.
pub const UPDATE: usize = 100;
const LEASE: Duration = Duration::from_secs(60);

/// Runs `work` on threads of its own, as the daemon has.
async fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        runtime.block_on(work)
    });
    done.await.expect("measuring does not panic")
}

fn store(database: &TestDatabase) -> Database {
    Database::new(&database.name, &database.url, None, &Options::default())
        .expect("the URL is well formed")
}

/// Sends a second that are claimed and finished, as the daemon does it: one connection claims, another finishes
/// what was claimed before. The provider is left out, and so is what stands in Odoo's message.
pub async fn claim_and_finish(database: &TestDatabase, sends: u64) -> f64 {
    let store = store(database);
    aside(async move {
        let owner = Uuid::new_v4();
        let mut claimer = store.session().await.expect("the server is there");
        let mut finisher = store.session().await.expect("the server is there");
        let tx = claimer.transaction().await.expect("it begins");
        let epoch = account_pace::lease(&tx, ACCOUNT, owner, LEASE).await.expect("it is leased");
        let epoch = epoch.expect("nobody else has it");
        tx.commit().await.expect("it is committed");
        let (claimed, mut to_finish) = tokio::sync::mpsc::channel(2);
        let begin = Instant::now();
        let claiming = tokio::spawn(async move {
            let mut all = 0;
            while all < sends {
                let heads = claim(&mut claimer, owner, epoch).await.expect("it is claimed");
                if heads.is_empty() {
                    // Everything left is with the finisher.
                    tokio::task::yield_now().await;
                    continue;
                }
                all += u64::try_from(heads.len()).expect("they are few");
                claimed.send(heads).await.expect("the finisher lives");
            }
        });
        let mut done = 0;
        while let Some(heads) = to_finish.recv().await {
            done += finish(&mut finisher, epoch, &heads).await.expect("it is finished");
        }
        let took = begin.elapsed();
        claiming.await.expect("claiming does not panic");
        assert_eq!(done, sends, "each is finished once");
        store.close();
        count(sends) / took.as_secs_f64()
    })
    .await
}

async fn claim(
    session: &mut Session,
    owner: Uuid,
    epoch: i64,
) -> Result<Vec<(Head, i64)>, StoreError> {
    let tx = session.transaction().await?;
    account_pace::enter(&tx, ACCOUNT, owner, epoch, LEASE).await?.expect("the lease is held");
    account_state::get(&tx, ACCOUNT).await?;
    outbox::enter_due(&tx, ACCOUNT).await?;
    let lanes = lane::take(&tx, ACCOUNT, CLAIM).await?;
    if lanes.is_empty() {
        return Ok(vec![]);
    }
    let heads = outbox::heads(&tx, ACCOUNT, &lanes).await?;
    let asked: Vec<Asked<'_>> = heads
        .iter()
        .map(|head| Asked {
            message_id: Some(head.message_id),
            chat_key: &head.chat_key,
            contact_id: None,
            phone: None,
            category: None,
            template: None,
        })
        .collect();
    let about = consent::about(&tx, ACCOUNT, &asked).await?;
    assert!(about.iter().all(|one| one.objection.is_none()), "nobody objects");
    let starts: Vec<Start<'_>> = heads
        .iter()
        .map(|head| Start {
            outbox_id: head.id,
            chat_key: &head.chat_key,
            message_id: head.message_id,
            number: 1,
            request_id: head.request_id.as_deref().expect("each has one"),
        })
        .collect();
    let ids = attempt::start(&tx, ACCOUNT, epoch, owner, &starts).await?;
    let chats: Vec<&str> = heads.iter().map(|head| head.chat_key.as_str()).collect();
    lane::fly(&tx, ACCOUNT, &chats, epoch, Gap::of(ProviderKind::Whapi, Duration::ZERO)).await?;
    let sends = i32::try_from(heads.len()).expect("they are few");
    account_pace::spend(&tx, ACCOUNT, None, sends).await?;
    tx.commit().await?;
    Ok(heads.into_iter().zip(ids).collect())
}

async fn finish(
    session: &mut Session,
    epoch: i64,
    claimed: &[(Head, i64)],
) -> Result<u64, StoreError> {
    let finishes: Vec<Finish> = claimed
        .iter()
        .map(|(head, attempt)| Finish {
            id: *attempt,
            configuration_id: ACCOUNT,
            epoch,
            outcome: Outcome::Accepted,
            word: Some(StatusWord::Pending.as_str().to_owned()),
            provider_message_id: Some(format!("Bench{:010}-gLw8Ztq3HcA", head.message_id)),
            error_kind: None,
            error_message: None,
            retry: None,
            latency: Duration::from_millis(5),
        })
        .collect();
    let tx = session.transaction().await?;
    let recorded = attempt::finish(&tx, &finishes).await?;
    assert_eq!(recorded.len(), finishes.len(), "the lease is held");
    savepoint::begin(&tx).await?;
    savepoint::lock_timeout(&tx, 100).await?;
    let items = attempt::unapplied(&tx, &[(ACCOUNT, epoch)], 200).await?;
    let keys: Vec<Key> = items.iter().map(|item| item.key.clone()).collect();
    lane::try_lock_all(&tx, &keys).await?;
    let ids: Vec<i64> = items.iter().map(|item| item.outbox_id).collect();
    outbox::delete(&tx, &ids).await?;
    note(&tx, &items).await?;
    let jobs = outbox::lanes_with_jobs(&tx, &keys, &[]).await?;
    let ends: Vec<(Key, Next)> = keys.into_iter().map(|key| (key, Next::Now)).collect();
    lane::land(&tx, &ends, &jobs).await?;
    let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
    attempt::mark_applied(&tx, &ids).await?;
    savepoint::keep(&tx).await?;
    tx.commit().await?;
    Ok(u64::try_from(items.len()).expect("they are few"))
}

async fn note(tx: &Tx<'_>, items: &[attempt::Unapplied]) -> Result<(), StoreError> {
    let entries: Vec<Entry<'_>> = items
        .iter()
        .map(|item| Entry {
            operation: "message.send",
            provider: Some("whapi"),
            success: true,
            response_time_ms: 5.0,
            user_id: item.uid,
            configuration_id: Some(ACCOUNT),
            request_id: Some(&item.request_id),
            ..Entry::default()
        })
        .collect();
    try_join_all(entries.iter().map(|entry| audit_log::insert(tx, entry))).await?;
    Ok(())
}

/// Messages a second that get the provider's id and word, a hundred in a transaction, over two connections.
pub async fn updates(database: &TestDatabase) -> f64 {
    let rows = database
        .admin
        .query("SELECT id FROM whatsapp_message WHERE status = 'queued' ORDER BY id", &[])
        .await
        .expect("the rows can be read");
    let ids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    let store = store(database);
    aside(async move {
        let half = ids.len().div_ceil(2);
        let mut sessions = Vec::new();
        for _ in ids.chunks(half) {
            sessions.push(store.session().await.expect("the server is there"));
        }
        let begin = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for (part, mut session) in ids.chunks(half).zip(sessions) {
            let part = part.to_vec();
            tasks.spawn(async move {
                for some in part.chunks(UPDATE) {
                    update(&mut session, some).await.expect("it is written");
                }
            });
        }
        tasks.join_all().await;
        let took = begin.elapsed();
        store.close();
        count(u64::try_from(ids.len()).expect("they are some")) / took.as_secs_f64()
    })
    .await
}

async fn update(session: &mut Session, ids: &[i32]) -> Result<(), StoreError> {
    let tx = session.transaction().await?;
    let rows = message_out::try_lock(&tx, ids).await?;
    assert_eq!(rows.len(), ids.len(), "nobody holds them");
    let named: Vec<(i32, String)> =
        rows.iter().map(|row| (row.id, format!("Bench{:010}-gLw8Ztq3HcA", row.id))).collect();
    let wanted: Vec<(i32, &str, i32)> =
        named.iter().map(|(id, name)| (ACCOUNT, name.as_str(), *id)).collect();
    message_out::twins(&tx, &wanted).await?;
    let writes: Vec<Write> = rows
        .iter()
        .map(|row| {
            let mut facts: Facts = row.facts;
            facts.note(StatusWord::Pending, row.now);
            Write {
                id: row.id,
                message_id: Some(format!("Bench{:010}-gLw8Ztq3HcA", row.id)),
                facts,
                error_code: None,
                error_message: None,
            }
        })
        .collect();
    let written = message_out::write(&tx, &writes).await?;
    assert_eq!(written, u64::try_from(ids.len()).expect("they are few"), "each is written");
    tx.commit().await?;
    Ok(())
}

/// Calls a second of the adapter's own client, as many at a time as the daemon has under way.
pub async fn calls(provider: &Provider, sends: u64, chats: u64) -> f64 {
    let url = provider.url.clone();
    aside(async move {
        let http =
            wabridge_providers::http_client(&HttpOptions::default()).expect("a client can be made");
        let next = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let begin = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..CLAIM {
            let (http, url, next) = (http.clone(), url.clone(), Arc::clone(&next));
            tasks.spawn(async move {
                let adapter =
                    wabridge_providers::provider(ProviderKind::Whapi).expect("it is built in");
                let token = Secret::new(TOKEN);
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if n >= sends {
                        return;
                    }
                    let body = format!("chat {} {}", n % chats, n / chats);
                    let call = Call {
                        http: &http,
                        base_url: Some(&url),
                        token: &token,
                        channel_id: None,
                        request_id: "bench",
                        timeout: Duration::from_secs(25),
                    };
                    let outgoing = Outgoing {
                        chat_id: format!("4477009{:05}@s.whatsapp.net", n % chats),
                        content: Content::Text {
                            text: Text { body, preview: None, mentions: vec![] },
                        },
                        quoted_id: None,
                        file: None,
                        reference: format!("wabridge:bench:{n}:1"),
                    };
                    adapter.send(&call, &outgoing).await.expect("it is accepted");
                }
            });
        }
        tasks.join_all().await;
        let took = begin.elapsed();
        count(sends) / took.as_secs_f64()
    })
    .await
}
