//! Backup and restore as OPERATIONS tells them, word by word: its commands are read from there and run, from one
//! PostgreSQL cluster to another. What is missing afterwards is what `doctor` says is missing.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wabridge_testkit::daemon::{SEALING_KEY, binary};
use wabridge_testkit::database::connect;
use wabridge_testkit::{Cluster, Daemon, OwnCluster, TestDatabase, eventually};

use crate::media::server::Files;
use crate::support::program::{Finished, Settings, listeners};
use crate::support::world::{self, message_id, text_event};
use crate::support::{World, wabridge};

const PEER: &str = "447700900123";
/// The names in the guide.
const ORIGINAL: &str = "acme";
const RESTORED: &str = "acme2";

/// The commands of the guide's block that begins with this comment, without the lines that say where things are.
fn block(begins: &str) -> String {
    let guide = include_str!("../../docs/OPERATIONS.md");
    let head = format!("    # {begins}");
    let lines = guide.lines().skip_while(|line| !line.starts_with(&head));
    let lines: Vec<&str> = lines.map_while(|line| line.strip_prefix("    ")).collect();
    assert!(lines.len() > 2, "OPERATIONS has no commands that begin with: {head}");
    let places = ["backup=", "media=", "filestore="];
    let own = lines.iter().filter(|line| !places.iter().any(|place| line.starts_with(place)));
    own.fold(String::new(), |text, line| text + line + "\n")
}

/// A machine: where its PostgreSQL listens, its files, its settings.
struct Machine<'a> {
    cluster: &'a Cluster,
    backup: &'a Path,
    media: PathBuf,
    filestore: PathBuf,
    config: PathBuf,
    /// For a folder that holds the program under its name.
    folder: &'a Path,
}

impl Machine<'_> {
    /// Runs commands of the guide; what is called acme there is `original` here.
    fn run(&self, commands: &str, original: &str) {
        let mut script = String::from("set -euo pipefail\n");
        for word in commands.split_inclusive([' ', '/', '.', '=', '"', '\n']) {
            let bare = word.trim_end_matches([' ', '/', '.', '=', '"', '\n']);
            script +=
                &if bare == ORIGINAL { word.replacen(bare, original, 1) } else { word.into() };
        }
        let programs = self.folder.join("bin");
        if !programs.exists() {
            std::fs::create_dir(&programs).expect("a folder can be made");
            std::os::unix::fs::symlink(binary(), programs.join("wabridge")).expect("it links");
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{}:{path}", programs.display(), Cluster::programs().display());
        let ended = std::process::Command::new("bash")
            .args(["-c", &script])
            .env("PATH", path)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.cluster.port.to_string())
            .env("PGUSER", "postgres")
            .env("WABRIDGE_CONFIG", &self.config)
            .env("backup", self.backup)
            .env("media", &self.media)
            .env("filestore", &self.filestore)
            .output()
            .expect("bash starts");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (said(&ended.stdout), said(&ended.stderr));
        assert!(ended.status.success(), "{script}\n{out}{err}");
    }
}

/// Settings of the restored database with these keys.
fn settings(name: &str, url: &str, media: &Path, keys: &[(&str, &str)]) -> Settings {
    let mut text = format!(
        "{}[media]\ndirectory = {media:?}\n[databases.{name}]\nurl = \"{url}\"\n\
         [databases.{name}.rpc_keys.test]\nsecret = \"test-secret-0123456789abcdef\"\nact_as = \"any\"\n",
        listeners()
    );
    for (id, key) in keys {
        text += &format!("[databases.{name}.sealing_keys.{id}]\nkey = \"{key}\"\n");
    }
    Settings::new(&text)
}

/// A line of `doctor` that failed and holds all of these words.
fn complains(report: &Finished, words: &[&str]) -> bool {
    report
        .stdout
        .lines()
        .any(|line| line.starts_with("FAIL") && words.iter().all(|word| line.contains(word)))
}

/// A file that somebody sends.
fn document(link: &str) -> Value {
    let mut event = text_event(&message_id(9), PEER, "");
    event["messages"][0]["type"] = json!("document");
    event["messages"][0]["document"] = json!({"id": "d-1", "link": link, "mime_type": "application/pdf", "file_name": "offer.pdf"});
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_restored_elsewhere_by_the_guide() {
    let mut world = World::start().await;
    let sent = world.sent(PEER, "before the backup").await;
    world.until_status(sent, &["read"], 15).await;
    let content = b"%PDF-1.4 an offer that is kept sealed".repeat(2000);
    let link = Files::start().await.bytes("/link/offer", &content);
    assert_eq!(world.webhook(&document(&link)).await, 200);
    world.until_count("SELECT count(*) FROM whatsapp_media WHERE state = 'ready'", 1, 20).await;
    world.daemon.terminate().await;
    let odoo = world.database.odoo().await;
    let queued = world::odoo_send(&odoo, PEER, "waits in the backup", None).await;
    drop(odoo);

    let folder = tempfile::tempdir().expect("a folder can be made");
    let backup = folder.path().join("backup");
    let filestore = folder.path().join("filestore");
    std::fs::create_dir_all(filestore.join("ab")).expect("a folder can be made");
    std::fs::write(filestore.join("ab/abcd"), "Odoo's").expect("a file can be written");
    let here = Machine {
        cluster: Cluster::get(),
        backup: &backup,
        media: world.daemon.media_directory(),
        filestore,
        config: world.daemon.config_path(),
        folder: folder.path(),
    };
    let original = world.database.name.clone();
    here.run(&block("Back up acme"), &original);

    // Elsewhere: nothing of here but the backup.
    let server = tokio::task::block_in_place(OwnCluster::start);
    let elsewhere = tempfile::tempdir().expect("a folder can be made");
    let media = elsewhere.path().join("media");
    let url = server.cluster.url("wabridge", RESTORED);
    let with_keys = settings(RESTORED, &url, &media, &[("k1", SEALING_KEY)]);
    let there = Machine {
        cluster: server.cluster,
        backup: &backup,
        media: media.clone(),
        filestore: elsewhere.path().join("filestore"),
        config: with_keys.path(),
        folder: elsewhere.path(),
    };
    there.run(&block("A new cluster"), &original);
    there.run(&block("Restore acme"), &original);
    assert!(there.filestore.join("ab/abcd").exists(), "Odoo's files are there");

    // Without the keys: which, whose, what to do.
    let other = wabridge_domain::seal::generate_key();
    let keyless = settings(RESTORED, &url, &media, &[("k9", other.expose())]);
    let report = keyless.run(&["doctor"]).await;
    assert_eq!(report.code, Some(1), "{}", report.stdout);
    let missing = [
        "sealing key k1",
        "3 credentials of account 1 \"Acme Support\"",
        "1 files",
        "sealing_keys.k1",
    ];
    assert!(complains(&report, &missing), "{}", report.stdout);
    assert!(complains(&report, &["held", "wabridge adopt"]), "{}", report.stdout);
    assert!(
        report.stdout.contains("1 messages that would be sent"),
        "what an adoption would send is said: {}",
        report.stdout
    );
    let wrong = settings(RESTORED, &url, &media, &[("k1", other.expose())]);
    let report = wrong.run(&["doctor"]).await;
    assert!(complains(&report, &["is not the one that this database"]), "{}", report.stdout);

    // Without the files.
    let aside = elsewhere.path().join("aside");
    std::fs::rename(&media, &aside).expect("it can be moved");
    let report = with_keys.run(&["doctor"]).await;
    assert!(complains(&report, &["1 of 1 files", "media.directory"]), "{}", report.stdout);
    std::fs::rename(&aside, &media).expect("it can be moved back");

    // With everything only the decision is left.
    let report = with_keys.run(&["doctor"]).await;
    let failed: Vec<&str> = report.stdout.lines().filter(|l| l.starts_with("FAIL")).collect();
    assert!(failed.len() == 1 && failed[0].contains("held"), "{}", report.stdout);

    restored_by_odoo(&there, &original).await;
    let _database = serves_held_then_adopted(&world, &server, &media, queued).await;
    let exported = elsewhere.path().join("export");
    let target = exported.to_str().expect("a plain path");
    with_keys.run(&["export", RESTORED, target]).await.well();
    let files: Vec<_> = std::fs::read_dir(exported.join("media"))
        .expect("it is there")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    assert_eq!(std::fs::read(file).expect("it can be read"), content);
}

/// As Odoo's database manager restores: everything belongs to Odoo's role. `doctor` says so, and the grants cure it.
async fn restored_by_odoo(there: &Machine<'_>, original: &str) {
    let name = "acme3";
    let restore = format!(
        "createdb --owner=odoo --template=template0 {name}\n\
         pg_restore --exit-on-error --no-owner --no-acl --role=odoo --dbname={name} \"$backup/acme.dump\"\n"
    );
    there.run(&restore, original);
    let keys = [("k1", SEALING_KEY)];
    let at = settings(name, &there.cluster.url("wabridge", name), &there.media, &keys);
    let report = at.run(&["doctor"]).await;
    let words = ["permission denied for schema wabridge", "wabridge grants"];
    assert!(complains(&report, &words), "{}", report.stdout);
    let grants = format!(
        "wabridge grants | psql --single-transaction --set=ON_ERROR_STOP=1 --quiet --dbname={name}\n"
    );
    there.run(&grants, original);
    at.run(&["migrate"]).await.well();
    let report = at.run(&["doctor"]).await;
    let failed: Vec<&str> = report.stdout.lines().filter(|l| l.starts_with("FAIL")).collect();
    assert!(failed.len() == 1 && failed[0].contains("held"), "{}", report.stdout);
    let admin = connect(&there.cluster.url("postgres", name)).await;
    let sql = "SELECT count(*) FROM pg_shdepend d JOIN pg_class c ON c.oid = d.objid AND d.classid = 'pg_class'::regclass
               WHERE c.relnamespace = 'wabridge'::regnamespace AND d.deptype = 'o' AND d.refobjid <> 'wabridge'::regrole
               AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let others: i64 = admin.query_one(sql, &[]).await.expect("it answers").get(0);
    let sql = "SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'wabridge'::regnamespace
               AND p.proowner <> 'wabridge'::regrole";
    let routines: i64 = admin.query_one(sql, &[]).await.expect("it answers").get(0);
    assert_eq!((others, routines), (0, 0), "schema wabridge belongs to its role again");
}

/// A daemon on the restored database: webhooks come in, nothing goes out until somebody says so, then all goes on.
async fn serves_held_then_adopted(
    world: &World,
    server: &OwnCluster,
    media: &Path,
    queued: i64,
) -> TestDatabase {
    let database = TestDatabase::existing(server.cluster, RESTORED.to_owned()).await;
    let directory = media.to_str().expect("a plain path");
    let mut daemon =
        Daemon::prepare(&[&database], "", &[("WABRIDGE__MEDIA__DIRECTORY", directory)]);
    let config = daemon.config_path();
    daemon.run();
    let event = text_event(&message_id(2), PEER, "to the restored one");
    eventually("webhooks are taken", 20, async || {
        (world::webhook(&daemon.http, &daemon.public_url, &event).await == 200).then_some(())
    })
    .await;
    let came = "SELECT count(*) FROM whatsapp_message WHERE content = 'to the restored one'";
    world::until_count(&database, came, 1, 10).await;
    let refused = daemon.rpc("message.send", world::text_params(PEER, "no")).await;
    assert_eq!(refused["error"]["code"], 1503, "{refused}");
    // The journal came along, and can be played again.
    let journal = wabridge(Some(&config), &["journal", "list", "--json"]).await.well();
    assert!(journal.lines().count() >= 3, "{journal}");
    wabridge(Some(&config), &["journal", "replay", "--all"]).await.well();
    let rows = "SELECT count(*) FROM whatsapp_message";
    assert_eq!(database.count(rows).await, 4, "a replay doubles nothing");
    assert_eq!(world.accepted().await.len(), 1, "it sent while it was held");
    wabridge(Some(&config), &["adopt", RESTORED]).await.well();
    let gone = format!(
        "SELECT count(*) FROM whatsapp_message WHERE id = {queued} AND message_id IS NOT NULL"
    );
    world::until_count(&database, &gone, 1, 20).await;
    assert_eq!(world.accepted().await.len(), 2);
    // What its role may do is what it may do at home.
    let report = wabridge(Some(&config), &["doctor"]).await;
    assert!(
        !report.stdout.lines().any(|l| l.starts_with("FAIL") && l.contains("rights")),
        "{}",
        report.stdout
    );
    let others = "SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'wabridge'::regnamespace
                  AND pg_get_userbyid(c.relowner) <> 'wabridge'";
    assert_eq!(database.count(others).await, 0, "schema wabridge belongs to its role");
    database
}
