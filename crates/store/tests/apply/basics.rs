//! Messages, words about them and account states.

use wabridge_domain::account::AccountState;
use wabridge_domain::event::{AccountUpdate, Chat, ChatKind, Source, What};
use wabridge_domain::message::{Facts, StatusWord};
use wabridge_store::{StoreError, early_event, tx};
use wabridge_testkit::Series;

use super::support::*;

#[tokio::test]
async fn an_inbound_text_becomes_rows_that_look_like_odoos_own() {
    for series in [Series::Odoo14, Series::Odoo19] {
        let f = Fixture::new(series).await;
        f.database
            .execute(
                "INSERT INTO whatsapp_partner_number (partner_id, e164) VALUES (7, '+447700900123')",
            )
            .await;
        let changes = f.apply(&[inbound("m1", 1)]).await;
        assert!(changes.events);
        assert_eq!(
            (changes.messages.len(), changes.chats.len(), changes.contacts.len()),
            (1, 2, 1)
        );
        assert_eq!(
            f.text(
                "SELECT concat_ws('|', m.content, m.message_type, m.chat_id, m.from_me, m.status, m.direction, m.provider,
                        m.timestamp, m.delivered_at, m.origin, m.create_uid, m.write_uid,
                        m.create_date IS NOT NULL AND m.write_date IS NOT NULL, m.synced_at IS NULL,
                        m.caption IS NULL AND m.extra IS NULL AND m.group_id IS NULL AND m.user_id IS NULL)
                 FROM whatsapp_message m"
            )
            .await,
            "text of m1|text|447700900123@s.whatsapp.net|f|delivered|inbound|whapi|2025-12-15 12:00:01|2025-12-15 12:00:01|provider|1|1|t|t|t"
        );
        assert_eq!(
            f.text(
                "SELECT concat_ws('|', c.contact_id, c.phone, c.pushname, c.name IS NULL, c.provider, c.is_wa_contact,
                        c.opted_out, c.partner_id, m.contact_id = c.id)
                 FROM whatsapp_contact c, whatsapp_message m"
            )
            .await,
            "447700900123@s.whatsapp.net|+447700900123|Amira Osei|t|whapi|t|f|7|t"
        );
        assert_eq!(
            f.text(
                "SELECT concat_ws('|', h.chat_id, h.contact_id = m.contact_id, h.group_id IS NULL, h.last_message_id = m.id,
                        h.last_message_at, h.last_inbound_at, h.unread_count)
                 FROM whatsapp_chat h, whatsapp_message m"
            )
            .await,
            "447700900123@s.whatsapp.net|t|t|t|2025-12-15 12:00:01|2025-12-15 12:00:01|1"
        );
        assert_eq!(
            f.text("SELECT concat_ws('|', kind, message_id IS NOT NULL, configuration_id, phase, attempts, create_uid) FROM whatsapp_event").await,
            "message_received|t|1|new|0|1"
        );
        assert_eq!(
            f.text(
                "SELECT string_agg(kind || '=' || value, ' ' ORDER BY kind) FROM wabridge.identity"
            )
            .await,
            "contact_id=447700900123@s.whatsapp.net phone=+447700900123"
        );
    }
}

#[tokio::test]
async fn repetitions_change_nothing_and_draw_no_ids() {
    let f = Fixture::new(Series::Odoo14).await;
    let mut states = vec![item(
        What::Account(AccountUpdate {
            state: AccountState::Connected,
            reason: Some("AUTH".into()),
            at: Some(at(5)),
        }),
        None,
    )];
    let mut all = vec![
        inbound("m1", 1),
        inbound("m1", 1),
        in_group("g1", 2, Some("Ops Night Shift")),
        from_me("p1", 3, Source::Phone, None),
        from_me("e1", 4, Source::Api, Some(StatusWord::Pending)),
        status("e1", StatusWord::Delivered, 6),
        status("e1", StatusWord::Failed, 5),
        status("never", StatusWord::Sent, 7),
    ];
    all.append(&mut states);
    f.apply(&all).await;
    let before = f.traces().await;
    for _ in 0..4 {
        let changes = f.apply(&all).await;
        assert!(changes.messages.is_empty() && changes.chats.is_empty(), "{changes:?}");
        assert!(
            changes.contacts.is_empty() && changes.groups.is_empty() && changes.accounts.is_empty()
        );
        assert!(!changes.events);
    }
    all.reverse();
    f.apply(&all).await;
    assert_eq!(f.traces().await, before);
    assert_eq!(f.database.count("SELECT count(*) FROM whatsapp_message").await, 4);
    assert_eq!(f.text("SELECT last_value::text FROM whatsapp_message_id_seq").await, "4");
}

#[tokio::test]
async fn all_orders_of_status_words_end_the_same() {
    let words = [
        (StatusWord::Sent, 1),
        (StatusWord::Failed, 2),
        (StatusWord::Delivered, 3),
        (StatusWord::Read, 4),
    ];
    let f = Fixture::new(Series::Odoo14).await;
    let mut orders = Vec::new();
    permutations(&mut words.to_vec(), 0, &mut orders);
    assert_eq!(orders.len(), 24);
    for (n, order) in orders.iter().enumerate() {
        let id = format!("m{n}");
        // The message itself comes at every place among its words.
        for (i, (word, second)) in order.iter().enumerate() {
            if i == n % 5 {
                f.apply(&[from_me(&id, 0, Source::Phone, Some(StatusWord::Pending))]).await;
            }
            f.apply(&[status(&id, *word, *second)]).await;
        }
        if n % 5 == 4 {
            f.apply(&[from_me(&id, 0, Source::Phone, Some(StatusWord::Pending))]).await;
        }
    }
    assert_eq!(
        f.text(
            "SELECT count(*) || ' ' || min(row) || ' ' || (min(row) = max(row)) FROM (
                SELECT concat_ws('|', status, pending_at::time, sent_at::time, failed_at::time, delivered_at::time,
                       read_at::time, error_code, error_message) AS row FROM whatsapp_message) m"
        )
        .await,
        "24 read|12:00:00|12:00:01|12:00:02|12:00:03|12:00:04|provider_rejected|send failed (500) true"
    );
    assert_eq!(f.text("SELECT count(*)::text FROM wabridge.early_event").await, "0");
}

#[tokio::test]
async fn the_earliest_time_of_a_word_stays_and_updates_stay_on_their_page() {
    let f = Fixture::new(Series::Odoo14).await;
    f.apply(&[from_me("m", 0, Source::Phone, None)]).await;
    f.apply(&[status("m", StatusWord::Delivered, 9)]).await;
    let before = f.traces().await;
    assert!(f.apply(&[status("m", StatusWord::Delivered, 12)]).await.messages.is_empty());
    assert_eq!(f.traces().await, before);
    f.apply(&[status("m", StatusWord::Delivered, 4)]).await;
    assert_eq!(f.text("SELECT delivered_at::time::text FROM whatsapp_message").await, "12:00:04");
    assert_eq!(
        f.text("SELECT (ctid::text::point)[0]::int::text FROM whatsapp_message").await,
        "0",
        "a status update moved the row to another page"
    );
}

#[tokio::test]
async fn a_failure_is_an_event_for_odoo_once() {
    let f = Fixture::new(Series::Odoo14).await;
    f.apply(&[from_me("m", 0, Source::Phone, None)]).await;
    assert!(f.apply(&[status("m", StatusWord::Failed, 1)]).await.events);
    assert!(!f.apply(&[status("m", StatusWord::Failed, 1)]).await.events);
    assert_eq!(f.text("SELECT string_agg(kind, ',') FROM whatsapp_event").await, "status_failed");
    f.apply(&[from_me("n", 0, Source::Phone, None), status("n", StatusWord::Read, 1)]).await;
    assert!(
        !f.apply(&[status("n", StatusWord::Failed, 2)]).await.events,
        "it was read: it did not fail"
    );
}

#[tokio::test]
async fn the_status_function_is_the_domains_rule() {
    let f = Fixture::new(Series::Odoo14).await;
    // Every subset of the ten facts.
    let rows = f
        .database
        .admin
        .query(
            "SELECT n, wabridge.message_status(
                CASE WHEN n & 1 > 0 THEN t END, CASE WHEN n & 2 > 0 THEN t END, CASE WHEN n & 4 > 0 THEN t END,
                CASE WHEN n & 8 > 0 THEN t END, CASE WHEN n & 16 > 0 THEN t END, CASE WHEN n & 32 > 0 THEN t END,
                CASE WHEN n & 64 > 0 THEN t END, CASE WHEN n & 128 > 0 THEN t END, CASE WHEN n & 256 > 0 THEN t END,
                CASE WHEN n & 512 > 0 THEN t END)
             FROM generate_series(0, 1023) n, (SELECT now()::timestamp AS t) t",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 1024);
    for row in rows {
        let (n, word): (i32, String) = (row.get(0), row.get(1));
        let fact = |bit: i32| (n & bit > 0).then(|| at(0));
        let facts = Facts {
            deleted_at: fact(1),
            played_at: fact(2),
            read_at: fact(4),
            delivered_at: fact(8),
            failed_at: fact(16),
            sent_at: fact(32),
            pending_at: fact(64),
            uncertain_at: fact(128),
            cancelled_at: fact(256),
            queued_at: fact(512),
        };
        assert_eq!(word, facts.status().as_str(), "{facts:?}");
    }
}

#[tokio::test]
async fn a_group_text_has_its_group_and_its_sender() {
    let f = Fixture::new(Series::Odoo14).await;
    let mut quoting = in_group("g2", 3, None);
    if let What::Message(message) = &mut quoting.what {
        message.quoted_id = Some("g1".into());
        message.extra.insert("mentions".into(), serde_json::json!(["447700900999"]));
    }
    f.apply(&[quoting, in_group("g1", 2, Some("Ops Night Shift"))]).await;
    assert_eq!(
        f.text(
            "SELECT string_agg(concat_ws('|', m.message_id, g.group_id, g.name, g.is_active, c.phone, m.chat_id, q.message_id, m.extra), ' & ' ORDER BY m.id)
             FROM whatsapp_message m JOIN whatsapp_group g ON g.id = m.group_id JOIN whatsapp_contact c ON c.id = m.contact_id
             LEFT JOIN whatsapp_message q ON q.id = m.reply_to_id"
        )
        .await,
        "g1|120363025550100777@g.us|Ops Night Shift|t|+447700900123|120363025550100777@g.us \
         & g2|120363025550100777@g.us|Ops Night Shift|t|+447700900123|120363025550100777@g.us|g1|{\"mentions\":[\"447700900999\"]}"
    );
    assert_eq!(
        f.text("SELECT concat_ws('|', chat_id, contact_id IS NULL, group_id IS NOT NULL, unread_count) FROM whatsapp_chat").await,
        "120363025550100777@g.us|t|t|2"
    );
}

#[tokio::test]
async fn names_follow_the_latest_message_in_every_order() {
    let named = |id: &str, second, name: &str| {
        let mut item = inbound(id, second);
        item.person.as_mut().unwrap().pushname = Some(name.into());
        item
    };
    let mut orders = Vec::new();
    let mut items = vec![named("a", 1, "X"), named("b", 2, "Y"), named("c", 3, "X")];
    permutations(&mut items, 0, &mut orders);
    for order in orders {
        let f = Fixture::new(Series::Odoo14).await;
        for item in &order {
            f.apply(std::slice::from_ref(item)).await;
        }
        let ids: Vec<_> =
            order.iter().map(|i| format!("{:?}", i.person.as_ref().unwrap().pushname)).collect();
        assert_eq!(f.text("SELECT pushname FROM whatsapp_contact").await, "X", "{ids:?}");
        // A name that somebody typed in Odoo stays.
        f.database.execute("UPDATE whatsapp_contact SET name = 'Amira (Acme)'").await;
        let mut later = named("d", 4, "Z");
        later.person.as_mut().unwrap().name = Some("Amira O".into());
        f.apply(&[later]).await;
        assert_eq!(
            f.text("SELECT pushname || '|' || name FROM whatsapp_contact").await,
            "Z|Amira (Acme)"
        );
    }
}

#[tokio::test]
async fn words_of_members_become_receipts() {
    let f = Fixture::new(Series::Odoo14).await;
    let word = |word, second| {
        let mut item = status("g", word, second);
        if let What::Status(status) = &mut item.what {
            status.member = Some(AMIRA.into());
        }
        item.person = Some(amira());
        item
    };
    f.apply(&[word(StatusWord::Read, 9)]).await;
    assert_eq!(f.text("SELECT count(*)::text FROM whatsapp_message_receipt").await, "0");
    let mut sent = from_me("g", 0, Source::Phone, None);
    if let What::Message(message) = &mut sent.what {
        message.chat = Chat { id: GROUP.into(), kind: ChatKind::Group, name: None };
    }
    f.apply(&[sent, word(StatusWord::Delivered, 5)]).await;
    f.apply(&[word(StatusWord::Delivered, 4)]).await;
    assert_eq!(
        f.text("SELECT concat_ws('|', delivered_at::time, read_at::time, create_uid) FROM whatsapp_message_receipt").await,
        "12:00:04|12:00:09|1"
    );
    let before = f.traces().await;
    f.apply(&[word(StatusWord::Delivered, 4), word(StatusWord::Read, 10)]).await;
    assert_eq!(f.traces().await, before);
    assert_eq!(
        f.text("SELECT status FROM whatsapp_message").await,
        "sent",
        "one member is not all of them"
    );
    assert_eq!(f.text("SELECT count(*)::text FROM wabridge.early_event").await, "0");
}

#[tokio::test]
async fn an_echo_of_a_known_message_is_no_second_row() {
    let f = Fixture::new(Series::Odoo14).await;
    f.database
        .execute(
            "INSERT INTO whatsapp_message (configuration_id, message_id, chat_id, from_me, direction, status, origin, queued_at, content)
             VALUES (1, 'e1', '447700900123@s.whatsapp.net', true, 'outbound', 'queued', 'rpc', '2025-12-15 11:59:00', 'ours')",
        )
        .await;
    let changes = f.apply(&[from_me("e1", 4, Source::Api, Some(StatusWord::Pending))]).await;
    assert_eq!(changes.messages.len(), 1);
    assert_eq!(
        f.text("SELECT string_agg(concat_ws('|', content, origin, status, pending_at::time), ' & ') FROM whatsapp_message").await,
        "ours|rpc|pending|12:00:04"
    );
}

#[tokio::test]
async fn an_echo_waits_for_the_answer_and_joins_it() {
    let f = Fixture::new(Series::Odoo14).await;
    let attempt = open_attempt(&f).await;
    f.database
        .execute(
            "INSERT INTO whatsapp_message (id, configuration_id, chat_id, from_me, direction, status, origin, queued_at, content)
             VALUES (4711, 1, '447700900123@s.whatsapp.net', true, 'outbound', 'queued', 'rpc', '2025-12-15 11:59:00', 'ours')",
        )
        .await;
    let echo = from_me("e1", 4, Source::Api, Some(StatusWord::Pending));
    let changes = f.apply(&[echo.clone(), status("e1", StatusWord::Sent, 5)]).await;
    assert_eq!(changes.look_again.len(), 2);
    assert_eq!(f.text("SELECT count(*)::text FROM whatsapp_message").await, "1");
    assert_eq!(f.release().await.1, 0, "a call is under way in that chat");
    f.database
        .execute(&format!(
            "UPDATE whatsapp_message SET message_id = 'e1' WHERE id = 4711;
             UPDATE wabridge.attempt SET finished_at = now(), applied_at = now(), outcome = 'accepted' WHERE id = {attempt}"
        ))
        .await;
    let joined: Result<_, StoreError> = tx!(&f.store, "test", |tx| {
        early_event::join_new(tx, &[(1, "e1".into()), (1, "other".into())]).await
    });
    let joined = joined.unwrap();
    assert_eq!(joined.changed, vec![(1, 4711)]);
    assert_eq!(
        f.text("SELECT status || sent_at::time || pending_at::time FROM whatsapp_message").await,
        "sent12:00:0512:00:04"
    );
    assert_eq!(f.text("SELECT count(*)::text FROM wabridge.early_event").await, "0");
    f.apply(&[echo]).await;
    assert_eq!(f.text("SELECT count(*)::text FROM whatsapp_message").await, "1");
}

#[tokio::test]
async fn an_echo_of_somebody_elses_send_is_released() {
    let f = Fixture::new(Series::Odoo14).await;
    let attempt = open_attempt(&f).await;
    f.apply(&[
        from_me("e1", 4, Source::Api, Some(StatusWord::Pending)),
        status("e1", StatusWord::Delivered, 6),
    ])
    .await;
    // Our send may have named another chat than its echo does: it waits as well.
    let mut other = from_me("e2", 4, Source::Api, None);
    if let What::Message(message) = &mut other.what {
        message.chat.id = "447700900777@s.whatsapp.net".into();
    }
    other.person = None;
    assert!(f.apply(&[other]).await.messages.is_empty());
    // The outcome stays unknown: now only echoes of the same chat can be the one.
    f.database
        .execute(&format!("UPDATE wabridge.attempt SET outcome = 'uncertain' WHERE id = {attempt}"))
        .await;
    let (changes, count) = f.release().await;
    assert_eq!((count, changes.messages.len()), (1, 1));
    assert_eq!(f.text("SELECT string_agg(message_id, ',') FROM whatsapp_message").await, "e2");
    f.database
        .execute(&format!(
            "UPDATE wabridge.attempt SET finished_at = now(), applied_at = now(), outcome = 'refused' WHERE id = {attempt}"
        ))
        .await;
    let (changes, count) = f.release().await;
    assert_eq!(count, 1);
    assert!(!changes.messages.is_empty());
    assert_eq!(
        f.text("SELECT concat_ws('|', origin, direction, from_me, status, content, contact_id IS NOT NULL) FROM whatsapp_message WHERE message_id = 'e1'").await,
        "provider|outbound|t|delivered|text of e1|t"
    );
    assert_eq!(f.text("SELECT count(*)::text FROM wabridge.early_event").await, "0");
}

#[tokio::test]
async fn account_states_follow_time_and_a_hold_stays() {
    let f = Fixture::new(Series::Odoo14).await;
    let state = |state, second| {
        item(What::Account(AccountUpdate { state, reason: None, at: Some(at(second)) }), None)
    };
    assert_eq!(f.apply(&[state(AccountState::QrNeeded, 5)]).await.accounts, vec![1]);
    assert!(f.apply(&[state(AccountState::Connected, 4)]).await.accounts.is_empty());
    assert_eq!(
        f.apply(&[state(AccountState::Disconnected, 6), state(AccountState::Connected, 7)])
            .await
            .accounts,
        vec![1]
    );
    assert_eq!(
        f.text("SELECT state || since::time FROM whatsapp_account_state").await,
        "connected12:00:07"
    );
    assert_eq!(
        f.text("SELECT string_agg(kind || payload, ' ' ORDER BY id) FROM whatsapp_event").await,
        "account_state{\"state\" : \"qr_needed\", \"former\" : null, \"reason\" : null} \
         account_state{\"state\" : \"connected\", \"former\" : \"qr_needed\", \"reason\" : null}"
    );
    f.database.execute("UPDATE whatsapp_account_state SET state = 'held'").await;
    assert!(f.apply(&[state(AccountState::Connected, 9)]).await.accounts.is_empty());
}

#[tokio::test]
async fn what_postgresql_refuses_is_refused_and_empty_text_is_null() {
    let f = Fixture::new(Series::Odoo14).await;
    let mut odd = message("m\u{0}1", 1);
    odd.content = Some("a\0b".into());
    odd.caption = Some(String::new());
    f.apply(&[item(What::Message(Box::new(odd)), Some(amira()))]).await;
    assert_eq!(
        f.text("SELECT message_id || content || (caption IS NULL) FROM whatsapp_message").await,
        "m1abtrue"
    );
    let mut gone = inbound("m2", 2);
    gone.configuration_id = 4711;
    assert!(matches!(f.try_apply(&[gone]).await, Err(StoreError::Refused(_))));
    let mut long = message("x", 1);
    long.message_id =
        (0..4000).map(|n| char::from(b'a' + u8::try_from(n * n % 26).unwrap())).collect();
    let refused = f.try_apply(&[item(What::Message(Box::new(long)), Some(amira()))]).await;
    assert!(matches!(refused, Ok(_) | Err(StoreError::Other(_))), "{refused:?}");
}

#[tokio::test]
async fn what_is_told_long_afterwards_wakes_nobody() {
    let f = Fixture::new(Series::Odoo19).await;
    let mut told = message("old", 1);
    told.extra.insert("history".into(), true.into());
    f.apply(&[item(What::Message(Box::new(told)), Some(amira())), inbound("new", 2)]).await;
    let events = "SELECT string_agg(concat_ws('|', e.kind, m.message_id), ' ')
                  FROM whatsapp_event e JOIN whatsapp_message m ON m.id = e.message_id";
    assert_eq!(f.text(events).await, "message_received|new");
    let chat = "SELECT concat_ws('|', (SELECT count(*) FROM whatsapp_message), unread_count) FROM whatsapp_chat";
    assert_eq!(f.text(chat).await, "2|1");
}
