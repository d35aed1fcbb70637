//! Each class of outcome against a real server on loopback.

mod errors;

use std::time::Duration;

use tokio::net::TcpListener;
use wabridge_domain::content::{Content, File, Text};
use wabridge_domain::outgoing::UploadedFile;

use super::*;
use crate::mock::{self, TOKEN, client, raw, reply, server};
use crate::{Meta, Provider};

const NUMBER: &str = "206543210987654";
const ACCEPTED: &str = r#"{"messaging_product":"whatsapp","contacts":[{"input":"447700900123","wa_id":"447700900123"}],
    "messages":[{"id":"wamid.OUT","message_status":"accepted"}]}"#;

fn outgoing() -> Outgoing {
    let text = Text { body: "hello".into(), preview: None, mentions: vec![] };
    Outgoing {
        chat_id: "447700900123".into(),
        content: Content::text(text).unwrap(),
        quoted_id: None,
        file: None,
        reference: "wabridge:demo:1:1".into(),
    }
}

fn call<'a>(http: &'a reqwest::Client, base: &'a str, token: &'a Secret) -> Call<'a> {
    mock::call(http, base, token, NUMBER)
}

async fn send_to(base: &str, outgoing: Outgoing) -> Result<Accepted, SendError> {
    let (http, token) = (client(), Secret::new(TOKEN));
    Meta.send(&call(&http, base, &token), &outgoing).await
}

async fn outcome(base: &str) -> Result<Accepted, SendError> {
    send_to(base, outgoing()).await
}

const AT_ONCE: Duration = Duration::ZERO;
const TOO_LONG: Duration = Duration::from_secs(30);

async fn answering(status: u16, body: &str) -> String {
    server(vec![reply(status, body)]).await.0
}

/// What an answer comes to; nothing of it shows the token.
async fn outcome_of(status: u16, body: &str) -> SendError {
    let error = outcome(&answering(status, body).await).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
    error
}

fn error_body(code: i64) -> String {
    json!({"error": {"message": format!("(#{code}) bad {TOKEN}"), "type": "OAuthException", "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "in detail"}, "fbtrace_id": "A"}})
    .to_string()
}

#[tokio::test]
async fn a_text_is_one_call_in_metas_words() {
    let (base, seen) = server(vec![(200, vec![], ACCEPTED.into())]).await;
    let accepted = send_to(&format!("{base}/prefix/"), outgoing()).await.unwrap();
    let expected = Accepted {
        message_id: Some("wamid.OUT".into()),
        word: StatusWord::Pending,
        chat_id: Some("447700900123".into()),
    };
    assert_eq!(accepted, expected);
    let text = Text { body: "see https://a.example".into(), preview: Some(true), mentions: vec![] };
    let full = Outgoing {
        content: Content::text(text).unwrap(),
        quoted_id: Some("wamid.Q".into()),
        ..outgoing()
    };
    send_to(&base, full).await.unwrap();
    send_to(&format!("{base}/v26.0"), Outgoing { chat_id: "GB.7".into(), ..outgoing() })
        .await
        .unwrap();
    let group = "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD";
    send_to(&base, Outgoing { chat_id: group.into(), ..outgoing() }).await.unwrap();

    let seen = seen.lock().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let body = json!({"messaging_product": "whatsapp", "recipient_type": "individual",
        "to": "447700900123", "type": "text", "text": {"body": "hello"},
        "biz_opaque_callback_data": "wabridge:demo:1:1"});
    let path = format!("/prefix/v23.0/{NUMBER}/messages");
    assert_eq!(seen[0].line(), format!("POST {path}"));
    assert_eq!((seen[0].header("authorization"), &seen[0].body), (bearer.as_str(), &body));
    assert_eq!(seen[1].path, format!("/v23.0/{NUMBER}/messages"));
    assert_eq!(seen[1].body["text"], json!({"body": "see https://a.example", "preview_url": true}));
    assert_eq!(seen[1].body["context"], json!({"message_id": "wamid.Q"}));
    assert_eq!(seen[2].path, format!("/v26.0/{NUMBER}/messages"), "the account's own version");
    assert_eq!((&seen[2].body["recipient"], seen[2].body.get("to")), (&json!("GB.7"), None));
    assert_eq!(
        (&seen[3].body["to"], &seen[3].body["recipient_type"]),
        (&json!(group), &json!("group"))
    );
    assert_eq!(seen.len(), 4);
}

#[test]
fn every_other_content_in_metas_words() {
    let part = |content: Value, file: Option<UploadedFile>, quoted: Option<&str>| {
        let outgoing = Outgoing {
            content: serde_json::from_value(content).unwrap(),
            file,
            quoted_id: quoted.map(str::to_owned),
            ..outgoing()
        };
        message(&outgoing).map(|body| {
            let kind = body["type"].as_str().unwrap().to_owned();
            (body[&kind].clone(), kind, body.get("context").is_some())
        })
    };
    let file = || {
        Some(UploadedFile {
            id: "77".into(),
            mimetype: "application/pdf".into(),
            filename: Some("row.pdf".into()),
            size: 5,
        })
    };
    let expect = |kind: &str, part: Value| Ok((part, kind.to_owned(), false));
    for (content, kind, expected) in [
        (
            json!({"type": "image", "media": {"id": 1, "caption": "c"}}),
            "image",
            json!({"id": "77", "caption": "c"}),
        ),
        (json!({"type": "video", "media": {"id": 1}}), "video", json!({"id": "77"})),
        (json!({"type": "audio", "media": {"id": 1}}), "audio", json!({"id": "77"})),
        (json!({"type": "voice", "media": {"id": 1}}), "audio", json!({"id": "77", "voice": true})),
        (json!({"type": "sticker", "media": {"id": 1}}), "sticker", json!({"id": "77"})),
        (
            json!({"type": "document", "media": {"id": 1}}),
            "document",
            json!({"id": "77", "filename": "row.pdf"}),
        ),
        (
            json!({"type": "document", "media": {"id": 1, "filename": "own.pdf", "caption": "c"}}),
            "document",
            json!({"id": "77", "filename": "own.pdf", "caption": "c"}),
        ),
    ] {
        assert_eq!(part(content, file(), None), expect(kind, expected));
    }
    let location = json!({"type": "location", "location": {"latitude": 51.5, "longitude": -0.125, "name": "Depot 4"}});
    let expected = json!({"latitude": "51.5", "longitude": "-0.125", "name": "Depot 4"});
    assert_eq!(part(location, None, None), expect("location", expected));
    let contact =
        json!({"type": "contact", "contact": {"name": "Desk", "phone": "+44 7700 900456"}});
    let expected = json!([{"name": {"formatted_name": "Desk", "first_name": "Desk"},
        "phones": [{"phone": "+447700900456", "wa_id": "447700900456"}]}]);
    assert_eq!(part(contact, None, None), expect("contacts", expected));
    // The message that a reaction aims at is no quotation.
    let reaction = json!({"type": "reaction", "reaction": {"emoji": "👍"}});
    let expected = json!({"message_id": "wamid.Q", "emoji": "👍"});
    assert_eq!(part(reaction, None, Some("wamid.Q")), expect("reaction", expected));
    let taken_back = json!({"type": "reaction", "reaction": {}});
    let expected = json!({"message_id": "wamid.Q", "emoji": ""});
    assert_eq!(part(taken_back, None, Some("wamid.Q")), expect("reaction", expected));
    let options =
        json!([{"id": "y", "title": "Yes"}, {"id": "n", "title": "No", "description": "not now"}]);
    let buttons = json!({"type": "interactive", "interactive": {"kind": "buttons", "body": "Well?",
        "header": "H", "footer": "F", "options": options}});
    let expected = json!({"type": "button", "body": {"text": "Well?"}, "header": {"type": "text", "text": "H"},
        "footer": {"text": "F"}, "action": {"buttons": [
            {"type": "reply", "reply": {"id": "y", "title": "Yes"}},
            {"type": "reply", "reply": {"id": "n", "title": "No"}}]}});
    assert_eq!(part(buttons, None, None), expect("interactive", expected));
    let list = json!({"type": "interactive", "interactive": {"kind": "list", "body": "Well?", "options": options,
        "button": "Open"}});
    let expected = json!({"type": "list", "body": {"text": "Well?"}, "action": {"button": "Open",
        "sections": [{"rows": options}]}});
    assert_eq!(part(list, None, None), expect("interactive", expected));
    let template = json!({"type": "template", "template": {"name": "shipped", "language": "en_GB",
        "parameters": {"header": ["118"], "body": ["Amira", "Monday"], "buttons": ["x"]}}});
    let text = |text: &str| json!({"type": "text", "text": text});
    let expected = json!({"name": "shipped", "language": {"policy": "deterministic", "code": "en_GB"}, "components": [
        {"type": "header", "parameters": [text("118")]},
        {"type": "body", "parameters": [text("Amira"), text("Monday")]},
        {"type": "button", "sub_type": "url", "index": "0", "parameters": [text("x")]}]});
    assert_eq!(part(template, None, None), expect("template", expected));
    let template = |file: &str| {
        json!({"type": "template", "media": {"id": 1, "filename": file}, "template": {
        "name": "shipped", "language": "en", "parameters": {
            "body": [{"name": "first_name", "text": "Amira"}], "buttons": [{"index": 2, "text": "x"}],
        }}})
    };
    for (filename, mimetype, header) in [
        (
            "a.pdf",
            "application/pdf",
            json!({"type": "document", "document": {"id": "77", "filename": "a.pdf"}}),
        ),
        ("a.jpeg", "image/jpeg", json!({"type": "image", "image": {"id": "77"}})),
        ("a.mp4", "video/mp4", json!({"type": "video", "video": {"id": "77"}})),
    ] {
        let uploaded = UploadedFile { mimetype: mimetype.into(), ..file().unwrap() };
        let expected = json!({"name": "shipped", "language": {"policy": "deterministic", "code": "en"}, "components": [
            {"type": "header", "parameters": [header]},
            {"type": "body", "parameters": [{"type": "text", "parameter_name": "first_name", "text": "Amira"}]},
            {"type": "button", "sub_type": "url", "index": "2", "parameters": [text("x")]}]});
        assert_eq!(part(template(filename), Some(uploaded), None), expect("template", expected));
    }
    assert!(part(template("a.pdf"), None, None).is_err(), "not handed over");

    let kind = |refused: Result<_, SendError>| match refused {
        Err(SendError::Refused { kind, .. }) => kind,
        other => panic!("{other:?}"),
    };
    let gif = json!({"type": "gif", "media": {"id": 1}});
    assert_eq!(kind(part(gif, file(), None)), Kind::UnsupportedByProvider);
    let poll = json!({"type": "poll", "poll": {"title": "?", "options": ["a", "b"]}});
    assert_eq!(kind(part(poll, None, None)), Kind::UnsupportedByProvider);
    let lost = Content::Image { media: File { id: 1, filename: None, caption: None } };
    let lost = serde_json::to_value(lost).unwrap();
    assert_eq!(kind(part(lost, None, None)), Kind::InvalidContent);
    let aimless = json!({"type": "reaction", "reaction": {"emoji": "👍"}});
    assert_eq!(kind(part(aimless, None, None)), Kind::InvalidContent);
}

#[tokio::test]
async fn a_broken_connection_is_uncertain() {
    let cut = raw("", AT_ONCE).await;
    let truncated =
        raw("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"messages\":", AT_ONCE).await;
    let slow = raw("", TOO_LONG).await;
    for (base, reason) in [(cut, Lost::Cut), (truncated, Lost::Cut), (slow, Lost::TimedOut)] {
        let expected = SendError::Uncertain { reason: reason.as_str().into() };
        assert_eq!(outcome(&base).await, Err(expected));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let refused = SendError::NotSent { reason: "the connection was refused".into() };
    assert_eq!(outcome(&closed).await, Err(refused));
}

#[tokio::test]
async fn an_account_that_cannot_be_called_holds_its_messages() {
    let (http, token) = (client(), Secret::new(TOKEN));
    let nowhere = Call { channel_id: None, ..call(&http, "http://127.0.0.1:1", &token) };
    let error = Meta.send(&nowhere, &outgoing()).await.unwrap_err();
    assert!(
        matches!(&error, SendError::AccountDown { state: AccountState::Disconnected, message } if message.contains("phone number id")),
        "{error:?}"
    );
    let error = outcome("ftp://127.0.0.1").await.unwrap_err();
    assert!(matches!(error, SendError::AccountDown { state: AccountState::Disconnected, .. }));
    let odd = Secret::new("with\nnewline");
    let error = Meta.send(&call(&http, "http://127.0.0.1:1", &odd), &outgoing()).await.unwrap_err();
    assert!(matches!(error, SendError::AccountDown { state: AccountState::TokenDead, .. }));
}

#[tokio::test]
async fn health_is_the_standing_of_the_number() {
    let body = |fields: Value| {
        let mut body = json!({"id": NUMBER, "display_phone_number": "+44 7700 900999",
            "verified_name": "Acme Support", "quality_rating": "GREEN"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body.to_string()
    };
    let blocked = json!({"status": "CONNECTED", "health_status": {"can_send_message": "BLOCKED", "entities": [
        {"entity_type": "WABA", "can_send_message": "BLOCKED", "errors": [
            {"error_code": 141_006, "error_description": "There is an error with the payment method."}]}]}});
    let available =
        json!({"status": "CONNECTED", "health_status": {"can_send_message": "AVAILABLE"}});
    let (base, seen) = server(vec![(200, vec![], body(available))]).await;
    let (http, token) = (client(), Secret::new(TOKEN));
    let health = Meta.health(&call(&http, &base, &token)).await.unwrap();
    let expected = Health {
        state: AccountState::Connected,
        reason: Some("CONNECTED, AVAILABLE, quality GREEN".into()),
        phone: Some("+447700900999".into()),
        name: Some("Acme Support".into()),
    };
    assert_eq!(health, expected);
    assert!(
        seen.lock().unwrap()[0].path.starts_with(&format!("/v23.0/{NUMBER}?fields=display_phone"))
    );

    for (status, body, state, reason) in [
        (
            200,
            body(blocked),
            AccountState::Banned,
            "There is an error with the payment method. (141006)",
        ),
        (200, body(json!({"status": "BANNED"})), AccountState::Banned, "BANNED"),
        (200, body(json!({"status": "DISCONNECTED"})), AccountState::Disconnected, "DISCONNECTED"),
        (200, body(json!({"status": "FLAGGED"})), AccountState::Connected, "FLAGGED"),
        (200, body(json!({})), AccountState::Connected, "quality GREEN"),
        (401, error_body(190), AccountState::TokenDead, "(#190)"),
        (403, error_body(368), AccountState::Banned, "(#368)"),
    ] {
        let base = answering(status, &body).await;
        let health = Meta.health(&call(&http, &base, &token)).await.unwrap();
        assert_eq!(health.state, state, "{status} {body}");
        assert!(health.reason.as_deref().unwrap().contains(reason), "{health:?}");
        assert!(!format!("{health:?}").contains(TOKEN));
    }
    for (status, body, kind) in [
        (200, "{}".to_owned(), Kind::ProviderUnavailable),
        (200, "<html>".to_owned(), Kind::ProviderUnavailable),
        (500, String::new(), Kind::ProviderUnavailable),
        (400, error_body(4), Kind::ProviderRateLimited),
        (400, error_body(100), Kind::InvalidContent),
    ] {
        let base = answering(status, &body).await;
        let error = Meta.health(&call(&http, &base, &token)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {body}");
    }
    let slow = raw("", TOO_LONG).await;
    let error = Meta.health(&call(&http, &slow, &token)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ProviderTimeout);
}

#[tokio::test]
async fn the_token_goes_to_metas_own_hosts_only() {
    let (http, token) = (client(), Secret::new(TOKEN));
    let media = |id: Option<&str>, url: Option<&str>| MediaRef {
        id: id.map(str::to_owned),
        url: url.map(str::to_owned),
        ..MediaRef::default()
    };
    let (base, seen) = server(vec![
        (200, vec![], r#"{"url":"https://lookaside.fbsbx.com/a?b=c","id":"77"}"#.into()),
        (200, vec![], r#"{"url":"https://lookaside.fbsbx.com.evil.example/a","id":"77"}"#.into()),
        (200, vec![], r#"{"id":"77"}"#.into()),
        (400, vec![], error_body(100)),
    ])
    .await;
    let call = call(&http, &base, &token);
    let address = async |media: MediaRef, fresh| Meta.media_address(&call, &media, fresh).await;
    let bearer = |address: MediaAddress| {
        assert_eq!(address.own, address.authorization.is_some());
        (address.url, address.authorization.map(|secret| secret.expose().to_owned()))
    };
    let good = address(media(Some("77"), None), false).await.unwrap();
    let authorization = Some(format!("Bearer {TOKEN}"));
    assert_eq!(bearer(good), ("https://lookaside.fbsbx.com/a?b=c".into(), authorization.clone()));
    let request = seen.lock().unwrap()[0].path.clone();
    assert_eq!(request, format!("/v23.0/77?phone_number_id={NUMBER}"));
    let evil = address(media(Some("77"), None), true).await.unwrap();
    assert_eq!(bearer(evil), ("https://lookaside.fbsbx.com.evil.example/a".into(), None));
    let error = address(media(Some("77"), None), true).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ProviderUnavailable);
    let error = address(media(Some("77"), None), true).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }), "{error:?}");
    assert_eq!(seen.lock().unwrap().len(), 4);

    // A link of the webhook is used without asking, once.
    let own = format!("{base}/file");
    let told = address(media(Some("77"), Some(&own)), false).await.unwrap();
    assert_eq!(bearer(told), (own, authorization));
    for strange in [
        "http://lookaside.fbsbx.com/a",
        "https://lookaside.fbsbx.com:8443/a",
        "https://a.example/",
        "x",
    ] {
        let told = address(media(None, Some(strange)), true).await.unwrap();
        assert_eq!(bearer(told), (strange.to_owned(), None));
    }
    let error = address(media(None, None), false).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }));
    assert_eq!(seen.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn read_marks_name_the_newest_message() {
    let (base, seen) = server(vec![(200, vec![], r#"{"success":true}"#.into())]).await;
    let (http, token) = (client(), Secret::new(TOKEN));
    let call = call(&http, &base, &token);
    let read = |chat_id| ReadMark { chat_id, message_ids: &["wamid.1", "wamid.2"] };
    Meta.mark_read(&call, &read("447700900123")).await.unwrap();
    let group = "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD";
    let error = Meta.mark_read(&call, &read(group)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::UnsupportedByProvider);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    let body = json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.2"});
    assert_eq!(
        (seen[0].path.as_str(), &seen[0].body),
        (&*format!("/v23.0/{NUMBER}/messages"), &body)
    );
}

#[tokio::test]
async fn a_webhook_is_the_numbers_own() {
    let (http, token) = (client(), Secret::new(TOKEN));
    let url = "https://bridge.example/whatsapp/webhook/meta/tok";
    let target = |verify: Option<&str>| WebhookTarget {
        url: url.into(),
        header: None,
        verify_token: verify.map(Secret::new),
    };
    let (base, seen) = server(vec![
        (200, vec![], r#"{"success":true}"#.into()),
        (200, vec![], r#"{"success":false}"#.into()),
        (400, vec![], error_body(100)),
        (401, vec![], error_body(190)),
    ])
    .await;
    let call = call(&http, &base, &token);
    Meta.register_webhook(&call, &target(Some("v-1"))).await.unwrap();
    let body =
        json!({"webhook_configuration": {"override_callback_uri": url, "verify_token": "v-1"}});
    let first = seen.lock().unwrap()[0].clone();
    assert_eq!(first.line(), format!("POST /v23.0/{NUMBER}"));
    assert_eq!(first.body, body);
    for kind in [Kind::ProviderRejected, Kind::InvalidContent, Kind::ProviderAuthFailed] {
        let error = Meta.register_webhook(&call, &target(Some("v-1"))).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(!format!("{error} {error:?}").contains(TOKEN));
    }
    for missing in [None, Some("")] {
        let error = Meta.register_webhook(&call, &target(missing)).await.unwrap_err();
        assert!(error.to_string().contains("verify token"), "{error}");
    }
    assert_eq!(seen.lock().unwrap().len(), 4, "without a verify token nothing is asked");
}

#[tokio::test]
async fn a_file_is_handed_over_as_a_form() {
    let (base, seen) = server(vec![
        reply(200, r#"{"id":"1478523690123456"}"#),
        reply(200, "{}"),
        reply(400, &error_body(131_053)),
    ])
    .await;
    let (http, token) = (client(), Secret::new(TOKEN));
    let call = call(&http, &base, &token);
    let upload = |mimetype: &str| Upload {
        filename: "PO 118.pdf".into(),
        mimetype: mimetype.into(),
        size: 5,
        body: reqwest::Body::from("%PDF-"),
    };
    let uploaded = Meta.upload(&call, upload("application/pdf")).await.unwrap();
    let month = Some(Duration::from_secs(2_592_000));
    assert_eq!(uploaded, Uploaded { id: "1478523690123456".into(), keeps: month });
    {
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0].line(), format!("POST /v23.0/{NUMBER}/media"));
        assert!(seen[0].header("content-type").starts_with("multipart/form-data; boundary="));
        assert!(seen[0].header("content-length").parse::<u64>().unwrap() > 5, "of a known length");
    }
    let error = Meta.upload(&call, upload("application/pdf")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ProviderUnavailable);
    let error = Meta.upload(&call, upload("application/pdf")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::MediaTypeUnsupported);
    let error = Meta.upload(&call, upload("no type")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::MediaTypeUnsupported);
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[test]
fn groups_take_texts_files_and_templates() {
    let chat_id = "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD".to_owned();
    for (content, fits) in [
        (json!({"type": "text", "text": {"body": "hi"}}), true),
        (json!({"type": "template", "template": {"name": "a", "language": "en"}}), true),
        (json!({"type": "location", "location": {"latitude": 1.0, "longitude": 1.0}}), false),
        (json!({"type": "reaction", "reaction": {"emoji": "👍"}}), false),
    ] {
        let outgoing = Outgoing {
            chat_id: chat_id.clone(),
            content: serde_json::from_value(content.clone()).unwrap(),
            quoted_id: Some("wamid.Q".into()),
            ..outgoing()
        };
        assert_eq!(message(&outgoing).is_ok(), fits, "{content}");
    }
}

#[tokio::test]
async fn templates_are_read_to_the_last_page() {
    let number = json!({"id": "1", "health_status": {"entities": [
        {"entity_type": "PHONE_NUMBER", "id": "1"}, {"entity_type": "WABA", "id": "101234567890123"},
    ]}});
    let one = |id: &str, state: &str| {
        json!({"id": id, "name": "shipped", "language": "en_GB", "category": "UTILITY", "status": state,
            "components": [{"type": "BODY", "text": "Order {{1}}"}]})
    };
    let page = |data: Value, next: bool| {
        let mut page =
            json!({"data": data, "paging": {"cursors": {"before": "a", "after": "b+/="}}});
        if next {
            page["paging"]["next"] = json!("https://graph.example/next");
        }
        reply(200, &page.to_string())
    };
    let (base, seen) = server(vec![
        reply(200, &number.to_string()),
        page(json!([one("11", "APPROVED"), {"name": "without an id"}]), true),
        page(json!([one("12", "PAUSED")]), false),
        reply(200, r#"{"id":"1","health_status":{"entities":[]}}"#),
    ])
    .await;
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let call = mock::call(&http, &base, &token, "206543210987654");
    let all = Meta.templates(&call).await.unwrap();
    let told: Vec<_> = all.iter().map(|one| (one.id.as_str(), one.state.as_str())).collect();
    assert_eq!(told, [("11", "approved"), ("12", "paused")]);
    assert_eq!((all[0].name.as_str(), all[0].language.as_str()), ("shipped", "en_GB"));
    assert_eq!(all[0].category, "utility");
    assert_eq!(all[0].components[0]["text"], "Order {{1}}");
    let unknown = Meta.templates(&call).await.unwrap_err();
    assert_eq!(unknown.kind(), Kind::ProviderUnavailable);

    let seen = seen.lock().unwrap();
    let list = "GET /v23.0/101234567890123/message_templates?fields=id%2Cname%2Cstatus%2Clanguage%2Ccategory%2Ccomponents&limit=100";
    assert_eq!(seen[0].line(), "GET /v23.0/206543210987654?fields=health_status");
    assert_eq!(seen[1].line(), list);
    assert_eq!(seen[2].line(), format!("{list}&after=b%2B%2F%3D"));
}
