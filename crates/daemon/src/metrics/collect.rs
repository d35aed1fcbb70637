//! The page of `/metrics`: what was counted, and what is looked up at this moment.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wabridge_domain::ProviderKind;
use wabridge_domain::account::AccountState;
use wabridge_store::StoreError;
use wabridge_store::readiness::{self, AccountLoad, Lag};

use super::{METRICS, Metric, Values, head};
use crate::app::App;
use crate::process::Process;
use crate::runtime::Runtime;

/// How long a page waits for a database.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Seconds since 1970; computed once, so that it does not move with the clock.
static STARTED: OnceLock<i64> = OnceLock::new();

/// Lines of the metrics that are looked up, by metric.
#[derive(Default)]
struct Lines(HashMap<&'static str, String>);

impl Lines {
    /// One number of `name`; `labels` in the order of the list.
    fn put(&mut self, name: &str, labels: &[&dyn fmt::Display], value: impl fmt::Display) {
        let metric = METRICS
            .iter()
            .find(|metric| metric.name == name && metric.collected)
            .expect("what is looked up stands in the list of metrics");
        assert_eq!(metric.labels.len(), labels.len(), "labels of {name}");
        let mut shown = String::new();
        for ((label, _), said) in metric.labels.iter().zip(labels) {
            let comma = if shown.is_empty() { "" } else { "," };
            write!(shown, "{comma}{label}=\"{}\"", escaped(&said.to_string()))
                .expect("a String takes everything");
        }
        let lines = self.0.entry(metric.name).or_default();
        let line = if shown.is_empty() {
            writeln!(lines, "{name} {value}")
        } else {
            writeln!(lines, "{name}{{{shown}}} {value}")
        };
        line.expect("a String takes everything");
    }

    /// 1 at `present` and 0 at all other words of the last label of `name`; `n` in the place of 1.
    fn one_of(
        &mut self,
        name: &'static str,
        labels: &[&dyn fmt::Display],
        present: &str,
        n: impl fmt::Display,
    ) {
        let metric = METRICS.iter().find(|metric| metric.name == name);
        let Some((_, Values::Words(words))) = metric.and_then(|metric| metric.labels.last()) else {
            panic!("{name} ends with a label of known words");
        };
        for word in *words {
            let mut all = labels.to_vec();
            all.push(word);
            if *word == present { self.put(name, &all, &n) } else { self.put(name, &all, 0) }
        }
    }
}

/// A label's value in the text form.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The page for those who may see `shown`.
pub async fn render(app: &App, shown: &[Arc<Runtime>]) -> String {
    let mut lines = Lines::default();
    process(&mut lines, app).await;
    let looks = shown.iter().map(|rt| async move { (rt, look(rt).await) });
    for (rt, found) in futures_util::future::join_all(looks).await {
        database(&mut lines, rt);
        if let Some((lag, accounts)) = found {
            waiting(&mut lines, rt, &lag);
            for account in &accounts {
                load(&mut lines, rt, account);
            }
        }
    }
    page(&app.metrics.render(), &lines)
}

/// Both halves, with the heads of those metrics that have nothing to tell yet.
fn page(counted: &str, lines: &Lines) -> String {
    let mut page = counted.to_owned();
    for metric in METRICS {
        let own = lines.0.get(metric.name);
        if metric.collected || !has_head(counted, metric) {
            page.push_str(&head(metric));
            page.push_str(own.map_or("", String::as_str));
            page.push('\n');
        }
    }
    page
}

fn has_head(text: &str, metric: &Metric) -> bool {
    let type_line = format!("# TYPE {} ", metric.name);
    text.lines().any(|line| line.starts_with(&type_line))
}

async fn process(lines: &mut Lines, app: &App) {
    let process = Process::look().await;
    lines.put("wabridge_build_info", &[&env!("CARGO_PKG_VERSION")], 1);
    let started = STARTED.get_or_init(|| (app.clock.now() - process.uptime).as_second());
    lines.put("process_start_time_seconds", &[], started);
    if let Some(cpu_s) = process.cpu_s {
        lines.put("process_cpu_seconds_total", &[], cpu_s);
    }
    let mut put = |name, value: Option<u64>| {
        if let Some(value) = value {
            lines.put(name, &[], value);
        }
    };
    put("process_resident_memory_bytes", process.memory_bytes);
    put("process_threads", process.threads);
    put("process_open_fds", process.open_files);
    put("process_max_fds", process.most_files);
}

/// What the database tells; None while it cannot be asked.
async fn look(rt: &Runtime) -> Option<(Lag, Vec<AccountLoad>)> {
    let phase = rt.phase();
    if !phase.can_journal() {
        return None;
    }
    let asked = async {
        let lag = readiness::lag(&rt.store).await?;
        // The addon's tables may be what does not fit.
        let accounts = if phase.can_apply() { readiness::loads(&rt.store).await? } else { vec![] };
        Ok::<_, StoreError>((lag, accounts))
    };
    let why = match tokio::time::timeout(TIMEOUT, asked).await {
        Ok(Ok(found)) => return Some(found),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
    };
    tracing::debug!(db.name = %rt.name, "the metrics of database {} are incomplete: {why}", rt.name);
    metrics::counter!("wabridge_collect_failures_total", "database" => rt.name.clone())
        .increment(1);
    None
}

fn database(lines: &mut Lines, rt: &Runtime) {
    let name = &rt.name;
    lines.one_of("wabridge_database_phase", &[name], rt.phase().word(), 1);
    let (in_use, open, most) = rt.store.pool_status();
    for (state, n) in [("in_use", in_use), ("open", open), ("most", most)] {
        lines.put("wabridge_database_connections", &[name, &state], n);
    }
}

fn waiting(lines: &mut Lines, rt: &Runtime, lag: &Lag) {
    let name = &rt.name;
    for (state, n) in [("pending", lag.journal_pending), ("quarantined", lag.quarantined)] {
        lines.put("wabridge_journal_pending", &[name, &state], n);
    }
    let oldest_s = lag.journal_oldest_s.unwrap_or_default();
    lines.put("wabridge_journal_oldest_pending_seconds", &[name], oldest_s);
}

fn load(lines: &mut Lines, rt: &Runtime, account: &AccountLoad) {
    // A word that this program does not know is one of an addon that does not fit.
    let Ok(provider) = account.provider.parse::<ProviderKind>() else { return };
    let labels: [&dyn fmt::Display; 3] = [&rt.name, &account.id, &provider];
    let state = AccountState::parse(&account.state).unwrap_or(AccountState::New);
    lines.one_of("wabridge_account_state", &labels, state.as_str(), 1);
    let reason = account.waiting_reason.as_deref().unwrap_or_default();
    lines.one_of("wabridge_account_waiting", &labels, reason, account.waiting);
    for (state, n) in [
        ("due", account.due),
        ("scheduled", account.scheduled),
        ("parked", account.parked),
        ("uncertain", account.uncertain),
    ] {
        let [name, id, provider] = labels;
        lines.put("wabridge_outbox_messages", &[name, id, provider, &state], n);
    }
    lines.put("wabridge_outbox_oldest_seconds", &labels, account.oldest_s);
    lines.put("wabridge_account_pace_wait_seconds", &labels, account.pace_wait_s);
    lines.put("wabridge_account_quota_used", &labels, account.sent_today);
    lines.put("wabridge_account_quota_limit", &labels, account.daily_limit);
    lines.put("wabridge_sync_failed_in_a_row", &labels, account.sync_failed_in_a_row);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_up_stands_under_its_head() {
        let mut lines = Lines::default();
        lines.put("wabridge_journal_oldest_pending_seconds", &[&"a\"c\\me\n"], 1.5);
        let text = page("", &lines);
        assert!(text.contains(
            "# TYPE wabridge_journal_oldest_pending_seconds gauge\nwabridge_journal_oldest_pending_seconds{database=\"a\\\"c\\\\me\\n\"} 1.5\n"
        ), "{text}");
    }

    #[test]
    fn every_metric_has_one_head() {
        let text = page(
            "# HELP wabridge_uncertain x\n# TYPE wabridge_uncertain gauge\n",
            &Lines::default(),
        );
        for metric in METRICS {
            let type_line = format!("# TYPE {} ", metric.name);
            let heads = text.lines().filter(|line| line.starts_with(&type_line)).count();
            assert_eq!(heads, 1, "{}", metric.name);
        }
    }

    #[test]
    fn one_state_of_all() {
        let mut lines = Lines::default();
        lines.one_of("wabridge_database_phase", &[&"acme"], "held", 1);
        let text = &lines.0["wabridge_database_phase"];
        assert_eq!(text.lines().count(), 5);
        assert!(text.contains("{database=\"acme\",phase=\"held\"} 1\n"), "{text}");
        assert!(text.contains("{database=\"acme\",phase=\"ready\"} 0\n"), "{text}");
    }
}
