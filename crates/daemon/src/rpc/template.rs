//! Body of `template.sync`: the provider's templates, for Odoo to keep.

use std::time::Duration;

use wabridge_domain::Kind;
use wabridge_domain::capability::Operation;
use wabridge_rpc::template::{ProviderTemplate, SYNC, SyncApi, TemplateSyncParams, Templates};
use wabridge_rpc::{Answer, Failure, Identity};

use super::configuration::{adapter, failure};
use super::{Api, Done, Trace};
use crate::access;

/// Odoo's client gives up after 10 s; an account may have many pages.
const WHOLE: Duration = Duration::from_secs(8);

impl SyncApi for Api {
    async fn sync(
        &self,
        identity: Identity,
        params: TemplateSyncParams,
    ) -> Result<Answer<Templates>, Failure> {
        let TemplateSyncParams { uid, configuration_id } = params;
        let name = SYNC.name;
        self.run(identity, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            let account = access::account_for(&ctx.rt, &ctx.user, configuration_id, None).await?;
            let adapter = adapter(&account)?;
            if !adapter.capabilities().can(Operation::SendTemplate) {
                let why = "the provider of this account has no templates";
                return Err(Failure::new(Kind::UnsupportedByProvider, why));
            }
            let call = ctx.call(&account)?;
            let told = tokio::time::timeout(WHOLE, adapter.templates(&call))
                .await
                .map_err(|_| {
                    let why = "the provider did not answer in time; asking again changes nothing";
                    Failure::new(Kind::ProviderTimeout, why)
                })?
                .map_err(failure)?;
            let templates = told
                .into_iter()
                .map(|one| ProviderTemplate {
                    id: one.id,
                    name: one.name,
                    language: one.language,
                    category: one.category,
                    state: one.state,
                    components: one.components,
                })
                .collect();
            let provider = account.provider;
            Ok(Done {
                data: Templates { configuration_id: account.id, templates },
                account: Some((account.id, provider)),
                provider: Some(provider),
            })
        })
        .await
    }
}
