//! A database, and events to put into it.

use std::time::Duration;

use jiff::Timestamp;
use wabridge_domain::ProviderKind;
use wabridge_domain::event::{
    Chat, ChatKind, Message, Person, ProviderError, Source, StatusUpdate, What,
};
use wabridge_domain::message::{MessageType, StatusWord};
use wabridge_store::apply::{Changes, Echoes, Item, apply, release_echoes};
use wabridge_store::ingest::{self, Budget};
use wabridge_store::{Database, Options, StoreError, early_event, tx};
use wabridge_testkit::{Series, TestDatabase};

pub const AMIRA: &str = "447700900123@s.whatsapp.net";
pub const GROUP: &str = "120363025550100777@g.us";
pub const T0: i64 = 1_765_800_000;

pub struct Fixture {
    pub database: TestDatabase,
    pub store: Database,
}

impl Fixture {
    pub async fn new(series: Series) -> Self {
        let database = TestDatabase::new(series).await;
        let store =
            Database::new(&database.name, &database.url, None, &Options::default()).unwrap();
        Self { database, store }
    }

    pub async fn try_apply(&self, items: &[Item]) -> Result<Changes, StoreError> {
        let items: Vec<&Item> = items.iter().collect();
        tx!(&self.store, "test.apply", |tx| apply(tx, &items, Echoes::MayWait).await)
    }

    pub async fn apply(&self, items: &[Item]) -> Changes {
        self.try_apply(items).await.unwrap()
    }

    /// As the ingest does it: applied in one transaction, looked after in others.
    pub async fn settle(&self, items: &[Item]) {
        let mut changes = self.apply(items).await;
        let mut session = self.store.session().await.unwrap();
        let budget = Budget { lock: Duration::from_secs(2), statement: Duration::from_secs(10) };
        ingest::look_again(&mut session, &mut changes, budget).await.unwrap();
    }

    pub async fn release(&self) -> (Changes, usize) {
        let released: Result<_, StoreError> = tx!(&self.store, "test.release", |tx| {
            let targets = early_event::released(tx, 10).await?;
            Ok::<_, StoreError>((release_echoes(tx, &targets).await?, targets.len()))
        });
        released.unwrap()
    }

    pub async fn text(&self, sql: &str) -> String {
        self.database.text(sql).await.unwrap_or_else(|| "NULL".into())
    }

    /// The last values of every sequence of Odoo's tables, and the versions of all rows the daemon writes there.
    pub async fn traces(&self) -> String {
        let mut traces = String::new();
        for table in [
            "contact",
            "group",
            "group_member",
            "chat",
            "message",
            "event",
            "message_receipt",
            "message_revision",
            "account_state",
        ] {
            traces += &self
                .text(&format!(
                    "SELECT '{table} ' || (SELECT last_value || ' ' || is_called FROM whatsapp_{table}_id_seq) || ' '
                     || coalesce((SELECT string_agg(id || ':' || xmin || ':' || ctid, ' ' ORDER BY id) FROM whatsapp_{table}), '') || E'\n'"
                ))
                .await;
        }
        traces
    }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(T0 + second).unwrap()
}

pub fn amira() -> Person {
    Person {
        contact_id: AMIRA.into(),
        phone: Some("+447700900123".into()),
        pushname: Some("Amira Osei".into()),
        ..Person::default()
    }
}

pub fn item(what: What, person: Option<Person>) -> Item {
    Item { configuration_id: 1, provider: ProviderKind::Whapi, what, person, received_at: at(1000) }
}

pub fn message(id: &str, second: i64) -> Message {
    Message {
        message_id: id.into(),
        chat: Chat { id: AMIRA.into(), kind: ChatKind::Direct, name: None },
        from_me: false,
        source: Source::Unknown,
        sender: Some(amira()),
        at: at(second),
        message_type: MessageType::Text,
        content: Some(format!("text of {id}")),
        caption: None,
        quoted_id: None,
        word: None,
        media: None,
        location: None,
        forwarded: false,
        reference: None,
        extra: serde_json::Map::new(),
    }
}

pub fn inbound(id: &str, second: i64) -> Item {
    item(What::Message(Box::new(message(id, second))), Some(amira()))
}

pub fn in_group(id: &str, second: i64, name: Option<&str>) -> Item {
    let mut message = message(id, second);
    message.chat = Chat { id: GROUP.into(), kind: ChatKind::Group, name: name.map(str::to_owned) };
    item(What::Message(Box::new(message)), Some(amira()))
}

pub fn from_me(id: &str, second: i64, source: Source, word: Option<StatusWord>) -> Item {
    let mut message = message(id, second);
    message.from_me = true;
    message.source = source;
    message.sender = None;
    message.word = word;
    item(What::Message(Box::new(message)), Some(Person { pushname: None, ..amira() }))
}

pub fn status(id: &str, word: StatusWord, second: i64) -> Item {
    let error = (word == StatusWord::Failed).then(|| ProviderError {
        kind: None,
        code: Some("500".into()),
        message: "send failed".into(),
    });
    item(
        What::Status(StatusUpdate {
            message_id: id.into(),
            word,
            at: at(second),
            member: None,
            error,
            reference: None,
        }),
        None,
    )
}

pub async fn open_attempt(fixture: &Fixture) -> i64 {
    fixture
        .database
        .count(&format!(
            "INSERT INTO wabridge.attempt (configuration_id, chat_key, message_id, outbox_id, number, epoch, owner, request_id)
             VALUES (1, '{AMIRA}', 1, 1, 1, 1, gen_random_uuid(), 'r') RETURNING id"
        ))
        .await
}

pub fn permutations<T: Clone>(items: &mut Vec<T>, from: usize, found: &mut Vec<Vec<T>>) {
    if from == items.len() {
        found.push(items.clone());
        return;
    }
    for i in from..items.len() {
        items.swap(from, i);
        permutations(items, from + 1, found);
        items.swap(from, i);
    }
}
