//! Settings: TOML file under environment variables `WABRIDGE__SECTION__KEY`. Unknown keys are errors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use wabridge_domain::media::MediaKind;

use crate::http::network::Network;
use crate::http::tls;

mod database;
mod secret_file;

pub use database::{ActAs, Database, RpcKey, SealingKey};

/// Where the settings are unless `--config` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/wabridge/wabridge.toml";

/// What is wrong with the settings, in one line that names the cause and the cure.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "settings file {path} cannot be read: {reason}; give its place with --config or make it from wabridge.example.toml"
    )]
    File { path: String, reason: String },
    #[error("settings: {0}")]
    Form(String),
    #[error("settings: {setting}: {reason}")]
    Value { setting: String, reason: String },
}

fn value(setting: impl Into<String>, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value { setting: setting.into(), reason: reason.into() }
}

/// Everything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `serve` gives up when no database was reachable with the right addon for so long.
    pub start_timeout_s: u64,
    /// How long calls in flight may take at stop.
    pub stop_timeout_s: u64,
    pub public: Public,
    pub private: Private,
    pub log: Log,
    pub limits: Limits,
    pub media: Media,
    pub journal: Journal,
    pub audit: Audit,
    pub databases: BTreeMap<String, Database>,
    /// The file they were read from: keys are read again from there.
    #[serde(skip)]
    pub source: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            start_timeout_s: 30,
            stop_timeout_s: 25,
            public: Public::default(),
            private: Private::default(),
            log: Log::default(),
            limits: Limits::default(),
            media: Media::default(),
            journal: Journal::default(),
            audit: Audit::default(),
            databases: BTreeMap::new(),
            source: None,
        }
    }
}

/// The listener that providers reach: webhooks and a bare health answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Public {
    pub listen: SocketAddr,
    /// Largest webhook body; larger ones are answered 413. Meta's can be 3 MB.
    pub body_limit_bytes: usize,
    /// Seconds in which a request's head and its body must have arrived.
    pub read_timeout_s: u64,
    pub max_connections: usize,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<std::net::IpAddr>,
    /// Who may deliver webhooks; empty: everybody.
    pub allowed_addresses: Vec<Network>,
    /// Unauthenticated requests a minute and address before 429.
    pub refusals_per_minute: u32,
    /// None: a proxy in front does TLS.
    pub tls: Option<tls::Settings>,
}

impl Default for Public {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8470)),
            body_limit_bytes: 4 * 1024 * 1024,
            read_timeout_s: 10,
            max_connections: 4096,
            trusted_proxies: vec![],
            allowed_addresses: vec![],
            refusals_per_minute: 600,
            tls: None,
        }
    }
}

/// The listener that Odoo reaches: /rpc, /metrics, full health.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Private {
    pub listen: SocketAddr,
    /// Allows a listen address beyond loopback without TLS in front. Calls are signed all the same.
    pub insecure: bool,
    pub read_timeout_s: u64,
    pub max_connections: usize,
    /// Token that Prometheus may present instead of a signature.
    pub metrics_bearer_token_file: Option<PathBuf>,
    /// With it the listener may be beyond loopback.
    pub tls: Option<tls::Settings>,
}

impl Default for Private {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8471)),
            insecure: false,
            read_timeout_s: 10,
            max_connections: 512,
            metrics_bearer_token_file: None,
            tls: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub format: LogFormat,
    /// As in `RUST_LOG`: `info`, `wabridge=debug,info`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into() }
    }
}

/// Sizes and times of the workers; the defaults suit one daemon on two cores.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Writers that commit webhooks in groups, each with its own connection.
    pub batchers: usize,
    /// Most webhooks in one commit.
    pub batch_max: usize,
    /// Bytes of webhook bodies that may wait for a commit; beyond it 503.
    pub queue_bytes: usize,
    /// Budget of applying events to Odoo's rows inside the ingest transaction.
    pub apply_lock_timeout_ms: u64,
    pub apply_statement_timeout_ms: u64,
    /// Polling of workers that were not woken.
    pub poll_ms: u64,
    pub lease_s: u64,
    /// Time-out of one call to a provider.
    pub provider_timeout_s: u64,
    /// Sends under way at a time, a database.
    pub sends_in_flight: usize,
    /// A head of a lane that keeps failing blocks its chat for at most this.
    pub head_block_s: u64,
    /// How long an unknown outcome is being settled before the policy decides.
    pub settle_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batchers: 2,
            batch_max: 500,
            queue_bytes: 32 * 1024 * 1024,
            apply_lock_timeout_ms: 50,
            apply_statement_timeout_ms: 250,
            poll_ms: 1000,
            lease_s: 60,
            provider_timeout_s: 25,
            sends_in_flight: 64,
            head_block_s: 900,
            settle_s: 600,
        }
    }
}

/// What is kept of what came in and went out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// Days that received webhooks are kept, and calls that sent, and decisions. A webhook of which something is
    /// in quarantine is kept until it is not.
    pub keep_days: u32,
}

impl Default for Journal {
    fn default() -> Self {
        Self { keep_days: 30 }
    }
}

/// The audit log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Days that rows of `whatsapp_audit_log` are kept; what proves the others stays.
    pub keep_days: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self { keep_days: 730 }
    }
}

impl Limits {
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    pub fn provider_timeout(&self) -> Duration {
        Duration::from_secs(self.provider_timeout_s)
    }
}

/// Files of messages: where they are kept, how large they may be, where they are fetched from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Holds the sealed files of all databases; daemons of one database share it.
    pub directory: PathBuf,
    /// Downloads at a time, a database.
    pub concurrency: usize,
    /// Largest file of each kind.
    pub image_limit_bytes: u64,
    pub video_limit_bytes: u64,
    pub audio_limit_bytes: u64,
    pub sticker_limit_bytes: u64,
    pub document_limit_bytes: u64,
    /// Wait before the second try; each further one waits four times as long, an hour at most.
    pub retry_s: u64,
    /// Tries before a file counts as failed; "fetch again" begins anew.
    pub tries: u32,
    /// Longest download.
    pub timeout_s: u64,
    /// Hosts, without port, whose links may lead to addresses that are not public. Commas in the environment.
    #[serde(deserialize_with = "words")]
    pub allowed_hosts: Vec<String>,
    /// Follows links to any address: for tests only.
    pub allow_private: bool,
}

impl Default for Media {
    fn default() -> Self {
        const LIMIT: u64 = 100 * 1024 * 1024;
        Self {
            directory: "/var/lib/wabridge/media".into(),
            concurrency: 4,
            image_limit_bytes: LIMIT,
            video_limit_bytes: LIMIT,
            audio_limit_bytes: LIMIT,
            sticker_limit_bytes: LIMIT,
            document_limit_bytes: LIMIT,
            retry_s: 5,
            tries: 8,
            timeout_s: 900,
            allowed_hosts: vec![],
            allow_private: false,
        }
    }
}

impl Media {
    /// Bytes.
    pub fn limit(&self, kind: MediaKind) -> u64 {
        match kind {
            MediaKind::Image => self.image_limit_bytes,
            MediaKind::Video => self.video_limit_bytes,
            MediaKind::Audio => self.audio_limit_bytes,
            MediaKind::Sticker => self.sticker_limit_bytes,
            MediaKind::Document => self.document_limit_bytes,
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        if !self.directory.is_absolute() {
            return Err(value("media.directory", "must be an absolute path"));
        }
        for (setting, bytes) in [
            ("media.image_limit_bytes", self.image_limit_bytes),
            ("media.video_limit_bytes", self.video_limit_bytes),
            ("media.audio_limit_bytes", self.audio_limit_bytes),
            ("media.sticker_limit_bytes", self.sticker_limit_bytes),
            ("media.document_limit_bytes", self.document_limit_bytes),
        ] {
            // Odoo's column holds 32 bits.
            if !(1..=2_000_000_000).contains(&bytes) {
                return Err(value(setting, "must be between 1 and 2000000000"));
            }
        }
        for (setting, number) in [
            ("media.concurrency", self.concurrency as u64),
            ("media.retry_s", self.retry_s),
            ("media.tries", u64::from(self.tries)),
            ("media.timeout_s", self.timeout_s),
        ] {
            if number == 0 {
                return Err(value(setting, "must be at least 1"));
            }
        }
        Ok(())
    }
}

/// A list, or words between commas: environment variables are texts.
fn words<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::List(list) => list,
        Form::Text(text) => {
            text.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect()
        }
    })
}

impl Config {
    /// Reads file and environment, replaces every `…_file` by the file's content, and checks relations.
    ///
    /// # Errors
    /// [`ConfigError`], one line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        let environment = config::Environment::with_prefix("WABRIDGE")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true);
        let config = Self::build(&text, Some(environment))?;
        Ok(Self { source: Some(path.to_owned()), ..config })
    }

    /// Reads settings from a text, without environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::build(text, None)
    }

    fn build(text: &str, environment: Option<config::Environment>) -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder()
            .add_source(config::File::from_str(text, config::FileFormat::Toml));
        if let Some(environment) = environment {
            builder = builder.add_source(environment);
        }
        let raw = builder.build().map_err(|error| ConfigError::Form(one_line(&error)))?;
        let mut config: Self =
            raw.try_deserialize().map_err(|error| ConfigError::Form(one_line(&error)))?;
        config.resolve_files()?;
        config.validate()?;
        Ok(config)
    }

    fn resolve_files(&mut self) -> Result<(), ConfigError> {
        for (name, database) in &mut self.databases {
            database.resolve_files(name)?;
        }
        for (zone, tls) in [("public", &mut self.public.tls), ("private", &mut self.private.tls)] {
            let Some(tls) = tls else { continue };
            tls.certificate_file = secret_file::place_of(
                &tls.certificate_file,
                &format!("{zone}.tls.certificate_file"),
            )?;
            tls.key_file = secret_file::place_of(&tls.key_file, &format!("{zone}.tls.key_file"))?;
        }
        Ok(())
    }

    fn validate(&self) -> Result<(), ConfigError> {
        if self.databases.is_empty() {
            return Err(value(
                "databases",
                "none is given; add a section [databases.<name of the Odoo database>]",
            ));
        }
        let guarded = self.private.tls.is_some() || self.private.insecure;
        if !self.private.listen.ip().is_loopback() && !guarded {
            return Err(value(
                "private.listen",
                "is beyond loopback without TLS; set private.tls, or put a TLS proxy in front and listen on 127.0.0.1, or set private.insecure = true",
            ));
        }
        if self.public.listen == self.private.listen && self.public.listen.port() != 0 {
            return Err(value(
                "private.listen",
                "is the same as public.listen; give each listener its own port",
            ));
        }
        if self.limits.lease_s <= self.limits.provider_timeout_s {
            return Err(value(
                "limits.lease_s",
                "must be longer than limits.provider_timeout_s, or a call outlives its lease",
            ));
        }
        for (setting, number) in [
            ("limits.batchers", self.limits.batchers),
            ("limits.batch_max", self.limits.batch_max),
            ("limits.queue_bytes", self.limits.queue_bytes),
            ("limits.sends_in_flight", self.limits.sends_in_flight),
            ("public.max_connections", self.public.max_connections),
            ("private.max_connections", self.private.max_connections),
            ("limits.poll_ms", usize::try_from(self.limits.poll_ms).unwrap_or(usize::MAX)),
        ] {
            if number == 0 {
                return Err(value(setting, "must be at least 1"));
            }
        }
        if self.journal.keep_days == 0 {
            return Err(value("journal.keep_days", "must be at least 1"));
        }
        if self.audit.keep_days == 0 {
            return Err(value("audit.keep_days", "must be at least 1"));
        }
        self.media.validate()?;
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, database) in &self.databases {
            database.validate(name)?;
            for id in database.rpc_keys.keys() {
                if let Some(other) = owners.insert(id, name) {
                    return Err(value(
                        format!("databases.{name}.rpc_keys.{id}"),
                        format!(
                            "is also a key of database {other}; key ids belong to one database"
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Errors of the TOML parser show the line where they are, which may hold a secret: only place and words are kept.
fn one_line(error: &config::ConfigError) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| {
        let excerpt =
            line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
        !line.is_empty() && !excerpt
    });
    lines.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
