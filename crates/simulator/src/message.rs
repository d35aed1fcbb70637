//! A WhatsApp message as the world knows it; each provider renders it in its own words.

use serde_json::{Map, Value};

/// Where a message belongs: a person's number (digits) or a group's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Chat {
    Person(String),
    Group(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Api,
    Mobile,
}

/// The life of an outgoing message. The order is the one in which facts outrank each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Pending,
    Sent,
    Failed,
    Delivered,
    Read,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Text {
        body: String,
    },
    Reaction {
        target: String,
        emoji: String,
    },
    /// Any other type with its content object: image, voice, document, location, contact, …
    Other {
        kind: String,
        object: Map<String, Value>,
    },
}

impl Content {
    /// The text a person would answer to.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { body } => Some(body),
            Self::Reaction { .. } | Self::Other { .. } => None,
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Text { body } => body.len(),
            Self::Reaction { target, emoji } => target.len() + emoji.len(),
            Self::Other { kind, object } => {
                kind.len()
                    + object.iter().map(|(k, v)| k.len() + v.to_string().len()).sum::<usize>()
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub id: String,
    pub chat: Chat,
    /// Name of the group the message was written in.
    pub chat_name: Option<String>,
    pub from_me: bool,
    /// Digits of the writer.
    pub author: String,
    pub author_name: String,
    /// Seconds since 1970.
    pub at: i64,
    pub source: Source,
    pub content: Content,
    /// The message this one answers.
    pub quoted: Option<Quoted>,
    pub mentions: Vec<String>,
    pub status: Status,
}

#[derive(Debug, Clone)]
pub(crate) struct Quoted {
    pub id: String,
    /// Digits of the author, when the message is known.
    pub author: Option<String>,
    /// Its content, when the message is known.
    pub content: Option<Content>,
}

impl Message {
    /// About how much memory the message takes, for the bound on histories.
    pub fn size_bytes(&self) -> usize {
        256 + self.id.len() + self.author_name.len() + self.content.size_bytes()
    }
}

/// Something that happened to one outgoing message, seen by `viewer` where a group has several.
#[derive(Debug, Clone)]
pub(crate) struct StatusChange {
    pub message_id: String,
    pub chat: Chat,
    pub status: Status,
    pub viewer: Option<String>,
    pub at: i64,
}

/// A message and what became of it; `trigger` is the edit itself, as it was written.
#[derive(Debug)]
pub(crate) struct Edit {
    pub trigger: Message,
    pub before: Message,
    pub after: Message,
}

/// What a provider tells its customer about. Vendors render it; not every vendor has a word for all.
#[derive(Debug)]
pub(crate) enum Event {
    Message(Box<Message>),
    Edited(Box<Edit>),
    Removed {
        chat: Chat,
        id: String,
    },
    Statuses(Vec<StatusChange>),
    /// The account's condition as it is now.
    Condition,
    Login,
    Logout,
}

impl Event {
    /// Events of one chat keep their order; those without a chat keep it among themselves.
    pub fn chat(&self) -> Option<&Chat> {
        match self {
            Self::Message(message) => Some(&message.chat),
            Self::Edited(edit) => Some(&edit.after.chat),
            Self::Removed { chat, .. } => Some(chat),
            Self::Statuses(changes) => changes.first().map(|change| &change.chat),
            Self::Condition | Self::Login | Self::Logout => None,
        }
    }
}
