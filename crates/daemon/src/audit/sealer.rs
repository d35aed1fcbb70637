//! Seals audit rows within seconds, and takes away what is older than `audit.keep_days`. One daemon of a database at
//! a time; which one may change with each round.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wabridge_domain::audit::Head;
use wabridge_store::audit::{self as store, Keys, Sealed};
use wabridge_store::odoo::audit_log::Entry;
use wabridge_store::{StoreError, tx};

use super::{proof, words};
use crate::failpoint;
use crate::runtime::Runtime;

const EVERY: Duration = Duration::from_secs(2);
/// How often the newest segment is written to the log, when there is a new one.
const TELL_EVERY: Duration = Duration::from_secs(60);
const RETENTION_EVERY: Duration = Duration::from_secs(3600);
/// After a failure.
const REST: Duration = Duration::from_secs(60);

/// Starts the loop.
pub fn spawn(rt: &Arc<Runtime>) {
    rt.tasks.spawn(run(Arc::clone(rt)));
}

struct Sealer {
    rt: Arc<Runtime>,
    /// The newest segment that was seen.
    head: Option<Head>,
    told: Option<Head>,
    told_at: Option<Instant>,
    removed_at: Option<Instant>,
}

async fn run(rt: Arc<Runtime>) {
    if !failpoint::guard(&rt.name, "audit.rows") {
        return;
    }
    let mut sealer =
        Sealer { rt: Arc::clone(&rt), head: None, told: None, told_at: None, removed_at: None };
    loop {
        if !rt.wait_for(crate::runtime::Phase::can_apply).await {
            break;
        }
        let wait = match sealer.round().await {
            Ok(true) => EVERY,
            Ok(false) => REST,
            Err(error) => {
                tracing::warn!(
                    db.name = %rt.name, %error,
                    "audit rows of database {} are sealed later: {error}", rt.name
                );
                EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = rt.stop.cancelled() => break,
        }
    }
    sealer.tell(true);
}

impl Sealer {
    /// False where nothing can be done before somebody acts.
    async fn round(&mut self) -> Result<bool, StoreError> {
        let rt = Arc::clone(&self.rt);
        let mut opened = proof::keys(&rt).await?;
        if opened.newest.is_none() {
            if proof::make_key(&rt, 1).await? {
                tracing::info!(db.name = %rt.name, "the audit log of database {} is sealed from now on, with audit key 1", rt.name);
            }
            opened = proof::keys(&rt).await?;
        }
        if let Some(problem) = &opened.problem {
            tracing::error!(
                db.name = %rt.name, error = %problem,
                "audit rows of database {} are not sealed: the audit key cannot be opened: {problem}; configure the sealing key again, or run wabridge audit new-key if it is lost", rt.name
            );
            return Ok(false);
        }
        let Some(id) = opened.newest else { return Ok(true) };
        while !rt.stop.is_cancelled() && self.seal(&opened.keys, id).await? {}
        self.tell(false);
        self.retention(&opened.keys).await?;
        Ok(true)
    }

    /// True when more rows may wait.
    async fn seal(&mut self, keys: &Keys, id: i32) -> Result<bool, StoreError> {
        let rt = &self.rt;
        let Some(key) = keys.get(&id) else { return Ok(false) };
        let sealed: Result<Sealed, StoreError> = tx!(&rt.store, "audit.seal", |tx| {
            let sealed = store::seal(tx, id, key).await?;
            failpoint::hit(&rt.name, "audit.before_commit").await;
            Ok::<_, StoreError>(sealed)
        });
        match sealed? {
            Sealed::Elsewhere => Ok(false),
            Sealed::Nothing(head) => {
                self.saw(head.as_ref());
                self.head = head.or(self.head.take());
                Ok(false)
            }
            Sealed::Segment { before, head, rows, more } => {
                self.saw(before.as_ref());
                tracing::debug!(
                    db.name = %self.rt.name, audit.head = %head, rows,
                    "audit rows of database {}: {rows} sealed in segment {}", self.rt.name, head.number
                );
                self.head = Some(head);
                Ok(more)
            }
        }
    }

    /// What was there must be there still: daemons only add.
    fn saw(&mut self, now: Option<&Head>) {
        let Some(seen) = &self.head else { return };
        let cut = now.is_none_or(|now| {
            now.number < seen.number || (now.number == seen.number && now.mac != seen.mac)
        });
        if cut {
            tracing::error!(
                db.name = %self.rt.name, audit.head = %seen,
                "the audit log of database {} was cut: its newest segment is not {seen} any more; run wabridge audit verify --head {seen}", self.rt.name
            );
            self.head = None;
        }
    }

    /// Writes the newest segment to the log: with it nobody can cut the chain unseen.
    fn tell(&mut self, now: bool) {
        let Some(head) = &self.head else { return };
        let due = now || self.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        if !due || self.told.as_ref() == Some(head) {
            return;
        }
        tracing::info!(
            db.name = %self.rt.name, audit.head = %head,
            "the audit log of database {} is sealed up to segment {}: head {head}", self.rt.name, head.number
        );
        self.told = Some(head.clone());
        self.told_at = Some(Instant::now());
    }

    async fn retention(&mut self, keys: &Keys) -> Result<(), StoreError> {
        if self.removed_at.is_some_and(|at| at.elapsed() < RETENTION_EVERY) {
            return Ok(());
        }
        let rt = Arc::clone(&self.rt);
        let days = i32::try_from(rt.audit.keep_days).unwrap_or(i32::MAX);
        loop {
            let removed: Result<(usize, u64), StoreError> =
                tx!(&rt.store, "audit.retention", |tx| {
                    store::remove_older(tx, keys, days).await
                });
            let (segments, rows) = removed?;
            if segments == 0 || rt.stop.is_cancelled() {
                break;
            }
            let words = format!("{rows} rows in {segments} segments older than {days} days");
            let entry = Entry {
                operation: words::RETENTION,
                success: true,
                error_message: Some(&words),
                ..Entry::default()
            };
            super::write(&rt, &entry).await;
            tracing::info!(
                db.name = %rt.name, rows,
                "audit log of database {}: {rows} rows in {segments} segments are older than {days} days and were removed", rt.name
            );
        }
        self.removed_at = Some(Instant::now());
        Ok(())
    }
}
