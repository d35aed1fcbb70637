//! Schedules: begins the runs that are due or asked for, and writes what they came to into Odoo's rows. Odoo's own cron
//! has no part in it. One daemon of a database at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use wabridge_domain::sync::SyncKind;
use wabridge_store::advisory::{self, Job};
use wabridge_store::odoo::audit_log::{self, Entry};
use wabridge_store::sync::run::Begun;
use wabridge_store::sync::schedule::{self, Due};
use wabridge_store::{StoreError, tx};

use crate::audit::words;
use crate::runtime::{Phase, Runtime};

const EVERY: Duration = Duration::from_secs(2);

/// Starts the loop.
pub(super) fn spawn(rt: &Arc<Runtime>) {
    rt.tasks.spawn(run(Arc::clone(rt)));
}

async fn run(rt: Arc<Runtime>) {
    while rt.wait_for(Phase::can_send).await {
        // Which accounts there are must be known before one of their schedules is refused.
        if rt.knows_accounts()
            && let Err(error) = look(&rt).await
        {
            tracing::debug!(db.name = %rt.name, %error, "schedules of database {} are looked at later: {error}", rt.name);
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = rt.stop.cancelled() => return,
        }
    }
}

async fn look(rt: &Runtime) -> Result<(), StoreError> {
    let mut left_out = HashSet::new();
    while let Some((due, begun)) = begin_one(rt, &left_out).await? {
        left_out.insert(due.service_id);
        let (service, account) = (due.service_id, due.configuration_id);
        if let Outcome::Begun(Begun::Queued(run_id)) = begun {
            tracing::info!(
                db.name = %rt.name, account.id = account, sync.run = run_id, sync.service = service,
                "schedule {service} begins synchronisation {run_id} of account {account}"
            );
            rt.live.changed(account, "whatsapp.sync.run", [run_id]);
            rt.live.changed(account, "whatsapp.sync.service", [service]);
            rt.wakes.sync.notify_one();
        }
    }
    let written: Result<Vec<(i32, i32)>, StoreError> = tx!(&rt.store, "sync.write_back", |tx| {
        if advisory::try_lock_tx(tx, Job::Sync).await? {
            schedule::write_back(tx).await
        } else {
            Ok(vec![])
        }
    });
    for (account, service) in written? {
        rt.live.changed(account, "whatsapp.sync.service", [service]);
    }
    Ok(())
}

enum Outcome {
    Begun(Begun),
    Refused,
}

/// Begins the run of the first schedule that is due and not in `left_out`; None where there is none, or another daemon
/// is at it.
async fn begin_one(
    rt: &Runtime,
    left_out: &HashSet<i32>,
) -> Result<Option<(Due, Outcome)>, StoreError> {
    tx!(&rt.store, "sync.begin", |tx| {
        if !advisory::try_lock_tx(tx, Job::Sync).await? {
            return Ok(None);
        }
        let all = schedule::due(tx).await?;
        let Some(due) = all.into_iter().find(|due| !left_out.contains(&due.service_id)) else {
            return Ok(None);
        };
        let outcome = match kinds(rt, &due) {
            Ok(kinds) => Outcome::Begun(schedule::begin(tx, &due, &kinds).await?),
            Err(problem) => {
                schedule::refuse(tx, &due, &problem).await?;
                let entry = Entry {
                    operation: words::SYNC_RUN,
                    error_message: Some(&problem),
                    configuration_id: Some(due.configuration_id),
                    ..Entry::default()
                };
                audit_log::insert(tx, &entry).await?;
                Outcome::Refused
            }
        };
        Ok::<_, StoreError>(Some((due, outcome)))
    })
}

/// What of a schedule's kinds the account's provider lists.
fn kinds(rt: &Runtime, due: &Due) -> Result<Vec<SyncKind>, String> {
    let accounts = rt.accounts();
    let account = accounts
        .get(due.configuration_id)
        .ok_or_else(|| "the provider of the account is not known to this version".to_owned())?;
    let adapter = account.usable_adapter()?;
    if account.token.is_none() {
        return Err(
            "the account has no usable API token; enter it with the wizard \"Set credentials\""
                .into(),
        );
    }
    let can = adapter.capabilities();
    let kinds: Vec<SyncKind> =
        due.kinds.iter().copied().filter(|kind| can.can(kind.operation())).collect();
    if kinds.is_empty() {
        return Err("the provider of the account lists nothing of this kind".into());
    }
    Ok(kinds)
}
