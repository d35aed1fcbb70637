use super::*;
use crate::error::Kind;

fn text(body: &str) -> Result<Content, Refusal> {
    Content::text(Text { body: body.into(), preview: None, mentions: vec![] })
}

fn content(value: Value) -> Result<Content, String> {
    serde_json::from_value::<Content>(value)
        .map_err(|error| error.to_string())?
        .checked()
        .map_err(|refusal| refusal.message)
}

#[test]
fn limits_are_named() {
    assert!(text("ok").is_ok());
    assert_eq!(text(" \n").unwrap_err().kind, Kind::InvalidContent);
    assert!(text(&"é".repeat(TEXT_MAX_CHARS)).is_ok());
    assert!(text(&"é".repeat(TEXT_MAX_CHARS + 1)).unwrap_err().message.contains("4096"));
    assert_eq!(text("a\0b").unwrap_err().kind, Kind::InvalidContent);
}

#[test]
fn wire_form() {
    let content = text("hello").unwrap();
    assert_eq!(
        serde_json::to_value(&content).unwrap(),
        serde_json::json!({"type": "text", "text": {"body": "hello"}})
    );
}

#[test]
fn every_type_reads_back_as_it_was_written() {
    for (value, kind, body) in [
        (json!({"type": "image", "media": {"id": 7, "caption": "c"}}), MessageType::Image, None),
        (json!({"type": "voice", "media": {"id": 7}}), MessageType::Voice, None),
        (
            json!({"type": "location", "location": {"latitude": 1.5, "longitude": -2.0, "name": "n"}}),
            MessageType::Location,
            Some("n"),
        ),
        (
            json!({"type": "contact", "contact": {"name": "A", "phone": "+447700900801"}}),
            MessageType::Contact,
            Some("A"),
        ),
        (
            json!({"type": "poll", "poll": {"title": "t", "options": ["a", "b"], "count": 1}}),
            MessageType::Poll,
            Some("t"),
        ),
        (
            json!({"type": "interactive", "interactive": {"kind": "list", "body": "b", "options": [{"id": "1", "title": "t", "description": "d"}]}}),
            MessageType::Interactive,
            Some("b"),
        ),
        (
            json!({"type": "template", "template": {"name": "n", "language": "en", "parameters": {"body": ["x"]}}}),
            MessageType::Template,
            Some("n"),
        ),
        (
            json!({"type": "template", "template": {"name": "n", "language": "en", "parameters": {
                "body": [{"name": "first_name", "text": "x"}], "buttons": [{"index": 2, "text": "y"}],
            }}, "media": {"id": 7, "filename": "a.pdf"}}),
            MessageType::Template,
            Some("n"),
        ),
        (
            json!({"type": "reaction", "reaction": {"emoji": "👍🏽"}}),
            MessageType::Reaction,
            Some("👍🏽"),
        ),
        (json!({"type": "reaction", "reaction": {}}), MessageType::Reaction, None),
    ] {
        let read = content(value.clone()).unwrap();
        assert_eq!((read.message_type(), read.body()), (kind, body), "{value}");
        assert_eq!(serde_json::to_value(&read).unwrap(), value);
    }
}

#[test]
fn what_no_provider_takes_is_refused_with_its_cause() {
    let options =
        |n: usize| (0..n).map(|n| json!({"id": n.to_string(), "title": "t"})).collect::<Vec<_>>();
    let template = |parameters: Value| json!({"type": "template", "template": {"name": "n", "language": "en", "parameters": parameters}, "media": {"id": 1}});
    for (value, word) in [
        (json!({"type": "voice", "media": {"id": 1, "caption": "c"}}), "no caption"),
        (json!({"type": "document", "media": {"id": 1, "filename": "../a"}}), "bare name"),
        (json!({"type": "image", "media": {"id": 1, "caption": "x".repeat(1025)}}), "1024"),
        (json!({"type": "location", "location": {"latitude": 91, "longitude": 0}}), "latitude"),
        (json!({"type": "location", "location": {"latitude": 1, "longitude": 181}}), "longitude"),
        (json!({"type": "contact", "contact": {"name": "A", "phone": "12"}}), "phone"),
        (json!({"type": "poll", "poll": {"title": "t", "options": ["a"]}}), "2 to 12"),
        (json!({"type": "poll", "poll": {"title": "t", "options": ["a", "a"]}}), "the same"),
        (
            json!({"type": "poll", "poll": {"title": "t", "options": ["a", "b"], "count": 3}}),
            "count",
        ),
        (
            json!({"type": "interactive", "interactive": {"kind": "buttons", "body": "b", "options": options(4)}}),
            "1 to 3 buttons",
        ),
        (
            json!({"type": "interactive", "interactive": {"kind": "list", "body": "b", "options": []}}),
            "1 to 10 rows",
        ),
        (json!({"type": "template", "template": {"name": "", "language": "en"}}), "name"),
        (template(json!({"body": ["x", {"name": "a", "text": "y"}]})), "all placeholders"),
        (template(json!({"body": [{"name": "{{a}}", "text": "y"}]})), "without braces"),
        (template(json!({"body": [{"text": "y"}]})), "{name, text}"),
        (template(json!({"buttons": ["x", {"index": 1, "text": "y"}]})), "an index"),
        (
            template(json!({"buttons": [{"index": 1, "text": "y"}, {"index": 1, "text": "y"}]})),
            "twice",
        ),
        (template(json!({"buttons": [{"index": 10, "text": "y"}]})), "0 to 9"),
        (template(json!({"header": ["x"]})), "not both"),
        (
            json!({"type": "template", "template": {"name": "n", "language": "en"}, "media": {"id": 1, "caption": "c"}}),
            "no caption",
        ),
        (json!({"type": "reaction", "reaction": {"emoji": "ok"}}), "one emoji"),
        (json!({"type": "banana"}), "banana"),
    ] {
        let why = content(value.clone()).unwrap_err();
        assert!(why.contains(word), "{value}: {why}");
    }
}

#[test]
fn cards_cannot_be_broken_out_of() {
    let card = ContactCard { name: "A;B\nTEL:+1\\,".into(), phone: "+44 7700 900801".into() };
    let vcard = card.vcard();
    assert_eq!(vcard.lines().count(), 6, "{vcard}");
    assert!(vcard.contains("FN:A\\;B TEL:+1\\\\\\,"), "{vcard}");
    assert!(vcard.contains("waid=447700900801:+447700900801"), "{vcard}");
}
