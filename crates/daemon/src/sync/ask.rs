//! One page of a provider's list, asked for until it is there or will not be.

use std::time::Duration;

use jiff::Timestamp;
use rand::SeedableRng;
use wabridge_domain::Kind;
use wabridge_domain::backoff;
use wabridge_domain::event::{Event, GroupUpdate};
use wabridge_domain::sync::{SyncKind, SyncMode};
use wabridge_providers::{Call, CallError, History, Page, Provider};
use wabridge_store::StoreError;
use wabridge_store::sync::run::{Run, Step};

use super::worker::{Over, Worker};
use crate::accounts::Account;

/// Tries in a row without an answer after which a list is given up.
const TRIES: u32 = 8;
/// A provider that asks to slow down is given up later.
pub(super) const SLOW_TRIES: u32 = 20;
/// Messages are read again from so long before the newest that is known: what came out of order is found.
const OVERLAP: Duration = Duration::from_secs(3600);

/// A page as it was told.
#[derive(Debug)]
pub(super) struct Listed {
    pub what: What,
    pub next: Option<String>,
    pub total: Option<u64>,
    pub unreadable: Vec<String>,
    pub at: Timestamp,
}

#[derive(Debug)]
pub(super) enum What {
    Events(Vec<Event>),
    Groups(Vec<GroupUpdate>),
}

impl Listed {
    fn of<T>(page: Page<T>, at: Timestamp, what: impl Fn(Vec<T>) -> What) -> Self {
        let Page { items, next, total, unreadable } = page;
        Self { what: what(items), next, total, unreadable, at }
    }
}

/// Asks for the page at `cursor`.
///
/// # Errors
/// The database's, in waits. The inner one: there is no such page, and what that means.
pub(super) async fn page(
    worker: &Worker<'_>,
    account: &Account,
    step: &Step,
    cursor: Option<&str>,
) -> Result<Result<Listed, Over>, StoreError> {
    let kind = step.kind.as_str();
    let request_id = worker.request_id();
    let (adapter, call) = match provider(worker, account, &request_id) {
        Ok(both) => both,
        Err(over) => return Ok(Err(over)),
    };
    let mut cursor = cursor;
    let (mut tries, mut slow) = (0, 0);
    loop {
        let at = worker.rt.clock.now();
        let error = match ask(adapter, &call, &worker.run, step, cursor, at).await {
            Ok(listed) => return Ok(Ok(listed)),
            Err(error) => error,
        };
        let asked = match error {
            CallError::AccountDown { .. } => return Ok(Err(Over::Account(error.to_string()))),
            CallError::Refused { kind: Kind::InvalidContent, .. } if cursor.is_some() => {
                // The cursor is of another time or adapter: what is known already costs little.
                cursor = None;
                continue;
            }
            CallError::Refused { .. } => {
                return Ok(Err(Over::Kind(format!("{kind}: {error}"))));
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
            return Ok(Err(Over::Kind(format!(
                "{kind}: given up after {} tries: {error}",
                tries + slow
            ))));
        }
        let wait = until_again(tries + slow, asked);
        tracing::debug!(
            db.name = %worker.rt.name, account.id = account.id, sync.run = worker.run.id, sync.kind = kind,
            "a page of {kind} of account {} is asked for again in {} ms: {error}", account.id, wait.as_millis()
        );
        if let Some(over) = worker.pause(wait).await? {
            return Ok(Err(over));
        }
    }
}

/// Whom to ask for an account, and how.
///
/// # Errors
/// Nothing can be asked with this account, and why.
pub(super) fn provider<'a>(
    worker: &'a Worker<'_>,
    account: &'a Account,
    request_id: &'a str,
) -> Result<(&'a dyn Provider, Call<'a>), Over> {
    let adapter = account.usable_adapter().map_err(|why| Over::Account(why.to_owned()))?;
    if !account.active {
        return Err(Over::Account("the account is archived".into()));
    }
    let Some(token) = account.token.as_ref() else {
        let why =
            "the account has no usable API token; enter it with the wizard \"Set credentials\"";
        return Err(Over::Account(why.into()));
    };
    let call = Call {
        http: &worker.rt.http,
        base_url: account.base_url.as_deref(),
        token,
        channel_id: account.channel_id.as_deref(),
        request_id,
        timeout: worker.rt.limits.provider_timeout(),
    };
    Ok((adapter, call))
}

/// How long to wait before the next try, which the provider may have said.
pub(super) fn until_again(tries: u32, asked: Option<Duration>) -> Duration {
    let own = backoff::full_jitter(tries, &mut rand::rngs::StdRng::from_os_rng());
    backoff::with_retry_after(own.min(Duration::from_secs(60)), asked)
}

async fn ask(
    adapter: &dyn Provider,
    call: &Call<'_>,
    run: &Run,
    step: &Step,
    cursor: Option<&str>,
    at: Timestamp,
) -> Result<Listed, CallError> {
    match step.kind {
        SyncKind::Contacts => {
            let page = adapter.list_contacts(call, cursor, at).await?;
            Ok(Listed::of(page, at, What::Events))
        }
        SyncKind::Groups => {
            let page = adapter.list_groups(call, cursor, at).await?;
            Ok(Listed::of(page, at, What::Groups))
        }
        SyncKind::Messages => {
            let since = match run.mode {
                SyncMode::Full => None,
                SyncMode::Since => run.since,
                SyncMode::Incremental => {
                    step.mark.and_then(|mark| mark.high).map(|high| high - OVERLAP)
                }
            };
            let history = History { since, until: None, chat: None, at };
            let mut page = adapter.list_messages(call, &history, cursor).await?;
            if let Some(since) = since {
                // Some providers cannot choose.
                page.items.retain(|event| match &event.what {
                    wabridge_domain::event::What::Message(message) => {
                        message.at.as_second() >= since.as_second()
                    }
                    _ => true,
                });
            }
            Ok(Listed::of(page, at, What::Events))
        }
    }
}
