//! What happens in the world beside writing: edits, deletions, groups, people, accounts. Each tells the
//! accounts it concerns, as their providers would.

use crate::{
    Provider, clock,
    faults::{Subject, WebhookEffects},
    groups::{GroupChange, GroupChangeSpec},
    message::{
        Chat, ChatChange, ContactChange, Edit, Event, Failure, Message, Status, StatusChange,
    },
    people::PersonSpec,
    state::{AccountId, Condition},
    vendor::Operation,
    world::{World, can_receive, vendor_of},
};
use serde_json::Value;

impl World {
    /// A person changes a text it wrote, or what stands under its file.
    ///
    /// # Errors
    /// The account cannot receive or does not know the message; in words.
    pub fn edit(&self, account: AccountId, target: &str, body: &str) -> Result<Message, String> {
        let edit = {
            let mut state = self.state();
            can_receive(&state, account)?;
            let (before, after) = state
                .account_mut(account)
                .history
                .edit(target, body)
                .ok_or_else(|| format!("the account has no message {target} with a text"))?;
            let mut trigger = after.clone();
            trigger.id = vendor_of(&state, account).message_id(false);
            trigger.at = clock::seconds();
            Edit { trigger, before, after }
        };
        let trigger = edit.trigger.clone();
        let event = Event::Edited(Box::new(edit));
        self.emit(account, &event, self.inbound_effects(account));
        Ok(trigger)
    }

    /// A person deletes what it wrote, for everyone; the message as it was.
    ///
    /// # Errors
    /// As for [`World::edit`].
    pub fn remove(&self, account: AccountId, target: &str) -> Result<Message, String> {
        let message = {
            let mut state = self.state();
            can_receive(&state, account)?;
            state
                .account_mut(account)
                .history
                .remove(target)
                .ok_or_else(|| format!("the account has no message {target}"))?
        };
        let event = Event::Removed { message: Box::new(message.clone()), at: clock::seconds() };
        self.emit(account, &event, self.inbound_effects(account));
        Ok(message)
    }

    /// A word about a message of the account, as people's phones or WhatsApp say it.
    ///
    /// # Errors
    /// The account does not know the message.
    pub fn say_status(
        &self,
        account: AccountId,
        target: &str,
        status: Status,
        viewer: Option<&str>,
        error: Option<Failure>,
    ) -> Result<(), String> {
        let change = {
            let mut state = self.state();
            let viewer = viewer.map(|phone| state.person(phone));
            let history = &mut state.account_mut(account).history;
            history.raise_status(target, status);
            let chat = history
                .get(target)
                .map(|message| message.chat.clone())
                .ok_or_else(|| format!("the account has no message {target}"))?;
            let (message_id, at) = (target.to_owned(), clock::seconds());
            StatusChange { message_id, chat, status, viewer, at, error }
        };
        self.emit(account, &Event::Statuses(vec![change]), self.inbound_effects(account));
        Ok(())
    }

    /// A group changes; the accounts that are or were in it learn it.
    ///
    /// # Errors
    /// What the change lacks; in words.
    pub fn change_group(&self, spec: &GroupChangeSpec) -> Result<(), String> {
        let (change, accounts) = {
            let mut state = self.state();
            let change = state.change_group(spec)?;
            let accounts: Vec<AccountId> = state
                .accounts()
                .filter(|(_, owner)| {
                    let account = &owner.account;
                    (change.before.has(&account.phone) || change.after.has(&account.phone))
                        && spec.provider.is_none_or(|provider| provider == account.provider)
                        && spec.token.as_ref().is_none_or(|token| *token == account.token)
                })
                .map(|(id, _)| id)
                .collect();
            (change, accounts)
        };
        for account in accounts {
            self.tell_group(account, change.clone());
        }
        Ok(())
    }

    fn tell_group(&self, account: AccountId, change: GroupChange) {
        let effects = self.state_effects(account);
        self.emit(account, &Event::Group(Box::new(change)), effects);
    }

    /// A person is called otherwise, has another picture, …; all accounts (of a provider, with a token)
    /// learn it.
    ///
    /// # Errors
    /// The number is none.
    pub fn change_person(
        &self,
        provider: Option<Provider>,
        token: Option<&str>,
        spec: &PersonSpec,
    ) -> Result<(), String> {
        let (before, after) = self.state().change_person(spec)?;
        for account in self.accounts_of(provider, token) {
            let change = ContactChange {
                before: before.clone(),
                after: after.clone(),
                at: clock::seconds(),
            };
            self.emit(account, &Event::Contact(Box::new(change)), self.state_effects(account));
        }
        Ok(())
    }

    /// The account's phone counts the unread messages of a chat.
    pub fn count_unread(&self, account: AccountId, chat: Chat, unread: u32, created: bool) {
        let name = {
            let state = self.state();
            match &chat {
                Chat::Person(phone) => state.person(phone).name,
                Chat::Group(id) => {
                    state.group(id).map_or_else(String::new, |group| group.name.clone())
                }
                Chat::Channel(_) => String::new(),
            }
        };
        let change = ChatChange { chat, name, unread, created, at: clock::seconds() };
        self.emit(account, &Event::Chat(change), self.state_effects(account));
    }

    /// What only the account's provider has a word for.
    pub fn tell(&self, account: AccountId, kind: String, content: Value) {
        self.emit(account, &Event::Own { kind, content }, self.state_effects(account));
    }

    fn accounts_of(&self, provider: Option<Provider>, token: Option<&str>) -> Vec<AccountId> {
        self.state()
            .accounts()
            .filter(|(_, owner)| {
                provider.is_none_or(|provider| provider == owner.account.provider)
                    && token.is_none_or(|token| token == owner.account.token)
            })
            .map(|(id, _)| id)
            .collect()
    }

    pub(crate) fn inbound_effects(&self, account: AccountId) -> WebhookEffects {
        let operation = Operation::new("inbound", None);
        let subject = Subject { operation: &operation, method: "", path: "" };
        self.webhook_effects(account, &subject)
    }

    fn state_effects(&self, account: AccountId) -> WebhookEffects {
        let operation = Operation::new("state", None);
        let subject = Subject { operation: &operation, method: "", path: "" };
        self.webhook_effects(account, &subject)
    }

    /// Changes how an account stands, and says so as its provider would.
    pub fn set_condition(&self, account: AccountId, condition: Condition) {
        let before = {
            let mut state = self.state();
            std::mem::replace(&mut state.account_mut(account).condition, condition)
        };
        if before == condition {
            return;
        }
        let effects = self.state_effects(account);
        let paired = |condition| !matches!(condition, Condition::QrNeeded | Condition::Banned);
        match (paired(before), paired(condition)) {
            (true, false) => self.emit(account, &Event::Logout, effects),
            (false, true) => self.emit(account, &Event::Login, effects),
            (true, true) | (false, false) => {}
        }
        // A dead token is between the provider and its customer: the number itself did not change.
        if condition != Condition::TokenDead {
            self.emit(account, &Event::Condition, effects);
        }
    }
}
