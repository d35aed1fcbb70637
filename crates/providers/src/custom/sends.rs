//! What of a mapping says how things are sent: a call for each content, files handed over before, changes of what
//! was sent.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, Method};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use wabridge_domain::message::MessageType;

use super::mapping::{CallMap, answer_status, headers, message_id, method, post};
use super::pointer::Pointers;
use super::template::{Body, Path, Slot, Template};

/// A call that sends something.
#[derive(Debug, Clone)]
pub(super) struct SendMap {
    pub call: CallMap,
    /// The id that webhooks will name; none: webhooks join it by the reference.
    pub message_id: Option<Pointers>,
    pub status: Option<Pointers>,
}

impl<'de> Deserialize<'de> for SendMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Flat {
            #[serde(default = "post", deserialize_with = "method")]
            method: Method,
            path: Path,
            #[serde(default, deserialize_with = "headers")]
            headers: Vec<(HeaderName, Template)>,
            #[serde(default)]
            body: Option<Body>,
            #[serde(default = "message_id")]
            message_id: Option<Pointers>,
            #[serde(default = "answer_status")]
            status: Option<Pointers>,
        }
        let Flat { method, path, headers, body, message_id, status } =
            Flat::deserialize(deserializer)?;
        Ok(Self { call: CallMap { method, path, headers, body }, message_id, status })
    }
}

/// Places that have a value in a call.
type Known = &'static [Slot];
/// A call needs one of each of these.
pub(super) type Needed = &'static [&'static [Slot]];

/// A call for each content beside texts; what has none cannot be sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sends {
    /// Every kind of file that has no call of its own.
    pub file: Option<SendMap>,
    pub image: Option<SendMap>,
    pub video: Option<SendMap>,
    pub audio: Option<SendMap>,
    pub voice: Option<SendMap>,
    pub document: Option<SendMap>,
    pub gif: Option<SendMap>,
    pub sticker: Option<SendMap>,
    pub location: Option<SendMap>,
    pub contact: Option<SendMap>,
    pub poll: Option<SendMap>,
    pub interactive: Option<SendMap>,
    pub template: Option<SendMap>,
    pub reaction: Option<SendMap>,
}

impl Sends {
    /// The call for a content, and the key that it stands under.
    pub fn of(&self, of: MessageType) -> Option<(&'static str, &SendMap)> {
        let (own, is_file) = match of {
            MessageType::Image => (("image", &self.image), true),
            MessageType::Video => (("video", &self.video), true),
            MessageType::Audio => (("audio", &self.audio), true),
            MessageType::Voice => (("voice", &self.voice), true),
            MessageType::Document => (("document", &self.document), true),
            MessageType::Gif => (("gif", &self.gif), true),
            MessageType::Sticker => (("sticker", &self.sticker), true),
            MessageType::Location => (("location", &self.location), false),
            MessageType::Contact => (("contact", &self.contact), false),
            MessageType::Poll => (("poll", &self.poll), false),
            MessageType::Interactive => (("interactive", &self.interactive), false),
            MessageType::Template => (("template", &self.template), false),
            MessageType::Reaction => (("reaction", &self.reaction), false),
            MessageType::Text | MessageType::Order | MessageType::System | MessageType::Unknown => {
                return None;
            }
        };
        let (name, map) = own;
        match map {
            Some(map) => Some((name, map)),
            None if is_file => self.file.as_ref().map(|map| ("file", map)),
            None => None,
        }
    }

    /// Each call with its key, the places that have a value there beside those of every send, and of which the
    /// call needs one each.
    pub fn all(&self) -> Vec<(&'static str, &SendMap, Known, Needed)> {
        use Slot as S;
        const FILE: &[Slot] = &[S::File, S::Caption, S::Filename, S::Mimetype];
        const A_FILE: &[&[Slot]] = &[&[S::File]];
        let of: [(&'static str, &Option<SendMap>, Known, Needed); 14] = [
            ("file", &self.file, FILE, A_FILE),
            ("image", &self.image, FILE, A_FILE),
            ("video", &self.video, FILE, A_FILE),
            ("audio", &self.audio, FILE, A_FILE),
            ("voice", &self.voice, FILE, A_FILE),
            ("document", &self.document, FILE, A_FILE),
            ("gif", &self.gif, FILE, A_FILE),
            ("sticker", &self.sticker, FILE, A_FILE),
            (
                "location",
                &self.location,
                &[S::Latitude, S::Longitude, S::Name, S::Address],
                &[&[S::Latitude], &[S::Longitude]],
            ),
            ("contact", &self.contact, &[S::Name, S::Number, S::Vcard], &[&[S::Number, S::Vcard]]),
            ("poll", &self.poll, &[S::Title, S::Options, S::Count], &[&[S::Title], &[S::Options]]),
            (
                "interactive",
                &self.interactive,
                &[S::Kind, S::Text, S::Header, S::Footer, S::Button, S::Options],
                &[&[S::Text], &[S::Options]],
            ),
            (
                "template",
                &self.template,
                &[S::Name, S::Language, S::Parameters, S::File, S::Filename, S::Mimetype],
                &[&[S::Name]],
            ),
            (
                "reaction",
                &self.reaction,
                &[S::MessageId, S::Emoji],
                &[&[S::MessageId], &[S::Emoji]],
            ),
        ];
        of.into_iter()
            .filter_map(|(name, map, known, needed)| Some((name, map.as_ref()?, known, needed)))
            .collect()
    }

    /// True where a call names a file.
    pub fn needs_files(&self) -> Option<&'static str> {
        self.all()
            .into_iter()
            .find(|(_, map, ..)| map.call.slots().contains(&Slot::File))
            .map(|(name, ..)| name)
    }
}

/// How a file is handed over before the message that names it.
#[derive(Debug, Clone)]
pub(super) struct UploadMap {
    pub call: CallMap,
    pub form: UploadForm,
    /// What messages name the file by: an id or an address.
    pub id: Pointers,
    /// How long the provider keeps it; None: for ever.
    pub keeps: Option<Duration>,
}

#[derive(Debug, Clone)]
pub(super) enum UploadForm {
    /// `multipart/form-data`: the field of the file, and other fields.
    Form { field: String, fields: Vec<(String, Template)> },
    /// The body is the file.
    Raw,
    /// The body is JSON, with the file in base64 at `{data}`.
    Base64,
}

impl<'de> Deserialize<'de> for UploadMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum As {
            Form,
            Raw,
            Base64,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Flat {
            #[serde(default = "post", deserialize_with = "method")]
            method: Method,
            path: Path,
            #[serde(default, deserialize_with = "headers")]
            headers: Vec<(HeaderName, Template)>,
            r#as: As,
            #[serde(default)]
            field: Option<String>,
            #[serde(default)]
            fields: BTreeMap<String, Template>,
            #[serde(default)]
            body: Option<Body>,
            id: Pointers,
            #[serde(default)]
            keeps_hours: Option<u32>,
        }
        let flat = Flat::deserialize(deserializer)?;
        let given = (flat.field.is_some() || !flat.fields.is_empty(), flat.body.is_some());
        let form = match (flat.r#as, given) {
            (As::Form, (_, false)) => UploadForm::Form {
                field: flat.field.unwrap_or_else(|| "file".to_owned()),
                fields: flat.fields.into_iter().collect(),
            },
            (As::Raw, (false, false)) => UploadForm::Raw,
            (As::Base64, (false, true)) => UploadForm::Base64,
            (As::Form, _) => {
                return Err(D::Error::custom("a form has fields and no body; leave body out"));
            }
            (As::Raw, _) => {
                return Err(D::Error::custom(
                    "with as \"raw\" the body is the file; leave field, fields and body out",
                ));
            }
            (As::Base64, _) => {
                return Err(D::Error::custom(
                    "with as \"base64\" the file goes into a JSON body; give body with {data} in it, and no field",
                ));
            }
        };
        let (method, path, headers, body) = (flat.method, flat.path, flat.headers, flat.body);
        let keeps = flat.keeps_hours.map(|hours| Duration::from_secs(u64::from(hours) * 3600));
        Ok(Self { call: CallMap { method, path, headers, body }, form, id: flat.id, keeps })
    }
}

impl UploadMap {
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots = self.call.slots();
        if let UploadForm::Form { fields, .. } = &self.form {
            slots.extend(fields.iter().flat_map(|(_, value)| value.slots()));
        }
        slots
    }
}
