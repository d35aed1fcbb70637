//! Bodies of `message.retry`, `message.cancel` and `message.send_bulk`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;
use wabridge_domain::message::Origin;
use wabridge_rpc::bulk::{BulkParams, BulkResult, BulkSent, MESSAGES_MAX};
use wabridge_rpc::change::{
    CANCEL, ChangeApi, ChangeParams, ChangeResult, Changed, IDS_MAX, ItemError, RETRY, SEND_BULK,
};
use wabridge_rpc::error::ErrorData;
use wabridge_rpc::message::{SendParams, Sent};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::odoo::audit_log::Entry;
use wabridge_store::odoo::message_out::Summary;

use super::message::{check_held, request};
use super::{Api, Ctx, Done, Trace};
use crate::audit;
use crate::send::{Caller, bulk, change};

impl ChangeApi for Api {
    async fn retry(&self, who: Identity, params: ChangeParams) -> Result<Answer<Changed>, Failure> {
        let uid = params.uid;
        self.run(who, RETRY.name, Trace::Row(RETRY.name), uid, None, |ctx| async move {
            check_held(&ctx)?;
            changed(&ctx, RETRY.name, params, true).await
        })
        .await
    }

    async fn cancel(
        &self,
        who: Identity,
        params: ChangeParams,
    ) -> Result<Answer<Changed>, Failure> {
        let uid = params.uid;
        self.run(who, CANCEL.name, Trace::Row(CANCEL.name), uid, None, |ctx| async move {
            changed(&ctx, CANCEL.name, params, false).await
        })
        .await
    }

    async fn send_bulk(
        &self,
        who: Identity,
        params: BulkParams,
    ) -> Result<Answer<BulkSent>, Failure> {
        let BulkParams { uid, messages } = params;
        self.run(who, SEND_BULK.name, Trace::Row(SEND_BULK.name), uid, None, |ctx| async move {
            check_held(&ctx)?;
            if messages.is_empty() || messages.len() > MESSAGES_MAX {
                let why = format!("messages must hold 1 to {MESSAGES_MAX} messages");
                return Err(Failure::new(Kind::InvalidContent, why));
            }
            let requests =
                messages.into_iter().map(|message| request(item(uid, message)?)).collect();
            let results = bulk::send_all(&ctx.rt, &caller(&ctx), requests).await;
            let results = results
                .into_iter()
                .map(|result| match result {
                    Ok(id) => BulkResult::Taken { id },
                    Err(refusal) => BulkResult::Refused { error: error(&ctx, refusal) },
                })
                .collect();
            Ok(Done { data: BulkSent { results }, account: None, provider: None })
        })
        .await
    }
}

fn caller(ctx: &Ctx) -> Caller {
    let request_id = ctx.identity.request_id.clone();
    Caller { user: ctx.user.clone(), request_id, origin: Origin::Rpc }
}

/// One message of many, as the parameters of a call of its own.
fn item(uid: i32, mut message: Value) -> Result<SendParams, Refusal> {
    let invalid = |why: String| Refusal::new(Kind::InvalidContent, why);
    let Some(fields) = message.as_object_mut() else {
        return Err(invalid("a message is one object, parameters by name".into()));
    };
    if fields.get("uid").is_some_and(|own| *own != uid) {
        return Err(invalid("uid is that of the whole call".into()));
    }
    if fields.remove("wait_ms").is_some_and(|wait| wait.as_i64() != Some(0)) {
        return Err(invalid("wait_ms is for single messages".into()));
    }
    fields.insert("uid".into(), uid.into());
    serde_json::from_value(message)
        .map_err(|_| invalid("the parameters of this message do not fit message.send".into()))
}

fn error(ctx: &Ctx, refusal: Refusal) -> ItemError {
    let kind = refusal.kind;
    let data = ErrorData {
        kind: kind.as_str().to_owned(),
        retryable: kind.retryable(),
        retry_after: None,
        details: None,
        request_id: ctx.identity.request_id.clone(),
    };
    ItemError { code: kind.code(), message: refusal.message, data }
}

/// Does it with one message, or with each of several.
async fn changed(
    ctx: &Arc<Ctx>,
    method: &'static str,
    params: ChangeParams,
    again: bool,
) -> Result<Done<Changed>, Failure> {
    let caller = caller(ctx);
    let one = async |id: i32| {
        if again {
            change::retry(&ctx.rt, &caller, id).await
        } else {
            change::cancel(&ctx.rt, &caller, id).await
        }
    };
    match (params.id, params.ids) {
        (Some(id), None) => {
            let row = one(id).await?;
            let provider = row.provider.as_deref().and_then(|word| word.parse().ok());
            let account = provider.map(|provider| (row.configuration_id, provider));
            Ok(Done { data: Changed::One(sent(row)), account, provider })
        }
        (None, Some(ids)) if (1..=IDS_MAX).contains(&ids.len()) => {
            let mut results = Vec::with_capacity(ids.len());
            for id in ids {
                let began = Instant::now();
                let result = one(id).await;
                note(ctx, method, &result, began.elapsed()).await;
                results.push(match result {
                    Ok(row) => ChangeResult::Done(sent(row)),
                    Err(refusal) => ChangeResult::Refused { id, error: error(ctx, refusal) },
                });
            }
            ctx.written.store(true, Ordering::Relaxed);
            Ok(Done { data: Changed::Many { results }, account: None, provider: None })
        }
        _ => {
            Err(Failure::new(Kind::InvalidContent, "give either id, or ids with 1 to 1000 row ids"))
        }
    }
}

fn sent(row: Summary) -> Sent {
    let Summary { id, message_id, status, timestamp, .. } = row;
    Sent { id, message_id, status, timestamp }
}

/// One audit row a message.
async fn note(ctx: &Ctx, method: &'static str, result: &Result<Summary, Refusal>, took: Duration) {
    let words = result.as_ref().err().map(|refusal| format!("{method}: {refusal}"));
    let row = result.as_ref().ok();
    let entry = Entry {
        operation: method,
        provider: row.and_then(|row| row.provider.as_deref()),
        success: row.is_some(),
        response_time_ms: took.as_secs_f64() * 1000.0,
        error_message: words.as_deref(),
        user_id: Some(ctx.user.uid),
        configuration_id: row.map(|row| row.configuration_id),
        request_id: Some(&ctx.identity.request_id),
        address: ctx.identity.address.as_deref(),
    };
    audit::write(&ctx.rt, &entry).await;
}
