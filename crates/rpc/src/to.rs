//! `to` of a send: one string, or the row of a contact, partner or group.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Whom a message is for, as the caller names him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A number as people write it, or a provider's chat id.
    Text(String),
    /// Row id in `whatsapp_contact`.
    Contact(i32),
    /// Row id in `res_partner`.
    Partner(i32),
    /// Row id in `whatsapp_group`.
    Group(i32),
}

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = To;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or chat id as a string, or one of {contact_id}, {partner_id}, {group_id}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<To, E> {
                Ok(To::Text(text.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<To, M::Error> {
                const KEYS: &[&str] = &["contact_id", "partner_id", "group_id"];
                let mut to = None;
                while let Some(key) = map.next_key::<String>()? {
                    let make = match key.as_str() {
                        "contact_id" => To::Contact,
                        "partner_id" => To::Partner,
                        "group_id" => To::Group,
                        other => return Err(M::Error::unknown_field(other, KEYS)),
                    };
                    if to.replace(make(map.next_value()?)).is_some() {
                        return Err(M::Error::custom(
                            "give one of contact_id, partner_id, group_id, not several",
                        ));
                    }
                }
                to.ok_or_else(|| M::Error::custom("give one of contact_id, partner_id, group_id"))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for To {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "To".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let row = |name: &str| {
            serde_json::json!({
                "type": "object",
                "properties": {name: {"type": "integer", "format": "int32"}},
                "required": [name],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "description": "A number as people write it or a chat id; or the row of a contact, partner or group",
            "oneOf": [{"type": "string"}, row("contact_id"), row("partner_id"), row("group_id")],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let read = |text: &str| serde_json::from_str::<To>(text).map_err(|e| e.to_string());
        assert_eq!(read(r#""+44 7700 900801""#), Ok(To::Text("+44 7700 900801".into())));
        assert_eq!(read(r#"{"contact_id":3}"#), Ok(To::Contact(3)));
        assert_eq!(read(r#"{"partner_id":3}"#), Ok(To::Partner(3)));
        assert_eq!(read(r#"{"group_id":3}"#), Ok(To::Group(3)));
        assert!(read("{}").unwrap_err().contains("give one of"));
        assert!(read(r#"{"group_id":3,"contact_id":4}"#).unwrap_err().contains("not several"));
        assert!(read(r#"{"uid":3}"#).unwrap_err().contains("unknown field"));
        assert!(read("5").unwrap_err().contains("chat id as a string"));
    }
}
