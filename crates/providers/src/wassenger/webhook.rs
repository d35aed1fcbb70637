//! Wassenger's webhook bodies: one event each, in an envelope that names it.
//!
//! The inner shapes of many events are not confirmed (reactions, groups, sessions, failures, updates): every
//! place that working clients read is tried, and what fits none becomes [`What::Other`], journaled and
//! replayed by the version that understands it.

pub(super) mod changes;
mod content;

pub(super) use changes::state_of;

use jiff::Timestamp;
use serde_json::{Map, Value};
use wabridge_domain::event::{
    Chat, ChatKind, Edit, Event, Message, Person, ProviderError, Source, StatusUpdate, What,
};
use wabridge_domain::message::{MessageType, StatusWord};

use super::wire;
use crate::body::{self, bounded};
use crate::json::{ID_MAX_BYTES, string, text, word};
use crate::{Broken, Parsed, Route, Unreadable, moment};

pub(super) fn parse(bytes: &[u8], route: &Route<'_>) -> Result<Parsed, Unreadable> {
    let envelope = body::read(bytes)?;
    let Some(kind) = text(&envelope, "event").map(str::to_ascii_lowercase) else {
        return Err(Unreadable {
            reason: "no envelope of Wassenger's: it names no event".to_owned(),
        });
    };
    let Some(data) = envelope.get("data").filter(|data| data.is_object()) else {
        return Ok(Parsed { events: vec![], broken: vec![broken(&kind, 0, "it has no data")] });
    };
    let reading = Reading { envelope: &envelope, data, received_at: route.received_at };
    let mut parsed = Parsed::default();
    match reading.whats(&kind, &mut parsed.broken) {
        Ok(whats) => {
            let channel_id = reading.channel_id();
            let event = |what| Event { channel_id: channel_id.clone(), what };
            parsed.events = whats.into_iter().map(event).collect();
        }
        Err(reason) => parsed.broken.insert(0, broken(&kind, 0, reason)),
    }
    Ok(parsed)
}

/// An entry of the address book, as the event `contact:update` has it.
pub(super) fn contact_of(data: &Value, at: Timestamp) -> Result<What, &'static str> {
    Reading { envelope: &Value::Null, data, received_at: at }.contact()
}

/// A message of the history, as the events of messages have it; one that was revoked is only that. A reaction has no id
/// there that fits the webhook's, so it is left out.
pub(super) fn message_of(data: &Value, at: Timestamp) -> Result<What, &'static str> {
    let reading = Reading { envelope: &Value::Null, data, received_at: at };
    match text(data, "type") {
        Some("reaction") => Ok(What::Other { kind: "message:reaction".to_owned() }),
        Some("revoked") => reading.update(),
        _ if reading.flag("isRevoked") => reading.update(),
        _ => reading.message(false),
    }
}

fn broken(kind: &str, index: usize, reason: &str) -> Broken {
    Broken { kind: bounded(kind), index, reason: reason.to_owned() }
}

/// One event, and what stands in for what it lacks.
#[derive(Clone, Copy)]
struct Reading<'a> {
    envelope: &'a Value,
    data: &'a Value,
    received_at: Timestamp,
}

impl<'a> Reading<'a> {
    fn whats(self, kind: &str, broken: &mut Vec<Broken>) -> Result<Vec<What>, &'static str> {
        let one = |what: Result<What, &'static str>| what.map(|what| vec![what]);
        match kind {
            "message:in:new" | "channel:in" => one(self.message(false)),
            "message:out:new" => one(self.message(true)),
            "message:out:sent" => one(self.status(kind, Some(StatusWord::Sent))),
            "message:out:failed" => one(self.status(kind, Some(StatusWord::Failed))),
            // Not among the events that working clients know; read if they come.
            "message:out:delivered" => one(self.status(kind, Some(StatusWord::Delivered))),
            "message:out:read" => one(self.status(kind, Some(StatusWord::Read))),
            "message:out:ack" => one(self.status(kind, None)),
            "message:update" => one(self.update()),
            "message:reaction" => one(self.reaction()),
            "group:update" => one(self.group(broken)),
            "contact:update" => one(self.contact()),
            "chat:update" => self.chat_update(),
            "number:session" => Ok(vec![self.session()]),
            other => Ok(vec![What::Other { kind: bounded(other) }]),
        }
    }

    /// The device: `device.id`, or what names it inside the event.
    fn channel_id(self) -> Option<String> {
        let device = |value: &Value| match value.get("device") {
            Some(Value::String(id)) => Some(id.clone()),
            Some(device) => string(device, "id"),
            None => None,
        };
        device(self.envelope)
            .or_else(|| device(self.data))
            .filter(|id| !id.is_empty() && id.len() <= ID_MAX_BYTES)
    }

    /// When the event was made; of an acknowledgement the time of the word, while `data` has the message's.
    fn created(self) -> Timestamp {
        let names = ["timestamp", "date", "createdAt"];
        let of_data = names.into_iter().map(|name| self.data.get(name));
        moment::first(
            std::iter::once(self.envelope.get("created")).chain(of_data),
            self.received_at,
        )
    }

    /// WhatsApp's id of the message; a record of Wassenger's queue names it in `waId` once it has one.
    fn message_id(self) -> Result<String, &'static str> {
        ["waId", "id", "messageId", "wid"]
            .into_iter()
            .find_map(|name| id(self.data, name))
            .or_else(|| id(self.envelope, "id"))
            .ok_or("it names no message id")
    }

    /// The account's own number, digits.
    fn own_digits(self) -> Option<&'a str> {
        let phone = self.envelope.get("device").and_then(|device| text(device, "phone"))?;
        Some(phone.strip_prefix('+').unwrap_or(phone))
    }

    fn is_own(self, person: &Person) -> bool {
        let local = person.contact_id.split_once('@').map(|(local, _)| local);
        local.is_some() && local == self.own_digits()
    }

    /// The chat that the event names: `chat.id`, or `chat` itself.
    fn named_chat(self) -> Option<Chat> {
        let (given, chat) = match self.data.get("chat")? {
            Value::String(given) => (given.clone(), &Value::Null),
            chat => (string(chat, "id").or_else(|| string(chat, "wid"))?, chat),
        };
        let id = Some(wire::chat_id(&given)).filter(|id| id.len() <= ID_MAX_BYTES)?;
        let contact = chat.get("contact");
        let name = match wire::chat_kind(&id) {
            ChatKind::Direct => {
                contact.and_then(|contact| string(contact, "name")).or_else(|| string(chat, "name"))
            }
            ChatKind::Group | ChatKind::Channel => string(chat, "name"),
        };
        Some(Chat { kind: wire::chat_kind(&id), id, name })
    }

    /// The chat of a message: as named, else the other side.
    fn chat(self, from_me: bool) -> Result<Chat, &'static str> {
        if let Some(chat) = self.named_chat() {
            return Ok(chat);
        }
        let names =
            if from_me { ["to", "toNumber", "phone"] } else { ["from", "fromNumber", "phone"] };
        let id = names
            .into_iter()
            .find_map(|name| id(self.data, name))
            .map(|id| wire::chat_id(&id))
            .ok_or("it names no chat")?;
        Ok(Chat { kind: wire::chat_kind(&id), id, name: None })
    }

    /// Who wrote an inbound message. In a group `from` may be the group itself; the number stands in
    /// `fromNumber`.
    fn sender(self, chat: &Chat) -> Option<Person> {
        let data = self.data;
        let person_in = |names: &[&str]| {
            names.iter().find_map(|name| id(data, name).and_then(|id| wire::person(&id)))
        };
        let mut person = match chat.kind {
            ChatKind::Direct => {
                wire::person(&chat.id).or_else(|| person_in(&["from", "fromNumber"]))
            }
            ChatKind::Group => person_in(&["fromNumber", "from", "author", "participant"]),
            ChatKind::Channel => person_in(&["author", "participant"]),
        }?;
        let hidden =
            person.lid.as_deref().and_then(|lid| lid.split_once('@')).map(|(local, _)| local);
        if person.phone.is_none() {
            // A LID's digits, repeated bare, are no number.
            person.phone = text(data, "fromNumber")
                .filter(|number| Some(number.trim_start_matches('+')) != hidden)
                .and_then(wire::phone);
        }
        if person.lid.is_none() {
            let of_chat = (chat.kind == ChatKind::Direct)
                .then(|| data.get("chat").and_then(|chat| string(chat, "lid")))
                .flatten();
            person.lid = [of_chat, id(data, "from"), id(data, "lid")]
                .into_iter()
                .flatten()
                .find(|id| id.ends_with("@lid") && id.len() <= ID_MAX_BYTES);
        }
        if chat.kind == ChatKind::Direct {
            let contact = data.get("chat").and_then(|chat| chat.get("contact"));
            person.name = contact.and_then(|contact| string(contact, "name"));
        }
        person.pushname = data.get("meta").and_then(|meta| string(meta, "notifyName"));
        Some(person)
    }

    fn flag(self, name: &str) -> bool {
        self.data.get("meta").and_then(|meta| meta.get(name)).and_then(Value::as_bool) == Some(true)
    }

    fn message(self, from_me: bool) -> Result<What, &'static str> {
        let data = self.data;
        let message_id = self.message_id()?;
        if from_me && wire::is_queue_id(&message_id) {
            // Taken into the queue, not yet a message of WhatsApp's.
            return Ok(What::Other { kind: "message:out:new".to_owned() });
        }
        let from_me = match text(data, "flow") {
            Some("outbound" | "out") => true,
            Some("inbound" | "in") => false,
            _ => from_me,
        };
        let chat = self.chat(from_me)?;
        let mut content = content::read(data);
        let source = data.get("meta").and_then(|meta| text(meta, "source"));
        if let Some(source) = source {
            content.extra.insert("source".to_owned(), source.into());
        }
        for name in ["mentions", "mentionedIds"] {
            if let Some(mentions) = data.get(name).filter(|value| value.is_array()) {
                content.extra.insert("mentions".to_owned(), mentions.clone());
            }
        }
        let reference = reference(data);
        Ok(What::Message(Box::new(Message {
            message_id,
            sender: if from_me { None } else { self.sender(&chat) },
            chat,
            from_me,
            source: match (reference.is_some(), source) {
                // Only the API takes a reference, and our own sends always have one.
                (true, _) | (_, Some("api")) if from_me => Source::Api,
                (_, Some(_)) => Source::Phone,
                _ => Source::Unknown,
            },
            at: moment::first(
                [data.get("timestamp"), data.get("date"), self.envelope.get("created")],
                self.received_at,
            ),
            message_type: content.message_type,
            content: content.content,
            caption: content.caption,
            quoted_id: data
                .get("quoted")
                .and_then(|quoted| id(quoted, "wid").or_else(|| id(quoted, "id"))),
            word: if from_me { self.words().next() } else { None },
            media: content.media,
            location: content.location,
            forwarded: self.flag("isForwarded"),
            reference,
            extra: content.extra,
        })))
    }

    /// The status words of a message: WhatsApp's, then those of Wassenger's queue.
    fn words(self) -> impl Iterator<Item = StatusWord> + 'a {
        ["ack", "deliveryStatus", "status"]
            .into_iter()
            .filter_map(move |name| status_word(text(self.data, name)?))
    }

    fn status(self, kind: &str, implied: Option<StatusWord>) -> Result<What, &'static str> {
        let message_id = self.message_id()?;
        let word = match implied {
            // What is told beside the event may be further along already.
            Some(StatusWord::Sent) => Some(
                self.words()
                    .find(|word| !matches!(word, StatusWord::Pending | StatusWord::Failed))
                    .unwrap_or(StatusWord::Sent),
            ),
            Some(implied) => Some(implied),
            None => self.words().next(),
        };
        let Some(word) = word else {
            return match text(self.data, "ack") {
                // A word of tomorrow: kept in the journal, otherwise ignored.
                Some(word) => Ok(What::Other { kind: bounded(&format!("{kind}:{word}")) }),
                None => Err("it has no status word"),
            };
        };
        // Only a failure never gets WhatsApp's own id. What else a record of the queue says comes again under
        // that id, and the row must not be known by the record's.
        if wire::is_queue_id(&message_id) && word != StatusWord::Failed {
            return Ok(What::Other { kind: bounded(kind) });
        }
        Ok(What::Status(StatusUpdate {
            message_id,
            word,
            at: self.created(),
            member: None,
            error: if word == StatusWord::Failed { error(self.data) } else { None },
            reference: reference(self.data),
        }))
    }

    /// An edit, a revocation, or a change of something that no row holds (votes, attendees, stars).
    fn update(self) -> Result<What, &'static str> {
        let data = self.data;
        let revoked = self.flag("isRevoked")
            || matches!(text(data, "type"), Some("revoked"))
            || matches!(text(data, "status"), Some("deleted" | "revoked"));
        if revoked {
            return self.status("message:update", Some(StatusWord::Deleted));
        }
        // A flat form of third parties: `{id, phone, status, timestamp, error}`.
        let read = content::read(data);
        let is_flat = text(data, "type").is_none() && data.get("body").is_none();
        if is_flat && self.words().next().is_some() {
            return self.status("message:update", None);
        }
        let editable = !matches!(
            read.message_type,
            MessageType::Poll | MessageType::Reaction | MessageType::System | MessageType::Unknown
        );
        if !editable || (read.content.is_none() && read.caption.is_none()) {
            let kind = text(data, "type").unwrap_or("unknown");
            return Ok(What::Other { kind: bounded(&format!("message:update:{kind}")) });
        }
        let message_id = self.message_id()?;
        let (content, caption) = (read.content, read.caption);
        Ok(What::Edit(Edit {
            edit_id: wire::digest(&[
                &message_id,
                content.as_deref().unwrap_or_default(),
                caption.as_deref().unwrap_or_default(),
            ]),
            message_id,
            at: self.created(),
            chat_id: self.named_chat().map(|chat| chat.id),
            content,
            caption,
        }))
    }

    /// A reaction has no id of its own: the envelope repeats the message's.
    fn reaction(self) -> Result<What, &'static str> {
        let data = self.data;
        let target = ["messageId", "id", "waId", "wid"]
            .into_iter()
            .find_map(|name| id(data, name))
            .or_else(|| id(self.envelope, "id"))
            .ok_or("its reaction aims at no message")?;
        let reaction = data.get("reaction").unwrap_or(&Value::Null);
        let emoji = match reaction {
            Value::String(emoji) => Some(emoji.as_str()),
            reaction => ["emoji", "reaction", "text", "value"]
                .into_iter()
                .find_map(|name| text(reaction, name)),
        };
        // "-" takes a reaction away when it is sent.
        let emoji = emoji.map(str::trim).filter(|emoji| !matches!(*emoji, "" | "-"));
        let from = ["from", "fromNumber", "author", "sender"]
            .into_iter()
            .find_map(|name| id(reaction, name).or_else(|| id(data, name)))
            .and_then(|from| wire::person(&from));
        let flow = text(reaction, "flow").or_else(|| text(data, "flow"));
        let from_me = matches!(flow, Some("outbound" | "out"))
            || from.as_ref().is_some_and(|person| self.is_own(person));
        let chat = match (self.named_chat(), &from) {
            (Some(chat), _) => chat,
            (None, Some(person)) if !from_me => {
                Chat { id: person.contact_id.clone(), kind: ChatKind::Direct, name: None }
            }
            _ => return Err("it names no chat"),
        };
        let sender = match (from_me, from, chat.kind) {
            (true, ..) => None,
            (false, Some(person), _) => Some(person),
            (false, None, ChatKind::Direct) => wire::person(&chat.id),
            (false, None, _) => None,
        };
        let times = [
            reaction.get("date"),
            reaction.get("timestamp"),
            self.envelope.get("created"),
            data.get("timestamp"),
        ];
        let who = sender.as_ref().map_or("me", |person| person.contact_id.as_str());
        let told = times.into_iter().flatten().find_map(moment::read);
        let told = told.map(|at| at.as_millisecond().to_string()).unwrap_or_default();
        let digest = wire::digest(&[&target, who, emoji.unwrap_or_default(), &told]);
        Ok(What::Message(Box::new(Message {
            message_id: format!("reaction:{digest}"),
            sender: sender.map(|mut person| {
                person.pushname = data.get("meta").and_then(|meta| string(meta, "notifyName"));
                person
            }),
            chat,
            from_me,
            source: if from_me { Source::Phone } else { Source::Unknown },
            at: moment::first(times, self.received_at),
            message_type: MessageType::Reaction,
            content: emoji.map(str::to_owned),
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
}

/// An id of reasonable length.
fn id(value: &Value, name: &str) -> Option<String> {
    word(value, name).filter(|id| id.len() <= ID_MAX_BYTES)
}

fn reference(data: &Value) -> Option<String> {
    string(data, "reference").filter(|reference| reference.len() <= ID_MAX_BYTES)
}

/// WhatsApp's words (`ack`) and those of Wassenger's queue (`status`, `deliveryStatus`).
pub(super) fn status_word(text: &str) -> Option<StatusWord> {
    match text.to_ascii_lowercase().as_str() {
        "queued" | "processing" => Some(StatusWord::Pending),
        "cancelled" | "canceled" => Some(StatusWord::Failed),
        word => StatusWord::parse(word),
    }
}

/// What a failed record says of its failure; where it stands is not confirmed.
fn error(data: &Value) -> Option<ProviderError> {
    let places = ["error", "failureReason", "failReason", "reason", "errorMessage"];
    places.into_iter().find_map(|name| match data.get(name)? {
        Value::String(text) if !text.is_empty() => {
            Some(ProviderError { kind: None, code: word(data, "errorCode"), message: text.clone() })
        }
        error @ Value::Object(_) => {
            let message = ["message", "description", "reason"];
            let message = message.into_iter().find_map(|name| string(error, name));
            let code = word(error, "code");
            (message.is_some() || code.is_some()).then(|| ProviderError {
                kind: None,
                code,
                message: message.unwrap_or_else(|| "no reason given".to_owned()),
            })
        }
        _ => None,
    })
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
