//! Meta's webhook bodies: entries of accounts, changes of fields, arrays of events; each level is read part
//! by part, so that what is broken stands alone.
//!
//! The arrays that a change's `value` holds decide, the `field` beside it only where there are none: names of
//! fields differ between Meta's pages, and new ones come with the same arrays.

mod account;
mod group;
mod message;
mod people;

use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;
use wabridge_domain::event::{Event, What};

use super::wire;
use crate::json::{self, Fields};
use crate::{Broken, Parsed, Route, Unreadable};

/// What reading one item gives: its events, or why there are none.
type Read = Result<Vec<What>, &'static str>;

/// Reads one item of an array.
type Reader = fn(&Value, &Around<'_>) -> Read;

/// What the items of a value share.
struct Around<'a> {
    route: &'a Route<'a>,
    /// `contacts[]` of the value: names of the people in it.
    contacts: &'a [Value],
    /// `metadata.display_phone_number`: our own number, digits.
    own_number: Option<String>,
    /// The `field` of the change.
    field: &'a str,
}

impl Around<'_> {
    /// True where an id is our own number.
    fn is_own(&self, contact_id: &str) -> bool {
        self.own_number.as_deref() == Some(contact_id)
    }
}

pub(super) fn parse(body: &[u8], route: &Route<'_>) -> Result<Parsed, Unreadable> {
    // One bad byte in one name must not lose the body.
    let body = String::from_utf8_lossy(body);
    let body = body.trim_start_matches('\u{feff}');
    let unreadable = |reason: &str| Unreadable { reason: reason.to_owned() };
    let Fields(fields) =
        serde_json::from_str(body).map_err(|error| Unreadable { reason: json::place(&error) })?;
    if let Some(object) = field(&fields, "object").map(json::value)
        && object != "whatsapp_business_account"
    {
        return Err(unreadable("its object is no WhatsApp Business account"));
    }
    let entries = field(&fields, "entry").ok_or_else(|| unreadable("it has no entry"))?;

    let mut reading = Reading { parsed: Parsed::default(), route, places: HashMap::new() };
    for entry in items(entries) {
        let place = reading.place("entry");
        match object(entry) {
            Some(entry) => reading.entry(&entry, place),
            None => reading.broken("entry", place, "it is no object"),
        }
    }
    Ok(reading.parsed)
}

/// The last field of a name, as JSON reads repetitions.
fn field<'a>(fields: &[(String, &'a RawValue)], name: &str) -> Option<&'a RawValue> {
    fields.iter().rev().find(|(known, _)| known == name).map(|(_, raw)| *raw)
}

fn object(raw: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str(raw.get()).ok().map(|Fields(fields)| fields)
}

/// The items of an array; a lone value counts as one, null as none.
fn items(raw: &RawValue) -> Vec<&RawValue> {
    match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
        Ok(items) => items,
        Err(_) if raw.get() == "null" => vec![],
        Err(_) => vec![raw],
    }
}

struct Reading<'a> {
    parsed: Parsed,
    route: &'a Route<'a>,
    /// How many of a kind were seen.
    places: HashMap<String, usize>,
}

impl Reading<'_> {
    fn place(&mut self, kind: &str) -> usize {
        let place = self.places.entry(kind.to_owned()).or_default();
        *place += 1;
        *place - 1
    }

    fn broken(&mut self, kind: &str, index: usize, reason: &str) {
        let kind = json::kind_of(kind);
        self.parsed.broken.push(Broken { kind, index, reason: reason.to_owned() });
    }

    fn push(&mut self, channel_id: Option<&str>, whats: Vec<What>) {
        let channel_id = channel_id.map(str::to_owned);
        let event = |what| Event { channel_id: channel_id.clone(), what };
        self.parsed.events.extend(whats.into_iter().map(event));
    }

    fn entry(&mut self, entry: &[(String, &RawValue)], place: usize) {
        let Some(changes) = field(entry, "changes") else {
            return self.broken("entry", place, "it has no changes");
        };
        let time = field(entry, "time").map(json::value);
        for change in items(changes) {
            let place = self.place("changes");
            let value = object(change).and_then(|change| {
                let name = field(&change, "field").map(json::value);
                let name = name.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
                Some((name, field(&change, "value")?))
            });
            match value.and_then(|(name, value)| Some((name, value, object(value)?))) {
                Some((name, raw, value)) => self.change(&name, raw, &value, time.as_ref()),
                None => self.broken("changes", place, "it has no value that is an object"),
            }
        }
    }

    fn change(
        &mut self,
        name: &str,
        raw: &RawValue,
        value: &[(String, &RawValue)],
        time: Option<&Value>,
    ) {
        let metadata = field(value, "metadata").map(json::value).unwrap_or_default();
        let channel_id = wire::id(&metadata, "phone_number_id");
        let contacts: Vec<Value> = field(value, "contacts")
            .map(|raw| items(raw).into_iter().map(json::value).collect())
            .unwrap_or_default();
        let own = json::word(&metadata, "display_phone_number")
            .map(|number| number.chars().filter(char::is_ascii_digit).collect());
        let around =
            Around { route: self.route, contacts: &contacts, own_number: own, field: name };
        let mut known = false;
        for (array, read) in ARRAYS {
            let Some(raw) = field(value, array) else { continue };
            known = true;
            for item in items(raw) {
                let place = self.place(array);
                let item = json::value(item);
                let read = match (&channel_id, item.is_object()) {
                    (_, false) => Err("it is no object"),
                    // Another account of this sender may be meant: somebody has to look.
                    (None, true) => Err("its metadata name no phone_number_id"),
                    (Some(_), true) => read(&item, &around),
                };
                match read {
                    Ok(whats) => self.push(channel_id.as_deref(), whats),
                    Err(reason) => self.broken(array, place, reason),
                }
            }
        }
        if let Some(raw) = field(value, "history") {
            known = true;
            self.history(raw, channel_id.as_deref(), &around);
        }
        if !known {
            let place = self.place(name);
            match account::read(name, &json::value(raw), time, self.route) {
                Ok(whats) => self.push(channel_id.as_deref(), whats),
                Err(reason) => self.broken(name, place, reason),
            }
        }
    }
}

impl Reading<'_> {
    /// One item holds many messages: each stands alone.
    fn history(&mut self, raw: &RawValue, channel_id: Option<&str>, around: &Around<'_>) {
        for item in items(raw) {
            let item = json::value(item);
            let found = match channel_id {
                None => vec![Err("its metadata name no phone_number_id")],
                Some(_) if !item.is_object() => vec![Err("it is no object")],
                Some(_) => message::history(&item, around),
            };
            for one in found {
                let place = self.place("history");
                match one {
                    Ok(what) => self.push(channel_id, vec![what]),
                    Err(reason) => self.broken("history", place, reason),
                }
            }
        }
    }
}

/// The arrays of events, and who reads an item of each.
const ARRAYS: [(&str, Reader); 9] = [
    ("messages", message::inbound),
    ("message_echoes", message::echo),
    ("statuses", message::status),
    ("groups", group::read),
    ("user_preferences", people::preference),
    ("user_id_update", people::new_user_id),
    ("state_sync", people::address_book),
    ("calls", |_, around| Ok(vec![other(around.field, "calls")])),
    ("errors", account::error),
];

/// Authentic, readable, without an effect.
fn other(field: &str, kind: &str) -> What {
    let kind = if field == kind { field.to_owned() } else { format!("{field}.{kind}") };
    What::Other { kind: json::kind_of(&kind) }
}

#[cfg(test)]
mod account_tests;
#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
