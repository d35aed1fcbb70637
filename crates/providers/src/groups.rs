//! What calls about groups have in common, and how their caller gets at one result for each person.
//!
//! [`change_members`] and [`make_group`] are no adapters: they make calls of the trait in turn, none of which does harm
//! when it is repeated. Only [`Provider::group_create`] does, and is made once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use wabridge_domain::capability::Operation;
use wabridge_domain::error::Kind;
use wabridge_domain::event::{GroupUpdate, Person};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, MemberOperation, MemberOutcome, MemberResult, MembersChanged,
    NewGroup, settle, tell_apart,
};
use wabridge_domain::outgoing::SendError;

use crate::http::{Failure, Lost};
use crate::{CHECK_MAX, Call, CallError, Provider};

/// Why a group was not (or perhaps not) made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// Surely not made.
    #[error(transparent)]
    NotMade(#[from] CallError),
    /// It may be there: making it again could make a second one. A webhook or a synchronisation tells.
    #[error("it is unknown whether the group was made: {reason}")]
    Uncertain { reason: String },
}

impl CreateError {
    /// The kind for an RPC answer.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotMade(error) => error.kind(),
            Self::Uncertain { .. } => Kind::ProviderTimeout,
        }
    }
}

pub(crate) fn uncertain(reason: impl Into<String>) -> CreateError {
    CreateError::Uncertain { reason: reason.into() }
}

/// What a refused or unclear answer means for a creation, from what it means for a send.
impl From<SendError> for CreateError {
    fn from(error: SendError) -> Self {
        let unavailable =
            |message| CallError::Unavailable { kind: Kind::ProviderUnavailable, message };
        Self::NotMade(match error {
            SendError::Uncertain { reason } => return uncertain(reason),
            SendError::NotSent { reason } => unavailable(reason),
            SendError::NotAccepted { message, .. } => unavailable(message),
            SendError::RateLimited { retry_after } => CallError::RateLimited { retry_after },
            SendError::AccountDown { state, message } => CallError::AccountDown { state, message },
            SendError::Refused { kind, message } => CallError::Refused { kind, message },
        })
    }
}

impl From<Failure> for CreateError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotWritten(reason) => SendError::NotSent { reason: reason.to_owned() }.into(),
            Failure::Lost(lost) => lost.into(),
        }
    }
}

impl From<Lost> for CreateError {
    fn from(lost: Lost) -> Self {
        uncertain(lost.as_str())
    }
}

/// Refusals that all adapters put alike.
pub(crate) fn refused<T>(kind: Kind, message: impl Into<String>) -> Result<T, CallError> {
    Err(CallError::Refused { kind, message: message.into() })
}

/// Why somebody cannot be named to a provider that knows people by their number only.
pub(crate) const NO_NUMBER: &str =
    "WhatsApp hides the number of this person, and the provider takes numbers only";

/// A group whose members are refused is told without them, and why; what may pass, or ends everything, ends the page.
pub(crate) fn without_members(
    outcome: Result<(), CallError>,
    unreadable: &mut Vec<String>,
) -> Result<(), CallError> {
    match outcome {
        Err(error @ CallError::Refused { .. }) => {
            unreadable.push(format!("the members of a group of the page were not told: {error}"));
            Ok(())
        }
        outcome => outcome,
    }
}

/// What is said where a provider refuses a call as we are no administrator and gives no words.
pub(crate) const NO_ADMIN: &str = "the account is no administrator of the group";

/// Adds, removes, promotes or demotes people and finds out what came of it for each: by the answer; one by one where
/// the provider refuses several because of one of them; by the group as it is then and by a check of the numbers where
/// something stays open. `at` is when it was begun. The group comes along where it was asked for.
///
/// # Errors
/// As [`Provider::group_members`], when nothing was done for anybody.
pub async fn change_members(
    provider: &dyn Provider,
    call: &Call<'_>,
    group_id: &str,
    operation: MemberOperation,
    people: &[Person],
    at: Timestamp,
) -> Result<(MembersChanged, Option<GroupUpdate>), CallError> {
    let refused_for_one = |error: &CallError| {
        matches!(error, CallError::Refused { kind: Kind::InvalidRecipient, .. })
    };
    let mut changed = match provider.group_members(call, group_id, operation, people).await {
        Err(error) if refused_for_one(&error) && people.len() > 1 => {
            one_by_one(provider, call, group_id, operation, people).await?
        }
        outcome => outcome?,
    };
    let open = |one: &MemberOutcome| {
        matches!(one.result, None | Some(MemberResult::Failed | MemberResult::RefusedPrivacy))
    };
    let mut group = None;
    if changed.completion == Completion::Done && changed.people.iter().any(open) {
        // What cannot be found out stays as open as it was.
        group = provider.group_info(call, group_id, at).await.ok();
        if let Some(group) = &group {
            settle(operation, &mut changed.people, group);
        }
        if operation == MemberOperation::Add {
            look_up(provider, call, people, &mut changed.people).await;
        }
    }
    for one in &mut changed.people {
        if one.result.is_none() {
            one.result = Some(MemberResult::Failed);
            one.reason = Some("the provider did not say what came of it".to_owned());
        }
    }
    Ok((changed, group))
}

async fn one_by_one(
    provider: &dyn Provider,
    call: &Call<'_>,
    group_id: &str,
    operation: MemberOperation,
    people: &[Person],
) -> Result<MembersChanged, CallError> {
    let mut all = MembersChanged { completion: Completion::Done, people: Vec::new() };
    for (n, person) in people.iter().enumerate() {
        let one = std::slice::from_ref(person);
        match provider.group_members(call, group_id, operation, one).await {
            Ok(changed) => {
                if changed.completion != Completion::Done {
                    all.completion = changed.completion;
                }
                all.people.extend(changed.people);
            }
            // What was done stays done, and is told.
            Err(error) if n > 0 => {
                let rest = people[n..].iter().map(|person| {
                    MemberOutcome::new(person, MemberResult::Failed).because(error.to_string())
                });
                all.people.extend(rest);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Whether those who could not be added are on WhatsApp at all, where the provider can tell.
async fn look_up(
    provider: &dyn Provider,
    call: &Call<'_>,
    people: &[Person],
    outcomes: &mut [MemberOutcome],
) {
    if !provider.capabilities().can(Operation::ContactCheck) {
        return;
    }
    let open = [Some(MemberResult::Failed), Some(MemberResult::RefusedPrivacy), None];
    let asked: Vec<(&str, &str)> = outcomes
        .iter()
        .filter(|one| open.contains(&one.result))
        .filter_map(|one| people.iter().find(|person| person.contact_id == one.contact_id))
        .filter_map(|person| {
            let digits = person.phone.as_deref()?.trim_start_matches('+');
            Some((person.contact_id.as_str(), digits))
        })
        .collect();
    let mut known = BTreeMap::new();
    for some in asked.chunks(CHECK_MAX) {
        let numbers: Vec<&str> = some.iter().map(|(_, digits)| *digits).collect();
        // Without an answer they stay refused, which is true of them in any case.
        let Ok(checked) = provider.check_numbers(call, &numbers).await else { break };
        let ids = some.iter().map(|(id, _)| (*id).to_owned());
        known.extend(ids.zip(checked.into_iter().map(|one| one.is_wa_contact)));
    }
    tell_apart(outcomes, &known);
}

/// A group that was made, and what did not work afterwards, in sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub created: Created,
    pub problems: Vec<String>,
}

/// Makes a group and everything that belongs to it: the description where it needs a call of its own, what came of each
/// person, the invitation link. `at` is when it was begun.
///
/// # Errors
/// As [`Provider::group_create`]. Once the group is there, what does not work is a problem, not an error.
pub async fn make_group(
    provider: &dyn Provider,
    call: &Call<'_>,
    new: &NewGroup,
    at: Timestamp,
) -> Result<Made, CreateError> {
    let mut created = provider.group_create(call, new).await?;
    let mut problems = Vec::new();
    let Some(group_id) = created.group_id.clone() else {
        return Ok(Made { created, problems });
    };
    if !created.description_taken && new.description.is_some() {
        let words = GroupEdit::Words { subject: None, description: new.description.clone() };
        match provider.group_edit(call, &group_id, &words).await {
            Ok(_) => created.description_taken = true,
            Err(error) => problems.push(format!("the description was not set: {error}")),
        }
    }
    if created.people.iter().any(|one| one.result.is_none())
        && let Ok(group) = provider.group_info(call, &group_id, at).await
    {
        settle(MemberOperation::Add, &mut created.people, &group);
    }
    look_up(provider, call, &new.people, &mut created.people).await;
    for one in &mut created.people {
        if one.result.is_none() {
            one.result = Some(MemberResult::Failed);
            one.reason = Some("the provider did not say what came of it".to_owned());
        }
    }
    if created.invite_link.is_none() && provider.capabilities().can(Operation::GroupInvite) {
        match provider.group_invite(call, &group_id).await {
            Ok(link) => created.invite_link = Some(link),
            Err(error) => problems.push(format!("the invitation link was not had: {error}")),
        }
    }
    Ok(Made { created, problems })
}
