//! `wabridge keys rotate`: each step may be run again, and goes on where it was.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::Instant;
use wabridge_domain::seal::{self, SealError};
use wabridge_store::seal::replica::Replica;
use wabridge_store::seal::{key, replica};
use wabridge_store::{StoreError, tx};

use super::{Ready, write_key};
use crate::config::Config;
use crate::keys::reseal;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Makes a key the one that seals, and seals everything anew with it.
///
/// # Errors
/// What is missing, in one line; what was done until then stays done.
pub async fn rotate(
    config: &Config,
    name: Option<&str>,
    to: Option<&str>,
    wait: Duration,
) -> anyhow::Result<ExitCode> {
    let mut ready = Ready::open(config, name).await?;
    let id = match to {
        Some(id) => id.to_owned(),
        None => choose(config, &mut ready).await?,
    };
    let outcome = run(&ready, &id, wait).await;
    let problem = outcome.as_ref().err().map(ToString::to_string);
    ready.record("keys.rotate", problem.as_deref()).await;
    outcome
}

async fn run(ready: &Ready, id: &str, wait: Duration) -> anyhow::Result<ExitCode> {
    let name = &ready.rt.name;
    let again = format!("run `wabridge keys rotate --database {name} --to {id}` to go on");
    let Some((_, fingerprint)) = ready.rt.keys.held().into_iter().find(|(held, _)| held == id)
    else {
        bail!("sealing key {id} is not in the settings of database {name}: add it there first");
    };
    announce(ready, id, &fingerprint).await?;
    println!("database {name}: waiting until every daemon holds key {id}");
    until_all(ready, wait, |one| one.holds(id, &fingerprint)).await.with_context(|| {
        format!("key {id} is not active yet: these daemons lack it; give it to them (they read their settings every few seconds) or stop them, then {again}")
    })?;
    let active: Result<bool, StoreError> =
        tx!(ready.store(), "keys.activate", |tx| key::activate(tx, id).await);
    if !active? {
        bail!("sealing key {id} is retired: make a new one");
    }
    println!(
        "database {name}: key {id} is the active one; waiting until every daemon seals with it"
    );
    until_all(ready, wait, |one| one.active == id).await.with_context(|| {
        format!("key {id} is active, but these daemons seal with another; {again}")
    })?;
    key::note_out_of_use(&ready.store().client().await?).await?;
    ready.rt.keys.activate(id);
    reseal_all(ready, id, wait, &again).await
}

async fn announce(ready: &Ready, id: &str, fingerprint: &str) -> anyhow::Result<()> {
    let held = ready.rt.keys.held();
    key::note(ready.store(), &held, &ready.rt.keys.active_key_id()).await?;
    let known = key::all(&ready.store().client().await?).await?;
    match known.iter().find(|key| key.key_id == id) {
        Some(key) if key.fingerprint != fingerprint => bail!(
            "sealing key {id} of these settings is another one than the database knows: give the new key an id of its own"
        ),
        Some(key) if key.retired_at.is_some() => {
            bail!("sealing key {id} is retired: make a new one")
        }
        _ => Ok(()),
    }
}

/// Waits until every daemon that runs fits.
async fn until_all(
    ready: &Ready,
    wait: Duration,
    fits: impl Fn(&Replica) -> bool,
) -> anyhow::Result<()> {
    let end = Instant::now() + wait;
    loop {
        let alive = replica::alive(&ready.store().client().await?).await?;
        let missing: Vec<String> = alive
            .iter()
            .filter(|one| !fits(one))
            .map(|one| format!("the one started at {}", one.started_at.strftime("%F %T UTC")))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() >= end {
            bail!("{} after {} s", missing.join(", "), wait.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn reseal_all(
    ready: &Ready,
    id: &str,
    wait: Duration,
    again: &str,
) -> anyhow::Result<ExitCode> {
    let name = &ready.rt.name;
    let end = Instant::now() + wait;
    let mut changed = 0;
    let round = loop {
        let round = reseal::round(ready.store(), &ready.rt.keys, ready.installation).await?;
        changed += round.changed;
        if round.is_over() {
            break round;
        }
        if Instant::now() >= end {
            bail!(
                "{} values are still sealed with another key, because somebody is writing their rows; the daemons seal them anew when they are free, or {again}",
                round.busy
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    println!("database {name}: {changed} values were sealed anew with key {id}");
    if round.lost.is_empty() {
        println!(
            "database {name}: nothing is sealed with another key; `wabridge keys retire OLD` says when the old one may go"
        );
        return Ok(ExitCode::SUCCESS);
    }
    for lost in &round.lost {
        let why = match &lost.error {
            SealError::KeyMissing(key) => format!("its key {key} is not in the settings"),
            error => error.to_string(),
        };
        eprintln!(
            "database {name}: {} cannot be sealed anew: {why}; enter it again if the key is lost",
            lost.what
        );
    }
    Ok(ExitCode::FAILURE)
}

/// A new key in the directory of keys, else the only one that was never used.
async fn choose(config: &Config, ready: &mut Ready) -> anyhow::Result<String> {
    let name = ready.rt.name.clone();
    let known = key::all(&ready.store().client().await?).await?;
    if let Some(directory) = &ready.rt.settings.sealing_keys_directory {
        let held = ready.rt.keys.held();
        let taken = |id: &str| {
            known.iter().any(|key| key.key_id == id) || held.iter().any(|(other, _)| other == id)
        };
        let id = (1..).map(|n| format!("k{n}")).find(|id| !taken(id));
        let id = id.context("there are numbers without end")?;
        let path = directory.join(format!("{id}.key"));
        write_key(&path, &seal::generate_key())?;
        println!("database {name}: a new key is in {}", path.display());
        let path = config.source.as_deref().context("the settings came from a file")?;
        *ready = Ready::open(&Config::load(path)?, Some(&name)).await?;
        return Ok(id);
    }
    let mut unused = ready.rt.keys.held().into_iter().map(|(id, _)| id).filter(|id| {
        !known.iter().any(|key| {
            key.key_id == *id && (key.activated_at.is_some() || key.retired_at.is_some())
        })
    });
    match (unused.next(), unused.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => bail!(
            "there is no new key in the settings of database {name}: make one with `wabridge keys generate --out FILE`, name it in a section sealing_keys.<new id> of every daemon, and say this again"
        ),
        (Some(_), Some(_)) => {
            bail!("there are several new keys in the settings; name one with --to")
        }
    }
}
