//! Seals anew what is sealed with another than the active key: after a rotation, and again and again, because a value
//! that Odoo got before it may be stored later.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};
use uuid::Uuid;
use wabridge_domain::Secret;
use wabridge_domain::seal::{KeyRing, Place, SealError};
use wabridge_store::seal::{key, value};
use wabridge_store::{Database, StoreError, tx};

use crate::accounts;
use crate::failpoint;
use crate::media::seal as file_seal;
use crate::runtime::{Phase, Runtime};

const EVERY: Duration = Duration::from_secs(15);
/// While somebody held a row of what is left.
const SOONER: Duration = Duration::from_secs(2);
/// Files in one transaction.
const BATCH: i64 = 200;

/// A value that cannot be sealed anew, because it does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// What it is, for people: `account 3, token`.
    pub what: String,
    pub error: SealError,
}

/// What one look at everything came to.
#[derive(Debug, Default)]
pub struct Round {
    pub changed: u64,
    /// Left for the next round: somebody was writing them.
    pub busy: u64,
    pub lost: Vec<Lost>,
}

impl Round {
    pub fn is_over(&self) -> bool {
        self.changed == 0 && self.busy == 0
    }
}

/// Seals everything anew that is not sealed with the ring's active key, each value only while it is as it was read.
///
/// # Errors
/// The database's; what was done until then stays done.
pub async fn round(
    store: &Database,
    ring: &KeyRing,
    installation_id: Uuid,
) -> Result<Round, StoreError> {
    let active = ring.active_key_id();
    let mut round = Round::default();
    credentials(store, ring, installation_id, &active, &mut round).await?;
    audit_keys(store, ring, installation_id, &active, &mut round).await?;
    files(store, ring, installation_id, &active, &mut round).await?;
    Ok(round)
}

fn again(ring: &KeyRing, place: Place<'_>, sealed: &str) -> Result<String, SealError> {
    let clear: Secret = ring.open(place, sealed)?;
    Ok(ring.seal(place, &clear))
}

async fn credentials(
    store: &Database,
    ring: &KeyRing,
    installation_id: Uuid,
    active: &str,
    round: &mut Round,
) -> Result<(), StoreError> {
    for read in value::credentials_not_with(&store.client().await?, active).await? {
        let place = Place {
            installation_id,
            table: accounts::TABLE,
            column: value::sealed_for(&read.column),
            seal_uuid: read.seal_uuid.as_deref().unwrap_or_default(),
        };
        match again(ring, place, &read.sealed) {
            Ok(new) => {
                let client = store.client().await?;
                if value::swap_credential(&client, &read, &new).await? {
                    round.changed += 1;
                } else {
                    round.busy += 1;
                }
            }
            Err(error) => round.lost.push(Lost {
                what: format!("account {}, {}", read.configuration_id, read.column),
                error,
            }),
        }
    }
    Ok(())
}

async fn audit_keys(
    store: &Database,
    ring: &KeyRing,
    installation_id: Uuid,
    active: &str,
    round: &mut Round,
) -> Result<(), StoreError> {
    let client = store.client().await?;
    for (id, sealed) in value::audit_keys_not_with(&client, active).await? {
        let number = id.to_string();
        let place =
            Place { installation_id, table: "audit_key", column: "sealed_key", seal_uuid: &number };
        match again(ring, place, &sealed) {
            Ok(new) if value::swap_audit_key(&client, id, &sealed, &new).await? => {
                round.changed += 1;
            }
            Ok(_) => round.busy += 1,
            Err(error) => round.lost.push(Lost { what: format!("audit key {id}"), error }),
        }
    }
    Ok(())
}

async fn files(
    store: &Database,
    ring: &KeyRing,
    installation_id: Uuid,
    active: &str,
    round: &mut Round,
) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let client = store.client().await?;
        let page = value::files_not_with(&client, active, &after, BATCH).await?;
        drop(client);
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.checksum);
        let mut swaps = Vec::new();
        for file in page {
            match again(ring, file_seal::place(installation_id, &file.checksum), &file.sealed) {
                Ok(new) => swaps.push((file, new)),
                Err(error) => {
                    let start = file.checksum.chars().take(12).collect::<String>();
                    round.lost.push(Lost { what: format!("stored file {start}…"), error });
                }
            }
        }
        if swaps.is_empty() {
            continue;
        }
        let changed: Result<u64, StoreError> =
            tx!(store, "reseal.files", |tx| value::swap_files(tx, active, &swaps).await);
        let changed = changed?;
        round.changed += changed;
        round.busy += (swaps.len() as u64).saturating_sub(changed);
    }
}

/// Starts the sweep. Two daemons may sweep at once: each value changes only while it is as it was read.
pub fn spawn(rt: &Arc<Runtime>) {
    rt.tasks.spawn(run(Arc::clone(rt)));
}

async fn run(rt: Arc<Runtime>) {
    let mut lost = 0;
    while rt.wait_for(Phase::can_apply).await {
        let wait = match sweep(&rt, &mut lost).await {
            Ok(true) => EVERY,
            Ok(false) => SOONER,
            Err(error) => {
                debug!(db.name = %rt.name, %error, "database {}: values are sealed anew later: {error}", rt.name);
                SOONER
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = rt.wakes.reseal.notified() => {}
            () = rt.stop.cancelled() => return,
        }
    }
}

/// False when something is left that can be sealed anew.
async fn sweep(rt: &Runtime, lost: &mut usize) -> Result<bool, StoreError> {
    let Some(installation) = rt.installation() else { return Ok(false) };
    let active = rt.keys.active_key_id();
    // A daemon that lacks the active key must not undo what the others do.
    if key::active(&rt.store.client().await?).await?.as_ref() != Some(&active)
        || !failpoint::guard(&rt.name, "keys.sweep")
    {
        return Ok(true);
    }
    let round = round(&rt.store, &rt.keys, installation).await?;
    if round.changed > 0 {
        info!(db.name = %rt.name, keys.changed = round.changed, "database {}: {} values are sealed anew with key {active}", rt.name, round.changed);
    }
    if round.lost.len() != *lost {
        *lost = round.lost.len();
        if let Some(first) = round.lost.first() {
            warn!(
                db.name = %rt.name,
                "database {}: {lost} values cannot be sealed anew, the first: {}: {}; `wabridge keys list` counts them",
                rt.name, first.what, first.error
            );
        }
    }
    Ok(round.is_over())
}
