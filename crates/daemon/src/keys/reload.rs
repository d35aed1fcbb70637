//! New keys without a restart: the settings' sealing keys and the listeners' certificates are read again at SIGHUP,
//! and every few seconds.
//!
//! Nothing else of the settings changes this way. A key that is gone from the settings is forgotten once it was retired; before, it stays
//! until the daemon is restarted, because values may be sealed with it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use wabridge_store::StoreError;
use wabridge_store::seal::key;

use crate::app::App;
use crate::config::Config;
use crate::http::tls::Tls;
use crate::runtime::Runtime;

const EVERY: Duration = Duration::from_secs(5);

/// Reads keys again until `stop`.
pub async fn run(
    app: Arc<App>,
    certificates: Vec<(&'static str, Tls)>,
    mut hangup: Signal,
    stop: CancellationToken,
) {
    let Some(path) = app.config.source.clone() else { return };
    let mut told = BTreeSet::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = hangup.recv() => info!("SIGHUP: keys and certificates are read again"),
            () = stop.cancelled() => return,
        }
        let mut problems = reload(&app, path.clone()).await;
        problems.extend(certificates.iter().filter_map(|(zone, tls)| renew(zone, tls)));
        for problem in problems.difference(&told) {
            warn!("{problem}");
        }
        told = problems;
    }
}

/// Takes a new certificate; a sentence where it cannot be used.
fn renew(zone: &str, tls: &Tls) -> Option<String> {
    match tls.reload() {
        Ok(true) => {
            info!(listener.zone = zone, "{zone} listener: new connections get the new certificate");
            None
        }
        Ok(false) => None,
        Err(why) => Some(format!("{zone}.tls: the former certificate stays in use: {why}")),
    }
}

/// Loads what is new; the sentences that somebody should read.
async fn reload(app: &App, path: PathBuf) -> BTreeSet<String> {
    let mut problems = BTreeSet::new();
    let read = tokio::task::spawn_blocking(move || Config::load(&path)).await;
    let config = match read {
        Ok(Ok(config)) => config,
        Ok(Err(error)) => {
            problems.insert(format!("keys are not read again, those loaded before stay: {error}"));
            return problems;
        }
        Err(error) => {
            problems.insert(format!("keys are not read again, those loaded before stay: {error}"));
            return problems;
        }
    };
    for (name, rt) in &app.runtimes {
        let Some(settings) = config.databases.get(name) else { continue };
        match settings.key_ring(name) {
            Ok(newer) => problems.extend(load(rt, &newer).await),
            Err(error) => {
                problems
                    .insert(format!("keys are not read again, those loaded before stay: {error}"));
            }
        }
    }
    problems
}

async fn load(rt: &Runtime, newer: &wabridge_domain::seal::KeyRing) -> Vec<String> {
    let held = newer.held();
    let gone =
        rt.keys.held().into_iter().any(|(id, _)| !held.iter().any(|(other, _)| *other == id));
    let retired = if gone { retired(rt).await.unwrap_or_default() } else { BTreeSet::new() };
    let loaded = rt.keys.load(newer, |id| retired.contains(id));
    let name = &rt.name;
    for id in &loaded.added {
        info!(db.name = %name, "database {name}: sealing key {id} was loaded");
    }
    for id in &loaded.forgotten {
        info!(db.name = %name, "database {name}: sealing key {id} is retired and gone from the settings: forgotten");
    }
    if !loaded.added.is_empty() || !loaded.forgotten.is_empty() {
        // The other daemons and `wabridge keys` learn it at once.
        rt.wakes.accounts.notify_one();
    }
    let kept = loaded.kept.iter().map(|id| {
        format!("database {name}: sealing key {id} is gone from the settings but not retired; it is held until the next restart: put it back, or `wabridge keys retire {id}` first")
    });
    let conflicting = loaded.conflicting.iter().map(|id| {
        format!("database {name}: sealing key {id} is another one in the settings now; the one loaded first stays: give the new one an id of its own")
    });
    kept.chain(conflicting).collect()
}

/// None while the database cannot be asked: then nothing is forgotten.
async fn retired(rt: &Runtime) -> Result<BTreeSet<String>, StoreError> {
    let known = key::all(&rt.store.client().await?).await?;
    Ok(known.into_iter().filter(|key| key.retired_at.is_some()).map(|key| key.key_id).collect())
}
