//! `api.groups` of a mapping: a call for each operation, what it may hold and what it needs.

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use serde::Deserialize;
use serde::de::Deserializer;
use wabridge_domain::group::{MemberOperation, MemberResult};

use crate::custom::mapping::{CallMap, check_places, headers, method, post};
use crate::custom::pointer::Pointers;
use crate::custom::template::{Body, Path, Slot, Template};

/// `api.groups`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::custom) struct Groups {
    pub create: Option<GroupCall>,
    pub info: Option<GroupCall>,
    pub update: Option<GroupCall>,
    pub add: Option<GroupCall>,
    pub remove: Option<GroupCall>,
    pub promote: Option<GroupCall>,
    pub demote: Option<GroupCall>,
    pub invite: Option<GroupCall>,
    pub revoke_invite: Option<GroupCall>,
    pub join: Option<GroupCall>,
    pub leave: Option<GroupCall>,
    /// The provider's words for what came of one person, beside our own.
    pub results: BTreeMap<String, Word>,
}

/// A word of `api.groups.results`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::custom) enum Word {
    /// What the call is there for was done.
    Done,
    NotOnWhatsapp,
    RefusedPrivacy,
    NotAdmin,
    AlreadyMember,
    NotMember,
    Waiting,
    Failed,
}

impl Word {
    pub(super) fn of(self, operation: MemberOperation) -> MemberResult {
        match self {
            Self::Done => operation.success(),
            Self::NotOnWhatsapp => MemberResult::NotOnWhatsapp,
            Self::RefusedPrivacy => MemberResult::RefusedPrivacy,
            Self::NotAdmin => MemberResult::NotAdmin,
            Self::AlreadyMember => MemberResult::AlreadyMember,
            Self::NotMember => MemberResult::NotMember,
            Self::Waiting => MemberResult::Waiting,
            Self::Failed => MemberResult::Failed,
        }
    }
}

/// A call, and the places of its answer. Those that an operation has no use for are refused.
#[derive(Debug, Clone)]
pub(in crate::custom) struct GroupCall {
    pub(super) call: CallMap,
    pub(super) group_id: Option<Pointers>,
    /// A link, or its code.
    pub(super) invite: Option<Pointers>,
    pub(super) name: Option<Pointers>,
    pub(super) description: Option<Pointers>,
    pub(super) picture: Option<Pointers>,
    /// A list of everybody who is in the group.
    pub(super) members: Option<Pointers>,
    /// A list of what came of each.
    pub(super) people: Option<Pointers>,
    /// In an entry of either list: who, whether an administrator, what came of it, why.
    pub(super) id: Option<Pointers>,
    pub(super) role: Option<Pointers>,
    pub(super) result: Option<Pointers>,
    pub(super) reason: Option<Pointers>,
}

impl<'de> Deserialize<'de> for GroupCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Flat {
            #[serde(default = "post", deserialize_with = "method")]
            method: Method,
            path: Path,
            #[serde(default, deserialize_with = "headers")]
            headers: Vec<(HeaderName, Template)>,
            #[serde(default)]
            body: Option<Body>,
            group_id: Option<Pointers>,
            invite: Option<Pointers>,
            name: Option<Pointers>,
            description: Option<Pointers>,
            picture: Option<Pointers>,
            members: Option<Pointers>,
            people: Option<Pointers>,
            id: Option<Pointers>,
            role: Option<Pointers>,
            result: Option<Pointers>,
            reason: Option<Pointers>,
        }
        let flat = Flat::deserialize(deserializer)?;
        Ok(Self {
            call: CallMap {
                method: flat.method,
                path: flat.path,
                headers: flat.headers,
                body: flat.body,
            },
            group_id: flat.group_id,
            invite: flat.invite,
            name: flat.name,
            description: flat.description,
            picture: flat.picture,
            members: flat.members,
            people: flat.people,
            id: flat.id,
            role: flat.role,
            result: flat.result,
            reason: flat.reason,
        })
    }
}

impl GroupCall {
    fn places(&self) -> [(&'static str, bool); 11] {
        [
            ("group_id", self.group_id.is_some()),
            ("invite", self.invite.is_some()),
            ("name", self.name.is_some()),
            ("description", self.description.is_some()),
            ("picture", self.picture.is_some()),
            ("members", self.members.is_some()),
            ("people", self.people.is_some()),
            ("id", self.id.is_some()),
            ("role", self.role.is_some()),
            ("result", self.result.is_some()),
            ("reason", self.reason.is_some()),
        ]
    }
}

/// Key, call, places that have a value in the call beside `{channel_id}`, of which it needs one each, places in the
/// answer, and of these the needed ones.
type Checked<'a> = (
    &'static str,
    &'a Option<GroupCall>,
    &'static [Slot],
    &'static [&'static [Slot]],
    &'static [&'static str],
    &'static [&'static str],
);

impl Groups {
    fn all(&self) -> [Checked<'_>; 11] {
        use Slot as S;
        const GROUP: &[Slot] = &[S::GroupId];
        const NAMED: &[&[Slot]] = &[&[S::GroupId]];
        const PEOPLE: &[Slot] = &[S::GroupId, S::Participants, S::Phones];
        const TO_PEOPLE: &[&[Slot]] = &[&[S::GroupId], &[S::Participants, S::Phones]];
        const EACH: &[&str] = &["people", "id", "result", "reason"];
        [
            (
                "create",
                &self.create,
                &[S::Subject, S::Description, S::Participants, S::Phones],
                &[&[S::Subject], &[S::Participants, S::Phones]],
                &["group_id", "invite", "people", "id", "result", "reason"],
                &["group_id"],
            ),
            (
                "info",
                &self.info,
                GROUP,
                NAMED,
                &["name", "description", "picture", "invite", "members", "id", "role"],
                &["members"],
            ),
            (
                "update",
                &self.update,
                &[S::GroupId, S::Subject, S::Description],
                &[&[S::GroupId], &[S::Subject, S::Description]],
                &[],
                &[],
            ),
            ("add", &self.add, PEOPLE, TO_PEOPLE, EACH, &[]),
            ("remove", &self.remove, PEOPLE, TO_PEOPLE, EACH, &[]),
            ("promote", &self.promote, PEOPLE, TO_PEOPLE, EACH, &[]),
            ("demote", &self.demote, PEOPLE, TO_PEOPLE, EACH, &[]),
            ("invite", &self.invite, GROUP, NAMED, &["invite"], &["invite"]),
            ("revoke_invite", &self.revoke_invite, GROUP, NAMED, &["invite"], &[]),
            ("join", &self.join, &[S::InviteCode], &[&[S::InviteCode]], &["group_id"], &[]),
            ("leave", &self.leave, GROUP, NAMED, &[], &[]),
        ]
    }

    pub fn check(&self) -> Result<(), String> {
        for (name, call, known, needed, places, needed_places) in self.all() {
            let Some(map) = call else { continue };
            let key = format!("groups.{name}");
            let known = [known, &[Slot::ChannelId]].concat();
            check_places(&key, &map.call.slots(), &known, needed)?;
            if map.call.path.slots().any(|slot| matches!(slot, Slot::Participants | Slot::Phones)) {
                return Err(format!("api.{key}.path: a list of people stands in the body only"));
            }
            let asks = matches!(name, "info" | "invite");
            if map.call.method == Method::GET && (map.call.body.is_some() || !asks) {
                return Err(format!(
                    "api.{key}.method: a GET has no body and changes nothing; choose another method"
                ));
            }
            for (place, given) in map.places() {
                if given && !places.contains(&place) {
                    return Err(format!("api.{key}.{place}: it has no use there; leave it out"));
                }
                if !given && needed_places.contains(&place) {
                    return Err(format!("api.{key}.{place}: say where the answer has it"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn members(&self, operation: MemberOperation) -> Option<&GroupCall> {
        match operation {
            MemberOperation::Add => self.add.as_ref(),
            MemberOperation::Remove => self.remove.as_ref(),
            MemberOperation::Promote => self.promote.as_ref(),
            MemberOperation::Demote => self.demote.as_ref(),
        }
    }
}
