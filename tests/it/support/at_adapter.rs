//! An account of a provider at a simulator of its own, straight through its adapter: no daemon and no database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wabridge_domain::{ProviderKind, Secret};
use wabridge_providers::{Call, HttpOptions, Provider, adapter, http_client};
use wabridge_testkit::Simulator;

use super::Provider as Account;

/// Number of the account.
pub const OWN: &str = "447700900999";

pub struct AtAdapter {
    pub kind: ProviderKind,
    pub account: Account,
    pub simulator: Simulator,
    pub adapter: Arc<dyn Provider>,
    pub http: reqwest::Client,
    pub token: Secret,
    base: String,
}

impl AtAdapter {
    /// `state` is what the simulator begins with; `mapping` that of the custom provider.
    pub async fn start(kind: ProviderKind, mapping: &str, state: Value) -> Self {
        let account = Account::from(kind);
        let simulator = Simulator::start().await;
        if kind != ProviderKind::Whapi {
            // The simulator's first account is of another provider.
            let account = json!({
                "provider": account.word(), "token": account.token(), "channel_id": account.channel(),
                "phone": OWN, "name": "Acme Support",
            });
            simulator.control("state", json!({"accounts": [account]})).await;
        }
        simulator.control("state", state).await;
        let base = match kind {
            ProviderKind::Wassenger => format!("{}/v1", simulator.url),
            _ => simulator.url.clone(),
        };
        let mapping = (kind == ProviderKind::Custom).then_some(mapping);
        Self {
            kind,
            account,
            simulator,
            adapter: adapter(kind, mapping).expect("the mapping is right"),
            http: http_client(&HttpOptions::default()).expect("a client can be made"),
            token: Secret::new(account.token()),
            base,
        }
    }

    pub fn call(&self) -> Call<'_> {
        Call {
            http: &self.http,
            base_url: Some(&self.base),
            token: &self.token,
            channel_id: Some(self.account.channel()),
            request_id: "r-1",
            timeout: Duration::from_secs(20),
        }
    }

    /// With `WABRIDGE_RECORD_REQUESTS=<folder>` the requests so far are kept there as `<what>-<provider>.json`, for
    /// `tests/tools/validate_requests.py`.
    pub async fn keep_requests(&self, what: &str) {
        if let Some(folder) = std::env::var_os("WABRIDGE_RECORD_REQUESTS") {
            let mut all = self.simulator.requests("/").await;
            all.retain(|one| one["path"].as_str().is_some_and(|p| !p.starts_with("/_control")));
            let file = Path::new(&folder).join(format!("{what}-{}.json", self.account.word()));
            std::fs::write(file, json!({"requests": all}).to_string()).expect("it can be written");
        }
    }
}
