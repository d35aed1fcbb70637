//! What Odoo shows of the quarantine.

use std::time::Duration;

use bytes::Bytes;
use wabridge_store::apply::{Echoes, Item};
use wabridge_store::ingest::{self, Budget, Committed, Delivery, Swept, Unusable};
use wabridge_store::journal::{Pending, Reason, Receipt, WHOLE_BODY};
use wabridge_store::odoo::quarantine;
use wabridge_store::{StoreError, journal, tx};
use wabridge_testkit::Series;

use super::support::*;

const BUDGET: Budget =
    Budget { lock: Duration::from_millis(50), statement: Duration::from_secs(5) };

fn delivery(configuration_id: i32, items: Vec<Item>, unusable: Vec<Unusable>) -> Delivery {
    Delivery {
        receipt: Receipt {
            provider: "whapi",
            configuration_id,
            verified_by: "header".into(),
            method: "POST".into(),
            sub_path: String::new(),
            headers: serde_json::json!({}),
            body: Bytes::from_static(b"{}"),
            address: None,
            request_id: "r".into(),
        },
        items,
        unusable,
    }
}

fn unusable(event_no: i32, reason: Reason, detail: &str) -> Unusable {
    Unusable { event_no, reason, detail: Some(detail.into()) }
}

async fn commit(f: &Fixture, deliveries: &[Delivery]) -> Committed {
    let mut session = f.store.session().await.unwrap();
    let deliveries: Vec<&Delivery> = deliveries.iter().collect();
    ingest::commit(&mut session, &deliveries, Some(BUDGET), Echoes::MayWait, async {})
        .await
        .unwrap()
}

async fn shown(f: &Fixture) -> String {
    f.text(
        "SELECT string_agg(concat_ws('|', q.configuration_id, q.provider, q.event_no, q.reason, q.detail, q.attempts, q.create_uid,
                q.journal_id = p.journal_id::text, q.received_at = date_trunc('second', p.received_at AT TIME ZONE 'UTC')), ' & '
                ORDER BY q.journal_id, q.event_no)
         FROM whatsapp_quarantine q LEFT JOIN wabridge.journal_pending p ON p.journal_id::text = q.journal_id AND p.event_no = q.event_no",
    )
    .await
}

#[tokio::test]
async fn odoo_sees_what_stands_in_quarantine_and_only_that() {
    for series in [Series::Odoo14, Series::Odoo19] {
        let f = Fixture::new(series).await;
        let broken = unusable(2, Reason::BrokenEvent, "messages 2: it has no id");
        let committed = commit(&f, &[delivery(1, vec![inbound("m", 1)], vec![broken])]).await;
        assert_eq!(
            f.text("SELECT count(*)::text FROM whatsapp_message").await,
            "1",
            "its neighbour is stored"
        );
        let expected = "1|whapi|2|broken_event|messages 2: it has no id|0|1|t|t";
        assert_eq!(shown(&f).await, expected);
        // The account is gone: journaled all the same, and nothing to show it under.
        commit(&f, &[delivery(4711, vec![], vec![unusable(WHOLE_BODY, Reason::Unreadable, "x")])])
            .await;
        assert_eq!(shown(&f).await, expected);
        // Read again by a better parser: first pending, then refused by the database, then applied.
        let ids = [committed.entries[0].id];
        let reopened: Result<_, StoreError> = tx!(&f.store, "test", |tx| {
            let claimed = journal::reopen(tx, &ids, 10).await?;
            quarantine::mirror(tx, &ids).await?;
            Ok::<_, StoreError>(claimed)
        });
        assert_eq!(reopened.unwrap().len(), 1);
        assert_eq!(shown(&f).await, "NULL");
        let mut session = f.store.session().await.unwrap();
        let swept = Swept {
            quarantined: vec![Pending {
                entry: committed.entries[0],
                event_no: 2,
                configuration_id: 1,
                reason: Reason::RefusedByDatabase,
                detail: None,
            }],
            done: vec![(ids[0], WHOLE_BODY)],
            waiting: vec![],
        };
        ingest::record(&mut session, &swept, Duration::ZERO).await.unwrap();
        assert_eq!(shown(&f).await, "1|whapi|2|refused_by_database|1|1|t|t");
        let client = f.store.client().await.unwrap();
        assert_eq!(quarantine::reconcile(&client).await.unwrap(), 0);
        f.database.execute("DELETE FROM wabridge.journal_pending").await;
        assert_eq!(quarantine::reconcile(&client).await.unwrap(), 1);
        assert_eq!(shown(&f).await, "NULL");
    }
}

#[tokio::test]
async fn a_held_table_costs_no_webhook_its_place_in_the_journal() {
    let f = Fixture::new(Series::Odoo14).await;
    let mut odoo = f.database.odoo().await;
    let held = odoo.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE whatsapp_quarantine").await.unwrap();
    let broken = unusable(0, Reason::BrokenEvent, "no id");
    let committed = commit(&f, &[delivery(1, vec![inbound("m", 1)], vec![broken])]).await;
    assert_eq!(committed.entries.len(), 1);
    assert_eq!(f.text("SELECT state FROM wabridge.journal_pending").await, "quarantined");
    assert_eq!(f.text("SELECT count(*)::text FROM whatsapp_message").await, "1");
    held.rollback().await.unwrap();
    assert_eq!(shown(&f).await, "NULL");
    assert_eq!(quarantine::reconcile(&f.store.client().await.unwrap()).await.unwrap(), 1);
    assert_eq!(shown(&f).await, "1|whapi|0|broken_event|no id|0|1|t|t");
}
