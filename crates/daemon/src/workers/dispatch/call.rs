//! One call to a provider, with no transaction open.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tracing::{Instrument, info_span};
use wabridge_domain::account::{AccountId, AccountState};
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};
use wabridge_providers::Call;

use super::Shared;
use super::claim::Job;
use crate::accounts::Account;
use crate::failpoint;
use crate::runtime::Runtime;

/// Beyond the provider's own time-out: a call that does not come back at all.
const OVERTIME: Duration = Duration::from_secs(5);

/// A call that ended.
#[derive(Debug)]
pub(super) struct Done {
    pub account_id: AccountId,
    pub provider: &'static str,
    pub epoch: i64,
    pub job: Job,
    pub result: Result<Accepted, SendError>,
    pub latency: Duration,
}

/// Makes the call in a task of its own and hands its end to the recorder.
pub(super) fn spawn(
    rt: &Arc<Runtime>,
    shared: &Arc<Shared>,
    account: &Arc<Account>,
    epoch: i64,
    job: Job,
    permit: OwnedSemaphorePermit,
    done: mpsc::Sender<Done>,
) {
    let (rt, shared, account) = (Arc::clone(rt), Arc::clone(shared), Arc::clone(account));
    shared.begin_call(account.id);
    let span = info_span!(
        "send",
        db.name = %rt.name,
        account.id = account.id,
        message.id = job.message_id,
        attempt = job.number
    );
    let tasks = rt.tasks.clone();
    tasks.spawn(
        async move {
            let started = Instant::now();
            failpoint::hit(&rt.name, "call.before").await;
            let call = make(&rt, &account, &job);
            let result = match AssertUnwindSafe(call).catch_unwind().await {
                Ok(result) => result,
                Err(_panic) => Err(SendError::Uncertain {
                    reason: "the call broke off inside the bridge".into(),
                }),
            };
            failpoint::hit(&rt.name, "call.after").await;
            let end = Done {
                account_id: account.id,
                provider: account.provider.as_str(),
                epoch,
                job,
                result,
                latency: started.elapsed(),
            };
            if let Err(lost) = done.send(end).await {
                tracing::error!(
                    message.id = lost.0.job.message_id,
                    "the recorder is gone; the outcome of message {} is settled later",
                    lost.0.job.message_id
                );
            }
            shared.end_call(account.id);
            drop(permit);
            rt.wakes.outbox.notify_one();
        }
        .instrument(span),
    );
}

async fn make(rt: &Runtime, account: &Account, job: &Job) -> Result<Accepted, SendError> {
    let adapter =
        account.usable_adapter().map_err(|why| SendError::NotSent { reason: why.to_owned() })?;
    let Some(token) = &account.token else {
        let message = "no usable token is set; enter it with the wizard \"Set credentials\"".into();
        return Err(SendError::AccountDown { state: AccountState::TokenDead, message });
    };
    let call = Call {
        http: &rt.http,
        base_url: account.base_url.as_deref(),
        token,
        channel_id: account.channel_id.as_deref(),
        request_id: &job.request_id,
        timeout: rt.limits.provider_timeout(),
    };
    let outgoing = Outgoing {
        chat_id: job.chat_id.clone(),
        content: job.content.clone(),
        quoted_id: job.quoted_id.clone(),
        file: job.file.clone(),
        reference: format!("wabridge:{}:{}:{}", rt.name, job.message_id, job.number),
    };
    // A process that was stopped in between wakes up here: by now another daemon may have let the chat go on.
    if Instant::now() >= job.begin_by && failpoint::guard(&rt.name, "call.within_lease") {
        let reason = "the bridge came too late to call: it was stopped or overloaded".to_owned();
        return Err(SendError::NotSent { reason });
    }
    match tokio::time::timeout(call.timeout + OVERTIME, adapter.send(&call, &outgoing)).await {
        Ok(result) => result,
        Err(_) => Err(SendError::Uncertain { reason: "no answer in time".into() }),
    }
}
