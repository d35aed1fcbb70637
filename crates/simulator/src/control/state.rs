//! `/_control/state`: people, groups, histories and accounts, one by one or in bulk.

use crate::{
    Account, Provider, clock,
    groups::{GroupChangeSpec, GroupSpec, is_group_id},
    message::{Chat, Content},
    people::{PersonSpec, person_key},
    state::{AccountId, Condition, State},
    world::{self, Draft, World},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// In bulk things are made by number; the numbers of made-up people count up from here.
const FIRST_MADE_UP: u64 = 447_700_000_000;
const MAX_BULK: usize = 100_000;

/// What shall be different. Everything may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    #[serde(default)]
    people: Many<PersonSpec>,
    #[serde(default)]
    groups: Many<GroupSpec>,
    /// The past: put there without webhooks.
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
        "accounts": accounts, "people": people, "groups": groups,
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
        groups(&mut state, change.groups)?;
        match change.histories {
            Many::Count(count) => {
                let chat = Some(FIRST_MADE_UP.to_string());
                past(&mut state, Past { chat, count: Some(count), ..Past::default() })?;
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
        "groups": state.groups().len(), "messages": messages,
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
        Many::Count(count) => (0..bulk(count)?).try_for_each(|n| {
            let phone = made_up(n);
            state.name_person(&phone, &format!("Person {}", n + 1))
        }),
    }
}

fn groups(state: &mut State, groups: Many<GroupSpec>) -> Result<(), String> {
    match groups {
        Many::List(list) => list.iter().try_for_each(|group| state.put_group(group).map(|_id| ())),
        Many::Count(count) => {
            // Ten members each, taken in turn from the first thousand made-up people.
            (0..bulk(count)?).try_for_each(|n| {
                let participants = (0..10).map(|k| made_up((n * 10 + k) % 1000)).collect();
                let name = format!("Group {}", n + 1);
                state
                    .put_group(&GroupSpec { name, participants, ..GroupSpec::default() })
                    .map(|_id| ())
            })
        }
    }
}

fn made_up(n: usize) -> String {
    (FIRST_MADE_UP + n as u64).to_string()
}

fn bulk(count: usize) -> Result<usize, String> {
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
            let count = bulk(count)?;
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
