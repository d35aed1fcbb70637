//! Sealing keys change while everything goes on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use wabridge_domain::Secret;
use wabridge_domain::seal::{KeyRing, Place};
use wabridge_testkit::daemon::{SEALING_KEY, WHAPI_TOKEN};
use wabridge_testkit::{Daemon, TestDatabase, eventually};

use crate::support::World;
use crate::support::program::wabridge;
use crate::support::world::{
    ADMIN, WEBHOOK_SECRET, WEBHOOK_TOKEN, client, message_id, text_event, text_params, webhook,
};

const SWEEP_OFF: (&str, &str) = ("WABRIDGE_FAILPOINTS", "keys.sweep=off");
/// What is sealed with a key, in every table.
const SEALED_WITH_K1: &str = "SELECT (SELECT count(*) FROM wabridge.media_blob WHERE sealed_by = 'k1' OR sealed_key LIKE 'wab1:k1:%')
    + (SELECT count(*) FROM wabridge.audit_key WHERE sealed_key LIKE 'wab1:k1:%')
    + (SELECT count(*) FROM whatsapp_configuration c WHERE to_jsonb(c)::text LIKE '%wab1:k1:%')";

/// Gives the daemon a directory of keys beside its key k1.
fn with_directory(daemon: &Daemon, database: &TestDatabase, directory: &Path) {
    let path = daemon.config_path();
    let text = std::fs::read_to_string(&path).expect("settings can be read");
    let section = format!("[databases.{}]\n", database.name);
    let line = format!("{section}sealing_keys_directory = \"{}\"\n", directory.display());
    std::fs::write(&path, text.replacen(&section, &line, 1)).expect("settings can be written");
}

/// A world whose daemon has a directory of keys, running.
async fn world(environment: &[(&str, &str)]) -> (World, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary folder can be made");
    let mut world = World::prepared("", environment).await;
    with_directory(&world.daemon, &world.database, directory.path());
    world.daemon.run();
    world.daemon.wait_ready().await;
    (world, directory)
}

async fn replica(world: &World, directory: &Path, environment: &[(&str, &str)]) -> Daemon {
    let mut daemon = Daemon::prepare(&[&world.database], "", environment);
    with_directory(&daemon, &world.database, directory);
    daemon.run();
    daemon.wait_ready().await;
    daemon
}

/// Files whose keys are sealed with k1: more than one batch of them.
async fn plant_files(database: &TestDatabase, count: u32) {
    let installation = database.text("SELECT installation_id::text FROM wabridge.meta").await;
    let installation_id =
        installation.and_then(|text| text.parse().ok()).expect("schema wabridge was migrated");
    let key = Secret::new(SEALING_KEY);
    let ring = KeyRing::new([("k1", &key, true)]).expect("the test's key is well formed");
    let mut rows = Vec::new();
    for n in 0..count {
        let checksum = format!("{n:064x}");
        let place = Place {
            installation_id,
            table: "media_blob",
            column: "sealed_key",
            seal_uuid: &checksum,
        };
        let sealed = ring.seal(place, &Secret::new(format!("file-key-{n}")));
        rows.push(format!("('{checksum}', 'planted/{n}', 1, 'k1', '{sealed}')"));
    }
    let sql =
        "INSERT INTO wabridge.media_blob (checksum, location, size, sealed_by, sealed_key) VALUES ";
    database.execute(&format!("{sql}{}", rows.join(", "))).await;
}

async fn seal(
    daemon: &Daemon,
    seal_uuid: &str,
    column: &str,
    value: &str,
) -> Result<String, Value> {
    let params = json!({"uid": ADMIN, "seal_uuid": seal_uuid, "column": column, "value": value});
    let answer = daemon.rpc("configuration.seal", params).await;
    match answer["result"]["data"]["sealed"].as_str() {
        Some(sealed) => Ok(sealed.to_owned()),
        None => Err(answer),
    }
}

/// An account that a transaction of Odoo makes and has not committed yet, with a value sealed at this moment.
async fn open_transaction(world: &World, name: &str) -> tokio_postgres::Client {
    let odoo = world.database.odoo().await;
    odoo.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .await
        .expect("a transaction begins");
    let uuid =
        world.database.text("SELECT gen_random_uuid()::text").await.expect("PostgreSQL makes one");
    let sealed = seal(&world.daemon, &uuid, "token", "late-canary").await.expect("it is sealed");
    let sql = "INSERT INTO whatsapp_configuration (name, provider, active, seal_uuid, token, create_uid, create_date, write_uid, write_date)
        VALUES ($1, 'whapi', false, $2, $3, 2, now() AT TIME ZONE 'UTC', 2, now() AT TIME ZONE 'UTC')";
    odoo.execute(sql, &[&name, &uuid, &sealed]).await.expect("Odoo may insert accounts");
    odoo
}

/// What goes on meanwhile; counts what was done and keeps what failed.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    sent: AtomicU64,
    received: AtomicU64,
    sealed: AtomicU64,
    failed: std::sync::Mutex<Vec<String>>,
}

impl Load {
    fn done(&self) -> [u64; 3] {
        [&self.sent, &self.received, &self.sealed].map(|n| n.load(Ordering::Relaxed))
    }

    fn fail(&self, what: String) {
        self.failed.lock().expect("no holder of this lock panics").push(what);
    }

    async fn send(&self, daemons: &[&Daemon]) {
        while !self.stop.load(Ordering::Relaxed) {
            let n = self.sent.fetch_add(1, Ordering::Relaxed);
            let to = format!("4477009{:05}", 10_000 + n);
            let answer =
                daemons[n as usize % 2].rpc("message.send", text_params(&to, "on and on")).await;
            if answer.get("error").is_some() {
                self.fail(format!("send: {answer}"));
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    async fn receive(&self, daemons: &[&Daemon]) {
        let http = client();
        while !self.stop.load(Ordering::Relaxed) {
            let n = self.received.fetch_add(1, Ordering::Relaxed);
            let event = text_event(&message_id(500_000 + n), "447700900777", "hello");
            let status = webhook(&http, &daemons[n as usize % 2].public_url, &event).await;
            if status != 200 {
                self.fail(format!("webhook: {status}"));
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// As Odoo does it: the transaction is open while the daemon seals, and again when it could not be serialized.
    async fn seal(&self, database: &TestDatabase, daemons: &[&Daemon]) {
        let uuid = database
            .text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1")
            .await
            .expect("Odoo's role may do this");
        let odoo = database.odoo().await;
        while !self.stop.load(Ordering::Relaxed) {
            let n = self.sealed.fetch_add(1, Ordering::Relaxed);
            odoo.batch_execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT id FROM whatsapp_configuration",
            )
            .await
            .expect("Odoo's role may do this");
            match seal(daemons[n as usize % 2], &uuid, "verify_token", &format!("verify {n}")).await
            {
                Ok(sealed) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let sql = "UPDATE whatsapp_configuration SET verify_token = $1 WHERE id = 1";
                    let stored = odoo.execute(sql, &[&sealed]).await;
                    odoo.batch_execute(if stored.is_ok() { "COMMIT" } else { "ROLLBACK" })
                        .await
                        .expect("Odoo's role may do this");
                }
                Err(answer) => {
                    self.fail(format!("seal: {answer}"));
                    odoo.batch_execute("ROLLBACK").await.expect("Odoo's role may do this");
                }
            }
        }
    }
}

#[tokio::test]
async fn under_load_nothing_fails_and_nothing_stays() {
    let (world, directory) = world(&[]).await;
    let second = replica(&world, directory.path(), &[]).await;
    plant_files(&world.database, 450).await;
    let settings = world.daemon.config_path();
    let late = open_transaction(&world, "Made before, committed after").await;
    let load = Arc::new(Load::default());
    let daemons = [&world.daemon, &second];
    let (rotated, ()) = tokio::join!(
        async {
            eventually("the load is on", 20, async || {
                load.done().iter().all(|n| *n > 5).then_some(())
            })
            .await;
            let rotated = wabridge(Some(&settings), &["keys", "rotate"]).await;
            let before = load.done();
            eventually("the load goes on", 20, async || {
                let now = load.done();
                (0..3).all(|n| now[n] > before[n] + 5).then_some(())
            })
            .await;
            load.stop.store(true, Ordering::Relaxed);
            rotated
        },
        async {
            tokio::join!(
                load.send(&daemons),
                load.receive(&daemons),
                load.seal(&world.database, &daemons)
            );
        }
    );
    let said = rotated.well();
    assert!(said.contains("values were sealed anew with key k2"), "{said}");
    let failed = load.failed.lock().unwrap().clone();
    assert!(failed.is_empty(), "{failed:?}");
    // What was sealed with the old key comes in now: retire waits for it, the sweep finds it.
    let refused = wabridge(Some(&settings), &["keys", "retire", "k1"]).await;
    refused.badly(&["1 transactions", "k1"]);
    late.batch_execute("COMMIT").await.unwrap();
    world.until_count(SEALED_WITH_K1, 0, 60).await;
    wabridge(Some(&settings), &["keys", "retire", "k1"]).await.well();
    // Nothing is lost: the account works under the new key alone, at both daemons.
    let text = std::fs::read_to_string(&settings).unwrap();
    let alone = text
        .replace(&format!("key = \"{SEALING_KEY}\"\n"), "")
        .replace(&format!("[databases.{}.sealing_keys.k1]\n", world.database.name), "");
    std::fs::write(&settings, alone).unwrap();
    eventually("the old key is forgotten", 30, async || {
        world
            .daemon
            .log()
            .contains("sealing key k1 is retired and gone from the settings")
            .then_some(())
    })
    .await;
    let id = world.sent("+447700900123", "under the new key").await;
    world.until_status(id, &["delivered", "read"], 30).await;
    let list = wabridge(Some(&settings), &["keys", "list"]).await.well();
    assert!(list.contains("k2: active; here, held by 2 daemons, 2 seal with it"), "{list}");
    assert!(list.contains("k1: retired; not in these settings"), "{list}");
    let operations = world.database.text("SELECT string_agg(operation || ' ' || success, ', ' ORDER BY id) FROM whatsapp_audit_log WHERE operation LIKE 'keys.%'").await;
    assert_eq!(
        operations.as_deref(),
        Some("keys.rotate true, keys.retire false, keys.retire true")
    );
}

#[tokio::test]
async fn retire_refuses_while_anything_is_left() {
    let (world, directory) = world(&[SWEEP_OFF]).await;
    let settings = world.daemon.config_path();
    let retire = async |id: &str| wabridge(Some(&settings), &["keys", "retire", id]).await;
    retire("k1").await.badly(&["k1", "active"]);
    retire("k7").await.badly(&["k7", "keys list"]);
    wabridge(Some(&settings), &["keys", "rotate"]).await.well();
    assert!(directory.path().join("k2.key").exists());
    assert_eq!(world.database.count(SEALED_WITH_K1).await, 0);
    // One value under the old key, as a restore or a slip would bring it: it stays, because nobody sweeps.
    plant_files(&world.database, 1).await;
    retire("k1").await.badly(&["1 files", "k1"]);
    let uuid = world
        .database
        .text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1")
        .await
        .unwrap();
    let old = Daemon::seal(&world.database, &uuid, "token", WHAPI_TOKEN).await;
    world
        .database
        .execute(&format!("UPDATE whatsapp_configuration SET token = '{old}' WHERE id = 1"))
        .await;
    retire("k1").await.badly(&["1 credentials, 1 files", "k1"]);
    wabridge(Some(&settings), &["keys", "rotate", "--to", "k2"]).await.well();
    retire("k1").await.well();
    wabridge(Some(&settings), &["keys", "rotate", "--to", "k1"]).await.badly(&["k1", "retired"]);
}

#[tokio::test]
async fn a_daemon_that_lacks_the_key_holds_the_rotation_up() {
    let (world, directory) = world(&[]).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = replica(&world, elsewhere.path(), &[]).await;
    let settings = world.daemon.config_path();
    let rotate = async |more: &[&str]| {
        wabridge(Some(&settings), &[&["keys", "rotate"], more].concat()).await
    };
    rotate(&["--wait", "3"]).await.badly(&["k2 is not active yet", "lack", "--to k2"]);
    let uuid = world
        .database
        .text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1")
        .await
        .unwrap();
    let sealed = seal(&world.daemon, &uuid, "token", "x").await.unwrap();
    assert!(sealed.starts_with("wab1:k1:"), "the former key seals on");
    // Another key under the same id is no help.
    std::fs::write(elsewhere.path().join("k2.key"), wabridge_domain::seal::generate_key().expose())
        .unwrap();
    rotate(&["--to", "k2", "--wait", "8"]).await.badly(&["k2 is not active yet"]);
    assert!(second.log().contains("sealing key k2 is another key"), "{}", second.log());
    second.terminate().await;
    // SIGHUP is no end, and reads the keys at once.
    let hangup =
        std::process::Command::new("kill").args(["-HUP", &world.daemon.pid().to_string()]).status();
    assert!(hangup.unwrap().success());
    rotate(&["--to", "k2"]).await.well();
    assert!(world.daemon.log().contains("SIGHUP"), "{}", world.daemon.log());
    let sealed = seal(&world.daemon, &uuid, "token", "x").await.unwrap();
    assert!(sealed.starts_with("wab1:k2:"), "{sealed}");
    assert!(directory.path().join("k2.key").exists());
}

#[tokio::test]
async fn a_lost_key_names_the_accounts() {
    let mut world = World::prepared("", &[]).await;
    let path = world.daemon.config_path();
    let other = wabridge_domain::seal::generate_key();
    let text = std::fs::read_to_string(&path).unwrap();
    let text =
        text.replace("sealing_keys.k1", "sealing_keys.k9").replace(SEALING_KEY, other.expose());
    std::fs::write(&path, text).unwrap();
    world.daemon.run();
    world.daemon.wait_ready().await;
    let state = async || {
        let sql = "SELECT state || ': ' || coalesce(reason, '') FROM whatsapp_account_state WHERE configuration_id = 1";
        world.database.text(sql).await
    };
    let said = eventually("the account says so", 30, async || {
        state().await.filter(|said| said.starts_with("token_dead"))
    })
    .await;
    assert!(
        said.contains("token, webhook_token, webhook_secret (sealing key k1 is missing)"),
        "{said}"
    );
    assert!(said.contains("Set credentials"), "{said}");
    assert!(world.daemon.log().contains("account 1: token: the value was sealed with key \"k1\""));
    let doctor = wabridge(Some(&path), &["doctor"]).await;
    assert_eq!(doctor.code, Some(1));
    assert!(
        doctor.stdout.contains("must be entered again: token, webhook_token, webhook_secret"),
        "{}",
        doctor.stdout
    );
    let rotated = wabridge(Some(&path), &["keys", "rotate", "--to", "k9"]).await;
    assert_eq!(rotated.code, Some(1));
    assert!(
        rotated.stderr.contains("account 1, token cannot be sealed anew"),
        "{}",
        rotated.stderr
    );

    let uuid = world
        .database
        .text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1")
        .await
        .unwrap();
    let values = [
        ("token", WHAPI_TOKEN),
        ("webhook_token", WEBHOOK_TOKEN),
        ("webhook_secret", WEBHOOK_SECRET),
    ];
    for (column, value) in values {
        let sealed = seal(&world.daemon, &uuid, column, value).await.unwrap();
        let sql = format!("UPDATE whatsapp_configuration SET {column} = '{sealed}' WHERE id = 1");
        world.database.execute(&sql).await;
    }
    eventually("the account is well again", 30, async || {
        state().await.filter(|said| !said.contains("opened"))
    })
    .await;
    let id = world.sent("+447700900123", "entered again").await;
    world.until_status(id, &["sent", "delivered", "read"], 30).await;
}
