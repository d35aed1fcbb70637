//! The kept corpus: bodies and signatures that were found, or made up, to be hard to read. Each goes through the
//! gate and the parser of its provider, whole and damaged; what whole ones come to is in `expected.json` beside
//! them (`UPDATE_CORPUS=1` writes it anew, to be read before it is committed).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use wabridge_domain::webhook::{AuthMode, Encoding, Gate, HmacScheme, Presented, Signed};
use wabridge_domain::{ProviderKind, Secret};
use wabridge_providers::{Provider, Route, adapter};

const SECRET: &str = "corpus-secret-canary";
const KINDS: [(ProviderKind, &str); 4] = [
    (ProviderKind::Whapi, "whapi"),
    (ProviderKind::Wassenger, "wassenger"),
    (ProviderKind::Meta, "meta"),
    (ProviderKind::Custom, "custom"),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Bodies of a folder by name; none where there is no folder.
fn bodies(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeMap::new() };
    entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.file_name().is_some_and(|name| name != "expected.json"))
        .map(|path| {
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("it can be read"))
        })
        .collect()
}

struct Sent<'a> {
    path: Option<&'a str>,
    header: &'a str,
}

impl Presented for Sent<'_> {
    fn path_token(&self) -> Option<&str> {
        self.path
    }

    fn header(&self, _: &str) -> Option<&str> {
        Some(self.header)
    }
}

fn gate(mode: AuthMode, hmac: HmacScheme) -> Gate {
    let secrets = || vec![Secret::new(SECRET)];
    Gate {
        mode,
        path_tokens: secrets(),
        header: "authorization".to_owned(),
        header_prefix: None,
        header_secrets: if mode == AuthMode::Hmac { vec![] } else { secrets() },
        hmac,
        hmac_secrets: secrets(),
    }
}

fn signature(scheme: &HmacScheme, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
    mac.update(body);
    format!("{}{}", scheme.prefix, hex::encode(mac.finalize().into_bytes()))
}

/// What a body comes to: so many events and broken parts, or unreadable.
fn read(provider: &dyn Provider, signed: &Signed<'_>) -> String {
    let received_at = Timestamp::from_second(1_765_900_000).expect("a time");
    let route = Route { method: "POST", sub_path: "", received_at };
    match provider.parse(signed, &route) {
        Err(unreadable) => {
            assert!(!unreadable.reason.contains("canary"), "{unreadable}");
            "unreadable".to_owned()
        }
        Ok(parsed) => {
            for event in &parsed.events {
                let kept = serde_json::to_string(event).expect("events can be kept");
                assert!(!kept.contains("\\u0000"), "PostgreSQL keeps no NUL: {kept}");
                let again = serde_json::from_str(&kept).expect("kept events can be read");
                assert_eq!(*event, again, "what is kept is what was read");
            }
            assert_eq!(provider.parse(signed, &route).as_ref(), Ok(&parsed), "twice the same");
            format!("{} events, {} broken", parsed.events.len(), parsed.broken.len())
        }
    }
}

/// Cut at many places, and with one byte replaced at many: nothing may panic.
fn damage(provider: &dyn Provider, body: &[u8]) {
    let mut seed = body.len() as u64 + 1;
    for n in 0..48 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if body.is_empty() {
            return;
        }
        let at = usize::try_from((seed >> 33) % body.len() as u64).expect("within the body");
        let mut damaged = body.to_vec();
        damaged[at] = [b'"', b'{', b'[', b'\\', 0, 0xff, b'9', b'-'][n % 8];
        read(provider, &Signed::from_journal(&damaged));
        read(provider, &Signed::from_journal(&body[..at]));
    }
}

#[test]
fn every_body_passes_gate_and_parser() {
    for (kind, word) in KINDS {
        let provider = adapter(kind, None).expect("the default mapping is right");
        let expected_at = folder("corpus").join(word).join("expected.json");
        let kept = bodies(&folder("corpus").join(word));
        assert!(kept.len() > 30, "the corpus of {word} is there");
        let mut outcomes = BTreeMap::new();
        let scheme = provider.hmac_scheme();
        let (hmac, header) =
            (gate(AuthMode::Hmac, scheme.clone()), gate(AuthMode::PathAndHeader, scheme.clone()));
        for (name, body) in &kept {
            let signed = signature(&scheme, body);
            let (verified, _) = hmac
                .check(&Sent { path: None, header: &signed }, body)
                .unwrap_or_else(|| panic!("{word}/{name} is signed"));
            assert_eq!(verified.body(), body, "byte for byte");
            let bearer = format!("Bearer {SECRET}");
            assert!(header.check(&Sent { path: Some(SECRET), header: &bearer }, body).is_some());
            assert!(header.check(&Sent { path: None, header: &bearer }, body).is_none());
            outcomes.insert(name.clone(), read(&*provider, &verified));
            damage(&*provider, body);
        }
        for (name, body) in bodies(&folder("fixtures").join(word)) {
            if !name.contains("vectors") {
                let outcome = read(&*provider, &Signed::from_journal(&body));
                assert!(outcome.ends_with(" 0 broken"), "{word}/{name}: {outcome}");
            }
            damage(&*provider, &body);
        }
        let text = serde_json::to_string_pretty(&outcomes).expect("it is JSON") + "\n";
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            std::fs::write(&expected_at, &text).expect("it can be written");
        }
        let expected = std::fs::read_to_string(&expected_at)
            .unwrap_or_else(|error| panic!("{}: {error}", expected_at.display()));
        let expected: BTreeMap<String, String> = serde_json::from_str(&expected).expect("JSON");
        assert_eq!(outcomes, expected, "{word}");
    }
}

#[test]
fn every_odd_signature_is_refused() {
    let odd = std::fs::read_to_string(folder("corpus/signatures.txt")).expect("it is there");
    assert!(odd.lines().count() > 15);
    for (kind, word) in KINDS {
        let own = adapter(kind, None).expect("the default mapping is right").hmac_scheme();
        for encoding in [Encoding::Hex, Encoding::Base64] {
            for strict in [true, false] {
                let scheme = HmacScheme { encoding, strict, ..own.clone() };
                for mode in [
                    AuthMode::Hmac,
                    AuthMode::Header,
                    AuthMode::PathAndHmac,
                    AuthMode::HeaderAndHmac,
                ] {
                    let gate = gate(mode, scheme.clone());
                    for value in odd.lines() {
                        for path in [None, Some(""), Some(SECRET)] {
                            let sent = Sent { path, header: value };
                            assert!(
                                gate.check(&sent, b"{}").is_none(),
                                "{word} {mode:?}: {value:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}
