//! Whom a message is for, as people and programs write it.

use crate::error::{Kind, Refusal};

pub use crate::phone::Msisdn;

/// A recipient given as one string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    Phone(Msisdn),
    /// A chat id of some provider, form-checked only: the account's provider decides whether it is one of its own.
    Chat(String),
}

impl Recipient {
    /// # Errors
    /// `invalid_recipient`, with what is wrong.
    pub fn parse(text: &str, country: Option<&str>) -> Result<Self, Refusal> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Refusal::new(Kind::InvalidRecipient, "there is no recipient"));
        }
        if let Some((local, domain)) = text.split_once('@') {
            let fits = (1..=64).contains(&local.len())
                && (1..=32).contains(&domain.len())
                && local.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:=".contains(c))
                && domain.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
            return if fits {
                Ok(Self::Chat(text.to_owned()))
            } else {
                Err(Refusal::new(Kind::InvalidRecipient, "the chat id is malformed"))
            };
        }
        if is_bare_chat_id(text) {
            return Ok(Self::Chat(text.to_owned()));
        }
        Msisdn::parse(text, country).map(Self::Phone)
    }
}

/// Ids without `@`, as Meta has them: a country's two letters, a dot and an id (`GB.10293847561029384756`), or
/// a long opaque word (a group). Nothing that people type for a number looks like these.
fn is_bare_chat_id(text: &str) -> bool {
    let user_id = text.split_once('.').is_some_and(|(country, rest)| {
        country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()) && !rest.is_empty()
    });
    let opaque = text.len() >= 20 && text.bytes().any(|b| b.is_ascii_alphabetic());
    (user_id || opaque)
        && text.len() <= 256
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-=+/".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits(text: &str, country: Option<&str>) -> String {
        match Recipient::parse(text, country) {
            Ok(Recipient::Phone(number)) => number.digits().to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn numbers_as_people_write_them() {
        assert_eq!(digits("+44 7700 900123", None), "447700900123");
        assert_eq!(digits("447700900123", None), "447700900123");
        assert_eq!(digits("0044 7700-900123", None), "447700900123");
        assert_eq!(digits("0471 23 45 67", Some("BE")), "32471234567");
        assert_eq!(digits("+447700900801", Some("BE")), "447700900801");
        assert_eq!(digits("447700900801", Some("GB")), "447700900801");
    }

    #[test]
    fn refused_with_the_cure() {
        for (text, word) in [
            ("0471 23 45 67", "country code"),
            ("12345", "country code"),
            ("+1234567890123456", "digits after the country code"),
            ("call me", "letters"),
            ("", "no recipient"),
            ("a b@g.us", "malformed"),
        ] {
            let refusal = Recipient::parse(text, None).unwrap_err();
            assert_eq!(refusal.kind, Kind::InvalidRecipient);
            assert!(refusal.message.contains(word), "{text:?}: {refusal}");
        }
    }

    #[test]
    fn chat_ids_are_kept_as_given() {
        let id = "120363025550100777@g.us";
        assert_eq!(Recipient::parse(id, None), Ok(Recipient::Chat(id.into())));
        for bare in
            ["GB.10293847561029384756", "US.ENT.7", "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD"]
        {
            assert_eq!(Recipient::parse(bare, Some("GB")), Ok(Recipient::Chat(bare.into())));
        }
        for neither in ["GB.", "gb.7", "GB.7 8", "a-short-word"] {
            assert!(Recipient::parse(neither, None).is_err(), "{neither}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}", country in proptest::option::of("[A-Z]{2}")) {
            if let Ok(Recipient::Phone(number)) = Recipient::parse(&text, country.as_deref()) {
                prop_assert!(number.digits().len() <= 15);
            }
        }
    }
}
