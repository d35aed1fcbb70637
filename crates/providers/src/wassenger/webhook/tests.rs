mod groups;

use serde_json::json;
use wabridge_domain::account::AccountState;
use wabridge_domain::event::{
    AccountUpdate, ChatUpdate, ContactUpdate, GroupUpdate, Location, MediaRef, MemberChange,
    MemberState, Role,
};
use wabridge_domain::webhook::Signed;

use super::*;
use crate::{Provider, Wassenger};

const RECEIVED_AT: i64 = 1_765_900_000;
const DEVICE: &str = "68a1f0c2d4e5b60718293a4b";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn read(body: &[u8]) -> Result<Parsed, Unreadable> {
    let route = Route { method: "POST", sub_path: "", received_at: at(RECEIVED_AT) };
    Wassenger.parse(&Signed::from_journal(body), &route)
}

pub(super) fn parsed(body: &Value) -> Parsed {
    read(body.to_string().as_bytes()).unwrap()
}

macro_rules! fixtures {
    ($($name:literal),+ $(,)?) => {
        /// All recorded bodies, by name.
        pub(super) const FIXTURES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../fixtures/wassenger/", $name, ".json")))),+];
    };
}
fixtures![
    "chat_update",
    "contact_update",
    "group_update_add",
    "message_ack",
    "message_ack_delivered",
    "message_failed",
    "message_in",
    "message_in_group",
    "message_in_image",
    "message_in_location",
    "message_in_poll",
    "message_in_quoted",
    "message_out_new",
    "message_reaction",
    "message_update_edit",
    "number_session",
];

fn fixture(name: &str) -> Value {
    let (_, body) = FIXTURES.iter().find(|(known, _)| *known == name).unwrap();
    serde_json::from_str(body).unwrap()
}

fn whats(name: &str) -> Vec<What> {
    parsed(&fixture(name)).events.into_iter().map(|event| event.what).collect()
}

fn message_of(body: &Value) -> Message {
    match parsed(body).events.remove(0).what {
        What::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_fixture_is_read_and_none_is_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/wassenger");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "signature_vectors.json")
        .collect();
    files.sort();
    let names: Vec<_> = FIXTURES.iter().map(|(name, _)| format!("{name}.json")).collect();
    assert_eq!(files, names);
    for (name, body) in FIXTURES {
        let parsed = read(body.as_bytes()).unwrap();
        assert_eq!(parsed.broken, [], "{name}");
        assert!(!parsed.events.is_empty(), "{name}");
        for event in parsed.events {
            assert_eq!(event.channel_id.as_deref(), Some(DEVICE), "{name}");
        }
    }
}

fn amira() -> Person {
    Person {
        contact_id: "447700900123@c.us".into(),
        phone: Some("+447700900123".into()),
        lid: Some("183800000000123@lid".into()),
        name: Some("Amira Osei".into()),
        pushname: Some("Amira Osei".into()),
        ..Person::default()
    }
}

fn direct() -> Chat {
    Chat { id: "447700900123@c.us".into(), kind: ChatKind::Direct, name: Some("Amira Osei".into()) }
}

fn inbound(id: &str, message_type: MessageType) -> Message {
    Message {
        message_id: id.into(),
        chat: direct(),
        from_me: false,
        source: Source::Phone,
        sender: Some(amira()),
        at: at(1_765_800_001),
        message_type,
        content: None,
        caption: None,
        quoted_id: None,
        word: None,
        media: None,
        location: None,
        forwarded: false,
        reference: None,
        extra: extra(json!({"source": "android"})),
    }
}

fn extra(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn messages() {
    let group = Message {
        chat: Chat {
            id: "120363025550100777@g.us".into(),
            kind: ChatKind::Group,
            name: Some("Ops Night Shift".into()),
        },
        sender: Some(Person { name: None, lid: None, ..amira() }),
        content: Some("Gate is closed".into()),
        ..inbound("3EB0A1B2C3D4E5F6071A", MessageType::Text)
    };
    let file = MediaRef {
        id: Some("6923f0aa11bb22cc33dd44ee".into()),
        url: Some(format!("/v1/chat/{DEVICE}/files/6923f0aa11bb22cc33dd44ee/download")),
        mimetype: Some("image/jpeg".into()),
        filename: Some("image.jpeg".into()),
        size: Some(183_402),
        ..MediaRef::default()
    };
    let place = json!({
        "latitude": 51.5033635, "longitude": -0.1276248, "name": "Depot 4",
        "address": "1 Sample Street, London",
    });
    let table = [
        (
            "message_in",
            Message {
                content: Some("Hello, is the blue model in stock?".into()),
                ..inbound("3EB0A1B2C3D4E5F60718", MessageType::Text)
            },
        ),
        ("message_in_group", group),
        (
            "message_in_image",
            Message {
                caption: Some("Photo of the broken part".into()),
                media: Some(file),
                ..inbound("3EB0A1B2C3D4E5F60719", MessageType::Image)
            },
        ),
        (
            "message_in_location",
            Message {
                location: Some(Location {
                    latitude: 51.503_363_5,
                    longitude: -0.127_624_8,
                    name: Some("Depot 4".into()),
                    address: Some("1 Sample Street, London".into()),
                }),
                extra: extra(json!({"source": "android", "location": place})),
                ..inbound("3EB0A1B2C3D4E5F6071B", MessageType::Location)
            },
        ),
        (
            "message_in_poll",
            Message {
                content: Some("Which slot suits you?".into()),
                extra: extra(json!({
                    "source": "android",
                    "poll": {"name": "Which slot suits you?", "options": ["Morning", "Afternoon"]},
                })),
                ..inbound("3EB0A1B2C3D4E5F6071D", MessageType::Poll)
            },
        ),
        (
            "message_in_quoted",
            Message {
                content: Some("Yes please".into()),
                quoted_id: Some("3EB0FFEEDDCCBBAA0011".into()),
                ..inbound("3EB0A1B2C3D4E5F6071C", MessageType::Text)
            },
        ),
        (
            "message_out_new",
            Message {
                from_me: true,
                source: Source::Api,
                sender: None,
                content: Some("Your order 118 has shipped.".into()),
                word: Some(StatusWord::Sent),
                reference: Some("bridge:out:7f2c".into()),
                extra: extra(json!({"source": "web"})),
                ..inbound("3EB0FFEEDDCCBBAA0011", MessageType::Text)
            },
        ),
    ];
    for (name, expected) in table {
        assert_eq!(whats(name), [What::Message(Box::new(expected))], "{name}");
    }
}

#[test]
fn reactions() {
    let [What::Message(reaction)] = &whats("message_reaction")[..] else { panic!() };
    let expected = Message {
        chat: Chat { name: None, ..direct() },
        source: Source::Unknown,
        sender: Some(Person { lid: None, name: None, pushname: None, ..amira() }),
        at: at(1_765_800_360),
        content: Some("👍".into()),
        quoted_id: Some("3EB0FFEEDDCCBBAA0011".into()),
        extra: Map::new(),
        ..inbound(&reaction.message_id, MessageType::Reaction)
    };
    assert_eq!(**reaction, expected);
    assert!(reaction.message_id.starts_with("reaction:"));

    let mut body = fixture("message_reaction");
    let first = message_of(&body);
    assert_eq!(message_of(&body).message_id, first.message_id, "a repetition is the same row");
    body["data"]["reaction"]["emoji"] = json!("");
    body["data"]["reaction"]["date"] = json!("2025-12-15T12:07:00.000Z");
    let taken = message_of(&body);
    assert_eq!((taken.content, taken.from_me), (None, false));
    assert_ne!(taken.message_id, first.message_id);
    body["data"]["reaction"]["from"] = json!("447700900999@c.us");
    assert!(message_of(&body).from_me, "our own number reacted");

    // The flat form of a third party.
    body["data"] = json!({
        "fromNumber": "+447700900123", "messageId": "3EB0FFEEDDCCBBAA0011", "reaction": "🙏",
        "timestamp": 1_765_800_370,
    });
    let flat = message_of(&body);
    assert_eq!(flat.content.as_deref(), Some("🙏"));
    assert_eq!(flat.quoted_id.as_deref(), Some("3EB0FFEEDDCCBBAA0011"));
    assert_eq!(flat.chat.id, "447700900123@c.us");
}

#[test]
fn statuses() {
    let status = |word, second| {
        What::Status(StatusUpdate {
            message_id: "3EB0FFEEDDCCBBAA0011".into(),
            word,
            at: at(second),
            member: None,
            error: None,
            reference: Some("bridge:out:7f2c".into()),
        })
    };
    assert_eq!(whats("message_ack"), [status(StatusWord::Read, 1_765_800_320)]);
    assert_eq!(whats("message_ack_delivered"), [status(StatusWord::Delivered, 1_765_800_310)]);
    let failed = What::Status(StatusUpdate {
        message_id: "6925aa11bb22cc33dd44ee55".into(),
        word: StatusWord::Failed,
        at: at(1_765_800_330),
        member: None,
        error: None,
        reference: Some("bridge:out:7f2d".into()),
    });
    assert_eq!(whats("message_failed"), [failed]);
}

#[test]
fn words_of_acknowledgements() {
    let mut body = fixture("message_ack");
    let mut word = |event: &str, ack: Value| {
        body["event"] = json!(event);
        body["data"]["ack"] = ack;
        match parsed(&body).events.remove(0).what {
            What::Status(status) => Ok(status.word),
            What::Other { kind } => Err(kind),
            other => panic!("{other:?}"),
        }
    };
    for (event, ack, expected) in [
        ("message:out:ack", "pending", StatusWord::Pending),
        ("message:out:ack", "sent", StatusWord::Sent),
        ("message:out:ack", "PLAYED", StatusWord::Played),
        ("message:out:ack", "failed", StatusWord::Failed),
        ("message:out:sent", "pending", StatusWord::Sent),
        ("message:out:sent", "delivered", StatusWord::Delivered),
        ("message:out:delivered", "", StatusWord::Delivered),
        ("message:out:read", "sent", StatusWord::Read),
        ("message:out:failed", "pending", StatusWord::Failed),
    ] {
        assert_eq!(word(event, json!(ack)), Ok(expected), "{event} {ack}");
    }
    assert_eq!(word("message:out:ack", json!("warp")), Err("message:out:ack:warp".into()));
    body["data"]["ack"] = Value::Null;
    assert_eq!(parsed(&body).broken[0].reason, "it has no status word");
}

#[test]
fn failures_tell_why_where_they_do() {
    let mut body = fixture("message_failed");
    let mut error = |place: &str, value: Value| {
        body["data"][place] = value;
        let What::Status(status) = parsed(&body).events.remove(0).what else { panic!() };
        body["data"].as_object_mut().unwrap().remove(place);
        status.error.map(|error| (error.code, error.message))
    };
    assert_eq!(error("error", json!("not on WhatsApp")), Some((None, "not on WhatsApp".into())));
    assert_eq!(
        error("error", json!({"code": 17, "message": "no"})),
        Some((Some("17".into()), "no".into()))
    );
    assert_eq!(error("failureReason", json!("expired")), Some((None, "expired".into())));
    assert_eq!(error("error", json!([])), None);
}

#[test]
fn updates() {
    let [What::Edit(edit)] = &whats("message_update_edit")[..] else { panic!() };
    assert_eq!(edit.message_id, "3EB0A1B2C3D4E5F60718");
    assert_eq!(edit.at, at(1_765_800_380));
    assert_eq!(edit.chat_id.as_deref(), Some("447700900123@c.us"));
    assert_eq!(edit.content.as_deref(), Some("Hello, is the BLACK model in stock?"));
    assert_eq!(edit.caption, None);
    assert_eq!(edit.edit_id.len(), 32);

    let mut body = fixture("message_update_edit");
    body["data"]["meta"]["isRevoked"] = json!(true);
    let What::Status(deleted) = parsed(&body).events.remove(0).what else { panic!() };
    assert_eq!((deleted.word, deleted.at), (StatusWord::Deleted, at(1_765_800_380)));
    assert_eq!(deleted.message_id, "3EB0A1B2C3D4E5F60718");

    let mut caption = fixture("message_in_image");
    caption["event"] = json!("message:update");
    let What::Edit(edit) = parsed(&caption).events.remove(0).what else { panic!() };
    assert_eq!((edit.content, edit.caption.as_deref()), (None, Some("Photo of the broken part")));

    let mut votes = fixture("message_in_poll");
    votes["event"] = json!("message:update");
    assert_eq!(parsed(&votes).events[0].what, What::Other { kind: "message:update:poll".into() });

    body["data"] =
        json!({"id": "3EB0A1", "phone": "+447700900123", "status": "read", "timestamp": 1});
    let What::Status(flat) = parsed(&body).events.remove(0).what else { panic!() };
    assert_eq!((flat.message_id.as_str(), flat.word), ("3EB0A1", StatusWord::Read));
}

#[test]
fn contacts_and_chats() {
    let contact = ContactUpdate {
        person: Person { name: Some("Amira (Acme)".into()), lid: None, ..amira() },
        at: at(1_765_800_430),
        ..ContactUpdate::default()
    };
    assert_eq!(whats("contact_update"), [What::Contact(Box::new(contact))]);
    let contact =
        ContactUpdate { person: amira(), at: at(1_765_800_420), ..ContactUpdate::default() };
    let chat = ChatUpdate { chat: direct(), at: at(1_765_800_420), unread: None };
    assert_eq!(whats("chat_update"), [What::Contact(Box::new(contact)), What::Chat(chat)]);

    let mut body = fixture("chat_update");
    body["data"]["unreadCount"] = json!("3");
    let What::Chat(chat) = parsed(&body).events.remove(1).what else { panic!() };
    assert_eq!(chat.unread, Some(3));
    let mut body = fixture("contact_update");
    body["data"]["wid"] = json!("120363025550100777@g.us");
    assert_eq!(parsed(&body).events[0].what, What::Other { kind: "contact:update".into() });
}

#[test]
fn sessions() {
    let account = |state, word: &str| {
        What::Account(AccountUpdate {
            state,
            reason: Some(word.into()),
            at: Some(at(1_765_800_440)),
        })
    };
    assert_eq!(whats("number_session"), [account(AccountState::Disconnected, "timeout")]);
    let mut body = fixture("number_session");
    for (word, state) in [
        ("operative", AccountState::Connected),
        ("online", AccountState::Connected),
        ("authorize", AccountState::QrNeeded),
        ("banned", AccountState::Banned),
        ("of tomorrow", AccountState::Disconnected),
    ] {
        body["data"]["status"] = json!(word);
        assert_eq!(parsed(&body).events[0].what, account(state, word));
        let mut inner = body.clone();
        inner["data"]["status"] = json!("operative");
        inner["data"]["session"] = json!({"status": word});
        assert_eq!(parsed(&inner).events[0].what, account(state, word));
    }
}

/// Types and places that the recorded bodies do not have.
#[test]
fn other_types() {
    let of = |fields: Value| {
        let mut body = fixture("message_in");
        body["data"].as_object_mut().unwrap().remove("body");
        for (name, value) in fields.as_object().unwrap() {
            body["data"][name] = value.clone();
        }
        message_of(&body)
    };
    let media = json!({
        "id": "6923", "mime": "audio/ogg", "size": "512", "meta": {"duration": 3.5, "width": "20"},
        "sha2": "A".repeat(64),
    });
    for (kind, message_type) in [
        ("ptt", MessageType::Voice),
        ("voice", MessageType::Voice),
        ("audio", MessageType::Audio),
        ("video", MessageType::Video),
        ("gif", MessageType::Gif),
        ("sticker", MessageType::Sticker),
        ("document", MessageType::Document),
    ] {
        let message = of(json!({"type": kind, "media": media}));
        assert_eq!(message.message_type, message_type, "{kind}");
        let file = MediaRef {
            id: Some("6923".into()),
            mimetype: Some("audio/ogg".into()),
            size: Some(512),
            sha256: Some("a".repeat(64)),
            width: Some(20),
            duration_ms: Some(3500),
            ..MediaRef::default()
        };
        assert_eq!(message.media, Some(file), "{kind}");
    }
    let gif =
        of(json!({"type": "video", "media": {}, "meta": {"isGif": true, "isForwarded": true}}));
    assert_eq!((gif.message_type, gif.forwarded), (MessageType::Gif, true));
    let cards = json!([{"name": "Lena", "phone": "+447700900124"}, {"displayName": "Tom"}]);
    let contacts = of(json!({"type": "contacts", "contacts": cards}));
    assert_eq!(contacts.message_type, MessageType::Contact);
    assert_eq!(contacts.content.as_deref(), Some("Lena, Tom"));
    assert_eq!(contacts.extra["contacts"], cards);
    let reply = json!({"id": "opt-2", "title": "Afternoon"});
    for kind in ["list_response", "buttons_response"] {
        let chosen = of(json!({"type": kind, kind: reply}));
        assert_eq!(chosen.message_type, MessageType::Interactive);
        assert_eq!(chosen.content.as_deref(), Some("Afternoon"), "{kind}");
        assert_eq!(chosen.extra["reply"], reply);
    }
    let shown = of(json!({"type": "list", "list": {"description": "Pick one"}}));
    assert_eq!(
        (shown.message_type, shown.content.as_deref()),
        (MessageType::Interactive, Some("Pick one"))
    );
    let order = of(json!({"type": "order", "order": {"itemCount": 2}}));
    assert_eq!(
        (order.message_type, &order.extra["order"]),
        (MessageType::Order, &json!({"itemCount": 2}))
    );
    let notice = of(json!({"type": "text", "body": "x", "meta": {"isNotification": true}}));
    assert_eq!(notice.message_type, MessageType::System);
    let unknown = of(json!({"type": "hologram", "hologram": {"x": 1}}));
    assert_eq!(unknown.message_type, MessageType::Unknown);
    assert_eq!(unknown.extra["raw"]["hologram"], json!({"x": 1}));
    let place = of(json!({"type": "location", "location": {"coordinates": ["51.5", -0.12]}}));
    assert_eq!(place.location.map(|l| (l.latitude, l.longitude)), Some((51.5, -0.12)));
    let nowhere = of(json!({"type": "location", "location": {"latitude": 200, "longitude": 1}}));
    assert_eq!((nowhere.message_type, nowhere.location), (MessageType::Location, None));
    let mentions = json!(["447700900999@c.us"]);
    assert_eq!(
        of(json!({"body": "@447700900999", "mentions": mentions})).extra["mentions"],
        mentions
    );
}

#[test]
fn what_went_out() {
    let mut body = fixture("message_out_new");
    body["data"].as_object_mut().unwrap().remove("reference");
    body["data"]["meta"]["source"] = json!("android");
    let typed = message_of(&body);
    assert_eq!((typed.from_me, typed.source, typed.sender), (true, Source::Phone, None));
    assert_eq!(typed.chat, direct());
    body["data"]["id"] = json!("6925aa11bb22cc33dd44ee55");
    for event in ["message:out:new", "message:out:sent", "message:out:ack"] {
        body["event"] = json!(event);
        let queued = parsed(&body).events.remove(0).what;
        assert_eq!(queued, What::Other { kind: event.into() }, "a queue record is no message");
    }
    body["event"] = json!("message:out:new");
    body["data"]["waId"] = json!("3EB0FFEEDDCCBBAA0011");
    assert_eq!(message_of(&body).message_id, "3EB0FFEEDDCCBBAA0011");
}

#[test]
fn people_without_a_number() {
    let mut body = fixture("message_in");
    body["data"]["chat"]["id"] = json!("183800000000123@lid");
    body["data"]["from"] = json!("183800000000123@lid");
    body["data"]["fromNumber"] = json!("183800000000123");
    let hidden = message_of(&body);
    let sender = hidden.sender.unwrap();
    assert_eq!(hidden.chat.id, "183800000000123@lid");
    assert_eq!((sender.phone, sender.lid.as_deref()), (None, Some("183800000000123@lid")));
    body["data"]["fromNumber"] = json!("+447700900123");
    let sender = message_of(&body).sender.unwrap();
    assert_eq!(sender.phone.as_deref(), Some("+447700900123"));
}

#[test]
fn odd_numbers_and_times() {
    let mut body = fixture("message_in");
    for (timestamp, expected) in [
        (json!("1765800001"), 1_765_800_001),
        (json!(1_765_800_001_000_i64), 1_765_800_001),
        (json!("2025-12-15T12:00:01Z"), 1_765_800_001),
        (json!(u64::MAX), 1_765_800_001),
        (json!(null), 1_765_800_001),
    ] {
        body["data"]["timestamp"] = timestamp.clone();
        assert_eq!(message_of(&body).at, at(expected), "{timestamp}");
    }
    body["data"].as_object_mut().unwrap().remove("date");
    body["created"] = json!("soon");
    assert_eq!(message_of(&body).at, at(RECEIVED_AT));
    let huge =
        fixture("message_in").to_string().replace("1765800001", "99999999999999999999999999");
    assert_eq!(read(huge.as_bytes()).unwrap().broken, []);
}

#[test]
fn channels_and_what_is_only_kept() {
    let mut body = fixture("message_in");
    body["event"] = json!("channel:in");
    body["data"]["chat"] = json!({"id": "120363025550100999@newsletter", "name": "News"});
    let message = message_of(&body);
    assert_eq!((message.chat.kind, message.sender), (ChatKind::Channel, None));
    for event in ["status:update", "chat:assigned", "device:status:changed"] {
        body["event"] = json!(event);
        assert_eq!(parsed(&body).events[0].what, What::Other { kind: event.into() });
    }
}

#[test]
fn bodies_that_are_none() {
    for body in ["", "[", "null", "[]", "{}", "\"x\"", r#"{"data":{}}"#, r#"{"event":7,"data":{}}"#]
    {
        assert!(read(body.as_bytes()).is_err(), "{body}");
    }
    for data in [json!(null), json!([]), json!("x")] {
        let parsed = parsed(&json!({"event": "message:in:new", "data": data}));
        assert_eq!(parsed.broken[0].reason, "it has no data");
    }
    let mut body = fixture("message_in");
    body.as_object_mut().unwrap().remove("id");
    body["data"].as_object_mut().unwrap().remove("id");
    assert_eq!(parsed(&body).broken[0].reason, "it names no message id");
}
