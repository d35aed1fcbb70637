//! The mapping of the page, each way of paging, and mappings that cannot be.

use serde_json::json;
use wabridge_domain::event::Role;
use wabridge_domain::webhook::Signed;

use super::*;
use crate::custom::tests::blocks;
use crate::mock::{self, Reply, reply};
use crate::{Custom, Provider, Route};

const AT: Timestamp = Timestamp::constant(1_765_900_000, 0);

async fn asked<T>(
    mapping: &str,
    answers: Vec<Reply>,
    act: impl AsyncFnOnce(&Custom, &Call<'_>) -> T,
) -> (T, Vec<(String, Value)>) {
    let custom = Custom::new(mapping).unwrap();
    mock::asked("main", answers, async |call: &Call<'_>| act(&custom, call).await).await
}

fn page() -> String {
    blocks("Lists").remove(0)
}

fn answer(body: &Value) -> Vec<Reply> {
    vec![reply(200, &body.to_string())]
}

fn history<'a>() -> History<'a> {
    History { since: None, until: None, chat: None, at: AT }
}

#[tokio::test]
async fn one_person() {
    let act = async |custom: &Custom, call: &Call<'_>| {
        custom.contact_info(call, "447700900123", AT).await
    };
    let person =
        json!({"id": "others", "label": "Amira (Acme)", "nick": "Amira Osei", "company": true});
    let (told, seen) = asked(&page(), answer(&person), act).await;
    assert_eq!(seen[0].0, "GET /people/447700900123@s.whatsapp.net");
    let What::Contact(amira) = told.unwrap().what else { panic!("no contact") };
    // About whom was asked, whatever the answer says.
    assert_eq!(amira.person.contact_id, "447700900123@s.whatsapp.net");
    assert_eq!(amira.person.name.as_deref(), Some("Amira (Acme)"));
    assert_eq!((amira.is_business, amira.picture.as_deref(), amira.at), (Some(true), None, AT));

    let (told, _) = asked(&page(), vec![reply(404, "{}")], act).await;
    assert_eq!(told.unwrap_err().kind(), Kind::RecordNotFound);
    let (told, _) = asked("", vec![], act).await;
    assert_eq!(told.unwrap_err().kind(), Kind::UnsupportedByProvider);
    let by_phone = r#"{"api": {"contact": {"path": "/people/{phone}", "name": "/label"}}}"#;
    let hidden = async |custom: &Custom, call: &Call<'_>| {
        custom.contact_info(call, "183800000000123@lid", AT).await
    };
    let (told, _) = asked(by_phone, vec![], hidden).await;
    assert_eq!(told.unwrap_err().kind(), Kind::InvalidRecipient);
    for (mapping, word) in [
        (r#"{"api": {"contact": {"path": "/people"}}}"#, "{chat_id} or {phone}"),
        (r#"{"api": {"contact": {"path": "/people/{chat_id}", "id": "/id"}}}"#, "id"),
        (r#"{"api": {"contact": {"path": "/people/{chat_id}", "body": {}}}}"#, "a GET has no body"),
    ] {
        let why = Custom::new(mapping).unwrap_err().to_string();
        assert!(why.contains(word), "{why}");
    }
}

#[tokio::test]
async fn contacts_by_offset() {
    let people = json!([
        {"id": "447700900123@s.whatsapp.net", "label": "Amira (Acme)", "nick": "Amira Osei",
         "photo": "https://pps.example/b", "company": true, "blocked": false, "lid": "183800000000123@lid"},
        {"label": "nobody"},
        {"id": "120363025550100777@g.us", "label": "A group"},
        {"id": "447700900124", "nick": "Only Push"},
    ]);
    let act = async |custom: &Custom, call: &Call<'_>| {
        custom.list_contacts(call, Some("500"), AT).await.unwrap()
    };
    let (read, seen) = asked(&page(), answer(&json!({"people": people, "of": 504})), act).await;
    assert_eq!(seen[0].0, "GET /people?limit=500&offset=500");
    assert_eq!((read.next, read.total), (None, Some(504)));
    assert_eq!(read.unreadable, ["contact 2 of the page: it names nobody"]);
    let [amira, other] = &read.items[..] else { panic!("{:?}", read.items) };
    let What::Contact(amira) = &amira.what else { panic!("{amira:?}") };
    let What::Contact(other) = &other.what else { panic!("{other:?}") };
    assert_eq!(amira.person.phone.as_deref(), Some("+447700900123"));
    assert_eq!(amira.person.name.as_deref(), Some("Amira (Acme)"));
    assert_eq!(amira.person.pushname.as_deref(), Some("Amira Osei"));
    assert_eq!(amira.person.lid.as_deref(), Some("183800000000123@lid"));
    assert_eq!(
        (amira.is_business, amira.is_blocked, amira.picture.as_deref(), amira.at),
        (Some(true), Some(false), Some("https://pps.example/b"), AT)
    );
    assert_eq!(other.person.contact_id, "447700900124@s.whatsapp.net");
    assert_eq!((&other.person.name, other.is_blocked), (&None, None));
}

#[tokio::test]
async fn groups_by_the_number_of_the_page() {
    let groups: Vec<Value> = (0..100)
        .map(|n| {
            json!({"id": format!("1203630255501{n:05}@g.us"), "title": "Ops", "about": "Night crew",
                "members": [{"id": "447700900123@s.whatsapp.net", "leads": true}, {"id": "447700900124"}]})
        })
        .collect();
    let list = async |cursor: Option<&str>, groups: &[Value]| {
        let act = async |custom: &Custom, call: &Call<'_>| {
            custom.list_groups(call, cursor, AT).await.unwrap()
        };
        asked(&page(), answer(&json!({"groups": groups})), act).await
    };
    let (read, seen) = list(None, &groups).await;
    assert_eq!(seen[0].0, "GET /groups?page=1&per_page=100");
    assert_eq!(read.next.as_deref(), Some("100"));
    let group = &read.items[0];
    assert_eq!((group.group_id.as_str(), group.kind.as_str()), ("120363025550100000@g.us", "info"));
    assert_eq!((group.description.as_deref(), group.at), (Some("Night crew"), AT));
    assert!(group.all_members);
    let roles: Vec<_> = group.members.iter().map(|one| one.role).collect();
    assert_eq!(roles, [Some(Role::Admin), None]);
    let (read, seen) = list(Some("100"), &[json!({"title": "?"})]).await;
    assert_eq!(seen[0].0, "GET /groups?page=2&per_page=100");
    assert_eq!((read.items.len(), read.next), (0, None));
    assert_eq!(read.unreadable, ["group 1 of the page: it names no group"]);
}

#[tokio::test]
async fn members_that_a_list_does_not_name_are_asked_for() {
    let mapping = r#"{"api": {
        "groups": {"info": {"method": "GET", "path": "/groups/{group_id}", "members": "/members"}},
        "lists": {"groups": {"path": "/groups", "group_id": "/id", "name": "/title"}}}}"#;
    let group = "120363025550100777@g.us";
    let list = json!([{"id": group, "title": "Ops"}]).to_string();
    let act =
        async |custom: &Custom, call: &Call<'_>| custom.list_groups(call, None, AT).await.unwrap();
    let members = json!({"members": ["447700900123", "447700900124"]}).to_string();
    let (page, seen) = asked(mapping, vec![reply(200, &list), reply(200, &members)], act).await;
    assert_eq!(seen[1].0, format!("GET /groups/{group}"));
    let told = &page.items[0];
    assert_eq!(
        (told.name.as_deref(), told.members.len(), told.all_members),
        (Some("Ops"), 2, true)
    );
    let (page, _) = asked(mapping, vec![reply(200, &list), reply(404, "")], act).await;
    assert_eq!((page.items[0].name.as_deref(), page.unreadable.len()), (Some("Ops"), 1));
}

#[tokio::test]
async fn messages_by_cursor_are_those_of_the_webhook() {
    let event = |id: &str, kind: &str| {
        json!({"event_type": kind, "channel_id": "main", "data": {"message": {"id": id,
            "from": "447700900123@s.whatsapp.net", "to": "447700900999@s.whatsapp.net", "type": "text",
            "body": "Hello", "timestamp": 1_765_800_001}, "contact": {"pushname": "amira"}}})
    };
    let events = [
        event("A1", "message.received"),
        event("A2", "message.typed"),
        event("", "message.received"),
        json!({"event_type": "account.state", "data": {"account": {"state": "connected"}}}),
    ];
    let second = |second| Some(Timestamp::from_second(second).unwrap());
    let chat = Some("447700900123@s.whatsapp.net");
    let asks =
        History { since: second(1_765_800_000), until: second(1_765_900_000), chat, ..history() };
    let act = async |custom: &Custom, call: &Call<'_>| {
        custom.list_messages(call, &asks, Some("after-500")).await.unwrap()
    };
    let body = json!({"events": events, "more": "after-504"});
    let (read, seen) = asked(&page(), answer(&body), act).await;
    let times = "since=2025-12-15T12%3A00%3A00Z&until=2025-12-16T15%3A46%3A40Z";
    let query = format!("chat=447700900123%40s.whatsapp.net&cursor=after-500&limit=500&{times}");
    assert_eq!(seen[0].0, format!("GET /messages?{query}"));
    assert_eq!(read.next.as_deref(), Some("after-504"));
    assert_eq!(
        read.unreadable,
        ["message 3 of the page: it names no message id at /data/message/id"]
    );
    let route = Route { method: "POST", sub_path: "", received_at: AT };
    let told = events[..2].iter().map(|event| {
        let body = event.to_string();
        let custom = Custom::new("").unwrap();
        let parsed = custom.parse(&Signed::from_journal(body.as_bytes()), &route).unwrap();
        parsed.events[0].what.clone()
    });
    assert!(told.eq(read.items.into_iter().map(|event| event.what)));

    let act = async |custom: &Custom, call: &Call<'_>| {
        custom.list_messages(call, &history(), None).await.unwrap()
    };
    let (read, seen) = asked(&page(), answer(&json!({"events": [], "more": null})), act).await;
    assert_eq!(seen[0].0, "GET /messages?limit=500");
    assert_eq!(read.next, None);
}

#[tokio::test]
async fn bare_messages_in_one_answer_that_is_asked_for_by_a_body() {
    let mapping = r#"{"api": {"lists": {"messages": {"method": "POST", "path": "/history",
        "body": {"from": "{since}"}, "times": "seconds", "event_at": "/data/message"}}}}"#;
    let since = Some(Timestamp::from_second(1_765_800_000).unwrap());
    let asks = History { since, ..history() };
    let list = json!([{"id": "A1", "from": "447700900123", "body": "Hello", "timestamp": 1_765_800_001},
        {"id": "A2", "from": "447700900999", "to": "447700900123", "from_me": true, "body": "Hi"}, 7]);
    let act = async |custom: &Custom, call: &Call<'_>| {
        custom.list_messages(call, &asks, None).await.unwrap()
    };
    let (read, seen) = asked(mapping, answer(&list), act).await;
    assert_eq!(seen, [("POST /history".to_owned(), json!({"from": 1_765_800_000}))]);
    assert_eq!((read.items.len(), read.next), (2, None));
    assert_eq!(read.unreadable.len(), 1);
    let What::Message(first) = &read.items[0].what else { panic!("{:?}", read.items) };
    assert_eq!((first.message_id.as_str(), first.at.as_second()), ("A1", 1_765_800_001));
    let chat = History { chat: Some("447700900123@s.whatsapp.net"), ..history() };
    let act = async |custom: &Custom, call: &Call<'_>| {
        custom.list_messages(call, &chat, None).await.unwrap_err()
    };
    let (error, seen) = asked(mapping, answer(&list), act).await;
    assert_eq!((error.kind(), seen.len()), (Kind::UnsupportedByProvider, 0));
}

#[tokio::test]
async fn people_are_blocked_and_let_in_again() {
    let block = async |mapping: &str, status, blocked| {
        let act = async |custom: &Custom, call: &Call<'_>| {
            custom.contact_block(call, "447700900123@s.whatsapp.net", blocked).await
        };
        let (outcome, seen) = asked(mapping, vec![reply(status, "")], act).await;
        (outcome.map_err(|error| error.kind()), seen.into_iter().map(|(line, _)| line).collect())
    };
    let path = "/people/447700900123@s.whatsapp.net/block";
    let mapping = page();
    assert_eq!(block(&mapping, 200, true).await, (Ok(()), vec![format!("PUT {path}")]));
    assert_eq!(block(&mapping, 409, false).await, (Ok(()), vec![format!("DELETE {path}")]));
    assert_eq!(block(&mapping, 404, true).await.0, Err(Kind::RecordNotFound));
    assert_eq!(block("", 200, true).await, (Err(Kind::UnsupportedByProvider), vec![]));
}

#[test]
fn what_has_a_call_can_be_synchronised() {
    use wabridge_domain::capability::Operation as Op;
    let all = [Op::ContactSync, Op::GroupSync, Op::MessageSync];
    let can = |mapping: &str| {
        let custom = Custom::new(mapping).unwrap();
        all.map(|operation| custom.capabilities().can(operation))
    };
    assert_eq!(can(&page()), [true; 3]);
    assert_eq!(can(""), [false; 3]);
}

#[test]
fn lists_that_cannot_be_are_refused_with_key_and_cure() {
    let list = |name: &str, more: &str| {
        format!(r#"{{"api":{{"lists":{{"{name}":{{"path":"/x"{more}}}}}}}}}"#)
    };
    for (mapping, key, cure) in [
        (list("contacts", ""), "api.lists.contacts.id", "say where"),
        (list("contacts", r#","id":"/id","role":"/r""#), "api.lists.contacts.role", "leave it out"),
        (list("groups", r#","name":"/n""#), "api.lists.groups.group_id", "say where"),
        (list("messages", r#","query":{"c":"{cursor}"}"#), "api.lists.messages.next", "say where"),
        (list("messages", r#","next":"/n""#), "api.lists.messages.next", "no {cursor}"),
        (
            list("messages", r#","query":{"c":"{cursor}","o":"{offset}"},"next":"/n""#),
            "api.lists.messages",
            "leave one",
        ),
        (
            list("contacts", r#","id":"/id","query":{"s":"{since}"}"#),
            "api.lists.contacts",
            "{since}",
        ),
        (list("messages", r#","body":{"a":1}"#), "api.lists.messages.body", "query"),
        (list("messages", r#","size":0"#), "api.lists.messages", "1 to 1000"),
        (list("messages", r#","event_at":"data""#), "api.lists.messages", "/data/message"),
        (list("messages", r#","idd":"/x""#), "api.lists.messages", "unknown field"),
        (r#"{"api":{"block":{"path":"/x/{phone}"}}}"#.to_owned(), "api.block.method", "GET"),
        (r#"{"api":{"block":{"method":"PUT","path":"/x"}}}"#.to_owned(), "api.block", "{chat_id}"),
    ] {
        let error = Custom::new(&mapping).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(cure), "{mapping}: {error}");
    }
}
