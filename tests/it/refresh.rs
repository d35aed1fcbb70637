//! `contact.refresh`: chosen people as the provider knows them now. News reach the row, what is known writes nothing,
//! and each person has an outcome of their own.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::world::USER;

const AMIRA: &str = "447700900123";
const BO: &str = "447700900124";
const NOT_ON_WHATSAPP: &str = "447700900801";

/// The row of somebody who was written to.
async fn contact(world: &World, digits: &str) -> i64 {
    world.send(&format!("+{digits}"), "hi").await;
    let sql = format!("SELECT id FROM whatsapp_contact WHERE phone = '+{digits}'");
    world.database.count(&sql).await
}

async fn people(world: &World, people: Value) {
    world.simulator.control("state", json!({"people": people})).await;
}

async fn refresh(world: &World, ids: &[i64]) -> Value {
    let params = json!({"uid": USER, "contact_ids": ids});
    world.daemon.call("contact.refresh", params).await["data"]["results"].clone()
}

async fn row(world: &World, id: i64) -> String {
    let sql = format!(
        "SELECT concat_ws('|', coalesce(name, '-'), coalesce(pushname, '-'), coalesce(picture, '-'),
                coalesce(is_business, false), synced_at IS NOT NULL)
         FROM whatsapp_contact WHERE id = {id}"
    );
    world.database.text(&sql).await.unwrap_or_default()
}

async fn traces(world: &World) -> String {
    let mut traces = String::new();
    for table in ["public.whatsapp_contact", "wabridge.identity", "wabridge.contact_fact"] {
        let sql = format!(
            "SELECT string_agg(t.ctid || ':' || t.xmin, ' ' ORDER BY t.ctid) FROM {table} t"
        );
        traces += &world.database.text(&sql).await.unwrap_or_default();
        traces.push('\n');
    }
    traces
}

#[tokio::test]
async fn news_reach_the_row_and_what_is_known_writes_nothing() {
    let mut world = World::prepared("", &[]).await;
    world.database.execute("UPDATE whatsapp_configuration SET conflict_policy = 'odoo'").await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let (amira, bo) = (contact(&world, AMIRA).await, contact(&world, BO).await);
    let told = json!([
        {"phone": AMIRA, "name": "Amira Osei", "saved_name": "Amira (Acme)", "is_business": true,
         "picture": "https://pps.example/a"},
        {"phone": BO, "name": "Bo"},
    ]);
    people(&world, told).await;
    world.until_quiet(60).await;
    world.database.execute("DELETE FROM bus_bus").await;
    let results = refresh(&world, &[bo, amira, bo]).await;
    let changed = |id: i64, changed: bool| json!({"id": id, "changed": changed});
    assert_eq!(results, json!([changed(bo, true), changed(amira, true), changed(bo, true)]));
    assert_eq!(row(&world, amira).await, "Amira (Acme)|Amira Osei|https://pps.example/a|t|t");
    assert_eq!(row(&world, bo).await, "Bo|Bo|-|f|t");
    let hinted = "SELECT least(count(*), 1) FROM bus_bus WHERE message LIKE '%whatsapp.contact%'";
    world.until_count(hinted, 1, 60).await;

    let before = traces(&world).await;
    let results = refresh(&world, &[amira, bo]).await;
    assert_eq!(results, json!([changed(amira, false), changed(bo, false)]));
    assert_eq!(traces(&world).await, before);

    // A name that a user typed stays by the account's policy; the provider's own fields are its own.
    let typed = format!(
        "UPDATE whatsapp_contact SET name = 'Amira, depot', name_edited_at = now() AT TIME ZONE 'UTC' WHERE id = {amira}"
    );
    world.database.execute(&typed).await;
    // Facts have whole seconds: of two in the same one nobody knows the later.
    let earlier = "UPDATE wabridge.contact_fact SET at = at - interval '1 minute'";
    world.database.execute(earlier).await;
    let told =
        json!([{"phone": AMIRA, "name": "Amira O.", "saved_name": "Amira 2", "picture": ""}]);
    people(&world, told).await;
    assert_eq!(refresh(&world, &[amira]).await, json!([changed(amira, true)]));
    assert_eq!(row(&world, amira).await, "Amira, depot|Amira O.|-|t|t");
    assert_eq!(refresh(&world, &[amira]).await, json!([changed(amira, false)]));

    let audit =
        "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'contact.refresh' AND success
        AND user_id = 5 AND configuration_id = 1";
    assert_eq!(world.database.count(audit).await, 4);
}

#[tokio::test]
async fn each_person_has_an_outcome_of_their_own() {
    let world = World::start().await;
    people(&world, json!([{"phone": AMIRA, "name": "Amira Osei"}])).await;
    let (amira, unknown) = (contact(&world, AMIRA).await, contact(&world, NOT_ON_WHATSAPP).await);
    world.until_quiet(60).await;
    let results = refresh(&world, &[unknown, amira, 9_999_999]).await;
    assert_eq!(results[1], json!({"id": amira, "changed": true}));
    for (place, id) in [(0, unknown), (2, 9_999_999)] {
        assert_eq!(results[place]["id"], id, "{results}");
        assert_eq!(results[place]["error"]["data"]["kind"], "record_not_found", "{results}");
        assert_eq!(results[place]["error"]["code"], 1504, "{results}");
        assert!(results[place]["error"]["message"].is_string(), "{results}");
    }
    let capabilities = json!({"uid": USER, "configuration_id": 1});
    let capabilities = world.daemon.call("configuration.capabilities", capabilities).await;
    assert_eq!(capabilities["data"]["capabilities"]["contact_refresh"], true, "{capabilities}");

    for (params, code) in [
        (json!({"uid": 6, "configuration_id": 1, "contact_ids": [amira]}), 1001),
        (json!({"uid": USER, "contact_ids": []}), 1102),
        (json!({"uid": USER, "contact_ids": vec![amira; 101]}), 1102),
    ] {
        let answer = world.daemon.rpc("contact.refresh", params).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }

    let before = traces(&world).await;
    world.fault(json!({"operation": "contact.get", "status": 500, "times": 1})).await;
    let results = refresh(&world, &[amira]).await;
    assert_eq!(results[0]["error"]["data"]["kind"], "provider_unavailable", "{results}");
    assert_eq!(results[0]["error"]["data"]["retryable"], true, "{results}");
    world.fault(json!({"operation": "contact.get", "retry_after": 7})).await;
    let results = refresh(&world, &[amira, unknown]).await;
    for result in results.as_array().expect("results") {
        assert_eq!(result["error"]["data"]["kind"], "provider_rate_limited", "{results}");
        assert_eq!(result["error"]["data"]["retry_after"], 7, "{results}");
    }
    assert_eq!(traces(&world).await, before);
}
