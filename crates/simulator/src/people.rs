//! Who is out there, and how they behave (the project's design, section 10).
//!
//! Everybody is a WhatsApp user who receives at once, reads soon and stays silent, except:
//!
//! | number | behaves |
//! | --- | --- |
//! | `447700900801` | is not on WhatsApp |
//! | `447700900802` | refuses to be added to groups |
//! | `447700900803` | answers each text after 1 s with `Echo: <text>` |
//! | `447700900804` | is never reached: sent, not delivered |
//! | `447700900805` | receives but never reads |

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// After a send was accepted: echo and the word `sent`. Short, but behind the answer as a rule.
pub(crate) const SENT_AFTER: Duration = Duration::from_millis(30);
/// Delivered within 0.5 s.
pub(crate) const DELIVERED_AFTER: Duration = Duration::from_millis(250);
/// Read within 2 s, and before an answer is written.
pub(crate) const READ_AFTER: Duration = Duration::from_millis(900);
pub(crate) const ECHO_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Person {
    /// Digits with country code; `<digits>@lid` of somebody whose number nobody knows. What all
    /// lists name a person by.
    pub phone: String,
    /// The name they gave themselves.
    pub name: String,
    /// The name in the account's address book.
    pub saved_name: Option<String>,
    pub lid: Option<String>,
    pub username: Option<String>,
    /// Meta's business-scoped id.
    pub user_id: Option<String>,
    /// Writes without showing the number, where a provider has a form for that.
    pub hides_number: bool,
    /// Address of the picture.
    pub picture: Option<String>,
    pub is_business: bool,
    pub is_blocked: bool,
    pub on_whatsapp: bool,
    pub delivers: bool,
    pub reads: bool,
    pub echoes: bool,
    pub refuses_groups: bool,
}

impl Person {
    /// The person behind a number nobody said anything about.
    pub fn of(phone: &str) -> Self {
        let (name, special) = match phone {
            "447700900801" => ("No Whatsapp".to_owned(), 1),
            "447700900802" => ("Refuses Groups".to_owned(), 2),
            "447700900803" => ("Echo".to_owned(), 3),
            "447700900804" => ("Never Reached".to_owned(), 4),
            "447700900805" => ("Never Reads".to_owned(), 5),
            other => (format!("Person {}", &other[other.len().saturating_sub(4)..]), 0),
        };
        Self {
            phone: phone.to_owned(),
            name,
            saved_name: None,
            lid: phone.ends_with("@lid").then(|| phone.to_owned()),
            username: None,
            user_id: None,
            hides_number: false,
            picture: None,
            is_business: false,
            is_blocked: false,
            on_whatsapp: special != 1,
            delivers: special != 4,
            reads: !matches!(special, 4 | 5),
            echoes: special == 3,
            refuses_groups: special == 2,
        }
    }

    /// The number, unless it is hidden from businesses.
    pub fn number(&self) -> Option<&str> {
        (!self.hides_number && !self.phone.ends_with("@lid")).then_some(&self.phone)
    }

    /// The same person with what was said about it; what was not said stays.
    pub fn with(mut self, spec: &PersonSpec) -> Self {
        if let Some(name) = &spec.name {
            self.name.clone_from(name);
        }
        let keep = |place: &mut Option<String>, said: &Option<String>| {
            if let Some(said) = said {
                *place = (!said.is_empty()).then(|| said.clone());
            }
        };
        keep(&mut self.saved_name, &spec.saved_name);
        keep(&mut self.lid, &spec.lid);
        keep(&mut self.username, &spec.username);
        keep(&mut self.user_id, &spec.user_id);
        keep(&mut self.picture, &spec.picture);
        self.hides_number = spec.hides_number.unwrap_or(self.hides_number);
        self.is_business = spec.is_business.unwrap_or(self.is_business);
        self.is_blocked = spec.is_blocked.unwrap_or(self.is_blocked);
        self.on_whatsapp = spec.on_whatsapp.unwrap_or(self.on_whatsapp);
        self.delivers = spec.delivers.unwrap_or(self.delivers);
        self.reads = spec.reads.unwrap_or(self.reads);
        self.echoes = spec.echoes.unwrap_or(self.echoes);
        self.refuses_groups = spec.refuses_groups.unwrap_or(self.refuses_groups);
        self
    }
}

/// What the accounts file or `/_control/state` says about a person.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PersonSpec {
    /// The number, or `<digits>@lid`.
    pub phone: String,
    pub name: Option<String>,
    /// Empty takes the name out of the address book; so with the texts below.
    pub saved_name: Option<String>,
    pub lid: Option<String>,
    pub username: Option<String>,
    pub user_id: Option<String>,
    pub picture: Option<String>,
    pub hides_number: Option<bool>,
    pub is_business: Option<bool>,
    pub is_blocked: Option<bool>,
    pub on_whatsapp: Option<bool>,
    pub delivers: Option<bool>,
    pub reads: Option<bool>,
    pub echoes: Option<bool>,
    pub refuses_groups: Option<bool>,
}

/// The digits of a number as people and providers write it: `+44 7700 900123`, `447…@s.whatsapp.net`.
pub(crate) fn digits(text: &str) -> Option<String> {
    let bare = text.split_once('@').map_or(text, |(digits, _)| digits);
    let digits: String =
        bare.chars().filter(|c| !matches!(c, '+' | ' ' | '-' | '(' | ')')).collect();
    let fits = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then_some(digits)
}

/// Whoever a control call means: a number, or the hidden number's `<digits>@lid`.
pub(crate) fn person_key(text: &str) -> Option<String> {
    match text.strip_suffix("@lid") {
        Some(lid) if lid.len() >= 10 && lid.bytes().all(|b| b.is_ascii_digit()) => {
            Some(text.to_owned())
        }
        Some(_) => None,
        None => digits(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_all_writings() {
        for text in ["+44 7700 900123", "447700900123", "447700900123@s.whatsapp.net"] {
            assert_eq!(digits(text).as_deref(), Some("447700900123"));
        }
        assert_eq!(digits("12345"), None);
        assert_eq!(digits("call me"), None);
        assert_eq!(person_key("183800000000123@lid").as_deref(), Some("183800000000123@lid"));
        assert_eq!(person_key("+44 7700 900123").as_deref(), Some("447700900123"));
        assert_eq!(person_key("x@lid"), None);
    }

    #[test]
    fn a_special_person_stays_special_when_renamed() {
        let spec: PersonSpec =
            serde_json::from_str(r#"{"phone":"447700900803","name":"Parrot"}"#).unwrap();
        let person = Person::of("447700900803").with(&spec);
        assert!(person.echoes);
        assert_eq!(person.name, "Parrot");
    }
}
