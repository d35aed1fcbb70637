//! The table: what happens, who has it, and the rows it shall come to.

use serde_json::{Value, json};

use super::Provider::{self, Custom, Meta, Wassenger, Whapi};

/// Something that happens.
pub enum Step {
    /// `/_control/inbound`: somebody writes.
    Written(Value),
    /// One entry of a list of `/_control/state`.
    Changed(&'static str, Value),
    /// The user sends a text to a number.
    Sent(&'static str, &'static str),
    /// Waits until a query has one row.
    Seen(&'static str),
    /// Lets the second pass: providers date changes of groups by it, and of two in one second the greater id wins,
    /// not the later change.
    Later,
}

pub struct Case {
    pub name: &'static str,
    pub has: &'static [Provider],
    pub steps: Vec<Step>,
    /// A query with one text.
    pub look: &'static str,
    pub expected: &'static str,
    /// About the account itself: nothing else may be under way.
    pub alone: bool,
}

const ALL: &[Provider] = &[Whapi, Wassenger, Meta, Custom];
/// Those that speak for a linked phone, whose groups and texts they see.
const LINKED: &[Provider] = &[Whapi, Wassenger];
const BUT_CUSTOM: &[Provider] = &[Whapi, Wassenger, Meta];

/// A row by the provider's id `$1`.
macro_rules! row {
    ($columns:literal) => {
        row!($columns, "$1")
    };
    ($columns:literal, $id:literal) => {
        concat!(
            "SELECT concat_ws('|', ",
            $columns,
            ") FROM whatsapp_message m
             LEFT JOIN whatsapp_message q ON q.id = m.reply_to_id LEFT JOIN whatsapp_contact c ON c.id = m.contact_id
             LEFT JOIN whatsapp_group g ON g.id = m.group_id LEFT JOIN whatsapp_media f ON f.id = m.media_id
             WHERE m.message_id = '",
            $id,
            "'"
        )
    };
}

/// Of a message that aims at `$1`.
macro_rules! aiming {
    ($columns:literal) => {
        concat!(
            "SELECT string_agg(concat_ws('|', ",
            $columns,
            "), ',' ORDER BY m.id) FROM whatsapp_message m
             JOIN whatsapp_message q ON q.id = m.reply_to_id WHERE q.message_id = '$1'"
        )
    };
}

/// Of the group `{group}`.
macro_rules! group {
    ($columns:literal) => {
        concat!(
            "SELECT concat_ws('|', ",
            $columns,
            ") FROM whatsapp_group g WHERE g.name LIKE 'Ops {from}%'"
        )
    };
}

const MEMBERS: &str = "SELECT string_agg(c.phone || ' ' || m.role || ' ' || m.state, ',' ORDER BY c.phone)
    FROM whatsapp_group_member m JOIN whatsapp_group g ON g.id = m.group_id JOIN whatsapp_contact c ON c.id = m.contact_id
    WHERE g.name LIKE 'Ops {from}%' AND c.phone <> '+447700900999'";

/// The row that a member's state is awaited in before the next step.
macro_rules! is_member {
    ($who:literal, $state:literal) => {
        concat!("SELECT 1 FROM whatsapp_group_member m JOIN whatsapp_group g ON g.id = m.group_id
            JOIN whatsapp_contact c ON c.id = m.contact_id WHERE g.name LIKE 'Ops {from}%' AND c.phone = '+", $who, "' AND m.state = '", $state, "'")
    };
}

mod groups;

use groups::{accounts, groups, people};

struct Table(Vec<Case>);

impl Table {
    fn case(
        &mut self,
        name: &'static str,
        has: &'static [Provider],
        steps: Vec<Step>,
        look: &'static str,
        expected: &'static str,
    ) {
        self.0.push(Case { name, has, steps, look, expected, alone: false });
    }

    /// A message of somebody, and its row.
    fn written(
        &mut self,
        name: &'static str,
        has: &'static [Provider],
        mut body: Value,
        look: &'static str,
        expected: &'static str,
    ) {
        if body.get("from").is_none() {
            body["from"] = json!("{from}");
        }
        self.case(name, has, vec![Step::Written(body)], look, expected);
    }
}

fn by(mut body: Value) -> Step {
    body["from"] = json!("{from}");
    Step::Written(body)
}

fn messages(table: &mut Table) {
    table.written(
        "text",
        ALL,
        json!({"from_name": "Amira Osei", "text": "Hello"}),
        row!("m.message_type, m.content, m.direction, m.from_me, m.origin, m.status, c.phone, c.pushname"),
        "text|Hello|inbound|f|provider|delivered|+{from}|Amira Osei",
    );
    table.written(
        "text in a group",
        ALL,
        json!({"chat": "{group}", "text": "Gate is closed"}),
        row!("m.content, g.id IS NOT NULL, c.phone"),
        "Gate is closed|t|+{from}",
    );
    table.written("quoted", ALL, json!({"text": "the first"}), row!("m.content"), "the first");
    table.case(
        "an answer quotes",
        ALL,
        vec![by(json!({"text": "the first"})), by(json!({"text": "the second", "quoted": "$1"}))],
        row!("m.content, q.content", "$2"),
        "the second|the first",
    );
    table.written(
        "mentions",
        &[Whapi, Wassenger, Custom],
        json!({"chat": "{group}", "text": "@{other} look", "mentions": ["{other}"]}),
        row!("m.content, m.extra LIKE '%{other}%'"),
        "@{other} look|t",
    );
    table.written(
        "forwarded",
        ALL,
        json!({"text": "pass it on", "forwarded": true}),
        row!("m.content, m.forwarded"),
        "pass it on|t",
    );
    table.written(
        "location",
        ALL,
        json!({"type": "location", "location": {"latitude": 51.5, "longitude": -0.25, "name": "Depot 4"}}),
        row!("m.message_type, m.location IS NOT NULL, m.extra LIKE '%Depot 4%' OR m.location LIKE '%Depot 4%'"),
        "location|t|t",
    );
    table.written(
        "contact card",
        ALL,
        json!({"type": "contact", "contact": {"name": "Desk", "phone": "+447700900456"}}),
        row!("m.message_type, m.content, m.extra LIKE '%447700900456%'"),
        "contact|Desk|t",
    );
    table.written(
        "several cards",
        ALL,
        json!({"type": "contact", "contacts": [{"name": "Desk", "phone": "+447700900456"}, {"name": "Gate", "phone": "+447700900457"}]}),
        row!("m.message_type, m.content"),
        "contact|Desk, Gate",
    );
    table.written(
        "poll",
        &[Whapi, Wassenger, Custom],
        json!({"type": "poll", "poll": {"title": "When?", "options": ["Monday", "Friday"]}}),
        row!("m.message_type, m.content, m.extra LIKE '%Friday%'"),
        "poll|When?|t",
    );
    table.case(
        "a vote",
        &[Whapi],
        vec![
            by(json!({"type": "poll", "poll": {"title": "When?", "options": ["Monday", "Friday"]}})),
            by(json!({"type": "vote", "target": "$1", "options": ["Friday"]})),
        ],
        aiming!("m.message_type, m.content"),
        "poll|Friday",
    );
    table.case(
        "reaction",
        ALL,
        vec![
            by(json!({"text": "the first"})),
            by(json!({"type": "reaction", "target": "$1", "emoji": "👍"})),
        ],
        aiming!("m.message_type, m.content"),
        "reaction|👍",
    );
    table.case(
        "a reaction is taken back",
        ALL,
        vec![
            by(json!({"text": "the first"})),
            by(json!({"type": "reaction", "target": "$1", "emoji": "👍"})),
            by(json!({"type": "reaction", "target": "$1", "emoji": ""})),
        ],
        "SELECT string_agg(m.message_type || ' ' || coalesce(m.content, 'none'), ',' ORDER BY m.content)
         FROM whatsapp_message m JOIN whatsapp_message q ON q.id = m.reply_to_id WHERE q.message_id = '$1'",
        "reaction 👍,reaction none",
    );
    table.case(
        "a person without a number",
        &[Meta],
        vec![
            Step::Changed("people", json!({"phone": "{from}", "hides_number": true, "user_id": "GB.1380{from}", "username": "amira.{from}"})),
            by(json!({"text": "incognito"})),
        ],
        row!("m.content, c.phone IS NULL, c.wa_user_id, c.username", "$2"),
        "incognito|t|GB.1380{from}|amira.{from}",
    );
    table.written(
        "order",
        &[Whapi, Meta],
        json!({"type": "order", "order": {"id": "O-7", "title": "Two chairs", "text": "please", "items": [
            {"id": "C-1", "name": "Chair", "quantity": 2, "price": 40.5}], "currency": "GBP"}}),
        row!("m.message_type, m.extra IS NOT NULL"),
        "order|t",
    );
    table.written(
        "a kind nobody knows",
        &[Whapi, Meta],
        json!({"type": "tomorrow", "content": {"shape": "round"}}),
        row!("m.message_type, m.extra LIKE '%round%'"),
        "unknown|t",
    );
    table.case(
        "a button",
        &[Whapi, Meta, Custom],
        vec![Step::Sent("{from}", "choose"), by(json!({"type": "answer", "quoted": "$1", "answer": {"id": "b1", "title": "Yes please"}}))],
        row!("m.message_type, m.content, q.content", "$2"),
        "interactive|Yes please|choose",
    );
    table.case(
        "a line of a list",
        &[Whapi, Meta],
        vec![Step::Sent("{from}", "choose"), by(json!({"type": "answer", "quoted": "$1", "answer": {"list": true, "id": "l1", "title": "Slot 2", "description": "at noon"}}))],
        row!("m.message_type, m.content, q.content, m.extra LIKE '%at noon%'", "$2"),
        "interactive|Slot 2|choose|t",
    );
    table.written(
        "typed on the phone",
        ALL,
        json!({"from": null, "from_me": true, "chat": "{from}", "text": "from my pocket"}),
        row!("m.content, m.direction, m.from_me, m.origin, c.phone"),
        "from my pocket|outbound|t|phone|+{from}",
    );
    table.written(
        "a hidden number",
        &[Whapi],
        json!({"from": "{lid}", "from_name": "Hidden", "text": "who am I"}),
        row!("m.content, c.lid, c.phone IS NULL, c.pushname"),
        "who am I|{lid}|t|Hidden",
    );
    table.case(
        "a hidden number that shows itself",
        &[Whapi],
        vec![
            Step::Written(json!({"from": "{lid}", "text": "hidden"})),
            Step::Seen("SELECT 1 FROM whatsapp_contact WHERE lid = '{lid}'"),
            by(json!({"chat": "{lid}", "text": "shown"})),
        ],
        "SELECT count(DISTINCT m.contact_id) || ' ' || count(*) || ' ' || coalesce(max(c.phone), '') FROM whatsapp_message m
         JOIN whatsapp_contact c ON c.id = m.contact_id WHERE m.message_id IN ('$1', '$3')",
        "1 2 +{from}",
    );
    table.written(
        "a channel",
        LINKED,
        json!({"chat": "{newsletter}", "text": "news"}),
        row!("m.content, m.chat_id, m.group_id IS NULL"),
        "news|{newsletter}|t",
    );
    table.case(
        "a text is edited",
        ALL,
        vec![by(json!({"text": "the blue one"})), by(json!({"type": "edit", "target": "$1", "text": "the BLACK one"}))],
        "SELECT concat_ws('|', m.content, m.edited_at IS NOT NULL, string_agg(r.content, ',')) FROM whatsapp_message m
             LEFT JOIN whatsapp_message_revision r ON r.message_id = m.id WHERE m.message_id = '$1' GROUP BY m.id",
        "the BLACK one|t|the blue one",
    );
    table.case(
        "a caption is edited",
        ALL,
        vec![
            by(json!({"type": "image", "caption": "left"})),
            by(json!({"type": "edit", "target": "$1", "text": "right"})),
        ],
        row!("m.message_type, m.caption, m.content IS NULL, m.edited_at IS NOT NULL"),
        "image|right|t|t",
    );
    table.case(
        "deleted",
        ALL,
        vec![by(json!({"text": "oops"})), by(json!({"type": "delete", "target": "$1"}))],
        row!("m.status, m.deleted_at IS NOT NULL"),
        "deleted|t",
    );
}

fn files(table: &mut Table) {
    for (kind, look) in [
        ("image", "image|see|image/jpeg|ready"),
        ("video", "video|see|video/mp4|ready"),
        ("document", "document|see|application/pdf|ready"),
    ] {
        table.written(
            kind,
            ALL,
            json!({"type": kind, "caption": "see", "media": {"filename": "the file"}}),
            row!("m.message_type, m.caption, f.mimetype, f.state"),
            look,
        );
    }
    for (kind, has, look) in [
        ("voice", ALL, "voice|audio/ogg|ready"),
        ("audio", ALL, "audio|audio/mpeg|ready"),
        ("sticker", ALL, "sticker|image/webp|ready"),
        ("gif", &[Whapi], "gif|video/mp4|ready"),
        ("short", &[Whapi], "video|video/mp4|ready"),
    ] {
        table.written(
            kind,
            has,
            json!({"type": kind}),
            row!("m.message_type, split_part(f.mimetype, ';', 1), f.state"),
            look,
        );
    }
}

fn statuses(table: &mut Table) {
    table.case(
        "sent, delivered, read",
        ALL,
        vec![Step::Sent("{from}", "hello")],
        row!("m.status, m.sent_at IS NOT NULL, m.delivered_at IS NOT NULL, m.read_at IS NOT NULL"),
        "read|t|t|t",
    );
    table.case(
        "played",
        ALL,
        vec![
            Step::Sent("{from}", "hello"),
            Step::Written(json!({"type": "status", "target": "$1", "status": "played"})),
        ],
        row!("m.status, m.played_at IS NOT NULL"),
        "played|t",
    );
    // Meta's codes say what is wrong; the others only that it failed.
    nobody(table, &[Whapi, Wassenger, Custom], "failed|t|provider_rejected");
    nobody(table, &[Meta], "failed|t|invalid_recipient");
    failed_later(table, &[Whapi, Custom], "failed|t|provider_rejected");
    failed_later(table, &[Meta], "failed|t|invalid_recipient");
    table.case(
        "receipts of the members of a group",
        &[Whapi, Meta],
        vec![
            Step::Written(json!({"from": null, "from_me": true, "chat": "{group}", "text": "to all"})),
            Step::Written(json!({"type": "status", "target": "$1", "status": "delivered", "from": "{other}"})),
            Step::Written(json!({"type": "status", "target": "$1", "status": "read", "from": "{third}"})),
        ],
        "SELECT string_agg(concat_ws(' ', c.phone, r.delivered_at IS NOT NULL, r.read_at IS NOT NULL), ',' ORDER BY c.phone)
         FROM whatsapp_message_receipt r JOIN whatsapp_message m ON m.id = r.message_id
         JOIN whatsapp_contact c ON c.id = r.contact_id WHERE m.message_id = '$1'",
        "+{other} t f,+{third} f t",
    );
}

fn nobody(table: &mut Table, providers: &'static [Provider], seen: &'static str) {
    table.case(
        "nobody there",
        providers,
        vec![Step::Sent("447700900801", "for nobody {from}")],
        "SELECT concat_ws('|', status, failed_at IS NOT NULL, error_code) FROM whatsapp_message
         WHERE content = 'for nobody {from}'",
        seen,
    );
}

fn failed_later(table: &mut Table, providers: &'static [Provider], seen: &'static str) {
    let failed = json!({"type": "status", "target": "$1", "status": "failed", "error": {"code": 131_026, "message": "too late"}});
    table.case(
        "failed later",
        providers,
        vec![Step::Sent("447700900804", "never"), Step::Written(failed)],
        row!("m.status, m.failed_at IS NOT NULL, m.error_code"),
        seen,
    );
}

pub fn all() -> Vec<Case> {
    let mut table = Table(Vec::new());
    messages(&mut table);
    files(&mut table);
    statuses(&mut table);
    groups(&mut table);
    people(&mut table);
    accounts(&mut table);
    table.0
}

/// One of each verb: post, patch, delete, put.
pub fn of_delivery_modes() -> Vec<Case> {
    let mut table = Table(Vec::new());
    messages(&mut table);
    groups(&mut table);
    people(&mut table);
    accounts(&mut table);
    let wanted = [
        "text",
        "a text is edited",
        "deleted",
        "somebody is removed",
        "a name of the address book",
        "qr_needed",
        "connected",
    ];
    table.0.retain(|case| wanted.contains(&case.name) && case.has.contains(&Whapi));
    table.0
}
