//! Files that come along with a send: bytes in the call, or a link that is followed. Either becomes a row of
//! `whatsapp_media`, content-addressed and sealed as `PUT /media` makes it, before the message is stored.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use wabridge_domain::error::Refusal;
use wabridge_domain::fitting::{self, Seen};
use wabridge_domain::media::{self as told, MediaKind};
use wabridge_domain::message::MessageType;
use wabridge_domain::{Kind, ProviderKind, account::AccountId};
use wabridge_providers::MediaAddress;
use wabridge_rpc::message::Media;
use wabridge_store::odoo::media::Facts;
use wabridge_store::odoo::outbox_in::{self, Upload};
use wabridge_store::{StoreError, Tx, media, read, tx};

use crate::access;
use crate::accounts::Account;
use crate::media::blobs::{BlobError, Written};
use crate::media::download::{Downloader, Failed};
use crate::media::{Trouble, discard, examine, folder, lost};
use crate::runtime::Runtime;

/// Without a single byte of the file behind a link: somebody waits for the answer.
const IDLE: Duration = Duration::from_secs(5);
/// For all of it.
const WHOLE: Duration = Duration::from_secs(30);
/// Longest link, characters.
const LINK_MAX_CHARS: usize = 2048;
/// The row that stands in the content until the file has one of its own.
pub const NO_ROW: i32 = 0;

/// A file that has no row yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    pub source: Source,
    /// A bare name.
    pub filename: Option<String>,
    /// As the caller told it; the bytes decide.
    pub mimetype: Option<String>,
}

/// Where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Bytes(Vec<u8>),
    Link(String),
    /// In the store already: SHA-256 of the content, lower-case hexadecimal.
    Kept(String),
}

impl Handed {
    /// The file of `media`, where it is given by its bytes or by a link.
    ///
    /// # Errors
    /// `invalid_content` where not exactly one of `id`, `url`, `base64` is given, or it cannot be read.
    pub fn of(media: &mut Media) -> Result<Option<Self>, Refusal> {
        let source = match (media.id, media.url.take(), media.base64.take()) {
            (Some(id), None, None) if id > NO_ROW => return Ok(None),
            (None, Some(link), None) => {
                if link.chars().count() > LINK_MAX_CHARS || link.contains('\0') {
                    return Err(invalid(
                        "media.url is an http(s) address of at most 2048 characters",
                    ));
                }
                Source::Link(link)
            }
            (None, None, Some(text)) => Source::Bytes(decode(&text)?),
            _ => {
                return Err(invalid(
                    "media holds exactly one of id (a row of whatsapp_media, as PUT /media answers it), url and base64",
                ));
            }
        };
        media.id = Some(NO_ROW);
        let filename = media.filename.as_deref().and_then(told::filename);
        let mimetype = media.mimetype.as_deref().and_then(told::mimetype);
        Ok(Some(Self { source, filename, mimetype }))
    }

    /// What stands for it in the fingerprint of a call: the bytes, or the link as it was given.
    pub fn identity(&self) -> String {
        match &self.source {
            Source::Bytes(bytes) => format!("sha256:{}", hex::encode(Sha256::digest(bytes))),
            Source::Link(link) => format!("url:{link}"),
            Source::Kept(checksum) => format!("sha256:{checksum}"),
        }
    }

    /// Keeps the file for sends of an account; its `whatsapp_media` row.
    ///
    /// # Errors
    /// `media_too_large` with the limit, `media_type_unsupported`, `invalid_content` for a link that cannot be
    /// followed, `provider_unavailable` where its server gives no answer just now.
    pub async fn keep(
        &self,
        rt: &Runtime,
        account: &Account,
        uid: i32,
        message_type: MessageType,
    ) -> Result<i32, Refusal> {
        let limit = rt.media.settings.limit(MediaKind::of(message_type));
        let written = match &self.source {
            Source::Bytes(bytes) => write(rt, bytes, limit).await?,
            Source::Link(link) => fetch(rt, link, limit).await?,
            // Its row is made where the message is queued.
            Source::Kept(_) => return Ok(NO_ROW),
        };
        let stored = Stored { written, filename: self.filename.clone().or_else(|| self.name()) };
        let said = self.mimetype.as_deref();
        let looked = stored.look(rt, account.provider, said, message_type).await;
        let facts = match looked {
            Ok(facts) => facts,
            Err(refusal) => {
                stored.drop(rt).await;
                return Err(refusal);
            }
        };
        stored.hand_over(rt, account.id, uid, &facts).await
    }

    /// The last part of a link's path, where it looks like a name.
    fn name(&self) -> Option<String> {
        let Source::Link(link) = &self.source else { return None };
        let url = reqwest::Url::parse(link).ok()?;
        let last = url.path_segments()?.next_back()?;
        told::filename(last).filter(|name| name.contains('.') && !name.contains('%'))
    }
}

fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::new(Kind::InvalidContent, text)
}

/// Base64 with or without line breaks.
///
/// # Errors
/// `invalid_content`.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    let wrong =
        |_| invalid("media.base64 cannot be read: it is the file's bytes in standard base64");
    if text.bytes().any(|b| b.is_ascii_whitespace()) {
        let dense: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        return STANDARD.decode(dense).map_err(wrong);
    }
    STANDARD.decode(text).map_err(wrong)
}

/// The refusal of a file above the limit of its kind, bytes.
pub(super) fn too_large(limit: u64) -> Refusal {
    let limit = if limit >= 1024 * 1024 {
        format!("{} MiB", limit / (1024 * 1024))
    } else {
        format!("{limit} bytes")
    };
    Refusal::new(Kind::MediaTooLarge, format!("the file is larger than the limit of {limit}"))
}

/// Whether a file of this type, as its bytes tell it, can be shown as such a message.
///
/// # Errors
/// `media_type_unsupported`, with what would do.
pub(super) fn check_type(message_type: MessageType, mimetype: &str) -> Result<(), Refusal> {
    let family = mimetype.split('/').next().unwrap_or_default();
    let (fits, wanted) = match message_type {
        MessageType::Image => (family == "image", "an image"),
        MessageType::Video => (family == "video", "a video"),
        // Some recorders put sound alone into a film's container.
        MessageType::Audio | MessageType::Voice => (
            family == "audio" || matches!(mimetype, "video/webm" | "video/ogg" | "application/ogg"),
            "an audio file",
        ),
        MessageType::Gif => (family == "video" || mimetype == "image/gif", "a GIF or a video"),
        MessageType::Sticker => (family == "image", "an image"),
        _ => (true, ""),
    };
    if fits {
        return Ok(());
    }
    Err(Refusal::new(
        Kind::MediaTypeUnsupported,
        format!(
            "the file is of type {mimetype}, so it cannot be sent as {}; that takes {wanted}, and a document takes any file",
            message_type.as_str()
        ),
    ))
}

/// A file in the store that no row names yet.
pub(super) struct Stored {
    pub written: Written,
    pub filename: Option<String>,
}

impl Stored {
    /// What it is, once it fits the message and the provider.
    pub async fn look(
        &self,
        rt: &Runtime,
        provider: ProviderKind,
        said: Option<&str>,
        message_type: MessageType,
    ) -> Result<Facts, Refusal> {
        let facts =
            examine(rt, &self.written, said).await.map_err(|error| refused(rt, error.into()))?;
        check_type(message_type, &facts.mimetype)?;
        let side = |side: Option<i32>| u32::try_from(side?).ok().filter(|side| *side > 0);
        let seen = Seen {
            mimetype: &facts.mimetype,
            size: u64::try_from(self.written.blob.size).unwrap_or_default(),
            pixels: side(facts.width).zip(side(facts.height)),
        };
        fitting::fit(provider, MediaKind::of_file(message_type, &facts.mimetype), seen)?;
        Ok(facts)
    }

    pub async fn drop(&self, rt: &Runtime) {
        discard(rt, &self.written.blob.location).await;
    }

    async fn hand_over(
        &self,
        rt: &Runtime,
        account_id: AccountId,
        uid: i32,
        facts: &Facts,
    ) -> Result<i32, Refusal> {
        let blob = &self.written.blob;
        let kept = async {
            let missing = lost(rt, &blob.checksum).await?;
            let kept: Result<(i32, String), StoreError> = tx!(&rt.store, "send.hand_over", |tx| {
                let (filename, missing) = (self.filename.as_deref(), missing.as_deref());
                media::hand_over(tx, account_id, uid, blob, facts, filename, missing).await
            });
            Ok(kept?)
        };
        let kept: Result<(i32, String), Trouble> = kept.await;
        if !matches!(&kept, Ok((_, used)) if *used == blob.location) {
            self.drop(rt).await;
        }
        kept.map(|(id, _)| id).map_err(|trouble| refused(rt, trouble))
    }
}

/// A file of a transaction of Odoo (`whatsapp_media_upload`), in the store before its message is queued: nothing is
/// written or read there while a chat is held.
pub(super) struct Prepared {
    stored: Stored,
    facts: Facts,
    /// The location of the same content whose file is missing.
    lost: Option<String>,
}

impl Prepared {
    /// Reads and keeps the file `id` of a message; what is wrong with it is the message's end.
    ///
    /// # Errors
    /// The refusal; one that is retryable says that database or store are away.
    pub async fn of(
        rt: &Runtime,
        provider: ProviderKind,
        id: i32,
        message_id: i32,
        message_type: MessageType,
    ) -> Result<Self, Refusal> {
        let read: Result<Option<Upload>, StoreError> =
            read!(&rt.store, "send.file", |client| outbox_in::file(client, id).await);
        let upload = read.map_err(|error| access::store_refusal(rt, &error))?;
        let upload = upload.filter(|upload| upload.message_id == message_id);
        let (upload, data) = upload
            .and_then(|mut upload| upload.data.take().map(|data| (upload, data)))
            .ok_or_else(|| invalid("the file of this message is not there"))?;
        let limit = rt.media.settings.limit(MediaKind::of(message_type));
        let bytes = std::str::from_utf8(&data)
            .map_err(|_| invalid("the file of this message is not stored in base64"))
            .and_then(decode)?;
        drop(data);
        let stored = Stored {
            written: write(rt, &bytes, limit).await?,
            filename: upload.filename.as_deref().and_then(told::filename),
        };
        let said = upload.mimetype.as_deref().and_then(told::mimetype);
        let looked = async {
            let facts = stored.look(rt, provider, said.as_deref(), message_type).await?;
            let lost = lost(rt, &stored.written.blob.checksum).await;
            Ok::<_, Refusal>((facts, lost.map_err(|trouble| refused(rt, trouble))?))
        };
        match looked.await {
            Ok((facts, lost)) => Ok(Self { stored, facts, lost }),
            Err(refusal) => {
                stored.drop(rt).await;
                Err(refusal)
            }
        }
    }

    pub fn checksum(&self) -> &str {
        &self.stored.written.blob.checksum
    }

    /// Makes its row in the transaction that queues the message.
    pub async fn hand_over(
        &self,
        tx: &Tx<'_>,
        account_id: AccountId,
        uid: i32,
    ) -> Result<i32, StoreError> {
        let Self { stored, facts, lost } = self;
        let (filename, lost) = (stored.filename.as_deref(), lost.as_deref());
        let blob = &stored.written.blob;
        let (id, _) = media::hand_over(tx, account_id, uid, blob, facts, filename, lost).await?;
        Ok(id)
    }
}

/// Removes those of the files that came to no use: refused, rolled back, or there before.
pub(super) async fn tidy<'a>(rt: &Runtime, prepared: impl Iterator<Item = &'a Prepared>) {
    let locations: Vec<String> =
        prepared.map(|one| one.stored.written.blob.location.clone()).collect();
    if locations.is_empty() {
        return;
    }
    let unused: Result<Vec<String>, StoreError> =
        read!(&rt.store, "send.tidy", |client| media::unknown_locations(client, &locations).await);
    match unused {
        Ok(unused) => {
            for location in unused {
                discard(rt, &location).await;
            }
        }
        Err(error) => {
            tracing::debug!(db.name = %rt.name, %error, "files without use stay until they are collected: {error}");
        }
    }
}

/// Seals bytes into the store.
pub(super) async fn write(rt: &Runtime, bytes: &[u8], limit: u64) -> Result<Written, Refusal> {
    if bytes.len() as u64 > limit {
        return Err(too_large(limit));
    }
    let written = async {
        let folder = folder(rt).await?;
        let mut incoming = rt.media.blobs.begin(&folder).await?;
        if let Err(error) = incoming.push(bytes).await {
            incoming.abandon().await;
            return Err(error.into());
        }
        Ok::<_, Trouble>(incoming.finish(&rt.keys).await?)
    };
    written.await.map_err(|trouble| refused(rt, trouble))
}

/// Follows a link to a public address, or to a host that is allowed.
async fn fetch(rt: &Runtime, link: &str, limit: u64) -> Result<Written, Refusal> {
    let folder = folder(rt).await.map_err(|trouble| refused(rt, trouble))?;
    let downloader = Downloader {
        own: &rt.http,
        public: &rt.media.public,
        rules: &rt.media.rules,
        blobs: &rt.media.blobs,
        ring: &rt.keys,
        folder: &folder,
        limit,
        idle: IDLE,
        whole: WHOLE,
    };
    let address = MediaAddress { url: link.to_owned(), authorization: None, own: false };
    downloader.run(&address).await.map_err(|failed| match failed {
        Failed::TooLarge { limit } => too_large(limit),
        Failed::Gone(_) | Failed::Refused(_) => invalid(format!("media.url: {failed}")),
        Failed::Later { message, .. } => Refusal::new(
            Kind::ProviderUnavailable,
            format!("media.url: {message}; try again, or hand the file over by PUT /media"),
        ),
        Failed::Store(error) => refused(rt, error.into()),
    })
}

/// What the caller is told where the database or the store of files fails.
pub(super) fn refused(rt: &Runtime, trouble: Trouble) -> Refusal {
    match trouble {
        Trouble::Database(error) => access::store_refusal(rt, &error),
        Trouble::Blob(error) => store_trouble(rt, &error),
    }
}

fn store_trouble(rt: &Runtime, error: &BlobError) -> Refusal {
    tracing::error!(db.name = %rt.name, %error, "a file that is to be sent cannot be kept: {error}");
    Refusal::new(
        Kind::DatabaseUnavailable,
        "the bridge cannot use its store of files just now; its log says why",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(json: serde_json::Value) -> Media {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn exactly_one_source() {
        let of = |json| Handed::of(&mut media(json)).map_err(|refusal| refusal.kind);
        assert_eq!(of(serde_json::json!({"id": 3})), Ok(None));
        let bytes = of(serde_json::json!({"base64": "aGVs\nbG8=", "filename": "../a.txt"}));
        let bytes = bytes.unwrap().unwrap();
        assert_eq!(bytes.source, Source::Bytes(b"hello".to_vec()));
        assert_eq!(bytes.filename.as_deref(), Some("a.txt"));
        let link = of(serde_json::json!({"url": "https://example.com/x/offer.pdf?s=1"}));
        assert_eq!(link.unwrap().unwrap().name().as_deref(), Some("offer.pdf"));
        for wrong in [
            serde_json::json!({}),
            serde_json::json!({"id": 1, "url": "https://example.com"}),
            serde_json::json!({"base64": "aGVsbG8=", "url": "https://example.com"}),
            serde_json::json!({"base64": "not base64!"}),
        ] {
            assert_eq!(of(wrong.clone()), Err(Kind::InvalidContent), "{wrong}");
        }
    }

    #[test]
    fn types_and_limits_are_told() {
        assert!(check_type(MessageType::Image, "image/png").is_ok());
        assert!(check_type(MessageType::Document, "application/octet-stream").is_ok());
        assert!(check_type(MessageType::Voice, "audio/ogg").is_ok());
        let refusal = check_type(MessageType::Image, "application/pdf").unwrap_err();
        assert_eq!(refusal.kind, Kind::MediaTypeUnsupported);
        assert!(refusal.message.contains("application/pdf"), "{refusal}");
        assert!(too_large(5 * 1024 * 1024).message.contains("5 MiB"));
        assert!(too_large(1000).message.contains("1000 bytes"));
    }
}
