//! What a webhook told us, in our own words, whichever provider sent it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::account::AccountState;
use crate::error::Kind;
use crate::message::{MessageType, StatusWord};

/// One event of a webhook body. A body may hold many, of several accounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The provider's name of the account it belongs to (`whatsapp_configuration.channel_id`):
    /// channel, device or phone-number id. None where the body names none: the authenticated account's.
    pub channel_id: Option<String>,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    Message(Box<Message>),
    Status(StatusUpdate),
    /// A message has another text now. A deletion is a status, [`StatusWord::Deleted`].
    Edit(Edit),
    Group(Box<GroupUpdate>),
    Contact(Box<ContactUpdate>),
    /// The chat was read elsewhere, or its counter is known.
    Chat(ChatUpdate),
    Account(AccountUpdate),
    /// Meta approved, refused, paused or rated a template.
    Template(TemplateUpdate),
    /// A person does or does not want messages of a category any more.
    Preference(PreferenceUpdate),
    /// Something an administrator should know of the account; its state stays (quality, limits).
    Alert(Alert),
    /// Authentic and readable, but nothing in Odoo changes by it yet. It stays in the journal and can be replayed.
    Other {
        kind: String,
    },
}

/// A message that somebody wrote: inbound, typed on the phone, or the echo of an API send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The provider's id of the message.
    pub message_id: String,
    pub chat: Chat,
    pub from_me: bool,
    pub source: Source,
    /// Who wrote it; in a direct chat from the phone or API this is ourselves and may be absent.
    pub sender: Option<Person>,
    /// When it was written, at the provider, UTC.
    pub at: Timestamp,
    pub message_type: MessageType,
    /// The text; the emoji of a reaction; None for media.
    pub content: Option<String>,
    pub caption: Option<String>,
    /// The provider's id of the message that is quoted, or that a reaction aims at.
    pub quoted_id: Option<String>,
    /// The status word that came with it (echoes).
    pub word: Option<StatusWord>,
    /// The file that belongs to it.
    #[serde(default)]
    pub media: Option<MediaRef>,
    /// Where it points to: the message is a location.
    #[serde(default)]
    pub location: Option<Location>,
    #[serde(default)]
    pub forwarded: bool,
    /// Our own reference, where the provider echoes one with a message (Wassenger `reference`).
    #[serde(default)]
    pub reference: Option<String>,
    /// Everything else worth keeping; `history: true` where it was told long afterwards. As given (mentions, cards, polls, chosen buttons, unknown content).
    pub extra: Map<String, Value>,
}

/// A file of a message, as the provider tells of it: by an id, a link, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaRef {
    /// The provider's id of the file, good for a fresh link.
    pub id: Option<String>,
    /// A link that works for some time.
    pub url: Option<String>,
    pub mimetype: Option<String>,
    pub filename: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// SHA-256 of the file, lower-case hexadecimal, where the provider tells it.
    pub sha256: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// Milliseconds.
    pub duration_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees.
    pub latitude: f64,
    pub longitude: f64,
    pub name: Option<String>,
    pub address: Option<String>,
}

/// The text of a message was changed by its author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The provider's id of the message that was changed.
    pub message_id: String,
    /// The provider's id of the change; where it has none, a digest of what is new. Among edits of one
    /// second the highest wins.
    pub edit_id: String,
    /// When it was changed, UTC.
    pub at: Timestamp,
    /// The chat, where the body tells it.
    pub chat_id: Option<String>,
    /// The new text; None leaves it.
    pub content: Option<String>,
    /// The new caption; None leaves it.
    pub caption: Option<String>,
}

/// What is new of a group. What is None stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupUpdate {
    /// The provider's id of the group.
    pub group_id: String,
    /// The word of [`GroupUpdate::kind`] that fits best: `created`, `subject`, `description`, `icon`,
    /// `settings`, `joined`, `left`, `removed`, `promoted`, `demoted`, `invite_reset`, `deleted`, `info`.
    pub kind: String,
    pub at: Timestamp,
    /// Decides between changes of one second: the highest wins. Empty where the provider has none.
    pub event_id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    /// Address of the icon at the provider; Some("") says that it was taken away.
    pub picture: Option<String>,
    pub invite_link: Option<String>,
    /// Only administrators write.
    pub only_admins_send: Option<bool>,
    /// Only administrators change subject, icon and description.
    pub only_admins_edit: Option<bool>,
    /// Who wants to join waits for an administrator.
    pub join_approval: Option<bool>,
    /// False when the group is gone, or we are not in it any more.
    pub is_active: Option<bool>,
    pub members: Vec<MemberChange>,
    /// True where `members` is everybody: who is not in it has left.
    pub all_members: bool,
    /// Who changed it.
    pub by: Option<Person>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChange {
    pub person: Person,
    /// None leaves the role; somebody new is a member.
    pub role: Option<Role>,
    pub state: MemberState,
}

/// The word in `whatsapp_group_member.role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Member,
    Admin,
    Superadmin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Superadmin => "superadmin",
        }
    }
}

/// The word in `whatsapp_group_member.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    Joined,
    Left,
    Removed,
    Invited,
    /// Asked to join and waits for an administrator.
    Waiting,
}

impl MemberState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Removed => "removed",
            Self::Invited => "invited",
            Self::Waiting => "waiting",
        }
    }
}

/// What is new of a person. Names and ids stand in `person`; what is None stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContactUpdate {
    pub person: Person,
    pub at: Timestamp,
    /// Address of the profile picture at the provider; Some("") says that it was taken away.
    pub picture: Option<String>,
    pub is_business: Option<bool>,
    pub is_blocked: Option<bool>,
    pub is_wa_contact: Option<bool>,
    /// The id under which the same person was known before (a changed number, a new business-scoped id).
    pub formerly: Option<Person>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatUpdate {
    pub chat: Chat,
    pub at: Timestamp,
    /// Messages not read yet, as the provider counts them.
    pub unread: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateUpdate {
    pub template_id: Option<String>,
    pub name: String,
    pub language: Option<String>,
    /// `status`, `quality`, `category` or `components`: what changed.
    pub kind: String,
    /// The provider's word of what it is now (`APPROVED`, `GREEN`, `MARKETING`).
    pub value: Option<String>,
    pub reason: Option<String>,
    pub at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferenceUpdate {
    pub person: Person,
    /// `marketing`.
    pub category: String,
    /// True: wants them (again).
    pub allowed: bool,
    /// The provider's own words.
    pub reason: Option<String>,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// `quality`, `limit`, `violation`, `webhook`, …
    pub kind: String,
    /// A sentence of the provider, or made of its words.
    pub detail: String,
    pub at: Option<Timestamp>,
    /// As given.
    pub extra: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// The provider's own id of the chat (`whatsapp_chat.chat_id`).
    pub id: String,
    pub kind: ChatKind,
    /// Name of the group, or of the person of a direct chat, where the body has it.
    pub name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    Direct,
    Group,
    /// WhatsApp's broadcast channels (newsletters) and status broadcasts.
    Channel,
}

/// Who made a `from_me` message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Sent through the provider's API: by us, or by another program with the same token.
    Api,
    /// Typed on the phone, in WhatsApp Web or a business app.
    Phone,
    Unknown,
}

/// A person as one provider names them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Person {
    /// `whatsapp_contact.contact_id`: the id of the direct chat with that person at this provider
    /// (WHAPI `447700900123@s.whatsapp.net`, Wassenger `…@c.us`, Meta the wa_id or business-scoped id).
    pub contact_id: String,
    /// E.164 with plus, where the id tells the number.
    pub phone: Option<String>,
    pub lid: Option<String>,
    pub username: Option<String>,
    /// An id that only this business sees (Meta's business-scoped user id).
    #[serde(default)]
    pub user_id: Option<String>,
    /// The name in our address book.
    pub name: Option<String>,
    /// The name the person chose.
    pub pushname: Option<String>,
}

/// A word about a message that we sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusUpdate {
    pub message_id: String,
    pub word: StatusWord,
    /// When it happened, at the provider, UTC.
    pub at: Timestamp,
    /// The member of a group it is about (a contact id), where the word is per member.
    pub member: Option<String>,
    pub error: Option<ProviderError>,
    /// Our own reference, where the provider echoes one (Wassenger `reference`, Meta `biz_opaque_callback_data`).
    pub reference: Option<String>,
}

/// What a provider says went wrong, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderError {
    /// What it is in our words, where the provider's code tells; else `provider_rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    pub code: Option<String>,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountUpdate {
    pub state: AccountState,
    /// The provider's own word for it.
    pub reason: Option<String>,
    pub at: Option<Timestamp>,
}
