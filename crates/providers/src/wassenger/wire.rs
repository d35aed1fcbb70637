//! Wassenger's ids.

use sha2::{Digest, Sha256};
use wabridge_domain::event::{ChatKind, Person};

pub(super) const DIRECT: &str = "c.us";
pub(super) const GROUP: &str = "g.us";
pub(super) const NEWSLETTER: &str = "newsletter";
pub(super) const LID: &str = "lid";

pub(super) fn direct_chat_id(digits: &str) -> String {
    format!("{digits}@{DIRECT}")
}

/// A chat id in Wassenger's own form: `@s.whatsapp.net` (other libraries) becomes `@c.us`, the device of
/// `<digits>:<device>@…` goes away. A bare number, with or without plus, is a person.
pub(super) fn chat_id(id: &str) -> String {
    let id = id.trim();
    let Some((local, domain)) = id.split_once('@') else {
        return direct_chat_id(id.strip_prefix('+').unwrap_or(id));
    };
    let mut domain = domain.to_ascii_lowercase();
    if domain == "s.whatsapp.net" {
        domain = DIRECT.to_owned();
    }
    let local = local.split_once(':').map_or(local, |(local, _device)| local);
    format!("{local}@{domain}")
}

pub(super) fn chat_kind(id: &str) -> ChatKind {
    match id.split_once('@').map(|(_, domain)| domain) {
        Some(DIRECT | LID) => ChatKind::Direct,
        Some(GROUP) => ChatKind::Group,
        _ => ChatKind::Channel,
    }
}

/// The person behind a number or the id of a direct chat.
pub(super) fn person(id: &str) -> Option<Person> {
    let id = chat_id(id);
    let (local, domain) = id.split_once('@')?;
    if local.is_empty() || !local.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match domain {
        DIRECT => Some(Person { phone: phone(local), contact_id: id, ..Person::default() }),
        LID => Some(Person { lid: Some(id.clone()), contact_id: id, ..Person::default() }),
        _ => None,
    }
}

/// E.164 of digits, with or without plus; a number that E.164 does not have is none.
pub(super) fn phone(text: &str) -> Option<String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let fits = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| format!("+{digits}"))
}

/// True for the id of a record in Wassenger's own queue, which is no message of WhatsApp's: 24 hexadecimal
/// digits in lower case, where WhatsApp writes upper case.
pub(super) fn is_queue_id(id: &str) -> bool {
    id.len() == 24
        && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && id.bytes().any(|b| b.is_ascii_lowercase())
}

/// An id for what has none: the same parts give the same one, on every delivery and every machine.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_of_other_libraries_become_own() {
        for id in [
            "447700900123@c.us",
            "447700900123@s.whatsapp.net",
            "447700900123:7@s.whatsapp.net",
            "447700900123@C.US",
            "+447700900123",
            "447700900123",
        ] {
            assert_eq!(chat_id(id), "447700900123@c.us", "{id}");
        }
        assert_eq!(chat_id("120363025550100777@g.us"), "120363025550100777@g.us");
        assert_eq!(chat_kind("183800000000123@lid"), ChatKind::Direct);
        assert_eq!(chat_kind("status@broadcast"), ChatKind::Channel);
    }

    #[test]
    fn queue_ids_are_no_messages() {
        assert!(is_queue_id("6925aa11bb22cc33dd44ee55"));
        for id in [
            "6925AA11BB22CC33DD44EE55",
            "3EB0FFEEDDCCBBAA0011",
            "692511",
            "123456789012345678901234",
        ] {
            assert!(!is_queue_id(id), "{id}");
        }
    }

    #[test]
    fn digests_tell_their_parts_apart() {
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
        assert_ne!(digest(&["ab", ""]), digest(&["a", "b"]));
    }

    proptest! {
        #[test]
        fn ids_never_panic(id in "\\PC{0,40}") {
            let chat = chat_id(&id);
            chat_kind(&chat);
            person(&id);
            is_queue_id(&id);
        }
    }
}
