//! `group.…`: what the provider's simulator makes of each operation is what the answer says and what Odoo's rows are,
//! person by person, on every provider; what is refused changes no row.

mod everywhere;
mod meta;
mod once;
mod rights;
mod suite;

use serde_json::{Value, json};
use wabridge_testkit::daemon::KEY_ID;
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase};

use crate::group_conformance::custom_mapping::MAPPING;
use crate::outbound::Hold;
use crate::support::Provider;
use crate::support::world::{ADMIN, USER, WEBHOOK_SECRET, WEBHOOK_TOKEN, World, credentials_of};

const OWN: &str = "447700900999";
const MEMBER: &str = "+447700900123";
const LEADER: &str = "+447700900124";
const STRANGER: &str = "+44 7700 900125";
const LEAVER: &str = "+447700900126";
const NOT_ON_WHATSAPP: &str = "+447700900801";
const REFUSES: &str = "+447700900802";

/// Groups of the world: the account made the first and the third, and is a plain member of the second.
const OPS: &str = "120363025550100701@g.us";
const OTHERS: &str = "120363025550100702@g.us";
const NIGHT: &str = "120363025550100703@g.us";

impl Provider {
    /// A group of the world as the provider names it.
    fn group(self, id: &str) -> String {
        match (self, id) {
            (Self::Meta, OPS) => "Y2FwaV9ncm91cDoxMjAzNjMwMjU1NTAxMDA3MDEZD".to_owned(),
            (Self::Meta, other) => panic!("{other} has no id of Meta's here"),
            (_, id) => id.to_owned(),
        }
    }
}

/// One account of the provider in a daemon, beside a simulator that delivers to it.
async fn world(provider: Provider) -> World {
    world_with(provider, &[]).await
}

async fn world_with(provider: Provider, environment: &[(&str, &str)]) -> World {
    let mut world = prepared(provider, environment).await;
    run(provider, &mut world).await;
    world
}

/// The same, not running yet.
async fn prepared(provider: Provider, environment: &[(&str, &str)]) -> World {
    let series = match provider {
        Provider::Whapi | Provider::Custom => Series::Odoo14,
        Provider::Wassenger | Provider::Meta => Series::Odoo19,
    };
    let database = TestDatabase::new(series).await;
    let simulator = Simulator::start().await;
    let daemon = Daemon::prepare(&[&database], "", environment);
    if provider != Provider::Whapi {
        let word = provider.word();
        let settings = match provider {
            Provider::Meta => json!({"app_secret": WEBHOOK_SECRET}),
            _ => json!({
                "webhook_url": format!("{}/whatsapp/webhook/{word}/{WEBHOOK_TOKEN}", daemon.public_url),
                "webhook_secret": WEBHOOK_SECRET,
            }),
        };
        let account = json!({
            "provider": word, "token": provider.token(), "channel_id": provider.channel(), "phone": OWN,
            "name": "Acme Support", "settings": settings,
        });
        simulator.control("state", json!({"accounts": [account]})).await;
    }
    let groups = json!([
        {"id": OPS, "name": "Ops", "participants": [OWN, MEMBER, LEADER, LEAVER], "admins": [LEADER]},
        {"id": OTHERS, "name": "Others", "participants": ["447700900130", OWN, MEMBER, LEAVER]},
        {"id": NIGHT, "name": "Night", "participants": [OWN, MEMBER, LEAVER]},
    ]);
    simulator.control("state", json!({"groups": groups})).await;
    let mapping = match provider {
        Provider::Custom => format!("$mapping${MAPPING}$mapping$"),
        _ => "NULL".to_owned(),
    };
    let account = format!(
        "UPDATE whatsapp_configuration SET provider = '{}', channel_id = '{}', auth_mode = NULL,
             pace_per_second = 0, custom_mapping = {mapping} WHERE id = 1",
        provider.word(),
        provider.channel()
    );
    let address = format!(
        "INSERT INTO ir_config_parameter (key, value) VALUES ('whatsapp_integration.public_url', '{}')
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        daemon.public_url
    );
    database.execute(&account).await;
    database.execute(&address).await;
    let base = match provider {
        Provider::Wassenger => format!("{}/v1", simulator.url),
        _ => simulator.url.clone(),
    };
    credentials_of(&database, &base, provider.token(), (WEBHOOK_TOKEN, WEBHOOK_SECRET)).await;
    if provider == Provider::Meta {
        let uuid = database.text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1").await;
        for column in ["app_secret", "verify_token"] {
            let uuid = uuid.as_deref().expect("the fixture has account 1");
            let sealed = Daemon::seal(&database, uuid, column, WEBHOOK_SECRET).await;
            let sql =
                format!("UPDATE whatsapp_configuration SET {column} = '{sealed}' WHERE id = 1");
            database.execute(&sql).await;
        }
    }
    World { daemon, simulator, database }
}

async fn run(provider: Provider, world: &mut World) {
    world.daemon.run();
    world.daemon.wait_ready().await;
    if provider != Provider::Custom {
        let params = json!({"uid": ADMIN, "configuration_id": 1});
        world.daemon.call("configuration.register_webhook", params).await;
    }
}

/// The data of a call that must succeed, made by the user, or by the administrator where only he may.
async fn call(world: &World, method: &str, params: Value) -> Value {
    let uid = if method.starts_with("group.remove") { ADMIN } else { USER };
    world.daemon.call(method, with(uid, params)).await["data"].clone()
}

fn with(uid: i32, mut params: Value) -> Value {
    params["uid"] = json!(uid);
    params["configuration_id"] = json!(1);
    params
}

/// Code and sentence of a refusal.
async fn refused(world: &World, method: &str, params: Value) -> (i64, String) {
    let uid = if method.starts_with("group.remove") { ADMIN } else { USER };
    let answer = world.daemon.rpc(method, with(uid, params)).await;
    let error = &answer["error"];
    let code =
        error["code"].as_i64().unwrap_or_else(|| panic!("{method} was not refused: {answer}"));
    (code, error["message"].as_str().unwrap_or_default().to_owned())
}

/// The word for each participant, in their order.
fn results(data: &Value) -> Vec<&str> {
    let people =
        data["participants"].as_array().unwrap_or_else(|| panic!("no participants: {data}"));
    people.iter().map(|one| one["result"].as_str().unwrap_or_default()).collect()
}

/// Role and state of a person in a group, as the rows have it; None without a row.
async fn member(world: &World, group_id: &str, number: &str) -> Option<String> {
    let phone: String = number.chars().filter(|c| !c.is_whitespace()).collect();
    let sql = format!(
        "SELECT m.role || ' ' || m.state FROM whatsapp_group_member m
         JOIN whatsapp_group g ON g.id = m.group_id JOIN whatsapp_contact c ON c.id = m.contact_id
         WHERE g.group_id = '{group_id}' AND c.phone = '+{}'",
        phone.trim_start_matches('+')
    );
    world.database.text(&sql).await
}

/// A column of a group's row.
async fn column(world: &World, group_id: &str, name: &str) -> Option<String> {
    let sql = format!("SELECT {name}::text FROM whatsapp_group WHERE group_id = '{group_id}'");
    world.database.text(&sql).await
}

/// Everything that the rows say of groups and people.
async fn tables(world: &World) -> String {
    let sql = "SELECT concat(
            (SELECT string_agg(g::text, E'\\n' ORDER BY g.id) FROM whatsapp_group g), E'\\n',
            (SELECT string_agg(m::text, E'\\n' ORDER BY m.id) FROM whatsapp_group_member m), E'\\n',
            (SELECT string_agg(c::text, E'\\n' ORDER BY c.id) FROM whatsapp_contact c))";
    world.database.text(sql).await.unwrap_or_default()
}

/// How often the provider was asked to make a group.
async fn creations(world: &World) -> usize {
    let all = world.simulator.requests("/").await;
    all.iter()
        .filter(|one| one["method"] == "POST")
        .filter(|one| one["path"].as_str().is_some_and(|path| path.ends_with("/groups")))
        .count()
}

/// Messages with an invitation link.
const INVITATIONS: &str =
    "SELECT count(*) FROM whatsapp_message WHERE content LIKE '%https://chat.whatsapp.com/%'";

/// A call whose answer nobody waits for: its daemon is about to be killed.
fn ask(world: &World, method: &str, params: Value) -> tokio::task::JoinHandle<bool> {
    let uid = if method.starts_with("group.remove") { ADMIN } else { USER };
    let params = with(uid, params);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let authorization = Daemon::authorization(KEY_ID, "POST", "/rpc", &body);
    let url = format!("{}/rpc", world.daemon.private_url);
    let request = world.daemon.http.post(url).header("content-type", "application/json");
    let request = request.header("authorization", authorization).body(body);
    tokio::spawn(async move { request.send().await.is_ok() })
}

/// Makes the call, kills the daemon at the place that `hold` watches, and starts it again.
async fn killed(world: &mut World, hold: &Hold, method: &str, params: Value) {
    hold.close();
    let asked = ask(world, method, params);
    hold.reached().await;
    world.daemon.kill();
    hold.open();
    assert!(!asked.await.expect("no panic"), "it was answered");
    world.daemon.run();
    world.daemon.wait_ready().await;
}
