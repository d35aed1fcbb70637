//! Reactions, edits, deletions, and who is on WhatsApp.

use super::*;

const SENT: SentMessage<'static> =
    SentMessage { chat_id: "447700900123@s.whatsapp.net", message_id: "Pw7p-gLw8" };

#[tokio::test]
async fn a_reaction_is_answered_without_a_message() {
    let reaction = || Outgoing {
        content: serde_json::from_value(json!({"type": "reaction", "reaction": {"emoji": "👍"}}))
            .unwrap(),
        quoted_id: Some("Pw7p-gLw8".into()),
        ..outgoing()
    };
    let (base, seen) = mock(vec![(200, vec![], r#"{"success":true}"#.into())]).await;
    let accepted = send_to(&base, reaction()).await.unwrap();
    assert_eq!(accepted, Accepted { message_id: None, word: StatusWord::Sent, chat_id: None });
    let (method, path, _, body) = seen.lock().unwrap()[0].clone();
    assert_eq!((method.as_str(), path.as_str()), ("PUT", "/messages/Pw7p-gLw8/reaction"));
    assert_eq!(body, json!({"emoji": "👍"}));

    let base = answering(200, r#"{"success":false,"error":{"message":"too old"}}"#).await;
    let refused = send_to(&base, reaction()).await.unwrap_err();
    assert_eq!(
        refused,
        SendError::Refused { kind: Kind::ProviderRejected, message: "too old".into() }
    );
    let base = answering(200, "<html>").await;
    assert!(matches!(send_to(&base, reaction()).await, Err(SendError::Uncertain { .. })));
}

#[tokio::test]
async fn polls_that_whapi_cannot_count_are_refused() {
    for (count, sent) in [(None, 1), (Some(1), 1), (Some(0), 0), (Some(3), 0)] {
        let poll = json!({"type": "poll", "poll": {"title": "t", "options": ["a", "b", "c"], "count": count}});
        let outgoing = Outgoing { content: serde_json::from_value(poll).unwrap(), ..outgoing() };
        assert_eq!(sending(&outgoing).unwrap().body["count"], sent, "{count:?}");
    }
    let poll =
        json!({"type": "poll", "poll": {"title": "t", "options": ["a", "b", "c"], "count": 2}});
    let outgoing = Outgoing { content: serde_json::from_value(poll).unwrap(), ..outgoing() };
    assert!(matches!(
        sending(&outgoing).map(|_| ()),
        Err(SendError::Refused { kind: Kind::InvalidContent, .. })
    ));
}

#[tokio::test]
async fn edits_and_deletions() {
    let (base, seen) = mock(vec![
        (200, vec![], ACCEPTED.into()),
        (200, vec![], r#"{"success":true}"#.into()),
        (200, vec![], r#"{"sent":false}"#.into()),
        (404, vec![], error_body("Specified message not found")),
        (429, vec![("retry-after", "7".into())], String::new()),
        (500, vec![], String::new()),
    ])
    .await;
    let (http, token) = (client(), Secret::new(TOKEN));
    let call = call(&http, &base, &token);
    Whapi.edit(&call, &SENT, "better").await.unwrap();
    Whapi.delete(&call, &SENT).await.unwrap();
    for _ in 0..2 {
        let refused = Whapi.edit(&call, &SENT, "better").await.unwrap_err();
        assert_eq!(refused.kind(), Kind::ProviderRejected, "{refused}");
    }
    let slower = Whapi.delete(&call, &SENT).await.unwrap_err();
    assert_eq!(slower, CallError::RateLimited { retry_after: Some(Duration::from_secs(7)) });
    let unclear = Whapi.delete(&call, &SENT).await.unwrap_err();
    assert_eq!(unclear.kind(), Kind::ProviderUnavailable);

    let seen = seen.lock().unwrap();
    assert_eq!((seen[0].0.as_str(), seen[0].1.as_str()), ("POST", "/messages/text"));
    assert_eq!(
        seen[0].3,
        json!({"to": "447700900123@s.whatsapp.net", "body": "better", "edit": "Pw7p-gLw8"})
    );
    assert_eq!((seen[1].0.as_str(), seen[1].1.as_str()), ("DELETE", "/messages/Pw7p-gLw8"));
    assert_eq!(seen[1].3, Value::Null);
}

#[tokio::test]
async fn numbers_are_checked_in_one_call() {
    let answer = json!({"contacts": [
        {"input": "447700900801", "status": "invalid"},
        {"input": "+5511987650001", "status": "valid", "wa_id": "551187650001"},
    ]});
    let (base, seen) =
        mock(vec![(200, vec![], answer.to_string()), (200, vec![], r#"{"contacts":[]}"#.into())])
            .await;
    let (http, token) = (client(), Secret::new(TOKEN));
    let call = call(&http, &base, &token);
    let numbers = ["5511987650001", "447700900801"];
    let checked = Whapi.check_numbers(&call, &numbers).await.unwrap();
    let told: Vec<_> = checked
        .iter()
        .map(|one| (one.number.as_str(), one.is_wa_contact, one.chat_id.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("5511987650001", true, Some("551187650001@s.whatsapp.net")),
            ("447700900801", false, None)
        ]
    );
    let missing = Whapi.check_numbers(&call, &numbers).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::ProviderUnavailable);
    let (method, path, _, body) = seen.lock().unwrap()[0].clone();
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/contacts"));
    assert_eq!(body, json!({"contacts": numbers}));
}
