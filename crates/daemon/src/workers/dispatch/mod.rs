//! Sends what is due: leases accounts, takes heads of lanes, calls providers, has outcomes recorded.
//!
//! Three parts. The loop here claims: one transaction an account that takes pace tokens and stores "attempt n
//! started". Each claimed send then runs as a task of its own with no transaction open. [`record`] writes
//! outcomes in groups and lets the lanes go on, which wakes the loop again.

mod apply;
mod call;
mod claim;
mod files;
mod permit;
mod probe;
mod record;

pub(super) use apply::earliest;
pub(super) use record::join_early;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;
use tracing::{info, warn};
use wabridge_domain::account::AccountId;
use wabridge_domain::window;
use wabridge_store::odoo::account_state;
use wabridge_store::{StoreError, account_pace, consent, read};

use crate::accounts::{Account, Accounts};
use crate::runtime::{Phase, Runtime};

/// Outcomes that wait for the recorder at most.
const OUTCOMES_WAITING: usize = 1024;
/// Sends of one account that one claim takes at most.
const CLAIM_MAX: usize = 64;
/// How often what waits is looked at.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// From one look for work to the next: what comes meanwhile is taken together. The first send after a quiet time does
/// not wait, nor does a look after one that took plenty.
const GAP: Duration = Duration::from_millis(15);
/// The same while calls wait to be accepted, also after a look that took plenty: whoever waits for an answer goes first.
const CALLERS_FIRST: Duration = Duration::from_millis(40);
/// Sends of one look that are plenty.
const PLENTY: usize = CLAIM_MAX / 2;
/// Wait after an error of the database.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// What claims, calls and recorder of one database share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Leased accounts and their epochs.
    leases: Mutex<HashMap<AccountId, i64>>,
    /// Accounts that were paused when last looked at; a success ends that.
    pausing: Mutex<HashSet<AccountId>>,
    /// Accounts whose sends failed in a row when last looked at; a success ends that.
    failing: Mutex<HashSet<AccountId>>,
    /// Accounts whose provider is being asked for their state.
    probing: Mutex<HashSet<AccountId>>,
    slots: Arc<Semaphore>,
    /// Calls under way, an account.
    in_flight: Mutex<HashMap<AccountId, usize>>,
    /// Outcomes that are recorded may wait to be applied.
    unapplied: Notify,
}

impl Shared {
    fn leases(&self) -> Vec<(AccountId, i64)> {
        let leases = self.leases.lock().expect("no holder of this lock can panic");
        leases.iter().map(|(id, epoch)| (*id, *epoch)).collect()
    }

    fn epoch(&self, account: AccountId) -> Option<i64> {
        self.leases.lock().expect("no holder of this lock can panic").get(&account).copied()
    }

    fn in_flight(&self, account: AccountId) -> usize {
        let in_flight = self.in_flight.lock().expect("no holder of this lock can panic");
        in_flight.get(&account).copied().unwrap_or_default()
    }

    fn begin_call(&self, account: AccountId) {
        let mut in_flight = self.in_flight.lock().expect("no holder of this lock can panic");
        *in_flight.entry(account).or_default() += 1;
    }

    fn end_call(&self, account: AccountId) {
        let mut in_flight = self.in_flight.lock().expect("no holder of this lock can panic");
        if let Some(calls) = in_flight.get_mut(&account) {
            *calls = calls.saturating_sub(1);
        }
    }

    fn pausing(&self, account: AccountId) -> bool {
        self.pausing.lock().expect("no holder of this lock can panic").contains(&account)
    }

    fn failing(&self, account: AccountId) -> bool {
        self.failing.lock().expect("no holder of this lock can panic").contains(&account)
    }

    fn set_failing(&self, account: AccountId, failing: bool) {
        let mut all = self.failing.lock().expect("no holder of this lock can panic");
        if failing {
            all.insert(account);
        } else {
            all.remove(&account);
        }
    }

    fn set_pausing(&self, account: AccountId, paused: bool) {
        let mut pausing = self.pausing.lock().expect("no holder of this lock can panic");
        if paused {
            pausing.insert(account);
        } else {
            pausing.remove(&account);
        }
    }
}

/// Starts the worker.
pub fn spawn(rt: &Arc<Runtime>) {
    let shared = Arc::new(Shared {
        leases: Mutex::default(),
        pausing: Mutex::default(),
        failing: Mutex::default(),
        probing: Mutex::default(),
        in_flight: Mutex::default(),
        slots: Arc::new(Semaphore::new(rt.limits.sends_in_flight)),
        unapplied: Notify::new(),
    });
    let (done, outcomes) = mpsc::channel(OUTCOMES_WAITING);
    let recorder = record::Recorder::new(Arc::clone(rt), Arc::clone(&shared));
    rt.tasks.spawn(recorder.run(outcomes));
    let dispatcher = Dispatcher {
        rt: Arc::clone(rt),
        shared,
        done,
        resting: HashMap::new(),
        tokens: HashMap::new(),
        busy_at: HashMap::new(),
        beat_at: Instant::now(),
        show_at: Instant::now(),
        took: 0,
    };
    rt.tasks.spawn(dispatcher.run());
}

struct Dispatcher {
    rt: Arc<Runtime>,
    shared: Arc<Shared>,
    done: mpsc::Sender<call::Done>,
    /// Accounts that need not be looked at before this time.
    resting: HashMap<AccountId, Instant>,
    /// The tokens that calls were last made with: a new one ends a pause.
    tokens: HashMap<AccountId, Arc<Account>>,
    /// When an account last had something to do.
    busy_at: HashMap<AccountId, Instant>,
    beat_at: Instant,
    /// When what waits is shown in Odoo again.
    show_at: Instant,
    /// Sends that the last look took.
    took: usize,
}

impl Dispatcher {
    async fn run(mut self) {
        while self.rt.wait_for(Phase::can_send).await {
            let began = Instant::now();
            self.took = 0;
            let next = match self.round().await {
                Ok(next) => next,
                Err(error) => {
                    if !matches!(error, StoreError::Unavailable(_)) {
                        warn!(db.name = %self.rt.name, %error, "sends are delayed: {error}");
                    }
                    Instant::now() + AFTER_ERROR
                }
            };
            tokio::select! {
                () = self.rt.wakes.outbox.notified() => {}
                () = tokio::time::sleep_until(next) => {}
                () = self.rt.stop.cancelled() => break,
            }
            if self.rt.accepting.is_busy() {
                tokio::time::sleep_until(began + CALLERS_FIRST).await;
            } else if self.took < PLENTY {
                tokio::time::sleep_until(began + GAP).await;
            }
        }
        self.wind_down().await;
    }

    /// Claims whatever is due; when to look again at the latest.
    async fn round(&mut self) -> Result<Instant, StoreError> {
        let now = Instant::now();
        self.heartbeat(now).await?;
        let accounts = self.rt.accounts();
        let active: Vec<AccountId> = accounts
            .iter()
            .filter(|account| account.active && account.adapter().is_some())
            .map(|account| account.id)
            .collect();
        for account in accounts.iter() {
            self.notice_token(account);
        }
        self.look_after_waiting(now, &accounts, &active).await?;
        self.resting.retain(|_, until| *until > now);
        let awake: Vec<AccountId> =
            active.iter().copied().filter(|id| !self.resting.contains_key(id)).collect();
        let mut next = now + self.rt.limits.poll();
        next = self.resting.values().fold(next, |next, until| next.min(*until));
        if awake.is_empty() {
            return Ok(next);
        }
        let owner = self.rt.owner;
        let wanting: Result<Vec<AccountId>, StoreError> =
            read!(&self.rt.store, "dispatch.wanting", |client| {
                account_pace::wanting(client, &awake, owner).await
            });
        let mut wanting = wanting?;
        // Accounts that were served longest ago come first, so that none starves for want of slots.
        wanting.sort_by_key(|id| self.busy_at.get(id).copied());
        for id in wanting {
            let Some(account) = accounts.get(id) else { continue };
            let Some(epoch) = self.lease(id).await? else { continue };
            self.busy_at.insert(id, now);
            // Half of the slots at most while there are others: a slow provider keeps nobody else waiting.
            let share = if active.len() > 1 {
                self.rt.limits.sends_in_flight.div_ceil(2)
            } else {
                usize::MAX
            };
            if let Some(wait) = self.claim(account, epoch, share).await? {
                let until = Instant::now() + wait;
                next = next.min(until);
                self.resting.insert(id, until);
            }
        }
        Ok(next)
    }

    /// Takes up sends that waited for their customer, and shows in Odoo what waits and why.
    async fn look_after_waiting(
        &mut self,
        now: Instant,
        accounts: &Accounts,
        active: &[AccountId],
    ) -> Result<(), StoreError> {
        if now < self.show_at {
            return Ok(());
        }
        let began = Instant::now();
        let rt = &self.rt;
        let windowed: Vec<AccountId> = active
            .iter()
            .copied()
            .filter(|id| {
                let adapter = accounts.get(*id).and_then(|account| account.adapter());
                adapter.is_some_and(|adapter| adapter.capabilities().service_window)
            })
            .collect();
        let limits: Vec<(AccountId, i32)> =
            active.iter().filter_map(|id| Some((*id, accounts.get(*id)?.daily_limit))).collect();
        let client = rt.store.client().await?;
        if !windowed.is_empty() {
            let since = window::open_since(rt.clock.as_ref());
            let due = consent::unpark(&client, &windowed, since).await?;
            if due > 0 {
                info!(db.name = %rt.name, messages = due, "{due} messages waited for their customer, who wrote");
            }
        }
        let waiting = account_pace::waiting(&client, &limits, rt.owner).await?;
        if !waiting.is_empty() {
            for shown in account_state::show_waiting(&client, &waiting).await? {
                rt.live.changed(shown, "whatsapp.account.state", []);
                rt.live.changed(shown, "whatsapp.configuration", [shown]);
            }
        }
        // It reads all that waits: never more than a twentieth of the time goes into it.
        self.show_at = now + SHOW_EVERY.max(began.elapsed() * 20);
        Ok(())
    }

    /// A new token may cure what the account pauses for.
    fn notice_token(&mut self, account: &Arc<Account>) {
        let same = self.tokens.get(&account.id).is_none_or(|known| {
            Arc::ptr_eq(known, account)
                || known.token.as_ref().map(wabridge_domain::Secret::expose)
                    == account.token.as_ref().map(wabridge_domain::Secret::expose)
        });
        if !same && self.shared.pausing(account.id) {
            self.resting.remove(&account.id);
            probe::spawn(&self.rt, &self.shared, account);
        }
        self.tokens.insert(account.id, Arc::clone(account));
    }

    /// The epoch of the lease, taken now where it is not held.
    async fn lease(&mut self, id: AccountId) -> Result<Option<i64>, StoreError> {
        if let Some(epoch) = self.shared.epoch(id) {
            return Ok(Some(epoch));
        }
        let Some(taken) = claim::lease(&self.rt, id).await? else { return Ok(None) };
        if taken.abandoned > 0 {
            warn!(
                db.name = %self.rt.name,
                account.id = id,
                attempts = taken.abandoned,
                "account {id}: {} calls of a daemon that is gone have an unknown outcome; they are being settled",
                taken.abandoned
            );
        }
        info!(db.name = %self.rt.name, account.id = id, lease.epoch = taken.epoch, "account {id} is leased");
        self.shared
            .leases
            .lock()
            .expect("no holder of this lock can panic")
            .insert(id, taken.epoch);
        self.shared.unapplied.notify_one();
        Ok(Some(taken.epoch))
    }

    /// Claims sends of one account and starts their calls; how long it need not be asked again.
    async fn claim(
        &mut self,
        account: &Arc<Account>,
        epoch: i64,
        share: usize,
    ) -> Result<Option<Duration>, StoreError> {
        let share = share.saturating_sub(self.shared.in_flight(account.id));
        let slots = self.shared.slots.available_permits().min(CLAIM_MAX).min(share);
        let Some(permits) = u32::try_from(slots)
            .ok()
            .filter(|slots| *slots > 0)
            .and_then(|slots| Arc::clone(&self.shared.slots).try_acquire_many_owned(slots).ok())
        else {
            // A call that ends wakes the loop.
            return Ok(None);
        };
        let claimed = claim::claim(&self.rt, account, epoch, slots).await?;
        match claimed {
            claim::Claimed::Lost => {
                warn!(db.name = %self.rt.name, account.id = account.id, "the lease of account {} was lost", account.id);
                self.forget(account.id);
                Ok(None)
            }
            claim::Claimed::Paused { wait, down } => {
                self.shared.set_pausing(account.id, true);
                if down && probe::seems_up(&self.rt, account.id).await? {
                    probe::spawn(&self.rt, &self.shared, account);
                }
                // Looked at again soon: a webhook or a new token may end the pause before its time.
                Ok(Some(wait.min(self.rt.limits.poll() * 2)))
            }
            claim::Claimed::Probe => {
                self.shared.set_pausing(account.id, true);
                probe::spawn(&self.rt, &self.shared, account);
                Ok(Some(self.rt.limits.poll() * 2))
            }
            claim::Claimed::Jobs { jobs, wait, pausing, failing } => {
                if pausing {
                    self.shared.set_pausing(account.id, true);
                }
                if failing {
                    self.shared.set_failing(account.id, true);
                }
                let mut permits = permits;
                self.took += jobs.len();
                for job in jobs {
                    let permit = permits.split(1).expect("there are as many permits as jobs");
                    call::spawn(
                        &self.rt,
                        &self.shared,
                        account,
                        epoch,
                        job,
                        permit,
                        self.done.clone(),
                    );
                }
                // Not longer than that: the account's limits may be changed meanwhile.
                Ok(wait.map(|wait| wait.min(self.rt.limits.poll() * 2)))
            }
        }
    }

    /// Prolongs leases at a third of their time; gives back those of accounts that had nothing to do for long.
    async fn heartbeat(&mut self, now: Instant) -> Result<(), StoreError> {
        if now < self.beat_at {
            return Ok(());
        }
        let lease = Duration::from_secs(self.rt.limits.lease_s);
        let held = self.shared.leases();
        if !held.is_empty() {
            let client = self.rt.store.client().await?;
            let kept = account_pace::heartbeat(&client, self.rt.owner, &held, lease).await?;
            for (id, _) in held.iter().filter(|(id, _)| !kept.contains(id)) {
                warn!(db.name = %self.rt.name, account.id = id, "the lease of account {id} was lost");
                self.forget(*id);
            }
            let idle: Vec<(AccountId, i64)> = self
                .shared
                .leases()
                .into_iter()
                .filter(|(id, _)| {
                    self.busy_at.get(id).is_none_or(|at| now.duration_since(*at) > lease)
                })
                .collect();
            if !idle.is_empty() {
                for (id, _) in &idle {
                    self.forget(*id);
                }
                account_pace::release(&client, self.rt.owner, &idle).await?;
            }
        }
        self.beat_at = now + lease / 3;
        Ok(())
    }

    fn forget(&self, id: AccountId) {
        self.shared.leases.lock().expect("no holder of this lock can panic").remove(&id);
    }

    /// Waits for the calls in flight, lets the recorder finish, gives the leases back.
    async fn wind_down(self) {
        let Self { rt, shared, done, .. } = self;
        // Every call holds a sender: the recorder ends once the last of them is through, and gives leases back.
        drop(done);
        drop(shared);
        drop(rt);
    }
}
