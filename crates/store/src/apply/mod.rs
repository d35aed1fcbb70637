//! Applies events to Odoo's rows, set-based and in one order: contacts, groups, chats, messages, receipts and
//! statuses, account states, with the rows of `whatsapp_event` that they cause.
//!
//! Applying is idempotent and commutes: whatever order events come in and however often, the rows end the same.
//! What is known already is only read, so that repetitions draw no ids and touch no row.

mod account;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use wabridge_domain::event::{Chat, ChatKind, Message, Person, ProviderError, Source, What};
use wabridge_domain::message::{Direction, Facts, Origin, StatusWord};
use wabridge_domain::{Kind, ProviderKind};

use crate::early_event::{self, MemberWord};
use crate::odoo::{chat, contact, group, media, message};
use crate::{StoreError, Tx};

/// One event of one account.
#[derive(Debug, Clone)]
pub struct Item {
    pub configuration_id: i32,
    pub provider: ProviderKind,
    pub what: What,
    /// The sender, or the other person of a direct chat; of a status the member of a group it is about.
    pub person: Option<Person>,
    /// When the webhook came in: stands in for times that the event lacks.
    pub received_at: Timestamp,
}

/// Rows that applying wrote, as (account, row id).
#[derive(Debug, Default)]
pub struct Changes {
    pub messages: Vec<(i32, i32)>,
    pub chats: Vec<(i32, i32)>,
    pub contacts: Vec<(i32, i32)>,
    pub groups: Vec<(i32, i32)>,
    /// Accounts whose state changed.
    pub accounts: Vec<i32>,
    /// True where rows of `whatsapp_event` were inserted.
    pub events: bool,
    /// True where files are to be fetched.
    pub media: bool,
    /// (account, the provider's id) of messages to look after once more when this is committed: something
    /// about them went to `early_event` while they may have come.
    pub look_again: Vec<(i32, String)>,
}

/// Applies events inside the caller's transaction.
///
/// # Errors
/// [`StoreError::Busy`] when a lock is held or the budget is spent, [`StoreError::Refused`] when the database
/// refuses one of the events: nothing of this transaction is usable then.
pub async fn apply(tx: &Tx<'_>, items: &[&Item], echoes: Echoes) -> Result<Changes, StoreError> {
    run(tx, items, echoes).await
}

/// Makes messages of parked echoes that turned out to be nobody's answer: another program sent them with the
/// same account.
///
/// # Errors
/// As [`apply`].
pub async fn release_echoes(tx: &Tx<'_>, targets: &[(i32, String)]) -> Result<Changes, StoreError> {
    let echoes = early_event::take_echoes(tx, targets).await?;
    let mut items = Vec::with_capacity(echoes.len());
    for echo in &echoes {
        let provider: ProviderKind = echo
            .provider
            .parse()
            .map_err(|error| StoreError::Refused(format!("a parked echo: {error}")))?;
        let parked: Parked = serde_json::from_value(echo.payload.clone()).map_err(|error| {
            StoreError::Refused(format!("a parked echo cannot be read back: {error}"))
        })?;
        items.push(Item {
            configuration_id: echo.configuration_id,
            provider,
            received_at: parked.message.at,
            person: parked.person,
            what: What::Message(parked.message),
        });
    }
    run(tx, &items.iter().collect::<Vec<_>>(), Echoes::Released).await
}

/// `early_event.payload` of an echo: the message as [`Message`], and the person of a direct chat.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Parked {
    #[serde(flatten)]
    message: Box<Message>,
    #[serde(default)]
    person: Option<Person>,
}

/// What happens to an echo of an API send whose message is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echoes {
    /// It waits while a call of ours may have caused it.
    MayWait,
    /// It becomes a message.
    Released,
}

async fn run(tx: &Tx<'_>, items: &[&Item], echoes: Echoes) -> Result<Changes, StoreError> {
    let mut changes = Changes::default();

    let contacts = contact::ensure(tx, &people(items)).await?;
    let groups = group::ensure(tx, &groups_of(items)).await?;

    let messages = messages_of(items);
    let of_chat = |item: &Item, chat: &Chat| {
        let group = (chat.kind == ChatKind::Group)
            .then(|| groups.id(item.configuration_id, &chat.id))
            .flatten();
        let contact =
            item.person.as_ref().and_then(|person| contacts.id(item.configuration_id, person));
        (contact, group)
    };
    let chats: Vec<chat::Seen<'_>> = messages
        .iter()
        .map(|(item, message)| {
            let (contact, group) = of_chat(item, &message.chat);
            chat::Seen {
                configuration_id: item.configuration_id,
                chat_id: &message.chat.id,
                name: (message.chat.kind == ChatKind::Channel)
                    .then_some(message.chat.name.as_deref())
                    .flatten(),
                contact_id: contact.filter(|_| message.chat.kind == ChatKind::Direct),
                group_id: group,
            }
        })
        .collect();
    changes.chats = chat::ensure(tx, &chats).await?;

    let mut new = Vec::with_capacity(messages.len());
    for (item, message) in &messages {
        let (contact, group) = of_chat(item, &message.chat);
        new.push(new_message(item, message, contact, group, echoes)?);
    }
    let inserted = message::insert(tx, &new).await?;
    link_quotes(tx, &new, &inserted).await?;
    changes.media = queue_media(tx, &messages, &inserted.fresh).await?;
    changes.events |= inserted.events;
    changes.chats.extend(inserted.chats);
    changes.messages.extend(inserted.fresh.iter().map(|(account, id, _)| (*account, *id)));
    changes.look_again.extend(inserted.parked);

    // Statuses of messages that this very call inserted find them: their statement comes later.
    let (words, members) = words_of(items, &messages, &inserted.known_echoes);
    let merged = message::merge(tx, &words).await?;
    changes.events |= merged.events;
    changes.messages.extend(merged.changed);
    changes.look_again.extend(merged.early);

    early_event::fold_members(tx, &members).await?;
    let mut waiting: Vec<(i32, String)> =
        members.iter().map(|w| (w.configuration_id, w.message_id.to_owned())).collect();
    // Words about our own messages may have come before them; nobody speaks early of inbound ones.
    let outbound: Vec<&message::New<'_>> =
        new.iter().filter(|m| m.direction == Direction::Outbound).collect();
    waiting.extend(
        inserted
            .fresh
            .iter()
            .filter(|(account, _, id)| {
                outbound.iter().any(|m| m.configuration_id == *account && m.message_id == id)
            })
            .map(|(account, _, id)| (*account, id.clone())),
    );
    let joined = early_event::join_all(tx, &waiting).await?;
    changes.look_again.extend(waiting);
    changes.events |= joined.events;
    changes.messages.extend(joined.changed);

    let states = account::apply(tx, items).await?;
    changes.events |= !states.is_empty();
    changes.accounts = states;

    changes.contacts = contacts.written;
    changes.groups = groups.written;
    Ok(changes)
}

fn people<'a>(items: &[&'a Item]) -> Vec<contact::Seen<'a>> {
    items
        .iter()
        .filter_map(|item| {
            let at = match &item.what {
                What::Message(message) => message.at,
                What::Status(status) => status.at,
                _ => return None,
            };
            Some(contact::Seen {
                configuration_id: item.configuration_id,
                provider: item.provider.as_str(),
                person: item.person.as_ref()?,
                at,
            })
        })
        .collect()
}

fn groups_of<'a>(items: &[&'a Item]) -> Vec<group::Seen<'a>> {
    items
        .iter()
        .filter_map(|item| match &item.what {
            What::Message(message) if message.chat.kind == ChatKind::Group => Some(group::Seen {
                configuration_id: item.configuration_id,
                provider: item.provider.as_str(),
                group_id: &message.chat.id,
                name: message.chat.name.as_deref(),
                at: message.at,
            }),
            _ => None,
        })
        .collect()
}

/// One entry a message id: a body, or a batch, may hold the same message twice.
fn messages_of<'a>(items: &[&'a Item]) -> Vec<(&'a Item, &'a Message)> {
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

fn new_message<'a>(
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
    let extra = (!message.extra.is_empty())
        .then(|| serde_json::to_string(&message.extra))
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

/// The files of messages that were just inserted are fetched from now on.
async fn queue_media(
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

async fn link_quotes(
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
fn words_of<'a>(
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
            words.error = Some((Kind::ProviderRejected.as_str(), error_text(error)));
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
        Some(ProviderError { code: Some(code), message }) if !message.is_empty() => {
            format!("{message} ({code})")
        }
        Some(ProviderError { code: Some(code), .. }) => code.clone(),
        Some(ProviderError { code: None, message }) if !message.is_empty() => message.clone(),
        _ => "the provider gave no reason".to_owned(),
    }
}
