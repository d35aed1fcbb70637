//! Bodies of `message.…`.

use std::sync::atomic::Ordering;

use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;
use wabridge_domain::message::Origin;
use wabridge_rpc::message::{
    MessageApi, MessageStatus, SEND, STATUS, SendParams, Sent, StatusParams,
};
use wabridge_rpc::to::To;
use wabridge_rpc::{Answer, Failure, Identity};

use super::{Api, Ctx, Done, Trace};
use crate::access;
use crate::runtime::Phase;
use crate::send::{self, Caller, Parts, SendRequest};

impl MessageApi for Api {
    async fn send(&self, identity: Identity, params: SendParams) -> Result<Answer<Sent>, Failure> {
        let (uid, configuration_id) = (params.uid, params.configuration_id);
        let trace = Trace::Row(SEND.name);
        self.run(identity, SEND.name, trace, uid, configuration_id, |ctx| async move {
            check_held(&ctx)?;
            let (content, handed) = match Parts::from(&params).content_and_file() {
                Ok(content) => content,
                Err(refusal) => {
                    // Who may not use the account learns nothing else.
                    let chat = match &params.to {
                        To::Text(text) => Some(text.as_str()),
                        To::Contact(_) | To::Partner(_) | To::Group(_) => None,
                    };
                    access::account_for(&ctx.rt, &ctx.user, configuration_id, chat).await?;
                    return Err(refusal.into());
                }
            };
            let request_id = ctx.identity.request_id.clone();
            let caller = Caller { user: ctx.user.clone(), request_id, origin: Origin::Rpc };
            let request = SendRequest {
                configuration_id,
                to: params.to,
                content,
                handed,
                reply_to: params.reply_to,
                idempotency_key: params.idempotency_key,
                category: params.category.map(|category| category.as_str().to_owned()),
                res_model: params.res_model,
                res_id: params.res_id,
                schedule_at: params.schedule_at,
                wait_ms: params.wait_ms,
            };
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
            Ok(Done { data, account: configuration_id.zip(provider), provider })
        })
        .await
    }

    async fn status(
        &self,
        identity: Identity,
        params: StatusParams,
    ) -> Result<Answer<MessageStatus>, Failure> {
        let StatusParams { uid, id } = params;
        self.run(identity, STATUS.name, Trace::Nothing, uid, None, |ctx| async move {
            let row = send::status(&ctx.rt, uid, id).await?;
            let provider = row.provider.as_deref().and_then(|word| word.parse().ok());
            let data = MessageStatus {
                id: row.id,
                message_id: row.message_id,
                status: row.status,
                timestamp: row.timestamp,
                configuration_id: row.configuration_id,
                error_code: row.error_code,
                error_message: row.error_message,
            };
            Ok(Done {
                account: provider.map(|provider| (row.configuration_id, provider)),
                provider,
                data,
            })
        })
        .await
    }
}

/// A copy of a database sends nothing, and takes nothing that would be sent once somebody adopts it.
pub(super) fn check_held(ctx: &Ctx) -> Result<(), Refusal> {
    match ctx.rt.phase() {
        Phase::Held(_) => Err(Refusal::new(
            Kind::Locked,
            "this database was copied or restored and nothing is sent from it; `wabridge adopt` takes it into use, `wabridge neutralize` makes it a test copy",
        )),
        _ => Ok(()),
    }
}

/// The request of a call that is one of many.
pub(super) fn request(params: SendParams) -> Result<SendRequest, Refusal> {
    let (content, handed) = Parts::from(&params).content_and_file()?;
    Ok(SendRequest {
        configuration_id: params.configuration_id,
        to: params.to,
        content,
        handed,
        reply_to: params.reply_to,
        idempotency_key: params.idempotency_key,
        category: params.category.map(|category| category.as_str().to_owned()),
        res_model: params.res_model,
        res_id: params.res_id,
        schedule_at: params.schedule_at,
        wait_ms: 0,
    })
}
