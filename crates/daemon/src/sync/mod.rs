//! Synchronisation of one database: runs are claimed and worked at, and schedules that are due begin theirs.
//!
//! Every daemon looks for runs that nobody works at; who gets a run's lock (`store::sync::run::take`) works at it in that
//! session, page by page, and whoever comes after a kill goes on at the stored cursor.

mod ask;
mod clock;
mod links;
mod page;
mod worker;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wabridge_store::StoreError;
use wabridge_store::sync::run;

use crate::runtime::{Phase, Runtime};

/// Runs that one daemon works at together in one database; each has a session of its own.
const AT_ONCE: usize = 4;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A run that met trouble with the database is taken again after this.
const AFTER_TROUBLE: Duration = Duration::from_secs(2);

/// Starts the loops.
pub fn spawn(rt: &Arc<Runtime>) {
    rt.tasks.spawn(look(Arc::clone(rt)));
    clock::spawn(rt);
}

async fn look(rt: Arc<Runtime>) {
    let mine: Arc<Mutex<HashSet<i32>>> = Arc::default();
    while rt.wait_for(Phase::can_send).await {
        match run::waiting(&rt.store).await {
            Ok(waiting) => {
                for one in waiting {
                    let taken = {
                        let mut mine = mine.lock().expect("no holder of this lock can panic");
                        // A run that is to end needs no room: it ends at once.
                        (one.cancelled || mine.len() < AT_ONCE) && mine.insert(one.run_id)
                    };
                    if taken {
                        rt.tasks.spawn(work(Arc::clone(&rt), one.run_id, Arc::clone(&mine)));
                    }
                }
            }
            Err(error) => {
                tracing::debug!(db.name = %rt.name, %error, "runs of database {} are looked for later: {error}", rt.name);
            }
        }
        tokio::select! {
            () = rt.wakes.sync.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = rt.stop.cancelled() => return,
        }
    }
}

async fn work(rt: Arc<Runtime>, run_id: i32, mine: Arc<Mutex<HashSet<i32>>>) {
    if let Err(error) = worker::work(&rt, run_id).await {
        if !matches!(error, StoreError::Unavailable(_)) {
            tracing::warn!(
                db.name = %rt.name, sync.run = run_id, %error,
                "synchronisation {run_id} met trouble with the database and is taken up again: {error}"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(AFTER_TROUBLE) => {}
            () = rt.stop.cancelled() => {}
        }
    }
    mine.lock().expect("no holder of this lock can panic").remove(&run_id);
    rt.wakes.sync.notify_one();
}
