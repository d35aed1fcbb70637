//! Door (b): takes over what Odoo's transactions committed, as soon as it hears of it and by polling.

use std::sync::Arc;

use tracing::{debug, warn};
use wabridge_store::database::Dedicated;
use wabridge_store::odoo::outbox_in;

use crate::failpoint;
use crate::runtime::{Phase, Runtime};
use crate::send::adopt;

/// Starts the worker.
pub fn spawn(rt: &Arc<Runtime>) {
    let rt = Arc::clone(rt);
    rt.tasks.clone().spawn(async move { run(&rt).await });
}

async fn run(rt: &Runtime) {
    let mut ear: Option<Dedicated> = None;
    // A held database keeps its rows: they are adopted when somebody decided what it is.
    while rt.wait_for(Phase::can_send).await {
        if ear.is_none() {
            ear = listen(rt).await;
        }
        failpoint::hit(&rt.name, "adopt.round").await;
        drain(rt).await;
        tokio::select! {
            heard = heard(&mut ear) => if heard { rt.wakes.accounts.notify_one() } else { ear = None },
            () = rt.wakes.adopt.notified() => {}
            () = tokio::time::sleep(rt.limits.poll()) => {}
            () = rt.stop.cancelled() => break,
        }
        if !rt.phase().can_send() {
            // A detached database is to be without sessions.
            ear = None;
        }
    }
}

/// A connection that hears of commits; None where there is none, polling suffices.
async fn listen(rt: &Runtime) -> Option<Dedicated> {
    let opened = async {
        let dedicated = rt.store.dedicated().await?;
        outbox_in::listen(&dedicated.client).await?;
        Ok::<_, wabridge_store::StoreError>(dedicated)
    };
    opened
        .await
        .inspect_err(|error| debug!(db.name = %rt.name, %error, "nobody tells of new sends, polling does: {error}"))
        .ok()
}

/// Waits for a notification and takes all that came with it; false when the connection ended.
async fn heard(ear: &mut Option<Dedicated>) -> bool {
    let Some(dedicated) = ear else { return std::future::pending().await };
    let heard = dedicated.connection.recv().await.is_some();
    while dedicated.connection.try_recv().is_ok() {}
    heard
}

/// Adopts everything that is committed. Rows that have to wait are left and met again in the next round.
async fn drain(rt: &Runtime) {
    let mut after = 0;
    while rt.phase().can_send() && !rt.stop.is_cancelled() {
        match adopt::adopt_batch(rt, after).await {
            Ok(Some(batch)) => {
                if batch.adopted > 0 {
                    metrics::counter!("wabridge_adopted_total", "database" => rt.name.clone())
                        .increment(u64::try_from(batch.adopted).unwrap_or(u64::MAX));
                }
                if !batch.full {
                    return;
                }
                after = batch.last_id;
            }
            Ok(None) => return,
            Err(refusal) => {
                warn!(db.name = %rt.name, error.kind = refusal.kind.as_str(), "sends of transactions are taken over later: {refusal}");
                return;
            }
        }
    }
}
