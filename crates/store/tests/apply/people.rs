//! One person is one contact, whichever name of theirs came first; names, wishes, partners.

use wabridge_domain::event::{ContactUpdate, Person, PreferenceUpdate, What};
use wabridge_store::apply::Item;
use wabridge_testkit::{Series, eventually};

use super::support::*;

const LID: &str = "183800000000123@lid";

fn person(contact_id: &str) -> Person {
    Person { contact_id: contact_id.into(), ..Person::default() }
}

pub fn contact(second: i64, person: Person) -> Item {
    item(
        What::Contact(Box::new(ContactUpdate {
            person,
            at: at(second),
            ..ContactUpdate::default()
        })),
        None,
    )
}

pub fn writes(id: &str, second: i64, person: Person) -> Item {
    let mut message = message(id, second);
    message.chat.id.clone_from(&person.contact_id);
    message.sender = Some(person.clone());
    item(What::Message(Box::new(message)), Some(person))
}

async fn contacts(f: &Fixture) -> String {
    f.text(
        "SELECT string_agg(concat_ws('|', c.contact_id, c.phone, c.lid, c.username, c.wa_user_id, c.pushname,
            (SELECT string_agg(m.message_id, ',' ORDER BY m.message_id) FROM whatsapp_message m WHERE m.contact_id = c.id),
            (SELECT string_agg(h.chat_id, ',' ORDER BY h.chat_id) FROM whatsapp_chat h WHERE h.contact_id = c.id)),
            E'\n' ORDER BY c.contact_id)
         FROM whatsapp_contact c",
    )
    .await
}

#[tokio::test]
async fn twins_are_one_contact_in_every_order_of_learning() {
    let by_number = Person { phone: Some("+447700900123".into()), ..person(AMIRA) };
    let by_lid = Person { lid: Some(LID.into()), ..person(LID) };
    let by_user = Person {
        user_id: Some("GB.7700".into()),
        username: Some("amira.o".into()),
        ..person("GB.7700")
    };
    let mut items = vec![
        writes("by-number", 1, Person { pushname: Some("Amira".into()), ..by_number.clone() }),
        writes("by-lid", 2, Person { pushname: Some("Amira O".into()), ..by_lid.clone() }),
        writes("by-user", 3, Person { pushname: Some("Amira Osei".into()), ..by_user }),
        contact(4, Person { lid: Some(LID.into()), ..by_number.clone() }),
        contact(5, Person { user_id: Some("GB.7700".into()), ..by_lid }),
    ];
    let mut orders = Vec::new();
    permutations(&mut items, 0, &mut orders);
    let f = Fixture::new(Series::Odoo14).await;
    f.database
        .execute(
            "INSERT INTO whatsapp_partner_number (partner_id, e164) VALUES (7, '+447700900123')",
        )
        .await;
    let mut ends = std::collections::BTreeSet::new();
    for order in orders.iter().step_by(3) {
        for item in order {
            f.settle(std::slice::from_ref(item)).await;
        }
        ends.insert(contacts(&f).await);
        let again = f.traces().await;
        f.settle(order).await;
        assert_eq!(f.traces().await, again);
        f.database
            .execute("TRUNCATE whatsapp_message, whatsapp_chat, whatsapp_contact, wabridge.identity, wabridge.contact_fact CASCADE")
            .await;
    }
    assert_eq!(
        ends.into_iter().collect::<Vec<_>>(),
        [format!(
            "{AMIRA}|+447700900123|{LID}|amira.o|GB.7700|Amira Osei|by-lid,by-number,by-user|{LID},{AMIRA},GB.7700"
        )]
    );
}

/// Of a row from before somebody's commit and facts from after it, his name would look like one that a user typed.
#[tokio::test]
async fn a_name_of_the_same_moment_is_not_a_users() {
    let f = Fixture::new(Series::Odoo14).await;
    let named = |name: &str| Person { name: Some(name.into()), pushname: None, ..amira() };
    f.apply(&[contact(1, named("Ines"))]).await;
    let other = f.database.connect().await;
    other
        .batch_execute("BEGIN; LOCK TABLE wabridge.contact_fact IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let later = [contact(9, named("Amira (Acme)"))];
    let meanwhile = async {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'wabridge.contact_fact'::regclass";
        eventually("the other one waits for the facts", 10, async || {
            (f.database.count(waits).await == 1).then_some(())
        })
        .await;
        let commit = "UPDATE whatsapp_contact SET name = 'Amira';
            UPDATE wabridge.contact_fact SET at = at + interval '2 s', value = 'Amira' WHERE field = 'name'; COMMIT";
        other.batch_execute(commit).await.unwrap();
    };
    tokio::join!(f.apply(&later), meanwhile);
    assert_eq!(f.text("SELECT name FROM whatsapp_contact").await, "Amira (Acme)");
}

#[tokio::test]
async fn the_older_row_stays_and_everything_names_it() {
    for series in [Series::Odoo14, Series::Odoo19] {
        let f = Fixture::new(series).await;
        let by_lid = Person { lid: Some(LID.into()), ..person(LID) };
        f.apply(&[writes("a", 1, by_lid.clone()), inbound("b", 2)]).await;
        f.database
            .execute(
                "INSERT INTO whatsapp_message_receipt (message_id, contact_id, delivered_at, read_at)
                 SELECT m.id, c.id, CASE WHEN c.lid IS NULL THEN '2025-12-15 12:00:01'::timestamp ELSE '2025-12-15 12:00:02' END,
                        CASE WHEN c.lid IS NULL THEN NULL ELSE '2025-12-15 12:00:09'::timestamp END
                 FROM whatsapp_message m, whatsapp_contact c WHERE m.message_id = 'a';
                 UPDATE whatsapp_contact SET name = 'Typed by a user', partner_id = 8 WHERE lid IS NULL",
            )
            .await;
        let older = f.text("SELECT min(id)::text FROM whatsapp_contact").await;
        let changes = f.apply(&[contact(5, Person { lid: Some(LID.into()), ..amira() })]).await;
        assert_eq!(changes.contacts, vec![(1, older.parse().unwrap())]);
        assert_eq!(
            f.text("SELECT string_agg(concat_ws('|', id, contact_id, phone, lid, name, pushname, partner_id), ' ') FROM whatsapp_contact").await,
            format!("{older}|{AMIRA}|+447700900123|{LID}|Typed by a user|Amira Osei|8")
        );
        assert_eq!(
            f.text("SELECT string_agg(DISTINCT contact_id::text, ',') FROM whatsapp_message").await,
            older
        );
        assert_eq!(
            f.text("SELECT string_agg(DISTINCT contact_id::text, ',') FROM whatsapp_chat").await,
            older
        );
        assert_eq!(
            f.text("SELECT string_agg(concat_ws('|', contact_id, delivered_at::time, read_at::time), ' ') FROM whatsapp_message_receipt").await,
            format!("{older}|12:00:01|12:00:09")
        );
        assert_eq!(
            f.text("SELECT string_agg(DISTINCT contact_id::text, ',') FROM wabridge.identity")
                .await,
            older
        );
    }
}

#[tokio::test]
async fn accounts_stay_apart_and_a_username_that_changed_hands_joins_nobody() {
    let f = Fixture::new(Series::Odoo14).await;
    f.database
        .execute(
            "INSERT INTO whatsapp_configuration (id, name, provider, active, seal_uuid) VALUES (2, 'Other', 'whapi', true, 'x')",
        )
        .await;
    let mut elsewhere = inbound("b", 2);
    elsewhere.configuration_id = 2;
    f.apply(&[inbound("a", 1), elsewhere]).await;
    assert_eq!(f.database.count("SELECT count(*) FROM whatsapp_contact").await, 2);
    let named = |id: &str, number: &str| Person {
        phone: Some(number.into()),
        username: Some("night.owl".into()),
        ..person(id)
    };
    f.apply(&[contact(5, named("447700900777@s.whatsapp.net", "+447700900777"))]).await;
    f.apply(&[contact(6, named("447700900778@s.whatsapp.net", "+447700900778"))]).await;
    assert_eq!(f.database.count("SELECT count(*) FROM whatsapp_contact").await, 4);
    // Nothing speaks against this one.
    f.apply(&[contact(7, Person { username: Some("night.owl".into()), ..person("GB.1") })]).await;
    assert_eq!(f.database.count("SELECT count(*) FROM whatsapp_contact").await, 4);
}

#[tokio::test]
async fn a_changed_number_is_the_same_person() {
    let new =
        Person { phone: Some("+447700900555".into()), ..person("447700900555@s.whatsapp.net") };
    let changed = item(
        What::Contact(Box::new(ContactUpdate {
            person: new.clone(),
            at: at(9),
            formerly: Some(Person { phone: Some("+447700900123".into()), ..person(AMIRA) }),
            ..ContactUpdate::default()
        })),
        None,
    );
    let mut orders = Vec::new();
    let mut items = vec![inbound("a", 1), writes("b", 10, new), changed];
    permutations(&mut items, 0, &mut orders);
    for order in orders {
        let f = Fixture::new(Series::Odoo14).await;
        for item in &order {
            f.settle(std::slice::from_ref(item)).await;
        }
        assert_eq!(
            contacts(&f).await,
            format!(
                "447700900555@s.whatsapp.net|+447700900555|Amira Osei|a,b|{AMIRA},447700900555@s.whatsapp.net"
            )
        );
    }
}

#[tokio::test]
async fn partners_are_linked_when_there_is_one_and_a_choice_stays() {
    let f = Fixture::new(Series::Odoo14).await;
    f.database
        .execute(
            "INSERT INTO whatsapp_partner_number (partner_id, e164) VALUES (7, '+447700900123'), (8, '+447700900123');
             INSERT INTO whatsapp_partner_number (partner_id, e164) VALUES (8, '+447700900777')",
        )
        .await;
    f.apply(&[inbound("a", 1)]).await;
    assert_eq!(
        f.text("SELECT partner_id FROM whatsapp_contact").await,
        "NULL",
        "two have the number"
    );
    f.database
        .execute("DELETE FROM whatsapp_partner_number WHERE partner_id = 8 AND e164 LIKE '%123'")
        .await;
    let client = f.store.client().await.unwrap();
    let linked = wabridge_store::odoo::contact::link_partners(&client, 10).await.unwrap();
    assert_eq!(linked.len(), 1);
    assert_eq!(f.text("SELECT partner_id FROM whatsapp_contact").await, "7");
    f.database.execute("UPDATE whatsapp_contact SET partner_id = 3").await;
    assert!(wabridge_store::odoo::contact::link_partners(&client, 10).await.unwrap().is_empty());
    f.apply(&[inbound("b", 2)]).await;
    assert_eq!(f.text("SELECT partner_id FROM whatsapp_contact").await, "3");
}

#[tokio::test]
async fn the_latest_wish_counts_and_shows_at_every_account_of_the_company() {
    let f = Fixture::new(Series::Odoo14).await;
    f.database
        .execute(
            "INSERT INTO whatsapp_configuration (id, name, provider, active, seal_uuid, company_id) VALUES (2, 'Other', 'whapi', true, 'x', 1)",
        )
        .await;
    let mut elsewhere = inbound("b", 2);
    elsewhere.configuration_id = 2;
    f.apply(&[elsewhere.clone()]).await;
    let wish = |allowed, second| {
        item(
            What::Preference(PreferenceUpdate {
                person: amira(),
                category: "marketing".into(),
                allowed,
                reason: Some("user asked".into()),
                at: at(second),
            }),
            None,
        )
    };
    let changes = f.apply(&[wish(false, 5)]).await;
    assert!(changes.events);
    assert_eq!(
        f.text("SELECT string_agg(opted_out::text, ',') FROM whatsapp_contact").await,
        "true,true"
    );
    let before = f.traces().await;
    assert!(!f.apply(&[wish(false, 5)]).await.events);
    assert_eq!(f.traces().await, before);
    assert!(f.apply(&[wish(true, 4)]).await.events, "Odoo is told of a late one too");
    assert_eq!(
        f.text("SELECT string_agg(DISTINCT opted_out::text, ',') FROM whatsapp_contact").await,
        "true"
    );
    f.apply(&[wish(true, 6)]).await;
    assert_eq!(
        f.text("SELECT string_agg(DISTINCT opted_out::text, ',') FROM whatsapp_contact").await,
        "false"
    );
    assert_eq!(
        f.text("SELECT concat_ws('|', company_id, person, category, allowed, reason) FROM wabridge.consent").await,
        "1|+447700900123|marketing|t|user asked"
    );
    // Who is new has the wish from the start.
    f.apply(&[wish(false, 8)]).await;
    f.database
        .execute("TRUNCATE whatsapp_contact, wabridge.identity, wabridge.contact_fact CASCADE")
        .await;
    f.apply(&[elsewhere]).await;
    assert_eq!(f.text("SELECT opted_out::text FROM whatsapp_contact").await, "true");
}

#[tokio::test]
async fn what_contacts_tell_follows_time() {
    let told = |second, picture: Option<&str>, blocked, name: &str| {
        item(
            What::Contact(Box::new(ContactUpdate {
                person: Person { name: Some(name.into()), ..person(AMIRA) },
                at: at(second),
                picture: picture.map(str::to_owned),
                is_blocked: blocked,
                is_business: Some(true),
                ..ContactUpdate::default()
            })),
            None,
        )
    };
    let mut orders = Vec::new();
    let mut items = vec![
        told(1, Some("https://pic.example/1"), Some(true), "First"),
        told(2, Some(""), None, "Second"),
        told(3, None, Some(false), "Third"),
        inbound("m", 2),
    ];
    permutations(&mut items, 0, &mut orders);
    let f = Fixture::new(Series::Odoo19).await;
    for order in orders {
        for item in &order {
            f.settle(std::slice::from_ref(item)).await;
        }
        assert_eq!(
            f.text("SELECT concat_ws('|', name, picture IS NULL, is_blocked, is_business, is_wa_contact) FROM whatsapp_contact").await,
            "Third|t|f|t|t"
        );
        f.database.execute("TRUNCATE whatsapp_message, whatsapp_contact, wabridge.identity, wabridge.contact_fact CASCADE").await;
    }
}
