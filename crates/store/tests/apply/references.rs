//! Rows of ours that a provider names by our own reference.

use wabridge_domain::event::{Source, What};
use wabridge_domain::message::StatusWord;
use wabridge_store::apply::Item;
use wabridge_testkit::Series;

use super::support::*;

async fn sent(f: &Fixture) {
    f.database
        .execute(&format!(
            "INSERT INTO whatsapp_message (id, configuration_id, chat_id, from_me, direction, status, origin, queued_at, content, message_type)
             VALUES (4711, 1, '{AMIRA}', true, 'outbound', 'queued', 'rpc', '2025-12-15 11:59:00', 'ours', 'text');
             INSERT INTO wabridge.attempt (configuration_id, chat_key, message_id, outbox_id, number, epoch, owner, request_id)
             VALUES (1, '{AMIRA}', 4711, 1, 1, 1, gen_random_uuid(), 'r')"
        ))
        .await;
}

fn referring(mut item: Item, attempt: u32) -> Item {
    let reference = Some(format!("wabridge:demo:4711:{attempt}"));
    match &mut item.what {
        What::Message(message) => message.reference = reference,
        What::Status(status) => status.reference = reference,
        _ => {}
    }
    item
}

async fn rows(f: &Fixture) -> String {
    f.text(
        "SELECT string_agg(concat_ws('|', m.id, m.message_id, m.content, m.origin, m.status, m.sent_at::time, m.delivered_at::time), ' ' ORDER BY m.id)
         FROM whatsapp_message m",
    )
    .await
}

#[tokio::test]
async fn echo_and_statuses_join_the_row_they_name_in_every_order() {
    let mut items = vec![
        referring(from_me("W1", 4, Source::Api, Some(StatusWord::Pending)), 1),
        referring(status("W1", StatusWord::Sent, 5), 1),
        status("W1", StatusWord::Delivered, 6),
    ];
    let mut orders = Vec::new();
    permutations(&mut items, 0, &mut orders);
    for series in [Series::Odoo14, Series::Odoo19] {
        let f = Fixture::new(series).await;
        for order in &orders {
            sent(&f).await;
            for item in order {
                f.settle(std::slice::from_ref(item)).await;
            }
            assert_eq!(rows(&f).await, "4711|W1|ours|rpc|delivered|12:00:05|12:00:06");
            assert_eq!(
                f.text("SELECT string_agg(provider_message_id, ',') FROM wabridge.attempt").await,
                "W1",
                "what settles an unknown outcome finds the id"
            );
            assert_eq!(f.text("SELECT count(*)::text FROM wabridge.early_event").await, "0");
            let before = f.traces().await;
            f.settle(order).await;
            assert_eq!(f.traces().await, before);
            f.database.execute("TRUNCATE whatsapp_message, wabridge.attempt CASCADE").await;
        }
    }
}

#[tokio::test]
async fn an_echo_that_was_a_row_already_goes_into_the_one_it_names() {
    let f = Fixture::new(Series::Odoo14).await;
    f.settle(&[from_me("W1", 4, Source::Phone, None), status("W1", StatusWord::Delivered, 6)])
        .await;
    sent(&f).await;
    f.settle(&[referring(status("W1", StatusWord::Sent, 5), 1)]).await;
    assert_eq!(rows(&f).await, "4711|W1|ours|rpc|delivered|12:00:04|12:00:06");
}

#[tokio::test]
async fn a_repeated_send_stays_one_row_and_strangers_references_mean_nothing() {
    let f = Fixture::new(Series::Odoo14).await;
    sent(&f).await;
    f.settle(&[referring(status("W1", StatusWord::Sent, 5), 1)]).await;
    f.settle(&[
        referring(from_me("W2", 7, Source::Api, Some(StatusWord::Sent)), 2),
        referring(status("W2", StatusWord::Delivered, 8), 2),
    ])
    .await;
    assert_eq!(rows(&f).await, "4711|W1|ours|rpc|delivered|12:00:05|12:00:08");
    // A row of another account, an inbound one, and one that is not there.
    let f = Fixture::new(Series::Odoo14).await;
    sent(&f).await;
    f.database.execute("UPDATE wabridge.attempt SET finished_at = now(), applied_at = now(), outcome = 'refused'").await;
    f.database
        .execute(
            "INSERT INTO whatsapp_configuration (id, name, provider, active, seal_uuid) VALUES (2, 'Other', 'whapi', true, 'x')",
        )
        .await;
    let mut elsewhere = referring(from_me("W1", 4, Source::Api, None), 1);
    elsewhere.configuration_id = 2;
    f.settle(&[elsewhere]).await;
    assert_eq!(f.text("SELECT message_id FROM whatsapp_message WHERE id = 4711").await, "NULL");
    assert_eq!(f.database.count("SELECT count(*) FROM whatsapp_message").await, 2);
}
