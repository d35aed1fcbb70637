//! Contents beside texts, files, changes: by the mapping "A service that takes everything" of the document.

use wabridge_domain::outgoing::UploadedFile;

use super::*;

fn everything() -> String {
    blocks("A service that takes everything")[0].clone()
}

fn of(content: Value, quoted_id: Option<&str>) -> Outgoing {
    let content: Content = serde_json::from_value(content).unwrap();
    let file = content.file().map(|_| UploadedFile {
        id: "F7".into(),
        mimetype: "image/jpeg".into(),
        filename: Some("row.jpeg".into()),
        size: 5,
    });
    Outgoing { content, file, ..outgoing(CHAT, quoted_id) }
}

#[tokio::test]
async fn contents_in_the_words_of_the_mapping() {
    let reference = "wabridge:demo:1:1";
    for (content, quoted, line, body) in [
        (
            json!({"type": "image", "media": {"id": 1, "caption": "The gate"}}),
            Some("A1"),
            "POST /messages",
            json!({"to": CHAT, "type": "image", "file": "F7", "caption": "The gate", "filename": "row.jpeg",
                "quoted_id": "A1", "reference": reference}),
        ),
        (
            json!({"type": "document", "media": {"id": 1, "filename": "own.pdf"}}),
            None,
            "POST /messages",
            json!({"to": CHAT, "type": "document", "file": "F7", "filename": "own.pdf", "reference": reference}),
        ),
        (
            json!({"type": "location", "location": {"latitude": 51.5, "longitude": -0.125, "name": "Depot"}}),
            None,
            "POST /messages",
            json!({"to": CHAT, "type": "location", "reference": reference,
                "location": {"latitude": 51.5, "longitude": -0.125, "name": "Depot"}}),
        ),
        (
            json!({"type": "contact", "contact": {"name": "Amira", "phone": "+44 7700 900801"}}),
            None,
            "POST /messages",
            json!({"to": CHAT, "type": "contact", "reference": reference,
                "contact": {"name": "Amira", "number": "447700900801"}}),
        ),
        (
            json!({"type": "poll", "poll": {"title": "When?", "options": ["Mon", "Tue"], "count": 0}}),
            None,
            "POST /messages",
            json!({"to": CHAT, "type": "poll", "reference": reference,
                "poll": {"title": "When?", "options": ["Mon", "Tue"], "count": 0}}),
        ),
        (
            json!({"type": "reaction", "reaction": {"emoji": "👍"}}),
            Some("A1"),
            "PUT /messages/A1/reaction",
            json!({"emoji": "👍"}),
        ),
        (
            json!({"type": "reaction", "reaction": {}}),
            Some("A1"),
            "PUT /messages/A1/reaction",
            json!({"emoji": ""}),
        ),
    ] {
        let (base, seen) = server(vec![reply(200, r#"{"message":{"id":"B7"}}"#)]).await;
        let sent = send(&everything(), &base, &of(content.clone(), quoted)).await.unwrap();
        let seen = seen.lock().unwrap().clone();
        assert_eq!((seen[0].line().as_str(), &seen[0].body), (line, &body), "{content}");
        // The answer to a reaction names none.
        let reaction = content["type"] == "reaction";
        assert_eq!(sent.message_id.is_none(), reaction, "{content}");
        assert_eq!(sent.word == StatusWord::Sent, reaction, "{content}");
    }
}

#[tokio::test]
async fn what_has_no_place_is_refused_before_anything_is_sent() {
    let nobody = "http://127.0.0.1:9";
    let bare = r#"{"api":{"upload":{"path":"/f","as":"raw","id":"/id"},"send":{
        "image":{"path":"/i/{chat_id}","body":{"f":"{file}"}},
        "template":{"path":"/t/{chat_id}","body":{"n":"{name}"}},
        "interactive":{"path":"/b/{chat_id}","body":{"t":"{text}","o":"{options}"}}}}}"#;
    for (mapping, content, quoted, word) in [
        ("", json!({"type": "image", "media": {"id": 1}}), None, "no call for image"),
        ("", json!({"type": "reaction", "reaction": {}}), Some("A1"), "no call for reaction"),
        (bare, json!({"type": "video", "media": {"id": 1}}), None, "no call for video"),
        (bare, json!({"type": "image", "media": {"id": 1, "caption": "c"}}), None, "{caption}"),
        (bare, json!({"type": "image", "media": {"id": 1}}), Some("A1"), "{quoted_id}"),
        (
            bare,
            json!({"type": "template", "template": {"name": "n", "language": "en", "parameters": {"body": ["x"]}}}),
            None,
            "{parameters}",
        ),
        (
            bare,
            json!({"type": "interactive", "interactive": {"kind": "buttons", "body": "b", "header": "h",
                "options": [{"id": "1", "title": "t"}]}}),
            None,
            "{header}",
        ),
    ] {
        match send(mapping, nobody, &of(content.clone(), quoted)).await {
            Err(SendError::Refused { kind: Kind::UnsupportedByProvider, message }) => {
                assert!(message.contains(word), "{content}: {message}");
            }
            other => panic!("{content}: {other:?}"),
        }
    }
}

fn file(bytes: &'static [u8]) -> Upload {
    Upload {
        filename: "gate.jpeg".into(),
        mimetype: "image/jpeg".into(),
        size: bytes.len() as u64,
        body: reqwest::Body::from(bytes),
    }
}

async fn upload(mapping: &str, base: &str) -> Result<Uploaded, CallError> {
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let custom = Custom::new(mapping).unwrap();
    custom.upload(&mock::call(&http, base, &token, "L-7"), file(b"bytes")).await
}

#[tokio::test]
async fn files_are_handed_over_in_three_forms() {
    let (base, seen) = server(vec![reply(200, r#"{"file":{"id":"F7"}}"#)]).await;
    let there = Uploaded { id: "F7".into(), keeps: None };
    assert_eq!(upload(&everything(), &base).await, Ok(there));
    let form = seen.lock().unwrap()[0].clone();
    assert_eq!(
        (form.line().as_str(), form.header("authorization")),
        ("POST /files", &*format!("Bearer {TOKEN}"))
    );
    assert!(form.header("content-type").starts_with("multipart/form-data; boundary="));

    let raw = r#"{"api":{"upload":{"method":"PUT","path":"/lines/{channel_id}/files","as":"raw","id":"/url",
        "headers":{"x-name":"{filename}"},"keeps_hours":2}}}"#;
    let (base, seen) = server(vec![reply(200, r#"{"url":"https://files.example/7"}"#)]).await;
    let keeps = Some(Duration::from_secs(7200));
    let there = Uploaded { id: "https://files.example/7".into(), keeps };
    assert_eq!(upload(raw, &base).await, Ok(there));
    let seen = seen.lock().unwrap()[0].clone();
    assert_eq!(seen.line(), "PUT /lines/L-7/files");
    assert_eq!((seen.header("content-type"), seen.header("x-name")), ("image/jpeg", "gate.jpeg"));
    assert_eq!(seen.header("content-length"), "5");

    let blocks = blocks("A service that takes everything");
    assert_eq!(blocks.len(), 2, "mapping and message");
    let base64 = r#"{"api":{"upload":{"path":"/uploads","as":"base64","body":{"name":"{filename}","content":"{data}"},"id":"/url"}}}"#;
    let (base, seen) = server(vec![reply(200, r#"{"url":"u"}"#)]).await;
    assert_eq!(upload(base64, &base).await, Ok(Uploaded { id: "u".into(), keeps: None }));
    let body = seen.lock().unwrap()[0].body.clone();
    assert_eq!(body, json!({"name": "gate.jpeg", "content": "Ynl0ZXM="}));

    let (base, _) = server(vec![reply(200, "{}")]).await;
    let error = upload(base64, &base).await.unwrap_err();
    assert!(matches!(error, CallError::Unavailable { .. }), "{error:?}");
    let (base, _) = server(vec![reply(415, r#"{"error":"no pictures"}"#)]).await;
    let error = upload(base64, &base).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }), "{error:?}");
    let error = upload("", &base).await.unwrap_err();
    assert!(
        matches!(error, CallError::Refused { kind: Kind::UnsupportedByProvider, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_was_sent_is_changed() {
    let (base, seen) = server(vec![reply(200, "{}")]).await;
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let call = mock::call(&http, &base, &token, "L-7");
    let message = SentMessage { chat_id: CHAT, message_id: "B7" };
    let custom = Custom::new(&everything()).unwrap();
    custom.edit(&call, &message, "at one").await.unwrap();
    custom.delete(&call, &message).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(
        (seen[0].line().as_str(), &seen[0].body),
        ("PATCH /messages/B7", &json!({"body": "at one"}))
    );
    assert_eq!(seen[1].line(), "DELETE /messages/B7");
    let plain = Custom::new("").unwrap();
    for refused in [plain.edit(&call, &message, "x").await, plain.delete(&call, &message).await] {
        let error = refused.unwrap_err();
        assert!(
            matches!(error, CallError::Refused { kind: Kind::UnsupportedByProvider, .. }),
            "{error:?}"
        );
    }
}
