//! What is sent, in Meta's words.

use serde_json::{Value, json};
use wabridge_domain::content::{
    Content, File, Interactive, InteractiveKind, LIST_BUTTON, Location, Parameter, Template,
};
use wabridge_domain::error::Kind;
use wabridge_domain::media::MediaKind;
use wabridge_domain::message::MessageType;
use wabridge_domain::outgoing::{Outgoing, SendError};

/// The type of a message and the object of that name.
pub(super) fn part(outgoing: &Outgoing) -> Result<(&'static str, Value), SendError> {
    Ok(match &outgoing.content {
        Content::Text { text } => {
            let mut part = json!({"body": text.body});
            if let Some(preview) = text.preview {
                part["preview_url"] = preview.into();
            }
            ("text", part)
        }
        Content::Image { media } => ("image", file(outgoing, media.caption.as_deref(), None)?),
        Content::Video { media } => ("video", file(outgoing, media.caption.as_deref(), None)?),
        Content::Audio { .. } => ("audio", file(outgoing, None, None)?),
        Content::Voice { .. } => {
            let mut part = file(outgoing, None, None)?;
            part["voice"] = true.into();
            ("audio", part)
        }
        Content::Document { media } => {
            ("document", file(outgoing, media.caption.as_deref(), name(outgoing, media))?)
        }
        Content::Sticker { .. } => ("sticker", file(outgoing, None, None)?),
        Content::Location { location } => ("location", self::location(location)),
        Content::Contact { contact } => {
            let digits: String = contact.phone.chars().filter(char::is_ascii_digit).collect();
            (
                "contacts",
                json!([{
                    "name": {"formatted_name": contact.name, "first_name": contact.name},
                    "phones": [{"phone": format!("+{digits}"), "wa_id": digits}],
                }]),
            )
        }
        Content::Reaction { reaction } => {
            let Some(target) = &outgoing.quoted_id else {
                return Err(refused(Kind::InvalidContent, "the reaction aims at no message"));
            };
            // Empty takes it back.
            let emoji = reaction.emoji.as_deref().unwrap_or_default();
            ("reaction", json!({"message_id": target, "emoji": emoji}))
        }
        Content::Interactive { interactive } => ("interactive", self::interactive(interactive)),
        Content::Template { template, media } => {
            let header = media.as_ref().map(|media| header(outgoing, media)).transpose()?;
            ("template", self::template(template, header))
        }
        Content::Gif { .. } => {
            let why = "Meta cannot send GIFs; send the file as a video";
            return Err(refused(Kind::UnsupportedByProvider, why));
        }
        Content::Poll { .. } => {
            return Err(refused(Kind::UnsupportedByProvider, "Meta cannot send polls"));
        }
    })
}

/// Groups take texts, files and templates only.
pub(super) fn for_groups(kind: &str) -> Result<(), SendError> {
    let fits = ["text", "image", "video", "audio", "document", "sticker", "template"];
    if fits.contains(&kind) {
        return Ok(());
    }
    let why = format!("Meta cannot send {kind} to a group");
    Err(refused(Kind::UnsupportedByProvider, &why))
}

fn refused(kind: Kind, message: &str) -> SendError {
    SendError::Refused { kind, message: message.to_owned() }
}

/// A file by the id that its upload gave.
fn file(
    outgoing: &Outgoing,
    caption: Option<&str>,
    filename: Option<&str>,
) -> Result<Value, SendError> {
    let Some(file) = &outgoing.file else {
        return Err(refused(Kind::InvalidContent, "the file was not handed to Meta"));
    };
    let mut part = json!({"id": file.id});
    for (name, value) in [("caption", caption), ("filename", filename)] {
        if let Some(value) = value {
            part[name] = value.into();
        }
    }
    Ok(part)
}

/// Degrees as strings: Meta's specification wants them so, its servers take both.
fn location(location: &Location) -> Value {
    let mut part = json!({
        "latitude": location.latitude.to_string(),
        "longitude": location.longitude.to_string(),
    });
    for (name, value) in [("name", &location.name), ("address", &location.address)] {
        if let Some(value) = value {
            part[name] = value.as_str().into();
        }
    }
    part
}

fn interactive(interactive: &Interactive) -> Value {
    let (kind, action) = match interactive.kind {
        InteractiveKind::Buttons => {
            let buttons = interactive.options.iter().map(
                |option| json!({"type": "reply", "reply": {"id": option.id, "title": option.title}}),
            );
            ("button", json!({"buttons": buttons.collect::<Vec<Value>>()}))
        }
        InteractiveKind::List => {
            let rows = interactive.options.iter().map(|option| {
                let mut row = json!({"id": option.id, "title": option.title});
                if let Some(description) = &option.description {
                    row["description"] = description.as_str().into();
                }
                row
            });
            let rows: Vec<Value> = rows.collect();
            let button = interactive.button.as_deref().unwrap_or(LIST_BUTTON);
            ("list", json!({"button": button, "sections": [{"rows": rows}]}))
        }
    };
    let mut part = json!({"type": kind, "body": {"text": interactive.body}, "action": action});
    if let Some(header) = &interactive.header {
        part["header"] = json!({"type": "text", "text": header});
    }
    if let Some(footer) = &interactive.footer {
        part["footer"] = json!({"text": footer});
    }
    part
}

/// The name people see of a document.
fn name<'a>(outgoing: &'a Outgoing, media: &'a File) -> Option<&'a str> {
    let uploaded = outgoing.file.as_ref().and_then(|file| file.filename.as_deref());
    media.filename.as_deref().or(uploaded)
}

/// The file of a template's header, which is of the file's own kind.
fn header(outgoing: &Outgoing, media: &File) -> Result<Value, SendError> {
    let mimetype = outgoing.file.as_ref().map_or("", |file| file.mimetype.as_str());
    let kind = MediaKind::of_file(MessageType::Template, mimetype);
    let name = name(outgoing, media).filter(|_| kind == MediaKind::Document);
    let mut part = json!({"type": kind.as_str()});
    part[kind.as_str()] = file(outgoing, None, name)?;
    Ok(part)
}

/// Parameters by their place or their name; those of buttons are the variable ends of their addresses.
fn template(template: &Template, header: Option<Value>) -> Value {
    let text = |parameter: &Parameter| {
        let mut text = json!({"type": "text", "text": parameter.text()});
        if let Some(name) = parameter.name() {
            text["parameter_name"] = name.into();
        }
        text
    };
    let parameters = &template.parameters;
    let texts = |list: &[Parameter]| list.iter().map(text).collect::<Vec<Value>>();
    let header = header.map_or_else(|| texts(&parameters.header), |file| vec![file]);
    let mut components = Vec::new();
    for (kind, values) in [("header", header), ("body", texts(&parameters.body))] {
        if !values.is_empty() {
            components.push(json!({"type": kind, "parameters": values}));
        }
    }
    for (index, text) in parameters.numbered_buttons() {
        components.push(json!({
            "type": "button", "sub_type": "url", "index": index.to_string(),
            "parameters": [{"type": "text", "text": text}],
        }));
    }
    json!({
        "name": template.name,
        "language": {"policy": "deterministic", "code": template.language},
        "components": components,
    })
}
