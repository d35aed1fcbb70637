//! Wassenger's ids (section 1).

use crate::{message::Chat, people::person_key};
use sha2::{Digest, Sha256};

/// Upper-case hexadecimal, 18 to 32 digits.
pub(super) fn is_message(text: &str) -> bool {
    (18..=32).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
}

pub(super) fn new_message() -> String {
    format!("3EB0{:016X}", rand::random::<u64>())
}

/// An id of one of Wassenger's own records: 24 lower-case hexadecimal digits, beginning with a letter so that
/// it is no number.
pub(super) fn new_record() -> String {
    format!("a{:023x}", rand::random::<u128>() >> 36)
}

/// The record of the queue that belongs to a message: always the same.
pub(super) fn record_of(message_id: &str) -> String {
    let digest = Sha256::digest(message_id.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("b{}", &hex[..23])
}

/// The chat id as Wassenger writes it.
pub(super) fn chat(chat: &Chat) -> String {
    match chat {
        Chat::Person(phone) => person(phone),
        Chat::Group(id) | Chat::Channel(id) => id.clone(),
    }
}

/// The chat that such an id names.
pub(super) fn chat_of(id: &str) -> Option<Chat> {
    match id.split_once('@')?.1 {
        "g.us" => Some(Chat::Group(id.to_owned())),
        "newsletter" => Some(Chat::Channel(id.to_owned())),
        _ => person_key(id).map(Chat::Person),
    }
}

/// A person's wid, from [`crate::people::Person::phone`].
pub(super) fn person(phone: &str) -> String {
    if phone.ends_with("@lid") { phone.to_owned() } else { format!("{phone}@c.us") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert!(is_message(&new_message()));
        assert!(is_message("ACB19255F805BFD6139C144316DE574F"));
        for id in [new_record(), record_of("3EB0"), record_of("")] {
            assert_eq!(id.len(), 24, "{id}");
            assert!(!is_message(&id), "{id}");
        }
        assert_eq!(record_of("3EB0"), record_of("3EB0"));
    }
}
