//! Counts and times what is asked of providers: an adapter around each account's own.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use wabridge_domain::account::AccountId;
use wabridge_domain::capability::Capabilities;
use wabridge_domain::error::Refusal;
use wabridge_domain::event::{Chat, Event, GroupUpdate, MediaRef, Person};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, Joined, MemberOperation, MembersChanged, NewGroup,
};
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};
use wabridge_domain::recipient::Recipient;
use wabridge_domain::webhook::{HmacScheme, Signed};
use wabridge_domain::{Kind, ProviderKind};
use wabridge_providers::{
    Call, CallError, Checked, CreateError, Handshake, Health, History, MediaAddress, Page, Parsed,
    Provider, ProviderTemplate, ReadMark, Route, SecretHeader, SentMessage, Unreadable, Upload,
    Uploaded, WebhookTarget,
};

/// What can come of a call. `abandoned`: the bridge did not wait for its end.
pub const OUTCOMES: &[&str] =
    &["ok", "unavailable", "rate_limited", "account_down", "refused", "uncertain", "abandoned"];

/// Operations that every account comes to; their counters stand at zero from the beginning.
const FIRST: [&str; 2] = ["send", "health"];

/// An account's adapter, counted.
pub struct Measured {
    inner: Arc<dyn Provider>,
    database: String,
    account: String,
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured")
            .field("database", &self.database)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Measured {
    /// The adapter of an account of a database.
    pub fn new(inner: Arc<dyn Provider>, database: &str, account: AccountId) -> Self {
        let measured = Self { inner, database: database.to_owned(), account: account.to_string() };
        for operation in FIRST {
            for outcome in OUTCOMES {
                measured.count(operation, outcome, 0);
            }
        }
        measured
    }

    fn count(&self, operation: &'static str, outcome: &'static str, n: u64) {
        metrics::counter!("wabridge_provider_calls_total",
            "database" => self.database.clone(), "account" => self.account.clone(),
            "provider" => self.inner.kind().as_str(), "operation" => operation, "outcome" => outcome)
        .increment(n);
    }

    /// Counts the call when it ends, or when nobody waits for its end any more.
    async fn timed<T, E: Outcome>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let mut watch =
            Watch { of: self, operation, begin: Instant::now(), outcome: Some("abandoned") };
        let result = call.await;
        watch.outcome = match &result {
            Ok(_) => Some("ok"),
            Err(error) => error.word(),
        };
        result
    }
}

/// A call under way.
struct Watch<'a> {
    of: &'a Measured,
    operation: &'static str,
    begin: Instant,
    /// None: it was none.
    outcome: Option<&'static str>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let Some(outcome) = self.outcome else { return };
        self.of.count(self.operation, outcome, 1);
        metrics::histogram!("wabridge_provider_call_seconds",
            "database" => self.of.database.clone(), "provider" => self.of.inner.kind().as_str(),
            "operation" => self.operation)
        .record(self.begin.elapsed().as_secs_f64());
    }
}

/// The word of [`OUTCOMES`] for an error; None where the provider has no such call, so that none was made.
trait Outcome {
    fn word(&self) -> Option<&'static str>;
}

impl Outcome for CallError {
    fn word(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable { .. } => Some("unavailable"),
            Self::RateLimited { .. } => Some("rate_limited"),
            Self::AccountDown { .. } => Some("account_down"),
            Self::Refused { kind: Kind::UnsupportedByProvider, .. } => None,
            Self::Refused { .. } => Some("refused"),
        }
    }
}

impl Outcome for CreateError {
    fn word(&self) -> Option<&'static str> {
        match self {
            Self::NotMade(error) => error.word(),
            Self::Uncertain { .. } => Some("uncertain"),
        }
    }
}

impl Outcome for SendError {
    fn word(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotSent { .. } | Self::NotAccepted { .. } => "unavailable",
            Self::RateLimited { .. } => "rate_limited",
            Self::AccountDown { .. } => "account_down",
            Self::Refused { .. } => "refused",
            Self::Uncertain { .. } => "uncertain",
        })
    }
}

#[async_trait::async_trait]
impl Provider for Measured {
    fn kind(&self) -> ProviderKind {
        self.inner.kind()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn hmac_scheme(&self) -> HmacScheme {
        self.inner.hmac_scheme()
    }

    fn secret_header(&self) -> SecretHeader {
        self.inner.secret_header()
    }

    fn parse(&self, signed: &Signed<'_>, route: &Route<'_>) -> Result<Parsed, Unreadable> {
        self.inner.parse(signed, route)
    }

    fn handshake(&self, query: &[(String, String)]) -> Option<Handshake> {
        self.inner.handshake(query)
    }

    fn chat(&self, to: &Recipient) -> Result<Chat, Refusal> {
        self.inner.chat(to)
    }

    fn person(&self, chat_id: &str) -> Option<Person> {
        self.inner.person(chat_id)
    }

    async fn send(&self, call: &Call<'_>, outgoing: &Outgoing) -> Result<Accepted, SendError> {
        self.timed("send", self.inner.send(call, outgoing)).await
    }

    async fn health(&self, call: &Call<'_>) -> Result<Health, CallError> {
        self.timed("health", self.inner.health(call)).await
    }

    async fn media_address(
        &self,
        call: &Call<'_>,
        media: &MediaRef,
        fresh: bool,
    ) -> Result<MediaAddress, CallError> {
        self.timed("media_address", self.inner.media_address(call, media, fresh)).await
    }

    async fn upload(&self, call: &Call<'_>, file: Upload) -> Result<Uploaded, CallError> {
        self.timed("upload", self.inner.upload(call, file)).await
    }

    async fn mark_read(&self, call: &Call<'_>, read: &ReadMark<'_>) -> Result<(), CallError> {
        self.timed("mark_read", self.inner.mark_read(call, read)).await
    }

    async fn edit(
        &self,
        call: &Call<'_>,
        message: &SentMessage<'_>,
        text: &str,
    ) -> Result<(), CallError> {
        self.timed("edit", self.inner.edit(call, message, text)).await
    }

    async fn delete(&self, call: &Call<'_>, message: &SentMessage<'_>) -> Result<(), CallError> {
        self.timed("delete", self.inner.delete(call, message)).await
    }

    async fn check_numbers(
        &self,
        call: &Call<'_>,
        numbers: &[&str],
    ) -> Result<Vec<Checked>, CallError> {
        self.timed("check_numbers", self.inner.check_numbers(call, numbers)).await
    }

    async fn templates(&self, call: &Call<'_>) -> Result<Vec<ProviderTemplate>, CallError> {
        self.timed("templates", self.inner.templates(call)).await
    }

    async fn group_create(&self, call: &Call<'_>, new: &NewGroup) -> Result<Created, CreateError> {
        self.timed("group_create", self.inner.group_create(call, new)).await
    }

    async fn group_info(
        &self,
        call: &Call<'_>,
        group_id: &str,
        at: Timestamp,
    ) -> Result<GroupUpdate, CallError> {
        self.timed("group_info", self.inner.group_info(call, group_id, at)).await
    }

    async fn group_edit(
        &self,
        call: &Call<'_>,
        group_id: &str,
        edit: &GroupEdit,
    ) -> Result<Completion, CallError> {
        self.timed("group_edit", self.inner.group_edit(call, group_id, edit)).await
    }

    async fn group_members(
        &self,
        call: &Call<'_>,
        group_id: &str,
        operation: MemberOperation,
        people: &[Person],
    ) -> Result<MembersChanged, CallError> {
        let made = self.inner.group_members(call, group_id, operation, people);
        self.timed("group_members", made).await
    }

    async fn group_invite(&self, call: &Call<'_>, group_id: &str) -> Result<String, CallError> {
        self.timed("group_invite", self.inner.group_invite(call, group_id)).await
    }

    async fn group_revoke_invite(
        &self,
        call: &Call<'_>,
        group_id: &str,
    ) -> Result<Option<String>, CallError> {
        self.timed("group_revoke_invite", self.inner.group_revoke_invite(call, group_id)).await
    }

    async fn group_join(&self, call: &Call<'_>, code: &str) -> Result<Joined, CallError> {
        self.timed("group_join", self.inner.group_join(call, code)).await
    }

    async fn group_leave(&self, call: &Call<'_>, group_id: &str) -> Result<Completion, CallError> {
        self.timed("group_leave", self.inner.group_leave(call, group_id)).await
    }

    async fn list_contacts(
        &self,
        call: &Call<'_>,
        cursor: Option<&str>,
        at: Timestamp,
    ) -> Result<Page<Event>, CallError> {
        self.timed("list_contacts", self.inner.list_contacts(call, cursor, at)).await
    }

    async fn list_groups(
        &self,
        call: &Call<'_>,
        cursor: Option<&str>,
        at: Timestamp,
    ) -> Result<Page<GroupUpdate>, CallError> {
        self.timed("list_groups", self.inner.list_groups(call, cursor, at)).await
    }

    async fn list_messages(
        &self,
        call: &Call<'_>,
        history: &History<'_>,
        cursor: Option<&str>,
    ) -> Result<Page<Event>, CallError> {
        self.timed("list_messages", self.inner.list_messages(call, history, cursor)).await
    }

    async fn contact_info(
        &self,
        call: &Call<'_>,
        contact_id: &str,
        at: Timestamp,
    ) -> Result<Event, CallError> {
        self.timed("contact_info", self.inner.contact_info(call, contact_id, at)).await
    }

    async fn contact_block(
        &self,
        call: &Call<'_>,
        contact_id: &str,
        blocked: bool,
    ) -> Result<(), CallError> {
        self.timed("contact_block", self.inner.contact_block(call, contact_id, blocked)).await
    }

    async fn register_webhook(
        &self,
        call: &Call<'_>,
        target: &WebhookTarget,
    ) -> Result<(), CallError> {
        self.timed("register_webhook", self.inner.register_webhook(call, target)).await
    }
}
