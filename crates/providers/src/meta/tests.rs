use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use wabridge_domain::webhook::{AuthMode, Gate, Presented};

use super::*;

struct Request<'a>(Option<(&'a str, &'a str)>);

impl Presented for Request<'_> {
    fn path_token(&self) -> Option<&str> {
        None
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.0.filter(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

fn gate(secrets: &[&str]) -> Gate {
    Gate {
        mode: AuthMode::from_column(None, ProviderKind::Meta),
        path_tokens: vec![],
        header: "authorization".into(),
        header_prefix: None,
        header_secrets: vec![],
        hmac: Meta.hmac_scheme(),
        hmac_secrets: secrets.iter().map(|secret| Secret::new(*secret)).collect(),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn signatures() {
    let vectors = json(include_str!("../../fixtures/meta/signature_vectors.json"));
    assert_eq!(text(&vectors, "header_name").to_lowercase(), Meta.hmac_scheme().header);
    let cases = vectors["vectors"].as_array().unwrap();
    assert_eq!(cases.len(), 15);
    for case in cases {
        let name = text(case, "name");
        let body = BASE64_STANDARD.decode(text(case, "body_base64")).unwrap();
        let header = ("x-hub-signature-256", text(case, "header"));
        let passes = |gate: &Gate| gate.check(&Request(Some(header)), &body).is_some();
        // Upper-case digits are the same number; nothing is gained by refusing them.
        let expected = case["valid"].as_bool().unwrap_or(true);
        let secret = text(case, "app_secret");
        assert_eq!(passes(&gate(&[secret])), expected, "{name}");
        assert_eq!(passes(&gate(&["other", secret])), expected, "{name}, while secrets rotate");
        assert!(!passes(&gate(&["other"])), "{name} with another secret");
        assert!(!passes(&gate(&[""])) && !passes(&gate(&[])), "{name} without a secret");
        assert!(gate(&[secret]).check(&Request(None), &body).is_none(), "{name} unsigned");
        // The older header is none, whatever it holds.
        let legacy = ("x-hub-signature", text(case, "header"));
        assert!(gate(&[secret]).check(&Request(Some(legacy)), &body).is_none(), "{name}");
    }
}

#[test]
fn handshakes() {
    let vectors = json(include_str!("../../fixtures/meta/verify_handshake_vectors.json"));
    let configured = Secret::new(text(&vectors, "verify_token_configured"));
    for case in vectors["vectors"].as_array().unwrap() {
        let url = url::Url::parse(&format!("http://h/?{}", text(case, "query"))).unwrap();
        let query: Vec<(String, String)> =
            url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        let answer = Meta
            .handshake(&query)
            .filter(|asked| configured.matches(asked.verify_token.expose().as_bytes()))
            .map(|asked| asked.challenge);
        let expected = (case["status"] == 200).then(|| text(case, "body").to_owned());
        assert_eq!(answer, expected, "{}", text(case, "name"));
    }
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let twice = [
        pair("hub.mode", "subscribe"),
        pair("hub.verify_token", "a"),
        pair("hub.verify_token", "b"),
        pair("hub.challenge", "1"),
    ];
    assert!(Meta.handshake(&twice).is_none());
}

fn chat(to: &str) -> Result<(String, ChatKind), Kind> {
    let to = Recipient::parse(to, None).map_err(|refusal| refusal.kind)?;
    Meta.chat(&to).map(|chat| (chat.id, chat.kind)).map_err(|refusal| refusal.kind)
}

#[test]
fn recipients_become_chats() {
    let direct = Ok(("447700900123".to_owned(), ChatKind::Direct));
    for to in
        ["+44 7700 900123", "447700900123", "447700900123@c.us", "447700900123@s.whatsapp.net"]
    {
        assert_eq!(chat(to), direct, "{to}");
    }
    let hidden = "GB.10293847561029384756";
    assert_eq!(chat(hidden), Ok((hidden.to_owned(), ChatKind::Direct)));
    let group = "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD";
    assert_eq!(chat(group), Ok((group.to_owned(), ChatKind::Group)));
    for to in ["120363025550100777@g.us", "1@lid", "12@c.us", "call me", "x@s.whatsapp.net"] {
        assert_eq!(chat(to), Err(Kind::InvalidRecipient), "{to}");
    }
}

#[test]
fn persons_of_direct_chats() {
    assert_eq!(Meta.person("447700900123").unwrap().phone.as_deref(), Some("+447700900123"));
    assert_eq!(Meta.person("GB.7").unwrap().user_id.as_deref(), Some("GB.7"));
    assert_eq!(Meta.person("Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD"), None);
}
