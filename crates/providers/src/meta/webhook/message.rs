//! Messages, echoes, history and statuses.

use serde_json::{Map, Value, json};
use wabridge_domain::event::{
    Chat, ChatKind, ContactUpdate, Edit, Location, MediaRef, Message, Person, ProviderError,
    Source, StatusUpdate, What,
};
use wabridge_domain::message::{MessageType, StatusWord};

use super::super::{errors, wire};
use super::{Around, Read, other, people};
use crate::json::{self, string, text, word};

/// What somebody wrote to us.
pub(super) fn inbound(item: &Value, around: &Around<'_>) -> Read {
    let writer = wire::person_in(item, "from", "from_user_id")
        .map(|person| people::named(person, around.contacts));
    if text(item, "type") == Some("system")
        && let Some(what) = new_number(item, writer.as_ref(), around)
    {
        return Ok(vec![what]);
    }
    let chat = match group(item) {
        Some(chat) => chat,
        None => direct(writer.as_ref().ok_or("it does not say who wrote it")?),
    };
    read(item, around, Written { chat, writer, source: Source::Phone, from_me: false })
}

/// What was written in the business app on the phone.
pub(super) fn echo(item: &Value, around: &Around<'_>) -> Read {
    let chat = match group(item).or_else(|| group_called(item, "to")) {
        Some(chat) => chat,
        None => {
            let person = wire::person_in(item, "to", "to_user_id").ok_or("it names no chat")?;
            direct(&people::named(person, around.contacts))
        }
    };
    let source = match around.field {
        "smb_message_echoes" => Source::Phone,
        _ => Source::Unknown,
    };
    read(item, around, Written { chat, writer: None, source, from_me: true })
}

/// The messages of one part of the past, each with the id of its chat; the part's own errors as they are.
pub(super) fn history(item: &Value, around: &Around<'_>) -> Vec<Result<What, &'static str>> {
    let list = |value: &Value, name: &str| match value.get(name) {
        Some(Value::Array(items)) => items.clone(),
        _ => vec![],
    };
    let mut all = Vec::new();
    for error in list(item, "errors") {
        all.extend(super::account::error(&error, around).map(|mut whats| whats.remove(0)).map(Ok));
    }
    for thread in list(item, "threads") {
        let chat = wire::id(&thread, "id");
        for message in list(&thread, "messages") {
            match past(&message, chat.as_deref(), around) {
                Ok(whats) => all.extend(whats.into_iter().map(Ok)),
                Err(reason) => all.push(Err(reason)),
            }
        }
    }
    all
}

fn past(item: &Value, thread: Option<&str>, around: &Around<'_>) -> Read {
    if !item.is_object() {
        return Err("it is no object");
    }
    // The file itself follows in a webhook of its own, under the same id.
    if text(item, "type") == Some("media_placeholder") {
        return Ok(vec![other("history", "media_placeholder")]);
    }
    let from = wire::person_in(item, "from", "from_user_id");
    let from_me = from.as_ref().is_some_and(|from| around.is_own(&from.contact_id))
        || (from.is_none() && item.get("to").is_some());
    let partner = thread.and_then(wire::person).or_else(|| match from_me {
        true => wire::person_in(item, "to", "to_user_id"),
        false => from.clone(),
    });
    let chat = match (group(item), partner) {
        (Some(chat), _) => chat,
        (None, Some(partner)) => direct(&people::named(partner, around.contacts)),
        (None, None) => return Err("it names no chat"),
    };
    let writer = from.filter(|_| !from_me).map(|person| people::named(person, around.contacts));
    if !from_me && writer.is_none() {
        return Err("it does not say who wrote it");
    }
    let source = if from_me { Source::Unknown } else { Source::Phone };
    let mut whats = read(item, around, Written { chat, writer, source, from_me })?;
    for what in &mut whats {
        if let What::Message(message) = what {
            message.extra.insert("history".to_owned(), true.into());
            message.word = item
                .get("history_context")
                .and_then(|context| text(context, "status"))
                .and_then(|word| StatusWord::parse(&word.to_ascii_lowercase()))
                .filter(|_| from_me);
        }
    }
    Ok(whats)
}

/// Where a message stands and who wrote it.
struct Written {
    chat: Chat,
    writer: Option<Person>,
    source: Source,
    from_me: bool,
}

fn group(item: &Value) -> Option<Chat> {
    wire::id(item, "group_id").map(|id| Chat { id, kind: ChatKind::Group, name: None })
}

fn group_called(item: &Value, name: &str) -> Option<Chat> {
    let id = wire::id(item, name)?;
    (wire::chat_kind(&id) == Some(ChatKind::Group)).then_some(Chat {
        id,
        kind: ChatKind::Group,
        name: None,
    })
}

fn direct(person: &Person) -> Chat {
    let name = person.name.clone().or_else(|| person.pushname.clone());
    Chat { id: person.contact_id.clone(), kind: ChatKind::Direct, name }
}

fn read(item: &Value, around: &Around<'_>, written: Written) -> Read {
    let message_id = wire::id(item, "id").ok_or("it names no message id")?;
    let at = json::time(item.get("timestamp"), around.route.received_at);
    let kind = text(item, "type").unwrap_or("unknown");
    match kind {
        "edit" => return edit(item, message_id, at, &written.chat).map(|what| vec![what]),
        "revoke" => {
            let target =
                item.get("revoke").and_then(|revoke| wire::id(revoke, "original_message_id"));
            return Ok(vec![What::Status(StatusUpdate {
                message_id: target.ok_or("its deletion aims at no message")?,
                word: StatusWord::Deleted,
                at,
                member: None,
                error: None,
                reference: None,
            })]);
        }
        _ => {}
    }
    let content = content(kind, item)?;
    let context = item.get("context").filter(|context| context.is_object());
    let quoted_id = content.target.or_else(|| context.and_then(|context| wire::id(context, "id")));
    let flag = |name| context.and_then(|c| c.get(name)).and_then(Value::as_bool) == Some(true);
    let mut extra = content.extra;
    if flag("frequently_forwarded") {
        extra.insert("frequently_forwarded".to_owned(), true.into());
    }
    for (place, name) in [(context, "referred_product"), (Some(item), "referral")] {
        if let Some(value) = place.and_then(|place| place.get(name)).filter(|v| v.is_object()) {
            extra.insert(name.to_owned(), value.clone());
        }
    }
    Ok(vec![What::Message(Box::new(Message {
        message_id,
        chat: written.chat,
        from_me: written.from_me,
        source: written.source,
        sender: written.writer,
        at,
        message_type: content.message_type,
        content: content.content,
        caption: content.caption,
        quoted_id,
        word: None,
        media: content.media,
        location: content.location,
        forwarded: flag("forwarded") || flag("frequently_forwarded"),
        reference: string(item, "biz_opaque_callback_data"),
        extra,
    }))])
}

fn edit(
    item: &Value,
    edit_id: String,
    at: jiff::Timestamp,
    chat: &Chat,
) -> Result<What, &'static str> {
    let edit = item.get("edit").filter(|edit| edit.is_object()).ok_or("it has no edit")?;
    let message_id = wire::id(edit, "original_message_id").ok_or("its edit aims at no message")?;
    let new = edit.get("message").ok_or("its edit says nothing new")?;
    let part = |kind| new.get(kind).filter(|part: &&Value| part.is_object());
    let content = part("text").and_then(|part| string(part, "body"));
    let kind = text(new, "type").unwrap_or("text");
    let caption = part(kind).and_then(|part| string(part, "caption"));
    if content.is_none() && caption.is_none() {
        return Err("its edit says nothing new");
    }
    let chat_id = Some(chat.id.clone());
    Ok(What::Edit(Edit { message_id, edit_id, at, chat_id, content, caption }))
}

/// A person has another number, or another user id, from now on.
fn new_number(item: &Value, before: Option<&Person>, around: &Around<'_>) -> Option<What> {
    let system = item.get("system")?;
    if !text(system, "type")?.starts_with("user_changed") {
        return None;
    }
    let wa_id = wire::id(system, "wa_id").or_else(|| wire::id(system, "new_wa_id"));
    let person = wire::person_of(wa_id.as_deref(), wire::id(system, "user_id").as_deref())?;
    Some(What::Contact(Box::new(ContactUpdate {
        person,
        at: json::time(item.get("timestamp"), around.route.received_at),
        formerly: before.cloned(),
        ..ContactUpdate::default()
    })))
}

/// What a message says, by its type.
struct Content {
    message_type: MessageType,
    content: Option<String>,
    caption: Option<String>,
    /// The message that a reaction aims at.
    target: Option<String>,
    media: Option<MediaRef>,
    location: Option<Location>,
    extra: Map<String, Value>,
}

impl Content {
    fn new(message_type: MessageType, content: Option<String>) -> Self {
        Self {
            message_type,
            content,
            caption: None,
            target: None,
            media: None,
            location: None,
            extra: Map::new(),
        }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}

fn content(kind: &str, item: &Value) -> Result<Content, &'static str> {
    let nothing = Value::Object(Map::new());
    let part = item.get(kind).filter(|part| part.is_object()).unwrap_or(&nothing);
    let is = |name| part.get(name).and_then(Value::as_bool) == Some(true);
    Ok(match kind {
        "text" => Content::new(MessageType::Text, string(part, "body")),
        "image" => file(MessageType::Image, part),
        "video" => file(MessageType::Video, part),
        "audio" if is("voice") => file(MessageType::Voice, part),
        "audio" => file(MessageType::Audio, part),
        "document" => file(MessageType::Document, part),
        "sticker" if is("animated") => {
            file(MessageType::Sticker, part).with("animated", true.into())
        }
        "sticker" => file(MessageType::Sticker, part),
        "location" => location(part),
        "contacts" => {
            let cards = item.get("contacts").and_then(Value::as_array).cloned().unwrap_or_default();
            let names: Vec<&str> =
                cards.iter().filter_map(|card| text(card.get("name")?, "formatted_name")).collect();
            let names = (!names.is_empty()).then(|| names.join(", "));
            Content::new(MessageType::Contact, names).with("contacts", cards.into())
        }
        "reaction" => {
            // Empty or absent: the reaction is taken back.
            let mut content = Content::new(MessageType::Reaction, string(part, "emoji"));
            let target = wire::id(part, "message_id").ok_or("its reaction aims at no message")?;
            content.target = Some(target);
            content
        }
        // What somebody chose: a button of a template, …
        "button" => Content::new(MessageType::Interactive, string(part, "text"))
            .with("reply", json!({"type": "button", "button": part})),
        // … or of our own message, a row of a list, a filled form.
        "interactive" => {
            let chosen = text(part, "type").and_then(|kind| part.get(kind));
            let title = chosen
                .and_then(|chosen| string(chosen, "title").or_else(|| string(chosen, "body")));
            Content::new(MessageType::Interactive, title).with("reply", part.clone())
        }
        "order" => {
            Content::new(MessageType::Order, string(part, "text")).with("order", part.clone())
        }
        "system" => {
            Content::new(MessageType::System, string(part, "body")).with("system", part.clone())
        }
        _ => Content::new(MessageType::Unknown, string(part, "body")).with("raw", item.clone()),
    })
}

fn file(message_type: MessageType, part: &Value) -> Content {
    let size = word(part, "file_size").and_then(|size| size.parse().ok());
    let mut content = Content::new(message_type, None);
    content.caption = string(part, "caption");
    content.media = Some(MediaRef {
        id: wire::id(part, "id"),
        url: string(part, "url"),
        mimetype: string(part, "mime_type"),
        filename: string(part, "filename"),
        size,
        sha256: text(part, "sha256").and_then(wire::sha256),
        ..MediaRef::default()
    });
    content
}

fn location(part: &Value) -> Content {
    let degrees = |name: &str, most: f64| {
        let number = match part.get(name)? {
            Value::Number(number) => number.as_f64()?,
            // Meta's own specification wants strings where its webhooks have numbers.
            Value::String(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        (number.abs() <= most).then_some(number)
    };
    let mut content = Content::new(MessageType::Location, None);
    match (degrees("latitude", 90.0), degrees("longitude", 180.0)) {
        (Some(latitude), Some(longitude)) => {
            let (name, address) = (string(part, "name"), string(part, "address"));
            content.location = Some(Location { latitude, longitude, name, address });
            match text(part, "url") {
                Some(url) => content.with("url", url.into()),
                None => content,
            }
        }
        _ => content.with("location", part.clone()),
    }
}

/// A word about a message that we sent.
pub(super) fn status(item: &Value, around: &Around<'_>) -> Read {
    let message_id = wire::id(item, "id").ok_or("it names no message id")?;
    let word = text(item, "status").ok_or("it has no status word")?;
    let Some(word) = StatusWord::parse(&word.to_ascii_lowercase()) else {
        // A word of tomorrow: kept in the journal, otherwise ignored.
        return Ok(vec![other("statuses", word)]);
    };
    let in_group = text(item, "recipient_type") == Some("group");
    let member = wire::person_in(item, "recipient_participant_id", "recipient_participant_user_id")
        .filter(|_| in_group || item.get("group_id").is_some())
        .map(|person| person.contact_id);
    Ok(vec![What::Status(StatusUpdate {
        message_id,
        word,
        at: json::time(item.get("timestamp"), around.route.received_at),
        member,
        error: item.get("errors").and_then(|errors| errors.get(0)).map(error),
        reference: string(item, "biz_opaque_callback_data"),
    })])
}

/// One of Meta's errors in our form: what people can read of it, longest first, once.
pub(super) fn error(error: &Value) -> ProviderError {
    let details = error.get("error_data").and_then(|data| text(data, "details"));
    let words = [text(error, "message").or_else(|| text(error, "title")), details];
    let mut words: Vec<&str> = words.into_iter().flatten().collect();
    words.dedup();
    let code = word(error, "code");
    ProviderError {
        kind: code.as_deref().and_then(|code| errors::kind(code.parse().ok()?)),
        code,
        message: if words.is_empty() { "no reason given".to_owned() } else { words.join(": ") },
    }
}
