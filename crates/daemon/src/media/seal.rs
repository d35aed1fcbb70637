//! The form of a sealed file (docs/SECURITY.md, "Files at rest"): 16 bytes `wabridge-media-1`, then chunks of
//! 64 KiB of the content, each AES-256-GCM with its 16 bytes tag. Only the last chunk is shorter; an empty file
//! is one empty chunk. Any range opens without the rest.
//!
//! Every file has a random key of its own, so that the chunk's number can be its nonce. That key is kept sealed
//! (`media_blob.sealed_key`), bound to installation and checksum.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore;
use uuid::Uuid;
use wabridge_domain::Secret;
use wabridge_domain::seal::{KeyRing, Place, SealError};

/// What a sealed file begins with.
pub const MAGIC: &[u8; 16] = b"wabridge-media-1";
/// Bytes of content in a chunk.
pub const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
const SEALED_CHUNK: u64 = (CHUNK + TAG) as u64;

/// A sealed file that does not open.
#[derive(Debug, thiserror::Error)]
pub enum Unsealable {
    #[error("the file's key does not open: {0}")]
    Key(#[from] SealError),
    #[error("the file was changed, cut, or belongs to another row")]
    Damaged,
}

/// The key of one file.
pub struct FileKey {
    key: LessSafeKey,
    clear: Secret,
    installation: Uuid,
    /// The blob's random id: also in its location.
    blob: Uuid,
}

impl FileKey {
    /// A fresh one.
    pub fn generate(installation: Uuid, blob: Uuid) -> Self {
        let mut bytes = [0u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        let clear = Secret::new(URL_SAFE_NO_PAD.encode(bytes));
        Self { key: cipher(&bytes), clear, installation, blob }
    }

    /// For `media_blob.sealed_key`.
    pub fn sealed(&self, ring: &KeyRing, checksum: &str) -> String {
        ring.seal(place(self.installation, checksum), &self.clear)
    }

    /// Back from `media_blob.sealed_key`.
    ///
    /// # Errors
    /// [`Unsealable`].
    pub fn open(
        ring: &KeyRing,
        installation: Uuid,
        checksum: &str,
        blob: Uuid,
        sealed: &str,
    ) -> Result<Self, Unsealable> {
        let clear = ring.open(place(installation, checksum), sealed)?;
        let bytes = URL_SAFE_NO_PAD.decode(clear.expose()).ok();
        let bytes: [u8; 32] = bytes.and_then(|b| b.try_into().ok()).ok_or(Unsealable::Damaged)?;
        Ok(Self { key: cipher(&bytes), clear, installation, blob })
    }

    fn associated_data(&self, number: u64) -> [u8; 40] {
        let mut data = [0u8; 40];
        data[..16].copy_from_slice(self.installation.as_bytes());
        data[16..32].copy_from_slice(self.blob.as_bytes());
        data[32..].copy_from_slice(&number.to_be_bytes());
        data
    }

    fn seal_chunk(&self, number: u64, last: bool, chunk: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(chunk);
        let aad = Aad::from(self.associated_data(number));
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(number, last), aad, &mut out[start..])
            .expect("AES-GCM refuses only texts beyond 64 GiB");
        out.extend_from_slice(tag.as_ref());
    }

    /// Opens one chunk, tag included; returns its content.
    ///
    /// # Errors
    /// [`Unsealable::Damaged`].
    pub fn open_chunk<'a>(
        &self,
        number: u64,
        last: bool,
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], Unsealable> {
        let aad = Aad::from(self.associated_data(number));
        self.key
            .open_in_place(nonce(number, last), aad, sealed)
            .map(|content| &*content)
            .map_err(|_| Unsealable::Damaged)
    }
}

fn cipher(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("the key has 32 bytes"))
}

/// Where a file's key is sealed.
pub fn place(installation_id: Uuid, checksum: &str) -> Place<'_> {
    Place { installation_id, table: "media_blob", column: "sealed_key", seal_uuid: checksum }
}

/// The number, and whether it is the last one: a file that was cut at a chunk does not open.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0u8; 12];
    bytes[0] = u8::from(last);
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Seals a file while it comes in.
pub struct Sealer {
    key: FileKey,
    number: u64,
    begun: Vec<u8>,
    out: Vec<u8>,
}

impl Sealer {
    pub fn new(key: FileKey) -> Self {
        Self { key, number: 0, begun: Vec::with_capacity(CHUNK), out: MAGIC.to_vec() }
    }

    /// Takes more of the content.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // A full chunk is sealed only once more comes: the last one is marked.
            if self.begun.len() == CHUNK {
                self.key.seal_chunk(self.number, false, &self.begun, &mut self.out);
                self.number += 1;
                self.begun.clear();
            }
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK - self.begun.len()));
            self.begun.extend_from_slice(now);
            bytes = rest;
        }
    }

    /// Sealed bytes that wait to be written.
    pub fn ready(&self) -> usize {
        self.out.len()
    }

    /// Takes them.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Seals what is left; the last bytes and the key.
    pub fn finish(mut self) -> (Vec<u8>, FileKey) {
        self.key.seal_chunk(self.number, true, &self.begun, &mut self.out);
        (self.out, self.key)
    }
}

/// Where the bytes of a range of the content are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Numbers of the first chunk, and of the one after the last.
    pub first: u64,
    pub end: u64,
    /// Number of the file's last chunk.
    pub last: u64,
}

impl Span {
    /// The chunks that hold `from..to` of a content of `size` bytes.
    pub fn of(size: u64, from: u64, to: u64) -> Self {
        let last = size.saturating_sub(1) / CHUNK as u64;
        let first = (from / CHUNK as u64).min(last);
        let end = to.div_ceil(CHUNK as u64).clamp(first + 1, last + 1);
        Self { first, end, last }
    }

    /// Where chunk `number` lies in the sealed file of a content of `size` bytes.
    pub fn place(size: u64, number: u64) -> std::ops::Range<u64> {
        let start = MAGIC.len() as u64 + number * SEALED_CHUNK;
        let content = size.saturating_sub(number * CHUNK as u64).min(CHUNK as u64);
        start..start + content + TAG as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(content: &[u8], pieces: usize) -> (Vec<u8>, FileKey) {
        let mut sealer = Sealer::new(FileKey::generate(Uuid::nil(), Uuid::max()));
        let mut file = Vec::new();
        for piece in content.chunks(pieces) {
            sealer.push(piece);
            file.extend(sealer.take());
        }
        let (rest, key) = sealer.finish();
        file.extend(rest);
        (file, key)
    }

    fn opened(key: &FileKey, file: &[u8], size: u64, from: u64, to: u64) -> Option<Vec<u8>> {
        let span = Span::of(size, from, to);
        let mut content = Vec::new();
        for number in span.first..span.end {
            let place = Span::place(size, number);
            let place = usize::try_from(place.start).ok()?..usize::try_from(place.end).ok()?;
            let mut chunk = file.get(place)?.to_vec();
            content
                .extend_from_slice(key.open_chunk(number, number == span.last, &mut chunk).ok()?);
        }
        let skip = usize::try_from(from - span.first * CHUNK as u64).ok()?;
        Some(content[skip..skip + usize::try_from(to - from).ok()?].to_vec())
    }

    #[test]
    fn every_range_opens_alone() {
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17] {
            let content: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let (file, key) = sealed(&content, 10_007);
            let end = Span::place(size as u64, Span::of(size as u64, 0, size as u64).last).end;
            assert_eq!(file.len() as u64, end, "{size}");
            for (from, to) in [(0, size), (size / 2, size), (0, size / 3), (size / 3, size / 2)] {
                let part = opened(&key, &file, size as u64, from as u64, to as u64).unwrap();
                assert_eq!(part, content[from..to], "{size}: {from}..{to}");
            }
        }
    }

    #[test]
    fn changes_cuts_and_swaps_are_seen() {
        let content = vec![7u8; 2 * CHUNK];
        let (file, key) = sealed(&content, CHUNK);
        let size = content.len() as u64;
        assert!(!file.windows(32).any(|w| w == [7u8; 32]), "nothing of the content is to be seen");
        let mut changed = file.clone();
        changed[MAGIC.len() + 5] ^= 1;
        assert_eq!(opened(&key, &changed, size, 0, size), None);
        // Cut at a chunk: what is last now was not marked so.
        assert_eq!(opened(&key, &file, CHUNK as u64, 0, CHUNK as u64), None);
        let chunk = CHUNK + TAG;
        let mut swapped = file[..MAGIC.len()].to_vec();
        swapped.extend_from_slice(&file[MAGIC.len() + chunk..]);
        swapped.extend_from_slice(&file[MAGIC.len()..MAGIC.len() + chunk]);
        assert_eq!(opened(&key, &swapped, size, 0, size), None);
        let (_, other) = sealed(&content, CHUNK);
        assert_eq!(opened(&other, &file, size, 0, size), None);
    }

    #[test]
    fn the_key_opens_for_its_checksum_only() {
        let secret = wabridge_domain::seal::generate_key();
        let ring = KeyRing::new([("k1", &secret, true)]).unwrap();
        let (file, key) = sealed(b"content", 3);
        let kept = key.sealed(&ring, "abc");
        let again = FileKey::open(&ring, Uuid::nil(), "abc", Uuid::max(), &kept).unwrap();
        assert_eq!(opened(&again, &file, 7, 0, 7).unwrap(), b"content");
        assert!(FileKey::open(&ring, Uuid::nil(), "abd", Uuid::max(), &kept).is_err());
        assert!(FileKey::open(&ring, Uuid::max(), "abc", Uuid::max(), &kept).is_err());
        let moved = FileKey::open(&ring, Uuid::nil(), "abc", Uuid::nil(), &kept).unwrap();
        assert_eq!(opened(&moved, &file, 7, 0, 7), None, "under another name it does not open");
    }
}
