//! What a webhook told us, in our own words, whichever provider sent it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::account::AccountState;
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
    Account(AccountUpdate),
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
    /// Everything else worth keeping, as given (mentions, media reference, location, unknown content).
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
