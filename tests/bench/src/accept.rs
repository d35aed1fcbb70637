//! `message.send` with `wait_ms` 0 beside one committed INSERT, at equal concurrency.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use wabridge_testkit::daemon::KEY_ID;
use wabridge_testkit::{Daemon, OwnCluster, TestDatabase, Wire, eventually};

use crate::ingest::count_of;
use crate::load::{count, percentile};
use crate::options::Options;
use crate::place;
use crate::provider::Provider;
use crate::report::{Report, Values};

/// Callers at a time: one user, as many as Odoo has workers, and more. The Targets ask for equal concurrency and name no
/// number, so the row stands for each.
const CALLERS: [usize; 4] = [1, 8, 32, 64];
/// Of the fixture: may use the account.
const USER: i32 = 5;
/// What nobody counts.
const WARM: Duration = Duration::from_millis(300);

/// How long each took, microseconds, sorted.
struct Took {
    latencies: Vec<u32>,
    /// Also before and after the time that counts.
    all: u64,
    seconds: f64,
}

impl Took {
    fn ms(&self, share: f64) -> f64 {
        percentile(&self.latencies, share) / 1000.0
    }

    fn per_second(&self) -> f64 {
        count(u64::try_from(self.latencies.len()).unwrap_or_default()) / self.seconds
    }
}

#[derive(Default)]
struct Row {
    insert: [Values; 3],
    send: [Values; 3],
    p50: Values,
    p99: Values,
}

pub async fn measure(options: &Options, server: &OwnCluster, report: &mut Report) {
    let template = place::prepare(server, 1000, 0).await;
    template.leave().await;
    // While it sends what was accepted, and while the account pauses: accepting alone.
    for paused in [false, true] {
        let mut rows: Vec<Row> = CALLERS.iter().map(|_| Row::default()).collect();
        for round in 1..=options.rounds {
            for (callers, row) in CALLERS.into_iter().zip(&mut rows) {
                let insert = inserts(&template, callers, options).await;
                let send = sends(&template, callers, options, paused).await;
                let (p50, p99) = (send.ms(0.5) / insert.ms(0.5), send.ms(0.99) / insert.ms(0.99));
                println!(
                    "round {round}, {callers} callers{}: INSERT {:.2} / {:.2} ms, message.send {:.2} / {:.2} ms: {p50:.2} and {p99:.2}",
                    if paused { ", account pauses" } else { "" },
                    insert.ms(0.5),
                    insert.ms(0.99),
                    send.ms(0.5),
                    send.ms(0.99)
                );
                for (values, took) in [(&mut row.insert, &insert), (&mut row.send, &send)] {
                    values[0].push(took.ms(0.5));
                    values[1].push(took.ms(0.99));
                    values[2].push(took.per_second());
                }
                row.p50.push(p50);
                row.p99.push(p99);
            }
        }
        report.heading(if paused {
            "message.send, wait_ms 0, while the account pauses: accepting alone"
        } else {
            "message.send, wait_ms 0, while what was accepted is sent"
        });
        report.line("| callers | INSERT p50, ms | p99, ms | a second | message.send p50, ms | p99, ms | a second | p50 ÷ p50 | p99 ÷ p99 |");
        report.line("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        for (callers, row) in CALLERS.into_iter().zip(&rows) {
            let [a, b, c] = &row.insert;
            let [d, e, f] = &row.send;
            report.line(&format!(
                "| {callers} | {} | {} | {} | {} | {} | {} | {} | {} |",
                a.words(2),
                b.words(2),
                c.words(0),
                d.words(2),
                e.words(2),
                f.words(0),
                row.p50.words(2),
                row.p99.words(2)
            ));
            let what = if paused { ", account pauses" } else { ", being sent" };
            report.target(
                &format!("message.send, wait_ms 0 ÷ one committed INSERT, {callers} callers{what}: p50, p99"),
                "≤ 4",
                "≤ 2",
                &format!("{}, {}", row.p50.words(2), row.p99.words(2)),
            );
        }
    }
}

/// Every caller has a connection and inserts the row of a message that waits, each in a transaction of its own.
async fn inserts(template: &TestDatabase, callers: usize, options: &Options) -> Took {
    let database = template.copy().await;
    database.execute("CHECKPOINT").await;
    let mut sessions = Vec::new();
    for _ in 0..callers {
        let session = database.odoo().await;
        let sql = "INSERT INTO whatsapp_message (configuration_id, provider, chat_id, message_type, content, user_id, origin,
                          request_id, from_me, direction, status, queued_at, timestamp, create_uid, write_uid, create_date, write_date)
                   VALUES (1, 'whapi', $1, 'text', $2, 5, 'rpc', $3, true, 'outbound', 'queued',
                          date_trunc('second', now() AT TIME ZONE 'UTC'), date_trunc('second', now() AT TIME ZONE 'UTC'),
                          5, 5, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')";
        let statement = session.prepare(sql).await.expect("the table is there");
        sessions.push((session, statement));
    }
    let took = callers_of(sessions, options.seconds, async |(session, statement), n| {
        let chat = format!("{}@s.whatsapp.net", peer(n, options.chats));
        let (text, request) = (text(n), uuid::Uuid::new_v4().to_string());
        let done = session.execute(&*statement, &[&chat, &text, &request]).await;
        assert_eq!(done.expect("it is inserted"), 1);
    })
    .await;
    let rows = "SELECT count(*) FROM whatsapp_message WHERE status = 'queued'";
    assert_eq!(count_of(&database, rows).await, took.all, "each is a row");
    took
}

/// Every caller has a connection to the daemon and calls `message.send`.
async fn sends(template: &TestDatabase, callers: usize, options: &Options, paused: bool) -> Took {
    let database = template.copy().await;
    let provider = Provider::start().await;
    provider.serves(&database).await;
    if paused {
        database
            .execute(
                "INSERT INTO wabridge.account_pace (configuration_id, paused_until, pause_kind, pauses)
                 VALUES (1, now() + interval '1 day', 'rate_limited', 1)",
            )
            .await;
    }
    let mut daemon = place::daemon(&database, &[]).await;
    database.execute("CHECKPOINT").await;
    let wires: Vec<Wire> = (0..callers).map(|_| Wire::to(&daemon.private_url)).collect();
    let took = callers_of(wires, options.seconds, async |wire, n| {
        let params = json!({
            "uid": USER, "configuration_id": 1, "to": peer(n, options.chats), "type": "text", "text": {"body": text(n)}, "wait_ms": 0,
            "idempotency_key": format!("bench-{n}"),
        });
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": params})
            .to_string();
        let authorization = Daemon::authorization(KEY_ID, "POST", "/rpc", &body);
        let request = format!(
            "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Authorization: {authorization}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let status = wire.ask(request.as_bytes()).await.expect("the daemon answers");
        assert_eq!(status, 200);
    })
    .await;
    // An answer that is no acceptance is none of these rows.
    let rows = "SELECT count(DISTINCT content) FROM whatsapp_message WHERE direction = 'outbound' AND content LIKE 'send %'";
    assert_eq!(count_of(&database, rows).await, took.all, "each is a row, once");
    if paused {
        let waiting = "SELECT count(*) FROM wabridge.outbox";
        assert_eq!(count_of(&database, waiting).await, took.all, "each waits");
    } else {
        eventually("everything is sent", 120, async || {
            let waiting = "SELECT count(*) FROM wabridge.outbox";
            (count_of(&database, waiting).await == 0).then_some(())
        })
        .await;
        assert_eq!(provider.taken().await, took.all, "each was sent once");
    }
    daemon.terminate().await;
    took
}

fn peer(n: u64, chats: u64) -> String {
    format!("4477009{:05}", n % chats)
}

fn text(n: u64) -> String {
    format!("send {n}: your order left our house this morning and should be with you tomorrow.")
}

/// Has each of `callers` do `what` again and again, with a number of its own each time.
async fn callers_of<C>(
    callers: Vec<C>,
    time: Duration,
    what: impl AsyncFn(&mut C, u64) + Clone,
) -> Took {
    let done: Rc<RefCell<(u64, Vec<u32>)>> = Rc::default();
    let begin = Instant::now();
    let (from, until) = (begin + WARM, begin + WARM + time);
    let calls = callers.into_iter().map(|mut caller| {
        let (what, done) = (what.clone(), Rc::clone(&done));
        async move {
            loop {
                let n = {
                    let mut done = done.borrow_mut();
                    done.0 += 1;
                    done.0 - 1
                };
                let start = Instant::now();
                what(&mut caller, n).await;
                let end = Instant::now();
                if start >= from && end <= until {
                    let micros = u32::try_from((end - start).as_micros()).unwrap_or(u32::MAX);
                    done.borrow_mut().1.push(micros);
                }
                if end >= until {
                    return;
                }
            }
        }
    });
    join_all(calls).await;
    let (all, mut latencies) = Rc::into_inner(done).expect("the callers have ended").into_inner();
    latencies.sort_unstable();
    Took { latencies, all, seconds: time.as_secs_f64() }
}
