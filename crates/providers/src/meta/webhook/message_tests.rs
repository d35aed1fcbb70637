//! Messages, echoes, history and statuses beyond the recorded ones.

use serde_json::json;
use wabridge_domain::error::Kind;
use wabridge_domain::event::{
    ChatKind, ContactUpdate, Edit, MediaRef, Message, Person, ProviderError, Source, StatusUpdate,
};
use wabridge_domain::message::{MessageType, StatusWord};

use super::tests::{GROUP, RECEIVED_AT, amira, at, by_number, change, extra, only, reason, status};
use super::*;

fn plain(fields: Value) -> Message {
    match message(fields) {
        What::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

/// A message from Amira with these fields more.
fn message(fields: Value) -> What {
    let mut message = json!({"from": "447700900123", "id": "wamid.1", "timestamp": "1765800001"});
    message.as_object_mut().unwrap().extend(extra(fields));
    only(change("messages", json!({"messages": [message]})))
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
    let error = ProviderError { kind: None, code: Some("1".into()), message: "Oops".into() };
    assert_eq!(bare.error, Some(ProviderError { kind: Some(Kind::ProviderUnavailable), ..error }));
    for (code, kind) in [
        (json!(131_026), Some(Kind::InvalidRecipient)),
        (json!("131049"), Some(Kind::ProviderRejected)),
        (json!(131_056), Some(Kind::ProviderRateLimited)),
        (json!(131_050), Some(Kind::RecipientOptedOut)),
        (json!(132_012), Some(Kind::InvalidContent)),
        (json!(999_999), None),
        (json!("x"), None),
    ] {
        let failed = json!({"status": "failed", "errors": [{"code": code, "title": "Oops"}]});
        let What::Status(failed) = only(read(failed)) else { panic!("no status") };
        assert_eq!(failed.error.and_then(|error| error.kind), kind, "{code}");
    }
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
