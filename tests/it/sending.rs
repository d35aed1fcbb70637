//! Sends beyond a plain text: files by each way, many at once, and what can be done with a message that is there.

mod forms;
mod media;
mod revise;

use serde_json::{Value, json};
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase};

use crate::support::World;
use crate::support::world::USER;

const META_TOKEN: &str = "meta-token-canary-8810";
pub const META_SECRET: &str = "meta-app-secret-canary-8811";
pub const META_NUMBER: &str = "206543210987654";
const PEER: &str = "+447700900123";

/// A world whose account 1 is a number at Meta: it takes files.
async fn meta(environment: &[(&str, &str)]) -> World {
    let mut world = meta_prepared(environment).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    world
}

/// As [`meta`], but the daemon does not run yet.
pub async fn meta_prepared(environment: &[(&str, &str)]) -> World {
    let database = TestDatabase::new(Series::Odoo14).await;
    let simulator = Simulator::start().await;
    let account = json!({"provider": "meta", "token": META_TOKEN, "channel_id": META_NUMBER, "phone": "447700900999",
        "name": "Acme Support", "settings": {"app_secret": META_SECRET}});
    simulator.control("state", json!({"accounts": [account]})).await;
    let seal_uuid = database
        .text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1")
        .await
        .expect("the fixture has account 1");
    let mut sets = format!(
        "provider = 'meta', channel_id = '{META_NUMBER}', auth_mode = NULL, pace_per_second = 0, base_url = '{}',
         webhook_token = NULL, webhook_secret = NULL",
        simulator.url
    );
    for (column, clear) in [("token", META_TOKEN), ("app_secret", META_SECRET)] {
        let sealed = Daemon::seal(&database, &seal_uuid, column, clear).await;
        sets.push_str(&format!(", {column} = '{sealed}'"));
    }
    database.execute(&format!("UPDATE whatsapp_configuration SET {sets} WHERE id = 1")).await;
    let daemon = Daemon::prepare(&[&database], "", environment);
    World { daemon, simulator, database }
}

/// The row id of a send that was taken.
async fn taken(world: &World, params: Value) -> i64 {
    let data = world.daemon.call("message.send", params).await["data"].clone();
    data["id"].as_i64().unwrap_or_else(|| panic!("no row id: {data}"))
}

/// Code and message of a call that is refused.
async fn refused(world: &World, method: &str, params: Value) -> (i64, String) {
    let answer = world.daemon.rpc(method, params).await;
    let error = &answer["error"];
    let code = error["code"].as_i64().unwrap_or_else(|| panic!("not refused: {answer}"));
    (code, error["message"].as_str().unwrap_or_default().to_owned())
}

/// The parameters of a file.
fn file(kind: &str, media: Value) -> Value {
    json!({"uid": USER, "to": PEER, "type": kind, "media": media})
}
