//! Nobody in Odoo waits for the provider: while it holds calls, transactions that send commit and calls that send
//! are answered, and no row is locked meanwhile. (How long that takes is measured by `tests/bench/run.sh user_waits`.)

use serde_json::json;

use crate::support::World;
use crate::support::world::odoo_send;

/// The provider holds a call for longer than this test lives; nothing here waits for it.
const LIMITS: &str = "[limits]\nprovider_timeout_s = 400\nlease_s = 500";
const HELD: &str = "447700900123";
const OTHER: &str = "447700900124";
/// Calls that came to something.
const ENDED: &str = "SELECT count(*) FROM wabridge.attempt WHERE outcome IS NOT NULL";

#[tokio::test]
async fn nobody_waits_while_the_provider_holds_a_call() {
    let world = World::with(LIMITS, &[]).await;
    let slow = json!({"operation": "message.send", "delay_ms": 390_000, "drop_webhooks": true});
    world.fault(slow).await;
    let held = world.sent(HELD, "held").await;
    world.until_count("SELECT count(*) FROM wabridge.attempt", 1, 20).await;

    // To the chat whose call is held and to another one, by both doors.
    let odoo = world.database.odoo().await;
    let mut rows = vec![held];
    for (n, peer) in [HELD, OTHER].into_iter().enumerate() {
        odoo.batch_execute("BEGIN").await.expect("Odoo begins");
        rows.push(odoo_send(&odoo, peer, &format!("by transaction {n}"), None).await);
        odoo.batch_execute("COMMIT").await.expect("Odoo commits");
        rows.push(world.sent(peer, &format!("by call {n}")).await);
    }
    // The other chat goes on to the provider; behind the call that is held nothing does.
    world.until_count("SELECT count(*) FROM whatsapp_outbox_in", 0, 20).await;
    world.until_count("SELECT count(*) FROM wabridge.attempt", 2, 20).await;

    // What a user does with these rows in Odoo meets no lock: no transaction is open while the provider holds.
    for sql in [
        "SELECT id FROM whatsapp_message ORDER BY id FOR UPDATE NOWAIT",
        "SELECT id FROM whatsapp_chat ORDER BY id FOR UPDATE NOWAIT",
        "SELECT id FROM whatsapp_contact ORDER BY id FOR UPDATE NOWAIT",
        "SELECT id FROM whatsapp_configuration ORDER BY id FOR UPDATE NOWAIT",
    ] {
        free(&world, sql).await;
    }
    assert_eq!(world.database.count(ENDED).await, 0, "the provider has answered");
    for id in rows {
        assert_eq!(world.status(id).await, "queued", "message {id}");
    }
}

/// Odoo gets these locks. A worker that writes one of the rows at this moment is through in the next.
async fn free(world: &World, sql: &str) {
    let odoo = world.database.odoo().await;
    wabridge_testkit::eventually(sql, 20, async || odoo.batch_execute(sql).await.ok()).await;
}
