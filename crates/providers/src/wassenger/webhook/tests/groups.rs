//! Changes of groups and their members.

use super::*;

#[test]
fn groups() {
    let member = |contact_id: &str| Person {
        contact_id: contact_id.into(),
        phone: Some(format!("+{}", contact_id.trim_end_matches("@c.us"))),
        ..Person::default()
    };
    let expected = GroupUpdate {
        group_id: "120363025550100777@g.us".into(),
        kind: "joined".into(),
        at: at(1_765_800_400),
        event_id: "6926bb22cc33dd44ee55ff66".into(),
        name: Some("Ops Night Shift".into()),
        members: vec![MemberChange {
            person: member("447700900777@c.us"),
            role: None,
            state: MemberState::Joined,
        }],
        by: Some(member("447700900999@c.us")),
        ..GroupUpdate::default()
    };
    assert_eq!(whats("group_update_add"), [What::Group(Box::new(expected.clone()))]);

    let mut body = fixture("group_update_add");
    let mut group = |change: Value| {
        for (name, value) in change.as_object().unwrap() {
            body["data"][name] = value.clone();
        }
        match parsed(&body).events.remove(0).what {
            What::Group(update) => *update,
            other => panic!("{other:?}"),
        }
    };
    for (word, kind, role, state) in [
        ("remove", "removed", None, MemberState::Removed),
        ("leave", "left", None, MemberState::Left),
        ("promote", "promoted", Some(Role::Admin), MemberState::Joined),
        ("demote", "demoted", Some(Role::Member), MemberState::Joined),
    ] {
        let update = group(json!({"type": word}));
        assert_eq!(update.kind, kind);
        assert_eq!((update.members[0].role, update.members[0].state), (role, state), "{word}");
        assert_eq!(update.is_active, None, "{word}");
    }
    let ours = group(json!({"type": "remove", "participants": ["447700900999@c.us"]}));
    assert_eq!(ours.is_active, Some(false));
    let created = group(json!({"type": "create", "participants": [
        {"wid": "447700900999@c.us", "admin": true}, {"phone": "+447700900123"},
    ]}));
    assert_eq!((created.kind.as_str(), created.is_active), ("created", Some(true)));
    assert_eq!(created.members[0].role, Some(Role::Admin));
    assert_eq!(created.members[1].person, member("447700900123@c.us"));
    let none = json!([]);
    let subject =
        group(json!({"type": "subject", "participants": none, "subject": "Ops Day Shift"}));
    assert_eq!(
        (subject.kind.as_str(), subject.name.as_deref()),
        ("subject", Some("Ops Day Shift"))
    );
    let described = group(json!({"type": "description", "description": "Crew"}));
    assert_eq!(described.description.as_deref(), Some("Crew"));
    let icon = group(json!({"type": "picture", "image": {"url": "https://files.example/a.jpg"}}));
    assert_eq!(icon.picture.as_deref(), Some("https://files.example/a.jpg"));
    assert_eq!(group(json!({"type": "announce", "value": "on"})).only_admins_send, Some(true));
    assert_eq!(group(json!({"type": "restrict:off", "value": null})).only_admins_edit, Some(false));
    let permissions = json!({"edit": "admins", "send": "all", "approval": true});
    let settings = group(json!({"type": "settings", "permissions": permissions}));
    assert_eq!(settings.kind, "settings");
    assert_eq!(
        (settings.only_admins_edit, settings.only_admins_send, settings.join_approval),
        (Some(true), Some(false), Some(true))
    );
    let invite = group(json!({"type": "revoke", "code": "AbC123"}));
    assert_eq!(invite.kind, "invite_reset");
    assert_eq!(invite.invite_link.as_deref(), Some("https://chat.whatsapp.com/AbC123"));
    assert_eq!(group(json!({"type": "delete"})).is_active, Some(false));
    assert_eq!(group(json!({"type": "of tomorrow"})).kind, "info");
}

#[test]
fn a_member_that_makes_no_sense_spoils_no_other() {
    let mut body = fixture("group_update_add");
    body["data"]["participants"] = json!(["447700900777@c.us", 7.5, {}, "447700900778@c.us"]);
    let parsed = parsed(&body);
    let What::Group(update) = &parsed.events[0].what else { panic!() };
    assert_eq!(update.members.len(), 2);
    assert_eq!(parsed.broken.iter().map(|b| b.index).collect::<Vec<_>>(), [1, 2]);
}
