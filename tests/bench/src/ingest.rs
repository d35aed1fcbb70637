//! The rows of the Targets that concern what comes in.

use std::io::Write;
use std::time::{Duration, Instant};

use wabridge_testkit::{Daemon, OwnCluster, TestDatabase, Wire, eventually};

use crate::bound;
use crate::events::{Events, Mix, SENT};
use crate::load::{self, Outcome, Plan, count, percentile};
use crate::noop::Noop;
use crate::options::Options;
use crate::place;
use crate::process;
use crate::report::{Report, Values};
use crate::visible::Watch;

const CONNECTIONS: usize = 64;
/// What 1,000 messages a second out with answers to three of ten make: three statuses each and 300 texts.
const OFFERED: f64 = 3300.0;
/// The same transaction for one webhook at a time, over as many connections as such programs have.
const ONE_BY_ONE: [(&str, &str); 2] =
    [("WABRIDGE__LIMITS__BATCH_MAX", "1"), ("WABRIDGE__LIMITS__BATCHERS", "16")];

struct Bench<'a> {
    options: &'a Options,
    server: OwnCluster,
    report: Report,
    /// Part of the ids of each load, so that none repeats.
    runs: u64,
}

/// Measures what is wanted and writes the report.
pub async fn run(options: &Options) {
    let mut bench = Bench { options, server: place::server(), report: Report::default(), runs: 0 };
    if options.wants("RATIOS") {
        for mix in Mix::ALL {
            bench.ratios(mix).await;
        }
    }
    if options.wants("OFFERED") {
        bench.offered().await;
    }
    if options.wants("BIG") {
        for mix in Mix::ALL {
            bench.big(mix).await;
        }
    }
    if options.wants("MEMORY") {
        bench.memory().await;
    }
    if options.wants("START") {
        bench.start().await;
    }
    let title = title("What comes in", options);
    let whole = bench.report.whole(&title);
    if let Some(path) = &options.report {
        std::fs::write(path, &whole).expect("the report can be written");
    }
    println!("\n{whole}");
}

/// When, where and what: enough to judge the figures, nothing that names a machine.
pub(crate) fn title(what: &str, options: &Options) -> String {
    let now = wabridge_domain::Clock::now(&wabridge_domain::clock::SystemClock);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory: f64 = memory
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?.trim().trim_end_matches(" kB").parse().ok()
        })
        .unwrap_or(f64::NAN);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let commit = std::process::Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    let postgres =
        std::process::Command::new(wabridge_testkit::Cluster::programs().join("postgres"))
            .arg("--version")
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default();
    format!(
        "# {what}: measured\n\n{} UTC, commit {commit}. {cores} cores ({}), {:.0} GiB; {postgres} of its own with fsync; {} rounds of {} s. \
         Generator, daemon and PostgreSQL share the cores. Medians, and from least to greatest.\n",
        now.strftime("%Y-%m-%d %H:%M"),
        cpu.map_or("unknown", |(_, name)| name),
        memory / 1024.0 / 1024.0,
        options.rounds,
        options.seconds.as_secs_f64(),
    )
}

impl Bench<'_> {
    fn events(&mut self, mix: Mix) -> Events {
        self.runs += 1;
        Events::new(mix, self.runs)
    }

    fn plan(&self) -> Plan {
        Plan {
            connections: CONNECTIONS,
            rate: None,
            warm: Duration::from_millis(700),
            time: self.options.seconds,
        }
    }

    async fn ratios(&mut self, mix: Mix) {
        let sent = if mix == Mix::Texts { 1000 } else { SENT };
        let template = place::prepare(&self.server, sent, 0).await;
        template.leave().await;
        let noop = Noop::start().await;
        let [mut h, mut b, mut d, mut s, mut u] = [(); 5].map(|()| Values::default());
        let [mut d_u, mut d_s, mut sync, mut batch] = [(); 4].map(|()| Values::default());
        let mut p99 = Values::default();
        for round in 1..=self.options.rounds {
            let disk = fdatasync_us();
            let events = self.events(mix);
            let http = load::run(&noop.url, &events, &self.plan(), None).await.per_second();
            let bare = self.bound(&template, mix).await;
            let (grouped, size) = self.daemon(&template, mix, &[]).await;
            let (single, _) = self.daemon(&template, mix, &ONE_BY_ONE).await;
            let bound = 1.0 / (1.0 / http + 1.0 / bare);
            println!(
                "{} round {round}: H {http:.0} B {bare:.0} U {bound:.0} D {:.0} S {:.0} D/U {:.2} D/S {:.2} ({size:.0} a batch, fdatasync {disk:.0} µs)",
                mix.name(),
                grouped.per_second(),
                single.per_second(),
                grouped.per_second() / bound,
                grouped.per_second() / single.per_second(),
            );
            h.push(http);
            b.push(bare);
            u.push(bound);
            d.push(grouped.per_second());
            s.push(single.per_second());
            d_u.push(grouped.per_second() / bound);
            d_s.push(grouped.per_second() / single.per_second());
            p99.push(grouped.latency_ms(0.99));
            sync.push(disk);
            batch.push(size);
        }
        let r = &mut self.report;
        r.heading(&format!("{CONNECTIONS} connections, {}", mix.name()));
        r.line("| what | a second |\n| --- | --- |");
        r.line(&format!("| H, the same requests at a server that does nothing | {} |", h.words(0)));
        r.line(&format!(
            "| B, the same statements without HTTP, groups of {} over 2 connections | {} |",
            bound::GROUP,
            b.words(0)
        ));
        r.line(&format!("| U = 1 / (1/H + 1/B) | {} |", u.words(0)));
        r.line(&format!("| D, acknowledged webhooks | {} |", d.words(0)));
        r.line(&format!("| S, one webhook a transaction | {} |", s.words(0)));
        r.line(&format!(
            "\nD/U {}, D/S {}; {} webhooks a commit; p99 of an answer {} ms; fdatasync of 8 KiB {} µs.",
            d_u.words(2),
            d_s.words(2),
            batch.words(1),
            p99.words(1),
            sync.words(0)
        ));
        r.target(&format!("D / U, {}", mix.name()), "≥ 0.50", "≥ 0.70", &d_u.words(2));
        r.target(&format!("D / S, {}", mix.name()), "≥ 2.5", "≥ 4", &d_s.words(2));
    }

    async fn bound(&mut self, template: &TestDatabase, mix: Mix) -> f64 {
        let database = template.copy().await;
        database.execute("CHECKPOINT").await;
        let events = self.events(mix);
        let (rate, written) = bound::run(&database, &events, self.options.seconds).await;
        let journal = "SELECT count(*) FROM wabridge.journal";
        assert_eq!(count_of(&database, journal).await, written, "each is journaled");
        rate
    }

    /// One run of a daemon of its own on a copy; also how many webhooks it committed at a time.
    async fn daemon(
        &mut self,
        template: &TestDatabase,
        mix: Mix,
        environment: &[(&str, &str)],
    ) -> (Outcome, f64) {
        let database = template.copy().await;
        let mut daemon = place::daemon(&database, environment).await;
        database.execute("CHECKPOINT").await;
        let events = self.events(mix);
        let outcome = load::run(&daemon.public_url, &events, &self.plan(), None).await;
        let commits = commits(&daemon).await;
        check(&database, &outcome).await;
        daemon.terminate().await;
        let size = count(outcome.acked) / commits;
        (outcome, size)
    }

    async fn offered(&mut self) {
        let template = place::prepare(&self.server, SENT, 0).await;
        let mut daemon = place::daemon(&template, &[]).await;
        template.execute("CHECKPOINT").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let idle = process::memory_mib(daemon.pid()).0;
        let events = self.events(Mix::Statuses);
        let plan = Plan {
            connections: CONNECTIONS,
            rate: Some(OFFERED),
            warm: Duration::from_secs(2).min(self.options.offered),
            time: self.options.offered,
        };
        let watch = Watch::default();
        let odoo = template.odoo().await;
        let used = || {
            [
                process::seconds(std::process::id()),
                process::seconds(daemon.pid()),
                process::seconds_of_family(self.server.pid()),
            ]
        };
        let (before, begin) = (used(), Instant::now());
        let looking = watch.look(&odoo);
        let loading = async {
            let outcome = load::run(&daemon.public_url, &events, &plan, Some(&watch)).await;
            watch.end();
            outcome
        };
        let ((), outcome) = tokio::join!(looking, loading);
        let took = begin.elapsed().as_secs_f64();
        let cores: Vec<String> = used()
            .iter()
            .zip(before)
            .map(|(now, then)| format!("{:.2}", (now - then) / took))
            .collect();
        let memory = process::memory_mib(daemon.pid()).1;
        check(&template, &outcome).await;
        // Sessions hand their statistics in when they end.
        daemon.terminate().await;
        let hot = hot_share(&template).await;
        let seen = watch.took();
        let r = &mut self.report;
        r.heading(&format!(
            "{OFFERED} webhooks a second offered for {:.0} s",
            plan.time.as_secs_f64()
        ));
        r.line(&format!(
            "{} acknowledged on time ({:.0} a second), {} refused and repeated, rows = acknowledgements. Answer p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, longest {:.0} ms.",
            outcome.counted,
            outcome.per_second(),
            outcome.refused,
            outcome.latency_ms(0.5),
            outcome.latency_ms(0.99),
            outcome.latency_ms(0.999),
            outcome.latency_ms(1.0),
        ));
        let visible = |share| percentile(&seen, share) / 1000.0;
        r.line(&format!(
            "From the POST to the row visible to Odoo ({} texts): p50 {:.1} ms, p99 {:.1} ms, longest {:.0} ms.",
            seen.len(),
            visible(0.5),
            visible(0.99),
            visible(1.0)
        ));
        r.line(&format!(
            "HOT: {:.1} % of the updates of messages. Memory: idle {idle:.0} MiB, highest under this load {memory:.0} MiB. Cores: generator {}, daemon {}, PostgreSQL {}.",
            hot * 100.0,
            cores[0],
            cores[1],
            cores[2]
        ));
        let on_time = format!(
            "p50 {:.1} ms, p99 {:.1} ms, rows = acks",
            outcome.latency_ms(0.5),
            outcome.latency_ms(0.99)
        );
        r.target("3,300 webhooks/s offered", "p50 ≤ 10 ms, p99 ≤ 100 ms", "p99 ≤ 25 ms", &on_time);
        r.target("POST to visible, p99", "≤ 1 s", "≤ 100 ms", &format!("{:.1} ms", visible(0.99)));
        r.target(
            "status updates that stay HOT",
            "≥ 90 %",
            "≥ 98 %",
            &format!("{:.1} %", hot * 100.0),
        );
    }

    /// Whether what is stored already slows down what comes in.
    async fn big(&mut self, mix: Mix) {
        let few = if mix == Mix::Texts { 1000 } else { SENT };
        let small = place::prepare(&self.server, few, 0).await;
        small.leave().await;
        let begin = Instant::now();
        let many =
            place::prepare(&self.server, SENT, self.options.stored - SENT.min(self.options.stored))
                .await;
        let stored = count_of(&many, "SELECT count(*) FROM whatsapp_message").await;
        println!("{stored} messages made in {:.0} s", begin.elapsed().as_secs_f64());
        let mut daemon = place::daemon(&many, &[]).await;
        let [mut of_small, mut of_big, mut ratio] = [(); 3].map(|()| Values::default());
        for round in 1..=self.options.rounds {
            many.execute("CHECKPOINT").await;
            let events = self.events(mix);
            // Statuses go on where the last round ended: each is told once.
            let events = if round == 1 {
                events
            } else {
                events.after(u64::try_from(round - 1).unwrap_or(0) * 40_000)
            };
            let big = load::run(&daemon.public_url, &events, &self.plan(), None).await.per_second();
            let (little, _) = self.daemon(&small, mix, &[]).await;
            println!(
                "{} round {round}: D with {stored} stored {big:.0}, with {few} {:.0}",
                mix.name(),
                little.per_second()
            );
            of_big.push(big);
            of_small.push(little.per_second());
            ratio.push(big / little.per_second());
        }
        daemon.terminate().await;
        let r = &mut self.report;
        r.heading(&format!("Stored before: {stored} messages, {}", mix.name()));
        r.line(&format!(
            "D {} a second with {stored} stored, {} with {few}.",
            of_big.words(0),
            of_small.words(0)
        ));
        r.target(
            &format!("D with {stored} stored ÷ with {few}, {}", mix.name()),
            "≥ 0.7",
            "≥ 0.9",
            &ratio.words(2),
        );
    }

    /// Resident memory: idle, under full load, and while PostgreSQL is away or hangs under it.
    async fn memory(&mut self) {
        let mut template = place::prepare(&self.server, SENT, 0).await;
        let mut daemon = place::daemon(&template, &[]).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let pid = daemon.pid();
        let idle = process::memory_mib(pid).0;
        let step =
            if self.options.smoke { Duration::from_millis(500) } else { Duration::from_secs(5) };
        process::forget_highest(pid);
        let events = self.events(Mix::Statuses);
        let plan = |steps: u32, connections| Plan {
            connections,
            rate: None,
            warm: Duration::ZERO,
            time: step * steps,
        };
        let (longer, long) = (plan(5, 4 * CONNECTIONS), plan(3, 4 * CONNECTIONS));
        let mut sum = load::run(&daemon.public_url, &events, &plan(2, CONNECTIONS), None).await;
        let full = process::memory_mib(pid).1;
        process::forget_highest(pid);
        let away = async {
            tokio::time::sleep(step).await;
            self.server.crash();
            tokio::time::sleep(step).await;
            self.server.run();
        };
        let ((), second) =
            tokio::join!(away, load::run(&daemon.public_url, &events, &longer, None));
        let stopped = process::memory_mib(pid).1;
        sum.add(&second);
        process::forget_highest(pid);
        let hangs = async {
            tokio::time::sleep(step).await;
            self.server.pause();
            tokio::time::sleep(step).await;
            self.server.resume();
        };
        let ((), third) = tokio::join!(hangs, load::run(&daemon.public_url, &events, &long, None));
        let hung = process::memory_mib(pid).1;
        sum.add(&third);
        template.reconnect().await;
        daemon.wait_ready().await;
        check(&template, &sum).await;
        daemon.terminate().await;
        let r = &mut self.report;
        r.heading("Resident memory of the daemon");
        r.line(&format!(
            "Idle {idle:.0} MiB; highest under full load {full:.0} MiB; PostgreSQL stopped under it {stopped:.0} MiB, hanging {hung:.0} MiB (both with {} connections). {} refused and repeated, nothing acknowledged is missing.",
            4 * CONNECTIONS,
            sum.refused
        ));
        r.target(
            "memory: idle / full load / PostgreSQL stopped or hanging",
            "≤ 64 / 256 / 256 MiB",
            "≤ 32 / 128 / 128 MiB",
            &format!("{idle:.0} / {full:.0} / {:.0} MiB", stopped.max(hung)),
        );
    }

    async fn start(&mut self) {
        let database = place::prepare(&self.server, 1000, 0).await;
        let mut values = Values::default();
        let mut daemon = place::daemon(&database, &[]).await;
        for _ in 0..self.options.rounds {
            daemon.terminate().await;
            let begin = Instant::now();
            daemon.run();
            let mut wire = Wire::to(&daemon.private_url);
            let ask = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n";
            while !wire.ask(ask).await.is_ok_and(|status| status == 200) {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(begin.elapsed() < Duration::from_secs(30), "{}", daemon.log());
            }
            values.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        daemon.terminate().await;
        let r = &mut self.report;
        r.heading("Start");
        r.line(&format!(
            "From the start of the process to ready, one database: {} ms.",
            values.words(0)
        ));
        r.target(
            "start to ready, 1 database",
            "≤ 1 s",
            "≤ 0.2 s",
            &format!("{} ms", values.words(0)),
        );
    }
}

pub(crate) async fn count_of(database: &TestDatabase, sql: &str) -> u64 {
    u64::try_from(database.count(sql).await).expect("a count is not negative")
}

/// What was acknowledged is there, each once: webhooks in the journal, texts as messages, statuses in theirs.
async fn check(database: &TestDatabase, outcome: &Outcome) {
    eventually("everything is applied", 60, async || {
        (count_of(database, "SELECT count(*) FROM wabridge.journal_pending").await == 0)
            .then_some(())
    })
    .await;
    let journal = count_of(database, "SELECT count(*) FROM wabridge.journal").await;
    let texts = "SELECT count(*) FROM whatsapp_message WHERE message_id LIKE 'Rk%'";
    let texts = count_of(database, texts).await;
    let facts = format!(
        "SELECT coalesce(sum((delivered_at IS NOT NULL)::int + (read_at IS NOT NULL)::int + (played_at IS NOT NULL)::int), 0)
         FROM whatsapp_message WHERE message_id LIKE 'Out%' AND direction = 'outbound' AND id <= {SENT}"
    );
    let statuses = count_of(database, &facts).await;
    assert_eq!(texts, outcome.texts, "texts are rows");
    assert_eq!(statuses, outcome.acked - outcome.texts, "statuses are facts");
    if outcome.refused == 0 {
        assert_eq!(journal, outcome.acked, "each webhook is journaled once");
    } else {
        // A repetition is journaled too; as a row it is none.
        assert!(journal >= outcome.acked, "{journal} of {}", outcome.acked);
    }
}

/// Commits of groups of webhooks so far.
async fn commits(daemon: &Daemon) -> f64 {
    let authorization =
        Daemon::authorization(wabridge_testkit::daemon::KEY_ID, "GET", "/metrics", "");
    let answer = daemon
        .http
        .get(format!("{}/metrics", daemon.private_url))
        .header("authorization", authorization)
        .send()
        .await
        .expect("the daemon answers");
    let text = answer.text().await.expect("it is text");
    text.lines()
        .find_map(|line| {
            let sample = line.strip_prefix("wabridge_ingest_batch_webhooks_count{")?;
            sample.rsplit_once("} ")?.1.trim().parse().ok()
        })
        .unwrap_or(f64::NAN)
}

/// The share of updates of messages that touched no index and no other page.
async fn hot_share(database: &TestDatabase) -> f64 {
    let sql = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'whatsapp_message'";
    // Statistics of ended sessions are there a moment after them.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let row = database.admin.query_one(sql, &[]).await.expect("statistics can be read");
    let number = |n: i64| count(u64::try_from(n).unwrap_or_default());
    number(row.get(1)) / number(row.get(0)).max(1.0)
}

/// What a commit has to wait for at this moment: median of writing 8 KiB to disk, microseconds.
pub(crate) fn fdatasync_us() -> f64 {
    let path =
        std::env::temp_dir().join(format!("wabridge-bench-{}", uuid::Uuid::new_v4().simple()));
    let mut file = std::fs::File::create(&path).expect("a file can be made");
    let mut took = Vec::new();
    for _ in 0..101 {
        let begin = Instant::now();
        file.write_all(&[7; 8192]).and_then(|()| file.sync_data()).expect("a file can be written");
        took.push(u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    std::fs::remove_file(&path).expect("a file can be removed");
    took.sort_unstable();
    percentile(&took, 0.5)
}
