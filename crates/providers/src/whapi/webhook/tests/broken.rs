//! Bodies and events that make no sense.

use super::*;

#[test]
fn a_broken_event_keeps_its_neighbours() {
    let good = r#"{"id":"A","type":"text","chat_id":"447700900123@s.whatsapp.net","from_me":false,"text":{"body":"x"}}"#;
    let body = format!(
        r#"{{"messages":[{good},{{"id":5}},7,null,{{"id":"B","chat_id":"1@g.us"}},{{"id":"","chat_id":"x","from_me":true}},{good}],
            "statuses":[{{"status":"read"}},{{"id":"A"}},{{"id":"A","status":"read"}}],"channel_id":{{"a":1}}}}"#
    );
    let parsed = read(body.as_bytes()).unwrap();
    assert_eq!(parsed.events.len(), 3);
    assert!(parsed.events.iter().all(|event| event.channel_id.is_none()));
    let broken: Vec<_> = parsed.broken.iter().map(|b| (b.kind.as_str(), b.index)).collect();
    assert_eq!(
        broken,
        [
            ("messages", 1),
            ("messages", 2),
            ("messages", 3),
            ("messages", 4),
            ("messages", 5),
            ("statuses", 0),
            ("statuses", 1)
        ]
    );
    let What::Message(first) = &parsed.events[0].what else { panic!("{parsed:?}") };
    assert_eq!(first.at, at(RECEIVED_AT), "a missing time is the time of the receipt");
    let long =
        format!(r#"{{"messages":[{{"id":"{}","chat_id":"c","from_me":true}}]}}"#, "x".repeat(300));
    assert_eq!(read(long.as_bytes()).unwrap().broken.len(), 1);
}

#[test]
fn odd_bytes_and_numbers_spoil_nothing() {
    let mut body = br#"{"messages":[{"id":"A","type":"text","chat_id":"447700900123@s.whatsapp.net","from_me":false,
        "timestamp":123456789012345678901234567890,"device_id":1e999,"from":447700900123,"from_name":"cut \ud83d",
        "labels":"x","text":{"body":"a \u0000 \ud83d\ude00 "#.to_vec();
    body.push(0xff);
    body.extend_from_slice(br#""}}],"messages":[{"id":"B","type":"text","chat_id":"447700900123@s.whatsapp.net","from_me":false}]}"#);
    let parsed = read(&body).unwrap();
    assert_eq!(parsed.broken, []);
    assert_eq!(parsed.events.len(), 2, "a repeated key is read twice");
    let What::Message(message) = &parsed.events[0].what else { panic!("{parsed:?}") };
    assert_eq!(message.content.as_deref(), Some("a  😀 \u{fffd}"));
    assert_eq!(message.sender.as_ref().unwrap().pushname.as_deref(), Some("cut \u{fffd}"));
    assert_eq!(message.at, at(RECEIVED_AT));
}

#[test]
fn what_is_no_webhook_is_said_without_quoting_it() {
    for body in [
        "",
        "[]",
        "null",
        "\"canary\"",
        "{\"a\":",
        "{\"object\":\"x\",\"entry\":[]}",
        "{}",
        "nonsense canary",
    ] {
        let reason = read(body.as_bytes()).unwrap_err().reason;
        assert!(!reason.contains("canary"), "{reason}");
    }
    assert_eq!(read("\u{feff}{\"event\":{}}".as_bytes()).unwrap(), Parsed::default());
}
