//! Records outcomes in groups: in our own tables at once and durably, in Odoo's rows as soon as nobody holds them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, info, warn};
use wabridge_domain::account::AccountId;
use wabridge_domain::outgoing::Accepted;
use wabridge_domain::phone::Msisdn;
use wabridge_providers::Provider;
use wabridge_store::attempt::{self, Finish, Outcome};
use wabridge_store::{StoreError, account_pace, early_event, number_form, savepoint, tx};

use super::apply::{self, Applied};
use super::call::Done;
use super::{Shared, probe};
use crate::failpoint;
use crate::runtime::Runtime;
use crate::send::outcome::{self, Pause, Verdict};

/// Outcomes in one transaction.
const BATCH: usize = 100;
/// From one group to the next while calls wait to be accepted and the group is small: what comes meanwhile is recorded
/// together. Otherwise nothing waits: the next message of a chat goes out when the outcome of the one before stands.
const GAP: Duration = Duration::from_millis(10);
/// Longest wait for one of Odoo's locks, milliseconds: rows are skipped, only a locked table is waited for.
const LOCK_WAIT_MS: u32 = 100;
/// What is held up is tried again after this, doubled up to [`AGAIN_AT_MOST`].
const AGAIN_FIRST: Duration = Duration::from_millis(5);
const AGAIN_AT_MOST: Duration = Duration::from_millis(500);
/// What a former lease left is looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Recorder {
    rt: Arc<Runtime>,
    shared: Arc<Shared>,
    rng: StdRng,
    /// Wait until outcomes that were held up are tried again; None while there are none.
    again: Option<Duration>,
}

/// An outcome with its judgement.
struct Judged {
    done: Done,
    verdict: Verdict,
}

impl Recorder {
    pub fn new(rt: Arc<Runtime>, shared: Arc<Shared>) -> Self {
        Self { rt, shared, rng: StdRng::from_os_rng(), again: None }
    }

    /// Runs until every call is through.
    pub async fn run(mut self, mut outcomes: mpsc::Receiver<Done>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut not_before = Instant::now();
        loop {
            let wait = self.again.unwrap_or(LOOK_EVERY);
            tokio::select! {
                n = outcomes.recv_many(&mut batch, BATCH) => if n == 0 { break },
                () = tokio::time::sleep(wait) => {}
                () = self.shared.unapplied.notified() => {}
            }
            while batch.len() < BATCH && self.rt.accepting.is_busy() {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(not_before) => break,
                    done = outcomes.recv() => match done {
                        Some(done) => batch.push(done),
                        None => break,
                    },
                }
            }
            not_before = Instant::now() + GAP;
            let judged: Vec<Judged> = batch
                .drain(..)
                .map(|done: Done| {
                    let result = done.result.clone();
                    let verdict = outcome::judge(result, done.job.attempts, &mut self.rng);
                    Judged { done, verdict }
                })
                .collect();
            self.record(&judged).await;
        }
        self.end().await;
    }

    /// Records until it worked or the daemon stops: outcomes are not given up while there is time.
    async fn record(&mut self, judged: &[Judged]) {
        self.count(judged);
        let mut wait = Duration::from_millis(50);
        loop {
            match self.try_record(judged).await {
                Ok(()) => return,
                Err(error) if judged.is_empty() => {
                    if !matches!(error, StoreError::Unavailable(_)) {
                        warn!(db.name = %self.rt.name, %error, "outcomes wait to be applied: {error}");
                    }
                    self.held_up();
                    return;
                }
                Err(error) => {
                    warn!(db.name = %self.rt.name, outcomes = judged.len(), %error, "outcomes cannot be recorded yet: {error}");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }

    fn count(&self, judged: &[Judged]) {
        for Judged { done, verdict } in judged {
            let outcome = verdict.outcome.as_str();
            metrics::counter!("wabridge_sends_total", "database" => self.rt.name.clone(), "provider" => done.provider, "outcome" => outcome)
                .increment(1);
            metrics::histogram!("wabridge_send_seconds", "database" => self.rt.name.clone(), "provider" => done.provider)
                .record(done.latency.as_secs_f64());
            let latency_ms = u64::try_from(done.latency.as_millis()).unwrap_or(u64::MAX);
            info!(
                db.name = %self.rt.name,
                message.id = done.job.message_id,
                account.id = done.account_id,
                provider.name = done.provider,
                request.id = %done.job.request_id,
                attempt = done.job.number,
                outcome,
                error.kind = verdict.error.as_ref().map(|(kind, _)| kind.as_str()),
                latency_ms,
                "message {}: attempt {} at {} was {outcome} after {latency_ms} ms",
                done.job.message_id,
                done.job.number,
                done.provider
            );
        }
    }

    async fn try_record(&mut self, judged: &[Judged]) -> Result<(), StoreError> {
        let leases = self.shared.leases();
        if judged.is_empty() && leases.is_empty() {
            return Ok(());
        }
        // Pauses first: nothing more is claimed for an account while its outcome is being written.
        self.pause(judged).await?;
        self.count_failures(judged).await?;
        failpoint::hit(&self.rt.name, "outcome.before_commit").await;
        let finishes: Vec<Finish> = judged.iter().map(finish).collect();
        let rt = &*self.rt;
        let (recorded, applied): (Vec<i64>, Option<Applied>) = {
            let result: Result<_, StoreError> = tx!(&rt.store, "dispatch.record", |tx| {
                let recorded = if finishes.is_empty() {
                    vec![]
                } else {
                    attempt::finish(tx, &finishes).await?
                };
                if recorded.len() < finishes.len() {
                    attempt::note_late(tx, &finishes).await?;
                }
                savepoint::begin(tx).await?;
                savepoint::lock_timeout(tx, LOCK_WAIT_MS).await?;
                let applied = match apply::apply(tx, rt, &leases, BATCH as i64 * 2).await {
                    Ok(applied) => {
                        savepoint::keep(tx).await?;
                        Some(applied)
                    }
                    // Odoo holds a whole table, or one row is refused: what we know is kept all the same.
                    Err(StoreError::Busy(_) | StoreError::Refused(_)) => {
                        savepoint::undo(tx).await?;
                        None
                    }
                    Err(error) => return Err(error),
                };
                Ok((recorded, applied))
            });
            result?
        };
        failpoint::hit(&self.rt.name, "outcome.committed").await;
        if recorded.len() < finishes.len() {
            warn!(
                db.name = %self.rt.name,
                outcomes = finishes.len() - recorded.len(),
                "{} outcomes came after their lease was lost; they are settled by whoever has it",
                finishes.len() - recorded.len()
            );
        }
        // From here on everything is recorded: what goes wrong is told and not tried again with the outcomes.
        if let Err(error) = self.end_pauses(judged).await {
            warn!(db.name = %self.rt.name, %error, "a row of pauses is not ended yet: {error}");
        }
        if let Err(error) = self.confirm_forms(judged).await {
            warn!(db.name = %self.rt.name, %error, "the form of a number is asked for again: {error}");
        }
        match applied {
            Some(applied) => self.tell(applied).await,
            None => {
                if let Err(error) = self.apply_singly().await {
                    warn!(db.name = %self.rt.name, %error, "outcomes wait to be applied: {error}");
                    self.held_up();
                }
            }
        }
        Ok(())
    }

    /// After a group could not be applied: one at a time, so that only what is refused stays behind.
    async fn apply_singly(&mut self) -> Result<(), StoreError> {
        let leases = self.shared.leases();
        let rt = &*self.rt;
        let result: Result<Applied, StoreError> = tx!(&rt.store, "dispatch.apply", |tx| {
            savepoint::lock_timeout(tx, LOCK_WAIT_MS).await?;
            apply::apply(tx, rt, &leases, 1).await
        });
        match result {
            Ok(applied) => {
                self.tell(applied).await;
                Ok(())
            }
            Err(StoreError::Busy(_)) => {
                self.held_up();
                Ok(())
            }
            Err(error @ StoreError::Refused(_)) => {
                error!(db.name = %self.rt.name, %error, "an outcome is refused by the database and tried again: {error}");
                self.held_up();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn held_up(&mut self) {
        self.again = Some(self.again.map_or(AGAIN_FIRST, |wait| (wait * 2).min(AGAIN_AT_MOST)));
    }

    /// Everybody who is concerned, after the commit.
    async fn tell(&mut self, applied: Applied) {
        if applied.left > 0 && applied.done == 0 {
            self.held_up();
        } else if applied.left > 0 {
            self.again = Some(AGAIN_FIRST);
        } else {
            self.again = None;
        }
        let rt = &self.rt;
        for (account, message) in &applied.messages {
            rt.live.changed(*account, "whatsapp.message", [*message]);
        }
        rt.sends.tell(applied.messages.iter().map(|(_, message)| *message));
        if applied.done > 0 {
            rt.wakes.outbox.notify_one();
        }
        let mut events = applied.events;
        if !applied.provider_ids.is_empty() && failpoint::guard(&rt.name, "outcome.joins_early") {
            // A statement of its own after the commit: it sees what came in while the outcome was written.
            match join_early(rt, &applied.provider_ids).await {
                Ok(joined) => events |= joined,
                // The sweep does it.
                Err(error) => {
                    warn!(db.name = %rt.name, %error, "early statuses wait for the sweep: {error}");
                }
            }
        }
        if events {
            rt.wakes.events.notify_one();
        }
    }

    /// Pauses the accounts whose outcomes ask for it, each once.
    async fn pause(&mut self, judged: &[Judged]) -> Result<(), StoreError> {
        let mut pauses: HashMap<AccountId, (i64, &Pause)> = HashMap::new();
        for Judged { done, verdict } in judged {
            let Some(pause) = &verdict.pause else { continue };
            let entry = pauses.entry(done.account_id).or_insert((done.epoch, pause));
            if matches!(pause, Pause::Down { .. }) {
                *entry = (done.epoch, pause);
            }
        }
        let accounts = self.rt.accounts();
        for (id, (epoch, pause)) in pauses {
            let Some(account) = accounts.get(id) else { continue };
            self.shared.set_pausing(id, true);
            probe::pause(&self.rt, account, epoch, pause).await?;
        }
        Ok(())
    }

    /// Counts failures in a row; too many of them pause the account.
    async fn count_failures(&mut self, judged: &[Judged]) -> Result<(), StoreError> {
        // (epoch, a success among them, failures after it)
        let mut counts: HashMap<AccountId, (i64, bool, i32)> = HashMap::new();
        for Judged { done, verdict } in judged {
            let count = counts.entry(done.account_id).or_insert((done.epoch, false, 0));
            match verdict.outcome {
                Outcome::Accepted => *count = (done.epoch, true, 0),
                // Those pause the account by themselves.
                Outcome::RateLimited | Outcome::AccountDown => {}
                Outcome::NotSent | Outcome::NotAccepted | Outcome::Refused | Outcome::Uncertain => {
                    count.2 = count.2.saturating_add(1);
                }
            }
        }
        let accounts = self.rt.accounts();
        for (id, (epoch, succeeded, failures)) in counts {
            if failures == 0 && !(succeeded && self.shared.failing(id)) {
                continue;
            }
            let client = self.rt.store.client().await?;
            let in_a_row =
                account_pace::count_failures(&client, id, epoch, succeeded, failures).await?;
            drop(client);
            self.shared.set_failing(id, failures > 0);
            let (Some(in_a_row), Some(account)) = (in_a_row, accounts.get(id)) else { continue };
            if account.failure_burst > 0 && in_a_row >= account.failure_burst {
                self.shared.set_pausing(id, true);
                probe::pause(&self.rt, account, epoch, &Pause::Failing { in_a_row }).await?;
            }
        }
        Ok(())
    }

    /// A success ends the row of pauses.
    async fn end_pauses(&mut self, judged: &[Judged]) -> Result<(), StoreError> {
        for Judged { done, verdict } in judged {
            let paused_again = judged.iter().any(|other| {
                other.done.account_id == done.account_id && other.verdict.pause.is_some()
            });
            if verdict.outcome == Outcome::Accepted
                && !paused_again
                && self.shared.pausing(done.account_id)
            {
                let client = self.rt.store.client().await?;
                account_pace::succeeded(&client, done.account_id).await?;
                self.shared.set_pausing(done.account_id, false);
            }
        }
        Ok(())
    }

    /// Remembers the form of a number that the provider itself names in its answer, where there are two.
    async fn confirm_forms(&self, judged: &[Judged]) -> Result<(), StoreError> {
        let accounts = self.rt.accounts();
        for Judged { done, .. } in judged {
            let Ok(Accepted { chat_id: Some(told), .. }) = &done.result else { continue };
            let adapter = accounts.get(done.account_id).and_then(|account| account.adapter());
            let form = adapter.and_then(|one| confirmed(one, &done.job.chat_id, told));
            if let Some(form) = form {
                let client = self.rt.store.client().await?;
                number_form::confirm(&client, done.account_id, &[form]).await?;
            }
        }
        Ok(())
    }

    /// The daemon stops and every call is through: what is left is applied or settled by the next lease.
    async fn end(mut self) {
        let end = Instant::now() + Duration::from_secs(2);
        while self.again.is_some() && Instant::now() < end {
            self.record(&[]).await;
            tokio::time::sleep(self.again.unwrap_or_default()).await;
        }
        let leases = self.shared.leases();
        if leases.is_empty() {
            return;
        }
        let released = async {
            let client = self.rt.store.client().await?;
            account_pace::release(&client, self.rt.owner, &leases).await
        };
        if let Err(error) = released.await {
            warn!(db.name = %self.rt.name, %error, "leases end by themselves: {error}");
        }
    }
}

/// Shared name and digits of the number that `told` is, where it is a form of the one that was written to.
fn confirmed(adapter: &dyn Provider, asked: &str, told: &str) -> Option<(String, String)> {
    let number = |chat: &str| Msisdn::of_digits(&adapter.person(chat)?.phone?);
    let (asked, told) = (number(asked)?, number(told)?);
    // An echo of what was asked for confirms nothing.
    let name = asked.shared_name().filter(|_| asked != told)?;
    (told.shared_name().as_ref() == Some(&name)).then(|| (name, told.digits().to_owned()))
}

fn finish(judged: &Judged) -> Finish {
    let Judged { done, verdict } = judged;
    let (kind, message) = match &verdict.error {
        Some((kind, message)) => (Some(kind.as_str().to_owned()), Some(message.clone())),
        None => (None, None),
    };
    Finish {
        id: done.job.attempt_id,
        configuration_id: done.account_id,
        epoch: done.epoch,
        outcome: verdict.outcome,
        word: verdict.word.map(|word| word.as_str().to_owned()),
        provider_message_id: verdict.provider_message_id.clone(),
        error_kind: kind,
        error_message: message,
        retry: verdict.retry,
        latency: done.latency,
    }
}

/// Brings statuses that came before their message had its provider's id; true where Odoo has something to run for.
pub(in crate::workers) async fn join_early(
    rt: &Runtime,
    provider_ids: &[(AccountId, String)],
) -> Result<bool, StoreError> {
    let mut events = false;
    let stages = early_event::stages(&rt.store.client().await?, provider_ids).await?;
    for (stage, targets) in stages {
        let joined: Result<_, StoreError> = tx!(&rt.store, "dispatch.join_early", |tx| {
            early_event::join_stage(tx, stage, &targets).await
        });
        let joined = joined?;
        for (account, message) in joined.changed {
            rt.live.changed(account, "whatsapp.message", [message]);
            rt.sends.tell([message]);
        }
        events |= joined.events;
    }
    Ok(events)
}
