//! Names, wishes and new ids of people.

use serde_json::Value;
use wabridge_domain::event::{ContactUpdate, Person, PreferenceUpdate, What};

use super::super::wire;
use super::{Around, Read, other};
use crate::json::{self, string, text};

/// A person with the names that `contacts[]` has for them.
pub(super) fn named(mut person: Person, contacts: &[Value]) -> Person {
    let is_them = |contact: &&Value| {
        let known = wire::person_in(contact, "wa_id", "user_id");
        known.is_some_and(|known| {
            known.contact_id == person.contact_id
                || (known.user_id.is_some() && known.user_id == person.user_id)
        })
    };
    // A number and its wa_id may differ in some countries; where there is only one person it is that one.
    let alone = (contacts.len() == 1).then(|| &contacts[0]);
    let Some(contact) = contacts.iter().find(is_them).or(alone) else { return person };
    let profile = contact.get("profile").unwrap_or(&Value::Null);
    person.pushname = string(profile, "name");
    person.username = string(profile, "username").or_else(|| string(contact, "username"));
    if person.user_id.is_none() {
        person.user_id = wire::id(contact, "user_id").filter(|id| wire::is_user_id(id));
    }
    person
}

/// Somebody wants no more marketing, or wants it again.
pub(super) fn preference(item: &Value, around: &Around<'_>) -> Read {
    let person = wire::person_in(item, "wa_id", "user_id").ok_or("it names nobody")?;
    let category = text(item, "category").ok_or("it names no category")?;
    let allowed = match text(item, "value").unwrap_or_default().to_ascii_lowercase().as_str() {
        "stop" => false,
        "resume" => true,
        _ => return Err("its value is neither stop nor resume"),
    };
    Ok(vec![What::Preference(PreferenceUpdate {
        person: named(person, around.contacts),
        category: json::kind_of(category.strip_suffix("_messages").unwrap_or(category)),
        allowed,
        reason: string(item, "detail"),
        at: json::time(item.get("timestamp"), around.route.received_at),
    })])
}

/// Somebody has another business-scoped id from now on.
pub(super) fn new_user_id(item: &Value, around: &Around<'_>) -> Read {
    let ids = item.get("user_id").ok_or("it names no user id")?;
    let (previous, current) = (wire::id(ids, "previous"), wire::id(ids, "current"));
    let person = wire::person_of(wire::id(item, "wa_id").as_deref(), current.as_deref())
        .filter(|person| person.user_id.is_some())
        .ok_or("it names no current user id")?;
    Ok(vec![What::Contact(Box::new(ContactUpdate {
        person: named(person, around.contacts),
        at: json::time(item.get("timestamp"), around.route.received_at),
        formerly: previous.as_deref().and_then(wire::person),
        ..ContactUpdate::default()
    }))])
}

/// The address book of the business app.
pub(super) fn address_book(item: &Value, around: &Around<'_>) -> Read {
    let is_contact = text(item, "type") == Some("contact");
    // Who was taken out of the address book stays the same person to us.
    if !is_contact || text(item, "action") == Some("remove") {
        return Ok(vec![other(around.field, "state_sync")]);
    }
    let contact = item.get("contact").ok_or("it has no contact")?;
    let mut person =
        wire::person_in(contact, "phone_number", "user_id").ok_or("it names nobody")?;
    person.name = string(contact, "full_name").or_else(|| string(contact, "first_name"));
    person.username = string(contact, "username");
    let time = item.get("metadata").and_then(|metadata| metadata.get("timestamp"));
    Ok(vec![What::Contact(Box::new(ContactUpdate {
        person,
        at: json::time(time, around.route.received_at),
        ..ContactUpdate::default()
    }))])
}
