//! Settings: TOML file under environment variables `WABRIDGE__SECTION__KEY`. Unknown keys are errors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use wabridge_domain::Secret;
use wabridge_domain::media::MediaKind;
use wabridge_domain::seal::KeyRing;

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
    pub databases: BTreeMap<String, Database>,
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
            databases: BTreeMap::new(),
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
    /// Unauthenticated requests a minute and address before 429.
    pub refusals_per_minute: u32,
}

impl Default for Public {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8470)),
            body_limit_bytes: 4 * 1024 * 1024,
            read_timeout_s: 10,
            max_connections: 4096,
            trusted_proxies: vec![],
            refusals_per_minute: 600,
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
}

impl Default for Private {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8471)),
            insecure: false,
            read_timeout_s: 10,
            max_connections: 512,
            metrics_bearer_token_file: None,
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

/// Whom a key may act for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActAs {
    Any,
    User(i32),
}

impl<'de> Deserialize<'de> for ActAs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Word(String),
            Uid(i32),
        }
        match Form::deserialize(deserializer)? {
            Form::Word(word) if word == "any" => Ok(Self::Any),
            // Environment variables are always text.
            Form::Word(word) => word.parse().map(Self::User).map_err(|_| {
                serde::de::Error::custom("act_as is \"any\" or the id of one Odoo user")
            }),
            Form::Uid(uid) => Ok(Self::User(uid)),
        }
    }
}

/// One Odoo database; the key of the table is its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgresql://role@host:port/database?sslmode=require`; one of `url`, `url_file`.
    pub url: Option<Secret>,
    pub url_file: Option<PathBuf>,
    pub password_file: Option<PathBuf>,
    #[serde(default = "default_pool_size")]
    pub pool_size: usize,
    /// Where this database's Odoo answers, for the wake call. None: Odoo's cron picks events up.
    pub odoo_url: Option<String>,
    /// The RPC key that signs the wake call; the only one when there is one.
    pub odoo_key: Option<String>,
    #[serde(default)]
    pub rpc_keys: BTreeMap<String, RpcKey>,
    #[serde(default)]
    pub sealing_keys: BTreeMap<String, SealingKey>,
}

fn default_pool_size() -> usize {
    8
}

/// A key of signed calls; its id must be unique over all databases.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpcKey {
    pub secret: Option<Secret>,
    pub secret_file: Option<PathBuf>,
    pub act_as: ActAs,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealingKey {
    pub key: Option<Secret>,
    pub key_file: Option<PathBuf>,
    #[serde(default)]
    pub active: bool,
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
        Self::build(&text, Some(environment))
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
            let at = |key: &str| format!("databases.{name}.{key}");
            take_file(&mut database.url, &mut database.url_file, &at("url"))?;
            for (id, key) in &mut database.rpc_keys {
                take_file(
                    &mut key.secret,
                    &mut key.secret_file,
                    &at(&format!("rpc_keys.{id}.secret")),
                )?;
            }
            for (id, key) in &mut database.sealing_keys {
                take_file(&mut key.key, &mut key.key_file, &at(&format!("sealing_keys.{id}.key")))?;
            }
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
        if !self.private.listen.ip().is_loopback() && !self.private.insecure {
            return Err(value(
                "private.listen",
                "is beyond loopback without TLS; put a TLS proxy in front and listen on 127.0.0.1, or set private.insecure = true",
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

impl Database {
    fn validate(&self, name: &str) -> Result<(), ConfigError> {
        let at = |key: &str| format!("databases.{name}.{key}");
        if self.url.is_none() {
            return Err(value(at("url"), "is missing; give url or url_file"));
        }
        if self.rpc_keys.is_empty() {
            return Err(value(
                at("rpc_keys"),
                "none is given; make a secret with `wabridge keys generate` and give it to Odoo too",
            ));
        }
        for (id, key) in &self.rpc_keys {
            let secret = key.secret.as_ref().map_or(0, |secret| secret.expose().len());
            if secret < 16 {
                return Err(value(
                    at(&format!("rpc_keys.{id}.secret")),
                    "is missing or shorter than 16 characters; `wabridge keys generate` makes one",
                ));
            }
            if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            {
                return Err(value(
                    at(&format!("rpc_keys.{id}")),
                    "key ids hold letters, digits, '-', '_' and '.'",
                ));
            }
        }
        if let Some(id) = &self.odoo_key
            && !self.rpc_keys.contains_key(id)
        {
            return Err(value(
                at("odoo_key"),
                format!("names {id:?}, which is not among rpc_keys"),
            ));
        }
        self.key_ring(name).map(|_| ())
    }

    /// The sealing keys.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn key_ring(&self, name: &str) -> Result<KeyRing, ConfigError> {
        let at = format!("databases.{name}.sealing_keys");
        let mut keys = Vec::new();
        for (id, key) in &self.sealing_keys {
            let secret = key.key.as_ref().ok_or_else(|| {
                value(format!("{at}.{id}.key"), "is missing; give key or key_file")
            })?;
            // A single key needs no word that it is the active one.
            keys.push((id.as_str(), secret, key.active || self.sealing_keys.len() == 1));
        }
        KeyRing::new(keys).map_err(|error| value(at, error.to_string()))
    }

    /// The key that signs calls to Odoo: `odoo_key`, else the only one that may act for any user.
    pub fn wake_key(&self) -> Option<(&str, &Secret)> {
        let (id, key) = match &self.odoo_key {
            Some(id) => self.rpc_keys.get_key_value(id)?,
            None => self.rpc_keys.iter().find(|(_, key)| key.act_as == ActAs::Any)?,
        };
        Some((id, key.secret.as_ref()?))
    }

    /// The password, where it has a file of its own.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn password(&self, name: &str) -> Result<Option<Secret>, ConfigError> {
        self.password_file
            .as_deref()
            .map(|path| read_secret(path, &format!("databases.{name}.password_file")))
            .transpose()
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

fn take_file(
    slot: &mut Option<Secret>,
    file: &mut Option<PathBuf>,
    setting: &str,
) -> Result<(), ConfigError> {
    match (slot.is_some(), file.take()) {
        (true, Some(_)) => {
            Err(value(setting, format!("is given twice, also as {setting}_file; keep one")))
        }
        (false, Some(path)) => {
            *slot = Some(read_secret(&path, &format!("{setting}_file"))?);
            Ok(())
        }
        (_, None) => Ok(()),
    }
}

fn read_secret(path: &Path, setting: &str) -> Result<Secret, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| value(setting, format!("{} cannot be read: {error}", path.display())))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(value(setting, format!("{} is empty", path.display())));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests;
