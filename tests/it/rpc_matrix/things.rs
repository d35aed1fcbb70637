//! What the methods are called with: things of account 1 that are there, so that each call could be done.

use serde_json::{Value, json};
use wabridge_testkit::daemon::{WHAPI_CHANNEL, WHAPI_TOKEN};
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase, eventually};

use crate::media::server::Files;
use crate::support::World;
use crate::support::world::{ADMIN, USER, credentials, hook, message_id, text_event, text_params};

const PEER: &str = "+447700900123";
const CHAT: &str = "447700900123@s.whatsapp.net";
const OTHER: &str = "+447700900124";
const OWN: &str = "447700900999";
const OPS: &str = "120363025550100701@g.us";

/// Row ids.
pub struct Things {
    sent: i64,
    to_delete: i64,
    contact: i64,
    journal: i64,
    media: i64,
    job: i64,
    seal_uuid: String,
    _files: Files,
}

/// A group for each who may leave, and one for each who may join.
fn leaving(uid: i32) -> String {
    format!("12036302555020070{uid}@g.us")
}

fn joining(uid: i32) -> String {
    format!("12036302555030070{uid}@g.us")
}

/// Ready, with everything that [`Things`] names.
pub async fn world(series: Series, people: &str) -> (World, Things) {
    let database = TestDatabase::new(series).await;
    database.execute(people).await;
    let simulator = Simulator::start().await;
    credentials(&database, &simulator.url, WHAPI_TOKEN).await;
    let mut groups = vec![
        json!({"id": OPS, "name": "Ops", "participants": [OWN, PEER, OTHER], "admins": [OTHER]}),
    ];
    for uid in [1, ADMIN, USER] {
        groups.push(json!({"id": leaving(uid), "name": "Left", "participants": [OWN, PEER]}));
        groups.push(json!({"id": joining(uid), "name": "Joined", "participants": [PEER, OTHER], "admins": [OTHER]}));
    }
    let people =
        json!([{"phone": &PEER[1..], "name": "Amira Osei"}, {"phone": &OTHER[1..], "name": "Bo"}]);
    simulator.control("state", json!({"groups": groups, "people": people})).await;
    let mut daemon = Daemon::prepare(&[&database], "", &[]);
    hook(&simulator, WHAPI_TOKEN, &daemon.public_url).await;
    let public = format!(
        "INSERT INTO ir_config_parameter (key, value) VALUES ('whatsapp_integration.public_url', '{}')",
        daemon.public_url
    );
    database.execute(&public).await;
    daemon.run();
    daemon.wait_ready().await;
    let world = World { daemon, simulator, database };
    let things = Things::of(&world).await;
    (world, things)
}

async fn id(world: &World, sql: &str) -> i64 {
    world.database.count(&format!("SELECT ({sql})::int8")).await
}

impl Things {
    async fn of(world: &World) -> Self {
        let (sent, to_delete) = (world.sent(PEER, "hello").await, world.sent(PEER, "gone").await);
        for id in [sent, to_delete] {
            world.until_status(id, &["read"], 20).await;
        }
        let group = json!({"uid": ADMIN, "configuration_id": 1, "group_id": OPS});
        world.daemon.call("group.info", group).await;
        assert_eq!(world.webhook(&text_event(&message_id(1), &PEER[1..], "hi")).await, 200);
        let media = file(world).await;
        let job = synchronised(world).await;
        let contact = format!("SELECT id FROM whatsapp_contact WHERE phone = '{PEER}'");
        let seal = "SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1";
        world.until_quiet(20).await;
        Self {
            sent,
            to_delete,
            contact: id(world, &contact).await,
            journal: id(world, "SELECT max(id) FROM wabridge.journal").await,
            media: media.0,
            job,
            seal_uuid: world.database.text(seal).await.expect("account 1 has one"),
            _files: media.1,
        }
    }

    /// Good parameters without `uid`. `anew`: with things that can be used up.
    pub async fn params(&self, world: &World, method: &str, uid: i32, anew: bool) -> Value {
        let mut params = self.own(world, method, uid, anew).await;
        let names_account = method.starts_with("group.")
            || method.starts_with("contact.")
            || (method.starts_with("configuration.") && method != "configuration.seal")
            || matches!(
                method,
                "message.send"
                    | "message.mark_read"
                    | "stats.summary"
                    | "sync.start"
                    | "template.sync"
            );
        if names_account {
            params["configuration_id"] = json!(1);
        }
        params
    }

    async fn own(&self, world: &World, method: &str, uid: i32, anew: bool) -> Value {
        let group = json!({"group_id": OPS});
        let people = json!({"group_id": OPS, "participants": [PEER]});
        match method {
            "message.send" => {
                let mut params = text_params(PEER, "by the matrix");
                params.as_object_mut().expect("an object").remove("uid");
                params
            }
            "message.send_bulk" => {
                let mut one = text_params(PEER, "by the matrix");
                one.as_object_mut().expect("an object").remove("uid");
                one["configuration_id"] = json!(1);
                json!({"messages": [one]})
            }
            "message.status" | "message.explain" => json!({"id": self.sent}),
            "message.edit" => json!({"id": self.sent, "text": format!("changed by {uid}")}),
            "message.react" => json!({"id": self.sent, "emoji": "👍"}),
            "message.delete" => json!({"id": self.to_delete}),
            "message.retry" if anew => json!({"id": failed(world).await}),
            "message.cancel" if anew => json!({"id": scheduled(world).await}),
            "message.retry" | "message.cancel" => json!({"id": self.sent}),
            "message.mark_read" => json!({"chat_id": CHAT}),
            "group.create" => json!({"name": format!("Of {uid}"), "participants": [PEER]}),
            "group.info" | "group.invite_link" | "group.revoke_invite" => group,
            "group.update" => json!({"group_id": OPS, "name": format!("Ops {uid}")}),
            "group.add" | "group.promote" | "group.demote" | "group.remove" => people,
            "group.join" => json!({"invite_link": invite(world, uid).await}),
            "group.leave" => json!({"group_id": leaving(uid)}),
            "group.remove_everywhere" => json!({"participant": PEER, "group_ids": [OPS]}),
            "contact.check" => json!({"numbers": [OTHER]}),
            "contact.block" => json!({"to": OTHER, "blocked": true}),
            "contact.refresh" => json!({"contact_ids": [self.contact]}),
            "contact.erase" if anew => json!({"contact_id": somebody(world, uid).await}),
            "contact.erase" => json!({"contact_id": self.contact}),
            "contact.opt_out" | "contact.opt_in" => json!({"to": OTHER}),
            "sync.start" => {
                if anew {
                    idle(world).await;
                }
                json!({"kinds": ["contacts"], "mode": "full"})
            }
            "sync.status" | "sync.cancel" => json!({"job_id": self.job}),
            "configuration.seal" => {
                json!({"seal_uuid": self.seal_uuid, "column": "token", "value": "new"})
            }
            "audit.verify"
            | "configuration.test"
            | "configuration.health"
            | "configuration.capabilities"
            | "configuration.register_webhook"
            | "stats.summary"
            | "template.sync"
            | "rpc.discover" => json!({}),
            "journal.show" => json!({"id": self.journal}),
            "journal.replay" => json!({"ids": [self.journal]}),
            "media.fetch_again" => json!({"media_id": self.media}),
            other => panic!("{other} is called with nothing yet"),
        }
    }
}

/// A file that somebody sent, kept.
async fn file(world: &World) -> (i64, Files) {
    let files = Files::start().await;
    let link = files.bytes("/link/file", b"%PDF-1.7 of the matrix");
    let body = json!({
        "messages": [{
            "id": message_id(2), "from_me": false, "type": "document", "chat_id": CHAT, "timestamp": 1_765_800_002,
            "source": "mobile", "from": &PEER[1..], "from_name": "Amira Osei",
            "document": {"link": link, "mime_type": "application/pdf"},
        }],
        "event": {"type": "messages", "event": "post"},
        "channel_id": WHAPI_CHANNEL,
    });
    assert_eq!(world.webhook(&body).await, 200);
    let ready = "SELECT count(*) FROM whatsapp_media WHERE state = 'ready'";
    world.until_count(ready, 1, 20).await;
    (id(world, "SELECT id FROM whatsapp_media").await, files)
}

async fn idle(world: &World) {
    let running = "SELECT count(*) FROM whatsapp_sync_run WHERE state IN ('queued', 'running')";
    world.until_count(running, 0, 60).await;
}

/// A synchronisation that has ended.
async fn synchronised(world: &World) -> i64 {
    let params =
        json!({"uid": ADMIN, "configuration_id": 1, "kinds": ["contacts"], "mode": "full"});
    let answer = world.daemon.call("sync.start", params).await;
    idle(world).await;
    answer["data"]["job_id"].as_i64().expect("a run")
}

/// A contact of whom nobody has heard before.
async fn somebody(world: &World, uid: i32) -> i64 {
    let phone = format!("+4477009002{uid:02}");
    let text = text_event(&message_id(100 + uid.unsigned_abs() as u64), &phone[1..], "hi");
    assert_eq!(world.webhook(&text).await, 200);
    let row = format!("SELECT id FROM whatsapp_contact WHERE phone = '{phone}'");
    world.until_count(&format!("SELECT count(*) FROM ({row}) c"), 1, 20).await;
    id(world, &row).await
}

/// A message that the provider refused.
async fn failed(world: &World) -> i64 {
    // What is still on its way would get the refusal.
    world.until_quiet(20).await;
    world.fault(json!({"operation": "message.send", "status": 400, "times": 1})).await;
    let id = world.sent("+447700900125", "refused").await;
    world.until_status(id, &["failed"], 20).await;
    id
}

async fn scheduled(world: &World) -> i64 {
    let mut params = text_params(PEER, "much later");
    params["schedule_at"] = json!("2099-01-01T00:00:00Z");
    world.daemon.call("message.send", params).await["data"]["id"].as_i64().expect("a row id")
}

/// The invitation into a group that the account is not in.
async fn invite(world: &World, uid: i32) -> String {
    let group = joining(uid);
    eventually("the invitation", 10, async || {
        let url = format!("{}/_control/state", world.simulator.url);
        let state: Value = world.daemon.http.get(url).send().await.ok()?.json().await.ok()?;
        let groups = state["groups"].as_array()?;
        let group = groups.iter().find(|one| one["id"] == *group)?;
        group["invite_code"].as_str().map(str::to_owned)
    })
    .await
}
