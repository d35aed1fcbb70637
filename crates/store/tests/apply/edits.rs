//! Edits, deletions, reactions, quotes, and all of them before their message.

use wabridge_domain::event::{Edit, Location, What};
use wabridge_domain::message::{MessageType, StatusWord};
use wabridge_store::apply::Item;
use wabridge_testkit::Series;

use super::support::*;

pub fn edit(
    id: &str,
    edit_id: &str,
    second: i64,
    content: Option<&str>,
    caption: Option<&str>,
) -> Item {
    item(
        What::Edit(Edit {
            message_id: id.into(),
            edit_id: edit_id.into(),
            at: at(second),
            chat_id: None,
            content: content.map(str::to_owned),
            caption: caption.map(str::to_owned),
        }),
        None,
    )
}

pub fn reaction(id: &str, second: i64, target: &str, emoji: Option<&str>) -> Item {
    let mut message = message(id, second);
    message.message_type = MessageType::Reaction;
    message.content = emoji.map(str::to_owned);
    message.quoted_id = Some(target.into());
    item(What::Message(Box::new(message)), Some(amira()))
}

async fn shown(f: &Fixture) -> String {
    f.text(
        "SELECT concat_ws('|', m.content, m.caption, m.edited_at::time, m.status) || E'\n' || coalesce((
            SELECT string_agg(concat_ws('|', r.revision, r.content, r.caption, r.edited_at::time), E'\n' ORDER BY r.revision)
            FROM whatsapp_message_revision r WHERE r.message_id = m.id), '')
         FROM whatsapp_message m WHERE m.message_id = 'm'",
    )
    .await
}

#[tokio::test]
async fn the_highest_edit_is_shown_and_the_others_are_revisions() {
    for series in [Series::Odoo14, Series::Odoo19] {
        let f = Fixture::new(series).await;
        f.apply(&[inbound("m", 1)]).await;
        let changes = f.apply(&[edit("m", "e1", 5, Some("second text"), None)]).await;
        assert!(changes.events);
        assert_eq!(changes.messages.len(), 1);
        assert_eq!(shown(&f).await, "second text|12:00:05|delivered\nm|text of m|12:00:01");
        f.apply(&[edit("m", "e0", 4, Some("between"), None)]).await;
        f.apply(&[edit("m", "e2", 5, None, Some("a caption"))]).await;
        assert_eq!(
            shown(&f).await,
            "second text|a caption|12:00:05|delivered\ne0|between|12:00:04\ne1|second text|12:00:05\nm|text of m|12:00:01"
        );
        let before = f.traces().await;
        let changes = f.apply(&[edit("m", "e0", 4, Some("between"), None)]).await;
        assert!(!changes.events && changes.messages.is_empty());
        f.apply(&[
            edit("m", "e2", 5, None, Some("a caption")),
            edit("m", "e1", 5, Some("second text"), None),
        ])
        .await;
        assert_eq!(f.traces().await, before);
        assert_eq!(
            f.text("SELECT string_agg(kind || coalesce(payload::json->>'edit_id', ''), ' ' ORDER BY id) FROM whatsapp_event").await,
            "message_received message_editede1 message_editede0 message_editede2"
        );
        assert_eq!(
            f.text("SELECT count(*)::text FROM whatsapp_message_revision WHERE create_uid = 1 AND write_date IS NOT NULL").await,
            "3"
        );
    }
}

#[tokio::test]
async fn all_orders_of_edits_and_their_message_end_the_same() {
    let mut items = vec![
        inbound("m", 1),
        edit("m", "b", 3, Some("second"), None),
        edit("m", "a", 3, Some("first of the same second"), Some("caption")),
        edit("m", "c", 2, Some("earlier"), None),
        status("m", StatusWord::Deleted, 9),
    ];
    let mut orders = Vec::new();
    permutations(&mut items, 0, &mut orders);
    let f = Fixture::new(Series::Odoo14).await;
    let mut ends = std::collections::BTreeSet::new();
    for order in orders {
        for item in &order {
            f.settle(std::slice::from_ref(item)).await;
        }
        ends.insert(shown(&f).await);
        assert_eq!(f.text("SELECT count(*)::text FROM wabridge.early_event").await, "0");
        f.database.execute("TRUNCATE whatsapp_message, wabridge.message_edit CASCADE").await;
    }
    assert_eq!(
        ends.into_iter().collect::<Vec<_>>(),
        [
            "second|caption|12:00:03|deleted\na|first of the same second|caption|12:00:03\nc|earlier|12:00:02\nm|text of m|12:00:01"
        ]
    );
}

#[tokio::test]
async fn an_edit_with_the_messages_own_id_keeps_the_first_text() {
    let f = Fixture::new(Series::Odoo14).await;
    f.apply(&[inbound("m", 1), edit("m", "m", 5, Some("new"), None)]).await;
    assert_eq!(shown(&f).await, "new|12:00:05|delivered\nm|text of m|12:00:01");
}

#[tokio::test]
async fn a_deleted_message_keeps_its_text() {
    let f = Fixture::new(Series::Odoo14).await;
    f.apply(&[inbound("m", 1)]).await;
    assert_eq!(f.apply(&[status("m", StatusWord::Deleted, 9)]).await.messages.len(), 1);
    assert_eq!(
        f.text("SELECT concat_ws('|', content, status, deleted_at::time) FROM whatsapp_message")
            .await,
        "text of m|deleted|12:00:09"
    );
    // The deletion was there first.
    f.settle(&[status("n", StatusWord::Deleted, 9)]).await;
    f.settle(&[inbound("n", 2)]).await;
    assert_eq!(
        f.text("SELECT concat_ws('|', content, status, deleted_at::time) FROM whatsapp_message WHERE message_id = 'n'").await,
        "text of n|deleted|12:00:09"
    );
    assert_eq!(f.text("SELECT count(*)::text FROM wabridge.early_event").await, "0");
}

#[tokio::test]
async fn a_reaction_is_a_row_of_its_own_that_names_its_target_in_any_order() {
    for early in [false, true] {
        let f = Fixture::new(Series::Odoo14).await;
        let mut items = vec![
            inbound("m", 1),
            reaction("r1", 2, "m", Some("\u{1f44d}")),
            reaction("r2", 3, "m", None),
        ];
        if early {
            items.reverse();
        }
        for item in &items {
            f.settle(std::slice::from_ref(item)).await;
        }
        assert_eq!(
            f.text(
                "SELECT string_agg(concat_ws('|', m.message_id, m.message_type, q.message_id, m.content IS NULL), ' ' ORDER BY m.message_id)
                 FROM whatsapp_message m LEFT JOIN whatsapp_message q ON q.id = m.reply_to_id"
            )
            .await,
            "m|text|f r1|reaction|m|f r2|reaction|m|t"
        );
        assert_eq!(
            f.text("SELECT unread_count::text FROM whatsapp_chat").await,
            "1",
            "a reaction is nothing to read"
        );
        assert_eq!(f.text("SELECT count(*)::text FROM wabridge.early_event").await, "0");
        let before = f.traces().await;
        for item in &items {
            f.settle(std::slice::from_ref(item)).await;
        }
        assert_eq!(f.traces().await, before);
        assert_eq!(f.text("SELECT count(*)::text FROM wabridge.early_event").await, "0");
    }
}

#[tokio::test]
async fn forwarded_and_a_place_have_their_columns() {
    let f = Fixture::new(Series::Odoo14).await;
    let mut sent = message("m", 1);
    sent.forwarded = true;
    sent.message_type = MessageType::Location;
    sent.content = None;
    sent.location = Some(Location {
        latitude: 51.5007,
        longitude: -0.1246,
        name: Some("Office".into()),
        address: None,
    });
    f.apply(&[item(What::Message(Box::new(sent)), Some(amira())), inbound("n", 2)]).await;
    assert_eq!(
        f.text("SELECT string_agg(concat_ws('|', forwarded, location, extra), ' ' ORDER BY message_id) FROM whatsapp_message").await,
        "t|51.5007,-0.1246|{\"location\":{\"latitude\":51.5007,\"longitude\":-0.1246,\"name\":\"Office\"}} f"
    );
}
