//! From the parameters of a send, as both doors get them, to checked content.

use serde::Deserialize;
use wabridge_domain::Kind;
use wabridge_domain::content::{
    ContactCard, Content, File, Interactive, Location, Poll, Reaction, Template, Text,
};
use wabridge_domain::error::Refusal;
use wabridge_rpc::message::{Media, SendParams, SendType};

use super::handed::Handed;

/// `type`, and the parts of which exactly the one it names is given.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Parts {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub text: Option<Text>,
    #[serde(default)]
    pub media: Option<Media>,
    #[serde(default)]
    pub location: Option<Location>,
    #[serde(default)]
    pub contact: Option<ContactCard>,
    #[serde(default)]
    pub poll: Option<Poll>,
    #[serde(default)]
    pub interactive: Option<Interactive>,
    #[serde(default)]
    pub template: Option<Template>,
    /// The transaction door's only: RPC has `message.react`.
    #[serde(default)]
    pub reaction: Option<Reaction>,
}

impl From<&SendParams> for Parts {
    fn from(params: &SendParams) -> Self {
        Self {
            kind: params.kind.clone(),
            text: params.text.clone(),
            media: params.media.clone(),
            location: params.location.clone(),
            contact: params.contact.clone(),
            poll: params.poll.clone(),
            interactive: params.interactive.clone(),
            template: params.template.clone(),
            reaction: None,
        }
    }
}

impl Parts {
    /// As [`Parts::content`], where the file may come along as bytes or as a link; its row is [`handed::NO_ROW`]
    /// then.
    ///
    /// # Errors
    /// As [`Parts::content`].
    pub fn content_and_file(mut self) -> Result<(Content, Option<Handed>), Refusal> {
        let handed = match self.media.as_mut() {
            Some(media)
                if SendType::parse(&self.kind)
                    .is_some_and(|kind| kind.part() == "media" || kind == SendType::Template) =>
            {
                Handed::of(media)?
            }
            _ => None,
        };
        Ok((self.content()?, handed))
    }

    /// The content that `type` names.
    ///
    /// # Errors
    /// `invalid_content` when the parts do not fit the type, or the content no provider.
    pub fn content(self) -> Result<Content, Refusal> {
        let invalid = |why: String| Refusal::new(Kind::InvalidContent, why);
        let word: String = self.kind.chars().take(20).collect();
        let part = match (word.as_str(), SendType::parse(&self.kind)) {
            ("reaction", _) => "reaction",
            (_, Some(kind)) => kind.part(),
            (_, None) => {
                return Err(invalid(format!(
                    "type {word:?} is not known; known are text, image, video, audio, voice, document, gif, sticker, location, contact, poll, interactive, template"
                )));
            }
        };
        // The header of a template may be a file.
        let fits = |name: &str| name == part || (name, part) == ("media", "template");
        if let Some(other) = self.given().into_iter().find(|name| !fits(name)) {
            return Err(invalid(format!("type is {word}, so {other} must not be given")));
        }
        let missing = || invalid(format!("type is {word}, so {part} must be given"));
        let content = match word.as_str() {
            "text" => Content::Text { text: self.text.ok_or_else(missing)? },
            "location" => Content::Location { location: self.location.ok_or_else(missing)? },
            "contact" => Content::Contact { contact: self.contact.ok_or_else(missing)? },
            "poll" => Content::Poll { poll: self.poll.ok_or_else(missing)? },
            "interactive" => {
                Content::Interactive { interactive: self.interactive.ok_or_else(missing)? }
            }
            "template" => Content::Template {
                template: self.template.ok_or_else(missing)?,
                media: self.media.map(file).transpose()?,
            },
            "reaction" => Content::Reaction { reaction: self.reaction.ok_or_else(missing)? },
            kind => of_file(kind, file(self.media.ok_or_else(missing)?)?),
        };
        content.checked()
    }

    fn given(&self) -> Vec<&'static str> {
        [
            ("text", self.text.is_some()),
            ("media", self.media.is_some()),
            ("location", self.location.is_some()),
            ("contact", self.contact.is_some()),
            ("poll", self.poll.is_some()),
            ("interactive", self.interactive.is_some()),
            ("template", self.template.is_some()),
            ("reaction", self.reaction.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}

fn of_file(kind: &str, media: File) -> Content {
    match kind {
        "image" => Content::Image { media },
        "video" => Content::Video { media },
        "audio" => Content::Audio { media },
        "voice" => Content::Voice { media },
        "gif" => Content::Gif { media },
        "sticker" => Content::Sticker { media },
        _ => Content::Document { media },
    }
}

/// The file by its row; bytes and links become rows before.
fn file(media: Media) -> Result<File, Refusal> {
    let Some(id) = media.id.filter(|_| media.url.is_none() && media.base64.is_none()) else {
        return Err(Refusal::new(
            Kind::InvalidContent,
            "media.id must be given: a row of whatsapp_media, as PUT /media answers it",
        ));
    };
    Ok(File { id, filename: media.filename, caption: media.caption })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(params: serde_json::Value) -> Result<&'static str, Kind> {
        let parts: Parts = serde_json::from_value(params).unwrap();
        parts.content().map(|content| content.message_type().as_str()).map_err(|r| r.kind)
    }

    #[test]
    fn exactly_the_part_that_the_type_names() {
        assert_eq!(kind(json!({"type": "text", "text": {"body": "hi"}})), Ok("text"));
        assert_eq!(kind(json!({"type": "gif", "media": {"id": 1}})), Ok("gif"));
        assert_eq!(
            kind(json!({"type": "template", "template": {"name": "n", "language": "en"}})),
            Ok("template")
        );
        assert_eq!(
            kind(
                json!({"type": "template", "template": {"name": "n", "language": "en"}, "media": {"id": 1}})
            ),
            Ok("template")
        );
        for params in [
            json!({"type": "text"}),
            json!({"type": "text", "text": {"body": " "}}),
            json!({"type": "banana"}),
            json!({"type": "image"}),
            json!({"type": "image", "media": {}}),
            json!({"type": "text", "text": {"body": "hi"}, "media": {"id": 1}}),
            json!({"type": "reaction", "reaction": {"emoji": "x"}}),
        ] {
            assert_eq!(kind(params.clone()), Err(Kind::InvalidContent), "{params}");
        }
    }
}
