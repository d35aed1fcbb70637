//! `/_control/state`: people, groups, histories and accounts, one by one or in bulk.

use crate::{
    Account, Provider,
    bulk::{self, Crowd},
    clock,
    groups::{GroupChangeSpec, GroupSpec, is_group_id},
    message::{Chat, Content},
    people::{PersonSpec, person_key},
    state::{AccountId, Condition, State},
    world::{self, Draft, World},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const MAX_BULK: usize = 100_000;
/// The same of what takes no memory.
const MAX_MADE_UP: u64 = 10_000_000;

/// What shall be different. Everything may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    #[serde(default)]
    people: Many<PersonSpec>,
    /// So many made-up people whom the accounts know; they are made when somebody looks.
    contacts: Option<u64>,
    #[serde(default)]
    groups: Many<GroupSpec>,
    /// So many memberships of made-up people in the made-up groups, spread evenly; ten in each unless given.
    members: Option<usize>,
    /// The past: put there without webhooks. A number makes up that many for the account when somebody looks, half a
    /// minute apart, with people and groups that are made up before.
    #[serde(default, alias = "messages", alias = "history")]
    histories: Many<Past>,
    #[serde(default)]
    accounts: Vec<AccountChange>,
    /// What happens to groups, told to the accounts in them.
    #[serde(default)]
    group_changes: Vec<GroupChangeSpec>,
    /// What happens to people, told to the accounts.
    #[serde(default)]
    contact_changes: Vec<ContactChangeSpec>,
    /// What the account's phone counts as unread.
    #[serde(default)]
    chat_changes: Vec<ChatChangeSpec>,
    /// What only one provider has, told as it names it.
    #[serde(default)]
    events: Vec<OwnEvent>,
    /// What becomes of files at the provider.
    #[serde(default)]
    files: Vec<FileChange>,
    /// Short for one account.
    provider: Option<Provider>,
    token: Option<String>,
    state: Option<String>,
}

/// A list of things, or how many to make up.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Many<T> {
    Count(usize),
    List(Vec<T>),
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self::List(vec![])
    }
}

/// One past message (with `text`), or `count` made-up ones in a chat, alternating between both sides.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Past {
    provider: Option<Provider>,
    token: Option<String>,
    /// A number or a group's id; in a list without it, the writer's.
    chat: Option<String>,
    from: Option<String>,
    #[serde(default)]
    from_me: bool,
    text: Option<String>,
    id: Option<String>,
    timestamp: Option<i64>,
    count: Option<usize>,
}

/// A new account (all of provider, token, channel_id, phone, name) or another state of a known one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountChange {
    provider: Option<Provider>,
    token: Option<String>,
    channel_id: Option<String>,
    phone: Option<String>,
    name: Option<String>,
    state: Option<String>,
    /// As in the accounts file; those given replace those there.
    #[serde(default)]
    settings: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct ContactChangeSpec {
    provider: Option<Provider>,
    token: Option<String>,
    #[serde(flatten)]
    person: PersonSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChatChangeSpec {
    provider: Option<Provider>,
    token: Option<String>,
    /// A number, a group's id or name, a channel's id.
    chat: String,
    unread: u32,
    /// The chat is new.
    #[serde(default)]
    created: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnEvent {
    provider: Option<Provider>,
    token: Option<String>,
    kind: String,
    #[serde(default)]
    content: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileChange {
    provider: Option<Provider>,
    token: Option<String>,
    /// The provider's id of the file.
    id: String,
    /// Links that were given out end now.
    #[serde(default)]
    end_links: bool,
    /// The provider keeps it no more.
    #[serde(default)]
    forget: bool,
}

/// Everything but the messages themselves.
pub(super) fn show(world: &World) -> Value {
    let state = world.state();
    let accounts: Vec<Value> = state
        .accounts()
        .map(|(id, owner)| {
            json!({
                "provider": owner.account.provider,
                "token": owner.account.token,
                "channel_id": owner.account.channel_id,
                "phone": owner.account.phone,
                "name": owner.account.name,
                "state": owner.condition,
                "messages": owner.history.len(),
                "at_provider": world::vendor_of(&state, id).describe(owner),
            })
        })
        .collect();
    let people: Vec<_> = state.people().collect();
    let groups: Vec<_> = state.groups().collect();
    json!({
        "accounts": accounts, "people": people, "contacts": state.crowd.count, "groups": groups,
        "webhooks": world.webhooks.describe(),
    })
}

/// Makes the change; what is wrong stops it there, and says so. Answers how much there is now.
pub(super) fn change(world: &World, change: Change) -> Result<Value, String> {
    let mut conditions = Vec::new();
    let mut settled = Vec::new();
    {
        let mut state = world.state();
        for account in change.accounts {
            let (id, condition) = change_account(&mut state, account)?;
            settled.push(id);
            conditions.extend(condition.map(|condition| (id, condition)));
        }
        if let Some(word) = &change.state {
            let id = state.find_account(change.provider, change.token.as_deref())?;
            conditions.push((id, condition(word)?));
        }
        people(&mut state, change.people)?;
        if let Some(count) = change.contacts {
            state.crowd = Crowd { count: made_up(count)? };
        }
        groups(&mut state, change.groups, change.members)?;
        match change.histories {
            Many::Count(count) => {
                let id = state.find_account(change.provider, change.token.as_deref())?;
                let count = made_up(u64::try_from(count).unwrap_or(u64::MAX))?;
                make_past(&mut state, id, count);
            }
            Many::List(list) => {
                for one in list {
                    past(&mut state, one)?;
                }
            }
        }
    }
    settled.into_iter().for_each(|id| world.apply_targets(id));
    for (id, condition) in conditions {
        world.set_condition(id, condition);
    }
    for spec in &change.group_changes {
        world.change_group(spec)?;
    }
    for spec in &change.contact_changes {
        world.change_person(spec.provider, spec.token.as_deref(), &spec.person)?;
    }
    for spec in &change.chat_changes {
        let (account, chat) = {
            let state = world.state();
            let account = state.find_account(spec.provider, spec.token.as_deref())?;
            (account, chat_named(&state, &spec.chat)?)
        };
        world.count_unread(account, chat, spec.unread, spec.created);
    }
    for event in change.events {
        let account = world.state().find_account(event.provider, event.token.as_deref())?;
        world.tell(account, event.kind, event.content);
    }
    change.files.iter().try_for_each(|file| change_file(&mut world.state(), file))?;
    let state = world.state();
    let messages: usize = state.accounts().map(|(_, owner)| owner.history.len()).sum();
    Ok(json!({
        "accounts": state.accounts().count(), "people": state.people().len(),
        "groups": state.groups().len(), "messages": messages, "contacts": state.crowd.count,
        "members": state.groups().map(|group| group.members.len()).sum::<usize>(),
    }))
}

fn change_file(state: &mut State, change: &FileChange) -> Result<(), String> {
    let account = state.find_account(change.provider, change.token.as_deref())?;
    if state.files.get(account, &change.id).is_none() {
        return Err(format!("the account has no file {:?}", change.id));
    }
    if change.end_links {
        state.files.end_links(account, &change.id);
    }
    if change.forget {
        state.files.forget(account, &change.id);
    }
    Ok(())
}

/// A number, a group's id or name, a channel's id.
fn chat_named(state: &State, text: &str) -> Result<Chat, String> {
    if is_group_id(text) {
        return Ok(Chat::Group(text.to_owned()));
    }
    if text.ends_with("@newsletter") {
        return Ok(Chat::Channel(text.to_owned()));
    }
    if let Some(group) = state.group_named(text) {
        return Ok(Chat::Group(group.id.clone()));
    }
    person_key(text)
        .map(Chat::Person)
        .ok_or_else(|| format!("chat {text:?} is no number and no group"))
}

fn change_account(
    state: &mut State,
    change: AccountChange,
) -> Result<(AccountId, Option<Condition>), String> {
    let wanted = change.state.as_deref().map(condition).transpose()?;
    let known = state.find_account(change.provider, change.token.as_deref());
    let id = match (known, change.provider, change.token, change.channel_id, change.phone) {
        (Ok(id), _, _, None, None) => {
            let account = &mut state.account_mut(id).account;
            if let Some(name) = change.name {
                account.name = name;
            }
            account.settings.extend(change.settings);
            id
        }
        (_, Some(provider), Some(token), Some(channel_id), Some(phone)) => {
            let name = change.name.unwrap_or_else(|| channel_id.clone());
            let settings = change.settings;
            state.add_account(Account { provider, token, channel_id, phone, name, settings })?
        }
        (Err(why), ..) => {
            return Err(format!(
                "{why}. A new account needs provider, token, channel_id and phone"
            ));
        }
        (Ok(_), ..) => {
            return Err("channel_id and phone of an account cannot be changed".to_owned());
        }
    };
    Ok((id, wanted))
}

/// `qr_needed`, `QR needed`, `dead_token`, …
fn condition(word: &str) -> Result<Condition, String> {
    let plain = word.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    serde_json::from_value(Value::String(plain)).map_err(|_| {
        format!(
            "no account state is called {word:?}; there are connected, qr_needed, disconnected, \
             banned, token_dead, asleep"
        )
    })
}

fn people(state: &mut State, people: Many<PersonSpec>) -> Result<(), String> {
    match people {
        Many::List(list) => list.iter().try_for_each(|person| state.put_person(person)),
        Many::Count(count) => (0..within_bulk(count)?).try_for_each(|n| {
            let phone = bulk::phone(n as u64);
            state.name_person(&phone, &format!("Person {}", n + 1))
        }),
    }
}

fn groups(
    state: &mut State,
    groups: Many<GroupSpec>,
    members: Option<usize>,
) -> Result<(), String> {
    match groups {
        Many::List(list) => list.iter().try_for_each(|group| state.put_group(group).map(|_id| ())),
        Many::Count(count) => {
            let members = members.unwrap_or(count.saturating_mul(10));
            let (each, more) = (members / count.max(1), members % count.max(1));
            // Taken in turn from the made-up people.
            let people = state.crowd.count.max(1_000);
            let mut next = 0;
            (0..within_bulk(count)?).try_for_each(|n| {
                let size = each + usize::from(n < more);
                let participants = (next..).take(size).map(|n| bulk::phone(n % people)).collect();
                next += size as u64;
                let id = Some(format!("{MADE_UP_GROUP}{n:09}@g.us"));
                let name = format!("Group {}", n + 1);
                let group = GroupSpec { id, name, participants, ..GroupSpec::default() };
                state.put_group(&group).map(|_id| ())
            })
        }
    }
}

/// How the ids of made-up groups begin.
const MADE_UP_GROUP: &str = "120363900";

/// Gives an account a made-up past, the last of it now.
fn make_past(state: &mut State, account: AccountId, count: u64) {
    let own = state.account(account).account.phone.clone();
    let (found, _) = state.groups_of(&own, 0, usize::MAX);
    let made = found.into_iter().filter(|group| group.id.starts_with(MADE_UP_GROUP));
    let groups = made.map(|group| group.id.clone()).collect();
    let past = bulk::Past::new(count, clock::seconds(), state.crowd, groups);
    state.account_mut(account).history.past = past;
}

fn made_up(count: u64) -> Result<u64, String> {
    if count > MAX_MADE_UP { Err(format!("at most {MAX_MADE_UP} at once")) } else { Ok(count) }
}

fn within_bulk(count: usize) -> Result<usize, String> {
    if count > MAX_BULK { Err(format!("at most {MAX_BULK} at once")) } else { Ok(count) }
}

fn past(state: &mut State, past: Past) -> Result<(), String> {
    let account = state.find_account(past.provider, past.token.as_deref())?;
    let from = past
        .from
        .as_deref()
        .map(|text| person_key(text).ok_or_else(|| format!("from {text:?} is no number")))
        .transpose()?;
    let chat = match (past.chat.as_deref(), &from) {
        (Some(chat), _) => chat_named(state, chat)?,
        (None, Some(from)) => Chat::Person(from.clone()),
        (None, None) => return Err("a past message needs chat, or from".to_owned()),
    };
    let other = match (&from, &chat) {
        (Some(from), _) => from.clone(),
        (None, Chat::Person(phone)) => phone.clone(),
        (None, Chat::Channel(_)) => String::new(),
        (None, Chat::Group(_)) if past.from_me => String::new(),
        (None, Chat::Group(id)) => {
            let own = &state.account(account).account.phone;
            state
                .group(id)
                .and_then(|group| group.members.iter().find(|member| member.phone != *own))
                .map(|member| member.phone.clone())
                .ok_or_else(|| "a past message in a group needs from".to_owned())?
        }
    };
    let draft = |text: String, id, at| Draft {
        id,
        at: Some(at),
        ..Draft::new(chat.clone(), Content::Text { body: text })
    };
    let now = clock::seconds();
    match (past.text, past.count) {
        (Some(text), None) => {
            let from = (!past.from_me).then_some(other.as_str());
            let at = past.timestamp.unwrap_or(now);
            world::remember(state, account, from, draft(text, past.id, at))?;
        }
        (None, Some(count)) => {
            let count = within_bulk(count)?;
            // The last one is now, or at the time given; a minute lies between two.
            let last = past.timestamp.unwrap_or(now);
            for n in 0..count {
                let from = (n % 2 == 0).then_some(other.as_str());
                let at = last - 60 * (count - 1 - n) as i64;
                let text = format!("Message {} of the past", n + 1);
                world::remember(state, account, from, draft(text, None, at))?;
            }
        }
        _ => return Err("a past message needs either text or count".to_owned()),
    }
    Ok(())
}
