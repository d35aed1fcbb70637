//! The calls as the sheet documents them, and that lists tell what webhooks tell.

use std::time::Duration;

use serde_json::{Value, json};
use wabridge_domain::event::{MemberState, Role};
use wabridge_domain::webhook::Signed;

use super::*;
use crate::Whapi;
use crate::http::PAGE_MAX_BYTES;
use crate::mock::{self, Reply, reply};

const AT: Timestamp = Timestamp::constant(1_765_900_000, 0);

async fn asked<T>(answers: Vec<Reply>, act: impl AsyncFnOnce(&Call<'_>) -> T) -> (T, Vec<String>) {
    let (outcome, seen) = mock::asked("HERON-K42QX", answers, act).await;
    (outcome, seen.into_iter().map(|(line, _)| line).collect())
}

fn page(body: &Value) -> Vec<Reply> {
    vec![reply(200, &body.to_string())]
}

/// What a webhook with this body tells.
fn by_webhook(body: &Value) -> Vec<Event> {
    let body = body.to_string();
    let signed = Signed::from_journal(body.as_bytes());
    Whapi.parse(&signed, &told(AT)).unwrap().events
}

fn history<'a>() -> History<'a> {
    History { since: None, until: None, chat: None, at: AT }
}

#[tokio::test]
async fn contacts_are_those_of_the_webhook() {
    let contacts = json!([
        {"id": "447700900123", "name": "Amira (Acme)", "pushname": "Amira Osei", "saved": true,
         "profile_pic": "https://pps.example/a", "profile_pic_full": "https://pps.example/b"},
        {"id": "183800000000123@lid", "name": "Hidden", "is_business": true},
        {"id": "447700900124", "name": "", "pushname": "Only Push"},
        {"name": "nobody"},
        {"id": "120363025550100777@g.us", "name": "A group"},
        7,
    ]);
    let answer = json!({"contacts": contacts, "count": 500, "total": 6, "offset": 0});
    let act = async |call: &Call<'_>| Whapi.list_contacts(call, None, AT).await.unwrap();
    let (read, seen) = asked(page(&answer), act).await;
    assert_eq!(seen, ["GET /contacts?count=500&offset=0"]);
    let mut told = by_webhook(&json!({"contacts": contacts}));
    told.retain(|event| matches!(event.what, What::Contact(_)));
    assert_eq!(read.items, told);
    assert_eq!((read.next, read.total), (None, Some(6)));
    assert_eq!(
        read.unreadable,
        ["contact 4 of the page: it names nobody", "contact 6 of the page: it is no object"]
    );
    let people: Vec<_> = read
        .items
        .iter()
        .filter_map(|event| match &event.what {
            What::Contact(contact) => Some(contact),
            _ => None,
        })
        .collect();
    // `name` is that of the address book, `pushname` the one that the person chose.
    let names = |n: usize| (people[n].person.name.as_deref(), people[n].person.pushname.as_deref());
    assert_eq!(names(0), (Some("Amira (Acme)"), Some("Amira Osei")));
    assert_eq!(names(1), (Some("Hidden"), None));
    assert_eq!(names(2), (None, Some("Only Push")));
    assert_eq!(people[0].picture.as_deref(), Some("https://pps.example/b"));
    assert_eq!(people[1].person.lid.as_deref(), Some("183800000000123@lid"));
    assert_eq!(people[1].is_business, Some(true));
}

#[tokio::test]
async fn a_picture_is_looked_for_in_the_profile_where_the_contact_tells_none() {
    let told = async |answers: Vec<Reply>| {
        let act = async |call: &Call<'_>| {
            Whapi.contact_info(call, "447700900123@s.whatsapp.net", AT).await
        };
        let (event, seen) = asked(answers, act).await;
        let picture = event.map(|event| match event.what {
            What::Contact(contact) => (contact.at == AT).then_some(contact.picture).flatten(),
            other => panic!("{other:?}"),
        });
        (picture, seen)
    };
    let bare = json!({"id": "447700900123", "name": "Amira"});
    let with =
        json!({"id": "447700900123", "name": "Amira", "profile_pic": "https://pps.example/a"});
    let (picture, seen) = told(vec![reply(200, &with.to_string())]).await;
    assert_eq!(picture.unwrap().as_deref(), Some("https://pps.example/a"));
    assert_eq!(seen, ["GET /contacts/447700900123"]);
    for (status, profile, expected) in [
        (
            200,
            json!({"name": "Amira", "icon": "https://p.example/s", "icon_full": "https://p.example/l"}),
            "https://p.example/l",
        ),
        (200, json!({"name": "Amira", "icon": "https://p.example/s"}), "https://p.example/s"),
        // Nobody may see it, or there is none.
        (200, json!({"name": "Amira"}), ""),
        (404, json!({"error": {"code": 404, "message": "Specified user not found"}}), ""),
    ] {
        let answers = vec![reply(200, &bare.to_string()), reply(status, &profile.to_string())];
        let (picture, seen) = told(answers).await;
        assert_eq!(picture.unwrap().as_deref(), Some(expected));
        assert_eq!(seen, ["GET /contacts/447700900123", "GET /contacts/447700900123/profile"]);
    }
    let answers = vec![reply(200, &bare.to_string()), reply(503, "{}")];
    let (picture, _) = told(answers).await;
    assert_eq!(picture.unwrap_err().kind(), Kind::ProviderUnavailable);
}

#[tokio::test]
async fn groups_come_with_their_members() {
    let group = json!({
        "id": "120363025550100777@g.us", "name": "Ops", "type": "group", "created_at": 1_700_000_000,
        "participants": [{"id": "447700900999", "rank": "creator"}, {"id": "447700900123", "rank": "admin"}],
        "participants_count": 2, "announcements": true,
    });
    let part = json!({
        "id": "120363025550100778@g.us", "name": "Large", "type": "group",
        "participants": [{"id": "447700900123", "rank": "member"}], "participants_count": 900,
    });
    let answer =
        json!({"groups": [group, {"name": "?"}, part], "count": 100, "total": 3, "offset": 100});
    let act = async |call: &Call<'_>| Whapi.list_groups(call, Some("100"), AT).await.unwrap();
    let (read, seen) = asked(page(&answer), act).await;
    assert_eq!(seen, ["GET /groups?count=100&offset=100"]);
    assert_eq!(read.unreadable, ["group 2 of the page: it names no group"]);
    let [whole, part] = &read.items[..] else { panic!("{:?}", read.items) };
    assert_eq!((whole.kind.as_str(), whole.at, whole.all_members), ("info", AT, true));
    assert_eq!((whole.only_admins_send, whole.is_active), (Some(true), Some(true)));
    let roles: Vec<_> = whole.members.iter().map(|one| (one.role, one.state)).collect();
    let joined = |role| (Some(role), MemberState::Joined);
    assert_eq!(roles, [joined(Role::Superadmin), joined(Role::Admin)]);
    assert_eq!((part.all_members, part.members.len()), (false, 1));
    assert_eq!(read.next, None);
}

#[tokio::test]
async fn messages_are_those_of_the_webhook() {
    let messages = json!([
        {"id": "a.1-gHI", "type": "text", "chat_id": "447700900123@s.whatsapp.net", "from_me": false,
         "timestamp": 1_765_800_001, "from": "447700900123", "from_name": "Amira", "source": "mobile",
         "text": {"body": "Hello"}},
        {"id": "a.2-gHI", "type": "text", "chat_id": "447700900123@s.whatsapp.net", "from_me": true,
         "timestamp": 1_765_800_002, "from": "447700900999", "source": "web", "status": "read",
         "text": {"body": "Hi"}},
        {"id": "a.3-gHI", "type": "text", "from_me": true},
        {"id": "a.4-gHI", "type": "action", "chat_id": "447700900123@s.whatsapp.net", "from_me": false,
         "timestamp": 1_765_800_003, "from": "447700900123",
         "action": {"target": "a.2-gHI", "type": "reaction", "emoji": "👍"}},
    ]);
    let second = |second| Some(Timestamp::from_second(second).unwrap());
    let asks = History {
        since: second(1_765_800_000),
        until: second(1_765_899_999),
        chat: Some("447700900123@s.whatsapp.net"),
        ..history()
    };
    let answer = json!({"messages": messages, "count": 500, "total": 4, "offset": 500, "first": 0});
    let act = async |call: &Call<'_>| Whapi.list_messages(call, &asks, Some("500")).await.unwrap();
    let (read, seen) = asked(page(&answer), act).await;
    let chat = "/messages/list/447700900123@s.whatsapp.net";
    let query = "count=500&offset=500&sort=asc&time_from=1765800000&time_to=1765899999";
    assert_eq!(seen, [format!("GET {chat}?{query}")]);
    assert_eq!(read.items, by_webhook(&json!({"messages": messages})));
    assert_eq!(read.items.len(), 3);
    assert_eq!(read.unreadable, ["message 3 of the page: it names no chat"]);

    let act = async |call: &Call<'_>| Whapi.list_messages(call, &history(), None).await.unwrap();
    let (read, seen) = asked(page(&json!({"messages": [], "total": 0})), act).await;
    assert_eq!(seen, ["GET /messages/list?count=500&offset=0&sort=asc"]);
    assert_eq!((read.items.len(), read.next), (0, None));
}

#[tokio::test]
async fn a_full_page_has_a_next_one() {
    let contacts: Vec<_> = (0..500).map(|n| json!({"id": format!("4477009{n:05}")})).collect();
    let answer = json!({"contacts": contacts, "count": 500, "offset": 1000});
    let act = async |call: &Call<'_>| Whapi.list_contacts(call, Some("1000"), AT).await.unwrap();
    let read = asked(page(&answer), act).await.0;
    assert_eq!((read.items.len(), read.next.as_deref(), read.total), (500, Some("1500"), None));
}

#[tokio::test]
async fn a_page_that_is_too_long_is_asked_for_in_parts() {
    let long = format!(r#"{{"messages":[],"filler":"{}"}}"#, "x".repeat(PAGE_MAX_BYTES));
    let short = json!({"messages": [], "total": 0}).to_string();
    let act = async |call: &Call<'_>| Whapi.list_messages(call, &history(), None).await;
    let (read, seen) = asked(vec![reply(200, &long), reply(200, &short)], act).await;
    assert!(read.is_ok(), "{read:?}");
    let asked_for = |count| format!("GET /messages/list?count={count}&offset=0&sort=asc");
    assert_eq!(seen, [asked_for(500), asked_for(100)]);
}

#[tokio::test]
async fn refusals_are_decisions() {
    let act = async |call: &Call<'_>| Whapi.list_contacts(call, None, AT).await.unwrap_err();
    let error = async |answer| asked(vec![answer], act).await.0;
    let slow = (429, vec![("Retry-After", "7".to_owned())], String::new());
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(error(slow).await, CallError::RateLimited { retry_after });
    let kind = async |status, body: &str| error(reply(status, body)).await.kind();
    assert_eq!(kind(500, "").await, Kind::ProviderUnavailable);
    assert_eq!(kind(200, "no JSON").await, Kind::ProviderUnavailable);
    assert_eq!(kind(200, r#"{"messages":[]}"#).await, Kind::ProviderUnavailable);
    let dead = r#"{"error":{"code":404,"message":"Channel not found"}}"#;
    assert_eq!(kind(404, dead).await, Kind::ProviderAuthFailed);
    let gone = r#"{"error":{"code":404,"message":"Specified chat not found"}}"#;
    assert_eq!(kind(404, gone).await, Kind::RecordNotFound);
    let act = async |call: &Call<'_>| Whapi.list_contacts(call, Some("page:2"), AT).await;
    let (outcome, seen) = asked(vec![reply(200, "{}")], act).await;
    assert_eq!(outcome.unwrap_err().kind(), Kind::InvalidContent);
    assert_eq!(seen, [""; 0]);
}

#[tokio::test]
async fn people_are_blocked_and_let_in_again() {
    let id = "447700900123@s.whatsapp.net";
    let block = async |answer, id: &str, blocked| {
        let act = async |call: &Call<'_>| Whapi.contact_block(call, id, blocked).await;
        asked(vec![answer], act).await
    };
    let done = || reply(200, r#"{"success":true}"#);
    let (outcome, seen) = block(done(), id, true).await;
    assert_eq!((outcome, seen), (Ok(()), vec!["PUT /blacklist/447700900123".to_owned()]));
    let (outcome, seen) = block(done(), id, false).await;
    assert_eq!((outcome, seen), (Ok(()), vec!["DELETE /blacklist/447700900123".to_owned()]));
    assert_eq!(block(reply(409, ""), id, true).await.0, Ok(()));
    let unknown = r#"{"error":{"code":404,"message":"Specified contact not found"}}"#;
    let kind = block(reply(404, unknown), id, true).await.0.unwrap_err().kind();
    assert_eq!(kind, Kind::RecordNotFound);
    let not_done = block(reply(200, r#"{"success":false}"#), id, true).await.0;
    assert_eq!(not_done.unwrap_err().kind(), Kind::ProviderRejected);
    let (hidden, seen) = block(done(), "183800000000123@lid", true).await;
    assert_eq!(hidden.unwrap_err().kind(), Kind::InvalidRecipient);
    assert_eq!(seen, [""; 0]);
}
