//! Bodies of `journal.…`: administrators look at webhooks of their companies' accounts and replay them.

use wabridge_domain::error::Refusal;
use wabridge_domain::{Kind, ProviderKind};
use wabridge_rpc::journal::{
    JournalApi, OpenPart, REPLAY, REPLAY_MAX, ReadEvent, ReplayParams, Replayed, SHOW, ShowParams,
    Webhook,
};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::journal::{self, Filter, Shown, WHOLE_BODY};

use super::{Api, Ctx, Done, Trace};
use crate::ingest::route;
use crate::{access, replay};

/// Bytes of a body that are shown.
const BODY_MAX: usize = 256 * 1024;

impl JournalApi for Api {
    async fn replay(
        &self,
        identity: Identity,
        params: ReplayParams,
    ) -> Result<Answer<Replayed>, Failure> {
        let ReplayParams { uid, ids } = params;
        self.run(identity, REPLAY.name, Trace::Row(REPLAY.name), uid, None, |ctx| async move {
            ctx.require_administrator()?;
            let account = admit(&ctx, &ids).await?;
            let replayed = replayed(&ctx, &ids).await?;
            Ok(Done { data: replayed, account, provider: account.map(|(_, provider)| provider) })
        })
        .await
    }

    async fn show(
        &self,
        identity: Identity,
        params: ShowParams,
    ) -> Result<Answer<Webhook>, Failure> {
        let ShowParams { uid, id } = params;
        self.run(identity, SHOW.name, Trace::Row(SHOW.name), uid, None, |ctx| async move {
            ctx.require_administrator()?;
            let account = admit(&ctx, &[id]).await?;
            let shown = async { journal::show(&ctx.rt.store.client().await?, id).await }
                .await
                .map_err(|error| access::store_refusal(&ctx.rt, &error))?
                .ok_or_else(|| missing(id))?;
            let data = webhook(&ctx, &shown);
            Ok(Done { data, account, provider: account.map(|(_, provider)| provider) })
        })
        .await
    }
}

fn missing(id: i64) -> Refusal {
    Refusal::new(
        Kind::RecordNotFound,
        format!("the journal does not hold webhook {id} (any more); it is kept for some days"),
    )
}

/// The webhooks must be of accounts of the user's companies; the first one's account, for the audit row.
async fn admit(ctx: &Ctx, ids: &[i64]) -> Result<Option<(i32, ProviderKind)>, Refusal> {
    if ids.is_empty() || ids.len() > REPLAY_MAX {
        return Err(Refusal::new(
            Kind::InvalidContent,
            format!("ids must name 1 to {REPLAY_MAX} webhooks"),
        ));
    }
    let rt = &ctx.rt;
    let filter = Filter { ids: ids.to_vec(), ..Filter::default() };
    let limit = i64::try_from(REPLAY_MAX).unwrap_or(i64::MAX);
    let lines = async { journal::list(&rt.store.client().await?, &filter, limit).await }
        .await
        .map_err(|error| access::store_refusal(rt, &error))?;
    let usable = access::usable_accounts(&ctx.user);
    if lines.iter().any(|line| !usable.contains(&line.configuration_id)) {
        return Err(Refusal::new(
            Kind::AccessDenied,
            "this user may not see webhooks of that account",
        ));
    }
    // The first that was asked for, else of the list.
    let first = lines.iter().find(|line| Some(&line.id) == ids.first()).or(lines.first());
    Ok(first.and_then(|line| Some((line.configuration_id, line.provider.parse().ok()?))))
}

async fn replayed(ctx: &Ctx, ids: &[i64]) -> Result<Replayed, Refusal> {
    let rt = &ctx.rt;
    // An account that was put right a moment ago counts.
    access::reload(rt).await?;
    let done = async {
        let mut session = rt.store.session().await?;
        replay::replay(rt, &mut session, ids).await
    }
    .await
    .map_err(|error| access::store_refusal(rt, &error))?;
    if !done.waiting.is_empty() {
        rt.wakes.sweep.notify_one();
    }
    Ok(Replayed {
        applied: done.applied,
        events: done.events,
        waiting: done.waiting,
        quarantined: done
            .quarantined
            .into_iter()
            .map(|row| OpenPart {
                id: row.entry.id,
                event_no: place(row.event_no),
                reason: row.reason.as_str().to_owned(),
                detail: row.detail,
                attempts: 1,
            })
            .collect(),
        missing: done.missing,
    })
}

fn webhook(ctx: &Ctx, shown: &Shown) -> Webhook {
    let stored = &shown.stored;
    let events = ctx
        .rt
        .accounts()
        .get(shown.configuration_id)
        .map(|account| route::events(account, stored, shown.received_at).0)
        .unwrap_or_default();
    let body = &stored.body[..stored.body.len().min(BODY_MAX)];
    Webhook {
        id: shown.id,
        received_at: shown.received_at,
        provider: stored.provider.clone(),
        configuration_id: shown.configuration_id,
        verified_by: shown.verified_by.clone(),
        method: stored.method.clone(),
        sub_path: stored.sub_path.clone(),
        request_id: shown.request_id.clone(),
        headers: shown.headers.clone(),
        body: String::from_utf8_lossy(body).into_owned(),
        bytes: stored.body.len(),
        events: events
            .into_iter()
            .map(|(event_no, event)| ReadEvent {
                event_no,
                event: serde_json::to_value(event).unwrap_or_default(),
            })
            .collect(),
        open: shown
            .open
            .iter()
            .map(|open| OpenPart {
                id: shown.id,
                event_no: place(open.event_no),
                reason: open.reason.clone(),
                detail: open.detail.clone(),
                attempts: open.attempts,
            })
            .collect(),
    }
}

fn place(event_no: i32) -> Option<i32> {
    (event_no != WHOLE_BODY).then_some(event_no)
}
