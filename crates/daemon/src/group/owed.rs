//! Invitations to groups that their provider makes after its answer (Meta): sent once the webhook told that the group
//! is there. The key of each message makes that happen once, whoever works and however often.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};
use uuid::Uuid;
use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;
use wabridge_domain::event::{GroupUpdate, MemberChange, MemberState, Person};
use wabridge_domain::message::Origin;
use wabridge_store::apply::Changes;
use wabridge_store::group_invitation::{self, Due};
use wabridge_store::{StoreError, tx};

use super::Work;
use super::invite::{filled, hand_over};
use crate::access;
use crate::failpoint;
use crate::ingest::publish::publish;
use crate::rpc::failure;
use crate::runtime::{Phase, Runtime};
use crate::send::Caller;

const EVERY: Duration = Duration::from_secs(1);
const LIMIT: i64 = 50;
/// What could not be sent just now is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Old rows are looked for once in so many rounds.
const COLLECT_EVERY: u32 = 600;
/// Days after which nobody waits for a group any more, and for which the rest is kept.
const WAIT_DAYS: u32 = 7;
const KEPT_DAYS: u32 = 30;
const NEVER_TOLD: &str = "the provider never told that the group is there";

/// Starts the worker.
pub fn spawn(rt: &Arc<Runtime>) {
    let rt = Arc::clone(rt);
    rt.tasks.clone().spawn(async move { run(&rt).await });
}

async fn run(rt: &Arc<Runtime>) {
    let mut rounds: u32 = 0;
    while rt.wait_for(Phase::can_send).await {
        let worked = round(rt).await;
        let collected =
            if rounds.is_multiple_of(COLLECT_EVERY) { collect(rt).await } else { Ok(()) };
        for error in [worked.err(), collected.err()].into_iter().flatten() {
            debug!(db.name = %rt.name, %error, "owed invitations wait for the next round: {error}");
        }
        rounds = rounds.wrapping_add(1);
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = rt.stop.cancelled() => break,
        }
    }
}

async fn round(rt: &Arc<Runtime>) -> Result<(), StoreError> {
    let due = group_invitation::due(&rt.store.client().await?, LIMIT).await?;
    for one in due {
        if rt.stop.is_cancelled() {
            break;
        }
        match settle(rt, &one).await {
            Ok(()) => {}
            Err(Problem::Later(why)) => {
                debug!(db.name = %rt.name, account.id = one.configuration_id, "invitation {} waits: {why}", one.id);
                group_invitation::postpone(&rt.store.client().await?, one.id, AGAIN_AFTER).await?;
            }
            Err(Problem::Refused(why)) => {
                warn!(
                    db.name = %rt.name, account.id = one.configuration_id,
                    "invitation {} to a new group is not sent: {}", one.id, why.kind.as_str()
                );
                let client = rt.store.client().await?;
                group_invitation::refuse(&client, one.id, &why.message).await?;
            }
        }
    }
    Ok(())
}

enum Problem {
    Later(String),
    Refused(Refusal),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        if refusal.kind.retryable() {
            Self::Later(refusal.kind.as_str().to_owned())
        } else {
            Self::Refused(refusal)
        }
    }
}

async fn settle(rt: &Arc<Runtime>, due: &Due) -> Result<(), Problem> {
    let Some(group_id) = due.outcome.group_id.as_deref() else {
        let reason = due.outcome.reason.as_deref().unwrap_or("it gave no reason");
        let why = format!("the provider did not make the group: {reason}");
        return Err(Problem::Refused(Refusal::new(Kind::ProviderRejected, why)));
    };
    let user = access::require_user(rt, due.uid).await?;
    let request_id = Uuid::new_v4().to_string();
    let caller = Caller { user, request_id, origin: Origin::Rpc };
    let account = Some(due.configuration_id);
    let work = Work::of(rt, &caller, account, None).await.map_err(|failure| failure.refusal)?;
    let link = match &due.outcome.invite_link {
        Some(link) => link.clone(),
        None => link(&work, group_id).await?,
    };
    let text = filled(&due.body, &link);
    // Not the call's own id: the same invitation is the same message, whoever sends it.
    let whose = if failpoint::guard(&rt.name, "group.invitation_key") {
        due.id.to_string()
    } else {
        caller.request_id.clone()
    };
    let key = format!("group-invitation:{whose}");
    let sent = hand_over(rt, &caller, due.configuration_id, &due.contact_id, text, key, 0).await?;
    failpoint::hit(&rt.name, "group.invited").await;
    let kept: Result<Changes, StoreError> = tx!(&rt.store, "group.invited", |tx| {
        let changes = work.apply(tx, &[invited(&work, group_id, &due.contact_id)]).await?;
        group_invitation::sent(tx, due.id).await?;
        Ok::<_, StoreError>(changes)
    });
    // The message is there: what follows is done by the next round.
    let changes = kept.map_err(|error| Problem::Later(error.to_string()))?;
    publish(rt, &changes);
    info!(
        db.name = %rt.name, account.id = due.configuration_id, message.id = sent.id,
        "invitation {} to a new group is message {}", due.id, sent.id
    );
    Ok(())
}

async fn link(work: &Work, group_id: &str) -> Result<String, Problem> {
    let asked =
        async { work.adapter()?.group_invite(&work.call()?, group_id).await.map_err(failure) };
    Ok(asked.await.map_err(|failure| failure.refusal)?)
}

fn invited(work: &Work, group_id: &str, contact_id: &str) -> GroupUpdate {
    let person = work.account.adapter().and_then(|adapter| adapter.person(contact_id));
    let person =
        person.unwrap_or_else(|| Person { contact_id: contact_id.to_owned(), ..Person::default() });
    let member = MemberChange { person, role: None, state: MemberState::Invited };
    GroupUpdate { members: vec![member], ..work.found(group_id) }
}

async fn collect(rt: &Runtime) -> Result<(), StoreError> {
    let given_up: Result<u64, StoreError> = tx!(&rt.store, "group.collect", |tx| {
        wabridge_store::group_call::collect(tx, KEPT_DAYS).await?;
        group_invitation::collect(tx, WAIT_DAYS, KEPT_DAYS, NEVER_TOLD).await
    });
    let given_up = given_up?;
    if given_up > 0 {
        warn!(
            db.name = %rt.name, invitations = given_up,
            "{given_up} invitations are given up: {NEVER_TOLD} within {WAIT_DAYS} days"
        );
    }
    Ok(())
}
