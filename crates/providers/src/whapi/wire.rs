//! WHAPI's ids.

use wabridge_domain::event::{ChatKind, Person};

pub(super) use crate::json::{Fields, ID_MAX_BYTES, string, text, time, value, word};

pub(super) const DIRECT: &str = "s.whatsapp.net";
pub(super) const GROUP: &str = "g.us";
pub(super) const NEWSLETTER: &str = "newsletter";
pub(super) const LID: &str = "lid";

pub(super) fn direct_chat_id(digits: &str) -> String {
    format!("{digits}@{DIRECT}")
}

/// A chat id in WHAPI's own form: `@c.us` (other libraries) becomes `@s.whatsapp.net`, the device of
/// `<digits>:<device>@…` goes away. Bare digits are a person.
pub(super) fn chat_id(id: &str) -> String {
    let Some((local, domain)) = id.split_once('@') else {
        return direct_chat_id(id);
    };
    let mut domain = domain.to_ascii_lowercase();
    if domain == "c.us" {
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

/// The person behind a contact id (bare digits) or the id of a direct chat.
pub(super) fn person(id: &str) -> Option<Person> {
    let id = chat_id(id);
    let (local, domain) = id.split_once('@')?;
    if local.is_empty() || !local.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match domain {
        // A number that E.164 does not have is still somebody, without a phone.
        DIRECT => {
            let phone = (7..=15).contains(&local.len()).then(|| format!("+{local}"));
            Some(Person { phone, contact_id: id, ..Person::default() })
        }
        LID => Some(Person { lid: Some(id.clone()), contact_id: id, ..Person::default() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_never_panic(id in "\\PC{0,40}") {
            let chat = chat_id(&id);
            chat_kind(&chat);
            person(&id);
        }
    }
}
