//! The calls of the vendor's public clients, and that lists tell what webhooks tell.

use std::time::Duration;

use wabridge_domain::event::Role;
use wabridge_domain::message::StatusWord;
use wabridge_domain::webhook::Signed;

use super::*;
use crate::mock::{self, Reply, reply};
use crate::{Provider, Route, Wassenger};

const DEVICE: &str = "68a1f0c2d4e5b60718293a4b";
const AT: Timestamp = Timestamp::constant(1_765_900_000, 0);

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../fixtures/wassenger/", $name, ".json"))
    };
}

async fn asked<T>(
    answers: Vec<Reply>,
    act: impl AsyncFnOnce(&Call<'_>) -> T,
) -> (T, Vec<(String, Value)>) {
    mock::asked(DEVICE, answers, act).await
}

fn data(body: &str) -> Value {
    serde_json::from_str::<Value>(body).unwrap()["data"].clone()
}

fn by_webhook(body: &str) -> What {
    let route = Route { method: "POST", sub_path: "", received_at: AT };
    let parsed = Wassenger.parse(&Signed::from_journal(body.as_bytes()), &route).unwrap();
    parsed.events.into_iter().next().unwrap().what
}

fn whats(page: Page<Event>) -> Vec<What> {
    page.items.into_iter().map(|event| event.what).collect()
}

fn history<'a>() -> History<'a> {
    History { since: None, until: None, chat: None, at: AT }
}

#[tokio::test]
async fn contacts_are_those_of_the_webhook() {
    let known = fixture!("contact_update");
    let list = json!([data(known), {"name": "nobody"}, {"wid": "120363025550100777@g.us"}]);
    let act = async |call: &Call<'_>| Wassenger.list_contacts(call, Some("500"), AT).await.unwrap();
    let (page, seen) = asked(vec![reply(200, &list.to_string())], act).await;
    let path = format!("GET /chat/{DEVICE}/contacts?size=500&page=1");
    assert_eq!(seen, [(path, Value::Null)]);
    assert_eq!(page.next, None);
    assert_eq!(page.unreadable, ["contact 2 of the page: it names no contact"]);
    let What::Contact(told) = by_webhook(known) else { panic!("no contact") };
    let whats = whats(page);
    assert_eq!(whats, [What::Contact(Box::new(ContactUpdate { at: AT, ..*told }))]);
}

#[tokio::test]
async fn the_members_of_groups_are_asked_for_apart() {
    let group = "120363025550100777@g.us";
    let list = json!([
        {"id": group, "wid": group, "name": "Ops", "kind": "group", "totalParticipants": 3,
         "permissions": {"edit": "admins", "send": "all", "approval": false}},
        {"name": "?"},
        {"wid": "120363025550100778@g.us", "name": "Told", "totalParticipants": 1,
         "participants": [{"phone": "+447700900123", "role": "admin"}]},
    ]);
    let act = async |call: &Call<'_>| Wassenger.list_groups(call, None, AT).await.unwrap();
    let people = json!([{"phone": "+447700900123", "role": "owner"}, {"phone": "+447700900124"},
        {"phone": "+447700900125"}]);
    let list = reply(200, &list.to_string());
    let (page, seen) = asked(vec![list.clone(), reply(200, &people.to_string())], act).await;
    let seen: Vec<String> = seen.into_iter().map(|(line, _)| line).collect();
    let listed = format!("GET /devices/{DEVICE}/groups?kind=group&size=20&page=0");
    assert_eq!(seen, [listed, format!("GET /chat/{DEVICE}/chats/{group}/participants")]);
    assert_eq!(page.unreadable, ["group 2 of the page: it names no group"]);
    let [ops, told] = &page.items[..] else { panic!("{:?}", page.items) };
    assert_eq!((ops.group_id.as_str(), ops.kind.as_str(), ops.at), (group, "info", AT));
    assert_eq!((ops.only_admins_edit, ops.only_admins_send), (Some(true), Some(false)));
    assert_eq!((ops.all_members, ops.members[0].role), (true, Some(Role::Superadmin)));
    assert_eq!((told.all_members, told.members[0].role), (true, Some(Role::Admin)));

    // One that is refused is told without them; what may pass fails the page.
    let (page, _) = asked(vec![list.clone(), reply(404, "")], act).await;
    assert_eq!((page.items.len(), page.items[0].all_members, page.unreadable.len()), (2, false, 2));
    let act = async |call: &Call<'_>| Wassenger.list_groups(call, None, AT).await;
    let failed = asked(vec![list, reply(502, "")], act).await.0;
    assert_eq!(failed.unwrap_err().kind(), Kind::ProviderUnavailable);
}

#[tokio::test]
async fn messages_are_those_of_the_webhook() {
    let bodies = [
        fixture!("message_in"),
        fixture!("message_in_group"),
        fixture!("message_in_image"),
        fixture!("message_in_quoted"),
    ];
    let mut list: Vec<Value> = bodies.iter().map(|body| data(body)).collect();
    list.push(json!({"type": "text", "body": "of nobody"}));
    // The history has no id that fits the webhook's.
    list.push(json!({"id": "3EB0FFEEDDCCBBAA0099", "type": "reaction", "reaction": "👍"}));
    let mut revoked = data(bodies[0]);
    revoked["id"] = "3EB0FFEEDDCCBBAA0100".into();
    revoked["meta"]["isRevoked"] = true.into();
    list.push(revoked);
    let chat = "447700900123@s.whatsapp.net";
    let asks = History { chat: Some(chat), ..history() };
    let act = async |call: &Call<'_>| Wassenger.list_messages(call, &asks, None).await.unwrap();
    let (page, seen) = asked(vec![reply(200, &json!(list).to_string())], act).await;
    let query = "sort=date%3Adesc&chat=447700900123%40c.us&size=500&page=0";
    assert_eq!(seen[0].0, format!("GET /chat/{DEVICE}/messages?{query}"));
    assert_eq!(page.unreadable, ["message 5 of the page: it names no message id"]);
    let mut whats = whats(page);
    let Some(What::Status(gone)) = whats.pop() else { panic!("nothing is gone") };
    assert_eq!(
        (gone.message_id.as_str(), gone.word),
        ("3EB0FFEEDDCCBBAA0100", StatusWord::Deleted)
    );
    let told: Vec<What> = bodies.iter().map(|body| by_webhook(body)).collect();
    assert_eq!(whats, told);
}

#[tokio::test]
async fn history_ends_with_the_page_that_passes_its_beginning() {
    let message = |n: i64, at: i64| {
        let id = format!("3EB0FFEEDDCC{n:08X}");
        json!({"id": id, "type": "text", "flow": "inbound", "body": "x", "timestamp": at,
            "from": "447700900123@c.us", "chat": {"id": "447700900123@c.us"}})
    };
    let newest = 1_765_800_000;
    let list: Vec<Value> = (0..500).map(|n| message(n, newest - n)).collect();
    let since =
        |second| History { since: Some(Timestamp::from_second(second).unwrap()), ..history() };
    let next = async |asks: History<'_>| {
        let act = async |call: &Call<'_>| Wassenger.list_messages(call, &asks, None).await.unwrap();
        let page = asked(vec![reply(200, &json!(list).to_string())], act).await.0;
        assert_eq!(page.items.len(), 500);
        page.next
    };
    assert_eq!(next(since(newest - 499)).await.as_deref(), Some("500"));
    assert_eq!(next(since(newest - 498)).await, None);
    assert_eq!(next(history()).await.as_deref(), Some("500"));
}

#[tokio::test]
async fn a_cut_page_goes_on_at_its_size() {
    let long = format!("[\"{}\"]", "x".repeat(crate::http::PAGE_MAX_BYTES));
    let some = |count: usize| reply(200, &json!(vec![json!({}); count]).to_string());
    let act = async |call: &Call<'_>| Wassenger.list_messages(call, &history(), Some("500")).await;
    let (page, seen) = asked(vec![reply(200, &long), some(100)], act).await;
    let page = page.unwrap();
    assert_eq!((page.next.as_deref(), page.unreadable.len()), (Some("600"), 100));
    let sizes: Vec<&str> = seen.iter().filter_map(|(line, _)| line.split('&').nth(1)).collect();
    assert_eq!(sizes, ["size=500", "size=100"]);
    assert!(seen[1].0.ends_with("&size=100&page=5"), "{seen:?}");
    let act = async |call: &Call<'_>| Wassenger.list_messages(call, &history(), Some("600")).await;
    let (page, seen) = asked(vec![some(3)], act).await;
    assert!(seen[0].0.ends_with("&size=100&page=6"), "{seen:?}");
    assert_eq!(page.unwrap().next, None);
    let act = async |call: &Call<'_>| Wassenger.list_groups(call, Some("7"), AT).await;
    let foreign = asked(vec![some(3)], act).await.0.unwrap_err();
    assert_eq!(foreign.kind(), Kind::InvalidContent);
}

#[tokio::test]
async fn refusals_are_decisions() {
    let act = async |call: &Call<'_>| Wassenger.list_groups(call, None, AT).await.unwrap_err();
    let error = async |answer| asked(vec![answer], act).await.0;
    let slow = (429, vec![("Retry-After", "7".to_owned())], String::new());
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(error(slow).await, CallError::RateLimited { retry_after });
    assert_eq!(error(reply(502, "")).await.kind(), Kind::ProviderUnavailable);
    assert_eq!(error(reply(200, "{}")).await.kind(), Kind::ProviderUnavailable);
    assert_eq!(error(reply(401, "")).await.kind(), Kind::ProviderAuthFailed);
}

#[tokio::test]
async fn people_are_blocked_and_let_in_again() {
    let block = async |answer, id: &str, blocked| {
        let act = async |call: &Call<'_>| Wassenger.contact_block(call, id, blocked).await;
        asked(vec![answer], act).await
    };
    let path = |method: &str| format!("{method} /devices/{DEVICE}/block");
    let body = json!({"contacts": ["+447700900123"]});
    let (outcome, seen) = block(reply(200, "{}"), "447700900123@c.us", true).await;
    assert_eq!((outcome, seen), (Ok(()), vec![(path("POST"), body.clone())]));
    let (outcome, seen) = block(reply(204, ""), "447700900123@c.us", false).await;
    assert_eq!((outcome, seen), (Ok(()), vec![(path("DELETE"), body)]));
    let (_, seen) = block(reply(200, "{}"), "183800000000123@lid", true).await;
    assert_eq!(seen[0].1, json!({"contacts": ["183800000000123@lid"]}));
    let kind = async |status| {
        block(reply(status, ""), "447700900123@c.us", true).await.0.map_err(|error| error.kind())
    };
    assert_eq!(kind(409).await, Ok(()));
    assert_eq!(kind(404).await, Err(Kind::RecordNotFound));
}
