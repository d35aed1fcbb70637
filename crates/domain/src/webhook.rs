//! Verified before parsed: the body of a webhook has no way to be read as events until it was checked.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::provider::ProviderKind;
use crate::secret::Secret;

/// What an account demands of a webhook (`whatsapp_configuration.auth_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    Path,
    Header,
    Hmac,
    PathAndHeader,
    PathAndHmac,
    HeaderAndHmac,
}

impl AuthMode {
    /// NULL and unknown words read as the provider's default: `hmac` (Meta), `header` (WHAPI), `path` (others).
    pub fn from_column(word: Option<&str>, provider: ProviderKind) -> Self {
        match word {
            Some("path") => Self::Path,
            Some("header") => Self::Header,
            Some("hmac") => Self::Hmac,
            Some("path_header") => Self::PathAndHeader,
            Some("path_hmac") => Self::PathAndHmac,
            Some("header_hmac") => Self::HeaderAndHmac,
            _ => match provider {
                ProviderKind::Meta => Self::Hmac,
                ProviderKind::Whapi => Self::Header,
                ProviderKind::Wassenger | ProviderKind::Custom => Self::Path,
            },
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Header => "header",
            Self::Hmac => "hmac",
            Self::PathAndHeader => "path_header",
            Self::PathAndHmac => "path_hmac",
            Self::HeaderAndHmac => "header_hmac",
        }
    }

    fn needs(self) -> (bool, bool, bool) {
        match self {
            Self::Path => (true, false, false),
            Self::Header => (false, true, false),
            Self::Hmac => (false, false, true),
            Self::PathAndHeader => (true, true, false),
            Self::PathAndHmac => (true, false, true),
            Self::HeaderAndHmac => (false, true, true),
        }
    }
}

/// How the signature of an HMAC mode travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacScheme {
    /// Lower-case name of the header.
    pub header: String,
    /// What stands before the digits (`sha256=`); an absent prefix is accepted where `strict` is false.
    pub prefix: String,
    pub strict: bool,
    pub encoding: Encoding,
}

/// How the 32 bytes of a signature are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Hex,
    /// With padding.
    Base64,
}

impl Encoding {
    fn read(self, digits: &str) -> Option<[u8; 32]> {
        let mut bytes = [0u8; 32];
        match self {
            Self::Hex => {
                (digits.len() == 64).then(|| hex::decode_to_slice(digits, &mut bytes).ok())?
            }
            Self::Base64 => {
                let decoded = BASE64_STANDARD.decode(digits).ok()?;
                (decoded.len() == bytes.len()).then(|| bytes.copy_from_slice(&decoded))
            }
        }?;
        Some(bytes)
    }
}

/// What one account accepts. Several values may be live during a rotation; an empty list accepts nothing.
#[derive(Debug, Clone)]
pub struct Gate {
    pub mode: AuthMode,
    pub path_tokens: Vec<Secret>,
    /// Lower-case name of the header; `authorization` is read with its `Bearer ` prefix.
    pub header: String,
    /// What stands before the secret in the header. None: nothing, or `Bearer ` in `authorization`.
    pub header_prefix: Option<String>,
    pub header_secrets: Vec<Secret>,
    pub hmac: HmacScheme,
    pub hmac_secrets: Vec<Secret>,
}

/// What a request presents.
pub trait Presented {
    /// The token in the path, if the route has one.
    fn path_token(&self) -> Option<&str>;
    /// The one value of a header; None when it is absent, repeated or not text. `name` is lower-case.
    fn header(&self, name: &str) -> Option<&str>;
}

/// By what a body was verified; goes into the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedBy(AuthMode);

impl fmt::Display for VerifiedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// A body that was verified; the only thing a provider parses.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    body: &'a [u8],
}

impl<'a> Signed<'a> {
    /// The raw bytes.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// A body that was verified when it was received, read back from the journal.
    pub fn from_journal(body: &'a [u8]) -> Self {
        Self { body }
    }
}

impl Gate {
    /// Checks a body against everything the account's mode asks for; the route without a token passes a
    /// mode with `path` never. All comparisons are constant-time, and every configured value is tried.
    pub fn check<'a>(
        &self,
        presented: &dyn Presented,
        body: &'a [u8],
    ) -> Option<(Signed<'a>, VerifiedBy)> {
        let mode = self.demanded();
        let (path, header, hmac) = mode.needs();
        let path_fits = || {
            presented
                .path_token()
                .is_some_and(|token| any_matches(&self.path_tokens, token.as_bytes()))
        };
        let header_fits = || {
            presented.header(&self.header).is_some_and(|value| {
                let value = match &self.header_prefix {
                    Some(prefix) => value.strip_prefix(prefix.as_str()),
                    None if self.header == "authorization" => bearer(value),
                    None => Some(value),
                };
                value.is_some_and(|value| any_matches(&self.header_secrets, value.as_bytes()))
            })
        };
        let hmac_fits = || {
            presented.header(&self.hmac.header).is_some_and(|value| self.hmac_matches(value, body))
        };
        let fits = (!path || path_fits()) && (!header || header_fits()) && (!hmac || hmac_fits());
        fits.then_some((Signed { body }, VerifiedBy(mode)))
    }

    /// The mode, and a configured secret in any mode: a path token alone lets nobody in where there is one.
    fn demanded(&self) -> AuthMode {
        match self.mode {
            AuthMode::Path if any_configured(&self.header_secrets) => AuthMode::PathAndHeader,
            AuthMode::Path if any_configured(&self.hmac_secrets) => AuthMode::PathAndHmac,
            mode => mode,
        }
    }

    fn hmac_matches(&self, value: &str, body: &[u8]) -> bool {
        let digits = match value.strip_prefix(self.hmac.prefix.as_str()) {
            Some(digits) => digits,
            None if !self.hmac.strict => value,
            None => return false,
        };
        let Some(sent) = self.hmac.encoding.read(digits) else { return false };
        self.hmac_secrets.iter().filter(|secret| !secret.expose().is_empty()).fold(
            false,
            |found, secret| {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
                    .expect("HMAC takes keys of every length");
                mac.update(body);
                found | mac.verify_slice(&sent).is_ok()
            },
        )
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim_start())
}

fn any_configured(secrets: &[Secret]) -> bool {
    secrets.iter().any(|secret| !secret.expose().is_empty())
}

fn any_matches(secrets: &[Secret], presented: &[u8]) -> bool {
    // An empty configured value matches nothing: "no secret set" must never mean "everybody".
    secrets
        .iter()
        .filter(|secret| !secret.expose().is_empty())
        .fold(false, |found, secret| found | secret.matches(presented))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Request<'a> {
        path: Option<&'a str>,
        headers: &'a [(&'a str, &'a str)],
    }

    impl Presented for Request<'_> {
        fn path_token(&self) -> Option<&str> {
            self.path
        }
        fn header(&self, name: &str) -> Option<&str> {
            self.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
        }
    }

    fn gate(mode: AuthMode) -> Gate {
        Gate {
            mode,
            path_tokens: vec![Secret::new("path-1")],
            header: "authorization".into(),
            header_prefix: None,
            header_secrets: vec![Secret::new("old"), Secret::new("new")],
            hmac: HmacScheme {
                header: "x-hub-signature-256".into(),
                prefix: "sha256=".into(),
                strict: true,
                encoding: Encoding::Hex,
            },
            hmac_secrets: vec![Secret::new("app")],
        }
    }

    const BODY: &[u8] = b"{}";
    const SIGNATURE: &str = "sha256=00";

    #[test]
    fn modes_ask_for_what_they_name() {
        let old = [("authorization", "Bearer old")];
        let new = [("authorization", "bearer new")];
        let check = |mode, path, headers: &[(&str, &str)]| {
            gate(mode).check(&Request { path, headers }, BODY).is_some()
        };
        assert!(check(AuthMode::Header, None, &old));
        assert!(check(AuthMode::Header, Some("anything"), &new));
        assert!(!check(AuthMode::Header, None, &[("authorization", "old")]));
        assert!(!check(AuthMode::Header, None, &[]));
        assert!(check(AuthMode::Path, Some("path-1"), &old));
        assert!(!check(AuthMode::Path, Some("path-2"), &old));
        assert!(check(AuthMode::PathAndHeader, Some("path-1"), &old));
        assert!(!check(AuthMode::PathAndHeader, None, &old));
        assert!(!check(AuthMode::Hmac, Some("path-1"), &[("x-hub-signature-256", SIGNATURE)]));
    }

    #[test]
    fn a_configured_secret_is_always_required() {
        let wrong = [("authorization", "Bearer other")];
        let check = |gate: &Gate, headers: &[(&str, &str)]| {
            let request = Request { path: Some("path-1"), headers };
            gate.check(&request, BODY).map(|(_, by)| by.to_string())
        };
        let mut gate = gate(AuthMode::Path);
        assert_eq!(check(&gate, &[]), None);
        assert_eq!(check(&gate, &wrong), None);
        let right = [("authorization", "Bearer new")];
        assert_eq!(check(&gate, &right).as_deref(), Some("path_header"));
        gate.header_secrets = vec![Secret::new("")];
        assert_eq!(check(&gate, &[]), None, "the signature is asked for then");
        gate.hmac_secrets = vec![];
        assert_eq!(check(&gate, &[]).as_deref(), Some("path"));
    }

    #[test]
    fn an_account_without_a_secret_accepts_nothing() {
        let mut gate = gate(AuthMode::Header);
        gate.header_secrets = vec![];
        let with = |gate: &Gate, value| {
            gate.check(&Request { path: None, headers: &[("authorization", value)] }, BODY)
                .is_some()
        };
        assert!(!with(&gate, "Bearer "));
        gate.header_secrets = vec![Secret::new("")];
        assert!(!with(&gate, "Bearer "));
        assert!(!with(&gate, "Bearer"));
    }

    #[test]
    fn headers_and_signatures_in_other_writings() {
        fn opens(gate: &Gate, name: &str, value: &str) -> bool {
            gate.check(&Request { path: None, headers: &[(name, value)] }, BODY).is_some()
        }
        let mut gate = gate(AuthMode::Header);
        gate.header_prefix = Some("Key ".into());
        assert!(opens(&gate, "authorization", "Key old"));
        assert!(!opens(&gate, "authorization", "Bearer old"));
        assert!(!opens(&gate, "authorization", "old"));
        (gate.header, gate.header_prefix) = ("x-secret".into(), None);
        assert!(opens(&gate, "x-secret", "old"));

        gate.mode = AuthMode::Hmac;
        gate.hmac = HmacScheme {
            header: "x-sig".into(),
            prefix: String::new(),
            strict: true,
            encoding: Encoding::Base64,
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(b"app").unwrap();
        mac.update(BODY);
        let bytes = mac.finalize().into_bytes();
        assert!(opens(&gate, "x-sig", &BASE64_STANDARD.encode(bytes)));
        let short = BASE64_STANDARD.encode(&bytes[1..]);
        for wrong in [&hex::encode(bytes), &short, "", "="] {
            assert!(!opens(&gate, "x-sig", wrong), "{wrong}");
        }
    }

    #[test]
    fn two_of_them_means_both() {
        let mut gate = gate(AuthMode::PathAndHmac);
        // During a rotation: either of two secrets.
        gate.hmac_secrets.push(Secret::new("former"));
        let sign = |key: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
            mac.update(BODY);
            format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
        };
        let (good, former, wrong) = (sign("app"), sign("former"), sign("other"));
        let check = |gate: &Gate, path, signature: Option<&str>, bearer: Option<&str>| {
            let mut headers = Vec::new();
            headers.extend(signature.map(|value| ("x-hub-signature-256", value)));
            headers.extend(bearer.map(|value| ("authorization", value)));
            gate.check(&Request { path, headers: &headers }, BODY).map(|(_, by)| by.to_string())
        };
        let by = check(&gate, Some("path-1"), Some(&good), None);
        assert_eq!(by.as_deref(), Some("path_hmac"));
        assert!(check(&gate, Some("path-1"), Some(&former), None).is_some());
        assert!(check(&gate, Some("path-1"), Some(&wrong), None).is_none());
        assert!(check(&gate, Some("path-2"), Some(&good), None).is_none());
        assert!(check(&gate, None, Some(&good), None).is_none());
        assert!(check(&gate, Some("path-1"), None, Some("Bearer new")).is_none());

        gate.mode = AuthMode::HeaderAndHmac;
        let by = check(&gate, None, Some(&good), Some("Bearer new"));
        assert_eq!(by.as_deref(), Some("header_hmac"));
        assert!(check(&gate, None, Some(&former), Some("Bearer old")).is_some());
        assert!(check(&gate, None, Some(&good), Some("Bearer other")).is_none());
        assert!(check(&gate, None, Some(&good), None).is_none());
        assert!(check(&gate, None, None, Some("Bearer new")).is_none());
    }

    #[test]
    fn hmac_of_the_raw_bytes() {
        let gate = gate(AuthMode::Hmac);
        let mut mac = Hmac::<Sha256>::new_from_slice(b"app").unwrap();
        mac.update(BODY);
        let good = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let check = |value: &str, body: &[u8]| {
            gate.check(&Request { path: None, headers: &[("x-hub-signature-256", value)] }, body)
                .is_some()
        };
        assert!(check(&good, BODY));
        assert!(!check(&good, b"{} "));
        assert!(
            !check(good.trim_start_matches("sha256="), BODY),
            "strict schemes need their prefix"
        );
        assert!(!check("sha256=", BODY));
    }
}
