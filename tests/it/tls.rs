//! The private listener with a certificate.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wabridge_testkit::daemon::KEY_ID;
use wabridge_testkit::{Daemon, Series, TestDatabase, eventually};

use crate::support::program::wabridge;

/// Made by openssl for a hundred years, for localhost and 127.0.0.1: `server.pem` was signed by `ca.pem`, `other.pem` by
/// itself.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("it/fixtures/tls").join(name)
}

/// A daemon whose private listener presents `server.pem`; it was copied, so that it can be changed.
struct Guarded {
    daemon: Daemon,
    database: TestDatabase,
    files: TempDir,
}

async fn guarded(environment: &[(&str, &str)]) -> Guarded {
    let database = TestDatabase::new(Series::Odoo14).await;
    let daemon = Daemon::prepare(&[&database], "", environment);
    let files = tempfile::tempdir().expect("a temporary folder can be made");
    put(files.path(), "server");
    let text = std::fs::read_to_string(daemon.config_path()).expect("settings can be read");
    let tls = format!(
        "[private.tls]\ncertificate_file = \"{0}/tls.pem\"\nkey_file = \"{0}/tls.key\"\n[databases.",
        files.path().display()
    );
    std::fs::write(daemon.config_path(), text.replacen("[databases.", &tls, 1))
        .expect("settings can be written");
    let mut guarded = Guarded { daemon, database, files };
    guarded.daemon.run();
    eventually("the daemon is ready", 60, async || {
        guarded.daemon.log().contains("is ready db.name").then_some(())
    })
    .await;
    guarded
}

fn put(directory: &Path, name: &str) {
    std::fs::copy(fixture(&format!("{name}.key")), directory.join("tls.key"))
        .expect("the fixtures are whole");
    std::fs::copy(fixture(&format!("{name}.pem")), directory.join("tls.pem"))
        .expect("the fixtures are whole");
}

/// A client that trusts this certificate alone.
fn trusting(name: &str) -> reqwest::Client {
    let pem = std::fs::read(fixture(name)).expect("the fixtures are whole");
    let builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
    builder
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).expect("the fixtures are whole")])
        .build()
        .expect("the fixtures are whole")
}

impl Guarded {
    fn port(&self) -> &str {
        self.daemon.private_url.rsplit(':').next().expect("the fixtures are whole")
    }

    async fn discover(&self, http: &reqwest::Client) -> Result<Value, reqwest::Error> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"}).to_string();
        let request = http
            .post(format!("https://localhost:{}/rpc", self.port()))
            .header("content-type", "application/json")
            .header("authorization", Daemon::authorization(KEY_ID, "POST", "/rpc", &body));
        request.body(body).send().await?.json().await
    }
}

#[tokio::test]
async fn calls_over_tls() {
    let guarded = guarded(&[]).await;
    let answer = guarded.discover(&trusting("ca.pem")).await.unwrap();
    assert!(answer["result"]["methods"].is_array(), "{answer}");
    assert!(guarded.discover(&trusting("other.pem")).await.is_err(), "nobody it knows signed it");
    // In clear nothing is answered, and nothing of the call is looked at.
    let clear = guarded.daemon.http.get(format!("{}/health/live", guarded.daemon.private_url));
    assert!(clear.send().await.is_err());
    assert_eq!(guarded.database.count("SELECT count(*) FROM wabridge.nonce").await, 1);
    // From the command line: the settings' own certificate is trusted, another address needs its authority.
    let settings = guarded.daemon.config_path();
    let rpc = async |more: &[&str]| {
        wabridge(Some(&settings), &[&["rpc", "rpc.discover", "{}"], more].concat()).await
    };
    let url = format!("https://127.0.0.1:{}", guarded.port());
    let ca = fixture("ca.pem").display().to_string();
    rpc(&["--url", &url]).await.badly(&["--ca-file"]);
    assert!(rpc(&["--url", &url, "--ca-file", &ca]).await.well().contains("methods"));
    assert!(rpc(&["--ca-file", &ca]).await.well().contains("methods"));
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let guarded = guarded(&[]).await;
    let (first, second) = (trusting("ca.pem"), trusting("other.pem"));
    assert!(guarded.discover(&first).await.is_ok());
    assert!(guarded.discover(&second).await.is_err());
    std::fs::write(guarded.files.path().join("tls.pem"), "half a certi").unwrap();
    eventually("the broken one is told", 30, async || {
        guarded.daemon.log().contains("the former certificate stays in use").then_some(())
    })
    .await;
    assert!(guarded.discover(&first).await.is_ok());
    put(guarded.files.path(), "other");
    eventually("the new one is presented", 30, async || guarded.discover(&second).await.ok()).await;
    assert!(guarded.discover(&first).await.is_err());
    // The command line trusts what stands in the settings, signed by somebody known or not.
    let settings = guarded.daemon.config_path();
    wabridge(Some(&settings), &["rpc", "rpc.discover", "{}"]).await.well();
    let log = guarded.daemon.log();
    assert!(!log.contains("PRIVATE") && !log.contains("half a certi"), "{log}");
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_is_cut() {
    let guarded = guarded(&[("WABRIDGE__PRIVATE__READ_TIMEOUT_S", "1")]).await;
    let mut stream =
        TcpStream::connect(("127.0.0.1", guarded.port().parse().unwrap())).await.unwrap();
    // The first bytes of a record that never comes to its end.
    stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection stayed open");
    assert!(guarded.discover(&trusting("ca.pem")).await.is_ok());
}
