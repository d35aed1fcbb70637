//! Members: added, removed, promoted, demoted.

use std::sync::Arc;

use wabridge_domain::capability::Operation;
use wabridge_domain::event::{GroupUpdate, MemberChange, MemberState, Person, Role};
use wabridge_domain::group::{
    Completion as Told, MemberOperation, MemberOutcome, MemberResult, MembersChanged as Changed,
};
use wabridge_providers::groups::change_members;
use wabridge_rpc::Failure;
use wabridge_rpc::group::{ADD, AddParams, MembersChanged};

use super::invite::{Wish, invite};
use super::once::{Begun, Once};
use super::people::{self, Named};
use super::{Work, completion, invalid};
use crate::accounts::Account;
use crate::failpoint;
use crate::rpc::failure;
use crate::runtime::Runtime;
use crate::send::Caller;

/// Removes, promotes or demotes people.
///
/// # Errors
/// A refusal; then nothing was done for anybody and no row was written.
pub async fn change(
    work: &Work,
    group_id: &str,
    operation: MemberOperation,
    participants: &[String],
) -> Result<MembersChanged, Failure> {
    let group_id = &work.group_id(group_id)?;
    let (needs, cannot) = match operation {
        MemberOperation::Add => (Operation::GroupAdd, "people cannot be added to groups"),
        MemberOperation::Remove => (Operation::GroupRemove, "people cannot be removed from groups"),
        MemberOperation::Promote | MemberOperation::Demote => {
            (Operation::GroupPromote, "roles of members cannot be changed")
        }
    };
    work.able(needs, cannot)?;
    let named = some(work, participants).await?;
    let people = people::unique(&named);
    let (changed, group) = at_provider(work, group_id, operation, &people).await?;
    keep(work, group_id, &changed.people, group, &people).await?;
    Ok(MembersChanged {
        group_id: group_id.clone(),
        completion: completion(&changed.completion),
        participants: people::results(&named, &changed.people),
    })
}

/// Adds people, and invites those who cannot be added where the caller wishes.
///
/// # Errors
/// As [`change`]; `idempotency_conflict` for a key that stands for another call.
pub async fn add(
    rt: &Arc<Runtime>,
    caller: &Caller,
    params: &AddParams,
) -> Result<(MembersChanged, Arc<Account>), Failure> {
    let key = params.idempotency_key.as_deref();
    let once = match Once::open(rt, caller, ADD.name, key, params).await? {
        Begun::Answered(answered) => {
            let account = answered.account(rt, caller).await?;
            return Ok((answered.data()?, account));
        }
        // Adding again adds nobody twice, and the invitations have keys of their own.
        Begun::Open(once) => once,
    };
    let work = Work::of(rt, caller, params.configuration_id, Some(&params.group_id)).await?;
    let group_id = &work.group_id(&params.group_id)?;
    let adapter = work.adapter()?;
    let can = |operation| adapter.capabilities().can(operation);
    // Where people join by the link only, inviting is adding.
    let by_link = params.invite && !can(Operation::GroupAdd) && can(Operation::GroupInvite);
    if !by_link {
        work.able(Operation::GroupAdd, "people cannot be added to groups")?;
    }
    let name = work.known(group_id).await?.and_then(|row| row.name);
    let wish = params
        .invite
        .then(|| Wish::new(&work, params.invite_text.as_deref(), name.as_deref(), key))
        .transpose()?;
    let named = some(&work, &params.participants).await?;
    let people = people::unique(&named);
    once.begin(Some(work.account.id)).await?;
    let told = if by_link {
        let waiting = |person| MemberOutcome::new(person, MemberResult::Waiting);
        let people = people.iter().map(waiting).collect();
        Ok((Changed { completion: Told::Done, people }, None))
    } else {
        at_provider(&work, group_id, MemberOperation::Add, &people).await
    };
    let (mut changed, group) = match told {
        Ok(told) => told,
        Err(failure) => {
            once.forget().await;
            return Err(failure);
        }
    };
    failpoint::hit(&rt.name, "group.done").await;
    if let Some(wish) = &wish {
        let fits = |result| {
            result == MemberResult::RefusedPrivacy || by_link && result == MemberResult::Waiting
        };
        invite(&work, group_id, wish, &mut changed.people, None, fits).await;
        for one in changed.people.iter_mut().filter(|_| by_link) {
            if one.result == Some(MemberResult::Waiting) {
                one.result = Some(MemberResult::Failed);
            }
        }
    }
    keep(&work, group_id, &changed.people, group, &people).await?;
    let answer = MembersChanged {
        group_id: group_id.clone(),
        completion: completion(&changed.completion),
        participants: people::results(&named, &changed.people),
    };
    once.finish(&answer).await;
    Ok((answer, Arc::clone(&work.account)))
}

async fn some(work: &Work, participants: &[String]) -> Result<Vec<Named>, Failure> {
    if participants.is_empty() {
        return Err(invalid("participants is empty; name at least one number or chat id"));
    }
    people::named(work, participants).await
}

/// What came of it at the provider; the group where it was asked for.
pub(super) async fn at_provider(
    work: &Work,
    group_id: &str,
    operation: MemberOperation,
    people: &[Person],
) -> Result<(Changed, Option<GroupUpdate>), Failure> {
    if people.is_empty() {
        return Ok((Changed { completion: Told::Done, people: vec![] }, None));
    }
    let adapter = work.adapter()?;
    let call = work.call()?;
    let (changed, mut group) = change_members(adapter, &call, group_id, operation, people, work.at)
        .await
        .map_err(failure)?;
    let surprise = |one: &MemberOutcome| {
        matches!(one.result, Some(MemberResult::AlreadyMember | MemberResult::NotMember))
    };
    if group.is_none() && changed.people.iter().any(surprise) {
        // The rows may not know who is in it; without an answer the next synchronisation tells.
        group = adapter.group_info(&call, group_id, work.at).await.ok();
    }
    Ok((changed, group))
}

/// Writes what is so now. Who was refused is nobody new, and a call that only was refused writes nothing.
pub(super) async fn keep(
    work: &Work,
    group_id: &str,
    outcomes: &[MemberOutcome],
    group: Option<GroupUpdate>,
    people: &[Person],
) -> Result<(), Failure> {
    let members = changes(outcomes, group.as_ref(), people);
    let surprise = outcomes.iter().any(|one| one.result == Some(MemberResult::NotMember));
    if members.is_empty() && !surprise {
        return Ok(());
    }
    let found = GroupUpdate { members, ..work.found(group_id) };
    let updates: Vec<GroupUpdate> = group.into_iter().chain([found]).collect();
    work.keep(group_id, &updates).await?;
    Ok(())
}

/// The members that results tell of.
pub(super) fn changes(
    outcomes: &[MemberOutcome],
    group: Option<&GroupUpdate>,
    people: &[Person],
) -> Vec<MemberChange> {
    let told = |contact_id: &str| {
        let members = group.iter().flat_map(|group| &group.members);
        members.into_iter().find(|one| one.person.contact_id == contact_id)?.role
    };
    outcomes
        .iter()
        .filter_map(|one| {
            let person = people.iter().find(|person| person.contact_id == one.contact_id)?;
            let (state, role) = match one.result? {
                MemberResult::Added | MemberResult::AlreadyMember => (MemberState::Joined, None),
                MemberResult::Removed => (MemberState::Removed, None),
                MemberResult::Promoted => {
                    let role = told(&one.contact_id).unwrap_or(Role::Admin);
                    (MemberState::Joined, Some(role))
                }
                MemberResult::Demoted => (MemberState::Joined, Some(Role::Member)),
                MemberResult::Invited => (MemberState::Invited, None),
                MemberResult::Waiting
                | MemberResult::NotOnWhatsapp
                | MemberResult::RefusedPrivacy
                | MemberResult::NotAdmin
                | MemberResult::NotMember
                | MemberResult::Failed => return None,
            };
            Some(MemberChange { person: person.clone(), role, state })
        })
        .collect()
}
