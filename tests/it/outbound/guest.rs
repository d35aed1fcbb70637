//! Odoo holds rows, locks tables, deletes and cancels while sends are under way.

use serde_json::json;

use super::{Hold, provider_texts};
use crate::support::World;
use crate::support::world::{USER, odoo_send};

const PEER: &str = "447700900123";

#[tokio::test]
async fn a_message_row_that_odoo_holds_delays_only_itself() {
    let hold = Hold::new();
    let world = World::with("", &[("WABRIDGE_FAILPOINTS", &hold.at("call.after"))]).await;
    hold.close();
    let held = world.sent(PEER, "held").await;
    hold.reached().await;
    let odoo = world.database.odoo().await;
    odoo.batch_execute(&format!(
        "BEGIN; SELECT id FROM whatsapp_message WHERE id = {held} FOR UPDATE"
    ))
    .await
    .expect("Odoo takes the row");
    hold.open();
    for n in 0..10 {
        let other = world.sent(&format!("4477009002{n:02}"), "others go on").await;
        world.until_status(other, &["pending", "sent", "delivered", "read"], 5).await;
    }
    assert_eq!(world.status(held).await, "queued");
    odoo.batch_execute("COMMIT").await.expect("Odoo lets go");
    world.until_status(held, &["read"], 10).await;
    assert_eq!(world.calls().await, 11);
    world.until_quiet(5).await;
}

#[tokio::test]
async fn a_locked_table_loses_nothing() {
    let hold = Hold::new();
    let world = World::with("", &[("WABRIDGE_FAILPOINTS", &hold.at("call.after"))]).await;
    hold.close();
    let id = world.sent(PEER, "under way").await;
    hold.reached().await;
    let odoo = world.database.odoo().await;
    odoo.batch_execute("BEGIN; LOCK TABLE whatsapp_message IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("Odoo locks the table");
    hold.open();
    let recorded =
        "SELECT count(*) FROM wabridge.attempt WHERE outcome = 'accepted' AND applied_at IS NULL";
    world.until_count(recorded, 1, 10).await;
    odoo.batch_execute("COMMIT").await.expect("Odoo lets go");
    world.until_status(id, &["read"], 15).await;
    assert_eq!(world.calls().await, 1);
    world.until_quiet(5).await;
}

#[tokio::test]
async fn a_message_that_is_gone_or_cancelled_is_not_sent() {
    let world = World::start().await;
    let later = "2099-01-01T00:00:00Z";
    let mut ids = Vec::new();
    for text in ["deleted", "cancelled", "kept"] {
        let params = json!({"uid": USER, "to": PEER, "type": "text", "text": {"body": text}, "schedule_at": later});
        let data = world.daemon.call("message.send", params).await;
        ids.push(data["data"]["id"].as_i64().expect("a row id"));
    }
    world
        .database
        .execute(&format!(
            "UPDATE whatsapp_chat SET last_message_id = NULL;
             DELETE FROM whatsapp_message WHERE id = {};
             UPDATE whatsapp_message SET status = 'cancelled', cancelled_at = now() WHERE id = {};
             UPDATE wabridge.outbox SET not_before = now()",
            ids[0], ids[1]
        ))
        .await;
    world.until_status(ids[2], &["read"], 15).await;
    assert_eq!(provider_texts(&world).await, ["kept"]);
    assert_eq!(world.status(ids[1]).await, "cancelled");
    world.until_quiet(5).await;
}

#[tokio::test]
async fn one_bad_row_blocks_no_other() {
    let world = World::start().await;
    let odoo = world.database.odoo().await;
    odoo.batch_execute("BEGIN").await.expect("Odoo begins");
    let mut bad = Vec::new();
    for (change, kind) in [
        ("request = '{'", "invalid_content"),
        (
            "request = '{\"type\": \"template\", \"template\": {\"name\": \"n\", \"language\": \"en\"}}'",
            "unsupported_by_provider",
        ),
        ("recipient = '12'", "invalid_recipient"),
        ("recipient = '{\"partner_id\": 999999}'", "invalid_recipient"),
        (
            "request = '{\"type\": \"text\", \"text\": {\"body\": \"x\"}, \"reply_to\": 999999}'",
            "record_not_found",
        ),
    ] {
        let id = odoo_send(&odoo, PEER, "bad", None).await;
        odoo.batch_execute(&format!(
            "UPDATE whatsapp_outbox_in SET {change} WHERE message_id = {id}"
        ))
        .await
        .expect("Odoo's role may");
        bad.push((id, kind));
    }
    // Somebody who has no business with the account.
    let stranger = odoo_send(&odoo, PEER, "not mine", None).await;
    odoo.batch_execute(&format!(
        "UPDATE whatsapp_message SET user_id = (SELECT max(id) FROM res_users WHERE id NOT IN (1, 2, {USER})) WHERE id = {stranger}"
    ))
    .await
    .expect("Odoo's role may");
    bad.push((stranger, "access_denied"));
    let good = odoo_send(&odoo, PEER, "good", None).await;
    odoo.batch_execute("COMMIT").await.expect("Odoo commits");
    world.until_status(good, &["read"], 15).await;
    for (id, kind) in bad {
        world.until_status(id, &["failed"], 5).await;
        let sql = format!(
            "SELECT error_code FROM whatsapp_message WHERE id = {id} AND failed_at IS NOT NULL"
        );
        assert_eq!(world.database.text(&sql).await.as_deref(), Some(kind));
    }
    assert_eq!(provider_texts(&world).await, ["good"]);
    world.until_quiet(5).await;
}

#[tokio::test]
async fn each_send_leaves_one_audit_row() {
    let world = World::start().await;
    let id = world.sent(PEER, "hello").await;
    world.until_status(id, &["read"], 15).await;
    world.fault(json!({"operation": "message.send", "status": 400, "times": 1})).await;
    let refused = world.sent(PEER, "hello again").await;
    world.until_status(refused, &["failed"], 15).await;
    world.daemon.rpc("message.send", crate::support::world::text_params("nobody", "x")).await;
    let rows = "SELECT string_agg(success || ':' || coalesce(error_message, '-') || ':' || (user_id = 5) || ':' ||
                       (request_id IS NOT NULL), ' ' ORDER BY id)
                FROM whatsapp_audit_log WHERE operation = 'message.send'";
    let rows = world.database.text(rows).await.expect("there are audit rows");
    let mut words: Vec<&str> = rows.split(' ').collect();
    words.sort_unstable();
    assert_eq!(words.len(), 3, "{rows}");
    assert!(words.iter().all(|row| row.ends_with(":true:true")), "{rows}");
    assert_eq!(words.iter().filter(|row| row.starts_with("true:-")).count(), 1, "{rows}");
}

#[tokio::test]
async fn tables_that_are_altered_under_load() {
    let world = World::start().await;
    let odoo = world.database.odoo().await;
    for n in 0..40 {
        world.send(&format!("44770090{:04}", 2000 + n % 8), &format!("m {n}")).await;
        let change = match n {
            5 => "ALTER TABLE whatsapp_message ADD COLUMN x_new integer DEFAULT 7",
            // Plans that were made before do not fit any more.
            15 => {
                "ALTER TABLE whatsapp_message ALTER COLUMN chat_id TYPE varchar(200), ALTER COLUMN status TYPE varchar(40)"
            }
            20 => "ALTER TABLE whatsapp_outbox_in ALTER COLUMN recipient TYPE varchar(300)",
            25 => "ALTER TABLE whatsapp_message DROP COLUMN x_new",
            _ => continue,
        };
        odoo.batch_execute(change).await.expect("Odoo upgrades the addon");
        odoo_send(&odoo, PEER, &format!("door {n}"), None).await;
    }
    world.until_count("SELECT count(*) FROM whatsapp_message WHERE status = 'read'", 44, 40).await;
    assert_eq!(world.calls().await, 44);
    world.until_quiet(5).await;
}
