mod broken;

use jiff::Timestamp;
use serde_json::{Map, json};
use wabridge_domain::event::{Chat, Location, MediaRef, Message, Person, Source};
use wabridge_domain::message::MessageType;
use wabridge_domain::webhook::Signed;

use super::*;
use crate::{Provider, Whapi};

pub(super) const RECEIVED_AT: i64 = 1_765_900_000;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn route() -> Route<'static> {
    Route { method: "POST", sub_path: "", received_at: at(RECEIVED_AT) }
}

pub(super) fn read(body: &[u8]) -> Result<Parsed, Unreadable> {
    Whapi.parse(&Signed::from_journal(body), &route())
}

pub(super) fn parsed(body: &Value) -> Parsed {
    read(body.to_string().as_bytes()).unwrap()
}

/// All recorded bodies, by name.
pub(super) const FIXTURES: &[(&str, &str)] = &[
    ("channel_auth", include_str!("../../../fixtures/whapi/channel_auth.json")),
    ("channel_qr", include_str!("../../../fixtures/whapi/channel_qr.json")),
    ("chat_created", include_str!("../../../fixtures/whapi/chat_created.json")),
    ("contact_update", include_str!("../../../fixtures/whapi/contact_update.json")),
    ("group_created", include_str!("../../../fixtures/whapi/group_created.json")),
    ("group_participants_add", include_str!("../../../fixtures/whapi/group_participants_add.json")),
    (
        "group_participants_demote",
        include_str!("../../../fixtures/whapi/group_participants_demote.json"),
    ),
    (
        "group_participants_promote",
        include_str!("../../../fixtures/whapi/group_participants_promote.json"),
    ),
    (
        "group_participants_remove",
        include_str!("../../../fixtures/whapi/group_participants_remove.json"),
    ),
    ("group_update_subject", include_str!("../../../fixtures/whapi/group_update_subject.json")),
    ("message_contact", include_str!("../../../fixtures/whapi/message_contact.json")),
    ("message_deleted", include_str!("../../../fixtures/whapi/message_deleted.json")),
    ("message_document", include_str!("../../../fixtures/whapi/message_document.json")),
    ("message_edit_patch", include_str!("../../../fixtures/whapi/message_edit_patch.json")),
    (
        "message_from_me_api_echo",
        include_str!("../../../fixtures/whapi/message_from_me_api_echo.json"),
    ),
    ("message_group_text", include_str!("../../../fixtures/whapi/message_group_text.json")),
    ("message_image", include_str!("../../../fixtures/whapi/message_image.json")),
    ("message_location", include_str!("../../../fixtures/whapi/message_location.json")),
    ("message_reaction", include_str!("../../../fixtures/whapi/message_reaction.json")),
    ("message_text", include_str!("../../../fixtures/whapi/message_text.json")),
    ("message_voice", include_str!("../../../fixtures/whapi/message_voice.json")),
    ("status_delivered", include_str!("../../../fixtures/whapi/status_delivered.json")),
    ("status_failed", include_str!("../../../fixtures/whapi/status_failed.json")),
    ("status_read", include_str!("../../../fixtures/whapi/status_read.json")),
    ("status_sent", include_str!("../../../fixtures/whapi/status_sent.json")),
    ("user_login", include_str!("../../../fixtures/whapi/user_login.json")),
    ("user_logout", include_str!("../../../fixtures/whapi/user_logout.json")),
];

#[test]
fn every_fixture_is_read_and_none_is_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/whapi");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let names: Vec<_> = FIXTURES.iter().map(|(name, _)| format!("{name}.json")).collect();
    assert_eq!(files, names);
    for (name, body) in FIXTURES {
        let parsed = read(body.as_bytes()).unwrap();
        assert_eq!(parsed.broken, [], "{name}");
        assert_eq!(parsed.events.len(), 1, "{name}");
        assert_eq!(parsed.events[0].channel_id.as_deref(), Some("HERON-K42QX"), "{name}");
    }
}

pub(super) fn what(name: &str) -> What {
    let (_, body) = FIXTURES.iter().find(|(known, _)| *known == name).unwrap();
    read(body.as_bytes()).unwrap().events.remove(0).what
}

fn fixture_message(name: &str) -> Message {
    match what(name) {
        What::Message(message) => *message,
        other => panic!("{name} is {other:?}"),
    }
}

pub(super) fn amira() -> Person {
    Person {
        contact_id: "447700900123@s.whatsapp.net".into(),
        phone: Some("+447700900123".into()),
        pushname: Some("Amira Osei".into()),
        ..Person::default()
    }
}

fn direct() -> Chat {
    Chat {
        id: "447700900123@s.whatsapp.net".into(),
        kind: ChatKind::Direct,
        name: Some("Amira Osei".into()),
    }
}

fn extra(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn inbound(id: &str, second: i64, message_type: MessageType) -> Message {
    Message {
        message_id: id.into(),
        chat: direct(),
        from_me: false,
        source: Source::Phone,
        sender: Some(amira()),
        at: at(second),
        message_type,
        content: None,
        caption: None,
        quoted_id: None,
        word: None,
        media: None,
        location: None,
        forwarded: false,
        reference: None,
        extra: extra(json!({"source": "mobile"})),
    }
}

#[test]
fn text() {
    let expected = Message {
        content: Some("Hello, is the blue model in stock?".into()),
        ..inbound("Qk2vT9aXe4LmR0sYbN7c1g-gLw8Ztq3HcA", 1_765_800_001, MessageType::Text)
    };
    assert_eq!(fixture_message("message_text"), expected);
}

#[test]
fn group_text_has_group_and_sender() {
    let expected = Message {
        chat: Chat {
            id: "120363025550100777@g.us".into(),
            kind: ChatKind::Group,
            name: Some("Ops Night Shift".into()),
        },
        content: Some("@447700900999 gate is closed".into()),
        media: None,
        location: None,
        forwarded: false,
        reference: None,
        extra: extra(json!({"source": "mobile", "mentions": ["447700900999"]})),
        ..inbound(
            "Qv5nK1mSv9YaE2fJuP7h4L-kXi3Drf7UjMabc-E8JdK1cQ",
            1_765_800_260,
            MessageType::Text,
        )
    };
    assert_eq!(fixture_message("message_group_text"), expected);
}

#[test]
fn echo_of_an_api_send() {
    let expected = Message {
        chat: Chat { name: None, ..direct() },
        from_me: true,
        source: Source::Api,
        sender: None,
        content: Some("Your order 118 has shipped.".into()),
        word: Some(StatusWord::Pending),
        media: None,
        location: None,
        forwarded: false,
        reference: None,
        extra: extra(json!({"source": "api"})),
        ..inbound("Pw7pM3oUx1AcG4hLwR9j6N-wZk5Fth9WlO", 1_765_800_300, MessageType::Text)
    };
    assert_eq!(fixture_message("message_from_me_api_echo"), expected);
}

#[test]
fn reaction_aims_at_its_target() {
    let expected = Message {
        content: Some("👍".into()),
        quoted_id: Some("Pw7pM3oUx1AcG4hLwR9j6N-wZk5Fth9WlO".into()),
        ..inbound("Qx9rO5qWz3CeI6jNyT1l8P-gAm7Hvj1YnQ", 1_765_800_340, MessageType::Reaction)
    };
    assert_eq!(fixture_message("message_reaction"), expected);
}

#[test]
fn media_keep_their_reference_without_the_preview() {
    let expected = Message {
        caption: Some("Photo of the broken part".into()),
        media: Some(MediaRef {
            id: Some("jpeg-42699b76b5dc8ef69fc2-80".into()),
            url: Some(
                "https://media.example.net/HERON-K42QX/jpeg-42699b76b5dc8ef69fc2-80.jpeg".into(),
            ),
            mimetype: Some("image/jpeg".into()),
            filename: None,
            size: Some(183_402),
            sha256: Some("c4f8fbc06266d28d23bfcab70e4d660767939f9c94f5c2f8ad6cc0eac41f1f42".into()),
            width: Some(1280),
            height: Some(960),
            duration_ms: None,
        }),
        ..inbound("Qm5dB2cHj8NpV1uZkE6x4A-gPz2Rfy7KbQ", 1_765_800_044, MessageType::Image)
    };
    assert_eq!(fixture_message("message_image"), expected);

    let document = fixture_message("message_document");
    assert_eq!(document.message_type, MessageType::Document);
    assert_eq!(document.caption.as_deref(), Some("Purchase order attached"));
    let media = document.media.unwrap();
    assert_eq!(media.filename.as_deref(), Some("PO-2025-118.pdf"));
    assert_eq!(media.mimetype.as_deref(), Some("application/pdf"));
    assert_eq!(media.size, Some(90_233));
    assert_eq!(document.extra["media"], json!({"page_count": 2}));

    let voice = fixture_message("message_voice");
    assert_eq!(voice.message_type, MessageType::Voice);
    assert_eq!((voice.content, voice.caption), (None, None));
    let media = voice.media.unwrap();
    assert_eq!(media.id.as_deref(), Some("oga-11d7e2f4b09c66a8e5f3-80"));
    assert_eq!((media.url, media.duration_ms), (None, Some(4000)));
}

#[test]
fn odd_files_are_still_files() {
    let media = |part: Value| typed("image", part).media.unwrap();
    let none = MediaRef::default();
    assert_eq!(media(json!({})), none);
    assert_eq!(media(json!({"id": "media_init"})), none);
    assert_eq!(
        media(json!({"id": 7, "file_size": -1, "width": 1e30, "sha256": "AAAA", "seconds": "x"})),
        MediaRef { id: Some("7".into()), ..none.clone() }
    );
    let many = media(json!({"file_size": 1e300, "seconds": 1e300, "sha256": "A".repeat(64)}));
    assert_eq!((many.size, many.duration_ms), (Some(u64::MAX), Some(u64::MAX)));
    assert_eq!(many.sha256, Some("a".repeat(64)));
    let once = typed("image", json!({"view_once": true, "mime_type": "image/png"}));
    assert_eq!(once.extra["view_once"], json!(true));
}

#[test]
fn location_and_contact() {
    let location = fixture_message("message_location");
    assert_eq!(location.message_type, MessageType::Location);
    assert_eq!(
        location.extra["location"],
        json!({"latitude": 51.503_363_5, "longitude": -0.127_624_8, "name": "Depot 4", "address": "1 Sample Street, London"})
    );
    let depot = Location {
        latitude: 51.503_363_5,
        longitude: -0.127_624_8,
        name: Some("Depot 4".into()),
        address: Some("1 Sample Street, London".into()),
    };
    assert_eq!(location.location, Some(depot));
    for part in [
        json!({"latitude": 91.0, "longitude": 0}),
        json!({"latitude": 1}),
        json!({"latitude": "x", "longitude": "y"}),
        json!({"latitude": "NaN", "longitude": 2}),
    ] {
        assert_eq!(typed("location", part.clone()).location, None, "{part}");
    }
    let live =
        typed("live_location", json!({"latitude": "51.5", "longitude": -0.12, "comment": "here"}));
    assert_eq!(live.location.unwrap().latitude, 51.5);
    assert_eq!(live.caption.as_deref(), Some("here"));
    let contact = fixture_message("message_contact");
    assert_eq!(contact.message_type, MessageType::Contact);
    assert_eq!(contact.content.as_deref(), Some("Warehouse Desk"));
    assert!(contact.extra["contacts"][0]["vcard"].as_str().unwrap().contains("447700900456"));
}

#[test]
fn forwarded_messages() {
    let forwarded = |context: Value| {
        let item = json!({"id": "A-1", "type": "text", "chat_id": "447700900123@s.whatsapp.net",
            "from_me": false, "text": {"body": "x"}, "context": context});
        match parsed(&json!({"messages": [item]})).events.remove(0).what {
            What::Message(message) => message.forwarded,
            other => panic!("{other:?}"),
        }
    };
    assert!(forwarded(json!({"forwarded": true})));
    assert!(forwarded(json!({"forwarding_score": 3})));
    for no in
        [json!({"forwarded": false, "forwarding_score": 0}), json!({"forwarded": "x"}), json!(7)]
    {
        assert!(!forwarded(no));
    }
}

#[test]
fn statuses() {
    let expected = |word, second| StatusUpdate {
        message_id: "Pw7pM3oUx1AcG4hLwR9j6N-wZk5Fth9WlO".into(),
        word,
        at: at(second),
        member: None,
        error: None,
        reference: None,
    };
    assert_eq!(what("status_sent"), What::Status(expected(StatusWord::Sent, 1_765_800_301)));
    assert_eq!(
        what("status_delivered"),
        What::Status(expected(StatusWord::Delivered, 1_765_800_303))
    );
    assert_eq!(what("status_read"), What::Status(expected(StatusWord::Read, 1_765_800_320)));
    let failed = StatusUpdate {
        error: Some(ProviderError {
            kind: None,
            code: Some("500".into()),
            message: "send failed".into(),
        }),
        ..expected(StatusWord::Failed, 1_765_800_305)
    };
    assert_eq!(what("status_failed"), What::Status(failed));
}

#[test]
fn account_states() {
    let state = |name| match what(name) {
        What::Account(update) => (update.state, update.reason.unwrap()),
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!(state("channel_auth"), (AccountState::Connected, "AUTH".into()));
    assert_eq!(state("channel_qr"), (AccountState::QrNeeded, "QR".into()));
    assert_eq!(state("user_login"), (AccountState::Connected, "login".into()));
    assert_eq!(state("user_logout"), (AccountState::QrNeeded, "logout".into()));
}

/// A message of a type with its content object.
fn typed(kind: &str, part: Value) -> Message {
    let mut item = json!({"id": "A-1", "type": kind, "chat_id": "447700900123@s.whatsapp.net", "from_me": false,
        "timestamp": 1_765_800_001, "from": "447700900123"});
    item[kind] = part;
    match parsed(&json!({"messages": [item]})).events.remove(0).what {
        What::Message(message) => *message,
        other => panic!("{kind} is {other:?}"),
    }
}

#[test]
fn every_type_of_the_sheet_has_its_word() {
    use MessageType as T;
    for (kind, message_type) in [
        ("text", T::Text),
        ("image", T::Image),
        ("video", T::Video),
        ("gif", T::Gif),
        ("audio", T::Audio),
        ("voice", T::Voice),
        ("short", T::Video),
        ("document", T::Document),
        ("link_preview", T::Text),
        ("location", T::Location),
        ("live_location", T::Location),
        ("contact", T::Contact),
        ("contact_list", T::Contact),
        ("sticker", T::Sticker),
        ("system", T::System),
        ("call", T::System),
        ("unknown", T::Unknown),
        ("group_invite", T::Unknown),
        ("newsletter_invite", T::Unknown),
        ("admin_invite", T::Unknown),
        ("product", T::Unknown),
        ("catalog", T::Unknown),
        ("interactive", T::Interactive),
        ("reply", T::Interactive),
        ("poll", T::Poll),
        ("hsm", T::Template),
        ("order", T::Order),
        ("story", T::Unknown),
        ("event", T::Unknown),
        ("buttons", T::Interactive),
        ("list", T::Interactive),
        ("pin", T::Unknown),
        ("carousel", T::Interactive),
        ("tomorrow", T::Unknown),
    ] {
        // Also with a content of the wrong form, or without one.
        for part in [
            json!({}),
            json!(null),
            json!("x"),
            json!([1]),
            json!({"body": 7, "caption": [], "list": {}}),
        ] {
            assert_eq!(typed(kind, part).message_type, message_type, "{kind}");
        }
    }
}

#[test]
fn contents_by_type() {
    let link = typed(
        "link_preview",
        json!({"body": "see https://a.example", "title": "A", "preview": "AAAA"}),
    );
    assert_eq!(link.content.as_deref(), Some("see https://a.example"));
    assert_eq!(link.extra["link_preview"], json!({"title": "A"}));
    let list =
        typed("contact_list", json!({"list": [{"name": "A", "vcard": "x"}, {"name": "B"}, 3]}));
    assert_eq!(list.content.as_deref(), Some("A, B"));
    assert_eq!(
        typed("poll", json!({"title": "When?", "options": ["a", "b"]})).content.as_deref(),
        Some("When?")
    );
    let reply = typed(
        "reply",
        json!({"type": "buttons_reply", "buttons_reply": {"id": "1", "title": "Yes"}}),
    );
    assert_eq!(reply.content.as_deref(), Some("Yes"));
    assert_eq!(
        typed("interactive", json!({"body": {"text": "Pick"}})).content.as_deref(),
        Some("Pick")
    );
    assert_eq!(typed("buttons", json!({"text": "Pick"})).content.as_deref(), Some("Pick"));
    let order = typed("order", json!({"text": "2 chairs", "token": "secret", "order_id": "7"}));
    assert_eq!(order.content.as_deref(), Some("2 chairs"));
    assert_eq!(order.extra["order"], json!({"text": "2 chairs", "order_id": "7"}));
    let unknown = typed("tomorrow", json!({"x": 1, "preview": "AAAA"}));
    assert_eq!(unknown.extra["raw"]["tomorrow"], json!({"x": 1}));
    assert_eq!(unknown.extra["raw"]["id"], "A-1");
    assert_eq!(typed("text", json!({"body": "a\u{0}b"})).content.as_deref(), Some("ab"));
}

#[test]
fn people_whose_number_is_hidden() {
    let sender = |chat_id: &str, from: Value| {
        let body = json!({"messages": [{"id": "A-1", "type": "text", "chat_id": chat_id, "from_me": false,
            "timestamp": 1_765_800_001, "from": from, "text": {"body": "x"}}]});
        match parsed(&body).events.remove(0).what {
            What::Message(message) => (message.chat.kind, message.sender),
            other => panic!("{other:?}"),
        }
    };
    let lid = "183800000000123@lid";
    let hidden = Person { contact_id: lid.into(), lid: Some(lid.into()), ..Person::default() };
    assert_eq!(sender(lid, json!("183800000000123")), (ChatKind::Direct, Some(hidden.clone())));
    assert_eq!(sender(lid, json!(lid)), (ChatKind::Direct, Some(hidden.clone())));
    assert_eq!(sender(lid, json!(null)), (ChatKind::Direct, Some(hidden.clone())));
    assert_eq!(sender("120363025550100777@g.us", json!(lid)), (ChatKind::Group, Some(hidden)));
    let known = sender(lid, json!("447700900123")).1.unwrap();
    assert_eq!(known.phone.as_deref(), Some("+447700900123"));
    assert_eq!(known.lid.as_deref(), Some(lid));
    assert_eq!(sender("120363025550100777@g.us", json!(null)), (ChatKind::Group, None));
    let device = sender("447700900123:7@c.us", json!("447700900123:7@s.whatsapp.net")).1.unwrap();
    assert_eq!(device.contact_id, "447700900123@s.whatsapp.net");
}

#[test]
fn readers_of_a_group_are_members_and_of_a_chat_are_not() {
    let member = |recipient: Value| {
        let body = json!({"statuses": [{"id": "A", "status": "READ", "recipient_id": recipient,
            "viewer_id": "447700900123", "timestamp": 1_765_800_320}]});
        match parsed(&body).events.remove(0).what {
            What::Status(status) => (status.word, status.member),
            other => panic!("{other:?}"),
        }
    };
    let reader = Some("447700900123@s.whatsapp.net".to_owned());
    assert_eq!(member(json!("120363025550100777@g.us")), (StatusWord::Read, reader.clone()));
    assert_eq!(member(json!(null)), (StatusWord::Read, reader));
    assert_eq!(member(json!("447700900123@s.whatsapp.net")), (StatusWord::Read, None));
    assert_eq!(member(json!("447700900123")), (StatusWord::Read, None));
}

#[test]
fn words_of_tomorrow_change_nothing() {
    let body = json!({"statuses": [{"id": "A", "status": "pondered", "timestamp": "1"}], "channel_id": "C"});
    assert_eq!(parsed(&body).events[0].what, What::Other { kind: "statuses.pondered".into() });
    let health = |text: Value| {
        parsed(&json!({"health": {"status": {"code": 4, "text": text}}})).events[0].what.clone()
    };
    assert_eq!(health(json!("HIBERNATE")), What::Other { kind: "health".into() });
    assert_eq!(health(json!(null)), What::Other { kind: "health".into() });
    for (text, state) in [
        ("STOP", AccountState::Disconnected),
        ("LAUNCH", AccountState::Disconnected),
        ("SYNC_ERROR", AccountState::Connected),
    ] {
        assert!(
            matches!(health(json!(text)), What::Account(update) if update.state == state),
            "{text}"
        );
    }
    let qr = parsed(
        &json!({"qr": {"status": "OK", "base64": "AAAA"}, "event": {"type": "channel", "event": "patch"}}),
    );
    assert!(matches!(&qr.events[0].what, What::Account(u) if u.state == AccountState::QrNeeded));
    let new =
        parsed(&json!({"channel_id": "C", "polls": [{}, {}], "messages": null, "statuses": []}));
    assert_eq!(new.events.len(), 1);
    assert_eq!(new.events[0].what, What::Other { kind: "polls".into() });
}

#[test]
fn the_delivery_modes_move_the_kind_of_change() {
    let change = |method: &'static str, sub_path: &'static str, event: Value| {
        let body = json!({"user": {"id": "447700900999"}, "event": event}).to_string();
        let route = Route { method, sub_path, received_at: at(RECEIVED_AT) };
        match Whapi
            .parse(&Signed::from_journal(body.as_bytes()), &route)
            .unwrap()
            .events
            .remove(0)
            .what
        {
            What::Account(update) => update.reason.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(change("POST", "", json!({"type": "users", "event": "delete"})), "logout");
    assert_eq!(change("POST", "", json!({"type": "users", "method": "delete"})), "logout");
    assert_eq!(change("POST", "users/delete", json!(null)), "logout");
    assert_eq!(change("DELETE", "", json!(null)), "logout");
    assert_eq!(change("POST", "users/post", json!(null)), "login");
    assert_eq!(change("POST", "users/", json!(null)), "login");
}
