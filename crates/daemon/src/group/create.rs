//! Making groups: the one call about groups that must not be made twice.

use std::sync::Arc;

use serde_json::json;
use wabridge_domain::Kind;
use wabridge_domain::capability::Operation;
use wabridge_domain::event::{GroupUpdate, Person};
use wabridge_domain::group::{Completion as Told, MemberResult, NewGroup};
use wabridge_providers::CreateError;
use wabridge_providers::groups::{Made, make_group};
use wabridge_rpc::Failure;
use wabridge_rpc::group::{CREATE, Completion, CreateParams, Created};
use wabridge_store::group_invitation::{self, Outcome, Standing};
use wabridge_store::{StoreError, read, tx};

use super::edit::{self, Edit};
use super::invite::{Wish, invite};
use super::once::{Answered, Begun, Once};
use super::people::{self, Named};
use super::{Work, completion, icon, members};
use crate::access;
use crate::accounts::Account;
use crate::failpoint;
use crate::rpc::failure;
use crate::runtime::Runtime;
use crate::send::Caller;

/// What is said of a group that may be there.
const LOOK_FIRST: &str =
    "look for it in WhatsApp or synchronise the groups; to make another one use a new key";
const OWED: &str = "gets the invitation as soon as the provider has made the group";

/// Makes a group with everything that belongs to it.
///
/// # Errors
/// A refusal: nothing was made. `provider_timeout` says that it is unknown.
pub async fn create(
    rt: &Arc<Runtime>,
    caller: &Caller,
    params: &CreateParams,
) -> Result<(Created, Arc<Account>), Failure> {
    let key = params.idempotency_key.as_deref();
    let once = match Once::open(rt, caller, CREATE.name, key, params).await? {
        Begun::Answered(answered) => {
            let account = answered.account(rt, caller).await?;
            return Ok((again(rt, &account, &answered).await?, account));
        }
        Begun::Open(once) => once,
    };
    let work = Work::of(rt, caller, params.configuration_id, None).await?;
    if once.was_begun() {
        let why = format!(
            "the bridge ended while it made this group, so it is unknown whether it is there; {LOOK_FIRST}"
        );
        return Err(Failure::new(Kind::ProviderTimeout, why));
    }
    work.able(Operation::GroupCreate, "groups cannot be made")?;
    let new = Draft::read(&work, params).await?;
    once.begin(Some(work.account.id)).await?;
    let made = make_group(work.adapter()?, &work.call()?, &new.group, work.at).await;
    failpoint::hit(&rt.name, "group.done").await;
    match made {
        Ok(made) => {
            let created = finish(&work, &once, &new, made).await?;
            Ok((created, Arc::clone(&work.account)))
        }
        Err(CreateError::NotMade(error)) => {
            once.forget().await;
            Err(failure(error))
        }
        Err(CreateError::Uncertain { reason }) => {
            let why = format!("it is unknown whether the group was made ({reason}); {LOOK_FIRST}");
            let failure = Failure::new(Kind::ProviderTimeout, why);
            once.fail(&failure).await;
            Err(failure)
        }
    }
}

/// What is to be made.
struct Draft {
    group: NewGroup,
    named: Vec<Named>,
    people: Vec<Person>,
    edits: Vec<Edit>,
    wish: Option<Wish>,
}

impl Draft {
    async fn read(work: &Work, params: &CreateParams) -> Result<Self, Failure> {
        let subject = edit::subject(&params.name)?;
        let description = params.description.as_deref().map(edit::description).transpose()?;
        let description = description.filter(|text| !text.is_empty());
        let mut edits = edit::switches(params.settings.as_ref());
        if let Some(given) = &params.icon {
            let read = icon::read(work, given).await?;
            edits.push(("icon", wabridge_domain::group::GroupEdit::Icon(read)));
        }
        let wish = params
            .invite
            .then(|| {
                let (text, key) =
                    (params.invite_text.as_deref(), params.idempotency_key.as_deref());
                Wish::new(work, text, Some(&subject), key)
            })
            .transpose()?;
        let named = people::named(work, &params.participants).await?;
        let people = people::unique(&named);
        if let (true, Some(Err(refusal))) =
            (people.is_empty(), named.first().map(|one| &one.person))
        {
            return Err(refusal.clone().into());
        }
        let group = NewGroup { subject, description, people: people.clone() };
        Ok(Self { group, named, people, edits, wish })
    }
}

async fn finish(work: &Work, once: &Once, new: &Draft, made: Made) -> Result<Created, Failure> {
    let Made { mut created, mut problems } = made;
    let name = new.group.subject.clone();
    let Some(group_id) = created.group_id.clone() else {
        return later(work, once, new, created, problems).await;
    };
    let mut updates = Vec::new();
    let can_edit = work.adapter()?.capabilities().can(Operation::GroupUpdate);
    let mut ours = work.found(&group_id);
    if can_edit {
        let edited = edit::make(work, &group_id, new.edits.clone()).await?;
        ours = edit::as_update(work, &group_id, &edited.done);
        problems.extend(edited.problems);
    } else {
        problems.extend(new.edits.iter().map(|(word, _)| {
            format!("{word} was not set: groups cannot be changed through this provider")
        }));
    }
    if let Some(wish) = &new.wish {
        let link = created.invite_link.clone();
        let fits = |result| matches!(result, MemberResult::RefusedPrivacy | MemberResult::Waiting);
        let asked = invite(work, &group_id, wish, &mut created.people, link.as_deref(), fits).await;
        created.invite_link = created.invite_link.or(asked);
    }
    // Everybody with their roles, ourselves included; without an answer the webhooks tell.
    let told = work.adapter()?.group_info(&work.call()?, &group_id, work.at).await.ok();
    let changes = members::changes(&created.people, told.as_ref(), &new.people);
    updates.extend(told);
    updates.push(GroupUpdate {
        name: Some(name.clone()),
        description: new.group.description.clone().filter(|_| created.description_taken),
        invite_link: created.invite_link.clone(),
        is_active: Some(true),
        members: changes,
        ..ours
    });
    let row = work.keep(&group_id, &updates).await?;
    let answer = Created {
        id: row.map(|row| row.id),
        group_id: Some(group_id),
        name,
        invite_link: created.invite_link,
        completion: completion(&created.completion),
        participants: people::results(&new.named, &created.people),
        problems,
    };
    once.finish(&answer).await;
    Ok(answer)
}

/// The provider makes the group after its answer: people are owed their invitations.
async fn later(
    work: &Work,
    once: &Once,
    new: &Draft,
    mut created: wabridge_domain::group::Created,
    mut problems: Vec<String>,
) -> Result<Created, Failure> {
    let Told::Later { request_id: Some(request_id) } = &created.completion else {
        let why = format!("the provider names neither a group nor a request; {LOOK_FIRST}");
        let failure = Failure::new(Kind::ProviderTimeout, why);
        once.fail(&failure).await;
        return Err(failure);
    };
    problems.extend(new.edits.iter().map(|(word, _)| {
        format!("{word} was not set: the provider has not made the group yet; set it afterwards")
    }));
    if let Some(wish) = &new.wish {
        let people: Vec<&str> = new.people.iter().map(|one| one.contact_id.as_str()).collect();
        let (account, uid) = (work.account.id, work.caller.user.uid);
        let owed: Result<(), StoreError> = tx!(&work.rt.store, "group.owe", |tx| {
            group_invitation::owe(tx, account, request_id, uid, wish.body(), &people).await
        });
        owed.map_err(|error| work.not_kept(&error))?;
        for one in &mut created.people {
            one.reason = Some(OWED.to_owned());
        }
    }
    let answer = Created {
        id: None,
        group_id: None,
        name: new.group.subject.clone(),
        invite_link: created.invite_link,
        completion: Completion::Waiting,
        participants: people::results(&new.named, &created.people),
        problems,
    };
    once.note_progress(&json!({ "request_id": request_id })).await;
    once.finish(&answer).await;
    Ok(answer)
}

/// The answer of a call that was made before; of a group that was waited for, what became of it.
async fn again(rt: &Runtime, account: &Account, answered: &Answered) -> Result<Created, Failure> {
    let mut created: Created = answered.data()?;
    let request_id = answered.progress().and_then(|progress| progress.get("request_id"));
    let Some(request_id) = request_id.and_then(|id| id.as_str()) else { return Ok(created) };
    let found: Result<(Option<Outcome>, Vec<Standing>), StoreError> =
        read!(&rt.store, "group.request", |client| {
            let outcome = group_invitation::outcome(client, account.id, request_id).await?;
            let standings = group_invitation::of_request(client, account.id, request_id).await?;
            Ok::<_, StoreError>((outcome, standings))
        });
    let (outcome, standings) = found.map_err(|error| access::store_refusal(rt, &error))?;
    let Some(outcome) = outcome else { return Ok(created) };
    let Some(group_id) = outcome.group_id else {
        let reason = outcome.reason.unwrap_or_else(|| "it gave no reason".to_owned());
        let why = format!("the provider did not make the group: {reason}");
        return Err(Failure::new(Kind::ProviderRejected, why));
    };
    created.id = outcome.row;
    created.group_id = Some(group_id);
    created.invite_link = outcome.invite_link.or(created.invite_link);
    created.completion = Completion::Done;
    for one in &mut created.participants {
        let standing = standings.iter().find(|s| Some(&s.contact_id) == one.contact_id.as_ref());
        match standing.map(|standing| (standing.state.as_str(), &standing.reason)) {
            Some(("sent", _)) => {
                one.result = MemberResult::Invited;
                one.reason = None;
            }
            Some(("refused", reason)) => {
                one.result = MemberResult::Failed;
                one.reason = reason.clone();
            }
            _ => {}
        }
    }
    Ok(created)
}
