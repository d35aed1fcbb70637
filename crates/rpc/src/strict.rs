//! Reading parameters without doubt: a signed call means one thing, or nothing.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Deepest nesting of parameters; those of the deepest method have six levels.
pub const DEPTH_MAX: usize = 32;

/// A JSON value in which no object has a name twice, and that is nested [`DEPTH_MAX`] deep at most. What is between the
/// reader and the signer reads the first of two, serde the last.
#[derive(Debug)]
pub struct Strict(pub Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level(DEPTH_MAX).deserialize(deserializer).map(Self)
    }
}

/// So many levels may still follow.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    fn below<E: Error>(self) -> Result<Self, E> {
        let left = self.0.checked_sub(1);
        left.map(Self).ok_or_else(|| {
            E::custom(format_args!("parameters are nested deeper than {DEPTH_MAX} levels"))
        })
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut all = Vec::new();
        while let Some(one) = seq.next_element_seed(below)? {
            all.push(one);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut all = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if all.contains_key(&name) {
                // Cut: it may be of any length.
                let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
                return Err(A::Error::custom(format_args!("`{shown}` is given twice")));
            }
            let value = map.next_value_seed(below)?;
            all.insert(name, value);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        let read: Result<Strict, _> = serde_json::from_str(text);
        read.map(|strict| strict.0).map_err(|error| error.to_string())
    }

    #[test]
    fn the_same_as_serde_where_nothing_is_twice() {
        for text in [
            r#"{"a":[1,-2,3.5,18446744073709551615,true,false,null,"x\u00e9",{}],"b":{"a":1}}"#,
            "null",
            "[]",
            r#""\ud83d\udc4d""#,
            "1e300",
        ] {
            let wanted: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read(text), Ok(wanted), "{text}");
        }
        // serde_json gives this name a meaning of its own in a value.
        let text = r#"{"$serde_json::private::RawValue":"{\"uid\":1}"}"#;
        assert_eq!(
            read(text),
            Ok(json!({"$serde_json::private::RawValue": "{\"uid\":1}"})),
            "a text stays a text"
        );
    }

    #[test]
    fn a_name_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"uid":1,"uid":2}"#,
            r#"{"uid":1,"\u0075id":1}"#,
            r#"{"a":[{"text":{"body":1,"body":1}}]}"#,
        ] {
            assert!(read(text).unwrap_err().contains("is given twice"), "{text}");
        }
        let long = format!("{{\"{0}\":1,\"{0}\":2}}", "x".repeat(1000));
        assert!(read(&long).unwrap_err().len() < 120);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(DEPTH_MAX)).is_ok());
        assert!(read(&nested(DEPTH_MAX + 1)).unwrap_err().contains("deeper than 32"));
        assert!(read(&nested(100_000)).is_err());
    }
}
