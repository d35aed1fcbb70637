//! What of a content goes into the places of a mapping.

use serde_json::{Value, json};
use wabridge_domain::content::{Content, TemplateParameters};
use wabridge_domain::outgoing::Outgoing;

use super::mapping::{CallMap, Mapping};
use super::template::{Slot, Values};
use crate::Call;

/// What would be left out of a message although it was asked for.
pub(super) fn lost(outgoing: &Outgoing, map: &CallMap) -> Option<&'static str> {
    let slots = map.slots();
    let has = |slot: Slot| slots.contains(&slot);
    let is_reaction = matches!(outgoing.content, Content::Reaction { .. });
    if outgoing.quoted_id.is_some() && !is_reaction && !has(Slot::QuotedId) {
        return Some("{quoted_id}, the message that is answered");
    }
    if outgoing.content.caption().is_some() && !has(Slot::Caption) {
        return Some("{caption}");
    }
    match &outgoing.content {
        Content::Template { media: Some(_), .. } if !has(Slot::File) => {
            Some("{file}, the header of the template")
        }
        Content::Template { template, .. }
            if template.parameters != TemplateParameters::default() && !has(Slot::Parameters) =>
        {
            Some("{parameters}")
        }
        Content::Interactive { interactive }
            if interactive.header.is_some() && !has(Slot::Header) =>
        {
            Some("{header}")
        }
        Content::Interactive { interactive }
            if interactive.footer.is_some() && !has(Slot::Footer) =>
        {
            Some("{footer}")
        }
        _ => None,
    }
}

/// What of a content has to be made before it can be put into a body.
#[derive(Default)]
pub(super) struct Made {
    number: String,
    vcard: String,
    parts: Vec<(Slot, Value)>,
}

impl Made {
    pub fn of(content: &Content) -> Self {
        let mut made = Self::default();
        match content {
            Content::Location { location } => made.parts.extend([
                (Slot::Latitude, json!(location.latitude)),
                (Slot::Longitude, json!(location.longitude)),
            ]),
            Content::Contact { contact } => {
                made.number = contact.phone.chars().filter(char::is_ascii_digit).collect();
                made.vcard = contact.vcard();
            }
            Content::Poll { poll } => made.parts.extend([
                (Slot::Options, json!(poll.options)),
                (Slot::Count, json!(poll.count.unwrap_or(1))),
            ]),
            Content::Interactive { interactive } => {
                made.parts.extend([
                    (Slot::Options, json!(interactive.options)),
                    (Slot::Kind, json!(interactive.kind)),
                ]);
            }
            Content::Template { template, .. } => {
                made.parts.push((Slot::Parameters, json!(template.parameters)));
            }
            _ => {}
        }
        made
    }
}

/// What a send has values for.
pub(super) fn values<'a>(
    mapping: &Mapping,
    call: &'a Call<'_>,
    outgoing: &'a Outgoing,
    made: &'a Made,
) -> Values<'a> {
    let content = &outgoing.content;
    let mut values = Values::default()
        .text(Slot::ChatId, Some(&outgoing.chat_id))
        .text(Slot::Phone, mapping.chats.digits(&outgoing.chat_id))
        .text(Slot::Reference, Some(&outgoing.reference))
        .text(Slot::ChannelId, call.channel_id)
        .text(Slot::Type, Some(content.message_type().as_str()))
        .text(Slot::Caption, content.caption());
    values = match content {
        // The message that a reaction aims at is no quotation.
        Content::Reaction { reaction } => values
            .text(Slot::MessageId, outgoing.quoted_id.as_deref())
            .text(Slot::Emoji, Some(reaction.emoji.as_deref().unwrap_or_default())),
        _ => values.text(Slot::QuotedId, outgoing.quoted_id.as_deref()),
    };
    if let (Some(media), Some(file)) = (content.file(), &outgoing.file) {
        values = values
            .text(Slot::File, Some(&file.id))
            .text(Slot::Mimetype, Some(&file.mimetype))
            .text(Slot::Filename, media.filename.as_deref().or(file.filename.as_deref()));
    }
    values = match content {
        Content::Text { text } => values.text(Slot::Text, Some(&text.body)),
        Content::Location { location } => values
            .text(Slot::Name, location.name.as_deref())
            .text(Slot::Address, location.address.as_deref()),
        Content::Contact { contact } => values
            .text(Slot::Name, Some(&contact.name))
            .text(Slot::Number, Some(&made.number))
            .text(Slot::Vcard, Some(&made.vcard)),
        Content::Poll { poll } => values.text(Slot::Title, Some(&poll.title)),
        Content::Interactive { interactive } => values
            .text(Slot::Text, Some(&interactive.body))
            .text(Slot::Header, interactive.header.as_deref())
            .text(Slot::Footer, interactive.footer.as_deref())
            .text(Slot::Button, interactive.button.as_deref()),
        Content::Template { template, .. } => values
            .text(Slot::Name, Some(&template.name))
            .text(Slot::Language, Some(&template.language)),
        _ => values,
    };
    made.parts.iter().fold(values, |values, (slot, value)| values.json(*slot, Some(value.clone())))
}
