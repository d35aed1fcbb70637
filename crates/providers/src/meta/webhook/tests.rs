use jiff::Timestamp;
use serde_json::{Map, json};
use wabridge_domain::account::AccountState;
use wabridge_domain::event::{
    AccountUpdate, Alert, Chat, ChatKind, ContactUpdate, Edit, GroupUpdate, Location, MediaRef,
    MemberChange, MemberState, Message, Person, PreferenceUpdate, ProviderError, Source,
    StatusUpdate, TemplateUpdate,
};
use wabridge_domain::message::{MessageType, StatusWord};
use wabridge_domain::webhook::Signed;

use super::*;
use crate::{Meta, Provider};

const RECEIVED_AT: i64 = 1_765_900_000;
const NUMBER: &str = "206543210987654";
const GROUP: &str = "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD";

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

fn amira() -> Person {
    Person {
        contact_id: "447700900123".into(),
        phone: Some("+447700900123".into()),
        user_id: Some("GB.10293847561029384756".into()),
        pushname: Some("Amira Osei".into()),
        ..Person::default()
    }
}

fn by_number() -> Person {
    Person { user_id: None, pushname: None, ..amira() }
}

fn extra(value: Value) -> Map<String, Value> {
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

fn status(word: StatusWord, second: i64) -> StatusUpdate {
    StatusUpdate {
        message_id: "wamid.SEItb3V0LTAwMDE=".into(),
        word,
        at: at(second),
        member: None,
        error: None,
        reference: None,
    }
}

fn group(kind: &str, second: i64, request: &str) -> GroupUpdate {
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

fn member(state: MemberState) -> MemberChange {
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
fn change(field: &str, mut value: Value) -> Parsed {
    value["metadata"] = json!({"display_phone_number": "447700900999", "phone_number_id": NUMBER});
    waba(field, value)
}

/// A body with one change of the whole business account.
fn waba(field: &str, value: Value) -> Parsed {
    parsed(&json!({"object": "whatsapp_business_account", "entry": [
        {"id": "101234567890123", "time": 1_765_800_600, "changes": [{"field": field, "value": value}]},
    ]}))
}

/// The only event of a body.
fn only(parsed: Parsed) -> What {
    assert_eq!(parsed.broken, []);
    assert_eq!(parsed.events.len(), 1, "{parsed:?}");
    parsed.events.into_iter().next().unwrap().what
}

/// A message from Amira with these fields more.
fn message(fields: Value) -> What {
    let mut message = json!({"from": "447700900123", "id": "wamid.1", "timestamp": "1765800001"});
    message.as_object_mut().unwrap().extend(extra(fields));
    only(change("messages", json!({"messages": [message]})))
}

fn plain(fields: Value) -> Message {
    match message(fields) {
        What::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

fn reason(parsed: &Parsed) -> &str {
    assert_eq!(parsed.events, []);
    assert_eq!(parsed.broken.len(), 1);
    &parsed.broken[0].reason
}

#[test]
fn edits_and_deletions_aim_at_their_message() {
    let edited = |new: Value| {
        message(json!({"type": "edit", "edit": {"original_message_id": "wamid.0", "message": new}}))
    };
    let edit = |content: Option<&str>, caption: Option<&str>| {
        What::Edit(Edit {
            message_id: "wamid.0".into(),
            edit_id: "wamid.1".into(),
            at: at(1_765_800_001),
            chat_id: Some("447700900123".into()),
            content: content.map(str::to_owned),
            caption: caption.map(str::to_owned),
        })
    };
    assert_eq!(edited(json!({"type": "text", "text": {"body": "new"}})), edit(Some("new"), None));
    let image = json!({"type": "image", "image": {"id": "1", "caption": "new"}});
    assert_eq!(edited(image), edit(None, Some("new")));
    assert_eq!(
        message(json!({"type": "revoke", "revoke": {"original_message_id": "wamid.0"}})),
        What::Status(StatusUpdate {
            message_id: "wamid.0".into(),
            ..status(StatusWord::Deleted, 1_765_800_001)
        })
    );
    for (fields, why) in [
        (json!({"type": "revoke"}), "its deletion aims at no message"),
        (json!({"type": "edit"}), "it has no edit"),
        (json!({"type": "edit", "edit": {"message": {}}}), "its edit aims at no message"),
        (
            json!({"type": "edit", "edit": {"original_message_id": "a", "message": {}}}),
            "its edit says nothing new",
        ),
        (json!({"type": "reaction"}), "its reaction aims at no message"),
    ] {
        let mut item = json!({"from": "447700900123", "id": "wamid.1"});
        item.as_object_mut().unwrap().extend(extra(fields));
        assert_eq!(reason(&change("messages", json!({"messages": [item]}))), why);
    }
}

#[test]
fn a_new_number_is_the_same_person() {
    let system = json!({"type": "system", "from_user_id": "GB.1",
        "system": {"type": "user_changed_number", "wa_id": "447700900777", "body": "User changed"}});
    let update = ContactUpdate {
        person: Person {
            contact_id: "447700900777".into(),
            phone: Some("+447700900777".into()),
            ..Person::default()
        },
        at: at(1_765_800_001),
        formerly: Some(Person { user_id: Some("GB.1".into()), ..by_number() }),
        ..ContactUpdate::default()
    };
    assert_eq!(message(system), What::Contact(Box::new(update)));
    // Other words of the system are messages.
    let identity = plain(json!({"type": "system",
        "system": {"type": "customer_identity_changed", "body": "Amira has a new phone"}}));
    assert_eq!(identity.message_type, MessageType::System);
    assert_eq!(identity.content.as_deref(), Some("Amira has a new phone"));

    let value = json!({"contacts": [{"profile": {"name": "Amira Osei"}, "wa_id": "447700900123"}],
        "user_id_update": [{"wa_id": "447700900123", "timestamp": "1765800001",
            "user_id": {"previous": "GB.1", "current": "GB.2"}}]});
    let update = ContactUpdate {
        person: Person { user_id: Some("GB.2".into()), ..amira() },
        at: at(1_765_800_001),
        formerly: Some(Person {
            contact_id: "GB.1".into(),
            user_id: Some("GB.1".into()),
            ..Person::default()
        }),
        ..ContactUpdate::default()
    };
    assert_eq!(only(change("user_id_update", value)), What::Contact(Box::new(update)));
}

#[test]
fn somebody_behind_a_username_has_no_number() {
    let value = json!({
        "contacts": [{"profile": {"name": "Amira Osei", "username": "amira.o"}, "user_id": "GB.7"}],
        "messages": [{"from_user_id": "GB.7", "id": "wamid.1", "timestamp": "1765800001",
            "type": "text", "text": {"body": "hi"}}],
    });
    let What::Message(message) = only(change("messages", value)) else { panic!("no message") };
    let hidden = Person {
        contact_id: "GB.7".into(),
        user_id: Some("GB.7".into()),
        username: Some("amira.o".into()),
        pushname: Some("Amira Osei".into()),
        ..Person::default()
    };
    assert_eq!(message.sender, Some(hidden));
    assert_eq!((message.chat.id.as_str(), message.chat.kind), ("GB.7", ChatKind::Direct));
    let nobody = json!({"messages": [{"id": "wamid.1", "type": "text", "text": {"body": "hi"}}]});
    assert_eq!(reason(&change("messages", nobody)), "it does not say who wrote it");
}

#[test]
fn each_of_several_people_has_their_own_name() {
    let value = json!({
        "contacts": [
            {"profile": {"name": "Ben"}, "wa_id": "447700900456"},
            {"profile": {"name": "Amira Osei"}, "wa_id": "447700900123", "user_id": "GB.1"},
        ],
        "messages": [
            {"from": "447700900123", "id": "a", "type": "text", "text": {"body": "1"}},
            {"from": "447700900456", "id": "b", "type": "text", "text": {"body": "2"}},
            {"from": "447700900789", "id": "c", "type": "text", "text": {"body": "3"}},
        ],
    });
    let parsed = change("messages", value);
    let names: Vec<Option<String>> = parsed
        .events
        .into_iter()
        .map(|event| match event.what {
            What::Message(message) => message.sender.unwrap().pushname,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, [Some("Amira Osei".to_owned()), Some("Ben".to_owned()), None]);
}

#[test]
fn what_comes_along_with_a_message() {
    let product = json!({"catalog_id": "1", "product_retailer_id": "di9"});
    let ad = json!({"source_url": "https://fb.me/x", "source_type": "ad", "ctwa_clid": "A"});
    let text = json!({"body": "hi"});
    let asked = plain(json!({"type": "text", "text": text, "referral": ad,
        "context": {"from": "447700900999", "id": "wamid.0", "referred_product": product}}));
    assert_eq!(asked.quoted_id.as_deref(), Some("wamid.0"));
    assert_eq!(asked.extra, extra(json!({"referral": ad, "referred_product": product})));
    let forwarded = plain(json!({"type": "text", "text": text, "context": {"forwarded": true}}));
    assert!(forwarded.forwarded && forwarded.quoted_id.is_none() && forwarded.extra.is_empty());
    let often =
        plain(json!({"type": "text", "text": text, "context": {"frequently_forwarded": true}}));
    assert!(often.forwarded);
    assert_eq!(often.extra, extra(json!({"frequently_forwarded": true})));
    // Without a time it is the time of the receipt.
    let late = change(
        "messages",
        json!({"messages": [
        {"from": "447700900123", "id": "a", "timestamp": "soon", "type": "text", "text": text}]}),
    );
    let What::Message(late) = only(late) else { panic!("no message") };
    assert_eq!(late.at, at(RECEIVED_AT));
}

#[test]
fn every_other_type_has_its_word() {
    use MessageType as T;
    for (kind, part, message_type, content) in [
        ("video", json!({"id": "1", "mime_type": "video/mp4"}), T::Video, None),
        ("audio", json!({"id": "1", "voice": false}), T::Audio, None),
        (
            "interactive",
            json!({"type": "button_reply", "button_reply": {"id": "c", "title": "Cancel"}}),
            T::Interactive,
            Some("Cancel"),
        ),
        (
            "interactive",
            json!({"type": "nfm_reply", "nfm_reply": {"body": "Sent", "response_json": "{}"}}),
            T::Interactive,
            Some("Sent"),
        ),
        ("order", json!({"catalog_id": "1", "text": "", "product_items": []}), T::Order, None),
        ("order", json!({"text": "please"}), T::Order, Some("please")),
        ("hologram", json!({"body": "from tomorrow"}), T::Unknown, Some("from tomorrow")),
    ] {
        let message = plain(json!({"type": kind, kind: part}));
        assert_eq!(message.message_type, message_type, "{kind}");
        assert_eq!(message.content.as_deref(), content, "{kind}");
    }
    let errors = json!([{"code": 131_051, "title": "Message type unknown"}]);
    let unsupported = plain(json!({"type": "unsupported", "errors": errors}));
    assert_eq!(unsupported.message_type, T::Unknown);
    assert_eq!(unsupported.extra["raw"]["errors"], errors);
    assert_eq!(plain(json!({})).message_type, T::Unknown);

    let media = json!({"id": 14785, "url": "https://lookaside.fbsbx.com/x", "file_size": "77",
        "filename": "a.pdf", "sha256": "nonsense"});
    let document = plain(json!({"type": "document", "document": media}));
    let expected = MediaRef {
        id: Some("14785".into()),
        url: Some("https://lookaside.fbsbx.com/x".into()),
        filename: Some("a.pdf".into()),
        size: Some(77),
        ..MediaRef::default()
    };
    assert_eq!(document.media, Some(expected));
    let animated = plain(json!({"type": "sticker", "sticker": {"id": "1", "animated": true}}));
    assert_eq!(animated.extra, extra(json!({"animated": true})));

    let place = |part: Value| plain(json!({"type": "location", "location": part}));
    let strings =
        place(json!({"latitude": "51.5", "longitude": "-0.1", "url": "https://a.example"}));
    assert_eq!(strings.location.map(|l| (l.latitude, l.longitude)), Some((51.5, -0.1)));
    assert_eq!(strings.extra, extra(json!({"url": "https://a.example"})));
    let nowhere = place(json!({"latitude": 1000, "longitude": 0}));
    assert_eq!((nowhere.location, &nowhere.extra["location"]["latitude"]), (None, &json!(1000)));

    for gone in [json!({"message_id": "a", "emoji": ""}), json!({"message_id": "a"})] {
        let reaction = plain(json!({"type": "reaction", "reaction": gone}));
        assert_eq!((reaction.content, reaction.quoted_id.as_deref()), (None, Some("a")));
    }
}

#[test]
fn statuses_of_every_kind() {
    let read = |fields: Value| {
        let mut item =
            json!({"id": "wamid.1", "timestamp": 1_765_800_001, "recipient_id": "447700900123"});
        item.as_object_mut().unwrap().extend(extra(fields));
        change("messages", json!({"statuses": [item]}))
    };
    let What::Status(played) = only(read(json!({"status": "played"}))) else { panic!("no status") };
    assert_eq!((played.word, played.at), (StatusWord::Played, at(1_765_800_001)));
    let tomorrow = only(read(json!({"status": "pondered"})));
    assert_eq!(tomorrow, What::Other { kind: "statuses.pondered".into() });
    assert_eq!(reason(&read(json!({}))), "it has no status word");
    // Only in a group a word is one member's.
    let direct = json!({"status": "read", "recipient_participant_id": "447700900123"});
    let What::Status(direct) = only(read(direct)) else { panic!("no status") };
    assert_eq!(direct.member, None);
    let hidden = json!({"status": "read", "recipient_type": "group",
        "recipient_participant_user_id": "GB.7"});
    let What::Status(hidden) = only(read(hidden)) else { panic!("no status") };
    assert_eq!(hidden.member.as_deref(), Some("GB.7"));
    let bare = json!({"status": "failed", "errors": [{"code": "1", "title": "Oops"}]});
    let What::Status(bare) = only(read(bare)) else { panic!("no status") };
    let error = ProviderError { code: Some("1".into()), message: "Oops".into() };
    assert_eq!(bare.error, Some(error));
}

#[test]
fn the_past_stands_in_threads() {
    let messages = json!([
        {"from": "447700900999", "to": "447700900123", "id": "a", "timestamp": "1765700001",
            "type": "text", "text": {"body": "our word"}, "history_context": {"status": "READ"}},
        {"from": "447700900123", "id": "b", "timestamp": "1765700002", "type": "text",
            "text": {"body": "their word"}, "history_context": {"status": "DELIVERED"}},
        {"from": "447700900123", "id": "c", "type": "media_placeholder"},
        {"from": "447700900123", "type": "text"},
        7,
    ]);
    let history = json!({"history": [
        {"metadata": {"phase": 0}, "threads": [{"id": "447700900123", "messages": messages}]},
        {"errors": [{"code": 2_593_109, "message": "History sync is turned off"}]},
    ]});
    let parsed = change("history", history);
    let texts: Vec<_> = parsed
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Message(m) => Some((
                m.message_id.as_str(),
                m.from_me,
                m.chat.id.as_str(),
                m.word,
                m.extra.contains_key("history"),
            )),
            _ => None,
        })
        .collect();
    assert_eq!(
        texts,
        [
            ("a", true, "447700900123", Some(StatusWord::Read), true),
            ("b", false, "447700900123", None, true),
        ]
    );
    assert_eq!(parsed.events[2].what, What::Other { kind: "history.media_placeholder".into() });
    let What::Alert(alert) = &parsed.events[3].what else { panic!("no alert") };
    assert_eq!(alert.detail, "History sync is turned off (2593109)");
    let reasons: Vec<_> = parsed.broken.iter().map(|b| (b.index, b.reason.as_str())).collect();
    assert_eq!(reasons, [(3, "it names no message id"), (4, "it is no object")]);
}

#[test]
fn echoes_name_their_chat() {
    let value = json!({"message_echoes": [
        {"from": "447700900999", "to_user_id": "GB.7", "id": "a", "type": "text", "text": {"body": "x"}},
        {"from": "447700900999", "group_id": GROUP, "id": "b", "type": "text", "text": {"body": "x"}},
        {"from": "447700900999", "to": GROUP, "id": "c", "type": "text", "text": {"body": "x"}},
        {"from": "447700900999", "id": "d", "type": "text", "text": {"body": "x"}},
        {"from": "447700900999", "to": "447700900123", "id": "e", "type": "revoke",
            "revoke": {"original_message_id": "a"}},
    ]});
    let parsed = change("smb_message_echoes", value);
    let chats: Vec<_> = parsed
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Message(m) => Some((m.chat.id.as_str(), m.from_me, m.source)),
            _ => None,
        })
        .collect();
    let phone = |chat| (chat, true, Source::Phone);
    assert_eq!(chats, [phone("GB.7"), phone(GROUP), phone(GROUP)]);
    assert!(matches!(&parsed.events[3].what, What::Status(s) if s.word == StatusWord::Deleted));
    assert_eq!((parsed.broken[0].index, parsed.broken[0].reason.as_str()), (3, "it names no chat"));
}

#[test]
fn groups_in_every_state() {
    let one = |fields: Value| {
        let mut item = json!({"timestamp": 1_765_800_500, "group_id": GROUP, "request_id": "R"});
        item.as_object_mut().unwrap().extend(extra(fields));
        change("group_lifecycle_update", json!({"groups": [item]}))
    };
    let update = |fields: Value| match only(one(fields)) {
        What::Group(update) => *update,
        other => panic!("{other:?}"),
    };
    let base = |kind: &str| group(kind, 1_765_800_500, "R");
    assert_eq!(
        update(json!({"type": "group_delete"})),
        GroupUpdate { is_active: Some(false), ..base("deleted") }
    );
    assert_eq!(
        update(json!({"type": "group_suspend"})),
        GroupUpdate { is_active: Some(false), ..base("info") }
    );
    assert_eq!(
        update(json!({"type": "group_suspend_cleared"})),
        GroupUpdate { is_active: Some(true), ..base("info") }
    );
    let left = json!({"type": "group_participants_remove", "initiated_by": "participant",
        "removed_participants": [{"user_id": "GB.7"}]});
    let hidden =
        Person { contact_id: "GB.7".into(), user_id: Some("GB.7".into()), ..Person::default() };
    let gone = MemberChange { person: hidden, role: None, state: MemberState::Left };
    assert_eq!(update(left), GroupUpdate { members: vec![gone], ..base("left") });
    let added = json!({"type": "group_add_participants",
        "added_participants": [{"input": "+447700900123"}]});
    let joined = vec![member(MemberState::Joined)];
    assert_eq!(update(added), GroupUpdate { members: joined, ..base("joined") });
    for (kind, state) in [
        ("group_join_request_created", MemberState::Waiting),
        ("group_join_request_revoked", MemberState::Left),
    ] {
        let update = update(json!({"type": kind, "wa_id": "447700900123"}));
        assert_eq!(update, GroupUpdate { members: vec![member(state)], ..base("info") });
    }
    let settings = update(json!({"type": "group_settings_update",
        "group_description": {"text": "", "update_successful": true},
        "profile_picture": {"mime_type": "image/jpeg", "update_successful": true}}));
    assert_eq!(settings, GroupUpdate { description: Some(String::new()), ..base("settings") });
    let icon = update(json!({"type": "group_settings_update", "profile_picture": {}}));
    assert_eq!(icon, base("icon"));
    let mode = update(json!({"type": "group_create", "join_approval_mode": "approval_required"}));
    assert_eq!(mode.join_approval, Some(true));
    let tomorrow = only(one(json!({"type": "group_teleport"})));
    assert_eq!(tomorrow, What::Other { kind: "groups.group_teleport".into() });
    assert_eq!(reason(&one(json!({}))), "it does not say what happened");
}

#[test]
fn what_failed_of_a_group_is_an_alert() {
    let errors = json!([{"code": 131_211, "message": "Too many groups"}]);
    let failed = only(change(
        "group_lifecycle_update",
        json!({"groups": [{"type": "group_create", "request_id": "R", "errors": errors}]}),
    ));
    let What::Alert(alert) = failed else { panic!("{failed:?}") };
    assert_eq!(alert.kind, "group");
    assert_eq!(alert.detail, "group_create: Too many groups (131211)");
    assert_eq!(alert.extra["request_id"], "R");

    // Half of it worked.
    let half = json!({"groups": [{"type": "group_settings_update", "group_id": GROUP,
        "group_subject": {"text": "New", "update_successful": true},
        "group_description": {"update_successful": false, "errors": errors}}]});
    let parsed = change("group_settings_update", half);
    assert!(
        matches!(&parsed.events[0].what, What::Group(g) if g.kind == "subject" && g.description.is_none())
    );
    assert!(
        matches!(&parsed.events[1].what, What::Alert(a) if a.detail == "group_description: Too many groups (131211)")
    );
    let none = json!({"groups": [{"type": "group_settings_update", "group_id": GROUP,
        "group_subject": {"update_successful": false}}]});
    assert!(
        matches!(only(change("group_settings_update", none)), What::Alert(a) if a.kind == "group")
    );
    let one_left = json!({"groups": [{"type": "group_participants_remove", "group_id": GROUP,
        "removed_participants": [{"wa_id": "447700900123"}],
        "failed_participants": [{"input": "447700900456", "errors": errors}]}]});
    assert_eq!(change("group_participants_update", one_left).events.len(), 2);
    let nameless = json!({"groups": [{"type": "group_delete"}]});
    assert_eq!(reason(&change("group_lifecycle_update", nameless)), "it names no group");
}

#[test]
fn wishes_of_people() {
    let wish = |value: &str| {
        change(
            "user_preferences",
            json!({
            "contacts": [{"profile": {"name": "Amira Osei"}, "wa_id": "447700900123"}],
            "user_preferences": [{"wa_id": "447700900123", "detail": "User requested to stop",
                "category": "marketing_messages", "value": value, "timestamp": 1_765_800_001}]}),
        )
    };
    let expected = |allowed| {
        What::Preference(PreferenceUpdate {
            person: Person { user_id: None, ..amira() },
            category: "marketing".into(),
            allowed,
            reason: Some("User requested to stop".into()),
            at: at(1_765_800_001),
        })
    };
    assert_eq!(only(wish("stop")), expected(false));
    assert_eq!(only(wish("resume")), expected(true));
    assert_eq!(reason(&wish("maybe")), "its value is neither stop nor resume");
}

#[test]
fn the_address_book_of_the_phone() {
    let sync = |action: &str| {
        only(change(
            "smb_app_state_sync",
            json!({"state_sync": [{"type": "contact", "action": action,
            "contact": {"full_name": "Amira O.", "phone_number": "447700900123"},
            "metadata": {"timestamp": "1765800001"}}]}),
        ))
    };
    let update = ContactUpdate {
        person: Person { name: Some("Amira O.".into()), ..by_number() },
        at: at(1_765_800_001),
        ..ContactUpdate::default()
    };
    assert_eq!(sync("add"), What::Contact(Box::new(update)));
    assert!(matches!(sync("remove"), What::Other { .. }));
}

#[test]
fn templates_change_in_four_ways() {
    let template = |field: &str, fields: Value| {
        let mut value = json!({"message_template_id": 9, "message_template_name": "shipped",
            "message_template_language": "en"});
        value.as_object_mut().unwrap().extend(extra(fields));
        match only(waba(field, value)) {
            What::Template(update) => (update.kind, update.value, update.reason),
            other => panic!("{other:?}"),
        }
    };
    let expected = |kind: &str, value: &str, reason: Option<&str>| {
        (kind.to_owned(), Some(value.to_owned()), reason.map(str::to_owned))
    };
    assert_eq!(
        template(
            "message_template_status_update",
            json!({"event": "REJECTED", "reason": "INVALID_FORMAT"})
        ),
        expected("status", "REJECTED", Some("INVALID_FORMAT"))
    );
    assert_eq!(
        template(
            "message_template_quality_update",
            json!({"previous_quality_score": "GREEN", "new_quality_score": "YELLOW"})
        ),
        expected("quality", "YELLOW", Some("was GREEN"))
    );
    assert_eq!(
        template(
            "template_category_update",
            json!({"previous_category": "UTILITY", "new_category": "MARKETING"})
        ),
        expected("category", "MARKETING", Some("was UTILITY"))
    );
    assert_eq!(
        template("message_template_components_update", json!({"message_template_element": "Hi"})),
        expected("components", "Hi", None)
    );
    let nameless = waba("message_template_status_update", json!({"event": "APPROVED"}));
    assert_eq!(reason(&nameless), "it names no template");
}

#[test]
fn the_standing_of_the_account() {
    let account = |value: Value| only(waba("account_update", value));
    let state = |state, reason: &str| {
        What::Account(AccountUpdate {
            state,
            reason: Some(reason.into()),
            at: Some(at(1_765_800_600)),
        })
    };
    let ban = |word: Value| {
        account(json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": word}}))
    };
    assert_eq!(ban(json!(["DISABLE"])), state(AccountState::Banned, "DISABLED_UPDATE"));
    assert_eq!(ban(json!("REINSTATE")), state(AccountState::Connected, "DISABLED_UPDATE"));
    assert_eq!(
        account(json!({"event": "ACCOUNT_DELETED"})),
        state(AccountState::Disconnected, "ACCOUNT_DELETED")
    );
    let alert = |what: What| match what {
        What::Alert(alert) => (alert.kind, alert.detail),
        other => panic!("{other:?}"),
    };
    let expected = |kind: &str, detail: &str| (kind.to_owned(), detail.to_owned());
    assert_eq!(
        alert(ban(json!("SCHEDULE_FOR_DISABLE"))),
        expected("violation", "DISABLED_UPDATE: SCHEDULE_FOR_DISABLE")
    );
    assert_eq!(
        alert(account(json!({"event": "ACCOUNT_RESTRICTION", "restriction_info":
            [{"restriction_type": "A", "expiration": 1}, {"restriction_type": "B"}]}))),
        expected("violation", "ACCOUNT_RESTRICTION: A, B")
    );
    assert_eq!(
        alert(account(
            json!({"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SCAM"}})
        )),
        expected("violation", "ACCOUNT_VIOLATION: SCAM")
    );
    assert_eq!(
        alert(account(json!({"event": "PARTNER_ADDED"}))),
        expected("account", "PARTNER_ADDED")
    );
    for (field, value, kind, detail) in [
        (
            "phone_number_quality_update",
            json!({"event": "FLAGGED", "current_limit": "TIER_10K"}),
            "quality",
            "FLAGGED, TIER_10K",
        ),
        (
            "account_alerts",
            json!({"entity_type": "BUSINESS", "alert_info":
                {"alert_type": "OBA_APPROVED", "alert_description": "You are official"}}),
            "account",
            "You are official",
        ),
        (
            "account_review_update",
            json!({"decision": "APPROVED"}),
            "account",
            "review of the account: APPROVED",
        ),
        (
            "business_capability_update",
            json!({"max_daily_conversations_per_business": 2000}),
            "limit",
            "max_daily_conversations_per_business 2000",
        ),
        (
            "phone_number_name_update",
            json!({"decision": "APPROVED", "requested_verified_name": "Acme", "rejection_reason": "NONE"}),
            "account",
            "display name: APPROVED, Acme",
        ),
        ("security", json!({"event": "PIN_CHANGED"}), "security", "PIN_CHANGED"),
    ] {
        assert_eq!(alert(only(waba(field, value))), expected(kind, detail), "{field}");
    }
    let errors = json!({"errors": [{"code": 130_429, "title": "Slow", "error_data": {"details": "Too fast"}}]});
    assert_eq!(
        alert(only(change("messages", errors))),
        expected("error", "Slow: Too fast (130429)")
    );
    assert_eq!(only(waba("flows", json!({"event": "X"}))), What::Other { kind: "flows".into() });
    let call = json!({"calls": [{"id": "a", "event": "connect"}]});
    assert_eq!(only(change("calls", call)), What::Other { kind: "calls".into() });
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
