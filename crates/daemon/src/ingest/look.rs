//! Looks, after a commit, whether messages came while something about them was put aside: on a connection of its
//! own, so that the next group of webhooks does not wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use wabridge_store::apply::Changes;
use wabridge_store::{Session, StoreError, ingest};

use crate::failpoint;
use crate::ingest::batcher::budget;
use crate::ingest::publish::publish;
use crate::runtime::Runtime;

/// (account, the provider's id) of messages that one commit leaves to be looked after.
pub(super) type Targets = Vec<(i32, String)>;

/// Commits whose messages may wait to be looked after; beyond it the sweep of early events finds them.
pub(super) const QUEUE_LENGTH: usize = 256;
/// As long as the batchers keep theirs, for the same reason.
const PLANS_KEPT: Duration = Duration::from_secs(10);

/// Runs until the daemon stops.
pub(super) async fn run(rt: Arc<Runtime>, mut commits: mpsc::Receiver<Targets>) {
    let mut session: Option<Session> = None;
    let mut planned_at = Instant::now();
    loop {
        let targets = tokio::select! {
            targets = commits.recv() => targets,
            // The next start's sweep finds what this one leaves.
            () = rt.stop.cancelled() => return,
        };
        let Some(mut targets) = targets else { return };
        failpoint::hit(&rt.name, "ingest.look_again").await;
        while let Ok(more) = commits.try_recv() {
            targets.extend(more);
        }
        if !rt.phase().can_apply() || !failpoint::guard(&rt.name, "ingest.look_again.guard") {
            continue;
        }
        if planned_at.elapsed() > PLANS_KEPT {
            planned_at = Instant::now();
            if let Some(session) = &session {
                session.statement_cache.clear();
            }
        }
        let mut changes = Changes { look_again: targets, ..Changes::default() };
        if let Err(error) = look(&rt, &mut session, &mut changes).await {
            tracing::debug!(db.name = %rt.name, %error, "early events wait for their sweep: {error}");
            match error {
                StoreError::Unavailable(_) => session = None,
                _ => {
                    if let Some(session) = &session {
                        session.statement_cache.clear();
                    }
                }
            }
        }
        publish(&rt, &changes);
    }
}

async fn look(
    rt: &Runtime,
    session: &mut Option<Session>,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    if session.as_ref().is_some_and(|session| session.is_closed()) {
        *session = None;
    }
    let session = match session {
        Some(session) => session,
        None => session.insert(rt.store.session().await?),
    };
    ingest::look_again(session, changes, budget(rt)).await
}
