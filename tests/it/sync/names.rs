//! Names that differ, members that left, messages whose webhook was lost.

use serde_json::{Value, json};
use wabridge_testkit::daemon::WHAPI_TOKEN;

use super::{done, prepared, started, traces};
use crate::support::World;

async fn named(world: &World, phone: &str, name: &str) {
    let people = json!([{"phone": phone, "name": name, "saved_name": name}]);
    world.simulator.control("state", json!({"people": people})).await;
}

async fn odoo(world: &World, phone: &str, name: &str) {
    let sql = format!(
        "UPDATE whatsapp_contact SET name = '{name}', name_edited_at = now() AT TIME ZONE 'UTC' WHERE phone = '+{phone}'"
    );
    world.database.execute(&sql).await;
}

async fn names(world: &World) -> Value {
    let sql = "SELECT json_object_agg(right(phone, 3), name)::text FROM whatsapp_contact WHERE phone LIKE '+4477009009%'";
    serde_json::from_str(&world.database.text(sql).await.unwrap_or_default()).expect("JSON")
}

/// (decision, provider's, Odoo's) of the newest run.
async fn decisions(world: &World) -> Vec<String> {
    let sql = "SELECT string_agg(concat_ws('|', decision, field, provider_value, odoo_value, res_id IS NOT NULL), E'\\n' ORDER BY provider_value)
               FROM whatsapp_sync_run_item WHERE run_id = (SELECT max(id) FROM whatsapp_sync_run)";
    let all = world.database.text(sql).await.unwrap_or_default();
    all.lines().map(str::to_owned).collect()
}

async fn differing(policy: &str) -> (Value, Vec<String>) {
    let mut world = prepared(&[]).await;
    let sql = format!("UPDATE whatsapp_configuration SET conflict_policy = '{policy}'");
    world.database.execute(&sql).await;
    for (phone, name) in
        [("447700900911", "Both"), ("447700900912", "Provider"), ("447700900913", "Odoo")]
    {
        named(&world, phone, name).await;
    }
    world.daemon.run();
    world.daemon.wait_ready().await;
    done(&world, &["contacts"], "full").await;
    odoo(&world, "447700900911", "Both here").await;
    odoo(&world, "447700900913", "Odoo here").await;
    named(&world, "447700900911", "Both there").await;
    named(&world, "447700900912", "Provider there").await;
    done(&world, &["contacts"], "full").await;
    let found = (names(&world).await, decisions(&world).await);
    // Decided once: the next run has nothing to decide and writes nothing.
    let before = traces(&world.database).await;
    done(&world, &["contacts"], "full").await;
    assert_eq!(traces(&world.database).await, before);
    assert_eq!(decisions(&world).await, [""; 0]);
    found
}

#[tokio::test]
async fn the_newest_name() {
    let (names, items) = differing("newest").await;
    assert_eq!(names, json!({"911": "Both here", "912": "Provider there", "913": "Odoo here"}));
    assert_eq!(items, ["odoo|name|Both there|Both here|t"]);
}

#[tokio::test]
async fn the_providers_name() {
    let (names, items) = differing("provider").await;
    assert_eq!(names, json!({"911": "Both there", "912": "Provider there", "913": "Odoo here"}));
    assert_eq!(items, ["provider|name|Both there|Both here|t"]);
}

#[tokio::test]
async fn odoos_name() {
    let (names, items) = differing("odoo").await;
    assert_eq!(names, json!({"911": "Both here", "912": "Provider there", "913": "Odoo here"}));
    assert_eq!(items, ["odoo|name|Both there|Both here|t"]);
}

const GROUP: &str = "120363021234567890@g.us";

#[tokio::test]
async fn groups_follow_and_who_left_is_marked() {
    let world = started(&[]).await;
    let group = |members: Value, name: &str| json!({"provider": "whapi", "token": WHAPI_TOKEN, "groups": [{"id": GROUP, "name": name, "participants": members}]});
    world.simulator.control("state", group(json!(["447700900921", "447700900922"]), "Depot")).await;
    done(&world, &["groups"], "full").await;
    let members = "SELECT string_agg(concat_ws('|', right(c.phone, 2), m.state), ' ' ORDER BY c.phone)
        FROM whatsapp_group_member m JOIN whatsapp_contact c ON c.id = m.contact_id WHERE c.phone LIKE '+44770090092%'";
    assert_eq!(world.database.text(members).await.unwrap(), "21|joined 22|joined");
    world.database.execute("UPDATE whatsapp_group SET name = 'Our depot', name_edited_at = now() AT TIME ZONE 'UTC'").await;
    world.simulator.control("state", group(json!(["447700900921", "447700900923"]), "Depot")).await;
    let status = done(&world, &["groups"], "full").await;
    assert_eq!(status["counts"]["groups"]["changed"], 1, "{status}");
    assert_eq!(world.database.text(members).await.unwrap(), "21|joined 22|left 23|joined");
    let name = "SELECT name FROM whatsapp_group";
    assert_eq!(world.database.text(name).await.unwrap(), "Our depot", "what users typed stays");
    let before = traces(&world.database).await;
    done(&world, &["groups"], "full").await;
    assert_eq!(traces(&world.database).await, before);
}

/// What no webhook brought is found, shown as late, and news to people where it is young enough.
#[tokio::test]
async fn lost_webhooks() {
    let world = started(&[]).await;
    let peer = "447700900931";
    let inbound = json!({"provider": "whapi", "token": WHAPI_TOKEN, "from": peer, "text": "came"});
    world.simulator.control("inbound", inbound).await;
    world
        .until_count("SELECT count(*) FROM whatsapp_event WHERE kind = 'message_received'", 1, 20)
        .await;
    // The account is live for two days.
    world
        .database
        .execute("UPDATE whatsapp_chat SET create_date = create_date - interval '2 days'")
        .await;
    let now = world.database.count("SELECT extract(epoch FROM now())::int8").await;
    let past = |text: &str, ago: i64| json!({"provider": "whapi", "token": WHAPI_TOKEN, "from": peer, "text": text, "timestamp": now - ago});
    let hour = 3600;
    let histories =
        json!([past("before", 72 * hour), past("yesterday", 30 * hour), past("lost", 2 * hour)]);
    world.simulator.control("state", json!({"histories": histories})).await;
    let status = done(&world, &["messages"], "incremental").await;
    let counts = &status["counts"]["messages"];
    assert_eq!(
        (&counts["read"], &counts["created"], &counts["late"]),
        (&json!(4), &json!(3), &json!(2)),
        "{status}"
    );
    let rows = "SELECT string_agg(concat_ws('|', content, extra::json->>'received_late', extra::json->>'history',
                    EXISTS (SELECT 1 FROM whatsapp_event e WHERE e.message_id = m.id)), ' ' ORDER BY timestamp)
                FROM whatsapp_message m";
    assert_eq!(
        world.database.text(rows).await.unwrap(),
        "before|true|f yesterday|true|true|f lost|true|t came|t"
    );
    assert_eq!(world.database.count("SELECT sum(unread_count)::int8 FROM whatsapp_chat").await, 2);
    let items = "SELECT string_agg(decision, ' ') FROM whatsapp_sync_run_item";
    assert_eq!(world.database.text(items).await.unwrap(), "late late");
    assert_eq!(world.database.count("SELECT late_count FROM whatsapp_sync_run").await, 2);
    // The next one begins at the mark.
    let status = done(&world, &["messages"], "incremental").await;
    assert_eq!(status["counts"]["messages"]["read"], 1, "{status}");
}

/// Whom a user took the partner from stays without one, at the sweep and when the row is made.
#[tokio::test]
async fn a_partner_that_was_taken_away() {
    let world = started(&[]).await;
    world.database.execute(
        "INSERT INTO whatsapp_partner_number (partner_id, e164) SELECT id, '+447700900941' FROM res_partner ORDER BY id LIMIT 1;
         INSERT INTO whatsapp_partner_number (partner_id, e164) SELECT id, '+447700900942' FROM res_partner ORDER BY id LIMIT 1",
    ).await;
    named(&world, "447700900941", "Taken").await;
    named(&world, "447700900942", "Left").await;
    done(&world, &["contacts"], "full").await;
    assert_eq!(
        world
            .database
            .count("SELECT count(*) FROM whatsapp_contact WHERE partner_id IS NOT NULL")
            .await,
        2
    );
    world
        .database
        .execute(
            "UPDATE whatsapp_contact SET partner_id = NULL, partner_chosen = right(phone, 1) = '1'
                            WHERE partner_id IS NOT NULL",
        )
        .await;
    world
        .until_count("SELECT count(*) FROM whatsapp_contact WHERE partner_id IS NOT NULL", 1, 150)
        .await;
    assert_eq!(
        world
            .database
            .text("SELECT name FROM whatsapp_contact WHERE partner_id IS NOT NULL")
            .await
            .unwrap(),
        "Left"
    );
}
