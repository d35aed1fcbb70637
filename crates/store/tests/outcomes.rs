//! What the answer to a call writes beside what webhooks wrote before it.

use jiff::Timestamp;
use wabridge_domain::message::Facts;
use wabridge_store::odoo::message_out::{self, Write};
use wabridge_store::{Database, Options, StoreError, tx};
use wabridge_testkit::{Series, TestDatabase};

#[tokio::test]
async fn a_failure_told_before_the_answer_keeps_its_words() {
    let database = TestDatabase::new(Series::Odoo14).await;
    let store = Database::new(&database.name, &database.url, None, &Options::default())
        .expect("the test's URL is well formed");
    database
        .execute(
            "INSERT INTO whatsapp_message (id, configuration_id, chat_id, status, failed_at, error_code, error_message)
             VALUES (7, 1, 'x', 'failed', '2025-12-15 12:00:00', 'provider_rejected', 'too late (1)')",
        )
        .await;
    let failed_at: Timestamp = "2025-12-15T12:00:00Z".parse().expect("a time");
    let write = |facts: Facts| Write {
        id: 7,
        message_id: Some("W1".to_owned()),
        facts,
        error_code: None,
        error_message: None,
    };
    let row = "SELECT concat_ws('|', message_id, status, error_code, error_message) FROM whatsapp_message";
    for (facts, expected) in [
        (
            Facts { failed_at: Some(failed_at), sent_at: Some(failed_at), ..Facts::default() },
            "W1|failed|provider_rejected|too late (1)",
        ),
        (Facts { sent_at: Some(failed_at), ..Facts::default() }, "W1|sent"),
    ] {
        let written: Result<u64, StoreError> =
            tx!(&store, "test.write", |tx| message_out::write(tx, &[write(facts)]).await);
        assert_eq!(written.expect("the role may write"), 1);
        assert_eq!(database.text(row).await.as_deref(), Some(expected));
    }
}
