//! One run: its kinds one after the other, each page by page.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wabridge_domain::conflict::ConflictPolicy;
use wabridge_domain::sync::{RunState, SyncKind};
use wabridge_store::ingest::{self, Budget};
use wabridge_store::odoo::audit_log;
use wabridge_store::sync::run::{self, Run, Step};
use wabridge_store::{Session, StoreError};

use super::ask::{self, Listed};
use super::{links, page};
use crate::accounts::Account;
use crate::failpoint;
use crate::ingest::publish::publish;
use crate::runtime::Runtime;

/// Odoo shows a run's progress so often at most.
const SHOW_EVERY: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Budget =
    Budget { lock: Duration::from_millis(500), statement: Duration::from_secs(10) };
/// Pages are asked for at least so often, however slow an account's pace is.
const SLOWEST: Duration = Duration::from_secs(10);
/// A page that meets locks is tried so often before the run is taken up anew.
pub(super) const WRITE_TRIES: u32 = 5;

/// How the work at a run, or at one of its kinds, ended.
#[derive(Debug)]
pub(super) enum Over {
    /// The list was read to its end.
    Done,
    /// Somebody asked for the end.
    Cancelled,
    /// This daemon stops, or may not ask providers any more: another one, or this one later, goes on.
    LeftOff,
    /// This kind cannot be read; the others may be.
    Kind(String),
    /// Nothing can be read with this account.
    Account(String),
}

pub(super) struct Worker<'a> {
    pub rt: &'a Arc<Runtime>,
    pub session: Session,
    pub run: Run,
    shown: Option<Instant>,
    asked: Option<Instant>,
}

/// Works at a run until it is over, or this daemon has to leave it.
///
/// # Errors
/// The database's; the run is as its last page left it.
pub(super) async fn work(rt: &Arc<Runtime>, run_id: i32) -> Result<(), StoreError> {
    let mut session = rt.store.session().await?;
    if !run::take(&session, run_id).await? {
        return Ok(());
    }
    let tx = session.transaction().await?;
    let run = run::open(&tx, run_id).await?;
    tx.commit().await?;
    let Some(run) = run else { return Ok(()) };
    let mut worker = Worker { rt, session, run, shown: None, asked: None };
    worker.hint();
    let state = worker.work().await?;
    if let Some(state) = state {
        tracing::info!(
            db.name = %rt.name, sync.run = run_id, account.id = worker.run.configuration_id, sync.state = state.as_str(),
            "synchronisation {run_id} of account {} is {}", worker.run.configuration_id, state.as_str()
        );
        metrics::counter!("wabridge_sync_runs_total", "database" => rt.name.clone(), "state" => state.as_str())
            .increment(1);
    }
    Ok(())
}

impl Worker<'_> {
    async fn work(&mut self) -> Result<Option<RunState>, StoreError> {
        if self.run.cancelled {
            return self.end(RunState::Cancelled, None).await;
        }
        for step in self.run.steps.clone() {
            match self.kind(&step).await? {
                Over::Done => {}
                Over::Cancelled => return self.end(RunState::Cancelled, None).await,
                Over::LeftOff => return Ok(None),
                Over::Kind(problem) => {
                    run::give_up(&self.session, self.run.id, step.kind, &problem).await?;
                }
                Over::Account(problem) => return self.end(RunState::Failed, Some(&problem)).await,
            }
        }
        self.end(RunState::Done, None).await
    }

    async fn end(
        &mut self,
        state: RunState,
        problem: Option<&str>,
    ) -> Result<Option<RunState>, StoreError> {
        failpoint::hit(&self.rt.name, "sync.before_end").await;
        let tx = self.session.transaction().await?;
        let state = run::end(&tx, self.run.id, state, problem).await?;
        if state.is_some() {
            audit_log::insert_run(&tx, self.run.id).await?;
        }
        tx.commit().await?;
        self.hint();
        Ok(state)
    }

    fn hint(&self) {
        self.rt.live.changed(self.run.configuration_id, "whatsapp.sync.run", [self.run.id]);
    }

    /// Reads one kind to its end.
    async fn kind(&mut self, step: &Step) -> Result<Over, StoreError> {
        let mut cursor = step.cursor.clone();
        if let Some(after) = links::begun(step) {
            return links::ask(self, after).await;
        }
        let live_since = match step.kind {
            SyncKind::Messages => page::live_since(self).await?,
            SyncKind::Contacts | SyncKind::Groups => None,
        };
        loop {
            let Some(account) = self.rt.accounts().get(self.run.configuration_id).cloned() else {
                return Ok(Over::Account("the account is gone, or its provider is unknown".into()));
            };
            if let Some(over) = self.at_pace(&account).await? {
                return Ok(over);
            }
            let mut listed = match ask::page(self, &account, step, cursor.as_deref()).await? {
                Ok(listed) => listed,
                Err(over) => return Ok(over),
            };
            failpoint::hit(&self.rt.name, "sync.page_read").await;
            let next = listed.next.clone();
            if next.is_some() && next == cursor {
                let why = "the provider's list does not go on: two pages begin at the same place";
                return Ok(Over::Kind(format!("{}: {why}", step.kind.as_str())));
            }
            let links = next.is_none() && links::wanted(&account, step.kind);
            if links {
                listed.next = Some(links::cursor(0));
            }
            let goes_on = self.write(&account, step, &listed, live_since).await?;
            failpoint::hit(&self.rt.name, "sync.page_written").await;
            self.show().await?;
            match (next, goes_on) {
                (_, false) => return Ok(Over::Cancelled),
                (None, true) if links => return links::ask(self, 0).await,
                (None, true) => return Ok(Over::Done),
                (next, true) => cursor = next,
            }
        }
    }

    async fn write(
        &mut self,
        account: &Account,
        step: &Step,
        listed: &Listed,
        live_since: Option<jiff::Timestamp>,
    ) -> Result<bool, StoreError> {
        let policy = ConflictPolicy::from_column(self.run.conflict_policy.as_deref());
        let mut tries = 1;
        let (mut changes, goes_on) = loop {
            let written = page::write(self, account, policy, step, listed, live_since).await;
            match written {
                Err(StoreError::Busy(why)) if tries < WRITE_TRIES => {
                    tracing::debug!(
                        db.name = %self.rt.name, sync.run = self.run.id,
                        "a page of synchronisation {} waits for somebody else: {why}", self.run.id
                    );
                    tokio::time::sleep(Duration::from_millis(100 * u64::from(tries))).await;
                    tries += 1;
                }
                other => break other?,
            }
        };
        if let Err(error) = ingest::look_again(&mut self.session, &mut changes, LOOK_AGAIN).await {
            // The sweep of early events makes up for it.
            tracing::debug!(db.name = %self.rt.name, %error, "early words wait for the sweep: {error}");
            if self.session.is_closed() {
                return Err(error);
            }
        }
        publish(self.rt, &changes);
        Ok(goes_on)
    }

    /// Shows the progress, at most once a second.
    pub async fn show(&mut self) -> Result<(), StoreError> {
        if self.shown.is_some_and(|at| at.elapsed() < SHOW_EVERY) {
            return Ok(());
        }
        self.shown = Some(Instant::now());
        run::show(&self.session, self.run.id).await?;
        self.hint();
        Ok(())
    }

    /// What a provider's log may hold of this run.
    pub fn request_id(&self) -> String {
        format!("sync-{}", self.run.id)
    }

    /// Waits until the account's pace lets the provider be asked again.
    pub async fn at_pace(&mut self, account: &Account) -> Result<Option<Over>, StoreError> {
        let gap = if account.pace_per_second > 0.0 {
            Duration::try_from_secs_f64(1.0 / account.pace_per_second)
                .unwrap_or(SLOWEST)
                .min(SLOWEST)
        } else {
            Duration::ZERO
        };
        let over = match self.asked {
            Some(asked) => self.pause(gap.saturating_sub(asked.elapsed())).await?,
            None => self.pause(Duration::ZERO).await?,
        };
        self.asked = Some(Instant::now());
        Ok(over)
    }

    /// Waits, unless the run is to end or to be left meanwhile.
    pub async fn pause(&self, time: Duration) -> Result<Option<Over>, StoreError> {
        let end = Instant::now() + time;
        loop {
            if self.rt.stop.is_cancelled() || !self.rt.phase().can_send() {
                return Ok(Some(Over::LeftOff));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(SHOW_EVERY)) => {}
                () = self.rt.stop.cancelled() => {}
            }
            if time > SHOW_EVERY && run::is_cancelled(&self.session, self.run.id).await? {
                return Ok(Some(Over::Cancelled));
            }
        }
    }
}
