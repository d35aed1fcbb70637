//! One suite for all providers, at the adapter: every operation on groups against the simulator, with people who can be
//! added, who refuse, who are not on WhatsApp, who are in it already and who are not in it, and with an account that is
//! no administrator. What is asked for is exactly what the provider documents; what comes of it is what the simulator's
//! group is afterwards.
//!
//! With `WABRIDGE_RECORD_REQUESTS=<folder>` the requests of each provider are kept there as `groups-<provider>.json` and
//! `group-settings-<provider>.json`, for `tests/tools/validate_requests.py`.

pub(crate) mod custom_mapping;
mod world;

use jiff::Timestamp;
use serde_json::{Value, json};
use wabridge_domain::ProviderKind;
use wabridge_domain::error::Kind;
use wabridge_domain::event::{Person, Role};
use wabridge_domain::group::{
    Completion, GroupEdit, GroupSetting, Icon, MemberOperation, MemberResult, NewGroup, invite_code,
};
use wabridge_domain::recipient::Recipient;
use wabridge_providers::groups::{Made, change_members, make_group};
use wabridge_providers::{CallError, CreateError, adapter};

use crate::support::at_adapter::{AtAdapter as World, OWN};

const MEMBER: &str = "447700900123";
const ADMIN: &str = "447700900124";
const STRANGER: &str = "447700900125";
const NOT_ON_WHATSAPP: &str = "447700900801";
const REFUSES: &str = "447700900802";

/// Groups of the world.
const OPS: &str = "120363025550100701@g.us";
const OTHERS: &str = "120363025550100702@g.us";

fn now() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().expect("a time")
}

fn code_of(link: &str) -> &str {
    invite_code(link).expect("the link of an invitation")
}

fn words(subject: Option<&str>, description: Option<&str>) -> GroupEdit {
    GroupEdit::Words {
        subject: subject.map(str::to_owned),
        description: description.map(str::to_owned),
    }
}

/// A first request of these, which begin with the group's own.
fn first_of(seen: &[(String, Value)], before: usize) -> (String, Value) {
    seen.get(before).cloned().unwrap_or_else(|| panic!("nothing was asked: {seen:?}"))
}

/// The requests of a provider by operation: method and path, and the body.
struct Wire {
    create: (&'static str, Value),
    add: (&'static str, Value),
    remove: (&'static str, Value),
    promote: (&'static str, Value),
    demote: (&'static str, Value),
    subject: (&'static str, Value),
    description: (&'static str, Value),
    invite: &'static str,
    revoke: &'static str,
    join: (&'static str, Value),
    leave: (&'static str, Value),
}

/// What the providers do at once: everybody but Meta.
async fn at_once(kind: ProviderKind, wire: Wire) {
    use MemberOperation as Op;
    use MemberResult as Is;
    let world = World::with_groups(kind).await;
    let request = |wanted: &(&str, Value)| (wanted.0.to_owned(), wanted.1.clone());

    // Made with those who let us; the others are told apart, and the group has its description and its invitation.
    let new = NewGroup {
        subject: "Night Shift".to_owned(),
        description: Some("From ten to six".to_owned()),
        people: world.people(&[MEMBER, REFUSES, NOT_ON_WHATSAPP]),
    };
    let made = world.made(&new).await.expect("it is made");
    assert_eq!(first_of(&world.asked().await, 0), request(&wire.create));
    assert_eq!(made.problems, Vec::<String>::new());
    let results: Vec<_> = made.created.people.iter().map(|one| one.result.expect("told")).collect();
    assert_eq!(results, [Is::Added, Is::RefusedPrivacy, Is::NotOnWhatsapp]);
    let group = world.group("Night Shift").await;
    assert_eq!(group["id"], made.created.group_id.as_deref().expect("an id"));
    assert_eq!(group["description"], "From ten to six");
    let code = code_of(made.created.invite_link.as_deref().expect("a link")).to_owned();
    assert_eq!(group["invite_code"], code.as_str());
    let member = |phone: &str, role: &str| (phone.to_owned(), role.to_owned());
    let roles = [member(OWN, "superadmin"), member(MEMBER, "member")];
    assert_eq!(world.members("Night Shift").await, roles);

    // Everybody has a result of their own, and the group is as they say.
    let everybody = [STRANGER, MEMBER, REFUSES, NOT_ON_WHATSAPP];
    for (operation, numbers, wanted, sent) in [
        (
            Op::Add,
            &everybody[..],
            vec![Is::Added, Is::AlreadyMember, Is::RefusedPrivacy, Is::NotOnWhatsapp],
            &wire.add,
        ),
        (Op::Promote, &[STRANGER, REFUSES][..], vec![Is::Promoted, Is::NotMember], &wire.promote),
        (Op::Demote, &[ADMIN, REFUSES][..], vec![Is::Demoted, Is::NotMember], &wire.demote),
        (Op::Remove, &[MEMBER, REFUSES][..], vec![Is::Removed, Is::NotMember], &wire.remove),
    ] {
        let before = world.asked().await.len();
        let results = world.change(OPS, operation, numbers).await.expect("it is done");
        assert_eq!(results, wanted, "{operation:?}");
        assert_eq!(first_of(&world.asked().await, before), request(sent), "{operation:?}");
    }
    let roles = [member(OWN, "superadmin"), member(ADMIN, "member"), member(STRANGER, "admin")];
    assert_eq!(world.members(OPS).await, roles);
    // Again, it is so already.
    let again = world.change(OPS, Op::Add, &[STRANGER]).await;
    assert_eq!(again.as_deref(), Ok(&[Is::AlreadyMember][..]));

    // Without rights nothing happens to anybody.
    for operation in Op::ALL {
        let results = world.change(OTHERS, operation, &[MEMBER, STRANGER]).await;
        assert_eq!(results.as_deref(), Ok(&[Is::NotAdmin; 2][..]), "{operation:?}");
    }
    assert_eq!(world.members(OTHERS).await.len(), 3);

    // The group itself.
    let (adapter, call) = (&world.adapter, world.call());
    for (edit, sent) in [
        (words(Some("Ops B"), None), &wire.subject),
        (words(None, Some("Day crew")), &wire.description),
    ] {
        let before = world.asked().await.len();
        assert_eq!(adapter.group_edit(&call, OPS, &edit).await, Ok(Completion::Done));
        assert_eq!(first_of(&world.asked().await, before), request(sent));
    }
    let told = adapter.group_info(&call, OPS, now()).await.expect("it is told");
    assert_eq!(told.name.as_deref(), Some("Ops B"));
    assert_eq!(told.description.as_deref(), Some("Day crew"));
    assert!(told.all_members);
    let mut roles: Vec<_> = told
        .members
        .iter()
        .map(|one| (one.person.phone.clone().expect("a number"), one.role))
        .collect();
    roles.sort_by(|one, other| one.0.cmp(&other.0));
    let admin = |role: Role| matches!(role, Role::Admin | Role::Superadmin);
    let led: Vec<_> =
        roles.iter().map(|(phone, role)| (phone.as_str(), role.is_some_and(admin))).collect();
    assert_eq!(led, [("+447700900124", false), ("+447700900125", true), ("+447700900999", true)]);

    // The invitation: told, replaced, taken by us elsewhere.
    let before = world.asked().await.len();
    let link = adapter.group_invite(&call, OPS).await.expect("it is told");
    assert_eq!(first_of(&world.asked().await, before).0, wire.invite);
    let before = world.asked().await.len();
    adapter.group_revoke_invite(&call, OPS).await.expect("it is revoked");
    assert_eq!(first_of(&world.asked().await, before).0, wire.revoke);
    assert_ne!(adapter.group_invite(&call, OPS).await.expect("it is told"), link);
    let refused = adapter.group_join(&call, code_of(&link)).await;
    assert_eq!(refused.map_err(|error| error.kind()), Err(Kind::RecordNotFound));

    // Left, and joined again by the invitation.
    let before = world.asked().await.len();
    assert_eq!(adapter.group_leave(&call, OTHERS).await, Ok(Completion::Done));
    assert_eq!(first_of(&world.asked().await, before), request(&wire.leave));
    assert!(!world.members(OTHERS).await.iter().any(|(phone, _)| phone == OWN));
    let gone = adapter.group_info(&call, OTHERS, now()).await;
    assert_eq!(gone.map_err(|error| error.kind()), Err(Kind::RecordNotFound));
    let code = world.group(OTHERS).await["invite_code"].as_str().expect("a code").to_owned();
    let before = world.asked().await.len();
    let joined = adapter.group_join(&call, &code).await.expect("we are in");
    assert_eq!(joined.group_id.as_deref(), Some(OTHERS));
    let (line, mut body) = request(&wire.join);
    for field in body.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        *field = json!(code);
    }
    assert_eq!(first_of(&world.asked().await, before), (line, body));
    assert!(world.members(OTHERS).await.iter().any(|(phone, _)| phone == OWN));

    unclear_creation(&world).await;
    world.keep_requests("groups").await;
}

/// An answer that is lost leaves it open whether there is a group; one that says no does not.
async fn unclear_creation(world: &World) {
    let new = NewGroup {
        subject: "Perhaps".to_owned(),
        description: None,
        people: world.people(&[MEMBER]),
    };
    for (fault, uncertain) in [
        (json!({"drop_answer": true}), true),
        (json!({"status": 500}), true),
        (json!({"status": 429}), false),
    ] {
        let told = fault.to_string();
        let mut fault = fault;
        fault["operation"] = json!("group.create");
        fault["times"] = json!(1);
        world.simulator.control("faults", fault).await;
        let outcome = world.made(&new).await;
        let is = matches!(outcome, Err(CreateError::Uncertain { .. }));
        assert_eq!(is, uncertain, "{told}: {outcome:?}");
    }
}

/// Settings and pictures, where a provider has them: the request, and what the world's group becomes.
async fn settings(
    world: &World,
    switches: &[(GroupSetting, (&str, Value), Option<&str>)],
    icon: (&str, Value),
) {
    for (setting, sent, field) in switches {
        let before = world.asked().await.len();
        let edit = GroupEdit::Setting { setting: *setting, on: true };
        let outcome = world.adapter.group_edit(&world.call(), OPS, &edit).await;
        assert_eq!(outcome, Ok(Completion::Done), "{setting:?}");
        let seen = first_of(&world.asked().await, before);
        assert_eq!(seen, (sent.0.to_owned(), sent.1.clone()), "{setting:?}");
        if let Some(field) = field {
            assert_eq!(world.group(OPS).await[*field], true, "{setting:?}");
        }
    }
    let before = world.asked().await.len();
    let edit = GroupEdit::Icon(Icon { mimetype: "image/jpeg".into(), bytes: vec![7; 3] });
    let outcome = world.adapter.group_edit(&world.call(), OPS, &edit).await;
    assert_eq!(outcome, Ok(Completion::Done));
    assert_eq!(first_of(&world.asked().await, before), (icon.0.to_owned(), icon.1));
    assert!(world.group(OPS).await["picture"].is_string());
}

#[tokio::test]
async fn whapi() {
    let participants = |numbers: &[&str]| json!({ "participants": numbers });
    at_once(
        ProviderKind::Whapi,
        Wire {
            create: (
                "POST /groups",
                json!({"subject": "Night Shift", "participants": [MEMBER, REFUSES, NOT_ON_WHATSAPP]}),
            ),
            add: (
                "POST /groups/120363025550100701@g.us/participants",
                participants(&[STRANGER, MEMBER, REFUSES, NOT_ON_WHATSAPP]),
            ),
            remove: (
                "DELETE /groups/120363025550100701@g.us/participants",
                participants(&[MEMBER, REFUSES]),
            ),
            promote: (
                "PATCH /groups/120363025550100701@g.us/admins",
                participants(&[STRANGER, REFUSES]),
            ),
            demote: (
                "DELETE /groups/120363025550100701@g.us/admins",
                participants(&[ADMIN, REFUSES]),
            ),
            subject: ("PUT /groups/120363025550100701@g.us", json!({"subject": "Ops B"})),
            description: ("PUT /groups/120363025550100701@g.us", json!({"description": "Day crew"})),
            invite: "GET /groups/120363025550100701@g.us/invite",
            revoke: "DELETE /groups/120363025550100701@g.us/invite",
            join: ("PUT /groups", json!({"invite_code": ""})),
            leave: ("DELETE /groups/120363025550100702@g.us", Value::Null),
        },
    )
    .await;
}

#[tokio::test]
async fn whapi_settings() {
    let world = World::with_groups(ProviderKind::Whapi).await;
    let place = "PATCH /groups/120363025550100701@g.us";
    let body = |setting: &str| json!({"setting": setting, "policy": "admins"});
    use GroupSetting as Set;
    let switches = [
        (Set::OnlyAdminsSend, (place, body("send_messages")), Some("only_admins_send")),
        (Set::OnlyAdminsEdit, (place, body("edit_group_info")), Some("only_admins_edit")),
        (Set::OnlyAdminsAdd, (place, body("add_participants")), None),
        (Set::JoinApproval, (place, body("approve_participants")), Some("join_approval")),
    ];
    let icon = ("PUT /groups/120363025550100701@g.us/icon", json!("image/jpeg"));
    settings(&world, &switches, icon).await;
    let removed = world.adapter.group_edit(&world.call(), OPS, &GroupEdit::RemoveIcon).await;
    assert_eq!(removed, Ok(Completion::Done));
    assert!(world.group(OPS).await["picture"].is_null());
    world.keep_requests("group-settings").await;
}

#[tokio::test]
async fn wassenger() {
    let people = |numbers: &[&str], admin: bool| {
        let one = |number: &&str| json!({"phone": format!("+{number}"), "admin": admin});
        json!({ "participants": numbers.iter().map(one).collect::<Vec<_>>() })
    };
    let mut create = people(&[MEMBER, REFUSES, NOT_ON_WHATSAPP], false);
    create["name"] = json!("Night Shift");
    create["description"] = json!("From ten to six");
    at_once(
        ProviderKind::Wassenger,
        Wire {
            create: ("POST /v1/devices/68a1f0c2d4e5b60718293a4b/groups", create),
            add: (
                "POST /v1/devices/68a1f0c2d4e5b60718293a4b/groups/120363025550100701@g.us/participants",
                people(&[STRANGER, MEMBER, REFUSES, NOT_ON_WHATSAPP], false),
            ),
            remove: (
                "DELETE /v1/devices/68a1f0c2d4e5b60718293a4b/groups/120363025550100701@g.us/participants",
                json!([format!("+{MEMBER}"), format!("+{REFUSES}")]),
            ),
            promote: (
                "PATCH /v1/devices/68a1f0c2d4e5b60718293a4b/groups/120363025550100701@g.us/participants",
                people(&[STRANGER, REFUSES], true),
            ),
            demote: (
                "PATCH /v1/devices/68a1f0c2d4e5b60718293a4b/groups/120363025550100701@g.us/participants",
                people(&[ADMIN, REFUSES], false),
            ),
            subject: (
                "PATCH /v1/devices/68a1f0c2d4e5b60718293a4b/groups/120363025550100701@g.us",
                json!({"name": "Ops B"}),
            ),
            description: (
                "PATCH /v1/devices/68a1f0c2d4e5b60718293a4b/groups/120363025550100701@g.us",
                json!({"description": "Day crew"}),
            ),
            invite: "GET /v1/devices/68a1f0c2d4e5b60718293a4b/groups/120363025550100701@g.us/invite",
            revoke: "DELETE /v1/devices/68a1f0c2d4e5b60718293a4b/groups/120363025550100701@g.us/invite",
            join: ("PUT /v1/devices/68a1f0c2d4e5b60718293a4b/groups", json!({"code": ""})),
            leave: (
                "DELETE /v1/devices/68a1f0c2d4e5b60718293a4b/groups",
                json!({"id": OTHERS, "remove": false}),
            ),
        },
    )
    .await;
}

#[tokio::test]
async fn wassenger_settings() {
    let world = World::with_groups(ProviderKind::Wassenger).await;
    let place = "PATCH /v1/devices/68a1f0c2d4e5b60718293a4b/groups/120363025550100701@g.us";
    use GroupSetting as Set;
    let body = |permissions: Value| json!({ "permissions": permissions });
    let switches = [
        (Set::OnlyAdminsSend, (place, body(json!({"send": "admins"}))), Some("only_admins_send")),
        (Set::OnlyAdminsEdit, (place, body(json!({"edit": "admins"}))), Some("only_admins_edit")),
        (Set::OnlyAdminsAdd, (place, body(json!({"invite": "admins"}))), None),
        (Set::JoinApproval, (place, body(json!({"approval": true}))), Some("join_approval")),
    ];
    let image = "PUT /v1/devices/68a1f0c2d4e5b60718293a4b/groups/120363025550100701@g.us/image";
    settings(&world, &switches, (image, json!({"image": "BwcH"}))).await;
}

#[tokio::test]
async fn custom() {
    let members = |numbers: &[&str]| {
        let chats: Vec<String> = numbers.iter().map(|n| format!("{n}@s.whatsapp.net")).collect();
        json!({ "members": chats })
    };
    let mut create = members(&[MEMBER, REFUSES, NOT_ON_WHATSAPP]);
    create["title"] = json!("Night Shift");
    create["about"] = json!("From ten to six");
    at_once(
        ProviderKind::Custom,
        Wire {
            create: ("POST /groups", create),
            add: (
                "POST /groups/120363025550100701@g.us/members",
                members(&[STRANGER, MEMBER, REFUSES, NOT_ON_WHATSAPP]),
            ),
            remove: (
                "POST /groups/120363025550100701@g.us/members/remove",
                members(&[MEMBER, REFUSES]),
            ),
            promote: (
                "POST /groups/120363025550100701@g.us/members/promote",
                members(&[STRANGER, REFUSES]),
            ),
            demote: (
                "POST /groups/120363025550100701@g.us/members/demote",
                members(&[ADMIN, REFUSES]),
            ),
            subject: ("PATCH /groups/120363025550100701@g.us", json!({"title": "Ops B"})),
            description: ("PATCH /groups/120363025550100701@g.us", json!({"about": "Day crew"})),
            invite: "GET /groups/120363025550100701@g.us/invite",
            revoke: "DELETE /groups/120363025550100701@g.us/invite",
            join: ("POST /groups/join", json!({"code": ""})),
            leave: ("DELETE /groups/120363025550100702@g.us", json!({})),
        },
    )
    .await;
}

/// Meta only takes what is asked: the group's id, the link and what came of people are told by webhooks that name the
/// request.
#[tokio::test]
async fn meta() {
    use MemberOperation as Op;
    use MemberResult as Is;
    let world = World::with_groups(ProviderKind::Meta).await;
    let (adapter, call, ops) = (&world.adapter, world.call(), world.id(OPS));
    let new = NewGroup {
        subject: "Night Shift".to_owned(),
        description: Some("From ten to six".to_owned()),
        people: world.people(&[MEMBER, REFUSES]),
    };
    let made = world.made(&new).await.expect("it is taken");
    let body = json!({"messaging_product": "whatsapp", "subject": "Night Shift", "description": "From ten to six"});
    let asked = world.asked().await;
    assert_eq!(asked, [("POST /v23.0/206543210987654/groups".to_owned(), body)]);
    assert!(matches!(made.created.completion, Completion::Later { request_id: Some(_) }));
    assert_eq!(made.created.group_id, None);
    assert!(made.created.people.iter().all(|one| one.result == Some(Is::Waiting)));
    assert_eq!(world.members("Night Shift").await.len(), 1);

    let removed = world.change(OPS, Op::Remove, &[MEMBER, STRANGER]).await;
    assert_eq!(removed.as_deref(), Ok(&[Is::Waiting; 2][..]));
    let participants = json!([{"user": MEMBER}, {"user": STRANGER}]);
    let body = json!({"messaging_product": "whatsapp", "participants": participants});
    let line = format!("DELETE /v23.0/{ops}/participants");
    assert_eq!(first_of(&world.asked().await, 1), (line, body));
    assert!(!world.members(OPS).await.iter().any(|(phone, _)| phone == MEMBER));
    for operation in [Op::Add, Op::Promote, Op::Demote] {
        let before = world.asked().await.len();
        let refused = world.change(OPS, operation, &[STRANGER]).await;
        assert_eq!(refused.expect_err("it is refused").kind(), Kind::UnsupportedByProvider);
        assert_eq!(world.asked().await.len(), before, "nothing is asked");
    }

    let before = world.asked().await.len();
    let edit = words(Some("Ops B"), Some("Day crew"));
    let outcome = adapter.group_edit(&call, &ops, &edit).await;
    assert!(matches!(outcome, Ok(Completion::Later { request_id: Some(_) })), "{outcome:?}");
    let body =
        json!({"messaging_product": "whatsapp", "subject": "Ops B", "description": "Day crew"});
    let line = format!("POST /v23.0/{ops}");
    assert_eq!(first_of(&world.asked().await, before), (line.clone(), body));
    let before = world.asked().await.len();
    let icon = GroupEdit::Icon(Icon { mimetype: "image/jpeg".into(), bytes: vec![7; 3] });
    let outcome = adapter.group_edit(&call, &ops, &icon).await;
    assert!(matches!(outcome, Ok(Completion::Later { .. })), "{outcome:?}");
    assert_eq!(first_of(&world.asked().await, before), (line, json!("multipart/form-data")));
    assert!(world.group(OPS).await["picture"].is_string());
    for setting in GroupSetting::ALL {
        let edit = GroupEdit::Setting { setting, on: true };
        let refused = adapter.group_edit(&call, &ops, &edit).await;
        assert_eq!(refused.expect_err("it is refused").kind(), Kind::UnsupportedByProvider);
    }

    let told = adapter.group_info(&call, &ops, now()).await.expect("it is told");
    assert_eq!((told.name.as_deref(), told.all_members), (Some("Ops B"), true));
    let ids: Vec<_> = told.members.iter().map(|one| one.person.contact_id.as_str()).collect();
    assert_eq!(ids, [ADMIN], "the business itself is not told");
    let link = adapter.group_invite(&call, &ops).await.expect("it is told");
    let fresh = adapter.group_revoke_invite(&call, &ops).await.expect("it is replaced");
    assert!(fresh.is_some_and(|fresh| fresh != link));
    let joined = adapter.group_join(&call, code_of(&link)).await;
    assert_eq!(joined.expect_err("it is refused").kind(), Kind::UnsupportedByProvider);
    let left = adapter.group_leave(&call, &ops).await;
    assert!(matches!(left, Ok(Completion::Later { .. })), "{left:?}");
    let gone = adapter.group_info(&call, &ops, now()).await;
    assert_eq!(gone.map_err(|error| error.kind()), Err(Kind::RecordNotFound));

    unclear_creation(&world).await;
    let account = json!({"provider": "meta", "token": world.account.token(), "settings": {"official": false}});
    world.simulator.control("state", json!({"accounts": [account]})).await;
    match world.made(&new).await {
        Err(CreateError::NotMade(error)) => {
            assert_eq!(error.kind(), Kind::UnsupportedByProvider);
        }
        other => panic!("only official accounts have groups: {other:?}"),
    }
    world.keep_requests("groups").await;
}

/// What an account may do stands in the table before anything is tried.
#[tokio::test]
async fn the_table_says_what_can_be_done() {
    use wabridge_domain::capability::Operation as Can;
    let all = [
        Can::GroupCreate,
        Can::GroupUpdate,
        Can::GroupAdd,
        Can::GroupRemove,
        Can::GroupPromote,
        Can::GroupInvite,
        Can::GroupJoin,
        Can::GroupLeave,
    ];
    for (kind, lacks) in [
        (ProviderKind::Whapi, &[][..]),
        (ProviderKind::Wassenger, &[][..]),
        (ProviderKind::Meta, &[Can::GroupAdd, Can::GroupPromote, Can::GroupJoin][..]),
    ] {
        let adapter = adapter(kind, None).expect("built in");
        for operation in all {
            let can = adapter.capabilities().can(operation);
            assert_eq!(can, !lacks.contains(&operation), "{kind} {operation:?}");
        }
    }
    for (mapping, wanted) in [(custom_mapping::MAPPING, true), ("", false)] {
        let adapter = adapter(ProviderKind::Custom, Some(mapping)).expect("the mapping is right");
        for operation in all {
            assert_eq!(adapter.capabilities().can(operation), wanted, "{operation:?}");
        }
    }
}
