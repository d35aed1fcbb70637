//! The transaction that claims: tokens, heads of lanes, "attempt n started".

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;
use tracing::{error, info};
use uuid::Uuid;
use wabridge_domain::Kind;
use wabridge_domain::account::{AccountId, AccountState};
use wabridge_domain::capability::Operation;
use wabridge_domain::content::Content;
use wabridge_domain::message::Status;
use wabridge_domain::outgoing::UploadedFile;
use wabridge_domain::pace;
use wabridge_store::attempt::{self, Start};
use wabridge_store::odoo::account_state;
use wabridge_store::odoo::message_out::{self, Rejection};
use wabridge_store::outbox::{self, Head};
use wabridge_store::{StoreError, Tx, account_pace, lane, tx};

use crate::accounts::Account;
use crate::failpoint;
use crate::runtime::Runtime;

/// A lease that was taken.
pub(super) struct Taken {
    pub epoch: i64,
    /// Calls of former leases whose outcome is unknown.
    pub abandoned: u64,
}

/// Takes the lease of an account and what former leases left open; None when somebody else has it.
pub(super) async fn lease(
    rt: &Runtime,
    configuration_id: AccountId,
) -> Result<Option<Taken>, StoreError> {
    let length = Duration::from_secs(rt.limits.lease_s);
    tx!(&rt.store, "dispatch.lease", |tx| {
        let Some(epoch) = account_pace::lease(tx, configuration_id, rt.owner, length).await? else {
            return Ok(None);
        };
        let abandoned = attempt::abandon(tx, configuration_id, epoch).await?;
        account_pace::clear_flights(tx, configuration_id, epoch).await?;
        Ok::<_, StoreError>(Some(Taken { epoch, abandoned }))
    })
}

/// A send that is to be made now.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub attempt_id: i64,
    pub number: i32,
    pub chat_id: String,
    pub message_id: i32,
    pub content: Content,
    pub quoted_id: Option<String>,
    pub file: Option<UploadedFile>,
    pub attempts: u32,
    pub request_id: String,
    /// A call that begins later might outlive the lease.
    pub begin_by: Instant,
}

/// What a claim came to.
pub(super) enum Claimed {
    /// Somebody else has the lease.
    Lost,
    Paused {
        wait: Duration,
        /// True where it cannot send, false where it shall slow down.
        down: bool,
    },
    /// A pause is over, but first the provider is asked how the account is.
    Probe,
    Jobs {
        jobs: Vec<Job>,
        /// No token is free before.
        wait: Option<Duration>,
        /// It was paused before; a success ends the row of pauses.
        pausing: bool,
        /// Sends failed in a row; a success ends that.
        failing: bool,
    },
}

/// Claims up to `limit` sends of a leased account.
pub(super) async fn claim(
    rt: &Runtime,
    account: &Arc<Account>,
    epoch: i64,
    limit: usize,
) -> Result<Claimed, StoreError> {
    tx!(&rt.store, "dispatch.claim", |tx| claim_in(tx, rt, account, epoch, limit).await)
}

async fn claim_in(
    tx: &Tx<'_>,
    rt: &Runtime,
    account: &Arc<Account>,
    epoch: i64,
    limit: usize,
) -> Result<Claimed, StoreError> {
    let length = Duration::from_secs(rt.limits.lease_s);
    // Counted from before the statement that prolongs the lease, so that it is never thought longer than it is.
    let begin_by = Instant::now() + length.saturating_sub(rt.limits.provider_timeout());
    let Some(row) = account_pace::enter(tx, account.id, rt.owner, epoch, length).await? else {
        return Ok(Claimed::Lost);
    };
    let down = row.pause_kind.as_deref() == Some(account_pace::Pause::AccountDown.as_str());
    if let Some(until) = row.paused_until.filter(|until| *until > row.now) {
        return Ok(Claimed::Paused { wait: between(row.now, until), down });
    }
    if down {
        return Ok(Claimed::Probe);
    }
    if let Some(state) = known_down(tx, account).await? {
        let length = Duration::from_secs(30);
        let kind = account_pace::Pause::AccountDown;
        account_pace::pause(tx, account.id, epoch, kind, length, state.as_str()).await?;
        return Ok(Claimed::Paused { wait: length, down: true });
    }
    outbox::enter_due(tx, account.id).await?;
    let (mut wanted, day_over) = within_day(account, row.today, limit, row.now);
    let slow = pace::slowdown(row.slow, row.slowed_ago);
    let (min_s, max_s) = account.random_gap_s;
    let gap = pace::random_gap(min_s, max_s, &mut StdRng::from_os_rng());
    let interval = pace::interval(account.pace_per_second).mul_f64(slow).saturating_add(gap);
    if !gap.is_zero() {
        // Each gap is drawn anew.
        wanted = wanted.min(1);
    }
    let grant = pace::reserve(row.now, row.tat, interval, wanted);
    let wait = |at: Option<Timestamp>| at.map(|at| between(row.now, at));
    if grant.sends == 0 {
        let wait = if wanted == 0 { day_over } else { wait(grant.next_at) };
        return Ok(Claimed::Jobs {
            jobs: vec![],
            wait,
            pausing: row.pauses > 0,
            failing: row.failures > 0,
        });
    }
    let lanes = lane::take(tx, account.id, grant.sends).await?;
    failpoint::hit(&rt.name, "claim.lanes_locked").await;
    // A statement after the locks: it sees every job that was committed before they were taken.
    let heads = outbox::heads(tx, account.id, &lanes).await?;
    let empty: Vec<&str> = lanes
        .iter()
        .filter(|lane| !heads.iter().any(|head| head.chat_key == **lane))
        .map(String::as_str)
        .collect();
    if !empty.is_empty() {
        lane::close(tx, account.id, &empty).await?;
    }
    let (mut heads, over): (Vec<Head>, Vec<Head>) = heads.into_iter().partition(wanted_still);
    let unreadable = reject_unreadable(tx, rt, &mut heads).await?;
    if !over.is_empty() {
        let ids: Vec<i64> = over.iter().map(|head| head.id).collect();
        outbox::delete(tx, &ids).await?;
        for head in &over {
            info!(
                db.name = %rt.name,
                message.id = head.message_id,
                message.status = head.status.as_deref().unwrap_or("gone"),
                "message {} is not sent: its row is {}",
                head.message_id,
                head.status.as_deref().unwrap_or("gone")
            );
        }
    }
    let (heads, aside) = super::permit::sort_out(tx, rt, account, heads).await?;
    let (ready, blocked) = super::files::sort_out(tx, rt, account, heads).await?;
    let jobs = start(tx, rt, account, epoch, begin_by, &ready).await?;
    let spent = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
    if spent > 0 {
        let spent_grant = pace::reserve(row.now, row.tat, interval, spent);
        let sends = i32::try_from(spent).unwrap_or(i32::MAX);
        account_pace::spend(tx, account.id, spent_grant.tat, sends).await?;
    }
    // Lanes whose head was over have more: they are looked at again at once.
    let wait = if over.is_empty() && !unreadable && !blocked && !aside {
        // More may be due than there were tokens for.
        (spent == grant.sends && !interval.is_zero()).then(|| wait(grant.next_at)).flatten()
    } else {
        rt.wakes.outbox.notify_one();
        None
    };
    Ok(Claimed::Jobs { jobs, wait, pausing: row.pauses > 0, failing: row.failures > 0 })
}

/// The state that keeps an account from sending, as Odoo's table has it by a webhook or a test of the connection.
/// Only where the provider can be asked whether it is over.
async fn known_down(tx: &Tx<'_>, account: &Account) -> Result<Option<AccountState>, StoreError> {
    if account.adapter().is_none_or(|adapter| !adapter.capabilities().can(Operation::Health)) {
        return Ok(None);
    }
    let stored = account_state::get(tx, account.id).await?;
    Ok(stored.map(|stored| stored.state).filter(|state| !state.can_send()))
}

/// Fails sends whose content this version cannot read; true when there were any.
async fn reject_unreadable(
    tx: &Tx<'_>,
    rt: &Runtime,
    heads: &mut Vec<Head>,
) -> Result<bool, StoreError> {
    let (readable, unreadable): (Vec<Head>, Vec<Head>) = std::mem::take(heads)
        .into_iter()
        .partition(|head| serde_json::from_value::<Content>(head.request.clone()).is_ok());
    *heads = readable;
    for head in &unreadable {
        let message = "this version of the bridge cannot read the stored content";
        let rejection = Rejection::Failed { code: Kind::InvalidContent.as_str(), message };
        // False where Odoo holds the row: the next claim meets it again.
        if message_out::reject(tx, head.message_id, &rejection).await? {
            outbox::delete(tx, &[head.id]).await?;
            error!(db.name = %rt.name, message.id = head.message_id, "message {} failed: {message}", head.message_id);
        }
    }
    Ok(!unreadable.is_empty())
}

/// False for sends that were cancelled, deleted or answered otherwise.
fn wanted_still(head: &Head) -> bool {
    let status = head.status.as_deref().and_then(Status::parse);
    matches!(status, Some(Status::Queued | Status::Uncertain | Status::Draft))
}

/// How many sends the day's limit leaves, and how long the day still lasts where it leaves none.
fn within_day(
    account: &Account,
    today: i32,
    limit: usize,
    now: Timestamp,
) -> (i64, Option<Duration>) {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    if account.daily_limit <= 0 {
        return (limit, None);
    }
    let left = i64::from(account.daily_limit.saturating_sub(today).max(0));
    let into_day = now.as_second().rem_euclid(86_400);
    let rest = Duration::from_secs(u64::try_from(86_400 - into_day).unwrap_or(86_400));
    (limit.min(left), (left == 0).then_some(rest))
}

fn between(now: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(now)).unwrap_or_default()
}

async fn start(
    tx: &Tx<'_>,
    rt: &Runtime,
    account: &Arc<Account>,
    epoch: i64,
    begin_by: Instant,
    ready: &[(Head, Option<UploadedFile>)],
) -> Result<Vec<Job>, StoreError> {
    if ready.is_empty() {
        return Ok(vec![]);
    }
    let mut jobs = Vec::with_capacity(ready.len());
    for (head, file) in ready {
        let content: Content = serde_json::from_value(head.request.clone()).map_err(|error| {
            StoreError::Other(format!("outbox row {} cannot be read: {error}", head.id))
        })?;
        jobs.push(Job {
            attempt_id: 0,
            number: head.former_attempts.saturating_add(head.attempts).saturating_add(1),
            chat_id: head.chat_key.clone(),
            message_id: head.message_id,
            content,
            quoted_id: head.quoted_id.clone(),
            file: file.clone(),
            attempts: u32::try_from(head.attempts).unwrap_or_default(),
            request_id: head
                .request_id
                .clone()
                .unwrap_or_else(|| Uuid::new_v4().simple().to_string()),
            begin_by,
        });
    }
    let starts: Vec<Start<'_>> = ready
        .iter()
        .zip(&jobs)
        .map(|((head, _), job)| Start {
            outbox_id: head.id,
            chat_key: &head.chat_key,
            message_id: head.message_id,
            number: job.number,
            request_id: &job.request_id,
        })
        .collect();
    let ids = attempt::start(tx, account.id, epoch, rt.owner, &starts).await?;
    for (job, id) in jobs.iter_mut().zip(ids) {
        job.attempt_id = id;
    }
    let chats: Vec<&str> = ready.iter().map(|(head, _)| head.chat_key.as_str()).collect();
    let gap = pace::Gap::of(account.provider, account.recipient_gap);
    lane::fly(tx, account.id, &chats, epoch, gap).await?;
    Ok(jobs)
}
