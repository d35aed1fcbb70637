//! Every two seconds: brings what was said early of a message to it, and makes messages of parked echoes that
//! are nobody's answer; every minute also links contacts with partners. Whoever writes either side looks once at once; this loop is what guarantees it.

use std::sync::Arc;
use std::time::Duration;

use wabridge_store::apply::Changes;
use wabridge_store::ingest::{self, Budget};
use wabridge_store::odoo::contact;
use wabridge_store::{Session, StoreError, early_event, notice};

use crate::failpoint;
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
        if !failpoint::guard(&rt.name, "early.sweeps") {
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
    let ripe = ingest::ripe(session, age, LIMIT).await?;
    let joined = each_or_all(rt, session, &ripe, Work::Join).await?;
    let released = ingest::released(session, LIMIT).await?;
    let echoes = each_or_all(rt, session, &released, Work::Release).await?;
    if joined + echoes > 0 {
        tracing::debug!(
            db.name = %rt.name, joined, released = echoes,
            "database {}: {joined} early events found their message, {echoes} echoes became messages", rt.name
        );
    }
    if everything {
        let client = rt.store.client().await?;
        notice::expire(&client, notice::KEPT_DAYS).await?;
        // Numbers of partners are Odoo's: who got one since is found here.
        let linked = contact::link_partners(&client, LIMIT).await?;
        publish(rt, &Changes { contacts: linked, ..Changes::default() });
        let expired = early_event::expire(&client, KEPT_DAYS).await?;
        metrics::counter!("wabridge_early_events_expired_total", "database" => rt.name.clone())
            .increment(expired);
        if expired > 0 {
            tracing::info!(
                db.name = %rt.name, expired,
                "database {}: {expired} words about messages that never came are forgotten after {KEPT_DAYS} days", rt.name
            );
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Join,
    Release,
}

/// Does it for all targets at once; when the database refuses that, one by one, so that one at fault holds up
/// no other. Returns for how many it was done.
async fn each_or_all(
    rt: &Runtime,
    session: &mut Session,
    targets: &[(i32, String)],
    work: Work,
) -> Result<usize, StoreError> {
    if targets.is_empty() {
        return Ok(0);
    }
    match step(rt, session, targets, work).await {
        Err(StoreError::Refused(_) | StoreError::Other(_)) => {}
        done => return done.map(|()| targets.len()),
    }
    let mut done = 0;
    for target in targets {
        match step(rt, session, std::slice::from_ref(target), work).await {
            Ok(()) => done += 1,
            Err(error @ (StoreError::Refused(_) | StoreError::Other(_))) => {
                let account = target.0;
                metrics::counter!("wabridge_early_events_refused_total", "database" => rt.name.clone())
                    .increment(1);
                if work == Work::Release {
                    early_event::give_up_echo(&rt.store.client().await?, target).await?;
                    tracing::warn!(
                        db.name = %rt.name, account.id = account, %error,
                        "database {} refuses a message that another program sent with account {account}; its webhook is in the journal: {error}", rt.name
                    );
                } else {
                    tracing::debug!(
                        db.name = %rt.name, account.id = account, %error,
                        "database {} refuses words about a message of account {account}: {error}", rt.name
                    );
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

async fn step(
    rt: &Runtime,
    session: &mut Session,
    targets: &[(i32, String)],
    work: Work,
) -> Result<(), StoreError> {
    let mut changes = match work {
        Work::Join => Changes { look_again: targets.to_vec(), ..Changes::default() },
        Work::Release => release(rt, session, targets).await?,
    };
    ingest::look_again(session, &mut changes, BUDGET).await?;
    publish(rt, &changes);
    Ok(())
}

/// What was given up as uncertain may be what these echoes tell of; the others become messages.
async fn release(
    rt: &Runtime,
    session: &mut Session,
    targets: &[(i32, String)],
) -> Result<Changes, StoreError> {
    let late = ingest::settle_late(session, targets, BUDGET).await?;
    for (account, id, _) in &late.settled {
        metrics::counter!("wabridge_settled_total", "database" => rt.name.clone(), "result" => "late")
            .increment(1);
        tracing::info!(
            db.name = %rt.name, message.id = id, account.id = account, settled = "late",
            "message {id}, given up as uncertain, was sent after all: its echo came late"
        );
    }
    let known: Vec<(i32, String)> =
        late.settled.iter().map(|(account, _, echo)| (*account, echo.clone())).collect();
    let others: Vec<(i32, String)> = targets
        .iter()
        .filter(|target| !known.contains(target) && !late.busy.contains(target))
        .cloned()
        .collect();
    let mut changes = if others.is_empty() {
        Changes::default()
    } else {
        ingest::release_echoes(session, &others, BUDGET).await?
    };
    changes.messages.extend(late.settled.iter().map(|(account, id, _)| (*account, *id)));
    changes.look_again.extend(known);
    Ok(changes)
}
