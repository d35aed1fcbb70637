//! Sends: both doors lead here, into one outbox.
//!
//! [`send`] is door (a), the RPC method. [`adopt`] is door (b): what Odoo's transactions committed. Both put a
//! message row and an outbox row behind the lane of its chat in one transaction; [`crate::workers::dispatch`]
//! takes it from there (`docs/adr/0003-outbox.md`).

mod accept;
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

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use wabridge_domain::Kind;
use wabridge_domain::content::Content;
use wabridge_domain::error::Refusal;
use wabridge_domain::message::{Origin, Status};
use wabridge_rpc::to::To;
use wabridge_store::odoo::audit_log::Entry;
use wabridge_store::odoo::message_out::{self, Summary};
use wabridge_store::odoo::outbox_in;
use wabridge_store::{StoreError, database, idempotency, read};

use crate::access::{self, User};
use crate::runtime::Runtime;

pub use accept::{New, Stored};
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
    /// One of several is in the way of the others: each is to be stored alone.
    #[error("they cannot be stored together")]
    Apart,
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
            Self::UnknownUsers(_) | Self::Unprepared(_) | Self::Apart => {
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
    let began = tokio::time::Instant::now();
    let deadline = began + wait;
    let row = match accept(rt, caller, request).await {
        Ok(row) => row,
        Err(refusal) => {
            note_refusal(rt, caller, &refusal, began.elapsed()).await;
            return Err(SendFailure(refusal));
        }
    };
    match row.queued {
        // Who does not wait is told what was stored.
        Some((timestamp, provider)) if wait.is_zero() => Ok(Accepted {
            id: row.id,
            message_id: None,
            status: Status::Queued,
            timestamp: Some(timestamp),
            provider: provider.as_str().to_owned(),
        }),
        _ => Ok(wait_for_outcome(rt, row.id, deadline).await?.into()),
    }
}

/// The status of a message of an account that `uid` may use.
///
/// # Errors
/// `access_denied`, `record_not_found`, `database_unavailable`.
pub async fn status(rt: &Runtime, uid: i32, id: i32) -> Result<Summary, Refusal> {
    let user = access::require_user(rt, uid).await?;
    let row = read(rt, id).await?;
    let usable = access::usable_accounts(&user);
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

async fn note_refusal(rt: &Runtime, caller: &Caller, refusal: &Refusal, took: Duration) {
    if matches!(refusal.kind, Kind::DatabaseUnavailable | Kind::SchemaMismatch) {
        return;
    }
    let entry = Entry {
        operation: "message.send",
        success: false,
        response_time_ms: took.as_secs_f64() * 1000.0,
        error_message: Some(refusal.kind.as_str()),
        user_id: Some(caller.user.uid),
        request_id: Some(&caller.request_id),
        ..Entry::default()
    };
    crate::audit::write(rt, &entry).await;
}

/// Stores the message. The same key with the same content gives the first one's.
async fn accept(
    rt: &Arc<Runtime>,
    caller: &Caller,
    request: SendRequest,
) -> Result<accept::Row, Refusal> {
    match check(rt, caller, request).await? {
        Checked::Known(id) => Ok(accept::Row { id, queued: None }),
        Checked::New(new) => accept::together(rt, *new).await,
    }
}

/// What a call came to before anything is stored.
enum Checked {
    /// Its key stands for this message already.
    Known(i32),
    New(Box<New>),
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
    // What a key stands for counts before any default and any refusal. Where nothing is refused and no file is to be
    // kept, whoever stores the message finds out.
    if request.handed.is_some()
        && let Some(id) = known.look_up(rt).await?
    {
        return Ok(Checked::Known(id));
    }
    let target = match target::resolve(rt, &caller.user, &request).await {
        Ok(target) => target,
        Err(refusal) => {
            return known.look_up(rt).await?.map(Checked::Known).ok_or(refusal);
        }
    };
    // Whoever may not send it has nothing fetched or kept.
    if let Some(handed) = &request.handed {
        let kind = request.content.message_type();
        let id = handed.keep(rt, &target.account, caller.user.uid, kind).await?;
        if let Some(file) = request.content.file_mut() {
            file.id = id;
        }
    }
    Ok(Checked::New(Box::new(New { caller: caller.clone(), request, fingerprint, target })))
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
        (Some(model), Some(id)) if id > 0 && is_model(model) => Ok(()),
        (None, None) => Ok(()),
        (Some(_), Some(_)) => invalid("res_model is the name of a model, res_id a row of it"),
        _ => invalid("res_model and res_id name the document together"),
    }
}

/// As `sale.order`.
fn is_model(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_')
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
