//! `group.`: what is done with WhatsApp groups, at the provider while the caller waits.

use std::future::Future;

use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wabridge_domain::Kind;
use wabridge_domain::event::{MemberState, Role};
use wabridge_domain::group::MemberResult;

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// Most participants of one call.
pub const PARTICIPANTS_MAX: usize = 1024;
/// Most groups that one call may name.
pub const GROUPS_MAX: usize = 1000;

/// The bodies of `group.…`.
pub trait GroupApi: Send + Sync + 'static {
    /// Makes a group with people in it.
    fn create(
        &self,
        who: Identity,
        params: CreateParams,
    ) -> impl Future<Output = Result<Answer<Created>, Failure>> + Send;

    /// Asks the provider for a group, keeps what it says and tells it.
    fn info(
        &self,
        who: Identity,
        params: GroupParams,
    ) -> impl Future<Output = Result<Answer<Info>, Failure>> + Send;

    /// Changes the group itself.
    fn update(
        &self,
        who: Identity,
        params: UpdateParams,
    ) -> impl Future<Output = Result<Answer<Updated>, Failure>> + Send;

    /// Adds people, and invites those who cannot be added where the caller wishes.
    fn add(
        &self,
        who: Identity,
        params: AddParams,
    ) -> impl Future<Output = Result<Answer<MembersChanged>, Failure>> + Send;

    /// Removes people.
    fn remove(
        &self,
        who: Identity,
        params: MembersParams,
    ) -> impl Future<Output = Result<Answer<MembersChanged>, Failure>> + Send;

    /// Makes administrators of people.
    fn promote(
        &self,
        who: Identity,
        params: MembersParams,
    ) -> impl Future<Output = Result<Answer<MembersChanged>, Failure>> + Send;

    /// Makes plain members of administrators.
    fn demote(
        &self,
        who: Identity,
        params: MembersParams,
    ) -> impl Future<Output = Result<Answer<MembersChanged>, Failure>> + Send;

    /// Asks for the invitation link.
    fn invite_link(
        &self,
        who: Identity,
        params: GroupParams,
    ) -> impl Future<Output = Result<Answer<InviteLink>, Failure>> + Send;

    /// Makes the invitation link worthless and tells the new one.
    fn revoke_invite(
        &self,
        who: Identity,
        params: GroupParams,
    ) -> impl Future<Output = Result<Answer<InviteLink>, Failure>> + Send;

    /// Joins a group by an invitation.
    fn join(
        &self,
        who: Identity,
        params: JoinParams,
    ) -> impl Future<Output = Result<Answer<Joined>, Failure>> + Send;

    /// Leaves a group.
    fn leave(
        &self,
        who: Identity,
        params: GroupParams,
    ) -> impl Future<Output = Result<Answer<Left>, Failure>> + Send;

    /// Removes a person from several groups, with a receipt for each.
    fn remove_everywhere(
        &self,
        who: Identity,
        params: RemoveEverywhereParams,
    ) -> impl Future<Output = Result<Answer<RemovedEverywhere>, Failure>> + Send;
}

/// What any call about a group may come to.
const GROUP_ERRORS: &[Kind] = &[
    Kind::ConfigurationNotFound,
    Kind::NoConfigurationForUser,
    Kind::ConfigurationInactive,
    Kind::InvalidRecipient,
    Kind::InvalidContent,
    Kind::UnsupportedByProvider,
    Kind::ProviderUnavailable,
    Kind::ProviderRejected,
    Kind::ProviderRateLimited,
    Kind::ProviderAuthFailed,
    Kind::ProviderTimeout,
    Kind::RecordNotFound,
    Kind::Conflict,
];

/// As [`GROUP_ERRORS`], with a key or a picture.
const MORE_ERRORS: &[Kind] = &[
    Kind::ConfigurationNotFound,
    Kind::NoConfigurationForUser,
    Kind::ConfigurationInactive,
    Kind::InvalidRecipient,
    Kind::InvalidContent,
    Kind::MediaTooLarge,
    Kind::MediaTypeUnsupported,
    Kind::UnsupportedByProvider,
    Kind::IdempotencyConflict,
    Kind::ProviderUnavailable,
    Kind::ProviderRejected,
    Kind::ProviderRateLimited,
    Kind::ProviderAuthFailed,
    Kind::ProviderTimeout,
    Kind::RecordNotFound,
    Kind::Conflict,
];

pub const CREATE: Method<CreateParams, Answer<Created>> = Method::new(
    "group.create",
    "Makes a group with people in it; each has a result of their own",
    MORE_ERRORS,
);

pub const INFO: Method<GroupParams, Answer<Info>> = Method::new(
    "group.info",
    "Asks the provider for a group and its members; what it says is kept",
    GROUP_ERRORS,
);

pub const UPDATE: Method<UpdateParams, Answer<Updated>> = Method::new(
    "group.update",
    "Changes subject, description, picture and settings of a group",
    MORE_ERRORS,
);

pub const ADD: Method<AddParams, Answer<MembersChanged>> = Method::new(
    "group.add",
    "Adds people to a group, and invites those who cannot be added if wished",
    MORE_ERRORS,
);

pub const REMOVE: Method<MembersParams, Answer<MembersChanged>> =
    Method::new("group.remove", "Removes people from a group; administrators only", GROUP_ERRORS);

pub const PROMOTE: Method<MembersParams, Answer<MembersChanged>> =
    Method::new("group.promote", "Makes administrators of members of a group", GROUP_ERRORS);

pub const DEMOTE: Method<MembersParams, Answer<MembersChanged>> =
    Method::new("group.demote", "Makes plain members of administrators of a group", GROUP_ERRORS);

pub const INVITE_LINK: Method<GroupParams, Answer<InviteLink>> =
    Method::new("group.invite_link", "Asks for the invitation link of a group", GROUP_ERRORS);

pub const REVOKE_INVITE: Method<GroupParams, Answer<InviteLink>> = Method::new(
    "group.revoke_invite",
    "Makes the invitation link of a group worthless; a new one takes its place",
    GROUP_ERRORS,
);

pub const JOIN: Method<JoinParams, Answer<Joined>> =
    Method::new("group.join", "Joins a group by its invitation link", GROUP_ERRORS);

pub const LEAVE: Method<GroupParams, Answer<Left>> = Method::new(
    "group.leave",
    "Leaves a group; where a provider knows no leaving, the group is deleted",
    GROUP_ERRORS,
);

pub const REMOVE_EVERYWHERE: Method<RemoveEverywhereParams, Answer<RemovedEverywhere>> =
    Method::new(
        "group.remove_everywhere",
        "Removes a person from several groups, with a receipt for each; administrators only",
        MORE_ERRORS,
    );

pub(crate) fn add_to<A: GroupApi>(module: &mut RpcModule<A>) {
    register(module, &CREATE, |api, who, params| async move { api.create(who, params).await });
    register(module, &INFO, |api, who, params| async move { api.info(who, params).await });
    register(module, &UPDATE, |api, who, params| async move { api.update(who, params).await });
    register(module, &ADD, |api, who, params| async move { api.add(who, params).await });
    register(module, &REMOVE, |api, who, params| async move { api.remove(who, params).await });
    register(module, &PROMOTE, |api, who, params| async move { api.promote(who, params).await });
    register(module, &DEMOTE, |api, who, params| async move { api.demote(who, params).await });
    register(
        module,
        &INVITE_LINK,
        |api, who, params| async move { api.invite_link(who, params).await },
    );
    register(module, &REVOKE_INVITE, |api, who, params| async move {
        api.revoke_invite(who, params).await
    });
    register(module, &JOIN, |api, who, params| async move { api.join(who, params).await });
    register(module, &LEAVE, |api, who, params| async move { api.leave(who, params).await });
    register(module, &REMOVE_EVERYWHERE, |api, who, params| async move {
        api.remove_everywhere(who, params).await
    });
}

/// Parameters that name a group and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupParams {
    pub uid: i32,
    /// The account; the one that last wrote in the group, else the user's default, when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// The provider's id of the group.
    pub group_id: String,
}

/// Parameters of `group.remove`, `promote` and `demote`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MembersParams {
    pub uid: i32,
    /// As in `group.info`.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// The provider's id of the group.
    pub group_id: String,
    /// 1 to 1024 numbers as people write them, or chat ids.
    pub participants: Vec<String>,
}

/// Parameters of `group.add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddParams {
    pub uid: i32,
    /// As in `group.info`.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// The provider's id of the group.
    pub group_id: String,
    /// 1 to 1024 numbers as people write them, or chat ids.
    pub participants: Vec<String>,
    /// Who lets nobody add them gets the invitation link as a message.
    #[serde(default)]
    pub invite: bool,
    /// The text of that message; `{link}` stands for the link, which else is put behind it.
    #[serde(default)]
    pub invite_text: Option<String>,
    /// The same key with the same parameters gives the same answer and does nothing again; 1 to 200 characters.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// Parameters of `group.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateParams {
    pub uid: i32,
    /// The account that makes the group; the user's default account when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// The subject, 1 to 128 characters; some providers take fewer.
    pub name: String,
    /// At most 2048 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// At most 1024 numbers as people write them, or chat ids; without the account itself.
    pub participants: Vec<String>,
    /// Who cannot be added gets the invitation link as a message, as soon as there is one.
    #[serde(default)]
    pub invite: bool,
    /// As in `group.add`.
    #[serde(default)]
    pub invite_text: Option<String>,
    #[serde(default)]
    pub icon: Option<Icon>,
    #[serde(default)]
    pub settings: Option<Settings>,
    /// The same key with the same parameters gives the same answer and makes no second group; 1 to 200 characters.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// A picture, JPEG or PNG up to 5 MiB: either `id` or `base64`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Icon {
    /// Row id in `whatsapp_media`.
    #[serde(default)]
    pub id: Option<i32>,
    /// The bytes in standard base64.
    #[serde(default)]
    pub base64: Option<String>,
    /// Its bytes decide.
    #[serde(default)]
    pub mimetype: Option<String>,
}

/// Switches of a group; those that are absent stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Only administrators write.
    #[serde(default)]
    pub only_admins_send: Option<bool>,
    /// Only administrators change subject, picture and description.
    #[serde(default)]
    pub only_admins_edit: Option<bool>,
    /// Only administrators add people.
    #[serde(default)]
    pub only_admins_add: Option<bool>,
    /// Who wants to join waits for an administrator.
    #[serde(default)]
    pub join_approval: Option<bool>,
}

/// Parameters of `group.update`: at least one change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateParams {
    pub uid: i32,
    /// As in `group.info`.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// The provider's id of the group.
    pub group_id: String,
    #[serde(default)]
    pub name: Option<String>,
    /// Empty takes it away.
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub icon: Option<Icon>,
    #[serde(default)]
    pub remove_icon: bool,
    #[serde(default)]
    pub settings: Option<Settings>,
}

/// Parameters of `group.join`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinParams {
    pub uid: i32,
    /// The account that joins; the user's default account when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// The link, or its code.
    pub invite_link: String,
}

/// Parameters of `group.remove_everywhere`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveEverywhereParams {
    pub uid: i32,
    /// Only groups of this account; of every account that the user may use when absent.
    #[serde(default)]
    pub configuration_id: Option<i32>,
    /// A number as people write it, or a chat id.
    pub participant: String,
    /// The provider's ids of the groups, at most 1000; every group in which Odoo knows the person as a member when absent.
    #[serde(default)]
    pub group_ids: Option<Vec<String>>,
    /// A text that the person gets before.
    #[serde(default)]
    pub farewell: Option<String>,
    /// The same key with the same parameters gives the same answer; 1 to 200 characters. A call that ended in the
    /// middle goes on where it was.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// Whether something is done, or only taken: then a webhook tells the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Completion {
    Done,
    Waiting,
}

/// What came of it for one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Participant {
    /// As it was given.
    pub participant: String,
    /// The provider's id of the person; null where what was given names nobody.
    pub contact_id: Option<String>,
    pub result: MemberResult,
    /// Why, one sentence, where there is more to say.
    pub reason: Option<String>,
}

/// `data` of `group.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The `whatsapp_group` row; null while the provider has not made the group yet. The same call with its key tells
    /// it later.
    pub id: Option<i32>,
    /// The provider's id.
    pub group_id: Option<String>,
    pub name: String,
    pub invite_link: Option<String>,
    pub completion: Completion,
    /// One for each participant, in their order.
    pub participants: Vec<Participant>,
    /// What did not work beside that, one sentence each.
    pub problems: Vec<String>,
}

/// `data` of `group.add`, `remove`, `promote` and `demote`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MembersChanged {
    pub group_id: String,
    pub completion: Completion,
    /// One for each participant, in their order.
    pub participants: Vec<Participant>,
}

/// `data` of `group.info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Info {
    /// The `whatsapp_group` row.
    pub id: i32,
    pub group_id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub invite_link: Option<String>,
    /// Null where the provider does not tell; so with the switches below.
    pub only_admins_send: Option<bool>,
    pub only_admins_edit: Option<bool>,
    /// Always null in this version: no provider tells it.
    pub only_admins_add: Option<bool>,
    pub join_approval: Option<bool>,
    /// Everybody whom Odoo knows in the group, also who left.
    pub participants: Vec<Member>,
}

/// Somebody of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Member {
    /// The provider's id of the person.
    pub contact_id: String,
    /// E.164 with plus, where it is known.
    pub phone: Option<String>,
    pub name: Option<String>,
    /// `member`, `admin`, `superadmin`
    #[schemars(with = "String")]
    pub role: Role,
    /// `joined`, `left`, `removed`, `invited`, `waiting`
    #[schemars(with = "String")]
    pub state: MemberState,
}

/// `data` of `group.update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Updated {
    /// The `whatsapp_group` row; null where Odoo does not know the group yet.
    pub id: Option<i32>,
    pub group_id: String,
    /// What was changed: `name`, `description`, `icon`, `remove_icon` and the words of `settings`.
    pub done: Vec<String>,
    /// What was not, one sentence each.
    pub problems: Vec<String>,
    pub completion: Completion,
}

/// `data` of `group.invite_link` and `group.revoke_invite`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InviteLink {
    pub group_id: String,
    pub invite_link: String,
}

/// `data` of `group.join`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Joined {
    /// The provider's id; null where it does not name the group, or an administrator has to let us in.
    pub group_id: Option<String>,
    /// The `whatsapp_group` row.
    pub id: Option<i32>,
    pub completion: Completion,
}

/// `data` of `group.leave`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Left {
    pub group_id: String,
    pub completion: Completion,
}

/// `data` of `group.remove_everywhere`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemovedEverywhere {
    /// A receipt for each group.
    pub results: Vec<Receipt>,
    /// The farewell; null where there was none, or the person is in none of the groups.
    pub farewell: Option<Farewell>,
}

/// What came of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The account.
    pub configuration_id: i32,
    /// The `whatsapp_group` row; null where Odoo does not know the group.
    pub id: Option<i32>,
    /// The provider's id of the group.
    pub group_id: String,
    pub name: Option<String>,
    pub result: MemberResult,
    pub reason: Option<String>,
}

/// The message that somebody got before he was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Farewell {
    /// The `whatsapp_message` row; null where it was refused.
    pub id: Option<i32>,
    /// As in `message.status`; `refused` where there is no message.
    pub status: String,
    /// Why it was refused.
    pub reason: Option<String>,
}
