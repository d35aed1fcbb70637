//! Messages that became something else, people and chats.

use serde_json::Value;
use sha2::{Digest, Sha256};
use wabridge_domain::event::{Chat, ChatUpdate, ContactUpdate, Edit, StatusUpdate, What};
use wabridge_domain::message::StatusWord;

use super::group::changed;
use super::message::{trigger, written};
use super::{id, object};
use crate::Route;
use crate::whapi::wire::{self, string, text};

/// A message and what it was before. The trigger, where there is one, says what was done and when.
pub(super) fn message(item: &Value, route: &Route<'_>) -> Result<What, &'static str> {
    let part = |name: &str| item.get(name).filter(|part| part.is_object());
    let after = part("after_update");
    let done = object(item.get("trigger").unwrap_or(&Value::Null)).ok();
    if let Some(done) = done.filter(|done| text(done, "type") == Some("action")) {
        return trigger(done, after, route);
    }
    let message_id = id(object(item)?, "id")
        .or_else(|| after.and_then(|after| id(after, "id")))
        .ok_or("it names no message id")?;
    let after = after.ok_or("it does not say what is new")?;
    let before = part("before_update");
    let (was, is) = (before.and_then(written), written(after));
    if let Some((content, caption)) = is.clone().filter(|_| is != was) {
        let at = wire::time(done.and_then(|done| done.get("timestamp")), route.received_at);
        let new = content.as_deref().or(caption.as_deref()).unwrap_or_default();
        let edit_id = done
            .and_then(|done| id(done, "id"))
            .unwrap_or_else(|| hex::encode(&Sha256::digest(new)[..16]));
        let chat_id = id(after, "chat_id").map(|id| wire::chat_id(&id));
        return Ok(What::Edit(Edit { message_id, edit_id, at, chat_id, content, caption }));
    }
    let word = text(after, "status").and_then(|word| StatusWord::parse(&word.to_ascii_lowercase()));
    let news = changed(item, before.and_then(Value::as_object), after);
    match word.filter(|_| news.iter().any(|name| name == "status")) {
        Some(word) => Ok(What::Status(StatusUpdate {
            message_id,
            word,
            at: route.received_at,
            member: None,
            error: None,
            reference: None,
        })),
        None => Ok(What::Other { kind: "messages_updates".to_owned() }),
    }
}

/// The id of a message that was deleted. WHAPI does not say when.
pub(super) fn removed(item: &Value, route: &Route<'_>) -> Result<What, &'static str> {
    let message_id = match item {
        Value::String(text) if !text.is_empty() && text.len() <= wire::ID_MAX_BYTES => text.clone(),
        _ => id(item, "id").ok_or("it names no message id")?,
    };
    Ok(What::Status(StatusUpdate {
        message_id,
        word: StatusWord::Deleted,
        at: route.received_at,
        member: None,
        error: None,
        reference: None,
    }))
}

/// A chat with its counter. Its own time is that of the last message, not of the counting.
pub(super) fn chat(item: &Value, route: &Route<'_>) -> Result<What, &'static str> {
    let id = id(object(item)?, "id").map(|id| wire::chat_id(&id)).ok_or("it names no chat")?;
    let unread = item.get("unread").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let chat = Chat { kind: wire::chat_kind(&id), id, name: string(item, "name") };
    Ok(What::Chat(ChatUpdate { chat, at: route.received_at, unread }))
}

/// Only the counter is ours; archived, muted, pinned stays on the phone.
pub(super) fn chat_update(item: &Value, route: &Route<'_>) -> Result<What, &'static str> {
    let after = object(item)?.get("after_update").filter(|after| after.is_object());
    let after = after.ok_or("it does not say what is new")?;
    let before = item.get("before_update").and_then(Value::as_object);
    if changed(item, before, after).iter().any(|name| name == "unread" || name == "name") {
        return chat(after, route);
    }
    id(after, "id").ok_or("it names no chat")?;
    Ok(What::Other { kind: "chats_updates".to_owned() })
}

/// A person of the address book. `gone` are the fields that were taken away.
pub(in crate::whapi) fn contact(
    item: &Value,
    gone: &[String],
    route: &Route<'_>,
) -> Result<What, &'static str> {
    let id = id(object(item)?, "id").ok_or("it names nobody")?;
    let Some(mut person) = wire::person(&id) else {
        // Groups and channels may stand in the address book too.
        return Ok(What::Other { kind: "contacts".to_owned() });
    };
    person.name = string(item, "name");
    person.pushname = string(item, "pushname");
    let picture = string(item, "profile_pic_full").or_else(|| string(item, "profile_pic"));
    let bare = || gone.iter().any(|name| name.starts_with("profile_pic")).then(String::new);
    Ok(What::Contact(Box::new(ContactUpdate {
        person,
        at: route.received_at,
        picture: picture.or_else(bare),
        is_business: item.get("is_business").and_then(Value::as_bool),
        ..ContactUpdate::default()
    })))
}

pub(super) fn contact_update(item: &Value, route: &Route<'_>) -> Result<What, &'static str> {
    let after = object(item)?.get("after_update").filter(|after| after.is_object());
    let after = after.ok_or("it does not say what is new")?;
    let before = item.get("before_update").and_then(Value::as_object);
    contact(after, &changed(item, before, after), route)
}
