use jiff::Timestamp;
use serde_json::{Map, Value, json};
use wabridge_domain::account::AccountState;
use wabridge_domain::event::{
    AccountUpdate, Edit, Location, Message, ProviderError, Source, StatusUpdate, What,
};
use wabridge_domain::message::{MessageType, StatusWord};
use wabridge_domain::webhook::Encoding;

use super::*;

const RECEIVED_AT: i64 = 1_765_900_000;

/// Of issue 3, byte for byte but for the three values it leaves open.
pub(super) const GENERIC: &str = r#"{"event_type":"message.received","timestamp":"2024-01-15T10:30:00Z","channel_id":"main","data":{"message":{"id":"A1","from":"1234567890@s.whatsapp.net","to":"group_id@g.us","type":"text","body":"Hello","timestamp":1642245000},"contact":{"name":"Amira","pushname":"amira"}}}"#;

const PAGE: &str = include_str!("../../../../docs/CUSTOM_PROVIDER.md");

/// The JSON of a section of the page, in order.
pub(super) fn blocks(heading: &str) -> Vec<String> {
    let (_, section) = PAGE.split_once(&format!("## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```json\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn read(custom: &Custom, body: &[u8]) -> Result<Parsed, Unreadable> {
    let route = Route { method: "POST", sub_path: "", received_at: at(RECEIVED_AT) };
    custom.parse(&Signed::from_journal(body), &route)
}

fn parsed(body: &Value) -> Parsed {
    read(&Custom::new("").unwrap(), body.to_string().as_bytes()).unwrap()
}

fn what(body: &Value) -> What {
    let mut parsed = parsed(body);
    assert_eq!(parsed.broken, [], "{body}");
    parsed.events.remove(0).what
}

fn message(body: &Value) -> Message {
    match what(body) {
        What::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

fn generic() -> Value {
    serde_json::from_str(GENERIC).unwrap()
}

fn amira() -> Person {
    Person {
        contact_id: "1234567890@s.whatsapp.net".into(),
        phone: Some("+1234567890".into()),
        name: Some("Amira".into()),
        pushname: Some("amira".into()),
        ..Person::default()
    }
}

fn in_group() -> Message {
    Message {
        message_id: "A1".into(),
        chat: Chat { id: "group_id@g.us".into(), kind: ChatKind::Group, name: None },
        from_me: false,
        source: Source::Unknown,
        sender: Some(amira()),
        at: at(1_642_245_000),
        message_type: MessageType::Text,
        content: Some("Hello".into()),
        caption: None,
        quoted_id: None,
        word: None,
        media: None,
        location: None,
        forwarded: false,
        reference: None,
        extra: Map::new(),
    }
}

#[test]
fn the_generic_event() {
    for mapping in ["", " \n", "{}", r#"{"webhook":{},"api":{},"chats":{}}"#] {
        let parsed = read(&Custom::new(mapping).unwrap(), GENERIC.as_bytes()).unwrap();
        assert_eq!(parsed.broken, []);
        assert_eq!(parsed.events[0].channel_id.as_deref(), Some("main"));
        assert_eq!(parsed.events[0].what, What::Message(Box::new(in_group())));
    }
    let mut body = generic();
    body["data"]["message"]["to"] = json!("447700900999@s.whatsapp.net");
    let direct = Chat {
        id: "1234567890@s.whatsapp.net".into(),
        kind: ChatKind::Direct,
        name: Some("Amira".into()),
    };
    assert_eq!(message(&body), Message { chat: direct.clone(), ..in_group() });
    // As terse as the event allows.
    let terse = json!({"event_type": "message.received", "data": {"message": {
        "id": 17, "from": "+1234567890", "body": "Hello",
    }}});
    let expected = Message {
        message_id: "17".into(),
        chat: Chat { name: None, ..direct.clone() },
        sender: Some(Person { name: None, pushname: None, ..amira() }),
        at: at(RECEIVED_AT),
        ..in_group()
    };
    assert_eq!(message(&terse), expected);
    assert_eq!(parsed(&terse).events[0].channel_id, None);
}

#[test]
fn own_messages() {
    let mut body = generic();
    body["data"]["message"]["to"] = json!("1234567890");
    body["data"]["message"]["from"] = json!("447700900999");
    body["data"]["message"]["reference"] = json!("r-1");
    body["data"]["message"]["status"] = json!("SENT");
    for (event, from_me, source) in [
        ("message.sent", None, Source::Api),
        ("message.typed", None, Source::Phone),
        ("message.received", Some(json!(true)), Source::Unknown),
        ("message.received", Some(json!("outbound")), Source::Unknown),
    ] {
        body["event_type"] = json!(event);
        body["data"]["message"]["from_me"] = from_me.unwrap_or_default();
        let message = message(&body);
        assert!(message.from_me, "{event}");
        assert_eq!(message.source, source, "{event}");
        assert_eq!(message.sender, None);
        assert_eq!(message.chat.id, "1234567890@s.whatsapp.net");
        assert_eq!(message.word, Some(StatusWord::Sent));
        assert_eq!(message.reference.as_deref(), Some("r-1"));
    }
}

#[test]
fn the_other_events_of_the_page() {
    let blocks = blocks("The generic format");
    let what = |n: usize| what(&serde_json::from_str(&blocks[n]).unwrap());
    let status = StatusUpdate {
        message_id: "B7".into(),
        word: StatusWord::Delivered,
        at: at(1_642_245_005),
        member: None,
        error: None,
        reference: None,
    };
    assert_eq!(what(1), What::Status(status.clone()));
    let What::Edit(edit) = what(2) else { panic!() };
    let expected = Edit {
        message_id: "A1".into(),
        edit_id: edit.edit_id.clone(),
        at: at(1_705_314_660),
        chat_id: Some("1234567890@s.whatsapp.net".into()),
        content: Some("Hello there".into()),
        caption: None,
    };
    assert_eq!(edit, expected);
    let deleted = StatusUpdate {
        message_id: "A1".into(),
        word: StatusWord::Deleted,
        at: at(1_705_314_720),
        ..status
    };
    assert_eq!(what(3), What::Status(deleted));
    let What::Message(reaction) = what(4) else { panic!() };
    assert_eq!(reaction.message_id, "A2");
    assert_eq!(reaction.message_type, MessageType::Reaction);
    assert_eq!(reaction.content.as_deref(), Some("👍"));
    assert_eq!(reaction.quoted_id.as_deref(), Some("B7"));
    let account = AccountUpdate {
        state: AccountState::QrNeeded,
        reason: Some("logged out".into()),
        at: Some(at(1_705_314_840)),
    };
    assert_eq!(what(5), What::Account(account));
}

#[test]
fn files_places_and_types() {
    let of = |fields: Value| {
        let mut body = generic();
        for (name, value) in fields.as_object().unwrap() {
            body["data"]["message"][name] = value.clone();
        }
        message(&body)
    };
    let file = json!({
        "id": "F1", "url": "https://files.example/F1", "mimetype": "image/jpeg", "filename": "a.jpg",
        "size": "512",
    });
    let image = of(json!({"type": "image", "body": "the gate", "media": file}));
    assert_eq!(image.message_type, MessageType::Image);
    assert_eq!((image.content.as_deref(), image.caption.as_deref()), (None, Some("the gate")));
    let media = MediaRef {
        id: Some("F1".into()),
        url: Some("https://files.example/F1".into()),
        mimetype: Some("image/jpeg".into()),
        filename: Some("a.jpg".into()),
        size: Some(512),
        ..MediaRef::default()
    };
    assert_eq!(image.media, Some(media));
    for (mimetype, expected) in [
        ("image/png", MessageType::Image),
        ("video/mp4", MessageType::Video),
        ("audio/ogg", MessageType::Audio),
        ("application/pdf", MessageType::Document),
    ] {
        let untold = of(json!({"type": null, "media": {"id": "F1", "mimetype": mimetype}}));
        assert_eq!(untold.message_type, expected, "{mimetype}");
    }
    let place = of(json!({
        "type": "location", "body": null, "location": {"latitude": "51.5", "longitude": -0.12, "name": "Depot"},
    }));
    let expected =
        Location { latitude: 51.5, longitude: -0.12, name: Some("Depot".into()), address: None };
    assert_eq!(place.location, Some(expected));
    let poll = of(json!({"type": "poll", "poll": {"options": ["a"]}}));
    assert_eq!(poll.message_type, MessageType::Poll);
    assert_eq!(poll.extra["raw"]["data"]["message"]["poll"], json!({"options": ["a"]}));
    assert_eq!(of(json!({"type": "hologram"})).message_type, MessageType::Unknown);
    let all = of(json!({
        "type": "PTT", "quoted_id": "Q", "forwarded": 1, "mentions": ["447700900999"],
    }));
    assert_eq!((all.message_type, all.quoted_id.as_deref()), (MessageType::Voice, Some("Q")));
    assert!(all.forwarded);
    assert_eq!(all.extra["mentions"], json!(["447700900999"]));
}

#[test]
fn statuses() {
    let of = |status: Value| {
        what(
            &json!({"event_type": "message.status", "timestamp": 1_642_245_009, "data": {"status": status}}),
        )
    };
    let What::Status(failed) = of(json!({
        "id": "B7", "status": "Failed", "member": "447700900123", "error": {"code": 131, "message": "no"},
    })) else {
        panic!()
    };
    assert_eq!((failed.word, failed.at), (StatusWord::Failed, at(1_642_245_009)));
    assert_eq!(failed.member.as_deref(), Some("447700900123@s.whatsapp.net"));
    let error = ProviderError { kind: None, code: Some("131".into()), message: "no".into() };
    assert_eq!(failed.error, Some(error));
    assert_eq!(
        of(json!({"id": "B7", "status": "warp"})),
        What::Other { kind: "status:warp".into() }
    );
}

#[test]
fn what_makes_no_sense_spoils_no_neighbour() {
    let good = generic();
    let mut nameless = generic();
    nameless["data"]["message"].as_object_mut().unwrap().remove("id");
    let events = json!([{}, good, 7, nameless, {"event_type": "of tomorrow"}]);
    let parsed = parsed(&events);
    assert_eq!(parsed.events.len(), 2);
    assert_eq!(parsed.events[1].what, What::Other { kind: "of tomorrow".into() });
    let reasons: Vec<_> =
        parsed.broken.iter().map(|b| (b.index, b.kind.as_str(), b.reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (0, "event", "it names no event at /event_type"),
            (2, "event", "it is no object"),
            (3, "message.received", "it names no message id at /data/message/id"),
        ]
    );
    let custom = Custom::new(r#"{"webhook":{"events":"/list"}}"#).unwrap();
    for body in ["", "7", "null", "{", r#"{"other":[]}"#] {
        assert!(read(&custom, body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn times_by_their_format() {
    for (format, given, expected) in [
        ("seconds", json!(1_642_245_000), 1_642_245_000),
        ("seconds", json!("1642245000"), 1_642_245_000),
        ("seconds", json!(1_642_245_000_000_i64), RECEIVED_AT),
        ("milliseconds", json!(1_642_245_000_000_i64), 1_642_245_000),
        ("milliseconds", json!(1_642_245_000), RECEIVED_AT),
        ("rfc3339", json!("2022-01-15T11:10:00Z"), 1_642_245_000),
        ("rfc3339", json!(1_642_245_000), RECEIVED_AT),
        ("auto", json!("2022-01-15T11:10:00Z"), 1_642_245_000),
        ("auto", json!(u64::MAX), RECEIVED_AT),
    ] {
        let mapping =
            json!({"webhook": {"timestamp_format": format, "timestamp": null}}).to_string();
        let mut body = generic();
        body["data"]["message"]["timestamp"] = given.clone();
        let parsed = read(&Custom::new(&mapping).unwrap(), body.to_string().as_bytes()).unwrap();
        let What::Message(message) = &parsed.events[0].what else { panic!() };
        assert_eq!(message.at, at(expected), "{format} {given}");
    }
}

#[test]
fn mappings_are_refused_with_key_and_cure() {
    for (mapping, key, cure) in [
        ("{", "no JSON", "line 1"),
        ("{} x", "behind the JSON", "line 1"),
        ("[]", "this is a list", "docs/CUSTOM_PROVIDER.md"),
        ("7", "invalid type", "docs/CUSTOM_PROVIDER.md"),
        (r#"{"webhok":{}}"#, "webhok", "expected one of `webhook`, `chats`, `api`"),
        (r#"{"webhook":{"message":{"idd":"/x"}}}"#, "webhook.message.idd", "expected one of `id`"),
        (
            r#"{"webhook":{"message":{"id":"data/id"}}}"#,
            "webhook.message.id",
            "begin it with a slash",
        ),
        (r#"{"webhook":{"message":{"id":5}}}"#, "webhook.message.id", "is a JSON pointer like"),
        (r#"{"webhook":{"message":{"id":null}}}"#, "webhook.message.id", "give a place"),
        (
            r#"{"webhook":{"message":{"sender":null,"chat":null}}}"#,
            "webhook.message.sender",
            "give a place",
        ),
        (
            r#"{"webhook":{"event_words":{"x":"massage"}}}"#,
            "webhook.event_words",
            "expected one of `message`",
        ),
        (
            r#"{"webhook":{"message_types":{"x":"holo"}}}"#,
            "webhook.message_types",
            "expected one of `text`",
        ),
        (
            r#"{"webhook":{"status_words":{"x":"gone"}}}"#,
            "webhook.status_words",
            "expected one of `pending`",
        ),
        (
            r#"{"webhook":{"timestamp_format":"days"}}"#,
            "webhook.timestamp_format",
            "expected one of `seconds`",
        ),
        (r#"{"webhook":{"secret":{"header":"a b"}}}"#, "webhook.secret.header", "write it like"),
        (
            r#"{"webhook":{"signature":{"encoding":"rot13"}}}"#,
            "webhook.signature.encoding",
            "`hex`",
        ),
        (r#"{"chats":{"direct_suffix":"c.us"}}"#, "chats.direct_suffix", "begin"),
        (r#"{"chats":{"direct_suffix":"@g.us"}}"#, "chats.group_suffix", "could not be told"),
        (r#"{"api":{"auth":{"mode":"query"}}}"#, "api.auth", "`bearer`"),
        (r#"{"api":{"auth":{"mode":"header"}}}"#, "api.auth", "missing field `name`"),
        (r#"{"api":{"send_text":{"body":{}}}}"#, "api.send_text", "missing field `path`"),
        (
            r#"{"api":{"send_text":{"path":"x","body":{}}}}"#,
            "api.send_text.path",
            "begin it with a slash",
        ),
        (
            r#"{"api":{"send_text":{"path":"/x?k=1","body":{}}}}"#,
            "api.send_text.path",
            "leave out ?",
        ),
        (r#"{"api":{"send_text":{"path":"/x/{chat_id}"}}}"#, "api.send_text", "{text}"),
        (
            r#"{"api":{"send_text":{"path":"/x","body":"{text}"}}}"#,
            "api.send_text",
            "{chat_id} or {phone}",
        ),
        (
            r#"{"api":{"send_text":{"path":"/{chat_id}","body":{"a":["{txt}"]}}}}"#,
            "api.send_text.body",
            "at \"/a/0\": unknown placeholder {txt}; known are {chat_id}",
        ),
        (
            r#"{"api":{"send_text":{"path":"/{chat_id}/{media_id}","body":"{text}"}}}"#,
            "api.send_text",
            "{media_id} has no value there",
        ),
        (
            r#"{"api":{"send_text":{"method":"SEND","path":"/"}}}"#,
            "api.send_text.method",
            "write one of GET",
        ),
        (
            r#"{"api":{"health":{"path":"/","body":{}}}}"#,
            "api.health.body",
            "choose another method",
        ),
        (
            r#"{"api":{"media":{"method":"POST","path":"/{media_id}"}}}"#,
            "api.media",
            "leave method and headers out",
        ),
        (r#"{"api":{"send":{"song":{"path":"/x"}}}}"#, "api.send", "unknown field `song`"),
        (
            r#"{"api":{"send":{"image":{"path":"/{chat_id}","body":{"f":"{file}"}}}}}"#,
            "api.send.image",
            "api.upload, which hands files over, is missing",
        ),
        (
            r#"{"api":{"send":{"image":{"path":"/{chat_id}"}},"upload":{"path":"/f","as":"raw","id":"/id"}}}"#,
            "api.send.image",
            "hold {file}",
        ),
        (
            r#"{"api":{"send":{"location":{"path":"/{chat_id}","body":["{latitude}"]}}}}"#,
            "api.send.location",
            "hold {longitude}",
        ),
        (
            r#"{"api":{"send":{"poll":{"path":"/{chat_id}","body":["{title}","{emoji}"]}}}}"#,
            "api.send.poll",
            "{emoji} has no value there",
        ),
        (
            r#"{"api":{"send":{"reaction":{"path":"/x","body":{"e":"{emoji}"}}}}}"#,
            "api.send.reaction",
            "hold {message_id}",
        ),
        (r#"{"api":{"upload":{"path":"/f","id":"/id"}}}"#, "api.upload", "missing field `as`"),
        (
            r#"{"api":{"upload":{"path":"/f","id":"/id","as":"base64"}}}"#,
            "api.upload",
            "give body with {data}",
        ),
        (
            r#"{"api":{"upload":{"path":"/f","id":"/id","as":"base64","body":{}}}}"#,
            "api.upload",
            "hold {data}",
        ),
        (
            r#"{"api":{"upload":{"path":"/f","id":"/id","as":"form","fields":{"x":"{data}"}}}}"#,
            "api.upload",
            "{data} has no value there",
        ),
        (r#"{"api":{"delete":{"path":"/{message_id}"}}}"#, "api.delete.method", "a GET changes"),
        (r#"{"api":{"edit":{"method":"PUT","path":"/{message_id}"}}}"#, "api.edit", "hold {text}"),
        (r#"{"api":{"answers":{"200":"refused"}}}"#, "api.answers", "300 to 599"),
        (r#"{"api":{"base_path":"/{channel_id}"}}"#, "api.base_path", "path of the call"),
    ] {
        let why = Custom::new(mapping).unwrap_err().to_string();
        assert!(why.starts_with("custom_mapping: "), "{why}");
        assert!(why.contains(key) && why.contains(cure), "{mapping}: {why}");
    }
}

#[test]
fn capabilities_are_those_of_the_mapping() {
    let can = |mapping: &str| {
        let custom = Custom::new(mapping).unwrap();
        let all = [Operation::SendText, Operation::Quote, Operation::MarkRead, Operation::Health];
        all.map(|operation| custom.capabilities().can(operation))
    };
    assert_eq!(can(""), [true, true, false, true]);
    assert_eq!(can(r#"{"api":{"send_text":null,"health":null}}"#), [false; 4]);
    let read = r#"{"api":{"mark_read":{"method":"PUT","path":"/read/{message_id}"}}}"#;
    assert_eq!(can(read), [true, true, true, true]);
    let plain = r#"{"api":{"send_text":{"path":"/m","body":{"to":"{phone}","t":"{text}"}}}}"#;
    assert_eq!(can(plain), [true, false, false, true]);
}

#[test]
fn recipients_and_persons() {
    let custom = |suffix: &str| {
        let mapping = json!({"chats": {"direct_suffix": suffix}}).to_string();
        Custom::new(&mapping).unwrap()
    };
    let chat = |custom: &Custom, to: &str| {
        let to = Recipient::parse(to, None).unwrap();
        custom.chat(&to).map(|chat| (chat.id, chat.kind)).map_err(|refusal| refusal.kind)
    };
    for suffix in ["@s.whatsapp.net", "@c.us", "@people.example", ""] {
        let custom = custom(suffix);
        let own = format!("447700900123{suffix}");
        for to in
            ["+44 7700 900123", "447700900123@c.us", "447700900123:3@s.whatsapp.net", own.as_str()]
        {
            assert_eq!(chat(&custom, to), Ok((own.clone(), ChatKind::Direct)), "{suffix} {to}");
        }
        let person = custom.person(&own).unwrap();
        assert_eq!(person.phone.as_deref(), Some("+447700900123"), "{suffix}");
        assert_eq!(chat(&custom, "x1@g.us"), Ok(("x1@g.us".into(), ChatKind::Group)));
        assert_eq!(chat(&custom, "x1@elsewhere"), Err(Kind::InvalidRecipient));
        assert_eq!(custom.person("x1@g.us"), None);
    }
}

#[test]
fn the_worked_example_of_the_page() {
    let blocks = blocks("A worked example");
    let custom = Custom::new(&blocks[0]).unwrap();
    let scheme = custom.hmac_scheme();
    assert_eq!((scheme.header.as_str(), scheme.encoding), ("x-lark-signature", Encoding::Base64));
    assert_eq!(custom.secret_header().name.as_deref(), Some("x-lark-secret"));
    assert!(custom.capabilities().can(Operation::MarkRead));
    let parsed = read(&custom, blocks[1].as_bytes()).unwrap();
    assert_eq!(parsed.broken, []);
    let [message, status, other] = &parsed.events[..] else { panic!("{parsed:?}") };
    let expected = Message {
        message_id: "K1".into(),
        chat: Chat { id: "120363025550100777@g.us".into(), kind: ChatKind::Group, name: None },
        sender: Some(Person {
            contact_id: "447700900123@c.us".into(),
            phone: Some("+447700900123".into()),
            pushname: Some("Amira".into()),
            ..Person::default()
        }),
        at: at(1_765_800_001),
        message_type: MessageType::Image,
        content: None,
        caption: Some("Gate".into()),
        quoted_id: Some("K0".into()),
        media: Some(MediaRef {
            id: Some("F1".into()),
            url: Some("https://files.lark.example/F1".into()),
            mimetype: Some("image/jpeg".into()),
            ..MediaRef::default()
        }),
        ..in_group()
    };
    assert_eq!(message.what, What::Message(Box::new(expected)));
    let What::Status(status) = &status.what else { panic!() };
    assert_eq!((status.message_id.as_str(), status.word), ("K9", StatusWord::Delivered));
    assert_eq!(status.at, at(1_765_800_002));
    assert_eq!(other.what, What::Other { kind: "typing".into() });
    for event in &parsed.events {
        assert_eq!(event.channel_id.as_deref(), Some("L-7"));
    }
}
