//! JSON of webhooks and answers, read as tolerantly as providers write it.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Longest id that is one: longer than any pattern of the sheet, shorter than what an index takes.
pub(crate) const ID_MAX_BYTES: usize = 256;

/// WhatsApp's year of birth, 2009: no message is older.
const EARLIEST_SECOND: i64 = 1_230_768_000;
/// How far a provider's clock may be ahead of ours, seconds.
const AHEAD_S: i64 = 86_400;

/// Seconds as a number or a string; `received_at` where they are missing, unreadable, before 2009 or more
/// than a day after the receipt.
pub(crate) fn time(value: Option<&Value>, received_at: Timestamp) -> Timestamp {
    let seconds = match value {
        Some(Value::Number(number)) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Some(Value::String(text)) => {
            let text = text.trim();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        _ => None,
    };
    let latest = received_at.as_second().saturating_add(AHEAD_S);
    seconds
        .filter(|second| (EARLIEST_SECOND..=latest).contains(second))
        .and_then(|second| Timestamp::from_second(second).ok())
        .unwrap_or(received_at)
}

fn whole(seconds: f64) -> Option<i64> {
    // Beyond 2^53 a float holds no second exactly, and no such time is believed anyway.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
    (seconds.abs() < 9e15).then(|| seconds.trunc() as i64)
}

/// The fields of a JSON object in their order, each still raw: one that cannot be read spoils no other.
pub(crate) struct Fields<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A value whatever odd things stand in it: numbers beyond every range become strings, half surrogate pairs
/// the replacement character, NUL characters (which PostgreSQL cannot store) go away, and what is nested
/// absurdly deep becomes null.
pub(crate) fn value(raw: &RawValue) -> Value {
    let mut value = serde_json::from_str(raw.get()).unwrap_or_else(|_| repaired(raw, 0));
    strip_nul(&mut value);
    value
}

/// Deepest nesting that is repaired.
const DEPTH_MAX: usize = 32;

fn repaired(raw: &RawValue, depth: usize) -> Value {
    let text = raw.get();
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    match text.as_bytes().first() {
        Some(b'{') => match serde_json::from_str::<Fields<'_>>(text) {
            Ok(Fields(fields)) => fields
                .into_iter()
                .map(|(name, raw)| (name, repaired(raw, depth + 1)))
                .collect::<Map<_, _>>()
                .into(),
            Err(_) => Value::Null,
        },
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(items) => items.into_iter().map(|raw| repaired(raw, depth + 1)).collect(),
            Err(_) => Value::Null,
        },
        Some(b'"') => serde_json::from_str(&whole_surrogates(text)).unwrap_or_default(),
        _ => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    }
}

/// A JSON string in which each half of a surrogate pair that stands alone is replaced by U+FFFD.
fn whole_surrogates(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        whole.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = code_unit(rest);
        let pair = unit.is_some_and(|unit| (0xD800..0xDC00).contains(&unit))
            && code_unit(&rest[6..]).is_some_and(|unit| (0xDC00..0xE000).contains(&unit));
        let lone = !pair && unit.is_some_and(|unit| (0xD800..0xE000).contains(&unit));
        // Every other escape is a backslash and one ASCII character, the valid JSON around it says so.
        let len = match (pair, unit) {
            (true, _) => 12,
            (false, Some(_)) => 6,
            (false, None) => 2,
        };
        whole.push_str(if lone { "\\ufffd" } else { rest.get(..len).unwrap_or(rest) });
        rest = rest.get(len..).unwrap_or_default();
    }
    whole.push_str(rest);
    whole
}

/// The UTF-16 unit of a `\uXXXX` at the beginning of `text`.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

fn strip_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => text.retain(|c| c != '\0'),
        Value::Array(items) => items.iter_mut().for_each(strip_nul),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, value)| (name.replace('\0', ""), value))
                    .collect();
            }
            fields.values_mut().for_each(strip_nul);
        }
        _ => {}
    }
}

/// A non-empty string field.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The same, as an own value.
pub(crate) fn string(value: &Value, name: &str) -> Option<String> {
    text(value, name).map(str::to_owned)
}

/// A field that is a string or a number, as text.
pub(crate) fn word(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Where JSON ends to make sense; the library's own words could quote content.
pub(crate) fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "it holds something else",
        _ => "it is malformed",
    };
    format!("no JSON object: {what} (line {}, column {})", error.line(), error.column())
}

/// A kind of event in a provider's word, bounded: the words come from outside.
pub(crate) fn kind_of(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        value(serde_json::from_str::<&RawValue>(text).unwrap())
    }

    #[test]
    fn odd_values_are_repaired() {
        assert_eq!(read(r#"{"a":1e999,"b":"x"}"#), json!({"a": "1e999", "b": "x"}));
        let huge = read(r#"{"a":123456789012345678901234567890,"b":[true]}"#);
        assert_eq!(huge["b"], json!([true]));
        assert_eq!(read(r#""cut \ud83d""#), json!("cut \u{fffd}"));
        assert_eq!(read(r#""\ud83d\ude00 \ude00 \\ud83d""#), json!("😀 \u{fffd} \\ud83d"));
        assert_eq!(read(r#""\ud83d\u0041\ud83d\ud83d\ude00""#), json!("\u{fffd}A\u{fffd}😀"));
        assert_eq!(read(r#"{"a\u0000b":["x\u0000y"]}"#), json!({"ab": ["xy"]}));
        let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(read(&deep)["b"], json!(1));
    }

    #[test]
    fn times_that_cannot_be_true_are_not_believed() {
        let received_at = Timestamp::from_second(1_765_800_100).unwrap();
        let at = |value: Value| time(Some(&value), received_at).as_second();
        for good in [
            json!(1_765_800_001),
            json!("1765800001"),
            json!(1_765_800_001.7),
            json!(" 1765800001.2 "),
        ] {
            assert_eq!(at(good.clone()), 1_765_800_001, "{good}");
        }
        for bad in [
            json!(0),
            json!(-5),
            json!(1_765_800_001_000_i64),
            json!("soon"),
            json!(null),
            json!([1]),
            json!(1e300),
            json!("NaN"),
            json!("inf"),
            json!(u64::MAX),
            json!(i64::MIN),
        ] {
            assert_eq!(at(bad.clone()), 1_765_800_100, "{bad}");
        }
        assert_eq!(time(None, received_at), received_at);
        assert_eq!(at(json!(1_765_800_100 + AHEAD_S)), 1_765_800_100 + AHEAD_S);
        assert_eq!(at(json!(1_765_800_101 + AHEAD_S)), 1_765_800_100);
        assert_eq!(time(Some(&json!(5)), Timestamp::MAX), Timestamp::MAX);
    }

    proptest! {
        #[test]
        fn surrogates_leave_valid_json(units in proptest::collection::vec(any::<u16>(), 0..20)) {
            let text: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let text = format!("\"{text}\"");
            prop_assert!(serde_json::from_str::<String>(&whole_surrogates(&text)).is_ok());
        }
    }
}
