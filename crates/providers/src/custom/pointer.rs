//! Where a value stands: JSON pointers (RFC 6901), tried in turn.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

/// One place or several; the first that holds something counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointers(Vec<String>);

impl Pointers {
    pub fn at(places: &[&str]) -> Option<Self> {
        Some(Self(places.iter().map(|place| (*place).to_owned()).collect()))
    }

    /// The first value that is not null.
    pub fn value<'a>(&self, from: &'a Value) -> Option<&'a Value> {
        self.0.iter().filter_map(|place| from.pointer(place)).find(|value| !value.is_null())
    }

    /// As [`Pointers::value`], where it is a text that is not empty, a number or a boolean, as text.
    pub fn text(&self, from: &Value) -> Option<String> {
        self.0.iter().filter_map(|place| from.pointer(place)).find_map(|value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(word) => Some(word.to_string()),
            _ => None,
        })
    }
}

impl std::fmt::Display for Pointers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}

impl<'de> Deserialize<'de> for Pointers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let places = match Value::deserialize(deserializer)? {
            Value::String(one) => vec![one],
            Value::Array(several) if !several.is_empty() => several
                .into_iter()
                .map(|one| match one {
                    Value::String(one) => Ok(one),
                    _ => Err(D::Error::custom("a list of places holds texts only")),
                })
                .collect::<Result<_, _>>()?,
            _ => {
                return Err(D::Error::custom(
                    "a place is a JSON pointer like \"/data/message/id\", a list of them, or null for none",
                ));
            }
        };
        if let Some(wrong) = places.iter().find(|place| !is_pointer(place)) {
            return Err(D::Error::custom(format!(
                "{wrong:?} is no JSON pointer; begin it with a slash, like \"/data/message/id\""
            )));
        }
        Ok(Self(places))
    }
}

fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes
}

/// The text of an optional place.
pub(super) fn text(place: Option<&Pointers>, from: &Value) -> Option<String> {
    place?.text(from)
}

/// The value of an optional place.
pub(super) fn value<'a>(place: Option<&Pointers>, from: &'a Value) -> Option<&'a Value> {
    place?.value(from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_place_that_holds_something() {
        let places: Pointers = serde_json::from_value(json!(["/a/0", "/b", "/c~1d"])).unwrap();
        assert_eq!(places.text(&json!({"a": [null], "b": "", "c/d": 7})).as_deref(), Some("7"));
        assert_eq!(places.text(&json!({"a": ["x"], "b": "y"})).as_deref(), Some("x"));
        assert_eq!(places.value(&json!({"b": {}})), Some(&json!({})));
        assert_eq!(places.text(&json!({"b": {}})), None);
        for wrong in [json!("a/b"), json!(5), json!([]), json!(["/a", 1]), json!("/a~2")] {
            assert!(serde_json::from_value::<Pointers>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
