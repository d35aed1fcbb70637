//! Body of `message.explain`.

use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;
use wabridge_rpc::explain::{EXPLAIN, ExplainApi, ExplainParams, Explained};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::{explain as store, read};

use super::{Api, Done, Trace};
use crate::{access, explain};

impl ExplainApi for Api {
    async fn explain(
        &self,
        identity: Identity,
        params: ExplainParams,
    ) -> Result<Answer<Explained>, Failure> {
        let ExplainParams { uid, id } = params;
        self.run(identity, EXPLAIN.name, Trace::Nothing, uid, None, |ctx| async move {
            let rt = &ctx.rt;
            let refused = |error| access::store_refusal(rt, &error);
            let message: Result<_, wabridge_store::StoreError> =
                read!(&rt.store, "explain.message", |client| store::message(client, id).await);
            let usable = access::usable_accounts(&ctx.user);
            let message = match message.map_err(refused)? {
                Some(message) if usable.contains(&message.configuration_id) => message,
                Some(_) => {
                    return Err(Refusal::new(
                        Kind::AccessDenied,
                        "this user may not see messages of that account",
                    )
                    .into());
                }
                None => {
                    return Err(Refusal::new(
                        Kind::RecordNotFound,
                        format!("there is no message with id {id}"),
                    )
                    .into());
                }
            };
            let mut steps = explain::steps(&rt.store, &message).await.map_err(refused)?;
            if !ctx.user.is_administrator() {
                // Ids of the journal lead to what administrators only may see.
                for step in &mut steps {
                    if let Some(id) = step.parameters.get_mut("journal_id") {
                        *id = serde_json::Value::Null;
                    }
                }
            }
            let provider = message.provider.as_deref().and_then(|word| word.parse().ok());
            Ok(Done {
                data: Explained { steps },
                account: provider.map(|provider| (message.configuration_id, provider)),
                provider,
            })
        })
        .await
    }
}
