//! Who seals, and when.

use serde_json::json;
use wabridge_testkit::eventually;

use super::{add_rows, until_sealed, verify};
use crate::support::World;
use crate::support::world::{ADMIN, USER};

#[tokio::test]
async fn two_daemons_and_one_chain() {
    let world = World::start().await;
    let other = world.replica("", &[]).await;
    for _ in 0..6 {
        add_rows(&world.database, 40).await;
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    }
    until_sealed(&world).await;
    let answer = other.call("audit.verify", json!({"uid": ADMIN})).await;
    let data = &answer["data"];
    assert_eq!((&data["intact"], &data["broken"]), (&json!(true), &json!(null)), "{data}");
    let twice = "SELECT count(*) FROM (SELECT unnest(row_ids) FROM wabridge.audit_segment
                 GROUP BY 1 HAVING count(*) > 1) x";
    assert_eq!(world.database.count(twice).await, 0);
    let refused = other.rpc("audit.verify", json!({"uid": USER})).await;
    assert_eq!(refused["error"]["code"], 1001, "{refused}");
    let refused = other.rpc("audit.verify", json!({"uid": ADMIN, "head": "x"})).await;
    assert_eq!(refused["error"]["code"], 1102, "{refused}");
}

#[tokio::test]
async fn a_sealer_that_dies_leaves_the_chain_whole() {
    let mut world =
        World::prepared("", &[("WABRIDGE_FAILPOINTS", "audit.before_commit=abort")]).await;
    add_rows(&world.database, 5).await;
    world.daemon.run();
    eventually("the sealer's end", 20, async || (!world.daemon.runs()).then_some(())).await;
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.audit_segment").await, 0);
    let other = world.replica("", &[]).await;
    until_sealed(&world).await;
    drop(other);
    verify(&world, &[]).await.well();
}

#[tokio::test]
async fn rows_that_are_committed_late_are_sealed_too() {
    let world = World::start().await;
    let late = world.database.connect().await;
    late.batch_execute("BEGIN; INSERT INTO whatsapp_audit_log (operation) VALUES ('test.late')")
        .await
        .expect("a row can be inserted");
    let undone = world.database.connect().await;
    undone
        .batch_execute(
            "BEGIN; INSERT INTO whatsapp_audit_log (operation) VALUES ('test.undone'); ROLLBACK",
        )
        .await
        .expect("a row can be inserted");
    add_rows(&world.database, 3).await;
    until_sealed(&world).await;
    let open =
        "SELECT cardinality(gap_first) FROM wabridge.audit_segment ORDER BY number DESC LIMIT 1";
    assert_eq!(world.database.count(open).await, 1, "two ids in one gap");
    late.batch_execute("COMMIT").await.expect("it can be committed");
    until_sealed(&world).await;
    let answer = world.daemon.call("audit.verify", json!({"uid": ADMIN})).await;
    assert_eq!(answer["data"]["intact"], true, "{answer}");
}
