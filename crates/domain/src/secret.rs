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
    use crate::seal::KeyRing;

    /// What every type has.
    trait Else {
        const _FOUND: bool = false;
    }

    impl<T: ?Sized> Else for T {}

    /// Whether a type has a trait: where it has, the constant of the type itself hides the one that every type has.
    /// Its underscore keeps the compiler from asking for the one that is not taken.
    macro_rules! has {
        ($type:ty: $($bound:tt)+) => {{
            struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
            impl<T: ?Sized + $($bound)+> Probe<T> {
                const _FOUND: bool = true;
            }
            <Probe<$type>>::_FOUND
        }};
    }

    #[test]
    fn no_way_into_text() {
        assert!(!has!(Secret: fmt::Display));
        assert!(!has!(Secret: serde::Serialize));
        assert!(!has!(Secret: fmt::LowerHex));
        assert!(!has!(Secret: AsRef<str>));
        assert!(!has!(Secret: std::ops::Deref));
        assert!(!has!(Secret: Into<String>));
        assert!(!has!(KeyRing: fmt::Display));
        assert!(!has!(KeyRing: serde::Serialize));
        assert!(!has!(KeyRing: Clone));
    }

    #[test]
    fn the_probe_finds_what_is_there() {
        assert!(has!(String: fmt::Display) && has!(String: serde::Serialize));
        assert!(has!(String: AsRef<str>) && has!(Secret: Clone) && has!(Secret: fmt::Debug));
    }

    #[test]
    fn never_printed() {
        let secret = Secret::new("canary-7781");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert!(secret.matches(b"canary-7781"));
        assert!(!secret.matches(b"canary-7782"));
        assert!(!secret.matches(b""));
    }
}
