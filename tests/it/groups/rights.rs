//! Called directly at the daemon: who may not is refused, nothing is asked of the provider, no row changes.

use serde_json::{Value, json};

use super::{MEMBER, OPS, Provider, STRANGER, tables, world};
use crate::support::World;
use crate::support::world::{ADMIN, USER};

/// In the addon's group and assigned to nothing; nobody of the addon; an administrator of the second company.
const UNASSIGNED: i32 = 15;
const OUTSIDER: i32 = 6;
const OTHER_ADMIN: i32 = 16;

const PEOPLE: &str = "
    INSERT INTO res_partner (id, name, active) SELECT n, 'Person ' || n, true FROM generate_series(21, 23) n;
    INSERT INTO res_company (id, name, partner_id, currency_id) SELECT 2, 'Second', 23, currency_id FROM res_company WHERE id = 1;
    INSERT INTO res_users (id, login, active, share, partner_id, company_id, notification_type) VALUES
        (15, 'unassigned', true, false, 21, 1, 'email'), (16, 'second', true, false, 22, 2, 'email');
    INSERT INTO res_company_users_rel (cid, user_id) VALUES (1, 15), (2, 16);
    INSERT INTO res_groups_users_rel (gid, uid) SELECT 2, 15;
    INSERT INTO res_groups_users_rel (gid, uid) SELECT gid, 16 FROM res_groups_users_rel WHERE uid = 2;
    UPDATE whatsapp_configuration SET company_id = 1 WHERE id = 1;
";

/// Every method with what it needs.
fn methods() -> Vec<(&'static str, Value)> {
    let group = json!({"group_id": OPS});
    let people = json!({"group_id": OPS, "participants": [MEMBER]});
    vec![
        (
            "group.create",
            json!({"name": "Mine", "participants": [STRANGER], "idempotency_key": "k"}),
        ),
        ("group.info", group.clone()),
        ("group.update", json!({"group_id": OPS, "name": "Mine"})),
        ("group.add", json!({"group_id": OPS, "participants": [STRANGER], "invite": true})),
        ("group.remove", people.clone()),
        ("group.promote", people.clone()),
        ("group.demote", people),
        ("group.invite_link", group.clone()),
        ("group.revoke_invite", group.clone()),
        ("group.join", json!({"invite_link": "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv"})),
        ("group.leave", group),
        ("group.remove_everywhere", json!({"participant": MEMBER, "farewell": "Farewell"})),
    ]
}

async fn code(world: &World, method: &str, uid: i32, account: Option<i32>, params: &Value) -> i64 {
    let mut params = params.clone();
    params["uid"] = json!(uid);
    params["configuration_id"] = json!(account);
    let answer = world.daemon.rpc(method, params).await;
    answer["error"]["code"].as_i64().unwrap_or_default()
}

async fn asked(world: &World) -> usize {
    world.simulator.requests("/groups").await.len()
}

#[tokio::test]
async fn who_may_do_what() {
    let world = world(Provider::Whapi).await;
    world.database.execute(PEOPLE).await;
    let params = json!({"uid": USER, "configuration_id": 1, "group_id": OPS});
    world.daemon.call("group.info", params).await;
    let (before, seen) = (tables(&world).await, asked(&world).await);
    for (method, params) in methods() {
        for (uid, account, wanted) in [
            (OUTSIDER, Some(1), 1001),
            (UNASSIGNED, Some(1), 1001),
            (OTHER_ADMIN, Some(1), 1001),
            (USER, Some(987), 1001),
            (ADMIN, Some(987), 1002),
            (OUTSIDER, None, 1001),
            (OTHER_ADMIN, None, 1003),
        ] {
            let got = code(&world, method, uid, account, &params).await;
            assert_eq!(got, wanted, "{method} of {uid} with account {account:?}");
        }
        // Members are removed by administrators only.
        if method.starts_with("group.remove") {
            assert_eq!(code(&world, method, USER, Some(1), &params).await, 1001, "{method}");
        }
    }
    assert_eq!(tables(&world).await, before);
    assert_eq!(asked(&world).await, seen, "the provider was asked");
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 0);
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.group_call").await, 0);
    let rows =
        "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'rpc.refused' AND NOT success";
    assert_eq!(world.database.count(rows).await, 12 * 7 + 2);

    // Nor is an archived account used.
    world.database.execute("UPDATE whatsapp_configuration SET active = false WHERE id = 1").await;
    for (method, params) in methods() {
        assert_eq!(code(&world, method, ADMIN, Some(1), &params).await, 1004, "{method}");
    }
    assert_eq!(asked(&world).await, seen, "the provider was asked");
}

/// A copy of a database changes nothing at the provider.
#[tokio::test]
async fn a_copy_touches_no_groups() {
    let mut world = world(Provider::Whapi).await;
    world.daemon.terminate().await;
    world
        .database
        .execute("UPDATE ir_config_parameter SET value = 'another' WHERE key = 'database.uuid'")
        .await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let seen = asked(&world).await;
    for (method, params) in methods() {
        assert_eq!(code(&world, method, ADMIN, Some(1), &params).await, 1503, "{method}");
    }
    assert_eq!(asked(&world).await, seen, "the provider was asked");
    assert_eq!(tables(&world).await.trim(), "");
}

#[tokio::test]
async fn what_the_account_cannot_do_is_said() {
    let world = world(Provider::Custom).await;
    // A mapping without groups.
    world
        .database
        .execute("UPDATE whatsapp_configuration SET custom_mapping = '{}' WHERE id = 1")
        .await;
    let params = json!({"uid": ADMIN, "configuration_id": 1});
    world.daemon.call("configuration.test", params).await;
    for (method, params) in methods() {
        if method == "group.remove_everywhere" {
            continue;
        }
        assert_eq!(code(&world, method, ADMIN, Some(1), &params).await, 1105, "{method}");
    }
    let table = world.daemon.call("configuration.capabilities", json!({"uid": USER})).await;
    let groups = table["data"]["capabilities"].as_object().expect("a table");
    let can: Vec<_> = groups
        .iter()
        .filter(|(name, can)| name.starts_with("group_") && **can == json!(true))
        .collect();
    assert!(can.is_empty(), "{can:?}");
}
