//! The rows of the Targets that concern what goes out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use wabridge_testkit::{OwnCluster, TestDatabase, eventually};

use crate::accept;
use crate::ingest::{count_of, fdatasync_us, title};
use crate::options::Options;
use crate::place;
use crate::process;
use crate::provider::Provider;
use crate::report::{Report, Values};
use crate::steps;

/// What one run of the daemon came to.
struct Run {
    /// Messages a second, from the provider's call to the word in Odoo's row.
    rate: f64,
    idle_mib: f64,
    full_mib: f64,
    /// Cores that daemon, simulator and PostgreSQL took.
    cores: [f64; 3],
}

/// Measures what is wanted and writes the report.
pub async fn run(options: &Options) {
    let server = place::server();
    let mut report = Report::default();
    if options.wants("DISPATCH") {
        dispatch(options, &server, &mut report).await;
    }
    if options.wants("AUDIT") {
        audit(options, &server, &mut report).await;
    }
    if options.wants("ACCEPT") {
        accept::measure(options, &server, &mut report).await;
    }
    let whole = report.whole(&title("What goes out", options));
    if let Some(path) = &options.report {
        std::fs::write(path, &whole).expect("the report can be written");
    }
    println!("\n{whole}");
}

async fn dispatch(options: &Options, server: &OwnCluster, report: &mut Report) {
    let (sends, chats) = (options.sends, options.chats);
    let template = place::prepare(server, 1000, 0).await;
    place::queue(&template, sends, chats).await;
    template.leave().await;
    let [mut d, mut c, mut h, mut w, mut u, mut ratio] = [(); 6].map(|()| Values::default());
    let [mut sync, mut idle, mut full] = [(); 3].map(|()| Values::default());
    let mut cores = [(); 3].map(|()| Values::default());
    for round in 1..=options.rounds {
        let disk = fdatasync_us();
        let claims = {
            let database = fresh(&template).await;
            place::wake(&database).await;
            let rate = steps::claim_and_finish(&database, sends).await;
            let left = "SELECT count(*) FROM wabridge.outbox";
            assert_eq!(count_of(&database, left).await, 0, "nothing is left");
            rate
        };
        let calls = {
            let provider = Provider::start().await;
            let rate = steps::calls(&provider, sends, chats).await;
            assert_eq!(provider.taken().await, sends, "each call was taken once");
            rate
        };
        let updates = {
            let database = fresh(&template).await;
            let rate = steps::updates(&database).await;
            let written = "SELECT count(*) FROM whatsapp_message WHERE status = 'pending'";
            assert_eq!(count_of(&database, written).await, sends, "each is written");
            rate
        };
        let run = daemon(&template, server.pid(), sends, true).await;
        let bound = 1.0 / (1.0 / claims + 1.0 / calls + 1.0 / updates);
        println!(
            "round {round}: claim and finish {claims:.0}, calls {calls:.0}, updates {updates:.0}, U {bound:.0}, dispatched {:.0}: {:.2} (fdatasync {disk:.0} µs, cores {:.2?})",
            run.rate,
            run.rate / bound,
            run.cores,
        );
        c.push(claims);
        h.push(calls);
        w.push(updates);
        u.push(bound);
        d.push(run.rate);
        ratio.push(run.rate / bound);
        sync.push(disk);
        idle.push(run.idle_mib);
        full.push(run.full_mib);
        for (all, one) in cores.iter_mut().zip(run.cores) {
            all.push(one);
        }
    }
    report.heading(&format!("{sends} texts to {chats} chats of one account without a pace"));
    report.line("| what | a second |\n| --- | --- |");
    for (what, values) in [
        (
            format!(
                "claiming {} at a time and finishing, without provider and messages",
                steps::CLAIM
            ),
            &c,
        ),
        (format!("the adapter's client at the same simulator, {} at a time", steps::CLAIM), &h),
        (format!("status updates of {} rows over 2 connections", steps::UPDATE), &w),
        ("U, one after the other: 1 / (1/claim and finish + 1/calls + 1/updates)".into(), &u),
        ("dispatched by the daemon".into(), &d),
    ] {
        report.line(&format!("| {what} | {} |", values.words(0)));
    }
    report.line(&format!(
        "\nDispatched / U {}. Cores: daemon {}, simulator {}, PostgreSQL {}. Memory of the daemon: idle {} MiB, highest at full load {} MiB; fdatasync of 8 KiB {} µs. \
         Each message was asked for once, in the order of its chat, and stands in Odoo's row with the provider's id.",
        ratio.words(2),
        cores[0].words(2),
        cores[1].words(2),
        cores[2].words(2),
        idle.words(0),
        full.words(0),
        sync.words(0),
    ));
    report.target("dispatched/s ÷ series bound", "≥ 0.4", "≥ 0.65", &ratio.words(2));
    report.target(
        "memory: idle / full load of sends",
        "≤ 64 / 256 MiB",
        "≤ 32 / 128 MiB",
        &format!("{:.0} / {:.0} MiB", idle.median(), full.median()),
    );
}

/// What the audit log costs: its rows and the sealer beside, turn by turn with a daemon that writes and seals none.
async fn audit(options: &Options, server: &OwnCluster, report: &mut Report) {
    let sends = options.sends;
    let template = place::prepare(server, 1000, 0).await;
    place::queue(&template, sends, options.chats).await;
    template.leave().await;
    let [mut on, mut off, mut ratio] = [(); 3].map(|()| Values::default());
    for round in 1..=options.rounds {
        let without = daemon(&template, server.pid(), sends, false).await.rate;
        let with = daemon(&template, server.pid(), sends, true).await.rate;
        println!("round {round}: audited {with:.0}, not {without:.0}: {:.2}", with / without);
        on.push(with);
        off.push(without);
        ratio.push(with / without);
    }
    report.heading("The audit log");
    report.line(&format!(
        "Sends a second with audit rows and their sealing {}, without {}: on ÷ off {}.",
        on.words(0),
        off.words(0),
        ratio.words(2)
    ));
}

async fn fresh(template: &TestDatabase) -> TestDatabase {
    let database = template.copy().await;
    database.execute("CHECKPOINT").await;
    database
}

/// One run of a daemon of its own, with a simulator of its own.
async fn daemon(template: &TestDatabase, postgres: u32, sends: u64, audited: bool) -> Run {
    let database = fresh(template).await;
    let provider = Provider::start().await;
    provider.serves(&database).await;
    let environment: &[(&str, &str)] =
        if audited { &[] } else { &[("WABRIDGE_FAILPOINTS", "audit.rows=off")] };
    let mut daemon = place::daemon(&database, environment).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle_mib = process::memory_mib(daemon.pid()).0;
    process::forget_highest(daemon.pid());
    let used = || {
        [
            process::seconds(daemon.pid()),
            process::seconds(provider.pid()),
            process::seconds_of_family(postgres),
        ]
    };
    let (before, begin) = (used(), Instant::now());
    place::wake(&database).await;
    let waiting = "SELECT count(*) FROM (SELECT 1 FROM wabridge.outbox LIMIT 1) one";
    eventually("everything is sent", 120, async || {
        (count_of(&database, waiting).await == 0).then_some(())
    })
    .await;
    let took = begin.elapsed().as_secs_f64();
    let mut cores = used();
    for (now, then) in cores.iter_mut().zip(before) {
        *now = (*now - then) / took;
    }
    let full_mib = process::memory_mib(daemon.pid()).1;
    check(&database, &provider, sends, audited).await;
    daemon.terminate().await;
    Run { rate: rate(&database).await, idle_mib, full_mib, cores }
}

/// Messages a second by PostgreSQL's clock; the first tenth is not counted.
async fn rate(database: &TestDatabase) -> f64 {
    let sql = "SELECT (count(*) - 1) / extract(epoch FROM max(applied_at) - min(applied_at))::float8
               FROM (SELECT applied_at, row_number() OVER (ORDER BY applied_at) AS n, count(*) OVER () AS all
                     FROM wabridge.attempt) t WHERE n > t.all / 10";
    let row = database.admin.query_one(sql, &[]).await.expect("the attempts can be read");
    row.get(0)
}

/// Every message was accepted once, in the order of its chat, and both sides tell the same of it.
async fn check(database: &TestDatabase, provider: &Provider, sends: u64, audited: bool) {
    for (what, sql) in [
        (
            "messages that have the provider's id and word",
            "SELECT count(DISTINCT message_id) FROM whatsapp_message WHERE status = 'pending'",
        ),
        ("attempts", "SELECT count(*) FROM wabridge.attempt"),
        ("acceptances", "SELECT count(*) FROM wabridge.attempt WHERE outcome = 'accepted'"),
    ] {
        assert_eq!(count_of(database, sql).await, sends, "{what}");
    }
    let rows =
        "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'message.send' AND success";
    let expected = if audited { sends } else { 0 };
    assert_eq!(count_of(database, rows).await, expected, "rows of the audit log");
    assert_eq!(provider.taken().await, sends, "messages at the provider");
    let mut next: HashMap<String, u64> = HashMap::new();
    let asked = provider.asked().await;
    assert_eq!(u64::try_from(asked.len()).ok(), Some(sends), "calls at the provider");
    for (chat, text) in asked {
        let n = next.entry(chat).or_default();
        assert!(text.ends_with(&format!(" {n}")), "{text:?} came as number {n} of its chat");
        *n += 1;
    }
}
