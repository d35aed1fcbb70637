//! Webhook bodies of a custom provider, read by the places of its mapping.

use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use wabridge_domain::event::{
    AccountUpdate, Chat, ChatKind, Edit, Event, Location, MediaRef, Message, ProviderError, Source,
    StatusUpdate, What,
};
use wabridge_domain::message::{MessageType, StatusWord};

use super::mapping::{EventKind, Mapping, TimeFormat};
use super::pointer::{Pointers, text, value};
use crate::body::{self, bounded};
use crate::json::ID_MAX_BYTES;
use crate::{Broken, Parsed, Route, Unreadable, moment};

pub(super) fn parse(
    mapping: &Mapping,
    bytes: &[u8],
    route: &Route<'_>,
) -> Result<Parsed, Unreadable> {
    let body = body::read(bytes)?;
    if !body.is_object() && !body.is_array() {
        return Err(Unreadable { reason: "the body is neither an object nor a list".to_owned() });
    }
    let events: Vec<&Value> = match (&mapping.webhook.events, &body) {
        (Some(places), body) => match places.value(body) {
            Some(Value::Array(events)) => events.iter().collect(),
            Some(event) => vec![event],
            None => {
                return Err(Unreadable {
                    reason: format!("no events at {places}; see webhook.events of the mapping"),
                });
            }
        },
        (None, Value::Array(events)) => events.iter().collect(),
        (None, event) => vec![event],
    };
    let mut parsed = Parsed::default();
    for (index, event) in events.into_iter().enumerate() {
        let reading = Reading { mapping, body: &body, event, received_at: route.received_at };
        let kind = reading.word();
        match reading.what(kind.as_deref()) {
            Ok(what) => parsed.events.push(Event { channel_id: reading.channel_id(), what }),
            Err(reason) => parsed.broken.push(Broken {
                kind: bounded(kind.as_deref().unwrap_or("event")),
                index,
                reason,
            }),
        }
    }
    Ok(parsed)
}

/// An entry of the history: an event as webhooks have them, or a bare `message`.
pub(super) fn entry(
    mapping: &Mapping,
    event: &Value,
    message: bool,
    at: Timestamp,
) -> Result<What, String> {
    let reading = Reading { mapping, body: event, event, received_at: at };
    if message { reading.message(None) } else { reading.what(reading.word().as_deref()) }
}

/// A boolean at an optional place.
pub(super) fn truth_at(place: Option<&Pointers>, from: &Value) -> Option<bool> {
    value(place, from).and_then(truth)
}

#[derive(Clone, Copy)]
struct Reading<'a> {
    mapping: &'a Mapping,
    body: &'a Value,
    event: &'a Value,
    received_at: Timestamp,
}

impl Reading<'_> {
    /// A text of the event, else of the body around it.
    fn around(self, place: Option<&Pointers>) -> Option<String> {
        text(place, self.event).or_else(|| text(place, self.body))
    }

    fn channel_id(self) -> Option<String> {
        self.around(self.mapping.webhook.channel_id.as_ref()).filter(|id| id.len() <= ID_MAX_BYTES)
    }

    fn word(self) -> Option<String> {
        self.around(self.mapping.webhook.event.as_ref())
    }

    fn what(self, word: Option<&str>) -> Result<What, String> {
        let webhook = &self.mapping.webhook;
        if !self.event.is_object() {
            return Err("it is no object".to_owned());
        }
        let kind = match (&webhook.event, word) {
            (None, _) => EventKind::Message,
            (Some(places), None) => return Err(format!("it names no event at {places}")),
            (Some(_), Some(word)) => match webhook.event_words.get(word) {
                Some(kind) => *kind,
                None => return Ok(What::Other { kind: bounded(word) }),
            },
        };
        match kind {
            EventKind::Message => self.message(None),
            EventKind::Echo => self.message(Some(Source::Api)),
            EventKind::Phone => self.message(Some(Source::Phone)),
            EventKind::Reaction => self.reaction(),
            EventKind::Status => self.status(),
            EventKind::Edit => self.edit(),
            EventKind::Delete => self.deleted(),
            EventKind::Account => Ok(self.account()),
            EventKind::Ignore => Ok(What::Other { kind: bounded(word.unwrap_or("event")) }),
        }
    }

    fn id(self, place: Option<&Pointers>, what: &str) -> Result<String, String> {
        text(place, self.event).filter(|id| id.len() <= ID_MAX_BYTES).ok_or_else(|| {
            place.map_or_else(
                || format!("the mapping says nowhere where {what} stands"),
                |place| format!("it names no {what} at {place}"),
            )
        })
    }

    /// The first time that can be true.
    fn time(self, places: [Option<&Pointers>; 2]) -> Timestamp {
        let [first, second] = places.map(|place| self.stated(place));
        first.or(second).unwrap_or(self.received_at)
    }

    fn stated(self, place: Option<&Pointers>) -> Option<Timestamp> {
        let stated = value(place, self.event).or_else(|| value(place, self.body))?;
        let number = || match stated {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let at = match self.mapping.webhook.timestamp_format {
            TimeFormat::Seconds => moment::since_1970(number()?, Some(1.0)),
            TimeFormat::Milliseconds => moment::since_1970(number()?, Some(1000.0)),
            TimeFormat::Rfc3339 => moment::rfc3339(stated.as_str()?),
            TimeFormat::Auto => moment::read(stated),
        };
        at.filter(|at| moment::can_be_true(*at, self.received_at))
    }

    /// `from_me`, where the kind of event does not say who wrote; the chat of a message.
    fn chat(self, from_me: bool) -> Result<Chat, String> {
        let (chats, places) = (&self.mapping.chats, &self.mapping.webhook.message);
        let own = |place: Option<&Pointers>| {
            let id = text(place, self.event).map(|id| chats.own(&id));
            id.filter(|id| id.len() <= ID_MAX_BYTES)
        };
        let (sender, recipient) = (own(places.sender.as_ref()), own(places.recipient.as_ref()));
        let group = recipient.clone().filter(|id| chats.kind(id) != ChatKind::Direct);
        let other = if from_me { recipient } else { sender };
        let id = own(places.chat.as_ref()).or(group).or(other);
        let id =
            id.ok_or_else(|| "it names no chat: neither chat nor sender nor recipient".to_owned())?;
        let kind = chats.kind(&id);
        let name = match kind {
            ChatKind::Direct => text(places.contact_name.as_ref(), self.event).filter(|_| !from_me),
            ChatKind::Group | ChatKind::Channel => text(places.group_name.as_ref(), self.event),
        };
        Ok(Chat { id, kind, name })
    }

    fn message(self, source: Option<Source>) -> Result<What, String> {
        let (event, webhook) = (self.event, &self.mapping.webhook);
        let places = &webhook.message;
        let message_id = self.id(places.id.as_ref(), "message id")?;
        let said = value(places.from_me.as_ref(), event).and_then(truth);
        let from_me = source.is_some() || said == Some(true);
        let chat = self.chat(from_me)?;
        let (body, media, location) =
            (text(places.body.as_ref(), event), self.media(), self.location());
        let message_type = self.message_type(body.is_some(), media.as_ref(), location.as_ref());
        if message_type == MessageType::Reaction {
            return self.reaction();
        }
        let caption = text(places.media.caption.as_ref(), event);
        // A file has a caption, whatever the provider calls it.
        let (content, caption) = match (media.is_some(), body, caption) {
            (true, body, caption) => (None, caption.or(body)),
            (false, body, caption) => (body, caption),
        };
        let sender = (!from_me).then(|| self.sender(&chat)).flatten();
        let mut extra = Map::new();
        if let Some(mentions) = value(places.mentions.as_ref(), event).filter(|v| v.is_array()) {
            extra.insert("mentions".to_owned(), mentions.clone());
        }
        if !matches!(
            message_type,
            MessageType::Text
                | MessageType::Image
                | MessageType::Video
                | MessageType::Audio
                | MessageType::Voice
                | MessageType::Document
                | MessageType::Gif
                | MessageType::Sticker
        ) {
            // What the mapping has no place for (cards, polls, choices, types of tomorrow).
            extra.insert("raw".to_owned(), event.clone());
        }
        let status = text(webhook.status.word.as_ref(), event);
        Ok(What::Message(Box::new(Message {
            message_id,
            chat,
            from_me,
            source: source.unwrap_or(Source::Unknown),
            sender,
            at: self.time([places.timestamp.as_ref(), webhook.timestamp.as_ref()]),
            message_type,
            content,
            caption,
            quoted_id: text(places.quoted_id.as_ref(), event),
            word: status.filter(|_| from_me).and_then(|word| self.status_word(&word)),
            media,
            location,
            forwarded: value(places.forwarded.as_ref(), event).and_then(truth) == Some(true),
            reference: text(places.reference.as_ref(), event).filter(|r| r.len() <= ID_MAX_BYTES),
            extra,
        })))
    }

    fn message_type(
        self,
        has_body: bool,
        media: Option<&MediaRef>,
        location: Option<&Location>,
    ) -> MessageType {
        let webhook = &self.mapping.webhook;
        if let Some(word) = text(webhook.message.r#type.as_ref(), self.event) {
            let known = webhook.message_types.get(&word);
            let known = known.or_else(|| webhook.message_types.get(&word.to_ascii_lowercase()));
            return known.copied().unwrap_or(MessageType::Unknown);
        }
        // Nothing says what it is: what it holds does.
        match (media.map(|media| media.mimetype.as_deref().unwrap_or_default()), location) {
            (Some(mimetype), _) => match mimetype.split('/').next() {
                Some("image") => MessageType::Image,
                Some("video") => MessageType::Video,
                Some("audio") => MessageType::Audio,
                _ => MessageType::Document,
            },
            (None, Some(_)) => MessageType::Location,
            (None, None) if has_body => MessageType::Text,
            (None, None) => MessageType::Unknown,
        }
    }

    fn sender(self, chat: &Chat) -> Option<wabridge_domain::event::Person> {
        let (chats, places) = (&self.mapping.chats, &self.mapping.webhook.message);
        let told = text(places.sender.as_ref(), self.event).and_then(|id| chats.person(&id));
        let mut person = match chat.kind {
            ChatKind::Direct => told.or_else(|| chats.person(&chat.id)),
            ChatKind::Group | ChatKind::Channel => told,
        }?;
        person.name = text(places.contact_name.as_ref(), self.event);
        person.pushname = text(places.pushname.as_ref(), self.event);
        Some(person)
    }

    fn media(self) -> Option<MediaRef> {
        let places = &self.mapping.webhook.message.media;
        let at = |place: &Option<Pointers>| text(place.as_ref(), self.event);
        let (id, url) = (at(&places.id).filter(|id| id.len() <= ID_MAX_BYTES), at(&places.url));
        let (mimetype, filename) = (at(&places.mimetype), at(&places.filename));
        if id.is_none() && url.is_none() && mimetype.is_none() && filename.is_none() {
            return None;
        }
        let size = at(&places.size).and_then(|size| size.parse().ok());
        Some(MediaRef { id, url, mimetype, filename, size, ..MediaRef::default() })
    }

    fn location(self) -> Option<Location> {
        let places = &self.mapping.webhook.message.location;
        let degrees = |place: &Option<Pointers>, limit: f64| {
            let degrees: f64 = text(place.as_ref(), self.event)?.trim().parse().ok()?;
            (degrees.abs() <= limit).then_some(degrees)
        };
        Some(Location {
            latitude: degrees(&places.latitude, 90.0)?,
            longitude: degrees(&places.longitude, 180.0)?,
            name: text(places.name.as_ref(), self.event),
            address: text(places.address.as_ref(), self.event),
        })
    }

    /// A reaction is a message of its own, which aims at another.
    fn reaction(self) -> Result<What, String> {
        let (event, webhook) = (self.event, &self.mapping.webhook);
        let places = &webhook.message;
        let target = self.id(places.reaction_target.as_ref(), "message that is reacted to")?;
        let emoji = text(places.reaction_emoji.as_ref(), event);
        let from_me = value(places.from_me.as_ref(), event).and_then(truth) == Some(true);
        let chat = self.chat(from_me)?;
        let sender = (!from_me).then(|| self.sender(&chat)).flatten();
        let at = self.time([places.timestamp.as_ref(), webhook.timestamp.as_ref()]);
        let own = text(places.id.as_ref(), event).filter(|id| *id != target);
        let message_id = match own.filter(|id| id.len() <= ID_MAX_BYTES) {
            Some(id) => id,
            None => {
                let who = sender.as_ref().map_or("me", |person| person.contact_id.as_str());
                let told = [places.timestamp.as_ref(), webhook.timestamp.as_ref()];
                let told = told.into_iter().find_map(|place| self.around(place));
                let parts =
                    [&target, who, emoji.as_deref().unwrap_or_default(), &told.unwrap_or_default()];
                format!("reaction:{}", digest(&parts))
            }
        };
        Ok(What::Message(Box::new(Message {
            message_id,
            chat,
            from_me,
            source: Source::Unknown,
            sender,
            at,
            message_type: MessageType::Reaction,
            content: emoji,
            caption: None,
            quoted_id: Some(target),
            word: None,
            media: None,
            location: None,
            forwarded: false,
            reference: None,
            extra: Map::new(),
        })))
    }

    fn status_word(self, word: &str) -> Option<StatusWord> {
        let words = &self.mapping.webhook.status_words;
        words.get(word).or_else(|| words.get(&word.to_ascii_lowercase())).copied()
    }

    fn status(self) -> Result<What, String> {
        let (event, webhook) = (self.event, &self.mapping.webhook);
        let places = &webhook.status;
        let message_id = self.id(places.id.as_ref(), "message id")?;
        let given = self.id(places.word.as_ref(), "status word")?;
        let Some(word) = self.status_word(&given) else {
            return Ok(What::Other { kind: bounded(&format!("status:{given}")) });
        };
        let (code, message) =
            (text(places.error_code.as_ref(), event), text(places.error_message.as_ref(), event));
        let error = (code.is_some() || message.is_some()).then(|| ProviderError {
            kind: None,
            code,
            message: message.unwrap_or_else(|| "no reason given".to_owned()),
        });
        let member = text(places.member.as_ref(), event);
        Ok(What::Status(StatusUpdate {
            message_id,
            word,
            at: self.time([places.timestamp.as_ref(), webhook.timestamp.as_ref()]),
            member: member
                .and_then(|id| self.mapping.chats.person(&id))
                .map(|person| person.contact_id),
            error: error.filter(|_| word == StatusWord::Failed),
            reference: text(places.reference.as_ref(), event).filter(|r| r.len() <= ID_MAX_BYTES),
        }))
    }

    fn edit(self) -> Result<What, String> {
        let (event, webhook) = (self.event, &self.mapping.webhook);
        let places = &webhook.message;
        let message_id = self.id(places.id.as_ref(), "message id")?;
        let (content, caption) =
            (text(places.body.as_ref(), event), text(places.media.caption.as_ref(), event));
        if content.is_none() && caption.is_none() {
            return Err("it is an edit without a new text".to_owned());
        }
        let new = content.as_deref().or(caption.as_deref()).unwrap_or_default();
        let edit_id = text(places.edit_id.as_ref(), event).filter(|id| id.len() <= ID_MAX_BYTES);
        let from_me = value(places.from_me.as_ref(), event).and_then(truth) == Some(true);
        Ok(What::Edit(Edit {
            edit_id: edit_id.unwrap_or_else(|| digest(&[&message_id, new])),
            message_id,
            // The message's own time is when it was written.
            at: self.time([webhook.timestamp.as_ref(), places.timestamp.as_ref()]),
            chat_id: self.chat(from_me).ok().map(|chat| chat.id),
            content,
            caption,
        }))
    }

    fn deleted(self) -> Result<What, String> {
        let webhook = &self.mapping.webhook;
        Ok(What::Status(StatusUpdate {
            message_id: self.id(webhook.message.id.as_ref(), "message id")?,
            word: StatusWord::Deleted,
            at: self.time([webhook.timestamp.as_ref(), webhook.message.timestamp.as_ref()]),
            member: None,
            error: None,
            reference: None,
        }))
    }

    fn account(self) -> What {
        let webhook = &self.mapping.webhook;
        let word = text(webhook.account.state.as_ref(), self.event);
        let known = word.as_ref().and_then(|word| webhook.account_states.get(word));
        match known {
            Some(state) => What::Account(AccountUpdate {
                state: *state,
                reason: text(webhook.account.reason.as_ref(), self.event).or(word),
                at: self.stated(webhook.timestamp.as_ref()),
            }),
            None => What::Other { kind: bounded(&format!("account:{}", word.unwrap_or_default())) },
        }
    }
}

/// A boolean, however it is written.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(word) => match word.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" | "out" | "outbound" => Some(true),
            "false" | "no" | "0" | "" | "in" | "inbound" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// An id for what has none: the same parts give the same one.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..16])
}
