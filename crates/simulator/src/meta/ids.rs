//! Meta's ids (`meta_cloud_api.md` section 1).

use crate::{message::Chat, people::Person};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use rand::Rng;
use sha2::{Digest, Sha256};

const GROUP: &str = "capi_group:";

/// Opaque and long.
pub(super) fn new_message() -> String {
    let random: [u8; 24] = rand::rng().random();
    format!("wamid.{}", BASE64_STANDARD_NO_PAD.encode(random))
}

pub(super) fn is_message(text: &str) -> bool {
    text.strip_prefix("wamid.").is_some_and(|rest| (1..=200).contains(&rest.len()))
}

/// Digits.
pub(super) fn new_file() -> String {
    rand::rng().random_range(1_000_000_000_000_000_u64..10_000_000_000_000_000).to_string()
}

/// A group of the world (`<digits>@g.us`) as Meta names it: opaque, without `@`.
pub(super) fn group(id: &str) -> String {
    let digits = id.split_once('@').map_or(id, |(digits, _)| digits);
    format!("{}ZD", BASE64_STANDARD_NO_PAD.encode(format!("{GROUP}{digits}")))
}

/// The group of the world behind such an id.
pub(super) fn group_of(id: &str) -> Option<String> {
    let bytes = BASE64_STANDARD_NO_PAD.decode(id.strip_suffix("ZD")?).ok()?;
    let digits = String::from_utf8(bytes).ok()?.strip_prefix(GROUP)?.to_owned();
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| format!("{digits}@g.us"))
}

/// The business-scoped id: the one given, else one made of the number that does not tell it.
pub(super) fn user_id(person: &Person) -> String {
    person.user_id.clone().unwrap_or_else(|| {
        let hash = Sha256::digest(&person.phone);
        let digits: String =
            hash.iter().take(20).map(|byte| char::from(b'0' + byte % 10)).collect();
        format!("GB.{digits}")
    })
}

/// What names a person alone: the number, or the business-scoped id of a hidden one.
pub(super) fn person(person: &Person) -> String {
    person.number().map_or_else(|| user_id(person), str::to_owned)
}

pub(super) fn chat(chat: &Chat) -> String {
    match chat {
        Chat::Person(phone) => phone.clone(),
        Chat::Group(id) => group(id),
        Chat::Channel(id) => id.clone(),
    }
}

/// A cursor of a list, opaque to the caller.
pub(super) fn cursor(place: usize) -> String {
    BASE64_STANDARD_NO_PAD.encode(format!("place:{place}"))
}

/// The place behind a cursor.
pub(super) fn place_of(cursor: &str) -> Option<usize> {
    let bytes = BASE64_STANDARD_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok()?.strip_prefix("place:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_there_and_back() {
        let id = "12345678901234567890@g.us";
        assert_eq!(group(id), "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD");
        assert_eq!(group_of(&group(id)).as_deref(), Some(id));
        for none in ["", "ZD", "Y2FwaV9ncm91cDp4ZD", "447700900123"] {
            assert_eq!(group_of(none), None, "{none}");
        }
    }

    #[test]
    fn a_user_id_stays_and_tells_no_number() {
        let amira = Person::of("447700900123");
        assert_eq!(user_id(&amira), user_id(&amira));
        assert_ne!(user_id(&amira), user_id(&Person::of("447700900124")));
        assert_eq!(person(&amira), "447700900123");
        let hidden = Person { hides_number: true, ..amira };
        assert_eq!(person(&hidden), user_id(&hidden));
        assert!(is_message(&new_message()) && !is_message("3EB0"));
    }
}
