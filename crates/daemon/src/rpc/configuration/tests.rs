use wabridge_domain::account::UncertainPolicy;
use wabridge_domain::webhook::{Encoding, Gate, HmacScheme};
use wabridge_domain::{ProviderKind, Secret};

use super::*;

fn account(mode: AuthMode, token: Option<&str>, secret: Option<&str>) -> Account {
    Account {
        id: 1,
        name: "Support".into(),
        provider: ProviderKind::Whapi,
        channel_id: None,
        active: true,
        sequence: 10,
        company_id: None,
        base_url: None,
        token: None,
        gate: Gate {
            mode,
            path_tokens: token.map(Secret::new).into_iter().collect(),
            header: "authorization".into(),
            header_prefix: None,
            header_secrets: secret.map(Secret::new).into_iter().collect(),
            hmac: HmacScheme {
                header: "x-sig".into(),
                prefix: String::new(),
                strict: true,
                encoding: Encoding::Hex,
            },
            hmac_secrets: secret.map(Secret::new).into_iter().collect(),
        },
        verify_token: None,
        country: None,
        pace_per_second: 1.0,
        daily_limit: 0,
        uncertain_policy: UncertainPolicy::Hold,
        undo: Duration::ZERO,
        random_gap_s: (0.0, 0.0),
        recipient_gap: Duration::ZERO,
        failure_burst: 0,
        window_policy: wabridge_domain::window::WindowPolicy::from_column(None),
        adapter: crate::accounts::Adapter::new("test", 1, ProviderKind::Whapi, None),
        problems: vec![],
        lost: vec![],
    }
}

const BASE: Option<&str> = Some("https://bridge.example.com/");

#[test]
fn where_webhooks_go() {
    let (full, shown) = target(&account(AuthMode::Header, Some("t-1"), Some("s-1")), BASE).unwrap();
    assert_eq!(full.url, "https://bridge.example.com/whatsapp/webhook/whapi/t-1");
    assert_eq!(shown, "https://bridge.example.com/whatsapp/webhook/whapi/…");
    let header = full.header.unwrap();
    assert_eq!((header.name.as_str(), header.value.expose()), ("authorization", "s-1"));
    let (full, shown) = target(&account(AuthMode::Header, None, Some("s-1")), BASE).unwrap();
    assert_eq!(full.url, "https://bridge.example.com/whatsapp/webhook/whapi");
    assert_eq!(shown, full.url);
}

#[test]
fn what_is_missing_is_named() {
    for (account, base, word) in [
        (account(AuthMode::Header, Some("t"), Some("s")), None, "public_url"),
        (account(AuthMode::Header, Some("t"), Some("s")), Some("bridge.example.com"), "public_url"),
        (account(AuthMode::Header, Some("t"), Some("s")), Some("ftp://example.com"), "public_url"),
        (account(AuthMode::Path, None, Some("s")), BASE, "webhook token"),
        (account(AuthMode::Header, Some("t"), None), BASE, "webhook secret"),
        (account(AuthMode::PathAndHmac, Some("t"), None), BASE, "signatures"),
        (account(AuthMode::Path, Some("a/b"), None), BASE, "do not fit into an address"),
    ] {
        let failure = target(&account, base).unwrap_err();
        assert_eq!(failure.kind(), Kind::InvalidContent);
        assert!(failure.refusal.message.contains(word), "{}", failure.refusal);
    }
}
