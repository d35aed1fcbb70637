//! Sealing of secrets at rest: `wab1:<key id>:<nonce>:<ciphertext>`, the last two in base64url without padding.
//!
//! AES-256-GCM. The associated data name installation, table, column and the row's `seal_uuid`, so that a
//! sealed value opens only where it belongs: copied to another column, row or installation it does not.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::RngCore;
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
}

/// The sealing keys of one database: one seals, all open.
pub struct KeyRing {
    keys: Vec<Key>,
    active: usize,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
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
            let fits = (1..=32).contains(&id.len())
                && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if !fits {
                return Err(SealError::KeyId(id.to_owned()));
            }
            let bytes = key_bytes(text)?;
            if is_active {
                active.push(ring.len());
            }
            let cipher = Aes256Gcm::new_from_slice(&bytes[..]).map_err(|_| SealError::KeyForm)?;
            ring.push(Key { id: id.to_owned(), cipher });
        }
        match active[..] {
            [one] => Ok(Self { keys: ring, active: one }),
            _ => Err(SealError::Active(active.len())),
        }
    }

    pub fn active_key_id(&self) -> &str {
        &self.keys[self.active].id
    }

    /// Seals with the active key and a fresh random nonce.
    pub fn seal(&self, place: Place<'_>, clear: &Secret) -> String {
        let key = &self.keys[self.active];
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
        let key = self
            .keys
            .iter()
            .find(|key| key.id == id)
            .ok_or_else(|| SealError::KeyMissing(id.chars().take(32).collect()))?;
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

fn key_bytes(text: &Secret) -> Result<Zeroizing<[u8; 32]>, SealError> {
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
