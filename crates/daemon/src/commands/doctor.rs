//! `wabridge doctor`: one line a check, with the cure; exit 1 when one fails.

mod restored;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wabridge_domain::Clock;
use wabridge_domain::clock::SystemClock;
use wabridge_providers::Call;
use wabridge_store::{StoreError, health, removal, rights};

use crate::accounts::Account;
use crate::config::Config;
use crate::runtime::{Phase, Runtime};
use crate::{serve, supervise};

/// Clocks may differ by so much; signed calls are refused beyond 300 s.
const CLOCK_TOLERANCE_S: i64 = 30;

/// So many of the rights that are not needed are listed.
const RIGHTS_SHOWN: usize = 20;

#[derive(Default)]
struct Report {
    failed: u32,
}

impl Report {
    fn ok(&self, what: &str, detail: impl AsRef<str>) {
        println!("ok    {what}: {}", detail.as_ref());
    }

    /// Worth knowing, no reason to stop.
    fn note(&self, what: &str, detail: impl AsRef<str>) {
        println!("note  {what}: {}", detail.as_ref());
    }

    fn fail(&mut self, what: &str, detail: impl AsRef<str>) {
        self.failed += 1;
        println!("FAIL  {what}: {}", detail.as_ref());
    }
}

/// Runs all checks.
pub async fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    match Config::load(path) {
        Ok(config) => {
            report.ok("settings", path.display().to_string());
            let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(SystemClock);
            let runtimes = serve::runtimes(&config, &clock, &CancellationToken::new())?;
            for rt in runtimes.values() {
                database(&mut report, rt).await;
            }
            media(&mut report, &config.media.directory);
            daemon(&mut report, &config).await;
        }
        Err(error) => report.fail("settings", error.to_string()),
    }
    println!();
    if report.failed == 0 {
        println!("everything is well");
        Ok(ExitCode::SUCCESS)
    } else {
        println!("{} checks failed", report.failed);
        Ok(ExitCode::FAILURE)
    }
}

/// Looks only: a directory that is made here would belong to who asks, not to the daemon.
fn media(report: &mut Report, directory: &Path) {
    let what = "media.directory";
    let path = directory.display();
    if directory.is_dir() {
        let probe = directory.join(format!(".doctor-{}", std::process::id()));
        let written = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe));
        match written {
            Ok(()) => report.ok(what, format!("{path} can be written")),
            Err(error) => report.fail(
                what,
                format!("{path} cannot be written ({error}): give it to the daemon's user, or say this as that user"),
            ),
        }
    } else if directory.exists() {
        report.fail(what, format!("{path} is no directory: name another in the settings"));
    } else {
        report.note(
            what,
            format!("{path} is not there; the daemon makes it with the first file if its user may"),
        );
    }
}

async fn database(report: &mut Report, rt: &Runtime) {
    let name = format!("database {}", rt.name);
    let findings = match supervise::look(rt).await {
        Ok(findings) => findings,
        Err(error) => {
            return report.fail(&name, unreachable(&error));
        }
    };
    match findings.phase {
        Phase::Ready => report.ok(&name, "reachable, addon and columns fit, free to send"),
        Phase::Held(why) => {
            report.fail(
                &name,
                format!(
                    "held: {why}; say `wabridge adopt {0}` if it is the live one from now on, `wabridge neutralize {0}` if it stays a copy",
                    rt.name
                ),
            );
            match restored::waiting(rt).await {
                Ok(said) => report.note(&name, said),
                Err(error) => report.fail(&name, error.to_string()),
            }
        }
        Phase::JournalOnly(lines) => {
            lines.iter().for_each(|line| report.fail(&name, line));
            // Uninstalled: everything else would say the same in other words.
            if !addon_is_there(rt).await {
                return;
            }
        }
        Phase::Unavailable(why) => return report.fail(&name, why),
        Phase::Detached => {
            return report
                .note(&name, format!("detached; `wabridge attach {}` takes it back", rt.name));
        }
    }
    versions(report, rt, &name);
    match rights::compare(&rt.store).await {
        Ok(found) => rights_of(report, &name, &found),
        Err(error) => report.fail(&name, error.to_string()),
    }
    match health::look(&rt.store).await {
        Ok(found) => server(report, rt, &name, &found),
        Err(error) => report.fail(&name, error.to_string()),
    }
    match rt.store.dedicated_to_postgres().await {
        Ok(_) => report.ok(&format!("{name}, bus"), "the database postgres can be reached for Odoo's bus"),
        Err(error) => report.fail(
            &format!("{name}, bus"),
            format!("the database postgres cannot be reached ({error}): GRANT CONNECT ON DATABASE postgres to the role, else open screens follow only every 30 s"),
        ),
    }
    let mut problems = Vec::new();
    if let Err(error) = supervise::refresh_accounts(rt, &mut problems).await {
        return report.fail(&format!("{name}, accounts"), error.to_string());
    }
    if let Err(error) = restored::keys(report, rt, &name).await {
        report.fail(&format!("{name}, keys"), error.to_string());
    }
    let directory = &rt.media.settings.directory;
    if let Err(error) = restored::files(report, rt, &name, directory).await {
        report.fail(&format!("{name}, files"), error.to_string());
    }
    for account in rt.accounts().iter().filter(|account| account.active) {
        provider(report, rt, &name, account).await;
    }
    if rt.settings.odoo_url.is_none() {
        report.note(&format!("{name}, wake"), "odoo_url is not set: Odoo notices what arrived by its cron only, within a minute or two");
    }
}

fn versions(report: &mut Report, rt: &Runtime, name: &str) {
    let what = format!("{name}, versions");
    let agreement = rt.agreement();
    match (&agreement.addon, agreement.problems()) {
        // What differs was said.
        (None, _) => {}
        (Some(_), problems) if problems.is_empty() => report.ok(&what, agreement.sentence()),
        (Some(_), problems) => problems.iter().for_each(|problem| report.fail(&what, problem)),
    }
    if let Some(version) = agreement.schema_ahead {
        report.note(&what, format!("schema wabridge has version {version}, one ahead of this program: replace it by the program that made it"));
    }
}

async fn addon_is_there(rt: &Runtime) -> bool {
    let found = async { removal::look(&rt.store.client().await?).await };
    found.await.is_ok_and(|found| found.addon)
}

/// Why a database could not be looked at, with the cure.
fn unreachable(error: &StoreError) -> String {
    match error {
        StoreError::Schema(_) => format!(
            "{error}: apply what `wabridge grants` prints; after a restore everything belongs to who restored it"
        ),
        _ => format!("{error}; is PostgreSQL running, is the url right?"),
    }
}

/// What is missing fails; what the role may do without need is worth knowing. Each line ends with the SQL that cures it.
fn rights_of(report: &mut Report, name: &str, found: &rights::Rights) {
    let what = format!("{name}, rights");
    match (found.missing.is_empty(), found.excess_in_short()) {
        (true, None) => report.ok(&what, "the role has what it needs, and no more"),
        (true, Some(_)) => report.ok(&what, "the role has what it needs"),
        (false, _) => {}
    }
    for line in &found.missing {
        report.fail(
            &what,
            format!(
                "role {} {}: {} (`wabridge grants` prints all)",
                found.role, line.what, line.cure
            ),
        );
    }
    if found.superuser {
        report.note(
            &what,
            "the role is a superuser; a role of its own with `wabridge grants` is safer",
        );
    }
    for line in found.excess.iter().take(RIGHTS_SHOWN) {
        report.note(
            &what,
            format!("role {} {}, which it does not need: {}", found.role, line.what, line.cure),
        );
    }
    if let Some(more) = found.excess.len().checked_sub(RIGHTS_SHOWN).filter(|more| *more > 0) {
        report.note(&what, format!("and {more} more that the role does not need: what `wabridge grants` prints takes back what was granted to it"));
    }
}

fn server(report: &mut Report, rt: &Runtime, name: &str, found: &health::Found) {
    let seconds = found.now.as_second() - rt.clock.now().as_second();
    let what = format!("{name}, clock");
    if seconds.abs() > CLOCK_TOLERANCE_S {
        report.fail(&what, format!("PostgreSQL's clock is {seconds} s ahead of this machine's; run a time service on both"));
    } else {
        report.ok(&what, "agrees with PostgreSQL's");
    }
    if found.replicas > 0 && !found.synchronous {
        report.note(&format!("{name}, durability"), "there are standby servers but no synchronous_standby_names: after a fail-over the last acknowledged webhooks may be missing");
    }
    if found.partitions_ahead < 1 {
        report.fail(
            &format!("{name}, journal"),
            format!("no partition for tomorrow; run `wabridge migrate {}` or the daemon", rt.name),
        );
    }
    if found.quarantined > 0 {
        report.note(
            &format!("{name}, journal"),
            format!("{} events are in quarantine", found.quarantined),
        );
    }
}

async fn provider(report: &mut Report, rt: &Runtime, name: &str, account: &Account) {
    let what = format!("{name}, account {} ({})", account.id, account.provider);
    for problem in &account.problems {
        report.fail(&what, problem);
    }
    if !account.lost.is_empty() {
        // The one output that names people's own words: it is for who asks, not for a log.
        let columns: Vec<&str> = account.lost.iter().map(|lost| lost.column).collect();
        report.fail(
            &what,
            format!(
                "\"{}\" has credentials that no key of these settings opens, and that must be entered again: {}",
                account.name,
                columns.join(", ")
            ),
        );
    }
    // Why there is none stands among the problems.
    let Some(adapter) = account.adapter() else { return };
    let Some(token) = &account.token else {
        return report
            .fail(&what, "has no API token; enter it with the wizard \"Set credentials\"");
    };
    let request_id = uuid::Uuid::now_v7().to_string();
    let call = Call {
        http: &rt.http,
        base_url: account.base_url.as_deref(),
        token,
        channel_id: account.channel_id.as_deref(),
        request_id: &request_id,
        timeout: Duration::from_secs(10),
    };
    match adapter.health(&call).await {
        Ok(health) if health.state.can_send() => report.ok(&what, health.state.as_str()),
        Ok(health) => report.fail(
            &what,
            format!(
                "{}{}",
                health.state.as_str(),
                health.reason.map(|r| format!(" ({r})")).unwrap_or_default()
            ),
        ),
        Err(error) => report.fail(&what, error.to_string()),
    }
}

async fn daemon(report: &mut Report, config: &Config) {
    let address = config.private.listen;
    match tokio::time::timeout(Duration::from_secs(2), tokio::net::TcpStream::connect(address))
        .await
    {
        Ok(Ok(_)) => report.ok("daemon", format!("answers on {address}")),
        Ok(Err(_)) | Err(_) => report.note("daemon", format!("none runs on {address}")),
    }
}
