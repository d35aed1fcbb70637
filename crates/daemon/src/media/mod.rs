//! Files of messages: fetched ([`crate::workers::media`]), told by content, sealed into their store, read back.

pub mod address;
pub mod blobs;
pub mod content;
pub mod download;
pub mod duration;
pub mod fitting;
pub mod seal;
pub mod thumbnail;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wabridge_store::StoreError;
use wabridge_store::media::Blob;
use wabridge_store::odoo::media::Facts;

use self::address::{PublicOnly, Rules};
use self::blobs::{BlobError, Blobs, Folder, Written};
use crate::config;
use crate::runtime::Runtime;

/// What this process needs for files.
pub struct Media {
    pub settings: config::Media,
    pub blobs: Blobs,
    pub rules: Arc<Rules>,
    /// Follows no redirect by itself and reaches public addresses only (and hosts that are allowed).
    pub public: reqwest::Client,
}

impl Media {
    /// # Errors
    /// The client cannot be made (TLS set-up).
    pub fn new(settings: &config::Media) -> Result<Self, reqwest::Error> {
        let rules = Arc::new(Rules {
            allowed_hosts: settings.allowed_hosts.clone(),
            allow_private: settings.allow_private,
        });
        let public = reqwest::Client::builder()
            .user_agent(concat!("wabridge/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(std::time::Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(PublicOnly(Arc::clone(&rules))))
            .no_proxy()
            .referer(false)
            .build()?;
        Ok(Self {
            settings: settings.clone(),
            blobs: Blobs::new(settings.directory.clone()),
            rules,
            public,
        })
    }
}

/// Looks at a file that was written: what it is, how large, how long. What is told of its type only chooses
/// among what the bytes allow.
///
/// # Errors
/// [`BlobError`] when it cannot be read back.
pub async fn examine(
    rt: &Runtime,
    written: &Written,
    told: Option<&str>,
) -> Result<Facts, BlobError> {
    let mimetype = content::mimetype(&written.head, told);
    let mut facts = Facts { mimetype, ..Facts::default() };
    let Some(installation) = rt.installation() else { return Ok(facts) };
    let stored = rt.media.blobs.open(&rt.keys, installation, &written.blob).await?;
    if let Some(format) = thumbnail::format(&facts.mimetype) {
        if stored.size() <= thumbnail::FILE_MAX {
            let content = stored.read(0, stored.size()).await?;
            let picture = thumbnail::of(content, format).await;
            let side = |n: u32| i32::try_from(n).ok();
            facts.width = picture.size.and_then(|(width, _)| side(width));
            facts.height = picture.size.and_then(|(_, height)| side(height));
            // Odoo keeps the bytes of a field in base64.
            facts.thumbnail = picture.thumbnail.map(|jpeg| STANDARD.encode(jpeg).into_bytes());
        }
    } else {
        facts.duration = duration::of(&stored, &facts.mimetype).await?;
    }
    Ok(facts)
}

/// Where this database's files are written.
///
/// # Errors
/// [`Trouble`].
pub async fn folder(rt: &Runtime) -> Result<Folder, Trouble> {
    let Some(installation) = rt.installation() else {
        return Err(StoreError::Unavailable("the database was not read yet".into()).into());
    };
    let identity = wabridge_store::meta::identity(&rt.store).await?;
    Ok(Folder::new(installation, &identity))
}

/// The location of a blob of this content whose file is missing, to be replaced.
///
/// # Errors
/// [`Trouble`].
pub async fn lost(rt: &Runtime, checksum: &str) -> Result<Option<String>, Trouble> {
    let known: Option<Blob> =
        wabridge_store::media::blob(&rt.store.client().await?, checksum).await?;
    match known {
        Some(blob) if !rt.media.blobs.exists(&blob.location).await? => Ok(Some(blob.location)),
        _ => Ok(None),
    }
}

/// Removes a file that nothing refers to; what stays is collected later.
pub async fn discard(rt: &Runtime, location: &str) {
    if let Err(error) = rt.media.blobs.remove(location).await {
        tracing::debug!(db.name = %rt.name, %error, "a file without use stays until it is collected: {error}");
    }
}

/// The database's or the store's.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Database(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
}
