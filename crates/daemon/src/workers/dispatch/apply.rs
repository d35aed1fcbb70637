//! Brings recorded outcomes into Odoo's rows, ends what is in flight and lets the lanes go on.
//!
//! What is to be applied stands in `wabridge.attempt`, so a row that Odoo holds, a locked table or a crash
//! delay it and lose nothing. Nothing here waits for a lock: what is held by somebody is left for later.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use wabridge_domain::Kind;
use wabridge_domain::account::AccountId;
use wabridge_domain::message::{Facts, StatusWord};
use wabridge_store::attempt::{self, Unapplied};
use wabridge_store::lane::{self, Key, Next};
use wabridge_store::odoo::audit_log::{self, Entry};
use wabridge_store::odoo::message_out::{self, Locked, Write};
use wabridge_store::{StoreError, Tx, outbox};

use crate::failpoint;
use crate::runtime::Runtime;
use crate::send::outcome::{self, Fate};

/// How long the chat of an uncertain message waits for its echo before the next message goes.
pub const SETTLE_GRACE: Duration = Duration::from_secs(5);

/// What one application did.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// (account, message row) that changed.
    pub messages: Vec<(AccountId, i32)>,
    /// (account, the provider's id) that stand in a row now.
    pub provider_ids: Vec<(AccountId, String)>,
    /// Rows of `whatsapp_event` were written.
    pub events: bool,
    /// Outcomes that somebody's lock held up.
    pub left: usize,
    /// Lanes that may go on.
    pub done: usize,
}

/// What is to be written, collected before the first write.
#[derive(Debug, Default)]
struct Plan {
    writes: Vec<Write>,
    /// (twin, own)
    twins: Vec<(i32, i32)>,
    finished: Vec<i64>,
    counted: Vec<i64>,
    uncertain: Vec<i64>,
    failed: Vec<(i32, AccountId, String)>,
    ends: Vec<(Key, Next)>,
    applied: Vec<i64>,
}

/// Applies up to `limit` outcomes of leased accounts.
pub(super) async fn apply(
    tx: &Tx<'_>,
    rt: &Runtime,
    leases: &[(AccountId, i64)],
    limit: i64,
) -> Result<Applied, StoreError> {
    let all = attempt::unapplied(tx, leases, limit).await?;
    let mut applied = Applied { left: all.len(), ..Applied::default() };
    if all.is_empty() {
        return Ok(applied);
    }
    // One a lane: a second can only be there where a crash left it, and its turn comes next.
    let mut seen = HashSet::new();
    let items: Vec<&Unapplied> = all.iter().filter(|item| seen.insert(&item.key)).collect();
    let keys: Vec<Key> = items.iter().map(|item| item.key.clone()).collect();
    // The negative control of the race between finishing and enqueueing reads too early.
    let too_early = if failpoint::guard(&rt.name, "finish.rereads") {
        None
    } else {
        let rows: Vec<i64> = items.iter().map(|item| item.outbox_id).collect();
        let jobs = outbox::lanes_with_jobs(tx, &keys, &rows).await?;
        failpoint::hit(&rt.name, "finish.read_too_early").await;
        Some(jobs)
    };
    let held: HashMap<Key, lane::Held> = lane::try_lock_all(tx, &keys)
        .await?
        .into_iter()
        .map(|held| (held.key.clone(), held))
        .collect();
    let items: Vec<&Unapplied> =
        items.into_iter().filter(|item| held.contains_key(&item.key)).collect();
    let plan = plan(tx, rt, &items, &held).await?;
    write(tx, rt, &items, &plan).await?;
    failpoint::hit(&rt.name, "finish.lanes_locked").await;
    let keys: Vec<Key> = plan.ends.iter().map(|(key, _)| key.clone()).collect();
    let jobs = match too_early {
        Some(jobs) => jobs,
        None => outbox::lanes_with_jobs(tx, &keys, &[]).await?,
    };
    lane::land(tx, &plan.ends, &jobs).await?;
    attempt::mark_applied(tx, &plan.applied).await?;
    applied.left -= plan.applied.len();
    applied.done = plan.applied.len();
    applied.events = !plan.failed.is_empty();
    applied.messages = items
        .iter()
        .filter(|item| plan.writes.iter().any(|write| write.id == item.message_id))
        .map(|item| (item.key.configuration_id, item.message_id))
        .collect();
    applied.provider_ids = items
        .iter()
        .filter(|item| plan.applied.contains(&item.id))
        .filter_map(|item| Some((item.key.configuration_id, item.provider_message_id.clone()?)))
        .collect();
    Ok(applied)
}

async fn plan(
    tx: &Tx<'_>,
    rt: &Runtime,
    items: &[&Unapplied],
    held: &HashMap<Key, lane::Held>,
) -> Result<Plan, StoreError> {
    let ids: Vec<i32> = items.iter().map(|item| item.message_id).collect();
    let locked: HashMap<i32, Locked> =
        message_out::try_lock(tx, &ids).await?.into_iter().map(|row| (row.id, row)).collect();
    let existing = if locked.len() == ids.len() {
        ids.clone()
    } else {
        message_out::existing(tx, &ids).await?
    };
    let accepted: Vec<(i32, &str, i32)> = items
        .iter()
        .filter(|item| locked.contains_key(&item.message_id))
        .filter_map(|item| {
            let id = item.provider_message_id.as_deref()?;
            Some((item.key.configuration_id, id, item.message_id))
        })
        .collect();
    let twins = message_out::twins(tx, &accepted).await?;
    let head_block = Duration::from_secs(rt.limits.head_block_s);
    let mut plan = Plan::default();
    for item in items {
        let row = match locked.get(&item.message_id) {
            Some(row) => row,
            // Somebody deleted the message while it was sent: nothing is left that could be told.
            None if !existing.contains(&item.message_id) => {
                plan.finished.push(item.outbox_id);
                plan.ends.push((item.key.clone(), Next::Now));
                plan.applied.push(item.id);
                continue;
            }
            // Odoo holds it: later.
            None => continue,
        };
        let twin = match &twins {
            Some(twins) => twins.get(&item.message_id),
            None if item.provider_message_id.is_some() => continue,
            None => None,
        };
        let failing_for = held.get(&item.key).and_then(|held| held.failing_for);
        let fate = outcome::fate(item.outcome, item.retry, failing_for, head_block);
        plan.take(item, row, twin, fate);
    }
    Ok(plan)
}

impl Plan {
    fn take(&mut self, item: &Unapplied, row: &Locked, twin: Option<&(i32, Facts)>, fate: Fate) {
        let mut facts = outcome::facts(row.facts, fate, item, row.now);
        if let Some((twin, known)) = twin {
            facts = earliest(facts, known);
            self.twins.push((*twin, item.message_id));
        }
        let error = match fate {
            Fate::Failed | Fate::Settling => (item.error_kind.clone(), item.error_message.clone()),
            Fate::Accepted | Fate::Again(_) | Fate::AgainUncounted => (None, None),
        };
        if !matches!(fate, Fate::Again(_) | Fate::AgainUncounted) {
            self.writes.push(Write {
                id: item.message_id,
                message_id: item.provider_message_id.clone(),
                facts,
                error_code: error.0,
                error_message: error.1,
            });
        }
        let next = match fate {
            Fate::Accepted => {
                self.finished.push(item.outbox_id);
                Next::Now
            }
            Fate::Failed => {
                self.finished.push(item.outbox_id);
                let kind = item.error_kind.clone().unwrap_or_default();
                self.failed.push((item.message_id, item.key.configuration_id, kind));
                Next::Now
            }
            Fate::Again(wait) => {
                self.counted.push(item.outbox_id);
                Next::Retry(wait)
            }
            Fate::AgainUncounted => Next::Now,
            Fate::Settling => {
                self.uncertain.push(item.outbox_id);
                Next::Grace(SETTLE_GRACE)
            }
        };
        self.ends.push((item.key.clone(), next));
        self.applied.push(item.id);
    }
}

/// Of two rows of one message, the earliest of each fact.
pub(in crate::workers) fn earliest(mut facts: Facts, other: &Facts) -> Facts {
    for (word, at) in [
        (StatusWord::Pending, other.pending_at),
        (StatusWord::Sent, other.sent_at),
        (StatusWord::Failed, other.failed_at),
        (StatusWord::Delivered, other.delivered_at),
        (StatusWord::Read, other.read_at),
        (StatusWord::Played, other.played_at),
        (StatusWord::Deleted, other.deleted_at),
    ] {
        if let Some(at) = at {
            facts.note(word, at);
        }
    }
    facts
}

async fn write(
    tx: &Tx<'_>,
    rt: &Runtime,
    items: &[&Unapplied],
    plan: &Plan,
) -> Result<(), StoreError> {
    for (twin, own) in plan.twins.iter().filter(|_| failpoint::guard(&rt.name, "outcome.absorbs")) {
        message_out::absorb(tx, *twin, *own).await?;
    }
    if !plan.writes.is_empty() {
        message_out::write(tx, &plan.writes).await?;
    }
    if !plan.finished.is_empty() {
        outbox::delete(tx, &plan.finished).await?;
    }
    if !plan.counted.is_empty() {
        outbox::count_attempt(tx, &plan.counted).await?;
    }
    if !plan.uncertain.is_empty() {
        outbox::mark_uncertain(tx, &plan.uncertain).await?;
    }
    for (message_id, account_id, kind) in &plan.failed {
        let payload = serde_json::json!({"error_code": kind});
        message_out::event(tx, "status_failed", Some(*message_id), *account_id, &payload).await?;
    }
    let accounts = rt.accounts();
    // Every send leaves one row when its outcome is known; attempts that are repeated leave none.
    let known =
        items.iter().filter(|item| plan.writes.iter().any(|write| write.id == item.message_id));
    let entries = known.map(|item| {
        let success = item.outcome == attempt::Outcome::Accepted;
        let failed = item.error_kind.as_deref().unwrap_or(Kind::ProviderUnavailable.as_str());
        Entry {
            operation: "message.send",
            provider: accounts
                .get(item.key.configuration_id)
                .map(|account| account.provider.as_str()),
            success,
            response_time_ms: item.latency.as_secs_f64() * 1000.0,
            error_message: (!success).then_some(failed),
            user_id: item.uid,
            configuration_id: Some(item.key.configuration_id),
            request_id: Some(&item.request_id),
            address: None,
        }
    });
    let entries: Vec<Entry<'_>> = entries.collect();
    // The bench measures what the rows cost.
    if failpoint::guard(&rt.name, "audit.rows") {
        audit_log::insert_all(tx, &entries).await?;
    }
    Ok(())
}
