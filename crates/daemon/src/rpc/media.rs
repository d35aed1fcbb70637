//! Bodies of `media.…`.

use wabridge_domain::Kind;
use wabridge_rpc::media::{FETCH_AGAIN, FetchAgainParams, Fetching, MediaApi};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::{StoreError, media, tx};

use super::{Api, Done, Trace};
use crate::access;
use crate::http::media::shown_in;
use crate::runtime::Phase;
use crate::workers::media::tell;

impl MediaApi for Api {
    async fn fetch_again(
        &self,
        identity: Identity,
        params: FetchAgainParams,
    ) -> Result<Answer<Fetching>, Failure> {
        let FetchAgainParams { uid, media_id } = params;
        self.run(identity, FETCH_AGAIN.name, Trace::Row(FETCH_AGAIN.name), uid, None, |ctx| async move {
            let rt = &ctx.rt;
            if matches!(rt.phase(), Phase::Held(_)) {
                return Err(Failure::new(
                    Kind::Locked,
                    "this database was copied or restored and asks no provider for files; `wabridge adopt` takes it into use",
                ));
            }
            let usable = access::usable_accounts(&ctx.user);
            let accounts = shown_in(rt, media_id).await?;
            if !accounts.iter().any(|account| usable.contains(account)) {
                return Err(Failure::new(
                    Kind::RecordNotFound,
                    "there is no such file, or this user may not see it",
                ));
            }
            let again: Result<Option<Vec<(i32, i32)>>, StoreError> =
                tx!(&rt.store, "media.again", |tx| media::again(tx, media_id).await);
            let messages = again.map_err(|error| access::store_refusal(rt, &error))?;
            let Some(messages) = messages else {
                return Err(Failure::new(
                    Kind::Conflict,
                    "this file did not come from a provider, so that it cannot be fetched from one",
                ));
            };
            tell(rt, media_id, &messages);
            rt.wakes.media.notify_one();
            let account = accounts.first().and_then(|id| rt.accounts().get(*id).cloned());
            Ok(Done {
                data: Fetching { id: media_id, state: "waiting".into() },
                account: account.as_ref().map(|account| (account.id, account.provider)),
                provider: account.map(|account| account.provider),
            })
        })
        .await
    }
}
