//! Synchronisation: pages as the daemon writes them, beside the very same rows by COPY and merge, and a second reading;
//! and its contacts beside those that Odoo's ORM stores.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, TryStreamExt};
use jiff::Timestamp;
use serde_json::Map;
use tokio_postgres::Client;
use wabridge_domain::ProviderKind;
use wabridge_domain::conflict::ConflictPolicy;
use wabridge_domain::event::{
    Chat, ChatKind, ContactUpdate, GroupUpdate, MemberChange, MemberState, Message, Person, Role,
    Source, What,
};
use wabridge_domain::message::{MessageType, StatusWord};
use wabridge_store::apply::Item;
use wabridge_store::sync::{self, Counts, Of, contacts, groups, messages};
use wabridge_store::{Database, Session};
use wabridge_testkit::{OwnCluster, Series, TestDatabase};

use crate::ingest::{fdatasync_us, title};
use crate::load::count;
use crate::options::Options;
use crate::orm::{self, Orm};
use crate::place;
use crate::report::{Report, Values};

/// Entries of a page, as providers give them.
const PAGE: usize = 500;
const GROUPS_PAGE: usize = 100;
const MEMBERS: u64 = 50;
/// People who write.
const WRITERS: u64 = 1_000;
/// What Odoo's ORM stores in each way.
const ORM_CONTACTS: u64 = 2_000;
/// When the pages are told, and between two messages.
const AT: i64 = 1_765_800_000;

/// Every table that the pages write, in the order of their keys.
const TABLES: [&str; 9] = [
    "public.whatsapp_contact",
    "public.whatsapp_group",
    "public.whatsapp_group_member",
    "public.whatsapp_message",
    "public.whatsapp_chat",
    "wabridge.identity",
    "wabridge.contact_fact",
    "wabridge.group_fact",
    "wabridge.member_fact",
];

/// What a provider knows.
struct World {
    contacts: Vec<ContactUpdate>,
    groups: Vec<GroupUpdate>,
    messages: Vec<Item>,
}

/// Measures and writes the report.
pub async fn run(options: &Options) {
    let server = place::server();
    let size = if options.smoke { 2_000 } else { 50_000 };
    let world = world(size);
    let things = size + size / MEMBERS + 2 * size;
    let mut report = Report::default();
    let mut orms: Vec<Orm> = vec![];
    let [mut contacts, mut contacts_again] = [(); 2].map(|()| Values::default());
    let [mut writer, mut merge, mut again, mut ratio, mut share] =
        [(); 5].map(|()| Values::default());
    for round in 1..=options.rounds {
        let disk = fdatasync_us();
        let database = TestDatabase::on(server.cluster, Series::Odoo14).await;
        let Reading { took: first, contacts: one, counts } = read(&database, &world).await;
        assert_eq!(u64::try_from(counts.read), Ok(things), "everything was read");
        assert_eq!(counts.read, counts.created, "everything is new");
        let rows = rows(&database).await;
        let before = versions(&database).await;
        database.execute("VACUUM ANALYZE").await;
        let Reading { took: second, contacts: two, counts } = read(&database, &world).await;
        assert_eq!(counts.unchanged, counts.read, "nothing is new any more");
        assert_eq!(versions(&database).await, before, "nothing was written");
        let copied = copy_and_merge(&server, &database).await;
        let (w, m) = (count(rows) / first.as_secs_f64(), count(rows) / copied.as_secs_f64());
        let part = second.as_secs_f64() / first.as_secs_f64();
        println!(
            "round {round}: {rows} rows; pages {w:.0}/s, COPY and merge {m:.0}/s: {:.2}; read again {:.1} s, {:.0} % (fdatasync {disk:.0} µs)",
            w / m,
            second.as_secs_f64(),
            100.0 * part
        );
        writer.push(w);
        merge.push(m);
        ratio.push(w / m);
        again.push(second.as_secs_f64());
        share.push(100.0 * part);
        let [one, two] = [one, two].map(|took| count(size) / took.as_secs_f64());
        contacts.push(one);
        contacts_again.push(two);
        drop(database);
        if round == 1 {
            let port = server.cluster.port;
            orms.extend(options.odoo.iter().map(|series| Orm::prepare(series, port)));
        }
        if round <= orm::ROUNDS {
            for odoo in &mut orms {
                odoo.measure(if options.smoke { 200 } else { ORM_CONTACTS }, one, two);
            }
        }
    }
    report.heading(&format!(
        "{size} contacts, {} groups of {MEMBERS}, {} messages in pages of {PAGE}, without asking for them",
        size / MEMBERS,
        2 * size
    ));
    report.line("| what | rows a second, those in schema `wabridge` too |\n| --- | --- |");
    report.line(&format!("| pages as the daemon writes them | {} |", writer.words(0)));
    report.line(&format!(
        "| the very same rows by COPY and merge, one transaction | {} |",
        merge.words(0)
    ));
    report.line(&format!(
        "\nThe second reading wrote nothing: every `ctid` and `xmin` stayed; it took {} s.",
        again.words(1)
    ));
    if !orms.is_empty() {
        let rounds = options.rounds.min(orm::ROUNDS);
        report.heading(&format!(
            "Contacts beside Odoo's ORM: as superuser, on the same server, in {rounds} of the rounds"
        ));
        report.line("| what | contacts a second | the daemon's ÷ it |\n| --- | --- | --- |");
        report.line(&format!("| pages as the daemon writes them | {} | |", contacts.words(0)));
        report.line(&format!(
            "| the same list again, nothing is written | {} | |",
            contacts_again.words(0)
        ));
        for odoo in &orms {
            odoo.rows(&mut report);
        }
        report.line("\nThe ORM's second reading wrote every row anew. The daemon keeps its own words on each contact too, in schema `wabridge`.");
    }
    report.target(
        "sync: rows/s without page fetching ÷ the same rows by COPY and merge",
        "≥ 0.3",
        "≥ 0.6",
        &ratio.words(2),
    );
    report.target(
        "second sync of unchanged data",
        "0 rows written",
        "and ≤ 20 % of the first one's time without page fetching",
        &format!("0 rows; {} %", share.words(0)),
    );
    let whole = report.whole(&title("Synchronisation", options));
    if let Some(path) = &options.report {
        std::fs::write(path, &whole).expect("the report can be written");
    }
    println!("\n{whole}");
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("it is a time")
}

fn person(n: u64) -> Person {
    let number = 447_700_000_000 + n;
    Person {
        contact_id: format!("{number}@s.whatsapp.net"),
        phone: Some(format!("+{number}")),
        name: n.is_multiple_of(3).then(|| format!("Saved {n}")),
        pushname: Some(format!("Person {n}")),
        ..Person::default()
    }
}

fn world(size: u64) -> World {
    let contacts = (0..size).map(|n| ContactUpdate {
        person: person(n),
        at: at(AT),
        is_business: Some(n.is_multiple_of(50)),
        is_wa_contact: Some(true),
        ..ContactUpdate::default()
    });
    let groups = (0..size / MEMBERS).map(|n| GroupUpdate {
        group_id: format!("12036302{n:010}@g.us"),
        kind: "info".into(),
        at: at(AT),
        name: Some(format!("Group {n}")),
        only_admins_send: Some(false),
        is_active: Some(true),
        members: (0..MEMBERS)
            .map(|m| MemberChange {
                person: Person { name: None, pushname: None, ..person((n * 37 + m) % size) },
                role: Some(if m == 0 { Role::Superadmin } else { Role::Member }),
                state: MemberState::Joined,
            })
            .collect(),
        all_members: true,
        ..GroupUpdate::default()
    });
    World {
        contacts: contacts.collect(),
        groups: groups.collect(),
        messages: (0..2 * size).map(|n| message(n, size)).collect(),
    }
}

fn message(n: u64, size: u64) -> Item {
    let writer = person(n % WRITERS.min(size));
    let from_me = n % 3 == 2;
    let message = Message {
        message_id: format!("Qk2vT9aXe4L{n:011}-gLw8Ztq3HcA"),
        chat: Chat { id: writer.contact_id.clone(), kind: ChatKind::Direct, name: None },
        from_me,
        source: Source::Phone,
        sender: (!from_me).then(|| writer.clone()),
        at: at(AT - 86_400 * 365 + i64::try_from(n).expect("it is small")),
        message_type: MessageType::Text,
        content: Some(format!("Is order {n} on its way? We wait for it since this morning.")),
        caption: None,
        quoted_id: None,
        word: from_me.then_some(StatusWord::Read),
        media: None,
        location: None,
        forwarded: false,
        reference: None,
        extra: Map::new(),
    };
    Item {
        configuration_id: 1,
        provider: ProviderKind::Whapi,
        what: What::Message(Box::new(message)),
        person: Some(writer),
        received_at: at(AT),
    }
}

/// How long it took to bring everything in, and how long of that the contacts.
struct Reading {
    took: Duration,
    contacts: Duration,
    counts: Counts,
}

/// Brings everything in as the daemon does: a page, a transaction.
async fn read(database: &TestDatabase, world: &World) -> Reading {
    let store = Database::new(&database.name, &database.url, None, &Default::default())
        .expect("the URL is well formed");
    let mut session = store.session().await.expect("the server is there");
    let of = Of {
        configuration_id: 1,
        provider: ProviderKind::Whapi,
        policy: ConflictPolicy::Newest,
        at: at(AT),
        read_at: None,
    };
    let mut counts = Counts::default();
    let begin = Instant::now();
    for page in world.contacts.chunks(PAGE) {
        counts += one(&mut session, async |tx| contacts::write(tx, &of, page).await).await;
    }
    let contacts = begin.elapsed();
    for page in world.groups.chunks(GROUPS_PAGE) {
        counts += one(&mut session, async |tx| groups::write(tx, &of, page).await).await;
    }
    for page in world.messages.chunks(PAGE) {
        counts += one(&mut session, async |tx| messages::write(tx, &of, page, None).await).await;
    }
    let took = begin.elapsed();
    store.close();
    Reading { took, contacts, counts }
}

async fn one(
    session: &mut Session,
    write: impl AsyncFn(&wabridge_store::Tx<'_>) -> Result<sync::Page, wabridge_store::StoreError>,
) -> Counts {
    let tx = session.transaction().await.expect("a transaction begins");
    sync::mark(&tx).await.expect("rows are marked");
    let page = write(&tx).await.expect("a page is written");
    tx.commit().await.expect("it is committed");
    page.counts
}

async fn rows(database: &TestDatabase) -> u64 {
    let sums: Vec<String> =
        TABLES.iter().map(|table| format!("(SELECT count(*) FROM {table})")).collect();
    let rows = database.count(&format!("SELECT {}", sums.join(" + "))).await;
    u64::try_from(rows).expect("a count is not negative")
}

async fn versions(database: &TestDatabase) -> String {
    let mut versions = String::new();
    for table in TABLES {
        let sql = format!(
            "SELECT md5(string_agg(t.ctid || ':' || t.xmin, ' ' ORDER BY t.ctid)) FROM {table} t"
        );
        versions += &database.text(&sql).await.unwrap_or_default();
    }
    versions
}

/// The rows of `from` in an empty database: COPY into a table beside, then what is missing into the real one.
async fn copy_and_merge(server: &OwnCluster, from: &TestDatabase) -> Duration {
    let mut all = Vec::new();
    for table in TABLES {
        let sql = format!("COPY (SELECT * FROM {table}) TO STDOUT (FORMAT binary)");
        let stream = from.admin.copy_out(&sql).await.expect("rows are copied out");
        let chunks: Vec<Bytes> = stream.try_collect().await.expect("rows are copied out");
        all.push((table, chunks));
    }
    let database = TestDatabase::on(server.cluster, Series::Odoo14).await;
    let begin = Instant::now();
    let client: &Client = &database.admin;
    client.batch_execute("BEGIN").await.expect("a transaction begins");
    for (table, chunks) in all {
        let beside = format!("CREATE TEMP TABLE beside (LIKE {table}) ON COMMIT DROP");
        client.batch_execute(&beside).await.expect("a table beside is made");
        let sink = client
            .copy_in("COPY beside FROM STDIN (FORMAT binary)")
            .await
            .expect("rows are copied in");
        let mut sink = std::pin::pin!(sink);
        for chunk in chunks {
            sink.send(chunk).await.expect("rows are copied in");
        }
        sink.finish().await.expect("rows are copied in");
        let key = match table {
            "wabridge.identity" => "configuration_id, kind, value",
            "wabridge.contact_fact" => "contact_id, field",
            "wabridge.group_fact" => "group_id, field",
            "wabridge.member_fact" => "group_id, contact_id",
            "public.whatsapp_contact" => "configuration_id, contact_id",
            "public.whatsapp_group" => "configuration_id, group_id",
            "public.whatsapp_group_member" => "group_id, contact_id",
            "public.whatsapp_chat" => "configuration_id, chat_id",
            _ => "configuration_id, message_id",
        };
        let merge = format!(
            "INSERT INTO {table} SELECT b.* FROM beside b
             WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE ({t}) = ({b})); DROP TABLE beside",
            t = key.split(", ").map(|column| format!("t.{column}")).collect::<Vec<_>>().join(", "),
            b = key.split(", ").map(|column| format!("b.{column}")).collect::<Vec<_>>().join(", "),
        );
        client.batch_execute(&merge).await.expect("rows are merged");
    }
    client.batch_execute("COMMIT").await.expect("it is committed");
    let took = begin.elapsed();
    assert_eq!(rows(&database).await, rows(from).await, "the very same rows");
    took
}
