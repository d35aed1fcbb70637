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

use rand::Rng;
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
    pub phone: String,
    pub name: String,
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
            on_whatsapp: special != 1,
            delivers: special != 4,
            reads: !matches!(special, 4 | 5),
            echoes: special == 3,
            refuses_groups: special == 2,
        }
    }

    /// The same person with what was said about it; what was not said stays.
    pub fn with(mut self, spec: &PersonSpec) -> Self {
        if let Some(name) = &spec.name {
            self.name.clone_from(name);
        }
        self.on_whatsapp = spec.on_whatsapp.unwrap_or(self.on_whatsapp);
        self.delivers = spec.delivers.unwrap_or(self.delivers);
        self.reads = spec.reads.unwrap_or(self.reads);
        self.echoes = spec.echoes.unwrap_or(self.echoes);
        self.refuses_groups = spec.refuses_groups.unwrap_or(self.refuses_groups);
        self
    }
}

/// What the accounts file or `/_control/state` says about a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonSpec {
    pub phone: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub on_whatsapp: Option<bool>,
    #[serde(default)]
    pub delivers: Option<bool>,
    #[serde(default)]
    pub reads: Option<bool>,
    #[serde(default)]
    pub echoes: Option<bool>,
    #[serde(default)]
    pub refuses_groups: Option<bool>,
}

/// A group for the accounts file or `/_control/state`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// `…@g.us`; made up when missing.
    #[serde(default)]
    pub id: Option<String>,
    pub name: String,
    /// Numbers of the members. Where no account is among them, every account is added.
    #[serde(default)]
    pub participants: Vec<String>,
    /// The account that made the group, by its token.
    #[serde(default)]
    pub token: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    pub id: String,
    pub name: String,
    pub participants: Vec<String>,
    /// Seconds since 1970.
    pub created_at: i64,
    pub created_by: String,
}

/// The digits of a number as people and providers write it: `+44 7700 900123`, `447…@s.whatsapp.net`.
pub(crate) fn digits(text: &str) -> Option<String> {
    let bare = text.split_once('@').map_or(text, |(digits, _)| digits);
    let digits: String =
        bare.chars().filter(|c| !matches!(c, '+' | ' ' | '-' | '(' | ')')).collect();
    let fits = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then_some(digits)
}

/// WhatsApp's own id of a group: `^[\d-]{10,31}@g\.us$`.
pub(crate) fn is_group_id(text: &str) -> bool {
    text.strip_suffix("@g.us").is_some_and(|id| {
        (10..=31).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    })
}

pub(crate) fn new_group_id() -> String {
    let number: u64 = rand::rng().random_range(0..10_000_000_000_000);
    format!("12036{number:013}@g.us")
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
    }

    #[test]
    fn group_ids() {
        assert!(is_group_id(&new_group_id()));
        assert!(is_group_id("447700900123-1600000000@g.us"));
        assert!(!is_group_id("447700900123@s.whatsapp.net"));
        assert!(!is_group_id("12@g.us"));
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
