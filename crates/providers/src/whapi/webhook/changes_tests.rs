//! Edits, deletions, reactions, votes, groups, people, chats.

use serde_json::{Value, json};
use wabridge_domain::event::{
    ChatKind, ChatUpdate, ContactUpdate, Edit, GroupUpdate, MemberChange, MemberState, Message,
    Person, Role, StatusUpdate, What,
};
use wabridge_domain::message::{MessageType, StatusWord};

use super::tests::{RECEIVED_AT, amira, at, parsed, what};

const OPS: &str = "120363025550100777@g.us";

fn only(body: &Value) -> What {
    let mut parsed = parsed(body);
    assert_eq!((parsed.events.len(), parsed.broken.len()), (1, 0), "{parsed:?}");
    parsed.events.remove(0).what
}

fn person(digits: &str) -> Person {
    Person {
        contact_id: format!("{digits}@s.whatsapp.net"),
        phone: Some(format!("+{digits}")),
        ..Person::default()
    }
}

fn member(digits: &str, role: Option<Role>, state: MemberState) -> MemberChange {
    MemberChange { person: person(digits), role, state }
}

/// As every change of the group begins.
fn ops(kind: &str) -> GroupUpdate {
    GroupUpdate {
        group_id: OPS.into(),
        kind: kind.into(),
        at: at(RECEIVED_AT),
        event_id: "00001765900000000000".into(),
        ..GroupUpdate::default()
    }
}

fn group(what: What) -> GroupUpdate {
    match what {
        What::Group(update) => *update,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_edit_has_the_new_text_and_the_time_of_its_trigger() {
    let expected = Edit {
        message_id: "Qk2vT9aXe4LmR0sYbN7c1g-gLw8Ztq3HcA".into(),
        edit_id: "Qy1tQ7sYb5EgK8lPaV3n0R-gBo9Jxl3ApS".into(),
        at: at(1_765_800_380),
        chat_id: Some("447700900123@s.whatsapp.net".into()),
        content: Some("Hello, is the BLACK model in stock?".into()),
        caption: None,
    };
    assert_eq!(what("message_edit_patch"), What::Edit(expected));
}

fn changed(before: Value, after: Value, more: Value) -> What {
    let mut update = json!({"id": "B-1", "before_update": before, "after_update": after});
    update.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    only(&json!({"messages_updates": [update]}))
}

fn text(body: &str) -> Value {
    json!({"id": "B-1", "type": "text", "chat_id": "447700900123@c.us", "timestamp": 1, "text": {"body": body}})
}

#[test]
fn an_update_without_a_trigger_is_what_differs() {
    let What::Edit(edit) = changed(text("a"), text("b"), json!({"changes": ["text"]})) else {
        panic!("no edit");
    };
    assert_eq!((edit.message_id.as_str(), edit.content.as_deref()), ("B-1", Some("b")));
    assert_eq!(edit.chat_id.as_deref(), Some("447700900123@s.whatsapp.net"));
    assert_eq!(edit.at, at(RECEIVED_AT), "its own time is that of the first text");
    let again = changed(text("a"), text("b"), json!({}));
    assert!(matches!(&again, What::Edit(twin) if twin.edit_id == edit.edit_id));
    assert!(
        matches!(changed(text("a"), text("c"), json!({})), What::Edit(other) if other.edit_id != edit.edit_id)
    );

    let image =
        |caption: &str| json!({"type": "image", "image": {"id": "j-1", "caption": caption}});
    let What::Edit(edit) = changed(image("a"), image("b"), json!({})) else { panic!("no edit") };
    assert_eq!((edit.content, edit.caption.as_deref()), (None, Some("b")));

    let mut read = text("a");
    read["status"] = json!("read");
    let status = changed(text("a"), read, json!({"changes": ["status"]}));
    assert!(
        matches!(status, What::Status(s) if s.word == StatusWord::Read && s.message_id == "B-1")
    );
    let mut labelled = text("a");
    labelled["labels"] = json!(["7"]);
    assert_eq!(
        changed(text("a"), labelled, json!({"changes": ["labels"]})),
        What::Other { kind: "messages_updates".into() }
    );
    assert_eq!(parsed(&json!({"messages_updates": [{"id": "B-1"}, 7, null, {}]})).broken.len(), 4);
}

#[test]
fn deletions() {
    let gone = |id: &str, second| {
        What::Status(StatusUpdate {
            message_id: id.into(),
            word: StatusWord::Deleted,
            at: at(second),
            member: None,
            error: None,
            reference: None,
        })
    };
    assert_eq!(what("message_deleted"), gone("Qm5dB2cHj8NpV1uZkE6x4A-gPz2Rfy7KbQ", RECEIVED_AT));
    let parsed = parsed(&json!({"messages_removed": ["A", 7, "", "B"]}));
    assert_eq!((parsed.events.len(), parsed.broken.len()), (2, 2));
    assert_eq!(action(json!({"target": "B", "type": "delete"})), gone("B", 1_765_800_001));
    assert_eq!(
        only(&json!({"messages_removed_all": "447700900123@s.whatsapp.net"})),
        What::Other { kind: "messages_removed_all".into() },
        "somebody tidied the phone"
    );
}

fn acting(action: Value) -> Value {
    json!({"id": "A-1", "type": "action", "chat_id": OPS, "from": "447700900123", "from_name": "Amira Osei",
        "from_me": false, "timestamp": 1_765_800_001, "action": action})
}

fn action(action: Value) -> What {
    only(&json!({"messages": [acting(action)]}))
}

fn row(what: What) -> Message {
    match what {
        What::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn actions_that_are_rows_aim_at_their_target() {
    let removed = row(action(json!({"target": "B", "type": "reaction", "emoji": ""})));
    assert_eq!((removed.message_type, removed.content), (MessageType::Reaction, None));
    assert_eq!(removed.quoted_id.as_deref(), Some("B"));

    let vote = row(action(json!({"target": "P", "type": "vote", "votes": ["Monday", "Friday"]})));
    assert_eq!((vote.message_type, vote.quoted_id.as_deref()), (MessageType::Poll, Some("P")));
    assert_eq!(vote.content.as_deref(), Some("Monday, Friday"));
    assert_eq!(vote.extra["votes"], json!(["Monday", "Friday"]));
    assert_eq!(vote.sender, Some(amira()));
    // The poll as it is now names what ids stand for.
    let update = json!({"messages_updates": [{"id": "P", "trigger": acting(json!({"target": "P", "type": "vote", "votes": ["q1"]})),
        "after_update": {"id": "P", "type": "poll", "poll": {"title": "When?", "results": [
            {"id": "q0", "name": "Monday", "count": 0, "voters": []}, {"id": "q1", "name": "Friday", "count": 1, "voters": []}]}}}]});
    assert_eq!(row(only(&update)).content.as_deref(), Some("Friday"));
    let none = row(action(json!({"target": "P", "type": "vote", "votes": 7})));
    assert_eq!(none.content, None);

    let comment = row(action(json!({"target": "B", "type": "comment", "comment": "well said"})));
    assert_eq!(comment.content.as_deref(), Some("well said"));
    assert_eq!(comment.quoted_id.as_deref(), Some("B"));
    let coming =
        json!({"target": "E", "type": "event_response", "event_response": {"response": "GOING"}});
    assert_eq!(row(action(coming)).content.as_deref(), Some("GOING"));
}

#[test]
fn actions_that_change_their_target() {
    for kind in ["edit", "edited"] {
        let edit = json!({"target": "B", "type": kind, "edited_type": "text", "edited_content": {"body": "x"}});
        let What::Edit(edit) = action(edit) else { panic!("no edit") };
        assert_eq!((edit.message_id.as_str(), edit.edit_id.as_str()), ("B", "A-1"));
        assert_eq!((edit.content.as_deref(), edit.at), (Some("x"), at(1_765_800_001)));
    }
    let caption = json!({"target": "B", "type": "edit", "edited_type": "image", "edited_content": {"caption": "y"}});
    assert!(
        matches!(action(caption), What::Edit(edit) if edit.caption.as_deref() == Some("y") && edit.content.is_none())
    );
    for other in ["pin", "unpin", "ephemeral", "tomorrow"] {
        let kind = format!("messages.action.{other}");
        assert_eq!(action(json!({"target": "B", "type": other})), What::Other { kind });
    }
    for broken in [
        json!({"type": "reaction"}),
        json!({"type": "vote"}),
        json!({"type": "edit", "target": "B"}),
        json!({"type": "edit", "edited_content": {"body": "x"}}),
        json!({"type": "delete"}),
        json!({"target": "B"}),
        json!(null),
    ] {
        assert_eq!(parsed(&json!({"messages": [acting(broken)]})).broken.len(), 1);
    }
}

#[test]
fn a_group_that_is_new() {
    let expected = GroupUpdate {
        name: Some("Ops Night Shift".into()),
        is_active: Some(true),
        members: vec![
            member("447700900999", Some(Role::Superadmin), MemberState::Joined),
            member("447700900123", Some(Role::Member), MemberState::Joined),
        ],
        all_members: true,
        by: Some(person("447700900999")),
        ..ops("created")
    };
    assert_eq!(group(what("group_created")), expected);
    // Made a moment ago: later changes outrank what it was made with.
    let made = json!({"groups": [{"id": OPS, "name": "Ops", "created_at": RECEIVED_AT - 60, "participants_count": 9,
        "participants": [{"id": "447700900123", "rank": "admin"}], "announcements": true, "restricted": false,
        "description": "Nights", "chat_pic": "https://a.example/s", "chat_pic_full": "https://a.example/l", "invite_code": "CODE"}],
        "event": {"type": "groups", "event": "put"}});
    let expected = GroupUpdate {
        at: at(RECEIVED_AT - 60),
        name: Some("Ops".into()),
        description: Some("Nights".into()),
        picture: Some("https://a.example/l".into()),
        invite_link: Some("https://chat.whatsapp.com/CODE".into()),
        only_admins_send: Some(true),
        only_admins_edit: Some(false),
        is_active: Some(true),
        members: vec![member("447700900123", Some(Role::Admin), MemberState::Joined)],
        ..ops("info")
    };
    assert_eq!(group(only(&made)), expected, "eight are missing: the list is not everybody");
}

#[test]
fn who_comes_and_goes() {
    let expected = |kind, role, state| GroupUpdate {
        members: vec![member("447700900777", role, state)],
        ..ops(kind)
    };
    use MemberState as S;
    for (name, expected) in [
        ("group_participants_add", expected("joined", None, S::Joined)),
        ("group_participants_remove", expected("removed", None, S::Removed)),
        ("group_participants_promote", expected("promoted", Some(Role::Admin), S::Joined)),
        ("group_participants_demote", expected("demoted", Some(Role::Member), S::Joined)),
    ] {
        assert_eq!(group(what(name)), expected, "{name}");
    }
    let acted = |action: Value, people: Value| {
        parsed(
            &json!({"groups_participants": [{"group_id": OPS, "participants": people, "action": action}]}),
        )
    };
    for (action, state) in
        [("request", S::Waiting), ("revoke_request", S::Left), ("rejected_request", S::Removed)]
    {
        let update = acted(json!(action), json!(["447700900777"])).events.remove(0).what;
        assert_eq!(group(update), expected("info", None, state));
    }
    // With a suffix, as objects, and one that is nobody.
    let mixed = json!([{"id": "447700900777@s.whatsapp.net"}, 7, "183800000000123@lid", "nobody"]);
    let update = group(acted(json!("add"), mixed).events.remove(0).what);
    assert_eq!(update.members.len(), 2);
    assert_eq!(update.members[1].person.lid.as_deref(), Some("183800000000123@lid"));
    assert_eq!(acted(json!("add"), json!([])).broken.len(), 1);
    let none = acted(json!(null), json!(["447700900777"])).events.remove(0).what;
    assert_eq!(none, What::Other { kind: "groups_participants.".into() });
}

#[test]
fn what_a_group_is_called_and_allows() {
    let expected = GroupUpdate { name: Some("Ops Night Shift B".into()), ..ops("subject") };
    assert_eq!(group(what("group_update_subject")), expected, "named long ago: told again");
    let update = |before: Value, after: Value, changes: Value| {
        let mut sides = [before, after];
        sides.iter_mut().for_each(|side| side["id"] = json!(OPS));
        let [before, after] = sides;
        let mut item = json!({"before_update": before, "after_update": after});
        if !changes.is_null() {
            item["changes"] = changes;
        }
        only(&json!({"groups_updates": [item]}))
    };
    let named = json!({"name": "Ops B", "name_at": RECEIVED_AT - 5});
    let renamed = group(update(json!({"name": "Ops"}), named, json!(["name"])));
    let expected =
        GroupUpdate { at: at(RECEIVED_AT - 5), name: Some("Ops B".into()), ..ops("subject") };
    assert_eq!(renamed, expected);
    let description = group(update(
        json!({"name": "old"}),
        json!({"name": "older", "description": "x"}),
        json!(["description"]),
    ));
    assert_eq!(description, GroupUpdate { description: Some("x".into()), ..ops("description") });
    let gone = group(update(json!({"description": "x"}), json!({}), json!(null)));
    assert_eq!(gone, GroupUpdate { description: Some(String::new()), ..ops("description") });
    let icon = group(update(json!({}), json!({"chat_pic": "https://a.example/p"}), json!(null)));
    assert_eq!(icon, GroupUpdate { picture: Some("https://a.example/p".into()), ..ops("icon") });
    let bare =
        group(update(json!({"chat_pic": "https://a.example/p"}), json!({}), json!(["chat_pic"])));
    assert_eq!(bare, GroupUpdate { picture: Some(String::new()), ..ops("icon") });
    let closed = group(update(
        json!({"announcements": false}),
        json!({"announcements": true, "restricted": true}),
        json!(["announcements", "restricted"]),
    ));
    let expected = GroupUpdate {
        only_admins_send: Some(true),
        only_admins_edit: Some(true),
        ..ops("settings")
    };
    assert_eq!(closed, expected);
    let invite = group(update(json!({}), json!({"invite_code": "NEW"}), json!(["invite_code"])));
    assert_eq!(invite.kind, "invite_reset");
    assert_eq!(invite.invite_link.as_deref(), Some("https://chat.whatsapp.com/NEW"));
    let ended =
        group(update(json!({"terminated": false}), json!({"terminated": true}), json!(null)));
    assert_eq!(ended, GroupUpdate { is_active: Some(false), ..ops("deleted") });
    assert_eq!(
        update(json!({}), json!({"mute": true}), json!(["mute"])),
        What::Other { kind: "groups_updates".into() }
    );
    assert_eq!(parsed(&json!({"groups_updates": [{}, {"after_update": {}}, 7]})).broken.len(), 3);
}

#[test]
fn people_and_chats() {
    let expected = ContactUpdate {
        person: Person { name: Some("Amira (Acme)".into()), ..amira() },
        at: at(RECEIVED_AT),
        ..ContactUpdate::default()
    };
    assert_eq!(what("contact_update"), What::Contact(Box::new(expected)));
    let contact = |item: Value| only(&json!({"contacts": [item]}));
    let What::Contact(shop) =
        contact(json!({"id": "447700900123", "name": "Shop", "is_business": true,
        "profile_pic": "https://a.example/s", "profile_pic_full": "https://a.example/l"}))
    else {
        panic!("no contact");
    };
    assert_eq!(
        (shop.is_business, shop.picture.as_deref()),
        (Some(true), Some("https://a.example/l"))
    );
    let bare = only(
        &json!({"contacts_updates": [{"before_update": {"id": "447700900123", "name": "A", "profile_pic": "x"},
        "after_update": {"id": "447700900123", "name": "A"}, "changes": ["profile_pic"]}]}),
    );
    assert!(matches!(bare, What::Contact(update) if update.picture.as_deref() == Some("")));
    assert_eq!(contact(json!({"id": OPS, "name": "x"})), What::Other { kind: "contacts".into() });

    let What::Chat(ChatUpdate { chat, unread, at: counted }) = what("chat_created") else {
        panic!("no chat");
    };
    assert_eq!((chat.id.as_str(), chat.kind), ("447700900123@s.whatsapp.net", ChatKind::Direct));
    assert_eq!((unread, counted), (Some(1), at(RECEIVED_AT)));
    let change = |changes: Value| {
        let side = json!({"id": OPS, "type": "group", "name": "Ops", "unread": -1});
        only(
            &json!({"chats_updates": [{"before_update": side, "after_update": side, "changes": changes}]}),
        )
    };
    let What::Chat(update) = change(json!(["unread"])) else { panic!("no chat") };
    assert_eq!((update.chat.kind, update.unread), (ChatKind::Group, None));
    assert_eq!(change(json!(["archive"])), What::Other { kind: "chats_updates".into() });
    assert_eq!(
        parsed(&json!({"chats": [{}], "chats_updates": [{}], "contacts": [{}], "contacts_updates": [{}]})).broken.len(),
        4
    );
    for kind in
        ["presences", "calls", "labels", "labels_removed", "chats_removed", "errors", "service"]
    {
        assert_eq!(only(&json!({ kind: [{"id": "x"}] })), What::Other { kind: kind.into() });
    }
}
