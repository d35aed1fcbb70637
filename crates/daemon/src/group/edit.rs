//! The group itself: asked for, changed, its invitation, joined and left.

use wabridge_domain::Kind;
use wabridge_domain::capability::Operation;
use wabridge_domain::event::{GroupUpdate, MemberState, Role};
use wabridge_domain::group::{Completion as Told, GroupEdit, GroupSetting, invite_code};
use wabridge_rpc::Failure;
use wabridge_rpc::group::{
    Completion, Info, InviteLink, Joined, Left, Member, Settings, UpdateParams, Updated,
};
use wabridge_store::odoo::group_view;
use wabridge_store::{StoreError, read};

use super::{Work, completion, icon, invalid};
use crate::access;
use crate::rpc::failure;

/// Longest words that any provider takes, characters.
const NAME_MAX_CHARS: usize = 128;
const DESCRIPTION_MAX_CHARS: usize = 2048;

/// One change of the group, and the word for it.
pub(super) type Edit = (&'static str, GroupEdit);

/// What became of changes.
#[derive(Default)]
pub(super) struct Edited {
    /// Made, or taken.
    pub done: Vec<Edit>,
    pub waiting: bool,
    pub problems: Vec<String>,
    first: Option<Failure>,
}

/// The group as the provider tells it now.
///
/// # Errors
/// A refusal; then no row was written.
pub async fn info(work: &Work, group_id: &str) -> Result<Info, Failure> {
    let group_id = &work.group_id(group_id)?;
    let told =
        work.adapter()?.group_info(&work.call()?, group_id, work.at).await.map_err(failure)?;
    let row = work.keep(group_id, &[told]).await?.ok_or_else(|| gone(group_id))?;
    let members: Result<Vec<group_view::Member>, StoreError> =
        read!(&work.rt.store, "group.members", |client| group_view::members(client, row.id).await);
    let members = members.map_err(|error| access::store_refusal(&work.rt, &error))?;
    let participants = members
        .into_iter()
        .map(|member| Member {
            contact_id: member.contact_id,
            phone: member.phone,
            name: member.name,
            role: match member.role.as_str() {
                "superadmin" => Role::Superadmin,
                "admin" => Role::Admin,
                _ => Role::Member,
            },
            state: match member.state.as_str() {
                "left" => MemberState::Left,
                "removed" => MemberState::Removed,
                "invited" => MemberState::Invited,
                "waiting" => MemberState::Waiting,
                _ => MemberState::Joined,
            },
        })
        .collect();
    Ok(Info {
        id: row.id,
        group_id: group_id.clone(),
        name: row.name,
        description: row.description,
        invite_link: row.invite_link,
        only_admins_send: row.only_admins_send,
        only_admins_edit: row.only_admins_edit,
        only_admins_add: None,
        join_approval: row.join_approval,
        participants,
    })
}

fn gone(group_id: &str) -> Failure {
    Failure::new(Kind::RecordNotFound, format!("there is no group with the id {group_id}"))
}

/// Changes subject, description, picture and switches, one after the other.
///
/// # Errors
/// The first refusal, when nothing was changed.
pub async fn update(work: &Work, params: &UpdateParams) -> Result<Updated, Failure> {
    let group_id = &work.group_id(&params.group_id)?;
    work.able(Operation::GroupUpdate, "groups cannot be changed")?;
    let mut edits: Vec<Edit> = Vec::new();
    let words = |subject, description| GroupEdit::Words { subject, description };
    if let Some(name) = &params.name {
        edits.push(("name", words(Some(subject(name)?), None)));
    }
    if let Some(text) = &params.description {
        edits.push(("description", words(None, Some(description(text)?))));
    }
    if params.icon.is_some() && params.remove_icon {
        return Err(invalid("give either icon or remove_icon, not both"));
    }
    if let Some(given) = &params.icon {
        edits.push(("icon", GroupEdit::Icon(icon::read(work, given).await?)));
    }
    if params.remove_icon {
        edits.push(("remove_icon", GroupEdit::RemoveIcon));
    }
    edits.extend(switches(params.settings.as_ref()));
    if edits.is_empty() {
        return Err(invalid(
            "nothing is to be changed: give name, description, icon, remove_icon or settings",
        ));
    }
    let edited = make(work, group_id, edits).await?;
    if let (true, Some(failure)) = (edited.done.is_empty(), edited.first) {
        return Err(failure);
    }
    let mut updates = Vec::new();
    if !edited.waiting {
        // The address of a picture is the provider's; without an answer the next synchronisation brings it.
        let told = work.adapter()?.group_info(&work.call()?, group_id, work.at).await;
        updates.extend(told.ok());
        updates.push(as_update(work, group_id, &edited.done));
    }
    let row = work.keep(group_id, &updates).await?;
    Ok(Updated {
        id: row.map(|row| row.id),
        group_id: group_id.clone(),
        done: edited.done.iter().map(|(word, _)| (*word).to_owned()).collect(),
        problems: edited.problems,
        completion: if edited.waiting { Completion::Waiting } else { Completion::Done },
    })
}

/// # Errors
/// `invalid_content`.
pub(super) fn subject(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty()
        || text.chars().count() > NAME_MAX_CHARS
        || text.chars().any(char::is_control)
    {
        let why = format!("name has 1 to {NAME_MAX_CHARS} characters and no line breaks");
        return Err(invalid(why));
    }
    Ok(text.to_owned())
}

/// # Errors
/// `invalid_content`.
pub(super) fn description(text: &str) -> Result<String, Failure> {
    if text.chars().count() > DESCRIPTION_MAX_CHARS || text.contains('\0') {
        let why = format!("description has at most {DESCRIPTION_MAX_CHARS} characters and no NUL");
        return Err(invalid(why));
    }
    Ok(text.trim().to_owned())
}

pub(super) fn switches(settings: Option<&Settings>) -> Vec<Edit> {
    let settings = settings.copied().unwrap_or_default();
    [
        (GroupSetting::OnlyAdminsSend, settings.only_admins_send),
        (GroupSetting::OnlyAdminsEdit, settings.only_admins_edit),
        (GroupSetting::OnlyAdminsAdd, settings.only_admins_add),
        (GroupSetting::JoinApproval, settings.join_approval),
    ]
    .into_iter()
    .filter_map(|(setting, on)| Some((setting.as_str(), GroupEdit::Setting { setting, on: on? })))
    .collect()
}

/// Makes changes in their order; what one of them is refused for stops none of the others.
pub(super) async fn make(work: &Work, group_id: &str, edits: Vec<Edit>) -> Result<Edited, Failure> {
    let (adapter, call) = (work.adapter()?, work.call()?);
    let mut edited = Edited::default();
    for (word, edit) in edits {
        match adapter.group_edit(&call, group_id, &edit).await {
            Ok(told) => {
                edited.waiting |= matches!(told, Told::Later { .. });
                edited.done.push((word, edit));
            }
            Err(error) => {
                let failure = failure(error);
                edited
                    .problems
                    .push(format!("{word} was not changed: {}", failure.refusal.message));
                edited.first.get_or_insert(failure);
            }
        }
    }
    Ok(edited)
}

/// What the group is after these changes.
pub(super) fn as_update(work: &Work, group_id: &str, done: &[Edit]) -> GroupUpdate {
    let mut update = work.found(group_id);
    for (_, edit) in done {
        match edit {
            GroupEdit::Words { subject, description } => {
                update.name = subject.clone().or(update.name.take());
                update.description = description.clone().or(update.description.take());
            }
            GroupEdit::RemoveIcon => update.picture = Some(String::new()),
            // Its address is told by the provider.
            GroupEdit::Icon(_) => {}
            GroupEdit::Setting { setting, on } => match setting {
                GroupSetting::OnlyAdminsSend => update.only_admins_send = Some(*on),
                GroupSetting::OnlyAdminsEdit => update.only_admins_edit = Some(*on),
                GroupSetting::JoinApproval => update.join_approval = Some(*on),
                // No row holds it.
                GroupSetting::OnlyAdminsAdd => {}
            },
        }
    }
    update
}

const NO_INVITATIONS: &str = "groups have no invitations";

/// # Errors
/// A refusal.
pub async fn invite_link(work: &Work, group_id: &str) -> Result<InviteLink, Failure> {
    let group_id = &work.group_id(group_id)?;
    let adapter = work.able(Operation::GroupInvite, NO_INVITATIONS)?;
    let link = adapter.group_invite(&work.call()?, group_id).await.map_err(failure)?;
    linked(work, group_id, link).await
}

/// # Errors
/// A refusal.
pub async fn revoke_invite(work: &Work, group_id: &str) -> Result<InviteLink, Failure> {
    let group_id = &work.group_id(group_id)?;
    let adapter = work.able(Operation::GroupInvite, NO_INVITATIONS)?;
    let call = work.call()?;
    let link = match adapter.group_revoke_invite(&call, group_id).await.map_err(failure)? {
        Some(link) => link,
        None => adapter.group_invite(&call, group_id).await.map_err(failure)?,
    };
    linked(work, group_id, link).await
}

async fn linked(work: &Work, group_id: &str, link: String) -> Result<InviteLink, Failure> {
    let update = GroupUpdate { invite_link: Some(link.clone()), ..work.found(group_id) };
    work.keep(group_id, &[update]).await?;
    Ok(InviteLink { group_id: group_id.to_owned(), invite_link: link })
}

/// # Errors
/// A refusal; `record_not_found` where the invitation is none any more.
pub async fn join(work: &Work, link: &str) -> Result<Joined, Failure> {
    let code = invite_code(link).ok_or_else(|| {
        invalid("invite_link is no invitation to a group; it looks like https://chat.whatsapp.com/… with 14 to 40 letters and digits")
    })?;
    let adapter = work.able(Operation::GroupJoin, "groups cannot be joined")?;
    let call = work.call()?;
    let joined = adapter.group_join(&call, code).await.map_err(failure)?;
    let (Some(group_id), false) = (&joined.group_id, joined.waiting) else {
        let completion = if joined.waiting { Completion::Waiting } else { Completion::Done };
        return Ok(Joined { group_id: joined.group_id, id: None, completion });
    };
    // Who is in it; without an answer the next synchronisation tells.
    let told = adapter.group_info(&call, group_id, work.at).await.ok();
    let ours = GroupUpdate { is_active: Some(true), ..work.found(group_id) };
    let updates: Vec<GroupUpdate> = told.into_iter().chain([ours]).collect();
    let row = work.keep(group_id, &updates).await?;
    Ok(Joined {
        id: row.map(|row| row.id),
        group_id: joined.group_id,
        completion: Completion::Done,
    })
}

/// # Errors
/// A refusal.
pub async fn leave(work: &Work, group_id: &str) -> Result<Left, Failure> {
    let group_id = &work.group_id(group_id)?;
    let adapter = work.able(Operation::GroupLeave, "groups cannot be left")?;
    let told = adapter.group_leave(&work.call()?, group_id).await.map_err(failure)?;
    if told == Told::Done {
        let update = GroupUpdate { is_active: Some(false), ..work.found(group_id) };
        work.keep(group_id, &[update]).await?;
    }
    Ok(Left { group_id: group_id.clone(), completion: completion(&told) })
}
