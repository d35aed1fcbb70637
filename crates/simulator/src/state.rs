//! What exists: accounts, people, groups and the messages of each account. All of it is bounded.

use crate::{
    Account, Options, Provider, SimulatorError,
    bulk::{Crowd, Past},
    clock,
    groups::{self, Group, GroupChange, GroupChangeSpec, GroupSpec, is_group_id, new_group_id},
    media::Files,
    message::{Message, Status},
    people::{Person, PersonSpec, digits, person_key},
    vendor::{self, Vendor},
    wassenger, whapi,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};

const MAX_ACCOUNTS: usize = 1_000;
const MAX_PEOPLE: usize = 100_000;
const MAX_GROUPS: usize = 10_000;
const MAX_MESSAGES: usize = 100_000;
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Index of an account; accounts are never removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AccountId(pub usize);

/// How an account stands with WhatsApp and with its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    Connected,
    /// A person has to pair the phone again.
    #[serde(alias = "qr")]
    QrNeeded,
    #[serde(alias = "down")]
    Disconnected,
    Banned,
    /// The provider knows the token no longer; the number itself is fine.
    #[serde(alias = "dead_token")]
    TokenDead,
    /// Not started; WHAPI's health call wakes it.
    Asleep,
}

#[derive(Debug)]
pub(crate) struct AccountState {
    pub account: Account,
    pub condition: Condition,
    /// Seconds since 1970.
    pub started_at: i64,
    pub history: History,
    /// Settings of a WHAPI channel.
    pub whapi: whapi::settings::Settings,
    /// Webhooks of a Wassenger device.
    pub wassenger: wassenger::hooks::Hooks,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    accounts: Vec<AccountState>,
    by_token: HashMap<(Provider, String), Vec<AccountId>>,
    people: BTreeMap<String, Person>,
    groups: BTreeMap<String, Group>,
    /// People beside those in `people`; who is in both is as there.
    pub crowd: Crowd,
    pub files: Files,
    /// Where the simulator answers, for links to files: `http://127.0.0.1:9100`.
    pub base_url: String,
}

impl State {
    /// The world at the start.
    ///
    /// # Errors
    /// An account, person or group that cannot exist; the words say which and why.
    pub fn new(options: &Options) -> Result<Self, SimulatorError> {
        let mut state = Self::default();
        for account in &options.accounts {
            state.add_account(account.clone()).map_err(SimulatorError::Options)?;
        }
        for person in &options.people {
            state.put_person(person).map_err(SimulatorError::Options)?;
        }
        for group in &options.groups {
            state.put_group(group).map_err(SimulatorError::Options)?;
        }
        Ok(state)
    }

    pub fn add_account(&mut self, mut account: Account) -> Result<AccountId, String> {
        let channel = &account.channel_id;
        if vendor::of(account.provider).is_none() {
            let built: Vec<&str> =
                vendor::BUILT.iter().map(|vendor| vendor.provider().as_str()).collect();
            return Err(format!(
                "account {channel}: provider {} is not simulated, only {}",
                account.provider,
                built.join(", ")
            ));
        }
        account.phone = digits(&account.phone).ok_or_else(|| {
            format!(
                "account {channel}: phone {:?} is no number; give 7 to 15 digits with country code",
                account.phone
            )
        })?;
        if account.token.trim().is_empty() || account.channel_id.trim().is_empty() {
            return Err(format!("account {channel:?}: token and channel_id must not be empty"));
        }
        if self.accounts.len() >= MAX_ACCOUNTS {
            return Err(format!("there are {MAX_ACCOUNTS} accounts, the most there can be"));
        }
        let shared = vendor::of(account.provider).is_some_and(Vendor::shares_tokens);
        if let Some(twin) = self.accounts.iter().find(|other| {
            other.account.provider == account.provider
                && (other.account.channel_id == account.channel_id
                    || (!shared && other.account.token == account.token))
        }) {
            return Err(format!(
                "account {}: token or channel_id is that of account {} already",
                account.channel_id, twin.account.channel_id
            ));
        }
        let id = AccountId(self.accounts.len());
        self.by_token.entry((account.provider, account.token.clone())).or_default().push(id);
        self.accounts.push(AccountState {
            account,
            condition: Condition::Connected,
            started_at: clock::seconds(),
            history: History::default(),
            whapi: whapi::settings::Settings::default(),
            wassenger: wassenger::hooks::Hooks::default(),
        });
        Ok(id)
    }

    pub fn account(&self, id: AccountId) -> &AccountState {
        &self.accounts[id.0]
    }

    pub fn account_mut(&mut self, id: AccountId) -> &mut AccountState {
        &mut self.accounts[id.0]
    }

    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, &AccountState)> {
        self.accounts.iter().enumerate().map(|(index, account)| (AccountId(index), account))
    }

    pub fn with_token(&self, provider: Provider, token: &str) -> &[AccountId] {
        self.by_token.get(&(provider, token.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// The account that control calls mean: by token (or, where several have the same one, its channel id
    /// in its place), by provider, or the only one there is.
    pub fn find_account(
        &self,
        provider: Option<Provider>,
        token: Option<&str>,
    ) -> Result<AccountId, String> {
        let mut fitting = self.accounts().filter(|(_, state)| {
            provider.is_none_or(|provider| provider == state.account.provider)
                && token.is_none_or(|token| {
                    token == state.account.token || token == state.account.channel_id
                })
        });
        match (fitting.next(), fitting.next()) {
            (Some((id, _)), None) => Ok(id),
            (None, _) => Err("no account has this provider and token; GET /_control/state lists \
                              the accounts"
                .to_owned()),
            (Some(_), Some(_)) => {
                Err("several accounts fit; name one by provider and token, or by its channel id as token"
                    .to_owned())
            }
        }
    }

    /// Whoever has the number; unknown ones behave as everybody does.
    pub fn person(&self, phone: &str) -> Person {
        self.known_person(phone).unwrap_or_else(|| Person::of(phone))
    }

    pub fn known_person(&self, phone: &str) -> Option<Person> {
        let made = || self.crowd.index_of(phone).map(Crowd::person);
        self.people.get(phone).cloned().or_else(made)
    }

    /// Those of whom something was said.
    pub fn people(&self) -> impl ExactSizeIterator<Item = &Person> {
        self.people.values()
    }

    pub fn put_person(&mut self, spec: &PersonSpec) -> Result<(), String> {
        let phone = person_key(&spec.phone).ok_or_else(|| {
            format!("person {:?}: phone is no number of 7 to 15 digits", spec.phone)
        })?;
        let person = self.person(&phone).with(spec);
        self.keep_person(person)
    }

    /// The same, and how the person was before.
    pub fn change_person(&mut self, spec: &PersonSpec) -> Result<(Person, Person), String> {
        let before = person_key(&spec.phone).map(|key| self.person(&key));
        self.put_person(spec)?;
        let before = before.ok_or_else(|| "the person has no number".to_owned())?;
        let after = self.person(&before.phone);
        Ok((before, after))
    }

    /// Remembers a person under a name it gave itself.
    pub fn name_person(&mut self, phone: &str, name: &str) -> Result<(), String> {
        let mut person = self.person(phone);
        name.clone_into(&mut person.name);
        self.keep_person(person)
    }

    fn keep_person(&mut self, person: Person) -> Result<(), String> {
        if self.people.len() >= MAX_PEOPLE && !self.people.contains_key(&person.phone) {
            return Err(format!("there are {MAX_PEOPLE} people, the most there can be"));
        }
        self.people.insert(person.phone.clone(), person);
        Ok(())
    }

    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.values()
    }

    /// Groups that a number is in, and how many they are.
    pub fn groups_of(&self, phone: &str, offset: usize, count: usize) -> (Vec<&Group>, usize) {
        let found = || self.groups.values().filter(|group| group.has(phone));
        (found().skip(offset).take(count).collect(), found().count())
    }

    pub fn group_named(&self, name: &str) -> Option<&Group> {
        self.groups.values().find(|group| group.name == name)
    }

    pub fn put_group(&mut self, spec: &GroupSpec) -> Result<String, String> {
        let numbers = |list: &[String]| {
            list.iter()
                .map(|text| {
                    person_key(text).ok_or_else(|| {
                        format!("group {:?}: participant {text:?} is no number", spec.name)
                    })
                })
                .collect::<Result<Vec<String>, String>>()
        };
        let admins = numbers(&spec.admins)?;
        let mut participants: Vec<String> = Vec::with_capacity(spec.participants.len());
        for phone in numbers(&spec.participants)?.into_iter().chain(admins.clone()) {
            if !participants.contains(&phone) {
                participants.push(phone);
            }
        }
        let mut owner = None;
        if spec.token.is_some() {
            let id = self.find_account(None, spec.token.as_deref())?;
            owner = Some(self.account(id).account.phone.clone());
        }
        let has_account =
            self.accounts.iter().any(|state| participants.contains(&state.account.phone));
        let joining: Vec<String> = match &owner {
            Some(phone) => vec![phone.clone()],
            None if has_account => vec![],
            None => self.accounts.iter().map(|state| state.account.phone.clone()).collect(),
        };
        for phone in joining.into_iter().rev() {
            if !participants.contains(&phone) {
                participants.insert(0, phone);
            }
        }
        let id = match &spec.id {
            Some(id) if is_group_id(id) => id.clone(),
            Some(id) => return Err(format!("group id {id:?} is not of the form digits@g.us")),
            None => new_group_id(),
        };
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&id) {
            return Err(format!("there are {MAX_GROUPS} groups, the most there can be"));
        }
        let created_by = owner.or_else(|| participants.first().cloned()).unwrap_or_default();
        let created_at = self.groups.get(&id).map_or_else(clock::seconds, |group| group.created_at);
        let group = groups::made(id.clone(), spec, participants, &admins, created_by, created_at)?;
        self.groups.insert(id.clone(), group);
        Ok(id)
    }

    /// A group by its id or its name.
    pub fn find_group(&self, name: &str) -> Result<&Group, String> {
        self.group(name).or_else(|| self.group_named(name)).ok_or_else(|| {
            format!(
                "there is no group {name:?}; make it by POST /_control/state {{\"groups\":[…]}}"
            )
        })
    }

    /// Makes the change; whom it concerns learns it by [`crate::world::World::change_group`].
    pub fn change_group(&mut self, spec: &GroupChangeSpec) -> Result<GroupChange, String> {
        let number = |text: &String| {
            person_key(text).ok_or_else(|| format!("participants: {text:?} is no number"))
        };
        let people = spec.participants.iter().map(number).collect::<Result<Vec<_>, _>>()?;
        let by = spec.by.as_ref().map(number).transpose()?;
        let before = self.find_group(&spec.group)?.clone();
        let mut after = before.clone();
        let at = clock::seconds();
        groups::apply(&mut after, spec, &people, at)?;
        if spec.change == groups::GroupChangeKind::Deleted {
            self.groups.remove(&before.id);
        } else {
            self.groups.insert(after.id.clone(), after.clone());
        }
        let mut known: Vec<String> = before
            .members
            .iter()
            .chain(&after.members)
            .map(|member| member.phone.clone())
            .collect();
        known.extend(people.iter().chain(&by).cloned());
        known.sort();
        known.dedup();
        let persons = |keys: &[String]| keys.iter().map(|key| self.person(key)).collect::<Vec<_>>();
        Ok(GroupChange {
            kind: spec.change,
            people: persons(&people),
            by: by.map(|key| self.person(&key)),
            known: persons(&known),
            before,
            after,
            at,
            request_id: spec.request_id.clone(),
        })
    }

    /// Adds somebody who writes in a group to its members.
    pub fn join_group(&mut self, id: &str, phone: &str) -> Result<(), String> {
        self.groups.get_mut(id).map_or(Ok(()), |group| group.join(phone))
    }
}

/// The messages of one account, oldest first; beyond the bounds the oldest are forgotten.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// What was before; it can be listed, and no more.
    pub past: Past,
    first: u64,
    bytes: usize,
    messages: VecDeque<Message>,
    by_id: HashMap<String, u64>,
}

impl History {
    /// Adds a message; false when its id is taken.
    pub fn add(&mut self, message: Message) -> bool {
        if self.by_id.contains_key(&message.id) {
            return false;
        }
        self.by_id.insert(message.id.clone(), self.first + self.messages.len() as u64);
        self.bytes += message.size_bytes();
        self.messages.push_back(message);
        while self.messages.len() > MAX_MESSAGES || self.bytes > MAX_MESSAGE_BYTES {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.first += 1;
            self.bytes -= oldest.size_bytes();
            self.by_id.remove(&oldest.id);
        }
        true
    }

    pub fn get(&self, id: &str) -> Option<&Message> {
        let index = self.by_id.get(id)? - self.first;
        self.messages.get(usize::try_from(index).ok()?)
    }

    /// Replaces the text of a message, or what stands under its file; returns it before and after.
    pub fn edit(&mut self, id: &str, text: &str) -> Option<(Message, Message)> {
        let index = usize::try_from(self.by_id.get(id)? - self.first).ok()?;
        let message = self.messages.get_mut(index)?;
        let before = message.clone();
        if !message.content.edit(text) {
            return None;
        }
        let after = message.clone();
        self.bytes = self.bytes + after.size_bytes() - before.size_bytes();
        Some((before, after))
    }

    /// Notes a status that outranks the known one.
    pub fn raise_status(&mut self, id: &str, status: Status) {
        let Some(index) = self.by_id.get(id).map(|n| n - self.first) else { return };
        let Some(message) = usize::try_from(index).ok().and_then(|i| self.messages.get_mut(i))
        else {
            return;
        };
        message.status = message.status.max(status);
    }

    /// Forgets what a message said, as deletion for everyone does; returns it as it was.
    pub fn remove(&mut self, id: &str) -> Option<Message> {
        let index = usize::try_from(self.by_id.get(id)? - self.first).ok()?;
        let message = self.messages.get_mut(index)?;
        let before = message.clone();
        message.content = crate::message::Content::Text { body: String::new() };
        self.bytes = self.bytes + message.size_bytes() - before.size_bytes();
        self.by_id.remove(id);
        Some(before)
    }

    /// Messages that were not deleted, oldest first, without the made-up past.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.iter().filter(|message| self.by_id.contains_key(&message.id))
    }

    pub fn len(&self) -> usize {
        self.by_id.len() + usize::try_from(self.past.count).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Chat, Content, Source};

    fn message(id: &str, body: &str) -> Message {
        Message {
            id: id.to_owned(),
            chat: Chat::Person("447700900123".to_owned()),
            chat_name: None,
            from_me: true,
            author: Person::of("447700900999"),
            at: 1,
            source: Source::Api,
            content: Content::Text { body: body.to_owned() },
            quoted: None,
            mentions: vec![],
            forwarded: false,
            reference: None,
            status: Status::Pending,
        }
    }

    #[test]
    fn history_is_bounded_by_bytes_and_still_finds_its_messages() {
        let mut history = History::default();
        let long = "x".repeat(8 << 20);
        for n in 0..20 {
            assert!(history.add(message(&format!("m{n}"), &long)));
        }
        assert!(history.len() < 9);
        assert!(history.get("m0").is_none());
        assert_eq!(history.get("m19").unwrap().id, "m19");
        assert!(!history.add(message("m19", "twice")));
        history.raise_status("m19", Status::Read);
        history.raise_status("m19", Status::Delivered);
        assert_eq!(history.get("m19").unwrap().status, Status::Read);
        assert!(history.remove("m19").is_some());
        assert!(history.get("m19").is_none());
        assert_eq!(history.iter().last().unwrap().id, "m18");
    }

    #[test]
    fn accounts_that_cannot_exist_are_refused_with_words() {
        let account = |json| serde_json::from_value::<Account>(json).unwrap();
        let good = serde_json::json!({"provider": "whapi", "token": "t", "channel_id": "C-1",
            "phone": "+447700900999", "name": "Acme"});
        let mut state = State::default();
        state.add_account(account(good.clone())).unwrap();
        for (key, value, word) in [("token", "u", "already"), ("phone", "12", "no number")] {
            let mut bad = good.clone();
            bad[key] = value.into();
            let words = state.add_account(account(bad)).unwrap_err();
            assert!(words.contains(word), "{words}");
        }
    }
}
