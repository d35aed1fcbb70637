//! What `/metrics` tells: every metric of this program stands in [`METRICS`], and in the table of `docs/OPERATIONS.md`
//! that is made out of it.
//!
//! Most are counted where things happen, by the facade of the same name; [`collect`] looks the others up when somebody
//! asks. Labels are bounded: databases of the settings, accounts by their row id, words of this program.

pub mod calls;
mod collect;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use self::Kind::{Counter, Gauge, Histogram};
use self::Values::{Account, Database, Key, Later, Words};
use crate::config::Config;

pub use self::collect::render;

/// Upper bounds of the buckets of durations, seconds.
const SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// The same of how many webhooks a commit holds.
const WEBHOOKS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

const PROVIDERS: &[&str] = &["whapi", "wassenger", "meta", "custom"];
const LISTENERS: &[&str] = &["public", "private"];

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
            Histogram(_) => "histogram",
        }
    }
}

/// What a label may say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    /// A database of the settings.
    Database,
    /// The row id of an account.
    Account,
    /// The id of an RPC key of the settings.
    Key,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of few that are not known before it happens (RPC methods and their codes).
    Later,
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [(&'static str, Values)],
    /// Looked up when somebody asks; else counted where it happens.
    pub collected: bool,
    pub help: &'static str,
}

const fn counted(
    name: &'static str,
    kind: Kind,
    labels: &'static [(&'static str, Values)],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, collected: false, help }
}

const fn collected(
    name: &'static str,
    kind: Kind,
    labels: &'static [(&'static str, Values)],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, collected: true, help }
}

const DATABASE: (&str, Values) = ("database", Database);
const ACCOUNT: (&str, Values) = ("account", Account);
const PROVIDER: (&str, Values) = ("provider", Words(PROVIDERS));
const OF_ACCOUNT: &[(&str, Values)] = &[DATABASE, ACCOUNT, PROVIDER];

/// All of them, in the order of the documentation.
#[rustfmt::skip] // a table: a row each
pub const METRICS: &[Metric] = &[
    collected("wabridge_build_info", Gauge, &[("version", Later)], "1; which program runs"),
    collected("process_start_time_seconds", Gauge, &[], "when the program started, seconds since 1970"),
    collected("process_cpu_seconds_total", Counter, &[], "processor time of all cores"),
    collected("process_resident_memory_bytes", Gauge, &[], "memory in use"),
    collected("process_threads", Gauge, &[], "threads"),
    collected("process_open_fds", Gauge, &[], "open files and connections"),
    collected("process_max_fds", Gauge, &[], "how many may be open"),
    counted("wabridge_database_ready", Gauge, &[DATABASE], "1 while messages are sent, else 0"),
    collected("wabridge_database_phase", Gauge, &[DATABASE, ("phase", Words(&["unavailable", "ready", "held", "journal_only", "detached"]))],
        "1 for the phase the database is in"),
    collected("wabridge_database_connections", Gauge, &[DATABASE, ("state", Words(&["in_use", "open", "most"]))],
        "connections of the pool; most is the limit"),
    counted("wabridge_collect_failures_total", Counter, &[DATABASE], "times that the database did not tell in time what waits: the metrics marked with a star are missing then"),
    counted("wabridge_connections", Gauge, &[("listener", Words(LISTENERS))], "open connections to a listener"),
    counted("wabridge_connections_displaced_total", Counter, &[("listener", Words(LISTENERS))], "idle connections that had to make room"),
    counted("wabridge_tls_failures_total", Counter, &[("listener", Words(LISTENERS))], "connections without a good handshake"),
    counted("wabridge_webhooks_total", Counter,
        &[PROVIDER, ("outcome", Words(&["accepted", "unauthorized", "busy", "too_large", "incomplete", "method"]))], "requests of the public listener"),
    counted("wabridge_ingest_batch_webhooks", Histogram(WEBHOOKS), &[DATABASE], "webhooks in a commit"),
    counted("wabridge_ingest_commit_seconds", Histogram(SECONDS), &[DATABASE], "how long a commit took"),
    counted("wabridge_ingest_commit_failures_total", Counter, &[DATABASE], "commits that failed: their webhooks got 503"),
    counted("wabridge_ingest_aside_total", Counter, &[DATABASE], "commits whose events had to be applied aside"),
    collected("wabridge_journal_pending", Gauge, &[DATABASE, ("state", Words(&["pending", "quarantined"]))], "events that are not applied yet, and those that cannot be"),
    collected("wabridge_journal_oldest_pending_seconds", Gauge, &[DATABASE], "age of the oldest that is not applied, 0 where there is none"),
    counted("wabridge_events_quarantined_total", Counter,
        &[DATABASE, ("reason", Words(&["unreadable", "unknown_channel", "broken_event", "refused_by_database"]))], "events that were put into quarantine"),
    counted("wabridge_early_events_expired_total", Counter, &[DATABASE], "words about messages that never came"),
    counted("wabridge_early_events_refused_total", Counter, &[DATABASE], "words that the database refused"),
    counted("wabridge_adopted_total", Counter, &[DATABASE], "sends taken over from Odoo's transactions"),
    collected("wabridge_outbox_messages", Gauge, &[DATABASE, ACCOUNT, PROVIDER, ("state", Words(&["due", "scheduled", "parked", "uncertain"]))],
        "unfinished sends: due; for later; behind Meta's 24 hours; with an unknown outcome"),
    collected("wabridge_outbox_oldest_seconds", Gauge, OF_ACCOUNT, "for how long the oldest one that is due waits, 0 where there is none"),
    collected("wabridge_account_waiting", Gauge, &[DATABASE, ACCOUNT, PROVIDER,
        ("reason", Words(&["disconnected", "paused", "daily_limit", "pace", "file", "retry", "gap", "window"]))], "sends that wait, at the reason why they do"),
    collected("wabridge_account_pace_wait_seconds", Gauge, OF_ACCOUNT, "how long until the pace or a pause lets the account send again"),
    collected("wabridge_account_state", Gauge, &[DATABASE, ACCOUNT, PROVIDER,
        ("state", Words(&["new", "connected", "qr_needed", "disconnected", "banned", "token_dead", "held"]))], "1 for the state the account is in; accounts in use only"),
    collected("wabridge_account_quota_used", Gauge, OF_ACCOUNT, "messages sent today (UTC)"),
    collected("wabridge_account_quota_limit", Gauge, OF_ACCOUNT, "how many a day it may send, 0 where there is no limit"),
    counted("wabridge_account_pauses_total", Counter, &[DATABASE, ("kind", Words(&["rate_limited", "account_down", "failures"]))], "pauses that began"),
    counted("wabridge_provider_calls_total", Counter, &[DATABASE, ACCOUNT, PROVIDER, ("operation", Later), ("outcome", Words(calls::OUTCOMES))],
        "what was asked of a provider and what came of it; operation: send, health, group_create, list_contacts and so on"),
    counted("wabridge_provider_call_seconds", Histogram(SECONDS), &[DATABASE, PROVIDER, ("operation", Later)], "how long it took"),
    counted("wabridge_sends_total", Counter, &[DATABASE, PROVIDER,
        ("outcome", Words(&["accepted", "not_sent", "not_accepted", "rate_limited", "account_down", "refused", "uncertain"]))], "calls that send, as they were judged"),
    counted("wabridge_send_seconds", Histogram(SECONDS), &[DATABASE, PROVIDER], "how long they took"),
    counted("wabridge_uncertain", Gauge, &[DATABASE], "messages that are being settled"),
    counted("wabridge_settled_total", Counter, &[DATABASE, ("result", Words(&["accepted", "held", "resend", "late"]))],
        "messages whose outcome was unknown; late: held, and then its echo came after all"),
    counted("wabridge_forgotten_lanes_total", Counter, &[DATABASE], "should stay 0; else please report it"),
    counted("wabridge_media_fetches_total", Counter, &[DATABASE, ("outcome", Words(&["ready", "retry", "failed", "refused", "postponed"]))], "files of messages that were fetched"),
    counted("wabridge_media_fetch_seconds", Histogram(SECONDS), &[DATABASE], "how long a try took"),
    counted("wabridge_media_waiting", Gauge, &[DATABASE], "files that are still to be fetched, measured every 10 minutes"),
    counted("wabridge_media_oldest_waiting_seconds", Gauge, &[DATABASE], "age of the oldest of them, measured every 10 minutes"),
    counted("wabridge_media_uploads_total", Counter, &[DATABASE, ("outcome", Words(&["ready", "retry", "refused"]))], "files that were handed to providers"),
    counted("wabridge_sync_runs_total", Counter, &[DATABASE, ("state", Words(&["done", "failed", "cancelled"]))], "runs of synchronisation that ended"),
    collected("wabridge_sync_failed_in_a_row", Gauge, OF_ACCOUNT, "the newest runs of the account that failed, one after the other"),
    counted("wabridge_rpc_calls_total", Counter, &[DATABASE, ("method", Later), ("code", Later)], "calls; code 0: answered"),
    counted("wabridge_rpc_seconds", Histogram(SECONDS), &[DATABASE, ("method", Later)], "how long they took"),
    counted("wabridge_rpc_rate_limited_total", Counter, &[DATABASE, ("key", Key)], "calls answered 429"),
    counted("wabridge_rpc_unauthenticated_total", Counter, &[], "calls answered 401, 408 or 413"),
    counted("wabridge_wake_seconds", Histogram(SECONDS), &[], "calls to Odoo's wake route"),
    counted("wabridge_wake_failures_total", Counter, &[], "those that failed"),
    counted("wabridge_live_hints_total", Counter, &[DATABASE], "hints for open screens"),
    counted("wabridge_live_hints_lost_total", Counter, &[DATABASE], "those that could not be written"),
];

/// Makes this process count, and has every metric at zero whose labels are known before anything happens.
///
/// # Errors
/// Something counts already.
pub fn install(config: &Config) -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Histogram(bounds) = metric.kind {
            builder =
                builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)?;
        }
    }
    let handle = builder.install_recorder()?;
    let databases: Vec<Known<'_>> = config
        .databases
        .iter()
        .map(|(name, settings)| Known {
            name,
            keys: settings.rpc_keys.keys().map(String::as_str).collect(),
        })
        .collect();
    for metric in METRICS.iter().filter(|metric| !metric.collected) {
        match metric.kind {
            Counter => metrics::describe_counter!(metric.name, metric.help),
            Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
        for labels in combinations(metric, &databases) {
            match metric.kind {
                Counter => metrics::counter!(metric.name, labels).absolute(0),
                Gauge => metrics::gauge!(metric.name, labels).set(0.0),
                Histogram(_) => drop(metrics::histogram!(metric.name, labels)),
            }
        }
    }
    Ok(handle)
}

/// What the settings tell of a database.
struct Known<'a> {
    name: &'a str,
    /// Ids of its RPC keys.
    keys: Vec<&'a str>,
}

/// All that the labels of a metric can say together; nothing where one of them is known only later.
fn combinations(metric: &Metric, databases: &[Known<'_>]) -> Vec<Vec<metrics::Label>> {
    if metric.labels.contains(&DATABASE) {
        databases.iter().flat_map(|known| of_database(metric, known)).collect()
    } else {
        of_database(metric, &Known { name: "", keys: vec![] })
    }
}

fn of_database(metric: &Metric, known: &Known<'_>) -> Vec<Vec<metrics::Label>> {
    metric.labels.iter().fold(vec![vec![]], |all, (label, values)| {
        let words = match values {
            Database => &[known.name][..],
            Key => &known.keys,
            Words(words) => words,
            Account | Later => &[],
        };
        all.iter()
            .flat_map(|others| {
                words.iter().map(|&word| {
                    let mut labels: Vec<metrics::Label> = others.clone();
                    labels.push(metrics::Label::new(*label, word.to_owned()));
                    labels
                })
            })
            .collect()
    })
}

/// The two lines above the series of a metric.
fn head(metric: &Metric) -> String {
    format!("# HELP {0} {1}\n# TYPE {0} {2}\n", metric.name, metric.help, metric.kind.as_str())
}

/// The table of the documentation.
pub fn table() -> String {
    let mut table = "| metric | type | labels | what |\n| --- | --- | --- | --- |\n".to_owned();
    for metric in METRICS {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|(name, values)| match values {
                Words(words) if *words != PROVIDERS => {
                    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                    format!("{name} ({})", words.join(", "))
                }
                _ => (*name).to_owned(),
            })
            .collect();
        let star = if metric.collected && metric.labels.contains(&DATABASE) { " *" } else { "" };
        writeln!(
            table,
            "| `{}`{star} | {} | {} | {} |",
            metric.name,
            metric.kind.as_str(),
            labels.join(", "),
            metric.help
        )
        .expect("a String takes everything");
    }
    table
}
