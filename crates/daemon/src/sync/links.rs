//! Invitation links, which lists do not tell: asked for group by group where none is known, once the list of groups was
//! read to its end. Each is written at once with the place where the next worker goes on.

use std::time::Duration;

use wabridge_domain::capability::Operation;
use wabridge_domain::conflict::ConflictPolicy;
use wabridge_domain::sync::SyncKind;
use wabridge_providers::CallError;
use wabridge_store::StoreError;
use wabridge_store::apply::Changes;
use wabridge_store::sync::groups::{self, Linkless};
use wabridge_store::sync::item::{self, Decided};
use wabridge_store::sync::run::{self, At, Step};
use wabridge_store::sync::{self, Counts, Of};

use super::ask::{SLOW_TRIES, provider, until_again};
use super::worker::{Over, WRITE_TRIES, Worker};
use crate::accounts::Account;
use crate::failpoint;
use crate::ingest::publish::publish;

/// How the cursor of a step begins that has come to the links; the row id of the last group follows.
const CURSOR: &str = "links after ";
const AT_ONCE: i64 = 100;
/// Tries without an answer after which a group is left to the next run.
const TRIES: u32 = 3;
/// Groups in a row without an answer after which all others are.
const SILENT: u32 = 3;

/// The cursor of a step that goes on with the links of the groups after this row id.
pub(super) fn cursor(after: i32) -> String {
    format!("{CURSOR}{after}")
}

/// Where a step goes on with links; None: it still reads the list.
pub(super) fn begun(step: &Step) -> Option<i32> {
    step.cursor.as_deref()?.strip_prefix(CURSOR)?.parse().ok()
}

/// Whether links follow the list.
pub(super) fn wanted(account: &Account, kind: SyncKind) -> bool {
    let can =
        || account.usable_adapter().is_ok_and(|a| a.capabilities().can(Operation::GroupInvite));
    kind == SyncKind::Groups && can()
}

/// What the provider said about one link.
enum Told {
    Link(String, jiff::Timestamp),
    /// As a rule because the account is no administrator.
    Refused,
    /// Nothing of use, again and again.
    Silence(String),
}

/// Asks for the links of the groups after this row id, and ends the step.
///
/// # Errors
/// The database's; who works at the run next goes on behind the last link.
pub(super) async fn ask(worker: &mut Worker<'_>, mut after: i32) -> Result<Over, StoreError> {
    let configuration_id = worker.run.configuration_id;
    let mut silent = 0;
    let mut problem = None;
    'all: loop {
        let groups = groups::linkless(&worker.session, configuration_id, after, AT_ONCE).await?;
        if groups.is_empty() {
            break;
        }
        for group in groups {
            let Some(account) = worker.rt.accounts().get(configuration_id).cloned() else {
                return Ok(Over::Account("the account is gone, or its provider is unknown".into()));
            };
            if !wanted(&account, SyncKind::Groups) {
                break 'all;
            }
            match one(worker, &account, &group).await? {
                Err(over) => return Ok(over),
                Ok(Told::Link(link, at)) => {
                    silent = 0;
                    failpoint::hit(&worker.rt.name, "sync.link_told").await;
                    if !keep(worker, &account, &group, &link, at).await? {
                        return Ok(Over::Cancelled);
                    }
                    failpoint::hit(&worker.rt.name, "sync.link_kept").await;
                    worker.show().await?;
                }
                Ok(Told::Refused) => {
                    silent = 0;
                    groups::link_refused(&worker.session, &group).await?;
                }
                Ok(Told::Silence(why)) => {
                    silent += 1;
                    if silent >= SILENT {
                        problem = Some(format!(
                            "groups: invitation links are left to the next run: {why}"
                        ));
                        break 'all;
                    }
                }
            }
            after = group.id;
        }
    }
    let goes_on = done(worker).await?;
    Ok(match problem {
        _ if !goes_on => Over::Cancelled,
        Some(problem) => Over::Kind(problem),
        None => Over::Done,
    })
}

/// Asks for one link, at the account's pace.
async fn one(
    worker: &mut Worker<'_>,
    account: &Account,
    group: &Linkless,
) -> Result<Result<Told, Over>, StoreError> {
    let request_id = worker.request_id();
    let (mut tries, mut slow) = (0, 0);
    loop {
        if let Some(over) = worker.at_pace(account).await? {
            return Ok(Err(over));
        }
        if run::is_cancelled(&worker.session, worker.run.id).await? {
            return Ok(Err(Over::Cancelled));
        }
        let at = worker.rt.clock.now();
        let told = match provider(worker, account, &request_id) {
            Ok((adapter, call)) => adapter.group_invite(&call, &group.group_id).await,
            Err(over) => return Ok(Err(over)),
        };
        let error = match told {
            Ok(link) => return Ok(Ok(Told::Link(link, at))),
            Err(error) => error,
        };
        let asked = match error {
            CallError::AccountDown { .. } => return Ok(Err(Over::Account(error.to_string()))),
            CallError::Refused { .. } => {
                tracing::debug!(
                    db.name = %worker.rt.name, account.id = account.id, sync.run = worker.run.id,
                    "the provider does not tell account {} the link of group {}", account.id, group.id
                );
                return Ok(Ok(Told::Refused));
            }
            CallError::RateLimited { retry_after } => {
                slow += 1;
                retry_after
            }
            CallError::Unavailable { .. } => {
                tries += 1;
                None
            }
        };
        if tries >= TRIES || slow >= SLOW_TRIES {
            return Ok(Ok(Told::Silence(error.to_string())));
        }
        if let Some(over) = worker.pause(until_again(tries + slow, asked)).await? {
            return Ok(Err(over));
        }
    }
}

/// Writes a link; false where the run is to end here.
async fn keep(
    worker: &mut Worker<'_>,
    account: &Account,
    group: &Linkless,
    link: &str,
    at: jiff::Timestamp,
) -> Result<bool, StoreError> {
    let of = Of {
        configuration_id: account.id,
        provider: account.provider,
        policy: ConflictPolicy::from_column(worker.run.conflict_policy.as_deref()),
        at,
        read_at: None,
    };
    let mut tries = 1;
    loop {
        match write(worker, &of, group, link).await {
            Ok((changes, goes_on)) => {
                publish(worker.rt, &changes);
                return Ok(goes_on);
            }
            Err(StoreError::Busy(_)) if tries < WRITE_TRIES => {
                tokio::time::sleep(Duration::from_millis(100 * u64::from(tries))).await;
                tries += 1;
            }
            Err(StoreError::Refused(why) | StoreError::Other(why)) => {
                return spoilt(worker, group, &why).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn write(
    worker: &mut Worker<'_>,
    of: &Of,
    group: &Linkless,
    link: &str,
) -> Result<(Changes, bool), StoreError> {
    let run_id = worker.run.id;
    let place = cursor(group.id);
    let tx = worker.session.transaction().await?;
    sync::mark(&tx).await?;
    let changes = groups::link(&tx, of, group, link).await?;
    let goes_on = run::step(&tx, run_id, &at(Some(&place), Counts::default())).await?;
    tx.commit().await?;
    Ok((changes, goes_on))
}

/// The database refuses the link of this group: an error of the run, which goes on.
async fn spoilt(worker: &mut Worker<'_>, group: &Linkless, why: &str) -> Result<bool, StoreError> {
    let run_id = worker.run.id;
    let item = item::Item {
        name: Some(group.group_id.clone()),
        field: Some("invite_link"),
        res_id: Some(group.id),
        ..item::Item::new(
            SyncKind::Groups,
            Decided::Error,
            format!("the database refuses it: {why}"),
        )
    };
    let counts = Counts { errors: 1, ..Counts::default() };
    let place = cursor(group.id);
    let tx = worker.session.transaction().await?;
    item::add(&tx, run_id, &[item]).await?;
    let goes_on = run::step(&tx, run_id, &at(Some(&place), counts)).await?;
    tx.commit().await?;
    Ok(goes_on)
}

/// The links are done; false where the run is to end here.
async fn done(worker: &mut Worker<'_>) -> Result<bool, StoreError> {
    let run_id = worker.run.id;
    let tx = worker.session.transaction().await?;
    let goes_on = run::step(&tx, run_id, &at(None, Counts::default())).await?;
    tx.commit().await?;
    Ok(goes_on)
}

fn at(cursor: Option<&str>, counts: Counts) -> At<'_> {
    At { kind: SyncKind::Groups, cursor, total: None, counts, high: None }
}
