//! Body of `message.mark_read`: Odoo's rows at once, the provider afterwards.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wabridge_domain::Kind;
use wabridge_domain::capability::Operation;
use wabridge_domain::error::Refusal;
use wabridge_providers::{Call, CallError, ReadMark};
use wabridge_rpc::chat::{ChatApi, ChatRead, IDS_MAX, MARK_READ, MarkReadParams, MarkedRead};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::StoreError;
use wabridge_store::odoo::audit_log::Entry;
use wabridge_store::odoo::read_mark::{self, Marked, Target};
use wabridge_store::{read, tx};

use super::{Api, Ctx, Done, Trace};
use crate::access;
use crate::accounts::Account;
use crate::audit;
use crate::runtime::Runtime;

/// Newest messages of a chat that a provider is told of; those before are read with them.
const TOLD_MAX: usize = 100;
/// Waits before the provider is told again; what failed after the last of them is given up.
const AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];
/// Longest wait that a provider's `Retry-After` is honoured for: a read mark of yesterday helps nobody.
const PATIENCE: Duration = Duration::from_secs(60);
/// Calls of this process that tell a provider, at a time.
static TELLING: Semaphore = Semaphore::const_new(8);

impl ChatApi for Api {
    async fn mark_read(
        &self,
        identity: Identity,
        params: MarkReadParams,
    ) -> Result<Answer<MarkedRead>, Failure> {
        let (uid, configuration_id) = (params.uid, params.configuration_id);
        let name = MARK_READ.name;
        self.run(identity, name, Trace::Nothing, uid, configuration_id, |ctx| async move {
            let targets = targets(&ctx, params).await?;
            let rt = &ctx.rt;
            let marked: Result<Vec<Marked>, StoreError> =
                tx!(&rt.store, "read_mark.mark", |tx| read_mark::mark(tx, uid, &targets).await);
            let marked = marked.map_err(|error| access::store_refusal(rt, &error))?;
            if marked.is_empty() {
                return Err(Failure::new(Kind::RecordNotFound, "this account has no such chat"));
            }
            let data = MarkedRead {
                read: marked.iter().map(|chat| chat.messages.len()).sum(),
                chats: marked
                    .iter()
                    .map(|chat| ChatRead {
                        configuration_id: chat.configuration_id,
                        chat_id: chat.chat_id.clone(),
                        unread_count: chat.unread_count,
                    })
                    .collect(),
            };
            for chat in marked {
                if chat.messages.is_empty() {
                    continue;
                }
                let ids = chat.messages.iter().map(|(id, _)| *id);
                rt.live.changed(chat.configuration_id, "whatsapp.message", ids);
                rt.live.changed(chat.configuration_id, "whatsapp.chat", [chat.id]);
                tell(&ctx, chat);
            }
            Ok(Done { data, account: None, provider: None })
        })
        .await
    }
}

/// The chats that are meant, all of accounts that the user may use.
async fn targets(ctx: &Ctx, params: MarkReadParams) -> Result<Vec<Target>, Failure> {
    let invalid = |why: &str| Err(Failure::new(Kind::InvalidContent, why));
    let usable = access::usable_accounts(&ctx.user);
    let denied = || {
        Failure::new(Kind::AccessDenied, "this user may not see chats and messages of that account")
    };
    let MarkReadParams { uid: _, ids, configuration_id, chat_id, up_to } = params;
    match (ids, configuration_id, chat_id) {
        (Some(ids), None, None) if up_to.is_none() => {
            if ids.is_empty() || ids.len() > IDS_MAX {
                return invalid("ids must hold 1 to 1000 row ids of messages");
            }
            let found: Result<_, StoreError> =
                read!(&ctx.rt.store, "read_mark.targets", |client| {
                    read_mark::targets(client, &ids).await
                });
            let (targets, found) = found.map_err(|error| access::store_refusal(&ctx.rt, &error))?;
            if let Some(missing) = ids.iter().find(|id| found.iter().all(|(row, _)| row != *id)) {
                let why = format!("there is no message with id {missing}");
                return Err(Failure::new(Kind::RecordNotFound, why));
            }
            if found.iter().any(|(_, account)| !usable.contains(account)) {
                return Err(denied());
            }
            if targets.is_empty() {
                return Err(Failure::new(
                    Kind::RecordNotFound,
                    "these messages are in no chat yet",
                ));
            }
            Ok(targets)
        }
        (None, Some(configuration_id), Some(chat_id)) => {
            if !usable.contains(&configuration_id) {
                let unknown = ctx.rt.accounts().get(configuration_id).is_none();
                return Err(if unknown && ctx.user.is_administrator() {
                    let why = format!("there is no account with id {configuration_id}");
                    Failure::new(Kind::ConfigurationNotFound, why)
                } else {
                    denied()
                });
            }
            Ok(vec![Target { configuration_id, chat_id, up_to }])
        }
        _ => invalid("give either ids, or configuration_id with chat_id (and up_to)"),
    }
}

/// Tells the provider, in a task of its own: Odoo does not wait for it.
fn tell(ctx: &Ctx, chat: Marked) {
    let rt = Arc::clone(&ctx.rt);
    // Nothing goes out from a copied database.
    if !rt.phase().can_send() {
        return;
    }
    let Some(account) = rt.accounts().get(chat.configuration_id).cloned() else { return };
    let able = account.active
        && account.adapter().is_some_and(|a| a.capabilities().can(Operation::MarkRead));
    if !able {
        return;
    }
    let request_id = ctx.identity.request_id.clone();
    let user_id = ctx.user.stored();
    rt.tasks.clone().spawn(async move {
        let told = tokio::select! {
            told = told(&rt, &account, &chat, &request_id) => told,
            () = rt.stop.cancelled() => return,
        };
        let Err(refusal) = told else { return };
        tracing::warn!(
            db.name = %rt.name, account.id = account.id, request.id = %request_id,
            error.kind = refusal.kind.as_str(),
            "the provider of account {} was not told that a chat was read: {refusal}", account.id
        );
        let words = refusal.to_string();
        let entry = Entry {
            operation: MARK_READ.name,
            provider: Some(account.provider.as_str()),
            success: false,
            error_message: Some(&words),
            user_id,
            configuration_id: Some(account.id),
            request_id: Some(&request_id),
            ..Entry::default()
        };
        audit::write(&rt, &entry).await;
    });
}

async fn told(
    rt: &Runtime,
    account: &Account,
    chat: &Marked,
    request_id: &str,
) -> Result<(), Refusal> {
    let ids: Vec<&str> = chat.messages.iter().filter_map(|(_, id)| id.as_deref()).collect();
    let ids = &ids[ids.len().saturating_sub(TOLD_MAX)..];
    let Some(adapter) = account.adapter().filter(|_| !ids.is_empty()) else { return Ok(()) };
    let Some(token) = account.token.as_ref() else {
        return Err(Refusal::new(Kind::ProviderAuthFailed, "the account has no usable API token"));
    };
    let call = Call {
        http: &rt.http,
        base_url: account.base_url.as_deref(),
        token,
        channel_id: account.channel_id.as_deref(),
        request_id,
        timeout: rt.limits.provider_timeout(),
    };
    let mark = ReadMark { chat_id: &chat.chat_id, message_ids: ids };
    let mut waits = AGAIN.into_iter();
    loop {
        let result = {
            let _permit = TELLING.acquire().await.expect("the semaphore is never closed");
            adapter.mark_read(&call, &mark).await
        };
        let error = match result {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match (pause(&error), waits.next()) {
            (Some(asked), Some(wait)) => tokio::time::sleep(wait.max(asked)).await,
            _ => return Err(Refusal::new(error.kind(), error.to_string())),
        }
    }
}

/// How long to wait before telling again; None where that is useless.
fn pause(error: &CallError) -> Option<Duration> {
    match error {
        CallError::Unavailable { .. } => Some(Duration::ZERO),
        CallError::RateLimited { retry_after } => {
            Some(retry_after.unwrap_or_default()).filter(|asked| *asked <= PATIENCE)
        }
        CallError::AccountDown { .. } | CallError::Refused { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let limited = |s| CallError::RateLimited { retry_after: Some(Duration::from_secs(s)) };
        assert_eq!(pause(&limited(5)), Some(Duration::from_secs(5)));
        assert_eq!(pause(&limited(600)), None);
        let message = String::new();
        let refused = CallError::Refused { kind: Kind::ProviderRejected, message: message.clone() };
        assert_eq!(pause(&refused), None);
        let away = CallError::Unavailable { kind: Kind::ProviderUnavailable, message };
        assert_eq!(pause(&away), Some(Duration::ZERO));
    }
}
