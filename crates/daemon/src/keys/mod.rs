//! Sealing keys while the daemon runs: what it holds, which of them seals, what is still sealed with another.
//!
//! The database says which key seals (`wabridge.sealing_key.active`); the settings' `active` counts for its first
//! daemon only. A daemon that lacks that key goes on with the one of its settings, and says so.

pub mod lost;
pub mod reload;
pub mod reseal;

use tracing::{info, warn};
use wabridge_store::StoreError;
use wabridge_store::seal::{key, replica};

use crate::runtime::Runtime;

/// What a daemon has told the others and its log.
#[derive(Debug, Default)]
pub struct Follower {
    beaten: Option<(Vec<(String, String)>, String)>,
    told: Vec<String>,
}

impl Follower {
    /// Follows the active key, and tells the other daemons what this one holds: when it changed, and when it is `due`.
    ///
    /// # Errors
    /// The database's.
    pub async fn follow(&mut self, rt: &Runtime, due: bool) -> Result<(), StoreError> {
        let held = rt.keys.held();
        let mut problems = Vec::new();
        if due || self.beaten.as_ref().is_none_or(|(told, _)| *told != held) {
            key::note(&rt.store, &held, &rt.keys.active_key_id()).await?;
            let known = key::all(&rt.store.client().await?).await?;
            problems.extend(conflicts(&rt.name, &held, &known));
        } else {
            problems.extend(self.told.iter().filter(|line| line.contains(CONFLICT)).cloned());
        }
        if let Some(active) = follow_active(rt).await? {
            problems.push(active);
        }
        for problem in problems.iter().filter(|problem| !self.told.contains(problem)) {
            warn!(db.name = %rt.name, "{problem}");
        }
        self.told = problems;
        let now = (held, rt.keys.active_key_id());
        if due || self.beaten.as_ref() != Some(&now) {
            replica::beat(&rt.store, rt.owner, &now.0, &now.1).await?;
            self.beaten = Some(now);
        }
        Ok(())
    }
}

const CONFLICT: &str = "is another key than the one of this id";

fn conflicts(name: &str, held: &[(String, String)], known: &[key::Known]) -> Vec<String> {
    held.iter()
        .filter(|(id, fingerprint)| {
            known.iter().any(|key| key.key_id == *id && key.fingerprint != *fingerprint)
        })
        .map(|(id, _)| {
            format!("database {name}: sealing key {id} {CONFLICT} that the database knows: give each key an id of its own")
        })
        .collect()
}

/// Seals with the database's active key from now on; where this daemon lacks it, a sentence that says so.
///
/// # Errors
/// The database's.
pub async fn follow_active(rt: &Runtime) -> Result<Option<String>, StoreError> {
    let Some(active) = key::active(&rt.store.client().await?).await? else { return Ok(None) };
    let before = rt.keys.active_key_id();
    if !rt.keys.activate(&active) {
        return Ok(Some(format!(
            "database {0}: sealing key {active} is the active one, but this daemon lacks it and seals with {before}: add it to the settings; if it is lost, `wabridge keys rotate {0} --to {before}`",
            rt.name
        )));
    }
    if before != active {
        info!(db.name = %rt.name, "database {}: values are sealed with key {active} from now on, no longer with {before}", rt.name);
        rt.wakes.reseal.notify_one();
    }
    Ok(None)
}
