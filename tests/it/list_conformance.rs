//! One suite for all providers, at the adapter: the lists of contacts, groups and messages against the simulator. Pages
//! are complete and go on by their cursor alone; what cannot be read spoils no other; what is refused is a decision; the
//! history names a message as its webhook does; one person is told as the list tells them; people are blocked and let in
//! again.
//!
//! With `WABRIDGE_RECORD_REQUESTS=<folder>` the requests of each provider are kept there as `lists-<provider>.json`, for
//! `tests/tools/validate_requests.py`.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use wabridge_domain::ProviderKind;
use wabridge_domain::capability::Operation;
use wabridge_domain::error::Kind;
use wabridge_domain::event::{ContactUpdate, Event, GroupUpdate, Message, What};
use wabridge_providers::{CallError, History, Page, adapter};

use crate::support::Provider;
use crate::support::at_adapter::AtAdapter as World;

const AMIRA: &str = "447700900123";
const NOT_ON_WHATSAPP: &str = "447700900801";

const CONTACTS: usize = 1_203;
const GROUPS: usize = 207;
const MEMBERS: usize = 1_042;
const MESSAGES: usize = 1_310;

/// The lists of the generic format's page.
fn mapping() -> String {
    let page = include_str!("../../docs/CUSTOM_PROVIDER.md");
    let (_, section) = page.split_once("\n## Lists\n").expect("the section");
    let (_, block) = section.split_once("```json\n").expect("the mapping");
    block.split("```").next().unwrap_or_default().to_owned()
}

/// Later than everything that the simulator tells.
fn now() -> Timestamp {
    "2100-01-01T00:00:00Z".parse().expect("a time")
}

fn history<'a>() -> History<'a> {
    History { since: None, until: None, chat: None, at: now() }
}

impl World {
    async fn with_lists(kind: ProviderKind) -> Self {
        let bulk = json!({
            "contacts": CONTACTS, "groups": GROUPS, "members": MEMBERS, "messages": MESSAGES,
            "provider": kind.as_str(), "token": Provider::from(kind).token(),
            "people": [{"phone": AMIRA, "name": "Amira Osei", "saved_name": "Amira (Acme)"}],
        });
        Self::start(kind, &mapping(), bulk).await
    }

    async fn fault(&self, operation: &str, fault: Value) {
        let mut fault = fault;
        fault["operation"] = operation.into();
        fault["times"] = 1.into();
        self.simulator.control("faults", fault).await;
    }

    async fn contacts(&self, cursor: Option<&str>) -> Result<Page<Event>, CallError> {
        self.adapter.list_contacts(&self.call(), cursor, now()).await
    }

    async fn groups(&self, cursor: Option<&str>) -> Result<Page<GroupUpdate>, CallError> {
        self.adapter.list_groups(&self.call(), cursor, now()).await
    }

    async fn messages(
        &self,
        history: &History<'_>,
        cursor: Option<&str>,
    ) -> Result<Page<Event>, CallError> {
        self.adapter.list_messages(&self.call(), history, cursor).await
    }

    /// Somebody writes; the id of the message.
    async fn write(&self, text: &str) -> String {
        let (provider, token) = (self.account.word(), self.account.token());
        let write = json!({"provider": provider, "token": token, "from": AMIRA, "text": text});
        let answer = self.simulator.control("inbound", write).await;
        answer["id"].as_str().expect("the id of the message").to_owned()
    }
}

/// All pages of a list, each by nothing but the cursor of the one before, and how many there were.
async fn all<T>(
    mut page: impl AsyncFnMut(Option<String>) -> Result<Page<T>, CallError>,
) -> (Vec<T>, usize) {
    let (mut items, mut pages, mut cursor) = (vec![], 0, None);
    loop {
        let read = page(cursor.take()).await.expect("a page");
        assert_eq!(read.unreadable, Vec::<String>::new());
        items.extend(read.items);
        pages += 1;
        match read.next {
            Some(next) => {
                assert!(next.len() < 256 && next.is_ascii(), "{next}");
                cursor = Some(next);
            }
            None => return (items, pages),
        }
    }
}

fn contact(event: &Event) -> &ContactUpdate {
    match &event.what {
        What::Contact(contact) => contact,
        other => panic!("no contact: {other:?}"),
    }
}

fn message(event: &Event) -> &Message {
    match &event.what {
        What::Message(message) => message,
        other => panic!("no message: {other:?}"),
    }
}

fn distinct<'a>(ids: impl Iterator<Item = &'a str>) -> usize {
    ids.collect::<BTreeSet<_>>().len()
}

async fn contacts_are_complete(world: &World) {
    let (contacts, pages) =
        all(async |cursor: Option<String>| world.contacts(cursor.as_deref()).await).await;
    assert_eq!((contacts.len(), pages), (CONTACTS + 1, 3));
    let ids = contacts.iter().map(|event| contact(event).person.contact_id.as_str());
    assert_eq!(distinct(ids), CONTACTS + 1);
    let of = |phone: &str| {
        let found =
            contacts.iter().map(contact).find(|one| one.person.phone.as_deref() == Some(phone));
        found.unwrap_or_else(|| panic!("{phone} is missing"))
    };
    let amira = of("+447700900123");
    assert_eq!(amira.person.name.as_deref(), Some("Amira (Acme)"));
    assert_eq!(amira.person.pushname.as_deref(), Some("Amira Osei"));
    let first = of("+447700000000");
    assert_eq!((first.is_business, first.at), (Some(true), now()));
    assert_eq!(first.person.pushname.as_deref(), Some("Person 1"));
}

async fn groups_are_complete(world: &World) {
    let (groups, _) =
        all(async |cursor: Option<String>| world.groups(cursor.as_deref()).await).await;
    assert_eq!(groups.len(), GROUPS);
    assert_eq!(distinct(groups.iter().map(|group| group.group_id.as_str())), GROUPS);
    assert_eq!(distinct(groups.iter().filter_map(|group| group.name.as_deref())), GROUPS);
    assert!(groups.iter().all(|group| group.kind == "info" && group.at == now()));
    assert!(groups.iter().all(|group| group.all_members));
    // The account itself is a member where the provider counts it.
    let others = groups.iter().flat_map(|group| &group.members);
    let others = others.filter(|one| one.person.phone.as_deref() != Some("+447700900999"));
    assert_eq!(others.count(), MEMBERS);
    if world.kind == ProviderKind::Custom {
        // The mapping has no call for a single one.
        return;
    }
    let group = &groups[GROUPS - 1];
    let told = world.adapter.group_info(&world.call(), &group.group_id, now()).await;
    let mut told = told.expect("it is told");
    // Only who asks for one group of WHAPI's is told its invitation.
    told.invite_link.clone_from(&group.invite_link);
    assert_eq!(told, *group);
}

async fn messages_are_complete(world: &World) {
    let since_ever = history();
    let (events, pages) =
        all(async |cursor: Option<String>| world.messages(&since_ever, cursor.as_deref()).await)
            .await;
    assert_eq!((events.len(), pages), (MESSAGES, 3));
    assert_eq!(distinct(events.iter().map(|event| message(event).message_id.as_str())), MESSAGES);
    let inbound = events.iter().map(message).filter(|one| !one.from_me);
    assert!(inbound.clone().all(|one| one.sender.is_some()));
    assert_eq!(inbound.count(), MESSAGES - MESSAGES / 3);
    let in_groups = events.iter().filter(|event| message(event).chat.id.ends_with("@g.us"));
    assert_eq!(in_groups.count(), MESSAGES / 10);

    // Of a time; who cannot choose may tell more, and ends all the same.
    let mut times: Vec<Timestamp> = events.iter().map(|event| message(event).at).collect();
    times.sort_unstable();
    let since = times[MESSAGES - 100];
    let late = History { since: Some(since), ..history() };
    let (events, pages) =
        all(async |cursor: Option<String>| world.messages(&late, cursor.as_deref()).await).await;
    assert_eq!(pages, 1);
    assert_eq!(events.iter().filter(|event| message(event).at >= since).count(), 100);

    // Of a chat.
    let chat = message(&events[0]).chat.id.clone();
    let of_chat = History { chat: Some(&chat), ..history() };
    let (events, _) =
        all(async |cursor: Option<String>| world.messages(&of_chat, cursor.as_deref()).await).await;
    assert!(!events.is_empty() && events.iter().all(|event| message(event).chat.id == chat));

    // What is written while the list is read neither hides nor doubles what was there before.
    let first = world.messages(&since_ever, None).await.expect("a page");
    let fresh = world.write("in between").await;
    let mut ids: BTreeSet<String> = BTreeSet::new();
    let mut take = |page: &Page<Event>| {
        ids.extend(page.items.iter().map(|event| message(event).message_id.clone()));
    };
    take(&first);
    let mut cursor = first.next;
    while let Some(next) = cursor {
        let page = world.messages(&since_ever, Some(&next)).await.expect("a page");
        take(&page);
        cursor = page.next;
    }
    ids.remove(&fresh);
    assert_eq!(ids.len(), MESSAGES);
    let (events, _) =
        all(async |cursor: Option<String>| world.messages(&late, cursor.as_deref()).await).await;
    let told = events.iter().map(message).find(|one| one.message_id == fresh);
    assert_eq!(told.and_then(|one| one.content.as_deref()), Some("in between"));
}

/// The answer of a list with one entry that can be read and one that cannot.
fn half_readable(kind: ProviderKind, list: &str) -> Value {
    let wid = match kind {
        ProviderKind::Wassenger => format!("{AMIRA}@c.us"),
        _ => format!("{AMIRA}@s.whatsapp.net"),
    };
    let group = "120363900000000000@g.us";
    let entries = match (list, kind) {
        ("contacts", ProviderKind::Wassenger) => {
            json!([{"wid": wid, "name": "Amira"}, {"name": "?"}])
        }
        ("contacts", _) => json!([{"id": wid, "name": "Amira"}, {"name": "?"}]),
        ("groups", ProviderKind::Meta) => {
            json!([{"id": "Y2FwaV9ncm91cDoxMjAzNjM5MDAwMDAwMDAwMDAZD", "subject": "Ops"}, {"subject": "?"}])
        }
        ("groups", _) => json!([{"id": group, "name": "Ops", "participants": []}, {"name": "?"}]),
        (_, ProviderKind::Wassenger) => {
            json!([{"id": "3EB0FFEEDDCCBBAA0011", "type": "text", "body": "Hi",
            "flow": "inbound", "timestamp": 1_765_800_001, "from": wid, "chat": {"id": wid}}, {"body": "?"}])
        }
        (_, ProviderKind::Custom) => json!([
            {"event_type": "message.received", "data": {"message": {"id": "A1", "from": wid, "body": "Hi"}}},
            {"event_type": "message.received", "data": {"message": {"from": wid}}}]),
        (_, _) => json!([{"id": "a.12-gHIJ", "type": "text", "chat_id": wid, "from_me": false,
            "timestamp": 1_765_800_001, "from": AMIRA, "text": {"body": "Hi"}}, {"id": "a.13-gHIJ"}]),
    };
    match (kind, list) {
        (ProviderKind::Wassenger, _) => entries,
        (ProviderKind::Meta, _) => json!({"data": {"groups": entries}}),
        (ProviderKind::Custom, "contacts") => json!({"people": entries}),
        (ProviderKind::Custom, "groups") => json!({"groups": entries}),
        (ProviderKind::Custom, _) => json!({"events": entries}),
        (ProviderKind::Whapi, list) => json!({list: entries}),
    }
}

/// Runs a list under a fault: what can be read of the page, or the decision.
async fn under(world: &World, list: &str, fault: Value) -> Result<(usize, Vec<String>), CallError> {
    let operation = format!("{}.list", list.trim_end_matches('s'));
    world.fault(&operation, fault).await;
    Ok(match list {
        "contacts" => world.contacts(None).await.map(|page| (page.items.len(), page.unreadable))?,
        "groups" => world.groups(None).await.map(|page| (page.items.len(), page.unreadable))?,
        _ => {
            let page = world.messages(&history(), None).await?;
            (page.items.len(), page.unreadable)
        }
    })
}

async fn faults_are_decisions(world: &World, lists: &[&str]) {
    for list in lists {
        let word = list.trim_end_matches('s');
        let body = half_readable(world.kind, list);
        let (read, unreadable) =
            under(world, list, json!({"status": 200, "body": body})).await.expect("a page");
        assert_eq!((read, unreadable.len()), (1, 1), "{list}");
        assert!(unreadable[0].starts_with(&format!("{word} 2 of the page: ")), "{unreadable:?}");
        let error = async |fault: Value| under(world, list, fault).await.expect_err("an error");
        let retry_after = Some(Duration::from_secs(3));
        let slow = error(json!({"retry_after": 3})).await;
        assert_eq!(slow, CallError::RateLimited { retry_after }, "{list}");
        for fault in [
            json!({"status": 503, "body": "<html>"}),
            json!({"status": 200, "body": "no list"}),
            json!({"drop_answer": true}),
        ] {
            let kind = error(fault.clone()).await.kind();
            assert_eq!(kind, Kind::ProviderUnavailable, "{list} {fault}");
        }
        // Nothing of it stays.
        let (read, unreadable) = under(world, list, json!({"delay_ms": 1})).await.expect("a page");
        assert!(read >= 20 && unreadable.is_empty(), "{list}: {read}");
    }
}

/// A place to go on from that no list of the provider has told.
async fn foreign_cursors_are_refused(world: &World, lists: &[&str]) {
    for list in lists {
        let error = match *list {
            "contacts" => world.contacts(Some("page two")).await.expect_err("it is refused"),
            "groups" => world.groups(Some("page two")).await.expect_err("it is refused"),
            _ => world.messages(&history(), Some("page two")).await.expect_err("it is refused"),
        };
        // A cursor of a custom provider is known to that alone.
        if (world.kind, *list) == (ProviderKind::Custom, "messages") {
            assert!(matches!(error, CallError::Refused { .. }), "{error:?}");
        } else {
            assert_eq!(error.kind(), Kind::InvalidContent, "{list}: {error:?}");
        }
    }
}

async fn people_are_blocked_and_let_in_again(world: &World) {
    let state = async || {
        let url = format!("{}/_control/state", world.simulator.url);
        let answer = world.http.get(url).send().await.expect("the simulator answers");
        let bytes = answer.bytes().await.expect("a body");
        let state: Value = serde_json::from_slice(&bytes).expect("JSON");
        let people = state["people"].as_array().cloned().unwrap_or_default();
        let amira = people.into_iter().find(|one| one["phone"] == AMIRA);
        amira.expect("a person")["is_blocked"].clone()
    };
    let id = |phone: &str| {
        let to = wabridge_domain::recipient::Recipient::parse(&format!("+{phone}"), None);
        world.adapter.chat(&to.expect("a number")).expect("a chat").id
    };
    for blocked in [true, true, false, false] {
        let outcome = world.adapter.contact_block(&world.call(), &id(AMIRA), blocked).await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(state().await, json!(blocked));
    }
    let unknown = world.adapter.contact_block(&world.call(), &id(NOT_ON_WHATSAPP), true).await;
    assert!(matches!(unknown, Err(CallError::Refused { .. })), "{unknown:?}");
}

async fn one_person_is_told_as_in_the_list(world: &World) {
    let id = |phone: &str| {
        let to = wabridge_domain::recipient::Recipient::parse(&format!("+{phone}"), None);
        world.adapter.chat(&to.expect("a number")).expect("a chat").id
    };
    let ask = async |id: &str| world.adapter.contact_info(&world.call(), id, now()).await;
    let amira = ask(&id(AMIRA)).await.expect("she is known");
    let amira = contact(&amira);
    assert_eq!(amira.person.contact_id, id(AMIRA));
    assert_eq!(amira.person.phone.as_deref(), Some("+447700900123"));
    assert_eq!(amira.person.name.as_deref(), Some("Amira (Acme)"));
    assert_eq!(amira.person.pushname.as_deref(), Some("Amira Osei"));
    assert_eq!(amira.at, now());
    assert_eq!(amira.picture.as_deref().unwrap_or_default(), "");
    assert_ne!(amira.is_business, Some(true));

    let now_known = json!({"phone": AMIRA, "name": "A. Osei", "picture": "https://pps.example/new",
        "is_business": true});
    world.simulator.control("state", json!({"people": [now_known]})).await;
    let amira = ask(&id(AMIRA)).await.expect("she is known");
    let amira = contact(&amira);
    assert_eq!(amira.person.pushname.as_deref(), Some("A. Osei"));
    assert_eq!(amira.picture.as_deref(), Some("https://pps.example/new"));
    assert_eq!(amira.is_business, Some(true));

    let refused = ask(&id(NOT_ON_WHATSAPP)).await.expect_err("nobody knows them");
    assert_eq!(refused.kind(), Kind::RecordNotFound);
    if world.kind == ProviderKind::Whapi {
        let hidden = ask("183800000000123@lid").await.expect_err("it takes numbers only");
        assert_eq!(hidden.kind(), Kind::InvalidRecipient);
    }
    let under = async |fault: Value| {
        world.fault("contact.get", fault).await;
        ask(&id(AMIRA)).await.expect_err("a fault")
    };
    let slow = CallError::RateLimited { retry_after: Some(Duration::from_secs(3)) };
    assert_eq!(under(json!({"retry_after": 3})).await, slow);
    for fault in [
        json!({"status": 503, "body": "<html>"}),
        json!({"status": 200, "body": "nobody"}),
        json!({"status": 200, "body": []}),
        json!({"drop_answer": true}),
    ] {
        assert_eq!(under(fault.clone()).await.kind(), Kind::ProviderUnavailable, "{fault}");
    }
    ask(&id(AMIRA)).await.expect("nothing of it stays");
}

async fn everything(kind: ProviderKind) {
    let world = World::with_lists(kind).await;
    contacts_are_complete(&world).await;
    groups_are_complete(&world).await;
    messages_are_complete(&world).await;
    people_are_blocked_and_let_in_again(&world).await;
    one_person_is_told_as_in_the_list(&world).await;
    world.keep_requests("lists").await;
    let lists = ["contacts", "groups", "messages"];
    foreign_cursors_are_refused(&world, &lists).await;
    faults_are_decisions(&world, &lists).await;
    for operation in [
        Operation::ContactBlock,
        Operation::ContactRefresh,
        Operation::ContactSync,
        Operation::GroupSync,
        Operation::MessageSync,
    ] {
        assert!(world.adapter.capabilities().can(operation), "{operation:?}");
    }
}

#[tokio::test]
async fn whapi() {
    everything(ProviderKind::Whapi).await;
}

/// Its list of groups names no members: they are asked for.
#[tokio::test]
async fn wassenger() {
    everything(ProviderKind::Wassenger).await;
}

#[tokio::test]
async fn custom() {
    everything(ProviderKind::Custom).await;
    let bare = adapter(ProviderKind::Custom, None).expect("the generic format");
    for operation in [Operation::ContactSync, Operation::ContactBlock, Operation::ContactRefresh] {
        assert!(!bare.capabilities().can(operation), "{operation:?}");
    }
}

/// Meta lists groups, and nothing else.
#[tokio::test]
async fn meta() {
    let world = World::with_lists(ProviderKind::Meta).await;
    groups_are_complete(&world).await;
    people_are_blocked_and_let_in_again(&world).await;
    world.keep_requests("lists").await;
    foreign_cursors_are_refused(&world, &["groups"]).await;
    faults_are_decisions(&world, &["groups"]).await;
    let contacts = world.contacts(None).await.expect_err("it is refused");
    let messages = world.messages(&history(), None).await.expect_err("it is refused");
    let person = world.adapter.contact_info(&world.call(), AMIRA, now()).await;
    for error in [contacts, messages, person.expect_err("it is refused")] {
        assert_eq!(error.kind(), Kind::UnsupportedByProvider);
    }
    let can = |operation| world.adapter.capabilities().can(operation);
    assert!(can(Operation::GroupSync) && can(Operation::ContactBlock));
    assert!(!can(Operation::ContactRefresh));
    assert!(!can(Operation::ContactSync) && !can(Operation::MessageSync));
}
