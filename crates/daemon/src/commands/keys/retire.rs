//! `wabridge keys retire`.

use anyhow::bail;
use wabridge_store::seal::{key, replica, value};

use super::Ready;
use crate::config::Config;

/// Says that a key is not needed any more.
///
/// # Errors
/// Why it still is, in one line.
pub async fn retire(config: &Config, name: Option<&str>, id: &str) -> anyhow::Result<()> {
    let ready = Ready::open(config, name).await?;
    let outcome = check(&ready, id).await;
    let problem = outcome.as_ref().err().map(ToString::to_string);
    ready.record("keys.retire", problem.as_deref()).await;
    outcome?;
    key::retire(&ready.store().client().await?, id).await?;
    println!("database {}: key {id} is retired, nothing is sealed with it", ready.rt.name);
    println!(
        "Take it out of the settings of every daemon tomorrow (a form that was left open in Odoo may still hold a value). Keep a copy with the backups of the time when it was in use: they cannot be read without it."
    );
    Ok(())
}

/// Everything that may still be sealed with it, in an order in which nothing slips through: first who seals, then
/// the transactions that may still store something, then what is stored.
async fn check(ready: &Ready, id: &str) -> anyhow::Result<()> {
    let client = ready.store().client().await?;
    let name = &ready.rt.name;
    let known = key::all(&client).await?;
    let Some(key) = known.iter().find(|key| key.key_id == id) else {
        bail!(
            "no daemon of database {name} ever had a sealing key {id}; `wabridge keys list` shows them"
        );
    };
    if key.active {
        bail!("key {id} is the active one: `wabridge keys rotate` makes another one so");
    }
    let sealing = replica::alive(&client).await?.iter().filter(|one| one.active == id).count();
    if sealing > 0 {
        bail!("{sealing} daemons still seal with key {id}: give them the active one");
    }
    if key.retired_at.is_none() {
        let Some(before) = &key.open_transactions else {
            bail!(
                "it is not known since when key {id} is out of use: run `wabridge keys rotate` to its end"
            );
        };
        let now = key::open_transactions(&client).await?;
        let open = before.iter().filter(|one| now.contains(one)).count();
        if open > 0 {
            bail!(
                "{open} transactions that began before the rotation are still open in PostgreSQL, and may store something that is sealed with key {id}: try again when they have ended"
            );
        }
    }
    let counts = value::counts(&client).await?;
    if let Some(left) = counts.iter().find(|count| count.key_id == id && count.total() > 0) {
        bail!(
            "{} credentials, {} files and {} audit keys are still sealed with key {id}: the daemons seal them anew within a minute, `wabridge keys rotate --to {}` at once",
            left.credentials,
            left.files,
            left.audit_keys,
            known.iter().find(|key| key.active).map_or("KEY", |key| key.key_id.as_str())
        );
    }
    Ok(())
}
