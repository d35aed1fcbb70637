//! A page into the database: rows, decisions, counts and the next cursor in one transaction.

use jiff::Timestamp;
use wabridge_domain::conflict::ConflictPolicy;
use wabridge_domain::event::{ContactUpdate, GroupUpdate, What};
use wabridge_domain::sync::SyncKind;
use wabridge_store::apply::{Changes, Item};
use wabridge_store::sync::item::{self, Decided};
use wabridge_store::sync::run::{self, At, Step};
use wabridge_store::sync::{self, Of, Page, contacts, groups, messages};
use wabridge_store::{StoreError, Tx, savepoint};

use super::ask::{self, Listed};
use super::worker::Worker;
use crate::accounts::Account;
use crate::failpoint;
use crate::ingest::route;

/// See [`messages::live_since`].
///
/// # Errors
/// The database's.
pub(super) async fn live_since(worker: &Worker<'_>) -> Result<Option<Timestamp>, StoreError> {
    let client = worker.rt.store.client().await?;
    messages::live_since(&client, worker.run.configuration_id).await
}

/// The things of a page.
enum Things {
    Contacts(Vec<ContactUpdate>),
    Groups(Vec<GroupUpdate>),
    Messages(Vec<Item>),
}

impl Things {
    fn of(rt_name: &str, account: &Account, kind: SyncKind, listed: &Listed) -> Self {
        match &listed.what {
            ask::What::Groups(groups) => Self::Groups(groups.clone()),
            ask::What::Events(events) if kind == SyncKind::Messages => {
                let items = events
                    .iter()
                    .map(|event| route::told(rt_name, account, event.what.clone(), listed.at));
                Self::Messages(items.collect())
            }
            ask::What::Events(events) => {
                let updates = events.iter().filter_map(|event| match &event.what {
                    What::Contact(update) => Some((**update).clone()),
                    _ => None,
                });
                Self::Contacts(updates.collect())
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Contacts(list) => list.len(),
            Self::Groups(list) => list.len(),
            Self::Messages(list) => list.len(),
        }
    }

    async fn write(
        &self,
        tx: &Tx<'_>,
        of: &Of,
        live_since: Option<Timestamp>,
        part: std::ops::Range<usize>,
    ) -> Result<Page, StoreError> {
        match self {
            Self::Contacts(list) => contacts::write(tx, of, &list[part]).await,
            Self::Groups(list) => groups::write(tx, of, &list[part]).await,
            Self::Messages(list) => messages::write(tx, of, &list[part], live_since).await,
        }
    }

    /// Whom one of them is about.
    fn name(&self, n: usize) -> Option<String> {
        match self {
            Self::Contacts(list) => {
                let person = &list.get(n)?.person;
                Some(person.name.clone().unwrap_or_else(|| person.contact_id.clone()))
            }
            Self::Groups(list) => {
                let group = list.get(n)?;
                Some(group.name.clone().unwrap_or_else(|| group.group_id.clone()))
            }
            Self::Messages(list) => match &list.get(n)?.what {
                What::Message(message) => Some(message.message_id.clone()),
                _ => None,
            },
        }
    }
}

/// Writes a page; what changed, and whether the run goes on.
///
/// # Errors
/// The database's; nothing was written then.
pub(super) async fn write(
    worker: &mut Worker<'_>,
    account: &Account,
    policy: ConflictPolicy,
    step: &Step,
    listed: &Listed,
    live_since: Option<Timestamp>,
) -> Result<(Changes, bool), StoreError> {
    let things = Things::of(&worker.rt.name, account, step.kind, listed);
    let of = Of {
        configuration_id: account.id,
        provider: account.provider,
        policy,
        at: listed.at,
        read_at: step.mark.map(|mark| mark.read_at),
    };
    let (name, run_id) = (worker.rt.name.clone(), worker.run.id);
    let whole = attempt(worker, &of, step, listed, &things, live_since, false).await;
    let (changes, goes_on) = match whole {
        Err(StoreError::Refused(why) | StoreError::Other(why)) => {
            tracing::info!(
                db.name = %name, account.id = account.id, sync.run = run_id, sync.kind = step.kind.as_str(),
                "the database refuses something of a page of synchronisation {run_id}; it is written in parts: {why}"
            );
            attempt(worker, &of, step, listed, &things, live_since, true).await?
        }
        other => other?,
    };
    Ok((changes, goes_on))
}

async fn attempt(
    worker: &mut Worker<'_>,
    of: &Of,
    step: &Step,
    listed: &Listed,
    things: &Things,
    live_since: Option<Timestamp>,
    in_parts: bool,
) -> Result<(Changes, bool), StoreError> {
    let (name, run_id) = (worker.rt.name.clone(), worker.run.id);
    let tx = worker.session.transaction().await?;
    sync::mark(&tx).await?;
    let mut page = if in_parts {
        write_in_parts(&tx, of, step.kind, things, live_since).await?
    } else {
        things.write(&tx, of, live_since, 0..things.len()).await?
    };
    for why in &listed.unreadable {
        page.items.push(item::Item::new(step.kind, Decided::Error, why.clone()));
        page.counts.read += 1;
        page.counts.errors += 1;
    }
    item::add(&tx, run_id, &page.items).await?;
    let at = At {
        kind: step.kind,
        cursor: listed.next.as_deref(),
        total: listed.total,
        counts: page.counts,
        high: page.high,
    };
    let goes_on = run::step(&tx, run_id, &at).await?;
    failpoint::hit(&name, "sync.before_commit").await;
    tx.commit().await?;
    Ok((page.changes, goes_on))
}

/// Halves what is refused until it stands alone; it becomes an error of the run, and the rest is written.
async fn write_in_parts(
    tx: &Tx<'_>,
    of: &Of,
    kind: SyncKind,
    things: &Things,
    live_since: Option<Timestamp>,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut parts: Vec<std::ops::Range<usize>> = std::iter::once(0..things.len()).collect();
    while let Some(part) = parts.pop() {
        savepoint::begin(tx).await?;
        match things.write(tx, of, live_since, part.clone()).await {
            Ok(written) => {
                savepoint::keep(tx).await?;
                page.counts += written.counts;
                page.changes.absorb(written.changes);
                page.items.extend(written.items);
                page.high = page.high.max(written.high);
            }
            Err(StoreError::Refused(why) | StoreError::Other(why)) => {
                savepoint::undo(tx).await?;
                if part.len() > 1 {
                    let middle = part.start + part.len() / 2;
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                    continue;
                }
                page.counts.read += 1;
                page.counts.errors += 1;
                page.items.push(item::Item {
                    name: things.name(part.start),
                    ..item::Item::new(
                        kind,
                        Decided::Error,
                        format!("the database refuses it: {why}"),
                    )
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}
