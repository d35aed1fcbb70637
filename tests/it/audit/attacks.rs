//! Whoever may do everything in the database, and knows how the proof is made, but has not the key.

use super::{add_rows, broken, head, until_sealed, verify};
use crate::support::World;

/// Three segments of ten rows; nobody seals any more.
async fn sealed() -> World {
    let mut world = World::prepared("", &[]).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    for _ in 0..3 {
        add_rows(&world.database, 10).await;
        until_sealed(&world).await;
    }
    world.daemon.terminate().await;
    world
        .database
        .execute(
            "CREATE TABLE saved_rows AS TABLE whatsapp_audit_log;
             CREATE TABLE saved_segments AS TABLE wabridge.audit_segment",
        )
        .await;
    world
}

async fn restore(world: &World) {
    world
        .database
        .execute(
            "DELETE FROM whatsapp_audit_log; INSERT INTO whatsapp_audit_log TABLE saved_rows;
             DELETE FROM wabridge.audit_segment; INSERT INTO wabridge.audit_segment TABLE saved_segments",
        )
        .await;
}

/// The (n+1)th row.
async fn row(world: &World, n: i64) -> i64 {
    world.database.count(&format!("SELECT id FROM saved_rows ORDER BY id OFFSET {n} LIMIT 1")).await
}

#[tokio::test]
async fn each_change_is_found_at_its_row() {
    let world = sealed().await;
    let untouched = verify(&world, &[]).await.well();
    assert!(untouched.contains("30 rows in 3 segments compared"), "{untouched}");
    assert!(untouched.contains("every sealed row is as it was sealed"), "{untouched}");
    let (a, b) = (row(&world, 13).await, row(&world, 18).await);
    for set in [
        "operation = 'message.send'",
        "provider = NULL",
        "success = NOT success",
        "response_time = response_time + 0.001",
        "error_message = 'other'",
        "error_message = NULL",
        "timestamp = timestamp - interval '1 second'",
        "user_id = 2",
        "configuration_id = NULL",
        "request_id = 'r-0'",
        "address = '10.9.9.9'",
    ] {
        // Each attack on two rows: the first one is told.
        let sql = format!("UPDATE whatsapp_audit_log SET {set} WHERE id IN ({a}, {b})");
        world.database.execute(&sql).await;
        let line = broken(&world, &[]).await;
        // The first of them has none, so to take it away changes nothing.
        let first = if set == "error_message = NULL" { b } else { a };
        assert!(line.starts_with(&format!("row {first}: changed")), "{set}: {line}");
        restore(&world).await;
    }
    for (attack, row_id, word) in [
        (format!("DELETE FROM whatsapp_audit_log WHERE id IN ({a}, {b})"), a, "deleted"),
        (
            // The number of a row that was lost long ago would be another one: here one is made room for.
            format!(
                "DELETE FROM whatsapp_audit_log WHERE id = {b};
                 INSERT INTO whatsapp_audit_log SELECT * FROM saved_rows WHERE id = {b};
                 INSERT INTO whatsapp_audit_log (id, operation, success) VALUES (-5, 'message.send', true)"
            ),
            -5,
            "inserted",
        ),
        (
            format!(
                "UPDATE whatsapp_audit_log SET id = -1 WHERE id = {a};
                 UPDATE whatsapp_audit_log SET id = {a} WHERE id = {b};
                 UPDATE whatsapp_audit_log SET id = {b} WHERE id = -1"
            ),
            a,
            "reordered",
        ),
    ] {
        world.database.execute(&attack).await;
        let line = broken(&world, &[]).await;
        assert!(line.starts_with(&format!("row {row_id}: {word}")), "{word}: {line}");
        restore(&world).await;
    }
    verify(&world, &[]).await.well();
}

#[tokio::test]
async fn who_knows_how_it_is_made_is_found_too() {
    let world = sealed().await;
    let head = head(&world).await;
    verify(&world, &["--head", &head]).await.well();
    let (a, b) = (row(&world, 13).await, row(&world, 14).await);
    let second = "number = 2";
    // Row 14 is the fourth of the second segment: its leaf begins at byte 96.
    let leaf = "overlay(leaves placing sha256('made up'::bytea) from 97 for 32)";
    let root = "root = sha256(leaves)";
    for (attack, expected) in [
        (
            format!(
                "UPDATE whatsapp_audit_log SET success = NOT success WHERE id = {a};
                 UPDATE wabridge.audit_segment SET leaves = {leaf} WHERE {second};
                 UPDATE wabridge.audit_segment SET {root} WHERE {second}"
            ),
            format!("row {a}: changed"),
        ),
        (
            // Out of the log and out of the proof.
            format!(
                "DELETE FROM whatsapp_audit_log WHERE id = {a};
                 UPDATE wabridge.audit_segment SET row_ids = array_remove(row_ids, {a}), row_count = row_count - 1,
                        leaves = substr(leaves, 1, 96) || substr(leaves, 129),
                        digests = substr(digests, 1, 192) || substr(digests, 257) WHERE {second};
                 UPDATE wabridge.audit_segment SET {root} WHERE {second}"
            ),
            format!("row {a}: deleted"),
        ),
        (
            // As if it had been lost before it was sealed.
            format!(
                "DELETE FROM whatsapp_audit_log WHERE id = {a};
                 UPDATE wabridge.audit_segment SET row_ids = array_remove(row_ids, {a}), row_count = row_count - 1,
                        leaves = substr(leaves, 1, 96) || substr(leaves, 129),
                        digests = substr(digests, 1, 192) || substr(digests, 257),
                        gap_first = array[{a}], gap_last = array[{a}], gap_seen = array[0] WHERE {second};
                 UPDATE wabridge.audit_segment SET {root} WHERE {second}"
            ),
            format!("row {}: proof_changed", row(&world, 10).await),
        ),
        (
            // As if retention had taken the segment's rows.
            format!(
                "DELETE FROM whatsapp_audit_log WHERE id = ANY((SELECT row_ids FROM wabridge.audit_segment
                    WHERE {second})::int[]);
                 UPDATE wabridge.audit_segment SET row_ids = NULL, leaves = NULL, digests = NULL,
                        removed_at = now(), removal_mac = mac WHERE {second}"
            ),
            "deleted: the rows of segment 2 were not removed by retention".into(),
        ),
        (
            // As if somebody had asked for it.
            format!(
                "UPDATE whatsapp_audit_log SET address = '[erased]' WHERE id = {a};
                 INSERT INTO wabridge.audit_erasure (row_id, field, key_id, mac)
                    SELECT {a}, 'address', key_id, mac FROM wabridge.audit_segment WHERE {second}"
            ),
            format!("row {a}: changed"),
        ),
        (
            // A whole segment out of the middle, its rows too.
            format!(
                "DELETE FROM whatsapp_audit_log WHERE id = ANY((SELECT row_ids FROM wabridge.audit_segment
                    WHERE {second})::int[]);
                 DELETE FROM wabridge.audit_segment WHERE {second};
                 UPDATE wabridge.audit_segment SET number = 2, previous = (SELECT mac FROM wabridge.audit_segment
                    WHERE number = 1) WHERE number = 3"
            ),
            format!("row {}: deleted", row(&world, 10).await),
        ),
    ] {
        world.database.execute(&attack).await;
        let line = broken(&world, &[]).await;
        assert!(line.starts_with(&expected), "{expected}: {line}");
        world.database.execute("DELETE FROM wabridge.audit_erasure").await;
        restore(&world).await;
    }
    // Two segments change places.
    world
        .database
        .execute(
            "UPDATE wabridge.audit_segment SET number = 9 WHERE number = 2;
             UPDATE wabridge.audit_segment SET number = 2 WHERE number = 3;
             UPDATE wabridge.audit_segment SET number = 3 WHERE number = 9",
        )
        .await;
    let line = broken(&world, &[]).await;
    assert!(line.contains("proof_changed") || line.contains("deleted"), "{line}");
    restore(&world).await;
    // The end: the chain before it is whole, so only who wrote the head down notices.
    let first_of_third = row(&world, 20).await;
    let cut = "DELETE FROM wabridge.audit_segment WHERE number = 3";
    world.database.execute(cut).await;
    let blind = verify(&world, &[]).await.well();
    assert!(blind.contains("10 rows are not sealed yet"), "{blind}");
    let line = broken(&world, &["--head", &head]).await;
    assert!(line.starts_with(&format!("row {first_of_third}: truncated")), "{line}");
    let rows = format!("DELETE FROM whatsapp_audit_log WHERE id >= {first_of_third}");
    world.database.execute(&rows).await;
    verify(&world, &[]).await.well();
    let line = broken(&world, &["--head", &head]).await;
    assert!(line.starts_with("truncated: "), "{line}");
    restore(&world).await;
    // Everything: a chain that begins anew.
    world.database.execute("DELETE FROM wabridge.audit_segment").await;
    let line = broken(&world, &["--head", &head]).await;
    assert!(line.contains("truncated: there is no segment at all"), "{line}");
    restore(&world).await;
    verify(&world, &["--head", &head]).await.well();
    assert!(b > a);
}
