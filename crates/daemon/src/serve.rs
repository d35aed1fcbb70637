//! `wabridge serve`: starts everything, waits for the end, stops in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;
use wabridge_domain::Clock;
use wabridge_domain::clock::SystemClock;
use wabridge_store::Database;
use wabridge_store::seal::replica;

use crate::app::App;
use crate::config::{self, Config};
use crate::http::{accept, private, public, tls};
use crate::runtime::{Phase, Runtime};
use crate::{keys, notify, refusals, rights, supervise, workers};

/// What may be recorded after the last call in flight has ended.
const LAST_RECORDS: Duration = Duration::from_secs(3);
const TIDY_METRICS_EVERY: Duration = Duration::from_secs(5);

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// A port that is taken, a wrong schema `wabridge`, or no usable database within `start_timeout_s`; one line.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    crate::process::started();
    crate::failpoint::from_environment().map_err(anyhow::Error::msg)?;
    let metrics = crate::metrics::install(&config).context("metrics cannot be set up")?;
    // Ports first: a taken one is found before anything else is touched.
    let tls_of = |zone: &'static str, settings: &Option<tls::Settings>| {
        let tls = settings.as_ref().map(tls::Tls::new).transpose();
        tls.map_err(|why| anyhow::anyhow!("settings: {zone}.tls: {why}"))
    };
    let public_tls = tls_of("public", &config.public.tls)?;
    let private_tls = tls_of("private", &config.private.tls)?;
    let certificates: Vec<(&'static str, tls::Tls)> =
        [("public", public_tls.clone()), ("private", private_tls.clone())]
            .into_iter()
            .filter_map(|(zone, tls)| Some((zone, tls?)))
            .collect();
    let public_listener = bind("public", config.public.listen).await?;
    let private_listener = bind("private", config.private.listen).await?;
    // Without somebody who hears it, it would end the process.
    let hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be watched")?;
    let stop = CancellationToken::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let runtimes = runtimes(&config, &clock, &stop)?;
    check_schemas(&runtimes).await?;
    for rt in runtimes.values() {
        start_workers(rt);
    }
    let app = Arc::new(App { config, runtimes, clock, metrics });
    let drain = Duration::from_secs(app.config.stop_timeout_s);
    let listeners = tokio_util::task::TaskTracker::new();
    listeners.spawn(accept::serve(
        public_listener,
        public::router(Arc::clone(&app)),
        accept::Options {
            zone: "public",
            read_timeout: Duration::from_secs(app.config.public.read_timeout_s),
            max_connections: app.config.public.max_connections,
            drain,
            tls: public_tls,
        },
        stop.clone(),
    ));
    listeners.spawn(accept::serve(
        private_listener,
        private::router(Arc::clone(&app)),
        accept::Options {
            zone: "private",
            read_timeout: Duration::from_secs(app.config.private.read_timeout_s),
            max_connections: app.config.private.max_connections,
            drain,
            tls: private_tls,
        },
        stop.clone(),
    ));
    listeners.spawn(tidy_metrics(Arc::clone(&app), stop.clone()));
    listeners.spawn(keys::reload::run(Arc::clone(&app), certificates, hangup, stop.clone()));
    listeners.spawn(notify::watchdog(stop.clone()));
    listeners.close();
    let outcome = tokio::select! {
        outcome = wait_for_a_database(&app) => match outcome {
            Ok(()) => {
                notify::ready(app.runtimes.len());
                wait_for_the_end().await
            }
            Err(error) => Err(error),
        },
        outcome = wait_for_the_end() => outcome,
    };
    info!("stopping: nothing new is begun, what is under way is finished");
    notify::stopping();
    stop.cancel();
    // Outcomes of the last calls are recorded after the calls themselves.
    let grace = drain + LAST_RECORDS;
    let finished = tokio::time::timeout(grace, async {
        listeners.wait().await;
        for rt in app.runtimes.values() {
            rt.tasks.close();
            rt.tasks.wait().await;
        }
    })
    .await;
    match finished {
        Ok(()) => info!("stopped"),
        Err(_) => warn!(
            "stopped after {} s with work still open; it is settled at the next start, not repeated",
            grace.as_secs()
        ),
    }
    for rt in app.runtimes.values() {
        if rt.phase().can_journal()
            && let Err(error) = replica::leave(&rt.store, rt.owner).await
        {
            tracing::debug!(db.name = %rt.name, %error, "the others learn later that this daemon is gone: {error}");
        }
        rt.store.close();
    }
    outcome
}

/// A histogram keeps every sample until it is read or tidied up, and perhaps nobody reads `/metrics`.
async fn tidy_metrics(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TIDY_METRICS_EVERY) => app.metrics.run_upkeep(),
            () = stop.cancelled() => return,
        }
    }
}

async fn bind(zone: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => {
            info!(listener.zone = zone, "{zone} listener on {address}");
            Ok(listener)
        }
        Err(error) => bail!(
            "{zone}.listen: {address} cannot be opened: {error}; end what uses that port or set another {zone}.listen"
        ),
    }
}

/// Prepares every database of the settings; connects to none.
///
/// # Errors
/// Settings that cannot be used, one line.
pub fn runtimes(
    config: &Config,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) -> anyhow::Result<BTreeMap<String, Arc<Runtime>>> {
    let http = wabridge_providers::http_client(&wabridge_providers::HttpOptions::default())?;
    let media = Arc::new(crate::media::Media::new(&config.media)?);
    let owner = Uuid::new_v4();
    config
        .databases
        .iter()
        .map(|(name, settings)| {
            let rt = Runtime::new(
                name.clone(),
                settings.clone(),
                config.limits.clone(),
                config.journal.clone(),
                config.audit.clone(),
                store(name, settings)?,
                settings.key_ring(name)?,
                http.clone(),
                Arc::clone(&media),
                Arc::clone(clock),
                owner,
                stop.child_token(),
            );
            Ok((name.clone(), Arc::new(rt)))
        })
        .collect()
}

/// The connections of one database of the settings.
///
/// # Errors
/// A malformed URL or an unreadable password file.
pub fn store(name: &str, settings: &config::Database) -> anyhow::Result<Database> {
    let options = wabridge_store::Options { pool_size: settings.pool_size, ..Default::default() };
    let url = settings.url.as_ref().context("the settings were validated")?;
    let password = settings.password(name)?;
    Database::new(
        name,
        url.expose(),
        password.as_ref().map(wabridge_domain::Secret::expose),
        &options,
    )
    .with_context(|| format!("databases.{name}.url"))
}

/// A wrong schema `wabridge` in any database that can be reached ends the start.
async fn check_schemas(runtimes: &BTreeMap<String, Arc<Runtime>>) -> anyhow::Result<()> {
    for (name, rt) in runtimes {
        match supervise::look(rt).await {
            Ok(findings) if findings.wrong_schema => match findings.phase {
                Phase::Unavailable(why) => bail!("database {name}: {why}"),
                phase => bail!("database {name}: {phase}"),
            },
            // Everything else is followed by the supervisor.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

fn start_workers(rt: &Arc<Runtime>) {
    supervise::spawn(rt);
    rt.tasks.spawn(rights::tell(Arc::clone(rt)));
    rt.tasks.spawn(refusals::run(Arc::clone(rt)));
    crate::audit::sealer::spawn(rt);
    workers::spawn_all(rt);
}

/// Returns once one database is usable.
async fn wait_for_a_database(app: &App) -> anyhow::Result<()> {
    let limit = Duration::from_secs(app.config.start_timeout_s);
    let usable = |phase: &Phase| !matches!(phase, Phase::Unavailable(_));
    let waits = app.runtimes.values().map(|rt| Box::pin(rt.wait_for(usable)));
    if tokio::time::timeout(limit, futures_util::future::select_all(waits)).await.is_ok() {
        return Ok(());
    }
    let reasons: Vec<String> =
        app.runtimes.iter().map(|(name, rt)| format!("database {name} {}", rt.phase())).collect();
    bail!("no database was usable within {} s: {}", limit.as_secs(), reasons.join("; "))
}

/// Returns at SIGTERM or SIGINT.
///
/// # Errors
/// The signals cannot be watched.
pub async fn wait_for_the_end() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
