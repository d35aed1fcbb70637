//! What people want and what Meta's window allows, below every door.

use serde_json::{Value, json};
use wabridge_testkit::eventually;

use crate::sending::{META_NUMBER, meta_prepared};
use crate::support::World;
use crate::support::world::{USER, message_id, odoo_send, text_event};

const PEER: &str = "447700900804";

/// A marketing message of a person's account, queued by SQL behind all doors: the message, its lane, its place.
async fn planted(world: &World) -> i64 {
    let sql = format!(
        "WITH m AS (INSERT INTO whatsapp_message (configuration_id, provider, direction, from_me, origin, message_type,
                content, timestamp, queued_at, status, category, contact_id, chat_id)
            SELECT 1, 'whapi', 'outbound', true, 'odoo', 'text', 'planted', now(), now(), 'queued', 'marketing', c.id,
                   c.contact_id FROM whatsapp_contact c WHERE c.phone = '+{PEER}' RETURNING id, chat_id),
         l AS (INSERT INTO wabridge.lane (configuration_id, chat_key, ready_at) SELECT 1, chat_id, now() FROM m
            ON CONFLICT (configuration_id, chat_key) DO UPDATE SET ready_at = now()),
         o AS (INSERT INTO wabridge.outbox (configuration_id, chat_key, message_id, uid, request, position)
            SELECT 1, chat_id, id, 5, '{{\"type\": \"text\", \"text\": {{\"body\": \"planted\"}}}}',
                   nextval('wabridge.outbox_position_seq') FROM m)
         SELECT id::int8 FROM m"
    );
    world.database.count(&sql).await
}

async fn marketing(world: &World) -> Value {
    let params = json!({"uid": USER, "to": PEER, "type": "text", "text": {"body": "offer"}, "category": "marketing"});
    world.daemon.rpc("message.send", params).await
}

/// By a row of Odoo's transaction.
async fn by_transaction(world: &World) -> i64 {
    let odoo = world.database.odoo().await;
    odoo.batch_execute("BEGIN").await.expect("Odoo begins");
    let id = odoo_send(&odoo, PEER, "offer", None).await;
    let marketing = format!(
        "UPDATE whatsapp_outbox_in SET request = jsonb_set(request::jsonb, '{{category}}', '\"marketing\"')::text
         WHERE message_id = {id};
         UPDATE whatsapp_message SET category = 'marketing' WHERE id = {id}; COMMIT"
    );
    odoo.batch_execute(&marketing).await.expect("Odoo commits");
    id
}

async fn failed_with(world: &World, id: i64, code: &str) {
    world.until_status(id, &["failed"], 15).await;
    let sql = format!(
        "SELECT error_code FROM whatsapp_message WHERE id = {id} AND error_message IS NOT NULL"
    );
    assert_eq!(world.database.text(&sql).await.as_deref(), Some(code));
}

#[tokio::test]
async fn nothing_marketing_reaches_who_said_stop() {
    let world = World::start().await;
    let said = async |n: u64, text: &str| {
        let mut event = text_event(&message_id(n), PEER, text);
        event["messages"][0]["timestamp"] = json!(1_765_800_000 + n);
        assert_eq!(world.webhook(&event).await, 200);
    };
    said(1, "please do not stop").await;
    let sent = marketing(&world).await;
    let first = sent["result"]["data"]["id"].as_i64().unwrap_or_else(|| panic!("{sent}"));
    world.until_status(first, &["pending", "sent"], 15).await;
    said(2, " Stop! ").await;
    let out = "SELECT count(*) FROM whatsapp_contact WHERE opted_out AND opted_out_at IS NOT NULL AND opted_out_reason IS NOT NULL";
    world.until_count(out, 1, 10).await;
    assert_eq!(marketing(&world).await["error"]["code"], 1106);
    failed_with(&world, by_transaction(&world).await, "recipient_opted_out").await;
    failed_with(&world, planted(&world).await, "recipient_opted_out").await;
    // What is no marketing goes.
    let plain = world.sent(PEER, "your order").await;
    world.until_status(plain, &["pending", "sent"], 15).await;
    assert_eq!(world.calls().await, 2);
    said(3, "START").await;
    world.until_count(out, 0, 10).await;
    let again = marketing(&world).await["result"]["data"]["id"].as_i64().expect("a row id");
    world.until_status(again, &["pending", "sent"], 15).await;
    let trace =
        "SELECT string_agg(allowed || ':' || source, ' ' ORDER BY id) FROM wabridge.consent_change";
    assert_eq!(world.database.text(trace).await.as_deref(), Some("false:word true:word"));
}

#[tokio::test]
async fn opted_out_by_a_user_and_in_again() {
    let world = World::start().await;
    let params = json!({"uid": USER, "to": PEER, "reason": "asked on the phone"});
    let out = world.daemon.call("contact.opt_out", params.clone()).await["data"].clone();
    assert_eq!((&out["opted_out"], &out["changed"]), (&json!(true), &json!(true)), "{out}");
    assert_eq!(out["contact_ids"].as_array().map(Vec::len), Some(1));
    assert_eq!(marketing(&world).await["error"]["code"], 1106);
    let again = world.daemon.call("contact.opt_out", params.clone()).await["data"].clone();
    assert_eq!(again["changed"], false);
    let back = world.daemon.call("contact.opt_in", params).await["data"].clone();
    assert_eq!((&back["opted_out"], &back["changed"]), (&json!(false), &json!(true)), "{back}");
    let sent = marketing(&world).await["result"]["data"]["id"].as_i64().expect("a row id");
    world.until_status(sent, &["pending", "sent"], 15).await;
    let trace = "SELECT string_agg(allowed || ':' || source || ':' || changed_by, ' ' ORDER BY id)
                 FROM wabridge.consent_change WHERE reason = 'asked on the phone'";
    let trace = world.database.text(trace).await.expect("there is a trace");
    assert!(trace.starts_with("false:user:5") && trace.ends_with("true:user:5"), "{trace}");
    let audit = "SELECT count(*) FROM whatsapp_audit_log WHERE operation IN ('contact.opt_out', 'contact.opt_in') AND user_id = 5";
    assert_eq!(world.database.count(audit).await, 3);
}

/// What people who may write rows could do to get around a wish.
#[tokio::test]
async fn no_row_leads_around_a_wish() {
    let mut world = World::prepared("", &[]).await;
    let paused =
        "INSERT INTO wabridge.account_pace (configuration_id, paused_until, pause_kind, pauses)
                  VALUES (1, now() + interval '1 hour', 'rate_limited', 1)";
    world.database.execute(paused).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    // Taken while he wanted it, and only what he was to get says that it is marketing, not the message's row.
    let odoo = world.database.odoo().await;
    odoo.batch_execute("BEGIN").await.expect("Odoo begins");
    let taken = odoo_send(&odoo, PEER, "offer", None).await;
    let only_asked = format!(
        "UPDATE whatsapp_outbox_in SET request = jsonb_set(request::jsonb, '{{category}}', '\"Marketing\"')::text
         WHERE message_id = {taken}; COMMIT"
    );
    odoo.batch_execute(&only_asked).await.expect("Odoo commits");
    world.until_count("SELECT count(*) FROM wabridge.outbox", 1, 15).await;
    // Somebody else, who wants everything.
    let other = world.sent("447700900805", "hello").await;
    world.daemon.call("contact.opt_out", json!({"uid": USER, "to": PEER})).await;
    // Odoo's role reaches none of our tables.
    let queue = "INSERT INTO wabridge.outbox (configuration_id, chat_key, message_id, uid, request) VALUES (1, 'x', 1, 5, '{}')";
    odoo.execute(queue, &[]).await.expect_err("the outbox is the daemon's");
    // Whoever could: rows that name somebody else, call it a group's, spell the category otherwise, or have none.
    let mut planted_so = Vec::new();
    for set in [
        format!("contact_id = (SELECT contact_id FROM whatsapp_message WHERE id = {other})"),
        "contact_id = NULL".to_owned(),
        "category = ' MARKETING'".to_owned(),
        "group_id = (SELECT max(id) FROM whatsapp_group)".to_owned(),
    ] {
        let group = "INSERT INTO whatsapp_group (configuration_id, group_id, provider, name)
                     VALUES (1, '120363000000000001@g.us', 'whapi', 'Staff') ON CONFLICT DO NOTHING";
        world.database.execute(group).await;
        let id = planted(&world).await;
        world.database.execute(&format!("UPDATE whatsapp_message SET {set} WHERE id = {id}")).await;
        planted_so.push(id);
    }
    world.database.execute("UPDATE wabridge.account_pace SET paused_until = now()").await;
    world.until_status(other, &["pending", "sent", "delivered", "read"], 30).await;
    for id in [vec![taken], planted_so].concat() {
        failed_with(&world, id, "recipient_opted_out").await;
    }
    let known = format!("SELECT category FROM whatsapp_message WHERE id = {taken}");
    assert_eq!(world.database.text(&known).await.as_deref(), Some("marketing"));
    assert_eq!(world.calls().await, 1);
}

#[tokio::test]
async fn a_template_is_marketing_where_meta_says_so() {
    let mut world = meta_prepared(&[]).await;
    world
        .database
        .execute(&format!(
            "INSERT INTO whatsapp_message_template (name, language, kind, configuration_id, category, state, active)
             VALUES ('spring_offer', 'en_GB', 'provider', 1, 'MARKETING', 'approved', true),
                    ('order_update', 'en_GB', 'provider', 1, 'UTILITY', 'approved', true);
             INSERT INTO phone_blacklist (number, active) VALUES ('+{PEER}', true)"
        ))
        .await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let template = |name: &str| {
        json!({"uid": USER, "to": PEER, "type": "template", "category": "utility",
            "template": {"name": name, "language": "en_GB", "parameters": {"body": ["17"]}}})
    };
    let refused = world.daemon.rpc("message.send", template("spring_offer")).await;
    assert_eq!(refused["error"]["code"], 1106, "{refused}");
    let data = world.daemon.call("message.send", template("order_update")).await["data"].clone();
    assert!(data["id"].is_i64(), "{data}");
    let path = format!("/v23.0/{META_NUMBER}/messages");
    eventually("the other one is handed over", 15, async || {
        (world.simulator.requests(&path).await.len() == 1).then_some(())
    })
    .await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
}

#[tokio::test]
async fn the_black_list_blocks_marketing() {
    let world = World::start().await;
    world
        .database
        .execute(&format!("INSERT INTO phone_blacklist (number, active) VALUES ('+{PEER}', true)"))
        .await;
    assert_eq!(marketing(&world).await["error"]["code"], 1106);
    failed_with(&world, by_transaction(&world).await, "recipient_opted_out").await;
    let plain = world.sent(PEER, "your order").await;
    world.until_status(plain, &["pending", "sent"], 15).await;
    failed_with(&world, planted(&world).await, "recipient_opted_out").await;
    assert_eq!(world.calls().await, 1);
    world.database.execute("UPDATE phone_blacklist SET active = false").await;
    let sent = marketing(&world).await["result"]["data"]["id"].as_i64().expect("a row id");
    world.until_status(sent, &["pending", "sent"], 15).await;
}
