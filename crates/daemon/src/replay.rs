//! Reads webhooks of the journal again, as today's program understands them, and applies them by the sweeper's own
//! path. What is applied already is only met again: replaying once more changes nothing.

use std::sync::Arc;

use wabridge_store::ingest;
use wabridge_store::journal::{self, Pending};
use wabridge_store::odoo::quarantine;
use wabridge_store::{Session, StoreError, tx};

use crate::runtime::Runtime;
use crate::workers::sweep::{self, Round};

/// Webhooks of one round: as many as the sweeper takes at a time.
pub const ROUND: usize = 100;

/// What replaying some webhooks came to.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Ids of webhooks of which everything is applied now, or was before.
    pub applied: Vec<i64>,
    /// Their events.
    pub events: usize,
    /// Ids of webhooks that met a lock of Odoo's: the daemon goes on with them.
    pub waiting: Vec<i64>,
    /// What went to quarantine (again), by event.
    pub quarantined: Vec<Pending>,
    /// Ids that the journal does not hold.
    pub missing: Vec<i64>,
}

impl Replayed {
    /// Adds what another round came to.
    pub fn add(&mut self, other: Self) {
        self.applied.extend(other.applied);
        self.events += other.events;
        self.waiting.extend(other.waiting);
        self.quarantined.extend(other.quarantined);
        self.missing.extend(other.missing);
    }
}

/// Replays one round; at most [`ROUND`] ids.
///
/// # Errors
/// The database's; what was begun is pending then and the sweeper goes on with it.
pub async fn replay(
    rt: &Arc<Runtime>,
    session: &mut Session,
    ids: &[i64],
) -> Result<Replayed, StoreError> {
    let claimed: Result<_, StoreError> = tx!(&rt.store, "replay.reopen", |tx| {
        let claimed = journal::reopen(tx, ids, sweep::LEASE_S).await?;
        quarantine::mirror(tx, ids).await?;
        Ok::<_, StoreError>(claimed)
    });
    let claimed = claimed?;
    let held = |id: &i64| claimed.iter().any(|claim| claim.entry.id == *id);
    let mut replayed = Replayed {
        missing: ids.iter().copied().filter(|id| !held(id)).collect(),
        ..Replayed::default()
    };
    if claimed.is_empty() {
        return Ok(replayed);
    }
    let mut round = Round::read(rt, claimed);
    let applying = round.apply(rt, session).await;
    let (swept, again_after) = round.outcome();
    ingest::record(session, &swept, again_after).await?;
    applying?;
    replayed.events = round.applied();
    replayed.waiting = swept.waiting.iter().map(|(id, _)| *id).collect();
    replayed.applied = swept
        .done
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| !swept.quarantined.iter().any(|row| row.entry.id == *id))
        .collect();
    replayed.quarantined = swept.quarantined;
    Ok(replayed)
}
