//! The unconfirmed signature, against made-up bodies that were signed elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use wabridge_domain::Secret;
use wabridge_domain::webhook::{AuthMode, Gate, Presented};

use crate::{Provider, Wassenger};

struct Request<'a>(Option<&'a str>);

impl Presented for Request<'_> {
    fn path_token(&self) -> Option<&str> {
        Some("p4th")
    }
    fn header(&self, name: &str) -> Option<&str> {
        self.0.filter(|_| name == "x-wassenger-signature")
    }
}

#[test]
fn signatures() {
    let recorded = include_str!("../../fixtures/wassenger/signature_vectors.json");
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    let vectors = recorded["vectors"].as_array().unwrap();
    assert_eq!(
        recorded["header_name"].as_str().unwrap().to_lowercase(),
        Wassenger.hmac_scheme().header
    );
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let body = STANDARD.decode(vector["body_base64"].as_str().unwrap()).unwrap();
        let header = vector["header"].as_str().unwrap();
        let valid = vector["valid"].as_bool().unwrap();
        let mut gate = Gate {
            mode: AuthMode::Hmac,
            path_tokens: vec![Secret::new("p4th")],
            header: "authorization".into(),
            header_prefix: None,
            header_secrets: vec![],
            hmac: Wassenger.hmac_scheme(),
            hmac_secrets: vec![Secret::new(vector["secret"].as_str().unwrap())],
        };
        let opens = |gate: &Gate, header| gate.check(&Request(header), &body).is_some();
        assert_eq!(opens(&gate, Some(header)), valid, "{}", vector["name"]);
        let bare = header.strip_prefix("sha256=").unwrap();
        assert_eq!(opens(&gate, Some(bare)), valid, "bare digits");
        assert!(!opens(&gate, None), "a mode that asks for it does not do without");
        gate.mode = AuthMode::PathAndHmac;
        assert_eq!(opens(&gate, Some(header)), valid);
        gate.mode = AuthMode::Path;
        gate.hmac_secrets = vec![];
        assert!(opens(&gate, None), "off by default");
    }
}
