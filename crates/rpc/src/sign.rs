//! Signing of private calls: who calls, when, and that nothing was changed on the way.
//!
//! ```text
//! Authorization: WABRIDGE1-HMAC-SHA256 key=<key id>,ts=<unix seconds>,nonce=<16..64 of A-Za-z0-9_->,sig=<lower-case hex>
//! sig = HMAC-SHA256(secret, "WABRIDGE1\n" ts "\n" nonce "\n" METHOD "\n" path, with its query as sent "\n" hex SHA-256(body))
//! ```
//!
//! Used by the private listener, by `wabridge rpc` and by the wake call to Odoo. Nothing here reads a clock
//! or remembers a nonce: the caller does both.

use hmac::{Hmac, KeyInit, Mac};
use rand::RngCore;
use sha2::{Digest, Sha256};
use wabridge_domain::Secret;

/// The scheme of the header.
pub const SCHEME: &str = "WABRIDGE1-HMAC-SHA256";
/// How far the clocks of the two sides may differ.
pub const WINDOW_S: i64 = 300;

/// What a signature covers. `path` is the path with its query, byte for byte as sent.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub body: &'a [u8],
}

/// Why a header is no signature. The answer is 401 for all of them; the word is for our log and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("the Authorization header is not of scheme {SCHEME}")]
    Scheme,
    #[error("the Authorization header lacks key, ts, nonce or sig, repeats one, or has others")]
    Form,
    #[error("key is not a key id")]
    KeyForm,
    #[error("ts is not a time in unix seconds")]
    TimeForm,
    #[error("nonce is not 16 to 64 characters of A-Z, a-z, 0-9, _ and -")]
    NonceForm,
    #[error("sig is not 64 lower-case hexadecimal digits")]
    SignatureForm,
}

/// A parsed header, not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    pub key_id: String,
    /// Unix seconds.
    pub ts: i64,
    pub nonce: String,
    /// As sent: it is part of what was signed.
    ts_text: String,
    signature: [u8; 32],
}

impl Authorization {
    /// Reads the header's value; the four parts may stand in any order.
    ///
    /// # Errors
    /// [`SignError`], by the first thing that is wrong.
    pub fn parse(header: &str) -> Result<Self, SignError> {
        let rest = header
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(SignError::Scheme)?;
        let [mut key, mut ts, mut nonce, mut sig] = [None; 4];
        for part in rest.trim_matches(' ').split(',') {
            let (name, value) = part.trim_matches(' ').split_once('=').ok_or(SignError::Form)?;
            let slot = match name {
                "key" => &mut key,
                "ts" => &mut ts,
                "nonce" => &mut nonce,
                "sig" => &mut sig,
                _ => return Err(SignError::Form),
            };
            if slot.replace(value).is_some() {
                return Err(SignError::Form);
            }
        }
        let (Some(key), Some(ts), Some(nonce), Some(sig)) = (key, ts, nonce, sig) else {
            return Err(SignError::Form);
        };
        let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !(1..=64).contains(&key.len()) || !key.chars().all(word) {
            return Err(SignError::KeyForm);
        }
        if !(1..=12).contains(&ts.len()) || !ts.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SignError::TimeForm);
        }
        let seconds = ts.parse().map_err(|_| SignError::TimeForm)?;
        if !is_nonce(nonce) {
            return Err(SignError::NonceForm);
        }
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let mut signature = [0u8; 32];
        if sig.len() != 64
            || !sig.bytes().all(lower_hex)
            || hex::decode_to_slice(sig, &mut signature).is_err()
        {
            return Err(SignError::SignatureForm);
        }
        Ok(Self {
            key_id: key.to_owned(),
            ts: seconds,
            nonce: nonce.to_owned(),
            ts_text: ts.to_owned(),
            signature,
        })
    }

    /// Whether the time is within [`WINDOW_S`] of `now`, unix seconds.
    pub fn is_fresh(&self, now: i64) -> bool {
        self.ts.abs_diff(now) <= WINDOW_S.unsigned_abs()
    }

    /// When the nonce may be forgotten: this request is stale from then on, at whichever daemon.
    pub fn nonce_expires(&self) -> i64 {
        self.ts.saturating_add(WINDOW_S + 1)
    }

    /// Compares the signature in constant time.
    pub fn verify(&self, secret: &Secret, request: Request<'_>) -> bool {
        mac(secret, &self.ts_text, &self.nonce, request).verify_slice(&self.signature).is_ok()
    }

    /// As [`Authorization::verify`], for a body that is still to come: `digest` is its SHA-256 as lower-case
    /// hexadecimal, and the caller compares it with what came.
    pub fn verify_digest(&self, secret: &Secret, method: &str, path: &str, digest: &str) -> bool {
        mac_of(secret, &self.ts_text, &self.nonce, method, path, digest)
            .verify_slice(&self.signature)
            .is_ok()
    }
}

/// The value of the `Authorization` header for one request. `now` is unix seconds, `nonce` a fresh [`nonce`].
pub fn sign(key_id: &str, secret: &Secret, now: i64, nonce: &str, request: Request<'_>) -> String {
    let digest = hex::encode(Sha256::digest(request.body));
    sign_digest(key_id, secret, now, nonce, request.method, request.path, &digest)
}

/// As [`sign`] for a body that is not at hand: `digest` is its SHA-256 as lower-case hexadecimal.
pub fn sign_digest(
    key_id: &str,
    secret: &Secret,
    now: i64,
    nonce: &str,
    method: &str,
    path: &str,
    digest: &str,
) -> String {
    let ts = now.to_string();
    let mac = mac_of(secret, &ts, nonce, method, path, digest);
    let sig = hex::encode(mac.finalize().into_bytes());
    format!("{SCHEME} key={key_id},ts={ts},nonce={nonce},sig={sig}")
}

/// A fresh nonce: 128 random bits.
pub fn nonce() -> String {
    let mut bytes = [0u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

fn is_nonce(text: &str) -> bool {
    (16..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn mac(secret: &Secret, ts: &str, nonce: &str, request: Request<'_>) -> Hmac<Sha256> {
    let body = hex::encode(Sha256::digest(request.body));
    mac_of(secret, ts, nonce, request.method, request.path, &body)
}

fn mac_of(
    secret: &Secret,
    ts: &str,
    nonce: &str,
    method: &str,
    path: &str,
    body_sha256: &str,
) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes keys of every length");
    for part in ["WABRIDGE1", ts, nonce, method, path] {
        mac.update(part.as_bytes());
        mac.update(b"\n");
    }
    mac.update(body_sha256.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_760_000_000;
    const NONCE: &str = "fixed-nonce-0123456789";

    fn secret() -> Secret {
        Secret::new("correct horse battery staple")
    }

    fn rpc(body: &[u8]) -> Request<'_> {
        Request { method: "POST", path: "/rpc", body }
    }

    /// The vectors of docs/PROTOCOL.md, checked against an implementation in another language (Python's hmac).
    #[test]
    fn known_answers() {
        let page = include_str!("../../../docs/PROTOCOL.md");
        for (request, sig) in [
            (
                rpc(br#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover","params":{}}"#),
                "2d037bb2c7ba4b42fb4994784dcd1b1230eed8831340a858f4d4d8f6bcdde016",
            ),
            (
                Request { method: "GET", path: "/metrics?name=a%20b&x=", body: b"" },
                "78dd91aa2f032d76ec811ec3fa43da7bf9104d1ef01c9108fc87f138a15326ef",
            ),
            (
                Request { method: "POST", path: "/whatsapp/bridge/wake", body: b"" },
                "30dd2dd430f0a1724a3a44dd642cbf6969666b50cf2b3d299ef457c8bd7b7201",
            ),
        ] {
            let header = sign("odoo", &secret(), NOW, NONCE, request);
            assert_eq!(header, format!("{SCHEME} key=odoo,ts={NOW},nonce={NONCE},sig={sig}"));
            assert!(page.contains(sig), "docs/PROTOCOL.md lacks the vector of {request:?}");
        }
    }

    #[test]
    fn whatever_is_changed_breaks_it() {
        let header = sign("odoo", &secret(), NOW, NONCE, rpc(b"{}"));
        let parsed = Authorization::parse(&header).unwrap();
        assert!(parsed.verify(&secret(), rpc(b"{}")));
        assert!(!parsed.verify(&Secret::new("another secret"), rpc(b"{}")));
        assert!(!parsed.verify(&secret(), rpc(b"{} ")));
        assert!(!parsed.verify(&secret(), Request { path: "/rpc?x=1", ..rpc(b"{}") }));
        assert!(!parsed.verify(&secret(), Request { method: "PUT", ..rpc(b"{}") }));
        for changed in [
            header.replace(NONCE, "fixed-nonce-0123456780"),
            header.replace(&NOW.to_string(), &(NOW + 1).to_string()),
            header.replace(&NOW.to_string(), &format!("0{NOW}")),
        ] {
            assert!(!Authorization::parse(&changed).unwrap().verify(&secret(), rpc(b"{}")));
        }
    }

    #[test]
    fn window() {
        let header = sign("odoo", &secret(), NOW, NONCE, rpc(b""));
        let parsed = Authorization::parse(&header).unwrap();
        assert!(parsed.is_fresh(NOW + 300) && parsed.is_fresh(NOW - 300));
        assert!(!parsed.is_fresh(NOW + 301) && !parsed.is_fresh(NOW - 301));
        assert!(!parsed.is_fresh(parsed.nonce_expires()));
    }

    #[test]
    fn malformed_headers() {
        let good = sign("odoo", &secret(), NOW, NONCE, rpc(b""));
        let sig = good.rsplit_once("sig=").unwrap().1;
        let upper = good.replace(sig, &sig.to_uppercase());
        let with = |key: &str, ts: &str, nonce: &str| {
            format!("{SCHEME} key={key},ts={ts},nonce={nonce},sig={sig}")
        };
        for (header, error) in [
            (String::new(), SignError::Scheme),
            (SCHEME.to_owned(), SignError::Scheme),
            ("Bearer abc".into(), SignError::Scheme),
            (format!("{SCHEME} key"), SignError::Form),
            (format!("{SCHEME} key=odoo"), SignError::Form),
            (format!("{good},sig={sig}"), SignError::Form),
            (format!("{good},more=1"), SignError::Form),
            (with("", "1", NONCE), SignError::KeyForm),
            (with("a b", "1", NONCE), SignError::KeyForm),
            (with("odoo", "-1", NONCE), SignError::TimeForm),
            (with("odoo", "+1", NONCE), SignError::TimeForm),
            (with("odoo", "9999999999999", NONCE), SignError::TimeForm),
            (with("odoo", "1", "short"), SignError::NonceForm),
            (with("odoo", "1", &"a".repeat(65)), SignError::NonceForm),
            (with("odoo", "1", "aaaaaaaaaaaaaaaaaaaa!"), SignError::NonceForm),
            (upper, SignError::SignatureForm),
            (good[..good.len() - 1].to_owned(), SignError::SignatureForm),
        ] {
            assert_eq!(Authorization::parse(&header).unwrap_err(), error, "{header}");
        }
        assert!(Authorization::parse(&with("odoo", "1", &nonce())).is_ok());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,200}") {
            let _ = Authorization::parse(&text);
            let _ = Authorization::parse(&format!("{SCHEME} {text}"));
        }
    }
}
