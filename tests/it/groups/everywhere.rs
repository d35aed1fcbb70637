//! Somebody leaves: removed from every group, with a receipt for each.

use serde_json::{Value, json};

use super::{
    LEAVER, NIGHT, OPS, OTHERS, Provider, call, killed, member, refused, world, world_with,
};
use crate::outbound::Hold;
use crate::support::World;

/// Odoo knows the groups.
async fn known(world: &World) {
    for group_id in [OPS, OTHERS, NIGHT] {
        call(world, "group.info", json!({"group_id": group_id})).await;
    }
}

/// Group and result of each receipt.
fn receipts(data: &Value) -> Vec<(&str, &str)> {
    let all = data["results"].as_array().unwrap_or_else(|| panic!("no receipts: {data}"));
    let text = |one: &'_ Value, name: &str| one[name].as_str().map(str::len).is_some();
    assert!(all.iter().all(|one| text(one, "name") && one["configuration_id"] == 1), "{data}");
    all.iter()
        .map(|one| {
            (
                one["group_id"].as_str().unwrap_or_default(),
                one["result"].as_str().unwrap_or_default(),
            )
        })
        .collect()
}

fn leaver(key: &str) -> Value {
    json!({"participant": LEAVER, "farewell": "Farewell and thank you", "idempotency_key": key})
}

const FAREWELLS: &str =
    "SELECT count(*) FROM whatsapp_message WHERE content = 'Farewell and thank you'";

#[tokio::test]
async fn from_every_group_with_a_receipt() {
    let world = world(Provider::Whapi).await;
    known(&world).await;
    let data = call(&world, "group.remove_everywhere", leaver("k-1")).await;
    let wanted = [(OPS, "removed"), (OTHERS, "not_admin"), (NIGHT, "removed")];
    assert_eq!(receipts(&data), wanted, "{data}");
    assert!(data["results"][1]["reason"].is_string(), "{data}");
    assert_eq!(member(&world, OPS, LEAVER).await.as_deref(), Some("member removed"));
    assert_eq!(member(&world, NIGHT, LEAVER).await.as_deref(), Some("member removed"));
    assert_eq!(member(&world, OTHERS, LEAVER).await.as_deref(), Some("member joined"));
    // The farewell came first.
    assert!(data["farewell"]["id"].is_i64(), "{data}");
    let calls = world.simulator.requests("/").await;
    let place = |method: &str, part: &str| {
        calls.iter().position(|one| {
            one["method"] == method && one["path"].as_str().is_some_and(|path| path.contains(part))
        })
    };
    let (said, removed) = (place("POST", "/messages/text"), place("DELETE", "/participants"));
    assert!(said.is_some() && said < removed, "{said:?} {removed:?}");
    assert_eq!(call(&world, "group.remove_everywhere", leaver("k-1")).await, data);
    assert_eq!(world.database.count(FAREWELLS).await, 1);

    // What is chosen, and nothing else.
    let params = json!({"participant": "+447700900123", "group_ids": [NIGHT]});
    let data = call(&world, "group.remove_everywhere", params).await;
    assert_eq!(receipts(&data), [(NIGHT, "removed")]);
    assert_eq!(data["farewell"], Value::Null);
    let joined = member(&world, OPS, "+447700900123").await.expect("a row");
    assert!(joined.ends_with("joined"), "{joined}");
    // Nobody of that number is in any group.
    let params = json!({"participant": "+447700900177", "farewell": "Farewell"});
    let data = call(&world, "group.remove_everywhere", params).await;
    assert_eq!(data, json!({"results": [], "farewell": null}));
    for (params, code) in [
        (json!({"participant": "call me"}), 1101),
        (json!({"participant": LEAVER, "group_ids": []}), 1102),
        (json!({"participant": LEAVER, "group_ids": ["+447700900123"]}), 1101),
        (json!({"participant": LEAVER, "farewell": " "}), 1102),
    ] {
        let refusal = refused(&world, "group.remove_everywhere", params.clone()).await;
        assert_eq!(refusal.0, code, "{params}: {refusal:?}");
    }
}

#[tokio::test]
async fn killed_half_way_it_goes_on_where_it_was() {
    let hold = Hold::new();
    let environment = [("WABRIDGE_FAILPOINTS", hold.at("group.removed"))];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut world = world_with(Provider::Whapi, &environment).await;
    known(&world).await;
    killed(&mut world, &hold, "group.remove_everywhere", leaver("k-1")).await;
    let data = call(&world, "group.remove_everywhere", leaver("k-1")).await;
    // The first removal was made and not noted: whoever asks again finds nobody there.
    let all = receipts(&data);
    assert!(!all.contains(&(NIGHT, "failed")) && all.contains(&(NIGHT, "removed")), "{data}");
    assert!(all.contains(&(OTHERS, "not_admin")), "{data}");
    assert_eq!(member(&world, OPS, LEAVER).await.as_deref(), Some("member removed"));
    assert_eq!(member(&world, NIGHT, LEAVER).await.as_deref(), Some("member removed"));
    assert_eq!(world.database.count(FAREWELLS).await, 1);
    assert_eq!(call(&world, "group.remove_everywhere", leaver("k-1")).await, data);
}
