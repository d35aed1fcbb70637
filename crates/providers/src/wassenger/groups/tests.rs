//! The calls of the vendor's public clients, and answers in the shapes that they may have.

use serde_json::json;
use wabridge_domain::event::Role;
use wabridge_domain::group::Icon;

use super::*;
use crate::mock::{self, Reply, reply};
use crate::{Provider, Wassenger};

const DEVICE: &str = "68a1f0c2d4e5b60718293a4b";
const GROUP: &str = "120363025550100777@g.us";

fn person(digits: &str) -> Person {
    wire::person(digits).unwrap()
}

fn hidden() -> Person {
    wire::person("183800000000123@lid").unwrap()
}

async fn asked<T>(
    answers: Vec<Reply>,
    act: impl AsyncFnOnce(&Call<'_>) -> T,
) -> (T, Vec<(String, Value)>) {
    mock::asked(DEVICE, answers, act).await
}

fn at(tail: &str) -> String {
    format!("/devices/{DEVICE}/groups{tail}")
}

async fn changing(
    operation: MemberOperation,
    people: &[Person],
    answer: Reply,
) -> Result<Vec<Option<MemberResult>>, Kind> {
    let act = async |call: &Call<'_>| Wassenger.group_members(call, GROUP, operation, people).await;
    let changed = asked(vec![answer], act).await.0.map_err(|error| error.kind())?;
    Ok(changed.people.iter().map(|one| one.result).collect())
}

#[tokio::test]
async fn a_group_is_made() {
    let new = NewGroup {
        subject: "Ops".into(),
        description: Some("Night crew".into()),
        people: vec![person("447700900123"), person("447700900802"), hidden()],
    };
    let answer = json!({
        "id": "6926bb22cc33dd44ee55ff66", "wid": GROUP, "name": "Ops",
        "participants": [{"wid": "447700900123@c.us"}, {"phone": "+447700900802", "code": 403}],
        "inviteCode": "AbCdEfGhIjKlMnOpQrStUv",
    });
    let create = async |call: &Call<'_>| Wassenger.group_create(call, &new).await;
    let (created, seen) = asked(vec![reply(201, &answer.to_string())], create).await;
    let created = created.unwrap();
    let body = json!({"name": "Ops", "description": "Night crew", "participants": [
        {"phone": "+447700900123", "admin": false}, {"phone": "+447700900802", "admin": false}]});
    assert_eq!(seen, [(format!("POST {}", at("")), body)]);
    assert_eq!(created.group_id.as_deref(), Some(GROUP));
    assert_eq!(
        created.invite_link.as_deref(),
        Some("https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv")
    );
    assert!(created.description_taken);
    let results: Vec<_> = created.people.iter().map(|one| one.result.unwrap()).collect();
    use MemberResult as Is;
    assert_eq!(results, [Is::Added, Is::RefusedPrivacy, Is::Failed]);
    for answer in
        [reply(500, ""), reply(200, "<html>"), reply(201, r#"{"id":"6926bb22cc33dd44ee55ff66"}"#)]
    {
        let outcome = asked(vec![answer], create).await.0;
        assert!(matches!(outcome, Err(CreateError::Uncertain { .. })), "{outcome:?}");
    }
    let offline = reply(503, r#"{"status":503,"message":"device_not_connected"}"#);
    let outcome = asked(vec![offline], create).await.0;
    assert!(
        matches!(outcome, Err(CreateError::NotMade(CallError::AccountDown { .. }))),
        "{outcome:?}"
    );
    for (wrong, kind) in [
        (NewGroup { people: vec![hidden()], ..new.clone() }, Kind::InvalidContent),
        (NewGroup { description: Some("x".repeat(501)), ..new.clone() }, Kind::InvalidContent),
    ] {
        let create = async |call: &Call<'_>| Wassenger.group_create(call, &wrong).await;
        let (outcome, seen) = asked(vec![], create).await;
        assert_eq!((outcome.unwrap_err().kind(), seen.len()), (kind, 0));
    }
}

#[tokio::test]
async fn a_group_as_it_is() {
    let now: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let group = json!({
        "id": GROUP, "wid": GROUP, "name": "Ops", "description": "Night crew", "totalParticipants": 2,
        "permissions": {"edit": "admins", "send": "all", "approval": true},
        "image": {"url": "https://files.example.com/a.jpg"},
    });
    let members = json!([
        {"wid": "447700900999@c.us", "role": "owner"}, {"phone": "+447700900123", "admin": false},
    ]);
    let info = async |call: &Call<'_>| Wassenger.group_info(call, GROUP, now).await;
    let answers = vec![reply(200, &group.to_string()), reply(200, &members.to_string())];
    let (told, seen) = asked(answers, info).await;
    let told = told.unwrap();
    let lines: Vec<_> = seen.iter().map(|one| one.0.clone()).collect();
    let second = format!("GET /chat/{DEVICE}/chats/{GROUP}/participants");
    assert_eq!(lines, [format!("GET {}", at(&format!("/{GROUP}"))), second]);
    assert_eq!((told.kind.as_str(), told.at, told.all_members), ("info", now, true));
    assert_eq!(told.name.as_deref(), Some("Ops"));
    let switches = (told.only_admins_send, told.only_admins_edit, told.join_approval);
    assert_eq!(switches, (Some(false), Some(true), Some(true)));
    let roles: Vec<_> = told.members.iter().map(|one| one.role).collect();
    assert_eq!(roles, [Some(Role::Superadmin), Some(Role::Member)]);
    // A list that is not whole says nothing of who is not in it.
    let mut part = group.clone();
    part["participants"] = json!(["447700900999@c.us"]);
    let (told, seen) = asked(vec![reply(200, &part.to_string())], info).await;
    assert_eq!((told.unwrap().all_members, seen.len()), (false, 1));
    let unknown = reply(404, r#"{"status":404,"message":"group not found"}"#);
    assert_eq!(asked(vec![unknown], info).await.0.unwrap_err().kind(), Kind::RecordNotFound);
    let device = reply(404, r#"{"status":404,"message":"device not found"}"#);
    let error = asked(vec![device], info).await.0.unwrap_err();
    assert!(matches!(error, CallError::AccountDown { .. }), "{error:?}");
}

#[tokio::test]
async fn changes_of_the_group_itself() {
    let words = |subject: Option<&str>, description: Option<&str>| GroupEdit::Words {
        subject: subject.map(str::to_owned),
        description: description.map(str::to_owned),
    };
    let switch = |setting, on| GroupEdit::Setting { setting, on };
    let icon = |size| GroupEdit::Icon(Icon { mimetype: "image/jpeg".into(), bytes: vec![7; size] });
    let of_group = format!("/{GROUP}");
    for (edit, line, body) in [
        (words(Some("New"), None), "PATCH", json!({"name": "New"})),
        (words(None, Some("")), "PATCH", json!({"description": ""})),
        (
            switch(GroupSetting::OnlyAdminsSend, true),
            "PATCH",
            json!({"permissions": {"send": "admins"}}),
        ),
        (
            switch(GroupSetting::OnlyAdminsEdit, false),
            "PATCH",
            json!({"permissions": {"edit": "all"}}),
        ),
        (
            switch(GroupSetting::OnlyAdminsAdd, true),
            "PATCH",
            json!({"permissions": {"invite": "admins"}}),
        ),
        (
            switch(GroupSetting::JoinApproval, true),
            "PATCH",
            json!({"permissions": {"approval": true}}),
        ),
        (icon(3), "PUT", json!({"image": "BwcH"})),
    ] {
        let tail = if line == "PUT" { format!("{of_group}/image") } else { of_group.clone() };
        let act = async |call: &Call<'_>| Wassenger.group_edit(call, GROUP, &edit).await;
        let (outcome, seen) = asked(vec![reply(200, "{}")], act).await;
        assert_eq!(outcome, Ok(Completion::Done), "{edit:?}");
        assert_eq!(seen, [(format!("{line} {}", at(&tail)), body)], "{edit:?}");
    }
    for (edit, kind) in [
        (GroupEdit::RemoveIcon, Kind::UnsupportedByProvider),
        (icon(ICON_MAX_BYTES + 1), Kind::MediaTooLarge),
        (words(None, Some(&"x".repeat(501))), Kind::InvalidContent),
    ] {
        let act = async |call: &Call<'_>| Wassenger.group_edit(call, GROUP, &edit).await;
        let (outcome, seen) = asked(vec![], act).await;
        assert_eq!((outcome.unwrap_err().kind(), seen.len()), (kind, 0));
    }
}

#[tokio::test]
async fn members_one_by_one() {
    use MemberOperation as Op;
    use MemberResult as Is;
    let people = [person("447700900123"), person("447700900802"), hidden(), person("447700900124")];
    let phones = ["+447700900123", "+447700900802", "+447700900124"];
    let named = |admin: bool| {
        let one = |phone: &&str| json!({"phone": phone, "admin": admin});
        json!({"participants": phones.iter().map(one).collect::<Vec<_>>()})
    };
    let mixed = r#"{"participants":[{"phone":"+447700900123","status":200},{"wid":"447700900802@c.us","status":403,"message":"privacy"}]}"#;
    for (operation, method, body) in [
        (Op::Add, "POST", named(false)),
        (Op::Promote, "PATCH", named(true)),
        (Op::Demote, "PATCH", named(false)),
        (Op::Remove, "DELETE", json!(phones)),
    ] {
        let act = async |call: &Call<'_>| {
            Wassenger.group_members(call, GROUP, operation, &people).await.unwrap()
        };
        let (changed, seen) = asked(vec![reply(200, mixed)], act).await;
        assert_eq!(seen, [(format!("{method} {}", at(&format!("/{GROUP}/participants"))), body)]);
        let failed = if operation == Op::Add { Is::RefusedPrivacy } else { Is::Failed };
        let results: Vec<_> = changed.people.iter().map(|one| one.result).collect();
        let expected = [Some(operation.success()), Some(failed), Some(Is::Failed), None];
        assert_eq!(results, expected, "{operation:?}");
        assert_eq!(changed.people[1].reason.as_deref(), Some("privacy"));
    }
    let one = &people[..1];
    for (operation, body, expected) in [
        (Op::Add, "", None),
        (Op::Add, "{}", None),
        (Op::Add, r#"{"participants":["447700900123@c.us"]}"#, Some(Is::Added)),
        (Op::Add, r#"{"added":["+447700900123"]}"#, Some(Is::Added)),
        (Op::Add, r#"{"failed":["+447700900123"]}"#, Some(Is::RefusedPrivacy)),
        (
            Op::Add,
            r#"[{"results":[{"phone":"+447700900123","code":"404"}]}]"#,
            Some(Is::NotOnWhatsapp),
        ),
        (Op::Add, r#"{"results":[{"phone":"+447700900123","success":true}]}"#, Some(Is::Added)),
        (Op::Add, r#"{"results":[{"phone":"+447700900123","code":409}]}"#, Some(Is::AlreadyMember)),
        // Who is still in a list of members is not thereby removed.
        (Op::Remove, r#"{"participants":["447700900123@c.us"]}"#, None),
        (Op::Remove, r#"{"results":[{"phone":"+447700900123","code":404}]}"#, Some(Is::NotMember)),
    ] {
        let outcome = changing(operation, one, reply(200, body)).await;
        assert_eq!(outcome, Ok(vec![expected]), "{operation:?} {body}");
    }
}

#[tokio::test]
async fn refusals_of_members() {
    use MemberOperation as Op;
    use MemberResult as Is;
    let (one, two) = ([person("447700900123")], [person("447700900123"), person("447700900124")]);
    let error = |status: u16, words: &str| {
        reply(status, &json!({"status": status, "message": words}).to_string())
    };
    for (operation, people, answer, expected) in [
        (Op::Add, &two[..], error(403, "you are not a group admin"), Ok(Some(Is::NotAdmin))),
        (Op::Add, &one[..], error(403, "plan forbids"), Err(Kind::ProviderRejected)),
        (Op::Add, &one[..], error(409, "already"), Ok(Some(Is::AlreadyMember))),
        (Op::Demote, &one[..], error(409, "already"), Ok(Some(Is::Demoted))),
        (Op::Add, &two[..], error(409, "already"), Err(Kind::InvalidRecipient)),
        (Op::Add, &one[..], error(400, "phone is not a valid number"), Ok(Some(Is::Failed))),
        (Op::Add, &two[..], error(400, "phone is not a valid number"), Err(Kind::InvalidRecipient)),
        (Op::Add, &one[..], error(404, "group not found"), Err(Kind::RecordNotFound)),
        (Op::Add, &one[..], error(429, ""), Err(Kind::ProviderRateLimited)),
        (Op::Add, &one[..], error(502, ""), Err(Kind::ProviderUnavailable)),
    ] {
        let told = answer.2.clone();
        let outcome = changing(operation, people, answer).await.map(|all| all[0]);
        assert_eq!(outcome, expected, "{operation:?} {told}");
    }
}

#[tokio::test]
async fn invitations_joining_and_leaving() {
    let link = "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv";
    for body in [
        r#"{"code":"AbCdEfGhIjKlMnOpQrStUv"}"#,
        r#"{"inviteCode":"AbCdEfGhIjKlMnOpQrStUv"}"#,
        r#"{"url":"https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv"}"#,
        r#"{"link":"https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv"}"#,
    ] {
        let invite = async |call: &Call<'_>| Wassenger.group_invite(call, GROUP).await;
        let (told, seen) = asked(vec![reply(200, body)], invite).await;
        assert_eq!(told.as_deref(), Ok(link), "{body}");
        assert_eq!(seen[0].0, format!("GET {}", at(&format!("/{GROUP}/invite"))));
    }
    let revoke = async |call: &Call<'_>| Wassenger.group_revoke_invite(call, GROUP).await;
    let (told, seen) = asked(vec![reply(200, "")], revoke).await;
    assert_eq!(
        (told, seen[0].0.clone()),
        (Ok(None), format!("DELETE {}", at(&format!("/{GROUP}/invite"))))
    );
    let join = async |call: &Call<'_>| Wassenger.group_join(call, "AbCdEfGhIjKlMnOpQrStUv").await;
    let (joined, seen) = asked(vec![reply(200, &json!({"wid": GROUP}).to_string())], join).await;
    assert_eq!(joined, Ok(Joined { group_id: Some(GROUP.into()), waiting: false }));
    assert_eq!(seen, [(format!("PUT {}", at("")), json!({"code": "AbCdEfGhIjKlMnOpQrStUv"}))]);
    let waits = reply(200, r#"{"status":"pending approval"}"#);
    assert_eq!(asked(vec![waits], join).await.0, Ok(Joined { group_id: None, waiting: true }));
    let leave = async |call: &Call<'_>| Wassenger.group_leave(call, GROUP).await;
    let (left, seen) = asked(vec![reply(200, "")], leave).await;
    assert_eq!(left, Ok(Completion::Done));
    assert_eq!(seen, [(format!("DELETE {}", at("")), json!({"id": GROUP, "remove": false}))]);
}
