//! Each class of outcome against a real server on loopback.

use std::time::Duration;

use wabridge_domain::content::{Content, Text};
use wabridge_domain::outgoing::UploadedFile;

use super::*;
use crate::mock::{self, Reply, TOKEN, reply, server};
use crate::{Provider, SentMessage, Upload, Wassenger, WebhookHeader};

const DEVICE: &str = "68a1f0c2d4e5b60718293a4b";
const WID: &str = "3EB0FFEEDDCCBBAA0011";

fn text(body: &str) -> Content {
    Content::text(Text { body: body.into(), preview: None, mentions: vec![] }).unwrap()
}

fn outgoing(chat_id: &str) -> Outgoing {
    Outgoing {
        chat_id: chat_id.into(),
        content: text("hello"),
        quoted_id: None,
        reference: "wabridge:demo:1:1".into(),
        file: None,
    }
}

async fn send_to(base: &str, outgoing: &Outgoing) -> Result<Accepted, SendError> {
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    Wassenger.send(&mock::call(&http, base, &token, DEVICE), outgoing).await
}

async fn outcome(base: &str) -> Result<Accepted, SendError> {
    send_to(base, &outgoing("447700900123@c.us")).await
}

async fn outcome_of(status: u16, body: &str) -> Result<Accepted, SendError> {
    outcome(&server(vec![reply(status, body)]).await.0).await
}

fn record(wa_id: Option<&str>, status: &str) -> String {
    let mut record = json!({
        "id": "6925aa11bb22cc33dd44ee55", "waId": wa_id, "status": status,
        "reference": "wabridge:demo:1:1", "phone": "+447700900123", "device": DEVICE,
    });
    if wa_id.is_none() {
        record.as_object_mut().unwrap().remove("waId");
    }
    record.to_string()
}

#[tokio::test]
async fn what_is_sent() {
    let (base, seen) = server(vec![reply(201, &record(Some(WID), "sent"))]).await;
    let sent = outcome(&format!("{base}/v1/")).await.unwrap();
    assert_eq!(
        sent,
        Accepted { message_id: Some(WID.into()), word: StatusWord::Sent, chat_id: None }
    );
    let preview =
        Text { body: "see https://x.example".into(), preview: Some(false), mentions: vec![] };
    let answer = Outgoing {
        content: Content::text(preview).unwrap(),
        quoted_id: Some("3EB0A1B2C3D4E5F60718".into()),
        ..outgoing("120363025550100777@g.us")
    };
    send_to(&base, &answer).await.unwrap();
    send_to(&base, &outgoing("120363025550100999@newsletter")).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[0].line(), "POST /v1/messages");
    assert_eq!(seen[0].header("token"), TOKEN);
    assert_eq!(seen[0].header("authorization"), "");
    assert_eq!(
        seen[0].body,
        json!({
            "device": DEVICE, "phone": "+447700900123", "message": "hello",
            "reference": "wabridge:demo:1:1", "enqueue": "never",
        })
    );
    assert_eq!(
        seen[1].body,
        json!({
            "device": DEVICE, "group": "120363025550100777@g.us", "message": "see https://x.example",
            "quote": "3EB0A1B2C3D4E5F60718", "reference": "wabridge:demo:1:1", "enqueue": "never",
            "previewUrl": false,
        })
    );
    assert_eq!(seen[2].body["channel"], "120363025550100999@newsletter");
}

#[tokio::test]
async fn accepted_without_whatsapps_id() {
    for (body, word) in [
        (record(None, "queued"), StatusWord::Pending),
        (record(Some("6925aa11bb22cc33dd44ee55"), "processing"), StatusWord::Pending),
        (record(None, "of tomorrow"), StatusWord::Pending),
        (record(None, "sent"), StatusWord::Sent),
    ] {
        assert_eq!(
            outcome_of(201, &body).await,
            Ok(Accepted { message_id: None, word, chat_id: None }),
            "{body}"
        );
    }
}

#[tokio::test]
async fn answers_that_leave_it_open_are_uncertain() {
    for (status, body) in [
        (200, ""),
        (200, "<html>"),
        (201, "{}"),
        (200, r#"{"id":7}"#),
        (408, ""),
        (409, r#"{"status":409,"message":"conflict"}"#),
        (500, ""),
        (502, "<html>bad gateway</html>"),
        (503, "<html>try later</html>"),
        (503, r#"{"message":"overloaded"}"#),
        (504, "<html></html>"),
        (302, ""),
    ] {
        let outcome = outcome_of(status, body).await;
        assert!(
            matches!(outcome, Err(SendError::Uncertain { .. })),
            "{status} {body}: {outcome:?}"
        );
    }
    let cut =
        mock::raw("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"id\"", Duration::ZERO).await;
    assert!(matches!(outcome(&cut).await, Err(SendError::Uncertain { .. })));
    let silent = mock::raw("", Duration::from_secs(30)).await;
    assert!(matches!(outcome(&silent).await, Err(SendError::Uncertain { .. })));
}

#[tokio::test]
async fn answers_that_decide() {
    let error = |message: &str| json!({"status": 400, "message": message}).to_string();
    let refused = |kind, message: &str| SendError::Refused { kind, message: message.into() };
    let down = |state, message: &str| SendError::AccountDown { state, message: message.into() };
    let offline =
        json!({"status": 503, "message": "number is offline", "code": "device_not_connected"});
    let table: Vec<(Reply, SendError)> = vec![
        (reply(400, &error("unknown field x")), refused(Kind::ProviderRejected, "unknown field x")),
        (
            reply(400, &error(&format!("phone is not valid with {TOKEN}"))),
            refused(Kind::InvalidRecipient, "phone is not valid with [redacted]"),
        ),
        (reply(404, &error("group not found")), refused(Kind::InvalidRecipient, "group not found")),
        (
            reply(404, &error("device not found")),
            down(AccountState::Disconnected, "device not found"),
        ),
        (reply(403, &error("plan forbids")), refused(Kind::ProviderRejected, "plan forbids")),
        (reply(413, ""), refused(Kind::InvalidContent, "the message is too large")),
        (reply(422, ""), refused(Kind::ProviderRejected, "no reason given")),
        (reply(401, ""), down(AccountState::TokenDead, "Wassenger does not know this key")),
        (
            reply(503, &offline.to_string()),
            down(AccountState::Disconnected, "number is offline: device_not_connected"),
        ),
        (
            reply(307, ""),
            down(
                AccountState::Disconnected,
                "the account's base URL answers with a redirect; correct it",
            ),
        ),
        (
            reply(407, ""),
            SendError::NotAccepted {
                message: "the proxy on the way asks for a login".into(),
                retry_after: None,
            },
        ),
        (reply(429, ""), SendError::RateLimited { retry_after: None }),
        (
            (429, vec![("retry-after", "7".into())], String::new()),
            SendError::RateLimited { retry_after: Some(Duration::from_secs(7)) },
        ),
        (
            reply(201, &record(None, "failed")),
            refused(Kind::ProviderRejected, "Wassenger answered that it did not send"),
        ),
    ];
    for (reply, expected) in table {
        let told = format!("{reply:?}");
        assert_eq!(outcome(&server(vec![reply]).await.0).await, Err(expected), "{told}");
    }
    let nobody = outcome(&mock::nobody().await).await;
    assert!(matches!(nobody, Err(SendError::NotSent { .. })), "{nobody:?}");
}

#[tokio::test]
async fn calls_that_cannot_be_made() {
    let (base, seen) = server(vec![reply(201, &record(Some(WID), "sent"))]).await;
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let mut call = mock::call(&http, &base, &token, " ");
    let down = |outcome| matches!(outcome, Err(SendError::AccountDown { .. }));
    assert!(down(Wassenger.send(&call, &outgoing("447700900123@c.us")).await), "no device");
    call.channel_id = None;
    assert!(matches!(
        Wassenger.health(&call).await,
        Ok(Health { state: AccountState::Disconnected, .. })
    ));
    let hidden = send_to(&base, &outgoing("183800000000123@lid")).await;
    assert!(matches!(hidden, Err(SendError::Refused { kind: Kind::InvalidRecipient, .. })));
    assert!(down(outcome("ftp://x").await));
    let odd = Secret::new("line\nbreak");
    let call = mock::call(&http, &base, &odd, DEVICE);
    let outcome = Wassenger.send(&call, &outgoing("447700900123@c.us")).await;
    assert!(matches!(outcome, Err(SendError::AccountDown { state: AccountState::TokenDead, .. })));
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn health_is_the_device_and_its_session() {
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    for (status, body, expected, reason) in [
        (200, json!({"status": "operative"}), AccountState::Connected, "operative"),
        (
            200,
            json!({"status": "operative", "session": {"status": "online"}}),
            AccountState::Connected,
            "operative, session online",
        ),
        (
            200,
            json!({"status": "operative", "session": {"status": "authorize"}}),
            AccountState::QrNeeded,
            "operative, session authorize",
        ),
        (
            200,
            json!({"status": "operative", "session": "timeout"}),
            AccountState::Disconnected,
            "operative, session timeout",
        ),
        (200, json!({"status": "of tomorrow"}), AccountState::Disconnected, "of tomorrow"),
        (200, json!({"session": {"status": "online"}}), AccountState::Connected, "online"),
        (401, json!({}), AccountState::TokenDead, "Wassenger does not know this key"),
        (404, json!({"message": "no such device"}), AccountState::Disconnected, "no such device"),
        (
            503,
            json!({"code": "device_not_connected"}),
            AccountState::Disconnected,
            "device_not_connected",
        ),
    ] {
        let (base, seen) = server(vec![reply(status, &body.to_string())]).await;
        let health = Wassenger.health(&mock::call(&http, &base, &token, DEVICE)).await.unwrap();
        assert_eq!((health.state, health.reason.as_deref()), (expected, Some(reason)), "{body}");
        assert_eq!(seen.lock().unwrap()[0].line(), format!("GET /devices/{DEVICE}"));
    }
    let device = json!({"status": "operative", "phone": "+447700900999", "alias": "Acme Support"});
    let (base, _) = server(vec![reply(200, &device.to_string())]).await;
    let health = Wassenger.health(&mock::call(&http, &base, &token, DEVICE)).await.unwrap();
    assert_eq!(health.phone.as_deref(), Some("+447700900999"));
    assert_eq!(health.name.as_deref(), Some("Acme Support"));
    for (status, body) in [(200, "{}"), (200, "<html>"), (500, "{}")] {
        let (base, _) = server(vec![reply(status, body)]).await;
        let error = Wassenger.health(&mock::call(&http, &base, &token, DEVICE)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ProviderUnavailable, "{status} {body}");
    }
}

#[tokio::test]
async fn files_lie_under_their_device_first() {
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let base = "https://api.example/v1";
    let call = mock::call(&http, base, &token, DEVICE);
    let of = |id: Option<&str>, url: Option<&str>| MediaRef {
        id: id.map(str::to_owned),
        url: url.map(str::to_owned),
        ..MediaRef::default()
    };
    let in_chat = format!("{base}/chat/{DEVICE}/files/6923/download");
    for (media, fresh, expected, own) in [
        (of(Some("6923"), Some("/v1/x")), false, in_chat.as_str(), true),
        (of(Some("6923"), None), true, "https://api.example/v1/files/6923/download", true),
        (
            of(None, Some("/v1/chat/d/files/1/download")),
            false,
            "https://api.example/v1/chat/d/files/1/download",
            true,
        ),
        (
            of(None, Some("https://files.example/a?b=c")),
            false,
            "https://files.example/a?b=c",
            false,
        ),
    ] {
        let address = Wassenger.media_address(&call, &media, fresh).await.unwrap();
        assert_eq!((address.url.as_str(), address.own), (expected, own));
        let authorization = address.authorization.map(|value| value.expose().to_owned());
        assert_eq!(authorization, own.then(|| format!("Bearer {TOKEN}")), "{expected}");
    }
    let nothing = Wassenger.media_address(&call, &of(None, None), true).await.unwrap_err();
    assert_eq!(nothing.kind(), Kind::ProviderRejected);
}

#[tokio::test]
async fn a_chat_is_read_as_a_whole() {
    let (base, seen) = server(vec![reply(200, "")]).await;
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let call = mock::call(&http, &base, &token, DEVICE);
    let read = ReadMark { chat_id: "447700900123@c.us", message_ids: &["A", "B"] };
    Wassenger.mark_read(&call, &read).await.unwrap();
    let seen = seen.lock().unwrap()[0].clone();
    assert_eq!(seen.line(), format!("PATCH /chat/{DEVICE}/chats/447700900123@c.us/unread"));
    assert_eq!(seen.body, json!({"unread": false}));
}

#[tokio::test]
async fn webhooks_are_made_kept_and_enabled() {
    const URL: &str = "https://odoo.example/whatsapp/webhook/wassenger/t0k";
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let plain = WebhookTarget { url: URL.into(), header: None, verify_token: None };
    let header = WebhookHeader { name: "authorization".into(), value: Secret::new("s3") };
    let with_header = WebhookTarget { header: Some(header), ..plain.clone() };
    let hooks = |status: &str, events: Value| {
        json!([
            {"id": "other", "url": "https://elsewhere.example/", "events": ["message:in:new"], "status": "active"},
            {"id": "h1", "url": URL, "device": DEVICE, "events": events, "status": status},
        ])
        .to_string()
    };
    let all = json!(EVENTS);
    let table: Vec<(Vec<Reply>, &WebhookTarget, Vec<&str>)> = vec![
        (vec![reply(200, "[]"), reply(201, "{}")], &plain, vec!["GET /webhooks", "POST /webhooks"]),
        (vec![reply(200, "[]"), reply(409, "{}")], &plain, vec!["GET /webhooks", "POST /webhooks"]),
        (vec![reply(200, &hooks("active", all.clone()))], &plain, vec!["GET /webhooks"]),
        (
            vec![reply(200, &hooks("active", json!(["message:in:new"]))), reply(200, "{}")],
            &plain,
            vec!["GET /webhooks", "PATCH /webhooks/h1"],
        ),
        (
            vec![reply(200, &hooks("disabled", all.clone())), reply(200, "{}")],
            &plain,
            vec!["GET /webhooks", "POST /webhooks/h1/enable"],
        ),
        (
            vec![reply(200, &hooks("active", all.clone())), reply(200, "{}")],
            &with_header,
            vec!["GET /webhooks", "PATCH /webhooks/h1"],
        ),
    ];
    for (answers, target, calls) in table {
        let (base, seen) = server(answers).await;
        let call = mock::call(&http, &base, &token, DEVICE);
        Wassenger.register_webhook(&call, target).await.unwrap();
        let seen = seen.lock().unwrap().clone();
        assert_eq!(seen.iter().map(mock::Arrived::line).collect::<Vec<_>>(), calls);
        if let Some(made) = seen.iter().find(|request| request.line() == "POST /webhooks") {
            assert_eq!(
                made.body,
                json!({"name": "wabridge", "url": URL, "events": EVENTS, "device": DEVICE})
            );
        }
        if target.header.is_some() {
            assert_eq!(seen[1].body["headers"], json!({"authorization": "Bearer s3"}));
        }
    }
    let (base, _) =
        server(vec![reply(200, "[]"), reply(400, r#"{"message":"headers: unknown field"}"#)]).await;
    let call = mock::call(&http, &base, &token, DEVICE);
    let refused = Wassenger.register_webhook(&call, &with_header).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::ProviderRejected);
    let nowhere = WebhookTarget { url: "mailto:x@y".into(), ..plain };
    assert_eq!(
        Wassenger.register_webhook(&call, &nowhere).await.unwrap_err().kind(),
        Kind::InvalidContent
    );
}

#[test]
fn every_content_has_its_fields() {
    let file = UploadedFile {
        id: "f1".into(),
        mimetype: "x/y".into(),
        filename: Some("kept.pdf".into()),
        size: 1,
    };
    let fields = |content: Value, quoted: Option<&str>| {
        let outgoing = Outgoing {
            content: serde_json::from_value(content).unwrap(),
            quoted_id: quoted.map(str::to_owned),
            file: Some(file.clone()),
            ..outgoing("447700900123@c.us")
        };
        let mut body = content::body(DEVICE, &outgoing)?;
        for (name, value) in [
            ("device", DEVICE),
            ("phone", "+447700900123"),
            ("reference", "wabridge:demo:1:1"),
            ("enqueue", "never"),
        ] {
            assert_eq!(body.as_object_mut().unwrap().remove(name).unwrap(), value);
        }
        Ok::<_, SendError>(body)
    };
    let media = |kind: &str| json!({"type": kind, "media": {"id": 1}});
    for (content, expected) in [
        (
            json!({"type": "image", "media": {"id": 1, "caption": "c"}}),
            json!({"media": {"file": "f1"}, "message": "c", "quote": "Q"}),
        ),
        (media("video"), json!({"media": {"file": "f1"}, "quote": "Q"})),
        (media("audio"), json!({"media": {"file": "f1"}, "quote": "Q"})),
        (media("voice"), json!({"media": {"file": "f1", "format": "ptt"}, "quote": "Q"})),
        (media("gif"), json!({"media": {"file": "f1", "format": "gif"}, "quote": "Q"})),
        (media("document"), json!({"media": {"file": "f1", "filename": "kept.pdf"}, "quote": "Q"})),
        (
            json!({"type": "location", "location": {"latitude": 1.5, "longitude": -2.0, "address": "a"}}),
            json!({"location": {"coordinates": [1.5, -2.0], "name": "a"}, "quote": "Q"}),
        ),
        (
            json!({"type": "contact", "contact": {"name": "A", "phone": "+44 7700 900801"}}),
            json!({"contacts": [{"phone": "+447700900801", "name": "A"}], "quote": "Q"}),
        ),
        (
            json!({"type": "poll", "poll": {"title": "t", "options": ["a", "b"]}}),
            json!({"poll": {"name": "t", "options": ["a", "b"]}, "quote": "Q"}),
        ),
        (
            json!({"type": "poll", "poll": {"title": "t", "options": ["a", "b"], "count": 0}}),
            json!({"poll": {"name": "t", "options": ["a", "b"], "multiple": true}, "quote": "Q"}),
        ),
        (
            json!({"type": "reaction", "reaction": {"emoji": "👍"}}),
            json!({"reaction": "👍", "reactionMessage": "Q"}),
        ),
        (
            json!({"type": "reaction", "reaction": {}}),
            json!({"reaction": "-", "reactionMessage": "Q"}),
        ),
    ] {
        assert_eq!(fields(content.clone(), Some("Q")).unwrap(), expected, "{content}");
    }
    for (content, kind) in [
        (media("sticker"), Kind::UnsupportedByProvider),
        (
            json!({"type": "template", "template": {"name": "n", "language": "en"}}),
            Kind::UnsupportedByProvider,
        ),
        (
            json!({"type": "interactive", "interactive": {"kind": "buttons", "body": "b", "options": [{"id": "1", "title": "t"}]}}),
            Kind::UnsupportedByProvider,
        ),
        (json!({"type": "reaction", "reaction": {"emoji": "👍"}}), Kind::InvalidContent),
        (
            json!({"type": "poll", "poll": {"title": "t", "options": ["a", "b", "c"], "count": 2}}),
            Kind::InvalidContent,
        ),
    ] {
        let refused = fields(content.clone(), None).unwrap_err();
        assert!(
            matches!(&refused, SendError::Refused { kind: is, .. } if *is == kind),
            "{content}: {refused:?}"
        );
    }
}

fn a_file() -> Upload {
    Upload {
        filename: "offer.pdf".into(),
        mimetype: "application/pdf".into(),
        size: 4,
        body: "%PDF".into(),
    }
}

#[tokio::test]
async fn files_are_handed_over_as_a_form() {
    let (base, seen) = server(vec![
        reply(200, r#"[{"id":"6925aa11bb22cc33dd44ee55","sha2":"x"}]"#),
        reply(
            409,
            r#"{"status":409,"message":"exists","meta":{"file":"6925aa11bb22cc33dd44ee66"}}"#,
        ),
        reply(409, r#"{"status":409,"message":"device not ready"}"#),
        reply(413, r#"{"status":413,"message":"too large"}"#),
    ])
    .await;
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let call = mock::call(&http, &base, &token, DEVICE);
    let made = Wassenger.upload(&call, a_file()).await.unwrap();
    assert_eq!(made.id, "6925aa11bb22cc33dd44ee55");
    let known = Wassenger.upload(&call, a_file()).await.unwrap();
    assert_eq!(known.id, "6925aa11bb22cc33dd44ee66");
    let unclear = Wassenger.upload(&call, a_file()).await.unwrap_err();
    assert_eq!(unclear.kind(), Kind::ProviderUnavailable);
    let large = Wassenger.upload(&call, a_file()).await.unwrap_err();
    assert_eq!(large.kind(), Kind::InvalidContent);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].line(), "POST /files");
    assert!(seen[0].header("content-type").starts_with("multipart/form-data; boundary="));
}

#[tokio::test]
async fn edits_deletions_and_checks() {
    let (base, seen) = server(vec![
        reply(200, "{}"),
        reply(200, ""),
        reply(404, r#"{"status":404,"message":"message not found"}"#),
        reply(200, r#"{"exists":true,"wid":"551187650001@c.us"}"#),
        reply(200, r#"{"exists":false,"phone":"+447700900801"}"#),
        reply(503, r#"{"status":503,"code":"device_not_connected","message":"offline"}"#),
    ])
    .await;
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let call = mock::call(&http, &base, &token, DEVICE);
    let message = SentMessage { chat_id: "447700900123@c.us", message_id: WID };
    Wassenger.edit(&call, &message, "better").await.unwrap();
    Wassenger.delete(&call, &message).await.unwrap();
    let gone = Wassenger.delete(&call, &message).await.unwrap_err();
    assert_eq!(gone.kind(), Kind::ProviderRejected);
    let numbers = ["5511987650001", "447700900801"];
    let checked = Wassenger.check_numbers(&call, &numbers).await.unwrap();
    assert_eq!(checked[0].chat_id.as_deref(), Some("551187650001@c.us"));
    assert_eq!((checked[1].is_wa_contact, &checked[1].chat_id), (false, &None));
    let down = Wassenger.check_numbers(&call, &numbers).await.unwrap_err();
    assert!(matches!(down, CallError::AccountDown { state: AccountState::Disconnected, .. }));

    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].line(), format!("PATCH /chat/{DEVICE}/messages/{WID}"));
    assert_eq!(seen[0].body, json!({"message": "better"}));
    assert_eq!(seen[1].line(), format!("DELETE /chat/{DEVICE}/messages/{WID}?revoke=true"));
    assert_eq!(seen[3].line(), "POST /numbers/exists");
    assert_eq!(seen[3].body, json!({"phone": "+5511987650001"}));
    assert_eq!(seen.len(), 6);
}
