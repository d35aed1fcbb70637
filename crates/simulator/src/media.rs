//! The files of messages: their bytes, and links to them that end.
//!
//! Who writes a message with a file may give bytes; else a small real one of its kind is taken
//! (`samples/`). A file is fetched by the provider's own call, or by a link `/_media/<key>` that
//! works for a while; whether the link wants the account's token too, the vendor says.

use crate::{message::MediaKind, state::AccountId};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use rand::{Rng, distr::Alphanumeric};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

const MAX_FILES: usize = 20_000;
const MAX_BYTES: usize = 256 << 20;
const MAX_LINKS: usize = 40_000;

#[derive(Debug)]
pub(crate) struct File {
    /// In the provider's form.
    pub id: String,
    pub bytes: Bytes,
    pub mime: String,
    pub filename: Option<String>,
    pub sha256: [u8; 32],
}

impl File {
    pub fn new(id: String, bytes: Bytes, mime: String, filename: Option<String>) -> Self {
        let sha256 = Sha256::digest(&bytes).into();
        Self { id, bytes, mime, filename, sha256 }
    }

    /// As WhatsApp writes checksums.
    pub fn sha256_base64(&self) -> String {
        BASE64_STANDARD.encode(self.sha256)
    }

    pub fn sha256_hex(&self) -> String {
        self.sha256.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[derive(Debug)]
struct Link {
    account: AccountId,
    id: String,
    /// Seconds since 1970.
    ends_at: i64,
}

/// All files of all accounts; beyond the bounds the oldest are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Files {
    files: HashMap<(AccountId, String), Arc<File>>,
    order: VecDeque<(AccountId, String)>,
    bytes: usize,
    links: HashMap<String, Link>,
    links_order: VecDeque<String>,
}

impl Files {
    pub fn keep(&mut self, account: AccountId, file: File) -> Arc<File> {
        let file = Arc::new(file);
        let key = (account, file.id.clone());
        self.bytes += file.bytes.len();
        if let Some(former) = self.files.insert(key.clone(), Arc::clone(&file)) {
            self.bytes -= former.bytes.len();
        } else {
            self.order.push_back(key);
        }
        while self.files.len() > MAX_FILES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.forget(oldest.0, &oldest.1);
        }
        file
    }

    pub fn get(&self, account: AccountId, id: &str) -> Option<&Arc<File>> {
        self.files.get(&(account, id.to_owned()))
    }

    /// The provider keeps it no more; false when it never did.
    pub fn forget(&mut self, account: AccountId, id: &str) -> bool {
        let gone = self.files.remove(&(account, id.to_owned()));
        self.bytes -= gone.as_ref().map_or(0, |file| file.bytes.len());
        gone.is_some()
    }

    /// A new link's path.
    pub fn link(&mut self, account: AccountId, id: &str, ends_at: i64) -> String {
        let key: String = rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect();
        self.links.insert(key.clone(), Link { account, id: id.to_owned(), ends_at });
        self.links_order.push_back(key.clone());
        while self.links.len() > MAX_LINKS {
            let Some(oldest) = self.links_order.pop_front() else { break };
            self.links.remove(&oldest);
        }
        format!("/_media/{key}")
    }

    /// All links to a file end now; how many there were.
    pub fn end_links(&mut self, account: AccountId, id: &str) -> usize {
        let links = self.links.values_mut().filter(|link| link.account == account && link.id == id);
        links.map(|link| link.ends_at = 0).count()
    }

    /// Whose link it is, and the file while the link works.
    pub fn follow(&self, key: &str, now: i64) -> Option<(AccountId, Option<&Arc<File>>)> {
        let link = self.links.get(key)?;
        let file = (link.ends_at > now).then(|| self.get(link.account, &link.id)).flatten();
        Some((link.account, file))
    }
}

/// A small real file: bytes, mime type, and whatever its kind has of width, height, seconds.
pub(crate) struct Sample {
    pub bytes: &'static [u8],
    pub mime: &'static str,
    pub size: Option<(u32, u32)>,
    pub seconds: Option<u32>,
}

/// The one for a kind; an image may also be had as PNG.
pub(crate) fn sample(kind: MediaKind, mime: Option<&str>) -> Sample {
    let (bytes, mime, size, seconds): (&[u8], _, _, _) = match kind {
        MediaKind::Image if mime == Some("image/png") => {
            (include_bytes!("../samples/image.png"), "image/png", Some((128, 128)), None)
        }
        MediaKind::Image => {
            (include_bytes!("../samples/image.jpeg"), "image/jpeg", Some((320, 240)), None)
        }
        MediaKind::Sticker => {
            (include_bytes!("../samples/sticker.webp"), "image/webp", Some((128, 128)), None)
        }
        MediaKind::Voice => {
            (include_bytes!("../samples/voice.ogg"), "audio/ogg; codecs=opus", None, Some(2))
        }
        MediaKind::Audio => (include_bytes!("../samples/audio.mp3"), "audio/mpeg", None, Some(1)),
        MediaKind::Document => {
            (include_bytes!("../samples/document.pdf"), "application/pdf", None, None)
        }
        MediaKind::Video | MediaKind::Gif | MediaKind::Short => {
            (include_bytes!("../samples/video.mp4"), "video/mp4", Some((160, 120)), Some(2))
        }
    };
    Sample { bytes, mime, size, seconds }
}

/// The letters that stand for a mime type in file names and WHAPI's ids.
pub(crate) fn extension(mime: &str) -> &'static str {
    match mime.split(';').next().unwrap_or_default().trim() {
        "image/jpeg" => "jpeg",
        "image/png" => "png",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "audio/ogg" => "oga",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/wav" | "audio/x-wav" => "wav",
        "video/mp4" => "mp4",
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_what_they_say() {
        for (kind, beginning) in [
            (MediaKind::Image, &b"\xff\xd8\xff"[..]),
            (MediaKind::Sticker, b"RIFF"),
            (MediaKind::Voice, b"OggS"),
            (MediaKind::Audio, b"\xff\xfb"),
            (MediaKind::Document, b"%PDF-"),
        ] {
            assert!(sample(kind, None).bytes.starts_with(beginning), "{kind:?}");
        }
        assert!(sample(MediaKind::Image, Some("image/png")).bytes.starts_with(b"\x89PNG"));
        assert_eq!(&sample(MediaKind::Video, None).bytes[4..8], b"ftyp");
    }

    #[test]
    fn links_end_and_files_go() {
        let account = AccountId(0);
        let mut files = Files::default();
        let file = File::new("f1".into(), Bytes::from_static(b"abc"), "text/plain".into(), None);
        assert!(files.keep(account, file).sha256_hex().starts_with("ba7816bf"));
        let link = files.link(account, "f1", 100);
        let key = link.strip_prefix("/_media/").unwrap();
        assert!(files.follow(key, 99).unwrap().1.is_some());
        assert!(files.follow(key, 100).unwrap().1.is_none());
        assert!(files.follow("other", 1).is_none());
        let fresh = files.link(account, "f1", 200);
        assert!(files.follow(fresh.strip_prefix("/_media/").unwrap(), 150).unwrap().1.is_some());
        assert_eq!(files.end_links(account, "f1"), 2);
        assert!(files.forget(account, "f1"));
        assert!(!files.forget(account, "f1"));
    }
}
