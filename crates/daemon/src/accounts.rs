//! The accounts of one Odoo database as last read, with their secrets opened.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use wabridge_domain::account::{AccountId, UncertainPolicy};
use wabridge_domain::error::Refusal;
use wabridge_domain::seal::{KeyRing, Place, SealError};
use wabridge_domain::webhook::{AuthMode, Encoding, Gate, HmacScheme};
use wabridge_domain::window::WindowPolicy;
use wabridge_domain::{Kind, ProviderKind, Secret};
use wabridge_providers::{Call, Provider};
use wabridge_store::odoo::configuration::Row;

use crate::keys::lost::LostColumn;
use crate::metrics::calls::Measured;

/// The table that sealed account columns belong to, part of their associated data.
pub const TABLE: &str = "whatsapp_configuration";
/// The sealed columns of an account.
pub const SEALED_COLUMNS: [&str; 5] =
    ["token", "webhook_token", "webhook_secret", "app_secret", "verify_token"];

/// One account, ready for use.
#[derive(Debug)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub provider: ProviderKind,
    pub channel_id: Option<String>,
    pub active: bool,
    pub sequence: i32,
    pub company_id: Option<i32>,
    pub base_url: Option<String>,
    /// None when none is set or it cannot be opened.
    pub token: Option<Secret>,
    pub gate: Gate,
    pub verify_token: Option<Secret>,
    pub country: Option<String>,
    /// 0 = no limit.
    pub pace_per_second: f64,
    pub daily_limit: i32,
    pub uncertain_policy: UncertainPolicy,
    pub undo: Duration,
    /// An extra pause between two messages, seconds from and to.
    pub random_gap_s: (f64, f64),
    /// Least time between two messages to one chat; zero: the rule of the provider.
    pub recipient_gap: Duration,
    /// Failures in a row that pause the account; 0 = never.
    pub failure_burst: i32,
    pub window_policy: WindowPolicy,
    pub adapter: Adapter,
    /// Why a secret could not be opened or the adapter not built, one sentence each; the account works as far as
    /// the rest reaches.
    pub problems: Vec<String>,
    /// The sealed columns that no key of this daemon opens.
    pub lost: Vec<LostColumn>,
}

impl Account {
    /// The adapter; None where the account's mapping is wrong.
    pub fn adapter(&self) -> Option<&dyn Provider> {
        self.adapter.built.as_deref().ok()
    }

    /// The adapter, or why there is none.
    ///
    /// # Errors
    /// A sentence that names what is wrong and the cure.
    pub fn usable_adapter(&self) -> Result<&dyn Provider, &str> {
        self.adapter.built.as_deref().map_err(String::as_str)
    }

    /// What every call to the provider needs; `timeout` is for a single one.
    ///
    /// # Errors
    /// `provider_auth_failed` where there is no token that could be opened.
    pub fn call<'a>(
        &'a self,
        http: &'a reqwest::Client,
        request_id: &'a str,
        timeout: Duration,
    ) -> Result<Call<'a>, Refusal> {
        let token = self.token.as_ref().ok_or_else(|| {
            let why = if self.problems.iter().any(|problem| problem.contains(": token: ")) {
                "the account's API token cannot be opened with the bridge's sealing keys"
            } else {
                "the account has no API token"
            };
            let cure = "enter it with the wizard \"Set credentials\"";
            Refusal::new(Kind::ProviderAuthFailed, format!("{why}; {cure}"))
        })?;
        Ok(Call {
            http,
            base_url: self.base_url.as_deref(),
            token,
            channel_id: self.channel_id.as_deref(),
            request_id,
            timeout,
        })
    }
}

/// The adapter of one account. Only a custom provider's depends on the account.
#[derive(Clone)]
pub struct Adapter {
    provider: ProviderKind,
    mapping: Option<String>,
    built: Result<Arc<dyn Provider>, String>,
}

impl Adapter {
    /// The adapter of account `id` of `database`; what is asked of it is counted under these two.
    pub fn new(
        database: &str,
        id: AccountId,
        provider: ProviderKind,
        mapping: Option<&str>,
    ) -> Self {
        let mapping = mapping.filter(|_| provider == ProviderKind::Custom);
        let built = wabridge_providers::adapter(provider, mapping)
            .map(|adapter| Arc::new(Measured::new(adapter, database, id)) as Arc<dyn Provider>)
            .map_err(|why| why.to_string());
        Self { provider, mapping: mapping.map(str::to_owned), built }
    }

    /// As [`Adapter::new`], built again only where something changed.
    fn renewed(
        former: Option<&Self>,
        database: &str,
        id: AccountId,
        provider: ProviderKind,
        mapping: Option<&str>,
    ) -> Self {
        let mapping = mapping.filter(|_| provider == ProviderKind::Custom);
        match former {
            Some(former) if former.provider == provider && former.mapping.as_deref() == mapping => {
                former.clone()
            }
            _ => Self::new(database, id, provider, mapping),
        }
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter")
            .field("provider", &self.provider)
            .field("problem", &self.built.as_ref().err())
            .finish_non_exhaustive()
    }
}

/// All accounts of one database at one moment.
#[derive(Debug, Default)]
pub struct Accounts {
    by_id: HashMap<AccountId, Arc<Account>>,
    /// In the order of `sequence, id`.
    ordered: Vec<Arc<Account>>,
}

impl Accounts {
    /// Opens the secrets of `rows`; adapters of `former` whose mapping is the same stay. A provider word that is
    /// unknown leaves the account out; the caller logs it.
    pub fn open(
        database: &str,
        rows: &[Row],
        keys: &KeyRing,
        installation_id: Uuid,
        former: &Self,
    ) -> (Self, Vec<String>) {
        let mut accounts = Self::default();
        let mut problems = Vec::new();
        for row in rows {
            let former = former.get(row.id).map(|account| &account.adapter);
            match open_row(database, row, keys, installation_id, former) {
                Ok(account) => {
                    problems.extend(account.problems.iter().cloned());
                    let account = Arc::new(account);
                    accounts.by_id.insert(account.id, Arc::clone(&account));
                    accounts.ordered.push(account);
                }
                Err(problem) => problems.push(problem),
            }
        }
        (accounts, problems)
    }

    pub fn get(&self, id: AccountId) -> Option<&Arc<Account>> {
        self.by_id.get(&id)
    }

    /// In the order of `sequence, id`, archived ones included.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.ordered.iter()
    }

    pub fn of_provider(&self, provider: ProviderKind) -> impl Iterator<Item = &Arc<Account>> {
        self.ordered.iter().filter(move |account| account.provider == provider)
    }
}

fn open_row(
    database: &str,
    row: &Row,
    keys: &KeyRing,
    installation_id: Uuid,
    former: Option<&Adapter>,
) -> Result<Account, String> {
    let provider: ProviderKind =
        row.provider.parse().map_err(|error| format!("account {}: {error}", row.id))?;
    let mut problems = Vec::new();
    let mut lost = Vec::new();
    let mut open = |column: &'static str, sealed: &Option<String>| -> Option<Secret> {
        let sealed = sealed.as_deref().filter(|s| !s.is_empty())?;
        let place = Place {
            installation_id,
            table: TABLE,
            column,
            seal_uuid: row.seal_uuid.as_deref().unwrap_or_default(),
        };
        match keys.open(place, sealed) {
            Ok(secret) => Some(secret),
            Err(error) => {
                problems.push(problem(row.id, column, &error));
                lost.extend(LostColumn::of(column, &error));
                None
            }
        }
    };
    let token = open("token", &row.token);
    let webhook_token = open("webhook_token", &row.webhook_token);
    let webhook_secret = open("webhook_secret", &row.webhook_secret);
    let app_secret = open("app_secret", &row.app_secret);
    let verify_token = open("verify_token", &row.verify_token);
    let former_token = open("webhook_token", &row.webhook_token_former);
    let former_secret = open("webhook_secret", &row.webhook_secret_former);
    let former_app_secret = open("app_secret", &row.app_secret_former);
    let mapping = row.custom_mapping.as_deref();
    let adapter = Adapter::renewed(former, database, row.id, provider, mapping);
    if let Err(why) = &adapter.built {
        problems.push(format!("account {}: {why}; correct it in the account's form", row.id));
    }
    let provided = adapter.built.as_deref().ok();
    let secret_header = provided.map(Provider::secret_header).unwrap_or_default();
    let (hmac_secret, former_hmac_secret) = if provider == ProviderKind::Meta {
        (app_secret, former_app_secret)
    } else {
        (webhook_secret.clone(), former_secret.clone())
    };
    // The newest first: it is the one that is handed out.
    let both =
        |newest: Option<Secret>, former: Option<Secret>| newest.into_iter().chain(former).collect();
    let gate = Gate {
        mode: AuthMode::from_column(row.auth_mode.as_deref(), provider),
        path_tokens: both(webhook_token, former_token),
        header: row
            .webhook_header
            .as_deref()
            .map(str::to_ascii_lowercase)
            .or(secret_header.name)
            .unwrap_or_else(|| "authorization".into()),
        header_prefix: secret_header.prefix,
        header_secrets: both(webhook_secret, former_secret),
        hmac: hmac_scheme(provided, row),
        hmac_secrets: both(hmac_secret, former_hmac_secret),
    };
    let pace = provided.map_or(1.0, |adapter| adapter.capabilities().default_pace_per_second);
    Ok(Account {
        id: row.id,
        name: row.name.clone().unwrap_or_default(),
        provider,
        channel_id: row.channel_id.clone().filter(|id| !id.is_empty()),
        active: row.active,
        sequence: row.sequence,
        company_id: row.company_id,
        base_url: row.base_url.clone().filter(|url| !url.is_empty()),
        token,
        gate,
        verify_token,
        country: row.country.clone(),
        pace_per_second: row.pace_per_second.unwrap_or(pace),
        daily_limit: row.daily_limit,
        uncertain_policy: UncertainPolicy::from_column(row.uncertain_policy.as_deref()),
        undo: Duration::from_secs(u64::try_from(row.undo_s).unwrap_or_default()),
        random_gap_s: (row.random_gap_min_s, row.random_gap_max_s),
        recipient_gap: Duration::try_from_secs_f64(row.recipient_gap_s.min(86_400.0))
            .unwrap_or_default(),
        failure_burst: row.failure_burst,
        window_policy: WindowPolicy::from_column(row.window_policy.as_deref()),
        adapter,
        problems,
        lost,
    })
}

/// The provider's own scheme; the account's header name wins where it is the only header its mode asks for.
fn hmac_scheme(adapter: Option<&dyn Provider>, row: &Row) -> HmacScheme {
    let mut scheme = adapter.map_or_else(
        || HmacScheme {
            header: "x-hub-signature-256".into(),
            prefix: "sha256=".into(),
            strict: true,
            encoding: Encoding::Hex,
        },
        Provider::hmac_scheme,
    );
    if let (Some("hmac" | "path_hmac"), Some(header)) =
        (row.auth_mode.as_deref(), &row.webhook_header)
    {
        scheme.header = header.to_ascii_lowercase();
    }
    scheme
}

fn problem(id: AccountId, column: &str, error: &SealError) -> String {
    format!("account {id}: {column}: {error}; enter it again with the wizard \"Set credentials\"")
}
