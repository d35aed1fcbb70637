//! Each class of outcome against a real server on loopback.

mod changes;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wabridge_domain::content::{Content, Text};

use super::*;
use crate::{HttpOptions, Provider, WebhookHeader, Whapi, http_client};

const TOKEN: &str = "canary-token-88141";

/// What the mock saw: method, path with query, authorization, body.
type Seen = Arc<Mutex<Vec<(String, String, String, Value)>>>;

/// Status, headers, body.
type Reply = (u16, Vec<(&'static str, String)>, String);

/// A server that gives the answers in turn, the last one for ever.
async fn mock(answers: Vec<Reply>) -> (String, Seen) {
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let app = Router::new().fallback(move |request: Request| {
        let record = Arc::clone(&record);
        let answers = answers.clone();
        async move {
            let (head, body) = request.into_parts();
            let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let authorization = head.headers["authorization"].to_str().unwrap().to_owned();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let n = {
                let mut record = record.lock().unwrap();
                record.push((head.method.to_string(), head.uri.to_string(), authorization, body));
                record.len()
            };
            let (status, headers, body) = answers[(n - 1).min(answers.len() - 1)].clone();
            let mut response: Response =
                (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (base, seen)
}

async fn answering(status: u16, body: &str) -> String {
    mock(vec![(status, vec![], body.to_owned())]).await.0
}

/// A server that writes these bytes after one read of the request, waits, and closes.
async fn raw(answer: &'static str, then_wait: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                tokio::time::sleep(then_wait).await;
            });
        }
    });
    base
}

const AT_ONCE: Duration = Duration::ZERO;
const TOO_LONG: Duration = Duration::from_secs(30);

fn client() -> reqwest::Client {
    http_client(&HttpOptions {
        connect_timeout: Duration::from_millis(500),
        ..HttpOptions::default()
    })
    .unwrap()
}

fn outgoing() -> Outgoing {
    let text = Text { body: "hello".into(), preview: None, mentions: vec![] };
    Outgoing {
        chat_id: "447700900123@s.whatsapp.net".into(),
        content: Content::text(text).unwrap(),
        quoted_id: None,
        file: None,
        reference: "wabridge:demo:1:1".into(),
    }
}

fn call<'a>(http: &'a reqwest::Client, base: &'a str, token: &'a Secret) -> Call<'a> {
    Call {
        http,
        base_url: Some(base),
        token,
        channel_id: Some("HERON-K42QX"),
        request_id: "r-1",
        timeout: Duration::from_millis(1500),
    }
}

async fn send_to(base: &str, outgoing: Outgoing) -> Result<Accepted, SendError> {
    let (http, token) = (client(), Secret::new(TOKEN));
    Whapi.send(&call(&http, base, &token), &outgoing).await
}

async fn outcome(base: &str) -> Result<Accepted, SendError> {
    send_to(base, outgoing()).await
}

async fn outcome_of(status: u16, body: &str) -> SendError {
    outcome(&answering(status, body).await).await.unwrap_err()
}

fn error_body(message: &str) -> String {
    json!({"error": {"code": 1, "message": message, "details": format!("with {TOKEN}"), "href": "https://x"}}).to_string()
}

const ACCEPTED: &str =
    r#"{"sent":true,"message":{"id":"Pw7-gLw","status":"pending","type":"text"}}"#;

#[tokio::test]
async fn accepted() {
    let (base, seen) = mock(vec![(200, vec![], ACCEPTED.into())]).await;
    let accepted = outcome(&format!("{base}/prefix/")).await.unwrap();
    assert_eq!(
        accepted,
        Accepted { message_id: Some("Pw7-gLw".into()), word: StatusWord::Pending, chat_id: None }
    );
    let text = Text {
        body: "hi @447700900999".into(),
        preview: Some(false),
        mentions: vec!["+44 7700 900999".into(), "447700900777@s.whatsapp.net".into()],
    };
    let full = Outgoing {
        content: Content::text(text).unwrap(),
        quoted_id: Some("Q-1".into()),
        file: None,
        ..outgoing()
    };
    send_to(&base, full).await.unwrap();
    let shown = Text { body: "hello".into(), preview: Some(true), mentions: vec![] };
    send_to(&base, Outgoing { content: Content::text(shown).unwrap(), ..outgoing() })
        .await
        .unwrap();

    let seen = seen.lock().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let to = "447700900123@s.whatsapp.net";
    assert_eq!(
        seen[0],
        (
            "POST".into(),
            "/prefix/messages/text".into(),
            bearer.clone(),
            json!({"to": to, "body": "hello"})
        )
    );
    assert_eq!(
        seen[1].3,
        json!({"to": to, "body": "hi @447700900999", "quoted": "Q-1", "no_link_preview": true,
            "mentions": ["447700900999", "447700900777"]})
    );
    assert_eq!((seen[1].1.as_str(), &seen[1].2), ("/messages/text", &bearer));
    assert_eq!(seen[2].3, json!({"to": to, "body": "hello"}));
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn the_word_of_the_answer_counts() {
    let word = async |message: &str| {
        let base = answering(200, &format!(r#"{{"sent":true,"message":{message}}}"#)).await;
        outcome(&base).await.unwrap().word
    };
    assert_eq!(word(r#"{"id":"A","status":"sent"}"#).await, StatusWord::Sent);
    assert_eq!(word(r#"{"id":"A","status":"pondered"}"#).await, StatusWord::Pending);
    assert_eq!(word(r#"{"id":"A","timestamp":1e999,"text":"\ud83d"}"#).await, StatusWord::Pending);
}

#[tokio::test]
async fn refusals_are_final() {
    let body = error_body("bad body");
    for (status, kind) in [
        (400, Kind::ProviderRejected),
        (403, Kind::ProviderRejected),
        (404, Kind::ProviderRejected),
        (413, Kind::InvalidContent),
        (415, Kind::MediaTypeUnsupported),
        (422, Kind::ProviderRejected),
    ] {
        let message = "bad body: with [redacted]".to_owned();
        assert_eq!(
            outcome_of(status, &body).await,
            SendError::Refused { kind, message },
            "{status}"
        );
        // The status alone decides where the body says nothing.
        let error = outcome_of(status, "<html>").await;
        assert!(
            matches!(error, SendError::Refused { kind: k, .. } if k == kind),
            "{status}: {error:?}"
        );
    }
    for status in [400, 404] {
        for message in ["Chat not found", "wrong value of \"to\"", "Specified contact not found"] {
            let error = outcome_of(status, &error_body(message)).await;
            assert!(
                matches!(error, SendError::Refused { kind: Kind::InvalidRecipient, .. }),
                "{error:?}"
            );
        }
    }
    let not_sent = outcome_of(200, r#"{"sent":false,"error":{"message":"blocked"}}"#).await;
    assert_eq!(
        not_sent,
        SendError::Refused { kind: Kind::ProviderRejected, message: "blocked".into() }
    );
    assert!(matches!(outcome_of(200, r#"{"sent":false}"#).await, SendError::Refused { .. }));
}

#[tokio::test]
async fn an_account_that_is_down_holds_the_message() {
    for (status, message, state) in [
        (401, "Need channel authorization for send message", AccountState::QrNeeded),
        (402, "Trial version limit exceeded", AccountState::Disconnected),
        (404, "Channel not found", AccountState::TokenDead),
        (301, "moved", AccountState::Disconnected),
        (308, "moved", AccountState::Disconnected),
    ] {
        let error = outcome_of(status, &error_body(message)).await;
        assert!(
            matches!(error, SendError::AccountDown { state: s, .. } if s == state),
            "{status}: {error:?}"
        );
    }
    for wrong in ["ftp://127.0.0.1", "nonsense"] {
        let error = outcome(wrong).await.unwrap_err();
        assert!(matches!(error, SendError::AccountDown { state: AccountState::Disconnected, .. }));
    }
    let http = client();
    let token = Secret::new("with\nnewline");
    let error =
        Whapi.send(&call(&http, "http://127.0.0.1:1", &token), &outgoing()).await.unwrap_err();
    assert!(matches!(error, SendError::AccountDown { state: AccountState::TokenDead, .. }));
}

#[tokio::test]
async fn too_many_requests_in_both_forms() {
    let limited = async |headers: Vec<(&'static str, String)>| {
        let (base, _) = mock(vec![(429, headers, "slow down".into())]).await;
        match outcome(&base).await.unwrap_err() {
            SendError::RateLimited { retry_after } => retry_after,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(limited(vec![]).await, None);
    assert_eq!(limited(vec![("retry-after", "7".into())]).await, Some(Duration::from_secs(7)));
    let dates = vec![
        ("date", "Mon, 15 Dec 2025 12:00:00 GMT".to_owned()),
        ("retry-after", "Mon, 15 Dec 2025 12:01:30 GMT".to_owned()),
    ];
    assert_eq!(limited(dates).await, Some(Duration::from_secs(90)));
}

#[tokio::test]
async fn whatever_may_have_taken_effect_is_uncertain() {
    for status in [302, 303, 408, 409, 500, 502, 503, 504, 599] {
        let error = outcome_of(status, &error_body("internal")).await;
        assert!(matches!(error, SendError::Uncertain { .. }), "{status}: {error:?}");
    }
    let long = format!("{{\"sent\":true,\"x\":\"{}\"}}", "x".repeat(2 << 20));
    let endless = format!(r#"{{"sent":true,"message":{{"id":"{}"}}}}"#, "x".repeat(300));
    for body in [
        &endless,
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"sent":true}"#,
        r#"{"sent":true,"message":{"id":7}}"#,
        &long,
    ] {
        let error = outcome_of(200, body).await;
        assert!(matches!(error, SendError::Uncertain { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_broken_connection_is_uncertain() {
    let cut = raw("", AT_ONCE).await;
    let truncated =
        raw("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"sent\":true,", AT_ONCE).await;
    let garbage = raw("SSH-2.0-x\r\n\r\n", AT_ONCE).await;
    let slow = raw("", TOO_LONG).await;
    let slow_body = raw("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{", TOO_LONG).await;
    for (base, reason) in [
        (cut, Lost::Cut),
        (truncated, Lost::Cut),
        (garbage, Lost::Cut),
        (slow, Lost::TimedOut),
        (slow_body, Lost::TimedOut),
    ] {
        let expected = SendError::Uncertain { reason: reason.as_str().into() };
        assert_eq!(outcome(&base).await, Err(expected));
    }
    // The status decides where it is a refusal, however little of the rest arrived.
    let refused = raw("HTTP/1.1 403 No\r\ncontent-length: 500\r\n\r\n{", AT_ONCE).await;
    assert!(matches!(outcome(&refused).await, Err(SendError::Refused { .. })));
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let refused = SendError::NotSent { reason: "the connection was refused".into() };
    assert_eq!(outcome(&closed).await, Err(refused));
    // A server that speaks no TLS: the handshake fails before the request.
    let plain = raw("HTTP/1.1 400 Bad\r\n\r\n", AT_ONCE).await;
    let error = outcome(&plain.replace("http:", "https:")).await.unwrap_err();
    assert!(matches!(&error, SendError::NotSent { .. }), "{error:?}");
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    let nowhere = outcome("http://no-such-host.invalid").await.unwrap_err();
    assert!(
        matches!(&nowhere, SendError::NotSent { reason } if !reason.contains("invalid")),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_makes_one_call() {
    // The server closes each connection after its first answer without saying so.
    let (base, seen) = {
        let seen = Arc::new(Mutex::new(0));
        let count = Arc::clone(&seen);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = vec![0; 64 * 1024];
                if stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    *count.lock().unwrap() += 1;
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{ACCEPTED}",
                    ACCEPTED.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
            }
        });
        (base, seen)
    };
    let (http, token) = (client(), Secret::new(TOKEN));
    for n in 1..=20 {
        Whapi.send(&call(&http, &base, &token), &outgoing()).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), n, "one send, one request");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn health_is_passive_and_reads_the_word() {
    let body = |text: &str| {
        json!({"start_at": 1, "uptime": 2, "status": {"code": 77, "text": text},
            "user": {"id": "447700900999", "name": "Acme Support"}})
        .to_string()
    };
    let (base, seen) = mock(vec![(200, vec![], body("AUTH"))]).await;
    let (http, token) = (client(), Secret::new(TOKEN));
    let health = Whapi.health(&call(&http, &base, &token)).await.unwrap();
    let expected = Health {
        state: AccountState::Connected,
        reason: Some("AUTH".into()),
        phone: Some("+447700900999".into()),
        name: Some("Acme Support".into()),
    };
    assert_eq!(health, expected);
    assert_eq!(seen.lock().unwrap()[0].1, "/health?wakeup=false");

    for (status, body, state) in [
        (200, body("QR"), AccountState::QrNeeded),
        (200, body("STOP"), AccountState::Disconnected),
        (200, body("HIBERNATE"), AccountState::Disconnected),
        (401, error_body("no"), AccountState::QrNeeded),
        (402, error_body("no"), AccountState::Disconnected),
        (404, error_body("Channel not found"), AccountState::TokenDead),
    ] {
        let base = answering(status, &body).await;
        let health = Whapi.health(&call(&http, &base, &token)).await.unwrap();
        assert_eq!(health.state, state, "{status} {body}");
        assert!(!format!("{health:?}").contains(TOKEN));
    }
    for (status, body, kind) in [
        (200, "{}", Kind::ProviderUnavailable),
        (200, "<html>", Kind::ProviderUnavailable),
        (500, "", Kind::ProviderUnavailable),
        (429, "", Kind::ProviderRateLimited),
        (403, "", Kind::ProviderRejected),
    ] {
        let base = answering(status, body).await;
        let error = Whapi.health(&call(&http, &base, &token)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {body}");
    }
    let slow = raw("", TOO_LONG).await;
    let error = Whapi.health(&call(&http, &slow, &token)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ProviderTimeout);
}

fn target(url: &str, header: Option<(&str, &str)>) -> WebhookTarget {
    WebhookTarget {
        url: url.into(),
        header: header
            .map(|(name, value)| WebhookHeader { name: name.into(), value: Secret::new(value) }),
        verify_token: None,
    }
}

const OURS: &str = "https://bridge.example/whatsapp/webhook/whapi/tok";

#[tokio::test]
async fn a_webhook_is_merged_by_its_url() {
    let others = json!([
        {"url": "https://other.example/a", "mode": "path", "events": [], "unknown": 7},
        {"url": format!("{OURS}?old=1"), "mode": "method", "headers": {"X-Old": "1"}, "batch": true},
        {"url": format!("{OURS}?old=2")},
        {"no_url": true},
    ]);
    let settings = json!({"webhooks": others, "callback_persist": false}).to_string();
    let (base, seen) = mock(vec![(200, vec![], settings), (200, vec![], "{}".into())]).await;
    let (http, token) = (client(), Secret::new(TOKEN));
    let target = target(OURS, Some(("authorization", "s3cret")));
    Whapi.register_webhook(&call(&http, &base, &token), &target).await.unwrap();
    let written = {
        let seen = seen.lock().unwrap();
        assert_eq!((seen[0].0.as_str(), seen[0].1.as_str()), ("GET", "/settings"));
        assert_eq!((seen[1].0.as_str(), seen[1].1.as_str()), ("PATCH", "/settings"));
        assert_eq!(seen.len(), 2);
        seen[1].3.clone()
    };
    assert_eq!(written.as_object().unwrap().len(), 1, "other settings stay as they are");
    let list = written["webhooks"].as_array().unwrap();
    assert_eq!(list.len(), 3);
    assert_eq!((&list[0], &list[2]), (&others[0], &others[3]));
    assert_eq!(list[1]["url"], OURS);
    assert_eq!(list[1]["mode"], "body");
    assert_eq!(list[1]["batch"], true);
    assert_eq!(list[1]["headers"], json!({"Authorization": "Bearer s3cret"}));
    assert!(
        list[1]["events"]
            .as_array()
            .unwrap()
            .contains(&json!({"type": "statuses", "method": "post"}))
    );

    // Once it stands there, repeating it writes nothing.
    let (base, seen) = mock(vec![(200, vec![], written.to_string())]).await;
    Whapi.register_webhook(&call(&http, &base, &token), &target).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[test]
fn a_first_webhook_and_other_headers() {
    let merged = merge(&[], &target(OURS, Some(("X-Bridge", "s3cret")))).unwrap();
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0]["headers"], json!({"X-Bridge": "s3cret"}));
    assert_eq!(merge(&[], &target(OURS, None)).unwrap()[0]["headers"], json!({}));
    assert!(matches!(merge(&[], &target("nowhere", None)), Err(CallError::Refused { .. })));
}

#[tokio::test]
async fn a_webhook_list_that_cannot_be_read_is_not_overwritten() {
    let (http, token) = (client(), Secret::new(TOKEN));
    for (settings, status) in [(r#"{"webhooks":"x"}"#, 200), ("<html>", 200), ("", 500)] {
        let (base, seen) = mock(vec![(status, vec![], settings.into())]).await;
        let error = Whapi.register_webhook(&call(&http, &base, &token), &target(OURS, None)).await;
        assert!(matches!(error, Err(CallError::Unavailable { .. })), "{error:?}");
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
    let base = answering(404, &error_body("Channel not found")).await;
    let error =
        Whapi.register_webhook(&call(&http, &base, &token), &target(OURS, None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ProviderAuthFailed);
    assert!(!format!("{error} {error:?}").contains(TOKEN));
}

#[tokio::test]
async fn files_are_had_by_their_link_or_afresh_by_their_id() {
    let (http, token) = (client(), Secret::new(TOKEN));
    let call = call(&http, "https://gate.example", &token);
    let media = |url: Option<&str>| MediaRef {
        id: Some("jpeg-1-80".into()),
        url: url.map(str::to_owned),
        ..MediaRef::default()
    };
    let link = media(Some("https://media.example.net/x.jpeg"));
    let given = media_address(&call, &link, false).unwrap();
    assert_eq!((given.url.as_str(), given.own), ("https://media.example.net/x.jpeg", false));
    assert!(given.authorization.is_none(), "the token is not for others");
    let own = media_address(&call, &media(Some("https://gate.example/files/x")), false).unwrap();
    assert!(own.own && own.authorization.is_none());
    for fresh in [media_address(&call, &link, true), media_address(&call, &media(None), false)] {
        let fresh = fresh.unwrap();
        assert_eq!(fresh.url, "https://gate.example/media/jpeg-1-80");
        assert!(fresh.own);
        assert_eq!(fresh.authorization.unwrap().expose(), format!("Bearer {TOKEN}"));
    }
    assert!(matches!(
        media_address(&call, &MediaRef::default(), true),
        Err(CallError::Refused { .. })
    ));
}
