//! Groups as they are changed: what is asked of a provider, and what comes of it for each person.
//!
//! A provider's answer to a change of members is seldom the whole truth: some say who could not be added but not
//! why, some say nothing of anybody. What they leave open is decided by the group as it is afterwards
//! ([`settle`]) and by a check of the numbers ([`tell_apart`]); a refusal never passes for a success.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{GroupUpdate, MemberState, Person, Role};

/// What is done with people of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberOperation {
    Add,
    Remove,
    /// Makes administrators of them.
    Promote,
    /// Makes plain members of them.
    Demote,
}

impl MemberOperation {
    pub const ALL: [Self; 4] = [Self::Add, Self::Remove, Self::Promote, Self::Demote];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Promote => "promote",
            Self::Demote => "demote",
        }
    }

    /// The word for somebody with whom it worked.
    pub fn success(self) -> MemberResult {
        match self {
            Self::Add => MemberResult::Added,
            Self::Remove => MemberResult::Removed,
            Self::Promote => MemberResult::Promoted,
            Self::Demote => MemberResult::Demoted,
        }
    }
}

/// What came of it for one person: the words of the answers to `group.*` (docs/PROTOCOL.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberResult {
    Added,
    Removed,
    Promoted,
    Demoted,
    /// Could not be added and got the invitation.
    Invited,
    /// The provider took it; whether it came true is told later by a webhook.
    Waiting,
    NotOnWhatsapp,
    /// Lets nobody, or not us, add them to groups.
    RefusedPrivacy,
    /// Our account is no administrator of the group.
    NotAdmin,
    AlreadyMember,
    NotMember,
    Failed,
}

impl MemberResult {
    pub const ALL: [Self; 12] = [
        Self::Added,
        Self::Removed,
        Self::Promoted,
        Self::Demoted,
        Self::Invited,
        Self::Waiting,
        Self::NotOnWhatsapp,
        Self::RefusedPrivacy,
        Self::NotAdmin,
        Self::AlreadyMember,
        Self::NotMember,
        Self::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Promoted => "promoted",
            Self::Demoted => "demoted",
            Self::Invited => "invited",
            Self::Waiting => "waiting",
            Self::NotOnWhatsapp => "not_on_whatsapp",
            Self::RefusedPrivacy => "refused_privacy",
            Self::NotAdmin => "not_admin",
            Self::AlreadyMember => "already_member",
            Self::NotMember => "not_member",
            Self::Failed => "failed",
        }
    }
}

/// What came of an operation for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberOutcome {
    /// [`Person::contact_id`].
    pub contact_id: String,
    /// None where the answer does not tell: the group does ([`settle`]).
    pub result: Option<MemberResult>,
    /// The provider's words, or ours where it has none.
    pub reason: Option<String>,
}

impl MemberOutcome {
    pub fn new(person: &Person, result: MemberResult) -> Self {
        Self { contact_id: person.contact_id.clone(), result: Some(result), reason: None }
    }

    /// Not told by the answer.
    pub fn open(person: &Person) -> Self {
        Self { contact_id: person.contact_id.clone(), result: None, reason: None }
    }

    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }
}

/// Whether a change is made, or only taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    Done,
    /// A webhook tells the end; it names this request where the answer did (Meta).
    Later {
        request_id: Option<String>,
    },
}

/// A group to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    pub subject: String,
    pub description: Option<String>,
    /// Who shall be in it, without ourselves.
    pub people: Vec<Person>,
}

/// A group that was made, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The provider's id of the group; None where it is told later.
    pub group_id: Option<String>,
    pub completion: Completion,
    /// One for each of [`NewGroup::people`], in their order.
    pub people: Vec<MemberOutcome>,
    pub invite_link: Option<String>,
    /// False where the provider takes none with the creation: it is set by a change afterwards.
    pub description_taken: bool,
}

/// What became of an operation on members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersChanged {
    pub completion: Completion,
    /// One for each person, in their order.
    pub people: Vec<MemberOutcome>,
}

/// A change of the group itself; each is one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEdit {
    /// What is None stays; an empty description takes it away.
    Words {
        subject: Option<String>,
        description: Option<String>,
    },
    Icon(Icon),
    RemoveIcon,
    Setting {
        setting: GroupSetting,
        on: bool,
    },
}

/// A switch of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupSetting {
    /// Only administrators write.
    OnlyAdminsSend,
    /// Only administrators change subject, icon and description.
    OnlyAdminsEdit,
    /// Only administrators add people.
    OnlyAdminsAdd,
    /// Who wants to join waits for an administrator.
    JoinApproval,
}

impl GroupSetting {
    pub const ALL: [Self; 4] =
        [Self::OnlyAdminsSend, Self::OnlyAdminsEdit, Self::OnlyAdminsAdd, Self::JoinApproval];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnlyAdminsSend => "only_admins_send",
            Self::OnlyAdminsEdit => "only_admins_edit",
            Self::OnlyAdminsAdd => "only_admins_add",
            Self::JoinApproval => "join_approval",
        }
    }
}

/// A picture of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icon {
    /// `image/jpeg` or `image/png`.
    pub mimetype: String,
    pub bytes: Vec<u8>,
}

/// A group that we joined, or asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// None where the answer does not name it.
    pub group_id: Option<String>,
    /// An administrator has to let us in.
    pub waiting: bool,
}

/// Where an invitation begins; what follows is its code.
const INVITE: &str = "https://chat.whatsapp.com/";

/// The link of an invitation.
pub fn invite_link(code: &str) -> String {
    format!("{INVITE}{code}")
}

/// The code of an invitation, from its link or as it stands; None where it is none.
pub fn invite_code(text: &str) -> Option<&str> {
    let text = text.trim();
    let code = ["https://", "http://", ""]
        .into_iter()
        .find_map(|scheme| text.strip_prefix(scheme)?.strip_prefix("chat.whatsapp.com/"))
        .map_or(text, |rest| rest.strip_prefix("invite/").unwrap_or(rest));
    let code = code.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let fits = (14..=40).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    fits.then_some(code)
}

/// Decides by the group as it is after the operation what its answer left open, and names what it only called
/// failed: who is in it already, who is not in it at all. `group` tells everybody who is in it; else nothing is decided.
pub fn settle(operation: MemberOperation, people: &mut [MemberOutcome], group: &GroupUpdate) {
    use MemberOperation as Op;
    use MemberResult as Is;
    if !group.all_members {
        return;
    }
    for outcome in people {
        let member = group.members.iter().find(|member| {
            member.person.contact_id == outcome.contact_id && member.state == MemberState::Joined
        });
        let is_admin =
            member.is_some_and(|m| matches!(m.role, Some(Role::Admin | Role::Superadmin)));
        let holds = match operation {
            Op::Add => member.is_some(),
            Op::Remove => member.is_none(),
            Op::Promote => is_admin,
            Op::Demote => member.is_some() && !is_admin,
        };
        outcome.result = match (outcome.result, operation) {
            (None, _) if holds => Some(operation.success()),
            (None, Op::Add) => Some(Is::RefusedPrivacy),
            (None, Op::Promote | Op::Demote) if member.is_none() => Some(Is::NotMember),
            (None, _) => Some(Is::Failed),
            (Some(Is::Failed | Is::RefusedPrivacy), Op::Add) if holds => Some(Is::AlreadyMember),
            (Some(Is::Failed), Op::Remove | Op::Promote | Op::Demote) if member.is_none() => {
                Some(Is::NotMember)
            }
            (told, _) => told,
        };
    }
}

/// Who could not be added because there is no such WhatsApp number, by a check of the numbers (contact id → is on
/// WhatsApp). Who is on WhatsApp and could not be added lets nobody do that.
pub fn tell_apart(people: &mut [MemberOutcome], on_whatsapp: &BTreeMap<String, bool>) {
    for outcome in people {
        let open = matches!(
            outcome.result,
            None | Some(MemberResult::RefusedPrivacy | MemberResult::Failed)
        );
        if open && on_whatsapp.get(&outcome.contact_id) == Some(&false) {
            outcome.result = Some(MemberResult::NotOnWhatsapp);
            outcome.reason = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::MemberChange;

    fn person(id: &str) -> Person {
        Person { contact_id: id.to_owned(), ..Person::default() }
    }

    fn group(members: &[(&str, Role)]) -> GroupUpdate {
        let member = |(id, role): &(&str, Role)| MemberChange {
            person: person(id),
            role: Some(*role),
            state: MemberState::Joined,
        };
        GroupUpdate {
            members: members.iter().map(member).collect(),
            all_members: true,
            ..GroupUpdate::default()
        }
    }

    fn settled(
        operation: MemberOperation,
        told: Option<MemberResult>,
        group: &GroupUpdate,
    ) -> Option<MemberResult> {
        let mut people = [MemberOutcome { result: told, ..MemberOutcome::open(&person("a")) }];
        settle(operation, &mut people, group);
        people[0].result
    }

    #[test]
    fn words_agree_with_serde() {
        for word in MemberResult::ALL {
            assert_eq!(serde_json::to_value(word).unwrap(), word.as_str());
        }
    }

    #[test]
    fn the_group_decides_what_the_answer_left_open() {
        use MemberOperation as Op;
        use MemberResult as Is;
        let (none, member, admin) =
            (group(&[]), group(&[("a", Role::Member)]), group(&[("a", Role::Superadmin)]));
        for (operation, group, want) in [
            (Op::Add, &member, Is::Added),
            (Op::Add, &none, Is::RefusedPrivacy),
            (Op::Remove, &none, Is::Removed),
            (Op::Remove, &member, Is::Failed),
            (Op::Promote, &admin, Is::Promoted),
            (Op::Promote, &member, Is::Failed),
            (Op::Promote, &none, Is::NotMember),
            (Op::Demote, &member, Is::Demoted),
            (Op::Demote, &admin, Is::Failed),
            (Op::Demote, &none, Is::NotMember),
        ] {
            assert_eq!(settled(operation, None, group), Some(want), "{operation:?} {group:?}");
        }
        // What was told stays, but for reasons that were not known.
        assert_eq!(settled(Op::Add, Some(Is::RefusedPrivacy), &member), Some(Is::AlreadyMember));
        assert_eq!(settled(Op::Add, Some(Is::RefusedPrivacy), &none), Some(Is::RefusedPrivacy));
        assert_eq!(settled(Op::Remove, Some(Is::Failed), &none), Some(Is::NotMember));
        assert_eq!(settled(Op::Remove, Some(Is::NotAdmin), &none), Some(Is::NotAdmin));
        // Part of a group proves nothing.
        let part = GroupUpdate { all_members: false, ..none };
        assert_eq!(settled(Op::Add, None, &part), None);
        assert_eq!(settled(Op::Remove, Some(Is::Failed), &part), Some(Is::Failed));
    }

    #[test]
    fn a_check_tells_who_is_not_on_whatsapp() {
        use MemberResult as Is;
        let mut people: Vec<MemberOutcome> = ["a", "b", "c", "d"]
            .into_iter()
            .map(|id| MemberOutcome::new(&person(id), Is::RefusedPrivacy))
            .collect();
        people[2].result = Some(Is::Added);
        let checked = [("a", false), ("b", true), ("c", false)];
        tell_apart(&mut people, &checked.map(|(id, is)| (id.to_owned(), is)).into());
        let results: Vec<_> = people.iter().map(|one| one.result.unwrap()).collect();
        assert_eq!(results, [Is::NotOnWhatsapp, Is::RefusedPrivacy, Is::Added, Is::RefusedPrivacy]);
    }

    #[test]
    fn invitations() {
        let code = "AbCdEfGhIjKlMnOpQrStUv";
        for text in [
            code,
            "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv",
            " http://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv/ ",
            "chat.whatsapp.com/invite/AbCdEfGhIjKlMnOpQrStUv?mode=ems",
        ] {
            assert_eq!(invite_code(text), Some(code), "{text}");
        }
        assert_eq!(invite_code(&invite_link(code)), Some(code));
        for none in
            ["", "short", "https://example.com/AbCdEfGhIjKlMnOpQrStUv", "a b c d e f g h i j"]
        {
            assert_eq!(invite_code(none), None, "{none}");
        }
    }
}
