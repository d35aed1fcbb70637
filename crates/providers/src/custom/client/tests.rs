//! Each class of outcome against a real server on loopback.

mod contents;

use std::time::Duration;

use serde_json::json;
use wabridge_domain::content::{Content, Text};

use super::*;
use crate::Provider;
use crate::custom::Custom;
use crate::custom::tests::blocks;
use crate::mock::{self, TOKEN, reply, server};

const CHAT: &str = "447700900123@s.whatsapp.net";

fn outgoing(chat_id: &str, quoted_id: Option<&str>) -> Outgoing {
    let text = Text { body: "Thank you".into(), preview: None, mentions: vec![] };
    Outgoing {
        chat_id: chat_id.into(),
        content: Content::text(text).unwrap(),
        quoted_id: quoted_id.map(str::to_owned),
        reference: "wabridge:demo:1:1".into(),
        file: None,
    }
}

async fn send(mapping: &str, base: &str, outgoing: &Outgoing) -> Result<Accepted, SendError> {
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let custom = Custom::new(mapping).unwrap();
    custom.send(&mock::call(&http, base, &token, "L-7"), outgoing).await
}

async fn outcome(mapping: &str, status: u16, body: &str) -> Result<Accepted, SendError> {
    let (base, _) = server(vec![reply(status, body)]).await;
    send(mapping, &base, &outgoing(CHAT, None)).await
}

#[tokio::test]
async fn the_generic_send() {
    let (base, seen) =
        server(vec![reply(200, r#"{"message":{"id":"B7","status":"queued"}}"#)]).await;
    let sent = send("", &base, &outgoing("1234567890@s.whatsapp.net", Some("A1"))).await;
    let accepted =
        Accepted { message_id: Some("B7".into()), word: StatusWord::Pending, chat_id: None };
    assert_eq!(sent, Ok(accepted));
    send("", &base, &outgoing("120363025550100777@g.us", None)).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[0].line(), "POST /messages");
    assert_eq!(seen[0].header("authorization"), format!("Bearer {TOKEN}"));
    let mut expected: Value = serde_json::from_str(&blocks("The generic format")[6]).unwrap();
    expected["body"] = json!("Thank you");
    expected["reference"] = json!("wabridge:demo:1:1");
    assert_eq!(seen[0].body, expected);
    assert_eq!(seen[1].body.get("quoted_id"), None, "what has no value is left out");
}

#[tokio::test]
async fn the_send_of_the_worked_example() {
    let blocks = blocks("A worked example");
    let (base, seen) = server(vec![reply(201, r#"{"result":{"key":"K9"}}"#)]).await;
    let base = format!("{base}/eu/");
    let answer = outgoing("120363025550100777@g.us", Some("K1"));
    let accepted =
        Accepted { message_id: Some("K9".into()), word: StatusWord::Pending, chat_id: None };
    assert_eq!(send(&blocks[0], &base, &answer).await, Ok(accepted));
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let call = mock::call(&http, &base, &token, "L-7");
    let read = ReadMark { chat_id: "447700900123@c.us", message_ids: &["K0", "K1"] };
    let custom = Custom::new(&blocks[0]).unwrap();
    custom.mark_read(&call, &read).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[0].line(), "POST /eu/api/v2/lines/L-7/messages");
    assert_eq!(seen[0].header("x-lark-key"), TOKEN);
    assert_eq!(seen[0].header("authorization"), "");
    assert_eq!(seen[0].header("x-request-id"), "wabridge:demo:1:1");
    assert_eq!(seen[0].body, serde_json::from_str::<Value>(&blocks[2]).unwrap());
    assert_eq!(seen[1].line(), "PUT /eu/api/v2/lines/L-7/chats/447700900123@c.us/read");
    assert_eq!(seen[1].body, json!({"until": "K1"}));
}

#[tokio::test]
async fn answers_and_what_the_mapping_says_of_them() {
    let uncertain = |outcome| matches!(outcome, Err(SendError::Uncertain { .. }));
    for (status, body) in [
        (200, ""),
        (200, "<html>"),
        (200, "{}"),
        (204, ""),
        (302, ""),
        (408, ""),
        (409, ""),
        (500, ""),
        (503, r#"{"message":"later"}"#),
    ] {
        assert!(uncertain(outcome("", status, body).await), "{status} {body}");
    }
    let refused = |kind, message: &str| Err(SendError::Refused { kind, message: message.into() });
    let down =
        |state, message: &str| Err(SendError::AccountDown { state, message: message.into() });
    let error = format!(r#"{{"error":{{"message":"not with {TOKEN}"}}}}"#);
    for (mapping, status, body, expected) in [
        ("", 400, error.as_str(), refused(Kind::ProviderRejected, "not with [redacted]")),
        ("", 404, "", refused(Kind::ProviderRejected, "no reason given")),
        ("", 413, "", refused(Kind::InvalidContent, "the message is too large")),
        ("", 401, "", down(AccountState::TokenDead, "the provider does not know this token")),
        (
            "",
            308,
            "",
            down(
                AccountState::Disconnected,
                "the account's base URL answers with a redirect; correct it",
            ),
        ),
        ("", 429, "", Err(SendError::RateLimited { retry_after: None })),
        (
            r#"{"api":{"answers":{"503":"not_accepted"}}}"#,
            503,
            r#"{"message":"later"}"#,
            Err(SendError::NotAccepted { message: "later".into(), retry_after: None }),
        ),
        (
            r#"{"api":{"answers":{"400":"account_down"}}}"#,
            400,
            "",
            down(AccountState::Disconnected, "the provider answered 400 Bad Request"),
        ),
        (
            r#"{"api":{"answers":{"403":"token_dead"},"error":null}}"#,
            403,
            "",
            down(AccountState::TokenDead, "the provider answered 403 Forbidden"),
        ),
        (
            "",
            200,
            r#"{"message":{"id":"B7","status":"failed"},"error":"blocked"}"#,
            refused(Kind::ProviderRejected, "blocked"),
        ),
        (
            r#"{"api":{"send_text":{"path":"/m","body":{"t":"{text}","c":"{chat_id}"},"message_id":null}}}"#,
            202,
            "",
            Ok(Accepted { message_id: None, word: StatusWord::Pending, chat_id: None }),
        ),
    ] {
        assert_eq!(outcome(mapping, status, body).await, expected, "{mapping} {status}");
    }
    assert!(uncertain(outcome(r#"{"api":{"answers":{"400":"uncertain"}}}"#, 400, "").await));
    let late = server(vec![(429, vec![("retry-after", "7".into())], String::new())]).await.0;
    let late = send("", &late, &outgoing(CHAT, None)).await;
    assert_eq!(late, Err(SendError::RateLimited { retry_after: Some(Duration::from_secs(7)) }));
    let nobody = send("", &mock::nobody().await, &outgoing(CHAT, None)).await;
    assert!(matches!(nobody, Err(SendError::NotSent { .. })));
    let cut = mock::raw("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{", Duration::ZERO).await;
    assert!(uncertain(send("", &cut, &outgoing(CHAT, None)).await));
}

#[tokio::test]
async fn calls_that_cannot_be_made() {
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let down = |outcome: Result<Accepted, SendError>| match outcome {
        Err(SendError::AccountDown { message, .. }) => message,
        other => panic!("{other:?}"),
    };
    let custom = Custom::new("").unwrap();
    let mut call = mock::call(&http, "ftp://x", &token, "L-7");
    assert!(down(custom.send(&call, &outgoing(CHAT, None)).await).contains("no http(s) address"));
    call.base_url = None;
    assert!(down(custom.send(&call, &outgoing(CHAT, None)).await).contains("no base URL"));
    let odd = Secret::new("line\nbreak");
    let call = mock::call(&http, "http://127.0.0.1:9", &odd, "L-7");
    assert!(down(custom.send(&call, &outgoing(CHAT, None)).await).contains("token"));
    let path = r#"{"api":{"send_text":{"path":"/{phone}/m","body":"{text}"}}}"#;
    let to_group = send(path, "http://127.0.0.1:9", &outgoing("x@g.us", None)).await;
    assert!(down(to_group).contains("needs a value"));
    let none =
        send(r#"{"api":{"send_text":null}}"#, "http://127.0.0.1:9", &outgoing(CHAT, None)).await;
    assert!(matches!(none, Err(SendError::Refused { kind: Kind::UnsupportedByProvider, .. })));
}

#[tokio::test]
async fn health() {
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let ask = async |mapping: &str, status: u16, body: &str| {
        let (base, _) = server(vec![reply(status, body)]).await;
        Custom::new(mapping).unwrap().health(&mock::call(&http, &base, &token, "L-7")).await
    };
    let body = r#"{"state":"connected","phone":"447700900999","name":"Acme"}"#;
    let health = ask("", 200, body).await.unwrap();
    assert_eq!(
        (health.state, health.phone.as_deref()),
        (AccountState::Connected, Some("+447700900999"))
    );
    assert_eq!(
        (health.reason.as_deref(), health.name.as_deref()),
        (Some("connected"), Some("Acme"))
    );
    let tomorrow = ask("", 200, r#"{"state":"warp"}"#).await.unwrap();
    assert_eq!(tomorrow.state, AccountState::Disconnected);
    let dead = ask("", 401, "").await.unwrap();
    assert_eq!(dead.state, AccountState::TokenDead);
    assert_eq!(ask("", 200, "{}").await.unwrap_err().kind(), Kind::ProviderUnavailable);
    assert_eq!(ask("", 500, "").await.unwrap_err().kind(), Kind::ProviderUnavailable);
    let plain = r#"{"api":{"health":{"path":"/ping"}}}"#;
    assert_eq!(ask(plain, 204, "").await.unwrap().state, AccountState::Connected);
    let none = ask(r#"{"api":{"health":null}}"#, 200, "").await.unwrap_err();
    assert_eq!(none.kind(), Kind::UnsupportedByProvider);
    let lark = &blocks("A worked example")[0];
    let scan = ask(lark, 200, r#"{"state":"scan","number":"+447700900999"}"#).await.unwrap();
    assert_eq!(
        (scan.state, scan.phone.as_deref()),
        (AccountState::QrNeeded, Some("+447700900999"))
    );
}

#[tokio::test]
async fn files() {
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let call = mock::call(&http, "https://api.example/v1", &token, "L-7");
    let of = |id: Option<&str>, url: Option<&str>| MediaRef {
        id: id.map(str::to_owned),
        url: url.map(str::to_owned),
        ..MediaRef::default()
    };
    let header = r#"{"api":{"auth":{"mode":"header","name":"x-key"}}}"#;
    let bearer = format!("Bearer {TOKEN}");
    for (mapping, media, fresh, expected, own, authorization) in [
        (
            "",
            of(Some("F1"), Some("https://cdn.example/F1")),
            false,
            "https://cdn.example/F1",
            false,
            None,
        ),
        (
            "",
            of(Some("F1"), Some("https://cdn.example/F1")),
            true,
            "https://api.example/v1/media/F1",
            true,
            Some(&bearer),
        ),
        (
            "",
            of(None, Some("/files/F1")),
            false,
            "https://api.example/files/F1",
            true,
            Some(&bearer),
        ),
        (header, of(None, Some("/files/F1")), false, "https://api.example/files/F1", true, None),
        (
            "",
            of(Some("a/../b"), None),
            false,
            "https://api.example/v1/media/a%2F..%2Fb",
            true,
            Some(&bearer),
        ),
    ] {
        let custom = Custom::new(mapping).unwrap();
        let address = custom.media_address(&call, &media, fresh).await.unwrap();
        assert_eq!((address.url.as_str(), address.own), (expected, own));
        let told = address.authorization.map(|value| value.expose().to_owned());
        assert_eq!(told.as_ref(), authorization, "{expected}");
    }
    let none = Custom::new(r#"{"api":{"media":null}}"#).unwrap();
    assert!(none.media_address(&call, &of(Some("F1"), None), false).await.is_err());
    let custom = Custom::new("").unwrap();
    let read = ReadMark { chat_id: CHAT, message_ids: &["A"] };
    let refused = custom.mark_read(&call, &read).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::UnsupportedByProvider);
}
