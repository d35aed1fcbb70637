//! Commands, and bad input: one clear line that names cause and cure, and no secret.

use std::os::unix::fs::PermissionsExt;

use wabridge_testkit::cluster::free_port;
use wabridge_testkit::daemon::{KEY_SECRET, SEALING_KEY, WHAPI_TOKEN};
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase};

use crate::support::program::{PASSWORD, database, listeners};
use crate::support::world::{WEBHOOK_SECRET, credentials};
use crate::support::{Settings, wabridge};

/// A connection string that leads to nobody.
fn nowhere() -> String {
    format!("postgresql://wabridge:{PASSWORD}@127.0.0.1:{}/acme", free_port())
}

#[tokio::test]
async fn settings_that_are_missing() {
    let nothing = std::path::Path::new("/nonexistent/wabridge.toml");
    let ended = wabridge(Some(nothing), &["serve"]).await;
    ended.badly(&["/nonexistent/wabridge.toml", "cannot be read", "--config"]);
}

#[tokio::test]
async fn unknown_keys() {
    for (place, text) in [
        (
            "lisen",
            format!("[public]\nlisen = \"127.0.0.1:1\"\n{}", database("acme", &nowhere(), "test")),
        ),
        ("start_timeout", format!("start_timeout = 3\n{}", database("acme", &nowhere(), "test"))),
        (
            "pool",
            format!("{}[databases.acme.pool]\nsize = 3\n", database("acme", &nowhere(), "test")),
        ),
    ] {
        let settings = Settings::new(&text);
        for command in [&["serve"][..], &["config", "check"]] {
            settings.run(command).await.badly(&["settings", place]);
        }
    }
}

#[tokio::test]
async fn settings_that_are_no_toml() {
    // The line that is wrong holds a secret.
    let settings = Settings::new(&format!("[databases.acme]\nurl \"{}\"", nowhere()));
    settings.run(&["serve"]).await.badly(&["settings", "line 2"]);
}

#[tokio::test]
async fn a_secret_file_that_is_missing() {
    let settings = Settings::new(&format!(
        "{}[databases.acme]\nurl = \"{}\"\n\
         [databases.acme.rpc_keys.odoo]\nsecret_file = \"/nonexistent/secret\"\nact_as = \"any\"\n\
         [databases.acme.sealing_keys.k1]\nkey = \"{SEALING_KEY}\"\n",
        listeners(),
        nowhere()
    ));
    for command in [&["serve"][..], &["config", "check"], &["migrate"]] {
        settings.run(command).await.badly(&[
            "databases.acme.rpc_keys.odoo.secret_file",
            "/nonexistent/secret",
            "cannot be read",
        ]);
    }
}

#[tokio::test]
async fn a_malformed_url() {
    let url = format!("postgresql//wabridge:{PASSWORD}@127.0.0.1/acme");
    let settings = Settings::of("acme", &url, "");
    settings.run(&["serve"]).await.badly(&["databases.acme.url"]);
    settings.run(&["migrate"]).await.badly(&["databases.acme.url"]);
}

#[tokio::test]
async fn a_sealing_key_of_the_wrong_length() {
    let text = database("acme", &nowhere(), "test").replace(SEALING_KEY, "c2hvcnQ");
    Settings::new(&text).run(&["serve"]).await.badly(&["databases.acme.sealing_keys"]);
}

#[tokio::test]
async fn a_database_that_is_away() {
    let settings = Settings::of("acme", &nowhere(), "start_timeout_s = 2");
    let ended = settings.run(&["serve"]).await;
    ended.badly(&["acme", "within 2 s"]);
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    for zone in ["public", "private"] {
        let other = if zone == "public" { "private" } else { "public" };
        let settings = Settings::new(&format!(
            "[{zone}]\nlisten = \"{address}\"\n[{other}]\nlisten = \"127.0.0.1:{}\"\n{}",
            free_port(),
            database("acme", &nowhere(), "test")
        ));
        settings.run(&["serve"]).await.badly(&[&format!("{zone}.listen"), &address, "another"]);
    }
}

#[tokio::test]
async fn a_key_id_that_two_databases_share() {
    let both = format!(
        "{}{}{}",
        listeners(),
        database("acme", &nowhere(), "odoo"),
        database("birch", &nowhere(), "odoo")
    );
    Settings::new(&both).run(&["serve"]).await.badly(&["rpc_keys.odoo", "acme", "birch"]);
}

#[tokio::test]
async fn a_private_listener_for_everybody() {
    let text = format!("[private]\nlisten = \"0.0.0.0:{}\"\n", free_port());
    let settings = Settings::new(&format!("{text}{}", database("acme", &nowhere(), "test")));
    settings.run(&["serve"]).await.badly(&["private.listen", "insecure"]);
}

#[tokio::test]
async fn schema_wabridge_that_is_missing_or_newer() {
    let database = TestDatabase::unmigrated(Series::Odoo14).await;
    let settings = Settings::of(&database.name, &database.url, "start_timeout_s = 3");
    settings.run(&["serve"]).await.badly(&[
        &database.name,
        "schema wabridge is missing",
        "wabridge migrate",
    ]);

    let database = TestDatabase::new(Series::Odoo14).await;
    let table = database
        .text(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE c.relnamespace = 'wabridge'::regnamespace AND c.relkind = 'r' AND a.attname = 'version'",
        )
        .await
        .expect("the versions stand in a table");
    database
        .execute(&format!(
            "CREATE TEMP TABLE last AS SELECT * FROM {table} ORDER BY version DESC LIMIT 1;
             UPDATE last SET version = version + 2; INSERT INTO {table} SELECT * FROM last"
        ))
        .await;
    let settings = Settings::of(&database.name, &database.url, "start_timeout_s = 3");
    settings.run(&["serve"]).await.badly(&[&database.name, "later"]);
    settings.run(&["migrate"]).await.badly(&[&database.name, "later"]);
}

#[tokio::test]
async fn an_addon_that_is_missing() {
    let database = TestDatabase::new(Series::Odoo19).await;
    let settings = Settings::of(&database.name, &database.url, "start_timeout_s = 2");
    database
        .execute(
            "UPDATE ir_module_module SET state = 'uninstalled' WHERE name = 'whatsapp_integration'",
        )
        .await;
    settings.run(&["serve"]).await.badly(&[&database.name, "whatsapp_integration", "install it"]);
    database.execute("DELETE FROM ir_module_module WHERE name = 'whatsapp_integration'").await;
    settings.run(&["serve"]).await.badly(&[&database.name, "whatsapp_integration", "addons path"]);
}

#[tokio::test]
async fn a_column_that_is_missing_at_the_first_start() {
    let database = TestDatabase::new(Series::Odoo14).await;
    database.execute("ALTER TABLE whatsapp_message DROP COLUMN error_code").await;
    let settings = Settings::of(&database.name, &database.url, "start_timeout_s = 2");
    settings
        .run(&["serve"])
        .await
        .badly(&["column whatsapp_message.error_code is missing", "upgrade the addon"]);
}

#[tokio::test]
async fn config_check_shows_no_secret() {
    let settings = Settings::of("acme", &nowhere(), "");
    let shown = settings.run(&["config", "check"]).await.well();
    assert!(
        shown.contains("the settings are valid") && shown.contains("databases.acme.rpc_keys.test"),
        "{shown}"
    );
    for secret in [KEY_SECRET, SEALING_KEY, PASSWORD] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn generated_keys_are_new_private_and_never_overwritten() {
    let first = wabridge(None, &["keys", "generate"]).await.well();
    let second = wabridge(None, &["keys", "generate"]).await.well();
    assert_ne!(first, second);
    assert_eq!(first.trim().len(), 43, "32 bytes as base64url");

    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("sealing.key");
    let out = path.to_str().expect("the path is UTF-8");
    let printed = wabridge(None, &["keys", "generate", "--out", out]).await.well();
    let written = std::fs::read_to_string(&path).expect("the file is there");
    assert!(!printed.contains(written.trim()), "a key in a file is not printed too");
    let mode = std::fs::metadata(&path).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    wabridge(None, &["keys", "generate", "--out", out]).await.badly(&[out, "never overwritten"]);
    assert_eq!(std::fs::read_to_string(&path).expect("the file is there"), written);
}

#[tokio::test]
async fn grants_can_be_applied_twice_and_suffice_for_migrate() {
    let database = TestDatabase::unmigrated(Series::Odoo19).await;
    let settings = Settings::of(&database.name, &database.url, "");
    // What the template was given is taken back first: the role has nothing but what is printed.
    database
        .execute(
            "DROP SCHEMA wabridge CASCADE; REVOKE ALL ON ALL TABLES IN SCHEMA public FROM wabridge",
        )
        .await;
    settings.run(&["migrate"]).await.badly(&[&database.name, "wabridge grants"]);
    let sql = settings.run(&["grants", "--database", &database.name]).await.well();
    database.execute(&sql).await;
    database.execute(&sql).await;
    let first = settings.run(&["migrate"]).await.well();
    assert!(first.contains(&database.name) && first.contains("is now version"), "{first}");
    let again = settings.run(&["migrate"]).await.well();
    assert!(again.contains("up to date"), "{again}");
    database.execute(&sql).await;
    let other = settings.run(&["migrate", "birch"]).await;
    other.badly(&["birch", &database.name]);
}

#[tokio::test]
async fn doctor_says_what_is_wrong() {
    let database = TestDatabase::new(Series::Odoo14).await;
    let simulator = Simulator::start().await;
    credentials(&database, &simulator.url, WHAPI_TOKEN).await;
    let settings = Settings::of(&database.name, &database.url, "");
    let report = settings.run(&["doctor"]).await.well();
    assert!(report.contains("everything is well"), "{report}");
    for secret in [KEY_SECRET, SEALING_KEY, WHAPI_TOKEN, WEBHOOK_SECRET] {
        assert!(!report.contains(secret), "{report}");
    }

    let wrong = format!(
        "{}\n[media]\ndirectory = {:?}\n",
        std::fs::read_to_string(settings.path()).expect("settings"),
        settings.path()
    );
    let ended = Settings::new(&wrong).run(&["doctor"]).await;
    assert_eq!(ended.code, Some(1));
    let found = |l: &str| l.starts_with("FAIL  media.directory: ") && l.contains("is no directory");
    assert!(ended.stdout.lines().any(found), "{}", ended.stdout);

    credentials(&database, &simulator.url, "a-token-nobody-knows").await;
    let ended = settings.run(&["doctor"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.lines().any(|l| l.starts_with("FAIL") && l.contains("account 1")),
        "{}",
        ended.stdout
    );

    database.execute("REVOKE SELECT ON whatsapp_contact FROM wabridge").await;
    let ended = settings.run(&["doctor"]).await;
    assert_eq!(ended.code, Some(1));
    let found = |l: &str| {
        l.starts_with("FAIL") && l.contains("whatsapp_contact") && l.contains("wabridge grants")
    };
    assert!(ended.stdout.lines().any(found), "{}", ended.stdout);

    database.execute("ALTER TABLE whatsapp_chat DROP COLUMN unread_count").await;
    let ended = settings.run(&["doctor"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("whatsapp_chat.unread_count"), "{}", ended.stdout);

    let away = Settings::of("acme", &nowhere(), "").run(&["doctor"]).await;
    assert_eq!(away.code, Some(1));
    assert!(away.stdout.contains("FAIL") && !away.stdout.contains(PASSWORD), "{}", away.stdout);
}

#[tokio::test]
async fn simulate_runs_as_a_command() {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let accounts = folder.path().join("accounts.json");
    let text = format!(
        "{{\"accounts\": [{{\"provider\": \"whapi\", \"token\": \"{WHAPI_TOKEN}\", \"channel_id\": \"HERON-K42QX\",
           \"phone\": \"447700900999\", \"name\": \"Acme Support\"}}]}}"
    );
    std::fs::write(&accounts, text).expect("the accounts can be written");
    let mut child = tokio::process::Command::new(wabridge_testkit::daemon::binary())
        .args(["simulate", "--listen", &format!("127.0.0.1:{port}"), "--accounts"])
        .arg(&accounts)
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("wabridge starts");
    let http = crate::support::world::client();
    let health = wabridge_testkit::eventually("the simulator answers", 10, async || {
        let url = format!("http://127.0.0.1:{port}/health");
        http.get(url).bearer_auth(WHAPI_TOKEN).send().await.ok()
    })
    .await;
    assert!(health.status().is_success(), "{}", health.status());
    let pid = child.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), child.wait()).await;
    assert!(ended.expect("it ends at SIGTERM").expect("its end can be seen").success());

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    wabridge(None, &["simulate", "--listen", &address])
        .await
        .badly(&["--listen", &address, "another"]);
    let wrong = folder.path().join("wrong.json");
    std::fs::write(&wrong, "{\"accounts\": 3}").expect("a file can be written");
    let path = wrong.to_str().expect("the path is UTF-8");
    wabridge(None, &["simulate", "--accounts", path]).await.badly(&["wrong.json"]);
}

#[tokio::test]
async fn rpc_prints_results_and_errors() {
    let database = TestDatabase::new(Series::Odoo14).await;
    let daemon = Daemon::start(&[&database], &[]).await;
    let config = daemon.config_path();
    let result = wabridge(
        Some(&config),
        &["rpc", "configuration.capabilities", r#"{"uid": 2, "configuration_id": 1}"#],
    )
    .await
    .well();
    assert!(result.contains("\"provider\": \"whapi\""), "{result}");

    let refused = wabridge(
        Some(&config),
        &["rpc", "configuration.health", r#"{"uid": 6, "configuration_id": 1}"#],
    )
    .await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("1001") && refused.stdout.is_empty(), "{}", refused.stderr);

    wabridge(Some(&config), &["rpc", "rpc.discover", "[1]"]).await.badly(&["JSON object"]);
    wabridge(Some(&config), &["rpc", "rpc.discover", "{"]).await.badly(&["no JSON"]);
    let other = wabridge(Some(&config), &["rpc", "rpc.discover", "{}", "--key", "none"]).await;
    other.badly(&["RPC key", "--key"]);

    let away = Settings::of("acme", &nowhere(), "");
    away.run(&["rpc", "rpc.discover", "{}"]).await.badly(&["wabridge serve"]);
}
