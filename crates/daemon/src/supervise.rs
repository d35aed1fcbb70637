//! Follows one database: reachable, right schema, same database as before, its accounts.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, info, warn};
use wabridge_store::database::Dedicated;
use wabridge_store::meta::{self, Verdict};
use wabridge_store::migrations::{self, State};
use wabridge_store::odoo::configuration;
use wabridge_store::schema::{self, Fit};
use wabridge_store::{StoreError, odoo};

use crate::accounts::Accounts;
use crate::agreement::Agreement;
use crate::keys::{Follower, lost};
use crate::runtime::{Phase, Runtime};

/// How often identity and schema are looked at while everything is well.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// Shortest wait after a lost connection: Odoo ends our sessions before it copies or drops a database, and
/// needs a moment in which nobody comes back.
const RECONNECT_AFTER: Duration = Duration::from_secs(2);
/// Longest wait between two attempts to reach a database.
const RECONNECT_AT_MOST: Duration = Duration::from_secs(5);

/// What the database is like, looked at once.
#[derive(Debug)]
pub struct Findings {
    pub phase: Phase,
    /// A wrong schema `wabridge`: `serve` does not start with it.
    pub wrong_schema: bool,
}

/// Looks at the database once and decides its phase. Adopts a new or renamed database, holds a copy.
///
/// # Errors
/// The database's, when it is not reachable.
pub async fn look(rt: &Runtime) -> Result<Findings, StoreError> {
    let wrong = |text: String| Ok(Findings { phase: Phase::Unavailable(text), wrong_schema: true });
    let mut ahead = None;
    match migrations::state(&rt.store).await? {
        State::Current => {}
        State::Ahead(v) => ahead = Some(v),
        State::Absent => {
            return wrong(format!(
                "schema wabridge is missing: run `wabridge migrate {}`",
                rt.name
            ));
        }
        State::Old(v) => {
            return wrong(format!(
                "schema wabridge has version {v}, this program needs {}: run `wabridge migrate {}`",
                migrations::VERSION,
                rt.name
            ));
        }
        State::Newer(v) => {
            return wrong(format!(
                "schema wabridge has version {v}, made by a later wabridge; this one knows {} and works with {} at most: start the later program",
                migrations::VERSION,
                migrations::VERSION + 1
            ));
        }
        State::Altered(v) => {
            return wrong(format!(
                "migration {v} of schema wabridge was made by another build of wabridge"
            ));
        }
    }
    let known = meta::load(&rt.store).await?;
    rt.set_installation(known.installation_id);
    if known.detached {
        return Ok(Findings { phase: Phase::Detached, wrong_schema: false });
    }
    let mut agreement = Agreement { schema_ahead: ahead, ..Agreement::default() };
    let phase = match schema::verify(&rt.store).await? {
        Fit::Differs(lines) if known.fitted_addon.is_some() => Phase::JournalOnly(lines),
        Fit::Differs(lines) => Phase::Unavailable(lines.join("; ")),
        Fit::Fits { addon } => {
            meta::set_fitted(&rt.store, &addon).await?;
            agreement = Agreement::with(&rt.store, addon, ahead).await?;
            held_or_ready(rt, &known).await?
        }
    };
    tell_versions(rt, agreement);
    Ok(Findings { phase, wrong_schema: false })
}

/// Keeps what was found, and says it where it is new.
fn tell_versions(rt: &Runtime, agreement: Agreement) {
    let former = rt.set_agreement(agreement.clone());
    if let Some(version) = agreement.schema_ahead.filter(|_| former.schema_ahead.is_none()) {
        info!(
            db.name = %rt.name,
            "schema wabridge of database {} has version {version}, one ahead of this program, which works with it until it is replaced",
            rt.name
        );
    }
    let known = former.problems();
    for problem in agreement.problems().iter().filter(|problem| !known.contains(problem)) {
        warn!(db.name = %rt.name, "database {}: {problem}", rt.name);
    }
}

async fn held_or_ready(rt: &Runtime, known: &meta::Meta) -> Result<Phase, StoreError> {
    let here = meta::identity(&rt.store).await?;
    match meta::judge(known.adopted.as_ref(), &here) {
        Verdict::New => {
            meta::adopt(&rt.store, &here).await?;
            info!(db.name = %rt.name, "database {} is served for the first time", rt.name);
        }
        Verdict::Same { renamed: true } if known.held_reason.is_none() => {
            meta::adopt(&rt.store, &here).await?;
            info!(db.name = %rt.name, "database {} was renamed, nothing else changed", rt.name);
        }
        Verdict::Same { .. } => {}
        Verdict::Copy(reason) => {
            meta::hold(&rt.store, &reason).await?;
            return Ok(Phase::Held(reason));
        }
    }
    if let Some(reason) = &known.held_reason {
        return Ok(Phase::Held(reason.clone()));
    }
    let neutralized = odoo::parameter::get(&rt.store, "database.is_neutralized").await?;
    if neutralized.as_deref().is_some_and(|value| !matches!(value, "" | "0" | "false" | "False")) {
        return Ok(Phase::Held("Odoo says that this database is neutralized".into()));
    }
    Ok(Phase::Ready)
}

/// Reads the accounts again; says once what cannot be opened.
///
/// # Errors
/// The database's.
pub async fn refresh_accounts(rt: &Runtime, told: &mut Vec<String>) -> Result<(), StoreError> {
    let Some(installation) = rt.installation() else { return Ok(()) };
    let rows = configuration::all(&rt.store).await?;
    let (accounts, problems) =
        Accounts::open(&rt.name, &rows, &rt.keys, installation, &rt.accounts());
    for problem in problems.iter().filter(|problem| !told.contains(problem)) {
        warn!(db.name = %rt.name, "{problem}");
    }
    *told = problems;
    rt.set_accounts(accounts);
    Ok(())
}

/// Follows the database until the daemon stops.
pub fn spawn(rt: &Arc<Runtime>) {
    let rt = Arc::clone(rt);
    rt.tasks.clone().spawn(async move { run(&rt).await });
}

async fn run(rt: &Runtime) {
    // Open for as long as the database is served: its end tells at once that the server let us go.
    let mut sentinel: Option<Dedicated> = None;
    let mut told = Vec::new();
    let mut follower = Follower::default();
    let mut wait = RECONNECT_AFTER;
    let mut checked: Option<tokio::time::Instant> = None;
    while !rt.stop.is_cancelled() {
        let due = checked.is_none_or(|at| at.elapsed() >= CHECK_EVERY);
        let pause = match round(rt, due, &mut told, &mut follower).await {
            Ok(()) => {
                wait = RECONNECT_AFTER;
                if due {
                    checked = Some(tokio::time::Instant::now());
                }
                if rt.phase() == Phase::Detached {
                    sentinel = None;
                } else if sentinel.is_none() {
                    // Without it the loss is noticed by the next statement.
                    sentinel = rt.store.dedicated().await.inspect_err(|error| {
                        warn!(db.name = %rt.name, "database {}: no connection to watch: {error}", rt.name);
                    }).ok();
                }
                match rt.phase() {
                    Phase::Ready | Phase::Held(_) => rt.limits.poll(),
                    _ => RECONNECT_AFTER,
                }
            }
            Err(error) => {
                checked = None;
                sentinel = None;
                enter(rt, Phase::Unavailable(error.to_string()));
                let pause = wait;
                wait = (wait * 2).min(RECONNECT_AT_MOST);
                pause
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = rt.wakes.accounts.notified() => {}
            () = ended(&mut sentinel) => {
                rt.store.keep_quiet(RECONNECT_AFTER);
                sentinel = None;
                checked = None;
                enter(rt, Phase::Unavailable("the server ended our connections".into()));
                tokio::select! {
                    () = tokio::time::sleep(RECONNECT_AFTER) => {}
                    () = rt.stop.cancelled() => {}
                }
            }
            () = rt.stop.cancelled() => {}
        }
    }
}

/// Returns when the connection ended; never while there is none.
async fn ended(sentinel: &mut Option<Dedicated>) {
    match sentinel {
        Some(dedicated) => while dedicated.connection.recv().await.is_some() {},
        None => std::future::pending().await,
    }
}

async fn round(
    rt: &Runtime,
    due: bool,
    told: &mut Vec<String>,
    follower: &mut Follower,
) -> Result<(), StoreError> {
    if due || !rt.phase().can_apply() {
        let findings = look(rt).await?;
        if findings.phase.can_journal() {
            follower.follow(rt, true).await?;
            // Accounts first: whoever waits for the phase may use them at once.
            match refresh_accounts(rt, told).await {
                // Their own table may be what does not fit: those known before are used on.
                Err(StoreError::Schema(why)) if !findings.phase.can_apply() => {
                    debug!(db.name = %rt.name, "database {}: accounts cannot be read: {why}", rt.name);
                }
                outcome => outcome?,
            }
        }
        if findings.phase == Phase::Detached {
            rt.store.release();
        }
        let can_apply = findings.phase.can_apply();
        enter(rt, findings.phase);
        if can_apply && let Err(error) = lost::show(rt, &rt.accounts()).await {
            // Only what people are told hangs on it.
            debug!(db.name = %rt.name, %error, "database {}: accounts say later whose credentials cannot be opened: {error}", rt.name);
        }
    } else {
        follower.follow(rt, false).await?;
        refresh_accounts(rt, told).await?;
    }
    Ok(())
}

fn enter(rt: &Runtime, phase: Phase) {
    metrics::gauge!("wabridge_database_ready", "database" => rt.name.clone())
        .set(if phase.can_send() { 1.0 } else { 0.0 });
    let Some(_former) = rt.set_phase(phase.clone()) else { return };
    let name = &rt.name;
    match &phase {
        Phase::Ready => info!(db.name = %name, "database {name} is ready"),
        Phase::Held(why) => warn!(
            db.name = %name,
            "database {name} is held, nothing is sent: {why}. Say `wabridge adopt {name}` if it is the live one, `wabridge neutralize {name}` if it is a copy"
        ),
        Phase::JournalOnly(lines) => {
            error!(db.name = %name, "database {name} does not fit any more: webhooks are only kept, calls refused, until it does");
            for line in lines {
                error!(db.name = %name, "database {name}: {line}");
            }
        }
        Phase::Unavailable(why) => warn!(db.name = %name, "database {name} is unavailable: {why}"),
        Phase::Detached => {
            info!(db.name = %name, "database {name} is detached; `wabridge attach {name}` takes it back");
        }
    }
}
