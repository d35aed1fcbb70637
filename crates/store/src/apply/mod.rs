//! Applies events to Odoo's rows, set-based and in one order: contacts, groups, chats, messages, receipts and
//! statuses, account states, with the rows of `whatsapp_event` that they cause.
//!
//! Applying is idempotent and commutes: whatever order events come in and however often, the rows end the same.
//! What is known already is only read, so that repetitions draw no ids and touch no row.

mod account;
mod groups;
mod messages;
mod notices;
mod people;
pub mod reference;

use jiff::Timestamp;
use wabridge_domain::ProviderKind;
use wabridge_domain::event::{Chat, ChatKind, Message, Person, What};

use crate::odoo::{chat, contact, group, message, revision};
use crate::{StoreError, Tx, early_event};
use reference::Claimed;

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
    /// How many of them were inserted.
    pub inserted: usize,
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

impl Changes {
    /// Adds what another part of the same transaction wrote.
    pub fn absorb(&mut self, more: Self) {
        self.messages.extend(more.messages);
        self.inserted += more.inserted;
        self.chats.extend(more.chats);
        self.contacts.extend(more.contacts);
        self.groups.extend(more.groups);
        self.accounts.extend(more.accounts);
        self.events |= more.events;
        self.media |= more.media;
        self.look_again.extend(more.look_again);
    }
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

    let named = reference::any(items);
    let concerned = notices::concerned(tx, items).await?;
    let contacts = contact::learn(tx, &people::told(items), &concerned).await?;
    changes.contacts = notices::wishes(tx, items, &contacts).await?;
    let groups = group::learn(tx, &groups::told(items)).await?;
    changes.groups = groups::members(tx, items, &groups, &contacts).await?;
    groups::requests(tx, items).await?;

    let shown: Vec<Item> = items.iter().filter_map(|item| groups::shown(item)).collect();
    let with_shown: Vec<&Item> = items.iter().copied().chain(&shown).collect();
    let of_chat = |item: &Item, chat: &Chat| {
        let group = (chat.kind == ChatKind::Group)
            .then(|| groups.id(item.configuration_id, &chat.id))
            .flatten();
        let contact =
            item.person.as_ref().and_then(|person| contacts.id(item.configuration_id, person));
        (contact, group)
    };
    let chats: Vec<chat::Seen<'_>> = with_shown
        .iter()
        .filter_map(|item| match &item.what {
            What::Message(message) => Some((*item, &message.chat)),
            What::Chat(update) => Some((*item, &update.chat)),
            _ => None,
        })
        .map(|(item, chat)| {
            let (contact, group) = of_chat(item, chat);
            chat::Seen {
                configuration_id: item.configuration_id,
                chat_id: &chat.id,
                name: (chat.kind == ChatKind::Channel).then_some(chat.name.as_deref()).flatten(),
                contact_id: contact.filter(|_| chat.kind == ChatKind::Direct),
                group_id: group,
            }
        })
        .collect();
    let counts = counts_of(items);
    changes.chats = chat::ensure(tx, &chats).await?;
    if !counts.is_empty() || named {
        let chats: Vec<_> = chats.iter().map(|c| (c.configuration_id, c.chat_id)).collect();
        chat::lock(tx, &chats).await?;
        changes.chats.extend(chat::count(tx, &counts).await?);
    }
    let claimed = if named { reference::claim(tx, items).await? } else { Claimed::default() };
    let renamed: Vec<Option<Item>> = with_shown.iter().map(|item| claimed.renamed(item)).collect();
    let all: Vec<&Item> = with_shown
        .iter()
        .zip(&renamed)
        .map(|(item, renamed)| renamed.as_ref().unwrap_or(item))
        .collect();
    changes.messages.extend(claimed.changed);
    changes.look_again.extend(claimed.fresh);

    let messages = messages::messages_of(&all);
    let mut new = Vec::with_capacity(messages.len());
    for (item, message) in &messages {
        let (contact, group) = of_chat(item, &message.chat);
        new.push(messages::new_message(item, message, contact, group, echoes)?);
    }
    let inserted = message::insert(tx, &new).await?;
    messages::link_quotes(tx, &new, &inserted).await?;
    changes.media = messages::queue_media(tx, &messages, &inserted.fresh).await?;
    let quotes = messages::early_quotes(&inserted);
    changes.inserted = inserted.fresh.len();
    changes.events |= inserted.events;
    changes.chats.extend(inserted.chats);
    changes.messages.extend(inserted.fresh.iter().map(|(account, id, _)| (*account, *id)));
    changes.look_again.extend(inserted.parked.iter().cloned());

    // Statuses and edits of messages that this very call inserted find them: their statements come later.
    let (words, members) = messages::words_of(&all, &messages, &inserted.known_echoes);
    let edits = messages::edits_of(items);
    changes.look_again.extend(early_event::fold_edits(tx, &edits).await?);
    early_event::fold_quotes(tx, &quotes).await?;
    changes.look_again.extend(quotes.into_iter().map(|(account, _, quoted)| (account, quoted)));
    let early = message::fold(tx, &words).await?;
    changes.look_again.extend(early);
    early_event::fold_members(tx, &members).await?;

    if !edits.is_empty() {
        message::lock(tx, &messages::targets(&words, &edits)).await?;
    }
    let merged = message::merge(tx, &words).await?;
    changes.events |= merged.events;
    changes.messages.extend(merged.changed);
    let edited = revision::apply(tx, &edits).await?;
    changes.events |= !edited.is_empty();
    changes.messages.extend(edited);

    // New rows are nobody else's yet; what waits for older ones is joined after the commit.
    let mut told: Vec<(i32, String)> =
        members.iter().map(|w| (w.configuration_id, w.message_id.to_owned())).collect();
    changes.messages.extend(early_event::join_members(tx, &told).await?);
    let joined = early_event::join_new(tx, &inserted.spoken_of).await?;
    changes.events |= joined.events;
    changes.messages.extend(joined.changed);
    changes.look_again.append(&mut told);
    changes.look_again.extend(inserted.fresh.into_iter().map(|(account, _, id)| (account, id)));

    let states = account::apply(tx, items).await?;
    changes.events |= !states.is_empty();
    changes.accounts = states;
    changes.events |= notices::tell(tx, items).await?;

    changes.contacts.extend(contacts.written);
    changes.groups.extend(groups.written);
    Ok(changes)
}

fn counts_of<'a>(items: &[&'a Item]) -> Vec<chat::Count<'a>> {
    items
        .iter()
        .filter_map(|item| {
            let What::Chat(update) = &item.what else { return None };
            Some(chat::Count {
                configuration_id: item.configuration_id,
                chat_id: &update.chat.id,
                at: update.at,
                unread: i32::try_from(update.unread?).unwrap_or(i32::MAX),
            })
        })
        .collect()
}
