//! `sync.…`: the provider's contacts, groups and messages in Odoo's rows; unchanged ones stay untouched, killed runs go on.
//!
//! Sizes are moderate; `SYNC_CONTACTS`, `SYNC_GROUPS`, `SYNC_MEMBERS`, `SYNC_MESSAGES` make them what they are in earnest.

mod crashes;
mod links;
mod names;
mod runs;
mod schedules;

use serde_json::{Value, json};
use wabridge_testkit::daemon::WHAPI_TOKEN;
use wabridge_testkit::{TestDatabase, eventually};

use crate::support::World;
use crate::support::world::{ADMIN, number};

/// What the provider knows.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    contacts: u64,
    groups: u64,
    members: u64,
    messages: u64,
}

impl Sizes {
    fn asked() -> Self {
        Self {
            contacts: number("SYNC_CONTACTS", 1_300),
            groups: number("SYNC_GROUPS", 30),
            members: number("SYNC_MEMBERS", 600),
            messages: number("SYNC_MESSAGES", 1_200),
        }
    }

    async fn put(&self, world: &World) {
        let Self { contacts, groups, members, messages } = self;
        let state = json!({"provider": "whapi", "token": WHAPI_TOKEN, "contacts": contacts, "groups": groups,
                           "members": members, "histories": messages});
        world.simulator.control("state", state).await;
    }
}

/// A world whose account asks as fast as it can.
async fn prepared(environment: &[(&str, &str)]) -> World {
    let world = World::prepared("", environment).await;
    world.database.execute("UPDATE whatsapp_configuration SET pace_per_second = 0").await;
    world
}

async fn started(environment: &[(&str, &str)]) -> World {
    let mut world = prepared(environment).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    world
}

async fn start(world: &World, kinds: &[&str], mode: &str) -> i64 {
    let params = json!({"uid": ADMIN, "configuration_id": 1, "kinds": kinds, "mode": mode});
    let answer = world.daemon.call("sync.start", params).await;
    answer["data"]["job_id"].as_i64().unwrap_or_else(|| panic!("no job: {answer}"))
}

async fn status(world: &World, job: i64) -> Value {
    let answer = world.daemon.call("sync.status", json!({"uid": ADMIN, "job_id": job})).await;
    answer["data"].clone()
}

/// Waits for the end of a run; its status then.
async fn ended(world: &World, job: i64) -> Value {
    eventually(&format!("synchronisation {job} ends"), 300, async || {
        let status = status(world, job).await;
        let over = !matches!(status["state"].as_str(), Some("queued" | "running"));
        over.then_some(status)
    })
    .await
}

async fn done(world: &World, kinds: &[&str], mode: &str) -> Value {
    let job = start(world, kinds, mode).await;
    let status = ended(world, job).await;
    assert_eq!(status["state"], "done", "{status}");
    assert_eq!(status["progress"], 100.0, "{status}");
    status
}

/// Every version of every row that a synchronisation could write, its own bookkeeping left out.
async fn traces(database: &TestDatabase) -> String {
    let mut traces = String::new();
    for table in [
        "public.whatsapp_contact",
        "public.whatsapp_group",
        "public.whatsapp_group_member",
        "public.whatsapp_chat",
        "public.whatsapp_message",
        "public.whatsapp_event",
        "public.whatsapp_message_receipt",
        "wabridge.identity",
        "wabridge.contact_fact",
        "wabridge.group_fact",
        "wabridge.member_fact",
        "wabridge.early_event",
    ] {
        let sql = format!(
            "SELECT '{table} ' || count(*) || ' ' || coalesce(md5(string_agg(t.ctid || ':' || t.xmin, ' ' ORDER BY t.ctid)), '')
             FROM {table} t"
        );
        traces += &database.text(&sql).await.unwrap_or_default();
        traces.push('\n');
    }
    traces
}
