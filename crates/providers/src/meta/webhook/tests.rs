use jiff::Timestamp;
use serde_json::{Map, json};
use wabridge_domain::error::Kind;
use wabridge_domain::event::{
    Alert, Chat, ChatKind, GroupUpdate, Location, MediaRef, MemberChange, MemberState, Message,
    Person, ProviderError, Source, StatusUpdate, TemplateUpdate,
};
use wabridge_domain::message::{MessageType, StatusWord};
use wabridge_domain::webhook::Signed;

use super::*;
use crate::{Meta, Provider};

pub(super) const RECEIVED_AT: i64 = 1_765_900_000;
pub(super) const NUMBER: &str = "206543210987654";
pub(super) const GROUP: &str = "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD";

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn read(body: &[u8]) -> Result<Parsed, Unreadable> {
    let route = Route { method: "POST", sub_path: "", received_at: at(RECEIVED_AT) };
    Meta.parse(&Signed::from_journal(body), &route)
}

pub(super) fn parsed(body: &Value) -> Parsed {
    read(body.to_string().as_bytes()).unwrap()
}

macro_rules! fixtures {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../fixtures/meta/", $name, ".json")))),+]
    };
}

/// All recorded bodies, by name.
pub(super) const FIXTURES: &[(&str, &str)] = fixtures![
    "group_lifecycle_create",
    "group_participants_add",
    "group_participants_remove",
    "group_settings_update",
    "message_button",
    "message_contacts",
    "message_document",
    "message_echo_business_app",
    "message_group_text",
    "message_image",
    "message_interactive_list",
    "message_location",
    "message_reaction",
    "message_sticker",
    "message_text",
    "message_text_reply",
    "message_voice",
    "phone_number_quality_update",
    "status_delivered",
    "status_failed",
    "status_group_read",
    "status_read",
    "status_sent",
    "template_status_update",
];

/// Fixtures that are no bodies: questions and signatures, see `meta/tests.rs`.
const NO_BODIES: [&str; 2] = ["signature_vectors", "verify_handshake_vectors"];

fn what(name: &str) -> What {
    let (_, body) = FIXTURES.iter().find(|(known, _)| *known == name).unwrap();
    read(body.as_bytes()).unwrap().events.remove(0).what
}

pub(super) fn amira() -> Person {
    Person {
        contact_id: "447700900123".into(),
        phone: Some("+447700900123".into()),
        user_id: Some("GB.10293847561029384756".into()),
        pushname: Some("Amira Osei".into()),
        ..Person::default()
    }
}

pub(super) fn by_number() -> Person {
    Person { user_id: None, pushname: None, ..amira() }
}

pub(super) fn extra(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn inbound(id: &str, message_type: MessageType) -> Message {
    Message {
        message_id: id.into(),
        chat: Chat {
            id: "447700900123".into(),
            kind: ChatKind::Direct,
            name: Some("Amira Osei".into()),
        },
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
        extra: Map::new(),
    }
}

fn file(id: &str, mimetype: &str, sha256: &str) -> Option<MediaRef> {
    Some(MediaRef {
        id: Some(id.into()),
        mimetype: Some(mimetype.into()),
        sha256: Some(sha256.into()),
        ..MediaRef::default()
    })
}

pub(super) fn status(word: StatusWord, second: i64) -> StatusUpdate {
    StatusUpdate {
        message_id: "wamid.SEItb3V0LTAwMDE=".into(),
        word,
        at: at(second),
        member: None,
        error: None,
        reference: None,
    }
}

pub(super) fn group(kind: &str, second: i64, request: &str) -> GroupUpdate {
    GroupUpdate {
        group_id: GROUP.into(),
        kind: kind.into(),
        at: at(second),
        event_id: request.into(),
        ..GroupUpdate::default()
    }
}

/// Field by field what each recorded body means.
#[expect(clippy::too_many_lines, reason = "a table, one entry a body")]
fn expected(name: &str) -> What {
    let quoted = Some("wamid.SEItb3V0LTAwMDE=".to_owned());
    let message = |message| What::Message(Box::new(message));
    let group_update = |update| What::Group(Box::new(update));
    match name {
        "message_text" => message(Message {
            content: Some("Hello, is the blue model in stock?".into()),
            ..inbound("wamid.SEItaW4tdGV4dC0wMDAx", MessageType::Text)
        }),
        "message_text_reply" => message(Message {
            content: Some("Yes please".into()),
            quoted_id: quoted,
            ..inbound("wamid.SEItaW4tdGV4dC0wMDAy", MessageType::Text)
        }),
        "message_group_text" => message(Message {
            chat: Chat { id: GROUP.into(), kind: ChatKind::Group, name: None },
            content: Some("Gate is closed".into()),
            ..inbound("wamid.SEItaW4tZ3JwLTAwMDE=", MessageType::Text)
        }),
        "message_image" => message(Message {
            caption: Some("Photo of the broken part".into()),
            media: file(
                "1478523690123456",
                "image/jpeg",
                "c4f8fbc06266d28d23bfcab70e4d660767939f9c94f5c2f8ad6cc0eac41f1f42",
            ),
            ..inbound("wamid.SEItaW4taW1nLTAwMDE=", MessageType::Image)
        }),
        "message_voice" => message(Message {
            media: file(
                "1478523690123457",
                "audio/ogg; codecs=opus",
                "66bd27d65e85dec2aa4e0f15c176d873d25d1dee6e028322da92d1eed05f4389",
            ),
            ..inbound("wamid.SEItaW4tYXVkLTAwMDE=", MessageType::Voice)
        }),
        "message_document" => message(Message {
            caption: Some("Purchase order attached".into()),
            media: Some(MediaRef {
                filename: Some("PO-2025-118.pdf".into()),
                ..file(
                    "1478523690123458",
                    "application/pdf",
                    "d9ff262643b4699d5c432edd561dd77966cdf6b4fab8ba52e202a2139a11c40d",
                )
                .unwrap()
            }),
            ..inbound("wamid.SEItaW4tZG9jLTAwMDE=", MessageType::Document)
        }),
        "message_sticker" => message(Message {
            media: file(
                "1478523690123459",
                "image/webp",
                "3a64f89e18d48423083cd9a3ede78e65e0988d35e42f1a0ebfce4e3021704ae7",
            ),
            ..inbound("wamid.SEItaW4tc3RrLTAwMDE=", MessageType::Sticker)
        }),
        "message_location" => message(Message {
            location: Some(Location {
                latitude: 51.503_363_5,
                longitude: -0.127_624_8,
                name: Some("Depot 4".into()),
                address: Some("1 Sample Street, London".into()),
            }),
            ..inbound("wamid.SEItaW4tbG9jLTAwMDE=", MessageType::Location)
        }),
        "message_contacts" => message(Message {
            content: Some("Warehouse Desk".into()),
            extra: extra(json!({"contacts": [{
                "name": {"first_name": "Warehouse", "last_name": "Desk", "formatted_name": "Warehouse Desk"},
                "phones": [{"phone": "+44 7700 900456", "wa_id": "447700900456", "type": "WORK"}],
            }]})),
            ..inbound("wamid.SEItaW4tY29uLTAwMDE=", MessageType::Contact)
        }),
        "message_reaction" => message(Message {
            content: Some("👍".into()),
            quoted_id: quoted,
            ..inbound("wamid.SEItaW4tcmVhLTAwMDE=", MessageType::Reaction)
        }),
        "message_button" => message(Message {
            content: Some("Confirm".into()),
            quoted_id: quoted,
            extra: extra(json!({"reply": {"type": "button",
                "button": {"payload": "CONFIRM_118", "text": "Confirm"}}})),
            ..inbound("wamid.SEItaW4tYnRuLTAwMDE=", MessageType::Interactive)
        }),
        "message_interactive_list" => message(Message {
            content: Some("Morning".into()),
            quoted_id: quoted,
            extra: extra(json!({"reply": {"type": "list_reply",
                "list_reply": {"id": "slot_am", "title": "Morning", "description": "09:00-12:00"}}})),
            ..inbound("wamid.SEItaW4taW50LTAwMDE=", MessageType::Interactive)
        }),
        "message_echo_business_app" => message(Message {
            chat: Chat { id: "447700900123".into(), kind: ChatKind::Direct, name: None },
            from_me: true,
            sender: None,
            at: at(1_765_800_640),
            content: Some("Sent by hand from the phone".into()),
            ..inbound("wamid.SEItZWNoby0wMDAx", MessageType::Text)
        }),
        "status_sent" => What::Status(StatusUpdate {
            reference: Some("bridge:out:7f2c".into()),
            ..status(StatusWord::Sent, 1_765_800_301)
        }),
        "status_delivered" => What::Status(StatusUpdate {
            reference: Some("bridge:out:7f2c".into()),
            ..status(StatusWord::Delivered, 1_765_800_303)
        }),
        "status_read" => What::Status(StatusUpdate {
            reference: Some("bridge:out:7f2c".into()),
            ..status(StatusWord::Read, 1_765_800_320)
        }),
        "status_failed" => What::Status(StatusUpdate {
            error: Some(ProviderError {
                kind: Some(Kind::OutsideServiceWindow),
                code: Some("131047".into()),
                message:
                    "Re-engagement message: Message failed to send because more than 24 hours have \
                          passed since the customer last replied to this number."
                        .into(),
            }),
            ..status(StatusWord::Failed, 1_765_800_305)
        }),
        "status_group_read" => What::Status(StatusUpdate {
            member: Some("447700900123".into()),
            ..status(StatusWord::Read, 1_765_800_340)
        }),
        "group_lifecycle_create" => group_update(GroupUpdate {
            name: Some("Ops Night Shift".into()),
            description: Some("Night crew".into()),
            invite_link: Some("https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv".into()),
            join_approval: Some(false),
            is_active: Some(true),
            ..group("created", 1_765_800_500, "REQ-0001")
        }),
        "group_participants_add" => group_update(GroupUpdate {
            members: vec![member(MemberState::Joined)],
            ..group("joined", 1_765_800_520, "")
        }),
        "group_participants_remove" => group_update(GroupUpdate {
            members: vec![member(MemberState::Removed)],
            ..group("removed", 1_765_800_540, "REQ-0002")
        }),
        "group_settings_update" => group_update(GroupUpdate {
            name: Some("Ops Night Shift B".into()),
            ..group("subject", 1_765_800_560, "REQ-0003")
        }),
        "template_status_update" => What::Template(TemplateUpdate {
            template_id: Some("998877665544332".into()),
            name: "order_shipped".into(),
            language: Some("en_GB".into()),
            kind: "status".into(),
            value: Some("PAUSED".into()),
            reason: None,
            at: Some(at(1_765_800_600)),
        }),
        "phone_number_quality_update" => What::Alert(Alert {
            kind: "limit".into(),
            detail: "THROUGHPUT_UPGRADE, TIER_UNLIMITED".into(),
            at: Some(at(1_765_800_620)),
            extra: extra(json!({"display_phone_number": "447700900999",
                "event": "THROUGHPUT_UPGRADE", "current_limit": "TIER_UNLIMITED"})),
        }),
        other => panic!("{other} has no entry in the table"),
    }
}

pub(super) fn member(state: MemberState) -> MemberChange {
    MemberChange { person: by_number(), role: None, state }
}

#[test]
fn every_fixture_is_read_and_none_is_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/meta");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut names: Vec<_> = FIXTURES
        .iter()
        .map(|(name, _)| *name)
        .chain(NO_BODIES)
        .map(|n| format!("{n}.json"))
        .collect();
    names.sort();
    assert_eq!(files, names);
    for (name, body) in FIXTURES {
        let parsed = read(body.as_bytes()).unwrap();
        assert_eq!(parsed.broken, [], "{name}");
        assert_eq!(parsed.events.len(), 1, "{name}");
        assert_eq!(what(name), expected(name), "{name}");
        let whole_account =
            matches!(*name, "template_status_update" | "phone_number_quality_update");
        let channel = (!whole_account).then_some(NUMBER);
        assert_eq!(parsed.events[0].channel_id.as_deref(), channel, "{name}");
    }
}

/// A body with one change of one value; `metadata` are added.
pub(super) fn change(field: &str, mut value: Value) -> Parsed {
    value["metadata"] = json!({"display_phone_number": "447700900999", "phone_number_id": NUMBER});
    waba(field, value)
}

/// A body with one change of the whole business account.
pub(super) fn waba(field: &str, value: Value) -> Parsed {
    parsed(&json!({"object": "whatsapp_business_account", "entry": [
        {"id": "101234567890123", "time": 1_765_800_600, "changes": [{"field": field, "value": value}]},
    ]}))
}

/// The only event of a body.
pub(super) fn only(parsed: Parsed) -> What {
    assert_eq!(parsed.broken, []);
    assert_eq!(parsed.events.len(), 1, "{parsed:?}");
    parsed.events.into_iter().next().unwrap().what
}

pub(super) fn reason(parsed: &Parsed) -> &str {
    assert_eq!(parsed.events, []);
    assert_eq!(parsed.broken.len(), 1);
    &parsed.broken[0].reason
}

#[test]
fn what_is_broken_stands_alone() {
    let good: Value = serde_json::from_str(FIXTURES[14].1).unwrap();
    let good = &good["entry"][0];
    let nameless = json!({"field": "messages", "value": {"messages": [{"from": "1", "id": "a"}]}});
    let body = json!({"object": "whatsapp_business_account", "entry": [
        null, 7, {"id": "1"}, {"id": "1", "changes": [5, {"field": "messages"}, nameless, {"value": {}}]},
        good, {"id": "2", "changes": null},
    ]});
    let parsed = parsed(&body);
    assert_eq!(parsed.events.len(), 1);
    let broken: Vec<_> =
        parsed.broken.iter().map(|b| (b.kind.as_str(), b.index, b.reason.as_str())).collect();
    assert_eq!(
        broken,
        [
            ("entry", 0, "it is no object"),
            ("entry", 1, "it is no object"),
            ("entry", 2, "it has no changes"),
            ("changes", 0, "it has no value that is an object"),
            ("changes", 1, "it has no value that is an object"),
            ("messages", 0, "its metadata name no phone_number_id"),
            ("", 0, "its change names no field"),
        ]
    );
}

#[test]
fn other_bodies_are_unreadable() {
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "{}",
        r#"{"object":"page","entry":[]}"#,
        r#"{"object":"whatsapp_business_account"}"#,
    ] {
        let error = read(body.as_bytes()).unwrap_err();
        assert!(!error.reason.contains("page"), "{error}");
    }
    let empty = read(br#"{"object":"whatsapp_business_account","entry":[]}"#).unwrap();
    assert_eq!(empty, Parsed::default());
    // A byte order mark, odd bytes and odd numbers are lived with.
    let mut odd = b"\xef\xbb\xbf".to_vec();
    let text = FIXTURES[14].1.replace("Hello,", "He\\ud83do \\u0000");
    odd.extend_from_slice(text.replace("\"1765800001\"", "1e999").as_bytes());
    let read = read(&odd).unwrap();
    let What::Message(message) = &read.events[0].what else { panic!("no message") };
    assert!(message.content.as_deref().unwrap().starts_with("He\u{fffd}o "));
    assert_eq!(message.at, at(RECEIVED_AT));
}
