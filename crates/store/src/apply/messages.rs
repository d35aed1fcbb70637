//! Messages, the words about them, and edits, as events tell them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};
use wabridge_domain::Kind;
use wabridge_domain::event::{Location, Message, ProviderError, Source, What};
use wabridge_domain::message::{Direction, Facts, Origin, StatusWord};

use super::{Echoes, Item, Parked};
use crate::early_event::MemberWord;
use crate::odoo::{Text, media, message, revision, text};
use crate::{StoreError, Tx};

/// One entry a message id: a body, or a batch, may hold the same message twice.
pub(super) fn messages_of<'a>(items: &[&'a Item]) -> Vec<(&'a Item, &'a Message)> {
    let mut seen = std::collections::HashSet::new();
    items
        .iter()
        .filter_map(|item| match &item.what {
            What::Message(message)
                if seen.insert((item.configuration_id, message.message_id.as_str())) =>
            {
                Some((*item, &**message))
            }
            _ => None,
        })
        .collect()
}

fn is_echo(message: &Message) -> bool {
    message.from_me && message.source == Source::Api
}

pub(super) fn new_message<'a>(
    item: &Item,
    message: &'a Message,
    contact_id: Option<i32>,
    group_id: Option<i32>,
    echoes: Echoes,
) -> Result<message::New<'a>, StoreError> {
    let (direction, origin) = match (message.from_me, message.source) {
        (false, _) => (Direction::Inbound, Origin::Provider),
        (true, Source::Api) => (Direction::Outbound, Origin::Provider),
        (true, Source::Phone | Source::Unknown) => (Direction::Outbound, Origin::Phone),
    };
    let park_as = (is_echo(message) && echoes == Echoes::MayWait)
        .then(|| {
            serde_json::to_value(Parked {
                message: Box::new(message.clone()),
                person: item.person.clone(),
            })
        })
        .transpose()
        .map_err(|error| StoreError::Refused(format!("an echo cannot be kept: {error}")))?;
    let mut extra = message.extra.clone();
    if let Some(location) = &message.location {
        extra.insert("location".into(), described(location));
    }
    let extra = (!extra.is_empty())
        .then(|| serde_json::to_string(&extra))
        .transpose()
        .map_err(|error| StoreError::Refused(format!("extra data cannot be kept: {error}")))?;
    Ok(message::New {
        configuration_id: item.configuration_id,
        provider: item.provider.as_str(),
        message_id: &message.message_id,
        chat_id: &message.chat.id,
        direction,
        origin,
        message_type: message.message_type,
        content: message.content.as_deref(),
        caption: message.caption.as_deref(),
        quoted_id: message.quoted_id.as_deref(),
        forwarded: message.forwarded,
        history: message.extra.get("history") == Some(&serde_json::Value::Bool(true)),
        location: message.location.as_ref().map(|at| format!("{},{}", at.latitude, at.longitude)),
        extra,
        at: message.at,
        // What arrived was delivered; what somebody typed elsewhere was sent unless the body knows better.
        word: match direction {
            Direction::Inbound => StatusWord::Delivered,
            Direction::Outbound => message.word.unwrap_or(StatusWord::Sent),
        },
        contact_id,
        group_id,
        park_as,
    })
}

/// `extra.location`: the numbers again, and what the place is called.
fn described(location: &Location) -> Value {
    let mut place = serde_json::Map::new();
    place.insert("latitude".into(), json!(location.latitude));
    place.insert("longitude".into(), json!(location.longitude));
    for (key, words) in [("name", &location.name), ("address", &location.address)] {
        if let Some(words) = words.as_deref().and_then(text) {
            place.insert(key.into(), json!(words));
        }
    }
    Value::Object(place)
}

/// The files of messages that were just inserted are fetched from now on.
pub(super) async fn queue_media(
    tx: &Tx<'_>,
    messages: &[(&Item, &Message)],
    fresh: &[(i32, i32, String)],
) -> Result<bool, StoreError> {
    let ids: HashMap<(i32, &str), i32> =
        fresh.iter().map(|(account, id, message)| ((*account, message.as_str()), *id)).collect();
    let new: Vec<media::New<'_>> = messages
        .iter()
        .filter_map(|(item, message)| {
            Some(media::New {
                configuration_id: item.configuration_id,
                message_id: *ids.get(&(item.configuration_id, message.message_id.as_str()))?,
                message_type: message.message_type,
                media: message.media.as_ref()?,
            })
        })
        .collect();
    media::queue(tx, &new).await?;
    Ok(!new.is_empty())
}

pub(super) async fn link_quotes(
    tx: &Tx<'_>,
    new: &[message::New<'_>],
    inserted: &message::Inserted,
) -> Result<(), StoreError> {
    let is_fresh = |account: i32, id: &str| {
        inserted.fresh.iter().any(|(of, _, fresh)| *of == account && fresh == id)
    };
    let quotes: Vec<(i32, &str, &str)> = new
        .iter()
        .filter_map(|m| Some((m.configuration_id, m.message_id, m.quoted_id?)))
        .filter(|(account, id, quoted)| is_fresh(*account, quoted) && is_fresh(*account, id))
        .collect();
    message::link_quotes(tx, &quotes).await
}

/// Words about messages as a whole, one entry a message, and words of single members of groups.
pub(super) fn words_of<'a>(
    items: &[&'a Item],
    messages: &[(&'a Item, &'a Message)],
    known_echoes: &[(i32, String)],
) -> (Vec<message::Words<'a>>, Vec<MemberWord<'a>>) {
    let mut by_message: BTreeMap<(i32, &str), message::Words<'_>> = BTreeMap::new();
    let mut members = Vec::new();
    let mut note = |configuration_id,
                    message_id: &'a str,
                    word,
                    at,
                    error: Option<&ProviderError>| {
        let words = by_message.entry((configuration_id, message_id)).or_insert_with(|| {
            message::Words { configuration_id, message_id, facts: Facts::default(), error: None }
        });
        if word == StatusWord::Failed && words.facts.failed_at.is_none_or(|known| at < known) {
            let kind = error.and_then(|error| error.kind).unwrap_or(Kind::ProviderRejected);
            words.error = Some((kind.as_str(), error_text(error)));
        }
        words.facts.note(word, at);
    };
    for item in items {
        let What::Status(status) = &item.what else { continue };
        match &status.member {
            Some(member) => members.push(MemberWord {
                configuration_id: item.configuration_id,
                message_id: &status.message_id,
                member,
                word: status.word,
                at: status.at,
            }),
            None => note(
                item.configuration_id,
                &status.message_id,
                status.word,
                status.at,
                status.error.as_ref(),
            ),
        }
    }
    for (item, message) in messages {
        let known = |(account, id): &(i32, String)| {
            *account == item.configuration_id && *id == message.message_id
        };
        if let Some(word) = message.word
            && known_echoes.iter().any(known)
        {
            note(item.configuration_id, &message.message_id, word, message.at, None);
        }
    }
    (by_message.into_values().collect(), members)
}

fn error_text(error: Option<&ProviderError>) -> String {
    match error {
        Some(ProviderError { code: Some(code), message, .. }) if !message.is_empty() => {
            format!("{message} ({code})")
        }
        Some(ProviderError { code: Some(code), .. }) => code.clone(),
        Some(ProviderError { code: None, message, .. }) if !message.is_empty() => message.clone(),
        _ => "the provider gave no reason".to_owned(),
    }
}

/// Edits as they go into rows. An id that is the message's own would meet the first text: it gets its time.
pub(super) fn edits_of<'a>(items: &[&'a Item]) -> Vec<revision::New<'a>> {
    items
        .iter()
        .filter_map(|item| {
            let What::Edit(edit) = &item.what else { return None };
            let message_id = text(&edit.message_id)?;
            let edit_id = text(&edit.edit_id).filter(|id| *id != message_id);
            Some(revision::New {
                configuration_id: item.configuration_id,
                edit_id: edit_id
                    .unwrap_or_else(|| Cow::Owned(format!("{message_id}:{}", edit.at.as_second()))),
                message_id,
                at: edit.at,
                content: edit.content.as_deref().and_then(text),
                caption: edit.caption.as_deref().and_then(text),
            })
        })
        .collect()
}

/// Quotes of messages that are not there: (account, the message, the one it quotes).
pub(super) fn early_quotes(inserted: &message::Inserted) -> Vec<(i32, String, String)> {
    let fresh: HashSet<(i32, &str)> =
        inserted.fresh.iter().map(|(account, _, id)| (*account, id.as_str())).collect();
    inserted
        .quotes
        .iter()
        .filter(|(account, _, quoted)| !fresh.contains(&(*account, quoted.as_str())))
        .cloned()
        .collect()
}

/// All messages that words and edits are about, as parameters of [`message::lock`].
pub(super) fn targets<'a>(
    words: &[message::Words<'a>],
    edits: &'a [revision::New<'a>],
) -> (Vec<i32>, Vec<Text<'a>>) {
    let words = words.iter().filter_map(|w| Some((w.configuration_id, text(w.message_id)?)));
    let edits = edits.iter().map(|e| (e.configuration_id, Cow::Borrowed(&*e.message_id)));
    words.chain(edits).unzip()
}
