//! One writer: takes all webhooks that wait, commits them in one transaction, answers those who wait.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wabridge_store::apply::Echoes;
use wabridge_store::ingest::{self, Budget, Committed, Delivery};
use wabridge_store::{Session, StoreError};

use crate::failpoint;
use crate::ingest::publish::publish;
use crate::ingest::{Job, NotCommitted};
use crate::runtime::Runtime;

/// Rounds in which others may hand in before a batch is closed; a timer in their place costs throughput.
const YIELDS: usize = 3;
/// How long plans are kept. A plan made while a table was small reads all of it for each batch once it has
/// grown, until somebody analyzes it: on a new database that is a minute in which much can come.
const PLANS_KEPT: Duration = Duration::from_secs(10);
/// After the stop, webhooks are taken until none came for so long.
const LAST_CALL: Duration = Duration::from_millis(300);

/// Runs until the daemon stops and nothing waits any more.
pub(super) async fn run(rt: Arc<Runtime>, number: usize, mut jobs: mpsc::Receiver<Job>) {
    let stop = rt.stop.clone();
    let planned_at = Instant::now();
    let mut writer = Writer { rt, number, session: None, not_before: None, planned_at };
    loop {
        let job = tokio::select! {
            job = jobs.recv() => job,
            () = writer.idle() => continue,
            () = stop.cancelled() => {
                tokio::time::timeout(LAST_CALL, jobs.recv()).await.unwrap_or_default()
            }
        };
        let Some(job) = job else { break };
        let mut batch = vec![job];
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
        }
        while batch.len() < writer.rt.limits.batch_max
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        writer.commit(batch).await;
    }
    // Who hands in from now on is told to repeat.
    jobs.close();
    while let Ok(job) = jobs.try_recv() {
        answer(job, Err(NotCommitted::Journal));
    }
}

struct Writer {
    rt: Arc<Runtime>,
    number: usize,
    session: Option<Session>,
    /// No connection is tried before.
    not_before: Option<Instant>,
    /// When statements were last prepared anew.
    planned_at: Instant,
}

impl Writer {
    /// Keeps the connection while nothing waits: opens it when the database can be used, lets go of it when not.
    async fn idle(&mut self) {
        let mut phase = self.rt.watch_phase();
        let usable = phase.borrow_and_update().can_journal();
        if !usable {
            self.session = None;
        } else if self.session.as_ref().is_none_or(|session| session.is_closed()) {
            self.lost();
            if let Some(at) = self.not_before {
                tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    _ = phase.changed() => return,
                }
            }
            // Cancelled by a webhook that comes meanwhile: that one opens it then.
            self.session().await;
            return;
        }
        tokio::select! {
            changed = phase.changed() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            // Nobody says when an idle connection was cut.
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }

    /// A connection that was cut is not opened again at once: Odoo's own duplicate, drop and restore end all
    /// sessions and need a moment in which none comes back.
    fn lost(&mut self) {
        if self.session.take().is_some() {
            let wait = Duration::from_millis(rand::rng().random_range(2000..4000));
            self.not_before = Some(Instant::now() + wait);
            tracing::info!(
                db.name = %self.rt.name, batcher = self.number, wait_ms = wait.as_millis(),
                "batcher {} of database {} lost its connection and tries again in {} ms",
                self.number, self.rt.name, wait.as_millis()
            );
        }
    }

    /// The connection, opened when it may be.
    async fn session(&mut self) -> Option<&mut Session> {
        if self.session.as_ref().is_some_and(|session| session.is_closed()) {
            self.lost();
        }
        if self.session.is_none() {
            if self.not_before.is_some_and(|at| Instant::now() < at) {
                return None;
            }
            match self.rt.store.session().await {
                Ok(session) => {
                    self.session = Some(session);
                    self.not_before = None;
                }
                Err(error) => {
                    let wait = Duration::from_millis(rand::rng().random_range(1000..3000));
                    self.not_before = Some(Instant::now() + wait);
                    tracing::debug!(db.name = %self.rt.name, %error, "batcher {} cannot connect: {error}", self.number);
                }
            }
        }
        self.session.as_mut()
    }

    async fn commit(&mut self, mut batch: Vec<Job>) {
        let begin = Instant::now();
        if !failpoint::guard(&self.rt.name, "ingest.acks_after_commit") {
            batch.iter_mut().for_each(acknowledge_too_early);
        }
        let database = self.rt.name.clone();
        metrics::histogram!("wabridge_ingest_batch_webhooks", "database" => database.clone())
            .record(length(batch.len()));
        let deliveries: Vec<&Delivery> = batch.iter().map(|job| &job.delivery).collect();
        let outcome = self.write(&deliveries).await;
        metrics::histogram!("wabridge_ingest_commit_seconds", "database" => database)
            .record(begin.elapsed().as_secs_f64());
        match outcome {
            Ok(committed) => {
                for job in batch {
                    answer(job, Ok(()));
                }
                self.after(committed);
            }
            // One webhook that the journal itself refuses must not take the others with it.
            Err(StoreError::Refused(_) | StoreError::Other(_)) if batch.len() > 1 => {
                for job in batch {
                    let outcome = self.write(&[&job.delivery]).await;
                    self.alone(job, outcome).await;
                }
            }
            Err(error) => {
                self.report(&error, batch.len());
                for job in batch {
                    answer(job, Err(NotCommitted::Journal));
                }
            }
        }
    }

    async fn alone(&mut self, job: Job, outcome: Result<Committed, StoreError>) {
        match outcome {
            Ok(committed) => {
                answer(job, Ok(()));
                self.after(committed);
            }
            Err(error) => {
                self.report(&error, 1);
                answer(job, Err(NotCommitted::Journal));
            }
        }
    }

    fn report(&self, error: &StoreError, webhooks: usize) {
        metrics::counter!("wabridge_ingest_commit_failures_total", "database" => self.rt.name.clone())
            .increment(1);
        tracing::warn!(
            db.name = %self.rt.name, %error, webhooks,
            "{webhooks} webhooks for database {} could not be journaled and are to be repeated: {error}",
            self.rt.name
        );
    }

    async fn write(&mut self, deliveries: &[&Delivery]) -> Result<Committed, StoreError> {
        let rt = Arc::clone(&self.rt);
        let phase = rt.phase();
        if !phase.can_journal() {
            return Err(StoreError::Unavailable(phase.to_string()));
        }
        let aside = rt.ingest.get().is_some_and(|ingest| ingest.aside.now());
        let budget = (phase.can_apply() && !aside).then(|| budget(&rt));
        let plan_anew = self.planned_at.elapsed() > PLANS_KEPT;
        if plan_anew {
            self.planned_at = Instant::now();
        }
        let Some(session) = self.session().await else {
            return Err(StoreError::Unavailable("there is no connection at this moment".into()));
        };
        if plan_anew {
            session.statement_cache.clear();
        }
        let before = failpoint::hit(&rt.name, "ingest.commit");
        let parks = failpoint::guard(&rt.name, "ingest.parks_echoes");
        let echoes = if parks { Echoes::MayWait } else { Echoes::Released };
        let outcome = ingest::commit(session, deliveries, budget, echoes, before).await;
        match &outcome {
            Err(StoreError::Unavailable(_)) => self.lost(),
            // Plans may be of tables as they were before they were altered.
            Err(StoreError::Busy(_) | StoreError::Schema(_)) => session.statement_cache.clear(),
            Ok(_) | Err(StoreError::Refused(_) | StoreError::Other(_)) => {}
        }
        outcome
    }

    /// What follows a commit and keeps nobody waiting.
    fn after(&mut self, committed: Committed) {
        let rt = Arc::clone(&self.rt);
        if let Some(trouble) = &committed.trouble {
            self.set_aside(trouble);
        }
        if committed.waiting > 0 {
            rt.wakes.sweep.notify_one();
        }
        let mut changes = committed.changes;
        let look_again = std::mem::take(&mut changes.look_again);
        publish(&rt, &changes);
        if let Some(ingest) = rt.ingest.get() {
            ingest.look_again(look_again);
        }
    }

    fn set_aside(&mut self, trouble: &StoreError) {
        let name = &self.rt.name;
        metrics::counter!("wabridge_ingest_aside_total", "database" => self.rt.name.clone())
            .increment(1);
        match trouble {
            // The events themselves are at fault: the sweeper finds out which, others are not concerned.
            StoreError::Refused(_) | StoreError::Other(_) => {
                tracing::warn!(db.name = %name, error = %trouble, "events could not be applied to database {name} and are looked at one by one: {trouble}");
            }
            StoreError::Busy(_) | StoreError::Schema(_) | StoreError::Unavailable(_) => {
                let pause = self.rt.ingest.get().map(|ingest| ingest.aside.met_a_lock());
                tracing::info!(
                    db.name = %name, error = %trouble, pause_ms = pause.unwrap_or_default().as_millis(),
                    "database {name} cannot take events at this moment, webhooks are journaled and applied aside: {trouble}"
                );
                // Plans may be of tables as they were before an upgrade of the addon.
                if let Some(session) = &self.session {
                    session.statement_cache.clear();
                }
            }
        }
    }
}

pub(super) fn budget(rt: &Runtime) -> Budget {
    Budget {
        lock: Duration::from_millis(rt.limits.apply_lock_timeout_ms),
        statement: Duration::from_millis(rt.limits.apply_statement_timeout_ms),
    }
}

/// The negative control of "acknowledged after its commit".
fn acknowledge_too_early(job: &mut Job) {
    let (nobody, _) = oneshot::channel();
    if std::mem::replace(&mut job.done, nobody).send(Ok(())).is_err() {
        tracing::trace!("nobody waits for this webhook any more");
    }
}

fn answer(job: Job, outcome: Result<(), NotCommitted>) {
    if job.done.send(outcome).is_err() {
        // The provider hung up; what was committed stays committed.
        tracing::trace!("nobody waits for this webhook's commit any more");
    }
}

fn length(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
