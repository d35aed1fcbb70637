//! What waits at one account costs the others nothing: rows that are read to find what may go, counted.

use std::time::Duration;

use uuid::Uuid;
use wabridge_domain::pace::Gap;
use wabridge_store::{Database, Options, StoreError, Tx, account_pace, lane, outbox, tx};
use wabridge_testkit::{Series, TestDatabase};

const WAITING: i64 = 50_000;

/// What waits at an account, each in a chat of its own; `place` is position and `not_before` of the outbox,
/// `ready` what its lane says.
async fn backlog(database: &TestDatabase, account: i32, count: i64, place: &str, ready: &str) {
    database
        .execute(&format!(
            "INSERT INTO wabridge.lane (configuration_id, chat_key, ready_at)
             SELECT {account}, 'chat ' || n, {ready} FROM generate_series(1, {count}) n;
             INSERT INTO wabridge.outbox (configuration_id, chat_key, message_id, uid, request, position, not_before)
             SELECT {account}, 'chat ' || n, {account} * 1000000 + n, 5, '{{}}', {place} FROM generate_series(1, {count}) n"
        ))
        .await;
}

/// Rows of our tables that this transaction has read.
async fn rows_read(tx: &Tx<'_>) -> Result<i64, StoreError> {
    let sql = "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int8 FROM pg_stat_xact_user_tables
               WHERE schemaname = 'wabridge'";
    Ok(tx.query_one(sql, &[]).await?.get(0))
}

/// One round of the dispatcher: what wants to be served, and a claim for account 2. Its lanes, and the rows read.
async fn round(tx: &Tx<'_>) -> Result<(Vec<i32>, Vec<String>, i64), StoreError> {
    let (owner, lease) = (Uuid::nil(), Duration::from_secs(60));
    let wanting = account_pace::wanting(tx, &[1, 2, 3, 4], owner).await?;
    let epoch = account_pace::lease(tx, 2, owner, lease).await?.expect("nobody has it");
    account_pace::enter(tx, 2, owner, epoch, lease).await?.expect("it was leased");
    outbox::enter_due(tx, 2).await?;
    let lanes = lane::take(tx, 2, 64).await?;
    let heads = outbox::heads(tx, 2, &lanes).await?;
    assert_eq!(heads.len(), lanes.len());
    let chats: Vec<&str> = lanes.iter().map(String::as_str).collect();
    lane::fly(tx, 2, &chats, epoch, Gap::of(wabridge_domain::ProviderKind::Whapi, Duration::ZERO))
        .await?;
    let keys: Vec<lane::Key> = lanes.iter().map(|chat| lane::Key::new(2, chat.as_str())).collect();
    let held = lane::try_lock_all(tx, &keys).await?;
    assert_eq!(held.len(), keys.len());
    outbox::lanes_with_jobs(tx, &keys, &[]).await?;
    Ok((wanting, lanes, rows_read(tx).await?))
}

#[tokio::test]
async fn a_round_reads_nothing_of_what_waits_elsewhere() {
    let database = TestDatabase::new(Series::Odoo14).await;
    let store = Database::new(&database.name, &database.url, None, &Options::default())
        .expect("the test's URL is well formed");
    let now = "nextval('wabridge.outbox_position_seq'), NULL";
    // Account 1 pauses, at account 3 a campaign waits for tomorrow, at account 4 every call failed.
    backlog(&database, 1, WAITING, now, "now()").await;
    backlog(&database, 2, 10, now, "now()").await;
    backlog(&database, 3, WAITING, "NULL, now() + interval '1 day'", "NULL").await;
    backlog(&database, 4, WAITING / 5, now, "now() + interval '1 h'").await;
    // With and without what the planner knows once somebody has counted.
    for counted in [false, true] {
        if counted {
            database.execute("ANALYZE wabridge.lane; ANALYZE wabridge.outbox").await;
        }
        let found: Result<(Vec<i32>, Vec<String>, i64), StoreError> =
            tx!(&store, "test.round", |tx| {
                let found = round(tx).await?;
                // Nothing of it is kept: the next one finds the same.
                tx.batch_execute(
                    "UPDATE wabridge.lane SET in_flight = NULL WHERE configuration_id = 2;
                    UPDATE wabridge.account_pace SET owner = NULL, lease_until = NULL",
                )
                .await?;
                Ok::<_, StoreError>(found)
            });
        let (mut wanting, lanes, read) = found.unwrap();
        wanting.sort_unstable();
        assert_eq!((wanting.as_slice(), lanes.len()), ([1, 2].as_slice(), 10), "counted {counted}");
        assert!(read < 1000, "{read} rows were read, counted {counted}");
    }
}
