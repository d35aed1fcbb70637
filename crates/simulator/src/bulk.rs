//! People and messages in such numbers that they are made up when somebody looks: the same ones each time, and without
//! memory of their own.

use crate::{
    message::{Chat, Content, Message, Source, Status},
    people::Person,
    state::{AccountId, State},
    world::vendor_of,
};

/// The numbers of made-up people count up from here.
const FIRST: u64 = 447_700_000_000;
/// Between two messages of a made-up past, seconds.
const STEP_S: i64 = 30;
/// So many made-up people write; the rest is known and silent.
const WRITERS: u64 = 5_000;
/// One message of so many is written in a group, where there are some.
const IN_GROUP: u64 = 10;

/// People who are there by their number alone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Crowd {
    pub count: u64,
}

/// The number of somebody made up.
pub(crate) fn phone(n: u64) -> String {
    (FIRST + n).to_string()
}

impl Crowd {
    pub fn index_of(self, phone: &str) -> Option<u64> {
        phone.parse::<u64>().ok()?.checked_sub(FIRST).filter(|n| *n < self.count)
    }

    /// Every third is in the address book, every fiftieth a business.
    pub fn person(n: u64) -> Person {
        let mut person = Person::of(&phone(n));
        person.name = format!("Person {}", n + 1);
        person.saved_name = n.is_multiple_of(3).then(|| format!("Saved {}", n + 1));
        person.is_business = n.is_multiple_of(50);
        person
    }
}

/// The made-up past of an account: evenly spaced, with many people and in some groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    pub count: u64,
    /// When the last one was written, seconds since 1970.
    pub last_at: i64,
    /// Made-up people who write.
    pub writers: u64,
    /// Ids of the groups that are written in.
    pub groups: Vec<String>,
}

impl Past {
    pub fn new(count: u64, last_at: i64, crowd: Crowd, groups: Vec<String>) -> Self {
        Self { count, last_at, writers: crowd.count.clamp(1, WRITERS), groups }
    }

    pub fn at(&self, n: u64) -> i64 {
        let behind = i64::try_from(self.count.saturating_sub(n + 1)).unwrap_or(i64::MAX);
        self.last_at - STEP_S.saturating_mul(behind)
    }

    /// Two of three are inbound.
    pub fn from_me(n: u64) -> bool {
        n % 3 == 2
    }

    fn group(&self, n: u64) -> Option<&String> {
        let turn = usize::try_from(n / IN_GROUP).unwrap_or(0);
        let groups = n.is_multiple_of(IN_GROUP).then_some(&self.groups)?;
        groups.get(turn.checked_rem(groups.len())?)
    }

    fn writer(&self, n: u64) -> u64 {
        n % self.writers.max(1)
    }

    pub fn is_in(&self, n: u64, chat: &Chat) -> bool {
        match (self.group(n), chat) {
            (Some(id), Chat::Group(wanted)) => id == wanted,
            (None, Chat::Person(wanted)) => {
                wanted.parse::<u64>().is_ok_and(|number| number == FIRST + self.writer(n))
            }
            _ => false,
        }
    }

    /// Those of a time, both ends included.
    pub fn within(&self, from: i64, to: i64) -> std::ops::Range<u64> {
        let first = self.at(0);
        let before = |second: i64| {
            // How many are older than this second.
            let steps = second.saturating_sub(first).saturating_add(STEP_S - 1) / STEP_S;
            u64::try_from(steps).unwrap_or(0).min(self.count)
        };
        let (low, high) = (before(from), before(to.saturating_add(1)));
        low..high.max(low)
    }
}

/// What a list of messages is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub chat: Option<Chat>,
    /// Seconds since 1970, both included.
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub from_me: Option<bool>,
    /// [`Person::phone`].
    pub author: Option<String>,
    /// Reactions are left out.
    pub no_reactions: bool,
    /// Oldest first.
    pub ascending: bool,
    pub offset: usize,
    pub count: usize,
}

impl Wanted {
    fn takes(&self, message: &Message) -> bool {
        let (from, to) = self.times();
        self.chat.as_ref().is_none_or(|chat| *chat == message.chat)
            && (from..=to).contains(&message.at)
            && self.author.as_ref().is_none_or(|author| *author == message.author.phone)
            && self.from_me.is_none_or(|from_me| from_me == message.from_me)
            && !(self.no_reactions && matches!(message.content, Content::Reaction { .. }))
    }

    fn times(&self) -> (i64, i64) {
        (self.from.unwrap_or(i64::MIN), self.to.unwrap_or(i64::MAX))
    }
}

/// A message of a list before it is looked at.
#[derive(Debug, Clone, Copy)]
enum Entry<'a> {
    Made(u64),
    Kept(&'a Message),
}

impl State {
    /// Whoever is on WhatsApp and known to the accounts, in an order that stays; and how many they are.
    pub fn contacts(&self, offset: usize, count: usize) -> (Vec<Person>, usize) {
        let crowd = self.crowd;
        let mut away: Vec<u64> = self
            .people()
            .filter(|person| !person.on_whatsapp)
            .filter_map(|person| crowd.index_of(&person.phone))
            .collect();
        away.sort_unstable();
        let made = usize::try_from(crowd.count).unwrap_or(usize::MAX) - away.len();
        let others = || {
            self.people()
                .filter(|person| person.on_whatsapp && crowd.index_of(&person.phone).is_none())
        };
        let total = made + others().count();
        let first = u64::try_from(offset).unwrap_or(u64::MAX);
        // Who is away leaves no gap: those behind move up.
        let skipped = away.iter().enumerate();
        let skipped = skipped.take_while(|(n, index)| **index <= first + *n as u64).count() as u64;
        let of_crowd = (first.saturating_add(skipped)..crowd.count)
            .filter(|n| away.binary_search(n).is_err())
            .take(count);
        let mut found: Vec<Person> = of_crowd.map(|n| self.person(&phone(n))).collect();
        let rest = count - found.len();
        found.extend(others().skip(offset.saturating_sub(made)).take(rest).cloned());
        (found, total)
    }

    /// Messages of an account, and how many fit in all.
    pub fn messages(&self, account: AccountId, wanted: &Wanted) -> (Vec<Message>, usize) {
        let history = &self.account(account).history;
        let past = &history.past;
        let (from, to) = wanted.times();
        let of_past = past.within(from, to);
        let mut kept: Vec<&Message> = history.iter().filter(|m| wanted.takes(m)).collect();
        kept.sort_by_key(|message| message.at);
        let plain = wanted.chat.is_none() && wanted.from_me.is_none() && wanted.author.is_none();
        let after = kept.first().is_none_or(|first| first.at >= past.last_at);
        if plain && after {
            let made = usize::try_from(of_past.end - of_past.start).unwrap_or(usize::MAX);
            let total = made + kept.len();
            let at = |place: usize| match u64::try_from(place) {
                Ok(n) if place < made => Entry::Made(of_past.start + n),
                _ => Entry::Kept(kept[place - made]),
            };
            let places =
                wanted.offset.min(total)..wanted.offset.saturating_add(wanted.count).min(total);
            let place = |n: usize| if wanted.ascending { n } else { total - 1 - n };
            let found = places.map(|n| self.shown(account, at(place(n)))).collect();
            return (found, total);
        }
        let fits = |n: &u64| {
            wanted.chat.as_ref().is_none_or(|chat| past.is_in(*n, chat))
                && wanted.from_me.is_none_or(|from_me| from_me == Past::from_me(*n))
                && wanted
                    .author
                    .as_ref()
                    .is_none_or(|author| self.made_message(account, *n).author.phone == *author)
        };
        let mut all: Vec<(i64, Entry<'_>)> =
            of_past.filter(fits).map(|n| (past.at(n), Entry::Made(n))).collect();
        all.extend(kept.into_iter().map(|message| (message.at, Entry::Kept(message))));
        all.sort_by_key(|(at, _)| *at);
        if !wanted.ascending {
            all.reverse();
        }
        let page = all.iter().skip(wanted.offset).take(wanted.count);
        (page.map(|(_, entry)| self.shown(account, *entry)).collect(), all.len())
    }

    fn shown(&self, account: AccountId, entry: Entry<'_>) -> Message {
        match entry {
            Entry::Made(n) => self.made_message(account, n),
            Entry::Kept(message) => message.clone(),
        }
    }

    fn made_message(&self, account: AccountId, n: u64) -> Message {
        let owner = self.account(account);
        let past = &owner.history.past;
        let own = &owner.account.phone;
        let group = past.group(n).and_then(|id| self.group(id));
        let from_me = Past::from_me(n);
        let writer = match group {
            Some(group) => {
                let others = group.members.iter().filter(|member| member.phone != *own);
                let others: Vec<&str> = others.map(|member| member.phone.as_str()).collect();
                let turn = usize::try_from(n).unwrap_or(0).checked_rem(others.len());
                turn.map_or_else(|| phone(past.writer(n)), |turn| others[turn].to_owned())
            }
            None => phone(past.writer(n)),
        };
        let author = if from_me {
            Person { name: owner.account.name.clone(), ..Person::of(own) }
        } else {
            self.person(&writer)
        };
        Message {
            id: vendor_of(self, account).made_message_id(n, group.is_some()),
            chat: group.map_or_else(|| Chat::Person(writer), |group| Chat::Group(group.id.clone())),
            chat_name: group.map(|group| group.name.clone()),
            from_me,
            author,
            at: past.at(n),
            source: Source::Mobile,
            content: Content::Text { body: format!("Message {} of the past", n + 1) },
            quoted: None,
            mentions: vec![],
            forwarded: false,
            reference: None,
            status: if from_me { Status::Read } else { Status::Delivered },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::PersonSpec;

    fn world() -> (State, AccountId) {
        let mut state = State::default();
        let account = serde_json::from_value(serde_json::json!({"provider": "whapi", "token": "t",
            "channel_id": "C-1", "phone": "+447700900999", "name": "Acme"}));
        let account = state.add_account(account.unwrap()).unwrap();
        state.crowd = Crowd { count: 1000 };
        (state, account)
    }

    fn pages(state: &State, account: AccountId, wanted: &Wanted) -> Vec<Message> {
        let mut all = vec![];
        loop {
            let wanted = Wanted { offset: all.len(), count: 77, ..wanted.clone() };
            let (page, total) = state.messages(account, &wanted);
            if page.is_empty() {
                assert_eq!(all.len(), total);
                return all;
            }
            all.extend(page);
        }
    }

    #[test]
    fn everybody_is_listed_once() {
        let (mut state, _) = world();
        let spec = |phone: &str, on_whatsapp| PersonSpec {
            phone: phone.to_owned(),
            name: Some("Known".to_owned()),
            on_whatsapp: Some(on_whatsapp),
            ..PersonSpec::default()
        };
        state.put_person(&spec("447700900123", true)).unwrap();
        state.put_person(&spec("447700900124", false)).unwrap();
        for away in [0, 1, 500, 999] {
            state.put_person(&spec(&phone(away), false)).unwrap();
        }
        state.put_person(&spec(&phone(7), true)).unwrap();
        let mut all = vec![];
        while all.len() < 997 {
            let (page, total) = state.contacts(all.len(), 100);
            assert_eq!(total, 997);
            all.extend(page);
        }
        assert_eq!(state.contacts(997, 100).0, []);
        let mut phones: Vec<&str> = all.iter().map(|person| person.phone.as_str()).collect();
        phones.dedup();
        assert_eq!(phones.len(), 997);
        assert!(all.iter().all(|person| person.on_whatsapp));
        assert_eq!(all[5].name, "Known");
        assert_eq!(all.last().unwrap().phone, "447700900123");
    }

    #[test]
    fn a_made_up_past_is_complete_in_each_order_and_choice() {
        let (mut state, account) = world();
        let spec = serde_json::from_value(serde_json::json!({"id": "120363025550100777@g.us",
            "name": "Ops", "participants": [phone(3), phone(4)]}));
        let group = state.put_group(&spec.unwrap()).unwrap();
        let past = Past::new(1000, 1_700_000_000, state.crowd, vec![group.clone()]);
        state.account_mut(account).history.past = past;
        let asc = Wanted { ascending: true, ..Wanted::default() };
        let all = pages(&state, account, &asc);
        assert_eq!(all.len(), 1000);
        assert!(all.is_sorted_by_key(|message| message.at));
        let mut ids: Vec<&str> = all.iter().map(|message| message.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1000);
        let id = |message: &Message| message.id.clone();
        let mut back = pages(&state, account, &Wanted::default());
        back.reverse();
        assert!(all.iter().map(id).eq(back.iter().map(id)));

        let chosen = |wanted: &Wanted| all.iter().filter(|m| wanted.takes(m)).map(id).collect();
        for wanted in [
            Wanted { chat: Some(Chat::Group(group)), ..asc.clone() },
            Wanted { chat: Some(Chat::Person(phone(9))), ..asc.clone() },
            Wanted { from_me: Some(true), ..asc.clone() },
            Wanted { author: Some(phone(3)), ..asc.clone() },
            Wanted { from: Some(all[10].at), to: Some(all[20].at), ..asc.clone() },
            Wanted { from: Some(all[10].at + 1), to: Some(all[20].at - 1), ..asc.clone() },
            Wanted { from: Some(i64::MAX), ..asc.clone() },
        ] {
            let expected: Vec<String> = chosen(&wanted);
            let found: Vec<String> = pages(&state, account, &wanted).iter().map(id).collect();
            assert_eq!(found, expected, "{wanted:?}");
        }
    }
}
