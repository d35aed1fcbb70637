//! The calls as Meta's pages have them, and what their answers leave to a webhook.

use serde_json::json;
use wabridge_domain::Secret;
use wabridge_domain::group::{GroupSetting, Icon};

use super::*;
use crate::mock::{self, Reply, reply};
use crate::{Meta, Provider};

const NUMBER: &str = "206543210987654";
const GROUP: &str = "Y2FwaV9ncm91cDoxMjM0NTY3ODkwMTIzNDU2Nzg5MAZD";

fn person(id: &str) -> Person {
    wire::person(id).unwrap()
}

async fn asked<T>(
    answers: Vec<Reply>,
    act: impl AsyncFnOnce(&Call<'_>) -> T,
) -> (T, Vec<(String, Value)>) {
    mock::asked(NUMBER, answers, act).await
}

fn error(code: i64, words: &str) -> Reply {
    reply(
        400,
        &json!({"error": {"code": code, "message": words, "type": "OAuthException"}}).to_string(),
    )
}

#[tokio::test]
async fn a_group_is_asked_for_and_told_later() {
    let new = NewGroup {
        subject: "Ops Night Shift".into(),
        description: Some("Night crew".into()),
        people: vec![person("447700900123"), person("GB.10293847561029384756")],
    };
    let create = async |call: &Call<'_>| Meta.group_create(call, &new).await;
    let answer = r#"{"messaging_product":"whatsapp","request_id":"REQ-0001"}"#;
    let (created, seen) = asked(vec![reply(200, answer)], create).await;
    let created = created.unwrap();
    let body = json!({"messaging_product": "whatsapp", "subject": "Ops Night Shift", "description": "Night crew"});
    assert_eq!(seen, [(format!("POST /v23.0/{NUMBER}/groups"), body)]);
    assert_eq!(created.completion, Completion::Later { request_id: Some("REQ-0001".into()) });
    assert_eq!((created.group_id, created.invite_link), (None, None));
    assert!(created.people.iter().all(|one| one.result == Some(MemberResult::Waiting)));
    for answer in [reply(500, ""), reply(200, "<html>"), reply(200, "{}"), reply(504, "<html>")] {
        let outcome = asked(vec![answer], create).await.0;
        assert!(matches!(outcome, Err(CreateError::Uncertain { .. })), "{outcome:?}");
    }
    for (answer, kind) in [
        (error(131_215, "not eligible"), Kind::UnsupportedByProvider),
        (error(131_211, "too many groups"), Kind::ProviderRejected),
        (error(190, "expired"), Kind::ProviderAuthFailed),
        (error(4, "slow down"), Kind::ProviderRateLimited),
        (error(100, "Invalid parameter"), Kind::InvalidContent),
    ] {
        match asked(vec![answer], create).await.0 {
            Err(CreateError::NotMade(error)) => assert_eq!(error.kind(), kind),
            other => panic!("{kind:?}: {other:?}"),
        }
    }
    for wrong in [
        NewGroup { people: vec![person("447700900123"); 9], ..new.clone() },
        NewGroup { subject: "x".repeat(129), ..new.clone() },
        NewGroup { description: Some("x".repeat(2_049)), ..new.clone() },
    ] {
        let create = async |call: &Call<'_>| Meta.group_create(call, &wrong).await;
        let (outcome, seen) = asked(vec![], create).await;
        assert_eq!((outcome.unwrap_err().kind(), seen.len()), (Kind::InvalidContent, 0));
    }
}

#[tokio::test]
async fn a_group_as_it_is() {
    let at: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let answer = json!({
        "id": GROUP, "messaging_product": "whatsapp", "subject": "Ops", "description": "Night crew",
        "participants": [{"wa_id": "447700900123"}, {"user_id": "GB.10293847561029384756"}],
        "join_approval_mode": "approval_required", "suspended": false, "total_participant_count": 2,
    });
    let info = async |call: &Call<'_>| Meta.group_info(call, GROUP, at).await;
    let (group, seen) = asked(vec![reply(200, &answer.to_string())], info).await;
    let group = group.unwrap();
    let fields = INFO_FIELDS.replace(',', "%2C");
    assert_eq!(seen[0].0, format!("GET /v23.0/{GROUP}?fields={fields}"));
    assert_eq!(
        (group.join_approval, group.is_active, group.all_members),
        (Some(true), Some(true), true)
    );
    let ids: Vec<_> = group.members.iter().map(|one| one.person.contact_id.as_str()).collect();
    assert_eq!(ids, ["447700900123", "GB.10293847561029384756"]);
    let unknown = error(100, "Object with ID does not exist, or cannot be loaded");
    assert_eq!(asked(vec![unknown], info).await.0.unwrap_err().kind(), Kind::RecordNotFound);
}

#[tokio::test]
async fn changes_are_only_taken() {
    let later = Ok(Completion::Later { request_id: Some("REQ-3".into()) });
    let answer = || vec![reply(200, r#"{"request_id":"REQ-3"}"#)];
    let edit = GroupEdit::Words { subject: Some("New".into()), description: Some(String::new()) };
    let act = async |call: &Call<'_>| Meta.group_edit(call, GROUP, &edit).await;
    let (outcome, seen) = asked(answer(), act).await;
    let body = json!({"messaging_product": "whatsapp", "subject": "New", "description": ""});
    assert_eq!((outcome, seen), (later.clone(), vec![(format!("POST /v23.0/{GROUP}"), body)]));
    let icon = |mimetype: &str, size| {
        GroupEdit::Icon(Icon { mimetype: mimetype.into(), bytes: vec![7; size] })
    };
    let (base, seen) = mock::server(answer()).await;
    let (http, token) = (mock::client(), Secret::new(mock::TOKEN));
    let call = mock::call(&http, &base, &token, NUMBER);
    assert_eq!(Meta.group_edit(&call, GROUP, &icon("image/jpeg", 9)).await, later);
    let seen = seen.lock().unwrap().clone();
    assert!(seen[0].header("content-type").starts_with("multipart/form-data; boundary="));
    for (edit, kind) in [
        (icon("image/png", 9), Kind::MediaTypeUnsupported),
        (icon("image/jpeg", ICON_MAX_BYTES + 1), Kind::MediaTooLarge),
        (GroupEdit::RemoveIcon, Kind::UnsupportedByProvider),
        (
            GroupEdit::Setting { setting: GroupSetting::OnlyAdminsSend, on: true },
            Kind::UnsupportedByProvider,
        ),
    ] {
        let act = async |call: &Call<'_>| Meta.group_edit(call, GROUP, &edit).await;
        let (outcome, seen) = asked(vec![], act).await;
        assert_eq!((outcome.unwrap_err().kind(), seen.len()), (kind, 0));
    }
}

#[tokio::test]
async fn people_can_only_be_removed() {
    use MemberOperation as Op;
    use MemberResult as Is;
    let people = [person("447700900123"), person("GB.10293847561029384756")];
    let remove = async |call: &Call<'_>| Meta.group_members(call, GROUP, Op::Remove, &people).await;
    let (changed, seen) = asked(vec![reply(200, r#"{"request_id":"REQ-2"}"#)], remove).await;
    let body = json!({"messaging_product": "whatsapp", "participants": [
        {"user": "447700900123"}, {"user_id": "GB.10293847561029384756"}]});
    assert_eq!(seen, [(format!("DELETE /v23.0/{GROUP}/participants"), body)]);
    let changed = changed.unwrap();
    assert_eq!(changed.completion, Completion::Later { request_id: Some("REQ-2".into()) });
    assert!(changed.people.iter().all(|one| one.result == Some(Is::Waiting)));
    let mixed = json!({"removed_participants": [{"user": "447700900123"}], "failed_participants": [
        {"user_id": "GB.10293847561029384756", "errors": [{"code": 131_212, "message": "not there"}]}]});
    let (changed, _) = asked(vec![reply(200, &mixed.to_string())], remove).await;
    let results: Vec<_> = changed.unwrap().people.iter().map(|one| one.result.unwrap()).collect();
    assert_eq!(results, [Is::Removed, Is::NotMember]);
    let gone = || vec![error(131_212, "Participant not in group")];
    assert_eq!(asked(gone(), remove).await.0.unwrap_err().kind(), Kind::InvalidRecipient);
    let one = &people[..1];
    let remove = async |call: &Call<'_>| Meta.group_members(call, GROUP, Op::Remove, one).await;
    assert_eq!(asked(gone(), remove).await.0.unwrap().people[0].result, Some(Is::NotMember));
    for operation in [Op::Add, Op::Promote, Op::Demote] {
        let act = async |call: &Call<'_>| Meta.group_members(call, GROUP, operation, one).await;
        let (outcome, seen) = asked(vec![], act).await;
        assert_eq!((outcome.unwrap_err().kind(), seen.len()), (Kind::UnsupportedByProvider, 0));
    }
}

#[tokio::test]
async fn invitations_and_the_end() {
    let link = "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv";
    let answer = || vec![reply(200, &json!({"invite_link": link}).to_string())];
    let invite = async |call: &Call<'_>| Meta.group_invite(call, GROUP).await;
    let (told, seen) = asked(answer(), invite).await;
    assert_eq!(told.as_deref(), Ok(link));
    assert_eq!(seen, [(format!("GET /v23.0/{GROUP}/invite_link"), Value::Null)]);
    let revoke = async |call: &Call<'_>| Meta.group_revoke_invite(call, GROUP).await;
    let (told, seen) = asked(answer(), revoke).await;
    assert_eq!(told, Ok(Some(link.to_owned())));
    let body = json!({"messaging_product": "whatsapp"});
    assert_eq!(seen, [(format!("POST /v23.0/{GROUP}/invite_link"), body)]);
    let leave = async |call: &Call<'_>| Meta.group_leave(call, GROUP).await;
    let (left, seen) = asked(vec![reply(200, r#"{"success":true}"#)], leave).await;
    assert_eq!(left, Ok(Completion::Later { request_id: None }));
    assert_eq!(seen, [(format!("DELETE /v23.0/{GROUP}"), Value::Null)]);
    let join = async |call: &Call<'_>| Meta.group_join(call, "AbCdEfGhIjKlMnOpQrStUv").await;
    let (joined, seen) = asked(vec![], join).await;
    assert_eq!((joined.unwrap_err().kind(), seen.len()), (Kind::UnsupportedByProvider, 0));
}

#[tokio::test]
async fn groups_are_listed_and_asked_for_one_by_one() {
    let at = Timestamp::from_second(1_765_900_000).unwrap();
    let list = async |answers: &[Value], cursor: Option<&str>| {
        let act = async |call: &Call<'_>| Meta.list_groups(call, cursor, at).await;
        let answers = answers.iter().map(|answer| reply(200, &answer.to_string()));
        asked(answers.collect(), act).await
    };
    let groups =
        json!([{"id": GROUP, "subject": "Ops", "created_at": "1765800000"}, {"subject": "?"}]);
    let paging =
        json!({"cursors": {"before": "QVE", "after": "QVI"}, "next": "https://graph.example/next"});
    let page = json!({"data": {"groups": groups}, "paging": paging});
    let group = json!({"id": GROUP, "subject": "Ops", "participants": [{"wa_id": "447700900123"}],
        "total_participant_count": 1});
    let (read, seen) = list(&[page.clone(), group], None).await;
    let read = read.unwrap();
    assert_eq!(seen[0].0, format!("GET /v23.0/{NUMBER}/groups?limit=20"));
    assert!(seen[1].0.starts_with(&format!("GET /v23.0/{GROUP}?fields=")), "{seen:?}");
    assert_eq!(read.next.as_deref(), Some("QVI"));
    assert_eq!(read.unreadable, ["group 2 of the page: it names no group"]);
    let [group] = &read.items[..] else { panic!("{:?}", read.items) };
    assert_eq!((group.group_id.as_str(), group.name.as_deref()), (GROUP, Some("Ops")));
    assert_eq!((group.kind.as_str(), group.at, group.all_members), ("info", at, true));

    // One that is refused meanwhile is told by name.
    let gone = (400, json!({"error": {"code": 100, "message": "Object does not exist"}}));
    let act = async |call: &Call<'_>| Meta.list_groups(call, None, at).await;
    let answers = vec![reply(200, &page.to_string()), reply(gone.0, &gone.1.to_string())];
    let read = asked(answers, act).await.0.unwrap();
    assert_eq!((read.items[0].name.as_deref(), read.items[0].all_members), (Some("Ops"), false));
    assert_eq!(read.unreadable.len(), 2);

    let last = json!({"data": [], "paging": {"cursors": {"after": "QVM"}}});
    let (read, seen) = list(&[last], Some("QVI")).await;
    assert_eq!(seen[0].0, format!("GET /v23.0/{NUMBER}/groups?limit=20&after=QVI"));
    let read = read.unwrap();
    assert_eq!((read.items.len(), read.next), (0, None));

    // One that is too old lets the caller begin anew.
    let act = async |call: &Call<'_>| Meta.list_groups(call, Some("QVI"), at).await;
    let refused = asked(vec![error(131_059, "Invalid pagination cursor")], act).await.0;
    assert_eq!(refused.unwrap_err().kind(), Kind::InvalidContent);

    // A cursor that does not move would never end.
    let stuck = json!({"data": [], "paging": {"cursors": {"after": "QVI"}, "next": "https://graph.example/next"}});
    assert_eq!(list(&[stuck], Some("QVI")).await.0.unwrap().next, None);
    assert_eq!(list(&[json!({})], None).await.0.unwrap_err().kind(), Kind::ProviderUnavailable);
}

#[tokio::test]
async fn people_are_blocked_and_let_in_again() {
    let block = async |answer: Value, blocked| {
        let act = async |call: &Call<'_>| Meta.contact_block(call, "447700900123", blocked).await;
        asked(vec![reply(200, &answer.to_string())], act).await
    };
    let done = json!({"messaging_product": "whatsapp", "block_users": {"added_users": [
        {"input": "+447700900123", "wa_id": "447700900123"}]}});
    let body = json!({"messaging_product": "whatsapp", "block_users": [{"user": "+447700900123"}]});
    for (blocked, method) in [(true, "POST"), (false, "DELETE")] {
        let (outcome, seen) = block(done.clone(), blocked).await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(seen, [(format!("{method} /v23.0/206543210987654/block_users"), body.clone())]);
    }
    let failed = json!({"messaging_product": "whatsapp", "block_users": {"failed_users": [
        {"input": "+447700900123", "errors": [{"code": 139_100, "message": "Failed to block"}]}]}});
    let refused = block(failed, true).await.0.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.to_string().contains("Failed to block")),
        (Kind::ProviderRejected, true)
    );
}
