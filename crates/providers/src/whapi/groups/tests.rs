//! The calls as the sheet documents them, and its example answers.

use serde_json::json;
use wabridge_domain::Secret;
use wabridge_domain::event::{MemberState, Role};
use wabridge_domain::group::Icon;

use super::*;
use crate::mock::{self, Reply, TOKEN, reply};
use crate::{Provider, Whapi};

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
    mock::asked("HERON-K42QX", answers, act).await
}

fn results(changed: &MembersChanged) -> Vec<Option<MemberResult>> {
    changed.people.iter().map(|one| one.result).collect()
}

async fn changing(
    operation: MemberOperation,
    people: &[Person],
    answer: Reply,
) -> Result<Vec<Option<MemberResult>>, CallError> {
    let act = async |call: &Call<'_>| Whapi.group_members(call, GROUP, operation, people).await;
    asked(vec![answer], act).await.0.map(|changed| results(&changed))
}

#[tokio::test]
async fn a_group_is_made_with_those_who_let_us() {
    let new = NewGroup {
        subject: "Ops".into(),
        description: Some("Night crew".into()),
        people: vec![
            person("447700900123"),
            person("447700900802"),
            hidden(),
            person("447700900124"),
        ],
    };
    let answer = json!({
        "id": GROUP, "name": "Ops", "type": "group",
        "participants": [{"id": "447700900999", "rank": "creator"}, {"id": "447700900123", "rank": "member"}],
        "unprocessed_participants": ["447700900802"],
    });
    let (created, seen) = asked(vec![reply(200, &answer.to_string())], async |call: &Call<'_>| {
        Whapi.group_create(call, &new).await.unwrap()
    })
    .await;
    let body =
        json!({"subject": "Ops", "participants": ["447700900123", "447700900802", "447700900124"]});
    assert_eq!(seen, [("POST /groups".to_owned(), body)]);
    assert_eq!(created.group_id.as_deref(), Some(GROUP));
    assert_eq!((created.completion, created.description_taken), (Completion::Done, false));
    let results: Vec<_> = created.people.iter().map(|one| one.result).collect();
    // Whom the answer does not name is asked for afterwards.
    let refused = Some(MemberResult::RefusedPrivacy);
    assert_eq!(results, [Some(MemberResult::Added), refused, Some(MemberResult::Failed), None]);
}

#[tokio::test]
async fn a_creation_is_unclear_unless_it_surely_failed() {
    let new =
        NewGroup { subject: "Ops".into(), description: None, people: vec![person("447700900123")] };
    let made = async |answer: Reply| {
        asked(vec![answer], async |call: &Call<'_>| Whapi.group_create(call, &new).await).await.0
    };
    for (status, body) in [(500, ""), (200, "<html>"), (200, "{}"), (409, ""), (502, "<html>")] {
        let outcome = made(reply(status, body)).await;
        assert!(
            matches!(outcome, Err(CreateError::Uncertain { .. })),
            "{status} {body}: {outcome:?}"
        );
    }
    let missing =
        r#"{"error":{"code":404,"message":"Specified participant not found in contacts list"}}"#;
    for (status, body, kind) in [
        (404, missing, Kind::InvalidRecipient),
        (429, "", Kind::ProviderRateLimited),
        (401, "", Kind::ProviderUnavailable),
        (400, "", Kind::ProviderRejected),
    ] {
        match made(reply(status, body)).await {
            Err(CreateError::NotMade(error)) => assert_eq!(error.kind(), kind, "{status}"),
            other => panic!("{status}: {other:?}"),
        }
    }
    let nobody = NewGroup { people: vec![hidden()], ..new.clone() };
    let (outcome, seen) =
        asked(vec![], async |call: &Call<'_>| Whapi.group_create(call, &nobody).await).await;
    assert_eq!((outcome.unwrap_err().kind(), seen.len()), (Kind::InvalidContent, 0));
    let base = mock::nobody().await;
    let (http, token) = (mock::client(), Secret::new(TOKEN));
    let call = mock::call(&http, &base, &token, "HERON-K42QX");
    let outcome = Whapi.group_create(&call, &new).await;
    assert!(matches!(outcome, Err(CreateError::NotMade(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_group_as_it_is() {
    let answer = json!({
        "id": GROUP, "name": "Ops", "description": "Night crew", "type": "group",
        "participants": [{"id": "447700900999", "rank": "creator"}, {"id": "447700900123", "rank": "admin"},
            {"id": "447700900124", "rank": "member"}],
        "participants_count": 3, "created_at": 1_700_000_000, "announcements": true,
        "invite_code": "AbCdEfGhIjKlMnOpQrStUv",
    });
    let at: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let info = async |call: &Call<'_>| Whapi.group_info(call, GROUP, at).await;
    let (group, seen) = asked(vec![reply(200, &answer.to_string())], info).await;
    let group = group.unwrap();
    assert_eq!(seen[0].0, format!("GET /groups/{GROUP}"));
    assert_eq!((group.kind.as_str(), group.at), ("info", at));
    assert_eq!(
        group.invite_link.as_deref(),
        Some("https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv")
    );
    assert_eq!((group.only_admins_send, group.all_members), (Some(true), true));
    let roles: Vec<_> = group.members.iter().map(|one| (one.role, one.state)).collect();
    let joined = MemberState::Joined;
    assert_eq!(
        roles,
        [
            (Some(Role::Superadmin), joined),
            (Some(Role::Admin), joined),
            (Some(Role::Member), joined)
        ]
    );
    let unknown = r#"{"error":{"code":404,"message":"Specified group not found"}}"#;
    let dead = r#"{"error":{"code":404,"message":"Channel not found"}}"#;
    for (answer, kind) in [
        (reply(404, unknown), Kind::RecordNotFound),
        (reply(404, dead), Kind::ProviderAuthFailed),
        (reply(200, r#"{"id":"120363025550100000@g.us"}"#), Kind::ProviderUnavailable),
        (reply(500, ""), Kind::ProviderUnavailable),
    ] {
        assert_eq!(asked(vec![answer], info).await.0.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn changes_of_the_group_itself() {
    let edits = [
        (
            GroupEdit::Words { subject: Some("New".into()), description: None },
            "PUT",
            "",
            json!({"subject": "New"}),
        ),
        (
            GroupEdit::Words { subject: None, description: Some(String::new()) },
            "PUT",
            "",
            json!({"description": ""}),
        ),
        (
            GroupEdit::Setting { setting: GroupSetting::OnlyAdminsSend, on: true },
            "PATCH",
            "",
            json!({"setting": "send_messages", "policy": "admins"}),
        ),
        (
            GroupEdit::Setting { setting: GroupSetting::OnlyAdminsEdit, on: false },
            "PATCH",
            "",
            json!({"setting": "edit_group_info", "policy": "anyone"}),
        ),
        (
            GroupEdit::Setting { setting: GroupSetting::OnlyAdminsAdd, on: true },
            "PATCH",
            "",
            json!({"setting": "add_participants", "policy": "admins"}),
        ),
        (
            GroupEdit::Setting { setting: GroupSetting::JoinApproval, on: true },
            "PATCH",
            "",
            json!({"setting": "approve_participants", "policy": "admins"}),
        ),
        (GroupEdit::RemoveIcon, "DELETE", "/icon", Value::Null),
        (
            GroupEdit::Icon(Icon { mimetype: "image/png".into(), bytes: b"\x89PNG".to_vec() }),
            "PUT",
            "/icon",
            Value::Null,
        ),
    ];
    for (edit, method, tail, body) in edits {
        let act = async |call: &Call<'_>| Whapi.group_edit(call, GROUP, &edit).await;
        let (outcome, seen) = asked(vec![reply(200, r#"{"success":true}"#)], act).await;
        assert_eq!(outcome, Ok(Completion::Done), "{edit:?}");
        assert_eq!(seen, [(format!("{method} /groups/{GROUP}{tail}"), body)], "{edit:?}");
    }
    let edit = GroupEdit::Words { subject: Some("New".into()), description: None };
    let rights =
        r#"{"error":{"code":403,"message":"You do not have permissions for this action"}}"#;
    for (answer, words) in [
        (reply(403, rights), "permissions"),
        (reply(403, ""), "no administrator"),
        (reply(200, r#"{"success":false}"#), "did not do it"),
    ] {
        let act = async |call: &Call<'_>| Whapi.group_edit(call, GROUP, &edit).await;
        match asked(vec![answer], act).await.0 {
            Err(CallError::Refused { kind: Kind::ProviderRejected, message }) => {
                assert!(message.contains(words), "{message}");
            }
            other => panic!("{words}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn members_one_by_one() {
    use MemberOperation as Op;
    use MemberResult as Is;
    let people = [person("447700900123"), person("447700900802"), hidden(), person("447700900124")];
    let mixed = r#"{"success":true,"processed":["447700900123"],"failed":[447700900802]}"#;
    for (operation, line) in [
        (Op::Add, "POST /groups/120363025550100777@g.us/participants"),
        (Op::Remove, "DELETE /groups/120363025550100777@g.us/participants"),
        (Op::Promote, "PATCH /groups/120363025550100777@g.us/admins"),
        (Op::Demote, "DELETE /groups/120363025550100777@g.us/admins"),
    ] {
        let act = async |call: &Call<'_>| {
            Whapi.group_members(call, GROUP, operation, &people).await.unwrap()
        };
        let (changed, seen) = asked(vec![reply(200, mixed)], act).await;
        let body = json!({"participants": ["447700900123", "447700900802", "447700900124"]});
        assert_eq!(seen, [(line.to_owned(), body)]);
        let failed = if operation == Op::Add { Is::RefusedPrivacy } else { Is::Failed };
        let expected = [Some(operation.success()), Some(failed), Some(Is::Failed), None];
        assert_eq!(results(&changed), expected, "{operation:?}");
    }
    let two = &people[..2];
    let done = reply(200, r#"{"success":true}"#);
    // Of roles it is the whole answer; of members the sheet has lists, and without them nothing is told.
    assert_eq!(changing(Op::Promote, two, done.clone()).await.unwrap(), [Some(Is::Promoted); 2]);
    assert_eq!(changing(Op::Add, two, done).await.unwrap(), [None; 2]);
    assert_eq!(changing(Op::Add, &[hidden()], reply(500, "")).await.unwrap(), [Some(Is::Failed)]);
}

#[tokio::test]
async fn refusals_of_members() {
    use MemberOperation as Op;
    use MemberResult as Is;
    let (one, two) = ([person("447700900123")], [person("447700900123"), person("447700900124")]);
    let error = |status: u16, words: &str| {
        reply(status, &json!({"error": {"code": status, "message": words}}).to_string())
    };
    let rights = error(403, "You do not have permissions for this action");
    assert_eq!(changing(Op::Remove, &two, rights).await.unwrap(), [Some(Is::NotAdmin); 2]);
    let already = error(409, "Specified participant already in group");
    for (operation, people, answer, expected) in [
        (Op::Add, &one[..], already.clone(), Ok(Is::AlreadyMember)),
        (Op::Promote, &one[..], already.clone(), Ok(Is::Promoted)),
        (Op::Add, &two[..], already, Err(Kind::InvalidRecipient)),
        (Op::Add, &one[..], error(404, "Specified participant not found"), Ok(Is::NotOnWhatsapp)),
        (Op::Demote, &one[..], error(404, "Specified participant not found"), Ok(Is::NotMember)),
        (Op::Add, &one[..], error(404, "Specified group or participant not found"), Ok(Is::Failed)),
        (
            Op::Add,
            &two[..],
            error(404, "Specified group or participant not found"),
            Err(Kind::InvalidRecipient),
        ),
        (Op::Add, &one[..], error(404, "Specified group not found"), Err(Kind::RecordNotFound)),
        (Op::Add, &one[..], error(404, "Channel not found"), Err(Kind::ProviderAuthFailed)),
        (Op::Add, &one[..], error(429, "Too many requests"), Err(Kind::ProviderRateLimited)),
        (Op::Add, &one[..], reply(500, ""), Err(Kind::ProviderUnavailable)),
    ] {
        let told = answer.2.clone();
        let outcome = changing(operation, people, answer).await;
        let outcome = outcome.map(|all| all[0].unwrap()).map_err(|error| error.kind());
        assert_eq!(outcome, expected, "{operation:?} {told}");
    }
}

#[tokio::test]
async fn invitations_joining_and_leaving() {
    let code = r#"{"invite_code":"AbCdEfGhIjKlMnOpQrStUv"}"#;
    let (link, seen) = asked(vec![reply(200, code)], async |call: &Call<'_>| {
        Whapi.group_invite(call, GROUP).await
    })
    .await;
    assert_eq!(link.unwrap(), "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv");
    assert_eq!(seen[0].0, format!("GET /groups/{GROUP}/invite"));
    let done = || vec![reply(200, r#"{"success":true}"#)];
    let (revoked, seen) =
        asked(done(), async |call: &Call<'_>| Whapi.group_revoke_invite(call, GROUP).await).await;
    assert_eq!(
        (revoked, seen[0].0.as_str()),
        (Ok(None), "DELETE /groups/120363025550100777@g.us/invite")
    );
    let join = async |call: &Call<'_>| Whapi.group_join(call, "AbCdEfGhIjKlMnOpQrStUv").await;
    let group = json!({"group_id": GROUP}).to_string();
    let (joined, seen) = asked(vec![reply(200, &group)], join).await;
    assert_eq!(joined, Ok(Joined { group_id: Some(GROUP.into()), waiting: false }));
    let body = json!({"invite_code": "AbCdEfGhIjKlMnOpQrStUv"});
    assert_eq!(seen, [("PUT /groups".to_owned(), body)]);
    let wrong = reply(404, r#"{"error":{"code":404,"message":"Wrong invite code"}}"#);
    let (joined, _) = asked(vec![wrong], join).await;
    assert_eq!(joined.unwrap_err().kind(), Kind::RecordNotFound);
    let leave = async |call: &Call<'_>| Whapi.group_leave(call, GROUP).await;
    let (left, seen) = asked(done(), leave).await;
    assert_eq!(
        (left, seen[0].0.as_str()),
        (Ok(Completion::Done), "DELETE /groups/120363025550100777@g.us")
    );
    assert_eq!(asked(vec![reply(409, "")], leave).await.0, Ok(Completion::Done));
}
