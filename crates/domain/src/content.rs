//! What is to be sent: the content half of `message.send`'s parameters, the same in RPC, in
//! `whatsapp_outbox_in.request` and in the outbox.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Kind, Refusal};
use crate::message::MessageType;

/// WhatsApp's own limit of a text message, in characters (Meta sheet section 2; WHAPI and Wassenger state none).
pub const TEXT_MAX_CHARS: usize = 4096;

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

/// Checked content, ready for a provider. One variant per type that this version can send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    Text { text: Text },
}

impl Content {
    /// Checks a text.
    ///
    /// # Errors
    /// `invalid_content` when it is empty or longer than [`TEXT_MAX_CHARS`].
    pub fn text(text: Text) -> Result<Self, Refusal> {
        if text.body.trim().is_empty() {
            return Err(Refusal::new(
                Kind::InvalidContent,
                "the text is empty; write something in text.body",
            ));
        }
        let chars = text.body.chars().count();
        if chars > TEXT_MAX_CHARS {
            return Err(Refusal::new(
                Kind::InvalidContent,
                format!("the text has {chars} characters; WhatsApp takes at most {TEXT_MAX_CHARS}"),
            ));
        }
        if text.body.contains('\0') {
            return Err(Refusal::new(
                Kind::InvalidContent,
                "the text holds a NUL character, which cannot be stored or sent",
            ));
        }
        Ok(Self::Text { text })
    }

    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Text { .. } => MessageType::Text,
        }
    }

    /// What goes into `whatsapp_message.content`.
    pub fn body(&self) -> Option<&str> {
        match self {
            Self::Text { text } => Some(&text.body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> Result<Content, Refusal> {
        Content::text(Text { body: body.into(), preview: None, mentions: vec![] })
    }

    #[test]
    fn limits_are_named() {
        assert!(text("ok").is_ok());
        assert_eq!(text(" \n").unwrap_err().kind, Kind::InvalidContent);
        assert!(text(&"é".repeat(TEXT_MAX_CHARS)).is_ok());
        assert!(text(&"é".repeat(TEXT_MAX_CHARS + 1)).unwrap_err().message.contains("4096"));
        assert_eq!(text("a\0b").unwrap_err().kind, Kind::InvalidContent);
    }

    #[test]
    fn wire_form() {
        let content = text("hello").unwrap();
        assert_eq!(
            serde_json::to_value(&content).unwrap(),
            serde_json::json!({"type": "text", "text": {"body": "hello"}})
        );
    }
}
