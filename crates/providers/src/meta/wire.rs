//! Meta's ids and the people behind them.
//!
//! A person is a `wa_id` (the digits of the number) or, where the number is hidden behind a username, only a
//! business-scoped user id. Both are kept where both are there; the number names the contact then.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use wabridge_domain::event::{ChatKind, Person};

use crate::json::{ID_MAX_BYTES, word};

/// Longest digits that E.164 has, and the fewest that are believed.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// A group's id is opaque; shorter than this it is rather a typo.
const GROUP_ID_MIN: usize = 20;

/// What kind of chat an id names; None where it is none of Meta's.
pub(super) fn chat_kind(id: &str) -> Option<ChatKind> {
    if is_wa_id(id) || is_user_id(id) {
        Some(ChatKind::Direct)
    } else if is_group_id(id) {
        Some(ChatKind::Group)
    } else {
        None
    }
}

/// Digits without plus or suffix.
fn is_wa_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit())
}

/// `GB.10293847561029384756`, the parent form `US.ENT.…`: a country, a dot, up to 128 letters and digits.
pub(super) fn is_user_id(id: &str) -> bool {
    let Some((country, rest)) = id.split_once('.') else { return false };
    let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|b| b.is_ascii_uppercase())
        && (1..=128).contains(&rest.len())
        && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Opaque, as base64 is.
fn is_group_id(id: &str) -> bool {
    (GROUP_ID_MIN..=ID_MAX_BYTES).contains(&id.len())
        && id.bytes().any(|b| b.is_ascii_alphabetic())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=+/".contains(&b))
}

/// The E.164 number of a `wa_id`; None for ids that are no number E.164 has.
pub(super) fn phone(wa_id: &str) -> Option<String> {
    (is_wa_id(wa_id) && PHONE_DIGITS.contains(&wa_id.len())).then(|| format!("+{wa_id}"))
}

/// The person behind an id that stands alone.
pub(super) fn person(id: &str) -> Option<Person> {
    if is_wa_id(id) {
        Some(Person { contact_id: id.to_owned(), phone: phone(id), ..Person::default() })
    } else if is_user_id(id) {
        let user_id = Some(id.to_owned());
        Some(Person { contact_id: id.to_owned(), user_id, ..Person::default() })
    } else {
        None
    }
}

/// The person behind a number, a user id, or both; None where neither makes sense.
pub(super) fn person_of(wa_id: Option<&str>, user_id: Option<&str>) -> Option<Person> {
    // Some events write the number with its plus.
    let by_number = wa_id.map(|id| id.strip_prefix('+').unwrap_or(id)).and_then(person);
    let by_user_id = user_id.and_then(person).filter(|person| person.user_id.is_some());
    match (by_number, by_user_id) {
        (Some(mut person), Some(other)) => {
            person.user_id = person.user_id.or(other.user_id);
            Some(person)
        }
        (one, other) => one.or(other),
    }
}

/// The person that an object names in two of its fields.
pub(super) fn person_in(item: &Value, wa_id: &str, user_id: &str) -> Option<Person> {
    let (wa_id, user_id) = (id(item, wa_id), id(item, user_id));
    person_of(wa_id.as_deref(), user_id.as_deref())
}

/// An id of reasonable length; some events write ids as numbers.
pub(super) fn id(item: &Value, name: &str) -> Option<String> {
    word(item, name).filter(|id| id.len() <= ID_MAX_BYTES)
}

/// A SHA-256 in base64, as webhooks have it, or in hexadecimal digits: lower-case hexadecimal.
pub(super) fn sha256(text: &str) -> Option<String> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let text = text.trim();
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(text.to_ascii_lowercase());
    }
    let bytes = BASE64.decode(text).ok()?;
    (bytes.len() == 32).then(|| hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_by_number_and_user_id() {
        let both = person_of(Some("447700900123"), Some("GB.10293847561029384756")).unwrap();
        assert_eq!(both.contact_id, "447700900123");
        assert_eq!(both.phone.as_deref(), Some("+447700900123"));
        assert_eq!(both.user_id.as_deref(), Some("GB.10293847561029384756"));
        let hidden = person_of(None, Some("US.ENT.11815799212886844830")).unwrap();
        assert_eq!(hidden.contact_id, "US.ENT.11815799212886844830");
        assert_eq!((hidden.phone, hidden.user_id.is_some()), (None, true));
        // A user id may stand where the number used to.
        assert_eq!(person_of(Some("GB.1"), None).unwrap().user_id.as_deref(), Some("GB.1"));
        assert_eq!(person_of(Some("+447700900123"), None).unwrap().contact_id, "447700900123");
        assert_eq!(person("123").unwrap().phone, None);
        for nobody in ["", "abc", "gb.1", "GB.", "GB.a b", "447700900123@c.us"] {
            assert_eq!(person(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn kinds_of_chats() {
        let group = "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD";
        assert_eq!(chat_kind(group), Some(ChatKind::Group));
        assert_eq!(chat_kind("447700900123"), Some(ChatKind::Direct));
        assert_eq!(chat_kind("GB.10293847561029384756"), Some(ChatKind::Direct));
        for none in ["", "short", "120363025550100777@g.us", "a b c d e f g h i j k l m"] {
            assert_eq!(chat_kind(none), None, "{none}");
        }
    }

    #[test]
    fn checksums_in_both_forms() {
        let hexadecimal = "c4f8fbc06266d28d23bfcab70e4d660767939f9c94f5c2f8ad6cc0eac41f1f42";
        assert_eq!(sha256(&hexadecimal.to_uppercase()).as_deref(), Some(hexadecimal));
        let bytes = hex::decode(hexadecimal).unwrap();
        let base64 = base64::prelude::BASE64_STANDARD.encode(bytes);
        assert_eq!(sha256(&base64).as_deref(), Some(hexadecimal));
        assert_eq!(sha256(base64.trim_end_matches('=')).as_deref(), Some(hexadecimal));
        for nothing in ["", "abc", "<HASH>", "AAAA"] {
            assert_eq!(sha256(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn ids_never_panic(id in "\\PC{0,70}") {
            chat_kind(&id);
            person(&id);
            sha256(&id);
        }
    }
}
