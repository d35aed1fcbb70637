//! Bodies of `sync.…`: runs are queued, looked at and ended here; the work is in [`crate::sync`].

use std::time::Duration;

use serde_json::json;
use wabridge_domain::Kind;
use wabridge_domain::sync::{SyncKind, SyncMode};
use wabridge_rpc::sync::{
    CANCEL, Cancelled, Counts, JobParams, Progress, RunApi, START, STATUS, StartParams, Started,
};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::sync::run::{self, Begun, New, Status};
use wabridge_store::{StoreError, tx};

use super::configuration::adapter;
use super::{Api, Ctx, Done, Trace};
use crate::access;

/// `sync.cancel` waits so long for the run to end.
const CANCEL_WAIT: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl RunApi for Api {
    async fn start(
        &self,
        identity: Identity,
        params: StartParams,
    ) -> Result<Answer<Started>, Failure> {
        let (uid, configuration_id) = (params.uid, params.configuration_id);
        let name = START.name;
        self.run(identity, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            start(&ctx, params).await
        })
        .await
    }

    async fn sync_status(
        &self,
        identity: Identity,
        params: JobParams,
    ) -> Result<Answer<Progress>, Failure> {
        let JobParams { uid, job_id } = params;
        self.run(identity, STATUS.name, Trace::Nothing, uid, None, |ctx| async move {
            let status = ctx.sync_run(job_id).await?;
            let account = ctx.account_of(&status);
            let mut errors: Vec<String> =
                status.problems.iter().flat_map(|words| words.lines()).map(str::to_owned).collect();
            errors.extend(status.errors);
            errors.truncate(100);
            let counts = status.counts.as_deref().map(serde_json::from_str::<Counts>);
            let counts = counts.and_then(Result::ok).unwrap_or_default();
            let data = Progress { state: status.state, progress: status.progress, counts, errors };
            Ok(Done { data, account, provider: account.map(|(_, provider)| provider) })
        })
        .await
    }

    async fn sync_cancel(
        &self,
        identity: Identity,
        params: JobParams,
    ) -> Result<Answer<Cancelled>, Failure> {
        let JobParams { uid, job_id } = params;
        let name = CANCEL.name;
        self.run(identity, name, Trace::Row(name), uid, None, |ctx| async move {
            let mut status = ctx.sync_run(job_id).await?;
            let account = ctx.account_of(&status);
            let cancelled = async {
                let client = ctx.rt.store.client().await?;
                run::cancel(&client, job_id).await
            };
            cancelled.await.map_err(|error| access::store_refusal(&ctx.rt, &error))?;
            ctx.rt.wakes.sync.notify_one();
            let end = tokio::time::Instant::now() + CANCEL_WAIT;
            while !status.state.is_over() && tokio::time::Instant::now() < end {
                tokio::time::sleep(LOOK_EVERY).await;
                status = ctx.sync_run(job_id).await?;
            }
            let data = Cancelled { state: status.state };
            Ok(Done { data, account, provider: account.map(|(_, provider)| provider) })
        })
        .await
    }
}

impl Ctx {
    /// A run of an account that the user may use.
    async fn sync_run(&self, job_id: i32) -> Result<Status, Failure> {
        let status = run::status(&self.rt.store, job_id)
            .await
            .map_err(|error| access::store_refusal(&self.rt, &error))?;
        let usable = access::usable_accounts(&self.user);
        match status {
            Some(status) if usable.contains(&status.configuration_id) => Ok(status),
            None if self.user.is_administrator() => {
                Err(Failure::new(Kind::RecordNotFound, "there is no synchronisation with this id"))
            }
            _ => Err(Failure::new(
                Kind::AccessDenied,
                "this user may not use the account of this synchronisation",
            )),
        }
    }

    fn account_of(&self, status: &Status) -> Option<(i32, wabridge_domain::ProviderKind)> {
        let accounts = self.rt.accounts();
        accounts.get(status.configuration_id).map(|account| (account.id, account.provider))
    }
}

async fn start(ctx: &Ctx, params: StartParams) -> Result<Done<Started>, Failure> {
    let StartParams { configuration_id, mut kinds, mode, since, .. } = params;
    let rt = &ctx.rt;
    let account = access::account_for(rt, &ctx.user, configuration_id, None).await?;
    let invalid = |why: &str| Failure::new(Kind::InvalidContent, why);
    let asked = kinds.len();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() || kinds.len() != asked {
        return Err(invalid("kinds must name contacts, groups or messages, each once"));
    }
    match (mode, since) {
        (SyncMode::Since, None) => {
            return Err(invalid("mode since needs the date in since, RFC 3339"));
        }
        (SyncMode::Since, Some(since)) if since > rt.clock.now() => {
            return Err(invalid("since lies in the future"));
        }
        (SyncMode::Full | SyncMode::Incremental, Some(_)) => {
            return Err(invalid("since goes with mode since only"));
        }
        _ => {}
    }
    access::check_phase(rt)?;
    if !rt.phase().can_send() {
        let why = "this database is held as a copy, so its providers are not asked; run wabridge adopt or neutralize";
        return Err(Failure::new(Kind::Conflict, why));
    }
    let can = adapter(&account)?.capabilities();
    let missing: Vec<&str> =
        kinds.iter().filter(|kind| !can.can(kind.operation())).map(|kind| kind.as_str()).collect();
    if !missing.is_empty() {
        let why = format!("the provider of this account does not list {}", missing.join(", "));
        return Err(Failure::new(Kind::UnsupportedByProvider, why));
    }
    ctx.call(&account)?;
    let new = New {
        configuration_id: account.id,
        service_id: None,
        kinds: &kinds,
        mode,
        since,
        user_id: ctx.user.stored(),
    };
    let begun: Result<Begun, StoreError> =
        tx!(&rt.store, "sync.start", |tx| run::begin(tx, &new).await);
    match begun.map_err(|error| access::store_refusal(rt, &error))? {
        Begun::Queued(job_id) => {
            rt.live.changed(account.id, "whatsapp.sync.run", [job_id]);
            rt.wakes.sync.notify_one();
            let provider = account.provider;
            Ok(Done {
                data: Started { job_id },
                account: Some((account.id, provider)),
                provider: Some(provider),
            })
        }
        Begun::Busy(job_id) => {
            let words: Vec<&str> = kinds.iter().map(|kind: &SyncKind| kind.as_str()).collect();
            let why = format!(
                "synchronisation {job_id} of this account is at {} just now; wait for its end or cancel it",
                if words.len() == 1 { words[0] } else { "one of these" }
            );
            let failure = Failure::new(Kind::Conflict, why);
            Err(Failure { details: Some(json!({"job_id": job_id})), ..failure })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_counts_are_read_back() {
        let stored =
            r#"{"contacts":{"read":3,"created":1,"changed":1,"unchanged":1,"errors":0,"late":0}}"#;
        let counts: Counts = serde_json::from_str(stored).unwrap();
        assert_eq!(counts.contacts.unwrap().read, 3);
        assert!(counts.messages.is_none());
    }
}
