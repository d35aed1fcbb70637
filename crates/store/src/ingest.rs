//! The transaction of a group of webhooks: raw bytes into the journal, then, under a savepoint with a budget,
//! their events into Odoo's rows.

use std::time::Duration;

use crate::apply::{self, Changes, Echoes, Item};
use crate::journal::{self, Entry, Pending, Reason, Receipt, WHOLE_BODY};
use crate::odoo::quarantine;
use crate::{Session, StoreError, Tx, early_event, settle};

/// A webhook on its way into the database.
#[derive(Debug)]
pub struct Delivery {
    pub receipt: Receipt,
    /// What it holds for accounts of this database, in the order of the body.
    pub items: Vec<Item>,
    /// What of it can never be applied.
    pub unusable: Vec<Unusable>,
}

/// A part of a webhook that is quarantined at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The event's place in the body, or [`WHOLE_BODY`].
    pub event_no: i32,
    pub reason: Reason,
    /// For people; without content of the body.
    pub detail: Option<String>,
}

/// How long applying may hold up the acknowledgement.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// For one lock.
    pub lock: Duration,
    /// For one statement, all its locks together.
    pub statement: Duration,
}

impl Budget {
    fn set(self) -> String {
        format!(
            "SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
            self.lock.as_millis().max(1),
            self.statement.as_millis().max(1)
        )
    }
}

/// What was committed.
#[derive(Debug, Default)]
pub struct Committed {
    pub entries: Vec<Entry>,
    pub changes: Changes,
    /// Webhooks that wait for the sweeper.
    pub waiting: usize,
    /// Why they wait, when applying was tried.
    pub trouble: Option<StoreError>,
}

/// Commits webhooks: journaled in any case, applied too where `budget` is given and suffices. `before` is
/// awaited when everything is written and nothing committed: tests stop there.
///
/// # Errors
/// Nothing is committed, or nothing is known about it; the providers will repeat.
pub async fn commit(
    session: &mut Session,
    deliveries: &[&Delivery],
    budget: Option<Budget>,
    echoes: Echoes,
    before: impl Future<Output = ()> + Send,
) -> Result<Committed, StoreError> {
    let mut committed = Committed::default();
    let tx = session.transaction().await?;
    let receipts: Vec<&Receipt> = deliveries.iter().map(|delivery| &delivery.receipt).collect();
    committed.entries = journal::insert(&tx, &receipts).await?;
    let items: Vec<&Item> = deliveries.iter().flat_map(|delivery| &delivery.items).collect();
    let mut applied = items.is_empty();
    if let Some(budget) = budget
        && !applied
    {
        match try_apply(&tx, &items, budget, echoes).await? {
            Ok(changes) => {
                committed.changes = changes;
                applied = true;
            }
            Err(trouble) => committed.trouble = Some(trouble),
        }
    }
    let mut pending = Vec::new();
    for (delivery, entry) in deliveries.iter().zip(&committed.entries) {
        let row = |event_no, reason, detail| Pending {
            entry: *entry,
            event_no,
            configuration_id: delivery.receipt.configuration_id,
            reason,
            detail,
        };
        pending
            .extend(delivery.unusable.iter().map(|u| row(u.event_no, u.reason, u.detail.clone())));
        if !applied && !delivery.items.is_empty() {
            committed.waiting += 1;
            pending.push(row(WHOLE_BODY, Reason::Waiting, None));
        }
    }
    journal::pend(&tx, &pending).await?;
    if budget.is_some() {
        quarantine::mirror(&tx, &quarantined(&pending)).await?;
    }
    before.await;
    tx.commit().await?;
    Ok(committed)
}

/// The outer error ends the transaction; the inner one left it as it was before.
async fn try_apply(
    tx: &Tx<'_>,
    items: &[&Item],
    budget: Budget,
    echoes: Echoes,
) -> Result<Result<Changes, StoreError>, StoreError> {
    // Savepoint and budget in one message each way: this is between a provider and its answer.
    tx.batch_execute(&format!("SAVEPOINT apply; {}", budget.set())).await?;
    match apply::apply(tx, items, echoes).await {
        Ok(changes) => {
            // The budget is not the commit's: a slow disk must not turn it into an error.
            tx.batch_execute(
                "SET LOCAL lock_timeout TO DEFAULT; SET LOCAL statement_timeout TO DEFAULT;
                 RELEASE SAVEPOINT apply",
            )
            .await?;
            Ok(Ok(changes))
        }
        Err(StoreError::Unavailable(why)) => Err(StoreError::Unavailable(why)),
        Err(trouble) => {
            tx.batch_execute("ROLLBACK TO SAVEPOINT apply; RELEASE SAVEPOINT apply").await?;
            Ok(Err(trouble))
        }
    }
}

/// Applies events in a transaction of their own.
///
/// # Errors
/// As [`apply::apply`]; nothing was changed then.
pub async fn apply_alone(
    session: &mut Session,
    items: &[&Item],
    budget: Budget,
) -> Result<Changes, StoreError> {
    let tx = session.transaction().await?;
    tx.batch_execute(&budget.set()).await?;
    let changes = apply::apply(&tx, items, Echoes::MayWait).await?;
    tx.batch_execute("SET LOCAL statement_timeout TO DEFAULT").await?;
    tx.commit().await?;
    Ok(changes)
}

/// Looks after a commit whether messages came while something about them was put aside; what it finds is
/// added to `changes`.
///
/// # Errors
/// The database's; the sweep of early events makes up for it.
pub async fn look_again(
    session: &mut Session,
    changes: &mut Changes,
    budget: Budget,
) -> Result<(), StoreError> {
    let targets = std::mem::take(&mut changes.look_again);
    for (stage, targets) in early_event::stages_of(session, &targets).await? {
        let tx = session.transaction().await?;
        tx.batch_execute(&budget.set()).await?;
        let joined = early_event::join_stage(&tx, stage, &targets).await?;
        tx.commit().await?;
        changes.messages.extend(joined.changed);
        changes.events |= joined.events;
    }
    Ok(())
}

/// Takes due rows of `journal_pending`, see [`journal::claim`].
///
/// # Errors
/// The database's.
pub async fn claim(
    session: &mut Session,
    limit: i64,
    lease_s: i32,
) -> Result<Vec<journal::Claimed>, StoreError> {
    let tx = session.transaction().await?;
    let claimed = journal::claim(&tx, limit, lease_s).await?;
    tx.commit().await?;
    Ok(claimed)
}

/// What the sweeper came to with the rows it claimed.
#[derive(Debug, Default)]
pub struct Swept {
    /// Events and bodies that can never be applied.
    pub quarantined: Vec<Pending>,
    /// (journal id, event number) of rows of which nothing is left to do.
    pub done: Vec<(i64, i32)>,
    /// (journal id, event number) of rows that are to be tried again.
    pub waiting: Vec<(i64, i32)>,
}

/// Records it, in one transaction.
///
/// # Errors
/// The database's; the rows come back when their claim ends, and applying them again changes nothing.
pub async fn record(
    session: &mut Session,
    swept: &Swept,
    try_again_after: Duration,
) -> Result<(), StoreError> {
    let after_ms = i64::try_from(try_again_after.as_millis()).unwrap_or(i64::MAX);
    let tx = session.transaction().await?;
    journal::pend(&tx, &swept.quarantined).await?;
    journal::finish(&tx, &swept.done).await?;
    journal::release(&tx, &swept.waiting, after_ms).await?;
    let mut ids = quarantined(&swept.quarantined);
    ids.extend(swept.done.iter().chain(&swept.waiting).map(|(id, _)| *id));
    quarantine::mirror(&tx, &ids).await?;
    tx.commit().await?;
    Ok(())
}

/// Journal ids of what is put into quarantine.
fn quarantined(pending: &[Pending]) -> Vec<i64> {
    pending.iter().filter(|row| row.reason != Reason::Waiting).map(|row| row.entry.id).collect()
}

/// Targets of early events whose message is there by now: see [`early_event::ripe`].
///
/// # Errors
/// The database's.
pub async fn ripe(
    session: &mut Session,
    age: Duration,
    limit: i64,
) -> Result<Vec<(i32, String)>, StoreError> {
    let age_s = i32::try_from(age.as_secs()).unwrap_or(i32::MAX);
    let tx = session.transaction().await?;
    let targets = early_event::ripe(&tx, age_s, limit).await?;
    tx.commit().await?;
    Ok(targets)
}

/// Parked echoes that are nobody's answer: see [`early_event::released`].
///
/// # Errors
/// The database's.
pub async fn released(session: &mut Session, limit: i64) -> Result<Vec<(i32, String)>, StoreError> {
    let tx = session.transaction().await?;
    let targets = early_event::released(&tx, limit).await?;
    tx.commit().await?;
    Ok(targets)
}

/// Settles sends that were given up by echoes that came late, in a transaction of its own: see [`settle::late`].
///
/// # Errors
/// The database's; nothing was changed then.
pub async fn settle_late(
    session: &mut Session,
    targets: &[(i32, String)],
    budget: Budget,
) -> Result<settle::Late, StoreError> {
    let tx = session.transaction().await?;
    tx.batch_execute(&budget.set()).await?;
    let late = settle::late(&tx, targets).await?;
    tx.commit().await?;
    Ok(late)
}

/// Makes messages of these echoes, in a transaction of their own.
///
/// # Errors
/// As [`apply::release_echoes`]; nothing was changed then.
pub async fn release_echoes(
    session: &mut Session,
    targets: &[(i32, String)],
    budget: Budget,
) -> Result<Changes, StoreError> {
    let tx = session.transaction().await?;
    tx.batch_execute(&budget.set()).await?;
    let changes = apply::release_echoes(&tx, targets).await?;
    tx.commit().await?;
    Ok(changes)
}
