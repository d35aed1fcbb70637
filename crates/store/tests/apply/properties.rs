//! The order of events, their grouping and their repetition change nothing; sessions that meet do not deadlock.

use std::time::Duration;

use serde_json::json;
use wabridge_domain::account::AccountState;
use wabridge_domain::event::{
    AccountUpdate, Alert, Chat, ChatKind, ChatUpdate, ContactUpdate, Edit, MemberState, Person,
    PreferenceUpdate, Role, Source, What,
};
use wabridge_domain::message::{MessageType, StatusWord};
use wabridge_store::apply::{Changes, Echoes, Item, apply};
use wabridge_store::ingest::{self, Budget};
use wabridge_store::{Session, StoreError};
use wabridge_testkit::Series;

use super::groups::{group, member, update};
use super::support::*;

/// A small generator: the same seed, the same events.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            items.swap(n, self.roll(n + 1));
        }
    }
}

/// Three people under several names each.
fn person(who: usize, name: usize) -> Person {
    let number = format!("44770090020{who}");
    let (phone, lid) = (Some(format!("+{number}")), Some(format!("18380000000020{who}@lid")));
    let user_id = Some(format!("GB.{who}"));
    match name {
        0 => Person { contact_id: format!("{number}@s.whatsapp.net"), phone, ..Person::default() },
        1 => Person { contact_id: lid.clone().unwrap(), lid, ..Person::default() },
        2 => Person { contact_id: user_id.clone().unwrap(), user_id, ..Person::default() },
        3 => Person {
            contact_id: format!("{number}@s.whatsapp.net"),
            phone,
            lid,
            ..Person::default()
        },
        _ => Person { contact_id: lid.clone().unwrap(), lid, user_id, ..Person::default() },
    }
}

fn events(dice: &mut Dice) -> Vec<Item> {
    let mut items = Vec::new();
    for n in 0..16 {
        let who = dice.roll(3);
        let mut sender = person(who, dice.roll(3));
        sender.pushname = Some(format!("Person {who}"));
        let mut one = message(&format!("m{n}"), i64::from(n) * 3);
        one.sender = Some(sender.clone());
        one.chat = if dice.roll(2) == 0 {
            Chat { id: GROUP.into(), kind: ChatKind::Group, name: Some("Night Shift".into()) }
        } else {
            Chat { id: sender.contact_id.clone(), kind: ChatKind::Direct, name: None }
        };
        match dice.roll(5) {
            0 => one.quoted_id = Some(format!("m{}", dice.roll(16))),
            1 => {
                one.message_type = MessageType::Reaction;
                one.content = Some("+".into());
                one.quoted_id = Some(format!("m{}", dice.roll(16)));
            }
            2 => {
                one.from_me = true;
                one.source = Source::Phone;
                one.sender = None;
                one.word = Some(StatusWord::Pending);
            }
            _ => {}
        }
        let of = (!one.from_me || one.chat.kind == ChatKind::Direct).then_some(sender);
        items.push(item(What::Message(Box::new(one)), of));
    }
    for n in 0..60 {
        let second = i64::from(n);
        let target = format!("m{}", dice.roll(16));
        items.push(match dice.roll(9) {
            0 | 1 => item(
                What::Edit(Edit {
                    message_id: target,
                    edit_id: format!("e{n}"),
                    at: at(60 + i64::try_from(dice.roll(5)).unwrap()),
                    chat_id: None,
                    content: (dice.roll(3) > 0).then(|| format!("edit {n}")),
                    caption: (dice.roll(3) == 0).then(|| format!("caption {n}")),
                }),
                None,
            ),
            2 | 3 => {
                let words = [
                    StatusWord::Sent,
                    StatusWord::Delivered,
                    StatusWord::Read,
                    StatusWord::Deleted,
                ];
                status(&target, words[dice.roll(4)], 100 + second)
            }
            4 => {
                let of = person(dice.roll(3), dice.roll(3));
                let mut word = status(&target, StatusWord::Read, 100 + second);
                if let What::Status(status) = &mut word.what {
                    status.member = Some(of.contact_id.clone());
                }
                Item { person: Some(of), ..word }
            }
            5 => item(
                What::Contact(Box::new(ContactUpdate {
                    person: person(dice.roll(3), 3 + dice.roll(2)),
                    at: at(second),
                    is_blocked: Some(dice.roll(2) == 0),
                    picture: Some(if dice.roll(2) == 0 {
                        String::new()
                    } else {
                        format!("https://pic.example/{n}")
                    }),
                    ..ContactUpdate::default()
                })),
                None,
            ),
            6 => {
                let kinds = ["joined", "left", "promoted", "info", "subject"];
                let kind = kinds[dice.roll(5)];
                let mut update = update(kind, second, &format!("g{n}"));
                let who = u32::try_from(dice.roll(4)).unwrap();
                match kind {
                    "joined" => update.members = vec![member(who, MemberState::Joined, None)],
                    "left" => update.members = vec![member(who, MemberState::Left, None)],
                    "promoted" => {
                        update.members = vec![member(who, MemberState::Joined, Some(Role::Admin))];
                    }
                    "info" => {
                        update.all_members = true;
                        update.members = (0..who)
                            .map(|n| member(n, MemberState::Joined, Some(Role::Member)))
                            .collect();
                    }
                    _ => update.description = Some(format!("description {n}")),
                }
                group(update)
            }
            7 => {
                let of = person(dice.roll(3), 0);
                let chat = Chat { id: of.contact_id.clone(), kind: ChatKind::Direct, name: None };
                let unread = Some(u32::try_from(dice.roll(3)).unwrap());
                item(What::Chat(ChatUpdate { chat, at: at(second), unread }), Some(of))
            }
            _ => match dice.roll(3) {
                0 => item(
                    What::Alert(Alert {
                        kind: "quality".into(),
                        detail: format!("alert {}", dice.roll(3)),
                        at: Some(at(1)),
                        extra: serde_json::from_value(json!({"n": 1})).unwrap(),
                    }),
                    None,
                ),
                1 => item(
                    What::Preference(PreferenceUpdate {
                        person: person(dice.roll(3), 0),
                        category: "marketing".into(),
                        allowed: dice.roll(2) == 0,
                        reason: None,
                        at: at(second),
                    }),
                    None,
                ),
                _ => {
                    let state = if dice.roll(2) == 0 {
                        AccountState::Connected
                    } else {
                        AccountState::QrNeeded
                    };
                    item(
                        What::Account(AccountUpdate { state, reason: None, at: Some(at(second)) }),
                        None,
                    )
                }
            },
        });
    }
    items
}

/// Everything that events wrote, by names instead of row ids, without log columns. Left out: which of two messages of one
/// second a chat shows as its last, since when an account has a state that was told twice, and the events of words that
/// only some orders see.
async fn digest(f: &Fixture) -> String {
    let mut digest = String::new();
    for (what, sql) in [
        ("messages", "SELECT concat_ws('|', m.message_id, m.chat_id, m.content, m.caption, m.message_type, m.status, m.direction,
            m.timestamp, m.sent_at, m.delivered_at, m.read_at, m.deleted_at, m.edited_at, c.contact_id, g.group_id, q.message_id, m.extra) AS x
            FROM whatsapp_message m LEFT JOIN whatsapp_contact c ON c.id = m.contact_id LEFT JOIN whatsapp_group g ON g.id = m.group_id
            LEFT JOIN whatsapp_message q ON q.id = m.reply_to_id"),
        ("revisions", "SELECT concat_ws('|', m.message_id, r.revision, r.content, r.caption, r.edited_at) AS x
            FROM whatsapp_message_revision r JOIN whatsapp_message m ON m.id = r.message_id"),
        ("contacts", "SELECT concat_ws('|', contact_id, phone, lid, wa_user_id, pushname, name, picture, is_blocked, opted_out) AS x FROM whatsapp_contact"),
        ("chats", "SELECT concat_ws('|', h.chat_id, c.contact_id, g.group_id, h.last_message_at, h.last_inbound_at, h.unread_count) AS x
            FROM whatsapp_chat h LEFT JOIN whatsapp_contact c ON c.id = h.contact_id LEFT JOIN whatsapp_group g ON g.id = h.group_id"),
        ("groups", "SELECT concat_ws('|', group_id, name, description, is_active) AS x FROM whatsapp_group"),
        ("members", "SELECT concat_ws('|', g.group_id, c.contact_id, m.role, m.state) AS x FROM whatsapp_group_member m
            JOIN whatsapp_group g ON g.id = m.group_id JOIN whatsapp_contact c ON c.id = m.contact_id"),
        ("receipts", "SELECT concat_ws('|', m.message_id, c.contact_id, r.delivered_at, r.read_at) AS x FROM whatsapp_message_receipt r
            JOIN whatsapp_message m ON m.id = r.message_id JOIN whatsapp_contact c ON c.id = r.contact_id"),
        ("account", "SELECT state AS x FROM whatsapp_account_state"),
        ("names", "SELECT concat_ws('|', d.kind, d.value, c.contact_id) AS x FROM wabridge.identity d JOIN whatsapp_contact c ON c.id = d.contact_id"),
        ("wishes", "SELECT concat_ws('|', person, category, allowed) AS x FROM wabridge.consent"),
        ("early", "SELECT concat_ws('|', target_id, kind, member) AS x FROM wabridge.early_event"),
        ("events", "SELECT concat_ws('|', e.kind, m.message_id, e.payload) AS x FROM whatsapp_event e LEFT JOIN whatsapp_message m ON m.id = e.message_id
            WHERE e.kind NOT IN ('account_state', 'status_failed')"),
    ] {
        let rows = f.text(&format!("SELECT string_agg(x, E'\n' ORDER BY x) FROM ({sql}) t")).await;
        digest += &format!("-- {what}\n{rows}\n");
    }
    digest
}

async fn forget(f: &Fixture) {
    f.database
        .execute(
            "TRUNCATE whatsapp_message, whatsapp_chat, whatsapp_group, whatsapp_contact, whatsapp_event, whatsapp_account_state,
                      wabridge.identity, wabridge.contact_fact, wabridge.group_fact, wabridge.member_fact, wabridge.chat_fact,
                      wabridge.message_edit, wabridge.early_event, wabridge.consent, wabridge.notice CASCADE",
        )
        .await;
}

#[tokio::test]
async fn any_order_grouping_and_repetition_ends_in_the_same_rows() {
    let mut seen = String::new();
    for (seed, series) in [(1, Series::Odoo14), (2, Series::Odoo19), (3, Series::Odoo14)] {
        let f = Fixture::new(series).await;
        let mut dice = Dice(seed);
        let items = events(&mut dice);
        f.settle(&items).await;
        let first = digest(&f).await;
        seen += &first;
        let before = f.traces().await;
        for chunk in items.chunks(7) {
            f.settle(chunk).await;
        }
        assert_eq!(f.traces().await, before, "a repetition wrote something");
        for _ in 0..3 {
            forget(&f).await;
            let mut order: Vec<Item> = items.clone();
            for _ in 0..items.len() {
                order.push(items[dice.roll(items.len())].clone());
            }
            dice.shuffle(&mut order);
            let mut rest = order.as_slice();
            while !rest.is_empty() {
                let (chunk, others) = rest.split_at((1 + dice.roll(9)).min(rest.len()));
                f.settle(chunk).await;
                rest = others;
            }
            let second = digest(&f).await;
            assert!(second == first, "seed {seed}: {}", difference(&first, &second));
        }
    }
    // What was compared holds something of everything.
    for part in ["|deleted|", "edit ", "GB.", "reaction", "joined", "left", "marketing", "alert "] {
        assert!(seen.contains(part), "{part} is in no event");
    }
}

fn difference(first: &str, second: &str) -> String {
    let only = |of: &str, other: &str| {
        of.lines().filter(|line| !other.lines().any(|l| l == *line)).collect::<Vec<_>>().join("\n")
    };
    format!("only in order:\n{}\nonly shuffled:\n{}", only(first, second), only(second, first))
}

const BUDGET: Budget = Budget { lock: Duration::from_secs(8), statement: Duration::from_secs(20) };

async fn once(session: &mut Session, items: &[&Item]) -> Result<Changes, StoreError> {
    let tx = session.transaction().await?;
    // Longer than PostgreSQL takes to find a deadlock: none may hide behind a time-out.
    tx.batch_execute("SET LOCAL lock_timeout = '8s'").await?;
    let changes = apply(&tx, items, Echoes::MayWait).await?;
    tx.commit().await?;
    Ok(changes)
}

/// Applies all of it, trying again as the sweeper would. Returns how often PostgreSQL found a deadlock.
async fn work(f: &Fixture, items: &[Item], size: usize) -> u32 {
    let mut session = f.store.session().await.unwrap();
    let mut deadlocks = 0;
    for chunk in items.chunks(size) {
        let chunk: Vec<&Item> = chunk.iter().collect();
        let mut changes = loop {
            match once(&mut session, &chunk).await {
                Ok(changes) => break changes,
                Err(StoreError::Busy(why)) => deadlocks += u32::from(why.contains("40P01")),
                Err(error) => panic!("{error}"),
            }
        };
        ingest::look_again(&mut session, &mut changes, BUDGET).await.unwrap();
    }
    deadlocks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_work_against_each_other_do_not_deadlock() {
    for seed in [11, 12] {
        let f = Fixture::new(Series::Odoo14).await;
        let mut dice = Dice(seed);
        let items = events(&mut dice);
        f.settle(&items).await;
        let first = digest(&f).await;
        for _ in 0..2 {
            forget(&f).await;
            let mut reversed = items.clone();
            reversed.reverse();
            let mut shuffled = items.clone();
            dice.shuffle(&mut shuffled);
            let (a, b, c) =
                tokio::join!(work(&f, &items, 6), work(&f, &reversed, 9), work(&f, &shuffled, 4));
            assert_eq!((a, b, c), (0, 0, 0), "deadlocks of seed {seed}");
            let mut session = f.store.session().await.unwrap();
            let ripe = ingest::ripe(&mut session, Duration::MAX, 500).await.unwrap();
            let mut changes = Changes { look_again: ripe, ..Changes::default() };
            ingest::look_again(&mut session, &mut changes, BUDGET).await.unwrap();
            let second = digest(&f).await;
            assert!(second == first, "seed {seed}: {}", difference(&first, &second));
        }
    }
}

#[tokio::test]
async fn a_deadlock_would_be_seen() {
    let f = Fixture::new(Series::Odoo14).await;
    f.apply(&[inbound("a", 1), in_group("b", 2, None)]).await;
    let (mut one, mut two) = (f.store.session().await.unwrap(), f.store.session().await.unwrap());
    let (first, second) = (one.transaction().await.unwrap(), two.transaction().await.unwrap());
    let touch = |id: &'static str| {
        format!("UPDATE whatsapp_message SET caption = NULL WHERE message_id = '{id}'")
    };
    for tx in [&first, &second] {
        tx.batch_execute("SET LOCAL lock_timeout = '8s'").await.unwrap();
    }
    first.batch_execute(&touch("a")).await.unwrap();
    second.batch_execute(&touch("b")).await.unwrap();
    let (b, a) = (touch("b"), touch("a"));
    let (x, y) = tokio::join!(first.batch_execute(&b), second.batch_execute(&a));
    let error = StoreError::from(x.err().or(y.err()).unwrap());
    assert!(matches!(&error, StoreError::Busy(why) if why.contains("40P01")), "{error}");
}
