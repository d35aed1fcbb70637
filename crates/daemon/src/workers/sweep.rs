//! Applies what the ingest transaction had to leave in the journal: events that met a lock of Odoo's, and
//! those that the database refused. Batches are halved until what is at fault stands alone.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use wabridge_store::apply::Item;
use wabridge_store::ingest::{self, Budget, Swept};
use wabridge_store::journal::{Claimed, Pending, Reason, WHOLE_BODY};
use wabridge_store::odoo::quarantine;
use wabridge_store::{Session, StoreError};

use crate::ingest::publish::publish;
use crate::ingest::route;
use crate::runtime::Runtime;

/// Webhooks of one round.
const ROUND: i64 = 100;
/// How long a round may take; what it claimed comes back after that.
pub(crate) const LEASE_S: i32 = 10;
/// For one event or a batch. Longer than at ingest, where somebody waits, and still short: who queues for a
/// lock makes others queue behind.
const BUDGET: Budget =
    Budget { lock: Duration::from_millis(200), statement: Duration::from_secs(5) };
/// Locks met in one round before the rest of it is left for the next one.
const LOCKS_PER_ROUND: usize = 10;
/// Wait before something that met a lock is tried again, by the number of tries; the last one repeats.
const TRY_AGAIN_MS: [u64; 4] = [250, 500, 1000, 2000];
/// Looking for what is missing reads all of the quarantine.
const RECONCILE_EVERY: Duration = Duration::from_secs(15);
/// Longest text about a refused event; it may quote a constraint, never content.
const DETAIL_CHARS: usize = 300;

/// Starts the loop.
pub fn spawn(rt: &Arc<Runtime>) {
    rt.tasks.spawn(run(Arc::clone(rt)));
}

async fn run(rt: Arc<Runtime>) {
    let mut session: Option<Session> = None;
    let mut reconciled: Option<Instant> = None;
    loop {
        tokio::select! {
            () = rt.wakes.sweep.notified() => {}
            () = tokio::time::sleep(rt.limits.poll()) => {}
            () = rt.stop.cancelled() => return,
        }
        if !rt.phase().can_apply() {
            session = None;
            continue;
        }
        if let Err(error) = sweep(&rt, &mut session).await {
            tracing::debug!(db.name = %rt.name, %error, "the journal of database {} is swept later: {error}", rt.name);
            session = None;
        }
        if reconciled.is_none_or(|at| at.elapsed() > RECONCILE_EVERY) {
            reconciled = Some(Instant::now());
            if let Err(error) = reconcile(&rt).await {
                tracing::debug!(db.name = %rt.name, %error, "the quarantine of database {} is looked at later: {error}", rt.name);
            }
        }
    }
}

/// Rounds until nothing is due, a lock stops us, or the daemon stops.
async fn sweep(rt: &Arc<Runtime>, session: &mut Option<Session>) -> Result<(), StoreError> {
    if session.as_ref().is_none_or(|session| session.is_closed()) {
        *session = None;
    }
    let session = match session {
        Some(session) => session,
        None => session.insert(rt.store.session().await?),
    };
    while !rt.stop.is_cancelled() {
        let claimed = ingest::claim(session, ROUND, LEASE_S).await?;
        if claimed.is_empty() {
            break;
        }
        let mut round = Round::read(rt, claimed);
        round.apply(rt, session).await?;
        let (swept, again_after) = round.outcome();
        report(rt, &swept);
        ingest::record(session, &swept, again_after).await?;
        if let Some(ingest) = rt.ingest.get() {
            if swept.waiting.is_empty() {
                ingest.aside.clear();
            } else if round.applied == 0 {
                ingest.aside.met_a_lock();
                break;
            }
        }
    }
    Ok(())
}

/// What met a lock when it was put into quarantine stands in Odoo now.
async fn reconcile(rt: &Runtime) -> Result<(), StoreError> {
    let late = quarantine::reconcile(&rt.store.client().await?).await?;
    if late > 0 {
        tracing::debug!(db.name = %rt.name, late, "database {}: {late} rows of the quarantine were late in Odoo", rt.name);
    }
    Ok(())
}

fn try_again_after(tries: i32) -> Duration {
    let step = usize::try_from(tries - 1).unwrap_or_default().min(TRY_AGAIN_MS.len() - 1);
    Duration::from_millis(TRY_AGAIN_MS[step])
}

fn report(rt: &Runtime, swept: &Swept) {
    for row in &swept.quarantined {
        metrics::counter!(
            "wabridge_events_quarantined_total",
            "database" => rt.name.clone(), "reason" => row.reason.as_str()
        )
        .increment(1);
        tracing::warn!(
            db.name = %rt.name, journal.id = row.entry.id, event.number = row.event_no,
            reason = row.reason.as_str(),
            "event {} of webhook {} of database {} is quarantined: {}", row.event_no, row.entry.id, rt.name,
            row.detail.as_deref().unwrap_or(row.reason.as_str())
        );
    }
    if !swept.waiting.is_empty() {
        tracing::debug!(
            db.name = %rt.name, webhooks = swept.waiting.len(),
            "{} webhooks of database {} still wait for a lock", swept.waiting.len(), rt.name
        );
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Waits,
    Applied,
    Refused(String),
}

/// An event of a claimed row.
struct Unit {
    row: usize,
    event_no: i32,
    item: Item,
    fate: Fate,
}

/// Webhooks that were read together and are applied together as far as that works.
pub(crate) struct Round {
    claimed: Vec<Claimed>,
    units: Vec<Unit>,
    quarantined: Vec<Pending>,
    applied: usize,
}

impl Round {
    /// Reads claimed webhooks.
    pub(crate) fn read(rt: &Runtime, claimed: Vec<Claimed>) -> Self {
        let mut units = Vec::new();
        let mut quarantined = Vec::new();
        for (row, claim) in claimed.iter().enumerate() {
            let mut put_away = |event_no, reason, detail| {
                quarantined.push(Pending {
                    entry: claim.entry,
                    event_no,
                    configuration_id: claim.configuration_id,
                    reason,
                    detail,
                });
            };
            let Some(stored) = &claim.receipt else {
                let lost = "the journal does not hold this webhook any more".to_owned();
                put_away(claim.event_no, Reason::Unreadable, Some(lost));
                continue;
            };
            let at: Timestamp = claim.entry.received_at;
            let (items, unusable) = route::reread(rt, claim.configuration_id, stored, at);
            let wanted = |event_no: i32| claim.event_no == WHOLE_BODY || claim.event_no == event_no;
            for part in
                unusable.into_iter().filter(|u| u.event_no == WHOLE_BODY || wanted(u.event_no))
            {
                put_away(part.event_no, part.reason, part.detail);
            }
            units.extend(
                items.into_iter().filter(|(no, _)| wanted(*no)).map(|(event_no, item)| Unit {
                    row,
                    event_no,
                    item,
                    fate: Fate::Waits,
                }),
            );
        }
        Self { claimed, units, quarantined, applied: 0 }
    }

    /// Applies all together where that works, else in halves.
    pub(crate) async fn apply(
        &mut self,
        rt: &Arc<Runtime>,
        session: &mut Session,
    ) -> Result<(), StoreError> {
        let everything = 0..self.units.len();
        let mut open = Vec::from([everything]);
        let mut locks = 0;
        while let Some(range) = open.pop() {
            if range.is_empty() {
                continue;
            }
            let items: Vec<&Item> =
                self.units[range.clone()].iter().map(|unit| &unit.item).collect();
            match ingest::apply_alone(session, &items, BUDGET).await {
                Ok(mut changes) => {
                    self.applied += range.len();
                    self.units[range].iter_mut().for_each(|unit| unit.fate = Fate::Applied);
                    if let Err(error) = ingest::look_again(session, &mut changes, BUDGET).await {
                        tracing::debug!(db.name = %rt.name, %error, "early events wait for their sweep: {error}");
                    }
                    publish(rt, &changes);
                }
                Err(StoreError::Unavailable(why)) => return Err(StoreError::Unavailable(why)),
                // The schema does not fit at this moment: the supervisor decides, everything waits.
                Err(StoreError::Schema(_)) => {
                    session.statement_cache.clear();
                    return Ok(());
                }
                Err(StoreError::Busy(_)) => {
                    session.statement_cache.clear();
                    locks += 1;
                    if locks >= LOCKS_PER_ROUND {
                        return Ok(());
                    }
                    halve(range, &mut open);
                }
                Err(error @ (StoreError::Refused(_) | StoreError::Other(_)))
                    if range.len() == 1 =>
                {
                    let detail = error.to_string().chars().take(DETAIL_CHARS).collect();
                    self.units[range.start].fate = Fate::Refused(detail);
                }
                Err(StoreError::Refused(_) | StoreError::Other(_)) => halve(range, &mut open),
            }
        }
        Ok(())
    }

    /// Events that were applied.
    pub(crate) fn applied(&self) -> usize {
        self.applied
    }

    /// What is to be recorded, and after how long what waits is tried again.
    pub(crate) fn outcome(&mut self) -> (Swept, Duration) {
        let mut swept =
            Swept { quarantined: std::mem::take(&mut self.quarantined), ..Swept::default() };
        let mut waits = vec![false; self.claimed.len()];
        for unit in &self.units {
            match &unit.fate {
                Fate::Applied => {}
                Fate::Waits => waits[unit.row] = true,
                Fate::Refused(detail) => {
                    let claim = &self.claimed[unit.row];
                    swept.quarantined.push(Pending {
                        entry: claim.entry,
                        event_no: unit.event_no,
                        configuration_id: claim.configuration_id,
                        reason: Reason::RefusedByDatabase,
                        detail: Some(detail.clone()),
                    });
                }
            }
        }
        for (claim, waits) in self.claimed.iter().zip(waits) {
            let row = (claim.entry.id, claim.event_no);
            if waits { swept.waiting.push(row) } else { swept.done.push(row) }
        }
        let tries = self.claimed.iter().map(|claim| claim.attempts).max().unwrap_or_default();
        (swept, try_again_after(tries))
    }
}

/// The first half is tried first: events stay roughly in their order.
fn halve(range: std::ops::Range<usize>, open: &mut Vec<std::ops::Range<usize>>) {
    if range.len() > 1 {
        let middle = range.start + range.len() / 2;
        open.push(middle..range.end);
        open.push(range.start..middle);
    }
}
