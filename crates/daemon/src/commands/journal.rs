//! `wabridge journal`: looks into the received webhooks and replays them. Works on the database itself, whether a
//! daemon runs or not.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use wabridge_domain::{Clock, ProviderKind};
use wabridge_store::journal::{self, Filter, Shown, State, WHOLE_BODY};

use crate::config::Config;
use crate::ingest::route;
use crate::replay::{ROUND, Replayed, replay};
use crate::runtime::{Phase, Runtime};
use crate::supervise;

#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// List received webhooks, latest first.
    List {
        #[command(flatten)]
        which: Which,
        /// Only those in this state.
        #[arg(long)]
        state: Option<StateWord>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show one webhook: where it came from, its events as this program reads them, what is not applied.
    Show {
        id: i64,
        /// The body too.
        #[arg(long)]
        body: bool,
        /// Database of the settings; needed when there are several.
        #[arg(long)]
        database: Option<String>,
    },
    /// Read webhooks again and apply them; what is applied already stays as it is.
    Replay {
        /// Ids of webhooks.
        ids: Vec<i64>,
        /// Those of which something is in quarantine.
        #[arg(long)]
        quarantined: bool,
        /// All that the journal holds.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Args)]
pub struct Which {
    /// Database of the settings; needed when there are several.
    #[arg(long)]
    database: Option<String>,
    /// Received since: 2026-03-04, 2026-03-04T10:30:00Z, or 90m, 2h, 3d ago.
    #[arg(long, value_parser = moment)]
    since: Option<Timestamp>,
    /// Received before; as --since.
    #[arg(long, value_parser = moment)]
    until: Option<Timestamp>,
    /// whapi, wassenger, meta or custom.
    #[arg(long)]
    provider: Option<ProviderKind>,
    /// Id of the account whose sender it was.
    #[arg(long)]
    account: Option<i32>,
}

impl Which {
    fn filter(&self, state: Option<State>) -> Filter {
        Filter {
            since: self.since,
            until: self.until,
            provider: self.provider.map(ProviderKind::as_str),
            configuration_id: self.account,
            state,
            ..Filter::default()
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StateWord {
    Pending,
    Quarantined,
    Applied,
}

impl From<StateWord> for State {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::Pending => Self::Pending,
            StateWord::Quarantined => Self::Quarantined,
            StateWord::Applied => Self::Applied,
        }
    }
}

/// A time as people type it: a date or a time of UTC, or how long ago.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(at) = text.parse::<DateTime>() {
        return at
            .to_zoned(TimeZone::UTC)
            .map(|at| at.timestamp())
            .map_err(|error| error.to_string());
    }
    let ago = || {
        let unit = text.chars().last()?;
        let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|n| *n >= 0)?;
        let seconds = number.checked_mul(match unit {
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            _ => return None,
        })?;
        let now = wabridge_domain::clock::SystemClock.now();
        now.checked_sub(jiff::SignedDuration::from_secs(seconds)).ok()
    };
    ago().ok_or_else(|| {
        "write a time of UTC as 2026-03-04 or 2026-03-04T10:30:00Z, or how long ago as 90m, 2h, 3d"
            .to_owned()
    })
}

pub async fn run(config: &Config, command: JournalCommand) -> anyhow::Result<ExitCode> {
    match command {
        JournalCommand::List { which, state, limit, json } => {
            let rt = super::runtime(config, which.database.as_deref())?;
            list(&rt, &which.filter(state.map(State::from)), i64::from(limit), json).await
        }
        JournalCommand::Show { id, body, database } => {
            let rt = super::runtime(config, database.as_deref())?;
            one(&rt, id, body).await
        }
        JournalCommand::Replay { ids, quarantined, all, which } => {
            let rt = super::runtime(config, which.database.as_deref())?;
            let mut filter = which.filter(quarantined.then_some(State::Quarantined));
            let range = filter.since.is_some() || filter.until.is_some();
            if ids.is_empty() && !quarantined && !all && !range {
                bail!("say what to replay: ids, --quarantined, --since or --until, or --all");
            }
            if !ids.is_empty() && (quarantined || all || range) {
                bail!("either name ids, or say --quarantined, --since, --until or --all");
            }
            filter.ids = ids;
            replay_all(&rt, &filter).await
        }
    }
}

async fn list(rt: &Runtime, filter: &Filter, limit: i64, json: bool) -> anyhow::Result<ExitCode> {
    let lines = journal::list(&rt.store.client().await?, filter, limit).await?;
    let mut out = std::io::stdout().lock();
    if !json && lines.is_empty() {
        writeln!(out, "no webhook fits")?;
    } else if !json {
        writeln!(
            out,
            "{:>10}  {:<20}  {:<9}  {:>7}  {:<11}  {:>9}  state",
            "id", "received", "provider", "account", "verified by", "bytes"
        )?;
    }
    for line in &lines {
        let state = line.state.as_str();
        if json {
            let line = json!({
                "id": line.id, "received_at": line.received_at, "provider": line.provider,
                "configuration_id": line.configuration_id, "verified_by": line.verified_by,
                "method": line.method, "bytes": line.size, "state": state,
                "reasons": line.reasons.as_deref().map(|words| words.split(',').collect::<Vec<_>>()),
            });
            writeln!(out, "{line}")?;
            continue;
        }
        let why = line.reasons.as_deref().filter(|reasons| *reasons != "waiting");
        writeln!(
            out,
            "{:>10}  {:<20}  {:<9}  {:>7}  {:<11}  {:>9}  {state}{}",
            line.id,
            seconds(line.received_at),
            line.provider,
            line.configuration_id,
            line.verified_by,
            line.size,
            why.map(|why| format!(" ({why})")).unwrap_or_default()
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

async fn one(rt: &Runtime, id: i64, with_body: bool) -> anyhow::Result<ExitCode> {
    let shown = journal::show(&rt.store.client().await?, id).await?.with_context(|| {
        format!("the journal holds no webhook {id}; it is kept {} days", rt.journal.keep_days)
    })?;
    load_accounts(rt).await?;
    print!("{}", described(rt, &shown, with_body));
    Ok(ExitCode::SUCCESS)
}

fn described(rt: &Runtime, shown: &Shown, with_body: bool) -> String {
    let account = rt.accounts().get(shown.configuration_id).cloned();
    let mut lines = vec![
        format!("webhook {}", shown.id),
        format!("  received     {}", shown.received_at),
        format!("  provider     {}", shown.stored.provider),
        format!(
            "  account      {}{}",
            shown.configuration_id,
            if account.is_some() { "" } else { " (gone)" }
        ),
        format!("  verified by  {}", shown.verified_by),
        format!("  request      {} {}", shown.stored.method, shown.request_id),
        format!("  from         {}", shown.address.as_deref().unwrap_or("not known")),
    ];
    if !shown.stored.sub_path.is_empty() {
        lines.push(format!("  sub-path     {}", shown.stored.sub_path));
    }
    lines.push("  headers".to_owned());
    for (name, value) in shown.headers.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        lines.push(format!("    {name}: {value}"));
    }
    if shown.open.is_empty() {
        lines.push("  state        applied".to_owned());
    }
    for open in &shown.open {
        lines.push(format!(
            "  state        {} {}: {}{} ({} tries)",
            place(open.event_no),
            open.state,
            open.reason,
            open.detail.as_deref().map(|detail| format!(", {detail}")).unwrap_or_default(),
            open.attempts
        ));
    }
    if let Some(account) = &account {
        let (events, unusable) = route::events(account, &shown.stored, shown.received_at);
        lines.push(format!("  events       {}", events.len()));
        for (no, event) in &events {
            let value = serde_json::to_value(event).unwrap_or(Value::Null);
            lines.push(format!("    {}", place(*no)));
            lines.extend(indented(&value, "      "));
        }
        for part in &unusable {
            lines.push(format!(
                "    {}: {}{}",
                place(part.event_no),
                part.reason.as_str(),
                part.detail.as_deref().map(|detail| format!(", {detail}")).unwrap_or_default()
            ));
        }
    }
    if with_body {
        lines.push(format!("  body         {} bytes", shown.stored.body.len()));
        match serde_json::from_slice::<Value>(&shown.stored.body) {
            Ok(value) => lines.extend(indented(&value, "    ")),
            Err(_) => {
                let text = String::from_utf8_lossy(&shown.stored.body);
                lines.extend(text.lines().map(|line| format!("    {}", printable(line))));
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn place(event_no: i32) -> String {
    if event_no == WHOLE_BODY { "whole body".to_owned() } else { format!("event {event_no}") }
}

fn indented(value: &Value, by: &str) -> Vec<String> {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    text.lines().map(|line| format!("{by}{}", printable(line))).collect()
}

/// Strangers wrote this: nothing of it shall steer the terminal.
pub(super) fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Reads phase and accounts, as the daemon does at its start.
async fn load_accounts(rt: &Runtime) -> anyhow::Result<Phase> {
    let phase = supervise::look(rt).await.with_context(|| format!("database {}", rt.name))?.phase;
    let mut told = Vec::new();
    supervise::refresh_accounts(rt, &mut told)
        .await
        .with_context(|| format!("database {}: accounts", rt.name))?;
    Ok(phase)
}

async fn replay_all(rt: &Arc<Runtime>, filter: &Filter) -> anyhow::Result<ExitCode> {
    let phase = load_accounts(rt).await?;
    if !phase.can_apply() {
        bail!("database {}: nothing can be applied now: {phase}", rt.name);
    }
    let mut session = rt.store.session().await?;
    let mut total = Replayed::default();
    let mut after = i64::MIN;
    let limit = i64::try_from(ROUND).unwrap_or(i64::MAX);
    loop {
        let ids = journal::selected(&rt.store.client().await?, filter, after, limit).await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        total.add(replay(rt, &mut session, &ids).await?);
        if ids.len() == ROUND {
            eprintln!("{} webhooks so far, up to {after}", done(&total));
        }
    }
    let named = filter.ids.iter().filter(|id| !seen(&total, **id)).copied();
    total.missing.extend(named.collect::<Vec<_>>());
    total.missing.sort_unstable();
    total.missing.dedup();
    report(&total);
    let well = total.quarantined.is_empty() && total.missing.is_empty();
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn seen(total: &Replayed, id: i64) -> bool {
    total.applied.contains(&id)
        || total.waiting.contains(&id)
        || total.quarantined.iter().any(|row| row.entry.id == id)
}

fn quarantined(total: &Replayed) -> usize {
    let mut ids: Vec<i64> = total.quarantined.iter().map(|row| row.entry.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

fn done(total: &Replayed) -> usize {
    total.applied.len() + total.waiting.len() + quarantined(total)
}

fn report(total: &Replayed) {
    for row in &total.quarantined {
        println!(
            "webhook {}, {}: {}{}",
            row.entry.id,
            place(row.event_no),
            row.reason.as_str(),
            row.detail.as_deref().map(|detail| format!(", {detail}")).unwrap_or_default()
        );
    }
    for id in &total.missing {
        println!("webhook {id}: the journal does not hold it");
    }
    println!(
        "{} webhooks replayed: {} applied ({} events), {} in quarantine, {} wait for a lock and are applied by the daemon",
        done(total),
        total.applied.len(),
        total.events,
        quarantined(total),
        total.waiting.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let at = |text: &str| moment(text).unwrap().to_string();
        assert_eq!(at("2026-03-04"), "2026-03-04T00:00:00Z");
        assert_eq!(at("2026-03-04 10:30"), "2026-03-04T10:30:00Z");
        assert_eq!(at("2026-03-04T10:30:00+01:00"), "2026-03-04T09:30:00Z");
        assert!(moment("2h").unwrap() < moment("1h").unwrap());
        assert!(moment("3d").unwrap() < moment("90m").unwrap());
        for wrong in ["", "h", "-2h", "2y", "yesterday", "99999999999999999999d", "2€"] {
            assert!(moment(wrong).unwrap_err().contains("2026-03-04"), "{wrong}");
        }
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\tc\u{7}"), "a\u{fffd}[2Jb\tc\u{fffd}");
    }
}
