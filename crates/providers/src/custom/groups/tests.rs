//! A mapping with groups, and ones that cannot be.

use wabridge_domain::group::GroupSetting;

use super::*;
use crate::mock::{self, Reply, reply};
use crate::{Custom, Provider};

const GROUP: &str = "120363025550100777@g.us";

/// A made-up service.
const MAPPING: &str = r#"{"api": {"groups": {
    "create": {"path": "/groups", "body": {"title": "{subject}", "about": "{description}", "members": "{participants}"},
        "group_id": "/group/id", "people": "/outcomes", "id": "/member", "result": "/outcome"},
    "info": {"method": "GET", "path": "/groups/{group_id}", "name": "/group/title", "description": "/group/about",
        "members": "/group/members", "id": "/id", "role": "/leads"},
    "update": {"method": "PATCH", "path": "/groups/{group_id}", "body": {"title": "{subject}", "about": "{description}"}},
    "add": {"path": "/groups/{group_id}/members", "body": {"members": "{participants}"},
        "people": "/outcomes", "id": "/member", "result": "/outcome", "reason": "/why"},
    "remove": {"method": "DELETE", "path": "/groups/{group_id}/members", "body": {"numbers": "{phones}"}},
    "invite": {"method": "GET", "path": "/groups/{group_id}/invite", "invite": "/code"},
    "leave": {"method": "DELETE", "path": "/groups/{group_id}"},
    "results": {"ok": "done", "privacy": "refused_privacy", "unknown": "not_on_whatsapp"}
}}}"#;

async fn asked<T>(
    answers: Vec<Reply>,
    act: impl AsyncFnOnce(&Custom, &Call<'_>) -> T,
) -> (T, Vec<(String, Value)>) {
    let custom = Custom::new(MAPPING).unwrap();
    mock::asked("main", answers, async |call: &Call<'_>| act(&custom, call).await).await
}

fn people(numbers: &[&str]) -> Vec<Person> {
    let custom = Custom::new("").unwrap();
    numbers.iter().map(|number| custom.person(number).unwrap()).collect()
}

#[tokio::test]
async fn a_group_is_made_and_told() {
    let new = NewGroup {
        subject: "Ops".into(),
        description: None,
        people: people(&["447700900123", "447700900802"]),
    };
    let answer = json!({"group": {"id": GROUP}, "outcomes": [
        {"member": "447700900123@s.whatsapp.net", "outcome": "ok"},
        {"member": "447700900802@s.whatsapp.net", "outcome": "privacy"}]});
    let (created, seen) = asked(vec![reply(201, &answer.to_string())], async |custom, call| {
        custom.group_create(call, &new).await.unwrap()
    })
    .await;
    let members = ["447700900123@s.whatsapp.net", "447700900802@s.whatsapp.net"];
    assert_eq!(seen, [("POST /groups".to_owned(), json!({"title": "Ops", "members": members}))]);
    assert_eq!(created.group_id.as_deref(), Some(GROUP));
    let results: Vec<_> = created.people.iter().map(|one| one.result.unwrap()).collect();
    assert_eq!(results, [MemberResult::Added, MemberResult::RefusedPrivacy]);
    for answer in [reply(500, ""), reply(200, "{}"), reply(200, "<html>")] {
        let outcome =
            asked(vec![answer], async |custom, call| custom.group_create(call, &new).await).await.0;
        assert!(matches!(outcome, Err(CreateError::Uncertain { .. })), "{outcome:?}");
    }
    let at: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let group = json!({"group": {"title": "Ops", "members": [
        {"id": "447700900999@s.whatsapp.net", "leads": true}, {"id": "447700900123@s.whatsapp.net", "leads": false}]}});
    let info = async |custom: &Custom, call: &Call<'_>| custom.group_info(call, GROUP, at).await;
    let told = asked(vec![reply(200, &group.to_string())], info).await.0.unwrap();
    let roles: Vec<_> = told.members.iter().map(|one| one.role.unwrap()).collect();
    assert_eq!((roles, told.all_members), (vec![Role::Admin, Role::Member], true));
    let unknown = asked(vec![reply(404, "")], info).await.0;
    assert_eq!(unknown.unwrap_err().kind(), Kind::RecordNotFound);
}

#[tokio::test]
async fn members_by_the_words_of_the_mapping() {
    use MemberOperation as Op;
    use MemberResult as Is;
    let four = people(&["447700900123", "447700900801", "447700900802", "447700900124"]);
    let answer = json!({"outcomes": [
        {"member": "447700900123@s.whatsapp.net", "outcome": "ok"},
        {"member": "447700900801@s.whatsapp.net", "outcome": "unknown", "why": "no such number"},
        {"member": "447700900802@s.whatsapp.net", "outcome": "warp"}]});
    let add = async |custom: &Custom, call: &Call<'_>| {
        custom.group_members(call, GROUP, Op::Add, &four).await
    };
    let (changed, seen) = asked(vec![reply(200, &answer.to_string())], add).await;
    assert_eq!(seen[0].0, format!("POST /groups/{GROUP}/members"));
    let changed = changed.unwrap();
    let results: Vec<_> = changed.people.iter().map(|one| one.result).collect();
    assert_eq!(results, [Some(Is::Added), Some(Is::NotOnWhatsapp), Some(Is::Failed), None]);
    assert_eq!(changed.people[1].reason.as_deref(), Some("no such number"));
    let (changed, _) = asked(vec![reply(403, "")], add).await;
    assert!(changed.unwrap().people.iter().all(|one| one.result == Some(Is::NotAdmin)));
    for (status, kind) in [
        (409, Kind::InvalidRecipient),
        (404, Kind::RecordNotFound),
        (429, Kind::ProviderRateLimited),
        (500, Kind::ProviderUnavailable),
    ] {
        let (changed, _) = asked(vec![reply(status, "")], add).await;
        assert_eq!(changed.unwrap_err().kind(), kind);
    }
    // Without a place for it nothing is told.
    let one = &four[..1];
    let (changed, seen) = asked(vec![reply(204, "")], async |custom, call| {
        custom.group_members(call, GROUP, Op::Remove, one).await.unwrap()
    })
    .await;
    let body = json!({"numbers": ["447700900123"]});
    assert_eq!(seen, [(format!("DELETE /groups/{GROUP}/members"), body)]);
    assert_eq!(changed.people[0].result, None);
    let (refused, seen) = asked(vec![], async |custom, call| {
        custom.group_members(call, GROUP, Op::Promote, one).await
    })
    .await;
    assert_eq!((refused.unwrap_err().kind(), seen.len()), (Kind::UnsupportedByProvider, 0));
}

#[tokio::test]
async fn the_rest() {
    let link = async |custom: &Custom, call: &Call<'_>| custom.group_invite(call, GROUP).await;
    let told = asked(vec![reply(200, r#"{"code":"AbCdEfGhIjKlMnOpQrStUv"}"#)], link).await.0;
    assert_eq!(told.unwrap(), "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv");
    let edit = GroupEdit::Words { subject: None, description: Some("Day crew".into()) };
    let (done, seen) = asked(vec![reply(204, "")], async |custom, call| {
        custom.group_edit(call, GROUP, &edit).await
    })
    .await;
    assert_eq!(done, Ok(Completion::Done));
    assert_eq!(seen, [(format!("PATCH /groups/{GROUP}"), json!({"about": "Day crew"}))]);
    let edit = GroupEdit::Setting { setting: GroupSetting::JoinApproval, on: true };
    let (refused, seen) =
        asked(vec![], async |custom, call| custom.group_edit(call, GROUP, &edit).await).await;
    assert_eq!((refused.unwrap_err().kind(), seen.len()), (Kind::UnsupportedByProvider, 0));
    let (left, _) =
        asked(vec![reply(200, "")], async |custom, call| custom.group_leave(call, GROUP).await)
            .await;
    assert_eq!(left, Ok(Completion::Done));
    let (joined, seen) =
        asked(vec![], async |custom, call| custom.group_join(call, "AbCdEfGhIjKlMnOpQrStUv").await)
            .await;
    assert_eq!((joined.unwrap_err().kind(), seen.len()), (Kind::UnsupportedByProvider, 0));
}

#[test]
fn a_wrong_mapping_names_key_and_cure() {
    let refused = |groups: &str| {
        let mapping = format!(r#"{{"api": {{"groups": {groups}}}}}"#);
        Custom::new(&mapping).unwrap_err().to_string()
    };
    for (groups, words) in [
        (r#"{"make": {"path": "/g"}}"#, "make"),
        (
            r#"{"create": {"path": "/g", "body": {"t": "{subject}"}, "group_id": "/id"}}"#,
            "{participants} or {phones}",
        ),
        (
            r#"{"create": {"path": "/g", "body": {"t": "{subject}", "p": "{phones}"}}}"#,
            "api.groups.create.group_id",
        ),
        (
            r#"{"add": {"path": "/g/{group_id}", "body": {"p": "{text}"}}}"#,
            "{text} has no value there",
        ),
        (r#"{"add": {"path": "/g/{group_id}/{phones}"}}"#, "stands in the body only"),
        (r#"{"leave": {"method": "GET", "path": "/g/{group_id}"}}"#, "api.groups.leave.method"),
        (r#"{"leave": {"path": "/g/{group_id}", "invite": "/x"}}"#, "api.groups.leave.invite"),
        (r#"{"results": {"ok": "fine"}}"#, "results.ok"),
    ] {
        let why = refused(groups);
        assert!(why.contains(words), "{groups}: {why}");
    }
    let can = Custom::new(MAPPING).unwrap();
    use wabridge_domain::capability::Operation as Can;
    let can = |operation| can.capabilities().can(operation);
    assert!(can(Can::GroupCreate) && can(Can::GroupAdd) && can(Can::GroupLeave));
    assert!(!can(Can::GroupPromote) && !can(Can::GroupJoin));
    assert!(!Custom::new("").unwrap().capabilities().can(Can::GroupCreate));
    // The example of the documentation.
    let documented = Custom::new(&crate::custom::tests::blocks("Groups")[0]).unwrap();
    assert!(documented.capabilities().can(Can::GroupAdd));
}
