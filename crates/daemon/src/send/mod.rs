//! Sends: both doors lead here, into one outbox.
//!
//! [`send`] is door (a), the RPC method. [`adopt`] is door (b): what Odoo's transactions committed. Both put a
//! message row and an outbox row behind the lane of its chat in one transaction; [`crate::workers::dispatch`]
//! takes it from there (`docs/adr/0003-outbox.md`).

pub mod adopt;
pub mod bulk;
pub mod change;
mod content;
mod enqueue;
pub mod fingerprint;
mod handed;
pub(crate) mod number;
pub mod outcome;
pub(crate) mod permit;
mod target;
mod waiters;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use wabridge_domain::Kind;
use wabridge_domain::content::Content;
use wabridge_domain::error::Refusal;
use wabridge_domain::message::{Origin, Status};
use wabridge_rpc::to::To;
use wabridge_store::lane::Key;
use wabridge_store::odoo::audit_log::Entry;
use wabridge_store::odoo::message_out::{self, Summary};
use wabridge_store::odoo::outbox_in;
use wabridge_store::{StoreError, Tx, database, explain, idempotency, lane, read, savepoint, tx};

use crate::access::{self, User};
use crate::failpoint;
use crate::runtime::Runtime;

pub(crate) use content::Parts;
pub use handed::Handed;
pub use target::Target;
pub use waiters::Waiters;

/// Longest idempotency key, characters.
const KEY_MAX_CHARS: usize = 200;
/// How often a waiting caller looks whether another daemon recorded the outcome.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// On whose behalf a send is made.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose rights were read when the call began.
    pub user: User,
    pub request_id: String,
    pub origin: Origin,
}

/// The parameters of `message.send`, checked for their form.
#[derive(Debug, Clone)]
pub struct SendRequest {
    pub configuration_id: Option<i32>,
    pub to: To,
    pub content: Content,
    /// The file of `content`, where it comes along with the call.
    pub handed: Option<Handed>,
    /// Row id of the message that is quoted.
    pub reply_to: Option<i32>,
    pub idempotency_key: Option<String>,
    /// `utility` or `marketing`.
    pub category: Option<String>,
    pub res_model: Option<String>,
    pub res_id: Option<i32>,
    pub schedule_at: Option<Timestamp>,
    pub wait_ms: u32,
}

/// What the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub id: i32,
    pub message_id: Option<String>,
    pub status: Status,
    pub timestamp: Option<Timestamp>,
    pub provider: String,
}

impl From<Summary> for Accepted {
    fn from(row: Summary) -> Self {
        Self {
            id: row.id,
            message_id: row.message_id,
            status: row.status,
            timestamp: row.timestamp,
            provider: row.provider.unwrap_or_default(),
        }
    }
}

/// A send that stored nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct SendFailure(#[from] pub Refusal);

/// Why a transaction of this module ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Rights of these users are to be read first, outside the transaction.
    #[error("rights of users {0:?} are not known yet")]
    UnknownUsers(Vec<i32>),
    /// Files of these rows are to be kept first, outside the transaction.
    #[error("files of {} rows are not kept yet", .0.len())]
    Unprepared(Vec<outbox_in::Row>),
}

impl database::Conflict for Problem {
    fn conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.conflict())
    }
}

impl Problem {
    fn refusal(self, rt: &Runtime) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Store(error) => access::store_refusal(rt, &error),
            Self::UnknownUsers(_) | Self::Unprepared(_) => {
                Refusal::new(Kind::Locked, "this chat is very busy just now; try again in a moment")
            }
        }
    }
}

/// Door (a): stores a message and its place in the queue, and waits for the outcome for as long as asked.
///
/// # Errors
/// A refusal; nothing is stored then, but a row of the audit log.
pub async fn send(
    rt: &Arc<Runtime>,
    caller: &Caller,
    request: SendRequest,
) -> Result<Accepted, SendFailure> {
    let wait = Duration::from_millis(u64::from(request.wait_ms));
    let deadline = tokio::time::Instant::now() + wait;
    let id = match accept(rt, caller, request).await {
        Ok(id) => id,
        Err(refusal) => {
            note_refusal(rt, caller, &refusal).await;
            return Err(SendFailure(refusal));
        }
    };
    let summary = wait_for_outcome(rt, id, deadline).await?;
    Ok(summary.into())
}

/// The status of a message of an account that `uid` may use.
///
/// # Errors
/// `access_denied`, `record_not_found`, `database_unavailable`.
pub async fn status(rt: &Runtime, uid: i32, id: i32) -> Result<Summary, Refusal> {
    let user = access::require_user(rt, uid).await?;
    let row = read(rt, id).await?;
    let usable = access::usable_accounts(rt, &user).await?;
    match row {
        Some(row) if usable.contains(&row.configuration_id) => Ok(row),
        Some(_) => {
            Err(Refusal::new(Kind::AccessDenied, "this user may not see messages of that account"))
        }
        None => Err(not_found(id)),
    }
}

fn not_found(id: i32) -> Refusal {
    Refusal::new(Kind::RecordNotFound, format!("there is no message with id {id}"))
}

async fn read(rt: &Runtime, id: i32) -> Result<Option<Summary>, Refusal> {
    let row: Result<Option<Summary>, StoreError> =
        read!(&rt.store, "send.read", |client| message_out::summary(client, id).await);
    row.map_err(|error| access::store_refusal(rt, &error))
}

async fn note_refusal(rt: &Runtime, caller: &Caller, refusal: &Refusal) {
    if matches!(refusal.kind, Kind::DatabaseUnavailable | Kind::SchemaMismatch) {
        return;
    }
    let entry = Entry {
        operation: "message.send",
        success: false,
        error_message: Some(refusal.kind.as_str()),
        user_id: Some(caller.user.uid),
        request_id: Some(&caller.request_id),
        ..Entry::default()
    };
    crate::audit::write(rt, &entry).await;
}

/// Stores the message; its row id. The same key with the same content gives the first one's.
async fn accept(rt: &Arc<Runtime>, caller: &Caller, request: SendRequest) -> Result<i32, Refusal> {
    match check(rt, caller, request).await? {
        Checked::Known(id) => Ok(id),
        Checked::New(new) => {
            let mut stored = store_all(rt, caller, std::slice::from_ref(&*new)).await?;
            stored.pop().unwrap_or_else(|| Err(Problem::UnknownUsers(vec![]).refusal(rt)))
        }
    }
}

/// What a call came to before anything is stored.
enum Checked {
    /// Its key stands for this message already.
    Known(i32),
    New(Box<New>),
}

/// A send that may be stored.
struct New {
    request: SendRequest,
    fingerprint: Vec<u8>,
    target: Target,
}

impl New {
    fn known<'a>(&'a self, caller: &'a Caller) -> Known<'a> {
        Known { caller, request: &self.request, fingerprint: &self.fingerprint }
    }
}

async fn check(
    rt: &Runtime,
    caller: &Caller,
    mut request: SendRequest,
) -> Result<Checked, Refusal> {
    check_form(&request)?;
    let fingerprint = fingerprint::of(&request);
    access::check_phase(rt)?;
    let known = Known { caller, request: &request, fingerprint: &fingerprint };
    if let Some(id) = known.look_up(rt).await? {
        return Ok(Checked::Known(id));
    }
    let target = target::resolve(rt, &caller.user, &request).await?;
    // Whoever may not send it has nothing fetched or kept.
    if let Some(handed) = &request.handed {
        let kind = request.content.message_type();
        let id = handed.keep(rt, &target.account, caller.user.uid, kind).await?;
        if let Some(file) = request.content.file_mut() {
            file.id = id;
        }
    }
    Ok(Checked::New(Box::new(New { request, fingerprint, target })))
}

/// Stores some sends in one transaction, in their order; what is wrong with one is its own result.
///
/// # Errors
/// A refusal that concerns them all: the database is away, or the chats are busy. Nothing is stored then.
async fn store_all(
    rt: &Arc<Runtime>,
    caller: &Caller,
    news: &[New],
) -> Result<Vec<Result<i32, Refusal>>, Refusal> {
    let mut rights = adopt::Rights::default();
    let stored = store_with(rt, caller, news, &mut rights).await;
    rights.tidy(rt).await;
    stored
}

async fn store_with(
    rt: &Arc<Runtime>,
    caller: &Caller,
    news: &[New],
    rights: &mut adopt::Rights,
) -> Result<Vec<Result<i32, Refusal>>, Refusal> {
    let accounts: BTreeSet<i32> = news.iter().map(|new| new.target.account.id).collect();
    // Once more for each set of users and files whose rows stand before ours: a handful of rounds on the busiest
    // chat.
    for round in 0..5 {
        // Mostly nothing stands before ours, and nothing is to be known of it.
        if round > 0 {
            for account in &accounts {
                rights.learn_account(rt, *account).await?;
            }
        }
        let known = &*rights;
        let stored: Result<(Vec<Result<i32, Refusal>>, enqueue::Touched), Problem> =
            tx!(&rt.store, "send.accept", |tx| {
                Storing { rt, caller, news, rights: known }.run(tx).await
            });
        match stored {
            Ok((results, touched)) => {
                touched.tell(rt);
                return Ok(results);
            }
            Err(Problem::UnknownUsers(users)) => {
                for account in &accounts {
                    rights.learn(rt, *account, &users).await?;
                }
            }
            Err(Problem::Unprepared(rows)) => rights.prepare(rt, &rows).await?,
            Err(problem) => return Err(problem.refusal(rt)),
        }
    }
    Err(Problem::UnknownUsers(vec![]).refusal(rt))
}

/// The one transaction of door (a).
struct Storing<'a> {
    rt: &'a Runtime,
    caller: &'a Caller,
    news: &'a [New],
    rights: &'a adopt::Rights,
}

impl Storing<'_> {
    async fn run(
        &self,
        tx: &Tx<'_>,
    ) -> Result<(Vec<Result<i32, Refusal>>, enqueue::Touched), Problem> {
        let rt = self.rt;
        let mut results: Vec<Option<Result<i32, Refusal>>> = Vec::with_capacity(self.news.len());
        for new in self.news {
            results.push(match new.known(self.caller).claim(tx).await {
                Ok(known) => known.map(Ok),
                Err(Problem::Refused(refusal)) => Some(Err(refusal)),
                Err(problem) => return Err(problem),
            });
        }
        let open = || self.news.iter().zip(&results).filter(|(_, known)| known.is_none());
        let mut keys: Vec<Key> = open().map(|(new, _)| new.target.key()).collect();
        keys.sort();
        keys.dedup();
        let mut touched = enqueue::Touched::default();
        if !keys.is_empty() {
            // The lanes first: from here on nobody else puts anything behind these chats.
            lane::lock_all(tx, &keys).await?;
            failpoint::hit(&rt.name, "enqueue.lane_locked").await;
            for key in &keys {
                touched.append(adopt::adopt_chat(tx, rt, self.rights, key).await?);
            }
        }
        for (new, result) in self.news.iter().zip(&mut results) {
            if result.is_none() {
                *result = Some(self.store(tx, new, &mut touched).await?);
            }
        }
        failpoint::hit(&rt.name, "enqueue.before_commit").await;
        Ok((results.into_iter().flatten().collect(), touched))
    }

    /// One of them; among several under a savepoint, so that data the database refuses refuse nothing else.
    async fn store(
        &self,
        tx: &Tx<'_>,
        new: &New,
        touched: &mut enqueue::Touched,
    ) -> Result<Result<i32, Refusal>, Problem> {
        if self.news.len() == 1 {
            return self.insert(tx, new, touched).await.map(Ok);
        }
        savepoint::begin(tx).await?;
        let mut own = enqueue::Touched::default();
        match self.insert(tx, new, &mut own).await {
            Ok(id) => {
                savepoint::keep(tx).await?;
                touched.append(own);
                Ok(Ok(id))
            }
            Err(Problem::Store(error @ StoreError::Refused(_))) => {
                savepoint::undo(tx).await?;
                Ok(Err(access::store_refusal(self.rt, &error)))
            }
            Err(problem) => Err(problem),
        }
    }

    async fn insert(
        &self,
        tx: &Tx<'_>,
        new: &New,
        touched: &mut enqueue::Touched,
    ) -> Result<i32, Problem> {
        let clock = self.rt.clock.as_ref();
        let New { request, target, .. } = new;
        let id = enqueue::store(tx, clock, target, self.caller, request, touched).await?;
        new.known(self.caller).point(tx, id).await?;
        if request.configuration_id.is_none() {
            let what = explain::What::AccountByDefault { configuration_id: target.account.id };
            explain::note(tx, &[explain::Decision { message_id: id, what }]).await?;
        }
        Ok(id)
    }
}

fn check_form(request: &SendRequest) -> Result<(), Refusal> {
    let invalid = |text: &str| Err(Refusal::new(Kind::InvalidContent, text));
    match &request.idempotency_key {
        Some(key) if key.is_empty() || key.chars().count() > KEY_MAX_CHARS => {
            return invalid("idempotency_key has 1 to 200 characters");
        }
        Some(key) if key.contains('\0') => {
            return invalid("idempotency_key holds a NUL character");
        }
        _ => {}
    }
    match (&request.res_model, request.res_id) {
        (Some(model), Some(_)) if !model.is_empty() && !model.contains('\0') => Ok(()),
        (None, None) => Ok(()),
        _ => invalid("res_model and res_id name the document together"),
    }
}

/// The idempotency key of one call.
struct Known<'a> {
    caller: &'a Caller,
    request: &'a SendRequest,
    fingerprint: &'a [u8],
}

impl Known<'_> {
    /// Before any default is applied: the message that this key stands for already.
    async fn look_up(&self, rt: &Runtime) -> Result<Option<i32>, Refusal> {
        let Some(key) = &self.request.idempotency_key else { return Ok(None) };
        let found: Result<Option<idempotency::Known>, StoreError> =
            read!(&rt.store, "send.look_up", |client| {
                idempotency::find(client, self.caller.user.uid, key).await
            });
        let found = found.map_err(|error| access::store_refusal(rt, &error))?;
        found.map(|found| self.same(&found)).transpose()
    }

    fn same(&self, found: &idempotency::Known) -> Result<i32, Refusal> {
        if found.fingerprint == self.fingerprint {
            return Ok(found.message_id);
        }
        Err(Refusal::new(
            Kind::IdempotencyConflict,
            "this idempotency_key was used for another message; take a new key for new content",
        ))
    }

    /// Takes the key inside the transaction; a concurrent twin is waited for here.
    async fn claim(&self, tx: &Tx<'_>) -> Result<Option<i32>, Problem> {
        let Some(key) = &self.request.idempotency_key else { return Ok(None) };
        if idempotency::claim(tx, self.caller.user.uid, key, self.fingerprint).await? {
            return Ok(None);
        }
        match idempotency::find(tx, self.caller.user.uid, key).await? {
            Some(found) => Ok(Some(self.same(&found)?)),
            // It was collected between the two statements.
            None => Err(StoreError::Busy("an idempotency key is changing".into()).into()),
        }
    }

    async fn point(&self, tx: &Tx<'_>, id: i32) -> Result<(), StoreError> {
        match &self.request.idempotency_key {
            Some(key) => idempotency::point(tx, self.caller.user.uid, key, id).await,
            None => Ok(()),
        }
    }
}

/// The row as soon as the outcome of its first attempt is recorded, or as it stands at the deadline.
async fn wait_for_outcome(
    rt: &Arc<Runtime>,
    id: i32,
    deadline: tokio::time::Instant,
) -> Result<Summary, Refusal> {
    let waiter = rt.sends.wait(id);
    loop {
        // Registered before the row is read: an outcome in between is not missed.
        let told = waiter.told();
        tokio::pin!(told);
        told.as_mut().enable();
        let row = read(rt, id).await?.ok_or_else(|| not_found(id))?;
        let now = tokio::time::Instant::now();
        if row.status.answered() || now >= deadline {
            return Ok(row);
        }
        tokio::select! {
            () = told => {}
            () = tokio::time::sleep_until(deadline.min(now + LOOK_EVERY)) => {}
        }
    }
}
