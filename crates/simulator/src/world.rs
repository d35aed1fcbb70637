//! The running world: state, faults, the log of calls, and what happens by itself after a send. What
//! control calls let happen beyond writing is in `changes`.

use crate::{
    SimulatorError, clock,
    faults::{Faults, Subject, WebhookEffects},
    message::{Chat, Content, Event, Message, Quoted, Source, Status, StatusChange},
    people::{self, Person},
    requests::Requests,
    state::{AccountId, Condition, State},
    vendor::{self, Vendor},
    webhooks::Deliverer,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

/// Sends whose people have not finished reacting; beyond that nobody reacts.
const MAX_REACTIONS: usize = 100_000;

pub(crate) struct World {
    state: Mutex<State>,
    pub faults: Faults,
    pub requests: Requests,
    pub webhooks: Deliverer,
    reactions: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A message somebody is about to write; the world gives it id, time, author and names.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub chat: Chat,
    pub content: Content,
    /// Id of the message it answers.
    pub quoted: Option<String>,
    pub mentions: Vec<String>,
    pub forwarded: bool,
    /// The sender's own reference, for providers that echo one.
    pub reference: Option<String>,
    pub id: Option<String>,
    /// Seconds since 1970; now when missing.
    pub at: Option<i64>,
}

impl Draft {
    pub fn new(chat: Chat, content: Content) -> Self {
        let (quoted, mentions, id, at) = (None, vec![], None, None);
        Self { chat, content, quoted, mentions, forwarded: false, reference: None, id, at }
    }
}

impl World {
    pub fn new(
        state: State,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Result<Self, SimulatorError> {
        let webhooks = Deliverer::new(stop.clone(), tasks.clone())
            .map_err(|error| SimulatorError::Client(error.to_string()))?;
        let ids: Vec<AccountId> = state.accounts().map(|(id, _)| id).collect();
        let world = Self {
            state: Mutex::new(state),
            faults: Faults::default(),
            requests: Requests::default(),
            webhooks,
            reactions: Arc::new(Semaphore::new(MAX_REACTIONS)),
            tasks,
            stop,
        };
        ids.into_iter().for_each(|id| world.apply_targets(id));
        Ok(world)
    }

    /// Lets webhooks go where an account's settings say, for vendors that have it there.
    pub fn apply_targets(&self, account: AccountId) {
        let targets = {
            let state = self.state();
            vendor_of(&state, account).targets(state.account(account))
        };
        if let Some(targets) = targets {
            self.webhooks.set_targets(account, &targets);
        }
    }

    /// The state, locked: never held over a wait.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the account's owner what happened, by the webhooks registered at this moment.
    pub fn emit(&self, account: AccountId, event: &Event, effects: WebhookEffects) {
        let deliveries = {
            let state = self.state();
            let owner = state.account(account);
            vendor_of(&state, account).deliveries(owner, event)
        };
        for delivery in deliveries {
            self.webhooks.push(account, &event.chat(), delivery, effects);
        }
    }

    /// Faults that touch only webhooks, for what a call or a person sets in motion.
    pub fn webhook_effects(&self, account: AccountId, subject: &Subject<'_>) -> WebhookEffects {
        let (provider, token) = {
            let state = self.state();
            let account = &state.account(account).account;
            (account.provider, account.token.clone())
        };
        self.faults.for_webhooks(provider, &token, subject)
    }

    /// The account sends through the API: stored, answered at once; echo and statuses follow.
    pub fn send(
        self: &Arc<Self>,
        account: AccountId,
        draft: Draft,
        effects: WebhookEffects,
    ) -> Message {
        let (message, audience) = {
            let mut state = self.state();
            let message = compose(&state, account, Writer::Account(Source::Api), draft);
            let audience = audience(&state, account, &message.chat);
            state.account_mut(account).history.add(message.clone());
            (message, audience)
        };
        let Ok(permit) = Arc::clone(&self.reactions).try_acquire_owned() else {
            warn!(
                "{MAX_REACTIONS} sends await their people's reactions; nobody reacts to this one"
            );
            return message;
        };
        let world = Arc::clone(self);
        let sent = message.clone();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = world.react(account, sent, audience, effects) => {}
            }
            drop(permit);
        });
        message
    }

    /// The account says something through the API that nobody answers, delivers or reads as a message of its own
    /// (a reaction).
    pub fn note(&self, account: AccountId, draft: Draft) -> Message {
        let mut state = self.state();
        let message = compose(&state, account, Writer::Account(Source::Api), draft);
        state.account_mut(account).history.add(message.clone());
        message
    }

    /// What people do about a message that was sent through the API.
    async fn react(
        self: &Arc<Self>,
        account: AccountId,
        message: Message,
        audience: Vec<Person>,
        effects: WebhookEffects,
    ) {
        let start = Instant::now();
        sleep_until(start + people::SENT_AFTER).await;
        self.emit(account, &Event::Message(Box::new(message.clone())), effects);

        // WHAPI's sheet does not say how a number that is not on WhatsApp shows. A send is answered
        // before WhatsApp has looked the number up (its status word is `pending`), and the only word
        // for a send that came to nothing is the `failed` status with errors[]: so it is that.
        let direct = matches!(message.chat, Chat::Person(_));
        if direct && audience.iter().any(|person| !person.on_whatsapp) {
            self.status(account, &message, Status::Failed, &[], effects);
            return;
        }
        self.status(account, &message, Status::Sent, &[], effects);

        let reached: Vec<Person> =
            audience.into_iter().filter(|person| person.on_whatsapp && person.delivers).collect();
        sleep_until(start + people::DELIVERED_AFTER).await;
        if !reached.is_empty() {
            self.status(account, &message, Status::Delivered, &reached, effects);
        }
        sleep_until(start + people::READ_AFTER).await;
        let readers: Vec<Person> = reached.into_iter().filter(|person| person.reads).collect();
        if !readers.is_empty() {
            self.status(account, &message, Status::Read, &readers, effects);
        }

        let Some(text) = message.content.text() else { return };
        sleep_until(start + people::ECHO_AFTER).await;
        for person in readers.iter().filter(|person| person.echoes) {
            let content = Content::Text { body: format!("Echo: {text}") };
            let draft = Draft::new(message.chat.clone(), content);
            // Whoever is disconnected meanwhile is not answered; nothing else can go wrong here.
            if let Err(why) = self.write(account, &person.phone, draft) {
                warn!("a person could not answer: {why}");
            }
        }
    }

    fn status(
        &self,
        account: AccountId,
        message: &Message,
        status: Status,
        viewers: &[Person],
        effects: WebhookEffects,
    ) {
        self.state().account_mut(account).history.raise_status(&message.id, status);
        let at = clock::seconds();
        let change = |viewer| StatusChange {
            message_id: message.id.clone(),
            chat: message.chat.clone(),
            status,
            viewer,
            at,
            error: None,
        };
        let changes = match &message.chat {
            Chat::Group(_) if !viewers.is_empty() => {
                viewers.iter().map(|person| change(Some(person.clone()))).collect()
            }
            Chat::Group(_) | Chat::Person(_) | Chat::Channel(_) => vec![change(None)],
        };
        self.emit(account, &Event::Statuses(changes), effects);
    }

    /// A person writes to the account.
    ///
    /// # Errors
    /// The account cannot receive, or the id is taken; in words.
    pub fn write(&self, account: AccountId, from: &str, draft: Draft) -> Result<Message, String> {
        let writer = Writer::Person(from);
        self.receive(account, writer, draft)
    }

    /// Somebody writes on the account's own phone.
    ///
    /// # Errors
    /// As for [`World::write`].
    pub fn write_on_phone(&self, account: AccountId, draft: Draft) -> Result<Message, String> {
        self.receive(account, Writer::Account(Source::Mobile), draft)
    }

    fn receive(
        &self,
        account: AccountId,
        writer: Writer<'_>,
        draft: Draft,
    ) -> Result<Message, String> {
        let message = {
            let mut state = self.state();
            can_receive(&state, account)?;
            let message = compose(&state, account, writer, draft);
            if let Chat::Group(id) = &message.chat {
                state.join_group(id, &message.author.phone)?;
            }
            if !state.account_mut(account).history.add(message.clone()) {
                return Err(format!("the account has a message {} already", message.id));
            }
            message
        };
        self.emit(
            account,
            &Event::Message(Box::new(message.clone())),
            self.inbound_effects(account),
        );
        Ok(message)
    }
}

#[derive(Debug, Clone, Copy)]
enum Writer<'a> {
    Account(Source),
    Person(&'a str),
}

pub(crate) fn vendor_of(state: &State, account: AccountId) -> &'static dyn Vendor {
    vendor::of(state.account(account).account.provider)
        .expect("State::add_account takes only providers that are built")
}

pub(crate) fn can_receive(state: &State, account: AccountId) -> Result<(), String> {
    let owner = state.account(account);
    match owner.condition {
        Condition::Connected | Condition::TokenDead => Ok(()),
        _ => Err(format!(
            "account {} is not connected, so nothing reaches it; set its state to connected first",
            owner.account.channel_id
        )),
    }
}

fn compose(state: &State, account: AccountId, writer: Writer<'_>, draft: Draft) -> Message {
    let owner = state.account(account);
    let (author, source) = match writer {
        Writer::Account(source) => {
            let name = owner.account.name.clone();
            (Person { name, ..Person::of(&owner.account.phone) }, source)
        }
        Writer::Person(phone) => (state.person(phone), Source::Mobile),
    };
    let (chat_name, in_group) = match &draft.chat {
        Chat::Group(id) => (state.group(id).map(|group| group.name.clone()), true),
        Chat::Person(_) | Chat::Channel(_) => (None, false),
    };
    let quoted = draft.quoted.map(|id| {
        let known = owner.history.get(&id);
        Quoted {
            author: known.map(|message| message.author.clone()),
            from_me: known.is_some_and(|message| message.from_me),
            content: known.map(|message| message.content.clone()),
            id,
        }
    });
    let from_me = matches!(writer, Writer::Account(_));
    let status = match source {
        Source::Mobile => Status::Delivered,
        Source::Api => Status::Pending,
    };
    Message {
        id: draft.id.unwrap_or_else(|| vendor_of(state, account).message_id(in_group)),
        chat: draft.chat,
        chat_name,
        from_me,
        author,
        at: draft.at.unwrap_or_else(clock::seconds),
        source,
        content: draft.content,
        quoted,
        mentions: draft.mentions,
        forwarded: draft.forwarded,
        reference: draft.reference,
        status,
    }
}

/// Whom a message of the account reaches.
fn audience(state: &State, account: AccountId, chat: &Chat) -> Vec<Person> {
    match chat {
        Chat::Person(phone) => vec![state.person(phone)],
        Chat::Channel(_) => vec![],
        Chat::Group(id) => {
            let own = &state.account(account).account.phone;
            state.group(id).map_or_else(Vec::new, |group| {
                group
                    .members
                    .iter()
                    .filter(|member| member.phone != *own)
                    .map(|member| state.person(&member.phone))
                    .collect()
            })
        }
    }
}

/// Puts a message into the account's past without telling anybody.
pub(crate) fn remember(
    state: &mut State,
    account: AccountId,
    from: Option<&str>,
    draft: Draft,
) -> Result<String, String> {
    let writer = match from {
        Some(phone) => Writer::Person(phone),
        None => Writer::Account(Source::Mobile),
    };
    let message = compose(state, account, writer, draft);
    let id = message.id.clone();
    if state.account_mut(account).history.add(message) {
        Ok(id)
    } else {
        Err(format!("the account has a message {id} already"))
    }
}
