//! The section of one Odoo database.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use wabridge_domain::Secret;
use wabridge_domain::seal::KeyRing;

use super::secret_file::{keys_in, read_secret, take_file};
use super::{ConfigError, value};
use crate::http::rate::Rate;

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
    /// Each file `<id>.key` in it is a sealing key too; `wabridge keys rotate` makes new ones there.
    pub sealing_keys_directory: Option<PathBuf>,
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
    /// What it may call: namespaces of methods (`message`, `group`, …), `media` for files too, `metrics`. Empty: everything.
    #[serde(default, deserialize_with = "super::words")]
    pub scopes: Vec<String>,
    /// None: as often as it likes.
    pub rate: Option<Rate>,
}

/// The words of `scopes`.
pub const SCOPES: [&str; 11] = [
    "audit",
    "configuration",
    "contact",
    "group",
    "journal",
    "media",
    "message",
    "metrics",
    "stats",
    "sync",
    "template",
];

impl RpcKey {
    /// Whether it may call what belongs to this namespace.
    pub fn reaches(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|one| one == scope)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealingKey {
    pub key: Option<Secret>,
    pub key_file: Option<PathBuf>,
    #[serde(default)]
    pub active: bool,
}

impl Database {
    /// Replaces every `…_file` by the file's content.
    pub(super) fn resolve_files(&mut self, name: &str) -> Result<(), ConfigError> {
        let at = |key: &str| format!("databases.{name}.{key}");
        take_file(&mut self.url, &mut self.url_file, &at("url"))?;
        for (id, key) in &mut self.rpc_keys {
            take_file(
                &mut key.secret,
                &mut key.secret_file,
                &at(&format!("rpc_keys.{id}.secret")),
            )?;
        }
        for (id, key) in &mut self.sealing_keys {
            take_file(&mut key.key, &mut key.key_file, &at(&format!("sealing_keys.{id}.key")))?;
        }
        if let Some(directory) = &self.sealing_keys_directory {
            let setting = at("sealing_keys_directory");
            for (id, key) in keys_in(directory, &setting)? {
                let key = SealingKey { key: Some(key), key_file: None, active: false };
                if self.sealing_keys.insert(id.clone(), key).is_some() {
                    return Err(value(
                        setting,
                        format!(
                            "holds {id}.key, and there is a section sealing_keys.{id} too; keep one"
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    pub(super) fn validate(&self, name: &str) -> Result<(), ConfigError> {
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
            if let Some(other) = key.scopes.iter().find(|one| !SCOPES.contains(&one.as_str())) {
                return Err(value(
                    at(&format!("rpc_keys.{id}.scopes")),
                    format!("{other:?} is none of {}", SCOPES.join(", ")),
                ));
            }
            if key.rate.is_some_and(|rate| !rate.is_usable()) {
                return Err(value(
                    at(&format!("rpc_keys.{id}.rate")),
                    "per_second must be at least 0.001, burst at least 1",
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
        if self.sealing_keys.is_empty() {
            return Err(value(
                at,
                "none is given; make one with `wabridge keys generate --out FILE` and name it as key_file",
            ));
        }
        let marked = self.sealing_keys.values().any(|key| key.active);
        let mut keys = Vec::new();
        for (id, key) in &self.sealing_keys {
            let secret = key.key.as_ref().ok_or_else(|| {
                value(format!("{at}.{id}.key"), "is missing; give key or key_file")
            })?;
            // The database knows which one seals: this counts for its first daemon only.
            let first = !marked && keys.is_empty();
            keys.push((id.as_str(), secret, key.active || first));
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
