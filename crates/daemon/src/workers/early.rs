//! Every two seconds: brings what was said early of a message to it, and makes messages of parked echoes that
//! are nobody's answer. Whoever writes either side looks once at once; this loop is what guarantees it.

use std::sync::Arc;
use std::time::Duration;

use wabridge_store::ingest::{self, Budget};
use wabridge_store::{Session, StoreError, early_event};

use crate::ingest::publish::publish;
use crate::runtime::Runtime;

const EVERY: Duration = Duration::from_secs(2);
/// Each round looks at what is younger than this; every [`ALL_ROUNDS`]th round at everything.
const YOUNG: Duration = Duration::from_secs(600);
const ALL_ROUNDS: u32 = 30;
/// Words about a message that never came are forgotten after so many days.
const KEPT_DAYS: i32 = 7;
const LIMIT: i64 = 500;
const BUDGET: Budget =
    Budget { lock: Duration::from_millis(200), statement: Duration::from_secs(5) };

/// Starts the loop.
pub fn spawn(rt: &Arc<Runtime>) {
    rt.tasks.spawn(run(Arc::clone(rt)));
}

async fn run(rt: Arc<Runtime>) {
    let mut session: Option<Session> = None;
    for round in 0u32.. {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = rt.stop.cancelled() => return,
        }
        if !rt.phase().can_apply() {
            session = None;
            continue;
        }
        let everything = round.is_multiple_of(ALL_ROUNDS);
        if let Err(error) = look(&rt, &mut session, everything).await {
            tracing::debug!(db.name = %rt.name, %error, "early events of database {} wait for the next round: {error}", rt.name);
            match error {
                StoreError::Busy(_) | StoreError::Schema(_) => {
                    if let Some(session) = &session {
                        session.statement_cache.clear();
                    }
                }
                StoreError::Unavailable(_) | StoreError::Refused(_) | StoreError::Other(_) => {
                    session = None;
                }
            }
        }
    }
}

async fn look(
    rt: &Runtime,
    session: &mut Option<Session>,
    everything: bool,
) -> Result<(), StoreError> {
    if session.as_ref().is_some_and(|session| session.is_closed()) {
        *session = None;
    }
    let session = match session {
        Some(session) => session,
        None => session.insert(rt.store.session().await?),
    };
    let age = if everything { Duration::MAX } else { YOUNG };
    let (joined, found) = ingest::join_ripe(session, age, LIMIT, BUDGET).await?;
    publish(rt, &joined);
    let (mut released, echoes) = ingest::release_echoes(session, LIMIT, BUDGET).await?;
    ingest::look_again(session, &mut released, BUDGET).await?;
    publish(rt, &released);
    if found + echoes > 0 {
        tracing::debug!(
            db.name = %rt.name, joined = found, released = echoes,
            "database {}: {found} early events found their message, {echoes} echoes became messages", rt.name
        );
    }
    if everything {
        let expired = early_event::expire(&rt.store.client().await?, KEPT_DAYS).await?;
        metrics::counter!("wabridge_early_events_expired_total").increment(expired);
        if expired > 0 {
            tracing::info!(
                db.name = %rt.name, expired,
                "database {}: {expired} words about messages that never came are forgotten after {KEPT_DAYS} days", rt.name
            );
        }
    }
    Ok(())
}
