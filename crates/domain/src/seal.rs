//! Sealing of secrets at rest: `wab1:<key id>:<nonce>:<ciphertext>`, the last two in base64url without padding.
//!
//! AES-256-GCM. The associated data name installation, table, column and the row's `seal_uuid`, so that a
//! sealed value opens only where it belongs: copied to another column, row or installation it does not.

use std::fmt;
use std::sync::{Arc, RwLock};

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The version prefix of a sealed value.
pub const PREFIX: &str = "wab1:";

/// Why a value cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error(
        "the sealing key must be 32 bytes, in base64url or 64 hexadecimal digits; `wabridge keys generate` makes one"
    )]
    KeyForm,
    #[error("a key id may hold letters, digits, - and _ (1 to 32), not {0:?}")]
    KeyId(String),
    #[error("exactly one sealing key must be active, found {0}")]
    Active(usize),
    #[error("the value is not sealed: it does not begin with {PREFIX}")]
    NotSealed,
    #[error("the sealed value is damaged")]
    Damaged,
    #[error("the value was sealed with key {0:?}, which is not among the configured sealing keys")]
    KeyMissing(String),
    #[error(
        "the value does not open with key {0:?}: other installation, table, column or row, or another key of the same name"
    )]
    DoesNotOpen(String),
}

/// Where a sealed value lives.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub installation_id: Uuid,
    pub table: &'a str,
    pub column: &'a str,
    pub seal_uuid: &'a str,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        // Lengths before the parts: no two places give the same bytes.
        let id = self.installation_id.to_string();
        let mut data = Vec::new();
        for part in [id.as_str(), self.table, self.column, self.seal_uuid] {
            data.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
    fingerprint: String,
}

struct Keys {
    all: Vec<Arc<Key>>,
    active: usize,
}

impl Keys {
    fn find(&self, id: &str) -> Option<&Key> {
        self.all.iter().find(|key| key.id == id).map(Arc::as_ref)
    }
}

/// The sealing keys of one database: one seals, all open. Keys come and go while others use the ring.
pub struct KeyRing {
    keys: RwLock<Arc<Keys>>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.now().all.iter().map(|key| &key.id)).finish()
    }
}

/// What came of loading keys into a ring that is in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    pub added: Vec<String>,
    /// Gone from the settings, and forgotten.
    pub forgotten: Vec<String>,
    /// Gone from the settings, but still wanted.
    pub kept: Vec<String>,
    /// Another key under an id that is in use: the one loaded first stays.
    pub conflicting: Vec<String>,
}

impl KeyRing {
    /// `keys` are (id, key as text, active).
    ///
    /// # Errors
    /// [`SealError::KeyForm`], [`SealError::KeyId`] or [`SealError::Active`].
    pub fn new<'a>(
        keys: impl IntoIterator<Item = (&'a str, &'a Secret, bool)>,
    ) -> Result<Self, SealError> {
        let mut ring = Vec::new();
        let mut active = Vec::new();
        for (id, text, is_active) in keys {
            if !is_key_id(id) {
                return Err(SealError::KeyId(id.to_owned()));
            }
            let bytes = key_bytes(text)?;
            if is_active {
                active.push(ring.len());
            }
            let cipher = Aes256Gcm::new_from_slice(&bytes[..]).map_err(|_| SealError::KeyForm)?;
            let fingerprint = fingerprint(&bytes);
            ring.push(Arc::new(Key { id: id.to_owned(), cipher, fingerprint }));
        }
        match active[..] {
            [one] => Ok(Self { keys: RwLock::new(Arc::new(Keys { all: ring, active: one })) }),
            _ => Err(SealError::Active(active.len())),
        }
    }

    fn now(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().expect(UNBROKEN))
    }

    pub fn active_key_id(&self) -> String {
        let keys = self.now();
        keys.all[keys.active].id.clone()
    }

    /// Every key with its fingerprint, which tells two keys of one id apart and says nothing else about them.
    pub fn held(&self) -> Vec<(String, String)> {
        self.now().all.iter().map(|key| (key.id.clone(), key.fingerprint.clone())).collect()
    }

    /// Seals with this key from now on; false where the ring does not hold it.
    pub fn activate(&self, id: &str) -> bool {
        let mut keys = self.keys.write().expect(UNBROKEN);
        let Some(active) = keys.all.iter().position(|key| key.id == id) else { return false };
        if keys.active != active {
            *keys = Arc::new(Keys { all: keys.all.clone(), active });
        }
        true
    }

    /// Takes the keys of `newer`. The active one stays, and so does a key that `newer` lacks unless it may be
    /// forgotten.
    pub fn load(&self, newer: &Self, may_forget: impl Fn(&str) -> bool) -> Loaded {
        let newer = newer.now();
        let mut keys = self.keys.write().expect(UNBROKEN);
        let mut loaded = Loaded::default();
        let active = Arc::clone(&keys.all[keys.active]);
        let mut all = Vec::new();
        for key in &keys.all {
            match newer.find(&key.id) {
                Some(same) if same.fingerprint == key.fingerprint => {}
                Some(_) => loaded.conflicting.push(key.id.clone()),
                None if key.id != active.id && may_forget(&key.id) => {
                    loaded.forgotten.push(key.id.clone());
                    continue;
                }
                None => loaded.kept.push(key.id.clone()),
            }
            all.push(Arc::clone(key));
        }
        for key in newer.all.iter().filter(|key| keys.find(&key.id).is_none()) {
            loaded.added.push(key.id.clone());
            all.push(Arc::clone(key));
        }
        if let Some(active) = all.iter().position(|key| key.id == active.id) {
            *keys = Arc::new(Keys { all, active });
        }
        loaded
    }

    /// Seals with the active key and a fresh random nonce.
    pub fn seal(&self, place: Place<'_>, clear: &Secret) -> String {
        let keys = self.now();
        let key = &keys.all[keys.active];
        let mut nonce = [0u8; 12];
        rand::rng().fill_bytes(&mut nonce);
        let aad = place.associated_data();
        let payload = Payload { msg: clear.expose().as_bytes(), aad: &aad };
        let sealed = key
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .expect("AES-GCM refuses only texts beyond 64 GiB");
        format!(
            "{PREFIX}{}:{}:{}",
            key.id,
            URL_SAFE_NO_PAD.encode(nonce),
            URL_SAFE_NO_PAD.encode(sealed)
        )
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// Everything of [`SealError`] but the forms of keys.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<Secret, SealError> {
        let rest = sealed.strip_prefix(PREFIX).ok_or(SealError::NotSealed)?;
        let mut parts = rest.split(':');
        let (Some(id), Some(nonce), Some(text), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SealError::Damaged);
        };
        let keys = self.now();
        let key =
            keys.find(id).ok_or_else(|| SealError::KeyMissing(id.chars().take(32).collect()))?;
        let nonce: [u8; 12] = URL_SAFE_NO_PAD
            .decode(nonce)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(SealError::Damaged)?;
        let text = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Damaged)?;
        let aad = place.associated_data();
        let clear = key
            .cipher
            .decrypt(&Nonce::from(nonce), Payload { msg: &text, aad: &aad })
            .map_err(|_| SealError::DoesNotOpen(key.id.clone()))?;
        let clear = Zeroizing::new(clear);
        std::str::from_utf8(&clear).map(Secret::new).map_err(|_| SealError::Damaged)
    }
}

const UNBROKEN: &str = "no holder of this lock can panic";

/// Whether a text can be the id of a key.
pub fn is_key_id(id: &str) -> bool {
    (1..=32).contains(&id.len())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The id of the key that a value was sealed with; None where it is not sealed.
pub fn key_id_of(sealed: &str) -> Option<&str> {
    sealed.strip_prefix(PREFIX)?.split(':').next()
}

fn fingerprint(key: &[u8; 32]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(b"wabridge sealing key");
    hex::encode(&mac.finalize().into_bytes()[..8])
}

pub(crate) fn key_bytes(text: &Secret) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let text = text.expose().trim();
    let bytes = if text.len() == 64 {
        hex::decode(text).ok()
    } else {
        URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .ok()
            .or_else(|| STANDARD.decode(text).ok())
    };
    let bytes = Zeroizing::new(bytes.ok_or(SealError::KeyForm)?);
    let array: [u8; 32] = bytes.as_slice().try_into().map_err(|_| SealError::KeyForm)?;
    Ok(Zeroizing::new(array))
}

/// A new random key, base64url.
pub fn generate_key() -> Secret {
    let mut bytes = Zeroizing::new([0u8; 32]);
    rand::rng().fill_bytes(&mut bytes[..]);
    Secret::new(URL_SAFE_NO_PAD.encode(&bytes[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(column: &str) -> Place<'_> {
        Place {
            installation_id: Uuid::nil(),
            table: "whatsapp_configuration",
            column,
            seal_uuid: "u-1",
        }
    }

    #[test]
    fn opens_only_in_its_place() {
        let (one, two) = (generate_key(), generate_key());
        let ring = KeyRing::new([("k1", &one, false), ("k2", &two, true)]).unwrap();
        let sealed = ring.seal(place("token"), &Secret::new("canary"));
        assert!(sealed.starts_with("wab1:k2:"));
        assert!(!sealed.contains("canary"));
        assert_eq!(ring.open(place("token"), &sealed).unwrap().expose(), "canary");
        assert_eq!(
            ring.open(place("app_secret"), &sealed).unwrap_err(),
            SealError::DoesNotOpen("k2".into())
        );
        let other = Place { installation_id: Uuid::max(), ..place("token") };
        assert!(ring.open(other, &sealed).is_err());
        let old = KeyRing::new([("k1", &one, true)]).unwrap();
        assert_eq!(
            old.open(place("token"), &sealed).unwrap_err(),
            SealError::KeyMissing("k2".into())
        );
        assert_ne!(ring.seal(place("token"), &Secret::new("canary")), sealed, "nonces are fresh");
    }

    #[test]
    fn damaged_values_are_told_apart() {
        let key = generate_key();
        let ring = KeyRing::new([("k", &key, true)]).unwrap();
        assert_eq!(ring.open(place("token"), "clear").unwrap_err(), SealError::NotSealed);
        assert_eq!(ring.open(place("token"), "wab1:k:x").unwrap_err(), SealError::Damaged);
        assert_eq!(ring.open(place("token"), "wab1:k:AAAA:AAAA").unwrap_err(), SealError::Damaged);
    }

    #[test]
    fn keys_come_and_go_while_the_ring_is_used() {
        let (one, two, other) = (generate_key(), generate_key(), generate_key());
        let ring = KeyRing::new([("k1", &one, true)]).unwrap();
        let old = ring.seal(place("token"), &Secret::new("canary"));
        assert_eq!(key_id_of(&old), Some("k1"));
        assert!(!ring.activate("k2"), "it was not loaded yet");
        let newer = KeyRing::new([("k1", &one, false), ("k2", &two, true)]).unwrap();
        let loaded = ring.load(&newer, |_| false);
        assert_eq!(loaded, Loaded { added: vec!["k2".into()], ..Loaded::default() });
        assert_eq!(ring.active_key_id(), "k1", "loading alone changes nothing");
        assert!(ring.activate("k2"));
        let new = ring.seal(place("token"), &Secret::new("canary"));
        assert_eq!(key_id_of(&new), Some("k2"));
        assert_eq!(ring.open(place("token"), &old).unwrap().expose(), "canary");

        let alone = KeyRing::new([("k2", &two, true)]).unwrap();
        assert_eq!(ring.load(&alone, |_| false).kept, ["k1"]);
        assert!(ring.open(place("token"), &old).is_ok());
        assert_eq!(ring.load(&alone, |id| id == "k1").forgotten, ["k1"]);
        assert!(ring.open(place("token"), &old).is_err());

        let changed = KeyRing::new([("k2", &other, true)]).unwrap();
        assert_eq!(ring.load(&changed, |_| true).conflicting, ["k2"]);
        assert_eq!(ring.open(place("token"), &new).unwrap().expose(), "canary");
    }

    #[test]
    fn fingerprints_tell_keys_apart() {
        let (one, two) = (generate_key(), generate_key());
        let held = |key: &Secret| KeyRing::new([("k1", key, true)]).unwrap().held();
        assert_eq!(held(&one), held(&one));
        assert_ne!(held(&one), held(&two));
        assert_eq!(held(&one)[0].1.len(), 16);
    }

    #[test]
    fn key_forms() {
        let hex = Secret::new("ab".repeat(32));
        assert!(KeyRing::new([("k", &hex, true)]).is_ok());
        assert_eq!(
            KeyRing::new([("k", &Secret::new("short"), true)]).unwrap_err(),
            SealError::KeyForm
        );
        assert_eq!(KeyRing::new([("k", &hex, false)]).unwrap_err(), SealError::Active(0));
        assert_eq!(
            KeyRing::new([("k:1", &hex, true)]).unwrap_err(),
            SealError::KeyId("k:1".into())
        );
    }
}
