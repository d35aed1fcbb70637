//! The daemon as a process, and the simulator beside it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wabridge_rpc::sign;

use crate::cluster::free_port;
use crate::{TestDatabase, eventually};

/// The RPC key of every test daemon; may act for any user.
pub const KEY_ID: &str = "test";
pub const KEY_SECRET: &str = "test-secret-0123456789abcdef";
/// The sealing key of every test daemon.
pub const SEALING_KEY: &str = "dGVzdC1zZWFsaW5nLWtleS0wMTIzNDU2Nzg5YWJjZGU";

/// A running `wabridge serve`; killed when dropped.
pub struct Daemon {
    child: Option<Child>,
    folder: tempfile::TempDir,
    pub public_url: String,
    pub private_url: String,
    pub http: reqwest::Client,
    environment: Vec<(String, String)>,
}

impl Daemon {
    /// Starts a daemon on `databases` and waits until each of them is ready. `environment` is added to the process's.
    pub async fn start(databases: &[&TestDatabase], environment: &[(&str, &str)]) -> Self {
        let mut daemon = Self::prepare(databases, "", environment);
        daemon.run();
        daemon.wait_ready_each(databases).await;
        daemon
    }

    /// Writes the settings (with `extra` TOML in front of the databases) but starts nothing.
    pub fn prepare(databases: &[&TestDatabase], extra: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (public, private) = (free_port(), free_port());
        let mut settings = format!(
            "start_timeout_s = 15\n{extra}\n[public]\nlisten = \"127.0.0.1:{public}\"\n[private]\nlisten = \"127.0.0.1:{private}\"\n"
        );
        for (n, database) in databases.iter().enumerate() {
            let name = &database.name;
            let key = key_id(n);
            settings.push_str(&format!(
                "[databases.{name}]\nurl = \"{url}\"\n\
                 [databases.{name}.rpc_keys.{key}]\nsecret = \"{KEY_SECRET}\"\nact_as = \"any\"\n\
                 [databases.{name}.sealing_keys.k1]\nkey = \"{SEALING_KEY}\"\n",
                url = database.url,
            ));
        }
        std::fs::write(folder.path().join("wabridge.toml"), settings)
            .expect("settings can be written");
        Self {
            child: None,
            folder,
            public_url: format!("http://127.0.0.1:{public}"),
            private_url: format!("http://127.0.0.1:{private}"),
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(70))
                .no_proxy()
                .build()
                .expect("an HTTP client can be made"),
            environment: environment
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        }
    }

    /// Starts (or starts again) the process.
    pub fn run(&mut self) {
        assert!(self.child.is_none(), "the daemon runs already");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the daemon's log can be opened");
        let child = Command::new(binary())
            .args(["serve", "--config"])
            .arg(self.config_path())
            .env("WABRIDGE__LOG__FILTER", "wabridge=debug,info")
            .env("WABRIDGE__MEDIA__DIRECTORY", self.media_directory())
            // Links of the simulator lead here.
            .env("WABRIDGE__MEDIA__ALLOWED_HOSTS", "127.0.0.1")
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("wabridge starts");
        self.child = Some(child);
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("wabridge.toml")
    }

    /// Where it keeps files, unless its environment says otherwise.
    pub fn media_directory(&self) -> PathBuf {
        self.folder.path().join("media")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    pub async fn wait_ready(&mut self) {
        for _ in 0..750 {
            if let Some(status) =
                self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
            {
                panic!("the daemon ended with {status}:\n{}", self.last_words());
            }
            let answer = self.http.get(format!("{}/health/ready", self.private_url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the daemon did not become ready:\n{}", self.last_words());
    }

    /// Waits for each of the databases that it was prepared with, in their order: the daemon is ready with the first.
    pub async fn wait_ready_each(&mut self, databases: &[&TestDatabase]) {
        self.wait_ready().await;
        let path = "/health/ready";
        let url = format!("{}{path}", self.private_url);
        for (n, database) in databases.iter().enumerate().filter(|_| databases.len() > 1) {
            let is_ready = async || {
                let signature = Self::authorization(&key_id(n), "GET", path, "");
                let answer = self.http.get(&url).header("authorization", signature).send().await;
                let told: Value = answer.ok()?.json().await.ok()?;
                (told["databases"][&database.name]["phase"] == "ready").then_some(())
            };
            eventually("each database is ready", 15, is_ready).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon runs").id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the daemon runs");
        child.kill().expect("the daemon can be killed");
        child.wait().expect("its end can be seen");
    }

    /// True while the process has not ended.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGTERM, then waits for the end; the exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("the daemon runs");
        signal(child.id(), "TERM");
        eventually("the daemon's end after SIGTERM", 40, async || child.try_wait().ok().flatten())
            .await
            .code()
    }

    /// SIGSTOP and SIGCONT: a daemon that is paused.
    pub fn pause(&self) {
        signal(self.pid(), "STOP");
    }

    pub fn resume(&self) {
        signal(self.pid(), "CONT");
    }

    /// A signed call; the whole JSON-RPC answer.
    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        self.rpc_with(KEY_ID, method, params).await
    }

    /// As [`Daemon::rpc`] with the key of one database: `test` of the first, `test1` of the second, …
    pub async fn rpc_with(&self, key: &str, method: &str, params: Value) -> Value {
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let authorization = Self::authorization(key, "POST", "/rpc", &body);
        let answer = self
            .http
            .post(format!("{}/rpc", self.private_url))
            .header("content-type", "application/json")
            .header("authorization", authorization)
            .body(body)
            .send()
            .await
            .expect("the daemon answers");
        let status = answer.status();
        let text = answer.text().await.expect("the answer has a body");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"))
    }

    /// The Authorization header of one private call, with a fresh nonce.
    pub fn authorization(key: &str, method: &str, path: &str, body: &str) -> String {
        let now = wabridge_domain::Clock::now(&wabridge_domain::clock::SystemClock).as_second();
        let secret = wabridge_domain::Secret::new(KEY_SECRET);
        let request = sign::Request { method, path, body: body.as_bytes() };
        sign::sign(key, &secret, now, &sign::nonce(), request)
    }

    /// The `result` of a call that must succeed.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let answer = self.rpc(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}\n{}", self.log());
        answer["result"].clone()
    }

    /// Seals a value for an account with the test's key, as `configuration.seal` would.
    pub async fn seal(
        database: &TestDatabase,
        seal_uuid: &str,
        column: &str,
        clear: &str,
    ) -> String {
        let installation = database
            .text("SELECT installation_id::text FROM wabridge.meta")
            .await
            .and_then(|text| text.parse().ok())
            .expect("schema wabridge was migrated");
        let key = wabridge_domain::Secret::new(SEALING_KEY);
        let ring = wabridge_domain::seal::KeyRing::new([("k1", &key, true)])
            .expect("the test's key is well formed");
        let place = wabridge_domain::seal::Place {
            installation_id: installation,
            table: "whatsapp_configuration",
            column,
            seal_uuid,
        };
        ring.seal(place, &wabridge_domain::Secret::new(clear))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; then there is nothing to kill.
            if child.kill().is_ok() {
                child.wait().expect("its end can be seen");
            }
        }
        if std::thread::panicking() {
            eprintln!("--- daemon's log, last lines\n{}", self.last_words());
        }
    }
}

/// The RPC key of the nth database of a daemon, from 0.
fn key_id(n: usize) -> String {
    if n == 0 { KEY_ID.to_owned() } else { format!("{KEY_ID}{n}") }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "SIG{name} could not be sent to {pid}");
}

/// The program, built as it is now.
pub fn binary() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT
        .get_or_init(|| {
            if let Some(given) = std::env::var_os("WABRIDGE_BIN") {
                return given.into();
            }
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            let target = std::env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| root.join("target"), PathBuf::from);
            let program = target.join("debug/wabridge");
            // nextest runs each test in a process of its own: the first of a run builds, the others take it.
            let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_default();
            let lock = std::fs::File::create(target.join("wabridge-test.lock"))
                .expect("a lock file can be made");
            lock.lock().expect("the lock file can be locked");
            let built_for = target.join("wabridge-test.run");
            if !run.is_empty()
                && std::fs::read_to_string(&built_for).is_ok_and(|built| built == run)
            {
                return program;
            }
            let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
                .args(["build", "--quiet", "--locked", "-p", "wabridge"])
                .current_dir(&root)
                .status();
            assert!(built.is_ok_and(|status| status.success()), "cargo build -p wabridge failed");
            std::fs::write(&built_for, run).expect("the target folder can be written");
            program
        })
        .clone()
}

/// The provider simulator in this process; stopped when dropped.
pub struct Simulator {
    pub url: String,
    stop: CancellationToken,
    http: reqwest::Client,
}

/// The token of the simulator's one WHAPI account.
pub const WHAPI_TOKEN: &str = "whapi-token-canary-5531";
/// Its channel, as in the fixtures.
pub const WHAPI_CHANNEL: &str = "HERON-K42QX";

impl Simulator {
    pub async fn start() -> Self {
        let listener =
            tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it has an address"));
        let options: wabridge_simulator::Options = serde_json::from_value(json!({"accounts": [{
            "provider": "whapi", "token": WHAPI_TOKEN, "channel_id": WHAPI_CHANNEL,
            "phone": "447700900999", "name": "Acme Support",
        }]}))
        .expect("the options are well formed");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            wabridge_simulator::serve(listener, options, stopped)
                .await
                .expect("the simulator runs");
        });
        Self {
            url,
            stop,
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("an HTTP client can be made"),
        }
    }

    /// The API calls received after `since` whose path begins with `path`.
    pub async fn requests(&self, path: &str) -> Vec<Value> {
        let answer: Value = self
            .http
            .get(format!("{}/_control/requests?since=0", self.url))
            .send()
            .await
            .expect("the simulator answers")
            .json()
            .await
            .expect("it answers JSON");
        let all = answer["requests"].as_array().cloned().unwrap_or_default();
        all.into_iter()
            .filter(|r| r["path"].as_str().is_some_and(|p| p.starts_with(path)))
            .collect()
    }

    /// `POST /_control/<what>`.
    pub async fn control(&self, what: &str, body: Value) -> Value {
        let answer = self
            .http
            .post(format!("{}/_control/{what}", self.url))
            .json(&body)
            .send()
            .await
            .expect("the simulator answers");
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "{what}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
