//! Groups: every change is made at the provider first and stands in Odoo's rows afterwards, person by person. What the
//! provider refuses changes no row.

mod create;
mod edit;
mod everywhere;
mod icon;
mod invite;
mod keep;
mod members;
mod once;
pub mod owed;
mod people;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use wabridge_domain::Kind;
use wabridge_domain::capability::Operation;
use wabridge_domain::event::{ChatKind, GroupUpdate};
use wabridge_domain::group::Completion as Told;
use wabridge_domain::recipient::Recipient;
use wabridge_providers::{Call, Provider};
use wabridge_rpc::Failure;
use wabridge_rpc::group::Completion;

use crate::access;
use crate::accounts::Account;
use crate::runtime::Runtime;
use crate::send::Caller;

pub use create::create;
pub use edit::{info, invite_link, join, leave, revoke_invite, update};
pub use everywhere::remove_everywhere;
pub use members::{add, change};

/// One call to a provider; a call about groups makes several, one after the other.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// A call about groups: in whose name, and with which account.
pub struct Work {
    pub rt: Arc<Runtime>,
    pub caller: Caller,
    pub account: Arc<Account>,
    /// When it began: what is found out during the call is at least as new.
    at: Timestamp,
}

impl Work {
    /// With the account that is named, else the one that last wrote in `group`, else the user's default.
    ///
    /// # Errors
    /// As [`access::account_for`].
    pub async fn of(
        rt: &Arc<Runtime>,
        caller: &Caller,
        configuration_id: Option<i32>,
        group: Option<&str>,
    ) -> Result<Self, Failure> {
        let account = access::account_for(rt, &caller.user, configuration_id, group).await?;
        Ok(Self::with(rt, caller, account))
    }

    fn with(rt: &Arc<Runtime>, caller: &Caller, account: Arc<Account>) -> Self {
        Self { rt: Arc::clone(rt), caller: caller.clone(), account, at: rt.clock.now() }
    }

    fn adapter(&self) -> Result<&dyn Provider, Failure> {
        self.account.usable_adapter().map_err(|why| Failure::new(Kind::UnsupportedByProvider, why))
    }

    /// The adapter, where it has the operation; `cannot` begins the sentence of the refusal.
    fn able(&self, operation: Operation, cannot: &str) -> Result<&dyn Provider, Failure> {
        let adapter = self.adapter()?;
        if adapter.capabilities().can(operation) {
            return Ok(adapter);
        }
        let why = format!("{cannot} through the provider of this account");
        Err(Failure::new(Kind::UnsupportedByProvider, why))
    }

    fn call(&self) -> Result<Call<'_>, Failure> {
        let timeout = CALL_TIMEOUT.min(self.rt.limits.provider_timeout());
        Ok(self.account.call(&self.rt.http, &self.caller.request_id, timeout)?)
    }

    /// The provider's id of a group, as it was given.
    fn group_id(&self, text: &str) -> Result<String, Failure> {
        let chat = self.adapter()?.chat(&Recipient::parse(text, None)?)?;
        if chat.kind == ChatKind::Group {
            return Ok(chat.id);
        }
        let why = "group_id is no group of this provider; give the id as whatsapp_group.group_id holds it";
        Err(Failure::new(Kind::InvalidRecipient, why))
    }

    /// What this call found out of a group: nothing yet. Times are whole seconds; among what is told of one second a
    /// call of ours comes last, by the order of ids, since what else is told then is as a rule what calls before it did.
    fn found(&self, group_id: &str) -> GroupUpdate {
        GroupUpdate {
            group_id: group_id.to_owned(),
            kind: "info".to_owned(),
            at: self.at,
            event_id: format!("zzz{:020}", self.at.as_microsecond().max(0)),
            ..GroupUpdate::default()
        }
    }
}

fn completion(told: &Told) -> Completion {
    match told {
        Told::Done => Completion::Done,
        Told::Later { .. } => Completion::Waiting,
    }
}

fn invalid(why: impl Into<String>) -> Failure {
    Failure::new(Kind::InvalidContent, why)
}
