//! Texts and bodies with places for values: `{chat_id}`, `{text}`, …

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};

/// What a call can put into a template. What a call has no value for is left out with its key.
#[derive(Debug, Clone, Default)]
pub(super) struct Values<'a>(Vec<(Slot, Held<'a>)>);

#[derive(Debug, Clone)]
enum Held<'a> {
    Text(&'a str),
    /// In the place of a whole text it is itself, within one it is written out.
    Json(Value),
}

impl<'a> Values<'a> {
    pub fn text(mut self, slot: Slot, text: Option<&'a str>) -> Self {
        self.0.extend(text.map(|text| (slot, Held::Text(text))));
        self
    }

    /// A number, a list or an object.
    pub fn json(mut self, slot: Slot, value: Option<Value>) -> Self {
        self.0.extend(value.map(|value| (slot, Held::Json(value))));
        self
    }

    /// A text as such, anything else as [`Values::json`].
    pub fn written(self, slot: Slot, value: Option<&'a Value>) -> Self {
        match value {
            Some(Value::String(text)) => self.text(slot, Some(text)),
            other => self.json(slot, other.cloned()),
        }
    }

    fn get(&self, slot: Slot) -> Option<&Held<'a>> {
        self.0.iter().find(|(known, _)| *known == slot).map(|(_, held)| held)
    }

    fn as_text(&self, slot: Slot) -> Option<Cow<'_, str>> {
        Some(match self.get(slot)? {
            Held::Text(text) => Cow::Borrowed(*text),
            Held::Json(value) => Cow::Owned(value.to_string()),
        })
    }
}

/// What `docs/CUSTOM_PROVIDER.md` says of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    ChatId,
    Phone,
    Text,
    QuotedId,
    Reference,
    ChannelId,
    MessageId,
    MediaId,
    Type,
    File,
    Caption,
    Filename,
    Mimetype,
    Data,
    Latitude,
    Longitude,
    Name,
    Address,
    Number,
    Vcard,
    Emoji,
    Title,
    Options,
    Count,
    Kind,
    Header,
    Footer,
    Button,
    Language,
    Parameters,
    GroupId,
    Subject,
    Description,
    Participants,
    Phones,
    InviteCode,
    Cursor,
    Offset,
    Page,
    Since,
    Until,
}

impl Slot {
    const ALL: [(&'static str, Self); 41] = [
        ("chat_id", Self::ChatId),
        ("phone", Self::Phone),
        ("text", Self::Text),
        ("quoted_id", Self::QuotedId),
        ("reference", Self::Reference),
        ("channel_id", Self::ChannelId),
        ("message_id", Self::MessageId),
        ("media_id", Self::MediaId),
        ("type", Self::Type),
        ("file", Self::File),
        ("caption", Self::Caption),
        ("filename", Self::Filename),
        ("mimetype", Self::Mimetype),
        ("data", Self::Data),
        ("latitude", Self::Latitude),
        ("longitude", Self::Longitude),
        ("name", Self::Name),
        ("address", Self::Address),
        ("number", Self::Number),
        ("vcard", Self::Vcard),
        ("emoji", Self::Emoji),
        ("title", Self::Title),
        ("options", Self::Options),
        ("count", Self::Count),
        ("kind", Self::Kind),
        ("header", Self::Header),
        ("footer", Self::Footer),
        ("button", Self::Button),
        ("language", Self::Language),
        ("parameters", Self::Parameters),
        ("group_id", Self::GroupId),
        ("subject", Self::Subject),
        ("description", Self::Description),
        ("participants", Self::Participants),
        ("phones", Self::Phones),
        ("invite_code", Self::InviteCode),
        ("cursor", Self::Cursor),
        ("offset", Self::Offset),
        ("page", Self::Page),
        ("since", Self::Since),
        ("until", Self::Until),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, slot)| *slot == self).map_or("", |(name, _)| *name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Slot(Slot),
}

/// A text with places; `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if from.starts_with("{{") || from.starts_with("}}") {
                plain.push_str(&from[..1]);
                rest = &from[2..];
                continue;
            }
            let name = from.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((name, behind)) = name else {
                return Err(format!("{text:?} has a brace alone; write {{{{ or }}}} for a brace"));
            };
            let Some((_, slot)) = Slot::ALL.iter().find(|(known, _)| *known == name) else {
                let known: Vec<String> =
                    Slot::ALL.iter().map(|(known, _)| format!("{{{known}}}")).collect();
                return Err(format!(
                    "unknown placeholder {{{name}}}; known are {}",
                    known.join(", ")
                ));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Slot(*slot));
            rest = behind;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().filter_map(|part| match part {
            Part::Slot(slot) => Some(*slot),
            Part::Text(_) => None,
        })
    }

    /// None where one of the values is missing.
    pub fn fill(&self, values: &Values<'_>) -> Option<String> {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(Cow::Borrowed(text.as_str())),
                Part::Slot(slot) => values.as_text(*slot),
            })
            .collect()
    }

    /// As [`Template::fill`]; a number, a list or an object where the text is nothing but its place.
    fn fill_json(&self, values: &Values<'_>) -> Option<Value> {
        match self.0.as_slice() {
            [Part::Slot(slot)] => Some(match values.get(*slot)? {
                Held::Text(text) => Value::from(*text),
                Held::Json(value) => value.clone(),
            }),
            _ => self.fill(values).map(Value::String),
        }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The path of a call: segments, each with places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Template>);

impl Path {
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') || text.contains(['?', '#']) {
            return Err(format!(
                "{text:?} is no path; begin it with a slash and leave out ? and # (credentials go into headers)"
            ));
        }
        let segments = text.split('/').filter(|segment| !segment.is_empty());
        segments.map(Template::parse).collect::<Result<_, _>>().map(Self)
    }

    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().flat_map(Template::slots)
    }

    pub fn fill(&self, values: &Values<'_>) -> Option<Vec<String>> {
        // A segment of dots would climb to another call.
        self.0
            .iter()
            .map(|one| one.fill(values).filter(|text| text != "." && text != ".."))
            .collect()
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A JSON body with places in its texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Plain(Value),
    Text(Template),
    List(Vec<Body>),
    Object(Vec<(String, Body)>),
}

impl Body {
    pub fn compile(value: Value, place: &str) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => {
                Self::Text(Template::parse(&text).map_err(|why| format!("at {place:?}: {why}"))?)
            }
            Value::Array(items) => {
                let items = items.into_iter().enumerate();
                Self::List(
                    items
                        .map(|(n, item)| Self::compile(item, &format!("{place}/{n}")))
                        .collect::<Result<_, _>>()?,
                )
            }
            Value::Object(fields) => Self::Object(
                fields
                    .into_iter()
                    .map(|(name, field)| {
                        let field = Self::compile(field, &format!("{place}/{name}"))?;
                        Ok((name, field))
                    })
                    .collect::<Result<_, String>>()?,
            ),
            plain => Self::Plain(plain),
        })
    }

    pub fn slots(&self) -> Vec<Slot> {
        match self {
            Self::Plain(_) => vec![],
            Self::Text(text) => text.slots().collect(),
            Self::List(items) => items.iter().flat_map(Self::slots).collect(),
            Self::Object(fields) => fields.iter().flat_map(|(_, field)| field.slots()).collect(),
        }
    }

    /// What has no value is left out, and so is an object of which nothing is left.
    pub fn fill(&self, values: &Values<'_>) -> Option<Value> {
        match self {
            Self::Plain(value) => Some(value.clone()),
            Self::Text(text) => text.fill_json(values),
            Self::List(items) => Some(items.iter().filter_map(|item| item.fill(values)).collect()),
            Self::Object(fields) => {
                let filled: Map<String, Value> = fields
                    .iter()
                    .filter_map(|(name, field)| Some((name.clone(), field.fill(values)?)))
                    .collect();
                (fields.is_empty() || !filled.is_empty()).then_some(Value::Object(filled))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::compile(Value::deserialize(deserializer)?, "").map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> Values<'static> {
        Values::default()
            .text(Slot::ChatId, Some("1@g.us"))
            .text(Slot::Text, Some("say \"{text}\"\n"))
            .text(Slot::Reference, Some("r"))
            .json(Slot::Latitude, Some(json!(51.5)))
            .json(Slot::Options, Some(json!(["a", "b"])))
    }

    #[test]
    fn bodies() {
        let body = json!({
            "to": "{chat_id}", "phone": "+{phone}", "n": 1, "text": {"body": "{text}"},
            "context": {"id": "{quoted_id}"}, "list": ["{reference}", "{phone}"], "braces": "{{x}}",
            "empty": {}, "at": "{latitude}", "geo": "geo:{latitude}", "options": "{options}", "gone": "{longitude}",
        });
        let filled = Body::compile(body, "").unwrap().fill(&values()).unwrap();
        assert_eq!(
            filled,
            json!({
                "to": "1@g.us", "n": 1, "text": {"body": "say \"{text}\"\n"}, "list": ["r"],
                "braces": "{x}", "empty": {}, "at": 51.5, "geo": "geo:51.5", "options": ["a", "b"],
            })
        );
        for (wrong, word) in [
            (json!({"a": {"b": "{nobody}"}}), "/a/b"),
            (json!("{text"), "brace alone"),
            (json!("}"), "brace alone"),
            (json!("{}"), "unknown placeholder {}"),
        ] {
            let why = Body::compile(wrong, "").unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn paths() {
        let path = Path::parse("/chats/{chat_id}/x-{reference}/").unwrap();
        assert_eq!(path.fill(&values()).unwrap(), ["chats", "1@g.us", "x-r"]);
        assert_eq!(Path::parse("/m/{message_id}").unwrap().fill(&values()), None);
        let dots = values().text(Slot::MessageId, Some(".."));
        assert_eq!(Path::parse("/m/{message_id}").unwrap().fill(&dots), None);
        for wrong in ["", "messages", "/a?b=c", "/a#b", "/{nobody}"] {
            assert!(Path::parse(wrong).is_err(), "{wrong}");
        }
    }
}
