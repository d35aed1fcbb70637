//! Made-up events, and the rows that they must end as whatever order they come in.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wabridge_testkit::{Dice, TestDatabase};

use crate::support::world::message_id;

/// The provider's time of the first event; each later one is a second later, so that no two are equal.
const BEGIN: i64 = 1_765_800_000;
const PEOPLE: u64 = 300;
const GROUPS: u64 = 12;
/// The words that a status may say, the last one strongest.
pub const WORDS: [&str; 6] = ["pending", "sent", "failed", "delivered", "read", "played"];

/// One event as it stands in a body.
#[derive(Debug, Clone)]
pub struct Event {
    pub array: &'static str,
    pub chat: String,
    /// The message it is or is about.
    pub target: String,
    pub json: Value,
}

/// What a row says, column by column.
pub type Row = BTreeMap<&'static str, Value>;

/// Rows by what makes them unique.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rows {
    pub messages: BTreeMap<String, Row>,
    pub chats: BTreeMap<String, Row>,
    pub contacts: BTreeMap<String, Row>,
    /// (message, member) of a group.
    pub receipts: BTreeMap<(String, String), Row>,
    /// Former texts of each message, in the order of the alphabet.
    pub revisions: BTreeMap<String, Vec<String>>,
    /// `message_received` of each message.
    pub received: BTreeMap<String, i64>,
    /// `status_failed` of each message: at most one, and one where the message ended so.
    pub failed: BTreeMap<String, i64>,
}

/// What must be there in the end.
#[derive(Debug, Default)]
pub struct Truth {
    pub rows: Rows,
    /// Messages that words speak of and that never come.
    never: BTreeMap<String, ()>,
}

fn person(n: u64) -> String {
    format!("4477009{:05}", 10_000 + n)
}

/// The person of a direct chat.
fn person_of(chat: &str) -> u64 {
    let digits = chat.trim_start_matches("4477009").trim_end_matches("@s.whatsapp.net");
    digits.parse::<u64>().expect("a chat of ours") - 10_000
}

fn direct(n: u64) -> String {
    format!("{}@s.whatsapp.net", person(n))
}

fn group(n: u64) -> String {
    format!("1203630{n:011}@g.us")
}

/// Makes up events one by one.
struct Maker<'a> {
    truth: Truth,
    events: Vec<Event>,
    dice: &'a mut Dice,
    clock: i64,
    /// What the account itself wrote: (id, chat, whether that is a group).
    own: Vec<(String, String, bool)>,
    /// What others wrote: (id, chat, who).
    theirs: Vec<(String, String, u64)>,
}

impl Truth {
    /// `count` events: four of ten are messages that come in, some are typed on the phone, some are reactions,
    /// edits and deletions, the rest are words about what was typed, and a few about messages that nobody ever sees.
    pub fn invent(count: u64, dice: &mut Dice) -> (Vec<Event>, Self) {
        let mut maker = Maker {
            truth: Self::default(),
            events: vec![],
            dice,
            clock: BEGIN,
            own: vec![],
            theirs: vec![],
        };
        for n in 0..count {
            match n % 100 {
                0..40 => maker.inbound(n),
                40..52 => maker.typed(n),
                52..57 => maker.reaction(n),
                57..63 => maker.edit(n),
                63..66 => maker.deletion(n),
                66..99 => maker.word(),
                _ => maker.word_about_nothing(n),
            }
        }
        for row in maker.truth.rows.messages.values_mut() {
            let status = status(row);
            row.insert("status", status.into());
        }
        (maker.events, maker.truth)
    }

    /// Rows of `early_event` that stay: nobody knows their message.
    pub fn early(&self) -> usize {
        self.never.len()
    }

    /// What is not as it must be, in words.
    pub fn differences(&self, found: &Rows) -> Vec<String> {
        let mut wrong = Vec::new();
        let rows = &self.rows;
        compare("message", &rows.messages, &found.messages, &mut wrong);
        compare("chat", &rows.chats, &found.chats, &mut wrong);
        compare("contact", &rows.contacts, &found.contacts, &mut wrong);
        compare("receipt", &rows.receipts, &found.receipts, &mut wrong);
        compare("former texts of", &rows.revisions, &found.revisions, &mut wrong);
        compare("event of", &rows.received, &found.received, &mut wrong);
        for (id, row) in &rows.messages {
            let times = found.failed.get(id).copied().unwrap_or_default();
            // Whether it failed before it was delivered all the same depends on the order of arrival.
            let fits = match (row["status"].as_str(), &row["failed_at"]) {
                (Some("failed"), _) => times == 1,
                (_, Value::Null) => times == 0,
                _ => times <= 1,
            };
            if !fits {
                wrong.push(format!("message {id} failed {times} times"));
            }
        }
        wrong
    }
}

fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    wanted: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
    wrong: &mut Vec<String>,
) {
    for (key, row) in wanted {
        match found.get(key) {
            None => wrong.push(format!("{what} {key:?} is missing")),
            Some(other) if other != row => {
                wrong.push(format!("{what} {key:?} is {other:?} and not {row:?}"));
            }
            Some(_) => {}
        }
    }
    for key in found.keys().filter(|key| !wanted.contains_key(key)) {
        wrong.push(format!("{what} {key:?} should not be there"));
    }
}

/// The strongest word that is known.
pub fn status(row: &Row) -> &'static str {
    if row.get("deleted_at").is_some_and(|at| !at.is_null()) {
        return "deleted";
    }
    let known = WORDS.iter().rev().find(|word| !row[column(word)].is_null());
    let stronger = ["delivered", "read", "played"].contains(known.expect("each has a first word"));
    match known {
        Some(word) if stronger || *word == "failed" => word,
        _ if !row["failed_at"].is_null() => "failed",
        Some(word) => word,
        None => "draft",
    }
}

pub fn column(word: &str) -> &'static str {
    match word {
        "pending" => "pending_at",
        "sent" => "sent_at",
        "failed" => "failed_at",
        "delivered" => "delivered_at",
        "read" => "read_at",
        "played" => "played_at",
        other => panic!("no word of ours: {other}"),
    }
}

/// Of two times of one fact the earliest stays.
fn note(row: &mut Row, word: &str, at: i64) -> bool {
    let known = &row[column(word)];
    let earlier = known.as_i64().is_none_or(|known| at < known);
    if earlier {
        row.insert(column(word), at.into());
    }
    earlier
}

impl Maker<'_> {
    fn now(&mut self) -> i64 {
        self.clock += 1;
        self.clock
    }

    fn contact(&mut self, n: u64) -> &mut Row {
        let row = Row::from([
            ("phone", format!("+{}", person(n)).into()),
            ("name", Value::Null),
            ("pushname", Value::Null),
        ]);
        self.truth.rows.contacts.entry(direct(n)).or_insert(row)
    }

    fn chat(&mut self, chat: &str, at: i64, inbound: bool) {
        let row = self.truth.rows.chats.entry(chat.to_owned()).or_insert_with(|| {
            Row::from([
                ("unread", 0.into()),
                ("last_at", Value::Null),
                ("last_inbound_at", Value::Null),
            ])
        });
        // Times only grow here.
        row.insert("last_at", at.into());
        if inbound {
            row.insert("last_inbound_at", at.into());
            let unread = row["unread"].as_i64().unwrap_or_default() + 1;
            row.insert("unread", unread.into());
        }
    }

    fn message(&mut self, id: &str, direction: &str, chat: &str, text: &str, at: i64) {
        let mut row = Row::from([
            ("direction", direction.into()),
            ("chat", chat.into()),
            ("content", text.into()),
            ("at", at.into()),
            ("error", Value::Null),
            ("quotes", Value::Null),
            ("edited_at", Value::Null),
            ("deleted_at", Value::Null),
        ]);
        for word in WORDS {
            row.insert(column(word), Value::Null);
        }
        row.insert(if direction == "inbound" { "delivered_at" } else { "sent_at" }, at.into());
        self.truth.rows.messages.insert(id.to_owned(), row);
    }

    fn inbound(&mut self, n: u64) {
        let (id, at, who) = (message_id(n), self.now(), self.dice.throw(PEOPLE));
        let in_group = self.dice.once_in(6);
        let chat = if in_group { group(self.dice.throw(GROUPS)) } else { direct(who) };
        let (text, pushname) = (format!("text {n}"), format!("Person {who} at {n}"));
        let book = if in_group { format!("Group {chat}") } else { format!("Book {who}") };
        let row = self.contact(who);
        // The latest message has the last word about how somebody calls themself.
        row.insert("pushname", pushname.as_str().into());
        if !in_group {
            row.insert("name", book.as_str().into());
        }
        self.chat(&chat, at, true);
        self.message(&id, "inbound", &chat, &text, at);
        self.truth.rows.received.insert(id.clone(), 1);
        self.theirs.push((id.clone(), chat.clone(), who));
        let json = json!({
            "id": id, "from_me": false, "type": "text", "chat_id": chat, "timestamp": at, "source": "mobile",
            "text": {"body": text}, "from": person(who), "from_name": pushname, "chat_name": book,
        });
        self.events.push(Event { array: "messages", chat, target: id, json });
    }

    fn typed(&mut self, n: u64) {
        let (id, at, who) = (message_id(n), self.now(), self.dice.throw(PEOPLE));
        let in_group = self.dice.once_in(5);
        let chat = if in_group { group(self.dice.throw(GROUPS)) } else { direct(who) };
        let text = format!("typed {n}");
        let book = if in_group { format!("Group {chat}") } else { format!("Book {who}") };
        if !in_group {
            self.contact(who).insert("name", book.as_str().into());
        }
        self.chat(&chat, at, false);
        self.message(&id, "outbound", &chat, &text, at);
        self.own.push((id.clone(), chat.clone(), in_group));
        let json = json!({
            "id": id, "from_me": true, "type": "text", "chat_id": chat, "timestamp": at, "source": "mobile",
            "text": {"body": text}, "from": "447700900999", "chat_name": book,
        });
        self.events.push(Event { array: "messages", chat, target: id, json });
    }

    /// What somebody does to a message: `action` without its target.
    fn act(&mut self, id: &str, target: &str, chat: &str, who: u64, at: i64, mut action: Value) {
        action["target"] = target.into();
        let name = format!("Person {who} at {at}");
        let direct = !chat.ends_with("@g.us");
        let book = if direct { format!("Book {who}") } else { format!("Group {chat}") };
        let json = json!({
            "id": id, "from_me": false, "type": "action", "chat_id": chat, "timestamp": at, "source": "mobile",
            "action": action, "from": person(who), "from_name": name, "chat_name": book,
        });
        let (chat, target) = (chat.to_owned(), target.to_owned());
        self.events.push(Event { array: "messages", chat, target, json });
    }

    /// A reaction to something of our own: a row of its own that counts as no unread message.
    fn reaction(&mut self, n: u64) {
        let (target, chat, _) = self.own[self.dice.index(self.own.len())].clone();
        let (id, at, who) = (message_id(n), self.now(), self.dice.throw(PEOPLE));
        let who = if chat.ends_with("@g.us") { who } else { person_of(&chat) };
        let emoji = ["👍", "🙏", "😀"][self.dice.index(3)];
        let contact = self.contact(who);
        contact.insert("pushname", format!("Person {who} at {at}").into());
        if !chat.ends_with("@g.us") {
            contact.insert("name", format!("Book {who}").into());
        }
        self.chat(&chat, at, true);
        let row = self.truth.rows.chats.get_mut(&chat).expect("it was just told");
        let unread = row["unread"].as_i64().unwrap_or_default() - 1;
        row.insert("unread", unread.into());
        self.message(&id, "inbound", &chat, emoji, at);
        self.truth
            .rows
            .messages
            .get_mut(&id)
            .expect("it was just made")
            .insert("quotes", target.as_str().into());
        self.truth.rows.received.insert(id.clone(), 1);
        self.act(&id, &target, &chat, who, at, json!({"type": "reaction", "emoji": emoji}));
    }

    /// Whoever wrote it puts another text in its place; the latest edit is shown.
    fn edit(&mut self, n: u64) {
        let (target, chat, who) = self.theirs[self.dice.index(self.theirs.len())].clone();
        let (id, at, text) = (message_id(n), self.now(), format!("edited {n}"));
        let row = self.truth.rows.messages.get_mut(&target).expect("it was made before");
        let former = row.insert("content", text.as_str().into());
        row.insert("edited_at", at.into());
        let former =
            former.and_then(|text| text.as_str().map(str::to_owned)).expect("it had a text");
        let texts = self.truth.rows.revisions.entry(target.clone()).or_default();
        texts.push(former);
        texts.sort();
        let action =
            json!({"type": "edit", "edited_type": "text", "edited_content": {"body": text}});
        self.act(&id, &target, &chat, who, at, action);
    }

    fn deletion(&mut self, n: u64) {
        let (target, chat, who) = self.theirs[self.dice.index(self.theirs.len())].clone();
        let (id, at) = (message_id(n), self.now());
        let row = self.truth.rows.messages.get_mut(&target).expect("it was made before");
        if row["deleted_at"].is_null() {
            row.insert("deleted_at", at.into());
        }
        self.act(&id, &target, &chat, who, at, json!({"type": "delete"}));
    }

    /// A word about something of our own; about a message in a group it is one member's.
    fn word(&mut self) {
        let (id, chat, in_group) = self.own[self.dice.index(self.own.len())].clone();
        let at = self.now();
        if in_group {
            let who = self.dice.throw(PEOPLE);
            let word = ["delivered", "read", "played"][self.dice.index(3)];
            self.contact(who);
            let row =
                self.truth.rows.receipts.entry((id.clone(), direct(who))).or_insert_with(|| {
                    ["delivered_at", "read_at", "played_at"].map(|name| (name, Value::Null)).into()
                });
            note(row, word, at);
            let json = json!({
                "id": id, "code": 3, "status": word, "recipient_id": chat, "viewer_id": person(who), "timestamp": at.to_string(),
            });
            self.events.push(Event { array: "statuses", chat, target: id, json });
            return;
        }
        let word = WORDS[self.dice.index(WORDS.len())];
        let row = self.truth.rows.messages.get_mut(&id).expect("it was made before");
        let first = note(row, word, at);
        let mut json = json!({
            "id": id, "code": 3, "status": word, "recipient_id": chat, "timestamp": at.to_string(),
        });
        if word == "failed" {
            json["errors"] = json!([{"code": 470, "message": format!("refused at {at}")}]);
            if first {
                row.insert("error", format!("refused at {at} (470)").into());
            }
        }
        self.events.push(Event { array: "statuses", chat, target: id, json });
    }

    fn word_about_nothing(&mut self, n: u64) {
        let (id, chat, at) = (message_id(9_000_000 + n), direct(n % PEOPLE), self.now());
        self.truth.never.insert(id.clone(), ());
        let json = json!({
            "id": id, "code": 3, "status": "delivered", "recipient_id": chat, "timestamp": at.to_string(),
        });
        self.events.push(Event { array: "statuses", chat, target: id, json });
    }
}

/// What stands in the database. A key that comes twice is a panic: nothing may be doubled.
pub async fn stored(database: &TestDatabase) -> Rows {
    let mut rows = Rows::default();
    let second = |name: &str| format!("extract(epoch FROM {name})::int8");
    let facts: Vec<String> =
        WORDS.iter().map(|word| second(&format!("m.{}", column(word)))).collect();
    let sql = format!(
        "SELECT m.message_id, m.direction, m.chat_id, m.content, {}, m.error_message, m.status,
                (SELECT q.message_id FROM whatsapp_message q WHERE q.id = m.reply_to_id), {}, {}, {}
         FROM whatsapp_message m",
        second("m.timestamp"),
        second("m.edited_at"),
        second("m.deleted_at"),
        facts.join(", ")
    );
    for row in query(database, &sql).await {
        let mut columns = Row::from([
            ("direction", row.get::<_, Option<String>>(1).into()),
            ("chat", row.get::<_, Option<String>>(2).into()),
            ("content", row.get::<_, Option<String>>(3).into()),
            ("at", row.get::<_, Option<i64>>(4).into()),
            ("error", row.get::<_, Option<String>>(5).into()),
            ("status", row.get::<_, Option<String>>(6).into()),
            ("quotes", row.get::<_, Option<String>>(7).into()),
            ("edited_at", row.get::<_, Option<i64>>(8).into()),
            ("deleted_at", row.get::<_, Option<i64>>(9).into()),
        ]);
        for (n, word) in WORDS.iter().enumerate() {
            columns.insert(column(word), row.get::<_, Option<i64>>(10 + n).into());
        }
        once(&mut rows.messages, row.get(0), columns);
    }
    let sql = format!(
        "SELECT c.chat_id, c.unread_count, {}, {} FROM whatsapp_chat c",
        second("c.last_message_at"),
        second("c.last_inbound_at")
    );
    for row in query(database, &sql).await {
        let columns = Row::from([
            ("unread", row.get::<_, Option<i32>>(1).into()),
            ("last_at", row.get::<_, Option<i64>>(2).into()),
            ("last_inbound_at", row.get::<_, Option<i64>>(3).into()),
        ]);
        once(&mut rows.chats, row.get(0), columns);
    }
    let sql = "SELECT contact_id, phone, name, pushname FROM whatsapp_contact";
    for row in query(database, sql).await {
        let columns = Row::from([
            ("phone", row.get::<_, Option<String>>(1).into()),
            ("name", row.get::<_, Option<String>>(2).into()),
            ("pushname", row.get::<_, Option<String>>(3).into()),
        ]);
        once(&mut rows.contacts, row.get(0), columns);
    }
    let sql = format!(
        "SELECT m.message_id, c.contact_id, {}, {}, {} FROM whatsapp_message_receipt r
         JOIN whatsapp_message m ON m.id = r.message_id JOIN whatsapp_contact c ON c.id = r.contact_id",
        second("r.delivered_at"),
        second("r.read_at"),
        second("r.played_at")
    );
    for row in query(database, &sql).await {
        let columns = Row::from([
            ("delivered_at", row.get::<_, Option<i64>>(2).into()),
            ("read_at", row.get::<_, Option<i64>>(3).into()),
            ("played_at", row.get::<_, Option<i64>>(4).into()),
        ]);
        once(&mut rows.receipts, (row.get(0), row.get(1)), columns);
    }
    let sql = "SELECT m.message_id, array_agg(r.content ORDER BY r.content COLLATE \"C\") FROM whatsapp_message_revision r
               JOIN whatsapp_message m ON m.id = r.message_id GROUP BY 1";
    for row in query(database, sql).await {
        once(&mut rows.revisions, row.get(0), row.get(1));
    }
    let sql = "SELECT m.message_id, e.kind, count(*) FROM whatsapp_event e
               JOIN whatsapp_message m ON m.id = e.message_id GROUP BY 1, 2";
    for row in query(database, sql).await {
        match row.get(1) {
            "message_received" => once(&mut rows.received, row.get(0), row.get(2)),
            "status_failed" => once(&mut rows.failed, row.get(0), row.get(2)),
            // One for each time that Odoo's code is to look at a new text.
            "message_edited" => {}
            other => panic!("an event {other}"),
        }
    }
    rows
}

async fn query(database: &TestDatabase, sql: &str) -> Vec<tokio_postgres::Row> {
    database.admin.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

fn once<K: Ord + std::fmt::Debug + Clone, V>(rows: &mut BTreeMap<K, V>, key: K, row: V) {
    assert!(rows.insert(key.clone(), row).is_none(), "{key:?} is there twice");
}
