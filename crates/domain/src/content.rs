//! What is to be sent: the content half of `message.send`'s parameters, the same in RPC, in
//! `whatsapp_outbox_in.request` and in the outbox.
//!
//! Limits: WhatsApp's own as Meta documents them (sheet, section 2); the other providers state none and run into
//! the same ones. A provider that takes less says so in its capabilities.

mod check;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::message::MessageType;

/// Longest text message, characters.
pub const TEXT_MAX_CHARS: usize = 4096;
/// Longest caption of a file, and longest body of buttons and lists, characters.
pub const CAPTION_MAX_CHARS: usize = 1024;
/// `text` of `message.send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub body: String,
    /// Show a preview of the first link; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<bool>,
    /// Numbers or contact ids that are mentioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
}

/// `media` of `message.send`, once its bytes are kept: a row of `whatsapp_media`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Row id in `whatsapp_media`.
    pub id: i32,
    /// The name people see; the row's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
}

/// `location` of `message.send`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// Degrees, -90 to 90.
    pub latitude: f64,
    /// Degrees, -180 to 180.
    pub longitude: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// `contact` of `message.send`: a card with a name and a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactCard {
    pub name: String,
    pub phone: String,
}

impl ContactCard {
    /// The card in the form that phones read (vCard 3.0), with everything from outside escaped.
    pub fn vcard(&self) -> String {
        let escape = |text: &str| -> String {
            text.chars().fold(String::new(), |mut all, c| {
                match c {
                    '\\' | ';' | ',' => all.extend(['\\', c]),
                    '\r' | '\n' => all.push(' '),
                    c => all.push(c),
                }
                all
            })
        };
        let digits: String = self.phone.chars().filter(char::is_ascii_digit).collect();
        let name = escape(&self.name);
        format!(
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:;{name};;;\r\nFN:{name}\r\nTEL;type=CELL;waid={digits}:+{digits}\r\nEND:VCARD"
        )
    }
}

/// `poll` of `message.send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    pub title: String,
    pub options: Vec<String>,
    /// How many options one person may choose; 1 when absent, 0 for any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// `interactive` of `message.send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interactive {
    pub kind: InteractiveKind,
    pub body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// What stands on the button that opens a list; [`LIST_BUTTON`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub button: Option<String>,
    pub options: Vec<InteractiveOption>,
}

/// A sign that needs no translation.
pub const LIST_BUTTON: &str = "☰";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InteractiveKind {
    Buttons,
    List,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InteractiveOption {
    /// Comes back with the answer.
    pub id: String,
    pub title: String,
    /// Lists only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A provider's template, named; never rendered to text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub name: String,
    pub language: String,
    #[serde(default)]
    pub parameters: TemplateParameters,
}

/// What stands in a template's placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateParameters {
    /// Of a header that is a text; one that is a file is `media`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub header: Vec<Parameter>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<Parameter>,
    /// The variable ends of the addresses of buttons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<ButtonParameter>,
}

/// What stands in one placeholder: by its place, or by its name where the template's placeholders have names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a parameter is a text, or {name, text}")]
pub enum Parameter {
    Text(String),
    Named(NamedParameter),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedParameter {
    /// As in the definition, without braces.
    pub name: String,
    pub text: String,
}

impl Parameter {
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Named(named) => &named.text,
        }
    }

    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::Named(named) => Some(&named.name),
        }
    }
}

/// The variable end of a button's address: of the next button, or of the one with this number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a button's parameter is a text, or {index, text}")]
pub enum ButtonParameter {
    Text(String),
    Numbered(NumberedParameter),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberedParameter {
    /// From 0, among all buttons of the template.
    pub index: u8,
    pub text: String,
}

impl TemplateParameters {
    /// The number of a button and the end of its address.
    pub fn numbered_buttons(&self) -> impl Iterator<Item = (usize, &str)> {
        self.buttons.iter().enumerate().map(|(place, parameter)| match parameter {
            ButtonParameter::Text(text) => (place, text.as_str()),
            ButtonParameter::Numbered(numbered) => (numbered.index.into(), numbered.text.as_str()),
        })
    }
}

/// A reaction; the message it aims at is the one that is quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reaction {
    /// None takes the reaction back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}

/// Checked content, ready for a provider. In JSON `{"type": "<type>", "<part>": {…}}`, as in `message.send`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    Text {
        text: Text,
    },
    Image {
        media: File,
    },
    Video {
        media: File,
    },
    Audio {
        media: File,
    },
    Voice {
        media: File,
    },
    Document {
        media: File,
    },
    Gif {
        media: File,
    },
    Sticker {
        media: File,
    },
    Location {
        location: Location,
    },
    Contact {
        contact: ContactCard,
    },
    Poll {
        poll: Poll,
    },
    Interactive {
        interactive: Interactive,
    },
    Template {
        template: Template,
        /// The header, where that is a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media: Option<File>,
    },
    Reaction {
        reaction: Reaction,
    },
}

impl Content {
    /// Checks a text.
    ///
    /// # Errors
    /// `invalid_content` when it is empty or longer than [`TEXT_MAX_CHARS`].
    pub fn text(text: Text) -> Result<Self, Refusal> {
        Self::Text { text }.checked()
    }

    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Text { .. } => MessageType::Text,
            Self::Image { .. } => MessageType::Image,
            Self::Video { .. } => MessageType::Video,
            Self::Audio { .. } => MessageType::Audio,
            Self::Voice { .. } => MessageType::Voice,
            Self::Document { .. } => MessageType::Document,
            Self::Gif { .. } => MessageType::Gif,
            Self::Sticker { .. } => MessageType::Sticker,
            Self::Location { .. } => MessageType::Location,
            Self::Contact { .. } => MessageType::Contact,
            Self::Poll { .. } => MessageType::Poll,
            Self::Interactive { .. } => MessageType::Interactive,
            Self::Template { .. } => MessageType::Template,
            Self::Reaction { .. } => MessageType::Reaction,
        }
    }

    /// What goes into `whatsapp_message.content`.
    pub fn body(&self) -> Option<&str> {
        match self {
            Self::Text { text } => Some(&text.body),
            Self::Contact { contact } => Some(&contact.name),
            Self::Poll { poll } => Some(&poll.title),
            Self::Interactive { interactive } => Some(&interactive.body),
            Self::Template { template, .. } => Some(&template.name),
            Self::Reaction { reaction } => reaction.emoji.as_deref(),
            Self::Location { location } => location.name.as_deref(),
            _ => None,
        }
    }

    /// The file, where the content is one.
    pub fn file(&self) -> Option<&File> {
        match self {
            Self::Image { media }
            | Self::Video { media }
            | Self::Audio { media }
            | Self::Voice { media }
            | Self::Document { media }
            | Self::Gif { media }
            | Self::Sticker { media } => Some(media),
            Self::Template { media, .. } => media.as_ref(),
            _ => None,
        }
    }

    /// As [`Content::file`], to name another row.
    pub fn file_mut(&mut self) -> Option<&mut File> {
        match self {
            Self::Image { media }
            | Self::Video { media }
            | Self::Audio { media }
            | Self::Voice { media }
            | Self::Document { media }
            | Self::Gif { media }
            | Self::Sticker { media } => Some(media),
            Self::Template { media, .. } => media.as_mut(),
            _ => None,
        }
    }

    /// What goes into `whatsapp_message.caption`.
    pub fn caption(&self) -> Option<&str> {
        self.file().and_then(|file| file.caption.as_deref())
    }

    /// What goes into `whatsapp_message.location`: `<latitude>,<longitude>` in degrees.
    pub fn location(&self) -> Option<String> {
        match self {
            Self::Location { location } => {
                Some(format!("{},{}", location.latitude, location.longitude))
            }
            _ => None,
        }
    }

    /// What goes into `whatsapp_message.extra`, so that a screen can show all of it, and a retry send it again.
    pub fn extra(&self) -> Map<String, Value> {
        let mut extra = Map::new();
        if let Some(name) = self.file().and_then(|file| file.filename.as_ref()) {
            extra.insert("filename".to_owned(), json!(name));
        }
        let (name, part) = match self {
            Self::Text { text } => {
                if !text.mentions.is_empty() {
                    extra.insert("mentions".to_owned(), json!(text.mentions));
                }
                extra.extend(text.preview.map(|preview| ("preview".to_owned(), json!(preview))));
                return extra;
            }
            Self::Location { location } => ("location", json!(location)),
            Self::Contact { contact } => ("contacts", json!([contact])),
            Self::Poll { poll } => ("poll", json!(poll)),
            Self::Interactive { interactive } => ("interactive", json!(interactive)),
            Self::Template { template, .. } => ("template", json!(template)),
            _ => return extra,
        };
        extra.insert(name.to_owned(), part);
        extra
    }
}

#[cfg(test)]
mod tests;
