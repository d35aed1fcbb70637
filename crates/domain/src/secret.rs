//! A value that cannot be printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// A token, key or webhook secret: no `Display`, no `Serialize`, `Debug` prints `[redacted]`, wiped on drop.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(SecretString::from(value.into()))
    }

    /// The clear value. Call it only where the value is put on the wire or into a hash.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Compares in constant time (lengths may be learnt).
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.expose().as_bytes().ct_eq(presented).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_printed() {
        let secret = Secret::new("canary-7781");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert!(secret.matches(b"canary-7781"));
        assert!(!secret.matches(b"canary-7782"));
        assert!(!secret.matches(b""));
    }
}
