//! Going away: the export of what was written, and the removal of what is ours.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use wabridge_testkit::daemon::{KEY_SECRET, SEALING_KEY, WHAPI_TOKEN, binary};
use wabridge_testkit::{Series, TestDatabase, eventually};

use crate::media::server::{Files, noise};
use crate::support::program::{Finished, Settings};
use crate::support::world::{WEBHOOK_SECRET, WEBHOOK_TOKEN, message_id, text_event};
use crate::support::{World, wabridge};

const PEER: &str = "447700900123";

/// More than a page of messages, and something of every kind.
const FILLED: &str = "
    INSERT INTO whatsapp_contact (contact_id, phone, name, configuration_id, provider)
    SELECT '44770090' || n || '@s.whatsapp.net', '44770090' || n, 'Person ' || n, 1, 'whapi' FROM generate_series(1000, 1029) n;
    INSERT INTO whatsapp_group (group_id, name, invite_link, configuration_id, provider)
    VALUES ('120363025550100777@g.us', E'Acme \"customers\"\\n\\u2603', 'https://chat.whatsapp.com/link-canary-11', 1, 'whapi');
    INSERT INTO whatsapp_group_member (group_id, contact_id, role, state)
    SELECT g.id, c.id, 'member', 'active' FROM whatsapp_group g, whatsapp_contact c;
    INSERT INTO whatsapp_chat (configuration_id, chat_id, contact_id)
    SELECT 1, contact_id, id FROM whatsapp_contact;
    INSERT INTO whatsapp_message (configuration_id, provider, message_id, chat_id, direction, from_me, origin, message_type,
        status, content, timestamp, delivered_at, res_model, res_id)
    SELECT 1, 'whapi', 'old-' || n, '447700901000@s.whatsapp.net', 'inbound', false, 'provider', 'text', 'delivered',
        'text ' || n, '2026-03-04 10:30:00', '2026-03-04 10:30:01', 'res.partner', 3 FROM generate_series(1, 2500) n;
    INSERT INTO whatsapp_message_receipt (message_id, contact_id, read_at)
    SELECT min(m.id), c.id, '2026-03-04 11:00:00' FROM whatsapp_message m, whatsapp_contact c GROUP BY c.id;
    INSERT INTO whatsapp_message_revision (message_id, revision, content, edited_at)
    SELECT min(id), 'r1', 'as it was', '2026-03-04 10:31:00' FROM whatsapp_message";

/// The export's files, and the tables that they must agree with.
const TABLES: [(&str, &str); 10] = [
    ("accounts.jsonl", "whatsapp_configuration"),
    ("contacts.jsonl", "whatsapp_contact"),
    ("groups.jsonl", "whatsapp_group"),
    ("members.jsonl", "whatsapp_group_member"),
    ("chats.jsonl", "whatsapp_chat"),
    ("messages.jsonl", "whatsapp_message"),
    ("receipts.jsonl", "whatsapp_message_receipt"),
    ("revisions.jsonl", "whatsapp_message_revision"),
    ("media.jsonl", "whatsapp_media"),
    ("audit.jsonl", "whatsapp_audit_log"),
];

/// A world that has something to take along, its daemon stopped.
async fn filled(content: &[u8]) -> World {
    let mut world = World::prepared("", &[]).await;
    world.database.execute(FILLED).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let mut event = text_event(&message_id(1), PEER, "");
    let link = Files::start().await.bytes("/link/offer", content);
    event["messages"][0]["type"] = json!("document");
    event["messages"][0]["document"] =
        json!({"link": link, "mime_type": "application/pdf", "file_name": "../Offer.PDF"});
    assert_eq!(world.webhook(&event).await, 200);
    world.until_count("SELECT count(*) FROM whatsapp_media WHERE state = 'ready'", 1, 20).await;
    world.daemon.terminate().await;
    world
}

/// Runs the program where the daemon's files are.
fn command(world: &World, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(binary());
    command
        .arg("--config")
        .arg(world.daemon.config_path())
        .args(arguments)
        .env("WABRIDGE__MEDIA__DIRECTORY", world.daemon.media_directory())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn run(mut command: tokio::process::Command) -> Finished {
    let ended = tokio::time::timeout(Duration::from_secs(240), command.output());
    let output = ended.await.expect("it ends").expect("wabridge starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8 is printed");
    Finished {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Every file of an export, by its path below the folder.
fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("it can be listed").path();
        let name =
            path.file_name().and_then(|name| name.to_str()).expect("a plain name").to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(of, path)| (format!("{name}/{of}"), path)));
        } else {
            found.insert(name, path);
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("it can be read");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[tokio::test]
async fn an_export_holds_everything_and_no_secret() {
    let content = noise(300_000, 7);
    let world = filled(&content).await;
    let above = tempfile::tempdir().expect("a folder can be made");
    let target = above.path().join("acme");
    let arguments = ["export", &world.database.name, target.to_str().expect("a plain path")];
    let said = run(command(&world, &arguments)).await.well();
    assert!(said.contains("messages.jsonl: 2501 rows"), "{said}");
    assert_eq!(std::fs::read_dir(above.path()).expect("it is there").count(), 1);

    assert_eq!((mode(&target), mode(&target.join("media"))), (0o700, 0o700));
    let written = files(&target);
    let manifest = std::fs::read_to_string(&written["export.json"]).expect("it can be read");
    let manifest: Value = serde_json::from_str(&manifest).expect("it is JSON");
    for (file, table) in TABLES {
        let count = world.database.count(&format!("SELECT count(*) FROM {table}")).await;
        let rows = lines(&written[file]);
        assert_eq!(i64::try_from(rows.len()), Ok(count), "{file}");
        assert_eq!(manifest["contents"][file]["rows"], count, "{file}");
        let bytes = std::fs::read(&written[file]).expect("it can be read");
        let sum = hex::encode(Sha256::digest(&bytes));
        assert_eq!(manifest["contents"][file]["sha256"], sum, "{file}");
        assert_eq!(manifest["contents"][file]["bytes"], bytes.len(), "{file}");
        assert!(count > 0, "{file}: there is something to be seen");
        keys_are_told(file, &rows[0]);
    }
    let message = &lines(&written["messages.jsonl"])[0];
    assert_eq!(message["content"], "text 1");
    assert_eq!(message["delivered_at"], "2026-03-04T10:30:01+00:00", "times have their zone");
    let group = &lines(&written["groups.jsonl"])[0];
    assert_eq!(group["name"], "Acme \"customers\"\n\u{2603}");

    let media = &lines(&written["media.jsonl"])[0];
    let file = media["file"].as_str().expect("it is there");
    assert!(file.starts_with("media/") && file.ends_with(".pdf"), "{file}");
    assert_eq!(std::fs::read(&written[file]).expect("it can be read"), content);
    assert_eq!((&manifest["media"]["files"], &manifest["media"]["lost"]), (&json!(1), &json!(0)));

    let secrets = [
        WHAPI_TOKEN,
        WEBHOOK_TOKEN,
        WEBHOOK_SECRET,
        KEY_SECRET,
        SEALING_KEY,
        "wab1:",
        "link-canary",
    ];
    for (name, path) in &written {
        assert_eq!(mode(path), 0o600, "{name}");
        let bytes = std::fs::read(path).expect("it can be read");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{name} holds a secret");
    }
    let audited =
        "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'database.export' AND success";
    assert_eq!(world.database.count(audited).await, 1);

    // Nothing is written over, nor into what is there.
    run(command(&world, &arguments)).await.badly(&["writes over nothing"]);
    let inside = target.join("no/such/folder");
    let arguments = ["export", &world.database.name, inside.to_str().expect("a plain path")];
    run(command(&world, &arguments)).await.badly(&["no/such", "cannot be made"]);
    assert_eq!(files(&target).len(), written.len());
}

/// The guide tells each key.
fn keys_are_told(file: &str, row: &Value) {
    let guide = include_str!("../../docs/OPERATIONS.md");
    let chapter = guide.split("## Taking the data out").nth(1).expect("it has that chapter");
    let line = chapter
        .lines()
        .find(|line| line.starts_with('|') && line.contains(&format!("`{file}`")))
        .unwrap_or_else(|| panic!("{file} is not told"));
    let statuses = line.contains("the time of each status");
    for key in row.as_object().expect("an object").keys() {
        let status = statuses && key.ends_with("_at");
        assert!(status || line.contains(&format!("`{key}`")), "{file}: {key} is not told");
    }
}

#[tokio::test]
async fn an_export_that_was_cut_off_is_known_by_its_name() {
    let world = filled(&noise(1000, 3)).await;
    let above = tempfile::tempdir().expect("a folder can be made");
    let target = above.path().join("acme");
    let unfinished = above.path().join("acme.unfinished");
    let arguments = ["export", &world.database.name, target.to_str().expect("a plain path")];
    let sealed = files(&world.daemon.media_directory());
    let [sealed] = &sealed.values().collect::<Vec<_>>()[..] else { panic!("one file is stored") };

    // Opening a pipe that nobody writes to waits: it stops there, all rows written.
    let kept = sealed.with_extension("kept");
    std::fs::rename(sealed, &kept).expect("it can be moved");
    let made = std::process::Command::new("mkfifo").arg(sealed).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo (coreutils) works");
    let mut child = command(&world, &arguments).stdout(Stdio::null()).spawn().expect("it starts");
    eventually("it came to the file", 30, async || {
        unfinished.join("media.jsonl").exists().then_some(())
    })
    .await;
    child.kill().await.expect("it can be killed");
    assert!(!target.exists() && !unfinished.join("export.json").exists());
    run(command(&world, &arguments)).await.badly(&["acme.unfinished", "interrupted", "remove it"]);
    std::fs::remove_dir_all(&unfinished).expect("it can be removed");

    // A file that is not there is told, and does not keep the rest back.
    std::fs::remove_file(sealed).expect("it can be removed");
    let ended = run(command(&world, &arguments)).await;
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("1 files are NOT in it"), "{}", ended.stdout);
    let media = &lines(&target.join("media.jsonl"))[0];
    assert_eq!(
        (&media["file"], &media["problem"]),
        (&Value::Null, &json!("a stored file is missing"))
    );
    std::fs::remove_dir_all(&target).expect("it can be removed");

    // What fails leaves nothing, and is audited as failed.
    world.database.execute("ALTER TABLE whatsapp_message_revision RENAME TO revision_away").await;
    run(command(&world, &arguments)).await.badly(&["whatsapp_message_revision"]);
    world.database.execute("ALTER TABLE revision_away RENAME TO whatsapp_message_revision").await;
    world.database.execute("REVOKE SELECT ON whatsapp_message_receipt FROM wabridge").await;
    run(command(&world, &arguments)).await.badly(&["permission denied"]);
    assert!(std::fs::read_dir(above.path()).expect("it is there").next().is_none());
    let failed = "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'database.export' AND NOT success";
    assert_eq!(world.database.count(failed).await, 1);
}

/// What the addon's uninstallation comes to: its tables go, and its hook takes the rights back.
async fn uninstalled(database: &TestDatabase) {
    let odoo = database.odoo().await;
    let revoke = include_str!("../../odoo_addon/whatsapp_integration/data/revoke.sql");
    let sql = format!(
        "BEGIN; {}
         DO $$ DECLARE name text; BEGIN
             FOR name IN SELECT c.oid::regclass::text FROM pg_class c
                 WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE '%whatsapp%' AND c.relkind = 'r'
             LOOP EXECUTE 'DROP TABLE ' || name || ' CASCADE'; END LOOP;
         END $$;
         UPDATE ir_module_module SET state = 'uninstalled', latest_version = NULL WHERE name = 'whatsapp_integration';
         COMMIT",
        revoke.replace(":role", "wabridge")
    );
    odoo.batch_execute(&sql).await.expect("Odoo's role may");
}

fn alarms(log: &str) -> usize {
    log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR")).count()
}

#[tokio::test]
async fn after_the_uninstallation_the_daemon_waits_and_drop_leaves_nothing() {
    let mut world = World::start().await;
    let name = world.database.name.clone();
    let sent = world.sent(PEER, "hello").await;
    world.until_status(sent, &["read"], 15).await;
    run(command(&world, &["drop", &name, "--yes"]))
        .await
        .badly(&["is installed", "wabridge export"]);

    uninstalled(&world.database).await;
    eventually("it is said", 20, async || {
        world.daemon.log().contains("addon whatsapp_integration is not installed").then_some(())
    })
    .await;
    let line = "wabridge drop";
    assert!(world.daemon.log().contains(line), "{}", world.daemon.log());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = alarms(&world.daemon.log());
    assert_eq!(
        world.webhook(&text_event(&message_id(5), PEER, "too late")).await,
        200,
        "it is kept"
    );
    let refused = world
        .daemon
        .rpc("message.send", json!({"uid": 5, "to": PEER, "type": "text", "text": {"body": "x"}}))
        .await;
    assert_eq!(refused["error"]["code"], 1502, "{refused}");
    tokio::time::sleep(Duration::from_secs(8)).await;
    let log = world.daemon.log();
    assert!(alarms(&log) - before <= 1, "a storm:\n{log}");
    assert!(world.daemon.runs());
    let doctor = run(command(&world, &["doctor"])).await;
    let failed: Vec<&str> = doctor.stdout.lines().filter(|l| l.starts_with("FAIL")).collect();
    assert!(failed.len() == 1 && failed[0].contains("wabridge drop"), "{}", doctor.stdout);

    run(command(&world, &["drop", &name, "--yes"])).await.badly(&["a daemon serves it"]);
    assert_eq!(world.daemon.terminate().await, Some(0));
    run(command(&world, &["drop", &name])).await.badly(&["nobody answered"]);
    assert!(typed(&world, &["drop", &name], "something else\n").await.code != Some(0));
    let view = "CREATE VIEW public.report AS SELECT id FROM wabridge.journal";
    world.database.execute(view).await;
    run(command(&world, &["drop", &name, "--yes"])).await.badly(&["report", "drop them first"]);
    world.database.execute("DROP VIEW public.report").await;
    let there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'wabridge'";
    assert_eq!(world.database.count(there).await, 1, "nothing went until now");

    let said = typed(&world, &["drop", &name], &format!("{name}\n")).await.well();
    assert!(said.contains("schema wabridge is gone"), "{said}");
    assert!(said.contains("received webhooks are not (wholly) applied"), "{said}");
    assert!(!said.contains("still has rights"), "{said}");
    assert_eq!(world.database.count(there).await, 0);
    let of_role = "SELECT count(*) FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid
        WHERE b.datname = current_database() AND d.refobjid = 'wabridge'::regrole";
    assert_eq!(world.database.count(of_role).await, 0, "nothing in the database names the role");
    let again = run(command(&world, &["drop", &name, "--yes"])).await.well();
    assert!(again.contains("nothing is to be dropped"), "{again}");
}

/// As [`run`], with somebody at the terminal.
async fn typed(world: &World, arguments: &[&str], line: &str) -> Finished {
    let mut command = command(world, arguments);
    let piped = || Stdio::piped();
    command.stdin(piped()).stdout(piped()).stderr(piped());
    let mut child = command.spawn().expect("it starts");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(line.as_bytes()).await.expect("it reads");
    drop(input);
    let output = child.wait_with_output().await.expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8 is printed");
    Finished {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[tokio::test]
async fn drop_by_force_under_a_running_daemon() {
    let world = World::start().await;
    let name = world.database.name.clone();
    let config = world.daemon.config_path();
    let said = wabridge(Some(&config), &["drop", &name, "--yes", "--force"]).await.well();
    assert!(said.contains("the addon stays") && said.contains("--take-back"), "{said}");
    let audited = "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'database.drop'";
    assert_eq!(world.database.count(audited).await, 1);
    eventually("it is said", 20, async || {
        world.daemon.log().contains("schema wabridge is missing").then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = alarms(&world.daemon.log());
    assert_eq!(world.webhook(&text_event(&message_id(1), PEER, "away")).await, 503);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let log = world.daemon.log();
    assert!(alarms(&log) - before <= 2, "a storm:\n{log}");
    // It comes back when the schema does.
    world.database.execute("CREATE SCHEMA wabridge AUTHORIZATION wabridge").await;
    wabridge(Some(&config), &["migrate"]).await.well();
    eventually("it is ready again", 30, async || {
        let url = format!("{}/health/ready", world.daemon.private_url);
        let answer = world.daemon.http.get(url).send().await;
        answer.is_ok_and(|answer| answer.status().is_success()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_granted_can_be_taken_back() {
    let database = TestDatabase::new(Series::Odoo19).await;
    let settings = Settings::of(&database.name, &database.url, "");
    let sql = settings.run(&["grants", "--take-back"]).await.well();
    settings.run(&["drop", &database.name, "--yes", "--force"]).await.well();
    database.execute(&sql).await;
    let said = settings.run(&["drop", &database.name, "--yes"]).await.well();
    assert!(!said.contains("still has rights"), "{said}");
    let of_role = "SELECT count(*) FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid
        WHERE b.datname = current_database() AND d.refobjid = 'wabridge'::regrole";
    assert_eq!(database.count(of_role).await, 0, "nothing in the database names the role");
}
