//! Somebody leaves the company: removed from every group, with a receipt for each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use wabridge_domain::Kind;
use wabridge_domain::capability::Operation;
use wabridge_domain::content::{Content, Text};
use wabridge_domain::event::Person;
use wabridge_domain::group::{MemberOperation, MemberResult};
use wabridge_rpc::Failure;
use wabridge_rpc::group::{
    Farewell, GROUPS_MAX, REMOVE_EVERYWHERE, Receipt, RemoveEverywhereParams, RemovedEverywhere,
};
use wabridge_store::odoo::group_view::{self, Membership};
use wabridge_store::{StoreError, read};

use super::invite::{hand_over, key_of};
use super::once::{Begun, Once};
use super::{Work, invalid, members, people};
use crate::access;
use crate::failpoint;
use crate::runtime::Runtime;
use crate::send::Caller;

/// After this no further group is begun.
const WHOLE: Duration = Duration::from_secs(45);
/// How long the farewell may take to leave before the person does.
const FAREWELL_WAIT_MS: u32 = 5_000;

/// An account, and who the person is there.
struct At {
    work: Work,
    person: Person,
}

/// A group to be removed from.
struct Place {
    configuration_id: i32,
    id: Option<i32>,
    group_id: String,
    name: Option<String>,
}

impl Place {
    fn receipt(&self, result: MemberResult, reason: Option<String>) -> Receipt {
        Receipt {
            configuration_id: self.configuration_id,
            id: self.id,
            group_id: self.group_id.clone(),
            name: self.name.clone(),
            result,
            reason,
        }
    }

    fn is_of(&self, receipt: &Receipt) -> bool {
        receipt.configuration_id == self.configuration_id && receipt.group_id == self.group_id
    }
}

impl From<Membership> for Place {
    fn from(row: Membership) -> Self {
        Self {
            configuration_id: row.configuration_id,
            id: Some(row.id),
            group_id: row.group_id,
            name: row.name,
        }
    }
}

/// Removes a person from groups, one after the other at each account.
///
/// # Errors
/// A refusal; then nothing was done. What does not work in one group is its receipt.
pub async fn remove_everywhere(
    rt: &Arc<Runtime>,
    caller: &Caller,
    params: &RemoveEverywhereParams,
) -> Result<RemovedEverywhere, Failure> {
    let key = params.idempotency_key.as_deref();
    let once = match Once::open(rt, caller, REMOVE_EVERYWHERE.name, key, params).await? {
        Begun::Answered(answered) => {
            if params.configuration_id.is_some() {
                answered.account(rt, caller).await?;
            }
            return answered.data();
        }
        Begun::Open(once) => once,
    };
    let accounts = accounts(rt, caller, params).await?;
    if let Some(text) = &params.farewell {
        Content::text(Text { body: text.clone(), preview: None, mentions: vec![] })?;
    }
    let places = places(rt, &accounts, params).await?;
    let before: RemovedEverywhere = once
        .progress()
        .and_then(|progress| serde_json::from_value(progress.clone()).ok())
        .unwrap_or(RemovedEverywhere { results: vec![], farewell: None });
    let known = |place: &Place| before.results.iter().any(|receipt| place.is_of(receipt));
    let open: Vec<Place> = places.into_iter().filter(|place| !known(place)).collect();
    once.begin(params.configuration_id).await?;
    let farewell = match (&params.farewell, before.farewell) {
        (_, Some(sent)) => Some(sent),
        (Some(text), None) => say_farewell(rt, caller, params, text, &accounts, &open).await,
        (None, None) => None,
    };
    let done = Mutex::new(RemovedEverywhere { results: before.results, farewell });
    once.note_progress(&json!(*done.lock().await)).await;
    let end = Instant::now() + WHOLE;
    let sides = accounts.iter().map(|at| remove(at, &open, &once, &done, end));
    let late: Vec<Receipt> = join_all(sides).await.into_iter().flatten().collect();
    let mut answer = done.into_inner();
    if late.is_empty() {
        once.finish(&answer).await;
    }
    // Asked again with its key, the call goes on with these.
    answer.results.extend(late);
    answer.results.sort_by_key(|receipt| (receipt.configuration_id, receipt.id));
    Ok(answer)
}

/// The accounts that are meant, with the person as each names him.
async fn accounts(
    rt: &Arc<Runtime>,
    caller: &Caller,
    params: &RemoveEverywhereParams,
) -> Result<Vec<At>, Failure> {
    let ids = match params.configuration_id {
        Some(id) => vec![id],
        None => access::usable_accounts(&caller.user),
    };
    let mut all = Vec::with_capacity(ids.len());
    let mut wrong = None;
    for id in ids {
        let work = match Work::of(rt, caller, Some(id), None).await {
            Ok(work) => work,
            Err(failure) if params.configuration_id.is_some() => return Err(failure),
            // Archived, or of a provider that is not known: nothing can be done with it.
            Err(failure) => match failure.kind() {
                Kind::ConfigurationInactive | Kind::UnsupportedByProvider => continue,
                _ => return Err(failure),
            },
        };
        let named = people::named(&work, std::slice::from_ref(&params.participant)).await;
        match named.map(|mut named| named.pop().map(|one| one.person)) {
            Ok(Some(Ok(person))) => all.push(At { work, person }),
            // An id of one provider is none of another.
            Ok(Some(Err(refusal))) => wrong = wrong.or(Some(refusal.into())),
            Ok(None) => {}
            Err(failure) if failure.kind() == Kind::UnsupportedByProvider => {
                wrong = wrong.or(Some(failure));
            }
            Err(failure) => return Err(failure),
        }
    }
    match (all.is_empty(), wrong) {
        (false, _) => Ok(all),
        (true, Some(failure)) => Err(failure),
        (true, None) => {
            let why = "no active account may be used by this user";
            Err(Failure::new(Kind::NoConfigurationForUser, why))
        }
    }
}

async fn places(
    rt: &Runtime,
    accounts: &[At],
    params: &RemoveEverywhereParams,
) -> Result<Vec<Place>, Failure> {
    let Some(group_ids) = &params.group_ids else {
        let people: Vec<(i32, String, Option<String>)> = accounts
            .iter()
            .map(|at| (at.work.account.id, at.person.contact_id.clone(), at.person.phone.clone()))
            .collect();
        let found: Result<Vec<Membership>, StoreError> =
            read!(&rt.store, "group.memberships", |client| {
                group_view::memberships(client, &people).await
            });
        let found = found.map_err(|error| access::store_refusal(rt, &error))?;
        return Ok(found.into_iter().map(Place::from).collect());
    };
    if group_ids.is_empty() || group_ids.len() > GROUPS_MAX {
        return Err(invalid(format!("group_ids holds 1 to {GROUPS_MAX} ids")));
    }
    let ids: Vec<i32> = accounts.iter().map(|at| at.work.account.id).collect();
    let found: Result<Vec<Membership>, StoreError> = read!(&rt.store, "group.named", |client| {
        let texts: Vec<&str> = group_ids.iter().map(String::as_str).collect();
        group_view::named(client, &ids, &texts).await
    });
    let found = found.map_err(|error| access::store_refusal(rt, &error))?;
    let mut places: Vec<Place> = found.into_iter().map(Place::from).collect();
    for group_id in group_ids {
        if places.iter().any(|place| place.group_id == *group_id) {
            continue;
        }
        let (Some(configuration_id), Some(at)) = (params.configuration_id, accounts.first()) else {
            let why = format!("no account knows a group with the id {group_id}; name its account");
            return Err(Failure::new(Kind::RecordNotFound, why));
        };
        let group_id = at.work.group_id(group_id)?;
        places.push(Place { configuration_id, id: None, group_id, name: None });
    }
    Ok(places)
}

/// The farewell, through an account that has a group with the person.
async fn say_farewell(
    rt: &Arc<Runtime>,
    caller: &Caller,
    params: &RemoveEverywhereParams,
    text: &str,
    accounts: &[At],
    open: &[Place],
) -> Option<Farewell> {
    let shares = |at: &&At| open.iter().any(|place| place.configuration_id == at.work.account.id);
    let at = accounts.iter().find(shares)?;
    let call = params.idempotency_key.as_deref().unwrap_or(&caller.request_id);
    let (account, contact_id) = (at.work.account.id, at.person.contact_id.as_str());
    let key = key_of("farewell", call, "", contact_id);
    let text = text.to_owned();
    let sent = hand_over(rt, caller, account, contact_id, text, key, FAREWELL_WAIT_MS).await;
    Some(match sent {
        Ok(sent) => {
            Farewell { id: Some(sent.id), status: sent.status.as_str().to_owned(), reason: None }
        }
        Err(refusal) => {
            Farewell { id: None, status: "refused".to_owned(), reason: Some(refusal.message) }
        }
    })
}

/// Removes the person from the groups of one account; receipts of those that were not begun in time.
async fn remove(
    at: &At,
    open: &[Place],
    once: &Once,
    done: &Mutex<RemovedEverywhere>,
    end: Instant,
) -> Vec<Receipt> {
    let mut late = Vec::new();
    for place in open.iter().filter(|place| place.configuration_id == at.work.account.id) {
        if Instant::now() >= end {
            let why = "there was no time left for this group; ask again";
            late.push(place.receipt(MemberResult::Failed, Some(why.to_owned())));
            continue;
        }
        let (result, reason) = match from_one(at, &place.group_id).await {
            Ok(outcome) => outcome,
            Err(failure) => (MemberResult::Failed, Some(failure.refusal.message)),
        };
        failpoint::hit(&at.work.rt.name, "group.removed").await;
        let mut all = done.lock().await;
        all.results.push(place.receipt(result, reason));
        once.note_progress(&json!(*all)).await;
    }
    late
}

async fn from_one(at: &At, group_id: &str) -> Result<(MemberResult, Option<String>), Failure> {
    let work = &at.work;
    work.able(Operation::GroupRemove, "people cannot be removed from groups")?;
    let people = std::slice::from_ref(&at.person);
    let (changed, group) =
        members::at_provider(work, group_id, MemberOperation::Remove, people).await?;
    let outcome = changed.people.first();
    let result = outcome.and_then(|one| one.result).unwrap_or(MemberResult::Failed);
    let reason = outcome.and_then(|one| one.reason.clone());
    match members::keep(work, group_id, &changed.people, group, people).await {
        Ok(()) => Ok((result, reason)),
        Err(failure) => Ok((result, Some(failure.refusal.message))),
    }
}
