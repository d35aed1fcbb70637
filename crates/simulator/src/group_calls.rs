//! What calls about groups come to in the world: the same for all providers, who differ in how they say it.
//!
//! Members change nothing but the name, description and picture, and those only until a setting takes it from them;
//! the rest is for administrators. Somebody who is not in a group does not see it.

use crate::{
    clock,
    groups::{Group, GroupChangeKind as Kind, GroupChangeSpec, GroupSpec, Role},
    media::File,
    state::AccountId,
    world::{World, vendor_of},
};
use bytes::Bytes;

/// Why a call about a group is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    /// There is none, or the account is not in it.
    Unknown,
    NotAdmin,
    /// In words.
    Wrong(String),
}

/// What came of it for one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// It is so already.
    Already,
    NotMember,
    NotOnWhatsapp,
    /// Lets nobody add them.
    Refuses,
    /// Who made the group stays its administrator.
    Maker,
}

/// Numbers and what came of it for each.
pub(crate) type Verdicts = Vec<(String, Verdict)>;

/// A change without details.
pub(crate) fn spec(group: &str, change: Kind) -> GroupChangeSpec {
    GroupChangeSpec {
        group: group.to_owned(),
        change,
        participants: vec![],
        by: None,
        subject: None,
        description: None,
        picture: None,
        only_admins_send: None,
        only_admins_edit: None,
        join_approval: None,
        provider: None,
        token: None,
        request_id: None,
    }
}

impl World {
    fn own_phone(&self, account: AccountId) -> String {
        self.state().account(account).account.phone.clone()
    }

    /// A group that the account is in.
    pub fn group_seen(&self, account: AccountId, id: &str) -> Result<Group, Denied> {
        let own = self.own_phone(account);
        self.state().group(id).filter(|group| group.has(&own)).cloned().ok_or(Denied::Unknown)
    }

    /// The same, where the account is an administrator of it.
    pub fn group_led(&self, account: AccountId, id: &str) -> Result<Group, Denied> {
        let (own, group) = (self.own_phone(account), self.group_seen(account, id)?);
        let leads = group.member(&own).is_some_and(|member| member.role != Role::Member);
        if leads { Ok(group) } else { Err(Denied::NotAdmin) }
    }

    /// Makes a group of the account with those who let it.
    pub fn make_group(
        &self,
        account: AccountId,
        name: &str,
        description: Option<&str>,
        people: &[String],
        request_id: Option<&str>,
    ) -> Result<(Group, Verdicts), Denied> {
        let (group, verdicts) = {
            let mut state = self.state();
            let own = state.account(account).account.phone.clone();
            let verdicts: Verdicts = people
                .iter()
                .map(|phone| (phone.clone(), may_join(&state.person(phone))))
                .collect();
            let mut participants = vec![own];
            participants.extend(
                verdicts
                    .iter()
                    .filter(|(_, verdict)| *verdict == Verdict::Done)
                    .map(|(phone, _)| phone.clone()),
            );
            let spec = GroupSpec {
                name: name.to_owned(),
                description: description.map(str::to_owned),
                participants,
                ..GroupSpec::default()
            };
            let id = state.put_group(&spec).map_err(Denied::Wrong)?;
            let group = state.group(&id).cloned().ok_or(Denied::Unknown)?;
            (group, verdicts)
        };
        let mut created = spec(&group.id, Kind::Created);
        created.request_id = request_id.map(str::to_owned);
        self.change_by(account, created)?;
        Ok((group, verdicts))
    }

    /// Makes a change in the account's name and tells it to everybody whom it concerns.
    pub fn change_by(&self, account: AccountId, mut spec: GroupChangeSpec) -> Result<(), Denied> {
        spec.by = Some(self.own_phone(account));
        self.change_group(&spec).map_err(Denied::Wrong)
    }

    /// Changes name, description or picture.
    pub fn describe_group(&self, account: AccountId, spec: GroupChangeSpec) -> Result<(), Denied> {
        let group = self.group_seen(account, &spec.group)?;
        if group.only_admins_edit {
            self.group_led(account, &spec.group)?;
        }
        self.change_by(account, spec)
    }

    /// Keeps a picture; the address at which it can be had.
    pub fn keep_picture(&self, account: AccountId, mime: &str, bytes: Bytes) -> String {
        let mut state = self.state();
        let id = vendor_of(&state, account).file_id(mime);
        let file = state.files.keep(account, File::new(id, bytes, mime.to_owned(), None));
        let path = state.files.link(account, &file.id, clock::seconds() + 86_400);
        format!("{}{path}", state.base_url)
    }

    pub fn add_people(
        &self,
        account: AccountId,
        group_id: &str,
        people: &[String],
    ) -> Result<Verdicts, Denied> {
        let group = self.group_led(account, group_id)?;
        let verdict = |phone: &String| match self.state().person(phone) {
            _ if group.has(phone) => Verdict::Already,
            person => may_join(&person),
        };
        self.settle_people(account, group_id, Kind::Joined, people, verdict)
    }

    pub fn remove_people(
        &self,
        account: AccountId,
        group_id: &str,
        people: &[String],
        request_id: Option<&str>,
    ) -> Result<Verdicts, Denied> {
        let group = self.group_led(account, group_id)?;
        let verdict = |phone: &String| match group.member(phone).map(|member| member.role) {
            None => Verdict::NotMember,
            Some(Role::Superadmin) => Verdict::Maker,
            Some(_) => Verdict::Done,
        };
        let verdicts: Verdicts = people.iter().map(|one| (one.clone(), verdict(one))).collect();
        let mut removed = spec(group_id, Kind::Removed);
        removed.request_id = request_id.map(str::to_owned);
        self.tell_done(account, removed, &verdicts)?;
        Ok(verdicts)
    }

    /// Makes administrators of people, or plain members.
    pub fn change_roles(
        &self,
        account: AccountId,
        group_id: &str,
        people: &[String],
        admin: bool,
    ) -> Result<Verdicts, Denied> {
        let group = self.group_led(account, group_id)?;
        let verdict = |phone: &String| match (group.member(phone).map(|member| member.role), admin)
        {
            (None, _) => Verdict::NotMember,
            (Some(Role::Superadmin), false) => Verdict::Maker,
            (Some(Role::Member), true) | (Some(Role::Admin), false) => Verdict::Done,
            (Some(_), _) => Verdict::Already,
        };
        let kind = if admin { Kind::Promoted } else { Kind::Demoted };
        self.settle_people(account, group_id, kind, people, verdict)
    }

    fn settle_people(
        &self,
        account: AccountId,
        group_id: &str,
        kind: Kind,
        people: &[String],
        verdict: impl Fn(&String) -> Verdict,
    ) -> Result<Verdicts, Denied> {
        let verdicts: Verdicts = people.iter().map(|one| (one.clone(), verdict(one))).collect();
        self.tell_done(account, spec(group_id, kind), &verdicts)?;
        Ok(verdicts)
    }

    fn tell_done(
        &self,
        account: AccountId,
        mut change: GroupChangeSpec,
        verdicts: &Verdicts,
    ) -> Result<(), Denied> {
        change.participants = verdicts
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::Done)
            .map(|(phone, _)| phone.clone())
            .collect();
        if change.participants.is_empty() { Ok(()) } else { self.change_by(account, change) }
    }

    /// The account joins by an invitation: the group, and whether it has to wait for an administrator.
    pub fn join_by(&self, account: AccountId, code: &str) -> Result<(Group, Verdict), Denied> {
        let own = self.own_phone(account);
        let group = self.state().groups().find(|group| group.invite_code == code).cloned();
        let group = group.ok_or(Denied::Unknown)?;
        if group.has(&own) {
            return Ok((group, Verdict::Already));
        }
        let kind = if group.join_approval { Kind::Requested } else { Kind::Joined };
        let mut joined = spec(&group.id, kind);
        joined.participants = vec![own];
        self.change_by(account, joined)?;
        Ok((group, Verdict::Done))
    }

    pub fn leave_group(&self, account: AccountId, group_id: &str) -> Result<(), Denied> {
        self.group_seen(account, group_id)?;
        let mut left = spec(group_id, Kind::Left);
        left.participants = vec![self.own_phone(account)];
        self.change_by(account, left)
    }
}

fn may_join(person: &crate::people::Person) -> Verdict {
    match (person.on_whatsapp, person.refuses_groups) {
        (false, _) => Verdict::NotOnWhatsapp,
        (true, true) => Verdict::Refuses,
        (true, false) => Verdict::Done,
    }
}
