//! Whose events a body holds: each goes to the account of its own channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use wabridge_domain::event::{ChatKind, Event, Message, Person, What};
use wabridge_domain::webhook::Signed;
use wabridge_providers::{Provider, Route};
use wabridge_store::apply::Item;
use wabridge_store::ingest::Unusable;
use wabridge_store::journal::{Reason, Stored, WHOLE_BODY};

use crate::accounts::Account;
use crate::ingest::sender::{Opened, Sender, share_a_secret};
use crate::runtime::{Phase, Runtime};

/// What a body means for one database: in whose name it is journaled, what is applied, what never can be.
pub struct Share {
    pub rt: Arc<Runtime>,
    pub opened: Opened,
    pub items: Vec<Item>,
    pub unusable: Vec<Unusable>,
}

/// Reads a verified body and finds the accounts of its events: one share for each database concerned, the
/// sender's own first, and the number of events.
pub fn route(sender: &Sender, signed: &Signed<'_>, route: &Route<'_>) -> (Vec<Share>, usize) {
    let own = &sender.own;
    let (events, unusable) = read(&own.account, signed, route);
    let count = events.len() + unusable.iter().filter(|u| u.event_no != WHOLE_BODY).count();
    let share = |opened: &Opened| Share {
        rt: Arc::clone(&opened.rt),
        opened: opened.clone(),
        items: vec![],
        unusable: vec![],
    };
    let mut shares = vec![Share { unusable, ..share(own) }];
    for (event_no, event) in events {
        if matches!(event.what, What::Other { .. }) {
            continue;
        }
        let homes = homes(sender, &event);
        if homes.is_empty() {
            shares[0].unusable.push(unknown_channel(event_no));
        }
        for home in homes {
            let at = shares.iter().position(|s| s.rt.name == home.rt.name).unwrap_or_else(|| {
                shares.push(share(home));
                shares.len() - 1
            });
            let what = own_words(event.what.clone(), &home.rt.name);
            shares[at].items.push(item(&home.account, what, route.received_at));
        }
    }
    (shares, count)
}

/// The events of a body with their places in it, and what of it is none. Places are the same each time it is read.
fn read(
    account: &Account,
    signed: &Signed<'_>,
    route: &Route<'_>,
) -> (Vec<(i32, Event)>, Vec<Unusable>) {
    let unreadable = |detail: String| {
        (
            vec![],
            vec![Unusable {
                event_no: WHOLE_BODY,
                reason: Reason::Unreadable,
                detail: Some(detail),
            }],
        )
    };
    let adapter = match account.usable_adapter() {
        Ok(adapter) => adapter,
        Err(why) => return unreadable(why.to_owned()),
    };
    let parsed = match adapter.parse(signed, route) {
        Ok(parsed) => parsed,
        Err(error) => return unreadable(error.to_string()),
    };
    let places = (0..).take(parsed.events.len() + parsed.broken.len()).collect::<Vec<i32>>();
    let (of_events, of_broken) = places.split_at(parsed.events.len());
    let unusable = parsed
        .broken
        .into_iter()
        .zip(of_broken)
        .map(|(broken, place)| Unusable {
            event_no: *place,
            reason: Reason::BrokenEvent,
            detail: Some(format!("{} {}: {}", broken.kind, broken.index, broken.reason)),
        })
        .collect();
    (of_events.iter().copied().zip(parsed.events).collect(), unusable)
}

fn unknown_channel(event_no: i32) -> Unusable {
    Unusable {
        event_no,
        reason: Reason::UnknownChannel,
        detail: Some("no active account of this provider and secret has this channel".into()),
    }
}

/// The accounts an event belongs to: at most one in each database. Who names an account in the path means that
/// account's database, as long as it has the channel. A copy of a database that nobody decided about yet (held)
/// gets none while another database has the channel.
fn homes<'a>(sender: &'a Sender, event: &Event) -> Vec<&'a Opened> {
    let Some(channel) = &event.channel_id else {
        return sender.own.account.active.then_some(&sender.own).into_iter().collect();
    };
    let fits = |opened: &&Opened| {
        opened.account.active && opened.account.channel_id.as_ref() == Some(channel)
    };
    let mut homes: BTreeMap<&str, &Opened> = BTreeMap::new();
    for opened in std::iter::once(&sender.own).chain(&sender.all).filter(fits) {
        homes.entry(&opened.rt.name).or_insert(opened);
    }
    if sender.named
        && let Some(own) = homes.get(sender.own.rt.name.as_str())
    {
        return vec![own];
    }
    let held = |opened: &&Opened| matches!(opened.rt.phase(), Phase::Held(_));
    let decided: Vec<&Opened> = homes.values().copied().filter(|o| !held(o)).collect();
    if decided.is_empty() { homes.into_values().collect() } else { decided }
}

/// Reads a webhook of the journal again, for its own database. `items` come with their places in the body.
pub fn reread(
    rt: &Runtime,
    configuration_id: i32,
    stored: &Stored,
    received_at: Timestamp,
) -> (Vec<(i32, Item)>, Vec<Unusable>) {
    let accounts = rt.accounts();
    let Some(own) = accounts.get(configuration_id) else {
        let detail = "the account that it was sent to is gone".to_owned();
        let gone =
            Unusable { event_no: WHOLE_BODY, reason: Reason::UnknownChannel, detail: Some(detail) };
        return (vec![], vec![gone]);
    };
    let signed = Signed::from_journal(&stored.body);
    let route = Route { method: &stored.method, sub_path: &stored.sub_path, received_at };
    let (events, mut unusable) = read(own, &signed, &route);
    let mut items = Vec::with_capacity(events.len());
    for (event_no, event) in events {
        if matches!(event.what, What::Other { .. }) {
            continue;
        }
        let fits = |account: &&Arc<Account>| match &event.channel_id {
            None => account.id == own.id && account.active,
            Some(channel) => {
                account.active
                    && account.channel_id.as_ref() == Some(channel)
                    && (account.id == own.id || share_a_secret(&account.gate, &own.gate))
            }
        };
        let home = std::iter::once(own).chain(accounts.of_provider(own.provider)).find(fits);
        match home {
            Some(account) => {
                let what = own_words(event.what, &rt.name);
                items.push((event_no, item(account, what, received_at)));
            }
            None => unusable.push(unknown_channel(event_no)),
        }
    }
    (items, unusable)
}

/// The events of a webhook of the journal with their places, as this program reads it now; for people.
pub fn events(
    account: &Account,
    stored: &Stored,
    received_at: Timestamp,
) -> (Vec<(i32, Event)>, Vec<Unusable>) {
    let signed = Signed::from_journal(&stored.body);
    let route = Route { method: &stored.method, sub_path: &stored.sub_path, received_at };
    read(account, &signed, &route)
}

/// Takes references away that name another database: two may use one account of a provider.
fn own_words(mut what: What, database: &str) -> What {
    let reference = match &mut what {
        What::Message(message) => &mut message.reference,
        What::Status(status) => &mut status.reference,
        _ => return what,
    };
    let of_ours = |reference: &String| {
        reference
            .strip_prefix("wabridge:")
            .and_then(|rest| rest.strip_prefix(database))
            .is_some_and(|rest| rest.starts_with(':'))
    };
    *reference = reference.take().filter(of_ours);
    what
}

/// As [`item`], of an event that a provider's history tells.
pub(crate) fn told(database: &str, account: &Account, what: What, at: Timestamp) -> Item {
    item(account, own_words(what, database), at)
}

fn item(account: &Account, what: What, received_at: Timestamp) -> Item {
    let person = account.adapter().and_then(|adapter| match &what {
        What::Message(message) => person_of(adapter, message),
        What::Status(status) => adapter.person(status.member.as_deref()?),
        What::Chat(update) if update.chat.kind == ChatKind::Direct => {
            let mut person = adapter.person(&update.chat.id)?;
            person.name.clone_from(&update.chat.name);
            Some(person)
        }
        _ => None,
    });
    Item { configuration_id: account.id, provider: account.provider, what, person, received_at }
}

/// The sender of what came in, the other person of a direct chat of what went out.
fn person_of(adapter: &dyn Provider, message: &Message) -> Option<Person> {
    let direct = message.chat.kind == ChatKind::Direct;
    let sender = message.sender.clone().filter(|_| !message.from_me);
    let mut person =
        sender.or_else(|| direct.then(|| adapter.person(&message.chat.id)).flatten())?;
    if direct && person.name.is_none() {
        person.name.clone_from(&message.chat.name);
    }
    Some(person)
}

/// The chat that an event is about, where it tells one.
pub fn chat_of(what: &What) -> Option<&str> {
    match what {
        What::Message(message) => Some(&message.chat.id),
        What::Edit(edit) => edit.chat_id.as_deref(),
        What::Chat(update) => Some(&update.chat.id),
        What::Group(update) => Some(&update.group_id),
        _ => None,
    }
}
