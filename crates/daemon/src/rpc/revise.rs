//! Bodies of `message.react`, `message.edit` and `message.delete`.
//!
//! A reaction is a message and goes through the outbox. An edit and a deletion are asked of the provider at once, and
//! stand in the row when it has answered: repeating either changes nothing, so whoever got no answer asks again.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use wabridge_domain::Kind;
use wabridge_domain::capability::Operation;
use wabridge_domain::content::{Content, Reaction};
use wabridge_domain::message::{Origin, Status};
use wabridge_providers::{Provider, SentMessage};
use wabridge_rpc::change::{
    DELETE, DeleteParams, EDIT, EditParams, REACT, ReactParams, ReviseApi, Revised,
};
use wabridge_rpc::message::Sent;
use wabridge_rpc::to::To;
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::odoo::message_change::{self, Row};
use wabridge_store::odoo::revision;
use wabridge_store::{StoreError, tx};

use super::configuration::{adapter, failure};
use super::message::check_held;
use super::{Api, Ctx, Done, Trace};
use crate::access;
use crate::accounts::Account;
use crate::send::{self, Caller, SendRequest, change};

impl ReviseApi for Api {
    async fn react(&self, who: Identity, params: ReactParams) -> Result<Answer<Sent>, Failure> {
        let ReactParams { uid, id, emoji, idempotency_key, wait_ms } = params;
        self.run(who, REACT.name, Trace::Row(REACT.name), uid, None, |ctx| async move {
            check_held(&ctx)?;
            let row = change::usable(&ctx.rt, uid, id).await?;
            let (chat_id, _) = at_provider(&row)?;
            let request = SendRequest {
                configuration_id: Some(row.configuration_id),
                to: To::Text(chat_id.to_owned()),
                content: Content::Reaction { reaction: Reaction { emoji } }.checked()?,
                handed: None,
                reply_to: Some(id),
                idempotency_key,
                category: None,
                res_model: None,
                res_id: None,
                schedule_at: None,
                wait_ms,
            };
            let request_id = ctx.identity.request_id.clone();
            let caller = Caller { user: ctx.user.clone(), request_id, origin: Origin::Rpc };
            // The audit row of a send is written where both doors meet.
            ctx.written.store(true, Ordering::Relaxed);
            let accepted = send::send(&ctx.rt, &caller, request)
                .await
                .map_err(|failure| Failure::from(failure.0))?;
            let provider = accepted.provider.parse().ok();
            let data = Sent {
                id: accepted.id,
                message_id: accepted.message_id,
                status: accepted.status,
                timestamp: accepted.timestamp,
            };
            let account = provider.map(|provider| (row.configuration_id, provider));
            Ok(Done { data, account, provider })
        })
        .await
    }

    async fn edit(&self, who: Identity, params: EditParams) -> Result<Answer<Revised>, Failure> {
        let EditParams { uid, id, text } = params;
        self.run(who, EDIT.name, Trace::Row(EDIT.name), uid, None, |ctx| async move {
            let (row, account) = own(&ctx, uid, id).await?;
            let caption = row.media_id.is_some();
            if !caption && row.message_type != "text" {
                let why = format!("a message of type {} has no text to edit", row.message_type);
                return Err(Failure::new(Kind::InvalidContent, why));
            }
            let adapter = able(&account, Operation::Edit, "sent messages cannot be edited")?;
            let longest = adapter.capabilities().text_max_chars;
            let length = text.chars().count();
            if text.trim().is_empty() || length > longest || text.contains('\0') {
                let why = format!(
                    "text must have 1 to {longest} characters and no NUL; this one has {length}"
                );
                return Err(Failure::new(Kind::InvalidContent, why));
            }
            let (chat_id, message_id) = at_provider(&row)?;
            let message = SentMessage { chat_id, message_id };
            adapter.edit(&ctx.call(&account)?, &message, &text).await.map_err(failure)?;
            let body = Some(Cow::Borrowed(text.as_str()));
            let edit = revision::New {
                configuration_id: row.configuration_id,
                message_id: Cow::Borrowed(message_id),
                edit_id: Cow::Owned(format!("{}{}", revision::OURS, ctx.identity.request_id)),
                at: ctx.rt.clock.now(),
                content: body.clone().filter(|_| !caption),
                caption: body.filter(|_| caption),
            };
            let edits = [edit];
            let kept: Result<_, StoreError> =
                tx!(&ctx.rt.store, "message.edit", |tx| revision::apply(tx, &edits).await);
            kept.map_err(|error| access::store_refusal(&ctx.rt, &error))?;
            ctx.rt.wakes.events.notify_one();
            Ok(done(&ctx, &row, &account, row.status))
        })
        .await
    }

    async fn delete(
        &self,
        who: Identity,
        params: DeleteParams,
    ) -> Result<Answer<Revised>, Failure> {
        let DeleteParams { uid, id } = params;
        self.run(who, DELETE.name, Trace::Row(DELETE.name), uid, None, |ctx| async move {
            let (row, account) = own(&ctx, uid, id).await?;
            if row.status == Status::Deleted {
                return Ok(done(&ctx, &row, &account, Status::Deleted));
            }
            let adapter = able(&account, Operation::Delete, "sent messages cannot be deleted")?;
            let (chat_id, message_id) = at_provider(&row)?;
            let message = SentMessage { chat_id, message_id };
            adapter.delete(&ctx.call(&account)?, &message).await.map_err(failure)?;
            let noted: Result<(), StoreError> = tx!(&ctx.rt.store, "message.delete", |tx| {
                if message_change::lock(tx, id).await?.is_some() {
                    message_change::delete(tx, id).await?;
                }
                Ok::<_, StoreError>(())
            });
            noted.map_err(|error| access::store_refusal(&ctx.rt, &error))?;
            Ok(done(&ctx, &row, &account, Status::Deleted))
        })
        .await
    }
}

/// A message that went out with an account of the user, and that account.
async fn own(ctx: &Ctx, uid: i32, id: i32) -> Result<(Row, Arc<Account>), Failure> {
    check_held(ctx)?;
    let row = change::usable(&ctx.rt, uid, id).await?;
    if !row.from_me {
        let why = "this message was received; only what was sent with the account can be changed";
        return Err(Failure::new(Kind::Conflict, why));
    }
    let account = access::account_for(&ctx.rt, &ctx.user, Some(row.configuration_id), None).await?;
    Ok((row, account))
}

/// Chat and id of a message as the provider knows it.
fn at_provider(row: &Row) -> Result<(&str, &str), Failure> {
    match (row.chat_id.as_deref(), row.message_id.as_deref(), row.status) {
        (_, _, Status::Deleted) => {
            Err(Failure::new(Kind::Conflict, "this message is deleted already"))
        }
        (Some(chat_id), Some(message_id), _) => Ok((chat_id, message_id)),
        _ => Err(Failure::new(
            Kind::Conflict,
            format!("this message is {}: the provider does not know it yet", row.status.as_str()),
        )),
    }
}

fn able<'a>(
    account: &'a Account,
    operation: Operation,
    cannot: &str,
) -> Result<&'a dyn Provider, Failure> {
    let adapter = adapter(account)?;
    if adapter.capabilities().can(operation) {
        return Ok(adapter);
    }
    let why = format!("{cannot} through the provider of this account");
    Err(Failure::new(Kind::UnsupportedByProvider, why))
}

fn done(ctx: &Ctx, row: &Row, account: &Account, status: Status) -> Done<Revised> {
    ctx.rt.live.changed(row.configuration_id, "whatsapp.message", [row.id]);
    Done {
        data: Revised { id: row.id, message_id: row.message_id.clone(), status },
        account: Some((account.id, account.provider)),
        provider: Some(account.provider),
    }
}
