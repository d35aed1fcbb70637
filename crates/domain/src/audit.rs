//! The proof of the audit log: what is hashed, in which order, with which key (docs/adr/0009-audit-proof.md).
//!
//! Rows are sealed in segments. A row's leaf is a keyed hash of its fields; those that may name a person enter as keyed
//! digests, which are stored beside it, so that the field can be emptied later. A segment's root is a hash of its
//! leaves; its mac covers the root and the mac of the segment before.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::seal::SealError;
use crate::secret::Secret;

/// Bytes of a hash.
pub const HASH: usize = 32;
/// The first segment's `previous`.
pub const BEGINNING: Hash = [0; HASH];
/// What stands in a field that was emptied.
pub const ERASED: &str = "[erased]";

pub type Hash = [u8; HASH];

/// A field of a row that may name a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    ErrorMessage,
    Address,
}

impl Field {
    pub const ALL: [Self; 2] = [Self::ErrorMessage, Self::Address];

    /// The column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrorMessage => "error_message",
            Self::Address => "address",
        }
    }
}

/// One row of `whatsapp_audit_log`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    pub id: i32,
    pub operation: Option<String>,
    pub provider: Option<String>,
    pub success: Option<bool>,
    pub response_time: Option<f64>,
    /// Unix microseconds.
    pub timestamp: Option<i64>,
    pub user_id: Option<i32>,
    pub configuration_id: Option<i32>,
    pub request_id: Option<String>,
    pub error_message: Option<String>,
    pub address: Option<String>,
}

impl Row {
    pub fn field(&self, field: Field) -> Option<&str> {
        match field {
            Field::ErrorMessage => self.error_message.as_deref(),
            Field::Address => self.address.as_deref(),
        }
    }

    /// The digests of its fields, as they are stored.
    pub fn digests(&self, key: &AuditKey) -> [Hash; 2] {
        Field::ALL.map(|field| key.digest(self.id, field, self.field(field)))
    }

    /// Its leaf, for the digests that are stored. Keyed, so that whoever changes a row cannot make its leaf too.
    pub fn leaf(&self, key: &AuditKey, digests: &[Hash; 2]) -> Hash {
        let mut bytes = Bytes::new("wabridge audit row 1");
        bytes.number(i64::from(self.id));
        bytes.text(self.operation.as_deref());
        bytes.text(self.provider.as_deref());
        bytes.optional(self.success.map(i64::from));
        bytes.text(self.response_time.map(|ms| ms.to_bits().to_string()).as_deref());
        bytes.optional(self.timestamp);
        bytes.optional(self.user_id.map(i64::from));
        bytes.optional(self.configuration_id.map(i64::from));
        bytes.text(self.request_id.as_deref());
        for digest in digests {
            bytes.0.extend_from_slice(digest);
        }
        key.mac(&bytes)
    }
}

/// What the mac of a segment covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link<'a> {
    pub number: i64,
    pub key_id: i32,
    /// Unix microseconds.
    pub sealed_at: i64,
    pub row_count: i32,
    /// Unix microseconds.
    pub newest: Option<i64>,
    pub high: i32,
    /// (first id, last id, when it was noticed in unix microseconds).
    pub gaps: &'a [(i32, i32, i64)],
    pub root: &'a [u8],
    pub previous: &'a [u8],
}

/// SHA-256 over the leaves, one after another.
pub fn root(leaves: &[u8]) -> Hash {
    Sha256::digest(leaves).into()
}

/// The secret of the proof.
pub struct AuditKey(Zeroizing<[u8; HASH]>);

impl AuditKey {
    /// From its text, as [`crate::seal::generate_key`] makes it.
    ///
    /// # Errors
    /// [`SealError::KeyForm`].
    pub fn new(text: &Secret) -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; HASH]);
        let written = URL_SAFE_NO_PAD.decode_slice(text.expose(), &mut key[..]);
        if written == Ok(HASH) { Ok(Self(key)) } else { Err(SealError::KeyForm) }
    }

    /// The digest of a field of a row; of no value too, so that it cannot be told from one.
    pub fn digest(&self, row_id: i32, field: Field, value: Option<&str>) -> Hash {
        let mut bytes = Bytes::new("wabridge audit field 1");
        bytes.number(i64::from(row_id));
        bytes.text(Some(field.as_str()));
        bytes.text(value);
        self.mac(&bytes)
    }

    pub fn link(&self, link: &Link<'_>) -> Hash {
        let mut bytes = Bytes::new("wabridge audit segment 1");
        bytes.number(link.number);
        bytes.number(i64::from(link.key_id));
        bytes.number(link.sealed_at);
        bytes.number(i64::from(link.row_count));
        bytes.optional(link.newest);
        bytes.number(i64::from(link.high));
        bytes.number(i64::try_from(link.gaps.len()).unwrap_or(i64::MAX));
        for (first, last, seen) in link.gaps {
            bytes.number(i64::from(*first));
            bytes.number(i64::from(*last));
            bytes.number(*seen);
        }
        bytes.blob(link.root);
        bytes.blob(link.previous);
        self.mac(&bytes)
    }

    /// Says that retention removed the rows of the segment with this mac.
    pub fn removal(&self, segment_mac: &[u8]) -> Hash {
        let mut bytes = Bytes::new("wabridge audit removal 1");
        bytes.blob(segment_mac);
        self.mac(&bytes)
    }

    /// Says that a field of a row was emptied on request.
    pub fn erasure(&self, row_id: i32, field: Field) -> Hash {
        let mut bytes = Bytes::new("wabridge audit erasure 1");
        bytes.number(i64::from(row_id));
        bytes.text(Some(field.as_str()));
        self.mac(&bytes)
    }

    fn mac(&self, bytes: &Bytes) -> Hash {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[..]).expect("HMAC takes any key");
        mac.update(&bytes.0);
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditKey")
    }
}

/// The newest segment, as it is written in the log and given to `audit verify --head`: `<number>:<mac in hex>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub number: i64,
    pub mac: Vec<u8>,
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, hex::encode(&self.mac))
    }
}

/// It is no head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a head is <number of a segment>:<64 hexadecimal digits>, as the daemon logs it")]
pub struct NoHead;

impl std::str::FromStr for Head {
    type Err = NoHead;

    fn from_str(text: &str) -> Result<Self, NoHead> {
        let (number, mac) = text.trim().split_once(':').ok_or(NoHead)?;
        let mac = hex::decode(mac).map_err(|_| NoHead)?;
        let number = number.parse().map_err(|_| NoHead)?;
        if mac.len() == HASH && number > 0 { Ok(Self { number, mac }) } else { Err(NoHead) }
    }
}

/// Parts with their lengths: no two lists of parts give the same bytes.
struct Bytes(Vec<u8>);

impl Bytes {
    fn new(label: &str) -> Self {
        let mut bytes = Self(Vec::with_capacity(256));
        bytes.blob(label.as_bytes());
        bytes
    }

    fn blob(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part);
    }

    fn number(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn optional(&mut self, number: Option<i64>) {
        self.0.push(u8::from(number.is_some()));
        self.number(number.unwrap_or_default());
    }

    fn text(&mut self, text: Option<&str>) {
        self.0.push(u8::from(text.is_some()));
        self.blob(text.unwrap_or_default().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> AuditKey {
        AuditKey::new(&Secret::new("q".repeat(42) + "A")).unwrap()
    }

    fn row() -> Row {
        Row {
            id: 7,
            operation: Some("message.send".into()),
            success: Some(true),
            response_time: Some(1.5),
            timestamp: Some(0),
            error_message: Some("x".into()),
            ..Row::default()
        }
    }

    #[test]
    fn every_field_counts() {
        let leaf = |row: &Row| row.leaf(&key(), &row.digests(&key()));
        let first = leaf(&row());
        let changes: [fn(&mut Row); 11] = [
            |row| row.id = 8,
            |row| row.operation = None,
            |row| row.provider = Some(String::new()),
            |row| row.success = Some(false),
            |row| row.response_time = Some(1.500_000_1),
            |row| row.timestamp = None,
            |row| row.user_id = Some(1),
            |row| row.configuration_id = Some(1),
            |row| row.request_id = Some("r".into()),
            |row| row.error_message = None,
            |row| row.address = Some(String::new()),
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut changed = row();
            change(&mut changed);
            assert_ne!(leaf(&changed), first, "change {n}");
        }
        // Neighbours do not run into each other.
        let mut moved = row();
        (moved.operation, moved.provider) = (Some("message".into()), Some(".send".into()));
        assert_ne!(leaf(&moved), first);
    }

    #[test]
    fn digests_need_the_key() {
        let other = AuditKey::new(&Secret::new("z".repeat(42) + "A")).unwrap();
        assert_ne!(row().digests(&key()), row().digests(&other));
        let (erased, kept) = (Row { error_message: None, ..row() }, row().digests(&key()));
        assert_eq!(
            erased.leaf(&key(), &kept),
            row().leaf(&key(), &kept),
            "the leaf needs the digest only"
        );
    }

    #[test]
    fn heads() {
        let head = Head { number: 12, mac: vec![0xab; HASH] };
        assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
        for wrong in ["", "12", "12:ab", "0:", &format!("0:{}", "ab".repeat(32)), "x:y"] {
            assert!(wrong.parse::<Head>().is_err(), "{wrong}");
        }
    }
}
