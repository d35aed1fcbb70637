//! Bodies of the RPC methods: who asks, for whom, what it came to, and the audit row it leaves.

mod audit;
mod block;
mod change;
mod configuration;
mod consent;
mod contact;
mod erase;
mod explain;
mod group;
mod journal;
mod mark_read;
mod media;
mod message;
mod refresh;
mod revise;
mod stats;
mod sync;
mod template;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wabridge_domain::error::Refusal;
use wabridge_domain::{Kind, ProviderKind};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::odoo::audit_log::Entry;

pub(crate) use configuration::failure;

use crate::access::{self, User};
use crate::app::App;
use crate::audit as log;
use crate::runtime::Runtime;

/// The methods' state: the databases, by the name that an [`Identity`] carries.
pub struct Api {
    databases: BTreeMap<String, Arc<Runtime>>,
}

/// What a call leaves in the audit log when it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trace {
    /// It only read something.
    Nothing,
    /// A row with this operation.
    Row(&'static str),
}

/// A call in its database, for a user who may use the addon.
struct Ctx {
    rt: Arc<Runtime>,
    user: User,
    identity: Identity,
    /// Set where the body's own part writes the audit row.
    written: AtomicBool,
}

/// What a body came to.
struct Done<T> {
    data: T,
    /// The account concerned, for the audit row.
    account: Option<(i32, ProviderKind)>,
    /// For `meta`.
    provider: Option<ProviderKind>,
}

impl Api {
    pub fn new(app: &App) -> Self {
        Self { databases: app.runtimes.clone() }
    }

    /// Runs `body` for `uid`. Whatever is refused leaves a row `rpc.refused`, or the method's own where it leaves one.
    async fn run<T, Fut>(
        &self,
        identity: Identity,
        method: &'static str,
        trace: Trace,
        uid: i32,
        configuration_id: Option<i32>,
        body: impl FnOnce(Arc<Ctx>) -> Fut + Send,
    ) -> Result<Answer<T>, Failure>
    where
        T: Send,
        Fut: Future<Output = Result<Done<T>, Failure>> + Send,
    {
        let Some(rt) = self.databases.get(&identity.database).map(Arc::clone) else {
            return Err(Failure::new(
                Kind::DatabaseUnavailable,
                "the bridge does not serve this database any more",
            ));
        };
        let mut written = false;
        let result = match admit(&rt, &identity, uid).await {
            Ok(user) => {
                let ctx = Arc::new(Ctx {
                    rt: Arc::clone(&rt),
                    user,
                    identity: identity.clone(),
                    written: AtomicBool::new(false),
                });
                let result = body(Arc::clone(&ctx)).await;
                written = ctx.written.load(Ordering::Relaxed);
                result
            }
            Err(refusal) => Err(refusal.into()),
        };
        let account = match &result {
            Ok(done) => done.account,
            // An id that is no account is stored as none.
            Err(_) => configuration_id
                .and_then(|id| rt.accounts().get(id).map(|account| (account.id, account.provider))),
        };
        let failure = result.as_ref().err();
        let outcome = Outcome { method, trace, uid, account, failure, written };
        record(&rt, &identity, &outcome).await;
        result.map(|done| Answer { data: done.data, meta: identity.meta(done.provider) })
    }
}

/// The user a call acts for: the key must allow him, and he must have the addon's group.
async fn admit(rt: &Runtime, identity: &Identity, uid: i32) -> Result<User, Refusal> {
    if identity.act_as.is_some_and(|only| only != uid) {
        return Err(Refusal::new(Kind::AccessDenied, "this key acts for another user only"));
    }
    access::require_user(rt, uid).await
}

struct Outcome<'a> {
    method: &'static str,
    trace: Trace,
    uid: i32,
    account: Option<(i32, ProviderKind)>,
    failure: Option<&'a Failure>,
    written: bool,
}

async fn record(rt: &Runtime, identity: &Identity, outcome: &Outcome<'_>) {
    let Outcome { method, trace, uid, account, failure, written } = *outcome;
    let elapsed_ms = identity.received.elapsed().as_secs_f64() * 1000.0;
    let request_id = identity.request_id.as_str();
    match failure {
        // What changed something leaves a line with its id; of a send each attempt does.
        None if matches!(trace, Trace::Row(_)) && !written => tracing::info!(
            db.name = %rt.name, rpc.method = method, user.id = uid, request.id = request_id, latency_ms = elapsed_ms,
            "call {request_id} of {method} answered"
        ),
        None => tracing::debug!(
            db.name = %rt.name, rpc.method = method, user.id = uid, request.id = request_id, latency_ms = elapsed_ms,
            "call {request_id} of {method} answered"
        ),
        Some(failure) => tracing::info!(
            db.name = %rt.name, rpc.method = method, user.id = uid, request.id = request_id, latency_ms = elapsed_ms,
            error.kind = failure.kind().as_str(),
            "call {request_id} of {method} refused: {}", failure.kind().as_str()
        ),
    }
    let kind = failure.map(Failure::kind);
    // Without the database nothing can be written, and the log has said so.
    if written || matches!(kind, Some(Kind::DatabaseUnavailable | Kind::SchemaMismatch)) {
        return;
    }
    let operation = match (trace, kind) {
        (Trace::Nothing, None) => return,
        (Trace::Row(own), None) => own,
        (Trace::Row(own), Some(kind)) if !is_denial(kind) => own,
        (_, Some(_)) => log::REFUSED,
    };
    let words = failure.map(|failure| format!("{method}: {}", failure.refusal));
    let entry = Entry {
        operation,
        provider: account.map(|(_, provider)| provider.as_str()),
        success: failure.is_none(),
        response_time_ms: elapsed_ms,
        error_message: words.as_deref(),
        user_id: Some(uid),
        configuration_id: account.map(|(id, _)| id),
        request_id: Some(request_id),
        address: identity.address.as_deref(),
    };
    log::write(rt, &entry).await;
}

/// Refused because of who asked, not because of what he asked.
fn is_denial(kind: Kind) -> bool {
    (1001..1100).contains(&kind.code())
}

impl Ctx {
    /// Only administrators and the system.
    fn require_administrator(&self) -> Result<(), Failure> {
        if self.user.is_administrator() {
            return Ok(());
        }
        Err(Failure::new(Kind::AccessDenied, "only WhatsApp administrators may do this"))
    }
}
