//! One person is erased: nothing of him is left in a dump, everything of another one is.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use wabridge_testkit::{Cluster, Daemon, Series, TestDatabase, eventually};

use super::{until_sealed, verify};
use crate::media::server::Files;
use crate::support::world::{ADMIN, USER, message_id, odoo_send, status_event, text_event};
use crate::support::{World, wabridge};

const HIS: &str = "447700900123";
const HERS: &str = "447700900804";
const HIS_NAME: &str = "Amir Zanzibar-Canary";
const HER_NAME: &str = "Berta Keeper-Canary";
const GROUP: &str = "120363025550100777@g.us";

/// What must be gone, and what must stay.
const GONE: [&str; 8] = [
    HIS,
    HIS_NAME,
    "his-words-canary",
    "words-to-him-canary",
    "his-group-words-canary",
    "his-file-canary",
    "later-to-him-canary",
    "quarantined-canary",
];
const KEPT: [&str; 5] =
    [HERS, HER_NAME, "her-words-canary", "words-to-her-canary", "her-file-canary"];

/// The whole database as text.
fn dump(database: &TestDatabase) -> String {
    let url = database.odoo_url.replace("//odoo@", "//postgres@");
    let output = Command::new(Cluster::programs().join("pg_dump"))
        .args(["--inserts", "-d", &url])
        .output()
        .expect("pg_dump starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a dump is UTF-8")
}

/// Which of `canaries` stand in a dump, as text or as bytes in hexadecimal digits; with the start of the line.
fn found(dump: &str, canaries: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for canary in canaries {
        let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
        let line = dump.lines().find(|line| line.contains(canary) || line.contains(&hex));
        found
            .extend(line.map(|l| format!("{canary}: {}", l.chars().take(400).collect::<String>())));
    }
    found
}

fn written(id: &str, from: &str, name: &str, text: &str) -> Value {
    let mut body = text_event(id, from, text);
    body["messages"][0]["from_name"] = json!(name);
    body
}

fn document(id: &str, from: &str, name: &str, link: &str, file: &str) -> Value {
    let mut body = written(id, from, name, "");
    let message = &mut body["messages"][0];
    message["type"] = json!("document");
    message["document"] = json!({"id": format!("file-{id}"), "link": link, "mime_type": "text/plain", "file_name": file});
    body
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    entries
        .map(|entry| entry.expect("the folder can be read").path())
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

/// Both people write, get messages and files, and stand in whatever else holds people.
async fn lived(series: Series) -> (World, Files) {
    let mut world = World::around(TestDatabase::new(series).await, "", &[]).await;
    let files = Files::start().await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let his_file = files.bytes("/link/his", b"his file, as it is on the disk");
    let her_file = files.bytes("/link/hers", b"her file, as it is on the disk");
    let mut in_group = written(&message_id(5), HIS, HIS_NAME, "his-group-words-canary");
    in_group["messages"][0]["chat_id"] = json!(GROUP);
    let mut elsewhere = written(&message_id(6), HIS, HIS_NAME, "quarantined-canary");
    elsewhere["channel_id"] = json!("MANTIS-77777");
    for body in [
        written(&message_id(1), HIS, HIS_NAME, "his-words-canary"),
        written(&message_id(2), HERS, HER_NAME, &format!("her-words-canary: call {HIS}")),
        document(&message_id(3), HIS, HIS_NAME, &his_file, "his-file-canary.txt"),
        document(&message_id(4), HERS, HER_NAME, &her_file, "her-file-canary.txt"),
        in_group,
        elsewhere,
        // Of a message that never comes.
        status_event(&message_id(7), &format!("{HIS}@s.whatsapp.net"), "read"),
    ] {
        assert_eq!(world.webhook(&body).await, 200, "{}", world.daemon.log());
    }
    for (to, text) in [(HIS, "words-to-him-canary"), (HERS, "words-to-her-canary")] {
        let id = world.sent(to, text).await;
        world.until_status(id, &["sent", "delivered", "read"], 15).await;
    }
    let later = json!({"uid": USER, "to": HIS, "type": "text", "text": {"body": "later-to-him-canary"},
        "schedule_at": "2099-01-01T00:00:00Z"});
    world.daemon.call("message.send", later).await;
    let opt_out = json!({"uid": USER, "to": HIS, "reason": "asked for it"});
    world.daemon.call("contact.opt_out", opt_out).await;
    world.until_count("SELECT count(*) FROM whatsapp_media WHERE state = 'ready'", 2, 20).await;
    let odoo = world.database.odoo().await;
    odoo.batch_execute(&format!(
        "INSERT INTO whatsapp_audit_log (operation, success, error_message, timestamp, configuration_id, address)
            VALUES ('message.send', false, 'message.send: {HIS} cannot be written to', now(), 1, '10.0.0.1'),
                   ('message.send', false, 'message.send: {HERS} cannot be written to', now(), 1, '10.0.0.1');
         INSERT INTO whatsapp_bulk_campaign (name, configuration_id, user_id, state, category, content_kind,
                recipient_source) VALUES ('c', 1, 5, 'done', 'marketing', 'text', 'contacts');
         INSERT INTO whatsapp_bulk_campaign_recipient (campaign_id, name, number, given, content)
            SELECT id, '{HIS_NAME}', '+{HIS}', '0{HIS}', '{{\"body\": \"Dear {HIS_NAME}\"}}'
            FROM whatsapp_bulk_campaign;
         INSERT INTO whatsapp_sync_run (configuration_id, state) VALUES (1, 'done');
         INSERT INTO whatsapp_sync_run_item (run_id, kind, decision, name)
            SELECT max(id), 'contacts', 'created', '{HIS_NAME}' FROM whatsapp_sync_run"
    ))
    .await
    .expect("Odoo's role may insert");
    until_sealed(&world).await;
    (world, files)
}

async fn erased_by_command(world: &World) -> String {
    let config = world.daemon.config_path();
    let number = format!("+{HIS}");
    let media = world.daemon.media_directory();
    // The command reads the settings that the daemon runs with.
    let text = std::fs::read_to_string(&config).expect("settings can be read");
    let text = format!("{text}\n[media]\ndirectory = \"{}\"\n", media.display());
    let own = config.with_file_name("erase.toml");
    std::fs::write(&own, text).expect("settings can be written");
    wabridge(Some(&own), &["erase", &world.database.name, &number]).await.well()
}

async fn nothing_is_left(world: &World) {
    let after = dump(&world.database);
    assert!(found(&after, &GONE).is_empty(), "{:#?}", found(&after, &GONE));
    assert_eq!(found(&after, &KEPT).len(), KEPT.len(), "{:#?}", found(&after, &KEPT));
    assert!(after.contains("her-words-canary: call [erased]"), "only his number is taken out");
}

async fn is_proven(world: &World) {
    let printed = verify(world, &[]).await.well();
    assert!(printed.contains("1 fields emptied on request"), "{printed}");
    // The control: nobody else empties a field.
    let emptied = "UPDATE whatsapp_audit_log SET error_message = '[erased]' WHERE error_message LIKE '%cannot be written to'";
    world.database.execute(emptied).await;
    assert_eq!(verify(world, &[]).await.code, Some(1));
}

#[tokio::test]
async fn by_the_command_on_14() {
    let (world, _files) = lived(Series::Odoo14).await;
    let before = dump(&world.database);
    assert_eq!(found(&before, &GONE).len(), GONE.len(), "{:#?}", found(&before, &GONE));
    assert_eq!(files_below(&world.daemon.media_directory()).len(), 2);
    let shape =
        "SELECT string_agg(message_type || ' ' || direction || ' ' || timestamp, '; ' ORDER BY id)
                 FROM whatsapp_message";
    let husks = world.database.text(shape).await;
    // Handed over by a transaction of Odoo, while nobody adopts.
    world.daemon.pause();
    let odoo = world.database.odoo().await;
    let handed = odoo_send(&odoo, &format!("+44 {}", &HIS[2..]), "later-to-him-canary", None).await;
    let printed = erased_by_command(&world).await;
    world.daemon.resume();
    for table in
        ["journal", "whatsapp_message", "whatsapp_contact", "whatsapp_outbox_in", "media_blob"]
    {
        assert!(printed.contains(&format!("{table}: ")), "{table}: {printed}");
    }
    nothing_is_left(&world).await;
    assert_eq!(files_below(&world.daemon.media_directory()).len(), 1, "his file is gone");
    let sql = format!("DELETE FROM whatsapp_message WHERE id = {handed} AND status = 'cancelled'");
    world.database.execute(&sql).await;
    assert_eq!(world.database.text(shape).await, husks, "type, direction and time stay");
    let again = erased_by_command(&world).await;
    assert!(again.contains("nothing"), "{again}");
    let words =
        "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'contact.erase' AND success";
    assert_eq!(world.database.count(words).await, 2);
    is_proven(&world).await;
}

#[tokio::test]
async fn by_a_call_on_19() {
    let (world, _files) = lived(Series::Odoo19).await;
    let contact = |phone: &str| format!("SELECT id FROM whatsapp_contact WHERE phone = '+{phone}'");
    let (his, hers) =
        (world.database.count(&contact(HIS)).await, world.database.count(&contact(HERS)).await);
    let erase = async |uid: i32, contact: i64| {
        world.daemon.rpc("contact.erase", json!({"uid": uid, "contact_id": contact})).await
    };
    assert_eq!(erase(USER, his).await["error"]["code"], 1001);
    assert_eq!(erase(ADMIN, 987_654).await["error"]["code"], 1504);
    let counts = erase(ADMIN, his).await["result"]["data"]["counts"].clone();
    assert!(counts["whatsapp_message"].as_i64().is_some_and(|n| n >= 5), "{counts}");
    nothing_is_left(&world).await;
    assert_eq!(erase(ADMIN, his).await["error"]["code"], 1504, "he is gone");
    is_readable(&world.daemon, &world).await;
    eventually("the chat with her goes on", 15, async || {
        let answer = world
            .daemon
            .rpc("message.send", crate::support::world::text_params(HERS, "and on"))
            .await;
        answer["result"]["data"]["id"].is_i64().then_some(())
    })
    .await;
    assert_eq!(world.database.count(&contact(HERS)).await, hers);
    is_proven(&world).await;
}

/// Her file is still there.
async fn is_readable(daemon: &Daemon, world: &World) {
    let id = world.database.count("SELECT id FROM whatsapp_media").await;
    let path = format!("/media/{id}");
    let authorization = Daemon::authorization(wabridge_testkit::daemon::KEY_ID, "GET", &path, "");
    let answer = daemon
        .http
        .get(format!("{}{path}", daemon.private_url))
        .header("authorization", authorization)
        .send()
        .await
        .expect("the daemon answers");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.text().await.expect("a text"), "her file, as it is on the disk");
}
