//! What signed and refused calls leave behind, under the daemon's own role.

use wabridge_store::nonce::{self, Nonce};
use wabridge_store::odoo::audit_log::{self, Entry};
use wabridge_store::{Database, Options, StoreError, refusal, tx};
use wabridge_testkit::{Series, TestDatabase};

async fn fixture() -> (TestDatabase, Database) {
    let database = TestDatabase::new(Series::Odoo19).await;
    let store = Database::new(&database.name, &database.url, None, &Options::default())
        .expect("the test's URL is well formed");
    (database, store)
}

#[tokio::test]
async fn nonces_are_taken_once_and_forgotten_when_stale() {
    let (database, store) = fixture().await;
    let take = async |key: &str, nonce: &str, expires_at: i64| {
        let one = Nonce { key_id: key.into(), nonce: nonce.into(), expires_at };
        let client = store.client().await.expect("it connects");
        nonce::insert(&client, &[one]).await.expect("the role may record nonces") == [true]
    };
    let later = 4_000_000_000;
    assert!(take("k1", "a", later).await);
    assert!(!take("k1", "a", later).await);
    assert!(take("k2", "a", later).await, "each key has its own");
    assert!(take("k1", "b", 1_000_000_000).await);
    assert_eq!(nonce::collect(&store).await.expect("the role may collect"), 1);
    assert_eq!(database.count("SELECT count(*) FROM wabridge.nonce").await, 2);
    // Those of several calls at once: each has its own answer, and of two equal ones the first is taken.
    let one = |key: &str, nonce: &str| Nonce {
        key_id: key.into(),
        nonce: nonce.into(),
        expires_at: later,
    };
    let some = [one("k2", "b"), one("k1", "a"), one("k2", "b"), one("k1", "c")];
    let client = store.client().await.expect("it connects");
    let taken = nonce::insert(&client, &some).await.expect("the role may record nonces");
    assert_eq!(taken, [true, false, false, true]);
}

#[tokio::test]
async fn refusals_of_a_minute_are_one_row() {
    let (database, store) = fixture().await;
    for (minute, zone, count) in [
        (1_760_000_040, "rpc", 3),
        (1_760_000_040, "rpc", 4),
        (1_760_000_040, "webhook", 1),
        (1_760_000_100, "rpc", 2),
    ] {
        let added: Result<(), StoreError> =
            tx!(&store, "test.add", |tx| refusal::add(tx, minute, zone, count).await);
        added.expect("the role may count");
    }
    let rows = "SELECT string_agg(operation || ' ' || error_message, '; ' ORDER BY id) FROM whatsapp_audit_log";
    assert_eq!(
        database.text(rows).await.as_deref(),
        Some(
            "rpc.unauthenticated 7 unauthenticated requests refused in this minute; \
             webhook.unauthenticated 1 unauthenticated requests refused in this minute; \
             rpc.unauthenticated 2 unauthenticated requests refused in this minute"
        )
    );
}

#[tokio::test]
async fn audit_rows_name_only_what_exists() {
    let (database, store) = fixture().await;
    let client = store.client().await.expect("the database is there");
    for (user_id, configuration_id) in
        [(Some(5), Some(1)), (Some(1), None), (Some(987), Some(987)), (None, None)]
    {
        let entry = Entry {
            operation: "test",
            success: true,
            response_time_ms: 1.5,
            user_id,
            configuration_id,
            ..Entry::default()
        };
        audit_log::insert(&client, &entry).await.expect("the role may append");
    }
    let rows = "SELECT string_agg(coalesce(user_id::text, '-') || '/' || coalesce(configuration_id::text, '-'), ' ' ORDER BY id)
                FROM whatsapp_audit_log WHERE response_time = 1.5 AND timestamp = date_trunc('second', timestamp)";
    assert_eq!(database.text(rows).await.as_deref(), Some("5/1 -/- -/- -/-"));
    // The role can change nothing but what is erased; it deletes what is past its time.
    for column in ["success", "operation", "timestamp", "user_id", "response_time"] {
        let sql = format!("UPDATE public.whatsapp_audit_log SET {column} = NULL");
        assert!(client.execute(&sql, &[]).await.is_err(), "{column}");
    }
}

#[tokio::test]
async fn many_audit_rows_at_once_keep_their_order() {
    let (database, store) = fixture().await;
    let client = store.client().await.expect("the database is there");
    let words: Vec<String> = (0..50).map(|n| format!("test.{n:02}")).collect();
    let entries: Vec<Entry<'_>> = words
        .iter()
        .enumerate()
        .map(|(n, word)| Entry {
            operation: word,
            success: n % 2 == 0,
            response_time_ms: 0.5,
            user_id: Some(if n == 7 { 987 } else { 5 }),
            configuration_id: Some(1),
            error_message: (n % 2 == 1).then_some("refused"),
            ..Entry::default()
        })
        .collect();
    audit_log::insert_all(&client, &entries).await.expect("the role may append");
    audit_log::insert_all(&client, &[]).await.expect("nothing is nothing");
    let rows = "SELECT count(*) FROM (SELECT operation, lag(operation) OVER (ORDER BY id) AS before, user_id, success,
                    error_message FROM whatsapp_audit_log) a
                WHERE (before IS NULL OR before < operation) AND (user_id = 5) = (operation <> 'test.07')
                  AND success = (error_message IS NULL) OR (operation = 'test.07' AND user_id IS NULL AND before = 'test.06')";
    assert_eq!(database.count(rows).await, 50);
}
