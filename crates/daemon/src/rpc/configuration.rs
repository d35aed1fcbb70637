//! Bodies of `configuration.…`.

use std::sync::Arc;
use std::time::Duration;

use wabridge_domain::Kind;
use wabridge_domain::account::AccountState;
use wabridge_domain::capability::Operation;
use wabridge_domain::seal::Place;
use wabridge_domain::webhook::AuthMode;
use wabridge_providers::{Call, CallError, Health, Provider, WebhookHeader, WebhookTarget};
use wabridge_rpc::configuration::{
    AccountParams, AccountUser, CAPABILITIES, CapabilityTable, ConfigurationApi, HEALTH, Limits,
    REGISTER_WEBHOOK, SEAL, SealParams, Sealed, StoredHealth, TEST, Tested, WebhookRegistered,
};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::odoo::{account_state, configuration, parameter};
use wabridge_store::{StoreError, account_pace};

use super::{Api, Ctx, Done, Trace};
use crate::access;
use crate::accounts::{Account, SEALED_COLUMNS, TABLE};
use crate::keys;
use crate::runtime::Phase;

/// Odoo's client gives up after 10 s: the provider's answer, or that there is none, must be there before.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(8);
/// Longest credential that is sealed; provider tokens have at most some hundred characters.
const VALUE_MAX_CHARS: usize = 4096;

impl ConfigurationApi for Api {
    async fn seal(
        &self,
        identity: Identity,
        params: SealParams,
    ) -> Result<Answer<Sealed>, Failure> {
        let uid = params.uid;
        self.run(
            identity,
            SEAL.name,
            Trace::Row("credential.change"),
            uid,
            None,
            |ctx| async move {
                ctx.require_administrator()?;
                // None: a value may be sealed before its account is stored.
                let found = configuration::of_seal_uuid(&ctx.rt.store, &params.seal_uuid)
                    .await
                    .map_err(|error| access::store_refusal(&ctx.rt, &error))?;
                if let Some((id, _)) = &found
                    && !access::usable_accounts(&ctx.user).contains(id)
                {
                    let why = "this user may not set credentials of that account";
                    return Err(Failure::new(Kind::AccessDenied, why));
                }
                // With the key that seals at this moment, whatever this daemon has heard of.
                keys::follow_active(&ctx.rt)
                    .await
                    .map_err(|error| access::store_refusal(&ctx.rt, &error))?;
                let data = sealed(&ctx, &params)?;
                // For the audit row.
                let account = found.and_then(|(id, provider)| Some((id, provider.parse().ok()?)));
                Ok(Done { data, account, provider: None })
            },
        )
        .await
    }

    async fn test(
        &self,
        identity: Identity,
        params: AccountParams,
    ) -> Result<Answer<Tested>, Failure> {
        let AccountParams { uid, configuration_id } = params;
        self.run(
            identity,
            TEST.name,
            Trace::Row(TEST.name),
            uid,
            configuration_id,
            |ctx| async move {
                let account = ctx.fresh_account(configuration_id).await?;
                Ok(done(&account, tested(&ctx, &account).await?))
            },
        )
        .await
    }

    async fn health(
        &self,
        identity: Identity,
        params: AccountParams,
    ) -> Result<Answer<StoredHealth>, Failure> {
        let AccountParams { uid, configuration_id } = params;
        self.run(identity, HEALTH.name, Trace::Nothing, uid, configuration_id, |ctx| async move {
            let account = access::account_for(&ctx.rt, &ctx.user, configuration_id, None).await?;
            let stored = async {
                let client = ctx.rt.store.client().await?;
                account_state::get(&client, account.id).await
            };
            let stored = stored.await.map_err(|error| access::store_refusal(&ctx.rt, &error))?;
            if let Phase::Held(reason) = ctx.rt.phase() {
                // Whatever the provider says: nothing is sent from a copied database.
                let health =
                    StoredHealth { state: AccountState::Held, reason: Some(reason), since: None };
                return Ok(done(&account, health));
            }
            if let Err(why) = account.usable_adapter() {
                // Nothing is sent and nothing that arrives is read, whatever was stored before.
                let (state, reason) = (AccountState::Disconnected, Some(why.to_owned()));
                return Ok(done(&account, StoredHealth { state, reason, since: None }));
            }
            let health = stored.map_or(
                StoredHealth { state: AccountState::New, reason: None, since: None },
                |stored| StoredHealth {
                    state: stored.state,
                    reason: stored.reason,
                    since: stored.since,
                },
            );
            Ok(done(&account, health))
        })
        .await
    }

    async fn register_webhook(
        &self,
        identity: Identity,
        params: AccountParams,
    ) -> Result<Answer<WebhookRegistered>, Failure> {
        let AccountParams { uid, configuration_id } = params;
        let name = REGISTER_WEBHOOK.name;
        self.run(identity, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            ctx.require_administrator()?;
            let account = ctx.fresh_account(configuration_id).await?;
            Ok(done(&account, registered(&ctx, &account).await?))
        })
        .await
    }

    async fn capabilities(
        &self,
        identity: Identity,
        params: AccountParams,
    ) -> Result<Answer<CapabilityTable>, Failure> {
        let AccountParams { uid, configuration_id } = params;
        self.run(
            identity,
            CAPABILITIES.name,
            Trace::Nothing,
            uid,
            configuration_id,
            |ctx| async move {
                let account =
                    access::account_for(&ctx.rt, &ctx.user, configuration_id, None).await?;
                let table = table(&account)?;
                Ok(done(&account, table))
            },
        )
        .await
    }
}

fn done<T>(account: &Account, data: T) -> Done<T> {
    Done { data, account: Some((account.id, account.provider)), provider: Some(account.provider) }
}

impl Ctx {
    /// The account with the credentials that stand in its row now: they may have been set a moment ago.
    pub(super) async fn fresh_account(&self, id: Option<i32>) -> Result<Arc<Account>, Failure> {
        let named = access::account_for(&self.rt, &self.user, id, None).await?;
        access::reload(&self.rt).await?;
        Ok(self.rt.accounts().get(named.id).cloned().unwrap_or(named))
    }

    pub(super) fn call<'a>(&'a self, account: &'a Account) -> Result<Call<'a>, Failure> {
        let timeout = PROVIDER_TIMEOUT.min(self.rt.limits.provider_timeout());
        Ok(account.call(&self.rt.http, &self.identity.request_id, timeout)?)
    }
}

pub(super) fn adapter(account: &Account) -> Result<&dyn Provider, Failure> {
    account.usable_adapter().map_err(|why| Failure::new(Kind::UnsupportedByProvider, why))
}

fn sealed(ctx: &Ctx, params: &SealParams) -> Result<Sealed, Failure> {
    let refuse = |why: String| Err(Failure::new(Kind::InvalidContent, why));
    if !SEALED_COLUMNS.contains(&params.column.as_str()) {
        return refuse(format!("column must be one of {}", SEALED_COLUMNS.join(", ")));
    }
    let uuid = params.seal_uuid.as_str();
    if !(1..=64).contains(&uuid.len())
        || !uuid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    {
        return refuse("seal_uuid must be the account's seal_uuid: letters, digits and -".into());
    }
    let value = params.value.expose();
    if value.trim().is_empty() {
        return refuse(
            "value is empty; to remove a credential write an empty column instead".into(),
        );
    }
    if value.chars().count() > VALUE_MAX_CHARS {
        return refuse(format!("value is longer than {VALUE_MAX_CHARS} characters"));
    }
    // A line break in a token is a slip of copy and paste, and cannot be sent in a header.
    if value.chars().any(char::is_control) {
        return refuse("value holds a control character or line break; copy it again".into());
    }
    let Some(installation_id) = ctx.rt.installation() else {
        return Err(Failure::new(
            Kind::DatabaseUnavailable,
            "the bridge cannot reach the database just now; try again later",
        ));
    };
    let place = Place { installation_id, table: TABLE, column: &params.column, seal_uuid: uuid };
    Ok(Sealed { sealed: ctx.rt.keys.seal(place, &params.value) })
}

async fn tested(ctx: &Ctx, account: &Account) -> Result<Tested, Failure> {
    let health = match adapter(account)?.health(&ctx.call(account)?).await {
        Ok(health) => health,
        // Somebody has to act on the account: that is its state.
        Err(CallError::AccountDown { state, message }) => {
            Health { state, reason: Some(message), phone: None, name: None }
        }
        Err(error) => return Err(failure(error)),
    };
    store_state(ctx, account, &health)
        .await
        .map_err(|error| access::store_refusal(&ctx.rt, &error))?;
    let Health { state, reason, phone, name } = health;
    let user = (phone.is_some() || name.is_some()).then_some(AccountUser { phone, name });
    Ok(Tested { state, reason, user })
}

async fn store_state(ctx: &Ctx, account: &Account, health: &Health) -> Result<(), StoreError> {
    let client = ctx.rt.store.client().await?;
    let reason = health.reason.as_deref();
    let changed = account_state::set(&client, account.id, health.state, reason).await?;
    if changed {
        ctx.rt.live.changed(account.id, "whatsapp.configuration", [account.id]);
    }
    if health.state == AccountState::Connected && account_pace::lift(&client, account.id).await? {
        ctx.rt.wakes.outbox.notify_one();
    }
    Ok(())
}

async fn registered(ctx: &Ctx, account: &Account) -> Result<WebhookRegistered, Failure> {
    let adapter = adapter(account)?;
    if !adapter.capabilities().can(Operation::RegisterWebhook) {
        return Err(Failure::new(
            Kind::UnsupportedByProvider,
            "this provider takes its webhook address by hand only; enter it in the provider's own screens",
        ));
    }
    let base = parameter::get(&ctx.rt.store, parameter::PUBLIC_URL)
        .await
        .map_err(|error| access::store_refusal(&ctx.rt, &error))?;
    let (target, shown) = target(account, base.as_deref())?;
    let call = ctx.call(account)?;
    let registered =
        tokio::time::timeout(PROVIDER_TIMEOUT, adapter.register_webhook(&call, &target));
    match registered.await {
        Ok(Ok(())) => Ok(WebhookRegistered { url: shown }),
        Ok(Err(error)) => Err(failure(error)),
        Err(_) => Err(Failure::new(
            Kind::ProviderTimeout,
            "the provider did not answer in time; registering again repeats nothing",
        )),
    }
}

/// Where the provider shall deliver, and the same address as it may be shown: without the path token.
fn target(account: &Account, base: Option<&str>) -> Result<(WebhookTarget, String), Failure> {
    let refuse = |why: &str| Err(Failure::new(Kind::InvalidContent, why));
    let Some(base) = base else {
        return refuse(
            "the bridge's public address is not set; write it into the system parameter whatsapp_integration.public_url",
        );
    };
    let base = base.trim_end_matches('/');
    let well_formed = reqwest::Url::parse(base).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if !well_formed {
        return refuse(
            "the system parameter whatsapp_integration.public_url is no web address; write it like https://bridge.example.com",
        );
    }
    let gate = &account.gate;
    let (path, header, hmac) = demands(gate.mode);
    let token = gate.path_tokens.first();
    if path && token.is_none() {
        return refuse(
            "the account has no webhook token, which its way of authentication needs; the wizard \"Set credentials\" makes one",
        );
    }
    if header && gate.header_secrets.is_empty() {
        return refuse(
            "the account has no webhook secret, which its way of authentication needs; the wizard \"Set credentials\" makes one",
        );
    }
    if hmac && gate.hmac_secrets.is_empty() {
        return refuse(
            "the account has no secret to check signatures with, which its way of authentication needs; enter it with the wizard \"Set credentials\"",
        );
    }
    if token.is_some_and(|token| !token.expose().bytes().all(url_safe)) {
        return refuse(
            "the account's webhook token holds characters that do not fit into an address; make a new one with the wizard \"Set credentials\"",
        );
    }
    let route = format!("{base}/whatsapp/webhook/{}", account.provider);
    let (url, shown) = match token {
        Some(token) => (format!("{route}/{}", token.expose()), format!("{route}/…")),
        None => (route.clone(), route),
    };
    let header = gate
        .header_secrets
        .first()
        .map(|value| WebhookHeader { name: gate.header.clone(), value: value.clone() });
    Ok((WebhookTarget { url, header, verify_token: account.verify_token.clone() }, shown))
}

fn url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
}

/// Whether a mode asks for the path token, the header, the signature.
fn demands(mode: AuthMode) -> (bool, bool, bool) {
    let word = mode.as_str();
    (word.contains("path"), word.contains("header"), word.contains("hmac"))
}

fn table(account: &Account) -> Result<CapabilityTable, Failure> {
    let capabilities = adapter(account)?.capabilities();
    Ok(CapabilityTable {
        provider: account.provider,
        capabilities: Operation::ALL.iter().map(|op| (*op, capabilities.can(*op))).collect(),
        limits: Limits {
            text_max: capabilities.text_max_chars,
            service_window: capabilities.service_window,
            pace_per_second: account.pace_per_second,
        },
    })
}

/// A provider's failure as the caller may see it; the provider's words name no host of ours.
pub(crate) fn failure(error: CallError) -> Failure {
    let kind = error.kind();
    let (message, retry_after) = match error {
        CallError::Unavailable { .. } if kind == Kind::ProviderTimeout => {
            ("the provider did not answer in time".to_owned(), None)
        }
        CallError::Unavailable { .. } => ("the provider gave no usable answer".to_owned(), None),
        CallError::RateLimited { retry_after } => {
            ("the provider asks to slow down".to_owned(), retry_after)
        }
        CallError::AccountDown { message, .. } | CallError::Refused { message, .. } => {
            (message, None)
        }
    };
    Failure { retry_after, ..Failure::new(kind, message) }
}

#[cfg(test)]
mod tests;
