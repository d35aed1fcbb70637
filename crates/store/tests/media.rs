//! Files as rows: noted once, claimed by one, finished by who holds them, collected when nothing refers to them.

use std::time::Duration;

use uuid::Uuid;
use wabridge_domain::event::MediaRef;
use wabridge_domain::message::MessageType;
use wabridge_store::media::{self, Blob, Job};
use wabridge_store::odoo::media as odoo;
use wabridge_store::{Database, Options, StoreError, tx};
use wabridge_testkit::{Series, TestDatabase};

const LEASE: Duration = Duration::from_secs(60);

async fn fixture(series: Series) -> (TestDatabase, Database) {
    let database = TestDatabase::new(series).await;
    let store = Database::new(&database.name, &database.url, None, &Options::default())
        .expect("the test's URL is well formed");
    (database, store)
}

/// A message of account 1; its row id.
async fn message(database: &TestDatabase, message_id: &str) -> i32 {
    database
        .execute(&format!(
            "INSERT INTO whatsapp_message (configuration_id, message_id, message_type, status)
             VALUES (1, '{message_id}', 'document', 'delivered')"
        ))
        .await;
    let id = database
        .count(&format!("SELECT id::int8 FROM whatsapp_message WHERE message_id = '{message_id}'"))
        .await;
    i32::try_from(id).expect("the test made it so")
}

async fn queue(store: &Database, message_id: i32, name: &str) {
    let reference = MediaRef {
        id: Some("doc-1".into()),
        filename: Some(name.into()),
        mimetype: Some("Application/PDF; x=y".into()),
        size: Some(5_000_000_000),
        ..MediaRef::default()
    };
    let new = [odoo::New {
        configuration_id: 1,
        message_id,
        message_type: MessageType::Document,
        media: &reference,
    }];
    let queued: Result<(), StoreError> = tx!(store, "test.queue", |tx| odoo::queue(tx, &new).await);
    queued.expect("the role may note files");
}

async fn claim(store: &Database, room: i64) -> Vec<Job> {
    media::claim(&store.client().await.expect("the test made it so"), room, LEASE)
        .await
        .expect("the role may claim")
}

fn blob(checksum: &str, location: &str) -> Blob {
    Blob {
        checksum: checksum.into(),
        location: location.into(),
        size: 10,
        sealed_by: "k1".into(),
        sealed_key: "wab1:k1:x:y".into(),
    }
}

async fn finish(
    store: &Database,
    job: &Job,
    blob: &Blob,
    lost: Option<&str>,
) -> Option<media::Finished> {
    let facts = odoo::Facts { mimetype: "application/pdf".into(), ..odoo::Facts::default() };
    let finished: Result<Option<media::Finished>, StoreError> =
        tx!(store, "test.finish", |tx| media::finish(tx, job, blob, &facts, lost).await);
    finished.expect("the role may finish")
}

async fn life(series: Series) {
    let (database, store) = fixture(series).await;
    let first = message(&database, "m-1").await;
    queue(&store, first, "../x/offer.pdf").await;
    // Noted once, whatever is applied again.
    queue(&store, first, "other.pdf").await;
    assert_eq!(database.count("SELECT count(*) FROM whatsapp_media").await, 1);
    assert_eq!(
        database.text("SELECT filename || ' ' || mimetype || ' ' || state || ' ' || (size IS NULL) FROM whatsapp_media").await.as_deref(),
        Some("offer.pdf application/pdf waiting true")
    );

    let jobs = claim(&store, 5).await;
    assert_eq!(jobs.len(), 1);
    assert!(claim(&store, 5).await.is_empty(), "it is somebody's");
    let job = &jobs[0];
    let stranger = Job { claim: Uuid::new_v4(), ..job.clone() };
    assert_eq!(finish(&store, &stranger, &blob("aa", "l/1"), None).await, None);
    let client = store.client().await.expect("the test made it so");
    assert!(media::renew(&client, job, LEASE).await.expect("the test made it so"));
    assert!(!media::renew(&client, &stranger, LEASE).await.expect("the test made it so"));

    // Back, and due at once.
    media::release(&client, job, Duration::ZERO, true).await.expect("the test made it so");
    let again = claim(&store, 5).await.remove(0);
    assert_eq!(again.attempts, 2);
    media::release(&client, &again, Duration::ZERO, false).await.expect("the test made it so");
    let job = claim(&store, 5).await.remove(0);
    assert_eq!(job.attempts, 2, "what was our own trouble is not counted");
    let done = finish(&store, &job, &blob("aa", "l/1"), None).await.expect("it is ours");
    assert_eq!((done.messages, done.location.as_str()), (vec![(1, first)], "l/1"));
    assert!(claim(&store, 5).await.is_empty());

    // The same content again: one row, one blob, the first location.
    let second = message(&database, "m-2").await;
    queue(&store, second, "again.pdf").await;
    let job = claim(&store, 5).await.remove(0);
    let twin = finish(&store, &job, &blob("aa", "l/2"), None).await.expect("it is ours");
    assert_eq!((twin.media_id, twin.location.as_str()), (done.media_id, "l/1"));
    assert_eq!(twin.messages, [(1, second)]);
    assert_eq!(database.count("SELECT count(*) FROM whatsapp_media").await, 1);
    assert_eq!(database.count("SELECT count(*) FROM wabridge.media_fetch").await, 1);

    // Lost in the store: fetched again, and the new place counts.
    let told: Result<Option<Vec<(i32, i32)>>, StoreError> =
        tx!(&store, "test.again", |tx| media::again(tx, done.media_id).await);
    assert_eq!(told.expect("the test made it so").map(|messages| messages.len()), Some(2));
    let job = claim(&store, 5).await.remove(0);
    let found = finish(&store, &job, &blob("aa", "l/3"), Some("l/1")).await.expect("it is ours");
    assert_eq!((found.media_id, found.location.as_str()), (done.media_id, "l/3"));

    // Given up: a reason, and nobody tries again.
    let third = message(&database, "m-3").await;
    queue(&store, third, "c.pdf").await;
    let job = claim(&store, 5).await.remove(0);
    let told: Result<Option<Vec<(i32, i32)>>, StoreError> =
        tx!(&store, "test.give_up", |tx| media::give_up(tx, &job, "failed", "it is gone").await);
    assert_eq!(told.expect("the test made it so"), Some(vec![(1, third)]));
    assert!(claim(&store, 5).await.is_empty());
    let unknown: Result<Option<Vec<(i32, i32)>>, StoreError> =
        tx!(&store, "test.again", |tx| media::again(tx, 999_999).await);
    assert_eq!(unknown.expect("the test made it so"), None);
}

#[tokio::test]
async fn life_on_odoo_14() {
    life(Series::Odoo14).await;
}

#[tokio::test]
async fn life_on_odoo_19() {
    life(Series::Odoo19).await;
}

#[tokio::test]
async fn only_what_nothing_refers_to_is_collected() {
    let (database, store) = fixture(Series::Odoo19).await;
    let facts = odoo::Facts { mimetype: "text/plain".into(), ..odoo::Facts::default() };
    let mut handed = Vec::new();
    for (checksum, location) in [("aa", "l/1"), ("aa", "l/2"), ("bb", "l/3")] {
        let blob = blob(checksum, location);
        let kept: Result<(i32, String), StoreError> = tx!(&store, "test.hand_over", |tx| {
            media::hand_over(tx, 1, 5, &blob, &facts, Some("a.txt"), None).await
        });
        handed.push(kept.expect("the role may take files"));
    }
    assert_eq!(handed[1].1, "l/1", "the same content is there");
    let client = store.client().await.expect("the test made it so");
    assert_eq!(
        media::uploaded(&client, handed[0].0).await.expect("the test made it so"),
        Some((1, 5))
    );
    assert_eq!(
        media::unknown_locations(&client, &["l/1".into(), "l/2".into()])
            .await
            .expect("the test made it so"),
        ["l/2"]
    );

    let collect = async || -> (u64, Vec<String>) {
        let rows: Result<u64, StoreError> =
            tx!(&store, "test.rows", |tx| media::collect_rows(tx, Duration::ZERO).await);
        let blobs: Result<Vec<String>, StoreError> =
            tx!(&store, "test.blobs", |tx| media::collect_blobs(tx, Duration::ZERO, 10).await);
        (rows.expect("the role may collect"), blobs.expect("the role may collect"))
    };
    // One of the two rows with the same content is used by a message.
    let used = message(&database, "m-1").await;
    database
        .execute(&format!(
            "UPDATE whatsapp_message SET media_id = {} WHERE id = {used}",
            handed[0].0
        ))
        .await;
    assert_eq!(collect().await, (2, vec!["l/3".to_owned()]));
    assert_eq!(
        media::blob(&client, "aa").await.expect("the test made it so").map(|b| b.location),
        Some("l/1".into())
    );
    database.execute("UPDATE whatsapp_message SET media_id = NULL").await;
    database.execute("DELETE FROM whatsapp_media").await;
    assert_eq!(collect().await, (0, vec!["l/1".to_owned()]));
    assert_eq!(media::blob(&client, "aa").await.expect("the test made it so"), None);
}
