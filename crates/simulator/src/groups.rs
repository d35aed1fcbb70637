//! Groups: who is in them, what they are called and allow, and how that changes.

use crate::people::Person;
use rand::{Rng, distr::Alphanumeric};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

const MAX_MEMBERS: usize = 2_000;

/// A group for the accounts file or `/_control/state`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// `…@g.us`; made up when missing.
    #[serde(default)]
    pub id: Option<String>,
    pub name: String,
    #[serde(default)]
    pub description: Option<String>,
    /// Numbers of the members. Where no account is among them, every account is added.
    #[serde(default)]
    pub participants: Vec<String>,
    /// Those of them who are administrators. The maker is one by itself.
    #[serde(default)]
    pub admins: Vec<String>,
    /// The account that made the group, by its token.
    #[serde(default)]
    pub token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Member,
    Admin,
    /// Who made the group.
    Superadmin,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Member {
    /// [`Person::phone`].
    pub phone: String,
    pub role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub members: Vec<Member>,
    /// Who asked to join and waits.
    pub applicants: Vec<String>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// [`Person::phone`].
    pub created_by: String,
    /// When the name was given.
    pub named_at: i64,
    pub only_admins_send: bool,
    pub only_admins_edit: bool,
    pub join_approval: bool,
    /// Address of the icon.
    pub picture: Option<String>,
    pub invite_code: String,
}

impl Serialize for Group {
    /// As `/_control/state` shows it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let phones: Vec<&str> = self.members.iter().map(|member| member.phone.as_str()).collect();
        let mut fields = serializer.serialize_struct("Group", 13)?;
        fields.serialize_field("id", &self.id)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("description", &self.description)?;
        fields.serialize_field("participants", &phones)?;
        fields.serialize_field("members", &self.members)?;
        fields.serialize_field("applicants", &self.applicants)?;
        fields.serialize_field("created_at", &self.created_at)?;
        fields.serialize_field("created_by", &self.created_by)?;
        fields.serialize_field("only_admins_send", &self.only_admins_send)?;
        fields.serialize_field("only_admins_edit", &self.only_admins_edit)?;
        fields.serialize_field("join_approval", &self.join_approval)?;
        fields.serialize_field("picture", &self.picture)?;
        fields.serialize_field("invite_code", &self.invite_code)?;
        fields.end()
    }
}

impl Group {
    pub fn member(&self, phone: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.phone == phone)
    }

    pub fn has(&self, phone: &str) -> bool {
        self.member(phone).is_some()
    }

    /// Adds somebody; nothing happens when they are in.
    ///
    /// # Errors
    /// The group is full.
    pub fn join(&mut self, phone: &str) -> Result<(), String> {
        self.applicants.retain(|applicant| applicant != phone);
        if self.has(phone) {
            return Ok(());
        }
        if self.members.len() >= MAX_MEMBERS {
            return Err(format!("the group has {MAX_MEMBERS} members, the most there can be"));
        }
        self.members.push(Member { phone: phone.to_owned(), role: Role::Member });
        Ok(())
    }

    fn set_role(&mut self, phone: &str, role: Role) -> Result<(), String> {
        let member = self
            .members
            .iter_mut()
            .find(|member| member.phone == phone)
            .ok_or_else(|| format!("{phone} is not in the group {:?}", self.name))?;
        member.role = role;
        Ok(())
    }
}

/// What happens to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupChangeKind {
    Created,
    Subject,
    Description,
    Icon,
    Settings,
    Joined,
    /// By themselves.
    Left,
    /// By an administrator.
    Removed,
    Promoted,
    Demoted,
    /// Asked to join.
    Requested,
    /// Took the question back.
    Withdrawn,
    /// An administrator said no.
    Refused,
    InviteReset,
    Deleted,
}

/// A change as control calls name it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupChangeSpec {
    /// Id or name; with `created` what `group` of `/_control/state` takes.
    pub group: String,
    pub change: GroupChangeKind,
    /// Whom it is about.
    #[serde(default)]
    pub participants: Vec<String>,
    /// Who did it.
    pub by: Option<String>,
    pub subject: Option<String>,
    pub description: Option<String>,
    /// Address of the new icon; empty takes it away.
    pub picture: Option<String>,
    pub only_admins_send: Option<bool>,
    pub only_admins_edit: Option<bool>,
    pub join_approval: Option<bool>,
    /// Tells only accounts of this provider, or with this token.
    pub provider: Option<crate::Provider>,
    pub token: Option<String>,
    /// The call that asked for it, for providers whose webhooks name it.
    #[serde(default)]
    pub request_id: Option<String>,
}

/// A change that happened, for vendors to tell.
#[derive(Debug, Clone)]
pub(crate) struct GroupChange {
    pub kind: GroupChangeKind,
    /// The same as `after` when the group is new.
    pub before: Group,
    pub after: Group,
    /// Whom it is about.
    pub people: Vec<Person>,
    pub by: Option<Person>,
    /// Everybody who is or was in the group, so that vendors can tell more than a number.
    pub known: Vec<Person>,
    pub at: i64,
    /// [`GroupChangeSpec::request_id`].
    pub request_id: Option<String>,
}

/// Makes the change in a group; `people` are the numbers of the spec.
///
/// # Errors
/// What it needs and was not given, or cannot be; in words.
pub(crate) fn apply(
    group: &mut Group,
    spec: &GroupChangeSpec,
    people: &[String],
    at: i64,
) -> Result<(), String> {
    use GroupChangeKind as Kind;
    let needs = |what: &str| format!("the change {:?} needs {what}", spec.change);
    let about_people = matches!(
        spec.change,
        Kind::Joined
            | Kind::Left
            | Kind::Removed
            | Kind::Promoted
            | Kind::Demoted
            | Kind::Requested
            | Kind::Withdrawn
            | Kind::Refused
    );
    if about_people && people.is_empty() {
        return Err(needs("participants"));
    }
    match spec.change {
        Kind::Created | Kind::Deleted => {}
        Kind::Subject => {
            group.name = spec.subject.clone().ok_or_else(|| needs("subject"))?;
            group.named_at = at;
        }
        Kind::Description => {
            let text = spec.description.clone().ok_or_else(|| needs("description"))?;
            group.description = (!text.is_empty()).then_some(text);
        }
        Kind::Icon => {
            let address = spec.picture.clone().ok_or_else(|| needs("picture"))?;
            group.picture = (!address.is_empty()).then_some(address);
        }
        Kind::Settings => {
            group.only_admins_send = spec.only_admins_send.unwrap_or(group.only_admins_send);
            group.only_admins_edit = spec.only_admins_edit.unwrap_or(group.only_admins_edit);
            group.join_approval = spec.join_approval.unwrap_or(group.join_approval);
        }
        Kind::Joined => people.iter().try_for_each(|phone| group.join(phone))?,
        Kind::Left | Kind::Removed => {
            if let Some(stranger) = people.iter().find(|phone| !group.has(phone)) {
                return Err(format!("{stranger} is not in the group {:?}", group.name));
            }
            group.members.retain(|member| !people.contains(&member.phone));
        }
        Kind::Promoted => people.iter().try_for_each(|p| group.set_role(p, Role::Admin))?,
        Kind::Demoted => people.iter().try_for_each(|p| group.set_role(p, Role::Member))?,
        Kind::Requested => {
            for phone in people {
                if !group.has(phone) && !group.applicants.contains(phone) {
                    group.applicants.push(phone.clone());
                }
            }
        }
        Kind::Withdrawn | Kind::Refused => {
            group.applicants.retain(|phone| !people.contains(phone));
        }
        Kind::InviteReset => group.invite_code = new_invite_code(),
    }
    Ok(())
}

/// WhatsApp's own id of a group: `^[\d-]{10,31}@g\.us$`.
pub(crate) fn is_group_id(text: &str) -> bool {
    text.strip_suffix("@g.us").is_some_and(|id| {
        (10..=31).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    })
}

pub(crate) fn new_group_id() -> String {
    let number: u64 = rand::rng().random_range(0..10_000_000_000_000);
    format!("12036{number:013}@g.us")
}

pub(crate) fn new_invite_code() -> String {
    rand::rng().sample_iter(Alphanumeric).take(22).map(char::from).collect()
}

/// A group as it is described in the accounts file; `members` are numbers, the maker first.
///
/// # Errors
/// Too many members.
pub(crate) fn made(
    id: String,
    spec: &GroupSpec,
    members: Vec<String>,
    admins: &[String],
    created_by: String,
    at: i64,
) -> Result<Group, String> {
    if members.len() > MAX_MEMBERS {
        return Err(format!("group {:?} has more than {MAX_MEMBERS} members", spec.name));
    }
    let members = members
        .into_iter()
        .map(|phone| {
            let role = match () {
                () if phone == created_by => Role::Superadmin,
                () if admins.contains(&phone) => Role::Admin,
                () => Role::Member,
            };
            Member { phone, role }
        })
        .collect();
    Ok(Group {
        id,
        name: spec.name.clone(),
        description: spec.description.clone(),
        members,
        applicants: vec![],
        created_at: at,
        created_by,
        named_at: at,
        only_admins_send: false,
        only_admins_edit: false,
        join_approval: false,
        picture: None,
        invite_code: new_invite_code(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_ids() {
        assert!(is_group_id(&new_group_id()));
        assert!(is_group_id("447700900123-1600000000@g.us"));
        assert!(!is_group_id("447700900123@s.whatsapp.net"));
        assert!(!is_group_id("12@g.us"));
    }

    #[test]
    fn changes_need_what_they_are_about() {
        let spec = |json| serde_json::from_value::<GroupChangeSpec>(json).unwrap();
        let group = GroupSpec { name: "Ops".to_owned(), ..GroupSpec::default() };
        let mut group =
            made("120363025550100777@g.us".into(), &group, vec!["1".into()], &[], "1".into(), 1)
                .unwrap();
        let joined = spec(serde_json::json!({"group": "Ops", "change": "joined"}));
        assert!(apply(&mut group, &joined, &[], 2).unwrap_err().contains("participants"));
        apply(&mut group, &joined, &["2".to_owned()], 2).unwrap();
        assert_eq!(group.member("2").unwrap().role, Role::Member);
        let promoted = spec(serde_json::json!({"group": "Ops", "change": "promoted"}));
        apply(&mut group, &promoted, &["2".to_owned()], 2).unwrap();
        assert_eq!(group.member("2").unwrap().role, Role::Admin);
        assert!(apply(&mut group, &promoted, &["3".to_owned()], 2).is_err());
        let left = spec(serde_json::json!({"group": "Ops", "change": "left"}));
        apply(&mut group, &left, &["2".to_owned()], 2).unwrap();
        assert!(!group.has("2"));
    }
}
