//! A WhatsApp message as the world knows it; each provider renders it in its own words.

use crate::{groups::GroupChange, media::File, people::Person};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Where a message belongs: a person ([`Person::phone`]), a group's id or a broadcast channel's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Chat {
    Person(String),
    Group(String),
    Channel(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Api,
    Mobile,
}

/// The life of an outgoing message. The order is the one in which facts outrank each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Pending,
    Sent,
    Failed,
    Delivered,
    Read,
    Played,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaKind {
    Image,
    Video,
    Gif,
    Audio,
    Voice,
    Document,
    Sticker,
    /// A round video.
    Short,
}

impl MediaKind {
    pub const ALL: [Self; 8] = [
        Self::Image,
        Self::Video,
        Self::Gif,
        Self::Audio,
        Self::Voice,
        Self::Document,
        Self::Sticker,
        Self::Short,
    ];

    /// The word of control calls; providers have their own.
    pub fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Gif => "gif",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Short => "short",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Text {
        body: String,
    },
    Media(Box<Media>),
    Location(Location),
    Contacts(Vec<Card>),
    Poll(Poll),
    /// What somebody chose of a poll; choosing again replaces it, nothing takes it back.
    Vote {
        target: String,
        options: Vec<String>,
    },
    /// An empty emoji takes it back.
    Reaction {
        target: String,
        emoji: String,
    },
    Answer(Answer),
    Order(Order),
    /// Any other type with its content object, as the provider names both.
    Other {
        kind: String,
        object: Map<String, Value>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub kind: MediaKind,
    pub file: Arc<File>,
    /// Works for a while; whether it is told is the vendor's.
    pub link: String,
    pub caption: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub seconds: Option<u32>,
    /// What the control call gave beyond that, as the provider names it; it wins.
    pub more: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub(crate) struct Location {
    pub latitude: f64,
    pub longitude: f64,
    pub name: Option<String>,
    pub address: Option<String>,
    /// As the provider names it.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub name: String,
    /// Digits.
    pub phone: Option<String>,
    pub vcard: String,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Poll {
    pub title: String,
    pub options: Vec<String>,
    /// How many options one may choose; 0 is any number.
    #[serde(default)]
    pub count: u32,
}

/// What somebody chose from the buttons or the list of a message, which is the quoted one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// From a list; else a button.
    #[serde(default)]
    pub list: bool,
    pub id: String,
    pub title: String,
    pub description: Option<String>,
}

#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub id: String,
    pub title: Option<String>,
    pub text: Option<String>,
    #[serde(default)]
    pub items: Vec<OrderItem>,
    pub currency: Option<String>,
}

#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderItem {
    pub id: String,
    pub name: String,
    pub quantity: u32,
    pub price: f64,
}

impl Content {
    /// The text a person would answer to.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { body } => Some(body),
            _ => None,
        }
    }

    /// Replaces the text, or what stands under a file; false where there is neither.
    pub fn edit(&mut self, text: &str) -> bool {
        match self {
            Self::Text { body } => text.clone_into(body),
            Self::Media(media) => media.caption = Some(text.to_owned()),
            _ => return false,
        }
        true
    }

    fn size_bytes(&self) -> usize {
        let map = |map: &Map<String, Value>| -> usize {
            map.iter().map(|(k, v)| k.len() + v.to_string().len()).sum()
        };
        match self {
            Self::Text { body } => body.len(),
            // The file itself is bounded where it is kept.
            Self::Media(media) => {
                256 + media.caption.as_ref().map_or(0, String::len) + map(&media.more)
            }
            Self::Location(location) => 128 + map(&location.more),
            Self::Contacts(cards) => {
                cards.iter().map(|card| card.name.len() + card.vcard.len()).sum()
            }
            Self::Poll(poll) => poll.options.iter().map(String::len).sum::<usize>() + 64,
            Self::Vote { target, options } => {
                target.len() + options.iter().map(String::len).sum::<usize>()
            }
            Self::Reaction { target, emoji } => target.len() + emoji.len(),
            Self::Answer(answer) => answer.id.len() + answer.title.len(),
            Self::Order(order) => 128 + 64 * order.items.len(),
            Self::Other { kind, object } => kind.len() + map(object),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub id: String,
    pub chat: Chat,
    /// Name of the group or channel the message was written in.
    pub chat_name: Option<String>,
    pub from_me: bool,
    pub author: Person,
    /// Seconds since 1970.
    pub at: i64,
    pub source: Source,
    pub content: Content,
    /// The message this one answers.
    pub quoted: Option<Quoted>,
    /// Whom it mentions: [`Person::phone`] of each.
    pub mentions: Vec<String>,
    pub forwarded: bool,
    /// The sender's own reference, for providers that echo one.
    pub reference: Option<String>,
    pub status: Status,
}

#[derive(Debug, Clone)]
pub(crate) struct Quoted {
    pub id: String,
    /// The author, when the message is known.
    pub author: Option<Person>,
    /// True when it is one of the account's own.
    pub from_me: bool,
    /// Its content, when the message is known.
    pub content: Option<Content>,
}

impl Message {
    /// About how much memory the message takes, for the bound on histories.
    pub fn size_bytes(&self) -> usize {
        512 + self.id.len() + self.author.name.len() + self.content.size_bytes()
    }
}

/// Something that happened to one outgoing message, seen by `viewer` where a group has several.
#[derive(Debug, Clone)]
pub(crate) struct StatusChange {
    pub message_id: String,
    pub chat: Chat,
    pub status: Status,
    pub viewer: Option<Person>,
    pub at: i64,
    pub error: Option<Failure>,
}

/// Why a message failed, in a provider's words.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    pub code: i64,
    pub message: String,
}

/// A message and what became of it; `trigger` is the edit itself, as it was written.
#[derive(Debug)]
pub(crate) struct Edit {
    pub trigger: Message,
    pub before: Message,
    pub after: Message,
}

/// A person changed a name, a picture, a number.
#[derive(Debug)]
pub(crate) struct ContactChange {
    pub before: Person,
    pub after: Person,
    pub at: i64,
}

/// How many messages of a chat are not read, as the account's phone counts them.
#[derive(Debug)]
pub(crate) struct ChatChange {
    pub chat: Chat,
    pub name: String,
    pub unread: u32,
    /// The chat is new.
    pub created: bool,
    pub at: i64,
}

/// What a provider tells its customer about. Vendors render it; not every vendor has a word for all.
#[derive(Debug)]
pub(crate) enum Event {
    Message(Box<Message>),
    Edited(Box<Edit>),
    /// Deleted for everyone; the message as it was, and when it went.
    Removed {
        message: Box<Message>,
        at: i64,
    },
    Statuses(Vec<StatusChange>),
    Group(Box<GroupChange>),
    Contact(Box<ContactChange>),
    Chat(ChatChange),
    /// The account's condition as it is now.
    Condition,
    Login,
    Logout,
    /// What only one provider has, as it names it (templates, quality, presences, calls).
    Own {
        kind: String,
        content: Value,
    },
}

impl Event {
    /// Events of one chat keep their order; those without a chat keep it among themselves.
    pub fn chat(&self) -> Option<Chat> {
        match self {
            Self::Message(message) => Some(message.chat.clone()),
            Self::Edited(edit) => Some(edit.after.chat.clone()),
            Self::Removed { message, .. } => Some(message.chat.clone()),
            Self::Statuses(changes) => changes.first().map(|change| change.chat.clone()),
            Self::Group(change) => Some(Chat::Group(change.after.id.clone())),
            Self::Chat(change) => Some(change.chat.clone()),
            Self::Contact(_) | Self::Condition | Self::Login | Self::Logout | Self::Own { .. } => {
                None
            }
        }
    }
}
